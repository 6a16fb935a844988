//! What the slow path learned, on its way into the southbound database: in batches, one under way at a time, each judged by what the
//! database says when it is written.
//!
//! Another chassis may have been first. A batch that breaks an index or takes a uuid that is taken is judged anew: what the database says
//! by then is left out. If that does not help it is halved until the row at fault stands alone, which is then dropped.

use crate::binding_limits::{Claims, Place, Victim, View, Why};
use crate::bindings::Standing;
use crate::learned;
use kiln_ovsdb::Text;
use kiln_ovsdb::client::{Outcome, TxnId};
use kiln_ovsdb::txn::{ErrorClass, Function, OpError, OpResult, Txn};
use kiln_responder::{NextHop, Write};
use kiln_types::{DatapathKey, EthAddr, Instant, PortKey, Uuid};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

/// Most rows that wait to be written.
pub(crate) const MAX_ROWS: usize = 40_000;
/// Most rows in one transaction.
pub(crate) const MAX_BATCH: usize = 2000;
/// The shortest time between two transactions: 20 a second.
pub(crate) const INTERVAL: Duration = Duration::from_millis(50);
/// The pause after a transaction that the server could not carry out now.
const RETRY: Duration = Duration::from_secs(1);
/// How often a row is tried that other chassis are in the way of.
const MAX_ATTEMPTS: u8 = 3;
/// A query that is repeated sooner than this, in milliseconds, is as good as it stands.
const QUERY_FRESH_MS: i64 = 1000;

/// What is to be written, by what it is about; bindings come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Subject {
    /// A neighbour is at an address.
    Binding(NextHop),
    /// A neighbour is asked for.
    Query(NextHop),
    /// An address is behind a port.
    Station(DatapathKey, EthAddr),
    /// A neighbour was heard of.
    Heard(NextHop),
    /// A station was heard of.
    StationHeard(i64, EthAddr),
    /// A query had no answer.
    Collect(NextHop),
}

/// What is to be written about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    Mac(EthAddr),
    Port(PortKey),
    /// When it was last heard of, or when the query was made, in milliseconds since 1970.
    Time(i64),
}

#[derive(Clone, Copy, Debug)]
struct Job {
    subject: Subject,
    value: Value,
    attempts: u8,
}

/// Jobs that go into a transaction of their own.
#[derive(Debug)]
struct Group {
    jobs: Vec<Job>,
    /// It was judged anew once.
    again: bool,
}

#[derive(Debug)]
struct Flight {
    id: Option<TxnId>,
    /// With the number of each one's operation.
    jobs: Vec<(usize, Job)>,
    again: bool,
}

/// What limits did on a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortCounts {
    /// Neighbours that were not learned.
    pub(crate) refused: u64,
    /// Rows that gave way, by the reason.
    pub(crate) evicted: [u64; Why::ALL.len()],
}

impl PortCounts {
    fn add(&mut self, other: &PortCounts) {
        self.refused += other.refused;
        for (sum, n) in self.evicted.iter_mut().zip(other.evicted) {
            *sum += n;
        }
    }
}

/// What was done, over all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Totals {
    pub(crate) transactions: u64,
    pub(crate) rows: u64,
    /// Rows that the database had when they were to be written.
    pub(crate) satisfied: u64,
    pub(crate) conflicts: u64,
    /// Rows that could not be written.
    pub(crate) dropped: u64,
    /// Rows for which there was no room in the queue.
    pub(crate) full: u64,
}

/// The queue.
#[derive(Debug, Default)]
pub(crate) struct BindingWrites {
    queue: BTreeMap<Subject, (Value, u8)>,
    groups: VecDeque<Group>,
    flight: Option<Flight>,
    next_at: Instant,
    totals: Totals,
    ports: BTreeMap<(DatapathKey, PortKey), PortCounts>,
    /// Of ports that are gone.
    gone: PortCounts,
}

impl BindingWrites {
    /// Takes what was learned.
    pub(crate) fn learn(&mut self, write: Write, wall_ms: i64) {
        match write {
            // Both would be one row: the answer is worth more.
            Write::Query(hop) if self.queue.contains_key(&Subject::Binding(hop)) => {}
            Write::Query(hop) => self.offer(Subject::Query(hop), Value::Time(wall_ms)),
            Write::MacBinding(hop, mac) => {
                self.queue.remove(&Subject::Query(hop));
                self.offer(Subject::Binding(hop), Value::Mac(mac));
            }
            Write::Fdb(datapath, mac, port) => {
                self.offer(Subject::Station(datapath, mac), Value::Port(port));
            }
        }
    }

