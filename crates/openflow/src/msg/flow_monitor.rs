//! Watching flows come, change and go (OpenFlow 1.4 and later; Nicira's older form).

use super::multipart::{entry, finish_entry};
use crate::action::{port_from_u16, port_to_u16};
use crate::flow_match::Unknown;
use crate::instruction::{self, Instructions};
use crate::wire::{self, Put, Reader, TooLong};
use crate::{ErrorCode, Match, Version};
use kiln_types::OfPort;

/// Asks to be told of changes to flows (OpenFlow 1.5.1, section 7.3.5.17).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FlowMonitorRequest {
    /// The monitor's number on this connection.
    pub monitor_id: u32,
    /// Only flows that output here; [`OfPort::ANY`] for all.
    pub out_port: OfPort,
    /// Only flows that use this group; all ones for all.
    pub out_group: u32,
    /// [`FlowMonitorRequest::INITIAL`] and the others.
    pub flags: u16,
    /// The table, 0xff for all.
    pub table_id: u8,
    /// [`FlowMonitorRequest::ADD`] and the others.
    pub command: u8,
    /// Only flows that this match covers.
    pub flow_match: Match,
}

impl FlowMonitorRequest {
    /// Starts a monitor.
    pub const ADD: u8 = 0;
    /// Changes it.
    pub const MODIFY: u8 = 1;
    /// Ends it.
    pub const DELETE: u8 = 2;

    /// The flows that are there already.
    pub const INITIAL: u16 = 1;
    /// Flows that are added.
    pub const ADDED: u16 = 2;
    /// Flows that are removed.
    pub const REMOVED: u16 = 4;
    /// Flows that are modified.
    pub const MODIFIED: u16 = 8;
    /// Updates have the flow's instructions.
    pub const INSTRUCTIONS: u16 = 16;
    /// Changes that this connection makes come in short form.
    pub const NO_ABBREV: u16 = 32;
    /// Only changes that this connection makes (Nicira: in full).
    pub const ONLY_OWN: u16 = 64;

    /// Watches all flows.
    pub fn all(monitor_id: u32, flags: u16) -> FlowMonitorRequest {
        FlowMonitorRequest {
            monitor_id,
            out_port: OfPort::ANY,
            out_group: u32::MAX,
            flags,
            table_id: 0xff,
            command: FlowMonitorRequest::ADD,
            flow_match: Match::any(),
        }
    }

    /// 1.4's form; before it Nicira's, which ONF took over for 1.3 with a longer port.
    pub(super) fn put(&self, version: Version, out: &mut Vec<u8>) {
        out.put_u32(self.monitor_id);
        if version >= Version::V1_4 {
            out.put_u32(self.out_port.0);
            out.put_u32(self.out_group);
            out.put_u16(self.flags);
            out.put_u8(self.table_id);
            out.put_u8(self.command);
            return self.flow_match.put(version, out);
        }
        out.put_u16(self.flags);
        if version == Version::V1_0 {
            out.put_u16(port_to_u16(self.out_port));
        }
        let len_at = out.len();
        out.put_u16(0);
        if version > Version::V1_0 {
            out.put_u32(self.out_port.0);
        }
        out.put_u8(self.table_id);
        out.put_zeros(if version == Version::V1_0 { 5 } else { 3 });
        put_match(&self.flow_match, version, len_at, out);
    }

    pub(super) fn read(r: &mut Reader<'_>, version: Version) -> wire::Result<FlowMonitorRequest> {
        let mut request = FlowMonitorRequest::all(r.u32()?, 0);
        if version >= Version::V1_4 {
            request.out_port = OfPort(r.u32()?);
            request.out_group = r.u32()?;
            request.flags = r.u16()?;
            request.table_id = r.u8()?;
            request.command = r.u8()?;
            request.flow_match = Match::read(r)?;
            return Ok(request);
        }
        let v10 = version == Version::V1_0;
        request.flags = r.u16()?;
        if v10 {
            request.out_port = port_from_u16(r.u16()?);
        }
        let match_len = r.u16()?;
        if !v10 {
            request.out_port = OfPort(r.u32()?);
        }
        request.table_id = r.u8()?;
        r.skip(if v10 { 5 } else { 3 })?;
        request.flow_match = read_match(r, version, match_len)?;
        Ok(request)
    }
}

/// Appends a match of 1.0 to 1.3 with padding, and its length without padding at `len_at`.
fn put_match(m: &Match, version: Version, len_at: usize, out: &mut Vec<u8>) {
    let at = out.len();
    if version > Version::V1_0 {
        m.put(version, out);
        let header_at = at + 2;
        return out.copy_within(header_at..header_at + 2, len_at);
    }
    m.put_fields(version, out);
    let len = out.len() - at;
    out.set_u16(len_at, len as u16);
    out.pad8(at);
}

/// Reads such a match; since 1.1 it knows its own length.
fn read_match(r: &mut Reader<'_>, version: Version, len: u16) -> wire::Result<Match> {
    if version > Version::V1_0 {
        return Match::read(r);
    }
    let len = usize::from(len);
    let mut fields = r.sub(len, "match", ErrorCode::NX_NXM_INVALID)?;
    r.skip(len.next_multiple_of(8) - len)?;
    Match::read_fields(&mut fields, Unknown::Refused)
}

