//! Stages `lr_in_admission`, `lr_in_ip_input`, `lr_in_chk_pkt_len` and `lr_in_larger_pkts`: packets larger than a link takes
//! (`Logical_Router_Port.options:gateway_mtu`), and what their senders are told (RFC 1191, RFC 8201).

use super::ip_input::set;
use super::{port_flows, unreachable};
use crate::copp::Protection;
use crate::features;
use crate::flow::{Flow, Flows};
use crate::l3_defaults::{self, option};
use crate::matches;
use crate::tables::{Ctx, RouterPort};
use kiln_abi::options::chassis_feature as feature;
use kiln_abi::stages::Stage;
use kiln_types::Uuid;
use std::collections::BTreeSet;
use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

/// Bytes of an Ethernet header, which the MTU does not count and the length of a packet does.
const ETH_LEN: u16 = 14;
/// The largest MTU that can be measured: packets' lengths have 16 bits.
const MTU_MAX: u16 = u16::MAX - ETH_LEN;
/// The smallest MTU that IPv4 packets are cut for (RFC 791, section 3.2).
const MTU_MIN: u16 = 68;

/// What a port's link takes.
pub(super) struct Mtu {
    bytes: u16,
    /// Packets that nobody measures.
    bypass: String,
    /// Whether IPv4 packets that may be cut are cut (`fragment`), which all chassis have to know.
    fragments: bool,
}

impl Mtu {
    /// That of a router port, if it has one.
    pub(super) fn of(ctx: &Ctx<'_>, port: &Uuid) -> Option<Mtu> {
        let row = ctx.row(&ctx.nb.logical_router_port, port)?;
        let text = row.options().get("gateway_mtu")?.clone();
        let report = |what: &str| {
            ctx.report(format!("Logical_Router_Port {port} ({}), column options: {what}", row.name()));
        };
        let Some(bytes) = text.parse().ok().filter(|bytes| (1..=MTU_MAX).contains(bytes)) else {
            report(&format!("gateway_mtu `{text}` is no number from 1 to {MTU_MAX}; it is skipped"));
            return None;
        };
        // ARP has to get through whatever the link takes.
        let mut bypass = "arp".to_owned();
        if let Some(more) = row.options().get("gateway_mtu_bypass").filter(|more| !more.is_empty()) {
            match matches::check(ctx, more) {
                Ok(()) => bypass = format!("arp || {more}"),
                Err(problem) => report(&format!("gateway_mtu_bypass `{more}`: {problem}; it is skipped")),
            }
        }
        let fragments = bytes >= MTU_MIN
            && l3_defaults::port_option(ctx, port, option::FRAGMENT)
            && features::all_have(ctx, feature::FRAGMENT);
        Some(Mtu { bytes, bypass, fragments })
    }

    /// The actions that cut an IPv4 packet and do `then` with its pieces, and `error` with what its sender is told if that must not be.
    fn cut(&self, error: &str, then: fmt::Arguments<'_>) -> String {
        format!("fragment({}) {{ {error} }}; {then}", self.bytes)
    }

    /// The action that measures a packet.
    fn measure(&self) -> String {
        format!("reg9[1] = check_pkt_larger({});", self.bytes + ETH_LEN)
    }
}

/// Frames that a port admits, by `matches`: measured, if its link has an MTU.
pub(super) fn admit(mtu: Option<&Mtu>, matches: &str, accept: &str, flows: &mut Flows<'_>) {
    const STAGE: Stage = Stage::LR_IN_ADMISSION;
    let Some(mtu) = mtu else {
        flows.add(STAGE, 50, matches, accept);
        return;
    };
    flows.add(STAGE, 50, matches, format_args!("{} {accept}", mtu.measure()));
    flows.add(STAGE, 55, format_args!("{matches} && ({})", mtu.bypass), accept);
}

/// Packets that a port's link takes, on their way out of it, and the larger ones, by whatever port they came in. Packets
/// that came in larger than their own link takes are larger as well.
pub(crate) fn of_port(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<Flow>) {
    let Some((row, mut flows)) = port_flows(ctx, port, out) else { return };
    let Some(mtu) = Mtu::of(ctx, port) else { return };
    let (name, protection) = (&row.name, Protection::of_router(ctx, &row.router));
    let saves = features::all_have(ctx, feature::CT_STATE_SAVE);
    let save = if saves { "reg4[0..7] = ct_state_save(); " } else { "" };
    let stage = Stage::LR_IN_CHK_PKT_LEN;
    let leaving = format!("outport == \"{name}\"");
    flows.add(stage, 50, &leaving, format_args!("{} {save}next;", mtu.measure()));
    flows.add(stage, 55, format_args!("{leaving} && ({})", mtu.bypass), format_args!("{save}next;"));
    for source in sources(row) {
        let error = Error { mtu: &mtu, inport: row, source };
        flows.add_metered(
            Stage::LR_IN_IP_INPUT,
            150,
            format_args!("inport == \"{name}\" && {}", error.matches()),
            error.actions("", format_args!("{}", anew())),
            protection.error_meter(source.is_ipv4()),
        );
    }
    // An answer to a connection whose destination was translated: the error has to look as if it came from there.
    let translated = if saves { "reg4[5] && reg4[3] && reg4[7]" } else { "ct.trk && ct.rpl && ct.dnat" };
    let ports = ports(ctx, &row.router);
    for (_, inport) in ports.iter().filter(|(other, _)| other != port) {
        for source in sources(inport) {
            let error = Error { mtu: &mtu, inport, source };
            let larger = format!("inport == \"{}\" && {leaving} && {}", inport.name, error.matches());
            let translated = format!("{larger} && {translated}");
            let mut say = |priority, matches: &str, first: &str| {
                let actions = error.actions(first, format_args!("next;"));
                let meter = protection.error_meter(source.is_ipv4());
                flows.add_metered(Stage::LR_IN_LARGER_PKTS, priority, matches, actions, meter);
            };
            say(150, &larger, "");
            say(160, &translated, "flags.icmp_snat = 1; ");
        }
    }
    let ports: Vec<&RouterPort> = ports.into_iter().map(|(_, port)| port).collect();
    if mtu.fragments {
        meant_for_itself(row, &ports, &mut flows);
    }
    if unreachable::is_told(ctx, &row.router) {
        meant_for_all(ctx, &mtu, row, &ports, &mut flows);
    }
    if saves {
        flows.add(Stage::LR_OUT_POST_SNAT, 100, "icmp && flags.icmp_snat == 1", "ct_commit_nat(snat);");
    }
}

