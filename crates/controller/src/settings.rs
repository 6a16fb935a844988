//! What the operator sets in `Open_vSwitch.external_ids` (ovn-controller(8), Configuration). `KEY-CHASSIS` overrides `KEY`
//! for the chassis of that name; every key may change while the daemon runs.

use crate::outstanding::VsOp;
use crate::physical::chassis_mac;
use crate::tables::{Ctx, Db};
use kiln_incr::MapView;
use kiln_ovsdb::{Set, Text};
use kiln_responder::{Class, Level, Limits};
use kiln_types::{EthAddr, Uuid};
use std::net::IpAddr;
use std::time::Duration;

/// A tunnel protocol, the better one last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EncapKind {
    /// RFC 7348.
    Vxlan,
    /// RFC 8926.
    Geneve,
}

impl EncapKind {
    /// From column `type` of Encap.
    pub fn from_name(name: &str) -> Option<EncapKind> {
        match name {
            "geneve" => Some(EncapKind::Geneve),
            "vxlan" => Some(EncapKind::Vxlan),
            _ => None,
        }
    }

    /// As column `type` of Encap and of Interface says it.
    pub const fn name(self) -> &'static str {
        match self {
            EncapKind::Geneve => "geneve",
            EncapKind::Vxlan => "vxlan",
        }
    }
}

/// The settings in force.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The chassis' name.
    pub chassis: Text,
    /// Its host's name.
    pub hostname: Text,
    /// Where the southbound database is, as written.
    pub remote: Option<Text>,
    /// The southbound connection's inactivity probe; zero is none.
    pub remote_probe: Duration,
    /// Replicate the southbound database without conditions.
    pub monitor_all: bool,
    /// The integration bridge.
    pub bridge: Text,
    /// The integration bridge's datapath type, if it is to be set.
    pub datapath_type: Option<Text>,
    /// Where the integration bridge's OpenFlow socket is, if it is not the usual place.
    pub bridge_remote: Option<Text>,
    /// The OpenFlow connection's inactivity probe; zero is none.
    pub bridge_remote_probe: Duration,
    /// Tunnel protocols.
    pub encap_types: Vec<EncapKind>,
    /// Addresses by which others reach this chassis: the usual one, then the others in the order given.
    pub encap_ips: Vec<IpAddr>,
    /// Which of them is the usual one.
    pub encap_ip_default: Option<IpAddr>,
    /// Whether the operator says how this chassis is reached. If not, protocols and addresses are those that others were told.
    pub encaps_given: bool,
    /// Whether others should use checksums towards this chassis.
    pub encap_csum: bool,
    /// Tunnels' `options:df_default`.
    pub encap_df_default: Option<Text>,
    /// Tunnels' `options:tos`.
    pub encap_tos: Option<Text>,
    /// Physical networks and their bridges.
    pub bridge_mappings: Vec<(Text, Text)>,
    /// Addresses that this chassis sends with in place of router ports', by physical network.
    pub chassis_macs: Vec<(Text, EthAddr)>,
    /// Tunnels are made to chassis that share one of these.
    pub transport_zones: Set<Text>,
    /// Whether this chassis is a gateway between availability zones.
    pub is_interconn: bool,
    /// One tunnel port a protocol instead of one a chassis.
    pub flow_based_tunnels: bool,
    /// Conntrack zones that may be given out, both ends included.
    pub ct_zones: (u16, u16),
    /// Whether the operator wants a cache of logical flows; only `lflow-cache/show-stats` tells the difference.
    pub lflow_cache: bool,
    /// Whether a plain `exit` removes the chassis from the database.
    pub cleanup_on_exit: bool,
    /// Tells the tunnels of several controllers of one host apart: empty for the first.
    pub index: Text,
    /// How long the pauses between announcements of an address may become; `None` if they end after a few.
    pub announce_max: Option<Duration>,
    /// What work on packets may cost.
    pub limits: Limits,
    /// Keys that are set and that change nothing here.
    pub without_use: Vec<&'static str>,
    /// What Chassis.other_config repeats of these keys, for northd, CMS and operators.
    pub announced: Vec<(&'static str, Text)>,
}

/// Keys that Chassis.other_config repeats as they are, with what they are when unset.
const ANNOUNCED: &[(&str, &str)] = &[
    ("ovn-bridge-mappings", ""),
    ("ovn-chassis-mac-mappings", ""),
    ("ovn-cms-options", ""),
    ("ovn-evpn-local-ip", ""),
    ("ovn-evpn-vxlan-ports", ""),
    ("ovn-limit-lflow-cache", ""),
    ("ovn-memlimit-lflow-cache-kb", ""),
    ("ovn-trim-limit-lflow-cache", ""),
    ("ovn-trim-timeout-ms", ""),
    ("ovn-trim-wmark-perc-lflow-cache", ""),
];

