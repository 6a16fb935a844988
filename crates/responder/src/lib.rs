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
//!
//! Where a router learns only what it asked for ([`Learning::Tracked`]), queries are written as bindings without an address, for
//! the chassis that sees the answer; an answer whose query is not seen yet waits for it. [`Renewal`] keeps track of
//! neighbours that expire, and asks those in use in time.
#![forbid(unsafe_code)]

mod advertise;
mod announce;
mod answer;
mod counters;
mod drops;
#[doc(hidden)]
pub mod fuzz;
mod learned;
mod metadata;
mod moves;
mod nested;
mod payment;
mod probe;
mod punt;
mod reachability;
mod renewal;
mod responder;
mod rewrite;
mod shares;
mod timetable;
mod unresolved;

pub use advertise::{PeriodicAdvert, Reach};
pub use announce::{Announcement, FIRST_PAUSE, LAST_PAUSE, MAX_ANNOUNCEMENTS};
pub use counters::{Counters, DropReason, Event};
pub use drops::{Drops, MAX_DROP_PORTS};
pub use kiln_budget::{Class, Level, Limits};
pub use learned::MAX_PENDING;
pub use moves::{MAX_MOVES, MOVE_BURST, MOVE_INTERVAL};
pub use probe::Probe;
pub use renewal::{Counted, Heard, Renewal, Use};
pub use responder::{
    ANSWER_LIFETIME, Config, Learning, Load, MAX_EARLY, MAX_EARLY_WAIT, MAX_FAILURES, MAX_LOGS, MAX_OUTPUT,
    Neighbors, Responder, Write,
};
pub use unresolved::{
    Failure, HOLD_DOWN, MAX_FRAGMENTS_PER_NEXT_HOP, MAX_NEXT_HOPS, MAX_PACKETS_PER_NEXT_HOP, MAX_QUERIES,
    MAX_WAIT, MAX_WAITING_BYTES, NextHop, QUERY_INTERVAL,
};
