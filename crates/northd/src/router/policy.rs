//! Stages `lr_in_policy` and `lr_in_policy_ecmp`: what Logical_Router_Policy says about packets that have a route.

use super::nexthop::{LOOPBACK, Reach, reach, reach_by, towards};
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
    flows.drop(ctx, Stage::LR_IN_POLICY_ECMP, 0, "1");
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

/// Chains of policies, by router.
pub(crate) fn policy_chains(ctx: &Ctx<'_>, policy: &Uuid, out: &mut Vec<(Uuid, Text)>) {
    let Some(row) = ctx.row(&ctx.nb.logical_router_policy, policy) else { return };
    if let Some(chain) = row.chain().as_ref().filter(|chain| !chain.is_empty()) {
        out.extend(ctx.all(&ctx.router_of_policy, policy).iter().map(|router| (*router, chain.clone())));
    }
}

/// Numbers the chains of a router; policies without a chain are in chain 0.
pub(crate) fn chain_ids(ctx: &Ctx<'_>, router: &Uuid, out: &mut Vec<((Uuid, Text), u16)>) {
    let numbered = super::route::number(ctx.all(&ctx.policy_chains, router));
    out.extend(numbered.into_iter().map(|(chain, id)| ((*router, chain), id)));
}

pub(crate) fn of_policy(ctx: &Ctx<'_>, policy: &Uuid, out: &mut Vec<Flow>) {
    let Some(row) = ctx.row(&ctx.nb.logical_router_policy, policy) else { return };
    if let Err(error) = crate::matches::check(ctx, row.r#match()) {
        report(ctx, policy, "match", &format!("`{}`: {error}", row.r#match()));
        return;
    }
    for port in crate::matches::ports_in(ctx, row.r#match()) {
        // A gateway port is also called by the name that it has where it is.
        let name = port.strip_prefix("cr-").unwrap_or(&port);
        if ctx.all(&ctx.router_port_named, &Text::from(name)).is_empty() {
            ctx.report(format!(
                "Logical_Router_Policy {policy}, column match: `{}`: there is no router port `{port}`, so nothing is by it",
                row.r#match()
            ));
        }
    }
    let Some(mark) = mark(ctx, policy, &row) else { return };
    if !row.bfd_sessions().all().is_empty() {
        ctx.report(format!(
            "Logical_Router_Policy {policy}, column bfd_sessions: sessions are not followed; all next hops count as up"
        ));
    }
    for router in ctx.all(&ctx.router_of_policy, policy) {
        let Some(datapath) = ctx.value(&ctx.datapaths, router) else { continue };
        let flows = Flows::new(out, datapath.index, *policy);
        OnRouter { ctx, policy, row: &row, router, mark: &mark }.write(flows);
    }
}

/// The action that sets `pkt_mark`.
fn mark(ctx: &Ctx<'_>, policy: &Uuid, row: &view::LogicalRouterPolicy<'_>) -> Option<String> {
    let options = row.options();
    let Some(mark) = options.get("pkt_mark") else { return Some(String::new()) };
    match mark.parse::<u32>() {
        Ok(0) => Some(String::new()),
        Ok(mark) => Some(format!("pkt.mark = {mark}; ")),
        Err(_) => {
            report(ctx, policy, "options", &format!("pkt_mark `{mark}` is no 32-bit number"));
            None
        }
    }
}

/// A policy on one of the routers that have it.
struct OnRouter<'r, 'c> {
    ctx: &'r Ctx<'c>,
    policy: &'r Uuid,
    row: &'r view::LogicalRouterPolicy<'r>,
    router: &'r Uuid,
    mark: &'r str,
}

impl OnRouter<'_, '_> {
    fn report(&self, column: &str, what: &str) {
        report(self.ctx, self.policy, column, what);
    }

    fn chain(&self, name: &Text) -> Option<u16> {
        self.ctx.value(&self.ctx.chain_ids, &(*self.router, name.clone())).copied()
    }

    fn write(&self, mut flows: Flows<'_>) {
        let (row, mark) = (self.row, self.mark);
        let own = row.chain().as_ref().filter(|chain| !chain.is_empty());
        let Some(own) = own.map_or(Some(0), |name| self.chain(name)) else { return };
        // Only a router that has chains distinguishes them.
        let matches = if self.ctx.all(&self.ctx.policy_chains, self.router).is_empty() {
            row.r#match().to_string()
        } else {
            format!("reg9[16..31] == {own} && ({})", row.r#match())
        };
        let priority = row.priority() as u16;
        match &**row.action() {
            "drop" => flows.drop(self.ctx, STAGE, priority, matches),
            "allow" => flows.add(STAGE, priority, matches, format_args!("{mark}reg8[0..15] = 0; next;")),
            "jump" => {
                let Some(name) = row.jump_chain().as_ref().filter(|chain| !chain.is_empty()) else {
                    return self.report("jump_chain", "a jump needs a chain");
                };
                let Some(target) = self.chain(name) else {
                    return self
                        .report("jump_chain", &format!("no policy of the router is in chain `{name}`"));
                };
                flows.add(
                    STAGE,
                    priority,
                    matches,
                    format_args!("reg9[16..31] = {target}; next(pipeline=ingress,table={});", STAGE.number),
                );
            }
            "reroute" => self.reroute(priority, &matches, &mut flows),
            other => self.report("action", &format!("`{other}` is no action")),
        }
    }

    /// The next hops that can be used, in order. Others are reported.
    fn hops(&self) -> Vec<(IpAddr, Reach)> {
        let mut hops: Vec<(IpAddr, Reach)> = Vec::new();
        for text in self.row.nexthops().all() {
            let Ok(nexthop) = text.parse::<IpAddr>() else {
                self.report("nexthops", &format!("`{text}` is no IP address"));
                continue;
            };
            let Some(reach) = self.reach(nexthop) else {
                self.report("nexthops", &format!("no network of the router's ports holds `{nexthop}`"));
                continue;
            };
            hops.push((nexthop, reach));
        }
        hops
    }

    fn reach(&self, nexthop: IpAddr) -> Option<Reach> {
        let Some(port) = self.row.output_port() else { return reach(self.ctx, self.router, nexthop) };
        let row = self.ctx.value(&self.ctx.router_ports, &port)?;
        if row.router != *self.router {
            return None;
        }
        reach_by((&port, row), nexthop)
    }

    fn reroute(&self, priority: u16, matches: &str, flows: &mut Flows<'_>) {
        let (ctx, mark, hops) = (self.ctx, self.mark, self.hops());
        if hops.iter().any(|(hop, _)| hop.is_ipv4() != hops[0].0.is_ipv4()) {
            return self.report("nexthops", "IPv4 and IPv6 cannot share traffic");
        }
        let hop_actions = |nexthop: &IpAddr, reach: &Reach, and: &str| {
            ctx.value(&ctx.router_ports, &reach.port)
                .map(|row| towards(&nexthop.to_string(), reach, row, and))
        };
        match hops.as_slice() {
            [] if self.row.nexthops().all().is_empty() => {
                self.report("nexthops", "a reroute needs a next hop");
            }
            [] => {}
            [(nexthop, reach)] => {
                let and = format!("{LOOPBACK}reg8[0..15] = 0; ");
                let Some(actions) = hop_actions(nexthop, reach, &and) else { return };
                flows.add(STAGE, priority, matches, format_args!("{mark}{actions} next;"));
            }
            many => {
                let Some(id) = ctx.value(&ctx.policy_ids, &(*self.router, *self.policy)) else { return };
                let select = select(many.len(), &[]);
                flows.add(STAGE, priority, matches, format_args!("reg8[0..15] = {id}; {select}"));
                for (member, (nexthop, reach)) in (1..).zip(many) {
                    let Some(actions) = hop_actions(nexthop, reach, LOOPBACK) else { continue };
                    flows.add(
                        Stage::LR_IN_POLICY_ECMP,
                        100,
                        format_args!("reg8[0..15] == {id} && reg8[16..31] == {member}"),
                        format_args!("{mark}{actions} next;"),
                    );
                }
            }
        }
    }
}
