//! RFC 9293, section 3.10.7.1, case by case: what a segment to a port where nobody listens is answered with.

use kiln_packet::{FlowKey, Packet, TcpReset, Unanswerable, ethertype, ip_proto, tcp_flags};
use std::net::{Ipv4Addr, Ipv6Addr};

const FIN: u16 = tcp_flags::FIN;
const SYN: u16 = tcp_flags::SYN;
const RST: u16 = tcp_flags::RST;
const PSH: u16 = 0x08;
const ACK: u16 = tcp_flags::ACK;

/// A segment with these sequence and acknowledgement numbers, and so many bytes of data.
fn segment(ipv6: bool, flags: u16, seq: u32, ack: u32, data: usize) -> Vec<u8> {
    let key = FlowKey {
        eth_type: if ipv6 { ethertype::IPV6 } else { ethertype::IPV4 },
        nw_src: Ipv4Addr::new(10, 0, 0, 9),
        nw_dst: Ipv4Addr::new(10, 0, 0, 1),
        ipv6_src: if ipv6 { "fd00::9".parse().unwrap() } else { Ipv6Addr::UNSPECIFIED },
        ipv6_dst: if ipv6 { "fd00::1".parse().unwrap() } else { Ipv6Addr::UNSPECIFIED },
        nw_proto: ip_proto::TCP,
        nw_ttl: 64,
        tp_src: 4000,
        tp_dst: 80,
        tcp_flags: flags,
        ..FlowKey::default()
    };
    let mut frame = key.compose(0);
    let ip = 14;
    let tcp = if ipv6 { ip + 40 } else { ip + 20 };
    frame[tcp + 4..tcp + 8].copy_from_slice(&seq.to_be_bytes());
    frame[tcp + 8..tcp + 12].copy_from_slice(&ack.to_be_bytes());
    frame.extend(vec![b'x'; data]);
    let len = (frame.len() - tcp) as u16;
    if ipv6 {
        frame[ip + 4..ip + 6].copy_from_slice(&len.to_be_bytes());
    } else {
        frame[ip + 2..ip + 4].copy_from_slice(&(len + 20).to_be_bytes());
    }
    frame
}

#[test]
fn each_segment_has_its_reset() {
    let (reset, acknowledged) = (|seq| (seq, None), |ack| (0, Some(ack)));
    for ((flags, seq, ack, data), expected) in [
        // without ACK: from 0, and all that the segment takes up is acknowledged; SYN and FIN take up one each
        ((SYN, 100, 0, 0), acknowledged(101)),
        ((SYN, 100, 0, 3), acknowledged(104)),
        ((FIN, 100, 0, 0), acknowledged(101)),
        ((FIN, 100, 0, 5), acknowledged(106)),
        ((SYN | FIN, 100, 0, 0), acknowledged(102)),
        ((PSH, 100, 0, 7), acknowledged(107)),
        ((0, 100, 0, 0), acknowledged(100)),
        ((SYN, u32::MAX, 0, 0), acknowledged(0)),
        // an acknowledgement number without ACK means nothing
        ((SYN, 100, 777, 0), acknowledged(101)),
        // with ACK: where the sender expects to go on
        ((ACK, 100, 555, 0), reset(555)),
        ((ACK, 100, 555, 9), reset(555)),
        ((SYN | ACK, 100, 555, 0), reset(555)),
        ((FIN | ACK, 100, 555, 0), reset(555)),
        ((PSH | ACK, 100, 555, 20), reset(555)),
        ((ACK, 100, 0, 0), reset(0)),
    ] {
        for ipv6 in [false, true] {
            let mut frame = segment(ipv6, flags, seq, ack, data);
            // Ethernet's padding is no data.
            frame.resize(frame.len().max(60), 0);
            let answer = TcpReset::answering(&Packet::parse(&frame)).expect("an answer");
            let what = format!("flags {flags:#x}, {data} bytes, IPv6 {ipv6}");
            assert_eq!((answer.seq, answer.ack), expected, "{what}");
            assert_eq!((answer.src_port, answer.dst_port), (80, 4000), "{what}");
            let made = answer.to_vec();
            let key = Packet::parse(&made).key;
            let flags = if answer.ack.is_some() { RST | ACK } else { RST };
            assert_eq!(key.tcp_flags, flags, "{what}");
        }
    }
}

#[test]
fn resets_are_not_answered() {
    for flags in [RST, RST | ACK, RST | SYN, RST | FIN | ACK] {
        for ipv6 in [false, true] {
            let frame = segment(ipv6, flags, 100, 555, 0);
            assert_eq!(TcpReset::answering(&Packet::parse(&frame)), Err(Unanswerable::Reset), "{flags:#x}");
        }
    }
}
