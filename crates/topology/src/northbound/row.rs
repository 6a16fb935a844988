//! Values of columns, rows, and what is there now.

use super::Table;
use kiln_types::Uuid;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// A scalar of OVSDB (RFC 7047, section 5.1), of the types that the tables here have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Atom {
    /// `string`.
    Text(String),
    /// `integer`.
    Number(i64),
    /// `boolean`.
    Flag(bool),
    /// `uuid`: a row that is there.
    Row(Uuid),
    /// A row that the same transaction inserts, by the number of its [`Op::Insert`](super::Op::Insert).
    New(usize),
}

/// The value of a column. A scalar column has a set of one; an optional one a set of none or one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Datum {
    /// A set, or a scalar.
    Set(BTreeSet<Atom>),
    /// A map of strings to strings.
    Map(BTreeMap<String, String>),
}

impl Datum {
    /// A string.
    pub fn text(text: impl Into<String>) -> Datum {
        Datum::Set(BTreeSet::from([Atom::Text(text.into())]))
    }

    /// A set of strings.
    pub fn texts<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Datum {
        Datum::Set(texts.into_iter().map(|text| Atom::Text(text.into())).collect())
    }

    /// None, or one.
    pub fn optional(atom: Option<Atom>) -> Datum {
        Datum::Set(atom.into_iter().collect())
    }

    /// A set of rows that are there.
    pub fn rows(rows: impl IntoIterator<Item = Uuid>) -> Datum {
        Datum::Set(rows.into_iter().map(Atom::Row).collect())
    }

    /// The string that a scalar or optional column holds.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Datum::Set(set) if set.len() == 1 => match set.first() {
                Some(Atom::Text(text)) => Some(text),
                _ => None,
            },
            _ => None,
        }
    }

    /// The map that a map column holds.
    pub fn as_map(&self) -> Option<&BTreeMap<String, String>> {
        match self {
            Datum::Map(map) => Some(map),
            // An empty map and an empty set look the same where no schema tells them apart.
            Datum::Set(_) => None,
        }
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        match self {
            Datum::Set(set) => set.is_empty(),
            Datum::Map(map) => map.is_empty(),
        }
    }

    /// Whether both hold the same; two empty ones do, of whatever shape.
    pub(super) fn holds_same(&self, other: &Datum) -> bool {
        self == other || (self.is_empty() && other.is_empty())
    }

    pub(super) fn row_ids(&self) -> impl Iterator<Item = Uuid> {
        let set = match self {
            Datum::Set(set) => Some(set),
            Datum::Map(_) => None,
        };
        set.into_iter()
            .flatten()
            .filter_map(|atom| if let Atom::Row(uuid) = atom { Some(*uuid) } else { None })
    }
}

impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Atom::Text(text) if text.is_empty() => f.write_str("\"\""),
            Atom::Text(text) => f.write_str(text),
            Atom::Number(number) => write!(f, "{number}"),
            Atom::Flag(flag) => write!(f, "{flag}"),
            Atom::Row(uuid) => write!(f, "{uuid}"),
            Atom::New(number) => write!(f, "new row {number}"),
        }
    }
}

impl fmt::Display for Datum {
    /// As a person reads it: items separated by commas, `none` for nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        let mut separator = "";
        match self {
            Datum::Set(set) => {
                for atom in set {
                    write!(f, "{separator}{atom}")?;
                    separator = ", ";
                }
            }
            Datum::Map(map) => {
                for (key, value) in map {
                    write!(f, "{separator}{key}={value}")?;
                    separator = ", ";
                }
            }
        }
        Ok(())
    }
}

/// A row as the database has it. Columns that are not there count as empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Row {
    /// Column by name.
    pub columns: BTreeMap<String, Datum>,
}

impl Row {
    pub(super) fn text(&self, column: &str) -> &str {
        self.columns.get(column).and_then(Datum::as_text).unwrap_or_default()
    }

    pub(super) fn entry(&self, column: &str, key: &str) -> Option<&str> {
        self.columns.get(column)?.as_map()?.get(key).map(String::as_str)
    }
}

/// The rows of the northbound tables that a network file speaks of, as they are now.
///
/// It is a [`Replica`](kiln_ovsdb::Replica): a session that has [`Northbound::monitors`] to monitor keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Northbound {
    pub(super) tables: BTreeMap<Table, BTreeMap<Uuid, Row>>,
    /// While everything is fetched anew: rows that have not come again yet.
    pub(super) stale: BTreeSet<(Table, Uuid)>,
}

impl Northbound {
    /// Takes a row in, or a later state of one.
    pub fn insert(&mut self, table: Table, uuid: Uuid, row: Row) {
        self.stale.remove(&(table, uuid));
        self.tables.entry(table).or_default().insert(uuid, row);
    }

    /// The rows of a table.
    pub fn rows(&self, table: Table) -> impl Iterator<Item = (Uuid, &Row)> {
        self.tables.get(&table).into_iter().flatten().map(|(uuid, row)| (*uuid, row))
    }

    pub(super) fn row(&self, table: Table, uuid: Uuid) -> Option<&Row> {
        self.tables.get(&table)?.get(&uuid)
    }
}
