//! Conditions that change.

use kiln_ovsdb::client::{Condition, Event, Rows, Select, TableMonitor};
use kiln_ovsdb::txn::Function;
use serde_json::json;

use crate::*;

fn named(name: &str) -> Rows {
    Rows::any([Condition::new("name", Function::Equal, name)])
}

fn clause(name: &str) -> Value {
    json!([["name", "==", name]])
}

/// A session with rows named `a`, whose server gives transactions numbers.
fn monitoring_a() -> Play {
    let mut config = config();
    config.tables = vec![TableMonitor::new("T", ["name"]).with_rows(named("a"))];
    let mut play = Play::new(config);
    play.session.handle_connected(play.now);
    play.serve_database(json!({ "name": "D", "model": "clustered", "connected": true, "leader": true }));
    play.serve_schema();
    let request = play.expect("monitor_cond_since");
    assert_eq!(request["params"][2]["T"], json!([{ "columns": ["name"], "where": clause("a") }]));
    play.answer(&request, json!([false, TXN1, { "T": { A: { "initial": { "name": "a" } } } }]));
    play.events();
    play
}

/// Reconnects; the conditions and the transaction that the monitor request names.
fn reconnect(play: &mut Play) -> (Value, Value) {
    play.disconnect();
    play.session.handle_connected(play.now);
    play.serve_database(json!({ "name": "D", "model": "clustered", "connected": true, "leader": true }));
    play.serve_schema();
    let request = play.expect("monitor_cond_since");
    play.answer(&request, json!([request["params"][3] != ZERO, TXN2, {}]));
    (request["params"][2]["T"][0]["where"].clone(), request["params"][3].clone())
}

#[test]
fn changes_are_sent_one_at_a_time_and_acknowledged() {
    let mut play = monitoring_a();
    let to_b = play.session.set_rows("T", named("b"));
    assert!(play.session.conditions_in_force() < to_b);
    let change = play.expect("monitor_cond_change");
    assert_eq!(change["params"], json!(["data", "data", { "T": [{ "where": clause("b") }] }]));

    let to_c = play.session.set_rows("T", named("c"));
    let to_d = play.session.set_rows("T", named("d"));
    play.silent();
    play.update3(TXN2, json!({ A: { "delete": null }, B: { "insert": { "name": "b" } } }));
    play.answer(&change, json!({}));
    assert_eq!(play.session.conditions_in_force(), to_b);
    assert_eq!(play.events(), [Event::Updated, Event::ConditionsInForce { seq: to_b }]);
    assert_eq!(play.replica.show(), "b b; ");

    let change = play.expect("monitor_cond_change");
    assert_eq!(change["params"][2]["T"][0]["where"], clause("d"), "the one between is not sent");
    assert!(to_c < to_d);
    play.answer(&change, json!({}));
    assert_eq!(play.session.conditions_in_force(), to_d);
    play.silent();
}

#[test]
fn equal_conditions_are_not_sent() {
    let mut play = monitoring_a();
    assert_eq!(play.session.set_rows("T", named("a")), play.session.conditions_in_force());
    play.silent();
    play.session.set_rows("T", named("b"));
    let change = play.expect("monitor_cond_change");
    play.session.set_rows("T", named("c"));
    let back = play.session.set_rows("T", named("b"));
    play.answer(&change, json!({}));
    play.silent();
    assert_eq!(play.session.conditions_in_force(), back);
    assert_eq!(play.events().last(), Some(&Event::ConditionsInForce { seq: back }));
}

#[test]
fn in_flight_at_a_disconnect_everything_is_fetched_under_the_newest() {
    let mut play = monitoring_a();
    play.session.set_rows("T", named("b"));
    play.expect("monitor_cond_change");
    let newest = play.session.set_rows("T", named("c"));
    assert_eq!(reconnect(&mut play), (clause("c"), json!(ZERO)));
    assert_eq!(play.session.conditions_in_force(), newest);
    assert_eq!(play.replica.show(), "");
    play.silent();
}

#[test]
fn changed_while_disconnected_it_resumes_and_then_changes() {
    let mut play = monitoring_a();
    play.disconnect();
    let seq = play.session.set_rows("T", Rows::None);
    assert_eq!(reconnect(&mut play), (clause("a"), json!(TXN1)));
    assert!(play.session.conditions_in_force() < seq);
    let change = play.expect("monitor_cond_change");
    assert_eq!(change["params"][2]["T"][0]["where"], json!([false]));
    play.answer(&change, json!({}));
    assert_eq!(play.session.conditions_in_force(), seq);
    // and from the next update on those are the ones to resume with
    play.update3(TXN1, json!({}));
    assert_eq!(reconnect(&mut play), (json!([false]), json!(TXN1)));
}

