//! Database schemas (RFC 7047 section 3.2, ovsdb-server(7) section 3.2): declared in Rust or parsed from `.ovsschema`
//! files, checked, and printed again.
//!
//! ```
//! use kiln_ovsdb::schema::{BaseType, ColumnType, DatabaseSchema, TableSchema};
//!
//! let schema = DatabaseSchema::builder("Zoo", "1.0.0")
//!     .table(TableSchema::builder("Animal").column("legs", ColumnType::optional(BaseType::integer())))
//!     .table(
//!         TableSchema::builder("Keeper")
//!             .root()
//!             .column("animals", ColumnType::set(BaseType::strong("Animal")))
//!             .column("name", ColumnType::scalar(BaseType::string()))
//!             .index(["name"]),
//!     )
//!     .build()
//!     .unwrap();
//! assert_eq!(DatabaseSchema::parse(&schema.to_string()).unwrap(), schema);
//! ```

mod parse;
mod print;
mod types;

use std::sync::Arc;

use kiln_types::HashMap;

use crate::column::Text;

pub use parse::{SchemaError, is_id};
pub use types::{AtomType, BaseType, ColumnType, Constraint, RefKind, Reference};

/// `_uuid`: present in every table, at this index in every row.
pub const UUID_COLUMN: usize = 0;
/// `_version`: present in every table, at this index in every row.
pub const VERSION_COLUMN: usize = 1;
/// How many columns every table has before its own.
pub const IMPLICIT_COLUMNS: usize = 2;

/// `<database-schema>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseSchema {
    name: Text,
    version: String,
    cksum: Option<String>,
    tables: Vec<TableSchema>,
    by_name: HashMap<Text, usize>,
}

/// `<table-schema>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableSchema {
    name: Text,
    columns: Vec<ColumnSchema>,
    by_name: HashMap<Text, usize>,
    /// As declared; see [`TableSchema::is_root`].
    declared_root: bool,
    is_root: bool,
    max_rows: u32,
    indexes: Vec<Vec<usize>>,
}

/// `<column-schema>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnSchema {
    name: Text,
    ty: Arc<ColumnType>,
    mutable: bool,
    ephemeral: bool,
}

impl DatabaseSchema {
    /// Starts a declaration. `version` is of the form `x.y.z`.
    pub fn builder(name: &str, version: &str) -> DatabaseBuilder {
        DatabaseBuilder {
            name: Text::from(name),
            version: version.to_owned(),
            cksum: None,
            tables: Vec::new(),
        }
    }

    /// Parses the text of an `.ovsschema` file.
    pub fn parse(text: &str) -> Result<Self, SchemaError> {
        parse::database(text)
    }

    /// The database's name.
    pub fn name(&self) -> &Text {
        &self.name
    }

    /// The schema's version, `x.y.z`; empty if the schema has none.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The check sum that came with the schema.
    pub fn cksum(&self) -> Option<&str> {
        self.cksum.as_deref()
    }

    /// All tables, in the order of declaration.
    pub fn tables(&self) -> &[TableSchema] {
        &self.tables
    }

    /// The index of a table in [`DatabaseSchema::tables`].
    pub fn table_index(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The table of this name.
    pub fn table(&self, name: &str) -> Option<&TableSchema> {
        self.table_index(name).map(|at| &self.tables[at])
    }
}

impl TableSchema {
    /// Starts a declaration.
    pub fn builder(name: &str) -> TableBuilder {
        TableBuilder {
            name: Text::from(name),
            columns: Vec::new(),
            root: false,
            max_rows: u32::MAX,
            indexes: Vec::new(),
        }
    }

    /// The table's name.
    pub fn name(&self) -> &Text {
        &self.name
    }

    /// All columns. The first [`IMPLICIT_COLUMNS`] are `_uuid` and `_version`.
    pub fn columns(&self) -> &[ColumnSchema] {
        &self.columns
    }

    /// The index of a column in [`TableSchema::columns`].
    pub fn column_index(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<&ColumnSchema> {
        self.column_index(name).map(|at| &self.columns[at])
    }

    /// Whether rows live without being referenced. In a schema where no table is declared `isRoot`, all are.
    pub fn is_root(&self) -> bool {
        self.is_root
    }

    /// The largest number of rows; `u32::MAX` means no limit.
    pub fn max_rows(&self) -> u32 {
        self.max_rows
    }

    /// Sets of columns, by index, whose values no two rows share.
    pub fn indexes(&self) -> &[Vec<usize>] {
        &self.indexes
    }
}

impl ColumnSchema {
    /// The column's name.
    pub fn name(&self) -> &Text {
        &self.name
    }

    /// The column's type.
    pub fn ty(&self) -> &ColumnType {
        &self.ty
    }

    /// Whether updates and mutations may change the column. Columns of weak references always may.
    pub fn is_mutable(&self) -> bool {
        self.mutable
    }

    /// Whether the value need not outlive the server.
    pub fn is_ephemeral(&self) -> bool {
        self.ephemeral
    }
}

/// A declaration of a [`DatabaseSchema`].
#[derive(Clone, Debug)]
pub struct DatabaseBuilder {
    name: Text,
    version: String,
    cksum: Option<String>,
    tables: Vec<TableBuilder>,
}

/// A declaration of a [`TableSchema`].
#[derive(Clone, Debug)]
pub struct TableBuilder {
    name: Text,
    columns: Vec<ColumnSchema>,
    root: bool,
    max_rows: u32,
    indexes: Vec<Vec<String>>,
}

impl DatabaseBuilder {
    /// Sets the check sum, which is carried along and never verified.
    pub fn cksum(mut self, cksum: &str) -> Self {
        self.cksum = Some(cksum.to_owned());
        self
    }

