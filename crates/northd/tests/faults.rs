//! Databases that go and come back, northds that take over from each other, and rows that are wrong.

mod world;

use kiln_northd::daemon::Side;
use std::time::Duration;
use world::{NB, SB, World};

/// A switch with a port, a router on it, and a port of its own.
const NETWORK: &str = r#"
    {"op":"insert","table":"NB_Global","row":{}},
    {"op":"insert","table":"Logical_Switch_Port","uuid-name":"p","row":{"name":"p","addresses":"0a:00:00:00:00:01 10.0.0.11"}},
    {"op":"insert","table":"Logical_Switch_Port","uuid-name":"q","row":{"name":"q","addresses":"0a:00:00:00:00:02 10.0.0.12"}},
    {"op":"insert","table":"Logical_Switch_Port","uuid-name":"up","row":{"name":"up","type":"router","addresses":"router","options":["map",[["router-port","down"]]]}},
    {"op":"insert","table":"Logical_Switch","row":{"name":"s","ports":["set",[["named-uuid","p"],["named-uuid","q"],["named-uuid","up"]]]}},
    {"op":"insert","table":"Logical_Router_Port","uuid-name":"down","row":{"name":"down","mac":"0e:00:00:00:00:01","networks":["set",["10.0.0.1/24"]]}},
    {"op":"insert","table":"Logical_Router","row":{"name":"r","ports":["named-uuid","down"]}}"#;

fn network() -> World {
    let mut world = World::new(1);
    world.edit(NB, NETWORK);
    world.start(1);
    world.run();
    world.take_transactions(0);
    world
}

fn set_addresses(world: &mut World, port: &str, addresses: &str) {
    let edit = format!(
        r#"{{"op":"update","table":"Logical_Switch_Port","where":[["name","==","{port}"]],"row":{{"addresses":"{addresses}"}}}}"#
    );
    assert!(world.edit(NB, &edit).contains("\"count\":1"));
    world.run();
}

/// Matches of the flows that mention `text`.
fn flows_with(world: &World, text: &str) -> Vec<String> {
    world.dump(SB, "Logical_Flow", &["match"]).into_iter().filter(|flow| flow.contains(text)).collect()
}

#[test]
fn a_database_that_comes_back_finds_nothing_new() {
    let mut world = network();
    for side in [Side::Northbound, Side::Southbound] {
        world.cut(0, side);
        world.wait(Duration::from_mins(1));
        world.wait(Duration::from_mins(1));
        assert!(world.daemon(0).is_connected(side));
        assert_eq!(world.take_transactions(0), Vec::<String>::new(), "{side:?}");
    }
}

/// Nobody asks for anything meanwhile, and both come back as they were.
#[test]
fn both_databases_away_for_a_minute_change_nothing() {
    let mut world = network();
    let flows = world.rows(SB, "Logical_Flow");
    for side in [Side::Northbound, Side::Southbound] {
        world.take_away(0, side);
    }
    for _ in 0..60 {
        world.wait(Duration::from_secs(1));
    }
    for side in [Side::Northbound, Side::Southbound] {
        assert!(!world.daemon(0).is_connected(side));
        // Pauses double from one second to eight.
        let tried = world.bring_back(side);
        assert!((5..=12).contains(&tried), "{side:?}: {tried} attempts");
    }
    for _ in 0..8 {
        world.wait(Duration::from_secs(1));
    }
    assert!([Side::Northbound, Side::Southbound].iter().all(|side| world.daemon(0).is_connected(*side)));
    assert_eq!(world.daemon(0).status(), "active");
    assert_eq!(world.take_transactions(0), Vec::<String>::new());
    assert_eq!(world.rows(SB, "Logical_Flow"), flows);
    set_addresses(&mut world, "p", "0a:00:00:00:00:01 10.0.0.99");
    assert!(!flows_with(&world, "10.0.0.99").is_empty());
}

#[test]
fn an_edit_made_while_a_database_was_away_is_caught_up_with() {
    let mut world = network();
    world.cut(0, Side::Northbound);
    set_addresses(&mut world, "p", "0a:00:00:00:00:01 10.0.0.99");
    world.wait(Duration::from_mins(1));
    assert!(!flows_with(&world, "10.0.0.99").is_empty());
    assert_eq!(flows_with(&world, "10.0.0.11"), Vec::<String>::new());
}

