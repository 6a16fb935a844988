//! Bounds, order, timers and counters, with packets made for the purpose.

#![allow(clippy::unnecessary_box_returns, reason = "messages carry packets boxed")]

mod common;

use kiln_abi::opcodes::Opcode;
use kiln_budget::{Class, Level, Limits};
use kiln_openflow::msg::{Message, PacketIn};
use kiln_openflow::{Action, Actions, Field, Match};
use kiln_packet::{Arp, EthHeader, NaFlags, NeighborAdvert, NeighborSolicit, Packet, Unanswerable};
use kiln_responder::*;
use kiln_types::{DatapathKey, EthAddr, Instant, PortKey, Rng};
use proptest::prelude::*;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

const ROUTER: EthAddr = EthAddr([0, 0, 0, 0, 1, 2]);
const HOST: EthAddr = EthAddr([0, 0, 0, 0, 0, 2]);
/// Not one of the datapaths in stock's messages.
const DATAPATH: DatapathKey = DatapathKey(0x1234);
const INPORT: PortKey = PortKey(1);
const OUTPORT: PortKey = PortKey(2);

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn unknown(_: &NextHop) -> Option<EthAddr> {
    None
}

/// With no budget in the way of what is tested.
fn responder() -> Responder {
    let config = Config { limits: Limits::NONE, ..Config::default() };
    Responder::new(config, Rng::with_seed(7))
}

fn v4(n: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0a00_0000 + n)
}

fn hop(ip: impl Into<IpAddr>) -> NextHop {
    NextHop { datapath: DATAPATH, port: OUTPORT, ip: ip.into() }
}

/// An IPv4 packet of protocol `proto` with `payload` behind its header.
fn ipv4(proto: u8, payload: &[u8]) -> Vec<u8> {
    let len = (20 + payload.len()) as u16;
    let mut frame = [&ROUTER.0[..], &HOST.0, &[8, 0, 0x45, 0], &len.to_be_bytes()].concat();
    frame.extend([0, 1, 0, 0, 63, proto, 0, 0, 10, 0, 1, 11, 10, 0, 2, 22]);
    frame.extend(payload);
    frame
}

fn udp(serial: u16) -> Vec<u8> {
    let [a, b] = serial.to_be_bytes();
    ipv4(17, &[3, 232, 7, 208, 0, 10, 0, 0, a, b])
}

fn tcp(flags: u8) -> Vec<u8> {
    ipv4(6, &[3, 232, 0, 80, 0, 0, 0, 1, 0, 0, 0, 2, 0x50, flags, 0, 0, 0, 0, 0, 0])
}

/// A packet-in as a switch sends it: registers as given, the datapath, both ports.
fn packet_in(
    opcode: Opcode,
    packet: Vec<u8>,
    nested: &[Action],
    registers: &[(Field, u128)],
) -> Box<PacketIn> {
    let mut userdata = [opcode.0.to_be_bytes(), [0; 4]].concat();
    userdata.extend(Actions::encode(nested).expect("short enough").as_bytes());
    let mut metadata = Match::builder();
    metadata
        .exact(Field::METADATA, DATAPATH.0)
        .exact(Field::reg(14), INPORT.0)
        .exact(Field::reg(15), OUTPORT.0);
    for (field, value) in registers {
        metadata.exact(*field, *value);
    }
    Box::new(PacketIn {
        packet: packet.into(),
        reason: PacketIn::REASON_ACTION,
        metadata: metadata.build(),
        userdata: userdata.into(),
        continuation: Some([1, 2, 3].into()),
        ..PacketIn::default()
    })
}

fn query(ip: Ipv4Addr, serial: u16) -> Box<PacketIn> {
    packet_in(Opcode::ARP, udp(serial), &[Action::resubmit(42)], &[(Field::reg(0), ip.to_bits().into())])
}

/// An ARP answer, or a broadcast announcement, of `ip` at `mac`.
fn heard(ip: Ipv4Addr, mac: EthAddr, flooded: bool) -> Box<PacketIn> {
    let arp = Arp::gratuitous(mac, ip);
    let arp = if flooded { arp } else { Arp { eth: EthHeader::new(mac, ROUTER), ..arp } };
    packet_in(Opcode::PUT_ARP, arp.to_vec(), &[], &[(Field::reg(0), ip.to_bits().into())])
}

fn binding(ip: impl Into<IpAddr>, mac: EthAddr) -> Write {
    Write::MacBinding(NextHop { datapath: DATAPATH, port: INPORT, ip: ip.into() }, mac)
}

fn drain(responder: &mut Responder) -> Vec<Message> {
    std::iter::from_fn(|| responder.poll_output()).collect()
}

/// The serial numbers of the packets that are resumed, checking that each goes to `HOST` with its continuation.
fn resumed(messages: &[Message]) -> Vec<u16> {
    let serial = |message: &Message| {
        let Message::Resume(packet_in) = message else { return None };
        assert_eq!(packet_in.packet[..6], HOST.0);
        assert_eq!(packet_in.continuation.as_deref(), Some(&[1, 2, 3][..]));
        assert!(packet_in.userdata.is_empty());
        packet_in.packet.last_chunk().map(|b| u16::from_be_bytes(*b))
    };
    messages.iter().filter_map(serial).collect()
}

