//! Tables of pairs that rules run for one by one: values under keys, elements of sets, and what two tables have under the
//! same key.

use crate::cell::{Cell, PRESENCE, TableId};
use crate::map::Map;
use crate::reads::Reads;
use crate::{AnySource, Changes, Key, Source, Target};
use kiln_types::{HashMap, SharedSet};
use std::collections::BTreeSet;

/// Pairs of a key and a value, each as often as runs wrote it. Rules run for each pair; one that comes or goes costs the
/// same however many stand under its key.
pub struct Pairs<K: Key, V: Key> {
    id: TableId,
    counts: Map<(K, V), u32>,
    /// How many different values each key has.
    sizes: Map<K, usize>,
    changes: Changes<(K, V)>,
}

impl<K: Key, V: Key> Pairs<K, V> {
    /// An empty table. `name` must be unique among the tables of a database.
    pub fn new(name: &'static str) -> Self {
        let changes = Changes::input(name);
        Pairs { id: TableId::of(name), counts: Map::default(), sizes: Map::default(), changes }
    }

    fn note(&mut self, pair: &(K, V)) {
        self.changes.note(pair, Cell::row(self.id, pair).whole());
    }

    fn add(&mut self, pair: (K, V)) {
        if let Some(count) = self.counts.get_mut(&pair) {
            *count += 1;
            return;
        }
        self.note(&pair);
        let key = Cell::row(self.id, &pair.0);
        match self.sizes.get_mut(&pair.0) {
            Some(size) => {
                *size += 1;
                if *size == 2 {
                    self.changes.parts.push(key.whole());
                }
            }
            None => drop(self.sizes.insert_new(pair.0.clone(), 1)),
        }
        self.counts.insert_new(pair, 1);
    }

    fn remove(&mut self, pair: &(K, V)) {
        let count = self.counts.get_mut(pair).expect("what a run wrote is there until it is taken back");
        *count -= 1;
        if *count > 0 {
            return;
        }
        self.counts.remove(pair);
        self.note(pair);
        let size = self.sizes.get_mut(&pair.0).expect("as above");
        *size -= 1;
        match *size {
            0 => drop(self.sizes.remove(&pair.0)),
            1 => self.changes.parts.push(Cell::row(self.id, &pair.0).whole()),
            _ => {}
        }
    }

    pub(crate) fn holds(&self, pair: &(K, V), reads: &Reads) -> bool {
        self.changes.note_read(reads);
        reads.note(reads.is_own(self, pair), Cell::row(self.id, pair).whole());
        self.counts.contains_key(pair)
    }

    pub(crate) fn has_several(&self, key: &K, reads: &Reads) -> bool {
        self.changes.note_read(reads);
        reads.note(false, Cell::row(self.id, key).whole());
        self.sizes.get(key).is_some_and(|size| *size > 1)
    }
}

impl<K: Key, V: Key> Source for Pairs<K, V> {
    type Key = (K, V);
    fn has(&self, pair: &(K, V)) -> bool {
        self.counts.contains_key(pair)
    }
    fn changes(&self) -> &Changes<(K, V)> {
        &self.changes
    }
    fn changes_mut(&mut self) -> &mut Changes<(K, V)> {
        &mut self.changes
    }
}

impl<K: Key, V: Key> Target for Pairs<K, V> {
    type Written = Vec<(K, V)>;
    type Id = (K, V);

    fn replace(&mut self, old: &[(K, V)], new: &mut Vec<(K, V)>) -> Box<[(K, V)]> {
        // Additions first, so that a pair that stays is never gone.
        for pair in &*new {
            self.add(pair.clone());
        }
        for pair in old {
            self.remove(pair);
        }
        new.drain(..).collect()
    }

    fn as_source(&mut self) -> Option<&mut dyn AnySource> {
        Some(self)
    }
}

/// A set for each key, written as a whole by one run. Rules run for each element, and only for those in which one set differs
/// from the next.
pub struct Sets<K: Key, E: Key> {
    sets: Map<K, SharedSet<E>>,
    changes: Changes<(K, E)>,
}

impl<K: Key, E: Key> Sets<K, E> {
    /// An empty table. `name` must be unique among the tables of a database.
    pub fn new(name: &'static str) -> Self {
        Sets { sets: Map::default(), changes: Changes::input(name) }
    }

    fn note(&mut self, key: &K, old: &SharedSet<E>, new: &SharedSet<E>) {
        let changed = old.differences(new).map(|element| ((key.clone(), element.clone()), PRESENCE));
        self.changes.keys.extend(changed);
    }
}

impl<K: Key, E: Key> Source for Sets<K, E> {
    type Key = (K, E);
    fn has(&self, (key, element): &(K, E)) -> bool {
        self.sets.get(key).is_some_and(|set| set.contains(element))
    }
    fn changes(&self) -> &Changes<(K, E)> {
        &self.changes
    }
    fn changes_mut(&mut self) -> &mut Changes<(K, E)> {
        &mut self.changes
    }
}

