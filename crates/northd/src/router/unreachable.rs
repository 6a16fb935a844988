//! What a router says about packets that it cannot send on (`Logical_Router.options:icmp_unreachable`): that no route
//! leads to their destination.
//!
//! Stock drops them, and so does a router without the option.

use super::facing::{Facing, facing};
use super::port_flows;
use super::routing;
use crate::copp::Protection;
use crate::flow::Flow;
use crate::l3_defaults::{self, option};
use crate::tables::Ctx;
use kiln_types::Uuid;

/// Whether a router says so.
pub(crate) fn is_told(ctx: &Ctx<'_>, router: &Uuid) -> bool {
    l3_defaults::router_option(ctx, router, option::ICMP_UNREACHABLE)
}

/// Stage `lr_in_ip_routing`, behind all routes: RFC 792, network unreachable; RFC 4443, section 3.1, no route. A packet
/// still has the address of who handed it on, so the answer goes back there. A route that discards says nothing; nor does the
/// router about what it has to say itself, which is marked by its loopback flag: it would be told to itself, on the wire.
pub(crate) fn no_route(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<Flow>) {
    let Some((row, mut flows)) = port_flows(ctx, port, out) else { return };
    if !is_told(ctx, &row.router) {
        return;
    }
    let (name, protection) = (&row.name, Protection::of_router(ctx, &row.router));
    for Facing { source, network } in facing(row) {
        let (family, kind) = if source.is_ipv4() { (4, 3) } else { (6, 1) };
        // Of a port's addresses, one in the sender's network comes before the one for all others.
        let (priority, from) = match network {
            Some(network) => (routing::NO_ROUTE + 1, format!(" && ip{family}.src == {network}")),
            None => (routing::NO_ROUTE, String::new()),
        };
        flows.add_metered(
            routing::STAGE,
            priority,
            format_args!("inport == \"{name}\" && ip{family}{from} && !ip.later_frag && !flags.loopback"),
            format_args!(
                "icmp{family} {{ eth.dst <-> eth.src; icmp{family}.type = {kind}; icmp{family}.code = 0; \
                 ip{family}.dst = ip{family}.src; ip{family}.src = {source}; ip.ttl = 255; outport = \"{name}\"; \
                 flags.loopback = 1; output; }};"
            ),
            protection.error_meter(source.is_ipv4()),
        );
    }
}
