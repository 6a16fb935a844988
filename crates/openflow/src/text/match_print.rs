//! Printing of matches.

use super::{DEFAULT_PRIORITY, value};
use crate::field::FieldValue;
use crate::{Field, Match};
use std::fmt::{self, Write};

/// Prints a match, after its priority if that is given and not the default.
pub(super) fn print(m: &Match, priority: Option<u16>, f: &mut dyn Write) -> fmt::Result {
    let mut p = Printer { m, f, first: true };
    if let Some(priority) = priority.filter(|&p| p != DEFAULT_PRIORITY) {
        p.item(format_args!("priority={priority}"))?;
    }
    for field in BEFORE_PROTOCOL {
        p.field(field)?;
    }
    let named = p.protocol()?;
    p.registers()?;
    for field in TUNNEL {
        p.field(field)?;
    }
    p.tun_metadata()?;
    p.field(Field::METADATA)?;
    p.in_port()?;
    p.vlan()?;
    p.field(Field::ETH_SRC)?;
    p.field(Field::ETH_DST)?;
    if !named.eth_type
        && let Some(v) = m.get(Field::ETH_TYPE)
    {
        p.item(format_args!("dl_type={:#06x}", v.value))?;
    }
    for field in AFTER_ETH_TYPE {
        match field {
            Field::IP_PROTO if named.ip_proto => {}
            Field::IP_DSCP => p.tos()?,
            _ => p.field(field)?,
        }
    }
    Ok(())
}

const BEFORE_PROTOCOL: [Field; 16] = [
    Field::PKT_MARK,
    Field::RECIRC_ID,
    Field::DP_HASH,
    Field::CONJ_ID,
    Field::ACTSET_OUTPUT,
    Field::CT_STATE,
    Field::CT_ZONE,
    Field::CT_MARK,
    Field::CT_LABEL,
    Field::CT_NW_SRC,
    Field::CT_NW_DST,
    Field::CT_IPV6_SRC,
    Field::CT_IPV6_DST,
    Field::CT_NW_PROTO,
    Field::CT_TP_SRC,
    Field::CT_TP_DST,
];

const TUNNEL: [Field; 14] = [
    Field::TUN_ID,
    Field::TUN_SRC,
    Field::TUN_DST,
    Field::TUN_IPV6_SRC,
    Field::TUN_IPV6_DST,
    Field::TUN_GBP_ID,
    Field::TUN_GBP_FLAGS,
    Field::TUN_ERSPAN_VER,
    Field::TUN_ERSPAN_IDX,
    Field::TUN_ERSPAN_DIR,
    Field::TUN_ERSPAN_HWID,
    Field::TUN_GTPU_FLAGS,
    Field::TUN_GTPU_MSGTYPE,
    Field::TUN_FLAGS,
];

const AFTER_ETH_TYPE: [Field; 45] = [
    Field::IPV6_SRC,
    Field::IPV6_DST,
    Field::IPV6_LABEL,
    Field::IPV4_SRC,
    Field::IPV4_DST,
    Field::ARP_SPA,
    Field::ARP_TPA,
    Field::IP_PROTO,
    Field::ARP_OP,
    Field::ARP_SHA,
    Field::ARP_THA,
    Field::NSH_FLAGS,
    Field::NSH_TTL,
    Field::NSH_MDTYPE,
    Field::NSH_NP,
    Field::NSH_SPI,
    Field::NSH_SI,
    Field::NSH_C1,
    Field::NSH_C2,
    Field::NSH_C3,
    Field::NSH_C4,
    Field::IP_DSCP,
    Field::IP_ECN,
    Field::NW_TTL,
    Field::MPLS_LABEL,
    Field::MPLS_TC,
    Field::MPLS_TTL,
    Field::MPLS_BOS,
    Field::IP_FRAG,
    Field::ICMPV4_TYPE,
    Field::ICMPV4_CODE,
    Field::ICMPV6_TYPE,
    Field::ICMPV6_CODE,
    Field::ND_TARGET,
    Field::ND_SLL,
    Field::ND_TLL,
    Field::ND_RESERVED,
    Field::ND_OPTIONS_TYPE,
    Field::TCP_SRC,
    Field::TCP_DST,
    Field::UDP_SRC,
    Field::UDP_DST,
    Field::SCTP_SRC,
    Field::SCTP_DST,
    Field::TCP_FLAGS,
];

/// What a protocol's name has said already.
struct Named {
    eth_type: bool,
    ip_proto: bool,
}

struct Printer<'a> {
    m: &'a Match,
    f: &'a mut dyn Write,
    first: bool,
}

