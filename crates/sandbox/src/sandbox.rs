//! A network made real: chassis, hosts, databases and daemons, from a file to the last open port, and away again.

use crate::Error;
use crate::chassis::{self, Chassis};
use crate::host::{self, Host};
use crate::northbound;
use crate::ovsdb::Client;
use crate::probe::{self, Row};
use crate::process::Daemon;
use crate::progress::Progress;
use crate::settings::Settings;
use crate::state::{self, Earlier, State};
use crate::underlay::{self, Underlay};
use crate::wait::Deadline;
use kiln_ovsdb::Text;
use kiln_topology::{Addressing, Network, Plan, Seat};
use kiln_types::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// A sandbox that stands. It is taken down when this is dropped, unless it is kept.
#[derive(Debug)]
pub struct Sandbox {
    settings: Settings,
    state: State,
    network: Network,
    underlay: Underlay,
    chassis: Vec<Chassis>,
    hosts: BTreeMap<String, Host>,
    kept: bool,
}

/// Builds the sandbox of a network and waits until every port is up and every flow installed.
///
/// If anything fails, what was built so far is taken down again.
pub fn up(network: &Network, settings: Settings, progress: &Progress) -> Result<Sandbox, Error> {
    check_prerequisites(network, &settings)?;
    make_room(&settings.folder(), &settings.name, progress)?;
    let state = State::create(&settings.folder())?;
    let built = build(network, settings, state, progress);
    built.map_err(|(folder, error)| {
        // What went wrong first is what the person has to know.
        let _ = state::clean(&folder);
        error
    })
}

/// Takes down the sandbox of a name, whether its maker lives or not. True if there was one.
pub fn down(settings: &Settings) -> Result<bool, Error> {
    state::clean(&settings.folder())
}

fn check_prerequisites(network: &Network, settings: &Settings) -> Result<(), Error> {
    if !rustix::process::geteuid().is_root() {
        return Err(Error::Usage("network namespaces need root; run this as root".into()));
    }
    let count = network.sandbox.chassis.len();
    if count == 0 {
        return Err(Error::Usage("the file's `sandbox` names no chassis".into()));
    }
    if count > underlay::CHASSIS_MAX {
        let max = underlay::CHASSIS_MAX;
        return Err(Error::Usage(format!(
            "{count} chassis are more than the underlay has addresses for ({max})"
        )));
    }
    for name in settings.controller.exceptions.keys().chain(settings.switch.exceptions.keys()) {
        if !network.sandbox.chassis.contains_key(name) {
            return Err(Error::Usage(format!("the file has no chassis `{name}`")));
        }
    }
    check_programs(network, settings)?;
    for program in ["ip", "ethtool", "ping"] {
        let found = std::env::var_os("PATH")
            .is_some_and(|path| std::env::split_paths(&path).any(|folder| folder.join(program).is_file()));
        if !found {
            return Err(Error::Missing { what: program.into(), path: program.into(), remedy: "packages" });
        }
    }
    Ok(())
}

/// Every program that a part needs is there, before anything is built.
fn check_programs(network: &Network, settings: &Settings) -> Result<(), Error> {
    let mut programs = vec![(settings.northd, "ovn-northd")];
    programs.extend(["ovsdb-server", "ovsdb-tool"].map(|name| (settings.database, name)));
    for chassis in network.sandbox.chassis.keys() {
        programs.push((settings.controller.of(chassis), "ovn-controller"));
        let switch = ["ovs-vswitchd", "ovsdb-server", "ovsdb-tool", "ovs-vsctl"];
        programs.extend(switch.map(|name| (settings.switch.of(chassis), name)));
    }
    programs.into_iter().try_for_each(|(component, name)| settings.peers.program(component, name).map(drop))
}

/// Refuses to build over a sandbox that stands, and clears away one whose maker crashed.
fn make_room(folder: &Path, name: &str, progress: &Progress) -> Result<(), Error> {
    match State::earlier(folder) {
        Earlier::Nothing => Ok(()),
        Earlier::InUse => Err(Error::Usage(format!("a sandbox `{name}` is at work; choose another --name"))),
        Earlier::Kept => {
            let hint = "take it down first (`down`), or choose another --name";
            Err(Error::Usage(format!("a sandbox `{name}` stands already; {hint}")))
        }
        Earlier::Crashed => {
            progress.say("cleaning", "what an earlier run left behind");
            state::clean(folder).map(drop)
        }
    }
}

type Failure = (std::path::PathBuf, Error);

