//! Every rule and allocator, in order: what a step reads is an input or written by an earlier step.

use crate::tables::Db;
use crate::{
    acl_id, address_set, copp, datapath, expiry, features, global, index, ip_multicast, ipam, keys, meter,
    multicast, outstanding, port_binding, port_group, router, switch, tag, template_var,
};
use kiln_incr::Engine;

pub(crate) fn add(engine: &mut Engine<Db>) {
    indexes(engine);
    settings_and_keys(engine);
    ports(engine);
    routes(engine);
    sets_and_groups(engine);
    acls(engine);
    switch_flows(engine);
    router_flows(engine);
    wanted_rows(engine);
    differences(engine);
}

fn indexes(e: &mut Engine<Db>) {
    e.rule("switch_of_port", |db| &db.nb.logical_switch, |db| &mut db.switch_of_port, index::switch_of_port);
    e.rule("router_of_port", |db| &db.nb.logical_router, |db| &mut db.router_of_port, index::router_of_port);
    e.rule(
        "router_of_route",
        |db| &db.nb.logical_router,
        |db| &mut db.router_of_route,
        index::router_of_route,
    );
    e.rule(
        "router_of_policy",
        |db| &db.nb.logical_router,
        |db| &mut db.router_of_policy,
        index::router_of_policy,
    );
    e.rule(
        "switch_port_named",
        |db| &db.nb.logical_switch_port,
        |db| &mut db.switch_port_named,
        index::switch_port_named,
    );
    e.rule(
        "router_port_named",
        |db| &db.nb.logical_router_port,
        |db| &mut db.router_port_named,
        index::router_port_named,
    );
    e.rule(
        "switch_ports_towards",
        |db| &db.nb.logical_switch_port,
        |db| &mut db.switch_ports_towards,
        index::switch_ports_towards,
    );
    e.rule(
        "router_ports_towards",
        |db| &db.nb.logical_router_port,
        |db| &mut db.router_ports_towards,
        index::router_ports_towards,
    );
    e.rule("meter_named", |db| &db.nb.meter, |db| &mut db.meter_named, meter::named);
    e.rule("meter_rows", |db| &db.sb.meter, |db| &mut db.meter_rows, meter::rows);
    e.rule("datapath_rows", |db| &db.sb.datapath_binding, |db| &mut db.datapath_rows, index::datapath_rows);
    e.rule("port_rows", |db| &db.sb.port_binding, |db| &mut db.port_rows, index::port_rows);
    e.rule(
        "static_binding_rows",
        |db| &db.sb.static_mac_binding,
        |db| &mut db.static_binding_rows,
        index::static_binding_rows,
    );
    e.rule(
        "template_var_rows",
        |db| &db.sb.chassis_template_var,
        |db| &mut db.template_var_rows,
        template_var::rows,
    );
    e.rule("address_set_rows", |db| &db.sb.address_set, |db| &mut db.address_set_rows, address_set::rows);
    e.rule("port_group_rows", |db| &db.sb.port_group, |db| &mut db.port_group_rows, port_group::rows);
    e.rule("ip_multicast_rows", |db| &db.sb.ip_multicast, |db| &mut db.ip_multicast_rows, ip_multicast::rows);
    e.rule("multicast_rows", |db| &db.sb.multicast_group, |db| &mut db.multicast_rows, multicast::rows);
    e.rule("chassis_named", |db| &db.sb.chassis, |db| &mut db.chassis_named, index::chassis_named);
    e.rule("feature_lacking", |db| &db.sb.chassis, |db| &mut db.feature_lacking, features::lacking);
    e.rule("vxlan_chassis", |db| &db.sb.chassis, |db| &mut db.vxlan_chassis, global::vxlan_chassis);
    e.rule("sb_global_rows", |db| &db.sb.sb_global, |db| &mut db.sb_global_rows, global::sb_global_rows);
    e.rule(
        "expiry/chassis",
        |db| &db.sb.chassis,
        |db| &mut db.without_timestamps,
        expiry::without_timestamps,
    );
    e.rule(
        "chassis_progress",
        |db| &db.sb.chassis_private,
        |db| &mut db.chassis_progress,
        global::chassis_progress,
    );
}

