//! Stock's tools and ovsdbapp at work on Kiln's rows, beside the same on stock's rows.

mod deployed;

use deployed::{Deployment, sorted, wait_up};
use kiln_testkit::figures::Figures;
use kiln_testkit::{Component, southbound};

const NETWORK: &str = include_str!("networks/two-routers.nbctl");
const HERE: &[&str] = &["p1", "q1", "loc"];
const THERE: &[&str] = &["p2"];

fn figures(test: &str) -> Figures {
    Figures::new(env!("CARGO_TARGET_TMPDIR"), test)
}

/// Commands of tools whose answers must be the same.
const ASKED: &[(&str, &str)] = &[
    ("ovn-nbctl", "show"),
    ("ovn-nbctl", "lsp-list sw0"),
    ("ovn-nbctl", "lsp-get-up p1"),
    ("ovn-nbctl", "lsp-get-up p2"),
    ("ovn-nbctl", "lsp-get-up p3"),
    ("ovn-nbctl", "lsp-get-up sw0-lr0"),
    ("ovn-nbctl", "lr-route-list lr0"),
    ("ovn-nbctl", "lr-policy-list lr0"),
    ("ovn-nbctl", "--bare --columns=name,up list Logical_Switch_Port"),
    ("ovn-nbctl", "get NB_Global . options:mac_prefix"),
    ("ovn-sbctl", "show"),
    ("ovn-sbctl", "--bare --columns=logical_port,type,up,mac,options list Port_Binding"),
    ("ovn-sbctl", "--bare --columns=external_ids find Datapath_Binding external_ids:name=nothing"),
    ("ovn-sbctl", "--bare --columns=name,tunnel_key list Multicast_Group"),
    ("ovn-sbctl", "--bare --columns=type,ip,options list Encap"),
    ("ovn-sbctl", "get Port_Binding p1 up"),
    ("ovn-sbctl", "get Chassis hv1 other_config:port-up-notif"),
];

#[test]
fn control_tools_answer_the_same() {
    let [stock, kiln] =
        Deployment::both(&format!("set NB_Global . options:mac_prefix=0a:0b:0c\n{NETWORK}"), HERE, THERE);
    let mut figures = figures("tools");
    for (tool, line) in ASKED {
        let ask = |on: &Deployment| {
            let server = if *tool == "ovn-nbctl" { &on.north } else { &on.south };
            sorted(&on.lab.ctl(tool, server, line))
        };
        let (want, got) = (ask(&stock), ask(&kiln));
        assert_eq!(got, want, "{tool} {line}");
        figures.peer(tool, &stock.lab.version(Component::Stock, tool)).answers += 1;
    }
    flows_are_listed(&kiln, &mut figures);
    for on in [&stock, &kiln] {
        assert_eq!(on.lab.ctl("ovn-nbctl", &on.north, "--wait=sb --print-wait-time sync").lines().count(), 3);
        assert_eq!(on.lab.ask(&on.northd, "status"), "Status: active\n");
        // A port that is unplugged goes down, and one that is plugged again comes back.
        on.lab.ctl("ovs-vsctl", &on.chassis.server, "del-port q1");
        wait_up(&on.lab, &on.north, "q1", "down");
        on.lab.plug(&on.chassis, "q1");
        wait_up(&on.lab, &on.north, "q1", "up");
    }
    figures.peer("ovn-nbctl", &stock.lab.version(Component::Stock, "ovn-nbctl")).answers += 3;
}

/// `ovn-sbctl lflow-list` lists every flow once for each datapath that it is on.
fn flows_are_listed(on: &Deployment, figures: &mut Figures) {
    let listed = on.lab.ctl("ovn-sbctl", &on.south, "lflow-list");
    let count = listed.lines().filter(|line| line.trim_start().starts_with("table=")).count();
    let there = southbound::read(&on.lab, &on.south).flows.len();
    assert_eq!(count, there);
    for datapath in ["sw0", "sw1", "lr0", "lr1"] {
        let some = on.lab.ctl("ovn-sbctl", &on.south, &format!("lflow-list {datapath}"));
        assert!(some.starts_with(&format!("Datapath: \"{datapath}\"")), "{some}");
    }
    let line = figures.peer("ovn-sbctl", &on.lab.version(Component::Stock, "ovn-sbctl"));
    line.flows += count;
    line.answers += 5;
}

