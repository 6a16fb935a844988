//! Rows of Logical_Switch_Port, checked: addresses read, names resolved, duplicates refused.

use crate::addresses::{AddressItem, PortAddress, parse_address, parse_port_address};
use crate::index::senior;
use crate::multicast::Member;
use crate::tables::{Claim, Ctx, Owned, PortKind, PortOptions, SwitchPort};
use kiln_ovsdb::Text;
use kiln_schema_ovn::nb::view;
use kiln_types::{Ipv4Net, Ipv6Net, Uuid};

/// Which port of a switch declares which address. Ports of which two have the same are judged by `checked`.
pub(crate) fn address_claims(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<((Uuid, Owned), Claim)>) {
    let Some(row) = ctx.row(&ctx.nb.logical_switch_port, port) else { return };
    let Some(switch) = ctx.all(&ctx.switch_of_port, port).first().copied() else { return };
    for text in row.addresses().all() {
        if let Ok(AddressItem::Static(address)) = parse_address(text).map(AddressItem::hosts) {
            let claim = Claim { declared: true, port: *port };
            out.extend(owned(&address).map(|owned| ((switch, owned), claim)));
        }
    }
    out.sort_unstable();
    out.dedup();
}

fn owned(address: &PortAddress) -> impl Iterator<Item = Owned> {
    let v4 = address.ipv4.iter().map(|net| Owned::V4(net.addr()));
    let v6 = address.ipv6.iter().map(|net| Owned::V6(net.addr()));
    std::iter::once(Owned::Mac(address.mac)).chain(v4).chain(v6)
}

pub(crate) fn checked(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<(Uuid, SwitchPort)>) {
    let Some(row) = ctx.row(&ctx.nb.logical_switch_port, port) else { return };
    let Some(switch) = ctx.all(&ctx.switch_of_port, port).first().copied() else { return };
    let kind = match &**row.r#type() {
        "" => PortKind::Vif,
        "router" => PortKind::Router,
        "localnet" => PortKind::Localnet,
        "localport" => PortKind::Localport,
        "switch" => PortKind::Switch,
        "external" => PortKind::External,
        "remote" => PortKind::Remote,
        "l2gateway" => PortKind::L2Gateway,
        "vtep" => PortKind::Vtep,
        "virtual" => PortKind::Virtual,
        other => {
            report(ctx, port, row.name(), "type", &format!("`{other}` is no type of port"));
            return;
        }
    };
    let mut checked = SwitchPort {
        switch,
        name: row.name().into(),
        kind,
        enabled: row.enabled() != Some(false),
        addresses: Vec::new(),
        // Nobody tells which addresses are behind another switch.
        unknown: kind == PortKind::Switch,
        secured: false,
        router_port: None,
        options: options(&row),
    };
    if kind == PortKind::Router {
        checked.router_port = router_port(ctx, port, &row);
    }
    read_addresses(ctx, port, &row, &mut checked);
    for text in row.port_security().all() {
        match parse_port_address(text) {
            Ok(_) => checked.secured = true,
            Err(error) => report(ctx, port, row.name(), "port_security", &format!("`{text}`: {error}")),
        }
    }
    out.push((*port, checked));
}

fn options(row: &view::LogicalSwitchPort<'_>) -> PortOptions {
    let mut options = PortOptions::default();
    for (key, value) in row.options().all() {
        let is_true = &**value == "true";
        match &**key {
            "qdisc_queue_id" => options.queue = value.parse().ok(),
            "disable_arp_nd_rsp" => options.answers_itself = is_true,
            "force_fdb_lookup" => options.looked_up = is_true,
            "pkt_clone_type" => options.cloned = &**value == "mc_unknown",
            "receive_multicast" => options.shuns_floods = &**value == "false",
            "localnet_learn_fdb" => options.learns = is_true,
            "lsp_learn_fdb" => options.unlearned = &**value == "false",
            _ => {}
        }
    }
    options
}

fn report(ctx: &Ctx<'_>, port: &Uuid, name: &str, column: &str, what: &str) {
    ctx.report(format!("Logical_Switch_Port {port} ({name}), column {column}: {what}; it is skipped"));
}

