//! `sandbox`: chassis, hosts and probes.

use super::word;
use crate::check::router_ports_of;
use crate::file::{Cursor, Fields};
use crate::mac::derived_mac;
use crate::model::*;
use kiln_types::IpNet;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

const MTU: i64 = 1500;

pub(super) fn read(cursor: &Cursor<'_>, network: &Network) -> Sandbox {
    let mut sandbox = Sandbox::default();
    let mut fields = cursor.fields("a map with the keys chassis, hosts and probes");
    let stated = fields.get("chassis");
    if let Some(cursor) = &stated {
        sandbox.chassis = chassis(cursor);
    }
    let hosts = fields.get("hosts");
    let hosts: Vec<_> = hosts.iter().flat_map(|cursor| cursor.entries("a map of hosts by name")).collect();
    for (name, cursor) in &hosts {
        let Some(name) = word::sandbox_name(name, cursor) else { continue };
        if let Some(host) = host(&name, cursor, network) {
            seat_chassis(&host, cursor, &mut sandbox, stated.is_some());
            sandbox.hosts.insert(name, host);
        }
    }
    for (name, cursor) in &hosts {
        if sandbox.chassis.contains_key(*name) || *name == "underlay" {
            cursor.reject::<()>("a name that no chassis has, nor the underlay", format!("`{name}`"));
        }
    }
    let probes = fields.get("probes");
    let probes = probes.iter().flat_map(|cursor| cursor.list("a list of probes"));
    sandbox.probes = probes.filter_map(|cursor| probe(&cursor, &sandbox)).collect();
    fields.end();
    sandbox
}

/// A list of names, or a map of names to settings.
fn chassis(cursor: &Cursor<'_>) -> BTreeMap<String, Chassis> {
    if !cursor.is_map() {
        let list = cursor.list("a list of chassis, or a map of them by name");
        let names = list.iter().filter_map(|cursor| word::sandbox_name(cursor.text("a name")?, cursor));
        return names.map(|name| (name, Chassis::default())).collect();
    }
    let read = |(name, cursor): (&str, Cursor<'_>)| {
        let mut chassis = Chassis::default();
        if !cursor.is_null() {
            let mut fields = cursor.fields("a map with the key external_ids");
            chassis.external_ids = fields.texts("external_ids");
            fields.end();
        }
        Some((word::sandbox_name(name, &cursor)?, chassis))
    };
    cursor.entries("").into_iter().filter_map(read).collect()
}

/// A chassis that a host names exists, unless the file lists the chassis and forgets this one.
fn seat_chassis(host: &Host, cursor: &Cursor<'_>, sandbox: &mut Sandbox, stated: bool) {
    let Seat::Port { chassis, .. } = &host.seat else { return };
    if stated && !sandbox.chassis.contains_key(chassis) {
        let known: Vec<_> = sandbox.chassis.keys().map(String::as_str).collect();
        cursor.reject::<()>(format!("one of the chassis {}", known.join(", ")), format!("`{chassis}`"));
    }
    sandbox.chassis.entry(chassis.clone()).or_default();
}

/// A host. A text stands for its chassis.
fn host(name: &str, cursor: &Cursor<'_>, network: &Network) -> Option<Host> {
    if let Some(chassis) = cursor.scalar() {
        let chassis = word::sandbox_name(chassis, cursor)?;
        return host_on_port(name, cursor, network, chassis, None);
    }
    let mut fields = cursor.fields("a chassis, or a map with the key `chassis` or `physical`");
    let physical = fields.get("physical").and_then(|cursor| word::name(&cursor));
    let chassis = fields.get("chassis").and_then(|cursor| word::sandbox_name(cursor.scalar()?, &cursor));
    let host = match (chassis, physical) {
        (Some(chassis), None) => host_on_port(name, cursor, network, chassis, Some(&mut fields)),
        (None, Some(physical)) => host_outside(name, cursor, physical, &mut fields),
        _ => cursor.reject("either a `chassis` or a `physical` network", "both or neither"),
    };
    fields.end();
    host
}

