//! `put_arp` and `put_nd`: learn a neighbour (ovn-sb(5)).

use super::Answer;
use crate::punt::Punt;
use crate::{DropReason, NextHop};
use kiln_packet::{NaFlags, is_valid_nd};
use kiln_types::EthAddr;
use std::net::IpAddr;

/// A neighbour that made itself known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Neighbor {
    /// Where it was heard, and its address.
    pub(crate) hop: NextHop,
    /// Its Ethernet address.
    pub(crate) mac: EthAddr,
    /// Whether other chassis hear the same packet, and learn from it at the same time.
    pub(crate) flooded: bool,
    /// Whether what is known of it gives way: an advertisement may say that it does not (RFC 4861, section 7.2.5).
    pub(crate) overrides: bool,
}

/// The neighbour at `ip` on the input port, at the packet's Ethernet source.
///
/// Refused are addresses that no single host has: a router must not believe that a host is at a group address
/// (RFC 1812, 3.3.2).
pub(crate) fn neighbor(punt: &Punt<'_>, ip: IpAddr) -> Answer<Neighbor> {
    let (datapath, port) =
        punt.metadata.datapath().zip(punt.metadata.inport()).ok_or(DropReason::NoMetadata)?;
    let key = &punt.packet.key;
    if ip.is_ipv6() && !is_valid_nd(&punt.packet) {
        return Err(DropReason::Malformed);
    }
    let mac = key.eth_src;
    let broadcast = ip == IpAddr::V4(std::net::Ipv4Addr::BROADCAST);
    if ip.is_unspecified() || ip.is_multicast() || ip.is_loopback() || broadcast {
        return Err(DropReason::NotAHost);
    }
    if mac.is_zero() || mac.is_multicast() {
        return Err(DropReason::NotAHost);
    }
    let flags = NaFlags((key.nd_reserved >> 24) as u8);
    let overrides = !key.is_neighbor_advert() || flags.has(NaFlags::OVERRIDE);
    let flooded = key.eth_dst.is_multicast();
    Ok(Neighbor { hop: NextHop { datapath, port, ip }, mac, flooded, overrides })
}
