//! A database: its schema, its rows, and who refers to whom.

use std::sync::Arc;
use std::time::Duration;

use kiln_types::Rng;

use super::references::References;
use super::{Commit, Error, Table, Transaction, execute};
use crate::json::TextCache;
use crate::schema::DatabaseSchema;

/// A database in memory.
#[derive(Debug)]
pub struct Database {
    schema: Arc<DatabaseSchema>,
    pub(super) tables: Vec<Table>,
    pub(super) references: References,
    pub(super) rng: Rng,
    pub(super) texts: TextCache,
}

/// How a `transact` request ended.
#[derive(Clone, Debug)]
pub enum Outcome {
    /// It ran to its end, or failed.
    Finished {
        /// The request's result: JSON of an array with an element for each operation, and an error behind them if the
        /// commit failed (RFC 7047 section 4.1.3).
        results: String,
        /// What it changed; nothing if it failed.
        commit: Commit,
    },
    /// A `wait` does not hold yet. Nothing was changed; run it again when something has, or when the time is up.
    Waiting {
        /// How long after its arrival the transaction fails; `None` if never.
        timeout: Option<Duration>,
    },
    /// The request is not of the form of a transaction.
    Malformed(Error),
}

impl Database {
    /// An empty database. New rows without a uuid of their own, and versions of rows, get theirs from `rng`.
    pub fn new(schema: DatabaseSchema, rng: Rng) -> Self {
        Database {
            tables: schema.tables().iter().map(Table::new).collect(),
            schema: Arc::new(schema),
            references: References::default(),
            rng,
            texts: TextCache::default(),
        }
    }

    /// The schema.
    pub fn schema(&self) -> &Arc<DatabaseSchema> {
        &self.schema
    }

    /// A table, by its index in the schema.
    pub fn table(&self, index: usize) -> &Table {
        &self.tables[index]
    }

    pub(super) fn table_mut(&mut self, index: usize) -> &mut Table {
        &mut self.tables[index]
    }

    /// The table of this name.
    pub fn table_of_name(&self, name: &str) -> Option<&Table> {
        self.schema.table_index(name).map(|index| &self.tables[index])
    }

    /// Whether clients may only read it: its name begins with an underscore (ovsdb-server(5), `_Server`).
    pub fn is_reserved(&self) -> bool {
        self.schema.name().starts_with('_')
    }

    /// Starts a transaction.
    pub fn begin(&mut self) -> Transaction<'_> {
        Transaction::new(self)
    }

    /// Runs the parameters of a `transact` request, `[<db-name>, <operation>*]`, whose name was resolved to this database.
    ///
    /// `waited` is the time since the request arrived; `owns_lock` says of a lock's name whether the client holds it.
    pub fn transact(&mut self, params: &str, waited: Duration, owns_lock: &dyn Fn(&str) -> bool) -> Outcome {
        execute::run(self, params, waited, owns_lock)
    }
}
