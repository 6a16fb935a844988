//! Transactions and what becomes of them.

use kiln_ovsdb::client::{Event, Outcome};
use kiln_ovsdb::txn::{ErrorClass, OpResult};
use serde_json::json;

use crate::*;

fn outcomes(play: &mut Play) -> Vec<(u64, Outcome)> {
    let of = |event| match event {
        Event::Transacted { id, outcome } => Some((id.0, outcome)),
        _ => None,
    };
    play.events().into_iter().filter_map(of).collect()
}

#[test]
fn a_committed_transaction_has_reached_the_replica() {
    let mut play = Play::synced(json!({}));
    let mut txn = play.session.txn();
    txn.insert("T").set("n", &1);
    let id = play.session.transact(txn);
    assert_eq!(play.session.transactions_in_flight(), 1);
    let request = play.expect("transact");
    assert_eq!(request["params"], json!(["D", { "op": "insert", "table": "T", "row": { "n": 1 } }]));
    play.update3(ZERO, json!({ A: { "insert": { "n": 1 } } }));
    play.answer(&request, json!([{ "uuid": ["uuid", A] }]));
    let outcome = Outcome::Committed(vec![OpResult::Inserted(A.parse().unwrap())]);
    assert_eq!(play.events(), [Event::Updated, Event::Transacted { id, outcome }]);
    assert_eq!(play.session.transactions_in_flight(), 0);
}

#[test]
fn failures_say_what_to_do() {
    let mut play = Play::synced(json!({}));
    let mut classes = Vec::new();
    for error in [
        json!({ "result": [{ "error": "timed out" }] }),
        json!({ "result": [{ "error": "not owner" }] }),
        json!({ "error": { "error": "unknown database", "details": "gone" } }),
        json!({ "error": "canceled" }),
    ] {
        let mut txn = play.session.txn();
        txn.comment("x");
        play.session.transact(txn);
        let mut answer = error.clone();
        answer["id"] = play.expect("transact")["id"].clone();
        play.send(&answer);
        match &outcomes(&mut play)[..] {
            [(_, Outcome::Failed(error))] => classes.push(error.class()),
            other => panic!("{error}: {other:?}"),
        }
    }
    assert_eq!(
        classes,
        [ErrorClass::Conflict, ErrorClass::NotOwner, ErrorClass::Refused, ErrorClass::Temporary]
    );
}

#[test]
fn a_broken_connection_leaves_the_outcome_open() {
    let mut play = Play::synced(json!({}));
    let txn = play.session.txn();
    let first = play.session.transact(txn).0;
    play.expect("transact");
    let txn = play.session.txn();
    let second = play.session.transact(txn).0;
    play.disconnect();
    assert_eq!(outcomes(&mut play), [(first, Outcome::Lost), (second, Outcome::Lost)]);
    let txn = play.session.txn();
    let third = play.session.transact(txn).0;
    assert_eq!(outcomes(&mut play), [(third, Outcome::NotSent)]);
    play.sync(json!([false, ZERO, {}]));
    play.silent();
    assert!(outcomes(&mut play).is_empty());
}

#[test]
fn what_the_server_lacks_is_told_once() {
    let mut play = Play::synced(json!({}));
    for round in 0..2 {
        let mut txn = play.session.txn();
        txn.insert("T").set("n", &1).set("newer", &2);
        play.session.transact(txn);
        let request = play.expect("transact");
        assert_eq!(request["params"][1]["row"], json!({ "n": 1 }));
        let told = play.events().iter().filter(|e| matches!(e, Event::Missing(_))).count();
        assert_eq!(told, 1 - round);
    }
}
