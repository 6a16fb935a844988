//! The integration bridge, made if it is missing, and the patch ports that lead from it to physical networks.

use crate::binding::PortKind;
use crate::ct_zone;
use crate::outstanding::{VsOp, uuid_of};
use crate::tables::{Ctx, Db};
use kiln_ovsdb::column::Pairs;
use kiln_ovsdb::txn::Txn;
use kiln_ovsdb::{Map, Set, Text};
use kiln_types::Uuid;

/// Fields whose longest-prefix look-up every OpenFlow table of the bridge is prepared for.
const PREFIXES: [&str; 4] = ["ip_dst", "ip_src", "ipv6_dst", "ipv6_src"];
/// As many of them as a table takes in schemas before version 8.8.
const OLD_PREFIXES: [&str; 3] = ["ip_dst", "ip_src", "ipv6_dst"];
/// OpenFlow tables that can be configured.
const TABLES: std::ops::RangeInclusive<i64> = 0..=254;

/// What the bridge's datapath can do (column `capabilities` of Datapath).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Committing a connection with a source translation to address zero keeps ports unique.
    pub ct_zero_snat: bool,
    /// Hashing by the transport layer alike in both directions.
    pub dp_hash_l4_symmetric: bool,
}

pub(crate) fn capabilities(ctx: &Ctx<'_>, _: &(), out: &mut Vec<((), Capabilities)>) {
    let bridge = ctx.value(&ctx.integration, &()).and_then(|row| ctx.row(&ctx.vs.bridge, row));
    let root = ctx.all(&ctx.root, &()).first().and_then(|row| ctx.row(&ctx.vs.open_vswitch, row));
    let (Some(bridge), Some(root)) = (bridge, root) else { return };
    let datapath =
        root.datapaths().get(kind_of(bridge.datapath_type())).and_then(|row| ctx.row(&ctx.vs.datapath, row));
    let Some(datapath) = datapath else { return };
    let has = |key: &str, value: &str| datapath.capabilities().get(key).is_some_and(|text| &**text == value);
    out.push((
        (),
        Capabilities {
            ct_zero_snat: has("ct_zero_snat", "true"),
            // One particular algorithm, and not one of those that may come after it.
            dp_hash_l4_symmetric: has("max_hash_alg", "1"),
        },
    ));
}

/// Whether the bridge is missing or not as it must be.
pub(crate) fn differences(ctx: &Ctx<'_>, _: &(), out: &mut Vec<VsOp>) {
    let Some(settings) = ctx.value(&ctx.settings, &()) else { return };
    let row = ctx.value(&ctx.integration, &());
    let Some((row, bridge)) = row.and_then(|row| Some((row, ctx.row(&ctx.vs.bridge, row)?))) else {
        return out.push(VsOp::CreateBridge);
    };
    let kind = settings.datapath_type.as_deref().unwrap_or(kind_of(bridge.datapath_type()));
    let mistyped = &**bridge.datapath_type() != kind;
    let tables = bridge.flow_tables().all();
    let unprepared = !tables.iter().map(|(table, _)| *table).eq(TABLES);
    let takes_more = ctx.value(&ctx.facts, &()).is_some_and(|facts| facts.four_prefixes)
        && distinct(tables.iter().map(|(_, row)| row))
            .filter_map(|row| ctx.row(&ctx.vs.flow_table, row))
            .any(|row| is_old(row.prefixes().all()));
    if bridge.fail_mode().as_deref() != Some("secure") || mistyped || unprepared || takes_more {
        out.push(VsOp::Bridge);
    }
    if let Some(root) = ctx.all(&ctx.root, &()).first().and_then(|row| ctx.row(&ctx.vs.open_vswitch, row)) {
        if root.datapaths().get(kind).is_none() {
            out.push(VsOp::Datapath(kind.into()));
        }
        if root.other_config().get(VLAN_LIMIT).is_none_or(|limit| &**limit != "0") {
            out.push(VsOp::VlanLimit);
        }
    }
    if let Some(progress) = ctx.value(&ctx.progress, &()) {
        let saved = bridge.external_ids().get("ovn-nb-cfg").and_then(|text| text.parse().ok());
        if saved != Some(progress.nb_cfg) && (progress.nb_cfg != 0 || saved.is_some()) {
            out.push(VsOp::Progress(*row));
        }
    }
}

