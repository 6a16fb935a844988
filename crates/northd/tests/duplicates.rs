//! Two rows that want what only one can have: the one that has had it for longer keeps it, whatever their uuids.

mod world;

use world::{NB, SB, World};

/// The first of all uuids, so that its row would come first if nothing else counted.
const FIRST: &str = "00000000-0000-4000-8000-000000000001";

/// A switch with a port, on a router.
fn network() -> World {
    let mut world = World::new(1);
    world.edit(
        NB,
        r#"{"op":"insert","table":"NB_Global","row":{}},
           {"op":"insert","table":"Logical_Switch_Port","uuid-name":"p","row":{"name":"p","addresses":"0a:00:00:00:00:01 10.0.0.11"}},
           {"op":"insert","table":"Logical_Switch_Port","uuid-name":"up","row":{"name":"up","type":"router","addresses":"router","options":["map",[["router-port","down"]]]}},
           {"op":"insert","table":"Logical_Switch","row":{"name":"s","ports":["set",[["named-uuid","p"],["named-uuid","up"]]]}},
           {"op":"insert","table":"Logical_Router_Port","uuid-name":"down","row":{"name":"down","mac":"0e:00:00:00:00:01","networks":["set",["10.0.0.1/24"]]}},
           {"op":"insert","table":"Logical_Router","row":{"name":"r","ports":["named-uuid","down"]}}"#,
    );
    world.start(1);
    world.run();
    world
}

fn add_first(world: &mut World, row: &str) {
    world.must(&format!(
        r#"{{"op":"insert","table":"Logical_Switch_Port","uuid":"{FIRST}","row":{{{row}}}}},
           {{"op":"mutate","table":"Logical_Switch","where":[],"mutations":[["ports","insert",["uuid","{FIRST}"]]]}}"#
    ));
}

fn remove(world: &mut World, name: &str) {
    let named = world.edit(
        NB,
        &format!(
            r#"{{"op":"select","table":"Logical_Switch_Port","where":[["name","==","{name}"]],"columns":["_uuid"]}}"#
        ),
    );
    let uuid = named.split("\"uuid\",").nth(1).and_then(|rest| rest.split('"').nth(1)).expect("a row");
    world.must(&format!(
        r#"{{"op":"mutate","table":"Logical_Switch","where":[],"mutations":[["ports","delete",["uuid","{uuid}"]]]}}"#
    ));
}

/// Flows of a stage that mention `text`.
fn flows_with(world: &World, stage: &str, text: &str) -> Vec<String> {
    world.flows(stage).into_iter().filter(|flow| flow.contains(text)).collect()
}

/// A northd that starts on what stands decides as the one before did.
fn restart_writes_nothing(world: &mut World) {
    world.take_transactions(0);
    world.kill(0);
    world.start(2);
    world.run();
    assert_eq!(world.take_transactions(0), Vec::<String>::new());
}

