//! Tables 73 to 75: what a port may send and be sent (column `port_security`; ovn-nb(5), Logical_Switch_Port).
//!
//! The answer is bit 12 of reg10: set for a violation.

use super::write::*;
use crate::binding::PortKind;
use crate::desired::DesiredFlow;
use crate::port::{Delivery, LocalPort};
use crate::tables::Ctx;
use kiln_abi::registers::flags;
use kiln_abi::tables::{CHK_IN_PORT_SEC as IN, CHK_IN_PORT_SEC_ND as IN_ND, CHK_OUT_PORT_SEC as OUT};
use kiln_openflow::{Action, Field, MatchBuilder};
use kiln_types::{EthAddr, Ipv4Net, Ipv6Net, Uuid, eui64_link_local};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;

/// One element of the column: an Ethernet address, and the IP addresses that go with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Allowed {
    mac: EthAddr,
    mac_mask: Option<EthAddr>,
    v4: Vec<Ipv4Net>,
    v6: Vec<Ipv6Net>,
}

impl Allowed {
    fn parse(text: &str) -> Option<Allowed> {
        let mut words = text.split_whitespace();
        let first = words.next()?;
        let (mac, mac_mask) = match first.split_once('/') {
            Some((mac, mask)) => (mac.parse().ok()?, Some(mask.parse().ok()?)),
            None => (first.parse().ok()?, None),
        };
        let mut allowed = Allowed { mac, mac_mask, v4: Vec::new(), v6: Vec::new() };
        for word in words {
            let (ip, len) = word.split_once('/').map_or((word, None), |(ip, len)| (ip, Some(len)));
            match ip.parse().ok()? {
                IpAddr::V4(ip) => {
                    allowed.v4.push(Ipv4Net::new(ip, len.map_or(Some(32), |l| l.parse().ok())?).ok()?);
                }
                IpAddr::V6(ip) => {
                    allowed.v6.push(Ipv6Net::new(ip, len.map_or(Some(128), |l| l.parse().ok())?).ok()?);
                }
            }
        }
        Some(allowed)
    }

