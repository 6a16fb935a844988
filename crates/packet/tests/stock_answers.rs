//! What is built for a packet, held against what stock ovn-controller 26.03 put on the wire for the same packet.

use kiln_packet::{
    Arp, ArpOp, EthHeader, IcmpError, NaFlags, NeighborAdvert, NeighborSolicit, Packet, TcpReset,
};
use kiln_types::EthAddr;

fn bytes(hex: &str) -> Vec<u8> {
    let hex: Vec<u8> = hex.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
    let digit = |b: u8| (b as char).to_digit(16).expect("a hexadecimal digit") as u8;
    hex.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, b| text + &format!("{b:02x}"))
}

#[track_caller]
fn check(asked: &str, answer: impl Fn(&Packet<'_>) -> Vec<u8>, stock: &str) {
    let asked = bytes(asked);
    let built = answer(&Packet::parse(&asked));
    assert_eq!(hex(&built), hex(&bytes(stock)));
}

#[test]
fn arp_request_from_a_packet() {
    check(
        "000000000000 000000000102 0800 45000021123400003f1152780a00010b0a000216 03e807d0000d9929 68656c6c6f",
        |packet| {
            let key = &packet.key;
            let request = Arp::request(key.eth_src, key.nw_src, key.nw_dst);
            Arp { eth: key.eth_header(), ..request }.to_vec()
        },
        "000000000000 000000000102 0806 0001080006040001 0000000001020a00010b 0000000000000a000216",
    );
}

#[test]
fn neighbor_solicitation_from_a_packet() {
    check(
        "000000000000 000000000102 86dd 60000000000d113f fd010000000000000000000000000011
         fd020000000000000000000000000022 03e807d0000db612 68656c6c6f",
        |packet| NeighborSolicit::multicast(packet.key.eth_src, packet.key.ipv6_dst).to_vec(),
        "3333ff000022 000000000102 86dd 6000000000203aff fe80000000000000020000fffe000102
         ff0200000000000000000001ff000022 87007ad300000000 fd020000000000000000000000000022 0101000000000102",
    );
}

#[test]
fn neighbor_advertisement_to_a_solicitation() {
    check(
        "3333ff000001 000000000001 86dd 6000000000203aff fd010000000000000000000000000011
         ff0200000000000000000001ff000001 87007f8700000000 fd010000000000000000000000000001 0101000000000001",
        |packet| NeighborAdvert::answering(&packet.key, NaFlags::ROUTER).expect("a solicitation").to_vec(),
        "000000000001 3333ff000001 86dd 6000000000203aff fd010000000000000000000000000001
         fd010000000000000000000000000011 88006c55e0000000 fd010000000000000000000000000001 02013333ff000001",
    );
}

#[test]
fn a_check_for_duplicates_is_answered_to_all_nodes() {
    // stock answers to ::, which no host takes; RFC 4861 7.2.4 says all nodes, without the solicited flag
    let asked = bytes(
        "3333ff000001 000000000002 86dd 6000000000183aff 00000000000000000000000000000000
         ff0200000000000000000001ff000001 87007da300000000 fd020000000000000000000000000001",
    );
    let answer =
        NeighborAdvert::answering(&Packet::parse(&asked).key, NaFlags::default()).expect("a solicitation");
    assert_eq!(answer.ip_dst.to_string(), "ff02::1");
    assert_eq!(answer.eth.dst.to_string(), "33:33:00:00:00:01");
    assert_eq!(answer.flags, NaFlags::OVERRIDE);
}

#[test]
fn port_unreachable() {
    check(
        "000000000101 000000000001 0800 4500001f123400004011518f0a00010b0a000201 03e80050000b2032 616263",
        |packet| IcmpError::about(packet, 3, 3, 0).expect("answerable").to_vec(),
        "000000000101 000000000001 0800 4500003b00004000ff0164b60a00010b0a000201 0303142500000000
         4500001f123400004011518f0a00010b0a000201 03e80050000b2032 616263",
    );
    check(
        "000000000101 000000000001 86dd 60000000000b1140 fd010000000000000000000000000011
         fd010000000000000000000000000001 03e80050000b3d28 616263",
        |packet| IcmpError::about(packet, 1, 4, 0).expect("answerable").to_vec(),
        "000000000101 000000000001 86dd 60000000003b3aff fd010000000000000000000000000011
         fd010000000000000000000000000001 0104934100000000 60000000000b1140 fd010000000000000000000000000011
         fd010000000000000000000000000001 03e80050000b3d28 616263",
    );
}

#[test]
fn port_unreachable_turned_round() {
    check(
        "000000000002 000000000102 0800 4500001f123400003f11527a0a00010b0a000216 03e80051000b201c 616263",
        |packet| IcmpError::about(packet, 3, 3, 0).expect("answerable").back().to_vec(),
        "000000000102 000000000002 0800 4500003b00004000ff0164a10a0002160a00010b 0303143a00000000
         4500001f123400003f11527a0a00010b0a000216 03e80051000b201c 616263",
    );
    check(
        "000000000002 000000000102 86dd 60000000000b113f fd010000000000000000000000000011
         fd020000000000000000000000000022 03e80051000b3d05 616263",
        |packet| IcmpError::about(packet, 1, 4, 0).expect("answerable").back().to_vec(),
        "000000000102 000000000002 86dd 60000000003b3aff fd020000000000000000000000000022
         fd010000000000000000000000000011 0104932000000000 60000000000b113f fd010000000000000000000000000011
         fd020000000000000000000000000022 03e80051000b3d05 616263",
    );
}

#[test]
fn reset_to_a_syn() {
    check(
        "000000000002 000000000102 0800 45000028123400003f06527c0a00010b0a000216
         03e80051112233440000000050020 3e84c3b0000",
        |packet| TcpReset::answering(packet).expect("answerable").back().to_vec(),
        "000000000102 000000000002 0800 45000028000040003f0624b00a0002160a00010b
         005103e8000000001122334550140000 50100000",
    );
    check(
        "000000000101 000000000001 86dd 6000000000140640 fd010000000000000000000000000011
         fd010000000000000000000000000001 03e80050112233440000000050020 3e869470000",
        |packet| TcpReset::answering(packet).expect("answerable").to_vec(),
        "000000000101 000000000001 86dd 600000000014063f fd010000000000000000000000000011
         fd010000000000000000000000000001 005003e800000000112233455014 00006d1c0000",
    );
}

#[test]
fn a_tag_is_kept() {
    let asked = bytes(
        "000000000101 000000000001 8100 6005 0800 4500001f123400004011518f0a00010b0a000201 03e80050000b2032 616263",
    );
    let packet = Packet::parse(&asked);
    let error = IcmpError::about(&packet, 3, 3, 0).expect("answerable").to_vec();
    assert_eq!(hex(&error[..18]), "00000000010100000000000181006005 0800".replace(' ', ""));
    assert_eq!(error.len(), 18 + 20 + 8 + 31);
}

#[test]
fn announcements() {
    let mac: EthAddr = "0a:00:00:00:00:01".parse().expect("an address");
    let garp = Arp::gratuitous(mac, [10, 0, 0, 1].into());
    assert_eq!(
        hex(&garp.to_vec()),
        hex(&bytes(
            "ffffffffffff 0a0000000001 0806 0001080006040001 0a0000000001 0a000001 000000000000 0a000001"
        ))
    );
    let reply = Arp::reply(mac, [10, 0, 0, 1].into(), EthAddr([2; 6]), [10, 0, 0, 2].into());
    assert_eq!(
        hex(&reply.to_vec()),
        hex(&bytes(
            "020202020202 0a0000000001 0806 0001080006040002 0a0000000001 0a000001 020202020202 0a000002"
        ))
    );
    assert_eq!((reply.op, reply.eth), (ArpOp::REPLY, EthHeader::new(mac, EthAddr([2; 6]))));
    let na =
        NeighborAdvert::unsolicited(mac, "fd00::1".parse().expect("an address"), NaFlags::ROUTER).to_vec();
    assert_eq!(hex(&na[..14]), "3333000000010a000000000186dd");
    assert_eq!(hex(&na[58..62]), "a0000000", "router and override, not solicited");
}
