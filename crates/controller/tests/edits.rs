//! After any sequence of edits of the southbound database, what is wanted equals what a fresh compile of the same rows wants,
//! and so does what the databases lack.
//!
//! Edits are drawn from the declared schema: a column that the controller replicates and the run never changed is noticed.

mod network;
mod outcome;

use kiln_controller::Compiler;
use kiln_schema_ovn::sb::Southbound;
use kiln_types::Rng;
use outcome::{assert_same, remember_zones};
use serde_json::{Value, json};
use std::collections::BTreeSet;

const EDITS: usize = 10_000;
/// How many edits come before all is compared with a fresh compile.
const ROUND: usize = 500;

/// Pairs that maps get beside those that stand in other rows.
const PAIRS: &[(&str, &str, &str)] = &[
    ("Port_Binding", "requested-chassis", "hv1"),
    ("Port_Binding", "requested-chassis", "hv1,hv2"),
    ("Port_Binding", "requested-chassis", "hv2,hv1"),
    ("Port_Binding", "activation-strategy", "rarp,garp,na"),
    ("Port_Binding", "additional-chassis-activated", "hv1"),
    ("Port_Binding", "iface-id-ver", "7"),
    ("Port_Binding", "ct-zone-limit", "5"),
    ("Port_Binding", "ethtype", "802.1ad"),
    ("Port_Binding", "network_name", "phys"),
    ("Port_Binding", "l2gateway-chassis", "hv1"),
    ("Port_Binding", "l3gateway-chassis", "hv1"),
    ("Port_Binding", "peer", "nowhere"),
    ("Datapath_Binding", "snat-ct-zone", "9"),
    ("Datapath_Binding", "ct-zone-limit", "50"),
    ("Datapath_Binding", "name", "other"),
    ("SB_Global", "always_tunnel", "true"),
    ("SB_Global", "bfd-min-rx", "500"),
    ("SB_Global", "arp_ns_explicit_output", "false"),
    ("Chassis", "is-remote", "true"),
    ("Chassis", "is-vtep", "true"),
    ("Chassis", "ovn-chassis-mac-mappings", "phys:aa:bb:cc:00:00:77"),
    ("Encap", "is_default", "true"),
    ("Encap", "dst_port", "6082"),
];

/// Words that strings get beside those that stand in other rows.
const WORDS: &[(&str, &str, &[&str])] = &[
    (
        "Port_Binding",
        "type",
        &["", "", "localport", "localnet", "l2gateway", "chassisredirect", "patch", "vtep", "later"],
    ),
    ("Port_Binding", "mac", &["0a:00:00:00:00:07 10.0.0.7 fd00::7", "unknown"]),
    ("Encap", "ip", &["192.0.2.2", "2001:db8::2", "nonsense"]),
    ("Logical_Flow", "match", &["1", "ip4 &&", "ip4.src == $pg1_ip4 && tcp.dst == {1, 2, 3}"]),
    ("Logical_Flow", "actions", &["next;", "drop;", "output", "outport = \"a1\"; output;"]),
    ("Chassis_Template_Var", "chassis", &["hv1", "hv2"]),
    ("Chassis_Private", "name", &["hv1", "hv9"]),
    ("Port_Group", "name", &["3_pg1", "pg9"]),
    ("Meter", "name", &["m1", "m2"]),
    ("Gateway_Chassis", "name", &["g1", "g2"]),
    ("Static_MAC_Binding", "logical_port", &["r0-sw0", "nowhere"]),
    ("Static_MAC_Binding", "ip", &["10.0.0.77", "fd00::77", "nonsense"]),
    ("Static_MAC_Binding", "mac", &["00:00:00:00:00:77", "00:00:00:00:00:78", "nonsense"]),
    ("FDB", "mac", &["00:00:00:00:00:fd", "00:00:00:00:00:fe", "nonsense"]),
];

