//! Neighbours: which are learned where only answers are, how often they may move, and which are asked whether they are there.

#![allow(clippy::unnecessary_box_returns, reason = "messages carry packets boxed")]

use kiln_abi::opcodes::Opcode;
use kiln_budget::Limits;
use kiln_openflow::msg::{Message, PacketIn};
use kiln_openflow::{Action, Actions, Field, Match};
use kiln_packet::{Arp, EthHeader, NaFlags, NeighborAdvert, Packet, ethertype};
use kiln_responder::*;
use kiln_types::{DatapathKey, EthAddr, Instant, PortKey, Rng};
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

const ROUTER: EthAddr = EthAddr([0, 0, 0, 0, 1, 2]);
const HOST: EthAddr = EthAddr([0, 0, 0, 0, 0, 2]);
const OTHER: EthAddr = EthAddr([0, 0, 0, 0, 0, 3]);
const PORT: PortKey = PortKey(2);
/// Time passes by so much where it is simulated.
const STEP: Duration = Duration::from_millis(50);

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

fn v4(n: u32) -> Ipv4Addr {
    Ipv4Addr::from_bits(0x0a00_0000 + n)
}

fn hop(n: u32) -> NextHop {
    NextHop { datapath: DatapathKey(7), port: PORT, ip: v4(n).into() }
}

/// A database's rows, as a chassis sees them; a router that learns what it asked for.
#[derive(Default)]
struct Rows(BTreeMap<NextHop, Option<EthAddr>>);

impl Neighbors for Rows {
    fn mac(&self, next_hop: &NextHop) -> Option<EthAddr> {
        self.0.get(next_hop).copied().flatten()
    }
    fn learning(&self, next_hop: &NextHop) -> Learning {
        Learning::Tracked { asked: self.0.contains_key(next_hop) }
    }
}

fn responder() -> Responder {
    let config = Config { limits: Limits::NONE, race_delay_max: Duration::ZERO, ..Config::default() };
    Responder::new(config, Rng::with_seed(7))
}

fn packet_in(opcode: Opcode, packet: Vec<u8>, ip: Ipv4Addr) -> Box<PacketIn> {
    let mut userdata = [opcode.0.to_be_bytes(), [0; 4]].concat();
    userdata.extend(Actions::encode(&[Action::resubmit(42)]).expect("short enough").as_bytes());
    let mut metadata = Match::builder();
    metadata.exact(Field::METADATA, 7u32).exact(Field::reg(0), ip.to_bits());
    metadata.exact(Field::reg(14), PORT.0).exact(Field::reg(15), PORT.0);
    Box::new(PacketIn {
        packet: packet.into(),
        reason: PacketIn::REASON_ACTION,
        metadata: metadata.build(),
        userdata: userdata.into(),
        continuation: Some([1].into()),
        ..PacketIn::default()
    })
}

/// A packet for a neighbour that is not known.
fn query(n: u32) -> Box<PacketIn> {
    let mut frame = [&ROUTER.0[..], &HOST.0, &[8, 0, 0x45, 0, 0, 28]].concat();
    frame.extend([0, 1, 0, 0, 63, 17, 0, 0, 10, 0, 1, 11, 10, 0, 2, 22, 3, 232, 7, 208, 0, 8, 0, 0]);
    packet_in(Opcode::ARP, frame, v4(n))
}

fn answer(n: u32, mac: EthAddr) -> Box<PacketIn> {
    let arp = Arp { eth: EthHeader::new(mac, ROUTER), ..Arp::gratuitous(mac, v4(n)) };
    packet_in(Opcode::PUT_ARP, arp.to_vec(), v4(n))
}

