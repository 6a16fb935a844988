//! Expressions: what a flow matches.
//!
//! The steps, each of which keeps the meaning:
//!
//! 1. [`parse`]: text to a tree. `!` is gone: it was carried down to the comparisons.
//! 2. [`Expr::annotate`]: predicates are written out, subfields become bits of fields, and each field's prerequisites
//!    stand beside it.
//! 3. [`Expr::simplify`]: only equality is left, and what cannot or must hold is folded away.
//! 4. [`crate::normal::normalize`]: a disjunction of conjunctions.

mod annotate;
mod evaluate;
mod parse;
mod print;
mod simplify;

pub use annotate::{Transport, column_of};
pub use evaluate::Packet;
pub use parse::parse;
pub(crate) use print::print_comparison;

use crate::cubes::Cube;
use crate::symbol::SymbolId;
use std::borrow::Cow;
use std::sync::Arc;

/// Comparison operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is its operator")]
pub enum Relop {
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
}

impl Relop {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Relop::Eq => "==",
            Relop::Ne => "!=",
            Relop::Lt => "<",
            Relop::Le => "<=",
            Relop::Gt => ">",
            Relop::Ge => ">=",
        }
    }

    /// What holds when this does not.
    #[must_use]
    pub const fn negated(self) -> Self {
        match self {
            Relop::Eq => Relop::Ne,
            Relop::Ne => Relop::Eq,
            Relop::Lt => Relop::Ge,
            Relop::Le => Relop::Gt,
            Relop::Gt => Relop::Le,
            Relop::Ge => Relop::Lt,
        }
    }

    /// The same comparison with its sides exchanged.
    #[must_use]
    pub const fn mirrored(self) -> Self {
        match self {
            Relop::Eq => Relop::Eq,
            Relop::Ne => Relop::Ne,
            Relop::Lt => Relop::Gt,
            Relop::Le => Relop::Ge,
            Relop::Gt => Relop::Lt,
            Relop::Ge => Relop::Le,
        }
    }

    pub(crate) const fn is_equality(self) -> bool {
        matches!(self, Relop::Eq | Relop::Ne)
    }
}

/// What a number is compared with, in the symbol's own bits. With `==`, one of them must agree; with `!=`, none may.
/// Other operators have one value, whose mask is a run of bits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Values {
    /// One value.
    One(Cube),
    /// Any number of values.
    Many(Arc<[Cube]>),
}

impl Values {
    /// As a slice.
    pub fn as_slice(&self) -> &[Cube] {
        match self {
            Values::One(cube) => std::slice::from_ref(cube),
            Values::Many(cubes) => cubes,
        }
    }
}

/// A comparison of a numeric symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// The symbol.
    pub symbol: SymbolId,
    /// The operator.
    pub op: Relop,
    /// The values.
    pub values: Values,
    /// What the values are to a disjunction around them.
    pub(crate) standing: Standing,
}

/// What a comparison's values are to a disjunction over several fields that the comparison stands in. Alternatives of the
/// disjunction are multiplied out with what stands beside it; one choice stays a dimension of a conjunctive match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Alternatives of it if the comparison is one of its members, one choice if something else stands beside it there.
    Plain,
    /// Alternatives of it, although the field's prerequisites stand beside them. Set by annotation.
    Apart,
    /// One choice: what a conjunction leaves, such as that of `!=` with several values. Set by simplification.
    Together,
}

