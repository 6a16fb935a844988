//! The walk over a frame's headers that fills the flow key.

use crate::{FRAG_ANY, FRAG_LATER, FlowKey, VLAN_PRESENT, ethertype, ip_proto};
use kiln_types::EthAddr;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A frame, its flow key, and where its datagram and its transport segment are.
///
/// What counts as malformed, and which fields are still set then, is what Open vSwitch does: a datagram whose lengths do
/// not fit the frame leaves the key with its Ethernet fields alone.
#[derive(Clone, Copy, Debug)]
pub struct Packet<'a> {
    frame: &'a [u8],
    /// What OpenFlow matches on.
    pub key: FlowKey,
    link_len: usize,
    ip: &'a [u8],
    transport: Option<&'a [u8]>,
    /// What an IPv6 fragment header says of the datagram.
    fragment_id: Option<u32>,
}

/// What the fragments of one datagram have in common (RFC 791, section 2.3; RFC 8200, section 4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Who sent it.
    pub src: IpAddr,
    /// For whom it is.
    pub dst: IpAddr,
    /// Its identification: 16 bits of IPv4's, 32 of IPv6's.
    pub id: u32,
}

impl<'a> Packet<'a> {
    /// Walks `frame` from its Ethernet header as far as it can be read.
    pub fn parse(frame: &'a [u8]) -> Self {
        let mut packet = Packet {
            frame,
            key: FlowKey::default(),
            link_len: frame.len(),
            ip: &[],
            transport: None,
            fragment_id: None,
        };
        // a `None` only says how far the walk came
        let _ = packet.ethernet(Cursor(frame));
        packet
    }

