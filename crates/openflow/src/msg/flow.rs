//! Flows: changing them, listing them, hearing that they are gone.

use super::numbers::nxt;
use super::{Xid, finish, numbers, start, start_nx};
use crate::action::{port_from_u16, port_to_u16};
use crate::field::Header;
use crate::flow_match::{Unknown, read_header};
use crate::instruction::{self, Instructions};
use crate::wire::{self, Put, Reader, TooLong};
use crate::{ErrorCode, Match, Version};
use kiln_types::OfPort;

/// No buffered packet.
pub(super) const NO_BUFFER: u32 = u32::MAX;
/// Any group.
const ANY_GROUP: u32 = u32::MAX;

/// Changes flows (OpenFlow 1.5.1, section 7.3.4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowMod {
    /// The flow's cookie.
    pub cookie: u64,
    /// Which bits of a flow's cookie must agree for it to be modified or deleted.
    pub cookie_mask: u64,
    /// The table; 0xff is all tables, when deleting.
    pub table_id: u8,
    /// [`FlowMod::ADD`] and the others.
    pub command: u8,
    /// Seconds without a packet after which the flow goes; 0 for never.
    pub idle_timeout_s: u16,
    /// Seconds after which the flow goes; 0 for never.
    pub hard_timeout_s: u16,
    /// Higher wins.
    pub priority: u16,
    /// A packet to send through the flow, all ones for none.
    pub buffer_id: u32,
    /// Deletes only flows that output here; [`OfPort::ANY`] for all.
    pub out_port: OfPort,
    /// Deletes only flows that use this group; all ones for all.
    pub out_group: u32,
    /// [`FlowMod::SEND_FLOW_REM`] and the others.
    pub flags: u16,
    /// Orders eviction.
    pub importance: u16,
    /// What the flow matches.
    pub flow_match: Match,
    /// What the flow does.
    pub instructions: Instructions,
}

impl FlowMod {
    /// Adds a flow, or replaces the one with the same match and priority.
    pub const ADD: u8 = 0;
    /// Modifies all flows that the match covers.
    pub const MODIFY: u8 = 1;
    /// Modifies the flow with this match and priority.
    pub const MODIFY_STRICT: u8 = 2;
    /// Deletes all flows that the match covers.
    pub const DELETE: u8 = 3;
    /// Deletes the flow with this match and priority.
    pub const DELETE_STRICT: u8 = 4;

    /// The switch tells when the flow goes.
    pub const SEND_FLOW_REM: u16 = 1;
    /// The switch refuses flows that overlap others of the same priority.
    pub const CHECK_OVERLAP: u16 = 2;
    /// Starts the counters again.
    pub const RESET_COUNTS: u16 = 4;
    /// Packets need not be counted.
    pub const NO_PKT_COUNTS: u16 = 8;
    /// Bytes need not be counted.
    pub const NO_BYT_COUNTS: u16 = 16;

    /// A change of this kind to the flow of a table with this priority and match, everything else as it is by default.
    pub fn new(command: u8, table_id: u8, priority: u16, flow_match: Match) -> FlowMod {
        FlowMod {
            cookie: 0,
            cookie_mask: 0,
            table_id,
            command,
            idle_timeout_s: 0,
            hard_timeout_s: 0,
            priority,
            buffer_id: NO_BUFFER,
            out_port: OfPort::ANY,
            out_group: ANY_GROUP,
            flags: 0,
            importance: 0,
            flow_match,
            instructions: Instructions::new(),
        }
    }

    /// Appends the whole message; 1.0 uses Nicira's form with a table number.
    pub(super) fn put_message(&self, version: Version, xid: Xid, out: &mut Vec<u8>) -> Result<(), TooLong> {
        if version == Version::V1_0 {
            return self.put_nx(xid, out);
        }
        let at = start(out, version, numbers::FLOW_MOD, xid);
        out.put_u64(self.cookie);
        out.put_u64(self.cookie_mask);
        out.put_u8(self.table_id);
        out.put_u8(self.command);
        out.put_u16(self.idle_timeout_s);
        out.put_u16(self.hard_timeout_s);
        out.put_u16(self.priority);
        out.put_u32(self.buffer_id);
        out.put_u32(self.out_port.0);
        out.put_u32(self.out_group);
        out.put_u16(self.flags);
        out.put_u16(if version >= Version::V1_4 { self.importance } else { 0 });
        self.flow_match.put(version, out);
        instruction::put_all(&self.instructions, version, out)?;
        finish(out, at)
    }

