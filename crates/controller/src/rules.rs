//! Every rule and allocator, in order: what a step reads is an input or written by an earlier step.

use crate::tables::Db;
use crate::{
    address_set, advertise, announce, binding, bindings, bridge, chassis, conjunction, ct_limit, ct_zone,
    gateway, hold_down, index, installed, learned, logical_flow, multichassis, names, neighbor, physical,
    port, reach, restore_wait, settings, tunnel,
};
use kiln_incr::Engine;

pub(crate) fn add(engine: &mut Engine<Db>) {
    // Settings may ask what others have been told.
    southbound_indexes(engine);
    switch_indexes(engine);
    this_chassis(engine);
    local(engine);
    physical_flows(engine);
    neighbors(engine);
    logical_flows(engine);
    differences(engine);
}

fn switch_indexes(e: &mut Engine<Db>) {
    e.rule("root", |db| &db.vs.open_vswitch, |db| &mut db.root, settings::root);
    e.rule("settings", |db| &db.facts, |db| &mut db.settings, settings::read);
    e.rule("bridge_named", |db| &db.vs.bridge, |db| &mut db.bridge_named, index::bridge_named);
    e.rule("bridge_of_port", |db| &db.vs.bridge, |db| &mut db.bridge_of_port, index::bridge_of_port);
    e.rule("port_of_interface", |db| &db.vs.port, |db| &mut db.port_of_interface, index::port_of_interface);
    e.rule("switch_port_named", |db| &db.vs.port, |db| &mut db.switch_port_named, index::switch_port_named);
    e.rule("integration", |db| &db.facts, |db| &mut db.integration, index::integration);
    e.rule("capabilities", |db| &db.facts, |db| &mut db.capabilities, bridge::capabilities);
    e.rule(
        "interfaces_with_id",
        |db| &db.vs.interface,
        |db| &mut db.interfaces_with_id,
        index::interfaces_with_id,
    );
    e.rule("patch_interfaces", |db| &db.vs.port, |db| &mut db.patch_interfaces, index::patch_interfaces);
    e.rule(
        "collector_sets",
        |db| &db.vs.flow_sample_collector_set,
        |db| &mut db.collector_sets,
        index::collector_sets,
    );
    e.rule("patch_ports", |db| &db.vs.port, |db| &mut db.patch_ports, index::patch_ports);
}

fn southbound_indexes(e: &mut Engine<Db>) {
    e.rule("chassis_named", |db| &db.sb.chassis, |db| &mut db.chassis_named, index::chassis_named);
    e.rule(
        "chassis_private_named",
        |db| &db.sb.chassis_private,
        |db| &mut db.chassis_private_named,
        index::chassis_private_named,
    );
    e.rule("encap_at", |db| &db.sb.encap, |db| &mut db.encap_at, index::encap_at);
    e.rule("port_named", |db| &db.sb.port_binding, |db| &mut db.port_named, index::port_named);
    e.rule("port_keyed", |db| &db.sb.port_binding, |db| &mut db.port_keyed, index::port_keyed);
    e.rule("containers_in", |db| &db.sb.port_binding, |db| &mut db.containers_in, index::containers_in);
    e.rule("localnet_of", |db| &db.sb.port_binding, |db| &mut db.localnet_of, index::localnet_of);
    e.rule(
        "multichassis_of",
        |db| &db.sb.port_binding,
        |db| &mut db.multichassis_of,
        multichassis::by_datapath,
    );
    e.rule("patches_of", |db| &db.sb.port_binding, |db| &mut db.patches_of, index::patches_of);
    e.rule(
        "datapath_keyed",
        |db| &db.sb.datapath_binding,
        |db| &mut db.datapath_keyed,
        index::datapath_keyed,
    );
    e.rule("groups_named", |db| &db.sb.multicast_group, |db| &mut db.groups_named, index::groups_named);
    e.rule("sets_named", |db| &db.sb.address_set, |db| &mut db.sets_named, index::sets_named);
    e.rule("templates_of", |db| &db.sb.chassis_template_var, |db| &mut db.templates_of, index::templates_of);
    e.rule("meters_named", |db| &db.sb.meter, |db| &mut db.meters_named, index::meters_named);
    e.rule("dhcp_options", |db| &db.sb.dhcp_options, |db| &mut db.dhcp_options, index::dhcp_options);
    e.rule("dhcpv6_options", |db| &db.sb.dhcpv6_options, |db| &mut db.dhcpv6_options, index::dhcpv6_options);
    e.rule("sb_global", |db| &db.sb.sb_global, |db| &mut db.sb_global, index::sb_global);
}

