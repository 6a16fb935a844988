//! Flow keys held against stock Open vSwitch: the same frames, whole and mangled, through `ovs-ofctl parse-pcap`.
#![allow(clippy::disallowed_methods, reason = "the peer is a program that reads a file")]

use kiln_packet::{
    Arp, ArpOp, EthHeader, FRAG_ANY, FRAG_LATER, FlowKey, IcmpError, NaFlags, NeighborAdvert,
    NeighborSolicit, Packet, VLAN_PRESENT, ethertype,
};
use kiln_types::{EthAddr, Rng};
use std::fmt::Debug;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::Command;
use std::str::FromStr;

const FRAMES: usize = 20_000;

#[test]
fn keys_equal_those_of_open_vswitch() {
    let mut rng = Rng::with_seed(1);
    // the tool looks into two tags, unlike a switch
    let frames: Vec<Vec<u8>> =
        (0..2 * FRAMES).map(|_| frame(&mut rng)).filter(|f| !two_tags(f)).take(FRAMES).collect();
    let lines = stock_keys(&frames);
    assert_eq!(lines.len(), frames.len(), "one line a frame");
    let mut kinds = std::collections::BTreeMap::new();
    for (frame, line) in frames.iter().zip(&lines) {
        let mut key = FlowKey::extract(frame);
        // the tool prints neither
        key.nd_reserved = 0;
        key.nd_options_type = 0;
        let stock = read_line(line);
        assert_eq!(key, stock, "frame {}\nstock {line}", hex(frame));
        let name = line.split(',').next().unwrap_or_default();
        *kinds.entry(name.to_owned()).or_insert(0) += 1;
    }
    for kind in ["arp", "rarp", "ip", "ipv6", "tcp", "tcp6", "udp", "udp6", "sctp", "sctp6", "icmp", "icmp6"]
    {
        assert!(kinds.get(kind).is_some_and(|n| *n > FRAMES / 200), "too few {kind}: {kinds:?}");
    }
    println!("{} flow keys compared with Open vSwitch's: {kinds:?}", frames.len());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, b| text + &format!("{b:02x}"))
}

fn two_tags(frame: &[u8]) -> bool {
    let tag = |at: usize| matches!(frame.get(at..at + 2), Some([0x81, 0x00] | [0x88, 0xa8]));
    tag(12) && tag(16)
}

/// What `ovs-ofctl parse-pcap` prints, a line a frame.
fn stock_keys(frames: &[Vec<u8>]) -> Vec<String> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4u32, 0x0004_0002, 0, 0, 65535, 1] {
        file.extend(word.to_le_bytes());
    }
    for frame in frames {
        for word in [0, 0, frame.len() as u32, frame.len() as u32] {
            file.extend(word.to_le_bytes());
        }
        file.extend(frame);
    }
    let path = std::env::temp_dir().join(format!("kiln-flow-key-{}.pcap", std::process::id()));
    std::fs::write(&path, file).expect("a temporary file");
    let output = Command::new("ovs-ofctl").arg("parse-pcap").arg(&path).output();
    std::fs::remove_file(&path).expect("the temporary file is ours");
    let output = output.expect("Open vSwitch's ovs-ofctl is needed: apt-get install openvswitch-switch");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").lines().map(str::to_owned).collect()
}

/// The key that a line of ovs-ofctl's stands for.
fn read_line(line: &str) -> FlowKey {
    let mut key = FlowKey::default();
    for item in line.split(',') {
        let (name, value) = item.split_once('=').unwrap_or((item, ""));
        match name {
            "in_port" | "vlan_tci1" | "mpls_lse1" | "mpls_lse2" => {}
            // network service headers, which a mangled type can lead to, are not part of the key
            name if name.starts_with("nsh_") => {}
            "vlan_tci" => key.vlan_tci = number(value) as u16,
            "dl_vlan" => key.vlan_tci |= number(value) as u16 | VLAN_PRESENT,
            "dl_vlan_pcp" => key.vlan_tci |= (number(value) as u16) << 13,
            "dl_src" => key.eth_src = parsed(value),
            "dl_dst" => key.eth_dst = parsed(value),
            "dl_type" => key.eth_type = number(value) as u16,
            "nw_src" | "arp_spa" => key.nw_src = parsed(value),
            "nw_dst" | "arp_tpa" => key.nw_dst = parsed(value),
            "ipv6_src" => key.ipv6_src = parsed(value),
            "ipv6_dst" => key.ipv6_dst = parsed(value),
            "ipv6_label" => key.ipv6_label = number(value),
            "nw_proto" | "arp_op" => key.nw_proto = number(value) as u8,
            "nw_tos" => key.nw_tos |= number(value) as u8,
            "nw_ecn" => key.nw_tos |= number(value) as u8,
            "nw_ttl" => key.nw_ttl = number(value) as u8,
            "nw_frag" => {
                key.nw_frag = match value {
                    "first" => FRAG_ANY,
                    "later" => FRAG_ANY | FRAG_LATER,
                    _ => 0,
                }
            }
            "tp_src" | "icmp_type" => key.tp_src = number(value) as u16,
            "tp_dst" | "icmp_code" => key.tp_dst = number(value) as u16,
            "tcp_flags" => key.tcp_flags = flags(value),
            "nd_target" => key.nd_target = parsed(value),
            "arp_sha" | "nd_sll" => key.hw_src = parsed(value),
            "arp_tha" | "nd_tll" => key.hw_dst = parsed(value),
            "mpls_label" => key.mpls_lse |= number(value) << 12,
            "mpls_tc" => key.mpls_lse |= number(value) << 9,
            "mpls_bos" => key.mpls_lse |= number(value) << 8,
            "mpls_ttl" => key.mpls_lse |= number(value),
            protocol => (key.eth_type, key.nw_proto) = numbers_of(protocol),
        }
    }
    key
}

