//! What a router does to each packet that it sends on, undone: it takes one off its time to live (RFC 791, section 3.2; RFC 8200,
//! section 3: hop limit).

use crate::{Packet, checksum};

/// Where an IPv4 header has its time to live, with the protocol behind it, and its checksum.
const TTL: usize = 8;
const CHECKSUM: usize = 10;
/// Where an IPv6 header has its hop limit.
const HOP_LIMIT: usize = 7;

/// The frame as it was before a router took one off its time to live. One without an IP packet stays as it is, and so does one
/// that no router can have sent on.
pub fn before_hop(packet: &Packet<'_>) -> Vec<u8> {
    let mut frame = packet.frame().to_vec();
    if packet.ip().is_empty() {
        return frame;
    }
    let header = &mut frame[packet.link_header().len()..];
    // The key of a packet whose headers are not whole has no time to live.
    let at = if packet.key.is_ipv6() { HOP_LIMIT } else { TTL };
    let old = [header[at], header[at + 1]];
    let Some(came) = old[0].checked_add(1) else { return frame };
    header[at] = came;
    if packet.key.is_ipv4() {
        let check = u16::from_be_bytes([header[CHECKSUM], header[CHECKSUM + 1]]);
        let check = checksum::replace_bytes(check, &old, &[came, old[1]]);
        header[CHECKSUM..CHECKSUM + 2].copy_from_slice(&check.to_be_bytes());
    }
    frame
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FlowKey, ethertype, ip_proto};

    fn udp(eth_type: u16, nw_ttl: u8) -> Vec<u8> {
        FlowKey { eth_type, nw_proto: ip_proto::UDP, nw_ttl, tp_src: 7, ..FlowKey::default() }.compose(32)
    }

    #[test]
    fn one_is_put_back_and_the_checksum_holds() {
        for eth_type in [ethertype::IPV4, ethertype::IPV6] {
            for ttl in [0, 1, 63, 254] {
                let came = before_hop(&Packet::parse(&udp(eth_type, ttl)));
                assert_eq!(came, udp(eth_type, ttl + 1), "{ttl}");
            }
            assert_eq!(before_hop(&Packet::parse(&udp(eth_type, 255))), udp(eth_type, 255));
        }
        let short = &udp(ethertype::IPV4, 9)[..30];
        assert_eq!(before_hop(&Packet::parse(short)), short);
    }

    #[test]
    fn headers_that_are_not_whole_are_no_matter() {
        let mut frame = udp(ethertype::IPV6, u8::MAX);
        // A fragment header that is cut off.
        frame[14 + 6] = ip_proto::FRAGMENT;
        frame.truncate(14 + 40 + 4);
        frame[14 + 5] = 4;
        assert_eq!(before_hop(&Packet::parse(&frame)), frame);
    }
}
