//! Neighbour solicitations and advertisements (RFC 4861), as packets to write.

use crate::checksum::Checksum;
use crate::{EthHeader, FlowKey, IpPair, Packet, ethertype, ip_proto};
use kiln_types::{EthAddr, eui64_link_local, solicited_node};
use smoltcp::wire::{
    Icmpv6Message, Icmpv6Packet, NdiscNeighborFlags, NdiscOption, NdiscOptionType, RawHardwareAddress,
};
use std::net::Ipv6Addr;
use std::ops::BitOr;

/// `ff02::1`.
pub(crate) const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// The Ethernet address of an IPv6 multicast group (RFC 2464, section 7).
pub(crate) const fn multicast_mac(group: Ipv6Addr) -> EthAddr {
    let o = group.octets();
    EthAddr([0x33, 0x33, o[12], o[13], o[14], o[15]])
}

/// What a solicitation and an advertisement hold before their options: type, code, checksum, 32 bits, the target (RFC 4861,
/// sections 4.3 and 4.4).
const FIXED_LEN: usize = 24;

/// The kinds of options that stand one after the other, each with its length in units of eight bytes; `None` if one is cut
/// short or has no length.
pub(crate) fn option_kinds(mut options: &[u8]) -> Option<Vec<u8>> {
    let mut kinds = Vec::new();
    while let [kind, units, ..] = *options {
        let len = 8 * usize::from(units);
        options = options.get(len..).filter(|_| len > 0)?;
        kinds.push(kind);
    }
    options.is_empty().then_some(kinds)
}

/// The option with the sender's Ethernet address.
const SOURCE_LINK_LAYER: u8 = 1;

/// Whether a neighbour solicitation or advertisement is valid; others are to be discarded without a word (RFC 4861, sections 7.1.1
/// and 7.1.2; RFC 6980, section 5): it is as long as it must be, with options that are neither cut short nor without a length;
/// its checksum holds; it came without a fragment header, and from no group. A solicitation from the unspecified address goes to a
/// solicited-node group and does not say where it comes from; an advertisement to a group does not say that it was solicited.
pub fn is_valid_nd(packet: &Packet<'_>) -> bool {
    let key = &packet.key;
    let Some(message) = packet.transport() else { return false };
    let Some(options) = message.get(FIXED_LEN..).and_then(option_kinds) else { return false };
    if !is_intact(packet) {
        return false;
    }
    if key.is_neighbor_solicit() && key.ipv6_src.is_unspecified() {
        // The group of an address follows from its last 24 bits alone.
        let to_group = key.ipv6_dst == solicited_node(key.ipv6_dst);
        return to_group && !options.contains(&SOURCE_LINK_LAYER);
    }
    let solicited = NaFlags((key.nd_reserved >> 24) as u8).has(NaFlags::SOLICITED);
    !(key.is_neighbor_advert() && key.ipv6_dst.is_multicast() && solicited)
}

/// What any message of neighbour discovery must be: its checksum holds, and it came without a fragment header, and from no group.
pub(crate) fn is_intact(packet: &Packet<'_>) -> bool {
    let Some(message) = packet.transport() else { return false };
    let key = &packet.key;
    let sum = Checksum::pseudo_v6(key.ipv6_src, key.ipv6_dst, ip_proto::ICMPV6, message.len());
    !packet.has_fragment_header() && !key.ipv6_src.is_multicast() && sum.bytes(message).finish() == 0
}

/// The flags of a neighbour advertisement (RFC 4861, section 4.4), as they stand in its fifth byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct NaFlags(pub u8);

impl NaFlags {
    /// The sender is a router.
    pub const ROUTER: NaFlags = NaFlags(0x80);
    /// The advertisement answers a solicitation.
    pub const SOLICITED: NaFlags = NaFlags(0x40);
    /// What is cached gives way.
    pub const OVERRIDE: NaFlags = NaFlags(0x20);

    /// Whether one of `flags` is set.
    pub const fn has(self, flags: NaFlags) -> bool {
        self.0 & flags.0 != 0
    }
}

impl BitOr for NaFlags {
    type Output = NaFlags;
    fn bitor(self, rhs: NaFlags) -> NaFlags {
        NaFlags(self.0 | rhs.0)
    }
}

