//! Which tables and columns a server's schema has, and what its columns may hold.

use std::sync::Arc;

use kiln_types::HashMap;

use crate::json::{DecodeError, Decoder, TextCache};

/// The names in a server's schema of one database. Columns that Kiln knows and the server does not are left out of what it
/// is asked for and told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfferedSchema {
    /// The schema's version; empty if it has none.
    pub version: String,
    tables: HashMap<Box<str>, Arc<OfferedTable>>,
}

/// The names of one table's columns, each with what it may hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfferedTable(HashMap<Box<str>, OfferedColumn>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct OfferedColumn {
    allowed: Allowed,
    /// The most elements.
    most: usize,
}

/// What a column may hold, as far as it has changed between releases.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Allowed {
    Anything,
    /// These words alone (`enum`).
    Words(Box<[Box<str>]>),
    /// Numbers from the first to the last.
    Range(i64, i64),
}

impl OfferedTable {
    /// Whether the server has the column. Every table has `_uuid`, and `_version`.
    pub fn has_column(&self, column: &str) -> bool {
        self.0.contains_key(column) || matches!(column, "_uuid" | "_version")
    }

    /// Whether the column may hold some values of its type only; `None` if the server does not have it.
    pub fn is_limited(&self, column: &str) -> Option<bool> {
        self.0.get(column).map(|column| column.allowed != Allowed::Anything)
    }

    /// What about a value the column may not hold, if there is something. `value` is the value's text (RFC 7047 section
    /// 5.1).
    pub fn refused(&self, column: &str, value: &str) -> Option<Box<str>> {
        match &self.0.get(column)?.allowed {
            Allowed::Anything => None,
            // Nearly every value is one of them, spelled as it is: nothing is made for those.
            Allowed::Words(allowed) if allowed.iter().any(|word| is_word(value, word)) => None,
            Allowed::Words(allowed) => {
                let words = words(value).unwrap_or_default();
                let word = words.into_iter().find(|word| !allowed.contains(word))?;
                Some(format!("`{word}`").into())
            }
            Allowed::Range(least, most) => match value.parse::<i64>().ok()? {
                number if number > *most => Some(format!("number above {most}").into()),
                number if number < *least => Some(format!("number below {least}").into()),
                _ => None,
            },
        }
    }
}

impl OfferedSchema {
    /// Reads a `<database-schema>` (RFC 7047 section 3.2).
    pub fn parse(text: &str) -> Result<Self, DecodeError> {
        let mut texts = TextCache::empty();
        let mut json = Decoder::new(text, &mut texts);
        let mut schema = OfferedSchema::default();
        json.begin_object()?;
        let mut first = true;
        while let Some(member) = json.next_member(&mut first)? {
            match member {
                "version" => schema.version = json.string()?.into_owned(),
                "tables" => {
                    json.begin_object()?;
                    let mut first = true;
                    while let Some(table) = json.next_member(&mut first)? {
                        schema.tables.insert(table.into(), Arc::new(parse_columns(&mut json)?));
                    }
                }
                _ => json.skip_value()?,
            }
        }
        json.end()?;
        Ok(schema)
    }

    /// A schema of these tables and columns.
    pub fn from_names<'a>(tables: impl IntoIterator<Item = (&'a str, &'a [&'a str])>) -> Self {
        let tables = tables
            .into_iter()
            .map(|(t, columns)| {
                let column = OfferedColumn { allowed: Allowed::Anything, most: usize::MAX };
                let columns = columns.iter().map(|&c| (c.into(), column.clone())).collect();
                (t.into(), Arc::new(OfferedTable(columns)))
            })
            .collect();
        OfferedSchema { version: String::new(), tables }
    }

    /// The table, if the server has it.
    pub fn table(&self, table: &str) -> Option<&Arc<OfferedTable>> {
        self.tables.get(table)
    }

    /// Whether the server has the table.
    pub fn has_table(&self, table: &str) -> bool {
        self.tables.contains_key(table)
    }

    /// Whether the server has the column, as [`OfferedTable::has_column`].
    pub fn has_column(&self, table: &str, column: &str) -> bool {
        self.table(table).is_some_and(|table| table.has_column(column))
    }

    /// How many elements the column may have; `None` if the server does not have it.
    pub fn max_elements(&self, table: &str, column: &str) -> Option<usize> {
        self.table(table)?.0.get(column).map(|column| column.most)
    }
}

fn parse_columns(json: &mut Decoder<'_>) -> Result<OfferedTable, DecodeError> {
    let mut columns = HashMap::default();
    json.begin_object()?;
    let mut first = true;
    while let Some(member) = json.next_member(&mut first)? {
        if member != "columns" {
            json.skip_value()?;
            continue;
        }
        json.begin_object()?;
        let mut first = true;
        while let Some(column) = json.next_member(&mut first)? {
            columns.insert(column.into(), parse_column(json)?);
        }
    }
    Ok(OfferedTable(columns))
}

fn parse_column(json: &mut Decoder<'_>) -> Result<OfferedColumn, DecodeError> {
    let mut column = OfferedColumn { allowed: Allowed::Anything, most: 1 };
    within(json, &["type"], &mut |json, member| {
        match member {
            "key" => column.allowed = parse_key(json)?,
            "max" if json.peek() == Some(b'"') => {
                column.most = usize::MAX;
                json.skip_value()?;
            }
            "max" => column.most = usize::try_from(json.integer()?).unwrap_or_default(),
            _ => json.skip_value()?,
        }
        Ok(())
    })?;
    Ok(column)
}

