//! A switch that is restarted, and a controller that ends in order.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests look at files, processes and the clock"
)]

mod common;

use common::chassis::{Chassis, FlowMonitor, dump, flows};
use common::client::{Client, map, set};
use common::database::Database;
use common::deployment::Deployment;
use common::relay::{FLOW_MOD, METER_MOD, Relay};
use common::{Folder, LONG, Whose, network, northd, until};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// As many flows as the figure is asked for with.
const MANY: usize = 20_000;
/// How many ports on each of four switches give that many.
const PORTS: usize = 720;

/// Two routes to one destination: a group that chooses.
fn add_routes(northbound: &mut Client) {
    let mut ops: Vec<Value> = ["10.0.3.1", "10.1.3.1"]
        .iter()
        .enumerate()
        .map(|(at, hop)| {
            let row = json!({ "ip_prefix": "172.16.0.0/16", "nexthop": hop });
            json!({ "op": "insert", "table": "Logical_Router_Static_Route", "uuid-name": format!("r{at}"), "row": row })
        })
        .collect();
    let routes = set([json!(["named-uuid", "r0"]), json!(["named-uuid", "r1"])]);
    ops.push(json!({
        "op": "mutate", "table": "Logical_Router", "where": [], "mutations": [["static_routes", "insert", routes]],
    }));
    northbound.transact(&ops);
}

/// A meter, and a flow that hands packets up through it.
fn add_meter(northbound: &mut Client, southbound: &mut Client) {
    northbound.transact(&[
        json!({ "op": "insert", "table": "Meter_Band", "uuid-name": "b", "row": { "action": "drop", "rate": 10, "burst_size": 5 } }),
        json!({ "op": "insert", "table": "Meter", "row": { "name": "slow", "unit": "pktps", "bands": ["named-uuid", "b"] } }),
    ]);
    let datapaths =
        southbound.select("Datapath_Binding", &json!([["type", "==", "logical-switch"]]), &["_uuid"]);
    southbound.transact(&[json!({ "op": "insert", "table": "Logical_Flow", "row": {
            "logical_datapath": datapaths[0]["_uuid"], "pipeline": "ingress", "table_id": 26, "priority": 7,
            "match": "ip4.dst == 198.51.100.1", "actions": "arp { output; };", "controller_meter": "slow",
        } })]);
}

#[test]
fn a_switch_that_restarts_gets_everything_back_in_one_bundle() {
    let folder = Folder::new("switch");
    let (nb, sb) = (Database::start(&folder, "nb"), Database::start(&folder, "sb"));
    network::build(&mut nb.client(), 4, PORTS);
    add_routes(&mut nb.client());
    let northd = northd(&folder, "northd", Whose::Kiln);
    let relay = Relay::start(&folder.path("relay.sock"), folder.path("br-int.mgmt"));
    let remote = folder.remote("relay.sock");
    let mut chassis = Chassis::start(&folder, "hv1", Whose::Kiln, &[("ovn-bridge-remote", remote.as_str())]);
    Chassis::plug(&folder, &["s0p0", "s1p1"]);
    let mut all = Deployment { folder, nb, sb, northd, chassis, sync: 0 };
    all.settle();
    add_meter(&mut all.nb.client(), &mut all.sb.client());
    until("the meter", LONG, || {
        dump(&all.folder, "dump-meters").iter().any(|line| line.contains("rate=10")).then_some(())
    });
    all.settle();
    let (standing, groups, meters) =
        (flows(&all.folder), dump(&all.folder, "dump-groups"), dump(&all.folder, "dump-meters"));
    println!("{} flows, {} groups, {} meters", standing.len(), groups.len(), meters.len());
    assert!(standing.len() >= MANY, "{} flows", standing.len());
    assert!(!groups.is_empty() && !meters.is_empty());
    chassis = all.chassis;

    relay.forget();
    chassis.switch.kill();
    chassis.switch.spawn();
    let (serves, start) = (all.folder.path("br-int.mgmt"), Instant::now());
    until("the switch to serve", LONG, || std::os::unix::net::UnixStream::connect(&serves).ok());
    println!("the switch serves OpenFlow {:?} after it started", start.elapsed());
    let serves = Instant::now();
    until("the flows to be back", LONG, || (flows(&all.folder).len() == standing.len()).then_some(()));
    assert_eq!(flows(&all.folder), standing);
    assert_eq!(dump(&all.folder, "dump-groups"), groups);
    assert_eq!(dump(&all.folder, "dump-meters"), meters);
    let (commits, outside, metered, since, settled) = relay
        .flows(|said| {
            let count = |kind| said.asked.get(&kind).copied().unwrap_or(0);
            (said.commits, count(FLOW_MOD), count(METER_MOD), said.since, said.settled)
        })
        .expect("flows went over the relay");
    let each = meters.iter().filter(|line| line.contains("meter=")).count();
    assert_eq!((commits, outside, metered), (1, 0, each), "one bundle, no flow outside, each meter once");
    let (since, settled) = (since.expect("it was made"), settled.expect("the switch confirmed"));
    let whole = settled.saturating_duration_since(serves);
    println!(
        "{} flows back {whole:?} after the switch served, {:?} after it was reached",
        standing.len(),
        settled - since
    );
    assert!(whole < Duration::from_secs(2), "{whole:?}");
}

