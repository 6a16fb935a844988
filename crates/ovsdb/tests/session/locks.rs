//! One client of several is active.

use kiln_ovsdb::client::{Event, Select, SessionConfig};
use serde_json::json;

use crate::*;

#[test]
fn a_free_lock_is_granted() {
    let mut play = Play::new(config());
    play.session.lock("northd");
    play.sync(json!([false, ZERO, {}]));
    play.events();
    let request = play.expect("lock");
    assert_eq!(request["params"], json!(["northd"]));
    assert!(!play.session.has_lock());
    play.answer(&request, json!({ "locked": true }));
    assert!(play.session.has_lock());
    assert_eq!(play.events(), [Event::Locked]);
    play.session.lock("northd");
    play.silent();
}

#[test]
fn a_held_lock_is_waited_for() {
    let mut play = Play::synced(json!({}));
    play.session.lock("northd");
    let request = play.expect("lock");
    play.answer(&request, json!({ "locked": false }));
    assert_eq!(play.events(), [Event::LockContended]);
    play.notify("locked", json!(["other"]));
    assert!(!play.session.has_lock());
    play.notify("locked", json!(["northd"]));
    assert!(play.session.has_lock());
    play.notify("stolen", json!(["northd"]));
    assert!(!play.session.has_lock());
    play.notify("locked", json!(["northd"]));
    assert_eq!(play.events(), [Event::Locked, Event::LockLost, Event::Locked]);
}

#[test]
fn a_connection_takes_its_lock_along() {
    let mut play = Play::synced(json!({}));
    play.session.lock("northd");
    let request = play.expect("lock");
    play.answer(&request, json!({ "locked": true }));
    play.events();
    play.disconnect();
    assert_eq!(play.events(), [Event::LockLost]);
    assert!(!play.session.has_lock());
    play.sync(json!([false, ZERO, {}]));
    let request = play.expect("lock");
    assert!(!play.session.has_lock());
    play.answer(&request, json!({ "locked": true }));
    assert!(play.session.has_lock());
}

#[test]
fn letting_go() {
    let mut play = Play::synced(json!({}));
    play.session.lock("a");
    let request = play.expect("lock");
    play.answer(&request, json!({ "locked": true }));
    play.session.lock("b");
    assert!(!play.session.has_lock());
    assert_eq!(play.expect("unlock")["params"], json!(["a"]));
    let request = play.expect("lock");
    assert_eq!(request["params"], json!(["b"]));
    play.session.unlock();
    assert_eq!(play.expect("unlock")["params"], json!(["b"]));
    // the answer comes late
    play.answer(&request, json!({ "locked": true }));
    assert!(!play.session.has_lock());
    play.notify("locked", json!(["b"]));
    assert!(!play.session.has_lock());
    assert_eq!(play.events(), [Event::Locked, Event::LockLost]);
}

#[test]
fn stealing() {
    let mut play = Play::synced(json!({}));
    play.session.lock("northd");
    let request = play.expect("lock");
    play.answer(&request, json!({ "locked": false }));
    play.session.steal("northd");
    // the server wants the queue left before (ovsdb-server: must issue "unlock" before new "steal")
    play.expect("unlock");
    let request = play.expect("steal");
    play.answer(&request, json!({ "locked": true }));
    assert!(play.session.has_lock());
    play.session.steal("northd");
    play.silent();
    play.disconnect();
    play.sync(json!([false, ZERO, {}]));
    play.expect("lock");
}

/// Of one table, inserts are not reported: the owner knows its own.
fn blind() -> SessionConfig {
    let mut config = config();
    config.tables[0].select = Select { insert: false, ..Select::default() };
    config
}

#[test]
fn what_nobody_told_of_is_fetched_under_the_lock() {
    let mut play = Play::new(blind());
    play.session.lock("northd");
    play.session.handle_connected(play.now);
    play.serve_database(json!({ "name": "D", "model": "standalone", "connected": true, "leader": true }));
    play.serve_schema();
    let lock = play.expect("lock");
    let monitor = play.expect("monitor_cond_since");
    play.answer(&lock, json!({ "locked": false }));
    play.answer(&monitor, json!([false, TXN1, { "T": { A: { "initial": { "n": 1 } } } }]));
    assert!(play.session.is_synced());
    assert!(!play.session.has_lock());
    play.silent();

    // the holder inserts a row that nobody tells of, and lets go
    play.notify("locked", json!(["northd"]));
    assert!(!play.session.has_lock(), "the replica is behind");
    assert_eq!(play.expect("monitor_cancel")["params"], json!(["data"]));
    let monitor = play.expect("monitor_cond_since");
    assert_eq!(monitor["params"][3], json!(ZERO));
    play.answer(
        &monitor,
        json!([false, TXN2, { "T": { A: { "initial": { "n": 1 } }, B: { "initial": { "n": 2 } } } }]),
    );
    assert!(play.session.has_lock());
    assert_eq!(play.replica.show(), "a n=1; b n=2; ");
    assert_eq!((play.replica.refetches, play.replica.changes), (2, 2), "one row is news");
    play.silent();
}

#[test]
fn a_session_that_is_not_told_of_inserts_never_resumes() {
    let mut play = Play::new(blind());
    for _ in 0..2 {
        play.session.handle_connected(play.now);
        play.serve_database(json!({ "name": "D", "model": "standalone", "connected": true, "leader": true }));
        play.serve_schema();
        let monitor = play.expect("monitor_cond_since");
        assert_eq!(monitor["params"][3], json!(ZERO));
        play.answer(&monitor, json!([false, TXN1, {}]));
        play.disconnect();
    }
}
