//! What routers advertise by themselves where `ipv6_ra_configs` is odd: what stock does, but that one wrong entry keeps back no others.

use crate::bed::{Bed, Frame};
use kiln_testkit::figures::Figures;
use kiln_testkit::{Component, wait_for};
use std::fmt::Write as _;

/// What is configured; what makes a stock chassis advertise what Kiln does; and what Kiln tells of.
type Case = (&'static str, &'static str, Option<&'static str>);

const SAME: &str = "";

const CASES: &[Case] = &[
    ("dnssl=a.example,b.example", SAME, None),
    ("dnssl=a..b", SAME, None),
    ("dnssl=a.example,,b.example", SAME, None),
    ("dnssl=a.example.", SAME, None),
    ("dnssl=ex_ample.org", SAME, None),
    (
        "dnssl=a.example,xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.example,b.example",
        "dnssl=a.example,b.example",
        Some("xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.example"),
    ),
    ("route_info=HIGH-fd77::/64,LOW-fd78::/48", SAME, None),
    ("route_info=HIGH-fd77::5/64", SAME, None),
    ("route_info=HIGH-fd77::1", SAME, None),
    ("route_info=HIGH-::/0", SAME, None),
    ("route_info=HIGH-fd77::/ffff:ffff::", SAME, None),
    ("route_info=HIGH--fd77::/64", SAME, None),
    // Stock leaves the route out of the datagram's length.
    ("route_info=HIGH-fd77::/64-x", "route_info=HIGH-fd77::/64", None),
    ("route_info=,HIGH-fd77::/64,", SAME, None),
    ("route_info=high-fd77::/64", SAME, Some("high")),
    ("route_info=BEST-fd77::/64,LOW-fd78::/48", SAME, Some("BEST")),
    ("route_info=LOW-fd78::/48,HIGH,HIGH-fd79::/64", SAME, Some("HIGH")),
    ("route_info=fd77::/64", SAME, Some("fd77::/64")),
    (
        "route_info=LOW-fd78::/48,HIGH-x,HIGH-fd79::/64",
        "route_info=LOW-fd78::/48,HIGH-fd79::/64",
        Some("HIGH-x"),
    ),
    ("route_info=HIGH-10.0.0.0/8,LOW-fd78::/48", "route_info=LOW-fd78::/48", Some("HIGH-10.0.0.0/8")),
    ("route_info=HIGH-fd77::/129,LOW-fd78::/48", "route_info=LOW-fd78::/48", Some("HIGH-fd77::/129")),
    ("rdnss=10.0.0.1 dnssl=b.example", "dnssl=b.example", Some("10.0.0.1")),
    ("mtu=x dnssl=b.example", "dnssl=b.example", None),
    ("router_preference=high dnssl=b.example", "dnssl=b.example", None),
];

/// A router port for each configuration, behind which there is a port of a switch.
fn network(configs: impl Iterator<Item = &'static str>) -> String {
    let mut lines = String::from("lr-add r\n");
    for (n, configs) in (1..).zip(configs) {
        let common = "address_mode=slaac send_periodic=true max_interval=4 min_interval=3".split(' ');
        let all = common.chain(configs.split(' ')).filter_map(|config| config.split_once('='));
        let all: Vec<String> =
            all.map(|(key, value)| format!("'ipv6_ra_configs:{key}=\"{value}\"'")).collect();
        let all = all.join(" ");
        let _ = write!(
            lines,
            "lrp-add r r{n} 0e:00:00:00:01:{n:02x} fd00:{n}::1/64\nset Logical_Router_Port r{n} {all}\nls-add s{n}\n\
             lsp-add-router-port s{n} s{n}-r r{n}\nlsp-add s{n} p{n}\nlsp-set-addresses p{n} unknown\n"
        );
    }
    lines
}

/// The first advertisement that came out of a port.
#[track_caller]
fn advertisement(bed: &Bed, port: &str) -> String {
    let is_advertisement = |frame: &Frame| frame.hex(12, 2) == "86dd" && frame.hex(54, 1) == "86";
    wait_for(&format!("an advertisement out of {port}"), || {
        let frame = bed.frames(port).into_iter().find(is_advertisement)?;
        Some(frame.hex(0, frame.bytes.len()))
    })
}

/// Whether a daemon has told of an entry that it does not understand.
fn has_told(bed: &Bed, daemon: &str, what: &str) -> bool {
    let log = std::fs::read_to_string(bed.lab.folder().join(format!("{daemon}.log"))).unwrap_or_default();
    log.lines().any(|line| line.contains(&format!("`{what}`")) && line.contains("is not understood"))
}

#[test]
fn one_wrong_entry_keeps_back_no_others() {
    let names: Vec<String> = (1..=CASES.len()).map(|n| format!("p{n}")).collect();
    let ports: Vec<&str> = names.iter().map(String::as_str).collect();
    let ours = || network(CASES.iter().map(|(configs, ..)| *configs));
    let theirs = network(CASES.iter().map(|(ours, theirs, _)| if *theirs == SAME { *ours } else { *theirs }));
    let stock = Bed::start(Component::Stock, &theirs, &ports, "");
    let beside = Bed::compiled(Component::Stock, Component::Kiln, &ours(), &ports, "");
    let alone = Bed::start(Component::Kiln, &ours(), &ports, "");
    let mut wrong = Vec::new();
    for ((configs, _, told), port) in CASES.iter().zip(ports) {
        let expected = advertisement(&stock, port);
        for (bed, whose) in [(&beside, "stock's northd"), (&alone, "Kiln's northd")] {
            let found = advertisement(bed, port);
            if found != expected {
                wrong.push(format!("{configs}, with {whose}:\n  {found}\n  {expected}"));
            }
            let is_told = |what: &str| has_told(bed, "c-controller", what) || has_told(bed, "northd", what);
            if told.is_some_and(|what| !is_told(what)) {
                wrong.push(format!("{configs}, with {whose}: nothing is told of {told:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let mut figures = Figures::new(env!("CARGO_TARGET_TMPDIR"), "advertised");
    let version = stock.lab.version(Component::Stock, "ovn-controller");
    figures.peer("ovn-controller", &version).packets += CASES.len();
}
