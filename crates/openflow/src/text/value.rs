//! Values of fields in text.

use super::{ParseError, Result, port, split};
use crate::action::{port_from_u16, port_to_u16};
use crate::field::{FieldValue, Format, ct_state};
use crate::{Field, Subfield};
use kiln_types::{EthAddr, IpText, OfPort, prefix_len_v4, prefix_len_v6};
use std::fmt::{self, Write};
use std::net::{Ipv4Addr, Ipv6Addr};

const TCP_FLAGS: [&str; 12] =
    ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns", "[200]", "[400]", "[800]"];
const TUN_FLAGS: [&str; 1] = ["oam"];

/// The names of fragment kinds, with value and mask.
const FRAGS: [(&str, u128, u128); 7] = [
    ("no", 0, 3),
    ("first", 1, 3),
    ("later", 3, 3),
    ("yes", 1, 1),
    ("no", 0, 1),
    ("later", 2, 2),
    ("not_later", 0, 2),
];

/// A number in hexadecimal, zero as a bare `0`.
pub(super) struct Hex(pub(super) u128);

impl fmt::Display for Hex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == 0 { f.write_char('0') } else { write!(f, "{:#x}", self.0) }
    }
}

/// Prints a field's value and mask the way actions do: without a mask if all bits count, a decimal before its mask.
pub(super) fn print_in_action(v: &FieldValue, f: &mut dyn Write) -> fmt::Result {
    match v.field.info().format {
        Format::Decimal if !v.is_exact() => write!(f, "{}/{}", v.value, Hex(v.mask)),
        Format::TunFlags => print_flags(&TUN_FLAGS, v, true, f),
        _ => print(v, f),
    }
}

/// Prints a field's value and mask the way matches do.
pub(super) fn print_in_match(v: &FieldValue, f: &mut dyn Write) -> fmt::Result {
    match v.field {
        Field::CT_ZONE => write!(f, "{}", v.value),
        Field::RECIRC_ID => write!(f, "{}", Hex(v.value)),
        Field::IPV6_LABEL if v.is_exact() => write!(f, "{:#07x}", v.value),
        Field::IPV6_LABEL => write!(f, "{:#07x}/{:#07x}", v.value, v.mask),
        _ => print(v, f),
    }
}

fn print(v: &FieldValue, f: &mut dyn Write) -> fmt::Result {
    let FieldValue { field, value, mask } = *v;
    let exact = v.is_exact();
    match field.info().format {
        Format::Decimal if exact => write!(f, "{value}"),
        Format::Decimal if field.n_bytes() == 1 => write!(f, "{value:#04x}/{mask:#04x}"),
        Format::Decimal if field.n_bytes() == 2 => write!(f, "{value:#x}/{mask:#x}"),
        Format::Decimal | Format::Hex if !exact => write!(f, "{}/{}", Hex(value), Hex(mask)),
        Format::Decimal | Format::Hex => write!(f, "{}", Hex(value)),
        Format::Ethernet => {
            write!(f, "{}", EthAddr::from_u64(value as u64))?;
            if exact { Ok(()) } else { write!(f, "/{}", EthAddr::from_u64(mask as u64)) }
        }
        Format::Ipv4 => {
            write!(f, "{}", Ipv4Addr::from(value as u32))?;
            let mask = Ipv4Addr::from(mask as u32);
            match prefix_len_v4(mask) {
                _ if exact => Ok(()),
                Some(len) => write!(f, "/{len}"),
                None => write!(f, "/{mask}"),
            }
        }
        Format::Ipv6 => {
            write!(f, "{}", IpText::from(Ipv6Addr::from(value)))?;
            let mask = Ipv6Addr::from(mask);
            match prefix_len_v6(mask) {
                _ if exact => Ok(()),
                Some(len) => write!(f, "/{len}"),
                None => write!(f, "/{}", IpText::from(mask)),
            }
        }
        Format::Port => port::print(port_of(field, value), f),
        Format::PacketType => write!(f, "({},{})", value >> 16, Hex(value & 0xffff)),
        Format::Frag => match FRAGS.iter().find(|&&(_, v, m)| (v, m) == (value, mask)) {
            Some((name, ..)) => f.write_str(name),
            None => write!(f, "{}/{}", Hex(value), Hex(mask)),
        },
        Format::CtState => {
            print_flags(&ct_state::NAMES, v, mask & field.value_bits() == field.value_bits(), f)
        }
        Format::TcpFlags => print_flags(&TCP_FLAGS, v, exact, f),
        Format::TunFlags => print_flags(&TUN_FLAGS, v, false, f),
    }
}

/// The port that a value of a 16- or 32-bit port field names.
fn port_of(field: Field, value: u128) -> OfPort {
    if field.n_bits() == 16 { port_from_u16(value as u16) } else { OfPort(value as u32) }
}

