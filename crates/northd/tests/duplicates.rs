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
