//! What comes out of a compiler, in a form in which equal means equal.

use kiln_controller::Compiler;
use kiln_openflow::{Action, Instruction};
use kiln_ovsdb::txn::Txn;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// Everything that comes out, as text; groups and meters by what they do, since their numbers depend on history.
fn outcome(compiler: &Compiler) -> (BTreeSet<String>, String, String) {
    let desired = compiler.desired();
    let numbers = Numbers {
        groups: desired.groups.iter().map(|(id, name, _)| (id, name.to_owned())).collect(),
        meters: desired.meters.iter().map(|(id, name, _)| (id, name.to_owned())).collect(),
    };
    let flows = desired.flows.iter().map(|flow| {
        let named: Vec<String> =
            flow.instructions.iter().map(|instruction| numbers.name(instruction)).collect();
        format!("{} {} {:?} {:#x} {named:?}", flow.table_id, flow.priority, flow.flow_match, flow.cookie)
    });
    let (mut southbound, mut local) = (Txn::new("OVN_Southbound"), Txn::new("Open_vSwitch"));
    compiler.southbound(&mut southbound);
    compiler.local(0, false, &mut local);
    (flows.collect(), southbound.into_params(), local.into_params())
}

/// What numbers stand for.
struct Numbers {
    groups: BTreeMap<u32, String>,
    meters: BTreeMap<u32, String>,
}

impl Numbers {
    fn name(&self, instruction: &Instruction) -> String {
        let actions = match instruction {
            Instruction::ApplyActions(actions) => actions,
            Instruction::Meter(id) => return format!("meter {:?}", self.meters.get(id)),
            other => return format!("{other:?}"),
        };
        let text = |action: Action| match action {
            Action::Group(id) => format!("group {:?}", self.groups.get(&id)),
            Action::Meter(id) => format!("meter {:?}", self.meters.get(&id)),
            Action::Controller(mut controller) => {
                let meter = controller.meter_id.take().map(|id| self.meters.get(&id));
                format!("{controller:?} metered by {meter:?}")
            }
            other => format!("{other:?}"),
        };
        actions.iter().map(text).collect::<Vec<_>>().join(",")
    }
}

/// The conntrack zones that stand, written where a restarted controller finds them.
pub(crate) fn remember_zones(compiler: &mut Compiler, databases: &mut Value) {
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

/// Both want the same of the switch and of the databases.
pub(crate) fn assert_same(one: &Compiler, other: &Compiler, what: &str) {
    let (ours, theirs) = (outcome(one), outcome(other));
    let lost: Vec<_> = theirs.0.difference(&ours.0).take(3).collect();
    let extra: Vec<_> = ours.0.difference(&theirs.0).take(3).collect();
    assert!(lost.is_empty() && extra.is_empty(), "{what}: lost {lost:#?}\nextra {extra:#?}");
    assert_eq!(ours.1, theirs.1, "{what}");
    assert_eq!(ours.2, theirs.2, "{what}");
}
