//! A hash map whose entries stand side by side, in the order in which they came.
//!
//! Rules run for keys in the order in which those came, and look the same keys up in other tables. There they stand side
//! by side too, where a common hash map would have them scattered over memory.

use hashbrown::HashTable;
use std::hash::{BuildHasher, Hash};

const HASHER: foldhash::fast::FixedState = foldhash::fast::FixedState::with_seed(0x6d61_7020);

/// See the module.
pub(crate) struct Map<K, V> {
    index: HashTable<u32>,
    /// `None` where an entry was removed.
    entries: Vec<Option<(K, V)>>,
    free: Vec<u32>,
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Map { index: HashTable::new(), entries: Vec::new(), free: Vec::new() }
    }
}

/// The hash of a key, for an index that is kept apart from its keys.
pub(crate) fn hash<K: Hash>(key: &K) -> u64 {
    HASHER.hash_one(key)
}

impl<K, V> Map<K, V> {
    pub(crate) fn len(&self) -> usize {
        self.index.len()
    }

    /// All entries, in no order that means anything.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().flatten().map(|(key, value)| (key, value))
    }
}

impl<K: Hash + Eq, V> Map<K, V> {
    fn is(&self, at: u32, key: &K) -> bool {
        self.entries[at as usize].as_ref().is_some_and(|(known, _)| known == key)
    }

    fn find(&self, key: &K) -> Option<usize> {
        self.index.find(hash(key), |at| self.is(*at, key)).map(|at| *at as usize)
    }

    pub(crate) fn contains_key(&self, key: &K) -> bool {
        self.find(key).is_some()
    }

    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.entries[self.find(key)?].as_ref().map(|(_, value)| value)
    }

    pub(crate) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let at = self.find(key)?;
        self.entries[at].as_mut().map(|(_, value)| value)
    }

    /// Adds a key that is not there.
    pub(crate) fn insert_new(&mut self, key: K, value: V) -> &mut V {
        let hash = hash(&key);
        let entry = Some((key, value));
        let at = if let Some(at) = self.free.pop() {
            self.entries[at as usize] = entry;
            at
        } else {
            self.entries.push(entry);
            (self.entries.len() - 1) as u32
        };
        self.index.insert_unique(hash, at, rehash(&self.entries));
        self.entries[at as usize].as_mut().map(|(_, value)| value).expect("just put there")
    }

    pub(crate) fn remove(&mut self, key: &K) -> Option<V> {
        let entries = &mut self.entries;
        let is = |at: &u32| entries[*at as usize].as_ref().is_some_and(|(known, _)| known == key);
        let (at, _) = self.index.find_entry(hash(key), is).ok()?.remove();
        self.free.push(at);
        let removed = self.entries[at as usize].take();
        if self.free.len() > self.entries.len() / 2 + 1024 {
            self.compact();
        }
        removed.map(|(_, value)| value)
    }

    /// Gives back memory that a shrunken network left behind.
    fn compact(&mut self) {
        self.entries.retain(Option::is_some);
        self.entries.shrink_to_fit();
        self.free = Vec::new();
        self.index = HashTable::with_capacity(self.entries.len());
        let hasher = rehash(&self.entries);
        for at in 0..self.entries.len() as u32 {
            self.index.insert_unique(hasher(&at), at, &hasher);
        }
    }
}

fn rehash<K: Hash, V>(entries: &[Option<(K, V)>]) -> impl Fn(&u32) -> u64 {
    |at| entries[*at as usize].as_ref().map_or(0, |(key, _)| hash(key))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn it_is_a_map_and_gives_memory_back() {
        let mut rng = kiln_types::Rng::with_seed(7);
        let (mut map, mut model) = (Map::default(), BTreeMap::new());
        for round in 0..40_000 {
            let key = rng.u32(..4000);
            // It grows, then shrinks.
            if rng.u32(..40_000) > round {
                match map.get_mut(&key) {
                    Some(value) => *value = round,
                    None => drop(map.insert_new(key, round)),
                }
                model.insert(key, round);
            } else {
                assert_eq!(map.remove(&key), model.remove(&key));
            }
            assert_eq!(map.get(&key), model.get(&key));
            assert_eq!(map.len(), model.len());
        }
        let mut all: Vec<_> = map.iter().map(|(key, value)| (*key, *value)).collect();
        all.sort_unstable();
        assert_eq!(all, model.into_iter().collect::<Vec<_>>());
        for (key, _) in all {
            map.remove(&key);
        }
        assert!(map.entries.capacity() <= 2048);
    }
}
