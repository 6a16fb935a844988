//! The stages of the logical pipelines (ovn-northd(8), Logical Flow Table Structure).

use std::fmt;

/// What kind of logical datapath a stage belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Datapath {
    /// A logical switch.
    Switch,
    /// A logical router.
    Router,
}

/// Which half of a logical datapath (column `pipeline` of Logical_Flow).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pipeline {
    /// Before the output port is chosen.
    Ingress,
    /// Once for each output port.
    Egress,
}

impl Pipeline {
    /// As in the column: `ingress` or `egress`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Pipeline::Ingress => "ingress",
            Pipeline::Egress => "egress",
        }
    }

    /// How many stages a switch's or router's pipeline may have: the tables reserved for it.
    pub const fn max_stages(self) -> u8 {
        match self {
            Pipeline::Ingress => 34,
            Pipeline::Egress => 16,
        }
    }
}

impl fmt::Display for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One stage: where it stands and what operators call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stage {
    /// The kind of datapath.
    pub datapath: Datapath,
    /// The half of the datapath.
    pub pipeline: Pipeline,
    /// `table_id` of Logical_Flow.
    pub number: u8,
    /// `external_ids:stage-name` of Logical_Flow.
    pub name: &'static str,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

macro_rules! stages {
    ($($datapath:ident $pipeline:ident { $($number:literal $constant:ident $name:literal,)* })*) => {
        impl Stage {
            $($(
                #[doc = concat!("`", $name, "`, stage ", stringify!($number), " of its pipeline.")]
                pub const $constant: Stage = Stage {
                    datapath: Datapath::$datapath,
                    pipeline: Pipeline::$pipeline,
                    number: $number,
                    name: $name,
                };
            )*)*
        }

        /// Every stage, in order of datapath kind, pipeline and number.
        pub const STAGES: &[Stage] = &[$($(Stage::$constant,)*)*];
    };
}

stages! {
    Switch Ingress {
        0 LS_IN_CHECK_PORT_SEC "ls_in_check_port_sec",
        1 LS_IN_APPLY_PORT_SEC "ls_in_apply_port_sec",
        2 LS_IN_MIRROR "ls_in_mirror",
        3 LS_IN_LOOKUP_FDB "ls_in_lookup_fdb",
        4 LS_IN_PUT_FDB "ls_in_put_fdb",
        5 LS_IN_PRE_ACL "ls_in_pre_acl",
        6 LS_IN_PRE_LB "ls_in_pre_lb",
        7 LS_IN_PRE_STATEFUL "ls_in_pre_stateful",
        8 LS_IN_ACL_HINT "ls_in_acl_hint",
        9 LS_IN_ACL_EVAL "ls_in_acl_eval",
        10 LS_IN_ACL_SAMPLE "ls_in_acl_sample",
        11 LS_IN_ACL_ACTION "ls_in_acl_action",
        12 LS_IN_QOS "ls_in_qos",
        13 LS_IN_CT_EXTRACT "ls_in_ct_extract",
        14 LS_IN_LB_AFF_CHECK "ls_in_lb_aff_check",
        15 LS_IN_LB "ls_in_lb",
        16 LS_IN_LB_AFF_LEARN "ls_in_lb_aff_learn",
        17 LS_IN_PRE_HAIRPIN "ls_in_pre_hairpin",
        18 LS_IN_NAT_HAIRPIN "ls_in_nat_hairpin",
        19 LS_IN_HAIRPIN "ls_in_hairpin",
        20 LS_IN_ACL_AFTER_LB_EVAL "ls_in_acl_after_lb_eval",
        21 LS_IN_ACL_AFTER_LB_SAMPLE "ls_in_acl_after_lb_sample",
        22 LS_IN_ACL_AFTER_LB_ACTION "ls_in_acl_after_lb_action",
        23 LS_IN_PRE_NETWORK_FUNCTION "ls_in_pre_network_function",
        24 LS_IN_STATEFUL "ls_in_stateful",
        25 LS_IN_NETWORK_FUNCTION "ls_in_network_function",
        26 LS_IN_ARP_RSP "ls_in_arp_rsp",
        27 LS_IN_DHCP_OPTIONS "ls_in_dhcp_options",
        28 LS_IN_DHCP_RESPONSE "ls_in_dhcp_response",
        29 LS_IN_DNS_LOOKUP "ls_in_dns_lookup",
        30 LS_IN_DNS_RESPONSE "ls_in_dns_response",
        31 LS_IN_EXTERNAL_PORT "ls_in_external_port",
        32 LS_IN_L2_LKUP "ls_in_l2_lkup",
        33 LS_IN_L2_UNKNOWN "ls_in_l2_unknown",
    }
    Switch Egress {
        0 LS_OUT_LOOKUP_FDB "ls_out_lookup_fdb",
        1 LS_OUT_PUT_FDB "ls_out_put_fdb",
        2 LS_OUT_PRE_ACL "ls_out_pre_acl",
        3 LS_OUT_PRE_LB "ls_out_pre_lb",
        4 LS_OUT_PRE_STATEFUL "ls_out_pre_stateful",
        5 LS_OUT_ACL_HINT "ls_out_acl_hint",
        6 LS_OUT_ACL_EVAL "ls_out_acl_eval",
        7 LS_OUT_ACL_SAMPLE "ls_out_acl_sample",
        8 LS_OUT_ACL_ACTION "ls_out_acl_action",
        9 LS_OUT_MIRROR "ls_out_mirror",
        10 LS_OUT_QOS "ls_out_qos",
        11 LS_OUT_PRE_NETWORK_FUNCTION "ls_out_pre_network_function",
        12 LS_OUT_STATEFUL "ls_out_stateful",
        13 LS_OUT_NETWORK_FUNCTION "ls_out_network_function",
        14 LS_OUT_CHECK_PORT_SEC "ls_out_check_port_sec",
        15 LS_OUT_APPLY_PORT_SEC "ls_out_apply_port_sec",
    }
    Router Ingress {
        0 LR_IN_ADMISSION "lr_in_admission",
        1 LR_IN_LOOKUP_NEIGHBOR "lr_in_lookup_neighbor",
        2 LR_IN_LEARN_NEIGHBOR "lr_in_learn_neighbor",
        3 LR_IN_IP_INPUT "lr_in_ip_input",
        4 LR_IN_DHCP_RELAY_REQ "lr_in_dhcp_relay_req",
        5 LR_IN_UNSNAT "lr_in_unsnat",
        6 LR_IN_POST_UNSNAT "lr_in_post_unsnat",
        7 LR_IN_DEFRAG "lr_in_defrag",
        8 LR_IN_CT_EXTRACT "lr_in_ct_extract",
        9 LR_IN_LB_AFF_CHECK "lr_in_lb_aff_check",
        10 LR_IN_DNAT "lr_in_dnat",
        11 LR_IN_LB_AFF_LEARN "lr_in_lb_aff_learn",
        12 LR_IN_ECMP_STATEFUL "lr_in_ecmp_stateful",
        13 LR_IN_ND_RA_OPTIONS "lr_in_nd_ra_options",
        14 LR_IN_ND_RA_RESPONSE "lr_in_nd_ra_response",
        15 LR_IN_IP_ROUTING_PRE "lr_in_ip_routing_pre",
        16 LR_IN_IP_ROUTING "lr_in_ip_routing",
        17 LR_IN_IP_ROUTING_ECMP "lr_in_ip_routing_ecmp",
        18 LR_IN_POLICY "lr_in_policy",
        19 LR_IN_POLICY_ECMP "lr_in_policy_ecmp",
        20 LR_IN_DHCP_RELAY_RESP_CHK "lr_in_dhcp_relay_resp_chk",
        21 LR_IN_DHCP_RELAY_RESP "lr_in_dhcp_relay_resp",
        22 LR_IN_ARP_RESOLVE "lr_in_arp_resolve",
        23 LR_IN_CHK_PKT_LEN "lr_in_chk_pkt_len",
        24 LR_IN_LARGER_PKTS "lr_in_larger_pkts",
        25 LR_IN_GW_REDIRECT "lr_in_gw_redirect",
        26 LR_IN_NETWORK_ID "lr_in_network_id",
        27 LR_IN_ARP_REQUEST "lr_in_arp_request",
        28 LR_IN_ECMP_STATEFUL_EGR "lr_in_ecmp_stateful_egr",
    }
    Router Egress {
        0 LR_OUT_CHK_DNAT_LOCAL "lr_out_chk_dnat_local",
        1 LR_OUT_UNDNAT "lr_out_undnat",
        2 LR_OUT_POST_UNDNAT "lr_out_post_undnat",
        3 LR_OUT_SNAT "lr_out_snat",
        4 LR_OUT_POST_SNAT "lr_out_post_snat",
        5 LR_OUT_EGR_LOOP "lr_out_egr_loop",
        6 LR_OUT_DELIVERY "lr_out_delivery",
    }
}

impl Stage {
    /// The stage of that name.
    pub fn by_name(name: &str) -> Option<Stage> {
        STAGES.iter().copied().find(|s| s.name == name)
    }

