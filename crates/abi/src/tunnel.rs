//! How keys travel between chassis (ovn-architecture(7), Tunnel Encapsulations).

use crate::Bits;

/// Class of the Geneve option that carries the logical ports.
pub const GENEVE_OPTION_CLASS: u16 = 0x0102;
/// Its type, with the critical bit set.
pub const GENEVE_OPTION_TYPE: u8 = 0x80;
/// Its length in bytes.
pub const GENEVE_OPTION_LEN: u8 = 4;
/// Bits of the option: key of the input port.
pub const GENEVE_INPORT: Bits = Bits::range(16, 30);
/// Bits of the option: key of the output port.
pub const GENEVE_OUTPORT: Bits = Bits::range(0, 15);
/// Bits of Geneve's VNI: key of the datapath.
pub const GENEVE_DATAPATH: Bits = Bits::range(0, 23);
/// Bits of VXLAN's VNI: key of the datapath.
pub const VXLAN_DATAPATH: Bits = Bits::range(0, 11);
/// Bits of VXLAN's VNI: key of the output port; a multicast group's key has the top bit set and its low 11 bits.
pub const VXLAN_OUTPORT: Bits = Bits::range(12, 23);

/// Default UDP port of Geneve (RFC 8926, section 3.3).
pub const GENEVE_UDP_PORT: u16 = 6081;
/// Default UDP port of VXLAN (RFC 7348, section 5).
pub const VXLAN_UDP_PORT: u16 = 4789;
/// Bytes that Geneve adds to a frame, without the outer IP header.
pub const GENEVE_OVERHEAD: u16 = 38;
/// Bytes that VXLAN adds to a frame, without the outer IP header.
pub const VXLAN_OVERHEAD: u16 = 30;
