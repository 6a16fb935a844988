//! SCTP aborts (RFC 9260), as packets to write.

use crate::unanswerable::{Groups, check};
use crate::{EthHeader, IpPair, Packet, Unanswerable, ethertype, ip_proto};

/// The TTL of an abort: that of a TCP reset.
const TTL: u8 = 63;
/// Ports, verification tag and checksum come before the first chunk (RFC 9260 3.1).
const COMMON_HEADER_LEN: usize = 12;
/// Type, flags and length of a chunk (RFC 9260 3.2).
const CHUNK_HEADER_LEN: usize = 4;
/// The flag of ABORT and SHUTDOWN COMPLETE that the tag is the other side's (RFC 9260 3.3.7).
const TAG_REFLECTED: u8 = 1;

/// Numbers of chunks (RFC 9260 3.2).
mod chunk {
    pub(super) const INIT: u8 = 1;
    pub(super) const ABORT: u8 = 6;
    pub(super) const SHUTDOWN_ACK: u8 = 8;
    pub(super) const ERROR: u8 = 9;
    pub(super) const COOKIE_ACK: u8 = 11;
    pub(super) const SHUTDOWN_COMPLETE: u8 = 14;
}

/// The cause of an ERROR chunk that is not answered (RFC 9260 3.3.10.3).
const STALE_COOKIE: [u8; 2] = [0, 3];

/// What answers a packet that belongs to no association, with its Ethernet and IP headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SctpAbort {
    /// The Ethernet header.
    pub eth: EthHeader,
    /// Source and destination.
    pub ips: IpPair,
    /// TTL or hop limit.
    pub ttl: u8,
    /// The port that the packet was sent to.
    pub src_port: u16,
    /// The port that the packet came from.
    pub dst_port: u16,
    /// The verification tag.
    pub tag: u32,
    /// Whether that is the packet's own, which the flag T says.
    pub reflected: bool,
    /// Whether it completes a shutdown instead of aborting: the answer to SHUTDOWN ACK.
    pub completes: bool,
}

impl SctpAbort {
    /// What RFC 9260 8.4 answers `packet` with: to INIT without a tag an ABORT with the tag that it brings, to SHUTDOWN ACK a SHUTDOWN
    /// COMPLETE and to others an ABORT with the packet's tag and the flag T; to ABORT, SHUTDOWN COMPLETE, COOKIE ACK and
    /// the report of a stale cookie nothing.
    ///
    /// The ports are exchanged; Ethernet and IP addresses still go the packet's own way, until [`SctpAbort::back`].
    pub fn answering(packet: &Packet<'_>) -> Result<Self, Unanswerable> {
        let ips = check(packet, Groups::Refuse)?;
        let key = &packet.key;
        if !key.is_transport(ip_proto::SCTP) {
            return Err(Unanswerable::WrongProtocol);
        }
        let segment = packet.transport().ok_or(Unanswerable::Truncated)?;
        let (header, chunks) = segment.split_at_checked(COMMON_HEADER_LEN).ok_or(Unanswerable::Truncated)?;
        let own_tag = word(&header[4..]).ok_or(Unanswerable::Truncated)?;
        let first = *chunks.first().ok_or(Unanswerable::Truncated)?;
        if Chunks(chunks).any(|(kind, body)| {
            matches!(kind, chunk::ABORT | chunk::SHUTDOWN_COMPLETE | chunk::COOKIE_ACK)
                || kind == chunk::ERROR && body.starts_with(&STALE_COOKIE)
        }) {
            return Err(Unanswerable::Reset);
        }
        let (tag, reflected) = match first {
            // An INIT comes alone and without a tag; the one that it brings is to be used towards its sender. Without one it is
            // discarded (RFC 9260 3.3.2).
            chunk::INIT if own_tag == 0 => {
                let tag = word(chunks.get(CHUNK_HEADER_LEN..).unwrap_or(&[]));
                if tag == Some(0) {
                    return Err(Unanswerable::NoTag);
                }
                (tag, false)
            }
            _ => (Some(own_tag), true),
        };
        let tag = tag.ok_or(Unanswerable::Truncated)?;
        Ok(SctpAbort {
            eth: key.eth_header(),
            ips,
            ttl: TTL,
            src_port: key.tp_dst,
            dst_port: key.tp_src,
            tag,
            reflected,
            completes: first == chunk::SHUTDOWN_ACK,
        })
    }

    /// The same answer on its way to whoever sent the packet.
    #[must_use]
    pub const fn back(self) -> Self {
        SctpAbort { eth: self.eth.swapped(), ips: self.ips.swapped(), ..self }
    }

    /// The length of the frame.
    pub const fn buffer_len(&self) -> usize {
        self.eth.buffer_len() + self.ips.header_len() + COMMON_HEADER_LEN + CHUNK_HEADER_LEN
    }

