//! A southbound database in a form in which equal means equal: names in place of uuids, logical flows expanded to one
//! line for each datapath, sets in order.

use crate::expression::{actions, expression};
use crate::{Database, Lab, Row, Server};
use kiln_types::IpNet;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What a northd writes, and the chassis' rows.
const TABLES: &[&str] = &[
    "SB_Global",
    "Address_Set",
    "Port_Group",
    "Logical_Flow",
    "Logical_DP_Group",
    "Multicast_Group",
    "Meter",
    "Meter_Band",
    "Datapath_Binding",
    "Port_Binding",
    "MAC_Binding",
    "FDB",
    "Static_MAC_Binding",
    "DHCP_Options",
    "DHCPv6_Options",
    "Chassis",
    "Chassis_Private",
    "Encap",
    "Gateway_Chassis",
    "HA_Chassis",
    "HA_Chassis_Group",
    "RBAC_Role",
    "RBAC_Permission",
    "DNS",
    "IP_Multicast",
    "IGMP_Group",
    "Service_Monitor",
    "Load_Balancer",
    "BFD",
    "Controller_Event",
    "Chassis_Template_Var",
    "ECMP_Nexthop",
    "Advertised_Route",
    "Learned_Route",
    "Advertised_MAC_Binding",
];

/// What names a row of a table for a person; a row of another table is named by its content.
const NAMES: &[(&str, &[&str])] = &[
    ("Port_Binding", &["logical_port"]),
    ("Chassis", &["name"]),
    ("Chassis_Private", &["name"]),
    ("Encap", &["chassis_name", "type", "ip"]),
    ("Meter", &["name"]),
    ("HA_Chassis_Group", &["name"]),
    ("Gateway_Chassis", &["name"]),
    ("RBAC_Role", &["name"]),
    ("RBAC_Permission", &["table"]),
    ("Port_Group", &["name"]),
    ("Address_Set", &["name"]),
];

/// Columns whose values each northd, or each moment, chooses for itself.
const FREE: &[(&str, &str)] = &[
    ("Datapath_Binding", "tunnel_key"),
    ("Port_Binding", "tunnel_key"),
    ("SB_Global", "nb_cfg"),
    ("Chassis_Private", "nb_cfg"),
    ("Chassis", "nb_cfg"),
    ("Chassis_Private", "nb_cfg_timestamp"),
];

/// Keys of maps whose values are moments, or where in this machine something is.
const FREE_KEYS: &[&str] =
    &["ovn-installed-ts", "ovn-nb-cfg-ts", "ovn-startup-ts", "ovn-nb-cfg", "ovn-remote"];

/// Keys of maps that Kiln adds to stock's, by which its daemons tell each other what is theirs.
const OWN_KEYS: &[&str] = &["kiln-fragment", "kiln-tracked-queries", "mac_binding_age_thresholds"];

/// The tag of a flow that says something else with it than without.
const TRANSLATION: &str = "acl_ct_translation";

/// A database's content, one line an item.
#[derive(Clone, Debug, Default)]
pub struct Southbound {
    /// Logical flows, one for each datapath that they are on.
    pub flows: BTreeSet<String>,
    /// The rows of every other table but those that only group datapaths.
    pub rows: BTreeSet<String>,
}

/// Reads a southbound database.
#[track_caller]
pub fn read(lab: &Lab, server: &Server) -> Southbound {
    let tables = lab.tables(server, Database::Southbound, TABLES);
    let names = names(&tables);
    let mut south = Southbound::default();
    for (table, rows) in &tables {
        match table.as_str() {
            "Logical_DP_Group" => {}
            "Logical_Flow" => rows.iter().for_each(|row| add_flow(&mut south.flows, row, &tables, &names)),
            "Port_Group" => rows.iter().for_each(|row| {
                let row = with_datapath(row, &tables["Datapath_Binding"]);
                insert(&mut south.rows, line(table, &row, &names));
            }),
            _ => rows.iter().for_each(|row| insert(&mut south.rows, line(table, row, &names))),
        }
    }
    south
}

