//! Which bytes are which message.

use super::numbers::{self as n, moved, nxt, onf};
use super::*;
use crate::flow_match::Unknown;
use crate::wire::{NICIRA, ONF, Put};

/// Appends a message.
pub(super) fn put(m: &Message, version: Version, xid: Xid, out: &mut Vec<u8>) -> Result<(), TooLong> {
    match m {
        Message::FlowMod(flow_mod) => return flow_mod.put_message(version, xid, out),
        Message::MultipartRequest(request) => return request.put(version, xid, out),
        Message::MultipartReply { reply, more } => return reply.put(version, xid, *more, out),
        _ => {}
    }
    let at = match number(m, version) {
        Number::Plain(typ) => start(out, version, typ, xid),
        Number::Nicira(subtype) => start_nx(out, version, subtype, xid),
        Number::Onf(subtype) => {
            let at = start(out, version, n::EXPERIMENTER, xid);
            out.put_u32(ONF);
            out.put_u32(subtype);
            at
        }
    };
    put_body(m, version, xid, out)?;
    finish(out, at)
}

/// How a message is numbered.
enum Number {
    Plain(u8),
    Nicira(u32),
    Onf(u32),
}

fn number(m: &Message, version: Version) -> Number {
    use Number::{Nicira, Onf, Plain};
    let moved = moved(version);
    match m {
        Message::Hello(_) => Plain(n::HELLO),
        Message::Error(_) => Plain(n::ERROR),
        Message::EchoRequest(_) => Plain(n::ECHO_REQUEST),
        Message::EchoReply(_) => Plain(n::ECHO_REPLY),
        Message::FeaturesRequest => Plain(n::FEATURES_REQUEST),
        Message::FeaturesReply(_) => Plain(n::FEATURES_REPLY),
        Message::GetConfigRequest => Plain(n::GET_CONFIG_REQUEST),
        Message::GetConfigReply(_) => Plain(n::GET_CONFIG_REPLY),
        Message::SetConfig(_) => Plain(n::SET_CONFIG),
        Message::RoleRequest(_) if version < Version::V1_2 => Nicira(nxt::ROLE_REQUEST),
        Message::RoleRequest(_) => Plain(n::ROLE_REQUEST),
        Message::RoleReply(_) if version < Version::V1_2 => Nicira(nxt::ROLE_REPLY),
        Message::RoleReply(_) => Plain(n::ROLE_REPLY),
        Message::PacketIn(_) => Nicira(nxt::PACKET_IN2),
        Message::Resume(_) => Nicira(nxt::RESUME),
        Message::PacketOut(_) => Plain(n::PACKET_OUT),
        Message::FlowRemoved(_) => Plain(n::FLOW_REMOVED),
        Message::PortStatus(_) => Plain(n::PORT_STATUS),
        Message::FlowMod(_) => Plain(n::FLOW_MOD),
        Message::GroupMod(_) => Plain(n::GROUP_MOD),
        Message::MeterMod(_) => Plain(n::METER_MOD),
        Message::MultipartRequest(_) => Plain(moved.multipart_request),
        Message::MultipartReply { .. } => Plain(moved.multipart_reply),
        Message::BarrierRequest => Plain(moved.barrier_request),
        Message::BarrierReply => Plain(moved.barrier_reply),
        Message::BundleControl(_) if version < Version::V1_4 => Onf(onf::BUNDLE_CONTROL),
        Message::BundleControl(_) => Plain(n::BUNDLE_CONTROL),
        Message::BundleAdd(_) if version < Version::V1_4 => Onf(onf::BUNDLE_ADD),
        Message::BundleAdd(_) => Plain(n::BUNDLE_ADD),
        Message::TlvTableMod(_) => Nicira(nxt::TLV_TABLE_MOD),
        Message::TlvTableRequest => Nicira(nxt::TLV_TABLE_REQUEST),
        Message::TlvTableReply(_) => Nicira(nxt::TLV_TABLE_REPLY),
        Message::SetPacketInFormat(_) => Nicira(nxt::SET_PACKET_IN_FORMAT),
        Message::SetControllerId(_) => Nicira(nxt::SET_CONTROLLER_ID),
        Message::CtFlushZone(_) => Nicira(nxt::CT_FLUSH_ZONE),
        Message::CtFlush(_) => Nicira(nxt::CT_FLUSH),
        Message::FlowMonitorCancel(_) if version == Version::V1_3 => Onf(onf::FLOW_MONITOR_CANCEL),
        Message::FlowMonitorCancel(_) => Nicira(nxt::FLOW_MONITOR_CANCEL),
        Message::FlowMonitorPaused if version == Version::V1_3 => Onf(onf::FLOW_MONITOR_PAUSED),
        Message::FlowMonitorPaused => Nicira(nxt::FLOW_MONITOR_PAUSED),
        Message::FlowMonitorResumed if version == Version::V1_3 => Onf(onf::FLOW_MONITOR_RESUMED),
        Message::FlowMonitorResumed => Nicira(nxt::FLOW_MONITOR_RESUMED),
        Message::SetFlowFormat(_) => Nicira(nxt::SET_FLOW_FORMAT),
        Message::FlowModTableId(_) => Nicira(nxt::FLOW_MOD_TABLE_ID),
        Message::Unknown { typ, .. } => Plain(*typ),
    }
}

