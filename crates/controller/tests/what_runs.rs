//! Which rules run for a change of something that logical flows name.

mod network;

use kiln_controller::Compiler;
use serde_json::{Value, json};
use std::collections::BTreeSet;

struct Network {
    rows: Value,
    compiler: Compiler,
}

fn recorded() -> Network {
    let recorded: Value = serde_json::from_str(include_str!("stock/one.json")).unwrap();
    let mut compiler = network::compiled(&recorded["databases"]);
    compiler.trace(true);
    Network { rows: recorded["databases"]["OVN_Southbound"].clone(), compiler }
}

impl Network {
    /// The row of a table whose column has a value.
    fn find(&self, table: &str, column: &str, value: &str) -> String {
        let rows = self.rows[table].as_object().unwrap();
        rows.iter().find(|(_, row)| row[column] == value).unwrap().0.clone()
    }

    /// Changes a column and says what ran.
    fn change(&mut self, table: &str, uuid: &str, column: &str, value: Value) -> Vec<String> {
        let row = &mut self.rows[table][uuid];
        row[column] = value;
        network::put(self.compiler.southbound_replica(), table, uuid.parse().unwrap(), row);
        self.compiler.settle();
        self.compiler.take_trace()
    }

    /// Gives the address set `as1` other members and says what ran, by the names of rules.
    fn members(&mut self, members: &[&str]) -> Vec<String> {
        let set = self.find("Address_Set", "name", "as1");
        let ran = self.change("Address_Set", &set, "addresses", json!(["set", members]));
        ran.into_iter().map(|run| run.split(' ').next().unwrap().to_owned()).collect()
    }

    fn flows(&self) -> BTreeSet<String> {
        self.compiler.desired().flows.iter().map(|flow| flow.to_string()).collect()
    }

    /// The column of the logical flow that a run is for.
    fn text_of(&self, run: &str, column: &str) -> &str {
        let (_, key) = run.split_once('(').unwrap();
        self.rows["Logical_Flow"][key.split(',').next().unwrap()][column].as_str().unwrap()
    }
}

const MEMBER: [&str; 5] =
    ["address_set", "address_set/texts", "address_set/member", "address_set/form", "address_set/alternative"];

#[test]
fn a_member_runs_what_it_makes() {
    let mut network = recorded();
    let before = network.flows();
    // Two flows name the set, one for new connections and one for others.
    let ran = network.members(&["10.0.0.11", "10.0.0.12", "10.0.0.99"]);
    assert_eq!(ran, [&MEMBER[..], &["logical_flow/member"; 2]].concat());
    let after = network.flows();
    let made: Vec<&String> = after.difference(&before).collect();
    assert!(before.is_subset(&after));
    assert_eq!(made.len(), 2, "{made:#?}");
    assert!(
        made.iter().all(|flow| flow.contains("nw_src=10.0.0.99") && flow.contains("conjunction(")),
        "{made:#?}"
    );
    // One that another member holds makes nothing.
    let ran = network.members(&["10.0.0.11", "10.0.0.12", "10.0.0.99", "10.0.0.99/32"]);
    assert_eq!(ran, MEMBER[..3]);
    // One that goes takes its flows along, and runs nothing but what asked for it.
    assert_eq!(network.members(&["10.0.0.11", "10.0.0.12"]), MEMBER[..2]);
    assert_eq!(network.flows(), before);
}

#[test]
fn a_member_that_holds_others_takes_their_place() {
    let mut network = recorded();
    let ran = network.members(&["10.0.0.11", "10.0.0.12", "10.0.0.0/24", "192.0.2.1"]);
    assert!(!ran.iter().any(|rule| rule == "logical_flow"), "{ran:?}");
    let flows = network.flows();
    let named = |address: &str| {
        flows
            .iter()
            .filter(|flow| flow.contains(&format!("nw_src={address},")) && flow.contains("conjunction("))
            .count()
    };
    assert_eq!((named("10.0.0.0/24"), named("192.0.2.1"), named("10.0.0.11")), (2, 2, 0), "{flows:#?}");
    // Where one is left, there is no choice: the flows are lowered again.
    let ran = network.members(&["10.0.0.11", "10.0.0.12", "10.0.0.0/24"]);
    assert_eq!(ran.iter().filter(|rule| *rule == "logical_flow").count(), 2, "{ran:?}");
}

#[test]
fn a_flow_that_needs_the_whole_set_is_lowered_again_alone() {
    let mut network = recorded();
    let rows = network.rows["Logical_Flow"].as_object().unwrap();
    let (row, text) = rows.iter().find(|(_, row)| row["match"].as_str().unwrap().contains("$as1")).unwrap();
    let (row, text) = (row.clone(), text["match"].as_str().unwrap().replace("== $as1", "!= $as1"));
    network.change("Logical_Flow", &row, "match", json!(text));
    let set = network.find("Address_Set", "name", "as1");
    let ran = network.change(
        "Address_Set",
        &set,
        "addresses",
        json!(["set", ["10.0.0.11", "10.0.0.12", "10.0.0.99"]]),
    );
    let whole: Vec<&String> = ran.iter().filter(|run| run.starts_with("logical_flow (")).collect();
    assert_eq!(whole.len(), 1, "{ran:?}");
    assert!(whole[0].contains(&row), "{ran:?}");
    assert_eq!(ran.iter().filter(|run| run.starts_with("logical_flow/member ")).count(), 1, "{ran:?}");
}

#[test]
fn a_key_runs_what_names_its_port() {
    let mut network = recorded();
    let port = network.find("Port_Binding", "logical_port", "a1");
    let ran = network.change("Port_Binding", &port, "tunnel_key", json!(77));
    let lowered: Vec<&String> = ran.iter().filter(|run| run.starts_with("logical_flow (")).collect();
    assert!(!lowered.is_empty(), "{ran:?}");
    for run in lowered {
        let texts = [network.text_of(run, "match"), network.text_of(run, "actions")];
        assert!(
            texts.iter().any(|text| text.contains("\"a1\"") || text.contains("@pg1")),
            "{run}: {texts:?}"
        );
    }
}

#[test]
fn a_number_of_the_northbound_database_looks_at_no_zone() {
    let recorded: Value = serde_json::from_str(include_str!("stock/one.json")).unwrap();
    let mut bridges = recorded["databases"]["Open_vSwitch"]["Bridge"].clone();
    let mut compiler = network::compiled(&recorded["databases"]);
    let (uuid, bridge) =
        bridges.as_object_mut().unwrap().iter_mut().find(|(_, row)| row["name"] == "br-int").unwrap();
    compiler.trace(true);
    let mut put = |key: &str, value: &str| {
        let ids = bridge["external_ids"][1].as_array_mut().unwrap();
        ids.retain(|pair| pair[0] != key);
        ids.push(json!([key, value]));
        network::put(compiler.local_replica(), "Bridge", uuid.parse().unwrap(), bridge);
        compiler.settle();
        compiler.take_trace().iter().filter(|run| run.starts_with("ct_zone/")).count()
    };
    assert_eq!(put("ovn-nb-cfg", "2"), 0);
    // A zone that nobody has is seen.
    assert_eq!(put("ct-zone-gone", "77"), 1);
}
