//! Flows, and which one a packet meets.

use super::packet::Packet;
use kiln_openflow::action::Action;
use kiln_openflow::instruction::applied;
use kiln_openflow::{Instructions, Match};
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

/// The flows of a switch, in no order.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    flows: Vec<Flow>,
}

impl Tables {
    /// Adds a flow, instead of the one of that table, priority and match if there is one.
    pub fn add(&mut self, flow: Flow) {
        let same = |other: &Flow| {
            (other.table, other.priority, &other.flow_match) == (flow.table, flow.priority, &flow.flow_match)
        };
        self.flows.retain(|other| !same(other));
        self.flows.push(flow);
    }

    /// All of them.
    pub fn flows(&self) -> &[Flow] {
        &self.flows
    }

    /// The flow of `table` that the packet meets: of the highest priority. At one priority a flow that acts comes before
    /// conjunctive matches; the flow that a complete conjunctive match leads to is looked for at every priority.
    pub fn lookup(&self, table: u8, packet: &Packet) -> Option<&Flow> {
        let matching = |conjunction: Option<u32>| {
            let here = self.flows.iter().filter(move |flow| flow.table == table);
            here.filter(move |flow| packet.matches(&flow.flow_match, conjunction))
        };
        let mut by_priority: BTreeMap<u16, Vec<&Flow>> = BTreeMap::new();
        for flow in matching(None) {
            by_priority.entry(flow.priority).or_default().push(flow);
        }
        for flows in by_priority.values().rev() {
            if let Some(acting) = flows.iter().find(|flow| flow.parts().is_empty()) {
                return Some(acting);
            }
            for id in complete(flows) {
                let led_to = matching(Some(id)).filter(|flow| flow.parts().is_empty());
                if let Some(flow) = led_to.max_by_key(|flow| flow.priority) {
                    return Some(flow);
                }
            }
        }
        None
    }
}

/// The conjunctions of which every clause is among `flows`.
fn complete(flows: &[&Flow]) -> Vec<u32> {
    let mut clauses: BTreeMap<(u32, u8), BTreeSet<u8>> = BTreeMap::new();
    for part in flows.iter().flat_map(|flow| flow.parts()) {
        clauses.entry((part.id, part.n_clauses)).or_default().insert(part.clause);
    }
    let whole = clauses.into_iter().filter(|((_, wanted), found)| found.len() == usize::from(*wanted));
    whole.map(|((id, _), _)| id).collect()
}
