//! Tables 66, 67, 71, 72 and 79: what is known of neighbours and of stations behind ports, from MAC_Binding,
//! Static_MAC_Binding and FDB.

use crate::desired::DesiredFlow;
use crate::physical::write::*;
use crate::tables::Ctx;
use kiln_abi::registers::{flags, reg, scratch};
use kiln_abi::tables;
use kiln_openflow::{Action, Field, MatchBuilder};
use kiln_ovsdb::Text;
use kiln_types::{EthAddr, Uuid};
use std::net::IpAddr;

/// A neighbour of a router port.
struct Neighbor {
    datapath_key: u32,
    key: u16,
    ip: IpAddr,
    mac: EthAddr,
}

/// What a row says, if its port matters here.
fn neighbor(
    ctx: &Ctx<'_>,
    (table, row): (&str, &Uuid),
    port: &Text,
    ip: &Text,
    mac: &Text,
) -> Option<Neighbor> {
    let binding = ctx.row(&ctx.sb.port_binding, ctx.all(&ctx.port_named, port).first()?)?;
    let datapath_key = ctx.value(&ctx.local_datapaths, &binding.datapath())?.key;
    let skipped = |column: &str, what: &str, found: &Text| {
        ctx.report(format!(
            "{table} {row} of port \"{port}\": column {column}: expected {what}, found \"{found}\"; it is skipped"
        ));
    };
    let Ok(ip_parsed) = ip.parse() else {
        skipped("ip", "an IP address", ip);
        return None;
    };
    let Ok(mac_parsed) = mac.parse() else {
        skipped("mac", "an Ethernet address", mac);
        return None;
    };
    Some(Neighbor { datapath_key, key: binding.tunnel_key() as u16, ip: ip_parsed, mac: mac_parsed })
}

/// Priority of what packets told.
const LEARNED: u16 = 100;
/// Priority of what the operator says, where packets may know better.
const STATIC: u16 = 50;
/// Priority of what the operator says against packets.
const OVERRIDING: u16 = 150;

pub(crate) fn learned(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<DesiredFlow>) {
    let Some(binding) = ctx.row(&ctx.sb.mac_binding, row) else { return };
    if binding.mac().is_empty() {
        // It is only asked for.
        return;
    }
    let found = neighbor(ctx, ("MAC_Binding", row), binding.logical_port(), binding.ip(), binding.mac());
    let Some(neighbor) = found else { return };
    let mut flows = Flows { cookie: cookie(*row), out };
    answers(&neighbor, LEARNED, &mut flows);
    used(&neighbor, &mut flows);
}

pub(crate) fn fixed(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<DesiredFlow>) {
    let Some(binding) = ctx.row(&ctx.sb.static_mac_binding, row) else { return };
    let found =
        neighbor(ctx, ("Static_MAC_Binding", row), binding.logical_port(), binding.ip(), binding.mac());
    let Some(neighbor) = found else { return };
    let priority = if binding.override_dynamic_mac() { OVERRIDING } else { STATIC };
    answers(&neighbor, priority, &mut Flows { cookie: cookie(*row), out });
}

/// The answers to `get_arp` and `lookup_arp`, or to `get_nd` and `lookup_nd`.
fn answers(neighbor: &Neighbor, priority: u16, flows: &mut Flows<'_>) {
    let mac = neighbor.mac.to_u64();
    let mut get = outport(neighbor.datapath_key, neighbor.key);
    let mut known = inport(neighbor.datapath_key, neighbor.key);
    known.exact(Field::ETH_SRC, mac);
    match neighbor.ip {
        IpAddr::V4(ip) => {
            get.exact(Field::reg(scratch::ARP_IPV4), ip.to_bits());
            known.exact(Field::ETH_TYPE, 0x0806u16).exact(Field::reg(scratch::ARP_IPV4), ip.to_bits());
        }
        IpAddr::V6(ip) => {
            get.exact(Field::xxreg(scratch::GET_ND_XXREG), ip.to_bits());
            known.exact(Field::ETH_TYPE, 0x86ddu16).exact(Field::IP_PROTO, 58u8);
            known.exact(Field::ICMPV6_CODE, 0u8);
            known.exact(Field::xxreg(scratch::PUT_ND_XXREG), ip.to_bits());
        }
    }
    let found = || set_flag(flags::LOOKUP_MAC, true);
    flows.add(tables::MAC_BINDING, priority, &get, vec![Action::set_field(Field::ETH_DST, mac), found()]);
    flows.add(tables::MAC_LOOKUP, priority, &known, vec![found()]);
}

