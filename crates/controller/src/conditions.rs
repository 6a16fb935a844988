//! Which rows of the southbound database this chassis has to know (ovn-controller(8), `ovn-monitor-all`).
//!
//! Flows are asked for by datapath, but grouped flows and all groups always come: a group's row and its flows' rows would
//! otherwise arrive apart.

use crate::tables::Db;
use kiln_ovsdb::Text;
use kiln_ovsdb::client::{Condition, Rows};
use kiln_ovsdb::txn::Function::{Equal, Includes, NotEqual};
use kiln_types::Uuid;
use std::collections::BTreeMap;

/// Types of ports that every chassis has to know.
const EVERYWHERE: [&str; 3] = ["patch", "external", "chassisredirect"];

/// What tells whether the conditions may have changed.
pub(crate) type Basis = [u64; 4];

/// The revisions of the tables that conditions follow from.
pub(crate) fn basis(db: &Db) -> Basis {
    [
        db.settings.revision(),
        db.local_datapaths.revision(),
        db.interfaces_with_id.revision(),
        db.me.revision(),
    ]
}

/// The conditions for every table that has any.
pub(crate) fn wanted(db: &Db) -> BTreeMap<&'static str, Rows> {
    let monitor_all = db.settings.peek(&()).is_some_and(|settings| settings.monitor_all);
    if monitor_all {
        return TABLES.iter().map(|table| (*table, Rows::All)).collect();
    }
    let datapaths: BTreeMap<Uuid, u32> =
        db.local_datapaths.iter().map(|(row, datapath)| (*row, datapath.key)).collect();
    let by_datapath = |column: &str| -> Vec<Condition> {
        datapaths.keys().map(|row| Condition::new(column, Equal, row)).collect()
    };
    let mut flows = by_datapath("logical_datapath");
    flows.push(Condition::new("logical_dp_group", NotEqual, &None::<Uuid>));
    let stations = datapaths.values().map(|key| Condition::new("dp_key", Equal, &i64::from(*key)));
    let name = db.settings.peek(&()).map(|settings| settings.chassis.clone());
    let named =
        |column: &str| name.iter().map(|name| Condition::new(column, Equal, name)).collect::<Vec<_>>();
    BTreeMap::from([
        ("Port_Binding", Rows::any(ports(db, by_datapath("datapath"), name.as_ref()))),
        ("Logical_Flow", Rows::any(flows)),
        ("MAC_Binding", Rows::any(by_datapath("datapath"))),
        ("Static_MAC_Binding", Rows::any(by_datapath("datapath"))),
        ("Multicast_Group", Rows::any(by_datapath("datapath"))),
        ("FDB", Rows::any(stations)),
        ("Chassis_Private", Rows::any(named("name"))),
        ("Chassis_Template_Var", Rows::any(named("chassis"))),
    ])
}

/// Tables with conditions.
pub(crate) const TABLES: [&str; 8] = [
    "Port_Binding",
    "Logical_Flow",
    "MAC_Binding",
    "Static_MAC_Binding",
    "Multicast_Group",
    "FDB",
    "Chassis_Private",
    "Chassis_Template_Var",
];

fn ports(db: &Db, mut clauses: Vec<Condition>, name: Option<&Text>) -> Vec<Condition> {
    clauses.extend(EVERYWHERE.map(|kind| Condition::new("type", Equal, kind)));
    // Containers are known by their parents only once they are seen.
    clauses.push(Condition::new("parent_port", NotEqual, &None::<Text>));
    for (id, interfaces) in db.interfaces_with_id.iter() {
        if !interfaces.is_empty() {
            clauses.push(Condition::new("logical_port", Equal, id));
        }
    }
    if let Some(me) = db.me.peek(&()) {
        clauses.push(Condition::new("chassis", Equal, &Some(*me)));
        clauses.push(Condition::new("requested_chassis", Equal, &Some(*me)));
        clauses.push(Condition::new("additional_chassis", Includes, me));
        clauses.push(Condition::new("requested_additional_chassis", Includes, me));
    }
    if let Some(name) = name {
        for key in ["l2gateway-chassis", "l3gateway-chassis"] {
            let pair = [(Text::from(key), name.clone())];
            clauses.push(Condition::new("options", Includes, &kiln_ovsdb::column::Pairs(&pair)));
        }
    }
    clauses
}
