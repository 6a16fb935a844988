//! What all chassis share: a network between them, the physical networks that `localnet` ports lead to, and the
//! databases with their compiler. It has a namespace of its own.

use crate::Error;
use crate::command;
use crate::error::Context;
use crate::namespace::Namespace;
use crate::ovsdb::Database;
use crate::peers::Component;
use crate::process::{Daemon, Recipe};
use crate::settings::Settings;
use crate::state::State;
use crate::wait::Deadline;
use std::collections::BTreeSet;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The bridge between the chassis.
const BRIDGE: &str = "underlay";

/// Room for the outer headers of a packet of 1500 bytes: Geneve over IPv4 with OVN's option takes 58.
pub(crate) const MTU: u16 = 1600;

const PREFIX_LEN: u8 = 24;

/// Where the databases listen for controllers.
const SERVER: Ipv4Addr = Ipv4Addr::new(172, 31, 255, 254);

/// How many chassis have a tunnel address.
pub(crate) const CHASSIS_MAX: usize = 250;

/// The tunnel address of the chassis of an index.
pub(crate) fn tunnel_address(index: usize) -> Ipv4Addr {
    Ipv4Addr::new(172, 31, 255, 1 + index as u8)
}

/// A tunnel address with the length of its prefix, as `ip` takes it.
pub(crate) fn with_length(address: Ipv4Addr) -> String {
    format!("{address}/{PREFIX_LEN}")
}

/// An interface's name of at most 15 characters (the kernel's limit) that tells what it is as far as fits.
pub(crate) fn interface(prefix: &str, name: &str) -> String {
    let whole = format!("{prefix}{name}");
    if whole.len() <= 15 {
        return whole;
    }
    let hash = kiln_topology::derived_mac(&whole).to_u64() & 0xff_ffff;
    format!("{}{hash:06x}", &whole[..9])
}

/// The underlay and what runs in it.
#[derive(Debug)]
pub(crate) struct Underlay {
    pub(crate) namespace: Namespace,
    pub(crate) northbound: Database,
    pub(crate) southbound: Database,
    /// The southbound database for `ovn-remote`.
    pub(crate) remote: String,
    pub(crate) daemons: Vec<Daemon>,
}

/// Makes the namespace with a bridge between the chassis and one for each physical network.
pub(crate) fn build(
    state: &State,
    settings: &Settings,
    physical: &BTreeSet<String>,
) -> Result<Underlay, Error> {
    let namespace = state.make_namespace(settings.namespace("underlay"))?;
    let address = with_length(SERVER);
    namespace.ip(&format!(
        "link add name {BRIDGE} mtu {MTU} type bridge\naddr add {address} dev {BRIDGE}\nlink set {BRIDGE} up\n"
    ))?;
    namespace.no_offload(BRIDGE)?;
    for network in physical {
        let bridge = interface("net-", network);
        namespace.ip(&format!("link add name {bridge} type bridge\nlink set {bridge} up\n"))?;
    }
    let socket = |name: &str| state.folder().join(name);
    Ok(Underlay {
        northbound: Database::new("OVN_Northbound", &socket("nb.sock")),
        southbound: Database::new("OVN_Southbound", &socket("sb.sock")),
        remote: format!("tcp:{SERVER}:6642"),
        namespace,
        daemons: Vec::new(),
    })
}

impl Underlay {
    /// Makes a pair of interfaces: `inner` in another namespace, `outer` here on the bridge of the chassis, or of a
    /// physical network.
    pub(crate) fn plug(
        &self,
        other: &Namespace,
        inner: &str,
        outer: &str,
        network: Option<&str>,
    ) -> Result<(), Error> {
        let bridge = network.map_or_else(|| BRIDGE.to_owned(), |network| interface("net-", network));
        let mtu = if network.is_some() { 1500 } else { MTU };
        self.namespace.ip(&format!(
            "link add name {outer} mtu {mtu} type veth peer name {inner} mtu {mtu} netns {}\n\
             link set {outer} master {bridge} up\n",
            other.name()
        ))?;
        self.namespace.no_offload(outer)?;
        other.no_offload(inner)
    }

