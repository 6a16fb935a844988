//! What MAC_Binding says, by next hop: the table in which learning, renewal and limits look things up, with what has changed.

use crate::tables::Ctx;
use kiln_abi::age::AgeThresholds;
use kiln_abi::options::mac_binding as option;
use kiln_incr::Target;
use kiln_responder::NextHop;
use kiln_types::{DatapathKey, EthAddr, PortKey, Uuid};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Where neighbours are limited in number and do not expire sooner: those that were not heard of for this long are idle, and give
/// way to others.
pub(crate) const IDLE_S: u32 = 300;

/// How the neighbours of a local router, or the stations of a local switch, are learned: what northd wrote into
/// `Datapath_Binding.external_ids`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Learns {
    /// After how long neighbours expire.
    pub(crate) thresholds: AgeThresholds,
    /// Only answers to queries count.
    pub(crate) tracked: bool,
    /// The most neighbours.
    pub(crate) limit: Option<u32>,
    /// After how many seconds stations expire.
    pub(crate) fdb_threshold_s: Option<u32>,
}

/// A limit in a map of options; zero is none.
pub(crate) fn limit(text: Option<&kiln_ovsdb::Text>) -> Option<u32> {
    text.and_then(|text| text.parse().ok()).filter(|limit| *limit > 0)
}

pub(crate) fn learns(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Uuid, Learns)>) {
    let Some(datapath) = ctx.row(&ctx.sb.datapath_binding, row) else { return };
    let ids = datapath.external_ids();
    let thresholds = ids.get(option::AGE_THRESHOLDS).or_else(|| ids.get(option::AGE_THRESHOLD));
    let thresholds = thresholds.map_or(Ok(AgeThresholds::default()), |text| text.parse());
    let thresholds = thresholds.unwrap_or_else(|error| {
        ctx.report(format!(
            "Datapath_Binding {row}, column external_ids: {}: {error}",
            option::AGE_THRESHOLDS
        ));
        AgeThresholds::default()
    });
    let learns = Learns {
        thresholds,
        tracked: ids.get(option::LEARNING).is_some_and(|text| &**text == option::TRACKED),
        limit: limit(ids.get(option::LIMIT)),
        fdb_threshold_s: limit(ids.get(option::FDB_AGE_THRESHOLD)),
    };
    out.push((*row, learns));
}

/// A row of MAC_Binding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The row.
    pub(crate) row: Uuid,
    /// The neighbour's Ethernet address; `None` while it is only asked for.
    pub(crate) mac: Option<EthAddr>,
    /// When it was last heard of, in milliseconds since 1970.
    pub(crate) timestamp_ms: i64,
    /// How long after that it expires, or counts as idle, in seconds; `None` for never.
    pub(crate) keep_s: Option<u32>,
}

/// What a row of MAC_Binding says, if its port matters here and it can be used.
pub(crate) fn standing(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(NextHop, Standing)>) {
    let Some(binding) = ctx.row(&ctx.sb.mac_binding, row) else { return };
    let Some(port) = ctx.all(&ctx.port_named, binding.logical_port()).first() else { return };
    let Some(port) = ctx.row(&ctx.sb.port_binding, port) else { return };
    let Some(datapath) = ctx.value(&ctx.local_datapaths, &port.datapath()) else { return };
    let Some(learns) = ctx.value(&ctx.learns, &port.datapath()) else { return };
    let Ok(ip) = binding.ip().parse::<IpAddr>() else { return };
    let mac = match binding.mac().parse() {
        Ok(mac) => Some(mac),
        Err(_) if binding.mac().is_empty() => None,
        Err(_) => return,
    };
    let limited = learns.limit.or_else(|| limit(port.options().get(option::LIMIT))).is_some();
    let idle = limited.then_some(IDLE_S);
    let keep_s = [learns.thresholds.of(ip), idle].into_iter().flatten().min();
    let next_hop =
        NextHop { datapath: DatapathKey(datapath.key), port: PortKey(port.tunnel_key() as u16), ip };
    out.push((next_hop, Standing { row: *row, mac, timestamp_ms: binding.timestamp(), keep_s }));
}

