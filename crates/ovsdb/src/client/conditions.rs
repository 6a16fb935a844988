//! Conditions that change while they are monitored: which are wanted, which the server has acknowledged, and which change
//! is in flight (ovsdb-server(7) section 4.1.13).
//!
//! At most one change is in flight. If the connection breaks then, nobody knows which of its rows came, so the next
//! connection fetches everything under the newest conditions; also until the first update after a change, which is the first
//! to say of which transaction the rows under the new conditions are. If a change is merely wanted, the next connection
//! resumes under the acknowledged conditions and changes them after.

use super::OfferedSchema;
use super::config::TableMonitor;
use crate::json::write_string;
use crate::txn::Missing;

#[derive(Debug, Default)]
pub(super) struct Conditions {
    /// Counts changes of what is wanted.
    wanted_seq: u64,
    acked_seq: u64,
    /// What the server has acknowledged, as it was encoded for it, by table; empty before the first monitor.
    acked: Vec<String>,
    in_flight: Option<Change>,
}

#[derive(Debug)]
struct Change {
    request: u64,
    seq: u64,
    conditions: Vec<String>,
}

impl Conditions {
    /// What is wanted has changed; returns the number under which it will be acknowledged.
    pub(super) fn changed(&mut self) -> u64 {
        self.wanted_seq += 1;
        self.wanted_seq
    }

    pub(super) fn wanted_seq(&self) -> u64 {
        self.wanted_seq
    }

    pub(super) fn acked_seq(&self) -> u64 {
        self.acked_seq
    }

    /// Whether this request is the change in flight.
    pub(super) fn awaits(&self, request: u64) -> bool {
        self.in_flight.as_ref().is_some_and(|change| change.request == request)
    }

    fn encode(tables: &[TableMonitor], offered: &OfferedSchema, missing: &mut Vec<Missing>) -> Vec<String> {
        tables.iter().map(|table| table.rows.encode(&table.table, offered, missing)).collect()
    }

    /// The conditions for a monitor request: those acknowledged if it is to resume, else those wanted, which its answer
    /// acknowledges.
    pub(super) fn begin_monitor(
        &mut self,
        request: u64,
        resume: bool,
        tables: &[TableMonitor],
        offered: &OfferedSchema,
        missing: &mut Vec<Missing>,
    ) -> &[String] {
        self.in_flight = None;
        if resume && self.acked.len() == tables.len() {
            return &self.acked;
        }
        let conditions = Self::encode(tables, offered, missing);
        let change = Change { request, seq: self.wanted_seq, conditions };
        &self.in_flight.insert(change).conditions
    }

    /// The `params` of the request that brings the server to what is wanted, if it is not there and none is in flight.
    pub(super) fn next_change(
        &mut self,
        monitor_id: &str,
        request: u64,
        tables: &[TableMonitor],
        offered: &OfferedSchema,
        missing: &mut Vec<Missing>,
    ) -> Option<String> {
        if self.in_flight.is_some() || self.acked_seq == self.wanted_seq {
            return None;
        }
        let conditions = Self::encode(tables, offered, missing);
        let mut params = format!("[{monitor_id},{monitor_id},");
        let mut separator = '{';
        for ((table, new), acked) in tables.iter().zip(&conditions).zip(&self.acked) {
            if new != acked && offered.has_table(&table.table) {
                params.push(separator);
                separator = ',';
                write_string(&mut params, &table.table);
                params.push_str(":[{\"where\":");
                params.push_str(new);
                params.push_str("}]");
            }
        }
        if separator == '{' {
            // changed and changed back
            self.acked_seq = self.wanted_seq;
            return None;
        }
        params.push_str("}]");
        self.in_flight = Some(Change { request, seq: self.wanted_seq, conditions });
        Some(params)
    }

    /// The server has no conditions and sends every row: whatever is wanted is in force.
    pub(super) fn all_rows(&mut self) {
        self.acked_seq = self.wanted_seq;
    }

    /// A request was accepted; if it carried the change in flight, that is in force.
    pub(super) fn answered(&mut self, request: u64) {
        if let Some(change) = self.in_flight.take_if(|change| change.request == request) {
            self.acked = change.conditions;
            self.acked_seq = change.seq;
        }
    }

    /// The connection is gone; whether a change was in flight, so that resuming is not safe.
    pub(super) fn disconnected(&mut self) -> bool {
        self.in_flight.take().is_some()
    }
}
