//! After any sequence of edits, what northd has written is what a northd that starts from nothing would write: one that
//! is started on the same databases finds nothing to do.
//!
//! Edits are drawn from the declared schema, so a column that northd reads and the run never changed is noticed.

mod southbound;
mod world;

use fastrand::Rng;
use kiln_types::Uuid;
use std::collections::BTreeSet;
use world::{NB, World};

/// The northbound tables that edits are made in: the table, and the row that keeps its rows alive.
const TABLES: &[(&str, Option<(&str, &str)>, &[&str])] = &[
    ("NB_Global", None, &["nb_cfg", "sb_cfg", "hv_cfg", "options", "ipsec"]),
    ("Logical_Switch", None, &["name", "ports", "acls", "copp", "other_config", "external_ids"]),
    (
        "Logical_Switch_Port",
        Some(("Logical_Switch", "ports")),
        &[
            "name",
            "type",
            "options",
            "parent_name",
            "tag_request",
            "tag",
            "addresses",
            "dynamic_addresses",
            "port_security",
            "peer",
            "up",
            "enabled",
            "external_ids",
        ],
    ),
    (
        "Logical_Router",
        None,
        &["name", "ports", "static_routes", "policies", "enabled", "copp", "options", "external_ids"],
    ),
    (
        "Logical_Router_Port",
        Some(("Logical_Router", "ports")),
        &["name", "mac", "networks", "peer", "enabled", "ipv6_ra_configs", "options", "external_ids"],
    ),
    (
        "Logical_Router_Static_Route",
        Some(("Logical_Router", "static_routes")),
        &[
            "ip_prefix",
            "policy",
            "nexthop",
            "output_port",
            "bfd",
            "selection_fields",
            "route_table",
            "options",
        ],
    ),
    (
        "Logical_Router_Policy",
        Some(("Logical_Router", "policies")),
        &[
            "priority",
            "chain",
            "match",
            "action",
            "jump_chain",
            "nexthops",
            "output_port",
            "bfd_sessions",
            "options",
        ],
    ),
    ("Static_MAC_Binding", None, &["logical_port", "ip", "mac", "override_dynamic_mac"]),
    ("Chassis_Template_Var", None, &["chassis", "variables"]),
    ("Address_Set", None, &["name", "addresses"]),
    ("Port_Group", None, &["name", "ports", "acls"]),
    (
        "ACL",
        Some(("Logical_Switch", "acls")),
        &[
            "name",
            "priority",
            "direction",
            "match",
            "action",
            "log",
            "severity",
            "meter",
            "label",
            "tier",
            "options",
        ],
    ),
    ("Copp", None, &["name", "meters"]),
    ("Meter", None, &["name", "unit", "bands", "fair"]),
    ("Meter_Band", Some(("Meter", "bands")), &["action", "rate", "burst_size"]),
];

fn one<'a>(rng: &mut Rng, pool: &[&'a str]) -> &'a str {
    pool[rng.usize(..pool.len())]
}

fn text(value: &str) -> String {
    format!("\"{value}\"")
}

