//! What must hold once everything has been mended and all is quiet.

use crate::database::Which;
use crate::report::Report;
use crate::site::Pair;
use crate::world::{Actor, World};
use std::collections::BTreeSet;
use std::time::Duration;

/// Longer than any fault lasts, and than a daemon that cannot connect waits for its next attempt.
const MENDING: Duration = Duration::from_secs(30);
/// How long nothing may happen any more.
const QUIET: Duration = Duration::from_secs(20);

/// Checks everything, and notes what does not hold.
pub(super) fn check(world: &mut World, pairs: &[Pair], report: &mut Report) {
    let mut must = |holds: bool, what: String| {
        if !holds {
            report.violations.push(what);
        }
    };
    world.run(MENDING);
    must(world.converge(), "the chassis do not catch up with the databases".into());
    let unreached = world.unreached(pairs);
    must(
        unreached.is_empty(),
        format!("{} pairs are not reached: {}", unreached.len(), named(world, &unreached)),
    );
    let wrong = world.wrong_bindings();
    must(wrong.is_empty(), format!("bindings: {wrong:?}"));
    let failures = world.complaints();
    must(failures.is_empty(), format!("switches: {failures:?}"));
    world.run(QUIET);
    let asked = world.bindings().iter().filter(|binding| binding.mac.is_empty()).count();
    must(asked == 0, format!("{asked} neighbours are still asked for"));

    let chassis = world.rng.usize(0..world.chassis.len());
    restarts_write_nothing(world, chassis, &mut must);
    lost_databases_remove_nothing(world, &mut must);
    flows_are_those_of_a_fresh_chassis(world, chassis, &mut must);
}

fn named(world: &World, pairs: &[Pair]) -> String {
    let name = |pair: &Pair| format!("{} -> {}", world.host(pair.from).name, pair.to);
    pairs.iter().take(10).map(name).collect::<Vec<_>>().join(", ")
}

/// A daemon that starts again when nothing has changed sends no transaction and changes no flow.
fn restarts_write_nothing(world: &mut World, chassis: usize, must: &mut impl FnMut(bool, String)) {
    let before = world.transactions();
    let changes = world.counted(|counters| counters.flow_changes);
    for actor in [Actor::Northd(0), Actor::Northd(1), Actor::Controller(chassis)] {
        world.restart(actor, Duration::from_millis(500));
        world.run(QUIET);
        let sent = world.transactions()[&actor] - before[&actor];
        must(sent == 0, format!("{actor:?} started again and sent {sent} transactions"));
    }
    let changed = world.counted(|counters| counters.flow_changes) - changes;
    must(changed == 0, format!("{changed} flows were changed because a daemon started again"));
}

/// A database that is gone for a while takes no flow with it, and its return changes none.
fn lost_databases_remove_nothing(world: &mut World, must: &mut impl FnMut(bool, String)) {
    let changes = world.counted(|counters| counters.flow_changes);
    for which in [Which::Northbound, Which::Southbound, Which::Local(0)] {
        world.cut(which, QUIET / 2);
        world.run(2 * QUIET);
        let changed = world.counted(|counters| counters.flow_changes) - changes;
        must(changed == 0, format!("{changed} flows were changed because {which:?} was lost"));
    }
}

/// A controller with a long history has made the flows that a fresh one makes on an empty switch.
fn flows_are_those_of_a_fresh_chassis(
    world: &mut World,
    chassis: usize,
    must: &mut impl FnMut(bool, String),
) {
    let before = world.flows(chassis);
    world.kill(Actor::Controller(chassis));
    world.restart_switch(chassis);
    world.start(Actor::Controller(chassis));
    world.run(QUIET);
    let after = world.flows(chassis);
    let lines = |one: &BTreeSet<String>, other: &BTreeSet<String>| {
        one.difference(other).take(3).cloned().collect::<Vec<_>>()
    };
    let (lost, extra) = (lines(&after, &before), lines(&before, &after));
    must(before == after, format!("flows of chassis {chassis}: missing {lost:#?}, too many {extra:#?}"));
}