    /// Takes something to be written; what waits about the same gives way to it.
    pub(crate) fn offer(&mut self, subject: Subject, value: Value) {
        let room = self.len() < MAX_ROWS;
        if room || self.queue.contains_key(&subject) {
            self.queue.insert(subject, (value, 0));
        } else {
            self.totals.full += 1;
        }
    }

    /// How many rows wait, or are under way.
    pub(crate) fn len(&self) -> usize {
        let groups: usize = self.groups.iter().map(|group| group.jobs.len()).sum();
        self.queue.len() + groups + self.flight.as_ref().map_or(0, |flight| flight.jobs.len())
    }

    /// When [`BindingWrites::write`] next has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let waits = !self.queue.is_empty() || !self.groups.is_empty();
        (waits && self.flight.is_none()).then_some(self.next_at)
    }

    /// Writes the next batch; to be followed by [`BindingWrites::sent`] if there is anything in it.
    pub(crate) fn write(&mut self, now: Instant, view: &View<'_>, txn: &mut Txn) {
        if self.deadline().is_none_or(|due| now < due) {
            return;
        }
        let group = self.groups.pop_front().unwrap_or_else(|| {
            let jobs = std::iter::from_fn(|| self.queue.pop_first());
            let jobs = jobs.map(|(subject, (value, attempts))| Job { subject, value, attempts });
            Group { jobs: jobs.take(MAX_BATCH).collect(), again: false }
        });
        let mut claims = Claims::default();
        let mut jobs = Vec::new();
        for job in group.jobs {
            let op = txn.len();
            let counts = self.judge(view, &job, &mut claims, txn);
            if counts && txn.len() > op {
                jobs.push((op, job));
            }
        }
        self.flight = Some(Flight { id: None, jobs, again: group.again });
    }

    /// What was written is sent; `None`: there was nothing in it.
    pub(crate) fn sent(&mut self, now: Instant, id: Option<TxnId>) {
        match (id, &mut self.flight) {
            (Some(_), Some(flight)) => {
                flight.id = id;
                self.next_at = now + INTERVAL;
                self.totals.transactions += 1;
                self.totals.rows += flight.jobs.len() as u64;
            }
            _ => self.flight = None,
        }
    }

    /// A transaction was answered or lost.
    pub(crate) fn answered(&mut self, now: Instant, id: TxnId, outcome: &Outcome) {
        let Some(flight) = self.flight.take_if(|flight| flight.id == Some(id)) else { return };
        match outcome {
            Outcome::Committed(results) => {
                // A row that another chassis removed meanwhile is still to be written.
                for (op, job) in flight.jobs {
                    if results.get(op) == Some(&OpResult::Count(0)) && is_lasting(&job.subject) {
                        self.put_back(Job { attempts: job.attempts + 1, ..job });
                    }
                }
            }
            Outcome::Lost | Outcome::NotSent => {
                flight.jobs.into_iter().for_each(|(_, job)| self.put_back(job));
            }
            Outcome::Failed(error) => self.failed(now, flight, error),
        }
    }

    fn put_back(&mut self, job: Job) {
        if job.attempts >= MAX_ATTEMPTS {
            self.totals.dropped += 1;
        } else {
            // What has come since then is newer.
            self.queue.entry(job.subject).or_insert((job.value, job.attempts));
        }
    }

    fn failed(&mut self, now: Instant, flight: Flight, error: &OpError) {
        self.totals.conflicts += 1;
        let mut jobs = flight.jobs;
        match error.class() {
            ErrorClass::Temporary => {
                self.next_at = self.next_at.max(now + RETRY);
                let jobs = jobs.into_iter().map(|(_, job)| job).collect();
                return self.groups.push_front(Group { jobs, again: flight.again });
            }
            ErrorClass::Permission | ErrorClass::NotOwner => {
                self.totals.dropped += jobs.len() as u64;
                return;
            }
            ErrorClass::Conflict | ErrorClass::Refused => {}
        }
        // The server may say which it was.
        let at = error.op.and_then(|op| jobs.iter().position(|(other, _)| *other == op));
        let culprit = at.map(|at| jobs.remove(at).1);
        let mut jobs: Vec<Job> = jobs.into_iter().map(|(_, job)| job).collect();
        match culprit {
            Some(job) if job.attempts + 1 < MAX_ATTEMPTS => {
                let job = Job { attempts: job.attempts + 1, ..job };
                self.groups.push_front(Group { jobs: vec![job], again: true });
            }
            Some(_) => self.totals.dropped += 1,
            None if flight.again && jobs.len() <= 1 => {
                self.totals.dropped += jobs.len() as u64;
                return;
            }
            None if flight.again => {
                let half = jobs.split_off(jobs.len() / 2);
                self.groups.push_front(Group { jobs: half, again: true });
            }
            None => {}
        }
        if !jobs.is_empty() {
            self.groups.push_front(Group { jobs, again: true });
        }
    }

    /// Drops what belongs to ports that are gone.
    pub(crate) fn forget(&mut self, gone: impl Fn(DatapathKey, PortKey) -> bool) {
        self.queue.retain(|subject, (value, _)| match (subject, value) {
            (Subject::Station(datapath, _), Value::Port(port)) => !gone(*datapath, *port),
            (
                Subject::Binding(hop) | Subject::Query(hop) | Subject::Heard(hop) | Subject::Collect(hop),
                _,
            ) => !gone(hop.datapath, hop.port),
            _ => true,
        });
        let sum = &mut self.gone;
        self.ports.retain(|(datapath, port), counts| {
            let gone = gone(*datapath, *port);
            if gone {
                sum.add(counts);
            }
            !gone
        });
    }

    /// What was done.
    pub(crate) fn totals(&self) -> &Totals {
        &self.totals
    }

    /// What limits did on a port.
    pub(crate) fn on_port(&self, datapath: DatapathKey, port: PortKey) -> PortCounts {
        self.ports.get(&(datapath, port)).copied().unwrap_or_default()
    }

    /// Ports on which limits did something.
    pub(crate) fn ports(&self) -> impl Iterator<Item = (DatapathKey, PortKey)> {
        self.ports.keys().copied()
    }

    /// What limits did in all.
    pub(crate) fn limited(&self) -> PortCounts {
        let mut sum = self.gone;
        self.ports.values().for_each(|counts| sum.add(counts));
        sum
    }

    // judgement

    /// Writes what the database lacks of a job. Returns whether its answer matters.
    fn judge(&mut self, view: &View<'_>, job: &Job, claims: &mut Claims, txn: &mut Txn) -> bool {
        match (job.subject, job.value) {
            (Subject::Binding(hop), Value::Mac(mac)) => {
                self.bind(view, (&hop, job.attempts), Some(mac), view.wall_ms, claims, txn)
            }
            (Subject::Query(hop), Value::Time(time_ms)) => {
                self.bind(view, (&hop, job.attempts), None, time_ms, claims, txn)
            }
            (Subject::Station(datapath, mac), Value::Port(port)) => {
                self.station(view, datapath, mac, port, txn)
            }
            (Subject::Heard(hop), Value::Time(time_ms)) => heard(view, &hop, time_ms, txn),
            (Subject::StationHeard(key, mac), Value::Time(time_ms)) => {
                station_heard(view, key, mac, time_ms, txn)
            }
            (Subject::Collect(hop), Value::Time(time_ms)) => collect(view, &hop, time_ms, txn),
            _ => false,
        }
    }

    /// A neighbour at an address, or one that is asked for.
    fn bind(
        &mut self,
        view: &View<'_>,
        (hop, attempts): (&NextHop, u8),
        mac: Option<EthAddr>,
        time_ms: i64,
        claims: &mut Claims,
        txn: &mut Txn,
    ) -> bool {
        let Some((name, datapath)) = learned::port(view.db, hop.datapath, hop.port) else { return false };
        let text = mac.map_or_else(String::new, |mac| mac.to_string());
        let row = view.db.neighbor_rows.peek(&(name.clone(), hop.ip)).first();
        if let Some((row, old)) = row.and_then(|row| Some((row, view.db.sb.mac_binding.peek(row)?))) {
            // A row never goes back from an address to none, also if one comes while this is on its way.
            let satisfied = match mac {
                Some(_) => *old.mac == *text,
                None => !old.mac.is_empty() || time_ms - old.timestamp < QUERY_FRESH_MS,
            };
            if satisfied {
                self.totals.satisfied += 1;
                return false;
            }
            let mut op = txn.update("MAC_Binding");
            op.row(*row);
            if mac.is_none() {
                op.filter("mac", Function::Equal, "");
            }
            op.set("mac", &text).set("timestamp", &time_ms);
            return mac.is_some();
        }
        let columns = Columns { name: &name, ip: hop.ip.to_string(), mac: text, time_ms };
        match view.place((hop, attempts), &name, &datapath, mac.is_none(), claims) {
            Place::Anywhere => columns.insert(None, &datapath, txn),
            Place::Slot(slot) => columns.insert(Some(slot), &datapath, txn),
            Place::Instead(victim) => {
                self.count(&victim);
                columns.replace(view, &victim, txn);
            }
            Place::Refused => {
                self.ports.entry((hop.datapath, hop.port)).or_default().refused += 1;
                return false;
            }
        }
        true
    }

    fn count(&mut self, victim: &Victim) {
        let port = (victim.next_hop.datapath, victim.next_hop.port);
        self.ports.entry(port).or_default().evicted[victim.why as usize] += 1;
    }

    fn station(
        &mut self,
        view: &View<'_>,
        datapath: DatapathKey,
        mac: EthAddr,
        key: PortKey,
        txn: &mut Txn,
    ) -> bool {
        let (dp_key, port_key) = (i64::from(datapath.0), i64::from(key.0));
        match view.db.station_rows.peek(&(dp_key, mac)).first() {
            Some(row) if view.db.sb.fdb.peek(row).is_some_and(|old| old.port_key == port_key) => {
                self.totals.satisfied += 1;
                return false;
            }
            Some(row) => {
                txn.update("FDB").row(*row).set("port_key", &port_key).set("timestamp", &view.wall_ms);
            }
            None => {
                txn.insert("FDB")
                    .set("mac", &mac.to_string())
                    .set("dp_key", &dp_key)
                    .set("port_key", &port_key)
                    .set("timestamp", &view.wall_ms);
            }
        }
        true
    }
}