/// What is left of a chassis, in words that do not differ from one run to the next.
fn remains(all: &Deployment) -> Vec<String> {
    let mut southbound = all.sb.client();
    let mut lines: Vec<String> = ["Chassis", "Chassis_Private", "Encap"]
        .iter()
        .map(|table| format!("{table}: {}", southbound.count(table)))
        .collect();
    for row in
        southbound.select("Port_Binding", &json!([["type", "==", ""]]), &["logical_port", "chassis", "up"])
    {
        let claimed = row["chassis"].as_array().is_some_and(|value| value[0] == "uuid");
        lines.push(format!("{} claimed {claimed} up {}", row["logical_port"], row["up"]));
    }
    let mut local = all.chassis.database.client();
    let keys = |value: &Value| -> Vec<String> {
        let pairs = value[1].as_array().cloned().unwrap_or_default();
        // Conntrack zones are named by ports and datapaths, chosen anew each time.
        pairs
            .iter()
            .map(|pair| pair[0].as_str().unwrap_or_default().to_owned())
            .filter(|key| !key.starts_with("ct-zone-"))
            .collect()
    };
    for table in ["Bridge", "Interface", "Open_vSwitch"] {
        for row in local.select(table, &json!([]), &["external_ids"]) {
            lines.push(format!("{table} external_ids {:?}", keys(&row["external_ids"])));
        }
    }
    for row in local.select("Port", &json!([]), &["name"]) {
        lines.push(format!("port {}", row["name"]));
    }
    lines.sort();
    lines
}

/// A deployment with a second chassis in the database, to which a tunnel leads.
fn with_neighbour(name: &str, whose: Whose) -> Deployment {
    let all = Deployment::start_with(name, whose);
    all.sb.client().transact(&[
        json!({ "op": "insert", "table": "Encap", "uuid-name": "e", "row": {
            "type": "geneve", "ip": "127.0.0.2", "chassis_name": "other", "options": map([("csum", "true")]),
        } }),
        json!({ "op": "insert", "table": "Chassis", "row": { "name": "other", "encaps": ["named-uuid", "e"] } }),
    ]);
    until("the tunnel", LONG, || {
        all.chassis
            .database
            .client()
            .column("Port", "name")
            .iter()
            .any(|port| port.starts_with("ovn-"))
            .then_some(())
    });
    // The other chassis never reports, so `hv_cfg` stays; the flows of the tunnel show that all is done.
    until("the tunnel's flows", LONG, || {
        flows(&all.folder).iter().any(|flow| flow.contains("TUN_ID")).then_some(())
    });
    all
}

#[test]
fn an_end_with_restart_leaves_everything() {
    let mut all = with_neighbour("leave", Whose::Kiln);
    let (written, standing, before) = (all.written(), flows(&all.folder), remains(&all));
    let monitor = FlowMonitor::start(&all.folder);
    all.chassis.controller.ask(&["exit", "--restart"]);
    all.chassis.controller.wait_end();
    common::deployment::assert_nothing_written(&written, &all.written());
    all.chassis.controller.spawn();
    all.wait_connected();
    until("the controller to read the switch", LONG, || {
        (all.chassis.controller.log_lines("the switch holds").len() >= 2).then_some(())
    });
    all.chassis.controller.ask(&["recompute"]);
    common::deployment::assert_nothing_written(&written, &all.written());
    assert_eq!((flows(&all.folder), remains(&all)), (standing, before));
    assert_eq!(monitor.removed(), [""; 0]);
}

#[test]
fn an_end_without_restart_leaves_no_more_than_stock_leaves() {
    let [kiln, stock] = [Whose::Kiln, Whose::Stock].map(|whose| {
        let mut all = with_neighbour("clean", whose);
        let standing = flows(&all.folder).len();
        all.chassis.controller.ask(&["exit"]);
        all.chassis.controller.wait_end();
        let left = flows(&all.folder).len();
        println!("{whose:?}: {standing} flows before, {left} after");
        assert!(left > standing / 2, "hosts on one chassis can still talk");
        remains(&all)
    });
    // What stays says that ports are up and their flows installed: with another controller in its place, nothing has changed.
    assert_eq!(kiln, stock);
    assert!(kiln.contains(&"Chassis: 1".to_owned()), "only the neighbour is left: {kiln:#?}");
}
