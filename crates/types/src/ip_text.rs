//! Addresses in the text that the C library's `inet_ntop` makes, which is what stock tools print.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// An address as `inet_ntop` writes it: as RFC 5952, and besides with the last 32 bits of an IPv4-compatible address (RFC 4291,
/// section 2.5.5.1) as a dotted quad.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IpText(pub IpAddr);

impl From<Ipv6Addr> for IpText {
    fn from(ip: Ipv6Addr) -> Self {
        IpText(ip.into())
    }
}

impl fmt::Display for IpText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            IpAddr::V6(ip) if is_compatible(ip) => {
                write!(f, "::{}", std::net::Ipv4Addr::from_bits(ip.to_bits() as u32))
            }
            ip => ip.fmt(f),
        }
    }
}

/// Whether the first six of the eight groups are zero, and the seventh is not.
fn is_compatible(ip: Ipv6Addr) -> bool {
    (1 << 16..1 << 32).contains(&ip.to_bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_c_library_writes_them() {
        for text in [
            "::",
            "::1",
            "::ffff",
            "::0.1.0.0",
            "::1.2.3.4",
            "::ffff:0.0.0.1",
            "::2:0:0",
            "1::100",
            "10.0.0.1",
        ] {
            assert_eq!(IpText(text.parse().unwrap()).to_string(), text);
        }
        assert_eq!(IpText("64:ff9b::1.2.3.4".parse().unwrap()).to_string(), "64:ff9b::102:304");
    }
}
