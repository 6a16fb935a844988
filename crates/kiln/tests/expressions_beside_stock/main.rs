//! Random expressions, and every symbol, under a stock controller and lowered by Kiln: never more flows, and the same meaning
//! in a naive switch.
//!
//! A few hundred run with the other tests. More, drawn from another seed, with a line for each that differs:
//!
//! ```text
//! KILN_EXPRESSIONS=5000 KILN_SEED=7 cargo test -p kiln --test expressions_beside_stock random -- --nocapture
//! ```

// A test may own processes and read its environment.
#![allow(clippy::disallowed_methods)]

mod draw;

use draw::Draw;
use fastrand::Rng;
use kiln_logical::action::{self, Pipeline, Place};
use kiln_logical::symbol::{Kind, SYMBOLS, Symbol};
use kiln_logical::{AddressSet, Environment, Field as Logical, expr};
use kiln_lower::{Lowered, Names, Part, lower_match};
use kiln_openflow::{Action, Actions, Field, FieldValue, Match};
use kiln_testkit::figures::Figures;
use kiln_testkit::interpreter::{Flow, Packet, Tables};
use kiln_testkit::{Chassis, Component, Database, Lab, Server, wait_for};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

const SYSTEM: &str = "hv1";
/// The datapath of all flows, and their stage: the tenth of the ingress pipeline, which is table 18 of the switch.
const DATAPATH: u32 = 10;
const STAGE: u8 = 10;
const TABLE: u8 = 18;

/// Ports, their keys, and whether they are on this chassis.
const PORTS: &[(&str, u32, bool)] =
    &[("eth0", 5, true), ("eth1", 6, true), ("lsp1", 17, true), ("lsp2", 18, true), ("far", 19, false)];
const ADDRESS_SETS: &[(&str, &[&str])] = &[
    ("v4", &["10.0.0.1", "10.0.0.2", "10.0.0.3"]),
    ("mixed", &["10.0.0.0/30", "10.0.0.1", "10.0.0.7"]),
    ("one", &["10.0.0.7"]),
    ("v6", &["::1", "::2", "::3"]),
    ("macs", &["00:00:00:00:00:01", "00:00:00:00:00:02", "00:00:00:00:00:03"]),
    ("none", &[]),
];
const PORT_GROUPS: &[(&str, &[&str])] = &[("ports", &["lsp1", "lsp2", "far"]), ("nobody", &[])];

/// How many expressions stock is given at a time.
const AT_ONCE: usize = 250;
/// Expressions of more flows than this would make a slow test of the switch.
const MAX_FLOWS: usize = 4000;
/// Packets that are held against what each expression became.
const PACKETS: usize = 60;

/// The network, as Kiln's lowering sees it.
struct Network;

impl Environment for Network {
    fn address_set(&self, name: &str) -> Option<Arc<AddressSet>> {
        let (_, members) = ADDRESS_SETS.iter().find(|(known, _)| *known == name)?;
        Some(Arc::new(AddressSet::parse(members.iter().copied()).0))
    }

    fn port_group(&self, name: &str) -> Option<Arc<[Arc<str>]>> {
        let (_, members) = PORT_GROUPS.iter().find(|(known, _)| *known == name)?;
        // Of a group, a controller knows the members that are on its chassis.
        Some(members.iter().filter(|name| self.is_resident(name)).map(|name| Arc::from(*name)).collect())
    }
}

impl Names for Network {
    fn port_key(&self, name: &str) -> Option<u32> {
        PORTS.iter().find(|(known, ..)| *known == name).map(|(_, key, _)| *key)
    }

    fn matched_port_key(&self, field: Logical, name: &str) -> Option<u32> {
        // Nothing comes in here by a port that is elsewhere.
        self.port_key(name).filter(|_| field != Logical::Inport || self.is_resident(name))
    }

    fn is_resident(&self, name: &str) -> bool {
        PORTS.iter().any(|(known, _, here)| *known == name && *here)
    }
}

/// A stock controller on a switch, and its database.
struct Stock {
    lab: Lab,
    south: Server,
    chassis: Chassis,
    datapath: String,
    rounds: i64,
}