    pub(super) fn read(r: &mut Reader<'_>, version: Version) -> wire::Result<FlowMod> {
        let cookie = r.u64()?;
        let cookie_mask = r.u64()?;
        let (table_id, command) = (r.u8()?, r.u8()?);
        let (idle_timeout_s, hard_timeout_s, priority) = (r.u16()?, r.u16()?, r.u16()?);
        let (buffer_id, out_port, out_group) = (r.u32()?, OfPort(r.u32()?), r.u32()?);
        let (flags, importance) = (r.u16()?, r.u16()?);
        Ok(FlowMod {
            cookie,
            cookie_mask,
            table_id,
            command,
            idle_timeout_s,
            hard_timeout_s,
            priority,
            buffer_id,
            out_port,
            out_group,
            flags,
            importance: if version >= Version::V1_4 { importance } else { 0 },
            flow_match: Match::read(r)?,
            instructions: instruction::read_all(r, version)?,
        })
    }

    fn put_nx(&self, xid: Xid, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let version = Version::V1_0;
        let at = start_nx(out, version, nxt::FLOW_MOD, xid);
        // A cookie that is asked for stands in the match.
        out.put_u64(if self.cookie_mask == 0 { self.cookie } else { 0 });
        out.put_u8(self.table_id);
        out.put_u8(self.command);
        out.put_u16(self.idle_timeout_s);
        out.put_u16(self.hard_timeout_s);
        out.put_u16(self.priority);
        out.put_u32(self.buffer_id);
        out.put_u16(port_to_u16(self.out_port));
        out.put_u16(self.flags);
        let len_at = out.len();
        out.put_u16(0);
        out.put_zeros(6);
        put_nx_match(&self.flow_match, (self.cookie, self.cookie_mask), len_at, out);
        instruction::put_all(&self.instructions, version, out)?;
        finish(out, at)
    }

    /// Reads Nicira's form of 1.0. The table number is there only if the connection asked for it
    /// ([`Message::FlowModTableId`](super::Message::FlowModTableId)); otherwise it reads as 0.
    pub(super) fn read_nx(r: &mut Reader<'_>) -> wire::Result<FlowMod> {
        let cookie = r.u64()?;
        let (table_id, command) = (r.u8()?, r.u8()?);
        let mut fm = FlowMod::new(command, table_id, 0, Match::any());
        fm.idle_timeout_s = r.u16()?;
        fm.hard_timeout_s = r.u16()?;
        fm.priority = r.u16()?;
        fm.buffer_id = r.u32()?;
        fm.out_port = port_from_u16(r.u16()?);
        fm.flags = r.u16()?;
        let match_len = r.u16()?;
        r.skip(6)?;
        let (flow_match, cookie_in_match) = read_nx_match(r, match_len)?;
        (fm.cookie, fm.cookie_mask) = cookie_in_match.unwrap_or((cookie, 0));
        fm.flow_match = flow_match;
        fm.instructions = instruction::read_all(r, Version::V1_0)?;
        Ok(fm)
    }
}

/// The pseudo-field that asks for a flow's cookie in Nicira's forms of 1.0.
const NXM_NX_COOKIE: Header = Header { class: Header::NXM_NX, field: 30, experimenter: 0 };

/// Appends an NXM match with padding, and its length without padding at `len_at`.
fn put_nx_match(m: &Match, (cookie, mask): (u64, u64), len_at: usize, out: &mut Vec<u8>) {
    let at = out.len();
    m.put_fields(Version::V1_0, out);
    if mask != 0 {
        let exact = mask == u64::MAX;
        NXM_NX_COOKIE.put(out, !exact, if exact { 8 } else { 16 });
        out.put_u64(cookie & mask);
        if !exact {
            out.put_u64(mask);
        }
    }
    let len = out.len() - at;
    out.set_u16(len_at, len as u16);
    out.pad8(at);
}