impl Printer<'_> {
    fn comma(&mut self) -> fmt::Result {
        if std::mem::take(&mut self.first) { Ok(()) } else { self.f.write_char(',') }
    }

    fn item(&mut self, item: fmt::Arguments<'_>) -> fmt::Result {
        self.comma()?;
        self.f.write_fmt(item)
    }

    fn value(&mut self, name: &str, v: &FieldValue) -> fmt::Result {
        self.comma()?;
        write!(self.f, "{name}=")?;
        value::print_in_match(v, self.f)
    }

    fn field(&mut self, field: Field) -> fmt::Result {
        match self.m.get(field) {
            Some(v) => self.value(name(field), &v),
            None => Ok(()),
        }
    }

    /// The name of the protocol, or the packet type where that is not Ethernet.
    fn protocol(&mut self) -> Result<Named, fmt::Error> {
        let get = |field| self.m.get(field).map(|v: FieldValue| v.value);
        let (eth_type, ip_proto) = (get(Field::ETH_TYPE), get(Field::IP_PROTO));
        let packet_type = get(Field::PACKET_TYPE);
        let of_ethernet = [Field::ETH_SRC, Field::ETH_DST, Field::VLAN_VID, Field::ETH_TYPE];
        let says_ethernet = packet_type == Some(0) || of_ethernet.iter().any(|&f| self.m.get(f).is_some());
        match packet_type {
            Some(typ) if typ != 0 => self.field(Field::PACKET_TYPE)?,
            // Stock prints this only where it prints a datapath's flow, which it knows by its recirculation id.
            _ if says_ethernet && get(Field::RECIRC_ID).is_some() => self.item(format_args!("eth"))?,
            _ => {}
        }
        let (name, ip_proto_too) = match (eth_type, ip_proto) {
            (Some(0x0800), Some(1)) => ("icmp", true),
            (Some(0x0800), Some(6)) => ("tcp", true),
            (Some(0x0800), Some(17)) => ("udp", true),
            (Some(0x0800), Some(132)) => ("sctp", true),
            (Some(0x0800), _) => ("ip", false),
            (Some(0x86dd), Some(58)) => ("icmp6", true),
            (Some(0x86dd), Some(6)) => ("tcp6", true),
            (Some(0x86dd), Some(17)) => ("udp6", true),
            (Some(0x86dd), Some(132)) => ("sctp6", true),
            (Some(0x86dd), _) => ("ipv6", false),
            (Some(0x0806), _) => ("arp", false),
            (Some(0x8035), _) => ("rarp", false),
            (Some(0x8847), _) => ("mpls", false),
            (Some(0x8848), _) => ("mplsm", false),
            _ => return Ok(Named { eth_type: false, ip_proto: false }),
        };
        self.item(format_args!("{name}"))?;
        Ok(Named { eth_type: true, ip_proto: ip_proto_too })
    }

    /// Registers are printed one by one.
    fn registers(&mut self) -> fmt::Result {
        for v in self.m {
            let Some(n) = v.field.as_xreg() else { continue };
            for (reg, shift) in [(2 * n, 32), (2 * n + 1, 0)] {
                let v = FieldValue::masked(Field::reg(reg), v.value >> shift, v.mask >> shift);
                if v.mask != 0 {
                    self.value(v.field.name(), &v)?;
                }
            }
        }
        Ok(())
    }

    fn tun_metadata(&mut self) -> fmt::Result {
        for v in self.m {
            if v.field.as_tun_metadata().is_some() {
                self.value(v.field.name(), &v)?;
            }
        }
        Ok(())
    }

    fn in_port(&mut self) -> fmt::Result {
        match self.m.get(Field::IN_PORT_OXM) {
            Some(v) => self.value("in_port", &v),
            None => Ok(()),
        }
    }

    /// A tag by its id and priority where they say all, else by what is matched of the tag control information.
    fn vlan(&mut self) -> fmt::Result {
        let Some(FieldValue { value, mask, .. }) = self.m.get(Field::VLAN_TCI) else {
            return Ok(());
        };
        let (vid_mask, pcp_mask) = (mask & 0xfff, mask >> 13);
        let whole = (vid_mask == 0 || vid_mask == 0xfff) && (pcp_mask == 0 || pcp_mask == 7);
        if value & mask & 0x1000 == 0 || !whole || (vid_mask == 0 && pcp_mask == 0) {
            return if mask == 0xffff {
                self.item(format_args!("vlan_tci={value:#06x}"))
            } else {
                self.item(format_args!("vlan_tci={value:#06x}/{mask:#06x}"))
            };
        }
        if vid_mask != 0 {
            self.item(format_args!("dl_vlan={}", value & 0xfff))?;
        }
        if pcp_mask != 0 {
            self.item(format_args!("dl_vlan_pcp={}", value >> 13))?;
        }
        Ok(())
    }

    fn tos(&mut self) -> fmt::Result {
        match self.m.get(Field::IP_DSCP) {
            Some(v) if v.is_exact() => self.item(format_args!("nw_tos={}", v.value << 2)),
            Some(v) => self.value("ip_dscp", &v),
            None => Ok(()),
        }
    }
}

/// What matches call a field, which is not always what actions call it.
fn name(field: Field) -> &'static str {
    match field {
        Field::ETH_SRC => "dl_src",
        Field::ETH_DST => "dl_dst",
        Field::IPV4_SRC => "nw_src",
        Field::IPV4_DST => "nw_dst",
        Field::IP_FRAG => "nw_frag",
        Field::TCP_SRC | Field::UDP_SRC | Field::SCTP_SRC => "tp_src",
        Field::TCP_DST | Field::UDP_DST | Field::SCTP_DST => "tp_dst",
        Field::ICMPV6_TYPE => "icmp_type",
        Field::ICMPV6_CODE => "icmp_code",
        Field::TUN_GTPU_FLAGS => "gtpu_flags",
        Field::TUN_GTPU_MSGTYPE => "gtpu_msgtype",
        _ => field.name(),
    }
}

impl fmt::Display for Match {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print(self, None, f)
    }
}
