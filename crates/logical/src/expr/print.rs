//! The canonical text.

use super::{Comparison, Expr, Names, Relop};
use crate::constant::write_hex;
use crate::cubes::Cube;
use crate::field::Level;
use crate::symbol::SymbolId;
use crate::token::write_quoted;
use std::fmt::{self, Formatter};

/// The connective that surrounds what is printed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Inside {
    Nothing,
    And,
    Or,
}

impl Inside {
    const fn text(self) -> &'static str {
        match self {
            Inside::And => " && ",
            Inside::Nothing | Inside::Or => " || ",
        }
    }
}

impl fmt::Display for Expr<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        expr(f, self, Inside::Nothing)
    }
}

fn expr(f: &mut Formatter<'_>, e: &Expr<'_>, inside: Inside) -> fmt::Result {
    match e {
        Expr::Const(holds) => f.write_str(if *holds { "1" } else { "0" }),
        Expr::Number(comparison) => {
            let connective = if comparison.op == Relop::Ne { Inside::And } else { Inside::Or };
            let cubes = comparison.values.as_slice();
            if cubes.is_empty() {
                return f.write_str(if comparison.op == Relop::Ne { "1" } else { "0" });
            }
            joined(f, cubes, connective, inside, |f, cube, _| number(f, comparison, *cube))
        }
        Expr::Name { symbol, names } => name_list(f, *symbol, names, inside),
        Expr::Resident { port, expected } => {
            f.write_str(if *expected { "is_chassis_resident(" } else { "!is_chassis_resident(" })?;
            write_quoted(f, port)?;
            f.write_str(")")
        }
        Expr::And(terms) => joined(f, terms, Inside::And, inside, expr),
        Expr::Or(terms) => joined(f, terms, Inside::Or, inside, expr),
    }
}

fn joined<T>(
    f: &mut Formatter<'_>,
    items: &[T],
    connective: Inside,
    inside: Inside,
    item: impl Fn(&mut Formatter<'_>, &T, Inside) -> fmt::Result,
) -> fmt::Result {
    let parentheses = items.len() > 1 && inside != Inside::Nothing && inside != connective;
    let within = if items.len() > 1 { connective } else { inside };
    if parentheses {
        f.write_str("(")?;
    }
    for (i, one) in items.iter().enumerate() {
        if i > 0 {
            f.write_str(connective.text())?;
        }
        item(f, one, within)?;
    }
    if parentheses { f.write_str(")") } else { Ok(()) }
}

fn name_list(f: &mut Formatter<'_>, symbol: SymbolId, names: &Names<'_>, inside: Inside) -> fmt::Result {
    let names: Vec<&str> = names.iter().collect();
    if names.is_empty() {
        return f.write_str("0");
    }
    joined(f, &names, Inside::Or, inside, |f, name, _| {
        write!(f, "{} == ", symbol.get().name)?;
        write_quoted(f, name)
    })
}

fn number(f: &mut Formatter<'_>, comparison: &Comparison, cube: Cube) -> fmt::Result {
    one_comparison(f, comparison.symbol, comparison.op, cube)
}

/// `symbol op value`, a run of bits as a subfield, a single bit by its name alone.
fn one_comparison(f: &mut Formatter<'_>, symbol: SymbolId, op: Relop, cube: Cube) -> fmt::Result {
    let symbol = symbol.get();
    let mask = cube.mask;
    let (first, len) = (mask.trailing_zeros(), mask.count_ones());
    // Bits of a nominal field cannot be named; a mask says which.
    let nameable = symbol.level != Level::Nominal || len == u32::from(symbol.width);
    let run = nameable && len > 0 && first + len == 128 - mask.leading_zeros();
    if run && len == 1 && op.is_equality() {
        if (cube.value == 0) != (op == Relop::Ne) {
            f.write_str("!")?;
        }
        f.write_str(symbol.name)?;
        return if symbol.width > 1 { write!(f, "[{first}]") } else { Ok(()) };
    }
    f.write_str(symbol.name)?;
    if run && len < u32::from(symbol.width) {
        match len {
            1 => write!(f, "[{first}]")?,
            _ => write!(f, "[{first}..{}]", first + len - 1)?,
        }
    }
    write!(f, " {} ", op.as_str())?;
    if run {
        write_hex(f, cube.value >> first)
    } else {
        write_hex(f, cube.value)?;
        f.write_str("/")?;
        write_hex(f, mask)
    }
}

/// `symbol == value`.
pub(crate) fn print_comparison(f: &mut Formatter<'_>, symbol: SymbolId, cube: Cube) -> fmt::Result {
    one_comparison(f, symbol, Relop::Eq, cube)
}