/// An advertisement to the router.
fn advert(mac: EthAddr, flags: NaFlags) -> (Box<PacketIn>, NextHop) {
    let (ip, router) = ("fd00::1".parse().expect("an address"), "fd00::254".parse().expect("an address"));
    let advert = NeighborAdvert { flags, ip_dst: router, ..NeighborAdvert::unsolicited(mac, ip, flags) };
    let frame = NeighborAdvert { eth: EthHeader::new(mac, ROUTER), ..advert }.to_vec();
    let mut packet_in = packet_in(Opcode::PUT_ND, frame, v4(0));
    let mut metadata = Match::builder();
    metadata.exact(Field::METADATA, 7u32).exact(Field::xxreg(0), ip.to_bits());
    metadata.exact(Field::reg(14), PORT.0);
    packet_in.metadata = metadata.build();
    (packet_in, NextHop { ip: ip.into(), ..hop(0) })
}

/// RFC 4861, section 7.2.5.
#[test]
fn an_advertisement_that_is_not_to_override_replaces_nothing() {
    let (mut responder, open) = (responder(), |_: &NextHop| None);
    let mut hear = |ms, mac, flags, neighbors: &dyn Fn(&NextHop) -> Option<EthAddr>| {
        let (packet_in, hop) = advert(mac, flags);
        responder.packet_in(at(ms), packet_in, &|next_hop: &NextHop| neighbors(next_hop));
        let writes = if ms % 1000 == 0 { responder.take_writes(at(ms)) } else { Vec::new() };
        let macs: Vec<EthAddr> = writes
            .into_iter()
            .map(|write| match write {
                Write::MacBinding(of, mac) if of == hop => mac,
                other => panic!("{other:?}"),
            })
            .collect();
        (macs, dropped(&responder, DropReason::NoOverride))
    };
    let (answer, first) = (NaFlags::SOLICITED, |_: &NextHop| Some(HOST));
    assert_eq!(hear(1000, HOST, answer, &open), (vec![HOST], 0), "nothing was known");
    assert_eq!(hear(2000, OTHER, answer, &first), (vec![], 1));
    assert_eq!(hear(3000, HOST, answer, &first), (vec![HOST], 1), "it is where it was");
    assert_eq!(hear(4000, OTHER, answer | NaFlags::OVERRIDE, &first), (vec![OTHER], 1));
    // What waits to be written is known as well.
    assert_eq!(hear(4500, HOST, answer, &open), (vec![], 1));
    assert_eq!(hear(5000, OTHER, answer, &open), (vec![HOST], 2));
}

/// The row that shows that somebody asked has the answer already.
#[test]
fn an_early_advertisement_that_is_not_to_override_gives_way_to_the_row() {
    let (mut responder, rows) = (responder(), Rows::default());
    let (packet_in, hop) = advert(OTHER, NaFlags::SOLICITED);
    responder.packet_in(at(1000), packet_in, &rows);
    responder.asked(at(1100), &hop, Some(HOST));
    assert_eq!(responder.take_writes(at(2000)), []);
    assert_eq!(dropped(&responder, DropReason::NoOverride), 1);
}

/// What the operator says of a neighbour.
struct Said;

impl Neighbors for Said {
    fn mac(&self, _: &NextHop) -> Option<EthAddr> {
        None
    }
    fn fixed(&self, next_hop: &NextHop) -> Option<EthAddr> {
        (*next_hop == hop(1)).then_some(HOST)
    }
}

/// A packet may come up just before the flow of the operator's word.
#[test]
fn what_the_operator_says_is_not_asked_for() {
    let mut responder = responder();
    responder.packet_in(at(1000), query(1), &Said);
    let messages: Vec<_> = std::iter::from_fn(|| responder.poll_output()).collect();
    assert!(
        matches!(&messages[..], [Message::Resume(packet)] if packet.packet[..6] == HOST.0),
        "{messages:?}"
    );
    responder.packet_in(at(1000), query(2), &Said);
    assert!(matches!(responder.poll_output(), Some(Message::PacketOut(_))));
    // It is no neighbour that was learned: what it says of itself is believed at once.
    responder.packet_in(at(2000), answer(1, OTHER), &Said);
    assert_eq!(responder.take_writes(at(2000)), [Write::MacBinding(hop(1), OTHER)]);
}

