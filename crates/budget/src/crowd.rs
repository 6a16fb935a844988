//! A bounded number of entries by key; those that find no room share one.

use kiln_types::HashMap;
use std::collections::VecDeque;
use std::hash::Hash;

/// How many entries are looked at for one to forget when a new one needs room.
const LOOKED_AT: usize = 4;

/// Entries by key, at most so many.
#[derive(Debug)]
pub(crate) struct Crowd<K, V> {
    entries: HashMap<K, V>,
    /// The keys of all entries, in the order in which it is their turn to be looked at.
    turn: VecDeque<K>,
    max: usize,
    /// What those share that found no room.
    rest: Option<Box<V>>,
}

impl<K: Copy + Eq + Hash, V> Crowd<K, V> {
    pub(crate) fn new(max: usize) -> Self {
        Crowd { entries: HashMap::default(), turn: VecDeque::new(), max, rest: None }
    }

    /// The entry of `key`, and whether it is its own. A new one takes the place of one that `idle` says is as good as new, which
    /// goes to `forgotten`.
    pub(crate) fn entry(
        &mut self,
        key: K,
        new: impl Fn() -> V,
        mut idle: impl FnMut(&mut V) -> bool,
        forgotten: impl FnMut(V),
    ) -> (&mut V, bool) {
        if self.entries.len() >= self.max && !self.entries.contains_key(&key) {
            self.make_room(&mut idle, forgotten);
            if self.entries.len() >= self.max {
                return (self.rest.get_or_insert_with(|| Box::new(new())), false);
            }
        }
        let entry = self.entries.entry(key).or_insert_with(|| {
            self.turn.push_back(key);
            new()
        });
        (entry, true)
    }

    fn make_room(&mut self, idle: &mut impl FnMut(&mut V) -> bool, mut forgotten: impl FnMut(V)) {
        for _ in 0..LOOKED_AT.min(self.turn.len()) {
            let Some(key) = self.turn.pop_front() else { return };
            if self.entries.get_mut(&key).is_none_or(&mut *idle) {
                if let Some(value) = self.entries.remove(&key) {
                    forgotten(value);
                }
                return;
            }
            self.turn.push_back(key);
        }
    }

    /// Forgets the entries that `gone` names; with the last one also what the rest shared.
    pub(crate) fn forget(&mut self, gone: impl Fn(&K) -> bool, mut forgotten: impl FnMut(V)) {
        let keys: Vec<K> = self.entries.keys().filter(|key| gone(key)).copied().collect();
        if keys.is_empty() {
            return;
        }
        for key in keys {
            self.entries.remove(&key).into_iter().for_each(&mut forgotten);
        }
        if self.entries.is_empty() {
            self.rest.take().into_iter().for_each(|rest| forgotten(*rest));
        }
        let entries = &self.entries;
        self.turn.retain(|key| entries.contains_key(key));
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Every entry, that of the rest without a key.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (Option<&K>, &V)> {
        let rest = self.rest.as_deref().map(|rest| (None, rest));
        self.entries.iter().map(|(key, value)| (Some(key), value)).chain(rest)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.entries.values_mut().chain(self.rest.as_deref_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_entries_make_room_and_busy_ones_do_not() {
        let mut crowd = Crowd::new(3);
        let mut get = |key: u32, idle: &dyn Fn(u32) -> bool| {
            let mut forgotten = Vec::new();
            let (value, own) = crowd.entry(key, || key, |value| idle(*value), |value| forgotten.push(value));
            let value = *value;
            assert_eq!(own, value == key && key != 7);
            assert!(crowd.len() <= 3 && crowd.turn.len() == crowd.len());
            (value, forgotten)
        };
        for key in 0..3 {
            assert_eq!(get(key, &|_| false), (key, vec![]));
        }
        assert_eq!(get(7, &|_| false), (7, vec![]), "the first of the rest");
        assert_eq!(get(8, &|_| false), (7, vec![]), "shares with the others of the rest");
        assert_eq!(get(9, &|value| value == 1), (9, vec![1]));
        assert_eq!(get(2, &|_| true), (2, vec![]), "is there already");
        crowd.forget(|key| *key == 9, |_| {});
        assert_eq!((crowd.len(), crowd.turn.len(), crowd.iter().count()), (2, 2, 3));
        crowd.forget(|_| true, |_| {});
        assert_eq!((crowd.len(), crowd.turn.len(), crowd.iter().count()), (0, 0, 0));
    }
}
