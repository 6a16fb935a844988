//! Invariants of reading and building, over arbitrary bytes and values.

use kiln_packet::{
    Arp, ArpOp, EthHeader, IcmpError, NaFlags, NeighborAdvert, NeighborSolicit, Packet, QUOTE_MAX_V4,
    QUOTE_MAX_V6, TcpReset, Unanswerable, VLAN_PRESENT, tcp_flags,
};
use kiln_types::EthAddr;
use proptest::prelude::*;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The checksum as RFC 1071 words it, over several pieces laid end to end.
fn naive_sum(pieces: &[&[u8]]) -> u16 {
    let mut all = pieces.concat();
    all.resize(all.len().next_multiple_of(2), 0);
    let mut sum = 0u32;
    for pair in all.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(pair[1]);
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}

/// Panics unless every checksum of the datagram in `frame` is right.
fn assert_checksums(frame: &[u8]) {
    let packet = Packet::parse(frame);
    let (ip, l4) = (packet.ip(), packet.transport().expect("a transport header"));
    let proto = packet.key.nw_proto;
    let len = (l4.len() as u32).to_be_bytes();
    if packet.key.is_ipv4() {
        assert_eq!(naive_sum(&[&ip[..20]]), 0xffff, "IPv4 header");
        if proto == 1 {
            assert_eq!(naive_sum(&[l4]), 0xffff, "ICMP");
        } else {
            assert_eq!(naive_sum(&[&ip[12..20], &[0, proto], &len[2..], l4]), 0xffff, "protocol {proto}");
        }
    } else {
        assert_eq!(naive_sum(&[&ip[8..40], &len, &[0, 0, 0, proto], l4]), 0xffff, "protocol {proto}");
    }
}

/// Emitting writes every byte of the buffer, whatever it held, and no byte after it.
fn emitted(len: usize, emit: impl Fn(&mut [u8])) -> Vec<u8> {
    let [zeros, ones] = [0u8, 0xff].map(|garbage| {
        let mut buffer = vec![garbage; len + 3];
        emit(&mut buffer);
        assert_eq!(buffer.split_off(len), [garbage; 3]);
        buffer
    });
    assert_eq!(zeros, ones);
    zeros
}

fn mac() -> impl Strategy<Value = EthAddr> {
    any::<[u8; 6]>().prop_map(EthAddr)
}

fn unicast_mac() -> impl Strategy<Value = EthAddr> {
    mac().prop_map(|EthAddr(mut m)| {
        m[0] &= 0xfe;
        EthAddr(m)
    })
}

fn eth() -> impl Strategy<Value = EthHeader> {
    let tci = prop_oneof![Just(0), any::<u16>().prop_map(|t| t | VLAN_PRESENT)];
    (mac(), unicast_mac(), tci).prop_map(|(src, dst, vlan_tci)| EthHeader { dst, src, vlan_tci })
}

fn arp() -> impl Strategy<Value = Arp> {
    (eth(), 0u16..256, mac(), any::<Ipv4Addr>(), mac(), any::<Ipv4Addr>())
        .prop_map(|(eth, op, sha, spa, tha, tpa)| Arp { eth, op: ArpOp(op), sha, spa, tha, tpa })
}

/// A TCP segment in a frame: lengths, flags and payload as given, checksums not filled in.
fn segment(v6: bool, flags: u16, seq: u32, ack: u32, options: usize, payload: &[u8]) -> Vec<u8> {
    let len = 20 + 4 * options + payload.len();
    let mut frame = vec![0x02; 12];
    if v6 {
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, (len >> 8) as u8, len as u8, 6, 64]);
        frame.extend("fd00::1".parse::<Ipv6Addr>().unwrap().octets());
        frame.extend("fd00::2".parse::<Ipv6Addr>().unwrap().octets());
    } else {
        let total = 20 + len;
        frame.extend([0x08, 0x00, 0x45, 0, (total >> 8) as u8, total as u8, 0, 1, 0x40, 0, 64, 6, 0, 0]);
        frame.extend([10, 0, 0, 1, 10, 0, 0, 2]);
    }
    frame.extend([0x03, 0xe8, 0, 80]);
    frame.extend(seq.to_be_bytes());
    frame.extend(ack.to_be_bytes());
    frame.extend((((5 + options) as u16) << 12 | flags).to_be_bytes());
    frame.extend([0; 6]);
    frame.extend(vec![1; 4 * options]);
    frame.extend(payload);
    frame
}

