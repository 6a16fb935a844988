//! Bytes to actions.

use super::encode::{nx, of};
use super::{
    Action, Actions, Bundle, Controller, Ct, Learn, MAX_NESTING, Multipath, Nat, Sample, port_from_u16,
};
use crate::error::ErrorCode;
use crate::field::{Field, FieldValue, Subfield};
use crate::flow_match::{Unknown, read_header, read_tlv};
use crate::version::Version;
use crate::wire::{self, DecodeError, NICIRA, ONF, Reader};
use kiln_types::OfPort;

/// Reads a list that fills the reader.
pub(crate) fn list_from_wire(r: &mut Reader<'_>, version: Version) -> wire::Result<Actions> {
    list(r, version, 0)
}

/// Reads the list inside an action.
pub(super) fn nested(r: &mut Reader<'_>, version: Version, depth: usize) -> wire::Result<Actions> {
    if depth >= MAX_NESTING {
        return Err(r.error("fewer nested actions", depth as u64, ErrorCode::ACTION_TOO_MANY));
    }
    list(r, version, depth + 1)
}

fn list(r: &mut Reader<'_>, version: Version, depth: usize) -> wire::Result<Actions> {
    // Every spelling but a few old ones is as long as the canonical one.
    let mut bytes = Vec::with_capacity(r.remaining());
    while !r.is_empty() {
        let at = r.clone();
        let action = read_action(r, version, depth)?;
        action.put(Version::V1_5, &mut bytes).map_err(|e| too_long(&at, e.len))?;
    }
    let at = r.clone();
    Actions::from_canonical(bytes).map_err(|e| too_long(&at, e.len))
}

fn too_long(r: &Reader<'_>, len: usize) -> DecodeError {
    r.error("at most 65520 bytes of actions", len as u64, ErrorCode::ACTION_TOO_MANY)
}

/// Reads one action.
pub(super) fn read_action(r: &mut Reader<'_>, version: Version, depth: usize) -> wire::Result<Action> {
    let bytes = r.peek_rest();
    let mut header = r.clone();
    let typ = header.u16()?;
    let len = usize::from(header.u16()?);
    if len < 8 || len % 8 != 0 {
        return Err(r.bad_len("a multiple of 8 bytes", len));
    }
    let mut body = r.sub(len, "action", ErrorCode::ACTION_BAD_LEN)?;
    body.skip(4)?;
    let raw = &bytes[..len];
    if typ == of::EXPERIMENTER {
        return match body.u32()? {
            NICIRA => nicira(&mut body, raw, version, depth),
            ONF => onf(&mut body, raw),
            _ => Ok(Action::Unknown(raw.into())),
        };
    }
    if version == Version::V1_0 { standard_v10(&mut body, typ, raw) } else { standard(&mut body, typ, raw) }
}

fn standard(r: &mut Reader<'_>, typ: u16, raw: &[u8]) -> wire::Result<Action> {
    Ok(match typ {
        of::OUTPUT => Action::Output { port: OfPort(r.u32()?), max_len: r.u16()? },
        of::COPY_TTL_OUT => Action::CopyTtlOut,
        of::COPY_TTL_IN => Action::CopyTtlIn,
        of::SET_MPLS_TTL => Action::SetMplsTtl(r.u8()?),
        of::DEC_MPLS_TTL => Action::DecMplsTtl,
        of::PUSH_VLAN => Action::PushVlan(r.u16()?),
        of::POP_VLAN => Action::PopVlan,
        of::PUSH_MPLS => Action::PushMpls(r.u16()?),
        of::POP_MPLS => Action::PopMpls(r.u16()?),
        of::PUSH_PBB => Action::PushPbb(r.u16()?),
        of::POP_PBB => Action::PopPbb,
        of::SET_QUEUE => Action::SetQueue(r.u32()?),
        of::GROUP => Action::Group(r.u32()?),
        of::SET_NW_TTL => Action::SetNwTtl(r.u8()?),
        of::DEC_NW_TTL => Action::DecTtl,
        of::METER => Action::Meter(r.u32()?),
        of::SET_FIELD => set_field(r)?,
        of::COPY_FIELD => {
            let (n_bits, src_ofs, dst_ofs) = (r.u16()?, r.u16()?, r.u16()?);
            r.skip(2)?;
            copy_field(r, n_bits, src_ofs, dst_ofs)?
        }
        _ => Action::Unknown(raw.into()),
    })
}

