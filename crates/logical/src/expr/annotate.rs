//! Predicates written out, subfields as bits of their fields, prerequisites beside what needs them.

use super::{Comparison, Expr, Relop, Standing, Values};
use crate::cubes::Cube;
use crate::env::NoNames;
use crate::field::Field;
use crate::lex::Lexer;
use crate::symbol::{Kind, SYMBOLS, SymbolId};
use crate::token::Token;
use std::sync::LazyLock;

/// For each symbol of one bit: what it means that it is set, annotated.
static MEANINGS: LazyLock<Vec<Expr<'static>>> = LazyLock::new(|| {
    let ids = SYMBOLS.iter().filter_map(|symbol| SymbolId::lookup(symbol.name));
    ids.map(|id| if id.get().width == 1 { write_out(id) } else { Expr::Const(false) }).collect()
});

type Meaning<'m> = &'m dyn Fn(SymbolId) -> Expr<'static>;

/// Without the cache, to fill it.
fn write_out(id: SymbolId) -> Expr<'static> {
    let expr = match id.get().kind {
        Kind::Predicate(text) => super::parse(text, &NoNames).unwrap_or(Expr::Const(false)),
        _ => Expr::holds(id),
    };
    annotate(expr, true, &write_out)
}

fn cached(id: SymbolId) -> Expr<'static> {
    MEANINGS[id.index()].clone()
}

/// Of what ports and the protocol of the transport layer are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// The packet's own.
    Packet,
    /// Those that the first packet of its connection had, as the connection tracker knows them: later fragments and packets
    /// whose addresses are translated have them too. Packets of no connection have none.
    Connection,
}

impl<'a> Expr<'a> {
    /// Writes out predicates and subfields and adds prerequisites. Afterwards every symbol is a field.
    #[must_use]
    pub fn annotate(self) -> Expr<'a> {
        self.annotate_of(Transport::Packet)
    }

    /// The same with the transport layer of something else. The fields of ports keep their names: beside
    /// [`Field::CtProto`] they are the connection's.
    #[must_use]
    pub fn annotate_of(self, transport: Transport) -> Expr<'a> {
        match transport {
            Transport::Packet => annotate(self, true, &cached),
            Transport::Connection => annotate(self, true, &of_connection),
        }
    }
}

/// The meaning of a symbol of one bit where the transport layer is the connection's.
fn of_connection(id: SymbolId) -> Expr<'static> {
    let proto = match id.get().name {
        "tcp" => 6,
        "udp" => 17,
        "sctp" => 132,
        _ => return cached(id),
    };
    let is = |field, cube| {
        Expr::Number(Comparison {
            symbol: SymbolId::of_field(field),
            op: Relop::Eq,
            values: Values::One(cube),
            standing: Standing::Plain,
        })
    };
    // Tracked, and not invalid: others have no connection.
    let tracked = Cube { value: 1 << 5, mask: 1 << 5 | 1 << 4 };
    let proto = Cube { value: proto, mask: Field::CtProto.mask() };
    Expr::all([is(Field::CtState, tracked), is(Field::CtProto, proto)])
}

/// The column of the word in `text` that tests `field`: the first that names it or a part of it, else the first that is
/// written out to it.
pub fn column_of(text: &str, field: Field) -> Option<usize> {
    let mut lexer = Lexer::new(text);
    let mut written_out = None;
    while let Ok((token, column)) = lexer.next_token() {
        let symbol = match token {
            Token::End => break,
            Token::Id(name) => SymbolId::lookup(name),
            _ => None,
        };
        match symbol.map(|symbol| (symbol, symbol.get().root())) {
            Some((_, Some((root, _)))) if root == field => return Some(column),
            Some((symbol, None)) if written_out.is_none() && mentions(&cached(symbol), field) => {
                written_out = Some(column);
            }
            _ => {}
        }
    }
    written_out
}

fn mentions(expr: &Expr<'_>, field: Field) -> bool {
    match expr {
        Expr::Number(Comparison { symbol, .. }) | Expr::Name { symbol, .. } => {
            symbol.get().root().is_some_and(|(root, _)| root == field)
        }
        Expr::And(terms) | Expr::Or(terms) => terms.iter().any(|term| mentions(term, field)),
        Expr::Const(_) | Expr::Resident { .. } => false,
    }
}

