//! Stage `lr_out_delivery`: packets leave by the port that was chosen.

use super::{port_flows, router_flows};
use crate::flow::Flow;
use crate::tables::Ctx;
use kiln_abi::stages::Stage;
use kiln_types::Uuid;

pub(crate) fn common(ctx: &Ctx<'_>, router: &Uuid, out: &mut Vec<Flow>) {
    let Some(mut flows) = router_flows(ctx, router, out) else { return };
    flows.drop(ctx, Stage::LR_OUT_DELIVERY, 0, "1");
}

pub(crate) fn of_port(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<Flow>) {
    let Some((row, mut flows)) = port_flows(ctx, port, out) else { return };
    // What cannot leave is dropped, and does not go another way.
    if !row.enabled {
        return;
    }
    flows.add(Stage::LR_OUT_DELIVERY, 100, format_args!("outport == \"{}\"", row.name), "output;");
}
