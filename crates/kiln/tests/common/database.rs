//! Database servers, and what they have written to their logs.

use super::client::Client;
use super::{Daemon, Folder, Whose, program, run, share};
use std::fs;
use std::path::PathBuf;

/// A stock server with one database.
#[derive(Debug)]
pub struct Database {
    pub server: Daemon,
    pub name: &'static str,
    pub socket: PathBuf,
    /// The server's log of transactions.
    pub file: PathBuf,
}

/// The word that files and sockets are named by, the database's name, and its schema's file.
const SCHEMAS: [(&str, &str, &str); 3] = [
    ("nb", "OVN_Northbound", "ovn/ovn-nb.ovsschema"),
    ("sb", "OVN_Southbound", "ovn/ovn-sb.ovsschema"),
    ("conf", "Open_vSwitch", "openvswitch/vswitch.ovsschema"),
];

impl Database {
    /// Makes an empty database, `WORD.db`, and serves it on `WORD.sock`.
    #[track_caller]
    pub fn start(folder: &Folder, word: &str) -> Database {
        let (_, name, schema) = SCHEMAS.into_iter().find(|(known, ..)| *known == word).expect("a database");
        let file = folder.path(&format!("{word}.db"));
        let socket = folder.path(&format!("{word}.sock"));
        run(program(Whose::Stock, "ovsdb-tool").arg("create").arg(&file).arg(share(Whose::Stock, schema)));
        let mut command = program(Whose::Stock, "ovsdb-server");
        command.arg(&file).arg(format!("--remote=punix:{}", socket.display()));
        let server = Daemon::start(folder, word, command);
        Database { server, name, socket, file }
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
