//! `<mutation>`: a change relative to a column's value (RFC 7047 section 5.1).

use std::borrow::Cow;

use super::condition::unknown_column;
use super::{Error, ErrorKind, elements};
use crate::json::{Decoder, TextCache};
use crate::schema::{AtomType, ColumnType, TableSchema};
use crate::value::{Atom, Datum, Names, Real};

/// `<mutator>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Mutator {
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Insert,
    Delete,
}

impl Mutator {
    const ALL: [(Mutator, &'static str); 7] = [
        (Mutator::Add, "+="),
        (Mutator::Subtract, "-="),
        (Mutator::Multiply, "*="),
        (Mutator::Divide, "/="),
        (Mutator::Remainder, "%="),
        (Mutator::Insert, "insert"),
        (Mutator::Delete, "delete"),
    ];

    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        Self::ALL[self as usize].1
    }

    fn of_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|entry| entry.1 == name).map(|entry| entry.0)
    }

    fn applies_to(self, ty: &ColumnType) -> bool {
        match self {
            Mutator::Insert | Mutator::Delete => !ty.is_scalar(),
            Mutator::Remainder => ty.value().is_none() && ty.key().kind() == AtomType::Integer,
            _ => ty.value().is_none() && matches!(ty.key().kind(), AtomType::Integer | AtomType::Real),
        }
    }

    fn integer(self, a: i64, b: i64) -> Option<i64> {
        match self {
            Mutator::Add => a.checked_add(b),
            Mutator::Subtract => a.checked_sub(b),
            Mutator::Multiply => a.checked_mul(b),
            Mutator::Divide => a.checked_div(b),
            _ => a.checked_rem(b),
        }
    }

    fn real(self, a: f64, b: f64) -> Option<Real> {
        Real::new(match self {
            Mutator::Add => a + b,
            Mutator::Subtract => a - b,
            Mutator::Multiply => a * b,
            _ => a / b,
        })
    }
}

/// A change of one column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mutation {
    /// The column's index in the schema.
    pub column: usize,
    /// What is done.
    pub mutator: Mutator,
    /// With what: one number, or what to insert, or what to delete. To delete from a map this may be a set of keys.
    pub argument: Datum,
}

impl Mutation {
    /// Reads `[<column>, <mutator>, <value>]`.
    pub(super) fn parse(
        text: &str,
        schema: &TableSchema,
        names: &mut dyn Names,
        texts: &mut TextCache,
    ) -> Result<Self, Error> {
        let [name, mutator, argument] = elements(text)?[..] else { return Err(form()) };
        let string = |text| Decoder::new(text, &mut TextCache::empty()).string().map(Cow::into_owned);
        let name = string(name).map_err(|_| form())?;
        let mutator = string(mutator).map_err(|_| form())?;

        let column = schema.column_index(&name).ok_or_else(|| unknown_column(&name, schema))?;
        let ty = schema.columns()[column].ty();
        if !schema.columns()[column].is_mutable() {
            let details = format!("column {name} of table {} is immutable", schema.name());
            return Err(Error::constraint(details));
        }
        let mutator = Mutator::of_name(&mutator)
            .ok_or_else(|| Error::new(ErrorKind::UnknownMutator, format!("no mutator {mutator}")))?;
        if !mutator.applies_to(ty) {
            let details = format!("{} does not apply to column {name} of type {ty}", mutator.name());
            return Err(Error::syntax(details));
        }
        let mut decode = |ty: &ColumnType| Datum::decode(&mut Decoder::new(argument, texts), ty, names);
        let argument = match mutator {
            Mutator::Insert => decode(&ty.with_bounds(0, ty.max())),
            Mutator::Delete if ty.value().is_none() => decode(&ty.with_bounds(0, u32::MAX)),
            Mutator::Delete => decode(&ty.with_bounds(0, u32::MAX)).or_else(|_| decode(&ty.keys())),
            _ => decode(&ty.plain_scalar()),
        };
        let argument = argument.map_err(|error| Error::from(error).within(format_args!("column {name}")))?;
        Ok(Mutation { column, mutator, argument })
    }

    /// Applies the mutation to a value of the type.
    pub fn apply(&self, value: &mut Datum, ty: &ColumnType) -> Result<(), Error> {
        match (self.mutator, &self.argument) {
            (Mutator::Insert, argument) => {
                value.insert_all(argument);
                check_len(value, ty)
            }
            (Mutator::Delete, keys @ Datum::Set(_)) if ty.value().is_some() => {
                value.remove_keys(keys);
                check_len(value, ty)
            }
            (Mutator::Delete, argument) => {
                value.remove_all(argument);
                check_len(value, ty)
            }
            (_, argument) => {
                let results: Vec<Atom> = value
                    .atoms()
                    .iter()
                    .map(|atom| self.compute(atom, argument))
                    .collect::<Result<_, _>>()?;
                for atom in &results {
                    atom.check(ty.key())?;
                }
                let before = value.len();
                *value = Datum::set(results);
                if value.len() == before {
                    return Ok(());
                }
                Err(Error::constraint(format!("{} makes elements of the set equal", self.mutator.name())))
            }
        }
    }

    fn compute(&self, atom: &Atom, argument: &Datum) -> Result<Atom, Error> {
        let (result, zero) = match (atom, argument.as_scalar()) {
            (Atom::Integer(a), Some(Atom::Integer(b))) => {
                (self.mutator.integer(*a, *b).map(Atom::Integer), *b == 0)
            }
            (Atom::Real(a), Some(Atom::Real(b))) => {
                (self.mutator.real(a.get(), b.get()).map(Atom::Real), b.get() == 0.0)
            }
            _ => (None, false),
        };
        result.ok_or_else(|| match self.mutator {
            Mutator::Divide | Mutator::Remainder if zero => {
                Error::new(ErrorKind::DomainError, "division by zero")
            }
            _ => Error::new(
                ErrorKind::RangeError,
                format!("{atom} {} {argument} overflows", self.mutator.name()),
            ),
        })
    }
}

fn form() -> Error {
    Error::syntax("expected [<column>, <mutator>, <value>] as mutation")
}

fn check_len(value: &Datum, ty: &ColumnType) -> Result<(), Error> {
    if (ty.min() as usize..=ty.max() as usize).contains(&value.len()) {
        return Ok(());
    }
    Err(Error::constraint(format!("{} elements do not fit into {ty}", value.len())))
}
