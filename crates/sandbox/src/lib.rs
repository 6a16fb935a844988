//! Chassis, hosts and underlay in network namespaces, probes and their table.
//!
//! [`up`] makes a network file real on one machine: every chassis is a network namespace with a real `ovs-vswitchd`
//! (userspace datapath), a database of its own and a controller; every host is a namespace behind a port; a namespace
//! between them carries the tunnels and holds the northbound and southbound databases and northd. Which release each
//! part comes from is a [`Settings`]' choice. [`Sandbox::probe`] sends what the file asks for and says what came back.
//! Nothing is left when a [`Sandbox`] is dropped, and [`down`] removes what a crash left.
#![forbid(unsafe_code)]
// Layer 4: files, sockets, processes and the clock are what this crate is about.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]
// These panic when nobody takes what is printed; `kiln_runtime::terminal` does not.
#![warn(clippy::print_stdout, clippy::print_stderr)]

mod chassis;
pub mod cli;
mod command;
mod error;
mod host;
mod namespace;
mod northbound;
mod ovsdb;
mod peers;
mod probe;
mod process;
mod progress;
mod sandbox;
mod settings;
mod state;
mod underlay;
mod wait;

pub use chassis::Chassis;
pub use error::Error;
pub use host::Host;
pub use namespace::Namespace;
pub use peers::{Component, Peers};
pub use probe::{Row, Table};
pub use process::Daemon;
pub use progress::Progress;
pub use sandbox::{Sandbox, down, up};
pub use settings::{PerChassis, Settings};
