//! Only equality left, and what cannot or must hold folded away.

use super::{Comparison, Expr, Relop, Standing, Values};
use crate::cubes::{Cube, CubeSet};
use crate::error::{TooComplex, Work};

impl<'a> Expr<'a> {
    /// Of an annotated expression: turns every comparison into equality with sets of values, answers residency by
    /// `resident`, and folds constants.
    pub fn simplify(self, resident: &mut dyn FnMut(&str) -> bool) -> Result<Expr<'a>, TooComplex> {
        simplify(self, &mut Context { resident, work: Work::default() })
    }
}

struct Context<'c> {
    resident: &'c mut dyn FnMut(&str) -> bool,
    work: Work,
}

fn simplify<'a>(expr: Expr<'a>, context: &mut Context<'_>) -> Result<Expr<'a>, TooComplex> {
    Ok(match expr {
        Expr::Const(_) | Expr::Name { .. } => expr,
        Expr::Resident { port, expected } => Expr::Const((context.resident)(&port) == expected),
        Expr::Number(comparison) => simplify_comparison(comparison, &mut context.work)?,
        Expr::And(terms) => simplify_terms(terms, true, context)?,
        Expr::Or(terms) => simplify_terms(terms, false, context)?,
    })
}

/// `neutral` is what disappears among the terms; its opposite decides.
fn simplify_terms<'a>(
    mut terms: Vec<Expr<'a>>,
    neutral: bool,
    context: &mut Context<'_>,
) -> Result<Expr<'a>, TooComplex> {
    let mut decided = false;
    let mut flat = true;
    for term in terms.iter_mut().filter(|term| !is_simple(term)) {
        let simpler = simplify(std::mem::replace(term, Expr::Const(neutral)), context)?;
        decided |= simpler == Expr::Const(!neutral);
        flat &= !matches!((&simpler, neutral), (Expr::And(_), true) | (Expr::Or(_), false));
        *term = simpler;
    }
    if decided {
        return Ok(Expr::Const(!neutral));
    }
    terms.retain(|t| *t != Expr::Const(neutral));
    if flat && terms.len() > 1 {
        return Ok(if neutral { Expr::And(terms) } else { Expr::Or(terms) });
    }
    Ok(if neutral { Expr::all(terms) } else { Expr::any(terms) })
}

/// Whether nothing is to be done about it: so it is with most terms.
fn is_simple(expr: &Expr<'_>) -> bool {
    match expr {
        Expr::Number(Comparison { op: Relop::Eq, values: Values::One(cube), .. }) => cube.mask != 0,
        Expr::Name { .. } => true,
        _ => false,
    }
}

fn simplify_comparison<'a>(comparison: Comparison, work: &mut Work) -> Result<Expr<'a>, TooComplex> {
    let cubes = comparison.values.as_slice();
    let mut standing = comparison.standing;
    let values = match (comparison.op, cubes) {
        (Relop::Eq, []) => return Ok(Expr::Const(false)),
        (Relop::Eq, cubes) if cubes.iter().any(|c| c.mask == 0) => return Ok(Expr::Const(true)),
        (Relop::Eq, _) => comparison.values,
        (Relop::Ne, [cube]) => narrow_first(CubeSet::complement(&[*cube], work)?.as_slice().to_vec()),
        (Relop::Ne, cubes) => {
            standing = Standing::Together;
            set(&CubeSet::complement(cubes, work)?)
        }
        (op, [cube, ..]) => narrow_first(ordered(op, *cube)),
        (_, []) => return Ok(Expr::Const(false)),
    };
    Ok(match values.as_slice() {
        [] => Expr::Const(false),
        [Cube::ANY] => Expr::Const(true),
        _ => Expr::Number(Comparison { symbol: comparison.symbol, op: Relop::Eq, values, standing }),
    })
}

fn set(cubes: &CubeSet) -> Values {
    match cubes.as_slice() {
        [one] => Values::One(*one),
        _ => Values::Many(cubes.clone().into_shared()),
    }
}

/// What one comparison comes to reads from the narrowest block of values to the widest.
fn narrow_first(mut cubes: Vec<Cube>) -> Values {
    cubes.sort_by_key(|cube| std::cmp::Reverse(cube.mask.count_ones()));
    match cubes.as_slice() {
        [one] => Values::One(*one),
        _ => Values::Many(cubes.into()),
    }
}

/// The values that compare so with `cube`, whose mask is a run of bits: where the value itself passes it stands alone, as
/// stock controllers have it.
fn ordered(op: Relop, cube: Cube) -> Vec<Cube> {
    let first = cube.mask.trailing_zeros() as u8;
    let len = cube.mask.count_ones() as u8;
    let (value, last) = (cube.value >> first, crate::field::ones(len));
    let everything = match op {
        Relop::Le => value == last,
        Relop::Ge => value == 0,
        _ => false,
    };
    if everything {
        return vec![Cube::ANY];
    }
    let mut cubes = if matches!(op, Relop::Le | Relop::Ge | Relop::Eq) { vec![cube] } else { Vec::new() };
    let beside = match op {
        Relop::Lt | Relop::Le if value > 0 => CubeSet::range(first, len, 0, value - 1),
        Relop::Gt | Relop::Ge if value < last => CubeSet::range(first, len, value + 1, last),
        _ => CubeSet::default(),
    };
    cubes.extend_from_slice(beside.as_slice());
    cubes
}

#[cfg(test)]
mod tests {
    use crate::env::NoNames;

    #[test]
    fn constants_fold_and_ranges_become_prefixes() {
        let cases = "
            eth.dst == 0/0 => 1
            eth.dst != 0/0 => 0
            tcp.dst >= 0 => ip.proto == 0x6 && (eth.type == 0x800 || eth.type == 0x86dd)
            tcp.dst <= 65535 => ip.proto == 0x6 && (eth.type == 0x800 || eth.type == 0x86dd)
            tcp.dst < 0 => 0
            reg0[0..2] > 4 => xxreg0[96..98] == 0x5 || xxreg0[97..98] == 0x3
            vlan.pcp != 2 => (vlan.tci[13..15] == 0x3 || vlan.tci[14..15] == 0 || vlan.tci[15]) && vlan.tci[12]
            reg0[0..2] >= 4 => xxreg0[96..98] == 0x4 || xxreg0[96..98] == 0x5 || xxreg0[97..98] == 0x3
            reg0[0..2] < 7 => xxreg0[96..98] == 0x6 || xxreg0[97..98] == 0x2 || !xxreg0[98]
            reg0[0..2] <= 7 => 1
            is_chassis_resident(\"here\") => 1
            !is_chassis_resident(\"here\") && ip4 => 0
            is_chassis_resident(\"there\") || ip4 => eth.type == 0x800
            reg0[0] == 1 || 1 => 1
        ";
        for case in cases.lines().map(str::trim).filter(|l| !l.is_empty()) {
            let (input, expected) = case.split_once(" => ").unwrap();
            let expr = crate::expr::parse(input, &NoNames).unwrap().annotate();
            let simple = expr.simplify(&mut |port| port == "here").unwrap();
            assert_eq!(simple.to_string(), expected, "{input}");
        }
    }
}
