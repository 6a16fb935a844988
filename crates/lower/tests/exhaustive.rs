//! Every expression of up to four terms over a small universe means the same as its annotated, simplified and normal forms and
//! as the flows it is lowered to, which a naive switch runs.
//!
//! A slice runs with the other tests. All of it, in about ten minutes:
//!
//! ```text
//! cargo test --release -p kiln-lower --test exhaustive -- --ignored --nocapture
//! ```

use kiln_logical::expr::{Packet, parse};
use kiln_logical::{Environment, Field as Logical, most_choices, normalize};
use kiln_lower::{LowerError, Lowered, Names, Part, matches::lower_expr};
use kiln_openflow::{Action, Actions, Field};
use kiln_testkit::interpreter::{self, Flow, Tables};

const PORTS: [&str; 3] = ["", "a", "b"];

/// Ports `a` and `b` have keys 1 and 2; `a` is here.
struct Network;

impl Environment for Network {}

impl Names for Network {
    fn port_key(&self, name: &str) -> Option<u32> {
        PORTS.iter().skip(1).position(|port| *port == name).map(|place| place as u32 + 1)
    }

    fn is_resident(&self, name: &str) -> bool {
        name == "a"
    }
}

/// A packet of the universe: two numbers of two bits, an Ethernet type, two ports.
#[derive(Clone, Copy, Debug)]
struct Small {
    x: u128,
    y: u128,
    eth_type: u128,
    inport: usize,
    outport: usize,
}

impl Packet for Small {
    fn number(&self, field: Logical) -> u128 {
        match field {
            // reg0 and reg1 are the upper half.
            Logical::Xxreg0 => self.x << 96 | self.y << 64,
            Logical::EthType => self.eth_type,
            _ => 0,
        }
    }

    fn name(&self, field: Logical) -> &str {
        PORTS[if field == Logical::Inport { self.inport } else { self.outport }]
    }

    fn is_resident(&self, port: &str) -> bool {
        Network.is_resident(port)
    }
}

impl Small {
    fn in_the_switch(self) -> interpreter::Packet {
        let mut packet = interpreter::Packet::default();
        packet.set(Field::reg(0), self.x);
        packet.set(Field::reg(1), self.y);
        packet.set(Field::reg(14), self.inport as u128);
        packet.set(Field::reg(15), self.outport as u128);
        packet.set(Field::ETH_TYPE, self.eth_type);
        packet
    }
}

/// What a term tests, so that its meaning is known without the language.
#[derive(Clone, Debug)]
struct Term {
    text: String,
    holds: fn(&Small, u128, u128) -> bool,
    /// What is compared with, and for numbers the bits that are.
    value: u128,
    mask: u128,
}

impl Term {
    fn holds(&self, packet: &Small) -> bool {
        (self.holds)(packet, self.value, self.mask)
    }
}

