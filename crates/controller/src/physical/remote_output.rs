//! Table 44: packets for ports of other chassis are encapsulated and sent there.

use super::multichassis;
use super::tunnel::{encapsulate, send};
use super::write::*;
use crate::binding::PortKind;
use crate::gateway;
use crate::port::{Delivery, LocalPort};
use crate::tables::Ctx;
use crate::tunnel::{Tunnel, choose};
use kiln_abi::tables;
use kiln_openflow::Action;
use kiln_openflow::action::Bundle;
use kiln_types::{OfPort, Uuid};

pub(crate) fn port(ctx: &Ctx<'_>, row: &Uuid, port: &LocalPort, flows: &mut Flows<'_>) {
    if port.kind == PortKind::Localport && port.ofport().is_some() {
        // What a localport says never leaves the chassis.
        let m = inport(port.datapath_key, port.key);
        return flows.add(tables::REMOTE_OUTPUT, 150, &m, vec![Action::resubmit(tables::LOCAL_OUTPUT)]);
    }
    match port.delivery {
        Delivery::Tunnel { chassis } => {
            let all: Vec<Uuid> = std::iter::once(chassis).chain(port.also.iter().copied()).collect();
            tunnelled(ctx, row, port, &all, flows);
        }
        Delivery::Here { .. } if !port.also.is_empty() => tunnelled(ctx, row, port, &port.also, flows),
        Delivery::Localnet { .. } => multichassis::enforced(ctx, row, port, flows),
        Delivery::Candidates => first_that_is_up(ctx, row, port, flows),
        _ => {}
    }
}

/// One copy for each of the chassis.
fn tunnelled(ctx: &Ctx<'_>, row: &Uuid, port: &LocalPort, chassis: &[Uuid], flows: &mut Flows<'_>) {
    let Some(binding) = ctx.row(&ctx.sb.port_binding, row) else { return };
    let additional = binding.additional_encap().all().iter().copied();
    let encaps: Vec<Uuid> = binding.encap().into_iter().chain(additional).collect();
    for local in 0..local_addresses(ctx) {
        let mut actions = Vec::new();
        let mut next = None;
        for tunnel in chassis.iter().filter_map(|row| choose(ctx.all(&ctx.tunnels, row), &encaps, local)) {
            if encapsulate(ctx, tunnel, port.datapath_key, port.key, &mut actions) {
                send(tunnel, &mut actions);
                let is_shared = tunnel.ends.is_some();
                next = Some(if is_shared { tables::LOCAL_OUTPUT } else { tables::REMOTE_VTEP_OUTPUT });
            }
        }
        let Some(next) = next else { continue };
        actions.push(Action::resubmit(next));
        let mut m = outport(port.datapath_key, port.key);
        m.set(ENCAP.load(local.into()));
        flows.add(tables::REMOTE_OUTPUT, 100, &m, actions);
    }
}

/// The switch itself sends to the best candidate whose tunnel is up.
fn first_that_is_up(ctx: &Ctx<'_>, row: &Uuid, port: &LocalPort, flows: &mut Flows<'_>) {
    let order = gateway::order(ctx, row);
    let chosen = order.iter().filter_map(|chassis| choose(ctx.all(&ctx.tunnels, chassis), &[], 0));
    let chosen: Vec<&Tunnel> = chosen.collect();
    let Some(best) = chosen.first() else { return };
    // The header is written once, so all must carry keys alike; there is no BFD on ports that lead to every chassis.
    let alike = |tunnel: &&&Tunnel| tunnel.kind == best.kind && tunnel.is_vtep == best.is_vtep;
    let mut actions = Vec::new();
    if !encapsulate(ctx, best, port.datapath_key, port.key, &mut actions) {
        return;
    }
    if best.ends.is_some() {
        send(best, &mut actions);
    } else {
        let members = chosen.iter().filter(alike).map(|tunnel| OfPort(tunnel.ofport)).collect();
        let active_backup = Bundle { fields: 0, basis: 0, algorithm: 0, members, dst: None };
        actions.push(Action::Bundle(Box::new(active_backup)));
    }
    flows.add(tables::REMOTE_OUTPUT, 100, &outport(port.datapath_key, port.key), actions);
}

/// How many addresses this chassis sends from.
fn local_addresses(ctx: &Ctx<'_>) -> u16 {
    ctx.value(&ctx.settings, &()).map_or(0, |settings| settings.encap_ips.len() as u16)
}
