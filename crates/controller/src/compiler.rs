//! The compiler: replicas in, flows and transactions out.

use crate::chassis::Progress;
use crate::desired::Desired;
use crate::hold_down::HoldDowns;
use crate::outstanding::SbOp;
use crate::restore_wait::{self, SwitchStart};
use crate::tables::{Db, Facts};
use crate::{conditions, outstanding, rules};
use kiln_incr::{Engine, Report, RuleStats};
use kiln_ovsdb::client::Rows;
use kiln_ovsdb::txn::Txn;
use kiln_ovsdb::{Replica, Text};
use kiln_responder::{Announcement, Failure, NextHop, PeriodicAdvert};
use kiln_types::{DatapathKey, EthAddr, Instant, PortKey, Uuid};
use std::collections::{BTreeMap, BTreeSet};

/// Keeps what the switch should hold in step with the southbound database.
pub struct Compiler {
    engine: Engine<Db>,
    generation: u64,
    hold_downs: HoldDowns,
    /// As of when conditions were last asked for.
    conditions: Option<conditions::Basis>,
}

impl Default for Compiler {
    fn default() -> Self {
        Self::new()
    }
}

impl Compiler {
    /// A compiler of empty databases.
    pub fn new() -> Self {
        let mut engine = Engine::new(Db::default());
        rules::add(&mut engine);
        Compiler { engine, generation: 0, hold_downs: HoldDowns::default(), conditions: None }
    }

    /// The tables.
    pub fn db(&self) -> &Db {
        &self.engine.db
    }

    /// Lets a cold start use all processors.
    pub fn set_parallel(&mut self, parallel: bool) {
        self.engine.set_parallel(parallel);
    }

    /// The replica of the southbound database.
    pub fn southbound_replica(&mut self) -> &mut dyn Replica {
        &mut self.engine.db.sb
    }

    /// The replica of the switch's database.
    pub fn local_replica(&mut self) -> &mut dyn Replica {
        &mut self.engine.db.vs
    }

    /// What the shell knows.
    pub fn facts(&self) -> &Facts {
        self.engine.db.facts.peek(&()).expect("put when the tables were made")
    }

    /// Tells what the shell knows.
    pub fn set_facts(&mut self, facts: Facts) {
        self.engine.db.facts.put((), facts);
    }

    /// Brings everything up to date and returns the number of the generation of flows that this makes.
    pub fn settle(&mut self) -> u64 {
        self.generation += 1;
        self.engine.db.bound.begin(self.generation);
        self.engine.settle();
        self.forget_activated();
        self.generation
    }

    /// Both replicas are complete: what was kept for whoever might still ask for it may go.
    pub fn complete(&mut self) {
        if self.engine.db.zone_requests.holds_persisted() {
            self.engine.db.zone_requests.release_persisted();
            self.engine.settle();
        }
    }

    /// Conntrack zones whose connections must be flushed, since they changed hands.
    pub fn take_zone_flushes(&mut self) -> BTreeSet<u16> {
        self.engine.db.zone_requests.take_flushes()
    }

    /// Conntrack zones by name.
    pub fn zones(&self) -> BTreeMap<Text, u16> {
        self.engine.db.ct_zones.iter().map(|(name, zone)| (name.clone(), *zone)).collect()
    }

