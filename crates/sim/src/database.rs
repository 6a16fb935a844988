//! Databases: the in-memory engine behind its own server sessions, slow, stalled or cut off as a fault wants it.

use kiln_ovsdb::engine::{self, Row};
use kiln_ovsdb::schema::DatabaseSchema;
use kiln_ovsdb::server::{Limits, Server, SessionId};
use kiln_ovsdb::value::{Atom, Datum};
use kiln_types::{Instant, Rng, Uuid};
use std::time::Duration;

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Which {
    /// OVN_Northbound.
    Northbound,
    /// OVN_Southbound.
    Southbound,
    /// Open_vSwitch, of the chassis of this number.
    Local(usize),
}

/// A database and its server.
pub(crate) struct Database {
    name: &'static str,
    server: Server,
    /// The session through which the world itself edits.
    editor: SessionId,
    /// How much longer than usual everything takes.
    pub(crate) slowed_by: Duration,
    /// Until when nothing goes in or out.
    pub(crate) stalled_until: Instant,
    /// Whether nobody can connect.
    pub(crate) is_cut: bool,
}

impl Database {
    /// An empty database with this schema.
    pub(crate) fn new(name: &'static str, schema: &str, rng: &mut Rng) -> Database {
        let mut server = Server::new(Rng::with_seed(rng.u64(..)), Limits::default());
        let schema = DatabaseSchema::parse(schema).expect("the declared schemas are well formed");
        let database = engine::Database::new(schema, Rng::with_seed(rng.u64(..)));
        assert!(server.add_database(Instant::ZERO, database).is_ok(), "there is no other");
        let editor = server.connect();
        Database {
            name,
            server,
            editor,
            slowed_by: Duration::ZERO,
            stalled_until: Instant::ZERO,
            is_cut: false,
        }
    }

    pub(crate) fn server(&mut self) -> &mut Server {
        &mut self.server
    }

    /// When something that arrives at `at` by itself is through.
    pub(crate) fn passes(&self, at: Instant) -> Instant {
        (at + self.slowed_by).max(self.stalled_until)
    }

    /// Sessions of daemons that have something to say, and what; `None` if the session is over.
    pub(crate) fn transmit(&mut self) -> Vec<(SessionId, Option<Vec<u8>>)> {
        let mut out = Vec::new();
        while let Some(session) = self.server.poll_ready() {
            if session == self.editor {
                continue;
            }
            while let Some(bytes) = self.server.poll_transmit(session) {
                out.push((session, Some(bytes)));
            }
            if self.server.close_reason(session).is_some() {
                self.server.disconnect(session);
                out.push((session, None));
            }
        }
        out
    }

    /// Runs a transaction of the world's own: the JSON text of its parameters, the database's name among them.
    ///
    /// # Panics
    /// If it fails.
    pub(crate) fn transact(&mut self, now: Instant, params: &str) {
        let request = format!(r#"{{"id":1,"method":"transact","params":{params}}}"#);
        self.server.handle_bytes(now, self.editor, request.as_bytes());
        let mut answer = String::new();
        while let Some(bytes) = self.server.poll_transmit(self.editor) {
            answer.push_str(&String::from_utf8_lossy(&bytes));
        }
        assert!(!answer.contains("\"error\":\""), "{}: {answer}", self.name);
    }

    /// The rows of a table, in order of their uuids, and of each row these columns.
    pub(crate) fn rows<const N: usize>(&self, table: &str, columns: [&str; N]) -> Vec<(Uuid, [Datum; N])> {
        let database = self.server.database(self.name).expect("it is served");
        let schema = database.schema().table(table).expect("the table is declared");
        let numbers = columns.map(|name| schema.column_index(name).expect("the column is declared"));
        let table = database.table_of_name(table).expect("the table is declared");
        let row = |row: &Row| (row.uuid(), numbers.map(|number| row.get(number).clone()));
        table.sorted_rows().into_iter().map(|of| row(of)).collect()
    }

    /// Sets columns of a row.
    pub(crate) fn update(&mut self, now: Instant, table: &str, row: Uuid, values: &[(&str, Datum)]) {
        let database = self.server.database(self.name).expect("it is served");
        let number = database.schema().table_index(table).expect("the table is declared");
        let schema = &database.schema().tables()[number];
        let column = |name: &str| schema.column_index(name).expect("the column is declared");
        let values: Vec<_> = values.iter().map(|(name, value)| (column(name), value.clone())).collect();
        let done = self.server.transact(now, self.name, |txn| {
            txn.update(number, row, &values);
            Ok(())
        });
        assert!(matches!(done, Some(Ok(()))), "{}: {done:?}", self.name);
    }
}

/// The text in a column that holds one; empty if it holds none.
pub(crate) fn text(datum: &Datum) -> &str {
    datum.as_scalar().and_then(Atom::as_str).unwrap_or_default()
}

/// The number in a column that holds one.
pub(crate) fn integer(datum: &Datum) -> Option<i64> {
    datum.as_scalar().and_then(Atom::as_integer)
}

/// The text under a key of a map; empty if there is none.
pub(crate) fn value<'a>(datum: &'a Datum, key: &str) -> &'a str {
    datum.get(&Atom::from(key)).and_then(Atom::as_str).unwrap_or_default()
}
