//! What senders are told whose packets' next hop gives no answer: RFC 792 and RFC 1122, section 3.2.2.1, host unreachable;
//! RFC 4443, section 3.1, address unreachable.

use super::Answer;
use crate::punt::Punt;
use crate::{DropReason, Neighbors};
use kiln_abi::registers::{flags, reg};
use kiln_abi::stages::{Pipeline, Stage};
use kiln_abi::tables;
use kiln_openflow::{Action, Actions, Field};
use kiln_packet::{IcmpError, IpPair, Packet, icmp4, icmp6};
use std::net::IpAddr;

/// The last register of those that flows use as they like; those behind hold what a datapath's packets are known by.
const LAST_FREE_REGISTER: u8 = reg::FLAGS - 1;

/// With which address the router speaks to the packet's sender, by the port that the packet came in by; `None` if it says
/// nothing, as it does about packets to all hosts of the network that they go out to (RFC 1122, section 3.2.2; RFC 1812,
/// section 4.3.2.7).
pub(crate) fn speaker(punt: &Punt<'_>, neighbors: &impl Neighbors) -> Option<IpAddr> {
    let key = &punt.packet.key;
    let (router, inport) = (punt.metadata.datapath()?, punt.metadata.inport()?);
    if key.is_ipv6() {
        return neighbors.speaker(router, inport, key.ipv6_src.into());
    }
    let to_all = |outport| neighbors.is_broadcast(router, outport, key.nw_dst);
    if punt.metadata.outport().is_some_and(to_all) {
        return None;
    }
    neighbors.speaker(router, inport, key.nw_src.into())
}

/// The error about the packet, from `speaker`, on its way to the sender. It quotes the packet as it came, as the error about
/// a packet without a route does.
pub(crate) fn about(punt: &Punt<'_>, speaker: IpAddr) -> Answer<Vec<u8>> {
    let came = punt.as_it_came();
    let (kind, code) = if punt.packet.key.is_ipv6() {
        (icmp6::UNREACHABLE, icmp6::ADDRESS)
    } else {
        (icmp4::UNREACHABLE, icmp4::HOST)
    };
    let mut error = IcmpError::about(&Packet::parse(&came), kind, code, 0)?;
    error.ips = match (error.ips, speaker) {
        (IpPair::V4 { src, .. }, IpAddr::V4(speaker)) => IpPair::V4 { src: speaker, dst: src },
        (IpPair::V6 { src, .. }, IpAddr::V6(speaker)) => IpPair::V6 { src: speaker, dst: src },
        _ => return Err(DropReason::NoMetadata),
    };
    Ok(error.to_vec())
}

/// What the error goes down with. The packet's own Ethernet addresses are those of its way out by now, so the router routes
/// the error anew, as if it had come in by the packet's port; it may leave by the same.
pub(crate) fn routed(punt: &Punt<'_>) -> Answer<Actions> {
    let mut actions: Vec<_> = punt.metadata.restore().collect();
    actions.extend((0..=LAST_FREE_REGISTER).map(|n| Action::set_field(Field::reg(n), 0u8)));
    actions.push(Action::set_field(Field::reg(reg::FLAGS), 1u32 << flags::LOOPBACK));
    actions.push(Action::set_field(Field::reg(reg::OUTPORT), 0u8));
    let routing = tables::of_stage(Pipeline::Ingress, Stage::LR_IN_IP_ROUTING_PRE.number);
    actions.push(Action::resubmit(routing));
    Actions::encode(&actions).map_err(|_| DropReason::BadActions)
}
