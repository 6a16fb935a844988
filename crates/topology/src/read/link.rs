//! Both ends of every attachment, where the file names only one.

use crate::check;
use crate::file::Log;
use crate::mac::derived_mac;
use crate::model::{Attached, Network, SwitchPort};
use std::collections::BTreeMap;

/// Gives each switch its ports towards routers and each router port its peer's answer.
pub(super) fn attach(network: &mut Network, log: &Log) {
    adopt_written_router_ports(network);
    make_switch_ports(network, log);
    answer_peers(network, log);
}

/// A switch port of type `router` that the file spells out attaches the router port that it names.
fn adopt_written_router_ports(network: &mut Network) {
    let mut written = BTreeMap::new();
    for (switch, port_name, port) in network
        .switches
        .iter()
        .flat_map(|(name, switch)| switch.ports.iter().map(move |(p, port)| (name, p, port)))
    {
        if let ("router", Some(router_port)) = (port.kind.as_str(), port.options.get("router-port")) {
            let attached = Attached::Switch { switch: switch.clone(), port: port_name.clone() };
            written.insert(router_port.clone(), attached);
        }
    }
    for (name, port) in network.routers.values_mut().flat_map(|router| &mut router.ports) {
        if let (Attached::Nowhere, Some(attached)) = (&port.attached, written.remove(name)) {
            port.attached = attached;
        }
    }
}

fn make_switch_ports(network: &mut Network, log: &Log) {
    for (name, port) in network.routers.values().flat_map(|router| &router.ports) {
        let Attached::Switch { switch, port: switch_port } = &port.attached else { continue };
        let Some(switch) = network.switches.get_mut(switch) else {
            let known: Vec<_> = network.switches.keys().map(String::as_str).take(10).collect();
            let expected = format!("a switch of this file ({})", check::listed(&known));
            log.about(&port.at, expected, format!("`switch: {switch}`"));
            continue;
        };
        let options = BTreeMap::from([("router-port".to_owned(), name.clone())]);
        let made = SwitchPort {
            at: port.at.clone(),
            kind: "router".into(),
            mac: derived_mac(switch_port),
            addresses: vec!["router".into()],
            options,
            ..SwitchPort::default()
        };
        match switch.ports.get(switch_port) {
            None => {
                switch.ports.insert(switch_port.clone(), made);
            }
            Some(there) if there.options.get("router-port") == Some(name) => {}
            Some(there) => {
                let found = format!("`{switch_port}`, which line {} has", there.at.place.line);
                log.about(&port.at, "a name for the switch's port that is not taken", found);
            }
        }
    }
}

fn answer_peers(network: &mut Network, log: &Log) {
    let attached: BTreeMap<&String, &Attached> = network
        .routers
        .values()
        .flat_map(|router| &router.ports)
        .map(|(name, port)| (name, &port.attached))
        .collect();
    let mut answers = BTreeMap::new();
    for (name, port) in network.routers.values().flat_map(|router| &router.ports) {
        let Attached::Peer(peer) = &port.attached else { continue };
        match attached.get(peer) {
            Some(Attached::Nowhere) => {
                if let Some(first) = answers.insert(peer.clone(), name.clone()) {
                    log.about(&port.at, format!("one peer of `{peer}`"), format!("this and `{first}`"));
                }
            }
            Some(Attached::Peer(back)) if back == name => {}
            Some(_) => {
                let expected = format!("a peer that is attached to `{name}` or to nothing");
                log.about(&port.at, expected, format!("`peer: {peer}`"));
            }
            None => log.about(&port.at, "a router port of this file", format!("`peer: {peer}`")),
        }
    }
    for (name, port) in network.routers.values_mut().flat_map(|router| &mut router.ports) {
        if let Some(peer) = answers.remove(name) {
            port.attached = Attached::Peer(peer);
        }
    }
}
