//! Switches at the edge of a physical network, with ports of gateway routers: of all chassis on that network, only those that
//! have such a port take its ARP requests in, so that one chassis answers and not all of them.

use super::{port_flows, switch_flows};
use crate::flow::Flow;
use crate::tables::{Ctx, PortKind};
use kiln_abi::stages::Stage;
use kiln_types::Uuid;

const CHECK: Stage = Stage::LS_IN_CHECK_PORT_SEC;
const APPLY: Stage = Stage::LS_IN_APPLY_PORT_SEC;

/// What makes a switch one at the edge; it takes a gateway and one of the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Part {
    /// A localnet port.
    Localnet,
    /// A gateway between the switch and a physical network.
    L2Gateway,
    /// A port of a router that is on one chassis.
    Gateway,
}

/// The parts that a port adds to its switch.
pub(crate) fn parts(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<(Uuid, Part)>) {
    let Some(row) = ctx.value(&ctx.switch_ports, port) else { return };
    match row.kind {
        PortKind::Localnet => out.push((row.switch, Part::Localnet)),
        PortKind::L2Gateway => out.push((row.switch, Part::L2Gateway)),
        _ => {}
    }
    let router_port = row.router_port.and_then(|peer| ctx.value(&ctx.router_ports, &peer));
    if router_port.is_some_and(|peer| peer.gateway.is_some()) {
        out.push((row.switch, Part::Gateway));
    }
}

fn is_edge(ctx: &Ctx<'_>, switch: &Uuid) -> bool {
    let has = |part| ctx.holds(&ctx.edges, switch, &part);
    has(Part::Gateway) && (has(Part::Localnet) || has(Part::L2Gateway))
}

pub(crate) fn common(ctx: &Ctx<'_>, switch: &Uuid, out: &mut Vec<Flow>) {
    let Some(mut flows) = switch_flows(ctx, switch, out) else { return };
    if is_edge(ctx, switch) {
        // Of these no sample is taken, as with stock: another chassis answers the same request.
        flows.add(APPLY, 70, "reg0[22] == 1", "drop;");
    }
}

pub(crate) fn of_port(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<Flow>) {
    let Some((row, mut flows)) = port_flows(ctx, port, out) else { return };
    let outside = matches!(row.kind, PortKind::Localnet | PortKind::L2Gateway);
    if !outside && row.kind != PortKind::Router || !is_edge(ctx, &row.switch) {
        return;
    }
    if outside {
        let asked = format!("arp.op == 1 && inport == \"{}\"", row.name);
        flows.add(CHECK, 75, asked, "reg0[22] = 1; next;");
    }
    let router_port = row.router_port.and_then(|peer| ctx.value(&ctx.router_ports, &peer));
    if let Some(peer) = router_port.filter(|peer| peer.gateway.is_some()) {
        let here = format!("reg0[22] == 1 && is_chassis_resident(\"{}\")", peer.name);
        flows.add(APPLY, 75, here, "next;");
    }
}
