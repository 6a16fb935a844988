//! `log`: what an ACL logs of a packet (ovn-sb(5)), in stock's words.

use super::Answer;
use crate::DropReason;
use crate::punt::Punt;
use kiln_abi::tables::LOG_EGRESS;
use kiln_packet::{FRAG_ANY, FlowKey, ethertype, ip_proto};
use std::fmt::Write;

/// The longest name of an ACL that is shown (ovn-nb(5)).
const NAME_MAX: usize = 63;

/// The line for a packet that came up from a table of the switch.
pub(crate) fn line(punt: &Punt<'_>, table: u8) -> Answer<String> {
    let [verdict, severity, name @ ..] = punt.payload() else { return Err(DropReason::BadActions) };
    let verdict = match verdict {
        0 => "allow",
        1 => "drop",
        2 => "reject",
        3 => "pass",
        _ => "<unknown>",
    };
    // RFC 5424, section 6.2.1.
    let severity = match severity {
        1 => "alert",
        4 => "warning",
        5 => "notice",
        6 => "info",
        7 => "debug",
        _ => "<unknown>",
    };
    let name = String::from_utf8_lossy(&name[..name.len().min(NAME_MAX)]);
    // A name must not end a line of the log.
    let name = name.replace(char::is_control, "?");
    let name = if name.is_empty() { "<unnamed>" } else { &name };
    let direction = if table < LOG_EGRESS { "from-lport" } else { "to-lport" };
    let flow = flow(&punt.packet.key);
    Ok(format!("name=\"{name}\", verdict={verdict}, severity={severity}, direction={direction}: {flow}"))
}

/// A packet's fields as Open vSwitch prints a flow.
fn flow(key: &FlowKey) -> String {
    let mut text = String::new();
    let transport = !key.is_later_fragment();
    let (protocol, shown) = protocol(key);
    if !protocol.is_empty() {
        let _ = write!(text, "{protocol},");
    }
    match key.vlan_tci {
        0 => text.push_str("vlan_tci=0x0000,"),
        tci => {
            let _ = write!(text, "dl_vlan={},dl_vlan_pcp={},vlan_tci1=0x0000,", tci & 0xfff, tci >> 13);
        }
    }
    let _ = write!(text, "dl_src={},dl_dst={}", key.eth_src, key.eth_dst);
    match key.eth_type {
        ethertype::IPV4 => {
            let _ = write!(text, ",nw_src={},nw_dst={}", key.nw_src, key.nw_dst);
        }
        ethertype::IPV6 => {
            let _ = write!(text, ",ipv6_src={},ipv6_dst={}", key.ipv6_src, key.ipv6_dst);
            let _ = write!(text, ",ipv6_label=0x{:05x}", key.ipv6_label);
        }
        ethertype::ARP => {
            let _ = write!(text, ",arp_spa={},arp_tpa={},arp_op={}", key.nw_src, key.nw_dst, key.nw_proto);
            let _ = write!(text, ",arp_sha={},arp_tha={}", key.hw_src, key.hw_dst);
            return text;
        }
        other => {
            let _ = write!(text, ",dl_type=0x{other:04x}");
            return text;
        }
    }
    if !shown {
        let _ = write!(text, ",nw_proto={}", key.nw_proto);
    }
    let fragment = match key.nw_frag {
        0 => "no",
        FRAG_ANY => "first",
        _ => "later",
    };
    let (dscp, ecn) = (key.nw_tos & 0xfc, key.nw_tos & 3);
    let _ = write!(text, ",nw_tos={dscp},nw_ecn={ecn},nw_ttl={},nw_frag={fragment}", key.nw_ttl);
    if transport {
        ports(key, &mut text);
    }
    text
}

/// The word for a packet's protocol, and whether it tells all of it.
fn protocol(key: &FlowKey) -> (&'static str, bool) {
    let of = |v4, v6| if key.is_ipv4() { v4 } else { v6 };
    match (key.eth_type, key.nw_proto) {
        (ethertype::ARP, _) => ("arp", true),
        (ethertype::IPV4, ip_proto::ICMP) => ("icmp", true),
        (ethertype::IPV6, ip_proto::ICMPV6) => ("icmp6", true),
        (ethertype::IPV4 | ethertype::IPV6, ip_proto::TCP) => (of("tcp", "tcp6"), true),
        (ethertype::IPV4 | ethertype::IPV6, ip_proto::UDP) => (of("udp", "udp6"), true),
        (ethertype::IPV4 | ethertype::IPV6, ip_proto::SCTP) => (of("sctp", "sctp6"), true),
        (ethertype::IPV4 | ethertype::IPV6, _) => (of("ip", "ipv6"), false),
        _ => ("", true),
    }
}

