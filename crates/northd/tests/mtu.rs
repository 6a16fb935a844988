//! Links that take less than Ethernet does: who is told, and who is cut.

mod world;

use world::{NB, SB, World};

/// A router between two networks; the link of `b` takes 1400 bytes.
fn network(options: &str) -> World {
    let mut world = World::new(1);
    world.edit(
        NB,
        &format!(
            r#"{{"op":"insert","table":"NB_Global","row":{{}}}},
            {{"op":"insert","table":"Logical_Router_Port","uuid-name":"a","row":{{"name":"a","mac":"0e:00:00:00:00:01","networks":["set",["10.0.0.1/24","fd00::1/64"]]}}}},
            {{"op":"insert","table":"Logical_Router_Port","uuid-name":"b","row":{{"name":"b","mac":"0e:00:00:00:00:02","networks":["set",["10.0.1.1/24","fd01::1/64"]],"options":["map",[["gateway_mtu","1400"]{options}]]}}}},
            {{"op":"insert","table":"Logical_Router","row":{{"name":"r","ports":["set",[["named-uuid","a"],["named-uuid","b"]]]}}}}"#
        ),
    );
    world.start(1);
    world.run();
    world
}

/// What becomes of packets larger than the link of `b` takes, by their first words.
fn larger(world: &World) -> Vec<String> {
    let first = |flow: &String| {
        let (matches, actions) = flow.split_once(" -> ").expect("a flow");
        let family = if matches.contains("ip4") { "ip4" } else { "ip6" };
        let word = actions.split('{').next().unwrap_or_default().trim();
        let then = actions.rsplit('}').next().unwrap_or_default().trim_start_matches(';').trim();
        format!("{family} {word} {then}").trim_end().to_owned()
    };
    let mut flows: Vec<String> = world.flows("lr_in_larger_pkts");
    flows.extend(world.flows("lr_in_ip_input").into_iter().filter(|flow| flow.contains("reg9[1]")));
    let mut words: Vec<String> = flows.iter().filter(|flow| flow.contains("reg9[1]")).map(first).collect();
    words.sort();
    words.dedup();
    words
}

fn add_chassis(world: &mut World, name: &str, config: &str) {
    // No two tunnels end at one address.
    let number = world.rows(SB, "Encap").len() + 1;
    let answer = world.edit(
        SB,
        &format!(
            r#"{{"op":"insert","table":"Encap","uuid-name":"e","row":{{"type":"geneve","ip":"192.0.2.{number}","chassis_name":"{name}"}}}},
               {{"op":"insert","table":"Chassis","row":{{"name":"{name}","hostname":"{name}","encaps":["named-uuid","e"],"other_config":["map",[{config}]]}}}}"#
        ),
    );
    assert!(!answer.contains("\"error\":\""), "{answer}");
    world.run();
}

