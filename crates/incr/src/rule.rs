//! One rule and its runs.

use crate::engine::Report;
use crate::map::hash;
use crate::reads::{Readers, Reads, RunRef};
use crate::{Derived, Key, Pairs, Parts, Relation, Row, Source, Table, Target};
use hashbrown::HashTable;
use kiln_types::HashMap;
use rayon::prelude::*;
use std::cell::RefCell;
use std::cmp::Reverse;
use std::hash::Hash;
use std::ops::Deref;

/// What a run sees: the tables, each read recorded.
///
/// It dereferences to the database so that tables are named `ctx.table`; what is read from a table without the
/// context's methods is not recorded.
pub struct Ctx<'a, D> {
    db: &'a D,
    reads: Reads,
    reports: RefCell<Vec<String>>,
}

impl<D> Deref for Ctx<'_, D> {
    type Target = D;
    fn deref(&self) -> &D {
        self.db
    }
}

impl<D> Ctx<'_, D> {
    /// A row of an input table.
    pub fn row<'r, R: Row>(&'r self, table: &'r Table<R>, key: &R::Key) -> Option<R::View<'r>> {
        table.read(key, &self.reads)
    }

    /// A derived value.
    pub fn value<'r, K: Key, V: PartialEq>(&self, table: &'r Derived<K, V>, key: &K) -> Option<&'r V> {
        table.read(key, &self.reads)
    }

    /// Whether there is a derived value; which one may change unnoticed.
    pub fn has<K: Key, V: PartialEq>(&self, table: &Derived<K, V>, key: &K) -> bool {
        table.holds(key, &self.reads)
    }

    /// Everything that a relation holds under `key`, in order.
    pub fn all<'r, K: Key, V: Ord + Clone + Hash>(&self, relation: &'r Relation<K, V>, key: &K) -> &'r [V] {
        relation.read(key, &self.reads)
    }

    /// Whether a relation holds `value` under `key`; other values under the key may change unnoticed.
    pub fn holds<K: Key, V: Ord + Clone + Hash>(
        &self,
        relation: &Relation<K, V>,
        key: &K,
        value: &V,
    ) -> bool {
        relation.holds(key, value, &self.reads)
    }

    /// Whether there is such a pair.
    pub fn has_pair<K: Key, V: Key>(&self, pairs: &Pairs<K, V>, key: &K, value: &V) -> bool {
        pairs.holds(&(key.clone(), value.clone()), &self.reads)
    }

    /// Whether a key has two values or more; which, and how many, may change unnoticed.
    pub fn has_several<K: Key, V: Key>(&self, pairs: &Pairs<K, V>, key: &K) -> bool {
        pairs.has_several(key, &self.reads)
    }

    /// Reports bad input. It is handed to the shell once, as long as the run goes on reporting it.
    pub fn report(&self, text: impl Into<String>) {
        self.reports.borrow_mut().push(text.into());
    }
}

/// The function of a rule.
pub(crate) type RunFn<D, K, I> = fn(&Ctx<'_, D>, &K, &mut Vec<I>);

/// A rule whose types the engine does not know.
pub(crate) trait AnyRule<D>: Send {
    /// Makes runs for keys that came, and drops those of keys that went.
    fn follow_source(&mut self, shared: &mut Shared, db: &mut D);
    fn mark(&mut self, slot: u32);
    fn mark_all(&mut self);
    /// Runs what is dirty and hands the cells that its target changed to `shared`.
    fn run(&mut self, shared: &mut Shared, db: &mut D) -> u64;
    fn runs(&self) -> usize;
}

/// What the engine lends to the rule that is at work.
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) readers: Readers,
    pub(crate) changed: Vec<Parts>,
    pub(crate) reports: Vec<Report>,
    pub(crate) trace: Option<Vec<String>>,
    pub(crate) parallel: bool,
}

