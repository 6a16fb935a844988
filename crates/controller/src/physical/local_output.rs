//! Tables 46 and 47: packets for ports of this chassis enter the egress pipeline, unless they would go back to where they
//! came from.

use super::drops;
use super::write::*;
use crate::binding::PortKind;
use crate::port::{Delivery, LocalPort};
use crate::tables::Ctx;
use kiln_abi::registers::{flags, reg};
use kiln_abi::tables;
use kiln_openflow::{Action, Field};

pub(crate) fn port(ctx: &Ctx<'_>, port: &LocalPort, flows: &mut Flows<'_>) {
    let m = outport(port.datapath_key, port.key);
    match port.delivery {
        Delivery::Here { .. } | Delivery::Patch { .. } => {
            let mut actions = Vec::new();
            load_zones(&port.zones, &mut actions);
            actions.push(Action::resubmit(tables::CHECK_LOOPBACK));
            flows.add(tables::LOCAL_OUTPUT, 100, &m, actions);
            loopback(ctx, port, flows);
        }
        Delivery::Gateway { distributed } => {
            if let Some(distributed) = ctx.value(&ctx.ports, &distributed) {
                let mut actions = vec![load(reg::OUTPORT, distributed.key)];
                load_zones(&distributed.zones, &mut actions);
                actions.push(Action::set_field(Field::IN_PORT, NO_PORT));
                actions.push(Action::resubmit(tables::CHECK_LOOPBACK));
                flows.add(tables::LOCAL_OUTPUT, 100, &m, actions);
            }
        }
        Delivery::Localnet { key } => {
            let actions = vec![load(reg::OUTPORT, key), Action::resubmit(tables::LOCAL_OUTPUT)];
            flows.add(tables::LOCAL_OUTPUT, 100, &m, actions);
        }
        Delivery::Tunnel { .. } | Delivery::Candidates | Delivery::Nowhere => {}
    }
}

fn loopback(ctx: &Ctx<'_>, port: &LocalPort, flows: &mut Flows<'_>) {
    let dropped = drops::actions(ctx, tables::CHECK_LOOPBACK);
    let mut back = outport(port.datapath_key, port.key);
    back.exact(INPORT, port.key);
    flag(&mut back, flags::LOOPBACK, false);
    flows.add(tables::CHECK_LOOPBACK, 100, &back, dropped.clone());
    if port.kind == PortKind::Localnet {
        let mut from_localport = outport(port.datapath_key, port.key);
        flag(&mut from_localport, flags::LOCALPORT, true);
        flows.add(tables::CHECK_LOOPBACK, 160, &from_localport, dropped.clone());
        let mut local_only = outport(port.datapath_key, port.key);
        flag(&mut local_only, flags::LOCAL_ONLY, true);
        flag(&mut local_only, flags::OVERRIDE_LOCAL_ONLY, false);
        flows.add(tables::CHECK_LOOPBACK, 160, &local_only, dropped);
    }
}
