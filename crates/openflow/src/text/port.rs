//! Port numbers in text.

use super::{ParseError, Result};
use kiln_types::OfPort;
use std::fmt;

/// Reserved ports and their names (OpenFlow 1.5.1, section 7.2.1).
const NAMES: [(&str, u32); 10] = [
    ("UNSET", 0xffff_fff7),
    ("IN_PORT", 0xffff_fff8),
    ("TABLE", 0xffff_fff9),
    ("NORMAL", 0xffff_fffa),
    ("FLOOD", 0xffff_fffb),
    ("ALL", 0xffff_fffc),
    ("CONTROLLER", 0xffff_fffd),
    ("LOCAL", 0xffff_fffe),
    ("ANY", 0xffff_ffff),
    ("NONE", 0xffff_ffff),
];

/// The name of a reserved port.
pub(super) fn name(port: OfPort) -> Option<&'static str> {
    NAMES.iter().find(|(_, number)| *number == port.0).map(|(name, _)| *name)
}

/// Prints a port: its name if it is reserved, else its number. Numbers of the reserved range without a name are
/// printed in their 16-bit form.
pub(super) fn print(port: OfPort, f: &mut dyn fmt::Write) -> fmt::Result {
    match name(port) {
        Some(name) => f.write_str(name),
        None if port.0 >= 0xffff_ff00 => write!(f, "{}", port.0 & 0xffff),
        None => write!(f, "{}", port.0),
    }
}

/// Reads a port: a name in any case, or a number of which those from 65280 to 65535 stand for reserved ports.
pub(super) fn parse(text: &str) -> Result<OfPort> {
    if let Some((_, number)) = NAMES.iter().find(|(name, _)| name.eq_ignore_ascii_case(text)) {
        return Ok(OfPort(*number));
    }
    let number = super::value::parse_u32(text)
        .map_err(|_| ParseError::new(text, "a port number or the name of a reserved port"))?;
    Ok(OfPort(if (0xff00..=0xffff).contains(&number) { 0xffff_0000 | number } else { number }))
}
