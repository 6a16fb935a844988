//! What the controller replicates of the databases: the columns that some rule reads, and no others.

use crate::conditions;
use kiln_ovsdb::client::{Rows, TableMonitor};
use std::collections::BTreeMap;

const SOUTHBOUND: &[(&str, &[&str])] = &[
    ("SB_Global", &["nb_cfg", "options", "ipsec"]),
    ("Chassis", &["name", "hostname", "encaps", "other_config", "transport_zones"]),
    ("Chassis_Private", &["name", "chassis", "nb_cfg"]),
    ("Encap", &["type", "options", "ip", "chassis_name"]),
    ("Address_Set", &["name", "addresses"]),
    ("Port_Group", &["name", "ports"]),
    (
        "Logical_Flow",
        &[
            "logical_datapath",
            "logical_dp_group",
            "pipeline",
            "table_id",
            "priority",
            "match",
            "actions",
            "tags",
            "controller_meter",
        ],
    ),
    ("Logical_DP_Group", &["datapaths"]),
    ("Multicast_Group", &["datapath", "name", "tunnel_key", "ports"]),
    ("Meter", &["name", "unit", "bands"]),
    ("Meter_Band", &["rate", "burst_size"]),
    ("Datapath_Binding", &["tunnel_key", "type", "external_ids"]),
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
            "tag",
            "chassis",
            "encap",
            "additional_chassis",
            "additional_encap",
            "mac",
            "nat_addresses",
            "port_security",
            "up",
            "requested_chassis",
            "requested_additional_chassis",
        ],
    ),
    ("MAC_Binding", &["logical_port", "ip", "mac", "timestamp", "datapath"]),
    ("Static_MAC_Binding", &["logical_port", "ip", "mac", "override_dynamic_mac", "datapath"]),
    ("DHCP_Options", &["name", "code", "type"]),
    ("DHCPv6_Options", &["name", "code", "type"]),
    ("Gateway_Chassis", &["name", "chassis", "priority"]),
    ("HA_Chassis", &["chassis", "priority"]),
    ("HA_Chassis_Group", &["ha_chassis", "ref_chassis"]),
    ("FDB", &["mac", "dp_key", "port_key", "timestamp"]),
    ("Chassis_Template_Var", &["chassis", "variables"]),
];

const LOCAL: &[(&str, &[&str])] = &[
    (
        "Open_vSwitch",
        &[
            "datapaths",
            "bridges",
            "ssl",
            "other_config",
            "external_ids",
            "iface_types",
            "next_cfg",
            "cur_cfg",
        ],
    ),
    (
        "Bridge",
        &["name", "datapath_type", "ports", "fail_mode", "other_config", "external_ids", "flow_tables"],
    ),
    ("Port", &["name", "interfaces", "external_ids"]),
    ("Interface", &["name", "type", "options", "external_ids", "ofport", "bfd", "bfd_status", "mtu"]),
    ("Flow_Table", &["prefixes"]),
    ("Flow_Sample_Collector_Set", &["id", "bridge"]),
    ("Datapath", &["capabilities", "ct_zones"]),
    ("CT_Zone", &["timeout_policy", "limit"]),
    ("SSL", &["private_key", "certificate", "ca_cert", "bootstrap_ca_cert"]),
];

fn monitors(tables: &[(&str, &[&str])]) -> Vec<TableMonitor> {
    tables.iter().map(|(table, columns)| TableMonitor::new(*table, columns.iter().copied())).collect()
}

/// The tables of OVN_Southbound and their columns that the controller replicates.
pub fn southbound_columns() -> &'static [(&'static str, &'static [&'static str])] {
    SOUTHBOUND
}

/// Tables of OVN_Southbound, with the rows that are needed at first.
pub(crate) fn southbound(rows: &BTreeMap<&'static str, Rows>) -> Vec<TableMonitor> {
    debug_assert!(rows.keys().all(|table| conditions::TABLES.contains(table)));
    let with_rows = |monitor: TableMonitor| match rows.get(monitor.table.as_str()) {
        Some(rows) => monitor.with_rows(rows.clone()),
        None => monitor,
    };
    monitors(SOUTHBOUND).into_iter().map(with_rows).collect()
}

/// Tables of Open_vSwitch.
pub(crate) fn local() -> Vec<TableMonitor> {
    monitors(LOCAL)
}
