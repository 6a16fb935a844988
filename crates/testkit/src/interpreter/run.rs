//! What flows and actions do.

use super::packet::{PORT_UNSET, Packet};
use super::tables::{Flow, Tables};
use kiln_openflow::action::{Action, Ct, CtZone, Learn, LearnDst, LearnSrc, Sample, SampleArg};
use kiln_openflow::msg::{Bucket, Group};
use kiln_openflow::{Actions, Field, FieldValue, Instruction, Match};
use kiln_types::{Instant, OfPort};
use std::collections::{BTreeMap, VecDeque};

/// How many look-ups one packet may take (ovs-actions(7), resubmit: 4,096 in all, 64 deep, where going on to a later table
/// does not count as deeper).
const MAX_LOOKUPS: usize = 4096;
const MAX_DEPTH: usize = 64;

/// What came of a packet, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It left.
    Output {
        /// By which port.
        port: OfPort,
        /// As what, cut to that length.
        packet: Packet,
    },
    /// A controller got it.
    Controller {
        /// What the packet-in carries back.
        userdata: Box<[u8]>,
        /// As what.
        packet: Packet,
        /// What is still to be done, if the pipeline waits for an answer.
        rest: Option<Continuation>,
    },
    /// It was sampled.
    Sample {
        /// For these collectors.
        collector_set: u32,
        /// From this observation domain.
        domain: u32,
        /// At this point of it.
        point: u32,
    },
    /// It was looked up too often.
    TooManyLookups,
    /// An action that this switch does not have, as the stock tools write it, or that it refuses to do to this packet, and
    /// why (ovs-actions(7), "Error handling"). The packet ends there.
    Unsupported(String),
}

/// What is left of a pipeline that waits for a controller; [`Switch::resume`] goes on with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Continuation {
    /// The innermost list first.
    lists: Vec<List>,
    stack: Vec<u128>,
    set: Vec<Action>,
}

/// What is left of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
enum List {
    Actions(u8, Vec<Action>),
    Instructions(u8, Vec<Instruction>),
}

/// What a switch asks the world outside of its flows.
pub trait World {
    /// The time, for what flows count.
    fn now(&self) -> Instant {
        Instant::ZERO
    }

    /// Sends the packet through the connection tracker: its `ct_` fields, and what is translated, change.
    fn track(&mut self, packet: &mut Packet, ct: &Ct, zone: u16);

    /// Which of `n` choices a hash of the packet falls on.
    fn choose(&mut self, packet: &Packet, n: usize) -> usize {
        let _ = (packet, n);
        0
    }

    /// Whether the meter lets the packet pass.
    fn passes(&mut self, meter: u32) -> bool {
        let _ = meter;
        true
    }

    /// Whether a port or group is alive.
    fn is_alive(&mut self, port: Option<OfPort>, group: Option<u32>) -> bool {
        let _ = (port, group);
        true
    }
}

/// Flows and groups.
#[derive(Clone, Debug, Default)]
pub struct Switch {
    /// The flows.
    pub tables: Tables,
    /// The groups, by number.
    pub groups: BTreeMap<u32, Group>,
}

/// A packet on its way.
struct Run<'a> {
    switch: &'a mut Switch,
    world: &'a mut dyn World,
    events: Vec<Event>,
    lookups: usize,
    stack: Vec<u128>,
    /// Actions that end the pipeline (OpenFlow 1.5.1, section 5.6).
    set: Vec<Action>,
    /// Copies that the connection tracker sends back to a table.
    tracked: VecDeque<(u8, Packet, Vec<u128>)>,
    /// The packet-in that the pipeline is about to wait for, and the lists that were broken off on the way out.
    pausing: Option<(Box<[u8]>, Vec<List>)>,
}

/// Whether the list goes on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Flowing {
    On,
    /// The flow's actions end, but whatever called it goes on.
    Returned,
    /// Everything ends. With `exit` the action set too, whatever ovs-actions(7) says: that is what Open vSwitch does.
    Ended,
    /// It waits for a controller, and so does whatever called it.
    Paused,
}
use Flowing::{Ended, On, Paused, Returned};

