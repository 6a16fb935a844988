//! Port_Group: for each switch that has ports of a group, a row with those ports, named after the switch's tunnel key and
//! the group, which is how chassis find it.

use crate::address_set::named_row;
use crate::tables::Ctx;
use kiln_ovsdb::{Set, Text};
use kiln_schema_ovn::sb;
use kiln_types::Uuid;

pub(crate) fn named(ctx: &Ctx<'_>, group: &Uuid, out: &mut Vec<(Text, Uuid)>) {
    let Some(row) = ctx.row(&ctx.nb.port_group, group) else { return };
    out.push((row.name().clone(), *group));
}

pub(crate) fn groups_of_port(ctx: &Ctx<'_>, group: &Uuid, out: &mut Vec<(Uuid, Uuid)>) {
    let Some(row) = ctx.row(&ctx.nb.port_group, group) else { return };
    out.extend(row.ports().all().iter().map(|port| (*port, *group)));
}

/// The names of a group's ports, by group and switch.
pub(crate) fn members(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<((Uuid, Uuid), Text)>) {
    let groups = ctx.all(&ctx.groups_of_port, port);
    let Some(row) = ctx.value(&ctx.switch_ports, port) else { return };
    out.extend(groups.iter().map(|group| ((*group, row.switch), row.name.text().clone())));
}

/// The switches that have ports of a group.
pub(crate) fn switches(_: &Ctx<'_>, key: &(Uuid, Uuid), out: &mut Vec<(Uuid, Uuid)>) {
    out.push(*key);
}

/// Rows of the southbound Port_Group by name.
pub(crate) fn rows(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Text, Uuid)>) {
    let Some(group) = ctx.row(&ctx.sb.port_group, row) else { return };
    out.push((group.name().clone(), *row));
}

pub(crate) fn wanted(ctx: &Ctx<'_>, key: &(Uuid, Uuid), out: &mut Vec<(Uuid, sb::PortGroup)>) {
    let (group, switch) = key;
    let Some(row) = ctx.row(&ctx.nb.port_group, group) else { return };
    let Some(datapath) = ctx.value(&ctx.datapaths, switch) else { return };
    let name: Text = format!("{}_{}", datapath.key, row.name()).into();
    let ports = ctx.all(&ctx.group_members, key).to_vec();
    let standing = ctx.all(&ctx.port_group_rows, &name).first().copied();
    let row = standing.unwrap_or_else(|| named_row(0x6772_6f75, &name));
    out.push((row, sb::PortGroup { name, ports: Set::from_vec(ports) }));
}
