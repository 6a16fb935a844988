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
/// How many ports one host has at a time: Open vSwitch numbers a bridge's ports up to 65,279.
const HOST: usize = 50_000;
/// For a step of the full size.
const STEP: Duration = Duration::from_mins(20);
/// Longer than the daemons keep memory that is free.
const GIVEN_BACK: Duration = Duration::from_secs(40);
/// Until a daemon that has just worked has given back what it needed for that.
const AT_REST: Duration = Duration::from_secs(21);

/// Waits until a daemon is as large as it was, to within a tenth.
#[track_caller]
fn assert_as_before(daemon: &Daemon, before: u64) {
    let (limit, peak) = (before + before / 10, peak_kb(daemon));
    assert!(peak > 2 * before, "{}: {before} kB before, only {peak} kB at most", daemon.name);
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

/// Registers a chassis; its row.
fn chassis(southbound: &mut Client) -> Value {
    let encap = json!({ "type": "geneve", "ip": "127.0.0.1", "chassis_name": "hv1" });
    southbound.transact(&[
        json!({ "op": "insert", "table": "Encap", "uuid-name": "e", "row": encap }),
        json!({ "op": "insert", "table": "Chassis", "row": { "name": "hv1", "encaps": ["named-uuid", "e"] } }),
    ])[1]["uuid"]
        .clone()
}

/// Binds all ports to a chassis, or frees them, and waits until northd has passed it on.
fn bind(northbound: &mut Client, southbound: &mut Client, chassis: &Value, up: bool) {
    let free = json!(["set", []]);
    let (from, to) = if up { (&free, chassis) } else { (chassis, &free) };
    southbound
        .transact(&[json!({ "op": "update", "table": "Port_Binding", "where": [["chassis", "==", from]],
        "row": { "chassis": to, "up": up } })]);
    let others = json!([["type", "==", ""], ["up", "!=", up]]);
    until("northd to tell of it", STEP, || {
        std::thread::sleep(Duration::from_millis(200));
        northbound.select("Logical_Switch_Port", &others, &["_uuid"]).is_empty().then_some(())
    });
}

/// Switches with ports come, are bound, have their ports changed, are free again, and go.
fn ports_come_and_go(
    northbound: &mut Client,
    southbound: &mut Client,
    chassis: &Value,
    sync: &mut i64,
    switches: std::ops::Range<usize>,
) {
    let mut ports = Vec::new();
    for switch in switches.clone() {
        northbound.transact(&[
            json!({ "op": "insert", "table": "Logical_Switch", "row": { "name": format!("s{switch}") } }),
        ]);
        for first in (0..SWITCH).step_by(BATCH) {
            let done = northbound.transact(&network::more_ports(switch, first..first + BATCH));
            ports.extend((first..first + BATCH).zip(done).map(|(at, row)| (switch, at, row["uuid"].clone())));
        }
    }
    settle(northbound, sync);
    bind(northbound, southbound, chassis, true);
    for ports in ports.chunks(BATCH) {
        let change = |(switch, at, row): &(usize, usize, Value)| {
            let addresses = network::addresses(*switch, *at).replace("0a:", "06:");
            json!({ "op": "update", "table": "Logical_Switch_Port", "where": [["_uuid", "==", row]],
                "row": { "addresses": addresses, "port_security": addresses } })
        };
        northbound.transact(&ports.iter().map(change).collect::<Vec<_>>());
    }
    settle(northbound, sync);
    bind(northbound, southbound, chassis, false);
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
    let (mut northbound, mut southbound) = (nb.client(), sb.client());
    network::build(&mut northbound, 5, 100);
    // The servers may be busy for longer than they are usually given to answer.
    northbound.transact(&[json!({ "op": "update", "table": "NB_Global", "where": [],
        "row": { "options": map([("northd_probe_interval", "0")]) } })]);
    let chassis = chassis(&mut southbound);
    let northd = northd(&folder, "northd", Whose::Kiln);
    let mut sync = 0;
    settle(&mut northbound, &mut sync);
    let mut churn = |ports: usize| {
        let switches = 10..10 + ports / SWITCH;
        ports_come_and_go(&mut northbound, &mut southbound, &chassis, &mut sync, switches);
        neighbours_come_and_go(&mut southbound, "down-s0", ports, &mut |_| {});
    };
    // Whatever code is run for the first time is paid for once.
    churn(SWITCH);
    std::thread::sleep(AT_REST);
    let before = northd.resident_kb();
    churn(size());
    assert_as_before(&northd, before);
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
            // The server may be busy for longer than it is usually given to answer.
            ("ovn-remote-probe-interval", "0"),
            // The server compares every row with each condition, and there is one for each interface: a chassis with
            // so many asks for everything.
            ("ovn-monitor-all", if size() > HOST { "true" } else { "false" }),
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

    /// Waits until every port is bound, or none but the one that stays.
    #[track_caller]
    fn wait_bound(&self, bound: bool) {
        let others = json!([
            ["logical_port", "!=", "kept"],
            ["chassis", if bound { "==" } else { "!=" }, ["set", []]]
        ]);
        let mut southbound = self.sb.client();
        until("ports to be bound, or free", STEP, || {
            std::thread::sleep(Duration::from_millis(200));
            southbound.select("Port_Binding", &others, &["_uuid"]).is_empty().then_some(())
        });
    }

    /// Ports come to this host, change and go. Each thousand is a datapath of its own.
    fn ports_come_and_go(&self, count: usize) {
        let (mut southbound, mut local) = (self.sb.client(), self.conf.client());
        let bridge = self.bridge();
        let mut rows = Vec::new();
        for first in (0..count).step_by(SWITCH) {
            let key = first / SWITCH + 10;
            let datapath = json!({ "op": "insert", "table": "Datapath_Binding", "uuid-name": "d", "row": {
                "tunnel_key": key, "type": "logical-switch", "external_ids": map([("name", "d")]) } });
            let ports = (first..first + SWITCH).map(|at| port_binding(&json!(["named-uuid", "d"]), at));
            let done = southbound.transact(&std::iter::once(datapath).chain(ports).collect::<Vec<_>>());
            rows.extend(done.into_iter().skip(1).map(|row| row["uuid"].clone()));
            local.transact(&interfaces(&bridge, first..first + SWITCH));
        }
        self.wait_bound(true);
        let rows: Vec<_> = rows.into_iter().enumerate().collect();
        for rows in rows.chunks(SWITCH) {
            let change = |(at, row): &(usize, Value)| {
                let mac = format!("06:00:00:00:{0:02x}:{1:02x} 10.9.{0}.{1}", at / 256 % 256, at % 256);
                json!({ "op": "update", "table": "Port_Binding", "where": [["_uuid", "==", row]],
                    "row": { "mac": mac, "port_security": mac } })
            };
            southbound.transact(&rows.iter().map(change).collect::<Vec<_>>());
        }
        let played = common::client::set(Self::played_ports(&mut local));
        local.transact(&[json!({ "op": "mutate", "table": "Bridge", "where": [],
            "mutations": [["ports", "delete", played]] })]);
        self.wait_bound(false);
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
    let churn = |count: usize| {
        for first in (0..count).step_by(HOST) {
            host.ports_come_and_go(HOST.min(count - first));
        }
        neighbours_come_and_go(&mut host.sb.client(), "kept", count, &mut |count| {
            host.wait_neighbours(count);
        });
    };
    churn(SWITCH);
    std::thread::sleep(AT_REST);
    let before = host.controller.resident_kb();
    churn(size());
    assert_as_before(&host.controller, before);
}
