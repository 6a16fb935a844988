//! OVN_Northbound: what the cloud management system asks for (ovn-nb(5)).

use kiln_ovsdb::{Map, Set, Text};
use kiln_schema::decl::{boolean, integer, map, one, opt, set, string, strong, table, weak};
use kiln_types::Uuid;

kiln_schema::database! {
    /// The northbound database.
    pub struct Northbound = "OVN_Northbound" "7.18.0" cksum "1537030958 45190";

    /// Rows of `NB_Global`.
    nb_global: NbGlobal = table("NB_Global").root().max_rows(1) => {
        name: Text = one(string()),
        nb_cfg: i64 = one(integer()),
        nb_cfg_timestamp: i64 = one(integer()),
        sb_cfg: i64 = one(integer()),
        sb_cfg_timestamp: i64 = one(integer()),
        hv_cfg: i64 = one(integer()),
        hv_cfg_timestamp: i64 = one(integer()),
        external_ids: Map<Text, Text> = map(string(), string()),
        connections: Set<Uuid> = set(strong("Connection")),
        ssl: Option<Uuid> = opt(strong("SSL")),
        options: Map<Text, Text> = map(string(), string()),
        ipsec: bool = one(boolean()),
    }

    /// Rows of `Sample_Collector`.
    sample_collector: SampleCollector = table("Sample_Collector").root().index(&["id"]) => {
        id: i64 = one(integer().within(1, 255)),
        name: Text = one(string()),
        probability: i64 = one(integer().within(0, 65535)),
        set_id: i64 = one(integer().within(1, 4294967295)),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `Sample`.
    sample: Sample = table("Sample").index(&["metadata"]) => {
        collectors: Set<Uuid> = set(strong("Sample_Collector")),
        metadata: i64 = one(integer().within(1, 4294967295)),
    }

    /// Rows of `Copp`.
    copp: Copp = table("Copp").root().index(&["name"]) => {
        name: Text = one(string()),
        meters: Map<Text, Text> = map(string(), string()),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `Logical_Switch`.
    logical_switch: LogicalSwitch = table("Logical_Switch").root() => {
        name: Text = one(string()),
        ports: Set<Uuid> = set(strong("Logical_Switch_Port")),
        acls: Set<Uuid> = set(strong("ACL")),
        qos_rules: Set<Uuid> = set(strong("QoS")),
        load_balancer: Set<Uuid> = set(weak("Load_Balancer")),
        load_balancer_group: Set<Uuid> = set(strong("Load_Balancer_Group")),
        dns_records: Set<Uuid> = set(weak("DNS")),
        copp: Option<Uuid> = opt(weak("Copp")),
        other_config: Map<Text, Text> = map(string(), string()),
        external_ids: Map<Text, Text> = map(string(), string()),
        forwarding_groups: Set<Uuid> = set(strong("Forwarding_Group")),
    }

    /// Rows of `Logical_Switch_Port`.
    logical_switch_port: LogicalSwitchPort = table("Logical_Switch_Port").index(&["name"]) => {
        name: Text = one(string()),
        r#type: Text = one(string()),
        options: Map<Text, Text> = map(string(), string()),
        parent_name: Option<Text> = opt(string()),
        tag_request: Option<i64> = opt(integer().within(0, 4095)),
        tag: Option<i64> = opt(integer().within(1, 4095)),
        addresses: Set<Text> = set(string()),
        dynamic_addresses: Option<Text> = opt(string()),
        port_security: Set<Text> = set(string()),
        peer: Option<Text> = opt(string()),
        up: Option<bool> = opt(boolean()),
        enabled: Option<bool> = opt(boolean()),
        dhcpv4_options: Option<Uuid> = opt(weak("DHCP_Options")),
        dhcpv6_options: Option<Uuid> = opt(weak("DHCP_Options")),
        mirror_rules: Set<Uuid> = set(weak("Mirror")),
        ha_chassis_group: Option<Uuid> = opt(strong("HA_Chassis_Group")),
        health_checks: Set<Uuid> = set(strong("Logical_Switch_Port_Health_Check")),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `Network_Function_Health_Check`.
    network_function_health_check: NetworkFunctionHealthCheck = table("Network_Function_Health_Check").index(&["name"]) => {
        name: Text = one(string()),
        options: Map<Text, Text> = map(string(), string()),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `Network_Function`.
    network_function: NetworkFunction = table("Network_Function").root().index(&["name"]).index(&["id"]) => {
        name: Text = one(string()),
        outport: Uuid = one(strong("Logical_Switch_Port")),
        inport: Uuid = one(strong("Logical_Switch_Port")),
        health_check: Option<Uuid> = opt(strong("Network_Function_Health_Check")),
        id: i64 = one(integer().within(1, 255)),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `Network_Function_Group`.
    network_function_group: NetworkFunctionGroup = table("Network_Function_Group").root().index(&["name"]).index(&["id"]) => {
        name: Text = one(string()),
        fallback: Option<Text> = opt(string().one_of(&["fail-open", "fail-close"])),
        network_function: Set<Uuid> = set(strong("Network_Function")),
        network_function_active: Option<Uuid> = opt(strong("Network_Function")),
        mode: Text = one(string().one_of(&["inline"])),
        id: i64 = one(integer().within(1, 255)),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `Logical_Switch_Port_Health_Check`.
    logical_switch_port_health_check: LogicalSwitchPortHealthCheck = table("Logical_Switch_Port_Health_Check") => {
        protocol: Text = one(string().one_of(&["tcp", "udp", "icmp"])),
        src_ip: Text = one(string()),
        port: i64 = one(integer().within(0, 65535)),
        address: Text = one(string()),
        status: Option<Text> = opt(string().one_of(&["online", "offline", "error"])),
        options: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `Forwarding_Group`.
    forwarding_group: ForwardingGroup = table("Forwarding_Group") => {
        name: Text = one(string()),
        vip: Text = one(string()),
        vmac: Text = one(string()),
        liveness: bool = one(boolean()),
        external_ids: Map<Text, Text> = map(string(), string()),
        child_port: Set<Text> = set(string()).count(1, None),
    }

    /// Rows of `Address_Set`.
    address_set: AddressSet = table("Address_Set").root().index(&["name"]) => {
        name: Text = one(string()),
        addresses: Set<Text> = set(string()),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `Port_Group`.
    port_group: PortGroup = table("Port_Group").root().index(&["name"]) => {
        name: Text = one(string()),
        ports: Set<Uuid> = set(weak("Logical_Switch_Port")),
        acls: Set<Uuid> = set(strong("ACL")),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `Load_Balancer`.
    load_balancer: LoadBalancer = table("Load_Balancer").root() => {
        name: Text = one(string()),
        vips: Map<Text, Text> = map(string(), string()),
        protocol: Option<Text> = opt(string().one_of(&["tcp", "udp", "sctp"])),
        health_check: Set<Uuid> = set(strong("Load_Balancer_Health_Check")),
        ip_port_mappings: Map<Text, Text> = map(string(), string()),
        selection_fields: Set<Text> = set(string().one_of(&["eth_src", "eth_dst", "ip_src", "ip_dst", "ipv6_src", "ipv6_dst", "tp_src", "tp_dst"])),
        options: Map<Text, Text> = map(string(), string()),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `Load_Balancer_Group`.
    load_balancer_group: LoadBalancerGroup = table("Load_Balancer_Group").root().index(&["name"]) => {
        name: Text = one(string()),
        load_balancer: Set<Uuid> = set(weak("Load_Balancer")),
    }

    /// Rows of `Load_Balancer_Health_Check`.
    load_balancer_health_check: LoadBalancerHealthCheck = table("Load_Balancer_Health_Check") => {
        vip: Text = one(string()),
        options: Map<Text, Text> = map(string(), string()),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `ACL`.
    acl: Acl = table("ACL") => {
        name: Option<Text> = opt(string().max_length(63)),
        priority: i64 = one(integer().within(0, 32767)),
        direction: Text = one(string().one_of(&["from-lport", "to-lport"])),
        r#match: Text = one(string()),
        action: Text = one(string().one_of(&["allow", "allow-related", "allow-stateless", "drop", "reject", "pass"])),
        network_function_group: Option<Uuid> = opt(strong("Network_Function_Group")),
        log: bool = one(boolean()),
        severity: Option<Text> = opt(string().one_of(&["alert", "warning", "notice", "info", "debug"])),
        meter: Option<Text> = opt(string()),
        label: i64 = one(integer().within(0, 4294967295)),
        tier: i64 = one(integer().within(0, 3)),
        sample_new: Option<Uuid> = opt(strong("Sample")),
        sample_est: Option<Uuid> = opt(strong("Sample")),
        options: Map<Text, Text> = map(string(), string()),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `QoS`.
    qos: Qos = table("QoS") => {
        priority: i64 = one(integer().within(0, 32767)),
        direction: Text = one(string().one_of(&["from-lport", "to-lport"])),
        r#match: Text = one(string()),
        action: Map<Text, i64> = map(string().one_of(&["dscp", "mark"]), integer().within(0, 4294967295)),
        bandwidth: Map<Text, i64> = map(string().one_of(&["rate", "burst"]), integer().within(1, 4294967295)),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `Mirror`.
    mirror: Mirror = table("Mirror").root().index(&["name"]) => {
        name: Text = one(string()),
        filter: Text = one(string().one_of(&["from-lport", "to-lport", "both"])),
        sink: Text = one(string()),
        r#type: Text = one(string().one_of(&["gre", "erspan", "local", "lport"])),
        index: i64 = one(integer()),
        mirror_rules: Set<Uuid> = set(strong("Mirror_Rule")),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `Mirror_Rule`.
    mirror_rule: MirrorRule = table("Mirror_Rule") => {
        r#match: Text = one(string()),
        action: Text = one(string().one_of(&["mirror", "skip"])),
        priority: i64 = one(integer().within(0, 32767)),
    }

    /// Rows of `Meter`.
    meter: Meter = table("Meter").root().index(&["name"]) => {
        name: Text = one(string()),
        unit: Text = one(string().one_of(&["kbps", "pktps"])),
        bands: Set<Uuid> = set(strong("Meter_Band")).count(1, None),
        fair: Option<bool> = opt(boolean()),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `Meter_Band`.
    meter_band: MeterBand = table("Meter_Band") => {
        action: Text = one(string().one_of(&["drop"])),
        rate: i64 = one(integer().within(1, 4294967295)),
        burst_size: i64 = one(integer().within(0, 4294967295)),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `Logical_Router`.
    logical_router: LogicalRouter = table("Logical_Router").root() => {
        name: Text = one(string()),
        ports: Set<Uuid> = set(strong("Logical_Router_Port")),
        static_routes: Set<Uuid> = set(strong("Logical_Router_Static_Route")),
        policies: Set<Uuid> = set(strong("Logical_Router_Policy")),
        enabled: Option<bool> = opt(boolean()),
        nat: Set<Uuid> = set(strong("NAT")),
        load_balancer: Set<Uuid> = set(weak("Load_Balancer")),
        load_balancer_group: Set<Uuid> = set(strong("Load_Balancer_Group")),
        copp: Option<Uuid> = opt(weak("Copp")),
        options: Map<Text, Text> = map(string(), string()),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `Logical_Router_Port`.
    logical_router_port: LogicalRouterPort = table("Logical_Router_Port").index(&["name"]) => {
        name: Text = one(string()),
        gateway_chassis: Set<Uuid> = set(strong("Gateway_Chassis")),
        ha_chassis_group: Option<Uuid> = opt(strong("HA_Chassis_Group")),
        options: Map<Text, Text> = map(string(), string()),
        networks: Set<Text> = set(string()),
        mac: Text = one(string()),
        peer: Option<Text> = opt(string()),
        enabled: Option<bool> = opt(boolean()),
        ipv6_ra_configs: Map<Text, Text> = map(string(), string()),
        ipv6_prefix: Set<Text> = set(string()),
        dhcp_relay: Option<Uuid> = opt(strong("DHCP_Relay")),
        external_ids: Map<Text, Text> = map(string(), string()),
        status: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `Logical_Router_Static_Route`.
    logical_router_static_route: LogicalRouterStaticRoute = table("Logical_Router_Static_Route") => {
        route_table: Text = one(string()),
        ip_prefix: Text = one(string()),
        policy: Option<Text> = opt(string().one_of(&["src-ip", "dst-ip"])),
        nexthop: Text = one(string()),
        output_port: Option<Text> = opt(string()),
        bfd: Option<Uuid> = opt(weak("BFD")),
        selection_fields: Set<Text> = set(string().one_of(&["eth_src", "eth_dst", "ip_proto", "ip_src", "ip_dst", "ipv6_src", "ipv6_dst", "tp_src", "tp_dst"])),
        options: Map<Text, Text> = map(string(), string()),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `Logical_Router_Policy`.
    logical_router_policy: LogicalRouterPolicy = table("Logical_Router_Policy") => {
        priority: i64 = one(integer().within(0, 32767)),
        chain: Option<Text> = opt(string()),
        r#match: Text = one(string()),
        action: Text = one(string().one_of(&["allow", "drop", "reroute", "jump"])),
        jump_chain: Option<Text> = opt(string()),
        nexthop: Option<Text> = opt(string()),
        nexthops: Set<Text> = set(string()),
        output_port: Option<Uuid> = opt(weak("Logical_Router_Port")),
        bfd_sessions: Set<Uuid> = set(weak("BFD")),
        options: Map<Text, Text> = map(string(), string()),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `NAT`.
    nat: Nat = table("NAT") => {
        external_ip: Text = one(string()),
        external_mac: Option<Text> = opt(string()),
        external_port_range: Text = one(string()),
        logical_ip: Text = one(string()),
        logical_port: Option<Text> = opt(string()),
        r#type: Text = one(string().one_of(&["dnat", "snat", "dnat_and_snat"])),
        allowed_ext_ips: Option<Uuid> = opt(strong("Address_Set")),
        exempted_ext_ips: Option<Uuid> = opt(strong("Address_Set")),
        gateway_port: Option<Uuid> = opt(weak("Logical_Router_Port")),
        priority: i64 = one(integer().within(0, 32767)),
        r#match: Text = one(string()),
        options: Map<Text, Text> = map(string(), string()),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `DHCP_Options`.
    dhcp_options: DhcpOptions = table("DHCP_Options").root() => {
        cidr: Text = one(string()),
        options: Map<Text, Text> = map(string(), string()),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `DHCP_Relay`.
    dhcp_relay: DhcpRelay = table("DHCP_Relay").root() => {
        name: Text = one(string()),
        servers: Option<Text> = opt(string()),
        options: Map<Text, Text> = map(string(), string()),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `Connection`.
    connection: Connection = table("Connection").index(&["target"]) => {
        target: Text = one(string()),
        max_backoff: Option<i64> = opt(integer().at_least(1000)),
        inactivity_probe: Option<i64> = opt(integer()),
        other_config: Map<Text, Text> = map(string(), string()),
        external_ids: Map<Text, Text> = map(string(), string()),
        is_connected: bool = one(boolean()).ephemeral(),
        status: Map<Text, Text> = map(string(), string()).ephemeral(),
    }

    /// Rows of `DNS`.
    dns: Dns = table("DNS").root() => {
        records: Map<Text, Text> = map(string(), string()),
        options: Map<Text, Text> = map(string(), string()),
        external_ids: Map<Text, Text> = map(string(), string()),
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

    /// Rows of `Gateway_Chassis`.
    gateway_chassis: GatewayChassis = table("Gateway_Chassis").index(&["name"]) => {
        name: Text = one(string()),
        chassis_name: Text = one(string()),
        priority: i64 = one(integer().within(0, 32767)),
        external_ids: Map<Text, Text> = map(string(), string()),
        options: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `HA_Chassis`.
    ha_chassis: HaChassis = table("HA_Chassis") => {
        chassis_name: Text = one(string()),
        priority: i64 = one(integer().within(0, 32767)),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `HA_Chassis_Group`.
    ha_chassis_group: HaChassisGroup = table("HA_Chassis_Group").root().index(&["name"]) => {
        name: Text = one(string()),
        ha_chassis: Set<Uuid> = set(strong("HA_Chassis")),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `BFD`.
    bfd: Bfd = table("BFD").root().index(&["logical_port", "dst_ip"]) => {
        logical_port: Text = one(string()),
        dst_ip: Text = one(string()),
        min_tx: Option<i64> = opt(integer().at_least(1)),
        min_rx: Option<i64> = opt(integer()),
        detect_mult: Option<i64> = opt(integer().at_least(1)),
        status: Option<Text> = opt(string().one_of(&["down", "init", "up", "admin_down"])),
        external_ids: Map<Text, Text> = map(string(), string()),
        options: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `Static_MAC_Binding`.
    static_mac_binding: StaticMacBinding = table("Static_MAC_Binding").root().index(&["logical_port", "ip"]) => {
        logical_port: Text = one(string()),
        ip: Text = one(string()),
        mac: Text = one(string()),
        override_dynamic_mac: bool = one(boolean()),
    }

    /// Rows of `Chassis_Template_Var`.
    chassis_template_var: ChassisTemplateVar = table("Chassis_Template_Var").root().index(&["chassis"]) => {
        chassis: Text = one(string()),
        variables: Map<Text, Text> = map(string(), string()),
        external_ids: Map<Text, Text> = map(string(), string()),
    }

    /// Rows of `Sampling_App`.
    sampling_app: SamplingApp = table("Sampling_App").root().index(&["type"]) => {
        r#type: Text = one(string().one_of(&["drop", "acl-new", "acl-est"])),
        id: i64 = one(integer().within(1, 255)),
        external_ids: Map<Text, Text> = map(string(), string()),
    }
}