/// Keys that tune what is not there: caches, and packets that are not sent.
const WITHOUT_USE: &[&str] = &[
    "arp-nd-max-timeout-sec",
    "dynamic-routing-port-mapping",
    "ovn-limit-lflow-cache",
    "ovn-memlimit-lflow-cache-kb",
    "ovn-ofctrl-wait-before-clear",
    "ovn-trim-limit-lflow-cache",
    "ovn-trim-timeout-ms",
    "ovn-trim-wmark-perc-lflow-cache",
];

/// Looks keys up, first with the chassis' name.
struct Keys<'a> {
    ids: MapView<'a, Text, Text>,
    chassis: Text,
}

impl<'a> Keys<'a> {
    fn get(&self, key: &str) -> Option<&'a Text> {
        let own = format!("{key}-{}", self.chassis);
        self.ids.get(own.as_str()).or_else(|| self.ids.get(key))
    }

    fn flag(&self, key: &str, default: bool) -> bool {
        self.get(key).map_or(default, |text| match &**text {
            "true" => true,
            "false" => false,
            _ => default,
        })
    }

    fn list(&self, key: &str) -> impl Iterator<Item = &'a str> {
        let text: &'a str = self.get(key).map_or("", |text| text);
        text.split(',').map(str::trim).filter(|item| !item.is_empty())
    }

    fn interval(&self, key: &str, default_ms: u64) -> Duration {
        let ms = self.get(key).and_then(|text| text.parse().ok()).unwrap_or(default_ms);
        Duration::from_millis(if ms == 0 { 0 } else { ms.max(1000) })
    }
}

/// Rows of Open_vSwitch; there is at most one.
pub(crate) fn root(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<((), Uuid)>) {
    if ctx.row(&ctx.vs.open_vswitch, row).is_some() {
        out.push(((), *row));
    }
}

pub(crate) fn read(ctx: &Ctx<'_>, _: &(), out: &mut Vec<((), Settings)>) {
    let Some(root) = ctx.all(&ctx.root, &()).first().and_then(|row| ctx.row(&ctx.vs.open_vswitch, row))
    else {
        return;
    };
    let ids = root.external_ids();
    let given = ctx.value(&ctx.facts, &()).and_then(|facts| facts.chassis_name.clone());
    let Some(chassis) = given.or_else(|| ids.get("system-id").cloned()).filter(|name| !name.is_empty())
    else {
        return ctx.report("Open_vSwitch external_ids:system-id is not set: the chassis has no name");
    };
    let keys = Keys { ids, chassis: chassis.clone() };
    out.push(((), settings(ctx, &keys, chassis)));
}

fn settings(ctx: &Ctx<'_>, keys: &Keys<'_>, chassis: Text) -> Settings {
    let mappings = keys.list("ovn-bridge-mappings").filter_map(|pair| {
        let halves = pair.split_once(':').filter(|(net, bridge)| !net.is_empty() && !bridge.is_empty());
        if halves.is_none() {
            ctx.report(format!(
                "Open_vSwitch external_ids:ovn-bridge-mappings: expected NETWORK:BRIDGE, found \"{pair}\""
            ));
        }
        halves.map(|(net, bridge)| (net.into(), bridge.into()))
    });
    let Reached { types, ips, default_ip, given } = reached(ctx, keys);
    Settings {
        chassis_macs: chassis_macs(ctx, keys),
        hostname: keys.get("hostname").cloned().or_else(|| host_name(ctx)).unwrap_or_default(),
        remote: keys.get("ovn-remote").filter(|text| !text.is_empty()).cloned(),
        remote_probe: keys.interval("ovn-remote-probe-interval", 5000),
        monitor_all: keys.flag("ovn-monitor-all", false),
        bridge: keys.get("ovn-bridge").cloned().unwrap_or_else(|| "br-int".into()),
        datapath_type: keys.get("ovn-bridge-datapath-type").cloned(),
        bridge_remote: keys.get("ovn-bridge-remote").cloned(),
        bridge_remote_probe: keys.interval("ovn-bridge-remote-probe-interval", 0),
        encap_types: types,
        encap_ips: ips,
        encap_ip_default: default_ip,
        encaps_given: given,
        encap_csum: keys.flag("ovn-encap-csum", true),
        encap_df_default: keys.get("ovn-encap-df_default").cloned(),
        encap_tos: keys.get("ovn-encap-tos").cloned(),
        bridge_mappings: mappings.collect(),
        transport_zones: keys.list("ovn-transport-zones").map(Text::from).collect(),
        is_interconn: keys.flag("ovn-is-interconn", false),
        flow_based_tunnels: keys.flag("ovn-enable-flow-based-tunnels", false),
        ct_zones: zone_range(ctx, keys),
        lflow_cache: keys.flag("ovn-enable-lflow-cache", true),
        cleanup_on_exit: keys.flag("ovn-cleanup-on-exit", true),
        announce_max: announce_max(keys),
        limits: budgets(ctx, keys),
        without_use: WITHOUT_USE.iter().copied().filter(|key| keys.get(key).is_some()).collect(),
        announced: announced(keys),
        index: index(ctx, &chassis),
        chassis,
    }
}