/// Tables' rows without repetition: nearly always it is one row for all of them.
fn distinct<'a>(rows: impl Iterator<Item = &'a Uuid>) -> impl Iterator<Item = &'a Uuid> {
    let mut last = None;
    rows.filter(move |row| last.replace(**row) != Some(**row))
}

/// Whether these are the prefixes that a controller writes where the schema takes no more: of tables that someone else has
/// prepared otherwise, nothing changes.
fn is_old(prefixes: &[Text]) -> bool {
    prefixes.iter().map(|field| &**field).eq(OLD_PREFIXES)
}

/// The kind of datapath that the switch gives a bridge of this type (ovs-vswitchd.conf.db(5), Bridge).
pub(crate) fn kind_of(datapath_type: &str) -> &str {
    if datapath_type.is_empty() { "system" } else { datapath_type }
}

/// The key of Open_vSwitch `other_config` that says how many VLAN tags the switch looks at; 0 is all that it can. With its
/// default of one, packets that carry a tag of their own over a localnet port with another would be read wrongly.
const VLAN_LIMIT: &str = "vlan-limit";

/// Lets the switch look at as many VLAN tags as it can.
pub(crate) fn lift_vlan_limit(db: &Db, txn: &mut Txn) {
    let Some(root) = db.root.peek(&()).first() else { return };
    let mut op = txn.mutate("Open_vSwitch");
    op.row(*root).delete("other_config", &[VLAN_LIMIT]).put("other_config", &Pairs(&[(VLAN_LIMIT, "0")]));
}

/// Makes the row in which the switch says what its datapath can do; without it, it does not say.
pub(crate) fn create_datapath(db: &Db, kind: &str, txn: &mut Txn) {
    let Some(root) = db.root.peek(&()).first() else { return };
    let row = uuid_of("Datapath", &[kind]);
    txn.insert("Datapath").uuid(row);
    let map: Map<Text, Uuid> = [(kind.into(), row)].into_iter().collect();
    txn.mutate("Open_vSwitch").row(*root).put("datapaths", &map);
}

/// Makes the bridge.
pub(crate) fn create(db: &Db, txn: &mut Txn) {
    let (Some(settings), Some(root)) = (db.settings.peek(&()), db.root.peek(&()).first()) else { return };
    let name = &settings.bridge;
    let [interface, port, bridge] = ["Interface", "Port", "Bridge"].map(|table| uuid_of(table, &[name]));
    txn.insert("Interface").uuid(interface).set("name", name).set("type", "internal");
    txn.insert("Port").uuid(port).set("name", name).set("interfaces", &interface);
    let tables = flow_tables(db, txn);
    // A bridge address that does not follow from its ports: they come and go.
    let hwaddr = hwaddr(&settings.chassis, name);
    let datapath_type = settings.datapath_type.clone().unwrap_or_else(|| "system".into());
    txn.insert("Bridge")
        .uuid(bridge)
        .set("name", name)
        .set("ports", &port)
        .set("fail_mode", "secure")
        .set("datapath_type", &datapath_type)
        .set("flow_tables", &tables)
        .set("other_config", &Pairs(&[("disable-in-band", "true"), ("hwaddr", &*hwaddr)]));
    txn.mutate("Open_vSwitch").row(*root).put("bridges", &bridge);
}

/// A locally administered address that belongs to the chassis' bridge alone.
fn hwaddr(chassis: &str, bridge: &str) -> String {
    let bytes = *uuid_of("hwaddr", &[chassis, bridge]).as_bytes();
    let mut mac = kiln_types::EthAddr([bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5]]);
    mac.0[0] = mac.0[0] & 0xfc | 2;
    mac.to_string()
}

