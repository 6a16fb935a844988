//! `reject { ... }`: refuses a packet in the way that its protocol understands (ovn-sb(5)).

use super::{Answer, icmp_error, sctp_abort, tcp_reset};
use crate::nested::FragMtu;
use crate::punt::Punt;
use kiln_packet::ip_proto;

/// A reset to TCP, an abort to SCTP, an ICMP error to the rest, on its way back to the sender.
pub(crate) fn refusal(punt: &Punt<'_>, mtu: FragMtu) -> Answer<Vec<u8>> {
    let key = &punt.packet.key;
    if key.is_transport(ip_proto::TCP) {
        Ok(tcp_reset::answering(punt)?.back().to_vec())
    } else if key.is_transport(ip_proto::SCTP) {
        Ok(sctp_abort::answering(punt)?.back().to_vec())
    } else {
        Ok(icmp_error::about(&punt.packet, mtu, icmp_error::Code::ByProtocol)?.back().to_vec())
    }
}