#[test]
fn a_flood_to_one_next_hop_costs_one_request_a_second_and_keeps_the_newest() {
    let mut responder = responder();
    let start = Instant::from_secs(1);
    for serial in 0..30_000u16 {
        let now = start + Duration::from_micros(u64::from(serial) * 100);
        if responder.deadline().is_some_and(|due| due <= now) {
            responder.tick(now);
        }
        responder.packet_in(now, query(v4(1), serial), &unknown);
    }
    let requests = drain(&mut responder);
    assert_eq!(requests.len(), 3, "3 s of packets");
    assert!(requests.iter().all(|m| matches!(m, Message::PacketOut(_))));
    let counters = responder.counters();
    assert_eq!(counters.get(Opcode::ARP, Event::Paced), 29_999);
    assert_eq!(counters.get(Opcode::ARP, Event::Dropped(DropReason::PushedOut)), 29_996);
    responder.binding_known(&hop(v4(1)), HOST);
    assert_eq!(resumed(&drain(&mut responder)), [29_996, 29_997, 29_998, 29_999]);
    assert_eq!(responder.load(), Load::default());
}

#[test]
fn next_hops_are_told_apart_by_datapath_port_and_address() {
    let mut responder = responder();
    responder.packet_in(Instant::ZERO, query(v4(1), 1), &unknown);
    drain(&mut responder);
    let right = hop(v4(1));
    for wrong in [
        hop(v4(2)),
        NextHop { port: INPORT, ..right },
        NextHop { datapath: DatapathKey(4), ..right },
        hop(v4(1).to_ipv6_mapped()),
    ] {
        responder.binding_known(&wrong, HOST);
        assert!(drain(&mut responder).is_empty(), "{wrong:?}");
    }
    responder.binding_known(&right, HOST);
    assert_eq!(resumed(&drain(&mut responder)), [1]);
}

#[test]
fn a_next_hop_that_is_known_already_is_not_asked_for() {
    let mut responder = responder();
    let known = |h: &NextHop| (*h == hop(v4(1))).then_some(HOST);
    responder.packet_in(Instant::ZERO, query(v4(1), 5), &known);
    let out = drain(&mut responder);
    assert_eq!((resumed(&out), out.len()), (vec![5], 1));
}

#[test]
fn packets_wait_ten_seconds() {
    let mut responder = responder();
    let start = Instant::from_secs(100);
    responder.packet_in(start, query(v4(1), 1), &unknown);
    responder.packet_in(start + ms(4000), query(v4(1), 2), &unknown);
    for s in 1..10 {
        responder.tick(start + ms(1000 * s));
        assert_eq!(responder.load().waiting_packets, 2);
    }
    responder.tick(start + MAX_WAIT);
    assert_eq!(responder.load().waiting_packets, 1);
    responder.binding_known(&hop(v4(1)), HOST);
    assert_eq!(resumed(&drain(&mut responder)), [2], "a late answer is as good as any");
    assert_eq!(responder.counters().get(Opcode::ARP, Event::Dropped(DropReason::Unresolved)), 1);
}

/// The same request each second, three times; then a failure, and silence for as long as the next hop is held down.
#[test]
fn a_next_hop_without_an_answer_fails_and_is_held_down() {
    let mut responder = responder();
    let start = Instant::from_secs(100);
    responder.packet_in(start, query(v4(1), 1), &unknown);
    let first = drain(&mut responder);
    for s in 1..3 {
        assert_eq!(responder.deadline(), Some(start + ms(1000 * s)));
        responder.tick(start + ms(1000 * s));
        assert_eq!(drain(&mut responder), first);
    }
    let failed = start + ms(3000);
    assert_eq!(responder.take_failures(), []);
    responder.tick(failed);
    let expected = Failure { next_hop: hop(v4(1)), until: failed + HOLD_DOWN, asked_again: false };
    assert_eq!(responder.load().failures, 1);
    assert_eq!(responder.take_failures(), [expected]);
    responder.tell_unreachable(failed, &hop(v4(1)), &unknown);
    assert_eq!(responder.load().waiting_packets, 1, "nobody is told, and a late answer is as good as any");
    for serial in 0..1000 {
        responder.packet_in(failed + ms(u64::from(serial)), query(v4(1), serial), &unknown);
    }
    assert!(drain(&mut responder).is_empty());
    let counters = responder.counters();
    assert_eq!(counters.get(Opcode::ARP, Event::Dropped(DropReason::HeldDown)), 1000);
    assert_eq!(counters.get(Opcode::ARP, Event::Failed), 1);
    // another next hop is asked for all the while, and this one again in the end
    responder.packet_in(failed, query(v4(2), 2), &unknown);
    assert_eq!(drain(&mut responder).len(), 1);
    responder.packet_in(failed + HOLD_DOWN, query(v4(1), 3), &unknown);
    assert_eq!(drain(&mut responder).len(), 1);
    // a binding ends a hold-down at once
    responder.tick(failed + ms(9000));
    responder.binding_known(&hop(v4(1)), HOST);
    responder.packet_in(failed + ms(9000), query(v4(1), 4), &unknown);
    assert!(drain(&mut responder).iter().any(|m| matches!(m, Message::PacketOut(_))));
}

