//! Every key of `Open_vSwitch.external_ids` that ovn-controller(8) names, changed while controllers run: what changes in the
//! databases, in the flows and in what else can be seen is what stock's changes. Tunnels also follow SB_Global and other chassis.

#![allow(clippy::disallowed_methods, reason = "tests look at files")]

mod seen;

use kiln_testkit::accepted::{compare, faults};
use kiln_testkit::figures::Figures;
use kiln_testkit::{Chassis, Component, Database, Lab, Server, settled, wait_for};
use seen::Seen;
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::process::{Command, Stdio};

const SYSTEM: &str = "hv1";

/// Keys that are set from the start, beside those of every lab.
const BASE: &[(&str, &str)] = &[("ovn-bridge-mappings", "phys:br-phys")];
/// What every lab sets.
const USUAL: &[(&str, &str)] =
    &[("hostname", SYSTEM), ("ovn-encap-type", "geneve"), ("ovn-encap-ip", "127.0.0.1")];

/// Others: one that knows Geneve alone, one that knows VXLAN alone, one that knows both, one of a zone.
const OTHERS: &str = "
    chassis-add hv2 geneve 127.0.0.2
    chassis-add hv3 vxlan 127.0.0.3
    chassis-add hv4 geneve,vxlan 127.0.0.4
    chassis-add hv5 geneve 127.0.0.5
    set Chassis hv5 transport_zones=z1
";

