//! Who refers to whom and who has which name, in both databases.

use crate::binding::parent_of;
use crate::tables::Ctx;
use kiln_ovsdb::Text;
use kiln_types::{EthAddr, Uuid};
use std::net::IpAddr;

pub(crate) fn bridge_named(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Text, Uuid)>) {
    let Some(bridge) = ctx.row(&ctx.vs.bridge, row) else { return };
    out.push((bridge.name().clone(), *row));
}

pub(crate) fn bridge_of_port(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Uuid, Uuid)>) {
    let Some(bridge) = ctx.row(&ctx.vs.bridge, row) else { return };
    out.extend(bridge.ports().all().iter().map(|port| (*port, *row)));
}

pub(crate) fn port_of_interface(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Uuid, Uuid)>) {
    let Some(port) = ctx.row(&ctx.vs.port, row) else { return };
    out.extend(port.interfaces().all().iter().map(|interface| (*interface, *row)));
}

/// Names of ports in use, whoever made them.
pub(crate) fn switch_port_named(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Text, Uuid)>) {
    let Some(port) = ctx.row(&ctx.vs.port, row) else { return };
    out.push((port.name().clone(), *row));
}

/// The bridge that logical ports are attached to.
pub(crate) fn integration(ctx: &Ctx<'_>, _: &(), out: &mut Vec<((), Uuid)>) {
    let Some(settings) = ctx.value(&ctx.settings, &()) else { return };
    out.extend(ctx.all(&ctx.bridge_named, &settings.bridge).first().map(|bridge| ((), *bridge)));
}

/// Whether a port stands in the integration bridge.
pub(crate) fn is_integrated(ctx: &Ctx<'_>, port: &Uuid) -> bool {
    ctx.value(&ctx.integration, &()).is_some_and(|bridge| ctx.holds(&ctx.bridge_of_port, port, bridge))
}

/// Interfaces of the integration bridge by `external_ids:iface-id`.
pub(crate) fn interfaces_with_id(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Text, Uuid)>) {
    let Some(interface) = ctx.row(&ctx.vs.interface, row) else { return };
    let Some(id) = interface.external_ids().get("iface-id") else { return };
    if ctx.all(&ctx.port_of_interface, row).iter().any(|port| is_integrated(ctx, port)) {
        out.push((id.clone(), *row));
    }
}

/// The logical port that a patch port of ours carries.
fn carried(ids: kiln_incr::MapView<'_, Text, Text>) -> Option<&Text> {
    crate::bridge::PATCH_KEYS.iter().find_map(|(_, key)| ids.get(*key))
}

/// Our patch ports in the integration bridge by the logical port that they carry out.
pub(crate) fn patch_interfaces(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Text, Uuid)>) {
    let Some(port) = ctx.row(&ctx.vs.port, row) else { return };
    let Some(id) = carried(port.external_ids()) else { return };
    if is_integrated(ctx, row) {
        out.extend(port.interfaces().all().iter().map(|interface| (id.clone(), *interface)));
    }
}

/// Patch ports between the integration bridge and others, both ends. Those of another bridge belong to the controller whose
/// integration bridge that is, or was.
pub(crate) fn patch_ports(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Text, Uuid)>) {
    let Some(port) = ctx.row(&ctx.vs.port, row) else { return };
    let (Some(carried), Some(settings)) = (carried(port.external_ids()), ctx.value(&ctx.settings, &()))
    else {
        return;
    };
    if crate::bridge::patch_names(&settings.bridge, carried).contains(port.name()) {
        out.push((port.name().clone(), *row));
    }
}

pub(crate) fn chassis_named(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Text, Uuid)>) {
    let Some(chassis) = ctx.row(&ctx.sb.chassis, row) else { return };
    out.push((chassis.name().clone(), *row));
}

pub(crate) fn chassis_private_named(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Text, Uuid)>) {
    let Some(chassis) = ctx.row(&ctx.sb.chassis_private, row) else { return };
    out.push((chassis.name().clone(), *row));
}

