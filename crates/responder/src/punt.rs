//! A packet that the pipeline handed up, read as far as every answer needs it.

use crate::DropReason;
use crate::metadata::Metadata;
use kiln_abi::opcodes::{HEADER_LEN, Opcode};
use kiln_openflow::msg::PacketIn;
use kiln_packet::Packet;

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
}