/// Reads an NXM match of `len` bytes and its padding, and what it says of the cookie.
fn read_nx_match(r: &mut Reader<'_>, len: u16) -> wire::Result<(Match, Option<(u64, u64)>)> {
    let mut fields = r.sub(usize::from(len), "match", ErrorCode::NX_NXM_INVALID)?;
    let padding = usize::from(len).next_multiple_of(8) - usize::from(len);
    r.skip(padding)?;
    let mut cookie = None;
    let mut others = Vec::new();
    while !fields.is_empty() {
        let before = fields.peek_rest();
        let (_, header, has_mask, payload_len) = read_header(&mut fields)?;
        let mut payload = fields.sub(payload_len, "match", ErrorCode::MATCH_BAD_LEN)?;
        if header == NXM_NX_COOKIE && payload_len == if has_mask { 16 } else { 8 } {
            let value = payload.u64()?;
            cookie = Some((value, if has_mask { payload.u64()? } else { u64::MAX }));
        } else {
            others.extend_from_slice(&before[..header.n_bytes() + payload_len]);
        }
    }
    let mut others = Reader::new(&others, "match", ErrorCode::MATCH_BAD_LEN);
    Ok((Match::read_fields(&mut others, Unknown::Refused)?, cookie))
}

/// Asks for flows (OpenFlow 1.5.1, section 7.3.5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowStatsRequest {
    /// The table, 0xff for all.
    pub table_id: u8,
    /// Only flows that output here; [`OfPort::ANY`] for all.
    pub out_port: OfPort,
    /// Only flows that use this group; all ones for all.
    pub out_group: u32,
    /// Only flows with this cookie.
    pub cookie: u64,
    /// Which bits of the cookie count.
    pub cookie_mask: u64,
    /// Only flows that this match covers.
    pub flow_match: Match,
}

impl Default for FlowStatsRequest {
    /// All flows.
    fn default() -> Self {
        FlowStatsRequest {
            table_id: 0xff,
            out_port: OfPort::ANY,
            out_group: ANY_GROUP,
            cookie: 0,
            cookie_mask: 0,
            flow_match: Match::any(),
        }
    }
}

impl FlowStatsRequest {
    pub(super) fn put(&self, version: Version, out: &mut Vec<u8>) {
        if version == Version::V1_0 {
            out.put_u16(port_to_u16(self.out_port));
            let len_at = out.len();
            out.put_u16(0);
            out.put_u8(self.table_id);
            out.put_zeros(3);
            return put_nx_match(&self.flow_match, (self.cookie, self.cookie_mask), len_at, out);
        }
        out.put_u8(self.table_id);
        out.put_zeros(3);
        out.put_u32(self.out_port.0);
        out.put_u32(self.out_group);
        out.put_zeros(4);
        out.put_u64(self.cookie);
        out.put_u64(self.cookie_mask);
        self.flow_match.put(version, out);
    }

    pub(super) fn read(r: &mut Reader<'_>, version: Version) -> wire::Result<FlowStatsRequest> {
        if version == Version::V1_0 {
            let out_port = port_from_u16(r.u16()?);
            let match_len = r.u16()?;
            let table_id = r.u8()?;
            r.skip(3)?;
            let (flow_match, cookie) = read_nx_match(r, match_len)?;
            let (cookie, cookie_mask) = cookie.unwrap_or((0, 0));
            return Ok(FlowStatsRequest {
                table_id,
                out_port,
                out_group: ANY_GROUP,
                cookie,
                cookie_mask,
                flow_match,
            });
        }
        let table_id = r.u8()?;
        r.skip(3)?;
        let (out_port, out_group) = (OfPort(r.u32()?), r.u32()?);
        r.skip(4)?;
        let (cookie, cookie_mask) = (r.u64()?, r.u64()?);
        Ok(FlowStatsRequest {
            table_id,
            out_port,
            out_group,
            cookie,
            cookie_mask,
            flow_match: Match::read(r)?,
        })
    }
}

