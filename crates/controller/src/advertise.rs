//! Routers that advertise themselves on switches of this chassis: what northd wrote into their ports' bindings, as a router
//! advertisement (ovn-nb(5), Logical_Router_Port, `ipv6_ra_configs`).

use crate::binding::PortKind;
use crate::port::Delivery;
use crate::tables::Ctx;
use kiln_logical::action::advertised::{Route, labels, listed};
use kiln_packet::{Preference, RaOptions, RouterAdvert};
use kiln_responder::{PeriodicAdvert, Reach};
use kiln_types::{DatapathKey, Ipv6Net, PortKey, Uuid};
use std::net::Ipv6Addr;
use std::time::Duration;

/// For ever, as lifetime of what is advertised.
const FOREVER_S: u32 = u32::MAX;

/// The advertisement of a router's port, sent from the switch's port that leads to it.
pub(crate) fn of_port(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<PeriodicAdvert>) {
    let Some((kind, Delivery::Patch { peer })) =
        ctx.value(&ctx.ports, row).map(|port| (port.kind, port.delivery))
    else {
        return;
    };
    let Some(port) = ctx.row(&ctx.sb.port_binding, row) else { return };
    let options = port.options();
    if options.get("ipv6_ra_send_periodic").is_none_or(|text| &**text != "true") {
        return;
    }
    let Some(switch) = ctx.value(&ctx.ports, &peer) else { return };
    let mut bad = |key: &str, what: &str, then: &str| {
        ctx.report(format!("Port_Binding {row}: column options: {key}: `{what}` is not understood; {then}"));
    };
    let get = |key: &str| options.get(key).map(|text| &**text);
    let Some(advert) = advert(&get, &mut bad) else { return };
    let pause = |key: &str| options.get(key).and_then(|text| text.parse().ok()).map(Duration::from_secs);
    let (Some(min), Some(max)) = (pause("ipv6_ra_min_interval"), pause("ipv6_ra_max_interval")) else {
        return bad("ipv6_ra_max_interval", get("ipv6_ra_max_interval").unwrap_or_default(), SKIPPED);
    };
    let place = (DatapathKey(switch.datapath_key), PortKey(switch.key));
    // Other routers are on every chassis: each tells its own ports, and none the physical network.
    let reach = if kind == PortKind::L3gateway { Reach::ChassisAndNetwork } else { Reach::Chassis };
    out.push(PeriodicAdvert::new(place, (min.max(Duration::from_secs(1)), max), reach, &advert));
}

/// Told of a key, of what is wrong there, and of what becomes of that.
type Bad<'a> = dyn FnMut(&str, &str, &str) + 'a;

const SKIPPED: &str = "it is skipped";

/// The advertisement that options ask for. What is not understood is told of and left out, and the rest advertised, as by solicited
/// ones.
fn advert<'t>(get: &dyn Fn(&str) -> Option<&'t str>, bad: &mut Bad<'_>) -> Option<RouterAdvert> {
    let text = |key: &str| get(key).unwrap_or_default();
    let Ok(mac) = text("ipv6_ra_src_eth").parse() else {
        bad("ipv6_ra_src_eth", text("ipv6_ra_src_eth"), SKIPPED);
        return None;
    };
    let mode = text("ipv6_ra_address_mode");
    let managed = mode == "dhcpv6_stateful";
    let mut content = RaOptions::new();
    content.source_link_layer(mac);
    if let Some(text) = get("ipv6_ra_mtu") {
        match text.parse() {
            Ok(mtu) => drop(content.mtu(mtu)),
            Err(_) => bad("ipv6_ra_mtu", text, SKIPPED),
        }
    }
    for text in text("ipv6_ra_prefixes").split_ascii_whitespace() {
        match text.parse::<Ipv6Net>() {
            Ok(net) => drop(content.prefix(net, true, !managed, FOREVER_S, FOREVER_S)),
            Err(_) => bad("ipv6_ra_prefixes", text, SKIPPED),
        }
    }
    if let Some(text) = get("ipv6_ra_rdnss") {
        match text.parse::<Ipv6Addr>() {
            Ok(server) => drop(content.dns_servers(&[server], FOREVER_S)),
            Err(_) => bad("ipv6_ra_rdnss", text, SKIPPED),
        }
    }
    domains(text("ipv6_ra_dnssl"), &mut content, bad);
    routes(text("ipv6_ra_route_info"), &mut content, bad);
    let mut advert = RouterAdvert::multicast(mac, u16::MAX, content);
    (advert.managed, advert.other) = (managed, mode == "dhcpv6_stateless");
    if let Some(ip) = get("ipv6_ra_src_addr").and_then(|text| text.parse().ok()) {
        advert.ip_src = ip;
    }
    if let Some(text) = get("ipv6_ra_prf") {
        match preference(text) {
            Some(preference) => advert.preference = preference,
            None => bad("ipv6_ra_prf", text, SKIPPED),
        }
    }
    Some(advert)
}

/// Domains to search.
fn domains(text: &str, content: &mut RaOptions, bad: &mut Bad<'_>) {
    let key = "ipv6_ra_dnssl";
    let mut names = Vec::new();
    for entry in listed(text) {
        let name = labels(entry).collect::<Vec<_>>().join(".");
        if RaOptions::new().search_domains([&*name], FOREVER_S) {
            names.push(name);
        } else {
            bad(key, entry, SKIPPED);
        }
    }
    if !names.is_empty() && !content.search_domains(names.iter().map(|name| &**name), FOREVER_S) {
        bad(key, text, "there is no room for all of it, so that it is skipped");
    }
}

