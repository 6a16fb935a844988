//! `routers`.

use super::word;
use crate::file::{Cursor, Fields};
use crate::mac::derived_mac;
use crate::model::{Attached, Policy, PolicyAction, Route, Router, RouterPort, StaticMacBinding, Via};
use std::collections::BTreeMap;
use std::net::IpAddr;

/// The names of packet fields that `selection_fields` may hash (ovn-nb(5)).
const SELECTION_FIELDS: [&str; 9] =
    ["eth_src", "eth_dst", "ip_proto", "ip_src", "ip_dst", "ipv6_src", "ipv6_dst", "tp_src", "tp_dst"];

pub(super) fn read(cursor: &Cursor<'_>) -> Router {
    let mut router = Router { at: cursor.origin(), ..Router::default() };
    if cursor.is_null() {
        return router;
    }
    let mut fields = cursor.fields("a map: the router's ports, routes, policies and options");
    router.options = fields.texts("options");
    router.enabled = fields.flag("enabled");
    let expected = "a map of router ports by name";
    for (name, cursor) in fields.get("ports").iter().flat_map(|cursor| cursor.entries(expected)) {
        if word::is_name(name) {
            router.ports.insert(name.to_owned(), port(name, &cursor));
        } else {
            cursor.reject::<()>("a name without spaces", format!("`{name}`"));
        }
    }
    let routes = fields.get("routes");
    router.routes =
        routes.iter().flat_map(|c| c.list("a list of routes")).filter_map(|c| route(&c)).collect();
    let policies = fields.get("policies");
    router.policies =
        policies.iter().flat_map(|c| c.list("a list of policies")).filter_map(|c| policy(&c)).collect();
    fields.end();
    router
}

fn port(name: &str, cursor: &Cursor<'_>) -> RouterPort {
    let mut port = RouterPort { at: cursor.origin(), ..RouterPort::default() };
    let mut fields =
        cursor.fields("a map: the port's networks, and the switch or the peer that it is attached to");
    port.mac = fields.get("mac").and_then(|cursor| word::mac(&cursor)).unwrap_or_else(|| derived_mac(name));
    let networks = fields.get("networks");
    let expected = "an address with the length of its prefix, as in 10.0.1.1/24";
    let networks = networks.iter().flat_map(Cursor::one_or_more);
    port.networks = networks.filter_map(|cursor| word::net(&cursor, expected)).collect();
    port.attached = attached(name, &mut fields);
    port.enabled = fields.flag("enabled");
    port.options = fields.texts("options");
    port.ipv6_ra_configs = fields.texts("ipv6_ra_configs");
    if let Some(cursor) = fields.get("static_mac_bindings") {
        port.static_mac_bindings = static_mac_bindings(&cursor);
    }
    fields.end();
    port
}

fn attached(name: &str, fields: &mut Fields<'_>) -> Attached {
    let switch = fields.get("switch");
    let switch_port = fields.get("switch_port");
    let peer = fields.get("peer");
    if let (Some(_), Some(peer)) = (&switch, &peer) {
        peer.reject::<()>("a switch or a peer", "both");
    }
    if let (None, Some(port)) = (&switch, &switch_port) {
        port.reject::<()>("a `switch` that has this port", "none");
    }
    if let Some(switch) = switch.and_then(|cursor| word::name(&cursor)) {
        let port = switch_port.and_then(|cursor| word::name(&cursor));
        return Attached::Switch { switch, port: port.unwrap_or_else(|| format!("to-{name}")) };
    }
    peer.and_then(|cursor| word::name(&cursor)).map_or(Attached::Nowhere, Attached::Peer)
}

