//! Router advertisements, read back by an implementation that is not ours, and options byte by byte.

use kiln_packet::{FlowKey, Packet, Preference, RA_OPTIONS_MAX, RaOptions, RouterAdvert};
use kiln_types::{EthAddr, Ipv6Net};
use proptest::prelude::*;
use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{Icmpv6Packet, Icmpv6Repr, NdiscPrefixInfoFlags, NdiscRepr, NdiscRouterFlags};
use std::net::Ipv6Addr;

fn net(text: &str) -> Ipv6Net {
    text.parse().expect("a prefix")
}

proptest! {
    #[test]
    fn smoltcp_reads_what_was_meant(
        mac: [u8; 6], managed: bool, other: bool, hop_limit: u8, lifetime_s: u16, reachable_ms: u32, retrans_ms: u32,
        mtu: u32, prefix: u128, prefix_len in 0u8..=128, on_link: bool, autonomous: bool, valid_s: u32, preferred_s: u32,
    ) {
        let mac = EthAddr(mac);
        let net = Ipv6Net::new(Ipv6Addr::from_bits(prefix), prefix_len).expect("a length").trunc();
        let mut options = RaOptions::new();
        prop_assert!(options.source_link_layer(mac) && options.mtu(mtu));
        prop_assert!(options.prefix(net, on_link, autonomous, valid_s, preferred_s));
        let advert = RouterAdvert {
            managed, other, hop_limit, reachable_ms, retrans_ms,
            ..RouterAdvert::multicast(mac, lifetime_s, options)
        };
        let frame = advert.to_vec();
        let packet = Packet::parse(&frame);
        prop_assert_eq!((packet.key.nw_ttl, packet.key.tp_src, packet.key.tp_dst), (255, 134, 0));
        let message = Icmpv6Packet::new_checked(packet.transport().unwrap()).unwrap();
        let (src, dst) = (packet.key.ipv6_src, packet.key.ipv6_dst);
        let repr = Icmpv6Repr::parse(&src, &dst, &message, &ChecksumCapabilities::default()).unwrap();
        let Icmpv6Repr::Ndisc(NdiscRepr::RouterAdvert {
            hop_limit: read_hop_limit, flags, router_lifetime, reachable_time, retrans_time, lladdr, mtu: read_mtu, prefix_info,
        }) = repr else { panic!("{repr:?}") };
        prop_assert_eq!(read_hop_limit, hop_limit);
        prop_assert_eq!(flags.contains(NdiscRouterFlags::MANAGED), managed);
        prop_assert_eq!(flags.contains(NdiscRouterFlags::OTHER), other);
        prop_assert_eq!(router_lifetime.secs(), u64::from(lifetime_s));
        prop_assert_eq!(reachable_time.total_millis(), u64::from(reachable_ms));
        prop_assert_eq!(retrans_time.total_millis(), u64::from(retrans_ms));
        prop_assert!(lladdr.is_some_and(|lladdr| lladdr.as_bytes() == mac.0));
        prop_assert_eq!(read_mtu, Some(mtu));
        let info = prefix_info.unwrap();
        prop_assert_eq!((info.prefix, info.prefix_len), (net.network(), prefix_len));
        prop_assert_eq!(info.flags.contains(NdiscPrefixInfoFlags::ON_LINK), on_link);
        prop_assert_eq!(info.flags.contains(NdiscPrefixInfoFlags::ADDRCONF), autonomous);
        prop_assert_eq!(info.valid_lifetime.secs(), u64::from(valid_s));
        prop_assert_eq!(info.preferred_lifetime.secs(), u64::from(preferred_s));
    }

    #[test]
    fn options_that_do_not_fit_are_left_out_whole(servers in proptest::collection::vec(1usize..20, 0..20)) {
        let mut options = RaOptions::new();
        for n in servers {
            let before = options.as_bytes().len();
            let fits = before + 8 + 16 * n <= RA_OPTIONS_MAX;
            prop_assert_eq!(options.dns_servers(&vec![Ipv6Addr::LOCALHOST; n], 1), fits);
            prop_assert_eq!(options.as_bytes().len(), if fits { before + 8 + 16 * n } else { before });
        }
        let frame = RouterAdvert::multicast(EthAddr([2; 6]), 1, options).to_vec();
        prop_assert!(frame.len() <= 14 + 1280);
        prop_assert_eq!(FlowKey::extract(&frame).tp_src, 134);
    }
}

#[test]
fn options_byte_by_byte() {
    type Case<'a> = (&'a str, &'a dyn Fn(&mut RaOptions) -> bool, Option<&'a [u8]>);
    let long = "x".repeat(64);
    let too_long = vec!["abcdefghi"; 26].join(".");
    let cases: &[Case<'_>] = &[
        // RFC 4191, section 2.3: length 1, 2 or 3 by how much of the prefix is there; preference in bits 3 and 4
        ("default route", &|o| o.route(net("::/0"), Preference::High, 60), Some(&[24, 1, 0, 8, 0, 0, 0, 60])),
        (
            "route to half an address",
            &|o| o.route(net("fd01:2::/32"), Preference::Low, 256),
            Some(&[24, 2, 32, 0x18, 0, 0, 1, 0, 0xfd, 1, 0, 2, 0, 0, 0, 0]),
        ),
        (
            "route to more of one",
            &|o| o.route(net("fd01::8000:0:0:0/65"), Preference::Medium, 0),
            Some(&[24, 3, 65, 0, 0, 0, 0, 0, 0xfd, 1, 0, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0]),
        ),
        // RFC 8106, section 5.1 and 5.2
        (
            "server",
            &|o| o.dns_servers(&["fd00::35".parse().unwrap()], 1200),
            Some(&[25, 3, 0, 0, 0, 0, 4, 0xb0, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x35]),
        ),
        ("no server", &|o| o.dns_servers(&[], 1), None),
        (
            "domains",
            &|o| o.search_domains(["a.bc", "d."], 5),
            Some(&[31, 3, 0, 0, 0, 0, 0, 5, 1, b'a', 2, b'b', b'c', 0, 1, b'd', 0, 0, 0, 0, 0, 0, 0, 0]),
        ),
        ("no domain", &|o| o.search_domains([], 5), None),
        ("empty label", &|o| o.search_domains(["a..b"], 5), None),
        ("the root", &|o| o.search_domains(["."], 5), None),
        ("long label", &|o| o.search_domains([long.as_str()], 5), None),
        ("long name", &|o| o.search_domains([too_long.as_str()], 5), None),
    ];
    for (name, add, expected) in cases {
        let mut options = RaOptions::new();
        assert_eq!(add(&mut options), expected.is_some(), "{name}");
        assert_eq!(options.as_bytes(), expected.unwrap_or_default(), "{name}");
    }
}

#[test]
fn preferences() {
    let flags = |preference, lifetime_s| {
        let advert = RouterAdvert::multicast(EthAddr([2; 6]), lifetime_s, RaOptions::new());
        RouterAdvert { preference, ..advert }.to_vec()[14 + 40 + 5]
    };
    assert_eq!(flags(Preference::High, 1), 0b0000_1000);
    assert_eq!(flags(Preference::Medium, 1), 0);
    assert_eq!(flags(Preference::Low, 1), 0b0001_1000);
    assert_eq!(flags(Preference::Low, 0), 0, "RFC 4191, section 2.2");
}
