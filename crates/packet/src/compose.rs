//! A packet that has a given flow key: what is injected to see where it goes.

use crate::sctp_abort::crc32c;
use crate::{FlowKey, IpPair, checksum, ethertype, ip_proto};

/// A message of IGMP, or the part of ICMP before the data.
const ICMP_LEN: usize = 8;
/// A neighbour solicitation or advertisement with one link-layer address option.
const ND_LEN: usize = 32;
const ARP_LEN: usize = 28;

/// An Ethernet type for reverse ARP, which has ARP's form.
const RARP: u16 = 0x8035;

impl FlowKey {
    /// A well-formed packet with this key; UDP and ICMP get `payload_len` bytes of payload. Fields that the packet's type
    /// does not have are left out.
    pub fn compose(&self, payload_len: usize) -> Vec<u8> {
        let body = match self.ip_pair() {
            Some(ips) => self.datagram(ips, payload_len),
            None if matches!(self.eth_type, ethertype::ARP | RARP) => self.arp(),
            None => Vec::new(),
        };
        let header = self.eth_header();
        let mut frame = vec![0; header.buffer_len() + body.len()];
        header.emit(&mut frame, self.eth_type).copy_from_slice(&body);
        frame
    }

    fn arp(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(ARP_LEN);
        out.extend([0, 1, 8, 0, 6, 4, 0, self.nw_proto]);
        out.extend(self.hw_src.0);
        out.extend(self.nw_src.octets());
        out.extend(self.hw_dst.0);
        out.extend(self.nw_dst.octets());
        out
    }

    fn datagram(&self, ips: IpPair, payload_len: usize) -> Vec<u8> {
        let mut segment =
            if self.is_later_fragment() { payload(payload_len) } else { self.segment(payload_len) };
        self.checksum(ips, &mut segment);
        let header_len = ips.header_len();
        let mut out = vec![0; header_len + segment.len()];
        ips.emit(&mut out, self.nw_proto, self.nw_ttl).copy_from_slice(&segment);
        match ips {
            IpPair::V4 { .. } => {
                out[1] = self.nw_tos;
                out[6..8].fill(0);
                if self.nw_frag != 0 {
                    // More fragments follow the first; later ones start at the hundredth unit of eight bytes.
                    out[6..8].copy_from_slice(if self.is_later_fragment() { &[0, 100] } else { &[0x20, 0] });
                }
                out[10..12].fill(0);
                let sum = checksum::of(&out[..header_len]);
                out[10..12].copy_from_slice(&sum.to_be_bytes());
            }
            IpPair::V6 { .. } => {
                let word = 6 << 28 | u32::from(self.nw_tos) << 20 | self.ipv6_label & 0xf_ffff;
                out[..4].copy_from_slice(&word.to_be_bytes());
            }
        }
        out
    }

    /// The transport header and what follows it, with a checksum of zero.
    fn segment(&self, payload_len: usize) -> Vec<u8> {
        let ports = [self.tp_src.to_be_bytes(), self.tp_dst.to_be_bytes()].concat();
        let with_ports = |header_len: usize| {
            let mut out = ports.clone();
            out.resize(header_len, 0);
            out
        };
        match self.nw_proto {
            ip_proto::TCP => {
                let mut out = with_ports(20);
                out[12..14].copy_from_slice(&(5 << 12 | self.tcp_flags & 0xfff).to_be_bytes());
                out
            }
            ip_proto::UDP => {
                let mut out = with_ports(8);
                out.extend(payload(payload_len));
                let len = out.len() as u16;
                out[4..6].copy_from_slice(&len.to_be_bytes());
                out
            }
            ip_proto::SCTP => with_ports(12),
            ip_proto::ICMPV6 if self.is_neighbor_solicit() || self.is_neighbor_advert() => self.neighbor(),
            ip_proto::ICMP | ip_proto::ICMPV6 | ip_proto::IGMP => {
                let mut out = vec![self.tp_src as u8, self.tp_dst as u8];
                out.resize(ICMP_LEN, 0);
                out.extend(payload(payload_len));
                out
            }
            _ => Vec::new(),
        }
    }