fn dropped(responder: &Responder, reason: DropReason) -> u64 {
    responder.counters().total(Event::Dropped(reason))
}

#[test]
fn who_asks_tells_other_chassis_and_believes_the_answer_at_once() {
    let (mut responder, rows) = (responder(), Rows::default());
    responder.packet_in(at(1000), query(1), &rows);
    assert_eq!(responder.take_writes(at(1000)), [Write::Query(hop(1))]);
    responder.packet_in(at(1200), answer(1, HOST), &rows);
    let resumed = std::iter::from_fn(|| responder.poll_output()).filter(|m| matches!(m, Message::Resume(_)));
    assert_eq!(resumed.count(), 1);
    assert_eq!(responder.take_writes(at(1200)), [Write::MacBinding(hop(1), HOST)]);
}

/// The database brings the query to the chassis of the answer later than the network brought the answer.
#[test]
fn an_answer_that_overtakes_its_query_waits_for_it() {
    let (mut responder, mut rows) = (responder(), Rows::default());
    responder.packet_in(at(1000), answer(1, HOST), &rows);
    assert_eq!(responder.take_writes(at(1000)), []);
    assert_eq!(responder.deadline(), Some(at(3000)));
    responder.tick(at(2999));
    rows.0.insert(hop(1), None);
    responder.asked(at(2999), &hop(1), None);
    assert_eq!(responder.take_writes(at(2999)), [Write::MacBinding(hop(1), HOST)]);
    responder.asked(at(3000), &hop(1), None);
    assert_eq!(responder.take_writes(at(4000)), [], "once");
    assert_eq!(responder.counters().total(Event::Asked), 1);
}

#[test]
fn what_nobody_asked_for_leaves_nothing() {
    let (mut responder, rows) = (responder(), Rows::default());
    for ms in (1000..3000).step_by(100) {
        responder.packet_in(at(ms), answer(1, HOST), &rows);
    }
    responder.tick(at(3000));
    assert_eq!(responder.take_writes(at(9000)), []);
    assert_eq!((responder.load(), responder.deadline()), (Load::default(), None), "the first counts");
    assert_eq!(dropped(&responder, DropReason::Unsolicited), 20);
    // the same claim where everything is believed
    responder.packet_in(at(9000), answer(1, HOST), &|_: &NextHop| None);
    assert_eq!(responder.take_writes(at(9000)), [Write::MacBinding(hop(1), HOST)]);
}

#[test]
fn a_flood_of_claims_is_bounded() {
    let (mut responder, rows) = (responder(), Rows::default());
    for n in 0..MAX_EARLY as u32 + 5 {
        responder.packet_in(at(1000), answer(n + 1, HOST), &rows);
    }
    assert_eq!(responder.load().early_bindings, MAX_EARLY);
    assert_eq!(dropped(&responder, DropReason::EarlyFull), 5);
    responder.forget(|datapath, _| datapath == DatapathKey(7));
    assert_eq!(responder.load(), Load::default());
    assert_eq!(dropped(&responder, DropReason::PortGone), MAX_EARLY as u64);
}

