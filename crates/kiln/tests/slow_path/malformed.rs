//! Packets that are not what they should be: each is dropped with a reason, and nothing else is.

use crate::bed::{Bed, NETWORK, claim};
use kiln_testkit::{Component, Database, wait_for};
use std::collections::BTreeMap;

/// The pipeline drops it as what it is no answer to, and nothing comes up.
const IN_THE_SWITCH: &str = "";

/// A packet, and the counter that tells of it.
struct Case {
    what: &'static str,
    packet: String,
    counter: &'static str,
}

/// A packet of [`icmp6`]'s with another checksum.
fn wrong_sum(packet: &str) -> String {
    let at = 2 * (14 + 40 + 2);
    let sum = u16::from_str_radix(&packet[at..at + 4], 16).expect("digits");
    format!("{}{:04x}{}", &packet[..at], sum ^ 0x5555, &packet[at + 4..])
}

/// A packet of [`icmp6`]'s with a fragment header that says that it is whole.
fn fragment(packet: &str) -> String {
    let (start, message) = packet.split_at(2 * (14 + 40));
    let len = format!("{:04x}", message.len() / 2 + 8);
    format!("{}{len}2c{}3a00000000000007{message}", &start[..36], &start[42..])
}

/// Ethernet and IPv6 around an ICMPv6 message, whose checksum is filled in, from a host of `out` to the router or a group.
fn icmp6(eth_dst: &str, dst: &str, src: &str, message: &str) -> String {
    let bytes: Vec<u8> = (0..message.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&message[at..at + 2], 16).expect("digits"))
        .collect();
    let len = format!("{:04x}", bytes.len());
    // RFC 8200, section 8.1; RFC 1071.
    let summed = format!("{src}{dst}{:08x}{:08x}{message}", bytes.len(), 58);
    let word = |at: usize| {
        let text = &summed[at..summed.len().min(at + 4)];
        u32::from_str_radix(&format!("{text:0<4}"), 16).expect("digits")
    };
    let sum: u32 = (0..summed.len()).step_by(4).map(word).sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    let (start, end) = message.split_at(4);
    format!("{eth_dst}02000000007086dd60000000{len}3aff{src}{dst}{start}{sum:04x}{}", &end[4..])
}

const ROUTER: (&str, &str) = ("0e0000000002", "fd010000000000000000000000000001");
const ROUTERS: (&str, &str) = ("333300000002", "ff020000000000000000000000000002");
const HOST: &str = "fd010000000000000000000000000070";
const HOST_LOCAL: &str = "fe800000000000000000000000000070";
const NOBODY: &str = "00000000000000000000000000000000";
const GROUP: &str = "ff020000000000000000000000000009";
const ALL: (&str, &str) = ("333300000001", "ff020000000000000000000000000001");
/// The group of the router's address.
const SOLICITED: (&str, &str) = ("3333ff000001", "ff0200000000000000000001ff000001");

/// ARP as RFC 826 has it, from what follows the two addresses of the Ethernet header.
fn arp(rest: &str) -> String {
    format!("ffffffffffff0200000000700806{rest}")
}

fn cases() -> Vec<Case> {
    let case = |what, packet, counter| Case { what, packet, counter };
    let advert = |rest: &str| icmp6(ROUTER.0, ROUTER.1, HOST, &format!("8800000060000000{HOST}{rest}"));
    let solicit =
        |rest: &str| icmp6(ROUTER.0, ROUTER.1, HOST, &format!("8700000000000000{}{rest}", ROUTER.1));
    let asked = |(eth, to): (&str, &str), src: &str, rest: &str| {
        icmp6(eth, to, src, &format!("8700000000000000{}{rest}", ROUTER.1))
    };
    let told = |src: &str, (eth, to): (&str, &str)| {
        icmp6(eth, to, src, &format!("8800000060000000{HOST}0201020000000070"))
    };
    let routers =
        |src: &str, rest: &str| icmp6(ROUTERS.0, ROUTERS.1, src, &format!("8500000000000000{rest}"));
    let reply = |sha: &str, spa: &str| arp(&format!("0001080006040002{sha}{spa}0e00000000020a010001"));
    let not_a_host = "packet_put_arp_drop_not_a_host";
    let not_a_neighbor = "packet_put_nd_drop_not_a_host";
    let not_valid = "packet_put_nd_drop_malformed";
    let not_asked_well = "packet_nd_na_router_drop_malformed";
    let not_a_solicitation = "packet_put_nd_ra_opts_drop_wrong_packet";
    vec![
        case("an advertisement with an option of no length", advert("0200020000000070"), not_valid),
        case("an advertisement with an option that is cut short", advert("0202020000000070"), not_valid),
        case("an advertisement with a group's address", advert("0201330000000001"), not_a_neighbor),
        case("an advertisement with a wrong checksum", wrong_sum(&told(HOST, ROUTER)), not_valid),
        case("an advertisement with a fragment header", fragment(&told(HOST, ROUTER)), not_valid),
        case("an answer that is told to all", told(HOST, ALL), not_valid),
        case("an advertisement of a group", told(GROUP, ROUTER), not_valid),
        case("a solicitation with a wrong checksum", wrong_sum(&asked(ROUTER, HOST, "")), not_asked_well),
        case("a solicitation with a fragment header", fragment(&asked(ROUTER, HOST, "")), not_asked_well),
        case("a solicitation of a group", asked(ROUTER, GROUP, ""), not_asked_well),
        case("a solicitation of nobody to one host", asked(ROUTER, NOBODY, ""), not_asked_well),
        case(
            "a solicitation of nobody with an address",
            asked(SOLICITED, NOBODY, "0101020000000070"),
            not_asked_well,
        ),
        case("a solicitation with an option of no length", solicit("0100020000000070"), not_asked_well),
        case("a solicitation with an option that is cut short", solicit("0102020000000070"), not_asked_well),
        case(
            "a router solicitation with an option of no length",
            routers(HOST_LOCAL, "0100020000000070"),
            not_a_solicitation,
        ),
        case(
            "a router solicitation with an option that is cut short",
            routers(HOST_LOCAL, "010202000000"),
            not_a_solicitation,
        ),
        case(
            "a router solicitation from nobody with an address",
            routers(NOBODY, "0101020000000070"),
            not_a_solicitation,
        ),
        case(
            "a router solicitation with a wrong checksum",
            wrong_sum(&routers(HOST_LOCAL, "")),
            not_a_solicitation,
        ),
        case(
            "a router solicitation with a fragment header",
            fragment(&routers(HOST_LOCAL, "")),
            not_a_solicitation,
        ),
        case("an answer of a group", reply("030000000001", "0a010046"), not_a_host),
        case("an answer of no address", reply("000000000000", "0a010046"), not_a_host),
        case("an answer about a group", reply("020000000070", "e0000001"), not_a_host),
        case("an answer about a loopback", reply("020000000070", "7f000001"), not_a_host),
        case("an answer that is cut short", arp("00010800060400020200000000700a01"), IN_THE_SWITCH),
        case(
            "an answer about addresses of another kind",
            arp("0006080008040002020000000070000a0100460e00000000020a010001"),
            IN_THE_SWITCH,
        ),
    ]
}