fn this_chassis(e: &mut Engine<Db>) {
    e.rule("me", |db| &db.facts, |db| &mut db.me, index::me);
    e.rule("chassis", |db| &db.facts, |db| &mut db.registration, chassis::registration);
    e.rule("gateway/heard", |db| &db.vs.port, |db| &mut db.heard, gateway::heard);
    e.rule("gateway/hears", |db| &db.heard, |db| &mut db.hears, gateway::hears);
    e.rule("gateway/watched", |db| &db.sb.ha_chassis_group, |db| &mut db.watched, gateway::watched);
    e.rule(
        "restore_wait/gateways",
        |db| &db.sb.ha_chassis_group,
        |db| &mut db.shared_gateways,
        restore_wait::shared_gateways,
    );
    e.rule("tunnel/wanted", |db| &db.sb.chassis, |db| &mut db.wanted_tunnels, tunnel::wanted);
    e.rule("tunnel/wanted_shared", |db| &db.facts, |db| &mut db.wanted_tunnels, tunnel::wanted_shared);
    e.rule("tunnel/standing", |db| &db.vs.port, |db| &mut db.tunnel_ports, tunnel::standing);
    e.rule("tunnel/shared_ports", |db| &db.facts, |db| &mut db.shared_ports, tunnel::shared_ports);
    e.rule("tunnel", |db| &db.vs.port, |db| &mut db.tunnels, tunnel::tunnels);
    e.rule("tunnel/shared", |db| &db.sb.chassis, |db| &mut db.tunnels, tunnel::shared_tunnels);
    e.rule("tunnel/remote", |db| &db.tunnels, |db| &mut db.remote_tunnels, tunnel::remote);
}

fn local(e: &mut Engine<Db>) {
    e.rule("binding", |db| &db.sb.port_binding, |db| &mut db.residence, binding::residence);
    e.rule("local_datapath/steps", |db| &db.residence, |db| &mut db.steps, binding::steps);
    e.allocator("local_datapath/reached", |db| &mut db.reached, reach::follow);
    e.rule("local_datapath", |db| &db.reached, |db| &mut db.local_datapaths, reach::local_datapath);
    e.rule("ct_zone/port", |db| &db.residence, |db| &mut db.zone_requests, ct_zone::of_port);
    e.rule("ct_zone/datapath", |db| &db.local_datapaths, |db| &mut db.zone_requests, ct_zone::of_datapath);
    e.allocator("ct_zone", |db| &mut db.ct_zones, ct_zone::assign);
    e.rule("ct_limit/port", |db| &db.residence, |db| &mut db.ct_limits, ct_limit::of_port);
    e.rule("ct_limit/datapath", |db| &db.local_datapaths, |db| &mut db.ct_limits, ct_limit::of_datapath);
    e.rule("ct_limit/names", |db| &db.ct_zones, |db| &mut db.ct_zone_names, ct_limit::names);
    e.rule("port", |db| &db.residence, |db| &mut db.ports, port::local_port);
    e.rule("bridge/patches", |db| &db.residence, |db| &mut db.patches, bridge::wanted_patches);
    e.rule("installed/bound", |db| &db.residence, |db| &mut db.bound, binding::bound);
    e.allocator("installed", |db| &mut db.installed, installed::grant);
}

