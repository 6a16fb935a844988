//! A packet that the pipeline handed up, read as far as every answer needs it.

use crate::DropReason;
use crate::metadata::Metadata;
use kiln_abi::opcodes::{HEADER_LEN, Opcode};
use kiln_openflow::msg::PacketIn;
use kiln_packet::{Packet, before_hop};
use std::borrow::Cow;

/// What the pipeline asks for.
pub(crate) fn opcode(packet_in: &PacketIn) -> Result<Opcode, DropReason> {
    if packet_in.reason != PacketIn::REASON_ACTION {
        return Err(DropReason::NotFromAction);
    }
    let header = packet_in.userdata.first_chunk::<HEADER_LEN>().ok_or(DropReason::NoOpcode)?;
    let [a, b, c, d, ..] = *header;
    Ok(Opcode(u32::from_be_bytes([a, b, c, d])))
}

/// A packet with its pipeline state and with what its action says.
#[derive(Debug)]
pub(crate) struct Punt<'a> {
    pub(crate) packet: Packet<'a>,
    pub(crate) metadata: Metadata,
    /// It can be sent on later.
    pub(crate) is_paused: bool,
    payload: &'a [u8],
}

impl<'a> Punt<'a> {
    /// Reads a packet-in that has an [`opcode`].
    pub(crate) fn read(packet_in: &'a PacketIn) -> Self {
        Punt {
            packet: Packet::parse(&packet_in.packet),
            metadata: Metadata::from_match(&packet_in.metadata),
            is_paused: packet_in.continuation.is_some(),
            payload: &packet_in.userdata[HEADER_LEN..],
        }
    }

    /// What userdata says after its header.
    pub(crate) const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The frame as it came to the router, which is what its sender is told of (RFC 1812, section 4.3.2.3). A packet that has a port
    /// to leave by was routed, which took one off its time to live.
    pub(crate) fn as_it_came(&self) -> Cow<'a, [u8]> {
        let was_routed = self.metadata.outport().is_some();
        if was_routed { before_hop(&self.packet).into() } else { self.packet.frame().into() }
    }
}
