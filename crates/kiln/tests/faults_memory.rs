//! Memory after many ports and many neighbours have come, changed and gone: both daemons are as large as before.
//!
//! `./test` runs a tenth of the size that is asked for; `KILN_FULL=1 cargo test --release -p kiln --test faults_memory --
//! --nocapture` runs all of it.

#![allow(clippy::disallowed_methods, reason = "tests look at files, processes and the clock")]

mod common;

use common::client::{Client, map};
use common::database::Database;
use common::{Daemon, Folder, LONG, Whose, network, northd, program, until};
use serde_json::{Value, json};
use std::time::Duration;

/// Whether to take all the time that it needs.
fn size() -> usize {
    if std::env::var_os("KILN_FULL").is_some() { 100_000 } else { 10_000 }
}

/// Ports of one switch.
const SWITCH: usize = 1000;
/// Rows in one transaction.
const BATCH: usize = 500;
/// For a step of the full size.
const STEP: Duration = Duration::from_mins(20);
/// Longer than the daemons keep memory that is free.
const GIVEN_BACK: Duration = Duration::from_secs(40);

/// Waits until a daemon is as large as it was, to within a tenth of that or of what it had grown by: pages stay where
/// something that lives on was written among what has gone.
#[track_caller]
fn assert_as_before(daemon: &Daemon, before: u64, peak: u64) {
    let limit = before + before.max(peak - before) / 10;
    let start = std::time::Instant::now();
    let mut now = daemon.resident_kb();
    while now > limit && start.elapsed() < GIVEN_BACK {
        std::thread::sleep(Duration::from_millis(200));
        now = daemon.resident_kb();
    }
    println!("{}: {before} kB before, {peak} kB at most, {now} kB after", daemon.name);
    assert!(now <= limit, "{}: {before} kB before, {now} kB after", daemon.name);
}

fn peak_kb(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.pid())).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a process has memory");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[track_caller]
fn settle(northbound: &mut Client, sync: &mut i64) {
    *sync += 1;
    northbound.transact(&[
        json!({ "op": "update", "table": "NB_Global", "where": [], "row": { "nb_cfg": *sync } }),
    ]);
    let wanted = sync.to_string();
    until("northd to catch up", STEP, || {
        std::thread::sleep(Duration::from_millis(100));
        (northbound.column("NB_Global", "sb_cfg") == [&*wanted]).then_some(())
    });
}

/// Switches with ports come, have their ports changed, and go.
fn ports_come_and_go(northbound: &mut Client, sync: &mut i64, switches: std::ops::Range<usize>) {
    for switch in switches.clone() {
        northbound.transact(&[
            json!({ "op": "insert", "table": "Logical_Switch", "row": { "name": format!("s{switch}") } }),
        ]);
        for first in (0..SWITCH).step_by(BATCH) {
            northbound.transact(&network::more_ports(switch, first..first + BATCH));
        }
    }
    settle(northbound, sync);
    for switch in switches.clone() {
        let ops: Vec<Value> = (0..SWITCH)
            .map(|port| {
                let addresses = network::addresses(switch, port).replace("0a:", "06:");
                json!({
                    "op": "update", "table": "Logical_Switch_Port", "where": [["name", "==", network::port(switch, port)]],
                    "row": { "addresses": addresses, "port_security": addresses },
                })
            })
            .collect();
        northbound.transact(&ops);
    }
    settle(northbound, sync);
    for switch in switches {
        let name = format!("s{switch}");
        northbound.transact(&[
            json!({ "op": "delete", "table": "Logical_Switch", "where": [["name", "==", name]] }),
        ]);
    }
    settle(northbound, sync);
}

/// Neighbours of a router port are learned and forgotten.
fn neighbours_come_and_go(southbound: &mut Client, port: &str, count: usize, seen: &mut dyn FnMut(usize)) {
    let datapath = southbound.select("Port_Binding", &json!([["logical_port", "==", port]]), &["datapath"]);
    for first in (0..count).step_by(BATCH) {
        let ops: Vec<Value> = (first..(first + BATCH).min(count))
            .map(|at| {
                let [_, a, b, c] = (at as u32).to_be_bytes();
                json!({ "op": "insert", "table": "MAC_Binding", "row": {
                    "logical_port": port, "ip": format!("10.{}.{b}.{c}", a + 100), "datapath": datapath[0]["datapath"],
                    "mac": format!("0a:00:00:{a:02x}:{b:02x}:{c:02x}") } })
            })
            .collect();
        southbound.transact(&ops);
    }
    seen(count);
    southbound.transact(&[json!({ "op": "delete", "table": "MAC_Binding", "where": [] })]);
    seen(0);
}

