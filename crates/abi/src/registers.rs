//! What the registers of Open vSwitch hold (ovn-architecture(7), Logical Fields).

/// The register numbers N of `regN` that the physical tables own. `metadata` holds the logical datapath's key.
pub mod reg {
    /// Logical flags: [`super::flags`].
    pub const FLAGS: u8 = 10;
    /// Conntrack zone for DNAT of a router, and its common zone.
    pub const DNAT_ZONE: u8 = 11;
    /// Conntrack zone for SNAT of a router.
    pub const SNAT_ZONE: u8 = 12;
    /// Bits 0..=15: conntrack zone of the logical port. Bits 16..=31: which local encapsulation address to use.
    pub const CT_ZONE: u8 = 13;
    /// Key of the logical input port.
    pub const INPORT: u8 = 14;
    /// Key of the logical output port.
    pub const OUTPORT: u8 = 15;
}

/// Registers that logical actions use to hand values to a helper table and to take its answer.
pub mod scratch {
    use crate::Bits;

    /// `get_remote_fdb`'s answer: reg1.
    pub const REMOTE_OUTPORT: u8 = 1;
    /// `check_pkt_larger`'s answer in the tables around the pipelines: reg9, bit 1.
    pub const PKT_LARGER: (u8, u8) = (9, 1);
    /// Destination port before load balancing, and the backend's port that affinity found: reg2.
    pub const LB_PORT: (u8, Bits) = (2, Bits::range(0, 15));
    /// IPv4 destination before load balancing, and the backend that affinity found: reg4. IPv6: xxreg1.
    pub const LB_IPV4: u8 = 4;
    /// The IPv6 counterpart of [`LB_IPV4`]: xxreg1.
    pub const LB_IPV6_XXREG: u8 = 1;
    /// Where `ct_nw_dst`, `ct_ip6_dst`, `ct_tp_dst` and `ct_proto` leave their result, in the low bits: xxreg1.
    pub const CT_ORIG_XXREG: u8 = 1;
    /// `ct_state_save`'s result: reg4, bits 0..=7.
    pub const CT_SAVED_STATE: (u8, Bits) = (4, Bits::range(0, 7));
    /// Next hop that `get_arp` asks for: reg0. `lookup_arp` and `put_arp` use it too.
    pub const ARP_IPV4: u8 = 0;
    /// Next hop that `get_nd` asks for: xxreg1.
    pub const GET_ND_XXREG: u8 = 1;
    /// Address that `lookup_nd` and `put_nd` take: xxreg0.
    pub const PUT_ND_XXREG: u8 = 0;
    /// The slot of [`LB_IPV4`] under a northd that does not write the option `register_consolidation`: reg1.
    pub const LB_IPV4_OLD: u8 = 1;
    /// The backend's port that affinity found, under such a northd: reg8.
    pub const LB_AFF_PORT_OLD: u8 = 8;
    /// A switch's IPv6 backend that affinity found, under such a northd: xxreg0.
    pub const LB_AFF_SWITCH_IPV6_XXREG_OLD: u8 = 0;
}

/// Bit numbers of the logical flags in reg10.
pub mod flags {
    use crate::Bits;