    /// The whole frame, padding included.
    pub const fn frame(&self) -> &'a [u8] {
        self.frame
    }

    /// The IP datagram from its header to the end that its own length gives; empty if there is none or it is malformed.
    pub const fn ip(&self) -> &'a [u8] {
        self.ip
    }

    /// What stands before the IP datagram: the Ethernet header with its tags. The whole frame if there is no datagram.
    pub fn link_header(&self) -> &'a [u8] {
        &self.frame[..self.link_len]
    }

    /// The datagram from its transport header on; `None` for later fragments and malformed extension headers.
    pub const fn transport(&self) -> Option<&'a [u8]> {
        self.transport
    }

    /// Whether an IPv6 fragment header stands before the transport header, also one that says that the packet is whole.
    pub(crate) const fn has_fragment_header(&self) -> bool {
        self.fragment_id.is_some()
    }

    /// Which datagram it is a piece of; `None` if it is whole.
    pub fn datagram(&self) -> Option<Datagram> {
        let key = &self.key;
        if key.nw_frag == 0 {
            return None;
        }
        if key.is_ipv6() {
            let (src, dst) = (key.ipv6_src.into(), key.ipv6_dst.into());
            return self.fragment_id.map(|id| Datagram { src, dst, id });
        }
        let [high, low] = *self.ip.get(4..)?.first_chunk()?;
        let (src, dst) = (key.nw_src.into(), key.nw_dst.into());
        Some(Datagram { src, dst, id: u16::from_be_bytes([high, low]).into() })
    }

    fn ethernet(&mut self, mut at: Cursor<'a>) -> Option<()> {
        if at.0.len() < 14 {
            return None;
        }
        self.key.eth_dst = at.mac()?;
        self.key.eth_src = at.mac()?;
        if matches!(at.peek_u16()?, ethertype::VLAN | ethertype::SERVICE_VLAN) && at.0.len() >= 6 {
            at.take::<2>()?;
            self.key.vlan_tci = at.u16()? | VLAN_PRESENT;
        }
        self.key.eth_type = ether_type(&mut at)?;
        match self.key.eth_type {
            ethertype::IPV4 => self.ipv4(at),
            ethertype::IPV6 => self.ipv6(at),
            ethertype::ARP | ethertype::RARP => self.arp(at),
            ethertype::MPLS | ethertype::MPLS_MULTICAST => {
                self.key.mpls_lse = at.u32()?;
                Some(())
            }
            _ => None,
        }
    }

    /// RFC 826, for Ethernet and IPv4.
    fn arp(&mut self, mut at: Cursor<'a>) -> Option<()> {
        let mut at = Cursor(at.slice(28)?);
        if at.take::<6>()? != &[0, 1, 8, 0, 6, 4] {
            return None;
        }
        let op = at.u16()?;
        self.key.nw_proto = u8::try_from(op).unwrap_or(0);
        self.key.hw_src = at.mac()?;
        self.key.nw_src = at.ipv4()?;
        self.key.hw_dst = at.mac()?;
        self.key.nw_dst = at.ipv4()?;
        Some(())
    }

    /// RFC 791, section 3.1.
    fn ipv4(&mut self, at: Cursor<'a>) -> Option<()> {
        let header = at.0.first_chunk::<20>()?;
        let header_len = usize::from(header[0] & 0xf) * 4;
        let total_len = usize::from(u16::from_be_bytes([header[2], header[3]]));
        if header_len < 20 || header_len > total_len || total_len > at.0.len() {
            return None;
        }
        self.link_len = self.frame.len() - at.0.len();
        self.ip = &at.0[..total_len];
        let key = &mut self.key;
        key.nw_tos = header[1];
        key.nw_ttl = header[8];
        key.nw_proto = header[9];
        key.nw_src = Ipv4Addr::new(header[12], header[13], header[14], header[15]);
        key.nw_dst = Ipv4Addr::new(header[16], header[17], header[18], header[19]);
        let fragment = u16::from_be_bytes([header[6], header[7]]);
        key.nw_frag = frag_bits(fragment & 0x1fff != 0, fragment & 0x2000 != 0);
        self.segment(Cursor(&self.ip[header_len..]))
    }

    /// RFC 8200, section 3.
    fn ipv6(&mut self, mut at: Cursor<'a>) -> Option<()> {
        let start = at.0;
        let word = at.u32()?;
        let payload_len = usize::from(at.u16()?);
        let [next_header, hop_limit] = *at.take::<2>()?;
        let src = at.ipv6()?;
        let dst = at.ipv6()?;
        self.ip = start.get(..40 + payload_len)?;
        self.link_len = self.frame.len() - start.len();
        self.key.ipv6_src = src;
        self.key.ipv6_dst = dst;
        let mut at = Cursor(&self.ip[40..]);
        let found = skip_extensions(&mut at, next_header)?;
        self.fragment_id = found.fragment_id;
        self.key.nw_proto = found.proto;
        self.key.nw_frag = found.frag;
        self.key.nw_ttl = hop_limit;
        self.key.nw_tos = (word >> 20) as u8;
        self.key.ipv6_label = word & 0xf_ffff;
        self.segment(at)
    }

    fn segment(&mut self, mut at: Cursor<'a>) -> Option<()> {
        let key = &mut self.key;
        if key.is_later_fragment() {
            return None;
        }
        self.transport = Some(at.0);
        let needed = match key.nw_proto {
            ip_proto::TCP => (4 * usize::from(at.0.get(12)? >> 4)).max(20),
            ip_proto::UDP | ip_proto::ICMP | ip_proto::IGMP | ip_proto::ICMPV6 => 8,
            ip_proto::SCTP => 12,
            _ => return None,
        };
        if at.0.len() < needed {
            return None;
        }
        if key.nw_proto == ip_proto::ICMPV6 {
            return self.icmpv6(at);
        }
        if matches!(key.nw_proto, ip_proto::ICMP | ip_proto::IGMP) {
            let [kind, code] = *at.take::<2>()?;
            key.tp_src = u16::from(kind);
            key.tp_dst = u16::from(code);
            return Some(());
        }
        if key.nw_proto == ip_proto::TCP {
            if at.0[12] >> 4 < 5 {
                return None;
            }
            key.tcp_flags = u16::from_be_bytes([at.0[12], at.0[13]]) & 0xfff;
        }
        key.tp_src = at.u16()?;
        key.tp_dst = at.u16()?;
        Some(())
    }

    /// RFC 4443, section 2.1, and the neighbour discovery messages of RFC 4861.
    fn icmpv6(&mut self, mut at: Cursor<'a>) -> Option<()> {
        let [kind, code, _, _] = *at.take::<4>()?;
        self.key.tp_src = u16::from(kind);
        self.key.tp_dst = u16::from(code);
        if !(self.key.is_neighbor_solicit() || self.key.is_neighbor_advert()) {
            return Some(());
        }
        let reserved = at.u32()?;
        let target = at.ipv6()?;
        self.key.nd_reserved = reserved;
        let options = link_layer_options(at)?;
        self.key.nd_target = target;
        self.key.nd_options_type = options.first;
        self.key.hw_src = options.source;
        self.key.hw_dst = options.target;
        Some(())
    }
}