fn settings_and_keys(e: &mut Engine<Db>) {
    e.rule("settings", |db| &db.nb.nb_global, |db| &mut db.settings, global::read_settings);
    e.rule(
        "request_switch_key",
        |db| &db.nb.logical_switch,
        |db| &mut db.datapath_keys,
        keys::request_switch,
    );
    e.rule(
        "request_router_key",
        |db| &db.nb.logical_router,
        |db| &mut db.datapath_keys,
        keys::request_router,
    );
    e.allocator("datapath_keys", |db| &mut db.datapaths, keys::grant_datapaths);
    e.rule("address_pool", |db| &db.nb.logical_switch, |db| &mut db.pools, ipam::pool);
    e.rule(
        "address_claims",
        |db| &db.nb.logical_switch_port,
        |db| &mut db.address_claims,
        switch::port::address_claims,
    );
    e.rule(
        "address_claims/router",
        |db| &db.switch_ports_towards,
        |db| &mut db.address_claims,
        router::port::address_claims,
    );
    e.rule("request_addresses", |db| &db.nb.logical_switch_port, |db| &mut db.ipam, ipam::request);
    e.allocator("addresses", |db| &mut db.dynamic_addresses, ipam::grant);
    e.allocator("address_problems", |db| &mut db.address_problems, |_| {});
    e.rule("children", |db| &db.nb.logical_switch_port, |db| &mut db.children, tag::children);
    e.rule("tags", |db| &db.children, |db| &mut db.tags, tag::tags);
}

fn ports(e: &mut Engine<Db>) {
    e.rule("router_port", |db| &db.nb.logical_router_port, |db| &mut db.router_ports, router::port::checked);
    e.rule("switch_port", |db| &db.nb.logical_switch_port, |db| &mut db.switch_ports, switch::port::checked);
    e.rule(
        "ports_of_switch",
        |db| &db.switch_ports,
        |db| &mut db.ports_of_switch,
        switch::port::ports_of_switch,
    );
    e.rule(
        "router_ports_on_switch",
        |db| &db.switch_ports_towards,
        |db| &mut db.router_ports_on_switch,
        switch::port::router_ports_on_switch,
    );
    e.rule("vtep_switches", |db| &db.switch_ports, |db| &mut db.vtep_switches, switch::vtep::switches);
    e.rule("edges", |db| &db.switch_ports, |db| &mut db.edges, switch::edge::parts);
    e.rule(
        "request_switch_port_key",
        |db| &db.switch_ports,
        |db| &mut db.port_keys,
        keys::request_switch_port,
    );
    e.rule(
        "request_router_port_key",
        |db| &db.router_ports,
        |db| &mut db.port_keys,
        keys::request_router_port,
    );
    e.allocator("port_keys", |db| &mut db.port_grants, keys::grant_ports);
    e.rule("switch_keyed", |db| &db.nb.logical_switch, |db| &mut db.switch_keyed, expiry::switch_keyed);
    e.rule("expiry/thresholds", |db| &db.nb.logical_router, |db| &mut db.age_thresholds, expiry::thresholds);
    e.rule("ports_by_key", |db| &db.switch_ports, |db| &mut db.ports_by_key, port_binding::ports_by_key);
}

