//! The same packets as stock ovn-controller got, and the same answers: byte for byte, or where the responder does what stock has
//! the switch do, the same once that is done.

mod common;

use common::settled::settled;
use common::{Case, cases, hex, packet_in};
use kiln_openflow::msg::{Message, PacketOut, Xid};
use kiln_openflow::{Action, Actions, Field, Version};
use kiln_packet::{Packet, QUOTE_MAX_V4, QUOTE_MAX_V6};
use kiln_responder::{Config, NextHop, Responder};
use kiln_types::{EthAddr, Instant, Rng};

fn unknown(_: &NextHop) -> Option<EthAddr> {
    None
}

/// What goes down after everything that came up in `case`, message by message as it was called for.
fn answers(case: &Case) -> Vec<Message> {
    let mut responder = Responder::new(Config::default(), Rng::with_seed(1));
    let mut out = Vec::new();
    let mut now = Instant::from_secs(1);
    for message in case.messages.iter().filter(|(up, _)| *up).map(|(_, message)| message) {
        now = now + std::time::Duration::from_millis(100);
        responder.packet_in(now, packet_in(message), &unknown);
        responder.take_writes(now);
        out.extend(std::iter::from_fn(|| responder.poll_output()));
    }
    out
}

fn encoded(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode(Version::V1_5, Xid(0), &mut bytes).expect("short enough");
    bytes
}

#[test]
fn answers_are_those_of_stock() {
    let cases = cases(include_str!("stock_wire.txt"));
    assert_eq!(cases.len(), 19);
    for case in &cases {
        let mut stock: Vec<&[u8]> = case.messages.iter().filter(|(up, _)| !up).map(|(_, m)| &m[..]).collect();
        let mut ours: Vec<Vec<u8>> = answers(case).iter().map(encoded).collect();
        assert!(!stock.is_empty());
        if case.name.contains("write the group") {
            // what it starts from differs, and is overwritten
            same_but_for_what_is_overwritten(&ours.remove(0), stock.remove(0));
        } else if case.name.contains("for an IPv4 packet") {
            // stock's solicitation goes to a group that no action corrects; ours is checked below
            ours.remove(0);
        }
        assert_eq!(ours.len(), stock.len(), "{}", case.name);
        for (ours, stock) in ours.iter().zip(stock) {
            match [&ours[..], stock].map(|m| Message::decode(m).expect("a message").1) {
                [Message::PacketOut(ours), Message::PacketOut(stock)] if ours.metadata != stock.metadata => {
                    assert!(ours.actions.iter().count() < stock.actions.iter().count());
                    assert_eq!(settled(&ours), settled(&stock), "{}", case.name);
                }
                _ => assert_eq!(hex(ours), hex(stock), "{}", case.name),
            }
        }
    }
}

/// Two solicitations that are equal once their actions wrote Ethernet destination, destination and target.
fn same_but_for_what_is_overwritten(ours: &[u8], stock: &[u8]) {
    let [ours, stock] = [ours, stock].map(|m| Message::decode(m).expect("a message").1);
    let (ours, stock) = (packet_out(&ours), packet_out(&stock));
    assert_eq!(ours.actions, stock.actions);
    let [ours, stock] = [ours, stock].map(|out| {
        let mut key = Packet::parse(&out.packet).key;
        for action in &out.actions {
            let Action::SetField(v) = action else { continue };
            match v.field {
                Field::ETH_DST => key.eth_dst = EthAddr::from_u64(v.value as u64),
                Field::IPV6_DST => key.ipv6_dst = v.value.into(),
                Field::ND_TARGET => key.nd_target = v.value.into(),
                _ => {}
            }
        }
        key
    });
    assert_eq!(ours, stock);
}

fn packet_out(message: &Message) -> &PacketOut {
    match message {
        Message::PacketOut(packet_out) => packet_out,
        other => panic!("no packet-out: {other:?}"),
    }
}

#[test]
fn an_ipv4_packet_with_an_ipv6_next_hop_asks_the_next_hops_group() {
    let cases = cases(include_str!("stock_wire.txt"));
    let case = cases.iter().find(|c| c.name.contains("for an IPv4 packet")).expect("the case");
    let out = answers(case);
    let key = Packet::parse(&packet_out(&out[0]).packet).key;
    assert!(key.is_neighbor_solicit());
    assert_eq!(key.nd_target.to_string(), "fd02::77");
    assert_eq!(key.ipv6_dst.to_string(), "ff02::1:ff00:77");
    assert_eq!(key.eth_dst.to_string(), "33:33:ff:00:00:77");
}

/// Stock counts the Ethernet header into the 576 and 1280 bytes that an error may have and stops 14 bytes short, and it quotes what was
/// routed before it was too large with the time to live that it would have gone on with; what it sends is otherwise the same.
#[test]
fn long_packets_are_quoted_up_to_the_limit() {
    let cases = cases(include_str!("stock_quotes.txt"));
    assert_eq!(cases.len(), 4);
    for case in &cases {
        let out = answers(case);
        let ours = packet_out(&out[0]);
        let stock = Message::decode(&case.messages[1].1).expect("stock's message").1;
        let stock = packet_out(&stock);
        let [after, before] = [ours, stock].map(settled);
        assert_eq!((&after.fields, &after.rest), (&before.fields, &before.rest), "{}", case.name);
        let (packet, theirs) = (Packet::parse(&ours.packet), Packet::parse(&stock.packet));
        let limit = if packet.key.is_ipv4() { QUOTE_MAX_V4 } else { QUOTE_MAX_V6 };
        let (message, other) = (packet.transport().expect("ICMP"), theirs.transport().expect("ICMP"));
        assert_eq!((message.len(), other.len()), (8 + limit, 8 + limit - 14), "{}", case.name);
        let mut quoted = message[4..8 + limit - 14].to_vec();
        if case.name.contains("_error") {
            // Behind the MTU: an IPv4 header's time to live and checksum, or an IPv6 header's hop limit.
            let (ttl, sum) = if packet.key.is_ipv4() { (12, 14..16) } else { (11, 0..0) };
            assert_eq!(quoted[ttl], other[4 + ttl] + 1, "{}", case.name);
            quoted[ttl] -= 1;
            quoted[sum.clone()].copy_from_slice(&other[4..][sum]);
        }
        assert_eq!(hex(&quoted), hex(&other[4..]), "{}: MTU and quote", case.name);
    }
}

#[test]
fn nested_actions_come_after_the_pipelines_state() {
    let cases = cases(include_str!("stock_wire.txt"));
    let asked = packet_in(&cases[0].messages[0].1);
    let out = answers(&cases[0]);
    let nested = Actions::decode(Version::V1_5, &asked.userdata[8..]).expect("stock's actions");
    let actions = &packet_out(&out[0]).actions;
    assert!(actions.as_bytes().ends_with(nested.as_bytes()));
    assert_eq!(packet_out(&out[0]).in_port(), Some(kiln_types::OfPort::CONTROLLER));
}
