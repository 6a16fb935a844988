//! Neighbours: what was learned is written, those in use are kept fresh, and queries without an answer are collected.

use super::ControllerDaemon;
use super::statistics::{Seen, Statistics, Wanted};
use crate::binding_limits::{View, Why};
use crate::binding_writes::{BindingWrites, Subject, Value};
use crate::bindings::Change;
use crate::learned;
use crate::physical::write::cookie;
use crate::tables::Db;
use kiln_openflow::msg::Message;
use kiln_openflow::session;
use kiln_ovsdb::client::{Outcome, TxnId};
use kiln_responder::{NextHop, Probe, Renewal, Use, Write};
use kiln_types::{DatapathKey, EthAddr, Instant, IpNet, PortKey, Rng};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::time::Duration;

/// A query that has stood unanswered for this long is collected by whoever sees it: its packets have given up by then.
const QUERY_LIFETIME: Duration = Duration::from_secs(15);
/// Over this time the chassis that see it spread.
const COLLECTION_SPREAD: Duration = Duration::from_secs(5);

/// What is kept of neighbours between steps.
#[derive(Debug)]
pub(super) struct Neighborhood {
    renewal: Renewal,
    writes: BindingWrites,
    statistics: Statistics,
    /// Unanswered queries, with the timestamps of their rows.
    queries: BTreeMap<NextHop, (Instant, i64)>,
    collect_at: BTreeSet<(Instant, NextHop)>,
    collected: u64,
    rng: Rng,
}

impl Neighborhood {
    pub(super) fn new(mut rng: Rng) -> Self {
        Neighborhood {
            renewal: Renewal::new(rng.u64(..)),
            writes: BindingWrites::default(),
            statistics: Statistics::default(),
            queries: BTreeMap::new(),
            collect_at: BTreeSet::new(),
            collected: 0,
            rng,
        }
    }

