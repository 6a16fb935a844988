//! Router advertisements (RFC 4861, section 4.2) and their options, as packets to write.

use crate::nd::{ALL_NODES, multicast_mac};
use crate::{EthHeader, IpPair, ethertype, ip_proto};
use kiln_types::{EthAddr, Ipv6Net, eui64_link_local};
use std::net::Ipv6Addr;

/// The most bytes of options: the whole datagram is at most the minimum MTU.
pub const RA_OPTIONS_MAX: usize = 1280 - 40 - HEADER_LEN;

const HEADER_LEN: usize = 16;
/// The longest label and name of the DNS (RFC 1035, section 3.1).
const LABEL_MAX: usize = 63;
const NAME_MAX: usize = 255;

/// How much a router is preferred over others (RFC 4191, section 2.1), in two bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
#[allow(missing_docs, reason = "each is its name")]
pub enum Preference {
    High,
    #[default]
    Medium,
    Low,
}

impl Preference {
    const fn bits(self) -> u8 {
        match self {
            Preference::High => 0b01,
            Preference::Medium => 0b00,
            Preference::Low => 0b11,
        }
    }
}

/// The options of a router advertisement, in the order in which they were added.
///
/// Each method adds one option, or none and returns false if it does not fit or cannot be written.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct RaOptions(Vec<u8>);

impl RaOptions {
    /// No options.
    pub const fn new() -> Self {
        RaOptions(Vec::new())
    }

    /// The options' bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// An option of type `kind` whose body follows its two first bytes; padded to a multiple of eight bytes.
    fn push(&mut self, kind: u8, body: &[&[u8]]) -> bool {
        let len = (2 + body.iter().map(|part| part.len()).sum::<usize>()).next_multiple_of(8);
        let Ok(eights) = u8::try_from(len / 8) else { return false };
        let end = self.0.len() + len;
        if end > RA_OPTIONS_MAX {
            return false;
        }
        self.0.extend([kind, eights]);
        for part in body {
            self.0.extend_from_slice(part);
        }
        self.0.resize(end, 0);
        true
    }

    /// Type 1: the router's Ethernet address (RFC 4861, section 4.6.1).
    pub fn source_link_layer(&mut self, mac: EthAddr) -> bool {
        self.push(1, &[&mac.0])
    }

    /// Type 3: a prefix of the link (RFC 4861, section 4.6.2). Lifetimes are in seconds, all ones is for ever. `on_link` is
    /// the L flag; `autonomous`, the A flag, lets hosts make addresses of it.
    pub fn prefix(
        &mut self,
        net: Ipv6Net,
        on_link: bool,
        autonomous: bool,
        valid_s: u32,
        preferred_s: u32,
    ) -> bool {
        let flags = u8::from(on_link) << 7 | u8::from(autonomous) << 6;
        let (valid, preferred) = (valid_s.to_be_bytes(), preferred_s.to_be_bytes());
        self.push(3, &[&[net.prefix_len(), flags], &valid, &preferred, &[0; 4], &net.network().octets()])
    }

    /// Type 5: the link's MTU (RFC 4861, section 4.6.4).
    pub fn mtu(&mut self, mtu: u32) -> bool {
        self.push(5, &[&[0; 2], &mtu.to_be_bytes()])
    }

    /// Type 24: a prefix that is reached through the router (RFC 4191, section 2.3). As much of the prefix is written as its
    /// length needs.
    pub fn route(&mut self, net: Ipv6Net, preference: Preference, lifetime_s: u32) -> bool {
        let eights = usize::from(net.prefix_len()).div_ceil(64);
        let flags = preference.bits() << 3;
        let prefix = net.network().octets();
        self.push(24, &[&[net.prefix_len(), flags], &lifetime_s.to_be_bytes(), &prefix[..8 * eights]])
    }

    /// Type 25: DNS servers (RFC 8106, section 5.1); at least one.
    pub fn dns_servers(&mut self, servers: &[Ipv6Addr], lifetime_s: u32) -> bool {
        let octets: Vec<u8> = servers.iter().flat_map(|server| server.octets()).collect();
        !servers.is_empty() && self.push(25, &[&[0; 2], &lifetime_s.to_be_bytes(), &octets])
    }

