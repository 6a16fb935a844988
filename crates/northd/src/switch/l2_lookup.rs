//! Stages `ls_in_l2_lkup` and `ls_in_l2_unknown`: which port a frame leaves by.

use super::{port_flows, switch_flows};
use crate::drops;
use crate::flow::Flow;
use crate::tables::{Ctx, PortKind};
use kiln_abi::keys::MulticastGroup;
use kiln_abi::stages::Stage;
use kiln_types::Uuid;

const STAGE: Stage = Stage::LS_IN_L2_LKUP;

pub(crate) fn common(ctx: &Ctx<'_>, switch: &Uuid, out: &mut Vec<Flow>) {
    let Some(mut flows) = switch_flows(ctx, switch, out) else { return };
    let (flood, flood_l2) = (MulticastGroup::FLOOD.name, MulticastGroup::FLOOD_L2.name);
    let to = |group| format!("outport = \"{group}\"; output;");
    let to_all_routers = ctx.row(&ctx.nb.logical_switch, switch).is_none_or(|row| {
        row.other_config().get("broadcast-arps-to-all-routers").is_none_or(|value| &**value != "false")
    });
    if !to_all_routers {
        flows.add(STAGE, 72, "eth.mcast && (arp.op == 1 || nd_ns)", to(flood_l2));
    }
    // Routers need announcements and solicitations; other multicast would only be dropped by them.
    flows.add(STAGE, 72, "eth.mcast && (nd_na || nd_rs || nd_ra)", to(flood));
    flows.add(STAGE, 71, "eth.mcast && arp", to(flood));
    flows.add(STAGE, 71, "eth.mcast && ip", to(flood_l2));
    flows.add(STAGE, 70, "eth.mcast", to(flood_l2));
    flows.fallback(STAGE, "outport = get_fdb(eth.dst); next;");

    let unknown = has_unknown(ctx, switch);
    let stage = Stage::LS_IN_L2_UNKNOWN;
    let miss = if unknown { &to(MulticastGroup::UNKNOWN.name) } else { drops::actions(ctx) };
    flows.add(stage, 50, "outport == \"none\"", miss);
    flows.fallback(stage, "output;");
}

/// Whether a port of the switch may have any address.
fn has_unknown(ctx: &Ctx<'_>, switch: &Uuid) -> bool {
    ctx.all(&ctx.ports_of_switch, switch).iter().any(|member| member.unknown)
}

pub(crate) fn of_port(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<Flow>) {
    let Some((row, mut flows)) = port_flows(ctx, port, out) else { return };
    let name = &row.name;
    if !row.enabled {
        flows.drop(ctx, Stage::LS_IN_L2_UNKNOWN, 50, format_args!("outport == \"{name}\""));
    }
    let action = if row.enabled { &format!("outport = \"{name}\"; output;") } else { drops::actions(ctx) };
    if let Some(router_port) = row.router_port.and_then(|peer| ctx.value(&ctx.router_ports, &peer)) {
        flows.add(STAGE, 50, format_args!("eth.dst == {}", router_port.mac), action);
        if !row.enabled || !router_port.enabled {
            return;
        }
        // What asks for the router's own addresses goes to the router, and to no other router.
        let flood_l2 = MulticastGroup::FLOOD_L2.name;
        let only_routers = ctx.all(&ctx.ports_of_switch, &row.switch).iter().all(|member| member.joined);
        let copy = if only_routers {
            format!("outport = \"{name}\"; output;")
        } else {
            format!("clone {{ outport = \"{name}\"; output; }}; outport = \"{flood_l2}\"; output;")
        };
        for net in &router_port.ipv4 {
            flows.add(
                STAGE,
                80,
                format_args!("flags[1] == 0 && arp.op == 1 && arp.tpa == {}", net.addr()),
                &copy,
            );
        }
        for net in &router_port.ipv6 {
            flows.add(
                STAGE,
                80,
                format_args!("flags[1] == 0 && nd_ns && nd.target == {}", net.addr()),
                &copy,
            );
        }
        if only_routers {
            return;
        }
        // What the router itself asks for or announces is not for other routers' pipelines to flood again.
        flows.add(
            STAGE,
            75,
            format_args!(
                "eth.src == {} && eth.dst == ff:ff:ff:ff:ff:ff && (arp.op == 1 || rarp.op == 3 || nd_ns)",
                router_port.mac
            ),
            format_args!("outport = \"{flood_l2}\"; output;"),
        );
        return;
    }
    if row.kind == PortKind::External || (row.options.looked_up && row.unknown) {
        return;
    }
    let cloned = row.enabled && row.options.cloned && has_unknown(ctx, &row.switch);
    let action = if cloned {
        let unknown = MulticastGroup::UNKNOWN.name;
        &format!("clone {{ outport = \"{name}\"; output; }}; outport = \"{unknown}\"; output;")
    } else {
        action
    };
    for address in &row.addresses {
        flows.add(STAGE, 50, format_args!("eth.dst == {}", address.mac), action);
    }
}
