//! A switch: `testkit`'s naive interpreter with ports, tunnels and OpenFlow connections, and the part of `ovs-vswitchd`
//! that gives interfaces their port numbers.
//!
//! | file | what it holds |
//! |---|---|
//! | `mod` | ports, and frames that come and go |
//! | `openflow` | connections, and what a controller asks for |
//! | `meter` | rates |

mod meter;
mod openflow;

use crate::frame;
use kiln_openflow::msg::{Message, Meter, PacketIn, TlvMapping};
use kiln_openflow::{Actions, Field, Match, Xid};
use kiln_packet::FlowKey;
use kiln_testkit::interpreter::{self, Continuation, Packet, Tracker};
use kiln_types::{Instant, OfPort};
use meter::Meters;
use openflow::Connection;
use std::collections::BTreeMap;
use std::net::IpAddr;

/// Pipelines that wait for a controller. Open vSwitch keeps none: the controller has them. When there are more, the oldest
/// are as good as stale.
const MAX_PAUSED: usize = 65_536;
/// The option of OVN's tunnels: class and type of Geneve.
const OPTION: (u16, u8) = (kiln_abi::tunnel::GENEVE_OPTION_CLASS, kiln_abi::tunnel::GENEVE_OPTION_TYPE);

/// What a port leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Port {
    /// The host of this number.
    Host(usize),
    /// The chassis with this tunnel address.
    Tunnel(IpAddr),
}

/// What a frame carries through a tunnel beside itself (RFC 8926).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TunnelHeader {
    /// The virtual network identifier.
    pub(crate) key: u64,
    /// OVN's option.
    pub(crate) option: u32,
}

/// What leaves a switch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Output {
    /// A frame for a host.
    ToHost(usize, Vec<u8>),
    /// A frame for another chassis.
    ToChassis(IpAddr, TunnelHeader, Vec<u8>),
}

/// What a switch has counted since the world began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Questions for neighbours that its controller sent.
    pub queries: u64,
    /// Packets that went to the controller.
    pub packet_ins: u64,
    /// Flows that were added, changed or deleted.
    pub flow_changes: u64,
    /// Flows that were changed to name another meter that does just the same.
    pub renumbered: u64,
    /// Resumes of pipelines that no longer waited here.
    pub stale_resumes: u64,
    /// Packets that looped, or met an action that the interpreter does not have.
    pub failures: u64,
}

/// A switch.
pub(crate) struct Switch {
    pipeline: interpreter::Switch,
    tracker: Tracker,
    meters: Meters,
    options: Vec<TlvMapping>,
    ports: BTreeMap<OfPort, Port>,
    connections: BTreeMap<u64, Connection>,
    paused: BTreeMap<u64, Paused>,
    /// Counts pipelines that waited, from one start to the next, so that an old number means nothing after a restart.
    next_paused: u64,
    out: Vec<Output>,
    counters: Counters,
    /// What went wrong first, for a person to read.
    pub(crate) complaint: Option<String>,
}

/// A pipeline that waits.
struct Paused {
    packet: Packet,
    rest: Continuation,
}

/// What the pipeline asks outside of its flows.
struct Outside<'a> {
    now: Instant,
    tracker: &'a mut Tracker,
    meters: &'a mut Meters,
}

impl interpreter::World for Outside<'_> {
    fn now(&self) -> Instant {
        self.now
    }

    fn track(&mut self, packet: &mut Packet, ct: &kiln_openflow::action::Ct, zone: u16) {
        self.tracker.track(packet, ct, zone);
    }

    fn passes(&mut self, meter: u32) -> bool {
        self.meters.passes(self.now, meter)
    }
}

impl Switch {
    pub(crate) fn new() -> Switch {
        Switch {
            pipeline: interpreter::Switch::default(),
            tracker: Tracker::default(),
            meters: Meters::default(),
            options: Vec::new(),
            ports: BTreeMap::new(),
            connections: BTreeMap::new(),
            paused: BTreeMap::new(),
            next_paused: 0,
            out: Vec::new(),
            counters: Counters::default(),
            complaint: None,
        }
    }

    /// Starts again: its ports are configured, everything else is gone.
    pub(crate) fn restart(&mut self) {
        let Switch { ports, next_paused, counters, complaint, .. } = std::mem::replace(self, Switch::new());
        *self = Switch { ports, next_paused, counters, complaint, ..Switch::new() };
    }

    pub(crate) fn set_ports(&mut self, ports: BTreeMap<OfPort, Port>) {
        self.ports = ports;
    }

    pub(crate) fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(crate) fn pipeline(&self) -> &interpreter::Switch {
        &self.pipeline
    }

    pub(crate) fn meter(&self, id: u32) -> Option<&Meter> {
        self.meters.all().find(|meter| meter.meter_id == id)
    }

    /// What is to be sent.
    pub(crate) fn take_outputs(&mut self) -> Vec<Output> {
        std::mem::take(&mut self.out)
    }

    /// A frame has come from a host.
    pub(crate) fn receive_from_host(&mut self, now: Instant, host: usize, bytes: &[u8]) {
        if let Some(port) = self.port_to(&Port::Host(host)) {
            self.receive(now, port, None, bytes);
        }
    }

    /// A frame has come through a tunnel.
    pub(crate) fn receive_from_chassis(
        &mut self,
        now: Instant,
        from: IpAddr,
        header: TunnelHeader,
        bytes: &[u8],
    ) {
        if let Some(port) = self.port_to(&Port::Tunnel(from)) {
            self.receive(now, port, Some(header), bytes);
        }
    }

    fn port_to(&self, to: &Port) -> Option<OfPort> {
        self.ports.iter().find(|(_, port)| *port == to).map(|(number, _)| *number)
    }