    /// Type 31: domains to search (RFC 8106, section 5.2), with or without a dot at their end; at least one. Names are those
    /// of RFC 1035, section 3.1: labels of 1 to 63 bytes, 255 bytes in all.
    pub fn search_domains<'d>(
        &mut self,
        domains: impl IntoIterator<Item = &'d str>,
        lifetime_s: u32,
    ) -> bool {
        let mut names = Vec::new();
        for domain in domains {
            let start = names.len();
            for label in domain.strip_suffix('.').unwrap_or(domain).split('.') {
                if label.is_empty() || label.len() > LABEL_MAX {
                    return false;
                }
                names.push(label.len() as u8);
                names.extend_from_slice(label.as_bytes());
            }
            names.push(0);
            if names.len() - start > NAME_MAX {
                return false;
            }
        }
        !names.is_empty() && self.push(31, &[&[0; 2], &lifetime_s.to_be_bytes(), &names])
    }
}

/// A router advertisement with its Ethernet and IPv6 headers.
///
/// ```text
/// +---------------+---------------+-------------------------------+
/// |   type 134    |    code 0     |          checksum             |
/// +---------------+-+-+-+---+-----+-------------------------------+
/// |  hop limit    |M|O|H|Prf| 0   |     router lifetime, s        |
/// +---------------+-+-+-+---+-----+-------------------------------+
/// |                     reachable time, ms                        |
/// +---------------------------------------------------------------+
/// |                      retrans timer, ms                        |
/// +---------------------------------------------------------------+
/// |  options                                                      |
/// +---------------------------------------------------------------+
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RouterAdvert {
    /// The Ethernet header.
    pub eth: EthHeader,
    /// Source: a link-local address (RFC 4861, section 4.2).
    pub ip_src: Ipv6Addr,
    /// Destination: who solicited, or all nodes.
    pub ip_dst: Ipv6Addr,
    /// The hop limit that hosts should use; 0 says nothing.
    pub hop_limit: u8,
    /// The M flag: addresses come by DHCPv6.
    pub managed: bool,
    /// The O flag: other configuration comes by DHCPv6.
    pub other: bool,
    /// As a default router (RFC 4191, section 2.2).
    pub preference: Preference,
    /// Seconds for which the router is a default one; 0 if it is none.
    pub lifetime_s: u16,
    /// Milliseconds for which a neighbour is taken to be reachable; 0 says nothing.
    pub reachable_ms: u32,
    /// Milliseconds between solicitations; 0 says nothing.
    pub retrans_ms: u32,
    /// The options.
    pub options: RaOptions,
}

impl RouterAdvert {
    /// An advertisement to all nodes, from `mac` at its link-local address, of a router that is preferred like any other for
    /// `lifetime_s` seconds.
    pub fn multicast(mac: EthAddr, lifetime_s: u16, options: RaOptions) -> Self {
        RouterAdvert {
            eth: EthHeader::new(mac, multicast_mac(ALL_NODES)),
            ip_src: eui64_link_local(mac),
            ip_dst: ALL_NODES,
            hop_limit: 255,
            managed: false,
            other: false,
            preference: Preference::Medium,
            lifetime_s,
            reachable_ms: 0,
            retrans_ms: 0,
            options,
        }
    }

    /// The length of the frame.
    pub fn buffer_len(&self) -> usize {
        self.eth.buffer_len() + 40 + HEADER_LEN + self.options.0.len()
    }

    /// Writes the frame over the first `buffer_len()` bytes of `frame`.
    pub fn emit(&self, frame: &mut [u8]) {
        let frame = &mut frame[..self.buffer_len()];
        let ips = IpPair::V6 { src: self.ip_src, dst: self.ip_dst };
        // the hop limit of 255 proves to hosts that no router passed it on
        let message = ips.emit(self.eth.emit(frame, ethertype::IPV6), ip_proto::ICMPV6, 255);
        // a router without a lifetime is none to prefer (RFC 4191, section 2.2)
        let preference = if self.lifetime_s == 0 { Preference::Medium } else { self.preference };
        let flags = u8::from(self.managed) << 7 | u8::from(self.other) << 6 | preference.bits() << 3;
        message[..6].copy_from_slice(&[134, 0, 0, 0, self.hop_limit, flags]);
        message[6..8].copy_from_slice(&self.lifetime_s.to_be_bytes());
        message[8..12].copy_from_slice(&self.reachable_ms.to_be_bytes());
        message[12..16].copy_from_slice(&self.retrans_ms.to_be_bytes());
        message[16..].copy_from_slice(&self.options.0);
        let sum = ips.pseudo_header(ip_proto::ICMPV6, message.len()).bytes(message).finish();
        message[2..4].copy_from_slice(&sum.to_be_bytes());
    }

    /// The frame.
    pub fn to_vec(&self) -> Vec<u8> {
        crate::emitted(self.buffer_len(), |frame| self.emit(frame))
    }
}