/// How a key is tried.
enum Try {
    /// It takes one value, then another that counts for this chassis alone, and both show in databases or flows. What is set
    /// before comes first.
    Shows(&'static [(&'static str, &'static str)], &'static str, &'static str),
    /// The same, but for lines that have all of these words, in which stock differs.
    ShowsBut(&'static [&'static str], &'static [(&'static str, &'static str)], &'static str, &'static str),
    /// It tunes what cannot be seen here: nothing changes.
    Silent(&'static str),
    /// What it does takes more to be seen: a test of its own.
    Apart(#[expect(dead_code, reason = "named so that it does not go without its line here")] fn()),
}

use Try::{Apart, Shows, ShowsBut, Silent};

/// Stock makes ports and flows for EVPN, which Kiln does not do.
const EVPN: &[&str] = &["evpn"];
/// Stock keeps the conntrack zone of a port whose network has gone until it starts anew.
const ZONES: &[&str] = &["Bridge ", "name=br-int"];
/// Copies for several chassis leave by any of this chassis' addresses with stock, and by the usual one with Kiln.
const COPIES: &[&str] = &["table=44 ", "reg15=0x8"];

/// Every key.
const KEYS: &[(&str, Try)] = &[
    ("system-id", Apart(system_id)),
    ("hostname", Shows(&[], "host-a", "host-b")),
    ("ovn-bridge", Apart(bridge)),
    ("ovn-bridge-datapath-type", Apart(bridge_datapath_type)),
    ("ovn-remote", Apart(remote)),
    ("ovn-monitor-all", Shows(&[], "true", "false")),
    ("ovn-remote-probe-interval", Apart(remote_probe_interval)),
    ("ovn-encap-type", Shows(&[], "vxlan", "geneve,vxlan")),
    ("ovn-encap-ip", ShowsBut(COPIES, &[], "127.0.0.9", "127.0.0.1,127.0.0.8")),
    (
        "ovn-encap-ip-default",
        ShowsBut(COPIES, &[("ovn-encap-ip", "127.0.0.1,127.0.0.8")], "127.0.0.8", "127.0.0.1"),
    ),
    ("ovn-encap-df_default", Shows(&[], "true", "false")),
    ("ovn-enable-flow-based-tunnels", Apart(flow_based_tunnels)),
    ("ovn-bridge-mappings", ShowsBut(ZONES, &[], "other:br-phys", "phys:br-other")),
    ("ovn-encap-csum", Shows(&[], "false", "true")),
    ("ovn-encap-tos", Shows(&[], "inherit", "5")),
    ("ovn-cms-options", Shows(&[], "a,b:c", "enable-chassis-as-gw")),
    ("ovn-transport-zones", Shows(&[], "z1", "z2")),
    ("ovn-chassis-mac-mappings", Shows(&[], "phys:aa:bb:cc:dd:ee:01", "phys:aa:bb:cc:dd:ee:02")),
    ("ovn-is-interconn", Shows(&[], "true", "false")),
    ("ovn-match-northd-version", Apart(northd_version)),
    ("ovn-enable-lflow-cache", Shows(&[], "false", "true")),
    ("ovn-limit-lflow-cache", Shows(&[], "7", "8")),
    ("ovn-memlimit-lflow-cache-kb", Shows(&[], "7000", "8000")),
    ("ovn-trim-limit-lflow-cache", Shows(&[], "7", "8")),
    ("ovn-trim-wmark-perc-lflow-cache", Shows(&[], "70", "80")),
    ("ovn-trim-timeout-ms", Shows(&[], "7000", "8000")),
    ("garp-max-timeout-sec", Silent("16")),
    ("arp-nd-max-timeout-sec", Silent("16")),
    ("ovn-bridge-remote", Apart(bridge_remote)),
    ("ovn-bridge-remote-probe-interval", Apart(bridge_remote_probe_interval)),
    ("dynamic-routing-port-mapping", Silent("p1=eth0")),
    ("ovn-cleanup-on-exit", Apart(cleanup_on_exit)),
    ("ovn-evpn-vxlan-ports", ShowsBut(EVPN, &[], "4789", "4790")),
    ("ovn-evpn-local-ip", ShowsBut(EVPN, &[], "192.0.2.1", "192.0.2.2")),
    ("ct-zone-range", Apart(zone_range)),
    ("ovn-managed-flow-restore-wait", Apart(managed_flow_restore_wait)),
];

/// The keys that the manual page of the installed release names: those of its section on configuration, and those that it says
/// are in table Open_vSwitch.
fn documented() -> Option<BTreeSet<String>> {
    let root =
        std::env::var_os("KILN_PEERS").map_or_else(|| "/opt/kiln-peers/sid".into(), std::path::PathBuf::from);
    let page = std::fs::File::open(root.join("usr/share/man/man8/ovn-controller.8.gz")).ok()?;
    let mut gzip =
        Command::new("gzip").arg("-dc").stdin(page).stdout(Stdio::piped()).spawn().expect("gzip runs");
    let mut text = String::new();
    gzip.stdout.take().expect("a pipe").read_to_string(&mut text).expect("the page is text");
    assert!(gzip.wait().expect("gzip ends").success());
    let mut keys = BTreeSet::new();
    let mut section = "";
    for line in text.lines() {
        if let Some(title) = line.strip_prefix(".SH ") {
            section = title;
        }
        let Some(rest) = line.strip_prefix(r"\fBexternal_ids:") else { continue };
        let Some((key, rest)) = rest.split_once(r"\fR") else { continue };
        let is_setting = section.contains("CONFIGURATION") && rest.is_empty();
        if is_setting || rest.contains(r"\fBOpen_vSwitch\fR table") {
            keys.insert(key.replace(r"\-", "-"));
        }
    }
    Some(keys)
}

#[test]
fn every_key_of_the_manual_page_is_tried() {
    let tried: BTreeSet<String> = KEYS.iter().map(|(key, _)| (*key).to_owned()).collect();
    assert_eq!(tried.len(), KEYS.len(), "a key stands twice");
    let Some(documented) = documented() else {
        println!("the manual page is not installed");
        return;
    };
    assert!(documented.len() > 30, "{documented:?}");
    assert_eq!(tried, documented);
}

/// One southbound database under each controller, each with a switch of its own.
struct Both {
    lab: Lab,
    sides: [(Chassis, Server); 2],
    sync: i64,
}

impl Both {
    #[track_caller]
    fn start() -> Both {
        let mut lab = Lab::new(env!("CARGO_BIN_EXE_kiln"));
        let north = lab.serve("nb", Database::Northbound);
        lab.ctl_lines("ovn-nbctl", &north, include_str!("networks/two-routers.nbctl"));
        let written = lab.serve("sb", Database::Southbound);
        lab.northd("northd", Component::Stock, &north, &written);
        lab.ctl("ovn-nbctl", &north, "--wait=sb sync");
        lab.kill("northd");
        lab.ctl_lines("ovn-sbctl", &written, OTHERS);
        lab.ctl("ovn-sbctl", &written, "lsp-bind p2 hv2");
        let base: Vec<String> =
            BASE.iter().map(|(key, value)| format!("external_ids:{key}=\"{value}\"")).collect();
        let lines = format!("set Open_vSwitch . {}\nadd-br br-phys\nadd-br br-other", base.join(" "));
        let sides = [("stock", Component::Stock), ("kiln", Component::Kiln)].map(|(name, whose)| {
            let south = lab.serve_copy(&format!("sb-{name}"), &written);
            let chassis = lab.chassis(name, whose, SYSTEM, &south, &lines);
            for port in ["p1", "q1"] {
                lab.plug(&chassis, port);
            }
            (chassis, south)
        });
        let mut both = Both { lab, sides, sync: 1 };
        both.acknowledge();
        both
    }

    /// Waits until both have installed what stands in the database.
    #[track_caller]
    fn acknowledge(&mut self) {
        self.sync += 1;
        for (chassis, south) in &self.sides {
            self.lab.acknowledge(south, SYSTEM, self.sync);
            // Stock may leave a port's zone out of its flows until it computes all of them anew.
            self.lab.ask(&chassis.controller, "inc-engine/recompute");
        }
    }

    /// The same commands of `ovs-vsctl` for both.
    #[track_caller]
    fn configure(&self, lines: &str) {
        for (chassis, _) in &self.sides {
            self.lab.ctl_lines("ovs-vsctl", &chassis.server, lines);
        }
    }

    fn set(&self, key: &str, value: &str) {
        self.configure(&format!("set Open_vSwitch . 'external_ids:{key}=\"{value}\"'"));
    }

    /// Sets a key to what it was at first.
    fn reset(&self, key: &str) {
        match BASE.iter().chain(USUAL).find(|(base, _)| *base == key) {
            Some((_, value)) => self.set(key, value),
            None => self.configure(&format!("remove Open_vSwitch . external_ids {key}")),
        }
    }

    fn look(&self) -> [Seen; 2] {
        self.sides.each_ref().map(|(chassis, south)| {
            Seen::look(&self.lab, chassis, south).with_tunnels_named(&self.lab, chassis)
        })
    }

    /// Waits until `holds` is true of both.
    #[track_caller]
    fn wait(&self, what: &str, holds: impl Fn(&Lab, &Chassis, &Server) -> bool) {
        for (chassis, south) in &self.sides {
            wait_for(&format!("{what} ({:?})", chassis.controller.whose), || {
                holds(&self.lab, chassis, south).then_some(())
            });
        }
    }
}

/// Everything that is seen, without the row that tests write.
fn effects(seen: &Seen) -> BTreeSet<String> {
    let local = seen.local.iter().filter(|line| !line.starts_with("Open_vSwitch"));
    let parts = [&seen.tables.flows, &seen.tables.rest, &seen.south.rows];
    parts.into_iter().flatten().chain(local).cloned().collect()
}

/// What is seen without lines that have all of these words, if there are any.
fn without(mut seen: Seen, words: &[&str]) -> Seen {
    let has_all = |line: &String| !words.is_empty() && words.iter().all(|word| line.contains(word));
    for lines in [&mut seen.tables.flows, &mut seen.tables.rest, &mut seen.local] {
        lines.retain(|line| !has_all(line) || line.starts_with("Open_vSwitch"));
    }
    seen
}

/// Waits until both are alike and no longer as they were; stock's state.
#[track_caller]
fn changed(both: &Both, step: &str, before: &Seen, words: &[&str]) -> Seen {
    let look = || both.look().map(|seen| without(seen, words));
    let was = effects(before);
    let [stock, kiln] = settled(look, |stock, kiln| stock.is_like(kiln) && effects(stock) != was);
    for (part, stock, kiln) in stock.beside(&kiln) {
        let faults = faults(part, stock, kiln);
        assert!(faults.is_empty(), "{step}:\n{}", faults.join("\n"));
    }
    assert_ne!(effects(&stock), was, "{step} changes nothing");
    stock
}

/// Tries the keys that show, those whose place in the table leaves this remainder.
#[track_caller]
fn shown(remainder: usize) {
    let mut both = Both::start();
    // What no interface or chassis has stock mentions in flows that no packet meets.
    both.configure("add-port br-int loc\nset Interface loc external_ids:iface-id=loc");
    for (_, south) in &both.sides {
        both.lab.ctl("ovn-sbctl", south, "lsp-bind p3 hv2");
    }
    let mut figures = Figures::new(env!("CARGO_TARGET_TMPDIR"), &format!("parameters_{remainder}"));
    let version = both.lab.version(Component::Stock, "ovn-controller");
    let keys = KEYS.iter().enumerate().filter(|(at, _)| at % PARTS == remainder);
    for (key, how) in keys.map(|(_, entry)| entry) {
        let (words, first, value, own): (&[&str], _, _, _) = match how {
            Shows(first, value, own) => (&[], *first, *value, *own),
            ShowsBut(words, first, value, own) => (words, *first, *value, *own),
            Silent(value) => {
                silent(&mut both, key, value);
                continue;
            }
            Apart(_) => continue,
        };
        for (key, value) in first {
            both.set(key, value);
        }
        both.acknowledge();
        let look = |both: &Both| both.look().map(|seen| without(seen, words));
        let [before, kiln] = settled(|| look(&both), Seen::is_like);
        for (part, stock, kiln) in before.beside(&kiln) {
            let counted = compare(part, key, stock, kiln);
            let line = figures.peer("ovn-controller", &version);
            line.rows += counted;
        }
        both.set(key, value);
        let with_value = changed(&both, &format!("{key}={value}"), &before, words);
        let mine = format!("{key}-{SYSTEM}");
        both.set(&mine, own);
        let step = format!("{mine}={own} over {key}={value}");
        let with_own = changed(&both, &step, &with_value, words);
        both.configure(&format!("remove Open_vSwitch . external_ids {mine}"));
        let again = changed(&both, &format!("{key}={value} again"), &with_own, words);
        assert_eq!(effects(&again), effects(&with_value), "{key}={value} again");
        for (key, _) in first {
            both.reset(key);
        }
        both.reset(key);
        let [stock, kiln] = settled(|| look(&both), Seen::is_like);
        for (part, stock, kiln) in stock.beside(&kiln) {
            compare(part, &format!("the end of {key}"), stock, kiln);
        }
        println!("{key}: as stock");
    }
}

/// A key that changes nothing that can be seen, in neither.
#[track_caller]
fn silent(both: &mut Both, key: &str, value: &str) {
    let before = settled(|| both.look(), Seen::is_like).map(|seen| effects(&seen));
    both.set(key, value);
    both.acknowledge();
    let same = |stock: &Seen, kiln: &Seen| [effects(stock), effects(kiln)] == before;
    let after = settled(|| both.look(), same).map(|seen| effects(&seen));
    both.reset(key);
    for (before, after) in before.iter().zip(&after) {
        assert_eq!(after.symmetric_difference(before).collect::<Vec<_>>(), [""; 0], "{key}={value}");
    }
    println!("{key}: nothing to be seen, as with stock");
}

/// In how many tests the table is gone through, so that they can run side by side.
const PARTS: usize = 3;

#[test]
fn keys_that_show_1() {
    shown(0);
}

#[test]
fn keys_that_show_2() {
    shown(1);
}

#[test]
fn keys_that_show_3() {
    shown(2);
}

fn has_row(lab: &Lab, south: &Server, table: &str, name: &str) -> bool {
    lab.rows(south, Database::Southbound, table).iter().any(|row| row["name"] == name)
}

/// A port's column `chassis` is set.
fn is_bound(lab: &Lab, south: &Server, port: &str) -> bool {
    lab.rows(south, Database::Southbound, "Port_Binding")
        .iter()
        .any(|row| row["logical_port"] == port && row["chassis"][0] == "uuid")
}

/// Whether a daemon's log has a line with all of these.
fn logs(lab: &Lab, chassis: &Chassis, words: &[&str]) -> bool {
    let file = lab.folder().join(format!("{}.log", chassis.controller.name));
    let text = std::fs::read_to_string(file).unwrap_or_default();
    text.lines().any(|line| words.iter().all(|word| line.contains(word)))
}

/// Whether these interfaces are marked as installed, and columns `up` of the logical ports p1 and q1.
fn marks(lab: &Lab, chassis: &Chassis, south: &Server, interfaces: &[&str]) -> Vec<String> {
    let mark = |interface: &&str| {
        let line = format!("--if-exists get Interface {interface} external_ids:ovn-installed");
        format!("{interface}: {}", lab.ctl("ovs-vsctl", &chassis.server, &line).trim())
    };
    let rows = lab.rows(south, Database::Southbound, "Port_Binding");
    let rows = rows.iter().filter(|row| row["logical_port"] == "p1" || row["logical_port"] == "q1");
    let mut ups: Vec<String> = rows.map(|row| format!("{} up: {}", row["logical_port"], row["up"])).collect();
    ups.sort();
    interfaces.iter().map(mark).chain(ups).collect()
}

/// The name of a chassis is taken when a controller starts. One that ends leaves marks as stock does.
#[test]
fn system_id() {
    let mut both = Both::start();
    both.wait("ports to be up", |lab, chassis, south| {
        marks(lab, chassis, south, &["p1", "q1"]).iter().all(|line| line.contains("true"))
    });
    for (chassis, south) in both.sides.clone() {
        both.lab.ask(&chassis.controller, "exit");
        both.lab.wait_gone(&chassis.controller.name);
        assert!(!has_row(&both.lab, &south, "Chassis", SYSTEM));
        assert!(!is_bound(&both.lab, &south, "p1"));
        let marks = marks(&both.lab, &chassis, &south, &["p1", "q1"]);
        assert!(marks.iter().all(|line| line.contains("true")), "{:?}: {marks:?}", chassis.controller.whose);
        both.lab.ctl("ovs-vsctl", &chassis.server, "set Open_vSwitch . external_ids:system-id=hv9");
        both.lab.start_controller(&chassis.controller.name, chassis.controller.whose, &chassis.server);
    }
    both.wait("the new name", |lab, _, south| {
        has_row(lab, south, "Chassis", "hv9") && has_row(lab, south, "Chassis_Private", "hv9")
    });
    both.wait("the port to be bound again", |lab, _, south| is_bound(lab, south, "p1"));
}

/// Names of the ports of a bridge.
fn ports(lab: &Lab, chassis: &Chassis, bridge: &str) -> Vec<String> {
    let text = lab.ctl("ovs-vsctl", &chassis.server, &format!("list-ports {bridge}"));
    let mut ports: Vec<String> = text.lines().map(str::to_owned).collect();
    ports.sort();
    ports
}

/// How many flows a bridge has, and what of a controller stands in the switch's database.
fn on_bridge(lab: &Lab, chassis: &Chassis, bridge: &str) -> (usize, Vec<String>) {
    let socket = lab.folder().join(format!("{}-run/{bridge}.mgmt", chassis.name));
    let text = lab.stock("ovs-ofctl", &format!("-O OpenFlow15 --no-stats dump-flows {}", socket.display()));
    // Kiln's meters of ports have flows of their own, and what is learned of announced ports is no matter of settings: Kiln
    // announces IPv6 addresses too.
    let own = |line: &&str| {
        [66, 67, 79].into_iter().chain(240..=247).any(|table| line.contains(&format!("table={table},")))
    };
    let flows = text.lines().filter(|line| line.contains("priority=") && !own(line)).count();
    (flows, ports(lab, chassis, bridge))
}

/// Another integration bridge: tunnels, patch ports, bindings and flows go there, and what was on the old one is as stock leaves
/// it; then back.
#[test]
fn bridge() {
    let mut both = Both::start();
    let bridges = ["br-int", "br-two", "br-phys"];
    both.configure("add-br br-two\nset Bridge br-two fail_mode=secure\nadd-port br-two p1b\nset Interface p1b external_ids:iface-id=p1");
    both.acknowledge();
    let tunnels = |chassis: &Chassis, lab: &Lab| -> Vec<Vec<String>> {
        let on = |bridge: &&str| {
            ports(lab, chassis, bridge).into_iter().filter(|port| port.starts_with("ovn-")).collect()
        };
        bridges.iter().map(on).collect()
    };
    let look = |both: &Both| {
        let all =
            |(chassis, _): &(Chassis, Server)| bridges.map(|bridge| on_bridge(&both.lab, chassis, bridge));
        both.sides.each_ref().map(all)
    };
    let mut step = |what: &str, line: &str, here: usize| {
        let before = look(&both);
        both.configure(line);
        both.wait(what, |lab, chassis, _| {
            let tunnels = tunnels(chassis, lab);
            tunnels[here] == ["ovn-hv2-0", "ovn-hv4-0"] && tunnels[1 - here].is_empty()
        });
        both.acknowledge();
        let same = |stock: &[(usize, Vec<String>); 3], kiln: &[(usize, Vec<String>); 3]| {
            // There are never more flows than stock's.
            stock
                .iter()
                .zip(kiln)
                .all(|(stock, kiln)| stock.1 == kiln.1 && kiln.0 <= stock.0 && kiln.0 * 2 > stock.0)
        };
        let [stock, kiln] = settled(|| look(&both), same);
        assert!(same(&stock, &kiln), "{what}: stock {stock:#?} kiln {kiln:#?}");
        // What is on the bridge that is no longer looked at keeps its mark; that of the other one has it in the end.
        let marked = |both: &Both| {
            let marked =
                |(chassis, south): &(Chassis, Server)| marks(&both.lab, chassis, south, &["p1", "p1b", "q1"]);
            both.sides.each_ref().map(|side| marked(side)[..3].to_vec())
        };
        let [by_stock, by_kiln] = settled(|| marked(&both), |stock, kiln| stock == kiln);
        assert_eq!(by_kiln, by_stock, "{what}");
        let [old_before, old_after] = [before[1][1 - here].0, kiln[1 - here].0];
        assert_eq!(old_before, old_after, "{what}: flows of the old bridge");
    };
    step("tunnels on the other bridge", "set Open_vSwitch . external_ids:ovn-bridge=br-two", 1);
    step("tunnels back", "remove Open_vSwitch . external_ids ovn-bridge", 0);
    step("tunnels by the chassis' own key", "set Open_vSwitch . external_ids:ovn-bridge-hv1=br-two", 1);
}

/// Another kind of datapath, for which the switch makes the bridge anew; without the key it stays what it has become.
#[test]
fn bridge_datapath_type() {
    let mut both = Both::start();
    let steps = [
        ("set Open_vSwitch . external_ids:ovn-bridge-datapath-type=netdev", "netdev"),
        ("set Open_vSwitch . external_ids:ovn-bridge-datapath-type-hv1=system", "system"),
        ("remove Open_vSwitch . external_ids ovn-bridge-datapath-type-hv1", "netdev"),
        ("remove Open_vSwitch . external_ids ovn-bridge-datapath-type", "netdev"),
    ];
    for (line, expected) in steps {
        both.configure(line);
        both.wait(expected, |lab, chassis, south| {
            let kind = lab.ctl("ovs-vsctl", &chassis.server, "get Bridge br-int datapath_type");
            let rows = lab.rows(south, Database::Southbound, "Chassis");
            let own = rows.iter().find(|row| row["name"] == SYSTEM);
            let announced = format!("[\"datapath-type\",\"{expected}\"]");
            kind.trim() == expected
                && own.is_some_and(|row| row["other_config"].to_string().contains(&announced))
        });
        both.acknowledge();
        let counts =
            |both: &Both| both.sides.each_ref().map(|(chassis, _)| on_bridge(&both.lab, chassis, "br-int"));
        let same = |stock: &(usize, Vec<String>), kiln: &(usize, Vec<String>)| {
            stock.1 == kiln.1 && kiln.0 <= stock.0 && kiln.0 * 2 > stock.0
        };
        let [stock, kiln] = settled(|| counts(&both), same);
        assert!(same(&stock, &kiln), "{line}: stock {stock:?} kiln {kiln:?}");
    }
}

/// Another database; then what is no remote, and the first one again.
#[test]
fn remote() {
    let mut both = Both::start();
    let seconds: Vec<Server> = (0..2)
        .map(|at| {
            let south = both.sides[at].1.clone();
            both.lab.serve_copy(&format!("second-{at}"), &south)
        })
        .collect();
    for ((chassis, _), second) in both.sides.iter().zip(&seconds) {
        both.lab.ctl("ovn-sbctl", second, "chassis-del hv1");
        let line = format!("set Open_vSwitch . 'external_ids:ovn-remote=\"{}\"'", second.remote);
        both.lab.ctl("ovs-vsctl", &chassis.server, &line);
    }
    for (second, (chassis, _)) in seconds.iter().zip(&both.sides) {
        wait_for(&format!("the chassis in the second database ({:?})", chassis.controller.whose), || {
            (has_row(&both.lab, second, "Chassis", SYSTEM) && is_bound(&both.lab, second, "p1")).then_some(())
        });
    }
    let status = |expected: &'static str| {
        move |lab: &Lab, chassis: &Chassis, _: &Server| {
            lab.ask(&chassis.controller, "connection-status").trim() == expected
        }
    };
    for odd in ["garbage", "unix:nowhere.sock,garbage"] {
        both.set("ovn-remote", odd);
        both.wait(&format!("{odd} to be given up on"), status("not connected"));
    }
    for (chassis, south) in &both.sides {
        let line = format!("set Open_vSwitch . 'external_ids:ovn-remote-{SYSTEM}=\"{}\"'", south.remote);
        both.lab.ctl("ovs-vsctl", &chassis.server, &line);
    }
    both.wait("the first database again, by the chassis' own key", status("connected"));
    both.acknowledge();
    both.configure(&format!("remove Open_vSwitch . external_ids ovn-remote\nremove Open_vSwitch . external_ids ovn-remote-{SYSTEM}"));
    both.wait("no database", status("not connected"));
}

/// Stops a process of the lab from running, or lets it go on.
fn freeze(lab: &Lab, name: &str, stop: bool) {
    lab.signal(name, if stop { "STOP" } else { "CONT" });
}

#[test]
fn remote_probe_interval() {
    let both = Both::start();
    both.set("ovn-remote-probe-interval", "1000");
    both.set(&format!("ovn-remote-probe-interval-{SYSTEM}"), "1500");
    for name in ["sb-stock", "sb-kiln"] {
        freeze(&both.lab, name, true);
    }
    both.wait("a silent server to be given up", |lab, chassis, _| {
        lab.ask(&chassis.controller, "connection-status").trim() == "not connected"
    });
    for name in ["sb-stock", "sb-kiln"] {
        freeze(&both.lab, name, false);
    }
    both.wait("the server again", |lab, chassis, _| {
        lab.ask(&chassis.controller, "connection-status").trim() == "connected"
    });
}

#[test]
fn bridge_remote_probe_interval() {
    let mut both = Both::start();
    both.set("ovn-bridge-remote-probe-interval", "2000");
    both.acknowledge();
    for name in ["stock-switch", "kiln-switch"] {
        freeze(&both.lab, name, true);
    }
    both.wait("a silent switch to be given up", |lab, chassis, _| {
        logs(lab, chassis, &["br-int.mgmt", "inactivity probe"])
    });
    for name in ["stock-switch", "kiln-switch"] {
        freeze(&both.lab, name, false);
    }
    both.acknowledge();
}

/// The switch at another socket.
#[test]
fn bridge_remote() {
    let mut both = Both::start();
    for (chassis, _) in &both.sides {
        let run = both.lab.folder().join(format!("{}-run", chassis.name));
        std::os::unix::fs::symlink(run.join("br-int.mgmt"), run.join("other.mgmt")).expect("a link");
        let line = format!(
            "set Open_vSwitch . 'external_ids:ovn-bridge-remote=\"unix:{}/other.mgmt\"'",
            run.display()
        );
        both.lab.ctl("ovs-vsctl", &chassis.server, &line);
    }
    both.wait("the other socket", |lab, chassis, _| logs(lab, chassis, &["other.mgmt: connected"]));
    both.configure("add-port br-int p3\nset Interface p3 external_ids:iface-id=p3");
    both.wait("the port", |lab, _, south| is_bound(lab, south, "p3"));
    both.acknowledge();
}

/// As long as northd is of another version, and the chassis is to look at that, nothing happens.
#[test]
fn northd_version() {
    let mut both = Both::start();
    let version = |both: &Both, south: &Server, version: &str| {
        both.lab.ctl(
            "ovn-sbctl",
            south,
            &format!("set SB_Global . 'options:northd_internal_version=\"{version}\"'"),
        );
    };
    let own = {
        let (_, south) = &both.sides[0];
        both.lab
            .ctl("ovn-sbctl", south, "get SB_Global . options:northd_internal_version")
            .trim()
            .trim_matches('"')
            .to_owned()
    };
    both.set("ovn-match-northd-version", "true");
    both.acknowledge();
    for (_, south) in &both.sides {
        version(&both, south, "1.2.3-4");
    }
    both.configure("add-port br-int p3\nset Interface p3 external_ids:iface-id=p3");
    // Commands are answered after all that came before.
    for _ in 0..20 {
        for (chassis, south) in &both.sides {
            both.lab.ask(&chassis.controller, "connection-status");
            assert!(!is_bound(&both.lab, south, "p3"), "{:?}", chassis.controller.whose);
        }
    }
    both.set(&format!("ovn-match-northd-version-{SYSTEM}"), "false");
    both.wait("the port, by the chassis' own key", |lab, _, south| is_bound(lab, south, "p3"));
    both.configure(&format!("remove Open_vSwitch . external_ids ovn-match-northd-version-{SYSTEM}\nadd-port br-int loc\nset Interface loc external_ids:iface-id=loc"));
    for (_, south) in &both.sides {
        version(&both, south, &own);
    }
    both.acknowledge();
}

/// Both come to have tunnels by these names, and no others.
#[track_caller]
fn assert_tunnels(both: &Both, expected: &[&str]) {
    let names = || {
        let names = |(chassis, _): &(Chassis, Server)| {
            tunnel_options(&both.lab, chassis).into_keys().collect::<Vec<_>>()
        };
        both.sides.each_ref().map(names)
    };
    let [stock, kiln] = settled(names, |stock, kiln| stock == expected && stock == kiln);
    assert_eq!(stock, expected);
    assert_eq!(kiln, expected);
}

/// Tunnels stand for as long as there is no other value: a key that is gone, or wrong, takes none down.
#[test]
fn no_encapsulation() {
    let mut both = Both::start();
    let told = |both: &Both| {
        both.wait("the log to say so", |lab, chassis, _| match chassis.controller.whose {
            Component::Kiln => logs(lab, chassis, &["WARN", "must be set"]),
            _ => logs(lab, chassis, &["Need to specify an encap type and ip"]),
        });
        // Commands are answered after all that came before.
        for _ in 0..20 {
            both.sides
                .iter()
                .for_each(|(chassis, _)| drop(both.lab.ask(&chassis.controller, "debug/status")));
        }
    };
    assert_tunnels(&both, &["ovn-hv2-0", "ovn-hv4-0"]);
    let flows = |both: &Both| on_bridge(&both.lab, &both.sides[1].0, "br-int").0;
    let before = flows(&both);
    both.configure("remove Open_vSwitch . external_ids ovn-encap-ip");
    told(&both);
    assert_tunnels(&both, &["ovn-hv2-0", "ovn-hv4-0"]);
    assert_eq!(flows(&both), before, "packets are still sent there");
    both.set("ovn-encap-ip", "127.0.0.9");
    assert_tunnels(&both, &["ovn-hv2-1", "ovn-hv4-1"]);
    both.acknowledge();
    both.configure("remove Open_vSwitch . external_ids ovn-encap-type");
    told(&both);
    assert_tunnels(&both, &["ovn-hv2-1", "ovn-hv4-1"]);
    assert_eq!(flows(&both), before, "packets are still sent there");
    // A controller that starts finds its own tunnels too.
    let (kiln, _) = both.sides[1].clone();
    both.lab.ask(&kiln.controller, "exit --restart");
    both.lab.wait_gone(&kiln.controller.name);
    both.lab.start_controller(&kiln.controller.name, Component::Kiln, &kiln.server);
    wait_for("the new controller", || {
        (both.lab.ask(&kiln.controller, "connection-status").trim() == "connected").then_some(())
    });
    told(&both);
    assert_eq!(flows(&both), before, "packets are still sent there");
    both.set("ovn-encap-type", "vxlan");
    assert_tunnels(&both, &["ovn-hv3-0", "ovn-hv4-1"]);
}

/// A table that was prepared when the schema took less is prepared for all that it takes now.
#[test]
fn prefixes() {
    let both = Both::start();
    let all = |lab: &Lab, chassis: &Chassis, _: &Server| {
        let rows = lab.rows(&chassis.server, Database::Switch, "Flow_Table");
        let expected = serde_json::json!(["set", ["ip_dst", "ip_src", "ipv6_dst", "ipv6_src"]]);
        rows.len() == 1 && rows[0]["prefixes"] == expected
    };
    both.wait("all prefixes", all);
    for (chassis, _) in &both.sides {
        let row = both.lab.ctl("ovs-vsctl", &chassis.server, "--bare --columns=_uuid find Flow_Table");
        let line = format!("set Flow_Table {} prefixes=ip_dst,ip_src,ipv6_dst", row.trim());
        both.lab.ctl("ovs-vsctl", &chassis.server, &line);
    }
    both.wait("all prefixes again", all);
}

/// A plain `exit` leaves everything where it was told to.
#[test]
fn cleanup_on_exit() {
    let mut both = Both::start();
    both.set("ovn-cleanup-on-exit", "true");
    both.set(&format!("ovn-cleanup-on-exit-{SYSTEM}"), "false");
    both.acknowledge();
    let tunnels = |lab: &Lab, chassis: &Chassis| ports(lab, chassis, "br-int");
    for (chassis, south) in both.sides.clone() {
        let before = tunnels(&both.lab, &chassis);
        for command in ["debug/pause", "debug/resume", "exit"] {
            both.lab.ask(&chassis.controller, command);
        }
        both.lab.wait_gone(&chassis.controller.name);
        for said in ["execution pause", "execution resume", "Exiting ovn-controller, resource cleanup: False"]
        {
            assert!(logs(&both.lab, &chassis, &["INFO", said]), "{:?}: {said}", chassis.controller.whose);
        }
        assert!(has_row(&both.lab, &south, "Chassis", SYSTEM), "{:?}", chassis.controller.whose);
        assert!(is_bound(&both.lab, &south, "p1"), "{:?}", chassis.controller.whose);
        assert_eq!(tunnels(&both.lab, &chassis), before, "{:?}", chassis.controller.whose);
    }
}

/// Zones by name.
fn zones(lab: &Lab, chassis: &Chassis) -> BTreeMap<String, u16> {
    let zone = |line: &str| {
        let (name, zone) = line.rsplit_once(' ')?;
        Some((name.to_owned(), zone.parse().ok()?))
    };
    lab.ask(&chassis.controller, "ct-zone-list").lines().filter_map(zone).collect()
}

#[test]
fn zone_range() {
    let both = Both::start();
    let within = |low: u16| {
        move |lab: &Lab, chassis: &Chassis, _: &Server| {
            let zones = zones(lab, chassis);
            zones.contains_key("p1") && zones.values().all(|zone| (low..low + 20).contains(zone))
        }
    };
    both.set("ct-zone-range", "200-219");
    both.wait("zones of the range", within(200));
    both.set(&format!("ct-zone-range-{SYSTEM}"), "300-319");
    both.wait("zones of the chassis' own range", within(300));
    let names: Vec<BTreeSet<String>> =
        both.sides.iter().map(|(chassis, _)| zones(&both.lab, chassis).into_keys().collect()).collect();
    assert_eq!(names[0], names[1]);
}

/// One port for all tunnels of a kind. Flows differ, as is said where differences are.
#[test]
fn flow_based_tunnels() {
    let mut both = Both::start();
    let tunnels = |both: &Both| {
        both.sides.each_ref().map(|(chassis, _)| -> Vec<String> {
            ports(&both.lab, chassis, "br-int").into_iter().filter(|port| port.starts_with("ovn-")).collect()
        })
    };
    let becomes = |both: &Both, expected: &[&str]| {
        let [stock, kiln] = settled(|| tunnels(both), |stock, kiln| stock == expected && stock == kiln);
        assert_eq!((&stock, &kiln), (&expected.iter().map(|name| (*name).to_owned()).collect(), &stock));
    };
    both.set("ovn-encap-type", "geneve,vxlan");
    both.set("ovn-enable-flow-based-tunnels", "true");
    becomes(&both, &["ovn-geneve", "ovn-vxlan"]);
    both.acknowledge();
    both.set(&format!("ovn-enable-flow-based-tunnels-{SYSTEM}"), "false");
    becomes(&both, &["ovn-hv2-0", "ovn-hv3-0", "ovn-hv4-0"]);
}

/// What the switch does when it starts: its key, and whose it is.
fn restore_wait(lab: &Lab, chassis: &Chassis) -> (String, String) {
    let get = |line: &str| lab.ctl("ovs-vsctl", &chassis.server, line).trim().trim_matches('"').to_owned();
    (
        get("--if-exists get Open_vSwitch . other_config:flow-restore-wait"),
        get("--if-exists get Open_vSwitch . external_ids:ovn-managed-flow-restore-wait"),
    )
}

/// How often the switch was told to read its row.
fn configured(lab: &Lab, chassis: &Chassis) -> i64 {
    let number = lab.ctl("ovs-vsctl", &chassis.server, "get Open_vSwitch . next_cfg");
    number.trim().parse().expect("a number")
}

/// Has two chassis, of which this is one, be the candidates of the group `both`; `line` makes the group or changes it.
#[track_caller]
fn share_gateway(both: &Both, line: &str) {
    let lines = format!(
        "--id=@one get Chassis hv1\n--id=@two get Chassis hv2\n\
         --id=@m create HA_Chassis chassis=@one priority=2\n--id=@n create HA_Chassis chassis=@two priority=1\n{line}"
    );
    for (_, south) in &both.sides {
        both.lab.ctl_lines("ovn-sbctl", south, &lines);
    }
}

/// One of several candidates for a gateway has its switch wait at the next start; who is alone has not, and what scripts set
/// stays.
#[test]
fn managed_flow_restore_wait() {
    let mut both = Both::start();
    let becomes = |both: &Both, what: &str, wait: &'static str, managed: &'static str| {
        both.wait(what, move |lab, chassis, _| {
            restore_wait(lab, chassis) == (wait.to_owned(), managed.to_owned())
        });
    };
    becomes(&both, "no gateway", "", "");
    share_gateway(&both, "create HA_Chassis_Group name=both ha_chassis=@m,@n");
    becomes(&both, "a gateway of two", "true", "true");

    // Kiln also lifts it for a switch that starts again under a controller that runs on.
    let kiln = both.sides[1].0.clone();
    let before = configured(&both.lab, &kiln);
    both.lab.kill("kiln-switch");
    both.lab.start_switch("kiln", &kiln.server);
    wait_for("the new switch not to wait", || {
        (configured(&both.lab, &kiln) > before && restore_wait(&both.lab, &kiln).0 == "true").then_some(())
    });

    for (chassis, _) in &both.sides {
        let line = "--no-wait remove Open_vSwitch . other_config flow-restore-wait";
        both.lab.ctl("ovs-vsctl", &chassis.server, line);
    }
    becomes(&both, "a gateway of two, once it was taken away", "true", "true");
    for (_, south) in &both.sides {
        both.lab.ctl("ovn-sbctl", south, "clear HA_Chassis_Group both ha_chassis");
    }
    becomes(&both, "no gateway again", "false", "");
    both.configure("set Open_vSwitch . other_config:flow-restore-wait=true");
    share_gateway(&both, "set HA_Chassis_Group both ha_chassis=@m,@n");
    both.acknowledge();
    becomes(&both, "what a script has set", "true", "");
}

/// The tunnels' options by their names.
fn tunnel_options(lab: &Lab, chassis: &Chassis) -> BTreeMap<String, String> {
    let rows = lab.rows(&chassis.server, Database::Switch, "Interface");
    let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
    let tunnels = rows.iter().filter(|row| text(&row["name"]).starts_with("ovn-"));
    tunnels.map(|row| (text(&row["name"]), format!("{} {}", row["type"], row["options"]))).collect()
}

/// Not a key of the switch's database, but what NB_Global says of all chassis' tunnels.
#[test]
fn ipsec() {
    let both = Both::start();
    let options = || both.sides.each_ref().map(|(chassis, _)| tunnel_options(&both.lab, chassis));
    let becomes = |what: &str, column: &str, holds: fn(&str) -> bool| {
        for (_, south) in &both.sides {
            both.lab.ctl("ovn-sbctl", south, &format!("set SB_Global . {column}"));
        }
        let all = |options: &BTreeMap<String, String>| {
            options.len() == 2 && options.values().all(|text| holds(text))
        };
        let [stock, kiln] = settled(options, |stock, kiln| stock == kiln && all(stock));
        assert_eq!(kiln, stock, "{what}");
        assert!(all(&stock), "{what}: {stock:#?}");
    };
    becomes("off", "ipsec=false", |text| !text.contains("remote_name"));
    becomes("on", "ipsec=true", |text| text.contains("remote_name") && !text.contains("ipsec_"));
    becomes("wrapped", "options:ipsec_encapsulation=true", |text| text.contains("ipsec_encapsulation"));
    becomes("wrapped by force", "options:ipsec_forceencaps=true", |text| text.contains("ipsec_forceencaps"));
    becomes("neither", "options:ipsec_forceencaps=maybe options:ipsec_encapsulation=false", |text| {
        text.contains("remote_name") && !text.contains("ipsec_")
    });
    becomes("off again", "ipsec=false", |text| !text.contains("remote_name"));
}

/// Where two chassis have no type of tunnel in common there is none, and one warning says so.
#[test]
fn no_type_in_common() {
    let mut both = Both::start();
    assert_tunnels(&both, &["ovn-hv2-0", "ovn-hv4-0"]);
    both.acknowledge();
    let (kiln, south) = &both.sides[1];
    let file = both.lab.folder().join(format!("{}.log", kiln.controller.name));
    let told = std::fs::read_to_string(file).expect("a log");
    let about = told.lines().filter(|line| line.contains("WARN") && line.contains("\"hv3\"")).count();
    assert_eq!(about, 1, "{told}");
    // A hardware VTEP is no exception.
    both.lab.ctl("ovn-sbctl", south, "set Chassis hv3 other_config:is-vtep=true");
    both.lab.ctl("ovn-sbctl", &both.sides[0].1, "set Chassis hv3 other_config:is-vtep=true");
    both.acknowledge();
    assert_tunnels(&both, &["ovn-hv2-0", "ovn-hv4-0"]);
    both.set("ovn-encap-type", "geneve,vxlan");
    assert_tunnels(&both, &["ovn-hv2-0", "ovn-hv3-0", "ovn-hv4-0"]);
    both.set("ovn-encap-type", "geneve");
    assert_tunnels(&both, &["ovn-hv2-0", "ovn-hv4-0"]);
}
