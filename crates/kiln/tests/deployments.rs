//! Kiln's daemons and stock ones in every mix that an operator goes through, on real switches in network namespaces: hosts on
//! two chassis over Geneve, IPv4 and IPv6, neighbours that have to be asked for, routes, TCP and traceroute.

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
    text
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
        assert!(text.contains("(Kiln)"), "Kiln's own daemons were started:\n{text}");
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

/// Old stock's northd leaves one hop of an IPv6 traceroute without an answer whoever the controllers are, so its network
/// is the one without traceroute across routers.
#[test]
fn kiln_controllers_under_old_stock_northd() {
    holds("dual-stack-ecmp", "t-old", &["--all", "stock", "--northd", "old-stock", "--controller", "kiln"]);
}
