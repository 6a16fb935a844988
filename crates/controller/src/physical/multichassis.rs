//! Ports on several chassis of a switch with a physical network: what they send leaves by tunnels, since the network's bridges
//! would otherwise learn one address in several places (table 44). A tunnel takes less than the network does, so what is
//! too large is refused to its sender (tables 42 and 43; RFC 1191, RFC 4443 3.2).

use super::tunnel::{encapsulate, send};
use super::write::*;
use crate::port::{Delivery, LocalPort};
use crate::settings::EncapKind;
use crate::tables::Ctx;
use crate::tunnel::{Tunnel, choose};
use kiln_abi::opcodes::{Opcode, frag_mtu_note};
use kiln_abi::registers::{flags, reg, scratch};
use kiln_abi::tables;
use kiln_openflow::action::Controller;
use kiln_openflow::{Action, Actions, Field, Subfield};
use kiln_types::Uuid;

/// What a tunnel adds to a packet, beside the outer IP header: Ethernet, UDP, the tunnel's own header with its options.
const fn overhead_bytes(kind: EncapKind) -> u16 {
    match kind {
        EncapKind::Geneve => 38,
        EncapKind::Vxlan => 30,
    }
}

/// Length of an Ethernet header with one VLAN tag, which is no part of what an MTU counts.
const ETH_AND_TAG_BYTES: u16 = 18;

/// `check_pkt_larger` leaves its answer in this bit.
const IS_LARGER: Subfield = Subfield::new(Field::reg(scratch::PKT_LARGER.0), scratch::PKT_LARGER.1 as u16, 1);

/// What ports on several chassis send to `port`, which is on one other chassis and would be reached by the physical network.
pub(crate) fn enforced(ctx: &Ctx<'_>, row: &Uuid, port: &LocalPort, flows: &mut Flows<'_>) {
    let senders = ctx.all(&ctx.multichassis_of, &port.datapath);
    if senders.is_empty() {
        return;
    }
    let Some(chassis) = ctx.row(&ctx.sb.port_binding, row).and_then(|row| row.chassis()) else { return };
    let Some(tunnel) = choose(ctx.all(&ctx.tunnels, &chassis), &[], 0) else { return };
    let mut actions = Vec::new();
    if !encapsulate(ctx, tunnel, port.datapath_key, port.key, &mut actions) {
        return;
    }
    send(tunnel, &mut actions);
    for sender_row in senders.iter().filter(|sender| *sender != row) {
        let Some(sender) = ctx.value(&ctx.ports, sender_row) else { continue };
        let mut m = outport(port.datapath_key, port.key);
        m.exact(INPORT, sender.key);
        flows.add(tables::REMOTE_OUTPUT, 110, &m, actions.clone());
        if let Some(limit) = limit_bytes(ctx, sender_row, sender, tunnel) {
            too_large(sender, limit, flows);
        }
    }
}

/// The largest packet of a port here, as the switch counts, that fits through the tunnel.
fn limit_bytes(ctx: &Ctx<'_>, row: &Uuid, port: &LocalPort, tunnel: &Tunnel) -> Option<u16> {
    let Delivery::Here { .. } = port.delivery else { return None };
    let interface = ctx.value(&ctx.residence, row)?.interface?;
    let mtu = u16::try_from(ctx.row(&ctx.vs.interface, &interface)?.mtu()?).ok()?;
    let remote = ctx.row(&ctx.sb.encap, &tunnel.remote)?;
    let ip_header = if remote.ip().contains(':') { 40 } else { 20 };
    mtu.checked_sub(overhead_bytes(tunnel.kind) + ip_header)
}

/// Packets from the port and to it.
fn too_large(port: &LocalPort, limit: u16, flows: &mut Flows<'_>) {
    for is_ipv6 in [false, true] {
        let refusal = refusal(limit, is_ipv6);
        for register in [INPORT, OUTPORT] {
            let mut m = datapath(port.datapath_key);
            m.exact(Field::ETH_TYPE, if is_ipv6 { 0x86ddu16 } else { 0x0800 });
            m.exact(register, port.key);
            let check = Action::CheckPktLarger { pkt_len: limit, dst: IS_LARGER };
            let next = Action::resubmit(tables::OUTPUT_LARGE_PKT_PROCESS);
            flows.add(tables::OUTPUT_LARGE_PKT_DETECT, 100, &m, vec![check, next]);
            m.set(IS_LARGER.load(1));
            flows.add(tables::OUTPUT_LARGE_PKT_PROCESS, 100, &m, vec![refusal.clone()]);
        }
    }
}

/// Has the controller tell the sender: an error goes back the way that the packet came.
fn refusal(limit: u16, is_ipv6: bool) -> Action {
    let (ip_src, ip_dst) =
        if is_ipv6 { (Field::IPV6_SRC, Field::IPV6_DST) } else { (Field::IPV4_SRC, Field::IPV4_DST) };
    let mut actions = vec![Action::load(IS_LARGER, 0u8), set_flag(flags::LOOPBACK, true)];
    swap(Field::reg(reg::INPORT), Field::reg(reg::OUTPORT), &mut actions);
    swap(Field::ETH_DST, Field::ETH_SRC, &mut actions);
    swap(ip_dst, ip_src, &mut actions);
    actions.push(Action::SetNwTtl(255));
    let (kind, code) = if is_ipv6 {
        ((Field::ICMPV6_TYPE, 2u8), (Field::ICMPV6_CODE, 0u8))
    } else {
        ((Field::ICMPV4_TYPE, 3), (Field::ICMPV4_CODE, 4))
    };
    actions.push(Action::set_field(kind.0, kind.1));
    actions.push(Action::set_field(code.0, code.1));
    actions.push(Action::Note(frag_mtu_note(limit.saturating_sub(ETH_AND_TAG_BYTES).into(), is_ipv6).into()));
    actions.push(Action::resubmit(tables::LOG_INGRESS));
    let list = Actions::encode(&actions).expect("a few actions fit into a list");
    let mut userdata = Opcode::ICMP.userdata();
    userdata.extend_from_slice(list.as_bytes());
    Action::Controller(Box::new(Controller {
        userdata: userdata.into(),
        pause: true,
        ..Controller::default()
    }))
}

fn swap(one: Field, other: Field, actions: &mut Vec<Action>) {
    let fields = [one, other].map(Subfield::whole);
    actions.extend(fields.map(Action::StackPush));
    actions.extend(fields.map(Action::StackPop));
}