impl Switch {
    /// Adds a flow from the stock tools' text.
    ///
    /// # Panics
    /// If a text is none of theirs.
    #[track_caller]
    pub fn add(&mut self, table: u8, priority: u16, flow_match: &str, actions: &str) {
        let flow_match = flow_match.parse().unwrap_or_else(|e| panic!("{flow_match}: {e}"));
        let actions: Actions = match actions {
            "drop" => Actions::none(),
            text => text.parse().unwrap_or_else(|e| panic!("{text}: {e}")),
        };
        self.tables.add(Flow { table, priority, flow_match, instructions: actions.into(), cookie: 0 });
    }

    /// What comes of a packet that enters at table 0.
    pub fn run(&mut self, packet: Packet, world: &mut dyn World) -> Vec<Event> {
        self.run_at(0, packet, world)
    }

    /// What comes of a packet that enters at `table`.
    pub fn run_at(&mut self, table: u8, packet: Packet, world: &mut dyn World) -> Vec<Event> {
        let mut run = Run::new(self, world);
        run.tracked.push_back((table, packet, Vec::new()));
        run.finish()
    }

    /// What comes of a packet that a controller sends: its actions are done first.
    pub fn run_actions(&mut self, actions: &Actions, packet: Packet, world: &mut dyn World) -> Vec<Event> {
        self.resume(Continuation::from_actions(actions), packet, world)
    }

    /// Goes on where a pipeline waited, with the packet that the controller gives back.
    pub fn resume(&mut self, rest: Continuation, mut packet: Packet, world: &mut dyn World) -> Vec<Event> {
        let mut run = Run::new(self, world);
        (run.stack, run.set) = (rest.stack, rest.set);
        let mut lists = rest.lists.into_iter();
        let mut flowing = On;
        while flowing == On
            && let Some(list) = lists.next()
        {
            let of_flow = matches!(list, List::Actions(..));
            flowing = match list {
                List::Actions(table, actions) => run.list(actions, table, &mut packet, 0),
                List::Instructions(table, rest) => run.instructions(rest, table, &mut packet, 0),
            };
            if flowing == Returned {
                flowing = On;
                // Behind a flow's actions come its other instructions, and then what called it.
                if of_flow {
                    lists.next();
                }
            }
        }
        if let Some((_, broken_off)) = &mut run.pausing {
            broken_off.extend(lists);
        }
        run.end(flowing, 0, packet);
        run.finish()
    }
}

impl Continuation {
    fn from_actions(actions: &Actions) -> Continuation {
        let lists = vec![List::Actions(0, actions.iter().collect())];
        Continuation { lists, stack: Vec::new(), set: Vec::new() }
    }
}

/// The order in which an action set is executed (ovs-actions(7), "Action sets"; copies of the time to live and
/// backbone tags, which are not there, as in OpenFlow 1.5.1, section 5.6).
fn ordered(mut set: Vec<Action>) -> Vec<Action> {
    set.sort_by_key(|action| match action {
        Action::CopyTtlIn => 0,
        Action::PopVlan => 1,
        Action::PopPbb => 2,
        Action::PopMpls(_) => 3,
        Action::Decap(_) => 4,
        Action::Encap { .. } => 5,
        Action::PushMpls(_) => 6,
        Action::PushPbb(_) => 7,
        Action::PushVlan(_) => 8,
        Action::CopyTtlOut => 9,
        Action::DecTtl | Action::DecTtlCntIds(_) => 10,
        Action::DecMplsTtl => 11,
        Action::DecNshTtl => 12,
        Action::SetQueue(_) => 14,
        Action::Group(_) => 15,
        Action::Output { .. } => 16,
        _ => 13,
    });
    // A group goes before an output, which it replaces.
    if set.iter().any(|a| matches!(a, Action::Group(_))) {
        set.retain(|a| !matches!(a, Action::Output { .. }));
    }
    set
}

