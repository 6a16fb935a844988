//! What `debug/dump-*` lists, line by line as stock's controller prints it, since scripts read it.

use crate::binding::PortKind;
use crate::reach::LocalDatapath;
use crate::tables::Db;
use crate::{Delivery, LocalPort};
use kiln_abi::options::mac_binding::AGE_THRESHOLD;
use kiln_abi::stages::Datapath;
use kiln_types::Uuid;
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

/// Every `iface-id` of the integration bridge with the ports that are bound through it.
fn local_bindings(db: &Db) -> Vec<String> {
    let rule = "-".repeat(40);
    let binding = |id: &str, interface: &Uuid| {
        let name = db.vs.interface.peek(interface).map_or("", |row| &row.name);
        let (mut primary, mut children) = (Vec::new(), Vec::new());
        for (row, residence) in db.residence.iter() {
            if residence.interface.as_ref() != Some(interface) {
                continue;
            }
            let Some(port) = db.sb.port_binding.peek(row) else { continue };
            match residence.kind {
                PortKind::Virtual => children.push((&port.logical_port, "VIRTUAL")),
                _ if residence.parent.is_some() => children.push((&port.logical_port, "CONTAINER")),
                PortKind::Localport => primary.push(format!("localport lport : [{}]\n", port.logical_port)),
                _ => primary.push(format!("primary lport : [{}]\n", port.logical_port)),
            }
        }
        children.sort();
        let count = primary.len() + children.len();
        let mut text =
            format!("name: [{id}], OVS interface name : [{name}], num binding lports : [{count}]\n");
        text.push_str(&primary.concat());
        for (number, (name, kind)) in children.iter().enumerate() {
            let _ = writeln!(text, "child lport[{}] : [{name}], type : [{kind}]", number + 1);
        }
        text + &rule
    };
    let all = db.interfaces_with_id.iter();
    all.flat_map(|(id, interfaces)| interfaces.iter().map(move |row| binding(id, row))).collect()
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
