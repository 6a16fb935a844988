//! Networks, written to a northbound database.

use super::client::{Client, map, set};
use serde_json::{Value, json};

/// The name of a port.
pub fn port(switch: usize, port: usize) -> String {
    format!("s{switch}p{port}")
}

/// The address of a port, of both kinds.
pub fn addresses(switch: usize, port: usize) -> String {
    let (high, low) = (port / 200, port % 200 + 10);
    format!(
        "0a:{switch:02x}:00:00:{:02x}:{:02x} 10.{switch}.{high}.{low} fd00:{switch:x}::{:x}",
        port / 256,
        port % 256,
        port + 16
    )
}

/// The row of a port that can be inserted.
pub fn port_row(switch: usize, at: usize) -> Value {
    let addresses = addresses(switch, at);
    json!({ "name": port(switch, at), "addresses": addresses, "port_security": addresses })
}

/// Inserts of ports and the change that puts them on a switch that stands.
pub fn more_ports(switch: usize, range: std::ops::Range<usize>) -> Vec<Value> {
    let name = format!("s{switch}");
    let mut ops: Vec<Value> = range
        .clone()
        .map(|at| insert("Logical_Switch_Port", &port(switch, at), port_row(switch, at)))
        .collect();
    let ports = set(range.map(|at| json!(["named-uuid", port(switch, at)])));
    ops.push(json!({
        "op": "mutate", "table": "Logical_Switch", "where": [["name", "==", name]],
        "mutations": [["ports", "insert", ports]],
    }));
    ops
}

fn insert(table: &str, named: &str, row: Value) -> Value {
    json!({ "op": "insert", "table": table, "uuid-name": named, "row": row })
}

/// Switches of so many ports each, `sIpJ`, all on one router.
pub fn build(northbound: &mut Client, switches: usize, ports: usize) {
    let mut ops = vec![json!({ "op": "insert", "table": "NB_Global", "row": {} })];
    let mut router_ports = Vec::new();
    for switch in 0..switches {
        let (name, up, down) = (format!("s{switch}"), format!("s{switch}-up"), format!("down-s{switch}"));
        let mac = format!("0e:{switch:02x}:00:00:00:01");
        let networks = set([json!(format!("10.{switch}.0.1/16")), json!(format!("fd00:{switch:x}::1/64"))]);
        let row = json!({ "name": &down, "mac": mac, "networks": networks });
        ops.push(insert("Logical_Router_Port", &format!("d{switch}"), row));
        router_ports.push(json!(["named-uuid", format!("d{switch}")]));
        let options = map([("router-port", down.as_str())]);
        let row = json!({ "name": &up, "type": "router", "addresses": "router", "options": options });
        ops.push(insert("Logical_Switch_Port", &format!("u{switch}"), row));
        let row = json!({ "name": &name, "ports": ["named-uuid", format!("u{switch}")] });
        ops.push(insert("Logical_Switch", &name, row));
    }
    ops.push(insert("Logical_Router", "r", json!({ "name": "r", "ports": set(router_ports) })));
    northbound.transact(&ops);
    for switch in 0..switches {
        northbound.transact(&more_ports(switch, 0..ports));
    }
}
