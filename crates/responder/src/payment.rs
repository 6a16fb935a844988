//! Who pays for a packet, and from which budget.

use crate::answer::fragment;
use crate::punt::Punt;
use kiln_abi::opcodes::Opcode;
use kiln_budget::{Class, Payer};
use kiln_packet::{ethertype, ip_proto};
use kiln_types::{DatapathKey, PortKey};
use std::net::IpAddr;

/// The datapath, the input port and the source address that the packet came up with. What it lacks is zero, so that packets
/// of nobody share an account. Hosts without an address are as many as there are, and not one source.
pub(crate) fn payer(punt: &Punt<'_>) -> Payer {
    let key = &punt.packet.key;
    let source: Option<IpAddr> = match key.eth_type {
        ethertype::IPV4 | ethertype::ARP => Some(key.nw_src.into()),
        ethertype::IPV6 => Some(key.ipv6_src.into()),
        _ => None,
    };
    let source = source.filter(|ip| !ip.is_unspecified());
    Payer {
        router: punt.metadata.datapath().unwrap_or(DatapathKey(0)),
        port: punt.metadata.inport().unwrap_or(PortKey(0)),
        source,
    }
}

/// The class of the work that a packet asks for. Queries are paid for in addition, when they are sent.
///
/// Errors about packets that have come to the end of their time are told apart from unreachables by that time, since what
/// nested actions make of an error is known only once they are read.
pub(crate) fn class(opcode: Opcode, punt: &Punt<'_>) -> Class {
    let key = &punt.packet.key;
    match opcode {
        Opcode::PUT_ARP | Opcode::PUT_ND | Opcode::PUT_FDB | Opcode::ND_NA | Opcode::ND_NA_ROUTER => {
            Class::Neighbor
        }
        Opcode::ICMP4_ERROR | Opcode::ICMP6_ERROR => Class::Error,
        Opcode::FRAGMENT if fragment::is_forbidden(&punt.packet) => Class::Error,
        Opcode::FRAGMENT => Class::Fragment,
        Opcode::ICMP if key.nw_ttl <= 1 => Class::Error,
        Opcode::ICMP | Opcode::HELD_DOWN => Class::Unreachable,
        Opcode::TCP_RESET | Opcode::SCTP_ABORT => Class::Reset,
        Opcode::REJECT if matches!(key.nw_proto, ip_proto::TCP | ip_proto::SCTP) => Class::Reset,
        Opcode::REJECT => Class::Unreachable,
        Opcode::PUT_ND_RA_OPTS => Class::RouterAdvert,
        Opcode::DNS_LOOKUP => Class::Dns,
        Opcode::PUT_DHCP_OPTS
        | Opcode::PUT_DHCPV6_OPTS
        | Opcode::DHCP6_SERVER
        | Opcode::DHCP_RELAY_REQ_CHK
        | Opcode::DHCP_RELAY_RESP_CHK => Class::Dhcp,
        _ => Class::Rest,
    }
}

/// How many packets' worth of work a packet asks for: a datagram that is cut comes to several.
pub(crate) fn cost(class: Class, punt: &Punt<'_>) -> u32 {
    if class == Class::Fragment { fragment::pieces(punt) } else { 1 }
}
