//! Actions to bytes.

use super::{Action, Actions, port_to_u16};
use crate::field::{Field, FieldValue, Subfield};
use crate::flow_match::{header_for, put_tlv, put_uint};
use crate::version::Version;
use crate::wire::{NICIRA, Put, TooLong};

/// Nicira's action numbers (ovs-actions(7)).
pub(super) mod nx {
    pub(crate) const RESUBMIT: u16 = 1;
    pub(crate) const SET_TUNNEL: u16 = 2;
    pub(crate) const SET_QUEUE: u16 = 4;
    pub(crate) const POP_QUEUE: u16 = 5;
    pub(crate) const REG_MOVE: u16 = 6;
    pub(crate) const REG_LOAD: u16 = 7;
    pub(crate) const NOTE: u16 = 8;
    pub(crate) const SET_TUNNEL64: u16 = 9;
    pub(crate) const MULTIPATH: u16 = 10;
    pub(crate) const BUNDLE: u16 = 12;
    pub(crate) const BUNDLE_LOAD: u16 = 13;
    pub(crate) const RESUBMIT_TABLE: u16 = 14;
    pub(crate) const OUTPUT_REG: u16 = 15;
    pub(crate) const LEARN: u16 = 16;
    pub(crate) const EXIT: u16 = 17;
    pub(crate) const DEC_TTL: u16 = 18;
    pub(crate) const FIN_TIMEOUT: u16 = 19;
    pub(crate) const CONTROLLER: u16 = 20;
    pub(crate) const DEC_TTL_CNT_IDS: u16 = 21;
    pub(crate) const WRITE_METADATA: u16 = 22;
    pub(crate) const PUSH_MPLS: u16 = 23;
    pub(crate) const POP_MPLS: u16 = 24;
    pub(crate) const SET_MPLS_TTL: u16 = 25;
    pub(crate) const DEC_MPLS_TTL: u16 = 26;
    pub(crate) const STACK_PUSH: u16 = 27;
    pub(crate) const STACK_POP: u16 = 28;
    pub(crate) const SAMPLE: u16 = 29;
    pub(crate) const SET_MPLS_LABEL: u16 = 30;
    pub(crate) const SET_MPLS_TC: u16 = 31;
    pub(crate) const OUTPUT_REG2: u16 = 32;
    pub(crate) const REG_LOAD2: u16 = 33;
    pub(crate) const CONJUNCTION: u16 = 34;
    pub(crate) const CT: u16 = 35;
    pub(crate) const NAT: u16 = 36;
    pub(crate) const CONTROLLER2: u16 = 37;
    pub(crate) const SAMPLE2: u16 = 38;
    pub(crate) const OUTPUT_TRUNC: u16 = 39;
    pub(crate) const GROUP: u16 = 40;
    pub(crate) const SAMPLE3: u16 = 41;
    pub(crate) const CLONE: u16 = 42;
    pub(crate) const CT_CLEAR: u16 = 43;
    pub(crate) const RESUBMIT_TABLE_CT: u16 = 44;
    pub(crate) const LEARN2: u16 = 45;
    pub(crate) const ENCAP: u16 = 46;
    pub(crate) const DECAP: u16 = 47;
    pub(crate) const DEC_NSH_TTL: u16 = 48;
    pub(crate) const CHECK_PKT_LARGER: u16 = 49;
    pub(crate) const DELETE_FIELD: u16 = 50;
    pub(crate) const SAMPLE4: u16 = 51;
    pub(crate) const DEBUG_SLOW: u16 = 254;
    pub(crate) const DEBUG_RECIRC: u16 = 255;
}

