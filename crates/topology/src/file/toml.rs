//! TOML into the tree.

use super::{Entry, Node, Place, Problem, Value};
use std::ops::Range;
use toml_edit::{Document, Item, Key, TableLike};

pub(super) fn parse(text: &str) -> Result<Node, Problem> {
    let lines = Lines::of(text);
    let document = Document::parse(text).map_err(|error| Problem {
        at: lines.place(error.span()),
        key: String::new(),
        expected: "TOML".into(),
        found: error.message().into(),
    })?;
    Ok(Node { at: Place { line: 1, column: 1 }, value: Value::Map(entries(document.as_table(), &lines)) })
}

fn entries(table: &dyn TableLike, lines: &Lines<'_>) -> Vec<Entry> {
    let entry = |(name, item): (&str, &Item)| {
        let key_at = lines.place(table.key(name).and_then(Key::span));
        // A table that is only implied by the header of a deeper one has no place of its own.
        let at = item.span().map_or(key_at, |span| lines.place(Some(span)));
        Entry { key: name.into(), key_at, node: node(item, at, lines) }
    };
    table.iter().map(entry).collect()
}

fn node(item: &Item, at: Place, lines: &Lines<'_>) -> Node {
    let value = match item {
        Item::None => Value::Null,
        Item::Value(value) => return value_node(value, at, lines),
        Item::Table(table) => Value::Map(entries(table, lines)),
        Item::ArrayOfTables(tables) => Value::List(
            tables
                .iter()
                .map(|table| Node { at: lines.place(table.span()), value: Value::Map(entries(table, lines)) })
                .collect(),
        ),
    };
    Node { at, value }
}

fn value_node(value: &toml_edit::Value, at: Place, lines: &Lines<'_>) -> Node {
    let value = match value {
        toml_edit::Value::String(text) => Value::Scalar { text: text.value().clone(), quoted: true },
        toml_edit::Value::Integer(number) => {
            Value::Scalar { text: number.value().to_string(), quoted: false }
        }
        toml_edit::Value::Float(number) => Value::Scalar { text: number.value().to_string(), quoted: false },
        toml_edit::Value::Boolean(flag) => Value::Scalar { text: flag.value().to_string(), quoted: false },
        toml_edit::Value::Datetime(time) => Value::Scalar { text: time.value().to_string(), quoted: false },
        toml_edit::Value::Array(items) => {
            Value::List(items.iter().map(|item| value_node(item, lines.place(item.span()), lines)).collect())
        }
        toml_edit::Value::InlineTable(table) => Value::Map(entries(table, lines)),
    };
    Node { at, value }
}

/// Where each line of a text starts, in bytes.
struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Lines { text, starts }
    }

    fn place(&self, span: Option<Range<usize>>) -> Place {
        let offset = span.map_or(0, |span| span.start).min(self.text.len());
        let line = self.starts.partition_point(|&start| start <= offset) - 1;
        let column = self.text[self.starts[line]..].char_indices();
        let column = column.take_while(|(at, _)| self.starts[line] + at < offset).count();
        Place { line: line as u32 + 1, column: column as u32 + 1 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_table_is_the_same_tree() {
        for text in ["[a.b]\nc = 1\n", "a = { b = { c = 1 } }\n", "a.b.c = 1\n"] {
            let root = parse(text).unwrap();
            let Value::Map(top) = &root.value else { panic!("{root:?}") };
            let Value::Map(a) = &top[0].node.value else { panic!("{top:?}") };
            let Value::Map(b) = &a[0].node.value else { panic!("{a:?}") };
            assert_eq!((a[0].key.as_str(), b[0].key.as_str()), ("b", "c"), "{text}");
            assert!(matches!(&b[0].node.value, Value::Scalar { text, quoted: false } if text == "1"));
        }
    }

    #[test]
    fn places_count_characters() {
        let root = parse("x = 1\n\n'é' = [true, 2]\n").unwrap();
        let Value::Map(top) = &root.value else { panic!("{root:?}") };
        assert_eq!(top[1].key_at, Place { line: 3, column: 1 });
        let Value::List(items) = &top[1].node.value else { panic!("{top:?}") };
        assert_eq!(items[1].at, Place { line: 3, column: 14 });
        assert_eq!(parse("x = 1\ny = \n").unwrap_err().at.line, 2);
    }
}
