//! Rows that cannot be used: each is told of once, with its table, row, column and value, is skipped alone, and heals when
//! it is mended, without a restart.

mod common;

use common::chassis::{flows, vsctl};
use common::client::{Client, map};
use common::database::Database;
use common::deployment::Deployment;
use common::{Daemon, Folder, LONG, Whose, network, northd, run, until};
use serde_json::{Value, json};

/// Warnings about rows.
fn warnings(daemon: &Daemon) -> Vec<String> {
    let about_rows = |line: &String| ["|northd|", "|main|"].iter().any(|module| line.contains(module));
    daemon.log_lines("|WARN|").into_iter().filter(about_rows).collect()
}

fn update(table: &str, key: &str, name: &str, row: Value) -> Value {
    json!({ "op": "update", "table": table, "where": [[key, "==", name]], "row": row })
}

/// A row that is made wrong and right again.
struct Case {
    bad: Value,
    /// What the warning says: table, row, column, value.
    says: [&'static str; 4],
    mend: Value,
    /// What some logical flow says once the row is right, and only then.
    heals: &'static str,
}

fn port(bad: Value, says: [&'static str; 4], mend: Value, heals: &'static str) -> Case {
    let change = |row| update("Logical_Switch_Port", "name", "s0p1", row);
    Case { bad: change(bad), says, mend: change(mend), heals }
}

fn router_port(bad: Value, says: [&'static str; 4], mend: Value, heals: &'static str) -> Case {
    let change = |row| update("Logical_Router_Port", "name", "down-s2", row);
    Case { bad: change(bad), says, mend: change(mend), heals }
}

/// Of all rows of a table.
fn options(
    table: &str,
    bad: [(&str, &str); 1],
    says: [&'static str; 4],
    mend: &[(&str, &str)],
    heals: &'static str,
) -> Case {
    let [(key, _)] = bad;
    let change = |options: Value| {
        let mutations = json!([["options", "delete", ["set", [key]]], ["options", "insert", options]]);
        json!({ "op": "mutate", "table": table, "where": [], "mutations": mutations })
    };
    Case { bad: change(map(bad)), says, mend: change(map(mend.iter().copied())), heals }
}

fn route(bad: Value, says: [&'static str; 4], mend: Value, heals: &'static str) -> Case {
    let change =
        |row| json!({ "op": "update", "table": "Logical_Router_Static_Route", "where": [], "row": row });
    Case { bad: change(bad), says, mend: change(mend), heals }
}

fn policy(bad: Value, says: [&'static str; 4], mend: Value, heals: &'static str) -> Case {
    let change = |row| update("Logical_Router_Policy", "priority", "7", row);
    let as_number = |mut op: Value| {
        op["where"][0][2] = json!(7);
        op
    };
    Case { bad: as_number(change(bad)), says, mend: as_number(change(mend)), heals }
}

/// A port that comes after the others.
const LATE: &str = "s0p4";

fn late(addresses: &str) -> Value {
    update("Logical_Switch_Port", "name", LATE, json!({ "addresses": addresses }))
}

fn cases() -> Vec<Case> {
    let lsp = "Logical_Switch_Port";
    let empty = json!(["set", []]);
    vec![
        port(
            json!({ "addresses": "0a:00:00:00:01 10.0.0.99" }),
            [lsp, "s0p1", "addresses", "0a:00:00:00:01 10.0.0.99"],
            json!({ "addresses": "0a:00:00:00:00:aa 10.0.0.99" }),
            "10.0.0.99",
        ),
        port(
            json!({ "addresses": "0a:00:00:00:00:aa 10.0.0.98/33" }),
            [lsp, "s0p1", "addresses", "10.0.0.98/33"],
            json!({ "addresses": "0a:00:00:00:00:aa 10.0.0.98" }),
            "10.0.0.98",
        ),
        port(
            json!({ "type": "carrier-pigeon", "addresses": "0a:00:00:00:00:aa 10.0.0.96" }),
            [lsp, "s0p1", "type", "carrier-pigeon"],
            json!({ "type": "" }),
            "10.0.0.96",
        ),
        port(
            json!({ "type": "router", "addresses": "router", "options": map([("router-port", "nowhere")]) }),
            [lsp, "s0p1", "options", "nowhere"],
            json!({ "type": "", "options": map([]), "addresses": "0a:00:00:00:00:aa 10.0.0.95" }),
            "10.0.0.95",
        ),
        router_port(
            json!({ "mac": "0e:00" }),
            ["Logical_Router_Port", "down-s2", "mac", "0e:00"],
            json!({ "mac": "0e:00:00:00:0c:0c" }),
            "0e:00:00:00:0c:0c",
        ),
        router_port(
            json!({ "networks": "10.2.0.1/40" }),
            ["Logical_Router_Port", "down-s2", "networks", "10.2.0.1/40"],
            json!({ "networks": "10.2.0.77/16" }),
            "10.2.0.77",
        ),
        router_port(
            json!({ "peer": "nowhere", "mac": "0e:00:00:00:0c:0d" }),
            ["Logical_Router_Port", "down-s2", "peer", ""],
            json!({ "peer": empty, "mac": "0e:00:00:00:0c:0e" }),
            "0e:00:00:00:0c:0e",
        ),
        router_port(
            json!({ "options": map([("gateway_mtu", "1400"), ("fragment", "1")]) }),
            ["Logical_Router_Port", "down-s2", "options", "fragment `1`"],
            json!({ "options": map([("gateway_mtu", "1401")]) }),
            "check_pkt_larger(1415)",
        ),
        options(
            "Logical_Router",
            [("icmp_unreachable", "yes")],
            ["Logical_Router ", "", "options", "icmp_unreachable `yes`"],
            &[("icmp_unreachable", "true")],
            "ip6.src == ::1",
        ),
        options(
            "NB_Global",
            [("mac_binding_removal_limit", "few")],
            ["NB_Global ", "", "options", "mac_binding_removal_limit `few`"],
            &[("mac_binding_removal_limit", "9"), ("l3_defaults", "rfc")],
            "fragment(1401)",
        ),
        route(
            json!({ "ip_prefix": "172.16.0.0/61" }),
            ["Logical_Router_Static_Route", "", "ip_prefix", "172.16.0.0/61"],
            json!({ "ip_prefix": "172.17.0.0/16" }),
            "172.17.0.0/16",
        ),
        route(
            json!({ "nexthop": "192.0.2.1", "ip_prefix": "172.18.0.0/16" }),
            ["Logical_Router_Static_Route", "", "nexthop", "192.0.2.1"],
            json!({ "nexthop": "10.0.0.20" }),
            "172.18.0.0/16",
        ),
        route(
            json!({ "output_port": "nowhere", "ip_prefix": "172.19.0.0/16" }),
            ["Logical_Router_Static_Route", "", "output_port", "nowhere"],
            json!({ "output_port": empty }),
            "172.19.0.0/16",
        ),
        policy(
            json!({ "match": "ip4.dst ==" }),
            ["Logical_Router_Policy", "", "match", "ip4.dst =="],
            json!({ "match": "ip4.dst == 203.0.113.1" }),
            "203.0.113.1",
        ),
        policy(
            json!({ "action": "reroute", "nexthops": "192.0.2.2", "match": "ip4.dst == 203.0.113.2" }),
            ["Logical_Router_Policy", "", "nexthops", "192.0.2.2"],
            json!({ "nexthops": "10.0.0.20" }),
            "203.0.113.2",
        ),
    ]
}

/// What somebody else has already.
fn taken() -> Vec<Case> {
    let lsp = "Logical_Switch_Port";
    vec![
        // The other port has had it for longer.
        Case {
            bad: late("0a:00:00:00:00:ab 10.0.0.10"),
            says: [lsp, LATE, "addresses", "10.0.0.10"],
            mend: late("0a:00:00:00:00:ab 10.0.0.97"),
            heals: "10.0.0.97",
        },
        // The router's own, whoever was first.
        Case {
            bad: late("0a:00:00:00:00:ac 10.0.0.1"),
            says: [lsp, LATE, "addresses", "10.0.0.1"],
            mend: late("0a:00:00:00:00:ac 10.0.0.94"),
            heals: "10.0.0.94",
        },
        // Another port of the router leads there.
        router_port(
            json!({ "networks": "10.0.0.66/16" }),
            ["Logical_Router_Port", "down-s2", "networks", "10.0.0.66/16"],
            json!({ "networks": "10.2.0.78/16" }),
            "10.2.0.78",
        ),
    ]
}

/// Waits until northd has taken in everything so far.
#[track_caller]
fn settle(northbound: &mut Client, sync: &mut i64) {
    *sync += 1;
    northbound.transact(&[
        json!({ "op": "update", "table": "NB_Global", "where": [], "row": { "nb_cfg": *sync } }),
    ]);
    let wanted = sync.to_string();
    until("northd to catch up", LONG, || {
        (northbound.column("NB_Global", "sb_cfg") == [&*wanted]).then_some(())
    });
}

/// What flows say of a port that nothing is wrong with.
fn others(southbound: &mut Client) -> Vec<String> {
    let flows = southbound.column("Logical_Flow", "match");
    flows.into_iter().filter(|flow| flow.contains("10.0.0.12") || flow.contains("s0p2")).collect()
}

#[test]
fn northbound_rows() {
    let folder = Folder::new("input");
    let (nb, sb) = (Database::start(&folder, "nb"), Database::start(&folder, "sb"));
    let (mut northbound, mut southbound) = (nb.client(), sb.client());
    network::build(&mut northbound, 3, 4);
    northbound.transact(&[
        json!({ "op": "insert", "table": "Logical_Router_Static_Route", "uuid-name": "a", "row": {
            "ip_prefix": "172.16.0.0/16", "nexthop": "10.0.0.20" } }),
        json!({ "op": "insert", "table": "Logical_Router_Policy", "uuid-name": "p", "row": {
            "priority": 7, "match": "ip4", "action": "allow" } }),
        json!({ "op": "mutate", "table": "Logical_Router", "where": [], "mutations": [
            ["static_routes", "insert", ["named-uuid", "a"]], ["policies", "insert", ["named-uuid", "p"]] ] }),
    ]);
    let northd = northd(&folder, "northd", Whose::Kiln);
    let mut sync = 0;
    settle(&mut northbound, &mut sync);
    assert_eq!(warnings(&northd), [""; 0]);
    northbound.transact(&network::more_ports(0, 4..5));
    settle(&mut northbound, &mut sync);
    let good = others(&mut southbound);
    assert!(!good.is_empty());
    let says = |southbound: &mut Client, text: &str| {
        let flows = southbound.select("Logical_Flow", &json!([]), &["match", "actions"]);
        flows.iter().any(|flow| flow.to_string().contains(text))
    };
    for case in cases().into_iter().chain(taken()) {
        let before = warnings(&northd).len();
        northbound.transact(std::slice::from_ref(&case.bad));
        settle(&mut northbound, &mut sync);
        let new = warnings(&northd).split_off(before);
        assert_eq!(new.len(), 1, "one warning about {}: {new:#?}", case.bad);
        assert!(case.says.iter().all(|part| new[0].contains(part)), "{:?}: {}", case.says, new[0]);
        assert!(!says(&mut southbound, case.heals), "{} is skipped", case.bad);
        assert_eq!(others(&mut southbound), good, "nothing else is, beside {}", case.bad);
        northbound.transact(std::slice::from_ref(&case.mend));
        settle(&mut northbound, &mut sync);
        assert!(says(&mut southbound, case.heals), "mended by {}", case.mend);
        assert_eq!(warnings(&northd).len(), before + 1, "mending is quiet: {:#?}", warnings(&northd));
    }
}

/// What is made, what is said of it, and what takes it back.
type Odd = (Value, [&'static str; 4], Value);

fn all(table: &str, row: Value) -> Value {
    json!({ "op": "update", "table": table, "where": [], "row": row })
}

/// References to what is not there.
fn dangling() -> Vec<Odd> {
    let port = |row| update("Logical_Switch_Port", "name", "s0p1", row);
    let router = |row| all("Logical_Router", row);
    let policy = |row| all("Logical_Router_Policy", row);
    let peer = |row| update("Logical_Router_Port", "name", "down-s2", row);
    let (lsp, empty) = ("Logical_Switch_Port", json!(["set", []]));
    vec![
        (
            port(json!({ "parent_name": "no-parent", "tag": 5 })),
            [lsp, "s0p1", "parent_name", "no-parent"],
            port(json!({ "parent_name": empty, "tag": empty })),
        ),
        (
            port(json!({ "options": map([("requested-chassis", "no-chassis")]) })),
            [lsp, "s0p1", "options", "no-chassis"],
            port(json!({ "options": map([]) })),
        ),
        (
            router(json!({ "options": map([("chassis", "no-home")]) })),
            ["Logical_Router", "", "options", "no-home"],
            router(json!({ "options": map([]) })),
        ),
        (
            policy(json!({ "match": "inport == \"no-port\"" })),
            ["Logical_Router_Policy", "", "match", "no-port"],
            policy(json!({ "match": "inport == \"down-s0\"" })),
        ),
        (
            peer(json!({ "peer": "down-s2" })),
            ["Logical_Router_Port", "down-s2", "peer", "down-s2"],
            peer(json!({ "peer": empty })),
        ),
        (
            all("ACL", json!({ "meter": "no-meter" })),
            ["ACL", "", "meter", "no-meter"],
            all("Meter", json!({ "name": "no-meter" })),
        ),
        (
            all("Copp", json!({ "meters": map([("arp", "nothing")]) })),
            ["Copp", "arp", "meters", "nothing"],
            all("Copp", json!({ "meters": map([]) })),
        ),
    ]
}

/// Values that cannot be had, or that nobody understands.
fn refused() -> Vec<Odd> {
    let lsp = "Logical_Switch_Port";
    let port = |row| update(lsp, "name", "s0p1", row);
    let switches = |is: &str, config: &[(&str, &str)]| {
        json!({ "op": "update", "table": "Logical_Switch", "where": [["name", is, "s0"]],
            "row": { "other_config": map(config.iter().copied()) } })
    };
    let advertises = |configs: &[(&str, &str)]| {
        let row = json!({ "ipv6_ra_configs": map(configs.iter().copied()) });
        update("Logical_Router_Port", "name", "down-s2", row)
    };
    let mut cases = vec![
        (
            switches("!=", &[("requested-tnl-key", "77")]),
            ["Logical_Switch", "(s", "other_config", "requested-tnl-key `77`"],
            switches("!=", &[]),
        ),
        (
            switches("==", &[("fdb_age_threshold", "no-number")]),
            ["Logical_Switch", "(s0)", "other_config", "no-number"],
            switches("==", &[]),
        ),
        (
            port(json!({ "addresses": "dynamic 10.0.0.99" })),
            [lsp, "s0p1", "addresses", "dynamic 10.0.0.99"],
            port(json!({ "addresses": "dynamic" })),
        ),
    ];
    for key in ["address_mode", "max_interval", "min_interval", "mtu"] {
        let says = ["Logical_Router_Port", "down-s2", key, "no-value"];
        cases.push((advertises(&[(key, "no-value")]), says, advertises(&[])));
    }
    cases
}

#[test]
fn references_to_nothing() {
    let folder = Folder::new("nothing");
    let (nb, _sb) = (Database::start(&folder, "nb"), Database::start(&folder, "sb"));
    let mut northbound = nb.client();
    network::build(&mut northbound, 3, 4);
    northbound.transact(&[
        json!({ "op": "insert", "table": "Logical_Router_Policy", "uuid-name": "p", "row": {
            "priority": 7, "match": "ip4", "action": "allow" } }),
        json!({ "op": "mutate", "table": "Logical_Router", "where": [], "mutations": [
            ["policies", "insert", ["named-uuid", "p"]] ] }),
        json!({ "op": "insert", "table": "Copp", "uuid-name": "c", "row": { "name": "c" } }),
        json!({ "op": "insert", "table": "Meter_Band", "uuid-name": "b", "row": { "action": "drop", "rate": 7 } }),
        json!({ "op": "insert", "table": "Meter", "row": {
            "name": "meter", "unit": "pktps", "bands": ["named-uuid", "b"] } }),
        json!({ "op": "update", "table": "Logical_Router", "where": [], "row": { "copp": ["named-uuid", "c"] } }),
        json!({ "op": "insert", "table": "ACL", "uuid-name": "a", "row": {
            "priority": 1, "direction": "to-lport", "match": "ip4", "action": "drop", "log": true } }),
        json!({ "op": "mutate", "table": "Logical_Switch", "where": [["name", "==", "s0"]], "mutations": [
            ["acls", "insert", ["named-uuid", "a"]] ] }),
        // The port that leads to itself has no switch port.
        json!({ "op": "mutate", "table": "Logical_Switch", "where": [["name", "==", "s2"]], "mutations": [
            ["ports", "delete", ["set", towards(&mut nb.client(), "down-s2")]] ] }),
    ]);
    let northd = northd(&folder, "northd", Whose::Kiln);
    let mut sync = 0;
    settle(&mut northbound, &mut sync);
    assert_eq!(warnings(&northd), [""; 0]);
    for (bad, says, mend) in dangling().into_iter().chain(refused()) {
        let before = warnings(&northd).len();
        northbound.transact(std::slice::from_ref(&bad));
        settle(&mut northbound, &mut sync);
        let new = warnings(&northd).split_off(before);
        assert_eq!(new.len(), 1, "one warning about {bad}: {new:#?}");
        assert!(says.iter().all(|part| new[0].contains(part)), "{says:?}: {}", new[0]);
        northbound.transact(std::slice::from_ref(&mend));
        settle(&mut northbound, &mut sync);
        assert_eq!(warnings(&northd).len(), before + 1, "mending is quiet: {:#?}", warnings(&northd));
    }
    // What northd chooses itself it sets right, and says so.
    for key in ["mac_prefix", "max_tunid"] {
        let options = json!({ "op": "update", "table": "NB_Global", "where": [], "row": {
            "options": map([(key, "no-value")]) } });
        let before = warnings(&northd).len();
        northbound.transact(&[options]);
        settle(&mut northbound, &mut sync);
        let new = warnings(&northd).split_off(before);
        let says = ["NB_Global", key, "no-value"];
        assert!(new.len() == 1 && says.iter().all(|part| new[0].contains(part)), "{new:#?}");
        let text = northbound.select("NB_Global", &json!([]), &["options"])[0].to_string();
        assert!(text.contains(key) && !text.contains("no-value"), "{text}");
    }
}

/// The switch ports that lead to a router port.
fn towards(northbound: &mut Client, name: &str) -> Vec<Value> {
    let leads = json!([["options", "includes", map([("router-port", name)])]]);
    let rows = northbound.select("Logical_Switch_Port", &leads, &["_uuid"]);
    rows.into_iter().map(|row| row["_uuid"].clone()).collect()
}

#[test]
fn two_ports_of_one_name() {
    let folder = Folder::new("name");
    let (nb, sb) = (Database::start(&folder, "nb"), Database::start(&folder, "sb"));
    let mut northbound = nb.client();
    network::build(&mut northbound, 2, 2);
    let northd = northd(&folder, "northd", Whose::Kiln);
    let mut sync = 0;
    settle(&mut northbound, &mut sync);
    // The northbound schema has names of switch ports and of router ports differ among themselves only.
    northbound.transact(&[update("Logical_Switch_Port", "name", "s0p1", json!({ "name": "down-s0" }))]);
    settle(&mut northbound, &mut sync);
    northbound.transact(&network::more_ports(1, 7..8));
    settle(&mut northbound, &mut sync);
    let bound = sb.client().column("Port_Binding", "logical_port");
    assert!(bound.contains(&network::port(1, 7)), "others go on: {bound:?}");
    let new: Vec<String> = warnings(&northd);
    assert_eq!(new.len(), 1, "{new:#?}");
    assert!(
        ["Logical_Router_Port", "name", "down-s0"].iter().all(|part| new[0].contains(part)),
        "{}",
        new[0]
    );
    northbound.transact(&[update("Logical_Switch_Port", "name", "down-s0", json!({ "name": "s0p1" }))]);
    settle(&mut northbound, &mut sync);
    assert!(sb.client().column("Port_Binding", "logical_port").contains(&network::port(0, 1)));
}

#[test]
fn many_wrong_rows_do_not_flood_the_log() {
    let folder = Folder::new("flood");
    let (nb, _sb) = (Database::start(&folder, "nb"), Database::start(&folder, "sb"));
    let mut northbound = nb.client();
    network::build(&mut northbound, 1, 400);
    northbound.transact(&[json!({
        "op": "update", "table": "Logical_Switch_Port", "where": [["type", "==", ""]], "row": { "addresses": "nonsense" },
    })]);
    let northd = northd(&folder, "northd", Whose::Kiln);
    settle(&mut northbound, &mut 0);
    let count = warnings(&northd).len();
    assert!((1..=100).contains(&count), "{count} warnings");
}

/// A change of the southbound or the switch's database, and how to take it back.
struct ChassisCase {
    bad: fn(&mut Deployment),
    says: [&'static str; 4],
    mend: fn(&mut Deployment),
    heals: fn(&Deployment) -> bool,
}

fn set_id(all: &Deployment, key: &str, value: &str) {
    run(vsctl(&all.folder)
        .args(["--no-wait", "set", "Open_vSwitch", "."])
        .arg(format!("external_ids:{key}=\"{value}\"")));
}

fn is_bound(all: &Deployment, port: &str) -> bool {
    let rows = all.sb.client().select("Port_Binding", &json!([["logical_port", "==", port]]), &["chassis"]);
    rows.iter().any(|row| row["chassis"][0] == "uuid")
}

fn flow_says(all: &Deployment, text: &str) -> bool {
    flows(&all.folder).iter().any(|flow| flow.contains(text))
}

fn set_flow(all: &mut Deployment, row: Value) {
    all.sb.client().transact(&[json!({
        "op": "update", "table": "Logical_Flow", "where": [["priority", "==", 4321]], "row": row,
    })]);
}

fn chassis_cases() -> Vec<ChassisCase> {
    vec![
        ChassisCase {
            bad: |all| set_flow(all, json!({ "match": "ip4.dst ==" })),
            says: ["Logical_Flow", "", "match", "ip4.dst =="],
            mend: |all| set_flow(all, json!({ "match": "ip4.dst == 198.51.100.1" })),
            heals: |all| flow_says(all, "198.51.100.1"),
        },
        ChassisCase {
            bad: |all| set_flow(all, json!({ "match": "ip4.dst == 198.51.100.2", "actions": "fly;" })),
            says: ["Logical_Flow", "", "actions", "fly;"],
            mend: |all| set_flow(all, json!({ "actions": "next;" })),
            heals: |all| flow_says(all, "198.51.100.2"),
        },
        ChassisCase {
            bad: |all| set_id(all, "ovn-encap-ip", "nowhere"),
            says: ["Open_vSwitch", "external_ids", "ovn-encap-ip", "nowhere"],
            mend: |all| set_id(all, "ovn-encap-ip", "127.0.0.9"),
            heals: |all| all.sb.client().column("Encap", "ip").contains(&"127.0.0.9".to_owned()),
        },
        ChassisCase {
            bad: |all| set_id(all, "ovn-encap-type", "geneve,pigeon"),
            says: ["Open_vSwitch", "external_ids", "ovn-encap-type", "pigeon"],
            mend: |all| set_id(all, "ovn-encap-type", "geneve,vxlan"),
            heals: |all| all.sb.client().column("Encap", "type").contains(&"vxlan".to_owned()),
        },
        ChassisCase {
            bad: |all| set_id(all, "ovn-budget-errors-port", "5/5"),
            says: ["Open_vSwitch", "external_ids", "ovn-budget-errors-port", "class"],
            mend: |all| {
                let wrong = "ovn-budget-errors-port";
                run(vsctl(&all.folder).args([
                    "--no-wait",
                    "remove",
                    "Open_vSwitch",
                    ".",
                    "external_ids",
                    wrong,
                ]));
                set_id(all, "ovn-encap-ip", "127.0.0.8");
            },
            heals: |all| all.sb.client().column("Encap", "ip").contains(&"127.0.0.8".to_owned()),
        },
        ChassisCase {
            bad: |all| set_id(all, "ovn-bridge-mappings", "nonsense"),
            says: ["Open_vSwitch", "external_ids", "ovn-bridge-mappings", "nonsense"],
            mend: |all| set_id(all, "ovn-bridge-mappings", "net:br-x"),
            heals: |all| {
                all.sb.client().select("Chassis", &json!([]), &["other_config"])[0]
                    .to_string()
                    .contains("net:br-x")
            },
        },
        ChassisCase {
            bad: |all| {
                all.sb.client().transact(&[
                    json!({ "op": "insert", "table": "Encap", "uuid-name": "e", "row": {
                        "type": "geneve", "ip": "not-there", "chassis_name": "other" } }),
                    json!({ "op": "insert", "table": "Chassis", "row": { "name": "other", "encaps": ["named-uuid", "e"] } }),
                ]);
            },
            says: ["Encap", "", "ip", "not-there"],
            mend: |all| {
                all.sb.client().transact(&[update(
                    "Encap",
                    "chassis_name",
                    "other",
                    json!({ "ip": "127.0.0.2" }),
                )]);
            },
            heals: |all| {
                all.chassis
                    .database
                    .client()
                    .column("Port", "name")
                    .iter()
                    .any(|name| name.starts_with("ovn-"))
            },
        },
        ChassisCase {
            bad: |all| {
                let datapath = all.sb.client().select(
                    "Port_Binding",
                    &json!([["logical_port", "==", "down-s0"]]),
                    &["datapath"],
                );
                all.sb.client().transact(&[json!({ "op": "insert", "table": "MAC_Binding", "row": {
                    "logical_port": "down-s0", "ip": "10.0.0.300", "mac": "0a:00:00:00:00:dd",
                    "datapath": datapath[0]["datapath"] } })]);
            },
            says: ["MAC_Binding", "down-s0", "ip", "10.0.0.300"],
            mend: |all| {
                all.sb.client().transact(&[update(
                    "MAC_Binding",
                    "logical_port",
                    "down-s0",
                    json!({ "ip": "10.0.0.30" }),
                )]);
            },
            heals: |all| flow_says(all, "0a:00:00:00:00:dd"),
        },
        ChassisCase {
            bad: |all| {
                let change = json!({ "type": "pigeon" });
                all.sb.client().transact(&[update("Port_Binding", "logical_port", "s1p1", change)]);
                until("s1p1 to be let go", LONG, || (!is_bound(all, "s1p1")).then_some(()));
            },
            says: ["Port_Binding", "\"s1p1\"", "column type", "pigeon"],
            mend: |all| {
                let change = json!({ "type": "" });
                all.sb.client().transact(&[update("Port_Binding", "logical_port", "s1p1", change)]);
            },
            heals: |all| is_bound(all, "s1p1"),
        },
        ChassisCase {
            bad: |all| {
                let line = "add-port br-int twin -- set Interface twin type=dummy external_ids:iface-id=s1p1";
                run(vsctl(&all.folder).args(line.split(' ')));
            },
            says: ["Interface", "\"twin\"", "column external_ids", "\"s1p1\""],
            mend: |all| {
                run(vsctl(&all.folder).args(["set", "Interface", "twin", "external_ids:iface-id=s1p2"]));
            },
            heals: |all| is_bound(all, "s1p2"),
        },
    ]
}

#[test]
fn southbound_rows_and_settings() {
    let mut all = Deployment::start("chassis");
    let mut southbound = all.sb.client();
    let datapaths =
        southbound.select("Datapath_Binding", &json!([["type", "==", "logical-switch"]]), &["_uuid"]);
    // On more than one datapath: still one warning.
    southbound.transact(&[
        json!({ "op": "insert", "table": "Logical_DP_Group", "uuid-name": "g", "row": {
            "datapaths": ["set", datapaths.iter().map(|row| &row["_uuid"]).collect::<Vec<_>>()] } }),
        json!({ "op": "insert", "table": "Logical_Flow", "row": {
            "logical_dp_group": ["named-uuid", "g"], "pipeline": "ingress", "table_id": 10, "priority": 4321,
            "match": "ip4.dst == 198.51.100.0", "actions": "next;" } }),
    ]);
    until("the flow", LONG, || flow_says(&all, "198.51.100.0").then_some(()));
    // It would set right what the test spoils.
    all.northd.kill();
    assert_eq!(warnings(&all.chassis.controller), [""; 0]);
    let good = |all: &Deployment| -> Vec<String> {
        flows(&all.folder).into_iter().filter(|flow| flow.contains("10.0.0.12")).collect()
    };
    let standing = good(&all);
    assert!(!standing.is_empty());
    for case in chassis_cases() {
        let before = warnings(&all.chassis.controller).len();
        (case.bad)(&mut all);
        until(&format!("a warning with {:?}", case.says), LONG, || {
            (warnings(&all.chassis.controller).len() > before).then_some(())
        });
        assert!(!(case.heals)(&all), "{:?}", case.says);
        assert_eq!(good(&all), standing, "{:?}", case.says);
        (case.mend)(&mut all);
        until(&format!("{:?} to heal", case.says), LONG, || (case.heals)(&all).then_some(()));
        let new = warnings(&all.chassis.controller).split_off(before);
        assert_eq!(new.len(), 1, "{new:#?}");
        assert!(case.says.iter().all(|part| new[0].contains(part)), "{:?}: {}", case.says, new[0]);
    }
}
