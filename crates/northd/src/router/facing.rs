//! Which of its addresses a router port speaks with (RFC 1812, section 4.3.2.4; RFC 4443, section 2.2).

use crate::tables::RouterPort;
use kiln_types::IpNet;
use std::net::IpAddr;

/// An address of a router port, and whom it faces.
pub(super) struct Facing {
    pub(super) source: IpAddr,
    /// Senders in this network; without one, those behind other routers.
    pub(super) network: Option<IpNet>,
}

/// The addresses of a port: each faces its own network. Everybody else sees the first of a family, a link-local one only
/// where there is no other.
pub(super) fn facing(row: &RouterPort) -> impl Iterator<Item = Facing> {
    let v4 = row.ipv4.iter().map(|net| (net.addr().into(), net.trunc().into()));
    let v6 = row.configured_ipv6().iter().map(|net| (net.addr().into(), net.trunc().into()));
    let near = v4.chain(v6).map(|(source, network)| Facing { source, network: Some(network) });
    let global = row.ipv6.iter().find(|net| !net.addr().is_unicast_link_local()).or(row.ipv6.first());
    let first_v4 = row.ipv4.first().map(|net| net.addr().into());
    let first_v6 = global.map(|net| net.addr().into());
    near.chain(first_v4.into_iter().chain(first_v6).map(|source| Facing { source, network: None }))
}
