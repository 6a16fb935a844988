//! The session itself: its connection, its messages and what its owner asks of it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use kiln_types::{Instant, Uuid};

use super::conditions::Conditions;
use super::config::{Rows, SessionConfig};
use super::event::{CloseReason, Event, MonitorMethod, Outcome, Stats, TxnId};
use super::lock::Lock;
use super::offered::OfferedSchema;
use super::server_db::{DatabaseInfo, ServerDb};
use super::updates::Skipped;
use crate::frame::{Frame, Framer};
use crate::json::{TextCache, write_string};
use crate::jsonrpc::{self, Message};
use crate::row::Replica;
use crate::txn::{Missing, Txn};

/// How far a session has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// There is no connection.
    Disconnected,
    /// The server was asked about its databases.
    ServerAwaited,
    /// The server was asked for the schema.
    SchemaAwaited,
    /// The server was asked for the content.
    MonitorAwaited,
    /// The replica follows the server.
    Synced,
}

#[derive(Debug)]
enum Outgoing {
    Bytes(Vec<u8>),
    /// An answer to the server's own request.
    Reply(Vec<u8>),
    /// The parameters of a request, written as they are sent.
    Params(Box<Txn>),
}

/// A request that awaits its answer.
#[derive(Debug)]
pub(super) enum Pending {
    ServerMonitor,
    Schema,
    Monitor {
        method: MonitorMethod,
        since: Uuid,
    },
    ConditionChange,
    Lock(&'static str),
    Transaction {
        ops: usize,
    },
    /// A skipped row, read anew.
    Reread {
        table: Box<str>,
        row: Uuid,
    },
    /// Nothing depends on the answer.
    Any,
}

/// A client's session with one database; see the [module](super).
#[derive(Debug)]
pub struct Session {
    pub(super) config: SessionConfig,
    pub(super) stage: Stage,
    framer: Framer,
    pub(super) texts: TextCache,
    /// Bytes received since the cache of strings was empty.
    cached_bytes: usize,
    outbox: VecDeque<Outgoing>,
    /// Of the outbox, what answers the server's requests.
    reply_bytes: usize,
    pub(super) events: VecDeque<Event>,
    pub(super) pending: BTreeMap<u64, Pending>,
    next_request: u64,
    pub(super) offered: Option<Arc<OfferedSchema>>,
    /// The latest transaction that the replica holds; nil if the server has not said, so that everything must be fetched.
    pub(super) last_txn: Uuid,
    pub(super) server_db: ServerDb,
    pub(super) server_db_known: bool,
    pub(super) seen_index: i64,
    pub(super) method: Option<MonitorMethod>,
    pub(super) lock: Lock,
    pub(super) conditions: Conditions,
    pub(super) skipped: Skipped,
    missing: BTreeSet<Missing>,
    pub(super) stats: Stats,
    last_received: Instant,
    probe_sent: Option<Instant>,
    /// Bytes of long transactions that the server has not answered.
    pub(super) unanswered_bytes: usize,
}

impl Session {
    /// The data monitor's id.
    pub(super) const DATA: &'static str = "\"data\"";
    /// The server monitor's id.
    pub(super) const SERVER: &'static str = "\"server\"";
    /// After so many bytes the cache of strings is emptied once nothing more waits: what is left in it are strings of a
    /// time when memory was full of rows that may be gone, and each keeps a page.
    const CACHED_BYTES: usize = 64 << 10;
    /// A server works on a long transaction without a word: per second of patience, so many bytes.
    const BYTES_PER_SECOND: u64 = 1 << 20;
    /// Answers to the server's own requests that may wait to be sent.
    const MAX_REPLY_BYTES: usize = 1 << 20;

    /// A session without a connection, for a replica that is empty.
    pub fn new(config: SessionConfig) -> Self {
        Session {
            stage: Stage::Disconnected,
            framer: Framer::new(config.max_message_bytes),
            texts: TextCache::default(),
            cached_bytes: 0,
            outbox: VecDeque::new(),
            reply_bytes: 0,
            events: VecDeque::new(),
            pending: BTreeMap::new(),
            next_request: 0,
            offered: None,
            last_txn: Uuid::nil(),
            server_db: ServerDb::default(),
            server_db_known: false,
            seen_index: 0,
            method: None,
            lock: Lock::default(),
            conditions: Conditions::default(),
            skipped: Skipped::default(),
            missing: BTreeSet::new(),
            stats: Stats::default(),
            last_received: Instant::ZERO,
            probe_sent: None,
            unanswered_bytes: 0,
            config,
        }
    }