#[test]
fn an_address_stays_with_the_port_that_has_it() {
    let mut world = network();
    let before = flows_with(&world, "ls_in_l2_lkup", "0a:00:00:00:00:01");
    assert_eq!(before, [r#"50 eth.dst == 0a:00:00:00:00:01 -> outport = "p"; output;"#]);
    add_first(&mut world, r#""name":"n","addresses":"0a:00:00:00:00:01 10.0.0.77""#);
    assert_eq!(flows_with(&world, "ls_in_l2_lkup", "0a:00:00:00:00:01"), before);
    assert_eq!(flows_with(&world, "ls_in_arp_rsp", "10.0.0.77"), Vec::<String>::new());
    restart_writes_nothing(&mut world);

    remove(&mut world, "p");
    assert_eq!(
        flows_with(&world, "ls_in_l2_lkup", "0a:00:00:00:00:01"),
        [r#"50 eth.dst == 0a:00:00:00:00:01 -> outport = "n"; output;"#]
    );
    assert_eq!(flows_with(&world, "ls_in_arp_rsp", "10.0.0.77").len(), 2);
}

#[test]
fn a_router_port_stays_with_the_switch_port_that_leads_to_it() {
    let mut world = network();
    let peer = |world: &World| {
        let rows = world.dump(SB, "Port_Binding", &["logical_port", "options"]);
        rows.into_iter().find(|row| row.starts_with("\"down\"")).expect("it is bound")
    };
    assert!(peer(&world).contains("\"up\""), "{}", peer(&world));
    add_first(
        &mut world,
        r#""name":"n","type":"router","addresses":"router","options":["map",[["router-port","down"]]]"#,
    );
    assert!(peer(&world).contains("\"up\""), "{}", peer(&world));
    restart_writes_nothing(&mut world);
    remove(&mut world, "up");
    assert!(peer(&world).contains("\"n\""), "{}", peer(&world));
}

/// What a router port is bound with, by its name.
fn bound(world: &World, name: &str) -> Vec<String> {
    let rows = world.dump(SB, "Port_Binding", &["logical_port", "mac"]);
    rows.into_iter().filter(|row| row.starts_with(&format!("\"{name}\""))).collect()
}

fn set_networks(world: &mut World, name: &str, networks: &str) {
    world.must(&format!(
        r#"{{"op":"update","table":"Logical_Router_Port","where":[["name","==","{name}"]],"row":{{"networks":["set",[{networks}]]}}}}"#
    ));
}

/// Another router `NAME`, with a port of the name `NAME-s` on the switch.
fn add_router(world: &mut World, name: &str, mac: &str, networks: &str) {
    world.must(&format!(
        r#"{{"op":"insert","table":"Logical_Router_Port","uuid-name":"rp","row":{{"name":"{name}-s","mac":"{mac}","networks":["set",[{networks}]]}}}},
           {{"op":"insert","table":"Logical_Router","row":{{"name":"{name}","ports":["named-uuid","rp"]}}}},
           {{"op":"insert","table":"Logical_Switch_Port","uuid":"{FIRST}","row":{{"name":"s-{name}","type":"router","addresses":"router","options":["map",[["router-port","{name}-s"]]]}}}},
           {{"op":"mutate","table":"Logical_Switch","where":[],"mutations":[["ports","insert",["uuid","{FIRST}"]]]}}"#
    ));
}

/// However long a host has had it.
#[test]
fn a_routers_own_address_is_no_hosts() {
    let mut world = network();
    let answers = |world: &World| flows_with(world, "ls_in_arp_rsp", "arp.tpa == 10.0.0.11 && arp.op == 1");
    let host = answers(&world);
    assert!(host.iter().any(|flow| flow.contains("eth.src = 0a:00:00:00:00:01")), "{host:?}");
    set_networks(&mut world, "down", r#""10.0.0.11/24""#);
    let router = answers(&world);
    assert_eq!(router.len(), 2, "who asks for its own, and everybody else: {router:?}");
    assert!(router.iter().any(|flow| flow.contains("eth.src = 0e:00:00:00:00:01")), "{router:?}");
    assert_eq!(flows_with(&world, "ls_in_l2_lkup", "0a:00:00:00:00:01"), Vec::<String>::new());
    restart_writes_nothing(&mut world);
    set_networks(&mut world, "down", r#""10.0.0.1/24""#);
    assert_eq!(answers(&world), host);

    add_first(&mut world, r#""name":"n","addresses":"0e:00:00:00:00:01 10.0.0.77""#);
    let to_router = [r#"50 eth.dst == 0e:00:00:00:00:01 -> outport = "up"; output;"#];
    let towards = |world: &World| flows_with(world, "ls_in_l2_lkup", "50 eth.dst == 0e:00:00:00:00:01");
    assert_eq!(towards(&world), to_router);
    assert_eq!(flows_with(&world, "ls_in_arp_rsp", "10.0.0.77"), Vec::<String>::new());
    // The router is off: it has no addresses.
    let enable = |world: &mut World, enabled: bool| {
        world.must(&format!(
            r#"{{"op":"update","table":"Logical_Router","where":[],"row":{{"enabled":{enabled}}}}}"#
        ));
    };
    enable(&mut world, false);
    assert_eq!(towards(&world), [r#"50 eth.dst == 0e:00:00:00:00:01 -> outport = "n"; output;"#]);
    enable(&mut world, true);
    assert_eq!(towards(&world), to_router);
}

#[test]
fn of_two_routers_on_a_switch_the_first_keeps_an_address() {
    let mut world = network();
    let answers = flows_with(&world, "ls_in_arp_rsp", "10.0.0.1 ");
    add_router(&mut world, "other", "0e:00:00:00:00:02", r#""10.0.0.1/24","10.0.0.2/24""#);
    assert_eq!(flows_with(&world, "ls_in_arp_rsp", "10.0.0.1 "), answers);
    assert_eq!(bound(&world, "other-s"), [r#""other-s" | "0e:00:00:00:00:02 10.0.0.2/24""#]);
    assert_eq!(bound(&world, "down"), [r#""down" | "0e:00:00:00:00:01 10.0.0.1/24""#]);
    restart_writes_nothing(&mut world);
    set_networks(&mut world, "down", r#""10.0.0.3/24""#);
    assert_eq!(bound(&world, "other-s"), [r#""other-s" | "0e:00:00:00:00:02 10.0.0.1/24 10.0.0.2/24""#]);
}

/// Nothing could be sent to one of two that have the same.
#[test]
fn of_two_routers_on_a_switch_the_first_keeps_an_ethernet_address() {
    let mut world = network();
    let to_first = flows_with(&world, "ls_in_l2_lkup", "0e:00:00:00:00:01");
    add_router(&mut world, "other", "0e:00:00:00:00:01", r#""10.0.0.2/24""#);
    assert_eq!(flows_with(&world, "ls_in_l2_lkup", "50 eth.dst == 0e:00:00:00:00:01").len(), 1);
    assert_eq!(bound(&world, "other-s"), Vec::<String>::new());
    restart_writes_nothing(&mut world);
    world.must(r#"{"op":"update","table":"Logical_Router_Port","where":[["name","==","other-s"]],"row":{"mac":"0e:00:00:00:00:02"}}"#);
    assert_eq!(flows_with(&world, "ls_in_l2_lkup", "0e:00:00:00:00:01").len(), to_first.len());
    assert_eq!(bound(&world, "other-s"), [r#""other-s" | "0e:00:00:00:00:02 10.0.0.2/24""#]);
}

#[test]
fn of_two_ports_of_a_router_in_one_network_the_first_leads_there() {
    let mut world = network();
    let routes = |world: &World| flows_with(world, "lr_in_ip_routing", "ip4.dst == 10.0.0.0/24");
    let before = routes(&world);
    assert_eq!(before.len(), 1);
    world.must(&format!(
        r#"{{"op":"insert","table":"Logical_Router_Port","uuid":"{FIRST}","row":{{"name":"side","mac":"0e:00:00:00:00:02","networks":["set",["10.0.0.2/24"]]}}}},
           {{"op":"insert","table":"Logical_Router_Static_Route","uuid-name":"via","row":{{"ip_prefix":"10.9.0.0/16","nexthop":"10.0.0.9"}}}},
           {{"op":"mutate","table":"Logical_Router","where":[],"mutations":[["ports","insert",["uuid","{FIRST}"]],["static_routes","insert",["named-uuid","via"]]]}}"#
    ));
    assert_eq!(routes(&world), before);
    let via = flows_with(&world, "lr_in_ip_routing", "10.9.0.0/16");
    assert!(via.len() == 1 && via[0].contains(r#"outport = "down""#), "{via:?}");
    assert_eq!(bound(&world, "side"), [r#""side" | "0e:00:00:00:00:02 10.0.0.2/24""#]);
    restart_writes_nothing(&mut world);
    set_networks(&mut world, "down", r#""10.1.0.1/24""#);
    let after = routes(&world);
    assert!(after.len() == 1 && after[0].contains(r#"outport = "side""#), "{after:?}");
}
