//! Actions that make the switch learn flows by itself: where replies go back to, and which backend a client keeps.

use super::Encoder;
use kiln_abi::registers::{flags, reg, scratch};
use kiln_abi::stages::Datapath;
use kiln_abi::tables;
use kiln_logical::action::{LbAffinity, Protocol};
use kiln_openflow::Subfield;
use kiln_openflow::action::{Action, Learn, LearnDst, LearnSpec, LearnSrc};
use kiln_openflow::field::Field as Of;
use std::net::IpAddr;

/// How long a next hop is remembered after its last packet, in seconds.
const ECMP_IDLE_S: u16 = 20;
/// How long it is remembered at all, in seconds.
const ECMP_HARD_S: u16 = 30;

/// Match `dst` as what this packet has in `src`.
fn swapped(dst: Of, src: Of) -> LearnSpec {
    LearnSpec {
        n_bits: dst.n_bits(),
        src: LearnSrc::Field(Subfield::whole(src)),
        dst: LearnDst::Match(Subfield::whole(dst)),
    }
}

/// Match `field` as this packet has it.
fn same(field: Of) -> LearnSpec {
    swapped(field, field)
}

/// Match `field` as `value`.
fn constant(field: Of, value: u128) -> LearnSpec {
    LearnSpec {
        n_bits: field.n_bits(),
        src: LearnSrc::Imm(value),
        dst: LearnDst::Match(Subfield::whole(field)),
    }
}

/// Load `value`.
fn load(dst: Subfield, value: u128) -> LearnSpec {
    LearnSpec { n_bits: dst.n_bits, src: LearnSrc::Imm(value), dst: LearnDst::Load(dst) }
}

fn flag(bit: u8) -> LearnSpec {
    load(Subfield::new(Of::reg(reg::FLAGS), u16::from(bit), 1), 1)
}

/// Ethernet type, source and destination address.
fn ip_fields(ipv6: bool) -> (u128, Of, Of) {
    if ipv6 { (0x86dd, Of::IPV6_SRC, Of::IPV6_DST) } else { (0x800, Of::IPV4_SRC, Of::IPV4_DST) }
}

/// Source and destination port.
fn port_fields(protocol: Protocol) -> (Of, Of) {
    match protocol {
        Protocol::Tcp => (Of::TCP_SRC, Of::TCP_DST),
        Protocol::Udp => (Of::UDP_SRC, Of::UDP_DST),
        Protocol::Sctp => (Of::SCTP_SRC, Of::SCTP_DST),
    }
}

impl Encoder<'_> {
    fn learn(&mut self, table: u8, timeouts: (u16, u16), cookie: u32, specs: Vec<LearnSpec>) {
        self.push(Action::Learn(Box::new(Learn {
            idle_timeout_s: timeouts.0,
            hard_timeout_s: timeouts.1,
            cookie: u64::from(cookie),
            flags: Learn::DELETE_LEARNED,
            table,
            specs: specs.into(),
            ..Learn::default()
        })));
    }

    /// Two flows: packets of this connection by the next hop they came from, and those that answer them.
    pub(super) fn commit_ecmp_nh(&mut self, ipv6: bool, protocol: Protocol) {
        let (eth_type, src, dst) = ip_fields(ipv6);
        let (src_port, dst_port) = port_fields(protocol);
        let proto = u128::from(protocol.number());
        let found = || flag(flags::LOOKUP_COMMIT_ECMP_NH);
        let timeouts = (ECMP_IDLE_S, ECMP_HARD_S);
        let forth = vec![
            same(Of::METADATA),
            same(Of::ETH_SRC),
            constant(Of::ETH_TYPE, eth_type),
            same(src),
            same(dst),
            constant(Of::IP_PROTO, proto),
            same(src_port),
            same(dst_port),
            found(),
        ];
        let back = vec![
            same(Of::METADATA),
            constant(Of::ETH_TYPE, eth_type),
            swapped(src, dst),
            swapped(dst, src),
            constant(Of::IP_PROTO, proto),
            swapped(src_port, dst_port),
            swapped(dst_port, src_port),
            found(),
        ];
        self.learn(tables::ECMP_NH_MAC, timeouts, 0, forth);
        self.learn(tables::ECMP_NH, timeouts, 0, back);
    }

    pub(super) fn commit_lb_aff(&mut self, affinity: &LbAffinity) {
        let consolidated = self.context.register_consolidation;
        let (eth_type, src, dst) = ip_fields(affinity.vip.ip.is_ipv6());
        let mut specs = vec![same(Of::METADATA), constant(Of::ETH_TYPE, eth_type), same(src)];
        specs.push(constant(dst, ip_bits(affinity.vip.ip)));
        if let (Some(protocol), Some(port)) = (affinity.protocol, affinity.vip.port) {
            specs.push(constant(Of::IP_PROTO, u128::from(protocol.number())));
            specs.push(constant(port_fields(protocol).1, u128::from(port)));
        }
        specs.push(flag(flags::USE_LB_AFF_SESSION));
        let backend = match affinity.backend.ip {
            IpAddr::V4(_) => Of::reg(scratch::LB_IPV4),
            IpAddr::V6(_) if !consolidated && self.context.datapath == Datapath::Switch => {
                Of::xxreg(scratch::LB_AFF_SWITCH_IPV6_XXREG_OLD)
            }
            IpAddr::V6(_) => Of::xxreg(scratch::LB_IPV6_XXREG),
        };
        specs.push(load(Subfield::whole(backend), ip_bits(affinity.backend.ip)));
        if let Some(port) = affinity.backend.port {
            let register = if consolidated { scratch::LB_PORT.0 } else { scratch::LB_AFF_PORT_OLD };
            specs.push(load(Subfield::new(Of::reg(register), 0, 16), u128::from(port)));
        }
        self.learn(tables::CHK_LB_AFFINITY, (affinity.timeout_s, 0), self.context.cookie(), specs);
    }
}

fn ip_bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(ip) => u128::from(ip.to_bits()),
        IpAddr::V6(ip) => ip.to_bits(),
    }
}