/// What would be sent to a switch that is away is no try: nobody was asked.
#[test]
fn a_next_hop_does_not_fail_while_the_switch_is_away() {
    let mut responder = responder();
    let start = Instant::from_secs(100);
    responder.packet_in(start, query(v4(1), 1), &unknown);
    let first = drain(&mut responder);
    responder.set_has_switch(false);
    for s in 1..6 {
        responder.tick(start + ms(1000 * s));
    }
    assert!(drain(&mut responder).is_empty());
    assert_eq!(responder.take_failures(), []);
    assert_eq!(responder.counters().get(Opcode::ARP, Event::NotAsked), 5);
    responder.set_has_switch(true);
    for s in 6..8 {
        responder.tick(start + ms(1000 * s));
        assert_eq!(drain(&mut responder), first);
    }
    responder.tick(start + ms(8000));
    assert_eq!(responder.take_failures().len(), 1, "after three that were sent");
}

#[test]
fn failures_that_nobody_takes_are_bounded() {
    let mut responder = responder();
    for n in 0..3000 {
        let now = Instant::from_secs(u64::from(n / 500) * 10);
        responder.packet_in(now, query(v4(n), 0), &unknown);
        if n % 500 == 499 {
            for s in 1..9 {
                responder.tick(now + ms(1000 * s));
            }
            drain(&mut responder);
        }
    }
    assert_eq!(responder.load().failures, MAX_FAILURES);
    assert_eq!(responder.take_failures().last().map(|f| f.next_hop), Some(hop(v4(2999))));
}

/// What is sent is paid for, by whom it is sent for; a flood from one does not keep another from being served.
#[test]
fn every_class_of_answer_is_paid_for() {
    let na = NeighborSolicit::multicast(HOST, "fd00::1".parse().expect("an address")).to_vec();
    let expired = |mut frame: Vec<u8>| {
        frame[22] = 1;
        frame
    };
    let rows = [
        (Opcode::ICMP, udp(0), Class::Unreachable),
        (Opcode::ICMP, expired(udp(0)), Class::Error),
        (Opcode::ICMP4_ERROR, udp(0), Class::Error),
        (Opcode::TCP_RESET, tcp(2), Class::Reset),
        (Opcode::REJECT, tcp(2), Class::Reset),
        (Opcode::REJECT, udp(0), Class::Unreachable),
        (Opcode::ND_NA, na, Class::Neighbor),
    ];
    for (opcode, packet, class) in rows {
        let mut responder = Responder::new(Config::default(), Rng::with_seed(7));
        let now = Instant::from_secs(1);
        let send = |responder: &mut Responder, n: usize, source: u8, port: u16| {
            let mut sent = 0;
            for _ in 0..n {
                let mut packet = packet.clone();
                if opcode != Opcode::ND_NA {
                    packet[29] = source;
                }
                let mut packet_in = packet_in(opcode, packet, &[], &[]);
                packet_in.metadata = packet_in.metadata.to_builder().exact(Field::reg(14), port).build();
                responder.packet_in(now, packet_in, &unknown);
                sent += drain(responder).len();
            }
            sent
        };
        let limits = *Limits::default().of(class);
        let source = limits.source.unwrap_or(limits.port);
        let passed = send(&mut responder, 3 * source.burst as usize, 1, 1);
        assert_eq!(passed, source.burst as usize, "{opcode:?}");
        assert_eq!(responder.budgets().counts(class).paid, passed as u64);
        let level = if limits.source.is_some() { Level::Source } else { Level::Port };
        let over = Event::Dropped(DropReason::OverBudget(level));
        assert_eq!(responder.counters().get(opcode, over), 2 * u64::from(source.burst));
        assert_eq!(send(&mut responder, 10, 2, 2), 10, "{opcode:?}: another port");
        if limits.source.is_some() {
            assert_eq!(send(&mut responder, 10, 3, 1), 10, "{opcode:?}: another source");
        }
    }
}

/// A scan of many next hops is not asked for beyond the budget for requests.
#[test]
fn requests_are_paid_for_when_they_are_sent() {
    let mut responder = Responder::new(Config::default(), Rng::with_seed(7));
    let now = Instant::from_secs(1);
    for n in 0..900 {
        responder.packet_in(now, query(v4(n), 0), &unknown);
    }
    let burst = Limits::default().of(Class::Query).source.expect("sources are told apart").burst;
    assert_eq!(drain(&mut responder).len(), burst as usize);
    assert_eq!(responder.load().next_hops, burst as usize, "what is not asked for does not wait");
    // a second on there is budget for some of the repetitions
    responder.tick(now + ms(1000));
    let again = drain(&mut responder).len() as u64;
    let not_asked = responder.counters().get(Opcode::ARP, Event::NotAsked);
    assert_eq!(again + not_asked, u64::from(burst));
    assert!(again > 0 && not_asked > 0, "{again} {not_asked}");
}