pub(crate) fn encap_at(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<((Text, Text), Uuid)>) {
    let Some(encap) = ctx.row(&ctx.sb.encap, row) else { return };
    out.push(((encap.r#type().clone(), encap.ip().clone()), *row));
}

/// Our row of Chassis.
pub(crate) fn me(ctx: &Ctx<'_>, _: &(), out: &mut Vec<((), Uuid)>) {
    let Some(settings) = ctx.value(&ctx.settings, &()) else { return };
    out.extend(ctx.all(&ctx.chassis_named, &settings.chassis).first().map(|row| ((), *row)));
}

pub(crate) fn port_named(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Text, Uuid)>) {
    let Some(port) = ctx.row(&ctx.sb.port_binding, row) else { return };
    out.push((port.logical_port().clone(), *row));
}

/// Ports by datapath and key.
pub(crate) fn port_keyed(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<((Uuid, u16), Uuid)>) {
    let Some(port) = ctx.row(&ctx.sb.port_binding, row) else { return };
    out.push(((port.datapath(), port.tunnel_key() as u16), *row));
}

/// Ports of containers by their parent's name.
pub(crate) fn containers_in(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Text, Uuid)>) {
    let Some(port) = ctx.row(&ctx.sb.port_binding, row) else { return };
    if let Some(parent) = parent_of(&port) {
        out.push((parent.clone(), *row));
    }
}

/// Localnet ports by datapath.
pub(crate) fn localnet_of(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Uuid, Uuid)>) {
    let Some(port) = ctx.row(&ctx.sb.port_binding, row) else { return };
    if &**port.r#type() == "localnet" {
        out.push((port.datapath(), *row));
    }
}

/// Patch ports by datapath, also those of gateway routers.
pub(crate) fn patches_of(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Uuid, Uuid)>) {
    let Some(port) = ctx.row(&ctx.sb.port_binding, row) else { return };
    if matches!(&**port.r#type(), "patch" | "l3gateway") {
        out.push((port.datapath(), *row));
    }
}

pub(crate) fn datapath_keyed(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(u32, Uuid)>) {
    let Some(datapath) = ctx.row(&ctx.sb.datapath_binding, row) else { return };
    out.push((datapath.tunnel_key() as u32, *row));
}

/// Multicast groups by datapath and name.
pub(crate) fn groups_named(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<((Uuid, Text), Uuid)>) {
    let Some(group) = ctx.row(&ctx.sb.multicast_group, row) else { return };
    out.push(((group.datapath(), group.name().clone()), *row));
}

pub(crate) fn sets_named(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Text, Uuid)>) {
    let Some(set) = ctx.row(&ctx.sb.address_set, row) else { return };
    out.push((set.name().clone(), *row));
}

pub(crate) fn templates_of(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Text, Uuid)>) {
    let Some(variables) = ctx.row(&ctx.sb.chassis_template_var, row) else { return };
    out.push((variables.chassis().clone(), *row));
}

/// Rows of SB_Global; there is at most one.
pub(crate) fn sb_global(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<((), Uuid)>) {
    if ctx.row(&ctx.sb.sb_global, row).is_some() {
        out.push(((), *row));
    }
}

pub(crate) fn meters_named(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Text, Uuid)>) {
    let Some(meter) = ctx.row(&ctx.sb.meter, row) else { return };
    out.push((meter.name().clone(), *row));
}

/// DHCPv4 options by name: code and kind of value.
pub(crate) fn dhcp_options(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Text, (i64, Text))>) {
    let Some(option) = ctx.row(&ctx.sb.dhcp_options, row) else { return };
    out.push((option.name().clone(), (option.code(), option.r#type().clone())));
}

/// DHCPv6 options by name: code and kind of value.
pub(crate) fn dhcpv6_options(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Text, (i64, Text))>) {
    let Some(option) = ctx.row(&ctx.sb.dhcpv6_options, row) else { return };
    out.push((option.name().clone(), (option.code(), option.r#type().clone())));
}

/// Bridges that have a sample collector set of that id.
pub(crate) fn collector_sets(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(i64, Uuid)>) {
    let Some(set) = ctx.row(&ctx.vs.flow_sample_collector_set, row) else { return };
    out.push((set.id(), set.bridge()));
}

/// Rows of MAC_Binding by port and address.
pub(crate) fn neighbor_rows(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<((Text, IpAddr), Uuid)>) {
    let Some(binding) = ctx.row(&ctx.sb.mac_binding, row) else { return };
    if let Ok(ip) = binding.ip().parse() {
        out.push(((binding.logical_port().clone(), ip), *row));
    }
}

/// Rows of Static_MAC_Binding by port and address.
pub(crate) fn fixed_rows(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<((Text, IpAddr), Uuid)>) {
    let Some(binding) = ctx.row(&ctx.sb.static_mac_binding, row) else { return };
    if let Ok(ip) = binding.ip().parse() {
        out.push(((binding.logical_port().clone(), ip), *row));
    }
}

/// Rows of FDB by datapath and address.
pub(crate) fn station_rows(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<((i64, EthAddr), Uuid)>) {
    let Some(entry) = ctx.row(&ctx.sb.fdb, row) else { return };
    if let Ok(mac) = entry.mac().parse() {
        out.push(((entry.dp_key(), mac), *row));
    }
}
