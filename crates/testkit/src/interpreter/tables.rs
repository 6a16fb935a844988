//! Flows, and which one a packet meets.

use super::packet::Packet;
use kiln_openflow::action::Action;
use kiln_openflow::instruction::applied;
use kiln_openflow::{Field, Instructions, Match};
use kiln_types::Instant;
use std::cell::Cell;
use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

/// A flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flow {
    /// The table that it is in.
    pub table: u8,
    /// Its priority.
    pub priority: u16,
    /// What it matches.
    pub flow_match: Match,
    /// What it does.
    pub instructions: Instructions,
    /// Its cookie.
    pub cookie: u64,
}

/// A part that a flow plays in conjunctive matches (ovs-actions(7), conjunction).
struct Part {
    id: u32,
    clause: u8,
    n_clauses: u8,
}

impl Flow {
    /// The parts it plays; none for a flow that acts.
    fn parts(&self) -> Vec<Part> {
        let actions = applied(&self.instructions).map(|actions| actions.iter().collect::<Vec<_>>());
        let part = |action: Action| match action {
            Action::Conjunction { id, clause, n_clauses } => Some(Part { id, clause, n_clauses }),
            _ => None,
        };
        actions.unwrap_or_default().into_iter().filter_map(part).collect()
    }
}

/// What a flow has counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hits {
    /// Packets that met it.
    pub packets: u64,
    /// Their bytes.
    pub bytes: u64,
    /// When the last one did.
    pub last: Instant,
}

/// The flows of one section of a table: by priority and match, the highest priority first.
type Section = BTreeMap<(Reverse<u16>, Match), (Flow, Cell<Hits>)>;

/// The flows of a switch.
///
/// They stand in sections, by table and by the whole `metadata` that they ask for, if they do: a packet is held against
/// every flow of the two sections that are for it, one by one.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    sections: BTreeMap<(u8, Option<u64>), Section>,
}

impl Tables {
    fn section(table: u8, flow_match: &Match) -> (u8, Option<u64>) {
        let metadata = flow_match.get(Field::METADATA).filter(|asked| asked.is_exact());
        (table, metadata.map(|asked| asked.value as u64))
    }

    /// Adds a flow, instead of the one of that table, priority and match if there is one.
    pub fn add(&mut self, flow: Flow) {
        let section = self.sections.entry(Tables::section(flow.table, &flow.flow_match)).or_default();
        section.insert((Reverse(flow.priority), flow.flow_match.clone()), (flow, Cell::default()));
    }

    /// The flow of this table, priority and match.
    pub fn get_mut(&mut self, table: u8, priority: u16, flow_match: &Match) -> Option<&mut Flow> {
        let section = self.sections.get_mut(&Tables::section(table, flow_match))?;
        section.get_mut(&(Reverse(priority), flow_match.clone())).map(|(flow, _)| flow)
    }

    /// Takes the flow of this table, priority and match away.
    pub fn remove(&mut self, table: u8, priority: u16, flow_match: &Match) -> Option<Flow> {
        let section = self.sections.get_mut(&Tables::section(table, flow_match))?;
        section.remove(&(Reverse(priority), flow_match.clone())).map(|(flow, _)| flow)
    }

    /// Keeps only some flows.
    pub fn retain(&mut self, mut keep: impl FnMut(&Flow) -> bool) {
        for section in self.sections.values_mut() {
            section.retain(|_, (flow, _)| keep(flow));
        }
    }

    /// All of them, table by table.
    pub fn flows(&self) -> impl Iterator<Item = &Flow> {
        self.sections.values().flat_map(BTreeMap::values).map(|(flow, _)| flow)
    }

    /// The flows of one table, with what they have counted.
    pub fn counted(&self, table: u8) -> impl Iterator<Item = (&Flow, Hits)> {
        let sections = self.sections.range((table, None)..=(table, Some(u64::MAX)));
        sections.flat_map(|(_, section)| section.values()).map(|(flow, hits)| (flow, hits.get()))
    }

    /// The flow of `table` that the packet meets: of the highest priority. At one priority a flow that acts comes before
    /// conjunctive matches; the flow that a complete conjunctive match leads to is looked for at every priority.
    pub fn lookup(&self, table: u8, packet: &Packet) -> Option<&Flow> {
        self.find(table, packet).map(|(flow, _)| flow)
    }

    /// The flow that [`lookup`](Tables::lookup) finds, which counts the packet.
    pub fn meet(&self, now: Instant, table: u8, packet: &Packet) -> Option<&Flow> {
        let (flow, hits) = self.find(table, packet)?;
        let Hits { packets, bytes, .. } = hits.get();
        hits.set(Hits { packets: packets + 1, bytes: bytes + packet.len as u64, last: now });
        Some(flow)
    }

    fn find(&self, table: u8, packet: &Packet) -> Option<&(Flow, Cell<Hits>)> {
        let metadata = packet.get(Field::METADATA) as u64;
        let sections = || [None, Some(metadata)].into_iter().filter_map(|of| self.sections.get(&(table, of)));
        let matching = |conjunction: Option<u32>| {
            let here = sections().flat_map(BTreeMap::values);
            here.filter(move |(flow, _)| packet.matches(&flow.flow_match, conjunction))
        };
        let mut by_priority: BTreeMap<u16, Vec<&(Flow, Cell<Hits>)>> = BTreeMap::new();
        for found in matching(None) {
            by_priority.entry(found.0.priority).or_default().push(found);
        }
        for found in by_priority.values().rev() {
            if let Some(acting) = found.iter().find(|(flow, _)| flow.parts().is_empty()) {
                return Some(acting);
            }
            for id in complete(found.iter().map(|(flow, _)| flow)) {
                let led_to = matching(Some(id)).filter(|(flow, _)| flow.parts().is_empty());
                if let Some(found) = led_to.max_by_key(|(flow, _)| flow.priority) {
                    return Some(found);
                }
            }
        }
        None
    }
}

/// The conjunctions of which every clause is among `flows`.
fn complete<'a>(flows: impl Iterator<Item = &'a Flow>) -> Vec<u32> {
    let mut clauses: BTreeMap<(u32, u8), BTreeSet<u8>> = BTreeMap::new();
    for part in flows.flat_map(|flow| flow.parts()) {
        clauses.entry((part.id, part.n_clauses)).or_default().insert(part.clause);
    }
    let whole = clauses.into_iter().filter(|((_, wanted), found)| found.len() == usize::from(*wanted));
    whole.map(|((id, _), _)| id).collect()
}