impl<'a> Run<'a> {
    fn new(switch: &'a mut Switch, world: &'a mut dyn World) -> Run<'a> {
        Run {
            switch,
            world,
            events: Vec::new(),
            lookups: 0,
            stack: Vec::new(),
            set: Vec::new(),
            tracked: VecDeque::new(),
            pausing: None,
        }
    }

    /// Runs the copies that the connection tracker sends back, until there are none.
    fn finish(mut self) -> Vec<Event> {
        while let Some((table, mut packet, stack)) = self.tracked.pop_front() {
            self.stack = stack;
            let flowing = self.table(table, &mut packet, 0);
            self.end(flowing, table, packet);
        }
        self.events
    }

    /// The outermost list has ended: what was put off is done, or the packet waits.
    fn end(&mut self, flowing: Flowing, table: u8, mut packet: Packet) {
        if matches!(flowing, On | Returned) {
            let set = ordered(std::mem::take(&mut self.set));
            self.list(set, table, &mut packet, 0);
        }
        self.freeze(packet);
        self.set.clear();
    }

    /// Hands a packet whose pipeline was broken off to the controller.
    fn freeze(&mut self, packet: Packet) {
        let Some((userdata, lists)) = self.pausing.take() else { return };
        let (stack, set) = (self.stack.clone(), std::mem::take(&mut self.set));
        let rest = Some(Continuation { lists, stack, set });
        self.events.push(Event::Controller { userdata, packet, rest });
    }

    /// Acts on a copy, whose end is not the packet's.
    fn copy(&mut self, actions: &Actions, table: u8, packet: &Packet, depth: usize) {
        let (mut copy, stack) = (packet.clone(), self.stack.clone());
        if self.list(actions.iter().collect(), table, &mut copy, depth) == Paused {
            self.freeze(copy);
        }
        self.stack = stack;
    }

    fn table(&mut self, table: u8, packet: &mut Packet, depth: usize) -> Flowing {
        let seen = packet.clone();
        self.table_as(table, &seen, packet, depth)
    }

    /// Looks up what is `seen`, and acts on the packet.
    fn table_as(&mut self, table: u8, seen: &Packet, packet: &mut Packet, depth: usize) -> Flowing {
        self.lookups += 1;
        if self.lookups > MAX_LOOKUPS || depth > MAX_DEPTH {
            self.events.push(Event::TooManyLookups);
            return Ended;
        }
        let now = self.world.now();
        let Some(flow) = self.switch.tables.meet(now, table, seen) else { return On };
        let instructions = flow.instructions.to_vec();
        match self.instructions(instructions, table, packet, depth) {
            Returned => On,
            flowing => flowing,
        }
    }

    fn instructions(
        &mut self,
        instructions: Vec<Instruction>,
        table: u8,
        packet: &mut Packet,
        depth: usize,
    ) -> Flowing {
        let mut rest = instructions.into_iter();
        while let Some(instruction) = rest.next() {
            let flowing = match instruction {
                Instruction::ApplyActions(actions) => {
                    self.list(actions.iter().collect(), table, packet, depth)
                }
                Instruction::GotoTable(next) => self.table(next, packet, depth),
                Instruction::WriteMetadata { value, mask } => {
                    packet.write(&FieldValue::masked(Field::METADATA, value.into(), mask.into()));
                    On
                }
                Instruction::WriteActions(actions) => {
                    for action in &actions {
                        let kind = std::mem::discriminant(&action);
                        let field =
                            |a: &Action| if let Action::SetField(v) = a { Some(v.field) } else { None };
                        self.set.retain(|a| std::mem::discriminant(a) != kind || field(a) != field(&action));
                        self.set.push(action);
                    }
                    self.say_output(packet);
                    On
                }
                Instruction::ClearActions => {
                    self.set.clear();
                    self.say_output(packet);
                    On
                }
                Instruction::Meter(meter) if self.world.passes(meter) => On,
                Instruction::Meter(_) => Ended,
                Instruction::Unknown(bytes) => self.unsupported(format!("instruction {bytes:02x?}")),
            };
            if let (Paused, Some((_, lists))) = (flowing, &mut self.pausing) {
                lists.push(List::Instructions(table, rest.by_ref().collect()));
            }
            if flowing != On {
                return flowing;
            }
        }
        On
    }

    /// Says in the packet's field where the action set sends it. A group has no number there.
    fn say_output(&self, packet: &mut Packet) {
        let to_group = self.set.iter().any(|action| matches!(action, Action::Group(_)));
        let port = self.set.iter().find_map(|action| match action {
            Action::Output { port, .. } if !to_group => Some(port.0),
            _ => None,
        });
        packet.set(Field::ACTSET_OUTPUT, port.map_or(PORT_UNSET, u128::from));
    }

    fn unsupported(&mut self, text: String) -> Flowing {
        self.events.push(Event::Unsupported(text));
        Ended
    }

    fn list(&mut self, actions: Vec<Action>, table: u8, packet: &mut Packet, depth: usize) -> Flowing {
        let mut rest = actions.into_iter();
        while let Some(action) = rest.next() {
            if let Action::Exit = action {
                return Ended;
            }
            let flowing = self.action(action, table, packet, depth);
            if let (Paused, Some((_, lists))) = (flowing, &mut self.pausing) {
                lists.push(List::Actions(table, rest.by_ref().collect()));
            }
            if flowing != On {
                return flowing;
            }
        }
        On
    }

    fn action(&mut self, action: Action, table: u8, packet: &mut Packet, depth: usize) -> Flowing {
        match action {
            Action::Output { port, max_len } => return self.output(port, max_len, packet),
            Action::OutputTrunc { port, max_len } => {
                self.leave(port, packet.cut(max_len as usize));
            }
            Action::OutputReg { src, max_len } => {
                let port = OfPort(packet.bits(&src) as u32);
                return self.output(port, max_len, packet);
            }
            Action::Group(id) => return self.group(id, table, packet, depth),
            Action::Meter(meter) => return if self.world.passes(meter) { On } else { Ended },
            Action::Resubmit { port, table: to, ct } => {
                let mut seen = packet.clone();
                if port != OfPort::IN_PORT {
                    seen.set(Field::IN_PORT_OXM, port.0.into());
                }
                if ct {
                    seen = as_first_packet(seen);
                }
                let to = to.unwrap_or(table);
                return self.table_as(to, &seen, packet, depth + usize::from(to <= table));
            }
            Action::Clone(actions) => self.copy(&actions, table, packet, depth),
            Action::Controller(to) if to.pause => {
                self.pausing = Some((to.userdata.clone(), Vec::new()));
                return Paused;
            }
            Action::Controller(to) => self.events.push(Event::Controller {
                userdata: to.userdata.clone(),
                packet: packet.clone(),
                rest: None,
            }),
            Action::Ct(ct) => self.track(&ct, packet),
            Action::CtClear => forget_connection(packet),
            Action::Learn(learn) => self.learn(&learn, packet),
            Action::Sample(sample) => self.sample(&sample, packet),
            Action::CheckPktLarger { pkt_len, dst } => {
                packet.set_bits(&dst, u128::from(packet.len > usize::from(pkt_len)));
            }
            Action::StackPush(bits) => self.stack.push(packet.bits(&bits)),
            Action::StackPop(bits) => {
                // An empty stack leaves the field alone.
                if let Some(value) = self.stack.pop() {
                    packet.set_bits(&bits, value);
                }
            }
            Action::Bundle(bundle) => {
                let Some(member) = self.member(&bundle.members, packet) else { return On };
                match &bundle.dst {
                    Some(dst) => packet.set_bits(dst, member.0.into()),
                    None => return self.output(member, 0, packet),
                }
            }
            Action::Multipath(multipath) => {
                let links = usize::from(multipath.max_link) + 1;
                let link = self.world.choose(packet, links);
                packet.set_bits(&multipath.dst, link as u128);
            }
            Action::DecTtl | Action::DecTtlCntIds(_) => return self.dec_ttl(Field::NW_TTL, &action, packet),
            Action::DecMplsTtl => return self.dec_ttl(Field::MPLS_TTL, &action, packet),
            Action::DecNshTtl => return self.dec_ttl(Field::NSH_TTL, &action, packet),
            other => return self.header(other, packet),
        }
        On
    }

    /// Actions on headers and on the pipeline's fields.
    fn header(&mut self, action: Action, packet: &mut Packet) -> Flowing {
        match action {
            Action::SetField(value) => packet.write(&value),
            Action::CopyField { src, dst } => {
                let value = packet.bits(&src);
                packet.set_bits(&dst, value);
            }
            Action::WriteMetadata { value, mask } => {
                packet.write(&FieldValue::masked(Field::METADATA, value.into(), mask.into()));
            }
            Action::SetQueue(queue) => packet.queue = queue,
            Action::PopQueue => packet.queue = 0,
            Action::SetNwTtl(ttl) => packet.set(Field::NW_TTL, ttl.into()),
            Action::SetMplsTtl(ttl) => packet.set(Field::MPLS_TTL, ttl.into()),
            Action::DeleteField(field) => packet.set(field, 0),
            Action::Note(_)
            | Action::FinTimeout { .. }
            | Action::Conjunction { .. }
            | Action::Nat(_)
            | Action::DebugRecirc
            | Action::DebugSlow => {}
            other => match packet.reshape(other) {
                Ok(None) => {}
                Ok(Some(unknown)) => return self.unsupported(unknown.to_string()),
                Err(why) => return self.unsupported(why),
            },
        }
        On
    }

    fn output(&mut self, port: OfPort, max_len: u16, packet: &Packet) -> Flowing {
        let in_port = OfPort(packet.get(Field::IN_PORT_OXM) as u32);
        match port {
            OfPort::CONTROLLER => self.events.push(Event::Controller {
                userdata: Box::default(),
                packet: packet.cut(max_len.into()),
                rest: None,
            }),
            OfPort::IN_PORT => self.leave(in_port, packet.clone()),
            // A packet never leaves where it came in, unless that is said.
            port if port != in_port => self.leave(port, packet.clone()),
            _ => {}
        }
        On
    }

    fn leave(&mut self, port: OfPort, packet: Packet) {
        self.events.push(Event::Output { port, packet });
    }

    fn member(&mut self, members: &[OfPort], packet: &Packet) -> Option<OfPort> {
        let alive: Vec<OfPort> =
            members.iter().copied().filter(|port| self.world.is_alive(Some(*port), None)).collect();
        if alive.is_empty() {
            return None;
        }
        let chosen = self.world.choose(packet, alive.len());
        alive.get(chosen).copied()
    }

    fn group(&mut self, id: u32, table: u8, packet: &mut Packet, depth: usize) -> Flowing {
        let Some(group) = self.switch.groups.get(&id).cloned() else { return On };
        let alive =
            |run: &mut Self, bucket: &&Bucket| run.world.is_alive(bucket.watch_port, bucket.watch_group);
        let buckets: Vec<&Bucket> = match group.typ {
            Group::ALL | Group::INDIRECT => group.buckets.iter().collect(),
            Group::SELECT => {
                let alive: Vec<&Bucket> =
                    group.buckets.iter().filter(|b| b.weight != Some(0) && alive(self, b)).collect();
                let chosen = if alive.is_empty() { 0 } else { self.world.choose(packet, alive.len()) };
                alive.get(chosen).copied().into_iter().collect()
            }
            _ => group.buckets.iter().find(|bucket| alive(self, bucket)).into_iter().collect(),
        };
        for bucket in buckets {
            self.copy(&bucket.actions, table, packet, depth + 1);
        }
        On
    }

    /// The copy that is tracked starts again at a table; this packet stays as it is, but untracked.
    fn track(&mut self, ct: &Ct, packet: &mut Packet) {
        let zone = match &ct.zone {
            CtZone::Imm(zone) => *zone,
            CtZone::Field(bits) => packet.bits(bits) as u16,
        };
        let mut copy = packet.clone();
        self.world.track(&mut copy, ct, zone);
        if let Some(table) = ct.table {
            self.tracked.push_back((table, copy, self.stack.clone()));
        }
        forget_connection(packet);
    }

    fn dec_ttl(&mut self, field: Field, action: &Action, packet: &mut Packet) -> Flowing {
        let ttl = packet.get(field);
        if ttl > 1 {
            packet.set(field, ttl - 1);
            return On;
        }
        // Controllers that want to know get it; here only that of id 0 listens.
        let told = match action {
            Action::DecTtlCntIds(ids) => ids.contains(&0),
            _ => true,
        };
        if told {
            self.events.push(Event::Controller {
                userdata: Box::default(),
                packet: packet.clone(),
                rest: None,
            });
        }
        Returned
    }

    fn sample(&mut self, sample: &Sample, packet: &Packet) {
        let number = |arg: &SampleArg| match arg {
            SampleArg::Imm(number) => *number,
            SampleArg::Field(bits) => packet.bits(bits) as u32,
        };
        self.events.push(Event::Sample {
            collector_set: sample.collector_set_id,
            domain: number(&sample.obs_domain),
            point: number(&sample.obs_point),
        });
    }

    fn learn(&mut self, learn: &Learn, packet: &mut Packet) {
        let mut flow_match = Match::builder();
        let mut actions = Vec::new();
        for spec in &learn.specs {
            let value = match &spec.src {
                LearnSrc::Field(bits) => packet.bits(bits),
                LearnSrc::Imm(value) => *value,
            };
            match &spec.dst {
                LearnDst::Match(bits) => drop(flow_match.set(bits.load(value))),
                LearnDst::Load(bits) => actions.push(Action::load(*bits, value)),
                LearnDst::Output => actions.push(Action::output(OfPort(value as u32))),
            }
        }
        let known = self.switch.tables.flows().filter(|flow| flow.cookie == learn.cookie).count();
        let room = learn.limit == 0 || known < learn.limit as usize;
        let encoded = Actions::encode(&actions).ok().filter(|_| room);
        if let Some(dst) = &learn.result_dst {
            packet.set_bits(dst, u128::from(encoded.is_some()));
        }
        let Some(actions) = encoded else { return };
        self.switch.tables.add(Flow {
            table: learn.table,
            priority: learn.priority,
            flow_match: flow_match.build(),
            instructions: actions.into(),
            cookie: learn.cookie,
        });
    }
}

