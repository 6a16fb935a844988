//! A network that only stock's `ovn-nbctl` wrote, with hosts on two chassis.

use kiln_sandbox::{Component, PerChassis, Progress, Settings, Table, up};
use kiln_testkit::figures::Figures;
use kiln_testkit::words;
use std::process::Command;

/// Where hosts are, how they are addressed, and what they try. Its switches and routers are what the commands below make.
const PLAN: &str = "
switches:
  red: { ports: { r1: [10.1.0.11, fd01::11], r2: [10.1.0.12, fd01::12] } }
  blue: { ports: { b1: [10.2.0.11, fd02::11], b2: unknown } }
routers:
  core:
    ports:
      core-red: { switch: red, networks: [10.1.0.1/24, fd01::1/64] }
      core-blue: { switch: blue, networks: [10.2.0.1/24, fd02::1/64] }
sandbox:
  hosts:
    r1: { chassis: c1, mac: '0a:00:00:00:01:01' }
    r2: { chassis: c2, mac: '0a:00:00:00:01:02' }
    b1: { chassis: c2, mac: '0a:00:00:00:02:01' }
    b2: { chassis: c1, mac: '0a:00:00:00:02:02', ip: [10.2.0.12, fd02::12] }
  probes:
    - { from: r1, ping: r2 }
    - { from: r1, ping6: r2 }
    - { from: r1, ping: b1, count: 5 }
    - { from: r1, ping6: b1, count: 5 }
    - { from: r2, ping: b2 }
    - { from: r2, ping6: b2 }
    - { from: b1, tcp: r1, bytes: 100000 }
    - { from: b1, tcp6: r1, bytes: 100000 }
    - { from: r1, traceroute: b1, hops: 2 }
    - { from: r1, ping: 10.1.0.1 }
    - { from: b1, ping6: 'fd02::1' }
";

const COMMANDS: &str = "
ls-add red
lsp-add red r1
lsp-set-addresses r1 '0a:00:00:00:01:01 10.1.0.11 fd01::11'
lsp-set-port-security r1 '0a:00:00:00:01:01 10.1.0.11 fd01::11'
lsp-add red r2
lsp-set-addresses r2 '0a:00:00:00:01:02 10.1.0.12 fd01::12'
ls-add blue
lsp-add blue b1
lsp-set-addresses b1 '0a:00:00:00:02:01 10.2.0.11 fd02::11'
lsp-add blue b2
lsp-set-addresses b2 unknown
lr-add core
lrp-add core core-red 0e:00:00:00:01:01 10.1.0.1/24 fd01::1/64
lrp-add core core-blue 0e:00:00:00:02:01 10.2.0.1/24 fd02::1/64
lsp-add-router-port red red-core core-red
lsp-add-router-port blue blue-core core-blue
";

#[test]
fn packets_cross_a_network_of_ovn_nbctl() {
    let plan = kiln_topology::parse("plan.yaml", PLAN).unwrap_or_else(|problems| panic!("{problems}"));
    let mut empty = plan.clone();
    empty.switches.clear();
    empty.routers.clear();
    empty.sandbox.hosts.clear();
    empty.sandbox.probes.clear();
    let mut settings = Settings {
        name: format!("t-nbctl{}", std::process::id()),
        database: Component::Stock,
        switch: PerChassis::all(Component::Stock),
        ..Settings::default()
    };
    settings.peers.kiln = Some(env!("CARGO_BIN_EXE_kiln").into());
    let peers = settings.peers.clone();
    let mut sandbox = up(&empty, settings, &Progress::quiet()).unwrap_or_else(|error| panic!("{error}"));

    let nbctl = |lines: &str| {
        let mut command: Command = sandbox.nbctl().expect("stock is installed");
        command.arg("--timeout=30");
        for line in lines.lines().filter(|line| !line.is_empty()) {
            command.arg("--").args(words(line));
        }
        let output = command.output().expect("ovn-nbctl runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    nbctl(COMMANDS);
    for (name, host) in &plan.sandbox.hosts {
        sandbox.add_host(name, host).unwrap_or_else(|error| panic!("{error}"));
    }
    sandbox.converge().unwrap_or_else(|error| panic!("{error}"));
    let mut command = sandbox.nbctl().expect("stock is installed");
    let synced = command.args(["--timeout=30", "--wait=hv", "sync"]).output().expect("ovn-nbctl runs");
    assert!(synced.status.success(), "{}", String::from_utf8_lossy(&synced.stderr));

    let rows = sandbox.run(&plan.sandbox.probes).unwrap_or_else(|error| panic!("{error}"));
    let table = Table(&rows);
    assert!(table.holds() && rows.len() == plan.sandbox.probes.len(), "\n{table}");

    let mut figures = Figures::new(env!("CARGO_TARGET_TMPDIR"), "nbctl_network");
    for (program, packets, answers) in
        [("ovn-nbctl", 0, 2), ("ovs-vswitchd", rows.len(), 0), ("ovsdb-server", rows.len(), 0)]
    {
        let version = peers.version(Component::Stock, program).expect("it ran");
        let line = figures.peer(program, &version);
        line.packets += packets;
        line.answers += answers;
    }
}
