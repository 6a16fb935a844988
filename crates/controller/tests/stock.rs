//! The flows that this compiler wants of a switch, beside those that stock ovn-controller has put there for the same
//! databases. `record.py` says how the files in `stock/` were made.

mod network;

use kiln_controller::Compiler;
use kiln_openflow::instruction::Instruction;
use kiln_openflow::msg::{Group, Message, MultipartReply};
use kiln_openflow::text::{InstructionList, MatchWithPriority};
use kiln_openflow::{Action, Actions, Field, Instructions, Match};
use std::collections::{BTreeMap, BTreeSet};

/// Groups by number.
type Groups = BTreeMap<u32, String>;

/// Numbers that each side chooses for itself become what they stand for: a group its text, a conjunction the cookie of
/// the flow that it leads to.
fn comparable(flows: Flows, groups: &Groups) -> Flows {
    let id_of = |m: &Match| m.get(Field::CONJ_ID).map(|v| v.value as u32);
    let conjunctions: BTreeMap<u32, u32> =
        flows.iter().filter_map(|(key, (_, cookie))| Some((id_of(&key.2)?, *cookie as u32))).collect();
    let names: BTreeSet<&String> = groups.values().collect();
    let rewrite = |((table, priority, m), (actions, cookie)): ((u8, u16, Match), (Actions, u64))| {
        let mut builder = m.to_builder();
        if let Some(id) = id_of(&m) {
            builder.exact(Field::CONJ_ID, conjunctions[&id]);
        }
        let mut actions: Vec<Action> = actions.iter().collect();
        // Stock does some things twice in a row.
        actions.dedup();
        actions.retain(|action| !matches!(action, Action::Resubmit { table: Some(table), .. } if OWN_TABLES.contains(table)));
        let actions: Vec<Action> = actions
            .into_iter()
            .map(|action| match action {
                Action::Group(id) => {
                    Action::Group(names.iter().position(|name| **name == groups[&id]).unwrap() as u32)
                }
                Action::Conjunction { id, clause, n_clauses } => Action::Conjunction {
                    id: conjunctions.get(&id).copied().unwrap_or(id),
                    clause,
                    n_clauses,
                },
                // What lets a packet go back to where it came from.
                Action::SetField(value) if value.field == Field::IN_PORT => {
                    Action::set_field(Field::IN_PORT, u16::MAX)
                }
                other => other,
            })
            .collect();
        ((table, priority, builder.build()), (Actions::encode(&actions).unwrap(), cookie))
    };
    flows.into_iter().filter(|((table, ..), _)| !OWN_TABLES.contains(table)).map(rewrite).collect()
}

/// The tables in which Kiln alone has flows: meters of ports, ahead of what is handed up.
const OWN_TABLES: std::ops::RangeInclusive<u8> = 240..=247;

type Flows = BTreeMap<(u8, u16, Match), (Actions, u64)>;

struct Recording {
    groups: Groups,
    compiler: Compiler,
    flows: Flows,
}

fn name_of(group: Group) -> String {
    Group { group_id: 0, ..group }.to_string()
}

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

fn recording(text: &str) -> Recording {
    let recorded: serde_json::Value = serde_json::from_str(text).unwrap();
    let compiler = network::compiled(&recorded["databases"]);
    let mut flows = BTreeMap::new();
    for reply in recorded["flow_replies"].as_array().unwrap() {
        let (_, message) = Message::decode(&bytes(reply.as_str().unwrap())).unwrap();
        let Message::MultipartReply { reply: MultipartReply::Flow(entries), .. } = message else { panic!() };
        for flow in entries {
            let key = (flow.table_id, flow.priority, flow.flow_match);
            let old = flows.insert(key, (actions(&flow.instructions), flow.cookie));
            assert!(old.is_none());
        }
    }
    let mut groups = Groups::new();
    for reply in recorded["group_replies"].as_array().unwrap() {
        let (_, message) = Message::decode(&bytes(reply.as_str().unwrap())).unwrap();
        let Message::MultipartReply { reply: MultipartReply::GroupDesc(entries), .. } = message else {
            panic!()
        };
        groups.extend(entries.into_iter().map(|group| (group.group_id, name_of(group))));
    }
    Recording { groups, compiler, flows }
}

fn actions(instructions: &Instructions) -> Actions {
    let applied = instructions.iter().find_map(|instruction| match instruction {
        Instruction::ApplyActions(actions) => Some(actions.clone()),
        _ => None,
    });
    applied.unwrap_or_default()
}

fn text((table, priority, m): &(u8, u16, Match), (actions, cookie): &(Actions, u64)) -> String {
    let instructions = [Instruction::ApplyActions(actions.clone())];
    format!(
        "table={table} cookie={cookie:#x} {} actions={}",
        MatchWithPriority(m, *priority),
        InstructionList(&instructions)
    )
}

