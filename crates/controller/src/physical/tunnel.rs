//! What tunnels carry: the keys in their headers, written on the way out and read on the way in (ovn-architecture(7),
//! Tunnel Encapsulations).

use super::write::*;
use crate::desired::DesiredFlow;
use crate::settings::EncapKind;
use crate::tables::Ctx;
use crate::tunnel::{Tunnel, choose};
use kiln_abi::registers::{flags, reg};
use kiln_abi::{tables, tunnel as layout};
use kiln_openflow::{Action, Field, MatchBuilder, Subfield};
use kiln_types::{OfPort, Uuid};
use std::net::IpAddr;

fn geneve_option(ctx: &Ctx<'_>) -> Option<Field> {
    let option = ctx.value(&ctx.facts, &())?.geneve_option?;
    Some(Field::tun_metadata(option, layout::GENEVE_OPTION_LEN))
}

/// Writes the keys into the tunnel's header. False if the switch cannot yet.
pub(crate) fn encapsulate(
    ctx: &Ctx<'_>,
    tunnel: &Tunnel,
    datapath_key: u32,
    key: u16,
    actions: &mut Vec<Action>,
) -> bool {
    let tun_id = Subfield::new(Field::TUN_ID, 0, 24);
    match tunnel.kind {
        EncapKind::Geneve => {
            let Some(option) = geneve_option(ctx) else { return false };
            actions.push(Action::load(tun_id, datapath_key));
            actions.push(Action::set_field(option, key));
            actions.push(write_inport(option));
        }
        EncapKind::Vxlan if tunnel.is_vtep => actions.push(Action::load(tun_id, datapath_key)),
        EncapKind::Vxlan => {
            let short = u32::from(key & 0x7ff | (key & 0x8000) >> 4);
            actions.push(Action::load(tun_id, datapath_key | short << layout::VXLAN_OUTPORT.first));
        }
    }
    true
}

fn write_inport(option: Field) -> Action {
    let inport = layout::GENEVE_INPORT;
    let n_bits = inport.len.into();
    Action::copy_field(Subfield::new(INPORT, 0, n_bits), Subfield::new(option, inport.first.into(), n_bits))
}

/// Sends what was encapsulated.
pub(crate) fn send(tunnel: &Tunnel, actions: &mut Vec<Action>) {
    write_ends(tunnel, actions);
    actions.push(Action::output(OfPort(tunnel.ofport)));
}

/// Writes the addresses of both ends, if the port does not imply them.
fn write_ends(tunnel: &Tunnel, actions: &mut Vec<Action>) {
    match tunnel.ends {
        Some((IpAddr::V4(here), IpAddr::V4(there))) => {
            actions.push(Action::set_field(Field::TUN_SRC, here.to_bits()));
            actions.push(Action::set_field(Field::TUN_DST, there.to_bits()));
        }
        Some((IpAddr::V6(here), IpAddr::V6(there))) => {
            actions.push(Action::set_field(Field::TUN_IPV6_SRC, here.to_bits()));
            actions.push(Action::set_field(Field::TUN_IPV6_DST, there.to_bits()));
        }
        _ => {}
    }
}

/// Where packets come in, and what of their keys can be read.
struct Arrival {
    ofport: u32,
    kind: EncapKind,
    option: Option<Field>,
}

/// Packets from the tunnels of one chassis.
pub(crate) fn arriving(ctx: &Ctx<'_>, chassis: &Uuid, out: &mut Vec<DesiredFlow>) {
    let mut flows = Flows { cookie: 0, out };
    for tunnel in ctx.all(&ctx.tunnels, chassis).iter().filter(|tunnel| !tunnel.is_vtep) {
        let arrival = Arrival { ofport: tunnel.ofport, kind: tunnel.kind, option: geneve_option(ctx) };
        if tunnel.ends.is_none() {
            flows.cookie = 0;
            arrival.packets(&mut flows);
        }
        if tunnel.is_remote {
            flows.cookie = cookie(*chassis);
            arrival.answers(&mut flows);
        }
    }
}

/// Packets from ports that lead to every chassis.
pub(crate) fn arriving_shared(ctx: &Ctx<'_>, _: &(), out: &mut Vec<DesiredFlow>) {
    let mut flows = Flows { cookie: 0, out };
    for (kind, ofport) in ctx.all(&ctx.shared_ports, &()) {
        Arrival { ofport: *ofport, kind: *kind, option: geneve_option(ctx) }.packets(&mut flows);
    }
}

/// Copies `bits` of a field to the low bits of another.
fn copy(src: Field, bits: kiln_abi::Bits, dst: Field) -> Action {
    let n_bits = u16::from(bits.len);
    Action::copy_field(Subfield::new(src, bits.first.into(), n_bits), Subfield::new(dst, 0, n_bits))
}

impl Arrival {
    fn any(&self) -> MatchBuilder {
        let mut m = MatchBuilder::default();
        m.exact(Field::IN_PORT_OXM, self.ofport);
        m
    }

