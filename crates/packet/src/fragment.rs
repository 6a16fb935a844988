//! Fragmentation of IPv4 datagrams (RFC 791, section 2.3 and 3.2; RFC 1812, section 4.2.2.7).

use crate::{Packet, checksum};

/// The smallest MTU that every link must have (RFC 791, section 3.2): a whole header and eight bytes fit.
pub const MTU_MIN_V4: u16 = 68;

/// Bit of the flags word: more fragments follow.
const MORE: u16 = 0x2000;
/// Bit of the flags word: do not fragment.
const DONT: u16 = 0x4000;
/// The part of the flags word that is the offset, in eights of bytes.
const OFFSET: u16 = 0x1fff;

/// Why a packet is not fragmented.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Unfragmentable {
    /// Not IPv4, or a datagram whose header does not hold. IPv6 routers never fragment (RFC 8200, section 4.5).
    #[error("not a well-formed IPv4 datagram")]
    NotIpv4,
    /// The sender forbids it: "fragmentation needed" is to be said instead.
    #[error("\"don't fragment\" is set")]
    DontFragment,
    /// No IPv4 link has such an MTU.
    #[error("expected an MTU of {MTU_MIN_V4} or more")]
    MtuTooSmall,
    /// A fragment that ends beyond the longest datagram, or is followed by others and no multiple of eight bytes long.
    #[error("is a fragment that belongs to no datagram")]
    BadFragment,
}

/// The fragments of one datagram, first to last.
///
/// All have its identification, type of service, TTL and protocol. The first has all its options, the others those that say
/// that they are to be copied. A fragment is cut further in the same way: offsets go on from its own, and only the last piece
/// of the last fragment is without "more fragments".
#[derive(Clone, Debug)]
pub struct Fragments<'a> {
    link: &'a [u8],
    /// The header as it came, and as all fragments but the first have it.
    header: &'a [u8],
    later: Header,
    rest: &'a [u8],
    mtu: usize,
    /// The flags word of the next fragment but for "more fragments", and whether the last has that too.
    flags: u16,
    more_follow: bool,
    is_first: bool,
}

/// A header of at most 60 bytes.
#[derive(Clone, Copy, Debug)]
struct Header {
    bytes: [u8; 60],
    len: usize,
}

impl Header {
    /// `header` without the options that are not copied on fragmentation.
    fn later(header: &[u8]) -> Self {
        let mut bytes = [0; 60];
        bytes[..20].copy_from_slice(&header[..20]);
        let mut len = 20;
        let mut options = &header[20..];
        while let Some(&kind) = options.first() {
            let size = match kind {
                // end of list
                0 => break,
                // no operation
                1 => 1,
                _ => match options.get(1) {
                    Some(&size) if size >= 2 && usize::from(size) <= options.len() => usize::from(size),
                    // what cannot be told apart cannot be copied either
                    _ => break,
                },
            };
            let (option, rest) = options.split_at(size);
            if kind & 0x80 != 0 {
                bytes[len..len + size].copy_from_slice(option);
                len += size;
            }
            options = rest;
        }
        // padded with ends of list, which are zero
        len = len.next_multiple_of(4);
        Header { bytes, len }
    }
}

impl<'a> Fragments<'a> {
    /// Cuts `packet` for a link of `mtu` bytes. One that fits stays whole.
    pub fn of(packet: &Packet<'a>, mtu: u16) -> Result<Self, Unfragmentable> {
        let ip = packet.ip();
        if !packet.key.is_ipv4() || ip.first().is_none_or(|b| b >> 4 != 4) {
            return Err(Unfragmentable::NotIpv4);
        }
        if mtu < MTU_MIN_V4 {
            return Err(Unfragmentable::MtuTooSmall);
        }
        let (header, rest) = ip.split_at(usize::from(ip[0] & 0xf) * 4);
        let flags = u16::from_be_bytes([header[6], header[7]]);
        let mtu = usize::from(mtu);
        if ip.len() > mtu {
            if flags & DONT != 0 {
                return Err(Unfragmentable::DontFragment);
            }
            let end = usize::from(flags & OFFSET) * 8 + rest.len();
            if end > 0xffff - 20 || (flags & MORE != 0 && !rest.len().is_multiple_of(8)) {
                return Err(Unfragmentable::BadFragment);
            }
        }
        Ok(Fragments {
            link: packet.link_header(),
            header,
            later: Header::later(header),
            rest,
            mtu,
            flags: flags & !MORE,
            more_follow: flags & MORE != 0,
            is_first: true,
        })
    }
}

impl<'a> Iterator for Fragments<'a> {
    type Item = Fragment<'a>;

    fn next(&mut self) -> Option<Fragment<'a>> {
        // a datagram may have no payload at all
        if self.rest.is_empty() && !self.is_first {
            return None;
        }
        let header = if std::mem::take(&mut self.is_first) {
            let mut bytes = [0; 60];
            bytes[..self.header.len()].copy_from_slice(self.header);
            Header { bytes, len: self.header.len() }
        } else {
            self.later
        };
        let room = self.mtu - header.len;
        let is_last = self.rest.len() <= room;
        let len = if is_last { self.rest.len() } else { room & !7 };
        let (payload, rest) = self.rest.split_at(len);
        let more = if !is_last || self.more_follow { MORE } else { 0 };
        let fragment = Fragment { link: self.link, header, flags: self.flags | more, payload };
        self.rest = rest;
        // what ends there is no longer than the longest datagram, so the offset stays in its bits
        self.flags = (self.flags & !OFFSET) | ((self.flags & OFFSET) + (len / 8) as u16);
        Some(fragment)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let first = usize::from(self.is_first);
        let room = self.mtu - self.header.len();
        let behind = match (self.is_first, self.rest.len() <= room) {
            (true, true) => 0,
            (true, false) => self.rest.len() - (room & !7),
            (false, _) => self.rest.len(),
        };
        let room = self.mtu - self.later.len;
        // the last may be longer than the others by what they lack to a multiple of eight
        let later = match behind {
            0 => 0,
            n if n <= room => 1,
            n => 1 + (n - room).div_ceil(room & !7),
        };
        (first + later, Some(first + later))
    }
}

impl ExactSizeIterator for Fragments<'_> {}

/// One fragment, with the link-layer header that the datagram came with.
#[derive(Clone, Copy, Debug)]
pub struct Fragment<'a> {
    link: &'a [u8],
    header: Header,
    flags: u16,
    payload: &'a [u8],
}

impl Fragment<'_> {
    /// The length of the frame.
    pub const fn buffer_len(&self) -> usize {
        self.link.len() + self.header.len + self.payload.len()
    }

    /// Writes the frame over the first `buffer_len()` bytes of `frame`.
    pub fn emit(&self, frame: &mut [u8]) {
        let (link, datagram) = frame[..self.buffer_len()].split_at_mut(self.link.len());
        link.copy_from_slice(self.link);
        let total_len = datagram.len() as u16;
        let (header, payload) = datagram.split_at_mut(self.header.len);
        header.copy_from_slice(&self.header.bytes[..self.header.len]);
        header[0] = 0x40 | (self.header.len / 4) as u8;
        header[2..4].copy_from_slice(&total_len.to_be_bytes());
        header[6..8].copy_from_slice(&self.flags.to_be_bytes());
        header[10..12].fill(0);
        let sum = checksum::of(header);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        payload.copy_from_slice(self.payload);
    }

    /// The frame.
    pub fn to_vec(&self) -> Vec<u8> {
        crate::emitted(self.buffer_len(), |frame| self.emit(frame))
    }
}