    // what happens to the connection

    /// A connection to a server is open.
    pub fn handle_connected(&mut self, now: Instant) {
        self.leave();
        // that one was for the connection before
        self.events.retain(|event| !matches!(event, Event::Close(_)));
        self.last_received = now;
        self.begin();
    }

    /// The connection is gone, whoever closed it.
    pub fn handle_disconnected(&mut self, _now: Instant) {
        self.leave();
    }

    /// Bytes have come.
    pub fn handle_bytes(&mut self, now: Instant, bytes: &[u8], replica: &mut dyn Replica) {
        if self.stage == Stage::Disconnected {
            return;
        }
        self.last_received = now;
        self.probe_sent = None;
        let mut framer = std::mem::replace(&mut self.framer, Framer::new(self.config.max_message_bytes));
        framer.push(bytes);
        let result = loop {
            match framer.next_frame() {
                Ok(Some(frame)) => {
                    if let Err(reason) = self.handle_frame(&frame, replica) {
                        break Err(reason);
                    }
                }
                Ok(None) => break Ok(()),
                Err(error) => break Err(error.into()),
            }
        };
        self.stats.rows_skipped += std::mem::take(&mut self.skipped.count);
        self.events.extend(self.skipped.reports.drain(..).map(Event::RowSkipped));
        self.cached_bytes += bytes.len();
        if framer.buffered() == 0 && self.cached_bytes >= Self::CACHED_BYTES {
            self.texts.clear();
            self.cached_bytes = 0;
        }
        match result {
            Ok(()) => self.framer = framer,
            Err(reason) => self.close(reason),
        }
    }

