//! Stages `lr_in_nd_ra_options` and `lr_in_nd_ra_response`, and what chassis need to advertise by themselves: router
//! advertisements (RFC 4861, section 6.2; ovn-nb(5), Logical_Router_Port, `ipv6_ra_configs`).

use super::port_flows;
use crate::copp::{Protection, Protocol};
use crate::flow::Flow;
use crate::tables::{Ctx, Peer, RouterPort};
use kiln_abi::stages::Stage;
use kiln_logical::action::advertised::{MAX_LABEL_BYTES, Route, labels};
use kiln_ovsdb::Text;
use kiln_schema_ovn::nb::view;
use kiln_types::Uuid;
use std::net::Ipv6Addr;

/// RFC 8200, section 5: a smaller MTU is none.
const MIN_MTU: u32 = 1280;
/// RFC 4861, section 6.2.1, `MaxRtrAdvInterval` in seconds: by default, at least and at most.
const MAX_INTERVAL_S: (u32, u32, u32) = (600, 4, 1800);
/// The same of `MinRtrAdvInterval`: at least.
const MIN_INTERVAL_S: u32 = 3;

/// What a port advertises.
#[derive(Debug, Default)]
struct Advertisement {
    address_mode: Text,
    mtu: Option<u32>,
    preference: Option<Text>,
    rdnss: Option<Ipv6Addr>,
    dnssl: Option<Text>,
    route_info: Option<Text>,
    prefixes: Vec<String>,
}

fn is_preference(text: &str) -> bool {
    matches!(text, "HIGH" | "MEDIUM" | "LOW")
}

/// The entries of a list that a flow can name and chassis can read; `bad` is called with each of the others. `None` if there are none.
fn entries(value: &Text, is_good: impl Fn(&str) -> bool, bad: &mut dyn FnMut(&str)) -> Option<Text> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '/' | ' ');
    let is_read = |entry: &&str| {
        let good = entry.chars().all(is_plain) && is_good(entry);
        if !good {
            bad(entry);
        }
        good
    };
    let good: Vec<&str> = value.split(',').filter(|entry| !entry.trim().is_empty()).filter(is_read).collect();
    (!good.is_empty()).then(|| good.join(",").into())
}

fn is_route(entry: &str) -> bool {
    matches!(Route::read(entry), Ok(Some(_)))
}

fn is_domain(entry: &str) -> bool {
    !entry.contains([':', '/']) && labels(entry.trim()).all(|label| label.len() <= MAX_LABEL_BYTES)
}

/// What the row asks for; `bad` is called with each key and value that is not understood.
fn read(
    row: &view::LogicalRouterPort<'_>,
    port: &RouterPort,
    bad: &mut dyn FnMut(&str, &str),
) -> Option<Advertisement> {
    let configs = row.ipv6_ra_configs();
    let mut found = Advertisement::default();
    let mut has_mode = false;
    for (key, value) in configs.all() {
        let good = match &**key {
            "address_mode" => {
                found.address_mode = value.clone();
                has_mode = matches!(&**value, "slaac" | "dhcpv6_stateful" | "dhcpv6_stateless");
                has_mode
            }
            "mtu" => {
                found.mtu = value.parse().ok().filter(|mtu| *mtu >= MIN_MTU);
                found.mtu.is_some()
            }
            "router_preference" if is_preference(value) => {
                found.preference = Some(value.clone());
                true
            }
            "rdnss" => value.parse().map(|ip| found.rdnss = Some(ip)).is_ok(),
            "dnssl" => {
                found.dnssl = entries(value, is_domain, &mut |entry| bad(key, entry));
                true
            }
            "route_info" => {
                found.route_info = entries(value, is_route, &mut |entry| bad(key, entry));
                true
            }
            "send_periodic" => matches!(&**value, "true" | "false"),
            "max_interval" | "min_interval" => value.parse::<u32>().is_ok(),
            _ => false,
        };
        if !good {
            bad(key, value);
        }
    }
    if !has_mode {
        return None;
    }
    let on_link = port.ipv6.iter().filter(|net| !net.addr().is_unicast_link_local());
    found.prefixes = on_link.map(|net| net.trunc().to_string()).collect();
    Some(found)
}

