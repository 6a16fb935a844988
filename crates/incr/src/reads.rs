//! What a run has read, and which runs have read a cell.

use crate::cell::Cell;
use kiln_types::HashMap;
use roaring::RoaringBitmap;
use std::cell::RefCell;

/// The reads of one run, recorded while it goes on.
#[derive(Debug, Default)]
pub struct Reads {
    cells: RefCell<Vec<Cell>>,
    /// The step that is running: it may read what earlier steps wrote, and inputs.
    pub(crate) step: u16,
}

impl Reads {
    pub(crate) fn for_step(step: u16) -> Self {
        Reads { cells: RefCell::default(), step }
    }

    pub(crate) fn note(&self, cell: Cell) {
        self.cells.borrow_mut().push(cell);
    }

    /// The reads so far, sorted and each once; the recorder is empty afterwards.
    pub(crate) fn take(&self) -> Box<[Cell]> {
        let mut cells = self.cells.borrow_mut();
        cells.sort_unstable();
        cells.dedup();
        let taken = cells.as_slice().into();
        cells.clear();
        taken
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

/// Most cells have one reader, a few have thousands: one word for the first, a list or a bitmap for the others.
#[derive(Clone, Copy)]
struct Entry(u32);

const LIST: u32 = 1 << 31;

enum List {
    Few(Vec<RunRef>),
    Many(RoaringBitmap),
}

const FEW: usize = 24;

/// Which runs have read which cell.
#[derive(Default)]
pub(crate) struct Readers {
    cells: HashMap<Cell, Entry>,
    lists: Vec<List>,
    free_lists: Vec<u32>,
}

impl Readers {
    /// Records that `run` now reads `new` and no longer the rest of `old`. Both are sorted.
    pub(crate) fn change(&mut self, run: RunRef, old: &[Cell], new: &[Cell]) {
        let (mut i, mut j) = (0, 0);
        while i < old.len() || j < new.len() {
            match (old.get(i), new.get(j)) {
                (Some(o), Some(n)) if o == n => (i, j) = (i + 1, j + 1),
                (Some(o), n) if n.is_none_or(|n| o < n) => {
                    self.remove(*o, run);
                    i += 1;
                }
                (_, Some(n)) => {
                    self.insert(*n, run);
                    j += 1;
                }
                (_, None) => unreachable!("an old cell without a new one was removed above"),
            }
        }
    }

    fn insert(&mut self, cell: Cell, run: RunRef) {
        use std::collections::hash_map::Entry::{Occupied, Vacant};
        match self.cells.entry(cell) {
            Vacant(slot) => {
                slot.insert(Entry(run.0));
            }
            Occupied(slot) if slot.get().0 & LIST == 0 => {
                let list = List::Few(vec![RunRef(slot.get().0), run]);
                let index = if let Some(index) = self.free_lists.pop() {
                    self.lists[index as usize] = list;
                    index
                } else {
                    self.lists.push(list);
                    (self.lists.len() - 1) as u32
                };
                slot.into_mut().0 = LIST | index;
            }
            Occupied(slot) => match &mut self.lists[(slot.get().0 & !LIST) as usize] {
                List::Many(runs) => {
                    runs.insert(run.0);
                }
                list @ List::Few(_) => {
                    let List::Few(runs) = &mut *list else { unreachable!() };
                    runs.push(run);
                    if runs.len() > FEW {
                        *list = List::Many(runs.iter().map(|r| r.0).collect());
                    }
                }
            },
        }
    }

    fn remove(&mut self, cell: Cell, run: RunRef) {
        let Some(entry) = self.cells.get(&cell).copied() else { return };
        if entry.0 & LIST == 0 {
            debug_assert_eq!(entry.0, run.0);
            self.cells.remove(&cell);
            return;
        }
        let index = entry.0 & !LIST;
        let empty = match &mut self.lists[index as usize] {
            List::Few(runs) => {
                if let Some(at) = runs.iter().position(|r| *r == run) {
                    runs.swap_remove(at);
                }
                runs.is_empty()
            }
            List::Many(runs) => {
                runs.remove(run.0);
                runs.is_empty()
            }
        };
        if empty {
            self.lists[index as usize] = List::Few(Vec::new());
            self.free_lists.push(index);
            self.cells.remove(&cell);
        }
    }

    /// Calls `f` with every run that has read `cell`.
    pub(crate) fn of(&self, cell: Cell, mut f: impl FnMut(RunRef)) {
        let Some(entry) = self.cells.get(&cell) else { return };
        if entry.0 & LIST == 0 {
            return f(RunRef(entry.0));
        }
        match &self.lists[(entry.0 & !LIST) as usize] {
            List::Few(runs) => runs.iter().copied().for_each(f),
            List::Many(runs) => runs.iter().for_each(|r| f(RunRef(r))),
        }
    }

    /// Gives back memory that a shrunken network left behind.
    pub(crate) fn shrink(&mut self) {
        if self.cells.capacity() > 4 * self.cells.len() + 1024 {
            self.cells.shrink_to_fit();
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