impl Stock {
    fn new() -> Stock {
        let mut lab = Lab::new(env!("CARGO_BIN_EXE_kiln"));
        let south = lab.serve("sb", Database::Southbound);
        lab.ctl("ovn-sbctl", &south, "init");
        let network = "external_ids:logical-switch=11111111-1111-1111-1111-111111111111";
        let create = format!("create Datapath_Binding tunnel_key={DATAPATH} external_ids:name=sw {network}");
        let datapath = lab.ctl("ovn-sbctl", &south, &create).trim().to_owned();
        for (name, key, _) in PORTS {
            let create = format!(
                "create Port_Binding logical_port={name} tunnel_key={key} datapath={datapath} up=false"
            );
            lab.ctl("ovn-sbctl", &south, &create);
        }
        let quoted =
            |members: &[&str]| members.iter().map(|m| format!("\"{m}\"")).collect::<Vec<_>>().join(",");
        for (name, members) in ADDRESS_SETS {
            let create = [
                "create",
                "Address_Set",
                &format!("name={name}"),
                &format!("addresses=[{}]", quoted(members)),
            ];
            succeed(lab.tool("ovn-sbctl", &south).args(create));
        }
        for (name, members) in PORT_GROUPS {
            let name = format!("name={DATAPATH}_{name}");
            let create = ["create", "Port_Group", &name, &format!("ports=[{}]", quoted(members))];
            succeed(lab.tool("ovn-sbctl", &south).args(create));
        }
        lab.ctl("ovn-sbctl", &south, "chassis-add hv2 geneve 127.0.0.2");
        let everything = "set Open_vSwitch . external_ids:ovn-monitor-all=true";
        let chassis = lab.chassis("hv", Component::Stock, SYSTEM, &south, everything);
        for (name, _, here) in PORTS {
            if *here {
                lab.plug(&chassis, name);
            } else {
                lab.ctl("ovn-sbctl", &south, &format!("lsp-bind {name} hv2"));
            }
        }
        // Before the ports are bound, the datapath is none of the chassis'.
        wait_for("the ports to be up", || {
            let rows = lab.rows(&south, Database::Southbound, "Port_Binding");
            let here = PORTS.iter().filter(|(.., here)| *here);
            let up = rows.iter().filter(|row| row["up"] == true);
            (up.count() >= here.count()).then_some(())
        });
        Stock { lab, south, chassis, datapath, rounds: 0 }
    }

    /// What the rows with these matches and actions become in the switch: lines without their number of bytes and such.
    fn rows(&mut self, rows: &[(&str, &str)]) -> Vec<Vec<String>> {
        let mut command = self.lab.tool("ovn-sbctl", &self.south);
        command.args(["--all", "destroy", "Logical_Flow"]);
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\\\""));
        for (priority, (flow_match, actions)) in (1..).zip(rows) {
            command.args(["--", "create", "Logical_Flow", "pipeline=ingress"]);
            command.arg(format!("logical_datapath={}", self.datapath));
            command.arg(format!("table_id={STAGE}")).arg(format!("priority={priority}"));
            command.arg(format!("match={}", quoted(flow_match))).arg(format!("actions={}", quoted(actions)));
        }
        succeed(&mut command);
        self.rounds += 1;
        self.lab.acknowledge(&self.south, SYSTEM, self.rounds);
        let dump =
            self.lab.ofctl(&self.chassis, &format!("--no-stats --no-names dump-flows BR table={TABLE}"));
        let mut found = vec![Vec::new(); rows.len()];
        for line in dump.lines().filter(|line| line.contains(" actions=")) {
            let (_, text) = line.split_once("priority=").expect("a priority");
            let (priority, text) = text.split_once(',').expect("all flows match the datapath");
            found[priority.parse::<usize>().expect("a number") - 1].push(text.to_owned());
        }
        found
    }

    /// What each expression becomes in the switch.
    fn flows(&mut self, expressions: &[String]) -> Vec<Vec<(Match, Actions)>> {
        let rows: Vec<(&str, &str)> = expressions.iter().map(|text| (text.as_str(), "next;")).collect();
        let read = |lines: Vec<String>| lines.iter().map(|line| read(line)).collect();
        self.rows(&rows).into_iter().map(read).collect()
    }
}