/// Routes to more than the link.
fn routes(text: &str, content: &mut RaOptions, bad: &mut Bad<'_>) {
    let key = "ipv6_ra_route_info";
    for entry in listed(text) {
        let Ok(Some(route)) = Route::read(entry) else {
            bad(key, entry, SKIPPED);
            continue;
        };
        let preferred = preference(route.preference);
        if preferred.is_none() {
            bad(key, route.preference, "it is taken for MEDIUM");
        }
        content.route(route.prefix, preferred.unwrap_or_default(), FOREVER_S);
    }
}

fn preference(text: &str) -> Option<Preference> {
    match text {
        "HIGH" => Some(Preference::High),
        "MEDIUM" => Some(Preference::Medium),
        "LOW" => Some(Preference::Low),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What northd writes for a port with everything.
    const OPTIONS: &[(&str, &str)] = &[
        ("ipv6_ra_address_mode", "slaac"),
        ("ipv6_ra_dnssl", "a.example,b.example"),
        ("ipv6_ra_mtu", "1400"),
        ("ipv6_ra_prefixes", "fd00::/64"),
        ("ipv6_ra_prf", "HIGH"),
        ("ipv6_ra_rdnss", "fd00::53"),
        ("ipv6_ra_route_info", "HIGH-fd77::/64,LOW-fd78::/48"),
        ("ipv6_ra_src_addr", "fe80::c00:ff:fe00:1"),
        ("ipv6_ra_src_eth", "0e:00:00:00:00:01"),
    ];

    fn frame(options: &[(&'static str, &'static str)], bad: &mut Vec<String>) -> Option<Vec<u8>> {
        let get = |key: &str| options.iter().find(|(name, _)| *name == key).map(|(_, text)| *text);
        let advert = advert(&get, &mut |key, what, _| bad.push(format!("{key}: {what}")))?;
        let mut frame = vec![0; advert.buffer_len()];
        advert.emit(&mut frame);
        Some(frame)
    }

    #[test]
    fn the_frame_of_a_stock_chassis() {
        // Captured behind ovn-controller 26.03 with these options.
        let stock = "3333000000010e000000000186dd6000000000983afffe800000000000000c0000fffe000001\
                     ff0200000000000000000000000000018600ed94ff08ffff000000000000000001010e00000000010501000000\
                     0005780304\
                     40c0ffffffffffffffff00000000fd00000000000000000000000000000019030000fffffffffd000000000000\
                     0000000000000000531f040000ffffffff0161076578616d706c65000162076578616d706c6500000018024008\
                     fffffffffd7700000000000018023018fffffffffd78000000000000";
        let mut bad = Vec::new();
        let made = frame(OPTIONS, &mut bad).unwrap();
        let made = made.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        assert_eq!((made.as_str(), bad), (stock, vec![]));
    }

    #[test]
    fn flags_of_address_modes() {
        for (mode, flags, prefix_flags) in
            [("slaac", 0x00, 0xc0), ("dhcpv6_stateful", 0x80, 0x80), ("dhcpv6_stateless", 0x40, 0xc0)]
        {
            let options = [OPTIONS[8], ("ipv6_ra_address_mode", mode), ("ipv6_ra_prefixes", "fd00::/64")];
            let frame = frame(&options, &mut Vec::new()).unwrap();
            // After Ethernet and IPv6 headers, type, code, checksum and hop limit; and in the option after the address's.
            assert_eq!((frame[59], frame[54 + 16 + 8 + 3]), (flags, prefix_flags), "{mode}");
        }
    }

    #[test]
    fn what_is_not_understood_is_named_and_left_out() {
        let mut bad = Vec::new();
        let options = [
            OPTIONS[8],
            ("ipv6_ra_mtu", "much"),
            ("ipv6_ra_prefixes", "fd00::1"),
            ("ipv6_ra_rdnss", "10.0.0.1"),
            ("ipv6_ra_dnssl", "."),
            ("ipv6_ra_route_info", "HIGH"),
            ("ipv6_ra_prf", "high"),
        ];
        let made = frame(&options, &mut bad).unwrap();
        assert_eq!(
            bad,
            [
                "ipv6_ra_mtu: much",
                "ipv6_ra_prefixes: fd00::1",
                "ipv6_ra_rdnss: 10.0.0.1",
                "ipv6_ra_dnssl: .",
                "ipv6_ra_route_info: HIGH",
                "ipv6_ra_prf: high"
            ]
        );
        assert_eq!(made.len(), 14 + 40 + 16 + 8, "the Ethernet address is all that is told");
        assert_eq!(frame(&[], &mut bad), None);
    }

    #[test]
    fn one_wrong_entry_does_not_keep_back_the_others() {
        let options = |dnssl, routes| {
            let options = [OPTIONS[8], ("ipv6_ra_dnssl", dnssl), ("ipv6_ra_route_info", routes)];
            let mut bad = Vec::new();
            (frame(&options, &mut bad).unwrap(), bad)
        };
        let (good, bad) = options("a.b,c", "HIGH-fd77::/64,MEDIUM-fd78::/48");
        assert!(bad.is_empty(), "{bad:?}");
        let long = format!("a..b.,{}.d, ,c", "x".repeat(64)).leak();
        let (rest, bad) = options(long, "HIGH,HIGH-x,HIGH-fd77::/64-x,,high-fd78::/48");
        assert_eq!(rest, good);
        let told = ["dnssl: ".to_owned() + &"x".repeat(64) + ".d"].into_iter();
        let told = told.chain(["HIGH", "HIGH-x", "high"].map(|entry| format!("route_info: {entry}")));
        assert_eq!(bad, told.map(|what| format!("ipv6_ra_{what}")).collect::<Vec<_>>());
    }
}
