//! A switch that restarts while a packet waits for its next hop no longer knows where in the pipeline the packet was.

use crate::bed::{Bed, NETWORK, claim, udp};
use kiln_testkit::figures::Figures;
use kiln_testkit::{Component, Database, wait_for};

/// Packets to these UDP ports have come to the stations.
fn arrived(bed: &Bed) -> Vec<u16> {
    let frames = bed.frames("q1");
    [9001, 9002, 9003].into_iter().filter(|port| frames.iter().any(|frame| frame.is_udp_to(*port))).collect()
}

/// How many flows the switch has.
fn flows(bed: &Bed) -> usize {
    bed.lab.ofctl(&bed.chassis, "dump-flows BR").lines().filter(|line| line.contains("actions=")).count()
}

/// One packet waits while the switch restarts, another for another neighbour after that. Both neighbours answer then.
fn restart(whose: Component) -> Bed {
    let mut bed = Bed::start(whose, NETWORK, &["p1", "q1"], "");
    let standing = flows(&bed);
    bed.receive("p1", &[udp(1, "10.1.0.77", 9001)]);
    let asked = |bed: &Bed| bed.frames("q1").iter().any(|frame| frame.is_arp(1)).then_some(());
    wait_for("the first neighbour to be asked for", || asked(&bed));

    let serves = bed.lab.folder().join("c-run/br-int.mgmt");
    bed.lab.kill("c-switch");
    let _ = std::fs::remove_file(&serves);
    let server = bed.chassis.server.clone();
    bed.lab.start_switch("c", &server);
    wait_for("the switch to serve", || serves.exists().then_some(()));
    wait_for("the flows to be back", || (flows(&bed) == standing).then_some(()));
    wait_for("the first neighbour to be learned", || {
        bed.receive("q1", &[claim("02:00:00:00:00:77", "10.1.0.77")]);
        let rows = bed.lab.rows(&bed.south, Database::Southbound, "MAC_Binding");
        (rows.len() == 1).then_some(())
    });
    bed.receive("p1", &[udp(1, "10.1.0.78", 9002)]);
    wait_for("the second neighbour to be asked for", || asked(&bed));
    bed.receive("q1", &[claim("02:00:00:00:00:78", "10.1.0.78")]);
    wait_for("the packet that waited for it", || arrived(&bed).contains(&9002).then_some(()));
    bed.sync();
    bed.receive("p1", &[udp(1, "10.1.0.77", 9003)]);
    wait_for("a packet to the first", || arrived(&bed).contains(&9003).then_some(()));
    assert_eq!(arrived(&bed), [9002, 9003], "the switch has forgotten where the first packet was");
    bed
}

#[test]
fn costs_the_packet_that_waited_which_is_counted() {
    restart(Component::Stock);
    let bed = restart(Component::Kiln);
    let counters =
        ["packet_arp_held", "packet_arp_resumed", "packet_other_drop_stale"].map(|name| bed.counter(name));
    assert_eq!(counters, [2, 2, 1]);
    let shown = bed.lab.ask(&bed.chassis.controller, "coverage/show");
    assert!(shown.contains("packet_other_drop_stale"), "{shown}");
    // It had come in by the router's port.
    assert_eq!(bed.lab.ask(&bed.chassis.controller, "packet-drops/show").trim(), "r-in: other: stale=1");

    let mut figures = Figures::new(env!("CARGO_TARGET_TMPDIR"), "restarted_switch");
    figures.peer("ovn-controller", &bed.lab.version(Component::Stock, "ovn-controller")).packets += 3;
}