fn routes(e: &mut Engine<Db>) {
    e.rule("connected", |db| &db.router_ports, |db| &mut db.connected, router::nexthop::connected);
    e.rule(
        "connected_lengths",
        |db| &db.router_ports,
        |db| &mut db.connected_lengths,
        router::nexthop::connected_lengths,
    );
    e.rule("route", |db| &db.nb.logical_router_static_route, |db| &mut db.routes, router::route::checked);
    e.rule("gateways", |db| &db.routes, |db| &mut db.gateways, router::learning::gateways);
    e.rule("ecmp_groups", |db| &db.routes, |db| &mut db.ecmp_groups, router::route::ecmp_groups);
    e.rule("ecmp_ids", |db| &db.ecmp_groups, |db| &mut db.ecmp_ids, router::route::ecmp_ids);
    e.rule("symmetric_routers", |db| &db.routes, |db| &mut db.symmetric_routers, router::symmetric::routers);
    e.rule(
        "route_tables",
        |db| &db.nb.logical_router_port,
        |db| &mut db.route_tables,
        router::route::route_tables,
    );
    e.rule(
        "route_tables/routes",
        |db| &db.routes,
        |db| &mut db.route_tables,
        router::route::route_tables_of_routes,
    );
    e.rule("table_ids", |db| &db.route_tables, |db| &mut db.table_ids, router::route::table_ids);
    e.rule(
        "ecmp_policies",
        |db| &db.nb.logical_router_policy,
        |db| &mut db.ecmp_policies,
        router::policy::ecmp_policies,
    );
    e.rule("policy_ids", |db| &db.ecmp_policies, |db| &mut db.policy_ids, router::policy::policy_ids);
    e.rule(
        "policy_chains",
        |db| &db.nb.logical_router_policy,
        |db| &mut db.policy_chains,
        router::policy::policy_chains,
    );
    e.rule("chain_ids", |db| &db.policy_chains, |db| &mut db.chain_ids, router::policy::chain_ids);
}

fn sets_and_groups(e: &mut Engine<Db>) {
    e.rule("set_sources/global", |db| &db.nb.nb_global, |db| &mut db.set_sources, address_set::of_global);
    e.rule("set_sources/group", |db| &db.nb.port_group, |db| &mut db.set_sources, address_set::of_group);
    e.rule("set_sources/set", |db| &db.nb.address_set, |db| &mut db.set_sources, address_set::of_set);
    e.rule("port_groups_named", |db| &db.nb.port_group, |db| &mut db.port_groups_named, port_group::named);
    e.rule("groups_of_port", |db| &db.nb.port_group, |db| &mut db.groups_of_port, port_group::groups_of_port);
    e.rule(
        "group_addresses",
        |db| &db.groups_of_port,
        |db| &mut db.group_addresses,
        address_set::group_addresses,
    );
    e.rule("group_members", |db| &db.groups_of_port, |db| &mut db.group_members, port_group::members);
    e.rule("switches_of_group", |db| &db.group_members, |db| &mut db.switches_of_group, port_group::switches);
}

fn acls(e: &mut Engine<Db>) {
    use crate::switch::acl;
    e.rule("switches_of_acl", |db| &db.nb.logical_switch, |db| &mut db.switches_of_acl, acl::of_switch);
    e.rule("groups_of_acl", |db| &db.nb.port_group, |db| &mut db.groups_of_acl, acl::of_group);
    e.rule("acl_needs", |db| &db.nb.acl, |db| &mut db.acl_needs, acl::acl_needs);
    e.rule("request_acl_id", |db| &db.nb.acl, |db| &mut db.acl_ids, acl_id::request);
    e.allocator("acl_ids", |db| &mut db.want_acl_id, acl_id::grant);
}

fn switch_flows(e: &mut Engine<Db>) {
    use crate::switch::{acl, acl_stages, admission, arp_rsp, edge, fdb, l2_lookup, passing, vtep};
    e.rule("switch/admission", |db| &db.nb.logical_switch, |db| &mut db.flows, admission::common);
    e.rule("switch/edge", |db| &db.nb.logical_switch, |db| &mut db.flows, edge::common);
    e.rule("switch/vtep", |db| &db.nb.logical_switch, |db| &mut db.flows, vtep::common);
    e.rule("switch/acl", |db| &db.nb.acl, |db| &mut db.flows, acl::flows);
    e.rule("switch/acl_stages", |db| &db.nb.logical_switch, |db| &mut db.flows, acl_stages::common);
    e.rule("switch/passing", |db| &db.nb.logical_switch, |db| &mut db.flows, passing::common);
    e.rule("switch/fdb", |db| &db.nb.logical_switch, |db| &mut db.flows, fdb::common);
    e.rule("switch/arp_rsp", |db| &db.nb.logical_switch, |db| &mut db.flows, arp_rsp::common);
    e.rule("switch/l2_lookup", |db| &db.nb.logical_switch, |db| &mut db.flows, l2_lookup::common);
    e.rule("switch/port", |db| &db.switch_ports, |db| &mut db.flows, switch::of_port);
}