fn numbers_of(protocol: &str) -> (u16, u8) {
    match protocol {
        "ip" => (ethertype::IPV4, 0),
        "icmp" => (ethertype::IPV4, 1),
        "tcp" => (ethertype::IPV4, 6),
        "udp" => (ethertype::IPV4, 17),
        "sctp" => (ethertype::IPV4, 132),
        "ipv6" => (ethertype::IPV6, 0),
        "icmp6" => (ethertype::IPV6, 58),
        "tcp6" => (ethertype::IPV6, 6),
        "udp6" => (ethertype::IPV6, 17),
        "sctp6" => (ethertype::IPV6, 132),
        "arp" => (ethertype::ARP, 0),
        "rarp" => (ethertype::RARP, 0),
        "mpls" => (ethertype::MPLS, 0),
        "mplsm" => (ethertype::MPLS_MULTICAST, 0),
        other => panic!("ovs-ofctl printed {other}"),
    }
}

fn number(text: &str) -> u32 {
    match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).expect("a hexadecimal number"),
        None => text.parse().expect("a number"),
    }
}

fn parsed<T: FromStr<Err: Debug>>(text: &str) -> T {
    text.parse().expect("an address")
}

fn flags(text: &str) -> u16 {
    const NAMES: [&str; 9] = ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns"];
    let one = |name: &str| match NAMES.iter().position(|n| *n == name) {
        Some(bit) => 1 << bit,
        None => u16::from_str_radix(name.trim_matches(['[', ']']), 16).expect("a bit without a name"),
    };
    text.split('|').map(one).fold(0, |all, bit| all | bit)
}

/// A frame of any kind that the key knows, one in two mangled or cut.
fn frame(rng: &mut Rng) -> Vec<u8> {
    let mut frame = whole_frame(rng);
    if rng.bool() {
        return frame;
    }
    for _ in 0..rng.usize(1..4) {
        // headers are where lengths and types are
        let at = rng.usize(12..frame.len().min(90));
        frame[at] = if rng.bool() { rng.u8(..) } else { frame[at] ^ (1 << rng.u8(0..8)) };
    }
    match rng.u8(0..4) {
        0 => frame.truncate(rng.usize(10..=frame.len())),
        1 => frame.extend(std::iter::repeat_with(|| rng.u8(..)).take(20).collect::<Vec<_>>()),
        _ => {}
    }
    frame
}

fn whole_frame(rng: &mut Rng) -> Vec<u8> {
    let vlan_tci = if rng.u8(0..4) == 0 { rng.u16(..) | VLAN_PRESENT } else { 0 };
    let eth = EthHeader { dst: mac(rng), src: mac(rng), vlan_tci };
    match rng.u8(0..14) {
        0 => {
            let op = ArpOp(if rng.bool() { rng.u16(0..5) } else { rng.u16(..) });
            let (sha, tha) = (mac(rng), mac(rng));
            let mut frame = Arp { eth, op, sha, spa: v4(rng), tha, tpa: v4(rng) }.to_vec();
            if rng.bool() {
                set_eth_type(&mut frame, ethertype::RARP);
            }
            frame
        }
        1 => {
            let slla = rng.bool().then(|| mac(rng));
            NeighborSolicit { eth, ip_src: v6(rng), ip_dst: v6(rng), target: v6(rng), slla }.to_vec()
        }
        2 => {
            let tlla = rng.bool().then(|| mac(rng));
            let flags = NaFlags(rng.u8(..) & 0xe0);
            NeighborAdvert { eth, ip_src: v6(rng), ip_dst: v6(rng), flags, target: v6(rng), tlla }.to_vec()
        }
        3 => {
            let inner = ip_frame(rng, eth, true);
            match IcmpError::about(&Packet::parse(&inner), 3, 1, 0) {
                Ok(error) => error.to_vec(),
                Err(_) => inner,
            }
        }
        4 => {
            let mut frame = eth_frame(eth, ethertype::MPLS + u16::from(rng.bool()));
            frame.extend(rng.u32(..).to_be_bytes());
            frame.extend([0; 30]);
            frame
        }
        5 => {
            let mut frame = eth_frame(eth, 46);
            frame.extend([0xaa, 0xaa, 3, 0, 0, 0, 8, 0]);
            frame.extend(&ip_frame(rng, EthHeader { vlan_tci: 0, ..eth }, true)[14..]);
            frame
        }
        n => ip_frame(rng, eth, n % 2 == 0),
    }
}

