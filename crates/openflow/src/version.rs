//! OpenFlow versions.

use std::fmt;

/// A version as byte 0 of every message names it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version(pub u8);

impl Version {
    /// OpenFlow 1.0.
    pub const V1_0: Version = Version(1);
    /// OpenFlow 1.1.
    pub const V1_1: Version = Version(2);
    /// OpenFlow 1.2.
    pub const V1_2: Version = Version(3);
    /// OpenFlow 1.3.
    pub const V1_3: Version = Version(4);
    /// OpenFlow 1.4.
    pub const V1_4: Version = Version(5);
    /// OpenFlow 1.5.
    pub const V1_5: Version = Version(6);
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            1..=6 => write!(f, "OpenFlow 1.{}", self.0 - 1),
            n => write!(f, "OpenFlow version {n:#04x}"),
        }
    }
}

impl fmt::Debug for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
