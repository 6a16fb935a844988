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
    /// A gateway of one chassis to a physical network.
    L2Gateway,
    /// A gateway to the physical ports of a VTEP switch.
    Vtep,
    /// An address that moves between other ports.
    Virtual,
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

impl std::fmt::Display for Owned {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Owned::Mac(mac) => mac.fmt(f),
            Owned::V4(ip) => ip.fmt(f),
            Owned::V6(ip) => ip.fmt(f),
        }
    }
}

impl From<Net> for Owned {
    fn from(net: Net) -> Self {
        match net {
            Net::V4(net) => Owned::V4(net.addr()),
            Net::V6(net) => Owned::V6(net.addr()),
        }
    }
}

/// A port of a switch that wants an address. What a router has of its own comes before what is merely declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Claim {
    /// Whether `addresses` declares it; else the router port has it that the port leads to.
    pub(crate) declared: bool,
    /// The switch's port.
    pub(crate) port: Uuid,
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
    /// Whether addresses are not learned behind a port of a workload (`lsp_learn_fdb=false`).
    pub unlearned: bool,
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
    /// The one chassis that its router is on, if that is a gateway router.
    pub gateway: Option<Text>,
}

impl RouterPort {
    /// The IPv6 addresses that are configured.
    pub fn configured_ipv6(&self) -> &[Ipv6Net] {
        &self.ipv6[..self.ipv6.len() - usize::from(self.own_link_local)]
    }

    /// The IPv4 addresses that stand for all hosts of its networks (RFC 1122, section 3.2.1.3); a network of two hosts has none
    /// (RFC 3021).
    pub(crate) fn all_hosts(&self) -> impl Iterator<Item = Ipv4Addr> {
        let shared = self.ipv4.iter().filter(|net| net.prefix_len() < 31);
        shared.flat_map(|net| [net.network(), net.broadcast()])
    }
}

/// Declares [`Db`] with each table named once. A table's type has the names of the kernel's two kinds, so that it can be
/// made from the name alone.
macro_rules! database {
    (
        tables { $($table:ident: $kind:ident<$key:ty, $value:ty>,)* }
        state { $($state:ident: $type:ty,)* }
    ) => {
        /// All tables, and the allocators between them.
        #[allow(missing_docs)]
        pub struct Db {
            pub nb: nb::Northbound,
            pub sb: sb::Southbound,
            pub flows: FlowTable,
            pub(crate) chosen: crate::global::Chosen,
            $(pub(crate) $table: $kind<$key, $value>,)*
            $(pub(crate) $state: $type,)*
        }

        impl Db {
            fn empty(seed: u64) -> Self {
                Db {
                    nb: nb::Northbound::new(),
                    sb: sb::Southbound::new(),
                    flows: FlowTable::default(),
                    chosen: crate::global::Chosen::from_seed(seed),
                    $($table: $kind::new(stringify!($table)),)*
                    $($state: <$type>::default(),)*
                }
            }
        }

        impl Database for Db {
            fn visit(&mut self, v: &mut dyn Visitor) {
                self.nb.visit(v);
                self.sb.visit(v);
                $(v.table(&mut self.$table);)*
            }
        }
    };
}

