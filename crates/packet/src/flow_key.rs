//! The fields of a packet that OpenFlow matches on.

use crate::{EthHeader, IpPair, Packet, ethertype, ip_proto};
use kiln_types::EthAddr;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Bit of [`FlowKey::nw_frag`]: the packet is a fragment.
pub const FRAG_ANY: u8 = 1;
/// Bit of [`FlowKey::nw_frag`]: the packet is a fragment other than the first.
pub const FRAG_LATER: u8 = 2;

/// What OpenFlow matches on in one packet (ovs-fields(7)); metadata, registers and tunnel are not part of it.
///
/// A field that the packet lacks is zero. Fields that no packet can have at once share a place; a match reads them
/// under the prerequisites that OpenFlow gives them, so it never takes one for another:
///
/// | place | fields |
/// |---|---|
/// | `nw_src`, `nw_dst` | `ipv4_src`, `ipv4_dst`; `arp_spa`, `arp_tpa` |
/// | `nw_proto` | `ip_proto`; `arp_op`, its low 8 bits, 0 for an operation above 255 |
/// | `tp_src`, `tp_dst` | ports of TCP, UDP, SCTP; ICMP and IGMP type, code |
/// | `hw_src`, `hw_dst` | `arp_sha`, `arp_tha`; `nd_sll`, `nd_tll` |
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowKey {
    /// `eth_dst`.
    pub eth_dst: EthAddr,
    /// `eth_src`.
    pub eth_src: EthAddr,
    /// `eth_type`: the type after at most one tag, [`ethertype::NONE`] for 802.2 frames. A second tag is not looked
    /// into: its type is the `eth_type`, as Open vSwitch does by default (`other_config:vlan-limit`).
    pub eth_type: u16,
    /// `vlan_tci`: the outermost tag with [`VLAN_PRESENT`](crate::VLAN_PRESENT) set, 0 without one.
    pub vlan_tci: u16,
    /// The top MPLS label stack entry (RFC 3032): label 20 bits, class 3, bottom of stack 1, TTL 8.
    pub mpls_lse: u32,
    /// `ipv4_src` or `arp_spa`.
    pub nw_src: Ipv4Addr,
    /// `ipv4_dst` or `arp_tpa`.
    pub nw_dst: Ipv4Addr,
    /// `ipv6_src`.
    pub ipv6_src: Ipv6Addr,
    /// `ipv6_dst`.
    pub ipv6_dst: Ipv6Addr,
    /// `ipv6_label`: 20 bits.
    pub ipv6_label: u32,
    /// `ip_proto` (for IPv6 of the header after all extension headers) or `arp_op`.
    pub nw_proto: u8,
    /// `ip_dscp` in the upper 6 bits, `ip_ecn` in the lower 2.
    pub nw_tos: u8,
    /// `nw_ttl`: TTL or hop limit.
    pub nw_ttl: u8,
    /// `ip_frag`: [`FRAG_ANY`], [`FRAG_LATER`].
    pub nw_frag: u8,
    /// Source port, or ICMP type.
    pub tp_src: u16,
    /// Destination port, or ICMP code.
    pub tp_dst: u16,
    /// `tcp_flags`: 12 bits.
    pub tcp_flags: u16,
    /// `nd_target`, of neighbour solicitations and advertisements.
    pub nd_target: Ipv6Addr,
    /// `nd_reserved`: the word before the target, an advertisement's flags in its upper 3 bits.
    pub nd_reserved: u32,
    /// `nd_options_type`: the type of the first link-layer address option.
    pub nd_options_type: u8,
    /// `arp_sha` or `nd_sll`.
    pub hw_src: EthAddr,
    /// `arp_tha` or `nd_tll`.
    pub hw_dst: EthAddr,
}

impl Default for FlowKey {
    fn default() -> Self {
        FlowKey {
            eth_dst: EthAddr::ZERO,
            eth_src: EthAddr::ZERO,
            eth_type: 0,
            vlan_tci: 0,
            mpls_lse: 0,
            nw_src: Ipv4Addr::UNSPECIFIED,
            nw_dst: Ipv4Addr::UNSPECIFIED,
            ipv6_src: Ipv6Addr::UNSPECIFIED,
            ipv6_dst: Ipv6Addr::UNSPECIFIED,
            ipv6_label: 0,
            nw_proto: 0,
            nw_tos: 0,
            nw_ttl: 0,
            nw_frag: 0,
            tp_src: 0,
            tp_dst: 0,
            tcp_flags: 0,
            nd_target: Ipv6Addr::UNSPECIFIED,
            nd_reserved: 0,
            nd_options_type: 0,
            hw_src: EthAddr::ZERO,
            hw_dst: EthAddr::ZERO,
        }
    }
}

impl FlowKey {
    /// The key of `frame`. Never fails: what cannot be read is zero.
    pub fn extract(frame: &[u8]) -> Self {
        Packet::parse(frame).key
    }

    /// Whether the packet is IPv4.
    pub const fn is_ipv4(&self) -> bool {
        self.eth_type == ethertype::IPV4
    }

    /// Whether the packet is IPv6.
    pub const fn is_ipv6(&self) -> bool {
        self.eth_type == ethertype::IPV6
    }

    /// Whether the packet is IPv4 or IPv6.
    pub const fn is_ip(&self) -> bool {
        self.is_ipv4() || self.is_ipv6()
    }

    /// Whether the packet is a fragment other than the first, which has no transport header.
    pub const fn is_later_fragment(&self) -> bool {
        self.nw_frag & FRAG_LATER != 0
    }

    /// Whether the packet is IP and of transport protocol `proto` with its header at hand.
    pub const fn is_transport(&self, proto: u8) -> bool {
        self.is_ip() && self.nw_proto == proto && !self.is_later_fragment()
    }

    /// Whether the packet is a neighbour solicitation (RFC 4861, 4.3).
    pub const fn is_neighbor_solicit(&self) -> bool {
        self.is_ipv6() && self.is_transport(ip_proto::ICMPV6) && self.tp_src == 135 && self.tp_dst == 0
    }

    /// Whether the packet is a neighbour advertisement (RFC 4861, 4.4).
    pub const fn is_neighbor_advert(&self) -> bool {
        self.is_ipv6() && self.is_transport(ip_proto::ICMPV6) && self.tp_src == 136 && self.tp_dst == 0
    }

    /// The packet's Ethernet header, its tag included.
    pub const fn eth_header(&self) -> EthHeader {
        EthHeader { dst: self.eth_dst, src: self.eth_src, vlan_tci: self.vlan_tci }
    }

    /// The packet's IP addresses; `None` if it is not IP.
    pub const fn ip_pair(&self) -> Option<IpPair> {
        match self.eth_type {
            ethertype::IPV4 => Some(IpPair::V4 { src: self.nw_src, dst: self.nw_dst }),
            ethertype::IPV6 => Some(IpPair::V6 { src: self.ipv6_src, dst: self.ipv6_dst }),
            _ => None,
        }
    }
}
