//! Packets that the pipeline hands up, answered: requests for next hops, buffering, bindings, errors, resets.
//!
//! A logical action that OpenFlow cannot express becomes a `controller` action whose userdata starts with an opcode
//! ([`kiln_abi::opcodes`]). The packet comes up with the pipeline's state, and [`Responder`] answers it:
//!
//! ```text
//!               .--- packet_in ---> opcode? -> admitted? -> read -> answer/ARP, ND_NS, ICMP, ...
//!   switch -----|            (and paid for)                           |          |
//!               '<-- poll_output <--- made packets ------------------'          | packet and next hop
//!                        ^                                                      v
//!                        '---- paused packets, resumed <---- binding_known   unresolved
//!                                                                 ^
//!   southbound database <---- take_writes <---- learned <--- answer/PUT_ARP, PUT_ND, PUT_FDB
//! ```
//!
//! It knows no sockets, clock or randomness: time comes in with every call, messages and writes are taken out, and
//! [`Responder::deadline`] says when to come back. Every queue has a named bound, every packet that is dropped has a named
//! reason and a counter ([`Counters`]).
#![forbid(unsafe_code)]

mod advertise;
mod announce;
mod answer;
mod counters;
#[doc(hidden)]
pub mod fuzz;
mod learned;
mod metadata;
mod nested;
mod payment;
mod punt;
mod responder;
mod timetable;
mod unresolved;

pub use advertise::PeriodicAdvert;
pub use announce::{Announcement, FIRST_PAUSE, LAST_PAUSE, MAX_ANNOUNCEMENTS};
pub use counters::{Counters, DropReason, Event};
pub use kiln_budget::{Class, Level, Limits};
pub use learned::MAX_PENDING;
pub use responder::{Config, Load, MAX_FAILURES, MAX_OUTPUT, Neighbors, Responder, Write};
pub use unresolved::{
    Failure, HOLD_DOWN, MAX_NEXT_HOPS, MAX_PACKETS_PER_NEXT_HOP, MAX_QUERIES, MAX_WAIT, MAX_WAITING_BYTES,
    NextHop, QUERY_INTERVAL,
};
