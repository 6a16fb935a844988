//! Actions: what a flow does with packets (OpenFlow 1.5.1, section 7.2.6; ovs-actions(7)).
//!
//! [`Action`] is the form to work with. [`Actions`], a list of them, is kept in the very bytes in which OpenFlow 1.5
//! carries it, so that lists are small, compare as bytes, and are encoded by copying.

mod bundle;
mod controller;
mod ct;
mod decode;
mod encode;
mod learn;
mod list;
mod sample;

use crate::field::{Field, FieldValue, Subfield};
use kiln_types::OfPort;

pub use bundle::{Bundle, Multipath};
pub use controller::Controller;
pub use ct::{Ct, CtZone, Nat, NatRange};
pub(crate) use decode::list_from_wire;
pub use learn::{Learn, LearnDst, LearnSpec, LearnSrc};
pub use list::{Actions, Iter};
pub use sample::{Sample, SampleArg};

/// How deep actions may nest inside `clone` and `ct`.
pub const MAX_NESTING: usize = 16;

/// One action.
///
/// Spellings of other versions and older Nicira forms are read into the one that OpenFlow 1.5 writes: a register load
/// is a `SetField` under a mask, a register move a `CopyField`, `resubmit` without a table one with the same table.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Sends the packet to a port. `max_len` is how much of it goes to a controller, and has no meaning elsewhere.
    Output {
        /// Where to.
        port: OfPort,
        /// Bytes for the controller; 0xffff is all of them.
        max_len: u16,
    },
    /// Sends at most `max_len` bytes of the packet to a port (Nicira 39).
    OutputTrunc {
        /// Where to.
        port: OfPort,
        /// Bytes.
        max_len: u32,
    },
    /// Sends the packet to the port whose number is in a field (Nicira 15 and 32).
    OutputReg {
        /// Where the port number is.
        src: Subfield,
        /// Bytes for the controller.
        max_len: u16,
    },
    /// Executes a group.
    Group(u32),
    /// Chooses the queue of later outputs.
    SetQueue(u32),
    /// Undoes `SetQueue` (Nicira 5).
    PopQueue,
    /// Passes the packet through a meter.
    Meter(u32),
    /// Pushes a VLAN tag of this Ethernet type.
    PushVlan(u16),
    /// Pops the outermost VLAN tag.
    PopVlan,
    /// Pushes an MPLS label stack entry of this Ethernet type.
    PushMpls(u16),
    /// Pops the outermost MPLS label stack entry; the packet then has this Ethernet type.
    PopMpls(u16),
    /// Pushes a provider backbone service tag of this Ethernet type, behind addresses that are copies of the frame's. Open
    /// vSwitch does not have it.
    PushPbb(u16),
    /// Pops the outermost provider backbone service tag, and what is in front of it. Open vSwitch does not have it.
    PopPbb,
    /// Sets the MPLS TTL.
    SetMplsTtl(u8),
    /// Decrements the MPLS TTL.
    DecMplsTtl,
    /// Copies the TTL outwards.
    CopyTtlOut,
    /// Copies the TTL inwards.
    CopyTtlIn,
    /// Sets the IP TTL.
    SetNwTtl(u8),
    /// Decrements the IP TTL; a packet whose TTL runs out goes to the controllers with id 0.
    DecTtl,
    /// Decrements the IP TTL; a packet whose TTL runs out goes to the controllers of these ids, of which there may be
    /// none (Nicira 21).
    DecTtlCntIds(Box<[u16]>),
    /// Writes bits of a field.
    SetField(FieldValue),
    /// Copies bits from a field to another. Both runs have the same number of bits.
    CopyField {
        /// From where.
        src: Subfield,
        /// To where.
        dst: Subfield,
    },
    /// Pushes bits of a field onto the stack (Nicira 27).
    StackPush(Subfield),
    /// Pops bits of a field from the stack (Nicira 28).
    StackPop(Subfield),
    /// Looks the packet up again and executes what is found in place (Nicira 14, 44).
    Resubmit {
        /// The ingress port for the look-up; [`OfPort::IN_PORT`] keeps it.
        port: OfPort,
        /// The table; `None` is the table of this flow.
        table: Option<u8>,
        /// Whether addresses and ports of the connection's original direction are looked up instead of the packet's.
        ct: bool,
    },
    /// Sends the packet to a controller, with more than `Output` can say (Nicira 20 and 37).
    Controller(Box<Controller>),
    /// Sends the packet through the connection tracker (Nicira 35).
    Ct(Box<Ct>),
    /// Translates addresses; only inside `Ct` (Nicira 36).
    Nat(Box<Nat>),
    /// Forgets the packet's connection (Nicira 43).
    CtClear,
    /// Executes actions on a copy of the packet and of the pipeline's state (Nicira 42).
    Clone(Actions),
    /// Adds a flow made from the packet (Nicira 16, 45).
    Learn(Box<Learn>),
    /// Says that the flow is a clause of a conjunction (Nicira 34).
    Conjunction {
        /// The conjunction.
        id: u32,
        /// Which clause, from 0.
        clause: u8,
        /// How many clauses there are, 2 to 64.
        n_clauses: u8,
    },
    /// Writes whether the frame is longer than `pkt_len` bytes into a bit (Nicira 49).
    CheckPktLarger {
        /// Bytes, the Ethernet header counted.
        pkt_len: u16,
        /// The bit that is written.
        dst: Subfield,
    },
    /// Samples packets for IPFIX (Nicira 29, 38, 41, 51).
    Sample(Box<Sample>),
    /// Outputs to one of several ports, or loads its number (Nicira 12, 13).
    Bundle(Box<Bundle>),
    /// Hashes the packet into a field (Nicira 10).
    Multipath(Box<Multipath>),
    /// Ends the actions (Nicira 17).
    Exit,
    /// Shortens the flow's timeouts when TCP ends (Nicira 19).
    FinTimeout {
        /// Idle timeout in seconds.
        idle_s: u16,
        /// Hard timeout in seconds.
        hard_s: u16,
    },
    /// Writes metadata under a mask (Nicira 22, where there is no instruction for it).
    WriteMetadata {
        /// The value.
        value: u64,
        /// The bits that are written.
        mask: u64,
    },
    /// Does nothing (Nicira 8). Its length is that of the padded action, so zeros may follow what was written.
    Note(Box<[u8]>),
    /// Removes a tunnel option (Nicira 50).
    DeleteField(Field),
    /// Adds a header of this packet type in front (Nicira 46).
    Encap {
        /// The header's size, 0 for the default.
        hdr_size: u16,
        /// Namespace in the upper 16 bits, type in the lower.
        packet_type: u32,
        /// Properties as they are on the wire, padded.
        properties: Box<[u8]>,
    },
    /// Removes the outermost header; the packet then has this type, 0xfffe asking to find out (Nicira 47).
    Decap(u32),
    /// Decrements the NSH TTL (Nicira 48).
    DecNshTtl,
    /// Has the packet go through the datapath once more (Nicira 255). Only a switch that was started for tests takes it.
    DebugRecirc,
    /// Has the packet handled by the switch itself, not its datapath (Nicira 254), likewise.
    DebugSlow,
    /// What is not known here, as it is on the wire, its header included.
    Unknown(Box<[u8]>),
}

