//! What the databases still lack: rows that are wanted and not there, or there and different, or there and not wanted.
//!
//! Rules compare what is wanted with what stands and name the rows that differ. When the database has taken the change
//! in, its update makes the same rules withdraw the row: nothing has to be remembered about transactions.

use crate::tables::{Ctx, Db};
use kiln_incr::{Derived, Row, Table, Target};
use kiln_ovsdb::column::Encode;
use kiln_ovsdb::txn::Txn;
use kiln_schema::{Columns, RowView, TypedRow, update_columns};
use kiln_schema_ovn::sb;
use kiln_types::Uuid;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// Tables of the southbound database of which northd writes rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum SbTable {
    SbGlobal,
    DatapathBinding,
    PortBinding,
    MulticastGroup,
    AddressSet,
    PortGroup,
    Meter,
    MeterBand,
    AclId,
    StaticMacBinding,
    ChassisTemplateVar,
    MacBinding,
    Fdb,
    IpMulticast,
    RbacPermission,
    RbacRole,
    DhcpOptions,
    Dhcpv6Options,
}

/// A row of the southbound database that differs from what is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct SbOp(pub(crate) SbTable, pub(crate) Uuid);

/// A row of the northbound database that differs from what northd reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum NbOp {
    /// NB_Global lacks options.
    Options(Uuid),
    /// NB_Global is behind with `sb_cfg` or `hv_cfg`.
    Progress(Uuid),
    /// A port came up or went down.
    Up(Uuid, bool),
    /// A port has another VLAN tag.
    Tag(Uuid, i64),
    /// A port's chosen addresses changed.
    DynamicAddresses(Uuid),
}

/// A multiset of operations.
#[derive(Debug)]
pub(crate) struct Ops<T>(BTreeMap<T, u32>);

impl<T> Default for Ops<T> {
    fn default() -> Self {
        Ops(BTreeMap::new())
    }
}

impl<T: Ord> Ops<T> {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.keys()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<T: Ord + Copy + Send + Sync> Target for Ops<T> {
    type Written = Vec<T>;
    type Id = T;

