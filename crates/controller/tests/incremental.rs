//! After any sequence of changes, what is wanted equals what a fresh compile of the same rows wants, and so does what the
//! databases lack.

mod network;
mod outcome;

use kiln_controller::Compiler;
use kiln_types::{Rng, Uuid};
use outcome::{assert_same, remember_zones};
use serde_json::Value;
use std::collections::BTreeSet;

const TABLES: [&str; 13] = [
    "Port_Binding",
    "Logical_Flow",
    "Multicast_Group",
    "MAC_Binding",
    "Chassis",
    "Encap",
    "Datapath_Binding",
    "Address_Set",
    "Port_Group",
    "HA_Chassis",
    "HA_Chassis_Group",
    "SB_Global",
    "Static_MAC_Binding",
];

/// Keys of `Open_vSwitch.external_ids` that come, change and go.
const SETTINGS: [(&str, [&str; 2]); 9] = [
    ("ovn-encap-ip", ["192.0.2.1", "192.0.2.11,192.0.2.1"]),
    ("ovn-encap-ip-default", ["192.0.2.11", "192.0.2.1"]),
    ("ovn-encap-type", ["geneve", "geneve,vxlan"]),
    ("ovn-encap-tos", ["inherit", "4"]),
    ("ovn-enable-flow-based-tunnels", ["true", "false"]),
    ("ovn-chassis-mac-mappings", ["phys:aa:bb:cc:00:00:01", "phys:aa:bb:cc:00:00:09"]),
    ("ovn-is-interconn", ["true", "false"]),
    ("ovn-transport-zones", ["tz1", "tz1,tz2"]),
    ("ovn-bridge-mappings", ["phys:br-phys", "other:br-phys"]),
];

/// Changes a recorded network at random, and compares with a compiler that sees only the end.
fn equals_a_fresh_compile(text: &str, seeds: std::ops::Range<u64>) {
    let recorded: Value = serde_json::from_str(text).unwrap();
    for seed in seeds {
        let mut rng = Rng::with_seed(seed);
        let mut databases = recorded["databases"].clone();
        let mut compiler = network::compiled(&databases);
        let mut removed: Vec<(&str, String, Value)> = Vec::new();
        for _ in 0..30 {
            for _ in 0..rng.usize(1..6) {
                match rng.u8(..10) {
                    0 => set(&mut rng, &mut compiler, &mut databases),
                    1 => flap(&mut rng, &mut compiler, &mut databases),
                    2 => members(
                        &mut rng,
                        &mut compiler,
                        &mut databases,
                        "Address_Set",
                        "addresses",
                        &ADDRESSES,
                    ),
                    3 => members(&mut rng, &mut compiler, &mut databases, "Port_Group", "ports", &PORTS),
                    _ => edit(&mut rng, &mut compiler, &mut databases, &mut removed),
                }
            }
            compiler.settle();
        }
        remember_zones(&mut compiler, &mut databases);
        network::feed(compiler.local_replica(), &databases["Open_vSwitch"]);
        compiler.settle();
        assert_same(&compiler, &network::compiled(&databases), &format!("seed {seed}"));
    }
}

#[test]
fn switches_and_routers() {
    equals_a_fresh_compile(include_str!("stock/one.json"), 0..10);
}

#[test]
fn vlans() {
    equals_a_fresh_compile(include_str!("stock/vlan.json"), 0..6);
}

#[test]
fn gateways() {
    equals_a_fresh_compile(include_str!("stock/gateways.json"), 0..6);
}

#[test]
fn tunnels() {
    equals_a_fresh_compile(include_str!("stock/encaps.json"), 0..20);
    equals_a_fresh_compile(include_str!("stock/shared.json"), 0..20);
}

