//! Which port of a router reaches an address.

use crate::addresses::Net;
use crate::index::senior_router_port;
use crate::tables::{Ctx, RouterPort};
use kiln_types::{Ipv4Net, Ipv6Net, Uuid};
use std::net::IpAddr;

/// The networks of a router: who is connected to each.
pub(crate) fn connected(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<((Uuid, Net), (Uuid, IpAddr))>) {
    let Some(row) = ctx.value(&ctx.router_ports, port) else { return };
    for net in &row.ipv4 {
        out.push(((row.router, Net::V4(net.trunc())), (*port, net.addr().into())));
    }
    for net in &row.ipv6 {
        out.push(((row.router, Net::V6(net.trunc())), (*port, net.addr().into())));
    }
}

/// The prefix lengths that the networks of a router have, so that an address is looked up once for each.
pub(crate) fn connected_lengths(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<(Uuid, (bool, u8))>) {
    let Some(row) = ctx.value(&ctx.router_ports, port) else { return };
    out.extend(row.ipv4.iter().map(|net| (row.router, (false, net.prefix_len()))));
    out.extend(row.ipv6.iter().map(|net| (row.router, (true, net.prefix_len()))));
    out.sort_unstable();
    out.dedup();
}

/// How a next hop is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reach {
    /// The router port.
    pub port: Uuid,
    /// The router's own address that faces it.
    pub source: IpAddr,
}

/// The port and source address for `nexthop`: those of the most specific network that holds it.
pub(crate) fn reach(ctx: &Ctx<'_>, router: &Uuid, nexthop: IpAddr) -> Option<Reach> {
    let lengths = ctx.all(&ctx.connected_lengths, router);
    lengths.iter().rev().filter(|(v6, _)| *v6 == nexthop.is_ipv6()).find_map(|(_, len)| {
        let net = match nexthop {
            IpAddr::V4(ip) => Net::V4(Ipv4Net::new(ip, *len).ok()?.trunc()),
            IpAddr::V6(ip) => Net::V6(Ipv6Net::new(ip, *len).ok()?.trunc()),
        };
        let ports = ctx.all(&ctx.connected, &(*router, net));
        let leading = leading(ctx, ports)?;
        let (port, source) = *ports.iter().find(|(port, _)| *port == leading)?;
        Some(Reach { port, source })
    })
}

/// Which of the ports that are in one network packets leave by.
pub(crate) fn leading(ctx: &Ctx<'_>, ports: &[(Uuid, IpAddr)]) -> Option<Uuid> {
    let (first, _) = *ports.first()?;
    // They are sorted: those of one port are next to each other.
    if ports.iter().all(|(port, _)| *port == first) {
        return Some(first);
    }
    senior_router_port(ctx, &ports.iter().map(|(port, _)| *port).collect::<Vec<_>>())
}

/// The source address of `port` for `nexthop`: one in the same network, or the first of the family.
pub(crate) fn reach_by(port: (&Uuid, &RouterPort), nexthop: IpAddr) -> Option<Reach> {
    let (uuid, row) = port;
    let source = match nexthop {
        IpAddr::V4(ip) => {
            let net = row.ipv4.iter().find(|net| net.contains(&ip)).or_else(|| row.ipv4.first())?;
            net.addr().into()
        }
        IpAddr::V6(ip) => {
            let net = row.ipv6.iter().find(|net| net.contains(&ip)).or_else(|| row.ipv6.first())?;
            net.addr().into()
        }
    };
    Some(Reach { port: *uuid, source })
}

/// The actions that point a packet at `nexthop`; `hop` is its text, or the field that holds it, `and` what else is to be
/// done.
pub(crate) fn towards(hop: &str, reach: &Reach, row: &RouterPort, and: &str) -> String {
    let (hop_register, source_register, is_v4) =
        if reach.source.is_ipv4() { ("reg0", "reg5", 1) } else { ("xxreg0", "xxreg1", 0) };
    format!(
        "{hop_register} = {hop}; {source_register} = {}; eth.src = {}; outport = \"{}\"; {and}reg9[9] = {is_v4};",
        reach.source, row.mac, row.name
    )
}

/// A packet may leave by the port that it came by.
pub(crate) const LOOPBACK: &str = "flags.loopback = 1; ";
