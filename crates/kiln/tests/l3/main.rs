//! Logical L3 end to end: hosts in network namespaces on stock Open vSwitch, with Kiln's northd and controllers, and then with
//! stock's. The files in `cases` say what is done, with which tools and packets, and what must come out at which end;
//! Kiln must pass every case, and where stock passes too, their packets are the same but for what `masks.rs` lists.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests look at processes and the clock"
)]

mod compare;
mod decode;
mod judge;
mod masks;
mod report;
mod script;
mod station;
mod system;

use judge::{Outcome, Packets};
use kiln_sandbox::Component;
use kiln_topology::Network;
use report::Row;
use script::Script;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Instant;
use system::{Macs, System};

/// Where cases are.
fn file(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests/l3/cases", name].iter().collect()
}

/// Runs the cases of a file in both systems.
#[track_caller]
fn hold(group: &str) {
    let path = file(&format!("{group}.cases"));
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut script = script::parse(&text);
    if let Ok(wanted) = std::env::var("KILN_CASE") {
        script.cases.retain(|case| case.name.contains(&wanted));
    }
    let name = format!("{group}.yaml");
    let network = kiln_topology::parse(&name, &script.network).unwrap_or_else(|wrong| panic!("{wrong}"));
    let packets = compose(&script, &network);
    let stock = run(&script, &network, &packets, group, Component::Stock);
    let kiln = run(&script, &network, &packets, group, Component::Kiln);
    let rows = script.cases.iter().zip(stock).zip(kiln);
    let rows: Vec<Row> = rows.map(|((case, stock), kiln)| Row::of(case, &stock, &kiln)).collect();
    report::leave(group, &rows);
    let failed = rows.iter().filter(|row| !row.holds()).count();
    assert!(failed == 0, "{failed} of {} cases do not hold", rows.len());
}

/// Makes the packets of all cases with scapy.
#[track_caller]
fn compose(script: &Script, network: &Network) -> Packets {
    let macs = Macs::of(network);
    let pair = |pair: &(_, _)| [format!("{}", pair.0), format!("{}", pair.1)];
    let hosts: serde_json::Map<String, serde_json::Value> =
        macs.hosts.iter().map(|(name, both)| (name.clone(), pair(both).to_vec().into())).collect();
    let all: serde_json::Map<String, serde_json::Value> =
        macs.all.iter().map(|(name, mac)| (name.clone(), mac.to_string().into())).collect();
    let beside = kiln_sandbox::Peers::from_env().stock;
    let python = beside.parent().expect("the stock release is in a folder").join("scapy/bin/python");
    let mut scapy = Command::new(&python);
    scapy.args(["-c", include_str!("compose.py")]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let scapy = scapy.spawn();
    let mut scapy = scapy.unwrap_or_else(|error| panic!("{}: {error}; ./test installs it", python.display()));
    let mut input = scapy.stdin.take().expect("it is a pipe");
    let known = serde_json::json!({ "hosts": hosts, "macs": all });
    let lines: Vec<&str> = script.packets().collect();
    let text = format!("{known}\n{}\n", lines.join("\n"));
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = scapy.wait_with_output().expect("it was started");
    assert!(output.status.success(), "scapy: see above");
    writer.join().expect("it does not panic").expect("scapy reads to the end");
    let made = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(made.lines().count(), lines.len(), "a line for each expression");
    let frames = |line: &str| line.split(' ').map(station::bytes).collect();
    lines.iter().zip(made.lines()).map(|(line, made)| ((*line).to_owned(), frames(made))).collect()
}

/// Builds a system and carries out all cases in it.
#[track_caller]
fn run(script: &Script, network: &Network, packets: &Packets, group: &str, whose: Component) -> Vec<Outcome> {
    let start = Instant::now();
    let mut system = System::start(script, network, group, whose);
    println!("{group}: {whose} stands after {:.1} s", start.elapsed().as_secs_f64());
    let outcomes =
        script.cases.iter().map(|case| judge::carry_out(case, &mut system, packets, whose)).collect();
    println!("{group}: {whose} ends after {:.1} s", start.elapsed().as_secs_f64());
    outcomes
}

#[test]
fn errors() {
    hold("errors");
}

#[test]
fn neighbors() {
    hold("neighbors");
}

#[test]
fn resets() {
    hold("resets");
}

#[test]
fn routes() {
    hold("routes");
}

#[test]
fn ipv6() {
    hold("ipv6");
}

#[test]
fn acls() {
    hold("acls");
}

#[test]
fn edge() {
    hold("edge");
}

#[test]
fn rfc() {
    hold("rfc");
}
