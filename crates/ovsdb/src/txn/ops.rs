//! The operations that name a table, each a small builder that writes into its transaction.

use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use kiln_types::Uuid;

use super::{Missing, Txn};
use crate::client::offered::OfferedTable;
use crate::column::Encode;
use crate::json::write_string;

/// `insert` (RFC 7047 section 5.2.1).
#[derive(Debug)]
pub struct Insert;
/// `select` (section 5.2.2).
#[derive(Debug)]
pub struct Select;
/// `update` (section 5.2.3).
#[derive(Debug)]
pub struct Update;
/// `mutate` (section 5.2.4).
#[derive(Debug)]
pub struct Mutate;
/// `delete` (section 5.2.5).
#[derive(Debug)]
pub struct Delete;
/// `wait` (section 5.2.6).
#[derive(Debug)]
pub struct Wait;

/// A kind of operation: how its text begins, where its columns go, and how it ends.
pub trait Kind {
    #[doc(hidden)]
    const OP: &'static str;
    /// What opens and closes the list that columns, mutations or names are written to.
    #[doc(hidden)]
    const LIST: (&'static str, &'static str);
}

/// Operations with conditions.
pub trait Filtered: Kind {}

impl Kind for Insert {
    const OP: &'static str = "insert";
    const LIST: (&'static str, &'static str) = (",\"row\":{", "}");
}
impl Kind for Select {
    const OP: &'static str = "select";
    const LIST: (&'static str, &'static str) = (",\"columns\":[", "]");
}
impl Kind for Update {
    const OP: &'static str = "update";
    const LIST: (&'static str, &'static str) = (",\"row\":{", "}");
}
impl Kind for Mutate {
    const OP: &'static str = "mutate";
    const LIST: (&'static str, &'static str) = (",\"mutations\":[", "]");
}
impl Kind for Delete {
    const OP: &'static str = "delete";
    const LIST: (&'static str, &'static str) = ("", "");
}
impl Kind for Wait {
    const OP: &'static str = "wait";
    const LIST: (&'static str, &'static str) = (",\"timeout\":0,\"until\":\"==\",\"rows\":[", "]");
}
impl Filtered for Select {}
impl Filtered for Update {}
impl Filtered for Mutate {}
impl Filtered for Delete {}
impl Filtered for Wait {}

/// How a condition compares (RFC 7047 section 5.1, `<function>`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// `<`
    Less,
    /// `<=`
    LessOrEqual,
    /// `==`
    Equal,
    /// `!=`
    NotEqual,
    /// `>=`
    GreaterOrEqual,
    /// `>`
    Greater,
    /// `includes`
    Includes,
    /// `excludes`
    Excludes,
}

impl Function {
    /// The function's name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Function::Less => "<",
            Function::LessOrEqual => "<=",
            Function::Equal => "==",
            Function::NotEqual => "!=",
            Function::GreaterOrEqual => ">=",
            Function::Greater => ">",
            Function::Includes => "includes",
            Function::Excludes => "excludes",
        }
    }
}

/// Appends `["column","function",value]`.
pub(crate) fn write_condition<V: Encode + ?Sized>(
    out: &mut String,
    column: &str,
    function: Function,
    value: &V,
) {
    out.push('[');
    write_string(out, column);
    out.push_str(",\"");
    out.push_str(function.as_str());
    out.push_str("\",");
    value.encode(out);
    out.push(']');
}

/// An operation being written; finished when dropped.
pub struct Op<'t, K: Kind> {
    txn: &'t mut Txn,
    table: &'t str,
    /// What the server has of the table; `None` if it is taken to have everything.
    offered: Option<Arc<OfferedTable>>,
    /// Where its text begins.
    start: usize,
    /// Cannot be carried out on this server.
    moot: bool,
    /// The list of columns is still to be opened.
    first: bool,
    kind: PhantomData<K>,
}

impl<K: Kind> fmt::Debug for Op<'_, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Op").field("op", &K::OP).field("table", &self.table).finish_non_exhaustive()
    }
}

impl Txn {
    /// Inserts a row; columns that are not set get their type's default.
    pub fn insert<'t>(&'t mut self, table: &'t str) -> Op<'t, Insert> {
        self.op(table)
    }

