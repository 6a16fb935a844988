//! Ports that are blocked until they show life (ovn-nb(5), `activation-strategy`): table 0 drops what comes in by them, but for
//! what shows it, of which the responder hears; table 65 drops what would go out.

use super::ingress::{entering, of_interface};
use super::write::*;
use crate::port::LocalPort;
use crate::tables::Ctx;
use kiln_abi::opcodes::Opcode;
use kiln_abi::tables;
use kiln_openflow::action::Controller;
use kiln_openflow::{Action, Field, MatchBuilder};
use kiln_types::{EthAddr, Uuid, eui64_link_local};
use std::net::IpAddr;

const ETH_TYPE_ARP: u16 = 0x0806;
const ETH_TYPE_RARP: u16 = 0x8035;
const ETH_TYPE_IPV6: u16 = 0x86dd;
const IP_PROTO_ICMPV6: u8 = 58;
/// Neighbour advertisement (RFC 4861, 4.4).
const ND_NA: u8 = 136;

pub(crate) fn port(ctx: &Ctx<'_>, row: &Uuid, port: &LocalPort, flows: &mut Flows<'_>) {
    let Some(interface) = of_interface(port).filter(|_| port.is_blocked) else { return };
    flows.add(tables::PHY_TO_LOG, 1000, &interface, Vec::new());
    flows.add(tables::LOG_TO_PHY, 1000, &outport(port.datapath_key, port.key), Vec::new());
    let mut actions = entering(port);
    actions.push(Action::Controller(Box::new(Controller {
        userdata: Opcode::ACTIVATION_STRATEGY.userdata().into(),
        ..Controller::default()
    })));
    actions.push(Action::resubmit(tables::LOG_INGRESS));
    for m in signs(ctx, row, &interface) {
        flows.add(tables::PHY_TO_LOG, 1010, &m, actions.clone());
    }
}

/// What packets are like that show life.
fn signs(ctx: &Ctx<'_>, row: &Uuid, interface: &MatchBuilder) -> Vec<MatchBuilder> {
    let Some(port) = ctx.row(&ctx.sb.port_binding, row) else { return Vec::new() };
    let strategy = port.options().get("activation-strategy").map_or("", |text| text);
    let mut signs = Vec::new();
    for protocol in strategy.split(',') {
        match protocol {
            "rarp" => {
                let mut m = interface.clone();
                m.exact(Field::ETH_TYPE, ETH_TYPE_RARP);
                signs.push(m);
            }
            "garp" | "na" => {
                let own = port.mac().all().iter().flat_map(|text| addresses(text));
                signs.extend(own.filter_map(|(mac, ip)| announcement(interface, protocol, mac, ip)));
            }
            _ => ctx.report(format!(
                "Port_Binding {row} ({}): column options: activation-strategy: expected rarp, garp or na, found \"{protocol}\"",
                port.logical_port()
            )),
        }
    }
    signs
}

/// The port's own word that it has the address: an ARP packet (RFC 5227, 3) or an unsolicited advertisement.
fn announcement(interface: &MatchBuilder, protocol: &str, mac: EthAddr, ip: IpAddr) -> Option<MatchBuilder> {
    let mut m = interface.clone();
    match (protocol, ip) {
        ("garp", IpAddr::V4(ip)) => {
            m.exact(Field::ETH_SRC, mac.to_u64()).exact(Field::ETH_TYPE, ETH_TYPE_ARP);
            m.exact(Field::ARP_SHA, mac.to_u64())
                .exact(Field::ARP_SPA, ip.to_bits())
                .exact(Field::ARP_TPA, ip.to_bits());
        }
        ("na", IpAddr::V6(ip)) => {
            m.exact(Field::ETH_TYPE, ETH_TYPE_IPV6).exact(Field::IP_PROTO, IP_PROTO_ICMPV6);
            m.exact(Field::ICMPV6_TYPE, ND_NA).exact(Field::ICMPV6_CODE, 0u8);
            m.exact(Field::IPV6_SRC, ip.to_bits()).exact(Field::ND_TARGET, ip.to_bits());
            m.exact(Field::ND_TLL, mac.to_u64());
        }
        _ => return None,
    }
    Some(m)
}

/// What an element of `Port_Binding.mac` says: an Ethernet address and IP addresses, with IPv6 its link-local one too.
fn addresses(text: &str) -> Vec<(EthAddr, IpAddr)> {
    let mut words = text.split_whitespace();
    let Some(mac) = words.next().and_then(|word| word.parse::<EthAddr>().ok()) else { return Vec::new() };
    let ip = |word: &str| word.split('/').next().and_then(|ip| ip.parse().ok());
    let mut all: Vec<IpAddr> = words.filter_map(ip).collect();
    if all.iter().any(IpAddr::is_ipv6) {
        all.push(IpAddr::V6(eui64_link_local(mac)));
    }
    all.into_iter().map(|ip| (mac, ip)).collect()
}
