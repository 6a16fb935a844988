//! Frames as the pipeline's fields, and fields as frames again.

use kiln_openflow::Field;
use kiln_packet::checksum::{self, Checksum};
use kiln_packet::{FlowKey, Packet as Parsed, VLAN_PRESENT, ethertype, ip_proto};
use kiln_testkit::interpreter::Packet;
use kiln_types::EthAddr;

const VLAN_AT: usize = 12;
const VLAN_LEN: usize = 4;

fn number(mac: EthAddr) -> u128 {
    mac.0.iter().fold(0, |number, byte| number << 8 | u128::from(*byte))
}

/// The fields of a frame.
pub(crate) fn fields(frame: &[u8]) -> Packet {
    let key = FlowKey::extract(frame);
    let mut packet = Packet::default();
    packet.len = frame.len();
    set_fields(&mut packet, &key);
    packet
}

/// Sets the fields that are the frame's own.
pub(crate) fn set_fields(packet: &mut Packet, key: &FlowKey) {
    let mut set = |field, value: u128| packet.set(field, value);
    set(Field::ETH_DST, number(key.eth_dst));
    set(Field::ETH_SRC, number(key.eth_src));
    set(Field::ETH_TYPE, key.eth_type.into());
    set(Field::VLAN_TCI, key.vlan_tci.into());
    match key.eth_type {
        ethertype::ARP | ethertype::RARP => {
            set(Field::ARP_OP, key.nw_proto.into());
            set(Field::ARP_SPA, key.nw_src.to_bits().into());
            set(Field::ARP_TPA, key.nw_dst.to_bits().into());
            set(Field::ARP_SHA, number(key.hw_src));
            set(Field::ARP_THA, number(key.hw_dst));
            return;
        }
        ethertype::IPV4 => {
            set(Field::IPV4_SRC, key.nw_src.to_bits().into());
            set(Field::IPV4_DST, key.nw_dst.to_bits().into());
        }
        ethertype::IPV6 => {
            set(Field::IPV6_SRC, key.ipv6_src.to_bits());
            set(Field::IPV6_DST, key.ipv6_dst.to_bits());
            set(Field::IPV6_LABEL, key.ipv6_label.into());
        }
        _ => return,
    }
    set(Field::IP_PROTO, key.nw_proto.into());
    set(Field::IP_DSCP, u128::from(key.nw_tos >> 2));
    set(Field::IP_ECN, u128::from(key.nw_tos & 3));
    set(Field::NW_TTL, key.nw_ttl.into());
    set(Field::IP_FRAG, key.nw_frag.into());
    if let Some((src, dst)) = transport_fields(key) {
        set(src, key.tp_src.into());
        set(dst, key.tp_dst.into());
    }
    if key.nw_proto == ip_proto::TCP {
        set(Field::TCP_FLAGS, key.tcp_flags.into());
    }
    if key.is_neighbor_solicit() || key.is_neighbor_advert() {
        set(Field::ND_TARGET, key.nd_target.to_bits());
        set(Field::ND_RESERVED, key.nd_reserved.into());
        set(Field::ND_OPTIONS_TYPE, key.nd_options_type.into());
        set(Field::ND_SLL, number(key.hw_src));
        set(Field::ND_TLL, number(key.hw_dst));
    }
}

/// Ports, or ICMP's type and code.
fn transport_fields(key: &FlowKey) -> Option<(Field, Field)> {
    match key.nw_proto {
        ip_proto::TCP => Some((Field::TCP_SRC, Field::TCP_DST)),
        ip_proto::UDP => Some((Field::UDP_SRC, Field::UDP_DST)),
        ip_proto::SCTP => Some((Field::SCTP_SRC, Field::SCTP_DST)),
        ip_proto::ICMP if key.is_ipv4() => Some((Field::ICMPV4_TYPE, Field::ICMPV4_CODE)),
        ip_proto::ICMPV6 if key.is_ipv6() => Some((Field::ICMPV6_TYPE, Field::ICMPV6_CODE)),
        _ => None,
    }
}