/// A neighbour solicitation with its Ethernet and IPv6 headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighborSolicit {
    /// The Ethernet header.
    pub eth: EthHeader,
    /// Source address; unspecified when an address is being checked for duplicates.
    pub ip_src: Ipv6Addr,
    /// Destination: the target itself, or its solicited-node group.
    pub ip_dst: Ipv6Addr,
    /// `nd_target`: whose address is wanted.
    pub target: Ipv6Addr,
    /// `nd_sll`: the sender's Ethernet address; `None` for no option.
    pub slla: Option<EthAddr>,
}

impl NeighborSolicit {
    /// A solicitation for `target` to its solicited-node group, from `mac` at its link-local address.
    pub fn multicast(mac: EthAddr, target: Ipv6Addr) -> Self {
        let ip_dst = solicited_node(target);
        NeighborSolicit {
            eth: EthHeader::new(mac, multicast_mac(ip_dst)),
            ip_src: eui64_link_local(mac),
            ip_dst,
            target,
            slla: Some(mac),
        }
    }

    fn message(&self) -> Message {
        let ips = IpPair::V6 { src: self.ip_src, dst: self.ip_dst };
        Message {
            eth: self.eth,
            ips,
            kind: Icmpv6Message::NeighborSolicit,
            flags: 0,
            target: self.target,
            lla: self.slla,
        }
    }

    /// The length of the frame.
    pub const fn buffer_len(&self) -> usize {
        self.eth.buffer_len() + 40 + message_len(self.slla)
    }

    /// Writes the frame over the first `buffer_len()` bytes of `frame`.
    pub fn emit(&self, frame: &mut [u8]) {
        self.message().emit(&mut frame[..self.buffer_len()]);
    }

    /// The frame.
    pub fn to_vec(&self) -> Vec<u8> {
        crate::emitted(self.buffer_len(), |frame| self.emit(frame))
    }
}

/// A neighbour advertisement with its Ethernet and IPv6 headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NeighborAdvert {
    /// The Ethernet header.
    pub eth: EthHeader,
    /// Source address.
    pub ip_src: Ipv6Addr,
    /// Destination: who asked, or all nodes.
    pub ip_dst: Ipv6Addr,
    /// Router, solicited, override.
    pub flags: NaFlags,
    /// `nd_target`: whose address is told.
    pub target: Ipv6Addr,
    /// `nd_tll`: the Ethernet address that `target` has; `None` for no option.
    pub tlla: Option<EthAddr>,
}

impl NeighborAdvert {
    /// The answer to the solicitation `key`, from the Ethernet address that it was sent to: a caller that answers for
    /// somebody else overrides `eth.src` and `tlla`. `flags` come on top of "override" and "solicited".
    ///
    /// A solicitation from the unspecified address is a check for duplicates: its answer goes to all nodes and is not
    /// "solicited" (RFC 4861, section 7.2.4). `None` if `key` is no solicitation or names no target.
    pub fn answering(key: &FlowKey, flags: NaFlags) -> Option<Self> {
        if !key.is_neighbor_solicit() || key.nd_target.is_unspecified() {
            return None;
        }
        let probe = key.ipv6_src.is_unspecified();
        let (ip_dst, eth_dst) =
            if probe { (ALL_NODES, multicast_mac(ALL_NODES)) } else { (key.ipv6_src, key.eth_src) };
        let solicited = if probe { NaFlags::default() } else { NaFlags::SOLICITED };
        Some(NeighborAdvert {
            eth: EthHeader { dst: eth_dst, src: key.eth_dst, vlan_tci: key.vlan_tci },
            ip_src: key.nd_target,
            ip_dst,
            flags: flags | solicited | NaFlags::OVERRIDE,
            target: key.nd_target,
            tlla: Some(key.eth_dst),
        })
    }

    /// The announcement of `ip` at `mac` to all nodes (RFC 4861, section 7.2.6). `flags` come on top of "override".
    pub fn unsolicited(mac: EthAddr, ip: Ipv6Addr, flags: NaFlags) -> Self {
        NeighborAdvert {
            eth: EthHeader::new(mac, multicast_mac(ALL_NODES)),
            ip_src: ip,
            ip_dst: ALL_NODES,
            flags: flags | NaFlags::OVERRIDE,
            target: ip,
            tlla: Some(mac),
        }
    }

