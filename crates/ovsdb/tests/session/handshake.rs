//! From a connection to a session that follows, and back.

use kiln_ovsdb::client::{CloseReason, Event, Model, MonitorMethod, Stage, TableMonitor};
use serde_json::{Value, json};

use crate::*;

fn database(model: &str, connected: bool, leader: bool, index: i64) -> Value {
    json!({ "name": "D", "model": model, "connected": connected, "leader": leader, "index": index, "cid": ["uuid", C] })
}

#[test]
fn requests_are_as_documented() {
    for chunk in [usize::MAX, 1] {
        let mut play = Play::new(config());
        play.chunk = chunk;
        play.session.handle_connected(play.now);
        let request = play.expect("monitor_cond");
        let columns = ["name", "model", "connected", "leader", "cid", "index"];
        assert_eq!(request["params"], json!(["_Server", "server", { "Database": [{ "columns": columns }] }]));
        play.answer(
            &request,
            json!({ "Database": { A: { "initial": database("standalone", true, true, 0) } } }),
        );
        assert_eq!(play.session.stage(), Stage::SchemaAwaited);
        play.serve_schema();
        let request = play.expect("monitor_cond_since");
        let table = json!([{ "columns": ["name", "n", "tags", "ids"], "where": [true] }]);
        assert_eq!(request["params"], json!(["D", "data", { "T": table }, ZERO]));
        assert!(play.events().is_empty());
        play.answer(&request, json!([false, ZERO, { "T": { A: { "initial": { "n": 1 } } } }]));
        assert_eq!(
            play.events(),
            [Event::Synced { method: MonitorMethod::MonitorCondSince, resumed: false }]
        );
        assert_eq!(play.replica.show(), "a n=1; ");
        assert_eq!(play.session.database().unwrap().model, Model::Standalone);
        play.silent();
    }
}

#[test]
fn servers_without_the_server_database() {
    let mut play = Play::new(config());
    play.session.handle_connected(play.now);
    let request = play.expect("monitor_cond");
    play.refuse(&request, json!({ "error": "unknown database", "details": "_Server" }));
    play.serve_schema();
    let request = play.expect("monitor_cond_since");
    play.answer(&request, json!([false, ZERO, {}]));
    assert!(play.session.is_synced());
}

#[test]
fn older_servers_are_asked_in_older_ways() {
    let mut play = Play::new(config());
    play.session.handle_connected(play.now);
    let request = play.expect("monitor_cond");
    play.refuse(&request, json!("unknown method"));
    play.serve_schema();
    let request = play.expect("monitor_cond_since");
    play.refuse(&request, json!("unknown method"));
    let request = play.expect("monitor_cond");
    let columns = json!(["name", "n", "tags", "ids"]);
    assert_eq!(request["params"], json!(["D", "data", { "T": [{ "columns": columns, "where": [true] }] }]));
    play.refuse(&request, json!("unknown method"));
    let request = play.expect("monitor");
    assert_eq!(request["params"], json!(["D", "data", { "T": [{ "columns": columns }] }]));
    play.answer(&request, json!({ "T": { A: { "new": { "n": 1, "tags": ["set", [1, 2]] } } } }));
    assert_eq!(play.events(), [Event::Synced { method: MonitorMethod::Monitor, resumed: false }]);
    let new = json!({ "n": 1, "tags": ["set", [2, 3]] });
    play.notify(
        "update",
        json!(["data", { "T": {
        A: { "old": { "tags": ["set", [1, 2]] }, "new": new },
        B: { "new": { "name": "b" } },
    } }]),
    );
    assert_eq!(play.replica.show(), "a n=1 {2, 3}; b b; ");
    play.notify("update", json!(["data", { "T": { A: { "old": new } } }]));
    assert_eq!(play.replica.show(), "b b; ");
    play.disconnect();
    play.sync(json!([false, ZERO, {}]));
    assert!(play.session.is_synced(), "the next server may be newer");
}

#[test]
fn a_cluster_is_talked_to_through_its_leader() {
    let serve = |play: &mut Play, row: Value| {
        play.disconnect();
        play.session.handle_connected(play.now);
        play.serve_database(row);
    };
    let mut play = Play::new(config());
    serve(&mut play, database("clustered", false, false, 5));
    assert_eq!(play.closed(), CloseReason::NotInCluster);
    serve(&mut play, database("clustered", true, false, 5));
    let reason = play.closed();
    assert!(reason.wrong_server());
    assert_eq!(reason, CloseReason::NotLeader);
    assert_eq!(play.session.stage(), Stage::Disconnected);
    serve(&mut play, database("clustered", true, true, 5));
    play.serve_schema();
    serve(&mut play, database("clustered", true, true, 4));
    assert_eq!(play.closed(), CloseReason::Stale { index: 4, seen: 5 });
    play.session.start_over();
    serve(&mut play, database("clustered", true, true, 4));
    play.serve_schema();

    play.session.set_leader_only(false);
    serve(&mut play, database("clustered", true, false, 5));
    play.serve_schema();
    play.session.set_leader_only(true);
    assert_eq!(play.closed(), CloseReason::NotLeader);
    // neither means anything elsewhere
    serve(&mut play, database("relay", false, false, 0));
    play.serve_schema();
    assert_eq!(play.session.stats().closes["not_leader"], 2);
}

