//! A chassis: a namespace with a switch, its database, and a controller.

use crate::Error;
use crate::command;
use crate::error::Context;
use crate::namespace::Namespace;
use crate::peers::Component;
use crate::process::Daemon;
use crate::settings::Settings;
use crate::state::State;
use crate::underlay::{
    MTU, Underlay, interface, recipe, recipe_without_control, tunnel_address, with_length,
};
use crate::wait::Deadline;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// The bridge that holds the underlay's interface and the tunnel address.
const BR_PHYS: &str = "br-phys";

/// A chassis that stands.
#[derive(Debug)]
pub struct Chassis {
    name: String,
    namespace: Namespace,
    folder: PathBuf,
    address: Ipv4Addr,
    server: Daemon,
    switch: Daemon,
    controller: Daemon,
}

/// Makes the namespace, the switch and its controller. The integration bridge is Kiln's controller's to make.
pub(crate) fn build(
    state: &State,
    settings: &Settings,
    underlay: &Underlay,
    name: &str,
    index: usize,
    external_ids: &BTreeMap<String, String>,
    physical: &BTreeSet<String>,
) -> Result<Chassis, Error> {
    let namespace = state.make_namespace(settings.namespace(name))?;
    let folder = state.folder().join(name);
    fs::create_dir(&folder).context(|| format!("making the folder {}", folder.display()))?;
    underlay.plug(&namespace, "eth0", &interface("to-", name), None)?;
    namespace.enter(|| {
        for key in ["disable_ipv6", "addr_gen_mode"] {
            // The interfaces of a chassis carry other machines' packets and have nothing to say themselves.
            namespace.sysctl(&format!("net/ipv6/conf/all/{key}"), "1")?;
        }
        namespace.ip("link set eth0 up\n")
    })?;
    for network in physical {
        let inner = interface("phy-", network);
        underlay.plug(&namespace, &inner, &interface(&format!("{index}-"), network), Some(network))?;
        namespace.ip(&format!("link set {inner} up\n"))?;
    }
    let server = start_server(state, settings, &namespace, &folder, name)?;
    let address = tunnel_address(index);
    let vsctl = || vsctl(settings, &folder, name);
    let ids = external_ids_of(name, address, underlay, external_ids, physical);
    let mut configuration = configure(vsctl()?, &ids, physical);
    if settings.controller.of(name) != Component::Kiln {
        make_integration_bridge(&mut configuration);
    }
    command::run(&mut configuration, "")?;
    let mut switch = settings.peers.program(settings.switch.of(name), "ovs-vswitchd")?;
    switch.arg(format!("unix:{}", folder.join("db.sock").display())).arg("--disable-system");
    let switch = recipe(switch, &folder, "ovs-vswitchd", None);
    let mut switch = Daemon::start(state, format!("ovs-vswitchd of {name}"), &namespace, switch)?;
    let deadline = Deadline::after(Duration::from_secs(10));
    switch.wait_ready(deadline)?;
    hold_tunnel_address(&namespace, address, deadline)?;
    let mut controller = settings.peers.program(settings.controller.of(name), "ovn-controller")?;
    controller.arg(format!("unix:{}", folder.join("db.sock").display()));
    let controller = match settings.controller.of(name) {
        Component::OldStock => recipe_without_control(controller, &folder, "ovn-controller", None),
        _ => recipe(controller, &folder, "ovn-controller", None),
    };
    let controller = Daemon::start(state, format!("controller of {name}"), &namespace, controller)?;
    Ok(Chassis { name: name.into(), namespace, folder, address, server, switch, controller })
}

/// Gives the underlay's bridge its address, once the switch has made it. It outlives a switch that is killed, not one
/// that ends in order.
fn hold_tunnel_address(namespace: &Namespace, address: Ipv4Addr, deadline: Deadline) -> Result<(), Error> {
    deadline.until("the switch to make its bridges", || {
        let mut show = Command::new("ip");
        show.args(["-netns", namespace.name(), "link", "show", BR_PHYS]);
        Ok(command::output(&mut show, "")?.status.success().then_some(()))
    })?;
    let address = with_length(address);
    namespace.ip(&format!("addr replace {address} dev {BR_PHYS}\nlink set {BR_PHYS} mtu {MTU} up\n"))?;
    namespace.no_offload(BR_PHYS)
}

fn start_server(
    state: &State,
    settings: &Settings,
    namespace: &Namespace,
    folder: &std::path::Path,
    name: &str,
) -> Result<Daemon, Error> {
    let component = settings.switch.of(name);
    let file = folder.join("conf.db");
    let schema = settings.peers.share(component, "openvswitch/vswitch.ovsschema")?;
    command::run(settings.peers.program(component, "ovsdb-tool")?.arg("create").arg(&file).arg(schema), "")?;
    let mut server = settings.peers.program(component, "ovsdb-server")?;
    server.arg(&file);
    let server = recipe(server, folder, "ovsdb-server", Some("db.sock"));
    let mut server = Daemon::start(state, format!("ovsdb-server of {name}"), namespace, server)?;
    server.wait_ready(Deadline::after(Duration::from_secs(10)))?;
    Ok(server)
}

