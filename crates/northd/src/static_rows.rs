//! Rows of the southbound database that never vary: what chassis may write (RBAC) and the DHCP options that are known.

use crate::flow::uuid_from_hash;
use kiln_abi::dhcp;
use kiln_ovsdb::{Map, Set};
use kiln_schema_ovn::sb;
use kiln_types::Uuid;

/// What a chassis may do to a table: columns whose value must be its own name, whether it may insert and delete, and the
/// columns that it may change.
struct Permission(&'static str, &'static [&'static str], bool, &'static [&'static str]);

const PERMISSIONS: &[Permission] = &[
    Permission("BFD", &["chassis_name"], false, &["status"]),
    Permission(
        "Chassis",
        &["name"],
        true,
        &["nb_cfg", "external_ids", "encaps", "vtep_logical_switches", "other_config", "transport_zones"],
    ),
    Permission(
        "Chassis_Private",
        &["name"],
        true,
        &["nb_cfg", "nb_cfg_timestamp", "chassis", "external_ids"],
    ),
    Permission("Controller_Event", &[""], true, &["chassis", "event_info", "event_type", "seq_num"]),
    Permission("Encap", &["chassis_name"], true, &["type", "options", "ip"]),
    Permission("FDB", &[""], true, &["dp_key", "mac", "port_key", "timestamp"]),
    Permission(
        "IGMP_Group",
        &["chassis_name"],
        true,
        &["address", "chassis", "datapath", "ports", "protocol"],
    ),
    Permission(
        "Learned_Route",
        &[""],
        true,
        &["datapath", "external_ids", "ip_prefix", "logical_port", "nexthop"],
    ),
    Permission("MAC_Binding", &[""], true, &["logical_port", "ip", "mac", "datapath", "timestamp"]),
    Permission(
        "Port_Binding",
        &[""],
        false,
        &["additional_chassis", "additional_encap", "chassis", "encap", "options", "up", "virtual_parent"],
    ),
    Permission("Service_Monitor", &["chassis_name"], false, &["status"]),
];

fn row(table: &str, name: &str) -> Uuid {
    let mut hash = xxhash_rust::xxh3::Xxh3::with_seed(0x7374_6174);
    hash.update(table.as_bytes());
    hash.update(&[0]);
    hash.update(name.as_bytes());
    uuid_from_hash(hash.digest128())
}

fn texts(texts: &[&str]) -> Set<kiln_ovsdb::Text> {
    texts.iter().map(|text| (*text).into()).collect()
}

/// Permissions of the role that chassis have.
pub(crate) fn rbac_permissions() -> impl Iterator<Item = (Uuid, sb::RbacPermission)> {
    PERMISSIONS.iter().map(|Permission(table, authorization, insert_delete, update)| {
        let permission = sb::RbacPermission {
            table: (*table).into(),
            authorization: texts(authorization),
            insert_delete: *insert_delete,
            update: texts(update),
        };
        (row("RBAC_Permission", table), permission)
    })
}

/// The role that chassis have.
pub(crate) fn rbac_role() -> (Uuid, sb::RbacRole) {
    let permissions: Map<_, _> = PERMISSIONS
        .iter()
        .map(|Permission(table, ..)| ((*table).into(), row("RBAC_Permission", table)))
        .collect();
    (row("RBAC_Role", "ovn-controller"), sb::RbacRole { name: "ovn-controller".into(), permissions })
}

/// DHCPv4 options by name.
pub(crate) fn dhcp_options() -> impl Iterator<Item = (Uuid, sb::DhcpOptions)> {
    dhcp::V4.iter().map(|(name, code, kind)| {
        (
            row("DHCP_Options", name),
            sb::DhcpOptions { name: (*name).into(), code: *code, r#type: (*kind).into() },
        )
    })
}

/// DHCPv6 options by name.
pub(crate) fn dhcpv6_options() -> impl Iterator<Item = (Uuid, sb::Dhcpv6Options)> {
    dhcp::V6.iter().map(|(name, code, kind)| {
        (
            row("DHCPv6_Options", name),
            sb::Dhcpv6Options { name: (*name).into(), code: *code, r#type: (*kind).into() },
        )
    })
}
