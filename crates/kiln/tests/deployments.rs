//! Kiln's daemons and stock ones in every mix that an operator goes through, on real switches in network namespaces: hosts on
//! two chassis over Geneve, IPv4 and IPv6, neighbours that have to be asked for, routes, TCP and traceroute.

use kiln_testkit::figures::Figures;
use std::process::Command;

/// Runs the probes of `file` with these parts, and shows what came of them if one did not hold.
#[track_caller]
fn holds(file: &str, name: &str, parts: &[&str]) -> String {
    let path = format!("{}/../../examples/{file}.yaml", env!("CARGO_MANIFEST_DIR"));
    let output = Command::new(env!("CARGO_BIN_EXE_kiln"))
        .args(["sandbox", "up", &path, "--name", name])
        .args(parts)
        .output()
        .expect("kiln runs");
    let text =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    println!("{text}");
    assert!(output.status.success(), "{file} with {parts:?}:\n{text}");
    count(name, &text);
    text
}

/// Counts the probes that held for every stock program that the packets had to do with: the sandbox says who they are.
fn count(name: &str, text: &str) {
    let probes = text.lines().filter(|line| line.ends_with(" ok") || line.contains(" ok (")).count();
    let mut figures = Figures::new(env!("CARGO_TARGET_TMPDIR"), &format!("deployment-{name}"));
    let steps: Vec<&str> = text.lines().filter(|line| line.contains(" s  ")).collect();
    for program in ["ovn-northd", "ovn-controller", "ovs-vswitchd", "ovsdb-server"] {
        let mut versions: Vec<&str> = steps
            .iter()
            .filter_map(|line| line.split("· ").find(|part| part.contains(program)))
            .filter_map(|part| part.find(program).map(|at| part[at..].trim()))
            .filter(|version| !version.contains("(Kiln "))
            .collect();
        versions.sort_unstable();
        versions.dedup();
        for version in versions {
            figures.peer(program, version).packets += probes;
        }
    }
}

#[test]
fn kiln_alone() {
    for (file, name) in [
        ("one-router", "t-one"),
        ("two-chassis", "t-two"),
        ("dual-stack-ecmp", "t-ecmp"),
        ("spine-leaf", "t-leaf"),
    ] {
        let text = holds(file, name, &[]);
        assert!(text.contains("(Kiln "), "Kiln's own daemons were started:\n{text}");
    }
}

#[test]
fn on_stock_switches() {
    holds("two-chassis", "t-sw", &["--switch", "stock", "--database", "stock"]);
}

#[test]
fn stock_controllers_under_kiln_northd() {
    holds("two-chassis", "t-scon", &["--all", "stock", "--northd", "kiln"]);
}

#[test]
fn kiln_controllers_under_stock_northd() {
    holds("two-chassis", "t-snor", &["--all", "stock", "--controller", "kiln"]);
}

#[test]
fn one_chassis_stock_and_one_kiln() {
    holds("two-chassis", "t-mixa", &["--all", "stock", "--northd", "kiln", "--controller", "c1=kiln"]);
    holds("two-chassis", "t-mixb", &["--all", "stock", "--northd", "kiln", "--controller", "c2=kiln"]);
}

/// The mixes of an upgrade on machines whose switches stay as they are.
#[test]
fn on_old_switches() {
    let old = ["--all", "stock", "--switch", "old-stock"];
    for (name, parts) in [
        ("t-oldc", &["--northd", "kiln"][..]),
        ("t-oldk", &["--controller", "kiln"]),
        ("t-olda", &["--northd", "kiln", "--controller", "c1=kiln"]),
        ("t-oldb", &["--controller", "c2=kiln"]),
    ] {
        holds("two-chassis", name, &[&old, parts].concat());
    }
}

/// Old stock's northd leaves one hop of an IPv6 traceroute without an answer whoever the controllers are, so its networks
/// are those without traceroute across routers.
#[test]
fn kiln_controllers_under_old_stock_northd() {
    for (file, name) in [("dual-stack-ecmp", "t-old"), ("spine-leaf", "t-old2")] {
        holds(file, name, &["--all", "stock", "--northd", "old-stock", "--controller", "kiln"]);
    }
}