fn vsctl(settings: &Settings, folder: &std::path::Path, name: &str) -> Result<Command, Error> {
    let mut command = settings.peers.program(settings.switch.of(name), "ovs-vsctl")?;
    command.arg(format!("--db=unix:{}", folder.join("db.sock").display()));
    Ok(command)
}

fn external_ids_of(
    name: &str,
    address: Ipv4Addr,
    underlay: &Underlay,
    stated: &BTreeMap<String, String>,
    physical: &BTreeSet<String>,
) -> BTreeMap<String, String> {
    let mut ids = BTreeMap::from([
        ("system-id".to_owned(), name.to_owned()),
        ("hostname".to_owned(), name.to_owned()),
        ("ovn-remote".to_owned(), underlay.remote.clone()),
        ("ovn-encap-type".to_owned(), "geneve".to_owned()),
        ("ovn-encap-ip".to_owned(), address.to_string()),
        ("ovn-bridge-datapath-type".to_owned(), "netdev".to_owned()),
    ]);
    if !physical.is_empty() {
        let mappings: Vec<_> =
            physical.iter().map(|network| format!("{network}:{}", bridge_of(network))).collect();
        ids.insert("ovn-bridge-mappings".to_owned(), mappings.join(","));
    }
    ids.extend(stated.clone());
    ids
}

fn bridge_of(network: &str) -> String {
    interface("br-", network)
}

/// The bridges and the configuration of a chassis, written before its switch starts.
fn configure(mut vsctl: Command, ids: &BTreeMap<String, String>, physical: &BTreeSet<String>) -> Command {
    vsctl.args(["--no-wait", "--", "init", "--", "set", "Open_vSwitch", "."]);
    for (key, value) in ids {
        vsctl.arg(format!("external_ids:{key}={}", quoted(value)));
    }
    let mut bridge = |bridge: &str, port: &str| {
        vsctl.args(["--", "add-br", bridge, "--", "set", "Bridge", bridge, "datapath_type=netdev"]);
        vsctl.args(["--", "add-port", bridge, port]);
    };
    bridge(BR_PHYS, "eth0");
    for network in physical {
        bridge(&bridge_of(network), &interface("phy-", network));
    }
    vsctl
}

/// A stock controller makes the integration bridge itself, but then misses it at its first look, and packets that need
/// it are lost for another second, which nothing in the databases tells.
fn make_integration_bridge(vsctl: &mut Command) {
    vsctl.args(["--", "add-br", "br-int", "--", "set", "Bridge", "br-int", "datapath_type=netdev"]);
    vsctl.args(["fail_mode=secure", "other_config:disable-in-band=true"]);
}

/// A value as the `set` command of `ovs-vsctl` reads it back, commas and colons included.
fn quoted(value: &str) -> String {
    format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
}

impl Chassis {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The folder with its sockets and logs: the run directory of its daemons.
    pub fn folder(&self) -> &std::path::Path {
        &self.folder
    }

    /// Its tunnel address.
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Its controller.
    pub fn controller(&mut self) -> &mut Daemon {
        &mut self.controller
    }

    /// Its `ovs-vswitchd`.
    pub fn switch(&mut self) -> &mut Daemon {
        &mut self.switch
    }

    /// The server of its own database.
    pub fn server(&mut self) -> &mut Daemon {
        &mut self.server
    }

    /// Starts those of its daemons that were stopped or killed.
    pub(crate) fn restart(&mut self, state: &State) -> Result<(), Error> {
        let deadline = Deadline::after(Duration::from_secs(10));
        let switch_was_gone = self.switch.pid().is_none();
        for daemon in self.daemons() {
            if daemon.pid().is_none() {
                daemon.restart(state, deadline)?;
            }
        }
        if switch_was_gone {
            hold_tunnel_address(&self.namespace, self.address, deadline)?;
        }
        Ok(())
    }

    pub(crate) fn daemons(&mut self) -> [&mut Daemon; 3] {
        [&mut self.server, &mut self.switch, &mut self.controller]
    }

    /// `ovs-vsctl` for its database.
    pub fn vsctl(&self, settings: &Settings) -> Result<Command, Error> {
        vsctl(settings, &self.folder, &self.name)
    }

    /// Lets it exchange a packet with another chassis' tunnel address, so that its switch knows the way.
    ///
    /// The switch learns it from the answer to an ARP request, which is only sent while the kernel does not know.
    pub(crate) fn greet(&self, other: Ipv4Addr, deadline: Deadline) -> Result<(), Error> {
        let what = format!("{} to reach {other} on the underlay", self.name);
        deadline.until(&what, || {
            self.namespace.ip(&format!("neigh flush dev {BR_PHYS}\n"))?;
            let mut ping = Command::new("ping");
            let output =
                self.namespace.output(ping.args(["-n", "-c", "1", "-W", "1", &other.to_string()]))?;
            Ok(output.status.success().then_some(()))
        })
    }
}
