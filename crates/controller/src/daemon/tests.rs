//! When the daemon wakes by itself: whatever it wakes for must be over once it has had its turn.

use super::*;
use kiln_abi::opcodes::Opcode;
use kiln_abi::registers::reg;
use kiln_openflow::msg::{Hello, PacketIn};
use kiln_openflow::{Field, MatchBuilder, Version, Xid};
use kiln_ovsdb::txn::OpError;

/// A daemon that is connected to nothing.
pub(super) fn daemon() -> ControllerDaemon {
    ControllerDaemon::new(Config {
        local: "unix:/db".parse().unwrap(),
        switch_run_dir: "/run".to_owned(),
        chassis_name: None,
        hostname: "h".into(),
        seed: 1,
    })
}

/// One turn of the daemon's loop, and when the next one is due.
pub(super) fn turn(daemon: &mut ControllerDaemon, now: Instant) -> Option<Instant> {
    daemon.handle_timeout(now);
    daemon.advance(now, 0);
    for side in Side::ALL {
        while daemon.poll_action(now, side).is_some() {}
    }
    daemon.poll_timeout()
}

fn fail_transaction(daemon: &mut ControllerDaemon, now: Instant, side: Side) {
    let flight = if side == Side::Local { &mut daemon.local_txn } else { &mut daemon.sb_txn };
    flight.sent(TxnId(1));
    let failed = OpError { op: None, error: "constraint violation".into(), details: String::new() };
    daemon.transacted(now, side, TxnId(1), &Outcome::Failed(failed));
}

#[test]
fn a_transaction_that_failed_and_is_not_wanted_any_more_wakes_nobody() {
    for side in [Side::Southbound, Side::Local] {
        let (mut daemon, now) = (daemon(), Instant::from_secs(1));
        turn(&mut daemon, now);
        fail_transaction(&mut daemon, now, side);
        let retry = now + InFlight::RETRY;
        assert!(turn(&mut daemon, now).is_some_and(|due| due <= retry), "{side:?}: it is tried again");
        assert!(turn(&mut daemon, retry).is_none_or(|due| due > retry), "{side:?}");
    }
}

/// A packet of a station comes up, to be learned from.
fn learn_station(daemon: &mut ControllerDaemon, now: Instant) {
    let bytes = |message: &Message| {
        let mut bytes = Vec::new();
        message.encode(Version::V1_5, Xid(1), &mut bytes).unwrap();
        bytes
    };
    let mut metadata = MatchBuilder::default();
    metadata.exact(Field::METADATA, 1u64).exact(Field::reg(reg::INPORT), 2u32);
    let packet_in = PacketIn {
        packet: [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 8, 0].into(),
        reason: PacketIn::REASON_ACTION,
        metadata: metadata.build(),
        userdata: [Opcode::PUT_FDB.0.to_be_bytes(), [0; 4]].concat().into(),
        ..PacketIn::default()
    };
    daemon.packets.session.handle_connected(now);
    daemon.handle_bytes(now, Side::Packets, &bytes(&Message::Hello(Hello::new(&[Version::V1_5]))));
    daemon.handle_bytes(now, Side::Packets, &bytes(&Message::PacketIn(Box::new(packet_in))));
}

#[test]
fn what_waits_for_a_database_that_is_away_wakes_nobody() {
    let (mut daemon, now) = (daemon(), Instant::from_secs(1));
    turn(&mut daemon, now);
    learn_station(&mut daemon, now);
    let later = now + Duration::from_millis(500);
    assert!(turn(&mut daemon, later).is_none_or(|due| due > later));
    assert_eq!(daemon.responder.load().pending_fdb, 1, "it still waits");
    assert!(daemon.responder.deadline().is_some_and(|due| due <= later), "and is written once it can be");
}

#[test]
fn what_waits_for_the_end_of_a_pause_wakes_nobody() {
    let (mut daemon, now) = (daemon(), Instant::from_secs(1));
    turn(&mut daemon, now);
    daemon.command(now, "debug/pause", &[]).unwrap();
    fail_transaction(&mut daemon, now, Side::Southbound);
    daemon.claims.insert(now + CLAIM_PAUSE, Vec::new());
    daemon.report_at = Some((now, 1));
    daemon.local_since = Some(now);
    let later = now + MAX_WAIT_FOR_SWITCH;
    assert!(turn(&mut daemon, later).is_none_or(|due| due > later));
    daemon.command(later, "debug/resume", &[]).unwrap();
    assert!(daemon.poll_timeout().is_some_and(|due| due <= later));
    assert!(turn(&mut daemon, later).is_none_or(|due| due > later), "all of it was done");
}

#[test]
fn a_transaction_that_failed_before_the_end_is_not_tried_again() {
    let (mut daemon, now) = (daemon(), Instant::from_secs(1));
    turn(&mut daemon, now);
    fail_transaction(&mut daemon, now, Side::Local);
    daemon.begin_exit(false);
    let retry = now + InFlight::RETRY;
    assert!(turn(&mut daemon, retry).is_none_or(|due| due > retry));
}
