//! The client's side of a database lock (RFC 7047 sections 4.1.8 to 4.1.10).

use super::event::Event;

/// The lock that a session wants, and whether it has it.
#[derive(Debug, Default)]
pub(super) struct Lock {
    wanted: Option<String>,
    held: bool,
    /// Requested on this connection; the server knows that we queue for it.
    requested: bool,
    /// The number of the latest request: answers to earlier ones no longer count.
    latest: u64,
}

impl Lock {
    pub(super) fn wanted(&self) -> Option<&str> {
        self.wanted.as_deref()
    }

    pub(super) fn held(&self) -> bool {
        self.held
    }

    pub(super) fn requested(&self) -> bool {
        self.requested
    }

    /// Wants another lock, or none. Returns the one to release on the server, and the event if one was held.
    pub(super) fn want(&mut self, name: Option<&str>) -> (Option<String>, Option<Event>) {
        let old = std::mem::replace(&mut self.wanted, name.map(str::to_owned));
        let release = old.filter(|_| std::mem::take(&mut self.requested));
        (release, self.set_held(false))
    }

    /// A request was sent.
    pub(super) fn sent(&mut self, request: u64) {
        self.latest = request;
        self.requested = true;
    }

    /// A request was answered.
    pub(super) fn answered(&mut self, request: u64, locked: bool) -> Option<Event> {
        if request != self.latest || !self.requested {
            return None;
        }
        // a `locked` notification may have overtaken nothing: the stream is ordered, so the answer is the news
        if locked { self.set_held(true) } else { self.set_held(false).or(Some(Event::LockContended)) }
    }

    /// A `locked` or `stolen` notification came for the lock called `name`.
    pub(super) fn notified(&mut self, name: &str, locked: bool) -> Option<Event> {
        if self.wanted.as_deref() == Some(name) && self.requested { self.set_held(locked) } else { None }
    }

    pub(super) fn disconnected(&mut self) -> Option<Event> {
        self.requested = false;
        self.set_held(false)
    }

    fn set_held(&mut self, held: bool) -> Option<Event> {
        match (std::mem::replace(&mut self.held, held), held) {
            (false, true) => Some(Event::Locked),
            (true, false) => Some(Event::LockLost),
            _ => None,
        }
    }
}
