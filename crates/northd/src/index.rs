//! Who refers to whom, and who has which name: references of the databases turned round.

use crate::tables::Ctx;
use kiln_ovsdb::Text;
use kiln_types::Uuid;

pub(crate) fn switch_of_port(ctx: &Ctx<'_>, switch: &Uuid, out: &mut Vec<(Uuid, Uuid)>) {
    let Some(row) = ctx.row(&ctx.nb.logical_switch, switch) else { return };
    out.extend(row.ports().all().iter().map(|port| (*port, *switch)));
}

pub(crate) fn router_of_port(ctx: &Ctx<'_>, router: &Uuid, out: &mut Vec<(Uuid, Uuid)>) {
    let Some(row) = ctx.row(&ctx.nb.logical_router, router) else { return };
    out.extend(row.ports().all().iter().map(|port| (*port, *router)));
}

pub(crate) fn router_of_route(ctx: &Ctx<'_>, router: &Uuid, out: &mut Vec<(Uuid, Uuid)>) {
    let Some(row) = ctx.row(&ctx.nb.logical_router, router) else { return };
    out.extend(row.static_routes().all().iter().map(|route| (*route, *router)));
}

pub(crate) fn router_of_policy(ctx: &Ctx<'_>, router: &Uuid, out: &mut Vec<(Uuid, Uuid)>) {
    let Some(row) = ctx.row(&ctx.nb.logical_router, router) else { return };
    out.extend(row.policies().all().iter().map(|policy| (*policy, *router)));
}

pub(crate) fn switch_port_named(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<(Text, Uuid)>) {
    let Some(row) = ctx.row(&ctx.nb.logical_switch_port, port) else { return };
    out.push((row.name().clone(), *port));
}

pub(crate) fn router_port_named(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<(Text, Uuid)>) {
    let Some(row) = ctx.row(&ctx.nb.logical_router_port, port) else { return };
    out.push((row.name().clone(), *port));
}

/// Switch ports by the name of the router port that they lead to.
pub(crate) fn switch_ports_towards(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<(Text, Uuid)>) {
    let Some(row) = ctx.row(&ctx.nb.logical_switch_port, port) else { return };
    if &**row.r#type() == "router"
        && let Some(name) = row.options().get("router-port")
    {
        out.push((name.clone(), *port));
    }
}

/// Router ports by the name of the router port that they lead to.
pub(crate) fn router_ports_towards(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<(Text, Uuid)>) {
    let Some(row) = ctx.row(&ctx.nb.logical_router_port, port) else { return };
    if let Some(name) = row.peer() {
        out.push((name.clone(), *port));
    }
}

/// Rows of Datapath_Binding by the northbound row that they stand for.
pub(crate) fn datapath_rows(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Uuid, Uuid)>) {
    let Some(binding) = ctx.row(&ctx.sb.datapath_binding, row) else { return };
    let named = |key| binding.external_ids().get(key).and_then(|text: &Text| text.parse().ok());
    let nb = binding.nb_uuid().or_else(|| named("logical-switch")).or_else(|| named("logical-router"));
    out.extend(nb.map(|nb| (nb, *row)));
}

/// Rows of Port_Binding by name.
pub(crate) fn port_rows(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Text, Uuid)>) {
    let Some(binding) = ctx.row(&ctx.sb.port_binding, row) else { return };
    out.push((binding.logical_port().clone(), *row));
}

/// Which of several ports of switches that want the same was first: the one whose Port_Binding has the lowest key, since
/// keys are given out in turn. Ports that are not bound yet come after those that are, in the order of their uuids, as they
/// are given keys.
pub(crate) fn senior(ctx: &Ctx<'_>, ports: &[Uuid]) -> Option<Uuid> {
    first_bound(ctx, ports, |port| Some(ctx.row(&ctx.nb.logical_switch_port, port)?.name().clone()))
}

/// The same of several ports of a router.
pub(crate) fn senior_router_port(ctx: &Ctx<'_>, ports: &[Uuid]) -> Option<Uuid> {
    first_bound(ctx, ports, |port| Some(ctx.row(&ctx.nb.logical_router_port, port)?.name().clone()))
}

fn first_bound(ctx: &Ctx<'_>, ports: &[Uuid], name: impl Fn(&Uuid) -> Option<Text>) -> Option<Uuid> {
    if let [] | [_] = ports {
        return ports.first().copied();
    }
    let key = |port: &Uuid| {
        let binding = ctx.all(&ctx.port_rows, &name(port)?).first()?;
        Some(ctx.row(&ctx.sb.port_binding, binding)?.tunnel_key())
    };
    ports.iter().min_by_key(|port| (key(port).unwrap_or(i64::MAX), **port)).copied()
}

/// Rows of the southbound Static_MAC_Binding by port and address.
pub(crate) fn static_binding_rows(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<((Text, Text), Uuid)>) {
    let Some(binding) = ctx.row(&ctx.sb.static_mac_binding, row) else { return };
    out.push(((binding.logical_port().clone(), binding.ip().clone()), *row));
}

/// Rows of Chassis by name, and by host name where that is another.
pub(crate) fn chassis_named(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Text, Uuid)>) {
    let Some(chassis) = ctx.row(&ctx.sb.chassis, row) else { return };
    out.push((chassis.name().clone(), *row));
    if chassis.hostname() != chassis.name() && !chassis.hostname().is_empty() {
        out.push((chassis.hostname().clone(), *row));
    }
}