/// OpenFlow's action numbers, 1.1 and later (OpenFlow 1.5.1, section 7.2.6).
pub(super) mod of {
    pub(crate) const OUTPUT: u16 = 0;
    pub(crate) const COPY_TTL_OUT: u16 = 11;
    pub(crate) const COPY_TTL_IN: u16 = 12;
    pub(crate) const SET_MPLS_TTL: u16 = 15;
    pub(crate) const DEC_MPLS_TTL: u16 = 16;
    pub(crate) const PUSH_VLAN: u16 = 17;
    pub(crate) const POP_VLAN: u16 = 18;
    pub(crate) const PUSH_MPLS: u16 = 19;
    pub(crate) const POP_MPLS: u16 = 20;
    pub(crate) const SET_QUEUE: u16 = 21;
    pub(crate) const GROUP: u16 = 22;
    pub(crate) const SET_NW_TTL: u16 = 23;
    pub(crate) const DEC_NW_TTL: u16 = 24;
    pub(crate) const SET_FIELD: u16 = 25;
    pub(crate) const PUSH_PBB: u16 = 26;
    pub(crate) const POP_PBB: u16 = 27;
    pub(crate) const COPY_FIELD: u16 = 28;
    pub(crate) const METER: u16 = 29;
    pub(crate) const EXPERIMENTER: u16 = 0xffff;
    /// ONF's experimenter form of `COPY_FIELD` in 1.3 and 1.4.
    pub(crate) const ONF_COPY_FIELD: u16 = 3200;
    /// 1.0's own numbers.
    pub(crate) mod v10 {
        pub(crate) const STRIP_VLAN: u16 = 3;
        pub(crate) const SET_VLAN_VID: u16 = 1;
        pub(crate) const SET_VLAN_PCP: u16 = 2;
        pub(crate) const SET_DL_SRC: u16 = 4;
        pub(crate) const SET_DL_DST: u16 = 5;
        pub(crate) const SET_NW_SRC: u16 = 6;
        pub(crate) const SET_NW_DST: u16 = 7;
        pub(crate) const SET_NW_TOS: u16 = 8;
        pub(crate) const SET_TP_SRC: u16 = 9;
        pub(crate) const SET_TP_DST: u16 = 10;
    }
}

/// Starts an action and gives its position, for [`finish`].
pub(super) fn start(out: &mut Vec<u8>, typ: u16) -> usize {
    let at = out.len();
    out.put_u16(typ);
    out.put_u16(0);
    at
}

/// Starts one of Nicira's actions.
pub(super) fn start_nx(out: &mut Vec<u8>, subtype: u16) -> usize {
    let at = start(out, of::EXPERIMENTER);
    out.put_u32(NICIRA);
    out.put_u16(subtype);
    at
}

/// Pads an action and writes its length.
pub(super) fn finish(out: &mut Vec<u8>, at: usize) -> Result<(), TooLong> {
    out.pad8(at);
    let len = out.len() - at;
    if len > Actions::MAX_LEN {
        out.truncate(at);
        return Err(TooLong { what: "action", len, max: Actions::MAX_LEN });
    }
    out.set_len_at_2(at);
    Ok(())
}

/// Appends a field's header as Nicira's actions spell it.
pub(super) fn put_oldest(out: &mut Vec<u8>, field: Field) {
    field.info().oldest.put(out, false, field.n_bytes());
}

/// The same where there are four bytes for it: an experimenter's header, which has eight, does not fit.
pub(super) fn put_short_header(out: &mut Vec<u8>, field: Field) -> Result<(), TooLong> {
    let len = field.info().oldest.n_bytes();
    if len > 4 {
        return Err(TooLong { what: "header of a field inside an action", len, max: 4 });
    }
    put_oldest(out, field);
    Ok(())
}

/// Bit offset and width packed into 16 bits, as several of Nicira's actions do.
pub(super) fn ofs_nbits(sf: &Subfield) -> u16 {
    sf.ofs << 6 | (sf.n_bits.saturating_sub(1) & 0x3f)
}

impl Action {
    /// Appends the action in the form of `version`.
    ///
    /// What a version cannot say is said in Nicira's form, which every version carries.
    pub fn put(&self, version: Version, out: &mut Vec<u8>) -> Result<(), TooLong> {
        match self {
            Action::SetField(v) => put_set_field(v, version, out),
            Action::CopyField { src, dst } => put_copy_field(src, dst, version, out),
            Action::Controller(c) => c.put(out),
            Action::Ct(ct) => ct.put(version, out),
            Action::Nat(nat) => nat.put(out),
            Action::Clone(actions) => {
                let at = start_nx(out, nx::CLONE);
                out.put_zeros(6);
                actions.put(version, out)?;
                finish(out, at)
            }
            Action::Learn(learn) => learn.put(out),
            Action::Sample(sample) => sample.put(out),
            Action::Bundle(bundle) => bundle.put(out),
            Action::Multipath(multipath) => multipath.put(out),
            Action::Unknown(raw) => {
                let at = out.len();
                out.extend_from_slice(raw);
                pad_to(out, at, 8);
                finish(out, at)
            }
            _ if version == Version::V1_0 => self.put_v10(out),
            _ => self.put_standard(out),
        }
    }

