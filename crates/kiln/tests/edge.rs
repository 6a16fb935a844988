//! The edge of a physical network with real hosts: a Linux host configures itself by what its router advertises, and a host
//! outside learns where the gateway router is before anybody asks.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests run programs and look at the clock"
)]

use kiln_sandbox::{Component, Host, PerChassis, Progress, Sandbox, Settings, Table, up};
use kiln_testkit::figures::Figures;
use std::process::Command;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_mins(1);

fn ask(host: &Host, args: &[&str]) -> String {
    let output = host.namespace().run(Command::new(args[0]).args(&args[1..]));
    output.unwrap_or_else(|error| panic!("{args:?} on {}: {error}", host.name()))
}

/// Asks a host until its answer has all of these words.
#[track_caller]
fn wait(host: &Host, args: &[&str], words: &[&str]) -> String {
    let start = Instant::now();
    loop {
        let text = ask(host, args);
        if words.iter().all(|word| text.contains(word)) {
            return text;
        }
        assert!(
            start.elapsed() < PATIENCE,
            "{args:?} on {}: waited for {words:?} and saw:\n{text}",
            host.name()
        );
        std::thread::sleep(Duration::from_millis(200));
    }
}

/// A host that nobody gave an IPv6 address: its own kernel asks for routers, and believes what it hears.
fn configures_itself(sandbox: &Sandbox) {
    let host = sandbox.host("s").expect("the network has it");
    for (key, value) in
        [("accept_ra", "2"), ("accept_ra_rt_info_max_plen", "64"), ("accept_ra_rtr_pref", "1")]
    {
        ask(host, &["sysctl", "-qw", &format!("net.ipv6.conf.eth0.{key}={value}")]);
    }
    // From scratch, with a solicitation.
    ask(host, &["ip", "link", "set", "eth0", "down"]);
    ask(host, &["ip", "link", "set", "eth0", "up"]);
    // The interface's identifier is its Ethernet address's (RFC 4291, appendix A).
    wait(
        host,
        &["ip", "-6", "address", "show", "dev", "eth0", "scope", "global"],
        &["fd00::800:ff:fe00:5/64", "dynamic"],
    );
    let router = "fe80::";
    let routes =
        wait(host, &["ip", "-6", "route", "show", "dev", "eth0"], &["default", "fd77::/64", "fd00::/64"]);
    for (prefix, preference) in [("default via", "pref high"), ("fd77::/64 via", "pref high")] {
        let route = routes.lines().find(|line| line.starts_with(prefix));
        assert!(
            route.is_some_and(|line| line.contains(router) && line.contains(preference)),
            "{prefix}: {routes}"
        );
    }
    wait(host, &["cat", "/proc/sys/net/ipv6/conf/eth0/mtu"], &["1400"]);
    // Across both routers and the tunnel, to the physical network.
    ask(host, &["ping", "-6", "-c", "3", "-i", "0.3", "-w", "20", "fd02::100"]);
}

/// A neighbour that was never asked for is there, since the gateway's chassis announced it.
fn is_announced(sandbox: &Sandbox) {
    let host = sandbox.host("w").expect("the network has it");
    ask(host, &["sysctl", "-qw", "net.ipv4.conf.eth0.arp_accept=1"]);
    ask(host, &["ip", "neighbour", "flush", "dev", "eth0"]);
    let gateway = sandbox
        .nbctl()
        .expect("stock is installed")
        .args(["get", "Logical_Router_Port", "gate-outside", "mac"])
        .output();
    let mac =
        String::from_utf8_lossy(&gateway.expect("ovn-nbctl runs").stdout).trim().trim_matches('"').to_owned();
    wait(host, &["ip", "neighbour", "show", "dev", "eth0"], &["192.168.0.1 lladdr", &mac]);
}

#[test]
fn hosts_at_the_edge() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../examples/edge.yaml");
    let text = std::fs::read_to_string(file).expect("the example is there");
    let network = kiln_topology::parse(file, &text).unwrap_or_else(|problems| panic!("{problems}"));
    let mut settings = Settings {
        name: format!("t-edge{}", std::process::id()),
        database: Component::Stock,
        switch: PerChassis::all(Component::Stock),
        ..Settings::default()
    };
    settings.peers.kiln = Some(env!("CARGO_BIN_EXE_kiln").into());
    let peers = settings.peers.clone();
    let mut sandbox = up(&network, settings, &Progress::quiet()).unwrap_or_else(|error| panic!("{error}"));

    // Announcements go on, so that they can be waited for.
    let settings = sandbox.settings().clone();
    let chassis = sandbox.chassis("c2").expect("the network has it");
    let mut vsctl = chassis.vsctl(&settings).expect("stock is installed");
    let set = vsctl.args(["set", "Open_vSwitch", ".", "external_ids:garp-max-timeout-sec=2"]).output();
    assert!(set.expect("ovs-vsctl runs").status.success());

    is_announced(&sandbox);
    configures_itself(&sandbox);
    let rows = sandbox.probe().unwrap_or_else(|error| panic!("{error}"));
    let table = Table(&rows);
    assert!(table.holds() && rows.len() == network.sandbox.probes.len(), "\n{table}");

    let mut figures = Figures::new(env!("CARGO_TARGET_TMPDIR"), "edge");
    for program in ["ovs-vswitchd", "ovsdb-server"] {
        let version = peers.version(Component::Stock, program).expect("it ran");
        figures.peer(program, &version).packets += rows.len();
    }
}
