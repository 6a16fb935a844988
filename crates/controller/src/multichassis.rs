//! Ports on several chassis, as during a live migration (ovn-nb(5), `requested-chassis` with a list): the first chassis named
//! is the main one, the others have the port as well (`Port_Binding.additional_chassis`). With an activation strategy the
//! port is blocked on an additional chassis until the workload shows there that it runs.

use crate::tables::{Ctx, Db};
use kiln_ovsdb::column::Pairs;
use kiln_ovsdb::txn::Txn;
use kiln_ovsdb::{Set, Text};
use kiln_schema_ovn::sb;
use kiln_types::Uuid;

/// The option that names the chassis on which a port with an activation strategy has shown life, by commas.
const ACTIVATED: &str = "additional-chassis-activated";

/// What a chassis is for a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seat {
    /// The one that column `chassis` names.
    Main,
    /// One of those that column `additional_chassis` names.
    Additional,
}

/// What this chassis may be for a port, as the operator wants it: everyone may have a port for which none is asked for.
pub(crate) fn seat(ctx: &Ctx<'_>, row: &Uuid) -> Option<Seat> {
    let port = ctx.row(&ctx.sb.port_binding, row)?;
    let Some(wanted) = port.options().get("requested-chassis").filter(|names| !names.is_empty()) else {
        return Some(Seat::Main);
    };
    let settings = ctx.value(&ctx.settings, &())?;
    let me = ctx.value(&ctx.me, &());
    let named = |name: &str| name == &*settings.chassis || name == &*settings.hostname;
    let mut names = wanted.split(',');
    let first = names.next().unwrap_or_default();
    if named(first) || me.is_some() && port.requested_chassis() == me.copied() {
        return Some(Seat::Main);
    }
    let asked = me.is_some_and(|me| port.requested_additional_chassis().contains(me));
    (asked || names.any(named)).then_some(Seat::Additional)
}

/// Every other chassis that has the port, the main one first.
pub(crate) fn others(ctx: &Ctx<'_>, port: &sb::view::PortBinding<'_>) -> Vec<Uuid> {
    let additional = port.additional_chassis().all().iter().copied();
    let all = port.chassis().into_iter().chain(additional);
    all.filter(|chassis| !crate::binding::is_me(ctx, chassis)).collect()
}

/// Ports on several chassis by their datapaths.
pub(crate) fn by_datapath(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Uuid, Uuid)>) {
    let Some(port) = ctx.row(&ctx.sb.port_binding, row) else { return };
    if !port.additional_chassis().all().is_empty() {
        out.push((port.datapath(), *row));
    }
}

/// Whether the port is still to show life here.
pub(crate) fn is_blocked(ctx: &Ctx<'_>, row: &Uuid) -> bool {
    let Some(port) = ctx.row(&ctx.sb.port_binding, row) else { return false };
    ctx.value(&ctx.residence, row).is_some_and(|residence| residence.is_additional)
        && port.options().get("activation-strategy").is_some_and(|strategy| !strategy.is_empty())
        && ctx.value(&ctx.activated, row).is_none()
        && !says_activated(ctx, &port)
}

/// Whether the port has shown life here, and its row does not say so yet.
pub(crate) fn lacks_activation(ctx: &Ctx<'_>, row: &Uuid, port: &sb::view::PortBinding<'_>) -> bool {
    ctx.value(&ctx.activated, row).is_some() && !says_activated(ctx, port)
}

fn says_activated(ctx: &Ctx<'_>, port: &sb::view::PortBinding<'_>) -> bool {
    let Some(settings) = ctx.value(&ctx.settings, &()) else { return false };
    let names = port.options().get(ACTIVATED);
    names.is_some_and(|names| names.split(',').any(|name| name == &*settings.chassis))
}

/// Whether the row names this chassis as an additional one, reached by `encap`.
pub(crate) fn is_claimed(ctx: &Ctx<'_>, port: &sb::view::PortBinding<'_>, encap: Option<Uuid>) -> bool {
    let Some(settings) = ctx.value(&ctx.settings, &()) else { return false };
    let is_ours = |row: &&Uuid| {
        ctx.row(&ctx.sb.encap, row).is_some_and(|encap| *encap.chassis_name() == settings.chassis)
    };
    is_additional(ctx, port) && port.additional_encap().all().iter().filter(is_ours).copied().eq(encap)
}

/// Whether the row names this chassis as an additional one.
pub(crate) fn is_additional(ctx: &Ctx<'_>, port: &sb::view::PortBinding<'_>) -> bool {
    ctx.value(&ctx.me, &()).is_some_and(|me| port.additional_chassis().contains(me))
}

/// Writes that this chassis has the port too, reached by `encap`.
pub(crate) fn write_claim(db: &Db, row: Uuid, encap: Option<Uuid>, txn: &mut Txn) {
    let Some(me) = db.me.peek(&()) else { return };
    let mut old = our_encaps(db, row);
    old.retain(|old| Some(*old) != encap);
    let mut op = txn.mutate("Port_Binding");
    op.row(row).put("additional_chassis", me);
    if !old.is_empty() {
        op.delete("additional_encap", &Set::from_vec(old));
    }
    if let Some(encap) = encap {
        op.put("additional_encap", &encap);
    }
}

/// Writes that this chassis does not have the port as an additional one.
pub(crate) fn write_release(db: &Db, row: Uuid, txn: &mut Txn) {
    let Some(me) = db.me.peek(&()) else { return };
    let old = our_encaps(db, row);
    let mut op = txn.mutate("Port_Binding");
    op.row(row).delete("additional_chassis", me);
    if !old.is_empty() {
        op.delete("additional_encap", &Set::from_vec(old));
    }
}

fn our_encaps(db: &Db, row: Uuid) -> Vec<Uuid> {
    let (Some(port), Some(settings)) = (db.sb.port_binding.peek(&row), db.settings.peek(&())) else {
        return Vec::new();
    };
    let is_ours =
        |row: &&Uuid| db.sb.encap.peek(row).is_some_and(|encap| encap.chassis_name == settings.chassis);
    port.additional_encap.iter().filter(is_ours).copied().collect()
}

/// Writes that the port has shown life here.
pub(crate) fn write_activation(db: &Db, row: Uuid, txn: &mut Txn) {
    let (Some(port), Some(settings)) = (db.sb.port_binding.peek(&row), db.settings.peek(&())) else { return };
    let names: Text = match port.options.get(ACTIVATED) {
        Some(others) => format!("{others},{}", settings.chassis).into(),
        None => settings.chassis.clone(),
    };
    txn.mutate("Port_Binding")
        .row(row)
        .delete("options", &[ACTIVATED])
        .put("options", &Pairs(&[(ACTIVATED, &*names)]));
}
