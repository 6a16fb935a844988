//! Ethernet addresses.

use std::fmt;
use std::str::FromStr;

/// A 48-bit Ethernet address (IEEE 802).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct EthAddr(pub [u8; 6]);

impl EthAddr {
    /// `00:00:00:00:00:00`.
    pub const ZERO: EthAddr = EthAddr([0; 6]);
    /// `ff:ff:ff:ff:ff:ff`.
    pub const BROADCAST: EthAddr = EthAddr([0xff; 6]);

    /// The address whose 48 bits are the low bits of `bits`.
    pub const fn from_u64(bits: u64) -> Self {
        let b = bits.to_be_bytes();
        EthAddr([b[2], b[3], b[4], b[5], b[6], b[7]])
    }

    /// The address as the low 48 bits of an integer.
    pub const fn to_u64(self) -> u64 {
        let b = self.0;
        u64::from_be_bytes([0, 0, b[0], b[1], b[2], b[3], b[4], b[5]])
    }

    /// Whether the group bit is set: broadcast or multicast.
    pub const fn is_multicast(self) -> bool {
        self.0[0] & 1 != 0
    }

    /// Whether all bits are zero.
    pub const fn is_zero(self) -> bool {
        self.to_u64() == 0
    }
}

impl fmt::Display for EthAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let mut text = *b"00:00:00:00:00:00";
        for (digits, byte) in text.chunks_mut(3).zip(self.0) {
            digits[0] = HEX[usize::from(byte >> 4)];
            digits[1] = HEX[usize::from(byte & 15)];
        }
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for EthAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The text is not six colon-separated pairs of hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected six colon-separated bytes in hexadecimal, as in 0a:00:00:00:00:01")]
pub struct ParseEthAddrError;

impl FromStr for EthAddr {
    type Err = ParseEthAddrError;

    /// Each byte may have one or two digits, as the stock tools accept.
    fn from_str(s: &str) -> Result<Self, ParseEthAddrError> {
        let mut bytes = [0; 6];
        let mut parts = s.split(':');
        for byte in &mut bytes {
            let part = parts.next().ok_or(ParseEthAddrError)?;
            if part.is_empty() || part.len() > 2 || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(ParseEthAddrError);
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| ParseEthAddrError)?;
        }
        if parts.next().is_some() { Err(ParseEthAddrError) } else { Ok(EthAddr(bytes)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_round_trips() {
        let mac: EthAddr = "0a:00:00:00:0f:01".parse().unwrap();
        assert_eq!(mac.to_string(), "0a:00:00:00:0f:01");
        assert_eq!(EthAddr::from_u64(mac.to_u64()), mac);
        assert_eq!("a:0:0:0:f:1".parse::<EthAddr>().unwrap(), mac);
    }

    #[test]
    fn malformed_text_is_refused() {
        for bad in
            ["", "0a", "0a:00:00:00:0f", "0a:00:00:00:0f:01:02", "0a:00:00:00:0f:g1", "+a:00:00:00:0f:01"]
        {
            assert_eq!(bad.parse::<EthAddr>(), Err(ParseEthAddrError), "{bad}");
        }
    }
}
