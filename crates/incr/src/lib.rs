//! The incremental kernel.
//!
//! A compiler is a list of *rules* over tables. A rule is a pure function of a key: for every key of its *source*
//! table it runs once, reads other tables through a [`Ctx`], and writes items to its *target*. The context records
//! what the run read: a row's existence, a column, one key of a map, one element of a set, what a relation holds
//! under a key, and look-ups that found nothing. [`Engine::settle`] runs exactly those runs again that read something
//! that has changed since, and the target takes the difference between what a run wrote before and what it writes
//! now. The first settle is a change from empty: there is no second way to compute anything.
//!
//! Rules stand in order; one reads inputs and what earlier steps wrote, which is checked, so one pass settles
//! everything. What depends on history (numbers that must stay what they were) is an allocator step between rules:
//! it sees all requests and writes a table of grants.
//!
//! # Example
//!
//! ```
//! use kiln_incr::{Ctx, Database, Derived, Engine, Relation, Visitor};
//!
//! /// Hosts by name, each with the rack it stands in; and for each rack, the text that lists its hosts.
//! struct Db {
//!     rack_of: Derived<&'static str, u32>,
//!     hosts_in: Relation<u32, &'static str>,
//!     label: Derived<u32, String>,
//! }
//!
//! impl Database for Db {
//!     fn visit(&mut self, v: &mut dyn Visitor) {
//!         v.table(&mut self.rack_of);
//!         v.table(&mut self.hosts_in);
//!         v.table(&mut self.label);
//!     }
//! }
//!
//! fn index(ctx: &Ctx<'_, Db>, host: &&'static str, out: &mut Vec<(u32, &'static str)>) {
//!     let rack = *ctx.value(&ctx.rack_of, host).unwrap();
//!     out.push((rack, *host));
//! }
//!
//! fn label(ctx: &Ctx<'_, Db>, rack: &u32, out: &mut Vec<(u32, String)>) {
//!     out.push((*rack, ctx.all(&ctx.hosts_in, rack).join(" ")));
//! }
//!
//! let mut engine = Engine::new(Db {
//!     rack_of: Derived::new("rack_of"),
//!     hosts_in: Relation::new("hosts_in"),
//!     label: Derived::new("label"),
//! });
//! engine.rule("index", |db| &db.rack_of, |db| &mut db.hosts_in, index);
//! engine.rule("label", |db| &db.hosts_in, |db| &mut db.label, label);
//!
//! engine.db.rack_of.put("alpha", 1);
//! engine.db.rack_of.put("beta", 1);
//! engine.db.rack_of.put("gamma", 2);
//! engine.settle();
//! assert_eq!(engine.db.label.peek(&1).unwrap(), "alpha beta");
//!
//! // Only what read the change runs again: the index of beta, and the labels of both racks.
//! engine.trace(true);
//! engine.db.rack_of.put("beta", 2);
//! engine.settle();
//! assert_eq!(engine.take_trace(), ["index \"beta\"", "label 1", "label 2"]);
//! assert_eq!(engine.db.label.peek(&2).unwrap(), "beta gamma");
//! ```
#![forbid(unsafe_code)]

mod cell;
mod derived;
mod engine;
mod map;
mod pairs;
mod reads;
mod rule;
mod table;

pub use cell::{Cell, Parts};
pub use derived::{Derived, Relation};
pub use engine::{Engine, Report, RuleStats};
pub use pairs::{Join, Pairs, Sets};
pub use reads::Reads;
pub use rule::Ctx;
pub use table::{Changed, MapView, Row, SetView, Table, Tracked};

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::atomic::{AtomicBool, Ordering};

/// What names a row or a run.
pub trait Key: Clone + Eq + Ord + Hash + Debug + Send + Sync + 'static {}
impl<T: Clone + Eq + Ord + Hash + Debug + Send + Sync + 'static> Key for T {}

/// The tables of a compiler, as one struct.
pub trait Database: Send + Sync {
    /// Shows every table to `v`, each once.
    fn visit(&mut self, v: &mut dyn Visitor);
}

