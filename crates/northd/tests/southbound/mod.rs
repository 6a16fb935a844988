//! Edits of the southbound database: what chassis do to it, and what anybody might.

use super::world::{self, SB, World};
use super::{LRP_NAMES, one, pick};
use fastrand::Rng;
use kiln_ovsdb::schema::{AtomType, BaseType, ColumnType, Constraint};
use kiln_ovsdb::value::Datum;
use kiln_types::Uuid;
use std::collections::BTreeSet;

/// Draws an edit and makes it. What the server refuses is no edit. Notes the columns that were changed on purpose.
pub fn edit(world: &mut World, rng: &mut Rng, changed: &mut BTreeSet<(&'static str, &'static str)>) {
    if rng.bool() {
        usual(world, rng, changed);
    } else {
        any(world, rng, changed);
    }
}

/// Words that columns of text may come to hold: names that mean something somewhere, and one that means nothing.
const WORDS: &[&str] = &[
    "hv1",
    "hv2",
    "r0",
    "s0",
    "p0",
    "10.0.0.20",
    "0a:00:00:00:00:09",
    "true",
    "false",
    "is-remote",
    "ct-label-flush",
    "rogue",
];

/// Gives some column that northd reads of some row a value that the schema allows; mostly one that was not changed before.
fn any(world: &mut World, rng: &mut Rng, changed: &mut BTreeSet<(&'static str, &'static str)>) {
    let columns: Vec<(&str, &str)> = kiln_northd::southbound_columns()
        .iter()
        .filter(|(table, _)| !world.rows(SB, table).is_empty())
        .flat_map(|(table, columns)| columns.iter().map(|column| (*table, *column)))
        .collect();
    let new: Vec<_> = columns.iter().filter(|column| !changed.contains(column)).copied().collect();
    let columns = if new.is_empty() || rng.u8(..4) == 0 { columns } else { new };
    if columns.is_empty() {
        return;
    }
    let (table, column) = columns[rng.usize(..columns.len())];
    let Some(row) = pick(&world.rows(SB, table), rng) else { return };
    let ty = world.column_type(SB, table, column);
    let mut inserts = String::new();
    let value = value(world, rng, &ty, &mut inserts);
    let operations = format!(
        r#"{inserts}{{"op":"update","table":"{table}","where":[["_uuid","==",["uuid","{row}"]]],"row":{{"{column}":{value}}}}}"#
    );
    let before = world.dump(SB, table, &[column]);
    let answer = world.edit(SB, &operations);
    if !answer.contains("\"error\":\"") && world.dump(SB, table, &[column]) != before {
        changed.insert((table, column));
    }
}