fn host_on_port(
    name: &str,
    cursor: &Cursor<'_>,
    network: &Network,
    chassis: String,
    mut fields: Option<&mut Fields<'_>>,
) -> Option<Host> {
    let stated = fields.as_mut().and_then(|fields| fields.get("port"));
    let port_name = match &stated {
        Some(cursor) => word::name(cursor)?,
        None => name.to_owned(),
    };
    let found =
        network.switches.iter().find_map(|(s, switch)| Some((s, switch, switch.ports.get(&port_name)?)));
    let Some((switch_name, switch, port)) = found else {
        let expected = "a port of a switch of this file (`port`, or else the host's own name)";
        return stated.as_ref().unwrap_or(cursor).reject(expected, format!("`{port_name}`"));
    };
    let gateways: Vec<IpNet> =
        router_ports_of(network, switch_name).flat_map(|(_, port)| port.networks.iter().copied()).collect();
    let mut nets = gateways.clone();
    nets.extend(switch.subnet.map(IpNet::from));
    nets.extend(switch.ipv6_prefix.map(IpNet::from));

    let mac = fields.as_mut().and_then(|fields| fields.get("mac")).and_then(|cursor| word::mac(&cursor));
    let ip = fields.as_mut().and_then(|fields| fields.get("ip"));
    let addressing = match &ip {
        Some(cursor) => {
            let list = cursor.one_or_more();
            Addressing::Static(list.iter().filter_map(|cursor| host_address(cursor, &nets)).collect())
        }
        None if port.is_dynamic() => Addressing::Dynamic(nets),
        None => Addressing::Static(
            port.ips.iter().filter_map(|&ip| with_length(ip, &nets).or_else(|| no_net(cursor, ip))).collect(),
        ),
    };
    let mut host = Host {
        at: cursor.origin(),
        seat: Seat::Port { chassis, port: port_name },
        mac: mac.unwrap_or(port.mac),
        routes: default_routes(&gateways, &addressing),
        addressing,
        mtu: MTU as u16,
    };
    if let Some(fields) = fields {
        common(&mut host, fields);
    }
    Some(host)
}

fn host_outside(name: &str, cursor: &Cursor<'_>, physical: String, fields: &mut Fields<'_>) -> Option<Host> {
    let mac = fields.get("mac").and_then(|cursor| word::mac(&cursor));
    let ip = fields.get("ip")?;
    let addresses = ip.one_or_more().iter().filter_map(|cursor| host_address(cursor, &[])).collect();
    let mut host = Host {
        at: cursor.origin(),
        seat: Seat::Physical(physical),
        mac: mac.unwrap_or_else(|| derived_mac(name)),
        addressing: Addressing::Static(addresses),
        routes: Vec::new(),
        mtu: MTU as u16,
    };
    common(&mut host, fields);
    Some(host)
}

/// The keys that every host has. A stated `gateway` replaces the default routes; `none` is for no such route.
fn common(host: &mut Host, fields: &mut Fields<'_>) {
    if let Some(cursor) = fields.get("gateway") {
        host.routes.clear();
        if cursor.scalar() != Some("none") {
            host.routes = word::addresses(&cursor).into_iter().map(|via| (everything(via), via)).collect();
        }
    }
    let routes = fields.get("routes");
    for cursor in routes.iter().flat_map(|cursor| cursor.list("a list of routes")) {
        let mut fields = cursor.fields("a map with the keys to and via");
        let to = fields.get("to").map_or_else(|| cursor.fail("a prefix `to`"), |c| word::prefix(&c));
        let via = fields.get("via").map_or_else(|| cursor.fail("a next hop `via`"), |c| word::address(&c));
        fields.end();
        host.routes.extend(to.zip(via));
    }
    if let Some(cursor) = fields.get("mtu") {
        host.mtu = cursor.number(576..=9000).unwrap_or(MTU) as u16;
    }
}

/// An address with its length, or an address in one of `nets`.
fn host_address(cursor: &Cursor<'_>, nets: &[IpNet]) -> Option<IpNet> {
    let text = cursor.text("an address")?;
    match (text.parse::<IpNet>(), text.parse::<IpAddr>()) {
        (Ok(net), _) => Some(net),
        (_, Ok(ip)) => with_length(ip, nets).or_else(|| no_net(cursor, ip)),
        _ => cursor.fail("an address, as in 10.0.1.11 or 10.0.1.11/24"),
    }
}

fn no_net<T>(cursor: &Cursor<'_>, ip: IpAddr) -> Option<T> {
    let expected =
        "an address with the length of its prefix, or one in a network of the switch's routers or subnet";
    cursor.reject(expected, ip.to_string())
}

fn with_length(ip: IpAddr, nets: &[IpNet]) -> Option<IpNet> {
    let net = nets.iter().filter(|net| net.contains(&ip)).max_by_key(|net| net.prefix_len())?;
    IpNet::new(ip, net.prefix_len()).ok()
}