#[test]
fn packets_of_a_port_that_goes_away_are_dropped() {
    let mut responder = responder();
    responder.packet_in(Instant::ZERO, query(v4(1), 1), &unknown);
    responder.forget(|datapath, port| datapath == DATAPATH && port == OUTPORT);
    assert_eq!(responder.counters().get(Opcode::ARP, Event::Dropped(DropReason::PortGone)), 1);
    assert_eq!(responder.load().waiting_packets, 0);
    responder.packet_in(Instant::ZERO, heard(v4(1), HOST, true), &unknown);
    assert_eq!(responder.load().pending_bindings, 1);
    responder.forget(|datapath, _| datapath == DATAPATH);
    assert_eq!(
        (responder.load().pending_bindings, responder.take_writes(Instant::from_secs(9))),
        (0, vec![])
    );
}

/// The answer of a neighbour that was asked for: it comes in by the port that the request went out by.
fn answer(ip: Ipv4Addr, mac: EthAddr) -> Box<PacketIn> {
    let mut answer = heard(ip, mac, false);
    answer.metadata = answer.metadata.to_builder().exact(Field::reg(14), OUTPORT.0).build();
    answer
}

/// Neither what waited nor what comes before the row does waits for the database.
#[test]
fn an_answer_releases_what_waits_for_it_at_once() {
    let mut responder = responder();
    let start = Instant::from_secs(1);
    responder.packet_in(start, query(v4(1), 1), &unknown);
    drain(&mut responder);
    responder.packet_in(start, answer(v4(1), HOST), &unknown);
    assert_eq!(resumed(&drain(&mut responder)), [1]);
    let (end, before_end) = (start + ANSWER_LIFETIME, start + ANSWER_LIFETIME.saturating_sub(ms(1)));
    assert_eq!(responder.take_writes(start), [Write::MacBinding(hop(v4(1)), HOST)]);
    assert_eq!(responder.deadline(), Some(end));
    responder.tick(before_end);
    responder.packet_in(before_end, query(v4(1), 2), &unknown);
    assert_eq!(resumed(&drain(&mut responder)), [2]);
    // the row never came
    responder.tick(end);
    responder.packet_in(end, query(v4(1), 3), &unknown);
    assert_eq!(resumed(&drain(&mut responder)), [0; 0]);
    assert_eq!(responder.load().waiting_packets, 1);
}

#[test]
fn the_latest_answer_is_remembered() {
    let mut responder = responder();
    let now = Instant::from_secs(1);
    responder.packet_in(now, query(v4(1), 1), &unknown);
    for mac in [HOST, EthAddr([0, 0, 0, 0, 0, 9])] {
        responder.packet_in(now, answer(v4(1), mac), &unknown);
        drain(&mut responder);
        responder.packet_in(now, query(v4(1), 2), &unknown);
        let sent = drain(&mut responder);
        let Some(Message::Resume(packet)) = sent.first() else { panic!("{sent:?}") };
        assert_eq!(packet.packet[..6], mac.0);
    }
}

#[test]
fn an_answer_is_remembered_until_its_row_comes() {
    let mut responder = responder();
    let now = Instant::from_secs(1);
    responder.packet_in(now, query(v4(1), 1), &unknown);
    responder.packet_in(now, answer(v4(1), HOST), &unknown);
    responder.binding_known(&hop(v4(1)), HOST);
    drain(&mut responder);
    responder.packet_in(now, query(v4(1), 2), &unknown);
    assert_eq!(resumed(&drain(&mut responder)), [0; 0], "its row has come and gone again");
}

#[test]
fn answers_to_one_are_written_at_once_and_announcements_to_all_at_random_times() {
    let mut responder = responder();
    let now = Instant::from_secs(1);
    responder.packet_in(now, heard(v4(1), HOST, false), &unknown);
    assert_eq!(responder.deadline(), Some(now));
    assert_eq!(responder.take_writes(now), [binding(v4(1), HOST)]);

    let mut seen = std::collections::BTreeSet::new();
    for n in 0..200 {
        let mut responder = Responder::new(Config::default(), Rng::with_seed(n));
        responder.packet_in(now, heard(v4(1), HOST, true), &unknown);
        let due = responder.deadline().expect("something to write");
        assert!(due > now && due <= now + ms(50), "{:?}", due - now);
        assert_eq!(responder.take_writes(Instant::from_micros(due.as_micros() - 1)), []);
        assert_eq!(responder.take_writes(due), [binding(v4(1), HOST)]);
        seen.insert(due);
    }
    assert!(seen.len() > 30, "spread over the whole delay: {}", seen.len());

    let config = Config { race_delay_max: Duration::ZERO, ..Config::default() };
    let mut responder = Responder::new(config, Rng::with_seed(1));
    responder.packet_in(now, heard(v4(1), HOST, true), &unknown);
    assert_eq!(responder.deadline(), Some(now));
}