fn router_flows(e: &mut Engine<Db>) {
    use crate::router::{
        admission, advertise, arp_request, arp_resolve, delivery, icmp, ip_input, mtu, neighbor, passing,
        policy, routing, symmetric, unreachable,
    };
    e.rule("router/admission", |db| &db.nb.logical_router, |db| &mut db.flows, admission::common);
    e.rule("router/admission/port", |db| &db.router_ports, |db| &mut db.flows, admission::of_port);
    e.rule("router/neighbor", |db| &db.nb.logical_router, |db| &mut db.flows, neighbor::common);
    e.rule("router/neighbor/port", |db| &db.router_ports, |db| &mut db.flows, neighbor::of_port);
    e.rule("router/ip_input", |db| &db.nb.logical_router, |db| &mut db.flows, ip_input::common);
    e.rule("router/ip_input/port", |db| &db.router_ports, |db| &mut db.flows, ip_input::of_port);
    e.rule("router/icmp/port", |db| &db.router_ports, |db| &mut db.flows, icmp::of_port);
    e.rule("router/passing", |db| &db.nb.logical_router, |db| &mut db.flows, passing::common);
    e.rule("router/advertise/port", |db| &db.router_ports, |db| &mut db.flows, advertise::of_port);
    e.rule("router/routing", |db| &db.nb.logical_router, |db| &mut db.flows, routing::common);
    e.rule("router/routing/port", |db| &db.router_ports, |db| &mut db.flows, routing::of_port);
    e.rule("router/routing/group", |db| &db.routes, |db| &mut db.flows, routing::of_group);
    e.rule("router/symmetric/port", |db| &db.router_ports, |db| &mut db.flows, symmetric::of_port);
    e.rule("router/symmetric/group", |db| &db.routes, |db| &mut db.flows, symmetric::of_group);
    e.rule("router/no_route/port", |db| &db.router_ports, |db| &mut db.flows, unreachable::no_route);
    e.rule("router/policy", |db| &db.nb.logical_router, |db| &mut db.flows, policy::common);
    e.rule("router/policy/row", |db| &db.nb.logical_router_policy, |db| &mut db.flows, policy::of_policy);
    e.rule("router/arp_resolve", |db| &db.nb.logical_router, |db| &mut db.flows, arp_resolve::common);
    e.rule("router/arp_resolve/port", |db| &db.router_ports, |db| &mut db.flows, arp_resolve::of_port);
    e.rule(
        "router/arp_resolve/switch_port",
        |db| &db.switch_ports,
        |db| &mut db.flows,
        arp_resolve::of_switch_port,
    );
    e.rule("router/mtu/port", |db| &db.router_ports, |db| &mut db.flows, mtu::of_port);
    e.rule("router/arp_request", |db| &db.nb.logical_router, |db| &mut db.flows, arp_request::common);
    e.rule("router/arp_request/port", |db| &db.router_ports, |db| &mut db.flows, arp_request::of_port);
    e.rule(
        "router/arp_request/route",
        |db| &db.nb.logical_router_static_route,
        |db| &mut db.flows,
        arp_request::of_route,
    );
    e.rule(
        "router/arp_request/policy",
        |db| &db.nb.logical_router_policy,
        |db| &mut db.flows,
        arp_request::of_policy,
    );
    e.rule("router/delivery", |db| &db.nb.logical_router, |db| &mut db.flows, delivery::common);
    e.rule("router/delivery/port", |db| &db.router_ports, |db| &mut db.flows, delivery::of_port);
}

