//! Databases in memory, northd daemons connected to them, and a client that edits: the whole northbound side of a
//! deployment without a socket.

#![allow(dead_code, reason = "each test uses its part")]

use kiln_northd::daemon::{Config, NorthdDaemon, Side};
use kiln_ovsdb::engine::Database;
use kiln_ovsdb::reconnect::Action;
use kiln_ovsdb::schema::{ColumnType, DatabaseSchema};
use kiln_ovsdb::server::{Limits, Server, SessionId};
use kiln_schema_ovn::{nb::Northbound, sb::Southbound};
use kiln_types::{Instant, Rng, Uuid};
use std::collections::BTreeMap;
use std::time::Duration;

pub const NB: &str = "OVN_Northbound";
pub const SB: &str = "OVN_Southbound";
/// The time of day when the world's own time begins, in milliseconds since 1970.
pub const WALL_MS: i64 = 1_699_999_999_000;

/// A daemon and its connections.
struct Member {
    daemon: NorthdDaemon,
    sessions: BTreeMap<u8, SessionId>,
    /// What it has sent to the southbound and northbound databases as transactions, as text.
    transactions: Vec<String>,
}

pub struct World {
    pub now: Instant,
    server: Server,
    members: Vec<Member>,
    editor: SessionId,
    /// Databases that nobody can connect to, and how often somebody has tried.
    away: BTreeMap<u8, usize>,
}

const SIDES: [Side; 2] = [Side::Northbound, Side::Southbound];

impl World {
    pub fn new(seed: u64) -> Self {
        let mut server = Server::new(Rng::with_seed(seed), Limits::default());
        for text in [Northbound::DECL.to_json(), Southbound::DECL.to_json()] {
            let schema =
                DatabaseSchema::parse(&text.to_string()).expect("the declared schemas are well formed");
            let database = Database::new(schema, Rng::with_seed(seed ^ 1));
            assert!(server.add_database(Instant::from_secs(1), database).is_ok());
        }
        let editor = server.connect();
        World { now: Instant::from_secs(1), server, members: Vec::new(), editor, away: BTreeMap::new() }
    }

    /// Starts another northd and returns its number.
    pub fn start(&mut self, seed: u64) -> usize {
        let config = Config {
            northbound: "tcp:127.0.0.1:1".parse().unwrap(),
            southbound: "tcp:127.0.0.1:2".parse().unwrap(),
            paused: false,
            seed,
        };
        self.members.push(Member {
            daemon: NorthdDaemon::new(config),
            sessions: BTreeMap::new(),
            transactions: Vec::new(),
        });
        self.members.len() - 1
    }

    /// Ends a northd as SIGKILL would.
    pub fn kill(&mut self, member: usize) {
        for (_, session) in std::mem::take(&mut self.members[member].sessions) {
            self.server.disconnect(session);
        }
        self.members.remove(member);
    }

    pub fn daemon(&mut self, member: usize) -> &mut NorthdDaemon {
        &mut self.members[member].daemon
    }

    /// Transactions that a northd has sent since the last call.
    pub fn take_transactions(&mut self, member: usize) -> Vec<String> {
        std::mem::take(&mut self.members[member].transactions)
    }

    /// Cuts a connection; it will be made again.
    pub fn cut(&mut self, member: usize, side: Side) {
        let now = self.now;
        if let Some(session) = self.members[member].sessions.remove(&(side as u8)) {
            self.server.disconnect(session);
            self.members[member].daemon.handle_disconnected(now, side);
        }
    }

    /// Cuts a connection, and lets none be made.
    pub fn take_away(&mut self, member: usize, side: Side) {
        self.away.insert(side as u8, 0);
        self.cut(member, side);
    }

    /// Lets connections be made again. How many were tried.
    pub fn bring_back(&mut self, side: Side) -> usize {
        self.away.remove(&(side as u8)).expect("it was taken away")
    }

    /// Lets everything happen until nothing does.
    pub fn run(&mut self) {
        for _ in 0..10_000 {
            let mut quiet = true;
            for at in 0..self.members.len() {
                quiet &= !self.turn(at);
            }
            if quiet {
                return;
            }
        }
        panic!("the daemons do not come to rest");
    }

