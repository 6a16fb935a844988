//! Tunnel keys and OpenFlow port numbers.

use std::fmt;

macro_rules! newtype {
    ($(#[$doc:meta])* $name:ident($int:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $int);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
    };
}

newtype!(
    /// A logical datapath's tunnel key: 24 bits, 0 means none (ovn-architecture(7), Tunnel Encapsulations).
    DatapathKey(u32)
);
newtype!(
    /// A logical port's or multicast group's key within its datapath: ports 1..=32767, groups 32768..=65535.
    PortKey(u16)
);
newtype!(
    /// An OpenFlow port number in its 32-bit form (OpenFlow 1.5.1, section 7.2.1).
    OfPort(u32)
);

impl OfPort {
    /// `OFPP_IN_PORT`.
    pub const IN_PORT: OfPort = OfPort(0xffff_fff8);
    /// `OFPP_CONTROLLER`.
    pub const CONTROLLER: OfPort = OfPort(0xffff_fffd);
    /// `OFPP_LOCAL`.
    pub const LOCAL: OfPort = OfPort(0xffff_fffe);
    /// `OFPP_ANY`, also written `NONE`.
    pub const ANY: OfPort = OfPort(0xffff_ffff);
}
