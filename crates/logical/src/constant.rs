//! Integer constants: a value, perhaps a mask, and how they were written.

use crate::cubes::Cube;
use crate::field::ones;
use kiln_types::{EthAddr, IpText};
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

/// How a constant was written, and so how it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// Digits.
    Decimal,
    /// `0x` and hexadecimal digits.
    Hexadecimal,
    /// A dotted quad.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// Six bytes with colons.
    Ethernet,
}

impl Format {
    /// Width in bits of what is written so, for the forms that have one.
    pub const fn width(self) -> Option<u8> {
        match self {
            Format::Decimal | Format::Hexadecimal => None,
            Format::Ipv4 => Some(32),
            Format::Ipv6 => Some(128),
            Format::Ethernet => Some(48),
        }
    }
}

/// An integer of up to 128 bits, perhaps with a mask. Bits of the value outside the mask are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Constant {
    /// The value.
    pub value: u128,
    /// The mask, if one was written.
    pub mask: Option<u128>,
    /// How it was written.
    pub format: Format,
}

impl Constant {
    /// A constant without a mask, in decimal.
    pub const fn decimal(value: u128) -> Self {
        Constant { value, mask: None, format: Format::Decimal }
    }

    /// A constant without a mask, in hexadecimal.
    pub const fn hexadecimal(value: u128) -> Self {
        Constant { value, mask: None, format: Format::Hexadecimal }
    }

    /// The values that it stands for: a bare one has as many bits as its notation.
    pub fn cube(&self) -> Cube {
        let mask = self.mask.unwrap_or_else(|| ones(self.format.width().unwrap_or(128)));
        Cube { value: self.value & mask, mask }
    }

    /// How many bits a field must have for the constant: those of its notation, or the significant ones of its mask, or
    /// else of its value.
    pub const fn width(&self) -> u8 {
        match (self.mask, self.format.width()) {
            (Some(mask), _) => (128 - mask.leading_zeros()) as u8,
            (None, Some(width)) => width,
            (None, None) => (128 - self.value.leading_zeros()) as u8,
        }
    }
}

fn write_value(f: &mut fmt::Formatter<'_>, value: u128, format: Format) -> fmt::Result {
    match format {
        Format::Decimal => write!(f, "{value}"),
        Format::Hexadecimal => write_hex(f, value),
        Format::Ipv4 => write!(f, "{}", Ipv4Addr::from_bits(value as u32)),
        Format::Ipv6 => write!(f, "{}", IpText::from(Ipv6Addr::from_bits(value))),
        Format::Ethernet => write!(f, "{}", EthAddr::from_u64(value as u64)),
    }
}

/// Hexadecimal with `0x`, zero as a bare `0`.
pub(crate) fn write_hex(f: &mut impl fmt::Write, value: u128) -> fmt::Result {
    if value == 0 { f.write_str("0") } else { write!(f, "{value:#x}") }
}

/// The number of leading ones, if the mask is made of them alone.
fn prefix_len(mask: u128, width: u8) -> Option<u32> {
    let aligned = mask << (128 - u32::from(width));
    let len = aligned.leading_ones();
    (len == 128 || aligned << len == 0).then_some(len)
}

impl fmt::Display for Constant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_value(f, self.value, self.format)?;
        let Some(mask) = self.mask else { return Ok(()) };
        let prefix = match self.format {
            Format::Ipv4 => prefix_len(mask, 32),
            Format::Ipv6 => prefix_len(mask, 128),
            Format::Decimal | Format::Hexadecimal | Format::Ethernet => None,
        };
        f.write_str("/")?;
        match prefix {
            Some(len) => write!(f, "{len}"),
            None => write_value(f, mask, self.format),
        }
    }
}
