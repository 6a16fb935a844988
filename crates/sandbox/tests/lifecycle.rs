//! Nothing stays behind, faults can be made and mended, and what a file says can change under a standing sandbox.

// These tests are about files and processes.
#![allow(clippy::disallowed_methods)]

mod common;

use common::{build, example, probe, settings};
use kiln_sandbox::{Component, Error, Progress, Settings, down, up};
use kiln_topology::{Network, parse};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

const LAN: &str = "
switches: { lan: { ports: { a: [10.7.0.1], b: [10.7.0.2] } } }
sandbox:
  hosts: { a: { chassis: c1, ip: 10.7.0.1/24 }, b: { chassis: c2, ip: 10.7.0.2/24 } }
  probes: [{ from: a, ping: b }]
";

fn lan() -> Network {
    parse("lan.yaml", LAN).unwrap_or_else(|problems| panic!("{problems}"))
}

fn stock() -> Settings {
    settings(Component::Stock)
}

/// The traces that a sandbox of these settings has on the machine now.
fn traces(settings: &Settings) -> Vec<String> {
    let mut traces = Vec::new();
    let folder = settings.parent.join(&settings.name);
    if folder.exists() {
        traces.push(folder.display().to_string());
    }
    let entries = |path: &str| std::fs::read_dir(Path::new(path)).into_iter().flatten().flatten();
    let start = format!("{}-", settings.name);
    traces.extend(
        entries("/run/netns")
            .map(|entry| entry.file_name().to_string_lossy().into_owned())
            .filter(|name| name.starts_with(&start)),
    );
    for entry in entries("/proc") {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(&folder.display().to_string()) {
            traces.push(line);
        }
    }
    traces
}

#[test]
fn nothing_stays_when_a_sandbox_is_dropped() {
    let settings = stock();
    let sandbox = build(&lan(), settings.clone());
    assert!(traces(&settings).len() > 10, "{:?}", traces(&settings));
    drop(sandbox);
    assert_eq!(traces(&settings), [""; 0]);
}

#[test]
fn a_kept_sandbox_stands_until_it_is_taken_down() {
    let settings = stock();
    let mut sandbox = build(&lan(), settings.clone());
    sandbox.keep().unwrap();
    drop(sandbox);
    assert!(traces(&settings).iter().any(|trace| trace.contains("ovn-northd")));
    let again = up(&lan(), settings.clone(), &Progress::quiet());
    assert!(matches!(again, Err(Error::Usage(_))), "{again:?}");
    assert!(down(&settings).unwrap());
    assert_eq!(traces(&settings), [""; 0]);
    assert!(!down(&settings).unwrap());
}

#[test]
fn the_folder_that_somebody_named_stays() {
    let named = std::env::temp_dir().join(format!("kiln-named-{}", std::process::id()));
    std::fs::create_dir(&named).unwrap();
    let settings = Settings { parent: named.clone(), ..stock() };
    drop(build(&lan(), settings.clone()));
    assert_eq!(traces(&settings), [""; 0]);
    std::fs::remove_dir(&named).expect("there, and empty");
}

#[test]
fn what_a_crash_left_is_found_by_its_journal() {
    let settings = stock();
    // The sandbox of a process that is gone: no destructor runs, and its owner's line names nobody.
    std::mem::forget(build(&lan(), settings.clone()));
    let journal = settings.parent.join(&settings.name).join("journal");
    let text = std::fs::read_to_string(&journal).unwrap();
    // A process whose line was never written is found in its namespace.
    let orphaned: Vec<&str> =
        text.lines().filter(|line| !line.starts_with("owner") && !line.starts_with("process")).collect();
    std::fs::write(&journal, orphaned.join("\n")).unwrap();
    probe(&build(&lan(), settings.clone()));
    assert_eq!(traces(&settings), [""; 0]);
}

#[test]
fn a_failed_build_leaves_nothing_and_says_why() {
    let settings = Settings { patience: Duration::from_secs(3), ..stock() };
    // The one chassis cannot reach the databases, so that no port ever comes up.
    let text = LAN.replace(
        "sandbox:\n",
        "sandbox:\n  chassis: { c1: { external_ids: { ovn-remote: 'tcp:172.31.255.254:1' } }, c2: }\n",
    );
    let network = parse("lan.yaml", &text).unwrap_or_else(|problems| panic!("{problems}"));
    let error = up(&network, settings.clone(), &Progress::quiet()).unwrap_err().to_string();
    assert!(error.contains("every chassis to register") && error.ends_with("missing: c1"), "{error}");
    assert_eq!(traces(&settings), [""; 0]);
}