fn wanted_rows(e: &mut Engine<Db>) {
    e.rule("want_sb_global", |db| &db.nb.nb_global, |db| &mut db.want_sb_global, global::want_sb_global);
    e.rule(
        "want_datapath/switch",
        |db| &db.nb.logical_switch,
        |db| &mut db.want_datapath,
        datapath::of_switch,
    );
    e.rule(
        "want_datapath/router",
        |db| &db.nb.logical_router,
        |db| &mut db.want_datapath,
        datapath::of_router,
    );
    e.rule("want_port/switch", |db| &db.switch_ports, |db| &mut db.want_port, port_binding::of_switch_port);
    e.rule("want_port/router", |db| &db.router_ports, |db| &mut db.want_port, port_binding::of_router_port);
    e.rule("want_multicast", |db| &db.nb.logical_switch, |db| &mut db.want_multicast, multicast::of_switch);
    e.rule(
        "want_ip_multicast",
        |db| &db.nb.logical_switch,
        |db| &mut db.want_ip_multicast,
        ip_multicast::of_switch,
    );
    e.rule("want_address_set", |db| &db.set_sources, |db| &mut db.want_address_set, address_set::wanted);
    e.rule("want_port_group", |db| &db.group_members, |db| &mut db.want_port_group, port_group::wanted);
    e.rule("want_meter", |db| &db.nb.meter, |db| &mut db.want_meter, meter::of_meter);
    e.rule("want_meter/acl", |db| &db.nb.acl, |db| &mut db.want_meter, meter::of_acl);
    e.rule("want_meter_band", |db| &db.nb.meter, |db| &mut db.want_meter_band, meter::bands_of_meter);
    e.rule("want_meter_band/acl", |db| &db.nb.acl, |db| &mut db.want_meter_band, meter::bands_of_acl);
    e.rule(
        "want_static_binding",
        |db| &db.nb.static_mac_binding,
        |db| &mut db.want_static_binding,
        port_binding::static_binding,
    );
    e.rule(
        "want_template_var",
        |db| &db.nb.chassis_template_var,
        |db| &mut db.want_template_var,
        template_var::wanted,
    );
}

