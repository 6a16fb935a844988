//! TCP resets (RFC 9293), as packets to write.

use crate::unanswerable::{Groups, check};
use crate::{EthHeader, IpPair, Packet, Unanswerable, ethertype, ip_proto};
use smoltcp::wire::{TcpPacket, TcpSeqNumber};

/// The TTL of a reset: what stock Open Virtual Network sends. ovn-sb(5) says 255.
const TTL: u8 = 63;

/// Bits of [`FlowKey::tcp_flags`](crate::FlowKey::tcp_flags).
pub mod tcp_flags {
    /// No more data from the sender.
    pub const FIN: u16 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u16 = 0x02;
    /// Reset.
    pub const RST: u16 = 0x04;
    /// The acknowledgement field means something.
    pub const ACK: u16 = 0x10;
}

/// A TCP reset that answers a segment, with its Ethernet and IP headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpReset {
    /// The Ethernet header.
    pub eth: EthHeader,
    /// Source and destination.
    pub ips: IpPair,
    /// TTL or hop limit.
    pub ttl: u8,
    /// The port that the segment was sent to.
    pub src_port: u16,
    /// The port that the segment came from.
    pub dst_port: u16,
    /// Sequence number.
    pub seq: u32,
    /// Acknowledgement number; `None` leaves ACK clear.
    pub ack: Option<u32>,
}

impl TcpReset {
    /// The reset that RFC 9293 3.10.7.1 answers `packet` with: to a segment with ACK `<SEQ=SEG.ACK><CTL=RST>`, to one
    /// without `<SEQ=0><ACK=SEG.SEQ+SEG.LEN><CTL=RST,ACK>`, where the length counts SYN and FIN.
    ///
    /// The ports are exchanged; Ethernet and IP addresses still go the packet's own way, until [`TcpReset::back`].
    pub fn answering(packet: &Packet<'_>) -> Result<Self, Unanswerable> {
        let ips = check(packet, Groups::Refuse)?;
        let key = &packet.key;
        if !key.is_transport(ip_proto::TCP) {
            return Err(Unanswerable::WrongProtocol);
        }
        let segment = packet.transport().ok_or(Unanswerable::Truncated)?;
        let view = TcpPacket::new_checked(segment).map_err(|_| Unanswerable::Truncated)?;
        if view.rst() {
            return Err(Unanswerable::Reset);
        }
        let (seq, ack) = if view.ack() {
            (view.ack_number().0 as u32, None)
        } else {
            let end = view.seq_number() + view.segment_len();
            (0, Some(end.0 as u32))
        };
        let eth = key.eth_header();
        Ok(TcpReset { eth, ips, ttl: TTL, src_port: key.tp_dst, dst_port: key.tp_src, seq, ack })
    }

    /// The same reset on its way to whoever sent the segment.
    #[must_use]
    pub const fn back(self) -> Self {
        TcpReset { eth: self.eth.swapped(), ips: self.ips.swapped(), ..self }
    }

    /// The length of the frame.
    pub const fn buffer_len(&self) -> usize {
        self.eth.buffer_len() + self.ips.header_len() + 20
    }

    /// Writes the frame over the first `buffer_len()` bytes of `frame`.
    pub fn emit(&self, frame: &mut [u8]) {
        let frame = &mut frame[..self.buffer_len()];
        let eth_type = match self.ips {
            IpPair::V4 { .. } => ethertype::IPV4,
            IpPair::V6 { .. } => ethertype::IPV6,
        };
        let segment = self.ips.emit(self.eth.emit(frame, eth_type), ip_proto::TCP, self.ttl);
        // window, urgent pointer and reserved bits are zero
        segment.fill(0);
        let mut view = TcpPacket::new_unchecked(&mut *segment);
        view.set_src_port(self.src_port);
        view.set_dst_port(self.dst_port);
        view.set_seq_number(TcpSeqNumber(self.seq as i32));
        view.set_header_len(20);
        view.set_rst(true);
        if let Some(ack) = self.ack {
            view.set_ack(true);
            view.set_ack_number(TcpSeqNumber(ack as i32));
        }
        let sum = self.ips.pseudo_header(ip_proto::TCP, segment.len()).bytes(segment).finish();
        segment[16..18].copy_from_slice(&sum.to_be_bytes());
    }

    /// The frame.
    pub fn to_vec(&self) -> Vec<u8> {
        crate::emitted(self.buffer_len(), |frame| self.emit(frame))
    }
}