/// 1.0 numbers its setters one by one; those whose field depends on the packet stay unknown.
fn standard_v10(r: &mut Reader<'_>, typ: u16, raw: &[u8]) -> wire::Result<Action> {
    let mac = |r: &mut Reader<'_>, field| {
        let b = r.array::<6>()?;
        let value = b.iter().fold(0u128, |v, &byte| v << 8 | u128::from(byte));
        Ok(Action::set_field(field, value))
    };
    Ok(match typ {
        of::OUTPUT => Action::Output { port: port_from_u16(r.u16()?), max_len: r.u16()? },
        of::v10::STRIP_VLAN => Action::PopVlan,
        of::v10::SET_VLAN_VID => Action::set_field(Field::VLAN_VID, r.u16()? & 0xfff | 0x1000),
        of::v10::SET_VLAN_PCP => Action::set_field(Field::VLAN_PCP, r.u8()? & 7),
        of::v10::SET_DL_SRC => mac(r, Field::ETH_SRC)?,
        of::v10::SET_DL_DST => mac(r, Field::ETH_DST)?,
        of::v10::SET_NW_SRC => Action::set_field(Field::IPV4_SRC, r.u32()?),
        of::v10::SET_NW_DST => Action::set_field(Field::IPV4_DST, r.u32()?),
        of::v10::SET_NW_TOS => Action::set_field(Field::IP_DSCP, r.u8()? >> 2),
        _ => Action::Unknown(raw.into()),
    })
}

fn onf(r: &mut Reader<'_>, raw: &[u8]) -> wire::Result<Action> {
    if r.u16()? != of::ONF_COPY_FIELD {
        return Ok(Action::Unknown(raw.into()));
    }
    r.skip(2)?;
    let (n_bits, src_ofs, dst_ofs) = (r.u16()?, r.u16()?, r.u16()?);
    r.skip(2)?;
    copy_field(r, n_bits, src_ofs, dst_ofs)
}

fn nicira(r: &mut Reader<'_>, raw: &[u8], version: Version, depth: usize) -> wire::Result<Action> {
    let subtype = r.u16()?;
    Ok(match subtype {
        nx::CT => Action::Ct(Box::new(Ct::read(r, version, depth)?)),
        nx::NAT => Action::Nat(Box::new(Nat::read(r)?)),
        nx::CLONE => {
            r.skip(6)?;
            Action::Clone(nested(r, version, depth)?)
        }
        nx::LEARN | nx::LEARN2 => Action::Learn(Box::new(Learn::read(r, subtype == nx::LEARN2)?)),
        nx::CONTROLLER => Action::Controller(Box::new(Controller::read_old(r)?)),
        nx::CONTROLLER2 => Action::Controller(Box::new(Controller::read(r)?)),
        nx::SAMPLE | nx::SAMPLE2 | nx::SAMPLE3 => Action::Sample(Box::new(Sample::read(r, subtype)?)),
        nx::SAMPLE4 => Action::Sample(Box::new(Sample::read_with_fields(r)?)),
        nx::BUNDLE | nx::BUNDLE_LOAD => {
            Action::Bundle(Box::new(Bundle::read(r, subtype == nx::BUNDLE_LOAD)?))
        }
        nx::MULTIPATH => Action::Multipath(Box::new(Multipath::read(r)?)),
        nx::REG_MOVE => {
            let (n_bits, src_ofs, dst_ofs) = (r.u16()?, r.u16()?, r.u16()?);
            copy_field(r, n_bits, src_ofs, dst_ofs)?
        }
        nx::REG_LOAD => {
            let bits = r.u16()?;
            let field = read_field(r)?;
            let dst = unpack_subfield(r, field, bits)?;
            let value = u128::from(r.u64()?);
            if value & !crate::field::low_bits(dst.n_bits) != 0 {
                return Err(r.error("a value within its bits", value as u64, ErrorCode::ACTION_BAD_ARGUMENT));
            }
            writable(r, Action::load(dst, value), field)?
        }
        nx::REG_LOAD2 => set_field(r)?,
        nx::STACK_PUSH => Action::StackPush(stack_operand(r)?),
        nx::STACK_POP => Action::StackPop(stack_operand(r)?),
        nx::OUTPUT_REG => {
            let bits = r.u16()?;
            let field = read_field(r)?;
            let src = unpack_subfield(r, field, bits)?;
            Action::OutputReg { src, max_len: r.u16()? }
        }
        nx::OUTPUT_REG2 => {
            let bits = r.u16()?;
            let max_len = r.u16()?;
            let field = read_field(r)?;
            Action::OutputReg { src: unpack_subfield(r, field, bits)?, max_len }
        }
        nx::CHECK_PKT_LARGER => {
            let pkt_len = r.u16()?;
            let ofs = r.u16()?;
            let dst = Subfield::new(read_field(r)?, ofs, 1);
            Action::CheckPktLarger { pkt_len, dst: checked(r, dst)? }
        }
        nx::DELETE_FIELD => Action::DeleteField(read_field(r)?),
        _ => nicira_plain(r, subtype, raw)?,
    })
}

