//! What was learned and not yet handed on to be written: bounded, latest wins, in batches.

use kiln_types::{HashMap, Instant};
use std::collections::BTreeSet;
use std::hash::Hash;

/// Most bindings that wait to be written, and as many forwarding database entries: as many as may be paid for in a second, so
/// that a storm within its budget is written whole.
pub const MAX_PENDING: usize = 20_000;

/// Values by key, each due at a time of its own.
#[derive(Debug)]
pub(crate) struct Learned<K, V> {
    max: usize,
    values: HashMap<K, (Instant, V)>,
    due: BTreeSet<(Instant, K)>,
}

/// As many entries wait as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

impl<K: Copy + Ord + Hash, V> Learned<K, V> {
    /// Nothing yet, and at most `max` values at any time.
    pub(crate) fn new(max: usize) -> Self {
        Learned { max, values: HashMap::default(), due: BTreeSet::new() }
    }

    /// Takes `value`, to be handed on at `due`. A value that already waits gives way to it, and lends it its time if that
    /// is sooner: a stream of changes does not put off their writing.
    pub(crate) fn offer(&mut self, due: Instant, key: K, value: V) -> Result<(), Full> {
        let room = self.values.len() < self.max;
        match self.values.get_mut(&key) {
            Some(old) => {
                if due < old.0 {
                    self.due.remove(&(old.0, key));
                    self.due.insert((due, key));
                    old.0 = due;
                }
                old.1 = value;
                Ok(())
            }
            None if room => {
                self.due.insert((due, key));
                self.values.insert(key, (due, value));
                Ok(())
            }
            None => Err(Full),
        }
    }

    /// Hands on everything that is due, in order of time and key.
    pub(crate) fn take_due(&mut self, now: Instant) -> impl Iterator<Item = (K, V)> + '_ {
        std::iter::from_fn(move || {
            let (_, key) = *self.due.first().filter(|(due, _)| *due <= now)?;
            self.due.pop_first();
            let (_, value) = self.values.remove(&key)?;
            Some((key, value))
        })
    }

    /// Hands on the value of `key`, whenever it is due.
    pub(crate) fn take(&mut self, key: &K) -> Option<V> {
        let (due, value) = self.values.remove(key)?;
        self.due.remove(&(due, *key));
        Some(value)
    }

    /// The value that waits under `key`.
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        self.values.get(key).map(|(_, value)| value)
    }

    /// Whether a value waits under `key`.
    pub(crate) fn holds(&self, key: &K) -> bool {
        self.values.contains_key(key)
    }

    /// Drops the entries that `keep` does not hold on to.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&K, &V) -> bool) {
        let due = &mut self.due;
        self.values.retain(|key, (at, value)| {
            let kept = keep(key, value);
            if !kept {
                due.remove(&(*at, *key));
            }
            kept
        });
    }

    /// When the next entry is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.due.first().map(|(due, _)| *due)
    }

    /// How many entries wait.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    #[test]
    fn the_latest_value_is_handed_on_at_the_earliest_time() {
        let mut learned = Learned::new(9);
        learned.offer(at(30), 1, 'a').unwrap();
        learned.offer(at(50), 1, 'b').unwrap();
        learned.offer(at(20), 2, 'c').unwrap();
        assert_eq!(learned.deadline(), Some(at(20)));
        assert_eq!(learned.take_due(at(29)).collect::<Vec<_>>(), [(2, 'c')]);
        learned.offer(at(10), 1, 'd').unwrap();
        assert_eq!(learned.deadline(), Some(at(10)));
        assert_eq!(learned.take_due(at(30)).collect::<Vec<_>>(), [(1, 'd')]);
        assert_eq!((learned.len(), learned.deadline()), (0, None));
    }

    #[test]
    fn full_refuses_new_keys_alone() {
        let mut learned = Learned::new(10);
        for key in 0..10 {
            learned.offer(at(1), key, 0).unwrap();
        }
        assert_eq!(learned.offer(at(0), 10, 0), Err(Full));
        assert_eq!(learned.offer(at(0), 7, 1), Ok(()));
        assert_eq!(learned.take_due(at(0)).collect::<Vec<_>>(), [(7, 1)]);
        assert_eq!((learned.take(&3), learned.take(&3), learned.holds(&3)), (Some(0), None, false));
        assert_eq!((learned.len(), learned.due.len()), (8, 8));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_and_time_goes_forward(
            offers in proptest::collection::vec((0u64..100, 0u16..1500, any::<u8>()), 0..2000),
            step in 1u64..40,
        ) {
            let mut learned = Learned::new(1000);
            let mut expected = std::collections::BTreeMap::new();
            for (due, key, value) in offers {
                if learned.offer(at(due), key, value).is_ok() {
                    let entry = expected.entry(key).or_insert((due, value));
                    *entry = (entry.0.min(due), value);
                }
                prop_assert!(learned.len() <= 1000);
                prop_assert_eq!(learned.due.len(), learned.len());
            }
            let mut now = 0;
            while learned.len() > 0 {
                for (key, value) in learned.take_due(at(now)).collect::<Vec<_>>() {
                    let (due, latest) = expected.remove(&key).expect("handed on once");
                    prop_assert!(due <= now && now < due + step, "neither early nor a step late");
                    prop_assert_eq!(value, latest);
                }
                now += step;
            }
            prop_assert!(expected.is_empty());
        }
    }
}
