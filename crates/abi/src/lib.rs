//! OVN's numbers, as plain data: what northd, controllers, the switch and an operator's tools must agree on without
//! ever exchanging it.
//!
//! | module | holds |
//! |---|---|
//! | [`stages`] | the stages of the four logical pipelines: number and name |
//! | [`tables`] | the OpenFlow tables of the integration bridge |
//! | [`registers`] | what each Open vSwitch register holds, the flag bits of reg10, the registers that northd's flows use |
//! | [`conntrack`] | bits of ct_state, ct_mark and ct_label |
//! | [`dhcp`] | the DHCP options that controllers know |
//! | [`opcodes`] | the first word of a `controller` action's userdata |
//! | [`keys`] | tunnel keys: ranges, reserved values, multicast groups |
//! | [`tunnel`] | Geneve's option, VXLAN's layout, overheads |
//! | [`age`] | the text that says after how long neighbours are forgotten |
//! | [`options`] | names of options and features that the daemons tell each other in the databases |
//! | [`own`] | what is Kiln's own and not OVN's |
//!
//! The numbers are those of OVN 26.03: ovn-northd(8), ovn-architecture(7), ovn-controller(8) and ovn-sb(5).
#![forbid(unsafe_code)]

pub mod age;
pub mod conntrack;
pub mod dhcp;
pub mod keys;
pub mod opcodes;
pub mod options;
pub mod own;
pub mod punts;
pub mod registers;
pub mod stages;
pub mod tables;
pub mod tunnel;

/// A run of bits of a wider field, counted from the least significant one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Bits {
    /// The lowest bit.
    pub first: u8,
    /// How many bits.
    pub len: u8,
}

impl Bits {
    /// The bits `first..=last`.
    pub const fn range(first: u8, last: u8) -> Self {
        Bits { first, len: last - first + 1 }
    }

    /// One bit.
    pub const fn bit(first: u8) -> Self {
        Bits { first, len: 1 }
    }

    /// The highest bit.
    pub const fn last(self) -> u8 {
        self.first + self.len - 1
    }

    /// Ones at these bits.
    pub const fn mask(self) -> u128 {
        (if self.len >= 128 { u128::MAX } else { (1 << self.len) - 1 }) << self.first
    }
}
