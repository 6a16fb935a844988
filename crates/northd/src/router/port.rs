//! Rows of Logical_Router_Port, checked.

use crate::addresses::{Net, parse_ip};
use crate::index::senior;
use crate::switch::port::{keeper, told};
use crate::tables::{Claim, Ctx, Owned, Peer, RouterPort};
use kiln_ovsdb::Text;
use kiln_schema_ovn::nb::view;
use kiln_types::{EthAddr, Ipv4Net, Ipv6Net, Uuid, eui64_link_local};

fn report(ctx: &Ctx<'_>, port: &Uuid, name: &str, column: &str, what: &str) {
    ctx.report(format!("Logical_Router_Port {port} ({name}), column {column}: {what}; it is skipped"));
}

/// The router of a port, unless it is disabled.
fn router_of<'r>(ctx: &'r Ctx<'_>, port: &Uuid) -> Option<(Uuid, view::LogicalRouter<'r>)> {
    let router = ctx.all(&ctx.router_of_port, port).first().copied()?;
    let row = ctx.row(&ctx.nb.logical_router, &router)?;
    (row.enabled() != Some(false)).then_some((router, row))
}

/// Of the addresses that `mac` may list, the first is the port's own.
fn mac_of(row: &view::LogicalRouterPort<'_>) -> Option<EthAddr> {
    row.mac().split_ascii_whitespace().next()?.parse().ok()
}

fn network(text: &str) -> Option<Net> {
    parse_ip(text).filter(|net| !net.addr().is_unspecified())
}

/// What the router port `name` has of its own on the switch that it leads to.
pub(crate) fn address_claims(ctx: &Ctx<'_>, name: &Text, out: &mut Vec<((Uuid, Owned), Claim)>) {
    let Some(router_port) = ctx.all(&ctx.router_port_named, name).first() else { return };
    let Some(port) = senior(ctx, ctx.all(&ctx.switch_ports_towards, name)) else { return };
    let Some(switch) = ctx.all(&ctx.switch_of_port, &port).first() else { return };
    let Some(row) = ctx.row(&ctx.nb.logical_router_port, router_port) else { return };
    let Some(mac) = mac_of(&row).filter(|_| router_of(ctx, router_port).is_some()) else { return };
    let claim = Claim { declared: false, port };
    let networks = row.networks();
    let networks = networks.all().iter().filter_map(|text| network(text)).map(Owned::from);
    let own = [Owned::Mac(mac), Owned::V6(eui64_link_local(mac))];
    out.extend(own.into_iter().chain(networks).map(|owned| ((*switch, owned), claim)));
    out.sort_unstable();
    out.dedup();
}

/// Whether the router of another port of the same switch has an address, and was first to have it.
fn taken(ctx: &Ctx<'_>, peer: Peer, owned: Owned) -> Option<String> {
    let Peer::Switch(port) = peer else { return None };
    let switch = ctx.all(&ctx.switch_of_port, &port).first()?;
    let first = keeper(ctx, ctx.all(&ctx.address_claims, &(*switch, owned)))?;
    (first.port != port).then(|| told(ctx, first, owned))
}

/// The networks that a port is in, and that no other port has its address of.
fn networks(
    ctx: &Ctx<'_>,
    port: &Uuid,
    row: &view::LogicalRouterPort<'_>,
    peer: Peer,
) -> (Vec<Ipv4Net>, Vec<Ipv6Net>) {
    let (mut ipv4, mut ipv6) = (Vec::new(), Vec::new());
    for text in row.networks().all() {
        let Some(net) = network(text) else {
            let what = format!("`{text}` is no address with a prefix length");
            report(ctx, port, row.name(), "networks", &what);
            continue;
        };
        match (taken(ctx, peer, net.into()), net) {
            (Some(what), _) => report(ctx, port, row.name(), "networks", &format!("`{text}`: {what}")),
            (None, Net::V4(net)) => ipv4.push(net),
            (None, Net::V6(net)) => ipv6.push(net),
        }
    }
    (ipv4, ipv6)
}

pub(crate) fn checked(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<(Uuid, RouterPort)>) {
    let Some(row) = ctx.row(&ctx.nb.logical_router_port, port) else { return };
    let Some((router, whole)) = router_of(ctx, port) else { return };
    let name = row.name();
    let Some(mac) = mac_of(&row) else {
        report(ctx, port, name, "mac", &format!("`{}` is no Ethernet address", row.mac()));
        return;
    };
    let peer = peer(ctx, port, name, row.peer().as_ref());
    if let Some(what) = taken(ctx, peer, Owned::Mac(mac)) {
        report(ctx, port, name, "mac", &format!("`{}`: {what}", row.mac()));
        return;
    }
    let (ipv4, mut ipv6) = networks(ctx, port, &row, peer);
    let link_local = Ipv6Net::new(eui64_link_local(mac), 64).expect("64 is a prefix length");
    let own_link_local = !ipv6.contains(&link_local);
    if own_link_local {
        ipv6.push(link_local);
    }
    out.push((
        *port,
        RouterPort {
            router,
            name: name.into(),
            mac,
            ipv4,
            ipv6,
            peer,
            enabled: row.enabled() != Some(false),
            own_link_local,
            gateway: whole.options().get("chassis").cloned(),
        },
    ));
}

fn peer(ctx: &Ctx<'_>, port: &Uuid, name: &Text, peer: Option<&Text>) -> Peer {
    let switch_port = senior(ctx, ctx.all(&ctx.switch_ports_towards, name));
    let Some(peer) = peer else { return switch_port.map_or(Peer::None, Peer::Switch) };
    if let Some(switch_port) = switch_port {
        let what = format!("`{peer}`, but a switch port leads here too, which counts");
        report(ctx, port, name, "peer", &what);
        return Peer::Switch(switch_port);
    }
    if peer == name {
        report(ctx, port, name, "peer", &format!("`{peer}` is the port itself"));
        return Peer::None;
    }
    match ctx.all(&ctx.router_port_named, peer).first() {
        None => {
            report(ctx, port, name, "peer", &format!("there is no router port `{peer}`"));
            Peer::None
        }
        Some(other) if ctx.holds(&ctx.router_ports_towards, name, other) => Peer::Router(*other),
        Some(_) => {
            report(ctx, port, name, "peer", &format!("router port `{peer}` does not lead back here"));
            Peer::None
        }
    }
}