/// Counts packets that the neighbour sends: who is heard of need not be asked again.
fn used(neighbor: &Neighbor, flows: &mut Flows<'_>) {
    let mac = neighbor.mac.to_u64();
    let from = || {
        let mut m = inport(neighbor.datapath_key, neighbor.key);
        m.exact(Field::ETH_SRC, mac);
        m
    };
    match neighbor.ip {
        IpAddr::V4(ip) => {
            let mut packet = from();
            packet.exact(Field::ETH_TYPE, 0x0800u16).exact(Field::IPV4_SRC, ip.to_bits());
            flows.add(tables::MAC_CACHE_USE, 100, &packet, Vec::new());
            let mut reply = from();
            reply.exact(Field::ETH_TYPE, 0x0806u16).exact(Field::ARP_OP, 2u8);
            reply.exact(Field::ARP_SPA, ip.to_bits());
            flows.add(tables::MAC_CACHE_USE, 100, &reply, Vec::new());
        }
        IpAddr::V6(ip) => {
            let mut packet = from();
            packet.exact(Field::ETH_TYPE, 0x86ddu16).exact(Field::IPV6_SRC, ip.to_bits());
            flows.add(tables::MAC_CACHE_USE, 100, &packet, Vec::new());
            // It may answer from another of its addresses: whom an advertisement is about is its target (RFC 4861, 7.2.5). That
            // address may be a neighbour that was learned, too, so this comes first.
            let mut advert = from();
            advert.exact(Field::ETH_TYPE, 0x86ddu16).exact(Field::IP_PROTO, 58u8);
            advert.exact(Field::ICMPV6_TYPE, 136u8).exact(Field::ICMPV6_CODE, 0u8);
            advert.exact(Field::ND_TARGET, ip.to_bits());
            flows.add(tables::MAC_CACHE_USE, 110, &advert, Vec::new());
        }
    }
}

/// The answers to `get_fdb` and `lookup_fdb`.
pub(crate) fn station(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<DesiredFlow>) {
    let Some(entry) = ctx.row(&ctx.sb.fdb, row) else { return };
    let (Ok(key), Ok(port)) = (u32::try_from(entry.dp_key()), u16::try_from(entry.port_key())) else {
        return;
    };
    let datapath_row = ctx.all(&ctx.datapath_keyed, &key).first();
    if datapath_row.and_then(|row| ctx.value(&ctx.local_datapaths, row)).is_none() {
        return;
    }
    let Ok(mac) = entry.mac().parse::<EthAddr>() else {
        return ctx.report(format!(
            "FDB {row}: column mac: expected an Ethernet address, found \"{}\"",
            entry.mac()
        ));
    };
    let mut flows = Flows { cookie: cookie(*row), out };
    let mut get: MatchBuilder = datapath(key);
    get.exact(Field::ETH_DST, mac.to_u64());
    flows.add(tables::GET_FDB, 100, &get, vec![load(reg::OUTPORT, port)]);
    let mut known = inport(key, port);
    known.exact(Field::ETH_SRC, mac.to_u64());
    flows.add(tables::LOOKUP_FDB, 100, &known, vec![set_flag(flags::LOOKUP_FDB, true)]);
}