fn annotate<'a>(expr: Expr<'a>, prerequisites: bool, meaning: Meaning<'_>) -> Expr<'a> {
    match expr {
        Expr::Number(comparison) => annotate_comparison(comparison, prerequisites, meaning),
        Expr::And(ref terms) | Expr::Or(ref terms) if prerequisites => {
            // Comparisons of one symbol share one mention of its prerequisites.
            match terms[0].only_symbol().filter(|_| expr.only_symbol().is_some()) {
                Some(symbol) if !matches!(symbol.get().kind, Kind::Predicate(_)) => {
                    let expr = annotate_terms(expr, false, meaning);
                    match symbol.prerequisite() {
                        Some(needed) => Expr::all([expr, meaning(needed)]),
                        None => expr,
                    }
                }
                _ => annotate_terms(set_apart(expr), true, meaning),
            }
        }
        Expr::And(_) | Expr::Or(_) => annotate_terms(expr, prerequisites, meaning),
        other => other,
    }
}

/// In a disjunction of several fields, each value of a set is an alternative of its own, beside which the field's prerequisites
/// stand. One that needs none is told by where it stands, once it is known what is left of the disjunction.
fn set_apart(mut expr: Expr<'_>) -> Expr<'_> {
    if let Expr::Or(terms) = &mut expr {
        for term in terms {
            if let Expr::Number(comparison @ Comparison { op: Relop::Eq, values: Values::Many(_), .. }) = term
                && comparison.symbol.prerequisite().is_some()
            {
                comparison.standing = Standing::Apart;
            }
        }
    }
    expr
}

fn annotate_terms<'a>(expr: Expr<'a>, prerequisites: bool, meaning: Meaning<'_>) -> Expr<'a> {
    match expr {
        Expr::And(terms) => Expr::all(terms.into_iter().map(|t| annotate(t, prerequisites, meaning))),
        Expr::Or(terms) => Expr::any(terms.into_iter().map(|t| annotate(t, prerequisites, meaning))),
        other => other,
    }
}

fn annotate_comparison<'a>(
    mut comparison: Comparison,
    prerequisites: bool,
    meaning: Meaning<'_>,
) -> Expr<'a> {
    let id = comparison.symbol;
    match id.get().kind {
        Kind::Predicate(_) => return predicate(&comparison, meaning),
        Kind::Field(field) => comparison.symbol = SymbolId::of_field(field),
        Kind::Subfield { of, first } => {
            comparison.symbol = SymbolId::of_field(of);
            comparison.values = shifted(&comparison.values, first);
        }
        Kind::Ovn(_) => return Expr::Const(false),
    }
    let expr = Expr::Number(comparison);
    match id.prerequisite().filter(|_| prerequisites) {
        Some(needed) => Expr::all([expr, meaning(needed)]),
        None => expr,
    }
}

fn shifted(values: &Values, by: u8) -> Values {
    match values {
        Values::One(cube) => Values::One(cube.shifted(by, u128::MAX)),
        Values::Many(cubes) => Values::Many(cubes.iter().map(|c| c.shifted(by, u128::MAX)).collect()),
    }
}