struct Run<K, Id> {
    /// `None` when the slot is free.
    key: Option<K>,
    reads: Box<[Parts]>,
    written: Box<[Id]>,
    dirty: bool,
}

impl<K: Key, Id> Run<K, Id> {
    fn hash(&self) -> u64 {
        self.key.as_ref().map_or(0, hash)
    }
}

struct Done<I> {
    slot: u32,
    reads: Box<[Parts]>,
    items: Vec<I>,
    reports: Vec<String>,
}

pub(crate) struct Rule<D, S: Source, T: Target> {
    pub(crate) name: &'static str,
    pub(crate) step: u16,
    pub(crate) source: fn(&D) -> &S,
    pub(crate) target: fn(&mut D) -> &mut T,
    pub(crate) function: RunFn<D, S::Key, T::Item>,
    /// The slots of `runs` by their keys.
    slots: HashTable<u32>,
    runs: Vec<Run<S::Key, T::Id>>,
    free: Vec<u32>,
    dirty: Vec<u32>,
    /// What runs have reported last, for those that did.
    reported: HashMap<u32, Vec<String>>,
}

/// Runs computed at once before their items are applied: bounds the memory of a cold start.
const BATCH: usize = 4096;
/// Fewer dirty runs than this are not worth handing to other threads.
const PARALLEL_FROM: usize = 512;

impl<D: Send + Sync, S: Source, T: Target> Rule<D, S, T> {
    pub(crate) fn new(
        name: &'static str,
        step: u16,
        source: fn(&D) -> &S,
        target: fn(&mut D) -> &mut T,
        function: RunFn<D, S::Key, T::Item>,
    ) -> Self {
        Rule {
            name,
            step,
            source,
            target,
            function,
            slots: HashTable::new(),
            runs: Vec::new(),
            free: Vec::new(),
            dirty: Vec::new(),
            reported: HashMap::default(),
        }
    }

    /// Gives back the memory of runs that are gone, as far as they are the last ones.
    fn shrink(&mut self) {
        let len = self.runs.iter().rposition(|run| run.key.is_some()).map_or(0, |last| last + 1);
        self.runs.truncate(len);
        self.runs.shrink_to_fit();
        for slots in [&mut self.free, &mut self.dirty] {
            slots.retain(|slot| (*slot as usize) < len);
            slots.shrink_to_fit();
        }
        // The lowest first, so that the end comes free again.
        self.free.sort_unstable_by_key(|slot| Reverse(*slot));
    }

    fn slot_of(&self, key: &S::Key) -> Option<u32> {
        self.slots.find(hash(key), |slot| self.runs[*slot as usize].key.as_ref() == Some(key)).copied()
    }

    fn compute(&self, db: &D, slot: u32, ctx: &mut Ctx<'_, D>) -> Done<T::Item> {
        debug_assert!(std::ptr::eq(ctx.db, db));
        let key = self.runs[slot as usize].key.as_ref().expect("a dirty run has a key");
        let mut items = Vec::new();
        (self.function)(ctx, key, &mut items);
        Done { slot, reads: ctx.reads.take(), items, reports: std::mem::take(ctx.reports.get_mut()) }
    }

    fn compute_all(&self, db: &D, slots: &[u32], parallel: bool) -> Vec<Done<T::Item>> {
        let ctx = || Ctx { db, reads: Reads::for_step(self.step), reports: RefCell::default() };
        if parallel && slots.len() >= PARALLEL_FROM {
            slots.par_iter().map_init(ctx, |ctx, slot| self.compute(db, *slot, ctx)).collect()
        } else {
            let mut ctx = ctx();
            slots.iter().map(|slot| self.compute(db, *slot, &mut ctx)).collect()
        }
    }