    /// The packet may leave through the port it came in by.
    pub const LOOPBACK: u8 = 0;
    /// Came from a hardware VTEP, whose encapsulation names no output port.
    pub const RCV_FROM_RAMP: u8 = 1;
    /// Destination was translated: translate the source in the gateway router.
    pub const FORCE_SNAT_FOR_DNAT: u8 = 2;
    /// Was load balanced: translate the source in the gateway router.
    pub const FORCE_SNAT_FOR_LB: u8 = 3;
    /// Only local ports may receive it.
    pub const LOCAL_ONLY: u8 = 4;
    /// Came from a container nested in a VM.
    pub const NESTED_CONTAINER: u8 = 5;
    /// Answer of a neighbour look-up.
    pub const LOOKUP_MAC: u8 = 6;
    /// Answer of a hairpin look-up.
    pub const LOOKUP_LB_HAIRPIN: u8 = 7;
    /// Answer of a forwarding database look-up.
    pub const LOOKUP_FDB: u8 = 8;
    /// Was load balanced: do not translate the source in the gateway router.
    pub const SKIP_SNAT_FOR_LB: u8 = 9;
    /// Came from a localport.
    pub const LOCALPORT: u8 = 10;
    /// Use the router's SNAT zone as its common zone.
    pub const USE_SNAT_ZONE: u8 = 11;
    /// Answer of a port security check: 1 is a violation.
    pub const CHECK_PORT_SEC: u8 = 12;
    /// Answer of an ECMP next hop look-up.
    pub const LOOKUP_COMMIT_ECMP_NH: u8 = 13;
    /// Answer of a load balancer affinity look-up.
    pub const USE_LB_AFF_SESSION: u8 = 14;
    /// Came from a localnet port.
    pub const LOCALNET: u8 = 15;
    /// Came through a tunnel.
    pub const RX_FROM_TUNNEL: u8 = 16;
    /// An ICMP error whose inner packet was translated.
    pub const ICMP_SNAT: u8 = 17;
    /// Takes [`LOCAL_ONLY`] back.
    pub const OVERRIDE_LOCAL_ONLY: u8 = 18;
    /// Was made by the controller.
    pub const FROM_CTRL: u8 = 19;
    /// Went through un-SNAT and was new.
    pub const UNSNAT_NEW: u8 = 20;
    /// Did not go through un-SNAT.
    pub const UNSNAT_NOT_TRACKED: u8 = 21;
    /// An IGMP or MLD report that the controller sends into the pipeline.
    pub const IGMP_LOOPBACK: u8 = 22;
    /// Was sampled already.
    pub const PKT_SAMPLED: u8 = 23;
    /// Goes round the pipeline again.
    pub const RECIRC: u8 = 24;
    /// Which network of the router port the packet belongs to.
    pub const NETWORK_ID: Bits = Bits::range(28, 31);
}

/// Logical registers as northd's flows of a switch use them.
pub mod switch {
    use crate::Bits;

    /// Bit numbers of reg0.
    pub mod reg0 {
        use crate::Bits;

        /// Send to conntrack.
        pub const CONNTRACK_DEFRAG: u8 = 0;
        /// Commit the connection.
        pub const CONNTRACK_COMMIT: u8 = 1;
        /// Apply translation.
        pub const CONNTRACK_NAT: u8 = 2;
        /// DHCP was answered.
        pub const DHCP_OPTS_RESULT: u8 = 3;
        /// DNS was answered.
        pub const DNS_LOOKUP_RESULT: u8 = 4;
        /// A router solicitation was answered.
        pub const ND_RA_OPTS_RESULT: u8 = 5;
        /// Hairpinned by a load balancer.
        pub const HAIRPIN: u8 = 6;
        /// Could be allowed as new.
        pub const ACL_HINT_ALLOW_NEW: u8 = 7;
        /// Could be allowed.
        pub const ACL_HINT_ALLOW: u8 = 8;
        /// Could be dropped.
        pub const ACL_HINT_DROP: u8 = 9;
        /// Could have to be blocked from now on.
        pub const ACL_HINT_BLOCK: u8 = 10;
        /// Answer of the forwarding database.
        pub const LKUP_FDB: u8 = 11;
        /// A reply of a hairpinned connection.
        pub const HAIRPIN_REPLY: u8 = 12;
        /// The ACL has a label.
        pub const ACL_LABEL: u8 = 13;
        /// Came from a hardware VTEP.
        pub const FROM_RAMP: u8 = 14;
        /// Port security forbids it.
        pub const PORT_SEC_DROP: u8 = 15;
        /// A stateless ACL matched.
        pub const ACL_STATELESS: u8 = 16;
        /// Could be allowed as related.
        pub const ACL_HINT_ALLOW_REL: u8 = 17;
        /// Came from a router port.
        pub const FROM_ROUTER_PORT: u8 = 18;
        /// Is an IP fragment.
        pub const IP_FRAG: u8 = 19;
        /// The ACL's id is kept with the connection.
        pub const ACL_PERSIST_ID: u8 = 20;
        /// Could be allowed by a persisted ACL.
        pub const ACL_HINT_ALLOW_PERSISTED: u8 = 21;
        /// The network function group.
        pub const NF_GROUP_ID: Bits = Bits::range(22, 29);
    }

