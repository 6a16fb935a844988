//! Lowered matches: against a stock controller's, and against what the expressions mean.

use kiln_logical::expr::{Packet, parse};
use kiln_logical::{AddressSet, Environment, Field as Logical};
use kiln_lower::{LowerError, Lowered, Names, Part, lower_match};
use kiln_openflow::{Field, FieldValue, Match};
use proptest::prelude::*;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The network that the stock controller was asked in, where this chassis has vif1, vif2 and vif3.
struct Network;

impl Environment for Network {
    fn address_set(&self, name: &str) -> Option<Arc<AddressSet>> {
        let members: &[&str] = match name {
            "set1" => &["10.0.0.1", "10.0.0.2", "10.0.0.3"],
            "setm" => &["00:00:00:00:00:01", "00:00:00:00:00:02"],
            "empty" => &[],
            _ => return None,
        };
        Some(Arc::new(AddressSet::parse(members.iter().copied()).0))
    }

    fn port_group(&self, name: &str) -> Option<Arc<[Arc<str>]>> {
        let members: &[&str] = match name {
            "pg1" => &["vif1", "vif2", "nope"],
            "pg_empty" => &[],
            _ => return None,
        };
        Some(members.iter().map(|m| Arc::from(*m)).collect())
    }
}

impl Names for Network {
    fn port_key(&self, name: &str) -> Option<u32> {
        match name {
            "vif1" => Some(1),
            "vif2" => Some(2),
            "vif3" => Some(3),
            "rem9" => Some(9),
            "_MC_flood" => Some(0x8000),
            _ => None,
        }
    }

    fn matched_port_key(&self, field: Logical, name: &str) -> Option<u32> {
        // No packet comes in here by a port that is elsewhere.
        self.port_key(name).filter(|_| field != Logical::Inport || name.starts_with("vif"))
    }

    fn is_resident(&self, name: &str) -> bool {
        name.starts_with("vif")
    }
}

fn lower(text: &str) -> Result<Lowered, LowerError> {
    lower_match(text, &Network, &[FieldValue::exact(Field::METADATA, 10)], 1)
}

/// A match's text and its part of a conjunction (id, clause from 1, clauses), if it is one. The text is what both print: a
/// fragment that is none is written alike whether one bit is looked at or both.
type Flow = (String, Option<(u32, u8, u8)>);

fn flows(lowered: Lowered) -> Vec<Flow> {
    let part = |part| match part {
        Part::Actions => None,
        Part::Conjunction { id, clause, n_clauses } => Some((id, clause + 1, n_clauses)),
    };
    lowered.flows.into_iter().map(|(matched, p)| (matched.to_string(), part(p))).collect()
}

/// `MATCH` or `MATCH: conjunction(1,2/3),…`.
fn stock_flows(line: &str) -> Vec<Flow> {
    let (matched, parts) = line.split_once(": ").unwrap_or((line, ""));
    if parts.is_empty() {
        return vec![(matched.to_owned(), None)];
    }
    let numbers: Vec<u32> = parts
        .split(|c: char| !c.is_ascii_digit())
        .filter(|n| !n.is_empty())
        .map(|n| n.parse().unwrap())
        .collect();
    let part = |n: &[u32]| (matched.to_owned(), Some((n[0], n[1] as u8, n[2] as u8)));
    numbers.chunks(3).map(part).collect()
}

fn check_table(table: &str) -> usize {
    let lines = table.lines().filter(|l| !l.starts_with('#') && !l.is_empty());
    let mut lines = lines.peekable();
    let mut count = 0;
    while let Some(expr) = lines.next() {
        let mut expected = BTreeSet::new();
        while let Some(line) = lines.next_if(|l| l.starts_with("    ")) {
            if line.trim() != "(none)" {
                expected.extend(stock_flows(line.trim()));
            }
        }
        let lowered = lower(expr).unwrap_or_else(|e| panic!("{expr}: {e}"));
        let ids = lowered.conjunctions;
        let list = flows(lowered);
        let found: BTreeSet<Flow> = list.iter().cloned().collect();
        assert_eq!(found, expected, "{expr}");
        assert_eq!(found.len(), list.len(), "{expr}: some flow stands twice");
        let used = expected.iter().filter_map(|(_, part)| part.map(|(id, ..)| id)).max().unwrap_or(0);
        assert_eq!(ids, used, "{expr}: conjunctions");
        count += 1;
    }
    count
}

#[test]
fn matches_equal_a_stock_controllers() {
    assert!(check_table(include_str!("stock_matches.txt")) > 80);
}

