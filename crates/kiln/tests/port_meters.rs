//! A port that floods is held back in the switch, before its packets stand in the queue that all ports share.

use kiln_testkit::figures::Figures;
use kiln_testkit::{Chassis, Component, Daemon, Database, Lab, wait_for};

const NETWORK: &str = "
ls-add sw0
lsp-add sw0 p1
lsp-set-addresses p1 '0a:00:00:00:00:01 10.0.0.11'
lsp-add sw0 p2
lsp-set-addresses p2 '0a:00:00:00:00:02 10.0.0.12'
lsp-add-router-port sw0 sw0-lr0 lr0-sw0
lr-add lr0
lrp-add lr0 lr0-sw0 0e:00:00:00:00:01 10.0.0.1/24
lsp-add-router-port sw1 sw1-lr0 lr0-sw1
lrp-add lr0 lr0-sw1 0e:00:00:00:01:01 10.0.1.1/24
";

/// A meter of two packets a second, which errors and unreachables share.
const CHASSIS: &str = "
set Open_vSwitch . external_ids:ovn-budget-error-port=1/1
set Open_vSwitch . external_ids:ovn-budget-unreachable-port=1/1
";

/// How many packets come in at once.
const FLOOD: usize = 100;

/// Has packets come in by a port whose time is over at the router.
fn send(lab: &Lab, switch: &Daemon, port: &str, last: u8, packets: usize) {
    let packet = format!(
        "'in_port(1),eth(src=0a:00:00:00:00:{last:02x},dst=0e:00:00:00:00:01),eth_type(0x0800),\
         ipv4(src=10.0.0.1{last},dst=10.0.1.9,proto=17,tos=0,ttl=1,frag=no),udp(src=1000,dst=2000)' "
    );
    lab.ask(switch, &format!("netdev-dummy/receive {port} {}", packet.repeat(packets)));
}

fn handed_up(lab: &Lab, chassis: &Chassis) -> usize {
    let text = lab.ask(&chassis.controller, "coverage/read-counter packet_icmp4_icmp6_received");
    text.trim().parse().unwrap_or(0)
}

/// Packets that meters of the switch dropped.
fn held_back(lab: &Lab, chassis: &Chassis) -> usize {
    let text = lab.ofctl(chassis, "meter-stats BR");
    let bands = text.lines().filter_map(|line| line.trim().strip_prefix("0: packet_count:"));
    bands.filter_map(|rest| rest.split_whitespace().next()?.parse::<usize>().ok()).sum()
}

#[test]
fn a_flood_stays_in_the_switch() {
    let mut lab = Lab::new(env!("CARGO_BIN_EXE_kiln"));
    let north = lab.serve("nb", Database::Northbound);
    let south = lab.serve("sb", Database::Southbound);
    lab.ctl_lines("ovn-nbctl", &north, "ls-add sw1");
    lab.ctl_lines("ovn-nbctl", &north, NETWORK);
    lab.northd("northd", Component::Kiln, &north, &south);
    let chassis = lab.chassis("kiln", Component::Kiln, "hv1", &south, CHASSIS);
    for port in ["p1", "p2"] {
        lab.plug(&chassis, port);
    }
    lab.ctl("ovn-nbctl", &north, "--wait=sb sync");
    lab.acknowledge_all(&north, &south, "hv1");
    let up = || lab.ctl("ovn-nbctl", &north, "lsp-get-up p2").contains("up").then_some(());
    wait_for("p2 to be up", up);
    lab.ctl("ovn-nbctl", &north, "--wait=sb sync");
    lab.acknowledge_all(&north, &south, "hv1");

    let switch = Daemon { name: "kiln-switch".into(), whose: Component::Stock };
    send(&lab, &switch, "p1", 1, FLOOD);
    wait_for("the meter to hold the flood back", || (held_back(&lab, &chassis) > FLOOD / 2).then_some(()));
    let of_flood =
        wait_for("some of it to be answered", || Some(handed_up(&lab, &chassis)).filter(|n| *n > 0));
    assert!(of_flood + held_back(&lab, &chassis) <= FLOOD, "what is held back is not handed up");

    // The other port has a meter of its own, and is served at once.
    let before = handed_up(&lab, &chassis);
    send(&lab, &switch, "p2", 2, 1);
    wait_for("the other port to be served", || (handed_up(&lab, &chassis) > before).then_some(()));
    let shown = lab.ask(&chassis.controller, "budget/show");
    let error = shown.lines().skip_while(|line| !line.starts_with("error:"));
    let lines: Vec<&str> = error.take(2).collect();
    assert!(lines[0].contains(" port=1/1") && lines[1].starts_with("  lr0-sw0: paid="), "{shown}");

    // What the meter dropped is told of, by port and by class.
    let dropped = held_back(&lab, &chassis);
    let line = format!("meters of ports:\n  p1: error={dropped}\n");
    wait_for("what the switch dropped to be told of", || {
        lab.ask(&chassis.controller, "budget/show").contains(line.trim_end()).then_some(())
    });
    let total = lab.ask(&chassis.controller, "coverage/read-counter budget_error_over_meter");
    assert_eq!(total.trim(), dropped.to_string());

    let mut figures = Figures::new(env!("CARGO_TARGET_TMPDIR"), "port_meters");
    let line = figures.peer("ovs-vswitchd", &lab.version(Component::Stock, "ovs-vswitchd"));
    line.packets += FLOOD + 1;
}
