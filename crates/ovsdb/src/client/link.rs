//! A session and the choice of remotes for it, as one thing to drive.

use super::{Event, Session, SessionConfig};
use crate::reconnect::{Action, End, Order, Reconnect};
use crate::remote::Remote;
use crate::row::Replica;
use kiln_types::{Instant, Rng};

/// A [`Session`] that is connected again whenever it is not: what a shell has to do about it comes from
/// [`Link::poll_action`].
#[derive(Debug)]
pub struct Link {
    session: Session,
    reconnect: Reconnect,
    /// The session gave its connection up: the shell is to close it.
    close: bool,
}

impl Link {
    /// A link to one of `remotes`.
    pub fn new(config: SessionConfig, remotes: Vec<Remote>, order: Order, rng: Rng) -> Self {
        Link { session: Session::new(config), reconnect: Reconnect::new(remotes, order, rng), close: false }
    }

    /// The session.
    pub fn session(&self) -> &Session {
        &self.session
    }

    /// The session, to ask things of it. Its connection, bytes and events are the link's to handle.
    pub fn session_mut(&mut self) -> &mut Session {
        &mut self.session
    }

    /// The remote that is in use, or was last.
    pub fn remote(&self) -> Option<&Remote> {
        self.reconnect.remote()
    }

    /// Whether there is a connection over which the database can be seen.
    pub fn is_connected(&self) -> bool {
        self.reconnect.is_connected() && self.session.is_synced()
    }

    /// Uses other remotes from now on.
    pub fn set_remotes(&mut self, now: Instant, remotes: Vec<Remote>) {
        self.reconnect.set_remotes(now, remotes);
    }

    /// Forgets what the session knows of the server's history and connects again: everything is fetched, and the
    /// replica sees the difference. Conditions, lock and probe interval stay as they were asked for; transactions in
    /// flight are reported lost.
    pub fn start_over(&mut self, now: Instant) {
        self.session.start_over();
        self.close = false;
        self.reconnect.force_reconnect(now);
    }

    /// The connection that was asked for is open.
    pub fn handle_connected(&mut self, now: Instant) {
        self.reconnect.handle_connected(now);
        if self.reconnect.is_connected() {
            self.session.handle_connected(now);
        }
    }

    /// The connection broke, or could not be opened.
    pub fn handle_disconnected(&mut self, now: Instant) {
        self.session.handle_disconnected(now);
        self.reconnect.handle_disconnected(now, End::Failed);
    }

    /// Bytes have come.
    pub fn handle_bytes(&mut self, now: Instant, bytes: &[u8], replica: &mut dyn Replica) {
        self.session.handle_bytes(now, bytes, replica);
    }

    /// A time that [`Link::poll_timeout`] named has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.session.handle_timeout(now);
    }

    /// What to do about the connection; ask again until there is nothing.
    pub fn poll_action(&mut self, now: Instant) -> Option<Action> {
        if std::mem::take(&mut self.close) {
            return Some(Action::Close);
        }
        let action = self.reconnect.poll_action(now);
        if action == Some(Action::Close) {
            self.session.handle_disconnected(now);
        }
        action
    }

    /// Bytes to send.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.session.poll_transmit()
    }

    /// What happened.
    pub fn poll_event(&mut self, now: Instant) -> Option<Event> {
        let event = self.session.poll_event()?;
        match &event {
            Event::Synced { .. } => self.reconnect.handle_established(),
            Event::Close(reason) => {
                let end = if reason.wrong_server() { End::WrongServer } else { End::Failed };
                self.reconnect.handle_disconnected(now, end);
                self.close = true;
            }
            _ => {}
        }
        Some(event)
    }

    /// When to call [`Link::handle_timeout`] and [`Link::poll_action`] next, if nothing else happens.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.close {
            return Some(Instant::ZERO);
        }
        [self.session.poll_timeout(), self.reconnect.poll_timeout()].into_iter().flatten().min()
    }
}
