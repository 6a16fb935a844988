//! What there is: databases, daemons, chassis, hosts; and the one loop in which everything happens.

use crate::chassis::Chassis;
use crate::daemon::{Clockwork, Daemon};
use crate::database::{Database, Which};
use crate::host::{Echo, Host};
use crate::network::Links;
use crate::schedule::Schedule;
use crate::stream::{StreamId, Streams};
use crate::switch::{Output, TunnelHeader};
use crate::trace::Trace;
use kiln_northd::daemon::NorthdDaemon;
use kiln_schema_ovn::{nb::Northbound, sb::Southbound};
use kiln_topology::Network;
use kiln_types::{Instant, Rng};
use serde_json::json;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// Milliseconds from 1970 to the beginning of the world.
const EPOCH_MS: i64 = 1_700_000_000_000;
/// How long a daemon is at other things before it looks at what has come, in microseconds.
const TURN_US: std::ops::RangeInclusive<u64> = 100..=2000;
/// A daemon that asks for a turn gets it no sooner than this, as with the real loop.
const SHORTEST_SLEEP: Duration = Duration::from_millis(1);

/// A daemon, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Actor {
    /// One of the northds, of which one is active.
    Northd(usize),
    /// The controller of a chassis.
    Controller(usize),
}

/// What can happen.
pub(crate) enum Event {
    /// A daemon's turn.
    Turn(Actor),
    /// A connection that was asked for is open, or is not.
    Open(StreamId),
    /// Bytes arrive at a server.
    Up(StreamId, Vec<u8>),
    /// Bytes arrive at a daemon.
    Down(StreamId, Vec<u8>),
    /// A daemon learns that its connection is gone.
    Lost(StreamId, Actor, u8),
    /// A server learns that a daemon is gone.
    HungUp(StreamId),
    /// A frame from a host arrives at its switch.
    FromHost(usize, Vec<u8>),
    /// A frame from a switch arrives at a host.
    ToHost(usize, Vec<u8>),
    /// A frame from another chassis arrives.
    FromChassis { at: usize, from: IpAddr, header: TunnelHeader, bytes: Vec<u8> },
    /// A host's timers.
    Host(usize),
    /// Something that the scenario wants, by its name.
    Deed(&'static str, Box<dyn FnOnce(&mut World)>),
}

/// The whole system.
pub struct World {
    pub(crate) schedule: Schedule<Event>,
    pub(crate) rng: Rng,
    pub(crate) trace: Trace,
    /// The links, with their faults.
    pub links: Links,
    pub(crate) northbound: Database,
    pub(crate) southbound: Database,
    /// Northds; `None` is a dead one.
    pub(crate) northds: Vec<Option<NorthdDaemon>>,
    pub(crate) chassis: Vec<Chassis>,
    pub(crate) clockworks: BTreeMap<Actor, Clockwork>,
    pub(crate) hosts: Vec<Seat>,
    pub(crate) streams: Streams,
    /// What everybody has been asked to reach so far, which numbers echo requests.
    pub(crate) echoes: u32,
}

/// A host, the chassis that it is on, and the logical port that its interface is bound to.
pub(crate) struct Seat {
    pub(crate) host: Host,
    pub(crate) chassis: usize,
    pub(crate) logical_port: String,
    pub(crate) wakes_at: Option<Instant>,
}

impl World {
    /// Empty databases, two northds, and so many chassis with nothing on them; nothing runs yet. Whatever is chosen by
    /// chance follows from the seed.
    pub fn new(seed: u64, n_chassis: usize, links: Links) -> World {
        let mut rng = Rng::with_seed(seed);
        let northbound = Database::new("OVN_Northbound", &Northbound::DECL.to_json().to_string(), &mut rng);
        let southbound = Database::new("OVN_Southbound", &Southbound::DECL.to_json().to_string(), &mut rng);
        let chassis = (0..n_chassis).map(|number| Chassis::new(number, &mut rng)).collect();
        World {
            schedule: Schedule::new(Instant::from_secs(1)),
            rng,
            trace: Trace::default(),
            links,
            northbound,
            southbound,
            northds: vec![None, None],
            chassis,
            clockworks: BTreeMap::new(),
            hosts: Vec::new(),
            streams: Streams::default(),
            echoes: 0,
        }
    }

    /// The time.
    pub fn now(&self) -> Instant {
        self.schedule.now()
    }

    /// A hash over everything that happened so far, and of how many events that is.
    pub fn trace(&self) -> (u64, u64) {
        (self.trace.digest(), self.trace.events())
    }