/// Whether something is still to be written if its row was gone when it was. What only brings a row forward goes with it.
fn is_lasting(subject: &Subject) -> bool {
    matches!(subject, Subject::Binding(_) | Subject::Station(..))
}

/// A new row of MAC_Binding.
struct Columns<'a> {
    name: &'a Text,
    ip: String,
    mac: String,
    time_ms: i64,
}

impl Columns<'_> {
    fn insert(&self, slot: Option<Uuid>, datapath: &Uuid, txn: &mut Txn) {
        let mut op = txn.insert("MAC_Binding");
        if let Some(slot) = slot {
            op.uuid(slot);
        }
        op.set("logical_port", self.name)
            .set("ip", &self.ip)
            .set("mac", &self.mac)
            .set("timestamp", &self.time_ms)
            .set("datapath", datapath);
    }

    /// Takes over the row of another neighbour, unless that was heard of while this is on its way.
    fn replace(&self, view: &View<'_>, victim: &Victim, txn: &mut Txn) {
        let Some(old) = view.db.sb.mac_binding.peek(&victim.standing.row) else { return };
        txn.update("MAC_Binding")
            .row(victim.standing.row)
            .filter("ip", Function::Equal, &old.ip)
            .filter("mac", Function::Equal, &old.mac)
            .filter("timestamp", Function::Equal, &old.timestamp)
            .set("logical_port", self.name)
            .set("ip", &self.ip)
            .set("mac", &self.mac)
            .set("timestamp", &self.time_ms);
    }
}