#[test]
fn the_latest_of_two_answers_is_written() {
    let mut responder = responder();
    let other = EthAddr([0, 0, 0, 0, 0, 9]);
    responder.packet_in(Instant::ZERO, heard(v4(1), HOST, false), &unknown);
    responder.packet_in(Instant::ZERO, heard(v4(1), other, true), &unknown);
    assert_eq!(responder.take_writes(Instant::ZERO), [binding(v4(1), other)]);
}

#[test]
fn a_storm_of_answers_is_twenty_batches_a_second() {
    let mut responder = responder();
    let mut batches = 0;
    let mut written = 0;
    for n in 0..10_000u32 {
        let now = Instant::from_secs(1) + Duration::from_micros(u64::from(n) * 100);
        responder.packet_in(now, heard(v4(n + 1), HOST, false), &unknown);
        let writes = responder.take_writes(now);
        batches += u32::from(!writes.is_empty());
        written += writes.len();
    }
    let due = responder.deadline().expect("a rest");
    written += responder.take_writes(due).len();
    assert_eq!((batches, written), (20, 10_000));
}

#[test]
fn learned_entries_are_bounded() {
    let mut responder = responder();
    for n in 0..MAX_PENDING as u32 + 500 {
        responder.packet_in(Instant::ZERO, heard(v4(n + 1), HOST, false), &unknown);
    }
    assert_eq!(responder.load().pending_bindings, MAX_PENDING);
    assert_eq!(responder.counters().get(Opcode::PUT_ARP, Event::Dropped(DropReason::LearnedFull)), 500);
    assert_eq!(responder.take_writes(Instant::ZERO).len(), MAX_PENDING);
}

#[test]
fn ipv6_neighbours_and_forwarding_entries_are_learned() {
    let mut responder = responder();
    let ip: Ipv6Addr = "fd02::22".parse().expect("an address");
    let na = NeighborAdvert::unsolicited(HOST, ip, NaFlags::default());
    let na = NeighborAdvert { eth: EthHeader::new(HOST, ROUTER), ..na };
    let xxreg0 = [(Field::xxreg(0), ip.to_bits())];
    responder.packet_in(Instant::ZERO, packet_in(Opcode::PUT_ND, na.to_vec(), &[], &xxreg0), &unknown);
    responder.packet_in(Instant::ZERO, packet_in(Opcode::PUT_FDB, na.to_vec(), &[], &[]), &unknown);
    assert_eq!(responder.take_writes(Instant::ZERO), [binding(ip, HOST), Write::Fdb(DATAPATH, HOST, INPORT)]);
}

#[test]
fn ports_that_show_life_are_told_of_once() {
    let mut responder = responder();
    let sign = || packet_in(Opcode::ACTIVATION_STRATEGY, udp(64), &[], &[]);
    for _ in 0..3 {
        responder.packet_in(Instant::ZERO, sign(), &unknown);
    }
    assert_eq!(responder.counters().get(Opcode::ACTIVATION_STRATEGY, Event::Learned), 3);
    assert_eq!(responder.load().activated, 1);
    assert!(responder.take_activated().into_iter().eq([(DATAPATH, INPORT)]));
    assert_eq!(responder.load(), Load::default());
    responder.packet_in(Instant::ZERO, sign(), &unknown);
    responder.forget(|datapath, port| (datapath, port) == (DATAPATH, INPORT));
    assert!(responder.take_activated().is_empty(), "a port that is gone shows nothing");
}

#[test]
fn output_that_nobody_takes_is_bounded() {
    let mut responder = responder();
    let refused = |r: &Responder| r.counters().total(Event::Dropped(DropReason::OutputFull));
    for _ in 0..MAX_OUTPUT + 10 {
        responder.packet_in(Instant::ZERO, packet_in(Opcode::TCP_RESET, tcp(2), &[], &[]), &unknown);
    }
    assert_eq!((responder.load().output, refused(&responder)), (MAX_OUTPUT, 10));
    assert_eq!(drain(&mut responder).len(), MAX_OUTPUT);
    responder.packet_in(Instant::ZERO, packet_in(Opcode::TCP_RESET, tcp(2), &[], &[]), &unknown);
    assert_eq!(responder.load().output, 1);
}

