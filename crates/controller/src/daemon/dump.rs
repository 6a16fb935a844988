//! What `debug/dump-*` lists, line by line as stock's controller prints it, since scripts read it.

use crate::binding::PortKind;
use crate::reach::LocalDatapath;
use crate::tables::Db;
use crate::{Delivery, LocalPort};
use kiln_abi::options::mac_binding::AGE_THRESHOLD;
use kiln_abi::stages::Datapath;
use kiln_ovsdb::Text;
use kiln_types::Uuid;
use std::collections::BTreeMap;
use std::fmt::Write as _;

/// The answer to a `debug/dump-*` command.
pub(super) fn dump(db: &Db, name: &str) -> Option<String> {
    let (title, lines) = match name {
        "debug/dump-local-bindings" => ("Local bindings:\n", local_bindings(db)),
        "debug/dump-local-datapaths" => ("Local datapaths:\n", local_datapaths(db)),
        "debug/dump-related-ports" => ("", related_ports(db)),
        "debug/dump-peer-ports" => ("", peer_ports(db)),
        "debug/dump-mac-bindings" => ("Local MAC bindings:\n", mac_bindings(db)),
        "debug/dump-local-template-vars" => ("Local template vars:\n", template_vars(db)),
        _ => return None,
    };
    let mut lines = lines;
    lines.sort();
    Some(lines.into_iter().fold(title.to_owned(), |text, line| text + &line + "\n"))
}

/// What is known of an `iface-id`.
#[derive(Default)]
struct Attached<'a> {
    /// The interface in use; `None` while there is none.
    interface: Option<&'a Uuid>,
    /// The port of that name, in words.
    port: Option<String>,
    /// Those that share its interface, each with its kind.
    children: Vec<(&'a Text, &'static str)>,
}

/// Every `iface-id` of the integration bridge, and every parent of containers, with the ports that belong to it.
fn local_bindings(db: &Db) -> Vec<String> {
    let mut all: BTreeMap<&Text, Attached<'_>> = BTreeMap::new();
    for (id, interfaces) in db.interfaces_with_id.iter() {
        // Of several the one that a port uses, if any does.
        let residence = db.port_named.peek(id).first().and_then(|row| db.residence.peek(row));
        let used = residence.and_then(|residence| residence.interface.as_ref());
        let interface = used.filter(|used| interfaces.contains(used)).or(interfaces.first());
        all.insert(id, Attached { interface, ..Attached::default() });
    }
    let of_interface: BTreeMap<&Uuid, &Text> =
        all.iter().filter_map(|(id, attached)| Some((attached.interface?, *id))).collect();
    for (parent, rows) in db.containers_in.iter() {
        let ports = rows.iter().filter_map(|row| db.sb.port_binding.peek(row));
        let children = ports.map(|port| (&port.logical_port, "CONTAINER"));
        all.entry(parent).or_default().children.extend(children);
    }
    for (row, residence) in db.residence.iter() {
        let Some(port) = db.sb.port_binding.peek(row) else { continue };
        let name = &port.logical_port;
        match residence.kind {
            PortKind::Vif if port.parent_port.as_ref().is_none_or(|parent| parent.is_empty()) => {
                if let Some(attached) = all.get_mut(name) {
                    attached.port = Some(format!("primary lport : [{name}]\n"));
                }
            }
            PortKind::Localport => {
                if let Some(attached) = all.get_mut(name).filter(|attached| attached.interface.is_some()) {
                    attached.port = Some(format!("localport lport : [{name}]\n"));
                }
            }
            PortKind::Virtual => {
                let id = residence.interface.as_ref().and_then(|row| of_interface.get(row));
                if let Some(attached) = id.and_then(|id| all.get_mut(*id)) {
                    attached.children.push((name, "VIRTUAL"));
                }
            }
            _ => {}
        }
    }
    all.into_iter().map(|(id, attached)| local_binding(db, id, attached)).collect()
}

