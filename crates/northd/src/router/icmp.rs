//! Stage `lr_in_ip_input`, what the router says about packets: echo replies, time exceeded, and that it serves nothing
//! on its own addresses.

use super::facing::{Facing, facing};
use super::ip_input::{STAGE, set};
use super::{port_flows, unreachable};
use crate::copp::{Protection, Protocol};
use crate::flow::{Flow, Flows};
use crate::tables::{Ctx, RouterPort};
use kiln_abi::stages::Stage;
use kiln_types::Uuid;
use std::net::IpAddr;

pub(crate) fn of_port(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<Flow>) {
    let Some((row, mut flows)) = port_flows(ctx, port, out) else { return };
    let protection = Protection::of_router(ctx, &row.router);
    echo(row, &mut flows);
    let (place, is_told) = (Refusal::of(ctx, row), unreachable::is_told(ctx, &row.router));
    let (stage, above) = place.map_or((STAGE, 0), |place| (place.stage(), place.above()));
    if let Some(place) = place {
        refuse(row, place, &protection, &mut flows);
    }
    for (family, own) in to_itself(row) {
        if is_told && place.is_some() {
            // RFC 1122, section 3.2.2, and RFC 4443, section 2.4 (b): ICMP is served, and its messages that nobody knows, or that
            // nobody asked for, are discarded without a word. Stock calls the protocol unreachable, and so does a router that
            // tells no more than stock.
            flows.drop(ctx, stage, above + 75, format_args!("{own} && icmp{family}"));
        }
        flows.drop(ctx, stage, above + 60, &own);
        if place == Some(Refusal::Untranslated) {
            // RFC 1812, section 5.3.1: packets that have arrived do not expire. They are refused behind time exceeded.
            flows.add(STAGE, 33, format_args!("{own} && ip.ttl == {{0, 1}}"), "next;");
        }
    }
    time_exceeded(row, &protection, &mut flows);
    if is_told {
        silent_to_all(ctx, row, &mut flows);
    }
}

/// Packets for a port's own addresses, by family.
fn to_itself(row: &RouterPort) -> impl Iterator<Item = (u8, String)> {
    let v4 = (!row.ipv4.is_empty()).then(|| (4, set(row.ipv4.iter().map(|net| net.addr()))));
    let v6 = (6, set(row.ipv6.iter().map(|net| net.addr())));
    v4.into_iter().chain([v6]).map(|(family, own)| (family, format!("ip{family}.dst == {own}")))
}

/// RFC 792, echo; RFC 4443, section 4.2.
fn echo(row: &RouterPort, flows: &mut Flows<'_>) {
    if !row.ipv4.is_empty() {
        flows.add(
            STAGE,
            90,
            format_args!(
                "ip4.dst == {} && icmp4.type == 8 && icmp4.code == 0",
                set(row.ipv4.iter().map(|net| net.addr()))
            ),
            "ip4.dst <-> ip4.src; ip.ttl = 255; icmp4.type = 0; flags.loopback = 1; next;",
        );
    }
    flows.add(
        STAGE,
        90,
        format_args!(
            "ip6.dst == {} && icmp6.type == 128 && icmp6.code == 0",
            set(row.ipv6.iter().map(|net| net.addr()))
        ),
        "ip6.dst <-> ip6.src; ip.ttl = 255; icmp6.type = 129; flags.loopback = 1; next;",
    );
}

/// Where a router says that nothing listens on its addresses.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Refusal {
    /// As packets come in.
    AtOnce,
    /// Before they would be routed: on a gateway router, packets to its addresses may be answers to what it translated, and
    /// only those that no translation took away are for itself. Stock says nothing there.
    Untranslated,
}

impl Refusal {
    /// That of a port's router; `None` if it says nothing.
    fn of(ctx: &Ctx<'_>, row: &RouterPort) -> Option<Refusal> {
        if row.gateway.is_none() {
            Some(Refusal::AtOnce)
        } else if unreachable::is_told(ctx, &row.router) {
            Some(Refusal::Untranslated)
        } else {
            None
        }
    }

    const fn stage(self) -> Stage {
        match self {
            Refusal::AtOnce => STAGE,
            Refusal::Untranslated => Stage::LR_IN_IP_ROUTING,
        }
    }