#[test]
fn northd_gives_memory_back() {
    let folder = Folder::new("memory");
    let (nb, sb) = (Database::start(&folder, "nb"), Database::start(&folder, "sb"));
    let mut northbound = nb.client();
    network::build(&mut northbound, 5, 100);
    let northd = northd(&folder, "northd", Whose::Kiln);
    let mut sync = 0;
    settle(&mut northbound, &mut sync);
    // Whatever code is run for the first time is paid for once.
    ports_come_and_go(&mut northbound, &mut sync, 10..11);
    neighbours_come_and_go(&mut sb.client(), "down-s0", 1000, &mut |_| {});
    std::thread::sleep(Duration::from_secs(16));
    let before = northd.resident_kb();
    ports_come_and_go(&mut northbound, &mut sync, 10..10 + size() / SWITCH);
    neighbours_come_and_go(&mut sb.client(), "down-s0", size(), &mut |_| {});
    assert_as_before(&northd, before, peak_kb(&northd));
}

/// The switch's database, played by the test: interfaces have the numbers that a switch would have given them.
fn interfaces(bridge: &Value, range: std::ops::Range<usize>) -> Vec<Value> {
    let mut ops = Vec::new();
    let mut ports = Vec::new();
    for at in range {
        let name = format!("i{at}");
        ops.push(json!({ "op": "insert", "table": "Interface", "uuid-name": format!("i{at}"), "row": {
            "name": name, "ofport": at + 1, "external_ids": map([("iface-id", format!("p{at}").as_str())]) } }));
        ops.push(json!({ "op": "insert", "table": "Port", "uuid-name": format!("p{at}"), "row": {
            "name": name, "interfaces": ["named-uuid", format!("i{at}")] } }));
        ports.push(json!(["named-uuid", format!("p{at}")]));
    }
    ops.push(json!({ "op": "mutate", "table": "Bridge", "where": [["_uuid", "==", bridge]],
        "mutations": [["ports", "insert", ["set", ports]]] }));
    ops
}

fn port_binding(datapath: &Value, at: usize) -> Value {
    let [_, a, b, c] = (at as u32).to_be_bytes();
    let mac = format!("0a:00:00:{a:02x}:{b:02x}:{c:02x} 10.{a}.{b}.{c}");
    json!({ "op": "insert", "table": "Port_Binding", "row": { "logical_port": format!("p{at}"), "datapath": datapath,
        "tunnel_key": at % 32_000 + 1, "mac": mac, "port_security": mac, "up": false } })
}

struct Host {
    sb: Database,
    conf: Database,
    controller: Daemon,
}

impl Host {
    /// A controller whose switch is only played: ports are bound, and flows made for whenever a switch comes.
    fn start(folder: &Folder) -> Host {
        let (sb, conf) = (Database::start(folder, "sb"), Database::start(folder, "conf"));
        sb.client().transact(&[json!({ "op": "insert", "table": "SB_Global", "row": {} })]);
        let remote = folder.remote("sb.sock");
        let ids = map([
            ("system-id", "hv1"),
            ("ovn-remote", remote.as_str()),
            ("ovn-encap-type", "geneve"),
            ("ovn-encap-ip", "127.0.0.1"),
        ]);
        conf.client()
            .transact(&[json!({ "op": "insert", "table": "Open_vSwitch", "row": { "external_ids": ids } })]);
        let mut command = program(Whose::Kiln, "controller");
        command.arg(conf.remote());
        let controller = Daemon::start(folder, "controller", command);
        until("the bridge", LONG, || (conf.client().count("Bridge") == 1).then_some(()));
        Host { sb, conf, controller }
    }

    fn bridge(&self) -> Value {
        self.conf.client().select("Bridge", &json!([]), &["_uuid"])[0]["_uuid"].clone()
    }

    #[track_caller]
    fn wait_bound(&self, count: usize) {
        let mut southbound = self.sb.client();
        until("ports to be bound", STEP, || {
            std::thread::sleep(Duration::from_millis(200));
            let free = json!([["chassis", "==", ["set", []]]]);
            let all = southbound.count("Port_Binding");
            (all - southbound.select("Port_Binding", &free, &["_uuid"]).len() == count).then_some(())
        });
    }

