//! Stock daemons run beside Kiln's, and what both made of the same input compared.
//!
//! A [`Lab`] is a folder with daemons in it: database servers, northds, chassis with a real `ovs-vswitchd` on a dummy
//! datapath, Kiln's or stock's, all on Unix sockets and all gone when it is dropped. It needs neither root nor a network
//! namespace. [`southbound`] and [`openflow`] bring what the daemons wrote into a form in which equal means equal,
//! [`accepted`] is the one list of differences that may stay, and [`figures`] keeps count of what was compared with whom,
//! for the table at the end of `./test`.
#![forbid(unsafe_code)]
// Daemons, files and the clock are what this crate is about.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod accepted;
mod chassis;
mod control;
mod database;
mod expression;
pub mod figures;
pub mod interpreter;
mod lab;
pub mod openflow;
pub mod southbound;
mod words;

pub use chassis::Chassis;
pub use control::Daemon;
pub use database::{Database, Row, Server};
pub use kiln_sandbox::Component;
pub use lab::{Lab, Whose, settled, wait_for};
pub use words::words;
