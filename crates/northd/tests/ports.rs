//! Types and options of switch ports, their tags and the addresses that are chosen for them, and what router ports
//! advertise.

mod world;

use world::{NB, SB, World};

/// A switch whose row is given, on a router.
fn network(switch: &str) -> World {
    let mut world = World::new(1);
    world.edit(
        NB,
        &format!(
            r#"{{"op":"insert","table":"NB_Global","row":{{"options":["map",[["mac_prefix","0a:0b:0c"]]]}}}},
               {{"op":"insert","table":"Logical_Switch_Port","uuid-name":"up","row":{{"name":"up","type":"router","addresses":"router","options":["map",[["router-port","down"]]]}}}},
               {{"op":"insert","table":"Logical_Switch","row":{{"name":"s","ports":["named-uuid","up"]{switch}}}}},
               {{"op":"insert","table":"Logical_Router_Port","uuid-name":"down","row":{{"name":"down","mac":"0e:00:00:00:00:01","networks":["set",["10.0.0.2/24","fd00::1/64"]]}}}},
               {{"op":"insert","table":"Logical_Router","row":{{"name":"r","ports":["named-uuid","down"]}}}}"#
        ),
    );
    world.start(1);
    world.run();
    world
}

fn add_port(world: &mut World, row: &str) {
    world.must(&format!(
        r#"{{"op":"insert","table":"Logical_Switch_Port","uuid-name":"x","row":{{{row}}}}},
           {{"op":"mutate","table":"Logical_Switch","where":[],"mutations":[["ports","insert",["named-uuid","x"]]]}}"#
    ));
}

/// The flows of a stage that mention `text`.
fn flows_with(world: &World, stage: &str, text: &str) -> Vec<String> {
    world.flows(stage).into_iter().filter(|flow| flow.contains(text)).collect()
}

fn members(world: &World, group: &str) -> usize {
    let groups = world.dump(SB, "Multicast_Group", &["name", "ports"]);
    let group = groups.into_iter().find(|row| row.starts_with(&format!("\"{group}\"")));
    group.map_or(0, |row| row.matches("\"uuid\"").count())
}

const MAC: &str = "0a:00:00:00:00:09";

