//! `<condition>`: which rows an operation or a monitor is about (RFC 7047 section 5.1, ovsdb-server(7) sections 4.1.12 and
//! 5.1).

use std::sync::Arc;

use kiln_types::Uuid;

use super::{Error, ErrorKind, Row, Table};
use crate::json::{Decoder, TextCache};
use crate::schema::{AtomType, TableSchema, UUID_COLUMN};
use crate::value::{Atom, Datum, Names};

/// `<function>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Function {
    Less,
    LessOrEqual,
    Equal,
    NotEqual,
    GreaterOrEqual,
    Greater,
    Includes,
    Excludes,
}

impl Function {
    fn of_name(name: &str) -> Option<Self> {
        Some(match name {
            "<" => Function::Less,
            "<=" => Function::LessOrEqual,
            "==" => Function::Equal,
            "!=" => Function::NotEqual,
            ">=" => Function::GreaterOrEqual,
            ">" => Function::Greater,
            "includes" => Function::Includes,
            "excludes" => Function::Excludes,
            _ => return None,
        })
    }

    fn holds(self, value: &Datum, argument: &Datum) -> bool {
        use std::cmp::Ordering::{Greater, Less};
        // the two are scalars; an empty optional compares to nothing
        let order = || Some(value.as_scalar()?.cmp(argument.as_scalar()?));
        match self {
            Function::Equal => value == argument,
            Function::NotEqual => value != argument,
            Function::Includes => value.includes(argument),
            Function::Excludes => value.excludes(argument),
            Function::Less => order() == Some(Less),
            Function::LessOrEqual => order().is_some_and(|order| order != Greater),
            Function::GreaterOrEqual => order().is_some_and(|order| order != Less),
            Function::Greater => order() == Some(Greater),
        }
    }
}

/// One element of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clause {
    /// Holds always or never.
    Constant(bool),
    /// Compares a column.
    Test {
        /// The column's index in the schema.
        column: usize,
        /// How it is compared.
        function: Function,
        /// With what, of a type that the function allows.
        argument: Datum,
    },
}

impl Clause {
    /// Whether the clause holds for the row.
    pub fn holds(&self, row: &Row) -> bool {
        match self {
            Clause::Constant(value) => *value,
            Clause::Test { column, function, argument } => function.holds(row.get(*column), argument),
        }
    }

    /// What the column must equal, if the clause says so.
    fn equal_to(&self, wanted: usize) -> Option<&Datum> {
        match self {
            Clause::Test { column, function: Function::Equal, argument } if *column == wanted => {
                Some(argument)
            }
            _ => None,
        }
    }

    /// Reads a clause: a boolean, or `[<column>, <function>, <value>]`.
    pub(crate) fn decode(
        json: &mut Decoder<'_>,
        schema: &TableSchema,
        names: &mut dyn Names,
    ) -> Result<Self, Error> {
        let form = || Error::syntax("expected [<column>, <function>, <value>] or a boolean as condition");
        if json.peek() != Some(b'[') {
            return json.boolean().map(Clause::Constant).map_err(|_| form());
        }
        json.begin_array()?;
        let name = json.string().map_err(|_| form())?;
        json.comma().map_err(|_| form())?;
        let function = json.string().map_err(|_| form())?;
        json.comma().map_err(|_| form())?;
        let column = schema.column_index(&name).ok_or_else(|| unknown_column(&name, schema))?;
        let ty = schema.columns()[column].ty();
        let function = Function::of_name(&function)
            .ok_or_else(|| Error::new(ErrorKind::UnknownFunction, format!("no function {function}")))?;
        let relaxed = match function {
            Function::Equal | Function::NotEqual => None,
            Function::Includes | Function::Excludes if ty.is_scalar() => None,
            Function::Includes => Some(ty.with_bounds(0, ty.max())),
            Function::Excludes => Some(ty.with_bounds(0, u32::MAX)),
            Function::Less | Function::LessOrEqual | Function::GreaterOrEqual | Function::Greater => {
                let number = matches!(ty.key().kind(), AtomType::Integer | AtomType::Real);
                if !number || ty.value().is_some() || ty.max() != 1 {
                    let details = format!("column {name} of type {ty} cannot be ordered");
                    return Err(Error::syntax(details));
                }
                Some(ty.with_bounds(1, 1))
            }
        };
        let argument = Datum::decode(json, relaxed.as_ref().unwrap_or(ty), names)
            .map_err(|error| Error::from(error).within(format_args!("column {name}")))?;
        json.end_array().map_err(|_| form())?;
        Ok(Clause::Test { column, function, argument })
    }
}

pub(super) fn unknown_column(name: &str, schema: &TableSchema) -> Error {
    Error::new(ErrorKind::UnknownColumn, format!("no column {name} in table {}", schema.name()))
}

/// Clauses that must all hold.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// The clauses.
    pub clauses: Vec<Clause>,
}

impl Condition {
    /// Reads an array of clauses.
    pub(super) fn parse(
        text: &str,
        schema: &TableSchema,
        names: &mut dyn Names,
        texts: &mut TextCache,
    ) -> Result<Self, Error> {
        let mut json = Decoder::new(text, texts);
        let (mut clauses, mut first) = (Vec::new(), true);
        json.begin_array()?;
        while json.next_element(&mut first)? {
            clauses.push(Clause::decode(&mut json, schema, names)?);
        }
        json.end()?;
        Ok(Condition { clauses })
    }

    /// The row with this uuid.
    pub fn uuid_is(uuid: Uuid) -> Self {
        let argument = Datum::from(uuid);
        Condition { clauses: vec![Clause::Test { column: UUID_COLUMN, function: Function::Equal, argument }] }
    }

    /// Whether all clauses hold for the row.
    pub fn holds(&self, row: &Row) -> bool {
        self.clauses.iter().all(|clause| clause.holds(row))
    }

    fn equal_to(&self, column: usize) -> Option<&Datum> {
        self.clauses.iter().find_map(|clause| clause.equal_to(column))
    }

    /// The rows for which it holds, by uuid. An equality with `_uuid` or with an index's columns spares the search.
    pub fn select<'t>(&self, table: &'t Table) -> Vec<&'t Arc<Row>> {
        if let Some(uuid) = self.equal_to(UUID_COLUMN) {
            let uuid = uuid.as_scalar().and_then(Atom::as_uuid);
            return uuid.and_then(|uuid| table.get(uuid)).filter(|row| self.holds(row)).into_iter().collect();
        }
        let mut found: Vec<_> = match table.with_values(|column| self.equal_to(column)) {
            Some(uuids) => {
                uuids.iter().filter_map(|uuid| table.get(*uuid)).filter(|row| self.holds(row)).collect()
            }
            None => table.rows().filter(|row| self.holds(row)).collect(),
        };
        found.sort_unstable_by_key(|row| row.uuid());
        found
    }
}
