//! YAML 1.2 into the tree, from the parser's events.
//!
//! Anchors, aliases and tags are refused: a network file needs none, and an alias lets a short file stand for a huge one.

use super::{Entry, Node, Place, Problem, Value};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, StrInput};

/// How deep maps and lists may stand in each other; the format itself needs eight.
const DEPTH_MAX: usize = 32;

pub(super) fn parse(text: &str) -> Result<Node, Problem> {
    let mut events = Events { parser: Parser::new_from_str(text) };
    let mut document = None;
    loop {
        let (event, at) = events.next()?;
        match event {
            Event::StreamEnd => break,
            Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
            _ if document.is_some() => return Err(refusal(at, "one document in the file", "a second one")),
            event => document = Some(events.node(event, at, 0)?),
        }
    }
    Ok(document.unwrap_or(Node { at: Place { line: 1, column: 1 }, value: Value::Null }))
}

struct Events<'t> {
    parser: Parser<'t, StrInput<'t>>,
}

impl<'t> Events<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Place), Problem> {
        match self.parser.next_event() {
            Some(Ok((event, span))) => Ok((event, place(span.start))),
            Some(Err(error)) => Err(refusal(place(*error.marker()), "YAML", error.info())),
            None => Ok((Event::StreamEnd, Place::default())),
        }
    }

    fn node(&mut self, event: Event<'t>, at: Place, depth: usize) -> Result<Node, Problem> {
        if depth > DEPTH_MAX {
            return Err(refusal(at, &format!("at most {DEPTH_MAX} levels"), "one more"));
        }
        let (anchor, tag) = match &event {
            Event::Scalar(_, _, anchor, tag)
            | Event::SequenceStart(anchor, tag)
            | Event::MappingStart(anchor, tag) => (*anchor, tag),
            _ => (0, &None),
        };
        if anchor != 0 {
            return Err(refusal(at, "a value without an anchor", "an anchor"));
        }
        if let Some(tag) = tag {
            return Err(refusal(at, "a value without a tag", &format!("`{tag}`")));
        }
        let value = match event {
            Event::Scalar(text, style, ..) => scalar(text.into_owned(), style),
            Event::SequenceStart(..) => self.list(depth)?,
            Event::MappingStart(..) => self.map(depth)?,
            Event::Alias(_) => return Err(refusal(at, "a value", "an alias; write the value out")),
            _ => return Err(refusal(at, "a value", "the end of the document")),
        };
        Ok(Node { at, value })
    }

    fn list(&mut self, depth: usize) -> Result<Value, Problem> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Value::List(items)),
                (event, at) => items.push(self.node(event, at, depth + 1)?),
            }
        }
    }

    fn map(&mut self, depth: usize) -> Result<Value, Problem> {
        let mut entries = Vec::new();
        loop {
            let (key, key_at) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(Value::Map(entries)),
                (Event::Scalar(key, ..), at) => (key.into_owned(), at),
                (_, at) => return Err(refusal(at, "a key of text", "a list, a map or an alias")),
            };
            let (event, at) = self.next()?;
            let node = self.node(event, at, depth + 1)?;
            entries.push(Entry { key, key_at, node });
        }
    }
}

fn scalar(text: String, style: ScalarStyle) -> Value {
    let quoted = style != ScalarStyle::Plain;
    if !quoted && matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL") {
        return Value::Null;
    }
    Value::Scalar { text, quoted }
}

fn place(marker: Marker) -> Place {
    Place { line: marker.line() as u32, column: marker.col() as u32 + 1 }
}

fn refusal(at: Place, expected: &str, found: &str) -> Problem {
    Problem { at, key: String::new(), expected: expected.into(), found: found.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_those_of_the_first_character() {
        let root = parse("a:\n  b: [1, 'two']\n").unwrap();
        let Value::Map(top) = &root.value else { panic!("{root:?}") };
        let Value::Map(inner) = &top[0].node.value else { panic!("{top:?}") };
        assert_eq!(inner[0].key_at, Place { line: 2, column: 3 });
        let Value::List(items) = &inner[0].node.value else { panic!("{inner:?}") };
        assert_eq!(items[1].at, Place { line: 2, column: 10 });
        assert!(matches!(&items[0].value, Value::Scalar { quoted: false, .. }));
        assert!(matches!(&items[1].value, Value::Scalar { quoted: true, .. }));
    }

    #[test]
    fn what_makes_a_file_larger_than_its_text_is_refused() {
        let laughs = "a: &a [x, x]\nb: [*a, *a]\n";
        assert_eq!(parse(laughs).unwrap_err().at.line, 1);
        assert!(parse("a: &a\n  b: 1\n").unwrap_err().expected.contains("anchor"));
        assert!(parse("a: &a 1\n").unwrap_err().expected.contains("anchor"));
        let deep = "[".repeat(100) + &"]".repeat(100);
        assert!(parse(&deep).unwrap_err().expected.contains("levels"));
        assert!(parse("--- 1\n--- 2\n").unwrap_err().expected.contains("one document"));
    }
}
