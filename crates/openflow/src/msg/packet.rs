//! Packets to and from the controller.

use super::flow::NO_BUFFER;
use crate::action::{self, Actions, port_from_u16, port_to_u16};
use crate::flow_match::Unknown;
use crate::prop;
use crate::wire::{self, Put, Reader, TooLong};
use crate::{ErrorCode, Field, Match, Version};
use kiln_types::OfPort;

/// A packet from the controller (OpenFlow 1.5.1, section 7.3.6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketOut {
    /// The packet if the switch has it, all ones if it is in `packet`.
    pub buffer_id: u32,
    /// The pipeline's fields; `in_port` must be among them. Before 1.5 nothing else is sent.
    pub metadata: Match,
    /// What is done with it.
    pub actions: Actions,
    /// The frame.
    pub packet: Box<[u8]>,
}

impl PacketOut {
    /// Executes actions on a frame as if it had come in by `in_port`.
    pub fn new(in_port: OfPort, actions: Actions, packet: Box<[u8]>) -> PacketOut {
        PacketOut::in_state(Match::of_in_port(in_port), actions, packet)
    }

    /// Executes actions on a frame that is in the middle of a pipeline; `in_port` must be among the fields. Needs OpenFlow 1.5.
    pub fn in_state(metadata: Match, actions: Actions, packet: Box<[u8]>) -> PacketOut {
        PacketOut { buffer_id: NO_BUFFER, metadata, actions, packet }
    }

    /// The port that the frame is taken to have come in by.
    pub fn in_port(&self) -> Option<OfPort> {
        self.metadata.get(Field::IN_PORT_OXM).map(|v| OfPort(v.value as u32))
    }

    pub(super) fn put(&self, version: Version, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let in_port = || self.in_port().unwrap_or(OfPort::ANY);
        out.put_u32(self.buffer_id);
        if version == Version::V1_0 {
            out.put_u16(port_to_u16(in_port()));
        } else if version < Version::V1_5 {
            out.put_u32(in_port().0);
        }
        let len_at = out.len();
        out.put_u16(0);
        if version >= Version::V1_5 {
            out.put_u16(0);
            self.metadata.put(version, out);
        } else if version > Version::V1_0 {
            out.put_zeros(6);
        }
        let at = out.len();
        self.actions.put(version, out)?;
        let len = out.len() - at;
        let short = u16::try_from(len).map_err(|_| TooLong { what: "actions", len, max: 0xffff })?;
        out.set_u16(len_at, short);
        out.extend_from_slice(&self.packet);
        Ok(())
    }

    pub(super) fn read(r: &mut Reader<'_>, version: Version) -> wire::Result<PacketOut> {
        let buffer_id = r.u32()?;
        let mut metadata = Match::any();
        if version < Version::V1_5 {
            let port = if version == Version::V1_0 { port_from_u16(r.u16()?) } else { OfPort(r.u32()?) };
            metadata = Match::of_in_port(port);
        }
        let actions_len = usize::from(r.u16()?);
        if version >= Version::V1_5 {
            r.skip(2)?;
            metadata = Match::read(r)?;
        } else if version > Version::V1_0 {
            r.skip(6)?;
        }
        let mut list = r.sub(actions_len, "actions", ErrorCode::ACTION_BAD_LEN)?;
        let actions = action::list_from_wire(&mut list, version)?;
        Ok(PacketOut { buffer_id, metadata, actions, packet: r.rest().into() })
    }
}

/// A packet for the controller, or one that the controller sets going again (Nicira's messages 30 and 28).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketIn {
    /// The frame.
    pub packet: Box<[u8]>,
    /// The frame's length in bytes if `packet` is only its start.
    pub full_len: Option<u32>,
    /// The frame's number in the switch's buffer.
    pub buffer_id: Option<u32>,
    /// The table of the flow that sent it.
    pub table_id: u8,
    /// The cookie of that flow; all ones if there is none.
    pub cookie: u64,
    /// [`PacketIn::REASON_ACTION`] and the others.
    pub reason: u8,
    /// The pipeline's fields.
    pub metadata: Match,
    /// What the action gave along.
    pub userdata: Box<[u8]>,
    /// What the switch needs to resume a paused packet, to be given back as it came.
    pub continuation: Option<Box<[u8]>>,
}

