//! Typed rows of Open_vSwitch (ovs-vswitchd.conf.db(5)): the tables that a chassis controller reads and writes.
#![forbid(unsafe_code)]

use kiln_ovsdb::{Map, Set, Text};
use kiln_schema::decl::{boolean, integer, map, one, opt, set, string, strong, table};
use kiln_types::Uuid;

kiln_schema::database! {
    /// The database of one Open vSwitch.
    pub struct VswitchDb = "Open_vSwitch" "8.8.0";

    /// Rows of `Open_vSwitch`.
    open_vswitch: OpenVswitch = table("Open_vSwitch").root().max_rows(1) => {
        datapaths: Map<Text, Uuid> = map(string(), strong("Datapath")),
        bridges: Set<Uuid> = set(strong("Bridge")),
        manager_options: Set<Uuid> = set(strong("Manager")),
        ssl: Option<Uuid> = opt(strong("SSL")),
        other_config: Map<Text, Text> = map(string(), string()),
        external_ids: Map<Text, Text> = map(string(), string()),
        next_cfg: i64 = one(integer()),
        cur_cfg: i64 = one(integer()),
        statistics: Map<Text, Text> = map(string(), string()).ephemeral(),
        ovs_version: Option<Text> = opt(string()),
        system_type: Option<Text> = opt(string()),
        system_version: Option<Text> = opt(string()),
        datapath_types: Set<Text> = set(string()),
        iface_types: Set<Text> = set(string()),
        dpdk_initialized: bool = one(boolean()),
        dpdk_version: Option<Text> = opt(string()),
    }

    /// Rows of `Bridge`.
    bridge: Bridge = table("Bridge").index(&["name"]) => {
        name: Text = one(string()).immutable(),
        datapath_type: Text = one(string()),
        datapath_version: Text = one(string()),
        datapath_id: Option<Text> = opt(string()).ephemeral(),
        stp_enable: bool = one(boolean()),
        rstp_enable: bool = one(boolean()),
        mcast_snooping_enable: bool = one(boolean()),
        ports: Set<Uuid> = set(strong("Port")),
        mirrors: Set<Uuid> = set(strong("Mirror")),
        netflow: Option<Uuid> = opt(strong("NetFlow")),
        sflow: Option<Uuid> = opt(strong("sFlow")),
        ipfix: Option<Uuid> = opt(strong("IPFIX")),
        controller: Set<Uuid> = set(strong("Controller")),
        protocols: Set<Text> = set(string().one_of(&["OpenFlow10", "OpenFlow11", "OpenFlow12", "OpenFlow13", "OpenFlow14", "OpenFlow15"])),
        fail_mode: Option<Text> = opt(string().one_of(&["standalone", "secure"])),
        status: Map<Text, Text> = map(string(), string()).ephemeral(),
        rstp_status: Map<Text, Text> = map(string(), string()).ephemeral(),
        other_config: Map<Text, Text> = map(string(), string()),
        external_ids: Map<Text, Text> = map(string(), string()),
        flood_vlans: Set<i64> = set(integer().within(0, 4095)).count(0, Some(4096)),
        flow_tables: Map<i64, Uuid> = map(integer().within(0, 254), strong("Flow_Table")),
        auto_attach: Option<Uuid> = opt(strong("AutoAttach")),
    }

    /// Rows of `Port`.
    port: Port = table("Port").index(&["name"]) => {
        name: Text = one(string()).immutable(),
        interfaces: Set<Uuid> = set(strong("Interface")).count(1, None),
        trunks: Set<i64> = set(integer().within(0, 4095)).count(0, Some(4096)),
        cvlans: Set<i64> = set(integer().within(0, 4095)).count(0, Some(4096)),
        tag: Option<i64> = opt(integer().within(0, 4095)),
        vlan_mode: Option<Text> = opt(string().one_of(&["trunk", "access", "native-tagged", "native-untagged", "dot1q-tunnel"])),
        qos: Option<Uuid> = opt(strong("QoS")),
        mac: Option<Text> = opt(string()),
        bond_mode: Option<Text> = opt(string().one_of(&["balance-tcp", "balance-slb", "active-backup"])),
        lacp: Option<Text> = opt(string().one_of(&["active", "passive", "off"])),
        bond_updelay: i64 = one(integer()),
        bond_downdelay: i64 = one(integer()),
        bond_active_slave: Option<Text> = opt(string()),
        bond_fake_iface: bool = one(boolean()),
        fake_bridge: bool = one(boolean()),
        status: Map<Text, Text> = map(string(), string()).ephemeral(),
        rstp_status: Map<Text, Text> = map(string(), string()).ephemeral(),
        rstp_statistics: Map<Text, i64> = map(string(), integer()).ephemeral(),
        statistics: Map<Text, i64> = map(string(), integer()).ephemeral(),
        protected: bool = one(boolean()),
        other_config: Map<Text, Text> = map(string(), string()),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `Interface`.
    interface: Interface = table("Interface").index(&["name"]) => {
        name: Text = one(string()).immutable(),
        r#type: Text = one(string()),
        options: Map<Text, Text> = map(string(), string()),
        ingress_policing_rate: i64 = one(integer().at_least(0)),
        ingress_policing_burst: i64 = one(integer().at_least(0)),
        ingress_policing_kpkts_rate: i64 = one(integer().at_least(0)),
        ingress_policing_kpkts_burst: i64 = one(integer().at_least(0)),
        mac_in_use: Option<Text> = opt(string()).ephemeral(),
        mac: Option<Text> = opt(string()),
        ifindex: Option<i64> = opt(integer().within(0, 4294967295)).ephemeral(),
        external_ids: Map<Text, Text> = map(string(), string()),
        ofport: Option<i64> = opt(integer()),
        ofport_request: Option<i64> = opt(integer().within(1, 65279)),
        bfd: Map<Text, Text> = map(string(), string()),
        bfd_status: Map<Text, Text> = map(string(), string()).ephemeral(),
        cfm_mpid: Option<i64> = opt(integer()),
        cfm_remote_mpids: Set<i64> = set(integer()).ephemeral(),
        cfm_flap_count: Option<i64> = opt(integer()),
        cfm_fault: Option<bool> = opt(boolean()).ephemeral(),
        cfm_fault_status: Set<Text> = set(string()).ephemeral(),
        cfm_remote_opstate: Option<Text> = opt(string().one_of(&["up", "down"])).ephemeral(),
        cfm_health: Option<i64> = opt(integer().within(0, 100)).ephemeral(),
        lacp_current: Option<bool> = opt(boolean()).ephemeral(),
        lldp: Map<Text, Text> = map(string(), string()),
        other_config: Map<Text, Text> = map(string(), string()),
        statistics: Map<Text, i64> = map(string(), integer()).ephemeral(),
        status: Map<Text, Text> = map(string(), string()).ephemeral(),
        admin_state: Option<Text> = opt(string().one_of(&["up", "down"])).ephemeral(),
        link_state: Option<Text> = opt(string().one_of(&["up", "down"])).ephemeral(),
        link_resets: Option<i64> = opt(integer()).ephemeral(),
        link_speed: Option<i64> = opt(integer()).ephemeral(),
        duplex: Option<Text> = opt(string().one_of(&["half", "full"])).ephemeral(),
        mtu: Option<i64> = opt(integer()).ephemeral(),
        mtu_request: Option<i64> = opt(integer().at_least(1)),
        error: Option<Text> = opt(string()),
    }

    /// Rows of `Flow_Table`.
    flow_table: FlowTable = table("Flow_Table") => {
        name: Option<Text> = opt(string()),
        flow_limit: Option<i64> = opt(integer().at_least(0)),
        overflow_policy: Option<Text> = opt(string().one_of(&["refuse", "evict"])),
        groups: Set<Text> = set(string()),
        prefixes: Set<Text> = set(string()).count(0, Some(4)),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `QoS`.
    qos: Qos = table("QoS").root() => {
        r#type: Text = one(string()),
        queues: Map<i64, Uuid> = map(integer().within(0, 4294967295), strong("Queue")),
        other_config: Map<Text, Text> = map(string(), string()),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `Queue`.
    queue: Queue = table("Queue").root() => {
        dscp: Option<i64> = opt(integer().within(0, 63)),
        other_config: Map<Text, Text> = map(string(), string()),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `Flow_Sample_Collector_Set`.
    flow_sample_collector_set: FlowSampleCollectorSet = table("Flow_Sample_Collector_Set").root().index(&["id", "bridge"]) => {
        id: i64 = one(integer().within(0, 4294967295)),
        bridge: Uuid = one(strong("Bridge")),
        ipfix: Option<Uuid> = opt(strong("IPFIX")),
        local_group_id: Option<i64> = opt(integer().within(0, 4294967295)),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `Datapath`.
    datapath: Datapath = table("Datapath") => {
        datapath_version: Text = one(string()),
        ct_zones: Map<i64, Uuid> = map(integer().within(0, 65535), strong("CT_Zone")),
        capabilities: Map<Text, Text> = map(string(), string()),
        ct_zone_default_limit: Option<i64> = opt(integer().within(0, 4294967295)),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `CT_Zone`.
    ct_zone: CtZone = table("CT_Zone") => {
        timeout_policy: Option<Uuid> = opt(strong("CT_Timeout_Policy")),
        limit: Option<i64> = opt(integer().within(0, 4294967295)),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `SSL`.
    ssl: Ssl = table("SSL").max_rows(1) => {
        private_key: Text = one(string()),
        certificate: Text = one(string()),
        ca_cert: Text = one(string()),
        bootstrap_ca_cert: bool = one(boolean()),
        external_ids: Map<Text, Text> = map(string(), string()),
    }
}
