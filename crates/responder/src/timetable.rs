//! Which thing is next due, of many.

use kiln_types::Instant;
use std::collections::{BTreeMap, BTreeSet};

/// Things with a time each.
#[derive(Debug)]
pub(crate) struct Timetable<K> {
    times: BTreeMap<K, Instant>,
    order: BTreeSet<(Instant, K)>,
}

impl<K: Ord + Clone> Timetable<K> {
    pub(crate) const fn new() -> Self {
        Timetable { times: BTreeMap::new(), order: BTreeSet::new() }
    }

    /// A thing is due at `at`, whenever it was before.
    pub(crate) fn set(&mut self, key: K, at: Instant) {
        self.remove(&key);
        self.order.insert((at, key.clone()));
        self.times.insert(key, at);
    }

    /// A thing is never due again.
    pub(crate) fn remove(&mut self, key: &K) {
        if let Some(at) = self.times.remove(key) {
            self.order.remove(&(at, key.clone()));
        }
    }

    /// Takes out a thing whose time has come, the longest due first.
    pub(crate) fn pop_due(&mut self, now: Instant) -> Option<K> {
        if self.deadline()? > now {
            return None;
        }
        let (_, key) = self.order.pop_first()?;
        self.times.remove(&key);
        Some(key)
    }

    /// When the next thing is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.order.first().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_due_comes_first_and_each_once() {
        let at = Instant::from_secs;
        let mut times = Timetable::new();
        times.set('a', at(3));
        times.set('b', at(2));
        times.set('c', at(1));
        times.set('a', at(1));
        times.remove(&'b');
        assert_eq!(times.deadline(), Some(at(1)));
        assert_eq!(times.pop_due(Instant::ZERO), None);
        assert_eq!([(); 3].map(|()| times.pop_due(at(9))), [Some('a'), Some('c'), None]);
        assert_eq!(times.deadline(), None);
    }
}
