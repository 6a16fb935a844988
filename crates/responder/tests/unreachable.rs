//! What senders are told whose packets' next hop gives no answer.

#![allow(clippy::unnecessary_box_returns, reason = "messages carry packets boxed")]

use kiln_abi::opcodes::Opcode;
use kiln_budget::{Class, Limit, Limits};
use kiln_openflow::msg::{Message, PacketIn};
use kiln_openflow::{Action, Field, Match};
use kiln_packet::{FlowKey, Packet, ethertype, ip_proto};
use kiln_responder::{Config, DropReason, Event, Neighbors, NextHop, Responder};
use kiln_types::{DatapathKey, EthAddr, Instant, PortKey, Rng};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// A router that knows no neighbour, and speaks with `.1` or `::1` of the sender's network. Behind its second port is
/// 10.1.0.0/24.
struct Router;

impl Neighbors for Router {
    fn mac(&self, _: &NextHop) -> Option<EthAddr> {
        None
    }

    fn speaker(&self, router: DatapathKey, port: PortKey, sender: IpAddr) -> Option<IpAddr> {
        assert_eq!((router, port), (DatapathKey(5), PortKey(1)), "of the port that the packet came in by");
        Some(match sender {
            IpAddr::V4(ip) => IpAddr::V4((ip.to_bits() & !0xff | 1).into()),
            IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() & !0xff | 1).into()),
        })
    }

    fn is_broadcast(&self, router: DatapathKey, port: PortKey, ip: Ipv4Addr) -> bool {
        assert_eq!(
            (router, port),
            (DatapathKey(5), PortKey(2)),
            "of the port that the packet would leave by"
        );
        [Ipv4Addr::new(10, 1, 0, 0), Ipv4Addr::new(10, 1, 0, 255)].contains(&ip)
    }
}

/// A router that tells nobody.
struct Silent;

impl Neighbors for Silent {
    fn mac(&self, _: &NextHop) -> Option<EthAddr> {
        None
    }
}

/// A datagram that the router has already taken one off.
fn udp(source: &str, destination: &str) -> Vec<u8> {
    datagram(source, destination, 63)
}

fn datagram(source: &str, destination: &str, nw_ttl: u8) -> Vec<u8> {
    let mut key = FlowKey {
        eth_src: EthAddr([2, 0, 0, 0, 0, 1]),
        nw_proto: ip_proto::UDP,
        nw_ttl,
        tp_src: 1000,
        tp_dst: 2000,
        ..FlowKey::default()
    };
    match (source.parse().unwrap(), destination.parse().unwrap()) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            (key.eth_type, key.nw_src, key.nw_dst) = (ethertype::IPV4, src, dst);
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            (key.eth_type, key.ipv6_src, key.ipv6_dst) = (ethertype::IPV6, src, dst);
        }
        _ => panic!("one family"),
    }
    key.compose(32)
}

fn packet_in(opcode: Opcode, packet: Vec<u8>, next_hop: IpAddr) -> Box<PacketIn> {
    let mut metadata = Match::builder();
    metadata.exact(Field::METADATA, 5u8).exact(Field::reg(14), 1u8).exact(Field::reg(15), 2u8);
    metadata.exact(Field::reg(9), 0x200u16).exact(Field::reg(13), 77u8);
    match next_hop {
        IpAddr::V4(ip) => metadata.exact(Field::reg(0), ip.to_bits()),
        IpAddr::V6(ip) => metadata.exact(Field::xxreg(0), ip.to_bits()),
    };
    Box::new(PacketIn {
        packet: packet.into(),
        reason: PacketIn::REASON_ACTION,
        metadata: metadata.build(),
        userdata: [opcode.0.to_be_bytes(), [0; 4]].concat().into(),
        continuation: (opcode != Opcode::HELD_DOWN).then(|| [1].into()),
        ..PacketIn::default()
    })
}

fn responder(limits: &Limits) -> Responder {
    Responder::new(Config { limits: *limits, ..Config::default() }, Rng::with_seed(1))
}

fn drain(responder: &mut Responder) -> Vec<Message> {
    std::iter::from_fn(|| responder.poll_output()).collect()
}

/// An error: its addresses, its type and code, and the packet that it quotes; and the actions that it goes down with.
fn error(message: &Message) -> (IpAddr, IpAddr, (u16, u16), Vec<u8>, Vec<Action>) {
    let Message::PacketOut(out) = message else { panic!("{message:?}") };
    let packet = Packet::parse(&out.packet);
    let key = packet.key;
    let (src, dst) = if key.is_ipv6() {
        (key.ipv6_src.into(), key.ipv6_dst.into())
    } else {
        (key.nw_src.into(), key.nw_dst.into())
    };
    let quote = packet.transport().expect("an ICMP message")[8..].to_vec();
    (src, dst, (key.tp_src, key.tp_dst), quote, out.actions.iter().collect())
}

/// Three requests without an answer for one packet each, and what comes of them.
fn failed(
    responder: &mut Responder,
    packets: &[Vec<u8>],
    hop: IpAddr,
    neighbors: &impl Neighbors,
) -> Vec<Message> {
    let opcode = if hop.is_ipv4() { Opcode::ARP } else { Opcode::ND_NS };
    let start = Instant::from_secs(10);
    for packet in packets {
        responder.packet_in(start, packet_in(opcode, packet.clone(), hop), neighbors);
    }
    for second in 1..=3 {
        responder.tick(start + Duration::from_secs(second));
    }
    drain(responder);
    let failures = responder.take_failures();
    assert_eq!(failures.len(), 1);
    responder.tell_unreachable(start + Duration::from_secs(3), &failures[0].next_hop, neighbors);
    drain(responder)
}

