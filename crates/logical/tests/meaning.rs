//! Every step keeps the meaning, and printed text is read back as what it was.

use kiln_logical::expr::{Expr, Packet, parse};
use kiln_logical::{Field, NoNames, normalize};
use proptest::prelude::*;

/// A universe of few packets: three bits of a register, two of an address, some protocols, three ports.
#[derive(Clone, Copy, Debug)]
struct Small {
    reg: u128,
    addr: u128,
    eth_type: u128,
    proto: u128,
    port: u8,
}

const PORTS: [&str; 3] = ["", "a", "b"];

impl Packet for Small {
    fn number(&self, field: Field) -> u128 {
        match field {
            Field::Xreg4 => self.reg << 32,
            Field::Ip4Src => self.addr,
            Field::EthType => self.eth_type,
            Field::IpProto => self.proto,
            Field::TcpDst if self.proto == 6 => self.addr ^ 1,
            Field::IpFrag => self.reg & 3,
            Field::CtState => self.reg | (self.addr & 1) << 5,
            _ => 0,
        }
    }

    fn name(&self, _field: Field) -> &str {
        PORTS[usize::from(self.port)]
    }

    fn is_resident(&self, port: &str) -> bool {
        port == "a"
    }
}

fn universe() -> impl Iterator<Item = Small> {
    itertools(8, 4).flat_map(|(reg, addr)| {
        [0x800, 0x86dd, 0x806].into_iter().flat_map(move |eth_type| {
            [6, 17]
                .into_iter()
                .flat_map(move |proto| (0..3).map(move |port| Small { reg, addr, eth_type, proto, port }))
        })
    })
}

fn itertools(a: u128, b: u128) -> impl Iterator<Item = (u128, u128)> {
    (0..a).flat_map(move |x| (0..b).map(move |y| (x, y)))
}

fn check(text: &str) -> Result<(), TestCaseError> {
    let expr = match parse(text, &NoNames) {
        Ok(expr) => expr,
        Err(error) => {
            // Only what the language forbids may be refused here.
            prop_assert!(error.message.contains("nominal"), "{}: {}", text, error);
            return Ok(());
        }
    };
    let printed = expr.to_string();
    let again =
        parse(&printed, &NoNames).map_err(|e| TestCaseError::fail(format!("{text}: {printed}: {e}")))?;
    prop_assert_eq!(&again.to_string(), &printed, "{}", text);

    let annotated = expr.clone().annotate();
    let simple = annotated.clone().simplify(&mut |port| port == "a").unwrap();
    let normal = normalize(&simple).unwrap();
    let again = again.annotate();
    for packet in universe() {
        let expected = annotated.evaluate(&packet);
        prop_assert_eq!(again.evaluate(&packet), expected, "{} as {} of {:?}", text, printed, packet);
        prop_assert_eq!(simple.evaluate(&packet), expected, "{} simplified {} of {:?}", text, simple, packet);
        prop_assert_eq!(normal.evaluate(&packet), expected, "{} normalized {} of {:?}", text, normal, packet);
    }
    for conjunction in &normal.conjunctions {
        prop_assert!(conjunction.terms.is_sorted_by(|a, b| a.field < b.field), "{}", normal);
        prop_assert!(conjunction.choices().all(|t| !t.field.multiplies_out()), "{}", normal);
    }
    Ok(())
}

fn comparison() -> impl Strategy<Value = String> {
    let op = prop::sample::select(vec!["==", "!=", "<", "<=", ">", ">="]);
    let number = prop_oneof![
        (0u8..8).prop_map(|v| v.to_string()),
        (0u8..8, 0u8..8).prop_map(|(v, m)| format!("{v}/{m}"))
    ];
    let set = prop::collection::vec(number, 1..4).prop_map(|v| format!("{{{}}}", v.join(", ")));
    let numeric =
        prop::sample::select(vec!["reg8[0..2]", "ip4.src[0..1]", "tcp.dst[0..1]", "reg8[1..2]", "reg8"]);
    prop_oneof![
        (numeric.clone(), op, 0u8..8).prop_map(|(f, o, v)| format!("{f} {o} {v}")),
        (numeric, prop::sample::select(vec!["==", "!="]), set).prop_map(|(f, o, s)| format!("{f} {o} {s}")),
        prop::sample::select(vec![
            "inport == \"a\"",
            "inport == {\"a\", \"b\"}",
            "outport == \"b\"",
            "ip4",
            "ip",
            "tcp",
            "ip.is_frag",
            "ct.est",
            "reg8[0]",
            "ip.proto == {6, 17}",
            "eth.type == {0x800, 0x806}",
            "is_chassis_resident(\"a\")",
            "1",
            "0",
            "ip.first_frag",
            "ct.rpl == 0",
            "is_chassis_resident(\"b\")",
            "1 <= reg8[0..2] < 5",
        ])
        .prop_map(str::to_owned),
    ]
}

