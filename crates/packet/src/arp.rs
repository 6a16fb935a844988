//! ARP for IPv4 over Ethernet (RFC 826), as packets to write.

use crate::{EthHeader, ethertype};
use kiln_types::EthAddr;
use smoltcp::wire::{ArpHardware, ArpOperation, ArpPacket, EthernetProtocol};
use std::net::Ipv4Addr;

/// An ARP operation code; unknown ones are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ArpOp(pub u16);

impl ArpOp {
    /// Request.
    pub const REQUEST: ArpOp = ArpOp(1);
    /// Reply.
    pub const REPLY: ArpOp = ArpOp(2);
}

/// An ARP packet with its Ethernet header.
///
/// ```text
///  0                   1                   2                   3
/// +-------------------------------+-------------------------------+
/// |     hardware type: 1          |     protocol type: 0x0800     |
/// +---------------+---------------+-------------------------------+
/// |      6        |       4       |              op               |
/// +---------------+---------------+-------------------------------+
/// |  sha (6)   |  spa (4)   |  tha (6)   |  tpa (4)               |
/// +---------------------------------------------------------------+
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// The Ethernet header.
    pub eth: EthHeader,
    /// `arp_op`.
    pub op: ArpOp,
    /// `arp_sha`: the sender's Ethernet address.
    pub sha: EthAddr,
    /// `arp_spa`: the sender's IPv4 address.
    pub spa: Ipv4Addr,
    /// `arp_tha`: the target's Ethernet address, zero in requests.
    pub tha: EthAddr,
    /// `arp_tpa`: the target's IPv4 address.
    pub tpa: Ipv4Addr,
}

impl Arp {
    /// A broadcast request from `mac` at `spa`: who has `tpa`?
    pub const fn request(mac: EthAddr, spa: Ipv4Addr, tpa: Ipv4Addr) -> Self {
        let eth = EthHeader::new(mac, EthAddr::BROADCAST);
        Arp { eth, op: ArpOp::REQUEST, sha: mac, spa, tha: EthAddr::ZERO, tpa }
    }

    /// The reply that `mac` at `ip` gives to the one who asked.
    pub const fn reply(mac: EthAddr, ip: Ipv4Addr, asker: EthAddr, asker_ip: Ipv4Addr) -> Self {
        Arp {
            eth: EthHeader::new(mac, asker),
            op: ArpOp::REPLY,
            sha: mac,
            spa: ip,
            tha: asker,
            tpa: asker_ip,
        }
    }

    /// The announcement of `ip` at `mac`: a request for the sender's own address (RFC 5227, section 3).
    pub const fn gratuitous(mac: EthAddr, ip: Ipv4Addr) -> Self {
        Arp::request(mac, ip, ip)
    }

    /// The length of the frame.
    pub const fn buffer_len(&self) -> usize {
        self.eth.buffer_len() + 28
    }

    /// Writes the frame over the first `buffer_len()` bytes of `frame`.
    pub fn emit(&self, frame: &mut [u8]) {
        let mut arp = ArpPacket::new_unchecked(self.eth.emit(frame, ethertype::ARP));
        arp.set_hardware_type(ArpHardware::Ethernet);
        arp.set_protocol_type(EthernetProtocol::Ipv4);
        arp.set_hardware_len(6);
        arp.set_protocol_len(4);
        arp.set_operation(ArpOperation::from(self.op.0));
        arp.set_source_hardware_addr(&self.sha.0);
        arp.set_source_protocol_addr(&self.spa.octets());
        arp.set_target_hardware_addr(&self.tha.0);
        arp.set_target_protocol_addr(&self.tpa.octets());
    }

    /// The frame.
    pub fn to_vec(&self) -> Vec<u8> {
        crate::emitted(self.buffer_len(), |frame| self.emit(frame))
    }
}
