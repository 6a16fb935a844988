//! Logical switches: ports, checked, and the flows of both pipelines in the order of their stages.

pub(crate) mod acl;
pub(crate) mod acl_stages;
pub(crate) mod admission;
pub(crate) mod arp_rsp;
pub(crate) mod edge;
pub(crate) mod fdb;
pub(crate) mod l2_lookup;
pub(crate) mod passing;
pub(crate) mod port;
pub(crate) mod vtep;

use crate::flow::{Flow, Flows};
use crate::tables::{Ctx, SwitchPort};
use kiln_types::Uuid;

/// A switch port that passes packets, and where its flows go.
pub(crate) fn port_flows<'r, 'o>(
    ctx: &'r Ctx<'_>,
    port: &Uuid,
    out: &'o mut Vec<Flow>,
) -> Option<(&'r SwitchPort, Flows<'o>)> {
    let row = ctx.value(&ctx.switch_ports, port)?;
    let datapath = ctx.value(&ctx.datapaths, &row.switch)?;
    Some((row, Flows::new(out, datapath.index, *port)))
}

/// Where the flows of a switch go.
pub(crate) fn switch_flows<'o>(ctx: &Ctx<'_>, switch: &Uuid, out: &'o mut Vec<Flow>) -> Option<Flows<'o>> {
    let datapath = ctx.value(&ctx.datapaths, switch)?;
    Some(Flows::common(out, datapath.index))
}

/// The flows of a port, in the order of their stages. Nearly all follow from the checked port alone, so that it is one run.
pub(crate) fn of_port(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<Flow>) {
    admission::of_port(ctx, port, out);
    edge::of_port(ctx, port, out);
    vtep::of_port(ctx, port, out);
    fdb::of_port(ctx, port, out);
    acl::untracked_port(ctx, port, out);
    arp_rsp::of_port(ctx, port, out);
    l2_lookup::of_port(ctx, port, out);
}
