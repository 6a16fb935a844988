//! Text to expressions (ovn-sb(5), Logical_Flow, match).
//!
//! `!` is carried down while parsing: every function takes whether an odd number of them encloses it, and builds what
//! then has to hold.

use super::{Comparison, Expr, Relop, Standing, Values};
use crate::constant::Constant;
use crate::cubes::Cube;
use crate::env::Environment;
use crate::error::Error;
use crate::field::{Level, ones};
use crate::parser::{Constants, Numbers, Parser};
use crate::symbol::{FieldRef, Kind, Symbol};
use crate::token::{Op, Token};

/// How deep parentheses and nested actions may go.
const MAX_DEPTH: u32 = 100;

/// Most texts have no more terms side by side.
const COMMON_TERMS: usize = 6;

/// Reads a match expression.
pub fn parse<'a>(text: &'a str, env: &dyn Environment) -> Result<Expr<'a>, Error> {
    let mut parser = Parser::new(text, env)?;
    let expr = parser.disjunction_or_conjunction(false, 0)?;
    parser.end()?;
    Ok(expr)
}

fn relop(token: &Token<'_>) -> Option<Relop> {
    Some(match token {
        Token::Op(Op::Eq) => Relop::Eq,
        Token::Op(Op::Ne) => Relop::Ne,
        Token::Op(Op::Lt) => Relop::Lt,
        Token::Op(Op::Le) => Relop::Le,
        Token::Op(Op::Gt) => Relop::Gt,
        Token::Op(Op::Ge) => Relop::Ge,
        _ => return None,
    })
}

impl<'a> Parser<'a, '_> {
    fn relop(&mut self) -> Result<Relop, Error> {
        let op = relop(&self.token).ok_or_else(|| self.expected("a relational operator"))?;
        self.take()?;
        Ok(op)
    }

    fn disjunction_or_conjunction(&mut self, negated: bool, depth: u32) -> Result<Expr<'a>, Error> {
        let first = self.operand(negated, depth)?;
        let Token::Op(op @ (Op::And | Op::Or)) = self.token else { return Ok(first) };
        let mut terms = Vec::with_capacity(COMMON_TERMS);
        terms.push(first);
        while self.accept(op)? {
            terms.push(self.operand(negated, depth)?);
        }
        if self.at(Op::And) || self.at(Op::Or) {
            return Err(
                self.error("expected parentheses around && and || where they are used together".to_owned())
            );
        }
        Ok(if (op == Op::And) == negated { Expr::any(terms) } else { Expr::all(terms) })
    }

    fn operand(&mut self, negated: bool, depth: u32) -> Result<Expr<'a>, Error> {
        if !self.accept(Op::Not)? {
            return Ok(self.primary(negated, depth)?.0);
        }
        let column = self.column;
        let (expr, closed) = self.primary(!negated, depth)?;
        if closed {
            Ok(expr)
        } else {
            Err(Error::new(column, "expected parentheses around the comparison after `!'"))
        }
    }

    /// A primary expression, and whether `!` may stand before it without parentheses.
    fn primary(&mut self, negated: bool, depth: u32) -> Result<(Expr<'a>, bool), Error> {
        if self.at(Op::LParen) {
            if depth >= MAX_DEPTH {
                return Err(self.error(format!("parentheses nested more than {MAX_DEPTH} deep")));
            }
            self.take()?;
            let expr = self.disjunction_or_conjunction(negated, depth + 1)?;
            self.expect(Op::RParen)?;
            return Ok((expr, true));
        }
        match self.token {
            Token::Id("is_chassis_resident") => Ok((self.residency(!negated)?, true)),
            Token::Id(_) => self.comparison_or_bit(negated),
            _ => self.constant_first(negated),
        }
    }

    fn residency(&mut self, expected: bool) -> Result<Expr<'a>, Error> {
        self.take()?;
        self.expect(Op::LParen)?;
        let port = self.string("a port name in quotes")?;
        self.expect(Op::RParen)?;
        Ok(Expr::Resident { port, expected })
    }

    /// `field relop constants`, or a bare bit.
    fn comparison_or_bit(&mut self, negated: bool) -> Result<(Expr<'a>, bool), Error> {
        let column = self.column;
        let field = self.field()?;
        if relop(&self.token).is_none() && !self.at(Op::Assign) {
            return Ok((bare(field, negated, column)?, true));
        }
        let op = self.relop()?;
        let constants = self.constants()?;
        Ok((compare(field, op, constants, negated, column)?, false))
    }

    /// `0`, `1`, `constants relop field` or `constant relop field relop constant`.
    fn constant_first(&mut self, negated: bool) -> Result<(Expr<'a>, bool), Error> {
        let column = self.column;
        let constants = self.constants()?;
        if let Constants::Numbers(Numbers::One(Constant { value: value @ 0..=1, mask: None, format })) =
            &constants
            && format.width().is_none()
            && relop(&self.token).is_none()
        {
            return Ok((Expr::Const((*value == 1) != negated), true));
        }
        let op = self.relop()?;
        let field = self.field()?;
        let low = compare(field, op.mirrored(), constants, negated, column)?;
        let Some(second) = relop(&self.token) else { return Ok((low, false)) };
        let rising = |op| matches!(op, Relop::Lt | Relop::Le);
        if op.is_equality() || second.is_equality() || rising(op) != rising(second) {
            return Err(self.error("expected a range as in `1 < field < 4' or `4 >= field > 1'".to_owned()));
        }
        self.take()?;
        let constants = self.constants()?;
        let high = compare(field, second, constants, negated, column)?;
        Ok((if negated { Expr::any([low, high]) } else { Expr::all([low, high]) }, false))
    }
}

