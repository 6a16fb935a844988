//! Daemons that are killed and started again, and databases and switches that go and come back: nothing is written that
//! stands already, and no flow is removed.

mod common;

use common::chassis::{Chassis, FlowMonitor, flows};
use common::client::{Client, map};
use common::database::Database;
use common::network;
use common::{Daemon, Folder, LONG, Whose, northd, until};
use serde_json::json;

/// Both databases, northd and a chassis with two ports of a network, all come to rest.
struct Deployment {
    folder: Folder,
    nb: Database,
    sb: Database,
    northd: Daemon,
    chassis: Chassis,
    sync: i64,
}

impl Deployment {
    #[track_caller]
    fn start(name: &str) -> Deployment {
        let folder = Folder::new(name);
        let (nb, sb) = (Database::start(&folder, "nb"), Database::start(&folder, "sb"));
        network::build(&mut nb.client(), 3, 4);
        let northd = northd(&folder, "northd", Whose::Kiln);
        let chassis = Chassis::start(&folder, "hv1", Whose::Kiln, &[]);
        chassis.plug(&folder, &["s0p0", "s1p1"]);
        let mut deployment = Deployment { folder, nb, sb, northd, chassis, sync: 0 };
        deployment.settle();
        deployment
    }

    /// Waits until everything that was configured stands in the switch.
    #[track_caller]
    fn settle(&mut self) {
        self.sync += 1;
        let set =
            json!({ "op": "update", "table": "NB_Global", "where": [], "row": { "nb_cfg": self.sync } });
        let mut northbound = self.nb.client();
        northbound.transact(&[set]);
        let wanted = self.sync.to_string();
        until("the chassis to catch up", LONG, || {
            (northbound.column("NB_Global", "hv_cfg") == [&*wanted]).then_some(())
        });
        until("ports to be up", LONG, || {
            let up = northbound.select("Logical_Switch_Port", &json!([["up", "==", true]]), &["name"]);
            (up.len() >= 2).then_some(())
        });
        let installed = map([("ovn-installed", "true")]);
        until("interfaces to be marked", LONG, || {
            let marked = self.chassis.database.client().select(
                "Interface",
                &json!([["external_ids", "includes", installed]]),
                &["name"],
            );
            (marked.len() >= 2).then_some(())
        });
    }

    /// What the three servers have written so far: nothing is ever taken away from it.
    fn written(&self) -> [Vec<String>; 3] {
        [self.nb.log(), self.sb.log(), self.chassis.database.log()]
    }

    fn wait_connected(&self) {
        for status in ["nb-connection-status", "sb-connection-status"] {
            until("northd to be connected", LONG, || {
                (self.northd.ask(&[status]) == "connected").then_some(())
            });
        }
        until("northd to be active", LONG, || {
            (self.northd.ask(&["status"]) == "Status: active").then_some(())
        });
        until("the controller to be connected", LONG, || {
            (self.chassis.controller.ask(&["connection-status"]) == "connected").then_some(())
        });
    }
}

#[track_caller]
fn assert_nothing_written(before: &[Vec<String>; 3], after: &[Vec<String>; 3]) {
    for (name, (before, after)) in ["northbound", "southbound", "local"].iter().zip(before.iter().zip(after))
    {
        assert_eq!(after[before.len()..], [""; 0], "written to the {name} database");
    }
}

/// The flow that sends a port's packets out, by its MAC address: shows that the whole way from northbound works.
fn has_flow(folder: &Folder, text: &str) -> bool {
    flows(folder).iter().any(|flow| flow.contains(text))
}

fn set_address(northbound: &mut Client, port: &str, addresses: &str) {
    let row = json!({ "addresses": addresses, "port_security": addresses });
    let change = json!({ "op": "update", "table": "Logical_Switch_Port", "where": [["name", "==", port]], "row": row });
    northbound.transact(&[change]);
}

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

/// Whether a flow is of the port `s0p1`, under its first or its second address.
fn is_of_the_change(flow: &str) -> bool {
    ["0a:00:00:00:00:01", "0a:00:00:00:0b:0b", "10.0.0.11", "10.0.0.99", "fd00:0::11", "fd00::11"]
        .iter()
        .any(|text| flow.contains(text))
}
