//! Packets that no error and no reset may be sent about.

use crate::{FlowKey, IpPair, Packet, ip_proto};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Why a packet must not be answered.
///
/// The conditions are those of RFC 1122 3.2.2 and 4.2.3.10, RFC 1812 4.3.2.7, RFC 4443 2.4(e), RFC 9293 3.10.7.1 and RFC 9260
/// 8.4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Unanswerable {
    /// Neither IPv4 nor IPv6, or a datagram whose header does not hold.
    #[error("not a well-formed IP datagram")]
    NotIp,
    /// Another transport protocol than the answer is for.
    #[error("not of the protocol that the answer is for")]
    WrongProtocol,
    /// The transport header is cut short, so what it says cannot be known.
    #[error("transport header cut short")]
    Truncated,
    /// A fragment other than the first.
    #[error("fragment other than the first")]
    LaterFragment,
    /// Sent to a link-layer broadcast or multicast address.
    #[error("sent to a link-layer group")]
    LinkGroup,
    /// Sent to an IP broadcast or multicast address.
    #[error("sent to a group of hosts")]
    IpGroup,
    /// The source is not one host: unspecified, loopback, broadcast, multicast or reserved.
    #[error("source address is not a single host's")]
    Source,
    /// An ICMP error message, or an ICMPv6 redirect.
    #[error("is an ICMP error itself")]
    IcmpError,
    /// A TCP reset, or what ends an SCTP association.
    #[error("is a reset itself")]
    Reset,
    /// An SCTP INIT that brings no tag to answer with.
    #[error("has no tag to be answered with")]
    NoTag,
}

/// How an answer treats groups.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Groups {
    /// Nothing sent to a group is answered.
    Refuse,
    /// Packet-too-big answers multicast, or path MTU discovery would not work for it, and so does the complaint about an
    /// option that asks for it (RFC 4443, 2.4(e.3)).
    AllowV6,
}

/// Checks the conditions that every answer has, and yields the packet's addresses.
pub(crate) fn check(packet: &Packet<'_>, groups: Groups) -> Result<IpPair, Unanswerable> {
    let key = &packet.key;
    let ips = key.ip_pair().ok_or(Unanswerable::NotIp)?;
    let version = packet.ip().first().map(|b| b >> 4);
    let groups_allowed = match ips {
        IpPair::V4 { src, dst } => {
            if version != Some(4) {
                return Err(Unanswerable::NotIp);
            }
            if !is_host_v4(src) {
                return Err(Unanswerable::Source);
            }
            if dst.is_multicast() || dst.is_broadcast() {
                return Err(Unanswerable::IpGroup);
            }
            false
        }
        IpPair::V6 { src, dst } => {
            if version != Some(6) {
                return Err(Unanswerable::NotIp);
            }
            if !is_host_v6(src) {
                return Err(Unanswerable::Source);
            }
            let allowed = groups == Groups::AllowV6;
            if dst.is_multicast() && !allowed {
                return Err(Unanswerable::IpGroup);
            }
            allowed
        }
    };
    if key.is_later_fragment() {
        return Err(Unanswerable::LaterFragment);
    }
    if packet.transport().is_none() {
        return Err(Unanswerable::NotIp);
    }
    if key.eth_dst.is_multicast() && !groups_allowed {
        return Err(Unanswerable::LinkGroup);
    }
    Ok(ips)
}

/// Refuses ICMP messages that are errors, or too short to tell.
pub(crate) fn check_not_an_error(packet: &Packet<'_>) -> Result<(), Unanswerable> {
    let key = &packet.key;
    let icmp = match () {
        () if key.is_ipv4() => key.is_transport(ip_proto::ICMP),
        () => key.is_transport(ip_proto::ICMPV6),
    };
    if !icmp {
        return Ok(());
    }
    let kind = packet.transport().and_then(<[u8]>::first).ok_or(Unanswerable::Truncated)?;
    if is_error(key, *kind) { Err(Unanswerable::IcmpError) } else { Ok(()) }
}

fn is_error(key: &FlowKey, kind: u8) -> bool {
    // unreachable, source quench, redirect, time exceeded, parameter problem; ICMPv6 errors are the lower half, and
    // redirects are named beside them
    if key.is_ipv4() { matches!(kind, 3 | 4 | 5 | 11 | 12) } else { kind < 128 || kind == 137 }
}

fn is_host_v4(ip: Ipv4Addr) -> bool {
    let first = ip.octets()[0];
    first != 0 && first != 127 && first < 224
}

fn is_host_v6(ip: Ipv6Addr) -> bool {
    !(ip.is_unspecified() || ip.is_loopback() || ip.is_multicast())
}
