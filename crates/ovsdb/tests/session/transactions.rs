//! Transactions and what becomes of them.

use kiln_ovsdb::client::{Event, Outcome};
use kiln_ovsdb::txn::{ErrorClass, OpResult, Tail, Txn};
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

/// So many rows to insert.
#[derive(Debug)]
struct Rows(usize);

impl Tail for Rows {
    fn len(&self) -> usize {
        self.0
    }
    fn write_next(&mut self, txn: &mut Txn) {
        self.0 -= 1;
        txn.insert("T").set("name", &"x".repeat(1000));
    }
}

/// A transaction with so many rows at its end.
fn long(play: &Play, rows: usize) -> Txn {
    let mut txn = play.session.txn();
    txn.assert_lock("l");
    txn.finish_with(Box::new(Rows(rows)));
    txn
}

#[test]
fn a_long_transaction_is_written_as_it_is_sent() {
    let mut play = Play::synced(json!({}));
    let txn = long(&play, 1000);
    assert_eq!(txn.len(), 1001);
    play.session.transact(txn);
    let mut pieces = Vec::new();
    while let Some(piece) = play.session.poll_transmit() {
        assert!(piece.len() < 100_000, "never more than a piece is held");
        pieces.push(piece);
    }
    assert!(pieces.len() > 10);
    let request: serde_json::Value = serde_json::from_slice(&pieces.concat()).unwrap();
    assert_eq!(request["params"].as_array().unwrap().len(), 1002);
    assert_eq!(request["params"][1000]["op"], "insert");
    play.answer(&request, json!([{ "error": "not owner" }]));
    assert!(matches!(&outcomes(&mut play)[..], [(_, Outcome::Failed(_))]));
}

#[test]
fn a_server_gets_time_for_a_long_transaction() {
    let mut play = Play::synced(json!({}));
    let usual = play.session.poll_timeout().unwrap() - play.now;
    let txn = long(&play, 10_000);
    play.session.transact(txn);
    let request = play.expect("transact");
    let patience = play.session.poll_timeout().unwrap() - play.now;
    assert!(patience >= usual + Duration::from_secs(9), "{patience:?} for 10 MB");
    play.answer(&request, json!([{ "error": "not owner" }]));
    assert_eq!(play.session.poll_timeout().unwrap() - play.now, usual);
}
