//! The responder: what comes up is dispatched by opcode, what goes out waits to be taken.

mod unasked;

use crate::advertise::Advertiser;
use crate::announce::Announcer;
use crate::answer::fragment::{self, Cut};
use crate::answer::{
    self, icmp_error, nd_na, put_fdb, put_mac_binding, reject, sctp_abort, tcp_reset, unreachable,
};
use crate::learned::{Learned, MAX_PENDING};
use crate::metadata::Metadata;
use crate::moves::Moves;
use crate::nested::{FragMtu, Readings};
use crate::payment::{self, payer};
use crate::probe::Probe;
use crate::punt::{self, Punt};
use crate::unresolved::{Arrival, Due, Held, MAX_NEXT_HOPS, Size, Unresolved};
use crate::{Counters, DropReason, Event, Failure, NextHop};
use kiln_abi::opcodes::Opcode;
use kiln_budget::{Budgets, Class, Limits, Payer};
use kiln_openflow::msg::{Message, PacketIn, PacketOut};
use kiln_openflow::{Actions, Match};
use kiln_packet::{Packet, Unfragmentable};
use kiln_types::{DatapathKey, EthAddr, Instant, OfPort, PortKey, Rng};
use std::collections::{BTreeSet, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

/// Most messages to the switch that wait to be taken.
pub const MAX_OUTPUT: usize = 4096;

/// Most failures of next hops that wait to be taken; the oldest go.
pub const MAX_FAILURES: usize = 1000;

/// Most bindings that wait for the queries that they answer to be seen.
pub const MAX_EARLY: usize = 1000;

/// How long they wait: an answer may overtake its query on the way through the database.
pub const MAX_EARLY_WAIT: Duration = Duration::from_secs(2);

/// How long an answer is remembered here while its row is on its way to the database and back.
pub const ANSWER_LIFETIME: Duration = Duration::from_secs(2);

/// Most lines of ACLs' logs that wait to be taken.
pub const MAX_LOGS: usize = 1000;

/// What the operator can tune.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// The longest time that a binding waits which other chassis learn from the same flooded packet: each waits for a
    /// random part of it, so that mostly one of them writes. Zero for none.
    pub race_delay_max: Duration,
    /// The shortest time between two batches of writes.
    pub write_interval: Duration,
    /// How long the pauses between announcements of an address may become; `None` if they end after a few.
    pub announce_max: Option<Duration>,
    /// What work may cost.
    pub limits: Limits,
}

impl Default for Config {
    /// 50 ms each, which is stock's delay, and 20 transactions a second; the budgets' own defaults.
    fn default() -> Self {
        Config {
            race_delay_max: Duration::from_millis(50),
            write_interval: Duration::from_millis(50),
            announce_max: None,
            limits: Limits::default(),
        }
    }
}

/// Something that was learned, for the southbound database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Write {
    /// Table MAC_Binding: the neighbour is at this Ethernet address.
    MacBinding(NextHop, EthAddr),
    /// Table MAC_Binding: the neighbour is asked for, so that whoever sees the answer may believe it.
    Query(NextHop),
    /// Table FDB: the Ethernet address is behind this port of the switch.
    Fdb(DatapathKey, EthAddr, PortKey),
}

/// What is known of neighbours when a packet asks for one: the controller's replica of MAC_Binding, and of Static_MAC_Binding.
///
/// A packet can come up just before the flow that its next hop's binding became; it would wait for an answer that
/// nobody gives any more.
pub trait Neighbors {
    /// The Ethernet address of a next hop. The port may be a `chassisredirect` port, whose bindings are those of the
    /// router port that it stands for.
    fn mac(&self, next_hop: &NextHop) -> Option<EthAddr>;

    /// The Ethernet address that the operator has said of a next hop. It is no neighbour that was learned, and moves nowhere.
    fn fixed(&self, next_hop: &NextHop) -> Option<EthAddr> {
        let _ = next_hop;
        None
    }

    /// With which of its addresses a router's port speaks to `sender`, if senders are told of packets whose next hop gives no
    /// answer.
    fn speaker(&self, router: DatapathKey, port: PortKey, sender: IpAddr) -> Option<IpAddr> {
        let _ = (router, port, sender);
        None
    }

    /// Whether an address means all hosts of a network of a router's port, or is the network's own.
    fn is_broadcast(&self, router: DatapathKey, port: PortKey, ip: Ipv4Addr) -> bool {
        let _ = (router, port, ip);
        false
    }

