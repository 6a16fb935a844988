//! Ports that lead to a VTEP switch. It has flooded its own ports already and answers for none of the others: what comes from
//! there goes straight to the look-up of its destination, and questions may go back to where they came from.

use super::{port_flows, switch_flows};
use crate::flow::Flow;
use crate::tables::{Ctx, PortKind};
use kiln_abi::stages::Stage;
use kiln_types::Uuid;

/// Switches with such ports.
pub(crate) fn switches(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<(Uuid, ())>) {
    let Some(row) = ctx.value(&ctx.switch_ports, port) else { return };
    if row.kind == PortKind::Vtep {
        out.push((row.switch, ()));
    }
}

pub(crate) fn common(ctx: &Ctx<'_>, switch: &Uuid, out: &mut Vec<Flow>) {
    let Some(mut flows) = switch_flows(ctx, switch, out) else { return };
    if ctx.all(&ctx.vtep_switches, switch).is_empty() {
        return;
    }
    let look_up = format!("next(pipeline=ingress, table={});", Stage::LS_IN_L2_LKUP.number);
    flows.add(Stage::LS_IN_HAIRPIN, 1000, "reg0[14] == 1", look_up);
    flows.add(Stage::LS_IN_ARP_RSP, 65535, "reg0[14] == 1 && (arp || nd_ns)", "flags.loopback = 1; next;");
}

pub(crate) fn of_port(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<Flow>) {
    let Some((row, mut flows)) = port_flows(ctx, port, out) else { return };
    if row.kind == PortKind::Vtep {
        flows.add(
            Stage::LS_IN_CHECK_PORT_SEC,
            70,
            format_args!("inport == \"{}\"", row.name),
            format_args!("reg0[14] = 1; next(pipeline=ingress, table={});", Stage::LS_IN_HAIRPIN.number),
        );
    }
}
