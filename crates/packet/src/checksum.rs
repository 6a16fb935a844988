//! The Internet checksum (RFC 1071) and its incremental update (RFC 1624).

use std::net::{Ipv4Addr, Ipv6Addr};

/// A one's complement sum under way.
///
/// Pieces may be added in any order, but only the last one may have an odd number of bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct Checksum(u64);

impl Checksum {
    /// The sum of nothing.
    pub const fn new() -> Self {
        Checksum(0)
    }

    /// The sum of the pseudo-header that TCP, UDP and others put before an IPv4 payload of `len` bytes (RFC 9293, 3.1).
    pub fn pseudo_v4(src: Ipv4Addr, dst: Ipv4Addr, proto: u8, len: usize) -> Self {
        Checksum::new().bytes(&src.octets()).bytes(&dst.octets()).word(u16::from(proto)).word(len as u16)
    }

    /// The sum of the pseudo-header of an IPv6 payload of `len` bytes (RFC 8200, 8.1).
    pub fn pseudo_v6(src: Ipv6Addr, dst: Ipv6Addr, proto: u8, len: usize) -> Self {
        let sum = Checksum::new().bytes(&src.octets()).bytes(&dst.octets());
        sum.bytes(&(len as u32).to_be_bytes()).word(u16::from(proto))
    }

    /// Adds `bytes`; an odd last byte counts as if a zero followed.
    #[must_use]
    pub fn bytes(self, bytes: &[u8]) -> Self {
        // 64 KiB of 32-bit words stay far below 64 bits, so carries are folded once, at the end
        let (words, rest) = bytes.as_chunks::<4>();
        let mut sum = self.0;
        for word in words {
            sum += u64::from(u32::from_be_bytes(*word));
        }
        let mut last = [0; 4];
        last[..rest.len()].copy_from_slice(rest);
        Checksum(fold_once(sum + u64::from(u32::from_be_bytes(last))))
    }

    /// Adds one 16-bit word.
    #[must_use]
    pub const fn word(self, word: u16) -> Self {
        Checksum(self.0 + word as u64)
    }

    /// The checksum field: the complement of the folded sum.
    pub const fn finish(self) -> u16 {
        !fold(self.0)
    }
}

/// The checksum of `bytes` alone, as IPv4 headers and ICMPv4 messages carry it.
///
/// Zero for bytes that already hold their right checksum.
pub fn of(bytes: &[u8]) -> u16 {
    Checksum::new().bytes(bytes).finish()
}

/// The checksum field after one 16-bit word that it covers changed (RFC 1624, equation 3).
pub const fn replace_word(check: u16, old: u16, new: u16) -> u16 {
    !fold(!check as u64 + !old as u64 + new as u64)
}

/// The checksum field after `old`, at an even offset in what it covers, became `new`.
///
/// # Panics
///
/// If the two differ in length, or the length is odd.
pub fn replace_bytes(check: u16, old: &[u8], new: &[u8]) -> u16 {
    assert!(old.len() == new.len() && old.len().is_multiple_of(2), "words are replaced by words");
    let (old, _) = old.as_chunks::<2>();
    let (new, _) = new.as_chunks::<2>();
    let pairs = old.iter().zip(new);
    pairs.fold(check, |c, (o, n)| replace_word(c, u16::from_be_bytes(*o), u16::from_be_bytes(*n)))
}

/// Brings a sum below 2^33, so that it can be added to for as long as anybody wants.
const fn fold_once(sum: u64) -> u64 {
    (sum & 0xffff_ffff) + (sum >> 32)
}

const fn fold(sum: u64) -> u16 {
    let sum = fold_once(fold_once(sum));
    let sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    ((sum & 0xffff) + (sum >> 16)) as u16
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Two bytes at a time, carry by carry, as RFC 1071 words it.
    fn naive(bytes: &[u8]) -> u16 {
        let mut sum = 0u32;
        for pair in bytes.chunks(2) {
            sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
            if sum > 0xffff {
                sum = (sum & 0xffff) + 1;
            }
        }
        !(sum as u16)
    }

    #[test]
    fn known_sums() {
        // RFC 1071, section 3
        assert_eq!(of(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
        // an IPv4 header, its checksum field zero
        let header = [
            0x45, 0x00, 0x00, 0x73, 0x00, 0x00, 0x40, 0x00, 0x40, 0x11, 0, 0, 0xc0, 0xa8, 0x00, 0x01, 0xc0,
            0xa8, 0x00, 0xc7,
        ];
        assert_eq!(of(&header), 0xb861);
        assert_eq!(of(&[]), 0xffff);
        // RFC 1624, section 4: the case that the older formula got wrong
        assert_eq!(replace_word(0xdd2f, 0x5555, 0x3285), 0x0000);
    }

    proptest! {
        #[test]
        fn equals_the_naive_sum(bytes in proptest::collection::vec(any::<u8>(), 0..200), cut in 0usize..100) {
            prop_assert_eq!(of(&bytes), naive(&bytes));
            let cut = (cut * 2).min(bytes.len() & !1);
            let pieces = Checksum::new().bytes(&bytes[..cut]).bytes(&bytes[cut..]);
            prop_assert_eq!(pieces.finish(), naive(&bytes));
        }

        #[test]
        fn incremental_update_equals_the_whole_sum(
            mut bytes in proptest::collection::vec(any::<u8>(), 4..64),
            new in any::<[u8; 4]>(),
            at in 0usize..30,
        ) {
            let at = (at * 2).min((bytes.len() - 4) & !1);
            let before = of(&bytes);
            let updated = replace_bytes(before, &bytes[at..at + 4], &new);
            bytes[at..at + 4].copy_from_slice(&new);
            let whole = naive(&bytes);
            // the two zeros of one's complement are one value; a sum is 0xffff only if every byte is zero
            prop_assert!(updated == whole || (updated == 0 && whole == 0xffff) || (updated == 0xffff && whole == 0));
        }
    }
}
