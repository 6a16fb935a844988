//! `icmp4 { ... }`, `icmp6 { ... }`, `icmp4_error { ... }`, `icmp6_error { ... }`: ICMP errors (ovn-sb(5)).

use super::Answer;
use crate::nested::FragMtu;
use crate::punt::Punt;
use kiln_packet::{IcmpError, Packet, before_hop, icmp4, icmp6, ip_proto};

/// Which code an error has unless nested actions say otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// Port unreachable to UDP, otherwise as `Host`: `icmp4`, `icmp6`, `reject`.
    ByProtocol,
    /// Host unreachable, or administratively prohibited for IPv6: `icmp4_error`, `icmp6_error`.
    Host,
}

/// What `icmp4_error` and `icmp6_error` say. A packet that has a port to leave by was routed before it was found to be too large: it is
/// quoted as it came, before this router took one off its time to live (RFC 1812, section 4.3.2.3).
pub(crate) fn about_routed(punt: &Punt<'_>, mtu: FragMtu) -> Answer<Vec<u8>> {
    if punt.metadata.outport().is_none() {
        return Ok(about(&punt.packet, mtu, Code::Host)?.to_vec());
    }
    let came = before_hop(&punt.packet);
    Ok(about(&Packet::parse(&came), mtu, Code::Host)?.to_vec())
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
