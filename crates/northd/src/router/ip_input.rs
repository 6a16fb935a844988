//! Stage `lr_in_ip_input`: what is never routed, and what is meant for the router itself.

use super::{port_flows, router_flows, unreachable};
use crate::copp::{Protection, Protocol};
use crate::flow::{Flow, Flows};
use crate::tables::{Ctx, RouterPort};
use kiln_abi::stages::Stage;
use kiln_types::{Uuid, solicited_node};
use std::fmt::Display;

pub(super) const STAGE: Stage = Stage::LR_IN_IP_INPUT;

pub(crate) fn common(ctx: &Ctx<'_>, router: &Uuid, out: &mut Vec<Flow>) {
    let Some(mut flows) = router_flows(ctx, router, out) else { return };
    // RFC 1812, section 5.3.7: addresses that no packet from elsewhere may have.
    flows.drop(
        ctx,
        STAGE,
        100,
        "ip4.src_mcast || ip4.src == 255.255.255.255 || ip4.src == 127.0.0.0/8 || ip4.dst == 127.0.0.0/8 || \
         ip4.src == 0.0.0.0/8 || ip4.dst == 0.0.0.0/8",
    );
    flows.drop(ctx, STAGE, 85, "arp || nd");
    flows.add(STAGE, 84, "nd_rs || nd_ra", "next;");
    flows.drop(ctx, STAGE, 83, "ip6.mcast_rsvd");
    flows.drop(ctx, STAGE, 82, "ip4.mcast || ip6.mcast");
    flows.drop(ctx, STAGE, 50, "eth.bcast");
    flows.drop(ctx, STAGE, 32, "ip.ttl == {0, 1} && !ip.later_frag && (ip4.mcast || ip6.mcast)");
    flows.drop(ctx, STAGE, 29, "ip.ttl == {0, 1}");
    if unreachable::is_told(ctx, router) {
        // RFC 4291, sections 2.5.2, 2.5.3 and 2.7: the same of IPv6, of which stock lets all pass. Neighbour Discovery has the
        // unspecified address.
        flows.drop(ctx, STAGE, 100, "ip6.src == ::1 || ip6.src == ff00::/8 || ip6.dst == ::1");
        flows.drop(ctx, STAGE, 81, "ip6.src == ::");
    }
    flows.fallback(STAGE, "next;");
}

pub(crate) fn of_port(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<Flow>) {
    let Some((row, mut flows)) = port_flows(ctx, port, out) else { return };
    let broadcasts = row.ipv4.iter().filter(|net| net.prefix_len() < 31).map(|net| net.broadcast());
    let own_sources = row.ipv4.iter().map(|net| net.addr()).chain(broadcasts);
    if !row.ipv4.is_empty() {
        flows.drop(ctx, STAGE, 100, format_args!("ip4.src == {} && reg9[0] == 0", set(own_sources)));
    }
    answer_neighbours(row, &Protection::of_router(ctx, &row.router), &mut flows);
}

/// A constant or, for several, a set of them.
pub(super) fn set(values: impl Iterator<Item = impl Display>) -> String {
    let values: Vec<String> = values.map(|value| value.to_string()).collect();
    match values.as_slice() {
        [only] => only.clone(),
        many => format!("{{{}}}", many.join(", ")),
    }
}

/// ARP requests and neighbour solicitations for the port's own addresses.
fn answer_neighbours(row: &RouterPort, protection: &Protection<'_, '_>, flows: &mut Flows<'_>) {
    let name = &row.name;
    for net in &row.ipv4 {
        flows.add(
            STAGE,
            90,
            format_args!(
                "inport == \"{name}\" && arp.op == 1 && arp.tpa == {} && arp.spa == {}",
                net.addr(),
                net.trunc()
            ),
            "eth.dst = eth.src; eth.src = xreg0[0..47]; arp.op = 2; arp.tha = arp.sha; arp.sha = xreg0[0..47]; \
             arp.tpa <-> arp.spa; outport = inport; flags.loopback = 1; output;",
        );
    }
    for net in &row.ipv6 {
        let ip = net.addr();
        flows.add_metered(
            STAGE,
            90,
            format_args!(
                "inport == \"{name}\" && ip6.dst == {{{ip}, {}}} && nd_ns && nd.target == {ip}",
                solicited_node(ip)
            ),
            "nd_na_router { eth.src = xreg0[0..47]; ip6.src = nd.target; nd.tll = xreg0[0..47]; outport = inport; \
             flags.loopback = 1; output; };",
            protection.meter(Protocol::NdNa),
        );
    }
}