/// Three hosts claim an address in turn, ten times a second: three rewrites, and then one in five seconds. Whatever they claim in
/// between does not put that off.
#[test]
fn a_neighbour_moves_at_a_bounded_rate_and_ends_where_it_was_last() {
    let mut responder = responder();
    let mut rows = Rows(BTreeMap::from([(hop(1), Some(HOST))]));
    let mut moves = Vec::new();
    for ms in (0..20_000_usize).step_by(100) {
        let mac = [OTHER, EthAddr([0, 0, 0, 0, 0, 4]), HOST][ms / 100 % 3];
        let now = at(ms as u64);
        responder.packet_in(now, answer(1, mac), &rows);
        for write in responder.take_writes(now) {
            let Write::MacBinding(_, mac) = write else { panic!("{write:?}") };
            if rows.mac(&hop(1)) != Some(mac) {
                moves.push(ms);
                rows.0.insert(hop(1), Some(mac));
                responder.moved(now, hop(1), mac);
            }
        }
    }
    assert!(moves.len() >= 6 && moves[..3].iter().all(|ms| *ms < 500), "{moves:?}");
    for (n, from) in moves.iter().enumerate() {
        for (m, to) in moves.iter().enumerate().skip(n) {
            assert!(m - n < 3 + (to - from) / 5000, "more than three and one in five seconds: {moves:?}");
        }
    }
}

#[test]
fn a_probe_goes_to_the_neighbour_alone_and_is_paid_for() {
    let mut responder = Responder::new(Config::default(), Rng::with_seed(7));
    let probe =
        Probe { next_hop: hop(1), mac: HOST, source_mac: ROUTER, source: "10.0.0.254".parse().expect("one") };
    assert!(responder.probe(at(1000), &probe));
    let Some(Message::PacketOut(out)) = responder.poll_output() else { panic!("a packet") };
    let packet = Packet::parse(&out.packet);
    assert_eq!((packet.key.eth_dst, packet.key.eth_src, packet.key.eth_type), (HOST, ROUTER, ethertype::ARP));
    assert_eq!((packet.key.nw_proto, packet.key.nw_dst), (1, v4(1)));
    let actions: Vec<Action> = out.actions.iter().collect();
    assert_eq!(actions[0], Action::set_field(Field::METADATA, 7u32));
    assert_eq!(actions[1], Action::set_field(Field::reg(15), 2u16));

    let v6 = |text: &str| text.parse::<IpAddr>().expect("an address");
    let probe = Probe { next_hop: NextHop { ip: v6("fd00::9"), ..hop(1) }, source: v6("fd00::1"), ..probe };
    assert!(responder.probe(at(1000), &probe));
    let Some(Message::PacketOut(out)) = responder.poll_output() else { panic!("a packet") };
    let key = Packet::parse(&out.packet).key;
    assert_eq!((key.eth_dst, key.ipv6_src.into(), key.ipv6_dst.into()), (HOST, v6("fd00::1"), v6("fd00::9")));
    assert_eq!((IpAddr::V6(key.nd_target), key.hw_src), (v6("fd00::9"), ROUTER));

    let mixed = Probe { source: "10.0.0.254".parse().expect("one"), ..probe };
    assert!(!responder.probe(at(1000), &mixed));
    let mut sent = 2;
    while responder.probe(at(1000), &probe) {
        sent += 1;
        responder.poll_output();
    }
    assert_eq!(sent, Limits::default().of(Class::Query).port.burst);
}

/// What a switch counts: it tells whole seconds.
#[derive(Clone, Copy)]
struct Counter {
    packets: u64,
    last: Instant,
}

impl Counter {
    const NEW: Counter = Counter { packets: 0, last: Instant::ZERO };

    fn count(&mut self, now: Instant) {
        *self = Counter { packets: self.packets + 1, last: now };
    }

    fn told(&self, now: Instant) -> Option<Counted> {
        let ago = Duration::from_secs((now - self.last).as_secs());
        (self.packets > 0).then_some(Counted { packets: self.packets, ago })
    }
}

/// Chassis that use one neighbour, and the database between them.
struct Segment {
    chassis: Vec<Renewal>,
    /// What their switches count of the neighbour, and to it.
    heard: Vec<Counter>,
    used: Vec<Counter>,
    keep: Duration,
    /// When the neighbour was last heard of, as its row says.
    written: Instant,
    /// What each chassis sends to the neighbour is answered, after this time.
    answers: Option<Duration>,
    /// When probes were sent.
    probes: Vec<(Instant, usize)>,
}

