//! Lists that may take several messages (OpenFlow 1.5.1, section 7.3.5).

use super::numbers::{self, mp, onf};
use super::{
    AggregateStats, FlowMonitorRequest, FlowStats, FlowStatsRequest, FlowUpdate, Group, GroupFeatures,
    GroupStats, MAX_LEN, Meter, MeterFeatures, MeterStats, Port, Xid, start,
};
use crate::wire::{self, NICIRA, ONF, Put, Reader, TooLong};
use crate::{ErrorCode, Version};
use kiln_types::OfPort;

/// More parts follow.
const MORE: u16 = 1;

/// Asks for a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MultipartRequest {
    /// Who made the switch.
    Desc,
    /// Flows.
    Flow(FlowStatsRequest),
    /// What flows have counted together.
    Aggregate(FlowStatsRequest),
    /// What a group has counted, or all with [`Group::ALL_IDS`].
    Group(u32),
    /// What a group is, or all with [`Group::ALL_IDS`].
    GroupDesc(u32),
    /// What groups there can be.
    GroupFeatures,
    /// What a meter has counted, or all with [`Meter::ALL_IDS`].
    Meter(u32),
    /// What a meter is, or all with [`Meter::ALL_IDS`].
    MeterConfig(u32),
    /// What meters there can be.
    MeterFeatures,
    /// What a port is, or all with [`OfPort::ANY`].
    PortDesc(OfPort),
    /// Watches flows.
    FlowMonitor(Vec<FlowMonitorRequest>),
    /// What is not known here.
    Unknown {
        /// The list's number.
        typ: u16,
        /// What follows the multipart header.
        body: Box<[u8]>,
    },
}

/// A list, or a part of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MultipartReply {
    /// Who made the switch.
    Desc(Box<SwitchDesc>),
    /// Flows.
    Flow(Vec<FlowStats>),
    /// What flows have counted together.
    Aggregate(AggregateStats),
    /// What groups have counted.
    Group(Vec<GroupStats>),
    /// What groups are.
    GroupDesc(Vec<Group>),
    /// What groups there can be.
    GroupFeatures(GroupFeatures),
    /// What meters have counted.
    Meter(Vec<MeterStats>),
    /// What meters are.
    MeterConfig(Vec<Meter>),
    /// What meters there can be.
    MeterFeatures(MeterFeatures),
    /// What ports are.
    PortDesc(Vec<Port>),
    /// Changes of flows.
    FlowMonitor(Vec<FlowUpdate>),
    /// What is not known here.
    Unknown {
        /// The list's number.
        typ: u16,
        /// What follows the multipart header.
        body: Box<[u8]>,
    },
}

/// Who made the switch (OpenFlow 1.5.1, section 7.3.5.1).
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct SwitchDesc {
    /// Manufacturer, at most 255 bytes.
    pub mfr: Box<str>,
    /// Hardware, at most 255 bytes.
    pub hw: Box<str>,
    /// Software, at most 255 bytes.
    pub sw: Box<str>,
    /// Serial number, at most 31 bytes.
    pub serial: Box<str>,
    /// For people, at most 255 bytes.
    pub dp: Box<str>,
}

impl SwitchDesc {
    fn put(&self, out: &mut Vec<u8>) {
        for (text, len) in
            [(&self.mfr, 256), (&self.hw, 256), (&self.sw, 256), (&self.serial, 32), (&self.dp, 256)]
        {
            out.put_name(text, len);
        }
    }

    fn read(r: &mut Reader<'_>) -> wire::Result<SwitchDesc> {
        Ok(SwitchDesc {
            mfr: r.name(256)?,
            hw: r.name(256)?,
            sw: r.name(256)?,
            serial: r.name(32)?,
            dp: r.name(256)?,
        })
    }
}

/// Reads the length of a list's entry, which counts itself, and gives what follows it.
pub(super) fn entry<'a>(r: &mut Reader<'a>, what: &'static str) -> wire::Result<Reader<'a>> {
    let len = usize::from(r.u16()?);
    match len.checked_sub(2) {
        Some(len) => r.sub(len, what, ErrorCode::REQUEST_BAD_LEN),
        None => Err(r.bad_len("an entry that counts its own length", len)),
    }
}

/// Writes the length of a list's entry at its start.
pub(super) fn finish_entry(out: &mut Vec<u8>, at: usize) -> Result<(), TooLong> {
    let len = out.len() - at;
    let max = MAX_LEN - 16;
    let short = u16::try_from(len).ok().filter(|_| len <= max);
    let short = short.ok_or(TooLong { what: "list entry", len, max })?;
    out.set_u16(at, short);
    Ok(())
}

