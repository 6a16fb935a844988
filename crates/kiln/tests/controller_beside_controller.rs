//! The same southbound databases under stock's controller and under Kiln's, each with a switch of its own: what the switches
//! hold and what stands in the databases is the same.

mod drawn;
mod seen;

use kiln_testkit::accepted::compare;
use kiln_testkit::figures::Figures;
use kiln_testkit::{Component, Database, Lab, settled};
use seen::Seen;

/// The chassis' name in the databases.
const SYSTEM: &str = "hv1";

/// What `ovs-vsctl` says of the chassis before its controller starts.
const CHASSIS: &str = "
    set Open_vSwitch . external_ids:ovn-bridge-mappings=phys:br-phys
    add-br br-phys
";

/// Other chassis, and who is there.
const OTHERS: &str = "chassis-add hv2 geneve 127.0.0.2\nchassis-add hv3 geneve 127.0.0.3";

struct Network<'a> {
    /// Commands of `ovn-nbctl`.
    north: &'a str,
    /// Ports that are plugged into the chassis.
    here: &'a [&'a str],
    /// Ports that are on `hv2`.
    there: &'a [&'a str],
    /// Commands of `ovn-sbctl` about other chassis.
    south: &'a str,
    /// Commands of `ovs-vsctl` about what is plugged in.
    switch: &'a str,
}

/// Has a northd write a southbound database, and both controllers work on copies of it.
#[track_caller]
fn same(test: &str, northd: Component, network: &Network<'_>) {
    let mut lab = Lab::new(env!("CARGO_BIN_EXE_kiln"));
    let north = lab.serve("nb", Database::Northbound);
    lab.ctl_lines("ovn-nbctl", &north, network.north);
    let written = lab.serve("sb", Database::Southbound);
    lab.northd("northd", northd, &north, &written);
    // What northd writes into the northbound database, as containers' tags, comes back to it.
    (0..2).for_each(|_| drop(lab.ctl("ovn-nbctl", &north, "--wait=sb sync")));
    // From here on nobody but the controllers writes, so that both see the same to the end.
    lab.kill("northd");
    lab.ctl_lines("ovn-sbctl", &written, OTHERS);
    for port in network.there {
        lab.ctl("ovn-sbctl", &written, &format!("lsp-bind {port} hv2"));
    }
    lab.ctl_lines("ovn-sbctl", &written, network.south);
    let mut pairs = Vec::new();
    for (name, whose) in [("stock", Component::Stock), ("kiln", Component::Kiln)] {
        let south = lab.serve_copy(&format!("sb-{name}"), &written);
        let chassis = lab.chassis(name, whose, SYSTEM, &south, CHASSIS);
        for port in network.here {
            lab.plug(&chassis, port);
        }
        lab.ctl_lines("ovs-vsctl", &chassis.server, network.switch);
        lab.acknowledge(&south, SYSTEM, 3);
        // Stock may leave a port's zone out of its flows until it computes all of them anew.
        lab.ask(&chassis.controller, "inc-engine/recompute");
        pairs.push((chassis, south));
    }
    // Claims, tunnels and patch ports appear one after the other, in whatever order.
    let look = || [0, 1].map(|side: usize| Seen::look(&lab, &pairs[side].0, &pairs[side].1));
    let [stock, kiln] = settled(look, Seen::is_like);
    let mut figures = Figures::new(env!("CARGO_TARGET_TMPDIR"), test);
    let counts = stock.beside(&kiln).map(|(part, stock, kiln)| compare(part, test, stock, kiln));
    let more = kiln.tables.flows.len().saturating_sub(stock.tables.flows.len());
    assert_eq!(more, 0, "{test}: more flows than stock");
    let line = figures.peer("ovn-controller", &lab.version(Component::Stock, "ovn-controller"));
    line.flows += counts[0];
    line.rows += counts[2] + counts[3];
    let line = figures.peer("ovs-vswitchd", &lab.version(Component::Stock, "ovs-vswitchd"));
    line.flows += counts[0] + counts[1];
    let line = figures.peer("ovs-ofctl", &lab.version(Component::Stock, "ovs-ofctl"));
    line.flows += counts[0];
}

const TWO_ROUTERS: Network<'_> = Network {
    north: include_str!("networks/two-routers.nbctl"),
    here: &["p1", "q1", "loc"],
    there: &["p2", "p3"],
    south: "",
    switch: "",
};

#[test]
fn two_routers_of_stock_northd() {
    same("controller_two_routers_of_stock", Component::Stock, &TWO_ROUTERS);
}

#[test]
fn two_routers_of_kiln_northd() {
    same("controller_two_routers_of_kiln", Component::Kiln, &TWO_ROUTERS);
}

const PORTS: Network<'_> = Network {
    north: include_str!("networks/ports-and-options.nbctl"),
    here: &["d1", "several", "maclocked", "off", "none", "u1"],
    there: &["d2", "d3", "maconly", "silent"],
    south: "",
    switch: "",
};

#[test]
fn ports_of_stock_northd() {
    same("controller_ports_of_stock", Component::Stock, &PORTS);
}

const ROUTES: Network<'_> = Network {
    north: include_str!("networks/routes-and-policies.nbctl"),
    here: &["ea"],
    there: &["wa", "wu"],
    south: "",
    switch: "",
};

#[test]
fn routes_of_stock_northd() {
    same("controller_routes_of_stock", Component::Stock, &ROUTES);
}

