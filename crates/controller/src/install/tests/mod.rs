//! The installer against a switch, both over real sessions whose bytes are carried by hand.

mod property;
mod switch;

use super::{Event, Installer, Refusal, Standing};
use crate::desired::{Desired, DesiredFlow, FlowRef, GroupSpec, MeterSpec, Named, Wish};
use kiln_incr::{Derived, Target};
use kiln_openflow::msg::{Bucket, Group, Meter, MeterBand, TlvMapping};
use kiln_openflow::session::{Config, Session};
use kiln_openflow::{Action, Actions, Field, Instructions, Match};
use kiln_types::{Instant, OfPort};
use std::collections::BTreeMap;
use switch::{Checks, Switch, Tables};

/// A controller, a switch, and the stream between them.
struct World {
    now: Instant,
    session: Session,
    installer: Installer,
    desired: Desired,
    group_ids: Derived<Box<str>, u32>,
    meter_ids: Derived<Box<str>, u32>,
    flows: BTreeMap<u16, Box<[FlowRef]>>,
    groups: BTreeMap<u16, Box<[Wish<GroupSpec>]>>,
    meters: BTreeMap<u16, Box<[Wish<MeterSpec>]>>,
    switch: Switch,
    /// Bytes on their way to the switch.
    line: Vec<u8>,
    events: Vec<Event>,
}

impl World {
    fn new() -> World {
        let mut world = World {
            now: Instant::from_secs(1),
            session: Session::new(Config::controller()),
            installer: Installer::new(),
            desired: Desired::default(),
            group_ids: Derived::new("group_ids"),
            meter_ids: Derived::new("meter_ids"),
            flows: BTreeMap::new(),
            groups: BTreeMap::new(),
            meters: BTreeMap::new(),
            switch: Switch::new(),
            line: Vec::new(),
            events: Vec::new(),
        };
        world.session.handle_connected(world.now);
        world
    }

    /// A controller that knows nothing, in place of the old one.
    fn restart_controller(&mut self) {
        let switch = std::mem::replace(&mut self.switch, Switch::new());
        *self = World { switch, now: self.now, ..World::new() };
        self.switch.reconnect();
    }

    fn reconnect(&mut self) {
        self.line.clear();
        self.installer.handle_disconnected();
        self.session.handle_disconnected();
        self.session.handle_connected(self.now);
        self.switch.reconnect();
    }

    fn restart_switch(&mut self) {
        self.switch.tables = Tables::default();
        self.switch.options.clear();
        self.reconnect();
    }

    /// Run `n` wants these flows.
    fn want(&mut self, n: u16, mut flows: Vec<DesiredFlow>) {
        let old = self.flows.remove(&n).unwrap_or_default();
        self.flows.insert(n, self.desired.flows.replace(&old, &mut flows));
    }

    fn want_group(&mut self, n: u16, group: Option<GroupSpec>) {
        let old = self.groups.remove(&n).unwrap_or_default();
        let new = group.map(|spec| Named { name: format!("g{n}").into(), spec, number: None });
        self.groups.insert(n, self.desired.groups.replace(&old, &mut new.into_iter().collect()));
        self.desired.groups.grant(&mut self.group_ids);
    }

    fn want_meter(&mut self, n: u16, meter: Option<MeterSpec>) {
        let old = self.meters.remove(&n).unwrap_or_default();
        let new = meter.map(|spec| Named { name: format!("m{n}").into(), spec, number: None });
        self.meters.insert(n, self.desired.meters.replace(&old, &mut new.into_iter().collect()));
        self.desired.meters.grant(&mut self.meter_ids);
    }

    /// Lets the controller do what it can; its bytes go onto the line.
    fn drive(&mut self) {
        while let Some(event) = self.session.poll_event() {
            self.installer.handle(self.now, event, &mut self.desired);
        }
        self.installer.drive(self.now, &mut self.session, &mut self.desired);
        while let Some(event) = self.installer.poll_event() {
            self.events.push(event);
        }
        if self.line.is_empty() {
            self.line.extend(self.session.poll_transmit().unwrap_or_default());
        }
    }

    /// Carries up to `n` bytes to the switch, and its answers back. Returns whether anything moved.
    fn carry(&mut self, n: usize) -> bool {
        self.drive();
        let bytes: Vec<u8> = self.line.drain(..n.min(self.line.len())).collect();
        self.switch.receive(&bytes);
        let answer = self.switch.session.poll_transmit();
        if let Some(answer) = &answer {
            self.session.handle_bytes(self.now, answer);
        }
        self.drive();
        !bytes.is_empty() || answer.is_some()
    }

