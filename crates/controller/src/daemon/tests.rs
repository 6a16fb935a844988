//! When the daemon wakes by itself: whatever it wakes for must be over once it has had its turn.

use super::*;
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
fn turn(daemon: &mut ControllerDaemon, now: Instant) -> Option<Instant> {
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