/// A bit by its name alone.
fn bare<'a>(field: FieldRef, negated: bool, column: usize) -> Result<Expr<'a>, Error> {
    // `!field` says that all its bits are zero; `field` would say that not all are, which must be written out.
    if field.len != 1 && !(negated && field.len > 1) {
        let message =
            format!("expected a comparison of {field}, such as `!= 0': only a single bit can stand alone");
        return Err(Error::new(column, message));
    }
    let op = if negated { Relop::Eq } else { Relop::Ne };
    let zero = Constants::Numbers(Numbers::One(Constant::decimal(0)));
    compare(field, op, zero, false, column)
}

fn compare(
    field: FieldRef,
    op: Relop,
    constants: Constants<'_>,
    negated: bool,
    column: usize,
) -> Result<Expr<'_>, Error> {
    let symbol = field.symbol.get();
    let fail = |message: String| Err(Error::new(column, message));
    if let Kind::Ovn(_) = symbol.kind {
        return fail(format!("field {} can only be assigned to, not matched", symbol.name));
    }
    match &constants {
        Constants::Numbers(_) if symbol.is_string() => {
            return fail(format!("string field {} is not compatible with an integer constant", symbol.name));
        }
        Constants::Names(_) if !symbol.is_string() => {
            return fail(format!("integer field {} is not compatible with a string constant", symbol.name));
        }
        _ => {}
    }
    if !op.is_equality() {
        check_order(symbol.name, symbol.level, &constants).map_err(|message| Error::new(column, message))?;
    }
    let op = if negated { op.negated() } else { op };
    match constants {
        Constants::Numbers(numbers) if !op.is_equality() => {
            // Below or above an address set means: all of its members.
            let members = numbers.as_slice().iter();
            let terms: Vec<Expr<'_>> = members
                .map(|member| compare_numbers(field, op, &Numbers::One(*member)).or_else(fail))
                .collect::<Result<_, _>>()?;
            Ok(if negated { Expr::any(terms) } else { Expr::all(terms) })
        }
        Constants::Numbers(numbers) => compare_numbers(field, op, &numbers).or_else(fail),
        Constants::Names(_) if op != Relop::Eq => fail(only_equality(symbol.name)),
        Constants::Names(names) if names.is_empty() => Ok(Expr::Const(false)),
        Constants::Names(names) => Ok(Expr::Name { symbol: field.symbol, names }),
    }
}

