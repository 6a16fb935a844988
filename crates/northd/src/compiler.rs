//! The compiler: replicas in, transactions out.

use crate::expiry::Pace;
use crate::flow::flow_uuid;
use crate::flow::table::Place;
use crate::global;
use crate::outstanding::{self, NbOp};
use crate::rules;
use crate::tables::Db;
use kiln_abi::options::lflow_tag::ACL_CT_TRANSLATION;
use kiln_abi::stages::{Datapath, Pipeline, Stage};
use kiln_incr::{Engine, Report, RuleStats};
use kiln_ovsdb::column::{Map, Pairs};
use kiln_ovsdb::txn::Txn;
use kiln_ovsdb::{Replica, RowDecoder, RowError, Text};
use kiln_types::{HashSet, Instant, Uuid};
use std::collections::BTreeSet;
use std::time::Duration;

/// Keeps what the southbound database should hold in step with the northbound one.
pub struct Compiler {
    engine: Engine<Db>,
    logical_flow_refetch: Option<HashSet<Uuid>>,
    /// Rows of Logical_DP_Group that have changed since the last settle.
    changed_groups: BTreeSet<Uuid>,
    /// The last `nb_cfg` that was seen, and when, in milliseconds since 1970.
    nb_cfg_seen: (i64, i64),
    expiry: Pace,
}

impl Compiler {
    /// A compiler of empty databases. What has to be chosen by chance, once in a deployment's life, follows from `seed`.
    pub fn new(seed: u64) -> Self {
        let mut engine = Engine::new(Db::new(seed));
        rules::add(&mut engine);
        Compiler {
            engine,
            logical_flow_refetch: None,
            changed_groups: BTreeSet::new(),
            nb_cfg_seen: (0, 0),
            expiry: Pace::default(),
        }
    }

    /// The tables.
    pub fn db(&self) -> &Db {
        &self.engine.db
    }

    /// Lets a cold start use all processors.
    pub fn set_parallel(&mut self, parallel: bool) {
        self.engine.set_parallel(parallel);
    }

    /// The replica of the northbound database.
    pub fn northbound_replica(&mut self) -> &mut dyn Replica {
        &mut self.engine.db.nb
    }

