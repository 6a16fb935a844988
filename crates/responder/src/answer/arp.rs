//! `arp { ... }`: asks for an IPv4 next hop (ovn-sb(5)).

use super::Answer;
use crate::punt::Punt;
use crate::{DropReason, NextHop};
use kiln_packet::Arp;

/// Who is asked for: the address in reg0, on the output port. The packet may be IPv6 with an IPv4 next hop.
pub(crate) fn next_hop(punt: &Punt<'_>) -> Answer<NextHop> {
    let ip = punt.metadata.reg0();
    if !punt.packet.key.is_ip() {
        return Err(DropReason::WrongPacket);
    }
    match (punt.metadata.datapath(), punt.metadata.outport()) {
        (Some(datapath), Some(port)) if !ip.is_unspecified() => Ok(NextHop { datapath, port, ip: ip.into() }),
        _ => Err(DropReason::NoMetadata),
    }
}

/// The request, with the packet's Ethernet header, and addresses from the packet (zero if it is IPv6): nested actions
/// say who really asks, and for whom.
pub(crate) fn request(punt: &Punt<'_>) -> Vec<u8> {
    let key = &punt.packet.key;
    Arp { eth: key.eth_header(), ..Arp::request(key.eth_src, key.nw_src, key.nw_dst) }.to_vec()
}
