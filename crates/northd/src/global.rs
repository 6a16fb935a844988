//! NB_Global and SB_Global: options for the whole deployment, and the numbers by which everybody tells how far they are.

use crate::drops;
use crate::expiry;
use crate::l3_defaults;
use crate::outstanding::NbOp;
use crate::router::learning;
use crate::tables::{Ctx, Db};
use kiln_abi::keys;
use kiln_abi::options::{lflow_tag, mac_binding, sb_global as option};
use kiln_ovsdb::{Map, Text};
use kiln_schema_ovn::sb;
use kiln_types::{EthAddr, Rng, Uuid};
use std::collections::BTreeMap;
use std::time::Duration;

/// The version of the pipeline that Kiln's northd writes: stages and registers are those of OVN 26.03.
pub const INTERNAL_VERSION: &str = "kiln-26.03-21.8.0";

/// The key of the one row of settings.
pub(crate) const ONLY: Uuid = Uuid::nil();

/// Options of NB_Global that rules read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// `mac_prefix`: the first three bytes of Ethernet addresses that are chosen here.
    pub mac_prefix: u32,
    /// `ignore_lsp_down`: addresses of ports that are not up are answered for too.
    pub ignore_lsp_down: bool,
    /// `default_acl_drop`: what no ACL of a switch decides on is dropped, if it has any.
    pub default_acl_drop: bool,
    /// `debug_drop_collector_set`, `debug_drop_domain_id`: what takes a sample of each packet that is dropped.
    pub drop_sample: Option<Text>,
    /// `use_ct_inv_match`: packets that the connection tracker calls invalid are dropped.
    pub use_ct_inv_match: bool,
    /// `acl_ct_translation`: ACLs of switches that follow connections match the ports and protocols that the connection
    /// tracker knows, also of fragments that carry none.
    pub acl_ct_translation: bool,
    /// `svc_monitor_mac` and `svc_monitor_mac_dst`: the addresses of service checks.
    pub svc_monitor_macs: Vec<Text>,
    /// Keys have to fit into VXLAN's header: some chassis tunnels by VXLAN, and `vxlan_mode` does not forbid it.
    pub vxlan_mode: bool,
    /// `northd_probe_interval`: how long a database may be silent before it is asked whether it is there; zero for ever.
    pub probe_interval: Option<Duration>,
    /// `ignore_chassis_features`: features are used whatever chassis announce.
    pub ignore_chassis_features: bool,
    /// `l3_defaults`: rows that do not say otherwise are treated as RFCs have it (`rfc`), not as stock does (`stock`).
    pub rfc_defaults: bool,
    /// `mac_binding_learning`: whether routers that do not say otherwise learn only what they asked for.
    pub tracked_learning: Option<bool>,
}

static DEFAULTS: Settings = Settings {
    mac_prefix: 0x0a_0000,
    ignore_lsp_down: true,
    default_acl_drop: false,
    drop_sample: None,
    use_ct_inv_match: true,
    acl_ct_translation: false,
    svc_monitor_macs: Vec::new(),
    vxlan_mode: false,
    probe_interval: None,
    ignore_chassis_features: false,
    rfc_defaults: false,
    tracked_learning: None,
};

/// The settings in force.
pub(crate) fn settings<'r>(ctx: &'r Ctx<'_>) -> &'r Settings {
    ctx.value(&ctx.settings, &ONLY).unwrap_or(&DEFAULTS)
}

/// Options that are chosen once and then kept in NB_Global.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chosen {
    mac_prefix: Text,
    svc_monitor_mac: Text,
    svc_monitor_mac_dst: Text,
}

impl Chosen {
    /// Chosen by chance, from a seed.
    pub(crate) fn from_seed(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut local = || {
            // Locally administered, unicast (IEEE 802, clause 8.4).
            let mut mac = EthAddr::from_u64(rng.u64(..));
            mac.0[0] = mac.0[0] & 0xfc | 2;
            mac
        };
        let prefix = local();
        Chosen {
            mac_prefix: prefix.to_string()[..8].into(),
            svc_monitor_mac: local().to_string().into(),
            svc_monitor_mac_dst: local().to_string().into(),
        }
    }
}

/// The first three bytes of an Ethernet address.
fn parse_prefix(text: &str) -> Option<u32> {
    let mac: EthAddr = format!("{text}:00:00:00").parse().ok()?;
    Some((mac.to_u64() >> 24) as u32)
}

/// Milliseconds, at least a second's unless there are none.
fn parse_probe(text: &str) -> Option<Duration> {
    let interval = Duration::from_millis(text.parse().ok()?);
    Some(if interval.is_zero() { interval } else { interval.max(Duration::from_secs(1)) })
}

