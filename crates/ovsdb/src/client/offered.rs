//! Which tables and columns a server's schema has.

use std::sync::Arc;

use kiln_types::{HashMap, HashSet};

use crate::json::{DecodeError, Decoder, TextCache};

/// The names in a server's schema of one database. Columns that Kiln knows and the server does not are left out of what it
/// is asked for and told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfferedSchema {
    /// The schema's version; empty if it has none.
    pub version: String,
    tables: HashMap<Box<str>, Arc<OfferedTable>>,
}

/// The names of one table's columns.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfferedTable(HashSet<Box<str>>);

impl OfferedTable {
    /// Whether the server has the column. Every table has `_uuid`, and `_version`.
    pub fn has_column(&self, column: &str) -> bool {
        self.0.contains(column) || matches!(column, "_uuid" | "_version")
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
                let columns = columns.iter().map(|&c| c.into()).collect();
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
}

fn parse_columns(json: &mut Decoder<'_>) -> Result<OfferedTable, DecodeError> {
    let mut columns = HashSet::default();
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
            columns.insert(column.into());
            json.skip_value()?;
        }
    }
    Ok(OfferedTable(columns))
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
    fn garbage_is_refused() {
        for text in ["", "{", "[]", r#"{"tables":{"T":[]}}"#, r#"{"tables":{"T":{"columns":3}}}"#, "{} x"] {
            assert!(OfferedSchema::parse(text).is_err(), "{text}");
        }
    }
}
