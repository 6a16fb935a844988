//! What northd replicates of the databases: the columns that some rule reads, and no others.

use kiln_ovsdb::client::{Select, TableMonitor};

const NORTHBOUND: &[(&str, &[&str])] = &[
    ("NB_Global", &["nb_cfg", "sb_cfg", "hv_cfg", "options", "ipsec"]),
    ("Logical_Switch", &["name", "ports", "acls", "copp", "other_config", "external_ids"]),
    (
        "Logical_Switch_Port",
        &[
            "name",
            "type",
            "options",
            "parent_name",
            "tag_request",
            "tag",
            "addresses",
            "dynamic_addresses",
            "port_security",
            "peer",
            "up",
            "enabled",
            "external_ids",
        ],
    ),
    (
        "Logical_Router",
        &["name", "ports", "static_routes", "policies", "enabled", "copp", "options", "external_ids"],
    ),
    ("Copp", &["meters"]),
    (
        "Logical_Router_Port",
        &["name", "mac", "networks", "peer", "enabled", "ipv6_ra_configs", "options", "external_ids"],
    ),
    (
        "Logical_Router_Static_Route",
        &[
            "ip_prefix",
            "policy",
            "nexthop",
            "output_port",
            "bfd",
            "selection_fields",
            "route_table",
            "options",
        ],
    ),
    (
        "Logical_Router_Policy",
        &[
            "priority",
            "chain",
            "match",
            "action",
            "jump_chain",
            "nexthops",
            "output_port",
            "bfd_sessions",
            "options",
        ],
    ),
    (
        "ACL",
        &[
            "name",
            "priority",
            "direction",
            "match",
            "action",
            "log",
            "severity",
            "meter",
            "label",
            "tier",
            "options",
        ],
    ),
    ("Meter", &["name", "unit", "bands", "fair"]),
    ("Meter_Band", &["action", "rate", "burst_size"]),
    ("Static_MAC_Binding", &["logical_port", "ip", "mac", "override_dynamic_mac"]),
    ("Chassis_Template_Var", &["chassis", "variables"]),
    ("Address_Set", &["name", "addresses"]),
    ("Port_Group", &["name", "ports", "acls"]),
];

const SOUTHBOUND: &[(&str, &[&str])] = &[
    ("SB_Global", &["nb_cfg", "options", "ipsec"]),
    ("Chassis", &["name", "hostname", "encaps", "other_config"]),
    ("Encap", &["type"]),
    ("Chassis_Private", &["nb_cfg", "nb_cfg_timestamp", "chassis"]),
    ("Datapath_Binding", &["tunnel_key", "load_balancers", "type", "nb_uuid", "external_ids"]),
    (
        "Port_Binding",
        &[
            "logical_port",
            "type",
            "gateway_chassis",
            "ha_chassis_group",
            "options",
            "datapath",
            "tunnel_key",
            "parent_port",
            "mirror_port",
            "tag",
            "chassis",
            "mirror_rules",
            "mac",
            "port_security",
            "nat_addresses",
            "up",
            "external_ids",
            "requested_chassis",
            "requested_additional_chassis",
        ],
    ),
    ("Multicast_Group", &["datapath", "name", "tunnel_key", "ports"]),
    ("MAC_Binding", &["logical_port", "ip", "timestamp", "datapath"]),
    ("FDB", &["dp_key", "port_key", "timestamp"]),
    ("Static_MAC_Binding", &["logical_port", "ip", "mac", "override_dynamic_mac", "datapath"]),
    (
        "IP_Multicast",
        &[
            "datapath",
            "enabled",
            "querier",
            "eth_src",
            "ip4_src",
            "ip6_src",
            "table_size",
            "idle_timeout",
            "query_interval",
            "query_max_resp",
        ],
    ),
    ("Chassis_Template_Var", &["chassis", "variables"]),
    ("Address_Set", &["name", "addresses"]),
    ("Port_Group", &["name", "ports"]),
    ("Meter", &["name", "unit", "bands"]),
    ("Meter_Band", &["action", "rate", "burst_size"]),
    ("ACL_ID", &["id"]),
    ("RBAC_Permission", &["table", "authorization", "insert_delete", "update"]),
    ("RBAC_Role", &["name", "permissions"]),
    ("DHCP_Options", &["name", "code", "type"]),
    ("DHCPv6_Options", &["name", "code", "type"]),
    ("Logical_DP_Group", &["datapaths"]),
];

const LOGICAL_FLOW: &[&str] = &[
    "logical_datapath",
    "logical_dp_group",
    "pipeline",
    "table_id",
    "priority",
    "match",
    "actions",
    "controller_meter",
    "tags",
];

/// The northbound tables that rules read, each with the columns that they read.
pub fn northbound_columns() -> &'static [(&'static str, &'static [&'static str])] {
    NORTHBOUND
}

/// The southbound tables that rules read, each with the columns that they read.
pub fn southbound_columns() -> &'static [(&'static str, &'static [&'static str])] {
    SOUTHBOUND
}

fn monitors(tables: &[(&str, &[&str])]) -> Vec<TableMonitor> {
    tables.iter().map(|(table, columns)| TableMonitor::new(*table, columns.iter().copied())).collect()
}

/// The northbound tables.
pub(crate) fn northbound() -> Vec<TableMonitor> {
    monitors(NORTHBOUND)
}

/// The southbound tables. Flows that this northd inserts need not come back: it knows them.
pub(crate) fn southbound() -> Vec<TableMonitor> {
    let mut tables = monitors(SOUTHBOUND);
    let select = Select { insert: false, ..Select::default() };
    tables.push(TableMonitor::new("Logical_Flow", LOGICAL_FLOW.iter().copied()).with_select(select));
    tables
}
