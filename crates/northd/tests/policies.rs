//! Router policies, and the sets of addresses and groups of ports that their matches name.

mod world;

use world::{NB, SB, World};

/// A router between two networks.
const NETWORK: &str = r#"
    {"op":"insert","table":"NB_Global","row":{}},
    {"op":"insert","table":"Logical_Switch_Port","uuid-name":"p","row":{"name":"p","addresses":"0a:00:00:00:00:01 10.0.0.11 fd00::11"}},
    {"op":"insert","table":"Logical_Switch_Port","uuid-name":"q","row":{"name":"q","addresses":"0a:00:00:00:00:02 10.0.0.12"}},
    {"op":"insert","table":"Logical_Switch","row":{"name":"s","ports":["set",[["named-uuid","p"],["named-uuid","q"]]],"other_config":["map",[["requested-tnl-key","9"]]]}},
    {"op":"insert","table":"Logical_Router_Port","uuid-name":"a","row":{"name":"a","mac":"0e:00:00:00:00:01","networks":["set",["10.0.0.1/24"]]}},
    {"op":"insert","table":"Logical_Router_Port","uuid-name":"b","row":{"name":"b","mac":"0e:00:00:00:00:02","networks":["set",["10.0.1.1/24"]]}},
    {"op":"insert","table":"Logical_Router","row":{"name":"r","ports":["set",[["named-uuid","a"],["named-uuid","b"]]]}}"#;

fn network() -> World {
    let mut world = World::new(1);
    world.edit(NB, NETWORK);
    world.start(1);
    world.run();
    world
}

fn add_policy(world: &mut World, row: &str) {
    world.must(&format!(
        r#"{{"op":"insert","table":"Logical_Router_Policy","uuid-name":"x","row":{{{row}}}}},
           {{"op":"mutate","table":"Logical_Router","where":[],"mutations":[["policies","insert",["named-uuid","x"]]]}}"#
    ));
}

/// What policies say, without what every router has.
fn policies(world: &World) -> Vec<String> {
    world.flows("lr_in_policy").into_iter().filter(|flow| !flow.starts_with("0 ")).collect()
}

const VIA_B: &str = "reg5 = 10.0.1.1; eth.src = 0e:00:00:00:00:02; outport = \\\"b\\\"; flags.loopback = 1; reg9[9] = 1; next;";

fn via_b() -> String {
    VIA_B.replace('\\', "")
}