    /// Until nothing moves any more.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            if self.carry(usize::MAX) {
                continue;
            }
            match self.installer.poll_timeout() {
                Some(time) => self.now = self.now.max(time),
                None => return,
            }
        }
        panic!("never quiet: {:?}", self.events.iter().rev().take(10).collect::<Vec<_>>());
    }

    fn refused(&self) -> Vec<String> {
        let text = |event: &Event| match event {
            Event::Refused { what, why } => Some(format!("{what}: {why}")),
            _ => None,
        };
        self.events.iter().filter_map(text).collect()
    }

    fn has(&self, event: &Event) -> bool {
        self.events.contains(event)
    }

    /// What the switch should hold if it took everything.
    fn tables(&self) -> Tables {
        let mut tables = Tables::default();
        for flow in self.desired.flows.iter() {
            let key = (flow.table_id, flow.priority, flow.flow_match);
            tables.flows.insert(key, (flow.cookie, flow.instructions, 0));
        }
        for (id, _, GroupSpec { typ, buckets, selection }) in self.desired.groups.iter() {
            let (buckets, selection) = (buckets.clone(), selection.clone());
            tables.groups.insert(id, Group { typ: *typ, group_id: id, buckets, selection });
        }
        for (id, _, MeterSpec { flags, bands }) in self.desired.meters.iter() {
            tables.meters.insert(id, Meter { flags: *flags, meter_id: id, bands: bands.clone() });
        }
        tables
    }
}

/// A flow that is known in logs by its priority.
fn flow(priority: u16, actions: &[Action]) -> DesiredFlow {
    let mut m = Match::builder();
    m.exact(Field::METADATA, 1u8);
    DesiredFlow { table: 8, priority, flow_match: m.build(), actions: actions.into(), cookie: 0xabc }
}

fn output(port: u32) -> Action {
    Action::output(OfPort(port))
}

fn group(n_buckets: u32, weight: u16) -> GroupSpec {
    let actions = Actions::encode(&[Action::resubmit(9)]).unwrap();
    let bucket = |bucket_id| Bucket {
        bucket_id,
        weight: Some(weight),
        watch_port: None,
        watch_group: None,
        actions: actions.clone(),
    };
    GroupSpec { typ: Group::SELECT, buckets: (0..n_buckets).map(bucket).collect(), selection: None }
}

fn meter(rate: u32) -> MeterSpec {
    let band = MeterBand { typ: MeterBand::DROP, rate, burst: 0, prec_level: 0 };
    MeterSpec { flags: Meter::PKTPS | Meter::STATS, bands: vec![band] }
}

/// Flows 1 to `n`, installed.
fn installed(n: u16) -> World {
    let mut world = World::new();
    world.want(0, (1..=n).map(|priority| flow(priority, &[output(1)])).collect());
    world.installer.complete();
    world.settle();
    world
}

#[test]
fn waits_until_what_is_desired_is_complete_then_sends_it_in_order() {
    let mut world = World::new();
    world.want_group(1, Some(group(2, 100)));
    world.want_meter(1, Some(meter(10)));
    world.want(1, vec![flow(1, &[Action::Meter(1), Action::Group(1)])]);
    world.installer.flush_zone(7);
    world.installer.acknowledge(5);
    world.settle();
    assert_eq!(world.switch.log, ["map option"]);
    assert_eq!(world.events, [Event::GeneveOption(Some(0)), Event::Read(Standing::default())]);

    world.installer.complete();
    world.settle();
    assert_eq!(world.switch.log[1..], ["flush 7", "meter 1", "open", "commit", "group 1", "add 1"]);
    assert_eq!(world.switch.tables, world.tables());
    assert!(world.has(&Event::Acknowledged(5)));
}

