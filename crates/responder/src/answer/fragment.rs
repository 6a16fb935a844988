//! `fragment(mtu) { ... }`, an action of Kiln's own: cuts an IPv4 packet that is larger than the next link takes, or tells its
//! sender why not (RFC 791, section 2.3; RFC 1812, section 4.2.2.7; RFC 1191, section 4).

use super::Answer;
use crate::DropReason;
use crate::punt::Punt;
use kiln_packet::{Fragments, IcmpError, Packet, Unfragmentable};

/// Bytes of the action's payload before its nested actions: the MTU, and zeros that align what follows.
pub(crate) const ARGUMENTS_LEN: usize = 8;

/// What becomes of a packet.
pub(crate) enum Cut<'a> {
    /// Its pieces go on.
    Fragments(Fragments<'a>),
    /// Its sender forbids it, and is told of the MTU by this error. It quotes the packet as it came to the router.
    Refused(Vec<u8>),
}

/// Cuts the packet, which comes up with the MTU.
pub(crate) fn cut<'a>(punt: &Punt<'a>) -> Answer<Cut<'a>> {
    let mtu = mtu(punt).ok_or(DropReason::BadActions)?;
    match Fragments::of(&punt.packet, mtu) {
        Ok(fragments) => Ok(Cut::Fragments(fragments)),
        Err(Unfragmentable::DontFragment) => {
            Ok(Cut::Refused(IcmpError::too_big(&Packet::parse(&punt.as_it_came()), mtu)?.to_vec()))
        }
        Err(why) => Err(why.into()),
    }
}

/// The MTU that the action names.
fn mtu(punt: &Punt<'_>) -> Option<u16> {
    punt.payload().first_chunk::<ARGUMENTS_LEN>().map(|[high, low, ..]| u16::from_be_bytes([*high, *low]))
}

/// Whether the sender forbids that the packet be cut.
pub(crate) fn is_forbidden(packet: &Packet<'_>) -> bool {
    packet.key.is_ipv4() && packet.ip().get(6).is_some_and(|flags| flags & 0x40 != 0)
}

/// How many pieces the packet will come to, about.
pub(crate) fn pieces(punt: &Punt<'_>) -> u32 {
    let mtu = usize::from(mtu(punt).unwrap_or(u16::MAX)).max(1);
    punt.packet.ip().len().div_ceil(mtu).max(1) as u32
}
