//! What a run has read, and which runs have read a cell.
//!
//! Most runs read little but what stands under their own key. That is kept with the run, and its rule is told by the
//! source under which keys something has changed; only what else a run has read is found through [`Readers`].

use crate::cell::{Cell, Parts};
use hashbrown::{HashTable, hash_table};
use kiln_types::is_roomy;
use roaring::RoaringBitmap;
use std::cell::RefCell;

/// The reads of one run, recorded while it goes on.
#[derive(Debug, Default)]
pub struct Reads {
    noted: RefCell<Noted>,
    /// Where the rule's source and the run's key are.
    own: (usize, usize),
    /// The step that is running: it may read what earlier steps wrote, and inputs.
    pub(crate) step: u16,
}

/// What a run has read.
#[derive(Debug, Default)]
pub(crate) struct Noted {
    /// Parts of what stands under the run's own key in its rule's source.
    pub(crate) own: u32,
    /// Everything else.
    pub(crate) others: Vec<Parts>,
}

fn place<T>(of: &T) -> usize {
    std::ptr::from_ref(of).addr()
}

impl Reads {
    pub(crate) fn for_step(step: u16) -> Self {
        Reads { step, ..Reads::default() }
    }

    /// Starts over for a run that has `key` of `source`.
    pub(crate) fn begin<S, K>(&mut self, source: &S, key: &K) {
        self.own = (place(source), place(key));
        let noted = self.noted.get_mut();
        noted.own = 0;
        noted.others.clear();
    }

    /// Whether this is the run's source and the very key that it was given. A copy of the key is read like any other.
    pub(crate) fn is_own<T, K>(&self, table: &T, key: &K) -> bool {
        self.own == (place(table), place(key))
    }

    /// Notes what is read of what stands under the run's own key, or elsewhere.
    pub(crate) fn note(&self, own: bool, parts: Parts) {
        let mut noted = self.noted.borrow_mut();
        if own {
            noted.own |= parts.bits;
            return;
        }
        // Columns of a row are mostly read one after the other.
        match noted.others.last_mut() {
            Some(last) if last.cell == parts.cell => last.bits |= parts.bits,
            _ => noted.others.push(parts),
        }
    }

    /// The reads since [`Reads::begin`], those of other cells sorted and each cell once.
    pub(crate) fn noted(&mut self) -> &Noted {
        let noted = self.noted.get_mut();
        noted.others.sort_unstable_by_key(|parts| parts.cell);
        noted.others.dedup_by(|later, earlier| {
            let same = later.cell == earlier.cell;
            earlier.bits |= if same { later.bits } else { 0 };
            same
        });
        noted
    }
}

/// A rule's step and the slot of one of its runs, in 31 bits: the top one is spared for [`Entry`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RunRef(u32);

const SLOT_BITS: u32 = 22;
/// How many runs a rule may have.
pub(crate) const MAX_SLOTS: u32 = 1 << SLOT_BITS;
/// How many steps an engine may have.
pub(crate) const MAX_STEPS: u16 = 1 << (31 - SLOT_BITS);

impl RunRef {
    pub(crate) fn new(step: u16, slot: u32) -> Self {
        assert!(
            step < MAX_STEPS && slot < MAX_SLOTS,
            "step {step} has too many runs, or there are too many steps"
        );
        RunRef(u32::from(step) << SLOT_BITS | slot)
    }

    pub(crate) fn step(self) -> u16 {
        (self.0 >> SLOT_BITS) as u16
    }

    pub(crate) fn slot(self) -> u32 {
        self.0 & (MAX_SLOTS - 1)
    }
}

/// A run that has read a cell, and which parts of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Reader {
    run: RunRef,
    bits: u32,
}

/// Many cells have one reader, some have a few, and few have thousands: one word for the first, a list or bitmaps for
/// the others.
#[derive(Clone, Copy)]
struct Entry {
    cell: Cell,
    /// A run, or a list when the top bit is set.
    word: u32,
    bits: u32,
}

const LIST: u32 = 1 << 31;

impl Entry {
    fn list(self) -> Option<usize> {
        (self.word & LIST != 0).then_some((self.word & !LIST) as usize)
    }

    fn hash(&self) -> u64 {
        self.cell.hash()
    }
}

enum List {
    Few(Vec<Reader>),
    /// Runs by the parts that they have read.
    Many(Vec<(u32, RoaringBitmap)>),
}

const FEW: usize = 24;

impl List {
    fn insert(&mut self, reader: Reader) {
        match self {
            List::Few(readers) if readers.len() < FEW => readers.push(reader),
            List::Few(readers) => {
                let readers = std::mem::take(readers);
                *self = List::Many(Vec::new());
                readers.into_iter().chain([reader]).for_each(|reader| self.insert(reader));
            }
            List::Many(sets) => match sets.iter_mut().find(|(bits, _)| *bits == reader.bits) {
                // Runs mostly come in their order.
                Some((_, runs)) => {
                    let _ = runs.try_push(reader.run.0).is_ok() || runs.insert(reader.run.0);
                }
                None => sets.push((reader.bits, [reader.run.0].into_iter().collect())),
            },
        }
    }