#[test]
fn frames_for_a_port_go_where_its_options_say() {
    for (options, expected) in [
        ("", vec![r#"50 eth.dst == 0a:00:00:00:00:09 -> outport = "p"; output;"#]),
        (
            r#"["pkt_clone_type","mc_unknown"]"#,
            vec![
                r#"50 eth.dst == 0a:00:00:00:00:09 -> clone { outport = "p"; output; }; outport = "_MC_unknown"; output;"#,
            ],
        ),
        (r#"["force_fdb_lookup","true"]"#, vec![]),
    ] {
        let mut world = network("");
        add_port(
            &mut world,
            &format!(
                r#""name":"p","addresses":["set",["{MAC} 10.0.0.9","unknown"]],"options":["map",[{options}]]"#
            ),
        );
        assert_eq!(flows_with(&world, "ls_in_l2_lkup", MAC), expected, "{options}");
    }
}

#[test]
fn who_answers_for_an_address() {
    let asked = "arp.tpa == 10.0.0.9";
    for (switch, port, answers) in [
        ("", "", 2),
        ("", r#","options":["map",[["disable_arp_nd_rsp","true"]]]"#, 0),
        ("", r#","type":"remote""#, 2),
        ("", r#","type":"external""#, 0),
        (r#","other_config":["map",[["vlan-passthru","true"]]]"#, "", 0),
    ] {
        let mut world = network(switch);
        add_port(&mut world, &format!(r#""name":"p","addresses":"{MAC} 10.0.0.9/24"{port}"#));
        assert_eq!(flows_with(&world, "ls_in_arp_rsp", asked).len(), answers, "{switch} {port}");
        // The router knows the address in any case.
        assert_eq!(flows_with(&world, "lr_in_arp_resolve", "reg0 == 10.0.0.9").len(), 1, "{switch} {port}");
    }
}

#[test]
fn ports_that_are_down_are_answered_for_unless_that_is_forbidden() {
    let mut world = network("");
    add_port(&mut world, &format!(r#""name":"p","addresses":"{MAC} 10.0.0.9""#));
    let answers = |world: &World| flows_with(world, "ls_in_arp_rsp", "arp.tpa == 10.0.0.9").len();
    assert_eq!(answers(&world), 2);
    world.must(
        r#"{"op":"mutate","table":"NB_Global","where":[],"mutations":[["options","insert",["map",[["ignore_lsp_down","false"]]]]]}"#,
    );
    assert_eq!(answers(&world), 0);
    world.edit(
        SB,
        r#"{"op":"insert","table":"Encap","uuid-name":"e","row":{"type":"geneve","ip":"192.0.2.1","chassis_name":"hv1"}},
           {"op":"insert","table":"Chassis","uuid-name":"c","row":{"name":"hv1","encaps":["named-uuid","e"]}},
           {"op":"update","table":"Port_Binding","where":[["logical_port","==","p"]],"row":{"chassis":["named-uuid","c"],"up":true}}"#,
    );
    world.run();
    assert_eq!(answers(&world), 2);
}

#[test]
fn floods_leave_out_who_does_not_want_them() {
    let mut world = network("");
    add_port(&mut world, r#""name":"p","addresses":"unknown""#);
    assert_eq!((members(&world, "_MC_flood"), members(&world, "_MC_unknown")), (2, 1));
    add_port(
        &mut world,
        r#""name":"q","addresses":"unknown","options":["map",[["receive_multicast","false"]]]"#,
    );
    assert_eq!((members(&world, "_MC_flood"), members(&world, "_MC_unknown")), (2, 1));
    assert_eq!(flows_with(&world, "ls_in_l2_lkup", "eth.mcast && (arp.op == 1"), Vec::<String>::new());
    world.must(
        r#"{"op":"update","table":"Logical_Switch","where":[],"row":{"other_config":["map",[["broadcast-arps-to-all-routers","false"]]]}}"#,
    );
    assert_eq!(
        flows_with(&world, "ls_in_l2_lkup", "eth.mcast && (arp.op == 1"),
        [r#"72 eth.mcast && (arp.op == 1 || nd_ns) -> outport = "_MC_flood_l2"; output;"#]
    );
}

#[test]
fn a_port_towards_another_switch_is_half_of_a_pair() {
    let mut world = network("");
    add_port(&mut world, r#""name":"p","type":"switch","peer":"q""#);
    let binding = |world: &World| {
        let rows = world.dump(SB, "Port_Binding", &["logical_port", "type", "options"]);
        rows.into_iter().find(|row| row.starts_with("\"p\"")).expect("the port is bound")
    };
    assert_eq!(binding(&world), r#""p" | "patch" | ["map",[]]"#, "there is no such port");
    add_port(&mut world, r#""name":"q","type":"switch","peer":"p""#);
    assert_eq!(binding(&world), r#""p" | "patch" | ["map",[["peer","q"]]]"#);
    assert_eq!(members(&world, "_MC_unknown"), 2, "nobody tells which addresses are behind them");
}

#[test]
fn tags_are_what_was_asked_for_or_the_lowest_that_is_free() {
    let mut world = network("");
    let tags = |world: &World, database, table, name| world.dump(database, table, &[name, "tag"]);
    add_port(&mut world, r#""name":"a","parent_name":"vm","tag":1"#);
    add_port(&mut world, r#""name":"b","parent_name":"vm","tag_request":0"#);
    add_port(&mut world, r#""name":"c","parent_name":"vm","tag_request":7"#);
    add_port(&mut world, r#""name":"d","parent_name":"vm","tag_request":0"#);
    add_port(&mut world, r#""name":"e","parent_name":"other","tag_request":0"#);
    add_port(&mut world, r#""name":"f","tag_request":9"#);
    add_port(&mut world, r#""name":"g","tag_request":0"#);
    let expected = [
        r#""a" | 1"#,
        r#""b" | 2"#,
        r#""c" | 7"#,
        r#""d" | 3"#,
        r#""e" | 1"#,
        r#""f" | 9"#,
        r#""g" | ["set",[]]"#,
    ];
    assert_eq!(tags(&world, NB, "Logical_Switch_Port", "name")[..7], expected);
    let mut bound = tags(&world, SB, "Port_Binding", "logical_port");
    bound.retain(|row| !row.starts_with("\"up\"") && !row.starts_with("\"down\""));
    assert_eq!(bound, expected);

    // A tag that has come free is not a reason to move.
    world.must(r#"{"op":"update","table":"Logical_Switch_Port","where":[["name","==","b"]],"row":{"parent_name":"other"}}"#);
    assert_eq!(tags(&world, NB, "Logical_Switch_Port", "name")[3], r#""d" | 3"#);
}

fn chosen(world: &World) -> Vec<String> {
    let rows = world.dump(NB, "Logical_Switch_Port", &["name", "dynamic_addresses"]);
    rows.into_iter().filter(|row| !row.starts_with("\"up\"")).collect()
}

#[test]
fn chosen_addresses_are_nobody_elses() {
    let mut world = network(
        r#","other_config":["map",[["subnet","10.0.0.0/29"],["exclude_ips","10.0.0.3"],["ipv6_prefix","fd00::"]]]"#,
    );
    add_port(&mut world, r#""name":"a","addresses":"dynamic""#);
    // 10.0.0.1 is the router's by custom, 10.0.0.2 is the router's, 10.0.0.3 is excluded.
    let a = r#""a" | "0a:0b:0c:00:00:05 10.0.0.4 fd00::80b:cff:fe00:5""#;
    assert_eq!(chosen(&world), [a]);
    add_port(&mut world, &format!(r#""name":"b","addresses":"{MAC} 10.0.0.5""#));
    add_port(&mut world, r#""name":"c","addresses":"dynamic 10.0.0.4""#);
    let c = r#""c" | "0a:0b:0c:00:00:07 10.0.0.6 fd00::80b:cff:fe00:7""#;
    assert_eq!(chosen(&world), [a, r#""b" | ["set",[]]"#, c], "the first keeps what both want");
    // Nothing is left; when something comes free, it goes to who waits.
    add_port(&mut world, &format!(r#""name":"d","addresses":"{MAC} dynamic""#));
    assert_eq!(chosen(&world)[3], r#""d" | "0a:00:00:00:00:09 fd00::800:ff:fe00:9""#);
    world.must(r#"{"op":"update","table":"Logical_Switch_Port","where":[["name","==","b"]],"row":{"addresses":"unknown"}}"#);
    assert_eq!(chosen(&world)[3], r#""d" | "0a:00:00:00:00:09 10.0.0.5 fd00::800:ff:fe00:9""#);
    assert_eq!(chosen(&world)[0], a);

    // A northd that starts again finds everything as it is.
    world.kill(0);
    world.start(7);
    world.run();
    assert_eq!(world.take_transactions(0), Vec::<String>::new());
}

#[test]
fn an_ethernet_address_alone_is_chosen_where_that_is_asked_for() {
    let mut world = network(r#","other_config":["map",[["mac_only","true"]]]"#);
    add_port(&mut world, r#""name":"a","addresses":"dynamic""#);
    assert_eq!(chosen(&world), [r#""a" | "0a:0b:0c:00:00:01""#]);
    world.must(r#"{"op":"update","table":"Logical_Switch","where":[],"row":{"other_config":["map",[]]}}"#);
    assert_eq!(chosen(&world), [r#""a" | ["set",[]]"#]);
}

/// As with stock: where a switch has nothing to choose from, an address that is asked for is not given either.
#[test]
fn addresses_that_are_asked_for_come_from_what_the_switch_has() {
    let none = r#"["set",[]]"#;
    let cases = [
        ("", "10.0.0.6", none),
        (r#"["mac_only","true"]"#, "10.0.0.6", r#""0a:0b:0c:00:00:07""#),
        (r#"["ipv6_prefix","fd07::"]"#, "10.0.0.6", r#""0a:0b:0c:00:00:07 fd07::80b:cff:fe00:7""#),
        (r#"["ipv6_prefix","fd07::"]"#, "fd07::7", r#""0a:0b:0c:00:00:01 fd07::7""#),
        (r#"["ipv6_prefix","fd07::"]"#, "fd08::7", r#""0a:0b:0c:00:00:01 fd07::80b:cff:fe00:1""#),
        (r#"["subnet","10.0.0.0/29"]"#, "10.0.0.6", r#""0a:0b:0c:00:00:07 10.0.0.6""#),
        (r#"["subnet","10.0.0.0/29"]"#, "fd07::7", r#""0a:0b:0c:00:00:04 10.0.0.3""#),
        (
            r#"["subnet","10.0.0.0/29"],["exclude_ips","10.0.0.6"]"#,
            "10.0.0.6",
            r#""0a:0b:0c:00:00:04 10.0.0.3""#,
        ),
        (r#"["subnet","10.0.0.0/29"]"#, "10.0.0.1", r#""0a:0b:0c:00:00:04 10.0.0.3""#),
        (r#"["subnet","10.0.0.0/29"]"#, "10.0.0.7", r#""0a:0b:0c:00:00:04 10.0.0.3""#),
        (r#"["subnet","10.0.0.0/29"]"#, "10.0.9.6", r#""0a:0b:0c:00:00:04 10.0.0.3""#),
    ];
    for (config, wish, expected) in cases {
        let mut world = network(&format!(r#","other_config":["map",[{config}]]"#));
        add_port(&mut world, &format!(r#""name":"a","addresses":"dynamic {wish}""#));
        assert_eq!(chosen(&world), [format!(r#""a" | {expected}"#)], "{config}: {wish}");
    }
}

/// Of those that come at the same time.
#[test]
fn who_asks_for_an_address_comes_before_who_takes_any() {
    let mut world =
        network(r#","other_config":["map",[["subnet","10.0.0.0/29"],["exclude_ips","10.0.0.3..10.0.0.5"]]]"#);
    world.must(
        r#"{"op":"insert","table":"Logical_Switch_Port","uuid":"00000000-0000-4000-8000-000000000001","row":{"name":"a","addresses":"dynamic"}},
           {"op":"insert","table":"Logical_Switch_Port","uuid-name":"b","row":{"name":"b","addresses":"dynamic 10.0.0.6"}},
           {"op":"mutate","table":"Logical_Switch","where":[],"mutations":[["ports","insert",["set",[["uuid","00000000-0000-4000-8000-000000000001"],["named-uuid","b"]]]]]}"#,
    );
    assert_eq!(chosen(&world), [r#""a" | "0a:0b:0c:00:00:01""#, r#""b" | "0a:0b:0c:00:00:07 10.0.0.6""#]);
}

#[test]
fn how_a_switch_would_snoop() {
    let world = network(
        r#","other_config":["map",[["mcast_idle_timeout","5"],["mcast_query_interval","9999"],["mcast_querier","false"]]]"#,
    );
    let columns = ["enabled", "querier", "table_size", "idle_timeout", "query_interval", "query_max_resp"];
    // 15 s to an hour.
    assert_eq!(world.dump(SB, "IP_Multicast", &columns), ["false | false | 2048 | 15 | 3600 | 1"]);
}

#[test]
fn routers_advertise_what_their_ports_say() {
    let mut world = network("");
    let advertise = |world: &mut World, configs: &str| {
        world.must(&format!(
            r#"{{"op":"update","table":"Logical_Router_Port","where":[],"row":{{"ipv6_ra_configs":["map",[{configs}]]}}}}"#
        ));
        flows_with(world, "lr_in_nd_ra_options", "nd_rs")
    };
    let answer = |options: &str| {
        [format!(
            "50 inport == \"down\" && ip6.dst == ff02::2 && nd_rs -> reg0[5] = put_nd_ra_opts(addr_mode = \"slaac\", \
             slla = 0e:00:00:00:00:01, {options}prefix = fd00::/64); next;"
        )]
    };
    assert_eq!(
        advertise(&mut world, r#"["mtu","1400"]"#),
        Vec::<String>::new(),
        "without a mode there is none"
    );
    let all = r#"["address_mode","slaac"],["mtu","1400"],["rdnss","fd00::53"],["dnssl","a.b"],["router_preference","LOW"]"#;
    assert_eq!(
        advertise(&mut world, all),
        answer("mtu = 1400, router_preference = \"LOW\", rdnss = fd00::53, dnssl = \"a.b\", ")
    );
    // What is not understood is left out.
    let wrong =
        r#"["address_mode","slaac"],["mtu","x"],["dnssl","a\"); drop; ("],["router_preference","UTMOST"]"#;
    assert_eq!(advertise(&mut world, wrong), answer(""));

    let sends = r#"["address_mode","slaac"],["send_periodic","true"],["max_interval","2"]"#;
    advertise(&mut world, sends);
    let binding = world.dump(SB, "Port_Binding", &["options"]).join("");
    // RFC 4861: between 4 and 1800 s, and the other at least 3 s.
    for option in [
        r#"["ipv6_ra_max_interval","4"]"#,
        r#"["ipv6_ra_min_interval","3"]"#,
        r#"["ipv6_ra_prefixes","fd00::/64"]"#,
    ] {
        assert!(binding.contains(option), "{option} in {binding}");
    }
}

#[test]
fn a_disabled_router_is_as_if_it_were_not_there() {
    let mut world = network("");
    assert_eq!(flows_with(&world, "ls_in_arp_rsp", "10.0.0.2").len(), 2);
    world.must(r#"{"op":"update","table":"Logical_Router","where":[],"row":{"enabled":false}}"#);
    assert_eq!(flows_with(&world, "ls_in_arp_rsp", "10.0.0.2"), Vec::<String>::new());
    assert_eq!(world.dump(SB, "Datapath_Binding", &["type"]), ["\"logical-switch\""]);
    world.must(r#"{"op":"update","table":"Logical_Router","where":[],"row":{"enabled":true}}"#);
    assert_eq!(flows_with(&world, "ls_in_arp_rsp", "10.0.0.2").len(), 2);
}

#[test]
fn a_port_that_has_only_a_link_local_address_sends_errors_from_it() {
    let world = network("");
    let expired = |world: &World| flows_with(world, "lr_in_ip_input", "&& ip6 && ip.ttl == {0, 1}");
    assert!(expired(&world)[0].contains("ip6.src = fd00::1;"), "{:?}", expired(&world));
    let mut world = world;
    world
        .must(r#"{"op":"update","table":"Logical_Router_Port","where":[],"row":{"networks":"10.0.0.2/24"}}"#);
    // RFC 4291, appendix A, of 0e:00:00:00:00:01.
    assert!(expired(&world)[0].contains("ip6.src = fe80::c00:ff:fe00:1;"), "{:?}", expired(&world));
}

#[test]
fn what_comes_from_a_vtep_switch_goes_straight_to_its_destination() {
    let mut world = network("");
    add_port(&mut world, r#""name":"v","type":"vtep","addresses":"unknown""#);
    assert_eq!(
        flows_with(&world, "ls_in_check_port_sec", r#"inport == "v""#),
        [r#"70 inport == "v" -> reg0[14] = 1; next(pipeline=ingress, table=19);"#]
    );
    assert_eq!(
        flows_with(&world, "ls_in_hairpin", "reg0[14]"),
        ["1000 reg0[14] == 1 -> next(pipeline=ingress, table=32);"]
    );
    assert_eq!(
        flows_with(&world, "ls_in_arp_rsp", "reg0[14]"),
        ["65535 reg0[14] == 1 && (arp || nd_ns) -> flags.loopback = 1; next;"]
    );
}

#[test]
fn samples_of_what_is_dropped_are_taken_when_asked_for() {
    let mut world = network("");
    let dropped = |world: &World| flows_with(world, "ls_in_check_port_sec", "eth.src[40]");
    assert_eq!(dropped(&world), ["100 eth.src[40] -> drop;"]);
    let mut set = |options: &str| {
        world.must(&format!(
            r#"{{"op":"update","table":"NB_Global","where":[],"row":{{"options":["map",[{options}]]}}}}"#
        ));
        dropped(&world)
    };
    assert_eq!(
        set(r#"["debug_drop_collector_set","9"],["debug_drop_domain_id","7"]"#),
        [
            "100 eth.src[40] -> sample(probability=65535,collector_set=9,obs_domain=7,obs_point=$cookie); /* drop */"
        ]
    );
    for refused in [
        r#"["debug_drop_collector_set","9"],["debug_drop_domain_id","255"]"#,
        r#"["debug_drop_collector_set","9"],["debug_drop_domain_id","x"]"#,
        r#"["debug_drop_collector_set","0"]"#,
        r#"["debug_drop_domain_id","7"]"#,
    ] {
        assert_eq!(set(refused), ["100 eth.src[40] -> drop;"], "{refused}");
    }
}