/// The frame with the fields that the packet has: what actions changed is written into it, with the checksums over it.
pub(crate) fn rewritten(frame: &[u8], packet: &Packet) -> Vec<u8> {
    if frame.len() < VLAN_AT {
        return frame.to_vec();
    }
    let mut out = tagged(frame, packet.get(Field::VLAN_TCI) as u16);
    put(&mut out, 0, 6, packet.get(Field::ETH_DST));
    put(&mut out, 6, 6, packet.get(Field::ETH_SRC));
    let (key, link_len, ip_len, transport_len) = {
        let parsed = Parsed::parse(&out);
        let link_len = if parsed.key.vlan_tci == 0 { 14 } else { 14 + VLAN_LEN };
        (parsed.key, link_len, parsed.ip().len(), parsed.transport().map_or(0, <[u8]>::len))
    };
    let (_, datagram) = out.split_at_mut(link_len);
    match key.eth_type {
        ethertype::ARP if datagram.len() >= 28 => arp(datagram, packet),
        ethertype::IPV4 | ethertype::IPV6 if ip_len > 0 => {
            let datagram = &mut datagram[..ip_len];
            let transport_at = ip_len - transport_len;
            network(datagram, &key, packet);
            if transport_len > 0 {
                transport(datagram, transport_at, &key, packet);
            }
        }
        _ => {}
    }
    out
}

/// With this tag, or none.
fn tagged(frame: &[u8], tci: u16) -> Vec<u8> {
    let had = FlowKey::extract(frame).vlan_tci & VLAN_PRESENT != 0;
    let rest = if had { VLAN_AT + VLAN_LEN } else { VLAN_AT };
    let mut out = frame[..VLAN_AT].to_vec();
    if tci & VLAN_PRESENT != 0 {
        out.extend(ethertype::VLAN.to_be_bytes());
        out.extend((tci & !VLAN_PRESENT).to_be_bytes());
    }
    out.extend_from_slice(&frame[rest..]);
    out
}

/// Writes the low `len` bytes of a value.
fn put(bytes: &mut [u8], at: usize, len: usize, value: u128) {
    bytes[at..at + len].copy_from_slice(&value.to_be_bytes()[16 - len..]);
}

fn arp(arp: &mut [u8], packet: &Packet) {
    put(arp, 6, 2, packet.get(Field::ARP_OP));
    put(arp, 8, 6, packet.get(Field::ARP_SHA));
    put(arp, 14, 4, packet.get(Field::ARP_SPA));
    put(arp, 18, 6, packet.get(Field::ARP_THA));
    put(arp, 24, 4, packet.get(Field::ARP_TPA));
}

fn network(datagram: &mut [u8], key: &FlowKey, packet: &Packet) {
    let tos = packet.get(Field::IP_DSCP) << 2 | packet.get(Field::IP_ECN);
    if key.is_ipv4() {
        put(datagram, 1, 1, tos);
        put(datagram, 8, 1, packet.get(Field::NW_TTL));
        put(datagram, 12, 4, packet.get(Field::IPV4_SRC));
        put(datagram, 16, 4, packet.get(Field::IPV4_DST));
        let header_len = usize::from(datagram[0] & 0xf) * 4;
        put(datagram, 10, 2, 0);
        let sum = checksum::of(&datagram[..header_len]);
        put(datagram, 10, 2, sum.into());
    } else {
        put(datagram, 0, 4, 6 << 28 | tos << 20 | packet.get(Field::IPV6_LABEL));
        put(datagram, 7, 1, packet.get(Field::NW_TTL));
        put(datagram, 8, 16, packet.get(Field::IPV6_SRC));
        put(datagram, 24, 16, packet.get(Field::IPV6_DST));
    }
}

fn transport(datagram: &mut [u8], at: usize, key: &FlowKey, packet: &Packet) {
    let pseudo = pseudo_header(key, packet, datagram.len() - at);
    let segment = &mut datagram[at..];
    let Some((src, dst)) = transport_fields(key).filter(|_| segment.len() >= 8) else { return };
    let width = if matches!(key.nw_proto, ip_proto::ICMP | ip_proto::ICMPV6) { 1 } else { 2 };
    put(segment, 0, width, packet.get(src));
    put(segment, width, width, packet.get(dst));
    if (key.is_neighbor_solicit() || key.is_neighbor_advert()) && segment.len() >= 24 {
        put(segment, 4, 4, packet.get(Field::ND_RESERVED));
        put(segment, 8, 16, packet.get(Field::ND_TARGET));
        if segment.len() >= 32 {
            let lla = if segment[24] == 1 { Field::ND_SLL } else { Field::ND_TLL };
            put(segment, 26, 6, packet.get(lla));
        }
    }
    let sum_at = match key.nw_proto {
        ip_proto::TCP if segment.len() >= 20 => 16,
        ip_proto::UDP if segment[6..8] != [0, 0] => 6,
        ip_proto::ICMP | ip_proto::ICMPV6 => 2,
        _ => return,
    };
    put(segment, sum_at, 2, 0);
    let sum = pseudo.map_or_else(|| checksum::of(segment), |pseudo| pseudo.bytes(segment).finish());
    // Zero would say that there is none (RFC 768).
    let sum = if key.nw_proto == ip_proto::UDP && sum == 0 { u16::MAX } else { sum };
    put(segment, sum_at, 2, sum.into());
}