/// What a flow has counted (OpenFlow 1.5.1, section 7.2.4): each only where the switch says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counters {
    /// How long the flow has existed: seconds and nanoseconds.
    pub duration: Option<(u32, u32)>,
    /// How long since its last packet: seconds and nanoseconds.
    pub idle: Option<(u32, u32)>,
    /// How long since the flow was last modified, in seconds (Nicira's form of 1.0 only).
    pub hard_age_s: Option<u16>,
    /// How many flows were counted together.
    pub flows: Option<u32>,
    /// Packets.
    pub packets: Option<u64>,
    /// Bytes.
    pub bytes: Option<u64>,
}

/// Fields of the class of flow statistics.
mod oxs {
    pub(super) const DURATION: u8 = 0;
    pub(super) const IDLE_TIME: u8 = 1;
    pub(super) const FLOW_COUNT: u8 = 3;
    pub(super) const PACKET_COUNT: u8 = 4;
    pub(super) const BYTE_COUNT: u8 = 5;
}

impl Counters {
    /// Appends the statistics of 1.5 with their header and padding.
    pub(super) fn put_oxs(&self, out: &mut Vec<u8>) {
        let at = out.len();
        out.put_u16(0);
        out.put_u16(0);
        let header = |out: &mut Vec<u8>, field: u8, len: usize| {
            Header { class: Header::OXS, field, experimenter: 0 }.put(out, false, len);
        };
        for (field, time) in [(oxs::DURATION, self.duration), (oxs::IDLE_TIME, self.idle)] {
            if let Some((sec, nsec)) = time {
                header(out, field, 8);
                out.put_u32(sec);
                out.put_u32(nsec);
            }
        }
        for (field, count) in [(oxs::PACKET_COUNT, self.packets), (oxs::BYTE_COUNT, self.bytes)] {
            if let Some(n) = count {
                header(out, field, 8);
                out.put_u64(n);
            }
        }
        if let Some(n) = self.flows {
            header(out, oxs::FLOW_COUNT, 4);
            out.put_u32(n);
        }
        out.set_len_at_2(at);
        out.pad8(at);
    }

    /// Reads them; statistics that are not known are passed over.
    pub(super) fn read_oxs(r: &mut Reader<'_>) -> wire::Result<Counters> {
        r.skip(2)?;
        let len = usize::from(r.u16()?);
        if len < 4 {
            return Err(r.bad_len("statistics of at least 4 bytes", len));
        }
        let mut list = r.sub(len - 4, "flow statistics", ErrorCode::REQUEST_BAD_LEN)?;
        r.skip(len.next_multiple_of(8) - len)?;
        let mut counters = Counters::default();
        while !list.is_empty() {
            let (_, header, _, len) = read_header(&mut list)?;
            let mut value = list.sub(len, "flow statistics", ErrorCode::REQUEST_BAD_LEN)?;
            if header.class != Header::OXS {
                continue;
            }
            match header.field {
                oxs::DURATION => counters.duration = Some((value.u32()?, value.u32()?)),
                oxs::IDLE_TIME => counters.idle = Some((value.u32()?, value.u32()?)),
                oxs::FLOW_COUNT => counters.flows = Some(value.u32()?),
                oxs::PACKET_COUNT => counters.packets = Some(value.u64()?),
                oxs::BYTE_COUNT => counters.bytes = Some(value.u64()?),
                _ => {}
            }
        }
        Ok(counters)
    }
}

/// One flow of a list (OpenFlow 1.5.1, section 7.3.5.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowStats {
    /// The flow's table.
    pub table_id: u8,
    /// Higher wins.
    pub priority: u16,
    /// Seconds without a packet after which the flow goes; 0 for never.
    pub idle_timeout_s: u16,
    /// Seconds after which the flow goes; 0 for never.
    pub hard_timeout_s: u16,
    /// Flags as in [`FlowMod`].
    pub flags: u16,
    /// Orders eviction.
    pub importance: u16,
    /// The flow's cookie.
    pub cookie: u64,
    /// What the flow matches.
    pub flow_match: Match,
    /// What it counted.
    pub counters: Counters,
    /// What it does.
    pub instructions: Instructions,
}

