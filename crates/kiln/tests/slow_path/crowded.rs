//! Ports that send to very many addresses at which nobody is, beside one that sends to a neighbour.

use crate::bed::{Bed, R_OUT};
use kiln_testkit::{Component, wait_for};
use std::fmt::Write as _;

/// Ports that flood, each behind a router port of its own, as is the one that does not.
const FLOODING: [&str; 4] = ["f1", "f2", "f3", "f4"];
const MODEST: &str = "m";
/// To how many addresses each of them sends.
const ADDRESSES: usize = 5000;

fn network() -> String {
    let mut lines = format!(
        "lr-add r\nset Logical_Router r options:icmp_unreachable=true\nlrp-add r r-out {R_OUT} 10.1.0.1/16\nls-add out\n\
         lsp-add-router-port out out-r r-out\nlsp-add out q1\nlsp-set-addresses q1 unknown\n"
    );
    for (n, port) in FLOODING.iter().chain([&MODEST]).enumerate() {
        let n = n + 1;
        let _ = write!(
            lines,
            "lrp-add r r-{port} 0e:00:00:00:01:{n:02x} 10.0.{n}.1/24\nls-add s-{port}\n\
             lsp-add-router-port s-{port} s-{port}-r r-{port}\nlsp-add s-{port} {port}\n\
             lsp-set-addresses {port} '0a:00:00:00:01:{n:02x} 10.0.{n}.11'\n"
        );
    }
    lines
}

/// UDP from the port of that number, of which there are as many sources as there are packets.
fn udp(port: usize, source: usize, to: &str) -> String {
    format!(
        "in_port(1),eth(src=0a:00:00:00:01:{port:02x},dst=0e:00:00:00:01:{port:02x}),eth_type(0x0800),\
         ipv4(src=10.0.{port}.{source},dst={to},proto=17,tos=0,ttl=64,frag=no),udp(src=1000,dst=9001)"
    )
}

#[test]
fn a_modest_port_resolves_its_neighbour() {
    let ports: Vec<&str> = FLOODING.into_iter().chain(["m", "q1"]).collect();
    let bed = Bed::start(Component::Kiln, &network(), &ports, "");
    let mut sent = 0;
    let mut flood = || {
        for (n, port) in FLOODING.iter().enumerate() {
            let packets = (sent..sent + 200).map(|at| at % ADDRESSES);
            let to = |at: usize| format!("10.1.{}.{}", 10 + at / 250, 1 + at % 250);
            let packets: Vec<String> =
                packets.map(|at| udp(n + 1, 2 + at % 200, &to(at + n * ADDRESSES))).collect();
            bed.receive(port, &packets);
        }
        sent += 200;
    };
    wait_for("as many next hops to be asked for as may", || {
        flood();
        (bed.counter("packet_arp_drop_next_hops_full") > 0).then_some(())
    });
    // One packet, which nobody repeats.
    bed.receive(MODEST, &[udp(FLOODING.len() + 1, 11, "10.1.250.1")]);
    let asks = |ip: &str| bed.frames("q1").iter().any(|frame| frame.is_arp(1) && frame.hex(38, 4) == ip);
    wait_for("its neighbour to be asked for", || {
        flood();
        asks("0a01fa01").then_some(())
    });
    bed.receive("q1", &[crate::bed::claim("02:00:00:00:00:fa", "10.1.250.1")]);
    wait_for("the packet to go on", || {
        flood();
        let frames = bed.frames("q1");
        frames.iter().any(|frame| frame.is_udp_to(9001) && frame.hex(30, 4) == "0a01fa01").then_some(())
    });
}