fn succeed(command: &mut std::process::Command) {
    let output = command.output().expect("a stock tool runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// `MATCH actions=ACTIONS`.
fn read(line: &str) -> (Match, Actions) {
    let (flow_match, actions) = line.split_once(" actions=").expect("actions");
    let flow_match = flow_match.parse().unwrap_or_else(|error| panic!("{line}: {error}"));
    (flow_match, actions.parse().unwrap_or_else(|error| panic!("{line}: {error}")))
}

/// What Kiln makes of an expression, parts with one match in one flow, as a switch has them. None if the language has no such
/// expression or a switch cannot say it.
fn lower(text: &str) -> Option<Vec<(Match, Actions)>> {
    let datapath = FieldValue::exact(Field::METADATA, u128::from(DATAPATH));
    let Lowered { flows, .. } = lower_match(text, &Network, &[datapath], 1).ok()?;
    let mut merged: BTreeMap<Match, Vec<Action>> = BTreeMap::new();
    for (flow_match, part) in flows {
        merged.entry(flow_match).or_default().push(match part {
            Part::Actions => Action::resubmit(TABLE + 1),
            Part::Conjunction { id, clause, n_clauses } => Action::Conjunction { id, clause, n_clauses },
        });
    }
    let encode = |actions: Vec<Action>| Actions::encode(&actions).expect("short actions");
    Some(merged.into_iter().map(|(flow_match, actions)| (flow_match, encode(actions))).collect())
}

fn tables(flows: &[(Match, Actions)]) -> Tables {
    let mut tables = Tables::default();
    for (flow_match, actions) in flows {
        let instructions = actions.clone().into();
        tables.add(Flow { table: 0, priority: 1, flow_match: flow_match.clone(), instructions, cookie: 0 });
    }
    tables
}

fn a_bit_of(mask: u128, rng: &mut Rng) -> u128 {
    let bits: Vec<u128> = (0..128).map(|at| 1 << at).filter(|bit| mask & bit != 0).collect();
    bits[rng.usize(0..bits.len())]
}

/// Packets near what the flows match: of each some bits of a few of them, one of which may be turned.
fn packet(flows: &[&(Match, Actions)], rng: &mut Rng) -> Packet {
    let mut packet = Packet::default();
    packet.set(Field::METADATA, u128::from(DATAPATH));
    for _ in 0..rng.usize(1..5) {
        let (flow_match, _) = flows[rng.usize(0..flows.len())];
        let said: Vec<FieldValue> = flow_match.iter().filter(|said| said.field != Field::CONJ_ID).collect();
        let turned = rng.usize(0..2 * said.len());
        for (at, said) in said.iter().enumerate() {
            let bits = if at == turned { a_bit_of(said.mask, rng) } else { 0 };
            packet.write(&FieldValue { value: said.value ^ bits, ..*said });
        }
    }
    packet.set(Field::METADATA, u128::from(DATAPATH));
    // A later fragment is a fragment.
    if packet.get(Field::IP_FRAG) == 2 {
        packet.set(Field::IP_FRAG, 3);
    }
    packet
}

/// What is wrong with what an expression became, and how many packets met a flow.
fn differs(stock: &[(Match, Actions)], kiln: &[(Match, Actions)], rng: &mut Rng) -> Result<usize, String> {
    if kiln.len() > stock.len() {
        return Err(format!("{} flows in place of {}", kiln.len(), stock.len()));
    }
    let both: Vec<&(Match, Actions)> = stock.iter().chain(kiln).collect();
    if both.is_empty() {
        return Ok(0);
    }
    let (stock, kiln) = (tables(stock), tables(kiln));
    let mut met = 0;
    for _ in 0..PACKETS {
        let packet = packet(&both, rng);
        let [by_stock, by_kiln] = [&stock, &kiln].map(|tables| tables.lookup(0, &packet).is_some());
        if by_stock != by_kiln {
            return Err(format!("another meaning: {packet:?} is met by stock's: {by_stock}"));
        }
        met += usize::from(by_stock);
    }
    Ok(met)
}

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name)
        .map_or(otherwise, |text| text.parse().unwrap_or_else(|error| panic!("{name}: {error}")))
}

