//! Bringing the switch up to what is desired: the state machine of the flow-writing OpenFlow connection.
//!
//! ```text
//!                ready              option mapped        lists read
//!  Disconnected -------> Mapping -------------> Reading -----------> Standing --+
//!       ^                                          ^                   |  ^     | differences,
//!       | connection lost, from anywhere           | after a pause     |  +-----+ batch by batch
//!       |                                          |                   | refusal
//!       |                                          +---- Resting <-----+
//! ```
//!
//! First the tunnel option of OVN is mapped to a field. Then meters, groups and flows are read back, so that only the
//! difference has to be sent: nothing after a restart of the controller, everything in one bundle after a restart of
//! the switch. Nothing is sent before the caller has said that what is desired is complete.
//!
//! A batch is: zones of the connection tracker that are flushed, meters that are added or changed, one atomic and
//! ordered bundle of groups that are added or changed, flows, and groups that go, then a barrier. Several batches can be
//! under way. Meters go by themselves, once the switch has said that it is rid of the flows that used them, because it
//! deletes what still uses a meter along with it.
//!
//! When the switch refuses something, what it refused is left out until it changes or the connection does, and the
//! switch is read back. If the second bundle in a row fails, changes are sent one by one instead, so that all that is
//! refused becomes known at once.

mod batch;
mod geneve;
#[cfg(test)]
mod tests;

use crate::desired::{Desired, FlowCommand};
use batch::{Batch, Blame, Item};
use geneve::Choice;
use kiln_openflow::msg::{
    ErrorMessage, FlowStatsRequest, Group, Message, Meter, MultipartReply, MultipartRequest, TlvTable,
};
use kiln_openflow::session::{self, SendError, Session};
use kiln_openflow::{ErrorCode, TooLong, Xid};
use kiln_types::Instant;
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// Batches that may be under way at once.
const MAX_BATCHES: usize = 8;
/// No more than this many bytes wait to be sent.
const MAX_BACKLOG: usize = 1 << 20;
/// How often in a row a bundle may fail before changes are sent one by one.
const MAX_FAILED_BUNDLES: u32 = 2;
/// The pause before the switch is read back after the second refusal in a row; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause.
const MAX_PAUSE: Duration = Duration::from_secs(10);
/// How often the map of tunnel options is asked for again because somebody else has changed it.
const MAX_MAPPING_TRIES: u32 = 5;
/// How often the connection may be lost while the switch is read back before it is emptied instead, from then on.
const MAX_FAILED_READS: u32 = 2;
/// OpenFlow tables, each read back by itself: what comes at once stays small. Table 254 is Open vSwitch's own.
const TABLES: std::ops::RangeInclusive<u8> = 0..=253;

/// What the caller learns.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Which `tun_metadata` field OVN's Geneve option is mapped to; `None` if it cannot be.
    GeneveOption(Option<u8>),
    /// The switch was read back: groups and meters that stand can be granted their numbers again.
    Read(Standing),
    /// Everything that was desired when [`Installer::acknowledge`] was given this number stands in the switch, save
    /// what was refused.
    Acknowledged(u64),
    /// The switch refuses something, which is left out until it changes or the connection does.
    Refused {
        /// What it is, in text.
        what: String,
        /// Why.
        why: Refusal,
    },
    /// The switch is read back because something went wrong.
    Resynchronising {
        /// What.
        why: String,
        /// When.
        pause: Duration,
    },
    /// Something was refused that does not matter.
    Warning(String),
}

/// How much a switch holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Standing {
    /// Flows, save those that time out.
    pub flows: usize,
    /// Groups.
    pub groups: usize,
    /// Meters.
    pub meters: usize,
}

/// Why something is left out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The switch said so.
    #[error("the switch refuses it: {0}")]
    Switch(ErrorCode),
    /// No message holds it.
    #[error(transparent)]
    TooLong(#[from] TooLong),
    /// No message holds it, as the text says.
    #[error("too long for a message")]
    Oversized,
}

/// What was sent and what came of it, since the installer was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counters {
    /// Batches that were sent whole.
    pub batches: u64,
    /// Flows that were added, or whose cookie was changed.
    pub flows_added: u64,
    /// Flows whose actions were changed.
    pub flows_modified: u64,
    /// Flows that were deleted.
    pub flows_deleted: u64,
    /// How often the switch was read back.
    pub reads: u64,
    /// Flows, groups and meters that were refused.
    pub refused: u64,
}