/// The expansion, or its opposite. Several values of one bit mean each of them.
fn predicate<'a>(comparison: &Comparison, meaning: Meaning<'_>) -> Expr<'a> {
    let one = |cube: &Cube| match (cube.mask, cube.value == 1) {
        (0, _) => Expr::Const(comparison.op == Relop::Eq),
        (_, set) if set == (comparison.op == Relop::Eq) => meaning(comparison.symbol),
        _ => meaning(comparison.symbol).negated(),
    };
    match (&comparison.values, comparison.op) {
        (Values::One(cube), _) => one(cube),
        (Values::Many(cubes), Relop::Eq) => Expr::any(cubes.iter().map(one)),
        (Values::Many(cubes), _) => Expr::all(cubes.iter().map(one)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::field::Level;

    /// Nominal if anything in it is, as the manual defines it.
    fn level_of(text: &str) -> Level {
        fn nominal(expr: &Expr<'_>) -> bool {
            match expr {
                Expr::Number(c) => c.symbol.get().level == Level::Nominal,
                Expr::Name { .. } => true,
                Expr::And(terms) | Expr::Or(terms) => terms.iter().any(nominal),
                Expr::Const(_) | Expr::Resident { .. } => false,
            }
        }
        if nominal(&super::super::parse(text, &NoNames).unwrap()) { Level::Nominal } else { Level::Boolean }
    }

    #[test]
    fn predicates_have_the_level_of_their_expansion() {
        for symbol in SYMBOLS {
            if let Kind::Predicate(text) = symbol.kind {
                assert_eq!(symbol.level, level_of(text), "{}", symbol.name);
            }
        }
    }

    #[test]
    fn transport_of_the_connection() {
        let cases = "
            tcp => ct_state[4..5] == 0x2 && (ct_proto) == 0x6
            ip4 && udp.dst == 53 => eth.type == 0x800 && udp.dst == 0x35 && ct_state[4..5] == 0x2 && (ct_proto) == 0x11
            sctp.src != 1 => sctp.src != 0x1 && ct_state[4..5] == 0x2 && (ct_proto) == 0x84
            ip.proto == 6 => ip.proto == 0x6 && (eth.type == 0x800 || eth.type == 0x86dd)
            icmp4.code == 8 => icmp4.code == 0x8 && eth.type == 0x800 && ip.proto == 0x1 && (eth.type == 0x800 || eth.type == 0x86dd)
        ";
        for case in cases.lines().map(str::trim).filter(|l| !l.is_empty()) {
            let (input, expected) = case.split_once(" => ").unwrap();
            let expr = super::super::parse(input, &NoNames).unwrap();
            assert_eq!(expr.annotate_of(Transport::Connection).to_string(), expected, "{input}");
        }
        assert!(super::super::parse("(ct_proto) == 6", &NoNames).is_err());
    }

    #[test]
    fn annotations() {
        let cases = "
            ip4.src == 1.2.3.4 => ip4.src == 0x1020304 && eth.type == 0x800
            ip4.src != 1.2.3.4 => ip4.src != 0x1020304 && eth.type == 0x800
            ip.proto == 123 => ip.proto == 0x7b && (eth.type == 0x800 || eth.type == 0x86dd)
            ip.proto == {123, 234} => (ip.proto == 0x7b || ip.proto == 0xea) && (eth.type == 0x800 || eth.type == 0x86dd)
            ip4.src == 1.2.3.4 && ip4.dst == 5.6.7.8 => ip4.src == 0x1020304 && eth.type == 0x800 && ip4.dst == 0x5060708 && eth.type == 0x800
            tcp.dst == 1 || (tcp.dst >= 2 && tcp.dst <= 3) => (tcp.dst == 0x1 || (tcp.dst >= 0x2 && tcp.dst <= 0x3)) && ip.proto == 0x6 && (eth.type == 0x800 || eth.type == 0x86dd)
            ip => eth.type == 0x800 || eth.type == 0x86dd
            ip == 1 => eth.type == 0x800 || eth.type == 0x86dd
            ip[0] == 1 => eth.type == 0x800 || eth.type == 0x86dd
            vlan.present => vlan.tci[12]
            !vlan.present => !vlan.tci[12]
            !vlan.pcp => vlan.tci[13..15] == 0 && vlan.tci[12]
            vlan.pcp == 1 && vlan.vid == 2 => vlan.tci[13..15] == 0x1 && vlan.tci[12] && vlan.tci[0..11] == 0x2 && vlan.tci[12]
            !reg0 && !reg1 => xxreg0[96..127] == 0 && xxreg0[64..95] == 0
            ip.first_frag => ip.frag[0] && (eth.type == 0x800 || eth.type == 0x86dd) && (!ip.frag[1] || (eth.type != 0x800 && eth.type != 0x86dd))
            !ip.first_frag => !ip.frag[0] || (eth.type != 0x800 && eth.type != 0x86dd) || (ip.frag[1] && (eth.type == 0x800 || eth.type == 0x86dd))
            ip.later_frag => ip.frag[1] && (eth.type == 0x800 || eth.type == 0x86dd)
            rarp.op == 3 => arp.op == 0x3 && eth.type == 0x8035
            !ct.est => !ct_state[1] && ct_state[5]
        ";
        for case in cases.lines().map(str::trim).filter(|l| !l.is_empty()) {
            let (input, expected) = case.split_once(" => ").unwrap();
            let expr = super::super::parse(input, &NoNames).unwrap();
            assert_eq!(expr.annotate().to_string(), expected, "{input}");
        }
    }
}
