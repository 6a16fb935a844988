//! Port_Binding: a row for each logical port, and what chassis report back through it.

use crate::outstanding::NbOp;
use crate::switch::edge::Part;
use crate::tables::{Ctx, Peer, PortKind, RouterPort, SwitchPort};
use kiln_ovsdb::{Map, Set, Text};
use kiln_schema_ovn::{nb, sb};
use kiln_types::Uuid;

/// An option that chassis write to the binding themselves.
const ACTIVATED: &str = "additional-chassis-activated";

pub(crate) fn of_switch_port(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<(Uuid, sb::PortBinding)>) {
    let Some(row) = ctx.row(&ctx.nb.logical_switch_port, port) else { return };
    let Some(checked) = ctx.value(&ctx.switch_ports, port) else { return };
    let Some(grant) = ctx.value(&ctx.port_grants, port) else { return };
    let Some(datapath) = ctx.value(&ctx.datapaths, &checked.switch) else { return };
    let mut options: Vec<(Text, Text)> = Vec::new();
    let mut r#type = row.r#type().clone();
    let mut announced = Vec::new();
    if checked.kind == PortKind::Router {
        let peer = checked.router_port.and_then(|peer| ctx.value(&ctx.router_ports, &peer));
        // Also the port of a router that is disabled.
        let peer_row = checked.router_port.and_then(|peer| ctx.row(&ctx.nb.logical_router_port, &peer));
        options.extend(peer_row.map(|row| ("peer".into(), row.name().clone())));
        r#type = joining(peer.and_then(|peer| peer.gateway.as_ref()), &mut options);
        announced = peer.map_or_else(Vec::new, |peer| announced_addresses(ctx, port, &row, checked, peer));
    } else if checked.kind == PortKind::Switch {
        r#type = "patch".into();
        options.extend(row.options().all().iter().cloned());
        options.extend(peer_switch_port(ctx, port, &row).map(|peer| ("peer".into(), peer)));
    } else {
        options.extend(row.options().all().iter().cloned());
    }
    if datapath.passes_vlans && checked.kind != PortKind::Router {
        options.push(("vlan-passthru".into(), "true".into()));
    }
    if let Some(key) = row.options().get("requested-tnl-key")
        && key.parse::<u16>().is_ok_and(|key| key != grant.key)
    {
        ctx.report(format!(
            "Logical_Switch_Port {port} ({}), column options: requested-tnl-key `{key}` cannot be had, it has {}",
            row.name(),
            grant.key
        ));
    }
    if let Some(parent) = row.parent_name().as_ref().filter(|parent| !parent.is_empty())
        && ctx.all(&ctx.switch_port_named, parent).is_empty()
    {
        ctx.report(format!(
            "Logical_Switch_Port {port} ({}), column parent_name: there is no switch port `{parent}`; the port cannot be \
             bound before there is",
            row.name()
        ));
    }
    let (requested, additional) = requested_chassis(ctx, port, &row);
    // Once a migration is over, the next one starts anew.
    if !additional.is_empty()
        && let Some(binding) = ctx.row(&ctx.sb.port_binding, &grant.row)
        && let Some(activated) = binding.options().get(ACTIVATED)
    {
        options.push((ACTIVATED.into(), activated.clone()));
    }
    let mut external_ids = row.external_ids().all().to_vec();
    if let Some(name) = row.external_ids().get("neutron:port_name") {
        external_ids.push(("name".into(), name.clone()));
    }
    out.push((
        grant.row,
        sb::PortBinding {
            logical_port: checked.name.text().clone(),
            r#type,
            nat_addresses: Set::from_vec(announced),
            options: Map::from_vec(options),
            datapath: datapath.row,
            tunnel_key: i64::from(grant.key),
            parent_port: row.parent_name().clone().filter(|name| !name.is_empty()),
            tag: if row.tag_request().is_some() { ctx.value(&ctx.tags, port).copied() } else { None }
                .or(row.tag()),
            mac: Set::from_vec(row.addresses().all().to_vec()),
            port_security: Set::from_vec(row.port_security().all().to_vec()),
            external_ids: Map::from_vec(external_ids),
            requested_chassis: requested,
            requested_additional_chassis: Set::from_vec(additional),
            ..sb::PortBinding::default()
        },
    ));
}

