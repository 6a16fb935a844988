//! Tunnel keys (ovn-architecture(7), Tunnel Encapsulations).

use kiln_types::PortKey;
use std::ops::RangeInclusive;

/// Datapath keys that a deployment gives out itself.
pub const DATAPATH_LOCAL: RangeInclusive<u32> = 1..=0xff_0000;
/// Datapath keys of transit switches and routers between deployments.
pub const DATAPATH_GLOBAL: RangeInclusive<u32> = 0xff_0001..=0xff_ffff;
/// Datapath keys where some chassis tunnels by VXLAN.
pub const DATAPATH_VXLAN: RangeInclusive<u32> = 1..=4095;
/// Local datapath keys where a switch has `other_config:ic-vxlan_mode`; the rest of the 12 bits is global.
pub const DATAPATH_VXLAN_IC_LOCAL: RangeInclusive<u32> = 1..=1023;
/// Global datapath keys in that case.
pub const DATAPATH_VXLAN_IC_GLOBAL: RangeInclusive<u32> = 1024..=4095;

/// Keys of logical ports within their datapath; 0 is none.
pub const PORT: RangeInclusive<u16> = 1..=0x7fff;
/// Keys of logical ports where some chassis tunnels by VXLAN.
pub const PORT_VXLAN: RangeInclusive<u16> = 1..=2047;
/// Keys of multicast groups.
pub const MULTICAST: RangeInclusive<u16> = 0x8000..=0xffff;
/// Keys of multicast groups where some chassis tunnels by VXLAN.
pub const MULTICAST_VXLAN: RangeInclusive<u16> = 0x8000..=0x87ff;
/// The first key of groups that IGMP and MLD make.
pub const IP_MULTICAST_FIRST: PortKey = PortKey(32773);

/// A multicast group that every switch has (table Multicast_Group).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MulticastGroup {
    /// Column `name`.
    pub name: &'static str,
    /// Column `tunnel_key`.
    pub key: PortKey,
}

impl MulticastGroup {
    /// Every enabled port.
    pub const FLOOD: MulticastGroup = MulticastGroup { name: "_MC_flood", key: PortKey(32768) };
    /// Ports with address `unknown`.
    pub const UNKNOWN: MulticastGroup = MulticastGroup { name: "_MC_unknown", key: PortKey(32769) };
    /// Ports with multicast routers behind them.
    pub const MROUTER_FLOOD: MulticastGroup =
        MulticastGroup { name: "_MC_mrouter_flood", key: PortKey(32770) };
    /// Ports that get all multicast.
    pub const STATIC: MulticastGroup = MulticastGroup { name: "_MC_static", key: PortKey(32771) };
    /// Every enabled port but those to routers.
    pub const FLOOD_L2: MulticastGroup = MulticastGroup { name: "_MC_flood_l2", key: PortKey(32772) };
}

/// Every reserved group, in order of keys.
pub const MULTICAST_GROUPS: &[MulticastGroup] = &[
    MulticastGroup::FLOOD,
    MulticastGroup::UNKNOWN,
    MulticastGroup::MROUTER_FLOOD,
    MulticastGroup::STATIC,
    MulticastGroup::FLOOD_L2,
];

/// Conntrack zones that may be assigned; 0 never is.
pub const CT_ZONE: RangeInclusive<u16> = 1..=65535;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_groups_come_first_among_the_multicast_keys() {
        for (group, key) in MULTICAST_GROUPS.iter().zip(MULTICAST) {
            assert_eq!(group.key.0, key, "{}", group.name);
        }
        assert_eq!(usize::from(IP_MULTICAST_FIRST.0 - 0x8000), MULTICAST_GROUPS.len());
    }
}
