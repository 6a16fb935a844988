//! The table of fields: names, wire headers, widths, access, prerequisites, text format (ovs-fields(7)).
//!
//! A field's position in the table is its place in a match that is encoded for OpenFlow 1.5: prerequisites first,
//! registers as 64-bit pairs. The spellings that a 1.5 match never carries (32- and 128-bit registers, the 16-bit
//! `in_port`, `vlan_tci`, `nw_tos`) come last.

use super::{Field, Format, Header, Prereq};

/// What is fixed about one field.
#[derive(Clone, Copy, Debug)]
pub struct FieldInfo {
    /// The name in the text form, as the stock tools print it in actions.
    pub name: &'static str,
    /// The name of its oldest header, by which the stock tools print runs of bits.
    pub wire_name: &'static str,
    /// The header that OpenFlow 1.5 matches and `set_field` use.
    pub header: Header,
    /// The oldest known header, which Nicira's actions use; equal to `header` where there is but one.
    pub oldest: Header,
    /// Width of the value on the wire, in bytes.
    pub n_bytes: u8,
    /// How many of the value's low bits mean anything.
    pub n_bits: u16,
    /// Whether any mask may be given in a match.
    pub maskable: bool,
    /// Whether actions may write it.
    pub writable: bool,
    /// What else a match must say for this field to exist.
    pub prereq: Prereq,
    /// How the value reads in text.
    pub format: Format,
}

const fn row(
    name: &'static str,
    wire_name: &'static str,
    header: Header,
    n_bytes: u8,
    n_bits: u16,
) -> FieldInfo {
    FieldInfo {
        name,
        wire_name,
        header,
        oldest: header,
        n_bytes,
        n_bits,
        maskable: false,
        writable: false,
        prereq: Prereq::None,
        format: Format::Decimal,
    }
}

impl FieldInfo {
    const fn or(mut self, oldest: Header) -> Self {
        self.oldest = oldest;
        self
    }
    const fn mask(mut self) -> Self {
        self.maskable = true;
        self
    }
    const fn rw(mut self) -> Self {
        self.writable = true;
        self
    }
    const fn pre(mut self, prereq: Prereq) -> Self {
        self.prereq = prereq;
        self
    }
    const fn fmt(mut self, format: Format) -> Self {
        self.format = format;
        self
    }
}

const fn nxm_of(n: u8) -> Header {
    Header { class: Header::NXM_OF, field: n, experimenter: 0 }
}
const fn nxm(n: u8) -> Header {
    Header { class: Header::NXM_NX, field: n, experimenter: 0 }
}
const fn oxm(n: u8) -> Header {
    Header { class: Header::OXM_OF, field: n, experimenter: 0 }
}
const fn eric(n: u8) -> Header {
    Header { class: Header::ERICSSON, field: n, experimenter: 0 }
}
const fn nxoxm(n: u8) -> Header {
    Header { class: Header::EXPERIMENTER, field: n, experimenter: crate::wire::NICIRA }
}
const fn onf(n: u8) -> Header {
    Header { class: Header::EXPERIMENTER, field: n, experimenter: Header::EXP_ONF }
}
const fn nsh(n: u8) -> Header {
    Header { class: Header::EXPERIMENTER, field: n, experimenter: Header::EXP_NSH }
}

