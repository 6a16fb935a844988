//! Stages `lr_in_ip_routing_pre`, `lr_in_ip_routing` and `lr_in_ip_routing_ecmp`: which next hop a packet goes to.
//!
//! The priority of a route grows by [`STEP`] for each bit of its prefix; within one length, networks of the router's own
//! ports come before static routes, and those before routes by source.

use super::nexthop::{self, LOOPBACK, Reach, towards};
use super::route::{Route, RouteGroup};
use super::{port_flows, router_flows, unreachable};
use crate::addresses::Net;
use crate::flow::{Flow, Flows};
use crate::tables::{Ctx, RouterPort};
use kiln_abi::stages::Stage;
use kiln_types::Uuid;
use std::net::IpAddr;

pub(super) const STAGE: Stage = Stage::LR_IN_IP_ROUTING;
/// Room for the kinds of routes within one prefix length.
const STEP: u16 = 8;
const BY_SOURCE: u16 = 0;
/// Where packets are told of that no route matches, and one above it.
pub(super) const NO_ROUTE: u16 = 1;
/// Where a default route by source has to stand not to be taken for none.
const DEFAULT_BY_SOURCE: u16 = 3;
const STATIC: u16 = 4;
const CONNECTED: u16 = 6;

pub(crate) fn common(ctx: &Ctx<'_>, router: &Uuid, out: &mut Vec<Flow>) {
    let Some(mut flows) = router_flows(ctx, router, out) else { return };
    flows.fallback(Stage::LR_IN_IP_ROUTING_PRE, "reg7 = 0; next;");
    flows.drop(ctx, STAGE, 10550, "nd_rs || nd_ra");
    flows.drop(ctx, STAGE, 0, "1");
    flows.add(Stage::LR_IN_IP_ROUTING_ECMP, 150, "reg8[0..15] == 0", "next;");
    flows.drop(ctx, Stage::LR_IN_IP_ROUTING_ECMP, 0, "1");
}

/// Networks of a port, and the routing table that packets from it are held against.
pub(crate) fn of_port(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<Flow>) {
    let Some((row, mut flows)) = port_flows(ctx, port, out) else { return };
    let table = ctx.row(&ctx.nb.logical_router_port, port).and_then(|lrp| lrp.options().get("route_table"));
    if let Some(table) = table
        && let Some(id) = ctx.value(&ctx.table_ids, &(row.router, table.clone()))
    {
        flows.add(
            Stage::LR_IN_IP_ROUTING_PRE,
            100,
            format_args!("inport == \"{}\"", row.name),
            format_args!("reg7 = {id}; next;"),
        );
    }
    let mut connect = |prefix: Net, source: IpAddr| {
        let (field, link_local) = match source {
            IpAddr::V4(_) => ("ip4", false),
            IpAddr::V6(ip) => ("ip6", ip.is_unicast_link_local()),
        };
        if !link_local && !leads(ctx, port, row, prefix, source) {
            return;
        }
        // A link-local address means something only on the link that it was heard on.
        let here = if link_local { format!("inport == \"{}\" && ", row.name) } else { String::new() };
        let reach = Reach { port: *port, source };
        flows.add(
            STAGE,
            u16::from(prefix.prefix_len()) * STEP + CONNECTED,
            format_args!("{here}{field}.dst == {prefix}"),
            format_args!(
                "ip.ttl--; reg8[0..15] = 0; {} next;",
                towards(&format!("{field}.dst"), &reach, row, LOOPBACK)
            ),
        );
    };
    for net in &row.ipv4 {
        connect(Net::V4(net.trunc()), net.addr().into());
    }
    for net in &row.ipv6 {
        connect(Net::V6(net.trunc()), net.addr().into());
    }
}

/// Whether packets to a network of a port leave by this port: of several ports of a router in one network, by the first.
fn leads(ctx: &Ctx<'_>, port: &Uuid, row: &RouterPort, prefix: Net, source: IpAddr) -> bool {
    let leading = nexthop::leading(ctx, ctx.all(&ctx.connected, &(row.router, prefix)));
    let Some(other) = leading.filter(|leading| leading != port) else { return true };
    let name = ctx.value(&ctx.router_ports, &other).map(|other| other.name.to_string()).unwrap_or_default();
    ctx.report(format!(
        "Logical_Router_Port {port} ({}), column networks: `{source}/{}`: port {other} ({name}) of the same router leads to \
         {prefix}; no route leads there by this one",
        row.name,
        prefix.prefix_len(),
    ));
    false
}