/// The type of a port that joins two datapaths, of which one may be on one chassis only.
fn joining(gateway: Option<&Text>, options: &mut Vec<(Text, Text)>) -> Text {
    let Some(chassis) = gateway else { return "patch".into() };
    options.push(("l3gateway-chassis".into(), chassis.clone()));
    "l3gateway".into()
}

/// What the chassis of a gateway router announces on the switch's physical network: the router's own addresses, and what the
/// operator lists (ovn-nb(5), Logical_Switch_Port, `options:nat-addresses`).
fn announced_addresses(
    ctx: &Ctx<'_>,
    port: &Uuid,
    row: &nb::view::LogicalSwitchPort<'_>,
    checked: &SwitchPort,
    peer: &RouterPort,
) -> Vec<Text> {
    if peer.gateway.is_none() {
        return Vec::new();
    }
    let mut announced = Vec::new();
    let options = row.options();
    // `router` asks for addresses that the router translates to: there are none yet.
    if let Some(listed) = options.get("nat-addresses").filter(|listed| &***listed != "router") {
        if crate::addresses::parse_port_address(listed).is_ok() {
            announced.push(listed.clone());
        } else {
            ctx.report(format!(
                "Logical_Switch_Port {port} ({}), column options: nat-addresses `{listed}` is no Ethernet address \
                 with IP addresses; it is skipped",
                row.name()
            ));
        }
    }
    let kept_quiet = options.get("exclude-router-ips-from-garp").is_some_and(|value| &**value == "true");
    if !kept_quiet && ctx.holds(&ctx.edges, &checked.switch, &Part::Localnet) {
        let ips = peer.ipv4.iter().map(|net| format!(" {}", net.addr())).collect::<Vec<_>>().concat();
        announced.push(format!("{}{ips}", peer.mac).into());
    }
    announced
}

/// The port of another switch that a port of type `switch` is joined with.
fn peer_switch_port(ctx: &Ctx<'_>, port: &Uuid, row: &nb::view::LogicalSwitchPort<'_>) -> Option<Text> {
    let peer = row.peer().clone().unwrap_or_default();
    if ctx.all(&ctx.switch_port_named, &peer).is_empty() {
        ctx.report(format!(
            "Logical_Switch_Port {port} ({}), column peer: there is no switch port `{peer}`; it is skipped",
            row.name()
        ));
        return None;
    }
    Some(peer)
}

/// Chassis that the operator asks for by name or host name: the first is the main one.
fn requested_chassis(
    ctx: &Ctx<'_>,
    port: &Uuid,
    row: &nb::view::LogicalSwitchPort<'_>,
) -> (Option<Uuid>, Vec<Uuid>) {
    let options = row.options();
    let Some(names) = options.get("requested-chassis") else { return (None, Vec::new()) };
    let mut rows = Vec::new();
    for name in names.split(',').filter(|name| !name.is_empty()) {
        match ctx.all(&ctx.chassis_named, &name.into()).first() {
            Some(chassis) => rows.push(*chassis),
            None => ctx.report(format!(
                "Logical_Switch_Port {port} ({}), column options: there is no chassis `{name}` for requested-chassis yet",
                row.name()
            )),
        }
    }
    let mut rows = rows.into_iter();
    (rows.next(), rows.collect())
}

pub(crate) fn of_router_port(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<(Uuid, sb::PortBinding)>) {
    let Some(row) = ctx.row(&ctx.nb.logical_router_port, port) else { return };
    let Some(checked) = ctx.value(&ctx.router_ports, port) else { return };
    let Some(grant) = ctx.value(&ctx.port_grants, port) else { return };
    let Some(datapath) = ctx.value(&ctx.datapaths, &checked.router) else { return };
    let peer = match checked.peer {
        Peer::Switch(peer) => ctx.value(&ctx.switch_ports, &peer).map(|peer| peer.name.text().clone()),
        Peer::Router(peer) => ctx.value(&ctx.router_ports, &peer).map(|peer| peer.name.text().clone()),
        Peer::None => None,
    };
    let mut options: Vec<(Text, Text)> = peer.map(|peer| ("peer".into(), peer)).into_iter().collect();
    let r#type = joining(checked.gateway.as_ref(), &mut options);
    crate::router::advertise::periodic(&row, checked, &mut options);
    crate::router::learning::port_options(ctx, port, &row, &checked.router, &mut options);
    let mut mac = checked.mac.to_string();
    mac.extend(checked.ipv4.iter().map(|net| format!(" {net}")));
    mac.extend(checked.configured_ipv6().iter().map(|net| format!(" {net}")));
    out.push((
        grant.row,
        sb::PortBinding {
            logical_port: checked.name.text().clone(),
            r#type,
            options: Map::from_vec(options),
            datapath: datapath.row,
            tunnel_key: i64::from(grant.key),
            mac: Set::from_vec(vec![mac.into()]),
            external_ids: Map::from_vec(row.external_ids().all().to_vec()),
            ..sb::PortBinding::default()
        },
    ));
}