/// Nicira's actions whose operands are plain numbers.
fn nicira_plain(r: &mut Reader<'_>, subtype: u16, raw: &[u8]) -> wire::Result<Action> {
    let after = |r: &mut Reader<'_>, pad| {
        r.skip(pad)?;
        r.u32()
    };
    Ok(match subtype {
        nx::RESUBMIT => Action::Resubmit { port: port_from_u16(r.u16()?), table: None, ct: false },
        nx::RESUBMIT_TABLE | nx::RESUBMIT_TABLE_CT => Action::Resubmit {
            port: port_from_u16(r.u16()?),
            table: Some(r.u8()?).filter(|&t| t != 0xff),
            ct: subtype == nx::RESUBMIT_TABLE_CT,
        },
        nx::SET_TUNNEL => Action::set_field(Field::TUN_ID, after(r, 2)?),
        nx::SET_TUNNEL64 => {
            r.skip(6)?;
            Action::set_field(Field::TUN_ID, r.u64()?)
        }
        nx::SET_QUEUE => Action::SetQueue(after(r, 2)?),
        nx::POP_QUEUE => Action::PopQueue,
        nx::NOTE => Action::Note(r.rest().into()),
        nx::EXIT => Action::Exit,
        nx::DEC_TTL => Action::DecTtl,
        nx::DEC_TTL_CNT_IDS => {
            let n = usize::from(r.u16()?);
            r.skip(4)?;
            let mut ids = Reader::new(r.bytes(2 * n)?, "controller ids", ErrorCode::ACTION_BAD_LEN);
            let ids: wire::Result<Vec<u16>> = (0..n).map(|_| ids.u16()).collect();
            Action::DecTtlCntIds(ids?.into())
        }
        nx::FIN_TIMEOUT => Action::FinTimeout { idle_s: r.u16()?, hard_s: r.u16()? },
        nx::WRITE_METADATA => {
            r.skip(6)?;
            Action::WriteMetadata { value: r.u64()?, mask: r.u64()? }
        }
        nx::PUSH_MPLS => Action::PushMpls(r.u16()?),
        nx::POP_MPLS => Action::PopMpls(r.u16()?),
        nx::SET_MPLS_TTL => Action::SetMplsTtl(r.u8()?),
        nx::DEC_MPLS_TTL => Action::DecMplsTtl,
        nx::SET_MPLS_LABEL => Action::set_field(Field::MPLS_LABEL, after(r, 2)?),
        nx::SET_MPLS_TC => Action::set_field(Field::MPLS_TC, r.u8()?),
        nx::CONJUNCTION => Action::Conjunction { clause: r.u8()?, n_clauses: r.u8()?, id: r.u32()? },
        nx::OUTPUT_TRUNC => Action::OutputTrunc { port: port_from_u16(r.u16()?), max_len: r.u32()? },
        nx::GROUP => Action::Group(after(r, 2)?),
        nx::CT_CLEAR => Action::CtClear,
        nx::ENCAP => Action::Encap { hdr_size: r.u16()?, packet_type: r.u32()?, properties: r.rest().into() },
        nx::DECAP => Action::Decap(after(r, 2)?),
        nx::DEC_NSH_TTL => Action::DecNshTtl,
        nx::DEBUG_SLOW => Action::DebugSlow,
        nx::DEBUG_RECIRC => Action::DebugRecirc,
        _ => Action::Unknown(raw.into()),
    })
}

