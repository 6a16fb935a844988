//! `nd_ns { ... }`: asks for an IPv6 next hop (ovn-sb(5)).

use super::Answer;
use crate::punt::Punt;
use crate::{DropReason, NextHop};
use kiln_packet::NeighborSolicit;

/// Who is asked for: the address in xxreg0, on the output port. The packet may be IPv4 with an IPv6 next hop.
pub(crate) fn next_hop(punt: &Punt<'_>) -> Answer<NextHop> {
    let ip = punt.metadata.xxreg0();
    if !punt.packet.key.is_ip() {
        return Err(DropReason::WrongPacket);
    }
    match (punt.metadata.datapath(), punt.metadata.outport()) {
        (Some(datapath), Some(port)) if !ip.is_unspecified() => Ok(NextHop { datapath, port, ip: ip.into() }),
        _ => Err(DropReason::NoMetadata),
    }
}

/// The solicitation for the next hop, to its solicited-node group, from the packet's Ethernet source and that address's
/// link-local one. Nested actions override.
///
/// ovn-sb(5) starts from the packet's destination instead. The two differ only behind another router and for IPv4
/// packets, where flows may write the target alone; the group then has to fit what they write.
pub(crate) fn request(punt: &Punt<'_>) -> Vec<u8> {
    let key = &punt.packet.key;
    let mut solicit = NeighborSolicit::multicast(key.eth_src, punt.metadata.xxreg0());
    solicit.eth.vlan_tci = key.vlan_tci;
    solicit.to_vec()
}