/// Whether the port of a row is up: ports to routers always are, others when their chassis says so.
pub(crate) fn is_up(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<NbOp>) {
    let Some(binding) = ctx.row(&ctx.sb.port_binding, row) else { return };
    let Some(port) = ctx.all(&ctx.switch_port_named, binding.logical_port()).first() else { return };
    if ctx.value(&ctx.port_grants, port).is_none_or(|grant| grant.row != *row) {
        return;
    }
    let Some(port_row) = ctx.row(&ctx.nb.logical_switch_port, port) else { return };
    let router = matches!(&**port_row.r#type(), "router" | "switch");
    // A chassis that says nothing about it is one that does not yet know how to.
    let up = router || (binding.chassis().is_some() && binding.up() != Some(false));
    if port_row.up() != Some(up) {
        out.push(NbOp::Up(*port, up));
    }
}

/// Learned neighbours of ports that are gone.
pub(crate) fn stale_neighbor(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<crate::outstanding::SbOp>) {
    let Some(binding) = ctx.row(&ctx.sb.mac_binding, row) else { return };
    let port = ctx.all(&ctx.router_port_named, binding.logical_port()).first();
    let router = port.and_then(|port| ctx.value(&ctx.router_ports, port)).map(|port| port.router);
    let datapath = router.and_then(|router| ctx.value(&ctx.datapaths, &router));
    if datapath.is_none_or(|datapath| datapath.row != binding.datapath()) {
        out.push(crate::outstanding::SbOp(crate::outstanding::SbTable::MacBinding, *row));
    }
}

/// Which ports and datapaths there are, by their keys.
pub(crate) fn ports_by_key(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<(i64, i64)>) {
    let Some(row) = ctx.value(&ctx.switch_ports, port) else { return };
    let Some(datapath) = ctx.value(&ctx.datapaths, &row.switch) else { return };
    let Some(grant) = ctx.value(&ctx.port_grants, port) else { return };
    out.push((i64::from(datapath.key), i64::from(grant.key)));
}

/// Learned Ethernet addresses behind ports that are gone.
pub(crate) fn stale_fdb(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<crate::outstanding::SbOp>) {
    let Some(fdb) = ctx.row(&ctx.sb.fdb, row) else { return };
    if !ctx.holds(&ctx.ports_by_key, &fdb.dp_key(), &fdb.port_key()) {
        out.push(crate::outstanding::SbOp(crate::outstanding::SbTable::Fdb, *row));
    }
}

pub(crate) fn static_binding(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Uuid, sb::StaticMacBinding)>) {
    let Some(binding) = ctx.row(&ctx.nb.static_mac_binding, row) else { return };
    let report = |column: &str, what: String| {
        ctx.report(format!("Static_MAC_Binding {row}, column {column}: {what}; it is skipped"));
    };
    let port = ctx.all(&ctx.router_port_named, binding.logical_port()).first();
    let Some(port) = port.and_then(|port| ctx.value(&ctx.router_ports, port)) else {
        return report("logical_port", format!("there is no router port `{}`", binding.logical_port()));
    };
    if binding.mac().parse::<kiln_types::EthAddr>().is_err() {
        return report("mac", format!("`{}` is no Ethernet address", binding.mac()));
    }
    if binding.ip().parse::<std::net::IpAddr>().is_err() {
        return report("ip", format!("`{}` is no IP address", binding.ip()));
    }
    let Some(datapath) = ctx.value(&ctx.datapaths, &port.router) else { return };
    let key = (binding.logical_port().clone(), binding.ip().clone());
    out.push((
        ctx.all(&ctx.static_binding_rows, &key).first().copied().unwrap_or(*row),
        sb::StaticMacBinding {
            logical_port: key.0,
            ip: key.1,
            mac: binding.mac().clone(),
            override_dynamic_mac: binding.override_dynamic_mac(),
            datapath: datapath.row,
        },
    ));
}
