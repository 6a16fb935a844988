//! A system under test: the network of a file of cases, with Kiln's northd and controllers or with stock's. All else is the
//! same stock release on both sides.

use crate::decode::{Frame, Names};
use crate::script::Script;
use crate::station::Station;
use kiln_sandbox::{Component, PerChassis, Progress, Sandbox, Settings, up};
use kiln_testkit::words;
use kiln_topology::{Attached, Host, Network, Seat};
use kiln_types::EthAddr;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long anything that is waited for may take.
pub const PATIENCE: Duration = Duration::from_secs(5);
/// How long commands may take.
const COMMAND: &str = "15";
/// Where a fence goes: nowhere, since it expires before it is routed (RFC 5737).
const FENCE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 254);

pub struct System {
    pub sandbox: Sandbox,
    pub stations: BTreeMap<String, Station>,
    fences: BTreeMap<String, Vec<u8>>,
    count: u16,
}

/// Ethernet addresses that packets are made with.
pub struct Macs {
    /// Of each host and its gateway.
    pub hosts: BTreeMap<String, (EthAddr, EthAddr)>,
    /// Of everything that has one, by name.
    pub all: BTreeMap<String, EthAddr>,
}

impl Macs {
    pub fn of(network: &Network) -> Macs {
        let router_ports = network.routers.values().flat_map(|router| &router.ports);
        let mut all: BTreeMap<String, EthAddr> =
            router_ports.map(|(name, port)| (name.clone(), port.mac)).collect();
        let hosts = network.sandbox.hosts.iter();
        all.extend(hosts.clone().map(|(name, host)| (name.clone(), host.mac)));
        let gateway = |host: &Host| gateway(network, host).map_or(host.mac, |(mac, _)| mac);
        Macs { hosts: hosts.map(|(name, host)| (name.clone(), (host.mac, gateway(host)))).collect(), all }
    }

    fn names(&self) -> Names {
        self.all.iter().map(|(name, mac)| (mac.0, name.clone())).collect()
    }
}

/// The router port of a host's network: its Ethernet address, and its first IPv4 address.
fn gateway(network: &Network, host: &Host) -> Option<(EthAddr, Option<Ipv4Addr>)> {
    let (name, _) = network.switches.iter().find(|(_, switch)| match &host.seat {
        Seat::Port { port, .. } => switch.ports.contains_key(port),
        Seat::Physical(physical) => {
            let leads = |options: &BTreeMap<String, String>| options.get("network_name") == Some(physical);
            switch.ports.values().any(|port| leads(&port.options))
        }
    })?;
    let mut ports = network.routers.values().flat_map(|router| router.ports.values());
    let port =
        ports.find(|port| matches!(&port.attached, Attached::Switch { switch, .. } if switch == name))?;
    let first = port.networks.iter().find_map(|net| match net.addr() {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    });
    Some((port.mac, first))
}

/// A packet from a host that expires at its gateway, whose controller says so: when that has come, all that the host sent
/// before has been dealt with, there and in the switches on the way.
fn fence(network: &Network, host: &Host) -> Option<Vec<u8>> {
    let (gateway, address) = gateway(network, host)?;
    let [a, b, c, _] = address?.octets();
    let own = host.address(false).map_or(Ipv4Addr::new(a, b, c, 250), |own| match own {
        IpAddr::V4(own) => own,
        IpAddr::V6(_) => unreachable!("it was asked for the other family"),
    });
    let mut frame = [&gateway.0[..], &host.mac.0[..], &[8, 0]].concat();
    frame.extend([0x45, 0, 0, 28, 0, 0, 0, 0, 1, 17, 0, 0]);
    frame.extend([own.octets(), FENCE.octets()].concat());
    // A datagram to the port for what is discarded (RFC 863), without a checksum.
    frame.extend([0, 9, 0, 9, 0, 8, 0, 0]);
    Some(frame)
}

/// Whether a frame has to do with a fence.
pub fn of_fence(frame: &Frame) -> bool {
    frame.has(&format!("q.dst={FENCE}"))
}

impl System {
    /// Builds the network, and captures at every host.
    #[track_caller]
    pub fn start(script: &Script, network: &Network, group: &str, whose: Component) -> System {
        let mut settings = Settings {
            name: format!("l3-{group}-{whose}"),
            northd: whose,
            controller: PerChassis::all(whose),
            patience: Duration::from_mins(1),
            ..Settings::stock(Component::Stock)
        };
        settings.peers.kiln = Some(kiln());
        let sandbox = up(network, settings, &Progress::quiet()).unwrap_or_else(|error| panic!("{error}"));
        let names = Arc::new(Macs::of(network).names());
        let stations = sandbox.hosts().map(|host| (host.name().to_owned(), Station::start(host, &names)));
        let stations = stations.collect();
        let hosts = network.sandbox.hosts.iter();
        let fences = hosts.filter_map(|(name, host)| Some((name.clone(), fence(network, host)?))).collect();
        let mut system = System { sandbox, stations, fences, count: 0 };
        for line in &script.nbctl {
            system.nbctl(line).unwrap_or_else(|error| panic!("{error}"));
        }
        system.sync().unwrap_or_else(|error| panic!("{error}"));
        system
    }

