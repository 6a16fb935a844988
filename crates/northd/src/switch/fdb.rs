//! Stages `ls_in_lookup_fdb` and `ls_in_put_fdb`: which Ethernet addresses were seen behind ports that do not declare
//! theirs.

use super::{port_flows, switch_flows};
use crate::flow::Flow;
use crate::tables::{Ctx, PortKind};
use kiln_abi::stages::Stage;
use kiln_types::Uuid;

pub(crate) fn common(ctx: &Ctx<'_>, switch: &Uuid, out: &mut Vec<Flow>) {
    let Some(mut flows) = switch_flows(ctx, switch, out) else { return };
    flows.fallback(Stage::LS_IN_LOOKUP_FDB, "next;");
    flows.fallback(Stage::LS_IN_PUT_FDB, "next;");
}

pub(crate) fn of_port(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<Flow>) {
    let Some((row, mut flows)) = port_flows(ctx, port, out) else { return };
    let learns = match row.kind {
        PortKind::Vif => row.unknown && !row.secured && !row.options.unlearned,
        PortKind::Switch => row.unknown && !row.secured,
        PortKind::Localnet => row.options.learns,
        _ => false,
    };
    if !learns {
        return;
    }
    let name = &row.name;
    let mark = if row.kind == PortKind::Localnet { "flags.localnet = 1; " } else { "" };
    flows.add(
        Stage::LS_IN_LOOKUP_FDB,
        100,
        format_args!("inport == \"{name}\""),
        format_args!("{mark}reg0[11] = lookup_fdb(inport, eth.src); next;"),
    );
    flows.add(
        Stage::LS_IN_PUT_FDB,
        100,
        format_args!("inport == \"{name}\" && reg0[11] == 0"),
        "put_fdb(inport, eth.src); next;",
    );
}
