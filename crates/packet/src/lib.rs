//! Packets: headers to and from bytes, flow keys, builders of what a router answers with.
//!
//! Two halves, both free of state and of allocation until a frame is asked for as a vector:
//!
//! * reading: [`Packet::parse`] walks a frame once and never fails; it yields the [`FlowKey`] that OpenFlow matches on,
//!   and views of the datagram and the segment inside that leave out Ethernet padding;
//! * building: plain structs ([`Arp`], [`NeighborSolicit`], [`NeighborAdvert`], [`RouterAdvert`], [`IcmpError`],
//!   [`TcpReset`], [`Fragment`]) whose `emit` writes every byte of a buffer, whatever it held before. `emit` panics only if the buffer is shorter than
//!   `buffer_len()`.
//!
//! Which packets must never be answered with an error or a reset is decided here too ([`Unanswerable`]), so that no
//! caller can build such an answer.
#![forbid(unsafe_code)]

mod arp;
pub mod checksum;
mod compose;
mod ethernet;
mod flow_key;
mod fragment;
#[doc(hidden)]
pub mod fuzz;
mod hop;
mod icmp_error;
mod ip;
mod nd;
mod packet;
mod router_advert;
mod router_solicit;
mod sctp_abort;
mod tcp_reset;
mod unanswerable;

pub use arp::{Arp, ArpOp};
pub use ethernet::{EthHeader, VLAN_PRESENT, ethertype};
pub use flow_key::{FRAG_ANY, FRAG_LATER, FlowKey};
pub use fragment::{Fragment, Fragments, MTU_MIN_V4, Unfragmentable};
pub use hop::before_hop;
pub use icmp_error::{IcmpError, QUOTE_MAX_V4, QUOTE_MAX_V6, icmp4, icmp6};
pub use ip::{IpPair, ip_proto};
pub use nd::{NaFlags, NeighborAdvert, NeighborSolicit, is_valid_nd};
pub use packet::{Datagram, Packet};
pub use router_advert::{Preference, RA_OPTIONS_MAX, RaOptions, RouterAdvert};
pub use router_solicit::answer_solicit;
pub use sctp_abort::SctpAbort;
pub use tcp_reset::{TcpReset, tcp_flags};
pub use unanswerable::Unanswerable;

/// A frame of `len` bytes, all of which `emit` writes.
fn emitted(len: usize, emit: impl FnOnce(&mut [u8])) -> Vec<u8> {
    // Memory that has to be zero, as `vec![0; len]` asks for, is what glibc before 2.41 has no quick way to give.
    let mut frame: Vec<u8> = std::iter::repeat_n(0, len).collect();
    emit(&mut frame);
    frame
}
