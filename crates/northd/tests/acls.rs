//! ACLs of switches and port groups: what each says, and what a switch's pipeline does around them.

mod world;

use world::{NB, SB, World};

/// Two switches, each with a port, and a group of both ports.
const NETWORK: &str = r#"
    {"op":"insert","table":"NB_Global","row":{}},
    {"op":"insert","table":"Logical_Switch_Port","uuid-name":"p","row":{"name":"p","addresses":"0a:00:00:00:00:01 10.0.0.11"}},
    {"op":"insert","table":"Logical_Switch_Port","uuid-name":"l","row":{"name":"l","type":"localnet","addresses":"unknown"}},
    {"op":"insert","table":"Logical_Switch","row":{"name":"s","ports":["set",[["named-uuid","p"],["named-uuid","l"]]]}},
    {"op":"insert","table":"Logical_Switch_Port","uuid-name":"q","row":{"name":"q","addresses":"0a:00:00:00:00:02 10.0.0.12"}},
    {"op":"insert","table":"Logical_Switch","row":{"name":"t","ports":["named-uuid","q"]}},
    {"op":"insert","table":"Port_Group","row":{"name":"g","ports":["set",[["named-uuid","p"],["named-uuid","q"]]]}}"#;

fn network() -> World {
    let mut world = World::new(1);
    world.edit(NB, NETWORK);
    world.start(1);
    world.run();
    world
}

/// Adds an ACL to a row of `table`.
fn add(world: &mut World, table: &str, name: &str, row: &str) {
    world.must(&format!(
        r#"{{"op":"insert","table":"ACL","uuid-name":"x","row":{{{row}}}}},
           {{"op":"mutate","table":"{table}","where":[["name","==","{name}"]],"mutations":[["acls","insert",["named-uuid","x"]]]}}"#
    ));
}

/// Adds an ACL to the switch.
fn acl(world: &mut World, row: &str) {
    add(world, "Logical_Switch", "s", row);
}

/// The ACLs of a stage, without what northd puts around them.
fn acls(world: &World, stage: &str) -> Vec<String> {
    let own = |flow: &String| {
        let priority: u32 = flow.split(' ').next().unwrap().parse().unwrap();
        (1000..34000).contains(&priority)
    };
    world.flows(stage).into_iter().filter(own).collect()
}

