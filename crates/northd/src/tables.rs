//! The tables of the compiler: both databases' replicas, and what rules derive from them.

use crate::address_set;
use crate::addresses::{Net, PortAddress};
use crate::flow::{DatapathIndex, FlowTable};
use crate::ipam::{Ipam, Pool};
use crate::keys::{DatapathKeys, PortKeys};
use crate::multicast::Member;
use crate::name::PortName;
use crate::outstanding::{NbOp, Ops, SbOp};
use crate::router::{Route, RouteGroup};
use crate::static_rows;
use kiln_abi::stages;
use kiln_incr::{Database, Derived, Relation, Visitor};
use kiln_ovsdb::Text;
use kiln_schema_ovn::{nb, sb};
use kiln_types::{EthAddr, Ipv4Net, Ipv6Net, Uuid};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A logical datapath's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datapath {
    /// Its place in bitmaps.
    pub index: DatapathIndex,
    /// Its row of Datapath_Binding.
    pub row: Uuid,
    /// Its tunnel key.
    pub key: u32,
    /// Switch or router.
    pub kind: stages::Datapath,
    /// Whether it is a switch that passes tagged frames on (`vlan-passthru`).
    pub passes_vlans: bool,
}

/// A logical port's numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortGrant {
    /// Its row of Port_Binding.
    pub row: Uuid,
    /// Its tunnel key.
    pub key: u16,
}

/// What kind of port a switch port is (column `type`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortKind {
    /// A virtual machine's or container's interface: type is empty.
    Vif,
    /// Towards a logical router.
    Router,
    /// A physical network.
    Localnet,
    /// One in every chassis, never reached from another.
    Localport,
    /// Towards another switch.
    Switch,
    /// Outside of all chassis, on a physical network.
    External,
    /// In another deployment, behind a transit switch.
    Remote,
    /// Any other type that the schema knows: bound, but no flows of its own.
    Other,
}

/// An address that one port of a switch may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owned {
    /// An Ethernet address.
    Mac(EthAddr),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address.
    V6(Ipv6Addr),
}

/// A logical switch port, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct SwitchPort {
    /// Its switch.
    pub switch: Uuid,
    /// Its name.
    pub name: PortName,
    /// Its kind.
    pub kind: PortKind,
    /// Whether packets pass.
    pub enabled: bool,
    /// Its static and dynamic addresses; for `router`, those of the router port.
    pub addresses: Vec<PortAddress>,
    /// Whether others may be behind it.
    pub unknown: bool,
    /// Whether it has port security.
    pub secured: bool,
    /// The router port on the other side.
    pub router_port: Option<Uuid>,
    /// What its options say.
    pub options: PortOptions,
}

/// Options of a logical switch port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PortOptions {
    /// `qdisc_queue_id`.
    pub queue: Option<u16>,
    /// Whether nobody answers for its addresses but itself (`disable_arp_nd_rsp`).
    pub answers_itself: bool,
    /// Whether frames for its addresses go where they were last seen (`force_fdb_lookup`).
    pub looked_up: bool,
    /// Whether frames for its addresses also go to all ports with unknown addresses (`pkt_clone_type=mc_unknown`).
    pub cloned: bool,
    /// Whether it wants no floods (`receive_multicast=false`).
    pub shuns_floods: bool,
    /// Whether addresses are learned behind a physical network (`localnet_learn_fdb`).
    pub learns: bool,
}

/// What is on the other side of a router port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Peer {
    /// A switch's port.
    Switch(Uuid),
    /// Another router's port.
    Router(Uuid),
    /// Nothing.
    None,
}