    fn any_ip(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    fn mac(&self, field: Field, m: &mut MatchBuilder) {
        match self.mac_mask {
            None => m.exact(field, self.mac.to_u64()),
            Some(mask) => m.masked(field, self.mac.to_u64(), mask.to_u64()),
        };
    }

    /// Whole networks where no host is named, hosts else; and the addresses that its MAC gives it.
    fn v6_addresses(&self) -> Vec<(u128, u128)> {
        let mut addresses = vec![(eui64_link_local(self.mac).to_bits(), u128::MAX)];
        addresses.extend(self.v6.iter().map(|net| {
            let names_network = net.addr() == net.network();
            (net.addr().to_bits(), if names_network { net.netmask().to_bits() } else { u128::MAX })
        }));
        addresses
    }

    fn v4_addresses(&self) -> Vec<(u32, u32)> {
        let address = |net: &Ipv4Net| {
            let names_network = net.addr() == net.network();
            (net.addr().to_bits(), if names_network { net.netmask().to_bits() } else { u32::MAX })
        };
        self.v4.iter().map(address).collect()
    }
}

fn deny() -> Vec<Action> {
    vec![set_flag(flags::CHECK_PORT_SEC, true)]
}

fn allow() -> Vec<Action> {
    vec![set_flag(flags::CHECK_PORT_SEC, false)]
}

fn look_further() -> Vec<Action> {
    vec![Action::resubmit(IN_ND)]
}

pub(crate) fn port(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<DesiredFlow>) {
    let Some(port) = ctx.value(&ctx.ports, row) else { return };
    if port.kind != PortKind::Vif || !matches!(port.delivery, Delivery::Here { .. }) {
        return;
    }
    let Some(binding) = ctx.row(&ctx.sb.port_binding, row) else { return };
    let mut allowed = Vec::new();
    for text in binding.port_security().all() {
        match Allowed::parse(text) {
            Some(one) => allowed.push(one),
            None => ctx.report(format!(
                "Port_Binding {}: column port_security: expected \"MAC [IP[/LENGTH]…]\", found \"{text}\"",
                port.name
            )),
        }
    }
    if allowed.is_empty() {
        return;
    }
    let mut flows = Flows { cookie: cookie(*row), out };
    refusals(port, &mut flows);
    for allowed in &allowed {
        sent_ip(port, allowed, &mut flows);
        sent_arp(port, allowed, &mut flows);
        sent_nd(port, allowed, &mut flows);
        received(port, allowed, &mut flows);
    }
}

fn from(port: &LocalPort) -> MatchBuilder {
    inport(port.datapath_key, port.key)
}

fn neighbor_discovery(m: &mut MatchBuilder, kind: u8) {
    m.exact(Field::ETH_TYPE, IPV6).exact(Field::IP_PROTO, ICMPV6);
    m.exact(Field::NW_TTL, 255u8).exact(Field::ICMPV6_TYPE, kind);
}

/// What is not allowed is forbidden.
fn refusals(port: &LocalPort, flows: &mut Flows<'_>) {
    flows.add(IN, 80, &from(port), deny());
    let mut arp = from(port);
    arp.exact(Field::ETH_TYPE, ARP);
    flows.add(IN, 95, &arp, look_further());
    flows.add(IN_ND, 80, &arp, deny());
    for kind in [SOLICITATION, ADVERTISEMENT] {
        let mut m = from(port);
        neighbor_discovery(&mut m, kind);
        flows.add(IN_ND, 80, &m, deny());
    }
    flows.add(OUT, 80, &outport(port.datapath_key, port.key), deny());
}

/// IP packets that the port may send.
fn sent_ip(port: &LocalPort, allowed: &Allowed, flows: &mut Flows<'_>) {
    let mut base = from(port);
    allowed.mac(Field::ETH_SRC, &mut base);
    if allowed.any_ip() {
        return flows.add(IN, 90, &base, look_further());
    }
    for (address, mask) in allowed.v4_addresses() {
        let mut m = base.clone();
        m.exact(Field::ETH_TYPE, IPV4).masked(Field::IPV4_SRC, address, mask);
        flows.add(IN, 90, &m, allow());
    }
    if !allowed.v4.is_empty() {
        let mut dhcp = base.clone();
        dhcp.exact(Field::ETH_TYPE, IPV4).exact(Field::IP_PROTO, UDP);
        dhcp.exact(Field::IPV4_SRC, 0u8).exact(Field::IPV4_DST, Ipv4Addr::BROADCAST.to_bits());
        dhcp.exact(Field::UDP_SRC, 68u8).exact(Field::UDP_DST, 67u8);
        flows.add(IN, 90, &dhcp, allow());
    }
    if allowed.v6.is_empty() {
        return;
    }
    for (address, mask) in allowed.v6_addresses() {
        let mut m = base.clone();
        m.exact(Field::ETH_TYPE, IPV6).masked(Field::IPV6_SRC, address, mask);
        flows.add(IN, 90, &m, look_further());
    }
    // Before it has an address, a host reports groups (RFC 2710, RFC 3810) and looks for duplicates (RFC 4862).
    for (kind, actions) in [(131u8, allow()), (143, allow()), (SOLICITATION, look_further())] {
        let mut m = base.clone();
        m.exact(Field::ETH_TYPE, IPV6).exact(Field::IP_PROTO, ICMPV6);
        m.exact(Field::IPV6_SRC, 0u8);
        m.masked(Field::IPV6_DST, 0xff02u128 << 112, 0xffffu128 << 112);
        m.exact(Field::ICMPV6_TYPE, kind).exact(Field::ICMPV6_CODE, 0u8);
        flows.add(IN, 90, &m, actions);
    }
}

/// ARP that the port may send.
fn sent_arp(port: &LocalPort, allowed: &Allowed, flows: &mut Flows<'_>) {
    if allowed.v4.is_empty() && !allowed.v6.is_empty() {
        return;
    }
    let mut base = from(port);
    allowed.mac(Field::ETH_SRC, &mut base);
    base.exact(Field::ETH_TYPE, ARP);
    allowed.mac(Field::ARP_SHA, &mut base);
    if allowed.v4.is_empty() {
        return flows.add(IN_ND, 90, &base, allow());
    }
    for (address, mask) in allowed.v4_addresses() {
        let mut m = base.clone();
        m.masked(Field::ARP_SPA, address, mask);
        flows.add(IN_ND, 90, &m, allow());
    }
}

/// Neighbour discovery that the port may send: no other link-layer address than its own.
fn sent_nd(port: &LocalPort, allowed: &Allowed, flows: &mut Flows<'_>) {
    let mut base = from(port);
    allowed.mac(Field::ETH_SRC, &mut base);
    let with = |kind: u8, field: Field, own: bool| {
        let mut m = base.clone();
        neighbor_discovery(&mut m, kind);
        m.exact(Field::ICMPV6_CODE, 0u8);
        if own {
            allowed.mac(field, &mut m);
        } else {
            m.exact(field, 0u8);
        }
        m
    };
    for own in [false, true] {
        flows.add(IN_ND, 90, &with(SOLICITATION, Field::ND_SLL, own), allow());
        let advertisement = with(ADVERTISEMENT, Field::ND_TLL, own);
        if allowed.v6.is_empty() {
            flows.add(IN_ND, 90, &advertisement, allow());
            continue;
        }
        for (address, mask) in allowed.v6_addresses() {
            let mut m = advertisement.clone();
            m.masked(Field::ND_TARGET, address, mask);
            flows.add(IN_ND, 90, &m, allow());
        }
    }
}

/// What the port may be sent.
fn received(port: &LocalPort, allowed: &Allowed, flows: &mut Flows<'_>) {
    let mut base = outport(port.datapath_key, port.key);
    allowed.mac(Field::ETH_DST, &mut base);
    flows.add(OUT, 85, &base, allow());
    if allowed.any_ip() {
        return;
    }
    let of_type = |eth_type: u16| {
        let mut m = base.clone();
        m.exact(Field::ETH_TYPE, eth_type);
        m
    };
    flows.add(OUT, 90, &of_type(IPV4), deny());
    flows.add(OUT, 90, &of_type(IPV6), deny());
    if !allowed.v4.is_empty() {
        let mut addresses = allowed.v4_addresses();
        let hosts = allowed.v4.iter().filter(|net| net.addr() != net.network());
        addresses.extend(hosts.map(|net| (net.broadcast().to_bits(), u32::MAX)));
        addresses.push((Ipv4Addr::BROADCAST.to_bits(), u32::MAX));
        addresses.push((0xe000_0000, 0xf000_0000));
        for (address, mask) in addresses {
            let mut m = of_type(IPV4);
            m.masked(Field::IPV4_DST, address, mask);
            flows.add(OUT, 95, &m, allow());
        }
    }
    if !allowed.v6.is_empty() {
        let mut addresses = allowed.v6_addresses();
        addresses.push((Ipv6Addr::from_bits(0xff << 120).to_bits(), 0xff << 120));
        for (address, mask) in addresses {
            let mut m = of_type(IPV6);
            m.masked(Field::IPV6_DST, address, mask);
            flows.add(OUT, 95, &m, allow());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_of_the_column() {
        let one = Allowed::parse("0a:00:00:00:00:01 10.0.0.1 10.0.1.0/24 fd00::1/64").unwrap();
        assert_eq!(one.v4_addresses(), [(0x0a00_0001, u32::MAX), (0x0a00_0100, 0xffff_ff00)]);
        assert_eq!(one.v6_addresses()[1], (0xfd00 << 112 | 1, u128::MAX), "a host, not its network");
        for bad in ["", "10.0.0.1", "0a:00:00:00:00:01 10.0.0.1/33", "0a:00:00:00:00:01 host"] {
            assert_eq!(Allowed::parse(bad), None, "{bad}");
        }
    }
}
