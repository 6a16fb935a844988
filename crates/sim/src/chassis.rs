//! A chassis: its controller, its switch, and its own database with the interfaces that hosts are plugged into.

use crate::database::{self, Database, Which};
use crate::switch::{Port, Switch};
use crate::world::World;
use kiln_controller::daemon::ControllerDaemon;
use kiln_ovsdb::value::Datum;
use kiln_schema_vswitch::VswitchDb;
use kiln_types::{Instant, OfPort, Rng, Uuid};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

/// The number of a bridge's own port.
const LOCAL: i64 = 0xfffe;

/// A chassis.
pub(crate) struct Chassis {
    /// Its name.
    pub(crate) name: String,
    /// The address of its end of tunnels.
    pub(crate) address: IpAddr,
    /// `None` while it is dead.
    pub(crate) controller: Option<ControllerDaemon>,
    pub(crate) switch: Switch,
    pub(crate) local: Database,
    /// The hosts behind interfaces, by the interfaces' names.
    plugged: BTreeMap<String, usize>,
}

fn map(pairs: &[(&str, &str)]) -> Value {
    json!(["map", pairs])
}

/// The schema of Open_vSwitch, as far as it is declared: without the columns that refer to tables that are not.
fn schema() -> Value {
    let mut schema = VswitchDb::DECL.to_json();
    let tables = schema["tables"].as_object_mut().expect("a schema has tables");
    let declared: BTreeSet<String> = tables.keys().cloned().collect();
    let refers_beyond = |column: &Value| {
        let beyond = |part: &str| {
            column["type"][part]["refTable"].as_str().is_some_and(|table| !declared.contains(table))
        };
        beyond("key") || beyond("value")
    };
    for table in tables.values_mut() {
        let columns = table["columns"].as_object_mut().expect("a table has columns");
        columns.retain(|_, column| !refers_beyond(column));
    }
    schema
}

impl Chassis {
    /// A chassis with an integration bridge, nothing on it, and no controller.
    pub(crate) fn new(number: usize, rng: &mut Rng) -> Chassis {
        let name = format!("c{number}");
        let address = Ipv4Addr::from_bits(Ipv4Addr::new(192, 168, 0, 1).to_bits() + number as u32);
        let mut local = Database::new("Open_vSwitch", &schema().to_string(), rng);
        let ids = map(&[
            ("system-id", &name),
            ("ovn-remote", "tcp:192.0.2.1:6642"),
            ("ovn-encap-type", "geneve"),
            ("ovn-encap-ip", &address.to_string()),
        ]);
        let kinds = json!(["set", ["geneve", "internal", "patch", "system", "vxlan"]]);
        let operations = json!([
            "Open_vSwitch",
            { "op": "insert", "table": "Interface", "uuid-name": "i", "row": { "name": "br-int", "type": "internal" } },
            { "op": "insert", "table": "Port", "uuid-name": "p",
              "row": { "name": "br-int", "interfaces": ["named-uuid", "i"] } },
            { "op": "insert", "table": "Bridge", "uuid-name": "b",
              "row": { "name": "br-int", "ports": ["named-uuid", "p"] } },
            { "op": "insert", "table": "Open_vSwitch",
              "row": { "external_ids": ids, "bridges": ["named-uuid", "b"], "iface_types": kinds,
                       "ovs_version": "4.0.0" } },
        ]);
        local.transact(Instant::ZERO, &operations.to_string());
        let mut chassis = Chassis {
            name,
            address: address.into(),
            controller: None,
            switch: Switch::new(),
            local,
            plugged: BTreeMap::new(),
        };
        chassis.configure_switch(Instant::ZERO);
        chassis
    }

    /// Plugs a host into a new interface, to be bound to a logical port.
    pub(crate) fn plug(&mut self, now: Instant, host: usize, logical_port: &str) {
        let name = format!("h{host}");
        let ids = map(&[("iface-id", logical_port)]);
        let operations = json!([
            "Open_vSwitch",
            { "op": "insert", "table": "Interface", "uuid-name": "i", "row": { "name": name, "external_ids": ids } },
            { "op": "insert", "table": "Port", "uuid-name": "p",
              "row": { "name": name, "interfaces": ["named-uuid", "i"] } },
            { "op": "mutate", "table": "Bridge", "where": [["name", "==", "br-int"]],
              "mutations": [["ports", "insert", ["named-uuid", "p"]]] },
        ]);
        self.local.transact(now, &operations.to_string());
        self.plugged.insert(name, host);
    }

    /// Takes a host's interface away.
    pub(crate) fn unplug(&mut self, now: Instant, host: usize) {
        let name = format!("h{host}");
        let ports = self.local.rows("Port", ["name"]);
        let Some((port, _)) = ports.iter().find(|(_, [of])| database::text(of) == name) else { return };
        let operations = json!([
            "Open_vSwitch",
            { "op": "mutate", "table": "Bridge", "where": [["name", "==", "br-int"]],
              "mutations": [["ports", "delete", ["uuid", port.to_string()]]] },
        ]);
        self.local.transact(now, &operations.to_string());
        self.plugged.remove(&name);
    }

    /// What `ovs-vswitchd` does when its database has changed: gives interfaces numbers, and says that they are up. An
    /// interface keeps its number for as long as it is there.
    pub(crate) fn configure_switch(&mut self, now: Instant) {
        let columns = ["name", "type", "options", "ofport", "bfd", "bfd_status"];
        let rows = self.local.rows("Interface", columns);
        let mut taken: BTreeSet<i64> =
            rows.iter().filter_map(|(_, row)| database::integer(&row[3])).collect();
        let mut ports = BTreeMap::new();
        for (row, [name, kind, options, ofport, bfd, bfd_status]) in rows {
            let number = database::integer(&ofport).unwrap_or_else(|| {
                let free = || (1..LOCAL).find(|number| !taken.contains(number)).unwrap_or(-1);
                let number = if database::text(&kind) == "internal" { LOCAL } else { free() };
                taken.insert(number);
                self.bring_up(now, row, number);
                number
            });
            if database::value(&bfd, "enable") == "true" && bfd_status.is_empty() {
                let up = Datum::map([("state", "up"), ("forwarding", "true")]);
                self.local.update(now, "Interface", row, &[("bfd_status", up)]);
            }
            if let Some(port) = self.port(database::text(&name), database::text(&kind), &options) {
                ports.insert(OfPort(number as u32), port);
            }
        }
        self.switch.set_ports(ports);
    }

    fn bring_up(&mut self, now: Instant, row: Uuid, number: i64) {
        let values =
            [("ofport", Datum::from(number)), ("admin_state", "up".into()), ("link_state", "up".into())];
        self.local.update(now, "Interface", row, &values);
    }

    fn port(&self, name: &str, kind: &str, options: &Datum) -> Option<Port> {
        match kind {
            "geneve" => database::value(options, "remote_ip").parse().ok().map(Port::Tunnel),
            _ => self.plugged.get(name).map(|host| Port::Host(*host)),
        }
    }
}

impl World {
    /// The world has edited a chassis' own database.
    pub(crate) fn local_changed(&mut self, chassis: usize) {
        let now = self.now();
        self.chassis[chassis].configure_switch(now);
        self.pump_database(Which::Local(chassis));
    }
}
