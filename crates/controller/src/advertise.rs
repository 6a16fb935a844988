//! Routers that advertise themselves on switches of this chassis: what northd wrote into their ports' bindings, as a router
//! advertisement (ovn-nb(5), Logical_Router_Port, `ipv6_ra_configs`).

use crate::port::Delivery;
use crate::tables::Ctx;
use kiln_incr::MapView;
use kiln_ovsdb::Text;
use kiln_packet::{Preference, RaOptions, RouterAdvert};
use kiln_responder::PeriodicAdvert;
use kiln_types::{DatapathKey, Ipv6Net, PortKey, Uuid};
use std::net::Ipv6Addr;
use std::time::Duration;

/// For ever, as lifetime of what is advertised.
const FOREVER_S: u32 = u32::MAX;

/// The advertisement of a router's port, sent from the switch's port that leads to it.
pub(crate) fn of_port(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<PeriodicAdvert>) {
    let Some(Delivery::Patch { peer }) = ctx.value(&ctx.ports, row).map(|port| port.delivery) else { return };
    let Some(port) = ctx.row(&ctx.sb.port_binding, row) else { return };
    let options = port.options();
    if options.get("ipv6_ra_send_periodic").is_none_or(|text| &**text != "true") {
        return;
    }
    let Some(switch) = ctx.value(&ctx.ports, &peer) else { return };
    let mut bad = |key: &str| {
        let text = options.get(key).map_or("", |text| text);
        ctx.report(format!(
            "Port_Binding {row}: column options: {key} `{text}` is not understood; it is skipped"
        ));
    };
    let Some(advert) = advert(&options, &mut bad) else { return };
    let pause = |key: &str| options.get(key).and_then(|text| text.parse().ok()).map(Duration::from_secs);
    let (Some(min), Some(max)) = (pause("ipv6_ra_min_interval"), pause("ipv6_ra_max_interval")) else {
        return bad("ipv6_ra_max_interval");
    };
    let place = (DatapathKey(switch.datapath_key), PortKey(switch.key));
    out.push(PeriodicAdvert::new(place, (min.max(Duration::from_secs(1)), max), &advert));
}

fn advert(options: &MapView<'_, Text, Text>, bad: &mut dyn FnMut(&str)) -> Option<RouterAdvert> {
    let get = |key: &str| options.get(key).map(|text| &**text);
    let Some(mac) = get("ipv6_ra_src_eth").and_then(|text| text.parse().ok()) else {
        bad("ipv6_ra_src_eth");
        return None;
    };
    let mode = get("ipv6_ra_address_mode").unwrap_or_default();
    let managed = mode == "dhcpv6_stateful";
    let mut content = RaOptions::new();
    content.source_link_layer(mac);
    if let Some(text) = get("ipv6_ra_mtu") {
        match text.parse() {
            Ok(mtu) => drop(content.mtu(mtu)),
            Err(_) => bad("ipv6_ra_mtu"),
        }
    }
    for text in get("ipv6_ra_prefixes").unwrap_or_default().split_ascii_whitespace() {
        match text.parse::<Ipv6Net>() {
            Ok(net) => drop(content.prefix(net, true, !managed, FOREVER_S, FOREVER_S)),
            Err(_) => bad("ipv6_ra_prefixes"),
        }
    }
    if let Some(text) = get("ipv6_ra_rdnss") {
        match text.parse::<Ipv6Addr>() {
            Ok(server) => drop(content.dns_servers(&[server], FOREVER_S)),
            Err(_) => bad("ipv6_ra_rdnss"),
        }
    }
    if let Some(text) = get("ipv6_ra_dnssl")
        && !content.search_domains(text.split(',').map(str::trim), FOREVER_S)
    {
        bad("ipv6_ra_dnssl");
    }
    for text in get("ipv6_ra_route_info").unwrap_or_default().split(',').filter(|text| !text.is_empty()) {
        match route(text) {
            Some((net, preference)) => drop(content.route(net, preference, FOREVER_S)),
            None => bad("ipv6_ra_route_info"),
        }
    }
    let mut advert = RouterAdvert::multicast(mac, u16::MAX, content);
    (advert.managed, advert.other) = (managed, mode == "dhcpv6_stateless");
    if let Some(ip) = get("ipv6_ra_src_addr").and_then(|text| text.parse().ok()) {
        advert.ip_src = ip;
    }
    if let Some(text) = get("ipv6_ra_prf") {
        match preference(text) {
            Some(preference) => advert.preference = preference,
            None => bad("ipv6_ra_prf"),
        }
    }
    Some(advert)
}

fn preference(text: &str) -> Option<Preference> {
    match text {
        "HIGH" => Some(Preference::High),
        "MEDIUM" => Some(Preference::Medium),
        "LOW" => Some(Preference::Low),
        _ => None,
    }
}

/// `PREFERENCE-PREFIX`.
fn route(text: &str) -> Option<(Ipv6Net, Preference)> {
    let (preferred, net) = text.split_once('-')?;
    Some((net.parse().ok()?, preference(preferred)?))
}