/// Rows that recordings have none of, so that every table takes part.
const MORE: &[(&str, &str)] = &[
    ("Chassis_Template_Var", r#"{"chassis":"hv1","variables":["map",[["a","1"]]]}"#),
    ("Gateway_Chassis", r#"{"name":"g1","chassis":["set",[]],"priority":5}"#),
    ("Meter_Band", r#"{"action":"drop","rate":5,"burst_size":0}"#),
];

/// What is edited.
struct Edited {
    schema: Value,
    databases: Value,
    changed: BTreeSet<(&'static str, &'static str)>,
    rng: Rng,
}

impl Edited {
    fn rows(&self, table: &str) -> Vec<&String> {
        let rows = self.databases["OVN_Southbound"][table].as_object();
        rows.map(|rows| rows.keys().collect()).unwrap_or_default()
    }

    /// A value that a column has in some row.
    fn elsewhere(&mut self, table: &str, column: &str) -> Option<Value> {
        let rows = self.databases["OVN_Southbound"][table].as_object()?;
        let at = self.rng.usize(..rows.len().max(1));
        rows.values().nth(at).map(|row| row[column].clone())
    }

    fn word(&mut self, table: &str, column: &str) -> Value {
        let pool = WORDS.iter().find(|word| (word.0, word.1) == (table, column)).map(|word| word.2);
        match pool {
            Some(pool) if self.rng.bool() => json!(pool[self.rng.usize(..pool.len())]),
            _ if self.rng.u8(..4) == 0 => json!(format!("word{}", self.rng.u8(..50))),
            _ => match self.elsewhere(table, column) {
                Some(Value::String(text)) => json!(text),
                Some(Value::Array(set)) => {
                    let all = set[1].as_array().cloned().unwrap_or_default();
                    let text = |value: &Value| value.as_str().map(str::to_owned);
                    json!(all.iter().find_map(text).unwrap_or_else(|| "word".into()))
                }
                _ => json!("word"),
            },
        }
    }

    /// An atom of a base type (RFC 7047, 3.2).
    fn atom(&mut self, table: &str, column: &str, base: &Value) -> Value {
        let kind = base.as_str().or_else(|| base["type"].as_str()).unwrap_or_default();
        if let Some(all) = base["enum"][1].as_array() {
            return all[self.rng.usize(..all.len())].clone();
        }
        match kind {
            "boolean" => json!(self.rng.bool()),
            "integer" => {
                let min = base["minInteger"].as_i64().unwrap_or(0);
                let max = base["maxInteger"].as_i64().unwrap_or(40).min(min + 40);
                json!(self.rng.i64(min..=max))
            }
            "uuid" => {
                let rows: Vec<String> = base["refTable"]
                    .as_str()
                    .map(|of| self.rows(of))
                    .unwrap_or_default()
                    .into_iter()
                    .cloned()
                    .collect();
                let row = self.rng.choice(rows).unwrap_or_else(|| uuid(&mut self.rng));
                json!(["uuid", row])
            }
            _ => self.word(table, column),
        }
    }

    /// A value for a column: mostly one that makes sense.
    fn value(&mut self, table: &str, column: &str) -> Value {
        let of = self.schema["tables"][table]["columns"][column]["type"].clone();
        if of.is_string() {
            return self.atom(table, column, &of);
        }
        let min = of["min"].as_u64().unwrap_or(1);
        let max = of["max"].as_u64().unwrap_or(if of["max"].is_null() { 1 } else { 4 });
        if !of["value"].is_null() {
            return self.map(table, column);
        }
        if (min, max) == (1, 1) {
            return self.atom(table, column, &of["key"]);
        }
        let count = self.rng.u64(min..=max.max(min));
        let mut atoms: Vec<Value> = (0..count).map(|_| self.atom(table, column, &of["key"])).collect();
        atoms.sort_by_key(ToString::to_string);
        atoms.dedup();
        json!(["set", atoms])
    }

    /// Another row's pairs, some left out, some added.
    fn map(&mut self, table: &str, column: &str) -> Value {
        let mut pairs =
            self.elsewhere(table, column).and_then(|map| map[1].as_array().cloned()).unwrap_or_default();
        pairs.retain(|_| self.rng.u8(..4) != 0);
        for (of, key, value) in PAIRS {
            if *of == table && self.rng.u8(..6) == 0 && pairs.iter().all(|pair| pair[0] != *key) {
                pairs.push(json!([key, value]));
            }
        }
        if pairs.is_empty() && self.rng.bool() {
            pairs.push(json!([self.rng.u8(..9).to_string(), "word"]));
        }
        json!(["map", pairs])
    }

    /// Changes a column of some row.
    fn edit(&mut self, compiler: &mut Compiler) {
        let tables = kiln_controller::southbound_columns();
        let (table, columns) = tables[self.rng.usize(..tables.len())];
        let column = columns[self.rng.usize(..columns.len())];
        let rows: Vec<String> = self.rows(table).into_iter().cloned().collect();
        let Some(row) = self.rng.choice(rows) else { return };
        let mut standing = self.databases["OVN_Southbound"][table][&row].clone();
        let value = self.value(table, column);
        if standing[column] != value {
            standing[column] = value;
            if self.put(compiler, table, &row, standing) {
                self.changed.insert((table, column));
            }
        }
    }

    /// Puts a row, unless another one has the same index: no server would take it.
    fn put(&mut self, compiler: &mut Compiler, table: &str, row: &str, value: Value) -> bool {
        let indexes = self.schema["tables"][table]["indexes"].as_array().cloned().unwrap_or_default();
        let rows = self.databases["OVN_Southbound"][table].as_object_mut().expect("rows");
        let taken = |columns: &Value| {
            let same = |other: &Value| {
                let mut names = columns.as_array().into_iter().flatten().filter_map(Value::as_str);
                names.all(|column| other[column] == value[column])
            };
            rows.iter().any(|(name, other)| name != row && same(other))
        };
        if indexes.iter().any(taken) {
            return false;
        }
        network::put(compiler.southbound_replica(), table, row.parse().expect("a uuid"), &value);
        rows.insert(row.to_owned(), value);
        true
    }

    /// Takes a row away, or puts a copy of another one in its place.
    fn exchange(&mut self, compiler: &mut Compiler) {
        let tables = kiln_controller::southbound_columns();
        let (table, _) = tables[self.rng.usize(..tables.len())];
        let rows: Vec<String> = self.rows(table).into_iter().cloned().collect();
        let (Some(gone), Some(model)) = (self.rng.choice(rows.clone()), self.rng.choice(rows.clone())) else {
            return;
        };
        let mut model = self.databases["OVN_Southbound"][table][&model].clone();
        if rows.len() > 2 && self.rng.bool() {
            self.databases["OVN_Southbound"][table].as_object_mut().expect("rows").remove(&gone);
            compiler.southbound_replica().delete(table, gone.parse().expect("a uuid"));
        } else if rows.len() < 500 {
            let indexes = self.schema["tables"][table]["indexes"].clone();
            for column in indexes.as_array().into_iter().flatten().filter_map(Value::as_array).flatten() {
                let column = column.as_str().expect("a column");
                model[column] = match &model[column] {
                    Value::String(text) => json!(format!("{text}{}", self.rng.u8(..9))),
                    Value::Number(_) => json!(self.rng.u32(100..1000)),
                    other => other.clone(),
                };
            }
            let row = uuid(&mut self.rng);
            self.put(compiler, table, &row, model);
        }
    }
}

fn uuid(rng: &mut Rng) -> String {
    kiln_types::Uuid::from_u128(rng.u128(..)).to_string()
}

fn run(text: &str, seed: u64, changed: &mut BTreeSet<(&'static str, &'static str)>) {
    let recorded: Value = serde_json::from_str(text).expect("a recording is JSON");
    let schema = serde_json::from_str(&Southbound::DECL.to_json().to_string()).expect("a schema is JSON");
    let rng = Rng::with_seed(seed);
    let mut edited =
        Edited { schema, databases: recorded["databases"].clone(), changed: BTreeSet::new(), rng };
    for (table, row) in MORE {
        let row: Value = serde_json::from_str(row).expect("a row is JSON");
        let name = uuid(&mut edited.rng);
        edited.databases["OVN_Southbound"][*table][&name] = row;
    }
    let mut compiler = network::compiled(&edited.databases);
    for round in 0..EDITS / 2 / ROUND {
        for at in 0..ROUND {
            if edited.rng.u8(..8) == 0 {
                edited.exchange(&mut compiler);
            } else {
                edited.edit(&mut compiler);
            }
            if at % 10 == 0 {
                compiler.settle();
            }
        }
        compiler.settle();
        remember_zones(&mut compiler, &mut edited.databases);
        network::feed(compiler.local_replica(), &edited.databases["Open_vSwitch"]);
        compiler.settle();
        assert_same(&compiler, &network::compiled(&edited.databases), &format!("seed {seed}, round {round}"));
    }
    changed.append(&mut edited.changed);
}

#[test]
fn equals_a_fresh_compile() {
    let mut changed = BTreeSet::new();
    run(include_str!("stock/one.json"), 1, &mut changed);
    run(include_str!("stock/gateways.json"), 2, &mut changed);
    let columns = kiln_controller::southbound_columns().iter();
    let all = columns.flat_map(|(table, columns)| columns.iter().map(|column| (*table, *column)));
    let never: Vec<_> = all.filter(|column| !changed.contains(column)).collect();
    assert!(never.is_empty(), "columns that were never changed: {never:?}");
}