#[test]
fn packets_are_cut_where_every_chassis_can() {
    let told = ["ip4 icmp4_error", "ip6 icmp6_error"];
    let cut = [
        "ip4 fragment(1400) next;",
        "ip4 fragment(1400) reg9[1] = 0; next(3);",
        "ip4 reg9[1] = 0; next(3); reg9[1] = 0; next(3);",
        "ip6 icmp6_error",
    ];
    assert_eq!(larger(&network("")), told, "nobody asked for it");
    let mut world = network(r#",["fragment","true"]"#);
    assert_eq!(larger(&world), cut);
    add_chassis(&mut world, "kiln", r#"["kiln-fragment","true"],["ct-state-save","true"]"#);
    assert_eq!(larger(&world), cut);
    add_chassis(&mut world, "afar", r#"["is-remote","true"]"#);
    assert_eq!(larger(&world), cut, "another deployment's chassis has no say");
    add_chassis(&mut world, "stock", r#"["ct-state-save","true"]"#);
    assert_eq!(larger(&world), told, "one does not know the action");
    world.edit(SB, r#"{"op":"delete","table":"Chassis","where":[["name","==","stock"]]}"#);
    world.run();
    assert_eq!(larger(&world), cut, "it has gone");
    world.must(
        r#"{"op":"mutate","table":"Logical_Router_Port","where":[["name","==","b"]],"mutations":[["options","delete",["set",["fragment"]]]]}"#,
    );
    assert_eq!(larger(&world), told);
    world.must(
        r#"{"op":"update","table":"NB_Global","where":[],"row":{"options":["map",[["l3_defaults","rfc"]]]}}"#,
    );
    assert_eq!(larger(&world), cut, "rows that do not say otherwise");
}

#[test]
fn an_error_about_a_packet_that_may_not_be_cut_is_stocks() {
    let of = |world: &World| {
        let flows = world.flows("lr_in_larger_pkts");
        let flow =
            flows.into_iter().find(|flow| flow.starts_with("150 inport == \"a\" && outport == \"b\" && ip4"));
        flow.expect("a flow for IPv4")
            .split_once('{')
            .expect("nested actions")
            .1
            .split_once('}')
            .map(|(a, _)| a.to_owned())
    };
    assert_eq!(of(&network(r#",["fragment","true"]"#)), of(&network("")));
}

#[test]
fn what_is_meant_for_the_router_itself_is_not_cut() {
    let of = |world: &World| {
        let flows = world.flows("lr_in_ip_input").into_iter();
        flows.filter(|flow| flow.starts_with("152 ")).collect::<Vec<_>>()
    };
    assert_eq!(
        of(&network(r#",["fragment","true"]"#)),
        [
            r#"152 inport == "b" && ip4.dst == {10.0.0.1, 10.0.1.1} && reg9[1] && reg9[0] == 0 -> reg9[1] = 0; next(3);"#
        ]
    );
    assert!(of(&network("")).is_empty(), "stock refuses it");
}

#[test]
fn nobody_is_told_of_packets_to_all_hosts() {
    let to_all = "ip4.dst == {10.0.0.0, 10.0.0.255, 10.0.1.0, 10.0.1.255} && reg9[1] && reg9[0] == 0";
    let of = |world: &World| {
        let flows = [world.flows("lr_in_ip_input"), world.flows("lr_in_larger_pkts")].concat().into_iter();
        flows.filter(|flow| flow.contains(to_all)).collect::<Vec<_>>()
    };
    let mut world = network(r#",["fragment","true"]"#);
    assert!(of(&world).is_empty(), "stock tells of them");
    world.must(
        r#"{"op":"update","table":"NB_Global","where":[],"row":{"options":["map",[["l3_defaults","rfc"]]]}}"#,
    );
    let silent = |actions: [&str; 2]| {
        [
            format!(r#"151 inport == "b" && {to_all} -> {}"#, actions[0]),
            format!(r#"170 outport == "b" && {to_all} -> {}"#, actions[1]),
        ]
    };
    let cut = silent(["fragment(1400) { drop; }; reg9[1] = 0; next(3);", "fragment(1400) { drop; }; next;"]);
    assert_eq!(of(&world), cut);
    world.must(
        r#"{"op":"update","table":"Logical_Router_Port","where":[["name","==","b"]],"row":{"options":["map",[["gateway_mtu","1400"],["fragment","false"]]]}}"#,
    );
    assert_eq!(of(&world), silent(["drop;", "drop;"]));
}

#[test]
fn connections_are_remembered_where_every_chassis_can() {
    let mut world = network("");
    let measured = |world: &World| {
        world.flows("lr_in_chk_pkt_len").into_iter().find(|flow| flow.starts_with("50 ")).unwrap()
    };
    assert_eq!(
        measured(&world),
        r#"50 outport == "b" -> reg9[1] = check_pkt_larger(1414); reg4[0..7] = ct_state_save(); next;"#
    );
    add_chassis(&mut world, "old", "");
    assert_eq!(measured(&world), r#"50 outport == "b" -> reg9[1] = check_pkt_larger(1414); next;"#);
    world.must(r#"{"op":"update","table":"NB_Global","where":[],"row":{"options":["map",[["ignore_chassis_features","true"]]]}}"#);
    assert!(measured(&world).contains("ct_state_save"));
}
