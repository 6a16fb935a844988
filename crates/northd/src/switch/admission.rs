//! Stages `ls_in_check_port_sec` and `ls_in_apply_port_sec`, and their likes at the end of egress: what may enter and
//! leave by a port. The addresses themselves are checked by the chassis, from Port_Binding's `port_security`.

use super::{port_flows, switch_flows};
use crate::flow::{Flow, Flows};
use crate::name::PortName;
use crate::tables::{Ctx, PortKind, RouterPort};
use kiln_abi::stages::Stage;
use kiln_types::Uuid;

/// A path MTU error that a chassis made of a packet too large for its tunnel, on its way back through the pipeline.
pub(crate) const TUNNEL_MTU_ERROR: &str = "((ip4 && icmp4.type == 3 && icmp4.code == 4) || \
     (ip6 && icmp6.type == 2 && icmp6.code == 0)) && flags.tunnel_rx == 1";

pub(crate) fn common(ctx: &Ctx<'_>, switch: &Uuid, out: &mut Vec<Flow>) {
    let Some(mut flows) = switch_flows(ctx, switch, out) else { return };
    let stage = Stage::LS_IN_CHECK_PORT_SEC;
    flows.drop(ctx, stage, 105, TUNNEL_MTU_ERROR);
    let passes_vlans = ctx
        .row(&ctx.nb.logical_switch, switch)
        .is_some_and(|row| row.other_config().get("vlan-passthru").is_some_and(|value| &**value == "true"));
    if !passes_vlans {
        flows.drop(ctx, stage, 100, "vlan.present");
    }
    flows.drop(ctx, stage, 100, "eth.src[40]");
    flows.add(stage, 50, "1", "reg0[15] = check_in_port_sec(); next;");
    flows.drop(ctx, Stage::LS_IN_APPLY_PORT_SEC, 50, "reg0[15] == 1");
    flows.fallback(Stage::LS_IN_APPLY_PORT_SEC, "next;");

    flows.add(Stage::LS_OUT_CHECK_PORT_SEC, 100, "eth.mcast", "reg0[15] = 0; next;");
    flows.fallback(Stage::LS_OUT_CHECK_PORT_SEC, "reg0[15] = check_out_port_sec(); next;");
    flows.drop(ctx, Stage::LS_OUT_APPLY_PORT_SEC, 50, "reg0[15] == 1");
    flows.fallback(Stage::LS_OUT_APPLY_PORT_SEC, "output;");
}

pub(crate) fn of_port(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<Flow>) {
    let Some((row, mut flows)) = port_flows(ctx, port, out) else { return };
    let stage = Stage::LS_IN_CHECK_PORT_SEC;
    let name = &row.name;
    if !row.enabled {
        flows.add(stage, 100, format_args!("inport == \"{name}\""), "reg0[15] = 1; next;");
    }
    if row.kind == PortKind::Router {
        flows.add(stage, 70, format_args!("inport == \"{name}\""), "reg0[18] = 1; next;");
        if let Some(peer) = row.router_port.and_then(|peer| ctx.value(&ctx.router_ports, &peer)) {
            back_to_router(name, peer, &mut flows);
        }
        return;
    }
    if let Some(queue) = row.options.queue {
        flows.add(
            stage,
            70,
            format_args!("inport == \"{name}\""),
            format_args!("set_queue({queue}); reg0[15] = check_in_port_sec(); next;"),
        );
    }
    if row.kind != PortKind::Localnet {
        for address in &row.addresses {
            flows.add(
                stage,
                110,
                format_args!(
                    "{TUNNEL_MTU_ERROR} && eth.src == {} && outport == \"{name}\" && !is_chassis_resident(\"{name}\")",
                    address.mac
                ),
                "outport <-> inport; next;",
            );
        }
    }
}

/// A path MTU error goes on to the router whose packet it is about. What a gateway router sent did not come from another
/// chassis: it is turned around where its port is.
fn back_to_router(name: &PortName, peer: &RouterPort, flows: &mut Flows<'_>) {
    let stage = Stage::LS_IN_CHECK_PORT_SEC;
    if peer.gateway.is_some() {
        flows.add(
            stage,
            120,
            format_args!("{TUNNEL_MTU_ERROR} && eth.src == {} && outport == \"{name}\"", peer.mac),
            "outport <-> inport; next;",
        );
        return;
    }
    flows.add(
        stage,
        120,
        format_args!("{TUNNEL_MTU_ERROR} && eth.dst == {}", peer.mac),
        format_args!("outport <-> inport; next(pipeline=ingress,table={});", Stage::LS_IN_L2_LKUP.number),
    );
}
