//! The tables of the compiler: replicas of both databases, what the shell knows, and what rules derive from them.

use crate::address_set::{Form, Member, Set};
use crate::binding::Residence;
use crate::bridge::Patch;
use crate::chassis::{Progress, Registration};
use crate::ct_zone;
use crate::desired::Desired;
use crate::installed::Bound;
use crate::logical_flow::{Abilities, OfMembers, Site};
use crate::outstanding::{Ops, SbOp, VsOp};
use crate::port::LocalPort;
use crate::reach::{LocalDatapath, Steps};
use crate::restore_wait::SwitchStart;
use crate::settings::{EncapKind, Settings};
use crate::tunnel::{Tunnel, WantedTunnel};
use kiln_incr::{Database, Derived, Join, Pairs, Relation, Sets, Visitor};
use kiln_ovsdb::Text;
use kiln_responder::NextHop;
use kiln_schema_ovn::sb::Southbound;
use kiln_schema_vswitch::VswitchDb;
use kiln_types::{EthAddr, Uuid};
use std::net::IpAddr;

/// What the shell knows and the databases do not say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Facts {
    /// The chassis' name, from the command line or a file, which wins over the database's.
    pub chassis_name: Option<Text>,
    /// What the host calls itself.
    pub hostname: Text,
    /// The number N of the switch's `tun_metadataN` that OVN's Geneve option is mapped to, once it is.
    pub geneve_option: Option<u8>,
    /// The switch has select groups.
    pub groups: bool,
    /// The switch has meters.
    pub meters: bool,
    /// The switch takes a sample's observation point from a register.
    pub sample_with_registers: bool,
    /// The switch flushes connections by label.
    pub ct_label_flush: bool,
    /// The switch's database takes limits of conntrack zones.
    pub ct_zone_limits: bool,
    /// The switch's database takes four prefixes in a Flow_Table.
    pub four_prefixes: bool,
}

macro_rules! tables {
    (
        inputs { $($input:ident: $InputType:ty = $input_new:expr,)* }
        tables { $($table:ident: $Type:ident<$($P:ty),*>,)* }
        targets { $($target:ident: $TargetType:ty,)* }
    ) => {
        /// All tables.
        #[allow(missing_docs)]
        pub struct Db {
            $(pub $input: $InputType,)*
            $(pub(crate) $table: $Type<$($P),*>,)*
            $(pub(crate) $target: $TargetType,)*
        }

        impl Default for Db {
            fn default() -> Self {
                let mut db = Db {
                    $($input: $input_new,)*
                    $($table: $Type::new(stringify!($table)),)*
                    $($target: Default::default(),)*
                };
                db.facts.put((), Facts::default());
                db
            }
        }

        impl Database for Db {
            fn visit(&mut self, v: &mut dyn Visitor) {
                self.sb.visit(v);
                self.vs.visit(v);
                $(v.table(&mut self.$table);)*
            }
        }
    };
}