/// A logical router port, checked.
#[derive(Clone, Debug, PartialEq)]
pub struct RouterPort {
    /// Its router.
    pub router: Uuid,
    /// Its name.
    pub name: PortName,
    /// Its Ethernet address.
    pub mac: EthAddr,
    /// Its IPv4 addresses.
    pub ipv4: Vec<Ipv4Net>,
    /// Its IPv6 addresses; the last is its link-local one.
    pub ipv6: Vec<Ipv6Net>,
    /// What is on the other side.
    pub peer: Peer,
    /// Whether packets pass.
    pub enabled: bool,
    /// Whether its link-local address is one that nobody configured.
    pub own_link_local: bool,
}

impl RouterPort {
    /// The IPv6 addresses that are configured.
    pub fn configured_ipv6(&self) -> &[Ipv6Net] {
        &self.ipv6[..self.ipv6.len() - usize::from(self.own_link_local)]
    }
}

/// All tables.
#[allow(missing_docs)]
pub struct Db {
    pub nb: nb::Northbound,
    pub sb: sb::Southbound,

    // What refers to a row, and what has a name.
    pub(crate) switch_of_port: Relation<Uuid, Uuid>,
    pub(crate) router_of_port: Relation<Uuid, Uuid>,
    pub(crate) router_of_route: Relation<Uuid, Uuid>,
    pub(crate) router_of_policy: Relation<Uuid, Uuid>,
    pub(crate) switch_port_named: Relation<Text, Uuid>,
    pub(crate) router_port_named: Relation<Text, Uuid>,
    pub(crate) switch_ports_towards: Relation<Text, Uuid>,
    pub(crate) router_ports_towards: Relation<Text, Uuid>,
    pub(crate) datapath_rows: Relation<Uuid, Uuid>,
    pub(crate) port_rows: Relation<Text, Uuid>,
    pub(crate) static_binding_rows: Relation<(Text, Text), Uuid>,
    pub(crate) chassis_named: Relation<Text, Uuid>,
    pub(crate) address_set_rows: Relation<Text, Uuid>,
    pub(crate) port_group_rows: Relation<Text, Uuid>,
    pub(crate) ip_multicast_rows: Relation<Uuid, Uuid>,
    pub(crate) multicast_rows: Relation<(Uuid, Text), Uuid>,
    pub(crate) vxlan_chassis: Relation<Uuid, Uuid>,
    pub(crate) sb_global_rows: Relation<Uuid, Uuid>,
    pub(crate) chassis_progress: Relation<Uuid, (i64, i64, Uuid)>,

    // Sets of addresses and groups of ports.
    pub(crate) set_sources: Relation<Text, address_set::Source>,
    pub(crate) port_groups_named: Relation<Text, Uuid>,
    pub(crate) groups_of_port: Relation<Uuid, Uuid>,
    pub(crate) group_addresses: Relation<(Uuid, bool), Text>,
    pub(crate) group_members: Relation<(Uuid, Uuid), Text>,

    // Access control.
    pub(crate) switches_of_group: Relation<Uuid, Uuid>,
    pub(crate) meter_named: Relation<Text, Uuid>,
    pub(crate) meter_rows: Relation<Text, Uuid>,
    pub(crate) switches_of_acl: Relation<Uuid, Uuid>,
    pub(crate) groups_of_acl: Relation<Uuid, Uuid>,
    pub(crate) acl_needs: Relation<Uuid, crate::switch::acl::Need>,
    pub(crate) acl_ids: crate::acl_id::AclIds,

    // Settings.
    pub(crate) chosen: crate::global::Chosen,
    pub(crate) settings: Derived<Uuid, crate::global::Settings>,

    // Numbers that stay what they were.
    pub(crate) datapath_keys: DatapathKeys,
    pub(crate) datapaths: Derived<Uuid, Datapath>,
    pub(crate) pools: Derived<Uuid, Pool>,
    pub(crate) ipam: Ipam,
    pub(crate) router_addresses: Relation<(Uuid, Owned), Uuid>,
    pub(crate) address_problems: Derived<Uuid, String>,
    pub(crate) children: Relation<Text, crate::tag::Child>,
    pub(crate) tags: Derived<Uuid, i64>,
    pub(crate) dynamic_addresses: Derived<Uuid, Text>,

