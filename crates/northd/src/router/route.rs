//! Rows of Logical_Router_Static_Route, checked and grouped: routes with the same prefix, policy and table share traffic.

use super::nexthop::{Reach, reach, reach_by};
use crate::addresses::{Net, parse_ip};
use crate::tables::Ctx;
use kiln_ovsdb::Text;
use kiln_schema_ovn::nb::view;
use kiln_types::Uuid;
use std::net::IpAddr;

/// What routes have in common that share traffic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RouteGroup {
    /// The router.
    pub router: Uuid,
    /// The routing table; empty for the main one.
    pub table: Text,
    /// The prefix.
    pub prefix: Net,
    /// Whether it is held against the source address.
    pub by_source: bool,
    /// Whether it is a network that another deployment's router is connected to (`origin=connected`): such routes are in
    /// every table and come before static ones.
    pub connected: bool,
}

impl RouteGroup {
    /// What tells packets that the group's table is for, with `&&` behind it; `None` for a table without a number.
    pub(super) fn table_match(&self, ctx: &Ctx<'_>) -> Option<String> {
        if self.connected {
            return Some(String::new());
        }
        let id = match &*self.table {
            "" => 0,
            _ => *ctx.value(&ctx.table_ids, &(self.router, self.table.clone()))?,
        };
        Some(format!("reg7 == {id} && "))
    }
}

/// One route of a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Route {
    /// Packets are dropped.
    Discard {
        /// The northbound row.
        row: Uuid,
    },
    /// Packets go to a next hop.
    Via {
        /// The next hop; `None` for the destination itself, which is on the link.
        nexthop: Option<IpAddr>,
        /// How it is reached.
        reach: Reach,
        /// Fields that choose among several routes; empty for the switch's own hash.
        selection: Vec<Text>,
        /// Whether replies to what comes this way go back this way (`ecmp_symmetric_reply`).
        symmetric: bool,
        /// The northbound row.
        row: Uuid,
    },
}

impl Route {
    /// Whether replies go back the way that their connection came.
    pub(super) fn is_symmetric(&self) -> bool {
        matches!(self, Route::Via { symmetric: true, .. })
    }

    /// The northbound row.
    pub fn row(&self) -> Uuid {
        match self {
            Route::Discard { row } | Route::Via { row, .. } => *row,
        }
    }
}

fn report(ctx: &Ctx<'_>, route: &Uuid, column: &str, what: &str) {
    ctx.report(format!("Logical_Router_Static_Route {route}, column {column}: {what}; it is skipped"));
}

pub(crate) fn checked(ctx: &Ctx<'_>, route: &Uuid, out: &mut Vec<(RouteGroup, Route)>) {
    let Some(row) = ctx.row(&ctx.nb.logical_router_static_route, route) else { return };
    for router in ctx.all(&ctx.router_of_route, route) {
        let Some(prefix) = parse_ip(row.ip_prefix()) else {
            report(ctx, route, "ip_prefix", &format!("`{}` is no prefix", row.ip_prefix()));
            return;
        };
        let prefix = match prefix {
            Net::V4(net) => Net::V4(net.trunc()),
            Net::V6(net) => Net::V6(net.trunc()),
        };
        let by_source = row.policy().as_deref() == Some("src-ip");
        let connected = option(&row, "origin", "connected");
        let table = if connected { Text::default() } else { row.route_table().clone() };
        let group = RouteGroup { router: *router, table, prefix, by_source, connected };
        if &**row.nexthop() == "discard" {
            out.push((group, Route::Discard { row: *route }));
            continue;
        }
        let Some((nexthop, reach)) = resolve(ctx, route, router, &row, &prefix) else { continue };
        if row.bfd().is_some() {
            report(ctx, route, "bfd", "sessions are not followed, the next hop counts as up");
        }
        let selection = row.selection_fields().all().to_vec();
        let symmetric = option(&row, "ecmp_symmetric_reply", "true");
        out.push((group, Route::Via { nexthop, reach, selection, symmetric, row: *route }));
    }
}

fn option(row: &view::LogicalRouterStaticRoute<'_>, key: &str, value: &str) -> bool {
    row.options().get(key).is_some_and(|text| &**text == value)
}

