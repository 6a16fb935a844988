//! `sctp_abort { ... }`: ends an association (ovn-sb(5), RFC 9260 8.4).

use super::Answer;
use crate::punt::Punt;
use kiln_packet::SctpAbort;

/// The abort that answers the packet, still on the packet's own way but for its ports.
pub(crate) fn answering(punt: &Punt<'_>) -> Answer<SctpAbort> {
    Ok(SctpAbort::answering(&punt.packet)?)
}