/// The EtherType, behind an 802.2 SNAP header too; [`ethertype::NONE`] for other 802.2 frames.
fn ether_type(at: &mut Cursor<'_>) -> Option<u16> {
    const FIRST: u16 = 0x0600;
    let kind = at.u16()?;
    if kind >= FIRST {
        return Some(kind);
    }
    let Some([0xaa, 0xaa, 3, 0, 0, 0, high, low]) = at.0.first_chunk::<8>() else {
        return Some(ethertype::NONE);
    };
    let kind = u16::from_be_bytes([*high, *low]);
    if kind < FIRST {
        return Some(ethertype::NONE);
    }
    at.take::<8>()?;
    Some(kind)
}

fn frag_bits(later: bool, more: bool) -> u8 {
    match (later, more) {
        (true, _) => FRAG_ANY | FRAG_LATER,
        (false, true) => FRAG_ANY,
        (false, false) => 0,
    }
}

/// What stands behind IPv6 extension headers.
struct Behind {
    proto: u8,
    frag: u8,
    /// What a fragment header says of the datagram.
    fragment_id: Option<u32>,
}

/// Passes over IPv6 extension headers (RFC 8200, section 4) to the transport header, or to the fragment header of a
/// later fragment. Yields the protocol found and the fragment bits; `None` if a header does not fit.
fn skip_extensions(at: &mut Cursor<'_>, next: u8) -> Option<Behind> {
    let mut found = Behind { proto: next, frag: 0, fragment_id: None };
    loop {
        // each turn takes at least 8 bytes, so a datagram bounds the loop
        let len = match found.proto {
            ip_proto::HOP_BY_HOP | ip_proto::ROUTING | ip_proto::DESTINATION => {
                8 * (usize::from(*at.0.get(1)?) + 1)
            }
            ip_proto::AUTHENTICATION => 4 * (usize::from(*at.0.get(1)?) + 2),
            ip_proto::FRAGMENT => 8,
            _ => return Some(found),
        };
        let header = at.slice(len.max(8))?;
        if found.proto == ip_proto::FRAGMENT {
            let [_, _, high, low, id @ ..] = *header.first_chunk::<8>()?;
            found.fragment_id = Some(u32::from_be_bytes(id));
            let word = u16::from_be_bytes([high, low]);
            // reserved bits count as a fragment, as they do for Open vSwitch
            found.frag |= frag_bits(word & 0xfff8 != 0, word != 0);
            if found.frag & FRAG_LATER != 0 {
                return Some(found);
            }
        }
        found.proto = header[0];
    }
}

#[derive(Default)]
struct LinkLayerOptions {
    first: u8,
    source: EthAddr,
    target: EthAddr,
}

/// Source (1) and target (2) link-layer address options (RFC 4861, section 4.6.1). `None` if one comes twice, which
/// makes the message invalid.
fn link_layer_options(mut at: Cursor<'_>) -> Option<LinkLayerOptions> {
    let mut found = LinkLayerOptions::default();
    while at.0.len() >= 8 {
        let (kind, len) = (at.0[0], 8 * usize::from(at.0[1]));
        let Some(option) = at.slice(len).filter(|o| !o.is_empty()) else { break };
        if len != 8 || !(kind == 1 || kind == 2) {
            continue;
        }
        let place = if kind == 1 { &mut found.source } else { &mut found.target };
        if !place.is_zero() {
            return None;
        }
        *place = Cursor(&option[2..]).mac()?;
        if found.first == 0 {
            found.first = kind;
        }
    }
    Some(found)
}

/// What is left to read.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take<const N: usize>(&mut self) -> Option<&'a [u8; N]> {
        let (head, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(head)
    }

    fn slice(&mut self, len: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(head)
    }

    fn peek_u16(&self) -> Option<u16> {
        self.0.first_chunk().map(|b| u16::from_be_bytes(*b))
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(|b| u16::from_be_bytes(*b))
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(|b| u32::from_be_bytes(*b))
    }

    fn mac(&mut self) -> Option<EthAddr> {
        self.take().map(|b| EthAddr(*b))
    }

    fn ipv4(&mut self) -> Option<Ipv4Addr> {
        self.take::<4>().map(|b| Ipv4Addr::from(*b))
    }

    fn ipv6(&mut self) -> Option<Ipv6Addr> {
        self.take::<16>().map(|b| Ipv6Addr::from(*b))
    }
}
