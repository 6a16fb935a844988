//! Neighbours and stations that chassis learned: what controllers are told about learning them, and when northd removes them.

mod world;

use std::time::Duration;
use world::{SB, WALL_MS, World};

/// A router with two ports and a switch with a port, and a chassis that writes timestamps.
fn network(options: &str) -> World {
    let mut world = World::new(1);
    world.start(1);
    world.run();
    chassis(&mut world, "hv1", r#"["mac-binding-timestamp","true"],["fdb-timestamp","true"]"#);
    world.must(&format!(
        r#"{{"op":"insert","table":"Logical_Router","row":{{"name":"r","options":["map",[{options}]],"ports":["set",[["named-uuid","a"],["named-uuid","b"]]]}}}},
           {{"op":"insert","table":"Logical_Router_Port","uuid-name":"a","row":{{"name":"r-a","mac":"0a:00:00:00:00:0a","networks":"10.0.0.1/24"}}}},
           {{"op":"insert","table":"Logical_Router_Port","uuid-name":"b","row":{{"name":"r-b","mac":"0a:00:00:00:00:0b","networks":["set",["10.0.1.1/24","fd00::1/64"]]}}}},
           {{"op":"insert","table":"Logical_Switch","row":{{"name":"s","ports":["named-uuid","p"]}}}},
           {{"op":"insert","table":"Logical_Switch_Port","uuid-name":"p","row":{{"name":"p","addresses":"unknown"}}}}"#
    ));
    world
}

fn chassis(world: &mut World, name: &str, features: &str) {
    let answer = world.edit(
        SB,
        &format!(
            r#"{{"op":"insert","table":"Encap","uuid-name":"e","row":{{"type":"geneve","ip":"{name}","chassis_name":"{name}"}}}},
               {{"op":"insert","table":"Chassis","uuid-name":"c","row":{{"name":"{name}","encaps":["named-uuid","e"],"other_config":["map",[{features}]]}}}}"#
        ),
    );
    assert!(!answer.contains("\"error\":\""), "{answer}");
    world.run();
}

/// A neighbour of port `r-a`, last heard of `age_s` ago.
fn learn(world: &mut World, ip: &str, age_s: i64) {
    let datapath = world.edit(
        SB,
        r#"{"op":"select","table":"Port_Binding","where":[["logical_port","==","r-a"]],"columns":["datapath"]}"#,
    );
    let datapath = datapath.split("[\"uuid\",\"").nth(1).expect("the port is bound")[..36].to_owned();
    let timestamp = WALL_MS + world.now.as_millis() as i64 - age_s * 1000;
    let answer = world.edit(
        SB,
        &format!(
            r#"{{"op":"insert","table":"MAC_Binding","row":{{"logical_port":"r-a","ip":"{ip}","mac":"0a:00:00:00:00:99","timestamp":{timestamp},"datapath":["uuid","{datapath}"]}}}}"#
        ),
    );
    assert!(!answer.contains("\"error\":\""), "{answer}");
}

fn neighbors(world: &World) -> Vec<String> {
    world.dump(SB, "MAC_Binding", &["ip"]).iter().map(|ip| ip.trim_matches('"').to_owned()).collect()
}

fn pass(world: &mut World, seconds: u64) {
    world.wait(Duration::from_secs(seconds));
}

#[test]
fn neighbours_expire_by_the_longest_prefix() {
    let mut world =
        network(r#"["mac_binding_age_threshold","10.0.0.0/24:100;10.0.0.128/25:10;fd00::/64:0;1000"]"#);
    for ip in ["10.0.0.7", "10.0.0.200", "192.0.2.7", "fd00::7", "fd01::7"] {
        learn(&mut world, ip, 5);
    }
    pass(&mut world, 4);
    assert_eq!(neighbors(&world).len(), 5);
    pass(&mut world, 1);
    assert_eq!(neighbors(&world), ["10.0.0.7", "192.0.2.7", "fd00::7", "fd01::7"]);
    pass(&mut world, 90);
    assert_eq!(neighbors(&world), ["192.0.2.7", "fd00::7", "fd01::7"]);
    pass(&mut world, 900);
    assert_eq!(neighbors(&world), ["fd00::7"], "zero is never");
}

/// Northd says itself when it has to be woken.
#[test]
fn northd_wakes_up_when_the_next_one_expires() {
    let mut world = network(r#"["mac_binding_age_threshold","60"]"#);
    learn(&mut world, "10.0.0.7", 0);
    world.run();
    let due = world.daemon(0).poll_timeout().expect("something to do");
    assert!(due <= world.now + Duration::from_mins(1));
    let answer = world
        .edit(SB, r#"{"op":"update","table":"MAC_Binding","where":[],"row":{"timestamp":1700000100000}}"#);
    assert!(answer.contains("\"count\":1"));
    pass(&mut world, 60);
    assert_eq!(neighbors(&world), ["10.0.0.7"], "it was heard of meanwhile");
    pass(&mut world, 100);
    assert_eq!(neighbors(&world), [""; 0]);
    assert!(world.take_transactions(0).iter().any(|txn| txn.contains(r#"["timestamp","==",1700000100000]"#)));
}

#[test]
fn a_new_threshold_holds_at_once_and_a_wrong_one_never() {
    let mut world = network("");
    learn(&mut world, "10.0.0.7", 50);
    pass(&mut world, 1000);
    assert_eq!(neighbors(&world), ["10.0.0.7"]);
    for (value, left) in [("60;x", 1), ("100000", 1), ("60", 0)] {
        world.must(&format!(
            r#"{{"op":"update","table":"Logical_Router","where":[],"row":{{"options":["map",[["mac_binding_age_threshold","{value}"]]]}}}}"#
        ));
        assert_eq!(neighbors(&world).len(), left, "{value}");
    }
}

#[test]
fn a_transaction_removes_as_many_as_it_may_and_the_next_waits() {
    let mut world = network(r#"["mac_binding_age_threshold","60"]"#);
    world.must(
        r#"{"op":"mutate","table":"NB_Global","where":[],"mutations":[["options","insert",["map",[["mac_binding_removal_limit","3"]]]]]}"#,
    );
    for n in 1..=7 {
        learn(&mut world, &format!("10.0.0.{n}"), 100 - n);
    }
    for (seconds, left) in [(0, 4), (4, 4), (1, 1), (4, 1), (1, 0)] {
        pass(&mut world, seconds);
        assert_eq!(neighbors(&world).len(), left);
    }
}

/// Stations have a threshold of their own; a chassis that does not write timestamps keeps all of them from expiring.
#[test]
fn stations_expire_and_old_chassis_forbid_it() {
    let mut world = network("");
    world.must(
        r#"{"op":"update","table":"Logical_Switch","where":[],"row":{"other_config":["map",[["fdb_age_threshold","20"]]]}}"#,
    );
    let keys = world.dump(SB, "Port_Binding", &["logical_port", "tunnel_key"]);
    let port = keys.iter().find_map(|line| line.strip_prefix("\"p\" | ")).expect("the port is bound");
    let datapaths = world.dump(SB, "Datapath_Binding", &["type", "tunnel_key"]);
    let switch = datapaths.iter().find_map(|line| line.strip_prefix("\"logical-switch\" | ")).expect("one");
    let timestamp = WALL_MS + world.now.as_millis() as i64;
    let station = format!(
        r#"{{"op":"insert","table":"FDB","row":{{"mac":"0a:00:00:00:00:77","dp_key":{switch},"port_key":{port},"timestamp":{timestamp}}}}}"#
    );
    let insert = |world: &mut World| {
        let answer = world.edit(SB, &station);
        assert!(!answer.contains("\"error\":\""), "{answer}");
        world.run();
    };
    insert(&mut world);
    pass(&mut world, 19);
    assert_eq!(world.rows(SB, "FDB").len(), 1);
    pass(&mut world, 1);
    assert_eq!(world.rows(SB, "FDB").len(), 0);

    chassis(&mut world, "hv2", r#"["mac-binding-timestamp","true"]"#);
    insert(&mut world);
    pass(&mut world, 100);
    assert_eq!(world.rows(SB, "FDB").len(), 1, "hv2 would not bring it forward");
    world.edit(SB, r#"{"op":"delete","table":"Chassis","where":[["name","==","hv2"]]}"#);
    world.run();
    assert_eq!(world.rows(SB, "FDB").len(), 0);
}

/// Rows of ports that are gone go with them, whatever their age.
#[test]
fn what_was_learned_goes_with_its_port() {
    let mut world = network("");
    learn(&mut world, "10.0.0.7", 0);
    world.must(r#"{"op":"update","table":"Logical_Router","where":[],"row":{"ports":["set",[]]}}"#);
    assert_eq!(neighbors(&world), [""; 0]);
}

/// What of a router's options controllers see: `KEY=VALUE`, sorted.
/// As stock has it: in one spelling, and those that are skipped are left out.
#[test]
fn a_router_port_is_bound_with_the_networks_that_count() {
    let mut world = network("");
    let cases = [
        (r#""10.8.1.1/24","bad","10.9.1.1/33","10.8.0.1/24""#, "10.8.0.1/24 10.8.1.1/24"),
        (r#""10.8.0.1","FD01::0001/64""#, "10.8.0.1/32 fd01::1/64"),
        (
            r#""fe80::5/64","fd01::2/64","10.8.3.1/255.255.255.0","0.0.0.0/24""#,
            "10.8.3.1/24 fd01::2/64 fe80::5/64",
        ),
    ];
    for (networks, bound) in cases {
        world.must(&format!(
            r#"{{"op":"update","table":"Logical_Router_Port","where":[["name","==","r-b"]],"row":{{"networks":["set",[{networks}]]}}}}"#
        ));
        let rows = world.dump(SB, "Port_Binding", &["logical_port", "mac"]);
        assert_eq!(rows[2], format!(r#""r-b" | "0a:00:00:00:00:0b {bound}""#), "{networks}");
    }
}

fn told(world: &World) -> Vec<String> {
    let keys = ["mac_binding_age_threshold", "mac_binding_age_thresholds", "mac_binding_learning"];
    let ids = world.dump(SB, "Datapath_Binding", &["type", "external_ids"]);
    let router = ids.iter().find(|line| line.starts_with("\"logical-router\"")).expect("a router").clone();
    let value = |key: &str| {
        let rest = router.split(&format!("[\"{key}\",\"")).nth(1)?;
        Some(format!("{key}={}", rest.split('"').next().unwrap_or_default()))
    };
    keys.into_iter().chain(["mac_binding_limit"]).filter_map(value).collect()
}

#[test]
fn controllers_are_told_how_a_router_learns() {
    for (global, router, expected) in [
        ("", "", vec![]),
        (r#"["l3_defaults","stock"]"#, "", vec![]),
        (r#"["l3_defaults","rfc"],["mac_binding_learning","open"]"#, "", vec![]),
        (r#"["mac_binding_learning","tracked"]"#, "", vec!["mac_binding_learning=tracked"]),
        (r#"["mac_binding_learning","nonsense"]"#, "", vec![]),
        (r#"["mac_binding_learning","tracked"]"#, r#"["mac_binding_learning","open"]"#, vec![]),
        (
            "",
            r#"["mac_binding_learning","tracked"],["mac_binding_limit","100"]"#,
            vec!["mac_binding_learning=tracked", "mac_binding_limit=100"],
        ),
        ("", r#"["mac_binding_limit","x"]"#, vec![]),
        ("", r#"["mac_binding_age_threshold","60"]"#, vec!["mac_binding_age_threshold=60"]),
        ("", r#"["mac_binding_age_threshold","0"]"#, vec![]),
        (
            "",
            r#"["mac_binding_age_threshold","10.0.0.0/8:30;60"]"#,
            vec!["mac_binding_age_threshold=30", "mac_binding_age_thresholds=10.0.0.0/8:30;60"],
        ),
    ] {
        let mut world = network(router);
        world.must(&format!(
            r#"{{"op":"mutate","table":"NB_Global","where":[],"mutations":[["options","insert",["map",[{global}]]]]}}"#
        ));
        assert_eq!(told(&world), expected, "{global} {router}");
    }
}

/// Requests only update what is known where answers alone are learned from.
#[test]
fn a_router_that_tracks_its_queries_looks_requests_up_only() {
    let mut world = network(r#"["mac_binding_learning","tracked"]"#);
    let flows = world.flows("lr_in_lookup_neighbor");
    let about = |text: &str| flows.iter().filter(|flow| flow.contains(text)).cloned().collect::<Vec<_>>();
    assert_eq!(
        about("arp.spa == 10.0.0.0/24"),
        ["100 inport == \"r-a\" && arp.spa == 10.0.0.0/24 && arp.op == 1 -> \
             reg9[2] = lookup_arp(inport, arp.spa, arp.sha); reg9[3] = lookup_arp_ip(inport, arp.spa); next;"]
    );
    assert_eq!(
        about("arp.op == 2"),
        ["100 arp.op == 2 -> reg9[2] = lookup_arp(inport, arp.spa, arp.sha); reg9[3] = 1; next;"]
    );
    world.must(r#"{"op":"update","table":"Logical_Router","where":[],"row":{"options":["map",[]]}}"#);
    assert_eq!(
        world.flows("lr_in_lookup_neighbor").iter().filter(|flow| flow.contains("lookup_arp_ip")).count(),
        0
    );
}

/// Next hops of routes are told of where a limit might push them out.
#[test]
fn ports_with_a_limit_name_the_next_hops_of_routes() {
    let mut world = network("");
    let options = |world: &World, port: &str| {
        let rows = world.dump(SB, "Port_Binding", &["logical_port", "options"]);
        let start = format!("\"{port}\" | ");
        rows.iter().find_map(|line| line.strip_prefix(&start).map(str::to_owned)).expect("the port is bound")
    };
    for (prefix, nexthop) in
        [("0.0.0.0/0", "10.0.0.254"), ("10.9.0.0/16", "10.0.0.253"), ("fd09::/64", "fd00::9")]
    {
        world.must(&format!(
            r#"{{"op":"insert","table":"Logical_Router_Static_Route","uuid-name":"x","row":{{"ip_prefix":"{prefix}","nexthop":"{nexthop}"}}}},
               {{"op":"mutate","table":"Logical_Router","where":[],"mutations":[["static_routes","insert",["set",[["named-uuid","x"]]]]]}}"#
        ));
    }
    assert!(!options(&world, "r-a").contains("mac_binding"));
    world.must(
        r#"{"op":"update","table":"Logical_Router_Port","where":[["name","==","r-a"]],"row":{"options":["map",[["mac_binding_limit","5"]]]}}"#,
    );
    assert_eq!(
        options(&world, "r-a"),
        r#"["map",[["mac_binding_gateways","10.0.0.253 10.0.0.254"],["mac_binding_limit","5"]]]"#
    );
    assert!(!options(&world, "r-b").contains("mac_binding"));
    world.must(
        r#"{"op":"update","table":"Logical_Router","where":[],"row":{"options":["map",[["mac_binding_limit","9"]]]}}"#,
    );
    assert_eq!(options(&world, "r-b"), r#"["map",[["mac_binding_gateways","fd00::9"]]]"#);
}

/// A chassis that writes no queries would be told of nobody that it asked for.
#[test]
fn by_default_queries_are_tracked_once_every_chassis_writes_them() {
    let mut world = network("");
    world.must(r#"{"op":"mutate","table":"NB_Global","where":[],"mutations":[["options","insert",["map",[["l3_defaults","rfc"]]]]]}"#);
    let chassis = |config: &str| {
        format!(
            r#"{{"op":"insert","table":"Encap","uuid-name":"e","row":{{"type":"geneve","ip":"192.0.2.1","chassis_name":"c"}}}},
               {{"op":"insert","table":"Chassis","row":{{"name":"c","hostname":"c","encaps":["named-uuid","e"],"other_config":["map",[{config}]]}}}}"#
        )
    };
    let answer = world.edit(SB, &chassis(""));
    assert!(!answer.contains("\"error\":\""), "{answer}");
    world.run();
    assert_eq!(told(&world), [""; 0]);
    world.edit(
        SB,
        r#"{"op":"update","table":"Chassis","where":[],"row":{"other_config":["map",[["kiln-tracked-queries","true"]]]}}"#,
    );
    world.run();
    assert_eq!(told(&world), ["mac_binding_learning=tracked"]);
}