/// What NB_Global's options should hold beside what is there.
fn complete(db: &Db, options: &BTreeMap<Text, Text>, vxlan: bool) -> Vec<(Text, Text)> {
    let is_mac = |key| options.get(key).is_some_and(|text: &Text| text.parse::<EthAddr>().is_ok());
    let mut missing = Vec::new();
    if options.get(option::MAC_PREFIX).and_then(|text| parse_prefix(text)).is_none() {
        missing.push((option::MAC_PREFIX, db.chosen.mac_prefix.clone()));
    }
    if !is_mac(option::SVC_MONITOR_MAC) {
        missing.push((option::SVC_MONITOR_MAC, db.chosen.svc_monitor_mac.clone()));
    }
    if !is_mac(option::SVC_MONITOR_MAC_DST) {
        missing.push((option::SVC_MONITOR_MAC_DST, db.chosen.svc_monitor_mac_dst.clone()));
    }
    let keys = if vxlan { keys::DATAPATH_VXLAN } else { keys::DATAPATH_LOCAL };
    missing.push((option::MAX_TUNID, keys.end().to_string().into()));
    missing.push((option::NORTHD_INTERNAL_VERSION, INTERNAL_VERSION.into()));
    missing.retain(|(key, value)| options.get(*key) != Some(value));
    missing.into_iter().map(|(key, value)| (key.into(), value)).collect()
}

/// Chassis that have a VXLAN tunnel, and are not mere gateways to a physical switch.
pub(crate) fn vxlan_chassis(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Uuid, Uuid)>) {
    let Some(chassis) = ctx.row(&ctx.sb.chassis, row) else { return };
    let vxlan = |encap| ctx.row(&ctx.sb.encap, encap).is_some_and(|encap| &**encap.r#type() == "vxlan");
    if chassis.encaps().all().iter().any(vxlan) {
        out.push((ONLY, *row));
    }
}

fn vxlan_mode(ctx: &Ctx<'_>, options: &BTreeMap<Text, Text>) -> bool {
    options.get("vxlan_mode").is_none_or(|value| &**value != "false")
        && !ctx.all(&ctx.vxlan_chassis, &ONLY).is_empty()
}

/// The options of NB_Global as they will be.
fn options(ctx: &Ctx<'_>, global: &Uuid) -> Option<BTreeMap<Text, Text>> {
    let row = ctx.row(&ctx.nb.nb_global, global)?;
    let mut options: BTreeMap<Text, Text> = row.options().all().iter().cloned().collect();
    options.extend(complete(ctx, &options, vxlan_mode(ctx, &options)));
    Some(options)
}

/// The option of NB_Global that says what options of rows default to.
const L3_DEFAULTS: &str = "l3_defaults";

fn rfc_defaults(ctx: &Ctx<'_>, global: &Uuid, value: Option<&Text>) -> bool {
    let Some(value) = value else { return false };
    l3_defaults::parse(value).unwrap_or_else(|| {
        ctx.report(format!(
            "NB_Global {global}, column options: {L3_DEFAULTS} `{value}` is neither `stock` nor `rfc`; it counts as `stock`"
        ));
        false
    })
}

/// What NB_Global says of what routers learn that do not say so themselves.
fn tracked_learning(ctx: &Ctx<'_>, global: &Uuid, value: Option<&Text>) -> Option<bool> {
    let value = value?;
    let tracked = learning::parse(value);
    if tracked.is_none() {
        ctx.report(format!(
            "NB_Global {global}, column options: {} `{value}` is neither `open` nor `tracked`; it is passed over",
            mac_binding::LEARNING
        ));
    }
    tracked
}

pub(crate) fn read_settings(ctx: &Ctx<'_>, global: &Uuid, out: &mut Vec<(Uuid, Settings)>) {
    let Some(options) = options(ctx, global) else { return };
    let flag = |key: &str, default: bool| match options.get(key).map(|value| &**value) {
        Some("true") => true,
        Some("false") => false,
        _ => default,
    };
    let rfc = rfc_defaults(ctx, global, options.get(L3_DEFAULTS));
    expiry::check_limits(ctx, global, &options);
    out.push((
        ONLY,
        Settings {
            mac_prefix: options
                .get(option::MAC_PREFIX)
                .and_then(|text| parse_prefix(text))
                .unwrap_or(0x0a_0000),
            ignore_lsp_down: flag("ignore_lsp_down", true),
            default_acl_drop: flag("default_acl_drop", false),
            drop_sample: drops::read_sample(ctx, global, &options),
            use_ct_inv_match: flag("use_ct_inv_match", true),
            acl_ct_translation: flag(lflow_tag::ACL_CT_TRANSLATION, false),
            svc_monitor_macs: [option::SVC_MONITOR_MAC, option::SVC_MONITOR_MAC_DST]
                .iter()
                .filter_map(|key| options.get(*key).cloned())
                .collect(),
            vxlan_mode: vxlan_mode(ctx, &options),
            probe_interval: options.get("northd_probe_interval").and_then(|text| parse_probe(text)),
            ignore_chassis_features: flag("ignore_chassis_features", false),
            rfc_defaults: rfc,
            tracked_learning: tracked_learning(ctx, global, options.get(mac_binding::LEARNING)),
        },
    ));
}

/// The row of SB_Global, whatever its uuid.
pub(crate) fn sb_global_rows(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Uuid, Uuid)>) {
    if ctx.row(&ctx.sb.sb_global, row).is_some() {
        out.push((ONLY, *row));
    }
}

