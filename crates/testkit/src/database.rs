//! Database servers, and their content as rows.
//!
//! Rows are read with stock's `ovsdb-client`, so that what is compared does not pass through Kiln's own OVSDB code.

use crate::lab::run;
use crate::{Component, Lab};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A row: its columns' values in the notation of RFC 7047.
pub type Row = BTreeMap<String, Value>;

/// A stock database server.
#[derive(Clone, Debug)]
pub struct Server {
    name: String,
    file: PathBuf,
    /// What a client connects to: `unix:PATH`.
    pub remote: String,
}

/// Databases as OVN names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    /// OVN_Northbound.
    Northbound,
    /// OVN_Southbound.
    Southbound,
    /// Open_vSwitch.
    Switch,
}

impl Database {
    fn name(self) -> &'static str {
        match self {
            Database::Northbound => "OVN_Northbound",
            Database::Southbound => "OVN_Southbound",
            Database::Switch => "Open_vSwitch",
        }
    }

    fn schema(self) -> &'static str {
        match self {
            Database::Northbound => "ovn/ovn-nb.ovsschema",
            Database::Southbound => "ovn/ovn-sb.ovsschema",
            Database::Switch => "openvswitch/vswitch.ovsschema",
        }
    }
}

impl Lab {
    /// Starts a server of an empty database with stock's schema.
    #[track_caller]
    pub fn serve(&mut self, name: &str, database: Database) -> Server {
        let file = self.path(&format!("{name}.db"));
        let schema = self.peers.share(Component::Stock, database.schema());
        let schema = schema.unwrap_or_else(|error| panic!("{error}"));
        run(self.program(Component::Stock, "ovsdb-tool").arg("create").arg(&file).arg(schema));
        self.serve_file(name, &file)
    }

    /// Starts a server of a copy of another server's database: the same rows with the same uuids.
    #[track_caller]
    pub fn serve_copy(&mut self, name: &str, of: &Server) -> Server {
        let file = self.path(&format!("{name}.db"));
        std::fs::copy(&of.file, &file).expect("the lab's folder is writable");
        self.serve_file(name, &file)
    }

    /// Starts a server again that was killed.
    #[track_caller]
    pub fn serve_again(&mut self, server: &Server) {
        self.serve_file(&server.name, &server.file.clone());
    }

    #[track_caller]
    fn serve_file(&mut self, name: &str, file: &Path) -> Server {
        let socket = self.path(&format!("{name}.sock"));
        let _ = std::fs::remove_file(&socket);
        let mut command = self.program(Component::Stock, "ovsdb-server");
        command.arg("--no-chdir").arg(format!("--remote=punix:{}", socket.display())).arg(file);
        self.start(name, command, &[&socket]);
        Server { name: name.into(), file: file.into(), remote: format!("unix:{}", socket.display()) }
    }

    /// A stock tool for a server: `ovn-nbctl`, `ovn-sbctl` or `ovs-vsctl`.
    #[track_caller]
    pub fn tool(&self, name: &str, server: &Server) -> Command {
        let mut command = self.program(Component::Stock, name);
        command.arg(format!("--db={}", server.remote)).arg("--timeout=60");
        command
    }

    /// Runs a stock tool with the words of `line`, which must succeed, and returns what it printed.
    #[track_caller]
    pub fn ctl(&self, name: &str, server: &Server, line: &str) -> String {
        run(self.tool(name, server).args(crate::words(line)))
    }

    /// Runs the commands of `lines`, one a line, as one transaction of a stock tool.
    #[track_caller]
    pub fn ctl_lines(&self, name: &str, server: &Server, lines: &str) {
        let mut command = self.tool(name, server);
        for line in lines.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            command.arg("--").args(crate::words(line));
        }
        if lines.trim().is_empty() {
            return;
        }
        run(&mut command);
    }

    /// Every row of a table.
    #[track_caller]
    pub fn rows(&self, server: &Server, database: Database, table: &str) -> Vec<Row> {
        self.tables(server, database, &[table]).remove(table).unwrap_or_default()
    }

    /// Every row of some tables, all at one moment.
    #[track_caller]
    pub fn tables(&self, server: &Server, database: Database, tables: &[&str]) -> BTreeMap<String, Vec<Row>> {
        let mut transaction = vec![json!(database.name())];
        transaction.extend(tables.iter().map(|table| json!({"op": "select", "table": table, "where": []})));
        let mut command = self.program(Component::Stock, "ovsdb-client");
        command.args(["transact", &server.remote, &Value::from(transaction).to_string()]);
        let answer: Vec<Value> = serde_json::from_str(&run(&mut command)).expect("ovsdb-client prints JSON");
        let rows = answer.into_iter().map(|mut answer| {
            let rows = answer.get_mut("rows").map(Value::take);
            let rows = rows.unwrap_or_else(|| panic!("a select of {tables:?} failed: {answer}"));
            serde_json::from_value(rows).expect("rows are objects")
        });
        tables.iter().map(|table| (*table).to_owned()).zip(rows).collect()
    }
}
