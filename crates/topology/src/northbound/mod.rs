//! A network as rows of the northbound database: those that should be, those that are, and the way from these to those.

mod desired;
mod plan;
mod replica;
mod row;
mod show;
mod table;
mod value;
mod write;

pub use plan::{Change, ChangeKind, Conflict, Conflicts, Op, Plan, plan};
pub use row::{Atom, Datum, Northbound, Row};
pub use table::Table;
