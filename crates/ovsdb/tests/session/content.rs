//! What reaches the replica.

use kiln_ovsdb::client::{Event, MonitorMethod};
use serde_json::json;

use crate::*;

#[test]
fn changes_are_followed() {
    let mut play = Play::synced(json!({
        A: { "initial": { "name": "a", "tags": ["set", [1, 2]], "ids": ["map", [["k", "1"], ["l", "2"]]] } },
        B: { "initial": {} },
    }));
    play.update3(
        ZERO,
        json!({
            A: { "modify": { "tags": ["set", [2, 3]], "ids": ["map", [["k", "9"], ["l", "2"], ["m", "3"]]] } },
            B: { "delete": null },
            C: { "insert": { "n": 5 } },
        }),
    );
    assert_eq!(play.replica.show(), r#"a a {1, 3} {"k": "9", "m": "3"}; c n=5; "#);
    assert_eq!(play.events(), [Event::Updated]);
    play.update3(ZERO, json!({ A: { "modify": { "name": ["set", []] } } }));
    assert_eq!(play.replica.show(), r#"a {1, 3} {"k": "9", "m": "3"}; c n=5; "#);
    assert_eq!(play.session.stats().rows, 6);
}

#[test]
fn several_messages_make_one_event() {
    let mut play = Play::synced(json!({}));
    let update = |row: &str| json!({ "id": null, "method": "update3", "params": ["data", ZERO, { "T": { row: { "insert": {} } } }] });
    play.send_bytes(format!("{}\n{}{}", update(A), update(B), update(C)).as_bytes());
    assert_eq!(play.replica.rows.len(), 3);
    assert_eq!(play.events(), [Event::Updated]);
}

#[test]
fn a_stand_alone_server_is_fetched_anew_and_only_differences_count() {
    let row = |n: i64| json!({ "initial": { "n": n } });
    let mut play = Play::synced(json!({ A: row(1), B: row(2) }));
    play.disconnect();
    assert_eq!(play.replica.rows.len(), 2, "the replica outlives the connection");
    assert_eq!((play.replica.changes, play.replica.refetches), (2, 1));
    play.sync(json!([false, ZERO, { "T": { A: row(1), B: row(2) } }]));
    assert_eq!((play.replica.changes, play.replica.refetches), (2, 2));
    play.disconnect();
    play.sync(json!([false, ZERO, { "T": { B: row(3), C: row(4) } }]));
    assert_eq!(play.replica.changes, 5);
    assert_eq!(play.replica.show(), "b n=3; c n=4; ");
}

#[test]
fn a_cluster_is_resumed() {
    let mut play = Play::new(config());
    play.sync(json!([false, TXN1, { "T": { A: { "initial": { "n": 1 } }, B: { "initial": {} } } }]));
    play.disconnect();
    play.events();

    let resume = |play: &mut Play, since: &str, answer| {
        play.session.handle_connected(play.now);
        play.serve_database(json!({ "name": "D", "model": "clustered", "connected": true, "leader": true }));
        play.serve_schema();
        let request = play.expect("monitor_cond_since");
        assert_eq!(request["params"][3], since);
        play.answer(&request, answer);
    };
    let changes = json!({ "T": { A: { "modify": { "n": 2 } }, B: { "delete": null }, C: { "insert": {} } } });
    resume(&mut play, TXN1, json!([true, TXN2, changes]));
    assert_eq!(play.replica.show(), "a n=2; c; ");
    assert_eq!(play.replica.refetches, 1);
    assert_eq!(play.events(), [Event::Synced { method: MonitorMethod::MonitorCondSince, resumed: true }]);

    play.update3(TXN1, json!({ C: { "delete": null } }));
    play.disconnect();
    resume(&mut play, TXN1, json!([true, TXN2, {}]));
    play.disconnect();
    // history gone
    resume(&mut play, TXN2, json!([false, TXN1, { "T": { B: { "initial": {} } } }]));
    assert_eq!(play.replica.show(), "b; ");
    assert_eq!(play.replica.refetches, 2);
}

#[test]
fn a_server_with_other_columns_is_not_resumed() {
    let mut play = Play::new(config());
    play.sync(json!([false, TXN1, {}]));
    play.disconnect();
    play.session.handle_connected(play.now);
    play.serve_database(json!({ "name": "D", "model": "clustered", "connected": true, "leader": true }));
    play.serve_schema_with(&["name", "n", "tags", "ids", "added"]);
    let request = play.expect("monitor_cond_since");
    assert_eq!(request["params"][3], ZERO);
}

#[test]
fn a_refetch_that_is_broken_off_loses_nothing() {
    let mut play = Play::synced(json!({ A: { "initial": { "n": 1 } }, B: { "initial": {} } }));
    play.disconnect();
    play.session.handle_connected(play.now);
    play.serve_database(json!({ "name": "D", "model": "standalone", "connected": true, "leader": true }));
    play.serve_schema();
    let request = play.expect("monitor_cond_since");
    let broken = format!(
        r#"{{"id":{},"result":[false,"{ZERO}",{{"T":{{"{A}":{{"initial":{{"n":1}}}}}}]]}}"#,
        request["id"]
    );
    play.send_bytes(broken.as_bytes());
    assert_eq!(play.closed().name(), "malformed");
    assert_eq!(play.replica.show(), "a n=1; b; ");
    play.sync(json!([false, ZERO, { "T": { B: { "initial": {} } } }]));
    assert_eq!(play.replica.show(), "b; ");
}

#[test]
fn a_bad_row_is_skipped_alone_and_heals() {
    let mut play =
        Play::synced(json!({ A: { "initial": { "tags": "x", "n": 1 } }, B: { "initial": { "n": 2 } } }));
    assert_eq!(play.replica.show(), "b n=2; ");
    assert_eq!(play.session.stats().rows_skipped, 1);

    // changes to it cannot be applied: the row is read as a whole
    play.update3(ZERO, json!({ A: { "modify": { "n": 3 } }, C: { "insert": {} } }));
    assert_eq!(play.replica.show(), "b n=2; c; ");
    let select = play.expect("transact");
    let columns = json!(["name", "n", "tags", "ids"]);
    let op =
        json!({ "op": "select", "table": "T", "columns": columns, "where": [["_uuid", "==", ["uuid", A]]] });
    assert_eq!(select["params"], json!(["D", op]));
    // not twice at the same time
    play.update3(ZERO, json!({ A: { "modify": { "n": 4 } } }));
    play.silent();
    play.answer(&select, json!([{ "rows": [{ "n": 4, "tags": "x" }] }]));
    assert_eq!(play.replica.show(), "b n=2; c; ", "still bad");

    play.update3(ZERO, json!({ A: { "modify": { "tags": ["set", [1, 2]] } } }));
    let select = play.expect("transact");
    play.answer(&select, json!([{ "rows": [{ "n": 4, "tags": ["set", [1, 2]], "name": ["set", []] }] }]));
    assert_eq!(play.replica.show(), "a n=4 {1, 2}; b n=2; c; ");
    play.update3(ZERO, json!({ A: { "modify": { "n": 5 } } }));
    assert_eq!(play.replica.show(), "a n=5 {1, 2}; b n=2; c; ");
    play.silent();
    assert!(play.session.is_synced());
}

#[test]
fn a_row_that_turns_bad_is_forgotten_and_heals() {
    let mut play = Play::synced(json!({ A: { "initial": { "n": 1 } } }));
    play.update3(ZERO, json!({ A: { "modify": { "n": 13 } } }));
    assert_eq!(play.replica.show(), "");
    match &play.events()[..] {
        [Event::Updated, Event::RowSkipped(error)] => {
            assert_eq!(error.to_string(), format!("T {A}, column n: expected anything but 13, got 13"));
        }
        other => panic!("{other:?}"),
    }
    play.update3(ZERO, json!({ A: { "modify": { "n": 14 } } }));
    let select = play.expect("transact");
    // it is deleted before the answer comes
    play.update3(ZERO, json!({ A: { "delete": null } }));
    play.answer(&select, json!([{ "rows": [{ "n": 14 }] }]));
    assert_eq!(play.replica.show(), "");
    play.update3(ZERO, json!({ A: { "insert": { "n": 15 } } }));
    assert_eq!(play.replica.show(), "a n=15; ");
}
