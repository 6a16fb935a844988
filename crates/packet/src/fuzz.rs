//! Entry point of the fuzz target: any frame can be read, and whatever answers it is well-formed.

use crate::checksum::{Checksum, of};
use crate::{
    FlowKey, Fragments, IcmpError, MTU_MIN_V4, NaFlags, NeighborAdvert, Packet, TcpReset, icmp4, icmp6,
};

/// Reads a frame, and builds every answer to it that may be built.
pub fn fuzz_frame(frame: &[u8]) {
    let packet = Packet::parse(frame);
    assert_eq!(FlowKey::extract(frame), packet.key);
    assert!(packet.ip().len() <= frame.len());
    assert!(packet.transport().is_none_or(|t| t.len() <= packet.ip().len()));
    let v6 = packet.key.is_ipv6();
    let errors = if v6 {
        [(icmp6::UNREACHABLE, icmp6::PORT), (icmp6::TOO_BIG, 0)]
    } else {
        [(icmp4::UNREACHABLE, icmp4::PORT), (icmp4::UNREACHABLE, icmp4::FRAGMENTATION_NEEDED)]
    };
    for (kind, code) in errors {
        if let Ok(error) = IcmpError::about(&packet, kind, code, 1400) {
            let frame = check(&error.back().to_vec(), if v6 { 1280 } else { 576 });
            let about_error = IcmpError::about(&Packet::parse(&frame), kind, code, 0);
            assert!(about_error.is_err(), "no error is about an error");
        }
    }
    if let Ok(reset) = TcpReset::answering(&packet) {
        let frame = check(&reset.back().to_vec(), 60);
        assert!(TcpReset::answering(&Packet::parse(&frame)).is_err(), "no reset answers a reset");
    }
    for mtu in [MTU_MIN_V4, 576, 1500] {
        fragment(&packet, mtu);
    }
    if let Some(advert) = NeighborAdvert::answering(&packet.key, NaFlags::ROUTER) {
        let frame = check(&advert.to_vec(), 72);
        assert!(FlowKey::extract(&frame).is_neighbor_advert());
    }
}

/// Fragments fit, say so, and are as long together as what they are fragments of.
fn fragment(packet: &Packet<'_>, mtu: u16) {
    let Ok(fragments) = Fragments::of(packet, mtu) else { return };
    let header_len = |ip: &[u8]| usize::from(ip[0] & 0xf) * 4;
    let (promised, mut came, mut payload) = (fragments.len(), 0, 0);
    for fragment in fragments {
        let frame = fragment.to_vec();
        let piece = Packet::parse(&frame);
        let ip = piece.ip();
        assert!(!ip.is_empty() && ip.len() <= usize::from(mtu));
        assert_eq!(of(&ip[..header_len(ip)]), 0, "checksum of the header");
        came += 1;
        payload += ip.len() - header_len(ip);
    }
    assert_eq!((came, payload), (promised, packet.ip().len() - header_len(packet.ip())));
}

/// A frame that was built reads as a datagram of at most `limit` bytes with a transport header and right checksums.
fn check(frame: &[u8], limit: usize) -> Vec<u8> {
    let packet = Packet::parse(frame);
    let (ip, key) = (packet.ip(), &packet.key);
    let Some(segment) = packet.transport() else { panic!("no transport header in {frame:02x?}") };
    assert!(ip.len() <= limit, "{} bytes", ip.len());
    let pseudo = if key.is_ipv4() {
        assert_eq!(of(&ip[..20]), 0, "checksum of the header");
        match key.nw_proto {
            crate::ip_proto::ICMP => Checksum::new(),
            proto => Checksum::pseudo_v4(key.nw_src, key.nw_dst, proto, segment.len()),
        }
    } else {
        Checksum::pseudo_v6(key.ipv6_src, key.ipv6_dst, key.nw_proto, segment.len())
    };
    assert_eq!(pseudo.bytes(segment).finish(), 0, "checksum of the segment");
    frame.to_vec()
}
