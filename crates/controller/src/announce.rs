//! Which addresses this chassis announces on physical networks: those of its own ports on switches with a localnet port, and
//! what Port_Binding lists in `nat_addresses` for ports of gateway routers.

use crate::binding::{self, PortKind};
use crate::tables::Ctx;
use kiln_ovsdb::Text;
use kiln_responder::Announcement;
use kiln_schema_ovn::sb::view;
use kiln_types::{DatapathKey, EthAddr, IpNet, PortKey, Uuid, eui64_link_local};
use std::net::IpAddr;

/// An Ethernet address and the IP addresses there.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Addresses<'a> {
    mac: EthAddr,
    ips: Vec<IpAddr>,
    /// The port whose chassis announces them, if it is not the one that lists them.
    with: Option<&'a str>,
}

/// Reads `MAC [IP[/LEN]…] [is_chassis_resident("PORT")]`.
fn parse(text: &str) -> Option<Addresses<'_>> {
    let mut words = text.split_ascii_whitespace();
    let mac = words.next()?.parse().ok()?;
    let mut found = Addresses { mac, ips: Vec::new(), with: None };
    for word in words {
        if let Some(port) = word.strip_prefix("is_chassis_resident(\"") {
            found.with = Some(port.strip_suffix("\")")?);
        } else if let Ok(ip) = word.parse() {
            found.ips.push(ip);
        } else {
            found.ips.push(word.parse::<IpNet>().ok()?.addr());
        }
    }
    Some(found)
}

/// What is announced for a port.
pub(crate) fn of_port(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<Announcement>) {
    let Some(residence) = ctx.value(&ctx.residence, row) else { return };
    let is_own = residence.claims && binding::is_bound_here(ctx, row);
    if !matches!(residence.kind, PortKind::Vif | PortKind::L3gateway if is_own)
        && residence.kind != PortKind::Patch
    {
        return;
    }
    let Some(port) = ctx.row(&ctx.sb.port_binding, row) else { return };
    let Some(here) = ctx.value(&ctx.ports, row) else { return };
    if is_quiet(ctx, row, &port) || !has_localnet(ctx, &port.datapath()) {
        return;
    }
    let place = (DatapathKey(here.datapath_key), PortKey(here.key));
    if residence.kind == PortKind::Vif {
        of_vif(&port, place, out);
    } else {
        listed(ctx, row, &port, place, out);
    }
}

/// Whether the operator wants no announcements, from the port or from the router behind it.
fn is_quiet(ctx: &Ctx<'_>, row: &Uuid, port: &view::PortBinding<'_>) -> bool {
    let is_true = |text: Option<&Text>| text.is_some_and(|text| &**text == "true");
    if is_true(port.options().get("disable_garp_rarp")) {
        return true;
    }
    let peer = binding::peer(ctx, row).and_then(|peer| ctx.row(&ctx.sb.port_binding, &peer));
    let router = peer.and_then(|peer| ctx.row(&ctx.sb.datapath_binding, &peer.datapath()));
    router.is_some_and(|router| is_true(router.external_ids().get("disable_garp_rarp")))
}

/// Whether the switch reaches a physical network from here.
fn has_localnet(ctx: &Ctx<'_>, datapath: &Uuid) -> bool {
    let plugged =
        |row: &Uuid| ctx.value(&ctx.residence, row).is_some_and(|localnet| localnet.ofport.is_some());
    ctx.all(&ctx.localnet_of, datapath).iter().any(plugged)
}

type Place = (DatapathKey, PortKey);

fn announce(place: Place, mac: EthAddr, ip: Option<IpAddr>, router: bool) -> Announcement {
    Announcement { datapath: place.0, port: place.1, mac, ip, router }
}

/// A port's own addresses: those that it lists first, of the first family one.
fn of_vif(port: &view::PortBinding<'_>, place: Place, out: &mut Vec<Announcement>) {
    let Some(addresses) = port.mac().all().iter().find_map(|text| parse(text)) else { return };
    let first_v4 = addresses.ips.iter().find(|ip| ip.is_ipv4()).copied();
    out.push(announce(place, addresses.mac, first_v4, false));
    let v6 = addresses.ips.iter().filter(|ip| ip.is_ipv6());
    out.extend(v6.map(|ip| announce(place, addresses.mac, Some(*ip), false)));
}

/// What the port lists, and with the router's own addresses those of the other family.
fn listed(
    ctx: &Ctx<'_>,
    row: &Uuid,
    port: &view::PortBinding<'_>,
    place: Place,
    out: &mut Vec<Announcement>,
) {
    for text in port.nat_addresses().all() {
        let Some(addresses) = parse(text) else {
            ctx.report(format!("Port_Binding {row}: column nat_addresses: `{text}` lists no addresses"));
            continue;
        };
        // A port that is on every chassis has to say which of them announces.
        let here = match addresses.with {
            Some(name) => is_resident(ctx, &name.into()),
            None => port.r#type().as_ref() != "patch",
        };
        if !here {
            continue;
        }
        let mac = addresses.mac;
        let v4: Vec<IpAddr> = addresses.ips.iter().filter(|ip| ip.is_ipv4()).copied().collect();
        if v4.is_empty() {
            out.push(announce(place, mac, None, true));
        }
        let own_v6 = router_addresses(ctx, row, mac, &v4);
        let v6 = addresses.ips.iter().filter(|ip| ip.is_ipv6()).copied();
        out.extend(v4.into_iter().chain(v6).chain(own_v6).map(|ip| announce(place, mac, Some(ip), true)));
    }
    out.sort_unstable();
    out.dedup();
}

fn is_resident(ctx: &Ctx<'_>, name: &Text) -> bool {
    let rows = ctx.all(&ctx.port_named, name);
    rows.first().and_then(|row| ctx.value(&ctx.residence, row)).is_some_and(|residence| residence.claims)
}

/// The IPv6 addresses of the router port behind `row`, if `v4` are that port's own: northd lists IPv4 alone.
fn router_addresses(ctx: &Ctx<'_>, row: &Uuid, mac: EthAddr, v4: &[IpAddr]) -> Vec<IpAddr> {
    let peer = binding::peer(ctx, row).and_then(|peer| ctx.row(&ctx.sb.port_binding, &peer));
    let Some(own) = peer.and_then(|peer| parse(peer.mac().all().first()?)) else { return Vec::new() };
    if own.mac != mac || !own.ips.iter().filter(|ip| ip.is_ipv4()).eq(v4) {
        return Vec::new();
    }
    let link_local = IpAddr::from(eui64_link_local(mac));
    own.ips.into_iter().filter(|ip| ip.is_ipv6() && *ip != link_local).chain([link_local]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_as_port_bindings_write_them() {
        let found = parse("0e:00:00:00:02:01 192.168.0.1/24 fd02::1").unwrap();
        assert_eq!(found.mac.to_string(), "0e:00:00:00:02:01");
        assert_eq!(found.ips, ["192.168.0.1".parse::<IpAddr>().unwrap(), "fd02::1".parse().unwrap()]);
        assert_eq!(found.with, None);
        let with = parse("0e:00:00:00:02:01 10.0.0.1 is_chassis_resident(\"cr-p\")").unwrap();
        assert_eq!((with.ips.len(), with.with), (1, Some("cr-p")));
        for bad in
            ["", "unknown", "router", "0e:00:00:00:02:01 here", "0e:00:00:00:02:01 is_chassis_resident(\"x"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
