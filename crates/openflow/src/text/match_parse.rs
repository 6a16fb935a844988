//! Reading of matches.

use super::{ParseError, Result, split, value};
use crate::field::FieldValue;
use crate::{Field, Match, MatchBuilder};
use std::str::FromStr;

/// Names of protocols: Ethernet type and IP protocol.
const PROTOCOLS: [(&str, u16, Option<u8>); 17] = [
    ("ip", 0x0800, None),
    ("icmp", 0x0800, Some(1)),
    ("tcp", 0x0800, Some(6)),
    ("udp", 0x0800, Some(17)),
    ("sctp", 0x0800, Some(132)),
    ("ipv6", 0x86dd, None),
    ("ip6", 0x86dd, None),
    ("icmp6", 0x86dd, Some(58)),
    ("tcp6", 0x86dd, Some(6)),
    ("udp6", 0x86dd, Some(17)),
    ("sctp6", 0x86dd, Some(132)),
    ("arp", 0x0806, None),
    ("rarp", 0x8035, None),
    ("mpls", 0x8847, None),
    ("mplsm", 0x8848, None),
    ("ipv4", 0x0800, None),
    ("eth", 0, None),
];

/// Collects the items of a match. Names that stand for different fields by protocol are settled at the end, since the
/// protocol may be named after them.
#[derive(Default)]
pub(super) struct MatchParser<'a> {
    builder: MatchBuilder,
    by_protocol: Vec<(&'a str, &'a str)>,
}

impl<'a> MatchParser<'a> {
    /// Takes an item, either a protocol's name or a field's name and value. `false` if it is neither.
    pub(super) fn item(&mut self, item: &'a str) -> Result<bool> {
        let Some((name, text)) = item.split_once('=') else {
            let Some(&(name, eth_type, ip_proto)) = PROTOCOLS.iter().find(|(name, ..)| *name == item) else {
                return Ok(false);
            };
            // Packets are Ethernet's unless a packet type says otherwise.
            if name == "eth" {
                return Ok(true);
            }
            self.builder.exact(Field::ETH_TYPE, eth_type);
            if let Some(ip_proto) = ip_proto {
                self.builder.exact(Field::IP_PROTO, ip_proto);
            }
            return Ok(true);
        };
        let (name, text) = (name.trim(), text.trim());
        match name {
            "tp_src" | "tp_dst" | "icmp_type" | "icmp_code" | "nw_src" | "nw_dst" | "nw_proto" => {
                self.by_protocol.push((name, text));
                return Ok(true);
            }
            "dl_vlan" => self.dl_vlan(text)?,
            "vlan_pcp" | "dl_vlan_pcp" => {
                self.builder.masked(Field::VLAN_VID, 0x1000u16, 0x1000u16);
                self.set(Field::VLAN_PCP, text)?;
            }
            "gtpu_flags" => self.set(Field::TUN_GTPU_FLAGS, text)?,
            "gtpu_msgtype" => self.set(Field::TUN_GTPU_MSGTYPE, text)?,
            _ => {
                let Some(mut field) = Field::by_name(name) else { return Ok(false) };
                if let Some(n) = field.as_tun_metadata() {
                    field = Field::tun_metadata(n, super::MATCH_OPTION_LEN);
                }
                self.set(field, text)?;
            }
        }
        Ok(true)
    }

    fn set(&mut self, field: Field, text: &str) -> Result<()> {
        let v = value::parse(field, text)?;
        if !v.is_exact() && !field.info().maskable {
            return Err(ParseError::new(text, "no mask on a field that takes none"));
        }
        self.builder.set(v);
        Ok(())
    }

    /// A tag of this id; 0xffff is no tag.
    fn dl_vlan(&mut self, text: &str) -> Result<()> {
        let vid = value::parse_u16(text)?;
        match vid {
            0..=0xfff => self.builder.exact(Field::VLAN_VID, vid | 0x1000),
            0xffff => self.builder.exact(Field::VLAN_VID, 0u8),
            _ => return Err(ParseError::new(text, "a VLAN id below 4096, or 0xffff for no tag")),
        };
        Ok(())
    }

    /// The match, with every name settled.
    pub(super) fn finish(mut self) -> Result<Match> {
        let so_far = self.builder.build();
        let get = |field| so_far.get(field).map(|v: FieldValue| v.value);
        let eth_type = get(Field::ETH_TYPE)
            .or_else(|| get(Field::PACKET_TYPE).filter(|t| t >> 16 == 1).map(|t| t & 0xffff));
        let arp = matches!(eth_type, Some(0x0806 | 0x8035));
        let named = self.by_protocol.iter().rev().find(|(name, _)| *name == "nw_proto" && !arp);
        let ip_proto = match named {
            Some((_, text)) => Some(value::parse_u128(text)?),
            None => get(Field::IP_PROTO),
        };
        for (name, text) in std::mem::take(&mut self.by_protocol) {
            let field = settle(name, arp, ip_proto)
                .ok_or_else(|| ParseError::new(name, "a field that the protocol has"))?;
            self.set(field, text)?;
        }
        Ok(self.builder.build())
    }
}

fn settle(name: &str, arp: bool, ip_proto: Option<u128>) -> Option<Field> {
    Some(match (name, ip_proto) {
        ("nw_src", _) if arp => Field::ARP_SPA,
        ("nw_dst", _) if arp => Field::ARP_TPA,
        ("nw_proto", _) if arp => Field::ARP_OP,
        ("nw_src", _) => Field::IPV4_SRC,
        ("nw_dst", _) => Field::IPV4_DST,
        ("nw_proto", _) => Field::IP_PROTO,
        ("tp_src", Some(6)) => Field::TCP_SRC,
        ("tp_dst", Some(6)) => Field::TCP_DST,
        ("tp_src", Some(17)) => Field::UDP_SRC,
        ("tp_dst", Some(17)) => Field::UDP_DST,
        ("tp_src", Some(132)) => Field::SCTP_SRC,
        ("tp_dst", Some(132)) => Field::SCTP_DST,
        ("tp_src" | "icmp_type", Some(1)) => Field::ICMPV4_TYPE,
        ("tp_dst" | "icmp_code", Some(1)) => Field::ICMPV4_CODE,
        ("tp_src" | "icmp_type", Some(58)) => Field::ICMPV6_TYPE,
        ("tp_dst" | "icmp_code", Some(58)) => Field::ICMPV6_CODE,
        _ => return None,
    })
}

impl FromStr for Match {
    type Err = ParseError;

    fn from_str(text: &str) -> Result<Match> {
        let mut parser = MatchParser::default();
        for item in split::top_level(text, |c| c == ',' || c.is_whitespace())? {
            if !item.is_empty() && !parser.item(item)? {
                return Err(ParseError::new(item, "a protocol, or a field and its value"));
            }
        }
        parser.finish()
    }
}