    /// The stage at that place, if the pipeline is that long.
    pub fn at(datapath: Datapath, pipeline: Pipeline, number: u8) -> Option<Stage> {
        STAGES
            .iter()
            .copied()
            .find(|s| s.datapath == datapath && s.pipeline == pipeline && s.number == number)
    }

    /// The stage after this one in the same pipeline.
    pub fn next(self) -> Option<Stage> {
        Stage::at(self.datapath, self.pipeline, self.number + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_dense_and_within_the_pipelines_tables() {
        let mut expected = 0;
        for pair in STAGES.windows(2) {
            assert_eq!(pair[0].number, expected, "{}", pair[0]);
            let same = (pair[0].datapath, pair[0].pipeline) == (pair[1].datapath, pair[1].pipeline);
            expected = if same { expected + 1 } else { 0 };
        }
        assert!(STAGES.iter().all(|s| s.number < s.pipeline.max_stages()));
    }

    #[test]
    fn names_say_the_place_and_are_unique() {
        for stage in STAGES {
            let prefix = match (stage.datapath, stage.pipeline) {
                (Datapath::Switch, Pipeline::Ingress) => "ls_in_",
                (Datapath::Switch, Pipeline::Egress) => "ls_out_",
                (Datapath::Router, Pipeline::Ingress) => "lr_in_",
                (Datapath::Router, Pipeline::Egress) => "lr_out_",
            };
            assert!(stage.name.starts_with(prefix), "{stage}");
            assert_eq!(Stage::by_name(stage.name), Some(*stage));
        }
    }

    #[test]
    fn next_ends_with_the_pipeline() {
        assert_eq!(Stage::LR_OUT_EGR_LOOP.next(), Some(Stage::LR_OUT_DELIVERY));
        assert_eq!(Stage::LR_OUT_DELIVERY.next(), None);
    }
}