/// Solicitations are answered.
pub(crate) fn of_port(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<Flow>) {
    let Some((row, mut flows)) = port_flows(ctx, port, out) else { return };
    let Some(lrp) = ctx.row(&ctx.nb.logical_router_port, port) else { return };
    let mut bad = |key: &str, value: &str| {
        ctx.report(format!(
            "Logical_Router_Port {port} ({}), column ipv6_ra_configs: {key} `{value}` is not understood; it is skipped",
            lrp.name()
        ));
    };
    let Some(advertisement) = read(&lrp, row, &mut bad) else { return };
    if advertisement.prefixes.is_empty() || !matches!(row.peer, Peer::Switch(_)) {
        return;
    }
    let (name, mac) = (&row.name, row.mac);
    let mut options = format!("addr_mode = \"{}\", slla = {mac}", advertisement.address_mode);
    options.extend(advertisement.mtu.map(|mtu| format!(", mtu = {mtu}")));
    options.extend(advertisement.preference.map(|value| format!(", router_preference = \"{value}\"")));
    options.extend(advertisement.rdnss.map(|ip| format!(", rdnss = {ip}")));
    options.extend(advertisement.dnssl.map(|value| format!(", dnssl = \"{value}\"")));
    options.extend(advertisement.route_info.map(|value| format!(", route_info = \"{value}\"")));
    options.extend(advertisement.prefixes.iter().map(|prefix| format!(", prefix = {prefix}")));
    let asked = format!("inport == \"{name}\" && ip6.dst == ff02::2");
    flows.add_metered(
        Stage::LR_IN_ND_RA_OPTIONS,
        50,
        format_args!("{asked} && nd_rs"),
        format_args!("reg0[5] = put_nd_ra_opts({options}); next;"),
        Protection::of_router(ctx, &row.router).meter(Protocol::NdRaOpts),
    );
    let Some(link_local) = row.ipv6.iter().find(|net| net.addr().is_unicast_link_local()) else { return };
    flows.add(
        Stage::LR_IN_ND_RA_RESPONSE,
        50,
        format_args!("{asked} && nd_ra && reg0[5]"),
        format_args!(
            "eth.dst = eth.src; eth.src = {mac}; ip6.dst = ip6.src; ip6.src = {}; outport = inport; \
             flags.loopback = 1; output;",
            link_local.addr()
        ),
    );
}

/// Options of Port_Binding by which chassis advertise without being asked.
pub(crate) fn periodic(
    row: &view::LogicalRouterPort<'_>,
    port: &RouterPort,
    options: &mut Vec<(Text, Text)>,
) {
    let configs = row.ipv6_ra_configs();
    let sends = configs.get("send_periodic").is_some_and(|value| &**value == "true");
    if !sends || !matches!(port.peer, Peer::Switch(_)) {
        return;
    }
    let Some(advertisement) = read(row, port, &mut |_, _| {}) else { return };
    let number = |key: &str| configs.get(key).and_then(|value| value.parse::<u32>().ok());
    let (default, least, most) = MAX_INTERVAL_S;
    let max = number("max_interval").unwrap_or(default).clamp(least, most);
    // RFC 4861, section 6.2.1: at most three quarters of the other.
    let min = number("min_interval").unwrap_or(max / 3).min(max * 3 / 4).max(MIN_INTERVAL_S);
    let mut put = |key: &str, value: String| options.push((key.into(), value.into()));
    put("ipv6_ra_send_periodic", "true".to_owned());
    put("ipv6_ra_address_mode", advertisement.address_mode.to_string());
    put("ipv6_ra_max_interval", max.to_string());
    put("ipv6_ra_min_interval", min.to_string());
    put("ipv6_ra_prf", advertisement.preference.as_deref().unwrap_or("MEDIUM").to_owned());
    put("ipv6_ra_src_eth", port.mac.to_string());
    let link_local = port.ipv6.iter().find(|net| net.addr().is_unicast_link_local());
    for (key, value) in [
        ("ipv6_ra_src_addr", link_local.map(|net| net.addr().to_string())),
        ("ipv6_ra_mtu", advertisement.mtu.map(|mtu| mtu.to_string())),
        ("ipv6_ra_rdnss", advertisement.rdnss.map(|ip| ip.to_string())),
        ("ipv6_ra_dnssl", advertisement.dnssl.map(|value| value.to_string())),
        ("ipv6_ra_route_info", advertisement.route_info.map(|value| value.to_string())),
        ("ipv6_ra_prefixes", Some(advertisement.prefixes.join(" "))),
    ] {
        if let Some(value) = value {
            put(key, value);
        }
    }
}
