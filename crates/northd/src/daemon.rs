//! The daemon without its sockets: two database links, the compiler, the transactions in flight, and the answers to
//! `ovn-appctl`.
//!
//! A shell feeds it connections, bytes and time, and calls [`NorthdDaemon::advance`] after each; what is to be sent or
//! connected comes out of the `poll` methods.

use crate::monitored;
use crate::{Compiler, SouthboundReplica};
use kiln_ovsdb::Replica;
use kiln_ovsdb::client::{Event, InFlight, Link, Outcome, SessionConfig, TxnId};
use kiln_ovsdb::reconnect::{Action, Order};
use kiln_ovsdb::remote::Remotes;
use kiln_types::{Instant, Rng};
use tracing::{debug, info, warn};

/// The lock that the active one of several northds holds.
const LOCK: &str = "ovn_northd";
/// How many rows that cannot be used are told of at once, and each minute.
const REPORTS_PER_MINUTE: u32 = 100;

/// Which database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// OVN_Northbound.
    Northbound,
    /// OVN_Southbound.
    Southbound,
}

/// How the daemon is set up.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where the northbound database is.
    pub northbound: Remotes,
    /// Where the southbound database is.
    pub southbound: Remotes,
    /// Start paused.
    pub paused: bool,
    /// What is chosen by chance follows from it.
    pub seed: u64,
}

/// The daemon.
pub struct NorthdDaemon {
    northbound: Link,
    southbound: Link,
    compiler: Compiler,
    nb_txn: InFlight,
    sb_txn: InFlight,
    paused: bool,
    /// Something has come since the last settle.
    stale: bool,
    /// When the next row expires.
    expire_at: Option<Instant>,
}

fn session_config(side: Side, cluster_id: Option<uuid::Uuid>) -> SessionConfig {
    let (name, tables) = match side {
        Side::Northbound => ("OVN_Northbound", monitored::northbound()),
        Side::Southbound => ("OVN_Southbound", monitored::southbound()),
    };
    SessionConfig { cluster_id, tables, ..SessionConfig::new(name) }
}

impl NorthdDaemon {
    /// A daemon that is not connected yet.
    pub fn new(config: Config) -> Self {
        let mut rng = Rng::with_seed(config.seed);
        let mut link = |side, remotes: &Remotes| {
            let seed = Rng::with_seed(rng.u64(..));
            Link::new(
                session_config(side, remotes.cluster_id),
                remotes.remotes.clone(),
                Order::Shuffled,
                seed,
            )
        };
        let mut daemon = NorthdDaemon {
            northbound: link(Side::Northbound, &config.northbound),
            southbound: link(Side::Southbound, &config.southbound),
            compiler: Compiler::new(config.seed),
            nb_txn: InFlight::default(),
            sb_txn: InFlight::default(),
            paused: config.paused,
            stale: false,
            expire_at: None,
        };
        if !daemon.paused {
            daemon.southbound.session_mut().lock(LOCK);
        }
        daemon
    }

    /// The compiler.
    pub fn compiler(&self) -> &Compiler {
        &self.compiler
    }

    /// The totals of what came and what was refused, with the names that they are shown by.
    pub fn counters(&self, visit: &mut dyn FnMut(&str, u64)) {
        for (name, link) in [("nb", &self.northbound), ("sb", &self.southbound)] {
            let stats = link.session().stats();
            stats.visit(&mut |what, total| visit(&format!("ovsdb_{name}_{what}"), total));
        }
    }

    /// The compiler, for commands about it.
    pub fn compiler_mut(&mut self) -> &mut Compiler {
        &mut self.compiler
    }

    fn link(&mut self, side: Side) -> &mut Link {
        match side {
            Side::Northbound => &mut self.northbound,
            Side::Southbound => &mut self.southbound,
        }
    }

    // connections

    /// The connection that was asked for is open.
    pub fn handle_connected(&mut self, now: Instant, side: Side) {
        self.link(side).handle_connected(now);
    }