/// A change to a flow (OpenFlow 1.5.1, section 7.3.5.17.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FlowUpdate {
    /// A flow, in full.
    Full {
        /// [`FlowUpdate::INITIAL`] and the others.
        event: u16,
        /// Why it was removed, as in [`FlowRemoved`](super::FlowRemoved).
        reason: u8,
        /// The flow's table.
        table_id: u8,
        /// Its priority.
        priority: u16,
        /// Its idle timeout, in seconds.
        idle_timeout_s: u16,
        /// Its hard timeout, in seconds.
        hard_timeout_s: u16,
        /// Its cookie.
        cookie: u64,
        /// What it matches.
        flow_match: Match,
        /// What it does, if that was asked for.
        instructions: Instructions,
    },
    /// This connection's own change, named by its transaction.
    Abbrev {
        /// The request that made the change.
        xid: u32,
    },
    /// Too many changes: updates are left out from now on.
    Paused,
    /// All that was left out has been told.
    Resumed,
}

impl FlowUpdate {
    /// A flow that was there already.
    pub const INITIAL: u16 = 0;
    /// A flow that was added.
    pub const ADDED: u16 = 1;
    /// A flow that was removed.
    pub const REMOVED: u16 = 2;
    /// A flow that was modified.
    pub const MODIFIED: u16 = 3;
    const ABBREV: u16 = 4;
    const PAUSED: u16 = 5;
    const RESUMED: u16 = 6;

    /// Before 1.4 events begin at "added", which stands for flows that were there already too.
    fn event_on_wire(event: u16, version: Version) -> u16 {
        if version < Version::V1_4 { event.saturating_sub(1) } else { event }
    }

    pub(super) fn put(&self, version: Version, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let at = out.len();
        out.put_u16(0);
        let put_short = |out: &mut Vec<u8>, event, word| {
            out.put_u16(FlowUpdate::event_on_wire(event, version));
            out.put_u32(word);
        };
        match self {
            FlowUpdate::Abbrev { xid } => put_short(out, FlowUpdate::ABBREV, *xid),
            FlowUpdate::Paused => put_short(out, FlowUpdate::PAUSED, 0),
            FlowUpdate::Resumed => put_short(out, FlowUpdate::RESUMED, 0),
            FlowUpdate::Full { event, instructions, .. } => {
                out.put_u16(FlowUpdate::event_on_wire(*event, version));
                self.put_full_head(version, out);
                instruction::put_all(instructions, version, out)?;
            }
        }
        finish_entry(out, at)
    }

    fn put_full_head(&self, version: Version, out: &mut Vec<u8>) {
        let FlowUpdate::Full {
            reason,
            table_id,
            priority,
            idle_timeout_s,
            hard_timeout_s,
            cookie,
            flow_match,
            ..
        } = self
        else {
            return;
        };
        if version >= Version::V1_4 {
            out.put_u8(*table_id);
            out.put_u8(*reason);
            out.put_u16(*idle_timeout_s);
            out.put_u16(*hard_timeout_s);
            out.put_u16(*priority);
            out.put_u32(0);
            out.put_u64(*cookie);
            return flow_match.put(version, out);
        }
        out.put_u16(u16::from(*reason));
        out.put_u16(*priority);
        out.put_u16(*idle_timeout_s);
        out.put_u16(*hard_timeout_s);
        let len_at = out.len();
        out.put_u16(0);
        out.put_u8(*table_id);
        out.put_u8(0);
        out.put_u64(*cookie);
        put_match(flow_match, version, len_at, out);
    }

    pub(super) fn read(r: &mut Reader<'_>, version: Version) -> wire::Result<FlowUpdate> {
        let mut r = entry(r, "flow update")?;
        let r = &mut r;
        let nicira = version < Version::V1_4;
        let event = r.u16()?.saturating_add(u16::from(nicira));
        match event {
            FlowUpdate::ABBREV => Ok(FlowUpdate::Abbrev { xid: r.u32()? }),
            FlowUpdate::PAUSED if !nicira => Ok(FlowUpdate::Paused),
            FlowUpdate::RESUMED if !nicira => Ok(FlowUpdate::Resumed),
            FlowUpdate::INITIAL..=FlowUpdate::MODIFIED if nicira => {
                FlowUpdate::read_full_nx(r, event, version)
            }
            FlowUpdate::INITIAL..=FlowUpdate::MODIFIED => FlowUpdate::read_full(r, event, version),
            _ => Err(r.error("a known event", event, ErrorCode::REQUEST_BAD_TYPE)),
        }
    }

    fn read_full(r: &mut Reader<'_>, event: u16, version: Version) -> wire::Result<FlowUpdate> {
        let (table_id, reason) = (r.u8()?, r.u8()?);
        let (idle_timeout_s, hard_timeout_s, priority) = (r.u16()?, r.u16()?, r.u16()?);
        r.skip(4)?;
        Ok(FlowUpdate::Full {
            event,
            reason,
            table_id,
            priority,
            idle_timeout_s,
            hard_timeout_s,
            cookie: r.u64()?,
            flow_match: Match::read(r)?,
            instructions: instruction::read_all(r, version)?,
        })
    }

    fn read_full_nx(r: &mut Reader<'_>, event: u16, version: Version) -> wire::Result<FlowUpdate> {
        let (reason, priority) = (r.u16()? as u8, r.u16()?);
        let (idle_timeout_s, hard_timeout_s, match_len) = (r.u16()?, r.u16()?, r.u16()?);
        let table_id = r.u8()?;
        r.skip(1)?;
        Ok(FlowUpdate::Full {
            event,
            reason,
            table_id,
            priority,
            idle_timeout_s,
            hard_timeout_s,
            cookie: r.u64()?,
            flow_match: read_match(r, version, match_len)?,
            instructions: instruction::read_all(r, version)?,
        })
    }
}