    /// Ports come to this host, change and go. Each thousand is a datapath of its own.
    fn ports_come_and_go(&self, count: usize) {
        let (mut southbound, mut local) = (self.sb.client(), self.conf.client());
        let bound = self.bound();
        let bridge = self.bridge();
        for first in (0..count).step_by(SWITCH) {
            let key = first / SWITCH + 10;
            let datapath = json!({ "op": "insert", "table": "Datapath_Binding", "uuid-name": "d", "row": {
                "tunnel_key": key, "type": "logical-switch", "external_ids": map([("name", "d")]) } });
            let ports = (first..first + SWITCH).map(|at| port_binding(&json!(["named-uuid", "d"]), at));
            southbound.transact(&std::iter::once(datapath).chain(ports).collect::<Vec<_>>());
            local.transact(&interfaces(&bridge, first..first + SWITCH));
        }
        self.wait_bound(bound + count);
        for first in (0..count).step_by(SWITCH) {
            let change = |at: usize| {
                let mac = format!(
                    "06:00:00:00:{:02x}:{:02x} 10.9.{}.{}",
                    at / 256 % 256,
                    at % 256,
                    at / 256 % 256,
                    at % 256
                );
                json!({ "op": "update", "table": "Port_Binding", "where": [["logical_port", "==", format!("p{at}")]],
                    "row": { "mac": mac, "port_security": mac } })
            };
            southbound.transact(&(first..first + SWITCH).map(change).collect::<Vec<_>>());
        }
        let played = common::client::set(Self::played_ports(&mut local));
        local.transact(&[json!({ "op": "mutate", "table": "Bridge", "where": [],
            "mutations": [["ports", "delete", played]] })]);
        self.wait_bound(bound);
        southbound.transact(&[
            json!({ "op": "delete", "table": "Port_Binding", "where": [["logical_port", "!=", "kept"], ["tunnel_key", "<", 32_767]] }),
            json!({ "op": "delete", "table": "Datapath_Binding", "where": [["tunnel_key", ">=", 10]] }),
        ]);
    }

    fn played_ports(local: &mut Client) -> Vec<Value> {
        let rows = local.select("Port", &json!([]), &["_uuid", "name"]);
        let played = |name: &str| name.strip_prefix('i').is_some_and(|rest| rest.parse::<usize>().is_ok());
        rows.into_iter()
            .filter(|row| played(row["name"].as_str().unwrap_or_default()))
            .map(|row| row["_uuid"].clone())
            .collect()
    }

    fn bound(&self) -> usize {
        let free = json!([["chassis", "==", ["set", []]]]);
        let mut southbound = self.sb.client();
        southbound.count("Port_Binding") - southbound.select("Port_Binding", &free, &["_uuid"]).len()
    }

    /// Waits until the controller has seen that there are so many neighbours.
    fn wait_neighbours(&self, count: usize) {
        until("neighbours to be known", STEP, || {
            std::thread::sleep(Duration::from_millis(200));
            let known = self.controller.ask(&["mac-binding/show"]);
            let of_port = |line: &str| line.split_once(": ")?.1.split(' ').next()?.parse::<usize>().ok();
            (known.lines().filter_map(of_port).sum::<usize>() == count).then_some(())
        });
    }
}

#[test]
fn controller_gives_memory_back() {
    let folder = Folder::new("host");
    let host = Host::start(&folder);
    // A router with a port, next to a switch with a port that stays here.
    host.sb.client().transact(&[
        json!({ "op": "insert", "table": "Datapath_Binding", "uuid-name": "d", "row": {
            "tunnel_key": 2, "type": "logical-switch", "external_ids": map([("name", "kept")]) } }),
        json!({ "op": "insert", "table": "Port_Binding", "row": { "logical_port": "kept",
            "datapath": ["named-uuid", "d"], "tunnel_key": 32_767, "up": false } }),
    ]);
    let bridge = host.bridge();
    host.conf.client().transact(&[
        json!({ "op": "insert", "table": "Interface", "uuid-name": "i", "row": {
            "name": "kept", "ofport": 65_000, "external_ids": map([("iface-id", "kept")]) } }),
        json!({ "op": "insert", "table": "Port", "uuid-name": "p", "row": { "name": "kept", "interfaces": ["named-uuid", "i"] } }),
        json!({ "op": "mutate", "table": "Bridge", "where": [["_uuid", "==", bridge]],
            "mutations": [["ports", "insert", ["named-uuid", "p"]]] }),
    ]);
    host.wait_bound(1);
    host.ports_come_and_go(SWITCH);
    let learn = |count| {
        neighbours_come_and_go(&mut host.sb.client(), "kept", count, &mut |count| {
            host.wait_neighbours(count);
        });
    };
    learn(1000);
    std::thread::sleep(Duration::from_secs(16));
    let before = host.controller.resident_kb();
    host.ports_come_and_go(size());
    learn(size());
    assert_as_before(&host.controller, before, peak_kb(&host.controller));
}