/// Some columns of a table's rows as lines.
#[track_caller]
pub fn lines(
    lab: &Lab,
    server: &Server,
    database: Database,
    table: &str,
    columns: &[&str],
) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for mut row in lab.rows(server, database, table) {
        row.retain(|column, _| columns.contains(&column.as_str()));
        insert(&mut lines, line(table, &row, &BTreeMap::new()));
    }
    lines
}

/// A line that is there already is told apart, so that what stands twice is seen.
pub(crate) fn insert(lines: &mut BTreeSet<String>, line: String) {
    let mut number = 1;
    let mut wanted = line.clone();
    while lines.contains(&wanted) {
        number += 1;
        wanted = format!("{line} (number {number})");
    }
    lines.insert(wanted);
}

/// A port group that is called `KEY_NAME`, for the part of it that is in the datapath with that key, with the datapath's name.
fn with_datapath(row: &Row, datapaths: &[Row]) -> Row {
    let mut row = row.clone();
    let name = text(&row["name"]);
    if let Some((key, name)) = name.split_once('_')
        && let Some(datapath) = datapaths.iter().find(|datapath| text(&datapath["tunnel_key"]) == key)
    {
        let datapath = map_value(&datapath["external_ids"], "name").unwrap_or_default();
        row.insert("name".into(), format!("<{datapath}>_{name}").into());
    }
    row
}

