//! The northbound compiler: rows of OVN_Northbound in, rows of OVN_Southbound out (ovn-northd(8)).
//!
//! [`Compiler`] holds both databases' replicas and the tables between them; [`Compiler::settle`] brings everything up to
//! date and [`Compiler::southbound`] writes what the southbound database still lacks into a transaction.
//!
//! A file is a topic that an operator knows; its rules stand in the order of the pipeline. [`rules`] lists them all.
#![forbid(unsafe_code)]

mod acl_id;
mod address_set;
pub mod addresses;
mod compiler;
mod copp;
pub mod daemon;
mod datapath;
mod drops;
mod expiry;
mod features;
mod flow;
mod global;
mod index;
mod ip_multicast;
mod ipam;
mod keys;
mod l3_defaults;
mod matches;
mod meter;
mod monitored;
mod multicast;
mod name;
mod outstanding;
mod port_binding;
mod port_group;
mod router;
mod rules;
mod static_rows;
mod switch;
mod tables;
mod tag;
mod template_var;

pub use compiler::{Compiler, SouthboundReplica};
pub use flow::{Flow, FlowTable, flow_uuid};
pub use monitored::{northbound_columns, southbound_columns};
pub use name::PortName;
pub use tables::Db;