/// Type and code that an error has before nested actions run (ovn-sb(5)).
#[test]
fn errors_start_with_the_type_and_code_of_the_action_and_the_protocol() {
    let v6 = |next_header: u8| {
        let mut frame = NeighborAdvert::unsolicited(HOST, Ipv6Addr::LOCALHOST, NaFlags::default()).to_vec();
        frame[..6].copy_from_slice(&ROUTER.0);
        frame[20] = next_header;
        frame[22] = 0xfd;
        frame[38..54].fill(0xfc);
        frame
    };
    let rows = [
        (Opcode::ICMP, udp(0), [3, 3]),
        (Opcode::ICMP, tcp(2), [3, 1]),
        (Opcode::ICMP, v6(17), [1, 4]),
        (Opcode::ICMP, v6(6), [1, 1]),
        (Opcode::ICMP4_ERROR, udp(0), [3, 1]),
        (Opcode::ICMP4_ERROR, tcp(2), [3, 1]),
        (Opcode::ICMP6_ERROR, v6(17), [1, 1]),
        (Opcode::ICMP6_ERROR, v6(6), [1, 1]),
        (Opcode::REJECT, udp(0), [3, 3]),
        (Opcode::REJECT, v6(99), [1, 1]),
    ];
    for (n, (opcode, packet, expected)) in rows.into_iter().enumerate() {
        let mut responder = responder();
        responder.packet_in(Instant::ZERO, packet_in(opcode, packet, &[], &[]), &unknown);
        let Some(Message::PacketOut(out)) = responder.poll_output() else { panic!("row {n}: no answer") };
        let answer = Packet::parse(&out.packet);
        assert_eq!(answer.transport().expect("ICMP")[..2], expected, "row {n}");
        let to = if opcode == Opcode::REJECT { HOST } else { ROUTER };
        assert_eq!(answer.key.eth_dst, to, "row {n}: only reject turns round");
    }
}

/// One row an input: what is wrong with it, and under which name that is counted.
#[test]
fn what_is_dropped_is_counted_by_name() {
    let arp = || query(v4(1), 0);
    let put = || heard(v4(1), HOST, false);
    let with = |mut packet_in: Box<PacketIn>, change: fn(&mut PacketIn)| {
        change(&mut packet_in);
        packet_in
    };
    let other = Opcode(500);
    let ns = NeighborSolicit::multicast(HOST, "fd00::1".parse().expect("an address")).to_vec();
    // The length of its option, behind Ethernet, IPv6 and 24 bytes of the message.
    let mut broken = ns.clone();
    broken[14 + 40 + 24 + 1] = 0;
    let mut wrong_sum = ns.clone();
    wrong_sum[14 + 40 + 2] ^= 1;
    let xxreg0 = [(Field::xxreg(0), "fd00::1".parse::<Ipv6Addr>().expect("an address").to_bits())];
    let why = DropReason::Unanswerable;
    let rows: Vec<(Opcode, Box<PacketIn>, DropReason)> = vec![
        (other, with(arp(), |p| p.reason = PacketIn::REASON_NO_MATCH), DropReason::NotFromAction),
        (other, with(arp(), |p| p.userdata = [0; 7].into()), DropReason::NoOpcode),
        (other, with(arp(), |p| p.userdata = [0xff; 8].into()), DropReason::UnknownOpcode),
        (Opcode::ARP, with(arp(), |p| p.continuation = None), DropReason::NotPaused),
        (Opcode::ARP, with(arp(), |p| p.metadata = Match::any()), DropReason::NoMetadata),
        (Opcode::ARP, with(arp(), |p| p.packet = [0; 60].into()), DropReason::WrongPacket),
        (Opcode::ARP, with(arp(), |p| p.packet = [].into()), DropReason::WrongPacket),
        (Opcode::ARP, with(arp(), |p| p.userdata = p.userdata[..20].into()), DropReason::BadActions),
        (Opcode::ND_NS, packet_in(Opcode::ND_NS, udp(0), &[], &[]), DropReason::NoMetadata),
        (Opcode::ND_NA, packet_in(Opcode::ND_NA, udp(0), &[], &[]), DropReason::WrongPacket),
        (Opcode::ND_NA, packet_in(Opcode::ND_NA, broken.clone(), &[], &[]), DropReason::Malformed),
        (Opcode::PUT_ND, packet_in(Opcode::PUT_ND, broken, &[], &xxreg0), DropReason::Malformed),
        (Opcode::ND_NA, packet_in(Opcode::ND_NA, wrong_sum.clone(), &[], &[]), DropReason::Malformed),
        (Opcode::PUT_ND, packet_in(Opcode::PUT_ND, wrong_sum, &[], &xxreg0), DropReason::Malformed),
        (Opcode::PUT_ARP, with(put(), |p| p.metadata = Match::any()), DropReason::NoMetadata),
        (Opcode::PUT_ARP, heard(Ipv4Addr::BROADCAST, HOST, false), DropReason::NotAHost),
        (Opcode::PUT_ARP, heard(v4(1), EthAddr::BROADCAST, false), DropReason::NotAHost),
        (Opcode::PUT_ARP, heard(v4(1), EthAddr::ZERO, false), DropReason::NotAHost),
        (Opcode::PUT_FDB, with(put(), |p| p.userdata[3] = 25), DropReason::NotAHost),
        (Opcode::TCP_RESET, packet_in(Opcode::TCP_RESET, tcp(4), &[], &[]), why(Unanswerable::Reset)),
        (Opcode::TCP_RESET, packet_in(Opcode::TCP_RESET, udp(0), &[], &[]), why(Unanswerable::WrongProtocol)),
        (Opcode::REJECT, packet_in(Opcode::REJECT, tcp(4), &[], &[]), why(Unanswerable::Reset)),
        (
            Opcode::REJECT,
            packet_in(Opcode::REJECT, ipv4(132, &[0; 12]), &[], &[]),
            why(Unanswerable::Truncated),
        ),
        (Opcode::REJECT, packet_in(Opcode::REJECT, ipv4(1, &[3; 8]), &[], &[]), why(Unanswerable::IcmpError)),
        (Opcode::ICMP, packet_in(Opcode::ICMP, ipv4(1, &[3; 8]), &[], &[]), why(Unanswerable::IcmpError)),
        (Opcode::ICMP, packet_in(Opcode::ICMP, ns.clone(), &[], &[]), why(Unanswerable::IpGroup)),
        (Opcode::ICMP6_ERROR, packet_in(Opcode::ICMP6_ERROR, vec![0; 9], &[], &[]), why(Unanswerable::NotIp)),
    ];
    for (n, (opcode, mut packet_in, reason)) in rows.into_iter().enumerate() {
        if opcode == Opcode::PUT_FDB {
            packet_in.packet[6] = 1;
        }
        let mut responder = responder();
        responder.packet_in(Instant::ZERO, packet_in, &unknown);
        let counters = responder.counters();
        assert_eq!(
            counters.get(opcode, Event::Dropped(reason)),
            1,
            "row {n}: {:?}",
            counters.iter().collect::<Vec<_>>()
        );
        assert_eq!(counters.get(opcode, Event::Received), 1, "row {n}");
        assert_eq!(counters.iter().count(), 2, "row {n}: nothing else is counted");
        assert_eq!(counters.drops().iter().map(|(.., n)| n).sum::<u64>(), 1, "row {n}");
        assert_eq!(responder.load(), Load::default(), "row {n}");
    }
    let mut responder = responder();
    responder.resume_refused(None);
    assert_eq!(responder.counters().total(Event::Dropped(DropReason::Stale)), 1);
}

