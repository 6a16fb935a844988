//! A database server without its sockets: sessions of bytes in and bytes out over databases of the [`engine`](crate::engine)
//! (RFC 7047 section 4, ovsdb-server(7) section 4).
//!
//! The owner makes a session for each connection, feeds it what arrives, sends what [`Server::poll_transmit`] gives, and calls
//! [`Server::handle_timeout`] when [`Server::poll_timeout`] says. Everything happens inside those calls. What a transaction
//! changed waits as rows, not as text, until a monitor's client can take it, so a slow client's backlog is bounded by the
//! database and not by its history.

mod locks;
mod monitor;
mod requests;
mod server_db;
mod session;
mod waiting;

use std::collections::{BTreeMap, BTreeSet};

use kiln_types::{Instant, Rng, Uuid};

use crate::column::Text;
use crate::engine::{Commit, Database, Error, Transaction, random_uuid};
use crate::frame::Framer;
use crate::jsonrpc::{Message, write_notification};
use locks::Locks;
use session::Session;

pub use session::CloseReason;

/// A connection of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(u64);

/// What a server bounds. A session that goes beyond is closed.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// The longest message from a client, in bytes.
    pub message_bytes: usize,
    /// The most bytes of replies that wait to be sent on one session when a further request arrives. Owners that stop
    /// reading while [`Server::backlog`] is high never meet it.
    pub backlog_bytes: usize,
    /// The most transactions of one session that wait for a condition.
    pub waiting_transactions: usize,
    /// The most monitors of one session.
    pub monitors: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            message_bytes: 1 << 30,
            backlog_bytes: 1 << 30,
            waiting_transactions: 1_000,
            monitors: 1_000,
        }
    }
}

/// A database server.
#[derive(Debug)]
pub struct Server {
    id: Uuid,
    rng: Rng,
    limits: Limits,
    databases: BTreeMap<Text, Database>,
    sessions: BTreeMap<SessionId, Session>,
    next_session: u64,
    locks: Locks,
    /// Sessions that may have something to send, or are to be closed.
    ready: BTreeSet<SessionId>,
    /// When waiting transactions run out of time.
    deadlines: BTreeSet<(Instant, SessionId, u64)>,
    next_waiting: u64,
    /// Databases that changed since the transactions that wait there were last run.
    changed: BTreeSet<Text>,
}

impl Server {
    /// A server with no database but `_Server`.
    pub fn new(mut rng: Rng, limits: Limits) -> Self {
        let mut server = Server {
            id: random_uuid(&mut rng),
            rng,
            limits,
            databases: BTreeMap::new(),
            sessions: BTreeMap::new(),
            next_session: 0,
            locks: Locks::default(),
            ready: BTreeSet::new(),
            deadlines: BTreeSet::new(),
            next_waiting: 0,
            changed: BTreeSet::new(),
        };
        server.add_server_database();
        server
    }

    /// Serves a database under its schema's name. Sessions that do not follow the list of databases are closed, as they could
    /// not know of it otherwise. Gives the database back if its name is taken.
    pub fn add_database(&mut self, now: Instant, database: Database) -> Result<(), Box<Database>> {
        let name = database.schema().name().clone();
        if self.databases.contains_key(&name) {
            return Err(Box::new(database));
        }
        self.announce(now, &database);
        self.databases.insert(name, database);
        self.close_unaware();
        Ok(())
    }

    /// Stops serving a database: its monitors and waiting transactions are cancelled, and sessions that do not follow the list
    /// of databases closed. `_Server` stays.
    pub fn remove_database(&mut self, now: Instant, name: &str) -> Option<Database> {
        if name == server_db::NAME {
            return None;
        }
        let database = self.databases.remove(name)?;
        self.withdraw(now, name);
        self.close_unaware();
        self.cancel_waiting_in(name);
        for (id, session) in &mut self.sessions {
            session.cancel_monitors(name);
            self.ready.insert(*id);
        }
        Some(database)
    }

    /// A database that is served.
    pub fn database(&self, name: &str) -> Option<&Database> {
        self.databases.get(name)
    }

    /// The names of all databases, ascending.
    pub fn database_names(&self) -> impl Iterator<Item = &Text> {
        self.databases.keys()
    }

    /// Changes a database from inside, and tells monitors. `None` if there is no such database; otherwise what `change`
    /// returned, or why it or the commit failed, in which case nothing is changed.
    pub fn transact<T>(
        &mut self,
        now: Instant,
        database: &str,
        change: impl FnOnce(&mut Transaction<'_>) -> Result<T, Error>,
    ) -> Option<Result<T, Error>> {
        let mut txn = self.databases.get_mut(database)?.begin();
        let result = change(&mut txn).and_then(|value| Ok((value, txn.commit()?)));
        Some(result.map(|(value, commit)| {
            self.note_commit(database, &commit);
            self.settle(now);
            value
        }))
    }

    /// Notes what a commit changed, for monitors and for the transactions that wait for a change.
    fn note_commit(&mut self, database: &str, commit: &Commit) {
        if commit.changes.is_empty() {
            return;
        }
        self.changed.insert(Text::from(database));
        for (id, session) in &mut self.sessions {
            if session.note_changes(database, &commit.changes) {
                self.ready.insert(*id);
            }
        }
    }

    fn close_unaware(&mut self) {
        for (id, session) in &mut self.sessions {
            if !session.db_change_aware {
                session.close(CloseReason::DatabasesChanged);
                self.ready.insert(*id);
            }
        }
    }
}

/// Sessions.
impl Server {
    /// A client has connected.
    pub fn connect(&mut self) -> SessionId {
        let id = SessionId(self.next_session);
        self.next_session += 1;
        self.sessions.insert(id, Session::new(self.limits.message_bytes));
        id
    }

