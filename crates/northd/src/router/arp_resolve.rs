//! Stage `lr_in_arp_resolve`: the Ethernet address of the next hop, from what is declared and from what was learned.

use super::ip_input::set;
use super::{port_flows, router_flows};
use crate::flow::{Flow, Flows};
use crate::name::PortName;
use crate::tables::{Ctx, Peer, PortKind, RouterPort};
use kiln_abi::stages::Stage;
use kiln_types::Uuid;

const STAGE: Stage = Stage::LR_IN_ARP_RESOLVE;

pub(crate) fn common(ctx: &Ctx<'_>, router: &Uuid, out: &mut Vec<Flow>) {
    let Some(mut flows) = router_flows(ctx, router, out) else { return };
    flows.add(STAGE, 500, "ip4.mcast || ip6.mcast", "next;");
    flows.add(STAGE, 1, "reg9[9] == 0", "get_nd(outport, xxreg0); next;");
    flows.add(STAGE, 1, "reg9[9] == 1", "get_arp(outport, reg0); next;");
    flows.drop(ctx, STAGE, 0, "1");
}

/// The declared addresses of a switch port, for every router on the switch.
pub(crate) fn of_switch_port(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<Flow>) {
    let Some(row) = ctx.value(&ctx.switch_ports, port) else { return };
    let declares =
        matches!(row.kind, PortKind::Vif | PortKind::Localport | PortKind::External | PortKind::Remote);
    if !row.enabled || !declares || row.addresses.is_empty() {
        return;
    }
    for router_port in ctx.all(&ctx.router_ports_on_switch, &row.switch) {
        let Some((towards, mut flows)) = port_flows(ctx, router_port, out) else { continue };
        for address in &row.addresses {
            let near_v4 = address.ipv4.iter().map(|net| net.addr());
            for ip in near_v4.filter(|ip| towards.ipv4.iter().any(|net| net.contains(ip))) {
                known(&towards.name, "reg0", &ip.to_string(), address.mac, &mut flows);
            }
            let near_v6 = address.ipv6.iter().map(|net| net.addr());
            for ip in near_v6.filter(|ip| towards.ipv6.iter().any(|net| net.contains(ip))) {
                known(&towards.name, "xxreg0", &ip.to_string(), address.mac, &mut flows);
            }
        }
    }
}

fn known(outport: &PortName, register: &str, ip: &str, mac: kiln_types::EthAddr, flows: &mut Flows<'_>) {
    flows.add(
        STAGE,
        100,
        format_args!("outport == \"{outport}\" && {register} == {ip}"),
        format_args!("eth.dst = {mac}; next;"),
    );
}

/// Routers that a port's router can reach without asking: the peer, or all on the same switch.
pub(crate) fn of_port(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<Flow>) {
    let Some((row, mut flows)) = port_flows(ctx, port, out) else { return };
    let asks = ctx
        .row(&ctx.nb.logical_router, &row.router)
        .and_then(|router| router.options().get("dynamic_neigh_routers"))
        .is_some_and(|value| &**value == "true");
    match row.peer {
        Peer::Router(peer) => {
            if let Some(peer) = ctx.value(&ctx.router_ports, &peer) {
                neighbour(&row.name, peer, &mut flows);
            }
        }
        Peer::Switch(switch_port) if !asks => {
            let Some(switch_port) = ctx.value(&ctx.switch_ports, &switch_port) else { return };
            let others = ctx.all(&ctx.router_ports_on_switch, &switch_port.switch).iter();
            for other in others.filter(|other| *other != port) {
                if let Some(other) = ctx.value(&ctx.router_ports, other) {
                    neighbour(&row.name, other, &mut flows);
                }
            }
        }
        _ => {}
    }
}

fn neighbour(outport: &PortName, other: &RouterPort, flows: &mut Flows<'_>) {
    if !other.ipv4.is_empty() {
        known(outport, "reg0", &set(other.ipv4.iter().map(|net| net.addr())), other.mac, flows);
    }
    known(outport, "xxreg0", &set(other.ipv6.iter().map(|net| net.addr())), other.mac, flows);
}