#[test]
fn daemons_that_were_killed_come_back() {
    let mut sandbox = build(&lan(), stock());
    probe(&sandbox);
    sandbox.daemon("northd").unwrap().kill().unwrap();
    sandbox.chassis("c1").unwrap().controller().kill().unwrap();
    sandbox.chassis("c2").unwrap().switch().kill().unwrap();
    assert!(sandbox.daemon("northd").unwrap().pid().is_none());
    assert!(!sandbox.probe().unwrap()[0].holds, "a switch that is gone forwards nothing");
    sandbox.restart("northd").unwrap();
    sandbox.restart_chassis("c1").unwrap();
    sandbox.restart_chassis("c2").unwrap();
    sandbox.converge().unwrap();
    probe(&sandbox);
}

#[test]
fn a_network_is_applied_to_a_real_server_once() {
    let before = example("one-router.yaml");
    let mut sandbox = build(&before, stock());
    assert_eq!(sandbox.apply(&before).unwrap().to_string(), "nothing to change");
    // Somebody else's row stays as it is.
    let nbctl = |sandbox: &kiln_sandbox::Sandbox, args: &[&str]| {
        let output = sandbox.nbctl().unwrap().args(args).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    nbctl(&sandbox, &["ls-add", "theirs", "--", "lsp-add", "theirs", "their-port"]);
    nbctl(&sandbox, &["lr-route-add", "gate", "10.99.0.0/16", "10.2.0.9"]);

    let mut after = before.clone();
    let gate = after.routers.get_mut("gate").unwrap();
    gate.policies.clear();
    gate.options.insert("mcast_relay".into(), "true".into());
    after.switches.get_mut("right").unwrap().ports.remove("carol");
    let plan = sandbox.apply(&after).unwrap();
    assert!(plan.to_string().ends_with("0 to add, 1 to change, 2 to remove"), "{plan}");
    assert_eq!(sandbox.apply(&after).unwrap().to_string(), "nothing to change");
    let ports = nbctl(&sandbox, &["--bare", "--columns=name", "list", "Logical_Switch_Port"]);
    let mut ports: Vec<&str> = ports.split_whitespace().collect();
    ports.sort_unstable();
    assert_eq!(ports, ["alice", "bob", "their-port", "to-gate-left", "to-gate-right"]);
    assert!(nbctl(&sandbox, &["lr-route-list", "gate"]).contains("10.99.0.0/16"));

    nbctl(&sandbox, &["lr-route-del", "gate", "10.99.0.0/16"]);
    sandbox.apply(&before).unwrap();
    sandbox.sync(Duration::from_secs(10)).unwrap();
    let carol = nbctl(&sandbox, &["lsp-get-port-security", "carol"]);
    assert_eq!(carol.trim(), "0a:00:00:00:00:03 10.2.0.30");
    sandbox.converge().unwrap();
    probe(&sandbox);
}

#[test]
fn localnet_ports_lead_to_hosts_outside() {
    let network = parse(
        "edge.toml",
        r#"
[switches.lan.ports]
vm1 = ["10.5.0.11"]
vm2 = "unknown"
uplink = { type = "localnet", network_name = "physnet" }

[sandbox.chassis.c1.external_ids]
ovn-encap-type = "vxlan"
[sandbox.chassis.c2.external_ids]
ovn-encap-type = "geneve,vxlan"

[sandbox.hosts]
vm1 = { chassis = "c1", ip = "10.5.0.11/24" }
vm2 = { chassis = "c2", ip = "10.5.0.12/24" }
outside = { physical = "physnet", ip = "10.5.0.99/24" }

[sandbox]
probes = [
    { from = "vm1", ping = "outside" },
    { from = "outside", tcp = "vm2" },
    { from = "vm1", ping = "vm2" },
]
"#,
    );
    let network = network.unwrap_or_else(|problems| panic!("{problems}"));
    let sandbox = build(&network, stock());
    probe(&sandbox);
    let mut show = Command::new("ip");
    let links = sandbox.host("outside").unwrap().namespace().run(show.args(["-o", "link"])).unwrap();
    assert_eq!(links.lines().count(), 2, "{links}");
}

#[test]
fn probes_fail_when_they_should() {
    let text = LAN.replace(
        "[{ from: a, ping: b }]",
        "\n    - { from: a, ping: b, expect: unreachable }\n    - { from: a, ping: 10.7.0.9 }\n    \
         - { from: a, tcp: 10.7.0.9 }\n    - { from: a, traceroute: b, via: [10.7.0.9] }\n    \
         - { from: a, ping: 10.7.0.9, expect: error }\n    - { from: a, ping: b }\n",
    );
    let network = parse("lan.yaml", &text).unwrap_or_else(|problems| panic!("{problems}"));
    let rows = build(&network, stock()).probe().unwrap();
    assert_eq!(
        rows.iter().map(|row| row.holds).collect::<Vec<_>>(),
        [false, false, false, false, false, true]
    );
}