fn router_port(ctx: &Ctx<'_>, port: &Uuid, row: &view::LogicalSwitchPort<'_>) -> Option<Uuid> {
    let options = row.options();
    let Some(name) = options.get("router-port") else {
        report(ctx, port, row.name(), "options", "a port of type router needs router-port");
        return None;
    };
    let found = ctx.all(&ctx.router_port_named, name).first().copied();
    if found.is_none() {
        report(ctx, port, row.name(), "options", &format!("there is no router port `{name}`"));
    }
    // Of several switch ports that lead to one router port, the first is its peer.
    let first = senior(ctx, ctx.all(&ctx.switch_ports_towards, name));
    if first.is_some_and(|first| first != *port) {
        report(
            ctx,
            port,
            row.name(),
            "options",
            &format!("router port `{name}` leads to another switch port already"),
        );
        return None;
    }
    found
}

fn read_addresses(ctx: &Ctx<'_>, port: &Uuid, row: &view::LogicalSwitchPort<'_>, checked: &mut SwitchPort) {
    for text in row.addresses().all() {
        match parse_address(text).map(AddressItem::hosts) {
            Ok(AddressItem::Static(address)) => match taken(ctx, port, checked, &address) {
                None => checked.addresses.push(address),
                Some(what) => report(ctx, port, row.name(), "addresses", &format!("`{text}`: {what}")),
            },
            Ok(AddressItem::Unknown) => checked.unknown = true,
            Ok(AddressItem::Router) => checked.addresses.extend(router_addresses(ctx, checked)),
            Ok(AddressItem::Dynamic(_)) => {
                let chosen = ctx.value(&ctx.dynamic_addresses, port);
                checked.addresses.extend(chosen.and_then(|text| parse_port_address(text).ok()));
            }
            Err(error) => report(ctx, port, row.name(), "addresses", &format!("`{text}`: {error}")),
        }
    }
}

/// Whether another port of the switch has one of these addresses: a router's own is the router's, and of ports that declare
/// one, the port that was first keeps it.
fn taken(ctx: &Ctx<'_>, port: &Uuid, checked: &SwitchPort, address: &PortAddress) -> Option<String> {
    owned(address).find_map(|owned| {
        let claims = ctx.all(&ctx.address_claims, &(checked.switch, owned));
        let first = keeper(ctx, claims)?;
        (first.port != *port).then(|| told(ctx, first, owned))
    })
}

/// Whose an address is that ports of one switch want.
pub(crate) fn keeper(ctx: &Ctx<'_>, claims: &[Claim]) -> Option<Claim> {
    let first = *claims.first()?;
    if claims.len() == 1 {
        return Some(first);
    }
    let equal = claims.iter().take_while(|claim| claim.declared == first.declared);
    let port = senior(ctx, &equal.map(|claim| claim.port).collect::<Vec<_>>())?;
    Some(Claim { port, ..first })
}

/// Who has an address that somebody else wants too.
pub(crate) fn told(ctx: &Ctx<'_>, keeper: Claim, owned: Owned) -> String {
    let name = ctx.row(&ctx.nb.logical_switch_port, &keeper.port).map(|row| row.name().clone());
    let whose = if keeper.declared { "" } else { "the router behind " };
    format!("{whose}port {} ({}) of the same switch has {owned}", keeper.port, name.unwrap_or_default())
}

/// What `router` in `addresses` stands for: all that the router port answers for.
fn router_addresses(ctx: &Ctx<'_>, checked: &SwitchPort) -> Option<PortAddress> {
    let port = ctx.value(&ctx.router_ports, &checked.router_port?)?;
    Some(PortAddress {
        mac: port.mac,
        ipv4: port.ipv4.iter().map(|net| Ipv4Net::from(net.addr())).collect(),
        ipv6: port.ipv6.iter().map(|net| Ipv6Net::from(net.addr())).collect(),
    })
}

/// The ports of each switch.
pub(crate) fn ports_of_switch(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<(Uuid, Member)>) {
    let Some(row) = ctx.value(&ctx.switch_ports, port) else { return };
    let member = Member {
        port: *port,
        flooded: row.enabled && !row.options.shuns_floods,
        unknown: row.unknown,
        router: row.kind == PortKind::Router,
        joined: row.router_port.is_some_and(|peer| ctx.value(&ctx.router_ports, &peer).is_some()),
        vtep: row.kind == PortKind::Vtep,
    };
    out.push((row.switch, member));
}

/// Router ports by the switch that they are attached to, from the switch ports that lead to the router port `name`.
pub(crate) fn router_ports_on_switch(ctx: &Ctx<'_>, name: &Text, out: &mut Vec<(Uuid, Uuid)>) {
    let ports = ctx.all(&ctx.switch_ports_towards, name).iter();
    for row in ports.filter_map(|port| ctx.value(&ctx.switch_ports, port)).filter(|row| row.enabled) {
        out.extend(row.router_port.map(|router_port| (row.switch, router_port)));
    }
}
