//! Which rows of a table a monitor is about.

use kiln_types::{HashMap, HashSet};

use crate::engine::{Clause, Error, Function, Row};
use crate::json::{Decoder, TextCache};
use crate::schema::TableSchema;
use crate::value::Datum;

/// Clauses of which one must hold (ovsdb-server(7) section 4.1.12). Equalities, of which there may be thousands on one
/// column, are looked up and not tried one by one. Without any, no row passes.
#[derive(Debug, Default)]
pub(in crate::server) struct Filter {
    everything: bool,
    /// By column: the values that let a row pass.
    equal: HashMap<usize, HashSet<Datum>>,
    others: Vec<Clause>,
}

impl Filter {
    /// Lets the rows pass that `other` lets pass.
    pub(super) fn add(&mut self, other: Filter) {
        self.everything |= other.everything;
        for (column, values) in other.equal {
            self.equal.entry(column).or_default().extend(values);
        }
        self.others.extend(other.others);
    }

    /// Reads an array of clauses. An empty one stands for all rows.
    pub(super) fn parse(text: &str, schema: &TableSchema) -> Result<Self, Error> {
        let mut texts = TextCache::default();
        let mut json = Decoder::new(text, &mut texts);
        let mut filter = Filter::default();
        let mut first = true;
        json.begin_array()?;
        while json.next_element(&mut first)? {
            match Clause::decode(&mut json, schema, &mut ())? {
                Clause::Constant(constant) => filter.everything |= constant,
                Clause::Test { column, function: Function::Equal, argument } => {
                    filter.equal.entry(column).or_default().insert(argument);
                }
                clause @ Clause::Test { .. } => filter.others.push(clause),
            }
        }
        json.end()?;
        // still true if there was no element
        filter.everything |= first;
        Ok(filter)
    }

    /// Whether the monitor is about this row.
    pub(super) fn holds(&self, row: &Row) -> bool {
        self.everything
            || self.equal.iter().any(|(column, values)| values.contains(row.get(*column)))
            || self.others.iter().any(|clause| clause.holds(row))
    }
}
