//! The rows that a network should have.

use super::{Atom, Datum, Table};
use crate::model::*;
use std::collections::BTreeMap;

/// The key of `external_ids` that holds the name of the network which a row belongs to.
pub(super) const OWNER: &str = "kiln-network";

/// The key of a router port's `external_ids` that lists the addresses whose `Static_MAC_Binding` rows are the
/// network's: those rows have no `external_ids` of their own.
pub(super) const BINDINGS: &str = "kiln-static-mac-bindings";

/// A row that should be.
pub(super) struct Item {
    pub(super) table: Table,
    /// The name of the row that holds it, where the table has holders.
    pub(super) holder: Option<String>,
    /// The columns that are the network's to say. Columns not here keep their values.
    pub(super) columns: BTreeMap<&'static str, Datum>,
}

/// Every row of a network but `NB_Global`, holders before what they hold.
pub(super) fn items(network: &Network) -> Vec<Item> {
    let mut items = Vec::new();
    let mut add = |table, holder: Option<&String>, mut columns: BTreeMap<&'static str, Datum>| {
        if table != Table::StaticMacBinding {
            let mut ids = BTreeMap::from([(OWNER.to_owned(), network.name.clone())]);
            if let Some(Datum::Map(more)) = columns.remove("external_ids") {
                ids.extend(more);
            }
            columns.insert("external_ids", Datum::Map(ids));
        }
        items.push(Item { table, holder: holder.cloned(), columns });
    };
    for (name, switch) in &network.switches {
        let other_config = Datum::Map(switch.other_config.clone());
        add(Table::Switch, None, [("name", Datum::text(name)), ("other_config", other_config)].into());
        for (port_name, port) in &switch.ports {
            add(Table::SwitchPort, Some(name), switch_port(port_name, port));
        }
    }
    for (name, router) in &network.routers {
        let options = Datum::Map(router.options.clone());
        let columns = [("name", Datum::text(name)), ("enabled", flag(router.enabled)), ("options", options)];
        add(Table::Router, None, columns.into());
        for (port_name, port) in &router.ports {
            add(Table::RouterPort, Some(name), router_port(port_name, port));
            for (ip, binding) in &port.static_mac_bindings {
                let columns = [
                    ("logical_port", Datum::text(port_name)),
                    ("ip", Datum::text(ip.to_string())),
                    ("mac", Datum::text(binding.mac.to_string())),
                    ("override_dynamic_mac", flag(Some(binding.override_dynamic_mac))),
                ];
                add(Table::StaticMacBinding, None, columns.into());
            }
        }
        for columns in router.routes.iter().flat_map(routes) {
            add(Table::Route, Some(name), columns);
        }
        for columns in router.policies.iter().map(policy) {
            add(Table::Policy, Some(name), columns);
        }
    }
    items
}

fn flag(flag: Option<bool>) -> Datum {
    Datum::optional(flag.map(Atom::Flag))
}

fn optional(text: Option<&String>) -> Datum {
    Datum::optional(text.cloned().map(Atom::Text))
}

fn switch_port(name: &str, port: &SwitchPort) -> BTreeMap<&'static str, Datum> {
    BTreeMap::from([
        ("name", Datum::text(name)),
        ("type", Datum::text(&port.kind)),
        ("options", Datum::Map(port.options.clone())),
        ("parent_name", optional(port.parent.as_ref())),
        ("tag_request", Datum::optional(port.tag.map(|tag| Atom::Number(tag.into())))),
        ("addresses", Datum::texts(&port.addresses)),
        ("port_security", Datum::texts(&port.port_security)),
        ("enabled", flag(port.enabled)),
    ])
}

fn router_port(name: &str, port: &RouterPort) -> BTreeMap<&'static str, Datum> {
    let peer = match &port.attached {
        Attached::Peer(peer) => Some(peer),
        Attached::Switch { .. } | Attached::Nowhere => None,
    };
    let mut ids = BTreeMap::new();
    if !port.static_mac_bindings.is_empty() {
        let ips: Vec<_> = port.static_mac_bindings.keys().map(ToString::to_string).collect();
        ids.insert(BINDINGS.to_owned(), ips.join(" "));
    }
    BTreeMap::from([
        ("name", Datum::text(name)),
        ("mac", Datum::text(port.mac.to_string())),
        ("networks", Datum::texts(port.networks.iter().map(ToString::to_string))),
        ("peer", optional(peer)),
        ("enabled", flag(port.enabled)),
        ("options", Datum::Map(port.options.clone())),
        ("ipv6_ra_configs", Datum::Map(port.ipv6_ra_configs.clone())),
        ("external_ids", Datum::Map(ids)),
    ])
}

/// A row for each next hop: several of one prefix share the traffic (ECMP).
fn routes(route: &Route) -> Vec<BTreeMap<&'static str, Datum>> {
    let hops = match &route.via {
        Via::Discard => vec!["discard".to_owned()],
        Via::Hops(hops) => hops.iter().map(ToString::to_string).collect(),
    };
    let row = |hop: String| {
        BTreeMap::from([
            ("route_table", Datum::text(&route.route_table)),
            ("ip_prefix", Datum::text(route.prefix.to_string())),
            ("policy", optional(route.policy.as_ref())),
            ("nexthop", Datum::text(hop)),
            ("output_port", optional(route.output_port.as_ref())),
            ("selection_fields", Datum::texts(&route.selection_fields)),
            ("options", Datum::Map(route.options.clone())),
        ])
    };
    hops.into_iter().map(row).collect()
}

fn policy(policy: &Policy) -> BTreeMap<&'static str, Datum> {
    let (action, jump, hops) = match &policy.action {
        PolicyAction::Allow => ("allow", None, &[][..]),
        PolicyAction::Drop => ("drop", None, &[][..]),
        PolicyAction::Reroute(hops) => ("reroute", None, &hops[..]),
        PolicyAction::Jump(chain) => ("jump", Some(chain), &[][..]),
    };
    BTreeMap::from([
        ("priority", Datum::optional(Some(Atom::Number(policy.priority.into())))),
        ("chain", optional(policy.chain.as_ref())),
        ("match", Datum::text(&policy.matches)),
        ("action", Datum::text(action)),
        ("jump_chain", optional(jump)),
        ("nexthops", Datum::texts(hops.iter().map(ToString::to_string))),
        ("options", Datum::Map(policy.options.clone())),
    ])
}
