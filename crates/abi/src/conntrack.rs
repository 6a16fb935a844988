//! Bits of ct_state, ct_mark and ct_label (ovn-sb(5), Logical_Flow, symbols).

use crate::Bits;

/// Bit numbers of ct_state (ovs-fields(7)).
pub mod state {
    /// A new connection.
    pub const NEW: u8 = 0;
    /// Part of an established connection.
    pub const EST: u8 = 1;
    /// Related to a connection.
    pub const REL: u8 = 2;
    /// In the direction of replies.
    pub const RPL: u8 = 3;
    /// Not to be identified.
    pub const INV: u8 = 4;
    /// Went through conntrack.
    pub const TRK: u8 = 5;
    /// Its source was translated.
    pub const SNAT: u8 = 6;
    /// Its destination was translated.
    pub const DNAT: u8 = 7;
}

/// Bits of ct_mark.
pub mod mark {
    use super::Bits;

    /// The connection was allowed once and is forbidden now.
    pub const BLOCKED: u8 = 0;
    /// A load balancer translated it.
    pub const NATTED: u8 = 1;
    /// The load balancer wants no SNAT.
    pub const SKIP_SNAT: u8 = 2;
    /// The load balancer wants SNAT.
    pub const FORCE_SNAT: u8 = 3;
    /// Observation stage.
    pub const OBS_STAGE: Bits = Bits::range(4, 5);
    /// Allowed as long as it lives.
    pub const ALLOW_ESTABLISHED: u8 = 6;
    /// The sample collector.
    pub const OBS_COLLECTOR_ID: Bits = Bits::range(16, 23);
    /// The port that an ECMP reply leaves by.
    pub const ECMP_REPLY_PORT: Bits = Bits::range(16, 31);
}

/// Bits of ct_label.
pub mod label {
    use super::Bits;

    /// A network function sees the connection.
    pub const NF: u8 = 7;
    /// A tunnel interface is kept with the connection.
    pub const TUN_IF: u8 = 8;
    /// The network function.
    pub const NF_ID: Bits = Bits::range(17, 24);
    /// The Ethernet address that an ECMP reply goes to.
    pub const ECMP_REPLY_ETH: Bits = Bits::range(32, 79);
    /// The ACL that allowed the connection.
    pub const ACL_ID: Bits = Bits::range(80, 95);
    /// The tunnel interface.
    pub const TUN_IF_ID: Bits = Bits::range(80, 95);
    /// The ACL's label, or its observation point.
    pub const LABEL: Bits = Bits::range(96, 127);
}
