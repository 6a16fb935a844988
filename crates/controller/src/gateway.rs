//! Which chassis carries a distributed gateway port: of the candidates in HA_Chassis_Group (before: Gateway_Chassis), the one
//! of the highest priority that can be heard over its tunnel (BFD, RFC 5880); and on which tunnels BFD runs for that.

use crate::binding;
use crate::tables::Ctx;
use kiln_ovsdb::{Map, Text};
use kiln_types::Uuid;

/// A chassis that may carry a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Candidate {
    priority: i64,
    name: Text,
    /// Its row.
    pub(crate) chassis: Uuid,
}

fn candidate(ctx: &Ctx<'_>, priority: i64, chassis: Option<Uuid>) -> Option<Candidate> {
    let chassis = chassis?;
    let name = ctx.row(&ctx.sb.chassis, &chassis)?.name().clone();
    Some(Candidate { priority, name, chassis })
}

/// The candidates, the best first. Of equal ones the one whose name comes later is the better, as for stock chassis.
pub(crate) fn candidates(ctx: &Ctx<'_>, port: &Uuid) -> Vec<Candidate> {
    let Some(port) = ctx.row(&ctx.sb.port_binding, port) else { return Vec::new() };
    let mut found: Vec<Candidate> = if let Some(group) = port.ha_chassis_group() {
        members(ctx, &group)
    } else {
        let member = |row: &Uuid| {
            let member = ctx.row(&ctx.sb.gateway_chassis, row)?;
            candidate(ctx, member.priority(), member.chassis())
        };
        port.gateway_chassis().all().iter().filter_map(member).collect()
    };
    found.sort_unstable_by(|a, b| b.cmp(a));
    found
}

fn members(ctx: &Ctx<'_>, group: &Uuid) -> Vec<Candidate> {
    let Some(group) = ctx.row(&ctx.sb.ha_chassis_group, group) else { return Vec::new() };
    let member = |row: &Uuid| {
        let member = ctx.row(&ctx.sb.ha_chassis, row)?;
        candidate(ctx, member.priority(), member.chassis())
    };
    group.ha_chassis().all().iter().filter_map(member).collect()
}

/// Whether this chassis carries the port. With several candidates that takes a tunnel that is up: a chassis that hears
/// nobody may be the one that is cut off.
pub(crate) fn is_active(ctx: &Ctx<'_>, port: &Uuid) -> bool {
    let candidates = candidates(ctx, port);
    if let [only] = candidates.as_slice() {
        return binding::is_me(ctx, &only.chassis);
    }
    let best = candidates.iter().find(|candidate| {
        binding::is_me(ctx, &candidate.chassis) || !ctx.all(&ctx.heard, &candidate.chassis).is_empty()
    });
    best.is_some_and(|best| binding::is_me(ctx, &best.chassis)) && !ctx.all(&ctx.hears, &()).is_empty()
}

/// Whether this chassis may have to carry the port.
pub(crate) fn is_candidate(ctx: &Ctx<'_>, port: &Uuid) -> bool {
    candidates(ctx, port).iter().any(|candidate| binding::is_me(ctx, &candidate.chassis))
}

/// Whether a group has several members, and this chassis is one of them.
pub(crate) fn is_one_of_several(ctx: &Ctx<'_>, group: &Uuid) -> bool {
    let members = members(ctx, group);
    members.len() > 1 && members.iter().any(|candidate| binding::is_me(ctx, &candidate.chassis))
}

/// Whether a packet for a router's port may have to be handled here though its gateway is elsewhere.
pub(crate) fn leads_here(ctx: &Ctx<'_>, router_port: &Uuid) -> bool {
    let Some(port) = ctx.row(&ctx.sb.port_binding, router_port) else { return true };
    let Some(name) = port.options().get("chassis-redirect-port") else { return true };
    let Some(gateway) = ctx.all(&ctx.port_named, name).first() else { return true };
    let Some(row) = ctx.row(&ctx.sb.port_binding, gateway) else { return true };
    row.options().get("always-redirect").is_none_or(|text| &**text != "true") || is_candidate(ctx, gateway)
}

/// Chassis whose tunnels are up.
pub(crate) fn heard(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<(Uuid, Uuid)>) {
    let Some(row) = ctx.row(&ctx.vs.port, port) else { return };
    let Some(name) = crate::tunnel::chassis_of(row.external_ids()) else { return };
    let up = |row: &Uuid| {
        let interface = ctx.row(&ctx.vs.interface, row);
        interface.is_some_and(|row| row.bfd_status().get("state").is_some_and(|state| &**state == "up"))
    };
    if row.interfaces().all().first().is_some_and(up)
        && let Some(chassis) = ctx.all(&ctx.chassis_named, &name).first()
    {
        out.push((*chassis, *port));
    }
}

/// Whether any tunnel is up.
pub(crate) fn hears(_: &Ctx<'_>, _: &Uuid, out: &mut Vec<((), ())>) {
    out.push(((), ()));
}

/// Chassis that BFD has to run with, by the groups that need it: those of a group with several candidates, if this one is
/// in it, and those that refer to it; or its candidates, if this one refers to it.
pub(crate) fn watched(ctx: &Ctx<'_>, group: &Uuid, out: &mut Vec<(Uuid, Uuid)>) {
    let Some(row) = ctx.row(&ctx.sb.ha_chassis_group, group) else { return };
    let Some(me) = ctx.value(&ctx.me, &()) else { return };
    let members = members(ctx, group);
    if members.len() < 2 {
        return;
    }
    let is_member = members.iter().any(|candidate| candidate.chassis == *me);
    if is_member || row.ref_chassis().contains(me) {
        out.extend(members.iter().map(|candidate| (candidate.chassis, *group)));
    }
    if is_member {
        out.extend(row.ref_chassis().all().iter().map(|chassis| (*chassis, *group)));
    }
    out.retain(|(chassis, _)| chassis != me);
}

/// `Interface.bfd` of the tunnels to a chassis, by the options of `SB_Global`.
pub(crate) fn bfd(ctx: &Ctx<'_>, chassis: &Uuid) -> Map<Text, Text> {
    if ctx.all(&ctx.watched, chassis).is_empty() {
        return Map::default();
    }
    let mut bfd: Vec<(Text, Text)> =
        vec![("check_tnl_key".into(), "true".into()), ("enable".into(), "true".into())];
    let global = ctx.all(&ctx.sb_global, &()).first().and_then(|row| ctx.row(&ctx.sb.sb_global, row));
    if let Some(global) = global {
        let keys = ["decay_min_rx", "min_rx", "min_tx", "mult"];
        bfd.extend(keys.iter().filter_map(|key| {
            let option = format!("bfd-{}", key.replace('_', "-"));
            Some(((*key).into(), global.options().get(option.as_str())?.clone()))
        }));
    }
    Map::from_vec(bfd)
}

/// Where packets for a port with several candidates go: the first of these tunnels that is up.
pub(crate) fn order(ctx: &Ctx<'_>, port: &Uuid) -> Vec<Uuid> {
    let chassis = candidates(ctx, port).into_iter().map(|candidate| candidate.chassis);
    chassis.filter(|chassis| !binding::is_me(ctx, chassis)).collect()
}