    fn remove(&mut self, reader: Reader) {
        match self {
            List::Few(readers) => {
                if let Some(at) = readers.iter().position(|known| *known == reader) {
                    readers.swap_remove(at);
                }
            }
            List::Many(sets) => {
                if let Some(at) = sets.iter().position(|(bits, _)| *bits == reader.bits) {
                    sets[at].1.remove(reader.run.0);
                    if sets[at].1.is_empty() {
                        sets.swap_remove(at);
                    }
                }
            }
        }
    }

    fn is_empty(&self) -> bool {
        match self {
            List::Few(readers) => readers.is_empty(),
            List::Many(sets) => sets.is_empty(),
        }
    }
}

/// Which runs have read which cell.
#[derive(Default)]
pub(crate) struct Readers {
    cells: HashTable<Entry>,
    lists: Vec<List>,
    free_lists: Vec<u32>,
}

impl Readers {
    /// Records that `run` now reads `new` and no longer the rest of `old`. Both are sorted, with each cell once.
    pub(crate) fn change(&mut self, run: RunRef, old: &[Parts], new: &[Parts]) {
        let (mut i, mut j) = (0, 0);
        while i < old.len() || j < new.len() {
            match (old.get(i), new.get(j)) {
                (Some(o), Some(n)) if o == n => (i, j) = (i + 1, j + 1),
                (Some(o), n) if n.is_none_or(|n| o.cell <= n.cell) => {
                    self.remove(o.cell, Reader { run, bits: o.bits });
                    i += 1;
                }
                (_, Some(n)) => {
                    self.insert(n.cell, Reader { run, bits: n.bits });
                    j += 1;
                }
                (_, None) => unreachable!("an old cell without a new one was removed above"),
            }
        }
    }

    fn insert(&mut self, cell: Cell, reader: Reader) {
        let mut known = match self.cells.entry(cell.hash(), |entry| entry.cell == cell, Entry::hash) {
            hash_table::Entry::Vacant(vacant) => {
                vacant.insert(Entry { cell, word: reader.run.0, bits: reader.bits });
                return;
            }
            hash_table::Entry::Occupied(known) => known,
        };
        let entry = known.get_mut();
        if let Some(index) = entry.list() {
            return self.lists[index].insert(reader);
        }
        let first = Reader { run: RunRef(entry.word), bits: entry.bits };
        let list = List::Few(vec![first, reader]);
        let index = if let Some(index) = self.free_lists.pop() {
            self.lists[index as usize] = list;
            index
        } else {
            self.lists.push(list);
            (self.lists.len() - 1) as u32
        };
        entry.word = LIST | index;
    }

    fn remove(&mut self, cell: Cell, reader: Reader) {
        let Ok(known) = self.cells.find_entry(cell.hash(), |entry| entry.cell == cell) else { return };
        let Some(index) = known.get().list() else {
            debug_assert_eq!((known.get().word, known.get().bits), (reader.run.0, reader.bits));
            known.remove();
            return;
        };
        self.lists[index].remove(reader);
        if self.lists[index].is_empty() {
            self.lists[index] = List::Few(Vec::new());
            self.free_lists.push(index as u32);
            known.remove();
        }
    }

    /// Calls `f` with every run that has read some of `parts`.
    pub(crate) fn of(&self, parts: Parts, mut f: impl FnMut(RunRef)) {
        let cell = parts.cell;
        let Some(entry) = self.cells.find(cell.hash(), |entry| entry.cell == cell) else { return };
        match entry.list().map(|index| &self.lists[index]) {
            None if entry.bits & parts.bits != 0 => f(RunRef(entry.word)),
            None => {}
            Some(List::Few(readers)) => {
                readers
                    .iter()
                    .filter(|reader| reader.bits & parts.bits != 0)
                    .for_each(|reader| f(reader.run));
            }
            Some(List::Many(sets)) => {
                let read = sets.iter().filter(|(bits, _)| bits & parts.bits != 0);
                read.flat_map(|(_, runs)| runs).for_each(|run| f(RunRef(run)));
            }
        }
    }

    /// Gives back memory that a shrunken network left behind.
    pub(crate) fn shrink(&mut self) {
        if is_roomy(self.cells.capacity(), self.cells.len()) {
            self.cells.shrink_to_fit(Entry::hash);
        }
        let is_free = |list: &List| matches!(list, List::Few(runs) if runs.is_empty());
        if self.free_lists.len() > self.lists.len() / 2 + 1024 && self.lists.last().is_some_and(is_free) {
            let len = self.lists.iter().rposition(|list| !is_free(list)).map_or(0, |last| last + 1);
            self.lists.truncate(len);
            self.lists.shrink_to_fit();
            self.free_lists.retain(|index| (*index as usize) < len);
            // The lowest first, so that the end comes free again.
            self.free_lists.sort_unstable_by_key(|index| std::cmp::Reverse(*index));
            self.free_lists.shrink_to_fit();
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.cells.len()
    }
}