    /// The connection broke, or could not be opened.
    pub fn handle_disconnected(&mut self, now: Instant, side: Side) {
        self.link(side).handle_disconnected(now);
    }

    /// Bytes have come.
    pub fn handle_bytes(&mut self, now: Instant, side: Side, bytes: &[u8]) {
        match side {
            Side::Northbound => self.northbound.handle_bytes(now, bytes, self.compiler.northbound_replica()),
            Side::Southbound => {
                let mut replica: SouthboundReplica<'_> = self.compiler.southbound_replica();
                self.southbound.handle_bytes(now, bytes, &mut replica as &mut dyn Replica);
            }
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.northbound.handle_timeout(now);
        self.southbound.handle_timeout(now);
    }

    /// What to do about a connection.
    pub fn poll_action(&mut self, now: Instant, side: Side) -> Option<Action> {
        self.link(side).poll_action(now)
    }

    /// Bytes to send.
    pub fn poll_transmit(&mut self, side: Side) -> Option<Vec<u8>> {
        self.link(side).poll_transmit()
    }

    /// When to call [`NorthdDaemon::handle_timeout`] and [`NorthdDaemon::advance`] next, if nothing else happens.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let retry = [self.nb_txn.poll_timeout(), self.sb_txn.poll_timeout(), self.expire_at];
        [self.northbound.poll_timeout(), self.southbound.poll_timeout()]
            .into_iter()
            .chain(retry)
            .flatten()
            .min()
    }

    // work

    /// Takes note of what happened, compiles, and sends what the databases lack. `wall_ms` is the time in milliseconds
    /// since 1970.
    pub fn advance(&mut self, now: Instant, wall_ms: i64) {
        while let Some(event) = self.northbound.poll_event(now) {
            self.note(now, Side::Northbound, event);
        }
        while let Some(event) = self.southbound.poll_event(now) {
            self.note(now, Side::Southbound, event);
        }
        if !self.is_active()
            || !self.northbound.session().is_synced()
            || !self.southbound.session().is_synced()
        {
            self.expire_at = None;
            return;
        }
        if std::mem::take(&mut self.stale) {
            self.compiler.see(wall_ms);
            self.compiler.settle();
            self.set_probes();
            for report in self.compiler.take_reports() {
                warn!(target: "northd", rl = REPORTS_PER_MINUTE, "{}", report.text);
            }
        }
        if self.sb_txn.may_send(now) {
            self.write_southbound(now, wall_ms);
        }
        // While a transaction is under way, its answer comes first.
        self.expire_at = self.compiler.next_expiry(now, wall_ms).filter(|_| self.sb_txn.may_send(now));
        if self.nb_txn.may_send(now) && self.compiler.northbound_lacks() {
            let mut txn = self.northbound.session().txn();
            self.compiler.northbound(wall_ms, &mut txn);
            if !txn.is_moot() {
                self.nb_txn.sent(self.northbound.session_mut().transact(txn));
            }
        }
    }

    fn set_probes(&mut self) {
        for side in [Side::Northbound, Side::Southbound] {
            let usual = SessionConfig::new("").probe_interval;
            let interval = self.compiler.probe_interval().unwrap_or(usual);
            self.link(side).session_mut().set_probe_interval(interval);
        }
    }

    fn write_southbound(&mut self, now: Instant, wall_ms: i64) {
        let mut txn = self.southbound.session().txn();
        txn.assert_lock(LOCK);
        self.compiler.expire(now, wall_ms, &mut txn);
        self.compiler.southbound(&mut txn);
        if txn.is_moot() {
            self.southbound.session_mut().note_missing_in(&txn);
            self.compiler.southbound_complete();
        } else {
            debug!(target: "northd", "southbound transaction of {} operations", txn.len());
            self.sb_txn.sent(self.southbound.session_mut().transact(txn));
        }
    }