    /// The replica of the southbound database.
    pub fn southbound_replica(&mut self) -> SouthboundReplica<'_> {
        SouthboundReplica { compiler: self }
    }

    /// Brings everything up to date. Returns how many rules ran.
    pub fn settle(&mut self) -> u64 {
        let ran = self.engine.settle();
        if !self.changed_groups.is_empty() {
            self.note_groups();
        }
        ran
    }

    /// Notes the time at which a new `nb_cfg` was seen. `wall_ms` is the time, in milliseconds since 1970.
    pub fn see(&mut self, wall_ms: i64) {
        let nb_cfg = self.engine.db.nb.nb_global.iter().next().map_or(0, |(_, global)| global.nb_cfg);
        if nb_cfg != self.nb_cfg_seen.0 {
            self.nb_cfg_seen = (nb_cfg, wall_ms);
        }
    }

    /// How long a database may be silent before it is asked whether it is there; `None` for the usual time.
    pub fn probe_interval(&self) -> Option<Duration> {
        self.db().settings.peek(&global::ONLY).and_then(|settings| settings.probe_interval)
    }

    /// Runs every rule again.
    pub fn recompute(&mut self) {
        self.engine.recompute();
    }

    /// Bad input since the last call.
    pub fn take_reports(&mut self) -> Vec<Report> {
        self.engine.take_reports()
    }

    /// How often each rule ran.
    pub fn stats(&self) -> Vec<RuleStats> {
        self.engine.stats()
    }

    /// Starts the counts of [`Compiler::stats`] again.
    pub fn clear_stats(&mut self) {
        self.engine.clear_stats();
    }

    /// Settles that ran every rule for every key: the first, and those after a recompute.
    pub fn full_settles(&self) -> u64 {
        self.engine.full_settles()
    }

    /// How many different cells rules have read.
    pub fn cells(&self) -> usize {
        self.engine.cells()
    }

    /// The features that chassis may announce and pipelines depend on, and whether every chassis that is not remote does (`true` or `false`), as
    /// lines for `debug/chassis-features-list`.
    pub fn chassis_features(&self) -> String {
        use kiln_abi::options::chassis_feature::LISTED;
        let is = |chassis: &kiln_schema_ovn::sb::Chassis, key: &str| {
            chassis.other_config.get(key).is_some_and(|value| &**value == "true")
        };
        let db = self.db();
        let ignore = db.settings.peek(&global::ONLY).is_some_and(|settings| settings.ignore_chassis_features);
        let mut lines = String::new();
        for (name, feature) in LISTED {
            let mut local =
                db.sb.chassis.iter().map(|(_, chassis)| chassis).filter(|chassis| !is(chassis, "is-remote"));
            let all = ignore || local.all(|chassis| is(chassis, feature));
            lines.push_str(&format!("{name}: {all}\n"));
        }
        lines
    }

    /// Starts or stops recording which rules run, for [`Compiler::take_trace`].
    pub fn trace(&mut self, on: bool) {
        self.engine.trace(on);
    }

    /// The rules that ran since the last call, and for what.
    pub fn take_trace(&mut self) -> Vec<String> {
        self.engine.take_trace()
    }

    /// Deletes the rows of the southbound database that have expired. `wall_ms` is the time, in milliseconds since 1970. To be
    /// called before [`Compiler::southbound`], which ends a transaction.
    pub fn expire(&mut self, now: Instant, wall_ms: i64, txn: &mut Txn) {
        self.expiry.write(&self.engine.db, now, wall_ms, txn);
    }

    /// When [`Compiler::expire`] next has something to do.
    pub fn next_expiry(&self, now: Instant, wall_ms: i64) -> Option<Instant> {
        self.expiry.deadline(&self.engine.db, now, wall_ms)
    }

    /// Writes what the southbound database lacks, and assumes that it will be done: to be followed by
    /// [`Compiler::southbound_committed`] or [`Compiler::southbound_failed`].
    pub fn southbound(&mut self, txn: &mut Txn) {
        if self.engine.db.flows.lacks_content() {
            self.engine.recompute();
            self.engine.settle();
        }
        let Db { flows, datapath_keys, .. } = &mut self.engine.db;
        let inserts = flows.write(&|index| datapath_keys.row_of(index), txn);
        outstanding::write(&self.engine.db, txn);
        txn.finish_with(Box::new(inserts));
    }

    /// The transaction was committed.
    pub fn southbound_committed(&mut self) {
        self.engine.db.flows.committed();
        if self.engine.db.sb_ops.is_empty() {
            self.engine.db.datapath_keys.release();
        }
    }

    /// There was nothing to write, or nothing that the database can hold.
    pub fn southbound_complete(&mut self) {
        self.engine.db.flows.committed();
        self.engine.db.datapath_keys.release();
    }

    /// The transaction was not carried out, or nobody knows.
    pub fn southbound_failed(&mut self) {
        self.engine.db.flows.failed();
    }

    /// Writes what the northbound database lacks. `wall_ms` is the time, in milliseconds since 1970.
    pub fn northbound(&self, wall_ms: i64, txn: &mut Txn) {
        let db = &self.engine.db;
        for op in db.nb_ops.iter() {
            match op {
                NbOp::Options(row) => {
                    let missing = global::missing_options(db, row);
                    let keys: Vec<&Text> = missing.iter().map(|(key, _)| key).collect();
                    txn.mutate("NB_Global")
                        .row(*row)
                        .delete("options", &keys[..])
                        .put("options", &Pairs(&missing));
                }
                NbOp::Progress(row) => progress(db, *row, wall_ms, self.nb_cfg_seen, txn),
                NbOp::Up(port, up) => {
                    txn.update("Logical_Switch_Port").row(*port).set("up", up);
                }
                NbOp::Tag(port, tag) => {
                    txn.update("Logical_Switch_Port").row(*port).set("tag", &Some(*tag));
                }
                NbOp::DynamicAddresses(port) => {
                    let chosen = db.dynamic_addresses.peek(port).cloned();
                    txn.update("Logical_Switch_Port").row(*port).set("dynamic_addresses", &chosen);
                }
            }
        }
        if db.nb.nb_global.is_empty() {
            txn.insert("NB_Global");
        }
    }

    /// Whether the northbound database lacks something.
    pub fn northbound_lacks(&self) -> bool {
        !self.engine.db.nb_ops.is_empty() || self.engine.db.nb.nb_global.is_empty()
    }

    fn note_change(&mut self, table: &str, uuid: Uuid) {
        if table == LOGICAL_DP_GROUP {
            self.changed_groups.insert(uuid);
        }
    }

    /// Tells the flow table which datapaths the groups stand for whose rows have changed.
    fn note_groups(&mut self) {
        let Db { flows, datapath_keys, sb, .. } = &mut self.engine.db;
        let changed = std::mem::take(&mut self.changed_groups);
        flows.groups_stand(changed.into_iter().filter_map(|uuid| {
            let row = sb.logical_dp_group.peek(&uuid)?;
            let indexes = row.datapaths.iter().map(|row| datapath_keys.index_of(*row).map(|index| index.0));
            Some((uuid, indexes.collect()))
        }));
    }
}