/// Packets for `ovn-trace`: the switch they enter, the fields, and a part of the outcome that shows that it
/// is right; none if the packet is dropped.
const TRACED: &[(&str, &str, &str)] = &[
    // Between switches, through the router, in both families.
    (
        "sw0",
        "inport == \"p1\" && eth.src == 0a:00:00:00:00:01 && eth.dst == 0e:00:00:00:00:01 && ip4.src == 10.0.0.11 && ip4.dst == 10.0.1.11 && ip.ttl == 64 && udp.dst == 53",
        "arp.tpa = 0xa000105",
    ),
    (
        "sw0",
        "inport == \"p1\" && eth.src == 0a:00:00:00:00:01 && eth.dst == 0e:00:00:00:00:01 && ip6.src == fd00::11 && ip6.dst == fd01::11 && ip.ttl == 64 && icmp6.type == 128",
        "output(\"q1\")",
    ),
    (
        "sw1",
        "inport == \"q1\" && eth.src == 0a:00:00:00:01:01 && eth.dst == 0e:00:00:00:01:01 && ip4.src == 10.0.1.11 && ip4.dst == 10.0.0.11 && ip.ttl == 2 && tcp.dst == 80",
        "output(\"p1\")",
    ),
    (
        "sw1",
        "inport == \"q1\" && eth.src == 0a:00:00:00:01:01 && eth.dst == 0e:00:00:00:01:01 && ip4.src == 10.0.1.11 && ip4.dst == 10.0.0.12 && ip.ttl == 64",
        "output(\"p2\")",
    ),
    // Within a switch: known, unknown, everybody.
    (
        "sw0",
        "inport == \"p1\" && eth.src == 0a:00:00:00:00:01 && eth.dst == 0a:00:00:00:00:02 && ip4.src == 10.0.0.11 && ip4.dst == 10.0.0.12 && ip.ttl == 64",
        "output(\"p2\")",
    ),
    (
        "sw0",
        "inport == \"p1\" && eth.src == 0a:00:00:00:00:01 && eth.dst == 0a:00:00:00:09:99 && ip4.src == 10.0.0.11 && ip4.dst == 10.0.0.99 && ip.ttl == 64",
        "output(\"p3\")",
    ),
    (
        "sw0",
        "inport == \"p1\" && eth.src == 0a:00:00:00:00:01 && eth.dst == ff:ff:ff:ff:ff:ff && ip4.src == 10.0.0.11 && ip4.dst == 255.255.255.255 && ip.ttl == 64",
        "output(\"p2\")",
    ),
    (
        "sw1",
        "inport == \"q1\" && eth.src == 0a:00:00:00:01:01 && eth.dst == 0a:00:00:00:09:99 && ip4.src == 10.0.1.11 && ip4.dst == 10.0.1.99",
        "output(\"ln\")",
    ),
    // Who is asked for: a host, the router, nobody; by its owner.
    (
        "sw0",
        "inport == \"p2\" && eth.src == 0a:00:00:00:00:02 && eth.dst == ff:ff:ff:ff:ff:ff && arp.op == 1 && arp.sha == 0a:00:00:00:00:02 && arp.spa == 10.0.0.12 && arp.tpa == 10.0.0.11",
        "output(\"p2\")",
    ),
    (
        "sw0",
        "inport == \"p1\" && eth.src == 0a:00:00:00:00:01 && eth.dst == ff:ff:ff:ff:ff:ff && arp.op == 1 && arp.sha == 0a:00:00:00:00:01 && arp.spa == 10.0.0.11 && arp.tpa == 10.0.0.1",
        "output(\"p1\")",
    ),
    (
        "sw0",
        "inport == \"p1\" && eth.src == 0a:00:00:00:00:01 && eth.dst == ff:ff:ff:ff:ff:ff && arp.op == 1 && arp.sha == 0a:00:00:00:00:01 && arp.spa == 10.0.0.11 && arp.tpa == 10.0.0.99",
        "output(\"p2\")",
    ),
    // The router itself: echo, time exceeded, a port that nobody serves.
    (
        "sw0",
        "inport == \"p1\" && eth.src == 0a:00:00:00:00:01 && eth.dst == 0e:00:00:00:00:01 && ip4.src == 10.0.0.11 && ip4.dst == 10.0.0.1 && ip.ttl == 64 && icmp4.type == 8 && icmp4.code == 0",
        "output(\"p1\")",
    ),
    (
        "sw0",
        "inport == \"p1\" && eth.src == 0a:00:00:00:00:01 && eth.dst == 0e:00:00:00:00:01 && ip6.src == fd00::11 && ip6.dst == fd01::1 && ip.ttl == 64 && icmp6.type == 128 && icmp6.code == 0",
        "output(\"p1\")",
    ),
    (
        "sw1",
        "inport == \"q1\" && eth.src == 0a:00:00:00:01:01 && eth.dst == 0e:00:00:00:01:01 && ip4.src == 10.0.1.11 && ip4.dst == 10.0.0.11 && ip.ttl == 1 && tcp.dst == 80",
        "icmp4",
    ),
    (
        "sw1",
        "inport == \"q1\" && eth.src == 0a:00:00:00:01:01 && eth.dst == 0e:00:00:00:01:01 && ip4.src == 10.0.1.11 && ip4.dst == 10.0.1.1 && ip.ttl == 64 && udp.dst == 7",
        "icmp4",
    ),
    // Routes and policies.
    (
        "sw1",
        "inport == \"q1\" && eth.src == 0a:00:00:00:01:01 && eth.dst == 0e:00:00:00:01:01 && ip4.src == 10.0.1.11 && ip4.dst == 192.168.4.4 && ip.ttl == 64",
        "ip.ttl--",
    ),
    (
        "sw1",
        "inport == \"q1\" && eth.src == 0a:00:00:00:01:01 && eth.dst == 0e:00:00:00:01:01 && ip4.src == 10.0.1.11 && ip4.dst == 1.2.3.4 && ip.ttl == 64",
        "",
    ),
    (
        "sw1",
        "inport == \"q1\" && eth.src == 0a:00:00:00:01:01 && eth.dst == 0e:00:00:00:01:01 && ip4.src == 10.0.1.11 && ip4.dst == 6.6.6.6 && ip.ttl == 64",
        "",
    ),
    (
        "sw1",
        "inport == \"q1\" && eth.src == 0a:00:00:00:01:01 && eth.dst == 0e:00:00:00:01:01 && ip4.src == 10.0.1.11 && ip4.dst == 10.0.0.77 && ip.ttl == 64",
        "arp.tpa = 0xa00004d",
    ),
    // What port security keeps out.
    (
        "sw0",
        "inport == \"p1\" && eth.src == 0a:00:00:00:00:05 && eth.dst == 0a:00:00:00:00:02 && ip4.src == 10.0.0.11 && ip4.dst == 10.0.0.12",
        "",
    ),
    ("sw0", "inport == \"p2\" && eth.src == 01:00:00:00:00:05 && eth.dst == 0a:00:00:00:00:01", ""),
];

