//! The daemon without its sockets: two database links, three connections to the switch, the compiler, and the
//! transactions in flight.
//!
//! A shell feeds it connections, bytes and time, and calls [`ControllerDaemon::advance`] after each; what is to be sent
//! or connected comes out of the `poll` methods.

mod budgets;
mod commands;
mod counters;
mod drops;
mod dump;
mod exit;
mod inject;
mod meter_drops;
mod neighbors;
mod statistics;
mod switch;
#[cfg(test)]
mod tests;

pub use commands::{COMMANDS, CommandSpec};

use crate::chassis::Progress;
use crate::install::{self, Installer};
use crate::tables::Facts;
use crate::{Compiler, features, learned, monitored, settings};
use exit::Exit;
use kiln_openflow::msg::Message;
use kiln_openflow::{ErrorCode, session};
use kiln_ovsdb::Text;
use kiln_ovsdb::client::{Event, InFlight, Link, Outcome, Rows, SessionConfig, TxnId};
use kiln_ovsdb::reconnect::{Action, Order};
use kiln_ovsdb::remote::{Remote, Remotes};
use kiln_responder::{Neighbors, Responder};
use kiln_types::{Instant, Rng, Uuid};
use meter_drops::MeterDrops;
use neighbors::Neighborhood;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use switch::SwitchLink;
use tracing::{debug, info, warn};

/// After this chassis has claimed a port, how long it lets another one have it that claims it too.
const CLAIM_PAUSE: Duration = Duration::from_millis(500);
/// How many rows that cannot be used are told of at once, and each minute.
const REPORTS_PER_MINUTE: u32 = 100;
/// How often rules may settle in one step.
const MAX_ROUNDS: usize = 4;
/// How long the southbound database waits for the switch to be read, so that groups keep their numbers.
const MAX_WAIT_FOR_SWITCH: Duration = Duration::from_secs(3);

/// A connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Side {
    /// OVN_Southbound.
    Southbound,
    /// Open_vSwitch.
    Local,
    /// To the switch: flows, groups and meters.
    Flows,
    /// To the switch: packets.
    Packets,
    /// To the switch: what it can do.
    Features,
}

impl Side {
    /// All of them.
    pub const ALL: [Side; 5] = [Side::Southbound, Side::Local, Side::Flows, Side::Packets, Side::Features];
}

/// How the daemon is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the switch's database is.
    pub local: Remotes,
    /// The folder of the switch's sockets.
    pub switch_run_dir: String,
    /// The chassis' name, if the command line or a file gives it.
    pub chassis_name: Option<Text>,
    /// What the host calls itself.
    pub hostname: Text,
    /// What is chosen by chance follows from it.
    pub seed: u64,
}

/// The daemon.
pub struct ControllerDaemon {
    southbound: Link,
    local: Link,
    flows: SwitchLink,
    packets: SwitchLink,
    features: SwitchLink,
    installer: Installer,
    probe: features::Probe,
    responder: Responder,
    neighborhood: Neighborhood,
    meter_drops: MeterDrops,
    compiler: Compiler,
    sb_txn: InFlight,
    local_txn: InFlight,
    exit: Exit,
    paused: bool,
    /// Something has come since the last settle.
    stale: bool,
    /// The southbound replica holds everything that its first conditions ask for.
    complete: bool,
    /// The switch was read once, or was waited for long enough.
    switch_read: bool,
    local_since: Option<Instant>,
    conditions: BTreeMap<&'static str, Rows>,
    /// The number of the last change of conditions.
    conditions_seq: u64,
    southbound_remote: Option<Text>,
    switch_run_dir: String,
    /// `nb_cfg` by the generation of flows that follows from it.
    pending_cfg: BTreeMap<u64, i64>,
    /// Ports that were claimed lately, by the end of the pause.
    claims: BTreeMap<Instant, Vec<Uuid>>,
    nb_cfg_delay: Duration,
    /// Settings without use that the log has told of.
    told: BTreeSet<&'static str>,
    /// When the daemon started, in milliseconds since 1970, until the bridge says so.
    started_ms: Option<i64>,
    started: bool,
    /// The most flows that `lflow-cache/show-stats` has told of.
    lflow_watermark: usize,
    report_at: Option<(Instant, i64)>,
}

fn southbound_config(rows: &BTreeMap<&'static str, Rows>) -> SessionConfig {
    let tables = monitored::southbound(rows);
    SessionConfig { leader_only: false, tables, ..SessionConfig::new("OVN_Southbound") }
}

