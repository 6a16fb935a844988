//! OVN_Southbound: what the chassis are told and what they report (ovn-sb(5)).

use kiln_ovsdb::{Map, Set, Text};
use kiln_schema::decl::{boolean, integer, map, one, opt, set, string, strong, table, uuid, weak};
use kiln_types::{SharedSet, Uuid};

kiln_schema::database! {
    /// The southbound database.
    pub struct Southbound = "OVN_Southbound" "21.8.0" cksum "614397313 36713";

    /// Rows of `SB_Global`.
    sb_global: SbGlobal = table("SB_Global").root().max_rows(1) => {
        nb_cfg: i64 = one(integer()),
        external_ids: Map<Text, Text> = map(string(), string()),
        connections: Set<Uuid> = set(strong("Connection")),
        ssl: Option<Uuid> = opt(strong("SSL")),
        options: Map<Text, Text> = map(string(), string()),
        ipsec: bool = one(boolean()),
    }

    /// Rows of `Chassis`.
    chassis: Chassis = table("Chassis").root().index(&["name"]) => {
        name: Text = one(string()),
        hostname: Text = one(string()),
        encaps: Set<Uuid> = set(strong("Encap")).count(1, None),
        vtep_logical_switches: Set<Text> = set(string()),
        nb_cfg: i64 = one(integer()),
        external_ids: Map<Text, Text> = map(string(), string()),
        other_config: Map<Text, Text> = map(string(), string()),
        transport_zones: Set<Text> = set(string()),
    }

    /// Rows of `Chassis_Private`.
    chassis_private: ChassisPrivate = table("Chassis_Private").root().index(&["name"]) => {
        name: Text = one(string()),
        chassis: Option<Uuid> = opt(weak("Chassis")),
        nb_cfg: i64 = one(integer()),
        nb_cfg_timestamp: i64 = one(integer()),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `Encap`.
    encap: Encap = table("Encap").index(&["type", "ip"]) => {
        r#type: Text = one(string().one_of(&["geneve", "vxlan"])),
        options: Map<Text, Text> = map(string(), string()),
        ip: Text = one(string()),
        chassis_name: Text = one(string()),
    }

    /// Rows of `Address_Set`.
    address_set: AddressSet = table("Address_Set").root().index(&["name"]) => {
        name: Text = one(string()),
        addresses: SharedSet<Text> = set(string()),
    }

    /// Rows of `Port_Group`.
    port_group: PortGroup = table("Port_Group").root().index(&["name"]) => {
        name: Text = one(string()),
        ports: Set<Text> = set(string()),
    }

    /// Rows of `Logical_Flow`.
    logical_flow: LogicalFlow = table("Logical_Flow").root() => {
        logical_datapath: Option<Uuid> = opt(strong("Datapath_Binding")),
        logical_dp_group: Option<Uuid> = opt(strong("Logical_DP_Group")),
        pipeline: Text = one(string().one_of(&["ingress", "egress"])),
        table_id: i64 = one(integer().within(0, 33)),
        priority: i64 = one(integer().within(0, 65535)),
        r#match: Text = one(string()),
        actions: Text = one(string()),
        tags: Map<Text, Text> = map(string(), string()),
        controller_meter: Option<Text> = opt(string()),
        external_ids: Map<Text, Text> = map(string(), string()),
        flow_desc: Option<Text> = opt(string()),
    }

    /// Rows of `Logical_DP_Group`.
    logical_dp_group: LogicalDpGroup = table("Logical_DP_Group") => {
        datapaths: Set<Uuid> = set(weak("Datapath_Binding")),
    }

    /// Rows of `Multicast_Group`.
    multicast_group: MulticastGroup = table("Multicast_Group").root().index(&["datapath", "tunnel_key"]).index(&["datapath", "name"]) => {
        datapath: Uuid = one(strong("Datapath_Binding")),
        name: Text = one(string()),
        tunnel_key: i64 = one(integer().within(32768, 65535)),
        ports: Set<Uuid> = set(weak("Port_Binding")),
    }

    /// Rows of `Mirror`.
    mirror: Mirror = table("Mirror").root().index(&["name"]) => {
        name: Text = one(string()),
        filter: Text = one(string().one_of(&["from-lport", "to-lport", "both"])),
        sink: Text = one(string()),
        r#type: Text = one(string().one_of(&["gre", "erspan", "local", "lport"])),
        index: i64 = one(integer()),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `Meter`.
    meter: Meter = table("Meter").root().index(&["name"]) => {
        name: Text = one(string()),
        unit: Text = one(string().one_of(&["kbps", "pktps"])),
        bands: Set<Uuid> = set(strong("Meter_Band")).count(1, None),
    }

    /// Rows of `Meter_Band`.
    meter_band: MeterBand = table("Meter_Band") => {
        action: Text = one(string().one_of(&["drop"])),
        rate: i64 = one(integer().within(1, 4294967295)),
        burst_size: i64 = one(integer().within(0, 4294967295)),
    }

    /// Rows of `Datapath_Binding`.
    datapath_binding: DatapathBinding = table("Datapath_Binding").root().index(&["tunnel_key"]) => {
        tunnel_key: i64 = one(integer().within(1, 16777215)),
        load_balancers: Set<Uuid> = set(uuid()),
        r#type: Option<Text> = opt(string().one_of(&["logical-switch", "logical-router"])),
        nb_uuid: Option<Uuid> = opt(uuid()),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `Port_Binding`.
    port_binding: PortBinding = table("Port_Binding").root().index(&["datapath", "tunnel_key"]).index(&["logical_port"]) => {
        logical_port: Text = one(string()),
        r#type: Text = one(string()),
        gateway_chassis: Set<Uuid> = set(strong("Gateway_Chassis")),
        ha_chassis_group: Option<Uuid> = opt(strong("HA_Chassis_Group")),
        options: Map<Text, Text> = map(string(), string()),
        datapath: Uuid = one(strong("Datapath_Binding")),
        tunnel_key: i64 = one(integer().within(1, 32767)),
        parent_port: Option<Text> = opt(string()),
        mirror_port: Option<Text> = opt(string()),
        tag: Option<i64> = opt(integer().within(1, 4095)),
        virtual_parent: Option<Text> = opt(string()),
        chassis: Option<Uuid> = opt(weak("Chassis")),
        additional_chassis: Set<Uuid> = set(weak("Chassis")),
        encap: Option<Uuid> = opt(weak("Encap")),
        additional_encap: Set<Uuid> = set(weak("Encap")),
        mirror_rules: Set<Uuid> = set(weak("Mirror")),
        mac: Set<Text> = set(string()),
        port_security: Set<Text> = set(string()),
        nat_addresses: Set<Text> = set(string()),
        up: Option<bool> = opt(boolean()),
        external_ids: Map<Text, Text> = map(string(), string()),
        requested_chassis: Option<Uuid> = opt(weak("Chassis")),
        requested_additional_chassis: Set<Uuid> = set(weak("Chassis")),
    }

    /// Rows of `MAC_Binding`.
    mac_binding: MacBinding = table("MAC_Binding").root().index(&["logical_port", "ip"]) => {
        logical_port: Text = one(string()),
        ip: Text = one(string()),
        mac: Text = one(string()),
        timestamp: i64 = one(integer()),
        datapath: Uuid = one(strong("Datapath_Binding")),
    }

    /// Rows of `DHCP_Options`.
    dhcp_options: DhcpOptions = table("DHCP_Options").root() => {
        name: Text = one(string()),
        code: i64 = one(integer().within(0, 254)),
        r#type: Text = one(string().one_of(&["bool", "uint8", "uint16", "uint32", "ipv4", "static_routes", "str", "host_id", "domains"])),
    }

    /// Rows of `DHCPv6_Options`.
    dhcpv6_options: Dhcpv6Options = table("DHCPv6_Options").root() => {
        name: Text = one(string()),
        code: i64 = one(integer().within(0, 254)),
        r#type: Text = one(string().one_of(&["ipv6", "str", "mac", "domain"])),
    }

    /// Rows of `Connection`.
    connection: Connection = table("Connection").index(&["target"]) => {
        target: Text = one(string()),
        max_backoff: Option<i64> = opt(integer().at_least(1000)),
        inactivity_probe: Option<i64> = opt(integer()),
        read_only: bool = one(boolean()),
        role: Text = one(string()),
        other_config: Map<Text, Text> = map(string(), string()),
        external_ids: Map<Text, Text> = map(string(), string()),
        is_connected: bool = one(boolean()).ephemeral(),
        status: Map<Text, Text> = map(string(), string()).ephemeral(),
    }

    /// Rows of `SSL`.
    ssl: Ssl = table("SSL").max_rows(1) => {
        private_key: Text = one(string()),
        certificate: Text = one(string()),
        ca_cert: Text = one(string()),
        bootstrap_ca_cert: bool = one(boolean()),
        ssl_protocols: Text = one(string()),
        ssl_ciphers: Text = one(string()),
        ssl_ciphersuites: Text = one(string()),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `DNS`.
    dns: Dns = table("DNS").root() => {
        records: Map<Text, Text> = map(string(), string()),
        datapaths: Set<Uuid> = set(strong("Datapath_Binding")).count(1, None),
        options: Map<Text, Text> = map(string(), string()),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `RBAC_Role`.
    rbac_role: RbacRole = table("RBAC_Role").root() => {
        name: Text = one(string()),
        permissions: Map<Text, Uuid> = map(string(), weak("RBAC_Permission")),
    }

    /// Rows of `RBAC_Permission`.
    rbac_permission: RbacPermission = table("RBAC_Permission").root() => {
        table: Text = one(string()),
        authorization: Set<Text> = set(string()),
        insert_delete: bool = one(boolean()),
        update: Set<Text> = set(string()),
    }

    /// Rows of `Gateway_Chassis`.
    gateway_chassis: GatewayChassis = table("Gateway_Chassis").index(&["name"]) => {
        name: Text = one(string()),
        chassis: Option<Uuid> = opt(weak("Chassis")),
        priority: i64 = one(integer().within(0, 32767)),
        external_ids: Map<Text, Text> = map(string(), string()),
        options: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `HA_Chassis`.
    ha_chassis: HaChassis = table("HA_Chassis") => {
        chassis: Option<Uuid> = opt(weak("Chassis")),
        priority: i64 = one(integer().within(0, 32767)),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `HA_Chassis_Group`.
    ha_chassis_group: HaChassisGroup = table("HA_Chassis_Group").root().index(&["name"]) => {
        name: Text = one(string()),
        ha_chassis: Set<Uuid> = set(strong("HA_Chassis")),
        ref_chassis: Set<Uuid> = set(weak("Chassis")),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `Controller_Event`.
    controller_event: ControllerEvent = table("Controller_Event").root() => {
        event_type: Text = one(string().one_of(&["empty_lb_backends"])),
        event_info: Map<Text, Text> = map(string(), string()),
        chassis: Option<Uuid> = opt(weak("Chassis")),
        seq_num: i64 = one(integer()),
    }

    /// Rows of `IP_Multicast`.
    ip_multicast: IpMulticast = table("IP_Multicast").root().index(&["datapath"]) => {
        datapath: Uuid = one(weak("Datapath_Binding")),
        enabled: Option<bool> = opt(boolean()),
        querier: Option<bool> = opt(boolean()),
        eth_src: Text = one(string()),
        ip4_src: Text = one(string()),
        ip6_src: Text = one(string()),
        table_size: Option<i64> = opt(integer()),
        idle_timeout: Option<i64> = opt(integer()),
        query_interval: Option<i64> = opt(integer()),
        query_max_resp: Option<i64> = opt(integer()),
        seq_no: i64 = one(integer()),
    }

    /// Rows of `IGMP_Group`.
    igmp_group: IgmpGroup = table("IGMP_Group").root().index(&["address", "datapath", "chassis"]) => {
        address: Text = one(string()),
        protocol: Text = one(string()),
        datapath: Option<Uuid> = opt(weak("Datapath_Binding")),
        chassis: Option<Uuid> = opt(weak("Chassis")),
        ports: Set<Uuid> = set(weak("Port_Binding")),
        chassis_name: Text = one(string()),
    }

    /// Rows of `Service_Monitor`.
    service_monitor: ServiceMonitor = table("Service_Monitor").root().index(&["logical_port", "ip", "port", "protocol"]) => {
        r#type: Option<Text> = opt(string().one_of(&["load-balancer", "network-function", "logical-switch-port"])),
        ip: Text = one(string()),
        mac: Text = one(string()),
        protocol: Option<Text> = opt(string().one_of(&["tcp", "udp", "icmp"])),
        port: i64 = one(integer().within(0, 65535)),
        logical_input_port: Text = one(string()),
        logical_port: Text = one(string()),
        src_mac: Text = one(string()),
        src_ip: Text = one(string()),
        chassis_name: Text = one(string()),
        status: Option<Text> = opt(string().one_of(&["online", "offline", "error"])),
        ic_learned: bool = one(boolean()),
        remote: bool = one(boolean()),
        options: Map<Text, Text> = map(string(), string()),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `Load_Balancer`.
    load_balancer: LoadBalancer = table("Load_Balancer").root() => {
        name: Text = one(string()),
        vips: Map<Text, Text> = map(string(), string()),
        protocol: Option<Text> = opt(string().one_of(&["tcp", "udp", "sctp"])),
        datapaths: Set<Uuid> = set(strong("Datapath_Binding")),
        datapath_group: Option<Uuid> = opt(strong("Logical_DP_Group")),
        ls_datapath_group: Option<Uuid> = opt(strong("Logical_DP_Group")),
        lr_datapath_group: Option<Uuid> = opt(strong("Logical_DP_Group")),
        options: Map<Text, Text> = map(string(), string()),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `BFD`.
    bfd: Bfd = table("BFD").root().index(&["logical_port", "dst_ip", "src_port", "disc"]) => {
        src_port: i64 = one(integer().within(49152, 65535)),
        disc: i64 = one(integer()),
        logical_port: Text = one(string()),
        dst_ip: Text = one(string()),
        min_tx: i64 = one(integer()),
        min_rx: i64 = one(integer()),
        detect_mult: i64 = one(integer()),
        status: Text = one(string().one_of(&["down", "init", "up", "admin_down"])),
        external_ids: Map<Text, Text> = map(string(), string()),
        options: Map<Text, Text> = map(string(), string()),
        chassis_name: Text = one(string()),
    }

    /// Rows of `FDB`.
    fdb: Fdb = table("FDB").root().index(&["mac", "dp_key"]) => {
        mac: Text = one(string()),
        dp_key: i64 = one(integer().within(1, 16777215)),
        port_key: i64 = one(integer().within(1, 16777215)),
        timestamp: i64 = one(integer()),
    }

    /// Rows of `Static_MAC_Binding`.
    static_mac_binding: StaticMacBinding = table("Static_MAC_Binding").root().index(&["logical_port", "ip"]) => {
        logical_port: Text = one(string()),
        ip: Text = one(string()),
        mac: Text = one(string()),
        override_dynamic_mac: bool = one(boolean()),
        datapath: Uuid = one(strong("Datapath_Binding")),
    }

    /// Rows of `ECMP_Nexthop`.
    ecmp_nexthop: EcmpNexthop = table("ECMP_Nexthop").root().index(&["nexthop", "port"]) => {
        nexthop: Text = one(string()),
        port: Uuid = one(strong("Port_Binding")),
        datapath: Uuid = one(strong("Datapath_Binding")),
        mac: Text = one(string()),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `Chassis_Template_Var`.
    chassis_template_var: ChassisTemplateVar = table("Chassis_Template_Var").root().index(&["chassis"]) => {
        chassis: Text = one(string()),
        variables: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `Advertised_Route`.
    advertised_route: AdvertisedRoute = table("Advertised_Route").root().index(&["datapath", "logical_port", "ip_prefix", "tracked_port"]) => {
        datapath: Uuid = one(strong("Datapath_Binding")),
        logical_port: Uuid = one(strong("Port_Binding")),
        ip_prefix: Text = one(string()),
        tracked_port: Option<Uuid> = opt(strong("Port_Binding")),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `Learned_Route`.
    learned_route: LearnedRoute = table("Learned_Route").root().index(&["datapath", "logical_port", "ip_prefix", "nexthop"]) => {
        datapath: Uuid = one(strong("Datapath_Binding")),
        logical_port: Uuid = one(strong("Port_Binding")),
        ip_prefix: Text = one(string()),
        nexthop: Text = one(string()),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `ACL_ID`.
    acl_id: AclId = table("ACL_ID").root() => {
        id: i64 = one(integer().within(0, 32767)),
    }

    /// Rows of `Advertised_MAC_Binding`.
    advertised_mac_binding: AdvertisedMacBinding = table("Advertised_MAC_Binding").root().index(&["datapath", "logical_port", "ip", "mac"]) => {
        datapath: Uuid = one(strong("Datapath_Binding")),
        logical_port: Uuid = one(strong("Port_Binding")),
        ip: Text = one(string()),
        mac: Text = one(string()),
        external_ids: Map<Text, Text> = map(string(), string()),
    }
}