    /// The rows of the southbound database that are needed, for every table with a condition.
    pub fn conditions(&self) -> BTreeMap<&'static str, Rows> {
        conditions::wanted(&self.engine.db)
    }

    /// The same, if they may differ from what they were when this was last asked.
    pub fn changed_conditions(&mut self) -> Option<BTreeMap<&'static str, Rows>> {
        let basis = conditions::basis(&self.engine.db);
        (self.conditions.replace(basis) != Some(basis)).then(|| self.conditions())
    }

    /// Settles that ran every rule for every key: the first, and those after a recompute.
    pub fn full_settles(&self) -> u64 {
        self.engine.full_settles()
    }

    /// How many different cells rules have read.
    pub fn cells(&self) -> usize {
        self.engine.cells()
    }

    /// What the switch is to hold.
    pub fn desired_mut(&mut self) -> &mut Desired {
        &mut self.engine.db.desired
    }

    /// What the switch is to hold.
    pub fn desired(&self) -> &Desired {
        &self.engine.db.desired
    }

    /// The switch has the flows of a generation: ports that were bound then are up. Returns whether there are such.
    pub fn acknowledge(&mut self, generation: u64) -> bool {
        self.engine.db.bound.acknowledge(generation)
    }

    /// Lets next hops go that were held down until now. Whether there were any.
    pub fn end_hold_downs(&mut self, now: Instant) -> bool {
        self.hold_downs.advance(now, &mut self.engine.db)
    }

    /// A next hop gave no answer.
    pub fn hold_down(&mut self, failure: &Failure) {
        self.hold_downs.begin(failure.next_hop, failure.until, &mut self.engine.db);
    }

    /// A next hop is known. Whether it was held down.
    pub fn end_hold_down(&mut self, next_hop: &NextHop) -> bool {
        self.hold_downs.end(next_hop, &mut self.engine.db)
    }

    /// When a next hop is next to be let go.
    pub fn hold_down_deadline(&self) -> Option<Instant> {
        self.hold_downs.deadline()
    }

    /// The switch has all flows that follow from this `SB_Global.nb_cfg`.
    pub fn set_progress(&mut self, progress: Progress) {
        self.engine.db.progress.put((), progress);
    }

    /// The switch that runs has its flows, or is gone. Returns whether that is news.
    pub fn set_switch_flows(&mut self, has_flows: bool) -> bool {
        let known = self.engine.db.switch_start.peek(&()).copied().unwrap_or_default();
        if known.has_flows != has_flows {
            self.engine.db.switch_start.put((), SwitchStart { has_flows, is_lifted: false });
        }
        known.has_flows != has_flows
    }

    /// Takes note of whether the switch waits for its flows to be restored. Returns whether there is news.
    pub fn note_lift(&mut self) -> bool {
        let db = &mut self.engine.db;
        let known = db.switch_start.peek(&()).copied().unwrap_or_default();
        let news = known.has_flows && !known.is_lifted && restore_wait::has_read_lift(db);
        if news {
            db.switch_start.put((), SwitchStart { is_lifted: true, ..known });
        }
        news
    }

    /// `SB_Global.nb_cfg` as it is in the replica.
    pub fn nb_cfg(&self) -> i64 {
        let db = &self.engine.db;
        let row = db.sb_global.peek(&()).first();
        row.and_then(|row| db.sb.sb_global.peek(row)).map_or(0, |row| row.nb_cfg)
    }

    /// Another chassis took a port that is here too: leave it to that one for a while, or no longer.
    pub fn set_contested(&mut self, port: Uuid, contested: bool) {
        if contested {
            self.engine.db.contested.put(port, ());
        } else {
            self.engine.db.contested.delete(&port);
        }
    }

    /// A port that is here beside its main chassis has shown life. Returns whether that is news.
    pub fn set_activated(&mut self, datapath: DatapathKey, port: PortKey) -> bool {
        let db = &mut self.engine.db;
        let Some(datapath) = db.datapath_keyed.peek(&datapath.0).first() else { return false };
        let Some(row) = db.port_keyed.peek(&(*datapath, port.0)).first().copied() else { return false };
        let news = db.residence.peek(&row).is_some_and(|residence| residence.is_additional)
            && db.activated.peek(&row).is_none();
        if news {
            db.activated.put(row, ());
        }
        news
    }

    /// A port that comes back has to show life anew.
    fn forget_activated(&mut self) {
        let db = &mut self.engine.db;
        let is_here = |row: &Uuid| db.residence.peek(row).is_some_and(|residence| residence.is_additional);
        let gone: Vec<Uuid> = db.activated.iter().map(|(row, ())| *row).filter(|row| !is_here(row)).collect();
        for row in gone {
            db.activated.delete(&row);
        }
    }

    /// Ports that are to be claimed with the next transaction.
    pub fn claims(&self) -> Vec<Uuid> {
        let claim = |op: &SbOp| if let SbOp::Claim(port) = op { Some(*port) } else { None };
        self.engine.db.sb_ops.iter().filter_map(claim).collect()
    }

    /// Whether the southbound database lacks something.
    pub fn southbound_lacks(&self) -> bool {
        !self.engine.db.sb_ops.is_empty()
    }

    /// Writes what the southbound database lacks.
    pub fn southbound(&self, txn: &mut Txn) {
        outstanding::southbound(&self.engine.db, txn);
    }

    /// Whether the switch's database lacks something.
    pub fn local_lacks(&self) -> bool {
        !self.engine.db.vs_ops.is_empty()
    }

    /// Whether the integration bridge is missing, or not as it must be.
    pub fn lacks_bridge(&self) -> bool {
        self.engine.db.vs_ops.iter().any(outstanding::VsOp::is_bridge)
    }

    /// Writes what the switch's database lacks; `only_bridge`: of the integration bridge itself. `wall_ms` is the time, in
    /// milliseconds since 1970.
    pub fn local(&self, wall_ms: i64, only_bridge: bool, txn: &mut Txn) {
        outstanding::local(&self.engine.db, wall_ms, only_bridge, txn);
    }

    /// Writes when the daemon started into the integration bridge's `external_ids:ovn-startup-ts`.
    pub fn write_started(&self, wall_ms: i64, txn: &mut Txn) {
        if let Some(bridge) = self.engine.db.integration.peek(&()) {
            let (key, time) = ("ovn-startup-ts", wall_ms.to_string());
            txn.mutate("Bridge")
                .row(*bridge)
                .delete("external_ids", &[key])
                .put("external_ids", &kiln_ovsdb::column::Pairs(&[(key, time.as_str())]));
        }
    }

    /// How far the switch was last said to be.
    pub fn progress(&self) -> Option<&Progress> {
        self.engine.db.progress.peek(&())
    }

    /// Rows of MAC_Binding that came, changed or went since the last call.
    pub(crate) fn take_bindings(&mut self) -> Vec<crate::bindings::Change> {
        self.engine.db.bindings.take_changes()
    }

    /// What Static_MAC_Binding says that it did not say at the last call: next hops, and where they are.
    pub fn take_said(&mut self) -> Vec<(NextHop, EthAddr)> {
        self.engine.db.said.take().1
    }

    /// Addresses that are no longer announced, and those that are from now on.
    pub fn take_announced(&mut self) -> (Vec<Announcement>, Vec<Announcement>) {
        self.engine.db.announced.take()
    }

    /// Routers that no longer advertise themselves, and those that do from now on.
    pub fn take_advertised(&mut self) -> (Vec<PeriodicAdvert>, Vec<PeriodicAdvert>) {
        self.engine.db.advertised.take()
    }

    /// Keys of ports that went since the last call.
    pub fn take_gone(
        &mut self,
    ) -> std::collections::BTreeSet<(kiln_types::DatapathKey, kiln_types::PortKey)> {
        self.engine.db.gone.take()
    }

    /// Runs every rule again at the next settle.
    pub fn recompute(&mut self) {
        self.engine.recompute();
    }

    /// Bad input since the last call.
    pub fn take_reports(&mut self) -> Vec<Report> {
        self.engine.take_reports()
    }

    /// The files of the certificates that the switch's database names for TLS (table SSL).
    pub fn tls(&self) -> Option<&kiln_schema_vswitch::Ssl> {
        self.engine.db.vs.ssl.iter().next().map(|(_, row)| row)
    }

    /// How often each rule ran.
    pub fn stats(&self) -> Vec<RuleStats> {
        self.engine.stats()
    }

    /// Starts the counts of [`Compiler::stats`] again.
    pub fn clear_stats(&mut self) {
        self.engine.clear_stats();
    }

    /// Starts or stops recording which rules run.
    pub fn trace(&mut self, on: bool) {
        self.engine.trace(on);
    }

    /// The rules that ran since the last call, and for what.
    pub fn take_trace(&mut self) -> Vec<String> {
        self.engine.take_trace()
    }
}