/// The ports of a router, by their rows.
fn ports<'r>(ctx: &'r Ctx<'_>, router: &Uuid) -> Vec<(Uuid, &'r RouterPort)> {
    let Some(router) = ctx.row(&ctx.nb.logical_router, router) else { return Vec::new() };
    let all = router.ports().all().iter();
    all.filter_map(|port| Some((*port, ctx.value(&ctx.router_ports, port)?))).collect()
}

/// The actions that let a packet in anew, as one that is not too large.
fn anew() -> String {
    format!("reg9[1] = 0; next({});", Stage::LR_IN_IP_INPUT.number)
}

/// IPv4 packets to any of these addresses that were found too large, and are no errors themselves.
fn larger(to: impl Iterator<Item = Ipv4Addr>) -> Option<String> {
    let to: BTreeSet<Ipv4Addr> = to.collect();
    (!to.is_empty()).then(|| format!("ip4.dst == {} && reg9[1] && reg9[0] == 0", set(to.iter())))
}

/// Packets that came in by a port, larger than its link takes, and go no further than the router: it puts no pieces together, so
/// that cut ones would be lost, and there is no other link that they might be too large for. Stock refuses them.
fn meant_for_itself(row: &RouterPort, ports: &[&RouterPort], flows: &mut Flows<'_>) {
    let own = ports.iter().flat_map(|port| port.ipv4.iter().map(|net| net.addr()));
    if let Some(larger) = larger(own) {
        let matches = format!("inport == \"{}\" && {larger}", row.name);
        flows.add(Stage::LR_IN_IP_INPUT, 152, matches, anew());
    }
}

/// RFC 1122, section 3.2.2: nobody is told that a packet to all hosts of a network is too large. Stock tells of it, and so does a
/// router that tells no more than stock.
fn meant_for_all(ctx: &Ctx<'_>, mtu: &Mtu, row: &RouterPort, ports: &[&RouterPort], flows: &mut Flows<'_>) {
    let name = &row.name;
    let Some(larger) = larger(ports.iter().flat_map(|port| port.all_hosts())) else { return };
    let mut quietly = |stage, priority, matches: String, then: &str| {
        if mtu.fragments {
            let meter = Protection::of_router(ctx, &row.router).error_meter(true);
            flows.add_metered(stage, priority, matches, mtu.cut("drop;", format_args!("{then}")), meter);
        } else {
            flows.drop(ctx, stage, priority, matches);
        }
    };
    quietly(Stage::LR_IN_IP_INPUT, 151, format!("inport == \"{name}\" && {larger}"), &anew());
    quietly(Stage::LR_IN_LARGER_PKTS, 170, format!("outport == \"{name}\" && {larger}"), "next;");
}

/// The addresses that a port speaks with about packets that are too large: the first of each family.
fn sources(row: &RouterPort) -> impl Iterator<Item = IpAddr> {
    let v4 = row.ipv4.first().map(|net| net.addr().into());
    let v6 = row.ipv6.first().map(|net| net.addr().into());
    v4.into_iter().chain(v6)
}

/// What is said of packets that came in by a port and are larger than an MTU.
struct Error<'a> {
    mtu: &'a Mtu,
    inport: &'a RouterPort,
    source: IpAddr,
}

impl Error<'_> {
    const fn family(&self) -> u8 {
        if self.source.is_ipv4() { 4 } else { 6 }
    }

    /// Such packets, unless they are errors themselves.
    fn matches(&self) -> String {
        format!("ip{} && reg9[1] && reg9[0] == 0", self.family())
    }

    /// RFC 792, fragmentation needed; RFC 4443, section 3.2: the error goes through the whole pipeline, as if it came in by
    /// the port that the packet came in by, and does `first` before. The pieces of a packet that may be cut do `then`.
    fn actions(&self, first: &str, then: fmt::Arguments<'_>) -> String {
        let (of, mtu, source, mac) = (self.family(), self.mtu.bytes, self.source, self.inport.mac);
        let (kind, code) = if source.is_ipv4() { (3, 4) } else { (2, 0) };
        let error = format!(
            "{first}reg9[0] = 1; reg9[1] = 0; eth.dst = {mac}; ip{of}.dst = ip{of}.src; ip{of}.src = {source}; \
             ip.ttl = 255; icmp{of}.type = {kind}; icmp{of}.code = {code}; icmp{of}.frag_mtu = {mtu}; \
             next(pipeline=ingress, table=0);"
        );
        if source.is_ipv4() && self.mtu.fragments {
            self.mtu.cut(&error, then)
        } else {
            format!("icmp{of}_error {{ {error} }};")
        }
    }
}
