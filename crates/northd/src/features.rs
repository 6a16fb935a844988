//! What chassis announce that they understand (`Chassis.other_config`): northd uses a feature once all of them do.

use crate::global;
use crate::tables::Ctx;
use kiln_abi::options::chassis_feature as feature;
use kiln_types::Uuid;

/// Features that flows depend on.
const USED: &[&str] =
    &[feature::CT_LABEL_FLUSH, feature::CT_STATE_SAVE, feature::FRAGMENT, feature::TRACKED_QUERIES];

/// Chassis by what they lack. Those of other deployments do not count.
pub(crate) fn lacking(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(&'static str, Uuid)>) {
    let Some(chassis) = ctx.row(&ctx.sb.chassis, row) else { return };
    let says = |key: &str| chassis.other_config().get(key).is_some_and(|value| &**value == "true");
    if !says("is-remote") {
        out.extend(USED.iter().filter(|key| !says(key)).map(|key| (*key, *row)));
    }
}

/// Whether every chassis has a feature.
pub(crate) fn all_have(ctx: &Ctx<'_>, feature: &'static str) -> bool {
    debug_assert!(USED.contains(&feature), "nobody keeps account of {feature}");
    global::settings(ctx).ignore_chassis_features || ctx.all(&ctx.feature_lacking, &feature).is_empty()
}