    fn replace(&mut self, old: &[T], new: &mut Vec<T>) -> Box<[T]> {
        for op in &*new {
            *self.0.entry(*op).or_insert(0) += 1;
        }
        for op in old {
            if let Some(count) = self.0.get_mut(op) {
                *count -= 1;
                if *count == 0 {
                    self.0.remove(op);
                }
            }
        }
        new.drain(..).collect()
    }
}

/// The columns of each table that northd answers for.
pub(crate) static DATAPATH_BINDING: LazyLock<Columns> = LazyLock::new(|| {
    sb::DatapathBinding::columns(&["tunnel_key", "load_balancers", "type", "nb_uuid", "external_ids"])
});
pub(crate) static PORT_BINDING: LazyLock<Columns> = LazyLock::new(|| {
    sb::PortBinding::columns(&[
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
        "mirror_rules",
        "mac",
        "port_security",
        "nat_addresses",
        "external_ids",
        "requested_chassis",
        "requested_additional_chassis",
    ])
});
pub(crate) static MULTICAST_GROUP: LazyLock<Columns> =
    LazyLock::new(|| sb::MulticastGroup::columns(&["datapath", "name", "tunnel_key", "ports"]));
pub(crate) static IP_MULTICAST: LazyLock<Columns> = LazyLock::new(|| {
    sb::IpMulticast::columns(&[
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
    ])
});
pub(crate) static ADDRESS_SET: LazyLock<Columns> =
    LazyLock::new(|| sb::AddressSet::columns(&["name", "addresses"]));
pub(crate) static PORT_GROUP: LazyLock<Columns> =
    LazyLock::new(|| sb::PortGroup::columns(&["name", "ports"]));
pub(crate) static METER: LazyLock<Columns> = LazyLock::new(|| sb::Meter::columns(&["name", "unit", "bands"]));
pub(crate) static METER_BAND: LazyLock<Columns> =
    LazyLock::new(|| sb::MeterBand::columns(&["action", "rate", "burst_size"]));
pub(crate) static ACL_ID: LazyLock<Columns> = LazyLock::new(|| sb::AclId::columns(&["id"]));
pub(crate) static STATIC_MAC_BINDING: LazyLock<Columns> = LazyLock::new(|| {
    sb::StaticMacBinding::columns(&["logical_port", "ip", "mac", "override_dynamic_mac", "datapath"])
});
pub(crate) static CHASSIS_TEMPLATE_VAR: LazyLock<Columns> =
    LazyLock::new(|| sb::ChassisTemplateVar::columns(&["chassis", "variables"]));
pub(crate) static SB_GLOBAL: LazyLock<Columns> =
    LazyLock::new(|| sb::SbGlobal::columns(&["nb_cfg", "options", "ipsec"]));
pub(crate) static RBAC_PERMISSION: LazyLock<Columns> =
    LazyLock::new(|| sb::RbacPermission::columns(&["table", "authorization", "insert_delete", "update"]));
pub(crate) static RBAC_ROLE: LazyLock<Columns> =
    LazyLock::new(|| sb::RbacRole::columns(&["name", "permissions"]));
pub(crate) static DHCP_OPTIONS: LazyLock<Columns> =
    LazyLock::new(|| sb::DhcpOptions::columns(&["name", "code", "type"]));
pub(crate) static DHCPV6_OPTIONS: LazyLock<Columns> =
    LazyLock::new(|| sb::Dhcpv6Options::columns(&["name", "code", "type"]));

/// Whether the wanted row `key` stands as it should.
fn stands<R>(ctx: &Ctx<'_>, want: &Derived<Uuid, R>, actual: &Table<R>, columns: Columns, key: &Uuid) -> bool
where
    R: TypedRow + Row<Key = Uuid>,
    for<'a> R::View<'a>: RowView<'a, R>,
{
    let Some(want) = ctx.value(want, key) else { return true };
    let Some(actual) = ctx.row(actual, key) else { return false };
    let mut same = true;
    want.changed(Some(actual.whole()), columns, &mut |_, _, _| same = false);
    same
}

macro_rules! compared {
    ($($table:ident $wanted:ident $stale:ident $want:ident $actual:ident $columns:ident;)*) => {
        $(
            pub(crate) fn $wanted(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<SbOp>) {
                if !stands(ctx, &ctx.$want, &ctx.sb.$actual, *$columns, row) {
                    out.push(SbOp(SbTable::$table, *row));
                }
            }

            pub(crate) fn $stale(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<SbOp>) {
                if !ctx.has(&ctx.$want, row) {
                    out.push(SbOp(SbTable::$table, *row));
                }
            }
        )*
    };
}

compared! {
    SbGlobal sb_global stale_sb_global want_sb_global sb_global SB_GLOBAL;
    DatapathBinding datapath_binding stale_datapath_binding want_datapath datapath_binding DATAPATH_BINDING;
    PortBinding port_binding stale_port_binding want_port port_binding PORT_BINDING;
    MulticastGroup multicast_group stale_multicast_group want_multicast multicast_group MULTICAST_GROUP;
    IpMulticast ip_multicast stale_ip_multicast want_ip_multicast ip_multicast IP_MULTICAST;
    AddressSet address_set stale_address_set want_address_set address_set ADDRESS_SET;
    PortGroup port_group stale_port_group want_port_group port_group PORT_GROUP;
    Meter meter stale_meter want_meter meter METER;
    AclId acl_id stale_acl_id want_acl_id acl_id ACL_ID;
    StaticMacBinding static_mac_binding stale_static_mac_binding want_static_binding static_mac_binding STATIC_MAC_BINDING;
    ChassisTemplateVar chassis_template_var stale_chassis_template_var want_template_var chassis_template_var CHASSIS_TEMPLATE_VAR;
    RbacPermission rbac_permission stale_rbac_permission want_rbac_permission rbac_permission RBAC_PERMISSION;
    RbacRole rbac_role stale_rbac_role want_rbac_role rbac_role RBAC_ROLE;
    DhcpOptions dhcp_options stale_dhcp_options want_dhcp_options dhcp_options DHCP_OPTIONS;
    Dhcpv6Options dhcpv6_options stale_dhcpv6_options want_dhcpv6_options dhcpv6_options DHCPV6_OPTIONS;
}

/// Bands that no meter has any more go by themselves.
pub(crate) fn meter_band(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<SbOp>) {
    if !stands(ctx, &ctx.want_meter_band, &ctx.sb.meter_band, *METER_BAND, row) {
        out.push(SbOp(SbTable::MeterBand, *row));
    }
}

/// Writes what the southbound database lacks, but for flows.
pub(crate) fn write(db: &Db, txn: &mut Txn) {
    for SbOp(table, row) in db.sb_ops.iter() {
        match table {
            SbTable::SbGlobal => one(&db.want_sb_global, &db.sb.sb_global, *SB_GLOBAL, *row, txn),
            SbTable::DatapathBinding => {
                one(&db.want_datapath, &db.sb.datapath_binding, *DATAPATH_BINDING, *row, txn);
            }
            SbTable::PortBinding => write_port_binding(db, *row, txn),
            SbTable::MulticastGroup => write_multicast_group(db, *row, txn),
            SbTable::AddressSet => write_address_set(db, *row, txn),
            SbTable::PortGroup => write_port_group(db, *row, txn),
            SbTable::Meter => one(&db.want_meter, &db.sb.meter, *METER, *row, txn),
            SbTable::MeterBand => one(&db.want_meter_band, &db.sb.meter_band, *METER_BAND, *row, txn),
            SbTable::AclId => one(&db.want_acl_id, &db.sb.acl_id, *ACL_ID, *row, txn),
            SbTable::StaticMacBinding => {
                one(&db.want_static_binding, &db.sb.static_mac_binding, *STATIC_MAC_BINDING, *row, txn);
            }
            SbTable::ChassisTemplateVar => {
                one(&db.want_template_var, &db.sb.chassis_template_var, *CHASSIS_TEMPLATE_VAR, *row, txn);
            }
            SbTable::RbacPermission => {
                one(&db.want_rbac_permission, &db.sb.rbac_permission, *RBAC_PERMISSION, *row, txn);
            }
            SbTable::RbacRole => one(&db.want_rbac_role, &db.sb.rbac_role, *RBAC_ROLE, *row, txn),
            SbTable::DhcpOptions => one(&db.want_dhcp_options, &db.sb.dhcp_options, *DHCP_OPTIONS, *row, txn),
            SbTable::Dhcpv6Options => {
                one(&db.want_dhcpv6_options, &db.sb.dhcpv6_options, *DHCPV6_OPTIONS, *row, txn);
            }
            SbTable::MacBinding => {
                txn.delete("MAC_Binding").row(*row);
            }
            SbTable::Fdb => {
                txn.delete("FDB").row(*row);
            }
            SbTable::IpMulticast => {
                one(&db.want_ip_multicast, &db.sb.ip_multicast, *IP_MULTICAST, *row, txn);
            }
        }
    }
}

/// Inserts, updates or deletes one row.
fn one<R>(want: &Derived<Uuid, R>, actual: &Table<R>, columns: Columns, row: Uuid, txn: &mut Txn)
where
    R: TypedRow + Row<Key = Uuid>,
{
    match (want.peek(&row), actual.peek(&row)) {
        (None, None) => {}
        (None, Some(_)) => {
            txn.delete(R::TABLE).row(row);
        }
        (Some(want), None) => want.insert(row, columns, txn),
        (Some(want), Some(actual)) => drop(update_columns(row, actual, want, columns, txn)),
    }
}

/// A new port is down until its chassis says otherwise.
fn write_port_binding(db: &Db, row: Uuid, txn: &mut Txn) {
    match (db.want_port.peek(&row), db.sb.port_binding.peek(&row)) {
        (Some(want), None) => {
            let born = sb::PortBinding { up: Some(false), ..want.clone() };
            born.insert(row, PORT_BINDING.and(sb::PortBinding::columns(&["up"])), txn);
        }
        _ => one(&db.want_port, &db.sb.port_binding, *PORT_BINDING, row, txn),
    }
}

/// A set's members are written one by one where only they differ: there may be thousands.
fn write_multicast_group(db: &Db, row: Uuid, txn: &mut Txn) {
    match (db.want_multicast.peek(&row), db.sb.multicast_group.peek(&row)) {
        (Some(want), Some(actual))
            if (want.datapath, &want.name, want.tunnel_key)
                == (actual.datapath, &actual.name, actual.tunnel_key) =>
        {
            write_members("Multicast_Group", row, "ports", apart(&want.ports, &actual.ports), txn);
        }
        _ => one(&db.want_multicast, &db.sb.multicast_group, *MULTICAST_GROUP, row, txn),
    }
}

fn write_address_set(db: &Db, row: Uuid, txn: &mut Txn) {
    match (db.want_address_set.peek(&row), db.sb.address_set.peek(&row)) {
        (Some(want), Some(actual)) if want.name == actual.name => {
            let (want, actual) = (&want.addresses, &actual.addresses);
            let apart = want.differences(actual).cloned().partition(|member| want.contains(member));
            write_members("Address_Set", row, "addresses", apart, txn);
        }
        _ => one(&db.want_address_set, &db.sb.address_set, *ADDRESS_SET, row, txn),
    }
}

fn write_port_group(db: &Db, row: Uuid, txn: &mut Txn) {
    match (db.want_port_group.peek(&row), db.sb.port_group.peek(&row)) {
        (Some(want), Some(actual)) if want.name == actual.name => {
            write_members("Port_Group", row, "ports", apart(&want.ports, &actual.ports), txn);
        }
        _ => one(&db.want_port_group, &db.sb.port_group, *PORT_GROUP, row, txn),
    }
}

/// What only the first of two sorted slices has, and what only the second.
fn apart<T: Ord + Clone>(want: &[T], actual: &[T]) -> (Vec<T>, Vec<T>) {
    let not_in =
        |a: &[T], b: &[T]| a.iter().filter(|member| b.binary_search(member).is_err()).cloned().collect();
    (not_in(want, actual), not_in(actual, want))
}

/// Writes that members come and go.
fn write_members<T: Encode>(
    table: &str,
    row: Uuid,
    column: &str,
    (come, go): (Vec<T>, Vec<T>),
    txn: &mut Txn,
) {
    let mut op = txn.mutate(table);
    op.row(row);
    if !go.is_empty() {
        op.delete(column, &go[..]);
    }
    if !come.is_empty() {
        op.put(column, &come[..]);
    }
}