/// Packets that wait are dropped on account of the port by which they came in, whichever port they were to leave by.
#[test]
fn drops_are_told_by_port() {
    let mut responder = responder();
    let from = |port: u16, serial: u16| {
        let registers = [(Field::reg(14), port.into()), (Field::reg(0), v4(7).to_bits().into())];
        packet_in(Opcode::ARP, udp(serial), &[], &registers)
    };
    for (port, serial) in [(1, 1), (2, 2), (2, 3), (2, 4), (2, 5)] {
        responder.packet_in(Instant::ZERO, from(port, serial), &unknown);
    }
    // Four wait; the first was pushed out, and the others are dropped in the end.
    for second in 1..=10 {
        responder.tick(Instant::from_secs(second));
    }
    let told: Vec<_> = responder.counters().drops().iter().collect();
    let of = |port| Some((DATAPATH, PortKey(port)));
    assert_eq!(told, [(of(1), "arp", "drop_pushed_out", 1), (of(2), "arp", "drop_unresolved", 4)]);
    responder.forget(|_, port| port == PortKey(1));
    let told: Vec<_> = responder.counters().drops().iter().collect();
    assert_eq!(told, [(of(2), "arp", "drop_unresolved", 4), (None, "arp", "drop_pushed_out", 1)]);
}

#[derive(Clone, Debug)]
enum Input {
    Query(u32),
    Heard(u32, bool),
    Fdb(u8),
    Other(u32, Vec<u8>),
    Mangled(usize, Vec<(u16, u8)>),
    Known(u32),
    Wait(u64),
    Writes,
}

fn input() -> impl Strategy<Value = Input> {
    let ip = || prop_oneof![1u32..8, 1u32..3000];
    prop_oneof![
        20 => ip().prop_map(Input::Query),
        10 => (ip(), any::<bool>()).prop_map(|(ip, flooded)| Input::Heard(ip, flooded)),
        2 => any::<u8>().prop_map(Input::Fdb),
        4 => (prop_oneof![0u32..40, Just(Opcode::FRAGMENT.0)], proptest::collection::vec(any::<u8>(), 0..80))
            .prop_map(|(op, b)| Input::Other(op, b)),
        10 => (0usize..100, proptest::collection::vec((any::<u16>(), any::<u8>()), 1..6))
            .prop_map(|(which, changes)| Input::Mangled(which, changes)),
        1 => ip().prop_map(Input::Known),
        3 => (0u64..3000).prop_map(Input::Wait),
        1 => Just(Input::Writes),
    ]
}

/// Bytes changed anywhere in a real message; `None` if it can no longer be read.
fn mangled(samples: &[Vec<u8>], which: usize, changes: &[(u16, u8)]) -> Option<Box<PacketIn>> {
    let mut bytes = samples[which % samples.len()].clone();
    for (at, to) in changes {
        let at = 16 + usize::from(*at) % (bytes.len() - 16);
        bytes[at] = *to;
    }
    match Message::decode(&bytes) {
        Ok((_, Message::PacketIn(packet_in))) => Some(packet_in),
        _ => None,
    }
}

