//! A schema as it is declared in Rust, and the `.ovsschema` file that it prints (RFC 7047 section 3.2).

use serde_json::{Map, Value, json};

/// A whole database.
#[derive(Clone, Copy, Debug)]
pub struct DatabaseDecl {
    /// Its name.
    pub name: &'static str,
    /// Its version, three numbers.
    pub version: &'static str,
    /// What cksum(1) makes of the file that this version was published in, less the line with this: tools tell
    /// schemas apart by it (ovsdb-tool(1), `schema-cksum` and `needs-conversion`). Empty where there is none.
    pub cksum: &'static str,
    /// Its tables.
    pub tables: &'static [TableDecl],
}

/// One table.
#[derive(Clone, Copy, Debug)]
pub struct TableDecl {
    /// Its name and what holds for its rows.
    pub attributes: TableAttributes,
    /// Its columns.
    pub columns: &'static [ColumnDecl],
}

/// What holds for the rows of a table.
#[derive(Clone, Copy, Debug)]
pub struct TableAttributes {
    /// The table's name.
    pub name: &'static str,
    /// Whether its rows live without being referenced.
    pub is_root: bool,
    /// Sets of columns that no two rows have in common.
    pub indexes: [Option<&'static [&'static str]>; 2],
    /// The highest number of rows.
    pub max_rows: Option<u32>,
}

/// A table without indexes whose rows live as long as something refers to them.
pub const fn table(name: &'static str) -> TableAttributes {
    TableAttributes { name, is_root: false, indexes: [None; 2], max_rows: None }
}

impl TableAttributes {
    /// Its rows live without being referenced.
    pub const fn root(mut self) -> Self {
        self.is_root = true;
        self
    }

    /// No two rows have these columns in common.
    pub const fn index(mut self, columns: &'static [&'static str]) -> Self {
        let at = if self.indexes[0].is_none() { 0 } else { 1 };
        assert!(self.indexes[at].is_none(), "room for two indexes");
        self.indexes[at] = Some(columns);
        self
    }

    /// It has at most so many rows.
    pub const fn max_rows(mut self, rows: u32) -> Self {
        self.max_rows = Some(rows);
        self
    }
}

/// One column.
#[derive(Clone, Copy, Debug)]
pub struct ColumnDecl {
    /// Its name.
    pub name: &'static str,
    /// What it holds.
    pub shape: Shape,
}

/// The type of a column: how many values or pairs, of what.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    key: Base,
    value: Option<Base>,
    min: u32,
    /// `None`: without limit.
    max: Option<u32>,
    ephemeral: bool,
    immutable: bool,
}

/// The type of one atom.
#[derive(Clone, Copy, Debug)]
pub struct Base {
    kind: &'static str,
    one_of: &'static [&'static str],
    min: Option<i64>,
    max: Option<i64>,
    max_length: Option<u32>,
    reference: Option<(&'static str, bool)>,
}

const fn base(kind: &'static str) -> Base {
    Base { kind, one_of: &[], min: None, max: None, max_length: None, reference: None }
}

/// Any string.
pub const fn string() -> Base {
    base("string")
}

/// A 64-bit integer.
pub const fn integer() -> Base {
    base("integer")
}

/// `true` or `false`.
pub const fn boolean() -> Base {
    base("boolean")
}

/// A uuid that refers to nothing the server checks.
pub const fn uuid() -> Base {
    base("uuid")
}

/// A reference that keeps the row of `table` alive.
pub const fn strong(table: &'static str) -> Base {
    let mut base = base("uuid");
    base.reference = Some((table, true));
    base
}

/// A reference that vanishes with the row of `table`.
pub const fn weak(table: &'static str) -> Base {
    let mut base = base("uuid");
    base.reference = Some((table, false));
    base
}

