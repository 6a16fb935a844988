//! Tables 64 and 65: packets leave their logical port, by an OpenFlow port or into the next datapath.

use super::write::*;
use crate::port::{Delivery, LocalPort};
use crate::tables::Ctx;
use kiln_abi::registers::{flags, reg};
use kiln_abi::tables;
use kiln_openflow::{Action, Field};
use kiln_types::OfPort;

pub(crate) fn port(ctx: &Ctx<'_>, port: &LocalPort, flows: &mut Flows<'_>) {
    let m = outport(port.datapath_key, port.key);
    match port.delivery {
        Delivery::Here { ofport } => {
            let mut actions = Vec::new();
            push_tag(port, &mut actions);
            actions.push(Action::output(OfPort(ofport)));
            if port.tag.is_some() {
                actions.push(Action::PopVlan);
            }
            flows.add(tables::LOG_TO_PHY, 100, &m, actions);
        }
        Delivery::Patch { peer } => {
            let Some(peer) = ctx.value(&ctx.ports, &peer) else { return };
            flows.add(tables::LOG_TO_PHY, 100, &m, vec![into(peer)]);
        }
        _ => return,
    }
    same_interface(ctx, port, flows);
}

/// Adds the port's VLAN tag, if it has one.
pub(crate) fn push_tag(port: &LocalPort, actions: &mut Vec<Action>) {
    if let Some(tag) = port.tag {
        actions.push(Action::PushVlan(port.tag_type));
        actions.push(Action::set_field(Field::VLAN_VID, 0x1000 | tag));
    }
}

/// Into the datapath of `peer`, as a packet that comes in there.
fn into(peer: &LocalPort) -> Action {
    let mut actions = vec![
        Action::CtClear,
        load(reg::DNAT_ZONE, 0u8),
        load(reg::SNAT_ZONE, 0u8),
        Action::load(CT_ZONE, 0u8),
    ];
    load_zones(&peer.zones, &mut actions);
    enter(peer.datapath_key, peer.key, &mut actions);
    actions.push(load(reg::FLAGS, 0u8));
    actions.push(load(reg::OUTPORT, 0u8));
    clear_registers(&mut actions);
    actions.push(Action::resubmit(tables::LOG_INGRESS));
    let list = kiln_openflow::Actions::encode(&actions);
    Action::Clone(list.expect("a few set_fields fit into one action"))
}

/// Packets that may leave by the interface that they came in by: containers share their parent's.
fn same_interface(ctx: &Ctx<'_>, port: &LocalPort, flows: &mut Flows<'_>) {
    let m = outport(port.datapath_key, port.key);
    let actions = || without_in_port(tables::LOG_TO_PHY);
    if port.nested {
        return flows.add(tables::SAVE_INPORT, 100, &m, actions());
    }
    let mut looped = m.clone();
    flag(&mut looped, flags::LOOPBACK, true);
    flows.add(tables::SAVE_INPORT, 100, &looped, actions());
    if super::has_containers(ctx, port) {
        let mut nested = m;
        flag(&mut nested, NESTED, true);
        flows.add(tables::SAVE_INPORT, 100, &nested, actions());
    }
}
