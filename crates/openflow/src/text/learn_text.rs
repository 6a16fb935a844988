//! `learn` in text.

use super::value::{
    Hex, parse_subfield, parse_u16, parse_u32, parse_u64, parse_u128, print_in_action, print_subfield,
};
use super::{DEFAULT_PRIORITY, ParseError, Result, action_print::settable, split, value};
use crate::action::{Learn, LearnDst, LearnSpec, LearnSrc};
use crate::field::FieldValue;
use crate::{Field, Subfield};
use std::fmt::{self, Write};

const FLAGS: [(&str, u16); 2] =
    [("send_flow_rem", Learn::SEND_FLOW_REM), ("delete_learned", Learn::DELETE_LEARNED)];

pub(super) fn print(learn: &Learn, f: &mut dyn Write) -> fmt::Result {
    write!(f, "learn(table={}", learn.table)?;
    for (name, seconds) in [
        ("idle_timeout", learn.idle_timeout_s),
        ("hard_timeout", learn.hard_timeout_s),
        ("fin_idle_timeout", learn.fin_idle_timeout_s),
        ("fin_hard_timeout", learn.fin_hard_timeout_s),
    ] {
        if seconds != 0 {
            write!(f, ",{name}={seconds}")?;
        }
    }
    if learn.priority != DEFAULT_PRIORITY {
        write!(f, ",priority={}", learn.priority)?;
    }
    for (name, flag) in FLAGS {
        if learn.flags & flag != 0 {
            write!(f, ",{name}")?;
        }
    }
    if learn.cookie != 0 {
        write!(f, ",cookie={}", Hex(learn.cookie.into()))?;
    }
    if learn.limit != 0 {
        write!(f, ",limit={}", learn.limit)?;
    }
    if let Some(sf) = &learn.result_dst {
        f.write_str(",result_dst=")?;
        print_subfield(sf, f)?;
    }
    for spec in &learn.specs {
        f.write_char(',')?;
        print_spec(spec, f)?;
    }
    f.write_char(')')
}

fn is_whole(sf: &Subfield) -> bool {
    sf.ofs == 0 && sf.n_bits == sf.field.n_bits()
}

fn print_spec(spec: &LearnSpec, f: &mut dyn Write) -> fmt::Result {
    match (&spec.dst, &spec.src) {
        (LearnDst::Match(dst), LearnSrc::Imm(value)) if is_whole(dst) => {
            write!(f, "{}=", dst.field.name())?;
            print_in_action(&FieldValue::exact(dst.field, *value), f)
        }
        (LearnDst::Match(dst), LearnSrc::Imm(value)) => {
            print_subfield(dst, f)?;
            write!(f, "={}", Hex(*value))
        }
        (LearnDst::Match(dst), LearnSrc::Field(src)) => {
            print_subfield(dst, f)?;
            if dst == src {
                return Ok(());
            }
            f.write_char('=')?;
            print_subfield(src, f)
        }
        (LearnDst::Load(dst), src) => {
            f.write_str("load:")?;
            match src {
                LearnSrc::Imm(value) => write!(f, "{}", Hex(*value))?,
                LearnSrc::Field(src) => print_subfield(src, f)?,
            }
            f.write_str("->")?;
            print_subfield(dst, f)
        }
        (LearnDst::Output, src) => {
            f.write_str("output:")?;
            match src {
                LearnSrc::Imm(value) => write!(f, "{}", Hex(*value)),
                LearnSrc::Field(src) => print_subfield(src, f),
            }
        }
    }
}

/// Reads what is inside the parentheses.
pub(super) fn parse(text: &str) -> Result<Learn> {
    let mut learn = Learn::default();
    let mut specs = Vec::new();
    for item in split::list(text)? {
        if let Some((_, flag)) = FLAGS.iter().find(|(name, _)| *name == item) {
            learn.flags |= flag;
            continue;
        }
        let (name, arg) = item.split_once('=').map_or((item, ""), |(n, a)| (n.trim(), a.trim()));
        match name {
            "table" => learn.table = value::parse_u8(arg)?,
            "idle_timeout" => learn.idle_timeout_s = parse_u16(arg)?,
            "hard_timeout" => learn.hard_timeout_s = parse_u16(arg)?,
            "fin_idle_timeout" => learn.fin_idle_timeout_s = parse_u16(arg)?,
            "fin_hard_timeout" => learn.fin_hard_timeout_s = parse_u16(arg)?,
            "priority" => learn.priority = parse_u16(arg)?,
            "cookie" => learn.cookie = parse_u64(arg)?,
            "limit" => learn.limit = parse_u32(arg)?,
            "result_dst" => learn.result_dst = Some(parse_subfield(arg)?),
            _ => specs.push(parse_spec(item)?),
        }
    }
    learn.specs = specs.into();
    Ok(learn)
}

fn parse_spec(item: &str) -> Result<LearnSpec> {
    if let Some(rest) = item.strip_prefix("load:") {
        let (src, dst) =
            rest.split_once("->").ok_or_else(|| ParseError::new(item, "load:source->destination"))?;
        let dst = parse_subfield(dst)?;
        let src = parse_src(src, dst.n_bits)?;
        return Ok(LearnSpec { n_bits: dst.n_bits, src, dst: LearnDst::Load(dst) });
    }
    if let Some(rest) = item.strip_prefix("output:") {
        let src = parse_subfield(rest)?;
        return Ok(LearnSpec { n_bits: src.n_bits, src: LearnSrc::Field(src), dst: LearnDst::Output });
    }
    let (dst_text, src_text) = item.split_once('=').map_or((item, None), |(d, s)| (d, Some(s)));
    let mut dst = parse_subfield(dst_text)?;
    let src = match src_text {
        None => LearnSrc::Field(dst),
        // A bare name takes a value in the field's own form.
        Some(text) if !dst_text.contains('[') && parse_subfield(text).is_err() => {
            let field: Field = settable(dst.field);
            dst = Subfield::whole(field);
            LearnSrc::Imm(value::parse(field, text)?.value)
        }
        Some(text) => parse_src(text, dst.n_bits)?,
    };
    Ok(LearnSpec { n_bits: dst.n_bits, src, dst: LearnDst::Match(dst) })
}

/// A constant or a field of so many bits.
fn parse_src(text: &str, n_bits: u16) -> Result<LearnSrc> {
    if let Ok(value) = parse_u128(text) {
        if n_bits > 128 || value & !crate::field::low_bits(n_bits) != 0 {
            return Err(ParseError::new(text, "a number within the destination's bits"));
        }
        return Ok(LearnSrc::Imm(value));
    }
    let src = parse_subfield(text)?;
    if src.n_bits != n_bits {
        return Err(ParseError::new(text, "as many bits as the destination has"));
    }
    Ok(LearnSrc::Field(src))
}
