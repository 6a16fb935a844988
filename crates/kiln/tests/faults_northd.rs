//! Several northds on the same databases: one is active, the others take over.

#![allow(clippy::disallowed_methods, reason = "tests look at files, processes and the clock")]

mod common;

use common::database::Database;
use common::deployment::set_address;
use common::{Daemon, Folder, LONG, Whose, network, northd, until};
use serde_json::json;
use std::time::{Duration, Instant};

struct Control {
    folder: Folder,
    nb: Database,
    sb: Database,
    sync: i64,
}

impl Control {
    fn start(name: &str) -> Control {
        let folder = Folder::new(name);
        let (nb, sb) = (Database::start(&folder, "nb"), Database::start(&folder, "sb"));
        network::build(&mut nb.client(), 3, 4);
        Control { folder, nb, sb, sync: 0 }
    }

    /// Waits until whoever is active has compiled all that was asked for.
    #[track_caller]
    fn settle(&mut self) {
        self.sync += 1;
        let set =
            json!({ "op": "update", "table": "NB_Global", "where": [], "row": { "nb_cfg": self.sync } });
        let mut northbound = self.nb.client();
        northbound.transact(&[set]);
        let wanted = self.sync.to_string();
        until("northd to catch up", LONG, || {
            (northbound.column("NB_Global", "sb_cfg") == [&*wanted]).then_some(())
        });
    }

    /// Changes a port's address and waits until the change is compiled.
    #[track_caller]
    fn change(&mut self, address: &str) {
        set_address(&mut self.nb.client(), "s0p1", &format!("0a:00:00:00:00:01 {address}"));
        self.settle();
        let flows = self.sb.client().column("Logical_Flow", "match");
        assert!(flows.iter().any(|flow| flow.contains(address)), "nothing says {address}");
    }

    /// Keys and bindings: what must outlive a change of northd.
    fn bindings(&self) -> Vec<serde_json::Value> {
        let mut rows =
            self.sb.client().select("Port_Binding", &json!([]), &["logical_port", "tunnel_key", "_uuid"]);
        rows.sort_by_key(ToString::to_string);
        rows
    }
}

#[track_caller]
fn wait_status(daemon: &Daemon, status: &str) {
    let wanted = format!("Status: {status}");
    until(&format!("{} to be {status}", daemon.name), LONG, || {
        (daemon.ask(&["status"]) == wanted).then_some(())
    });
}

#[test]
fn three_northds_one_after_another() {
    let mut control = Control::start("three");
    let mut daemons = vec![northd(&control.folder, "n0", Whose::Kiln)];
    wait_status(&daemons[0], "active");
    for name in ["n1", "n2"] {
        daemons.push(northd(&control.folder, name, Whose::Kiln));
        wait_status(&daemons[daemons.len() - 1], "standby");
    }
    control.settle();
    let bindings = control.bindings();
    for round in 0..2 {
        // A change that those who stand by have seen being made, and must not make again.
        control.change(&format!("10.0.7.{round}"));
        let before = (control.nb.log(), control.sb.log());
        let start = Instant::now();
        daemons.remove(0).kill();
        let active = until("another to be active", LONG, || {
            daemons.iter().position(|daemon| daemon.ask(&["status"]) == "Status: active")
        });
        println!("took over in {:?}", start.elapsed());
        assert!(start.elapsed() < Duration::from_secs(10));
        daemons.rotate_left(active);
        let left: Vec<String> = daemons[1..].iter().map(|daemon| daemon.ask(&["status"])).collect();
        assert!(left.iter().all(|status| status == "Status: standby"), "{left:?}");
        daemons[0].ask(&["inc-engine/recompute"]);
        assert_eq!((control.nb.log(), control.sb.log()), before, "taking over writes nothing");
    }
    control.change("10.0.7.77");
    assert_eq!(control.bindings(), bindings);
}

#[test]
fn a_paused_northd_lets_another_one_work() {
    let mut control = Control::start("pause");
    let first = northd(&control.folder, "n0", Whose::Kiln);
    wait_status(&first, "active");
    let second = northd(&control.folder, "n1", Whose::Kiln);
    wait_status(&second, "standby");
    control.change("10.0.7.1");
    first.ask(&["pause"]);
    wait_status(&second, "active");
    assert_eq!(
        (first.ask(&["is-paused"]).as_str(), first.ask(&["status"]).as_str()),
        ("true", "Status: paused")
    );
    assert_eq!(first.log_lines("This ovn-northd instance is now paused.").len(), 1);
    control.change("10.0.7.2");
    first.ask(&["resume"]);
    wait_status(&first, "standby");
    control.change("10.0.7.3");
    let before = control.sb.log();
    second.ask(&["pause"]);
    wait_status(&first, "active");
    first.ask(&["inc-engine/recompute"]);
    assert_eq!(control.sb.log(), before, "what the other one wrote stands");
    control.change("10.0.7.4");
}

#[test]
fn stock_and_kiln_take_over_from_each_other() {
    let mut control = Control::start("mixed");
    let mut stock = northd(&control.folder, "stock", Whose::Stock);
    wait_status(&stock, "active");
    control.settle();
    let bindings = control.bindings();
    let mut kiln = northd(&control.folder, "kiln", Whose::Kiln);
    wait_status(&kiln, "standby");
    control.change("10.0.7.1");
    stock.kill();
    wait_status(&kiln, "active");
    control.change("10.0.7.2");
    assert_eq!(control.bindings(), bindings, "ports keep their rows and keys");
    stock.spawn();
    wait_status(&stock, "standby");
    kiln.kill();
    wait_status(&stock, "active");
    control.change("10.0.7.3");
    assert_eq!(control.bindings(), bindings, "ports keep their rows and keys");
}