/// The list's number on the wire, and the experimenter's ids if it has them.
fn wire_type(typ: u16, version: Version) -> (u16, Option<(u32, u32)>) {
    let nicira = |subtype| (mp::EXPERIMENTER, Some((NICIRA, subtype)));
    match typ {
        mp::FLOW if version == Version::V1_0 => nicira(mp::NXST_FLOW),
        mp::AGGREGATE if version == Version::V1_0 => nicira(mp::NXST_AGGREGATE),
        mp::FLOW_MONITOR if version < Version::V1_3 => nicira(mp::NXST_FLOW_MONITOR),
        mp::FLOW_MONITOR if version < Version::V1_4 => {
            (mp::EXPERIMENTER, Some((ONF, onf::MULTIPART_FLOW_MONITOR)))
        }
        _ => (typ, None),
    }
}

/// Starts a message of a list; `typ` is the list's number in 1.5.
fn start_part(out: &mut Vec<u8>, version: Version, number: u8, xid: Xid, typ: u16) -> usize {
    let at = start(out, version, number, xid);
    let (wire_typ, experimenter) = wire_type(typ, version);
    out.put_u16(wire_typ);
    out.put_u16(0);
    if version > Version::V1_0 {
        out.put_u32(0);
    }
    if let Some((vendor, subtype)) = experimenter {
        out.put_u32(vendor);
        out.put_u32(subtype);
        // Only 1.0 pads the ids.
        out.put_zeros(if version == Version::V1_0 { 4 } else { 0 });
    }
    at
}

/// Reads the header of a list's message: its number as in 1.5, and whether more follow.
fn read_head(r: &mut Reader<'_>, version: Version) -> wire::Result<(u16, bool)> {
    let typ = r.u16()?;
    let more = r.u16()? & MORE != 0;
    if version > Version::V1_0 {
        r.skip(4)?;
    }
    if typ != mp::EXPERIMENTER {
        return Ok((typ, more));
    }
    let mut ids = r.clone();
    let known = match (ids.u32()?, ids.u32()?) {
        (NICIRA, mp::NXST_FLOW) if version == Version::V1_0 => mp::FLOW,
        (NICIRA, mp::NXST_AGGREGATE) if version == Version::V1_0 => mp::AGGREGATE,
        (NICIRA, mp::NXST_FLOW_MONITOR) if version < Version::V1_3 => mp::FLOW_MONITOR,
        (ONF, onf::MULTIPART_FLOW_MONITOR) if version == Version::V1_3 => mp::FLOW_MONITOR,
        _ => return Ok((typ, more)),
    };
    r.skip(if version == Version::V1_0 { 12 } else { 8 })?;
    Ok((known, more))
}

impl MultipartRequest {
    fn typ(&self) -> u16 {
        match self {
            MultipartRequest::Desc => mp::DESC,
            MultipartRequest::Flow(_) => mp::FLOW,
            MultipartRequest::Aggregate(_) => mp::AGGREGATE,
            MultipartRequest::Group(_) => mp::GROUP,
            MultipartRequest::GroupDesc(_) => mp::GROUP_DESC,
            MultipartRequest::GroupFeatures => mp::GROUP_FEATURES,
            MultipartRequest::Meter(_) => mp::METER,
            MultipartRequest::MeterConfig(_) => mp::METER_CONFIG,
            MultipartRequest::MeterFeatures => mp::METER_FEATURES,
            MultipartRequest::PortDesc(_) => mp::PORT_DESC,
            MultipartRequest::FlowMonitor(_) => mp::FLOW_MONITOR,
            MultipartRequest::Unknown { typ, .. } => *typ,
        }
    }

    pub(super) fn put(&self, version: Version, xid: Xid, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let number = numbers::moved(version).multipart_request;
        let at = start_part(out, version, number, xid, self.typ());
        let padded = |out: &mut Vec<u8>, id| {
            out.put_u32(id);
            out.put_u32(0);
        };
        match self {
            MultipartRequest::Flow(request) | MultipartRequest::Aggregate(request) => {
                request.put(version, out);
            }
            // These ask for one since 1.5, and for all before.
            MultipartRequest::GroupDesc(id) if version >= Version::V1_5 => padded(out, *id),
            MultipartRequest::PortDesc(port) if version >= Version::V1_5 => padded(out, port.0),
            MultipartRequest::Group(id) | MultipartRequest::Meter(id) | MultipartRequest::MeterConfig(id) => {
                padded(out, *id);
            }
            MultipartRequest::FlowMonitor(list) => list.iter().for_each(|m| m.put(version, out)),
            MultipartRequest::Unknown { body, .. } => out.extend_from_slice(body),
            _ => {}
        }
        super::finish(out, at)
    }