type Compare = (&'static str, fn(&Small, u128, u128) -> bool);

const X: [Compare; 6] = [
    ("==", |p, v, m| p.x & m == v),
    ("!=", |p, v, m| p.x & m != v),
    ("<", |p, v, m| p.x & m < v),
    ("<=", |p, v, m| p.x & m <= v),
    (">", |p, v, m| p.x & m > v),
    (">=", |p, v, m| p.x & m >= v),
];
const Y: [Compare; 6] = [
    ("==", |p, v, m| p.y & m == v),
    ("!=", |p, v, m| p.y & m != v),
    ("<", |p, v, m| p.y & m < v),
    ("<=", |p, v, m| p.y & m <= v),
    (">", |p, v, m| p.y & m > v),
    (">=", |p, v, m| p.y & m >= v),
];

/// The comparisons of a field's lowest `bits` with every value.
fn numbers(field: &str, compare: &[Compare], bits: u32) -> Vec<Term> {
    let values = 1u128 << bits;
    let subfield = if bits == 1 { format!("{field}[0]") } else { format!("{field}[0..{}]", bits - 1) };
    let pairs = compare.iter().flat_map(|pair| (0..values).map(move |value| (pair, value)));
    pairs
        .map(|((op, holds), value)| Term {
            text: format!("{subfield} {op} {value}"),
            holds: *holds,
            value,
            mask: values - 1,
        })
        .collect()
}

/// Terms of fields that only compare for equality, and of no field.
fn names() -> Vec<Term> {
    let term = |text: &str, holds, value| Term { text: text.to_owned(), holds, value, mask: 0 };
    vec![
        term("inport == \"a\"", |p, v, _| p.inport as u128 == v, 1),
        term("inport == {\"a\", \"b\", \"gone\"}", |p, _, _| p.inport > 0, 0),
        term("outport == \"b\"", |p, v, _| p.outport as u128 == v, 2),
        term("eth.type == 0x800", |p, v, _| p.eth_type == v, 0x800),
        term("eth.type == {0x800, 0x806}", |p, _, _| [0x800, 0x806].contains(&p.eth_type), 0),
        term("is_chassis_resident(\"a\")", |_, _, _| true, 0),
        term("0", |_, _, _| false, 0),
    ]
}

/// How terms are put together: leaves stand for terms in order.
#[derive(Clone, Debug)]
enum Shape {
    Leaf,
    Not(Box<Shape>),
    All(Vec<Shape>),
    Any(Vec<Shape>),
}

impl Shape {
    /// Every tree of `n` leaves in which `&&` and `||` take turns, each inner node negated or not.
    fn of(n: usize) -> Vec<Shape> {
        let mut shapes = Shape::under(n, true);
        if n > 1 {
            shapes.extend(Shape::under(n, false));
        }
        shapes
    }

    /// Trees whose root is of one kind.
    fn under(n: usize, all: bool) -> Vec<Shape> {
        if n == 1 {
            return vec![Shape::Leaf];
        }
        let mut shapes = Vec::new();
        for parts in compositions(n).into_iter().filter(|parts| parts.len() > 1) {
            let mut lists: Vec<Vec<Shape>> = vec![Vec::new()];
            for part in parts {
                let below = Shape::under(part, !all);
                lists = lists
                    .iter()
                    .flat_map(|list| {
                        below.iter().map(|shape| [list.as_slice(), std::slice::from_ref(shape)].concat())
                    })
                    .collect();
            }
            for list in lists {
                let shape = if all { Shape::All(list) } else { Shape::Any(list) };
                shapes.push(Shape::Not(Box::new(shape.clone())));
                shapes.push(shape);
            }
        }
        shapes
    }

    fn text<'t>(&self, terms: &mut impl Iterator<Item = &'t Term>, out: &mut String) {
        let (list, word) = match self {
            Shape::Leaf => return out.push_str(&terms.next().expect("a term a leaf").text),
            Shape::Not(inner) => {
                out.push('!');
                return inner.text(terms, out);
            }
            Shape::All(list) => (list, " && "),
            Shape::Any(list) => (list, " || "),
        };
        out.push('(');
        for (i, shape) in list.iter().enumerate() {
            out.push_str(if i > 0 { word } else { "" });
            shape.text(terms, out);
        }
        out.push(')');
    }

    fn holds<'t>(&self, terms: &mut impl Iterator<Item = &'t Term>, packet: &Small) -> bool {
        match self {
            Shape::Leaf => terms.next().expect("a term a leaf").holds(packet),
            Shape::Not(inner) => !inner.holds(terms, packet),
            // Every leaf takes its term, whatever is known already.
            Shape::All(list) => list.iter().fold(true, |all, shape| all & shape.holds(terms, packet)),
            Shape::Any(list) => list.iter().fold(false, |any, shape| any | shape.holds(terms, packet)),
        }
    }
}

/// Every way to write `n` as a sum in order.
fn compositions(n: usize) -> Vec<Vec<usize>> {
    if n == 0 {
        return vec![Vec::new()];
    }
    let rest =
        |first: usize| compositions(n - first).into_iter().map(move |rest| [&[first], &rest[..]].concat());
    (1..=n).flat_map(rest).collect()
}

fn tables(lowered: &Lowered) -> Tables {
    let mut tables = Tables::default();
    let mut parts: Vec<(Flow, Vec<Action>)> = Vec::new();
    for (flow_match, part) in &lowered.flows {
        let action = match *part {
            Part::Actions => Action::resubmit(1),
            Part::Conjunction { id, clause, n_clauses } => Action::Conjunction { id, clause, n_clauses },
        };
        // Parts with one match are one flow in a switch.
        match parts.iter_mut().find(|(flow, _)| flow.flow_match == *flow_match) {
            Some((_, actions)) => actions.push(action),
            None => {
                let flow = Flow {
                    table: 0,
                    priority: 1,
                    flow_match: flow_match.clone(),
                    instructions: Actions::none().into(),
                    cookie: 0,
                };
                parts.push((flow, vec![action]));
            }
        }
    }
    for (flow, actions) in parts {
        let actions = Actions::encode(&actions).expect("short actions");
        tables.add(Flow { instructions: actions.into(), ..flow });
    }
    tables
}

