//! The same northbound databases under stock's northd and under Kiln's: what stands in the southbound databases is the same.

mod drawn;

use kiln_testkit::accepted::{Part, compare, faults};
use kiln_testkit::figures::Figures;
use kiln_testkit::{Component, Database, Lab, Server, settled, southbound};
use std::collections::BTreeSet;

/// What a northd writes into the northbound database's ports, beside what names them.
const PORT_COLUMNS: &[&str] = &["name", "dynamic_addresses", "up", "tag", "options"];

/// What a northd would choose by chance.
const CHOSEN: &str = "
    set NB_Global . options:mac_prefix=0a:0b:0c
    set NB_Global . options:svc_monitor_mac=0a:0b:0c:00:00:01
    set NB_Global . options:svc_monitor_mac_dst=0a:0b:0c:00:00:02
";

/// Writes a network with stock's `ovn-nbctl`, runs both northds on copies of it, and compares what they wrote.
#[track_caller]
fn same(test: &str, network: &str) {
    same_with(test, network, "");
}

/// The same with chassis, which stock's `ovn-sbctl` writes.
#[track_caller]
fn same_with(test: &str, network: &str, chassis: &str) {
    let mut lab = Lab::new(env!("CARGO_BIN_EXE_kiln"));
    let written = lab.serve("nb-stock", Database::Northbound);
    lab.ctl_lines("ovn-nbctl", &written, CHOSEN);
    lab.ctl_lines("ovn-nbctl", &written, network);
    let copied = lab.serve_copy("nb-kiln", &written);
    let mut sides = Vec::new();
    for (name, whose, north) in [("stock", Component::Stock, written), ("kiln", Component::Kiln, copied)] {
        let south = lab.serve(&format!("sb-{name}"), Database::Southbound);
        lab.ctl_lines("ovn-sbctl", &south, chassis);
        lab.northd(&format!("northd-{name}"), whose, &north, &south);
        lab.ctl("ovn-nbctl", &north, "--wait=sb sync");
        sides.push((north, south));
    }
    // What a northd writes into the northbound database comes back to it, and leads to more.
    let look = || [0, 1].map(|side: usize| see(&lab, &sides[side].0, &sides[side].1));
    let same = |stock: &Seen, kiln: &Seen| {
        parts(stock, kiln).iter().all(|(part, stock, kiln)| faults(*part, stock, kiln).is_empty())
    };
    let [stock, kiln] = settled(look, same);
    let mut figures = Figures::new(env!("CARGO_TARGET_TMPDIR"), test);
    let counts = parts(&stock, &kiln).map(|(part, stock, kiln)| compare(part, test, stock, kiln));
    let line = figures.peer("ovn-northd", &lab.version(Component::Stock, "ovn-northd"));
    line.flows += counts[0];
    line.rows += counts[1] + counts[2];
}

struct Seen {
    south: southbound::Southbound,
    ports: BTreeSet<String>,
}

fn see(lab: &Lab, north: &Server, south: &Server) -> Seen {
    let ports = southbound::lines(lab, north, Database::Northbound, "Logical_Switch_Port", PORT_COLUMNS);
    Seen { south: southbound::read(lab, south), ports }
}

fn parts<'s>(stock: &'s Seen, kiln: &'s Seen) -> [(Part, &'s BTreeSet<String>, &'s BTreeSet<String>); 3] {
    [
        (Part::LogicalFlow, &stock.south.flows, &kiln.south.flows),
        (Part::Row, &stock.south.rows, &kiln.south.rows),
        (Part::Row, &stock.ports, &kiln.ports),
    ]
}

#[test]
fn two_routers() {
    same("northd_two_routers", include_str!("networks/two-routers.nbctl"));
}

#[test]
fn ports_and_options() {
    same("northd_ports_and_options", include_str!("networks/ports-and-options.nbctl"));
}

#[test]
fn learning() {
    same("northd_learning", include_str!("networks/learning.nbctl"));
}

#[test]
fn routes_and_policies() {
    same("northd_routes_and_policies", include_str!("networks/routes-and-policies.nbctl"));
}

#[test]
fn groups_and_tables() {
    same("northd_groups_and_tables", include_str!("networks/groups-and-tables.nbctl"));
}

#[test]
fn gateway_router() {
    same("northd_gateway_router", include_str!("networks/gateway-router.nbctl"));
}

#[test]
fn mtu() {
    same("northd_mtu", include_str!("networks/mtu.nbctl"));
}

#[test]
fn vlans_and_variables() {
    same("northd_vlans_and_variables", include_str!("networks/vlans-and-variables.nbctl"));
}

const ACLS: &str = include_str!("networks/acls.nbctl");

#[test]
fn acls() {
    same("northd_acls", ACLS);
}

#[test]
fn acls_on_what_the_connection_tracker_knows() {
    let network = format!("{ACLS}\nset NB_Global . options:acl_ct_translation=true");
    same("northd_acls_translated", &network);
}

#[test]
fn acls_and_a_chassis_that_cannot_flush_by_label() {
    let chassis = |has: bool| {
        format!("chassis-add hv1 geneve 127.0.0.1\nset Chassis hv1 other_config:ct-label-flush={has}")
    };
    same_with("northd_acls_label_flush", ACLS, &chassis(true));
    same_with("northd_acls_no_label_flush", ACLS, &chassis(false));
}

#[test]
fn odd_inputs() {
    same("northd_odd_inputs", include_str!("networks/odd-inputs.nbctl"));
}

/// A few random networks. More, from another seed:
///
/// ```text
/// KILN_NETWORKS=100 KILN_SEED=7 cargo test -p kiln --test northd_beside_northd random -- --nocapture
/// ```
#[test]
fn random() {
    for (seed, mut rng) in drawn::seeds(10) {
        let network = drawn::network(&mut rng).lines;
        println!("# seed {seed}\n{network}\n");
        same(&format!("northd_random_{seed}"), &network);
    }
}
