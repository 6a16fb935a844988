//! Packets that are too large: cut, if their senders allow it, or told of.

#![allow(clippy::unnecessary_box_returns, reason = "messages carry packets boxed")]

use kiln_abi::opcodes::Opcode;
use kiln_budget::{Class, Level, Limit, Limits};
use kiln_openflow::msg::{Message, PacketIn};
use kiln_openflow::{Action, Actions, Field, Match};
use kiln_packet::Packet;
use kiln_responder::{Config, DropReason, Event, MAX_OUTPUT, NextHop, Responder};
use kiln_types::{EthAddr, Instant, Rng};

/// An IPv4 datagram of 20 + `payload_len` bytes behind its Ethernet header.
fn datagram(flags: u16, payload_len: usize) -> Vec<u8> {
    let mut ip = vec![0x45, 0];
    ip.extend((20 + payload_len as u16).to_be_bytes());
    ip.extend([0xab, 0xcd]);
    ip.extend(flags.to_be_bytes());
    ip.extend([63, 17, 0, 0, 10, 0, 0, 1, 10, 0, 1, 1]);
    let sum = kiln_packet::checksum::of(&ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    ip.extend((0..payload_len).map(|n| (n % 251) as u8));
    [&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0], &ip[..]].concat()
}

fn packet_in(mtu: &[u8], packet: Vec<u8>) -> Box<PacketIn> {
    let mut userdata = [Opcode::FRAGMENT.0.to_be_bytes(), [0; 4]].concat();
    userdata.extend(mtu);
    if mtu.len() == 8 {
        userdata.extend(Actions::encode(&[Action::resubmit(8)]).unwrap().as_bytes());
    }
    let mut metadata = Match::builder();
    metadata.exact(Field::METADATA, 5u8).exact(Field::reg(14), 1u8).exact(Field::reg(15), 2u8);
    Box::new(PacketIn {
        packet: packet.into(),
        reason: PacketIn::REASON_ACTION,
        metadata: metadata.build(),
        userdata: userdata.into(),
        continuation: Some([7, 7, 7].into()),
        ..PacketIn::default()
    })
}

const MTU_600: [u8; 8] = [600_u16.to_be_bytes()[0], 600_u16.to_be_bytes()[1], 0, 0, 0, 0, 0, 0];

fn unknown(_: &NextHop) -> Option<EthAddr> {
    None
}

fn responder(limits: &Limits) -> Responder {
    Responder::new(Config { limits: *limits, ..Config::default() }, Rng::with_seed(1))
}

fn served(packet_in: Box<PacketIn>) -> (Responder, Vec<Message>) {
    let mut responder = responder(&Limits::NONE);
    responder.packet_in(Instant::from_secs(1), packet_in, &unknown);
    let messages = std::iter::from_fn(|| responder.poll_output()).collect();
    (responder, messages)
}

#[test]
fn the_pieces_go_on_as_the_packet_would_have() {
    let (responder, messages) = served(packet_in(&MTU_600, datagram(0, 1400)));
    let pieces: Vec<&PacketIn> = messages
        .iter()
        .map(|message| match message {
            Message::Resume(piece) => &**piece,
            other => panic!("{other:?}"),
        })
        .collect();
    let mut payload = Vec::new();
    let mut flags = Vec::new();
    for piece in &pieces {
        assert_eq!(piece.continuation.as_deref(), Some(&[7, 7, 7][..]));
        assert!(piece.userdata.is_empty());
        let packet = Packet::parse(&piece.packet);
        assert!(packet.ip().len() <= 600);
        flags.push(u16::from_be_bytes([packet.ip()[6], packet.ip()[7]]));
        payload.extend_from_slice(&packet.ip()[20..]);
    }
    // 576 bytes are the most of a multiple of eight that fit behind a header of 20: offsets count in eights.
    assert_eq!(flags, [0x2000, 0x2000 + 72, 144]);
    assert_eq!(payload, datagram(0, 1400)[34..]);
    assert_eq!(responder.counters().get(Opcode::FRAGMENT, Event::Cut), 1);
}

