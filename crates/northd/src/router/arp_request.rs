//! Stages `lr_in_network_id` and `lr_in_arp_request`: what has no Ethernet address yet waits while it is asked for.

use super::{port_flows, router_flows};
use crate::copp::{Protection, Protocol};
use crate::flow::{Flow, Flows};
use crate::tables::Ctx;
use kiln_abi::stages::Stage;
use kiln_types::{Uuid, solicited_node};
use std::net::Ipv6Addr;

const STAGE: Stage = Stage::LR_IN_ARP_REQUEST;
/// How many networks of a port have numbers of their own: flag bits 28 to 31.
const NETWORK_IDS: usize = 16;

pub(crate) fn common(ctx: &Ctx<'_>, router: &Uuid, out: &mut Vec<Flow>) {
    let Some(mut flows) = router_flows(ctx, router, out) else { return };
    flows.add(Stage::LR_IN_NETWORK_ID, 105, "1", "flags.network_id = 0; next;");
    flows.fallback(Stage::LR_IN_NETWORK_ID, "next;");
    let protection = Protection::of_router(ctx, router);
    let unresolved = "eth.dst == 00:00:00:00:00:00";
    flows.add_metered(
        STAGE,
        100,
        format_args!("{unresolved} && reg9[9] == 1"),
        "arp { eth.dst = ff:ff:ff:ff:ff:ff; arp.spa = reg5; arp.tpa = reg0; arp.op = 1; output; }; next;",
        protection.meter(Protocol::ArpResolve),
    );
    flows.add_metered(
        STAGE,
        100,
        format_args!("{unresolved} && reg9[9] == 0"),
        "nd_ns { nd.target = xxreg0; output; }; next;",
        protection.meter(Protocol::NdNsResolve),
    );
    flows.fallback(STAGE, "next;");
}

/// Which of a port's networks a packet leaves for.
pub(crate) fn of_port(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<Flow>) {
    let Some((row, mut flows)) = port_flows(ctx, port, out) else { return };
    let mut network = |family: u8, register: &str, net: &str, id: usize| {
        let id = if id < NETWORK_IDS { id } else { 0 };
        flows.add(
            Stage::LR_IN_NETWORK_ID,
            110,
            format_args!("outport == \"{}\" && ip{family} && {register} == {net}", row.name),
            format_args!("flags.network_id = {id}; next;"),
        );
    };
    for (id, net) in row.ipv4.iter().enumerate() {
        network(4, "reg0", &net.trunc().to_string(), id);
    }
    for (id, net) in row.configured_ipv6().iter().enumerate() {
        network(6, "xxreg0", &net.trunc().to_string(), id);
    }
}

/// A solicitation goes to the group of the next hop: `nd_ns` by itself would take that of the packet's destination.
fn solicit(nexthop: Ipv6Addr, protection: &Protection<'_, '_>, flows: &mut Flows<'_>) {
    let group = solicited_node(nexthop);
    let low = group.to_bits() as u32;
    let [a, b, c, d] = low.to_be_bytes();
    flows.add_metered(
        STAGE,
        200,
        format_args!("eth.dst == 00:00:00:00:00:00 && reg9[9] == 0 && xxreg0 == {nexthop}"),
        format_args!(
            "nd_ns {{ eth.dst = 33:33:{a:02x}:{b:02x}:{c:02x}:{d:02x}; ip6.dst = {group}; nd.target = {nexthop}; \
             output; }}; next;"
        ),
        protection.meter(Protocol::NdNsResolve),
    );
}

pub(crate) fn of_route(ctx: &Ctx<'_>, route: &Uuid, out: &mut Vec<Flow>) {
    let Some(row) = ctx.row(&ctx.nb.logical_router_static_route, route) else { return };
    let Ok(nexthop) = row.nexthop().parse::<Ipv6Addr>() else { return };
    for router in ctx.all(&ctx.router_of_route, route) {
        let Some(datapath) = ctx.value(&ctx.datapaths, router) else { continue };
        let protection = Protection::of_router(ctx, router);
        solicit(nexthop, &protection, &mut Flows::common(out, datapath.index));
    }
}

pub(crate) fn of_policy(ctx: &Ctx<'_>, policy: &Uuid, out: &mut Vec<Flow>) {
    let Some(row) = ctx.row(&ctx.nb.logical_router_policy, policy) else { return };
    for router in ctx.all(&ctx.router_of_policy, policy) {
        let Some(datapath) = ctx.value(&ctx.datapaths, router) else { continue };
        for text in row.nexthops().all() {
            if let Ok(nexthop) = text.parse::<Ipv6Addr>() {
                let protection = Protection::of_router(ctx, router);
                solicit(nexthop, &protection, &mut Flows::common(out, datapath.index));
            }
        }
    }
}
