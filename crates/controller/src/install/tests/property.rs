//! Whatever happens, in the end the switch holds what is desired, save what it refuses.

use super::*;
use kiln_openflow::instruction;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Op {
    /// A run wants flows: priority and output port.
    Want(u16, Vec<(u16, u32)>),
    /// A run wants a flow that uses a group and a meter.
    Use(u16, u16),
    Group(u16, Option<u16>),
    Meter(u16, Option<u32>),
    /// So many bytes come through.
    Carry(usize),
    Settle,
    Acknowledge,
    Disconnect,
    RestartSwitch,
    Refuse(bool),
    Check(bool),
}

fn op() -> impl Strategy<Value = Op> {
    let flows = proptest::collection::vec((1..12u16, 10..15u32), 0..6);
    prop_oneof![
        6 => (0..4u16, flows).prop_map(|(run, flows)| Op::Want(run, flows)),
        2 => (4..6u16, 0..3u16).prop_map(|(run, n)| Op::Use(run, n)),
        2 => (0..3u16, proptest::option::of(1..4u16)).prop_map(|(n, weight)| Op::Group(n, weight)),
        2 => (0..3u16, proptest::option::of(10..15u32)).prop_map(|(n, rate)| Op::Meter(n, rate)),
        6 => (1..2000usize).prop_map(Op::Carry),
        3 => Just(Op::Settle),
        2 => Just(Op::Acknowledge),
        2 => Just(Op::Disconnect),
        1 => Just(Op::RestartSwitch),
        1 => any::<bool>().prop_map(Op::Refuse),
        1 => any::<bool>().prop_map(Op::Check),
    ]
}

/// What was asked for, so that a fresh controller can be asked for the same.
#[derive(Default)]
struct Asked {
    flows: BTreeMap<u16, Vec<(u16, u32)>>,
    uses: BTreeMap<u16, u16>,
    groups: BTreeMap<u16, Option<u16>>,
    meters: BTreeMap<u16, Option<u32>>,
    generation: u64,
}

impl Asked {
    fn apply(&self, world: &mut World) {
        for (n, weight) in &self.groups {
            world.want_group(*n, weight.map(|weight| group(2, weight)));
        }
        for (n, rate) in &self.meters {
            world.want_meter(*n, rate.map(meter));
        }
        for (run, flows) in &self.flows {
            world
                .want(*run, flows.iter().map(|(priority, port)| flow(*priority, &[output(*port)])).collect());
        }
        for (run, n) in &self.uses {
            let group = world.desired.groups.id(&format!("g{n}")).map(Action::Group);
            let meter = world.desired.meters.id(&format!("m{n}")).map(Action::Meter);
            let actions: Vec<Action> = meter.into_iter().chain(group).collect();
            world.want(*run, vec![flow(100 + run, &actions)]);
        }
    }

    fn step(&mut self, op: Op, world: &mut World) {
        match op {
            Op::Want(run, flows) => drop(self.flows.insert(run, flows)),
            Op::Use(run, n) => drop(self.uses.insert(run, n)),
            Op::Group(n, weight) => drop(self.groups.insert(n, weight)),
            Op::Meter(n, rate) => drop(self.meters.insert(n, rate)),
            Op::Carry(n) => drop(world.carry(n)),
            Op::Settle => world.settle(),
            Op::Acknowledge => {
                self.generation += 1;
                world.installer.acknowledge(self.generation);
            }
            Op::Disconnect => world.reconnect(),
            Op::RestartSwitch => world.restart_switch(),
            Op::Refuse(on) => world.switch.refuses = on.then_some(13),
            Op::Check(on_add) => {
                world.switch.checks = if on_add { Checks::OnAdd } else { Checks::OnCommit };
            }
        }
        self.apply(world);
    }
}

/// What the switch must hold: everything but outputs and rates of 13, if it refuses those, and what uses such a meter.
/// Of the rest it may hold what it has not been asked to change since it began to refuse.
fn required(world: &World) -> Tables {
    let mut tables = world.tables();
    if world.switch.refuses.is_some() {
        tables.meters.retain(|_, meter| meter.bands[0].rate != 13);
    }
    let meters = tables.meters.clone();
    tables.flows.retain(|_, (_, instructions, _)| {
        let Some(actions) = instruction::applied(instructions) else { return true };
        actions.iter().all(|action| match action {
            Action::Output { port, .. } => world.switch.refuses != Some(port.0),
            Action::Meter(id) => meters.contains_key(&id),
            _ => true,
        })
    });
    tables
}

/// Whether all of `part` is in `whole`.
fn contains(whole: &Tables, part: &Tables) -> bool {
    part.flows.iter().all(|(key, flow)| whole.flows.get(key) == Some(flow))
        && part.groups.iter().all(|(id, group)| whole.groups.get(id) == Some(group))
        && part.meters.iter().all(|(id, meter)| whole.meters.get(id) == Some(meter))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn the_switch_ends_up_with_what_is_desired(ops in proptest::collection::vec(op(), 1..60)) {
        let mut world = World::new();
        world.installer.max_backlog = 500;
        world.installer.complete();
        let mut asked = Asked::default();
        for op in ops {
            asked.step(op, &mut world);
        }
        // A switch that has changed its mind about what it takes is asked again on a new connection.
        world.reconnect();
        asked.step(Op::Acknowledge, &mut world);
        world.settle();
        prop_assert!(contains(&world.switch.tables, &required(&world)), "{:#?}", world.switch.tables);
        let (all, held) = (world.tables(), &world.switch.tables);
        prop_assert!(held.flows.iter().all(|(key, flow)| all.flows.get(key) == Some(flow)), "{:#?}", held);
        prop_assert!(held.groups.keys().eq(all.groups.keys()), "{:#?}", held);
        // A meter that is refused may go on as it was: flows use it.
        prop_assert!(held.meters.keys().all(|id| all.meters.contains_key(id)), "{:#?}", held);
        prop_assert!(world.has(&Event::Acknowledged(asked.generation)));
        prop_assert!(world.installer.is_idle(&world.desired));

        // A controller in its place changes nothing, as long as nothing is refused: what is refused it has to try.
        world.switch.refuses = None;
        world.reconnect();
        world.settle();
        let tables = world.switch.tables.clone();
        world.restart_controller();
        world.settle();
        asked.apply(&mut world);
        world.switch.log.clear();
        world.installer.complete();
        world.settle();
        prop_assert_eq!(&world.switch.tables.flows.len(), &tables.flows.len());
        prop_assert!(!world.switch.log.iter().any(|line| line.starts_with("delete")), "{:?}", world.switch.log);
    }
}
