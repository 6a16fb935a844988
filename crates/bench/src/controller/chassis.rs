//! The chassis: a stock switch on a dummy datapath with an interface for each port that is here.

use super::{Options, PATIENCE};
use crate::Result;
use crate::database::{Client, Server};
use crate::process::Process;
use crate::watch::Watch;
use kiln_ovsdb::client::TableMonitor;
use kiln_ovsdb::column::Pairs;
use kiln_ovsdb::txn::Txn;
use kiln_sandbox::{Component, Peers};
use kiln_types::{Rng, Uuid};
use std::path::{Path, PathBuf};
use std::process::Command;

pub(super) struct Chassis {
    folder: PathBuf,
    database: Server,
    switch: Process,
}

/// Writes the switch's database: the integration bridge, and interfaces of the names that its ports have.
fn configure(southbound: &Server, options: &Options, txn: &mut Txn) {
    let mut rng = Rng::with_seed(1);
    let mut rows = Vec::new();
    let mut port = |name: String, kind: &str, ids: &[(&str, &str)]| {
        let (interface, row) = (Uuid::from_u128(rng.u128(..)), Uuid::from_u128(rng.u128(..)));
        txn.insert("Interface")
            .uuid(interface)
            .set("name", &name)
            .set("type", kind)
            .set("external_ids", &Pairs(ids));
        txn.insert("Port").uuid(row).set("name", &name).set("interfaces", &interface);
        rows.push(row);
    };
    port("br-int".into(), "internal", &[]);
    for switch in 0..options.switches {
        for at in 0..options.bound() {
            let logical = format!("lsp-{switch}-{at}");
            port(format!("v{switch}-{at}"), "", &[("iface-id", &logical)]);
        }
    }
    let bridge = Uuid::from_u128(rng.u128(..));
    txn.insert("Bridge")
        .uuid(bridge)
        .set("name", "br-int")
        .set("ports", &rows[..])
        .set("fail_mode", "secure")
        .set("other_config", &Pairs(&[("disable-in-band", "true")]));
    let remote = southbound.remote();
    txn.insert("Open_vSwitch").set("bridges", &bridge).set("next_cfg", &1).set(
        "external_ids",
        &Pairs(&[
            ("system-id", "chassis"),
            ("hostname", "chassis"),
            ("ovn-remote", &remote),
            ("ovn-encap-type", "geneve"),
            ("ovn-encap-ip", "127.0.0.1"),
        ]),
    );
}

impl Chassis {
    /// Starts a switch and waits until it has all ports.
    pub(super) fn start(
        peers: &Peers,
        folder: &Path,
        southbound: &Server,
        options: &Options,
    ) -> Result<Chassis> {
        let database = Server::start(peers, folder, "conf", "openvswitch/vswitch.ovsschema")?;
        let progress = TableMonitor::new("Open_vSwitch", ["cur_cfg"]);
        let mut client =
            Client::connect(&database, "Open_vSwitch", vec![progress], Watch::new(&["cur_cfg"]))?;
        let mut txn = client.txn();
        configure(southbound, options, &mut txn);
        client.commit(txn)?;
        let mut command = peers.program(Component::Stock, "ovs-vswitchd")?;
        command.args(["--no-chdir", "--enable-dummy=override", "--disable-system", "-vconsole:off"]);
        command.arg(database.remote());
        surround(&mut command, folder, "switch");
        let switch = Process::start("switch", command, folder)?;
        client.wait("the switch to have its ports", PATIENCE, |client| {
            client.replica.number("Open_vSwitch", "cur_cfg") == 1
        })?;
        let chassis = Chassis { folder: folder.to_owned(), database, switch };
        chassis.wait_quiet()?;
        Ok(chassis)
    }

    /// Starts its controller.
    pub(super) fn controller(&self, peers: &Peers, component: Component) -> Result<Process> {
        let mut command = peers.program(component, "ovn-controller")?;
        command.args(["--no-chdir", "-vconsole:off"]).arg(self.database.remote());
        surround(&mut command, &self.folder, "controller");
        Process::start("controller", command, &self.folder)
    }

    pub(super) fn wait_quiet(&self) -> Result<()> {
        self.switch.wait_quiet(PATIENCE)?;
        self.database.process.wait_quiet(PATIENCE)
    }

    /// How many flows the integration bridge has.
    pub(super) fn flows(&self, peers: &Peers) -> Result<u64> {
        let mut command = peers.program(Component::Stock, "ovs-ofctl")?;
        let bridge = format!("unix:{}", self.folder.join("br-int.mgmt").display());
        let output = command.args(["-O", "OpenFlow15", "dump-aggregate", &bridge]).output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        let count = text.split_once("flow_count=").and_then(|(_, count)| count.trim().parse().ok());
        count.ok_or_else(|| format!("ovs-ofctl: {text}{}", String::from_utf8_lossy(&output.stderr)).into())
    }
}

/// Has a daemon keep what it needs in the folder.
fn surround(command: &mut Command, folder: &Path, name: &str) {
    for key in ["OVS_RUNDIR", "OVN_RUNDIR", "OVS_LOGDIR", "OVN_LOGDIR"] {
        command.env(key, folder);
    }
    command.arg(format!("--unixctl={}", folder.join(format!("{name}.ctl")).display()));
}