impl FlowStats {
    pub(super) fn put(&self, version: Version, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let at = out.len();
        out.put_u16(0);
        let mut match_len_at = None;
        if version >= Version::V1_5 {
            out.put_u16(0);
            out.put_u8(self.table_id);
            out.put_u8(0);
        } else {
            let (sec, nsec) = self.counters.duration.unwrap_or_default();
            out.put_u8(self.table_id);
            out.put_u8(0);
            out.put_u32(sec);
            out.put_u32(nsec);
        }
        out.put_u16(self.priority);
        out.put_u16(self.idle_timeout_s);
        out.put_u16(self.hard_timeout_s);
        if version == Version::V1_0 {
            match_len_at = Some(out.len());
            out.put_u16(0);
            // Ages in seconds and one more; 0 is unknown.
            out.put_u16(self.counters.idle.map_or(0, |(sec, _)| sec.saturating_add(1).min(0xffff) as u16));
            out.put_u16(self.counters.hard_age_s.map_or(0, |sec| sec.saturating_add(1)));
        } else {
            out.put_u16(self.flags);
            out.put_u16(if version >= Version::V1_4 { self.importance } else { 0 });
            out.put_zeros(if version >= Version::V1_5 { 0 } else { 2 });
        }
        out.put_u64(self.cookie);
        if version < Version::V1_5 {
            // All ones stand for "not known".
            out.put_u64(self.counters.packets.unwrap_or(u64::MAX));
            out.put_u64(self.counters.bytes.unwrap_or(u64::MAX));
        }
        match match_len_at {
            Some(len_at) => put_nx_match(&self.flow_match, (0, 0), len_at, out),
            None => self.flow_match.put(version, out),
        }
        if version >= Version::V1_5 {
            self.counters.put_oxs(out);
        }
        instruction::put_all(&self.instructions, version, out)?;
        super::multipart::finish_entry(out, at)
    }

    pub(super) fn read(r: &mut Reader<'_>, version: Version) -> wire::Result<FlowStats> {
        let mut r = super::multipart::entry(r, "flow")?;
        let r = &mut r;
        let old_head =
            if version >= Version::V1_5 { None } else { Some((r.u8()?, r.u8()?, r.u32()?, r.u32()?)) };
        let table_id = match old_head {
            Some((table_id, ..)) => table_id,
            None => {
                r.skip(2)?;
                let table_id = r.u8()?;
                r.skip(1)?;
                table_id
            }
        };
        let (priority, idle_timeout_s, hard_timeout_s) = (r.u16()?, r.u16()?, r.u16()?);
        let mut counters = Counters::default();
        let (mut flags, mut importance, mut nx_match_len) = (0, 0, None);
        if version == Version::V1_0 {
            nx_match_len = Some(r.u16()?);
            counters.idle = r.u16()?.checked_sub(1).map(|sec| (u32::from(sec), 0));
            counters.hard_age_s = r.u16()?.checked_sub(1);
        } else {
            flags = r.u16()?;
            importance = r.u16()?;
            r.skip(if version >= Version::V1_5 { 0 } else { 2 })?;
        }
        let cookie = r.u64()?;
        if let Some((_, _, sec, nsec)) = old_head {
            counters.duration = Some((sec, nsec));
            counters.packets = Some(r.u64()?).filter(|&n| n != u64::MAX);
            counters.bytes = Some(r.u64()?).filter(|&n| n != u64::MAX);
        }
        let flow_match = match nx_match_len {
            Some(len) => read_nx_match(r, len)?.0,
            None => Match::read(r)?,
        };
        if version >= Version::V1_5 {
            counters = Counters::read_oxs(r)?;
        }
        let instructions = instruction::read_all(r, version)?;
        Ok(FlowStats {
            table_id,
            priority,
            idle_timeout_s,
            hard_timeout_s,
            flags,
            importance: if version >= Version::V1_4 { importance } else { 0 },
            cookie,
            flow_match,
            counters,
            instructions,
        })
    }
}

/// What a set of flows has counted together (OpenFlow 1.5.1, section 7.3.5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct AggregateStats {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
    /// Flows.
    pub flows: u32,
}