impl ControllerDaemon {
    /// A daemon that is not connected yet.
    pub fn new(config: Config) -> Self {
        let mut rng = Rng::with_seed(config.seed);
        let mut fork = || Rng::with_seed(rng.u64(..));
        let mut compiler = Compiler::new();
        let facts =
            Facts { chassis_name: config.chassis_name, hostname: config.hostname, ..Facts::default() };
        compiler.set_facts(facts);
        let conditions = compiler.conditions();
        let local_config = SessionConfig {
            leader_only: false,
            tables: monitored::local(),
            ..SessionConfig::new("Open_vSwitch")
        };
        let southbound = Link::new(southbound_config(&conditions), Vec::new(), Order::Shuffled, fork());
        let local = Link::new(local_config, config.local.remotes, Order::Listed, fork());
        ControllerDaemon {
            southbound,
            local,
            flows: SwitchLink::new(fork()),
            packets: SwitchLink::for_packets(fork()),
            features: SwitchLink::new(fork()),
            installer: Installer::new(),
            probe: features::Probe::new(),
            responder: Responder::new(kiln_responder::Config::default(), fork()),
            neighborhood: Neighborhood::new(fork()),
            meter_drops: MeterDrops::default(),
            compiler,
            sb_txn: InFlight::default(),
            local_txn: InFlight::default(),
            exit: Exit::default(),
            paused: false,
            stale: false,
            complete: false,
            switch_read: false,
            local_since: None,
            conditions,
            conditions_seq: 0,
            southbound_remote: None,
            switch_run_dir: config.switch_run_dir,
            pending_cfg: BTreeMap::new(),
            claims: BTreeMap::new(),
            nb_cfg_delay: Duration::ZERO,
            told: BTreeSet::new(),
            started_ms: None,
            started: false,
            lflow_watermark: 0,
            report_at: None,
        }
    }

    /// The compiler.
    pub fn compiler(&self) -> &Compiler {
        &self.compiler
    }

    /// The compiler, for commands about it.
    pub fn compiler_mut(&mut self) -> &mut Compiler {
        &mut self.compiler
    }

    /// The responder.
    pub fn responder(&self) -> &Responder {
        &self.responder
    }

    // connections

    fn switch(&mut self, side: Side) -> &mut SwitchLink {
        match side {
            Side::Flows => &mut self.flows,
            Side::Packets => &mut self.packets,
            Side::Features | Side::Southbound | Side::Local => &mut self.features,
        }
    }

    fn lose_switch(&mut self) {
        self.installer.handle_disconnected();
        self.stale |= self.compiler.set_switch_flows(false);
    }

    /// The connection that was asked for is open.
    pub fn handle_connected(&mut self, now: Instant, side: Side) {
        match side {
            Side::Southbound => self.southbound.handle_connected(now),
            Side::Local => self.local.handle_connected(now),
            _ => self.switch(side).handle_connected(now),
        }
    }

    /// The connection broke, or could not be opened.
    pub fn handle_disconnected(&mut self, now: Instant, side: Side) {
        match side {
            Side::Southbound => self.southbound.handle_disconnected(now),
            Side::Local => self.local.handle_disconnected(now),
            _ => self.switch(side).handle_disconnected(now),
        }
        if side == Side::Flows {
            self.lose_switch();
        }
    }

    /// Bytes have come.
    pub fn handle_bytes(&mut self, now: Instant, side: Side, bytes: &[u8]) {
        match side {
            Side::Southbound => {
                self.southbound.handle_bytes(now, bytes, self.compiler.southbound_replica());
            }
            Side::Local => self.local.handle_bytes(now, bytes, self.compiler.local_replica()),
            Side::Packets => self.answer(now, bytes),
            _ => self.switch(side).handle_bytes(now, bytes),
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.southbound.handle_timeout(now);
        self.local.handle_timeout(now);
        for side in [Side::Flows, Side::Packets, Side::Features] {
            self.switch(side).handle_timeout(now);
        }
        self.responder.set_has_switch(self.packets.session.version().is_some());
        self.responder.tick(now);
    }

    /// What to do about a connection.
    pub fn poll_action(&mut self, now: Instant, side: Side) -> Option<Action> {
        match side {
            Side::Southbound => self.southbound.poll_action(now),
            Side::Local => self.local.poll_action(now),
            _ => {
                let action = self.switch(side).poll_action(now);
                if action == Some(Action::Close) && side == Side::Flows {
                    self.lose_switch();
                }
                action
            }
        }
    }

    /// Bytes to send.
    pub fn poll_transmit(&mut self, side: Side) -> Option<Vec<u8>> {
        match side {
            Side::Southbound => self.southbound.poll_transmit(),
            Side::Local => self.local.poll_transmit(),
            _ => self.switch(side).poll_transmit(),
        }
    }

    /// When to call [`ControllerDaemon::handle_timeout`] and [`ControllerDaemon::advance`] next, if nothing else happens.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let can_write = self.southbound.session().is_synced();
        [
            self.southbound.poll_timeout(),
            self.local.poll_timeout(),
            self.flows.poll_timeout(),
            self.packets.poll_timeout(),
            self.features.poll_timeout(),
            self.installer.poll_timeout(),
            if can_write { self.responder.deadline() } else { self.responder.tick_deadline() },
            self.compiler.hold_down_deadline(),
            self.neighborhood.poll_timeout(can_write),
            self.meter_drops.poll_timeout(),
            self.compile_deadline().filter(|_| !self.paused),
        ]
        .into_iter()
        .flatten()
        .min()
    }

