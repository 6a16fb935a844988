//! A next hop that has failed, and is there later on: it is left alone for a while, and then asked for anew.

use crate::bed::{Bed, NETWORK, claim, udp};
use kiln_testkit::{Component, wait_for};
use std::time::Duration;

const STATION: &str = "10.1.0.77";
const STATION_HEX: &str = "0a01004d";
const MAC: &str = "02:00:00:00:00:77";

/// How often it is asked for, and for how long it is then left alone, counted from the end of the last try.
const TRIES: usize = 3;
const INTERVAL: Duration = Duration::from_secs(1);
const HOLD_DOWN: Duration = Duration::from_secs(2);
/// How much later than it should a packet may come, on a busy machine.
const SLACK: Duration = Duration::from_secs(3);

/// When the station was asked for.
fn asked(bed: &Bed) -> Vec<Duration> {
    let frames = bed.frames("q1");
    let asks = frames.iter().filter(|frame| frame.is_arp(1) && frame.hex(38, 4) == STATION_HEX);
    asks.map(|frame| frame.at).collect()
}

/// When packets came to it.
fn delivered(bed: &Bed) -> Vec<Duration> {
    bed.frames("q1").iter().filter(|frame| frame.is_udp_to(9001)).map(|frame| frame.at).collect()
}

/// With senders told that nobody is there, and without.
#[test]
fn a_next_hop_is_asked_for_again_after_its_hold_down() {
    for told in ["true", "false"] {
        let network = format!("{NETWORK}\nset Logical_Router r options:icmp_unreachable={told}");
        let bed = Bed::start(Component::Kiln, &network, &["p1", "q1"], "");
        let send = || bed.receive("p1", &[udp(1, STATION, 9001)]);
        wait_for("the next hop to fail", || {
            send();
            (asked(&bed).len() >= TRIES && bed.counter("packet_arp_failed") > 0).then_some(())
        });
        assert!(delivered(&bed).is_empty());
        // From now on it is there, and answers whenever it is asked.
        let first = wait_for("a packet to come to it", || {
            send();
            if asked(&bed).len() > TRIES {
                bed.receive("q1", &[claim(MAC, STATION)]);
            }
            delivered(&bed).first().copied()
        });
        let asked = asked(&bed);
        let [again, after] = [asked[TRIES], first].map(|at| at.saturating_sub(asked[TRIES - 1]));
        println!(
            "icmp_unreachable={told}: asked for again {again:?} after the last try, delivered {after:?} after"
        );
        let due = INTERVAL + HOLD_DOWN;
        // The switch tells times in whole seconds, so that its flow may go half a second early.
        assert!(again + Duration::from_millis(600) >= due, "it is held down: {again:?}");
        assert!(after <= due + SLACK, "and no longer: {after:?}");
    }
}
