//! Flows that the switch makes itself.

use super::decode::{self, read_short_header};
use super::encode::{finish, nx, put_short_header, start_nx};
use crate::error::ErrorCode;
use crate::field::Subfield;
use crate::flow_match::{put_uint, read_uint};
use crate::wire::{self, Put, Reader, TooLong};

/// `learn(..)`: adds or modifies a flow made from the packet (ovs-actions(7), "The learn action").
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Learn {
    /// Idle timeout of the flow, in seconds; 0 for none.
    pub idle_timeout_s: u16,
    /// Hard timeout of the flow, in seconds; 0 for none.
    pub hard_timeout_s: u16,
    /// Priority of the flow.
    pub priority: u16,
    /// Cookie of the flow.
    pub cookie: u64,
    /// [`Learn::SEND_FLOW_REM`] and the others, without [`Learn::WRITE_RESULT`], which `result_dst` implies.
    pub flags: u16,
    /// The table that gets the flow.
    pub table: u8,
    /// The flow's idle timeout once TCP ends, in seconds.
    pub fin_idle_timeout_s: u16,
    /// The flow's hard timeout once TCP ends, in seconds.
    pub fin_hard_timeout_s: u16,
    /// How many flows may be learned with this cookie; 0 is no limit.
    pub limit: u32,
    /// The bit that gets whether a flow was learned.
    pub result_dst: Option<Subfield>,
    /// What the flow matches and does.
    pub specs: Box<[LearnSpec]>,
}

impl Default for Learn {
    fn default() -> Self {
        Learn {
            idle_timeout_s: 0,
            hard_timeout_s: 0,
            priority: 32768,
            cookie: 0,
            flags: 0,
            table: 1,
            fin_idle_timeout_s: 0,
            fin_hard_timeout_s: 0,
            limit: 0,
            result_dst: None,
            specs: Box::default(),
        }
    }
}

/// One item of a learned flow: so many bits, from a source, to a destination.
///
/// ```text
///  15  14  13  12  11  10   9                               0
///  +---+---+---+-------+---+---------------------------------+
///  | 0 | 0 |src|  dst  | 0 |             n_bits              |
///  +---+---+---+-------+---+---------------------------------+
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct LearnSpec {
    /// How many bits, 1 to 128 for constants.
    pub n_bits: u16,
    /// Where they come from.
    pub src: LearnSrc,
    /// What becomes of them.
    pub dst: LearnDst,
}

/// Where a learned flow's bits come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LearnSrc {
    /// The packet that makes the flow.
    Field(Subfield),
    /// A constant.
    Imm(u128),
}

/// What becomes of a learned flow's bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LearnDst {
    /// The flow matches them.
    Match(Subfield),
    /// The flow loads them.
    Load(Subfield),
    /// The flow outputs to the port of that number.
    Output,
}

impl Learn {
    /// The switch tells when the flow goes.
    pub const SEND_FLOW_REM: u16 = 1;
    /// The learned flows go with the flow that learned them.
    pub const DELETE_LEARNED: u16 = 2;
    /// The result is written into `result_dst`.
    pub const WRITE_RESULT: u16 = 4;

    pub(super) fn put(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let second_form = self.limit != 0 || self.result_dst.is_some();
        let at = start_nx(out, if second_form { nx::LEARN2 } else { nx::LEARN });
        out.put_u16(self.idle_timeout_s);
        out.put_u16(self.hard_timeout_s);
        out.put_u16(self.priority);
        out.put_u64(self.cookie);
        let result_flag = if self.result_dst.is_some() { Learn::WRITE_RESULT } else { 0 };
        out.put_u16(self.flags & !Learn::WRITE_RESULT | result_flag);
        out.put_u8(self.table);
        out.put_u8(0);
        out.put_u16(self.fin_idle_timeout_s);
        out.put_u16(self.fin_hard_timeout_s);
        if second_form {
            out.put_u32(self.limit);
            out.put_u16(self.result_dst.map_or(0, |sf| sf.ofs));
            out.put_u16(0);
            if let Some(sf) = self.result_dst {
                put_short_header(out, sf.field)?;
            }
        }
        for spec in &self.specs {
            spec.put(out)?;
        }
        finish(out, at)
    }

