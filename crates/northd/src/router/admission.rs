//! Stage `lr_in_admission`: frames that are meant for the router.

use super::mtu::{self, Mtu};
use super::{port_flows, router_flows};
use crate::flow::Flow;
use crate::switch::admission::TUNNEL_MTU_ERROR;
use crate::tables::Ctx;
use kiln_abi::stages::Stage;
use kiln_types::Uuid;

const STAGE: Stage = Stage::LR_IN_ADMISSION;

pub(crate) fn common(ctx: &Ctx<'_>, router: &Uuid, out: &mut Vec<Flow>) {
    let Some(mut flows) = router_flows(ctx, router, out) else { return };
    flows.drop(ctx, STAGE, 110, TUNNEL_MTU_ERROR);
    flows.drop(ctx, STAGE, 100, "vlan.present || eth.src[40]");
    flows.drop(ctx, STAGE, 0, "1");
}

pub(crate) fn of_port(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<Flow>) {
    let Some((row, mut flows)) = port_flows(ctx, port, out) else { return };
    if !row.enabled {
        return;
    }
    let (name, mac) = (&row.name, row.mac);
    let accept = format!("xreg0[0..47] = {mac}; next;");
    flows.add(STAGE, 50, format_args!("eth.mcast && inport == \"{name}\""), &accept);
    let mtu = Mtu::of(ctx, port);
    mtu::admit(mtu.as_ref(), &format!("eth.dst == {mac} && inport == \"{name}\""), &accept, &mut flows);
}