    /// Actions that have a number of their own since 1.1.
    fn put_standard(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let mut with_u32 = |typ, arg: u32| {
            let at = start(out, typ);
            out.put_u32(arg);
            finish(out, at)
        };
        let upper16 = |v: u16| u32::from(v) << 16;
        let upper8 = |v: u8| u32::from(v) << 24;
        match *self {
            Action::Output { port, max_len } => {
                let at = start(out, of::OUTPUT);
                out.put_u32(port.0);
                out.put_u16(max_len);
                out.put_zeros(6);
                finish(out, at)
            }
            Action::Group(id) => with_u32(of::GROUP, id),
            Action::SetQueue(queue) => with_u32(of::SET_QUEUE, queue),
            Action::Meter(id) => with_u32(of::METER, id),
            Action::PushVlan(ethertype) => with_u32(of::PUSH_VLAN, upper16(ethertype)),
            Action::PopVlan => with_u32(of::POP_VLAN, 0),
            Action::PushMpls(ethertype) => with_u32(of::PUSH_MPLS, upper16(ethertype)),
            Action::PopMpls(ethertype) => with_u32(of::POP_MPLS, upper16(ethertype)),
            Action::PushPbb(ethertype) => with_u32(of::PUSH_PBB, upper16(ethertype)),
            Action::PopPbb => with_u32(of::POP_PBB, 0),
            Action::SetMplsTtl(ttl) => with_u32(of::SET_MPLS_TTL, upper8(ttl)),
            Action::DecMplsTtl => with_u32(of::DEC_MPLS_TTL, 0),
            Action::CopyTtlOut => with_u32(of::COPY_TTL_OUT, 0),
            Action::CopyTtlIn => with_u32(of::COPY_TTL_IN, 0),
            Action::SetNwTtl(ttl) => with_u32(of::SET_NW_TTL, upper8(ttl)),
            Action::DecTtl => with_u32(of::DEC_NW_TTL, 0),
            _ => self.put_nicira(out),
        }
    }

    /// Actions that only Nicira numbers, and that name fields.
    fn put_nicira(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let at = match self {
            Action::OutputReg { src, max_len } => put_output_reg(src, *max_len, out),
            Action::StackPush(sf) => put_stack(nx::STACK_PUSH, sf, out),
            Action::StackPop(sf) => put_stack(nx::STACK_POP, sf, out),
            Action::CheckPktLarger { pkt_len, dst } => {
                let at = start_nx(out, nx::CHECK_PKT_LARGER);
                out.put_u16(*pkt_len);
                out.put_u16(dst.ofs);
                put_oldest(out, dst.field);
                pad_to(out, at, 24);
                at
            }
            Action::DeleteField(field) => {
                let at = start_nx(out, nx::DELETE_FIELD);
                put_oldest(out, *field);
                pad_to(out, at, 24);
                at
            }
            _ => self.put_nicira_plain(out),
        };
        finish(out, at)
    }

