//! Locks: at most one session owns each, others queue for it (RFC 7047 sections 4.1.8 to 4.1.10).

use std::collections::{BTreeMap, VecDeque};

use super::SessionId;

/// Who owns and who waits for each lock.
#[derive(Debug, Default)]
pub(super) struct Locks {
    /// The owner stands first. No queue is empty.
    queues: BTreeMap<String, VecDeque<SessionId>>,
}

impl Locks {
    pub(super) fn owner(&self, lock: &str) -> Option<SessionId> {
        self.queues.get(lock)?.front().copied()
    }

    /// Whether the session owns the lock or waits for it.
    pub(super) fn has_asked(&self, lock: &str, session: SessionId) -> bool {
        self.queues.get(lock).is_some_and(|queue| queue.contains(&session))
    }

    /// Queues for a lock; true if the session owns it at once.
    pub(super) fn lock(&mut self, lock: &str, session: SessionId) -> bool {
        let queue = self.queues.entry(lock.to_owned()).or_default();
        queue.push_back(session);
        queue.len() == 1
    }

    /// Takes a lock; its owner until now, who waits for it from now on.
    pub(super) fn steal(&mut self, lock: &str, session: SessionId) -> Option<SessionId> {
        let queue = self.queues.entry(lock.to_owned()).or_default();
        let victim = queue.front().copied();
        queue.push_front(session);
        victim
    }

    /// Gives a lock or the wait for it up; its new owner, if that made one.
    pub(super) fn release(&mut self, lock: &str, session: SessionId) -> Option<SessionId> {
        let queue = self.queues.get_mut(lock)?;
        let was_owner = queue.front() == Some(&session);
        queue.retain(|waiter| *waiter != session);
        let owner = queue.front().copied();
        if owner.is_none() {
            self.queues.remove(lock);
        }
        owner.filter(|_| was_owner)
    }

    /// Gives everything of a session up; the locks that changed hands, with their new owners.
    pub(super) fn release_all(&mut self, session: SessionId) -> Vec<(String, SessionId)> {
        let asked: Vec<String> = self
            .queues
            .iter()
            .filter(|(_, queue)| queue.contains(&session))
            .map(|(lock, _)| lock.clone())
            .collect();
        let release = |lock: String| self.release(&lock, session).map(|owner| (lock, owner));
        asked.into_iter().filter_map(release).collect()
    }
}