fn uuid_of(row: &Row) -> &str {
    row["_uuid"][1].as_str().expect("every row has a uuid")
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// What every row is called.
fn names(tables: &BTreeMap<String, Vec<Row>>) -> BTreeMap<String, String> {
    let mut names = BTreeMap::new();
    for (table, rows) in tables {
        let columns = NAMES.iter().find(|(named, _)| named == table).map(|(_, columns)| *columns);
        for row in rows {
            let name = match (table.as_str(), columns) {
                ("Datapath_Binding", _) => map_value(&row["external_ids"], "name"),
                (_, Some(columns)) => {
                    Some(columns.iter().map(|column| text(&row[*column])).collect::<Vec<_>>().join(" "))
                }
                _ => None,
            };
            let name = name.unwrap_or_else(|| table.clone());
            names.insert(uuid_of(row).to_owned(), format!("<{name}>"));
        }
    }
    names
}

fn map_value(map: &Value, key: &str) -> Option<String> {
    map[1].as_array()?.iter().find(|pair| pair[0] == key).map(|pair| text(&pair[1]))
}

/// A value with names in place of uuids and its elements in order.
fn canonical(value: &Value, names: &BTreeMap<String, String>) -> String {
    let Value::Array(parts) = value else { return text(value) };
    match (parts.first().and_then(Value::as_str), parts.get(1)) {
        (Some("uuid"), Some(uuid)) => {
            let uuid = text(uuid);
            names.get(&uuid).cloned().unwrap_or(uuid)
        }
        (Some("set"), Some(Value::Array(elements))) => {
            let mut elements: Vec<_> = elements.iter().map(|element| canonical(element, names)).collect();
            elements.sort();
            format!("[{}]", elements.join(", "))
        }
        (Some("map"), Some(Value::Array(pairs))) => {
            let mut pairs: Vec<_> = pairs.iter().filter_map(|pair| key_and_value(pair, names)).collect();
            pairs.sort();
            format!("{{{}}}", pairs.join(", "))
        }
        _ => value.to_string(),
    }
}

/// A pair of a map; the names of conntrack zones are the same everywhere, their numbers are not, and every northd has its
/// own version.
fn key_and_value(pair: &Value, names: &BTreeMap<String, String>) -> Option<String> {
    let key = canonical(&pair[0], names);
    if FREE_KEYS.contains(&key.as_str()) || OWN_KEYS.contains(&key.as_str()) {
        return None;
    }
    let is_own = key.starts_with("ct-zone-") || key == "northd_internal_version";
    let value = if is_own { "*".into() } else { canonical(&pair[1], names) };
    Some(format!("{key}={value}"))
}

fn line(table: &str, row: &Row, names: &BTreeMap<String, String>) -> String {
    let mut line = table.to_owned();
    for (column, value) in row {
        let free = column.starts_with('_') || FREE.contains(&(table, column));
        // Kiln's northd calls a southbound datapath by the uuid of what it stands for, stock's by another.
        let value = if column == "nb_uuid" { value.to_string() } else { canonical(value, names) };
        if !free && value != "[]" && value != "{}" && !value.is_empty() {
            line.push_str(&format!(" {column}={value}"));
        }
    }
    line
}

fn add_flow(
    flows: &mut BTreeSet<String>,
    row: &Row,
    tables: &BTreeMap<String, Vec<Row>>,
    names: &BTreeMap<String, String>,
) {
    let group = row["logical_dp_group"][1].as_str();
    let group = group.and_then(|group| tables["Logical_DP_Group"].iter().find(|row| uuid_of(row) == group));
    let mut datapaths = Vec::new();
    for value in group.map(|group| &group["datapaths"]).into_iter().chain([&row["logical_datapath"]]) {
        let text = canonical(value, names);
        let inner = text.trim_start_matches('[').trim_end_matches(']');
        datapaths.extend(inner.split(", ").filter(|name| !name.is_empty()).map(str::to_owned));
    }
    let rest = format!(
        "{} table={} ({}) priority={} match=({}) actions=({}){}{}",
        text(&row["pipeline"]),
        row["table_id"],
        map_value(&row["external_ids"], "stage-name").unwrap_or_default(),
        row["priority"],
        expression(&text(&row["match"])),
        actions(&text(&row["actions"])),
        optional("meter", &row["controller_meter"]),
        map_value(&row["tags"], TRANSLATION).map_or(String::new(), |value| format!(" {TRANSLATION}={value}")),
    );
    let rest = without_shares(rest);
    let rest = if rest.contains("(lr_in_network_id)") { networks(&rest) } else { rest };
    for datapath in datapaths {
        insert(flows, format!("{datapath} {rest}"));
    }
}

/// The text with the network in place of each of its hosts that has a prefix length: stock writes `10.0.0.1/24` where
/// `10.0.0.0/24` is meant. Whatever else is compared stays to be compared.
fn networks(text: &str) -> String {
    let is_address = |c: char| c.is_ascii_hexdigit() || matches!(c, '.' | ':' | '/');
    let mut out = String::new();
    let mut rest = text;
    while !rest.is_empty() {
        let word = rest.find(|c| !is_address(c)).unwrap_or(rest.len());
        let other = rest.chars().next().map_or(0, char::len_utf8);
        let (word, after) = rest.split_at(if word == 0 { other } else { word });
        match word.parse::<IpNet>() {
            Ok(net) => out += &net.trunc().to_string(),
            Err(_) => out += word,
        }
        rest = after;
    }
    out
}

/// The text without the numbers of route tables, of chains of policies, of ports, of groups of next hops and of their members, which each northd chooses for itself: which next
/// hops share traffic shows in what the members' flows do.
fn without_shares(mut text: String) -> String {
    for field in [
        "reg8[0..15]==",
        "reg8[0..15]=",
        "reg8[16..31]==",
        "reg9[16..31]==",
        "reg9[16..31]=",
        "reg7==",
        "reg7=",
        "ecmp_reply_port==",
        "ecmp_reply_port=",
    ] {
        let mut from = 0;
        while let Some(at) = text[from..].find(field) {
            let start = from + at + field.len();
            let digits = text[start..].bytes().take_while(u8::is_ascii_digit).count();
            if digits > 0 && &text[start..start + digits] != "0" {
                text.replace_range(start..start + digits, "*");
            }
            from = start;
        }
    }
    text
}

fn optional(name: &str, value: &Value) -> String {
    match canonical(value, &BTreeMap::new()).as_str() {
        "[]" | "{}" => String::new(),
        value => format!(" {name}={value}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_hosts_with_a_length_are_networks() {
        let text = "priority=110 match=(outport==\"r\" && reg0==10.1.2.3/16 && ip6.dst==fd00::9/64 && x==10.1.2.3) é";
        let expected =
            "priority=110 match=(outport==\"r\" && reg0==10.1.0.0/16 && ip6.dst==fd00::/64 && x==10.1.2.3) é";
        assert_eq!(networks(text), expected);
    }
}