/// How others reach this chassis.
struct Reached {
    types: Vec<EncapKind>,
    ips: Vec<IpAddr>,
    default_ip: Option<IpAddr>,
    given: bool,
}

fn reached(ctx: &Ctx<'_>, keys: &Keys<'_>) -> Reached {
    let ip = |key: &str, text: &str| {
        let ip = text.parse().ok();
        if ip.is_none() {
            ctx.report(format!("Open_vSwitch external_ids:{key}: expected an IP address, found \"{text}\""));
        }
        ip
    };
    if ["ovn-encap-type", "ovn-encap-ip"].iter().any(|key| keys.list(key).next().is_none()) {
        ctx.report(
            "Open_vSwitch external_ids: ovn-encap-type and ovn-encap-ip must be set for the chassis to be reached",
        );
    }
    let kind = |name: &str| {
        let kind = EncapKind::from_name(name);
        if kind.is_none() {
            ctx.report(format!(
                "Open_vSwitch external_ids:ovn-encap-type: expected geneve or vxlan, found \"{name}\""
            ));
        }
        kind
    };
    let default_ip = keys.get("ovn-encap-ip-default").and_then(|text| ip("ovn-encap-ip-default", text));
    let mut types: Vec<EncapKind> = keys.list("ovn-encap-type").filter_map(kind).collect();
    let mut ips: Vec<IpAddr> =
        keys.list("ovn-encap-ip").filter_map(|text| ip("ovn-encap-ip", text)).collect();
    let given = !types.is_empty() && !ips.is_empty();
    if !given {
        // Tunnels that work are not taken down for a key that is gone or wrong: until there is another value, what others have
        // been told goes on.
        let (told_types, told_ips) = told(ctx, &keys.chassis);
        types = if types.is_empty() { told_types } else { types };
        ips = if ips.is_empty() { told_ips } else { ips };
    }
    ips.sort_by_key(|address| Some(*address) != default_ip);
    Reached { types, ips, default_ip, given }
}

