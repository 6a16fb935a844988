//! What routers learn of their neighbours, and how much of it (`options:mac_binding_learning`, `options:mac_binding_limit`): what
//! controllers are told, since they do the learning.

use super::Route;
use crate::tables::Ctx;
use crate::{features, global};
use kiln_abi::options::{chassis_feature, mac_binding};
use kiln_ovsdb::Text;
use kiln_schema_ovn::nb::view;
use kiln_types::Uuid;
use std::net::IpAddr;

/// What a value of `mac_binding_learning` says; `None` if it is neither of the two.
pub(crate) fn parse(value: &str) -> Option<bool> {
    match value {
        mac_binding::TRACKED => Some(true),
        mac_binding::OPEN => Some(false),
        _ => None,
    }
}

/// Whether routers learn only what they asked for of which nobody says so. `l3_defaults` alone makes them do so only once every
/// chassis writes its queries: an answer to another one's would be taken for a claim that nobody asked for.
fn is_tracked_by_default(ctx: &Ctx<'_>) -> bool {
    let settings = global::settings(ctx);
    settings
        .tracked_learning
        .unwrap_or_else(|| settings.rfc_defaults && features::all_have(ctx, chassis_feature::TRACKED_QUERIES))
}

/// Whether a router learns only what it asked for: as it says itself, else as NB_Global says, else by `l3_defaults`.
pub(crate) fn is_tracked(ctx: &Ctx<'_>, router: &Uuid) -> bool {
    let Some(row) = ctx.row(&ctx.nb.logical_router, router) else { return false };
    let Some(text) = row.options().get(mac_binding::LEARNING) else {
        return is_tracked_by_default(ctx);
    };
    parse(text).unwrap_or_else(|| {
        ctx.report(format!(
            "Logical_Router {router} ({}), column options: {} `{text}` is neither `open` nor `tracked`; it is passed over",
            row.name(),
            mac_binding::LEARNING
        ));
        is_tracked_by_default(ctx)
    })
}

/// A limit that an option says; zero is none.
fn limit(ctx: &Ctx<'_>, whose: impl std::fmt::Display, text: Option<&Text>) -> Option<u32> {
    let text = text?;
    let limit = text.parse::<u32>();
    if limit.is_err() {
        ctx.report(format!(
            "{whose}, column options: {} `{text}` is no number; there is no limit",
            mac_binding::LIMIT
        ));
    }
    limit.ok().filter(|limit| *limit > 0)
}

fn router_limit(ctx: &Ctx<'_>, router: &Uuid) -> Option<u32> {
    let row = ctx.row(&ctx.nb.logical_router, router)?;
    let whose = format!("Logical_Router {router} ({})", row.name());
    limit(ctx, whose, row.options().get(mac_binding::LIMIT))
}

/// What controllers are told of a router.
pub(crate) fn datapath_ids(ctx: &Ctx<'_>, router: &Uuid, ids: &mut Vec<(&str, String)>) {
    if let Some(thresholds) = ctx.value(&ctx.age_thresholds, router)
        && let Some(shortest) = thresholds.shortest()
    {
        ids.push((mac_binding::AGE_THRESHOLD, shortest.to_string()));
        let row = ctx.row(&ctx.nb.logical_router, router);
        let text = row.and_then(|row| row.options().get(mac_binding::AGE_THRESHOLD));
        if let Some(text) = text.filter(|_| thresholds.by_prefix()) {
            ids.push((mac_binding::AGE_THRESHOLDS, text.to_string()));
        }
    }
    if is_tracked(ctx, router) {
        ids.push((mac_binding::LEARNING, mac_binding::TRACKED.to_owned()));
    }
    ids.extend(router_limit(ctx, router).map(|limit| (mac_binding::LIMIT, limit.to_string())));
}

/// Next hops of a router's routes, by the port that reaches them.
pub(crate) fn gateways(ctx: &Ctx<'_>, group: &super::RouteGroup, out: &mut Vec<(Uuid, IpAddr)>) {
    for route in ctx.all(&ctx.routes, group) {
        if let Route::Via { nexthop: Some(nexthop), reach, .. } = route {
            out.push((reach.port, *nexthop));
        }
    }
    out.sort_unstable();
    out.dedup();
}

/// What controllers are told of a router port.
pub(crate) fn port_options(
    ctx: &Ctx<'_>,
    port: &Uuid,
    row: &view::LogicalRouterPort<'_>,
    router: &Uuid,
    options: &mut Vec<(Text, Text)>,
) {
    let whose = format!("Logical_Router_Port {port} ({})", row.name());
    let limit = limit(ctx, whose, row.options().get(mac_binding::LIMIT));
    options.extend(limit.map(|limit| (mac_binding::LIMIT.into(), limit.to_string().into())));
    if limit.is_none() && router_limit(ctx, router).is_none() {
        return;
    }
    let gateways: Vec<String> = ctx.all(&ctx.gateways, port).iter().map(ToString::to_string).collect();
    if !gateways.is_empty() {
        options.push((mac_binding::GATEWAYS.into(), gateways.join(" ").into()));
    }
}
