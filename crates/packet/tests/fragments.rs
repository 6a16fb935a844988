//! Fragments: what they are made of, and that they make up what was cut.

use kiln_packet::{Datagram, Fragments, MTU_MIN_V4, Packet, Unfragmentable};
use proptest::prelude::*;
use smoltcp::wire::Ipv4Packet;
use std::collections::BTreeMap;

/// A frame with an IPv4 datagram, its checksum right.
fn frame(tagged: bool, flags: u16, options: &[u8], payload: &[u8]) -> Vec<u8> {
    assert!(options.len().is_multiple_of(4));
    let header_len = 20 + options.len();
    let mut ip = vec![0x40 | (header_len / 4) as u8, 0x48];
    ip.extend(((header_len + payload.len()) as u16).to_be_bytes());
    ip.extend([0xab, 0xcd]);
    ip.extend(flags.to_be_bytes());
    ip.extend([61, 200, 0, 0, 10, 0, 0, 1, 10, 0, 1, 1]);
    ip.extend(options);
    let sum = kiln_packet::checksum::of(&ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    ip.extend(payload);
    let tag: &[u8] = if tagged { &[0x81, 0, 0x20, 5] } else { &[] };
    [&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1], tag, &[8, 0], &ip].concat()
}

/// Bytes of all fragments, each for a link of `mtu` bytes.
fn cut(frame: &[u8], mtu: u16) -> Result<Vec<Vec<u8>>, Unfragmentable> {
    let packet = Packet::parse(frame);
    let fragments = Fragments::of(&packet, mtu)?;
    let promised = fragments.len();
    let frames: Vec<Vec<u8>> = fragments
        .map(|fragment| {
            let mut buffer = vec![0xff; fragment.buffer_len()];
            fragment.emit(&mut buffer);
            assert_eq!(buffer, fragment.to_vec());
            buffer
        })
        .collect();
    assert_eq!(frames.len(), promised);
    Ok(frames)
}

/// What stands where in the datagram, and whether its end is known, as RFC 791's reassembly finds it.
fn reassembled(fragments: &[Vec<u8>]) -> (BTreeMap<usize, u8>, Option<usize>) {
    let (mut bytes, mut end) = (BTreeMap::new(), None);
    for frame in fragments {
        let packet = Packet::parse(frame);
        let ip = Ipv4Packet::new_checked(packet.ip()).expect("an IPv4 datagram");
        assert!(ip.verify_checksum());
        let at = usize::from(ip.frag_offset());
        for (n, byte) in ip.payload().iter().enumerate() {
            assert_eq!(bytes.insert(at + n, *byte), None, "fragments overlap");
        }
        if !ip.more_frags() {
            assert_eq!(end.replace(at + ip.payload().len()), None, "two last fragments");
        }
    }
    (bytes, end)
}

#[test]
fn fragments_say_which_datagram_they_are_of() {
    let whole = frame(true, 0, &[], &[7; 3000]);
    assert_eq!(Packet::parse(&whole).datagram(), None);
    let [src, dst] = ["10.0.0.1", "10.0.1.1"].map(|ip| ip.parse().expect("an address"));
    for piece in cut(&whole, 1400).expect("it may be cut") {
        assert_eq!(Packet::parse(&piece).datagram(), Some(Datagram { src, dst, id: 0xabcd }));
    }
    // IPv6, first with a header that says that the packet is whole, then as the first of more, then as a later one.
    for (offset, is_piece) in [(0, false), (1, true), (8, true)] {
        let header = [17, 0, 0, offset, 0xab, 0xcd, 0, 9];
        let addresses = [[0xfd; 16], [0xfe; 16]].concat();
        let ip = [&[0x60, 0, 0, 0, 0, 16, 44, 64][..], &addresses, &header, &[0; 8]].concat();
        let frame = [&[2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x86, 0xdd][..], &ip].concat();
        let [src, dst] = [[0xfd; 16], [0xfe; 16]].map(std::net::IpAddr::from);
        let datagram = Some(Datagram { src, dst, id: 0xabcd_0009 }).filter(|_| is_piece);
        assert_eq!(Packet::parse(&frame).datagram(), datagram, "{offset}");
    }
}

/// Options of whole words: timestamp-like ones that stay with the first fragment, and security-like ones that are copied.
fn options() -> impl Strategy<Value = Vec<u8>> {
    let option = prop_oneof![
        Just(vec![1]),
        (any::<u8>(), 2u8..8).prop_map(|(kind, len)| {
            let kind = if kind & 0x7f < 2 { kind | 2 } else { kind };
            let mut option = vec![kind, len];
            option.resize(usize::from(len), kind);
            option
        }),
    ];
    proptest::collection::vec(option, 0..8).prop_map(|list| {
        let mut options = list.concat();
        options.truncate(40);
        options.resize(options.len().next_multiple_of(4), 0);
        options
    })
}

