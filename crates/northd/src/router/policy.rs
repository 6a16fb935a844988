//! Stages `lr_in_policy` and `lr_in_policy_ecmp`: what Logical_Router_Policy says about packets that have a route.

use super::nexthop::{Reach, reach, reach_by, towards};
use super::router_flows;
use super::routing::select;
use crate::flow::{Flow, Flows};
use crate::tables::Ctx;
use kiln_abi::stages::Stage;
use kiln_ovsdb::Text;
use kiln_schema_ovn::nb::view;
use kiln_types::Uuid;
use std::net::IpAddr;

const STAGE: Stage = Stage::LR_IN_POLICY;

pub(crate) fn common(ctx: &Ctx<'_>, router: &Uuid, out: &mut Vec<Flow>) {
    let Some(mut flows) = router_flows(ctx, router, out) else { return };
    flows.fallback(STAGE, "reg8[0..15] = 0; next;");
    flows.add(Stage::LR_IN_POLICY_ECMP, 150, "reg8[0..15] == 0", "next;");
    flows.fallback(Stage::LR_IN_POLICY_ECMP, "drop;");
}

fn report(ctx: &Ctx<'_>, policy: &Uuid, column: &str, what: &str) {
    ctx.report(format!("Logical_Router_Policy {policy}, column {column}: {what}; it is skipped"));
}

/// Policies with several next hops need a number.
pub(crate) fn ecmp_policies(ctx: &Ctx<'_>, policy: &Uuid, out: &mut Vec<(Uuid, Uuid)>) {
    let Some(row) = ctx.row(&ctx.nb.logical_router_policy, policy) else { return };
    if row.nexthops().all().len() > 1 {
        out.extend(ctx.all(&ctx.router_of_policy, policy).iter().map(|router| (*router, *policy)));
    }
}

/// Numbers the policies of a router that have several next hops.
pub(crate) fn policy_ids(ctx: &Ctx<'_>, router: &Uuid, out: &mut Vec<((Uuid, Uuid), u16)>) {
    let numbered = super::route::number(ctx.all(&ctx.ecmp_policies, router));
    out.extend(numbered.into_iter().map(|(policy, id)| ((*router, policy), id)));
}

/// Chains of policies, by router: those that a policy belongs to or jumps to.
pub(crate) fn policy_chains(ctx: &Ctx<'_>, policy: &Uuid, out: &mut Vec<(Uuid, Text)>) {
    let Some(row) = ctx.row(&ctx.nb.logical_router_policy, policy) else { return };
    for router in ctx.all(&ctx.router_of_policy, policy) {
        let named = [row.chain(), row.jump_chain()].into_iter().flatten().filter(|chain| !chain.is_empty());
        out.extend(named.map(|chain| (*router, chain.clone())));
    }
    out.sort_unstable();
    out.dedup();
}

/// Numbers the chains of a router; policies without a chain are in chain 0.
pub(crate) fn chain_ids(ctx: &Ctx<'_>, router: &Uuid, out: &mut Vec<((Uuid, Text), u16)>) {
    let numbered = super::route::number(ctx.all(&ctx.policy_chains, router));
    out.extend(numbered.into_iter().map(|(chain, id)| ((*router, chain), id)));
}

pub(crate) fn of_policy(ctx: &Ctx<'_>, policy: &Uuid, out: &mut Vec<Flow>) {
    let Some(row) = ctx.row(&ctx.nb.logical_router_policy, policy) else { return };
    for router in ctx.all(&ctx.router_of_policy, policy) {
        let Some(datapath) = ctx.value(&ctx.datapaths, router) else { continue };
        let mut flows = Flows::new(out, datapath.index, *policy);
        on_router(ctx, policy, &row, router, &mut flows);
    }
}

