//! What a controller lists and takes on its control socket when there is something to list, in stock's words, and again after
//! the state has changed.

mod deployed;

use deployed::{Deployment, SYSTEM, sorted};
use kiln_testkit::{Component, Database, settled, wait_for};

const NETWORK: &str = include_str!("networks/two-routers.nbctl");
const HERE: &[&str] = &["p1", "q1"];

struct Both([Deployment; 2]);

impl Both {
    fn start() -> Both {
        Both(Deployment::both(NETWORK, HERE, &[]))
    }

    /// Waits until both answer the same, in this form, and `holds` is true of it.
    #[track_caller]
    fn becomes(&self, line: &str, form: impl Fn(&str) -> String, holds: impl Fn(&str) -> bool) -> String {
        let look = || self.0.each_ref().map(|on| form(&on.lab.ask(&on.chassis.controller, line)));
        let [stock, kiln] = settled(look, |stock, kiln| stock == kiln && holds(kiln));
        assert_eq!(kiln, stock, "{line}");
        assert!(holds(&kiln), "{line}: {kiln}");
        kiln
    }

    #[track_caller]
    fn north(&self, lines: &str) {
        for on in &self.0 {
            on.lab.ctl_lines("ovn-nbctl", &on.north, lines);
        }
    }

    #[track_caller]
    fn switch(&self, lines: &str) {
        for on in &self.0 {
            on.lab.ctl_lines("ovs-vsctl", &on.chassis.server, lines);
        }
    }
}

/// The names in lines `NAME: NUMBER` or `NAME NUMBER`; a line without a number stays as it is.
fn names(text: &str) -> String {
    let name = |line: &str| match line.rsplit_once([' ', ':']) {
        Some((name, number)) if number.parse::<u32>().is_ok() => name.trim_end_matches(':').to_owned(),
        _ => format!("no number: {line}"),
    };
    let mut names: Vec<String> = text.lines().map(name).collect();
    names.sort();
    names.join("\n")
}

#[test]
fn meters() {
    let both = Both::start();
    both.becomes("meter-table-list", names, str::is_empty);
    both.north("meter-add slow drop 10 pktps\nmeter-add slower drop 5 kbps 2\n--id=@c create Copp name=c meters:arp=slow -- set Logical_Router lr0 copp=@c");
    both.becomes("meter-table-list", names, |text| text == "slow");
    both.north("copp-add c nd-ns slower");
    both.becomes("meter-table-list", names, |text| text == "slow\nslower");
    both.north("copp-del c arp");
    both.becomes("meter-table-list", names, |text| text == "slower");
    both.north("clear Logical_Router lr0 copp");
    both.becomes("meter-table-list", names, str::is_empty);
}

#[test]
fn groups() {
    let both = Both::start();
    // Stock writes the buckets in an older notation; how many there are does not hang on that.
    let buckets = |text: &str| {
        let mut counts: Vec<usize> = text.lines().map(|line| line.matches("bucket=").count()).collect();
        counts.sort_unstable();
        format!("{counts:?}")
    };
    both.becomes("group-table-list", buckets, |text| text == "[2, 2]");
    both.north(
        "--ecmp lr-route-add lr1 10.60.0.0/16 172.16.0.1
         --ecmp lr-route-add lr1 10.60.0.0/16 172.16.0.3
         --ecmp lr-route-add lr1 10.60.0.0/16 172.16.0.0",
    );
    both.becomes("group-table-list", buckets, |text| text == "[2, 2, 3]");
    both.north("lr-route-del lr1 10.60.0.0/16 172.16.0.3");
    both.becomes("group-table-list", buckets, |text| text == "[2, 2]");
    both.north("lr-route-del lr1 10.60.0.0/16\nlr-policy-del lr0");
    both.becomes("group-table-list", buckets, |text| text == "[2]");
}

