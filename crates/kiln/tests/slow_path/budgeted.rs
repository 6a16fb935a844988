//! Budgets that the operator changes while the controller runs: at every level, for all chassis or for one.

use crate::bed::{Bed, Frame, NETWORK, R_IN};
use kiln_testkit::{Component, wait_for};

/// How many packets come in at once.
const MANY: usize = 20;
/// What a budget lets through at once, and a second.
const FEW: usize = 4;
/// The levels that a packet pays at.
const LEVELS: [&str; 4] = ["chassis", "router", "port", "source"];

fn set(bed: &Bed, key: &str, value: &str) {
    let line = format!("set Open_vSwitch . external_ids:ovn-budget-error-{key}={value}");
    bed.lab.ctl("ovs-vsctl", &bed.chassis.server, &line);
}

fn unset(bed: &Bed, key: &str) {
    let line = format!("remove Open_vSwitch . external_ids ovn-budget-error-{key}");
    bed.lab.ctl("ovs-vsctl", &bed.chassis.server, &line);
}

/// What `budget/show` says of errors: its limits first, then a line for each port.
fn shown(bed: &Bed) -> Vec<String> {
    let text = bed.lab.ask(&bed.chassis.controller, "budget/show");
    let mut lines = text.lines().skip_while(|line| !line.starts_with("error:"));
    let limits = lines.next().expect("the class is listed").to_owned();
    let ports = lines.take_while(|line| line.starts_with(' ')).map(str::to_owned);
    std::iter::once(limits).chain(ports).collect()
}

/// Waits until these limits are in force, the chassis' first.
#[track_caller]
fn in_force(bed: &Bed, limits: &str) {
    let expected = format!("error:{limits}");
    wait_for(&format!("`{expected}` to be in force"), || (shown(bed)[0] == expected).then_some(()));
}

/// A number of the line about the router's port, as `KEY=NUMBER`.
fn number(bed: &Bed, key: &str) -> usize {
    let lines = shown(bed);
    let line = lines.iter().find(|line| line.trim().starts_with("r-in:"));
    let mut words = line.into_iter().flat_map(|line| line.split_ascii_whitespace());
    let value = words.find_map(|word| word.strip_prefix(key)?.strip_prefix('='));
    value.map_or(0, |text| text.parse().expect("a number"))
}

/// UDP from `p1` whose time is over at the router.
fn expired() -> String {
    format!(
        "in_port(1),eth(src=0a:00:00:00:00:01,dst={R_IN}),eth_type(0x0800),\
         ipv4(src=10.0.0.11,dst=10.1.0.7,proto=17,tos=0,ttl=1,frag=no),udp(src=1000,dst=9001)"
    )
}

/// How many packets of the router's port were refused, at whatever level: who has had its share of what is another's is refused at its
/// own level.
fn refused(bed: &Bed) -> usize {
    LEVELS.iter().map(|level| number(bed, &format!("over_{level}"))).sum()
}

/// How many of [`MANY`] packets that have expired are told of, and how many are refused.
#[track_caller]
fn told(bed: &Bed) -> (usize, usize) {
    // Time exceeded.
    let is_error = |frame: &Frame| frame.hex(23, 1) == "01" && frame.hex(34, 1) == "0b";
    let errors = || bed.frames("p1").iter().filter(|frame| is_error(frame)).count();
    let before = (number(bed, "paid"), refused(bed), errors());
    bed.receive("p1", &vec![expired(); MANY]);
    let (paid, refused) = wait_for("all packets to be judged", || {
        let now = (number(bed, "paid") - before.0, refused(bed) - before.1);
        (now.0 + now.1 >= MANY).then_some(now)
    });
    wait_for("what was paid for to be told of", || (errors() - before.2 == paid).then_some(()));
    (paid, refused)
}

#[test]
fn limits_change_at_once_at_every_level() {
    let bed = Bed::start(Component::Kiln, NETWORK, &["p1", "q1"], "");
    in_force(&bed, " chassis=1000/1000 router=500/1000 port=200/400 source=50/100");
    assert_eq!(told(&bed), (MANY, 0), "ordinary traffic does not meet them");
    for level in LEVELS {
        set(&bed, level, "none");
    }
    in_force(&bed, " chassis=none router=none port=none source=none");
    for level in LEVELS {
        set(&bed, level, &format!("1/{FEW}"));
        let limits = LEVELS.map(|other| if other == level { format!("1/{FEW}") } else { "none".to_owned() });
        let [chassis, router, port, source] = limits;
        in_force(&bed, &format!(" chassis={chassis} router={router} port={port} source={source}"));
        let (paid, refused) = told(&bed);
        println!("{level}: {paid} paid for, {refused} refused");
        assert!((1..=FEW + 2).contains(&paid) && paid + refused == MANY, "{level}: {paid}, {refused}");
        set(&bed, level, "none");
        in_force(&bed, " chassis=none router=none port=none source=none");
        assert_eq!(told(&bed), (MANY, 0), "{level} has no limit any more");
    }
}