impl Base {
    /// Only these strings.
    pub const fn one_of(mut self, strings: &'static [&'static str]) -> Self {
        self.one_of = strings;
        self
    }

    /// Only integers from `min` to `max`.
    pub const fn within(self, min: i64, max: i64) -> Self {
        self.at_least(min).at_most(max)
    }

    /// Only integers from `min` on.
    pub const fn at_least(mut self, min: i64) -> Self {
        self.min = Some(min);
        self
    }

    /// Only integers up to `max`.
    pub const fn at_most(mut self, max: i64) -> Self {
        self.max = Some(max);
        self
    }

    /// Only strings of at most `characters`.
    pub const fn max_length(mut self, characters: u32) -> Self {
        self.max_length = Some(characters);
        self
    }

    fn json(&self) -> Value {
        let mut object = Map::new();
        object.insert("type".into(), self.kind.into());
        match self.one_of {
            [] => {}
            [only] => drop(object.insert("enum".into(), (*only).into())),
            many => drop(object.insert("enum".into(), json!(["set", many]))),
        }
        let bounds = [
            ("minInteger", self.min),
            ("maxInteger", self.max),
            ("maxLength", self.max_length.map(i64::from)),
        ];
        for (name, bound) in bounds {
            if let Some(bound) = bound {
                object.insert(name.into(), bound.into());
            }
        }
        if let Some((table, strong)) = self.reference {
            object.insert("refTable".into(), table.into());
            object.insert("refType".into(), if strong { "strong" } else { "weak" }.into());
        }
        if object.len() == 1 { self.kind.into() } else { object.into() }
    }
}

/// Exactly one value.
pub const fn one(key: Base) -> Shape {
    Shape { key, value: None, min: 1, max: Some(1), ephemeral: false, immutable: false }
}

/// One value or none.
pub const fn opt(key: Base) -> Shape {
    Shape { key, value: None, min: 0, max: Some(1), ephemeral: false, immutable: false }
}

/// Any number of values.
pub const fn set(key: Base) -> Shape {
    Shape { key, value: None, min: 0, max: None, ephemeral: false, immutable: false }
}

/// Any number of pairs.
pub const fn map(key: Base, value: Base) -> Shape {
    Shape { key, value: Some(value), min: 0, max: None, ephemeral: false, immutable: false }
}

impl Shape {
    /// From `min` to `max` values or pairs.
    pub const fn count(mut self, min: u32, max: Option<u32>) -> Self {
        (self.min, self.max) = (min, max);
        self
    }

    /// Not kept across a restart of the server.
    pub const fn ephemeral(mut self) -> Self {
        self.ephemeral = true;
        self
    }

    /// Set when a row is inserted, and never changed.
    pub const fn immutable(mut self) -> Self {
        self.immutable = true;
        self
    }

    fn json(&self) -> Value {
        let mut kind = Map::new();
        kind.insert("key".into(), self.key.json());
        if let Some(value) = &self.value {
            kind.insert("value".into(), value.json());
        }
        if self.min != 1 {
            kind.insert("min".into(), self.min.into());
        }
        match self.max {
            Some(1) => {}
            Some(max) => drop(kind.insert("max".into(), max.into())),
            None => drop(kind.insert("max".into(), "unlimited".into())),
        }
        let plain = kind.len() == 1 && kind["key"].is_string();
        let kind = if plain { kind["key"].clone() } else { kind.into() };
        let mut column = Map::new();
        column.insert("type".into(), kind);
        if self.ephemeral {
            column.insert("ephemeral".into(), true.into());
        }
        if self.immutable {
            column.insert("mutable".into(), false.into());
        }
        column.into()
    }
}

impl DatabaseDecl {
    /// The schema file: what `ovsdb-tool create` and Kiln's own server take.
    pub fn to_json(&self) -> Value {
        let tables: Map<String, Value> =
            self.tables.iter().map(|table| (table.attributes.name.to_owned(), table.json())).collect();
        let mut schema = json!({"name": self.name, "version": self.version, "tables": tables});
        if !self.cksum.is_empty() {
            schema["cksum"] = self.cksum.into();
        }
        schema
    }
}

impl TableDecl {
    fn json(&self) -> Value {
        let columns: Map<String, Value> =
            self.columns.iter().map(|column| (column.name.to_owned(), column.shape.json())).collect();
        let mut object = Map::new();
        object.insert("columns".into(), columns.into());
        if self.attributes.is_root {
            object.insert("isRoot".into(), true.into());
        }
        let indexes: Vec<_> = self.attributes.indexes.into_iter().flatten().collect();
        if !indexes.is_empty() {
            object.insert("indexes".into(), json!(indexes));
        }
        if let Some(rows) = self.attributes.max_rows {
            object.insert("maxRows".into(), rows.into());
        }
        object.into()
    }
}

/// The name of a column whose Rust identifier may be raw.
pub const fn column_name(identifier: &'static str) -> &'static str {
    match identifier.as_bytes() {
        [b'r', b'#', ..] => identifier.split_at(2).1,
        _ => identifier,
    }
}
