//! Byte streams between daemons and what they are connected to.

use crate::daemon::Daemon;
use crate::database::{Database, Which};
use crate::network::Pipe;
use crate::world::{Actor, Event, World};
use kiln_ovsdb::reconnect::Action;
use kiln_ovsdb::server::SessionId;
use kiln_types::{HashMap, Instant};
use std::collections::BTreeMap;
use std::time::Duration;

/// A stream, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct StreamId(pub(crate) u64);

/// What a daemon is connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Peer {
    Database(Which),
    /// The OpenFlow side of the switch of this chassis.
    Switch(usize),
}

struct Stream {
    actor: Actor,
    side: u8,
    peer: Peer,
    /// The server's session, once the stream is open to a database.
    session: Option<SessionId>,
    is_open: bool,
    up: Pipe,
    down: Pipe,
}

/// All streams.
#[derive(Default)]
pub(crate) struct Streams {
    next: u64,
    streams: BTreeMap<StreamId, Stream>,
    /// The stream of each connection of each daemon.
    of: BTreeMap<(Actor, u8), StreamId>,
    by_session: HashMap<(Which, SessionId), StreamId>,
}

impl Streams {
    fn remove(&mut self, id: StreamId) -> Option<Stream> {
        let stream = self.streams.remove(&id)?;
        let key = (stream.actor, stream.side);
        if self.of.get(&key) == Some(&id) {
            self.of.remove(&key);
        }
        if let (Peer::Database(which), Some(session)) = (stream.peer, stream.session) {
            self.by_session.remove(&(which, session));
        }
        Some(stream)
    }

    fn to(&self, peer: Peer) -> Vec<StreamId> {
        let to = |(id, stream): (&StreamId, &Stream)| (stream.peer == peer).then_some(*id);
        self.streams.iter().filter_map(to).collect()
    }
}

/// What each connection of a daemon leads to; where its configuration says that this is is not looked at.
fn peer(actor: Actor, side: u8) -> Peer {
    match (actor, side) {
        (Actor::Northd(_), 0) => Peer::Database(Which::Northbound),
        (Actor::Northd(_), _) | (Actor::Controller(_), 0) => Peer::Database(Which::Southbound),
        (Actor::Controller(chassis), 1) => Peer::Database(Which::Local(chassis)),
        (Actor::Controller(chassis), _) => Peer::Switch(chassis),
    }
}

impl World {
    pub(crate) fn database(&mut self, which: Which) -> &mut Database {
        match which {
            Which::Northbound => &mut self.northbound,
            Which::Southbound => &mut self.southbound,
            Which::Local(chassis) => &mut self.chassis[chassis].local,
        }
    }

    /// When what is sent now is through to a peer, or from it.
    fn control_arrival(&mut self, peer: Peer) -> Instant {
        let delay = Duration::from_micros(self.rng.u64(self.links.control_us.clone()));
        let at = self.now() + delay;
        match peer {
            Peer::Database(which) => self.database(which).passes(at),
            Peer::Switch(_) => at,
        }
    }

    /// Does with a daemon's connection what the daemon wants.
    pub(crate) fn drive_stream(&mut self, actor: Actor, side: u8) {
        let now = self.now();
        while let Some(action) = self.daemon(actor).and_then(|daemon| daemon.action(now, side)) {
            match action {
                Action::Connect(_) => self.connect(actor, side),
                Action::Close => self.close(actor, side),
            }
        }
        let Some(stream) = self.streams.of.get(&(actor, side)).copied() else { return };
        let mut sent = false;
        while let Some(bytes) = self.daemon(actor).and_then(|daemon| daemon.transmit(side)) {
            self.clockworks.entry(actor).or_default().transactions += transactions(&bytes);
            self.send_up(stream, bytes);
            sent = true;
        }
        if sent {
            // The stream has taken it all, so there is room for more.
            self.wake(actor);
        }
    }

    fn connect(&mut self, actor: Actor, side: u8) {
        let id = StreamId(self.streams.next);
        self.streams.next += 1;
        let peer = peer(actor, side);
        let stream = Stream {
            actor,
            side,
            peer,
            session: None,
            is_open: false,
            up: Pipe::default(),
            down: Pipe::default(),
        };
        self.streams.streams.insert(id, stream);
        self.streams.of.insert((actor, side), id);
        let at = self.control_arrival(peer);
        self.schedule.put(at, Event::Open(id));
    }

    /// A daemon closes its connection, or dies: what it has sent is still delivered.
    pub(crate) fn close(&mut self, actor: Actor, side: u8) {
        let Some(id) = self.streams.of.remove(&(actor, side)) else { return };
        let Some(peer) = self.streams.streams.get(&id).map(|stream| stream.peer) else { return };
        let earliest = self.control_arrival(peer);
        if let Some(stream) = self.streams.streams.get_mut(&id) {
            let at = stream.up.arrival(earliest);
            self.schedule.put(at, Event::HungUp(id));
        }
    }

    /// A server learns that a daemon is gone.
    pub(crate) fn hung_up(&mut self, id: StreamId) {
        let Some(stream) = self.streams.remove(id) else { return };
        match (stream.peer, stream.session) {
            (Peer::Database(which), Some(session)) => {
                self.database(which).server().disconnect(session);
                self.pump_database(which);
            }
            (Peer::Switch(chassis), _) => self.chassis[chassis].switch.disconnect(id.0),
            (Peer::Database(_), None) => {}
        }
    }

