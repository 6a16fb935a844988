//! What happens to packets that a logical flow drops: nothing, or a sample of each goes to a collector (NB_Global
//! `options:debug_drop_collector_set` and `debug_drop_domain_id`, ovn-nb(5)).

use crate::global::settings;
use crate::tables::Ctx;
use kiln_abi::options::sb_global::{DEBUG_DROP_COLLECTOR_SET, DEBUG_DROP_DOMAIN_ID};
use kiln_ovsdb::Text;
use kiln_types::Uuid;
use std::collections::BTreeMap;

/// Numbers of observation domains are eight bits wide, and the last is nobody's.
const NO_DOMAIN: u8 = u8::MAX;

/// The actions that sample a packet, from the options of NB_Global; `None` if none is to be.
pub(crate) fn read_sample(ctx: &Ctx<'_>, global: &Uuid, options: &BTreeMap<Text, Text>) -> Option<Text> {
    let invalid = |key, value: &Text, what| {
        ctx.report(format!(
            "NB_Global {global}, column options: {key} `{value}` is no {what}; no sample is taken"
        ));
    };
    let set = options.get(DEBUG_DROP_COLLECTOR_SET)?;
    let Ok(set) = set.parse::<u32>() else {
        invalid(DEBUG_DROP_COLLECTOR_SET, set, "32-bit number");
        return None;
    };
    let domain = match options.get(DEBUG_DROP_DOMAIN_ID) {
        None => 0,
        Some(text) => match text.parse() {
            Ok(domain) if domain != NO_DOMAIN => domain,
            _ => {
                invalid(DEBUG_DROP_DOMAIN_ID, text, "number below 255");
                return None;
            }
        },
    };
    (set != 0).then(|| {
        format!(
            "sample(probability=65535,collector_set={set},obs_domain={domain},obs_point=$cookie); /* drop */"
        )
        .into()
    })
}

/// All that a flow does that drops.
pub(crate) fn actions<'r>(ctx: &'r Ctx<'_>) -> &'r str {
    settings(ctx).drop_sample.as_deref().unwrap_or("drop;")
}

/// The last that a flow does that drops after something else.
pub(crate) fn last_actions<'r>(ctx: &'r Ctx<'_>) -> &'r str {
    settings(ctx).drop_sample.as_deref().unwrap_or("/* drop */")
}
