//! What routers say about packets that they cannot send on, and when they say nothing.

mod world;

use world::{NB, World};

/// A router with a port of both families.
fn network(options: &str, defaults: &str) -> World {
    let mut world = World::new(1);
    world.edit(
        NB,
        &format!(
            r#"{{"op":"insert","table":"NB_Global","row":{{"options":["map",[{defaults}]]}}}},
            {{"op":"insert","table":"Logical_Router_Port","uuid-name":"a","row":{{"name":"a","mac":"0e:00:00:00:00:01","networks":["set",["10.0.0.1/24","10.1.0.1/16","fd00::1/64"]]}}}},
            {{"op":"insert","table":"Logical_Router","row":{{"name":"r","ports":["named-uuid","a"],"options":["map",[{options}]]}}}}"#
        ),
    );
    world.start(1);
    world.run();
    world
}

/// The flows that tell of a missing route.
fn told(world: &World) -> Vec<String> {
    world.flows("lr_in_ip_routing").into_iter().filter(|flow| flow.contains("icmp")).collect()
}

#[test]
fn packets_without_a_route_are_told_of_from_the_address_that_faces_the_sender() {
    let v4 = |from: &str, source: &str| {
        format!(
            "inport == \"a\" && ip4{from} && !ip.later_frag && !flags.loopback -> icmp4 {{ eth.dst <-> eth.src; icmp4.type = 3; icmp4.code = 0; \
             ip4.dst = ip4.src; ip4.src = {source}; ip.ttl = 255; outport = \"a\"; flags.loopback = 1; output; }};"
        )
    };
    let v6 = |from: &str, source: &str| {
        format!(
            "inport == \"a\" && ip6{from} && !ip.later_frag && !flags.loopback -> icmp6 {{ eth.dst <-> eth.src; icmp6.type = 1; icmp6.code = 0; \
             ip6.dst = ip6.src; ip6.src = {source}; ip.ttl = 255; outport = \"a\"; flags.loopback = 1; output; }};"
        )
    };
    let all = [
        format!("1 {}", v4("", "10.0.0.1")),
        format!("1 {}", v6("", "fd00::1")),
        format!("2 {}", v4(" && ip4.src == 10.0.0.0/24", "10.0.0.1")),
        format!("2 {}", v4(" && ip4.src == 10.1.0.0/16", "10.1.0.1")),
        format!("2 {}", v6(" && ip6.src == fd00::/64", "fd00::1")),
    ];
    assert_eq!(told(&network(r#"["icmp_unreachable","true"]"#, "")), all);
    assert_eq!(told(&network("", r#"["l3_defaults","rfc"]"#)), all);
}

#[test]
fn a_router_says_nothing_unless_it_is_to() {
    let rfc = r#"["l3_defaults","rfc"]"#;
    let none = Vec::<String>::new();
    assert_eq!(told(&network("", "")), none);
    assert_eq!(told(&network("", r#"["l3_defaults","stock"]"#)), none);
    assert_eq!(
        told(&network("", r#"["l3_defaults","RFC"]"#)),
        none,
        "an unknown word is reported, and changes nothing"
    );
    let mut world = network(r#"["icmp_unreachable","false"]"#, rfc);
    assert_eq!(told(&world), none, "the row has its way");
    world.must(
        r#"{"op":"mutate","table":"Logical_Router","where":[["name","==","r"]],"mutations":[["options","delete",["set",["icmp_unreachable"]]]]}"#,
    );
    assert_eq!(told(&world).len(), 5, "the row is silent again");
    world.must(
        r#"{"op":"update","table":"NB_Global","where":[],"row":{"options":["map",[["l3_defaults","stock"]]]}}"#,
    );
    assert_eq!(told(&world), none);
}

/// A default route by source has the lowest priority of all routes: it is a route all the same.
#[test]
fn a_default_route_by_source_is_a_route() {
    let mut world = network(r#"["icmp_unreachable","true"]"#, "");
    world.must(
        r#"{"op":"insert","table":"Logical_Router_Static_Route","uuid-name":"x","row":{"ip_prefix":"0.0.0.0/0","nexthop":"10.0.0.9","policy":"src-ip"}},
           {"op":"mutate","table":"Logical_Router","where":[],"mutations":[["static_routes","insert",["named-uuid","x"]]]}"#,
    );
    let flows = world.flows("lr_in_ip_routing");
    let priority = |part: &str| {
        let flow =
            flows.iter().find(|flow| flow.contains(part)).unwrap_or_else(|| panic!("{part}: {flows:#?}"));
        flow.split(' ')
            .next()
            .and_then(|number| number.parse::<u16>().ok())
            .expect("flows begin with their priority")
    };
    let route = priority("ip4.src == 0.0.0.0/0 ->");
    assert!(route > priority("ip4.src == 10.0.0.0/24 && !ip.later_frag"), "{flows:#?}");
    world.must(
        r#"{"op":"update","table":"Logical_Router_Static_Route","where":[],"row":{"policy":"dst-ip"}}"#,
    );
    assert!(
        world
            .flows("lr_in_ip_routing")
            .iter()
            .any(|flow| flow.starts_with("4 reg7 == 0 && ip4.dst == 0.0.0.0/0"))
    );
}

/// RFC 1122, section 3.2.2, and RFC 4443, section 2.4 (b): ICMP messages that nobody knows or asked for are discarded without a word,
/// before the protocol would be called unreachable.
#[test]
fn a_router_that_tells_says_nothing_about_icmp() {
    let silent = |world: &World, stage: &str| -> Vec<String> {
        let is_silent = |flow: &String| flow.ends_with(" -> drop;") && flow.contains("&& icmp");
        world.flows(stage).into_iter().filter(is_silent).collect()
    };
    let all = |priority: u16| {
        [
            format!("{priority} ip4.dst == {{10.0.0.1, 10.1.0.1}} && icmp4 -> drop;"),
            format!("{priority} ip6.dst == {{fd00::1, fe80::c00:ff:fe00:1}} && icmp6 -> drop;"),
        ]
    };
    let rfc = r#"["l3_defaults","rfc"]"#;
    let world = network("", rfc);
    assert_eq!(silent(&world, "lr_in_ip_input"), all(75));
    let priority = |part: &str| -> u16 {
        let flows = world.flows("lr_in_ip_input");
        let flow =
            flows.iter().find(|flow| flow.contains(part)).unwrap_or_else(|| panic!("{part}: {flows:#?}"));
        flow.split(' ')
            .next()
            .and_then(|number| number.parse().ok())
            .expect("flows begin with their priority")
    };
    assert!(priority("icmp4.type == 8") > 75 && priority("icmp4.code = 2") < 75);
    assert!(priority("icmp6.type == 128") > 75 && priority("icmp6.code = 3") < 75);
    let none = Vec::<String>::new();
    assert_eq!(silent(&network("", ""), "lr_in_ip_input"), none, "stock tells of them");
    let gateway = network(r#"["chassis","hv1"]"#, rfc);
    assert_eq!(silent(&gateway, "lr_in_ip_input"), none);
    assert_eq!(silent(&gateway, "lr_in_ip_routing"), all(10_475));
}

/// On a gateway router, what is meant for its addresses may be meant for what it translates: it goes on, and only before it
/// would be routed is it refused.
#[test]
fn a_gateway_router_refuses_what_no_translation_took_away() {
    let about_own = |world: &World, stage: &str| -> Vec<String> {
        world
            .flows(stage)
            .into_iter()
            .filter(|flow| flow.contains("ip4.dst == 10.0.0.1") || flow.contains("ip4.dst == {10.0.0.1"))
            .collect()
    };
    let world = network(r#"["chassis","hv1"]"#, "");
    let input = about_own(&world, "lr_in_ip_input");
    assert!(
        input.iter().all(|flow| flow.ends_with("-> drop;") || flow.contains("icmp4.type = 0")),
        "{input:#?}"
    );
    assert!(about_own(&world, "lr_in_ip_routing").is_empty());
    let world = network(r#"["chassis","hv1"]"#, r#"["l3_defaults","rfc"]"#);
    let input = about_own(&world, "lr_in_ip_input");
    let (arrived, input): (Vec<_>, Vec<_>) =
        input.into_iter().partition(|flow| flow.contains("ip.ttl == {0, 1}"));
    // Those have arrived, and do not expire.
    assert_eq!(arrived, ["33 ip4.dst == {10.0.0.1, 10.1.0.1} && ip.ttl == {0, 1} -> next;"]);
    assert!(
        input.iter().all(|flow| flow.contains("icmp4.type = 0")),
        "only echo requests end there: {input:#?}"
    );
    let refused = about_own(&world, "lr_in_ip_routing");
    let of = |what: &str| {
        refused.iter().find(|flow| flow.contains(what)).unwrap_or_else(|| panic!("{what}: {refused:#?}"))
    };
    assert_eq!(
        *of("tcp_reset"),
        "10480 ip4 && ip4.dst == 10.0.0.1 && !ip.later_frag && tcp -> tcp_reset { eth.dst <-> eth.src; \
         ip4.dst <-> ip4.src; next(16); };"
    );
    assert!(of("icmp4.code = 3").starts_with("10480 ") && of("icmp4.code = 2").starts_with("10470 "));
    assert!(of("drop;").starts_with("10460 "));
    let kept = about_own(&network("", r#"["l3_defaults","rfc"]"#), "lr_in_ip_routing");
    assert!(kept.is_empty(), "a router on all chassis refuses at once: {kept:#?}");
}

/// RFC 4291, sections 2.5.2, 2.5.3 and 2.7.
#[test]
fn a_router_that_tells_sends_nothing_on_from_addresses_that_are_nobodys() {
    let dropped = |world: &World| -> Vec<String> {
        let is_dropped = |flow: &String| flow.ends_with(" -> drop;") && flow.contains("ip6.src == ");
        world.flows("lr_in_ip_input").into_iter().filter(is_dropped).collect()
    };
    assert_eq!(
        dropped(&network("", r#"["l3_defaults","rfc"]"#)),
        ["81 ip6.src == :: -> drop;", "100 ip6.src == ::1 || ip6.src == ff00::/8 || ip6.dst == ::1 -> drop;"]
    );
    assert_eq!(dropped(&network("", "")), Vec::<String>::new(), "stock sends them on");
}