fn build(
    network: &Network,
    settings: Settings,
    state: State,
    progress: &Progress,
) -> Result<Sandbox, Failure> {
    let folder = state.folder().to_owned();
    let physical = physical_networks(network);
    let underlay = underlay::build(&state, &settings, &physical).map_err(|error| (folder.clone(), error))?;
    progress.say("underlay", underlay.namespace.name());
    let mut sandbox = Sandbox {
        settings,
        state,
        network: Network::default(),
        underlay,
        chassis: Vec::new(),
        hosts: BTreeMap::new(),
        kept: false,
    };
    sandbox.furnish(network, &physical, progress).map_err(|error| (folder, error))?;
    Ok(sandbox)
}

/// The physical networks that `localnet` ports lead to or hosts are attached to.
fn physical_networks(network: &Network) -> BTreeSet<String> {
    let ports = network.switches.values().flat_map(|switch| switch.ports.values());
    let ports = ports.filter(|port| port.kind == "localnet");
    let named = ports.filter_map(|port| port.options.get("network_name").cloned());
    let seats = network.sandbox.hosts.values().filter_map(|host| match &host.seat {
        Seat::Physical(network) => Some(network.clone()),
        Seat::Port { .. } => None,
    });
    named.chain(seats).collect()
}

impl Sandbox {
    fn furnish(
        &mut self,
        network: &Network,
        physical: &BTreeSet<String>,
        progress: &Progress,
    ) -> Result<(), Error> {
        let settings = self.settings.clone();
        self.underlay.start_databases(&self.state, &settings)?;
        progress.say("databases", &settings.peers.version(settings.database, "ovsdb-server")?);
        self.underlay.start_northd(&self.state, &settings)?;
        progress.say("northd", &settings.peers.version(settings.northd, "ovn-northd")?);
        for (index, (name, plan)) in network.sandbox.chassis.iter().enumerate() {
            crate::wait::check_interrupt()?;
            let ids = &plan.external_ids;
            let chassis = chassis::build(&self.state, &settings, &self.underlay, name, index, ids, physical)?;
            let switch = settings.peers.version(settings.switch.of(name), "ovs-vswitchd")?;
            let controller = settings.peers.version(settings.controller.of(name), "ovn-controller")?;
            progress
                .say(&format!("chassis {name}"), &format!("{} · {switch} · {controller}", chassis.address()));
            self.chassis.push(chassis);
        }
        let plan = self.apply(network)?;
        progress.say("network", &format!("{}: {} rows", network.name, plan.changes.len()));
        for (name, plan) in &network.sandbox.hosts {
            crate::wait::check_interrupt()?;
            self.build_host(name, plan)?;
        }
        progress.say("hosts", &network.sandbox.hosts.keys().cloned().collect::<Vec<_>>().join(" "));
        self.converge()?;
        progress.say("ready", "every port is up, every flow installed");
        Ok(())
    }

    fn build_host(&mut self, name: &str, plan: &kiln_topology::Host) -> Result<(), Error> {
        let mut host = host::build(&self.state, &self.settings, &self.underlay, &self.chassis, name, plan)?;
        if let Addressing::Static(addresses) = &plan.addressing {
            host.configure(plan, addresses.clone())?;
        }
        self.hosts.insert(name.to_owned(), host);
        Ok(())
    }

    /// Adds a host. Its port stands in the northbound database, or will, whoever writes it there;
    /// [`converge`](Self::converge) then waits for it as well.
    pub fn add_host(&mut self, name: &str, plan: &kiln_topology::Host) -> Result<(), Error> {
        self.build_host(name, plan)?;
        self.network.sandbox.hosts.insert(name.to_owned(), plan.clone());
        Ok(())
    }

    /// Makes the northbound database say what a network says, and returns what that changed.
    ///
    /// Its hosts and chassis are not touched: only what this sandbox was built with stands.
    pub fn apply(&mut self, network: &Network) -> Result<Plan, Error> {
        let plan = northbound::apply(&self.underlay.northbound, network)?;
        self.network = network.clone();
        Ok(plan)
    }

    /// Waits until every chassis is registered and every host's port is up, gives hosts the addresses that northd
    /// chose, and waits until every chassis has caught up with the northbound database.
    pub fn converge(&mut self) -> Result<(), Error> {
        let deadline = Deadline::after(self.settings.patience);
        self.wait_for_chassis(deadline)?;
        self.wait_for_ports(deadline)?;
        self.adopt_dynamic_addresses(deadline)?;
        self.greet(deadline)?;
        self.sync(deadline.left().max(Duration::from_secs(5)))
    }

