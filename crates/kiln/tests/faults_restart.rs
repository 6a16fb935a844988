//! Daemons that are killed and started again: nothing is written that stands already, and no flow is removed.

#![allow(clippy::disallowed_methods, reason = "tests look at files, processes and the clock")]

mod common;

use common::chassis::{FlowMonitor, flows};
use common::database::Database;
use common::deployment::{Deployment, assert_nothing_written, has_flow, set_address};
use common::{Folder, LONG, Whose, network, northd, until};

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
const MANY_FLOWS: (usize, usize) = (20_000, 720);

#[test]
fn a_controller_killed_amid_many_flows_writes_nothing_and_removes_no_flow() {
    let mut all = Deployment::of("many", Whose::Kiln, 4, MANY_FLOWS.1);
    let (before, standing) = (all.written(), flows(&all.folder));
    assert!(standing.len() >= MANY_FLOWS.0, "{} flows", standing.len());
    let monitor = FlowMonitor::start(&all.folder);
    all.chassis.controller.restart();
    all.wait_connected();
    until("the controller to read the switch", LONG, || {
        (all.chassis.controller.log_lines("the switch holds").len() >= 2).then_some(())
    });
    // It is done with what it found once it has installed one change.
    set_address(&mut all.nb.client(), "s0p1", "0a:00:00:00:0b:0b 10.0.99.99");
    until("the change", LONG, || has_flow(&all.folder, "0a:00:00:00:0b:0b").then_some(()));
    let removed = monitor.removed();
    let others: Vec<_> = removed.iter().filter(|flow| !is_of_the_change(flow)).collect();
    println!("{} flows stood, {} of the change were removed", standing.len(), removed.len());
    assert!(others.is_empty(), "removed: {others:#?}");
    let [_, _, local] = all.written();
    let written = [before[0].clone(), before[1].clone(), local];
    common::deployment::assert_nothing_written(&before, &written);
}

/// As many logical flows as stand in a network of some size.
const MANY_LOGICAL_FLOWS: usize = 20_000;

#[test]
fn a_killed_northd_writes_nothing_to_many_flows() {
    let folder = Folder::new("many");
    let (nb, sb) = (Database::start(&folder, "nb"), Database::start(&folder, "sb"));
    let (mut northbound, mut southbound) = (nb.client(), sb.client());
    network::build(&mut northbound, 60, 40);
    let mut northd = northd(&folder, "northd", Whose::Kiln);
    let mut sync = |number: i64| {
        until("NB_Global", LONG, || (northbound.count("NB_Global") == 1).then_some(()));
        northbound.transact(&[
            serde_json::json!({ "op": "update", "table": "NB_Global", "where": [], "row": { "nb_cfg": number } }),
        ]);
        until("northd to catch up", LONG, || {
            (northbound.column("NB_Global", "sb_cfg") == [&*number.to_string()]).then_some(())
        });
    };
    sync(1);
    let flows = southbound.count("Logical_Flow");
    assert!(flows >= MANY_LOGICAL_FLOWS, "{flows} flows");
    let before = [nb.log().len(), sb.log().len()];
    for _ in 0..2 {
        northd.restart();
        until("northd to be active", LONG, || (northd.ask(&["status"]) == "Status: active").then_some(()));
        // It has compiled everything, and would have written by now.
        until("northd to compile", LONG, || {
            (northd.ask(&["coverage/read-counter", "northd_run"]) != "0").then_some(())
        });
        assert_eq!([nb.log().len(), sb.log().len()], before);
    }
    // The one change that is asked for is the only one.
    sync(2);
    assert_eq!(sb.log().len(), before[1] + 1, "{:?}", sb.log().last());
    assert_eq!(southbound.count("Logical_Flow"), flows);
}

/// Whether a flow is of the port `s0p1`, under its first or its second address.
fn is_of_the_change(flow: &str) -> bool {
    ["0a:00:00:00:00:01", "0a:00:00:00:0b:0b", "10.0.0.11", "10.0.0.99", "fd00:0::11", "fd00::11"]
        .iter()
        .any(|text| flow.contains(text))
}