proptest! {
    #[test]
    fn reading_never_panics_and_stays_inside_the_frame(
        mut frame in proptest::collection::vec(any::<u8>(), 0..200),
        kind in prop_oneof![Just(0x0800u16), Just(0x86dd), Just(0x0806), Just(0x8100), any::<u16>()],
    ) {
        if frame.len() >= 14 {
            frame[12..14].copy_from_slice(&kind.to_be_bytes());
        }
        let packet = Packet::parse(&frame);
        let inside = |part: &[u8]| part.is_empty() || frame.as_ptr_range().contains(&part.as_ptr());
        prop_assert!(inside(packet.ip()));
        prop_assert!(packet.transport().is_none_or(|t| inside(t) && t.len() <= packet.ip().len()));
        for error in [IcmpError::about(&packet, 3, 1, 0), IcmpError::about(&packet, 2, 0, 1280)].into_iter().flatten() {
            assert_checksums(&error.to_vec());
        }
        if let Ok(reset) = TcpReset::answering(&packet) {
            assert_checksums(&reset.to_vec());
        }
    }

    #[test]
    fn arp_reads_back(arp in arp()) {
        let frame = emitted(arp.buffer_len(), |b| arp.emit(b));
        let key = Packet::parse(&frame).key;
        let read = Arp {
            eth: key.eth_header(),
            op: ArpOp(u16::from(key.nw_proto)),
            sha: key.hw_src,
            spa: key.nw_src,
            tha: key.hw_dst,
            tpa: key.nw_dst,
        };
        prop_assert_eq!(read, arp);
    }

    #[test]
    fn solicitation_reads_back(
        eth in eth(), ip_src: Ipv6Addr, ip_dst: Ipv6Addr, target: Ipv6Addr, slla in proptest::option::of(mac()),
    ) {
        prop_assume!(slla != Some(EthAddr::ZERO));
        let ns = NeighborSolicit { eth, ip_src, ip_dst, target, slla };
        let frame = emitted(ns.buffer_len(), |b| ns.emit(b));
        assert_checksums(&frame);
        let key = Packet::parse(&frame).key;
        prop_assert!(key.is_neighbor_solicit() && key.nw_ttl == 255 && key.nd_reserved == 0);
        let slla = (key.nd_options_type == 1).then_some(key.hw_src);
        let (ip_src, ip_dst) = (key.ipv6_src, key.ipv6_dst);
        prop_assert_eq!(NeighborSolicit { eth: key.eth_header(), ip_src, ip_dst, target: key.nd_target, slla }, ns);
    }

    #[test]
    fn advertisement_reads_back(
        eth in eth(), ip_src: Ipv6Addr, ip_dst: Ipv6Addr, target: Ipv6Addr, tlla in proptest::option::of(mac()),
        flags in 0u8..8,
    ) {
        prop_assume!(tlla != Some(EthAddr::ZERO));
        let na = NeighborAdvert { eth, ip_src, ip_dst, flags: NaFlags(flags << 5), target, tlla };
        let frame = emitted(na.buffer_len(), |b| na.emit(b));
        assert_checksums(&frame);
        let key = Packet::parse(&frame).key;
        prop_assert!(key.is_neighbor_advert() && key.nw_ttl == 255);
        let read = NeighborAdvert {
            eth: key.eth_header(),
            ip_src: key.ipv6_src,
            ip_dst: key.ipv6_dst,
            flags: NaFlags((key.nd_reserved >> 24) as u8),
            target: key.nd_target,
            tlla: (key.nd_options_type == 2).then_some(key.hw_dst),
        };
        prop_assert_eq!(read, na);
    }

    #[test]
    fn errors_quote_the_packet_as_it_came(
        v6: bool, flags in 0u16..0x1000, payload in proptest::collection::vec(any::<u8>(), 0..1500),
        padding in 0usize..50, kind: u8, code: u8, parameter: u32,
    ) {
        let mut frame = segment(v6, flags, 1, 2, 3, &payload);
        let datagram = frame[14..].to_vec();
        frame.extend(vec![0xee; padding]);
        let error = IcmpError::about(&Packet::parse(&frame), kind, code, parameter).unwrap();
        let built = emitted(error.buffer_len(), |b| error.emit(b));
        assert_checksums(&built);
        let packet = Packet::parse(&built);
        let (limit, quoted_most) = if v6 { (1280, QUOTE_MAX_V6) } else { (576, QUOTE_MAX_V4) };
        prop_assert!(packet.ip().len() <= limit);
        let message = packet.transport().unwrap();
        prop_assert_eq!(&message[8..], &datagram[..datagram.len().min(quoted_most)]);
        prop_assert_eq!((message[0], message[1]), (kind, code));
        prop_assert_eq!(&message[4..8], &parameter.to_be_bytes());
        prop_assert_eq!(packet.key.nw_ttl, 255);
        prop_assert_eq!(packet.key.eth_header(), Packet::parse(&frame).key.eth_header());
        let back = Packet::parse(&error.back().to_vec()).key;
        prop_assert_eq!((back.nw_src, back.ipv6_src), (packet.key.nw_dst, packet.key.ipv6_dst));
        prop_assert_eq!(back.eth_dst, packet.key.eth_src);
    }

    /// RFC 9293, 3.10.7.1.
    #[test]
    fn resets_are_in_sequence(
        v6: bool, flags in 0u16..0x200, seq: u32, ack: u32, options in 0usize..11,
        payload in proptest::collection::vec(any::<u8>(), 0..300), padding in 0usize..50,
    ) {
        let mut frame = segment(v6, flags, seq, ack, options, &payload);
        frame.extend(vec![0xee; padding]);
        let answer = TcpReset::answering(&Packet::parse(&frame));
        if flags & tcp_flags::RST != 0 {
            prop_assert_eq!(answer, Err(Unanswerable::Reset));
            return Ok(());
        }
        let reset = answer.unwrap();
        let built = emitted(reset.buffer_len(), |b| reset.emit(b));
        assert_checksums(&built);
        let packet = Packet::parse(&built);
        let segment = packet.transport().unwrap();
        prop_assert_eq!(segment.len(), 20);
        let word = |at: usize| u32::from_be_bytes(segment[at..at + 4].try_into().unwrap());
        if flags & tcp_flags::ACK != 0 {
            prop_assert_eq!((packet.key.tcp_flags, word(4), word(8)), (tcp_flags::RST, ack, 0));
        } else {
            let controls = u32::from(flags & tcp_flags::SYN != 0) + u32::from(flags & tcp_flags::FIN != 0);
            let end = seq.wrapping_add(payload.len() as u32).wrapping_add(controls);
            prop_assert_eq!((packet.key.tcp_flags, word(4), word(8)), (tcp_flags::RST | tcp_flags::ACK, 0, end));
        }
        prop_assert_eq!((packet.key.tp_src, packet.key.tp_dst), (80, 1000));
    }
}