/// Checks one expression; `false` if the language or a switch cannot say it.
fn check(text: &str, shape: &Shape, terms: &[&Term], universe: &[Small]) -> bool {
    let Ok(parsed) = parse(text, &Network) else { return false };
    let annotated = parsed.clone().annotate();
    let simple = annotated.clone().simplify(&mut |port| Network.is_resident(port)).expect(text);
    let normal = normalize(&simple).expect(text);
    let lowered = match lower_expr(annotated.clone(), &Network, &[], 1) {
        Ok(lowered) => lowered,
        Err(LowerError::PartOfField { .. }) => return false,
        Err(error) => panic!("{text}: {error}"),
    };
    assert!(lowered.conjunctions == 0 || most_choices(&annotated) > 1, "{text}: {lowered:?}");
    let tables = tables(&lowered);
    for packet in universe {
        let expected = shape.holds(&mut terms.iter().copied(), packet);
        let found = [
            parsed.evaluate(packet),
            annotated.evaluate(packet),
            simple.evaluate(packet),
            normal.evaluate(packet),
            tables.lookup(0, &packet.in_the_switch()).is_some(),
        ];
        assert_eq!(
            found, [expected; 5],
            "parsed, annotated, simple, normal, lowered: {text} of {packet:?}: {lowered:?}"
        );
    }
    true
}

/// Checks every `step`-th expression of `n` of the terms. Returns how many could be said.
fn run(n: usize, terms: &[Term], universe: &[Small], step: u64) -> u64 {
    let shapes = Shape::of(n);
    let all = shapes.len() as u64 * (terms.len() as u64).pow(n as u32);
    let (mut at, mut said) = (0, 0);
    let mut text = String::new();
    while at < all {
        let shape = &shapes[(at % shapes.len() as u64) as usize];
        let mut rest = at / shapes.len() as u64;
        let mut chosen = Vec::with_capacity(n);
        for _ in 0..n {
            chosen.push(&terms[(rest % terms.len() as u64) as usize]);
            rest /= terms.len() as u64;
        }
        text.clear();
        shape.text(&mut chosen.iter().copied(), &mut text);
        said += u64::from(check(&text, shape, &chosen, universe));
        at += step;
    }
    println!(
        "{n} of {} terms: {} expressions, {said} of which the language can say",
        terms.len(),
        all / step
    );
    said
}

/// Two-bit numbers alone.
fn number_universe() -> Vec<Small> {
    let pairs = (0..4).flat_map(|x| (0..4).map(move |y| (x, y)));
    pairs.map(|(x, y)| Small { x, y, eth_type: 0, inport: 0, outport: 0 }).collect()
}

/// One-bit number, Ethernet types and ports.
fn mixed_universe() -> Vec<Small> {
    let mut all = Vec::new();
    for x in 0..2 {
        for eth_type in [0x800, 0x806, 0x86dd] {
            for (inport, outport) in [(0, 0), (1, 0), (1, 2), (2, 1), (0, 2), (2, 2)] {
                all.push(Small { x, y: 0, eth_type, inport, outport });
            }
        }
    }
    all
}

/// Runs everything, or every so-manieth.
fn everything(step: u64) {
    let two_bits = [numbers("reg0", &X, 2), numbers("reg1", &Y, 2)].concat();
    let one_bit = [numbers("reg0", &X, 1), numbers("reg1", &Y[1..3], 1)].concat();
    let equal = [numbers("reg0", &X[..2], 2), numbers("reg1", &Y[..1], 2)].concat();
    let mixed = [numbers("reg0", &X, 1), names()].concat();
    let (numbers, mixed_packets) = (number_universe(), mixed_universe());
    for n in 1..=3 {
        run(n, &two_bits, &numbers, if n < 3 { step.min(1 + step / 50) } else { step });
    }
    let said = run(4, &one_bit, &numbers, step) + run(4, &equal, &numbers, step);
    assert!(said > 0, "numbers can be compared in every way");
    for n in 1..=4 {
        run(n, &mixed, &mixed_packets, if n < 3 { 1 } else { step });
    }
}

#[test]
fn a_slice_of_all_small_expressions() {
    // A prime, so that no shape or term is left out.
    everything(1013);
}

#[test]
#[ignore = "takes minutes; see the top of the file"]
fn all_small_expressions() {
    everything(1);
}