/// Those of routers that forget theirs, and no others.
#[test]
fn neighbours() {
    let both = Both::start();
    // Cookies follow from uuids, and datapaths' keys are each northd's own; what ports announce may be learned besides.
    let form = |text: &str| {
        let mut lines: Vec<String> = text
            .lines()
            .filter(|line| !line.contains(", ip: ") || line.contains("0a:00:00:00:00:77"))
            .map(|line| match line.split_once(", port-key: ") {
                Some((head, tail)) => {
                    let is_head = head.starts_with("cookie: 0x") && head.contains(", datapath-key: ");
                    format!("{is_head} port-key: {tail}")
                }
                None => line.to_owned(),
            })
            .collect();
        lines.sort();
        lines.join("\n")
    };
    let learn = |ip: &str| {
        for on in &both.0 {
            let datapath = on.lab.ctl(
                "ovn-sbctl",
                &on.south,
                "--bare --columns=datapath find Port_Binding logical_port=lr0-sw0",
            );
            let line = format!(
                "create MAC_Binding logical_port=lr0-sw0 'ip=\"{ip}\"' 'mac=\"0a:00:00:00:00:77\"' datapath={} timestamp={}",
                datapath.trim(),
                i64::MAX / 2
            );
            on.lab.ctl("ovn-sbctl", &on.south, &line);
        }
    };
    let title = "Local MAC bindings:";
    learn("10.0.0.7");
    both.becomes("debug/dump-mac-bindings", form, |text| text == title);
    both.north("set Logical_Router lr0 options:mac_binding_age_threshold=3000");
    let one = both.becomes("debug/dump-mac-bindings", form, |text| text.contains("10.0.0.7"));
    assert_eq!(one, format!("{title}\ntrue port-key: 0, ip: 10.0.0.7, mac: 0a:00:00:00:00:77"));
    learn("fd00::7");
    both.becomes("debug/dump-mac-bindings", form, |text| {
        text.contains("fd00::7") && text.contains("10.0.0.7")
    });
    for on in &both.0 {
        let rows = on.lab.rows(&on.south, Database::Southbound, "MAC_Binding");
        let row = rows.iter().find(|row| row["ip"] == "10.0.0.7").expect("it was learned");
        let uuid = row["_uuid"][1].as_str().expect("a uuid");
        on.lab.ctl("ovn-sbctl", &on.south, &format!("destroy MAC_Binding {uuid}"));
    }
    both.becomes("debug/dump-mac-bindings", form, |text| {
        !text.contains("10.0.0.7") && text.contains("fd00::7")
    });
    both.north("remove Logical_Router lr0 options mac_binding_age_threshold");
    both.becomes("debug/dump-mac-bindings", form, |text| text == title);
}

#[test]
fn zones() {
    let both = Both::start();
    let first = both.becomes("ct-zone-list", names, |text| text.contains("p1") && text.contains("q1"));
    both.switch("add-port br-int p3\nset Interface p3 external_ids:iface-id=p3");
    both.becomes("ct-zone-list", names, |text| text.contains("p3"));
    both.switch("del-port br-int p3");
    both.becomes("ct-zone-list", names, |text| text == first);
    both.switch("del-port br-int q1");
    both.becomes("ct-zone-list", names, |text| !text.contains("q1"));
}