database! {
    tables {
        // What refers to a row, and what has a name.
        switch_of_port: Relation<Uuid, Uuid>,
        router_of_port: Relation<Uuid, Uuid>,
        router_of_route: Relation<Uuid, Uuid>,
        router_of_policy: Relation<Uuid, Uuid>,
        switch_port_named: Relation<Text, Uuid>,
        router_port_named: Relation<Text, Uuid>,
        switch_ports_towards: Relation<Text, Uuid>,
        router_ports_towards: Relation<Text, Uuid>,
        datapath_rows: Relation<Uuid, Uuid>,
        port_rows: Relation<Text, Uuid>,
        static_binding_rows: Relation<(Text, Text), Uuid>,
        template_var_rows: Relation<Text, Uuid>,
        chassis_named: Relation<Text, Uuid>,
        address_set_rows: Relation<Text, Uuid>,
        port_group_rows: Relation<Text, Uuid>,
        ip_multicast_rows: Relation<Uuid, Uuid>,
        multicast_rows: Relation<(Uuid, Text), Uuid>,
        feature_lacking: Relation<&'static str, Uuid>,
        vxlan_chassis: Relation<Uuid, Uuid>,
        sb_global_rows: Relation<Uuid, Uuid>,
        chassis_progress: Relation<Uuid, (i64, i64, Uuid)>,
        without_timestamps: Relation<&'static str, Uuid>,

        // Sets of addresses and groups of ports.
        set_sources: Relation<Text, address_set::Source>,
        port_groups_named: Relation<Text, Uuid>,
        groups_of_port: Relation<Uuid, Uuid>,
        group_addresses: Relation<(Uuid, bool), Text>,
        group_members: Relation<(Uuid, Uuid), Text>,

        // Access control.
        switches_of_group: Relation<Uuid, Uuid>,
        meter_named: Relation<Text, Uuid>,
        meter_rows: Relation<Text, Uuid>,
        switches_of_acl: Relation<Uuid, Uuid>,
        groups_of_acl: Relation<Uuid, Uuid>,
        acl_needs: Relation<Uuid, crate::switch::acl::Need>,

        // Settings.
        settings: Derived<Uuid, crate::global::Settings>,

        // Numbers that stay what they were.
        datapaths: Derived<Uuid, Datapath>,
        pools: Derived<Uuid, Pool>,
        address_problems: Derived<Uuid, String>,
        children: Relation<Text, crate::tag::Child>,
        tags: Derived<Uuid, i64>,
        dynamic_addresses: Derived<Uuid, Text>,

        // Ports and routes, checked.
        router_ports: Derived<Uuid, RouterPort>,
        switch_ports: Derived<Uuid, SwitchPort>,
        address_claims: Relation<(Uuid, Owned), Claim>,
        ports_of_switch: Relation<Uuid, Member>,
        router_ports_on_switch: Relation<Uuid, Uuid>,
        vtep_switches: Relation<Uuid, ()>,
        edges: Relation<Uuid, crate::switch::edge::Part>,
        port_grants: Derived<Uuid, PortGrant>,
        ports_by_key: Relation<i64, i64>,
        switch_keyed: Relation<i64, Uuid>,
        age_thresholds: Derived<Uuid, kiln_abi::age::AgeThresholds>,
        connected: Relation<(Uuid, Net), (Uuid, IpAddr)>,
        connected_lengths: Relation<Uuid, (bool, u8)>,
        routes: Relation<RouteGroup, Route>,
        gateways: Relation<Uuid, IpAddr>,
        ecmp_groups: Relation<Uuid, RouteGroup>,
        ecmp_ids: Derived<RouteGroup, u16>,
        symmetric_routers: Relation<Uuid, ()>,
        route_tables: Relation<Uuid, Text>,
        table_ids: Derived<(Uuid, Text), u16>,
        ecmp_policies: Relation<Uuid, Uuid>,
        policy_ids: Derived<(Uuid, Uuid), u16>,
        policy_chains: Relation<Uuid, Text>,
        chain_ids: Derived<(Uuid, Text), u16>,

        // What the databases should hold, and where they do not.
        want_sb_global: Derived<Uuid, sb::SbGlobal>,
        want_datapath: Derived<Uuid, sb::DatapathBinding>,
        want_port: Derived<Uuid, sb::PortBinding>,
        want_multicast: Derived<Uuid, sb::MulticastGroup>,
        want_ip_multicast: Derived<Uuid, sb::IpMulticast>,
        want_address_set: Derived<Uuid, sb::AddressSet>,
        want_port_group: Derived<Uuid, sb::PortGroup>,
        want_acl_id: Derived<Uuid, sb::AclId>,
        want_meter: Derived<Uuid, sb::Meter>,
        want_meter_band: Derived<Uuid, sb::MeterBand>,
        want_static_binding: Derived<Uuid, sb::StaticMacBinding>,
        want_template_var: Derived<Uuid, sb::ChassisTemplateVar>,
        want_rbac_permission: Derived<Uuid, sb::RbacPermission>,
        want_rbac_role: Derived<Uuid, sb::RbacRole>,
        want_dhcp_options: Derived<Uuid, sb::DhcpOptions>,
        want_dhcpv6_options: Derived<Uuid, sb::Dhcpv6Options>,
    }
    state {
        acl_ids: crate::acl_id::AclIds,
        datapath_keys: DatapathKeys,
        ipam: Ipam,
        port_keys: PortKeys,
        expiries: crate::expiry::Expiries,
        sb_ops: Ops<SbOp>,
        nb_ops: Ops<NbOp>,
    }
}

impl Db {
    /// Empty tables. What is chosen by chance follows from `seed`.
    pub fn new(seed: u64) -> Self {
        let mut db = Db::empty(seed);
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

/// A run's view of the tables.
pub(crate) type Ctx<'a> = kiln_incr::Ctx<'a, Db>;