/// The names that a string field is compared with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names<'a> {
    /// One name.
    One(Cow<'a, str>),
    /// The members of a port group.
    Group(Arc<[Arc<str>]>),
    /// Several.
    Many(Vec<Cow<'a, str>>),
}

impl Names<'_> {
    /// Number of names.
    pub fn len(&self) -> usize {
        match self {
            Names::One(_) => 1,
            Names::Group(names) => names.len(),
            Names::Many(names) => names.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The names.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let (few, group): (&[Cow<'_, str>], &[Arc<str>]) = match self {
            Names::One(name) => (std::slice::from_ref(name), &[]),
            Names::Group(names) => (&[], names),
            Names::Many(names) => (names, &[]),
        };
        few.iter().map(AsRef::as_ref).chain(group.iter().map(AsRef::as_ref))
    }
}

/// An expression. Names borrow from the text where they can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Expr<'a> {
    /// Holds always or never.
    Const(bool),
    /// A number compared.
    Number(Comparison),
    /// A string field is one of these names.
    Name {
        /// The field.
        symbol: SymbolId,
        /// The names.
        names: Names<'a>,
    },
    /// `is_chassis_resident("port")`, or that it is not.
    Resident {
        /// The port.
        port: Cow<'a, str>,
        /// Whether it must be.
        expected: bool,
    },
    /// All hold. Has at least two members, none of them `And`.
    And(Vec<Expr<'a>>),
    /// One holds. Has at least two members, none of them `Or`.
    Or(Vec<Expr<'a>>),
}

impl<'a> Expr<'a> {
    /// The one-bit symbol holds.
    pub(crate) fn holds(symbol: SymbolId) -> Expr<'static> {
        let one = Cube { value: 1, mask: 1 };
        Expr::Number(Comparison {
            symbol,
            op: Relop::Eq,
            values: Values::One(one),
            standing: Standing::Plain,
        })
    }

    /// All of `terms` hold.
    pub fn all(terms: impl IntoIterator<Item = Expr<'a>>) -> Expr<'a> {
        let mut out = Vec::new();
        for term in terms {
            match term {
                Expr::And(inner) => out.extend(inner),
                other => out.push(other),
            }
        }
        match out.len() {
            0 => Expr::Const(true),
            1 => out.remove(0),
            _ => Expr::And(out),
        }
    }

    /// One of `terms` holds.
    pub fn any(terms: impl IntoIterator<Item = Expr<'a>>) -> Expr<'a> {
        let mut out = Vec::new();
        for term in terms {
            match term {
                Expr::Or(inner) => out.extend(inner),
                other => out.push(other),
            }
        }
        match out.len() {
            0 => Expr::Const(false),
            1 => out.remove(0),
            _ => Expr::Or(out),
        }
    }

    /// That it does not hold. A string field's comparison has no opposite in the language; the parser never makes one,
    /// and predicates have none.
    pub(crate) fn negated(self) -> Expr<'a> {
        match self {
            Expr::Const(holds) => Expr::Const(!holds),
            Expr::Number(mut comparison) => {
                comparison.op = comparison.op.negated();
                Expr::Number(comparison)
            }
            Expr::Name { .. } => Expr::Const(false),
            Expr::Resident { port, expected } => Expr::Resident { port, expected: !expected },
            Expr::And(terms) => Expr::any(terms.into_iter().map(Expr::negated)),
            Expr::Or(terms) => Expr::all(terms.into_iter().map(Expr::negated)),
        }
    }

    /// The same with a comparison for each value of a set, as the language defines sets. Sets of more than `max` values stay
    /// as they are.
    #[must_use]
    pub fn one_value_each(self, max: usize) -> Expr<'a> {
        let apart = |comparison: &Comparison, cube: &Cube| {
            Expr::Number(Comparison { values: Values::One(*cube), ..comparison.clone() })
        };
        match self {
            Expr::Number(comparison) if (2..=max).contains(&comparison.values.as_slice().len()) => {
                let terms = comparison.values.as_slice().iter().map(|cube| apart(&comparison, cube));
                if comparison.op == Relop::Ne { Expr::all(terms) } else { Expr::any(terms) }
            }
            Expr::And(terms) => Expr::all(terms.into_iter().map(|term| term.one_value_each(max))),
            Expr::Or(terms) => Expr::any(terms.into_iter().map(|term| term.one_value_each(max))),
            other => other,
        }
    }

    /// The one symbol that every comparison in it is of.
    pub(crate) fn only_symbol(&self) -> Option<SymbolId> {
        match self {
            Expr::Number(comparison) => Some(comparison.symbol),
            Expr::Name { symbol, .. } => Some(*symbol),
            Expr::Const(_) | Expr::Resident { .. } => None,
            Expr::And(terms) | Expr::Or(terms) => {
                let first = terms.first()?.only_symbol()?;
                terms[1..].iter().all(|t| t.only_symbol() == Some(first)).then_some(first)
            }
        }
    }
}