#[test]
fn who_forbids_it_is_told_of_the_mtu() {
    let (_, messages) = served(packet_in(&MTU_600, datagram(0x4000, 1400)));
    let [Message::PacketOut(out)] = messages.as_slice() else { panic!("{messages:?}") };
    let error = Packet::parse(&out.packet);
    assert_eq!((error.key.tp_src, error.key.tp_dst), (3, 4), "fragmentation needed");
    let message = error.transport().expect("an ICMP message");
    assert_eq!(message[4..8], [0, 0, 2, 88], "600");
    let mut came = datagram(0x4000, 1400);
    came[14 + 8] += 1;
    assert_eq!(message[8..18], came[14..24], "it is quoted with the time to live that it came with");
    assert_eq!(message[20..], came[26..14 + 548], "576 bytes with the headers");
    assert_eq!(kiln_packet::checksum::of(&message[8..28]), 0, "the quoted header's checksum holds");
    let last = out.actions.iter().last();
    assert_eq!(last, Some(Action::resubmit(8)), "what the action nests is done with it");
}

#[test]
fn what_cannot_be_cut_is_dropped() {
    let reason = |packet_in| {
        let (responder, messages) = served(packet_in);
        assert!(messages.is_empty(), "{messages:?}");
        let dropped = responder.counters().iter().find(|(_, event, _)| event.starts_with("drop_"));
        dropped.map(|(_, event, _)| event)
    };
    assert_eq!(reason(packet_in(&MTU_600[..4], datagram(0, 1400))), Some("drop_bad_actions"));
    assert_eq!(reason(packet_in(&[0, 20, 0, 0, 0, 0, 0, 0], datagram(0, 1400))), Some("drop_mtu_too_small"));
    assert_eq!(reason(packet_in(&MTU_600, datagram(0x4000 | 9, 1400))), Some("drop_later_fragment"));
    assert_eq!(reason(packet_in(&MTU_600, datagram(0x1fff, 1400))), Some("drop_bad_fragment"));
    let unpaused = PacketIn { continuation: None, ..*packet_in(&MTU_600, datagram(0, 1400)) };
    assert_eq!(reason(Box::new(unpaused)), Some("drop_not_paused"));
    let nobody_told = |flags| {
        let mut packet_in = packet_in(&MTU_600, datagram(flags, 1400));
        packet_in.userdata = packet_in.userdata[..16].into();
        packet_in
    };
    assert_eq!(reason(nobody_told(0x4000)), Some("drop_must_not_be_cut"));
    assert_eq!(served(nobody_told(0)).1.len(), 3, "what may be cut is");
}

/// A datagram costs as much as it comes to, so that large ones are not cheap.
#[test]
fn each_piece_is_paid_for() {
    let mut limits = Limits::NONE;
    limits.of_mut(Class::Fragment).port = Limit::new(1, 7);
    let mut responder = responder(&limits);
    let now = Instant::from_secs(1);
    for _ in 0..4 {
        responder.packet_in(now, packet_in(&MTU_600, datagram(0, 1400)), &unknown);
    }
    let counters = responder.counters();
    assert_eq!(counters.get(Opcode::FRAGMENT, Event::Cut), 3, "three, three, and the one token that is left");
    assert_eq!(counters.get(Opcode::FRAGMENT, Event::Dropped(DropReason::OverBudget(Level::Port))), 1);
}

/// Either all pieces go out or none.
#[test]
fn no_datagram_goes_out_in_part() {
    let mut responder = responder(&Limits::NONE);
    let now = Instant::from_secs(1);
    for _ in 0..MAX_OUTPUT {
        responder.packet_in(now, packet_in(&MTU_600, datagram(0, 1400)), &unknown);
    }
    assert_eq!(responder.load().output, MAX_OUTPUT / 3 * 3);
}