fn flow_tables(db: &Db, txn: &mut Txn) -> Map<i64, Uuid> {
    let row = uuid_of("Flow_Table", &[]);
    if db.vs.flow_table.peek(&row).is_none() {
        let four = db.facts.peek(&()).is_some_and(|facts| facts.four_prefixes);
        let prefixes = if four { &PREFIXES[..] } else { &OLD_PREFIXES };
        txn.insert("Flow_Table").uuid(row).set("prefixes", prefixes);
    }
    TABLES.map(|table| (table, row)).collect()
}

/// Sets the bridge right.
pub(crate) fn mend(db: &Db, txn: &mut Txn) {
    let (Some(settings), Some(row)) = (db.settings.peek(&()), db.integration.peek(&())) else { return };
    let Some(bridge) = db.vs.bridge.peek(row) else { return };
    let complete = bridge.flow_tables.iter().map(|(table, _)| *table).eq(TABLES);
    let tables = if complete { None } else { Some(flow_tables(db, txn)) };
    if db.facts.peek(&()).is_some_and(|facts| facts.four_prefixes) {
        for row in distinct(bridge.flow_tables.iter().map(|(_, row)| row)) {
            if db.vs.flow_table.peek(row).is_some_and(|table| is_old(&table.prefixes)) {
                txn.update("Flow_Table").row(*row).set("prefixes", &PREFIXES[..]);
            }
        }
    }
    let mut op = txn.update("Bridge");
    op.row(*row).set("fail_mode", "secure");
    op.set("datapath_type", settings.datapath_type.as_deref().unwrap_or(kind_of(&bridge.datapath_type)));
    if let Some(tables) = &tables {
        op.set("flow_tables", tables);
    }
}

/// Writes or removes a zone in the bridge's `external_ids`.
pub(crate) fn write_zone(db: &Db, name: &Text, txn: &mut Txn) {
    let Some(row) = db.integration.peek(&()) else { return };
    let key = format!("{}{name}", ct_zone::PREFIX);
    let mut op = txn.mutate("Bridge");
    op.row(*row).delete("external_ids", &[key.as_str()]);
    if let Some(zone) = db.ct_zones.peek(name) {
        op.put("external_ids", &Pairs(&[(key.as_str(), zone.to_string().as_str())]));
    }
}

/// A patch port and its other end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Patch {
    /// The bridge that it stands in.
    pub bridge: Uuid,
    /// The port at its other end.
    pub peer: Text,
    /// The logical port that it carries.
    pub port: Text,
    /// The key of `Port.external_ids` that says so.
    pub key: &'static str,
}

/// The key that says which logical port a patch port carries, for each kind of port that has patch ports.
pub(crate) const PATCH_KEYS: [(PortKind, &str); 2] =
    [(PortKind::Localnet, "ovn-localnet-port"), (PortKind::L2gateway, "ovn-l2gateway-port")];

/// The names of the patch ports that carry a logical port: the one in the integration bridge, and the one at the other end.
pub(crate) fn patch_names(bridge: &str, port: &str) -> [Text; 2] {
    [format!("patch-{bridge}-to-{port}").into(), format!("patch-{port}-to-{bridge}").into()]
}