    // Ports and routes, checked.
    pub(crate) router_ports: Derived<Uuid, RouterPort>,
    pub(crate) switch_ports: Derived<Uuid, SwitchPort>,
    pub(crate) address_owners: Relation<(Uuid, Owned), Uuid>,
    pub(crate) ports_of_switch: Relation<Uuid, Member>,
    pub(crate) router_ports_on_switch: Relation<Uuid, Uuid>,
    pub(crate) port_keys: PortKeys,
    pub(crate) port_grants: Derived<Uuid, PortGrant>,
    pub(crate) ports_by_key: Relation<i64, i64>,
    pub(crate) connected: Relation<(Uuid, Net), (Uuid, IpAddr)>,
    pub(crate) connected_lengths: Relation<Uuid, (bool, u8)>,
    pub(crate) routes: Relation<RouteGroup, Route>,
    pub(crate) ecmp_groups: Relation<Uuid, RouteGroup>,
    pub(crate) ecmp_ids: Derived<RouteGroup, u16>,
    pub(crate) symmetric_routers: Relation<Uuid, ()>,
    pub(crate) route_tables: Relation<Uuid, Text>,
    pub(crate) table_ids: Derived<(Uuid, Text), u16>,
    pub(crate) ecmp_policies: Relation<Uuid, Uuid>,
    pub(crate) policy_ids: Derived<(Uuid, Uuid), u16>,
    pub(crate) policy_chains: Relation<Uuid, Text>,
    pub(crate) chain_ids: Derived<(Uuid, Text), u16>,

    // What the databases should hold, and where they do not.
    pub(crate) want_sb_global: Derived<Uuid, sb::SbGlobal>,
    pub(crate) want_datapath: Derived<Uuid, sb::DatapathBinding>,
    pub(crate) want_port: Derived<Uuid, sb::PortBinding>,
    pub(crate) want_multicast: Derived<Uuid, sb::MulticastGroup>,
    pub(crate) want_ip_multicast: Derived<Uuid, sb::IpMulticast>,
    pub(crate) want_address_set: Derived<Uuid, sb::AddressSet>,
    pub(crate) want_port_group: Derived<Uuid, sb::PortGroup>,
    pub(crate) want_acl_id: Derived<Uuid, sb::AclId>,
    pub(crate) want_meter: Derived<Uuid, sb::Meter>,
    pub(crate) want_meter_band: Derived<Uuid, sb::MeterBand>,
    pub(crate) want_static_binding: Derived<Uuid, sb::StaticMacBinding>,
    pub(crate) want_rbac_permission: Derived<Uuid, sb::RbacPermission>,
    pub(crate) want_rbac_role: Derived<Uuid, sb::RbacRole>,
    pub(crate) want_dhcp_options: Derived<Uuid, sb::DhcpOptions>,
    pub(crate) want_dhcpv6_options: Derived<Uuid, sb::Dhcpv6Options>,
    pub(crate) sb_ops: Ops<SbOp>,
    pub(crate) nb_ops: Ops<NbOp>,
    pub flows: FlowTable,
}

