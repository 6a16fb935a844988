//! `_Server`: the database that lists the others (ovsdb-server(5)).

use kiln_types::{Instant, Rng};

use super::Server;
use crate::engine::{Clause, Condition, Database, Function};
use crate::schema::{BaseType, ColumnType, DatabaseSchema, TableSchema};
use crate::value::Datum;

pub(super) const NAME: &str = "_Server";
const TABLE: usize = 0;

fn schema() -> DatabaseSchema {
    let model = BaseType::string_enum(["clustered", "relay", "standalone"]);
    DatabaseSchema::builder(NAME, "1.2.0")
        .table(
            TableSchema::builder("Database")
                .column("name", ColumnType::scalar(BaseType::string()))
                .column("model", ColumnType::scalar(model))
                .column("connected", ColumnType::scalar(BaseType::boolean()))
                .column("leader", ColumnType::scalar(BaseType::boolean()))
                .column("schema", ColumnType::optional(BaseType::string()))
                .column("cid", ColumnType::optional(BaseType::uuid()))
                .column("sid", ColumnType::optional(BaseType::uuid()))
                .column("index", ColumnType::optional(BaseType::integer())),
        )
        .build()
        .unwrap_or_else(|error| unreachable!("{error}"))
}

impl Server {
    pub(super) fn add_server_database(&mut self) {
        let database = Database::new(schema(), self.rng.fork());
        let copy = Database::new(schema(), Rng::with_seed(0));
        self.databases.insert(database.schema().name().clone(), database);
        self.announce(Instant::ZERO, &copy);
    }

    /// Adds the row of a database: stand-alone, and so always connected and its own leader.
    pub(super) fn announce(&mut self, now: Instant, database: &Database) {
        let uuid = crate::engine::random_uuid(&mut self.rng);
        let schema = database.schema();
        let inserted = self.transact(now, NAME, |txn| {
            let columns = txn.database().schema().tables()[TABLE].clone();
            let mut row = txn.new_row(TABLE);
            for (name, value) in [
                ("name", Datum::from(&**schema.name())),
                ("model", Datum::from("standalone")),
                ("connected", Datum::from(true)),
                ("leader", Datum::from(true)),
                ("schema", Datum::from(&*schema.to_string())),
            ] {
                if let Some(column) = columns.column_index(name) {
                    row.set(column, value);
                }
            }
            txn.insert(TABLE, uuid, row)
        });
        debug_assert!(matches!(inserted, Some(Ok(()))));
    }

    /// Removes the row of a database.
    pub(super) fn withdraw(&mut self, now: Instant, name: &str) {
        let deleted = self.transact(now, NAME, |txn| {
            let column = txn.database().schema().tables()[TABLE].column_index("name");
            let argument = Datum::from(name);
            let named = column.map(|column| Clause::Test { column, function: Function::Equal, argument });
            let condition = Condition { clauses: named.into_iter().collect() };
            for uuid in txn.select(TABLE, &condition) {
                txn.delete(TABLE, uuid);
            }
            Ok(())
        });
        debug_assert!(matches!(deleted, Some(Ok(()))));
    }
}