impl Segment {
    fn new(chassis: usize, keep_s: u64, answers: Option<Duration>) -> Segment {
        let keep = Duration::from_secs(keep_s);
        let counters = vec![Counter::NEW; chassis];
        let chassis = (0..chassis as u64).map(|seed| Renewal::new(seed * 0x9e37_79b9)).collect();
        let (heard, used) = (counters.clone(), counters);
        Segment { chassis, heard, used, keep, written: at(0), answers, probes: Vec::new() }
    }

    /// Runs until `until`, with packets from the first `users` chassis all the while; a row changes everywhere a quarter of
    /// a second after it was written.
    fn run(&mut self, from_s: u64, until_s: u64, users: usize) {
        // Always a little late, as on a real chassis: each look is at another part of the second than the one before.
        let look = Renewal::look_interval(self.keep) + STEP;
        let mut looked = at(from_s * 1000);
        let mut rows: BTreeSet<(Instant, Instant)> = BTreeSet::new();
        let mut answers: BTreeSet<(Instant, usize)> = BTreeSet::new();
        let mut looks: BTreeSet<(Instant, usize)> = BTreeSet::new();
        for renewal in &mut self.chassis {
            renewal.follow(looked, hop(1), looked - self.written, self.keep);
        }
        for ms in (from_s * 1000..until_s * 1000).step_by(STEP.as_millis() as usize) {
            let now = at(ms);
            while let Some(&(_, written)) = rows.first().filter(|(due, _)| *due <= now) {
                rows.pop_first();
                self.written = self.written.max(written);
                for renewal in &mut self.chassis {
                    renewal.follow(now, hop(1), now - self.written, self.keep);
                }
            }
            while let Some(&(_, n)) = answers.first().filter(|(due, _)| *due <= now) {
                answers.pop_first();
                self.heard[n].count(now);
            }
            self.used[..users].iter_mut().for_each(|counter| counter.count(now));
            if now - looked >= look {
                looked = now;
                looks.extend((0..self.chassis.len()).map(|n| (now, n)));
            }
            while let Some(&(_, n)) = looks.first().filter(|(due, _)| *due <= now) {
                looks.pop_first();
                let seen = Use { heard: self.heard[n].told(now), used: self.used[n].told(now) };
                if let Some(heard) = self.chassis[n].note(now, hop(1), seen, look) {
                    let heard_at = Instant::from_millis(now.as_millis() - heard.ago.as_millis() as u64);
                    rows.insert((now + Duration::from_millis(250), heard_at));
                }
            }
            for (n, renewal) in self.chassis.iter_mut().enumerate() {
                renewal.advance(now, |next_hop| {
                    assert_eq!(next_hop, hop(1));
                    self.probes.push((now, n));
                    answers.extend(self.answers.map(|after| (now + after, n)));
                    looks.insert((now + Duration::from_millis(300), n));
                });
            }
        }
    }
}

/// It never expires, and one chassis asks: at first perhaps several, but later the one that asked before.
#[test]
fn one_of_fifty_chassis_keeps_a_neighbour_fresh() {
    for keep_s in [20, 60, 300, 1800] {
        let mut segment = Segment::new(50, keep_s, Some(Duration::from_millis(20)));
        segment.run(0, 5 * keep_s, 50);
        assert!(at(5 * keep_s * 1000) - segment.written < segment.keep);
        let first = segment.probes.len();
        segment.probes.clear();
        segment.run(5 * keep_s, 15 * keep_s, 50);
        assert!(at(15 * keep_s * 1000) - segment.written < segment.keep);
        let askers: BTreeSet<usize> = segment.probes.iter().map(|(_, n)| *n).collect();
        println!("keep {keep_s} s: {first} probes at first, then {} by {askers:?}", segment.probes.len());
        // one each quarter to half of the time, by a single chassis but for a time or two
        let probes = segment.probes.len();
        assert!((20..=44).contains(&probes), "{probes}");
        let of = |n: &usize| segment.probes.iter().filter(|(_, asker)| asker == n).count();
        let most = askers.iter().map(of).max().unwrap_or(0);
        assert!(most + 4 >= probes, "{most} of {probes}");
    }
}