/// Brings a row forward, never back.
fn heard(view: &View<'_>, hop: &NextHop, time_ms: i64, txn: &mut Txn) -> bool {
    if let Some(Standing { row, timestamp_ms, .. }) = view.db.bindings.get(hop)
        && *timestamp_ms < time_ms
    {
        txn.update("MAC_Binding")
            .row(*row)
            .filter("timestamp", Function::Less, &time_ms)
            .set("timestamp", &time_ms);
    }
    true
}

fn station_heard(view: &View<'_>, key: i64, mac: EthAddr, time_ms: i64, txn: &mut Txn) -> bool {
    if let Some(row) = view.db.station_rows.peek(&(key, mac)).first() {
        txn.update("FDB").row(*row).filter("timestamp", Function::Less, &time_ms).set("timestamp", &time_ms);
    }
    true
}

/// Removes a query that nobody answered, unless it was made again or answered while this is on its way.
fn collect(view: &View<'_>, hop: &NextHop, time_ms: i64, txn: &mut Txn) -> bool {
    if let Some(Standing { row, mac: None, timestamp_ms, .. }) = view.db.bindings.get(hop)
        && *timestamp_ms == time_ms
    {
        txn.delete("MAC_Binding").row(*row).filter("mac", Function::Equal, "").filter(
            "timestamp",
            Function::Equal,
            &time_ms,
        );
    }
    true
}

#[cfg(test)]
mod tests;