/// A request that an answer is awaited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Request {
    Options,
    /// Maps the option to a field.
    MapOption(u16),
    /// Says that the mapping was not refused.
    OptionMapped(u16),
    Meters,
    Groups,
    Flows(u8),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Disconnected,
    Mapping,
    Reading,
    Standing,
    Resting(Instant),
}

/// Brings a switch up to what is desired.
#[derive(Debug)]
pub struct Installer {
    state: State,
    /// Requests to be sent.
    requests: VecDeque<Request>,
    /// Requests that were sent.
    awaited: Vec<(Xid, Request)>,
    batches: VecDeque<Batch>,
    events: VecDeque<Event>,
    /// What is desired is all there.
    complete: bool,
    /// What to acknowledge next.
    generation: Option<u64>,
    zones: BTreeSet<u16>,
    next_bundle: u32,
    /// Refusals in a row.
    failures: u32,
    /// Connections lost in a row while the switch was read back.
    failed_reads: u32,
    mapping_tries: u32,
    /// The field that OVN's tunnel option is mapped to.
    option: Option<u16>,
    /// What stands could not be read: the next bundle starts by deleting everything.
    wipe: bool,
    standing: Standing,
    counters: Counters,
    /// No more is given to the session while this many bytes wait to be sent.
    max_backlog: usize,
}

impl Default for Installer {
    fn default() -> Self {
        Installer::new()
    }
}

impl Installer {
    /// Without a connection, and waiting for what is desired.
    pub fn new() -> Installer {
        Installer {
            state: State::Disconnected,
            requests: VecDeque::new(),
            awaited: Vec::new(),
            batches: VecDeque::new(),
            events: VecDeque::new(),
            complete: false,
            generation: None,
            zones: BTreeSet::new(),
            next_bundle: 0,
            failures: 0,
            failed_reads: 0,
            mapping_tries: 0,
            option: None,
            wipe: false,
            standing: Standing::default(),
            counters: Counters::default(),
            max_backlog: MAX_BACKLOG,
        }
    }

    /// What is desired is complete: the southbound conditions are in force and the rules have settled. From now on the
    /// switch follows it.
    pub fn complete(&mut self) {
        self.complete = true;
    }

    /// Once everything that is desired now stands in the switch, [`Event::Acknowledged`] says `generation`. Numbers go
    /// up; one that is given before the last was acknowledged takes its place.
    pub fn acknowledge(&mut self, generation: u64) {
        self.generation = Some(generation);
    }

    /// Makes the switch forget the connections of a conntrack zone, before the next flows are changed.
    pub fn flush_zone(&mut self, zone: u16) {
        self.zones.insert(zone);
    }

    /// What was sent and what came of it.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whether everything that is desired stands in the switch, save what was refused.
    pub fn is_idle(&self, desired: &Desired) -> bool {
        self.state == State::Standing && self.batches.is_empty() && !desired.pending()
    }