/// Seconds are short beside what a switch tells of them.
#[test]
fn entries_that_are_kept_for_seconds_are_kept_fresh() {
    for keep_s in [4, 8, 20] {
        let mut segment = Segment::new(2, keep_s, Some(Duration::from_millis(2)));
        for start in (0..50 * keep_s).step_by(keep_s as usize) {
            segment.run(start, start + keep_s, 2);
            let (now, written) = (at((start + keep_s) * 1000), segment.written);
            assert!(now - written < segment.keep, "kept for {keep_s} s: {written:?} at {now:?}");
        }
        let probes = segment.probes.len() as u64;
        println!("keep {keep_s} s: {probes} probes in fifty times as long");
        assert!((50..=400).contains(&probes), "kept for {keep_s} s: {probes}");
    }
}

/// One answer is one answer: what the switch goes on to tell of it says nothing new.
#[test]
fn who_was_heard_of_once_is_not_heard_of_for_ever() {
    let mut renewal = Renewal::new(1);
    let keep = Duration::from_secs(16);
    renewal.follow(at(0), hop(1), Duration::ZERO, keep);
    let mut asked = Vec::new();
    let mut brought_forward = Vec::new();
    for look in 1..8 {
        // Each look is 10 ms later in its second than the one before.
        let now = at(2010 * look);
        let heard =
            Some(Counter { packets: 1, last: at(3900) }).filter(|c| c.last <= now).and_then(|c| c.told(now));
        let used = Some(Counted { packets: look, ago: Duration::ZERO });
        if renewal.note(now, hop(1), Use { heard, used }, Duration::from_secs(2)).is_some() {
            brought_forward.push(now);
        }
        renewal.advance(now, |_| asked.push(now));
    }
    assert_eq!(brought_forward, [at(4020)], "when it was seen first");
    assert!(!asked.is_empty(), "it is asked when that is over");
}

#[test]
fn who_asked_is_replaced_when_it_goes() {
    let mut segment = Segment::new(3, 60, Some(Duration::from_millis(20)));
    segment.run(0, 300, 3);
    let leader = segment.probes.last().expect("somebody asks").1;
    segment.chassis.remove(leader);
    segment.heard.remove(leader);
    segment.used.remove(leader);
    segment.probes.clear();
    segment.run(300, 600, 2);
    assert!(!segment.probes.is_empty());
    assert!(at(600_000) - segment.written < segment.keep);
}

#[test]
fn nobody_asks_for_what_nobody_uses() {
    let mut segment = Segment::new(5, 60, Some(Duration::ZERO));
    segment.run(0, 600, 0);
    assert_eq!((segment.probes.len(), segment.written), (0, at(0)));
    assert_eq!(segment.chassis[0].deadline(), None);
}

/// One that is gone is asked three times, each time after twice as long, and then ever more rarely while it is used.
#[test]
fn a_silent_neighbour_is_asked_with_back_off() {
    let mut segment = Segment::new(1, 3200, None);
    segment.run(0, 3200, 1);
    assert!(segment.chassis[0].has_failed(&hop(1)));
    let times: Vec<u64> = segment.probes.iter().map(|(now, _)| now.as_millis()).collect();
    let gaps: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(gaps[..2], [1000, 2000]);
    // use is looked for each 400 s
    assert!(gaps[2..].iter().all(|gap| *gap >= 4000), "{gaps:?}");
    assert!(times.len() <= 3 + 8, "{times:?}");
    // it answers again
    segment.answers = Some(Duration::ZERO);
    segment.run(3200, 4800, 1);
    assert!(!segment.chassis[0].has_failed(&hop(1)));
}

