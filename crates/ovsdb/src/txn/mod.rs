//! Transactions, written straight to their JSON text (RFC 7047 section 5.2), and what a server answers them with.
//!
//! ```
//! use kiln_ovsdb::column::{Pairs, Ref};
//! use kiln_ovsdb::txn::{Txn, Function};
//! use kiln_types::Uuid;
//!
//! # let (chassis, port) = (Uuid::nil(), Uuid::nil());
//! let mut txn = Txn::new("OVN_Southbound");
//! txn.comment("claim lp1");
//! txn.insert("Encap").uuid_name("e").set("type", "geneve").set("ip", "192.0.2.1");
//! txn.update("Chassis").row(chassis).set("encaps", &[Ref::Named("e")]).set("nb_cfg", &3);
//! txn.mutate("Port_Binding").row(port).put("options", &Pairs(&[("a", "b")])).delete("external_ids", &["k"]);
//! txn.delete("MAC_Binding").filter("logical_port", Function::Equal, "lp1");
//! assert_eq!(txn.len(), 5);
//! ```

mod ops;
mod result;

use std::fmt::Debug;
use std::sync::Arc;

pub(crate) use ops::write_condition;
pub use ops::{Delete, Filtered, Function, Insert, Mutate, Op, Select, Update, Wait};
pub use result::{ErrorClass, OpError, OpResult, TxnReply, decode_rows};

use crate::client::offered::OfferedSchema;
use crate::column::Encode;
use crate::json::write_string;

/// A table, column or value that was left out because the server's schema does not have it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Missing {
    /// The table.
    pub table: Box<str>,
    /// The column, or `None` if the whole table is missing.
    pub column: Option<Box<str>>,
    /// What the column may not hold, or `None` if the whole column is missing.
    pub value: Option<Box<str>>,
}

impl std::fmt::Display for Missing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(value) = &self.value {
            write!(f, "{value} in ")?;
        }
        match &self.column {
            Some(column) => write!(f, "column {column} of table {}", self.table),
            None => write!(f, "table {}", self.table),
        }
    }
}

/// A tail is written in pieces of at least this many bytes.
const PIECE_BYTES: usize = 64 << 10;

/// The operations at the end of a transaction that is too long to be held as text.
pub trait Tail: Debug + Send {
    /// How many operations are left.
    fn len(&self) -> usize;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes the next operation.
    fn write_next(&mut self, txn: &mut Txn);
}

/// A transaction being written. Operations are done in the order in which they are added, all or none.
///
/// An operation is finished when the value that [`Txn::insert`] and the others return is dropped. One that the server cannot
/// know, because its table or a column of its conditions is missing there, is replaced by a comment, so that every
/// operation's result stands where it was added.
#[derive(Debug)]
pub struct Txn {
    /// `["DB",{…},{…}`, as far as it was not taken yet.
    params: String,
    len: usize,
    /// Those of `len` that change something, or ask.
    effective: usize,
    /// What follows.
    tail: Option<Box<dyn Tail>>,
    /// An operation's `where`, and a wait's `columns`, while its row is written.
    conditions: String,
    columns: String,
    offered: Option<Arc<OfferedSchema>>,
    missing: Vec<Missing>,
}

impl Txn {
    /// An empty transaction on database `db`, for a server that has every column.
    pub fn new(db: &str) -> Self {
        let mut params = String::with_capacity(1024);
        params.push('[');
        write_string(&mut params, db);
        Txn {
            params,
            len: 0,
            effective: 0,
            tail: None,
            conditions: String::new(),
            columns: String::new(),
            offered: None,
            missing: Vec::new(),
        }
    }

    /// An empty transaction on database `db`, for a server with this schema.
    pub fn for_schema(db: &str, offered: Arc<OfferedSchema>) -> Self {
        Txn { offered: Some(offered), ..Txn::new(db) }
    }

    /// Number of operations, which is the index of the next one's result.
    pub fn len(&self) -> usize {
        self.len + self.tail.as_ref().map_or(0, |tail| tail.len())
    }

    /// Whether there are no operations.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether nothing would come of it: comments, assertions, and operations of which nothing is left on this server.
    pub fn is_moot(&self) -> bool {
        self.effective == 0 && self.tail.is_none()
    }

    /// Ends the transaction with operations that are written when they are sent.
    pub fn finish_with(&mut self, tail: Box<dyn Tail>) {
        debug_assert!(self.tail.is_none(), "nothing follows a tail");
        self.tail = Some(tail).filter(|tail| !tail.is_empty());
    }

    /// What was left out because the server does not have it.
    pub fn missing(&self) -> &[Missing] {
        &self.missing
    }

    /// The request's `params`: `["DB", <operation>*]`.
    pub fn into_params(mut self) -> String {
        let mut params = String::new();
        while let Some(piece) = self.take_piece() {
            params.push_str(&piece);
        }
        params.push(']');
        params
    }

    /// The next piece of the text, all but the last bracket.
    pub(crate) fn take_piece(&mut self) -> Option<String> {
        while self.params.len() < PIECE_BYTES
            && let Some(mut tail) = self.tail.take()
        {
            if self.params.is_empty() {
                self.params.reserve(PIECE_BYTES + PIECE_BYTES / 8);
            }
            tail.write_next(self);
            self.tail = Some(tail).filter(|tail| !tail.is_empty());
        }
        Some(std::mem::take(&mut self.params)).filter(|piece| !piece.is_empty())
    }

    /// Whether part of it is still to be written.
    pub(crate) fn has_tail(&self) -> bool {
        self.tail.is_some()
    }

    /// A comment for the server's log (section 5.2.9).
    pub fn comment(&mut self, comment: &str) {
        self.plain("comment", "comment", comment);
    }

    /// Fails the transaction unless this client holds the lock (section 5.2.10).
    pub fn assert_lock(&mut self, lock: &str) {
        self.plain("assert", "lock", lock);
    }

    /// Aborts the transaction (section 5.2.8): for tests, and for asking whether it would pass.
    pub fn abort(&mut self) {
        self.params.push_str(",{\"op\":\"abort\"}");
        self.len += 1;
        self.effective += 1;
    }

    fn plain(&mut self, op: &str, member: &str, value: &str) {
        self.params.push_str(",{\"op\":\"");
        self.params.push_str(op);
        self.params.push_str("\",\"");
        self.params.push_str(member);
        self.params.push_str("\":");
        value.encode(&mut self.params);
        self.params.push('}');
        self.len += 1;
    }
}

#[cfg(test)]
mod tests;