const SEVERAL: Network<'_> = Network {
    north: include_str!("networks/several-chassis.nbctl"),
    here: &["main", "second", "asleep", "wrong", "right", "land-main", "land-second", "land-own"],
    there: &["second", "afar", "asleep", "land-second", "land-afar", "other", "land-other"],
    south: "
        --id=@hv2 get Chassis hv2
        --id=@hv3 get Chassis hv3
        set Port_Binding main additional_chassis=@hv2
        set Port_Binding land-main additional_chassis=@hv2
        set Port_Binding afar additional_chassis=@hv3
        set Port_Binding land-afar additional_chassis=@hv3
    ",
    switch: "
        set Interface wrong external_ids:iface-id-ver=8
        set Interface right external_ids:iface-id-ver=7
    ",
};

#[test]
fn ports_on_several_chassis() {
    same("controller_several_chassis", Component::Stock, &SEVERAL);
}

const GATEWAY: Network<'_> = Network {
    north: include_str!("networks/layer-2-gateway.nbctl"),
    here: &["inside"],
    there: &[],
    south: "",
    switch: "",
};

#[test]
fn layer_2_gateways() {
    same("controller_layer_2_gateway", Component::Stock, &GATEWAY);
}

const PASSTHRU: Network<'_> = Network {
    north: include_str!("networks/vlan-passthru.nbctl"),
    here: &["t1"],
    there: &[],
    south: "",
    switch: "",
};

#[test]
fn switches_that_pass_tags_on() {
    same("controller_vlan_passthru", Component::Stock, &PASSTHRU);
}

/// With a tag of its own the port takes packets of that VLAN alone.
const PASSTHRU_TAGGED: Network<'_> = Network {
    north: concat!(
        include_str!("networks/vlan-passthru.nbctl"),
        "set logical_switch_port through-net tag=5\n"
    ),
    ..PASSTHRU
};

#[test]
fn switches_that_pass_tags_on_in_a_vlan() {
    same("controller_vlan_passthru_tagged", Component::Stock, &PASSTHRU_TAGGED);
}

/// The same of a layer 2 gateway.
const PASSTHRU_GATEWAY: Network<'_> = Network {
    north: concat!(
        include_str!("networks/vlan-passthru.nbctl"),
        "lsp-set-type through-net l2gateway\n",
        "lsp-set-options through-net network_name=phys l2gateway-chassis=hv1\n"
    ),
    ..PASSTHRU
};

#[test]
fn gateways_that_pass_tags_on() {
    same("controller_vlan_passthru_gateway", Component::Stock, &PASSTHRU_GATEWAY);
}

/// Routers on a physical network: one on its own chassis, and one on all behind a switch that passes tags on. Ports of the
/// first network are on both chassis, and each chassis is to get a broadcast once. A container has a version, as interfaces do.
const ON_A_PHYSICAL_NETWORK: Network<'_> = Network {
    north: include_str!("networks/physical.nbctl"),
    here: &["near", "parent"],
    there: &["far"],
    south: "set Chassis hv2 other_config:ovn-chassis-mac-mappings=phys:02:00:00:00:00:02\n",
    switch: "set Open_vSwitch . external_ids:ovn-chassis-mac-mappings=phys:02:00:00:00:00:01\n",
};

#[test]
fn routers_on_physical_networks() {
    same("controller_physical", Component::Stock, &ON_A_PHYSICAL_NETWORK);
}

/// What is dropped goes to a collector, in part of the tables by northd's flows and in the others by the controller's.
const SAMPLED_DROPS: Network<'_> = Network {
    north: concat!(
        "set NB_Global . options:debug_drop_collector_set=7 options:debug_drop_domain_id=9\n",
        include_str!("networks/several-chassis.nbctl")
    ),
    switch: concat!(
        "--id=@bridge get Bridge br-int\n--id=@ipfix create IPFIX 'targets=\"127.0.0.1:9\"'\n",
        "create Flow_Sample_Collector_Set id=7 bridge=@bridge ipfix=@ipfix\n",
        "set Interface wrong external_ids:iface-id-ver=8\nset Interface right external_ids:iface-id-ver=7\n",
    ),
    ..SEVERAL
};

#[test]
fn drops_that_are_sampled() {
    same("controller_sampled_drops", Component::Stock, &SAMPLED_DROPS);
}

/// Samples for a collector that the bridge has not are none.
const DROPS_FOR_NOBODY: Network<'_> = Network {
    north: concat!(
        "set NB_Global . options:debug_drop_collector_set=7 options:debug_drop_domain_id=9\n",
        include_str!("networks/two-routers.nbctl")
    ),
    ..TWO_ROUTERS
};

#[test]
fn drops_that_nobody_collects() {
    same("controller_drops_for_nobody", Component::Stock, &DROPS_FOR_NOBODY);
}

/// A few random networks with their ports on this chassis, on another one, or nowhere. More, from another seed:
///
/// ```text
/// KILN_NETWORKS=100 KILN_SEED=7 cargo test -p kiln --test controller_beside_controller random -- --nocapture
/// ```
#[test]
fn random() {
    for (seed, mut rng) in drawn::seeds(4) {
        let network = drawn::network(&mut rng);
        let (mut here, mut there) = (Vec::new(), Vec::new());
        for port in &network.ports {
            match rng.u32(0..5) {
                0..=2 => here.push(port.as_str()),
                3 => there.push(port.as_str()),
                _ => {}
            }
        }
        println!("# seed {seed}, here {here:?}, there {there:?}\n{}\n", network.lines);
        let network = Network { north: &network.lines, here: &here, there: &there, south: "", switch: "" };
        same(&format!("controller_random_{seed}"), Component::Stock, &network);
    }
}
