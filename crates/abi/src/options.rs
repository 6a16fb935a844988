//! Names of options and features by which the daemons tell each other what they do.

/// Keys of `Chassis.other_config` by which a controller announces what it understands, value `true`. northd uses a
/// feature once every chassis that is not remote announces it.
pub mod chassis_feature {
    /// Writes Port_Binding `up`.
    pub const PORT_UP_NOTIF: &str = "port-up-notif";
    /// Knows `ct_lb_mark`.
    pub const CT_NO_MASKED_LABEL: &str = "ct-no-masked-label";
    /// Writes MAC_Binding `timestamp`.
    pub const MAC_BINDING_TIMESTAMP: &str = "mac-binding-timestamp";
    /// Handles packets related to load balanced connections.
    pub const CT_LB_RELATED: &str = "ovn-ct-lb-related";
    /// Writes FDB `timestamp`.
    pub const FDB_TIMESTAMP: &str = "fdb-timestamp";
    /// Reads Load_Balancer `ls_datapath_group`.
    pub const LS_DPG_COLUMN: &str = "ls-dpg-column";
    /// Knows `ct_commit_nat` with a zone.
    pub const CT_COMMIT_NAT_V2: &str = "ct-commit-nat-v2";
    /// Knows `ct_commit_to_zone`.
    pub const CT_COMMIT_TO_ZONE: &str = "ct-commit-to-zone";
    /// Its switch can take a sample's observation point from a register.
    pub const SAMPLE_WITH_REGISTERS: &str = "ovn-sample-with-registers";
    /// Knows `ct_next` with a zone.
    pub const CT_NEXT_ZONE: &str = "ct-next-zone";
    /// Its switch can flush connections by label.
    pub const CT_LABEL_FLUSH: &str = "ct-label-flush";
    /// Knows `ct_state_save`.
    pub const CT_STATE_SAVE: &str = "ct-state-save";
    /// Kiln's own: knows `fragment`.
    pub const FRAGMENT: &str = "kiln-fragment";
    /// Kiln's own: writes a query for each neighbour that it asks for.
    pub const TRACKED_QUERIES: &str = "kiln-tracked-queries";

    /// Those that stages depend on, under the names by which ovn-northd lists them.
    pub const LISTED: &[(&str, &str)] = &[
        ("mac_binding_timestamp", MAC_BINDING_TIMESTAMP),
        ("fdb_timestamp", FDB_TIMESTAMP),
        ("ls_dpg_column", LS_DPG_COLUMN),
        ("ct_commit_nat_v2", CT_COMMIT_NAT_V2),
        ("ct_commit_to_zone", CT_COMMIT_TO_ZONE),
        ("sample_with_reg", SAMPLE_WITH_REGISTERS),
        ("ct_next_zone", CT_NEXT_ZONE),
        ("ct_label_flush", CT_LABEL_FLUSH),
        ("ct_state_save", CT_STATE_SAVE),
    ];

    /// All of them.
    pub const ALL: &[&str] = &[
        PORT_UP_NOTIF,
        CT_NO_MASKED_LABEL,
        MAC_BINDING_TIMESTAMP,
        CT_LB_RELATED,
        FDB_TIMESTAMP,
        LS_DPG_COLUMN,
        CT_COMMIT_NAT_V2,
        CT_COMMIT_TO_ZONE,
        SAMPLE_WITH_REGISTERS,
        CT_NEXT_ZONE,
        CT_LABEL_FLUSH,
        CT_STATE_SAVE,
        FRAGMENT,
        TRACKED_QUERIES,
    ];
}

/// Keys of `SB_Global.options` that northd adds to those of NB_Global.
pub mod sb_global {
    /// Prefix of dynamically assigned Ethernet addresses.
    pub const MAC_PREFIX: &str = "mac_prefix";
    /// Source address of service checks.
    pub const SVC_MONITOR_MAC: &str = "svc_monitor_mac";
    /// Destination address of service checks.
    pub const SVC_MONITOR_MAC_DST: &str = "svc_monitor_mac_dst";
    /// The largest datapath key.
    pub const MAX_TUNID: &str = "max_tunid";
    /// The version of northd's pipeline.
    pub const NORTHD_INTERNAL_VERSION: &str = "northd_internal_version";
    /// `true`: northd writes the output after `arp {}` and `nd_ns {}` itself.
    pub const ARP_NS_EXPLICIT_OUTPUT: &str = "arp_ns_explicit_output";
    /// `true`: flows use the register slots of 25.03 and later.
    pub const REGISTER_CONSOLIDATION: &str = "register_consolidation";
    /// Inactivity probe of the southbound database, in milliseconds.
    pub const SBCTL_PROBE_INTERVAL: &str = "sbctl_probe_interval";
    /// Tunnel to ports even where a localnet port would do.
    pub const ALWAYS_TUNNEL: &str = "always_tunnel";
    /// Controllers write nb_cfg to their chassis.
    pub const ENABLE_CHASSIS_NB_CFG_UPDATE: &str = "enable_chassis_nb_cfg_update";
    /// Observation domain of samples of dropped packets.
    pub const DEBUG_DROP_DOMAIN_ID: &str = "debug_drop_domain_id";
    /// Collector of samples of dropped packets.
    pub const DEBUG_DROP_COLLECTOR_SET: &str = "debug_drop_collector_set";
}

/// Keys of `Datapath_Binding.external_ids` that are Kiln's own.
pub mod datapath {
    /// `true`: senders are told of packets whose next hop gives no answer.
    pub const ICMP_UNREACHABLE: &str = "icmp_unreachable";
}

/// Keys of `Logical_Flow.tags`.
pub mod lflow_tag {
    /// The port that the match needs as input port (ingress) or output port (egress).
    pub const IN_OUT_PORT: &str = "in_out_port";
    /// Whether the match's ports and protocol of the transport layer are those of the packet's connection.
    pub const ACL_CT_TRANSLATION: &str = "acl_ct_translation";
}

/// Keys of `Logical_Flow.external_ids`.
pub mod lflow_external_id {
    /// The stage's name.
    pub const STAGE_NAME: &str = "stage-name";
    /// First eight digits of the northbound row's uuid.
    pub const STAGE_HINT: &str = "stage-hint";
    /// Where in northd's source the flow is made.
    pub const SOURCE: &str = "source";
}

/// Keys about neighbours that are learned, as northd hands them to controllers: in `Datapath_Binding.external_ids` for a router,
/// in `Port_Binding.options` for a router port. Those that stock knows have its meaning; it passes over the others.
pub mod mac_binding {
    /// Router: after how many seconds the first of its neighbours is forgotten.
    pub const AGE_THRESHOLD: &str = "mac_binding_age_threshold";
    /// Router: the same by prefix, where it depends on the address ([`crate::age`]).
    pub const AGE_THRESHOLDS: &str = "mac_binding_age_thresholds";
    /// Router: [`TRACKED`] where only answers to queries are learned; absent where everything is.
    pub const LEARNING: &str = "mac_binding_learning";
    /// A value of [`LEARNING`].
    pub const TRACKED: &str = "tracked";
    /// A value of [`LEARNING`] in the northbound database.
    pub const OPEN: &str = "open";
    /// Router or router port: the most neighbours that are learned there.
    pub const LIMIT: &str = "mac_binding_limit";
    /// Router port with a limit: next hops of configured routes, which never give way to others; with spaces between.
    pub const GATEWAYS: &str = "mac_binding_gateways";
    /// Switch: after how many seconds a station behind a port is forgotten.
    pub const FDB_AGE_THRESHOLD: &str = "fdb_age_threshold";
}
