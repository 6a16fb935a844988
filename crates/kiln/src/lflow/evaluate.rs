//! A packet made from `FIELD=VALUE,…`, and what expressions say of it.

use super::{text, world::World};
use kiln_logical::expr::{Comparison, Names, Packet, Relop, Values};
use kiln_logical::symbol::Kind;
use kiln_logical::{Expr, Field, FieldRef, SymbolId, expand_templates, expr};
use std::collections::BTreeMap;

/// A packet whose fields are what was said of them, what those fields need, and otherwise zero.
pub(super) struct Made<'w> {
    numbers: BTreeMap<Field, u128>,
    names: BTreeMap<Field, String>,
    /// The bits that something was said of.
    said: BTreeMap<Field, u128>,
    world: &'w World,
}

impl Packet for Made<'_> {
    fn number(&self, field: Field) -> u128 {
        self.numbers.get(&field).copied().unwrap_or(0)
    }

    fn name(&self, field: Field) -> &str {
        self.names.get(&field).map_or("", String::as_str)
    }

    fn is_resident(&self, port: &str) -> bool {
        self.world.is_here(port)
    }
}

/// Whether the expression holds: `1` or `0`.
pub(super) fn holds(line: &str, packet: &Made<'_>, world: &World) -> Result<String, String> {
    let line = expand_templates(line, world);
    let expr = expr::parse(&line, world).map_err(|e| text(&e))?.annotate();
    Ok(u8::from(expr.evaluate(packet)).to_string())
}

impl<'w> Made<'w> {
    /// Reads the assignments. A bare field is one bit that is set.
    pub(super) fn parse(packet: &str, world: &'w World) -> Result<Made<'w>, String> {
        let mut made =
            Made { numbers: BTreeMap::new(), names: BTreeMap::new(), said: BTreeMap::new(), world };
        // What may be met in several ways waits until all that is certain is said.
        let mut open = Vec::new();
        for assignment in split(packet) {
            let comparison = as_comparison(assignment);
            let problem = |problem: String| format!("{assignment}: {problem}");
            let parsed = expr::parse(&comparison, world).map_err(|e| problem(text(&e)))?;
            made.require(parsed.annotate(), &mut open).map_err(problem)?;
        }
        for (expr, assignment) in open.into_iter().map(|expr| (expr, packet)) {
            made.choose(&expr).map_err(|problem| format!("{assignment}: {problem}"))?;
        }
        Ok(made)
    }

    /// Makes `expr` hold, what is certain of it at once.
    fn require(&mut self, expr: Expr<'_>, open: &mut Vec<Expr<'static>>) -> Result<(), String> {
        match expr {
            Expr::And(terms) => terms.into_iter().try_for_each(|term| self.require(term, open)),
            Expr::Number(Comparison { symbol, op: Relop::Eq, values: Values::One(cube), .. }) => {
                self.say(symbol, cube.value, cube.mask)
            }
            Expr::Name { symbol, names: Names::One(name) } => self.say_name(symbol, &name),
            Expr::Const(true) => Ok(()),
            Expr::Const(false) => Err("nothing is like that".to_owned()),
            other => {
                open.push(owned(other));
                Ok(())
            }
        }
    }

    fn say(&mut self, symbol: SymbolId, value: u128, mask: u128) -> Result<(), String> {
        let Some((field, 0)) = FieldRef::whole(symbol).root() else {
            return Err(format!("expected a field, found {}", symbol.get().name));
        };
        let (number, said) = (self.numbers.entry(field).or_default(), self.said.entry(field).or_default());
        if (*number ^ value) & mask & *said != 0 {
            return Err(format!("{field} cannot be what was said before and {value:#x}"));
        }
        *number = *number & !mask | value;
        *said |= mask;
        Ok(())
    }

    fn say_name(&mut self, symbol: SymbolId, name: &str) -> Result<(), String> {
        let Kind::Field(field) = symbol.get().kind else {
            return Err(format!("expected a field, found {}", symbol.get().name));
        };
        let said = self.names.entry(field).or_insert_with(|| name.to_owned());
        if said == name {
            return Ok(());
        }
        Err(format!("{field} cannot be \"{said}\", as was said before, and \"{name}\""))
    }

    /// Makes the first of the ways hold in which `expr` can be met, if none does.
    fn choose(&mut self, expr: &Expr<'_>) -> Result<(), String> {
        if expr.evaluate(self) {
            return Ok(());
        }
        let ways = match expr {
            Expr::Or(terms) => terms.clone(),
            Expr::Name { symbol, names } => {
                names.iter().map(|name| Expr::Name { symbol: *symbol, names: one(name) }).collect()
            }
            Expr::Number(Comparison { op: Relop::Eq, .. }) => match expr.clone().one_value_each(usize::MAX) {
                Expr::Or(values) => values,
                _ => Vec::new(),
            },
            _ => Vec::new(),
        };
        for way in ways {
            let before = (self.numbers.clone(), self.said.clone(), self.names.clone());
            let mut open = Vec::new();
            if self.require(way, &mut open).is_ok() && open.iter().all(|inner| self.choose(inner).is_ok()) {
                return Ok(());
            }
            (self.numbers, self.said, self.names) = before;
        }
        Err(format!("nothing that was said allows {expr}"))
    }
}

fn owned(expr: Expr<'_>) -> Expr<'static> {
    match expr {
        Expr::Const(holds) => Expr::Const(holds),
        Expr::Number(comparison) => Expr::Number(comparison),
        Expr::And(terms) => Expr::And(terms.into_iter().map(owned).collect()),
        Expr::Or(terms) => Expr::Or(terms.into_iter().map(owned).collect()),
        Expr::Resident { port, expected } => Expr::Resident { port: port.into_owned().into(), expected },
        Expr::Name { symbol, names } => Expr::Name {
            symbol,
            names: match names {
                Names::One(name) => one(&name),
                Names::Group(group) => Names::Group(group),
                Names::Many(names) => {
                    Names::Many(names.into_iter().map(|name| name.into_owned().into()).collect())
                }
            },
        },
    }
}

fn one(name: &str) -> Names<'static> {
    Names::One(name.to_owned().into())
}

/// Cuts at commas outside of quotes and brackets.
fn split(packet: &str) -> impl Iterator<Item = &str> {
    let (mut quoted, mut depth) = (false, 0_usize);
    packet
        .split(move |c| {
            quoted ^= c == '"';
            match c {
                '{' | '(' if !quoted => depth += 1,
                '}' | ')' if !quoted => depth = depth.saturating_sub(1),
                _ => {}
            }
            c == ',' && !quoted && depth == 0
        })
        .map(str::trim)
        .filter(|part| !part.is_empty())
}

/// `FIELD=VALUE` as the comparison that says so; anything else is an expression already. The name of a port may stand without
/// quotes.
fn as_comparison(assignment: &str) -> String {
    let Some((field, value)) = assignment.split_once('=') else { return assignment.to_owned() };
    let (field, value) = (field.trim(), value.trim_start_matches('=').trim());
    if !field.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_.[]".contains(&byte)) {
        return assignment.to_owned();
    }
    let is_port = SymbolId::lookup(field).is_some_and(|symbol| symbol.get().is_string());
    // A string, a port group, or a set of either.
    if is_port && !value.starts_with(['"', '@', '{']) {
        return format!("{field} == \"{value}\"");
    }
    format!("{field} == {value}")
}