    /// When compiling, or writing what came of it, next has something to do by itself.
    fn compile_deadline(&self) -> Option<Instant> {
        let waiting = self.local_since.filter(|_| !self.switch_read).map(|since| since + MAX_WAIT_FOR_SWITCH);
        let retries = [&self.sb_txn, &self.local_txn].map(InFlight::poll_timeout);
        retries
            .into_iter()
            .filter(|_| !self.exit.is_running())
            .chain([self.report_at.map(|(at, _)| at), self.claims.keys().next().copied(), waiting])
            .flatten()
            .min()
    }

    // work

    /// Takes note of what happened, compiles, and sends what the switch and the databases lack. `wall_ms` is the time in
    /// milliseconds since 1970.
    pub fn advance(&mut self, now: Instant, wall_ms: i64) {
        if !std::mem::replace(&mut self.started, true) {
            self.started_ms = Some(wall_ms);
        }
        while let Some(event) = self.local.poll_event(now) {
            self.note(now, Side::Local, event);
        }
        while let Some(event) = self.southbound.poll_event(now) {
            self.note(now, Side::Southbound, event);
        }
        self.note_switch(now, wall_ms);
        // What the switch already has is acknowledged at once, and may make the databases lack something.
        for _ in 0..MAX_ROUNDS {
            if !self.paused {
                self.compile(now, wall_ms);
            }
            self.serve_packets(now, wall_ms);
            self.installer.drive(now, &mut self.flows.session, self.compiler.desired_mut());
            self.note_installer(now, wall_ms);
            if !self.stale || self.paused {
                break;
            }
        }
        self.finish_exit();
    }

    fn compile(&mut self, now: Instant, wall_ms: i64) {
        if let Some((_, cfg)) = self.report_at.take_if(|(at, _)| *at <= now) {
            self.compiler.set_progress(Progress { nb_cfg: cfg, wall_ms });
            self.stale = true;
        }
        while let Some(due) = self.claims.first_entry().filter(|entry| *entry.key() <= now) {
            for port in due.remove() {
                self.compiler.set_contested(port, false);
            }
            self.stale = true;
        }
        if std::mem::take(&mut self.stale) && !self.stands_still() {
            let generation = self.settle();
            self.stale |= self.compiler.note_lift();
            self.follow_settings(now);
            if self.southbound.session().is_synced() {
                self.follow_conditions();
                self.check_complete(generation);
            }
        }
        if self.local_since.is_some_and(|since| now >= since + MAX_WAIT_FOR_SWITCH) && !self.switch_read {
            self.switch_read = true;
            self.follow_settings(now);
        }
        if self.exit.is_running() {
            return self.write_exit();
        }
        self.write(now, wall_ms);
    }

    /// Whether northd is of another version, and the operator wants to wait until it no longer is.
    fn stands_still(&self) -> bool {
        let db = self.compiler.db();
        let Some((_, northd)) = db.sb.sb_global.iter().next() else { return false };
        let version = northd.options.get(kiln_abi::options::sb_global::NORTHD_INTERNAL_VERSION);
        settings::wants_northd_match(db) && version.is_none_or(|version| !version.contains(PIPELINE_VERSION))
    }

    fn settle(&mut self) -> u64 {
        let generation = self.compiler.settle();
        for report in self.compiler.take_reports() {
            warn!(target: "main", rl = REPORTS_PER_MINUTE, "{}", report.text);
        }
        for zone in self.compiler.take_zone_flushes() {
            self.installer.flush_zone(zone);
        }
        generation
    }