    /// When there is something to do next. While the database cannot be written to, what waits for it is nothing to wake for.
    pub(super) fn poll_timeout(&self, can_write: bool) -> Option<Instant> {
        [
            self.renewal.deadline(),
            self.writes.deadline().filter(|_| can_write),
            self.statistics.poll_timeout(),
            self.collect_at.first().map(|(at, _)| *at),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// Drops what belongs to ports that are gone.
    pub(super) fn forget(&mut self, gone: impl Fn(DatapathKey, PortKey) -> bool) {
        self.writes.forget(gone);
    }

    /// A row of MAC_Binding without an address came, or none is there any more.
    fn follow_query(&mut self, now: Instant, next_hop: NextHop, timestamp_ms: Option<i64>) {
        if let Some((at, seen_ms)) = self.queries.get(&next_hop).copied() {
            if timestamp_ms == Some(seen_ms) {
                return;
            }
            self.queries.remove(&next_hop);
            self.collect_at.remove(&(at, next_hop));
        }
        if let Some(timestamp_ms) = timestamp_ms {
            // By the time at which it was seen: clocks of chassis differ.
            let spread_ms = self.rng.u64(0..=COLLECTION_SPREAD.as_millis() as u64);
            let at = now + QUERY_LIFETIME + Duration::from_millis(spread_ms);
            self.queries.insert(next_hop, (at, timestamp_ms));
            self.collect_at.insert((at, next_hop));
        }
    }

    fn collect(&mut self, now: Instant) {
        while let Some(&(at, next_hop)) = self.collect_at.first().filter(|(at, _)| *at <= now) {
            self.collect_at.remove(&(at, next_hop));
            if let Some((_, timestamp_ms)) = self.queries.remove(&next_hop) {
                self.collected += 1;
                self.writes.offer(Subject::Collect(next_hop), Value::Time(timestamp_ms));
            }
        }
    }
}

impl ControllerDaemon {
    /// What the database says of neighbours by now.
    pub(super) fn note_neighbors(&mut self, now: Instant, wall_ms: i64) {
        for (next_hop, mac) in self.compiler.take_said() {
            self.stale |= self.compiler.end_hold_down(&next_hop);
            self.responder.binding_known(&next_hop, mac);
        }
        for Change { next_hop, old, new } in self.compiler.take_bindings() {
            let (was, mac) = (old.and_then(|old| old.mac), new.and_then(|new| new.mac));
            if let Some(mac) = mac.filter(|_| mac != was) {
                self.stale |= self.compiler.end_hold_down(&next_hop);
                self.responder.binding_known(&next_hop, mac);
                if was.is_some() {
                    self.responder.moved(now, next_hop, mac);
                }
            }
            if new.is_some() {
                self.responder.asked(now, &next_hop, mac);
            }
            let around = &mut self.neighborhood;
            match new.and_then(|new| new.keep_s.filter(|_| mac.is_some()).zip(Some(new.timestamp_ms))) {
                Some((keep_s, timestamp_ms)) => {
                    let age = Duration::from_millis(u64::try_from(wall_ms - timestamp_ms).unwrap_or(0));
                    around.renewal.follow(now, next_hop, age, Duration::from_secs(keep_s.into()));
                }
                None => around.renewal.forget(&next_hop),
            }
            let query = new.filter(|new| new.mac.is_none()).map(|new| new.timestamp_ms);
            around.follow_query(now, next_hop, query);
        }
    }

    /// Asks neighbours and the switch what is to be asked, and writes what was learned.
    pub(super) fn serve_neighbors(&mut self, now: Instant, wall_ms: i64) {
        let around = &mut self.neighborhood;
        let mut probes = Vec::new();
        around.renewal.advance(now, |next_hop| probes.push(next_hop));
        for next_hop in probes {
            if let Some((probe, cookie)) = probe(self.compiler.db(), &next_hop)
                && self.responder.probe(now, &probe)
            {
                around.statistics.expect(now, cookie);
            }
        }
        let wanted = wanted(self.compiler.db());
        around.statistics.advance(now, wanted, &mut self.features.session);
        around.collect(now);
        if !self.southbound.session().is_synced() {
            return;
        }
        let bindings = &self.compiler.db().bindings;
        for write in self.responder.take_writes(now) {
            if let Write::MacBinding(hop, mac) = write
                && bindings.get(&hop).is_some_and(|standing| standing.mac == Some(mac))
                && around.renewal.heard(now, hop).is_some()
            {
                around.writes.offer(Subject::Heard(hop), Value::Time(wall_ms));
            }
            around.writes.learn(write, wall_ms);
        }
        if around.writes.deadline().is_some_and(|due| due <= now) {
            let mut txn = self.southbound.session().txn();
            let view = View { db: self.compiler.db(), wall_ms, renewal: &around.renewal };
            around.writes.write(now, &view, &mut txn);
            let id = (!txn.is_empty()).then(|| self.southbound.session_mut().transact(txn));
            around.writes.sent(now, id);
        }
    }

    pub(super) fn neighbors_transacted(&mut self, now: Instant, id: TxnId, outcome: &Outcome) {
        self.neighborhood.writes.answered(now, id, outcome);
    }

    /// What the switch says about what it has counted.
    pub(super) fn note_statistics(&mut self, now: Instant, wall_ms: i64, event: &session::Event) {
        let around = &mut self.neighborhood;
        let (seen, since) = match event {
            session::Event::Ready { .. } => return around.statistics.restart(),
            session::Event::Error { xid, .. } => return around.statistics.refused(*xid),
            session::Event::Reply { xid, message: Message::MultipartReply { reply, .. } } => {
                match around.statistics.answered(*xid, reply) {
                    Some(answer) => answer,
                    None => return,
                }
            }
            _ => return,
        };
        let before = |ago: Duration| wall_ms - i64::try_from(ago.as_millis()).unwrap_or(i64::MAX);
        for (seen, counted) in seen {
            let (next_hop, counted) = match seen {
                Seen::Used(next_hop) => (next_hop, Use { used: Some(counted), heard: None }),
                Seen::Heard(next_hop) => (next_hop, Use { used: None, heard: Some(counted) }),
                Seen::Station(key, mac) => {
                    let time_ms = before(counted.ago);
                    if station_is_behind(self.compiler.db(), key, mac, time_ms) {
                        around.writes.offer(Subject::StationHeard(key, mac), Value::Time(time_ms));
                    }
                    continue;
                }
            };
            if let Some(heard) = around.renewal.note(now, next_hop, counted, since) {
                around.writes.offer(Subject::Heard(heard.next_hop), Value::Time(before(heard.ago)));
            }
        }
    }

    pub(super) fn count_neighbors(&self, visit: &mut dyn FnMut(&str, u64)) {
        let around = &self.neighborhood;
        let (totals, limited) = (around.writes.totals(), around.writes.limited());
        visit("mac_binding_solicited", around.renewal.solicited());
        visit("mac_binding_query_collected", around.collected);
        visit("mac_binding_refused", limited.refused);
        for why in Why::ALL {
            visit(&format!("mac_binding_evicted_{}", why.name()), limited.evicted[why as usize]);
        }
        for (name, total) in [
            ("transactions", totals.transactions),
            ("rows", totals.rows),
            ("satisfied", totals.satisfied),
            ("conflicts", totals.conflicts),
            ("dropped", totals.dropped),
            ("queue_full", totals.full),
        ] {
            visit(&format!("mac_binding_write_{name}"), total);
        }
    }

    /// Neighbours by router port, and what limits did there: the answer to `mac-binding/show`.
    pub(super) fn show_neighbors(&self, out: &mut String) {
        let db = self.compiler.db();
        let around = &self.neighborhood;
        let ports: BTreeSet<_> = db.bindings.ports().chain(around.writes.ports()).collect();
        let mut lines = Vec::new();
        for (datapath, port) in ports {
            let Some((name, router)) = learned::port(db, datapath, port) else { continue };
            let rows = || db.bindings.of(datapath, Some(port));
            let asked = rows().filter(|(_, standing)| standing.mac.is_none()).count();
            let failed = rows().filter(|(next_hop, _)| around.renewal.has_failed(next_hop)).count();
            let view = View { db, wall_ms: 0, renewal: &around.renewal };
            let limit =
                |limit: Option<u32>| limit.map_or_else(|| "none".to_owned(), |limit| limit.to_string());
            let of_router = limit(db.learns.peek(&router).and_then(|learns| learns.limit));
            let counts = around.writes.on_port(datapath, port);
            let mut line = format!(
                "{name}: {} neighbors, {asked} only asked for, {failed} without an answer; limit {}, of the router {of_router}; \
                 refused {}",
                rows().count(),
                limit(view.port_limit(&name)),
                counts.refused,
            );
            for why in Why::ALL {
                let _ = write!(line, ", evicted {} {}", why.name(), counts.evicted[why as usize]);
            }
            lines.push(line);
        }
        lines.sort();
        *out = lines.join("\n");
    }
}

/// Whom to ask about a neighbour, and the cookie of its flows.
fn probe(db: &Db, next_hop: &NextHop) -> Option<(Probe, u64)> {
    let standing = db.bindings.get(next_hop)?;
    let (name, _) = learned::port(db, next_hop.datapath, next_hop.port)?;
    let row = db.port_named.peek(&name).first()?;
    let addresses = db.sb.port_binding.peek(row)?.mac.first()?;
    let mut words = addresses.split_ascii_whitespace();
    let source_mac: EthAddr = words.next()?.parse().ok()?;
    let nets: Vec<IpNet> = words.filter_map(|word| word.parse().ok()).collect();
    let same = |net: &&IpNet| net.addr().is_ipv4() == next_hop.ip.is_ipv4();
    let facing = nets.iter().find(|net| net.contains(&next_hop.ip)).or_else(|| nets.iter().find(same))?;
    let probe = Probe { next_hop: *next_hop, mac: standing.mac?, source_mac, source: facing.addr() };
    Some((probe, cookie(standing.row)))
}

fn wanted(db: &Db) -> Wanted {
    let look = |keep_s: u32| Renewal::look_interval(Duration::from_secs(keep_s.into()));
    Wanted {
        neighbors: db.bindings.shortest_keep_s().map(look),
        stations: db.station_keeps.shortest_s().map(look),
    }
}

/// Whether the row of a station that was last heard of at `time_ms` is so far behind that it is brought forward.
fn station_is_behind(db: &Db, key: i64, mac: EthAddr, time_ms: i64) -> bool {
    let datapath = u32::try_from(key).ok().and_then(|key| db.datapath_keyed.peek(&key).first());
    let threshold = datapath.and_then(|row| db.learns.peek(row)?.fdb_threshold_s);
    let row = db.station_rows.peek(&(key, mac)).first().and_then(|row| db.sb.fdb.peek(row));
    let Some((threshold_s, row)) = threshold.zip(row) else { return false };
    time_ms - row.timestamp >= i64::from(threshold_s) * 1000 / 8
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::tests::{daemon, turn};

    #[test]
    fn rows_that_wait_for_a_database_that_is_away_wake_nobody() {
        let (mut daemon, now) = (daemon(), Instant::from_secs(1));
        let next_hop = NextHop {
            datapath: DatapathKey(1),
            port: PortKey(2),
            ip: "10.0.0.7".parse().expect("an address"),
        };
        daemon.neighborhood.writes.offer(Subject::Collect(next_hop), Value::Time(0));
        assert!(turn(&mut daemon, now).is_none_or(|due| due > now));
        assert!(
            daemon.neighborhood.writes.deadline().is_some_and(|due| due <= now),
            "and are written once they can be"
        );
    }
}
