//! What a session tells its owner.

use std::collections::BTreeMap;

use crate::frame::FrameError;
use crate::row::RowError;
use crate::txn::{Missing, OpError, OpResult};

/// A transaction that was sent, unique within its session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TxnId(pub u64);

/// Something happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The replica now holds what the server has, and follows it.
    Synced {
        /// How the server reports changes.
        method: MonitorMethod,
        /// Only the changes since the last connection were fetched.
        resumed: bool,
    },
    /// The replica was told of rows.
    Updated,
    /// The answer to a transaction; if it committed, its changes have already reached the replica.
    Transacted {
        /// Which.
        id: TxnId,
        /// What became of it.
        outcome: Outcome,
    },
    /// The conditions that [`super::Session::set_rows`] numbered up to this are in force, and the replica holds their rows.
    ConditionsInForce {
        /// The number.
        seq: u64,
    },
    /// The lock is held; [`super::Session::has_lock`] says when the replica shows all that its holder before wrote.
    Locked,
    /// The lock was held and is no more: stolen, or the connection is gone.
    LockLost,
    /// Another client holds the lock; `Locked` follows when it lets go.
    LockContended,
    /// The server's schema lacks a table or column; it is left out of what the server is asked for and told. Once for each.
    Missing(Missing),
    /// A row was not taken into the replica. Of many at once only the first are reported; [`Stats`] counts all.
    RowSkipped(RowError),
    /// The session is over: close the connection. No [`super::Session::handle_disconnected`] is needed.
    Close(CloseReason),
}

/// How a server reports changes, newest last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum MonitorMethod {
    /// RFC 7047: no conditions.
    Monitor,
    /// Conditions and differences.
    MonitorCond,
    /// The same, and a new connection can resume.
    MonitorCondSince,
}

impl MonitorMethod {
    /// The request's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            MonitorMethod::Monitor => "monitor",
            MonitorMethod::MonitorCond => "monitor_cond",
            MonitorMethod::MonitorCondSince => "monitor_cond_since",
        }
    }
}

/// What became of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Committed; one result for each operation.
    Committed(Vec<OpResult>),
    /// Not carried out; [`OpError::class`] says what to do.
    Failed(OpError),
    /// The connection broke before an answer came: it may or may not have been carried out. After the next `Synced` the
    /// replica shows which.
    Lost,
    /// The session was not synced: it was not sent.
    NotSent,
}

/// Why a session gives its connection up.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloseReason {
    /// The stream is not a sequence of messages.
    #[error("{0}")]
    Frame(#[from] FrameError),
    /// A message is not what it must be.
    #[error("malformed {what}: {error}")]
    Malformed {
        /// Which message, or which part of it.
        what: &'static str,
        /// What was expected, and where or what came instead.
        error: String,
    },
    /// A change to a row that was never sent. The next connection fetches everything.
    #[error("out of step: {0}")]
    OutOfStep(RowError),
    /// The server refuses a request that the session depends on.
    #[error("server refuses {method}: {error}")]
    Refused {
        /// The request.
        method: &'static str,
        /// Its answer.
        error: OpError,
    },
    /// The server does not have the database.
    #[error("server does not have the database")]
    NotServed,
    /// The server is cut off from its cluster, or has not joined it yet.
    #[error("server is not connected to its cluster")]
    NotInCluster,
    /// The server is not its cluster's leader.
    #[error("server is not its cluster's leader")]
    NotLeader,
    /// The server's data is older than what another server of the cluster has shown.
    #[error("server has stale data: index {index}, after {seen} was seen")]
    Stale {
        /// The server's index.
        index: i64,
        /// The highest index seen.
        seen: i64,
    },
    /// No answer to a probe.
    #[error("no answer to an inactivity probe")]
    ProbeTimeout,
    /// The server asks without reading the answers.
    #[error("server does not read")]
    PeerStalled,
}

impl CloseReason {
    /// A name to count by.
    pub const fn name(&self) -> &'static str {
        match self {
            CloseReason::Frame(FrameError::TooLong { .. }) => "too_long",
            CloseReason::Frame(_) | CloseReason::Malformed { .. } => "malformed",
            CloseReason::OutOfStep(_) => "out_of_step",
            CloseReason::Refused { .. } => "refused",
            CloseReason::NotServed => "not_served",
            CloseReason::NotInCluster => "not_in_cluster",
            CloseReason::NotLeader => "not_leader",
            CloseReason::Stale { .. } => "stale",
            CloseReason::ProbeTimeout => "probe_timeout",
            CloseReason::PeerStalled => "peer_stalled",
        }
    }

    /// Whether another server of the cluster will do where this one did not, without waiting.
    pub const fn wrong_server(&self) -> bool {
        matches!(self, CloseReason::NotInCluster | CloseReason::NotLeader | CloseReason::Stale { .. })
    }
}

/// Counts since the session was made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Messages taken.
    pub messages: u64,
    /// Rows put, patched or deleted.
    pub rows: u64,
    /// Rows not taken, and changes to such rows.
    pub rows_skipped: u64,
    /// Messages that nothing awaited: notifications of an unknown kind, answers to nothing.
    pub unexpected: u64,
    /// Transactions that were committed.
    pub committed: u64,
    /// Transactions that the server did not carry out.
    pub failed: u64,
    /// Transactions of which nobody knows, or that were not sent, for want of a connection.
    pub lost: u64,
    /// Connections given up, by [`CloseReason::name`].
    pub closes: BTreeMap<&'static str, u64>,
}

impl Stats {
    /// Every count with the name that it is shown by.
    pub fn visit(&self, visit: &mut dyn FnMut(&str, u64)) {
        visit("messages", self.messages);
        visit("rows", self.rows);
        visit("rows_skipped", self.rows_skipped);
        visit("unexpected", self.unexpected);
        visit("txn_committed", self.committed);
        visit("txn_failed", self.failed);
        visit("txn_lost", self.lost);
        for (reason, count) in &self.closes {
            visit(&format!("close_{reason}"), *count);
        }
    }
}
