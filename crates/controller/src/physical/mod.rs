//! The OpenFlow tables around the logical pipelines: how packets become logical, get to other chassis, and become
//! physical again (ovn-architecture(7), Architectural Physical Life Cycle of a Packet).

pub(crate) mod activation;
pub(crate) mod chassis_mac;
pub(crate) mod drops;
pub(crate) mod egress;
pub(crate) mod fixed;
pub(crate) mod ingress;
pub(crate) mod local_output;
pub(crate) mod multicast;
pub(crate) mod multichassis;
pub(crate) mod port_security;
pub(crate) mod punt_meters;
pub(crate) mod remote_output;
pub(crate) mod tunnel;
pub(crate) mod write;

use crate::desired::DesiredFlow;
use crate::port::LocalPort;
use crate::tables::Ctx;
use kiln_types::Uuid;

/// The flows of one logical port.
pub(crate) fn port(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<DesiredFlow>) {
    let Some(port) = ctx.value(&ctx.ports, row) else { return };
    let mut flows = write::Flows { cookie: write::cookie(*row), out };
    ingress::port(port, &mut flows);
    ingress::zone_lookup(port, &mut flows);
    remote_output::port(ctx, row, port, &mut flows);
    local_output::port(ctx, port, &mut flows);
    egress::port(ctx, port, &mut flows);
    activation::port(ctx, row, port, &mut flows);
}

/// Whether other ports are inside this one.
pub(crate) fn has_containers(ctx: &Ctx<'_>, port: &LocalPort) -> bool {
    !ctx.all(&ctx.containers_in, &port.name).is_empty()
}
