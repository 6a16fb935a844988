//! What the responder sends by itself, and router advertisements that are asked for.

use kiln_abi::opcodes::Opcode;
use kiln_openflow::msg::{Message, PacketIn};
use kiln_openflow::{Action, Field, Match};
use kiln_packet::{Packet, RaOptions, RouterAdvert};
use kiln_responder::{Announcement, Config, DropReason, Event, Limits, PeriodicAdvert, Reach, Responder};
use kiln_types::{DatapathKey, EthAddr, Instant, PortKey, Rng};
use std::net::IpAddr;
use std::time::Duration;

const PLACE: (DatapathKey, PortKey) = (DatapathKey(3), PortKey(4));

fn responder() -> Responder {
    let mut responder = Responder::new(Config::default(), Rng::with_seed(1));
    responder.set_has_switch(true);
    responder
}

fn announcement(ip: &str) -> Announcement {
    let mac = "0e:00:00:00:02:01".parse().unwrap();
    let ip = Some(ip.parse().unwrap());
    Announcement { datapath: PLACE.0, port: PLACE.1, mac, ip, router: true }
}

fn advert(reach: Reach) -> PeriodicAdvert {
    let mac: EthAddr = "0e:00:00:00:00:01".parse().unwrap();
    let bounds = (Duration::from_secs(5), Duration::from_secs(10));
    PeriodicAdvert::new(PLACE, bounds, reach, &RouterAdvert::multicast(mac, u16::MAX, RaOptions::new()))
}

/// Runs to `until`, tick by tick; what was sent, by the second.
fn sent(responder: &mut Responder, until: Instant) -> Vec<(u64, Box<[u8]>, Vec<Action>)> {
    let mut sent = Vec::new();
    while let Some(due) = responder.deadline().filter(|due| *due <= until) {
        responder.tick(due);
        while let Some(message) = responder.poll_output() {
            let Message::PacketOut(out) = message else { panic!("{message:?}") };
            sent.push((due.as_millis() / 1000, out.packet.clone(), out.actions.iter().collect()));
        }
    }
    sent
}

/// The ICMPv6 type of a packet that is sent.
fn kind(message: &Message) -> u16 {
    let Message::PacketOut(out) = message else { panic!("{message:?}") };
    Packet::parse(&out.packet).key.tp_src
}

#[test]
fn an_address_is_announced_as_a_stock_chassis_does() {
    let mut responder = responder();
    responder.announce(Instant::ZERO, announcement("192.168.0.1"));
    let sent = sent(&mut responder, Instant::from_secs(1000));
    assert_eq!(sent.iter().map(|(second, ..)| *second).collect::<Vec<_>>(), [1, 2, 4, 8, 16]);
    // Frame and actions as they came from ovn-controller 26.03.
    let text = sent[0].1.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
    let frame = "ffffffffffff0e0000000201080600010800060400010e0000000201c0a80001000000000000c0a80001";
    assert_eq!(text, frame);
    let actions = [
        Action::set_field(Field::METADATA, 3u8),
        Action::set_field(Field::reg(14), 4u8),
        Action::resubmit(8),
    ];
    assert_eq!(sent[0].2, actions);
    assert_eq!(responder.counters().get(Opcode::ARP, Event::Announced), 5);
}

#[test]
fn nothing_is_sent_without_a_switch_and_nothing_is_lost() {
    let mut responder = responder();
    responder.set_has_switch(false);
    responder.announce(Instant::ZERO, announcement("fd02::1"));
    responder.advertise(Instant::ZERO, advert(Reach::Chassis));
    assert_eq!(responder.deadline(), None);
    responder.tick(Instant::from_secs(100));
    assert!(responder.poll_output().is_none());
    responder.set_has_switch(true);
    responder.tick(Instant::from_secs(100));
    let sent = std::iter::from_fn(|| responder.poll_output());
    let kinds: Vec<u16> = sent.map(|message| kind(&message)).collect();
    assert_eq!(kinds, [136, 134], "each once, however long it was due");
}

#[test]
fn what_cannot_be_paid_for_comes_later() {
    let mut responder = responder();
    let mut config = Config { limits: Limits::NONE, ..Config::default() };
    let neighbor = config.limits.of_mut(kiln_responder::Class::Neighbor);
    neighbor.set(kiln_responder::Level::Port, "1/1".parse().unwrap());
    responder.set_config(Instant::ZERO, config);
    for last in 1..=3 {
        responder.announce(Instant::ZERO, announcement(&format!("192.168.0.{last}")));
    }
    let sent = sent(&mut responder, Instant::from_secs(60));
    let mut seen: Vec<IpAddr> =
        sent.iter().map(|(_, frame, _)| Packet::parse(frame).key.nw_src.into()).collect();
    let seconds: Vec<u64> = sent.iter().map(|(second, ..)| *second).collect();
    assert!(seconds.windows(2).all(|pair| pair[0] < pair[1]), "one a second: {seconds:?}");
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 3, "each has its turn");
    assert!(responder.counters().get(Opcode::ARP, Event::Postponed) > 0);
}

