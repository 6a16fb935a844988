//! Control-plane protection (ovn-nb(5), table Copp): which meter each class bounds what with, and that it does.

use crate::bed::{Bed, Frame, NETWORK, R_IN, claim, udp};
use kiln_testkit::figures::Figures;
use kiln_testkit::{Component, Database, wait_for};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

/// A network in which every class that northd serves has something to bound.
const ALL_KINDS: &str = include_str!("../networks/gateway-router.nbctl");

/// The classes of ovn-nb(5), and the actions that they bound in that network, by opcode.
const CLASSES: &[(&str, &[&str])] = &[
    ("arp", &["put_arp"]),
    ("arp-resolve", &["arp"]),
    ("bfd", &[]),
    ("dhcpv4-opts", &[]),
    ("dhcpv4-relay", &[]),
    ("dhcpv6-opts", &[]),
    ("dns", &[]),
    ("event-elb", &[]),
    ("icmp4-error", &["icmp"]),
    ("icmp6-error", &["icmp"]),
    ("igmp", &[]),
    ("nd-na", &["nd_na", "nd_na_router", "put_nd"]),
    ("nd-ns", &["put_nd"]),
    ("nd-ns-resolve", &["nd_ns"]),
    ("nd-ra-opts", &["put_nd_ra_opts"]),
    ("reject", &["reject"]),
    ("svc-monitor", &[]),
    ("tcp-reset", &["sctp_abort", "tcp_reset"]),
];

/// Opcodes as they stand in the userdata of a flow.
const OPCODES: &[(u8, &str)] = &[
    (0, "arp"),
    (1, "put_arp"),
    (3, "nd_na"),
    (4, "put_nd"),
    (8, "put_nd_ra_opts"),
    (9, "nd_ns"),
    (10, "icmp"),
    (11, "tcp_reset"),
    (12, "nd_na_router"),
    (14, "icmp4_error"),
    (20, "icmp6_error"),
    (22, "reject"),
    (24, "sctp_abort"),
];

fn between<'t>(text: &'t str, start: &str, end: char) -> Option<&'t str> {
    text.split_once(start)?.1.split(end).next()
}

/// The actions that each meter bounds on the chassis, by the meter's name; those that nothing bounds have none.
fn bounded(bed: &Bed) -> BTreeMap<String, BTreeSet<&'static str>> {
    let listed = bed.lab.ask(&bed.chassis.controller, "meter-table-list");
    let names: BTreeMap<&str, &str> = listed
        .lines()
        .filter_map(|line| line.rsplit_once(": "))
        .map(|(name, id)| (id.trim(), name.trim()))
        .collect();
    let mut found: BTreeMap<String, BTreeSet<&'static str>> = BTreeMap::new();
    for line in bed.lab.ofctl(&bed.chassis, "dump-flows BR").lines() {
        for action in line.split("controller(").skip(1) {
            let opcode = between(action, "userdata=00.00.00.", '.');
            let opcode = opcode.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            let Some((_, action_name)) = OPCODES.iter().find(|(number, _)| Some(*number) == opcode) else {
                continue;
            };
            let arguments = action.split(')').next().unwrap_or_default();
            let id = between(arguments, "meter_id=", ',').unwrap_or_default();
            let name = names.get(id).copied().unwrap_or_default();
            found.entry(name.to_owned()).or_default().insert(action_name);
        }
    }
    found
}

/// The same in words.
fn told(found: &BTreeMap<String, BTreeSet<&'static str>>) -> Vec<String> {
    CLASSES
        .iter()
        .map(|(class, _)| {
            let actions: Vec<&str> =
                found.get(&format!("m-{class}")).into_iter().flatten().copied().collect();
            format!("{class}: {}", actions.join(" "))
        })
        .collect()
}

#[test]
fn every_class_has_its_meter_where_a_stock_chassis_has_it() {
    let named = |class: &str| ALL_KINDS.contains(&format!("copp-add edge {class} m-{class}\n"));
    let mut network = ALL_KINDS.to_owned();
    for (class, _) in CLASSES.iter().filter(|(class, _)| !named(class)) {
        let _ = write!(network, "\nmeter-add m-{class} drop 9 pktps 0\ncopp-add edge {class} m-{class}");
    }
    let expected: Vec<String> =
        CLASSES.iter().map(|(class, actions)| format!("{class}: {}", actions.join(" "))).collect();
    for whose in [Component::Stock, Component::Kiln] {
        let bed = Bed::start(whose, &network, &["p1", "e1"], "");
        assert_eq!(told(&bounded(&bed)), expected, "{whose}");
    }
}

/// One packet a second of each of these classes.
const FEW: &str = "
    acl-add in from-lport 1001 'inport == \"p1\" && tcp' reject
    copp-add few arp few-arp
    copp-add few arp-resolve few-arp-resolve
    copp-add few icmp4-error few-icmp4-error
    copp-add few nd-na few-nd-na
    copp-add few reject few-reject
    lr-copp-add few r
    ls-copp-add few in