    fn wait_for_chassis(&mut self, deadline: Deadline) -> Result<(), Error> {
        let mut southbound = self.underlay.southbound.open()?;
        let wanted: BTreeSet<Text> =
            self.network.sandbox.chassis.keys().map(|name| name.as_str().into()).collect();
        let mut missing = wanted.clone();
        let condition = |southbound: &mut Client<_>| {
            let there = southbound.values::<Text>("Chassis", &[], "name")?.into_iter().collect();
            missing = wanted.difference(&there).cloned().collect();
            Ok(missing.is_empty().then_some(()))
        };
        let what = "every chassis to register in the southbound database";
        let check = || check(&mut self.underlay.daemons, &mut self.chassis);
        let waited = southbound.wait_for(what, deadline, condition, check);
        waited.map_err(|error| error.with_detail(|| format!("; missing: {}", list(&missing))))
    }

    fn wait_for_ports(&mut self, deadline: Deadline) -> Result<(), Error> {
        let mut northbound = self.underlay.northbound.open()?;
        let mut down: BTreeSet<Text> =
            self.network.sandbox.hosts.values().filter_map(port_of).map(Text::from).collect();
        let condition = |northbound: &mut Client<_>| {
            let mut still = BTreeSet::new();
            for port in &down {
                let up = northbound.values::<Option<bool>>("Logical_Switch_Port", &[("name", port)], "up")?;
                if up != [Some(true)] {
                    still.insert(port.clone());
                }
            }
            down = still;
            Ok(down.is_empty().then_some(()))
        };
        let check = || check(&mut self.underlay.daemons, &mut self.chassis);
        let waited = northbound.wait_for("every host's port to be up", deadline, condition, check);
        waited.map_err(|error| error.with_detail(|| format!("; not up: {}", list(&down))))
    }

    /// Waits until every chassis has installed what the northbound database says now.
    pub fn sync(&mut self, within: Duration) -> Result<(), Error> {
        let mut northbound = self.underlay.northbound.open()?;
        let mut txn = northbound.txn();
        txn.mutate("NB_Global").add("nb_cfg", &1);
        northbound.commit(txn)?;
        let number = northbound.values::<i64>("NB_Global", &[], "nb_cfg")?;
        let condition = |northbound: &mut Client<_>| {
            let reached = northbound.values::<i64>("NB_Global", &[], "hv_cfg")?;
            Ok((reached >= number).then_some(()))
        };
        let what = "every chassis to catch up with the northbound database";
        let check = || check(&mut self.underlay.daemons, &mut self.chassis);
        northbound.wait_for(what, Deadline::after(within), condition, check)
    }

    fn adopt_dynamic_addresses(&mut self, deadline: Deadline) -> Result<(), Error> {
        let mut northbound = self.underlay.northbound.open()?;
        for (name, plan) in &self.network.sandbox.hosts {
            let (Addressing::Dynamic(nets), Some(port)) = (&plan.addressing, port_of(plan)) else { continue };
            let what = format!("northd to choose the address of {port}");
            let condition = |northbound: &mut Client<_>| {
                let key = [("name", port)];
                let chosen =
                    northbound.values::<Option<Text>>("Logical_Switch_Port", &key, "dynamic_addresses")?;
                Ok(chosen.into_iter().flatten().next())
            };
            let text = northbound.wait_for(&what, deadline, condition, || Ok(()))?;
            let mut words = text.split(' ');
            let mac = words.next().unwrap_or_default();
            let length = |ip: IpAddr| {
                let holding = nets.iter().filter(|net| net.contains(&ip)).map(IpNet::prefix_len);
                holding.max().unwrap_or(if ip.is_ipv6() { 64 } else { 24 })
            };
            let addresses = words.filter_map(|word| word.parse().ok());
            let addresses = addresses.filter_map(|ip| IpNet::new(ip, length(ip)).ok()).collect();
            let host = self.hosts.get_mut(name).expect("every host of the file was built");
            host.namespace()
                .ip(&format!("link set eth0 address {mac}\naddr flush dev eth0 scope global\n"))?;
            host.configure(plan, addresses)?;
        }
        Ok(())
    }

    fn greet(&self, deadline: Deadline) -> Result<(), Error> {
        for chassis in &self.chassis {
            for other in self.chassis.iter().filter(|other| other.name() != chassis.name()) {
                chassis.greet(other.address(), deadline)?;
            }
        }
        Ok(())
    }

