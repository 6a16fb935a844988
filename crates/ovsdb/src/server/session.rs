//! What the server keeps for each connection.

use std::collections::BTreeMap;

use super::monitor::Monitor;
use super::waiting::Waiting;
use crate::column::Text;
use crate::engine::{Database, RowChange};
use crate::frame::{FrameError, Framer};
use crate::json::DecodeError;
use crate::jsonrpc::write_notification;

/// Why the server ends a session.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// The stream cannot be cut into messages.
    #[error(transparent)]
    Frame(FrameError),
    /// A message is not JSON-RPC.
    #[error("not a JSON-RPC message: {0}")]
    Message(DecodeError),
    /// A request's parameters are not an array.
    #[error("parameters: {0}")]
    Params(crate::engine::Error),
    /// The client sends requests and does not read the answers.
    #[error("more than {max} bytes of replies wait to be sent")]
    Backlog {
        /// The limit, in bytes.
        max: usize,
    },
    /// A database came or went, and the client did not ask to be told (ovsdb-server(7) section 4.1.18).
    #[error("the list of databases changed")]
    DatabasesChanged,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) framer: Framer,
    /// Messages to send.
    pub(super) out: String,
    /// By creation.
    pub(super) monitors: Vec<Monitor>,
    pub(super) waiting: Vec<Waiting>,
    pub(super) db_change_aware: bool,
    pub(super) closing: Option<CloseReason>,
}

impl Session {
    pub(super) fn new(max_message_bytes: usize) -> Self {
        Session {
            framer: Framer::new(max_message_bytes),
            out: String::new(),
            monitors: Vec::new(),
            waiting: Vec::new(),
            db_change_aware: false,
            closing: None,
        }
    }

    pub(super) fn close(&mut self, reason: CloseReason) {
        self.closing.get_or_insert(reason);
    }

    pub(super) fn monitor(&mut self, key: &str) -> Option<&mut Monitor> {
        self.monitors.iter_mut().find(|monitor| monitor.key() == key)
    }

    /// Notes changes for the monitors that watch them; whether any does.
    pub(super) fn note_changes(&mut self, database: &str, changes: &[RowChange]) -> bool {
        let mut noted = false;
        for monitor in self.monitors.iter_mut().filter(|monitor| monitor.database() == database) {
            noted |= monitor.note(changes);
        }
        noted
    }

    /// Writes the updates that monitors owe.
    pub(super) fn flush_monitors(&mut self, databases: &BTreeMap<Text, Database>) {
        for monitor in &mut self.monitors {
            if let Some(database) = databases.get(monitor.database()) {
                monitor.flush(database.schema(), &mut self.out);
            }
        }
    }

    /// Ends the monitors of a database that goes away (ovsdb-server(7) section 4.1.7).
    pub(super) fn cancel_monitors(&mut self, database: &str) {
        for monitor in self.monitors.extract_if(.., |monitor| monitor.database() == database) {
            write_notification(&mut self.out, "monitor_canceled", &format!("[{}]", monitor.id()));
        }
    }
}