fn check_bounds(responder: &Responder) {
    let load = responder.load();
    assert!(load.next_hops <= MAX_NEXT_HOPS);
    assert!(load.waiting_packets <= MAX_NEXT_HOPS * MAX_PACKETS_PER_NEXT_HOP);
    assert!(load.waiting_bytes <= MAX_WAITING_BYTES);
    assert!(load.pending_bindings.max(load.pending_fdb).max(load.activated) <= MAX_PENDING);
    assert!(load.output <= MAX_OUTPUT);
}

/// Every packet that went down was paid for: answers as what they are, requests as queries, and those that were set aside when
/// they came.
fn check_paid(responder: &Responder) {
    let paid: u64 = Class::ALL.iter().map(|class| responder.budgets().counts(*class).paid).sum();
    let counters = responder.counters();
    let sent = [Event::Answered, Event::Resumed, Event::Cut].map(|event| counters.total(event));
    assert!(sent.iter().sum::<u64>() <= paid);
}

/// Every packet that came up is accounted for, and so is every packet that was set aside.
fn check_accounts(responder: &Responder) {
    let counters = responder.counters();
    let total = |event| counters.total(event);
    let queries = |event| counters.get(Opcode::ARP, event) + counters.get(Opcode::ND_NS, event);
    let later = [DropReason::PushedOut, DropReason::Unresolved].map(|r| total(Event::Dropped(r)));
    let dropped: u64 =
        counters.iter().filter(|(_, event, _)| event.starts_with("drop_")).map(|(_, _, n)| n).sum::<u64>()
            - later.iter().sum::<u64>();
    // queries are answered with a request, and go on to wait
    let answered = total(Event::Answered) - queries(Event::Answered);
    let cut = total(Event::Cut);
    let taken = total(Event::Learned) + total(Event::Logged);
    let (held, known) = (total(Event::Held), total(Event::Known));
    assert_eq!(total(Event::Received), held + known + taken + answered + cut + dropped);
    let waiting = responder.load().waiting_packets as u64;
    assert_eq!(held + known, total(Event::Resumed) + later.iter().sum::<u64>() + waiting);
    let by_port: u64 = counters.drops().iter().map(|(.., n)| n).sum();
    assert_eq!(by_port, dropped + later.iter().sum::<u64>(), "every drop is some port's, or nobody's");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn bounded_ordered_and_accounted_for(
        inputs in proptest::collection::vec(input(), 0..3000), takes in any::<bool>(), limited in any::<bool>(),
    ) {
        let samples: Vec<Vec<u8>> = common::cases(include_str!("stock_wire.txt"))
            .into_iter()
            .flat_map(|case| case.messages)
            .filter_map(|(up, message)| up.then_some(message))
            .collect();
        let limits = if limited { Limits::default() } else { Limits::NONE };
        let mut responder = Responder::new(Config { limits, ..Config::default() }, Rng::with_seed(7));
        let mut now = Instant::from_secs(1);
        for (serial, input) in inputs.into_iter().enumerate() {
            match input {
                Input::Query(ip) => responder.packet_in(now, query(v4(ip), serial as u16), &unknown),
                Input::Heard(ip, flooded) => responder.packet_in(now, heard(v4(ip), HOST, flooded), &unknown),
                Input::Fdb(n) => {
                    let arp = Arp::gratuitous(EthAddr([2, 0, 0, 0, 0, n]), v4(1));
                    responder.packet_in(now, packet_in(Opcode::PUT_FDB, arp.to_vec(), &[], &[]), &unknown);
                }
                Input::Other(opcode, packet) => {
                    responder.packet_in(now, packet_in(Opcode(opcode), packet, &[], &[]), &unknown);
                }
                Input::Mangled(which, changes) => {
                    if let Some(packet_in) = mangled(&samples, which, &changes) {
                        responder.packet_in(now, packet_in, &unknown);
                    }
                }
                Input::Known(ip) => {
                    drain(&mut responder);
                    responder.binding_known(&hop(v4(ip)), HOST);
                    let serials = resumed(&drain(&mut responder));
                    prop_assert!(serials.is_sorted() && serials.len() <= MAX_PACKETS_PER_NEXT_HOP);
                }
                Input::Wait(millis) => {
                    now = now + ms(millis);
                    responder.tick(now);
                    let load = responder.load();
                    let to_write = load.pending_bindings + load.pending_fdb > 0;
                    prop_assert!(responder.deadline().is_none_or(|d| d > now || to_write));
                }
                Input::Writes => {
                    let writes = responder.take_writes(now);
                    prop_assert!(writes.len() <= 2 * MAX_PENDING);
                }
            }
            if takes {
                drain(&mut responder);
            }
            check_bounds(&responder);
            check_paid(&responder);
        }
        if responder.counters().total(Event::Dropped(DropReason::OutputFull)) == 0 {
            check_accounts(&responder);
        }
        drain(&mut responder);
        for _ in 0..20 {
            now = now + QUERY_INTERVAL;
            responder.tick(now);
            responder.take_writes(now);
            drain(&mut responder);
        }
        responder.take_failures();
        responder.take_logs();
        responder.take_activated();
        prop_assert_eq!((responder.load(), responder.deadline()), (Load::default(), None));
    }
}