#[test]
fn random_expressions() {
    let (count, seed) = (number("KILN_EXPRESSIONS", 250) as usize, number("KILN_SEED", 1));
    let (mut draw, mut rng) = (Draw::new(seed), Rng::with_seed(seed));
    let mut stock = Stock::new();
    let (mut flows, mut fewer, mut met, mut wrong) = ([0, 0], 0, 0, Vec::new());
    let (mut left, mut drawn) = (count, 0);
    while left > 0 {
        // A flow that no switch takes would have stock's chassis without any.
        let few = |text: &String| lower(text).is_some_and(|flows| flows.len() <= MAX_FLOWS);
        let drawn = std::iter::repeat_with(|| draw.expression()).inspect(|_| drawn += 1).filter(few);
        let expressions: Vec<String> = drawn.take(left.min(AT_ONCE)).collect();
        left -= expressions.len();
        for (text, by_stock) in expressions.iter().zip(stock.flows(&expressions)) {
            let by_kiln = lower(text).unwrap_or_default();
            flows[0] += by_stock.len();
            flows[1] += by_kiln.len();
            fewer += usize::from(by_kiln.len() < by_stock.len());
            match differs(&by_stock, &by_kiln, &mut rng) {
                Ok(packets) => met += packets,
                Err(problem) => wrong.push(format!("{text}\n    {problem}")),
            }
        }
    }
    println!(
        "{count} of {drawn} expressions of seed {seed}: {} flows of stock's, {} of Kiln's, {fewer} expressions with \
         fewer; {met} of {} packets met one",
        flows[0],
        flows[1],
        count * PACKETS
    );
    assert!(wrong.is_empty(), "{} of {count} differ:\n{}", wrong.len(), wrong.join("\n"));
    // Else too little was compared.
    assert!(flows[1] > 10 * count && met > 10 * count && drawn < 2 * count);
    let mut figures = Figures::new(env!("CARGO_TARGET_TMPDIR"), "random_expressions");
    let version = stock.lab.version(Component::Stock, "ovn-controller");
    figures.peer("ovn-controller", &version).flows += flows[0];
}

/// What shows where a symbol lies, how wide it is and what it needs: all of its bits, and one value.
fn shows(symbol: &Symbol) -> Vec<String> {
    let name = symbol.name;
    match symbol.width {
        0 => vec![format!("{name} == \"lsp1\"")],
        1 => vec![name.to_owned(), format!("!{name}")],
        width => vec![
            format!("{name} == {:#x}", u128::MAX >> (128 - width)),
            format!("{name} == 1"),
            format!("{name} == 2/2"),
        ],
    }
}

/// Symbols of which stock sends something else, or nothing that a switch takes, and expressions of others: opcodes of ARP are cut to
/// 8 bits, masked priorities sent whole, and nothing is sent for keys of ports that are elsewhere.
const OTHERWISE: [&str; 3] = ["ip.dscp", "ip.ecn", "vlan.tci"];
const OTHERWISE_ONCE: [&str; 7] = [
    "arp.op == 0xffff",
    "rarp.op == 0xffff",
    "vlan.pcp == 2/2",
    "__inport == 0xffffffff",
    "__inport == 1",
    "__inport == 2/2",
    "from_evpn_vtep",
];

