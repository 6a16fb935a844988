//! What rules say that the slow path has to do, told as differences: what is new and what went.

use kiln_incr::Target;
use std::collections::{BTreeMap, BTreeSet};

/// Things that rules want, and those that changed since the last time that this was asked.
#[derive(Debug)]
pub struct Changes<T> {
    wanted: BTreeMap<T, u32>,
    told: BTreeSet<T>,
    changed: BTreeSet<T>,
}

impl<T> Default for Changes<T> {
    fn default() -> Self {
        Changes { wanted: BTreeMap::new(), told: BTreeSet::new(), changed: BTreeSet::new() }
    }
}

impl<T: Ord + Clone + Send + Sync> Target for Changes<T> {
    type Written = Vec<T>;
    type Id = T;

    fn replace(&mut self, old: &[T], new: &mut Vec<T>) -> Box<[T]> {
        for thing in &*new {
            *self.wanted.entry(thing.clone()).or_insert(0) += 1;
            self.changed.insert(thing.clone());
        }
        for thing in old {
            if let Some(count) = self.wanted.get_mut(thing) {
                *count -= 1;
                if *count == 0 {
                    self.wanted.remove(thing);
                }
            }
            self.changed.insert(thing.clone());
        }
        new.drain(..).collect()
    }
}

impl<T: Ord + Clone> Changes<T> {
    /// What went and what is new.
    pub(crate) fn take(&mut self) -> (Vec<T>, Vec<T>) {
        let (mut gone, mut new) = (Vec::new(), Vec::new());
        for thing in std::mem::take(&mut self.changed) {
            match (self.wanted.contains_key(&thing), self.told.contains(&thing)) {
                (false, true) => {
                    self.told.remove(&thing);
                    gone.push(thing);
                }
                (true, false) => {
                    self.told.insert(thing.clone());
                    new.push(thing);
                }
                _ => {}
            }
        }
        (gone, new)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_differences_are_told() {
        let mut changes = Changes::default();
        let one = changes.replace(&[], &mut vec!['a', 'b']);
        changes.replace(&[], &mut vec!['b']);
        assert_eq!(changes.take(), (vec![], vec!['a', 'b']));
        changes.replace(&one, &mut vec!['c']);
        assert_eq!(changes.take(), (vec!['a'], vec!['c']), "b is wanted by another still");
        let same = changes.replace(&[], &mut vec!['d']);
        changes.replace(&same, &mut vec![]);
        assert_eq!(changes.take(), (vec![], vec![]));
    }
}