/// Static routes with one prefix.
pub(crate) fn of_group(ctx: &Ctx<'_>, group: &RouteGroup, out: &mut Vec<Flow>) {
    let Some(datapath) = ctx.value(&ctx.datapaths, &group.router) else { return };
    let routes = ctx.all(&ctx.routes, group);
    let Some(first) = routes.first() else { return };
    let mut flows = Flows::new(out, datapath.index, first.row());
    let (field, prefix, len) = match group.prefix {
        Net::V4(net) => ("ip4", net.to_string(), net.prefix_len()),
        Net::V6(net) => ("ip6", net.to_string(), net.prefix_len()),
    };
    let (side, kind) = match (group.by_source, group.connected) {
        (true, _) => ("src", BY_SOURCE),
        (false, false) => ("dst", STATIC),
        (false, true) => ("dst", CONNECTED),
    };
    let mut priority = u16::from(len) * STEP + kind;
    if priority == BY_SOURCE && unreachable::is_told(ctx, &group.router) {
        priority = DEFAULT_BY_SOURCE;
    }
    let Some(table) = group.table_match(ctx) else { return };
    let matches = format!("{table}{field}.{side} == {prefix}");
    // One route that discards makes all of them discard: nothing else is safe.
    if routes.iter().any(|route| matches!(route, Route::Discard { .. })) {
        flows.drop(ctx, STAGE, priority, matches);
        return;
    }
    if let [Route::Via { nexthop, reach, symmetric: false, .. }] = routes {
        let Some(row) = ctx.value(&ctx.router_ports, &reach.port) else { return };
        let hop = towards(&hop_text(*nexthop, reach), reach, row, LOOPBACK);
        flows.add(STAGE, priority, matches, format_args!("ip.ttl--; reg8[0..15] = 0; {hop} next;"));
        return;
    }
    share(ctx, group, routes, priority, &matches, &mut flows);
}

/// A next hop's address, or the field that holds it.
fn hop_text(nexthop: Option<IpAddr>, reach: &Reach) -> String {
    match nexthop {
        Some(nexthop) => nexthop.to_string(),
        None => if reach.source.is_ipv4() { "ip4.dst" } else { "ip6.dst" }.to_owned(),
    }
}

/// Several routes that share traffic, or one that remembers what came by it.
fn share(
    ctx: &Ctx<'_>,
    group: &RouteGroup,
    routes: &[Route],
    priority: u16,
    matches: &str,
    flows: &mut Flows<'_>,
) {
    let Some(id) = ctx.value(&ctx.ecmp_ids, group) else { return };
    let mut hops: Vec<(Option<IpAddr>, Reach, bool)> = Vec::new();
    // Only what all of them allow to be looked at is looked at.
    let mut selection: Option<Vec<&str>> = None;
    for route in routes {
        if let Route::Via { nexthop, reach, selection: fields, symmetric, .. } = route {
            hops.push((*nexthop, *reach, *symmetric));
            match &mut selection {
                None => selection = Some(fields.iter().map(|field| &**field).collect()),
                Some(common) => common.retain(|field| fields.iter().any(|other| &**other == *field)),
            }
        }
    }
    let select = select(hops.len(), &selection.unwrap_or_default());
    flows.add(
        STAGE,
        priority,
        matches,
        format_args!("ip.ttl--; flags.loopback = 1; reg8[0..15] = {id}; {select}"),
    );
    for (member, (nexthop, reach, symmetric)) in (1..).zip(&hops) {
        let Some(row) = ctx.value(&ctx.router_ports, &reach.port) else { continue };
        let hop = towards(&hop_text(*nexthop, reach), reach, row, "");
        let remember = if *symmetric { "reg9[10] = 1; " } else { "" };
        flows.add(
            Stage::LR_IN_IP_ROUTING_ECMP,
            100,
            format_args!("reg8[0..15] == {id} && reg8[16..31] == {member}"),
            format_args!("{hop} {remember}next;"),
        );
    }
}

/// The action that chooses one of `members`.
pub(super) fn select(members: usize, fields: &[&str]) -> String {
    if members == 1 {
        return "reg8[16..31] = 1; next;".to_owned();
    }
    let members: Vec<String> = (1..=members).map(|member| member.to_string()).collect();
    let members = members.join(", ");
    if fields.is_empty() {
        format!("reg8[16..31] = select({members});")
    } else {
        format!("reg8[16..31] = select(values=({members}); hash_fields=\"{}\");", fields.join(","))
    }
}
