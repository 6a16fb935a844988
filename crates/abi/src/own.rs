//! Numbers of Kiln's own, beside OVN's: of what stock does not have.
//!
//! A controller's userdata and the switch's experimenter actions are the two places where such numbers meet others'. Both
//! keep far from what Open Virtual Network and Open vSwitch give out in turn.

/// The first opcode of Kiln's own ([`crate::opcodes`]); stock's count up from 0.
pub const FIRST_OPCODE: u32 = 0x6b69_6c00;

/// Actions that a switch of Kiln's executes in its fast path, where a stock switch hands the packet to the controller:
/// OpenFlow experimenter actions (OpenFlow 1.5.1, section 7.2.6.18).
///
/// The numbers are kept for what they name; a switch that has one of them says so before it is used.
pub mod switch_action {
    /// The experimenter: `kil`, in the range that no vendor's Ethernet prefix is in.
    pub const EXPERIMENTER: u32 = 0x6b69_6c00;

    /// Cuts an IPv4 packet into fragments.
    pub const FRAGMENT: u16 = 1;
    /// Answers with an ICMP error that quotes the packet.
    pub const ICMP_ERROR: u16 = 2;
    /// Answers with a TCP reset.
    pub const TCP_RESET: u16 = 3;
    /// Answers with an SCTP abort.
    pub const SCTP_ABORT: u16 = 4;
    /// Keeps the packet until its next hop is known.
    pub const RESOLVE: u16 = 5;
}