    fn neighbor(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(ND_LEN);
        out.extend([self.tp_src as u8, self.tp_dst as u8, 0, 0]);
        out.extend(self.nd_reserved.to_be_bytes());
        out.extend(self.nd_target.octets());
        for (kind, address) in [(1, self.hw_src), (2, self.hw_dst)] {
            if !address.is_zero() {
                out.extend([kind, 1]);
                out.extend(address.0);
            }
        }
        out
    }

    fn checksum(&self, ips: IpPair, segment: &mut [u8]) {
        if self.is_later_fragment() {
            return;
        }
        let sum = || match (ips, self.nw_proto) {
            (IpPair::V4 { .. }, ip_proto::ICMP) | (_, ip_proto::IGMP) => checksum::of(segment),
            _ => ips.pseudo_header(self.nw_proto, segment.len()).bytes(segment).finish(),
        };
        let (at, sum) = match self.nw_proto {
            ip_proto::TCP => (16, sum()),
            // Zero would say that there is none (RFC 768).
            ip_proto::UDP => (6, if sum() == 0 { u16::MAX } else { sum() }),
            ip_proto::ICMP | ip_proto::ICMPV6 | ip_proto::IGMP => (2, sum()),
            ip_proto::SCTP => {
                let sum = crc32c(segment).to_le_bytes();
                segment[8..12].copy_from_slice(&sum);
                return;
            }
            _ => return,
        };
        segment[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    }
}

/// Bytes that count up.
fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|n| n as u8).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::VLAN_PRESENT;
    use kiln_types::EthAddr;
    use proptest::prelude::*;

    fn keys() -> impl Strategy<Value = FlowKey> {
        let kind = prop_oneof![
            Just((ethertype::ARP, 1)),
            Just((ethertype::ARP, 2)),
            Just((0x88cc, 0)),
            prop::sample::select(vec![1u8, 6, 17, 132]).prop_map(|proto| (ethertype::IPV4, proto)),
            prop::sample::select(vec![6u8, 17, 58, 132]).prop_map(|proto| (ethertype::IPV6, proto)),
        ];
        let bytes = (any::<[u8; 6]>(), any::<[u8; 6]>(), any::<[u32; 2]>(), any::<[u128; 2]>());
        (kind, bytes, any::<(u8, u8, u16, u16, u16)>(), prop::option::of(any::<u16>())).prop_map(
            |((eth_type, nw_proto), (src, dst, v4, v6), (tos, ttl, one, other, flags), tag)| {
                let is_ip = eth_type == ethertype::IPV4 || eth_type == ethertype::IPV6;
                let mut key = FlowKey {
                    eth_src: EthAddr(src),
                    eth_dst: EthAddr(dst),
                    eth_type,
                    vlan_tci: tag.map_or(0, |tag| tag | VLAN_PRESENT),
                    nw_proto,
                    ..FlowKey::default()
                };
                if eth_type != ethertype::IPV6 && eth_type != 0x88cc {
                    (key.nw_src, key.nw_dst) = (v4[0].into(), v4[1].into());
                }
                if eth_type == ethertype::ARP {
                    (key.hw_src, key.hw_dst) = (EthAddr(dst), EthAddr(src));
                }
                if eth_type == ethertype::IPV6 {
                    (key.ipv6_src, key.ipv6_dst) = (v6[0].into(), v6[1].into());
                    key.ipv6_label = v4[0] & 0xf_ffff;
                }
                if is_ip {
                    (key.nw_tos, key.nw_ttl) = (tos, ttl);
                    let narrow = matches!(nw_proto, 1 | 58);
                    (key.tp_src, key.tp_dst) = if narrow { (one & 0x7f, other & 0xff) } else { (one, other) };
                    key.tcp_flags = if nw_proto == 6 { flags & 0xfff } else { 0 };
                }
                key
            },
        )
    }

    proptest! {
        #[test]
        fn what_is_composed_has_the_key(key in keys(), len in 0usize..100) {
            let frame = key.compose(len);
            prop_assert_eq!(FlowKey::extract(&frame), key);
            if key.nw_proto == ip_proto::UDP && key.is_ip() {
                let packet = crate::Packet::parse(&frame);
                let segment = packet.transport().unwrap();
                let ips = key.ip_pair().unwrap();
                prop_assert_eq!(ips.pseudo_header(17, segment.len()).bytes(segment).finish(), 0);
            }
        }
    }
}
