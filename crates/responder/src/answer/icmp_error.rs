//! `icmp4 { ... }`, `icmp6 { ... }`, `icmp4_error { ... }`, `icmp6_error { ... }`: ICMP errors (ovn-sb(5)).

use super::Answer;
use crate::nested::FragMtu;
use crate::punt::Punt;
use kiln_packet::{IcmpError, Packet, icmp4, icmp6, ip_proto};

/// Which code an error has unless nested actions say otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// Port unreachable to UDP, otherwise as `Host`: `icmp4`, `icmp6`, `reject`.
    ByProtocol,
    /// Host unreachable, or administratively prohibited for IPv6: `icmp4_error`, `icmp6_error`.
    Host,
}

/// What `icmp4_error` and `icmp6_error` say: they are about packets that were found to be too large, before they were routed or after.
pub(crate) fn about_routed(punt: &Punt<'_>, mtu: FragMtu) -> Answer<Vec<u8>> {
    Ok(about(&Packet::parse(&punt.as_it_came()), mtu, Code::Host)?.to_vec())
}

/// The error about the packet, still on the packet's own way. An MTU among the nested actions makes it "fragmentation
/// needed" or "packet too big".
pub(crate) fn about<'a>(packet: &Packet<'a>, mtu: FragMtu, code: Code) -> Answer<IcmpError<'a>> {
    let key = &packet.key;
    let udp = code == Code::ByProtocol && key.nw_proto == ip_proto::UDP;
    let (kind, code, parameter) = if key.is_ipv6() {
        match (mtu.icmp6, udp) {
            (Some(mtu), _) => (icmp6::TOO_BIG, 0, mtu),
            (None, true) => (icmp6::UNREACHABLE, icmp6::PORT, 0),
            (None, false) => (icmp6::UNREACHABLE, icmp6::PROHIBITED, 0),
        }
    } else {
        match (mtu.icmp4, udp) {
            (Some(mtu), _) => (icmp4::UNREACHABLE, icmp4::FRAGMENTATION_NEEDED, u32::from(mtu)),
            (None, true) => (icmp4::UNREACHABLE, icmp4::PORT, 0),
            (None, false) => (icmp4::UNREACHABLE, icmp4::HOST, 0),
        }
    };
    Ok(IcmpError::about(packet, kind, code, parameter)?)
}