    /// Starts the servers of the northbound and the southbound database.
    pub(crate) fn start_databases(&mut self, state: &State, settings: &Settings) -> Result<(), Error> {
        for (word, port) in [("nb", 6641), ("sb", 6642)] {
            let file = state.folder().join(format!("{word}.db"));
            let schema = schema(state, settings, word)?;
            let mut tool = settings.peers.program(settings.database, "ovsdb-tool")?;
            command::run(tool.arg("create").arg(&file).arg(&schema), "")?;
            let mut command = settings.peers.program(settings.database, "ovsdb-server")?;
            command.arg(&file).arg(format!("--remote=ptcp:{port}:{SERVER}"));
            let name = format!("{word}-server");
            let recipe = recipe(command, state.folder(), &name, Some(&format!("{word}.sock")));
            let daemon = Daemon::start(state, name, &self.namespace, recipe)?;
            self.daemons.push(daemon);
        }
        let deadline = Deadline::after(std::time::Duration::from_secs(10));
        self.daemons.iter_mut().try_for_each(|daemon| daemon.wait_ready(deadline))?;
        // The row that options and configuration numbers live in; otherwise the first client makes it.
        let mut northbound = self.northbound.open()?;
        let mut txn = northbound.txn();
        txn.insert("NB_Global");
        northbound.commit(txn).map(drop)
    }

    /// Starts northd.
    pub(crate) fn start_northd(&mut self, state: &State, settings: &Settings) -> Result<(), Error> {
        let mut command = settings.peers.program(settings.northd, "ovn-northd")?;
        let remote = |database: &Database| format!("unix:{}", database.socket.display());
        command.arg(format!("--ovnnb-db={}", remote(&self.northbound)));
        command.arg(format!("--ovnsb-db={}", remote(&self.southbound)));
        let recipe = recipe(command, state.folder(), "northd", None);
        self.daemons.push(Daemon::start(state, "northd", &self.namespace, recipe)?);
        Ok(())
    }
}

/// The file of a database's schema.
fn schema(state: &State, settings: &Settings, word: &str) -> Result<PathBuf, Error> {
    if settings.schema != Component::Kiln {
        return settings.peers.share(settings.schema, &format!("ovn/ovn-{word}.ovsschema"));
    }
    let path = state.folder().join(format!("{word}.ovsschema"));
    let text = command::run(settings.peers.program(Component::Kiln, "schema")?.arg(word), "")?;
    fs::write(&path, text).context(|| format!("writing {}", path.display()))?;
    Ok(path)
}

/// The options that every daemon of OVN and Open vSwitch takes, with `folder` as its run directory.
///
/// `socket` is the name of the socket that it serves its database on, if it is a database server.
pub(crate) fn recipe(mut command: Command, folder: &Path, name: &str, socket: Option<&str>) -> Recipe {
    let control = folder.join(format!("{name}.ctl"));
    command.arg(format!("--unixctl={}", control.display()));
    let mut recipe = recipe_without_control(command, folder, name, socket);
    recipe.sockets.push(control);
    recipe
}

/// The same for a release whose daemon has no option for its control socket.
pub(crate) fn recipe_without_control(
    mut command: Command,
    folder: &Path,
    name: &str,
    socket: Option<&str>,
) -> Recipe {
    let path = |suffix: &str| folder.join(format!("{name}.{suffix}"));
    let log = path("log");
    let mut sockets = Vec::new();
    if let Some(socket) = socket {
        command.arg(format!("--remote=punix:{}", folder.join(socket).display()));
        sockets.push(folder.join(socket));
    }
    command.arg(format!("--log-file={}", log.display()));
    command.arg(format!("--pidfile={}", path("pid").display())).arg("-vconsole:off");
    for variable in ["OVS_RUNDIR", "OVN_RUNDIR", "OVS_LOGDIR", "OVN_LOGDIR", "OVS_DBDIR", "OVN_DBDIR"] {
        command.env(variable, folder);
    }
    Recipe { command, output: path("out"), log, sockets }
}