#[test]
fn sends_only_differences_and_meters_go_last() {
    let mut world = World::new();
    world.want_group(1, Some(group(2, 100)));
    world.want_group(2, Some(group(3, 100)));
    world.want_meter(1, Some(meter(10)));
    world.want(1, vec![flow(1, &[Action::Meter(1)]), flow(2, &[Action::Group(1)]), flow(3, &[output(3)])]);
    world.installer.complete();
    world.settle();
    world.switch.log.clear();

    let renamed = DesiredFlow { cookie: 9, ..flow(3, &[output(3)]) };
    world.want(1, vec![flow(1, &[output(4)]), renamed, flow(4, &[])]);
    world.want_group(1, None);
    world.want_group(2, Some(group(3, 50)));
    world.want_meter(1, None);
    world.settle();
    assert_eq!(world.switch.log[..3], ["open", "commit", "group 2"]);
    assert_eq!(world.switch.log.last().unwrap(), "delete meter 1");
    assert_eq!(world.switch.log[world.switch.log.len() - 2], "delete group 1");
    for one in ["modify 1", "delete 2", "add 3", "add 4"] {
        assert_eq!(world.switch.log.iter().filter(|line| *line == one).count(), 1, "{one}");
    }
    assert_eq!(world.switch.tables, world.tables());
    // Only the flow that was not wanted any more.
    assert_eq!(world.switch.removed, 1);

    // What is the same again is not sent.
    let before = world.switch.log.len();
    let renamed = DesiredFlow { cookie: 9, ..flow(3, &[output(3)]) };
    world.want(1, vec![flow(4, &[]), renamed, flow(1, &[output(4)])]);
    world.settle();
    assert_eq!(world.switch.log.len(), before);
}

#[test]
fn a_controller_that_restarts_sends_nothing() {
    let wants = |world: &mut World, order: [u16; 3]| {
        for n in order {
            world.want_group(n, Some(group(2, n)));
            world.want_meter(n, Some(meter(u32::from(n))));
        }
        let id = world.desired.groups.id("g2").unwrap();
        world.want(0, (1..=50).map(|priority| flow(priority, &[Action::Group(id)])).collect());
    };
    let mut world = World::new();
    wants(&mut world, [3, 1, 2]);
    world.installer.complete();
    world.settle();
    // Numbers were given in the order of requests.
    assert_eq!(world.desired.groups.id("g2"), Some(3));
    let tables = world.switch.tables.clone();

    world.restart_controller();
    world.settle();
    assert!(world.has(&Event::Read(Standing { flows: 50, groups: 3, meters: 3 })));
    world.switch.log.clear();
    wants(&mut world, [1, 2, 3]);
    world.installer.complete();
    world.installer.acknowledge(1);
    world.settle();
    // They are the same now, though the requests came in another order.
    assert_eq!(world.desired.groups.id("g2"), Some(3));
    assert!(world.has(&Event::Acknowledged(1)));
    assert_eq!(world.switch.log, Vec::<String>::new());
    assert_eq!(world.switch.tables, tables);
}

#[test]
fn a_switch_that_restarts_gets_everything_in_one_bundle() {
    let mut world = installed(100);
    world.switch.log.clear();
    world.restart_switch();
    world.settle();
    assert_eq!(world.switch.log[..3], ["map option", "open", "commit"]);
    assert_eq!(world.switch.log.len(), 3 + 100);
    assert_eq!(world.switch.tables, world.tables());
}

#[test]
fn foreign_flows_go_and_learned_ones_stay() {
    let mut world = installed(2);
    let tables = world.switch.tables.clone();
    let entry = tables.flows.values().next().unwrap().clone();
    let foreign = (0, 0, Match::any());
    let learned = (77, 1, Match::any());
    world.switch.tables.flows.insert(foreign.clone(), entry.clone());
    world.switch.tables.flows.insert(learned.clone(), (entry.0, entry.1.clone(), 20));
    world.reconnect();
    world.settle();
    assert!(!world.switch.tables.flows.contains_key(&foreign));
    assert!(world.switch.tables.flows.remove(&learned).is_some());
    assert_eq!(world.switch.tables, tables);
}

#[test]
fn takes_the_field_that_ovns_option_has_or_the_lowest_free_one() {
    let option = |option_class, index| TlvMapping { option_class, option_type: 0x80, option_len: 4, index };
    for (mappings, index) in [(vec![option(0x102, 5)], 5), (vec![option(9, 0)], 1)] {
        let mut world = World::new();
        world.switch.options = mappings;
        world.settle();
        assert!(world.has(&Event::GeneveOption(Some(index))), "{:?}", world.events);
        assert!(world.switch.options.contains(&option(0x102, index.into())));
    }
}

