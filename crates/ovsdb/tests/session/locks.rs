//! One client of several is active.

use kiln_ovsdb::client::Event;
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
