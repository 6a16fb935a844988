//! Tables that rules write and later rules read.

use crate::cell::{Cell, TableId};
use crate::map::Map;
use crate::reads::Reads;
use crate::{AnySource, Changes, Key, Source, Target};
use std::hash::Hash;

/// A value for each key, each written by one run: a derived query. An equal value stops the change there.
pub struct Derived<K: Key, V> {
    id: TableId,
    values: Map<K, V>,
    changes: Changes<K>,
}

impl<K: Key, V: PartialEq> Derived<K, V> {
    /// An empty table. `name` must be unique among the tables of a database.
    pub fn new(name: &'static str) -> Self {
        Derived { id: TableId::of(name), values: Map::default(), changes: Changes::input(name) }
    }

    /// A value, unrecorded: for shells and allocators, never for rules.
    pub fn peek(&self, key: &K) -> Option<&V> {
        self.values.get(key)
    }

    /// A number that grows with every change that was settled: for shells that derive something of their own.
    pub fn revision(&self) -> u64 {
        self.changes.revision
    }

    /// All values in no particular order, unrecorded.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.values.iter()
    }

    /// Sets the value of `key`: what allocators do with their grants.
    pub fn put(&mut self, key: K, value: V) {
        let cell = Cell::row(self.id, &key);
        match self.values.get_mut(&key) {
            Some(old) if *old == value => {}
            Some(old) => {
                *old = value;
                self.changes.note(&key, cell.value());
            }
            None => {
                self.changes.note(&key, cell.whole());
                self.values.insert_new(key, value);
            }
        }
    }

    /// Removes the value of `key`.
    pub fn delete(&mut self, key: &K) -> Option<V> {
        let value = self.values.remove(key)?;
        self.changes.note(key, Cell::row(self.id, key).whole());
        Some(value)
    }

    pub(crate) fn read<'a>(&'a self, key: &K, reads: &Reads) -> Option<&'a V> {
        self.changes.note_read(reads);
        reads.note(reads.is_own(self, key), Cell::row(self.id, key).value());
        self.values.get(key)
    }

    pub(crate) fn holds(&self, key: &K, reads: &Reads) -> bool {
        self.changes.note_read(reads);
        reads.note(reads.is_own(self, key), Cell::row(self.id, key).presence());
        self.values.contains_key(key)
    }
}

impl<K: Key, V> Source for Derived<K, V> {
    type Key = K;
    fn has(&self, key: &K) -> bool {
        self.values.contains_key(key)
    }
    fn changes(&self) -> &Changes<K> {
        &self.changes
    }
    fn changes_mut(&mut self) -> &mut Changes<K> {
        &mut self.changes
    }
}

impl<K: Key, V: PartialEq + Send + Sync + 'static> Target for Derived<K, V> {
    type Written = Vec<(K, V)>;
    type Id = K;

    fn replace(&mut self, old: &[K], new: &mut Vec<(K, V)>) -> Box<[K]> {
        let keys: Box<[K]> = new.iter().map(|(key, _)| key.clone()).collect();
        for key in old {
            if !keys.contains(key) {
                self.delete(key);
            }
        }
        for (key, value) in new.drain(..) {
            self.put(key, value);
        }
        keys
    }

    fn as_source(&mut self) -> Option<&mut dyn AnySource> {
        Some(self)
    }
}

/// Several values under each key, written by any number of runs, each value as often as it was written: an index, a
/// reverse reference, the routes of a router.
pub struct Relation<K: Key, V> {
    id: TableId,
    groups: Map<K, Group<V>>,
    changes: Changes<K>,
}

/// Values in order, and how many runs wrote each.
struct Group<V> {
    values: Vec<V>,
    counts: Vec<u32>,
}

impl<K: Key, V: Ord + Clone + Hash> Relation<K, V> {
    /// An empty relation. `name` must be unique among the tables of a database.
    pub fn new(name: &'static str) -> Self {
        Relation { id: TableId::of(name), groups: Map::default(), changes: Changes::input(name) }
    }

