//! Logical flows that stock and old stock northds write: each is in the language, and what it is lowered to is what a stock
//! controller makes of it, on the same switch with the same databases.

// A test may own files and processes.
#![allow(clippy::disallowed_methods)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const KILN: &str = env!("CARGO_BIN_EXE_kiln");
const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");
const PATIENCE: Duration = Duration::from_mins(1);

/// Folder with daemons, which go when it does.
struct Lab {
    folder: PathBuf,
    running: BTreeMap<&'static str, Child>,
}

/// Whose programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Release {
    Stock,
    Old,
}

impl Release {
    fn schemas(self) -> &'static str {
        match self {
            Release::Stock => "/opt/kiln-peers/sid/usr/share",
            Release::Old => "/usr/share",
        }
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for child in self.running.values_mut() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

impl Lab {
    fn new(name: &str) -> Lab {
        let folder = std::env::temp_dir().join(format!("kiln-lf-{name}-{}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).expect("a folder");
        Lab { folder, running: BTreeMap::new() }
    }

    fn command(&self, release: Release, program: &str) -> Command {
        let mut command = match release {
            Release::Stock => {
                let mut command = Command::new(format!("{ROOT}/scripts/stock"));
                command.arg(program);
                command
            }
            Release::Old => Command::new(program),
        };
        self.surround(&mut command);
        command
    }

    fn surround(&self, command: &mut Command) {
        for name in ["OVS_RUNDIR", "OVN_RUNDIR", "OVS_LOGDIR", "OVN_LOGDIR", "OVS_DBDIR", "OVN_DBDIR"] {
            command.env(name, &self.folder);
        }
        command.current_dir(&self.folder).stdin(Stdio::null());
    }

    #[track_caller]
    fn run(&self, release: Release, program: &str, args: &[&str]) -> String {
        let output = self.command(release, program).args(args).output().expect(program);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{program} {args:?}: {}", text(&output.stderr));
        text(&output.stdout)
    }

    fn start(&mut self, name: &'static str, mut command: Command) {
        let log = std::fs::File::create(self.folder.join(format!("{name}.out"))).expect("a log");
        command.stdout(Stdio::null()).stderr(log);
        self.running.insert(name, command.spawn().expect(name));
    }

    fn stop(&mut self, name: &str) {
        if let Some(mut child) = self.running.remove(name) {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    #[track_caller]
    fn wait(&self, what: &str, mut done: impl FnMut() -> bool) {
        let start = Instant::now();
        while !done() {
            assert!(start.elapsed() < PATIENCE, "waited in vain for {what} in {}", self.folder.display());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn socket(&self, name: &str) -> String {
        format!("unix:{}/{name}", self.folder.display())
    }

    /// Databases, switch and northd.
    fn up(&mut self, northd: Release) {
        let stock = Release::Stock.schemas();
        for (file, schema) in [
            ("conf.db", format!("{stock}/openvswitch/vswitch.ovsschema")),
            ("nb.db", format!("{stock}/ovn/ovn-nb.ovsschema")),
            ("sb.db", format!("{stock}/ovn/ovn-sb.ovsschema")),
        ] {
            self.run(Release::Stock, "ovsdb-tool", &["create", file, &schema]);
        }
        let mut server = self.command(Release::Stock, "ovsdb-server");
        let remote = format!("--remote=p{}", self.socket("db.sock"));
        server.args(["conf.db", "nb.db", "sb.db", &remote, "--unixctl=server.ctl", "-voff"]);
        self.start("server", server);
        let socket = self.folder.join("db.sock");
        self.wait("the database server", || socket.exists());
        let system = "set Open_vSwitch . external_ids:system-id=hv1 external_ids:ovn-encap-type=geneve \
                      external_ids:ovn-encap-ip=127.0.0.1 external_ids:ovn-monitor-all=true \
                      external_ids:ovn-bridge-mappings=phys:br-phys";
        let remote = format!("external_ids:ovn-remote={}", self.socket("db.sock"));
        self.vsctl("init");
        self.vsctl(&format!("{system} {remote}"));
        self.vsctl(
            "add-br br-int -- set bridge br-int fail-mode=secure datapath_type=dummy -- add-br br-phys",
        );
        for port in ["a1", "a2", "a3", "b1", "b2", "dyn"] {
            self.vsctl(&format!(
                "add-port br-int v{port} -- set interface v{port} external_ids:iface-id={port} type=dummy"
            ));
        }
        let mut switch = self.command(Release::Stock, "ovs-vswitchd");
        let database = self.socket("db.sock");
        switch.args([
            &database,
            "--enable-dummy=override",
            "--disable-system",
            "--unixctl=switch.ctl",
            "-voff",
        ]);
        self.start("switch", switch);
        let mut daemon = self.command(northd, "ovn-northd");
        let (nb, sb) = (format!("--ovnnb-db={database}"), format!("--ovnsb-db={database}"));
        let control = format!("--unixctl={}/northd.ctl", self.folder.display());
        daemon.args([&nb, &sb, &control, "-voff"]);
        self.start("northd", daemon);
        let management = self.folder.join("br-int.mgmt");
        self.wait("the switch", || management.exists());
    }

    fn vsctl(&self, line: &str) {
        let database = format!("--db={}", self.socket("db.sock"));
        let args: Vec<&str> =
            [database.as_str(), "--no-wait"].into_iter().chain(line.split_whitespace()).collect();
        self.run(Release::Stock, "ovs-vsctl", &args);
    }

    fn nbctl(&self, args: &[&str]) -> String {
        let database = format!("--db={}", self.socket("db.sock"));
        let args: Vec<&str> =
            [database.as_str(), "--timeout=60"].into_iter().chain(args.iter().copied()).collect();
        self.run(Release::Stock, "ovn-nbctl", &args)
    }

    fn sbctl(&self, args: &[&str]) -> String {
        let database = format!("--db={}", self.socket("db.sock"));
        let args: Vec<&str> =
            [database.as_str(), "--timeout=60"].into_iter().chain(args.iter().copied()).collect();
        self.run(Release::Stock, "ovn-sbctl", &args)
    }

    /// Starts a controller and waits until it has made everything that northd wrote.
    fn controller(&mut self, kiln: bool) {
        let mut command = if kiln {
            let mut command = Command::new(KILN);
            command.arg("controller");
            self.surround(&mut command);
            command
        } else {
            self.command(Release::Stock, "ovn-controller")
        };
        let control = format!("--unixctl={}/controller.ctl", self.folder.display());
        command.args([&self.socket("db.sock"), &control, "-vconsole:warn"]);
        self.start("controller", command);
        let registered = ["--bare", "--columns=name", "find", "Chassis_Private", "name=hv1"];
        self.wait("the chassis", || self.sbctl(&registered).contains("hv1"));
        // The first one may still wait for what its own first writes bring about.
        for _ in 0..2 {
            self.nbctl(&["--wait=hv", "sync"]);
        }
    }

    fn ofctl(&self, args: &[&str]) -> String {
        let bridge = self.socket("br-int.mgmt");
        let args: Vec<&str> =
            ["-O", "OpenFlow15"].into_iter().chain(args.iter().copied()).chain([&*bridge]).collect();
        self.run(Release::Stock, "ovs-ofctl", &args)
    }

    /// The flows of the logical pipelines, with names in place of the numbers that each controller chooses.
    fn flows(&self) -> BTreeSet<String> {
        let groups = self.ofctl(&["dump-groups"]);
        let groups: BTreeMap<String, String> = groups
            .lines()
            .filter_map(|line| line.trim().strip_prefix("group_id=")?.split_once(','))
            .map(|(id, text)| (format!("group:{id}"), format!("group<{text}>")))
            .collect();
        let dump = self.ofctl(&["--no-stats", "--no-names", "dump-flows"]);
        let lines = dump.lines().map(str::trim).filter_map(|line| line.split_once(" actions="));
        let flows: Vec<(&str, String)> = lines
            .filter(|(head, _)| is_logical(head))
            .map(|(head, actions)| {
                let actions = kiln_testkit::openflow::without_port_meters(actions);
                let named = actions.split(',').map(|action| match groups.get(action) {
                    Some(group) => group.clone(),
                    None if action.starts_with("meter:") => "meter".to_owned(),
                    None => without_meter(action),
                });
                (head, named.collect::<Vec<_>>().join(","))
            })
            .collect();
        // A conjunction is what acts, without its number.
        let mut acting: BTreeMap<&str, String> = BTreeMap::new();
        for (head, actions) in &flows {
            if let Some(id) = conjunction_id(head) {
                acting.insert(id, format!("{} {actions}", head.replace(&format!("conj_id={id}"), "conj_id")));
            }
        }
        let mut named = BTreeSet::new();
        for (head, actions) in &flows {
            if let Some(id) = conjunction_id(head) {
                named.insert(acting[id].clone());
            } else if actions.starts_with("conjunction(") {
                for part in actions.split("),") {
                    let part = part.trim_start_matches("conjunction(").trim_end_matches(')');
                    let (id, place) = part.split_once(',').expect("a number and a place");
                    let whole = acting.get(id).map_or("nothing", String::as_str);
                    named.insert(format!("{head} part {place} of <{whole}>"));
                }
            } else {
                named.insert(format!("{head} actions={actions}"));
            }
        }
        named
    }
}

fn conjunction_id(head: &str) -> Option<&str> {
    head.split(',').find_map(|part| part.trim().strip_prefix("conj_id="))
}

/// Tables of the ingress and egress pipelines.
fn is_logical(head: &str) -> bool {
    let table =
        head.split(',').find_map(|part| part.trim().strip_prefix("table=")).and_then(|n| n.parse().ok());
    table.is_some_and(|table: u8| (8..42).contains(&table) || (48..64).contains(&table))
}

/// A meter's number stands at the end of an action for the controller.
fn without_meter(action: &str) -> String {
    match action.split_once("meter_id=") {
        Some((before, after)) => {
            format!("{before}meter_id{}", after.trim_start_matches(|c: char| c.is_ascii_digit()))
        }
        None => action.to_owned(),
    }
}

/// Words of a line, those in quotes kept together, as a shell would.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted, mut any) = (Vec::new(), String::new(), false, false);
    let mut letters = line.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '"' => (quoted, any) = (!quoted, true),
            '\\' if quoted => word.extend(letters.next()),
            ' ' if !quoted => {
                if any || !word.is_empty() {
                    words.push(std::mem::take(&mut word));
                }
                any = false;
            }
            other => word.push(other),
        }
    }
    if any || !word.is_empty() {
        words.push(word);
    }
    words
}

/// What `kiln lflow check` says of the flows in the database.
fn check(lab: &Lab, templates: &[(&str, &str)]) -> std::process::Output {
    let dump = lab.folder.join("flows.txt");
    std::fs::write(&dump, lab.sbctl(&["list", "Logical_Flow"])).expect("a file");
    let values = templates.iter().map(|(name, value)| format!("--template={name}={value}"));
    Command::new(KILN).args(["lflow", "check"]).args(values).arg(&dump).output().expect("kiln runs")
}

/// The template variables of the networks, as they stand in `load_balancers.txt`.
const TEMPLATES: &[(&str, &str)] = &[
    ("vip", "10.0.0.130"),
    ("vip6", "fd1f::2"),
    ("vport", "70"),
    ("backends", "10.0.0.1:70,10.0.0.2:70"),
    ("backends6", "[fd10::1]:70"),
];

fn beside_stock(file: &Path, northd: Release) {
    let name = file.file_stem().and_then(|name| name.to_str()).expect("a name");
    let mut lab = Lab::new(&format!("{name}-{northd:?}"));
    lab.up(northd);
    let network = std::fs::read_to_string(file).expect("a network");
    for line in network.lines() {
        let words = words(line);
        lab.nbctl(&words.iter().map(String::as_str).collect::<Vec<_>>());
    }
    lab.controller(false);
    let checked = check(&lab, TEMPLATES);
    let report = String::from_utf8_lossy(&checked.stdout);
    assert!(checked.status.success(), "{name} by {northd:?}: {report}");
    let (_, count) = report.trim_end().rsplit_once('\n').unwrap_or(("", report.trim_end()));
    let flows = count.strip_suffix(" flows, 0 of them bad; 0 lines that no flow could be read from");
    let flows: usize =
        flows.unwrap_or(count).parse().unwrap_or_else(|_| panic!("{name} by {northd:?}: {report}"));
    assert!(flows > 50, "{name} by {northd:?}: {report}");
    let stock = lab.flows();
    lab.stop("controller");
    lab.ofctl(&["del-flows"]);
    lab.ofctl(&["del-groups"]);
    lab.controller(true);
    let kiln = lab.flows();
    assert!(stock.len() > 50, "{name} by {northd:?}: {} flows", stock.len());
    let missing: Vec<&String> = stock.difference(&kiln).collect();
    let added: Vec<&String> = kiln.difference(&stock).collect();
    println!(
        "{name} by {northd:?}: {} flows, {} of stock's alone, {} of Kiln's",
        stock.len(),
        missing.len(),
        added.len()
    );
    let show = |lines: &[&String]| {
        let first: Vec<&str> = lines.iter().take(20).map(|line| line.as_str()).collect();
        first.join("\n")
    };
    assert!(
        missing.is_empty() && added.is_empty(),
        "{name} by {northd:?}\nstock alone:\n{}\nKiln alone:\n{}",
        show(&missing),
        show(&added)
    );
}

fn networks() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/logical_flows");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("networks").map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    assert!(files.len() > 12);
    files
}

#[test]
fn flows_of_a_stock_northd() {
    for file in networks() {
        beside_stock(&file, Release::Stock);
    }
}

#[test]
fn flows_of_an_old_stock_northd() {
    // Mirrors to ports and DHCP relays are younger; before them this northd stands still. So is the translation of ports.
    let younger = ["mirrors_and_relays.txt", "connections.txt"];
    let files = networks();
    for file in files.iter().filter(|file| !younger.iter().any(|name| file.ends_with(name))) {
        beside_stock(file, Release::Old);
    }
}

/// Members that come to and go from a set in matches of connections' ports: what a stock controller makes of the set at once is what
/// each member by itself comes to.
#[test]
fn members_beside_ports_of_connections() {
    let mut lab = Lab::new("members");
    lab.up(Release::Stock);
    let network = networks().into_iter().find(|file| file.ends_with("connections.txt")).expect("it");
    for line in std::fs::read_to_string(network).expect("a network").lines() {
        let words = words(line);
        lab.nbctl(&words.iter().map(String::as_str).collect::<Vec<_>>());
    }
    lab.controller(true);
    lab.nbctl(&["--wait=hv", "add", "Address_Set", "friends", "addresses", "10.9.9.9,10.9.8.0/24"]);
    lab.nbctl(&["--wait=hv", "remove", "Address_Set", "friends", "addresses", "10.0.0.1"]);
    let kiln = lab.flows();
    assert!(kiln.iter().any(|flow| flow.contains("ct_tp_dst=443") && flow.contains("nw_src=10.9.9.9")));
    lab.stop("controller");
    lab.ofctl(&["del-flows"]);
    lab.ofctl(&["del-groups"]);
    lab.controller(false);
    let stock = lab.flows();
    let differ: Vec<&String> = stock.symmetric_difference(&kiln).take(20).collect();
    assert!(differ.is_empty(), "{differ:#?}");
}

/// Where a chassis does not say that connections' states may stand in their marks, an old northd keeps them in their labels.
#[test]
fn flows_for_chassis_that_know_labels_alone() {
    let mut lab = Lab::new("labels");
    lab.up(Release::Old);
    lab.sbctl(&["chassis-add", "gw", "geneve", "127.0.0.9"]);
    for line in std::fs::read_to_string(&networks()[0]).expect("a network").lines() {
        let words = words(line);
        lab.nbctl(&words.iter().map(String::as_str).collect::<Vec<_>>());
    }
    lab.nbctl(&["--wait=sb", "sync"]);
    let flows = lab.sbctl(&["dump-flows"]);
    assert!(flows.contains("ct_label.blocked"), "{flows}");
    let checked = check(&lab, &[]);
    assert!(checked.status.success(), "{}", String::from_utf8_lossy(&checked.stdout));
}

/// Without a value for a template variable, the flows that need it are told of, and are not bad.
#[test]
fn flows_of_templates_without_values() {
    let mut lab = Lab::new("templates");
    lab.up(Release::Stock);
    lab.nbctl(&[
        "ls-add",
        "sw0",
        "--",
        "--template",
        "lb-add",
        "lb0",
        "^vip:^vport",
        "^backends",
        "tcp",
        "ipv4",
    ]);
    lab.nbctl(&["--wait=sb", "ls-lb-add", "sw0", "lb0"]);
    lab.nbctl(&["--wait=sb", "sync"]);
    let report = |templates: &[(&str, &str)]| {
        let checked = check(&lab, templates);
        let report = String::from_utf8_lossy(&checked.stdout).into_owned();
        assert!(checked.status.success(), "{report}");
        report
    };
    let without = report(&[]);
    assert!(without.contains("not checked without --template: ^backends, ^vip, ^vport\n"), "{without}");
    assert!(without.contains(" not checked without --template, 0 of them bad;"), "{without}");
    assert!(!report(TEMPLATES).contains("--template"), "all have values");
}