    pub(super) fn read(r: &mut Reader<'_>, version: Version) -> wire::Result<MultipartRequest> {
        let (typ, more) = read_head(r, version)?;
        let padded = |r: &mut Reader<'_>| {
            let id = r.u32()?;
            r.skip(4)?;
            wire::Result::Ok(id)
        };
        let of_one = version >= Version::V1_5;
        Ok(match typ {
            mp::DESC => MultipartRequest::Desc,
            mp::FLOW => MultipartRequest::Flow(FlowStatsRequest::read(r, version)?),
            mp::AGGREGATE => MultipartRequest::Aggregate(FlowStatsRequest::read(r, version)?),
            mp::GROUP => MultipartRequest::Group(padded(r)?),
            mp::GROUP_DESC => MultipartRequest::GroupDesc(if of_one { padded(r)? } else { Group::ALL_IDS }),
            mp::GROUP_FEATURES => MultipartRequest::GroupFeatures,
            mp::METER => MultipartRequest::Meter(padded(r)?),
            mp::METER_CONFIG => MultipartRequest::MeterConfig(padded(r)?),
            mp::METER_FEATURES => MultipartRequest::MeterFeatures,
            mp::PORT_DESC => {
                MultipartRequest::PortDesc(if of_one { OfPort(padded(r)?) } else { OfPort::ANY })
            }
            mp::FLOW_MONITOR => {
                let mut list = Vec::new();
                while !r.is_empty() {
                    list.push(FlowMonitorRequest::read(r, version)?);
                }
                MultipartRequest::FlowMonitor(list)
            }
            // No request here is long enough for two messages.
            _ if more => return Err(r.error("one message", typ, ErrorCode::REQUEST_MULTIPART_OVERFLOW)),
            _ => MultipartRequest::Unknown { typ, body: r.rest().into() },
        })
    }
}

/// Writes the entries of a list into as many messages as it takes.
struct Parts<'a> {
    out: &'a mut Vec<u8>,
    version: Version,
    xid: Xid,
    typ: u16,
    /// Where the current message starts.
    at: usize,
}

impl<'a> Parts<'a> {
    fn start(out: &'a mut Vec<u8>, version: Version, xid: Xid, typ: u16) -> Parts<'a> {
        let at = start_part(out, version, numbers::moved(version).multipart_reply, xid, typ);
        Parts { out, version, xid, typ, at }
    }

    /// Appends one entry, moving it to a new message if the current one is full.
    fn entry(&mut self, put: impl FnOnce(&mut Vec<u8>) -> Result<(), TooLong>) -> Result<(), TooLong> {
        let entry_at = self.out.len();
        put(self.out)?;
        if self.out.len() - self.at <= MAX_LEN {
            return Ok(());
        }
        let entry = self.out.split_off(entry_at);
        self.finish(true)?;
        self.at = start_part(
            self.out,
            self.version,
            numbers::moved(self.version).multipart_reply,
            self.xid,
            self.typ,
        );
        self.out.extend_from_slice(&entry);
        Ok(())
    }

    fn finish(&mut self, more: bool) -> Result<(), TooLong> {
        self.out.set_u16(self.at + super::HEADER_LEN + 2, if more { MORE } else { 0 });
        super::finish(&mut self.out[..], self.at)
    }
}

impl MultipartReply {
    fn typ(&self) -> u16 {
        match self {
            MultipartReply::Desc(_) => mp::DESC,
            MultipartReply::Flow(_) => mp::FLOW,
            MultipartReply::Aggregate(_) => mp::AGGREGATE,
            MultipartReply::Group(_) => mp::GROUP,
            MultipartReply::GroupDesc(_) => mp::GROUP_DESC,
            MultipartReply::GroupFeatures(_) => mp::GROUP_FEATURES,
            MultipartReply::Meter(_) => mp::METER,
            MultipartReply::MeterConfig(_) => mp::METER_CONFIG,
            MultipartReply::MeterFeatures(_) => mp::METER_FEATURES,
            MultipartReply::PortDesc(_) => mp::PORT_DESC,
            MultipartReply::FlowMonitor(_) => mp::FLOW_MONITOR,
            MultipartReply::Unknown { typ, .. } => *typ,
        }
    }