/// Where a row of Static_MAC_Binding says that a next hop is, if its port matters here and it can be used.
pub(crate) fn said(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(NextHop, EthAddr)>) {
    let Some(binding) = ctx.row(&ctx.sb.static_mac_binding, row) else { return };
    let Some(port) = ctx.all(&ctx.port_named, binding.logical_port()).first() else { return };
    let Some(port) = ctx.row(&ctx.sb.port_binding, port) else { return };
    let Some(datapath) = ctx.value(&ctx.local_datapaths, &port.datapath()) else { return };
    let (Ok(ip), Ok(mac)) = (binding.ip().parse(), binding.mac().parse()) else { return };
    let (datapath, port) = (DatapathKey(datapath.key), PortKey(port.tunnel_key() as u16));
    out.push((NextHop { datapath, port, ip }, mac));
}

/// After how many seconds the stations of local switches expire, shortest first, with how many switches say so.
#[derive(Debug, Default)]
pub struct StationKeeps(BTreeMap<u32, u32>);

impl Target for StationKeeps {
    type Written = Vec<u32>;
    type Id = u32;

    fn replace(&mut self, old: &[u32], new: &mut Vec<u32>) -> Box<[u32]> {
        for keep_s in &*new {
            add(&mut self.0, *keep_s);
        }
        for keep_s in old {
            remove(&mut self.0, keep_s);
        }
        new.drain(..).collect()
    }
}

impl StationKeeps {
    /// The shortest time.
    pub(crate) fn shortest_s(&self) -> Option<u32> {
        self.0.keys().next().copied()
    }
}

pub(crate) fn station_keep(ctx: &Ctx<'_>, datapath: &Uuid, out: &mut Vec<u32>) {
    out.extend(ctx.value(&ctx.learns, datapath).and_then(|learns| learns.fdb_threshold_s));
}

/// A row that came, changed or went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) next_hop: NextHop,
    pub(crate) old: Option<Standing>,
    pub(crate) new: Option<Standing>,
}

/// All rows of local datapaths.
#[derive(Debug, Default)]
pub struct Bindings {
    rows: BTreeMap<NextHop, Standing>,
    on_port: BTreeMap<(DatapathKey, PortKey), u32>,
    on_router: BTreeMap<DatapathKey, u32>,
    /// How many rows expire after so many seconds.
    kept: BTreeMap<u32, u32>,
    changes: Vec<Change>,
}

fn add<K: Ord>(counts: &mut BTreeMap<K, u32>, key: K) {
    *counts.entry(key).or_insert(0) += 1;
}