    /// What the caller should know next.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When to call [`Installer::drive`] next even if nothing happens.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if let State::Resting(until) = self.state { Some(until) } else { None }
    }

    /// The session has something to tell.
    pub fn handle(&mut self, now: Instant, event: session::Event, desired: &mut Desired) {
        match event {
            session::Event::Ready { .. } => self.connected(desired),
            session::Event::Reply { xid, message } => self.handle_reply(xid, message, desired),
            session::Event::Error { xid, error, .. } => self.handle_error(now, xid, &error, desired),
            session::Event::Message { .. } | session::Event::Drop(_) => {}
        }
    }

    fn connected(&mut self, desired: &mut Desired) {
        self.state = State::Mapping;
        self.mapping_tries = 0;
        self.failures = 0;
        // The switch may be another one by now.
        desired.forgive();
        self.requests.push_back(Request::Options);
    }

    /// The connection is gone: what was under way may be done or not.
    pub fn handle_disconnected(&mut self) {
        if self.state == State::Reading {
            self.failed_reads += 1;
        }
        for batch in std::mem::take(&mut self.batches) {
            self.zones.extend(batch.zones());
            self.generation = self.generation.max(batch.generation);
        }
        self.requests.clear();
        self.awaited.clear();
        self.state = State::Disconnected;
    }

    fn handle_reply(&mut self, xid: Xid, message: Message, desired: &mut Desired) {
        if message == Message::BarrierReply && self.batches.front().is_some_and(|b| b.ends_with(xid)) {
            return self.finish_batch(desired);
        }
        let Some(at) = self.awaited.iter().position(|(other, _)| *other == xid) else { return };
        let (_, request) = self.awaited.remove(at);
        match (request, message) {
            (Request::Options, Message::TlvTableReply(table)) => self.map_option(&table, desired),
            (Request::OptionMapped(index), _) => self.option_mapped(Some(index), desired),
            (_, Message::MultipartReply { reply, .. }) => self.note(reply, desired),
            _ => {}
        }
        self.finish_reading(desired);
    }

    fn map_option(&mut self, table: &TlvTable, desired: &mut Desired) {
        match geneve::choose(table) {
            Choice::Mapped(index) => self.option_mapped(Some(index), desired),
            Choice::Free(index) => {
                self.requests.extend([Request::MapOption(index), Request::OptionMapped(index)]);
            }
            Choice::Full => {
                self.events.push_back(Event::Warning("no tunnel option can be mapped any more".into()));
                self.option_mapped(None, desired);
            }
        }
    }

    fn option_mapped(&mut self, index: Option<u16>, desired: &mut Desired) {
        self.awaited.retain(|(_, request)| !matches!(request, Request::MapOption(_)));
        self.option = index;
        self.events.push_back(Event::GeneveOption(index.map(|index| index as u8)));
        self.start_reading(desired);
    }

    fn start_reading(&mut self, desired: &mut Desired) {
        self.state = State::Reading;
        self.standing = Standing::default();
        self.counters.reads += 1;
        self.wipe = self.failed_reads >= MAX_FAILED_READS;
        desired.start_reading();
        self.requests.push_back(Request::Meters);
        if !self.wipe {
            self.requests.push_back(Request::Groups);
            self.requests.extend(TABLES.map(Request::Flows));
        }
    }

    /// Takes what the switch says that it holds.
    fn note(&mut self, reply: MultipartReply, desired: &mut Desired) {
        match reply {
            MultipartReply::MeterConfig(meters) => {
                self.standing.meters += meters.len();
                for meter in meters {
                    desired.meters.read(meter.meter_id, meter.into());
                }
            }
            MultipartReply::GroupDesc(groups) => {
                self.standing.groups += groups.len();
                for group in groups {
                    desired.groups.read(group.group_id, group.into());
                }
            }
            MultipartReply::Flow(flows) => {
                for mut flow in flows {
                    if let Some(index) = self.option {
                        geneve::restore_length(&mut flow.instructions, index);
                    }
                    self.standing.flows += usize::from(desired.flows.read(flow));
                }
            }
            _ => {}
        }
    }

    /// Once all lists are there, what is not in them does not stand.
    fn finish_reading(&mut self, desired: &mut Desired) {
        if self.state != State::Reading || !self.requests.is_empty() || !self.awaited.is_empty() {
            return;
        }
        if !self.wipe {
            self.failed_reads = 0;
        }
        desired.finish_reading();
        self.state = State::Standing;
        self.events.push_back(Event::Read(self.standing));
    }

    fn finish_batch(&mut self, desired: &mut Desired) {
        let Some(batch) = self.batches.pop_front() else { return };
        if !batch.failed {
            self.failures = 0;
            self.events.extend(batch.generation.map(Event::Acknowledged));
        }
        if self.batches.is_empty() {
            desired.flows.quiet();
        }
    }

    fn handle_error(&mut self, now: Instant, xid: Xid, error: &ErrorMessage, desired: &mut Desired) {
        if let Some(at) = self.awaited.iter().position(|(other, _)| *other == xid) {
            let (_, request) = self.awaited.remove(at);
            self.request_refused(request, error, desired);
            return self.finish_reading(desired);
        }
        match batch::find(&self.batches, xid) {
            Some(place) => self.change_refused(now, &place, Refusal::Switch(error.code), desired),
            None => {
                let text = format!("the switch refuses something that was not asked: {}", error.code);
                self.events.push_back(Event::Warning(text));
            }
        }
    }

    fn request_refused(&mut self, request: Request, error: &ErrorMessage, desired: &mut Desired) {
        let ErrorMessage { code, .. } = error;
        match request {
            Request::Options | Request::OptionMapped(_) => {
                let text = format!("the switch maps no tunnel options: {code}");
                self.events.push_back(Event::Warning(text));
                self.option_mapped(None, desired);
            }
            Request::MapOption(_)
                if matches!(*code, ErrorCode::NX_TLV_ALREADY_MAPPED | ErrorCode::NX_TLV_DUP_ENTRY)
                    && self.mapping_tries < MAX_MAPPING_TRIES =>
            {
                self.mapping_tries += 1;
                self.requests.clear();
                self.awaited.clear();
                self.requests.push_back(Request::Options);
            }
            // The field may work all the same.
            Request::MapOption(index) => {
                let text = format!("the switch refuses to map OVN's tunnel option to field {index}: {code}");
                self.events.push_back(Event::Warning(text));
            }
            // A switch that cannot say which meters it has has none.
            Request::Meters => {}
            Request::Groups | Request::Flows(_) => {
                self.wipe = true;
                let text = format!("the switch does not say what it holds, and is emptied: {code}");
                self.events.push_back(Event::Warning(text));
            }
        }
    }

    fn change_refused(&mut self, now: Instant, place: &batch::Place, why: Refusal, desired: &mut Desired) {
        if self.failures == 0 && matches!(&why, Refusal::Switch(code) if is_surprise(*code)) {
            // Reading the switch back will show how that came.
            return self.fail(now, why.to_string());
        }
        let text = match batch::blame(&self.batches, place, desired) {
            Blame::LeftOut { news: false, what } => format!("{what}: {why}"),
            Blame::LeftOut { news: true, what } => {
                self.counters.refused += 1;
                let text = format!("{what}: {why}");
                self.events.push_back(Event::Refused { what, why });
                text
            }
            Blame::Nothing(what) => format!("{what}: {why}"),
            Blame::Harmless(what) => {
                return self.events.push_back(Event::Warning(format!("{what}: {why}")));
            }
        };
        self.fail(now, text);
    }

    /// What is under way will not lead to what is desired: after a pause, the switch is read back.
    fn fail(&mut self, now: Instant, why: String) {
        if self.state != State::Standing {
            return;
        }
        for batch in &mut self.batches {
            batch.failed = true;
            self.generation = self.generation.max(batch.generation.take());
            self.zones.extend(batch.cut());
        }
        self.batches.retain(|batch| !batch.is_empty());
        let pause = match self.failures {
            0 => Duration::ZERO,
            n => (FIRST_PAUSE * (1 << (n - 1).min(16))).min(MAX_PAUSE),
        };
        self.failures += 1;
        self.state = State::Resting(now + pause);
        self.events.push_back(Event::Resynchronising { why, pause });
    }

    /// Sends what there is to send. To be called after anything else here was, after the rules have settled, when the
    /// stream has taken what waited, and when the time of [`Installer::poll_timeout`] has come.
    pub fn drive(&mut self, now: Instant, session: &mut Session, desired: &mut Desired) {
        for what in desired.flows.take_oversized() {
            self.counters.refused += 1;
            self.events.push_back(Event::Refused { what, why: Refusal::Oversized });
        }
        if matches!(self.state, State::Resting(until) if now >= until) {
            self.start_reading(desired);
        }
        if self.state == State::Disconnected {
            desired.flows.forget_unsent();
        }
        self.start_batch(desired);
        self.transmit(now, session, desired);
    }

    /// Takes the difference, if it can be sent.
    fn start_batch(&mut self, desired: &mut Desired) {
        let busy = self.batches.len() >= MAX_BATCHES
            || self.batches.iter().any(|batch| !batch.is_sent())
            || (desired.flows.crowded() && !self.batches.is_empty());
        if self.state != State::Standing || !self.complete || busy {
            return;
        }
        let before: Vec<Item> = std::mem::take(&mut self.zones).into_iter().map(Item::FlushZone).collect();
        let (before, changes) = self.take_changes(before, desired);
        if before.is_empty() && changes.is_empty() {
            return self.nothing_to_send(desired);
        }
        let bundle = (self.failures < MAX_FAILED_BUNDLES).then_some(self.next_bundle);
        if bundle.is_some() && !changes.is_empty() {
            self.next_bundle = self.next_bundle.wrapping_add(1);
        }
        self.push(Batch::new(before, changes, bundle));
    }

    fn push(&mut self, mut batch: Batch) {
        batch.generation = self.generation.take();
        self.counters.batches += 1;
        self.batches.push_back(batch);
    }

    /// What goes out ahead of the bundle, and what in it.
    fn take_changes(&mut self, mut before: Vec<Item>, desired: &mut Desired) -> (Vec<Item>, Vec<Item>) {
        let wipe = std::mem::take(&mut self.wipe);
        if wipe {
            desired.flows.forget_standing();
            desired.groups.forget_standing();
        }
        let meters = desired.meters.take_changes();
        let groups = desired.groups.take_changes();
        if self.failures == 0 && !(meters.is_empty() && groups.is_empty()) {
            // Flows may have been refused for want of these.
            desired.flows.forgive();
        }
        before.extend(meters.into_iter().map(Item::Meter));
        let mut changes = if wipe { vec![Item::WipeFlows, Item::WipeGroups] } else { Vec::new() };
        changes.extend(groups.into_iter().flat_map(Item::group));
        let flows = desired.flows.take_changes();
        changes.reserve(flows.len());
        for change in flows {
            self.counters.count(change.command);
            changes.push(Item::Flow(change));
        }
        changes.extend(desired.groups.take_deletes().into_iter().map(Item::DeleteGroup));
        (before, changes)
    }

    /// Everything was sent. When it is also done, meters go that nothing uses any more.
    fn nothing_to_send(&mut self, desired: &mut Desired) {
        if let Some(last) = self.batches.back_mut() {
            last.generation = self.generation.take().or(last.generation);
            return;
        }
        self.failures = 0;
        desired.flows.quiet();
        self.events.extend(self.generation.take().map(Event::Acknowledged));
        let meters: Vec<Item> = desired.meters.take_deletes().into_iter().map(Item::DeleteMeter).collect();
        if !meters.is_empty() {
            self.push(Batch::new(meters, Vec::new(), None));
        }
    }

    fn transmit(&mut self, now: Instant, session: &mut Session, desired: &mut Desired) {
        while session.transmit_backlog() < self.max_backlog {
            if let Some(at) = self.batches.iter().position(|batch| !batch.is_sent()) {
                let Some(message) = self.batches[at].next(desired) else { break };
                match session.send(&message) {
                    Ok(xid) => self.batches[at].sent(xid),
                    Err(SendError::NotReady | SendError::TooManyPending) => break,
                    Err(SendError::TooLong(error)) => {
                        let place = batch::Place::next(&self.batches, at);
                        self.change_refused(now, &place, error.into(), desired);
                    }
                }
            } else if let Some(request) = self.requests.front().copied() {
                let Ok(xid) = session.send(&request.message()) else { break };
                self.requests.pop_front();
                self.awaited.push((xid, request));
            } else {
                break;
            }
        }
    }
}