#[test]
fn advertisements_stay_on_the_chassis_and_stop() {
    let mut responder = responder();
    responder.advertise(Instant::ZERO, advert(Reach::Chassis));
    let early = sent(&mut responder, Instant::from_secs(100));
    assert!((10..=20).contains(&early.len()), "every 5 to 10 seconds");
    let flags = |actions: &[Action]| {
        let text = actions.iter().map(ToString::to_string);
        text.filter(|action| action.ends_with("->reg10")).collect::<Vec<_>>()
    };
    assert_eq!(flags(&early[0].2), ["set_field:0x10/0x10->reg10"]);
    responder.stop_advertising(&advert(Reach::Chassis));
    assert_eq!(responder.deadline(), None);
    // Those of a gateway router go out by the physical network as well.
    responder.advertise(Instant::from_secs(100), advert(Reach::ChassisAndNetwork));
    let sent = sent(&mut responder, Instant::from_secs(120));
    assert_eq!(flags(&sent[0].2), ["set_field:0x10/0x10->reg10", "set_field:0x40000/0x40000->reg10"]);
}

/// A solicitation as a Linux host sends it.
const SOLICIT: &str = "3333000000020a000000000186dd6000000000103afffe80000000000000080000fffe000001\
                       ff02000000000000000000000000000285006b2c0000000001010a0000000001";

/// What a stock pipeline handed the host for it, from the ICMPv6 type on, its checksum left out.
const ADVERT: &str = "86000000ff08ffff000000000000000001010e000000000105010000000005780304\
                      40c0ffffffffffffffff00000000fd000000000000000000000000000000";

fn bytes(hex: &str) -> Vec<u8> {
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

/// The solicitation handed up by `reg0[5] = put_nd_ra_opts(...)`.
#[allow(clippy::unnecessary_box_returns, reason = "as the responder takes them")]
fn punt(frame: Vec<u8>) -> Box<PacketIn> {
    let mut userdata = vec![0, 0, 0, 8, 0, 0, 0, 0];
    Field::reg(0).info().header.put(&mut userdata, false, 4);
    userdata.extend([0, 0, 0, 5]);
    userdata.extend(bytes(ADVERT));
    Box::new(PacketIn {
        packet: frame.into(),
        reason: PacketIn::REASON_ACTION,
        metadata: Match::builder().exact(Field::METADATA, 3u8).exact(Field::reg(0), 0x40u8).build(),
        userdata: userdata.into(),
        continuation: Some([9; 8].into()),
        ..PacketIn::default()
    })
}

#[allow(clippy::unnecessary_box_returns, reason = "as the responder gives them")]
fn resumed(frame: Vec<u8>) -> Box<PacketIn> {
    let mut responder = responder();
    responder.packet_in(Instant::ZERO, punt(frame), &|_: &_| None);
    let Some(Message::Resume(resumed)) = responder.poll_output() else { panic!("it is not resumed") };
    assert_eq!(resumed.continuation.as_deref(), Some(&[9; 8][..]));
    resumed
}

#[test]
fn a_solicitation_becomes_the_advertisement_and_the_bit_says_so() {
    let asked = bytes(SOLICIT);
    let answer = resumed(asked.clone());
    let reg0 = answer.metadata.get(Field::reg(0)).unwrap();
    assert_eq!(reg0.value, 0x60, "bit 5, beside what was there");
    let packet = Packet::parse(&answer.packet);
    assert_eq!(packet.link_header(), &asked[..14]);
    let message = packet.transport().unwrap();
    let expected = bytes(ADVERT);
    assert_eq!((&message[..2], &message[4..]), (&expected[..2], &expected[4..]));
}

/// Hosts behind one port that come up at once, and solicit three times (RFC 4861, section 10) before they have an address: they are
/// not one source.
#[test]
fn hosts_without_an_address_are_all_advertised_to() {
    let mut asked = bytes(SOLICIT);
    asked[18..20].copy_from_slice(&[0, 8]);
    asked[22..38].fill(0);
    asked.truncate(14 + 40 + 8);
    // With the checksum of what is left.
    asked[14 + 40 + 2..14 + 40 + 4].copy_from_slice(&[0x7b, 0xb8]);
    let mut responder = responder();
    let mut advertised = 0;
    for _ in 0..8 * 3 {
        responder.packet_in(Instant::ZERO, punt(asked.clone()), &|_: &_| None);
        let Some(Message::Resume(resumed)) = responder.poll_output() else { continue };
        let packet = Packet::parse(&resumed.packet);
        advertised += usize::from(packet.key.tp_src == 134 && packet.key.ipv6_src.to_string() == "ff02::1");
    }
    assert_eq!(advertised, 24);
}

#[test]
fn an_invalid_solicitation_goes_on_as_it_came() {
    let mut asked = bytes(SOLICIT);
    asked[21] = 64;
    let answer = resumed(asked.clone());
    assert_eq!(answer.packet[..], asked[..]);
    assert_eq!(answer.metadata.get(Field::reg(0)).unwrap().value, 0x40);
}

#[test]
fn an_action_that_names_no_bit_is_dropped() {
    // The second is beyond its register, the third a bit of the Ethernet type.
    for userdata in [&[][..], &[0, 1, 0, 4, 0, 0, 0, 32], &[0, 0, 6, 2, 0, 0, 0, 0], &[0xff; 40]] {
        let mut responder = responder();
        let mut asked = punt(bytes(SOLICIT));
        asked.userdata = [&[0, 0, 0, 8, 0, 0, 0, 0], userdata].concat().into();
        responder.packet_in(Instant::ZERO, asked, &|_: &_| None);
        assert!(responder.poll_output().is_none(), "{userdata:?}");
        let dropped = Event::Dropped(DropReason::BadActions);
        assert_eq!(responder.counters().get(Opcode::PUT_ND_RA_OPTS, dropped), 1, "{userdata:?}");
    }
}