fn physical_flows(e: &mut Engine<Db>) {
    e.rule("physical/fixed", |db| &db.facts, |db| &mut db.desired.flows, physical::fixed::all);
    e.rule("physical/port", |db| &db.ports, |db| &mut db.desired.flows, physical::port);
    e.rule(
        "physical/port_security",
        |db| &db.ports,
        |db| &mut db.desired.flows,
        physical::port_security::port,
    );
    e.rule("physical/tunnel", |db| &db.tunnels, |db| &mut db.desired.flows, physical::tunnel::arriving);
    e.rule(
        "physical/shared_tunnel",
        |db| &db.facts,
        |db| &mut db.desired.flows,
        physical::tunnel::arriving_shared,
    );
    e.rule("physical/flood", |db| &db.facts, |db| &mut db.desired.flows, physical::tunnel::flood);
    e.rule(
        "physical/multicast",
        |db| &db.sb.multicast_group,
        |db| &mut db.desired.flows,
        physical::multicast::group,
    );
    e.rule(
        "chassis_mac/routers",
        |db| &db.ports,
        |db| &mut db.vlan_routers,
        physical::chassis_mac::vlan_routers,
    );
    e.rule(
        "chassis_mac/any",
        |db| &db.vlan_routers,
        |db| &mut db.macs_translated,
        physical::chassis_mac::are_translated,
    );
    e.rule(
        "physical/chassis_mac",
        |db| &db.sb.chassis,
        |db| &mut db.desired.flows,
        physical::chassis_mac::chassis,
    );
    e.rule(
        "physical/vlan_router",
        |db| &db.vlan_routers,
        |db| &mut db.desired.flows,
        physical::chassis_mac::localnet,
    );
    e.rule("neighbor/learned", |db| &db.sb.mac_binding, |db| &mut db.desired.flows, neighbor::learned);
    e.rule("neighbor/fixed", |db| &db.sb.static_mac_binding, |db| &mut db.desired.flows, neighbor::fixed);
    e.rule("neighbor/fdb", |db| &db.sb.fdb, |db| &mut db.desired.flows, neighbor::station);
}

fn neighbors(e: &mut Engine<Db>) {
    e.rule("neighbor/rows", |db| &db.sb.mac_binding, |db| &mut db.neighbor_rows, index::neighbor_rows);
    e.rule("neighbor/fixed_rows", |db| &db.sb.static_mac_binding, |db| &mut db.fixed_rows, index::fixed_rows);
    e.rule("neighbor/stations", |db| &db.sb.fdb, |db| &mut db.station_rows, index::station_rows);
    e.rule("neighbor/port", |db| &db.ports, |db| &mut db.gone, learned::port_keys);
    e.rule("announce", |db| &db.residence, |db| &mut db.announced, announce::of_port);
    e.rule("advertise", |db| &db.residence, |db| &mut db.advertised, advertise::of_port);
    e.rule("neighbor/learns", |db| &db.local_datapaths, |db| &mut db.learns, bindings::learns);
    e.rule("neighbor/station_keep", |db| &db.learns, |db| &mut db.station_keeps, bindings::station_keep);
    e.rule("neighbor/standing", |db| &db.sb.mac_binding, |db| &mut db.bindings, bindings::standing);
    e.rule("neighbor/said", |db| &db.sb.static_mac_binding, |db| &mut db.said, bindings::said);
}

