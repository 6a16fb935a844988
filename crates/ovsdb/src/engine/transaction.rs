//! Changes that happen together or not at all.

use std::collections::BTreeMap;
use std::sync::Arc;

use kiln_types::Uuid;

use super::references::RowId;
use super::{Condition, Database, Error, ErrorKind, Mutation, Row, random_uuid};
use crate::value::Datum;

/// A transaction in the making. Rows change at once, so that later operations see earlier ones; dropping it without
/// [`Transaction::commit`] undoes all of it.
///
/// Tables are named by their index in the schema.
#[derive(Debug)]
pub struct Transaction<'d> {
    pub(super) db: &'d mut Database,
    /// The rows that were written to, as they were before; `None` for rows that were not there.
    pub(super) before: BTreeMap<RowId, Option<Arc<Row>>>,
    /// What its `comment` operations said.
    pub(super) comments: Vec<String>,
}

impl<'d> Transaction<'d> {
    pub(super) fn new(db: &'d mut Database) -> Self {
        Transaction { db, before: BTreeMap::new(), comments: Vec::new() }
    }

    /// The database as this transaction has it.
    pub fn database(&self) -> &Database {
        self.db
    }

    /// Notes why the transaction is made; it goes into the log.
    pub fn comment(&mut self, comment: impl Into<String>) {
        self.comments.push(comment.into());
    }

    /// A row of defaults, to fill in and insert.
    pub fn new_row(&self, table: usize) -> Row {
        self.db.table(table).template()
    }

    /// Adds a row. Fails if the table has, or before this transaction had, a row with this uuid, or if a column was left at
    /// a default that its constraints exclude. Values must otherwise be of their columns' types.
    pub fn insert(&mut self, table: usize, uuid: Uuid, mut row: Row) -> Result<(), Error> {
        self.check_unused(table, uuid)?;
        self.db.table(table).check_defaults(&row, &self.db.schema().tables()[table])?;
        row.set_uuid(uuid);
        row.set_version(random_uuid(&mut self.db.rng));
        self.before.entry(RowId { table, uuid }).or_insert(None);
        self.db.table_mut(table).insert(Arc::new(row));
        Ok(())
    }

    /// Fails if a row with this uuid cannot be inserted.
    pub(super) fn check_unused(&self, table: usize, uuid: Uuid) -> Result<(), Error> {
        let deleted = matches!(self.before.get(&RowId { table, uuid }), Some(Some(_)));
        if !deleted && self.db.table(table).get(uuid).is_none() {
            return Ok(());
        }
        let table = self.db.schema().tables()[table].name();
        let details = format!("table {table} has a row {uuid}, or had it before this transaction deleted it");
        Err(Error::new(ErrorKind::DuplicateUuid, details))
    }

    /// Removes a row, if it is there.
    pub fn delete(&mut self, table: usize, uuid: Uuid) -> Option<Arc<Row>> {
        let row = self.db.table_mut(table).remove(uuid)?;
        self.before.entry(RowId { table, uuid }).or_insert_with(|| Some(Arc::clone(&row)));
        Some(row)
    }

    /// Replaces columns of a row. Values must be of their columns' types.
    pub fn update(&mut self, table: usize, uuid: Uuid, values: &[(usize, Datum)]) {
        let differs = |row: &Arc<Row>| values.iter().any(|(column, value)| row.get(*column) != value);
        if self.db.table(table).get(uuid).is_some_and(differs) {
            let columns = |column| values.iter().any(|value| value.0 == column);
            self.modify(table, uuid, columns, |row| {
                for (column, value) in values {
                    row.set(*column, value.clone());
                }
            });
        }
    }

    /// Applies mutations to a row, in order.
    pub fn mutate(&mut self, table: usize, uuid: Uuid, mutations: &[Mutation]) -> Result<(), Error> {
        let schema = Arc::clone(self.db.schema());
        let columns = |column| mutations.iter().any(|mutation| mutation.column == column);
        let result = self.modify(table, uuid, columns, |row| {
            mutations.iter().try_for_each(|mutation| {
                let column = &schema.tables()[table].columns()[mutation.column];
                mutation
                    .apply(row.get_mut(mutation.column), column.ty())
                    .map_err(|error| error.within(column.name()))
            })
        });
        result.unwrap_or(Ok(()))
    }

    /// The uuids of the rows for which a condition holds, ascending.
    pub fn select(&self, table: usize, condition: &Condition) -> Vec<Uuid> {
        condition.select(self.db.table(table)).into_iter().map(|row| row.uuid()).collect()
    }

    pub(super) fn modify<T>(
        &mut self,
        table: usize,
        uuid: Uuid,
        columns: impl Fn(usize) -> bool,
        change: impl FnOnce(&mut Row) -> T,
    ) -> Option<T> {
        let table_mut = &mut self.db.tables[table];
        let row = table_mut.get(uuid)?;
        // holding on to the row as it was makes the table copy it
        self.before.entry(RowId { table, uuid }).or_insert_with(|| Some(Arc::clone(row)));
        table_mut.modify(uuid, columns, change)
    }

    /// Puts everything back.
    pub(super) fn undo(&mut self) {
        for (id, row) in std::mem::take(&mut self.before) {
            let table = self.db.table_mut(id.table);
            table.remove(id.uuid);
            if let Some(row) = row {
                table.insert(row);
            }
        }
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        self.undo();
    }
}