    fn apply(&mut self, done: Done<T::Item>, shared: &mut Shared, target: &mut T) {
        let Done { slot, reads, items, reports } = done;
        let run = &mut self.runs[slot as usize];
        shared.readers.change(RunRef::new(self.step, slot), &run.reads, &reads);
        run.reads = reads;
        run.written = target.replace(&run.written, items);
        run.dirty = false;
        if reports.is_empty() {
            if !self.reported.is_empty() {
                self.reported.remove(&slot);
            }
            return;
        }
        let before = self.reported.insert(slot, reports.clone()).unwrap_or_default();
        let new = reports.into_iter().filter(|text| !before.contains(text));
        shared.reports.extend(new.map(|text| Report { rule: self.name, text }));
    }
}

impl<D: Send + Sync, S: Source, T: Target> AnyRule<D> for Rule<D, S, T> {
    fn follow_source(&mut self, shared: &mut Shared, db: &mut D) {
        for at in 0.. {
            let source = (self.source)(db);
            let Some(key) = source.changes().keys.get(at) else { break };
            match (source.has(key), self.slot_of(key)) {
                (true, None) => {
                    let run = Run {
                        key: Some(key.clone()),
                        reads: Box::default(),
                        written: Box::default(),
                        dirty: true,
                    };
                    let slot = if let Some(slot) = self.free.pop() {
                        self.runs[slot as usize] = run;
                        slot
                    } else {
                        self.runs.push(run);
                        (self.runs.len() - 1) as u32
                    };
                    let runs = &self.runs;
                    self.slots.insert_unique(hash(key), slot, |slot| runs[*slot as usize].hash());
                    self.dirty.push(slot);
                }
                (false, Some(slot)) => {
                    if let Ok(found) = self.slots.find_entry(hash(key), |known| *known == slot) {
                        found.remove();
                    }
                    let run = &mut self.runs[slot as usize];
                    run.key = None;
                    run.dirty = false;
                    shared.readers.change(RunRef::new(self.step, slot), &run.reads, &[]);
                    run.reads = Box::default();
                    let written = std::mem::take(&mut run.written);
                    (self.target)(db).replace(&written, Vec::new());
                    self.reported.remove(&slot);
                    self.free.push(slot);
                }
                _ => {}
            }
        }
        if self.slots.capacity() > 4 * self.slots.len() + 1024 {
            let runs = &self.runs;
            self.slots.shrink_to_fit(|slot| runs[*slot as usize].hash());
        }
        if self.free.len() > self.runs.len() / 2 + 1024
            && self.runs.last().is_some_and(|run| run.key.is_none())
        {
            self.shrink();
        }
    }

    fn mark(&mut self, slot: u32) {
        let run = &mut self.runs[slot as usize];
        if !run.dirty && run.key.is_some() {
            run.dirty = true;
            self.dirty.push(slot);
        }
    }

    fn mark_all(&mut self) {
        for slot in 0..self.runs.len() as u32 {
            self.mark(slot);
        }
    }

    fn run(&mut self, shared: &mut Shared, db: &mut D) -> u64 {
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.retain(|slot| self.runs[*slot as usize].dirty);
        dirty.sort_unstable();
        dirty.dedup();
        if let Some(trace) = &mut shared.trace {
            let mut ran: Vec<_> =
                dirty.iter().filter_map(|slot| self.runs[*slot as usize].key.as_ref()).collect();
            ran.sort();
            trace.extend(ran.iter().map(|key| format!("{} {key:?}", self.name)));
        }
        for batch in dirty.chunks(BATCH) {
            let done = self.compute_all(db, batch, shared.parallel);
            let target = (self.target)(db);
            for done in done {
                self.apply(done, shared, target);
            }
        }
        if let Some(source) = (self.target)(db).as_source() {
            source.take_changed(&mut shared.changed);
        }
        dirty.len() as u64
    }

    fn runs(&self) -> usize {
        self.slots.len()
    }
}

/// Marks a table as written by a step; called once for each rule.
pub(crate) fn claim<T: Target>(target: &mut T, step: u16) {
    if let Some(source) = target.as_source() {
        source.set_writer(step);
    }
}
