//! `tcp_reset { ... }`: resets a connection (ovn-sb(5), RFC 9293 3.10.7.1).

use super::Answer;
use crate::punt::Punt;
use kiln_packet::TcpReset;

/// The reset that answers the segment, still on the segment's own way but for its ports.
pub(crate) fn answering(punt: &Punt<'_>) -> Answer<TcpReset> {
    Ok(TcpReset::answering(&punt.packet)?)
}