/// With the addresses and ports of the connection's first packet in place of the packet's own.
fn as_first_packet(mut packet: Packet) -> Packet {
    let ports = match packet.get(Field::IP_PROTO) {
        6 => Some((Field::TCP_SRC, Field::TCP_DST)),
        17 => Some((Field::UDP_SRC, Field::UDP_DST)),
        132 => Some((Field::SCTP_SRC, Field::SCTP_DST)),
        _ => None,
    };
    let mut copies = match packet.get(Field::ETH_TYPE) {
        0x800 => vec![(Field::CT_NW_SRC, Field::IPV4_SRC), (Field::CT_NW_DST, Field::IPV4_DST)],
        _ => vec![(Field::CT_IPV6_SRC, Field::IPV6_SRC), (Field::CT_IPV6_DST, Field::IPV6_DST)],
    };
    copies.push((Field::CT_NW_PROTO, Field::IP_PROTO));
    if let Some((src, dst)) = ports {
        copies.extend([(Field::CT_TP_SRC, src), (Field::CT_TP_DST, dst)]);
    }
    for (from, to) in copies {
        let value = packet.get(from);
        packet.set(to, value);
    }
    packet
}

/// As a packet that was never tracked.
fn forget_connection(packet: &mut Packet) {
    const FIELDS: [Field; 11] = [
        Field::CT_STATE,
        Field::CT_ZONE,
        Field::CT_MARK,
        Field::CT_LABEL,
        Field::CT_NW_PROTO,
        Field::CT_NW_SRC,
        Field::CT_NW_DST,
        Field::CT_IPV6_SRC,
        Field::CT_IPV6_DST,
        Field::CT_TP_SRC,
        Field::CT_TP_DST,
    ];
    packet.fields.retain(|field, _| !FIELDS.contains(field));
}