/// Packets from a neighbour are as good as an answer: nobody asks, and its row is brought forward in good time, not always.
#[test]
fn who_is_heard_of_is_not_asked() {
    let mut renewal = Renewal::new(1);
    let keep = Duration::from_secs(80);
    let mut written = at(0);
    renewal.follow(at(0), hop(1), Duration::ZERO, keep);
    let mut writes = 0;
    for second in 1..800 {
        let now = at(second * 1000);
        let counted = |ago: Duration| Some(Counted { packets: second, ago });
        let seen = Use { heard: counted(Duration::from_millis(300)), used: counted(Duration::ZERO) };
        if let Some(heard) = renewal.note(now, hop(1), seen, Duration::from_secs(1)) {
            assert_eq!(heard, Heard { next_hop: hop(1), ago: Duration::from_millis(300) });
            assert!(now - written >= keep / 8);
            written = at(second * 1000 - 300);
            writes += 1;
            renewal.follow(now, hop(1), now - written, keep);
        }
        renewal.advance(now, |_| panic!("nobody is asked"));
        assert!(now - written < keep / 4);
    }
    assert!((60..=80).contains(&writes), "{writes}");
}

#[derive(Clone, Debug)]
enum Step {
    Follow(u32, u64, u64),
    Forget(u32),
    Note(u32, Option<u64>, Option<u64>),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let ms = || prop_oneof![Just(0u64), 0u64..100_000];
    prop_oneof![
        3 => (0u32..5, ms(), 1u64..100).prop_map(|(n, age, keep)| Step::Follow(n, age, keep)),
        1 => (0u32..5).prop_map(Step::Forget),
        4 => (0u32..5, proptest::option::of(ms()), proptest::option::of(ms()))
            .prop_map(|(n, heard, used)| Step::Note(n, heard, used)),
        4 => ms().prop_map(Step::Wait),
    ]
}

proptest! {
    /// However it is driven: time goes on, nothing is asked twice at once, and only what is followed is asked.
    #[test]
    fn deadlines_lie_ahead_and_probes_are_paced(steps in proptest::collection::vec(step(), 0..300)) {
        let mut renewal = Renewal::new(3);
        let mut now = at(1_000_000);
        let mut followed: BTreeMap<NextHop, Duration> = BTreeMap::new();
        let mut asked: BTreeMap<NextHop, Instant> = BTreeMap::new();
        let duration = Duration::from_millis;
        for (packets, step) in (1..).zip(steps) {
            match step {
                Step::Follow(n, age, keep_s) => {
                    renewal.follow(now, hop(n), duration(age), Duration::from_secs(keep_s));
                    followed.insert(hop(n), Duration::from_secs(keep_s));
                    asked.remove(&hop(n));
                }
                Step::Forget(n) => {
                    renewal.forget(&hop(n));
                    followed.remove(&hop(n));
                }
                Step::Note(n, heard, used) => {
                    let counted = |ms: u64| Counted { packets, ago: duration(ms) };
                    let seen = Use { heard: heard.map(counted), used: used.map(counted) };
                    let news = renewal.note(now, hop(n), seen, duration(1000));
                    prop_assert!(news.is_none() || (heard.is_some() && followed.contains_key(&hop(n))));
                    if seen.used.is_some() || seen.heard.is_some() {
                        asked.remove(&hop(n));
                    }
                }
                Step::Wait(ms) => now = now + duration(ms),
            }
            renewal.advance(now, |next_hop| {
                let keep = followed.get(&next_hop).expect("only what is followed is asked");
                if let Some(before) = asked.insert(next_hop, now) {
                    assert!(now - before >= Duration::from_secs(1).min(*keep / 32));
                }
            });
            prop_assert!(renewal.deadline().is_none_or(|due| due > now));
            prop_assert_eq!(renewal.len(), followed.len());
        }
    }
}
