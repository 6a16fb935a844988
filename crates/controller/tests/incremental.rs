//! After any sequence of changes, what is wanted equals what a fresh compile of the same rows wants, and so does what the
//! databases lack.

mod network;

use kiln_controller::Compiler;
use kiln_openflow::{Action, Actions};
use kiln_ovsdb::txn::Txn;
use kiln_types::{Rng, Uuid};
use serde_json::Value;
use std::collections::BTreeSet;

/// Everything that comes out, as text; groups by what they do, since their numbers depend on history.
fn outcome(compiler: &Compiler) -> (BTreeSet<String>, String, String) {
    let groups: Vec<(u32, String)> =
        compiler.desired().groups.iter().map(|(id, name, _)| (id, name.to_owned())).collect();
    let name = |id: u32| groups.iter().find(|(other, _)| *other == id).map(|(_, name)| name.clone());
    let flows = compiler.desired().flows.iter().map(|flow| {
        let named: Vec<String> = flow
            .instructions
            .iter()
            .map(|instruction| {
                let text = format!("{instruction:?}");
                if text.contains("Group(") { replace_groups(instruction, &name) } else { text }
            })
            .collect();
        format!("{} {} {:?} {:#x} {named:?}", flow.table_id, flow.priority, flow.flow_match, flow.cookie)
    });
    let (mut southbound, mut local) = (Txn::new("OVN_Southbound"), Txn::new("Open_vSwitch"));
    compiler.southbound(&mut southbound);
    compiler.local(0, false, &mut local);
    (flows.collect(), southbound.into_params(), local.into_params())
}

fn replace_groups(instruction: &kiln_openflow::Instruction, name: &dyn Fn(u32) -> Option<String>) -> String {
    let kiln_openflow::Instruction::ApplyActions(actions) = instruction else {
        return format!("{instruction:?}");
    };
    let text = |action: Action| match action {
        Action::Group(id) => format!("group {:?}", name(id)),
        other => format!("{other:?}"),
    };
    let list: &Actions = actions;
    list.iter().map(text).collect::<Vec<_>>().join(",")
}

/// The conntrack zones that stand, written where a restarted controller finds them.
fn remember_zones(compiler: &mut Compiler, databases: &mut Value) {
    let zones = compiler.zones();
    let bridges = databases["Open_vSwitch"]["Bridge"].as_object_mut().unwrap();
    for bridge in bridges.values_mut().filter(|bridge| bridge["name"] == "br-int") {
        let pairs: Vec<Value> = zones
            .iter()
            .map(|(name, zone)| serde_json::json!([format!("ct-zone-{name}"), zone.to_string()]))
            .collect();
        bridge["external_ids"] = serde_json::json!(["map", pairs]);
    }
}

const TABLES: [&str; 9] = [
    "Port_Binding",
    "Logical_Flow",
    "Multicast_Group",
    "MAC_Binding",
    "Chassis",
    "Encap",
    "Datapath_Binding",
    "Address_Set",
    "Port_Group",
];

#[test]
fn equals_a_fresh_compile() {
    let recorded: Value = serde_json::from_str(include_str!("stock/one.json")).unwrap();
    for seed in 0..12 {
        let mut rng = Rng::with_seed(seed);
        let mut databases = recorded["databases"].clone();
        let mut compiler = network::compiled(&databases);
        let mut removed: Vec<(&str, String, Value)> = Vec::new();
        for _ in 0..30 {
            for _ in 0..rng.usize(1..6) {
                edit(&mut rng, &mut compiler, &mut databases, &mut removed);
            }
            compiler.settle();
        }
        remember_zones(&mut compiler, &mut databases);
        network::feed(compiler.local_replica(), &databases["Open_vSwitch"]);
        compiler.settle();
        let fresh = network::compiled(&databases);
        let (ours, theirs) = (outcome(&compiler), outcome(&fresh));
        let lost: Vec<_> = theirs.0.difference(&ours.0).take(3).collect();
        let extra: Vec<_> = ours.0.difference(&theirs.0).take(3).collect();
        assert!(lost.is_empty() && extra.is_empty(), "seed {seed}: lost {lost:#?}\nextra {extra:#?}");
        assert_eq!(ours.1, theirs.1, "seed {seed}");
        assert_eq!(ours.2, theirs.2, "seed {seed}");
    }
}

/// Takes a row away, or puts one back.
fn edit(
    rng: &mut Rng,
    compiler: &mut Compiler,
    databases: &mut Value,
    removed: &mut Vec<(&'static str, String, Value)>,
) {
    if !removed.is_empty() && rng.bool() {
        let (table, uuid, row) = removed.swap_remove(rng.usize(..removed.len()));
        network::put(compiler.southbound_replica(), table, uuid.parse().unwrap(), &row);
        databases["OVN_Southbound"][table][&uuid] = row;
        return;
    }
    let table = TABLES[rng.usize(..TABLES.len())];
    let rows = databases["OVN_Southbound"][table].as_object_mut().unwrap();
    if let Some(uuid) = rng.choice(rows.keys().cloned().collect::<Vec<_>>()) {
        let row = rows.remove(&uuid).unwrap();
        compiler.southbound_replica().delete(table, uuid.parse::<Uuid>().unwrap());
        removed.push((table, uuid, row));
    }
}