fn put_body(m: &Message, version: Version, xid: Xid, out: &mut Vec<u8>) -> Result<(), TooLong> {
    match m {
        Message::Hello(hello) => hello.put(out),
        Message::Error(error) => error.put(version, out),
        Message::EchoRequest(data) | Message::EchoReply(data) => out.extend_from_slice(data),
        Message::FeaturesReply(features) => features.put(out),
        Message::GetConfigReply(config) | Message::SetConfig(config) => config.put(out),
        Message::RoleRequest(role) | Message::RoleReply(role) => role.put(version, out),
        Message::PacketIn(packet) | Message::Resume(packet) => packet.put(version, out),
        Message::PacketOut(packet) => return packet.put(version, out),
        Message::FlowRemoved(removed) => removed.put(version, out),
        Message::PortStatus(status) => return status.put(version, out),
        Message::GroupMod(group) => return group.put(version, out),
        Message::MeterMod(meter) => meter.put(out),
        Message::BundleControl(control) => control.put(out),
        Message::BundleAdd(add) => return add.put(version, xid, out),
        Message::TlvTableMod(change) => change.put(out),
        Message::TlvTableReply(table) => table.put(out),
        Message::SetPacketInFormat(v) | Message::FlowMonitorCancel(v) | Message::SetFlowFormat(v) => {
            out.put_u32(*v);
        }
        Message::SetControllerId(v) | Message::CtFlushZone(v) => {
            out.put_zeros(6);
            out.put_u16(*v);
        }
        Message::CtFlush(flush) => flush.put(out),
        Message::FlowModTableId(on) => {
            out.put_u8((*on).into());
            out.put_zeros(7);
        }
        Message::Unknown { body, .. } => out.extend_from_slice(body),
        Message::FeaturesRequest
        | Message::GetConfigRequest
        | Message::FlowMod(_)
        | Message::MultipartRequest(_)
        | Message::MultipartReply { .. }
        | Message::BarrierRequest
        | Message::BarrierReply
        | Message::TlvTableRequest
        | Message::FlowMonitorPaused
        | Message::FlowMonitorResumed => {}
    }
    Ok(())
}

/// Whether the message whose header this is adds to a bundle.
pub(super) fn is_bundle_add(header: &Header, bytes: &[u8]) -> bool {
    let onf_ids = || {
        let mut ids = [0; 8];
        ids[..4].copy_from_slice(&ONF.to_be_bytes());
        ids[4..].copy_from_slice(&onf::BUNDLE_ADD.to_be_bytes());
        ids
    };
    header.typ == n::BUNDLE_ADD
        || (header.typ == n::EXPERIMENTER
            && bytes.get(HEADER_LEN..).is_some_and(|b| b.starts_with(&onf_ids())))
}

/// Reads what follows the header.
pub(super) fn read(header: &Header, r: &mut Reader<'_>) -> wire::Result<Message> {
    let version = header.version;
    let whole = r.clone();
    // Of other versions only what never changes can be read.
    let known = matches!(version, Version::V1_0 | Version::V1_3 | Version::V1_4 | Version::V1_5);
    let message = match header.typ {
        n::HELLO => Some(Message::Hello(Hello::read(r))),
        n::ERROR => Some(Message::Error(ErrorMessage::read(r, version)?)),
        n::ECHO_REQUEST => Some(Message::EchoRequest(r.rest().into())),
        n::ECHO_REPLY => Some(Message::EchoReply(r.rest().into())),
        n::EXPERIMENTER if known => read_experimenter(header, r)?,
        typ if known => match read_same_number(typ, r, version)? {
            None if version > Version::V1_0 => read_since_1_1(header, r)?,
            other => other,
        },
        _ => None,
    };
    let Some(message) = message else {
        return Ok(Message::Unknown { typ: header.typ, body: whole.peek_rest().into() });
    };
    if !matches!(message, Message::Hello(_)) {
        r.finish()?;
    }
    Ok(message)
}

/// Messages whose number every version agrees on, and those that 1.0 numbered otherwise.
fn read_same_number(typ: u8, r: &mut Reader<'_>, version: Version) -> wire::Result<Option<Message>> {
    let moved = moved(version);
    Ok(Some(match typ {
        n::FEATURES_REQUEST => Message::FeaturesRequest,
        n::FEATURES_REPLY => Message::FeaturesReply(Features::read(r)?),
        n::GET_CONFIG_REQUEST => Message::GetConfigRequest,
        n::GET_CONFIG_REPLY => Message::GetConfigReply(SwitchConfig::read(r)?),
        n::SET_CONFIG => Message::SetConfig(SwitchConfig::read(r)?),
        n::PORT_STATUS => Message::PortStatus(Box::new(PortStatus::read(r, version)?)),
        n::PACKET_OUT => Message::PacketOut(Box::new(PacketOut::read(r, version)?)),
        t if t == moved.multipart_request && is_readable_list(r, version) => {
            Message::MultipartRequest(MultipartRequest::read(r, version)?)
        }
        t if t == moved.multipart_reply && is_readable_list(r, version) => {
            let (reply, more) = MultipartReply::read(r, version)?;
            Message::MultipartReply { reply, more }
        }
        t if t == moved.barrier_request => Message::BarrierRequest,
        t if t == moved.barrier_reply => Message::BarrierReply,
        _ => return Ok(None),
    }))
}