    pub(crate) fn wall_ms(&self) -> i64 {
        EPOCH_MS + self.now().as_millis() as i64
    }

    /// Puts a host behind a new interface of a chassis, which is to be bound to a logical port. Gives its number.
    pub fn add_host(&mut self, host: Host, chassis: usize, logical_port: &str) -> usize {
        let number = self.hosts.len();
        let now = self.now();
        self.hosts.push(Seat { host, chassis, logical_port: logical_port.to_owned(), wakes_at: None });
        self.chassis[chassis].plug(now, number, logical_port);
        self.local_changed(chassis);
        number
    }

    /// A host.
    pub fn host(&self, number: usize) -> &Host {
        &self.hosts[number].host
    }

    /// A host, to change it.
    pub fn host_mut(&mut self, number: usize) -> &mut Host {
        &mut self.hosts[number].host
    }

    /// The chassis of a host.
    pub fn chassis_of(&self, host: usize) -> usize {
        self.hosts[host].chassis
    }

    /// Makes the northbound database say what a network says.
    ///
    /// # Panics
    /// If it does not.
    pub fn apply(&mut self, network: &Network) {
        let plan =
            kiln_topology::plan(network, &kiln_topology::Northbound::default()).expect("a fresh database");
        let mut txn = kiln_ovsdb::txn::Txn::new("OVN_Northbound");
        plan.write(&mut txn);
        let now = self.now();
        self.northbound.transact(now, &txn.into_params());
        self.pump_database(Which::Northbound);
    }

    /// Sets an option of NB_Global.
    pub fn set_option(&mut self, key: &str, value: &str) {
        self.set_options("NB_Global", key, value);
    }

    /// Sets an option of every router.
    pub fn set_router_option(&mut self, key: &str, value: &str) {
        self.set_options("Logical_Router", key, value);
    }

    fn set_options(&mut self, table: &str, key: &str, value: &str) {
        let now = self.now();
        let pair = json!(["map", [[key, value]]]);
        let operations = json!([
            "OVN_Northbound",
            { "op": "mutate", "table": table, "where": [],
              "mutations": [["options", "delete", ["set", [key]]], ["options", "insert", pair]] },
        ]);
        self.northbound.transact(now, &operations.to_string());
        self.pump_database(Which::Northbound);
    }

    /// Has something done at a time, under a name that goes into the trace.
    pub fn at(&mut self, at: Instant, name: &'static str, deed: impl FnOnce(&mut World) + 'static) {
        self.schedule.put(at, Event::Deed(name, Box::new(deed)));
    }

    /// Lets so much time pass.
    pub fn run(&mut self, time: Duration) {
        let until = self.now() + time;
        while let Some(event) = self.schedule.take(until) {
            self.happen(event);
        }
    }

    /// Lets time pass until something holds, which is looked at every so often. False if it does not within `at_most`.
    pub fn run_until(
        &mut self,
        at_most: Duration,
        every: Duration,
        mut holds: impl FnMut(&mut World) -> bool,
    ) -> bool {
        let give_up = self.now() + at_most;
        while !holds(self) {
            if self.now() >= give_up {
                return false;
            }
            self.run(every);
        }
        true
    }

    fn happen(&mut self, event: Event) {
        let now = self.now();
        let mut note = |what, numbers: &[u64], bytes: &[u8]| self.trace.note(now, what, numbers, bytes);
        match event {
            Event::Turn(actor) => self.turn(actor),
            Event::Open(stream) => self.open(stream),
            Event::Up(stream, bytes) => {
                note("up", &[stream.0], &bytes);
                self.arrive_up(stream, &bytes);
            }
            Event::Down(stream, bytes) => {
                note("down", &[stream.0], &bytes);
                self.arrive_down(stream, &bytes);
            }
            Event::Lost(stream, actor, side) => {
                note("lost", &[stream.0], &[]);
                self.lost(stream, actor, side);
            }
            Event::HungUp(stream) => {
                note("hung up", &[stream.0], &[]);
                self.hung_up(stream);
            }
            Event::FromHost(host, bytes) => {
                note("from host", &[host as u64], &bytes);
                let chassis = self.hosts[host].chassis;
                self.chassis[chassis].switch.receive_from_host(now, host, &bytes);
                self.pump_switch(chassis);
            }
            Event::ToHost(host, bytes) => {
                note("to host", &[host as u64], &bytes);
                self.hosts[host].host.receive(now, &bytes);
                self.pump_host(host);
            }
            Event::FromChassis { at, from, header, bytes } => {
                note("from chassis", &[at as u64, header.key, header.option.into()], &bytes);
                self.chassis[at].switch.receive_from_chassis(now, from, header, &bytes);
                self.pump_switch(at);
            }
            Event::Host(host) => {
                if self.hosts[host].wakes_at.take_if(|at| *at <= now).is_some() {
                    self.hosts[host].host.tick(now);
                    self.pump_host(host);
                }
            }
            Event::Deed(name, deed) => {
                note(name, &[], &[]);
                deed(self);
            }
        }
    }

