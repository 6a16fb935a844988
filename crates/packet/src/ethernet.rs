//! Ethernet headers and their VLAN tag (IEEE 802.3, 802.1Q).

use kiln_types::EthAddr;
use smoltcp::wire::{EthernetAddress, EthernetFrame, EthernetProtocol};

/// Set in a tag control word that stands for a tag, as OpenFlow's `OFPVID_PRESENT` and Open vSwitch's CFI bit.
pub const VLAN_PRESENT: u16 = 0x1000;

/// EtherType numbers.
pub mod ethertype {
    /// IPv4.
    pub const IPV4: u16 = 0x0800;
    /// ARP (RFC 826).
    pub const ARP: u16 = 0x0806;
    /// Reverse ARP (RFC 903).
    pub const RARP: u16 = 0x8035;
    /// IEEE 802.1Q tag.
    pub const VLAN: u16 = 0x8100;
    /// IPv6.
    pub const IPV6: u16 = 0x86dd;
    /// MPLS.
    pub const MPLS: u16 = 0x8847;
    /// MPLS, multicast.
    pub const MPLS_MULTICAST: u16 = 0x8848;
    /// IEEE 802.1ad service tag.
    pub const SERVICE_VLAN: u16 = 0x88a8;
    /// What OpenFlow's `eth_type` is for frames that have none: 802.2 frames other than SNAP ones (OpenFlow 1.0.1, 3.4).
    pub const NONE: u16 = 0x05ff;
}

/// An Ethernet header to write, with at most one 802.1Q tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EthHeader {
    /// Destination.
    pub dst: EthAddr,
    /// Source.
    pub src: EthAddr,
    /// The tag's control word, [`VLAN_PRESENT`] set; 0 for no tag.
    pub vlan_tci: u16,
}

impl EthHeader {
    /// An untagged header.
    pub const fn new(src: EthAddr, dst: EthAddr) -> Self {
        EthHeader { dst, src, vlan_tci: 0 }
    }

    /// How many bytes it takes: 14 or 18.
    pub const fn buffer_len(&self) -> usize {
        if self.vlan_tci == 0 { 14 } else { 18 }
    }

    /// Writes the header at the start of `frame` and yields what follows it.
    pub(crate) fn emit<'a>(&self, frame: &'a mut [u8], eth_type: u16) -> &'a mut [u8] {
        let mut view = EthernetFrame::new_unchecked(&mut *frame);
        view.set_dst_addr(EthernetAddress(self.dst.0));
        view.set_src_addr(EthernetAddress(self.src.0));
        if self.vlan_tci == 0 {
            view.set_ethertype(EthernetProtocol::from(eth_type));
        } else {
            view.set_ethertype(EthernetProtocol::from(ethertype::VLAN));
            frame[14..16].copy_from_slice(&(self.vlan_tci & !VLAN_PRESENT).to_be_bytes());
            frame[16..18].copy_from_slice(&eth_type.to_be_bytes());
        }
        &mut frame[self.buffer_len()..]
    }

    /// The same header with source and destination exchanged.
    #[must_use]
    pub const fn swapped(self) -> Self {
        EthHeader { dst: self.src, src: self.dst, vlan_tci: self.vlan_tci }
    }
}