    pub(super) fn read(r: &mut Reader<'_>, second_form: bool) -> wire::Result<Learn> {
        let mut learn = Learn {
            idle_timeout_s: r.u16()?,
            hard_timeout_s: r.u16()?,
            priority: r.u16()?,
            cookie: r.u64()?,
            flags: r.u16()?,
            table: r.u8()?,
            fin_idle_timeout_s: {
                r.skip(1)?;
                r.u16()?
            },
            fin_hard_timeout_s: r.u16()?,
            ..Learn::default()
        };
        if second_form {
            learn.limit = r.u32()?;
            let ofs = r.u16()?;
            r.skip(2)?;
            if learn.flags & Learn::WRITE_RESULT != 0 {
                let sf = Subfield::new(read_short_header(r)?, ofs, 1);
                learn.result_dst = Some(decode::checked(r, sf)?);
            }
        }
        learn.flags &= !Learn::WRITE_RESULT;
        let mut specs = Vec::new();
        while r.remaining() >= 2 {
            let Some(spec) = LearnSpec::read(r)? else { break };
            specs.push(spec);
        }
        learn.specs = specs.into();
        Ok(learn)
    }
}

/// Bits of the spec's header.
mod spec {
    pub(super) const SRC_IMM: u16 = 1 << 13;
    pub(super) const DST: u16 = 3 << 11;
    pub(super) const DST_MATCH: u16 = 0;
    pub(super) const DST_LOAD: u16 = 1 << 11;
    pub(super) const DST_OUTPUT: u16 = 2 << 11;
    pub(super) const N_BITS: u16 = 0x3ff;
}

/// Bytes of a constant of `n_bits`, which comes in units of 16 bits.
fn imm_len(n_bits: u16) -> usize {
    2 * usize::from(n_bits.div_ceil(16))
}

impl LearnSpec {
    fn put(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let src = if matches!(self.src, LearnSrc::Imm(_)) { spec::SRC_IMM } else { 0 };
        let (dst, dst_sf) = match self.dst {
            LearnDst::Match(sf) => (spec::DST_MATCH, Some(sf)),
            LearnDst::Load(sf) => (spec::DST_LOAD, Some(sf)),
            LearnDst::Output => (spec::DST_OUTPUT, None),
        };
        out.put_u16(src | dst | (self.n_bits & spec::N_BITS));
        match self.src {
            LearnSrc::Field(sf) => put_learn_field(&sf, out)?,
            LearnSrc::Imm(value) => put_uint(out, value, imm_len(self.n_bits)),
        }
        match dst_sf {
            Some(sf) => put_learn_field(&sf, out),
            None => Ok(()),
        }
    }

    /// Reads one; `None` at the padding that ends the list.
    fn read(r: &mut Reader<'_>) -> wire::Result<Option<LearnSpec>> {
        let header = r.u16()?;
        if header == 0 {
            return Ok(None);
        }
        let n_bits = header & spec::N_BITS;
        if n_bits == 0 || header & !(spec::SRC_IMM | spec::DST | spec::N_BITS) != 0 {
            return Err(r.error("a spec of at least one bit", header, ErrorCode::ACTION_BAD_ARGUMENT));
        }
        let src = if header & spec::SRC_IMM == 0 {
            LearnSrc::Field(read_learn_field(r, n_bits)?)
        } else {
            let value =
                read_uint(r.bytes(imm_len(n_bits))?).filter(|v| v & !crate::field::low_bits(n_bits) == 0);
            LearnSrc::Imm(value.ok_or_else(|| {
                r.error("a constant within its bits", n_bits, ErrorCode::ACTION_BAD_ARGUMENT)
            })?)
        };
        let dst = match header & spec::DST {
            spec::DST_MATCH => LearnDst::Match(read_learn_field(r, n_bits)?),
            spec::DST_LOAD => LearnDst::Load(read_learn_field(r, n_bits)?),
            spec::DST_OUTPUT => LearnDst::Output,
            _ => return Err(r.error("a known destination", header, ErrorCode::ACTION_BAD_ARGUMENT)),
        };
        Ok(Some(LearnSpec { n_bits, src, dst }))
    }
}

fn put_learn_field(sf: &Subfield, out: &mut Vec<u8>) -> Result<(), TooLong> {
    put_short_header(out, sf.field)?;
    out.put_u16(sf.ofs);
    Ok(())
}

fn read_learn_field(r: &mut Reader<'_>, n_bits: u16) -> wire::Result<Subfield> {
    let field = read_short_header(r)?;
    let sf = Subfield::new(field, r.u16()?, n_bits);
    decode::checked(r, sf)
}
