//! Table 0, which turns what arrives at an interface into a packet of a logical port; and table 80, which does so for ICMP
//! errors that came back for a tunnelled packet.

use super::write::*;
use crate::binding::PortKind;
use crate::port::LocalPort;
use kiln_abi::registers::flags;
use kiln_abi::tables;
use kiln_openflow::{Action, Field, MatchBuilder};

/// The bit of `vlan_vid` that says that there is a tag.
const VLAN_PRESENT: u16 = 0x1000;

/// Packets from the port's interface.
pub(crate) fn port(port: &LocalPort, flows: &mut Flows<'_>) {
    let Some((ofport, m)) = port.ofport().zip(of_interface(port)) else { return };
    let mut actions = entering(port);
    if port.kind == PortKind::Localport {
        actions.push(set_flag(flags::LOCALPORT, true));
    }
    actions.push(Action::resubmit(tables::LOG_INGRESS));
    let priority = if port.tag.is_some() { 150 } else { 100 };
    if takes_untagged(port) {
        let mut others = MatchBuilder::default();
        others.exact(Field::IN_PORT_OXM, ofport);
        let mut taken = actions.clone();
        if !port.passes_tags {
            // A priority tag, without a VLAN, counts as none.
            others.exact(Field::VLAN_VID, VLAN_PRESENT);
            taken.insert(0, Action::PopVlan);
        }
        flows.add(tables::PHY_TO_LOG, priority, &others, taken);
    }
    flows.add(tables::PHY_TO_LOG, priority, &m, actions);
}

/// Whether packets come in by the interface with tags and without, of which the port takes those without, or all.
fn takes_untagged(port: &LocalPort) -> bool {
    matches!(port.kind, PortKind::Localnet | PortKind::L2gateway) && port.tag.is_none()
}

/// What packets from the port's interface are like, of a network those without a tag.
pub(crate) fn of_interface(port: &LocalPort) -> Option<MatchBuilder> {
    let mut m = MatchBuilder::default();
    m.exact(Field::IN_PORT_OXM, port.ofport()?);
    match port.tag {
        Some(tag) => drop(m.exact(Field::VLAN_VID, VLAN_PRESENT | tag)),
        None if takes_untagged(port) => drop(m.masked(Field::VLAN_VID, 0u8, VLAN_PRESENT)),
        None => {}
    }
    Some(m)
}

/// Makes a packet of the interface one of the logical port.
pub(crate) fn entering(port: &LocalPort) -> Vec<Action> {
    let mut actions = Vec::new();
    if port.nested {
        actions.push(set_flag(NESTED, true));
    }
    if port.tag.is_some() {
        actions.push(Action::PopVlan);
    }
    load_zones(&port.zones, &mut actions);
    enter(port.datapath_key, port.key, &mut actions);
    actions.push(Action::load(ENCAP, port.encap));
    actions
}

/// Packets that the other end of a tunnel reports as too large.
pub(crate) fn zone_lookup(port: &LocalPort, flows: &mut Flows<'_>) {
    if port.kind != PortKind::Vif || port.nested {
        return;
    }
    let mut actions = Vec::new();
    load_zones(&port.zones, &mut actions);
    actions.push(Action::resubmit(tables::LOG_INGRESS));
    flows.add(tables::CT_ZONE_LOOKUP, 100, &inport(port.datapath_key, port.key), actions);
}
