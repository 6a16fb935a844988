//! A chassis without a network: a stock switch whose ports are dummies, its database, and a controller.

use super::database::Database;
use super::{Daemon, Folder, LONG, Whose, program, run, until};
use std::fs;
use std::process::{Child, Command, Stdio};

#[derive(Debug)]
pub struct Chassis {
    pub name: String,
    pub database: Database,
    pub switch: Daemon,
    pub controller: Daemon,
}

impl Chassis {
    /// Starts everything, with these `external_ids` beside the usual ones.
    #[track_caller]
    pub fn start(folder: &Folder, name: &str, whose: Whose, ids: &[(&str, &str)]) -> Chassis {
        let database = Database::start(folder, "conf");
        let mut vsctl = vsctl(folder);
        vsctl.args(["--no-wait", "init", "--", "set", "Open_vSwitch", "."]);
        let remote = folder.remote("sb.sock");
        let usual = [
            ("system-id", name),
            ("ovn-remote", remote.as_str()),
            ("ovn-encap-type", "geneve"),
            ("ovn-encap-ip", "127.0.0.1"),
            ("ovn-bridge-datapath-type", "dummy"),
        ];
        for (key, value) in
            usual.iter().filter(|(key, _)| ids.iter().all(|(other, _)| key != other)).chain(ids)
        {
            vsctl.arg(format!("external_ids:{key}=\"{value}\""));
        }
        run(&mut vsctl);
        let switch = switch(folder, Whose::Stock);
        let mut command = program(whose, if whose == Whose::Kiln { "controller" } else { "ovn-controller" });
        command.arg(database.remote());
        let controller = Daemon::start(folder, "controller", command);
        Chassis { name: name.to_owned(), database, switch, controller }
    }

    /// Puts dummy ports on the integration bridge for these logical ports.
    #[track_caller]
    pub fn plug(folder: &Folder, ports: &[&str]) {
        let mut vsctl = vsctl(folder);
        vsctl.args(["--timeout=60"]);
        for port in ports {
            vsctl.args(["--", "add-port", "br-int", port, "--", "set", "Interface", port]);
            vsctl.args(["type=dummy", &format!("external_ids:iface-id={port}")]);
        }
        until("br-int", LONG, || run(vsctl_base(folder).arg("list-br")).contains("br-int").then_some(()));
        run(&mut vsctl);
    }
}

/// Starts the switch on `conf.sock`.
#[track_caller]
pub fn switch(folder: &Folder, whose: Whose) -> Daemon {
    let mut command = program(whose, "ovs-vswitchd");
    command.arg(folder.remote("conf.sock")).args(["--enable-dummy=override", "--disable-system"]);
    Daemon::start(folder, "vswitchd", command)
}

/// `ovs-vsctl` for the folder's switch.
pub fn vsctl(folder: &Folder) -> Command {
    let mut command = program(Whose::Stock, "ovs-vsctl");
    command.arg(format!("--db={}", folder.remote("conf.sock")));
    command
}

fn vsctl_base(folder: &Folder) -> Command {
    vsctl(folder)
}

/// What `ovs-ofctl` shows of the integration bridge, without what changes by itself.
#[track_caller]
pub fn dump(folder: &Folder, what: &str) -> Vec<String> {
    let mut ofctl = program(Whose::Stock, "ovs-ofctl");
    ofctl.args(["-O", "OpenFlow15", "--no-stats", what]).arg(folder.remote("br-int.mgmt"));
    let text = run(&mut ofctl);
    let mut lines: Vec<String> =
        text.lines().filter(|line| !line.contains("(OF1.5)")).map(str::to_owned).collect();
    lines.sort();
    lines
}

/// The flows of the integration bridge.
#[track_caller]
pub fn flows(folder: &Folder) -> Vec<String> {
    dump(folder, "dump-flows")
}

/// What the switch itself reports about changes of flows, from when it was started.
#[derive(Debug)]
pub struct FlowMonitor {
    child: Child,
    file: std::path::PathBuf,
}

impl FlowMonitor {
    #[track_caller]
    pub fn start(folder: &Folder) -> FlowMonitor {
        let file = folder.path("monitor.out");
        let output = fs::File::create(&file).expect("a file");
        let mut ofctl = program(Whose::Stock, "ovs-ofctl");
        ofctl.args(["-O", "OpenFlow10", "monitor"]).arg(folder.remote("br-int.mgmt")).arg("watch:");
        // It serves a control socket of its own, and the machine's folder for those may not be there.
        ofctl.env("OVS_RUNDIR", &folder.0);
        ofctl.stdin(Stdio::null()).stdout(output.try_clone().expect("a handle")).stderr(output);
        let monitor = FlowMonitor { child: ofctl.spawn().expect("programs start"), file };
        // The flows that stand come first, so that what follows is known to be a change.
        until("the flow monitor", LONG, || monitor.text().contains("event=ADDED").then_some(()));
        monitor
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.file).unwrap_or_default()
    }

    /// The flows that were removed, as the switch names them.
    pub fn removed(&self) -> Vec<String> {
        self.text().lines().filter(|line| line.contains("event=DELETED")).map(str::to_owned).collect()
    }

    /// The flows whose actions were changed.
    pub fn modified(&self) -> Vec<String> {
        self.text().lines().filter(|line| line.contains("event=MODIFIED")).map(str::to_owned).collect()
    }

    /// How many flows it has named that were there or came.
    pub fn added(&self) -> usize {
        self.text().lines().filter(|line| line.contains("event=ADDED")).count()
    }
}

impl Drop for FlowMonitor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