    /// Nicira's actions whose operands are plain numbers; gives where the action starts.
    fn put_nicira_plain(&self, out: &mut Vec<u8>) -> usize {
        match self {
            Action::Resubmit { port, table, ct } => {
                let at = start_nx(out, if *ct { nx::RESUBMIT_TABLE_CT } else { nx::RESUBMIT_TABLE });
                out.put_u16(port_to_u16(*port));
                out.put_u8(table.unwrap_or(0xff));
                at
            }
            Action::OutputTrunc { port, max_len } => {
                let at = start_nx(out, nx::OUTPUT_TRUNC);
                out.put_u16(port_to_u16(*port));
                out.put_u32(*max_len);
                at
            }
            Action::PopQueue => start_nx(out, nx::POP_QUEUE),
            Action::DecTtlCntIds(ids) => {
                let at = start_nx(out, nx::DEC_TTL_CNT_IDS);
                out.put_u16(ids.len() as u16);
                out.put_zeros(4);
                ids.iter().for_each(|&id| out.put_u16(id));
                at
            }
            Action::CtClear => start_nx(out, nx::CT_CLEAR),
            Action::DebugSlow => start_nx(out, nx::DEBUG_SLOW),
            Action::DebugRecirc => start_nx(out, nx::DEBUG_RECIRC),
            Action::Conjunction { id, clause, n_clauses } => {
                let at = start_nx(out, nx::CONJUNCTION);
                out.put_u8(*clause);
                out.put_u8(*n_clauses);
                out.put_u32(*id);
                at
            }
            Action::Exit => start_nx(out, nx::EXIT),
            Action::FinTimeout { idle_s, hard_s } => {
                let at = start_nx(out, nx::FIN_TIMEOUT);
                out.put_u16(*idle_s);
                out.put_u16(*hard_s);
                at
            }
            Action::WriteMetadata { value, mask } => {
                let at = start_nx(out, nx::WRITE_METADATA);
                out.put_zeros(6);
                out.put_u64(*value);
                out.put_u64(*mask);
                at
            }
            Action::Note(data) => {
                let at = start_nx(out, nx::NOTE);
                out.extend_from_slice(data);
                at
            }
            Action::Encap { hdr_size, packet_type, properties } => {
                let at = start_nx(out, nx::ENCAP);
                out.put_u16(*hdr_size);
                out.put_u32(*packet_type);
                out.extend_from_slice(properties);
                at
            }
            Action::Decap(packet_type) => put_nx_u32(out, nx::DECAP, *packet_type),
            _ => start_nx(out, nx::DEC_NSH_TTL),
        }
    }

    /// The forms of 1.0: its own where it has one, else Nicira's.
    fn put_v10(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let at = match *self {
            Action::Output { port, max_len } => {
                let at = start(out, of::OUTPUT);
                out.put_u16(port_to_u16(port));
                out.put_u16(max_len);
                at
            }
            Action::PopVlan => start(out, of::v10::STRIP_VLAN),
            Action::Group(id) => put_nx_u32(out, nx::GROUP, id),
            Action::SetQueue(queue) => put_nx_u32(out, nx::SET_QUEUE, queue),
            Action::PushMpls(ethertype) => put_nx_u16(out, nx::PUSH_MPLS, ethertype),
            Action::PopMpls(ethertype) => put_nx_u16(out, nx::POP_MPLS, ethertype),
            Action::SetMplsTtl(ttl) => put_nx_u16(out, nx::SET_MPLS_TTL, u16::from(ttl) << 8),
            Action::DecMplsTtl => start_nx(out, nx::DEC_MPLS_TTL),
            Action::DecTtl => start_nx(out, nx::DEC_TTL),
            Action::SetNwTtl(ttl) => {
                return put_set_field(&FieldValue::exact(Field::NW_TTL, ttl.into()), Version::V1_0, out);
            }
            // These have no form in 1.0, and stock switches say so in the form of later versions.
            Action::PushVlan(_)
            | Action::PushPbb(_)
            | Action::PopPbb
            | Action::CopyTtlIn
            | Action::CopyTtlOut
            | Action::Meter(_) => return self.put_standard(out),
            _ => return self.put_nicira(out),
        };
        finish(out, at)
    }
}

fn put_nx_u32(out: &mut Vec<u8>, subtype: u16, arg: u32) -> usize {
    let at = start_nx(out, subtype);
    out.put_u16(0);
    out.put_u32(arg);
    at
}

fn put_nx_u16(out: &mut Vec<u8>, subtype: u16, arg: u16) -> usize {
    let at = start_nx(out, subtype);
    out.put_u16(arg);
    at
}

/// Zeros up to `len` bytes after `at`.
fn pad_to(out: &mut Vec<u8>, at: usize, len: usize) {
    let have = out.len() - at;
    out.put_zeros(len.saturating_sub(have));
}

fn put_stack(subtype: u16, sf: &Subfield, out: &mut Vec<u8>) -> usize {
    let at = start_nx(out, subtype);
    out.put_u16(sf.ofs);
    put_oldest(out, sf.field);
    out.put_u16(sf.n_bits);
    pad_to(out, at, 24);
    at
}