/// Goes over the tables of a [`Database`].
pub trait Visitor {
    /// Takes the next table.
    fn table(&mut self, table: &mut dyn AnySource);
}

/// What has changed in a table since the last settle, and where the table stands in the order of steps.
#[derive(Debug)]
pub struct Changes<K> {
    name: &'static str,
    parts: Vec<Parts>,
    /// The keys under which something has changed, and which parts of it: for the rules that run for these keys.
    keys: Vec<(K, u32)>,
    /// Whether a run has ever read the table. Until then there is nobody to tell of a change.
    read: AtomicBool,
    /// The last step that writes the table, 0 for an input.
    writer: u16,
    /// How often something has changed.
    revision: u64,
}

impl<K> Changes<K> {
    /// Of an input table without changes.
    pub fn input(name: &'static str) -> Self {
        Changes {
            name,
            parts: Vec::new(),
            keys: Vec::new(),
            read: AtomicBool::new(false),
            writer: 0,
            revision: 0,
        }
    }

    /// Notes a change under `key`.
    fn note(&mut self, key: &K, parts: Parts)
    where
        K: Key,
    {
        self.parts.push(parts);
        match self.keys.last_mut() {
            Some((last, bits)) if last == key => *bits |= parts.bits,
            _ => self.keys.push((key.clone(), parts.bits)),
        }
    }

    /// Notes that a run reads the table, and checks that it may.
    fn note_read(&self, reads: &Reads) {
        assert!(
            self.writer < reads.step,
            "step {} reads `{}`, which step {} writes: rules read only what earlier steps wrote",
            reads.step,
            self.name,
            self.writer
        );
        if !self.read.load(Ordering::Relaxed) {
            self.read.store(true, Ordering::Relaxed);
        }
    }
}

/// A table whose keys a rule can run for.
pub trait Source {
    /// What names its rows.
    type Key: Key;
    /// Whether there is something under `key`.
    fn has(&self, key: &Self::Key) -> bool;
    /// Its changes since the last settle.
    fn changes(&self) -> &Changes<Self::Key>;
    /// The same, to be written.
    fn changes_mut(&mut self) -> &mut Changes<Self::Key>;
}

/// A [`Source`] of any key type.
pub trait AnySource {
    /// Moves what has changed to the end of `parts`.
    fn take_changed(&mut self, parts: &mut Vec<Parts>);
    /// Forgets under which keys something has changed.
    fn forget_keys(&mut self);
    /// Says that step `step` writes the table.
    fn set_writer(&mut self, step: u16);
}

impl<S: Source> AnySource for S {
    fn take_changed(&mut self, parts: &mut Vec<Parts>) {
        let changes = self.changes_mut();
        let own = &mut changes.parts;
        changes.revision += own.len() as u64;
        if *changes.read.get_mut() {
            parts.append(own);
        } else {
            own.clear();
        }
        // A cold start leaves a large buffer behind; it is not kept.
        if own.capacity() > 4096 {
            *own = Vec::new();
        }
    }
    fn forget_keys(&mut self) {
        let keys = &mut self.changes_mut().keys;
        keys.clear();
        if keys.capacity() > 4096 {
            *keys = Vec::new();
        }
    }
    fn set_writer(&mut self, step: u16) {
        self.changes_mut().writer = step;
    }
}

/// What rules write to.
pub trait Target {
    /// What a run writes into: a list of items.
    type Written: Default + Send;
    /// What is kept of an item, to take it back later.
    type Id: Send + Sync;

    /// A run that had written the items `old` writes `new` instead, which is left empty. Returns the identities of `new`.
    ///
    /// Equal items in `old` and `new` must count as unchanged.
    fn replace(&mut self, old: &[Self::Id], new: &mut Self::Written) -> Box<[Self::Id]>;

    /// The target as a table that later rules read, if it is one.
    fn as_source(&mut self) -> Option<&mut dyn AnySource> {
        None
    }
}
