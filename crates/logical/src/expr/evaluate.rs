//! What an expression says of one packet.

use super::{Comparison, Expr, Relop};
use crate::cubes::Cube;
use crate::field::Field;

/// A packet, as expressions see it.
pub trait Packet {
    /// The value of a numeric field, in its low bits. Fields that the packet does not have are zero.
    fn number(&self, field: Field) -> u128;
    /// The port that a string field names.
    fn name(&self, field: Field) -> &str;
    /// Whether the port is on this chassis.
    fn is_resident(&self, port: &str) -> bool;
}

impl Expr<'_> {
    /// Whether it holds for `packet`. Prerequisites count: annotate first if it is not annotated yet.
    pub fn evaluate(&self, packet: &dyn Packet) -> bool {
        match self {
            Expr::Const(holds) => *holds,
            Expr::Number(comparison) => comparison.holds(packet),
            Expr::Name { symbol, names } => match symbol.get().root() {
                Some((field, _)) => {
                    let name = packet.name(field);
                    names.iter().any(|n| n == name)
                }
                None => false,
            },
            Expr::Resident { port, expected } => packet.is_resident(port) == *expected,
            Expr::And(terms) => terms.iter().all(|t| t.evaluate(packet)),
            Expr::Or(terms) => terms.iter().any(|t| t.evaluate(packet)),
        }
    }
}

impl Comparison {
    fn holds(&self, packet: &dyn Packet) -> bool {
        let Some((field, first)) = self.symbol.get().root() else {
            // A predicate: what it is written out to.
            return Expr::Number(self.clone()).annotate().evaluate(packet);
        };
        let value = packet.number(field) >> first;
        let cubes = self.values.as_slice();
        match self.op {
            Relop::Eq => cubes.iter().any(|c| c.has(value)),
            Relop::Ne => !cubes.iter().any(|c| c.has(value)),
            op => cubes.iter().all(|c| in_order(op, value, *c)),
        }
    }
}

fn in_order(op: Relop, value: u128, cube: Cube) -> bool {
    let value = value & cube.mask;
    match op {
        Relop::Lt => value < cube.value,
        Relop::Le => value <= cube.value,
        Relop::Gt => value > cube.value,
        Relop::Ge => value >= cube.value,
        Relop::Eq => value == cube.value,
        Relop::Ne => value != cube.value,
    }
}