#[test]
fn senders_of_packets_that_wait_are_told_from_the_address_that_faces_them() {
    for (source, destination, speaker, codes) in
        [("10.0.0.9", "10.1.0.7", "10.0.0.1", (3, 1)), ("fd00::9", "fd01::7", "fd00::1", (1, 3))]
    {
        let mut responder = responder(&Limits::NONE);
        let packet = udp(source, destination);
        let messages =
            failed(&mut responder, std::slice::from_ref(&packet), destination.parse().unwrap(), &Router);
        let [message] = messages.as_slice() else { panic!("{messages:?}") };
        let (src, dst, kind, quote, actions) = error(message);
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!((src, dst, kind), (ip(speaker), ip(source), codes));
        assert_eq!(quote, datagram(source, destination, 64)[14..], "as it came");
        // It is routed anew: what flows use as they like is nothing, what the datapath is known by stays.
        let mut registers = [None; 16];
        for action in &actions {
            if let Action::SetField(v) = action
                && let Some(n) = (0..16).find(|n| v.field == Field::reg(*n))
            {
                registers[usize::from(n)] = Some(v.value);
            }
        }
        assert_eq!(registers[..10], [Some(0); 10]);
        assert_eq!(
            (registers[10], registers[13]),
            (Some(1), Some(77)),
            "it may leave by the port it came in by"
        );
        assert_eq!((registers[14], registers[15]), (Some(1), Some(0)));
        assert_eq!(actions.last(), Some(&Action::resubmit(8 + 15)), "before routes are looked up");
        assert_eq!(responder.load().waiting_packets, 0);
        assert_eq!(responder.counters().total(Event::Dropped(DropReason::Unresolved)), 1);
    }
}

#[test]
fn who_is_not_told_waits_on() {
    let mut responder = responder(&Limits::NONE);
    let packets = [udp("10.0.0.9", "10.1.0.7")];
    assert_eq!(failed(&mut responder, &packets, "10.1.0.7".parse().unwrap(), &Silent), []);
    assert_eq!(responder.load().waiting_packets, 1);
}

/// RFC 1122, section 3.2.2: no error about an error, and none to a source that is no host.
#[test]
fn nothing_is_said_about_errors_and_to_nobody() {
    let mut error = udp("10.0.0.9", "10.1.0.7");
    error[14 + 9] = ip_proto::ICMP;
    error[34..36].copy_from_slice(&[3, 1]);
    let packets = [error, udp("0.0.0.0", "10.1.0.7")];
    let mut responder = responder(&Limits::NONE);
    assert_eq!(failed(&mut responder, &packets, "10.1.0.7".parse().unwrap(), &Router), []);
    assert_eq!(responder.load().waiting_packets, 0);
    let dropped: Vec<&str> = responder
        .counters()
        .iter()
        .filter(|(action, event, _)| *action == "(held down)" && event.starts_with("drop_"))
        .map(|(_, event, _)| event)
        .collect();
    assert_eq!(dropped, ["drop_bad_source", "drop_about_icmp_error"]);
}

/// Who sends to all hosts of a network, or to the network, is told nothing: not of packets that waited, and not of those for a
/// next hop that is held down.
#[test]
fn nothing_is_said_about_packets_to_all() {
    for destination in ["10.1.0.255", "10.1.0.0"] {
        let hop = destination.parse().unwrap();
        let mut responder = responder(&Limits::NONE);
        assert_eq!(failed(&mut responder, &[udp("10.0.0.9", destination)], hop, &Router), []);
        assert_eq!(responder.load().waiting_packets, 1, "it waits on, as at a router that tells nobody");
        let packet = packet_in(Opcode::HELD_DOWN, udp("10.0.0.9", destination), hop);
        responder.packet_in(Instant::from_secs(14), packet, &Router);
        assert_eq!(drain(&mut responder), []);
    }
}

#[test]
fn packets_for_a_next_hop_that_is_held_down_are_told_of_within_the_budget() {
    let mut limits = Limits::NONE;
    limits.of_mut(Class::Unreachable).port = Limit::new(1, 3);
    let mut responder = responder(&limits);
    let now = Instant::from_secs(1);
    for _ in 0..100 {
        let packet = udp("10.0.0.9", "10.1.0.7");
        responder.packet_in(now, packet_in(Opcode::HELD_DOWN, packet, "10.1.0.7".parse().unwrap()), &Router);
    }
    let messages = drain(&mut responder);
    assert_eq!(messages.len(), 3);
    assert_eq!(error(&messages[0]).2, (3, 1));
    let silent = |responder: &mut Responder| {
        let packet = packet_in(Opcode::HELD_DOWN, udp("10.0.0.9", "10.1.0.7"), "10.1.0.7".parse().unwrap());
        responder.packet_in(now + Duration::from_secs(9), packet, &Silent);
        drain(responder)
    };
    assert_eq!(silent(&mut responder), [], "the router no longer tells");
}