/// Interfaces that share an `iface-id`, and containers whose parent is not here.
#[test]
fn bindings() {
    let both = Both::start();
    let form = |text: &str| text.trim_end().to_owned();
    // Which of several interfaces it is differs.
    let of_p1 = |text: &str| {
        let lines = text.lines().filter(|line| line.contains("[p1]"));
        lines.map(|line| line.replace("p1b", "p1")).collect::<Vec<_>>().join("\n")
    };
    let line = "debug/dump-local-bindings";
    let one = both.becomes(line, of_p1, |text| text.contains("primary lport : [p1]"));
    both.switch("add-port br-int p1b\nset Interface p1b external_ids:iface-id=p1");
    let two = both.becomes(line, of_p1, |text| text.lines().count() == 2);
    assert_eq!(two, one);
    both.switch("del-port br-int p1b");
    both.north("lsp-add sw0 parent\nlsp-add sw0 inside parent 7\nlsp-add sw0 lost nobody 8");
    let without = both.becomes(line, sorted, |text| text.contains("[lost]") && text.contains("[inside]"));
    assert!(without.contains("name: [parent], OVS interface name : [NULL], num binding lports : [2]"));
    assert!(without.contains("name: [nobody], OVS interface name : [NULL], num binding lports : [1]"));
    both.switch("add-port br-int parent\nset Interface parent external_ids:iface-id=parent");
    both.becomes(line, form, |text| text.contains("OVS interface name : [parent]"));
    // A port of another kind is nobody's parent.
    both.switch("add-port br-int loc\nset Interface loc external_ids:iface-id=loc");
    both.becomes("debug/dump-related-ports", sorted, |text| text.contains("loc"));
    both.north("lsp-add sw0 guest loc 9");
    both.becomes(line, |text| text.contains("[guest]").to_string(), |text| text == "true");
    both.becomes("debug/dump-related-ports", sorted, |text| !text.contains("guest"));
}

/// How many packets have left by a port.
fn sent(on: &Deployment, port: &str) -> u64 {
    let text = on.lab.ofctl(&on.chassis, &format!("dump-ports BR {port}"));
    let count = text.split("tx pkts=").nth(1).and_then(|rest| rest.split(',').next());
    count.and_then(|count| count.trim().parse().ok()).unwrap_or_else(|| panic!("{text}"))
}

#[test]
fn packets() {
    let both = Both::start();
    let refused = |packet: &str| {
        let [stock, kiln] = both.0.each_ref().map(|on| {
            let (accepted, text) = on.lab.ask_either(&on.chassis.controller, &format!("inject-pkt {packet}"));
            assert!(!accepted, "{packet}: {text}");
            // What is ambiguous stock repeats in its own words.
            sorted(&text).split_once("ambiguous:").map_or_else(|| sorted(&text), |(head, _)| head.to_owned())
        });
        assert_eq!(kiln, stock, "{packet}");
    };
    refused("'inport == \"nowhere\"'");
    refused("'eth.src == 0a:00:00:00:00:01'");
    refused("'inport == \"p3\"'");
    refused("'inport == \"p1\" && eth.src == {0a:00:00:00:00:01, 0a:00:00:00:00:02}'");
    refused("");
    refused("a b");
    let packet = "'inport == \"p1\" && eth.src == 0a:00:00:00:00:01 && eth.dst == 0e:00:00:00:00:01 && ip4 && ip.ttl == 64 \
                  && ip4.src == 10.0.0.11 && ip4.dst == 10.0.1.11 && udp && udp.src == 1 && udp.dst == 2'";
    for on in &both.0 {
        let before = sent(on, "q1");
        let after = wait_for("the packet to come through both switches and the router", || {
            let (accepted, _) = on.lab.ask_either(&on.chassis.controller, &format!("inject-pkt {packet}"));
            let after = sent(on, "q1");
            (accepted && after > before).then_some(after)
        });
        println!("{:?}: {before} packets to q1 before, {after} after", on.northd.whose);
    }
    // The port goes, and with it where its packets come in.
    both.switch("del-port br-int p1");
    for on in &both.0 {
        wait_for("the port to go", || {
            let rows = on.lab.rows(&on.south, Database::Southbound, "Port_Binding");
            rows.iter().any(|row| row["logical_port"] == "p1" && row["chassis"][0] == "set").then_some(())
        });
    }
    refused(packet);
    for on in &both.0 {
        let version = on.lab.version(Component::Stock, "ovn-appctl");
        println!("{version}: {SYSTEM} of {:?}", on.northd.whose);
    }
}