/// An experimenter's field has a header of 8 bytes, for which only the younger form has room.
fn put_output_reg(src: &Subfield, max_len: u16, out: &mut Vec<u8>) -> usize {
    if src.field.info().oldest.n_bytes() == 4 {
        let at = start_nx(out, nx::OUTPUT_REG);
        out.put_u16(ofs_nbits(src));
        put_oldest(out, src.field);
        out.put_u16(max_len);
        pad_to(out, at, 24);
        return at;
    }
    let at = start_nx(out, nx::OUTPUT_REG2);
    out.put_u16(ofs_nbits(src));
    out.put_u16(max_len);
    put_oldest(out, src.field);
    pad_to(out, at, 24);
    at
}

/// `set_field`, in 1.2 to 1.4 only for whole fields; 1.0's own actions where it has them; Nicira's loads for the rest,
/// whose older form has no room for an experimenter's header.
fn put_set_field(v: &FieldValue, version: Version, out: &mut Vec<u8>) -> Result<(), TooLong> {
    let exact = v.is_exact();
    if version < Version::V1_2 && exact && put_v10_setter(v, out) {
        return Ok(());
    }
    let own = version >= Version::V1_5 || (version >= Version::V1_2 && exact);
    let header = header_for(v.field, version);
    if !own && header.n_bytes() == 4 {
        return put_reg_loads(v, out);
    }
    let at = if own { start(out, of::SET_FIELD) } else { start_nx(out, nx::REG_LOAD2) };
    put_tlv(out, header, v);
    finish(out, at)
}

/// The actions of 1.0 that set one field each. `false` if there is none for this one.
fn put_v10_setter(v: &FieldValue, out: &mut Vec<u8>) -> bool {
    let (typ, arg, n_bytes) = match v.field {
        Field::VLAN_VID if v.value & 0x1000 != 0 => (of::v10::SET_VLAN_VID, v.value & 0xfff, 2),
        Field::VLAN_PCP => (of::v10::SET_VLAN_PCP, v.value, 1),
        Field::ETH_SRC => (of::v10::SET_DL_SRC, v.value, 6),
        Field::ETH_DST => (of::v10::SET_DL_DST, v.value, 6),
        Field::IPV4_SRC => (of::v10::SET_NW_SRC, v.value, 4),
        Field::IPV4_DST => (of::v10::SET_NW_DST, v.value, 4),
        Field::IP_DSCP => (of::v10::SET_NW_TOS, v.value << 2, 1),
        Field::NW_TOS => (of::v10::SET_NW_TOS, v.value, 1),
        Field::TCP_SRC | Field::UDP_SRC => (of::v10::SET_TP_SRC, v.value, 2),
        Field::TCP_DST | Field::UDP_DST => (of::v10::SET_TP_DST, v.value, 2),
        _ => return false,
    };
    let at = start(out, typ);
    put_uint(out, arg, n_bytes);
    finish(out, at).is_ok()
}

/// One load for every run of ones in the mask, of at most 64 bits, lowest first.
fn put_reg_loads(v: &FieldValue, out: &mut Vec<u8>) -> Result<(), TooLong> {
    let mut ofs = 0;
    while ofs < 128 && v.mask >> ofs != 0 {
        ofs += (v.mask >> ofs).trailing_zeros();
        let n_bits = (v.mask >> ofs).trailing_ones().min(64);
        let sf = Subfield::new(v.field, ofs as u16, n_bits as u16);
        let at = start_nx(out, nx::REG_LOAD);
        out.put_u16(ofs_nbits(&sf));
        put_oldest(out, v.field);
        put_uint(out, (v.value & sf.mask()) >> ofs, 8);
        finish(out, at)?;
        ofs += n_bits;
    }
    Ok(())
}

/// `copy_field` since 1.5, Nicira's `reg_move` before.
fn put_copy_field(
    src: &Subfield,
    dst: &Subfield,
    version: Version,
    out: &mut Vec<u8>,
) -> Result<(), TooLong> {
    let own = version >= Version::V1_5;
    let at = if own { start(out, of::COPY_FIELD) } else { start_nx(out, nx::REG_MOVE) };
    out.put_u16(src.n_bits);
    out.put_u16(src.ofs);
    out.put_u16(dst.ofs);
    out.put_zeros(if own { 2 } else { 0 });
    for sf in [src, dst] {
        let info = sf.field.info();
        let header = if own { info.header } else { info.oldest };
        header.put(out, false, sf.field.n_bytes());
    }
    finish(out, at)
}