    /// Adds a table.
    pub fn table(mut self, table: TableBuilder) -> Self {
        self.tables.push(table);
        self
    }

    /// Checks the whole.
    pub fn build(self) -> Result<DatabaseSchema, SchemaError> {
        let at = |what: &str| SchemaError::new("", what);
        if !is_id(&self.name) {
            return Err(at(&format!("expected <id> as database name, got {:?}", self.name)));
        }
        let dots = self.version.split('.');
        if !self.version.is_empty()
            && (dots.clone().count() != 3
                || !dots.clone().all(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit())))
        {
            return Err(at(&format!("expected version x.y.z, got {:?}", self.version)));
        }
        let all_root = !self.tables.iter().any(|table| table.root);
        let mut by_name = HashMap::default();
        for (index, table) in self.tables.iter().enumerate() {
            if by_name.insert(table.name.clone(), index).is_some() {
                return Err(SchemaError::new(&format!("tables.{}", table.name), "declared twice"));
            }
        }
        let tables = self
            .tables
            .into_iter()
            .map(|table| table.build(all_root, &by_name))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(DatabaseSchema { name: self.name, version: self.version, cksum: self.cksum, tables, by_name })
    }
}

impl TableBuilder {
    /// Rows live without being referenced (`isRoot`).
    pub fn root(mut self) -> Self {
        self.root = true;
        self
    }

    /// Bounds the number of rows (`maxRows`).
    pub fn max_rows(mut self, max_rows: u32) -> Self {
        self.max_rows = max_rows;
        self
    }

    /// Adds a column.
    pub fn column(self, name: &str, ty: ColumnType) -> Self {
        self.column_with(name, ty, true, false)
    }

    /// Adds a column whose value is set at insertion only.
    pub fn immutable(self, name: &str, ty: ColumnType) -> Self {
        self.column_with(name, ty, false, false)
    }

    /// Adds a column that is not kept on disk.
    pub fn ephemeral(self, name: &str, ty: ColumnType) -> Self {
        self.column_with(name, ty, true, true)
    }

    fn column_with(mut self, name: &str, ty: ColumnType, mutable: bool, ephemeral: bool) -> Self {
        let mutable = mutable || ty.reference(RefKind::Weak).is_some();
        self.columns.push(ColumnSchema { name: Text::from(name), ty: Arc::new(ty), mutable, ephemeral });
        self
    }

    /// Adds an index: no two rows have the same values in these columns.
    pub fn index<'a>(mut self, columns: impl IntoIterator<Item = &'a str>) -> Self {
        self.indexes.push(columns.into_iter().map(str::to_owned).collect());
        self
    }

    fn build(self, all_root: bool, tables: &HashMap<Text, usize>) -> Result<TableSchema, SchemaError> {
        let path = format!("tables.{}", self.name);
        if !is_id(&self.name) {
            return Err(SchemaError::new(&path, "expected <id> as table name"));
        }
        if self.max_rows == 0 {
            return Err(SchemaError::new(&path, "expected maxRows of at least 1, got 0"));
        }
        let mut columns = ColumnSchema::implicit();
        let mut by_name: HashMap<Text, usize> =
            columns.iter().enumerate().map(|(at, column)| (column.name.clone(), at)).collect();
        for mut column in self.columns {
            let path = format!("{path}.columns.{}", column.name);
            if !is_id(&column.name) || column.name.starts_with('_') {
                return Err(SchemaError::new(&path, "expected <id> without leading '_' as column name"));
            }
            Arc::make_mut(&mut column.ty).resolve(tables).map_err(|what| SchemaError::new(&path, &what))?;
            if by_name.insert(column.name.clone(), columns.len()).is_some() {
                return Err(SchemaError::new(&path, "declared twice"));
            }
            columns.push(column);
        }
        let indexes = self
            .indexes
            .iter()
            .map(|names| index_columns(names, &columns, &by_name))
            .collect::<Result<_, _>>()
            .map_err(|what| SchemaError::new(&format!("{path}.indexes"), &what))?;
        Ok(TableSchema {
            name: self.name,
            columns,
            by_name,
            declared_root: self.root,
            is_root: self.root || all_root,
            max_rows: self.max_rows,
            indexes,
        })
    }
}

impl ColumnSchema {
    fn implicit() -> Vec<ColumnSchema> {
        let ty = Arc::new(ColumnType::scalar(BaseType::uuid()));
        ["_uuid", "_version"]
            .into_iter()
            .map(|name| ColumnSchema {
                name: Text::from(name),
                ty: Arc::clone(&ty),
                mutable: false,
                ephemeral: name == "_version",
            })
            .collect()
    }
}

fn index_columns(
    names: &[String],
    columns: &[ColumnSchema],
    by_name: &HashMap<Text, usize>,
) -> Result<Vec<usize>, String> {
    let mut index = Vec::with_capacity(names.len());
    for name in names {
        let Some(&at) = by_name.get(name.as_str()) else {
            return Err(format!("no column {name}"));
        };
        if columns[at].ephemeral {
            return Err(format!("column {name} is ephemeral, so it cannot be indexed"));
        }
        if index.contains(&at) {
            return Err(format!("column {name} appears twice in one index"));
        }
        index.push(at);
    }
    if index.is_empty() { Err("expected at least one column in an index".to_owned()) } else { Ok(index) }
}

#[cfg(test)]
mod tests;
