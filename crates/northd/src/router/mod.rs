//! Logical routers: ports and routes, checked, and the flows of both pipelines in the order of their stages.

pub(crate) mod admission;
pub(crate) mod advertise;
pub(crate) mod arp_request;
pub(crate) mod arp_resolve;
pub(crate) mod delivery;
mod facing;
pub(crate) mod icmp;
pub(crate) mod ip_input;
pub(crate) mod learning;
pub(crate) mod mtu;
pub(crate) mod neighbor;
pub(crate) mod nexthop;
pub(crate) mod passing;
pub(crate) mod policy;
pub(crate) mod port;
pub(crate) mod route;
pub(crate) mod routing;
pub(crate) mod symmetric;
pub(crate) mod unreachable;

pub use route::{Route, RouteGroup};

use crate::flow::{Flow, Flows};
use crate::tables::{Ctx, RouterPort};
use kiln_types::Uuid;

/// A router port and where its flows go. One that is disabled admits nothing, and answers for itself nevertheless.
pub(crate) fn port_flows<'r, 'o>(
    ctx: &'r Ctx<'_>,
    port: &Uuid,
    out: &'o mut Vec<Flow>,
) -> Option<(&'r RouterPort, Flows<'o>)> {
    let row = ctx.value(&ctx.router_ports, port)?;
    let datapath = ctx.value(&ctx.datapaths, &row.router)?;
    Some((row, Flows::new(out, datapath.index, *port)))
}

/// Where the flows of a router go.
pub(crate) fn router_flows<'o>(ctx: &Ctx<'_>, router: &Uuid, out: &'o mut Vec<Flow>) -> Option<Flows<'o>> {
    let datapath = ctx.value(&ctx.datapaths, router)?;
    Some(Flows::common(out, datapath.index))
}
