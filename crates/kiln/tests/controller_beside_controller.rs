//! The same southbound databases under stock's controller and under Kiln's, each with a switch of its own: what the switches
//! hold and what stands in the databases is the same.

use kiln_testkit::accepted::{Part, compare, faults};
use kiln_testkit::figures::Figures;
use kiln_testkit::{Chassis, Component, Database, Lab, Server, openflow, settled, southbound};
use std::collections::BTreeSet;

/// The chassis' name in the databases.
const SYSTEM: &str = "hv1";

/// What `ovs-vsctl` says of the chassis before its controller starts.
const CHASSIS: &str = "
    set Open_vSwitch . external_ids:ovn-bridge-mappings=phys:br-phys
    add-br br-phys
";

/// Other chassis, and who is there.
const OTHERS: &str = "chassis-add hv2 geneve 127.0.0.2\nchassis-add hv3 geneve 127.0.0.3";

/// Columns of the chassis' own database that a controller writes.
const LOCAL: &[(&str, &[&str])] = &[
    ("Open_vSwitch", &["external_ids", "other_config"]),
    ("Bridge", &["name", "datapath_type", "fail_mode", "external_ids", "other_config"]),
    ("Port", &["name", "external_ids", "other_config", "tag"]),
    ("Interface", &["name", "type", "options", "external_ids", "bfd"]),
    ("Flow_Table", &["prefixes"]),
    ("CT_Zone", &["limit"]),
];

/// Everything that is compared.
struct Seen {
    tables: openflow::Tables,
    south: southbound::Southbound,
    local: BTreeSet<String>,
}

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

fn see(lab: &Lab, chassis: &Chassis, south: &Server) -> Seen {
    let mut seen = Seen {
        tables: openflow::read(lab, chassis),
        south: southbound::read(lab, south),
        local: BTreeSet::new(),
    };
    for (table, columns) in LOCAL {
        seen.local.extend(southbound::lines(lab, &chassis.server, Database::Switch, table, columns));
    }
    seen
}

fn parts<'s>(stock: &'s Seen, kiln: &'s Seen) -> [(Part, &'s BTreeSet<String>, &'s BTreeSet<String>); 4] {
    [
        (Part::OpenFlow, &stock.tables.flows, &kiln.tables.flows),
        (Part::OpenFlow, &stock.tables.rest, &kiln.tables.rest),
        (Part::Row, &stock.south.rows, &kiln.south.rows),
        (Part::Chassis, &stock.local, &kiln.local),
    ]
}

/// Has a northd write a southbound database, and both controllers work on copies of it.
#[track_caller]
fn same(test: &str, northd: Component, network: &Network<'_>) {
    let mut lab = Lab::new(env!("CARGO_BIN_EXE_kiln"));
    let north = lab.serve("nb", Database::Northbound);
    lab.ctl_lines("ovn-nbctl", &north, network.north);
    let written = lab.serve("sb", Database::Southbound);
    lab.northd("northd", northd, &north, &written);
    lab.ctl("ovn-nbctl", &north, "--wait=sb sync");
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
        lab.acknowledge(&south, SYSTEM, 1);
        // Stock may leave a port's zone out of its flows until it computes all of them anew.
        lab.ask(&chassis.controller, "inc-engine/recompute");
        pairs.push((chassis, south));
    }
    // Claims, tunnels and patch ports appear one after the other, in whatever order.
    let look = || [0, 1].map(|side: usize| see(&lab, &pairs[side].0, &pairs[side].1));
    let same = |stock: &Seen, kiln: &Seen| {
        parts(stock, kiln).iter().all(|(part, stock, kiln)| faults(*part, stock, kiln).is_empty())
    };
    let [stock, kiln] = settled(look, same);
    let mut figures = Figures::new(env!("CARGO_TARGET_TMPDIR"), test);
    let counts = parts(&stock, &kiln).map(|(part, stock, kiln)| compare(part, test, stock, kiln));
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