/// The protocols and addresses in the southbound database's row of this chassis.
fn told(ctx: &Ctx<'_>, chassis: &Text) -> (Vec<EncapKind>, Vec<IpAddr>) {
    let row = ctx.all(&ctx.chassis_named, chassis).first().and_then(|row| ctx.row(&ctx.sb.chassis, row));
    let encaps = row.map(|row| row.encaps().all()).unwrap_or_default();
    let (mut types, mut ips) = (Vec::new(), Vec::new());
    for encap in encaps.iter().filter_map(|row| ctx.row(&ctx.sb.encap, row)) {
        types.extend(EncapKind::from_name(encap.r#type()));
        ips.extend(encap.ip().parse::<IpAddr>());
    }
    types.sort_unstable();
    types.dedup();
    ips.sort_unstable();
    ips.dedup();
    (types, ips)
}

/// Whether to stand still under a northd of another version (`ovn-match-northd-version`): as the replica says it, since
/// nothing is settled while standing still.
pub(crate) fn wants_northd_match(db: &Db) -> bool {
    let Some((_, root)) = db.vs.open_vswitch.iter().next() else { return false };
    let chassis = db.facts.peek(&()).and_then(|facts| facts.chassis_name.as_ref());
    let chassis = chassis.or_else(|| root.external_ids.get("system-id"));
    let key = "ovn-match-northd-version";
    let own = chassis.and_then(|chassis| root.external_ids.get(format!("{key}-{chassis}").as_str()));
    own.or_else(|| root.external_ids.get(key)).is_some_and(|text| &**text == "true")
}

/// The key of `Open_vSwitch.other_config` that keeps a controller's index begins so, and ends with the chassis' name.
pub(crate) const INDEX: &str = "ovn-chassis-idx-";

/// The index that the database remembers, or the first that no other controller has.
fn index(ctx: &Ctx<'_>, chassis: &str) -> Text {
    let root = ctx.all(&ctx.root, &()).first().and_then(|row| ctx.row(&ctx.vs.open_vswitch, row));
    let Some(root) = root else { return Text::default() };
    let own = format!("{INDEX}{chassis}");
    if let Some(index) = root.other_config().get(own.as_str()) {
        return index.clone();
    }
    let taken: Vec<&str> = root
        .other_config()
        .all()
        .iter()
        .filter(|(key, _)| key.starts_with(INDEX))
        .map(|(_, index)| &**index)
        .collect();
    let digits = ('0'..='9').chain('a'..='z').map(String::from);
    let free = std::iter::once(String::new()).chain(digits).find(|index| !taken.contains(&index.as_str()));
    free.unwrap_or_default().into()
}

/// Whether the database does not remember the index.
pub(crate) fn differences(ctx: &Ctx<'_>, _: &(), out: &mut Vec<VsOp>) {
    let Some(settings) = ctx.value(&ctx.settings, &()) else { return };
    let root = ctx.all(&ctx.root, &()).first().and_then(|row| ctx.row(&ctx.vs.open_vswitch, row));
    let key = format!("{INDEX}{}", settings.chassis);
    if root.is_some_and(|root| root.other_config().get(key.as_str()) != Some(&settings.index)) {
        out.push(VsOp::Index);
    }
}

/// What the host is called, for a database that does not say.
fn host_name(ctx: &Ctx<'_>) -> Option<Text> {
    ctx.value(&ctx.facts, &()).map(|facts| facts.hostname.clone())
}

fn zone_range(ctx: &Ctx<'_>, keys: &Keys<'_>) -> (u16, u16) {
    let all = (*kiln_abi::keys::CT_ZONE.start(), *kiln_abi::keys::CT_ZONE.end());
    let Some(text) = keys.get("ct-zone-range") else { return all };
    let ends = text.split_once('-').and_then(|(min, max)| Some((min.parse().ok()?, max.parse().ok()?)));
    match ends {
        Some((min, max)) if 0 < min && min <= max => (min, max),
        _ => {
            ctx.report(format!(
                "Open_vSwitch external_ids:ct-zone-range: expected MIN-MAX within 1-65535, found \"{text}\""
            ));
            all
        }
    }
}

fn chassis_macs(ctx: &Ctx<'_>, keys: &Keys<'_>) -> Vec<(Text, EthAddr)> {
    let macs = keys.get(chassis_mac::KEY).map_or("", |text| text);
    let bad = |pair: &str| {
        ctx.report(format!(
            "Open_vSwitch external_ids:{}: expected NETWORK:MAC, found \"{pair}\"",
            chassis_mac::KEY
        ));
    };
    chassis_mac::parse(macs, bad).map(|(network, mac)| (network.into(), mac)).collect()
}

/// `garp-max-timeout-sec`; zero is as good as nothing.
fn announce_max(keys: &Keys<'_>) -> Option<Duration> {
    let seconds = keys.get("garp-max-timeout-sec").and_then(|text| text.parse().ok());
    seconds.filter(|seconds| *seconds > 0).map(Duration::from_secs)
}

/// What the keys of limits begin with.
const BUDGET: &str = "ovn-budget-";

fn budget_key(class: Class, level: Level) -> String {
    format!("{BUDGET}{}-{}", class.name(), level.name())
}

/// Whether a key names a limit, perhaps that of one chassis.
fn is_budget(key: &str) -> bool {
    let is =
        |known: &str| key.strip_prefix(known).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
    Class::ALL.into_iter().any(|class| Level::ALL.into_iter().any(|level| is(&budget_key(class, level))))
}

/// What work may cost: `ovn-budget-CLASS-LEVEL` is a limit, `RATE/BURST` in packets a second and packets, or `none`.
fn budgets(ctx: &Ctx<'_>, keys: &Keys<'_>) -> Limits {
    let mut limits = Limits::default();
    for (key, _) in keys.ids.all() {
        if key.starts_with(BUDGET) && !is_budget(key) {
            ctx.report(format!("Open_vSwitch external_ids:{key}: there is no such class or level"));
        }
    }
    for class in Class::ALL {
        for level in Level::ALL {
            let key = budget_key(class, level);
            let Some(text) = keys.get(&key) else { continue };
            match text.parse() {
                Ok(limit) => limits.of_mut(class).set(level, limit),
                Err(error) => {
                    ctx.report(format!("Open_vSwitch external_ids:{key}: {error}, found \"{text}\""));
                }
            }
        }
    }
    limits
}

fn announced(keys: &Keys<'_>) -> Vec<(&'static str, Text)> {
    let text = |flag: bool| Text::from(if flag { "true" } else { "false" });
    let mut announced: Vec<_> = ANNOUNCED
        .iter()
        .map(|(key, unset)| (*key, keys.get(key).cloned().unwrap_or_else(|| Text::from(*unset))))
        .collect();
    announced.push(("ovn-enable-lflow-cache", text(keys.flag("ovn-enable-lflow-cache", true))));
    announced.push(("ovn-monitor-all", text(keys.flag("ovn-monitor-all", false))));
    announced.push(("is-interconn", text(keys.flag("ovn-is-interconn", false))));
    announced
}
