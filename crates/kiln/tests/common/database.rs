//! Database servers, and what they have written to their logs.

use super::client::{Client, map};
use super::{Daemon, Folder, Whose, program, run, share};
use serde_json::json;
use std::fs;
use std::path::PathBuf;

/// A stock server with one database.
#[derive(Debug)]
pub struct Database {
    pub server: Daemon,
    pub name: &'static str,
    /// The table that has one row, which holds what belongs to no other.
    root: &'static str,
    pub socket: PathBuf,
    /// The server's log of transactions.
    pub file: PathBuf,
}

/// The word that files and sockets are named by, the database's name, its table of one row, and its schema's file.
const SCHEMAS: [(&str, &str, &str, &str); 3] = [
    ("nb", "OVN_Northbound", "NB_Global", "ovn/ovn-nb.ovsschema"),
    ("sb", "OVN_Southbound", "SB_Global", "ovn/ovn-sb.ovsschema"),
    ("conf", "Open_vSwitch", "Open_vSwitch", "openvswitch/vswitch.ovsschema"),
];

impl Database {
    /// Makes an empty database, `WORD.db`, and serves it on `WORD.sock`.
    #[track_caller]
    pub fn start(folder: &Folder, word: &str) -> Database {
        let (_, name, root, schema) =
            SCHEMAS.into_iter().find(|(known, ..)| *known == word).expect("a database");
        let file = folder.path(&format!("{word}.db"));
        let socket = folder.path(&format!("{word}.sock"));
        run(program(Whose::Stock, "ovsdb-tool").arg("create").arg(&file).arg(share(Whose::Stock, schema)));
        let mut command = program(Whose::Stock, "ovsdb-server");
        command.arg(&file).arg(format!("--remote=punix:{}", socket.display()));
        let server = Daemon::start(folder, word, command);
        Database { server, name, root, socket, file }
    }

    pub fn remote(&self) -> String {
        format!("unix:{}", self.socket.display())
    }

    pub fn client(&self) -> Client {
        Client::connect(&self.socket, self.name)
    }

    /// Every transaction that the server has written, as text, the schema first.
    pub fn log(&self) -> Vec<String> {
        records(&fs::read(&self.file).expect("the database has a file"))
    }

    /// Waits until all that the server tells of is in its file too, by a change of its own that is told only then:
    /// of others a server may tell before. `number` is another one each time.
    #[track_caller]
    pub fn flush(&self, number: i64) {
        let number = number.to_string();
        let mark = map([("test-flushed", number.as_str())]);
        let change = json!({
            "op": "mutate", "table": self.root, "where": [],
            "mutations": [["external_ids", "delete", "test-flushed"], ["external_ids", "insert", mark]]
        });
        self.client().transact(&[change, json!({ "op": "commit", "durable": true })]);
    }

    /// Kills the server and starts it again.
    #[track_caller]
    pub fn restart(&mut self) {
        self.server.restart();
    }
}

/// The records of a database file: a line with the length each, then the text (ovsdb(5)).
fn records(mut bytes: &[u8]) -> Vec<String> {
    let mut records = Vec::new();
    while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
        let header = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let length: usize = header.split(' ').nth(2).expect("a record's header").parse().expect("its length");
        let body = &bytes[end + 1..end + 1 + length];
        records.push(String::from_utf8_lossy(body).trim_end().to_owned());
        bytes = &bytes[end + 1 + length..];
    }
    records
}