/// Flows of stock's that have no use here, each with the reason.
fn is_pointless((table, priority, _): &(u8, u16, Match)) -> bool {
    // Chassis MACs are told apart although no chassis has any: the other half of the conjunction is missing.
    (*table, *priority) == (0, 180)
}

/// Whether every packet that matches `narrow` matches `wide`.
fn covers(wide: &Match, narrow: &Match) -> bool {
    wide.iter().all(|w| {
        narrow.get(w.field).is_some_and(|n| n.mask & w.mask == w.mask && n.value & w.mask == w.value)
    })
}

fn differences(ours: &Flows, theirs: &Flows) -> BTreeSet<String> {
    let mut differences = BTreeSet::new();
    // One flow with a mask may stand for several without.
    let mut merged: BTreeMap<&(u8, u16, Match), u32> = BTreeMap::new();
    for (key, effect) in theirs.iter().filter(|(key, _)| !ours.contains_key(key) && !is_pointless(key)) {
        let covering = ours.iter().find(|(k, e)| {
            (k.0, k.1) == (key.0, key.1) && *e == effect && !theirs.contains_key(k) && covers(&k.2, &key.2)
        });
        match covering {
            Some((wide, _)) => *merged.entry(wide).or_default() += 1,
            None => drop(differences.insert(format!("- {}", text(key, effect)))),
        }
    }
    for (key, effect) in ours {
        match theirs.get(key) {
            Some(other) if other == effect => {}
            Some(other) => {
                differences.insert(format!("{}\n   stock {}", text(key, effect), text(key, other)));
            }
            None if merged.get(key).is_some_and(|count| *count == unmasked(&key.2)) => {}
            None => drop(differences.insert(format!("+ {}", text(key, effect)))),
        }
    }
    differences
}

/// How many values the partly masked IPv6 destination of a match stands for.
fn unmasked(m: &Match) -> u32 {
    m.get(Field::IPV6_DST).map_or(1, |v| 1 << v.mask.count_zeros().min(31))
}

/// Compares the flows for a recorded network; of the differences, those in `expected` are so many.
fn same_flows(text: &str, expected: &[(&str, usize)]) {
    let mut recorded = recording(text);
    for report in recorded.compiler.take_reports() {
        eprintln!("report {}: {}", report.rule, report.text);
    }
    let desired = recorded.compiler.desired();
    let flow = |flow: kiln_openflow::msg::FlowMod| {
        ((flow.table_id, flow.priority, flow.flow_match), (actions(&flow.instructions), flow.cookie))
    };
    let ours: Flows = desired.flows.iter().map(flow).collect();
    let group = |(id, _, spec): (u32, &str, &kiln_controller::desired::GroupSpec)| {
        let spec = spec.clone();
        (id, name_of(Group { typ: spec.typ, group_id: 0, buckets: spec.buckets, selection: spec.selection }))
    };
    let groups: Groups = desired.groups.iter().map(group).collect();
    let ours = comparable(ours, &groups);
    let theirs = comparable(recorded.flows, &recorded.groups);
    let differences = differences(&ours, &theirs);
    let mut counts = vec![0; expected.len()];
    let mut unexpected = Vec::new();
    for difference in &differences {
        match expected.iter().position(|(start, _)| difference.starts_with(start)) {
            Some(at) => counts[at] += 1,
            None => unexpected.push(difference),
        }
    }
    assert!(unexpected.is_empty(), "{} of {} flows differ: {unexpected:#?}", unexpected.len(), theirs.len());
    assert_eq!(counts, expected.iter().map(|(_, count)| *count).collect::<Vec<_>>());
}

#[test]
fn switches_and_routers() {
    // Advertisements of a neighbour count as heard of it, whichever of its addresses they come from.
    same_flows(include_str!("stock/one.json"), &[("+ table=79 ", 1)]);
}

#[test]
fn chassis_send_with_addresses_of_their_own() {
    same_flows(include_str!("stock/vlan.json"), &[]);
}

#[test]
fn gateways_are_chosen_by_priority_and_bfd() {
    // Stock sends packets into switches that are not here, where no flow takes them.
    same_flows(include_str!("stock/gateways.json"), &[("- table=64 ", 2), ("- table=65 ", 2)]);
}

#[test]
fn several_addresses_for_tunnels() {
    // Stock takes any tunnel for copies.
    same_flows(include_str!("stock/encaps.json"), &[("table=44 ", 2)]);
}

#[test]
fn one_tunnel_port_for_all_chassis() {
    // Then stock cannot read multicast keys from VXLAN, nor flood to other zones.
    let more = [("+ table=0 ", 3), ("+ table=84 ", 1)];
    same_flows(include_str!("stock/shared.json"), &more);
}