fn static_mac_bindings(cursor: &Cursor<'_>) -> BTreeMap<IpAddr, StaticMacBinding> {
    let mut bindings = BTreeMap::new();
    for (ip, cursor) in cursor.entries("a map of addresses to Ethernet addresses") {
        let Ok(ip) = ip.parse() else {
            cursor.reject::<()>("an IPv4 or IPv6 address as the key", format!("`{ip}`"));
            continue;
        };
        let binding = if cursor.is_map() {
            let mut fields = cursor.fields("");
            let mac = fields.get("mac").map_or_else(|| cursor.fail("a `mac`"), |c| word::mac(&c));
            let override_dynamic_mac = fields.flag("override_dynamic_mac").unwrap_or(false);
            fields.end();
            mac.map(|mac| StaticMacBinding { mac, override_dynamic_mac })
        } else {
            word::mac(&cursor).map(|mac| StaticMacBinding { mac, override_dynamic_mac: false })
        };
        bindings.extend(binding.map(|binding| (ip, binding)));
    }
    bindings
}

fn route(cursor: &Cursor<'_>) -> Option<Route> {
    let mut fields = cursor.fields("a map: the route's prefix (`to`) and its next hops (`via`)");
    let prefix = fields.get("to").map_or_else(|| cursor.fail("a prefix `to`"), |c| word::prefix(&c));
    let via =
        fields.get("via").map_or_else(|| cursor.fail("next hops `via`, or `via: discard`"), |c| via(&c));
    let output_port = fields.get("port").and_then(|cursor| word::name(&cursor));
    let policy = fields.get("policy").and_then(|cursor| match cursor.scalar() {
        Some(policy @ ("src-ip" | "dst-ip")) => Some(policy.to_owned()),
        _ => cursor.fail("`src-ip` or `dst-ip`"),
    });
    let route_table = fields.get("route_table").and_then(|cursor| word::name(&cursor)).unwrap_or_default();
    let selection_fields = fields.get("selection_fields");
    let selection_fields = selection_fields.iter().flat_map(Cursor::one_or_more);
    let selection_fields = selection_fields.filter_map(|cursor| match cursor.scalar() {
        Some(field) if SELECTION_FIELDS.contains(&field) => Some(field.to_owned()),
        _ => cursor.fail(format!("one of {}", SELECTION_FIELDS.join(", "))),
    });
    let selection_fields = selection_fields.collect();
    let options = fields.texts("options");
    fields.end();
    let at = cursor.origin();
    let (prefix, via) = (prefix?, via?);
    Some(Route { at, prefix, via, output_port, policy, route_table, selection_fields, options })
}

fn via(cursor: &Cursor<'_>) -> Option<Via> {
    if cursor.scalar() == Some("discard") {
        return Some(Via::Discard);
    }
    let hops: Vec<IpAddr> = word::addresses(cursor);
    // What is no address has been told of.
    if cursor.one_or_more().is_empty() {
        cursor.fail("at least one next hop, or `discard`")
    } else {
        Some(Via::Hops(hops))
    }
}

fn policy(cursor: &Cursor<'_>) -> Option<Policy> {
    let mut fields = cursor.fields("a map: the policy's `priority`, `match` and `action`");
    let priority =
        fields.get("priority").map_or_else(|| cursor.fail("a `priority`"), |c| c.number(0..=32767));
    let matches = fields.get("match").map_or_else(|| cursor.fail("a `match`"), |c| word::expression(&c));
    let via = fields.get("via");
    let jump = fields.get("jump");
    let action = fields.get("action");
    let word = action.as_ref().map(|cursor| cursor.scalar().unwrap_or_default());
    let action = match (word, via, jump) {
        (None | Some("reroute"), Some(via), None) => Some(PolicyAction::Reroute(word::addresses(&via))),
        (None | Some("jump"), None, Some(chain)) => word::name(&chain).map(PolicyAction::Jump),
        (Some("allow"), None, None) => Some(PolicyAction::Allow),
        (Some("drop"), None, None) => Some(PolicyAction::Drop),
        _ => {
            let expected = "`action: allow`, `action: drop`, next hops `via`, or a chain to `jump` to";
            action.as_ref().unwrap_or(cursor).fail(expected)
        }
    };
    let chain = fields.get("chain").and_then(|cursor| word::name(&cursor));
    let options = fields.texts("options");
    fields.end();
    // Each of them has been told of by now.
    let (priority, matches, action) = (priority?, matches?.to_owned(), action?);
    Some(Policy { at: cursor.origin(), priority: priority as u16, matches, action, chain, options })
}
