//! Tunnel keys: what operators ask for, and the narrow ranges of VXLAN.

mod world;

use world::{NB, SB, World};

fn network() -> World {
    let mut world = World::new(1);
    world.edit(
        NB,
        r#"{"op":"insert","table":"NB_Global","row":{}},
           {"op":"insert","table":"Logical_Switch_Port","uuid-name":"p","row":{"name":"p","options":["map",[["requested-tnl-key","3000"]]]}},
           {"op":"insert","table":"Logical_Switch_Port","uuid-name":"q","row":{"name":"q"}},
           {"op":"insert","table":"Logical_Switch","row":{"name":"s","ports":["set",[["named-uuid","p"],["named-uuid","q"]]],"other_config":["map",[["requested-tnl-key","70000"]]]}},
           {"op":"insert","table":"Logical_Switch","row":{"name":"t"}}"#,
    );
    world.start(1);
    world.run();
    world
}

fn keys(world: &World) -> (Vec<String>, Vec<String>) {
    (
        world.dump(SB, "Datapath_Binding", &["tunnel_key"]),
        world.dump(SB, "Port_Binding", &["logical_port", "tunnel_key"]),
    )
}

fn texts(expected: &[&str]) -> Vec<String> {
    expected.iter().map(ToString::to_string).collect()
}

fn add_chassis(world: &mut World, name: &str, encap: &str) {
    world.edit(
        SB,
        &format!(
            r#"{{"op":"insert","table":"Encap","uuid-name":"e","row":{{"type":"{encap}","ip":"192.0.2.1","chassis_name":"{name}"}}}},
               {{"op":"insert","table":"Chassis","row":{{"name":"{name}","encaps":["named-uuid","e"]}}}}"#
        ),
    );
    world.run();
}

fn max_tunid(world: &World) -> String {
    let options = world.dump(SB, "SB_Global", &["options"]).join("");
    let value = options.split(r#"["max_tunid",""#).nth(1).and_then(|rest| rest.split('"').next());
    value.expect("the option is always there").to_owned()
}

#[test]
fn keys_fit_into_vxlan_where_a_chassis_uses_it() {
    let mut world = network();
    let wide = (texts(&["1", "70000"]), texts(&[r#""p" | 3000"#, r#""q" | 1"#]));
    assert_eq!((keys(&world), max_tunid(&world)), (wide.clone(), "16711680".to_owned()));
    add_chassis(&mut world, "hv1", "geneve");
    assert_eq!(keys(&world), wide);

    add_chassis(&mut world, "hv2", "vxlan");
    // VXLAN has 12 bits for either, of which ports have half.
    let narrow = (texts(&["1", "2"]), texts(&[r#""p" | 2"#, r#""q" | 1"#]));
    assert_eq!((keys(&world), max_tunid(&world)), (narrow, "4095".to_owned()));

    world.must(r#"{"op":"update","table":"NB_Global","where":[],"row":{"options":["map",[["vxlan_mode","false"]]]}}"#);
    assert_eq!((keys(&world), max_tunid(&world)), (wide, "16711680".to_owned()));
}

#[test]
fn the_time_at_which_a_configuration_was_seen_is_told_once() {
    let mut world = network();
    let told = |world: &World| world.dump(NB, "NB_Global", &["nb_cfg", "sb_cfg", "nb_cfg_timestamp"]);
    assert_eq!(told(&world), ["0 | 0 | 0"]);
    world.must(r#"{"op":"update","table":"NB_Global","where":[],"row":{"nb_cfg":3}}"#);
    assert_eq!(told(&world), ["3 | 3 | 1700000000000"], "the time of these tests");
}
