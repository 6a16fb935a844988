//! Numbers of messages, by version.

use crate::Version;

pub(super) const HELLO: u8 = 0;
pub(super) const ERROR: u8 = 1;
pub(super) const ECHO_REQUEST: u8 = 2;
pub(super) const ECHO_REPLY: u8 = 3;
pub(super) const EXPERIMENTER: u8 = 4;
pub(super) const FEATURES_REQUEST: u8 = 5;
pub(super) const FEATURES_REPLY: u8 = 6;
pub(super) const GET_CONFIG_REQUEST: u8 = 7;
pub(super) const GET_CONFIG_REPLY: u8 = 8;
pub(super) const SET_CONFIG: u8 = 9;
pub(super) const FLOW_REMOVED: u8 = 11;
pub(super) const PORT_STATUS: u8 = 12;
pub(super) const PACKET_OUT: u8 = 13;
pub(super) const FLOW_MOD: u8 = 14;
pub(super) const GROUP_MOD: u8 = 15;
pub(super) const ROLE_REQUEST: u8 = 24;
pub(super) const ROLE_REPLY: u8 = 25;
pub(super) const METER_MOD: u8 = 29;
pub(super) const BUNDLE_CONTROL: u8 = 33;
pub(super) const BUNDLE_ADD: u8 = 34;

/// Numbers that 1.0 gave to other messages.
pub(super) struct Moved {
    pub(super) multipart_request: u8,
    pub(super) multipart_reply: u8,
    pub(super) barrier_request: u8,
    pub(super) barrier_reply: u8,
}

pub(super) const fn moved(version: Version) -> Moved {
    if version.0 == Version::V1_0.0 {
        Moved { multipart_request: 16, multipart_reply: 17, barrier_request: 18, barrier_reply: 19 }
    } else {
        Moved { multipart_request: 18, multipart_reply: 19, barrier_request: 20, barrier_reply: 21 }
    }
}

/// Nicira's messages.
pub(super) mod nxt {
    pub(crate) const ROLE_REQUEST: u32 = 10;
    pub(crate) const ROLE_REPLY: u32 = 11;
    pub(crate) const SET_FLOW_FORMAT: u32 = 12;
    pub(crate) const FLOW_MOD: u32 = 13;
    pub(crate) const FLOW_MOD_TABLE_ID: u32 = 15;
    pub(crate) const SET_PACKET_IN_FORMAT: u32 = 16;
    pub(crate) const SET_CONTROLLER_ID: u32 = 20;
    pub(crate) const FLOW_MONITOR_CANCEL: u32 = 21;
    pub(crate) const FLOW_MONITOR_PAUSED: u32 = 22;
    pub(crate) const FLOW_MONITOR_RESUMED: u32 = 23;
    pub(crate) const TLV_TABLE_MOD: u32 = 24;
    pub(crate) const TLV_TABLE_REQUEST: u32 = 25;
    pub(crate) const TLV_TABLE_REPLY: u32 = 26;
    pub(crate) const RESUME: u32 = 28;
    pub(crate) const CT_FLUSH_ZONE: u32 = 29;
    pub(crate) const PACKET_IN2: u32 = 30;
    pub(crate) const CT_FLUSH: u32 = 32;
}

/// ONF's extension messages of 1.3.
pub(super) mod onf {
    pub(crate) const FLOW_MONITOR_CANCEL: u32 = 1870;
    pub(crate) const FLOW_MONITOR_PAUSED: u32 = 1871;
    pub(crate) const FLOW_MONITOR_RESUMED: u32 = 1872;
    pub(crate) const MULTIPART_FLOW_MONITOR: u32 = 1870;
    pub(crate) const BUNDLE_CONTROL: u32 = 2300;
    pub(crate) const BUNDLE_ADD: u32 = 2301;
}

/// Multipart types.
pub(super) mod mp {
    pub(crate) const DESC: u16 = 0;
    pub(crate) const FLOW: u16 = 1;
    pub(crate) const AGGREGATE: u16 = 2;
    pub(crate) const GROUP: u16 = 6;
    pub(crate) const GROUP_DESC: u16 = 7;
    pub(crate) const GROUP_FEATURES: u16 = 8;
    pub(crate) const METER: u16 = 9;
    pub(crate) const METER_CONFIG: u16 = 10;
    pub(crate) const METER_FEATURES: u16 = 11;
    pub(crate) const PORT_DESC: u16 = 13;
    pub(crate) const FLOW_MONITOR: u16 = 16;
    pub(crate) const EXPERIMENTER: u16 = 0xffff;
    /// Nicira's statistics of 1.0.
    pub(crate) const NXST_FLOW: u32 = 0;
    pub(crate) const NXST_AGGREGATE: u32 = 1;
    pub(crate) const NXST_FLOW_MONITOR: u32 = 2;
}