/// 1.0 lists flows in a form of its own, which nothing here asks for, beside Nicira's.
fn is_readable_list(r: &Reader<'_>, version: Version) -> bool {
    version > Version::V1_0 || r.peek_u16().is_ok_and(|typ| !matches!(typ, n::mp::FLOW | n::mp::AGGREGATE))
}

fn read_since_1_1(header: &Header, r: &mut Reader<'_>) -> wire::Result<Option<Message>> {
    let version = header.version;
    Ok(Some(match header.typ {
        n::FLOW_REMOVED => Message::FlowRemoved(Box::new(FlowRemoved::read(r, version)?)),
        n::FLOW_MOD => Message::FlowMod(FlowMod::read(r, version)?),
        n::GROUP_MOD => Message::GroupMod(GroupMod::read(r, version)?),
        n::ROLE_REQUEST => Message::RoleRequest(Role::read(r, version)?),
        n::ROLE_REPLY => Message::RoleReply(Role::read(r, version)?),
        n::METER_MOD => Message::MeterMod(MeterMod::read(r)?),
        n::BUNDLE_CONTROL if version >= Version::V1_4 => Message::BundleControl(BundleControl::read(r)?),
        n::BUNDLE_ADD if version >= Version::V1_4 => {
            Message::BundleAdd(Box::new(BundleAdd::read(r, header)?))
        }
        _ => return Ok(None),
    }))
}

fn read_experimenter(header: &Header, r: &mut Reader<'_>) -> wire::Result<Option<Message>> {
    let version = header.version;
    match (r.u32()?, r.u32()?) {
        (NICIRA, subtype) => read_nicira(subtype, r, version),
        (ONF, onf::FLOW_MONITOR_CANCEL) => Ok(Some(Message::FlowMonitorCancel(r.u32()?))),
        (ONF, onf::FLOW_MONITOR_PAUSED) => Ok(Some(Message::FlowMonitorPaused)),
        (ONF, onf::FLOW_MONITOR_RESUMED) => Ok(Some(Message::FlowMonitorResumed)),
        (ONF, onf::BUNDLE_CONTROL) => Ok(Some(Message::BundleControl(BundleControl::read(r)?))),
        (ONF, onf::BUNDLE_ADD) => Ok(Some(Message::BundleAdd(Box::new(BundleAdd::read(r, header)?)))),
        _ => Ok(None),
    }
}

fn read_nicira(subtype: u32, r: &mut Reader<'_>, version: Version) -> wire::Result<Option<Message>> {
    let u16_after_6 = |r: &mut Reader<'_>| {
        r.skip(6)?;
        r.u16()
    };
    Ok(Some(match subtype {
        nxt::ROLE_REQUEST if version < Version::V1_2 => Message::RoleRequest(Role::read(r, version)?),
        nxt::ROLE_REPLY if version < Version::V1_2 => Message::RoleReply(Role::read(r, version)?),
        nxt::SET_FLOW_FORMAT => Message::SetFlowFormat(r.u32()?),
        nxt::FLOW_MOD if version == Version::V1_0 => Message::FlowMod(FlowMod::read_nx(r)?),
        nxt::FLOW_MOD_TABLE_ID => {
            let on = r.u8()? != 0;
            r.skip(7)?;
            Message::FlowModTableId(on)
        }
        nxt::SET_PACKET_IN_FORMAT => Message::SetPacketInFormat(r.u32()?),
        nxt::SET_CONTROLLER_ID => Message::SetControllerId(u16_after_6(r)?),
        nxt::FLOW_MONITOR_CANCEL => Message::FlowMonitorCancel(r.u32()?),
        nxt::FLOW_MONITOR_PAUSED => Message::FlowMonitorPaused,
        nxt::FLOW_MONITOR_RESUMED => Message::FlowMonitorResumed,
        nxt::TLV_TABLE_MOD => Message::TlvTableMod(TlvTableMod::read(r)?),
        nxt::TLV_TABLE_REQUEST => Message::TlvTableRequest,
        nxt::TLV_TABLE_REPLY => Message::TlvTableReply(TlvTable::read(r)?),
        nxt::RESUME => Message::Resume(Box::new(PacketIn::read(r, Unknown::Refused)?)),
        nxt::CT_FLUSH_ZONE => Message::CtFlushZone(u16_after_6(r)?),
        nxt::PACKET_IN2 => Message::PacketIn(Box::new(PacketIn::read(r, Unknown::Skipped)?)),
        nxt::CT_FLUSH => Message::CtFlush(Box::new(CtFlush::read(r)?)),
        _ => return Ok(None),
    }))
}