/// Where fewer flows say the same, or stock's say something else.
#[test]
fn matches_that_are_better_than_a_stock_controllers() {
    check_table(
        r#"
inport == {"vif1", "nope"} && ip4.src == {1.1.1.1, 2.2.2.2}
    ip,reg14=0x1,metadata=0xa,nw_src=1.1.1.1
    ip,reg14=0x1,metadata=0xa,nw_src=2.2.2.2
ip4.src == {1.1.1.1, $set1, 10.0.0.0/30}
    ip,metadata=0xa,nw_src=1.1.1.1
    ip,metadata=0xa,nw_src=10.0.0.0/30
ip4 && ip.dscp == 46
    ip,metadata=0xa,nw_tos=184
ip4 && ip.ecn == 3
    ip,metadata=0xa,nw_ecn=3
inport == "vif1" && __inport == 2
    (none)
inport == {"vif1", "vif2"} && __inport == 2
    reg14=0x2,metadata=0xa
remote_outport == "vif1" && reg1 == 99
    (none)
remote_outport == "vif1" && reg1 == 1
    reg1=0x1,metadata=0xa
ip.later_frag && tcp.dst == 80
    (none)
ip.frag != 1 && ip4 && tcp.dst == 80
    tcp,metadata=0xa,nw_frag=no,tp_dst=80
vlan.tci[13..15] == 3
    metadata=0xa,vlan_tci=0x6000/0xe000
vlan.tci[13..15] == 0
    metadata=0xa,vlan_tci=0x0000/0xe000
vlan.pcp == 3
    metadata=0xa,dl_vlan_pcp=3
vlan.pcp[0] && vlan.vid == 1
    metadata=0xa,vlan_tci=0x3001/0x3fff
vlan.pcp != 2 && vlan.vid == 1
    metadata=0xa,dl_vlan=1,dl_vlan_pcp=3
    metadata=0xa,vlan_tci=0x1001/0xdfff
    metadata=0xa,vlan_tci=0x9001/0x9fff
"#,
    );
}

#[test]
fn what_a_switch_cannot_match_is_an_error() {
    let cases = [
        ("!ip.is_frag", "beside a test of ip.frag"),
        ("!ip.first_frag", "expected"),
        ("ip4.src ==", "expected a constant"),
        ("eth.typ == 1", "expected a field name"),
    ];
    for (text, part) in cases {
        let error = lower(text).unwrap_err();
        assert!(error.to_string().contains(part), "{text}: {error}");
    }
    let many: Vec<String> = (0..30).map(|i| format!("(reg0[{i}] || eth.src[{i}])")).collect();
    assert!(matches!(lower(&many.join(" && ")), Err(LowerError::TooComplex(_))));
}

/// A universe of few packets.
#[derive(Clone, Copy, Debug)]
struct Small {
    reg: u128,
    addr: u128,
    eth_type: u128,
    proto: u128,
    tci: u128,
    port: u8,
}

const PORTS: [&str; 3] = ["", "vif1", "vif2"];

impl Packet for Small {
    fn number(&self, field: Logical) -> u128 {
        let tcp = self.proto == 6 && self.eth_type != 0x806;
        match field {
            Logical::Xreg4 => self.reg << 32,
            Logical::Ip4Src if self.eth_type == 0x800 => self.addr,
            Logical::EthType => self.eth_type,
            Logical::IpProto if self.eth_type != 0x806 => self.proto,
            Logical::TcpDst if tcp => self.addr ^ 1,
            Logical::IpFrag if self.eth_type != 0x806 => self.reg & 3,
            Logical::CtState => self.reg | (self.addr & 1) << 5,
            Logical::VlanTci => self.tci,
            Logical::InportKey => u128::from(self.port),
            _ => 0,
        }
    }

    fn name(&self, _field: Logical) -> &str {
        PORTS[usize::from(self.port)]
    }

    fn is_resident(&self, port: &str) -> bool {
        Network.is_resident(port)
    }
}

impl Small {
    /// The value of a field of the switch.
    fn switch_field(&self, field: Field) -> u128 {
        if field.same(Field::xreg(7)) {
            return u128::from(self.port) << 32 | u128::from(self.port);
        }
        let logical = match field {
            Field::METADATA => return 10,
            Field::VLAN_VID => return self.tci & 0x1fff,
            Field::VLAN_PCP => return self.tci >> 13,
            Field::VLAN_TCI => return self.tci,
            Field::ETH_TYPE => Logical::EthType,
            Field::IPV4_SRC => Logical::Ip4Src,
            Field::IP_PROTO => Logical::IpProto,
            Field::TCP_DST => Logical::TcpDst,
            Field::IP_FRAG => Logical::IpFrag,
            Field::CT_STATE => Logical::CtState,
            _ if field.same(Field::xreg(4)) => Logical::Xreg4,
            _ => panic!("{field} is not in the universe"),
        };
        self.number(logical)
    }

    fn matches(&self, matched: &Match, conjunctions: &BTreeSet<u32>) -> bool {
        matched.iter().all(|v| match v.field {
            Field::CONJ_ID => conjunctions.contains(&(v.value as u32)),
            field => self.switch_field(field) & v.mask == v.value,
        })
    }