    /// reg1: destination port from conntrack.
    pub const REG1_CT_TP_DST: Bits = Bits::range(0, 15);
    /// reg1: protocol from conntrack.
    pub const REG1_CT_PROTO: Bits = Bits::range(16, 23);
    /// reg2: destination port before load balancing.
    pub const REG2_ORIG_TP_DPORT: Bits = Bits::range(0, 15);
    /// reg2: the ACL's id.
    pub const REG2_ACL_ID: Bits = Bits::range(16, 31);
    /// reg8: collector of new connections.
    pub const REG8_OBS_COLLECTOR_ID_NEW: Bits = Bits::range(0, 7);
    /// reg8: collector of established connections.
    pub const REG8_OBS_COLLECTOR_ID_EST: Bits = Bits::range(8, 15);
    /// reg8: ACLs allow.
    pub const REG8_ACL_VERDICT_ALLOW: u8 = 16;
    /// reg8: ACLs drop.
    pub const REG8_ACL_VERDICT_DROP: u8 = 17;
    /// reg8: ACLs reject.
    pub const REG8_ACL_VERDICT_REJECT: u8 = 18;
    /// reg8: observation stage.
    pub const REG8_ACL_OBS_STAGE: Bits = Bits::range(19, 20);
    /// reg8: network functions.
    pub const REG8_NF: Bits = Bits::range(21, 23);
    /// reg8: ACL tier.
    pub const REG8_ACL_TIER: Bits = Bits::range(30, 31);
}

/// Logical registers as northd's flows of a router use them.
pub mod router {
    use crate::Bits;

    /// xreg0: Ethernet address of the input port.
    pub const XREG0_INPORT_ETH: Bits = Bits::range(0, 47);
    /// reg8: ECMP group.
    pub const REG8_ECMP_GROUP_ID: Bits = Bits::range(0, 15);
    /// reg8: chosen member of the group.
    pub const REG8_ECMP_MEMBER_ID: Bits = Bits::range(16, 31);
    /// reg9: policy chain.
    pub const REG9_POLICY_CHAIN_ID: Bits = Bits::range(16, 31);

    /// Bit numbers of reg9.
    pub mod reg9 {
        /// Went out and came back in by a NAT address.
        pub const EGRESS_LOOPBACK: u8 = 0;
        /// Larger than the output port allows.
        pub const PKT_LARGER: u8 = 1;
        /// The neighbour's binding is known.
        pub const LOOKUP_NEIGHBOR: u8 = 2;
        /// The neighbour's address is known.
        pub const LOOKUP_NEIGHBOR_IP: u8 = 3;
        /// The translated destination is on this chassis.
        pub const DST_NAT_IP_LOCAL: u8 = 4;
        /// A load balancer knows the connection.
        pub const KNOWN_LB_CONN: u8 = 6;
        /// DHCP relay: a good request.
        pub const DHCP_RELAY_REQ_CHK: u8 = 7;
        /// DHCP relay: a good response.
        pub const DHCP_RELAY_RESP_CHK: u8 = 8;
        /// The next hop is an IPv4 address.
        pub const NEXTHOP_IS_IPV4: u8 = 9;
        /// Symmetric ECMP replies: commit the next hop.
        pub const ECMP_COMMIT: u8 = 10;
    }
}