fn differences(e: &mut Engine<Db>) {
    e.rule("expiry/neighbor", |db| &db.sb.mac_binding, |db| &mut db.expiries, expiry::of_neighbor);
    e.rule("expiry/station", |db| &db.sb.fdb, |db| &mut db.expiries, expiry::of_station);
    use outstanding as o;
    e.rule("sb_global", |db| &db.want_sb_global, |db| &mut db.sb_ops, o::sb_global);
    e.rule("sb_global/stale", |db| &db.sb.sb_global, |db| &mut db.sb_ops, o::stale_sb_global);
    e.rule("datapath_binding", |db| &db.want_datapath, |db| &mut db.sb_ops, o::datapath_binding);
    e.rule(
        "datapath_binding/stale",
        |db| &db.sb.datapath_binding,
        |db| &mut db.sb_ops,
        o::stale_datapath_binding,
    );
    e.rule("port_binding", |db| &db.want_port, |db| &mut db.sb_ops, o::port_binding);
    e.rule("port_binding/stale", |db| &db.sb.port_binding, |db| &mut db.sb_ops, o::stale_port_binding);
    e.rule("multicast_group", |db| &db.want_multicast, |db| &mut db.sb_ops, o::multicast_group);
    e.rule(
        "multicast_group/stale",
        |db| &db.sb.multicast_group,
        |db| &mut db.sb_ops,
        o::stale_multicast_group,
    );
    e.rule("meter", |db| &db.want_meter, |db| &mut db.sb_ops, o::meter);
    e.rule("meter/stale", |db| &db.sb.meter, |db| &mut db.sb_ops, o::stale_meter);
    e.rule("meter_band", |db| &db.want_meter_band, |db| &mut db.sb_ops, o::meter_band);
    e.rule("acl_id", |db| &db.want_acl_id, |db| &mut db.sb_ops, o::acl_id);
    e.rule("acl_id/stale", |db| &db.sb.acl_id, |db| &mut db.sb_ops, o::stale_acl_id);
    e.rule("address_set", |db| &db.want_address_set, |db| &mut db.sb_ops, o::address_set);
    e.rule("address_set/stale", |db| &db.sb.address_set, |db| &mut db.sb_ops, o::stale_address_set);
    e.rule("port_group", |db| &db.want_port_group, |db| &mut db.sb_ops, o::port_group);
    e.rule("port_group/stale", |db| &db.sb.port_group, |db| &mut db.sb_ops, o::stale_port_group);
    e.rule("static_mac_binding", |db| &db.want_static_binding, |db| &mut db.sb_ops, o::static_mac_binding);
    e.rule(
        "static_mac_binding/stale",
        |db| &db.sb.static_mac_binding,
        |db| &mut db.sb_ops,
        o::stale_static_mac_binding,
    );
    e.rule("chassis_template_var", |db| &db.want_template_var, |db| &mut db.sb_ops, o::chassis_template_var);
    e.rule(
        "chassis_template_var/stale",
        |db| &db.sb.chassis_template_var,
        |db| &mut db.sb_ops,
        o::stale_chassis_template_var,
    );
    e.rule("ip_multicast", |db| &db.want_ip_multicast, |db| &mut db.sb_ops, o::ip_multicast);
    e.rule("ip_multicast/stale", |db| &db.sb.ip_multicast, |db| &mut db.sb_ops, o::stale_ip_multicast);
    e.rule("mac_binding/stale", |db| &db.sb.mac_binding, |db| &mut db.sb_ops, port_binding::stale_neighbor);
    e.rule("fdb/stale", |db| &db.sb.fdb, |db| &mut db.sb_ops, port_binding::stale_fdb);
    e.rule("rbac_permission", |db| &db.want_rbac_permission, |db| &mut db.sb_ops, o::rbac_permission);
    e.rule(
        "rbac_permission/stale",
        |db| &db.sb.rbac_permission,
        |db| &mut db.sb_ops,
        o::stale_rbac_permission,
    );
    e.rule("rbac_role", |db| &db.want_rbac_role, |db| &mut db.sb_ops, o::rbac_role);
    e.rule("rbac_role/stale", |db| &db.sb.rbac_role, |db| &mut db.sb_ops, o::stale_rbac_role);
    e.rule("dhcp_options", |db| &db.want_dhcp_options, |db| &mut db.sb_ops, o::dhcp_options);
    e.rule("dhcp_options/stale", |db| &db.sb.dhcp_options, |db| &mut db.sb_ops, o::stale_dhcp_options);
    e.rule("dhcpv6_options", |db| &db.want_dhcpv6_options, |db| &mut db.sb_ops, o::dhcpv6_options);
    e.rule("dhcpv6_options/stale", |db| &db.sb.dhcpv6_options, |db| &mut db.sb_ops, o::stale_dhcpv6_options);

    e.rule("nb_global", |db| &db.nb.nb_global, |db| &mut db.nb_ops, global::northbound);
    e.rule("port_up", |db| &db.sb.port_binding, |db| &mut db.nb_ops, port_binding::is_up);
    e.rule("copp_problems", |db| &db.nb.copp, |db| &mut db.nb_ops, copp::problems);
    e.rule("address_problems", |db| &db.address_problems, |db| &mut db.nb_ops, ipam::problems);
    e.rule("tag", |db| &db.tags, |db| &mut db.nb_ops, tag::northbound);
    e.rule("dynamic_addresses", |db| &db.nb.logical_switch_port, |db| &mut db.nb_ops, ipam::northbound);
}