/// What the transport header says.
fn ports(key: &FlowKey, text: &mut String) {
    let (source, destination) = (key.tp_src, key.tp_dst);
    let _ = match key.nw_proto {
        ip_proto::ICMP if key.is_ipv4() => write!(text, ",icmp_type={source},icmp_code={destination}"),
        ip_proto::ICMPV6 if key.is_ipv6() => write!(text, ",icmp_type={source},icmp_code={destination}"),
        ip_proto::TCP | ip_proto::UDP | ip_proto::SCTP => {
            write!(text, ",tp_src={source},tp_dst={destination}")
        }
        ip_proto::IGMP if key.is_ipv4() => write!(text, ",tp_src={source},tp_dst={destination}"),
        _ => Ok(()),
    };
    if key.nw_proto == ip_proto::TCP {
        let names = ["fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", "ns"].iter().enumerate();
        let set: Vec<&str> =
            names.filter(|(bit, _)| key.tcp_flags >> bit & 1 == 1).map(|(_, name)| *name).collect();
        let flags = if set.is_empty() { "0".to_owned() } else { set.join("|") };
        let _ = write!(text, ",tcp_flags={flags}");
    }
    if key.is_neighbor_solicit() || key.is_neighbor_advert() {
        let _ = write!(text, ",nd_target={}", key.nd_target);
        for (word, mac) in [("nd_sll", key.hw_src), ("nd_tll", key.hw_dst)] {
            if !mac.is_zero() {
                let _ = write!(text, ",{word}={mac}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_types::EthAddr;

    fn ipv4(nw_proto: u8) -> FlowKey {
        FlowKey {
            eth_src: EthAddr([10, 0, 0, 0, 0, 1]),
            eth_dst: EthAddr([10, 0, 0, 0, 0, 2]),
            eth_type: ethertype::IPV4,
            nw_src: [10, 1, 0, 11].into(),
            nw_dst: [10, 2, 0, 12].into(),
            nw_proto,
            nw_ttl: 64,
            ..FlowKey::default()
        }
    }

    /// What OVN 26.03 logged of such packets, but for the Ethernet addresses.
    #[test]
    fn flows_read_as_stock_writes_them() {
        let ipv6 = |key: FlowKey| FlowKey {
            eth_type: ethertype::IPV6,
            ipv6_src: "fd01::11".parse().unwrap(),
            ipv6_dst: "fd02::12".parse().unwrap(),
            ..key
        };
        let ports = |key: FlowKey| FlowKey { tp_src: 4, tp_dst: 5, ..key };
        let link = "vlan_tci=0x0000,dl_src=0a:00:00:00:00:01,dl_dst=0a:00:00:00:00:02";
        let v4 = "nw_src=10.1.0.11,nw_dst=10.2.0.12";
        let v6 = "ipv6_src=fd01::11,ipv6_dst=fd02::12";
        let plain = "nw_tos=0,nw_ecn=0,nw_ttl=64";
        let cases = [
            (
                FlowKey { tcp_flags: 0x0a, ..ports(ipv4(6)) },
                format!("tcp,{link},{v4},{plain},nw_frag=no,tp_src=4,tp_dst=5,tcp_flags=syn|psh"),
            ),
            (ports(ipv4(6)), format!("tcp,{link},{v4},{plain},nw_frag=no,tp_src=4,tp_dst=5,tcp_flags=0")),
            (
                FlowKey { nw_tos: 45, tp_src: 8, ..ipv4(1) },
                format!("icmp,{link},{v4},nw_tos=44,nw_ecn=1,nw_ttl=64,nw_frag=no,icmp_type=8,icmp_code=0"),
            ),
            (
                FlowKey { ipv6_label: 5, ..ipv6(ports(ipv4(17))) },
                format!("udp6,{link},{v6},ipv6_label=0x00005,{plain},nw_frag=no,tp_src=4,tp_dst=5"),
            ),
            (
                FlowKey { tp_src: 128, ..ipv6(ipv4(58)) },
                format!("icmp6,{link},{v6},ipv6_label=0x00000,{plain},nw_frag=no,icmp_type=128,icmp_code=0"),
            ),
            (
                FlowKey { nw_frag: FRAG_ANY, ..ports(ipv4(17)) },
                format!("udp,{link},{v4},{plain},nw_frag=first,tp_src=4,tp_dst=5"),
            ),
            (FlowKey { nw_frag: FRAG_ANY | 2, ..ipv4(17) }, format!("udp,{link},{v4},{plain},nw_frag=later")),
            (ipv4(99), format!("ip,{link},{v4},nw_proto=99,{plain},nw_frag=no")),
            (
                FlowKey { tp_dst: 1, ..ipv4(2) },
                format!("ip,{link},{v4},nw_proto=2,{plain},nw_frag=no,tp_src=0,tp_dst=1"),
            ),
            (
                FlowKey { eth_type: ethertype::ARP, hw_src: EthAddr([10, 0, 0, 0, 0, 1]), ..ipv4(1) },
                format!(
                    "arp,{link},arp_spa=10.1.0.11,arp_tpa=10.2.0.12,arp_op=1,\
                     arp_sha=0a:00:00:00:00:01,arp_tha=00:00:00:00:00:00"
                ),
            ),
            (FlowKey { eth_type: 0x1234, ..ipv4(0) }, format!("{link},dl_type=0x1234")),
        ];
        for (key, line) in cases {
            assert_eq!(flow(&key), line);
        }
    }
}