/// What was learned, by address.
fn learned(bed: &Bed) -> BTreeMap<String, String> {
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let rows = bed.lab.rows(&bed.south, Database::Southbound, "MAC_Binding");
    rows.iter().map(|row| (text(&row["ip"]), text(&row["mac"]))).collect()
}

const RA: &str = "
    set Logical_Router_Port r-out ipv6_ra_configs:address_mode=slaac
";

#[test]
fn are_dropped_and_counted_by_their_reason_and_nothing_else_is() {
    let network = format!("{NETWORK}{RA}");
    let bed = Bed::start(Component::Kiln, &network, &["p1", "q1"], "");
    let mut counted: BTreeMap<&str, u64> = BTreeMap::new();
    let good = |n: usize| (format!("02:00:00:00:01:{n:02x}"), format!("10.1.1.{}", n + 1));
    let cases = cases();
    for (n, case) in cases.iter().enumerate() {
        bed.receive("q1", std::slice::from_ref(&case.packet));
        println!("{}: {}", case.what, case.counter);
        if case.counter != IN_THE_SWITCH {
            let expected = counted.entry(case.counter).or_default();
            *expected += 1;
            bed.counted(case.counter, *expected);
        }
        // A good one, right behind it.
        let (mac, ip) = good(n);
        bed.receive("q1", &[claim(&mac, &ip)]);
        wait_for("a good answer behind it", || (learned(&bed).get(&ip) == Some(&mac)).then_some(()));
    }
    for (counter, expected) in &counted {
        assert_eq!(bed.counter(counter), *expected, "{counter}");
    }
    // What came up was learned, or counted as dropped: good answers, and bad ones.
    let bad = counted["packet_put_arp_drop_not_a_host"];
    assert_eq!(bed.counter("packet_put_arp_received"), bad + cases.len() as u64);
    let others = learned(&bed).into_keys().filter(|ip| !ip.starts_with("10.1.1.")).collect::<Vec<_>>();
    assert_eq!(others, [""; 0]);
    // The same by the port that they came in by: the switch answers for the router where all hosts are asked, and counts at its own.
    let shown = bed.lab.ask(&bed.chassis.controller, "packet-drops/show");
    for (counter, expected) in &counted {
        let (action, reason) = counter["packet_".len()..].split_once("_drop_").expect("a drop");
        let by_port: Vec<&str> =
            shown.lines().filter(|line| line.contains(&format!(": {action}:"))).collect();
        assert!(by_port.iter().any(|line| line.starts_with("r-out: ")), "{counter}: {shown}");
        let words = by_port.iter().flat_map(|line| line.split(' '));
        let told: u64 =
            words.filter_map(|word| word.strip_prefix(&format!("{reason}="))?.parse::<u64>().ok()).sum();
        assert_eq!(told, *expected, "{counter}: {shown}");
    }

    // A stock chassis believes messages that are not valid, and answers them.
    let stock = Bed::start(Component::Stock, &network, &["p1", "q1"], "");
    let packets: Vec<String> = cases.into_iter().map(|case| case.packet).collect();
    stock.receive("q1", &packets);
    let (mac, ip) = good(0);
    wait_for("a good answer", || {
        stock.receive("q1", &[claim(&mac, &ip)]);
        (learned(&stock).get(&ip) == Some(&mac)).then_some(())
    });
    assert!(learned(&stock).contains_key("fd01::70"));
    let adverts = |bed: &Bed| bed.frames("q1").iter().filter(|frame| frame.hex(54, 1) == "88").count();
    println!("a stock chassis has learned {:?} and answered {} times", learned(&stock), adverts(&stock));
    assert_eq!((adverts(&stock), adverts(&bed)), (7, 0));
}
