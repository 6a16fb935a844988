//! What happens to packets that the physical tables drop: nothing, or a sample of each goes to a collector
//! (SB_Global `options:debug_drop_collector_set` and `debug_drop_domain_id`, ovn-sb(5)).

use crate::tables::Ctx;
use kiln_abi::options::sb_global::{DEBUG_DROP_COLLECTOR_SET, DEBUG_DROP_DOMAIN_ID};
use kiln_openflow::Action;
use kiln_openflow::action::{Sample, SampleArg};
use kiln_types::OfPort;

/// Each packet.
const ALWAYS: u16 = u16::MAX;
/// The domain's place in the observation domain; below it is the datapath, which is none here.
const DOMAIN_SHIFT: u32 = 24;

/// The actions of a flow of this OpenFlow table that drops. A sample's observation point is the table.
pub(crate) fn actions(ctx: &Ctx<'_>, table: u8) -> Vec<Action> {
    let global = ctx.all(&ctx.sb_global, &()).first().and_then(|row| ctx.row(&ctx.sb.sb_global, row));
    let number = |key| -> u32 {
        let text = global.as_ref().and_then(|global| global.options().get(key));
        text.and_then(|text| text.parse().ok()).unwrap_or(0)
    };
    let collector_set_id = number(DEBUG_DROP_COLLECTOR_SET);
    if collector_set_id == 0 || !has_collector_set(ctx, collector_set_id) {
        return Vec::new();
    }
    vec![Action::Sample(Box::new(Sample {
        probability: ALWAYS,
        collector_set_id,
        obs_domain: SampleArg::Imm(number(DEBUG_DROP_DOMAIN_ID) << DOMAIN_SHIFT),
        obs_point: SampleArg::Imm(table.into()),
        sampling_port: OfPort::ANY,
        direction: 0,
    }))]
}

/// Whether samples of the integration bridge can go to that collector set (table Flow_Sample_Collector_Set).
pub(crate) fn has_collector_set(ctx: &Ctx<'_>, id: u32) -> bool {
    let bridge = ctx.value(&ctx.integration, &());
    bridge.is_some_and(|bridge| ctx.holds(&ctx.collector_sets, &i64::from(id), bridge))
}
