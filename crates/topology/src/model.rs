//! What a network file says, with its defaults filled in.
//!
//! Names are the keys of the maps. [`Origin`]s are kept where a later stage may have something to say about an item.

use crate::file::Origin;
use kiln_types::{EthAddr, IpNet, Ipv4Net, Ipv6Net};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// A network, and how the sandbox shows it working.
#[derive(Clone, Debug, Default)]
pub struct Network {
    /// The network's name: the mark that its rows carry, by which a later `apply` knows them again.
    pub name: String,
    /// `NB_Global.options`, merged key by key into those that are there.
    pub options: BTreeMap<String, String>,
    /// Logical switches by name.
    pub switches: BTreeMap<String, Switch>,
    /// Logical routers by name.
    pub routers: BTreeMap<String, Router>,
    /// Hosts, chassis and probes; nothing of it reaches the northbound database.
    pub sandbox: Sandbox,
}

/// A `Logical_Switch`.
#[derive(Clone, Debug, Default)]
pub struct Switch {
    /// Where the file says so.
    pub at: Origin,
    /// `other_config`, with `subnet`, `exclude_ips` and `ipv6_prefix` among it.
    pub other_config: BTreeMap<String, String>,
    /// The subnet that dynamic IPv4 addresses come from.
    pub subnet: Option<Ipv4Net>,
    /// The prefix that dynamic IPv6 addresses come from.
    pub ipv6_prefix: Option<Ipv6Net>,
    /// Ports by name, those towards routers included.
    pub ports: BTreeMap<String, SwitchPort>,
}

/// A `Logical_Switch_Port`.
#[derive(Clone, Debug, Default)]
pub struct SwitchPort {
    /// Where the file says so.
    pub at: Origin,
    /// `type`: empty for a host's port, or `router`, `localnet`, `localport`, ….
    pub kind: String,
    /// The address of what is behind the port: stated, or derived from the port's name.
    pub mac: EthAddr,
    /// The addresses of what is behind the port, as far as the file tells.
    pub ips: Vec<IpAddr>,
    /// `addresses`.
    pub addresses: Vec<String>,
    /// `port_security`.
    pub port_security: Vec<String>,
    /// `options`.
    pub options: BTreeMap<String, String>,
    /// `parent_name`: the port that this one is nested in.
    pub parent: Option<String>,
    /// `tag_request`: the VLAN, 0 to have northd choose one.
    pub tag: Option<u16>,
    /// `enabled`, if stated.
    pub enabled: Option<bool>,
}

impl SwitchPort {
    /// Whether northd is to choose the address.
    pub fn is_dynamic(&self) -> bool {
        self.addresses.iter().any(|entry| entry.split(' ').any(|word| word == "dynamic"))
    }
}

/// A `Logical_Router`.
#[derive(Clone, Debug, Default)]
pub struct Router {
    /// Where the file says so.
    pub at: Origin,
    /// `enabled`, if stated.
    pub enabled: Option<bool>,
    /// `options`.
    pub options: BTreeMap<String, String>,
    /// Ports by name.
    pub ports: BTreeMap<String, RouterPort>,
    /// Static routes in the file's order.
    pub routes: Vec<Route>,
    /// Policies in the file's order.
    pub policies: Vec<Policy>,
}

/// A `Logical_Router_Port`.
#[derive(Clone, Debug, Default)]
pub struct RouterPort {
    /// Where the file says so.
    pub at: Origin,
    /// `mac`: stated, or derived from the port's name.
    pub mac: EthAddr,
    /// `networks`: an address each, with the length of its prefix.
    pub networks: Vec<IpNet>,
    /// What the port is attached to.
    pub attached: Attached,
    /// `enabled`, if stated.
    pub enabled: Option<bool>,
    /// `options`.
    pub options: BTreeMap<String, String>,
    /// `ipv6_ra_configs`.
    pub ipv6_ra_configs: BTreeMap<String, String>,
    /// Rows of `Static_MAC_Binding` for this port, by address.
    pub static_mac_bindings: BTreeMap<IpAddr, StaticMacBinding>,
}

/// What a router port is attached to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Attached {
    /// Nothing.
    #[default]
    Nowhere,
    /// A switch, by the switch's port of type `router`.
    Switch {
        /// The switch.
        switch: String,
        /// The switch's port.
        port: String,
    },
    /// A router port, by its name.
    Peer(String),
}

/// A `Static_MAC_Binding`, but for its port and address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StaticMacBinding {
    /// `mac`.
    pub mac: EthAddr,
    /// `override_dynamic_mac`.
    pub override_dynamic_mac: bool,
}