    /// Connects to wherever the settings say.
    fn follow_settings(&mut self, now: Instant) {
        let Some(settings) = self.compiler.db().settings.peek(&()).cloned() else { return };
        for key in &settings.without_use {
            if self.told.insert(key) {
                info!(target: "main", "Open_vSwitch external_ids:{key} is accepted and changes nothing");
            }
        }
        let bridge = match &settings.bridge_remote {
            Some(text) => text.to_string(),
            None => format!("unix:{}/{}.mgmt", self.switch_run_dir, settings.bridge),
        };
        let exists = self.compiler.db().integration.peek(&()).is_some();
        let remote = bridge.parse::<Remote>().ok().filter(|_| exists);
        let probe = Some(settings.bridge_remote_probe).filter(|interval| !interval.is_zero());
        for side in [Side::Flows, Side::Packets, Side::Features] {
            let link = self.switch(side);
            link.set_remote(now, remote.clone());
            link.session.set_probe_interval(probe);
        }
        self.southbound.session_mut().set_probe_interval(settings.remote_probe);
        let mut config = *self.responder.config();
        (config.announce_max, config.limits) = (settings.announce_max, settings.limits);
        self.responder.set_config(now, config);
        if self.switch_read && self.southbound_remote != settings.remote {
            let text = settings.remote.as_deref().unwrap_or("");
            match text.parse::<Remotes>() {
                Ok(remotes) => self.southbound.set_remotes(now, remotes.remotes),
                Err(error) => {
                    warn!(target: "main", "Open_vSwitch external_ids:ovn-remote: {error}");
                    self.southbound.set_remotes(now, Vec::new());
                }
            }
            self.southbound_remote = settings.remote;
        }
    }

    /// Asks for the rows that have come to matter.
    fn follow_conditions(&mut self) {
        for (table, rows) in self.compiler.changed_conditions().into_iter().flatten() {
            if self.conditions.get(table) != Some(&rows) {
                self.conditions_seq = self.southbound.session_mut().set_rows(table, rows.clone());
                self.conditions.insert(table, rows);
            }
        }
    }

    fn conditions_hold(&self) -> bool {
        self.southbound.session().conditions_in_force() >= self.conditions_seq
    }

    /// Once the replicas hold all that they should, the switch follows them, and the databases are written to.
    fn check_complete(&mut self, generation: u64) {
        let registered = self.compiler.db().me.peek(&()).is_some();
        if !self.complete && self.conditions_hold() && self.local.session().is_synced() {
            self.complete = true;
            if registered {
                self.compiler.complete();
                self.installer.complete();
            }
        }
        if self.complete && registered && self.conditions_hold() {
            self.compiler.complete();
            self.installer.complete();
            let nb_cfg = self.compiler.nb_cfg();
            // The first generation that follows from it will do; while there is no switch there may be very many.
            if self.pending_cfg.values().next_back() != Some(&nb_cfg) {
                self.pending_cfg.insert(generation, nb_cfg);
            }
            self.installer.acknowledge(generation);
        }
    }

    fn write(&mut self, now: Instant, wall_ms: i64) {
        let southbound_synced = self.southbound.session().is_synced();
        // Whether one may be sent comes first: a pause that is over must end, also where nothing is lacking by then.
        if self.sb_txn.may_send(now) && self.complete && southbound_synced && self.compiler.southbound_lacks()
        {
            let mut txn = self.southbound.session().txn();
            self.compiler.southbound(&mut txn);
            let claims = self.compiler.claims();
            for port in &claims {
                self.compiler.set_contested(*port, true);
            }
            if !claims.is_empty() {
                self.claims.entry(now + CLAIM_PAUSE).or_default().extend(claims);
            }
            if !txn.is_empty() {
                debug!(target: "main", "southbound transaction of {} operations", txn.len());
                self.sb_txn.sent(self.southbound.session_mut().transact(txn));
            }
        }
        // What is bound to the southbound database's content waits for it; the bridge does not.
        let lacks = if self.complete { self.compiler.local_lacks() } else { self.compiler.lacks_bridge() };
        if self.local_txn.may_send(now) && self.local.session().is_synced() && lacks {
            let mut txn = self.local.session().txn();
            self.compiler.local(wall_ms, !self.complete, &mut txn);
            if !txn.is_empty() {
                // Of itself it is not worth a transaction: a daemon that starts again changes nothing.
                if let Some(started_ms) = self.started_ms.take_if(|_| self.complete) {
                    self.compiler.write_started(started_ms, &mut txn);
                }
                self.local_txn.sent(self.local.session_mut().transact(txn));
            }
        }
    }