#[test]
fn packets_are_traced_to_the_same_ports() {
    let [stock, kiln] = Deployment::both(NETWORK, HERE, THERE);
    let mut figures = figures("traces");
    for (datapath, fields, part) in TRACED {
        let trace = |on: &Deployment| {
            let mut command = on.lab.program(Component::Stock, "ovn-trace");
            command.arg(format!("--db={}", on.south.remote)).args([
                "--minimal",
                "--no-friendly-names",
                datapath,
                fields,
            ]);
            let output = command.output().expect("ovn-trace runs");
            assert!(output.status.success(), "{fields}: {}", String::from_utf8_lossy(&output.stderr));
            // What stands in braces is laid out as it was written; the words are what counts.
            let text = String::from_utf8_lossy(&output.stdout).replace(['{', '}'], " ");
            // The first line repeats the packet, with the number of the port that it came by.

            let lines = text.lines().filter(|line| !line.starts_with('#'));
            lines.map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect::<Vec<_>>()
        };
        let (mut want, mut got) = (trace(&stock), trace(&kiln));
        // Copies for several ports come in the order of a hash table.
        want.sort();
        got.sort();
        assert_eq!(got, want, "{fields}");
        if part.is_empty() {
            assert!(
                !got.iter().any(|line| line.contains("output")),
                "{fields}: it was to be dropped: {got:#?}"
            );
        } else {
            assert!(got.iter().any(|line| line.contains(part)), "{fields}: no {part} in {got:#?}");
        }
        figures.peer("ovn-trace", &stock.lab.version(Component::Stock, "ovn-trace")).packets += 1;
    }
}

#[test]
fn ovsdbapp_sees_the_same() {
    let answers = Deployment::both("", &[], &[]).map(|on| {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ovsdbapp_client.py");
        let output = on
            .lab
            .ovsdbapp()
            .args([script, &on.north.remote, &on.south.remote, &on.chassis.server.remote])
            .output()
            .expect("scripts/peers.sh has installed ovsdbapp");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
        text
    });
    let [stock, kiln] = &answers;
    assert_eq!(kiln, stock);
    let (version, rest) = kiln.split_once('\n').expect("the version and the answers");
    assert!(rest.lines().count() >= 10, "{rest}");
    figures("ovsdbapp").peer("ovsdbapp", version).answers += rest.lines().count();
}
