//! An OVSDB database in memory: what a server serves, and what tests and simulations run on (RFC 7047 sections 3 and 5,
//! with the extensions of ovsdb-server(7)).
//!
//! A [`Database`] holds rows and changes only by [`Transaction`]s. A transaction writes rows in place and keeps what they
//! were; [`Transaction::commit`] checks references, sizes and indexes of what was touched, and hands out the difference as a
//! [`Commit`], or puts everything back. [`Database::transact`] runs the operations of a `transact` request in one.
//!
//! Cost follows the size of the transaction: rows are found by uuid or by index where a condition allows it, and counts of
//! references are kept, never recomputed.

mod commit;
mod condition;
mod database;
mod error;
mod execute;
mod members;
mod mutation;
mod references;
mod symbols;
mod table;
mod transaction;

pub use commit::{Commit, RowChange};
pub use condition::{Clause, Condition, Function};
pub use database::{Database, Outcome};
pub use error::{Error, ErrorKind};
pub use mutation::{Mutation, Mutator};
pub use table::{Row, Table};
pub use transaction::Transaction;

pub(crate) use members::{Members, elements};
pub(crate) use symbols::random_uuid;

#[cfg(test)]
pub(crate) mod tests;
