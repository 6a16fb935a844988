//! Rows that chassis learned and that expire: neighbours by `Logical_Router.options:mac_binding_age_threshold`, stations by
//! `Logical_Switch.other_config:fdb_age_threshold`. Chassis bring the timestamps of those in use forward.
//!
//! Rules say when a row expires; what has expired by the time that the shell tells is deleted, unless a chassis has just
//! brought it forward.

use crate::outstanding::SbTable;
use crate::tables::{Ctx, Db};
use kiln_abi::age::AgeThresholds;
use kiln_abi::options::{chassis_feature, mac_binding};
use kiln_incr::Target;
use kiln_ovsdb::Text;
use kiln_ovsdb::txn::{Function, Txn};
use kiln_types::{Instant, Uuid};
use std::collections::BTreeMap;
use std::time::Duration;

/// The pause after a transaction that deleted as many rows as one may (ovn-nb(5), `mac_binding_removal_limit`).
const REMOVAL_PAUSE: Duration = Duration::from_secs(5);

/// A row of [`SbTable::MacBinding`] or [`SbTable::Fdb`], and when it expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Expiry {
    table: SbTable,
    /// In milliseconds since 1970.
    due_ms: i64,
    row: Uuid,
    /// The row's timestamp.
    timestamp_ms: i64,
}

/// All rows that expire, those of each table in the order in which they do.
#[derive(Debug, Default)]
pub(crate) struct Expiries(BTreeMap<Expiry, u32>);

impl Expiries {
    /// Rows of one table, the first to expire first.
    fn of(&self, table: SbTable) -> impl Iterator<Item = &Expiry> {
        let first = Expiry { table, due_ms: i64::MIN, row: Uuid::nil(), timestamp_ms: i64::MIN };
        self.0.range(first..).map(|(expiry, _)| expiry).take_while(move |expiry| expiry.table == table)
    }
}

impl Target for Expiries {
    type Written = Vec<Expiry>;
    type Id = Expiry;

    fn replace(&mut self, old: &[Expiry], new: &mut Vec<Expiry>) -> Box<[Expiry]> {
        for expiry in &*new {
            *self.0.entry(*expiry).or_insert(0) += 1;
        }
        for expiry in old {
            if let Some(count) = self.0.get_mut(expiry) {
                *count -= 1;
                if *count == 0 {
                    self.0.remove(expiry);
                }
            }
        }
        new.drain(..).collect()
    }
}

fn expiry(table: SbTable, row: Uuid, timestamp_ms: i64, threshold_s: u32) -> Expiry {
    Expiry { table, due_ms: timestamp_ms.saturating_add(i64::from(threshold_s) * 1000), row, timestamp_ms }
}

/// Chassis that do not write timestamps: while there is one, nothing expires.
pub(crate) fn without_timestamps(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(&'static str, Uuid)>) {
    let Some(chassis) = ctx.row(&ctx.sb.chassis, row) else { return };
    let config = chassis.other_config();
    let is = |key: &str| config.get(key).is_some_and(|value| &**value == "true");
    if is("is-remote") {
        return;
    }
    for feature in [chassis_feature::MAC_BINDING_TIMESTAMP, chassis_feature::FDB_TIMESTAMP] {
        if !is(feature) {
            out.push((feature, *row));
        }
    }
}

fn have_timestamps(ctx: &Ctx<'_>, feature: &'static str) -> bool {
    crate::global::settings(ctx).ignore_chassis_features
        || ctx.all(&ctx.without_timestamps, &feature).is_empty()
}

/// After how long a router's neighbours expire.
pub(crate) fn thresholds(ctx: &Ctx<'_>, router: &Uuid, out: &mut Vec<(Uuid, AgeThresholds)>) {
    let Some(row) = ctx.row(&ctx.nb.logical_router, router) else { return };
    let Some(text) = row.options().get(mac_binding::AGE_THRESHOLD) else { return };
    match text.parse::<AgeThresholds>() {
        Ok(thresholds) => out.push((*router, thresholds)),
        Err(error) => ctx.report(format!(
            "Logical_Router {router} ({}), column options: {}: {error}; nothing expires",
            row.name(),
            mac_binding::AGE_THRESHOLD
        )),
    }
}

pub(crate) fn of_neighbor(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<Expiry>) {
    let Some(binding) = ctx.row(&ctx.sb.mac_binding, row) else { return };
    let port = ctx.all(&ctx.router_port_named, binding.logical_port()).first();
    let router = port.and_then(|port| ctx.value(&ctx.router_ports, port)).map(|port| port.router);
    let Some(thresholds) = router.and_then(|router| ctx.value(&ctx.age_thresholds, &router)) else { return };
    // What is no address is in no prefix.
    let threshold = binding.ip().parse().map_or_else(|_| thresholds.of(NO_ADDRESS), |ip| thresholds.of(ip));
    let Some(threshold) = threshold else { return };
    if have_timestamps(ctx, chassis_feature::MAC_BINDING_TIMESTAMP) {
        out.push(expiry(SbTable::MacBinding, *row, binding.timestamp(), threshold));
    }
}

/// An address that no prefix but one of length zero holds.
const NO_ADDRESS: std::net::IpAddr = std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED);