impl Action {
    /// `output:PORT` to a switch port.
    pub fn output(port: OfPort) -> Action {
        Action::Output { port, max_len: if port == OfPort::CONTROLLER { u16::MAX } else { 0 } }
    }

    /// `resubmit(,TABLE)`.
    pub fn resubmit(table: u8) -> Action {
        Action::Resubmit { port: OfPort::IN_PORT, table: Some(table), ct: false }
    }

    /// Writes a whole field.
    pub fn set_field(field: Field, value: impl Into<u128>) -> Action {
        Action::SetField(FieldValue::exact(field, value.into()))
    }

    /// Writes a run of bits.
    pub fn load(dst: Subfield, value: impl Into<u128>) -> Action {
        Action::SetField(dst.load(value.into()))
    }

    /// `move:SRC->DST`.
    pub fn copy_field(src: impl Into<Subfield>, dst: impl Into<Subfield>) -> Action {
        Action::CopyField { src: src.into(), dst: dst.into() }
    }
}

/// A port number in the 16 bits that Nicira's actions give it. Numbers that do not fit become 0xffff, "none".
pub(crate) fn port_to_u16(port: OfPort) -> u16 {
    match port.0 {
        0..0xff00 | 0xffff_ff00.. => port.0 as u16,
        _ => u16::MAX,
    }
}

/// A port number from its 16-bit form (OpenFlow 1.5.1, section 7.2.1).
pub(crate) fn port_from_u16(port: u16) -> OfPort {
    OfPort(if port >= 0xff00 { 0xffff_0000 | u32::from(port) } else { u32::from(port) })
}