    /// Sets columns of the rows that match.
    pub fn update<'t>(&'t mut self, table: &'t str) -> Op<'t, Update> {
        self.op(table)
    }

    /// Changes columns of the rows that match, element by element.
    pub fn mutate<'t>(&'t mut self, table: &'t str) -> Op<'t, Mutate> {
        self.op(table)
    }

    /// Deletes the rows that match.
    pub fn delete<'t>(&'t mut self, table: &'t str) -> Op<'t, Delete> {
        self.op(table)
    }

    /// Fails the transaction, as `timed out`, unless the rows that match are what is said, now.
    pub fn wait<'t>(&'t mut self, table: &'t str) -> Op<'t, Wait> {
        self.columns.clear();
        self.op(table)
    }

    /// Asks for columns of the rows that match.
    pub fn select<'t>(&'t mut self, table: &'t str) -> Op<'t, Select> {
        self.op(table)
    }

    fn op<'t, K: Kind>(&'t mut self, table: &'t str) -> Op<'t, K> {
        self.conditions.clear();
        let start = self.params.len();
        let offered = self.offered.as_ref().and_then(|schema| schema.table(table)).cloned();
        let moot = self.offered.is_some() && offered.is_none();
        if moot {
            self.missing.push(Missing { table: table.into(), column: None, value: None });
        }
        self.params.push_str(",{\"op\":\"");
        self.params.push_str(K::OP);
        self.params.push_str("\",\"table\":");
        write_string(&mut self.params, table);
        Op { txn: self, table, offered, start, moot, first: true, kind: PhantomData }
    }
}

impl<K: Kind> Op<'_, K> {
    /// The index of this operation's result.
    pub fn index(&self) -> usize {
        self.txn.len
    }

    /// Whether `column` can be written; notes it if the server does not have it.
    fn offered(&mut self, column: &str) -> bool {
        let has = !self.moot && self.offered.as_ref().is_none_or(|table| table.has_column(column));
        if !has && !self.moot {
            self.miss(column, None);
        }
        has
    }

    fn miss(&mut self, column: &str, value: Option<Box<str>>) {
        self.txn.missing.push(Missing { table: self.table.into(), column: Some(column.into()), value });
    }

    /// Opens the list, or separates from the item before.
    fn item(&mut self) -> &mut String {
        let first = std::mem::take(&mut self.first);
        let out = &mut self.txn.params;
        out.push_str(if first { K::LIST.0 } else { "," });
        out
    }

    fn member<V: Encode + ?Sized>(&mut self, column: &str, value: &V) {
        if self.moot {
            return;
        }
        // Most columns may hold anything: one look-up does for them.
        let limited = self.offered.as_ref().map_or(Some(false), |table| table.is_limited(column));
        let Some(limited) = limited else { return self.miss(column, None) };
        let (start, first) = (self.txn.params.len(), self.first);
        let out = self.item();
        write_string(out, column);
        out.push(':');
        let value_start = out.len();
        value.encode(out);
        let refuse = |table: &Arc<OfferedTable>| table.refused(column, &self.txn.params[value_start..]);
        let refused = self.offered.as_ref().filter(|_| limited).and_then(refuse);
        if refused.is_some() {
            self.txn.params.truncate(start);
            self.first = first;
            // The default, which a new row would get instead, is no value of such a column either.
            self.moot |= K::OP == Insert::OP;
            self.miss(column, refused);
        }
    }
}

impl<K: Filtered> Op<'_, K> {
    /// Only the row with this uuid.
    pub fn row(&mut self, uuid: Uuid) -> &mut Self {
        self.filter("_uuid", Function::Equal, &uuid)
    }

    /// Only rows for which this holds too.
    pub fn filter<V: Encode + ?Sized>(&mut self, column: &str, function: Function, value: &V) -> &mut Self {
        if !self.offered(column) {
            self.moot = true;
            return self;
        }
        let out = &mut self.txn.conditions;
        if !out.is_empty() {
            out.push(',');
        }
        write_condition(out, column, function, value);
        self
    }
}

