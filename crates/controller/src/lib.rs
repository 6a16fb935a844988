//! The chassis compiler: rows of OVN_Southbound and of the local Open_vSwitch in, OpenFlow and reports out
//! (ovn-controller(8)).
//!
//! [`Compiler`] holds both databases' replicas and the tables between them. [`Compiler::settle`] brings everything up to
//! date: what the switch is to hold ([`desired`]), which rows of the southbound database are needed, and what both
//! databases lack. [`install`] brings a switch up to what is desired.
//!
//! A file is a topic that an operator knows; its rules stand in the order in which they run. `rules` lists them all.
#![forbid(unsafe_code)]

mod address_set;
mod advertise;
mod announce;
mod binding;
mod binding_limits;
mod binding_writes;
mod bindings;
mod bridge;
mod changes;
mod chassis;
mod compiler;
mod conditions;
mod conjunction;
mod ct_limit;
mod ct_zone;
pub mod daemon;
pub mod desired;
pub mod features;
mod gateway;
mod hold_down;
mod index;
pub mod install;
mod installed;
mod learned;
mod logical_flow;
mod monitored;
mod multichassis;
mod names;
mod neighbor;
mod outstanding;
mod physical;
mod port;
mod reach;
mod resources;
mod restore_wait;
mod rules;
mod settings;
mod tables;
mod tunnel;

pub use binding::{PortKind, Residence};
pub use chassis::Progress;
pub use compiler::Compiler;
pub use monitored::southbound_columns;
pub use port::{Delivery, LocalPort, Zones};
pub use settings::{EncapKind, Settings};
pub use tables::{Db, Facts};