    /// A daemon gets its turn soon: something has come for it.
    pub(crate) fn wake(&mut self, actor: Actor) {
        let soon = Duration::from_micros(self.rng.u64(TURN_US));
        let at = self.now() + soon;
        self.turn_at(actor, at);
    }

    /// A daemon gets its turn at a time, unless it gets one earlier.
    pub(crate) fn turn_at(&mut self, actor: Actor, at: Instant) {
        let slot = &mut self.clockworks.entry(actor).or_default().turn_at;
        if slot.is_none_or(|other| at < other) {
            *slot = Some(at);
            self.schedule.put(at, Event::Turn(actor));
        }
    }

    /// A daemon, if it lives.
    pub(crate) fn daemon(&mut self, actor: Actor) -> Option<&mut dyn Daemon> {
        match actor {
            Actor::Northd(number) => self.northds[number].as_mut().map(|daemon| daemon as &mut dyn Daemon),
            Actor::Controller(number) => {
                self.chassis[number].controller.as_mut().map(|daemon| daemon as &mut dyn Daemon)
            }
        }
    }

    /// One turn of a daemon's loop, and what it wants afterwards.
    fn turn(&mut self, actor: Actor) {
        let (now, wall_ms) = (self.now(), self.wall_ms());
        // A turn that was put off is none.
        let due = self.clockworks.entry(actor).or_default().turn_at.take_if(|at| *at == now);
        let Some(daemon) = self.daemon(actor).filter(|_| due.is_some()) else { return };
        daemon.turn(now, wall_ms);
        for side in 0..daemon.sides() {
            self.drive_stream(actor, side);
        }
        let deadline = self.daemon(actor).and_then(|daemon| daemon.deadline());
        if let Some(deadline) = deadline.filter(|at| *at != Instant::FAR_FUTURE) {
            self.turn_at(actor, deadline.max(now + SHORTEST_SLEEP));
        }
        if let Actor::Controller(chassis) = actor {
            self.check_bounds(chassis);
        }
    }

    /// Sends what a switch has to send.
    pub(crate) fn pump_switch(&mut self, chassis: usize) {
        let now = self.now();
        for output in self.chassis[chassis].switch.take_outputs() {
            match output {
                Output::ToHost(host, bytes) => {
                    if let Some(delay) = self.links.edge.carry(&mut self.rng) {
                        self.schedule.put(now + delay, Event::ToHost(host, bytes));
                    }
                }
                Output::ToChassis(to, header, bytes) => {
                    let from = self.chassis[chassis].address;
                    let at = self.chassis.iter().position(|other| other.address == to);
                    if let (Some(at), Some(delay)) = (at, self.links.underlay.carry(&mut self.rng)) {
                        self.schedule.put(now + delay, Event::FromChassis { at, from, header, bytes });
                    }
                }
            }
        }
        self.pump_openflow(chassis);
    }

    /// Sends what a host has to send, and lets it wake when it wants to.
    pub(crate) fn pump_host(&mut self, number: usize) {
        let now = self.now();
        let Seat { host, wakes_at, .. } = &mut self.hosts[number];
        while let Some(bytes) = host.poll_transmit() {
            if let Some(delay) = self.links.edge.carry(&mut self.rng) {
                self.schedule.put(now + delay, Event::FromHost(number, bytes));
            }
        }
        if let Some(at) = host.deadline()
            && wakes_at.is_none_or(|other| at < other)
        {
            *wakes_at = Some(at);
            self.schedule.put(at, Event::Host(number));
        }
    }

    /// Has a host send an echo request.
    pub fn ping(&mut self, from: usize, to: IpAddr) -> Echo {
        self.echoes += 1;
        let echo = ((self.echoes >> 16) as u16, self.echoes as u16);
        let now = self.now();
        self.hosts[from].host.ping(now, to, echo);
        self.pump_host(from);
        echo
    }

    /// Has a host tell its link where its addresses are.
    pub fn announce(&mut self, host: usize) {
        self.hosts[host].host.announce();
        self.pump_host(host);
    }
}