impl Op<'_, Insert> {
    /// Chooses the new row's uuid (ovsdb-server(7) section 5.2.1; servers from 2.13 on).
    pub fn uuid(&mut self, uuid: Uuid) -> &mut Self {
        debug_assert!(self.first, "before the first column");
        self.txn.params.push_str(",\"uuid\":\"");
        self.txn.params.push_str(uuid.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
        self.txn.params.push('"');
        self
    }

    /// Names the new row for [`crate::column::Ref::Named`] within the transaction; the name is an `<id>`.
    pub fn uuid_name(&mut self, name: &str) -> &mut Self {
        debug_assert!(self.first, "before the first column");
        self.txn.params.push_str(",\"uuid-name\":");
        write_string(&mut self.txn.params, name);
        self
    }

    /// Sets a column.
    pub fn set<V: Encode + ?Sized>(&mut self, column: &str, value: &V) -> &mut Self {
        self.member(column, value);
        self
    }
}

impl Op<'_, Update> {
    /// Sets a column.
    pub fn set<V: Encode + ?Sized>(&mut self, column: &str, value: &V) -> &mut Self {
        self.member(column, value);
        self
    }
}

impl Op<'_, Select> {
    /// Asks for a column; without any, all are sent.
    pub fn column(&mut self, column: &str) -> &mut Self {
        if self.offered(column) {
            write_string(self.item(), column);
        }
        self
    }
}

impl Op<'_, Mutate> {
    /// Puts elements into a set, or pairs into a map whose keys are not there yet; `["a","b"]`, or
    /// [`crate::column::Pairs`]. A key that is there keeps its value: [`Self::delete`] it first, in the same operation.
    pub fn put<V: Encode + ?Sized>(&mut self, column: &str, elements: &V) -> &mut Self {
        self.mutation(column, "insert", elements)
    }

    /// Removes elements of a set; keys, or pairs whose value is equal too, of a map.
    pub fn delete<V: Encode + ?Sized>(&mut self, column: &str, elements: &V) -> &mut Self {
        self.mutation(column, "delete", elements)
    }

    /// Adds to an integer or real, or to each of a set of them.
    pub fn add<V: Encode + ?Sized>(&mut self, column: &str, amount: &V) -> &mut Self {
        self.mutation(column, "+=", amount)
    }

    /// Any mutator of section 5.1: `+=`, `-=`, `*=`, `/=`, `%=`, `insert`, `delete`.
    pub fn mutation<V: Encode + ?Sized>(&mut self, column: &str, mutator: &str, value: &V) -> &mut Self {
        if self.offered(column) {
            let out = self.item();
            out.push('[');
            write_string(out, column);
            out.push(',');
            write_string(out, mutator);
            out.push(',');
            value.encode(out);
            out.push(']');
        }
        self
    }
}

impl Op<'_, Wait> {
    /// The one row that matches has this value. Without any such call, no row may match.
    pub fn expect<V: Encode + ?Sized>(&mut self, column: &str, value: &V) -> &mut Self {
        if self.offered(column) {
            self.column(column);
            let first = self.first;
            let out = self.item();
            if first {
                out.push('{');
            }
            write_string(out, column);
            out.push(':');
            value.encode(out);
        }
        self
    }

    fn column(&mut self, column: &str) {
        let out = &mut self.txn.columns;
        if !out.is_empty() {
            out.push(',');
        }
        write_string(out, column);
    }
}

impl<K: Kind> Drop for Op<'_, K> {
    fn drop(&mut self) {
        let txn = &mut *self.txn;
        if self.moot {
            txn.params.truncate(self.start);
            txn.comment(&format!("left out: {} {}", K::OP, self.table));
            return;
        }
        txn.effective += usize::from(!self.first || (K::OP != Update::OP && K::OP != Mutate::OP));
        let (open, close) = K::LIST;
        let wait = K::OP == Wait::OP;
        let select_all = K::OP == Select::OP && self.first;
        if !select_all {
            if self.first {
                txn.params.push_str(open);
            } else if wait {
                txn.params.push('}');
            }
            txn.params.push_str(close);
        }
        if wait {
            txn.params.push_str(",\"columns\":[");
            // a wait for the absence of rows compares no column but must name one
            txn.params.push_str(if txn.columns.is_empty() { "\"_uuid\"" } else { &txn.columns });
            txn.params.push(']');
        }
        if K::OP != Insert::OP {
            txn.params.push_str(",\"where\":[");
            txn.params.push_str(&txn.conditions);
            txn.params.push(']');
        }
        txn.params.push('}');
        txn.len += 1;
    }
}