fn only_equality(name: &str) -> String {
    format!("nominal field {name} may only be tested for equality (taking enclosing `!' into account)")
}

fn check_order(name: &str, level: Level, constants: &Constants<'_>) -> Result<(), String> {
    if level != Level::Ordinal {
        return Err(format!("only == and != may be used with {} field {name}", level.name()));
    }
    let problem = match constants {
        Constants::Numbers(Numbers::Many(_) | Numbers::Set { braced: true, .. }) => {
            "sets of values in braces"
        }
        Constants::Numbers(numbers) if numbers.as_slice().is_empty() => "an empty set",
        Constants::Numbers(numbers) if numbers.as_slice().iter().any(|one| one.mask.is_some()) => {
            "masked constants; consider a subfield instead"
        }
        _ => return Ok(()),
    };
    Err(format!("only == and != may be used with {problem}"))
}

fn compare_numbers<'a>(field: FieldRef, op: Relop, numbers: &Numbers) -> Result<Expr<'a>, String> {
    let symbol = field.symbol.get();
    let width = match numbers {
        Numbers::One(one) => one.width(),
        Numbers::Many(all) => all.iter().map(Constant::width).max().unwrap_or(0),
        Numbers::Set { set, .. } => set.significant(),
    };
    if width > symbol.width {
        let name = symbol.name;
        return Err(format!("{width}-bit constant is not compatible with {}-bit field {name}", symbol.width));
    }
    if symbol.level == Level::Nominal {
        check_nominal(symbol, op, numbers.as_slice())?;
    }
    let cube = |constant: &Constant| {
        let mask = constant.mask.unwrap_or(ones(field.len));
        Cube { value: constant.value & mask, mask }.shifted(field.first, ones(field.len))
    };
    let values = match numbers {
        numbers if numbers.as_slice().is_empty() => return Ok(Expr::Const(op == Relop::Ne)),
        numbers if numbers.as_slice().len() == 1 => Values::One(cube(&numbers.as_slice()[0])),
        Numbers::One(one) => Values::One(cube(one)),
        Numbers::Many(all) => Values::Many(all.iter().map(cube).collect()),
        Numbers::Set { set, .. } => match set.cubes_of_width(symbol.width) {
            Some(cubes) if field.len == symbol.width => Values::Many(cubes.into_shared()),
            _ => Values::Many(set.constants().iter().map(cube).collect()),
        },
    };
    let (op, values) = positive_bit(field, op, values);
    Ok(Expr::Number(Comparison { symbol: field.symbol, op, values, standing: Standing::Plain }))
}

/// A nominal symbol can only be said to be something, since no set of matches says that it is not.
fn check_nominal(symbol: &Symbol, op: Relop, numbers: &[Constant]) -> Result<(), String> {
    let name = symbol.name;
    if let Kind::Predicate(_) = symbol.kind {
        let positive = numbers.iter().all(|c| (c.value & 1 == 1) == (op == Relop::Eq));
        return if positive {
            Ok(())
        } else {
            Err(format!(
                "nominal predicate {name} may only be tested positively: `{name}' or `{name} == 1', not `!{name}'"
            ))
        };
    }
    if op == Relop::Eq { Ok(()) } else { Err(only_equality(name)) }
}

/// A single bit is compared by `==` alone.
fn positive_bit(field: FieldRef, op: Relop, values: Values) -> (Relop, Values) {
    match values {
        Values::One(Cube { value, mask }) if field.len == 1 && op == Relop::Ne && mask == field.mask() => {
            (Relop::Eq, Values::One(Cube { value: value ^ mask, mask }))
        }
        other => (op, other),
    }
}
