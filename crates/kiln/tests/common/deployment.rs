//! A whole deployment on one chassis.

use super::chassis::{Chassis, flows};
use super::client::{Client, map};
use super::database::Database;
use super::network;
use super::{Daemon, Folder, LONG, Whose, northd, until};
use serde_json::{Value, json};

/// Both databases, northd and a chassis with two ports of a network, all come to rest.
pub struct Deployment {
    pub folder: Folder,
    pub nb: Database,
    pub sb: Database,
    pub northd: Daemon,
    pub chassis: Chassis,
    pub sync: i64,
}

impl Deployment {
    #[track_caller]
    pub fn start(name: &str) -> Deployment {
        Deployment::start_with(name, Whose::Kiln)
    }

    /// The same with this controller.
    #[track_caller]
    pub fn start_with(name: &str, whose: Whose) -> Deployment {
        Deployment::of(name, whose, 3, 4)
    }

    /// The same with so many switches of so many ports each; two of the ports are here all the same.
    #[track_caller]
    pub fn of(name: &str, whose: Whose, switches: usize, ports: usize) -> Deployment {
        let folder = Folder::new(name);
        let (nb, sb) = (Database::start(&folder, "nb"), Database::start(&folder, "sb"));
        network::build(&mut nb.client(), switches, ports);
        let northd = northd(&folder, "northd", Whose::Kiln);
        let chassis = Chassis::start(&folder, "hv1", whose, &[]);
        Chassis::plug(&folder, &["s0p0", "s1p1"]);
        let mut deployment = Deployment { folder, nb, sb, northd, chassis, sync: 0 };
        deployment.settle();
        deployment
    }

    /// Waits until everything that was configured stands in the switch.
    #[track_caller]
    pub fn settle(&mut self) {
        self.sync += 1;
        let set =
            json!({ "op": "update", "table": "NB_Global", "where": [], "row": { "nb_cfg": self.sync } });
        let mut northbound = self.nb.client();
        northbound.transact(&[set]);
        until("ports to be up", LONG, || {
            // Ports of routers are up without a chassis.
            let plugged = json!([["type", "==", ""], ["up", "==", true]]);
            let up = northbound.select("Logical_Switch_Port", &plugged, &["name"]);
            (up.len() >= 2).then_some(())
        });
        // Not before: without a chassis there is nobody to wait for, so that the count is reached at once.
        let wanted = self.sync.to_string();
        until("the chassis to catch up", LONG, || {
            (northbound.column("NB_Global", "hv_cfg") == [&*wanted]).then_some(())
        });
        let installed = map([("ovn-installed", "true")]);
        until("interfaces to be marked", LONG, || {
            let marked = self.chassis.database.client().select(
                "Interface",
                &json!([["external_ids", "includes", installed]]),
                &["name"],
            );
            (marked.len() >= 2).then_some(())
        });
    }

    /// What the three servers have written so far: nothing is ever taken away from it.
    pub fn written(&self) -> [Vec<String>; 3] {
        [self.nb.log(), self.sb.log(), self.chassis.database.log()]
    }

    pub fn wait_connected(&self) {
        for status in ["nb-connection-status", "sb-connection-status"] {
            until("northd to be connected", LONG, || {
                (self.northd.ask(&[status]) == "connected").then_some(())
            });
        }
        until("northd to be active", LONG, || {
            (self.northd.ask(&["status"]) == "Status: active").then_some(())
        });
        until("the controller to be connected", LONG, || {
            (self.chassis.controller.ask(&["connection-status"]) == "connected").then_some(())
        });
    }
}

/// Fails if a server has written anything since; of the local one, anything that the switch does not write itself.
#[track_caller]
pub fn assert_nothing_written(before: &[Vec<String>; 3], after: &[Vec<String>; 3]) {
    for (name, (before, after)) in ["northbound", "southbound", "local"].iter().zip(before.iter().zip(after))
    {
        let new: Vec<_> = after[before.len()..].iter().filter(|record| !is_of_the_switch(record)).collect();
        assert!(new.is_empty(), "written to the {name} database: {new:#?}");
    }
}

/// Whether a transaction changes nothing but what ovs-vswitchd reports (ovs-vswitchd.conf.db(5), columns that are status).
fn is_of_the_switch(record: &str) -> bool {
    let record: Value = serde_json::from_str(record).expect("records are JSON");
    let status = |table: &str, column: &str| match table {
        "Open_vSwitch" => !matches!(column, "external_ids" | "other_config" | "next_cfg" | "bridges"),
        "Interface" => !matches!(column, "external_ids" | "other_config" | "options" | "type" | "name"),
        "Port" => matches!(column, "status" | "statistics" | "rstp_status" | "rstp_statistics"),
        "Bridge" => matches!(column, "status" | "datapath_id" | "datapath_version" | "rstp_status"),
        "Datapath" | "Controller" | "Manager" => true,
        _ => false,
    };
    record.as_object().expect("a transaction").iter().filter(|(table, _)| !table.starts_with('_')).all(
        |(table, rows)| {
            let columns = rows
                .as_object()
                .expect("rows")
                .values()
                .filter_map(Value::as_object)
                .flat_map(|row| row.keys());
            columns.into_iter().all(|column| status(table, column))
        },
    )
}

/// Whether some flow says `text`.
pub fn has_flow(folder: &Folder, text: &str) -> bool {
    flows(folder).iter().any(|flow| flow.contains(text))
}

/// Gives a port other addresses.
#[track_caller]
pub fn set_address(northbound: &mut Client, port: &str, addresses: &str) {
    let row = json!({ "addresses": addresses, "port_security": addresses });
    let change = json!({ "op": "update", "table": "Logical_Switch_Port", "where": [["name", "==", port]], "row": row });
    northbound.transact(&[change]);
}