    fn note(&mut self, now: Instant, side: Side, event: Event) {
        match event {
            Event::Synced { resumed, .. } => {
                self.stale = true;
                if side == Side::Local {
                    self.local_since.get_or_insert(now);
                    let offered = self.local.session().offered();
                    let ct_zone_limits = offered.is_some_and(|schema| schema.has_column("CT_Zone", "limit"));
                    let prefixes = offered.and_then(|schema| schema.max_elements("Flow_Table", "prefixes"));
                    let four_prefixes = prefixes.is_some_and(|most| most >= 4);
                    let facts = self.compiler.facts().clone();
                    self.compiler.set_facts(Facts { ct_zone_limits, four_prefixes, ..facts });
                }
                let how = if resumed { ", resumed" } else { "" };
                info!(target: "ovsdb_cs", "{}: connected{how}", self.describe(side));
            }
            Event::Updated | Event::ConditionsInForce { .. } => {
                debug!(target: "main", "{side:?}: {event:?}");
                self.stale = true;
            }
            Event::Transacted { id, outcome } => self.transacted(now, side, id, &outcome),
            Event::Missing(missing) => {
                info!(target: "ovsdb_cs", "{}: the server has no {missing}", self.describe(side));
            }
            Event::RowSkipped(error) => {
                self.stale = true;
                warn!(target: "ovsdb_cs", rl = REPORTS_PER_MINUTE, "{}: {error}", self.describe(side));
            }
            Event::Close(reason) => warn!(target: "ovsdb_cs", rl = 20, "{}: {reason}", self.describe(side)),
            Event::Locked | Event::LockLost | Event::LockContended => {}
        }
    }

    fn describe(&self, side: Side) -> String {
        let link = if side == Side::Local { &self.local } else { &self.southbound };
        link.remote().map_or_else(|| format!("{side:?}"), ToString::to_string)
    }

    fn transacted(&mut self, now: Instant, side: Side, id: TxnId, outcome: &Outcome) {
        if let Outcome::Failed(error) = outcome {
            warn!(target: "main", rl = 10, "{side:?} transaction failed: {error}");
        }
        self.exit.transacted(id);
        if side == Side::Southbound {
            self.neighbors_transacted(now, id, outcome);
        }
        let flight = if side == Side::Local { &mut self.local_txn } else { &mut self.sb_txn };
        self.stale |= flight.answered(now, id, outcome);
    }

    // the switch

    fn note_switch(&mut self, now: Instant, wall_ms: i64) {
        while let Some(event) = self.flows.poll_event(now) {
            self.installer.handle(now, event, self.compiler.desired_mut());
        }
        self.note_installer(now, wall_ms);
        while let Some(event) = self.features.poll_event(now) {
            self.note_statistics(now, wall_ms, &event);
            self.note_meter_drops(&event);
            if let Some(found) = self.probe.handle(&event, &mut self.features.session) {
                let mut facts = self.compiler.facts().clone();
                facts.groups = found.groups;
                facts.meters = found.meters;
                facts.sample_with_registers = found.sample_with_registers;
                facts.ct_label_flush = found.ct_label_flush;
                self.compiler.set_facts(facts);
                self.stale = true;
            }
        }
        self.note_packets(now);
    }