/// Row B had its name before the session wanted it, lost it unseen, and got it back while nobody listened: the server would
/// find nothing new since the first transaction.
#[test]
fn right_after_a_change_nothing_is_resumed() {
    let mut play = monitoring_a();
    play.session.set_rows("T", named("b"));
    let change = play.expect("monitor_cond_change");
    play.answer(&change, json!({}));
    assert_eq!(reconnect(&mut play), (clause("b"), json!(ZERO)));
}

#[test]
fn a_server_that_cannot_resume_gets_what_was_acknowledged_and_then_the_change() {
    let mut play = monitoring_a();
    play.disconnect();
    play.session.set_rows("T", named("b"));
    play.session.handle_connected(play.now);
    play.serve_database(json!({ "name": "D", "model": "clustered", "connected": true, "leader": true }));
    play.serve_schema();
    let request = play.expect("monitor_cond_since");
    assert_eq!(request["params"][3], TXN1);
    play.answer(&request, json!([false, TXN2, {}]));
    let change = play.expect("monitor_cond_change");
    assert_eq!(change["params"][2]["T"][0]["where"], clause("b"));
}

#[test]
fn before_the_first_connection_only_the_newest_counts() {
    let mut play = Play::new(config());
    play.session.set_rows("T", named("x"));
    let seq = play.session.set_rows("T", Rows::None);
    assert!(play.session.conditions_in_force() < seq);
    play.session.handle_connected(play.now);
    play.serve_database(json!({ "name": "D" }));
    play.serve_schema();
    let request = play.expect("monitor_cond_since");
    assert_eq!(request["params"][2]["T"][0]["where"], json!([false]));
    assert!(play.session.conditions_in_force() < seq, "not before the answer");
    play.answer(&request, json!([false, ZERO, {}]));
    assert_eq!(play.session.conditions_in_force(), seq);
}

#[test]
fn changes_during_the_handshake_wait_for_its_end() {
    let mut play = Play::new(config());
    play.session.handle_connected(play.now);
    play.serve_database(json!({ "name": "D" }));
    play.serve_schema();
    let request = play.expect("monitor_cond_since");
    let seq = play.session.set_rows("T", named("b"));
    play.silent();
    play.answer(&request, json!([false, ZERO, {}]));
    let change = play.expect("monitor_cond_change");
    play.answer(&change, json!({}));
    assert_eq!(play.session.conditions_in_force(), seq);
}

#[test]
fn a_server_without_conditions_sends_every_row() {
    let mut play = Play::new(config());
    play.session.handle_connected(play.now);
    for method in ["monitor_cond", "get_schema", "monitor_cond_since", "monitor_cond", "monitor"] {
        let request = play.expect(method);
        match method {
            "get_schema" => {
                play.answer(&request, json!({ "tables": { "T": { "columns": { "name": {} } } } }));
            }
            "monitor" => play.answer(&request, json!({})),
            _ => play.refuse(&request, json!("unknown method")),
        }
    }
    let seq = play.session.set_rows("T", named("b"));
    assert_eq!(play.session.conditions_in_force(), seq);
    play.silent();
}

#[test]
fn clauses_on_missing_columns_match_nothing() {
    let mut play = monitoring_a();
    let clauses =
        [Condition::new("name", Function::Equal, "b"), Condition::new("group", Function::Includes, "g")];
    play.session.set_rows("T", Rows::any(clauses));
    let change = play.expect("monitor_cond_change");
    assert_eq!(change["params"][2]["T"][0]["where"], clause("b"));
    assert!(matches!(&play.events()[..], [Event::Missing(_)]));
}

#[test]
fn selected_changes() {
    let mut config = config();
    let select = Select { initial: false, delete: false, ..Select::default() };
    config.tables = vec![TableMonitor::new("T", ["n"]).with_select(select)];
    let mut play = Play::new(config);
    play.session.handle_connected(play.now);
    play.serve_database(json!({ "name": "D" }));
    play.serve_schema();
    let request = play.expect("monitor_cond_since");
    assert_eq!(request["params"][2]["T"][0]["select"], json!({ "initial": false, "delete": false }));
}
