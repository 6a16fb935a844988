//! The rows of one table, found by uuid and by index.

use std::sync::Arc;

use kiln_types::{HashMap, Uuid};
use smallvec::SmallVec;

use super::Error;
use crate::schema::{RefKind, TableSchema, UUID_COLUMN, VERSION_COLUMN};
use crate::value::{Atom, Datum};

/// A row: one value a column, in the schema's order, `_uuid` and `_version` included.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    columns: Box<[Datum]>,
}

impl Row {
    /// A row of defaults; its uuid is nil.
    pub fn default_of(schema: &TableSchema) -> Self {
        Row { columns: schema.columns().iter().map(|column| Datum::default_of(column.ty())).collect() }
    }

    /// `_uuid`.
    pub fn uuid(&self) -> Uuid {
        self.columns[UUID_COLUMN].as_scalar().and_then(Atom::as_uuid).unwrap_or_default()
    }

    /// The value of a column, by its index in the schema.
    pub fn get(&self, column: usize) -> &Datum {
        &self.columns[column]
    }

    /// All values, in the schema's order.
    pub fn columns(&self) -> &[Datum] {
        &self.columns
    }

    /// Replaces the value of a column. It must be of the column's type.
    pub fn set(&mut self, column: usize, value: Datum) {
        self.columns[column] = value;
    }

    pub(super) fn get_mut(&mut self, column: usize) -> &mut Datum {
        &mut self.columns[column]
    }

    pub(super) fn set_uuid(&mut self, uuid: Uuid) {
        self.columns[UUID_COLUMN] = Datum::from(uuid);
    }

    pub(super) fn set_version(&mut self, version: Uuid) {
        self.columns[VERSION_COLUMN] = Datum::from(version);
    }

    /// Whether all columns but `_version` are equal.
    pub(super) fn same_content(&self, other: &Row) -> bool {
        self.columns[UUID_COLUMN] == other.columns[UUID_COLUMN]
            && self.columns[VERSION_COLUMN + 1..] == other.columns[VERSION_COLUMN + 1..]
    }
}

type Key = SmallVec<[Datum; 1]>;

/// Rows by the values of an index's columns. Within a transaction several rows may share a key.
#[derive(Debug)]
struct Index {
    columns: Vec<usize>,
    rows: HashMap<Key, SmallVec<[Uuid; 1]>>,
}

impl Index {
    fn key(&self, row: &Row) -> Key {
        self.columns.iter().map(|&column| row.get(column).clone()).collect()
    }

    fn insert(&mut self, row: &Row) {
        let key = self.key(row);
        self.rows.entry(key).or_default().push(row.uuid());
    }

    fn remove(&mut self, row: &Row) {
        let (key, uuid) = (self.key(row), row.uuid());
        if let Some(rows) = self.rows.get_mut(&key) {
            rows.retain(|other| *other != uuid);
            if rows.is_empty() {
                self.rows.remove(&key);
            }
        }
    }
}

/// A table.
#[derive(Debug)]
pub struct Table {
    rows: HashMap<Uuid, Arc<Row>>,
    indexes: Vec<Index>,
    template: Row,
    /// Columns whose type's default their constraints exclude.
    must_be_given: Vec<usize>,
    pub(super) strong_columns: Vec<usize>,
    pub(super) weak_columns: Vec<usize>,
}

impl Table {
    pub(super) fn new(schema: &TableSchema) -> Self {
        let columns_where =
            |test: &dyn Fn(usize) -> bool| (0..schema.columns().len()).filter(|&at| test(at)).collect();
        let template = Row::default_of(schema);
        let ty = |at: usize| schema.columns()[at].ty();
        Table {
            rows: HashMap::default(),
            indexes: schema
                .indexes()
                .iter()
                .map(|columns| Index { columns: columns.clone(), rows: HashMap::default() })
                .collect(),
            must_be_given: columns_where(&|at| template.get(at).check(ty(at)).is_err()),
            strong_columns: columns_where(&|at| ty(at).reference(RefKind::Strong).is_some()),
            weak_columns: columns_where(&|at| ty(at).reference(RefKind::Weak).is_some()),
            template,
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The row with this uuid.
    pub fn get(&self, uuid: Uuid) -> Option<&Arc<Row>> {
        self.rows.get(&uuid)
    }

    /// All rows, in no order that means anything.
    pub fn rows(&self) -> impl ExactSizeIterator<Item = &Arc<Row>> {
        self.rows.values()
    }

    /// All rows, by uuid.
    pub fn sorted_rows(&self) -> Vec<&Arc<Row>> {
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_unstable_by_key(|(uuid, _)| **uuid);
        rows.into_iter().map(|(_, row)| row).collect()
    }

    /// A row of defaults.
    pub(super) fn template(&self) -> Row {
        self.template.clone()
    }

    /// Checks that no column is left at a default that its constraints exclude.
    pub(super) fn check_defaults(&self, row: &Row, schema: &TableSchema) -> Result<(), Error> {
        for &at in &self.must_be_given {
            let column = &schema.columns()[at];
            row.get(at).check(column.ty()).map_err(|error| Error::from(error).within(column.name()))?;
        }
        Ok(())
    }

    pub(super) fn insert(&mut self, row: Arc<Row>) {
        for index in &mut self.indexes {
            index.insert(&row);
        }
        self.rows.insert(row.uuid(), row);
    }

    pub(super) fn remove(&mut self, uuid: Uuid) -> Option<Arc<Row>> {
        let row = self.rows.remove(&uuid)?;
        for index in &mut self.indexes {
            index.remove(&row);
        }
        Some(row)
    }

    /// Changes the given columns of a row in place, or in a copy if the row is shared.
    pub(super) fn modify<T>(
        &mut self,
        uuid: Uuid,
        columns: impl Fn(usize) -> bool,
        change: impl FnOnce(&mut Row) -> T,
    ) -> Option<T> {
        let row = self.rows.get_mut(&uuid)?;
        let affected = |index: &&mut Index| index.columns.iter().any(|&column| columns(column));
        for index in self.indexes.iter_mut().filter(affected) {
            index.remove(row);
        }
        let result = change(Arc::make_mut(row));
        for index in self.indexes.iter_mut().filter(affected) {
            index.insert(row);
        }
        Some(result)
    }

    /// The rows that share a key with `row` in the index of this number, itself included.
    pub(super) fn sharing(&self, index: usize, row: &Row) -> &[Uuid] {
        let index = &self.indexes[index];
        index.rows.get(&index.key(row)).map_or(&[], |rows| rows)
    }

    /// The rows that have the given values, if some index answers that.
    pub(super) fn with_values<'v>(&self, value: impl Fn(usize) -> Option<&'v Datum>) -> Option<&[Uuid]> {
        self.indexes.iter().find_map(|index| {
            let key = index.columns.iter().map(|&column| value(column).cloned()).collect::<Option<Key>>()?;
            Some(index.rows.get(&key).map_or(&[][..], |rows| rows))
        })
    }
}
