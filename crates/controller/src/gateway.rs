//! Which chassis carries a distributed gateway port: of the candidates in Gateway_Chassis or HA_Chassis, the one of the
//! highest priority.

use crate::tables::Ctx;
use kiln_ovsdb::Text;
use kiln_types::Uuid;

/// The candidates: priority, name of the row, chassis.
fn candidates(ctx: &Ctx<'_>, port: &Uuid) -> Vec<(i64, Text, Uuid)> {
    let Some(port) = ctx.row(&ctx.sb.port_binding, port) else { return Vec::new() };
    if let Some(group) = port.ha_chassis_group() {
        let Some(group) = ctx.row(&ctx.sb.ha_chassis_group, &group) else { return Vec::new() };
        let member = |row: &Uuid| {
            let member = ctx.row(&ctx.sb.ha_chassis, row)?;
            Some((member.priority(), Text::from(""), member.chassis()?))
        };
        return group.ha_chassis().all().iter().filter_map(member).collect();
    }
    let member = |row: &Uuid| {
        let member = ctx.row(&ctx.sb.gateway_chassis, row)?;
        Some((member.priority(), member.name().clone(), member.chassis()?))
    };
    port.gateway_chassis().all().iter().filter_map(member).collect()
}

/// The chassis that carries the port.
pub(crate) fn active(ctx: &Ctx<'_>, port: &Uuid) -> Option<Uuid> {
    candidates(ctx, port).into_iter().max().map(|(_, _, chassis)| chassis)
}

/// Whether this chassis may have to carry the port.
pub(crate) fn is_candidate(ctx: &Ctx<'_>, port: &Uuid) -> bool {
    candidates(ctx, port).iter().any(|(_, _, chassis)| crate::binding::is_me(ctx, chassis))
}
