//! What else a match must say for a field to exist.

use super::ct_state;
use crate::{Field, Match};

/// What else a match must say for a field to exist (ovs-fields(7), "Prerequisites").
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Prereq {
    /// Always there.
    None,
    /// An Ethernet packet: no other `packet_type` is asked for.
    Ethernet,
    /// A VLAN tag: `vlan_vid` has the present bit.
    Vlan,
    /// `eth_type` 0x8847 or 0x8848.
    Mpls,
    /// `eth_type` 0x0800 or 0x86dd.
    Ip,
    /// `eth_type` 0x0800.
    Ipv4,
    /// `eth_type` 0x86dd.
    Ipv6,
    /// `eth_type` 0x0806 or 0x8035.
    Arp,
    /// `ip_proto` 6.
    Tcp,
    /// `ip_proto` 17.
    Udp,
    /// `ip_proto` 132.
    Sctp,
    /// IPv4 with `ip_proto` 1.
    Icmpv4,
    /// IPv6 with `ip_proto` 58.
    Icmpv6,
    /// ICMPv6 type 135 or 136, code 0.
    Nd,
    /// ICMPv6 type 135, code 0.
    NdSolicit,
    /// ICMPv6 type 136, code 0.
    NdAdvert,
    /// `eth_type` 0x894f.
    Nsh,
    /// IP, and `ct_state` says that the connection's tuple is known.
    Ct,
    /// As `Ct`, for IPv4.
    CtIpv4,
    /// As `Ct`, for IPv6.
    CtIpv6,
}

impl Prereq {
    /// Whether a match says what is needed.
    pub fn holds(self, m: &Match) -> bool {
        let is = |field: Field, values: &[u128]| {
            m.get(field).is_some_and(|v| v.is_exact() && values.contains(&v.value))
        };
        let namespace = m.get(Field::PACKET_TYPE).map_or(0, |v| v.value >> 16);
        // A packet type of namespace 1 is an Ethernet type.
        let eth_type = |values: &[u128]| match namespace {
            1 => m.get(Field::PACKET_TYPE).is_some_and(|v| values.contains(&(v.value & 0xffff))),
            _ => is(Field::ETH_TYPE, values),
        };
        // A later fragment has no ports. Open vSwitch asks this of no other protocol.
        let carries = |ip_proto: u128| {
            is(Field::IP_PROTO, &[ip_proto]) && m.get(Field::IP_FRAG).is_none_or(|v| v.value & 2 == 0)
        };
        let icmpv6 = |types: &[u128]| {
            Prereq::Icmpv6.holds(m) && is(Field::ICMPV6_TYPE, types) && is(Field::ICMPV6_CODE, &[0])
        };
        match self {
            Prereq::None => true,
            Prereq::Ethernet => m.get(Field::PACKET_TYPE).is_none_or(|v| v.value == 0),
            Prereq::Vlan => m.get(Field::VLAN_VID).is_some_and(|v| v.value & 0x1000 != 0),
            Prereq::Mpls => eth_type(&[0x8847, 0x8848]),
            Prereq::Ip => eth_type(&[0x0800, 0x86dd]),
            Prereq::Ipv4 => eth_type(&[0x0800]),
            Prereq::Ipv6 => eth_type(&[0x86dd]),
            Prereq::Arp => eth_type(&[0x0806, 0x8035]),
            Prereq::Tcp => Prereq::Ip.holds(m) && carries(6),
            Prereq::Udp => Prereq::Ip.holds(m) && carries(17),
            Prereq::Sctp => Prereq::Ip.holds(m) && carries(132),
            Prereq::Icmpv4 => Prereq::Ipv4.holds(m) && is(Field::IP_PROTO, &[1]),
            Prereq::Icmpv6 => Prereq::Ipv6.holds(m) && is(Field::IP_PROTO, &[58]),
            Prereq::Nd => icmpv6(&[135, 136]),
            Prereq::NdSolicit => icmpv6(&[135]),
            Prereq::NdAdvert => icmpv6(&[136]),
            Prereq::Nsh => eth_type(&[0x894f]),
            Prereq::Ct => Prereq::Ip.holds(m) && tuple_is_known(m),
            Prereq::CtIpv4 => Prereq::Ipv4.holds(m) && tuple_is_known(m),
            Prereq::CtIpv6 => Prereq::Ipv6.holds(m) && tuple_is_known(m),
        }
    }
}

/// Whether a connection is there, by a state that only a tracked and valid packet has.
fn tuple_is_known(m: &Match) -> bool {
    const TRACKED: u32 =
        ct_state::NEW | ct_state::EST | ct_state::REL | ct_state::RPL | ct_state::SNAT | ct_state::DNAT;
    m.get(Field::CT_STATE).is_some_and(|v| {
        let (value, mask) = (v.value as u32, v.mask as u32);
        value & TRACKED != 0 || (value & ct_state::TRK != 0 && mask & !value & ct_state::INV != 0)
    })
}

impl Match {
    /// The first field without what it needs, for which a switch refuses the match
    /// ([`MATCH_BAD_PREREQ`](crate::ErrorCode::MATCH_BAD_PREREQ)).
    pub fn lacking_prerequisite(&self) -> Option<Field> {
        self.iter().map(|v| v.field).find(|field| !field.info().prereq.holds(self))
    }
}

#[cfg(test)]
mod tests {
    use crate::Match;

    #[test]
    fn fields_need_their_protocol() {
        for (text, lacking) in [
            ("tcp,tp_dst=80,nw_src=10.0.0.0/8,reg3=5,in_port=1", None),
            ("icmp6,icmp_type=135,icmp_code=0,nd_target=fe80::1,nd_sll=00:00:00:00:00:01", None),
            ("icmp6,icmp_type=136,icmp_code=0,nd_sll=00:00:00:00:00:01", Some("nd_sll")),
            ("icmp6,icmp_type=135,nd_target=fe80::1", Some("nd_target")),
            ("ipv6,nw_src=10.0.0.1", Some("ip_src")),
            ("nw_ttl=5", Some("nw_ttl")),
            ("ip,tcp_dst=5", Some("tcp_dst")),
            ("ip,ct_state=+trk+est,ct_nw_src=1.1.1.1", None),
            ("ip,ct_state=+trk-inv,ct_nw_src=1.1.1.1", None),
            ("ip,ct_state=+trk,ct_nw_src=1.1.1.1", Some("ct_nw_src")),
            ("ip,ct_state=-est,ct_nw_src=1.1.1.1", Some("ct_nw_src")),
            ("tcp,nw_frag=later,tp_dst=80", Some("tcp_dst")),
            ("tcp,nw_frag=first,tp_dst=80", None),
            ("icmp6,nw_frag=later,icmp_type=135", None),
            ("arp,arp_spa=1.1.1.1", None),
            ("dl_vlan=5,dl_vlan_pcp=3", None),
            ("packet_type=(1,0x800),nw_ttl=5", None),
            ("packet_type=(1,0x800),dl_src=00:00:00:00:00:01", Some("eth_src")),
        ] {
            let m: Match = text.parse().unwrap();
            assert_eq!(m.lacking_prerequisite().map(crate::Field::name), lacking, "{text}");
        }
    }
}