/// Flags under a mask as `+trk-new`, all flags together as `new|trk`; bits without a name in hexadecimal.
fn print_flags(names: &[&str], v: &FieldValue, whole: bool, f: &mut dyn Write) -> fmt::Result {
    let named = crate::field::low_bits(names.len() as u16);
    if whole {
        if v.value == 0 {
            return f.write_char('0');
        }
        let mut separator = "";
        for (_, name) in names.iter().enumerate().filter(|(bit, _)| v.value >> bit & 1 != 0) {
            write!(f, "{separator}{name}")?;
            separator = "|";
        }
        let rest = v.value & !named;
        return if rest == 0 { Ok(()) } else { write!(f, "{separator}{rest:#x}") };
    }
    if v.mask & !named != 0 {
        return write!(f, "{}/{}", Hex(v.value), Hex(v.mask));
    }
    for (bit, name) in names.iter().enumerate() {
        if v.mask >> bit & 1 != 0 {
            let sign = if v.value >> bit & 1 != 0 { '+' } else { '-' };
            write!(f, "{sign}{name}")?;
        }
    }
    Ok(())
}

/// Reads a field's value, perhaps with a mask after a slash.
pub(super) fn parse(field: Field, text: &str) -> Result<FieldValue> {
    let text = text.trim();
    let expected = match field.info().format {
        Format::CtState => return parse_flags(field, &ct_state::NAMES, text),
        Format::TcpFlags => return parse_flags(field, &TCP_FLAGS, text),
        Format::TunFlags => return parse_flags(field, &TUN_FLAGS, text),
        Format::Frag => return parse_frag(field, text),
        Format::PacketType => return parse_packet_type(field, text),
        Format::Port => {
            let port = port::parse(text)?;
            let value = if field.n_bits() == 16 { u32::from(port_to_u16(port)) } else { port.0 };
            return Ok(FieldValue::exact(field, value.into()));
        }
        Format::Ethernet => "an Ethernet address, perhaps with a mask",
        Format::Ipv4 => "an IPv4 address, perhaps with a prefix length or a mask",
        Format::Ipv6 => "an IPv6 address, perhaps with a prefix length or a mask",
        Format::Decimal | Format::Hex => "a number within the field, perhaps with a mask",
    };
    let error = || ParseError::new(text, expected);
    let (value, mask) = match text.split_once('/') {
        Some((value, mask)) => (value, Some(mask)),
        None => (text, None),
    };
    let one = |text: &str| one_value(field, text).ok_or_else(error);
    let value = one(value)?;
    let Some(mask) = mask else {
        return Ok(FieldValue::exact(field, value));
    };
    let width = u32::from(field.n_bits());
    let prefix = match field.info().format {
        Format::Ipv4 | Format::Ipv6 => mask.parse::<u32>().ok(),
        _ => None,
    };
    let mask = match prefix {
        Some(len) if len > width => return Err(error()),
        Some(len) => field.all_ones() & !crate::field::low_bits((width - len) as u16),
        None => one(mask)?,
    };
    Ok(FieldValue::masked(field, value, mask))
}

/// A single value in the field's format, within its width.
fn one_value(field: Field, text: &str) -> Option<u128> {
    let text = text.trim();
    let value = match field.info().format {
        Format::Ethernet => text.parse::<EthAddr>().ok().map(|a| u128::from(a.to_u64())),
        Format::Ipv4 => text.parse::<Ipv4Addr>().ok().map(|a| u128::from(a.to_bits())),
        Format::Ipv6 => text.parse::<Ipv6Addr>().ok().map(Ipv6Addr::to_bits),
        _ => None,
    };
    let value = value.or_else(|| parse_u128(text).ok())?;
    (value & !field.all_ones() == 0).then_some(value)
}

fn parse_frag(field: Field, text: &str) -> Result<FieldValue> {
    if let Some((value, mask)) = text.split_once('/') {
        return Ok(FieldValue::masked(field, parse_u128(value)?, parse_u128(mask)?));
    }
    let known = FRAGS.iter().find(|(name, ..)| *name == text);
    let &(_, value, mask) =
        known.ok_or_else(|| ParseError::new(text, "no, yes, first, later or not_later"))?;
    Ok(FieldValue::masked(field, value, mask))
}

fn parse_packet_type(field: Field, text: &str) -> Result<FieldValue> {
    let error = || ParseError::new(text, "(namespace,type)");
    let (namespace, typ) = split::in_parens(text).and_then(|t| t.split_once(',')).ok_or_else(error)?;
    let (namespace, typ) = (parse_u128(namespace)?, parse_u128(typ)?);
    if namespace > 0xffff || typ > 0xffff {
        return Err(error());
    }
    Ok(FieldValue::exact(field, namespace << 16 | typ))
}

