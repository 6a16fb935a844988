//! Where Open vSwitch keeps each logical field (ovn-architecture(7), and [`kiln_abi::registers`]).

use kiln_logical::Field as Logical;
use kiln_logical::normal::Conjunction;
use kiln_openflow::Field;

/// The switch's field for a logical one. Names of ports stand as their keys in registers.
pub const fn of(field: Logical) -> Field {
    match field {
        Logical::Inport | Logical::InportKey => Field::reg(14),
        Logical::Outport | Logical::OutportKey => Field::reg(15),
        Logical::RemoteOutport => Field::reg(1),
        Logical::Flags => Field::reg(10),
        Logical::Xreg4 => Field::xreg(4),
        Logical::Xxreg0 => Field::xxreg(0),
        Logical::Xxreg1 => Field::xxreg(1),
        Logical::ArpOp => Field::ARP_OP,
        Logical::ArpSha => Field::ARP_SHA,
        Logical::ArpSpa => Field::ARP_SPA,
        Logical::ArpTha => Field::ARP_THA,
        Logical::ArpTpa => Field::ARP_TPA,
        Logical::CtProto => Field::CT_NW_PROTO,
        Logical::CtLabel => Field::CT_LABEL,
        Logical::CtMark => Field::CT_MARK,
        Logical::CtState => Field::CT_STATE,
        Logical::EthDst => Field::ETH_DST,
        Logical::EthSrc => Field::ETH_SRC,
        Logical::EthType => Field::ETH_TYPE,
        Logical::Icmp4Code => Field::ICMPV4_CODE,
        Logical::Icmp4Type => Field::ICMPV4_TYPE,
        Logical::Icmp6Code => Field::ICMPV6_CODE,
        Logical::Icmp6Type => Field::ICMPV6_TYPE,
        Logical::IpDscp => Field::IP_DSCP,
        Logical::IpEcn => Field::IP_ECN,
        Logical::IpFrag => Field::IP_FRAG,
        Logical::IpProto => Field::IP_PROTO,
        Logical::IpTtl => Field::NW_TTL,
        Logical::Ip4Dst => Field::IPV4_DST,
        Logical::Ip4Src => Field::IPV4_SRC,
        Logical::Ip6Dst => Field::IPV6_DST,
        Logical::Ip6Label => Field::IPV6_LABEL,
        Logical::Ip6Src => Field::IPV6_SRC,
        Logical::NdSll => Field::ND_SLL,
        Logical::NdTarget => Field::ND_TARGET,
        Logical::NdTll => Field::ND_TLL,
        Logical::PktMark => Field::PKT_MARK,
        Logical::SctpDst => Field::SCTP_DST,
        Logical::SctpSrc => Field::SCTP_SRC,
        Logical::TcpDst => Field::TCP_DST,
        Logical::TcpFlags => Field::TCP_FLAGS,
        Logical::TcpSrc => Field::TCP_SRC,
        Logical::UdpDst => Field::UDP_DST,
        Logical::UdpSrc => Field::UDP_SRC,
        Logical::VlanTci => Field::VLAN_TCI,
    }
}

/// The switch's field for a logical one beside others: ports are the connection's where the protocol is.
pub(crate) fn within(field: Logical, conjunction: &Conjunction<'_>) -> Field {
    match field {
        Logical::TcpSrc | Logical::UdpSrc | Logical::SctpSrc if is_of_connection(conjunction) => {
            Field::CT_TP_SRC
        }
        Logical::TcpDst | Logical::UdpDst | Logical::SctpDst if is_of_connection(conjunction) => {
            Field::CT_TP_DST
        }
        other => of(other),
    }
}

/// Whether the transport layer is that of the packet's connection.
pub(crate) fn is_of_connection(conjunction: &Conjunction<'_>) -> bool {
    conjunction.terms.iter().any(|term| term.field == Logical::CtProto)
}
