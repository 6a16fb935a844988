//! OpenFlow tables of the integration bridge (ovn-architecture(7), Architectural Physical Life Cycle of a Packet; the
//! numbers are those that ovn-controller installs, which the manual page trails behind).

use crate::stages::Pipeline;

/// Physical to logical: where packets enter the bridge.
pub const PHY_TO_LOG: u8 = 0;
/// Stage 0 of the ingress pipeline.
pub const LOG_INGRESS: u8 = 8;
/// `output` in the ingress pipeline: finds packets larger than their port's path MTU.
pub const OUTPUT_LARGE_PKT_DETECT: u8 = 42;
/// Answers the packets that table 42 found.
pub const OUTPUT_LARGE_PKT_PROCESS: u8 = 43;
/// Output to ports of other chassis.
pub const REMOTE_OUTPUT: u8 = 44;
/// Output to remote VXLAN endpoints of an EVPN.
pub const REMOTE_VTEP_OUTPUT: u8 = 45;
/// Output to ports of this chassis.
pub const LOCAL_OUTPUT: u8 = 46;
/// Drops what would leave where it came in, unless `flags.loopback` is set.
pub const CHECK_LOOPBACK: u8 = 47;
/// Stage 0 of the egress pipeline.
pub const LOG_EGRESS: u8 = 48;
/// `output` in the egress pipeline: keeps in_port around the output.
pub const SAVE_INPORT: u8 = 64;
/// Logical to physical.
pub const LOG_TO_PHY: u8 = 65;
/// `get_arp`, `get_nd`: next hop to Ethernet address.
pub const MAC_BINDING: u8 = 66;
/// `lookup_arp`, `lookup_nd`: whether a binding is known.
pub const MAC_LOOKUP: u8 = 67;
/// `chk_lb_hairpin`.
pub const CHK_LB_HAIRPIN: u8 = 68;
/// `chk_lb_hairpin_reply`.
pub const CHK_LB_HAIRPIN_REPLY: u8 = 69;
/// `ct_snat_to_vip`.
pub const CT_SNAT_HAIRPIN: u8 = 70;
/// `get_fdb`.
pub const GET_FDB: u8 = 71;
/// `lookup_fdb`.
pub const LOOKUP_FDB: u8 = 72;
/// `check_in_port_sec`.
pub const CHK_IN_PORT_SEC: u8 = 73;
/// `check_in_port_sec`, the neighbour discovery part.
pub const CHK_IN_PORT_SEC_ND: u8 = 74;
/// `check_out_port_sec`.
pub const CHK_OUT_PORT_SEC: u8 = 75;
/// `chk_ecmp_nh_mac`.
pub const ECMP_NH_MAC: u8 = 76;
/// `chk_ecmp_nh`.
pub const ECMP_NH: u8 = 77;
/// `chk_lb_aff`.
pub const CHK_LB_AFFINITY: u8 = 78;
/// `mac_cache_use`: only counters.
pub const MAC_CACHE_USE: u8 = 79;
/// Loads the conntrack zones of the port that an MTU error came back to.
pub const CT_ZONE_LOOKUP: u8 = 80;
/// `ct_nw_dst`.
pub const CT_ORIG_NW_DST_LOAD: u8 = 81;
/// `ct_ip6_dst`.
pub const CT_ORIG_IP6_DST_LOAD: u8 = 82;
/// `ct_tp_dst`.
pub const CT_ORIG_TP_DST_LOAD: u8 = 83;
/// `flood_remote`.
pub const FLOOD_REMOTE_CHASSIS: u8 = 84;
/// `ct_state_save`.
pub const CT_STATE_SAVE: u8 = 85;
/// `ct_proto`.
pub const CT_ORIG_PROTO_LOAD: u8 = 86;
/// `get_remote_fdb`.
pub const GET_REMOTE_FDB: u8 = 87;
/// Learns addresses behind remote VXLAN endpoints.
pub const LEARN_REMOTE_FDB: u8 = 88;

/// The OpenFlow table of stage `number` of a pipeline.
pub const fn of_stage(pipeline: Pipeline, number: u8) -> u8 {
    number
        + match pipeline {
            Pipeline::Ingress => LOG_INGRESS,
            Pipeline::Egress => LOG_EGRESS,
        }
}

/// The OpenFlow table that `output` goes on to.
pub const fn of_output(pipeline: Pipeline) -> u8 {
    match pipeline {
        Pipeline::Ingress => OUTPUT_LARGE_PKT_DETECT,
        Pipeline::Egress => SAVE_INPORT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipelines_fill_the_gaps_exactly() {
        assert_eq!(LOG_INGRESS + Pipeline::Ingress.max_stages(), OUTPUT_LARGE_PKT_DETECT);
        assert_eq!(LOG_EGRESS + Pipeline::Egress.max_stages(), SAVE_INPORT);
    }
}