fn progress(db: &Db, row: Uuid, wall_ms: i64, (seen, seen_ms): (i64, i64), txn: &mut Txn) {
    let (Some(old), Some(new)) = (db.nb.nb_global.peek(&row), global::progress(db)) else { return };
    let mut op = txn.update("NB_Global");
    op.row(row);
    if old.sb_cfg != new.sb_cfg {
        op.set("sb_cfg", &new.sb_cfg).set("sb_cfg_timestamp", &wall_ms);
        if seen == new.sb_cfg {
            op.set("nb_cfg_timestamp", &seen_ms);
        }
    }
    if old.hv_cfg != new.hv_cfg {
        op.set("hv_cfg", &new.hv_cfg).set("hv_cfg_timestamp", &new.hv_cfg_timestamp_ms);
    }
}

/// The southbound database as it arrives. Rows of Logical_Flow are reduced to what [`crate::FlowTable`] keeps of them.
pub struct SouthboundReplica<'a> {
    compiler: &'a mut Compiler,
}

/// The columns of Logical_Flow that make a flow what it is.
#[derive(Default)]
struct FlowRow {
    logical_datapath: Option<Uuid>,
    logical_dp_group: Option<Uuid>,
    pipeline: Text,
    table_id: i64,
    priority: i64,
    matches: Text,
    actions: Text,
    meter: Option<Text>,
    tags: Map<Text, Text>,
}

impl FlowRow {
    fn place(&self) -> Option<Place> {
        self.logical_datapath.map(Place::Datapath).or(self.logical_dp_group.map(Place::Group))
    }

    /// Whether the row's uuid is the one that its content has.
    fn is_own(&self, uuid: Uuid) -> bool {
        let pipeline = if &*self.pipeline == "ingress" { Pipeline::Ingress } else { Pipeline::Egress };
        let translated = match self.tags.as_slice() {
            [] => false,
            [(key, value)] if &**key == ACL_CT_TRANSLATION && &**value == "true" => true,
            _ => return false,
        };
        let (Ok(number), Ok(priority)) = (u8::try_from(self.table_id), u16::try_from(self.priority)) else {
            return false;
        };
        [Datapath::Switch, Datapath::Router].into_iter().any(|datapath| {
            let stage = Stage { datapath, pipeline, number, name: "" };
            let FlowRow { matches, actions, meter, .. } = self;
            flow_uuid(stage, priority, matches, actions, meter.as_deref(), translated) == uuid
        })
    }
}