impl<K: Key, E: Key> Target for Sets<K, E> {
    type Written = Vec<(K, SharedSet<E>)>;
    type Id = K;

    fn replace(&mut self, old: &[K], new: &mut Vec<(K, SharedSet<E>)>) -> Box<[K]> {
        let keys: Box<[K]> = new.iter().map(|(key, _)| key.clone()).collect();
        for key in old.iter().filter(|key| !keys.contains(key)) {
            if let Some(set) = self.sets.remove(key) {
                self.note(key, &set, &SharedSet::default());
            }
        }
        for (key, set) in new.drain(..) {
            let before = match self.sets.get_mut(&key) {
                Some(known) => std::mem::replace(known, set.clone()),
                None => {
                    self.sets.insert_new(key.clone(), set.clone());
                    SharedSet::default()
                }
            };
            self.note(&key, &before, &set);
        }
        keys
    }

    fn as_source(&mut self) -> Option<&mut dyn AnySource> {
        Some(self)
    }
}

/// Calls `differs` for what stands in one of two sorted slices alone.
pub(crate) fn merge<T: Ord>(old: &[T], new: &[T], mut differs: impl FnMut(&T)) {
    let (old, new) = without_common_ends(old, new);
    let (mut i, mut j) = (0, 0);
    while i < old.len() || j < new.len() {
        let ordering = match (old.get(i), new.get(j)) {
            (Some(a), Some(b)) => a.cmp(b),
            (Some(_), None) => std::cmp::Ordering::Less,
            (None, _) => std::cmp::Ordering::Greater,
        };
        match ordering {
            std::cmp::Ordering::Less => differs(&old[i]),
            std::cmp::Ordering::Greater => differs(&new[j]),
            std::cmp::Ordering::Equal => {}
        }
        i += usize::from(ordering.is_le());
        j += usize::from(ordering.is_ge());
    }
}

/// The middles of two slices, between what they begin and end with alike. Shared texts are seen to be equal without being
/// read.
fn without_common_ends<'a, T: PartialEq>(old: &'a [T], new: &'a [T]) -> (&'a [T], &'a [T]) {
    let first = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old, new) = (&old[first..], &new[first..]);
    let last = old.iter().rev().zip(new.iter().rev()).take_while(|(a, b)| a == b).count();
    (&old[..old.len() - last], &new[..new.len() - last])
}

/// Every pair of what two tables have under the same key. It is an allocator's table: [`Join::follow`] brings it up to date.
pub struct Join<K: Key, L: Key, R: Key> {
    sides: HashMap<K, (BTreeSet<L>, BTreeSet<R>)>,
    changes: Changes<(K, L, R)>,
}

impl<K: Key, L: Key, R: Key> Join<K, L, R> {
    /// An empty table. `name` must be unique among the tables of a database.
    pub fn new(name: &'static str) -> Self {
        Join { sides: HashMap::default(), changes: Changes::input(name) }
    }

    /// Takes in what has changed in both tables since the last settle.
    pub fn follow(&mut self, left: &Pairs<K, L>, right: &Pairs<K, R>) {
        let changed = &mut self.changes.keys;
        for (pair, _) in &left.changes.keys {
            let (key, value) = pair;
            let sides = self.sides.entry(key.clone()).or_default();
            let now = left.has(pair);
            if now != sides.0.contains(value) {
                let others = sides.1.iter().map(|other| (key.clone(), value.clone(), other.clone()));
                changed.extend(others.map(|key| (key, PRESENCE)));
                set(&mut sides.0, value, now);
            }
        }
        for (pair, _) in &right.changes.keys {
            let (key, value) = pair;
            let sides = self.sides.entry(key.clone()).or_default();
            let now = right.has(pair);
            if now != sides.1.contains(value) {
                let others = sides.0.iter().map(|other| (key.clone(), other.clone(), value.clone()));
                changed.extend(others.map(|key| (key, PRESENCE)));
                set(&mut sides.1, value, now);
            }
        }
        let left = left.changes.keys.iter().map(|((key, _), _)| key);
        for key in left.chain(right.changes.keys.iter().map(|((key, _), _)| key)) {
            if self.sides.get(key).is_some_and(|(left, right)| left.is_empty() && right.is_empty()) {
                self.sides.remove(key);
            }
        }
    }
}

fn set<T: Key>(values: &mut BTreeSet<T>, value: &T, now: bool) {
    if now {
        values.insert(value.clone());
    } else {
        values.remove(value);
    }
}

impl<K: Key, L: Key, R: Key> Source for Join<K, L, R> {
    type Key = (K, L, R);
    fn has(&self, (key, left, right): &(K, L, R)) -> bool {
        self.sides.get(key).is_some_and(|(lefts, rights)| lefts.contains(left) && rights.contains(right))
    }
    fn changes(&self) -> &Changes<(K, L, R)> {
        &self.changes
    }
    fn changes_mut(&mut self) -> &mut Changes<(K, L, R)> {
        &mut self.changes
    }
}