    fn receive(&mut self, now: Instant, port: OfPort, header: Option<TunnelHeader>, bytes: &[u8]) {
        let mut packet = frame::fields(bytes);
        packet.set(Field::IN_PORT_OXM, port.0.into());
        if let Some(header) = header {
            packet.set(Field::TUN_ID, header.key.into());
            if let Some(field) = self.option_field() {
                packet.set(field, header.option.into());
            }
        }
        let mut outside = Outside { now, tracker: &mut self.tracker, meters: &mut self.meters };
        let events = self.pipeline.run(packet, &mut outside);
        self.obey(events, bytes);
    }

    /// The field that OVN's option is mapped to.
    fn option_field(&self) -> Option<Field> {
        let mapped = self.options.iter().find(|m| (m.option_class, m.option_type) == OPTION)?;
        Some(Field::tun_metadata(mapped.index as u8, mapped.option_len))
    }

    /// A controller's packet, with actions that are done first.
    fn packet_out(
        &mut self,
        now: Instant,
        in_port: OfPort,
        metadata: &Match,
        actions: &Actions,
        bytes: &[u8],
    ) {
        let key = FlowKey::extract(bytes);
        let is_request = key.eth_type == kiln_packet::ethertype::ARP && key.nw_proto == 1;
        self.counters.queries += u64::from(is_request || key.is_neighbor_solicit());
        let mut packet = frame::fields(bytes);
        for value in metadata {
            packet.write(&value);
        }
        packet.set(Field::IN_PORT_OXM, in_port.0.into());
        let mut outside = Outside { now, tracker: &mut self.tracker, meters: &mut self.meters };
        let events = self.pipeline.run_actions(actions, packet, &mut outside);
        self.obey(events, bytes);
    }

    /// A controller gives a packet back that waited. False if it no longer does.
    fn resume(&mut self, now: Instant, packet_in: &PacketIn) -> bool {
        let number = packet_in
            .continuation
            .as_deref()
            .and_then(|bytes| Some(u64::from_be_bytes(bytes.try_into().ok()?)));
        let Some(Paused { mut packet, rest }) = number.and_then(|number| self.paused.remove(&number)) else {
            self.counters.stale_resumes += 1;
            return false;
        };
        frame::set_fields(&mut packet, &FlowKey::extract(&packet_in.packet));
        for value in &packet_in.metadata {
            packet.write(&value);
        }
        packet.len = packet_in.packet.len();
        let mut outside = Outside { now, tracker: &mut self.tracker, meters: &mut self.meters };
        let events = self.pipeline.resume(rest, packet, &mut outside);
        self.obey(events, &packet_in.packet);
        true
    }

    /// Does what came of a frame.
    fn obey(&mut self, events: Vec<interpreter::Event>, bytes: &[u8]) {
        for event in events {
            match event {
                interpreter::Event::Output { port, packet } => self.output(port, &packet, bytes),
                interpreter::Event::Controller { userdata, packet, rest } => {
                    self.packet_in(userdata, packet, rest, bytes);
                }
                interpreter::Event::Sample { .. } => {}
                interpreter::Event::TooManyLookups => self.fail(|| "a packet loops".into()),
                interpreter::Event::Unsupported(what) => self.fail(|| what),
            }
        }
    }

    fn fail(&mut self, what: impl FnOnce() -> String) {
        self.counters.failures += 1;
        self.complaint.get_or_insert_with(what);
    }

    fn output(&mut self, port: OfPort, packet: &Packet, bytes: &[u8]) {
        if packet.is_wrapped() {
            // Frames are made of the bytes that came in, where such headers have no place.
            return self.fail(|| "a packet leaves with headers that were put in front of it".into());
        }
        let sent = frame::rewritten(bytes, packet);
        match self.ports.get(&port) {
            Some(Port::Host(host)) => self.out.push(Output::ToHost(*host, sent)),
            Some(Port::Tunnel(to)) => {
                let option = self.option_field().map_or(0, |field| packet.get(field) as u32);
                let header = TunnelHeader { key: packet.get(Field::TUN_ID) as u64, option };
                self.out.push(Output::ToChassis(*to, header, sent));
            }
            None => {}
        }
    }

    fn packet_in(&mut self, userdata: Box<[u8]>, packet: Packet, rest: Option<Continuation>, bytes: &[u8]) {
        let metadata = pipeline_fields(&packet);
        let frame = frame::rewritten(bytes, &packet);
        let continuation = rest.map(|rest| {
            let number = self.next_paused;
            self.next_paused += 1;
            self.paused.insert(number, Paused { packet, rest });
            if self.paused.len() > MAX_PAUSED {
                self.paused.pop_first();
            }
            number.to_be_bytes().into()
        });
        let packet_in = PacketIn {
            packet: frame.into(),
            reason: PacketIn::REASON_ACTION,
            metadata,
            userdata,
            continuation,
            ..PacketIn::default()
        };
        self.counters.packet_ins += 1;
        let message = Message::PacketIn(Box::new(packet_in));
        for connection in self.connections.values_mut().filter(|connection| connection.wants_packets) {
            // A connection that is not ready gets none.
            let _ = connection.session.reply(Xid(0), &message);
        }
    }
}

/// What the pipeline knows of a packet beside the packet itself.
fn pipeline_fields(packet: &Packet) -> Match {
    let mut fields = Match::builder();
    let mut say = |field: Field| {
        let value = packet.get(field);
        if value != 0 {
            fields.exact(field, value);
        }
    };
    for field in [
        Field::IN_PORT_OXM,
        Field::METADATA,
        Field::TUN_ID,
        Field::CT_STATE,
        Field::CT_ZONE,
        Field::CT_MARK,
        Field::CT_LABEL,
    ] {
        say(field);
    }
    (0..8).map(Field::xreg).for_each(say);
    fields.build()
}
