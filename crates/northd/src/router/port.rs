//! Rows of Logical_Router_Port, checked.

use crate::addresses::{Net, parse_ip};
use crate::index::senior;
use crate::tables::{Ctx, Peer, RouterPort};
use kiln_ovsdb::Text;
use kiln_types::{Ipv6Net, Uuid, eui64_link_local};

fn report(ctx: &Ctx<'_>, port: &Uuid, name: &str, column: &str, what: &str) {
    ctx.report(format!("Logical_Router_Port {port} ({name}), column {column}: {what}; it is skipped"));
}

pub(crate) fn checked(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<(Uuid, RouterPort)>) {
    let Some(row) = ctx.row(&ctx.nb.logical_router_port, port) else { return };
    let Some(router) = ctx.all(&ctx.router_of_port, port).first().copied() else { return };
    let name = row.name();
    let whole = ctx.row(&ctx.nb.logical_router, &router);
    if whole.is_none_or(|whole| whole.enabled() == Some(false)) {
        return;
    }
    let gateway = whole.and_then(|whole| whole.options().get("chassis").cloned());
    // Of the addresses that `mac` may list, the first is the port's own.
    let mac = row.mac().split_ascii_whitespace().next().unwrap_or_default().parse();
    let Ok(mac) = mac else {
        report(ctx, port, name, "mac", &format!("`{}` is no Ethernet address", row.mac()));
        return;
    };
    let (mut ipv4, mut ipv6) = (Vec::new(), Vec::new());
    for network in row.networks().all() {
        match parse_ip(network) {
            Some(Net::V4(net)) if !net.addr().is_unspecified() => ipv4.push(net),
            Some(Net::V6(net)) if !net.addr().is_unspecified() => ipv6.push(net),
            _ => report(
                ctx,
                port,
                name,
                "networks",
                &format!("`{network}` is no address with a prefix length"),
            ),
        }
    }
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
            peer: peer(ctx, port, name, row.peer().as_ref()),
            enabled: row.enabled() != Some(false),
            own_link_local,
            gateway,
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
