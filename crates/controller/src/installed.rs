//! Which ports' flows stand in the switch: those that were bound when a generation of flows was sent that the switch
//! has confirmed since.

use crate::tables::Db;
use kiln_incr::Target;
use kiln_types::Uuid;
use std::collections::{BTreeMap, BTreeSet};

/// Ports that are bound here, each with the first generation of flows that has its own.
#[derive(Debug, Default)]
pub struct Bound {
    since: BTreeMap<Uuid, u64>,
    /// Those that were not confirmed yet.
    waiting: BTreeSet<(u64, Uuid)>,
    new: Vec<Uuid>,
    gone: Vec<Uuid>,
    /// The generation that is being computed.
    generation: u64,
    acknowledged: Option<u64>,
}

impl Target for Bound {
    type Written = Vec<Uuid>;
    type Id = Uuid;

    fn replace(&mut self, old: &[Uuid], new: &mut Vec<Uuid>) -> Box<[Uuid]> {
        self.gone.extend(old.iter().filter(|port| !new.contains(port)));
        self.new.extend(new.iter().filter(|port| !old.contains(port)));
        new.drain(..).collect()
    }
}

impl Bound {
    /// The next settle computes this generation.
    pub(crate) fn begin(&mut self, generation: u64) {
        self.generation = generation;
    }

    /// The switch has the flows of a generation. Nobody acknowledges one that does not exist yet.
    pub(crate) fn acknowledge(&mut self, generation: u64) -> bool {
        self.acknowledged = self.acknowledged.max(Some(generation));
        self.waiting.first().is_some_and(|(since, _)| *since <= generation)
    }
}

/// Grants what was acknowledged.
pub(crate) fn grant(db: &mut Db) {
    let Db { bound, installed, .. } = db;
    for port in std::mem::take(&mut bound.gone) {
        if let Some(since) = bound.since.remove(&port) {
            bound.waiting.remove(&(since, port));
        }
        installed.delete(&port);
    }
    for port in std::mem::take(&mut bound.new) {
        bound.since.insert(port, bound.generation);
        bound.waiting.insert((bound.generation, port));
    }
    let Some(acknowledged) = bound.acknowledged.take() else { return };
    let later = bound.waiting.split_off(&(acknowledged + 1, Uuid::nil()));
    for (_, port) in std::mem::replace(&mut bound.waiting, later) {
        installed.put(port, ());
    }
}