/// What a checksum covers beside the segment; nothing for ICMP over IPv4.
fn pseudo_header(key: &FlowKey, packet: &Packet, len: usize) -> Option<Checksum> {
    if key.is_ipv6() {
        let (src, dst) = (packet.get(Field::IPV6_SRC).into(), packet.get(Field::IPV6_DST).into());
        return Some(Checksum::pseudo_v6(src, dst, key.nw_proto, len));
    }
    let (src, dst) = (packet.get(Field::IPV4_SRC) as u32, packet.get(Field::IPV4_DST) as u32);
    (key.nw_proto != ip_proto::ICMP).then(|| Checksum::pseudo_v4(src.into(), dst.into(), key.nw_proto, len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_packet::{Arp, NeighborSolicit};
    use std::net::Ipv4Addr;

    fn udp(ttl: u8, src: [u8; 4], tag: u16) -> Vec<u8> {
        let key = FlowKey {
            eth_src: EthAddr([2, 0, 0, 0, 0, 1]),
            eth_dst: EthAddr([2, 0, 0, 0, 0, 2]),
            eth_type: ethertype::IPV4,
            vlan_tci: tag,
            nw_src: src.into(),
            nw_dst: [192, 0, 2, 2].into(),
            nw_proto: ip_proto::UDP,
            nw_ttl: ttl,
            tp_src: 1000,
            tp_dst: 53,
            ..FlowKey::default()
        };
        key.compose(11)
    }

    /// What is written is what would have been composed so, checksums included.
    #[test]
    fn changed_fields_are_in_the_frame() {
        let frame = udp(64, [192, 0, 2, 1], 0);
        let mut packet = fields(&frame);
        assert_eq!(rewritten(&frame, &packet), frame, "nothing changed");
        packet.set(Field::NW_TTL, 63);
        packet.set(Field::IPV4_SRC, 0xc633_6401);
        assert_eq!(rewritten(&frame, &packet), udp(63, [198, 51, 100, 1], 0));
        packet.set(Field::VLAN_TCI, u128::from(VLAN_PRESENT | 5));
        let tagged = rewritten(&frame, &packet);
        assert_eq!(tagged, udp(63, [198, 51, 100, 1], VLAN_PRESENT | 5));
        packet.set(Field::VLAN_TCI, 0);
        assert_eq!(rewritten(&tagged, &packet), udp(63, [198, 51, 100, 1], 0));
    }

    #[test]
    fn neighbour_messages_are_rewritten_too() {
        let (mine, yours) = (EthAddr([2, 0, 0, 0, 0, 1]), EthAddr([2, 0, 0, 0, 0, 2]));
        let (one, two) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
        let request = Arp::request(mine, one, two).to_vec();
        let mut packet = fields(&request);
        for (field, value) in [
            (Field::ETH_DST, number(mine)),
            (Field::ETH_SRC, number(yours)),
            (Field::ARP_OP, 2),
            (Field::ARP_THA, number(mine)),
            (Field::ARP_SHA, number(yours)),
            (Field::ARP_TPA, one.to_bits().into()),
            (Field::ARP_SPA, two.to_bits().into()),
        ] {
            packet.set(field, value);
        }
        assert_eq!(rewritten(&request, &packet), Arp::reply(yours, two, mine, one).to_vec());

        let solicit = |target: &str| NeighborSolicit {
            slla: Some(mine),
            ..NeighborSolicit::multicast(mine, target.parse().expect("an address"))
        };
        let asked = NeighborSolicit { target: "fd00::9".parse().expect("an address"), ..solicit("fd00::5") };
        let frame = solicit("fd00::5").to_vec();
        let mut packet = fields(&frame);
        packet.set(Field::ND_TARGET, asked.target.to_bits());
        assert_eq!(rewritten(&frame, &packet), asked.to_vec());
    }
}
