//! IP headers to write, and protocol numbers.

use crate::checksum::{self, Checksum};
use smoltcp::wire::{IpProtocol, Ipv4Packet, Ipv6Packet};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Protocol and next-header numbers.
pub mod ip_proto {
    /// IPv6 hop-by-hop options.
    pub const HOP_BY_HOP: u8 = 0;
    /// ICMP for IPv4.
    pub const ICMP: u8 = 1;
    /// IGMP.
    pub const IGMP: u8 = 2;
    /// TCP.
    pub const TCP: u8 = 6;
    /// UDP.
    pub const UDP: u8 = 17;
    /// IPv6 routing header.
    pub const ROUTING: u8 = 43;
    /// IPv6 fragment header.
    pub const FRAGMENT: u8 = 44;
    /// IP authentication header.
    pub const AUTHENTICATION: u8 = 51;
    /// ICMP for IPv6.
    pub const ICMPV6: u8 = 58;
    /// IPv6 destination options.
    pub const DESTINATION: u8 = 60;
    /// SCTP.
    pub const SCTP: u8 = 132;
}

/// The two addresses of a datagram, of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum IpPair {
    /// IPv4.
    V4 {
        /// Source.
        src: Ipv4Addr,
        /// Destination.
        dst: Ipv4Addr,
    },
    /// IPv6.
    V6 {
        /// Source.
        src: Ipv6Addr,
        /// Destination.
        dst: Ipv6Addr,
    },
}

impl IpPair {
    /// The same addresses the other way round.
    #[must_use]
    pub const fn swapped(self) -> Self {
        match self {
            IpPair::V4 { src, dst } => IpPair::V4 { src: dst, dst: src },
            IpPair::V6 { src, dst } => IpPair::V6 { src: dst, dst: src },
        }
    }

    /// The length of the IP header that [`IpPair::emit`] writes.
    pub(crate) const fn header_len(self) -> usize {
        match self {
            IpPair::V4 { .. } => 20,
            IpPair::V6 { .. } => 40,
        }
    }

    /// The sum of the pseudo-header for a payload of `len` bytes.
    pub(crate) fn pseudo_header(self, proto: u8, len: usize) -> Checksum {
        match self {
            IpPair::V4 { src, dst } => Checksum::pseudo_v4(src, dst, proto, len),
            IpPair::V6 { src, dst } => Checksum::pseudo_v6(src, dst, proto, len),
        }
    }

    /// Writes an IP header without options over the start of `datagram`, whose length becomes the datagram's, and yields
    /// the payload. Type of service and flow label are 0. An IPv4 header has identification 0 and "don't fragment" set,
    /// which makes it an atomic datagram (RFC 6864, section 4).
    pub(crate) fn emit(self, datagram: &mut [u8], proto: u8, ttl: u8) -> &mut [u8] {
        let len = datagram.len();
        match self {
            IpPair::V4 { src, dst } => {
                let mut view = Ipv4Packet::new_unchecked(&mut *datagram);
                view.set_version(4);
                view.set_header_len(20);
                view.set_dscp(0);
                view.set_ecn(0);
                view.set_total_len(len as u16);
                view.set_ident(0);
                view.clear_flags();
                view.set_frag_offset(0);
                view.set_dont_frag(true);
                view.set_hop_limit(ttl);
                view.set_next_header(IpProtocol::from(proto));
                view.set_checksum(0);
                view.set_src_addr(src);
                view.set_dst_addr(dst);
                let sum = checksum::of(&datagram[..20]);
                datagram[10..12].copy_from_slice(&sum.to_be_bytes());
            }
            IpPair::V6 { src, dst } => {
                let mut view = Ipv6Packet::new_unchecked(&mut *datagram);
                view.set_version(6);
                view.set_traffic_class(0);
                view.set_flow_label(0);
                view.set_payload_len((len - 40) as u16);
                view.set_next_header(IpProtocol::from(proto));
                view.set_hop_limit(ttl);
                view.set_src_addr(src);
                view.set_dst_addr(dst);
            }
        }
        &mut datagram[self.header_len()..]
    }
}