    /// Whether what a neighbour says of itself may be believed.
    fn learning(&self, _next_hop: &NextHop) -> Learning {
        Learning::Open
    }
}

/// What a router learns of a neighbour (`options:mac_binding_learning`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Learning {
    /// Whatever it says.
    Open,
    /// What it answers.
    Tracked {
        /// Some chassis has asked for it: there is a row, with or without an address.
        asked: bool,
    },
}

impl<F: Fn(&NextHop) -> Option<EthAddr>> Neighbors for F {
    fn mac(&self, next_hop: &NextHop) -> Option<EthAddr> {
        self(next_hop)
    }
}

/// A packet that the switch can go on with, and the action that handed it up.
type Paused = (Opcode, Box<PacketIn>);

/// A request for a next hop, to be sent as often as it takes.
#[derive(Clone, Debug)]
struct Request {
    opcode: Opcode,
    actions: Actions,
    packet: Box<[u8]>,
}

/// Answers the packets that the pipeline hands up. Knows no sockets and no clock.
#[derive(Debug)]
pub struct Responder {
    config: Config,
    rng: Rng,
    budgets: Budgets,
    nested: Readings,
    unresolved: Unresolved<Paused, Request>,
    failures: VecDeque<Failure>,
    logs: Vec<String>,
    bindings: Learned<NextHop, EthAddr>,
    /// Where next hops are that were asked for here and have answered, until their rows come: packets that still come up go on.
    answered: Learned<NextHop, EthAddr>,
    early: Learned<NextHop, put_mac_binding::Neighbor>,
    queries: Learned<NextHop, ()>,
    moves: Moves,
    fdb: Learned<(DatapathKey, EthAddr), PortKey>,
    activated: BTreeSet<(DatapathKey, PortKey)>,
    next_write: Instant,
    announcer: Announcer,
    advertiser: Advertiser,
    /// Whether there is a switch to send through, as far as was told; what is due waits for it.
    has_switch: bool,
    output: VecDeque<Message>,
    counters: Counters,
}

