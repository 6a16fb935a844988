//! What the daemons answer to `ovn-appctl`: in stock's words in the same state, and with another answer once the state is
//! another.

mod deployed;

use deployed::{Deployment, SYSTEM, sorted};
use kiln_testkit::figures::Figures;
use kiln_testkit::{Component, Daemon, Database, wait_for};

const NETWORK: &str = include_str!("networks/two-routers.nbctl");
const HERE: &[&str] = &["p1", "q1"];

/// Both deployments, and what was compared.
struct Both {
    pair: [Deployment; 2],
    figures: Figures,
}

/// Which daemon is asked.
type Who = fn(&Deployment) -> &Daemon;

const NORTHD: Who = |on| &on.northd;
const CONTROLLER: Who = |on| &on.chassis.controller;

impl Both {
    #[track_caller]
    fn start(test: &str) -> Both {
        let pair = Deployment::both(NETWORK, HERE, &[]);
        Both { pair, figures: Figures::new(env!("CARGO_TARGET_TMPDIR"), test) }
    }

    fn count(&mut self, answers: usize) {
        let version = self.pair[0].lab.version(Component::Stock, "ovn-appctl");
        self.figures.peer("ovn-appctl", &version).answers += answers;
    }

    /// Both answer the same, whatever the order of lines.
    #[track_caller]
    fn same(&mut self, who: Who, line: &str) -> String {
        self.alike(who, line, sorted)
    }

    /// Both answer the same once `form` has taken away what cannot be.
    #[track_caller]
    fn alike(&mut self, who: Who, line: &str, form: impl Fn(&str) -> String) -> String {
        let [stock, kiln] = self.pair.each_ref().map(|on| {
            let (accepted, text) = on.lab.ask_either(who(on), line);
            format!("{}{}", if accepted { "" } else { "refused: " }, form(&text))
        });
        assert_eq!(kiln, stock, "{line}");
        self.count(1);
        kiln
    }

    /// Waits until both answer the same and `holds` is true of it.
    #[track_caller]
    fn becomes(&mut self, who: Who, line: &str, holds: impl Fn(&str) -> bool) -> String {
        for on in &self.pair {
            wait_for(&format!("{line} of {:?} to change", who(on).whose), || {
                holds(&sorted(&on.lab.ask(who(on), line))).then_some(())
            });
        }
        self.same(who, line)
    }

    /// Does something to both.
    fn each(&mut self, mut what: impl FnMut(&mut Deployment)) {
        self.pair.iter_mut().for_each(&mut what);
    }
}

/// Numbers say nothing.
fn without_numbers(text: &str) -> String {
    let mut out = String::new();
    for letter in text.chars() {
        match letter {
            '0'..='9' if out.ends_with('#') => {}
            '0'..='9' => out.push('#'),
            _ => out.push(letter),
        }
    }
    out
}

/// The shapes of lines, each once: numbers and names say nothing.
fn shapes(text: &str) -> String {
    let shape = |line: &str| match line.split_once(": ") {
        Some(("Node", _)) => "Node: NAME".to_owned(),
        _ => without_numbers(&line.split_whitespace().collect::<Vec<_>>().join(" ")),
    };
    let mut lines: Vec<String> = text.lines().map(shape).collect();
    lines.sort();
    lines.dedup();
    lines.join("\n")
}

/// Commands that stock does not have.
const OWN: &[&str] = &["budget/show", "mac-binding/show", "packet-drops/show"];