const LOGICAL_FLOW: &str = "Logical_Flow";
const LOGICAL_DP_GROUP: &str = "Logical_DP_Group";

impl Replica for SouthboundReplica<'_> {
    fn put(&mut self, table: &str, uuid: Uuid, row: &mut RowDecoder<'_>) -> Result<(), RowError> {
        let compiler = &mut *self.compiler;
        if table != LOGICAL_FLOW {
            compiler.note_change(table, uuid);
            return compiler.engine.db.sb.put(table, uuid, row);
        }
        let mut flow = FlowRow::default();
        while let Some(column) = row.next_column()? {
            match column {
                "logical_datapath" => flow.logical_datapath = row.value()?,
                "logical_dp_group" => flow.logical_dp_group = row.value()?,
                "pipeline" => flow.pipeline = row.value()?,
                "table_id" => flow.table_id = row.value()?,
                "priority" => flow.priority = row.value()?,
                "match" => flow.matches = row.value()?,
                "actions" => flow.actions = row.value()?,
                "controller_meter" => flow.meter = row.value()?,
                "tags" => flow.tags = row.value()?,
                _ => row.skip()?,
            }
        }
        if let Some(unseen) = &mut compiler.logical_flow_refetch {
            unseen.remove(&uuid);
        }
        let flows = &mut compiler.engine.db.flows;
        match flow.place().filter(|_| flow.is_own(uuid)) {
            Some(place) => flows.stands(uuid, Some(place)),
            None => flows.spoilt(uuid),
        }
        Ok(())
    }

    fn patch(&mut self, table: &str, uuid: Uuid, row: &mut RowDecoder<'_>) -> Result<(), RowError> {
        let compiler = &mut *self.compiler;
        if table != LOGICAL_FLOW {
            compiler.note_change(table, uuid);
            return compiler.engine.db.sb.patch(table, uuid, row);
        }
        let mut flow = FlowRow::default();
        let mut foreign = false;
        while let Some(column) = row.next_column()? {
            match column {
                "logical_datapath" => flow.logical_datapath = row.value()?,
                "logical_dp_group" => flow.logical_dp_group = row.value()?,
                "external_ids" | "flow_desc" => row.skip()?,
                _ => {
                    foreign = true;
                    row.skip()?;
                }
            }
        }
        let flows = &mut compiler.engine.db.flows;
        if foreign && !flows.is_mending(uuid) {
            flows.spoilt(uuid);
        } else if let Some(place) = flow.place() {
            flows.stands(uuid, Some(place));
        }
        Ok(())
    }

    fn delete(&mut self, table: &str, uuid: Uuid) {
        match table {
            LOGICAL_FLOW => self.compiler.engine.db.flows.stands(uuid, None),
            LOGICAL_DP_GROUP => {
                self.compiler.engine.db.flows.groups.gone(uuid);
                self.compiler.engine.db.sb.delete(table, uuid);
            }
            _ => self.compiler.engine.db.sb.delete(table, uuid),
        }
    }

    fn begin_refetch(&mut self) {
        self.compiler.logical_flow_refetch = Some(self.compiler.engine.db.flows.standing().collect());
        self.compiler.engine.db.sb.begin_refetch();
    }

    fn end_refetch(&mut self) {
        for uuid in self.compiler.logical_flow_refetch.take().unwrap_or_default() {
            self.compiler.engine.db.flows.stands(uuid, None);
        }
        self.compiler.engine.db.sb.end_refetch();
        let Compiler { engine, changed_groups, .. } = &mut *self.compiler;
        changed_groups.extend(engine.db.sb.logical_dp_group.iter().map(|(uuid, _)| *uuid));
    }
}
