//! Static routes: tables, sharing, what stands on the link, and what remembers where it came from.

mod world;

use world::{NB, World};

/// A router with two networks.
const NETWORK: &str = r#"
    {"op":"insert","table":"NB_Global","row":{}},
    {"op":"insert","table":"Logical_Router_Port","uuid-name":"a","row":{"name":"a","mac":"0e:00:00:00:00:01","networks":["set",["10.0.0.1/24","fd00::1/64"]],"options":["map",[["requested-tnl-key","5"]]]}},
    {"op":"insert","table":"Logical_Router_Port","uuid-name":"b","row":{"name":"b","mac":"0e:00:00:00:00:02","networks":["set",["10.0.1.1/24","fd01::1/64"]],"options":["map",[["requested-tnl-key","6"]]]}},
    {"op":"insert","table":"Logical_Router","row":{"name":"r","ports":["set",[["named-uuid","a"],["named-uuid","b"]]]}}"#;

fn network() -> World {
    let mut world = World::new(1);
    world.edit(NB, NETWORK);
    world.start(1);
    world.run();
    world
}

fn add(world: &mut World, row: &str) {
    world.must(&format!(
        r#"{{"op":"insert","table":"Logical_Router_Static_Route","uuid-name":"x","row":{{{row}}}}},
           {{"op":"mutate","table":"Logical_Router","where":[],"mutations":[["static_routes","insert",["named-uuid","x"]]]}}"#
    ));
}

/// Flows about 20.0.0.0/8 and fd20::/16.
fn routes(world: &World) -> Vec<String> {
    let of_interest = |flow: &String| flow.contains("== 20.") || flow.contains("== fd20");
    world.flows("lr_in_ip_routing").into_iter().filter(of_interest).collect()
}

const VIA_B: &str =
    r#"reg5 = 10.0.1.1; eth.src = 0e:00:00:00:00:02; outport = "b"; flags.loopback = 1; reg9[9] = 1; next;"#;

