//! Databases that go away for a while, or no longer answer: forwarding goes on, no flow is removed, what was changed
//! meanwhile arrives, and nothing is written twice.

#![allow(clippy::disallowed_methods, reason = "tests look at files, processes and the clock")]

mod common;

use common::chassis::{FlowMonitor, flows};
use common::database::Database;
use common::deployment::{Deployment, assert_nothing_written, has_flow, set_address};
use common::network;
use std::time::Duration;

/// Longer than any pause between attempts to connect again.
const AWAY: Duration = Duration::from_secs(20);
/// Longer than two inactivity probes, after which a server that is silent is given up.
const SILENT: Duration = Duration::from_secs(13);

const NEW: &str = "0a:00:00:00:0b:0b 10.0.0.99";

/// The one of the three databases that a test is about.
type Which = fn(&mut Deployment) -> &mut Database;

/// A server is killed and comes back: nothing changes by that alone.
fn gone_and_back(name: &str, which: Which) -> Deployment {
    let mut all = Deployment::start(name);
    let (before, standing) = (all.written(), flows(&all.folder));
    let monitor = FlowMonitor::start(&all.folder);
    which(&mut all).server.kill();
    std::thread::sleep(AWAY);
    // Without its own database ovs-vswitchd forwards, but does not talk OpenFlow.
    if all.chassis.database.server.runs() {
        assert_eq!(flows(&all.folder), standing, "forwarding goes on");
    }
    which(&mut all).server.spawn();
    all.wait_connected();
    // A daemon that wanted to write would do so now.
    all.northd.ask(&["inc-engine/recompute"]);
    all.chassis.controller.ask(&["recompute"]);
    all.wait_connected();
    assert_nothing_written(&before, &all.written());
    assert_eq!(flows(&all.folder), standing);
    assert_eq!(monitor.removed(), [""; 0]);
    all
}

/// The address that `NEW` takes the place of is gone, and the new one is there, once.
fn assert_changed(all: &mut Deployment) {
    all.settle();
    assert!(has_flow(&all.folder, "0a:00:00:00:0b:0b"));
    assert!(!has_flow(&all.folder, "0a:00:00:00:00:01"));
    let bindings = all.sb.client().column("Port_Binding", "logical_port");
    assert_eq!(bindings, {
        let mut names = bindings.clone();
        names.dedup();
        names
    });
}

#[test]
fn northbound() {
    let mut all = gone_and_back("nb", |all| &mut all.nb);
    set_address(&mut all.nb.client(), "s0p1", NEW);
    assert_changed(&mut all);
}

#[test]
fn southbound_while_the_network_changes() {
    let mut all = gone_and_back("sb", |all| &mut all.sb);
    all.sb.server.kill();
    set_address(&mut all.nb.client(), "s0p1", NEW);
    std::thread::sleep(AWAY);
    all.sb.server.spawn();
    assert_changed(&mut all);
}

#[test]
fn local_while_the_network_changes() {
    let mut all = gone_and_back("local", |all| &mut all.chassis.database);
    all.chassis.database.server.kill();
    set_address(&mut all.nb.client(), "s0p1", NEW);
    std::thread::sleep(AWAY);
    all.chassis.database.server.spawn();
    assert_changed(&mut all);
}

#[test]
fn a_server_that_no_longer_answers() {
    let mut all = Deployment::start("silent");
    let (before, standing) = (all.written(), flows(&all.folder));
    let monitor = FlowMonitor::start(&all.folder);
    for database in [&all.nb, &all.sb, &all.chassis.database] {
        database.server.freeze(true);
    }
    std::thread::sleep(SILENT);
    assert_eq!(all.northd.ask(&["sb-connection-status"]), "not connected", "silence is noticed");
    for database in [&all.nb, &all.sb, &all.chassis.database] {
        database.server.freeze(false);
    }
    all.wait_connected();
    assert_nothing_written(&before, &all.written());
    assert_eq!(flows(&all.folder), standing);
    assert_eq!(monitor.removed(), [""; 0]);
    set_address(&mut all.nb.client(), "s0p1", NEW);
    assert_changed(&mut all);
    assert!(network::addresses(0, 1).starts_with("0a:00:00:00:00:01"));
}
