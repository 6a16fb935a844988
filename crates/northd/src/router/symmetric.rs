//! Routes with `ecmp_symmetric_reply`: replies go back the way that their connection came, whichever route the hash would
//! choose. Who sent a connection's packets, and by which port they came in, is noted with the connection. On a router that is on
//! one chassis this is so for connections from outside; on any, what leaves by such a route is noted.

use super::port_flows;
use super::route::{Route, RouteGroup};
use crate::addresses::Net;
use crate::flow::{Flow, Flows};
use crate::tables::Ctx;
use kiln_abi::stages::Stage;
use kiln_types::Uuid;

/// Above every route that a prefix has.
const ABOVE_ROUTES: u16 = 10_300;

/// Routers that have such routes.
pub(crate) fn routers(ctx: &Ctx<'_>, group: &RouteGroup, out: &mut Vec<(Uuid, ())>) {
    if ctx.all(&ctx.routes, group).iter().any(Route::is_symmetric) {
        out.push((group.router, ()));
    }
}

/// What left by such a route is noted with its connection: whom it went to, and by which port.
pub(crate) fn of_port(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<Flow>) {
    let Some((row, mut flows)) = port_flows(ctx, port, out) else { return };
    if ctx.all(&ctx.symmetric_routers, &row.router).is_empty() {
        return;
    }
    let Some(grant) = ctx.value(&ctx.port_grants, port) else { return };
    flows.add(
        Stage::LR_IN_ECMP_STATEFUL_EGR,
        100,
        format_args!("reg9[10] == 1 && ip && outport == \"{}\"", row.name),
        format_args!(
            "ct_commit {{ ct_label.ecmp_reply_eth = eth.dst; ct_mark.ecmp_reply_port = {}; }}; output;",
            grant.key
        ),
    );
}

/// What comes in by such a route is noted, and replies to it go back.
pub(crate) fn of_group(ctx: &Ctx<'_>, group: &RouteGroup, out: &mut Vec<Flow>) {
    let Some(datapath) = ctx.value(&ctx.datapaths, &group.router) else { return };
    let Some(table) = group.table_match(ctx) else { return };
    let (field, prefix, whole) = match group.prefix {
        Net::V4(net) => ("ip4", net.to_string(), "/32"),
        Net::V6(net) => ("ip6", net.to_string(), "/128"),
    };
    // Stock leaves the length out of an address that sends, and so are these flows the same.
    let sender = prefix.strip_suffix(whole).unwrap_or(&prefix);
    let (there, back) = if group.by_source { ("dst", "src") } else { ("src", "dst") };
    let reply = format!("{table}{field}.{back} == {prefix}");
    for route in ctx.all(&ctx.routes, group) {
        let Route::Via { reach, symmetric: true, row, .. } = route else { continue };
        let Some(port) = ctx.value(&ctx.router_ports, &reach.port).filter(|port| port.gateway.is_some())
        else {
            continue;
        };
        let Some(key) = ctx.value(&ctx.port_grants, &reach.port).map(|grant| grant.key) else { continue };
        let mut flows = Flows::new(out, datapath.index, *row);
        let from = format!("inport == \"{}\" && {field}.{there} == {sender}", port.name);
        flows.add(Stage::LR_IN_DEFRAG, 100, &from, "ct_next;");
        flows.add(Stage::LR_IN_DEFRAG, 100, &reply, "ct_next;");
        flows.add(
            Stage::LR_IN_ECMP_STATEFUL,
            100,
            format_args!("{from} && (ct.new || ct.est)"),
            format_args!(
                "ct_commit {{ ct_label.ecmp_reply_eth = eth.src; ct_mark.ecmp_reply_port = {key};}}; next;"
            ),
        );
        let remembered = format!("ct_mark.ecmp_reply_port == {key}");
        let source_register = if reach.source.is_ipv4() { "reg5" } else { "xxreg1" };
        flows.add(
            Stage::LR_IN_IP_ROUTING,
            ABOVE_ROUTES,
            format_args!("{remembered} && {reply}"),
            format_args!(
                "ip.ttl--; flags.loopback = 1; eth.src = {}; {source_register} = {}; outport = \"{}\"; next;",
                port.mac, reach.source, port.name
            ),
        );
        flows.add(Stage::LR_IN_POLICY, 65535, &remembered, "next;");
        flows.add(
            Stage::LR_IN_ARP_RESOLVE,
            200,
            &remembered,
            "push(xxreg1); xxreg1 = ct_label; eth.dst = xxreg1[32..79]; pop(xxreg1); next;",
        );
    }
}