fn remove<K: Ord>(counts: &mut BTreeMap<K, u32>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

impl Target for Bindings {
    type Written = Vec<(NextHop, Standing)>;
    type Id = (NextHop, Standing);

    fn replace(&mut self, old: &[Self::Id], new: &mut Self::Written) -> Box<[Self::Id]> {
        for item @ (next_hop, standing) in old {
            // Two rows may spell one address in two ways; the last one counts.
            let stands = self.rows.get(next_hop).is_some_and(|other| other.row == standing.row);
            if !new.contains(item) && stands {
                self.set(*next_hop, None);
            }
        }
        for item @ (next_hop, standing) in &*new {
            if !old.contains(item) {
                self.set(*next_hop, Some(*standing));
            }
        }
        new.drain(..).collect()
    }
}

impl Bindings {
    fn set(&mut self, next_hop: NextHop, new: Option<Standing>) {
        let old = match new {
            Some(standing) => self.rows.insert(next_hop, standing),
            None => self.rows.remove(&next_hop),
        };
        let port = (next_hop.datapath, next_hop.port);
        if let Some(old) = old {
            remove(&mut self.on_port, &port);
            remove(&mut self.on_router, &next_hop.datapath);
            if let Some(keep_s) = old.keep_s {
                remove(&mut self.kept, &keep_s);
            }
        }
        if let Some(new) = new {
            add(&mut self.on_port, port);
            add(&mut self.on_router, next_hop.datapath);
            if let Some(keep_s) = new.keep_s {
                add(&mut self.kept, keep_s);
            }
        }
        // A row that only moves on is one change.
        match self.changes.last_mut() {
            Some(last) if last.next_hop == next_hop && last.new == old => last.new = new,
            _ => self.changes.push(Change { next_hop, old, new }),
        }
    }

    /// What has changed since the last call.
    pub(crate) fn take_changes(&mut self) -> Vec<Change> {
        std::mem::take(&mut self.changes)
    }

    /// The row of a next hop.
    pub(crate) fn get(&self, next_hop: &NextHop) -> Option<&Standing> {
        self.rows.get(next_hop)
    }

    /// The rows of a router, or of one of its ports.
    pub(crate) fn of(
        &self,
        datapath: DatapathKey,
        port: Option<PortKey>,
    ) -> impl Iterator<Item = (&NextHop, &Standing)> {
        let least = |key| NextHop { datapath, port: key, ip: IpAddr::from([0; 4]) };
        let most = |key| NextHop { datapath, port: key, ip: IpAddr::from([u16::MAX; 8]) };
        let from = least(port.unwrap_or(PortKey(0)));
        let to = most(port.unwrap_or(PortKey(u16::MAX)));
        self.rows.range(from..=to)
    }

    /// How many rows there are of a router.
    pub(crate) fn on_router(&self, datapath: DatapathKey) -> u32 {
        self.on_router.get(&datapath).copied().unwrap_or(0)
    }

    /// How many rows there are of a router port.
    pub(crate) fn on_port(&self, datapath: DatapathKey, port: PortKey) -> u32 {
        self.on_port.get(&(datapath, port)).copied().unwrap_or(0)
    }

    /// Ports with rows.
    pub(crate) fn ports(&self) -> impl Iterator<Item = (DatapathKey, PortKey)> {
        self.on_port.keys().copied()
    }

    /// The shortest time after which a row expires, in seconds.
    pub(crate) fn shortest_keep_s(&self) -> Option<u32> {
        self.kept.keys().next().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hop(port: u16, ip: &str) -> NextHop {
        NextHop { datapath: DatapathKey(1), port: PortKey(port), ip: ip.parse().unwrap() }
    }

    fn row(n: u128, timestamp_ms: i64) -> Standing {
        Standing { row: Uuid::from_u128(n), mac: None, timestamp_ms, keep_s: Some(n as u32) }
    }

    #[test]
    fn counts_follow_and_changes_are_told_once() {
        let mut bindings = Bindings::default();
        let a = (hop(1, "10.0.0.1"), row(7, 0));
        let b = (hop(2, "fd00::1"), row(9, 0));
        let first = bindings.replace(&[], &mut vec![a]);
        bindings.replace(&[], &mut vec![b]);
        assert_eq!(
            (bindings.on_port(DatapathKey(1), PortKey(1)), bindings.on_router(DatapathKey(1))),
            (1, 2)
        );
        assert_eq!(bindings.shortest_keep_s(), Some(7));
        assert_eq!(bindings.of(DatapathKey(1), Some(PortKey(2))).count(), 1);
        assert_eq!(bindings.of(DatapathKey(1), None).count(), 2);
        assert_eq!(bindings.take_changes().len(), 2);
        let later = (a.0, row(7, 5));
        let second = bindings.replace(&first, &mut vec![later]);
        let change = Change { next_hop: a.0, old: Some(a.1), new: Some(later.1) };
        assert_eq!(bindings.take_changes(), [change]);
        bindings.replace(&second, &mut vec![later]);
        assert_eq!(bindings.take_changes(), []);
        bindings.replace(&second, &mut vec![]);
        assert_eq!(bindings.take_changes(), [Change { next_hop: a.0, old: Some(later.1), new: None }]);
        assert_eq!(
            (bindings.on_port(DatapathKey(1), PortKey(1)), bindings.on_router(DatapathKey(1))),
            (0, 1)
        );
        assert_eq!(bindings.shortest_keep_s(), Some(9));
    }

    /// Rows of one neighbour whose address is spelt in two ways.
    #[test]
    fn of_two_rows_the_last_counts() {
        let mut bindings = Bindings::default();
        let next_hop = hop(1, "fd00::1");
        let first = bindings.replace(&[], &mut vec![(next_hop, row(1, 0))]);
        bindings.replace(&[], &mut vec![(next_hop, row(2, 0))]);
        bindings.replace(&first, &mut vec![]);
        assert_eq!(bindings.get(&next_hop), Some(&row(2, 0)));
        assert_eq!(bindings.on_router(DatapathKey(1)), 1);
    }
}