fn logical_flows(e: &mut Engine<Db>) {
    address_sets(e);
    e.rule("port_group", |db| &db.sb.port_group, |db| &mut db.port_groups, names::port_group);
    e.rule("logical_flow/abilities", |db| &db.facts, |db| &mut db.abilities, logical_flow::abilities);
    e.rule(
        "logical_flow/group",
        |db| &db.sb.logical_dp_group,
        |db| &mut db.group_sites,
        logical_flow::group_sites,
    );
    e.rule("logical_flow/sites", |db| &db.sb.logical_flow, |db| &mut db.sites, logical_flow::sites);
    e.rule(
        "logical_flow/demanding",
        |db| &db.sb.logical_flow,
        |db| &mut db.demanding_sites,
        logical_flow::demanding_sites,
    );
    e.rule(
        "logical_flow/groups",
        |db| &db.demanding_sites,
        |db| &mut db.desired.groups,
        logical_flow::groups,
    );
    e.allocator("group", |db| &mut db.group_ids, |db| db.desired.groups.grant(&mut db.group_ids));
    e.rule(
        "logical_flow/meters",
        |db| &db.demanding_sites,
        |db| &mut db.desired.meters,
        logical_flow::meters,
    );
    e.rule("punt_meter", |db| &db.ports, |db| &mut db.desired.meters, physical::punt_meters::of_port);
    e.rule(
        "punt_meter/tunnels",
        |db| &db.tunnels,
        |db| &mut db.desired.meters,
        physical::punt_meters::of_tunnels,
    );
    e.rule("hold_down/meter", |db| &db.ports, |db| &mut db.desired.meters, hold_down::meter);
    e.allocator("meter", |db| &mut db.meter_ids, |db| db.desired.meters.grant(&mut db.meter_ids));
    e.rule(
        "logical_flow/conjunctions",
        |db| &db.demanding_sites,
        |db| &mut db.conjunctions,
        logical_flow::conjunctions,
    );
    e.allocator("conjunction", |db| &mut db.conjunction_ids, conjunction::grant);
    e.rule(
        "punt_meter/flows",
        |db| &db.ports,
        |db| &mut db.desired.flows,
        physical::punt_meters::flows_of_port,
    );
    e.rule(
        "punt_meter/flows/tunnels",
        |db| &db.tunnels,
        |db| &mut db.desired.flows,
        physical::punt_meters::flows_of_tunnels,
    );
    e.rule("hold_down", |db| &db.held_down, |db| &mut db.desired.flows, hold_down::flow);
    e.rule("logical_flow", |db| &db.sites, |db| &mut db.desired.flows, logical_flow::lower);
    e.rule(
        "logical_flow/of_members",
        |db| &db.demanding_sites,
        |db| &mut db.flows_of_members,
        logical_flow::of_members,
    );
    e.rule("logical_flow/sets", |db| &db.flows_of_members, |db| &mut db.set_users, logical_flow::sets);
    e.allocator(
        "logical_flow/member_sites",
        |db| &mut db.member_sites,
        |db| db.member_sites.follow(&db.set_users, &db.set_alternatives),
    );
    e.rule("logical_flow/member", |db| &db.member_sites, |db| &mut db.desired.flows, logical_flow::member);
}

fn address_sets(e: &mut Engine<Db>) {
    e.rule("address_set", |db| &db.sets_named, |db| &mut db.address_sets, address_set::address_set);
    e.rule("address_set/texts", |db| &db.address_sets, |db| &mut db.set_texts, address_set::texts);
    e.rule("address_set/member", |db| &db.set_texts, |db| &mut db.set_members, address_set::member);
    e.rule("address_set/form", |db| &db.set_members, |db| &mut db.set_forms, address_set::form);
    e.rule(
        "address_set/alternative",
        |db| &db.set_members,
        |db| &mut db.set_alternatives,
        address_set::alternative,
    );
    e.rule("address_set/apart", |db| &db.address_sets, |db| &mut db.sets_apart, address_set::apart);
}

fn differences(e: &mut Engine<Db>) {
    e.rule("chassis/differs", |db| &db.facts, |db| &mut db.sb_ops, chassis::differences);
    e.rule("chassis/private", |db| &db.facts, |db| &mut db.sb_ops, chassis::private_differences);
    e.rule("binding/differs", |db| &db.residence, |db| &mut db.sb_ops, binding::differences);
    e.rule("settings/index", |db| &db.facts, |db| &mut db.vs_ops, settings::differences);
    e.rule("restore_wait", |db| &db.facts, |db| &mut db.vs_ops, restore_wait::differences);
    e.rule("bridge/differs", |db| &db.facts, |db| &mut db.vs_ops, bridge::differences);
    e.rule("ct_zone/unsaved", |db| &db.ct_zones, |db| &mut db.vs_ops, ct_zone::unsaved);
    e.rule("ct_zone/stale", |db| &db.facts, |db| &mut db.vs_ops, ct_zone::stale);
    e.rule("ct_limit/differs", |db| &db.ct_zones, |db| &mut db.vs_ops, ct_limit::differences);
    e.rule("ct_limit/stale", |db| &db.facts, |db| &mut db.vs_ops, ct_limit::stale);
    e.rule("tunnel/missing", |db| &db.wanted_tunnels, |db| &mut db.vs_ops, tunnel::missing);
    e.rule("tunnel/stale", |db| &db.tunnel_ports, |db| &mut db.vs_ops, tunnel::stale);
    e.rule("patch/missing", |db| &db.patches, |db| &mut db.vs_ops, bridge::missing_patches);
    e.rule("patch/stale", |db| &db.patch_ports, |db| &mut db.vs_ops, bridge::stale_patches);
    e.rule("interface", |db| &db.vs.interface, |db| &mut db.vs_ops, binding::interface_differences);
}