    pub(super) fn put(
        &self,
        version: Version,
        xid: Xid,
        more: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), TooLong> {
        let mut parts = Parts::start(out, version, xid, self.typ());
        match self {
            MultipartReply::Desc(desc) => desc.put(parts.out),
            MultipartReply::Aggregate(stats) => stats.put(version, parts.out),
            MultipartReply::GroupFeatures(features) => features.put(parts.out),
            MultipartReply::MeterFeatures(features) => features.put(parts.out),
            MultipartReply::Unknown { body, .. } => parts.out.extend_from_slice(body),
            MultipartReply::Flow(list) => {
                list.iter().try_for_each(|e| parts.entry(|out| e.put(version, out)))?;
            }
            MultipartReply::Group(list) => {
                list.iter().try_for_each(|e| parts.entry(|out| e.put(version, out)))?;
            }
            MultipartReply::GroupDesc(list) => {
                list.iter().try_for_each(|e| parts.entry(|out| e.put_desc(version, out)))?;
            }
            MultipartReply::Meter(list) => list.iter().try_for_each(|e| parts.entry(|out| e.put(out)))?,
            MultipartReply::MeterConfig(list) => {
                list.iter().try_for_each(|e| parts.entry(|out| e.put_config(out)))?;
            }
            MultipartReply::PortDesc(list) => {
                list.iter().try_for_each(|e| parts.entry(|out| e.put(version, out)))?;
            }
            MultipartReply::FlowMonitor(list) => {
                list.iter().try_for_each(|e| parts.entry(|out| e.put(version, out)))?;
            }
        }
        parts.finish(more)
    }

    /// Reads one message; the second value says whether more follow.
    pub(super) fn read(r: &mut Reader<'_>, version: Version) -> wire::Result<(MultipartReply, bool)> {
        fn list<T>(
            r: &mut Reader<'_>,
            mut read: impl FnMut(&mut Reader<'_>) -> wire::Result<T>,
        ) -> wire::Result<Vec<T>> {
            let mut list = Vec::new();
            while !r.is_empty() {
                list.push(read(r)?);
            }
            Ok(list)
        }
        let (typ, more) = read_head(r, version)?;
        let reply = match typ {
            mp::DESC => MultipartReply::Desc(Box::new(SwitchDesc::read(r)?)),
            mp::FLOW => MultipartReply::Flow(list(r, |r| FlowStats::read(r, version))?),
            mp::AGGREGATE => MultipartReply::Aggregate(AggregateStats::read(r, version)?),
            mp::GROUP => MultipartReply::Group(list(r, |r| GroupStats::read(r, version))?),
            mp::GROUP_DESC => MultipartReply::GroupDesc(list(r, |r| Group::read_desc(r, version))?),
            mp::GROUP_FEATURES => MultipartReply::GroupFeatures(GroupFeatures::read(r)?),
            mp::METER => MultipartReply::Meter(list(r, MeterStats::read)?),
            mp::METER_CONFIG => MultipartReply::MeterConfig(list(r, Meter::read_config)?),
            mp::METER_FEATURES => MultipartReply::MeterFeatures(MeterFeatures::read(r)?),
            mp::PORT_DESC => MultipartReply::PortDesc(list(r, |r| Port::read(r, version))?),
            mp::FLOW_MONITOR => MultipartReply::FlowMonitor(list(r, |r| FlowUpdate::read(r, version))?),
            _ => MultipartReply::Unknown { typ, body: r.rest().into() },
        };
        Ok((reply, more))
    }

    /// Appends the entries of a later part of the same list. `false` if it is of another kind, or of a kind that has
    /// one part only.
    pub fn append(&mut self, later: MultipartReply) -> bool {
        use MultipartReply as R;
        match (self, later) {
            (R::Flow(a), R::Flow(b)) => a.extend(b),
            (R::Group(a), R::Group(b)) => a.extend(b),
            (R::GroupDesc(a), R::GroupDesc(b)) => a.extend(b),
            (R::Meter(a), R::Meter(b)) => a.extend(b),
            (R::MeterConfig(a), R::MeterConfig(b)) => a.extend(b),
            (R::PortDesc(a), R::PortDesc(b)) => a.extend(b),
            (R::FlowMonitor(a), R::FlowMonitor(b)) => a.extend(b),
            (R::Unknown { typ: a, body }, R::Unknown { typ: b, body: more }) if *a == b => {
                *body = [&body[..], &more].concat().into();
            }
            _ => return false,
        }
        true
    }
}