    fn note(&mut self, now: Instant, side: Side, event: Event) {
        match event {
            Event::Synced { resumed, .. } => {
                self.stale = true;
                let how = if resumed { ", resumed" } else { "" };
                info!(target: "ovsdb_cs", "{}: connected{how}", self.describe(side));
            }
            Event::Updated => self.stale = true,
            Event::Transacted { id, outcome } => self.transacted(now, side, id, outcome),
            Event::Locked => {
                info!(target: "northd", "ovn-northd lock acquired. This ovn-northd instance is now active.");
                self.stale = true;
            }
            Event::LockLost => {
                info!(target: "northd", "ovn-northd lock lost. This ovn-northd instance is now on standby.");
            }
            Event::Missing(missing) if missing.value.is_some() => {
                warn!(target: "ovsdb_cs", "{}: the server takes no {missing}; it is left out", self.describe(side));
            }
            Event::Missing(missing) => {
                info!(target: "ovsdb_cs", "{}: the server has no {missing}", self.describe(side));
            }
            Event::RowSkipped(error) => {
                self.stale = true;
                warn!(target: "ovsdb_cs", rl = REPORTS_PER_MINUTE, "{}: {error}", self.describe(side));
            }
            Event::Close(reason) => warn!(target: "ovsdb_cs", rl = 20, "{}: {reason}", self.describe(side)),
            Event::LockContended | Event::ConditionsInForce { .. } => {}
        }
    }

    fn describe(&mut self, side: Side) -> String {
        self.link(side).remote().map_or_else(|| format!("{side:?}"), ToString::to_string)
    }

    fn transacted(&mut self, now: Instant, side: Side, id: TxnId, outcome: Outcome) {
        let flight = match side {
            Side::Northbound => &mut self.nb_txn,
            Side::Southbound => &mut self.sb_txn,
        };
        if !flight.answered(now, id, &outcome) {
            return;
        }
        let committed = matches!(outcome, Outcome::Committed(_));
        if let Outcome::Failed(error) = &outcome {
            warn!(target: "northd", rl = 10, "{side:?} transaction failed: {error}");
        }
        self.stale = true;
        match side {
            Side::Southbound if committed => self.compiler.southbound_committed(),
            Side::Southbound => self.compiler.southbound_failed(),
            Side::Northbound => {}
        }
    }

    // commands

    /// Whether this northd writes: it is not paused and holds the lock.
    pub fn is_active(&self) -> bool {
        !self.paused && self.southbound.session().has_lock()
    }

    /// Whether it is paused.
    pub fn is_paused(&self) -> bool {
        self.paused
    }

    /// Stops writing and lets another northd have the lock.
    pub fn pause(&mut self) {
        if !self.paused {
            info!(target: "northd", "This ovn-northd instance is now paused.");
        }
        self.paused = true;
        self.southbound.session_mut().unlock();
    }

    /// Ends [`NorthdDaemon::pause`].
    pub fn resume(&mut self) {
        if self.paused {
            self.paused = false;
            self.southbound.session_mut().lock(LOCK);
        }
    }

    /// What `status` answers.
    pub fn status(&self) -> &'static str {
        match (self.paused, self.southbound.session().has_lock()) {
            (true, _) => "paused",
            (false, true) => "active",
            (false, false) => "standby",
        }
    }

    /// Whether a database is connected.
    pub fn is_connected(&self, side: Side) -> bool {
        match side {
            Side::Northbound => self.northbound.is_connected(),
            Side::Southbound => self.southbound.is_connected(),
        }
    }

    /// The database's cluster was destroyed and built again: its history starts over.
    pub fn reset_cluster(&mut self, now: Instant, side: Side) {
        self.link(side).start_over(now);
    }

    /// Runs every rule again at the next step.
    pub fn recompute(&mut self) {
        self.compiler.recompute();
        self.stale = true;
    }
}