fn local_binding(db: &Db, id: &Text, mut attached: Attached<'_>) -> String {
    attached.children.sort();
    let interface = match attached.interface {
        Some(row) => db.vs.interface.peek(row).map_or("", |row| &row.name),
        None => "NULL",
    };
    let count = usize::from(attached.port.is_some()) + attached.children.len();
    let mut text =
        format!("name: [{id}], OVS interface name : [{interface}], num binding lports : [{count}]\n");
    match &attached.port {
        Some(port) => text.push_str(port),
        None if count > 0 => text.push_str("no primary lport\n"),
        None => {}
    }
    for (number, (name, kind)) in attached.children.iter().enumerate() {
        let _ = writeln!(text, "child lport[{}] : [{name}], type : [{kind}]", number + 1);
    }
    text + &"-".repeat(40)
}

fn local_datapaths(db: &Db) -> Vec<String> {
    let line = |datapath: &LocalDatapath| {
        let kind = match datapath.kind {
            Datapath::Switch => "switch",
            Datapath::Router => "router",
        };
        format!("Datapath: {}, type: {kind}", datapath.name)
    };
    db.local_datapaths.iter().map(|(_, datapath)| line(datapath)).collect()
}

/// Ports that are here, and those through which local datapaths are reached.
fn related_ports(db: &Db) -> Vec<String> {
    let related = |port: &&LocalPort| {
        use Delivery::{Candidates, Gateway, Here, Patch};
        matches!(port.delivery, Here { .. } | Patch { .. } | Gateway { .. } | Candidates)
    };
    db.ports.iter().map(|(_, port)| port).filter(related).map(|port| port.name.to_string()).collect()
}

fn peer_ports(db: &Db) -> Vec<String> {
    let line = |port: &LocalPort| {
        let Delivery::Patch { peer } = port.delivery else { return None };
        let (peer, datapath) = (db.ports.peek(&peer)?, db.local_datapaths.peek(&port.datapath)?);
        Some(format!("dp {} : local = {}, remote = {}", datapath.name, port.name, peer.name))
    };
    db.ports.iter().filter_map(|(_, port)| line(port)).collect()
}

/// Bindings of local routers that forget theirs after a while. The cookie is the row's, as on its flows.
fn mac_bindings(db: &Db) -> Vec<String> {
    let line = |(row, binding): (&Uuid, &kiln_schema_ovn::sb::MacBinding)| {
        if binding.mac.is_empty() {
            // Only asked for.
            return None;
        }
        let datapath = db.local_datapaths.peek(&binding.datapath)?;
        let router = db.sb.datapath_binding.peek(&binding.datapath)?;
        let threshold = router.external_ids.get(AGE_THRESHOLD)?.parse::<u32>().ok()?;
        if threshold == 0 {
            return None;
        }
        let [a, b, c, d, ..] = *row.as_bytes();
        let cookie = u32::from_be_bytes([a, b, c, d]);
        let (ip, mac) = (&binding.ip, &binding.mac);
        // Scripts that read stock's list find a port there, which is always 0.
        let keys = format!("datapath-key: {}, port-key: 0", datapath.key);
        Some(format!("cookie: {cookie:#010x}, {keys}, ip: {ip}, mac: {mac}"))
    };
    db.sb.mac_binding.iter().filter_map(line).collect()
}

/// The variables of templates that this chassis has values for.
fn template_vars(db: &Db) -> Vec<String> {
    let Some(settings) = db.settings.peek(&()) else { return Vec::new() };
    let rows = db.templates_of.peek(&settings.chassis).iter();
    let rows = rows.filter_map(|row| db.sb.chassis_template_var.peek(row));
    let line = |(name, value): (&_, &_)| format!("name: '{name}' value: '{value}'");
    rows.flat_map(|row| row.variables.iter().map(line)).collect()
}

/// The numbers of conjunctions, flow by flow.
pub(super) fn conjunctions(db: &Db) -> String {
    let mut out = String::from("Conjunction IDs allocations:\n");
    let mut total = 0;
    for ((flow, datapath), start, len) in db.conjunctions.iter() {
        let _ = writeln!(out, "lflow: {flow}, dp: {datapath}, start: {start}, n: {len}");
        total += len;
    }
    let _ = write!(out, "---\nTotal {total} IDs used.\n");
    out
}