/// One row a rule: what is changed in an answerable packet, and what then stands against an answer.
#[test]
fn packets_that_are_not_answered() {
    use Unanswerable::*;
    // Ethernet 0..14, IPv4 14..34, UDP 34..42
    let v4: Vec<u8> = [
        &[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 8, 0][..],
        &[0x45, 0, 0, 32, 0, 1, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 1, 1],
        &[3, 232, 0, 80, 0, 12, 0, 0, 1, 2, 3, 4],
    ]
    .concat();
    // Ethernet 0..14, IPv6 14..54, UDP 54..62
    let mut v6: Vec<u8> =
        [&v4[..12], &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 12, 17, 64], &[0xfd; 16], &[0xfc; 16], &v4[34..]]
            .concat();
    v6[14] = 0x60;
    type Change<'a> = &'a [(usize, &'a [u8])];
    let v4_rows: &[(&str, Change<'_>, Option<Unanswerable>)] = &[
        ("an ordinary packet", &[], None),
        ("first fragment", &[(20, &[0x20, 0])], None),
        ("later fragment", &[(20, &[0x20, 9])], Some(LaterFragment)),
        ("last fragment", &[(20, &[0, 9])], Some(LaterFragment)),
        ("ARP", &[(12, &[8, 6])], Some(NotIp)),
        ("version 5", &[(14, &[0x55])], Some(NotIp)),
        ("longer than the frame", &[(16, &[1, 0])], Some(NotIp)),
        ("Ethernet broadcast", &[(0, &[0xff; 6])], Some(LinkGroup)),
        ("Ethernet multicast", &[(0, &[0x01])], Some(LinkGroup)),
        ("IP broadcast", &[(30, &[255; 4])], Some(IpGroup)),
        ("IP multicast", &[(30, &[224, 0, 0, 5])], Some(IpGroup)),
        ("from nobody", &[(26, &[0; 4])], Some(Source)),
        ("from this network", &[(26, &[0, 0, 0, 9])], Some(Source)),
        ("from loopback", &[(26, &[127])], Some(Source)),
        ("from multicast", &[(26, &[239])], Some(Source)),
        ("from broadcast", &[(26, &[255; 4])], Some(Source)),
        ("from class E", &[(26, &[240])], Some(Source)),
        ("echo request", &[(23, &[1]), (34, &[8, 0])], None),
        ("unknown ICMP type", &[(23, &[1]), (34, &[200, 0])], None),
        ("unreachable", &[(23, &[1]), (34, &[3, 0])], Some(IcmpError)),
        ("source quench", &[(23, &[1]), (34, &[4, 0])], Some(IcmpError)),
        ("redirect", &[(23, &[1]), (34, &[5, 0])], Some(IcmpError)),
        ("time exceeded", &[(23, &[1]), (34, &[11, 0])], Some(IcmpError)),
        ("parameter problem", &[(23, &[1]), (34, &[12, 0])], Some(IcmpError)),
        ("ICMP without a header", &[(23, &[1]), (16, &[0, 20])], Some(Truncated)),
    ];
    let v6_rows: &[(&str, Change<'_>, Option<Unanswerable>)] = &[
        ("an ordinary packet", &[], None),
        ("to a group", &[(38, &[0xff, 0x02])], Some(IpGroup)),
        ("to a link-layer group", &[(0, &[0x33, 0x33])], Some(LinkGroup)),
        ("from nobody", &[(22, &[0; 16])], Some(Source)),
        ("from a group", &[(22, &[0xff])], Some(Source)),
        ("echo request", &[(20, &[58]), (54, &[128, 0])], None),
        ("neighbour solicitation", &[(20, &[58]), (54, &[135, 0])], None),
        ("redirect", &[(20, &[58]), (54, &[137, 0])], Some(IcmpError)),
        ("unreachable", &[(20, &[58]), (54, &[1, 0])], Some(IcmpError)),
        ("an error yet unknown", &[(20, &[58]), (54, &[127, 0])], Some(IcmpError)),
        ("later fragment", &[(20, &[44]), (54, &[17, 0, 0, 8])], Some(LaterFragment)),
        ("extension header that does not fit", &[(20, &[60]), (54, &[17, 9])], Some(NotIp)),
    ];
    for (base, kind, rows) in [(&v4, 3, v4_rows), (&v6, 1, v6_rows)] {
        for (name, changes, expected) in rows {
            let mut frame = base.clone();
            for (at, bytes) in *changes {
                frame[*at..*at + bytes.len()].copy_from_slice(bytes);
            }
            let got = kiln_packet::IcmpError::about(&Packet::parse(&frame), kind, 0, 0).err();
            assert_eq!(got, *expected, "{name}");
            let reset = TcpReset::answering(&Packet::parse(&frame)).expect_err("no TCP");
            assert!(Some(reset) == *expected || matches!(reset, WrongProtocol), "{name}: {reset:?}");
        }
    }
    // packet too big is told to senders to groups as well (RFC 4443, 2.4(e.3))
    v6[38] = 0xff;
    v6[0] = 0x33;
    let to_group = Packet::parse(&v6);
    assert!(kiln_packet::IcmpError::about(&to_group, 2, 0, 1280).is_ok());
    // and so is what is wrong with an option that asks for it; no other parameter problem is
    assert!(kiln_packet::IcmpError::about(&to_group, 4, 2, 0).is_ok());
    assert_eq!(kiln_packet::IcmpError::about(&to_group, 4, 1, 0), Err(IpGroup));
}

/// Type, code and the word with the MTU of the next link: 16 bits of it for IPv4 (RFC 1191, section 4), 32 for IPv6.
#[test]
fn the_next_links_mtu_is_told() {
    let rows: [(bool, u16, [u8; 2], u32); 5] = [
        (false, 1400, [3, 4], 1400),
        (false, 65_535, [3, 4], 65_535),
        (false, 40, [3, 4], 68),
        (true, 1400, [2, 0], 1400),
        (true, 576, [2, 0], 1280),
    ];
    for (v6, mtu, kind_and_code, told) in rows {
        let frame = segment(v6, 2, 1, 2, 0, &[0; 1500]);
        let error = IcmpError::too_big(&Packet::parse(&frame), mtu).unwrap().back().to_vec();
        assert_checksums(&error);
        let packet = Packet::parse(&error);
        let message = packet.transport().unwrap();
        assert_eq!(message[..2], kind_and_code);
        assert_eq!(message[4..8], told.to_be_bytes());
    }
}