/// IPv4 or IPv6, with options or extension headers now and then, and something like a transport header.
fn ip_frame(rng: &mut Rng, eth: EthHeader, is_v4: bool) -> Vec<u8> {
    let proto = [1, 2, 6, 6, 17, 17, 58, 58, 132, 132, rng.u8(..)][rng.usize(0..11)];
    let mut body: Vec<u8> = (0..rng.usize(0..70)).map(|_| rng.u8(..)).collect();
    if proto == 6 && body.len() > 12 && rng.bool() {
        body[12] = 0x50;
    }
    if proto == 58 && body.len() > 40 && rng.bool() {
        body[..2].copy_from_slice(&[135 + u8::from(rng.bool()), 0]);
        for at in [24, 32] {
            body[at] = rng.u8(0..3);
            body[at + 1] = rng.u8(0..3);
        }
    }
    let mut frame = eth_frame(eth, if is_v4 { ethertype::IPV4 } else { ethertype::IPV6 });
    if is_v4 {
        let words = if rng.bool() { 5 } else { rng.u8(5..16) };
        let len = usize::from(words) * 4 + body.len();
        let frag = if rng.bool() { rng.u16(..) & 0x6003 } else { 0 };
        frame.extend([0x40 | words, rng.u8(..), (len >> 8) as u8, len as u8, 0, 1]);
        frame.extend(frag.to_be_bytes());
        frame.extend([rng.u8(..), proto, 0, 0]);
        frame.extend(v4(rng).octets());
        frame.extend(v4(rng).octets());
        frame.extend(vec![1; usize::from(words - 5) * 4]);
    } else {
        let (first, extensions) = extensions(rng, proto);
        let len = (extensions.len() + body.len()) as u16;
        frame.extend((6 << 28 | rng.u32(..) >> 4).to_be_bytes());
        frame.extend(len.to_be_bytes());
        frame.extend([first, rng.u8(..)]);
        frame.extend(v6(rng).octets());
        frame.extend(v6(rng).octets());
        frame.extend(extensions);
    }
    frame.extend(body);
    frame
}

/// Up to three extension headers before `proto`, and the number of the first.
fn extensions(rng: &mut Rng, proto: u8) -> (u8, Vec<u8>) {
    let mut bytes = Vec::new();
    let mut next = proto;
    for _ in 0..rng.usize(0..4) {
        let kind = [0, 43, 44, 51, 60][rng.usize(0..5)];
        let mut header = vec![0u8; 8];
        header[0] = next;
        match kind {
            44 => header[2..4].copy_from_slice(&[0, rng.u8(..) & 0x0b]),
            51 => header = vec![next, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
            _ if rng.bool() => header.extend([0; 8]),
            _ => {}
        }
        if header.len() == 16 {
            header[1] = 1;
        }
        header.extend(bytes);
        bytes = header;
        next = kind;
    }
    (next, bytes)
}

fn eth_frame(eth: EthHeader, eth_type: u16) -> Vec<u8> {
    let mut frame = Arp { eth, ..Arp::gratuitous(eth.src, Ipv4Addr::UNSPECIFIED) }.to_vec();
    frame.truncate(eth.buffer_len());
    set_eth_type(&mut frame, eth_type);
    frame
}

fn set_eth_type(frame: &mut [u8], eth_type: u16) {
    let at = if frame[12..14] == [0x81, 0x00] { 16 } else { 12 };
    frame[at..at + 2].copy_from_slice(&eth_type.to_be_bytes());
}

fn mac(rng: &mut Rng) -> EthAddr {
    EthAddr::from_u64(rng.u64(..))
}

fn v4(rng: &mut Rng) -> Ipv4Addr {
    Ipv4Addr::from_bits(rng.u32(..))
}

fn v6(rng: &mut Rng) -> Ipv6Addr {
    Ipv6Addr::from_bits(rng.u128(..))
}