#[test]
fn what_is_refused_is_named_and_left_out() {
    for checks in [Checks::OnCommit, Checks::OnAdd] {
        let mut world = installed(3);
        world.switch.refuses = Some(13);
        world.switch.checks = checks;
        world.want(1, vec![flow(10, &[output(13)]), flow(11, &[output(2)])]);
        world.installer.acknowledge(1);
        world.settle();
        let text = "flow cookie=0xabc,table=8,priority=10,metadata=0x1,actions=output:13: \
                    the switch refuses it: OFPBAC_BAD_ARGUMENT";
        assert_eq!(world.refused(), [text]);
        assert_eq!(world.switch.tables.flows.len(), 4);
        assert!(world.has(&Event::Acknowledged(1)));
        assert_eq!(world.desired.flows.refused(), 1);

        // A change elsewhere does not try it again; a change of its own does, and so does a new connection.
        world.want(2, vec![flow(12, &[output(2)])]);
        world.settle();
        assert_eq!((world.refused().len(), world.switch.tables.flows.len()), (1, 5));
        world.want(1, vec![flow(10, &[output(14)]), flow(11, &[output(2)])]);
        world.settle();
        assert_eq!((world.switch.tables.flows.len(), world.desired.flows.refused()), (6, 0));
        world.want(1, vec![flow(10, &[output(13)])]);
        world.settle();
        assert_eq!(world.refused().len(), 2);
        world.switch.refuses = None;
        world.reconnect();
        world.settle();
        assert_eq!(world.switch.tables, world.tables());
    }
}

#[test]
fn a_flow_that_cannot_be_deleted_is_let_be() {
    let mut world = installed(3);
    world.switch.keeps_priority = Some(2);
    world.want(0, vec![flow(1, &[output(1)])]);
    world.installer.acknowledge(1);
    world.settle();
    assert_eq!(world.refused().len(), 1);
    assert!(world.refused()[0].starts_with("deletion of flow table=8,priority=2,metadata=0x1"));
    assert_eq!(world.switch.tables.flows.len(), 2);
    assert!(world.has(&Event::Acknowledged(1)));
    let reads = world.installer.counters().reads;
    world.want(1, vec![flow(2, &[output(5)])]);
    world.settle();
    assert_eq!(world.switch.tables, world.tables());
    assert_eq!(world.installer.counters().reads, reads);
}

#[test]
fn many_refusals_take_few_rounds() {
    let mut world = World::new();
    world.switch.refuses = Some(13);
    world.want_group(1, Some(group(13, 1)));
    world.want(0, (1..=200).map(|n| flow(n, &[output(if n % 2 == 0 { 13 } else { 1 })])).collect());
    world.want(1, (201..=300).map(|n| flow(n, &[Action::Group(1)])).collect());
    world.installer.complete();
    world.settle();
    assert_eq!(world.refused().len(), 1 + 100 + 100);
    assert_eq!(world.switch.tables.flows.len(), 100);
    assert!(world.installer.counters().reads <= 5, "{:?}", world.installer.counters());

    // Bundles are used again afterwards, and flows that wanted for a group are tried again once there is one.
    world.switch.log.clear();
    world.want_group(1, Some(group(2, 1)));
    world.settle();
    assert_eq!(world.switch.log[0], "open");
    assert_eq!(world.switch.tables.flows.len(), 200);
}

#[test]
fn a_switch_that_lost_something_is_read_back_and_mended() {
    let mut world = installed(1);
    world.want_group(1, Some(group(1, 1)));
    world.settle();
    let start = world.now;
    for weight in 2..20 {
        world.switch.tables.groups.clear();
        world.want_group(1, Some(group(1, weight)));
        world.settle();
        assert_eq!(world.switch.tables, world.tables(), "{weight}");
    }
    assert_eq!((world.now, world.refused().len()), (start, 0));
}

#[test]
fn pauses_grow_up_to_a_bound_while_the_switch_goes_on_refusing() {
    let mut world = installed(1);
    world.want_group(1, Some(group(1, 1)));
    world.settle();
    world.switch.refuses_deletes = true;
    world.want_group(1, None);
    for _ in 0..12 {
        while world.carry(usize::MAX) {}
        world.now = world.installer.poll_timeout().unwrap();
    }
    let pause = |event: &Event| match event {
        Event::Resynchronising { pause, .. } => Some(pause.as_millis()),
        _ => None,
    };
    let pauses: Vec<_> = world.events.iter().filter_map(pause).collect();
    assert_eq!(pauses, [0, 100, 200, 400, 800, 1600, 3200, 6400, 10000, 10000, 10000, 10000, 10000]);
    world.switch.refuses_deletes = false;
    world.settle();
    assert_eq!(world.switch.tables, world.tables());
    assert_eq!(world.installer.failures, 0);
}