/// Errors of `set_field` are errors of the action, not of the match.
fn set_field(r: &mut Reader<'_>) -> wire::Result<Action> {
    let tlv = read_tlv(r, Unknown::Refused).map_err(|e| {
        let code = match e.code {
            ErrorCode::MATCH_BAD_FIELD => ErrorCode::ACTION_BAD_SET_TYPE,
            ErrorCode::MATCH_BAD_LEN => ErrorCode::ACTION_BAD_SET_LEN,
            ErrorCode::MATCH_BAD_VALUE => ErrorCode::ACTION_BAD_SET_ARGUMENT,
            other => other,
        };
        DecodeError { code, ..e }
    })?;
    match tlv {
        Some(tlv) => writable(r, Action::SetField(tlv.value), tlv.value.field),
        None => Err(r.error("a known field", 0u8, ErrorCode::ACTION_BAD_SET_TYPE)),
    }
}

/// Refuses to write what is only read.
fn writable(r: &Reader<'_>, action: Action, field: Field) -> wire::Result<Action> {
    if field.info().writable {
        return Ok(action);
    }
    Err(r.error("a field that may be written", field.order(), ErrorCode::ACTION_BAD_SET_ARGUMENT))
}

/// Here the length of a tunnel option says nothing: OVN sends the longest, and Open vSwitch gives back the one that
/// is mapped.
fn copy_field(r: &mut Reader<'_>, n_bits: u16, src_ofs: u16, dst_ofs: u16) -> wire::Result<Action> {
    let longest = |field: Field| match field.as_tun_metadata() {
        Some(n) => Field::tun_metadata(n, Field::TUN_METADATA_MAX_LEN),
        None => field,
    };
    let src = Subfield::new(longest(read_field(r)?), src_ofs, n_bits);
    let dst = Subfield::new(longest(read_field(r)?), dst_ofs, n_bits);
    let action = Action::CopyField { src: checked(r, src)?, dst: checked(r, dst)? };
    writable(r, action, dst.field)
}

fn stack_operand(r: &mut Reader<'_>) -> wire::Result<Subfield> {
    let ofs = r.u16()?;
    let field = read_field(r)?;
    let sf = Subfield::new(field, ofs, r.u16()?);
    checked(r, sf)
}

/// Reads the header that names an operand. It has no mask; its length is the field's, except that tunnel metadata may
/// come with any.
fn read_field(r: &mut Reader<'_>) -> wire::Result<Field> {
    let (word, header, has_mask, len) = read_header(r)?;
    if has_mask {
        return Err(r.error("a field without a mask", word, ErrorCode::MATCH_BAD_MASK));
    }
    match Field::by_header(header, len) {
        Some(field) if field.n_bytes() == len => Ok(field),
        Some(_) => Err(r.error("a field of its own length", word, ErrorCode::MATCH_BAD_LEN)),
        None => Err(r.error("a known field", word, ErrorCode::MATCH_BAD_FIELD)),
    }
}

/// The same where there are four bytes for it, too few for an experimenter's.
pub(super) fn read_short_header(r: &mut Reader<'_>) -> wire::Result<Field> {
    let at = r.clone();
    let field = read_field(r)?;
    if field.info().oldest.n_bytes() > 4 {
        return Err(at.error(
            "a field with a header of four bytes",
            field.order(),
            ErrorCode::MATCH_BAD_FIELD,
        ));
    }
    Ok(field)
}

/// The bits of `field` that the next two bytes name.
pub(super) fn subfield_of(r: &mut Reader<'_>, field: Field) -> wire::Result<Subfield> {
    let bits = r.u16()?;
    unpack_subfield(r, field, bits)
}

/// The bits of `field` that 16 packed bits name.
pub(super) fn unpack_subfield(r: &Reader<'_>, field: Field, bits: u16) -> wire::Result<Subfield> {
    checked(r, Subfield::new(field, bits >> 6, (bits & 0x3f) + 1))
}

/// Refuses bits that the field does not have.
pub(super) fn checked(r: &Reader<'_>, sf: Subfield) -> wire::Result<Subfield> {
    if sf.is_valid() {
        return Ok(sf);
    }
    let came = u32::from(sf.ofs) << 16 | u32::from(sf.n_bits);
    Err(r.error("bits within the field", came, ErrorCode::ACTION_BAD_ARGUMENT))
}

impl FieldValue {
    /// Whether writing it is allowed: only bits of the field under the mask, and a field that can be written.
    pub fn is_writable(&self) -> bool {
        self.field.info().writable
            && self.value & !(self.mask & self.field.value_bits()) == 0
            && self.mask & !self.field.all_ones() == 0
    }
}