/// The pair of patch ports of a localnet port whose network this chassis is on, or of a layer 2 gateway that this chassis is.
pub(crate) fn wanted_patches(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Text, Patch)>) {
    let Some(residence) = ctx.value(&ctx.residence, row) else { return };
    let Some((kind, key)) = PATCH_KEYS.into_iter().find(|(kind, _)| *kind == residence.kind) else { return };
    if kind == PortKind::L2gateway && !residence.claims {
        return;
    }
    let Some(port) = ctx.row(&ctx.sb.port_binding, row) else { return };
    if ctx.value(&ctx.local_datapaths, &port.datapath()).is_none() {
        return;
    }
    let (Some(settings), Some(inner)) = (ctx.value(&ctx.settings, &()), ctx.value(&ctx.integration, &()))
    else {
        return;
    };
    let name = port.logical_port();
    let Some(network) = port.options().get("network_name") else {
        return ctx.report(format!(
            "Port_Binding \"{name}\": column options: expected the network_name of a port of type {kind}, found none",
            kind = port.r#type()
        ));
    };
    let Some((_, outer_name)) = settings.bridge_mappings.iter().find(|(name, _)| name == network) else {
        // A localnet port may lead nowhere from here: a switch of several segments has one for each of them.
        if kind == PortKind::L2gateway {
            ctx.report(format!(
                "Open_vSwitch external_ids:ovn-bridge-mappings: expected a bridge for network \"{network}\" of the layer 2 gateway \"{name}\", found none"
            ));
        }
        return;
    };
    let Some(outer) = ctx.all(&ctx.bridge_named, outer_name).first() else {
        return ctx.report(format!(
            "Open_vSwitch external_ids:ovn-bridge-mappings: network \"{network}\" names bridge \"{outer_name}\", which does not exist"
        ));
    };
    let port = port.logical_port().clone();
    let [outward, inward] = patch_names(&settings.bridge, &port);
    out.push((outward.clone(), Patch { bridge: *inner, peer: inward.clone(), port: port.clone(), key }));
    out.push((inward, Patch { bridge: *outer, peer: outward, port, key }));
}

/// Patch ports that are missing.
pub(crate) fn missing_patches(ctx: &Ctx<'_>, name: &Text, out: &mut Vec<VsOp>) {
    let Some(want) = ctx.value(&ctx.patches, name) else { return };
    let stands = ctx.all(&ctx.patch_ports, name).first();
    if !stands.is_some_and(|port| ctx.holds(&ctx.bridge_of_port, port, &want.bridge)) {
        out.push(VsOp::Patch(name.clone()));
    }
}

/// Patch ports that nobody needs.
pub(crate) fn stale_patches(ctx: &Ctx<'_>, name: &Text, out: &mut Vec<VsOp>) {
    if ctx.value(&ctx.patches, name).is_none() {
        out.push(VsOp::Patch(name.clone()));
    }
}

/// Makes or removes a patch port.
pub(crate) fn write_patch(db: &Db, name: &Text, txn: &mut Txn) {
    let want = db.patches.peek(name);
    let mut removed = false;
    for port in db.patch_ports.peek(name) {
        for bridge in db.bridge_of_port.peek(port) {
            if want.is_none_or(|want| want.bridge != *bridge) {
                txn.mutate("Bridge").row(*bridge).delete("ports", port);
                removed = true;
            }
        }
    }
    // One of the same name cannot be made before the old one is gone.
    let Some(want) = want.filter(|_| !removed) else { return };
    let ids: [(Text, Text); 1] = [(want.key.into(), want.port.clone())];
    let interface = InterfaceOf { kind: "patch", options: &[("peer".into(), want.peer.clone())], bfd: &[] };
    add_port(want.bridge, name, &ids, &interface, txn);
}

/// What a new port's one interface is.
pub(crate) struct InterfaceOf<'a> {
    pub(crate) kind: &'a str,
    pub(crate) options: &'a [(Text, Text)],
    pub(crate) bfd: &'a [(Text, Text)],
}

/// Adds a port with one interface of the same name to a bridge.
pub(crate) fn add_port(
    bridge: Uuid,
    name: &Text,
    external_ids: &[(Text, Text)],
    interface: &InterfaceOf<'_>,
    txn: &mut Txn,
) {
    let [interface_row, port_row] = ["Interface", "Port"].map(|table| uuid_of(table, &[name]));
    txn.insert("Interface")
        .uuid(interface_row)
        .set("name", name)
        .set("type", interface.kind)
        .set("options", &Pairs(interface.options))
        .set("bfd", &Pairs(interface.bfd));
    txn.insert("Port")
        .uuid(port_row)
        .set("name", name)
        .set("interfaces", &Set::from_vec(vec![interface_row]))
        .set("external_ids", &Pairs(external_ids));
    txn.mutate("Bridge").row(bridge).put("ports", &port_row);
}
