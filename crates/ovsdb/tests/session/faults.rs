//! Servers that do not behave.

use kiln_ovsdb::client::{CloseReason, Event};
use serde_json::json;

use crate::*;

#[test]
fn malformed_messages_end_the_connection() {
    let update = |row: &str| {
        format!(r#"{{"id":null,"method":"update3","params":["data","{TXN1}",{{"T":{{{row}}}}}]}}"#)
    };
    let update_of =
        |table: &str| format!(r#"{{"id":null,"method":"update3","params":["data","{TXN1}",{table}]}}"#);
    let cases = [
        "[]".to_owned(),
        "}".to_owned(),
        "{}".to_owned(),
        "{\"id\":1 2}".to_owned(),
        "{\"method\":5,\"id\":null}".to_owned(),
        "{\"a\":[1}".to_owned() + "}]",
        update("\"x\":{\"insert\":{}}"),
        update(&format!("\"{B}\":{{}}")),
        update(&format!("\"{B}\":[]")),
        update(&format!("\"{B}\":{{\"upsert\":{{}}}}")),
        update(&format!("\"{B}\":{{\"insert\":[]}}")),
        update(&format!("\"{B}\":{{\"insert\":{{\"n\" 1}}}}")),
        update(&format!("\"{B}\":{{\"old\":{{}}}}")),
        update_of("{\"U\":{}}"),
        update_of("[]"),
        update_of("{}},{"),
        r#"{"id":null,"method":"update3","params":["data","x",{}]}"#.to_owned(),
        r#"{"id":null,"method":"update2","params":["data"]}"#.to_owned(),
        r#"{"id":null,"method":"update2","params":{}}"#.to_owned(),
        r#"{"id":null,"method":"update2","params":["server",{"Other":{}}]}"#.to_owned(),
        r#"{"id":null,"method":"locked","params":[1]}"#.to_owned(),
        r#"{"id":null,"method":"stolen","params":{}}"#.to_owned(),
    ];
    for case in &cases {
        let mut play = Play::new(config());
        play.sync(json!([false, TXN1, { "T": { A: { "initial": { "n": 1 } } } }]));
        play.send_bytes(case.as_bytes());
        assert_eq!(play.closed().name(), "malformed", "{case}");
        assert_eq!(play.session.stats().closes["malformed"], 1);
        play.send_bytes(b"{\"id\":null,\"method\":\"update3\",\"params\":[]}");
        assert!(play.events().is_empty(), "{case}: a closed session reads no more");

        // what was taken in of the message is not trusted
        play.session.handle_connected(play.now);
        play.serve_database(json!({ "name": "D" }));
        play.serve_schema();
        assert_eq!(play.expect("monitor_cond_since")["params"][3], ZERO, "{case}");
    }
}

#[test]
fn malformed_answers_end_the_connection() {
    let answer_to = |method: &str, result: Value| {
        let mut play = Play::new(config());
        play.session.handle_connected(play.now);
        loop {
            let request = play.request().unwrap_or_else(|| panic!("{method} is never asked"));
            if request["method"] == method && request["params"][0] != "_Server" {
                play.answer(&request, result.clone());
                assert_eq!(play.closed().name(), "malformed", "{method} {result}");
                return;
            }
            match request["method"].as_str().unwrap() {
                "monitor_cond" => {
                    play.answer(&request, json!({ "Database": { A: { "initial": { "name": "D" } } } }));
                }
                "get_schema" => {
                    play.answer(&request, json!({ "tables": { "T": { "columns": { "n": {} } } } }));
                }
                "monitor_cond_since" => {
                    play.answer(&request, json!([false, ZERO, {}]));
                    play.session.lock("l");
                    let mut txn = play.session.txn();
                    txn.comment("c");
                    play.session.transact(txn);
                }
                _ => {}
            }
        }
    };
    for result in [json!(null), json!([]), json!({ "tables": [] }), json!({ "tables": { "T": 3 } })] {
        answer_to("get_schema", result);
    }
    let monitor = [
        json!({}),
        json!([]),
        json!([false]),
        json!([1, ZERO, {}]),
        json!([false, "x", {}]),
        json!([false, ZERO]),
    ];
    for result in monitor {
        answer_to("monitor_cond_since", result);
    }
    answer_to("monitor_cond_since", json!([false, ZERO, {}, 4]));
    for result in [json!([]), json!({ "locked": 1 }), json!(null)] {
        answer_to("lock", result);
    }
    for result in [json!({}), json!([]), json!([{}, {}, {}]), json!([7])] {
        answer_to("transact", result);
    }
}

#[test]
fn refusals_end_the_connection() {
    for refused in ["get_schema", "monitor_cond_since", "monitor_cond_change", "lock"] {
        let mut play = Play::new(config());
        play.session.handle_connected(play.now);
        play.session.lock("l");
        play.serve_database(json!({ "name": "D" }));
        let reason = loop {
            let request = play.request().unwrap();
            let method = request["method"].as_str().unwrap();
            if method == refused {
                play.refuse(&request, json!({ "error": "no", "details": "because" }));
                break play.closed();
            }
            match method {
                "get_schema" => {
                    play.answer(&request, json!({ "tables": { "T": { "columns": { "n": {} } } } }));
                }
                "monitor_cond_since" => {
                    play.answer(&request, json!([false, ZERO, {}]));
                    play.session.set_rows("T", kiln_ovsdb::client::Rows::None);
                }
                _ => {}
            }
        };
        assert_eq!(reason.to_string(), format!("server refuses {refused}: no: because"));
    }
}

#[test]
fn a_change_to_a_row_never_sent_means_fetching_everything() {
    let mut play = Play::new(config());
    play.sync(json!([false, TXN1, {}]));
    play.update3(TXN2, json!({ A: { "modify": { "n": 1 } } }));
    assert!(matches!(play.closed(), CloseReason::OutOfStep(_)));
    play.session.handle_connected(play.now);
    play.serve_database(json!({ "name": "D" }));
    play.serve_schema();
    assert_eq!(play.expect("monitor_cond_since")["params"][3], ZERO);
}

#[test]
fn what_nobody_asked_for_is_counted() {
    let mut play = Play::synced(json!({}));
    play.notify("update2", json!(["other", {}]));
    play.notify("frob", json!([]));
    play.send(&json!({ "id": 999, "result": [], "error": null }));
    play.send(&json!({ "id": "x", "result": [], "error": null }));
    assert!(play.session.is_synced());
    assert_eq!(play.session.stats().unexpected, 4);
}

#[test]
fn messages_have_a_limit() {
    let mut config = config();
    config.max_message_bytes = 1000;
    let mut play = Play::new(config);
    play.session.handle_connected(play.now);
    play.chunk = 100;
    play.send_bytes(format!("{{\"a\":\"{}", "x".repeat(2000)).as_bytes());
    assert_eq!(play.closed().name(), "too_long");
}

#[test]
fn a_server_that_asks_and_does_not_read_is_left() {
    let mut play = Play::synced(json!({}));
    let echo = json!({ "id": 1, "method": "echo", "params": ["x".repeat(100_000)] }).to_string();
    for _ in 0..100 {
        play.send_bytes(echo.as_bytes());
    }
    assert_eq!(play.closed(), CloseReason::PeerStalled);

    // one that reads is not, nor does what we have to say count
    let mut play = Play::synced(json!({}));
    let mut txn = play.session.txn();
    txn.comment(&"x".repeat(10_000_000));
    play.session.transact(txn);
    play.send_bytes(echo.as_bytes());
    for _ in 0..100 {
        play.request();
        play.send_bytes(echo.as_bytes());
    }
    assert!(play.session.is_synced());
}

#[test]
fn of_many_bad_rows_a_few_are_reported() {
    let rows: serde_json::Map<String, Value> = (0..1000)
        .map(|i| (format!("00000000-0000-0000-0000-{i:012x}"), json!({ "initial": { "n": "x" } })))
        .collect();
    let mut play = Play::new(config());
    play.sync(json!([false, ZERO, { "T": rows }]));
    assert_eq!(play.session.stats().rows_skipped, 1000);
    let reports = play.events().iter().filter(|e| matches!(e, Event::RowSkipped(_))).count();
    assert!((1..50).contains(&reports), "{reports}");
}