impl Db {
    /// Empty tables. What is chosen by chance follows from `seed`.
    pub fn new(seed: u64) -> Self {
        let mut db = Db {
            nb: nb::Northbound::new(),
            sb: sb::Southbound::new(),
            switch_of_port: Relation::new("switch_of_port"),
            router_of_port: Relation::new("router_of_port"),
            router_of_route: Relation::new("router_of_route"),
            router_of_policy: Relation::new("router_of_policy"),
            switch_port_named: Relation::new("switch_port_named"),
            router_port_named: Relation::new("router_port_named"),
            switch_ports_towards: Relation::new("switch_ports_towards"),
            router_ports_towards: Relation::new("router_ports_towards"),
            datapath_rows: Relation::new("datapath_rows"),
            port_rows: Relation::new("port_rows"),
            static_binding_rows: Relation::new("static_binding_rows"),
            chassis_named: Relation::new("chassis_named"),
            address_set_rows: Relation::new("address_set_rows"),
            port_group_rows: Relation::new("port_group_rows"),
            ip_multicast_rows: Relation::new("ip_multicast_rows"),
            multicast_rows: Relation::new("multicast_rows"),
            vxlan_chassis: Relation::new("vxlan_chassis"),
            sb_global_rows: Relation::new("sb_global_rows"),
            chassis_progress: Relation::new("chassis_progress"),
            set_sources: Relation::new("set_sources"),
            port_groups_named: Relation::new("port_groups_named"),
            groups_of_port: Relation::new("groups_of_port"),
            group_addresses: Relation::new("group_addresses"),
            group_members: Relation::new("group_members"),
            switches_of_group: Relation::new("switches_of_group"),
            meter_named: Relation::new("meter_named"),
            meter_rows: Relation::new("meter_rows"),
            switches_of_acl: Relation::new("switches_of_acl"),
            groups_of_acl: Relation::new("groups_of_acl"),
            acl_needs: Relation::new("acl_needs"),
            want_acl_id: Derived::new("want_acl_id"),
            want_meter: Derived::new("want_meter"),
            want_meter_band: Derived::new("want_meter_band"),
            acl_ids: crate::acl_id::AclIds::default(),
            chosen: crate::global::Chosen::from_seed(seed),
            settings: Derived::new("settings"),
            datapath_keys: DatapathKeys::default(),
            datapaths: Derived::new("datapaths"),
            pools: Derived::new("pools"),
            ipam: Ipam::default(),
            router_addresses: Relation::new("router_addresses"),
            address_problems: Derived::new("address_problems"),
            children: Relation::new("children"),
            tags: Derived::new("tags"),
            dynamic_addresses: Derived::new("dynamic_addresses"),
            router_ports: Derived::new("router_ports"),
            switch_ports: Derived::new("switch_ports"),
            address_owners: Relation::new("address_owners"),
            ports_of_switch: Relation::new("ports_of_switch"),
            router_ports_on_switch: Relation::new("router_ports_on_switch"),
            port_keys: PortKeys::default(),
            port_grants: Derived::new("port_grants"),
            ports_by_key: Relation::new("ports_by_key"),
            connected: Relation::new("connected"),
            connected_lengths: Relation::new("connected_lengths"),
            routes: Relation::new("routes"),
            ecmp_groups: Relation::new("ecmp_groups"),
            ecmp_ids: Derived::new("ecmp_ids"),
            symmetric_routers: Relation::new("symmetric_routers"),
            route_tables: Relation::new("route_tables"),
            table_ids: Derived::new("table_ids"),
            ecmp_policies: Relation::new("ecmp_policies"),
            policy_ids: Derived::new("policy_ids"),
            policy_chains: Relation::new("policy_chains"),
            chain_ids: Derived::new("chain_ids"),
            want_sb_global: Derived::new("want_sb_global"),
            want_datapath: Derived::new("want_datapath"),
            want_port: Derived::new("want_port"),
            want_multicast: Derived::new("want_multicast"),
            want_ip_multicast: Derived::new("want_ip_multicast"),
            want_address_set: Derived::new("want_address_set"),
            want_port_group: Derived::new("want_port_group"),
            want_static_binding: Derived::new("want_static_binding"),
            want_rbac_permission: Derived::new("want_rbac_permission"),
            want_rbac_role: Derived::new("want_rbac_role"),
            want_dhcp_options: Derived::new("want_dhcp_options"),
            want_dhcpv6_options: Derived::new("want_dhcpv6_options"),
            sb_ops: Ops::default(),
            nb_ops: Ops::default(),
            flows: FlowTable::default(),
        };
        for (row, permission) in static_rows::rbac_permissions() {
            db.want_rbac_permission.put(row, permission);
        }
        let (row, role) = static_rows::rbac_role();
        db.want_rbac_role.put(row, role);
        for (row, option) in static_rows::dhcp_options() {
            db.want_dhcp_options.put(row, option);
        }
        for (row, option) in static_rows::dhcpv6_options() {
            db.want_dhcpv6_options.put(row, option);
        }
        db
    }
}