#[test]
fn a_leader_that_steps_down_is_left() {
    let mut play = Play::new(config());
    play.session.handle_connected(play.now);
    play.serve_database(database("clustered", true, true, 5));
    play.serve_schema();
    let request = play.expect("monitor_cond_since");
    play.answer(&request, json!([false, TXN1, {}]));
    play.notify("update2", json!(["server", { "Database": { A: { "modify": { "index": 9 } } } }]));
    assert!(play.session.is_synced());
    play.notify("update2", json!(["server", { "Database": { A: { "modify": { "leader": false } } } }]));
    assert_eq!(play.closed(), CloseReason::NotLeader);
    play.session.handle_connected(play.now);
    play.serve_database(database("clustered", true, true, 8));
    assert_eq!(play.closed(), CloseReason::Stale { index: 8, seen: 9 }, "the index was followed");
}

#[test]
fn the_database_must_be_there() {
    let mut play = Play::new(config());
    play.session.handle_connected(play.now);
    play.serve_database(json!({ "name": "Other", "model": "standalone", "connected": true, "leader": true }));
    assert_eq!(play.closed(), CloseReason::NotServed);

    play.session.handle_connected(play.now);
    let request = play.expect("monitor_cond");
    play.refuse(&request, json!({ "error": "unknown database" }));
    let request = play.expect("get_schema");
    play.refuse(&request, json!({ "error": "unknown database", "details": "x" }));
    assert_eq!(play.closed(), CloseReason::NotServed);

    // told by its cluster's id
    let mut by_id = config();
    by_id.cluster_id = Some(C.parse().unwrap());
    let mut play = Play::new(by_id.clone());
    play.session.handle_connected(play.now);
    play.serve_database(database("clustered", true, true, 1));
    play.serve_schema();
    by_id.cluster_id = Some(B.parse().unwrap());
    let mut play = Play::new(by_id);
    play.session.handle_connected(play.now);
    play.serve_database(database("clustered", true, true, 1));
    assert_eq!(play.closed(), CloseReason::NotServed);
}

#[test]
fn what_the_server_lacks_is_not_asked_for() {
    let mut config = config();
    config.tables.push(TableMonitor::new("New_Table", ["a"]));
    let mut play = Play::new(config);
    for round in 0..2 {
        play.session.handle_connected(play.now);
        play.serve_database(database("standalone", true, true, 0));
        play.serve_schema_with(&["name", "n", "unknown"]);
        let request = play.expect("monitor_cond_since");
        assert_eq!(request["params"][2], json!({ "T": [{ "columns": ["name", "n"], "where": [true] }] }));
        let missing: Vec<String> = play
            .events()
            .iter()
            .map(|event| match event {
                Event::Missing(missing) => missing.to_string(),
                other => panic!("{other:?}"),
            })
            .collect();
        let expected: &[&str] = if round == 0 {
            &["column tags of table T", "column ids of table T", "table New_Table"]
        } else {
            &[]
        };
        assert_eq!(missing, expected, "told once");
        let offered = play.session.offered().unwrap();
        assert!(offered.has_column("T", "unknown") && !offered.has_table("New_Table"));
        play.disconnect();
    }
}

#[test]
fn a_converted_database_is_fetched_anew() {
    let mut play = Play::synced(json!({ A: { "initial": { "n": 1 } } }));
    play.notify("monitor_canceled", json!(["data"]));
    assert!(!play.session.is_synced());
    play.serve_schema_with(&["name", "n"]);
    let request = play.expect("monitor_cond_since");
    assert_eq!(request["params"][2]["T"][0]["columns"], json!(["name", "n"]));
    play.answer(
        &request,
        json!([false, ZERO, { "T": { A: { "initial": { "n": 1 } }, B: { "initial": {} } } }]),
    );
    assert!(play.session.is_synced());
    assert_eq!(play.replica.show(), "a n=1; b; ");
}

#[test]
fn silence_is_probed() {
    let second = Duration::from_secs(1);
    let mut play = Play::synced(json!({}));
    assert_eq!(play.session.poll_timeout(), Some(play.now + 5 * second));
    play.pass(4 * second);
    play.silent();
    play.pass(second);
    let probe = play.expect("echo");
    assert_eq!(play.session.poll_timeout(), Some(play.now + 5 * second));
    play.pass(4 * second);
    play.answer(&probe, json!([]));
    assert_eq!(play.session.poll_timeout(), Some(play.now + 5 * second));
    play.pass(5 * second);
    play.expect("echo");
    play.pass(5 * second);
    assert_eq!(play.closed(), CloseReason::ProbeTimeout);

    // also while it gets nowhere
    play.session.handle_connected(play.now);
    play.pass(5 * second);
    play.pass(5 * second);
    assert_eq!(play.closed(), CloseReason::ProbeTimeout);

    play.session.set_probe_interval(Duration::ZERO);
    play.session.handle_connected(play.now);
    assert_eq!(play.session.poll_timeout(), None);
}

#[test]
fn probes_are_answered() {
    let mut play = Play::synced(json!({}));
    play.send(&json!({ "id": "echo", "method": "echo", "params": [1, { "a": "}" }] }));
    assert_eq!(play.request(), Some(json!({ "id": "echo", "result": [1, { "a": "}" }], "error": null })));
    play.send(&json!({ "id": 7, "method": "frob", "params": [] }));
    assert_eq!(play.request(), Some(json!({ "id": 7, "result": null, "error": "unknown method" })));
}