fn on_router(
    ctx: &Ctx<'_>,
    policy: &Uuid,
    row: &view::LogicalRouterPolicy<'_>,
    router: &Uuid,
    flows: &mut Flows<'_>,
) {
    let chain = |name: &Option<Text>| match name.as_ref().filter(|name| !name.is_empty()) {
        None => Some(0),
        Some(name) => ctx.value(&ctx.chain_ids, &(*router, name.clone())).copied(),
    };
    // Only a router that has chains distinguishes them.
    let chains = !ctx.all(&ctx.policy_chains, router).is_empty();
    let Some(own_chain) = chain(row.chain()) else { return };
    let matches = if chains {
        format!("reg9[16..31] == {own_chain} && ({})", row.r#match())
    } else {
        row.r#match().to_string()
    };
    let mark = match row.options().get("pkt_mark") {
        Some(mark) => match mark.parse::<u32>() {
            Ok(mark) => format!("pkt.mark = {mark}; "),
            Err(_) => {
                report(ctx, policy, "options", &format!("pkt_mark `{mark}` is no 32-bit number"));
                return;
            }
        },
        None => String::new(),
    };
    let priority = row.priority() as u16;
    match &**row.action() {
        "drop" => flows.add(STAGE, priority, matches, "drop;"),
        "allow" => flows.add(STAGE, priority, matches, format_args!("{mark}reg8[0..15] = 0; next;")),
        "jump" => {
            let Some(target) = row.jump_chain().as_ref().and_then(|_| chain(row.jump_chain())) else {
                report(ctx, policy, "jump_chain", "a jump needs a chain");
                return;
            };
            flows.add(
                STAGE,
                priority,
                matches,
                format_args!("reg9[16..31] = {target}; next(pipeline=ingress,table={});", STAGE.number),
            );
        }
        "reroute" => reroute(ctx, policy, row, router, (priority, &matches, &mark), flows),
        other => report(ctx, policy, "action", &format!("`{other}` is no action")),
    }
}

fn reroute(
    ctx: &Ctx<'_>,
    policy: &Uuid,
    row: &view::LogicalRouterPolicy<'_>,
    router: &Uuid,
    (priority, matches, mark): (u16, &str, &str),
    flows: &mut Flows<'_>,
) {
    let mut hops: Vec<(IpAddr, Reach)> = Vec::new();
    for text in row.nexthops().all() {
        let Ok(nexthop) = text.parse::<IpAddr>() else {
            report(ctx, policy, "nexthops", &format!("`{text}` is no IP address"));
            return;
        };
        let found = match row.output_port() {
            Some(port) => ctx.value(&ctx.router_ports, &port).and_then(|row| reach_by((&port, row), nexthop)),
            None => reach(ctx, router, nexthop),
        };
        let Some(reach) = found else {
            report(ctx, policy, "nexthops", &format!("no network of the router's ports holds {nexthop}"));
            return;
        };
        hops.push((nexthop, reach));
    }
    if hops.iter().any(|(hop, _)| hop.is_ipv4() != hops[0].0.is_ipv4()) {
        report(ctx, policy, "nexthops", "IPv4 and IPv6 cannot share traffic");
        return;
    }
    let hop_actions = |nexthop: &IpAddr, reach: &Reach| {
        ctx.value(&ctx.router_ports, &reach.port).map(|row| towards(&nexthop.to_string(), reach, row))
    };
    match hops.as_slice() {
        [] => report(ctx, policy, "nexthops", "a reroute needs a next hop"),
        [(nexthop, reach)] => {
            let Some(actions) = hop_actions(nexthop, reach) else { return };
            flows.add(STAGE, priority, matches, format_args!("{mark}reg8[0..15] = 0; {actions}"));
        }
        many => {
            let Some(id) = ctx.value(&ctx.policy_ids, &(*router, *policy)) else { return };
            let select = select(many.len(), &[]);
            flows.add(STAGE, priority, matches, format_args!("{mark}reg8[0..15] = {id}; {select}"));
            for (member, (nexthop, reach)) in (1..).zip(many) {
                let Some(actions) = hop_actions(nexthop, reach) else { continue };
                flows.add(
                    Stage::LR_IN_POLICY_ECMP,
                    100,
                    format_args!("reg8[0..15] == {id} && reg8[16..31] == {member}"),
                    actions,
                );
            }
        }
    }
}