    /// A connection that was asked for opens, or is refused.
    pub(crate) fn open(&mut self, id: StreamId) {
        let Some(Stream { actor, side, peer, .. }) = self.streams.streams.get(&id) else { return };
        let (actor, side, peer, now) = (*actor, *side, *peer, self.now());
        if self.streams.of.get(&(actor, side)) != Some(&id) {
            return;
        }
        let session = match peer {
            Peer::Database(which) if self.database(which).is_cut => {
                self.streams.remove(id);
                self.with_daemon(actor, |daemon| daemon.disconnected(now, side));
                return;
            }
            Peer::Database(which) => Some(self.database(which).server().connect()),
            Peer::Switch(chassis) => {
                self.chassis[chassis].switch.connect(now, id.0);
                None
            }
        };
        if let (Peer::Database(which), Some(session)) = (peer, session) {
            self.streams.by_session.insert((which, session), id);
        }
        if let Some(stream) = self.streams.streams.get_mut(&id) {
            (stream.session, stream.is_open) = (session, true);
        }
        self.with_daemon(actor, |daemon| daemon.connected(now, side));
        if let Peer::Switch(chassis) = peer {
            self.pump_openflow(chassis);
        }
    }

    fn send_up(&mut self, id: StreamId, bytes: Vec<u8>) {
        let Some(peer) = self.streams.streams.get(&id).map(|stream| stream.peer) else { return };
        let earliest = self.control_arrival(peer);
        if let Some(stream) = self.streams.streams.get_mut(&id) {
            let at = stream.up.arrival(earliest);
            self.schedule.put(at, Event::Up(id, bytes));
        }
    }

    fn send_down(&mut self, id: StreamId, bytes: Vec<u8>) {
        let Some(peer) = self.streams.streams.get(&id).map(|stream| stream.peer) else { return };
        let earliest = self.control_arrival(peer);
        if let Some(stream) = self.streams.streams.get_mut(&id) {
            let at = stream.down.arrival(earliest);
            self.schedule.put(at, Event::Down(id, bytes));
        }
    }

    pub(crate) fn arrive_up(&mut self, id: StreamId, bytes: &[u8]) {
        let Some(stream) = self.streams.streams.get(&id).filter(|stream| stream.is_open) else { return };
        let (peer, session, now) = (stream.peer, stream.session, self.now());
        match (peer, session) {
            (Peer::Database(which), Some(session)) => {
                self.database(which).server().handle_bytes(now, session, bytes);
                if let Which::Local(chassis) = which {
                    self.chassis[chassis].configure_switch(now);
                }
                self.pump_database(which);
            }
            (Peer::Switch(chassis), _) => {
                self.chassis[chassis].switch.receive_openflow(now, id.0, bytes);
                self.pump_switch(chassis);
            }
            (Peer::Database(_), None) => {}
        }
    }

    pub(crate) fn arrive_down(&mut self, id: StreamId, bytes: &[u8]) {
        let Some(Stream { actor, side, .. }) = self.streams.streams.get(&id) else { return };
        let (actor, side, now) = (*actor, *side, self.now());
        // Whoever has closed it hears nothing more.
        if self.streams.of.get(&(actor, side)) == Some(&id) {
            self.with_daemon(actor, |daemon| daemon.receive(now, side, bytes));
        }
    }

    /// A daemon learns that its connection is gone.
    pub(crate) fn lost(&mut self, id: StreamId, actor: Actor, side: u8) {
        if self.streams.of.get(&(actor, side)) == Some(&id) {
            self.streams.of.remove(&(actor, side));
            let now = self.now();
            self.with_daemon(actor, |daemon| daemon.disconnected(now, side));
        }
    }

    /// Sends what a database has to say.
    pub(crate) fn pump_database(&mut self, which: Which) {
        for (session, bytes) in self.database(which).transmit() {
            let Some(id) = self.streams.by_session.get(&(which, session)).copied() else { continue };
            match bytes {
                Some(bytes) => self.send_down(id, bytes),
                None => self.break_stream(id),
            }
        }
    }

    /// Sends what a switch has to say to its controller.
    pub(crate) fn pump_openflow(&mut self, chassis: usize) {
        for (id, bytes) in self.chassis[chassis].switch.transmit() {
            self.send_down(StreamId(id), bytes);
        }
    }

    /// Breaks every stream to a peer.
    pub(crate) fn break_streams(&mut self, peer: Peer) {
        for id in self.streams.to(peer) {
            self.break_stream(id);
        }
    }

    /// The server's end is gone at once; the daemon learns of it.
    fn break_stream(&mut self, id: StreamId) {
        let Some(Stream { actor, side, peer, session, .. }) = self.streams.streams.get(&id) else { return };
        let (actor, side, peer, session) = (*actor, *side, *peer, *session);
        match (peer, session) {
            (Peer::Database(which), Some(session)) => {
                self.database(which).server().disconnect(session);
                self.streams.by_session.remove(&(which, session));
            }
            (Peer::Switch(chassis), _) => self.chassis[chassis].switch.disconnect(id.0),
            (Peer::Database(_), None) => {}
        }
        self.streams.streams.remove(&id);
        let delay = Duration::from_micros(self.rng.u64(self.links.control_us.clone()));
        let at = self.now() + delay;
        self.schedule.put(at, Event::Lost(id, actor, side));
    }

    /// Tells a daemon something, if it lives, and lets it have a turn.
    fn with_daemon(&mut self, actor: Actor, tell: impl FnOnce(&mut dyn Daemon)) {
        if let Some(daemon) = self.daemon(actor) {
            tell(daemon);
            self.wake(actor);
        }
    }
}

/// How many transactions these bytes ask for: messages are sent whole, and nothing else in them reads like this.
fn transactions(bytes: &[u8]) -> u64 {
    const METHOD: &[u8] = br#""method":"transact""#;
    bytes.windows(METHOD.len()).filter(|window| *window == METHOD).count() as u64
}