#[test]
fn every_symbol() {
    let can_be_compared = |text: &String| {
        lower(text).is_some() && !draw::is_long(text) && !OTHERWISE_ONCE.contains(&text.as_str())
    };
    let is_matched = |symbol: &&Symbol| !symbol.unlisted && !matches!(symbol.kind, Kind::Ovn(_));
    let symbols = SYMBOLS.iter().filter(is_matched).filter(|symbol| !OTHERWISE.contains(&symbol.name));
    let expressions: Vec<String> = symbols.flat_map(shows).filter(can_be_compared).collect();
    let mut stock = Stock::new();
    let set = |flows: Vec<(Match, Actions)>| -> BTreeSet<String> {
        flows.into_iter().map(|(flow_match, _)| flow_match.to_string()).collect()
    };
    let (mut wrong, mut flows) = (Vec::new(), 0);
    for (text, by_stock) in expressions.iter().zip(stock.flows(&expressions)) {
        let (by_stock, by_kiln) = (set(by_stock), set(lower(text).unwrap_or_default()));
        flows += by_stock.len();
        if by_stock != by_kiln {
            wrong.push(format!("{text}\n    stock: {by_stock:?}\n    Kiln: {by_kiln:?}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), expressions.len(), wrong.join("\n"));
    assert!(flows > expressions.len() / 2, "else too little was compared: {flows}");
    let mut figures = Figures::new(env!("CARGO_TARGET_TMPDIR"), "every_symbol");
    let version = stock.lab.version(Component::Stock, "ovn-controller");
    figures.peer("ovn-controller", &version).flows += flows;
}

/// Matches on the edge of the language. After `! `: what Kiln refuses and stock takes, or the other way round.
const MATCHES: &str = r"
tcp.dst > {80}
tcp.dst > 80
ip4.src > $v4
ip4.src <= $v4
!(ip4.src > $v4)
ip4.src > {$v4}
ip4.src > $none
ip4.src > $mixed
ip4.src == $none || ip6
ip4.src != $none
!(ip4.src == $none)
eth.type != $none
inport != @nobody
!(inport == @nobody)
!(inport != @nobody) || ip6
inport == @nobody || ip6
eth.src == 0:0:0:0:0:1
eth.src == 00:00:00:00:00:01
eth.src == 00:00:00:00:00:01/ff:ff:ff:ff:ff:ff
reg0[0x1] == 1
reg0[1..3] == 1
reg0[1..0x3] == 1
tcp.dst == {}
xxreg0 == 18446744073709551615
! xxreg0 == 18446744073709551616
";

/// Actions on the edge of the language.
const ACTIONS: &str = r#"
next(5);
next(0x5);
next(pipeline=ingress, table=0x5);
reg0[0x1] = 1;
reg0[1] = 1;
push(reg0[0..3]); pop(reg1[0..0x3]);
set_queue(0x5);
set_queue(5);
set_meter(0x10);
set_meter(10, 0x10);
ct_dnat(1.2.3.4, 0);
ct_dnat(1.2.3.4, 0-5);
ct_dnat(1.2.3.4, 0x50);
ct_dnat(1.2.3.4, 1-0x50);
ct_snat(1.2.3.4, 1-80);
ct_lb_mark(backends=1.2.3.4:0x50);
ct_lb_mark(backends=1.2.3.4:80; skip_snat);
ct_lb_mark(backends=1.2.3.4:80; skip_snat; skip_snat);
ct_lb_mark(backends=1.2.3.4:80; skip_snat; force_snat);
ct_lb_mark(backends=1.2.3.4:80; skip_snat; hash_fields="ip_src");
ct_lb_mark(backends=1.2.3.4:80; hash_fields="ip_src"; skip_snat);
ct_lb_mark(backends=1.2.3.4:80; hash_fields="ip_src"; hash_fields="ip_src");
ct_lb_mark(backends=1.2.3.4:80;);
reg0[0] = check_pkt_larger(0x100);
reg0[0] = check_pkt_larger(256);
! reg0[0] = check_pkt_larger(65536);
icmp4_error { icmp4.frag_mtu = 0x500; };
trigger_event(event = "empty_lb_backends", vip = "x", protocol = "tcp", load_balancer = "12345678-abcd-9876-fedc-11119f8e7d6c");
trigger_event(event = "empty_lb_backends", vip = "10.0.0.1", protocol = "tcp", load_balancer = "12345678-abcd-9876-fedc-11119f8e7d6c");
trigger_event(event = "empty_lb_backends", vip = "10.0.0.1:99999", protocol = "tcp", load_balancer = "12345678-abcd-9876-fedc-11119f8e7d6c");
trigger_event(event = "empty_lb_backends", vip = "[::1]:80", protocol = "tcp", load_balancer = "12345678-abcd-9876-fedc-11119f8e7d6c");
trigger_event(event = "empty_lb_backends", vip = "[::1]", protocol = "tcp", load_balancer = "12345678-abcd-9876-fedc-11119f8e7d6c");
"#;

#[test]
fn what_is_taken_and_what_is_refused() {
    let lines = |text: &'static str| text.lines().filter(|line| !line.is_empty());
    let plain = |line: &'static str| line.strip_prefix("! ").unwrap_or(line);
    let place = Place { pipeline: Pipeline::Ingress, table: STAGE, ingress_tables: 34, egress_tables: 16 };
    let matches = lines(MATCHES).map(|line| (line, (plain(line), "next;")));
    let rows: Vec<_> = matches.chain(lines(ACTIONS).map(|line| (line, ("1", plain(line))))).collect();
    let texts: Vec<(&str, &str)> = rows.iter().map(|(_, row)| *row).collect();
    let mut stock = Stock::new();
    for ((line, (flow_match, actions)), by_stock) in rows.iter().zip(stock.rows(&texts)) {
        let taken =
            expr::parse(flow_match, &Network).is_ok() && action::parse(actions, place, &Network).is_ok();
        let same = taken != by_stock.is_empty();
        assert_eq!(same, !line.starts_with("! "), "{line}: taken by Kiln: {taken}; by stock: {by_stock:?}");
    }
}
