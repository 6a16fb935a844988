//! What no single key can tell: names taken twice, addresses taken twice, next hops out of reach.

use crate::file::{Log, Origin};
use crate::model::{Attached, Network, PolicyAction, Route, Router, Switch, Via};
use kiln_types::{EthAddr, IpNet};
use std::collections::BTreeMap;
use std::net::IpAddr;

pub(crate) fn network(network: &Network, log: &Log) {
    port_names(network, log);
    for (name, switch) in &network.switches {
        addresses(network, name, switch, log);
        parents(switch, log);
    }
    for router in network.routers.values() {
        router_networks(router, log);
        repeated(router, log);
        for route in &router.routes {
            route_reach(router, route, log);
        }
        for policy in &router.policies {
            if let PolicyAction::Reroute(hops) = &policy.action {
                reach(router, hops, &policy.at, log);
            }
        }
    }
}

/// Switch ports and router ports share one space of names: that of the southbound port bindings.
fn port_names(network: &Network, log: &Log) {
    let mut first: BTreeMap<&str, &Origin> = BTreeMap::new();
    let switch_ports = network.switches.values().flat_map(|switch| &switch.ports).map(|(n, p)| (n, &p.at));
    let router_ports = network.routers.values().flat_map(|router| &router.ports).map(|(n, p)| (n, &p.at));
    for (name, at) in switch_ports.chain(router_ports) {
        if let Some(other) = first.insert(name, at) {
            let (earlier, later) = if other.place < at.place { (other, at) } else { (at, other) };
            let found = format!("`{name}` again (first in line {})", earlier.place.line);
            log.about(later, "a name that no other port of the file has", found);
        }
    }
}

/// On one switch, each Ethernet and each IP address belongs to one port. Those of its routers count.
fn addresses(network: &Network, name: &str, switch: &Switch, log: &Log) {
    let mut macs: BTreeMap<EthAddr, &str> = BTreeMap::new();
    let mut ips: BTreeMap<IpAddr, &str> = BTreeMap::new();
    for (port_name, port) in router_ports_of(network, name) {
        macs.insert(port.mac, port_name);
        ips.extend(port.networks.iter().map(|net| (net.addr(), port_name)));
    }
    for (port_name, port) in &switch.ports {
        if port.kind == "router" || port.kind == "localnet" {
            continue;
        }
        if let Some(other) = macs.insert(port.mac, port_name) {
            let found = format!("{}, which `{other}` has", port.mac);
            log.about(&port.at, "an Ethernet address of its own (`mac`)", found);
        }
        for &ip in &port.ips {
            if let Some(other) = ips.insert(ip, port_name) {
                log.about(&port.at, "an IP address of its own", format!("{ip}, which `{other}` has"));
            }
        }
    }
}

fn parents(switch: &Switch, log: &Log) {
    for port in switch.ports.values() {
        match &port.parent {
            Some(parent) if !switch.ports.contains_key(parent) => {
                log.about(&port.at, "a port of the same switch as `parent`", format!("`{parent}`"));
            }
            Some(_) if port.tag.is_none() => {
                log.about(&port.at, "a `tag` beside `parent` (0 to have one chosen)", "none");
            }
            _ => {}
        }
    }
}

fn router_networks(router: &Router, log: &Log) {
    let mut taken: BTreeMap<IpAddr, &str> = BTreeMap::new();
    for (name, port) in &router.ports {
        for net in port.networks.iter().filter(|net| !is_link_local(net.addr())) {
            if let Some(other) = taken.insert(net.addr(), name) {
                let found = format!("{}, which `{other}` has", net.addr());
                log.about(&port.at, "an IP address of its own", found);
            }
        }
    }
}

/// Two routes or policies that nothing tells apart could not be told apart in the database either.
fn repeated(router: &Router, log: &Log) {
    let mut routes = BTreeMap::new();
    for route in &router.routes {
        let hops = match &route.via {
            Via::Discard => vec![None],
            Via::Hops(hops) => hops.iter().copied().map(Some).collect(),
        };
        for hop in hops {
            let key = (&route.route_table, route.prefix, &route.policy, hop, &route.output_port);
            if let Some(first) = routes.insert(key, &route.at) {
                let found = format!("the same as in line {}", first.place.line);
                log.about(&route.at, "a route and a next hop that is not there yet", found);
            }
        }
    }
    let mut policies = BTreeMap::new();
    for policy in &router.policies {
        if let Some(first) = policies.insert((&policy.chain, policy.priority, &policy.matches), &policy.at) {
            let found = format!("those of line {}", first.place.line);
            log.about(&policy.at, "a priority and a match that no other policy has", found);
        }
    }
}

fn route_reach(router: &Router, route: &Route, log: &Log) {
    if let Some(port) = &route.output_port {
        if !router.ports.contains_key(port) {
            let ports: Vec<_> = router.ports.keys().map(String::as_str).collect();
            let expected = format!("a port of the router ({})", listed(&ports));
            log.about(&route.at, expected, format!("`port: {port}`"));
        }
        return;
    }
    if let Via::Hops(hops) = &route.via {
        reach(router, hops, &route.at, log);
    }
}

fn reach(router: &Router, hops: &[IpAddr], at: &Origin, log: &Log) {
    for hop in hops {
        if !router.ports.values().flat_map(|port| &port.networks).any(|net| net.contains(hop)) {
            let nets: Vec<_> =
                router.ports.values().flat_map(|port| &port.networks).map(IpNet::to_string).collect();
            let nets: Vec<_> = nets.iter().map(String::as_str).collect();
            let expected = format!("next hops in a network of the router's ports ({})", listed(&nets));
            log.about(at, expected, hop.to_string());
        }
    }
}

/// The router ports that are attached to a switch, by name.
pub(crate) fn router_ports_of<'n>(
    network: &'n Network,
    switch: &'n str,
) -> impl Iterator<Item = (&'n str, &'n crate::model::RouterPort)> {
    let is_here =
        move |attached: &Attached| matches!(attached, Attached::Switch { switch: s, .. } if s == switch);
    let ports = network.routers.values().flat_map(|router| &router.ports);
    ports.filter(move |(_, port)| is_here(&port.attached)).map(|(name, port)| (name.as_str(), port))
}

/// Names that could have stood there, for a person.
pub(crate) fn listed(names: &[&str]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn is_link_local(addr: IpAddr) -> bool {
    match addr {
        IpAddr::V4(addr) => addr.is_link_local(),
        IpAddr::V6(addr) => addr.is_unicast_link_local(),
    }
}