impl Default for PacketIn {
    fn default() -> Self {
        PacketIn {
            packet: Box::default(),
            full_len: None,
            buffer_id: None,
            table_id: 0,
            cookie: u64::MAX,
            reason: PacketIn::REASON_NO_MATCH,
            metadata: Match::any(),
            userdata: Box::default(),
            continuation: None,
        }
    }
}

/// Numbers of the properties.
mod property {
    pub(super) const PACKET: u16 = 0;
    pub(super) const FULL_LEN: u16 = 1;
    pub(super) const BUFFER_ID: u16 = 2;
    pub(super) const TABLE_ID: u16 = 3;
    pub(super) const COOKIE: u16 = 4;
    pub(super) const REASON: u16 = 5;
    pub(super) const METADATA: u16 = 6;
    pub(super) const USERDATA: u16 = 7;
    pub(super) const CONTINUATION: u16 = 8;
}

impl PacketIn {
    /// No flow matched.
    pub const REASON_NO_MATCH: u8 = 0;
    /// A controller action.
    pub const REASON_ACTION: u8 = 1;
    /// A TTL that ran out.
    pub const REASON_INVALID_TTL: u8 = 2;

    /// The resume of this packet: everything that the switch needs back.
    pub fn into_resume(self) -> PacketIn {
        PacketIn { full_len: None, buffer_id: None, userdata: Box::default(), ..self }
    }

    pub(super) fn put(&self, version: Version, out: &mut Vec<u8>) {
        prop::put_bytes(out, property::PACKET, &self.packet);
        if let Some(len) = self.full_len {
            prop::put_u32(out, property::FULL_LEN, len);
        }
        if let Some(id) = self.buffer_id {
            prop::put_u32(out, property::BUFFER_ID, id);
        }
        prop::put_u8(out, property::TABLE_ID, self.table_id);
        if self.cookie != u64::MAX {
            prop::put_u64(out, property::COOKIE, self.cookie);
        }
        prop::put_u8(out, property::REASON, self.reason);
        let at = prop::start(out, property::METADATA);
        self.metadata.put_fields(version, out);
        prop::finish(out, at);
        if let Some(continuation) = &self.continuation {
            prop::put_bytes(out, property::CONTINUATION, continuation);
        }
        if !self.userdata.is_empty() {
            prop::put_bytes(out, property::USERDATA, &self.userdata);
        }
    }

    /// A controller passes over what it does not know (`unknown` skipped), a switch refuses it.
    pub(super) fn read(r: &mut Reader<'_>, unknown: Unknown) -> wire::Result<PacketIn> {
        let mut p_in = PacketIn::default();
        while let Some(mut p) = prop::next(r)? {
            match p.typ {
                property::PACKET => p_in.packet = p.bytes().into(),
                property::FULL_LEN => p_in.full_len = Some(p.u32()?),
                property::BUFFER_ID => p_in.buffer_id = Some(p.u32()?),
                property::TABLE_ID => p_in.table_id = p.u8()?,
                property::COOKIE => p_in.cookie = p.u64()?,
                property::REASON => p_in.reason = p.u8()?,
                property::METADATA => p_in.metadata = Match::read_fields(p.reader(), unknown)?,
                property::USERDATA => p_in.userdata = p.bytes().into(),
                property::CONTINUATION => p_in.continuation = Some(p.bytes().into()),
                _ if unknown == Unknown::Skipped => {}
                _ => return Err(p.unknown()),
            }
        }
        Ok(p_in)
    }
}
