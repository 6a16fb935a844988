//! Prefixes seen as masks, and the IPv6 addresses that are made from others.

use crate::EthAddr;
use std::net::{Ipv4Addr, Ipv6Addr};

/// The prefix length of a contiguous IPv4 mask, `None` if its ones are not all at the top.
pub fn prefix_len_v4(mask: Ipv4Addr) -> Option<u8> {
    let bits = mask.to_bits();
    (bits.leading_ones() + bits.trailing_zeros() == 32 || bits == 0 || bits == u32::MAX)
        .then(|| bits.leading_ones() as u8)
}

/// The prefix length of a contiguous IPv6 mask, `None` if its ones are not all at the top.
pub fn prefix_len_v6(mask: Ipv6Addr) -> Option<u8> {
    let bits = mask.to_bits();
    (bits.leading_ones() + bits.trailing_zeros() == 128 || bits == 0 || bits == u128::MAX)
        .then(|| bits.leading_ones() as u8)
}

/// The link-local address made from an Ethernet address (RFC 4291, appendix A).
pub fn eui64_link_local(mac: EthAddr) -> Ipv6Addr {
    let m = mac.0;
    let id = u64::from_be_bytes([m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]]);
    Ipv6Addr::from_bits(0xfe80 << 112 | u128::from(id))
}

/// The solicited-node multicast address of `addr` (RFC 4291, section 2.7.1).
pub fn solicited_node(addr: Ipv6Addr) -> Ipv6Addr {
    Ipv6Addr::from_bits(0xff02 << 112 | 0x1_ff00_0000 | (addr.to_bits() & 0xff_ffff))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_contiguous_masks_have_a_length() {
        assert_eq!(prefix_len_v4(Ipv4Addr::new(255, 255, 254, 0)), Some(23));
        assert_eq!(prefix_len_v4(Ipv4Addr::new(255, 0, 255, 0)), None);
        assert_eq!(prefix_len_v4(Ipv4Addr::UNSPECIFIED), Some(0));
        assert_eq!(prefix_len_v4(Ipv4Addr::BROADCAST), Some(32));
        assert_eq!(prefix_len_v6("ffff::".parse().unwrap()), Some(16));
        assert_eq!(prefix_len_v6("ffff::1".parse().unwrap()), None);
    }

    #[test]
    fn derived_addresses() {
        let mac = "0a:00:00:00:00:01".parse().unwrap();
        assert_eq!(eui64_link_local(mac).to_string(), "fe80::800:ff:fe00:1");
        let addr = "2001:db8::1:800:200e:8c6c".parse().unwrap();
        assert_eq!(solicited_node(addr).to_string(), "ff02::1:ff0e:8c6c");
    }
}
