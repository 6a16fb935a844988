//! Tables 240 and on: the meter of the port that a packet came in by, one for each class of what is handed up.
//!
//! Packets of all ports wait for the controller in one queue of the switch. Without meters ahead of it, a port that floods
//! takes all of that queue. Ports are those of the switch, not of the pipeline: many hosts are behind one router port.

use super::write::Flows;
use crate::binding::PortKind;
use crate::desired::{MeterSpec, Named};
use crate::port::LocalPort;
use crate::settings::Settings;
use crate::tables::{Ctx, Db};
use kiln_abi::punts::{LOOPED_BIT, PuntClass};
use kiln_openflow::msg::{Meter, MeterBand};
use kiln_openflow::{Action, Field, MatchBuilder};
use kiln_responder::{Class, Level, MAX_NEXT_HOPS};
use kiln_types::Uuid;

/// Ports that have meters of their own; more than that share them, so that there are never more than half of the meters that
/// Open vSwitch has.
const MAX_PORTS: u32 = 4096;
/// The largest burst of one interface: a fifth of what Open vSwitch queues for all of them, 1,024 packets.
const MAX_BURST: u32 = 200;
/// The same of a port with a whole network behind it, and of answers to questions: so many next hops are asked for at a time, all
/// of which may answer at once.
const MAX_LARGE_BURST: u32 = MAX_NEXT_HOPS as u32;
/// The first of their numbers; Open vSwitch has 65,536, and other meters are numbered from 1 on.
const FIRST_NUMBER: u32 = 32_769;
/// Where names of these meters begin.
const PREFIX: &str = "__punt: ";

/// The class whose packets pass a meter; `None` if it is none of these.
pub(crate) fn class(name: &str) -> Option<PuntClass> {
    let class = name.strip_prefix(PREFIX)?.split(' ').next()?;
    PuntClass::ALL.into_iter().find(|one| one.name() == class)
}

/// The ports whose packets pass a meter of this name, in words: logical ones, or the switch's own for what has no such port.
pub(crate) fn ports(db: &Db, name: &str) -> String {
    let mut words = name.strip_prefix(PREFIX).unwrap_or(name).split(' ').skip(1);
    let (kind, number) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let of_meter = |port: &&LocalPort| {
        Source::of_port(port)
            .is_some_and(|source| source.kind() == kind && Ok(source.ofport % MAX_PORTS) == number.parse())
    };
    let mut names: Vec<&str> =
        db.ports.iter().map(|(_, port)| port).filter(of_meter).map(|port| &*port.name).collect();
    names.sort_unstable();
    if names.is_empty() { format!("OpenFlow port {number}") } else { names.join(", ") }
}

/// A port of the switch that packets come in by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Source {
    ofport: u32,
    /// A network is behind it, or other chassis, not one interface.
    is_network: bool,
}

impl Source {
    fn of_port(port: &LocalPort) -> Option<Source> {
        Some(Source { ofport: port.ofport()?, is_network: port.kind == PortKind::Localnet })
    }

    const fn kind(self) -> &'static str {
        if self.is_network { "network" } else { "port" }
    }

    fn name(self, class: PuntClass) -> Box<str> {
        format!("{PREFIX}{} {} {}", class.name(), self.kind(), self.ofport % MAX_PORTS).into()
    }

    /// Its number, which another daemon has for it too: many of these meters do the same, and a restart must not mix them up.
    const fn number(self, class: PuntClass) -> u32 {
        FIRST_NUMBER + class as u32 * MAX_PORTS + self.ofport % MAX_PORTS
    }

    /// What the budgets let pass of the port, if they bound it; a network has what a router has.
    fn spec(self, settings: &Settings, class: PuntClass) -> Option<MeterSpec> {
        let classes: &[Class] = match class {
            PuntClass::Neighbor => &[Class::Neighbor],
            PuntClass::Error => &[Class::Error, Class::Unreachable],
            PuntClass::Reset => &[Class::Reset, Class::Unreachable],
            PuntClass::Fragment => &[Class::Fragment],
            PuntClass::RouterAdvert => &[Class::RouterAdvert],
            PuntClass::Dhcp => &[Class::Dhcp],
            PuntClass::Dns => &[Class::Dns],
            PuntClass::Rest => &[Class::Rest],
        };
        let level = if self.is_network { Level::Router } else { Level::Port };
        let is_large = self.is_network || class == PuntClass::Neighbor;
        let max_burst = if is_large { MAX_LARGE_BURST } else { MAX_BURST };
        let limits = classes.iter().filter_map(|class| settings.limits.of(*class).at(level));
        let rate = limits.map(|limit| limit.rate_pps).fold(0, u32::saturating_add);
        let bursts = classes.iter().filter_map(|class| settings.limits.of(*class).at(level));
        let burst = bursts.map(|limit| limit.burst).fold(0, u32::saturating_add).min(max_burst);
        let band = MeterBand { typ: MeterBand::DROP, rate, burst, prec_level: 0 };
        (rate < u32::MAX)
            .then(|| MeterSpec { flags: Meter::PKTPS | Meter::BURST | Meter::STATS, bands: vec![band] })
    }
}

fn want(ctx: &Ctx<'_>, source: Source, out: &mut Vec<Named<MeterSpec>>) {
    let has_meters = ctx.value(&ctx.facts, &()).is_some_and(|facts| facts.meters);
    let Some(settings) = ctx.value(&ctx.settings, &()).filter(|_| has_meters) else { return };
    out.extend(PuntClass::ALL.into_iter().filter_map(|class| {
        let spec = source.spec(settings, class)?;
        Some(Named { name: source.name(class), spec, number: Some(source.number(class)) })
    }));
}

/// The meters of a logical port's interface.
pub(crate) fn of_port(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<Named<MeterSpec>>) {
    if let Some(source) = ctx.value(&ctx.ports, row).and_then(Source::of_port) {
        want(ctx, source, out);
    }
}

/// Those of the tunnels to a chassis.
pub(crate) fn of_tunnels(ctx: &Ctx<'_>, chassis: &Uuid, out: &mut Vec<Named<MeterSpec>>) {
    for tunnel in ctx.all(&ctx.tunnels, chassis) {
        want(ctx, Source { ofport: tunnel.ofport, is_network: true }, out);
    }
}

fn flows(ctx: &Ctx<'_>, source: Source, flows: &mut Flows<'_>) {
    for class in PuntClass::ALL {
        let Some(id) = ctx.value(&ctx.meter_ids, &source.name(class)) else { continue };
        // The same where the packet may go back to where it came from.
        for in_port in [source.ofport, source.ofport | 1 << LOOPED_BIT] {
            let mut m = MatchBuilder::default();
            m.exact(Field::IN_PORT_OXM, in_port);
            flows.add(class.table(), 100, &m, vec![Action::Meter(*id)]);
        }
    }
}

/// The flows that lead to the meters of a logical port's interface.
pub(crate) fn flows_of_port(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<crate::desired::DesiredFlow>) {
    if let Some(source) = ctx.value(&ctx.ports, row).and_then(Source::of_port) {
        flows(ctx, source, &mut Flows { cookie: 0, out });
    }
}

/// Those that lead to the meters of the tunnels to a chassis.
pub(crate) fn flows_of_tunnels(ctx: &Ctx<'_>, chassis: &Uuid, out: &mut Vec<crate::desired::DesiredFlow>) {
    for tunnel in ctx.all(&ctx.tunnels, chassis) {
        flows(ctx, Source { ofport: tunnel.ofport, is_network: true }, &mut Flows { cookie: 0, out });
    }
}