/// After how many seconds a switch's stations expire.
pub(crate) fn fdb_threshold(ctx: &Ctx<'_>, switch: &Uuid) -> Option<u32> {
    let row = ctx.row(&ctx.nb.logical_switch, switch)?;
    let text = row.other_config().get(mac_binding::FDB_AGE_THRESHOLD)?;
    text.parse().ok().filter(|seconds| *seconds > 0)
}

/// Switches by their keys.
pub(crate) fn switch_keyed(ctx: &Ctx<'_>, switch: &Uuid, out: &mut Vec<(i64, Uuid)>) {
    out.extend(ctx.value(&ctx.datapaths, switch).map(|datapath| (i64::from(datapath.key), *switch)));
}

pub(crate) fn of_station(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<Expiry>) {
    let Some(station) = ctx.row(&ctx.sb.fdb, row) else { return };
    let switch = ctx.all(&ctx.switch_keyed, &station.dp_key()).first();
    let Some(threshold) = switch.and_then(|switch| fdb_threshold(ctx, switch)) else { return };
    if have_timestamps(ctx, chassis_feature::FDB_TIMESTAMP) {
        out.push(expiry(SbTable::Fdb, *row, station.timestamp(), threshold));
    }
}

/// The tables of which rows expire, with the option that limits how many a transaction deletes.
const TABLES: [(SbTable, &str, &str); 2] = [
    (SbTable::MacBinding, "MAC_Binding", "mac_binding_removal_limit"),
    (SbTable::Fdb, "FDB", "fdb_removal_limit"),
];

/// When rows of each table may be deleted again.
#[derive(Debug, Default)]
pub(crate) struct Pace([Option<Instant>; TABLES.len()]);

impl Pace {
    /// Deletes the rows that have expired by `wall_ms`, in milliseconds since 1970.
    pub(crate) fn write(&mut self, db: &Db, now: Instant, wall_ms: i64, txn: &mut Txn) {
        for ((table, name, option), paused) in TABLES.into_iter().zip(&mut self.0) {
            if paused.is_some_and(|until| now < until) {
                continue;
            }
            *paused = None;
            let limit = removal_limit(db, option);
            let due = db.expiries.of(table).take_while(|expiry| expiry.due_ms <= wall_ms);
            let mut removed = 0;
            for expiry in due.take(limit) {
                txn.delete(name).row(expiry.row).filter("timestamp", Function::Equal, &expiry.timestamp_ms);
                removed += 1;
            }
            if removed == limit {
                *paused = Some(now + REMOVAL_PAUSE);
            }
        }
    }

    /// When [`Pace::write`] next has something to do.
    pub(crate) fn deadline(&self, db: &Db, now: Instant, wall_ms: i64) -> Option<Instant> {
        let times = TABLES.into_iter().zip(&self.0).filter_map(|((table, ..), paused)| {
            let next = db.expiries.of(table).next()?;
            let wait_ms = u64::try_from(next.due_ms.saturating_sub(wall_ms)).unwrap_or(0);
            let due = now + Duration::from_millis(wait_ms);
            Some(paused.map_or(due, |until| due.max(until)))
        });
        times.min()
    }
}

/// Reports limits of NB_Global that are none.
pub(crate) fn check_limits(ctx: &Ctx<'_>, global: &Uuid, options: &BTreeMap<Text, Text>) {
    for (.., option) in TABLES {
        if let Some(text) = options.get(option).filter(|text| text.parse::<usize>().is_err()) {
            ctx.report(format!(
                "NB_Global {global}, column options: {option} `{text}` is no number; nothing is limited"
            ));
        }
    }
}

/// How many rows one transaction may delete.
fn removal_limit(db: &Db, option: &str) -> usize {
    let text = db.nb.nb_global.iter().next().and_then(|(_, global)| global.options.get(option));
    let limit = text.and_then(|text| text.parse().ok()).unwrap_or(0);
    if limit == 0 { usize::MAX } else { limit }
}