    /// Whether the packet gets to a flow with the actions (ovs-actions(7), conjunction).
    fn reaches_actions(&self, lowered: &Lowered) -> bool {
        let none = BTreeSet::new();
        let mut clauses: BTreeSet<(u32, u8, u8)> = BTreeSet::new();
        for (matched, part) in &lowered.flows {
            if let Part::Conjunction { id, clause, n_clauses } = *part
                && self.matches(matched, &none)
            {
                clauses.insert((id, clause, n_clauses));
            }
        }
        let whole = clauses.iter().filter(|(id, _, n)| {
            clauses.range((*id, 0, 0)..=(*id, u8::MAX, u8::MAX)).count() == usize::from(*n)
        });
        let conjunctions = whole.map(|(id, ..)| *id).collect();
        lowered.flows.iter().any(|(m, part)| *part == Part::Actions && self.matches(m, &conjunctions))
    }
}

fn universe() -> impl Iterator<Item = Small> {
    let regs = (0..8u128).flat_map(|reg| (0..4u128).map(move |addr| (reg, addr)));
    regs.flat_map(|(reg, addr)| {
        [(0x800, 6), (0x800, 17), (0x86dd, 6), (0x806, 1)].into_iter().flat_map(move |(eth_type, proto)| {
            let tagged = [(0, 0), (0x1000, 1), (0x7001, 2)].into_iter();
            tagged.map(move |(tci, port)| Small { reg, addr, eth_type, proto, tci, port })
        })
    })
}

/// False if the text has no flows that say it.
fn check(text: &str) -> Result<bool, TestCaseError> {
    let Ok(expr) = parse(text, &Network) else { return Ok(false) };
    let lowered = match lower(text) {
        Ok(lowered) => lowered,
        Err(LowerError::PartOfField { .. } | LowerError::Prerequisite { .. }) => return Ok(false),
        Err(error) => return Err(TestCaseError::fail(format!("{text}: {error}"))),
    };
    let expr = expr.annotate();
    for packet in universe() {
        let expected = expr.evaluate(&packet);
        prop_assert_eq!(
            packet.reaches_actions(&lowered),
            expected,
            "{} of {:?}: {:?}",
            text,
            packet,
            lowered
        );
    }
    Ok(true)
}

fn comparison() -> impl Strategy<Value = String> {
    let op = prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let set = prop::collection::vec(0u8..8, 1..4)
        .prop_map(|v| format!("{{{}}}", v.iter().map(u8::to_string).collect::<Vec<_>>().join(", ")));
    let fields = vec![
        "reg8[0..2]",
        "ip4.src[0..1]",
        "tcp.dst[0..1]",
        "reg8[1..2]",
        "reg8",
        "ip4.src",
        "vlan.pcp",
        "vlan.vid",
        "vlan.tci",
        "vlan.tci[13..15]",
        "__inport",
    ];
    let numeric = prop::sample::select(fields);
    prop_oneof![
        (numeric.clone(), op, 0u8..8).prop_map(|(f, o, v)| format!("{f} {o} {v}")),
        (numeric, prop::sample::select(vec!["==", "!="]), set).prop_map(|(f, o, s)| format!("{f} {o} {s}")),
        prop::sample::select(vec![
            "inport == \"vif1\"",
            "inport == {\"vif1\", \"vif2\", \"nope\"}",
            "outport == \"vif2\"",
            "ip4",
            "ip",
            "tcp",
            "ip.is_frag",
            "ct.est",
            "ct.rpl == 0",
            "reg8[0]",
            "ip.proto == {6, 17}",
            "eth.type == {0x800, 0x806}",
            "vlan.present",
            "is_chassis_resident(\"vif1\")",
            "1",
        ])
        .prop_map(str::to_owned),
    ]
}

fn expression() -> impl Strategy<Value = String> {
    comparison().prop_recursive(3, 10, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(|v| format!("({})", v.join(") && ("))),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|v| format!("({})", v.join(") || ("))),
            inner.prop_map(|e| format!("!({e})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]
    #[test]
    fn matches_accept_what_the_expression_means(text in expression()) {
        check(&text)?;
    }
}

/// Every triple of these terms under both connectives, each negated or not.
#[test]
fn matches_of_all_small_expressions_mean_the_same() {
    let terms = [
        "reg8[0..2] > 3",
        "ip4.src[0..1] != {0, 2}",
        "inport == {\"vif1\", \"vif2\"}",
        "tcp.dst[0..1] == {0, 1}",
    ];
    let signed: Vec<String> = terms.iter().flat_map(|t| [(*t).to_owned(), format!("!({t})")]).collect();
    let mut checked = 0;
    for a in &signed {
        for b in &signed {
            for c in &signed {
                for (x, y) in [("&&", "&&"), ("&&", "||"), ("||", "&&"), ("||", "||")] {
                    checked += usize::from(check(&format!("(({a}) {x} ({b})) {y} ({c})")).unwrap());
                }
            }
        }
    }
    // String fields have no negation; all others do.
    assert!(checked > 1000, "only {checked} could be said");
}
