//! Table 0, which turns what arrives at an OpenFlow port into a packet of a logical port; and table 80, which does so for
//! ICMP errors that came back for a tunnelled packet.

use super::write::*;
use crate::binding::PortKind;
use crate::desired::DesiredFlow;
use crate::port::LocalPort;
use crate::settings::EncapKind;
use crate::tables::Ctx;
use crate::tunnel::Tunnel;
use kiln_abi::registers::{flags, reg};
use kiln_abi::{tables, tunnel as layout};
use kiln_openflow::{Action, Field, MatchBuilder, Subfield};
use kiln_types::Uuid;

/// The bit of `vlan_vid` that says that there is a tag.
const VLAN_PRESENT: u16 = 0x1000;

/// Packets from the port's interface.
pub(crate) fn port(port: &LocalPort, flows: &mut Flows<'_>) {
    let Some(ofport) = port.ofport() else { return };
    let mut m = MatchBuilder::default();
    m.exact(Field::IN_PORT_OXM, ofport);
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
    if port.kind == PortKind::Localport {
        actions.push(set_flag(flags::LOCALPORT, true));
    }
    actions.push(Action::resubmit(tables::LOG_INGRESS));
    match port.tag {
        Some(tag) => {
            m.exact(Field::VLAN_VID, VLAN_PRESENT | tag);
            flows.add(tables::PHY_TO_LOG, 150, &m, actions);
        }
        None if port.kind == PortKind::Localnet => {
            // A priority tag, without a VLAN, counts as none.
            let mut tagged = m.clone();
            tagged.exact(Field::VLAN_VID, VLAN_PRESENT);
            let popped = std::iter::once(Action::PopVlan).chain(actions.iter().cloned()).collect();
            flows.add(tables::PHY_TO_LOG, 100, &tagged, popped);
            m.masked(Field::VLAN_VID, 0u8, VLAN_PRESENT);
            flows.add(tables::PHY_TO_LOG, 100, &m, actions);
        }
        None => flows.add(tables::PHY_TO_LOG, 100, &m, actions),
    }
}

/// Packets that the other end of a tunnel reports as too large.
pub(crate) fn zone_lookup(port: &LocalPort, flows: &mut Flows<'_>) {
    if port.kind != PortKind::Vif || port.nested || port.delivery == crate::port::Delivery::Nowhere {
        return;
    }
    let mut actions = Vec::new();
    load_zones(&port.zones, &mut actions);
    actions.push(Action::resubmit(tables::LOG_INGRESS));
    flows.add(tables::CT_ZONE_LOOKUP, 100, &inport(port.datapath_key, port.key), actions);
}

/// Packets from the tunnels of one chassis.
pub(crate) fn tunnels(ctx: &Ctx<'_>, chassis: &Uuid, out: &mut Vec<DesiredFlow>) {
    let mut flows = Flows { cookie: 0, out };
    for tunnel in ctx.all(&ctx.tunnels, chassis).iter().filter(|tunnel| !tunnel.is_vtep) {
        match tunnel.kind {
            EncapKind::Geneve => {
                let facts = ctx.value(&ctx.facts, &());
                if let Some(option) = facts.and_then(|facts| facts.geneve_option) {
                    from(tunnel, &geneve(tunnel, option), &mut flows);
                }
            }
            EncapKind::Vxlan => {
                from(tunnel, &vxlan(), &mut flows);
                vxlan_multicast(tunnel, &mut flows);
            }
        }
    }
}

fn at(tunnel: &Tunnel) -> MatchBuilder {
    let mut m = MatchBuilder::default();
    m.exact(Field::IN_PORT_OXM, tunnel.ofport);
    m
}

fn from(tunnel: &Tunnel, decapsulate: &[Action], flows: &mut Flows<'_>) {
    let mut actions = decapsulate.to_vec();
    actions.push(Action::resubmit(tables::LOCAL_OUTPUT));
    flows.add(tables::PHY_TO_LOG, 100, &at(tunnel), actions.clone());
    // An error about a packet of ours that the underlay could not carry goes to its receiver here, and to its sender.
    actions.push(set_flag(flags::RX_FROM_TUNNEL, true));
    actions.push(Action::resubmit(tables::CT_ZONE_LOOKUP));
    let mut v4 = at(tunnel);
    v4.exact(Field::ETH_TYPE, 0x0800u16).exact(Field::IP_PROTO, 1u8);
    v4.exact(Field::ICMPV4_TYPE, 3u8).exact(Field::ICMPV4_CODE, 4u8);
    flows.add(tables::PHY_TO_LOG, 120, &v4, actions.clone());
    let mut v6 = at(tunnel);
    v6.exact(Field::ETH_TYPE, 0x86ddu16).exact(Field::IP_PROTO, 58u8);
    v6.exact(Field::ICMPV6_TYPE, 2u8).exact(Field::ICMPV6_CODE, 0u8);
    flows.add(tables::PHY_TO_LOG, 120, &v6, actions);
}

/// Copies `bits` of a field to the low bits of another.
fn copy(src: Field, bits: kiln_abi::Bits, dst: Field) -> Action {
    let n_bits = u16::from(bits.len);
    Action::copy_field(Subfield::new(src, bits.first.into(), n_bits), Subfield::new(dst, 0, n_bits))
}

fn geneve(tunnel: &Tunnel, option: u8) -> Vec<Action> {
    let option = Field::tun_metadata(option, layout::GENEVE_OPTION_LEN);
    vec![
        copy(Field::TUN_ID, layout::GENEVE_DATAPATH, Field::METADATA),
        copy(option, layout::GENEVE_INPORT, INPORT),
        copy(option, layout::GENEVE_OUTPORT, OUTPORT),
        Action::load(Subfield::new(Field::reg(5), 16, 16), tunnel.ofport),
    ]
}

fn vxlan() -> Vec<Action> {
    vec![
        copy(Field::TUN_ID, layout::VXLAN_OUTPORT, OUTPORT),
        copy(Field::TUN_ID, layout::VXLAN_DATAPATH, Field::METADATA),
    ]
}

/// Keys of multicast groups have their top bit moved down, for lack of room.
fn vxlan_multicast(tunnel: &Tunnel, flows: &mut Flows<'_>) {
    let last = layout::VXLAN_OUTPORT.last();
    let mut m = at(tunnel);
    m.masked(Field::TUN_ID, 1u32 << last, 1u32 << last);
    let rest = kiln_abi::Bits::range(layout::VXLAN_OUTPORT.first, last - 1);
    let actions = vec![
        Action::load(Subfield::new(Field::reg(reg::OUTPORT), 15, 1), 1u8),
        copy(Field::TUN_ID, rest, OUTPORT),
        copy(Field::TUN_ID, layout::VXLAN_DATAPATH, Field::METADATA),
        Action::resubmit(tables::LOCAL_OUTPUT),
    ];
    flows.add(tables::PHY_TO_LOG, 105, &m, actions);
}
