//! What a packet that the pipeline hands up asks for: the first 32 bits of the `controller` action's userdata.
//! Eight bytes of header (opcode, zero), then what the opcode says.

/// An opcode; those of other versions are kept as they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Opcode(pub u32);

impl Opcode {
    /// The userdata's header; what the opcode says comes after it.
    pub fn userdata(self) -> Vec<u8> {
        let mut data = self.0.to_be_bytes().to_vec();
        data.resize(HEADER_LEN, 0);
        data
    }
}

macro_rules! opcodes {
    ($($(#[$doc:meta])* $number:literal $constant:ident $action:literal,)*) => {
        impl Opcode {
            $($(#[$doc])* pub const $constant: Opcode = Opcode($number);)*

            /// The logical action that is encoded so, or what the physical tables use it for.
            pub const fn action(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some($action),)*
                    _ => None,
                }
            }
        }
    };
}

opcodes! {
    /// Resolve an IPv4 next hop; nested actions run on the request. Pauses.
    0 ARP "arp",
    /// Learn an IPv4 neighbour: reg14, reg0, eth_src.
    1 PUT_ARP "put_arp",
    /// Answer DHCPv4. Pauses.
    2 PUT_DHCP_OPTS "put_dhcp_opts",
    /// Answer a neighbour solicitation; nested actions run on the advertisement.
    3 ND_NA "nd_na",
    /// Learn an IPv6 neighbour: reg14, xxreg0, eth_src.
    4 PUT_ND "put_nd",
    /// Answer DHCPv6. Pauses.
    5 PUT_DHCPV6_OPTS "put_dhcpv6_opts",
    /// Answer DNS. Pauses.
    6 DNS_LOOKUP "dns_lookup",
    /// Write a line to the ACL log.
    7 LOG "log",
    /// Answer a router solicitation. Pauses.
    8 PUT_ND_RA_OPTS "put_nd_ra_opts",
    /// Resolve an IPv6 next hop; nested actions run on the solicitation. Pauses.
    9 ND_NS "nd_ns",
    /// An ICMP error; nested actions run on it.
    10 ICMP "icmp4, icmp6",
    /// A TCP reset; nested actions run on it.
    11 TCP_RESET "tcp_reset",
    /// Like [`Opcode::ND_NA`], with the router flag.
    12 ND_NA_ROUTER "nd_na_router",
    /// No longer used.
    13 PUT_ICMP4_FRAG_MTU "icmp4.frag_mtu",
    /// An ICMPv4 error that quotes the packet.
    14 ICMP4_ERROR "icmp4_error",
    /// Raise an event.
    15 EVENT "trigger_event",
    /// Multicast snooping.
    16 IGMP "igmp",
    /// Bind a virtual port.
    17 BIND_VPORT "bind_vport",
    /// An answer to a service check.
    18 HANDLE_SVC_CHECK "handle_svc_check",
    /// An answer of a DHCPv6 server (prefix delegation).
    19 DHCP6_SERVER "handle_dhcpv6_reply",
    /// An ICMPv6 error.
    20 ICMP6_ERROR "icmp6_error",
    /// No longer used.
    21 PUT_ICMP6_FRAG_MTU "icmp6.frag_mtu",
    /// A reset, an abort or an ICMP error, whichever fits the packet.
    22 REJECT "reject",
    /// A BFD packet of a router port.
    23 BFD_MSG "handle_bfd_msg",
    /// An SCTP abort.
    24 SCTP_ABORT "sctp_abort",
    /// Learn an Ethernet address: reg14, eth_src.
    25 PUT_FDB "put_fdb",
    /// A migrated port showed life (physical table 0).
    26 ACTIVATION_STRATEGY "(activation strategy)",
    /// No longer used.
    27 SPLIT_BUF_ACTION "(split buffer)",
    /// DHCP relay: check and rewrite a request. Pauses.
    28 DHCP_RELAY_REQ_CHK "dhcp_relay_req_chk",
    /// DHCP relay: check and rewrite a response. Pauses.
    29 DHCP_RELAY_RESP_CHK "dhcp_relay_resp_chk",
    /// Kiln's own: fragment an IPv4 packet, or tell its sender why not; the MTU in 16 bits, 48 zero bits, then nested actions
    /// that run on the error. Pauses.
    0x6b69_6c00 FRAGMENT "fragment",
    /// Kiln's own: its next hop gave no answer a moment ago (a flow that a controller makes for itself).
    0x6b69_6c01 HELD_DOWN "(held down)",
}

const _: () = assert!(Opcode::FRAGMENT.0 == crate::own::FIRST_OPCODE, "Kiln's own opcodes stand together");

/// Number of bytes before an opcode's own payload.
pub const HEADER_LEN: usize = 8;

/// The data of the `note` action that stands for a field OpenFlow does not have, inside nested actions: this tag, the
/// field's id in 16 bits, 16 zero bits, the value.
pub const OVN_FIELD_TAG: [u8; 4] = *b"ovn\0";

/// Ids of those fields.
pub mod ovn_field {
    /// `icmp4.frag_mtu`, 16 bits.
    pub const ICMP4_FRAG_MTU: u16 = 0;
    /// `icmp6.frag_mtu`, 32 bits.
    pub const ICMP6_FRAG_MTU: u16 = 1;
}

/// The note that stands for `icmp4.frag_mtu` or, with 32 bits, `icmp6.frag_mtu`.
pub fn frag_mtu_note(mtu: u32, is_ipv6: bool) -> Vec<u8> {
    let field = if is_ipv6 { ovn_field::ICMP6_FRAG_MTU } else { ovn_field::ICMP4_FRAG_MTU };
    let mut note = OVN_FIELD_TAG.to_vec();
    note.extend_from_slice(&field.to_be_bytes());
    note.extend_from_slice(&[0; 2]);
    if is_ipv6 {
        note.extend_from_slice(&mtu.to_be_bytes());
    } else {
        note.extend_from_slice(&(mtu as u16).to_be_bytes());
    }
    note
}