pub(crate) fn want_sb_global(ctx: &Ctx<'_>, global: &Uuid, out: &mut Vec<(Uuid, sb::SbGlobal)>) {
    let Some(mut options) = options(ctx, global) else { return };
    let Some(row) = ctx.row(&ctx.nb.nb_global, global) else { return };
    options.insert(option::ARP_NS_EXPLICIT_OUTPUT.into(), "true".into());
    options.insert(option::REGISTER_CONSOLIDATION.into(), "true".into());
    let standing = ctx.all(&ctx.sb_global_rows, &ONLY).first().copied();
    if let Some(standing) = standing
        && let Some(probe) = ctx
            .row(&ctx.sb.sb_global, &standing)
            .and_then(|sb| sb.options().get(option::SBCTL_PROBE_INTERVAL))
    {
        options.insert(option::SBCTL_PROBE_INTERVAL.into(), probe.clone());
    }
    out.push((
        standing.unwrap_or(*global),
        sb::SbGlobal {
            nb_cfg: row.nb_cfg(),
            options: Map::from_vec(options.into_iter().collect()),
            ipsec: row.ipsec(),
            ..sb::SbGlobal::default()
        },
    ));
}

/// How far each chassis is: `nb_cfg` and its time, by chassis that are not remote.
pub(crate) fn chassis_progress(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Uuid, (i64, i64, Uuid))>) {
    let Some(private) = ctx.row(&ctx.sb.chassis_private, row) else { return };
    let remote =
        private.chassis().and_then(|chassis| ctx.row(&ctx.sb.chassis, &chassis)).is_some_and(|chassis| {
            chassis.other_config().get("is-remote").is_some_and(|value| &**value == "true")
        });
    if !remote {
        out.push((ONLY, (private.nb_cfg(), private.nb_cfg_timestamp(), *row)));
    }
}

/// What NB_Global should say about progress: `sb_cfg`, `hv_cfg` and the time of the slowest chassis.
pub(crate) struct Progress {
    pub(crate) sb_cfg: i64,
    pub(crate) hv_cfg: i64,
    pub(crate) hv_cfg_timestamp_ms: i64,
}

pub(crate) fn progress(db: &Db) -> Option<Progress> {
    let sb_cfg = db.sb_global_rows.peek(&ONLY).first().and_then(|row| db.sb.sb_global.peek(row))?.nb_cfg;
    let chassis = db.chassis_progress.peek(&ONLY);
    // A chassis cannot be further than the southbound database; it can have seen an earlier count.
    let hv_cfg = chassis.first().map_or(sb_cfg, |(slowest, ..)| (*slowest).min(sb_cfg));
    let times = chassis.iter().filter(|(cfg, ..)| *cfg == hv_cfg).map(|(_, time, _)| *time);
    Some(Progress { sb_cfg, hv_cfg, hv_cfg_timestamp_ms: times.max().unwrap_or(0) })
}

/// Whether NB_Global has to be written.
pub(crate) fn northbound(ctx: &Ctx<'_>, global: &Uuid, out: &mut Vec<NbOp>) {
    let Some(row) = ctx.row(&ctx.nb.nb_global, global) else { return };
    let current: BTreeMap<Text, Text> = row.options().all().iter().cloned().collect();
    for key in [option::MAC_PREFIX, option::MAX_TUNID, option::SVC_MONITOR_MAC, option::SVC_MONITOR_MAC_DST] {
        let is = |text: &str| match key {
            option::MAC_PREFIX => parse_prefix(text).is_some(),
            option::MAX_TUNID => text.parse::<u32>().is_ok(),
            _ => text.parse::<EthAddr>().is_ok(),
        };
        if let Some(text) = current.get(key).filter(|text| !is(text)) {
            ctx.report(format!(
                "NB_Global {global}, column options: {key} `{text}` is not what it should be; another is chosen"
            ));
        }
    }
    if !complete(ctx, &current, settings(ctx).vxlan_mode).is_empty() {
        out.push(NbOp::Options(*global));
    }
    let standing = ctx.all(&ctx.sb_global_rows, &ONLY).first().and_then(|sb| ctx.row(&ctx.sb.sb_global, sb));
    let Some(sb_cfg) = standing.map(|sb| sb.nb_cfg()) else { return };
    let slowest =
        ctx.all(&ctx.chassis_progress, &ONLY).first().map_or(sb_cfg, |(cfg, ..)| (*cfg).min(sb_cfg));
    if row.sb_cfg() != sb_cfg || row.hv_cfg() != slowest {
        out.push(NbOp::Progress(*global));
    }
}

/// The options that NB_Global lacks.
pub(crate) fn missing_options(db: &Db, global: &Uuid) -> Vec<(Text, Text)> {
    let row = db.nb.nb_global.peek(global);
    let current =
        row.map(|row| row.options.iter().map(|(k, v)| (k.clone(), v.clone())).collect()).unwrap_or_default();
    let vxlan = db.settings.peek(&ONLY).is_some_and(|settings| settings.vxlan_mode);
    complete(db, &current, vxlan)
}