fn set(rng: &mut Rng, pool: &[&str]) -> String {
    let values: BTreeSet<String> = (0..rng.usize(..3)).map(|_| text(one(rng, pool))).collect();
    format!(r#"["set",[{}]]"#, values.into_iter().collect::<Vec<_>>().join(","))
}

fn map(rng: &mut Rng, pool: &[(&str, &str)]) -> String {
    let mut keys = BTreeSet::new();
    let pairs: Vec<String> = (0..rng.usize(..4))
        .filter_map(|_| {
            let (key, value) = pool[rng.usize(..pool.len())];
            keys.insert(key).then(|| format!(r#"["{key}","{value}"]"#))
        })
        .collect();
    format!(r#"["map",[{}]]"#, pairs.join(","))
}

fn maybe(dice: u32, value: String) -> String {
    if (dice >> 16).is_multiple_of(4) { r#"["set",[]]"#.to_owned() } else { value }
}

const LRP_NAMES: &[&str] = &["r0", "r1", "r2", "r3", "r4", "r5"];
const NETWORKS: &[&str] = &[
    "10.0.0.1/24",
    "10.0.0.2/24",
    "10.0.1.1/24",
    "172.16.0.1/30",
    "172.16.0.2/30",
    "fd00::1/64",
    "fd01::1/64",
    "bad",
];
const NEXTHOPS: &[&str] =
    &["10.0.0.9", "10.0.1.9", "172.16.0.2", "fd00::9", "fe80::9", "discard", "9.9.9.9", "bad", ""];
const ADDRESSES: &[&str] = &[
    "0a:00:00:00:00:01 10.0.0.11",
    "0a:00:00:00:00:02 10.0.0.12 fd00::12",
    "0a:00:00:00:00:03",
    "0a:00:00:00:00:01 10.0.0.13",
    "0e:00:00:00:00:01 10.0.0.14",
    "0a:00:00:00:00:04 10.0.0.1",
    "unknown",
    "router",
    "dynamic",
    "dynamic 10.0.0.77",
    "dynamic 10.0.0.6 fd00::6",
    "0a:00:00:00:00:07 dynamic",
    "garbage",
];
const PROTECTED: &[(&str, &str)] =
    &[("arp", "n0"), ("icmp4-error", "n1"), ("nd-na", "n1"), ("tcp-reset", "n2"), ("reject", "nowhere")];

const OPTIONS: &[(&str, &str)] = &[
    ("debug_drop_collector_set", "9"),
    ("debug_drop_domain_id", "7"),
    ("debug_drop_domain_id", "x"),
    ("chassis", "hv1"),
    ("nat-addresses", "0e:00:00:00:00:09 10.0.0.9"),
    ("nat-addresses", "nonsense"),
    ("exclude-router-ips-from-garp", "true"),
    ("router-port", "r0"),
    ("router-port", "r1"),
    ("router-port", "r2"),
    ("router-port", "nowhere"),
    ("network_name", "phys"),
    ("requested-tnl-key", "77"),
    ("requested-tnl-key", "zz"),
    ("requested-chassis", "hv1"),
    ("qdisc_queue_id", "5"),
    ("localnet_learn_fdb", "true"),
    ("lsp_learn_fdb", "false"),
    ("force_fdb_lookup", "true"),
    ("disable_arp_nd_rsp", "true"),
    ("pkt_clone_type", "mc_unknown"),
    ("receive_multicast", "false"),
    ("route_table", "blue"),
    ("always_learn_from_arp_request", "false"),
    ("dynamic_neigh_routers", "true"),
    ("mac_binding_age_threshold", "60"),
    ("mac_binding_age_threshold", "10.0.0.0/25:9;fd00::/64:60"),
    ("mac_binding_age_threshold", "x"),
    ("mac_binding_learning", "tracked"),
    ("mac_binding_learning", "open"),
    ("mac_binding_learning", "x"),
    ("mac_binding_limit", "7"),
    ("mac_binding_limit", "x"),
    ("mac_binding_removal_limit", "1"),
    ("l3_defaults", "rfc"),
    ("snat-ct-zone", "9"),
    ("disable_garp_rarp", "true"),
    ("pkt_mark", "7"),
    ("pkt_mark", "x"),
    ("ecmp_symmetric_reply", "true"),
    ("origin", "connected"),
    ("apply-after-lb", "true"),
    ("persist-established", "true"),
    ("log-related", "true"),
    ("default_acl_drop", "true"),
    ("use_ct_inv_match", "false"),
    ("acl_ct_translation", "true"),
    ("ignore_lsp_down", "false"),
    ("mac_prefix", "0a:0b:0c"),
    ("ignore_chassis_features", "true"),
    ("l3_defaults", "rfc"),
    ("l3_defaults", "none"),
    ("icmp_unreachable", "true"),
    ("icmp_unreachable", "false"),
    ("gateway_mtu", "1400"),
    ("gateway_mtu", "x"),
    ("gateway_mtu_bypass", "tcp"),
    ("gateway_mtu_bypass", "1) || (1"),
];
const MATCHES: &[&str] = &[
    "ip4.src == 10.0.0.0/8",
    "ip6",
    "tcp",
    "ip4.src == $s0",
    "ip4.src == $g0_ip4",
    "inport == @g1",
    "ip4.src == ^vip",
    "ip4.src == ",
    "1) || (1",
];
const ADVERTISED: &[(&str, &str)] = &[
    ("address_mode", "slaac"),
    ("address_mode", "slaac"),
    ("address_mode", "nonsense"),
    ("send_periodic", "true"),
    ("mtu", "1400"),
    ("mtu", "x"),
    ("max_interval", "9"),
    ("rdnss", "fd00::53"),
    ("dnssl", "a;b"),
];
const CONFIG: &[(&str, &str)] = &[
    ("subnet", "10.0.0.0/24"),
    ("subnet", "10.0.9.0/29"),
    ("subnet", "nonsense"),
    ("exclude_ips", "10.0.0.2..10.0.0.5 10.0.0.9"),
    ("ipv6_prefix", "fd00::"),
    ("vlan-passthru", "true"),
    ("broadcast-arps-to-all-routers", "false"),
    ("mcast_idle_timeout", "77"),
    ("mcast_snoop", "true"),
    ("mac_only", "true"),
    ("enable-stateless-acl-with-lb", "true"),
    ("requested-tnl-key", "33"),
    ("fdb_age_threshold", "5"),
    ("fdb_age_threshold", "x"),
];
const IDS: &[(&str, &str)] = &[
    ("neutron:network_name", "net"),
    ("neutron:router_name", "gw"),
    ("neutron:port_name", "p"),
    ("other", "thing"),
];

/// A value for a column: mostly sensible, sometimes not.
fn value(world: &World, rng: &mut Rng, table: &str, column: &str) -> Option<String> {
    let number = rng.u32(..);
    Some(match (table, column) {
        ("NB_Global", "nb_cfg" | "sb_cfg" | "hv_cfg") => rng.u8(..).to_string(),
        ("Port_Group", "ports") => {
            let ports = world.rows(NB, "Logical_Switch_Port");
            let some = ports.iter().filter(|_| rng.bool()).map(|port| format!(r#"["uuid","{port}"]"#));
            format!(r#"["set",[{}]]"#, some.collect::<Vec<_>>().join(","))
        }
        ("Port_Group", "acls") => {
            let acls = world.rows(NB, "ACL");
            let some = acls.iter().filter(|_| rng.bool()).map(|acl| format!(r#"["uuid","{acl}"]"#));
            format!(r#"["set",[{}]]"#, some.collect::<Vec<_>>().join(","))
        }
        ("ACL", "direction") => text(one(rng, &["from-lport", "to-lport"])),
        ("ACL", "action") => {
            text(one(rng, &["allow", "allow-related", "allow-stateless", "drop", "reject", "pass"]))
        }
        ("ACL", "severity") => maybe(number, text(one(rng, &["alert", "debug"]))),
        ("ACL", "meter") => maybe(number, text(one(rng, &["n0", "n1", "n2"]))),
        ("ACL", "label" | "tier") => (number % 3).to_string(),
        ("ACL", "log") => rng.bool().to_string(),
        ("Copp", "meters") => map(rng, PROTECTED),
        (_, "copp") => maybe(number, reference(&world.rows(NB, "Copp"))?),
        ("Meter", "name") => text(one(rng, &["n0", "n1", "n2"])),
        ("Meter", "unit") => text(one(rng, &["kbps", "pktps"])),
        // A meter comes with a band: see `insert`.
        ("Meter", "bands") => r#"["named-uuid","band"]"#.to_owned(),
        ("Meter", "fair") => maybe(number, rng.bool().to_string()),
        ("Meter_Band", "action") => text("drop"),
        ("Meter_Band", "rate" | "burst_size") => (number % 100 + 1).to_string(),
        ("Address_Set", "addresses") => set(rng, &["10.0.0.11", "10.9.0.0/16", "fd00::11", "x"]),
        ("Address_Set" | "Port_Group", "name") => text(one(rng, &["s0", "s1", "g0_ip4", "g0", "g1"])),
        (_, "ipsec" | "override_dynamic_mac") => rng.bool().to_string(),
        (_, "ports" | "static_routes" | "policies" | "acls") => return None,
        ("Logical_Switch_Port", "name") if number.is_multiple_of(9) => text("quoted\\\" || 1"),
        ("Logical_Switch_Port", "name") => text(&format!("p{}", number % 1000)),
        ("Logical_Router_Port", "name") => text(one(rng, LRP_NAMES)),
        (_, "name") => text(&format!("n{}", number % 10)),
        (_, "type") => text(one(
            rng,
            &[
                "",
                "",
                "router",
                "router",
                "localnet",
                "localport",
                "virtual",
                "switch",
                "external",
                "remote",
                "l2gateway",
                "vtep",
                "nonsense",
            ],
        )),
        (_, "bfd") => maybe(number, reference(&world.rows(NB, "BFD"))?),
        (_, "bfd_sessions") => maybe(number, reference(&world.rows(NB, "BFD"))?),
        (_, "options") => map(rng, OPTIONS),
        (_, "ipv6_ra_configs") => map(rng, ADVERTISED),
        (_, "other_config") => map(rng, CONFIG),
        (_, "external_ids") => map(rng, IDS),
        (_, "parent_name") => maybe(number, text(&format!("p{}", number % 1000))),
        (_, "tag_request") => maybe(number, (number % 4).to_string()),
        ("Logical_Switch_Port", "peer") => maybe(number, text(&format!("p{}", number % 1000))),
        (_, "tag") => maybe(number, (number % 4095 + 1).to_string()),
        (_, "addresses") => set(rng, ADDRESSES),
        (_, "dynamic_addresses") => maybe(number, text("0a:00:00:00:00:05 10.0.0.5")),
        (_, "port_security") => set(rng, &["0a:00:00:00:00:01 10.0.0.11", "0a:00:00:00:00:02", "bad"]),
        (_, "up" | "enabled") => maybe(number, rng.bool().to_string()),
        (_, "mac") => text(one(rng, &["0e:00:00:00:00:01", "0e:00:00:00:00:02", "nonsense"])),
        (_, "networks") => {
            let networks = set(rng, NETWORKS);
            let fallback = r#"["set",["10.0.0.1/24","fd00::1/64"]]"#;
            if networks.contains('/') { networks } else { fallback.to_owned() }
        }
        (_, "peer") => maybe(number, text(one(rng, LRP_NAMES))),
        (_, "ip_prefix") => text(one(rng, &["10.5.0.0/16", "0.0.0.0/0", "fd05::/64", "10.5.0.1/16", "x"])),
        (_, "policy") => maybe(number, text(one(rng, &["src-ip", "dst-ip"]))),
        (_, "nexthop") => text(one(rng, NEXTHOPS)),
        ("Logical_Router_Policy", "output_port") => {
            let ports = world.rows(NB, "Logical_Router_Port");
            let port = ports.get(number as usize % ports.len().max(1))?;
            maybe(number, format!(r#"["uuid","{port}"]"#))
        }
        (_, "output_port") => maybe(number, text(one(rng, LRP_NAMES))),
        (_, "selection_fields") => set(rng, &["ip_src", "ip_dst", "tp_src"]),
        ("Chassis_Template_Var", "chassis") => text(one(rng, &["hv1", "hv2", "hv3"])),
        ("Chassis_Template_Var", "variables") => format!(r#"["map",[["vip","10.0.0.{number}"]]]"#),
        (_, "route_table") => text(one(rng, &["", "", "blue", "red"])),
        (_, "priority") => (number % 1000).to_string(),
        (_, "chain" | "jump_chain") => maybe(number, text(one(rng, &["inner", "outer"]))),
        (_, "match") => text(one(rng, MATCHES)),
        (_, "action") => text(one(rng, &["allow", "drop", "reroute", "reroute", "jump"])),
        (_, "nexthops") => set(rng, &["10.0.0.9", "10.0.1.9", "172.16.0.2", "fd00::9", "bad"]),
        (_, "logical_port") => text(one(rng, LRP_NAMES)),
        (_, "ip") => text(one(rng, &["10.0.0.50", "fd00::50", "bad"])),
        _ => panic!("no value is known for {table}.{column}"),
    })
}

fn reference(rows: &[Uuid]) -> Option<String> {
    rows.first().map(|row| format!(r#"["uuid","{row}"]"#))
}

fn pick(rows: &[Uuid], rng: &mut Rng) -> Option<Uuid> {
    (!rows.is_empty()).then(|| rows[rng.usize(..rows.len())])
}

/// Draws an edit and makes it. What the server refuses is no edit.
fn edit(world: &mut World, rng: &mut Rng, changed: &mut BTreeSet<(&'static str, &'static str)>) {
    let (table, parent, columns) = TABLES[rng.usize(..TABLES.len())];
    let rows = world.rows(NB, table);
    let choice = rng.u8(..10);
    if table == "NB_Global" || (choice < 6 && !rows.is_empty()) {
        let Some(row) = pick(&rows, rng) else { return };
        let column = columns[rng.usize(..columns.len())];
        let Some(value) = value(world, rng, table, column) else { return };
        let op = format!(
            r#"{{"op":"update","table":"{table}","where":[["_uuid","==",["uuid","{row}"]]],"row":{{"{column}":{value}}}}}"#
        );
        if world.edit(NB, &op).contains("\"count\":1") {
            changed.insert((table, column));
        }
    } else if choice < 8 {
        insert(world, rng, table, parent, columns, changed);
    } else if let Some(row) = pick(&rows, rng) {
        let delete = match parent {
            None => {
                format!(r#"{{"op":"delete","table":"{table}","where":[["_uuid","==",["uuid","{row}"]]]}}"#)
            }
            Some((parent, column)) => {
                changed.insert((parent_name(parent), parent_column(column)));
                format!(
                    r#"{{"op":"mutate","table":"{parent}","where":[],"mutations":[["{column}","delete",["uuid","{row}"]]]}}"#
                )
            }
        };
        world.edit(NB, &delete);
    }
}

fn parent_name(name: &str) -> &'static str {
    TABLES.iter().map(|(table, ..)| *table).find(|table| *table == name).expect("parents are tables")
}

fn parent_column(name: &str) -> &'static str {
    TABLES
        .iter()
        .flat_map(|(.., columns)| columns.iter())
        .find(|column| **column == name)
        .expect("and columns")
}

fn insert(
    world: &mut World,
    rng: &mut Rng,
    table: &str,
    parent: Option<(&'static str, &'static str)>,
    columns: &[&str],
    changed: &mut BTreeSet<(&'static str, &'static str)>,
) {
    if world.rows(NB, table).len() > 12 {
        return;
    }
    let values: Vec<String> = columns
        .iter()
        .filter_map(|column| Some(format!(r#""{column}":{}"#, value(world, rng, table, column)?)))
        .collect();
    let mut operations =
        format!(r#"{{"op":"insert","table":"{table}","uuid-name":"new","row":{{{}}}}}"#, values.join(","));
    if table == "Meter" {
        operations.push_str(
            r#",{"op":"insert","table":"Meter_Band","uuid-name":"band","row":{"action":"drop","rate":7}}"#,
        );
    }
    if let Some((parent, column)) = parent {
        let Some(owner) = pick(&world.rows(NB, parent), rng) else { return };
        operations.push_str(&format!(
            r#",{{"op":"mutate","table":"{parent}","where":[["_uuid","==",["uuid","{owner}"]]],"mutations":[["{column}","insert",["set",[["named-uuid","new"]]]]]}}"#
        ));
        changed.insert((parent, column));
    }
    world.edit(NB, &operations);
}

fn run(seed: u64, edits: usize, changed: &mut BTreeSet<(&'static str, &'static str)>) {
    let mut rng = Rng::with_seed(seed);
    let mut world = World::new(seed);
    world.edit(NB, r#"{"op":"insert","table":"BFD","row":{"logical_port":"r0","dst_ip":"10.0.0.9"}}"#);
    // Few edits would come to numbers of connections.
    world.edit(
        NB,
        r#"{"op":"insert","table":"ACL","uuid-name":"a","row":{"priority":1,"direction":"to-lport","match":"ip4","action":"allow-related","options":["map",[["persist-established","true"]]]}},
           {"op":"insert","table":"Logical_Switch","row":{"name":"persistent","acls":["named-uuid","a"]}}"#,
    );
    world.start(seed);
    world.run();
    for number in 0..edits {
        if rng.u8(..5) == 0 {
            southbound::edit(&mut world, &mut rng, changed);
        } else {
            edit(&mut world, &mut rng, changed);
        }
        if rng.u8(..3) == 0 {
            world.run();
        }
        if number % 100 == 99 {
            world.run();
            check_fresh(&mut world, seed, number);
        }
    }
}

/// Replaces the northd by a new one, which must find everything as it would have made it.
fn check_fresh(world: &mut World, seed: u64, number: usize) {
    world.kill(0);
    world.start(seed + 1);
    world.run();
    let written = world.take_transactions(0);
    assert!(
        written.is_empty(),
        "seed {seed}, after edit {number}, a fresh northd writes:\n{}",
        written.join("\n")
    );
}

/// 10,000 edits in all.
#[test]
fn a_fresh_northd_has_nothing_to_add() {
    let mut changed = BTreeSet::new();
    for seed in 0..20 {
        run(seed, 500, &mut changed);
    }
    for (table, columns) in kiln_northd::northbound_columns().iter().chain(kiln_northd::southbound_columns())
    {
        for column in *columns {
            assert!(
                changed.contains(&(*table, *column)),
                "the run never changed {table}.{column}, which northd reads"
            );
        }
    }
}
