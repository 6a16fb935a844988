//! One rule and its runs.

use crate::cell::PRESENCE;
use crate::engine::Report;
use crate::map::hash;
use crate::reads::{Readers, Reads, RunRef};
use crate::{Derived, Key, Pairs, Parts, Relation, Row, Source, Table, Target};
use hashbrown::HashTable;
use kiln_types::{HashMap, is_roomy};
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
    recorder: &'a Recorder,
}

/// What a run leaves behind beside what it writes; one after the other record into the same.
#[derive(Default)]
struct Recorder {
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
        table.read(key, &self.recorder.reads)
    }

    /// A derived value.
    pub fn value<'r, K: Key, V: PartialEq>(&self, table: &'r Derived<K, V>, key: &K) -> Option<&'r V> {
        table.read(key, &self.recorder.reads)
    }

    /// Whether there is a derived value; which one may change unnoticed.
    pub fn has<K: Key, V: PartialEq>(&self, table: &Derived<K, V>, key: &K) -> bool {
        table.holds(key, &self.recorder.reads)
    }

    /// Everything that a relation holds under `key`, in order.
    pub fn all<'r, K: Key, V: Ord + Clone + Hash>(&self, relation: &'r Relation<K, V>, key: &K) -> &'r [V] {
        relation.read(key, &self.recorder.reads)
    }

    /// Whether a relation holds `value` under `key`; other values under the key may change unnoticed.
    pub fn holds<K: Key, V: Ord + Clone + Hash>(
        &self,
        relation: &Relation<K, V>,
        key: &K,
        value: &V,
    ) -> bool {
        relation.holds(key, value, &self.recorder.reads)
    }

    /// Whether there is such a pair.
    pub fn has_pair<K: Key, V: Key>(&self, pairs: &Pairs<K, V>, key: &K, value: &V) -> bool {
        pairs.holds(&(key.clone(), value.clone()), &self.recorder.reads)
    }

    /// Whether a key has two values or more; which, and how many, may change unnoticed.
    pub fn has_several<K: Key, V: Key>(&self, pairs: &Pairs<K, V>, key: &K) -> bool {
        pairs.has_several(key, &self.recorder.reads)
    }

    /// Reports bad input. It is handed to the shell once, as long as the run goes on reporting it.
    pub fn report(&self, text: impl Into<String>) {
        self.recorder.reports.borrow_mut().push(text.into());
    }
}