    /// Waits until what was sent from a host has been dealt with.
    pub fn fence(&mut self, host: &str) -> Result<(), String> {
        let Some(frame) = self.fences.get_mut(host) else { return Ok(()) };
        self.count += 1;
        let [high, low] = self.count.to_be_bytes();
        (frame[18], frame[19]) = (high, low);
        // The header's checksum (RFC 1071), which is in the eleventh byte.
        (frame[24], frame[25]) = (0, 0);
        let words = frame[14..34].chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]));
        let sum: u32 = words.sum();
        let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
        (frame[24], frame[25]) = ((sum >> 8) as u8, sum as u8);
        let (frame, number) = (frame.clone(), format!("q.id={}", self.count));
        let station = self.stations.get_mut(host).expect("a host has a station");
        let mark = station.mark();
        station.send(&[frame]);
        let told = |frames: &[Frame]| frames.iter().any(|frame| of_fence(frame) && frame.has(&number));
        if station.wait(mark, PATIENCE, told) {
            return Ok(());
        }
        Err(format!("{host} is not told that its packet expired"))
    }

    /// Runs a command in a host's namespace.
    pub fn run(&self, host: &str, command: &[String]) -> Result<Output, String> {
        let host = self.sandbox.host(host).map_err(|error| error.to_string())?;
        let mut bounded = Command::new("timeout");
        bounded.arg(COMMAND).args(command).env("LC_ALL", "C");
        host.namespace().output(&mut bounded).map_err(|error| error.to_string())
    }

    /// Runs a northbound command.
    pub fn nbctl(&self, line: &str) -> Result<String, String> {
        ended(self.sandbox.nbctl().map_err(|error| error.to_string())?.arg("--timeout=15").args(words(line)))
    }

    /// Runs a southbound command.
    pub fn sbctl(&self, line: &[String]) -> Result<String, String> {
        ended(self.sandbox.sbctl().map_err(|error| error.to_string())?.arg("--timeout=15").args(line))
    }

    /// Asks a chassis' controller something on its control socket.
    pub fn controller(&mut self, chassis: &str, line: &[String]) -> Result<String, String> {
        let peers = self.sandbox.settings().peers.clone();
        let chassis = self.sandbox.chassis(chassis).map_err(|error| error.to_string())?;
        let mut command = peers.program(Component::Stock, "ovs-appctl").map_err(|error| error.to_string())?;
        ended(command.arg("-t").arg(chassis.folder().join("ovn-controller.ctl")).args(line))
    }

    /// Asks a chassis' switch something on its control socket.
    pub fn switch(&mut self, chassis: &str, line: &[String]) -> Result<String, String> {
        let peers = self.sandbox.settings().peers.clone();
        let chassis = self.sandbox.chassis(chassis).map_err(|error| error.to_string())?;
        let mut command = peers.program(Component::Stock, "ovs-appctl").map_err(|error| error.to_string())?;
        ended(command.arg("-t").arg(chassis.folder().join("ovs-vswitchd.ctl")).args(line))
    }

    /// What a chassis' controller has logged.
    pub fn log(&mut self, chassis: &str) -> Result<String, String> {
        let chassis = self.sandbox.chassis(chassis).map_err(|error| error.to_string())?;
        std::fs::read_to_string(chassis.controller().log_path()).map_err(|error| error.to_string())
    }

    /// Waits until every chassis has caught up with the northbound database.
    pub fn sync(&mut self) -> Result<(), String> {
        self.sandbox.sync(Duration::from_secs(15)).map_err(|error| error.to_string())
    }

    /// Forgets what was learned of neighbours.
    pub fn forget(&mut self) -> Result<(), String> {
        self.sbctl(&words("--all destroy MAC_Binding"))?;
        self.sync()
    }

    /// Waits until a server listens at a host.
    pub fn listens(&self, host: &str, port: u16) -> Result<(), String> {
        let deadline = Instant::now() + Duration::from_secs(10);
        let sockets = words(&format!("ss -Hlntu sport = :{port}"));
        while Instant::now() < deadline {
            if !self.run(host, &sockets)?.stdout.is_empty() {
                return Ok(());
            }
        }
        Err(format!("nobody listens at port {port} of {host}"))
    }
}

/// The binary under test.
pub fn kiln() -> PathBuf {
    std::env::var_os("KILN").map_or_else(|| env!("CARGO_BIN_EXE_kiln").into(), PathBuf::from)
}

/// What a command printed, if it ended well.
fn ended(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let errors = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        return Err(format!("{command:?}: {}", errors.trim()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