impl Database for Db {
    fn visit(&mut self, v: &mut dyn Visitor) {
        self.nb.visit(v);
        self.sb.visit(v);
        v.table(&mut self.switch_of_port);
        v.table(&mut self.router_of_port);
        v.table(&mut self.router_of_route);
        v.table(&mut self.router_of_policy);
        v.table(&mut self.switch_port_named);
        v.table(&mut self.router_port_named);
        v.table(&mut self.switch_ports_towards);
        v.table(&mut self.router_ports_towards);
        v.table(&mut self.datapath_rows);
        v.table(&mut self.port_rows);
        v.table(&mut self.static_binding_rows);
        v.table(&mut self.chassis_named);
        v.table(&mut self.address_set_rows);
        v.table(&mut self.port_group_rows);
        v.table(&mut self.ip_multicast_rows);
        v.table(&mut self.multicast_rows);
        v.table(&mut self.vxlan_chassis);
        v.table(&mut self.sb_global_rows);
        v.table(&mut self.chassis_progress);
        v.table(&mut self.set_sources);
        v.table(&mut self.port_groups_named);
        v.table(&mut self.groups_of_port);
        v.table(&mut self.group_addresses);
        v.table(&mut self.group_members);
        v.table(&mut self.switches_of_group);
        v.table(&mut self.meter_named);
        v.table(&mut self.meter_rows);
        v.table(&mut self.switches_of_acl);
        v.table(&mut self.groups_of_acl);
        v.table(&mut self.acl_needs);
        v.table(&mut self.want_acl_id);
        v.table(&mut self.want_meter);
        v.table(&mut self.want_meter_band);
        v.table(&mut self.settings);
        v.table(&mut self.datapaths);
        v.table(&mut self.pools);
        v.table(&mut self.router_addresses);
        v.table(&mut self.address_problems);
        v.table(&mut self.children);
        v.table(&mut self.tags);
        v.table(&mut self.dynamic_addresses);
        v.table(&mut self.router_ports);
        v.table(&mut self.switch_ports);
        v.table(&mut self.address_owners);
        v.table(&mut self.ports_of_switch);
        v.table(&mut self.router_ports_on_switch);
        v.table(&mut self.port_grants);
        v.table(&mut self.ports_by_key);
        v.table(&mut self.connected);
        v.table(&mut self.connected_lengths);
        v.table(&mut self.routes);
        v.table(&mut self.ecmp_groups);
        v.table(&mut self.ecmp_ids);
        v.table(&mut self.symmetric_routers);
        v.table(&mut self.route_tables);
        v.table(&mut self.table_ids);
        v.table(&mut self.ecmp_policies);
        v.table(&mut self.policy_ids);
        v.table(&mut self.policy_chains);
        v.table(&mut self.chain_ids);
        v.table(&mut self.want_sb_global);
        v.table(&mut self.want_datapath);
        v.table(&mut self.want_port);
        v.table(&mut self.want_multicast);
        v.table(&mut self.want_ip_multicast);
        v.table(&mut self.want_address_set);
        v.table(&mut self.want_port_group);
        v.table(&mut self.want_static_binding);
        v.table(&mut self.want_rbac_permission);
        v.table(&mut self.want_rbac_role);
        v.table(&mut self.want_dhcp_options);
        v.table(&mut self.want_dhcpv6_options);
    }
}

/// A run's view of the tables.
pub(crate) type Ctx<'a> = kiln_incr::Ctx<'a, Db>;
