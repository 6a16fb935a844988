//! Router solicitations (RFC 4861, section 4.1), and what answers them.

use crate::{IpPair, Packet, ip_proto, nd};
use std::net::Ipv6Addr;

/// Type of a router solicitation.
const SOLICIT: u16 = 133;
/// What a solicitation holds before its options: type, code, checksum, 32 reserved bits.
const FIXED_LEN: usize = 8;
/// What an advertisement holds before its options.
const ADVERT_FIXED_LEN: usize = 16;
/// The option with the sender's Ethernet address.
const SOURCE_LINK_LAYER: u8 = 1;

/// Where all nodes of a link listen (RFC 4291, section 2.7.1).
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// The frame of a solicitation with `advert`, a router advertisement from its type on, in its place: the addresses stay, who
/// sends it to whom is for the caller to say. But for one: in place of the unspecified address of who has none yet there are all
/// nodes, to whom the advertisement goes then (RFC 4861, section 6.2.6). `None` if it is no solicitation or one that RFC 4861, section 6.1.1, calls
/// invalid, or if `advert` is too short to be one.
pub fn answer_solicit(packet: &Packet<'_>, advert: &[u8]) -> Option<Vec<u8>> {
    let key = &packet.key;
    let options = packet.transport()?.get(FIXED_LEN..)?;
    let solicits =
        key.is_ipv6() && key.nw_proto == ip_proto::ICMPV6 && (key.tp_src, key.tp_dst) == (SOLICIT, 0);
    if !solicits || key.nw_ttl != 255 || advert.len() < ADVERT_FIXED_LEN {
        return None;
    }
    let kinds = nd::option_kinds(options)?;
    if !nd::is_intact(packet) {
        return None;
    }
    let from_nobody = key.ipv6_src.is_unspecified();
    if from_nobody && kinds.contains(&SOURCE_LINK_LAYER) {
        return None;
    }
    let asker = if from_nobody { ALL_NODES } else { key.ipv6_src };
    let ips = IpPair::V6 { src: asker, dst: key.ipv6_dst };
    let link = packet.link_header();
    let mut frame = vec![0; link.len() + ips.header_len() + advert.len()];
    let (start, datagram) = frame.split_at_mut(link.len());
    start.copy_from_slice(link);
    let message = ips.emit(datagram, ip_proto::ICMPV6, 255);
    message.copy_from_slice(advert);
    message[2..4].fill(0);
    let sum = ips.pseudo_header(ip_proto::ICMPV6, message.len()).bytes(message).finish();
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    Some(frame)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::Checksum;
    use std::net::Ipv6Addr;

    /// A solicitation, with its checksum.
    fn solicit(src: &str, ttl: u8, options: &[u8]) -> Vec<u8> {
        let (src, dst): (Ipv6Addr, Ipv6Addr) = (src.parse().unwrap(), "ff02::2".parse().unwrap());
        let message = [&[133, 0, 0, 0, 0, 0, 0, 0], options].concat();
        let ips = IpPair::V6 { src, dst };
        let mut datagram = vec![0; 40 + message.len()];
        let at = ips.emit(&mut datagram, ip_proto::ICMPV6, ttl);
        at.copy_from_slice(&message);
        let sum = ips.pseudo_header(ip_proto::ICMPV6, at.len()).bytes(at).finish();
        at[2..4].copy_from_slice(&sum.to_be_bytes());
        [&[0x33, 0x33, 0, 0, 0, 2, 0x0a, 0, 0, 0, 0, 1, 0x86, 0xdd], &datagram[..]].concat()
    }

    const ADVERT: &[u8] = &[134, 0, 0, 0, 255, 8, 255, 255, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 14, 0, 0, 0, 0, 1];
    const SLLA: &[u8] = &[1, 1, 0x0a, 0, 0, 0, 0, 1];

    #[test]
    fn the_message_is_replaced_and_the_addresses_stay() {
        let asked = solicit("fe80::1", 255, SLLA);
        let answer = answer_solicit(&Packet::parse(&asked), ADVERT).unwrap();
        let parsed = Packet::parse(&answer);
        assert_eq!(parsed.link_header(), &asked[..14]);
        assert_eq!((parsed.key.tp_src, parsed.key.nw_ttl), (134, 255));
        assert_eq!(
            (parsed.key.ipv6_src.to_string(), parsed.key.ipv6_dst.to_string()),
            ("fe80::1".into(), "ff02::2".into())
        );
        let message = parsed.transport().unwrap();
        assert_eq!((&message[..2], &message[4..]), (&ADVERT[..2], &ADVERT[4..]));
        let sum =
            Checksum::pseudo_v6(parsed.key.ipv6_src, parsed.key.ipv6_dst, ip_proto::ICMPV6, message.len());
        assert_eq!(sum.bytes(message).finish(), 0, "the checksum holds");
    }

    /// The pipeline sends it back to who sent the solicitation.
    #[test]
    fn who_has_no_address_is_answered_with_all_others() {
        let answer = answer_solicit(&Packet::parse(&solicit("::", 255, &[])), ADVERT).unwrap();
        let parsed = Packet::parse(&answer);
        assert_eq!(parsed.link_header(), &solicit("::", 255, &[])[..14], "it still goes to one interface");
        assert_eq!((parsed.key.ipv6_src.to_string(), parsed.key.tp_src), ("ff02::1".into(), 134));
        let message = parsed.transport().unwrap();
        let sum =
            Checksum::pseudo_v6(parsed.key.ipv6_src, parsed.key.ipv6_dst, ip_proto::ICMPV6, message.len());
        assert_eq!(sum.bytes(message).finish(), 0, "the checksum holds");
    }

    #[test]
    fn invalid_solicitations_have_no_answer() {
        let none =
            |frame: Vec<u8>, advert: &[u8]| assert_eq!(answer_solicit(&Packet::parse(&frame), advert), None);
        none(solicit("fe80::1", 254, SLLA), ADVERT);
        none(solicit("::", 255, SLLA), ADVERT);
        none(solicit("fe80::1", 255, &[1, 0, 0, 0, 0, 0, 0, 0]), ADVERT);
        none(solicit("fe80::1", 255, &[1, 2, 0, 0, 0, 0, 0, 0]), ADVERT);
        none(solicit("fe80::1", 255, SLLA), &ADVERT[..15]);
        none(solicit("ff02::9", 255, SLLA), ADVERT);
        let mut wrong_sum = solicit("fe80::1", 255, SLLA);
        wrong_sum[14 + 40 + 3] ^= 1;
        none(wrong_sum, ADVERT);
        none(ADVERT.to_vec(), ADVERT);
    }
}
