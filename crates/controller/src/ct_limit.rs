//! How many connections a conntrack zone may have (`ct-zone-limit` of ports, switches and routers, ovn-nb(5)): rows of CT_Zone
//! in the switch's database, by the zones' numbers. A port's limit wins over its switch's; of datapaths of one name, which share
//! their zones, the lowest counts.

use crate::binding::PortKind;
use crate::ct_zone::{dnat_name, snat_name};
use crate::outstanding::{VsOp, uuid_of};
use crate::tables::{Ctx, Db};
use kiln_ovsdb::txn::Txn;
use kiln_ovsdb::{Map, Text};
use kiln_types::Uuid;

const KEY: &str = "ct-zone-limit";

/// A limit as it is written; 0 lets any number in, whatever the switch's own limit is.
fn parse(text: &Text) -> Option<i64> {
    text.parse().ok().filter(|limit| (0..=i64::from(u32::MAX)).contains(limit))
}

/// The limit of a datapath's zones.
fn of(ctx: &Ctx<'_>, datapath: &Uuid) -> Option<i64> {
    ctx.row(&ctx.sb.datapath_binding, datapath)?.external_ids().get(KEY).and_then(parse)
}

/// The limit of a port's zone.
pub(crate) fn of_port(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Text, i64)>) {
    let Some(residence) = ctx.value(&ctx.residence, row) else { return };
    let Some(port) = ctx.row(&ctx.sb.port_binding, row) else { return };
    let here = match residence.kind {
        PortKind::Vif => residence.claims,
        PortKind::Localport | PortKind::Localnet => residence.ofport.is_some(),
        _ => false,
    };
    let limit = match port.options().get(KEY) {
        Some(own) => parse(own),
        None => of(ctx, &port.datapath()),
    };
    out.extend(limit.filter(|_| here).map(|limit| (port.logical_port().clone(), limit)));
}

/// The limits of a datapath's own zones.
pub(crate) fn of_datapath(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Text, i64)>) {
    let Some(datapath) = ctx.value(&ctx.local_datapaths, row) else { return };
    if let Some(limit) = of(ctx, row) {
        out.push((dnat_name(&datapath.name), limit));
        out.push((snat_name(&datapath.name), limit));
    }
}

/// Zones by number.
pub(crate) fn names(ctx: &Ctx<'_>, name: &Text, out: &mut Vec<(u16, Text)>) {
    out.extend(ctx.value(&ctx.ct_zones, name).map(|zone| (*zone, name.clone())));
}

/// The integration bridge's row of Datapath.
fn datapath(ctx: &Ctx<'_>) -> Option<Uuid> {
    let bridge = ctx.row(&ctx.vs.bridge, ctx.value(&ctx.integration, &())?)?;
    let root = ctx.row(&ctx.vs.open_vswitch, ctx.all(&ctx.root, &()).first()?)?;
    root.datapaths().get(crate::bridge::kind_of(bridge.datapath_type())).copied()
}

fn takes_limits(ctx: &Ctx<'_>) -> bool {
    ctx.value(&ctx.facts, &()).is_some_and(|facts| facts.ct_zone_limits)
}

/// Whether the switch's database says another limit of a zone.
pub(crate) fn differences(ctx: &Ctx<'_>, name: &Text, out: &mut Vec<VsOp>) {
    let Some(zone) = ctx.value(&ctx.ct_zones, name).filter(|_| takes_limits(ctx)) else { return };
    let Some(datapath) = datapath(ctx).and_then(|row| ctx.row(&ctx.vs.datapath, &row)) else { return };
    let standing = datapath.ct_zones().get(&i64::from(*zone)).and_then(|row| ctx.row(&ctx.vs.ct_zone, row));
    if standing.and_then(|row| row.limit()) != ctx.all(&ctx.ct_limits, name).first().copied() {
        out.push(VsOp::ZoneLimit(*zone));
    }
}

/// Limits of ours for zones that nobody has any more.
pub(crate) fn stale(ctx: &Ctx<'_>, _: &(), out: &mut Vec<VsOp>) {
    let Some(row) = datapath(ctx).filter(|_| takes_limits(ctx)) else { return };
    let Some(datapath) = ctx.row(&ctx.vs.datapath, &row) else { return };
    for (number, standing) in datapath.ct_zones().all() {
        if let Ok(zone) = u16::try_from(*number)
            && *standing == row_of(row, zone)
            && ctx.all(&ctx.ct_zone_names, &zone).is_empty()
        {
            out.push(VsOp::ZoneLimit(zone));
        }
    }
}

/// The row of CT_Zone that is made for a zone.
fn row_of(datapath: Uuid, zone: u16) -> Uuid {
    uuid_of("CT_Zone", &[&datapath.to_string(), &zone.to_string()])
}

/// Sets a zone's limit, or lifts it.
pub(crate) fn write(db: &Db, zone: u16, txn: &mut Txn) {
    let bridge = db.integration.peek(&()).and_then(|row| db.vs.bridge.peek(row));
    let root = db.root.peek(&()).first().and_then(|row| db.vs.open_vswitch.peek(row));
    let (Some(bridge), Some(root)) = (bridge, root) else { return };
    let Some(row) = root.datapaths.get(crate::bridge::kind_of(&bridge.datapath_type)).copied() else {
        return;
    };
    let Some(datapath) = db.vs.datapath.peek(&row) else { return };
    let number = i64::from(zone);
    let standing = datapath.ct_zones.get(&number).copied();
    let limit =
        db.ct_zone_names.peek(&zone).first().and_then(|name| db.ct_limits.peek(name).first()).copied();
    match (standing, limit) {
        (None, None) => {}
        (None, Some(limit)) => {
            let new = row_of(row, zone);
            txn.insert("CT_Zone").uuid(new).set("limit", &Some(limit));
            let entry: Map<i64, Uuid> = [(number, new)].into_iter().collect();
            txn.mutate("Datapath").row(row).put("ct_zones", &entry);
        }
        // An operator's timeouts stay.
        (Some(standing), None) if !has_timeouts(db, &standing) => {
            txn.mutate("Datapath").row(row).delete("ct_zones", &kiln_ovsdb::Set::from_vec(vec![number]));
        }
        (Some(standing), limit) => drop(txn.update("CT_Zone").row(standing).set("limit", &limit)),
    }
}

fn has_timeouts(db: &Db, row: &Uuid) -> bool {
    db.vs.ct_zone.peek(row).is_some_and(|row| row.timeout_policy.is_some())
}