#[test]
fn kinds_of_routes_of_one_length_have_their_order() {
    let mut world = network();
    add(&mut world, r#""ip_prefix":"20.0.0.0/8","nexthop":"10.0.1.5""#);
    add(&mut world, r#""ip_prefix":"20.0.0.0/8","nexthop":"10.0.1.5","policy":"src-ip""#);
    add(
        &mut world,
        r#""ip_prefix":"20.0.0.0/8","nexthop":"10.0.1.5","options":["map",[["origin","connected"]]]"#,
    );
    let hop = format!("ip.ttl--; reg8[0..15] = 0; reg0 = 10.0.1.5; {VIA_B}");
    assert_eq!(
        routes(&world),
        [
            format!("64 reg7 == 0 && ip4.src == 20.0.0.0/8 -> {hop}"),
            format!("68 reg7 == 0 && ip4.dst == 20.0.0.0/8 -> {hop}"),
            format!("70 ip4.dst == 20.0.0.0/8 -> {hop}"),
        ]
    );
}

#[test]
fn a_route_without_a_next_hop_is_on_the_link_of_its_port() {
    let mut world = network();
    add(&mut world, r#""ip_prefix":"20.0.0.0/8","nexthop":"","output_port":"b""#);
    add(&mut world, r#""ip_prefix":"20.1.0.0/16","nexthop":"""#);
    assert_eq!(
        routes(&world),
        [format!(
            "68 reg7 == 0 && ip4.dst == 20.0.0.0/8 -> ip.ttl--; reg8[0..15] = 0; reg0 = ip4.dst; {VIA_B}"
        )],
        "without a port it leads nowhere"
    );
}

#[test]
fn a_family_may_go_by_way_of_the_other() {
    let mut world = network();
    add(&mut world, r#""ip_prefix":"20.0.0.0/8","nexthop":"fd01::9""#);
    assert_eq!(
        routes(&world),
        [
            "68 reg7 == 0 && ip4.dst == 20.0.0.0/8 -> ip.ttl--; reg8[0..15] = 0; xxreg0 = fd01::9; xxreg1 = fd01::1; \
             eth.src = 0e:00:00:00:00:02; outport = \"b\"; flags.loopback = 1; reg9[9] = 0; next;"
        ]
    );
}

#[test]
fn a_table_serves_the_ports_that_name_it() {
    let mut world = network();
    add(&mut world, r#""ip_prefix":"20.0.0.0/8","nexthop":"discard","route_table":"blue""#);
    assert_eq!(world.flows("lr_in_ip_routing_pre"), ["0 1 -> reg7 = 0; next;"], "no port names the table");
    world.must(
        r#"{"op":"mutate","table":"Logical_Router_Port","where":[["name","==","a"]],"mutations":[["options","insert",["map",[["route_table","blue"]]]]]}"#,
    );
    let chosen = world.flows("lr_in_ip_routing_pre");
    let id = chosen[1].split("reg7 = ").nth(1).and_then(|rest| rest.split(';').next()).expect("a number");
    assert_eq!(chosen[1], format!("100 inport == \"a\" -> reg7 = {id}; next;"));
    assert_eq!(routes(&world), [format!("68 reg7 == {id} && ip4.dst == 20.0.0.0/8 -> drop;")]);
}

#[test]
fn routes_that_share_look_only_at_what_all_of_them_allow() {
    let mut world = network();
    add(
        &mut world,
        r#""ip_prefix":"20.0.0.0/8","nexthop":"10.0.1.5","selection_fields":["set",["ip_src","ip_dst"]]"#,
    );
    add(
        &mut world,
        r#""ip_prefix":"20.0.0.0/8","nexthop":"10.0.1.6","selection_fields":["set",["ip_src","tp_dst"]]"#,
    );
    let rules = routes(&world);
    assert_eq!(rules.len(), 1, "{rules:?}");
    assert!(
        rules[0].ends_with(r#"reg8[16..31] = select(values=(1, 2); hash_fields="ip_src");"#),
        "{rules:?}"
    );
    add(&mut world, r#""ip_prefix":"20.0.0.0/8","nexthop":"discard""#);
    assert_eq!(routes(&world), ["68 reg7 == 0 && ip4.dst == 20.0.0.0/8 -> drop;"]);
}

#[test]
fn a_symmetric_route_remembers_who_sent() {
    let mut world = network();
    let noted = |world: &World| {
        let flows = world.flows("lr_in_ecmp_stateful_egr");
        flows.into_iter().filter(|flow| flow.starts_with("100 ")).collect::<Vec<_>>()
    };
    assert_eq!(noted(&world), Vec::<String>::new());
    add(
        &mut world,
        r#""ip_prefix":"20.0.0.0/8","nexthop":"10.0.1.5","options":["map",[["ecmp_symmetric_reply","true"]]]"#,
    );
    let rules = routes(&world);
    assert!(rules[0].ends_with("reg8[16..31] = 1; next;"), "{rules:?}");
    let hop = world.flows("lr_in_ip_routing_ecmp").into_iter().find(|flow| flow.starts_with("100 "));
    let hop = hop.expect("a flow for the one next hop");
    assert!(hop.ends_with("reg9[9] = 1; reg9[10] = 1; next;"), "{hop}");
    let note = |port: &str, key: u32| {
        format!(
            "100 reg9[10] == 1 && ip && outport == \"{port}\" -> ct_commit {{ ct_label.ecmp_reply_eth = eth.dst; \
             ct_mark.ecmp_reply_port = {key}; }}; output;"
        )
    };
    assert_eq!(noted(&world), [note("a", 5), note("b", 6)]);
    assert_eq!(
        world.flows("lr_in_ecmp_stateful").len(),
        1,
        "on a router of all chassis, replies may come anywhere"
    );
}

#[test]
fn on_a_gateway_router_replies_go_back_by_the_symmetric_route_that_they_came_by() {
    let mut world = network();
    world.must(r#"{"op":"update","table":"Logical_Router","where":[],"row":{"options":["map",[["chassis","hv1"]]]}}"#);
    add(
        &mut world,
        r#""ip_prefix":"fd20::/16","nexthop":"fd01::9","options":["map",[["ecmp_symmetric_reply","true"]]]"#,
    );
    let about = |world: &World, stage: &str, text: &str| {
        world.flows(stage).into_iter().filter(|flow| flow.contains(text)).collect::<Vec<_>>()
    };
    assert_eq!(
        about(&world, "lr_in_defrag", "fd20"),
        [
            r#"100 inport == "b" && ip6.src == fd20::/16 -> ct_next;"#,
            "100 reg7 == 0 && ip6.dst == fd20::/16 -> ct_next;"
        ]
    );
    assert_eq!(
        about(&world, "lr_in_ecmp_stateful", "fd20"),
        [
            r#"100 inport == "b" && ip6.src == fd20::/16 && (ct.new || ct.est) -> ct_commit { ct_label.ecmp_reply_eth = eth.src; ct_mark.ecmp_reply_port = 6;}; next;"#
        ]
    );
    assert_eq!(
        about(&world, "lr_in_ip_routing", "ct_mark"),
        [
            r#"10300 ct_mark.ecmp_reply_port == 6 && reg7 == 0 && ip6.dst == fd20::/16 -> ip.ttl--; flags.loopback = 1; eth.src = 0e:00:00:00:00:02; xxreg1 = fd01::1; outport = "b"; next;"#
        ]
    );
    assert_eq!(about(&world, "lr_in_policy", "ct_mark"), ["65535 ct_mark.ecmp_reply_port == 6 -> next;"]);
    assert_eq!(
        about(&world, "lr_in_arp_resolve", "ct_mark"),
        [
            "200 ct_mark.ecmp_reply_port == 6 -> push(xxreg1); xxreg1 = ct_label; eth.dst = xxreg1[32..79]; pop(xxreg1); next;"
        ]
    );
}

#[test]
fn a_disabled_port_takes_nothing_in_and_lets_nothing_out() {
    let mut world = network();
    let of_b = |world: &World, stage: &str| {
        world.flows(stage).into_iter().filter(|flow| flow.contains("port == \"b\"")).count()
    };
    assert_eq!((of_b(&world, "lr_in_admission"), of_b(&world, "lr_out_delivery")), (2, 1));
    let before = world.flows("lr_in_ip_routing");
    world.must(r#"{"op":"update","table":"Logical_Router_Port","where":[["name","==","b"]],"row":{"enabled":false}}"#);
    assert_eq!((of_b(&world, "lr_in_admission"), of_b(&world, "lr_out_delivery")), (0, 0));
    assert_eq!(world.flows("lr_in_ip_routing"), before, "what was meant for it does not go another way");
}