    /// Writes the frame over the first `buffer_len()` bytes of `frame`.
    pub fn emit(&self, frame: &mut [u8]) {
        let frame = &mut frame[..self.buffer_len()];
        let eth_type = match self.ips {
            IpPair::V4 { .. } => ethertype::IPV4,
            IpPair::V6 { .. } => ethertype::IPV6,
        };
        let segment = self.ips.emit(self.eth.emit(frame, eth_type), ip_proto::SCTP, self.ttl);
        segment[..2].copy_from_slice(&self.src_port.to_be_bytes());
        segment[2..4].copy_from_slice(&self.dst_port.to_be_bytes());
        segment[4..8].copy_from_slice(&self.tag.to_be_bytes());
        segment[8..12].fill(0);
        segment[12] = if self.completes { chunk::SHUTDOWN_COMPLETE } else { chunk::ABORT };
        segment[13] = if self.reflected { TAG_REFLECTED } else { 0 };
        segment[14..16].copy_from_slice(&(CHUNK_HEADER_LEN as u16).to_be_bytes());
        let sum = crc32c(segment);
        // The polynomial's coefficients go out lowest byte first (RFC 9260 appendix A).
        segment[8..12].copy_from_slice(&sum.to_le_bytes());
    }

    /// The frame.
    pub fn to_vec(&self) -> Vec<u8> {
        crate::emitted(self.buffer_len(), |frame| self.emit(frame))
    }
}

fn word(bytes: &[u8]) -> Option<u32> {
    bytes.first_chunk().map(|bytes| u32::from_be_bytes(*bytes))
}

/// Chunks, each as its number and what follows its header, up to the first that is cut short.
struct Chunks<'a>(&'a [u8]);

impl<'a> Iterator for Chunks<'a> {
    type Item = (u8, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let [kind, _, high, low] = *self.0.first_chunk::<CHUNK_HEADER_LEN>()?;
        let len = usize::from(u16::from_be_bytes([high, low]));
        let body = self.0.get(CHUNK_HEADER_LEN..len)?;
        self.0 = self.0.get(len.next_multiple_of(4)..).unwrap_or(&[]);
        Some((kind, body))
    }
}

/// CRC32c (RFC 9260 appendix A).
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    const POLYNOMIAL: u32 = 0x82f6_3b78;
    let step = |crc: u32, byte: &u8| {
        (0..8).fold(
            crc ^ u32::from(*byte),
            |crc, _| {
                if crc & 1 == 0 { crc >> 1 } else { crc >> 1 ^ POLYNOMIAL }
            },
        )
    };
    !bytes.iter().fold(u32::MAX, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    const V4: &str = "020000000002 020000000001 0800 450000240000000040840000 0a000001 0a000002";

    fn bytes(hex: &str) -> Vec<u8> {
        let hex: Vec<u8> = hex.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
        let digit = |b: u8| (b as char).to_digit(16).unwrap() as u8;
        hex.chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
    }

    /// A packet from port 1000 to port 2000 with tag 0x11223344 and these chunks.
    fn answer(chunks: &str) -> Result<SctpAbort, Unanswerable> {
        tagged("11223344", chunks)
    }

    fn tagged(tag: &str, chunks: &str) -> Result<SctpAbort, Unanswerable> {
        let mut frame = bytes(&format!("{V4} 03e8 07d0 {tag} 00000000 {chunks}"));
        let len = (frame.len() - 14) as u16;
        frame[16..18].copy_from_slice(&len.to_be_bytes());
        SctpAbort::answering(&Packet::parse(&frame))
    }

    #[test]
    fn crc_of_known_inputs() {
        // RFC 3720 B.4.
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn the_tag_is_the_one_that_the_sender_takes() {
        let init = |tag| tagged(tag, "01000014 aabbccdd 00010000 000a000a 00000001").unwrap();
        assert_eq!(
            (init("00000005").tag, init("00000005").reflected),
            (5, true),
            "a tag where none is to be"
        );
        let init = init("00000000");
        assert_eq!((init.tag, init.reflected, init.completes), (0xaabb_ccdd, false, false));
        assert_eq!((init.src_port, init.dst_port), (2000, 1000));
        let data = answer("00030011 00000001 00000000 00000000 61000000").unwrap();
        assert_eq!((data.tag, data.reflected, data.completes), (0x1122_3344, true, false));
        let shutdown = answer("08000004").unwrap();
        assert_eq!((shutdown.tag, shutdown.reflected, shutdown.completes), (0x1122_3344, true, true));
    }

    #[test]
    fn some_chunks_are_never_answered() {
        for chunks in ["06000004", "0e000004", "0b000004", "0900000c 00030008 00000001", "0a000004 06000004"]
        {
            assert_eq!(answer(chunks), Err(Unanswerable::Reset), "{chunks}");
        }
        for cut in ["", "01000014 aabb"] {
            assert_eq!(tagged("00000000", cut), Err(Unanswerable::Truncated), "{cut}");
        }
        let init = "01000014 00000000 00010000 000a000a 00000001";
        assert_eq!(tagged("00000000", init), Err(Unanswerable::NoTag));
        assert!(answer("0900000c 00010008 00000001").is_ok());
    }

    #[test]
    fn the_frame_holds() {
        let frame = answer("08000004").unwrap().back().to_vec();
        let packet = Packet::parse(&frame);
        let segment = packet.transport().unwrap();
        assert_eq!(packet.key.nw_dst.to_string(), "10.0.0.1");
        assert_eq!(segment[..8], bytes("07d0 03e8 11223344"));
        assert_eq!(segment[12..], bytes("0e 01 0004"));
        let mut zeroed = segment.to_vec();
        zeroed[8..12].fill(0);
        assert_eq!(segment[8..12], crc32c(&zeroed).to_le_bytes());
    }
}
