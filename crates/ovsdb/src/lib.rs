//! OVSDB (RFC 7047 and the extensions of ovsdb-server(7)): a typed column codec, transactions, client sessions that
//! keep a replica, and an engine with server sessions. Nothing here owns a socket, a clock or a thread.
#![forbid(unsafe_code)]

pub mod client;
pub mod column;
pub mod engine;
pub mod frame;
#[doc(hidden)]
pub mod fuzz;
pub mod json;
pub mod jsonrpc;
pub mod reconnect;
pub mod remote;
pub mod row;
pub mod schema;
pub mod server;
pub mod txn;
pub mod value;

pub use column::{Column, Encode, Map, Ref, Scalar, Set, Text};
pub use row::{Replica, RowDecoder, RowError};
