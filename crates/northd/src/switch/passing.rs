//! Stages that every switch has and that pass packets on as long as no feature uses them.

use super::switch_flows;
use crate::flow::Flow;
use crate::tables::Ctx;
use kiln_abi::stages::Stage;
use kiln_types::Uuid;

const PASSING: &[Stage] = &[
    Stage::LS_IN_MIRROR,
    Stage::LS_IN_PRE_LB,
    Stage::LS_IN_ACL_SAMPLE,
    Stage::LS_IN_QOS,
    Stage::LS_IN_CT_EXTRACT,
    Stage::LS_IN_LB_AFF_CHECK,
    Stage::LS_IN_LB,
    Stage::LS_IN_LB_AFF_LEARN,
    Stage::LS_IN_PRE_HAIRPIN,
    Stage::LS_IN_NAT_HAIRPIN,
    Stage::LS_IN_HAIRPIN,
    Stage::LS_IN_ACL_AFTER_LB_SAMPLE,
    Stage::LS_IN_PRE_NETWORK_FUNCTION,
    Stage::LS_IN_NETWORK_FUNCTION,
    Stage::LS_IN_DHCP_OPTIONS,
    Stage::LS_IN_DHCP_RESPONSE,
    Stage::LS_IN_DNS_LOOKUP,
    Stage::LS_IN_DNS_RESPONSE,
    Stage::LS_IN_EXTERNAL_PORT,
    Stage::LS_OUT_LOOKUP_FDB,
    Stage::LS_OUT_PUT_FDB,
    Stage::LS_OUT_PRE_LB,
    Stage::LS_OUT_ACL_SAMPLE,
    Stage::LS_OUT_MIRROR,
    Stage::LS_OUT_QOS,
    Stage::LS_OUT_PRE_NETWORK_FUNCTION,
    Stage::LS_OUT_NETWORK_FUNCTION,
];

pub(crate) fn common(ctx: &Ctx<'_>, switch: &Uuid, out: &mut Vec<Flow>) {
    let Some(mut flows) = switch_flows(ctx, switch, out) else { return };
    for stage in PASSING {
        flows.fallback(*stage, "next;");
    }
}
