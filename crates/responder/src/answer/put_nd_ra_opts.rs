//! `put_nd_ra_opts(...)`: answers a router solicitation (ovn-sb(5); RFC 4861, section 6.2.6).

use super::Answer;
use crate::DropReason;
use crate::punt::Punt;
use kiln_openflow::field::Header;
use kiln_openflow::{Field, Subfield};
use kiln_packet::answer_solicit;

/// Where the pipeline wants to be told whether there was an answer, and the advertisement that userdata holds: the header of
/// a field, the number of one of its bits, an ICMPv6 message without its checksum.
pub(crate) fn read<'p>(punt: &Punt<'p>) -> Answer<(Subfield, &'p [u8])> {
    result_bit(punt.payload()).ok_or(DropReason::BadActions)
}

fn result_bit(payload: &[u8]) -> Option<(Subfield, &[u8])> {
    let (header, rest) = payload.split_first_chunk::<4>()?;
    let (number, rest) = rest.split_first_chunk::<4>()?;
    let [high, low, field, len] = *header;
    let header = Header { class: u16::from_be_bytes([high, low]), field: field >> 1, experimenter: 0 };
    let field = Field::by_header(header, len.into())?;
    let bit = Subfield::new(field, u16::try_from(u32::from_be_bytes(*number)).ok()?, 1);
    // A field that is matched as a whole or not at all has no bit that could be told alone.
    (bit.is_valid() && field.info().maskable).then_some((bit, rest))
}

/// The advertisement in the place of the solicitation: who sends it to whom is the pipeline's to say.
pub(crate) fn advertisement(punt: &Punt<'_>, advert: &[u8]) -> Answer<Vec<u8>> {
    answer_solicit(&punt.packet, advert).ok_or(DropReason::WrongPacket)
}