    fn message(&self) -> Message {
        let ips = IpPair::V6 { src: self.ip_src, dst: self.ip_dst };
        let (kind, flags) = (Icmpv6Message::NeighborAdvert, self.flags.0);
        Message { eth: self.eth, ips, kind, flags, target: self.target, lla: self.tlla }
    }

    /// The length of the frame.
    pub const fn buffer_len(&self) -> usize {
        self.eth.buffer_len() + 40 + message_len(self.tlla)
    }

    /// Writes the frame over the first `buffer_len()` bytes of `frame`.
    pub fn emit(&self, frame: &mut [u8]) {
        self.message().emit(&mut frame[..self.buffer_len()]);
    }

    /// The frame.
    pub fn to_vec(&self) -> Vec<u8> {
        crate::emitted(self.buffer_len(), |frame| self.emit(frame))
    }
}

const fn message_len(lla: Option<EthAddr>) -> usize {
    if lla.is_some() { 32 } else { 24 }
}

/// What the two messages have in common.
///
/// ```text
/// +---------------+---------------+-------------------------------+
/// |  type 135/136 |    code 0     |          checksum             |
/// +-+-+-+---------+---------------+-------------------------------+
/// |R|S|O|                      reserved                           |
/// +-+-+-+---------------------------------------------------------+
/// |                         target (16)                           |
/// +---------------+---------------+-------------------------------+
/// |  option 1/2   |   1 (8 bytes) |  link-layer address (6)       |
/// +---------------+---------------+-------------------------------+
/// ```
struct Message {
    eth: EthHeader,
    ips: IpPair,
    kind: Icmpv6Message,
    flags: u8,
    target: Ipv6Addr,
    lla: Option<EthAddr>,
}

