//! The tables of the northbound database that a network file speaks of.

use super::{Atom, Datum};
use std::collections::{BTreeMap, BTreeSet};

/// A table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// `NB_Global`: one row, of which only some options are the network's.
    Global,
    /// `Logical_Switch`.
    Switch,
    /// `Logical_Switch_Port`.
    SwitchPort,
    /// `Logical_Router`.
    Router,
    /// `Logical_Router_Port`.
    RouterPort,
    /// `Logical_Router_Static_Route`.
    Route,
    /// `Logical_Router_Policy`.
    Policy,
    /// `Static_MAC_Binding`.
    StaticMacBinding,
}

impl Table {
    /// The table of a name in the schema.
    pub fn named(name: &str) -> Option<Table> {
        Table::ALL.into_iter().find(|table| table.name() == name)
    }

    /// Every table, in an order in which what holds comes before what is held.
    pub const ALL: [Table; 8] = [
        Table::Global,
        Table::Switch,
        Table::SwitchPort,
        Table::Router,
        Table::RouterPort,
        Table::Route,
        Table::Policy,
        Table::StaticMacBinding,
    ];

    /// The table's name in the schema.
    pub const fn name(self) -> &'static str {
        match self {
            Table::Global => "NB_Global",
            Table::Switch => "Logical_Switch",
            Table::SwitchPort => "Logical_Switch_Port",
            Table::Router => "Logical_Router",
            Table::RouterPort => "Logical_Router_Port",
            Table::Route => "Logical_Router_Static_Route",
            Table::Policy => "Logical_Router_Policy",
            Table::StaticMacBinding => "Static_MAC_Binding",
        }
    }

    /// What a person calls a row of it.
    pub const fn noun(self) -> &'static str {
        match self {
            Table::Global => "global options",
            Table::Switch => "switch",
            Table::SwitchPort => "port",
            Table::Router => "router",
            Table::RouterPort => "router port",
            Table::Route => "route",
            Table::Policy => "policy",
            Table::StaticMacBinding => "static MAC binding",
        }
    }

    /// The columns to read of it.
    pub const fn columns(self) -> &'static [&'static str] {
        match self {
            Table::Global => &["options", "external_ids"],
            Table::Switch => &["name", "ports", "other_config", "external_ids"],
            Table::SwitchPort => &[
                "name",
                "type",
                "options",
                "parent_name",
                "tag_request",
                "addresses",
                "port_security",
                "enabled",
                "external_ids",
            ],
            Table::Router => {
                &["name", "ports", "static_routes", "policies", "enabled", "options", "external_ids"]
            }
            Table::RouterPort => {
                &["name", "mac", "networks", "peer", "enabled", "options", "ipv6_ra_configs", "external_ids"]
            }
            Table::Route => &[
                "route_table",
                "ip_prefix",
                "policy",
                "nexthop",
                "output_port",
                "selection_fields",
                "options",
                "external_ids",
            ],
            Table::Policy => {
                &["priority", "chain", "match", "action", "jump_chain", "nexthops", "options", "external_ids"]
            }
            Table::StaticMacBinding => &["logical_port", "ip", "mac", "override_dynamic_mac"],
        }
    }

    /// The table whose rows hold rows of this one, and the column that they do it by.
    pub(super) const fn holder(self) -> Option<(Table, &'static str)> {
        match self {
            Table::SwitchPort => Some((Table::Switch, "ports")),
            Table::RouterPort => Some((Table::Router, "ports")),
            Table::Route => Some((Table::Router, "static_routes")),
            Table::Policy => Some((Table::Router, "policies")),
            Table::Global | Table::Switch | Table::Router | Table::StaticMacBinding => None,
        }
    }

    /// The columns whose values tell rows of one holder apart.
    pub(super) const fn key(self) -> &'static [&'static str] {
        match self {
            Table::Global => &[],
            Table::Switch | Table::SwitchPort | Table::Router | Table::RouterPort => &["name"],
            Table::Route => &["route_table", "ip_prefix", "policy", "nexthop", "output_port"],
            Table::Policy => &["chain", "priority", "match"],
            Table::StaticMacBinding => &["logical_port", "ip"],
        }
    }

    /// Whether the schema, or every tool that goes by names, refuses two rows of the same key, whoever holds them.
    pub(super) const fn is_unique(self) -> bool {
        !matches!(self, Table::Global | Table::Route | Table::Policy)
    }
}

/// How a column's values are shaped, which tells what a column that a server leaves out holds, and what a difference to
/// it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    Text,
    Number,
    Flag,
    Optional,
    Set,
    Map,
}

impl Shape {
    /// The shape of a column of any of the tables: a name means the same wherever it stands.
    pub(super) fn of(column: &str) -> Shape {
        match column {
            "name" | "type" | "mac" | "route_table" | "ip_prefix" | "nexthop" | "match" | "action"
            | "logical_port" | "ip" => Shape::Text,
            "priority" => Shape::Number,
            "override_dynamic_mac" => Shape::Flag,
            "options" | "external_ids" | "other_config" | "ipv6_ra_configs" => Shape::Map,
            "ports" | "static_routes" | "policies" | "addresses" | "port_security" | "networks"
            | "selection_fields" | "nexthops" => Shape::Set,
            _ => Shape::Optional,
        }
    }

    /// What a column holds that nothing was put into (RFC 7047, section 5.2.1).
    pub(super) fn default(self) -> Datum {
        let one = |atom| Datum::Set(BTreeSet::from([atom]));
        match self {
            Shape::Text => one(Atom::Text(String::new())),
            Shape::Number => one(Atom::Number(0)),
            Shape::Flag => one(Atom::Flag(false)),
            Shape::Optional | Shape::Set => Datum::Set(BTreeSet::new()),
            Shape::Map => Datum::Map(BTreeMap::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_holders_are_among_what_is_read() {
        for table in Table::ALL {
            for key in table.key() {
                assert!(table.columns().contains(key), "{table:?} {key}");
            }
            if let Some((holder, column)) = table.holder() {
                assert!(holder.columns().contains(&column), "{table:?}");
            }
        }
    }
}
