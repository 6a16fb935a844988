//! Datapath_Binding: a row for each logical switch and router.

use crate::keys::report_refused;
use crate::router::unreachable;
use crate::tables::Ctx;
use kiln_abi::options::datapath::ICMP_UNREACHABLE;
use kiln_abi::options::mac_binding;
use kiln_ovsdb::{Map, Text};
use kiln_schema_ovn::sb;
use kiln_types::Uuid;

/// Options of a switch or router that chassis read from the binding's `external_ids`, under the same name.
const SWITCH_OPTIONS: &[&str] = &["interconn-ts", CT_ZONE_LIMIT, "dynamic-routing-vni"];
const ROUTER_OPTIONS: &[&str] = &["snat-ct-zone", CT_ZONE_LIMIT];
/// Of a whole datapath, 0 is the same as none.
const CT_ZONE_LIMIT: &str = "ct-zone-limit";

/// Whether an option's value says anything.
fn says_something(option: &str, value: &str) -> bool {
    option != CT_ZONE_LIMIT || value.parse::<i64>().is_ok_and(|limit| limit > 0)
}

fn text_map(pairs: Vec<(&str, String)>) -> Map<Text, Text> {
    Map::from_vec(pairs.into_iter().map(|(key, value)| (key.into(), value.into())).collect())
}

pub(crate) fn of_switch(ctx: &Ctx<'_>, switch: &Uuid, out: &mut Vec<(Uuid, sb::DatapathBinding)>) {
    let Some(row) = ctx.row(&ctx.nb.logical_switch, switch) else { return };
    let Some(datapath) = ctx.value(&ctx.datapaths, switch) else { return };
    let mut ids = vec![("logical-switch", switch.to_string()), ("name", row.name().to_string())];
    // A cloud's own name for the switch, shown beside the technical one.
    if let Some(name) = row.external_ids().get("neutron:network_name") {
        ids.push(("name2", name.to_string()));
    }
    for option in SWITCH_OPTIONS {
        if let Some(value) = row.other_config().get(*option).filter(|value| says_something(option, value)) {
            ids.push((option, value.to_string()));
        }
    }
    if let Some(threshold) = crate::expiry::fdb_threshold(ctx, switch) {
        ids.push((mac_binding::FDB_AGE_THRESHOLD, threshold.to_string()));
    } else if let Some(text) = row.other_config().get(mac_binding::FDB_AGE_THRESHOLD)
        && text.parse::<u32>().is_err()
    {
        ctx.report(format!(
            "Logical_Switch {switch} ({}), column other_config: {} `{text}` is no number of seconds; nothing expires",
            row.name(),
            mac_binding::FDB_AGE_THRESHOLD
        ));
    }
    let wish = row.other_config().get("requested-tnl-key");
    report_refused(ctx, ("Logical_Switch", switch, row.name()), "other_config", wish, datapath.key);
    out.push((datapath.row, binding(*switch, datapath.key, "logical-switch", ids)));
}

pub(crate) fn of_router(ctx: &Ctx<'_>, router: &Uuid, out: &mut Vec<(Uuid, sb::DatapathBinding)>) {
    let Some(row) = ctx.row(&ctx.nb.logical_router, router) else { return };
    let Some(datapath) = ctx.value(&ctx.datapaths, router) else { return };
    let options = row.options();
    let mut ids = vec![("logical-router", router.to_string()), ("name", row.name().to_string())];
    if let Some(name) = row.external_ids().get("neutron:router_name") {
        ids.push(("name2", name.to_string()));
    }
    if let Some(chassis) = options.get("chassis")
        && ctx.all(&ctx.chassis_named, chassis).is_empty()
    {
        ctx.report(format!(
            "Logical_Router {router} ({}), column options: there is no chassis `{chassis}` yet; the router is nowhere",
            row.name()
        ));
    }
    let quiet = options.get("disable_garp_rarp").is_some_and(|value| &**value == "true");
    ids.push(("disable_garp_rarp", quiet.to_string()));
    if options.get("always_learn_from_arp_request").is_some_and(|value| &**value == "false") {
        ids.push(("always_learn_from_arp_request", "false".to_owned()));
    }
    if unreachable::is_told(ctx, router) {
        ids.push((ICMP_UNREACHABLE, "true".to_owned()));
    }
    for option in ROUTER_OPTIONS {
        if let Some(value) = options.get(*option).filter(|value| says_something(option, value)) {
            ids.push((option, value.to_string()));
        }
    }
    crate::router::learning::datapath_ids(ctx, router, &mut ids);
    let wish = options.get("requested-tnl-key");
    report_refused(ctx, ("Logical_Router", router, row.name()), "options", wish, datapath.key);
    out.push((datapath.row, binding(*router, datapath.key, "logical-router", ids)));
}

fn binding(nb: Uuid, key: u32, kind: &str, ids: Vec<(&str, String)>) -> sb::DatapathBinding {
    sb::DatapathBinding {
        tunnel_key: i64::from(key),
        nb_uuid: Some(nb),
        r#type: Some(kind.into()),
        external_ids: text_map(ids),
        ..sb::DatapathBinding::default()
    }
}