    /// The connection is gone: its locks pass on, its monitors and waiting transactions end.
    pub fn disconnect(&mut self, session: SessionId) {
        let Some(gone) = self.sessions.remove(&session) else { return };
        self.ready.remove(&session);
        for waiting in &gone.waiting {
            self.deadlines.remove(&(waiting.deadline(), session, waiting.number));
        }
        for (lock, owner) in self.locks.release_all(session) {
            self.notify_lock(owner, "locked", &lock);
        }
    }

    /// Bytes have come from a client. Bytes for a session that is closed are ignored.
    pub fn handle_bytes(&mut self, now: Instant, session: SessionId, bytes: &[u8]) {
        let Some(state) = self.sessions.get_mut(&session).filter(|state| state.closing.is_none()) else {
            return;
        };
        // taken out, since its messages are read while the server changes
        let mut framer = std::mem::replace(&mut state.framer, Framer::new(0));
        framer.push(bytes);
        if let Err(reason) = self.process(now, session, &mut framer) {
            self.close(session, reason);
        }
        if let Some(state) = self.sessions.get_mut(&session) {
            state.framer = framer;
        }
    }

    /// Handles the messages that have come in full.
    fn process(&mut self, now: Instant, session: SessionId, framer: &mut Framer) -> Result<(), CloseReason> {
        let max = self.limits.backlog_bytes;
        loop {
            let Some(state) = self.sessions.get(&session).filter(|state| state.closing.is_none()) else {
                return Ok(());
            };
            let backlog = state.out.len();
            let Some(frame) = framer.next_frame().map_err(CloseReason::Frame)? else { return Ok(()) };
            if backlog > max {
                return Err(CloseReason::Backlog { max });
            }
            match Message::parse(&frame).map_err(CloseReason::Message)? {
                Message::Request { method, params, id } => self.request(now, session, method, params, id)?,
                Message::Notification { method: "cancel", params } => self.cancel(session, params),
                // stock passes over them too
                Message::Notification { .. } | Message::Response { .. } => {}
            }
        }
    }

    /// A session that has something to send or is to be closed. Each is told once until there is more.
    pub fn poll_ready(&mut self) -> Option<SessionId> {
        self.ready.pop_first()
    }

    /// Bytes to send. Ask only for what the connection can take.
    pub fn poll_transmit(&mut self, session: SessionId) -> Option<Vec<u8>> {
        let state = self.sessions.get_mut(&session)?;
        if state.closing.is_none() {
            state.flush_monitors(&self.databases);
        }
        let out = std::mem::take(&mut state.out);
        if out.is_empty() { None } else { Some(out.into_bytes()) }
    }

    /// Bytes of replies that wait to be sent. Owners should stop reading from a session that has many.
    pub fn backlog(&self, session: SessionId) -> usize {
        self.sessions.get(&session).map_or(0, |state| state.out.len())
    }

    /// Why the session is over, if it is: what is left to transmit may be sent, then the connection closed and
    /// [`Server::disconnect`] called.
    pub fn close_reason(&self, session: SessionId) -> Option<&CloseReason> {
        self.sessions.get(&session)?.closing.as_ref()
    }

    /// When to call [`Server::handle_timeout`].
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.deadlines.first().map(|deadline| deadline.0).filter(|at| *at != Instant::FAR_FUTURE)
    }

    /// The time that [`Server::poll_timeout`] named has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.expire_waiting(now);
    }

    fn close(&mut self, session: SessionId, reason: CloseReason) {
        if let Some(state) = self.sessions.get_mut(&session) {
            state.close(reason);
            self.ready.insert(session);
        }
    }

    /// Answers a request, behind all updates that the session's monitors still owe.
    fn reply(&mut self, session: SessionId, id: &str, result: Result<&str, &str>) {
        if let Some(state) = self.sessions.get_mut(&session) {
            state.flush_monitors(&self.databases);
            crate::jsonrpc::write_response(&mut state.out, id, result);
            self.ready.insert(session);
        }
    }

    fn notify_lock(&mut self, session: SessionId, method: &str, lock: &str) {
        if let Some(state) = self.sessions.get_mut(&session) {
            state.flush_monitors(&self.databases);
            // a lock's name is an <id>: nothing in it needs an escape
            write_notification(&mut state.out, method, &format!("[\"{lock}\"]"));
            self.ready.insert(session);
        }
    }
}

#[cfg(test)]
mod tests;