/// A value of a type, as JSON. What it refers to and is not there is inserted first.
fn value(world: &World, rng: &mut Rng, ty: &ColumnType, inserts: &mut String) -> String {
    let most = ty.max().min(3) as usize;
    let count = rng.usize(ty.min() as usize..=most.max(ty.min() as usize));
    let mut elements = BTreeSet::new();
    for _ in 0..count {
        let key = atom(world, rng, ty.key(), inserts);
        elements.insert(match ty.value() {
            None => key,
            Some(value) => format!("[{key},{}]", atom(world, rng, value, inserts)),
        });
    }
    let kind = if ty.value().is_some() { "map" } else { "set" };
    if kind == "set" && elements.len() == 1 {
        return elements.pop_first().expect("there is one");
    }
    format!(r#"["{kind}",[{}]]"#, elements.into_iter().collect::<Vec<_>>().join(","))
}

fn atom(world: &World, rng: &mut Rng, base: &BaseType, inserts: &mut String) -> String {
    match base.constraint() {
        Constraint::Enum(Datum::Set(allowed)) => return allowed[rng.usize(..allowed.len())].to_string(),
        Constraint::Reference(reference) => {
            if let Some(row) = pick(&world.rows(SB, &reference.table), rng) {
                return format!(r#"["uuid","{row}"]"#);
            }
            if inserts.is_empty() {
                let table = &reference.table;
                // What its columns hold by default is not always what they may hold.
                let row = if &**table == "Mirror" { r#""filter":"both","type":"gre""# } else { "" };
                *inserts =
                    format!(r#"{{"op":"insert","table":"{table}","uuid-name":"new","row":{{{row}}}}},"#);
            }
            return r#"["named-uuid","new"]"#.to_owned();
        }
        _ => {}
    }
    match base.kind() {
        AtomType::Integer => {
            let least = if let Constraint::Integer { min, .. } = base.constraint() { *min } else { 0 };
            (least.max(0) + rng.i64(1..20)).to_string()
        }
        AtomType::Real => "1.5".to_owned(),
        AtomType::Boolean => rng.bool().to_string(),
        AtomType::String => format!("\"{}\"", one(rng, WORDS)),
        AtomType::Uuid => format!(r#"["uuid","{}"]"#, Uuid::from_u128(rng.u128(..))),
    }
}

const NEIGHBORS: &[&str] =
    &["10.0.0.20", "10.0.0.21", "10.0.0.200", "10.0.1.9", "fd00::20", "fd01::20", "192.0.2.1", "bad"];

/// A time about which rows expire.
fn timestamp(rng: &mut Rng) -> i64 {
    world::WALL_MS + rng.i64(-200..200) * 1000
}

/// What chassis do meanwhile: they come and go, claim ports, learn neighbours; and what an operator should not do.
fn usual(world: &mut World, rng: &mut Rng, changed: &mut BTreeSet<(&'static str, &'static str)>) {
    let (chassis, ports) = (world.rows(SB, "Chassis"), world.rows(SB, "Port_Binding"));
    let row = |uuid: Uuid| format!(r#"[["_uuid","==",["uuid","{uuid}"]]]"#);
    let choice = rng.u8(..16);
    let operations = match choice {
        0 => r#"{"op":"insert","table":"Encap","uuid-name":"e","row":{"type":"geneve","ip":"192.0.2.1","chassis_name":"hv1"}},
                {"op":"insert","table":"Chassis","uuid-name":"c","row":{"name":"hv1","hostname":"host","encaps":["named-uuid","e"]}},
                {"op":"insert","table":"Chassis_Private","row":{"name":"hv1","chassis":["named-uuid","c"]}}"#
            .to_owned(),
        1 => r#"{"op":"delete","table":"Chassis","where":[]},{"op":"delete","table":"Chassis_Private","where":[]}"#.to_owned(),
        2 | 3 => {
            let (Some(chassis), Some(port)) = (pick(&chassis, rng), pick(&ports, rng)) else { return };
            let up = rng.bool();
            format!(
                r#"{{"op":"update","table":"Port_Binding","where":{},"row":{{"chassis":["uuid","{chassis}"],"up":{up}}}}}"#,
                row(port)
            )
        }
        4 => {
            let Some(datapath) = pick(&world.rows(SB, "Datapath_Binding"), rng) else { return };
            let name = one(rng, LRP_NAMES);
            format!(
                r#"{{"op":"insert","table":"MAC_Binding","row":{{"logical_port":"{name}","ip":"{}","mac":"0a:00:00:00:00:09","timestamp":{},"datapath":["uuid","{datapath}"]}}}}"#,
                one(rng, NEIGHBORS),
                timestamp(rng)
            )
        }
        5 => format!(
            r#"{{"op":"insert","table":"FDB","row":{{"mac":"0a:00:00:00:00:{:02x}","dp_key":{},"port_key":{},"timestamp":{}}}}}"#,
            rng.u8(..),
            rng.u8(1..9),
            rng.u8(1..9),
            timestamp(rng)
        ),
        6 => {
            let flows = world.rows(SB, "Logical_Flow");
            let Some(flow) = pick(&flows, rng) else { return };
            format!(r#"{{"op":"delete","table":"Logical_Flow","where":{}}}"#, row(flow))
        }
        7 => {
            let Some(port) = pick(&ports, rng) else { return };
            format!(r#"{{"op":"update","table":"Port_Binding","where":{},"row":{{"tag":9}}}}"#, row(port))
        }
        8 => r#"{"op":"insert","table":"Encap","uuid-name":"e","row":{"type":"vxlan","ip":"192.0.2.2","chassis_name":"hv2"}},
                {"op":"insert","table":"Chassis","uuid-name":"c","row":{"name":"hv2","encaps":["named-uuid","e"]}}"#
            .to_owned(),
        9 => format!(
            r#"{{"op":"insert","table":"Address_Set","row":{{"name":"{}","addresses":"10.0.0.99"}}}}"#,
            one(rng, &["s0", "g0_ip4", "rogue"])
        ),
        10 => r#"{"op":"mutate","table":"Address_Set","where":[],"mutations":[["addresses","insert","10.0.0.98"]]}"#
            .to_owned(),
        13 | 14 => {
            let table = if choice == 13 { "MAC_Binding" } else { "FDB" };
            let Some(learned) = pick(&world.rows(SB, table), rng) else { return };
            format!(
                r#"{{"op":"update","table":"{table}","where":{},"row":{{"timestamp":{}}}}}"#,
                row(learned),
                timestamp(rng)
            )
        }
        15 => return world.wait(std::time::Duration::from_secs(rng.u64(..30))),
        11 => r#"{"op":"mutate","table":"Port_Group","where":[],"mutations":[["ports","insert","rogue"]]}"#.to_owned(),
        _ => {
            let table = one(rng, &["Address_Set", "Port_Group", "IP_Multicast", "Multicast_Group"]);
            let Some(gone) = pick(&world.rows(SB, table), rng) else { return };
            format!(r#"{{"op":"delete","table":"{table}","where":{}}}"#, row(gone))
        }
    };
    let answer = world.edit(SB, &operations);
    // Rows that chassis learn do not stand for long: that they come is a change of all their columns.
    let learned = if choice == 4 { "MAC_Binding" } else { "FDB" };
    if matches!(choice, 4 | 5) && !answer.contains("\"error\":\"") {
        let tables = kiln_northd::southbound_columns().iter().filter(|(table, _)| *table == learned);
        changed.extend(tables.flat_map(|(table, columns)| columns.iter().map(|column| (*table, *column))));
    }
}