fn expression() -> impl Strategy<Value = String> {
    comparison().prop_recursive(4, 12, 4, |inner| {
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
    fn steps_keep_the_meaning(text in expression()) {
        check(&text)?;
    }

    #[test]
    fn hostile_text_is_refused_in_bounded_time(text in "[-!&|(){}<>=.,;:/$@^\"a-f0-9xip4srct. ]{0,80}") {
        if let Ok(expr) = parse(&text, &NoNames) {
            let _ = expr.annotate().simplify(&mut |_| false).map(|e| normalize(&e).map(|n| n.conjunctions.len()));
        }
    }
}

/// Every pair and triple of these terms, under both connectives and with each negated.
#[test]
fn all_small_expressions() {
    let terms = [
        "reg8[0..2] > 3",
        "ip4.src[0..1] != {0, 2}",
        "reg8[0] == 1",
        "inport == \"a\"",
        "tcp.dst[0..1] <= 1",
        "ip",
    ];
    let signed: Vec<String> = terms.iter().flat_map(|t| [(*t).to_owned(), format!("!({t})")]).collect();
    for a in &signed {
        check(a).unwrap();
        for b in &signed {
            for op in ["&&", "||"] {
                check(&format!("({a}) {op} ({b})")).unwrap();
                for c in &signed {
                    check(&format!("(({a}) {op} ({b})) && ({c})")).unwrap();
                    check(&format!("(({a}) {op} ({b})) || ({c})")).unwrap();
                }
            }
        }
    }
}

#[test]
fn errors_say_what_was_expected() {
    let cases = [
        ("ip4.src == \"eth0\"", 1, "integer field ip4.src"),
        ("inport == 1", 1, "string field inport"),
        ("ip4.src = 1.2.3.4", 9, "expected a relational operator, found `='"),
        ("ip4.src > {1, 2}", 1, "sets of values"),
        ("eth.type > 0x800", 1, "nominal field eth.type"),
        ("vlan.present > 0", 1, "Boolean field vlan.present"),
        ("inport != \"eth0\"", 1, "only be tested for equality"),
        ("!(eth.type == 0x800)", 3, "only be tested for equality"),
        ("!ip", 2, "only be tested positively"),
        ("123 == 123", 8, "expected a field name, found `123'"),
        ("$name", 1, "expected the name of an address set, found `$name'"),
        ("@name == 1", 1, "expected the name of a port group"),
        ("inport[1] == 1", 8, "bits of string field"),
        ("eth.type[] == 1", 10, "expected a small integer, found `]'"),
        ("eth.type[18446744073709551615] == 1", 10, "small integer"),
        ("eth.type[5!] == 1", 11, "expected `]', found `!'"),
        ("eth.src[5..1] == 1", 9, "rising order"),
        ("eth.src[40..48] == 1", 9, "bits 40 to 48 of 48-bit field"),
        ("eth.type[10] == 1", 10, "bits of nominal field"),
        ("eth.type", 1, "single bit can stand alone"),
        ("!(!(vlan.pcp))", 5, "single bit can stand alone"),
        ("123", 4, "expected a relational operator, found the end"),
        ("{1, \"eth0\"} == reg0", 5, "expected an integer beside integers"),
        ("eth.type == xyzzy", 13, "expected a constant, found `xyzzy'"),
        ("(1 x)", 4, "expected `)', found `x'"),
        ("!0x800 != eth.type", 2, "parentheses"),
        ("ip4 || ip6 && tcp", 12, "parentheses around && and ||"),
        ("eth.dst == {}", 13, "expected a constant, found `}'"),
        ("eth.src > 00:00:00:00:11:11/00:00:00:00:ff:ff", 1, "masked constants"),
        ("ip4.src == 8000::1", 1, "128-bit constant"),
        ("1 == eth.type == 2", 15, "range"),
        ("1 < reg0 > 3", 10, "range"),
        ("ip4 x", 5, "expected the end of the text, found `x'"),
        ("icmp4.frag_mtu == 5", 1, "only be assigned"),
        ("ip4.dst == ^vip", 12, "template"),
    ];
    for (text, column, part) in cases {
        let error = parse(text, &NoNames).unwrap_err();
        assert!(error.message.contains(part), "{text}: {error}");
        assert_eq!(error.column, column, "{text}: {error}");
    }
}

#[test]
fn depth_and_products_are_bounded() {
    let nested = |n: usize| format!("{}1{}", "(".repeat(n), ")".repeat(n));
    assert!(parse(&nested(100), &NoNames).is_ok());
    assert!(parse(&nested(100_000), &NoNames).unwrap_err().message.contains("deep"));
    let sides: Vec<String> = (0..40).map(|i| format!("(reg0 == {i} || tcp.dst == {i})")).collect();
    let text = sides.join(" && ");
    let expr: Expr<'_> = parse(&text, &NoNames).unwrap();
    let simple = expr.annotate().simplify(&mut |_| false).unwrap();
    // Nearly all alternatives contradict each other: what counts is the work, not what comes out.
    assert!(normalize(&simple).map_or(0, |n| n.conjunctions.len()) <= 2);
}

/// What was once printed so that it could not be read.
#[test]
fn what_is_printed_can_be_read() {
    let cases = [
        ("icmp6.type == {1/3, 5}", "icmp6.type == 0x1/0x3 || icmp6.type == 0x5"),
        ("eth.type == 0x800/0x800", "eth.type == 0x800/0x800"),
        ("reg0 == 0x100/0xff00", "reg0[8..15] == 0x1"),
    ];
    for (text, printed) in cases {
        assert_eq!(parse(text, &NoNames).unwrap().to_string(), printed);
        assert_eq!(parse(printed, &NoNames).unwrap().to_string(), printed);
    }
}