/// Numbers the rows of one stretch of the table from `$base`, names them, and keeps them as an array.
macro_rules! rows {
    ($array:ident, $end:ident, $base:expr; $($(#[$doc:meta])* $konst:ident = $row:expr;)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        #[repr(u8)]
        enum $array { $($konst,)* COUNT }
        impl Field {
            $($(#[$doc])* pub const $konst: Field = Field::fixed($base + $array::$konst as u8);)*
        }
        const $array: [FieldInfo; $array::COUNT as usize] = [$($row),*];
        pub(super) const $end: u8 = $base + $array::COUNT as u8;
    };
}

use Format::{CtState, Ethernet, Frag, Hex, Ipv4, Ipv6, PacketType, Port, TcpFlags, TunFlags};
use Prereq as P;

rows! { BEFORE_TUN_METADATA, TUN_METADATA, 0;
    /// Packet type (1.5): namespace in the upper 16 bits, type in the lower.
    PACKET_TYPE = row("packet_type", "OXM_OF_PACKET_TYPE", oxm(44), 4, 32).fmt(PacketType);
    /// The datapath's hash of the packet.
    DP_HASH = row("dp_hash", "NXM_NX_DP_HASH", nxm(35), 4, 32).mask().fmt(Hex);
    /// The datapath's recirculation id.
    RECIRC_ID = row("recirc_id", "NXM_NX_RECIRC_ID", nxm(36), 4, 32);
    /// The conjunction that matched.
    CONJ_ID = row("conj_id", "NXM_NX_CONJ_ID", nxm(37), 4, 32);
    /// Ingress port in its 32-bit form; what a [`Match`](crate::Match) holds, and prints as `in_port`.
    IN_PORT_OXM = row("in_port_oxm", "OXM_OF_IN_PORT", oxm(0), 4, 32).rw().fmt(Port);
    /// The output port in the action set.
    ACTSET_OUTPUT = row("actset_output", "ONFOXM_ET_ACTSET_OUTPUT", oxm(43), 4, 32).or(onf(43)).fmt(Port);
    /// Ethernet source.
    ETH_SRC = row("eth_src", "NXM_OF_ETH_SRC", oxm(4), 6, 48).or(nxm_of(2)).mask().rw().pre(P::Ethernet).fmt(Ethernet);
    /// Ethernet destination.
    ETH_DST = row("eth_dst", "NXM_OF_ETH_DST", oxm(3), 6, 48).or(nxm_of(1)).mask().rw().pre(P::Ethernet).fmt(Ethernet);
    /// Ethernet type.
    ETH_TYPE = row("eth_type", "NXM_OF_ETH_TYPE", oxm(5), 2, 16).or(nxm_of(3)).pre(P::Ethernet).fmt(Hex);
    /// VLAN id, and above its 12 bits the present bit 0x1000.
    VLAN_VID = row("vlan_vid", "OXM_OF_VLAN_VID", oxm(6), 2, 12).mask().rw().pre(P::Ethernet);
    /// VLAN priority.
    VLAN_PCP = row("vlan_pcp", "OXM_OF_VLAN_PCP", oxm(7), 1, 3).rw().pre(P::Vlan);
    /// MPLS traffic class.
    MPLS_TC = row("mpls_tc", "OXM_OF_MPLS_TC", oxm(35), 1, 3).rw().pre(P::Mpls);
    /// MPLS bottom of stack.
    MPLS_BOS = row("mpls_bos", "OXM_OF_MPLS_BOS", oxm(36), 1, 1).pre(P::Mpls);
    /// MPLS time to live.
    MPLS_TTL = row("mpls_ttl", "NXM_NX_MPLS_TTL", nxm(30), 1, 8).rw().pre(P::Mpls);
    /// MPLS label.
    MPLS_LABEL = row("mpls_label", "OXM_OF_MPLS_LABEL", oxm(34), 4, 20).rw().pre(P::Mpls);
    /// IPv4 source.
    IPV4_SRC = row("ip_src", "NXM_OF_IP_SRC", oxm(11), 4, 32).or(nxm_of(7)).mask().rw().pre(P::Ipv4).fmt(Ipv4);
    /// IPv4 destination.
    IPV4_DST = row("ip_dst", "NXM_OF_IP_DST", oxm(12), 4, 32).or(nxm_of(8)).mask().rw().pre(P::Ipv4).fmt(Ipv4);
    /// IPv6 source.
    IPV6_SRC = row("ipv6_src", "NXM_NX_IPV6_SRC", oxm(26), 16, 128).or(nxm(19)).mask().rw().pre(P::Ipv6).fmt(Ipv6);
    /// IPv6 destination.
    IPV6_DST = row("ipv6_dst", "NXM_NX_IPV6_DST", oxm(27), 16, 128).or(nxm(20)).mask().rw().pre(P::Ipv6).fmt(Ipv6);
    /// Fragments: bit 0 any fragment, bit 1 not the first.
    IP_FRAG = row("ip_frag", "NXM_NX_IP_FRAG", nxm(26), 1, 2).mask().pre(P::Ip).fmt(Frag);
    /// Differentiated services, in the low 6 bits.
    IP_DSCP = row("ip_dscp", "OXM_OF_IP_DSCP", oxm(8), 1, 6).rw().pre(P::Ip);
    /// Explicit congestion notification.
    IP_ECN = row("nw_ecn", "NXM_NX_IP_ECN", oxm(9), 1, 2).or(nxm(28)).rw().pre(P::Ip);
    /// Time to live, or hop limit.
    NW_TTL = row("nw_ttl", "NXM_NX_IP_TTL", nxm(29), 1, 8).rw().pre(P::Ip);
    /// IPv6 flow label.
    IPV6_LABEL = row("ipv6_label", "NXM_NX_IPV6_LABEL", oxm(28), 4, 20).or(nxm(27)).mask().rw().pre(P::Ipv6).fmt(Hex);
    /// IP protocol, or IPv6 next header.
    IP_PROTO = row("nw_proto", "NXM_OF_IP_PROTO", oxm(10), 1, 8).or(nxm_of(6)).pre(P::Ip);
    /// TCP source port.
    TCP_SRC = row("tcp_src", "NXM_OF_TCP_SRC", oxm(13), 2, 16).or(nxm_of(9)).mask().rw().pre(P::Tcp);
    /// TCP destination port.
    TCP_DST = row("tcp_dst", "NXM_OF_TCP_DST", oxm(14), 2, 16).or(nxm_of(10)).mask().rw().pre(P::Tcp);
    /// TCP flags.
    TCP_FLAGS = row("tcp_flags", "NXM_NX_TCP_FLAGS", oxm(42), 2, 12).or(nxm(34)).mask().pre(P::Tcp).fmt(TcpFlags);
    /// UDP source port.
    UDP_SRC = row("udp_src", "NXM_OF_UDP_SRC", oxm(15), 2, 16).or(nxm_of(11)).mask().rw().pre(P::Udp);
    /// UDP destination port.
    UDP_DST = row("udp_dst", "NXM_OF_UDP_DST", oxm(16), 2, 16).or(nxm_of(12)).mask().rw().pre(P::Udp);
    /// SCTP source port.
    SCTP_SRC = row("sctp_src", "OXM_OF_SCTP_SRC", oxm(17), 2, 16).mask().rw().pre(P::Sctp);
    /// SCTP destination port.
    SCTP_DST = row("sctp_dst", "OXM_OF_SCTP_DST", oxm(18), 2, 16).mask().rw().pre(P::Sctp);
    /// ICMPv4 type.
    ICMPV4_TYPE = row("icmp_type", "NXM_OF_ICMP_TYPE", oxm(19), 1, 8).or(nxm_of(13)).rw().pre(P::Icmpv4);
    /// ICMPv4 code.
    ICMPV4_CODE = row("icmp_code", "NXM_OF_ICMP_CODE", oxm(20), 1, 8).or(nxm_of(14)).rw().pre(P::Icmpv4);
    /// ICMPv6 type.
    ICMPV6_TYPE = row("icmpv6_type", "NXM_NX_ICMPV6_TYPE", oxm(29), 1, 8).or(nxm(21)).rw().pre(P::Icmpv6);
    /// ICMPv6 code.
    ICMPV6_CODE = row("icmpv6_code", "NXM_NX_ICMPV6_CODE", oxm(30), 1, 8).or(nxm(22)).rw().pre(P::Icmpv6);
    /// Reserved word (flags, in an advertisement) of neighbour discovery.
    ND_RESERVED = row("nd_reserved", "ERICOXM_OF_ICMPV6_ND_RESERVED", eric(1), 4, 32).rw().pre(P::Nd);
    /// Target of neighbour discovery.
    ND_TARGET = row("nd_target", "NXM_NX_ND_TARGET", oxm(31), 16, 128).or(nxm(23)).mask().rw().pre(P::Nd).fmt(Ipv6);
    /// Type of neighbour discovery's option.
    ND_OPTIONS_TYPE = row("nd_options_type", "ERICOXM_OF_ICMPV6_ND_OPTIONS_TYPE", eric(2), 1, 8).rw().pre(P::Nd);
    /// Source link-layer address option of a neighbour solicitation.
    ND_SLL = row("nd_sll", "NXM_NX_ND_SLL", oxm(32), 6, 48).or(nxm(24)).mask().rw().pre(P::NdSolicit).fmt(Ethernet);
    /// Target link-layer address option of a neighbour advertisement.
    ND_TLL = row("nd_tll", "NXM_NX_ND_TLL", oxm(33), 6, 48).or(nxm(25)).mask().rw().pre(P::NdAdvert).fmt(Ethernet);
    /// ARP operation.
    ARP_OP = row("arp_op", "NXM_OF_ARP_OP", oxm(21), 2, 16).or(nxm_of(15)).rw().pre(P::Arp);
    /// ARP sender's protocol address.
    ARP_SPA = row("arp_spa", "NXM_OF_ARP_SPA", oxm(22), 4, 32).or(nxm_of(16)).mask().rw().pre(P::Arp).fmt(Ipv4);
    /// ARP target's protocol address.
    ARP_TPA = row("arp_tpa", "NXM_OF_ARP_TPA", oxm(23), 4, 32).or(nxm_of(17)).mask().rw().pre(P::Arp).fmt(Ipv4);
    /// ARP sender's hardware address.
    ARP_SHA = row("arp_sha", "NXM_NX_ARP_SHA", oxm(24), 6, 48).or(nxm(17)).mask().rw().pre(P::Arp).fmt(Ethernet);
    /// ARP target's hardware address.
    ARP_THA = row("arp_tha", "NXM_NX_ARP_THA", oxm(25), 6, 48).or(nxm(18)).mask().rw().pre(P::Arp).fmt(Ethernet);
    /// NSH flags.
    NSH_FLAGS = row("nsh_flags", "NXOXM_NSH_FLAGS", nsh(1), 1, 8).mask().rw().pre(P::Nsh);
    /// NSH time to live.
    NSH_TTL = row("nsh_ttl", "NXOXM_NSH_TTL", nsh(10), 1, 8).rw().pre(P::Nsh);
    /// NSH metadata type.
    NSH_MDTYPE = row("nsh_mdtype", "NXOXM_NSH_MDTYPE", nsh(2), 1, 8).pre(P::Nsh);
    /// NSH next protocol.
    NSH_NP = row("nsh_np", "NXOXM_NSH_NP", nsh(3), 1, 8).pre(P::Nsh);
    /// NSH service path identifier.
    NSH_SPI = row("nsh_spi", "NXOXM_NSH_SPI", nsh(4), 4, 24).rw().pre(P::Nsh).fmt(Hex);
    /// NSH service index.
    NSH_SI = row("nsh_si", "NXOXM_NSH_SI", nsh(5), 1, 8).rw().pre(P::Nsh);
    /// NSH context header 1.
    NSH_C1 = row("nsh_c1", "NXOXM_NSH_C1", nsh(6), 4, 32).mask().rw().pre(P::Nsh).fmt(Hex);
    /// NSH context header 2.
    NSH_C2 = row("nsh_c2", "NXOXM_NSH_C2", nsh(7), 4, 32).mask().rw().pre(P::Nsh).fmt(Hex);
    /// NSH context header 3.
    NSH_C3 = row("nsh_c3", "NXOXM_NSH_C3", nsh(8), 4, 32).mask().rw().pre(P::Nsh).fmt(Hex);
    /// NSH context header 4.
    NSH_C4 = row("nsh_c4", "NXOXM_NSH_C4", nsh(9), 4, 32).mask().rw().pre(P::Nsh).fmt(Hex);
    /// Tunnel key.
    TUN_ID = row("tun_id", "NXM_NX_TUN_ID", oxm(38), 8, 64).or(nxm(16)).mask().rw().fmt(Hex);
    /// Tunnel flags: bit 0 is OAM.
    TUN_FLAGS = row("tun_flags", "NXM_NX_TUN_FLAGS", nxm(104), 2, 1).mask().rw().fmt(TunFlags);
    /// Tunnel's outer IPv4 source.
    TUN_SRC = row("tun_src", "NXM_NX_TUN_IPV4_SRC", nxm(31), 4, 32).mask().rw().fmt(Ipv4);
    /// Tunnel's outer IPv4 destination.
    TUN_DST = row("tun_dst", "NXM_NX_TUN_IPV4_DST", nxm(32), 4, 32).mask().rw().fmt(Ipv4);
    /// Tunnel's outer IPv6 source.
    TUN_IPV6_SRC = row("tun_ipv6_src", "NXM_NX_TUN_IPV6_SRC", nxm(109), 16, 128).mask().rw().fmt(Ipv6);
    /// Tunnel's outer IPv6 destination.
    TUN_IPV6_DST = row("tun_ipv6_dst", "NXM_NX_TUN_IPV6_DST", nxm(110), 16, 128).mask().rw().fmt(Ipv6);
    /// VXLAN group policy id.
    TUN_GBP_ID = row("tun_gbp_id", "NXM_NX_TUN_GBP_ID", nxm(38), 2, 16).mask().rw();
    /// VXLAN group policy flags.
    TUN_GBP_FLAGS = row("tun_gbp_flags", "NXM_NX_TUN_GBP_FLAGS", nxm(39), 1, 8).mask().rw().fmt(Hex);
    /// ERSPAN index.
    TUN_ERSPAN_IDX = row("tun_erspan_idx", "NXOXM_ET_ERSPAN_IDX", nxoxm(11), 4, 20).mask().rw().fmt(Hex);
    /// ERSPAN version.
    TUN_ERSPAN_VER = row("tun_erspan_ver", "NXOXM_ET_ERSPAN_VER", nxoxm(12), 1, 4).mask().rw();
    /// ERSPAN direction.
    TUN_ERSPAN_DIR = row("tun_erspan_dir", "NXOXM_ET_ERSPAN_DIR", nxoxm(13), 1, 1).mask().rw();
    /// ERSPAN hardware id.
    TUN_ERSPAN_HWID = row("tun_erspan_hwid", "NXOXM_ET_ERSPAN_HWID", nxoxm(14), 1, 6).mask().rw().fmt(Hex);
    /// GTP-U flags.
    TUN_GTPU_FLAGS = row("tun_gtpu_flags", "NXOXM_ET_GTPU_FLAGS", nxoxm(15), 1, 8).mask().fmt(Hex);
    /// GTP-U message type.
    TUN_GTPU_MSGTYPE = row("tun_gtpu_msgtype", "NXOXM_ET_GTPU_MSGTYPE", nxoxm(16), 1, 8).mask();
}

pub(super) const XREG: u8 = TUN_METADATA + Field::N_TUN_METADATA;
const AFTER_XREG: u8 = XREG + Field::N_XREG;

rows! { AFTER_XREGS, REG, AFTER_XREG;
    /// The packet's mark in the host's stack.
    PKT_MARK = row("pkt_mark", "NXM_NX_PKT_MARK", nxm(33), 4, 32).mask().rw().fmt(Hex);
    /// Connection state, see [`ct_state`](crate::field::ct_state).
    CT_STATE = row("ct_state", "NXM_NX_CT_STATE", nxm(105), 4, 32).mask().fmt(CtState);
    /// Connection tracking zone.
    CT_ZONE = row("ct_zone", "NXM_NX_CT_ZONE", nxm(106), 2, 16).fmt(Hex);
    /// The connection's mark; written only inside `ct(exec(..))`.
    CT_MARK = row("ct_mark", "NXM_NX_CT_MARK", nxm(107), 4, 32).mask().rw().fmt(Hex);
    /// The connection's label; written only inside `ct(exec(..))`.
    CT_LABEL = row("ct_label", "NXM_NX_CT_LABEL", nxm(108), 16, 128).mask().rw().fmt(Hex);
    /// IPv4 source of the connection's original direction.
    CT_NW_SRC = row("ct_nw_src", "NXM_NX_CT_NW_SRC", nxm(120), 4, 32).mask().pre(P::CtIpv4).fmt(Ipv4);
    /// IPv4 destination of the connection's original direction.
    CT_NW_DST = row("ct_nw_dst", "NXM_NX_CT_NW_DST", nxm(121), 4, 32).mask().pre(P::CtIpv4).fmt(Ipv4);
    /// IPv6 source of the connection's original direction.
    CT_IPV6_SRC = row("ct_ipv6_src", "NXM_NX_CT_IPV6_SRC", nxm(122), 16, 128).mask().pre(P::CtIpv6).fmt(Ipv6);
    /// IPv6 destination of the connection's original direction.
    CT_IPV6_DST = row("ct_ipv6_dst", "NXM_NX_CT_IPV6_DST", nxm(123), 16, 128).mask().pre(P::CtIpv6).fmt(Ipv6);
    /// IP protocol of the connection's original direction.
    CT_NW_PROTO = row("ct_nw_proto", "NXM_NX_CT_NW_PROTO", nxm(119), 1, 8).pre(P::Ct);
    /// Transport source port of the connection's original direction.
    CT_TP_SRC = row("ct_tp_src", "NXM_NX_CT_TP_SRC", nxm(124), 2, 16).mask().pre(P::Ct);
    /// Transport destination port of the connection's original direction.
    CT_TP_DST = row("ct_tp_dst", "NXM_NX_CT_TP_DST", nxm(125), 2, 16).mask().pre(P::Ct);
    /// Metadata, in OVN the logical datapath's key.
    METADATA = row("metadata", "OXM_OF_METADATA", oxm(2), 8, 64).mask().rw().fmt(Hex);
}

pub(super) const XXREG: u8 = REG + Field::N_REG;
const AFTER_XXREG: u8 = XXREG + Field::N_XXREG;

rows! { OTHER_SPELLINGS, COUNT, AFTER_XXREG;
    /// Ingress port in its 16-bit form, which actions name `in_port`.
    IN_PORT = row("in_port", "NXM_OF_IN_PORT", nxm_of(0), 2, 16).rw().fmt(Port);
    /// The whole 802.1Q tag control information with the present bit 0x1000; 0 means no tag.
    VLAN_TCI = row("vlan_tci", "NXM_OF_VLAN_TCI", nxm_of(4), 2, 16).mask().rw().pre(P::Ethernet).fmt(Hex);
    /// Differentiated services in the upper 6 of 8 bits.
    NW_TOS = row("nw_tos", "NXM_OF_IP_TOS", nxm_of(5), 1, 8).rw().pre(P::Ip);
}

/// Names and wire names of numbered fields.
macro_rules! names {
    ($stem:literal, $wire:literal: $($n:literal)*) => { [$((concat!($stem, $n), concat!($wire, $n))),*] };
}

const TUN_METADATA_NAMES: [(&str, &str); 64] = names!("tun_metadata", "NXM_NX_TUN_METADATA":
    0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31
    32 33 34 35 36 37 38 39 40 41 42 43 44 45 46 47 48 49 50 51 52 53 54 55 56 57 58 59 60 61 62 63);
const REG_NAMES: [(&str, &str); 16] = names!("reg", "NXM_NX_REG": 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
const HIGH_REG_NAMES: [(&str, &str); 16] =
    names!("reg", "NXOXM_ET_REG": 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31);
const XREG_NAMES: [(&str, &str); 16] =
    names!("xreg", "OXM_OF_PKT_REG": 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
const XXREG_NAMES: [(&str, &str); 4] = names!("xxreg", "NXM_NX_XXREG": 0 1 2 3);
const HIGH_XXREG_NAMES: [(&str, &str); 4] = names!("xxreg", "NXOXM_ET_XXREG": 4 5 6 7);

const fn numbered(names: (&'static str, &'static str), header: Header, n_bytes: u8) -> FieldInfo {
    row(names.0, names.1, header, n_bytes, 8 * n_bytes as u16).mask().rw().fmt(Hex)
}

const fn tun_metadata(n: u8) -> FieldInfo {
    numbered(TUN_METADATA_NAMES[n as usize], nxm(40 + n), Field::TUN_METADATA_MAX_LEN)
}

const fn reg(n: u8) -> FieldInfo {
    if n < 16 {
        numbered(REG_NAMES[n as usize], nxm(n), 4)
    } else {
        numbered(HIGH_REG_NAMES[n as usize - 16], nxoxm(n + 1), 4)
    }
}

const fn xreg(n: u8) -> FieldInfo {
    numbered(XREG_NAMES[n as usize], Header { class: Header::PKT_REG, field: n, experimenter: 0 }, 8)
}

const fn xxreg(n: u8) -> FieldInfo {
    if n < 4 {
        numbered(XXREG_NAMES[n as usize], nxm(111 + n), 16)
    } else {
        numbered(HIGH_XXREG_NAMES[n as usize - 4], nxoxm(29 + n), 16)
    }
}

pub(super) const fn build() -> [FieldInfo; COUNT as usize] {
    let mut table = [tun_metadata(0); COUNT as usize];
    let mut i = 0;
    while i < COUNT {
        table[i as usize] = if i < TUN_METADATA {
            BEFORE_TUN_METADATA[i as usize]
        } else if i < XREG {
            tun_metadata(i - TUN_METADATA)
        } else if i < AFTER_XREG {
            xreg(i - XREG)
        } else if i < REG {
            AFTER_XREGS[(i - AFTER_XREG) as usize]
        } else if i < XXREG {
            reg(i - REG)
        } else if i < AFTER_XXREG {
            xxreg(i - XXREG)
        } else {
            OTHER_SPELLINGS[(i - AFTER_XXREG) as usize]
        };
        i += 1;
    }
    table
}

/// Every field, in the order in which a 1.5 match carries them.
pub(super) static TABLE: [FieldInfo; COUNT as usize] = build();

/// Headers that are read but never written, beside each row's two.
pub(super) const READ_ONLY_ALIASES: [(Header, Field); 2] =
    [(onf(42), Field::TCP_FLAGS), (nxoxm(0), Field::DP_HASH)];