/// What both daemons have in common.
fn common(both: &mut Both, who: Who, module: &str) {
    let names = |text: &str| -> Vec<String> {
        text.lines().skip(1).filter_map(|line| line.split_whitespace().next().map(str::to_owned)).collect()
    };
    let [stock, kiln] = both.pair.each_ref().map(|on| names(&on.lab.ask(who(on), "list-commands")));
    let missing: Vec<&String> =
        stock.iter().filter(|name| !kiln.contains(name) && !NOT_SERVED.contains(&name.as_str())).collect();
    assert!(missing.is_empty(), "stock serves {missing:?}");
    let served: Vec<&&str> = NOT_SERVED.iter().filter(|name| kiln.iter().any(|own| own == **name)).collect();
    assert!(served.is_empty(), "these are served now: {served:?}");
    let unknown: Vec<&String> =
        kiln.iter().filter(|name| !stock.contains(name) && !OWN.contains(&name.as_str())).collect();
    assert!(unknown.is_empty(), "stock does not serve {unknown:?}");
    both.count(kiln.len());

    // Two lines: the program with its version, the library with its version.
    let form = |text: &str| {
        let first = |line: &str| line.split_whitespace().next().unwrap_or_default().to_owned();
        text.lines().map(first).collect::<Vec<_>>().join(" ")
    };
    both.alike(who, "version", form);
    both.same(who, "no-such-command");
    both.same(who, "vlog/set no-such-module:dbg");
    both.same(who, "vlog/list-pattern");
    let level = format!("vlog/set {module}:file:dbg");
    let of_module = |text: &str| {
        let line = text.lines().find(|line| line.starts_with(&format!("{module} "))).unwrap_or_default();
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let before = both.alike(who, "vlog/list", of_module);
    both.same(who, &level);
    let after = both.alike(who, "vlog/list", of_module);
    assert!(before.ends_with("INFO") && after.ends_with("DBG"), "{before} then {after}");
    both.same(who, &format!("vlog/set {module}:file:info"));
    both.same(who, "vlog/set");
    both.same(who, "vlog/set info");
    both.same(who, "vlog/disable-rate-limit");
    both.same(who, "vlog/enable-rate-limit");
    both.same(who, "vlog/enable-rate-limit no-such-module");
    both.same(who, "vlog/close");
    both.same(who, "vlog/reopen");

    both.same(who, "coverage/read-counter");
    both.same(who, "coverage/read-counter no-such-counter");
    both.alike(who, "coverage/read-counter unixctl_received", without_numbers);
    for on in &both.pair {
        let read =
            || on.lab.ask(who(on), "coverage/read-counter unixctl_received").trim().parse::<u64>().ok();
        let (first, second) = (read(), read());
        assert!(second > first, "{first:?} then {second:?}");
        let all = on.lab.ask(who(on), "coverage/show");
        let line = all.lines().find(|line| line.starts_with("unixctl_received")).unwrap_or_default();
        assert!(line.contains("/sec") && line.contains("total: "), "{all}");
    }
    both.count(4);
    both.alike(who, "memory/show", |text| {
        let is_pair =
            |word: &str| word.rsplit_once(':').is_some_and(|(_, count)| count.parse::<u64>().is_ok());
        let words: Vec<&str> = text.split_whitespace().collect();
        format!("{} {}", !words.is_empty(), words.iter().all(|word| is_pair(word)))
    });

    both.alike(who, "inc-engine/show-stats", shapes);
    both.same(who, "inc-engine/show-stats no-such-node");
    both.same(who, "inc-engine/clear-stats");
    let idle =
        |text: &str| text.lines().filter(|line| line.starts_with('-')).all(|line| line.ends_with(" 0"));
    for on in &both.pair {
        // Stock counts every look that its loop takes, also those that the command itself leads to.
        let cleared = on.lab.ask(who(on), "inc-engine/show-stats");
        assert!(on.chassis.controller.whose == Component::Stock || idle(&cleared), "{cleared}");
    }
    both.same(who, "inc-engine/recompute");
    for on in &both.pair {
        wait_for("something to have been computed", || {
            (!idle(&on.lab.ask(who(on), "inc-engine/show-stats"))).then_some(())
        });
    }
    both.same(who, "inc-engine/compute-log-timeout 5000");
    both.same(who, "inc-engine/compute-log-timeout soon");
    both.count(4);
}

/// Commands of stock that tune or show what Kiln has not.
const NOT_SERVED: &[&str] = &[
    "debug/enable-timewarp",
    "evpn/remote-vtep-list",
    "evpn/vtep-arp-list",
    "evpn/vtep-binding-list",
    "evpn/vtep-fdb-list",
    "evpn/vtep-multicast-group-list",
    "inc-engine/list-stopwatches",
];

#[test]
fn northd() {
    let mut both = Both::start("commands_northd");
    common(&mut both, NORTHD, "northd");

    assert_eq!(both.same(NORTHD, "status"), "Status: active");
    assert_eq!(both.same(NORTHD, "is-paused"), "false");
    both.same(NORTHD, "pause");
    assert_eq!(both.same(NORTHD, "is-paused"), "true");
    assert_eq!(both.same(NORTHD, "status"), "Status: paused");
    both.same(NORTHD, "sb-connection-status");
    both.each(|on| drop(on.lab.ctl("ovn-nbctl", &on.north, "ls-add later")));
    both.same(NORTHD, "resume");
    both.becomes(NORTHD, "status", |text| text == "Status: active");
    both.each(|on| drop(on.lab.ctl("ovn-nbctl", &on.north, "--wait=sb sync")));

    assert_eq!(both.same(NORTHD, "parallel-build/get-n-threads"), "1");
    both.same(NORTHD, "parallel-build/set-n-threads 2");
    assert_eq!(both.same(NORTHD, "parallel-build/get-n-threads"), "2");
    both.same(NORTHD, "parallel-build/set-n-threads 0");
    both.same(NORTHD, "parallel-build/set-n-threads");

    // A chassis that only stands in the database announces nothing.
    assert!(both.same(NORTHD, "debug/chassis-features-list").contains("ct_state_save: true"));
    both.each(|on| drop(on.lab.ctl("ovn-sbctl", &on.south, "chassis-add hv2 geneve 127.0.0.2")));
    both.becomes(NORTHD, "debug/chassis-features-list", |text| text.contains("ct_state_save: false"));

    for (command, nb) in [("nb-connection-status", true), ("sb-connection-status", false)] {
        assert_eq!(both.same(NORTHD, command), "connected");
        let server = |on: &Deployment| if nb { on.north.clone() } else { on.south.clone() };
        both.each(|on| on.lab.kill(if nb { "nb" } else { "sb" }));
        both.becomes(NORTHD, command, |text| text == "not connected");
        both.each(|on| on.lab.serve_again(&server(on)));
        both.becomes(NORTHD, command, |text| text == "connected");
    }
    for command in ["nb-cluster-state-reset", "sb-cluster-state-reset"] {
        both.same(NORTHD, command);
        both.becomes(NORTHD, &command.replace("cluster-state-reset", "connection-status"), |text| {
            text == "connected"
        });
    }
    both.becomes(NORTHD, "status", |text| text == "Status: active");

    // A second one stands by, and takes over when the first goes.
    let mut second = Vec::new();
    both.each(|on| {
        let (north, south) = (on.north.clone(), on.south.clone());
        second.push(on.lab.northd("northd-2", on.northd.whose, &north, &south));
    });
    for (on, daemon) in both.pair.iter().zip(&second) {
        wait_for("the second northd to stand by", || {
            (on.lab.ask(daemon, "status").trim() == "Status: standby").then_some(())
        });
    }
    both.same(NORTHD, "exit");
    both.each(|on| on.lab.wait_gone("northd"));
    for (on, daemon) in both.pair.iter().zip(&second) {
        wait_for("the second northd to take over", || {
            (on.lab.ask(daemon, "status").trim() == "Status: active").then_some(())
        });
    }
    both.count(4);
}

#[test]
fn controller() {
    let mut both = Both::start("commands_controller");
    common(&mut both, CONTROLLER, "ofctrl");

    // What is listed before and after a port is plugged into the chassis.
    let zones = |text: &str| {
        let name = |line: &str| line.rsplit_once(' ').map(|(name, _)| name.to_owned());
        let mut names: Vec<String> = text.lines().filter_map(name).collect();
        names.sort();
        names.join("\n")
    };
    const DUMPS: &[&str] = &[
        "debug/dump-local-bindings",
        "debug/dump-related-ports",
        "debug/dump-local-datapaths",
        "debug/dump-peer-ports",
        "debug/dump-local-template-vars",
        "meter-table-list",
    ];
    let before: Vec<String> = DUMPS.iter().map(|line| both.same(CONTROLLER, line)).collect();
    let zones_before = both.alike(CONTROLLER, "ct-zone-list", zones);
    both.each(|on| on.lab.plug(&on.chassis, "p3"));
    both.becomes(CONTROLLER, "debug/dump-local-bindings", |text| text.contains("primary lport : [p3]"));
    both.becomes(CONTROLLER, "debug/dump-related-ports", |text| text.contains("p3"));
    let after: Vec<String> = DUMPS.iter().map(|line| both.same(CONTROLLER, line)).collect();
    assert_ne!(before[..2], after[..2]);
    let zones_after = both.alike(CONTROLLER, "ct-zone-list", zones);
    assert!(!zones_before.contains("p3") && zones_after.contains("p3"), "{zones_after}");

    both.each(|on| {
        on.lab.ctl("ovn-nbctl", &on.north, "create Chassis_Template_Var chassis=hv1 variables:vip=10.0.0.9");
        on.lab.ctl("ovn-nbctl", &on.north, "create Chassis_Template_Var chassis=hv2 variables:vip=10.0.0.8");
    });
    let vars = both.becomes(CONTROLLER, "debug/dump-local-template-vars", |text| text.contains("vip"));
    assert!(vars.contains("10.0.0.9") && !vars.contains("10.0.0.8"), "{vars}");
    // They stay: stock's controller does not survive that a chassis' last variable goes.

    // Groups: their number, and that each line ends with an id. Stock writes the buckets in an older notation.
    let groups = |text: &str| {
        let is_group = |line: &&str| {
            line.starts_with("type=select,")
                && line.rsplit_once(": ").is_some_and(|(_, id)| id.parse::<u32>().is_ok())
        };
        format!("{} of {}", text.lines().filter(is_group).count(), text.lines().count())
    };
    assert_eq!(both.alike(CONTROLLER, "group-table-list", groups), "2 of 2");
    both.each(|on| {
        let more = "--ecmp lr-route-add lr1 10.60.0.0/16 172.16.0.1\n--ecmp lr-route-add lr1 10.60.0.0/16 172.16.0.3\n\
                    --ecmp lr-route-add lr1 10.60.0.0/16 172.16.0.0";
        on.lab.ctl_lines("ovn-nbctl", &on.north, more);
    });
    for on in &both.pair {
        wait_for("a third group", || {
            (groups(&on.lab.ask(&on.chassis.controller, "group-table-list")) == "3 of 3").then_some(())
        });
    }
    both.count(1);

    both.same(CONTROLLER, "debug/delay-nb-cfg-report 3");
    both.same(CONTROLLER, "debug/delay-nb-cfg-report 0");
    both.same(CONTROLLER, "debug/delay-nb-cfg-report soon");
    both.same(CONTROLLER, "debug/delay-nb-cfg-report");
    both.same(CONTROLLER, "recompute");
    both.same(CONTROLLER, "lflow-cache/flush");
    both.alike(CONTROLLER, "lflow-cache/show-stats", |text| without_numbers(text).replace("false", "true"));
    both.same(CONTROLLER, "debug/dump-mac-bindings x");

    // A controller that is paused takes no new port.
    assert_eq!(both.same(CONTROLLER, "debug/status"), "running");
    both.same(CONTROLLER, "debug/pause");
    assert_eq!(both.same(CONTROLLER, "debug/status"), "paused");
    both.each(|on| on.lab.plug(&on.chassis, "loc"));
    both.same(CONTROLLER, "debug/resume");
    assert_eq!(both.same(CONTROLLER, "debug/status"), "running");
    both.becomes(CONTROLLER, "debug/dump-local-bindings", |text| text.contains("localport lport : [loc]"));

    assert_eq!(both.same(CONTROLLER, "connection-status"), "connected");
    both.each(|on| on.lab.kill("sb"));
    both.becomes(CONTROLLER, "connection-status", |text| text == "not connected");
    both.each(|on| on.lab.serve_again(&on.south.clone()));
    both.becomes(CONTROLLER, "connection-status", |text| text == "connected");
    both.same(CONTROLLER, "sb-cluster-state-reset");
    both.becomes(CONTROLLER, "connection-status", |text| text == "connected");

    // With --restart the chassis stays registered, without it goes.
    let registered = |on: &Deployment| {
        let rows = on.lab.rows(&on.south, Database::Southbound, "Chassis");
        rows.iter().any(|row| row["name"] == SYSTEM)
    };
    both.same(CONTROLLER, "exit --restart");
    both.each(|on| {
        on.lab.wait_gone("c-controller");
        assert!(registered(on));
        on.chassis.controller =
            on.lab.start_controller("c-controller", on.northd.whose, &on.chassis.server.clone());
    });
    both.becomes(CONTROLLER, "connection-status", |text| text == "connected");
    both.becomes(CONTROLLER, "debug/dump-local-bindings", |text| text.contains("primary lport : [p1]"));
    both.same(CONTROLLER, "exit");
    both.each(|on| {
        on.lab.wait_gone("c-controller");
        assert!(!registered(on));
    });
    both.count(2);
}
