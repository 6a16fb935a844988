//! What a person is told about a file that is wrong: file, line, key, and what was expected.

// What `UPDATE_EXPECT` writes has them.
#![allow(clippy::needless_raw_string_hashes)]

use expect_test::{Expect, expect};
use kiln_topology::parse;
use proptest::prelude::*;

fn check(text: &str, expected: Expect) {
    let problems = parse("net.yaml", text).expect_err("the file is wrong");
    expected.assert_eq(&format!("{problems}\n"));
}

#[test]
fn scalars() {
    check(
        "switches:
  web:
    subnet: 10.0.1
    ports:
      a: { mac: 0a:00:00:00:01, ip: 10.0.1.300 }
      b: { mac: 01:00:00:00:00:01, tag: 5000, enabled: \"true\" }
      c: unkown
      d e: {}
",
        expect![[r#"
            net.yaml:3:13: switches.web.subnet: expected an IPv4 subnet, as in 10.0.1.0/24, found `10.0.1`
            net.yaml:5:17: switches.web.ports.a.mac: expected an Ethernet address, as in 0a:00:00:00:00:01, found `0a:00:00:00:01`
            net.yaml:5:37: switches.web.ports.a.ip: expected an IPv4 or IPv6 address, found `10.0.1.300`
            net.yaml:6:17: switches.web.ports.b.mac: expected a unicast Ethernet address, as in 0a:00:00:00:00:01, found `01:00:00:00:00:01`
            net.yaml:6:41: switches.web.ports.b.tag: expected a number from 0 to 4095, found `5000`
            net.yaml:6:56: switches.web.ports.b.enabled: expected true or false, found `true`
            net.yaml:7:10: switches.web.ports.c: expected `dynamic`, `unknown`, `router`, or an Ethernet address followed by IP addresses or `dynamic`, found `unkown`
            net.yaml:8:12: switches.web.ports.d e: expected a name without spaces, found `d e`
        "#]],
    );
}

#[test]
fn keys() {
    check(
        "switchs: {}
routers:
  r:
    ports:
      p: { network: 10.0.0.1/24 }
    routes: { to: 10.0.0.0/8 }
  r:
",
        expect![[r#"
            net.yaml:1:1: expected one of the keys name, options, switches, routers, sandbox, found `switchs`
            net.yaml:5:12: routers.r.ports.p: expected one of the keys mac, networks, switch, switch_port, peer, enabled, options, ipv6_ra_configs, static_mac_bindings, found `network`
            net.yaml:6:13: routers.r.routes: expected a list of routes, found a map that starts with `to`
            net.yaml:7:3: routers.r: expected each key once, found it again (first in line 3)
        "#]],
    );
}

#[test]
fn references() {
    check(
        "switches:
  web: { ports: { a: [10.0.1.2], b: [10.0.1.2], r-web: [10.0.1.1] } }
  db: { ports: { a: unknown, c: { parent: nobody, tag: 1 } } }
routers:
  r:
    ports:
      r-web: { switch: wbe, networks: [10.0.1.1/24] }
      r-s: { peer: s-r, networks: [10.0.9.1/30] }
    routes:
      - { to: 10.0.2.0/24, via: 10.0.8.2 }
      - { to: 10.0.3.1/24, via: 10.0.9.2 }
      - { to: 10.0.4.0/24, via: 10.0.8.2, port: r-x }
      - { to: 10.0.5.0/24, via: 10.0.9.2 }
      - { to: 10.0.5.0/24, via: [10.0.9.2, 10.0.9.3] }
    policies:
      - { priority: 1, match: ip4, via: 10.0.8.2 }
      - { priority: 1, match: ip6, action: reroute }
",
        expect![[r#"
            net.yaml:2:37: switches.web.ports.b: expected an IP address of its own, found 10.0.1.2, which `a` has
            net.yaml:3:21: switches.db.ports.a: expected a name that no other port of the file has, found `a` again (first in line 2)
            net.yaml:3:33: switches.db.ports.c: expected a port of the same switch as `parent`, found `nobody`
            net.yaml:7:14: routers.r.ports.r-web: expected a switch of this file (db, web), found `switch: wbe`
            net.yaml:7:14: routers.r.ports.r-web: expected a name that no other port of the file has, found `r-web` again (first in line 2)
            net.yaml:8:12: routers.r.ports.r-s: expected a router port of this file, found `peer: s-r`
            net.yaml:10:9: routers.r.routes[0]: expected next hops in a network of the router's ports (10.0.9.1/30, 10.0.1.1/24), found 10.0.8.2
            net.yaml:11:15: routers.r.routes[1].to: expected a prefix without bits past its length, as in 10.0.3.0/24, found `10.0.3.1/24`
            net.yaml:12:9: routers.r.routes[2]: expected a port of the router (r-s, r-web), found `port: r-x`
            net.yaml:14:9: routers.r.routes[4]: expected a route and a next hop that is not there yet, found the same as in line 13
            net.yaml:16:9: routers.r.policies[0]: expected next hops in a network of the router's ports (10.0.9.1/30, 10.0.1.1/24), found 10.0.8.2
            net.yaml:17:44: routers.r.policies[1].action: expected `action: allow`, `action: drop`, next hops `via`, or a chain to `jump` to, found `reroute`
        "#]],
    );
}

/// What northd or a controller would refuse later, when nobody looks.
#[test]
fn values_that_daemons_would_refuse() {
    check(
        "options: { l3_defaults: foo }
switches:
  web: { ports: { a: { type: foo }, b: { type: localport } } }
routers:
  r:
    ports:
      r1: { networks: [10.0.0.1/24, 10.0.9.1/24, 10.0.9.2/24, fe80::1/64] }
      r2: { networks: [10.0.0.2/24, fe80::2/64] }
      r3: { networks: [10.0.0.3/8] }
    policies:
      - { priority: 1, match: 'ip4.src == ', action: drop }
      - { priority: 2, match: 'ip4.src == $set && inport == @group', action: drop }
      - { priority: 3, match: 'ip4.src == ^variable', action: drop }
      - { priority: 4, match: 'ip4.sorce == 10.0.0.1', action: drop }
",
        expect![[r#"
            net.yaml:1:25: options.l3_defaults: expected `rfc` or `stock`, found `foo`
            net.yaml:3:30: switches.web.ports.a.type: expected one of router, localnet, localport, switch, external, remote, l2gateway, vtep, virtual, found `foo`
            net.yaml:11:31: routers.r.policies[0].match: expected an expression, found `ip4.src == `: column 12: expected a constant, found the end of the text
            net.yaml:14:31: routers.r.policies[3].match: expected an expression, found `ip4.sorce == 10.0.0.1`: column 1: expected a field name, found `ip4.sorce'
        "#]],
    );
}

#[test]
fn every_mistake_is_told_of_once() {
    check(
        "switches: { web: { exclude_ips: [10.0.1.9..10.0.1.2, 10.0.1.2..10.0.1.9] } }
routers:
  r:
    policies:
      - { priority: 99999, match: 'ip4 &&', action: maybe }
    routes: [{ to: 10.0.0.0/8, via: 1.2.3 }, { to: 11.0.0.0/8, via: [] }]
",
        expect![[r#"
            net.yaml:1:34: switches.web.exclude_ips[0]: expected an IPv4 address or a range, as in 10.0.1.2..10.0.1.10, found `10.0.1.9..10.0.1.2`
            net.yaml:5:21: routers.r.policies[0].priority: expected a number from 0 to 32767, found `99999`
            net.yaml:5:35: routers.r.policies[0].match: expected an expression, found `ip4 &&`: column 7: expected a constant, found the end of the text
            net.yaml:5:53: routers.r.policies[0].action: expected `action: allow`, `action: drop`, next hops `via`, or a chain to `jump` to, found `maybe`
            net.yaml:6:37: routers.r.routes[0].via: expected an IPv4 or IPv6 address, found `1.2.3`
            net.yaml:6:69: routers.r.routes[1].via: expected at least one next hop, or `discard`, found a list of 0
        "#]],
    );
}

#[test]
fn a_list_of_none_says_so() {
    check(
        "routers: { r: { ports: { p: { switch: web } }, routes: [{ to: 10.0.1.0/24, via: 10.0.0.2 }] } }\n",
        expect![[r#"
            net.yaml:1:29: routers.r.ports.p: expected a switch of this file (none), found `switch: web`
            net.yaml:1:57: routers.r.routes[0]: expected next hops in a network of the router's ports (none), found 10.0.0.2
        "#]],
    );
}

#[test]
fn bytes_that_are_no_text_have_a_line_too() {
    let problems = kiln_topology::parse_bytes("net.yaml", b"switches:\n  \xc3\xa9t\xff: {}\n").unwrap_err();
    expect!["net.yaml:2:5: expected UTF-8, found the byte 0xff"].assert_eq(&problems.to_string());
    assert!(kiln_topology::parse_bytes("net.yaml", b"switches: { web: }\n").is_ok());
}

#[test]
fn sandbox() {
    check(
        "switches: { web: { ports: { a: [10.0.1.2], b: [fd00::2] } } }
sandbox:
  chassis: [c1]
  hosts:
    a: c2
    b: { chassis: c1, ip: fd00::2/64, gateway: none, prt: a }
    x: c1
    c1: { chassis: c1, port: b, ip: fd00::3/64 }
  probes:
    - { from: b, ping: b }
    - { from: z, ping6: b }
    - { from: b, ping6: b, tcp: b }
    - { from: b, tcp6: b, expect: never }
    - { from: b, traceroute: nobody }
",
        expect![[r#"
            net.yaml:5:8: sandbox.hosts.a: expected an address with the length of its prefix, or one in a network of the switch's routers or subnet, found 10.0.1.2
            net.yaml:5:8: sandbox.hosts.a: expected one of the chassis c1, found `c2`
            net.yaml:6:54: sandbox.hosts.b: expected one of the keys physical, chassis, port, mac, ip, gateway, routes, mtu, found `prt`
            net.yaml:7:8: sandbox.hosts.x: expected a port of a switch of this file (`port`, or else the host's own name), found `x`
            net.yaml:8:9: sandbox.hosts.c1: expected a name that no chassis has, nor the underlay, found `c1`
            net.yaml:10:24: sandbox.probes[0].ping: expected a host with an IPv4 address, found `b`
            net.yaml:11:15: sandbox.probes[1].from: expected a host of the sandbox, found `z`
            net.yaml:12:7: sandbox.probes[2]: expected one of the keys ping, ping6, traceroute, traceroute6, tcp, tcp6, found ping6 and tcp
            net.yaml:13:35: sandbox.probes[3].expect: expected `ok`, `unreachable` or `error`, found `never`
            net.yaml:14:30: sandbox.probes[4].traceroute: expected a host of the sandbox, or an address, found `nobody`
        "#]],
    );
}

#[test]
fn toml_is_judged_the_same() {
    let problems =
        parse("net.toml", "[switches.web.ports]\na = \"unkown\"\n[routers.r]\nroutes = 1\n").unwrap_err();
    expect![[r#"
        net.toml:2:5: switches.web.ports.a: expected `dynamic`, `unknown`, `router`, or an Ethernet address followed by IP addresses or `dynamic`, found `unkown`
        net.toml:4:10: routers.r.routes: expected a list of routes, found `1`"#]]
    .assert_eq(&problems.to_string());
    check(
        "switches: [\n",
        expect![[r#"
        net.yaml:2:1: expected YAML, found while parsing a node, did not find expected node content
    "#]],
    );
}

const WHOLE: &str = include_str!("../../../examples/dual-stack-ecmp.yaml");

proptest! {
    /// Whatever a file holds, reading it ends with a network or with problems.
    #[test]
    fn no_text_is_too_much(text in any::<String>()) {
        for name in ["x.yaml", "x.toml"] {
            let _ = parse(name, &text);
        }
    }

    #[test]
    fn no_bent_file_is_too_much(
        cuts in proptest::collection::vec((0..WHOLE.len(), 0..40usize, "[-0-9a-z:{}\\[\\], &*!|>'\"\n]{0,6}"), 1..6)
    ) {
        let mut text = WHOLE.to_owned();
        for (at, len, insert) in cuts {
            let at = (0..=at.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
            let end = (at + len).min(text.len());
            let end = (end..=text.len()).find(|end| text.is_char_boundary(*end)).unwrap_or(text.len());
            text.replace_range(at..end, &insert);
        }
        if let Err(problems) = parse("x.yaml", &text) {
            prop_assert!(!problems.list.is_empty() && problems.list.len() <= 100);
        }
        let _ = parse("x.toml", &text);
    }
}
