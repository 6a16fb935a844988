//! A host: a namespace with one interface, attached to a chassis or to a physical network.

use crate::Error;
use crate::chassis::Chassis;
use crate::command;
use crate::namespace::Namespace;
use crate::settings::Settings;
use crate::state::State;
use crate::underlay::{Underlay, interface};
use kiln_topology::{Host as Plan, Seat};
use kiln_types::IpNet;
use std::fmt::Write;
use std::net::IpAddr;

/// A host that stands.
#[derive(Clone, Debug)]
pub struct Host {
    name: String,
    namespace: Namespace,
    /// Its addresses; for a host whose address northd chooses, known once it chose.
    addresses: Vec<IpNet>,
}

/// Makes the namespace and its interface, without addresses.
pub(crate) fn build(
    state: &State,
    settings: &Settings,
    underlay: &Underlay,
    chassis: &[Chassis],
    name: &str,
    plan: &Plan,
) -> Result<Host, Error> {
    let namespace = state.make_namespace(settings.namespace(name))?;
    match &plan.seat {
        Seat::Physical(network) => {
            underlay.plug(&namespace, "eth0", &interface("h-", name), Some(network))?;
        }
        Seat::Port { chassis: seat, port } => {
            let chassis = chassis.iter().find(|chassis| chassis.name() == seat);
            let chassis =
                chassis.ok_or_else(|| Error::Usage(format!("no chassis `{seat}` for host `{name}`")))?;
            attach(settings, chassis, &namespace, &interface("h-", name), port, plan.mtu)?;
        }
    }
    namespace.ip(&format!("link set eth0 address {} mtu {} up\n", plan.mac, plan.mtu))?;
    Ok(Host { name: name.into(), namespace, addresses: Vec::new() })
}

/// Puts a pair of interfaces between a host and the integration bridge, once the controller has made that.
fn attach(
    settings: &Settings,
    chassis: &Chassis,
    host: &Namespace,
    outer: &str,
    port: &str,
    mtu: u16,
) -> Result<(), Error> {
    chassis.namespace().ip(&format!(
        "link add name {outer} mtu {mtu} type veth peer name eth0 mtu {mtu} netns {}\nlink set {outer} up\n",
        host.name()
    ))?;
    chassis.namespace().no_offload(outer)?;
    host.no_offload("eth0")?;
    let mut vsctl = chassis.vsctl(settings)?;
    vsctl.args(["--timeout=15", "wait-until", "Bridge", "br-int"]);
    vsctl.args(["--", "add-port", "br-int", outer, "--", "set", "Interface", outer]);
    command::run(vsctl.arg(format!("external_ids:iface-id=\"{port}\"")), "").map(drop)
}

impl Host {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its namespace.
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// Its first address of a family.
    pub fn address(&self, ipv6: bool) -> Option<IpAddr> {
        self.addresses.iter().map(IpNet::addr).find(|address| address.is_ipv6() == ipv6)
    }

    /// Whether an address is one of its own.
    pub fn has(&self, address: IpAddr) -> bool {
        self.addresses.iter().any(|net| net.addr() == address)
    }

    pub(crate) fn know(&mut self, addresses: Vec<IpNet>) {
        self.addresses = addresses;
    }

    /// Gives it addresses, and those of the planned routes whose family it has an address of.
    pub(crate) fn configure(&mut self, plan: &Plan, addresses: Vec<IpNet>) -> Result<(), Error> {
        let mut lines = String::new();
        for net in &addresses {
            let _ = writeln!(lines, "addr add {net} dev eth0");
        }
        for (to, via) in &plan.routes {
            if addresses.iter().any(|net| net.addr().is_ipv6() == via.is_ipv6()) {
                // A router's advertisement may have given it one to the same place before.
                let _ = writeln!(lines, "route replace {to} via {via} dev eth0");
            }
        }
        self.know(addresses);
        self.namespace.ip(&lines)
    }
}