/// The function of a rule.
pub(crate) type RunFn<D, K, W> = fn(&Ctx<'_, D>, &K, &mut W);

/// A rule whose types the engine does not know.
pub(crate) trait AnyRule<D>: Send {
    /// Makes runs for keys that came, drops those of keys that went, and marks those that read what has changed there.
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
    /// Which parts of what stands under its key it has read.
    own: u32,
    dirty: bool,
    /// What it has read beside.
    reads: Box<[Parts]>,
    written: Box<[Id]>,
}

impl<K: Key, Id> Run<K, Id> {
    fn hash(&self) -> u64 {
        self.key.as_ref().map_or(0, hash)
    }
}

/// A run that was computed and is to be applied.
struct Done<W> {
    slot: u32,
    recorder: Recorder,
    written: W,
}

pub(crate) struct Rule<D, S: Source, T: Target> {
    pub(crate) name: &'static str,
    pub(crate) step: u16,
    pub(crate) source: fn(&D) -> &S,
    pub(crate) target: fn(&mut D) -> &mut T,
    pub(crate) function: RunFn<D, S::Key, T::Written>,
    /// The slots of `runs` by their keys.
    slots: HashTable<u32>,
    runs: Vec<Run<S::Key, T::Id>>,
    free: Vec<u32>,
    dirty: Vec<u32>,
    /// Which parts of what stands under its key some run has ever read.
    own: u32,
    /// What runs have reported last, for those that did.
    reported: HashMap<u32, Vec<String>>,
}

/// Runs computed at once before they are applied, when several threads compute: bounds the memory of a cold start.
const BATCH: usize = 4096;
/// Fewer dirty runs than this are not worth handing to other threads.
const PARALLEL_FROM: usize = 512;

impl<D: Send + Sync, S: Source, T: Target> Rule<D, S, T> {
    pub(crate) fn new(
        name: &'static str,
        step: u16,
        source: fn(&D) -> &S,
        target: fn(&mut D) -> &mut T,
        function: RunFn<D, S::Key, T::Written>,
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
            own: 0,
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

    fn recorder(&self) -> Recorder {
        Recorder { reads: Reads::for_step(self.step), ..Recorder::default() }
    }

    fn compute(&self, db: &D, slot: u32, recorder: &mut Recorder, written: &mut T::Written) {
        let key = self.runs[slot as usize].key.as_ref().expect("a dirty run has a key");
        recorder.reads.begin((self.source)(db), key);
        (self.function)(&Ctx { db, recorder }, key, written);
    }

    fn compute_all(&self, db: &D, slots: &[u32]) -> Vec<Done<T::Written>> {
        let compute = |slot: &u32| {
            let mut done = Done { slot: *slot, recorder: self.recorder(), written: T::Written::default() };
            self.compute(db, *slot, &mut done.recorder, &mut done.written);
            done
        };
        slots.par_iter().map(compute).collect()
    }

    /// Takes what a run has read, written and reported, and leaves `written` and the reports empty.
    fn apply(
        &mut self,
        slot: u32,
        recorder: &mut Recorder,
        written: &mut T::Written,
        shared: &mut Shared,
        target: &mut T,
    ) {
        let run = &mut self.runs[slot as usize];
        let noted = recorder.reads.noted();
        run.own = noted.own;
        self.own |= run.own;
        if *run.reads != *noted.others {
            shared.readers.change(RunRef::new(self.step, slot), &run.reads, &noted.others);
            run.reads = noted.others.as_slice().into();
        }
        run.written = target.replace(&run.written, written);
        run.dirty = false;
        let reports = recorder.reports.get_mut();
        if reports.is_empty() {
            if !self.reported.is_empty() {
                self.reported.remove(&slot);
            }
            return;
        }
        let reports = std::mem::take(reports);
        let before = self.reported.insert(slot, reports.clone()).unwrap_or_default();
        let new = reports.into_iter().filter(|text| !before.contains(text));
        shared.reports.extend(new.map(|text| Report { rule: self.name, text }));
    }
}

impl<D: Send + Sync, S: Source, T: Target> AnyRule<D> for Rule<D, S, T> {
    fn follow_source(&mut self, shared: &mut Shared, db: &mut D) {
        for at in 0.. {
            let source = (self.source)(db);
            let Some((key, bits)) = source.changes().keys.get(at) else { break };
            if bits & (PRESENCE | self.own) == 0 {
                continue;
            }
            match (source.has(key), self.slot_of(key)) {
                (true, None) => {
                    let run = Run {
                        key: Some(key.clone()),
                        own: 0,
                        dirty: true,
                        reads: Box::default(),
                        written: Box::default(),
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
                    (self.target)(db).replace(&written, &mut T::Written::default());
                    self.reported.remove(&slot);
                    self.free.push(slot);
                }
                (true, Some(slot)) if self.runs[slot as usize].own & bits != 0 => self.mark(slot),
                _ => {}
            }
        }
        if is_roomy(self.slots.capacity(), self.slots.len()) {
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
        if shared.parallel && dirty.len() >= PARALLEL_FROM {
            for batch in dirty.chunks(BATCH) {
                for mut done in self.compute_all(db, batch) {
                    self.apply(done.slot, &mut done.recorder, &mut done.written, shared, (self.target)(db));
                }
            }
        } else {
            let (mut recorder, mut written) = (self.recorder(), T::Written::default());
            for slot in &dirty {
                self.compute(db, *slot, &mut recorder, &mut written);
                self.apply(*slot, &mut recorder, &mut written, shared, (self.target)(db));
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