    /// One northd's turn. False if there was nothing to do.
    fn turn(&mut self, at: usize) -> bool {
        let now = self.now;
        let member = &mut self.members[at];
        member.daemon.advance(now, WALL_MS + now.as_millis() as i64);
        let mut busy = false;
        for side in SIDES {
            while let Some(action) = member.daemon.poll_action(now, side) {
                busy = true;
                if let Some(session) = member.sessions.remove(&(side as u8)) {
                    self.server.disconnect(session);
                }
                if let (Action::Connect(_), Some(tried)) = (&action, self.away.get_mut(&(side as u8))) {
                    *tried += 1;
                    member.daemon.handle_disconnected(now, side);
                } else if let Action::Connect(_) = action {
                    member.sessions.insert(side as u8, self.server.connect());
                    member.daemon.handle_connected(now, side);
                }
            }
            let Some(session) = member.sessions.get(&(side as u8)).copied() else { continue };
            while let Some(bytes) = member.daemon.poll_transmit(side) {
                busy = true;
                let text = String::from_utf8_lossy(&bytes).into_owned();
                if text.contains("\"transact\"") {
                    member.transactions.push(text);
                }
                self.server.handle_bytes(now, session, &bytes);
            }
            while let Some(bytes) = self.server.poll_transmit(session) {
                busy = true;
                member.daemon.handle_bytes(now, side, &bytes);
            }
            assert!(self.server.close_reason(session).is_none(), "{:?}", self.server.close_reason(session));
        }
        if busy {
            member.daemon.handle_timeout(now);
        }
        busy
    }

    /// Lets time pass.
    pub fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
        self.run();
    }

    /// Runs operations, given as the JSON text behind the database's name, and returns the answer's text.
    pub fn edit(&mut self, database: &str, operations: &str) -> String {
        let request = format!(r#"{{"id":1,"method":"transact","params":["{database}",{operations}]}}"#);
        self.server.handle_bytes(self.now, self.editor, request.as_bytes());
        let mut answer = String::new();
        while let Some(bytes) = self.server.poll_transmit(self.editor) {
            answer.push_str(std::str::from_utf8(&bytes).expect("answers are text"));
        }
        answer
    }

    /// The uuids of a table's rows, sorted.
    pub fn rows(&self, database: &str, table: &str) -> Vec<Uuid> {
        let table =
            self.server.database(database).and_then(|db| db.table_of_name(table)).expect("the table exists");
        table.sorted_rows().iter().map(|row| row.uuid()).collect()
    }

    /// The flows of a stage, `PRIORITY MATCH -> ACTIONS`, in order of priority.
    pub fn flows(&self, stage: &str) -> Vec<String> {
        let name = format!("\"stage-name\",\"{stage}\"");
        let text = |json: &str| json[1..json.len() - 1].replace("\\\"", "\"");
        let mut flows: Vec<(u32, String)> = self
            .dump(SB, "Logical_Flow", &["external_ids", "priority", "match", "actions"])
            .iter()
            .filter(|line| line.contains(&name))
            .map(|line| {
                let mut parts = line.splitn(4, " | ").skip(1);
                let mut next = || parts.next().expect("four columns");
                let priority = next().parse().expect("a number");
                (priority, format!("{priority} {} -> {}", text(next()), text(next())))
            })
            .collect();
        flows.sort();
        flows.into_iter().map(|(_, flow)| flow).collect()
    }

    /// Makes an edit of the northbound database that must succeed, and lets everything happen.
    #[track_caller]
    pub fn must(&mut self, operations: &str) {
        let answer = self.edit(NB, operations);
        assert!(!answer.contains("\"error\":\""), "{operations}: {answer}");
        self.run();
    }

    /// What a column may hold.
    pub fn column_type(&self, database: &str, table: &str, column: &str) -> ColumnType {
        let schema = self.server.database(database).expect("the database exists").schema();
        let table = schema.table(table).expect("the table is declared");
        table.columns()[table.column_index(column).expect("the column exists")].ty().clone()
    }

    /// What a table holds, a line a row, uuids left out, sorted.
    pub fn dump(&self, database: &str, table: &str, columns: &[&str]) -> Vec<String> {
        let database = self.server.database(database).expect("the database exists");
        let schema = database.schema().table(table).expect("the table is declared");
        let numbers: Vec<usize> =
            columns.iter().map(|name| schema.column_index(name).expect("the column exists")).collect();
        let table = database.table_of_name(table).expect("the table exists");
        let line = |row: &kiln_ovsdb::engine::Row| {
            numbers.iter().map(|column| row.get(*column).to_string()).collect::<Vec<_>>().join(" | ")
        };
        let mut lines: Vec<String> = table.rows().map(|row| line(row)).collect();
        lines.sort();
        lines
    }
}