/// Reads `+trk-new`, `new|trk`, or a number perhaps with a mask.
fn parse_flags(field: Field, names: &[&str], text: &str) -> Result<FieldValue> {
    let error = || ParseError::new(text, "flags, as in +a-b or a|b, or a number");
    let bit_of = |name: &str| names.iter().position(|n| *n == name).map(|bit| 1u128 << bit);
    if text.starts_with(['+', '-']) {
        let (mut value, mut mask) = (0, 0);
        for (at, _) in text.match_indices(['+', '-']) {
            let name = &text[at + 1..];
            let name = &name[..name.find(['+', '-']).unwrap_or(name.len())];
            let bit = bit_of(name).ok_or_else(error)?;
            mask |= bit;
            value |= if text[at..].starts_with('+') { bit } else { 0 };
        }
        return Ok(FieldValue::masked(field, value, mask));
    }
    let number = |text: &str| parse_u128(text).ok().filter(|v| v & !field.value_bits() == 0);
    if let Some((value, mask)) = text.split_once('/') {
        let (value, mask) = number(value).zip(number(mask)).ok_or_else(error)?;
        return Ok(FieldValue::masked(field, value, mask));
    }
    let value = text.split('|').map(|part| bit_of(part).or_else(|| number(part)));
    let value = value.reduce(|a, b| Some(a? | b?)).flatten().ok_or_else(error)?;
    Ok(FieldValue::exact(field, value))
}

/// Reads a number, hexadecimal after `0x`, else decimal.
pub(super) fn parse_u128(text: &str) -> Result<u128> {
    let text = text.trim();
    let parsed = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
        // The standard library would take a sign.
        Some(hex) if hex.starts_with(['+', '-']) => None,
        Some(hex) => u128::from_str_radix(hex, 16).ok(),
        None if text.starts_with('+') => None,
        None => text.parse().ok(),
    };
    parsed.ok_or_else(|| ParseError::new(text, "a number"))
}

macro_rules! parse_narrow {
    ($($name:ident -> $int:ty, $expected:literal;)*) => {
        $(
            /// Reads a number of so many bits.
            pub(super) fn $name(text: &str) -> Result<$int> {
                parse_u128(text)?.try_into().map_err(|_| ParseError::new(text, $expected))
            }
        )*
    };
}

parse_narrow! {
    parse_u8 -> u8, "a number below 256";
    parse_u16 -> u16, "a number below 65536";
    parse_u32 -> u32, "a number of 32 bits";
    parse_u64 -> u64, "a number of 64 bits";
}

/// The field of a name or a header's name. Tunnel metadata comes with the longest length.
pub(super) fn parse_field(name: &str) -> Result<Field> {
    let name = name.trim();
    Field::by_name(name)
        .or_else(|| Field::all().find(|f| f.info().wire_name == name))
        .or_else(|| by_other_wire_name(name))
        .ok_or_else(|| ParseError::new(name, "the name of a field"))
}

/// Names of preferred headers where the oldest has another name, as in `OXM_OF_ETH_SRC` or `OXM_OF_IPV4_SRC`.
fn by_other_wire_name(name: &str) -> Option<Field> {
    let stem = name.strip_prefix("OXM_OF_")?.to_ascii_lowercase();
    match stem.as_str() {
        "ipv4_src" => Some(Field::IPV4_SRC),
        "ipv4_dst" => Some(Field::IPV4_DST),
        "icmpv4_type" => Some(Field::ICMPV4_TYPE),
        "icmpv4_code" => Some(Field::ICMPV4_CODE),
        "tunnel_id" => Some(Field::TUN_ID),
        "ipv6_flabel" => Some(Field::IPV6_LABEL),
        "ipv6_nd_target" => Some(Field::ND_TARGET),
        "ipv6_nd_sll" => Some(Field::ND_SLL),
        "ipv6_nd_tll" => Some(Field::ND_TLL),
        _ => Field::by_name(&stem),
    }
}

/// Prints a run of bits as the stock tools do, by the name of the oldest header.
pub(super) fn print_subfield(sf: &Subfield, f: &mut dyn Write) -> fmt::Result {
    f.write_str(sf.field.info().wire_name)?;
    sf.fmt_range(f)
}

/// Reads `field[]`, `field[bit]` or `field[first..last]`; a bare name is the whole field.
pub(super) fn parse_subfield(text: &str) -> Result<Subfield> {
    let text = text.trim();
    let Some((name, range)) = text.split_once('[') else {
        return Ok(Subfield::whole(parse_field(text)?));
    };
    let error = || ParseError::new(text, "field[], field[bit] or field[first..last]");
    let field = parse_field(name)?;
    let range = range.strip_suffix(']').ok_or_else(error)?.trim();
    if range.is_empty() {
        return Ok(Subfield::whole(field));
    }
    let (first, last) = range.split_once("..").unwrap_or((range, range));
    let (first, last) = (parse_u16(first)?, parse_u16(last)?);
    let n_bits = last.checked_sub(first).and_then(|n| n.checked_add(1)).ok_or_else(error)?;
    let sf = Subfield::new(field, first, n_bits);
    if sf.is_valid() { Ok(sf) } else { Err(ParseError::new(text, "bits within the field")) }
}