#[test]
fn without_connections_every_action_is_one_flow() {
    let mut world = network();
    for (priority, action) in (1..).zip(["allow", "allow-stateless", "drop", "reject", "pass"]) {
        acl(
            &mut world,
            &format!(r#""priority":{priority},"direction":"from-lport","match":"tcp","action":"{action}""#),
        );
    }
    assert_eq!(
        acls(&world, "ls_in_acl_eval"),
        [
            "1001 (tcp) -> reg8[16] = 1; next;",
            "1002 (tcp) -> reg8[16] = 1; next;",
            "1003 (tcp) -> reg8[17] = 1; next;",
            "1004 (tcp) -> reg8[18] = 1; next;",
            "1005 (tcp) -> next;",
        ]
    );
    assert!(!world.flows("ls_in_pre_acl").iter().any(|flow| flow.contains("reg0[0] = 1")));
    assert!(!world.flows("ls_in_stateful").iter().any(|flow| flow.contains("ct_commit")));
}

#[test]
fn one_that_follows_connections_changes_all_of_its_switch() {
    let mut world = network();
    acl(&mut world, r#""priority":1,"direction":"from-lport","match":"tcp","action":"drop""#);
    acl(&mut world, r#""priority":2,"direction":"from-lport","match":"udp","action":"allow-stateless""#);
    acl(&mut world, r#""priority":3,"direction":"to-lport","match":"ip4","action":"allow-related""#);
    assert_eq!(
        acls(&world, "ls_in_acl_eval"),
        [
            "1001 reg0[10] == 1 && (tcp) -> reg8[17] = 1; ct_commit { ct_mark.blocked = 1; ct_label.obs_point_id = 0; }; next;",
            "1001 reg0[9] == 1 && (tcp) -> reg8[17] = 1; next;",
            "1002 (udp) -> reg8[16] = 1; next;",
        ]
    );
    assert_eq!(
        acls(&world, "ls_out_acl_eval"),
        [
            "1003 reg0[7] == 1 && (ip4) -> reg8[16] = 1; next;",
            "1003 reg0[8] == 1 && (ip4) -> reg8[16] = 1; next;",
        ]
    );
    let before = world.flows("ls_in_pre_acl");
    assert!(before.contains(&"1002 udp -> reg0[16] = 1; next;".to_owned()), "{before:?}");
    assert!(before.contains(&"110 ip && inport == \"l\" -> next;".to_owned()), "{before:?}");
    assert!(before.contains(&"100 ip -> reg0[0] = 1; next;".to_owned()), "{before:?}");
    assert_eq!(world.flows("ls_in_stateful").len(), 3, "two that commit, and the fallback");
    // Its last one gone, nothing of it is left.
    world.must(r#"{"op":"update","table":"ACL","where":[["priority","==",3]],"row":{"action":"allow"}}"#);
    assert_eq!(acls(&world, "ls_out_acl_eval"), ["1003 (ip4) -> reg8[16] = 1; next;"]);
    assert!(!world.flows("ls_in_pre_acl").iter().any(|flow| flow.contains("reg0[0] = 1")));
}

#[test]
fn tiers_labels_and_logs() {
    let mut world = network();
    world.must(
        r#"{"op":"insert","table":"Meter_Band","uuid-name":"b","row":{"action":"drop","rate":10,"burst_size":5}},
           {"op":"insert","table":"Meter","row":{"name":"m","unit":"pktps","bands":["named-uuid","b"]}}"#,
    );
    acl(
        &mut world,
        r#""priority":1,"direction":"to-lport","match":"ip4","action":"allow","label":7,"log":true,"name":"a\"b","meter":"m","severity":"alert""#,
    );
    acl(&mut world, r#""priority":2,"direction":"to-lport","match":"ip6","action":"drop","tier":2"#);
    assert_eq!(
        acls(&world, "ls_out_acl_eval"),
        [
            "1001 reg8[30..31] == 0 && (ip4) -> log(name=\"a\\\\\"b\", severity=alert, verdict=allow, meter=\"m\"); \
             reg8[16] = 1; reg0[13] = 1; reg3 = 7; reg9 = 7; reg8[0..7] = 0; reg8[8..15] = 0; reg8[19..20] = 2; next;",
            "1002 reg8[30..31] == 2 && (ip6) -> reg8[17] = 1; next;",
        ]
    );
    let actions = world.flows("ls_out_acl_action");
    for tier in [
        "500 reg8[30..31] == 0 -> reg8[30..31] = 1; next(pipeline=egress,table=6);",
        "500 reg8[30..31] == 1 -> reg8[30..31] = 2; next(pipeline=egress,table=6);",
    ] {
        assert!(actions.contains(&tier.to_owned()), "{actions:?}");
    }
    assert_eq!(world.dump(SB, "Meter", &["name"]), ["\"m\""]);
    // A fair meter limits each ACL on its own.
    world.must(r#"{"op":"update","table":"Meter","where":[],"row":{"fair":true}}"#);
    let acl = world.rows(NB, "ACL");
    let copy = |flow: &String| acl.iter().any(|acl| flow.contains(&format!("meter=\"m__{acl}\"")));
    assert!(acls(&world, "ls_out_acl_eval").iter().any(copy));
    assert_eq!(world.rows(SB, "Meter").len(), 2);
    assert_eq!(world.rows(SB, "Meter_Band").len(), 2);
}

#[test]
fn what_no_acl_decides_on_goes_the_default_way_only_where_there_are_acls() {
    let mut world = network();
    world.must(r#"{"op":"update","table":"NB_Global","where":[],"row":{"options":["map",[["default_acl_drop","true"]]]}}"#);
    assert_eq!(world.flows("ls_in_acl_action"), ["0 1 -> next;"]);
    acl(&mut world, r#""priority":1,"direction":"to-lport","match":"ip4","action":"allow""#);
    let actions = world.flows("ls_in_acl_action");
    assert!(
        actions.contains(&"0 1 -> reg8[16] = 0; reg8[17] = 0; reg8[18] = 0; /* drop */".to_owned()),
        "{actions:?}"
    );
    assert!(actions.contains(&"0 1 -> next;".to_owned()), "the other switch has none: {actions:?}");
}

#[test]
fn a_groups_acl_holds_on_the_switches_of_its_ports() {
    let mut world = network();
    add(
        &mut world,
        "Port_Group",
        "g",
        r#""priority":1,"direction":"to-lport","match":"outport == @g","action":"drop""#,
    );
    let alone = |world: &World| {
        let flows = world.dump(SB, "Logical_Flow", &["match", "logical_datapath", "logical_dp_group"]);
        let flow = flows
            .iter()
            .find(|flow| flow.starts_with("\"(outport == @g)\""))
            .expect("the ACL's flow")
            .clone();
        flow.ends_with("[\"set\",[]]")
    };
    assert_eq!(acls(&world, "ls_out_acl_eval"), ["1001 (outport == @g) -> reg8[17] = 1; next;"]);
    assert!(!alone(&world), "it holds on both switches");
    world.must(
        r#"{"op":"update","table":"Logical_Switch","where":[["name","==","t"]],"row":{"ports":["set",[]]}}"#,
    );
    assert!(alone(&world), "it holds on one switch");
    world.must(r#"{"op":"update","table":"Port_Group","where":[],"row":{"ports":["set",[]]}}"#);
    assert!(acls(&world, "ls_out_acl_eval").is_empty());
}

#[test]
fn a_match_that_nobody_can_read_stands_nowhere_and_heals() {
    let mut world = network();
    acl(&mut world, r#""priority":1,"direction":"to-lport","match":"ip4 &&","action":"drop""#);
    assert!(acls(&world, "ls_out_acl_eval").is_empty());
    world.must(r#"{"op":"update","table":"ACL","where":[],"row":{"match":"ip4"}}"#);
    assert_eq!(acls(&world, "ls_out_acl_eval"), ["1001 (ip4) -> reg8[17] = 1; next;"]);
}

#[test]
fn numbers_of_connections_that_stay_allowed_survive_a_restart() {
    let mut world = network();
    let row = r#""direction":"to-lport","match":"ip4","action":"allow-related","options":["map",[["persist-established","true"]]]"#;
    acl(&mut world, &format!(r#""priority":1,{row}"#));
    acl(&mut world, &format!(r#""priority":2,{row}"#));
    let before = acls(&world, "ls_out_acl_eval");
    assert!(before.iter().any(|flow| flow.contains("reg2[16..31] = 2; reg0[20] = 1;")), "{before:?}");
    world.kill(0);
    world.start(9);
    world.run();
    assert_eq!(acls(&world, "ls_out_acl_eval"), before);
    assert_eq!(world.rows(SB, "ACL_ID").len(), 2);
}

#[test]
fn connections_stay_allowed_only_where_chassis_can_flush_them() {
    let mut world = network();
    let row = r#""direction":"to-lport","match":"ip4","action":"allow-related","options":["map",[["persist-established","true"]]]"#;
    acl(&mut world, &format!(r#""priority":1,{row}"#));
    let stay =
        |world: &World| acls(world, "ls_out_acl_eval").iter().any(|flow| flow.contains("reg0[20] = 1"));
    assert!(stay(&world), "there is no chassis");
    world.edit(
        SB,
        r#"{"op":"insert","table":"Encap","uuid-name":"e","row":{"type":"geneve","ip":"192.0.2.1","chassis_name":"c"}},
           {"op":"insert","table":"Chassis","row":{"name":"c","hostname":"c","encaps":["named-uuid","e"]}}"#,
    );
    world.run();
    assert!(!stay(&world));
    let config = |world: &mut World, key: &str, value: &str| {
        let row = format!(r#"{{"other_config":["map",[["{key}","{value}"]]]}}"#);
        world.edit(SB, &format!(r#"{{"op":"update","table":"Chassis","where":[],"row":{row}}}"#));
        world.run();
    };
    config(&mut world, "ct-label-flush", "true");
    assert!(stay(&world));
    config(&mut world, "ct-label-flush", "false");
    assert!(!stay(&world));
    config(&mut world, "is-remote", "true");
    assert!(stay(&world), "it is another deployment's");
}

/// The flows of the ACLs that are about what the connection tracker knows.
fn translated(world: &World) -> Vec<String> {
    let flows = world.dump(SB, "Logical_Flow", &["tags", "match"]);
    flows.iter().filter_map(|flow| flow.strip_prefix(TAGS).map(str::to_owned)).collect()
}

const TAGS: &str = r#"["map",[["acl_ct_translation","true"]]] | "#;

#[test]
fn ports_are_those_that_the_connection_tracker_knows_if_asked_for() {
    let mut world = network();
    let option = |on: bool| {
        format!(
            r#"{{"op":"update","table":"NB_Global","where":[],"row":{{"options":["map",[["acl_ct_translation","{on}"]]]}}}}"#
        )
    };
    acl(&mut world, r#""priority":1,"direction":"to-lport","match":"tcp","action":"allow""#);
    world.must(&option(true));
    assert!(translated(&world).is_empty(), "nothing follows connections");
    acl(&mut world, r#""priority":2,"direction":"to-lport","match":"udp","action":"allow-related""#);
    acl(&mut world, r#""priority":3,"direction":"to-lport","match":"sctp","action":"pass""#);
    let all = [
        r#""reg0[7] == 1 && (tcp)""#,
        r#""reg0[7] == 1 && (udp)""#,
        r#""reg0[8] == 1 && (tcp)""#,
        r#""reg0[8] == 1 && (udp)""#,
    ];
    assert_eq!(translated(&world), all);
    let passes = |world: &World, stage| world.flows(stage).contains(&"110 eth.mcast -> next;".to_owned());
    assert!(!passes(&world, "ls_in_pre_acl") && !passes(&world, "ls_out_pre_acl"));
    let before = world.rows(SB, "Logical_Flow");
    // Whoever takes the tags off makes other flows of them.
    world.edit(SB, r#"{"op":"update","table":"Logical_Flow","where":[],"row":{"tags":["map",[]]}}"#);
    world.run();
    assert_eq!(translated(&world), all);
    world.kill(0);
    world.start(9);
    world.run();
    assert_eq!(world.take_transactions(0), [""; 0]);
    world.must(&option(false));
    assert!(translated(&world).is_empty());
    assert!(passes(&world, "ls_in_pre_acl") && passes(&world, "ls_out_pre_acl"));
    world.must(&option(true));
    assert_eq!(world.rows(SB, "Logical_Flow"), before);
}