    /// Reads the keys. `None` if the switch cannot yet.
    fn decapsulate(&self) -> Option<Vec<Action>> {
        Some(match (self.kind, self.option) {
            (EncapKind::Vxlan, _) => vec![
                copy(Field::TUN_ID, layout::VXLAN_OUTPORT, OUTPORT),
                copy(Field::TUN_ID, layout::VXLAN_DATAPATH, Field::METADATA),
            ],
            (EncapKind::Geneve, None) => return None,
            (EncapKind::Geneve, Some(option)) => vec![
                copy(Field::TUN_ID, layout::GENEVE_DATAPATH, Field::METADATA),
                copy(option, layout::GENEVE_INPORT, INPORT),
                copy(option, layout::GENEVE_OUTPORT, OUTPORT),
                Action::load(Subfield::new(Field::reg(5), 16, 16), self.ofport),
            ],
        })
    }

    fn packets(&self, flows: &mut Flows<'_>) {
        let Some(mut actions) = self.decapsulate() else { return };
        actions.push(Action::resubmit(tables::LOCAL_OUTPUT));
        flows.add(tables::PHY_TO_LOG, 100, &self.any(), actions.clone());
        // An error about a packet of ours that the underlay could not carry goes to its receiver here, and to its sender.
        actions.push(set_flag(flags::RX_FROM_TUNNEL, true));
        actions.push(Action::resubmit(tables::CT_ZONE_LOOKUP));
        let mut v4 = self.any();
        v4.exact(Field::ETH_TYPE, 0x0800u16).exact(Field::IP_PROTO, 1u8);
        v4.exact(Field::ICMPV4_TYPE, 3u8).exact(Field::ICMPV4_CODE, 4u8);
        flows.add(tables::PHY_TO_LOG, 120, &v4, actions.clone());
        let mut v6 = self.any();
        v6.exact(Field::ETH_TYPE, 0x86ddu16).exact(Field::IP_PROTO, 58u8);
        v6.exact(Field::ICMPV6_TYPE, 2u8).exact(Field::ICMPV6_CODE, 0u8);
        flows.add(tables::PHY_TO_LOG, 120, &v6, actions);
        if self.kind == EncapKind::Vxlan {
            self.multicast(flows);
        }
    }

    /// Over VXLAN, keys of multicast groups have their top bit moved down, for lack of room.
    fn multicast(&self, flows: &mut Flows<'_>) {
        let last = layout::VXLAN_OUTPORT.last();
        let mut m = self.any();
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

    /// Answers of neighbours in other availability zones to questions that were flooded there: the router that asked is
    /// found by going through the pipeline.
    fn answers(&self, flows: &mut Flows<'_>) {
        let Some(read) = self.decapsulate() else { return };
        let mut actions = vec![set_flag(flags::RX_FROM_TUNNEL, true)];
        actions.extend(read);
        actions.push(Action::resubmit(tables::LOG_INGRESS));
        let mut m = self.any();
        match (self.kind, self.option) {
            (EncapKind::Geneve, Some(option)) => {
                m.masked(option, 0u8, layout::GENEVE_OUTPORT.mask());
            }
            _ => actions.push(Action::resubmit(tables::LOCAL_OUTPUT)),
        }
        let mut arp = m.clone();
        arp.exact(Field::ETH_TYPE, 0x0806u16).exact(Field::ARP_OP, 2u8);
        flows.add(tables::PHY_TO_LOG, 120, &arp, actions.clone());
        m.exact(Field::ETH_TYPE, 0x86ddu16).exact(Field::IP_PROTO, 58u8);
        m.exact(Field::ICMPV6_TYPE, 136u8).exact(Field::ICMPV6_CODE, 0u8);
        flows.add(tables::PHY_TO_LOG, 120, &m, actions);
    }
}

/// Table 84: a copy for each chassis of other availability zones, for no port in particular.
pub(crate) fn flood(ctx: &Ctx<'_>, _: &(), out: &mut Vec<DesiredFlow>) {
    let remote = ctx.all(&ctx.remote_tunnels, &());
    let Some(option) = geneve_option(ctx) else { return };
    let mut actions = vec![
        Action::copy_field(Subfield::new(Field::METADATA, 0, 24), Subfield::new(Field::TUN_ID, 0, 24)),
        Action::set_field(option, 0u8),
        write_inport(option),
    ];
    let prepared = actions.len();
    for of_one in remote.chunk_by(|(one, _), (other, _)| one == other) {
        let tunnels: Vec<Tunnel> = of_one.iter().map(|(_, tunnel)| *tunnel).collect();
        if let Some(tunnel) = choose(&tunnels, &[], 0).filter(|tunnel| tunnel.kind == EncapKind::Geneve) {
            send(tunnel, &mut actions);
        }
    }
    if actions.len() > prepared {
        let mut m = MatchBuilder::default();
        flag(&mut m, flags::RX_FROM_TUNNEL, false);
        Flows { cookie: 0, out }.add(tables::FLOOD_REMOTE_CHASSIS, 100, &m, actions);
    }
}
