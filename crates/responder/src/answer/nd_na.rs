//! `nd_na { ... }` and `nd_na_router { ... }`: answer a neighbour solicitation (ovn-sb(5)).

use super::Answer;
use crate::DropReason;
use crate::punt::Punt;
use kiln_packet::{NaFlags, NeighborAdvert, is_valid_nd};

/// The advertisement of what was asked for, at the Ethernet address that the solicitation was sent to: nested actions
/// say the right one.
pub(crate) fn advertisement(punt: &Punt<'_>, router: bool) -> Answer<Vec<u8>> {
    let flags = if router { NaFlags::ROUTER } else { NaFlags::default() };
    let advert = NeighborAdvert::answering(&punt.packet.key, flags).ok_or(DropReason::WrongPacket)?;
    if !is_valid_nd(&punt.packet) {
        return Err(DropReason::Malformed);
    }
    Ok(advert.to_vec())
}