/// A static route: one `Logical_Router_Static_Route` for each next hop.
#[derive(Clone, Debug)]
pub struct Route {
    /// Where the file says so.
    pub at: Origin,
    /// `ip_prefix`.
    pub prefix: IpNet,
    /// `nexthop`.
    pub via: Via,
    /// `output_port`.
    pub output_port: Option<String>,
    /// `policy`, if stated: `src-ip` or `dst-ip`.
    pub policy: Option<String>,
    /// `route_table`, empty for the main one.
    pub route_table: String,
    /// `selection_fields`.
    pub selection_fields: Vec<String>,
    /// `options`.
    pub options: BTreeMap<String, String>,
}

/// Where a route leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Via {
    /// To one of several next hops.
    Hops(Vec<IpAddr>),
    /// Nowhere: packets are dropped.
    Discard,
}

/// A `Logical_Router_Policy`.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Where the file says so.
    pub at: Origin,
    /// `priority`.
    pub priority: u16,
    /// `match`, unparsed.
    pub matches: String,
    /// `action`.
    pub action: PolicyAction,
    /// `chain`.
    pub chain: Option<String>,
    /// `options`.
    pub options: BTreeMap<String, String>,
}

/// What a policy does with a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PolicyAction {
    /// Routed as if there were no policy.
    Allow,
    /// Dropped.
    Drop,
    /// Sent to one of the next hops.
    Reroute(Vec<IpAddr>),
    /// Judged by another chain.
    Jump(String),
}

/// How the sandbox makes a network real.
#[derive(Clone, Debug, Default)]
pub struct Sandbox {
    /// Chassis by name.
    pub chassis: BTreeMap<String, Chassis>,
    /// Hosts by name.
    pub hosts: BTreeMap<String, Host>,
    /// Probes in the file's order.
    pub probes: Vec<Probe>,
}

/// A chassis: a switch with a controller of its own.
#[derive(Clone, Debug, Default)]
pub struct Chassis {
    /// `external_ids` of the chassis' `Open_vSwitch` row, besides those that the sandbox needs itself.
    pub external_ids: BTreeMap<String, String>,
}

/// A host: a network namespace behind a switch port, or on a physical network.
#[derive(Clone, Debug)]
pub struct Host {
    /// Where the file says so.
    pub at: Origin,
    /// Where it is attached.
    pub seat: Seat,
    /// Its address on the link.
    pub mac: EthAddr,
    /// How it gets its addresses.
    pub addressing: Addressing,
    /// Its routes: a prefix and a next hop.
    pub routes: Vec<(IpNet, IpAddr)>,
    /// The MTU of its interface.
    pub mtu: u16,
}

/// Where a host is attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seat {
    /// To a logical switch port that a chassis binds.
    Port {
        /// The chassis.
        chassis: String,
        /// The logical port.
        port: String,
    },
    /// To a physical network, outside of all chassis: what a `localnet` port leads to.
    Physical(String),
}

/// How a host gets its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addressing {
    /// It has these.
    Static(Vec<IpNet>),
    /// It has those that northd chose for its port, in the networks of the port's switch.
    Dynamic(Vec<IpNet>),
}

impl Host {
    /// The host's first address of a family, if the file tells it.
    pub fn address(&self, ipv6: bool) -> Option<IpAddr> {
        match &self.addressing {
            Addressing::Static(list) => list.iter().map(IpNet::addr).find(|addr| addr.is_ipv6() == ipv6),
            Addressing::Dynamic(_) => None,
        }
    }
}

/// Something to try between hosts, and what must come of it.
#[derive(Clone, Debug)]
pub struct Probe {
    /// Where the file says so.
    pub at: Origin,
    /// The host that tries.
    pub from: String,
    /// What it tries to reach.
    pub to: Target,
    /// Over IPv6 rather than IPv4.
    pub ipv6: bool,
    /// What it does.
    pub kind: ProbeKind,
    /// What must come of it.
    pub expect: Expect,
}

/// What a probe tries to reach.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A host of the sandbox, at its first address of the probe's family.
    Host(String),
    /// An address.
    Addr(IpAddr),
}

/// What a probe does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProbeKind {
    /// Sends ICMP echo requests.
    Ping {
        /// How many; every one must be answered.
        count: u32,
        /// Bytes of payload in each.
        size: u32,
    },
    /// Counts the hops by the errors of expired packets.
    Traceroute {
        /// The routers on the way, if they must be these.
        via: Option<Vec<IpAddr>>,
        /// The number of hops, the target included, if it must be this.
        hops: Option<u32>,
    },
    /// Sends a payload to a server on the target, which sends it back.
    Tcp {
        /// The server's port.
        port: u16,
        /// Bytes of payload.
        bytes: u32,
    },
}

/// What must come of a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Expect {
    /// The target answers, as the probe's kind asks.
    #[default]
    Ok,
    /// The target is not reached, whether somebody says so or nobody does.
    Unreachable,
    /// The target is not reached, and an ICMP error or a reset says so.
    Error,
}