    /// What is added to priorities: among routes, they come before all of them.
    const fn above(self) -> u16 {
        match self {
            Refusal::AtOnce => 0,
            Refusal::Untranslated => 10_400,
        }
    }

    /// Where an answer goes on.
    fn then(self) -> String {
        match self {
            Refusal::AtOnce => "next;".to_owned(),
            Refusal::Untranslated => format!("next({});", Stage::LR_IN_IP_ROUTING.number),
        }
    }
}

/// RFC 1122, section 3.2.2.1: nothing listens on a router's addresses.
fn refuse(row: &RouterPort, place: Refusal, protection: &Protection<'_, '_>, flows: &mut Flows<'_>) {
    let (stage, above, then) = (place.stage(), place.above(), place.then());
    let v4 = row.ipv4.iter().map(|net| ("4", net.addr().to_string(), 3, 3, 2));
    let v6 = row.ipv6.iter().map(|net| ("6", net.addr().to_string(), 1, 4, 3));
    for (family, ip, kind, port_code, protocol_code) in v4.chain(v6) {
        let meant = format!("ip{family} && ip{family}.dst == {ip} && !ip.later_frag");
        let back = format!("eth.dst <-> eth.src; ip{family}.dst <-> ip{family}.src;");
        for (protocol, reset) in [("tcp", "tcp_reset"), ("sctp", "sctp_abort")] {
            flows.add_metered(
                stage,
                above + 80,
                format_args!("{meant} && {protocol}"),
                format_args!("{reset} {{ {back} {then} }};"),
                protection.meter(Protocol::TcpReset),
            );
        }
        let mut say = |priority, protocol: &str, code: u8| {
            flows.add_metered(
                stage,
                above + priority,
                format_args!("{meant}{protocol}"),
                format_args!(
                    "icmp{family} {{ {back} ip.ttl = 255; icmp{family}.type = {kind}; icmp{family}.code = {code}; \
                     {then} }};"
                ),
                protection.error_meter(family == "4"),
            );
        };
        say(80, " && udp", port_code);
        say(70, "", protocol_code);
    }
}

/// RFC 1122, section 3.2.2, and RFC 1812, section 4.3.2.7: no errors about packets to all hosts of a network. Stock tells of them, and
/// so does a router that tells no more than stock.
fn silent_to_all(ctx: &Ctx<'_>, row: &RouterPort, flows: &mut Flows<'_>) {
    let to_all: Vec<_> = row.all_hosts().collect();
    if !to_all.is_empty() {
        let matches = format!("ip4.dst == {} && ip.ttl == {{0, 1}}", set(to_all.into_iter()));
        flows.drop(ctx, STAGE, 32, matches);
    }
}

/// RFC 792, time exceeded; RFC 4443, section 3.3: from the address that faces the sender, where there is one.
fn time_exceeded(row: &RouterPort, protection: &Protection<'_, '_>, flows: &mut Flows<'_>) {
    let name = &row.name;
    for Facing { source, network } in facing(row) {
        let (family, what) = match source {
            IpAddr::V4(_) => ("4", "icmp4.type = 11; icmp4.code = 0;"),
            IpAddr::V6(_) => ("6", "icmp6.type = 3; icmp6.code = 0;"),
        };
        let addresses = format!("ip{family}.dst = ip{family}.src; ip{family}.src = {source}; ip.ttl = 254;");
        // Stock names what happened first for one family and last for the other; a packet does not care.
        let told = match source {
            IpAddr::V4(_) => format!("{what} {addresses}"),
            IpAddr::V6(_) => format!("{addresses} {what}"),
        };
        let (priority, from) = match network {
            Some(network) => (31, format!(" && ip{family}.src == {network}")),
            None => (30, String::new()),
        };
        flows.add_metered(
            STAGE,
            priority,
            format_args!("inport == \"{name}\" && ip{family}{from} && ip.ttl == {{0, 1}} && !ip.later_frag"),
            format_args!(
                "icmp{family} {{ eth.dst <-> eth.src; {told} outport = \"{name}\"; flags.loopback = 1; output; }};"
            ),
            protection.error_meter(source.is_ipv4()),
        );
    }
}