    /// Packets are answered at once, each before the next is read: while it is at hand, and so is the memory that the last one took.
    fn answer(&mut self, now: Instant, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = self.packets.session.handle_next(now, bytes);
            self.note_packets(now);
        }
    }

    fn note_packets(&mut self, now: Instant) {
        while let Some(event) = self.packets.poll_event(now) {
            self.note_packet(now, event);
            self.send_packets();
        }
    }

    fn note_installer(&mut self, now: Instant, wall_ms: i64) {
        while let Some(event) = self.installer.poll_event() {
            match event {
                install::Event::GeneveOption(index) => {
                    let facts = Facts { geneve_option: index, ..self.compiler.facts().clone() };
                    self.compiler.set_facts(facts);
                    self.stale = true;
                }
                install::Event::Read(standing) => {
                    info!(
                        target: "ofctrl",
                        "the switch holds {} flows, {} groups, {} meters",
                        standing.flows, standing.groups, standing.meters
                    );
                    self.switch_read = true;
                    self.stale = true;
                }
                install::Event::Acknowledged(generation) => self.acknowledged(now, generation, wall_ms),
                install::Event::Refused { what, why } => {
                    warn!(target: "ofctrl", rl = REPORTS_PER_MINUTE, "left out: {what}: {why}");
                }
                install::Event::Resynchronising { why, .. } => {
                    warn!(target: "ofctrl", rl = 10, "reading the switch back: {why}");
                }
                install::Event::Warning(text) => warn!(target: "ofctrl", rl = 10, "{text}"),
            }
        }
    }

    fn acknowledged(&mut self, now: Instant, generation: u64, wall_ms: i64) {
        self.stale |= self.compiler.acknowledge(generation);
        self.stale |= self.compiler.set_switch_flows(true);
        self.stale |= self.compiler.note_lift();
        let later = self.pending_cfg.split_off(&(generation + 1));
        let reached = std::mem::replace(&mut self.pending_cfg, later).into_values().next_back();
        if let Some(nb_cfg) = reached
            && self.compiler.progress().is_none_or(|progress| progress.nb_cfg != nb_cfg)
        {
            if self.nb_cfg_delay.is_zero() {
                self.compiler.set_progress(Progress { nb_cfg, wall_ms });
                self.stale = true;
            } else {
                let at = self.report_at.map_or(now + self.nb_cfg_delay, |(at, _)| at);
                self.report_at = Some((at, nb_cfg));
            }
        }
    }

    fn note_packet(&mut self, now: Instant, event: session::Event) {
        match event {
            session::Event::Message { message: Message::PacketIn(packet_in), .. } => {
                self.responder.packet_in(now, packet_in, &learned::Known(self.compiler.db()));
            }
            session::Event::Error { error, request, .. } if error.code == ErrorCode::NX_RESUME_STALE => {
                let refused = request.and_then(|bytes| Message::decode(&bytes).ok());
                let refused = refused.and_then(|(_, message)| match message {
                    Message::Resume(packet) => Some(packet),
                    _ => None,
                });
                self.responder.resume_refused(refused.as_deref());
            }
            session::Event::Error { error, .. } => {
                debug!(target: "pinctrl", "the switch refuses a packet: {}", error.code);
            }
            other => self.packets.start_packets(&other),
        }
    }

    /// Tells the responder what to send without being asked.
    fn follow_unasked(&mut self, now: Instant) {
        let (gone, new) = self.compiler.take_announced();
        for announcement in &gone {
            self.responder.withdraw(announcement);
        }
        for announcement in new {
            self.responder.announce(now, announcement);
        }
        let (gone, new) = self.compiler.take_advertised();
        for advert in &gone {
            self.responder.stop_advertising(advert);
        }
        for advert in new {
            self.responder.advertise(now, advert);
        }
    }

    /// Next hops that gave no answer are held down, and senders told; those whose time is over are not any more.
    fn follow_failures(&mut self, now: Instant) {
        self.stale |= self.compiler.end_hold_downs(now);
        for failure in self.responder.take_failures() {
            // What is known of neighbours comes first.
            if learned::Known(self.compiler.db()).mac(&failure.next_hop).is_some() {
                continue;
            }
            self.compiler.hold_down(&failure);
            self.stale = true;
            if !failure.asked_again {
                self.responder.tell_unreachable(now, &failure.next_hop, &learned::Known(self.compiler.db()));
            }
        }
    }

    fn serve_packets(&mut self, now: Instant, wall_ms: i64) {
        for (datapath, port) in self.responder.take_activated() {
            self.stale |= self.compiler.set_activated(datapath, port);
        }
        let gone = self.compiler.take_gone();
        if !gone.is_empty() {
            let gone = |datapath, port| gone.contains(&(datapath, port));
            self.responder.forget(gone);
            self.neighborhood.forget(gone);
        }
        self.note_neighbors(now, wall_ms);
        self.follow_unasked(now);
        self.follow_failures(now);
        self.serve_neighbors(now, wall_ms);
        let has_meters = self.compiler.facts().meters;
        self.meter_drops.advance(now, has_meters, &mut self.features.session);
        for line in self.responder.take_logs() {
            info!(target: "acl_log", "{line}");
        }
        self.send_packets();
    }

    fn send_packets(&mut self) {
        while let Some(message) = self.responder.poll_output() {
            // What a connection that has just gone would have sent is lost, as packets are.
            let _ = self.packets.session.send(&message);
        }
    }
}

/// What northd's `northd_internal_version` must contain for its pipeline to be this one.
const PIPELINE_VERSION: &str = "26.03";