    /// The time that [`Session::poll_timeout`] named has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_none_or(|at| now < at) {
            return;
        }
        if self.probe_sent.is_some() {
            return self.close(CloseReason::ProbeTimeout);
        }
        self.probe_sent = Some(now);
        self.request("echo", "[]", Pending::Any);
    }

    /// When to call [`Session::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.stage == Stage::Disconnected || self.config.probe_interval.is_zero() {
            return None;
        }
        let work = Duration::from_secs(self.unanswered_bytes as u64 / Self::BYTES_PER_SECOND);
        Some(self.probe_sent.unwrap_or(self.last_received) + self.config.probe_interval + work)
    }

    /// Bytes to send. Ask only for what the connection can take: the session limits what waits here.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        if let Outgoing::Params(txn) = self.outbox.front_mut()?
            && let Some(piece) = txn.take_piece()
        {
            self.unanswered_bytes += piece.len();
            return Some(piece.into_bytes());
        }
        match self.outbox.pop_front()? {
            Outgoing::Bytes(bytes) => Some(bytes),
            Outgoing::Reply(bytes) => {
                self.reply_bytes -= bytes.len();
                Some(bytes)
            }
            Outgoing::Params(txn) => {
                self.note_missing_in(&txn);
                Some(b"]}".to_vec())
            }
        }
    }

    /// What happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    // what its owner asks

    /// How far the session has come.
    pub fn stage(&self) -> Stage {
        self.stage
    }

    /// Whether the replica follows the server, so that transactions can be sent.
    pub fn is_synced(&self) -> bool {
        self.stage == Stage::Synced
    }

    /// The database's name.
    pub fn db(&self) -> &str {
        &self.config.db
    }

    /// What the server's schema has, once it has said.
    pub fn offered(&self) -> Option<&Arc<OfferedSchema>> {
        self.offered.as_ref()
    }

    /// What the server says of the database, if it does.
    pub fn database(&self) -> Option<&DatabaseInfo> {
        self.server_db.find(&self.config.db, self.config.cluster_id)
    }

    /// Counts since the session was made.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// An empty transaction for the server at hand.
    pub fn txn(&self) -> Txn {
        match &self.offered {
            Some(offered) => Txn::for_schema(&self.config.db, Arc::clone(offered)),
            None => Txn::new(&self.config.db),
        }
    }

    /// Sends a transaction; [`Event::Transacted`] tells what became of it.
    pub fn transact(&mut self, txn: Txn) -> TxnId {
        self.note_missing_in(&txn);
        let ops = txn.len();
        if self.stage == Stage::Synced {
            return TxnId(self.request_txn(txn, Pending::Transaction { ops }));
        }
        self.next_request += 1;
        let id = TxnId(self.next_request);
        self.transacted(id, Outcome::NotSent);
        id
    }

    pub(super) fn transacted(&mut self, id: TxnId, outcome: Outcome) {
        let count = match outcome {
            Outcome::Committed(_) => &mut self.stats.committed,
            Outcome::Failed(_) => &mut self.stats.failed,
            Outcome::Lost | Outcome::NotSent => &mut self.stats.lost,
        };
        *count += 1;
        self.events.push_back(Event::Transacted { id, outcome });
    }

    /// Number of transactions that await their answer.
    pub fn transactions_in_flight(&self) -> usize {
        self.pending.values().filter(|p| matches!(p, Pending::Transaction { .. })).count()
    }

    /// Replicates other rows of a monitored table from now on, on this connection and the next. Returns a number: once
    /// [`Session::conditions_in_force`] has reached it, the replica holds those rows.
    pub fn set_rows(&mut self, table: &str, rows: Rows) -> u64 {
        let monitor = self.config.tables.iter_mut().find(|t| t.table == table);
        debug_assert!(monitor.is_some(), "{table} is not monitored");
        match monitor {
            Some(monitor) if monitor.rows != rows => monitor.rows = rows,
            _ => return self.conditions.wanted_seq(),
        }
        let seq = self.conditions.changed();
        self.send_conditions();
        seq
    }

    /// The number of the latest [`Session::set_rows`] that the replica shows in full.
    pub fn conditions_in_force(&self) -> u64 {
        self.conditions.acked_seq()
    }

    /// Wants a lock, on this connection and those to come; releases another one that was wanted.
    pub fn lock(&mut self, name: &str) {
        if self.lock.wanted() != Some(name) {
            self.want_lock(Some(name));
        }
    }

    /// The same, but takes the lock from whoever holds it. Later connections queue for it.
    pub fn steal(&mut self, name: &str) {
        if !self.lock.held() || self.lock.wanted() != Some(name) {
            self.want_lock(None);
            self.lock.want(Some(name));
            self.send_lock("steal");
        }
    }

    /// Wants no lock, and releases the one that is wanted.
    pub fn unlock(&mut self) {
        self.want_lock(None);
    }

    /// Whether the lock is held, and the replica shows all that its holder before wrote.
    pub fn has_lock(&self) -> bool {
        self.lock.held() && self.is_synced()
    }

    /// Accepts only the leader of a cluster, or any server, from now on.
    pub fn set_leader_only(&mut self, leader_only: bool) {
        self.config.leader_only = leader_only;
        if let Err(reason) = self.check_server() {
            self.close(reason);
        }
    }

    /// Sets the inactivity probe; zero turns it off.
    pub fn set_probe_interval(&mut self, interval: Duration) {
        self.config.probe_interval = interval;
    }

    /// Gives the connection up and forgets the server's history: the next one fetches everything, and the replica sees
    /// the difference. What the owner asked for stays; transactions in flight are reported lost.
    pub fn start_over(&mut self) {
        self.leave();
        self.last_txn = Uuid::nil();
        self.seen_index = 0;
    }

    // messages

    fn handle_frame(&mut self, frame: &Frame<'_>, replica: &mut dyn Replica) -> Result<(), CloseReason> {
        self.stats.messages += 1;
        match Message::parse(frame).map_err(|error| CloseReason::malformed("message", error))? {
            Message::Request { method: "echo", params, id } => self.reply(id, Ok(params)),
            Message::Request { id, .. } => {
                self.stats.unexpected += 1;
                self.reply(id, Err("\"unknown method\""))
            }
            Message::Notification { method, params } => self.handle_notification(method, params, replica),
            Message::Response { id, result } => {
                match id.parse().ok().and_then(|id: u64| Some((id, self.pending.remove(&id)?))) {
                    Some((id, pending)) => self.handle_response(id, pending, result, replica),
                    None => {
                        self.stats.unexpected += 1;
                        Ok(())
                    }
                }
            }
        }
    }

    /// Sends a request; returns its number.
    pub(super) fn request(&mut self, method: &str, params: &str, pending: Pending) -> u64 {
        self.next_request += 1;
        let mut out = String::new();
        jsonrpc::write_request(&mut out, self.next_request, method, params);
        self.outbox.push_back(Outgoing::Bytes(out.into_bytes()));
        self.pending.insert(self.next_request, pending);
        self.next_request
    }

    /// The same for a transaction, which may be very long.
    fn request_txn(&mut self, txn: Txn, pending: Pending) -> u64 {
        if !txn.has_tail() {
            return self.request("transact", &txn.into_params(), pending);
        }
        self.next_request += 1;
        let mut out = String::new();
        jsonrpc::write_request(&mut out, self.next_request, "transact", "");
        out.pop().expect("a request ends with a brace");
        self.outbox.push_back(Outgoing::Bytes(out.into_bytes()));
        self.outbox.push_back(Outgoing::Params(Box::new(txn)));
        self.pending.insert(self.next_request, pending);
        self.next_request
    }

    /// The number that the next request will have.
    pub(super) fn upcoming_request(&self) -> u64 {
        self.next_request + 1
    }

    fn reply(&mut self, id: &str, result: Result<&str, &str>) -> Result<(), CloseReason> {
        let mut out = String::new();
        jsonrpc::write_response(&mut out, id, result);
        if self.reply_bytes + out.len() > Self::MAX_REPLY_BYTES {
            return Err(CloseReason::PeerStalled);
        }
        self.reply_bytes += out.len();
        self.outbox.push_back(Outgoing::Reply(out.into_bytes()));
        Ok(())
    }

    /// Tells what was left out of a transaction that is not sent since nothing else was in it.
    pub fn note_missing_in(&mut self, txn: &Txn) {
        for missing in txn.missing() {
            self.note_missing(missing.clone());
        }
    }

    pub(super) fn note_missing(&mut self, missing: Missing) {
        if !self.missing.contains(&missing) {
            self.missing.insert(missing.clone());
            self.events.push_back(Event::Missing(missing));
        }
    }

    // the lock

    fn want_lock(&mut self, name: Option<&str>) {
        let (release, event) = self.lock.want(name);
        self.events.extend(event);
        if let Some(old) = release {
            let mut params = String::from("[");
            write_string(&mut params, &old);
            params.push(']');
            self.request("unlock", &params, Pending::Any);
        }
        if name.is_some() {
            self.send_lock("lock");
        }
    }

    /// Asks for the lock that is wanted, if the session is far enough and has not yet.
    pub(super) fn send_lock(&mut self, method: &'static str) {
        let ready = self.stage == Stage::Synced || (self.stage == Stage::MonitorAwaited && self.is_blind());
        let Some(name) = self.lock.wanted().filter(|_| ready && !self.lock.requested()) else { return };
        let mut params = String::from("[");
        write_string(&mut params, name);
        params.push(']');
        let request = self.request(method, &params, Pending::Lock(method));
        self.lock.sent(request);
    }

    /// Whether rows come to exist that the replica is not told of, because its owner knows what it inserts itself. Then the
    /// content must be fetched while the lock is held, and a new connection cannot resume.
    pub(super) fn is_blind(&self) -> bool {
        self.config.tables.iter().any(|table| !table.select.insert)
    }

    /// Tells the owner of the lock. What its holder before inserted is fetched first if nobody has told of it.
    pub(super) fn lock_changed(&mut self, event: Option<Event>) {
        if event == Some(Event::Locked) && self.stage == Stage::Synced && self.is_blind() {
            self.refetch();
        }
        self.events.extend(event);
    }

    /// Fetches everything anew over the same connection.
    fn refetch(&mut self) {
        self.request("monitor_cancel", &format!("[{}]", Self::DATA), Pending::Any);
        self.method = None;
        self.last_txn = Uuid::nil();
        self.ask_monitor(MonitorMethod::MonitorCondSince);
    }

    // the end of a connection

    pub(super) fn close(&mut self, reason: CloseReason) {
        *self.stats.closes.entry(reason.name()).or_default() += 1;
        if matches!(reason, CloseReason::Malformed { .. } | CloseReason::Frame(_) | CloseReason::OutOfStep(_))
        {
            // who knows what of the message was taken in
            self.last_txn = Uuid::nil();
        }
        self.leave();
        self.events.push_back(Event::Close(reason));
    }

    /// Forgets all that belongs to a connection.
    fn leave(&mut self) {
        self.stage = Stage::Disconnected;
        self.framer.reset();
        self.outbox.clear();
        self.reply_bytes = 0;
        self.unanswered_bytes = 0;
        self.probe_sent = None;
        self.method = None;
        self.server_db.clear();
        self.server_db_known = false;
        self.skipped.disconnected();
        if self.conditions.disconnected() {
            self.last_txn = Uuid::nil();
        }
        self.events.extend(self.lock.disconnected());
        for (id, pending) in std::mem::take(&mut self.pending) {
            if let Pending::Transaction { .. } = pending {
                self.transacted(TxnId(id), Outcome::Lost);
            }
        }
    }
}