/// One default route for each family, through the first router port whose network holds an address of the host.
fn default_routes(gateways: &[IpNet], addressing: &Addressing) -> Vec<(IpNet, IpAddr)> {
    let mut seen = BTreeSet::new();
    let serves = |gateway: &IpNet| match addressing {
        Addressing::Static(list) => list.iter().any(|net| gateway.contains(&net.addr())),
        Addressing::Dynamic(_) => true,
    };
    gateways
        .iter()
        .filter(|gateway| serves(gateway))
        .map(IpNet::addr)
        .filter(|gateway| seen.insert(gateway.is_ipv6()))
        .map(|gateway| (everything(gateway), gateway))
        .collect()
}

fn everything(via: IpAddr) -> IpNet {
    let unspecified = if via.is_ipv6() { "::/0" } else { "0.0.0.0/0" };
    unspecified.parse().expect("a prefix")
}

/// What a probe's map calls its target decides what it does.
const KINDS: [(&str, bool); 6] = [
    ("ping", false),
    ("ping6", true),
    ("traceroute", false),
    ("traceroute6", true),
    ("tcp", false),
    ("tcp6", true),
];

fn probe(cursor: &Cursor<'_>, sandbox: &Sandbox) -> Option<Probe> {
    let mut fields = cursor.fields("a map: the host that probes (`from`), and what it does");
    let known_host = |cursor: &Cursor<'_>| match cursor.scalar() {
        Some(name) if sandbox.hosts.contains_key(name) => Some(name.to_owned()),
        _ => cursor.fail("a host of the sandbox"),
    };
    let from = fields.get("from").map_or_else(|| cursor.fail("a host `from`"), |c| known_host(&c));
    let kinds: Vec<_> = KINDS.iter().filter_map(|&(key, ipv6)| Some((key, ipv6, fields.get(key)?))).collect();
    let &[(key, ipv6, ref to)] = kinds.as_slice() else {
        let keys: Vec<_> = KINDS.iter().map(|(key, _)| *key).collect();
        let found: Vec<_> = kinds.iter().map(|(key, ..)| *key).collect();
        let found = if found.is_empty() { "none of them".to_owned() } else { found.join(" and ") };
        return cursor.reject(format!("one of the keys {}", keys.join(", ")), found);
    };
    let number = |cursor: Option<Cursor<'_>>, range, default| {
        cursor.and_then(|cursor| cursor.number(range)).map_or(default, |number| number as u32)
    };
    let kind = match key {
        "ping" | "ping6" => ProbeKind::Ping {
            count: number(fields.get("count"), 1..=1000, 3),
            size: number(fields.get("size"), 0..=65_000, 56),
        },
        "tcp" | "tcp6" => ProbeKind::Tcp {
            port: number(fields.get("port"), 1..=65_535, 7) as u16,
            bytes: number(fields.get("bytes"), 1..=1 << 28, 1 << 16),
        },
        _ => ProbeKind::Traceroute {
            via: fields.get("via").map(|cursor| word::addresses(&cursor)),
            hops: fields.get("hops").and_then(|cursor| cursor.number(1..=64)).map(|hops| hops as u32),
        },
    };
    let expect = match fields.get("expect").as_ref().map(|cursor| (cursor.scalar(), cursor)) {
        None | Some((Some("ok"), _)) => Expect::Ok,
        Some((Some("unreachable"), _)) => Expect::Unreachable,
        Some((Some("error"), _)) => Expect::Error,
        Some((_, cursor)) => return cursor.fail("`ok`, `unreachable` or `error`"),
    };
    fields.end();
    let (to, ipv6) = match to.scalar().and_then(|text| text.parse::<IpAddr>().ok()) {
        Some(addr) => (Target::Addr(addr), addr.is_ipv6()),
        None => (Target::Host(target_host(to, sandbox, ipv6)?), ipv6),
    };
    Some(Probe { at: cursor.origin(), from: from?, to, ipv6, kind, expect })
}

fn target_host(cursor: &Cursor<'_>, sandbox: &Sandbox, ipv6: bool) -> Option<String> {
    let name = cursor.text("a host of the sandbox, or an address")?;
    let Some(host) = sandbox.hosts.get(name) else {
        return cursor.fail("a host of the sandbox, or an address");
    };
    if host.address(ipv6).is_none() && matches!(host.addressing, Addressing::Static(_)) {
        let family = if ipv6 { "IPv6" } else { "IPv4" };
        return cursor.reject(format!("a host with an {family} address"), format!("`{name}`"));
    }
    Some(name.to_owned())
}
