//! ICMP error messages of both families (RFC 792, RFC 4443), as packets to write.

use crate::unanswerable::{Groups, check, check_not_an_error};
use crate::{EthHeader, IpPair, Packet, Unanswerable, ethertype, ip_proto};

/// The longest part of a packet that an ICMPv4 error quotes: the whole answer is at most 576 bytes (RFC 1812, 4.3.2.3).
pub const QUOTE_MAX_V4: usize = 576 - 20 - 8;
/// The longest part of a packet that an ICMPv6 error quotes: the whole answer is at most the minimum MTU (RFC 4443, 2.4).
pub const QUOTE_MAX_V6: usize = 1280 - 40 - 8;

/// Types and codes of ICMP for IPv4.
pub mod icmp4 {
    /// Type: destination unreachable.
    pub const UNREACHABLE: u8 = 3;
    /// Code of unreachable: the host.
    pub const HOST: u8 = 1;
    /// Code of unreachable: the port.
    pub const PORT: u8 = 3;
    /// Code of unreachable: fragmentation needed and "don't fragment" set.
    pub const FRAGMENTATION_NEEDED: u8 = 4;
}

/// Types and codes of ICMP for IPv6.
pub mod icmp6 {
    /// Type: destination unreachable.
    pub const UNREACHABLE: u8 = 1;
    /// Code of unreachable: administratively prohibited.
    pub const PROHIBITED: u8 = 1;
    /// Code of unreachable: the address.
    pub const ADDRESS: u8 = 3;
    /// Code of unreachable: the port.
    pub const PORT: u8 = 4;
    /// Type: packet too big.
    pub const TOO_BIG: u8 = 2;
    /// Type: parameter problem.
    pub const PARAMETER_PROBLEM: u8 = 4;
    /// Code of parameter problem: an IPv6 option that is not known.
    pub const UNKNOWN_OPTION: u8 = 2;
    /// The smallest MTU that every link must have (RFC 8200, section 5).
    pub const MTU_MIN: u16 = 1280;
}

/// An ICMP error about a packet, with its Ethernet and IP headers.
///
/// ```text
/// +---------------+---------------+-------------------------------+
/// |     type      |     code      |          checksum             |
/// +---------------+---------------+-------------------------------+
/// |          parameter: 0, or 16 (v4) or 32 (v6) bits of MTU      |
/// +---------------------------------------------------------------+
/// |   the packet from its IP header on, as it came, up to a limit |
/// +---------------------------------------------------------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpError<'a> {
    /// The Ethernet header.
    pub eth: EthHeader,
    /// Source and destination.
    pub ips: IpPair,
    /// TTL or hop limit.
    pub ttl: u8,
    /// ICMP type.
    pub kind: u8,
    /// ICMP code.
    pub code: u8,
    /// The second word of the message.
    pub parameter: u32,
    quote: &'a [u8],
}

impl<'a> IcmpError<'a> {
    /// An error about `packet` that still goes the packet's own way: same Ethernet and IP addresses, same tag, TTL 255.
    /// [`IcmpError::back`] turns it round.
    ///
    /// `kind`, `code` and `parameter` are the message's. ICMPv6's packet too big, and its parameter problem about an option
    /// that it must not pass over, may be about packets to groups (RFC 4443, 2.4(e.3)).
    pub fn about(packet: &Packet<'a>, kind: u8, code: u8, parameter: u32) -> Result<Self, Unanswerable> {
        let v6 = packet.key.is_ipv6();
        let allowed =
            kind == icmp6::TOO_BIG || (kind == icmp6::PARAMETER_PROBLEM && code == icmp6::UNKNOWN_OPTION);
        let groups = if v6 && allowed { Groups::AllowV6 } else { Groups::Refuse };
        let ips = check(packet, groups)?;
        check_not_an_error(packet)?;
        let limit = if v6 { QUOTE_MAX_V6 } else { QUOTE_MAX_V4 };
        let quote = &packet.ip()[..packet.ip().len().min(limit)];
        Ok(IcmpError { eth: packet.key.eth_header(), ips, ttl: 255, kind, code, parameter, quote })
    }

    /// What a sender is told whose packet is larger than the MTU of the next link: fragmentation needed with that MTU in its
    /// last 16 bits (RFC 1191, section 4), or packet too big (RFC 4443, section 3.2). Hosts take no less than 1280 for IPv6
    /// and 68 for IPv4, so no less is said.
    pub fn too_big(packet: &Packet<'a>, mtu: u16) -> Result<Self, Unanswerable> {
        if packet.key.is_ipv6() {
            Self::about(packet, icmp6::TOO_BIG, 0, u32::from(mtu.max(icmp6::MTU_MIN)))
        } else {
            let mtu = mtu.max(crate::MTU_MIN_V4);
            Self::about(packet, icmp4::UNREACHABLE, icmp4::FRAGMENTATION_NEEDED, u32::from(mtu))
        }
    }

    /// The same error on its way to whoever sent the packet.
    #[must_use]
    pub const fn back(self) -> Self {
        IcmpError { eth: self.eth.swapped(), ips: self.ips.swapped(), ..self }
    }

    /// The quoted part of the packet.
    pub const fn quote(&self) -> &'a [u8] {
        self.quote
    }

    /// The length of the frame.
    pub const fn buffer_len(&self) -> usize {
        self.eth.buffer_len() + self.ips.header_len() + 8 + self.quote.len()
    }

    /// Writes the frame over the first `buffer_len()` bytes of `frame`.
    pub fn emit(&self, frame: &mut [u8]) {
        let frame = &mut frame[..self.buffer_len()];
        let (eth_type, proto) = match self.ips {
            IpPair::V4 { .. } => (ethertype::IPV4, ip_proto::ICMP),
            IpPair::V6 { .. } => (ethertype::IPV6, ip_proto::ICMPV6),
        };
        let message = self.ips.emit(self.eth.emit(frame, eth_type), proto, self.ttl);
        message[..4].copy_from_slice(&[self.kind, self.code, 0, 0]);
        message[4..8].copy_from_slice(&self.parameter.to_be_bytes());
        message[8..].copy_from_slice(self.quote);
        let start = match self.ips {
            IpPair::V4 { .. } => crate::checksum::Checksum::new(),
            IpPair::V6 { .. } => self.ips.pseudo_header(proto, message.len()),
        };
        let sum = start.bytes(message).finish();
        message[2..4].copy_from_slice(&sum.to_be_bytes());
    }

    /// The frame.
    pub fn to_vec(&self) -> Vec<u8> {
        crate::emitted(self.buffer_len(), |frame| self.emit(frame))
    }
}
