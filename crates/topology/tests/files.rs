//! The files that people read: the examples, and what the format's description shows.

use kiln_topology::{Expect, ProbeKind, Table, parse, plan};
use std::collections::BTreeSet;
use std::path::PathBuf;

fn read(path: &str) -> String {
    let path: PathBuf = [env!("CARGO_MANIFEST_DIR"), path].iter().collect();
    // A test looks at the files of the repository; the crate itself reads none.
    #[allow(clippy::disallowed_methods)]
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_file_in_the_description_reads() {
    let description = read("FORMAT.md");
    let blocks: Vec<&str> =
        description.split("```yaml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(blocks.len(), 2);
    for block in blocks {
        parse("block.yaml", block).unwrap_or_else(|problems| panic!("{problems}\n{block}"));
    }
}

#[test]
fn every_key_is_described() {
    // A file with one wrong key at each place lists the right ones.
    let text = "
x: 1
switches: { s: { x: 1, ports: { p: { x: 1 } } } }
routers:
  r:
    x: 1
    ports: { rp: { x: 1, static_mac_bindings: { 10.0.0.1: { mac: 0a:00:00:00:00:01, x: 1 } } } }
    routes: [{ to: 10.0.0.0/8, via: discard, x: 1 }]
    policies: [{ priority: 1, match: ip, action: drop, x: 1 }]
sandbox:
  x: 1
  chassis: { c1: { x: 1 } }
  hosts: { h: { chassis: c1, port: p, x: 1 } }
  probes: [{ from: h, ping: 10.0.0.1, x: 1 }, { from: h, traceroute: 10.0.0.1, x: 1 }, { from: h, tcp: 10.0.0.1, x: 1 }]
";
    let problems = parse("keys.yaml", text).unwrap_err();
    let description = read("FORMAT.md");
    let mut keys = BTreeSet::new();
    for problem in problems.list.iter().filter(|problem| problem.found == "`x`") {
        keys.extend(problem.expected["one of the keys ".len()..].split(", "));
    }
    assert!(keys.len() > 40, "{keys:?}");
    for key in keys {
        let words = [format!("`{key}`"), format!("`{{ {key}"), format!(", {key} }}"), format!("\n{key}:")];
        assert!(words.iter().any(|word| description.contains(word)), "{key} is not described");
    }
}

#[test]
fn examples_are_what_they_promise() {
    for name in ["one-router.yaml", "two-chassis.yaml", "spine-leaf.yaml", "dual-stack-ecmp.yaml"] {
        let network = parse(name, &read(&format!("../../examples/{name}"))).unwrap_or_else(|p| panic!("{p}"));
        assert!(!network.sandbox.probes.is_empty(), "{name}");
        assert_eq!(network.options["l3_defaults"], "rfc", "{name}");
        match name {
            "two-chassis.yaml" => {
                assert_eq!((network.switches.len(), network.routers.len()), (3, 2));
                assert_eq!(network.sandbox.chassis.len(), 2);
                assert_eq!(network.switches["db"].ports["db2"].addresses, ["unknown"]);
                let probes = &network.sandbox.probes;
                for ipv6 in [false, true] {
                    let any =
                        |kind: fn(&ProbeKind) -> bool| probes.iter().any(|p| p.ipv6 == ipv6 && kind(&p.kind));
                    assert!(any(|kind| matches!(kind, ProbeKind::Ping { .. })));
                    assert!(any(|kind| matches!(kind, ProbeKind::Tcp { .. })));
                    assert!(any(|kind| matches!(kind, ProbeKind::Traceroute { via: Some(_), .. })));
                }
                assert!(probes.iter().any(|probe| probe.expect == Expect::Unreachable));
            }
            "spine-leaf.yaml" => assert_eq!((network.switches.len(), network.routers.len()), (20, 1)),
            "dual-stack-ecmp.yaml" => {
                let plan = plan(&network, &kiln_topology::Northbound::default()).unwrap();
                let routes = plan.changes.iter().filter(|change| change.table == Table::Route);
                assert_eq!(routes.count(), 11);
            }
            _ => {}
        }
    }
}

#[test]
fn defaults_are_filled_in() {
    let network = parse(
        "some/where/net.prod.yaml",
        "
switches:
  s:
    ipv6_prefix: fd00::/64
    ports: { a: [10.0.0.2, fd00::2], b: unknown, d: dynamic, e: }
routers:
  r: { ports: { rp: { switch: s, networks: [10.0.0.1/24, fd00::1/64] }, up: { peer: down, networks: 10.9.0.1/30 } } }
  q: { ports: { down: { networks: 10.9.0.2/30 } } }
sandbox:
  hosts:
    a: c1
    b: { chassis: c2, ip: 10.0.0.3 }
    d: c2
",
    )
    .unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(network.name, "net.prod");
    let ports = &network.switches["s"].ports;
    // FNV-1a: "a" af63dc4c8601ec8c, "e" af63d84c8601e5c0.
    assert_eq!(ports["a"].addresses, ["0a:af:63:dc:4c:86 10.0.0.2 fd00::2"]);
    assert_eq!(ports["e"].addresses, ["0a:af:63:d8:4c:86"]);
    assert_eq!(
        (ports["to-rp"].kind.as_str(), ports["to-rp"].options["router-port"].as_str()),
        ("router", "rp")
    );
    let peer = kiln_topology::Attached::Peer("up".into());
    assert_eq!(network.routers["q"].ports["down"].attached, peer);

    let hosts = &network.sandbox.hosts;
    assert_eq!(network.sandbox.chassis.keys().collect::<Vec<_>>(), ["c1", "c2"]);
    let routes =
        |host: &str| hosts[host].routes.iter().map(|(to, via)| format!("{to} via {via}")).collect::<Vec<_>>();
    assert_eq!(routes("a"), ["0.0.0.0/0 via 10.0.0.1", "::/0 via fd00::1"]);
    assert_eq!(routes("b"), ["0.0.0.0/0 via 10.0.0.1"]);
    let addressing = &hosts["b"].addressing;
    assert_eq!(*addressing, kiln_topology::Addressing::Static(vec!["10.0.0.3/24".parse().unwrap()]));
    assert!(matches!(&hosts["d"].addressing, kiln_topology::Addressing::Dynamic(nets) if nets.len() == 3));
}