/// The next hop and how it is reached; reported when it is not.
fn resolve(
    ctx: &Ctx<'_>,
    route: &Uuid,
    router: &Uuid,
    row: &view::LogicalRouterStaticRoute<'_>,
    prefix: &Net,
) -> Option<(Option<IpAddr>, Reach)> {
    let text = row.nexthop();
    let on_link = text.is_empty() && row.output_port().is_some();
    // On the link, the source address need only be of the destination's family.
    let nexthop = if on_link { Some(prefix.addr()) } else { text.parse::<IpAddr>().ok() };
    let Some(nexthop) = nexthop else {
        report(ctx, route, "nexthop", &format!("`{text}` is neither an IP address nor `discard`"));
        return None;
    };
    let found = match row.output_port() {
        None => reach(ctx, router, nexthop),
        Some(name) => {
            let port = ctx.all(&ctx.router_port_named, name).first();
            let port = port.and_then(|port| Some((port, ctx.value(&ctx.router_ports, port)?)));
            match port.filter(|(_, port)| port.router == *router) {
                None => {
                    report(ctx, route, "output_port", &format!("the router has no port `{name}`"));
                    return None;
                }
                Some((uuid, port)) => reach_by((uuid, port), nexthop),
            }
        }
    };
    if found.is_none() {
        report(ctx, route, "nexthop", &format!("no network of the router's ports holds {nexthop}"));
    }
    found.map(|reach| ((!on_link).then_some(nexthop), reach))
}

/// Groups that need a number because they have several routes, by router.
pub(crate) fn ecmp_groups(ctx: &Ctx<'_>, group: &RouteGroup, out: &mut Vec<(Uuid, RouteGroup)>) {
    let routes = ctx.all(&ctx.routes, group);
    if routes.len() > 1 || routes.iter().any(Route::is_symmetric) {
        out.push((group.router, group.clone()));
    }
}

/// Numbers the groups of a router.
pub(crate) fn ecmp_ids(ctx: &Ctx<'_>, router: &Uuid, out: &mut Vec<(RouteGroup, u16)>) {
    out.extend(number(ctx.all(&ctx.ecmp_groups, router)));
}

/// Routing tables that a router's ports name.
pub(crate) fn route_tables(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<(Uuid, Text)>) {
    let Some(router) = ctx.all(&ctx.router_of_port, port).first() else { return };
    let row = ctx.row(&ctx.nb.logical_router_port, port);
    if let Some(table) =
        row.and_then(|row| row.options().get("route_table")).filter(|table| !table.is_empty())
    {
        out.push((*router, table.clone()));
    }
}

/// Routing tables that a router's routes are in.
pub(crate) fn route_tables_of_routes(ctx: &Ctx<'_>, group: &RouteGroup, out: &mut Vec<(Uuid, Text)>) {
    if !group.table.is_empty() && !ctx.all(&ctx.routes, group).is_empty() {
        out.push((group.router, group.table.clone()));
    }
}

/// Numbers the routing tables of a router; the main one is 0.
pub(crate) fn table_ids(ctx: &Ctx<'_>, router: &Uuid, out: &mut Vec<((Uuid, Text), u16)>) {
    out.extend(
        number(ctx.all(&ctx.route_tables, router)).into_iter().map(|(table, id)| ((*router, table), id)),
    );
}

/// Distinct numbers from 1 for distinct things, a function of the things alone, in which one that comes or goes leaves
/// nearly all others as they are: each has the number that its hash says, or the next free one.
pub(crate) fn number<T: Clone + std::hash::Hash>(things: &[T]) -> Vec<(T, u16)> {
    use std::hash::BuildHasher;
    let mut taken = roaring::RoaringBitmap::new();
    let hasher = xxhash_rust::xxh3::Xxh3DefaultBuilder::new();
    let mut numbered = Vec::with_capacity(things.len());
    for thing in things.iter().take(usize::from(u16::MAX)) {
        let mut id = (hasher.hash_one(thing) % u64::from(u16::MAX)) as u32 + 1;
        while !taken.insert(id) {
            id = id % u32::from(u16::MAX) + 1;
        }
        numbered.push((thing.clone(), id as u16));
    }
    numbered
}

#[cfg(test)]
mod tests {
    use super::number;

    #[test]
    fn numbers_are_distinct_and_mostly_stay() {
        let all: Vec<u32> = (0..1000).collect();
        let before = number(&all);
        let ids: std::collections::BTreeSet<u16> = before.iter().map(|(_, id)| *id).collect();
        assert_eq!(ids.len(), 1000);
        assert!(!ids.contains(&0));
        let after = number(&all[1..]);
        let moved = after.iter().zip(&before[1..]).filter(|(a, b)| a != b).count();
        assert!(moved < 10, "{moved} of 999 moved");
    }
}
