//! A client's session with one database of one server: keeps a [`Replica`](crate::row::Replica) of what it monitors, sends
//! transactions, holds a lock. Free of I/O: bytes and the time go in, bytes and events come out.
//!
//! ```text
//!               handle_connected                 _Server is monitored, or unknown
//! Disconnected ------------------> ServerAwaited --------------------------------> SchemaAwaited
//!      ^                                 ^                                               |
//!      | handle_disconnected, or         | monitor_canceled                              v
//!      | Event::Close                    +----------------- Synced <-------------- MonitorAwaited
//!      +---- from anywhere                                             its reply   (monitor_cond_since, then
//!                                                                                   monitor_cond, then monitor)
//! ```
//!
//! The replica outlives connections: on a reconnect the session asks for what happened since the last transaction it
//! saw (ovsdb-server(7) section 4.1.15), and where the server cannot say, fetches everything between
//! `begin_refetch` and `end_refetch`.

mod conditions;
mod config;
mod event;
mod handshake;
mod in_flight;
mod link;
mod lock;
pub mod offered;
mod server_db;
mod session;
mod updates;

pub use config::{Condition, Rows, Select, SessionConfig, TableMonitor};
pub use event::{CloseReason, Event, MonitorMethod, Outcome, Stats, TxnId};
pub use in_flight::InFlight;
pub use link::Link;
pub use offered::OfferedSchema;
pub use server_db::{DatabaseInfo, Model};
pub use session::{Session, Stage};