    /// Runs every probe of the file.
    pub fn probe(&self) -> Result<Vec<Row>, Error> {
        self.run(&self.network.sandbox.probes)
    }

    /// Runs probes between hosts that stand.
    pub fn run(&self, probes: &[kiln_topology::Probe]) -> Result<Vec<Row>, Error> {
        probe::run(probes, &self.hosts)
    }

    /// Leaves the sandbox standing when this is dropped.
    pub fn keep(&mut self) -> Result<(), Error> {
        self.kept = true;
        self.state.keep()
    }

    /// Takes everything down, and fails if something stays.
    pub fn down(mut self) -> Result<(), Error> {
        self.kept = true;
        state::clean(self.state.folder()).map(drop)
    }

    /// What the sandbox is made of.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The folder with the databases' sockets, the logs and a folder for each chassis.
    pub fn folder(&self) -> &Path {
        self.state.folder()
    }

    /// A host of the file.
    pub fn host(&self, name: &str) -> Result<&Host, Error> {
        self.hosts.get(name).ok_or_else(|| Error::Usage(format!("there is no host `{name}`")))
    }

    /// Every host.
    pub fn hosts(&self) -> impl Iterator<Item = &Host> {
        self.hosts.values()
    }

    /// Every chassis' name and the name of its namespace.
    pub fn chassis_namespaces(&self) -> impl Iterator<Item = (&str, &str)> {
        self.chassis.iter().map(|chassis| (chassis.name(), chassis.namespace().name()))
    }

    /// A chassis of the file.
    pub fn chassis(&mut self, name: &str) -> Result<&mut Chassis, Error> {
        let found = self.chassis.iter_mut().find(|chassis| chassis.name() == name);
        found.ok_or_else(|| Error::Usage(format!("there is no chassis `{name}`")))
    }

    /// A daemon that all chassis share: `nb-server`, `sb-server` or `northd`.
    pub fn daemon(&mut self, name: &str) -> Result<&mut Daemon, Error> {
        let found = self.underlay.daemons.iter_mut().find(|daemon| daemon.name() == name);
        found.ok_or_else(|| Error::Usage(format!("there is no daemon `{name}`")))
    }

    /// Starts a shared daemon that was stopped or killed.
    pub fn restart(&mut self, name: &str) -> Result<(), Error> {
        let found = self.underlay.daemons.iter_mut().find(|daemon| daemon.name() == name);
        let daemon = found.ok_or_else(|| Error::Usage(format!("there is no daemon `{name}`")))?;
        daemon.restart(&self.state, Deadline::after(Duration::from_secs(10)))
    }

    /// Starts those daemons of a chassis that were stopped or killed.
    pub fn restart_chassis(&mut self, name: &str) -> Result<(), Error> {
        let found = self.chassis.iter_mut().find(|chassis| chassis.name() == name);
        let chassis = found.ok_or_else(|| Error::Usage(format!("there is no chassis `{name}`")))?;
        chassis.restart(&self.state)
    }

    /// `ovn-nbctl` of the release of the database server, for the northbound database.
    pub fn nbctl(&self) -> Result<Command, Error> {
        self.tool("ovn-nbctl", &self.underlay.northbound.socket)
    }

    /// `ovn-sbctl` of the release of the database server, for the southbound database.
    pub fn sbctl(&self) -> Result<Command, Error> {
        self.tool("ovn-sbctl", &self.underlay.southbound.socket)
    }

    fn tool(&self, name: &str, socket: &Path) -> Result<Command, Error> {
        let mut command = self.settings.peers.program(self.settings.database, name)?;
        command.arg(format!("--db=unix:{}", socket.display()));
        Ok(command)
    }
}

/// Fails if a daemon ended on its own.
fn check(shared: &mut [Daemon], chassis: &mut [Chassis]) -> Result<(), Error> {
    shared.iter_mut().try_for_each(Daemon::check)?;
    chassis.iter_mut().flat_map(Chassis::daemons).try_for_each(Daemon::check)
}

/// The logical port that a host is behind.
fn port_of(host: &kiln_topology::Host) -> Option<&str> {
    match &host.seat {
        Seat::Port { port, .. } => Some(port),
        Seat::Physical(_) => None,
    }
}

fn list(names: &BTreeSet<Text>) -> String {
    names.iter().map(|name| &**name).collect::<Vec<_>>().join(", ")
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if !self.kept {
            // A drop cannot report; the journal stays if something does, and the next run clears it.
            let _ = state::clean(self.state.folder());
        }
    }
}