/// Sets, changes or removes a setting.
fn set(rng: &mut Rng, compiler: &mut Compiler, databases: &mut Value) {
    let rows = databases["Open_vSwitch"]["Open_vSwitch"].as_object_mut().unwrap();
    let (uuid, row) = rows.iter_mut().next().unwrap();
    let (key, values) = SETTINGS[rng.usize(..SETTINGS.len())];
    let pairs = row["external_ids"][1].as_array_mut().unwrap();
    pairs.retain(|pair| pair[0] != key);
    if rng.u8(..3) != 0 {
        pairs.push(serde_json::json!([key, values[rng.usize(..2)]]));
    }
    network::put(compiler.local_replica(), "Open_vSwitch", uuid.parse().unwrap(), row);
}

/// Members of address sets: of which some hold others, some are of another kind, and one is no address.
const ADDRESSES: [&str; 12] = [
    "10.0.0.1",
    "10.0.0.1/32",
    "10.0.0.2",
    "10.0.0.0/24",
    "10.0.0.0/8",
    "10.0.0.7/255.0.0.255",
    "192.0.2.1",
    "192.0.2.0/25",
    "0.0.0.0/0",
    "fd00::1",
    "0a:00:00:00:00:01",
    "nonsense",
];

/// Members of port groups, which may be ports or not.
const PORTS: [&str; 5] = ["a1", "a2", "b1", "c1", "nowhere"];

/// Toggles some members of a set or a group.
fn members(
    rng: &mut Rng,
    compiler: &mut Compiler,
    databases: &mut Value,
    table: &str,
    column: &str,
    candidates: &[&str],
) {
    let rows = databases["OVN_Southbound"].get_mut(table).and_then(Value::as_object_mut);
    let Some(rows) = rows.filter(|rows| !rows.is_empty()) else { return };
    let at = rng.usize(..rows.len());
    let (uuid, row) = rows.iter_mut().nth(at).unwrap();
    let value = &mut row[column];
    let mut all: BTreeSet<String> = match value[0].as_str() {
        Some("set") => {
            value[1].as_array().unwrap().iter().map(|text| text.as_str().unwrap().to_owned()).collect()
        }
        _ => value.as_str().map(str::to_owned).into_iter().collect(),
    };
    for _ in 0..rng.usize(1..4) {
        let member = candidates[rng.usize(..candidates.len())].to_owned();
        if !all.remove(&member) {
            all.insert(member);
        }
    }
    *value = serde_json::json!(["set", all]);
    network::put(compiler.southbound_replica(), table, uuid.parse().unwrap(), row);
}

/// Brings a tunnel up or down.
fn flap(rng: &mut Rng, compiler: &mut Compiler, databases: &mut Value) {
    let rows = databases["Open_vSwitch"]["Interface"].as_object_mut().unwrap();
    let tunnels: Vec<_> =
        rows.iter_mut().filter(|(_, row)| row["type"] == "geneve" || row["type"] == "vxlan").collect();
    if tunnels.is_empty() {
        return;
    }
    let at = rng.usize(..tunnels.len());
    let (uuid, row) = tunnels.into_iter().nth(at).unwrap();
    let state = if rng.bool() { "up" } else { "down" };
    row["bfd_status"] = serde_json::json!(["map", [["state", state]]]);
    network::put(compiler.local_replica(), "Interface", uuid.parse().unwrap(), row);
}

/// Takes a row away, or puts one back.
fn edit(
    rng: &mut Rng,
    compiler: &mut Compiler,
    databases: &mut Value,
    removed: &mut Vec<(&'static str, String, Value)>,
) {
    if !removed.is_empty() && rng.bool() {
        let (table, uuid, row) = removed.swap_remove(rng.usize(..removed.len()));
        network::put(compiler.southbound_replica(), table, uuid.parse().unwrap(), &row);
        databases["OVN_Southbound"][table][&uuid] = row;
        return;
    }
    let table = TABLES[rng.usize(..TABLES.len())];
    let rows = databases["OVN_Southbound"].get_mut(table).and_then(Value::as_object_mut);
    let Some(rows) = rows else { return };
    if let Some(uuid) = rng.choice(rows.keys().cloned().collect::<Vec<_>>()) {
        let row = rows.remove(&uuid).unwrap();
        compiler.southbound_replica().delete(table, uuid.parse::<Uuid>().unwrap());
        removed.push((table, uuid, row));
    }
}
