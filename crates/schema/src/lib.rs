//! What the typed schemas share: the [`database!`] macro, which turns one declaration a table into a typed row, a view
//! whose reads are recorded, a replica, and the schema file.
#![forbid(unsafe_code)]

pub mod decl;
mod facet;
mod macros;
mod refetch;
mod write;

pub use facet::Facet;
pub use kiln_incr as incr;
pub use kiln_ovsdb as ovsdb;
pub use kiln_types::Uuid;
pub use refetch::Refetch;
pub use write::{Columns, RowView, TypedRow, update_columns};

/// The number of the column with this identifier, for the macro.
///
/// # Panics
/// If there is none.
pub const fn column_number(columns: &[decl::ColumnDecl], identifier: &'static str) -> u16 {
    let name = decl::column_name(identifier).as_bytes();
    let mut at = 0;
    while at < columns.len() {
        if same(columns[at].name.as_bytes(), name) {
            return at as u16;
        }
        at += 1;
    }
    panic!("no such column")
}

const fn same(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}