    fn add(&mut self, key: K, value: V) {
        let cell = Cell::row(self.id, &key);
        let Some(group) = self.groups.get_mut(&key) else {
            self.changes.note(&key, cell.whole());
            self.changes.parts.push(cell.element(0, &value).whole());
            self.groups.insert_new(key, Group { values: vec![value], counts: vec![1] });
            return;
        };
        match group.values.binary_search(&value) {
            Ok(at) => group.counts[at] += 1,
            Err(at) => {
                self.changes.note(&key, cell.whole());
                self.changes.parts.push(cell.element(0, &value).whole());
                group.values.insert(at, value);
                group.counts.insert(at, 1);
            }
        }
    }

    fn remove(&mut self, key: &K, value: &V) {
        let group = self.groups.get_mut(key).expect("what a run wrote is there until it is taken back");
        let at = group.values.binary_search(value).expect("as above");
        group.counts[at] -= 1;
        if group.counts[at] > 0 {
            return;
        }
        group.values.remove(at);
        group.counts.remove(at);
        if group.values.capacity() > 4 * group.values.len() + 64 {
            group.values.shrink_to_fit();
            group.counts.shrink_to_fit();
        }
        let cell = Cell::row(self.id, key);
        self.changes.note(key, cell.whole());
        self.changes.parts.push(cell.element(0, value).whole());
        if group.values.is_empty() {
            self.groups.remove(key);
        }
    }

    /// The values under a key in order, unrecorded: for shells and allocators, never for rules.
    pub fn peek(&self, key: &K) -> &[V] {
        self.groups.get(key).map_or(&[], |group| &group.values)
    }

    /// A number that grows with every change that was settled: for shells that derive something of their own.
    pub fn revision(&self) -> u64 {
        self.changes.revision
    }

    /// All groups in no particular order, unrecorded.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &[V])> {
        self.groups.iter().map(|(key, group)| (key, group.values.as_slice()))
    }

    pub(crate) fn read<'a>(&'a self, key: &K, reads: &Reads) -> &'a [V] {
        self.changes.note_read(reads);
        reads.note(reads.is_own(self, key), Cell::row(self.id, key).whole());
        self.peek(key)
    }

    pub(crate) fn holds(&self, key: &K, value: &V, reads: &Reads) -> bool {
        self.changes.note_read(reads);
        reads.note(false, Cell::row(self.id, key).element(0, value).whole());
        self.peek(key).binary_search(value).is_ok()
    }
}

impl<K: Key, V> Source for Relation<K, V> {
    type Key = K;
    fn has(&self, key: &K) -> bool {
        self.groups.contains_key(key)
    }
    fn changes(&self) -> &Changes<K> {
        &self.changes
    }
    fn changes_mut(&mut self) -> &mut Changes<K> {
        &mut self.changes
    }
}

impl<K: Key, V: Ord + Clone + Hash + Send + Sync + 'static> Target for Relation<K, V> {
    type Written = Vec<(K, V)>;
    type Id = (K, V);

    fn replace(&mut self, old: &[(K, V)], new: &mut Vec<(K, V)>) -> Box<[(K, V)]> {
        // Most of what a run writes again is what it wrote before: only the rest is touched, additions first, so that
        // the count of a value that stays never reaches zero and is not noted as changed.
        new.sort_unstable();
        for (key, value) in beyond(new, old) {
            self.add(key.clone(), value.clone());
        }
        for (key, value) in beyond(old, new) {
            self.remove(key, value);
        }
        new.drain(..).collect()
    }

    fn as_source(&mut self) -> Option<&mut dyn AnySource> {
        Some(self)
    }
}

/// What stands in `these` more often than in `those`. Both are sorted.
fn beyond<'a, T: Ord>(these: &'a [T], those: &'a [T]) -> impl Iterator<Item = &'a T> {
    let mut those = those.iter().peekable();
    these.iter().filter(move |item| {
        while those.next_if(|other| other < item).is_some() {}
        those.next_if(|other| other == item).is_none()
    })
}
