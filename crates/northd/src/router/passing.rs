//! Stages that every router has and that pass packets on as long as no feature uses them.

use super::router_flows;
use crate::flow::Flow;
use crate::tables::Ctx;
use kiln_abi::stages::Stage;
use kiln_types::Uuid;

const PASSING: &[Stage] = &[
    Stage::LR_IN_DHCP_RELAY_REQ,
    Stage::LR_IN_UNSNAT,
    Stage::LR_IN_POST_UNSNAT,
    Stage::LR_IN_DEFRAG,
    Stage::LR_IN_CT_EXTRACT,
    Stage::LR_IN_LB_AFF_CHECK,
    Stage::LR_IN_DNAT,
    Stage::LR_IN_LB_AFF_LEARN,
    Stage::LR_IN_ECMP_STATEFUL,
    Stage::LR_IN_ND_RA_OPTIONS,
    Stage::LR_IN_ND_RA_RESPONSE,
    Stage::LR_IN_DHCP_RELAY_RESP_CHK,
    Stage::LR_IN_DHCP_RELAY_RESP,
    Stage::LR_IN_CHK_PKT_LEN,
    Stage::LR_IN_LARGER_PKTS,
    Stage::LR_IN_GW_REDIRECT,
    Stage::LR_OUT_UNDNAT,
    Stage::LR_OUT_POST_UNDNAT,
    Stage::LR_OUT_SNAT,
    Stage::LR_OUT_POST_SNAT,
    Stage::LR_OUT_EGR_LOOP,
];

pub(crate) fn common(ctx: &Ctx<'_>, router: &Uuid, out: &mut Vec<Flow>) {
    let Some(mut flows) = router_flows(ctx, router, out) else { return };
    for stage in PASSING {
        flows.fallback(*stage, "next;");
    }
    // The last stage of ingress hands over to egress, as `output` does.
    flows.fallback(Stage::LR_IN_ECMP_STATEFUL_EGR, "output;");
    flows.fallback(Stage::LR_OUT_CHK_DNAT_LOCAL, "reg9[4] = 0; next;");
}