#[test]
fn changes_go_on_while_others_are_under_way() {
    let mut world = installed(1);
    world.want(1, vec![flow(10, &[output(1)])]);
    world.installer.acknowledge(1);
    world.drive();
    world.want(1, vec![flow(10, &[output(2)])]);
    world.installer.acknowledge(2);
    world.drive();
    world.want(1, vec![]);
    world.installer.acknowledge(3);
    world.drive();
    assert_eq!(world.installer.batches.len(), 3);
    world.settle();
    assert_eq!(world.switch.tables, world.tables());
    let acknowledged = |event: &Event| matches!(event, Event::Acknowledged(_));
    let list: Vec<_> = world.events.iter().filter(|event| acknowledged(event)).cloned().collect();
    assert_eq!(list, [1, 2, 3].map(Event::Acknowledged));
}

#[test]
fn a_refusal_voids_what_was_built_on_it() {
    let mut world = installed(1);
    world.switch.refuses = Some(13);
    world.want(1, vec![flow(10, &[output(13)]), flow(11, &[output(1)])]);
    world.installer.acknowledge(1);
    world.drive();
    // Modifies and deletes what never came to be.
    world.want(1, vec![flow(10, &[output(14)])]);
    world.installer.acknowledge(2);
    world.drive();
    world.settle();
    assert_eq!(world.switch.tables, world.tables());
    assert!(world.has(&Event::Acknowledged(2)) && !world.has(&Event::Acknowledged(1)));
    assert_eq!(world.desired.flows.refused(), 0);
}

#[test]
fn zones_are_flushed_again_if_the_connection_was_lost() {
    let mut world = installed(1);
    world.switch.log.clear();
    world.installer.flush_zone(9);
    world.drive();
    world.reconnect();
    world.settle();
    assert_eq!(world.switch.log, ["flush 9"]);
}

#[test]
fn a_switch_that_cannot_be_read_is_emptied_and_filled_in_one_bundle() {
    let mut world = installed(3);
    world.switch.mute = true;
    world.switch.tables.flows.insert((9, 9, Match::any()), (0, Instructions::new(), 0));
    world.restart_controller();
    world.want(0, vec![flow(1, &[output(1)])]);
    world.installer.complete();
    world.settle();
    assert_eq!(world.switch.tables, world.tables());
    let position = |what: &str| world.switch.log.iter().rposition(|line| line == what).unwrap();
    assert!(position("commit") < position("wipe flows") && position("wipe groups") < position("add 1"));
}

#[test]
fn reading_that_kills_the_connection_is_given_up() {
    let mut world = installed(3);
    for _ in 0..super::MAX_FAILED_READS {
        world.reconnect();
        while world.installer.state != super::State::Reading {
            assert!(world.carry(usize::MAX));
        }
    }
    world.switch.log.clear();
    world.reconnect();
    world.settle();
    assert_eq!(world.switch.log, ["open", "commit", "wipe flows", "wipe groups", "add 1", "add 2", "add 3"]);
}

#[test]
fn groups_longer_than_a_message_come_in_parts() {
    let mut world = World::new();
    world.want_group(1, Some(group(4000, 1)));
    world.want(1, vec![flow(1, &[Action::Group(1)])]);
    world.installer.complete();
    world.settle();
    assert!(world.switch.log.contains(&"buckets of group 1".to_owned()));
    assert_eq!(world.switch.tables, world.tables());
}

#[test]
fn actions_longer_than_a_message_are_reported_and_left_out() {
    let mut world = installed(1);
    let many = |n: usize| vec![output(1); n];
    world.want(1, vec![flow(10, &many(5000)), flow(11, &[output(1)])]);
    world.settle();
    assert_eq!(world.switch.tables.flows.len(), 2);
    assert!(matches!(&world.events.last(), Some(Event::Refused { why: Refusal::Oversized, what })
        if what.contains("priority=10")));
    // Actions that fit, but not with the match and the bundle around them.
    world.want(1, vec![flow(10, &many(Actions::MAX_LEN / 16)), flow(11, &[output(1)])]);
    world.settle();
    assert_eq!(world.switch.tables.flows.len(), 2);
    let too_long = |event: &&Event| matches!(event, Event::Refused { why: Refusal::TooLong(_), .. });
    assert_eq!(world.events.iter().filter(too_long).count(), 1);
    world.want(1, vec![]);
    world.settle();
    assert_eq!(world.switch.tables, world.tables());
}
