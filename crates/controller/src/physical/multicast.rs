//! Multicast groups: a copy for each port here (table 46), one for each other chassis that has a port of the group
//! (table 44).

use super::tunnel::{encapsulate, send};
use super::write::*;
use crate::binding::PortKind;
use crate::desired::DesiredFlow;
use crate::port::{Delivery, LocalPort};
use crate::tables::Ctx;
use crate::tunnel::choose;
use kiln_abi::registers::{flags, reg};
use kiln_abi::tables;
use kiln_openflow::Action;
use kiln_types::Uuid;
use std::collections::BTreeSet;

/// What a group comes to on this chassis.
#[derive(Default)]
struct Members {
    /// Copies for ports here.
    local: Vec<Action>,
    /// Copies for ports that every chassis has: whoever sends makes them, nobody else.
    everywhere: Vec<Action>,
    /// Those of them that packets from a hardware VTEP get.
    patches: Vec<Action>,
    chassis: BTreeSet<Uuid>,
}

fn copy(port: &LocalPort, zone: bool, actions: &mut Vec<Action>) {
    if zone {
        load_port_zone(&port.zones, actions);
    }
    actions.push(load(reg::OUTPORT, port.key));
    actions.push(Action::resubmit(tables::CHECK_LOOPBACK));
}

fn members(ctx: &Ctx<'_>, ports: &[Uuid]) -> Members {
    let mut members = Members::default();
    let reaches_all = |port: &LocalPort| crate::port::localnet(ctx, &port.datapath).is_some();
    for port in ports.iter().filter_map(|row| ctx.value(&ctx.ports, row)) {
        match port.delivery {
            // Wherever they lead, or if nothing is plugged in: the copy then ends at the port.
            _ if port.kind == PortKind::Patch => {
                copy(port, false, &mut members.everywhere);
                copy(port, false, &mut members.patches);
            }
            _ if port.kind == PortKind::Localport => copy(port, false, &mut members.everywhere),
            // Those of a gateway router are on one chassis.
            Delivery::Here { .. } | Delivery::Patch { .. } => copy(port, true, &mut members.local),
            Delivery::Gateway { distributed } => {
                if let Some(distributed) = ctx.value(&ctx.ports, &distributed) {
                    copy(distributed, true, &mut members.local);
                }
            }
            // The copy for the localnet port reaches it, on whichever chassis: of a port on several, or with `always_tunnel`.
            Delivery::Tunnel { .. } if reaches_all(port) => {}
            Delivery::Tunnel { chassis } => {
                members.chassis.insert(chassis);
                members.chassis.extend(port.also.iter().copied());
            }
            Delivery::Localnet { .. } | Delivery::Candidates | Delivery::Nowhere => {}
        }
    }
    members
}

/// The flows of one multicast group.
pub(crate) fn group(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<DesiredFlow>) {
    let Some(group) = ctx.row(&ctx.sb.multicast_group, row) else { return };
    let Some(datapath) = ctx.value(&ctx.local_datapaths, &group.datapath()) else { return };
    let (datapath, key) = (datapath.key, group.tunnel_key() as u16);
    let members = members(ctx, group.ports().all());
    let mut flows = Flows { cookie: cookie(*row), out };
    let restore = || load(reg::OUTPORT, key);
    if !members.local.is_empty() {
        let mut actions = members.local;
        actions.push(restore());
        flows.add(tables::LOCAL_OUTPUT, 100, &outport(datapath, key), actions);
    }
    let mut actions = members.everywhere;
    if !actions.is_empty() {
        actions.push(restore());
    }
    tunnel_to(ctx, &members.chassis, (datapath, key), &mut actions);
    if !actions.is_empty() {
        actions.push(Action::resubmit(tables::REMOTE_VTEP_OUTPUT));
        let mut m = outport(datapath, key);
        flag(&mut m, flags::RCV_FROM_RAMP, false);
        flows.add(tables::REMOTE_OUTPUT, 100, &m, actions);
    }
    if !members.patches.is_empty() {
        let mut actions = members.patches;
        actions.extend([restore(), Action::resubmit(tables::REMOTE_VTEP_OUTPUT)]);
        let mut m = outport(datapath, key);
        flag(&mut m, flags::RCV_FROM_RAMP, true);
        flag(&mut m, flags::LOOPBACK, true);
        flows.add(tables::REMOTE_OUTPUT, 120, &m, actions);
    }
}

/// One copy a chassis, from the address that this one prefers; the keys are written once for all tunnels that carry them
/// alike.
fn tunnel_to(ctx: &Ctx<'_>, chassis: &BTreeSet<Uuid>, keys: (u32, u16), actions: &mut Vec<Action>) {
    let chosen = chassis.iter().filter_map(|row| choose(ctx.all(&ctx.tunnels, row), &[], 0));
    let mut chosen: Vec<_> = chosen.collect();
    chosen.sort_by_key(|tunnel| (tunnel.kind, tunnel.is_vtep, tunnel.ofport, tunnel.ends));
    let mut written = None;
    for tunnel in chosen {
        let form = (tunnel.kind, tunnel.is_vtep);
        if written != Some(form) && !encapsulate(ctx, tunnel, keys.0, keys.1, actions) {
            continue;
        }
        written = Some(form);
        send(tunnel, actions);
    }
}