impl Responder {
    /// A responder that has seen nothing yet. `rng` spreads the times at which chassis write what all of them heard.
    pub fn new(config: Config, rng: Rng) -> Self {
        Responder {
            config,
            rng,
            budgets: Budgets::new(config.limits),
            nested: Readings::default(),
            unresolved: Unresolved::new(),
            failures: VecDeque::new(),
            logs: Vec::new(),
            bindings: Learned::new(MAX_PENDING),
            answered: Learned::new(MAX_NEXT_HOPS),
            early: Learned::new(MAX_EARLY),
            queries: Learned::new(MAX_NEXT_HOPS),
            moves: Moves::default(),
            fdb: Learned::new(MAX_PENDING),
            activated: BTreeSet::new(),
            next_write: Instant::ZERO,
            announcer: Announcer::new(),
            advertiser: Advertiser::new(),
            has_switch: true,
            output: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    /// Takes new tunables; what is already delayed stays so.
    pub fn set_config(&mut self, now: Instant, config: Config) {
        self.config = config;
        self.budgets.set_limits(config.limits);
        self.announcer.set_max_pause(now, config.announce_max);
    }

    /// What the operator tuned.
    pub const fn config(&self) -> &Config {
        &self.config
    }

    /// Serves a packet from the switch.
    pub fn packet_in(&mut self, now: Instant, packet_in: Box<PacketIn>, neighbors: &impl Neighbors) {
        let opcode = punt::opcode(&packet_in);
        self.counters.count(opcode.ok(), Event::Received);
        match opcode.and_then(|opcode| self.admit().map(|()| opcode)) {
            Ok(admitted) => self.serve(now, admitted, packet_in, neighbors),
            Err(reason) => self.counters.drop(opcode.ok(), None, reason),
        }
    }

    /// Whether a packet may cost any work at all. It comes before all work, and whatever limits packets belongs here.
    fn admit(&self) -> Result<(), DropReason> {
        if self.output.len() < MAX_OUTPUT { Ok(()) } else { Err(DropReason::OutputFull) }
    }

    fn serve(&mut self, now: Instant, opcode: Opcode, packet_in: Box<PacketIn>, neighbors: &impl Neighbors) {
        let punt = Punt::read(&packet_in);
        let port = punt.metadata.place();
        match self.answer(now, opcode, &punt, &packet_in, neighbors) {
            Ok(None) => {}
            Ok(Some((hop, known))) => self.go_on(now, opcode, packet_in, hop, known),
            Err(reason) => self.counters.drop(Some(opcode), port, reason),
        }
    }

    /// Does what a packet asks for. If the packet itself is to go on, the next hop to which, and where that is if it is known.
    fn answer(
        &mut self,
        now: Instant,
        opcode: Opcode,
        punt: &Punt<'_>,
        packet_in: &PacketIn,
        neighbors: &impl Neighbors,
    ) -> Result<Option<(NextHop, Option<EthAddr>)>, DropReason> {
        let class = payment::class(opcode, punt);
        let cost = payment::cost(class, punt);
        self.budgets.pay_for(now, class, &payer(punt), cost).map_err(DropReason::OverBudget)?;
        match opcode {
            Opcode::ARP => {
                let hop = answer::arp::next_hop(punt)?;
                let known = self.resolve(now, opcode, punt, hop, answer::arp::request, neighbors)?;
                return Ok(Some((hop, known)));
            }
            Opcode::ND_NS => {
                let hop = answer::nd_ns::next_hop(punt)?;
                let known = self.resolve(now, opcode, punt, hop, answer::nd_ns::request, neighbors)?;
                return Ok(Some((hop, known)));
            }
            Opcode::HELD_DOWN => self.unreachable(punt, neighbors)?,
            Opcode::FRAGMENT => self.fragment(punt, packet_in)?,
            Opcode::PUT_ND_RA_OPTS => self.advertise_solicited(opcode, punt, packet_in)?,
            Opcode::PUT_ARP => {
                let neighbor = put_mac_binding::neighbor(punt, punt.metadata.reg0().into())?;
                self.judge(now, opcode, neighbor, neighbors)?;
            }
            Opcode::PUT_ND => {
                let neighbor = put_mac_binding::neighbor(punt, punt.metadata.xxreg0().into())?;
                self.judge(now, opcode, neighbor, neighbors)?;
            }
            Opcode::PUT_FDB | Opcode::ACTIVATION_STRATEGY | Opcode::LOG => {
                self.note(now, opcode, punt, packet_in.table_id)?;
            }
            _ => self.reply(opcode, punt)?,
        }
        Ok(None)
    }

    /// Takes note of what a packet tells, for others to do something about it.
    fn note(&mut self, now: Instant, opcode: Opcode, punt: &Punt<'_>, table: u8) -> Result<(), DropReason> {
        let event = match opcode {
            Opcode::PUT_FDB => {
                let (datapath, mac, port) = put_fdb::entry(punt)?;
                self.fdb.offer(now, (datapath, mac), port).map_err(|_| DropReason::LearnedFull)?;
                Event::Learned
            }
            Opcode::ACTIVATION_STRATEGY => {
                let port = punt.metadata.place().ok_or(DropReason::NoMetadata)?;
                if self.activated.len() >= MAX_PENDING && !self.activated.contains(&port) {
                    return Err(DropReason::LearnedFull);
                }
                self.activated.insert(port);
                Event::Learned
            }
            _ => {
                let line = answer::acl_log::line(punt, table)?;
                if self.logs.len() >= MAX_LOGS {
                    return Err(DropReason::LogsFull);
                }
                self.logs.push(line);
                Event::Logged
            }
        };
        self.counters.count(Some(opcode), event);
        Ok(())
    }

    /// Sends what a packet is answered with, which follows from it alone.
    fn reply(&mut self, opcode: Opcode, punt: &Punt<'_>) -> Result<(), DropReason> {
        match opcode {
            Opcode::ND_NA | Opcode::ND_NA_ROUTER => {
                let packet = nd_na::advertisement(punt, opcode == Opcode::ND_NA_ROUTER)?;
                let (actions, _) = self.nested(punt.payload(), punt)?;
                self.send(opcode, actions, packet);
                return Ok(());
            }
            Opcode::ICMP | Opcode::ICMP4_ERROR | Opcode::ICMP6_ERROR => {}
            Opcode::TCP_RESET | Opcode::SCTP_ABORT | Opcode::REJECT => {}
            _ if opcode.action().is_some() => return Err(DropReason::NotServed),
            _ => return Err(DropReason::UnknownOpcode),
        }
        let nested = self.nested.read(punt.payload())?;
        let mut packet = match opcode {
            Opcode::TCP_RESET => tcp_reset::answering(punt)?.to_vec(),
            Opcode::SCTP_ABORT => sctp_abort::answering(punt)?.to_vec(),
            Opcode::REJECT => reject::refusal(punt, nested.mtu)?,
            Opcode::ICMP => {
                icmp_error::about(&punt.packet, nested.mtu, icmp_error::Code::ByProtocol)?.to_vec()
            }
            _ => icmp_error::about_routed(punt, nested.mtu)?,
        };
        let (state, actions) = nested.rewrite(&punt.metadata, &mut packet)?;
        self.send_in(opcode, state, actions, packet);
        Ok(())
    }

    fn pay(&mut self, now: Instant, class: Class, payer: &Payer) -> Result<(), DropReason> {
        self.budgets.pay(now, class, payer).map_err(DropReason::OverBudget)
    }

    /// What a packet that is made for this one goes down with, and the MTUs that are told of there.
    fn nested(&mut self, bytes: &[u8], punt: &Punt<'_>) -> Result<(Actions, FragMtu), DropReason> {
        let nested = self.nested.read(bytes)?;
        Ok((nested.behind(&punt.metadata)?, nested.mtu))
    }

    /// Where `hop` is, if that is known. If not it sees to it that it is asked for, unless it has failed.
    fn resolve(
        &mut self,
        now: Instant,
        opcode: Opcode,
        punt: &Punt<'_>,
        hop: NextHop,
        make: impl Fn(&Punt<'_>) -> Vec<u8>,
        neighbors: &impl Neighbors,
    ) -> Result<Option<EthAddr>, DropReason> {
        if !punt.is_paused {
            return Err(DropReason::NotPaused);
        }
        let learned = neighbors.mac(&hop).or_else(|| self.answered.get(&hop).copied());
        if let Some(mac) = learned.or_else(|| neighbors.fixed(&hop)) {
            return Ok(Some(mac));
        }
        let payer = payer(punt);
        match self.unresolved.arrival(now, &hop, &payer) {
            Arrival::First => {
                let (actions, _) = self.nested(punt.payload(), punt)?;
                self.pay(now, Class::Query, &payer)?;
                let request = Request { opcode, actions, packet: make(punt).into() };
                self.send(opcode, request.actions.clone(), request.packet.to_vec());
                let asked = self.unresolved.ask(now, hop, payer, request);
                for packet in asked.pushed_out {
                    self.drop_waiting(&packet, DropReason::PushedOut);
                }
                if let Some(again) = asked.again {
                    note_failure(&mut self.failures, again);
                }
                if neighbors.learning(&hop) != Learning::Open && self.queries.offer(now, hop, ()).is_err() {
                    self.counters.count(Some(opcode), Event::Untold);
                }
                Ok(None)
            }
            Arrival::Waits => {
                self.counters.count(Some(opcode), Event::Paced);
                Ok(None)
            }
            Arrival::HeldDown => Err(DropReason::HeldDown),
            Arrival::Full => Err(DropReason::NextHopsFull),
        }
    }

    /// Sends a packet on, if its next hop is known, or keeps it until it is.
    fn go_on(
        &mut self,
        now: Instant,
        opcode: Opcode,
        packet_in: Box<PacketIn>,
        hop: NextHop,
        known: Option<EthAddr>,
    ) {
        if let Some(mac) = known {
            self.counters.count(Some(opcode), Event::Known);
            self.resume(opcode, packet_in, mac);
            return;
        }
        match self.unresolved.hold(now, hop, size(&packet_in), (opcode, packet_in)) {
            Held::Kept { pushed_out } => {
                self.counters.count(Some(opcode), Event::Held);
                for packet in pushed_out {
                    self.drop_waiting(&packet, DropReason::PushedOut);
                }
            }
            Held::Refused(packet) => self.drop_waiting(&packet, DropReason::WaitingFull),
        }
    }

    /// Counts a packet that will not go on.
    fn drop_waiting(&mut self, packet: &Paused, reason: DropReason) {
        note_drop(&mut self.counters, packet, reason);
    }

    /// Sends the pieces of a packet on, each as the packet itself would have gone; or an error about it, if it must not be cut.
    fn fragment(&mut self, punt: &Punt<'_>, packet_in: &PacketIn) -> Result<(), DropReason> {
        if !punt.is_paused {
            return Err(DropReason::NotPaused);
        }
        let fragments = match fragment::cut(punt)? {
            Cut::Fragments(fragments) => fragments,
            Cut::Refused(error) => {
                let nested = punt.payload().get(fragment::ARGUMENTS_LEN..).ok_or(DropReason::BadActions)?;
                // Nobody is to be told.
                if nested.is_empty() {
                    return Err(Unfragmentable::DontFragment.into());
                }
                let (actions, _) = self.nested(nested, punt)?;
                self.send(Opcode::FRAGMENT, actions, error);
                return Ok(());
            }
        };
        // A datagram of which a piece is missing is of no use.
        if self.output.len() + fragments.len() > MAX_OUTPUT {
            return Err(DropReason::OutputFull);
        }
        self.counters.count(Some(Opcode::FRAGMENT), Event::Cut);
        self.output.extend(fragments.map(|piece| {
            let piece = PacketIn { packet: piece.to_vec().into(), ..packet_in.clone() };
            Message::Resume(Box::new(piece.into_resume()))
        }));
        Ok(())
    }

    /// Notes a binding, or sets it aside until it is seen that somebody asked for it.
    fn judge(
        &mut self,
        now: Instant,
        opcode: Opcode,
        neighbor: put_mac_binding::Neighbor,
        neighbors: &impl Neighbors,
    ) -> Result<(), DropReason> {
        let unasked = neighbors.learning(&neighbor.hop) == Learning::Tracked { asked: false };
        if unasked && !self.unresolved.holds(&neighbor.hop) {
            // The first wait counts: a host that goes on claiming an address is not kept for ever.
            let replaces = self.early.holds(&neighbor.hop);
            let due = now + MAX_EARLY_WAIT;
            self.early.offer(due, neighbor.hop, neighbor).map_err(|_| DropReason::EarlyFull)?;
            if replaces {
                let port = (neighbor.hop.datapath, neighbor.hop.port);
                self.counters.drop(Some(opcode), Some(port), DropReason::Unsolicited);
            }
            self.counters.count(Some(opcode), Event::Early);
            return Ok(());
        }
        self.learn_binding(now, neighbor, neighbors.mac(&neighbor.hop))?;
        self.counters.count(Some(opcode), Event::Learned);
        Ok(())
    }

    /// Notes a binding: the packets that wait for it go on. A neighbour that is known at another address moves as often as it may, if
    /// that is to give way.
    fn learn_binding(
        &mut self,
        now: Instant,
        neighbor: put_mac_binding::Neighbor,
        known: Option<EthAddr>,
    ) -> Result<(), DropReason> {
        let put_mac_binding::Neighbor { hop, mac, flooded, overrides } = neighbor;
        // What was heard last may still be on its way to the database.
        let last = self.bindings.get(&hop).or_else(|| self.answered.get(&hop)).copied().or(known);
        if !overrides && last.is_some_and(|last| last != mac) {
            return Err(DropReason::NoOverride);
        }
        let delay_max_ms = self.config.race_delay_max.as_millis() as u64;
        let race = flooded && delay_max_ms > 0;
        let delay_ms = if race { self.rng.u64(1..=delay_max_ms) } else { 0 };
        let mut due = now + Duration::from_millis(delay_ms);
        // What counts as a move is a row that changes: claims that replace each other while they wait are none.
        if known.is_some_and(|old| old != mac) {
            due = self.moves.next(now, &hop).max(due);
        }
        self.bindings.offer(due, hop, mac).map_err(|_| DropReason::LearnedFull)?;
        if known.is_none() && (self.unresolved.holds(&hop) || self.answered.holds(&hop)) {
            self.binding_known(&hop, mac);
            // Where there is no room, packets ask again.
            let _ = self.answered.offer(now + ANSWER_LIFETIME, hop, mac);
        }
        Ok(())
    }

    /// A row of MAC_Binding has come, with an address, which is `known` then, or without: somebody asked for the neighbour, and what
    /// it has said of itself meanwhile is believed.
    pub fn asked(&mut self, now: Instant, next_hop: &NextHop, known: Option<EthAddr>) {
        let Some(neighbor) = self.early.take(next_hop) else { return };
        let opcode = put_opcode(next_hop);
        match self.learn_binding(now, neighbor, known) {
            Ok(()) => self.counters.count(Some(opcode), Event::Asked),
            Err(reason) => {
                self.counters.drop(Some(opcode), Some((next_hop.datapath, next_hop.port)), reason);
            }
        }
    }

    /// A row of MAC_Binding says another address than before, whoever wrote it.
    pub fn moved(&mut self, now: Instant, next_hop: NextHop, mac: EthAddr) {
        self.moves.moved(now, next_hop, mac);
    }

    /// Asks a neighbour that is known whether it is still there. Returns whether there was budget for it.
    pub fn probe(&mut self, now: Instant, probe: &Probe) -> bool {
        let opcode = if probe.next_hop.ip.is_ipv4() { Opcode::ARP } else { Opcode::ND_NS };
        let room = self.output.len() < MAX_OUTPUT;
        let message = probe.message().filter(|_| room);
        let sent = message.filter(|_| self.budgets.pay(now, Class::Query, &probe.payer()).is_ok());
        self.counters.count(Some(opcode), if sent.is_some() { Event::Probed } else { Event::NotProbed });
        let paid = sent.is_some();
        self.output.extend(sent);
        paid
    }

    /// Sends a packet that was made, with actions that the switch runs on it.
    fn send(&mut self, opcode: Opcode, actions: Actions, packet: Vec<u8>) {
        self.counters.count(Some(opcode), Event::Answered);
        let packet_out = PacketOut::new(OfPort::CONTROLLER, actions, packet.into());
        self.output.push_back(Message::PacketOut(Box::new(packet_out)));
    }

    /// The same for a packet that is in the middle of a pipeline.
    fn send_in(&mut self, opcode: Opcode, state: Match, actions: Actions, packet: Vec<u8>) {
        self.counters.count(Some(opcode), Event::Answered);
        let packet_out = PacketOut::in_state(state, actions, packet.into());
        self.output.push_back(Message::PacketOut(Box::new(packet_out)));
    }

    /// Sends a packet on through the rest of its pipeline, to `mac`.
    fn resume(&mut self, opcode: Opcode, mut packet_in: Box<PacketIn>, mac: EthAddr) {
        if self.output.len() >= MAX_OUTPUT {
            self.drop_waiting(&(opcode, packet_in), DropReason::OutputFull);
            return;
        }
        if let Some(eth_dst) = packet_in.packet.first_chunk_mut() {
            *eth_dst = mac.0;
        }
        self.counters.count(Some(opcode), Event::Resumed);
        *packet_in = std::mem::take(&mut *packet_in).into_resume();
        self.output.push_back(Message::Resume(packet_in));
    }

    /// A binding is known: the packets that wait for it go on, in the order in which they came.
    ///
    /// To be told of every row of MAC_Binding and Static_MAC_Binding that comes or changes, and of none that goes.
    pub fn binding_known(&mut self, next_hop: &NextHop, mac: EthAddr) {
        self.answered.take(next_hop);
        for (opcode, packet_in) in self.unresolved.resolve(next_hop) {
            self.resume(opcode, packet_in, mac);
        }
    }

    /// Drops all that belongs to ports that are gone: packets that wait for next hops there, and what was learned there,
    /// and their accounts. `gone` names ports by their keys.
    pub fn forget(&mut self, gone: impl Fn(DatapathKey, PortKey) -> bool) {
        let counters = &mut self.counters;
        self.unresolved.forget(
            |hop| gone(hop.datapath, hop.port),
            |packet| note_drop(counters, &packet, DropReason::PortGone),
        );
        self.bindings.retain(|hop, _| !gone(hop.datapath, hop.port));
        self.answered.retain(|hop, _| !gone(hop.datapath, hop.port));
        self.early.retain(|hop, _| {
            let gone = gone(hop.datapath, hop.port);
            if gone {
                let port = (hop.datapath, hop.port);
                self.counters.drop(Some(put_opcode(hop)), Some(port), DropReason::PortGone);
            }
            !gone
        });
        self.queries.retain(|hop, ()| !gone(hop.datapath, hop.port));
        self.moves.forget(|hop| gone(hop.datapath, hop.port));
        self.fdb.retain(|(datapath, _), port| !gone(*datapath, *port));
        self.activated.retain(|(datapath, port)| !gone(*datapath, *port));
        self.counters.forget(&gone);
        self.budgets.forget(|datapath, port| port.is_some_and(|port| gone(datapath, port)));
    }

    /// The switch refused to resume a packet, because it had restarted or forgotten it (Nicira error 35): which one, if that is
    /// known.
    pub fn resume_refused(&mut self, packet: Option<&PacketIn>) {
        let port = packet.and_then(|packet| Metadata::from_match(&packet.metadata).place());
        self.counters.drop(None, port, DropReason::Stale);
    }

    /// The next message to the switch.
    pub fn poll_output(&mut self) -> Option<Message> {
        self.output.pop_front()
    }

    /// What is to be written to the southbound database by now; to be called when a transaction can be made.
    pub fn take_writes(&mut self, now: Instant) -> Vec<Write> {
        if now < self.next_write {
            return Vec::new();
        }
        let bindings = self.bindings.take_due(now).map(|(hop, mac)| Write::MacBinding(hop, mac));
        let queries = self.queries.take_due(now).map(|(hop, ())| Write::Query(hop));
        let fdb = self.fdb.take_due(now).map(|((datapath, mac), port)| Write::Fdb(datapath, mac, port));
        let writes: Vec<Write> = bindings.chain(queries).chain(fdb).collect();
        if !writes.is_empty() {
            self.next_write = now + self.config.write_interval;
        }
        writes
    }

    /// Ports that have shown life since this was last asked: they were blocked until then.
    pub fn take_activated(&mut self) -> BTreeSet<(DatapathKey, PortKey)> {
        std::mem::take(&mut self.activated)
    }

    /// Lets time pass: packets that waited too long go, next hops that gave no answer are asked for again or have failed,
    /// what is due is announced.
    pub fn tick(&mut self, now: Instant) {
        self.announce_due(now);
        self.answered.take_due(now).for_each(drop);
        for (hop, _) in self.early.take_due(now) {
            let port = (hop.datapath, hop.port);
            self.counters.drop(Some(put_opcode(&hop)), Some(port), DropReason::Unsolicited);
        }
        let Responder { unresolved, counters, budgets, failures, output, has_switch, .. } = self;
        unresolved.advance(now, |due| match due {
            Due::TooOld(packet) => {
                note_drop(counters, &packet, DropReason::Unresolved);
                true
            }
            Due::Ask(payer, Request { opcode, actions, packet }) => {
                let room = *has_switch && output.len() < MAX_OUTPUT;
                if !room || budgets.pay(now, Class::Query, payer).is_err() {
                    counters.count(Some(*opcode), Event::NotAsked);
                    return false;
                }
                counters.count(Some(*opcode), Event::Answered);
                let packet_out = PacketOut::new(OfPort::CONTROLLER, actions.clone(), packet.clone());
                output.push_back(Message::PacketOut(Box::new(packet_out)));
                true
            }
            Due::Failed(failure) => {
                let opcode = if failure.next_hop.ip.is_ipv4() { Opcode::ARP } else { Opcode::ND_NS };
                counters.count(Some(opcode), Event::Failed);
                note_failure(failures, failure);
                true
            }
        });
    }

    /// The next hops that gave no answer since this was last asked, oldest first. Those that were resolved meanwhile are among
    /// them: what is known of neighbours comes first.
    pub fn take_failures(&mut self) -> Vec<Failure> {
        self.failures.drain(..).collect()
    }

    /// What ACLs have logged since this was last asked.
    pub fn take_logs(&mut self) -> Vec<String> {
        std::mem::take(&mut self.logs)
    }

    /// Of the packets that wait for a next hop which has failed, those go whose routers tell senders so, and the senders are
    /// told. The others go on waiting: a late answer is as good as any.
    pub fn tell_unreachable(&mut self, now: Instant, next_hop: &NextHop, neighbors: &impl Neighbors) {
        let told =
            |(_, packet_in): &Paused| unreachable::speaker(&Punt::read(packet_in), neighbors).is_some();
        for packet in self.unresolved.give_up(next_hop, told) {
            self.drop_waiting(&packet, DropReason::Unresolved);
            let punt = Punt::read(&packet.1);
            if let Err(reason) = self.tell(now, &punt, neighbors) {
                self.counters.drop(Some(Opcode::HELD_DOWN), punt.metadata.place(), reason);
            }
        }
    }

    /// Tells the sender of a packet that its next hop gives no answer.
    fn tell(&mut self, now: Instant, punt: &Punt<'_>, neighbors: &impl Neighbors) -> Result<(), DropReason> {
        self.counters.count(Some(Opcode::HELD_DOWN), Event::Received);
        self.admit()?;
        self.pay(now, Class::Unreachable, &payer(punt))?;
        self.unreachable(punt, neighbors)
    }

    fn unreachable(&mut self, punt: &Punt<'_>, neighbors: &impl Neighbors) -> Result<(), DropReason> {
        let speaker = unreachable::speaker(punt, neighbors).ok_or(DropReason::HeldDown)?;
        let packet = unreachable::about(punt, speaker)?;
        self.send(Opcode::HELD_DOWN, unreachable::routed(punt)?, packet);
        Ok(())
    }

    /// What was paid for and what was refused.
    pub fn budgets(&self) -> &Budgets {
        &self.budgets
    }

    /// When [`Responder::tick`] or [`Responder::take_writes`] next have something to do.
    pub fn deadline(&self) -> Option<Instant> {
        let learned = [self.bindings.deadline(), self.queries.deadline(), self.fdb.deadline()];
        let write = learned.into_iter().flatten().min().map(|due| due.max(self.next_write));
        [write, self.tick_deadline()].into_iter().flatten().min()
    }

    /// When [`Responder::tick`] next has something to do: while no transaction can be made, that alone is worth waking for.
    pub fn tick_deadline(&self) -> Option<Instant> {
        let waits = [self.answered.deadline(), self.early.deadline(), self.unresolved.deadline()];
        waits.into_iter().chain([self.announce_deadline()]).flatten().min()
    }

    /// What was done and what was dropped.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// How full the queues are.
    pub fn load(&self) -> Load {
        Load {
            next_hops: self.unresolved.next_hops(),
            waiting_packets: self.unresolved.packets(),
            waiting_bytes: self.unresolved.bytes(),
            pending_bindings: self.bindings.len(),
            early_bindings: self.early.len(),
            pending_queries: self.queries.len(),
            pending_fdb: self.fdb.len(),
            activated: self.activated.len(),
            output: self.output.len(),
            failures: self.failures.len(),
            announcements: self.announcer.len(),
            adverts: self.advertiser.len(),
            logs: self.logs.len(),
        }
    }
}

/// What a packet takes up while it waits, with what the switch wants back.
fn size(packet_in: &PacketIn) -> Size {
    let PacketIn { packet, userdata, continuation, .. } = packet_in;
    let continuation = continuation.as_ref().map_or(0, |bytes| bytes.len());
    Size {
        len: size_of::<PacketIn>() + packet.len() + userdata.len() + continuation,
        datagram: Packet::parse(packet).datagram(),
    }
}

/// Counts a packet that waited, or would have, and will not go on.
fn note_drop(counters: &mut Counters, (opcode, packet_in): &Paused, reason: DropReason) {
    counters.drop(Some(*opcode), Metadata::from_match(&packet_in.metadata).place(), reason);
}

/// Keeps a failure until it is taken; of too many, the oldest goes.
fn note_failure(failures: &mut VecDeque<Failure>, failure: Failure) {
    if failures.len() >= MAX_FAILURES {
        failures.pop_front();
    }
    failures.push_back(failure);
}

/// What tells of a neighbour.
fn put_opcode(next_hop: &NextHop) -> Opcode {
    if next_hop.ip.is_ipv4() { Opcode::PUT_ARP } else { Opcode::PUT_ND }
}

/// How full the queues are, each beside its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Load {
    /// Next hops that packets wait for: at most [`MAX_NEXT_HOPS`](crate::MAX_NEXT_HOPS).
    pub next_hops: usize,
    /// Packets that wait, of those in pieces each piece: at most [`MAX_PACKETS_PER_NEXT_HOP`](crate::MAX_PACKETS_PER_NEXT_HOP) for each
    /// next hop, and [`MAX_FRAGMENTS_PER_NEXT_HOP`](crate::MAX_FRAGMENTS_PER_NEXT_HOP) pieces.
    pub waiting_packets: usize,
    /// Their bytes, and what goes back to the switch with them: at most [`MAX_WAITING_BYTES`](crate::MAX_WAITING_BYTES).
    pub waiting_bytes: usize,
    /// Bindings that wait to be written: at most [`MAX_PENDING`](crate::MAX_PENDING).
    pub pending_bindings: usize,
    /// Bindings that wait for their queries to be seen: at most [`MAX_EARLY`].
    pub early_bindings: usize,
    /// Queries that wait to be written: at most [`MAX_NEXT_HOPS`](crate::MAX_NEXT_HOPS).
    pub pending_queries: usize,
    /// Forwarding database entries that wait to be written: at most [`MAX_PENDING`](crate::MAX_PENDING).
    pub pending_fdb: usize,
    /// Ports that have shown life and wait to be taken: at most [`MAX_PENDING`](crate::MAX_PENDING).
    pub activated: usize,
    /// Messages that wait to be taken: at most [`MAX_OUTPUT`].
    pub output: usize,
    /// Failures that wait to be taken: at most [`MAX_FAILURES`].
    pub failures: usize,
    /// Addresses that are announced: at most [`MAX_ANNOUNCEMENTS`](crate::MAX_ANNOUNCEMENTS).
    pub announcements: usize,
    /// Routers that advertise themselves: as many as there are ports.
    pub adverts: usize,
    /// Lines of ACLs' logs that wait to be taken: at most [`MAX_LOGS`].
    pub logs: usize,
}