";

/// How many packets come in at once.
const MANY: u64 = 20;

/// How many packets have come to a meter, and how many it has let pass.
fn metered(bed: &Bed, name: &str) -> (u64, u64) {
    let listed = bed.lab.ask(&bed.chassis.controller, "meter-table-list");
    let id =
        listed.lines().find_map(|line| line.trim().strip_prefix(&format!("{name}: "))).expect("it is listed");
    let text = bed.lab.ofctl(&bed.chassis, "meter-stats BR");
    let of_meter = |part: &&str| part.starts_with(&format!("{} ", id.trim()));
    let stats = text.split("meter:").find(of_meter).unwrap_or_default();
    let number = |word: &str| between(stats, word, ' ').and_then(|text| text.parse().ok()).unwrap_or(0);
    let (came, dropped): (u64, u64) = (number("packet_in_count:"), number("0: packet_count:"));
    (came, came - dropped)
}

/// A class, where its packets come in, the packets, and what comes of one of them: where, and whether a frame is that.
type Trial = (&'static str, &'static str, fn(u64) -> String, &'static str, fn(&Frame) -> bool);

const TRIALS: &[Trial] = &[
    ("arp-resolve", "p1", |n| udp(1, &format!("10.1.0.{}", 100 + n), 9001), "q1", |frame| frame.is_arp(1)),
    (
        "icmp4-error",
        "p1",
        |n| udp(1, &format!("10.1.0.{}", 100 + n), 9001).replace("ttl=64", "ttl=1"),
        "p1",
        |frame| frame.hex(12, 2) == "0800" && frame.hex(23, 1) == "01" && frame.hex(34, 1) == "0b",
    ),
    (
        "nd-na",
        "p1",
        |_| SOLICIT.to_owned(),
        "p1",
        |frame| frame.hex(12, 2) == "86dd" && frame.hex(54, 1) == "88",
    ),
    ("reject", "p1", syn, "p1", |frame| frame.hex(12, 2) == "0800" && frame.hex(23, 1) == "06"),
];

/// A solicitation of the router's address from `p1`.
const SOLICIT: &str = "0e00000000010a000000000186dd6000000000203afffd000000000000000000000000000011\
                       fd0000000000000000000000000000018700768d00000000fd0000000000000000000000000000010101\
                       0a0000000001";

fn syn(n: u64) -> String {
    format!(
        "in_port(1),eth(src=0a:00:00:00:00:01,dst={R_IN}),eth_type(0x0800),\
         ipv4(src=10.0.0.11,dst=10.0.0.12,proto=6,tos=0,ttl=64,frag=no),tcp(src={},dst=80),tcp_flags(syn)",
        1000 + n
    )
}

#[test]
fn few_of_many_packets_pass() {
    let meters: String = ["arp", "arp-resolve", "icmp4-error", "nd-na", "reject"]
        .map(|class| format!("meter-add few-{class} drop 1 pktps 1\n"))
        .concat();
    let network = format!("{NETWORK}\n{meters}\n{FEW}");
    let mut packets = 0;
    let mut version = String::new();
    for whose in [Component::Stock, Component::Kiln] {
        let bed = Bed::start(whose, &network, &["p1", "p2", "q1"], "");
        version = bed.lab.version(Component::Stock, "ovn-controller");
        let pass = |class: &str, from: &str, frames: Vec<String>, seen: &dyn Fn() -> usize| {
            bed.receive(from, &frames);
            let name = format!("few-{class}");
            wait_for(&format!("{whose}: packets at {name}"), || {
                (metered(&bed, &name).0 >= MANY).then_some(())
            });
            let (came, passed) = metered(&bed, &name);
            assert!(came == MANY && (1..=MANY / 2).contains(&passed), "{whose}: {class}: {passed} of {came}");
            wait_for(&format!("{whose}: what comes of {passed} of {class}"), || {
                (seen() as u64 == passed).then_some(())
            });
            passed
        };
        for (class, from, make, to, is_it) in TRIALS {
            let frames = (0..MANY).map(make).collect();
            let seen = || bed.frames(to).iter().filter(|frame| is_it(frame)).count();
            packets += pass(class, from, frames, &seen);
        }
        let claims =
            (0..MANY).map(|n| claim(&format!("02:00:00:00:00:{n:02x}"), &format!("10.1.0.{}", 200 + n)));
        let rows = || bed.lab.rows(&bed.south, Database::Southbound, "MAC_Binding");
        packets += pass("arp", "q1", claims.collect(), &|| {
            rows()
                .iter()
                .filter(|row| row["ip"].as_str().is_some_and(|ip| ip.starts_with("10.1.0.2")))
                .count()
        });
    }
    let mut figures = Figures::new(env!("CARGO_TARGET_TMPDIR"), "protected");
    figures.peer("ovn-controller", &version).packets += packets as usize;
}