/// Whether a switch that holds what it is believed to hold would not say this.
fn is_surprise(code: ErrorCode) -> bool {
    matches!(
        code,
        ErrorCode::GROUP_MOD_GROUP_EXISTS
            | ErrorCode::GROUP_MOD_UNKNOWN_GROUP
            | ErrorCode::METER_MOD_METER_EXISTS
            | ErrorCode::METER_MOD_UNKNOWN_METER
            | ErrorCode::ACTION_BAD_OUT_GROUP
    )
}

impl Counters {
    fn count(&mut self, command: FlowCommand) {
        let counter = match command {
            FlowCommand::Add => &mut self.flows_added,
            FlowCommand::Modify => &mut self.flows_modified,
            FlowCommand::Delete => &mut self.flows_deleted,
        };
        *counter += 1;
    }
}

impl Request {
    fn message(self) -> Message {
        match self {
            Request::Options => Message::TlvTableRequest,
            Request::MapOption(index) => Message::TlvTableMod(geneve::add(index)),
            Request::OptionMapped(_) => Message::BarrierRequest,
            Request::Meters => Message::MultipartRequest(MultipartRequest::MeterConfig(Meter::ALL_IDS)),
            Request::Groups => Message::MultipartRequest(MultipartRequest::GroupDesc(Group::ALL_IDS)),
            Request::Flows(table_id) => {
                let request = FlowStatsRequest { table_id, ..FlowStatsRequest::default() };
                Message::MultipartRequest(MultipartRequest::Flow(request))
            }
        }
    }
}