#[test]
fn each_action() {
    let mut world = network();
    add_policy(&mut world, r#""priority":10,"match":"ip4.src == 10.0.0.11","action":"drop""#);
    add_policy(
        &mut world,
        r#""priority":11,"match":"tcp","action":"allow","options":["map",[["pkt_mark","9"]]]"#,
    );
    add_policy(&mut world, r#""priority":12,"match":"udp","action":"reroute","nexthops":"10.0.1.5""#);
    assert_eq!(
        policies(&world),
        [
            "10 ip4.src == 10.0.0.11 -> drop;".to_owned(),
            "11 tcp -> pkt.mark = 9; reg8[0..15] = 0; next;".to_owned(),
            format!("12 udp -> reg0 = 10.0.1.5; {}", via_b().replace("reg9[9]", "reg8[0..15] = 0; reg9[9]")),
        ]
    );
}

#[test]
fn of_several_next_hops_those_that_can_be_reached_share() {
    let mut world = network();
    add_policy(
        &mut world,
        r#""priority":12,"match":"udp","action":"reroute","nexthops":["set",["10.0.1.5","10.0.1.6","99.0.0.1"]]"#,
    );
    let [rule] = &policies(&world)[..] else { panic!("{:?}", policies(&world)) };
    let id = rule.split("reg8[0..15] = ").nth(1).and_then(|rest| rest.split(';').next()).expect("a number");
    assert_eq!(*rule, format!("12 udp -> reg8[0..15] = {id}; reg8[16..31] = select(1, 2);"));
    let shares: Vec<String> =
        world.flows("lr_in_policy_ecmp").into_iter().filter(|flow| flow.starts_with("100 ")).collect();
    let share = |member: u32, hop: &str| {
        format!("100 reg8[0..15] == {id} && reg8[16..31] == {member} -> reg0 = {hop}; {}", via_b())
    };
    assert_eq!(shares, [share(1, "10.0.1.5"), share(2, "10.0.1.6")]);
}

#[test]
fn a_jump_leads_to_a_chain_that_has_policies() {
    let mut world = network();
    add_policy(&mut world, r#""priority":10,"match":"tcp","action":"jump","jump_chain":"inner""#);
    assert_eq!(policies(&world), Vec::<String>::new(), "nothing is in the chain yet");
    add_policy(&mut world, r#""priority":11,"match":"udp","action":"drop","chain":"inner""#);
    let rules = policies(&world);
    let id =
        rules[1].split("reg9[16..31] == ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a number");
    assert_eq!(
        rules,
        [
            format!("10 reg9[16..31] == 0 && (tcp) -> reg9[16..31] = {id}; next(pipeline=ingress,table=18);"),
            format!("11 reg9[16..31] == {id} && (udp) -> drop;"),
        ]
    );
}

#[test]
fn a_match_that_is_wrong_is_skipped_alone_and_heals() {
    let mut world = network();
    add_policy(&mut world, r#""priority":10,"match":"tcp","action":"drop""#);
    add_policy(&mut world, r#""priority":11,"match":"udp","action":"drop""#);
    let set_match = |world: &mut World, text: &str| {
        world.must(&format!(
            r#"{{"op":"update","table":"Logical_Router_Policy","where":[["priority","==",11]],"row":{{"match":"{text}"}}}}"#
        ));
    };
    for wrong in ["ip4.src == ", "1) || (1", "inport == 7", "ip4.src == $nowhere", "inport == @nobody", ""] {
        set_match(&mut world, wrong);
        assert_eq!(policies(&world), ["10 tcp -> drop;"], "{wrong}");
        set_match(&mut world, "udp");
        assert_eq!(policies(&world), ["10 tcp -> drop;", "11 udp -> drop;"], "{wrong}");
    }
}

#[test]
fn a_set_that_appears_heals_the_matches_that_name_it() {
    let mut world = network();
    add_policy(&mut world, r#""priority":10,"match":"ip4.src == $hosts","action":"drop""#);
    assert_eq!(policies(&world), Vec::<String>::new());
    world.must(r#"{"op":"insert","table":"Address_Set","row":{"name":"hosts","addresses":"10.0.0.11"}}"#);
    assert_eq!(policies(&world), ["10 ip4.src == $hosts -> drop;"]);
}

#[test]
fn what_a_template_variable_stands_for_is_up_to_each_chassis() {
    let mut world = network();
    add_policy(&mut world, r#""priority":10,"match":"ip4.src == ^hosts && ^more","action":"drop""#);
    assert_eq!(policies(&world), ["10 ip4.src == ^hosts && ^more -> drop;"]);
}

fn sets(world: &World) -> Vec<String> {
    let all = world.dump(SB, "Address_Set", &["name", "addresses"]);
    all.into_iter().filter(|set| !set.contains("svc_monitor_mac")).collect()
}

#[test]
fn a_member_comes_alone() {
    let mut world = network();
    world.must(
        r#"{"op":"insert","table":"Address_Set","row":{"name":"hosts","addresses":["set",["10.0.0.1","10.0.0.2","x"]]}}"#,
    );
    assert_eq!(
        sets(&world),
        [r#""hosts" | ["set",["10.0.0.1","10.0.0.2"]]"#],
        "what is no address is left out"
    );
    world.take_transactions(0);
    world.must(
        r#"{"op":"mutate","table":"Address_Set","where":[],"mutations":[["addresses","insert","10.0.0.3"]]}"#,
    );
    let written = world.take_transactions(0).join("");
    assert!(written.contains(r#"["addresses","insert","10.0.0.3"]"#), "{written}");
    assert!(!written.contains("10.0.0.1\""), "the others are not written again: {written}");
}

#[test]
fn a_port_group_is_a_row_for_each_switch_and_a_set_for_each_family() {
    let mut world = network();
    let ports = world.rows(NB, "Logical_Switch_Port");
    let both = format!(r#"["set",[["uuid","{}"],["uuid","{}"]]]"#, ports[0], ports[1]);
    world.must(&format!(r#"{{"op":"insert","table":"Port_Group","row":{{"name":"pg","ports":{both}}}}}"#));
    assert_eq!(world.dump(SB, "Port_Group", &["name", "ports"]), [r#""9_pg" | ["set",["p","q"]]"#]);
    assert_eq!(sets(&world), [r#""pg_ip4" | ["set",["10.0.0.11","10.0.0.12"]]"#, r#""pg_ip6" | "fd00::11""#]);
    // A port that is renamed or gets another address is followed.
    world.must(
        r#"{"op":"update","table":"Logical_Switch_Port","where":[["name","==","q"]],"row":{"addresses":"0a:00:00:00:00:02 10.0.0.13"}}"#,
    );
    assert_eq!(sets(&world)[0], r#""pg_ip4" | ["set",["10.0.0.11","10.0.0.13"]]"#);
    world.must(r#"{"op":"update","table":"Port_Group","where":[],"row":{"ports":["set",[]]}}"#);
    assert_eq!(world.dump(SB, "Port_Group", &["name"]), Vec::<String>::new());
    assert_eq!(sets(&world), [r#""pg_ip4" | ["set",[]]"#, r#""pg_ip6" | ["set",[]]"#]);
}

#[test]
fn the_name_of_a_port_stays_one_string() {
    let mut world = network();
    world.must(
        r#"{"op":"update","table":"Logical_Switch_Port","where":[["name","==","p"]],"row":{"name":"p\" || 1 || inport == \"q"}}"#,
    );
    let delivered: Vec<String> =
        world.flows("ls_in_l2_lkup").into_iter().filter(|flow| flow.contains("0a:00:00:00:00:01")).collect();
    assert_eq!(delivered.len(), 1, "{delivered:?}");
    assert!(delivered[0].contains(r#"outport = "p\\" || 1 || inport == \\"q"; output;"#), "{delivered:?}");
}