/// The meter that errors and unreachables share has as much as both limits say.
#[test]
fn the_meter_of_a_port_follows_its_limit() {
    let bed = Bed::start(Component::Kiln, NETWORK, &["p1", "q1"], "");
    assert_eq!(told(&bed), (MANY, 0));
    for class in ["error", "unreachable"] {
        let line = format!("set Open_vSwitch . external_ids:ovn-budget-{class}-port=1/2");
        bed.lab.ctl("ovs-vsctl", &bed.chassis.server, &line);
    }
    in_force(&bed, " chassis=1000/1000 router=500/1000 port=1/2 source=50/100");
    let meters = || bed.lab.ofctl(&bed.chassis, "dump-meters BR");
    wait_for("the meter to follow", || meters().contains("rate=2 burst_size=4").then_some(()));
    let before = number(&bed, "paid");
    bed.receive("p1", &vec![expired(); MANY]);
    let held_back = wait_for("what the meter dropped to be shown", || {
        let text = bed.lab.ask(&bed.chassis.controller, "budget/show");
        let line = text.lines().skip_while(|line| *line != "meters of ports:").nth(1)?;
        line.strip_prefix("  p1: error=")?.parse::<usize>().ok()
    });
    println!("{held_back} of {MANY} were held back, {} paid for", number(&bed, "paid") - before);
    assert!((MANY - 6..MANY).contains(&held_back), "{held_back}");
    wait_for("the rest to be paid for, or refused", || {
        (number(&bed, "paid") - before + refused(&bed) + held_back == MANY).then_some(())
    });
}

#[test]
fn keys_of_one_chassis_come_before_those_of_all() {
    let bed = Bed::start(Component::Kiln, NETWORK, &["p1", "q1"], "");
    let rest = " chassis=1000/1000 router=500/1000 port=200/400";
    set(&bed, "source-hv2", "3/3");
    set(&bed, "source", "7/9");
    in_force(&bed, &format!("{rest} source=7/9"));
    set(&bed, "source-hv1", "5/6");
    in_force(&bed, &format!("{rest} source=5/6"));
    unset(&bed, "source-hv1");
    in_force(&bed, &format!("{rest} source=7/9"));
    unset(&bed, "source");
    in_force(&bed, &format!("{rest} source=50/100"));
}

#[test]
fn what_is_not_understood_is_told_of_once_and_changes_nothing() {
    let bed = Bed::start(Component::Kiln, NETWORK, &["p1", "q1"], "");
    let log = || {
        let file = bed.lab.folder().join("c-controller.log");
        std::fs::read_to_string(file).expect("the controller has a log")
    };
    let named =
        |key: &str| log().lines().filter(|line| line.contains(&format!("ovn-budget-error-{key}:"))).count();
    let wrong = [("source", "lots"), ("port-hv1", "7"), ("router", "1/x"), ("chassis", "-1/5")];
    for (key, value) in wrong {
        set(&bed, key, value);
    }
    // The controller has read them when it has read what came after them.
    let line = "set Open_vSwitch . external_ids:ovn-budget-reset-source=3/4";
    bed.lab.ctl("ovs-vsctl", &bed.chassis.server, line);
    let read = |limits: &str| {
        let text = bed.lab.ask(&bed.chassis.controller, "budget/show");
        text.lines().any(|line| line.starts_with("reset:") && line.ends_with(limits)).then_some(())
    };
    wait_for("the other limit", || read(" source=3/4"));
    in_force(&bed, " chassis=1000/1000 router=500/1000 port=200/400 source=50/100");
    let line = "set Open_vSwitch . external_ids:ovn-budget-reset-source=5/6";
    bed.lab.ctl("ovs-vsctl", &bed.chassis.server, line);
    wait_for("the other limit to change", || read(" source=5/6"));
    bed.sync();
    for (key, value) in wrong {
        let key = key.trim_end_matches("-hv1");
        assert_eq!(named(key), 1, "{key} `{value}` is told of once:\n{}", log());
    }
    set(&bed, "source", "8/9");
    in_force(&bed, " chassis=1000/1000 router=500/1000 port=200/400 source=8/9");
}