impl AggregateStats {
    pub(super) fn put(&self, version: Version, out: &mut Vec<u8>) {
        if version >= Version::V1_5 {
            let counters = Counters {
                flows: Some(self.flows),
                packets: Some(self.packets),
                bytes: Some(self.bytes),
                ..Counters::default()
            };
            return counters.put_oxs(out);
        }
        out.put_u64(self.packets);
        out.put_u64(self.bytes);
        out.put_u32(self.flows);
        out.put_u32(0);
    }

    pub(super) fn read(r: &mut Reader<'_>, version: Version) -> wire::Result<AggregateStats> {
        if version >= Version::V1_5 {
            let c = Counters::read_oxs(r)?;
            return Ok(AggregateStats {
                packets: c.packets.unwrap_or_default(),
                bytes: c.bytes.unwrap_or_default(),
                flows: c.flows.unwrap_or_default(),
            });
        }
        let stats = AggregateStats { packets: r.u64()?, bytes: r.u64()?, flows: r.u32()? };
        r.skip(4)?;
        Ok(stats)
    }
}

/// A flow is gone (OpenFlow 1.5.1, section 7.4.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowRemoved {
    /// The flow's table.
    pub table_id: u8,
    /// 0 idle, 1 hard timeout, 2 deleted, 3 its group or 4 its meter deleted, 5 evicted.
    pub reason: u8,
    /// The flow's priority.
    pub priority: u16,
    /// Its idle timeout, in seconds.
    pub idle_timeout_s: u16,
    /// Its hard timeout, in seconds.
    pub hard_timeout_s: u16,
    /// Its cookie.
    pub cookie: u64,
    /// What it matched.
    pub flow_match: Match,
    /// What it counted.
    pub counters: Counters,
}

impl FlowRemoved {
    /// For version 1.2 or later.
    pub(super) fn put(&self, version: Version, out: &mut Vec<u8>) {
        if version >= Version::V1_5 {
            out.put_u8(self.table_id);
            out.put_u8(self.reason);
            out.put_u16(self.priority);
            out.put_u16(self.idle_timeout_s);
            out.put_u16(self.hard_timeout_s);
            out.put_u64(self.cookie);
            self.flow_match.put(version, out);
            return self.counters.put_oxs(out);
        }
        let (sec, nsec) = self.counters.duration.unwrap_or_default();
        out.put_u64(self.cookie);
        out.put_u16(self.priority);
        out.put_u8(self.reason);
        out.put_u8(self.table_id);
        out.put_u32(sec);
        out.put_u32(nsec);
        out.put_u16(self.idle_timeout_s);
        out.put_u16(self.hard_timeout_s);
        out.put_u64(self.counters.packets.unwrap_or(u64::MAX));
        out.put_u64(self.counters.bytes.unwrap_or(u64::MAX));
        self.flow_match.put(version, out);
    }

    pub(super) fn read(r: &mut Reader<'_>, version: Version) -> wire::Result<FlowRemoved> {
        if version >= Version::V1_5 {
            return Ok(FlowRemoved {
                table_id: r.u8()?,
                reason: r.u8()?,
                priority: r.u16()?,
                idle_timeout_s: r.u16()?,
                hard_timeout_s: r.u16()?,
                cookie: r.u64()?,
                flow_match: Match::read(r)?,
                counters: Counters::read_oxs(r)?,
            });
        }
        let cookie = r.u64()?;
        let (priority, reason, table_id) = (r.u16()?, r.u8()?, r.u8()?);
        let duration = Some((r.u32()?, r.u32()?));
        let (idle_timeout_s, hard_timeout_s) = (r.u16()?, r.u16()?);
        let packets = Some(r.u64()?).filter(|&n| n != u64::MAX);
        let bytes = Some(r.u64()?).filter(|&n| n != u64::MAX);
        Ok(FlowRemoved {
            table_id,
            reason,
            priority,
            idle_timeout_s,
            hard_timeout_s,
            cookie,
            flow_match: Match::read(r)?,
            counters: Counters { duration, packets, bytes, ..Counters::default() },
        })
    }
}