#[test]
fn one_northd_writes_and_another_takes_over() {
    let mut world = network();
    let second = world.start(2);
    world.run();
    assert_eq!((world.daemon(0).status(), world.daemon(second).status()), ("active", "standby"));
    set_addresses(&mut world, "p", "0a:00:00:00:00:01 10.0.0.99");
    assert_eq!(world.take_transactions(second), Vec::<String>::new());
    let flows = world.rows(SB, "Logical_Flow");

    world.kill(0);
    world.wait(Duration::from_secs(10));
    world.wait(Duration::from_secs(10));
    assert_eq!(world.daemon(0).status(), "active");
    assert_eq!(world.rows(SB, "Logical_Flow"), flows, "what the first one wrote stands");
    assert_eq!(world.take_transactions(0), Vec::<String>::new());
    set_addresses(&mut world, "p", "0a:00:00:00:00:01 10.0.0.98");
    assert!(!flows_with(&world, "10.0.0.98").is_empty());
}

#[test]
fn a_paused_northd_writes_nothing_until_it_resumes() {
    let mut world = network();
    world.daemon(0).pause();
    set_addresses(&mut world, "p", "0a:00:00:00:00:01 10.0.0.99");
    assert_eq!((world.daemon(0).status(), flows_with(&world, "10.0.0.99").len()), ("paused", 0));
    world.daemon(0).resume();
    // Another northd may have written meanwhile: everything is fetched over a new connection first.
    world.wait(Duration::from_secs(10));
    world.wait(Duration::from_secs(10));
    assert!(!flows_with(&world, "10.0.0.99").is_empty());
}

#[test]
fn a_silent_database_is_asked_as_often_as_the_operator_says() {
    let mut world = network();
    for (option, interval) in [("0", None), ("7", Some(1)), ("60000", Some(60))] {
        world.must(&format!(
            r#"{{"op":"mutate","table":"NB_Global","where":[],"mutations":[["options","delete",["set",["northd_probe_interval"]]],["options","insert",["map",[["northd_probe_interval","{option}"]]]]]}}"#
        ));
        let expected = interval.map(|seconds| world.now + Duration::from_secs(seconds));
        assert_eq!(world.daemon(0).poll_timeout(), expected, "{option}");
    }
}

#[test]
fn what_somebody_spoils_in_the_southbound_database_is_mended() {
    let mut world = network();
    let before = world.dump(SB, "Logical_Flow", &["match", "actions", "priority"]);
    for spoil in [
        r#"{"op":"delete","table":"Logical_Flow","where":[]}"#,
        r#"{"op":"update","table":"Logical_Flow","where":[["priority","==",50]],"row":{"actions":"next;"}}"#,
        r#"{"op":"update","table":"Logical_Flow","where":[["table_id","==",0]],"row":{"match":"ip4"}}"#,
    ] {
        world.edit(SB, spoil);
        world.run();
        world.wait(Duration::from_secs(5));
        assert_eq!(world.dump(SB, "Logical_Flow", &["match", "actions", "priority"]), before, "{spoil}");
    }
}

#[test]
fn a_wrong_row_is_skipped_alone_and_heals() {
    let mut world = network();
    let good = flows_with(&world, "10.0.0.12").len();
    for wrong in ["nonsense", "0a:00:00:00:00:01 10.0.0.300", "0a:00:00:00:00:02 10.0.0.12"] {
        set_addresses(&mut world, "p", wrong);
        assert_eq!(flows_with(&world, "10.0.0.11").len(), 0, "{wrong}");
        assert_eq!(
            flows_with(&world, "10.0.0.12").len(),
            good,
            "the other port keeps its flows beside `{wrong}`"
        );
    }
    set_addresses(&mut world, "p", "0a:00:00:00:00:01 10.0.0.11");
    assert_eq!(flows_with(&world, "10.0.0.11").len(), good);
}

#[test]
fn an_address_change_runs_only_what_reads_it() {
    let mut world = network();
    world.daemon(0).compiler_mut().trace(true);
    set_addresses(&mut world, "p", "0a:00:00:00:00:01 10.0.0.99");
    let ran = world.daemon(0).compiler_mut().take_trace();
    let rules: std::collections::BTreeSet<&str> =
        ran.iter().map(|run| run.split(' ').next().unwrap_or_default()).collect();
    let expected = [
        "address_claims",
        "edges",
        "port_binding",
        "port_up",
        "request_addresses",
        "switch/port",
        "router/arp_resolve/switch_port",
        "ports_by_key",
        "ports_of_switch",
        "request_switch_port_key",
        "router_ports_on_switch",
        "switch_port",
        "vtep_switches",
        "want_port/switch",
    ];
    let extra: Vec<_> = rules.iter().filter(|rule| !expected.contains(rule)).collect();
    assert!(extra.is_empty(), "these ran too: {extra:?}\n{}", ran.join("\n"));
    let ports: std::collections::BTreeSet<&str> =
        ran.iter().filter_map(|run| run.split(' ').nth(1)).collect();
    assert!(ports.len() <= 3, "only the port, its binding and its owner: {ports:?}");
}
