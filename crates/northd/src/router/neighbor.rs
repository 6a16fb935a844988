//! Stages `lr_in_lookup_neighbor` and `lr_in_learn_neighbor`: what ARP and neighbour discovery tell about others is
//! looked up, and learned when it is new.

use super::{learning, port_flows, router_flows};
use crate::copp::{Protection, Protocol};
use crate::flow::Flow;
use crate::tables::Ctx;
use kiln_abi::stages::Stage;
use kiln_types::Uuid;

const LOOKUP: Stage = Stage::LR_IN_LOOKUP_NEIGHBOR;
const LEARN: Stage = Stage::LR_IN_LEARN_NEIGHBOR;

/// Whether a router learns from every request that it hears, or only updates what it knows.
fn always_learns(ctx: &Ctx<'_>, router: &Uuid) -> bool {
    ctx.row(&ctx.nb.logical_router, router)
        .and_then(|row| row.options().get("always_learn_from_arp_request"))
        .is_none_or(|value| &**value != "false")
}

/// What a router learns from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sources {
    /// Everything that it hears.
    All,
    /// Answers, and requests that are meant for it; other requests only update what is known.
    Own,
    /// Answers; requests only update what is known.
    Answers,
}

fn sources(ctx: &Ctx<'_>, router: &Uuid) -> Sources {
    if learning::is_tracked(ctx, router) {
        Sources::Answers
    } else if always_learns(ctx, router) {
        Sources::All
    } else {
        Sources::Own
    }
}

pub(crate) fn common(ctx: &Ctx<'_>, router: &Uuid, out: &mut Vec<Flow>) {
    let Some(mut flows) = router_flows(ctx, router, out) else { return };
    let always = sources(ctx, router) == Sources::All;
    let may = if always { "" } else { "reg9[3] = 1; " };
    let known = if always { "" } else { "reg9[3] = lookup_nd_ip(inport, ip6.src); " };
    flows.add(
        LOOKUP,
        100,
        "arp.op == 2",
        format_args!("reg9[2] = lookup_arp(inport, arp.spa, arp.sha); {may}next;"),
    );
    flows.add(
        LOOKUP,
        100,
        "nd_na",
        format_args!("reg9[2] = lookup_nd(inport, nd.target, nd.tll); {may}next;"),
    );
    flows.add(
        LOOKUP,
        100,
        "nd_ns",
        format_args!("reg9[2] = lookup_nd(inport, ip6.src, nd.sll); {known}next;"),
    );
    if !always {
        // What others announce to everybody only updates what is known.
        flows.add(
            LOOKUP,
            110,
            "ip6.dst == ff00::/8 && ip6.src == fe80::/10 && nd_na",
            "reg9[2] = lookup_nd(inport, nd.target, nd.tll); reg9[3] = lookup_nd_ip(inport, nd.target); next;",
        );
    }
    flows.fallback(LOOKUP, "reg9[2] = 1; next;");

    let done = if always { "reg9[2] == 1" } else { "reg9[2] == 1 || reg9[3] == 0" };
    flows.add(LEARN, 100, done, "mac_cache_use; next;");
    flows.add(LEARN, 95, "nd_ns && (ip6.src == 0 || nd.sll == 0)", "next;");
    let protection = Protection::of_router(ctx, router);
    for (priority, told, learn, protocol) in [
        (95, "nd_na && nd.tll == 0", "put_nd(inport, nd.target, eth.src); next;", Protocol::NdNa),
        (90, "arp", "put_arp(inport, arp.spa, arp.sha); next;", Protocol::Arp),
        (90, "nd_na", "put_nd(inport, nd.target, nd.tll); next;", Protocol::NdNa),
        (90, "nd_ns", "put_nd(inport, ip6.src, nd.sll); next;", Protocol::NdNs),
    ] {
        flows.add_metered(LEARN, priority, told, learn, protection.meter(protocol));
    }

    flows.drop(ctx, LEARN, 0, "1");
}

pub(crate) fn of_port(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<Flow>) {
    let Some((row, mut flows)) = port_flows(ctx, port, out) else { return };
    let sources = sources(ctx, &row.router);
    let lookup = "reg9[2] = lookup_arp(inport, arp.spa, arp.sha);";
    for net in &row.ipv4 {
        let asked = format!("inport == \"{}\" && arp.spa == {}", row.name, net.trunc());
        if sources == Sources::All {
            flows.add(LOOKUP, 100, format_args!("{asked} && arp.op == 1"), format_args!("{lookup} next;"));
            continue;
        }
        if sources == Sources::Own {
            flows.add(
                LOOKUP,
                110,
                format_args!("{asked} && arp.tpa == {} && arp.op == 1", net.addr()),
                format_args!("{lookup} reg9[3] = 1; next;"),
            );
        }
        flows.add(
            LOOKUP,
            100,
            format_args!("{asked} && arp.op == 1"),
            format_args!("{lookup} reg9[3] = lookup_arp_ip(inport, arp.spa); next;"),
        );
    }
}
