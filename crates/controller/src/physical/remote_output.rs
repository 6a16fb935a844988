//! Table 44: packets for ports of other chassis are encapsulated and sent there.

use super::write::*;
use crate::binding::PortKind;
use crate::port::{Delivery, LocalPort};
use crate::settings::EncapKind;
use crate::tables::Ctx;
use crate::tunnel::{self, Tunnel};
use kiln_abi::{tables, tunnel as layout};
use kiln_openflow::{Action, Field, Subfield};
use kiln_types::{OfPort, Uuid};

pub(crate) fn port(ctx: &Ctx<'_>, row: &Uuid, port: &LocalPort, flows: &mut Flows<'_>) {
    if port.kind == PortKind::Localport && port.ofport().is_some() {
        // What a localport says never leaves the chassis.
        let m = inport(port.datapath_key, port.key);
        return flows.add(tables::REMOTE_OUTPUT, 150, &m, vec![Action::resubmit(tables::LOCAL_OUTPUT)]);
    }
    let Delivery::Tunnel { chassis } = port.delivery else { return };
    let encap = ctx.row(&ctx.sb.port_binding, row).and_then(|row| row.encap());
    let tunnels = ctx.all(&ctx.tunnels, &chassis);
    for local in 0..local_addresses(ctx) {
        let Some(tunnel) = tunnel::choose(tunnels, encap, local) else { continue };
        let mut actions = Vec::new();
        if !encapsulate(ctx, tunnel, port.datapath_key, port.key, &mut actions) {
            continue;
        }
        actions.push(Action::output(OfPort(tunnel.ofport)));
        actions.push(Action::resubmit(tables::REMOTE_VTEP_OUTPUT));
        let mut m = outport(port.datapath_key, port.key);
        m.set(ENCAP.load(local.into()));
        flows.add(tables::REMOTE_OUTPUT, 100, &m, actions);
    }
}

/// How many addresses this chassis sends from.
pub(crate) fn local_addresses(ctx: &Ctx<'_>) -> u16 {
    ctx.value(&ctx.settings, &()).map_or(0, |settings| settings.encap_ips.len() as u16)
}

/// Writes the keys into the tunnel's header. False if the switch cannot yet.
pub(crate) fn encapsulate(
    ctx: &Ctx<'_>,
    tunnel: &Tunnel,
    datapath_key: u32,
    key: u16,
    actions: &mut Vec<Action>,
) -> bool {
    let tun_id = Subfield::new(Field::TUN_ID, 0, 24);
    match tunnel.kind {
        EncapKind::Geneve => {
            let Some(option) = ctx.value(&ctx.facts, &()).and_then(|facts| facts.geneve_option) else {
                return false;
            };
            let option = Field::tun_metadata(option, layout::GENEVE_OPTION_LEN);
            let inport = layout::GENEVE_INPORT;
            let n_bits = inport.len.into();
            actions.push(Action::load(tun_id, datapath_key));
            actions.push(Action::set_field(option, key));
            actions.push(Action::copy_field(
                Subfield::new(INPORT, 0, n_bits),
                Subfield::new(option, inport.first.into(), n_bits),
            ));
        }
        EncapKind::Vxlan if tunnel.is_vtep => actions.push(Action::load(tun_id, datapath_key)),
        EncapKind::Vxlan => {
            let short = u32::from(key & 0x7ff | (key & 0x8000) >> 4);
            actions.push(Action::load(tun_id, datapath_key | short << layout::VXLAN_OUTPORT.first));
        }
    }
    true
}
