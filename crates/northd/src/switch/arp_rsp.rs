//! Stage `ls_in_arp_rsp`: ARP and neighbour solicitations for known addresses are answered where they are asked.

use super::{port_flows, switch_flows};
use crate::copp::{Protection, Protocol};
use crate::flow::Flow;
use crate::tables::{Ctx, PortKind};
use kiln_abi::stages::Stage;
use kiln_types::{Uuid, solicited_node};

const STAGE: Stage = Stage::LS_IN_ARP_RSP;

pub(crate) fn common(ctx: &Ctx<'_>, switch: &Uuid, out: &mut Vec<Flow>) {
    let Some(mut flows) = switch_flows(ctx, switch, out) else { return };
    flows.fallback(STAGE, "next;");
}

pub(crate) fn of_port(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<Flow>) {
    let Some((row, mut flows)) = port_flows(ctx, port, out) else { return };
    let name = &row.name;
    if row.kind == PortKind::Localnet {
        // Every chassis hears the physical network: all of them would answer.
        flows.add(STAGE, 100, format_args!("inport == \"{name}\""), "next;");
        return;
    }
    // Behind a port with unknown addresses the declared ones may have moved: only their owner answers.
    if row.unknown
        || row.options.answers_itself
        || !matches!(row.kind, PortKind::Vif | PortKind::Router | PortKind::Localport | PortKind::Remote)
        // The same address may be there in several VLANs.
        || ctx.value(&ctx.datapaths, &row.switch).is_some_and(|switch| switch.passes_vlans)
    {
        return;
    }
    let up = || ctx.row(&ctx.nb.logical_switch_port, port).and_then(|lsp| lsp.up()) == Some(true);
    let binds = matches!(row.kind, PortKind::Vif | PortKind::Remote);
    if binds && !crate::global::settings(ctx).ignore_lsp_down && !up() {
        return;
    }
    let advertise = if row.kind == PortKind::Router { "nd_na_router" } else { "nd_na" };
    let protection = Protection::of_switch(ctx, &row.switch);
    for address in &row.addresses {
        let mac = address.mac;
        for ip in address.ipv4.iter().map(|net| net.addr().to_string()) {
            let asked = format!("arp.tpa == {ip} && arp.op == 1 && eth.dst == ff:ff:ff:ff:ff:ff");
            // The owner itself asks whether the address is taken, or announces it.
            flows.add(STAGE, 100, format_args!("{asked} && inport == \"{name}\""), "next;");
            flows.add(
                STAGE,
                50,
                &asked,
                format_args!(
                    "eth.dst = eth.src; eth.src = {mac}; arp.op = 2; arp.tha = arp.sha; arp.sha = {mac}; \
                     arp.tpa = arp.spa; arp.spa = {ip}; outport = inport; flags.loopback = 1; output;"
                ),
            );
        }
        for ip in address.ipv6.iter().map(|net| net.addr()) {
            let (group, ip) = (solicited_node(ip), ip.to_string());
            let asked = format!("nd_ns_mcast && ip6.dst == {group} && nd.target == {ip}");
            flows.add(STAGE, 100, format_args!("{asked} && inport == \"{name}\""), "next;");
            flows.add_metered(
                STAGE,
                50,
                &asked,
                format_args!(
                    "{advertise} {{ eth.src = {mac}; ip6.src = {ip}; nd.target = {ip}; nd.tll = {mac}; \
                     outport = inport; flags.loopback = 1; output; }};"
                ),
                protection.meter(Protocol::NdNa),
            );
        }
    }
}
