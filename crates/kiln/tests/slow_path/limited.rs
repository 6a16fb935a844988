//! Neighbours beyond a limit: who is refused, who gives way, and that both are shown, by port.

use crate::bed::{Bed, NETWORK, claim, udp};
use kiln_testkit::{Component, Database, wait_for};
use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

/// How many neighbours the port may have.
const LIMIT: usize = 2;

/// A station of `out`, by the last number of its address.
fn ip(n: u8) -> String {
    format!("10.1.0.{n}")
}

fn mac(n: u8) -> String {
    format!("02:00:00:00:00:{n:02x}")
}

/// The port with a limit, and a second one without, so that it shows whose numbers they are.
fn limited(more: &str) -> Bed {
    let network =
        format!("{NETWORK}\nset Logical_Router_Port r-out options:mac_binding_limit={LIMIT}\n{more}");
    Bed::start(Component::Kiln, &network, &["p1", "q1"], "")
}

/// The addresses of all rows.
fn known(bed: &Bed) -> BTreeSet<String> {
    let rows = bed.lab.rows(&bed.south, Database::Southbound, "MAC_Binding");
    rows.iter().filter_map(|row| row["ip"].as_str().map(str::to_owned)).collect()
}

#[track_caller]
fn wait_known(bed: &Bed, numbers: &[u8], mut meanwhile: impl FnMut()) {
    let expected: BTreeSet<String> = numbers.iter().map(|n| ip(*n)).collect();
    wait_for(&format!("{expected:?} to be all that is known"), || {
        meanwhile();
        (known(bed) == expected).then_some(())
    });
}

/// What `mac-binding/show` says of a port.
fn shown(bed: &Bed, port: &str) -> String {
    let text = bed.lab.ask(&bed.chassis.controller, "mac-binding/show");
    let line = text.lines().find(|line| line.starts_with(&format!("{port}: ")));
    line.unwrap_or_default().to_owned()
}

/// Waits until `mac-binding/show` says these words of the limited port.
#[track_caller]
fn wait_shown(bed: &Bed, words: &str) {
    wait_for(&format!("`{words}` in `{}`", shown(bed, "r-out")), || {
        shown(bed, "r-out").contains(words).then_some(())
    });
}

/// A row of the limited port that was last heard of so many seconds ago.
fn write_row(bed: &Bed, n: u8, age_s: u64) {
    let find = "--bare --columns=datapath find Port_Binding logical_port=r-out";
    let datapath = bed.lab.ctl("ovn-sbctl", &bed.south, find);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("the clock is right").as_millis() as u64;
    let line = format!(
        "create MAC_Binding logical_port=r-out 'ip=\"{}\"' 'mac=\"{}\"' datapath={} timestamp={}",
        ip(n),
        mac(n),
        datapath.trim(),
        now - age_s * 1000
    );
    bed.lab.ctl("ovn-sbctl", &bed.south, &line);
}

#[test]
fn who_is_refused_and_who_was_idle_is_shown_by_port() {
    let bed = limited("");
    for n in [101, 102] {
        bed.receive("q1", &[claim(&mac(n), &ip(n))]);
    }
    wait_known(&bed, &[101, 102], || {});
    wait_shown(
        &bed,
        "2 neighbors, 0 only asked for, 0 without an answer; limit 2, of the router none; refused 0",
    );
    // Nobody gives way who was heard of just now.
    bed.receive("q1", &[claim(&mac(103), &ip(103))]);
    wait_shown(&bed, "refused 1, evicted tentative 0, evicted failed 0, evicted idle 0");
    wait_known(&bed, &[101, 102], || {});
    bed.counted("mac_binding_refused", 1);
    // Another port of the same router has room.
    let inside = format!(
        "in_port(1),eth(src=0a:00:00:00:00:99,dst={}),eth_type(0x0806),\
         arp(sip=10.0.0.99,tip=10.0.0.1,op=2,sha=0a:00:00:00:00:99,tha={})",
        crate::bed::R_IN,
        crate::bed::R_IN
    );
    bed.receive("p1", &[inside]);
    wait_for("a neighbour of the other port", || known(&bed).contains("10.0.0.99").then_some(()));
    let other = shown(&bed, "r-in");
    assert!(other.contains("limit none") && other.contains("refused 0, evicted tentative 0"), "{other}");

    // Not heard of for longer than 300 s.
    let idle = format!("destroy MAC_Binding {}", row(&bed, 102));
    bed.lab.ctl("ovn-sbctl", &bed.south, &idle);
    write_row(&bed, 104, 400);
    wait_shown(&bed, "2 neighbors");
    bed.receive("q1", &[claim(&mac(105), &ip(105))]);
    wait_shown(&bed, "refused 1, evicted tentative 0, evicted failed 0, evicted idle 1");
    let expected = BTreeSet::from([ip(101), ip(105), "10.0.0.99".to_owned()]);
    wait_for("the row that has taken its place", || (known(&bed) == expected).then_some(()));
    bed.counted("mac_binding_evicted_idle", 1);
    assert_eq!(bed.counter("mac_binding_refused"), 1);
}

fn row(bed: &Bed, n: u8) -> String {
    let find = format!("--bare --columns=_uuid find MAC_Binding 'ip=\"{}\"'", ip(n));
    bed.lab.ctl("ovn-sbctl", &bed.south, &find).trim().to_owned()
}

#[test]
fn who_was_only_asked_for_gives_way_first() {
    let bed = limited("set Logical_Router r options:mac_binding_learning=tracked");
    bed.receive("p1", &[udp(1, &ip(101), 9001)]);
    wait_shown(&bed, "1 neighbors, 1 only asked for");
    bed.receive("q1", &[claim(&mac(101), &ip(101))]);
    wait_shown(&bed, "1 neighbors, 0 only asked for");
    bed.receive("p1", &[udp(1, &ip(102), 9001)]);
    wait_shown(&bed, "2 neighbors, 1 only asked for");
    // A query gives way to another one as soon as it is no longer repeated, but not before.
    bed.receive("p1", &[udp(1, &ip(103), 9001)]);
    wait_shown(&bed, "refused 1, evicted tentative 0");
    wait_known(&bed, &[101, 103], || bed.receive("p1", &[udp(1, &ip(103), 9001)]));
    wait_shown(&bed, "evicted tentative 1, evicted failed 0, evicted idle 0");
    bed.counted("mac_binding_evicted_tentative", 1);
}

#[test]
fn who_does_not_answer_gives_way() {
    let bed = limited("set Logical_Router r options:mac_binding_age_threshold=16");
    for n in [101, 102] {
        bed.receive("q1", &[claim(&mac(n), &ip(n))]);
    }
    wait_known(&bed, &[101, 102], || {});
    // One is sent to and says nothing; the other one goes on saying that it is there.
    wait_for("one to have failed", || {
        bed.receive("p1", &[udp(1, &ip(101), 9001)]);
        bed.receive("q1", &[claim(&mac(102), &ip(102))]);
        shown(&bed, "r-out").contains("2 neighbors, 0 only asked for, 1 without an answer").then_some(())
    });
    bed.receive("q1", &[claim(&mac(103), &ip(103))]);
    wait_shown(&bed, "evicted tentative 0, evicted failed 1, evicted idle 0");
    wait_known(&bed, &[102, 103], || {});
    bed.counted("mac_binding_evicted_failed", 1);
}