tables! {
    inputs {
        sb: Southbound = Southbound::new(),
        vs: VswitchDb = VswitchDb::new(),
    }
    tables {
        // What the shell knows.
        facts: Derived<(), Facts>,
        progress: Derived<(), Progress>,
        switch_start: Derived<(), SwitchStart>,
        contested: Derived<Uuid, ()>,
        activated: Derived<Uuid, ()>,

        // What the slow path knows: next hops that gave no answer a moment ago.
        held_down: Derived<NextHop, ()>,

        // Who refers to whom, and who has which name.
        root: Relation<(), Uuid>,
        bridge_named: Relation<Text, Uuid>,
        bridge_of_port: Relation<Uuid, Uuid>,
        port_of_interface: Relation<Uuid, Uuid>,
        switch_port_named: Relation<Text, Uuid>,
        interfaces_with_id: Relation<Text, Uuid>,
        patch_interfaces: Relation<Text, Uuid>,
        patch_ports: Relation<Text, Uuid>,
        chassis_named: Relation<Text, Uuid>,
        chassis_private_named: Relation<Text, Uuid>,
        encap_at: Relation<(Text, Text), Uuid>,
        port_named: Relation<Text, Uuid>,
        port_keyed: Relation<(Uuid, u16), Uuid>,
        containers_in: Relation<Text, Uuid>,
        localnet_of: Relation<Uuid, Uuid>,
        multichassis_of: Relation<Uuid, Uuid>,
        patches_of: Relation<Uuid, Uuid>,
        datapath_keyed: Relation<u32, Uuid>,
        groups_named: Relation<(Uuid, Text), Uuid>,
        sets_named: Relation<Text, Uuid>,
        templates_of: Relation<Text, Uuid>,
        sb_global: Relation<(), Uuid>,

        // This chassis.
        settings: Derived<(), Settings>,
        integration: Derived<(), Uuid>,
        capabilities: Derived<(), crate::bridge::Capabilities>,
        me: Derived<(), Uuid>,
        registration: Derived<(), Registration>,

        // What matters here.
        residence: Derived<Uuid, Residence>,
        reached: Derived<Uuid, ()>,
        local_datapaths: Derived<Uuid, LocalDatapath>,
        ct_zones: Derived<Text, u16>,
        ct_limits: Relation<Text, i64>,
        ct_zone_names: Relation<u16, Text>,
        ports: Derived<Uuid, LocalPort>,
        wanted_tunnels: Derived<Text, WantedTunnel>,
        tunnel_ports: Relation<Text, Uuid>,
        shared_ports: Relation<(), (EncapKind, u32)>,
        tunnels: Relation<Uuid, Tunnel>,
        remote_tunnels: Relation<(), (Uuid, Tunnel)>,
        heard: Relation<Uuid, Uuid>,
        hears: Relation<(), ()>,
        watched: Relation<Uuid, Uuid>,
        shared_gateways: Relation<(), Uuid>,
        patches: Derived<Text, Patch>,
        installed: Derived<Uuid, ()>,
        vlan_routers: Relation<Uuid, Uuid>,
        macs_translated: Relation<(), ()>,

        learns: Derived<Uuid, crate::bindings::Learns>,
        neighbor_rows: Relation<(Text, IpAddr), Uuid>,
        fixed_rows: Relation<(Text, IpAddr), Uuid>,
        station_rows: Relation<(i64, EthAddr), Uuid>,

        // Logical flows.
        address_sets: Derived<Text, Set>,
        set_texts: Sets<Text, Text>,
        set_members: Pairs<Text, Member>,
        set_forms: Relation<Text, Form>,
        set_alternatives: Pairs<Text, Member>,
        sets_apart: Derived<Text, u8>,
        port_groups: Derived<Text, crate::names::Members>,
        abilities: Derived<(), Abilities>,
        group_sites: Relation<Uuid, Uuid>,
        sites: Relation<Site, ()>,
        demanding_sites: Relation<Site, ()>,
        flows_of_members: Derived<Site, OfMembers>,
        set_users: Pairs<Text, Site>,
        member_sites: Join<Text, Site, Member>,
        meters_named: Relation<Text, Uuid>,
        dhcp_options: Relation<Text, (i64, Text)>,
        dhcpv6_options: Relation<Text, (i64, Text)>,
        collector_sets: Relation<i64, Uuid>,
        conjunction_ids: Derived<Site, u32>,
        group_ids: Derived<Box<str>, u32>,
        meter_ids: Derived<Box<str>, u32>,
    }
    targets {
        steps: Steps,
        zone_requests: ct_zone::Requests,
        bound: Bound,
        bindings: crate::bindings::Bindings,
        said: crate::changes::Changes<(kiln_responder::NextHop, kiln_types::EthAddr)>,
        station_keeps: crate::bindings::StationKeeps,
        gone: crate::learned::Gone,
        announced: crate::changes::Changes<kiln_responder::Announcement>,
        advertised: crate::changes::Changes<kiln_responder::PeriodicAdvert>,
        conjunctions: crate::conjunction::Conjunctions,
        desired: Desired,
        sb_ops: Ops<SbOp>,
        vs_ops: Ops<VsOp>,
    }
}

/// A run's view of the tables.
pub(crate) type Ctx<'a> = kiln_incr::Ctx<'a, Db>;