proptest! {
    #[test]
    fn fragments_make_up_the_datagram(
        tagged: bool, options in options(), payload in proptest::collection::vec(any::<u8>(), 0..4000),
        mtu in prop_oneof![68u16..200, 200u16..1600], reserved: bool, padding in 0usize..20,
    ) {
        let flags = if reserved { 0x8000 } else { 0 };
        let mut whole = frame(tagged, flags, &options, &payload);
        let datagram_len = Packet::parse(&whole).ip().len();
        whole.extend(vec![0xee; padding]);
        let fragments = cut(&whole, mtu).unwrap();
        let (bytes, end) = reassembled(&fragments);
        prop_assert_eq!(end, Some(payload.len()));
        prop_assert!(bytes.keys().copied().eq(0..payload.len()), "no holes");
        prop_assert!(bytes.values().eq(payload.iter()));
        let original = Packet::parse(&whole);
        for (n, fragment) in fragments.iter().enumerate() {
            let packet = Packet::parse(fragment);
            prop_assert_eq!(packet.link_header(), original.link_header());
            prop_assert!(packet.ip().len() <= usize::from(mtu));
            let same = |range: std::ops::Range<usize>| packet.ip()[range.clone()] == original.ip()[range];
            prop_assert!(same(1..2) && same(4..6) && same(8..10) && same(12..20), "fragment {}", n);
            prop_assert_eq!(packet.ip()[6] & 0x80, original.ip()[6] & 0x80);
            let header_len = usize::from(packet.ip()[0] & 0xf) * 4;
            if n == 0 {
                prop_assert_eq!(&packet.ip()[20..header_len], &options[..]);
            }
            if n + 1 < fragments.len() {
                prop_assert!(packet.ip().len() + 8 > usize::from(mtu), "as few fragments as there can be");
            }
        }
        if datagram_len <= usize::from(mtu) {
            prop_assert_eq!(&fragments[..], &[whole[..whole.len() - padding].to_vec()][..]);
        }
    }

    /// Cut for one link and then for a narrower one: the same bytes as cut at once, and every hole is filled.
    #[test]
    fn a_fragment_is_fragmented_again(
        payload in proptest::collection::vec(any::<u8>(), 500..6000), options in options(),
        first in 300u16..1500, second in 68u16..300,
    ) {
        let whole = frame(false, 0, &options, &payload);
        let twice: Vec<Vec<u8>> =
            cut(&whole, first).unwrap().iter().flat_map(|fragment| cut(fragment, second).unwrap()).collect();
        let (bytes, end) = reassembled(&twice);
        prop_assert_eq!(end, Some(payload.len()));
        prop_assert!(bytes.values().eq(payload.iter()));
    }

    #[test]
    fn any_frame_is_cut_or_refused(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..300), mtu: u16, total_len in 0u16..300, ihl in 5u8..16,
    ) {
        if bytes.len() >= 18 {
            bytes[12..14].copy_from_slice(&[8, 0]);
            bytes[14] = 0x40 | ihl;
            bytes[16..18].copy_from_slice(&total_len.to_be_bytes());
        }
        if let Ok(fragments) = cut(&bytes, mtu) {
            prop_assert!(fragments.iter().all(|f| Packet::parse(f).ip().len() <= usize::from(mtu)));
        }
    }
}

#[test]
fn an_example_that_can_be_checked_by_hand() {
    // 40 bytes for a link of 68 with record route (7, not copied), no operation, and security (130, copied)
    let options = [7, 7, 4, 0, 0, 0, 0, 1, 130, 3, 9, 0];
    let payload: Vec<u8> = (0..100).collect();
    let fragments = cut(&frame(false, 0, &options, &payload), 68).unwrap();
    // header 32: room for 36, so 32; header 24 (130, 3, 9 and an end): room for 44, so 40, then 28
    let shape = |frame: &Vec<u8>| {
        let ip = Packet::parse(frame).ip().to_vec();
        (usize::from(ip[0] & 0xf) * 4, ip.len(), u16::from_be_bytes([ip[6], ip[7]]))
    };
    let shapes: Vec<_> = fragments.iter().map(shape).collect();
    assert_eq!(shapes, [(32, 64, 0x2000), (24, 64, 0x2000 | 4), (24, 52, 9)]);
    assert_eq!(fragments[1][14 + 20..14 + 24], [130, 3, 9, 0]);
    assert_eq!(fragments[2][14 + 24..], payload[72..]);
}

#[test]
fn what_is_not_fragmented() {
    use Unfragmentable::*;
    let payload = [0; 200];
    let plain = frame(false, 0, &[], &payload);
    let rows = [
        ("an ordinary one", plain.clone(), 100, None),
        ("don't fragment", frame(false, 0x4000, &[], &payload), 219, Some(DontFragment)),
        ("don't fragment, but it fits", frame(false, 0x4000, &[], &payload), 220, None),
        ("too small a link", plain.clone(), MTU_MIN_V4 - 1, Some(MtuTooSmall)),
        ("ends beyond 65,535 bytes", frame(false, 0x1fff, &[], &payload), 100, Some(BadFragment)),
        ("not eights, and more follow", frame(false, 0x2000, &[], &payload[..199]), 100, Some(BadFragment)),
        ("ARP", [&plain[..12], &[8, 6], &plain[14..]].concat(), 100, Some(NotIpv4)),
        ("version 5", [&plain[..14], &[0x55], &plain[15..]].concat(), 100, Some(NotIpv4)),
        ("longer than its frame", plain[..100].to_vec(), 100, Some(NotIpv4)),
    ];
    for (name, frame, mtu, expected) in rows {
        assert_eq!(cut(&frame, mtu).err(), expected, "{name}");
    }
}