impl Message {
    fn emit(&self, frame: &mut [u8]) {
        let datagram = self.eth.emit(frame, ethertype::IPV6);
        let message = self.ips.emit(datagram, ip_proto::ICMPV6, 255);
        // smoltcp's setters leave reserved bits as they find them
        message.fill(0);
        let mut view = Icmpv6Packet::new_unchecked(&mut *message);
        view.set_msg_type(self.kind);
        view.set_neighbor_flags(NdiscNeighborFlags::from_bits_truncate(self.flags));
        view.set_target_addr(self.target);
        if let Some(lla) = self.lla {
            let mut option = NdiscOption::new_unchecked(&mut message[24..]);
            option.set_option_type(match self.kind {
                Icmpv6Message::NeighborSolicit => NdiscOptionType::SourceLinkLayerAddr,
                _ => NdiscOptionType::TargetLinkLayerAddr,
            });
            option.set_data_len(1);
            option.set_link_layer_addr(RawHardwareAddress::from_bytes(&lla.0));
        }
        let sum = self.ips.pseudo_header(ip_proto::ICMPV6, message.len()).bytes(message).finish();
        message[2..4].copy_from_slice(&sum.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAC: EthAddr = EthAddr([2, 0, 0, 0, 0, 1]);

    fn ip(text: &str) -> Ipv6Addr {
        text.parse().unwrap()
    }

    fn valid(frame: &[u8]) -> bool {
        is_valid_nd(&Packet::parse(frame))
    }

    /// The frame with the checksum that it should have.
    fn summed(mut frame: Vec<u8>) -> Vec<u8> {
        let packet = Packet::parse(&frame);
        let at = frame.len() - packet.transport().unwrap().len();
        let (src, dst) = (packet.key.ipv6_src, packet.key.ipv6_dst);
        frame[at + 2..at + 4].fill(0);
        let sum = Checksum::pseudo_v6(src, dst, ip_proto::ICMPV6, frame.len() - at).bytes(&frame[at..]);
        frame[at + 2..at + 4].copy_from_slice(&sum.finish().to_be_bytes());
        frame
    }

    #[test]
    fn messages_with_broken_options_are_not_valid() {
        let whole = NeighborSolicit::multicast(MAC, ip("fd00::1")).to_vec();
        assert!(valid(&whole));
        // Behind Ethernet, IPv6 and the target: the option's kind, its length in units of eight bytes, the address.
        let option = 14 + 40 + FIXED_LEN;
        assert_eq!(whole[option..option + 2], [1, 1]);
        for units in [0, 2, 255] {
            let mut broken = whole.clone();
            broken[option + 1] = units;
            assert!(!valid(&summed(broken)), "{units}");
        }
        let mut bare = whole[..option].to_vec();
        bare[19] = FIXED_LEN as u8;
        assert!(valid(&summed(bare.clone())), "options may be absent");
        bare.truncate(option - 1);
        bare[19] -= 1;
        assert!(!valid(&summed(bare)), "the target may not");
    }

    #[test]
    fn a_message_whose_checksum_fails_is_not_valid() {
        let whole = NeighborAdvert::unsolicited(MAC, ip("fd00::1"), NaFlags::ROUTER).to_vec();
        assert!(valid(&whole));
        assert!(valid(&[&whole[..], &[7; 9]].concat()), "padding is not part of it");
        // The addresses, all of the message but its kind, and the option.
        for at in (22..54).chain(56..whole.len()) {
            let mut broken = whole.clone();
            broken[at] ^= 0x10;
            assert!(!valid(&broken), "byte {at}");
        }
    }

    /// RFC 6980, section 5: also if the header says that there is but one fragment.
    #[test]
    fn a_message_with_a_fragment_header_is_not_valid() {
        let whole = NeighborAdvert::unsolicited(MAC, ip("fd00::1"), NaFlags::ROUTER).to_vec();
        for more in [0, 1] {
            let header = [ip_proto::ICMPV6, 0, 0, more, 0, 0, 0, 9];
            let mut cut = [&whole[..54], &header, &whole[54..]].concat();
            cut[19] += 8;
            cut[20] = ip_proto::FRAGMENT;
            let cut = summed(cut);
            assert!(Packet::parse(&cut).key.is_neighbor_advert() && !valid(&cut), "{more}");
        }
    }

    #[test]
    fn who_asks_without_an_address_asks_a_group_and_does_not_say_where_it_is() {
        let solicit = |src: &str, dst: &str, slla| NeighborSolicit {
            ip_src: ip(src),
            ip_dst: ip(dst),
            slla,
            ..NeighborSolicit::multicast(MAC, ip("fd00::12:3456"))
        };
        for (src, dst, slla, is_valid) in [
            ("::", "ff02::1:ff12:3456", None, true),
            ("::", "ff02::1:ff12:3456", Some(MAC), false),
            ("::", "fd00::12:3456", None, false),
            ("::", "ff02::1", None, false),
            ("::", "ff02::1:fe12:3456", None, false),
            ("ff02::9", "ff02::1:ff12:3456", Some(MAC), false),
            ("fd00::7", "fd00::12:3456", Some(MAC), true),
            ("fd00::7", "fd00::12:3456", None, true),
            ("fd00::7", "ff02::1:ff12:3456", Some(MAC), true),
        ] {
            assert_eq!(valid(&solicit(src, dst, slla).to_vec()), is_valid, "{src} {dst} {slla:?}");
        }
    }

    #[test]
    fn what_is_told_to_all_was_not_solicited() {
        let advert = |src: &str, dst: &str, flags| NeighborAdvert {
            ip_src: ip(src),
            ip_dst: ip(dst),
            flags,
            ..NeighborAdvert::unsolicited(MAC, ip("fd00::1"), flags)
        };
        for (src, dst, flags, is_valid) in [
            ("fd00::1", "ff02::1", NaFlags::OVERRIDE | NaFlags::ROUTER, true),
            ("fd00::1", "ff02::1", NaFlags::SOLICITED | NaFlags::OVERRIDE, false),
            ("fd00::1", "fd00::7", NaFlags::SOLICITED | NaFlags::OVERRIDE, true),
            ("fd00::1", "fd00::7", NaFlags::default(), true),
            ("ff02::9", "fd00::7", NaFlags::SOLICITED, false),
        ] {
            assert_eq!(valid(&advert(src, dst, flags).to_vec()), is_valid, "{src} {dst} {flags:?}");
        }
    }
}
