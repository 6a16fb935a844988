//! Daemons that are killed and started again: nothing is written that stands already, and no flow is removed.

#![allow(clippy::disallowed_methods, reason = "tests look at files, processes and the clock")]

mod common;

use common::chassis::{FlowMonitor, flows};
use common::deployment::{Deployment, assert_nothing_written, has_flow, set_address};
use common::{LONG, Whose, network, until};

#[test]
fn killed_daemons_write_nothing_and_remove_no_flow() {
    let mut all = Deployment::start("kill");
    let (before, standing) = (all.written(), flows(&all.folder));
    let monitor = FlowMonitor::start(&all.folder);
    for round in 0..2 {
        all.northd.restart();
        all.chassis.controller.restart();
        all.wait_connected();
        until("the controller to read the switch", LONG, || {
            (all.chassis.controller.log_lines("the switch holds").len() >= 2 + round).then_some(())
        });
        assert_nothing_written(&before, &all.written());
    }
    // What they do from now on shows that they had come to rest: the one change that is asked for, and nothing else.
    set_address(&mut all.nb.client(), "s0p1", "0a:00:00:00:0b:0b 10.0.0.99");
    all.settle();
    assert!(has_flow(&all.folder, "0a:00:00:00:0b:0b"));
    set_address(&mut all.nb.client(), "s0p1", &network::addresses(0, 1));
    all.settle();
    assert_eq!(flows(&all.folder), standing);
    let changed = monitor.removed();
    let others: Vec<_> = changed.iter().filter(|flow| !is_of_the_change(flow)).collect();
    assert!(others.is_empty(), "removed: {others:#?}");
}

/// As many flows as the figures about restarts are asked for with, and how many ports on each of four switches give them.
const MANY: (usize, usize) = (20_000, 720);

#[test]
fn a_controller_killed_amid_many_flows_writes_nothing_and_removes_no_flow() {
    let mut all = Deployment::of("many", Whose::Kiln, 4, MANY.1);
    let (before, standing) = (all.written(), flows(&all.folder));
    assert!(standing.len() >= MANY.0, "{} flows", standing.len());
    let monitor = FlowMonitor::start(&all.folder);
    all.chassis.controller.restart();
    all.wait_connected();
    until("the controller to read the switch", LONG, || {
        (all.chassis.controller.log_lines("the switch holds").len() >= 2).then_some(())
    });
    // It is done with what it found once it has installed one change.
    set_address(&mut all.nb.client(), "s0p1", "0a:00:00:00:0b:0b 10.0.0.99");
    until("the change", LONG, || has_flow(&all.folder, "0a:00:00:00:0b:0b").then_some(()));
    let removed = monitor.removed();
    let others: Vec<_> = removed.iter().filter(|flow| !is_of_the_change(flow)).collect();
    println!("{} flows stood, {} of the change were removed", standing.len(), removed.len());
    assert!(others.is_empty(), "removed: {others:#?}");
    let [_, _, local] = all.written();
    let written = [before[0].clone(), before[1].clone(), local];
    common::deployment::assert_nothing_written(&before, &written);
}

/// Whether a flow is of the port `s0p1`, under its first or its second address.
fn is_of_the_change(flow: &str) -> bool {
    ["0a:00:00:00:00:01", "0a:00:00:00:0b:0b", "10.0.0.11", "10.0.0.99", "fd00:0::11", "fd00::11"]
        .iter()
        .any(|text| flow.contains(text))
}