/// What the keys of a column may be; nothing is known of values in maps.
fn parse_key(json: &mut Decoder<'_>) -> Result<Allowed, DecodeError> {
    let (mut words_allowed, mut least, mut most) = (Vec::new(), i64::MIN, i64::MAX);
    within(json, &[], &mut |json, member| {
        match member {
            "enum" => words_allowed = words(json.raw_value()?).unwrap_or_default(),
            "minInteger" => least = json.integer()?,
            "maxInteger" => most = json.integer()?,
            _ => json.skip_value()?,
        }
        Ok(())
    })?;
    Ok(match (words_allowed.is_empty(), least, most) {
        (false, ..) => Allowed::Words(words_allowed.into()),
        (true, i64::MIN, i64::MAX) => Allowed::Anything,
        (true, least, most) => Allowed::Range(least, most),
    })
}

/// Hands over the members of the object at the end of a path of members; none where the path ends early.
fn within<'a>(
    json: &mut Decoder<'a>,
    path: &[&str],
    take: &mut dyn FnMut(&mut Decoder<'a>, &str) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    if json.peek() != Some(b'{') {
        return json.skip_value();
    }
    json.begin_object()?;
    let mut first = true;
    while let Some(member) = json.next_member(&mut first)? {
        match path.split_first() {
            None => take(json, member)?,
            Some((next, rest)) if member == *next => within(json, rest, take)?,
            Some(_) => json.skip_value()?,
        }
    }
    Ok(())
}

/// Whether a value is this word, without escapes.
fn is_word(value: &str, word: &str) -> bool {
    value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) == Some(word)
}

/// The strings of a value that is one or a set of them.
fn words(value: &str) -> Option<Vec<Box<str>>> {
    let mut texts = TextCache::empty();
    let mut json = Decoder::new(value, &mut texts);
    if json.peek() == Some(b'"') {
        return Some(vec![json.string().ok()?.into()]);
    }
    json.begin_array().ok()?;
    let mut first = true;
    if !json.next_element(&mut first).ok()?
        || json.string().ok()? != "set"
        || !json.next_element(&mut first).ok()?
    {
        return None;
    }
    json.begin_array().ok()?;
    let (mut first, mut words) = (true, Vec::new());
    while json.next_element(&mut first).ok()? {
        words.push(json.string().ok()?.into());
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found() {
        let text = r#"{"name":"D","version":"1.2.3","cksum":"1 2","tables":{
            "T":{"isRoot":true,"columns":{"a":{"type":"string"},"b":{"type":{"key":"integer"}}},"maxRows":1},
            "Empty":{"columns":{}}}}"#;
        let schema = OfferedSchema::parse(text).unwrap();
        assert_eq!(schema.version, "1.2.3");
        assert!(
            schema.has_column("T", "a") && schema.has_column("T", "b") && schema.has_column("T", "_uuid")
        );
        assert!(!schema.has_column("T", "c") && !schema.has_column("U", "_uuid"));
        assert!(schema.has_table("Empty") && !schema.has_table("a"));
    }

    #[test]
    fn how_many_elements_a_column_may_have_is_found() {
        let text = r#"{"tables":{"T":{"columns":{
            "one":{"type":"string"},
            "key":{"type":{"key":{"type":"string","enum":"a"}}},
            "four":{"type":{"key":"string","min":0,"max":4}},
            "any":{"type":{"key":"string","min":0,"max":"unlimited"}}}}}}"#;
        let schema = OfferedSchema::parse(text).unwrap();
        let most = ["one", "key", "four", "any", "none"].map(|column| schema.max_elements("T", column));
        assert_eq!(most, [Some(1), Some(1), Some(4), Some(usize::MAX), None]);
    }

    #[test]
    fn what_a_column_may_not_hold_is_found() {
        let text = r#"{"tables":{"T":{"columns":{
            "free":{"type":"string"},
            "one":{"type":{"key":{"type":"string","enum":"a"}}},
            "some":{"ephemeral":true,"type":{"min":0,"max":2,"key":{"enum":["set",["a","b"]],"type":"string"}}},
            "number":{"type":{"key":{"type":"integer","enum":["set",[1,2]]}}},
            "range":{"type":{"key":{"type":"integer","minInteger":0,"maxInteger":32}}}}}}}"#;
        let schema = OfferedSchema::parse(text).unwrap();
        let refused = |column, value| schema.table("T").unwrap().refused(column, value);
        for (column, value, expected) in [
            ("free", r#""x""#, None),
            ("one", r#""a""#, None),
            ("one", r#""b""#, Some("`b`")),
            ("some", r#"["set",[]]"#, None),
            ("some", r#"["set",["b","a"]]"#, None),
            ("some", r#"["set",["a","c"]]"#, Some("`c`")),
            ("number", "3", None),
            ("range", "32", None),
            ("range", "33", Some("number above 32")),
            ("range", "-1", Some("number below 0")),
            ("unknown", r#""x""#, None),
        ] {
            assert_eq!(refused(column, value).as_deref(), expected, "{column} {value}");
        }
    }

    #[test]
    fn garbage_is_refused() {
        for text in ["", "{", "[]", r#"{"tables":{"T":[]}}"#, r#"{"tables":{"T":{"columns":3}}}"#, "{} x"] {
            assert!(OfferedSchema::parse(text).is_err(), "{text}");
        }
    }
}
