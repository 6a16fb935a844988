//! A session together with the choice of its remotes.

use kiln_ovsdb::client::{Event, Link};
use kiln_ovsdb::reconnect::{Action, Order};
use kiln_ovsdb::remote::Remotes;
use kiln_types::Rng;
use serde_json::json;

use crate::*;

/// A link to `unix:a` and `unix:b`, and the replica.
fn link() -> (Link, TestReplica) {
    let remotes = "unix:a,unix:b".parse::<Remotes>().unwrap().remotes;
    (Link::new(config(), remotes, Order::Listed, Rng::with_seed(0)), TestReplica::default())
}

/// Opens the connection that the link asks for now; its remote.
fn open(link: &mut Link, now: Instant) -> String {
    let Some(Action::Connect(remote)) = link.poll_action(now) else { panic!("no connection is asked for") };
    link.handle_connected(now);
    remote.to_string()
}

/// Serves the requests of a new connection as a leader, or as a follower.
fn serve(link: &mut Link, replica: &mut TestReplica, now: Instant, leader: bool) {
    while let Some(bytes) = link.poll_transmit() {
        let request: Value = serde_json::from_slice(&bytes).unwrap();
        let row = json!({ "name": "D", "model": "clustered", "connected": true, "leader": leader });
        let result = match request["method"].as_str().unwrap() {
            "monitor_cond" => json!({ "Database": { A: { "initial": row } } }),
            "get_schema" => json!({ "tables": { "T": { "columns": { "n": {} } } } }),
            "monitor_cond_since" => json!([false, TXN1, { "T": { A: { "initial": { "n": 1 } } } }]),
            _ => json!({}),
        };
        let answer = json!({ "id": request["id"], "result": result, "error": null }).to_string();
        link.handle_bytes(now, answer.as_bytes(), replica);
    }
}

fn events(link: &mut Link, now: Instant) -> Vec<Event> {
    std::iter::from_fn(|| link.poll_event(now)).collect()
}

#[test]
fn a_follower_is_left_for_the_leader_at_once() {
    let (mut link, mut replica) = link();
    let now = Instant::from_secs(1);
    assert_eq!(open(&mut link, now), "unix:a");
    serve(&mut link, &mut replica, now, false);
    assert!(matches!(events(&mut link, now).last(), Some(Event::Close(_))));
    assert_eq!(link.poll_timeout(), Some(Instant::ZERO));
    assert_eq!(link.poll_action(now), Some(Action::Close));
    assert_eq!(open(&mut link, now), "unix:b");
    assert!(!link.is_connected());
    serve(&mut link, &mut replica, now, true);
    assert!(matches!(events(&mut link, now).last(), Some(Event::Synced { .. })));
    assert!(link.is_connected());
    assert_eq!(replica.show(), "a n=1; ");
}

#[test]
fn a_broken_connection_is_made_again() {
    let (mut link, mut replica) = link();
    let now = Instant::from_secs(1);
    open(&mut link, now);
    serve(&mut link, &mut replica, now, true);
    events(&mut link, now);
    link.handle_disconnected(now);
    assert!(!link.is_connected());
    assert_eq!(open(&mut link, now), "unix:b");
    assert_eq!(replica.show(), "a n=1; ", "the replica outlives it");
}

#[test]
fn a_silent_server_is_left() {
    let (mut link, _) = link();
    let mut now = Instant::from_secs(1);
    open(&mut link, now);
    for _ in 0..2 {
        now = link.poll_timeout().unwrap();
        link.handle_timeout(now);
    }
    assert_eq!(now, Instant::from_secs(11));
    assert!(matches!(events(&mut link, now).last(), Some(Event::Close(_))));
    assert_eq!(link.poll_action(now), Some(Action::Close));
    assert_eq!(open(&mut link, now), "unix:b");
}

#[test]
fn a_remote_that_is_no_longer_listed_is_left() {
    let (mut link, mut replica) = link();
    let now = Instant::from_secs(1);
    open(&mut link, now);
    serve(&mut link, &mut replica, now, true);
    events(&mut link, now);
    link.set_remotes(now, "unix:c".parse::<Remotes>().unwrap().remotes);
    assert_eq!(link.poll_action(now), Some(Action::Close));
    assert!(!link.session().is_synced());
    assert_eq!(open(&mut link, now), "unix:c");
}

#[test]
fn starting_over_fetches_everything() {
    let (mut link, mut replica) = link();
    let now = Instant::from_secs(1);
    open(&mut link, now);
    serve(&mut link, &mut replica, now, true);
    events(&mut link, now);
    link.start_over(now);
    assert_eq!(link.poll_action(now), Some(Action::Close));
    open(&mut link, now);
    serve(&mut link, &mut replica, now, true);
    assert!(link.is_connected());
    assert_eq!((replica.refetches, replica.changes), (2, 1));
}
