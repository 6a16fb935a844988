//! Flows that every chassis has, whatever the network is.

use super::drops;
use super::write::*;
use crate::desired::DesiredFlow;
use crate::tables::Ctx;
use kiln_abi::registers::{flags, reg, scratch};
use kiln_abi::tables;
use kiln_openflow::field::ct_state;
use kiln_openflow::{Action, Field, MatchBuilder, Subfield};

pub(crate) fn all(ctx: &Ctx<'_>, _: &(), out: &mut Vec<DesiredFlow>) {
    let mut flows = Flows { cookie: 0, out };
    misses(ctx, &mut flows);
    outputs(&mut flows);
    conntrack(&mut flows);
}

/// What happens to packets that no other flow of a table takes.
fn misses(ctx: &Ctx<'_>, flows: &mut Flows<'_>) {
    let any = MatchBuilder::default();
    let go = |table| vec![Action::resubmit(table)];
    for table in [tables::PHY_TO_LOG, tables::LOCAL_OUTPUT, tables::LOG_TO_PHY] {
        flows.add(table, 0, &any, drops::actions(ctx, table));
    }
    flows.add(tables::OUTPUT_LARGE_PKT_DETECT, 0, &any, go(tables::REMOTE_OUTPUT));
    flows.add(tables::OUTPUT_LARGE_PKT_PROCESS, 0, &any, go(tables::REMOTE_OUTPUT));
    flows.add(tables::REMOTE_OUTPUT, 0, &any, go(tables::REMOTE_VTEP_OUTPUT));
    flows.add(tables::REMOTE_VTEP_OUTPUT, 0, &any, go(tables::LOCAL_OUTPUT));
    let mut egress = Vec::new();
    clear_registers(&mut egress);
    egress.push(Action::resubmit(tables::LOG_EGRESS));
    flows.add(tables::CHECK_LOOPBACK, 0, &any, egress);
    flows.add(tables::SAVE_INPORT, 0, &any, go(tables::LOG_TO_PHY));
    flows.add(tables::GET_FDB, 0, &any, vec![load(reg::OUTPORT, 0u8)]);
    flows.add(tables::CT_ZONE_LOOKUP, 0, &any, go(tables::LOG_INGRESS));
    flows.add(tables::GET_REMOTE_FDB, 0, &any, vec![load(scratch::REMOTE_OUTPORT, 0u8)]);
}

/// Packets that go to local ports alone.
fn outputs(flows: &mut Flows<'_>) {
    let mut looped = MatchBuilder::default();
    flag(&mut looped, flags::LOOPBACK, true);
    flows.add(tables::OUTPUT_LARGE_PKT_PROCESS, 10, &looped, vec![Action::resubmit(tables::LOCAL_OUTPUT)]);
    let mut from_ramp = MatchBuilder::default();
    flag(&mut from_ramp, flags::RCV_FROM_RAMP, true);
    flag(&mut from_ramp, flags::LOOPBACK, false);
    flows.add(tables::REMOTE_OUTPUT, 150, &from_ramp, vec![Action::resubmit(tables::LOCAL_OUTPUT)]);
    let mut local_only = MatchBuilder::default();
    flag(&mut local_only, flags::LOCAL_ONLY, true);
    flows.add(tables::REMOTE_OUTPUT, 150, &local_only, vec![Action::resubmit(tables::LOCAL_OUTPUT)]);
}

/// What a tracked packet was before translation, and what the tracker said of it.
fn conntrack(flows: &mut Flows<'_>) {
    let result = Field::xxreg(scratch::CT_ORIG_XXREG);
    let lookups = [
        (tables::CT_ORIG_NW_DST_LOAD, Some(0x0800u16), Field::CT_NW_DST),
        (tables::CT_ORIG_IP6_DST_LOAD, Some(0x86dd), Field::CT_IPV6_DST),
        (tables::CT_ORIG_TP_DST_LOAD, None, Field::CT_TP_DST),
        (tables::CT_ORIG_PROTO_LOAD, None, Field::CT_NW_PROTO),
    ];
    for (table, eth_type, field) in lookups {
        for state in [ct_state::NEW, ct_state::EST] {
            let mut m = MatchBuilder::default();
            let state = state | ct_state::TRK;
            m.masked(Field::CT_STATE, state, state);
            if let Some(eth_type) = eth_type {
                m.exact(Field::ETH_TYPE, eth_type);
            }
            let to = Subfield::new(result, 0, field.n_bits());
            flows.add(table, 100, &m, vec![Action::copy_field(field, to)]);
        }
    }
    let (register, bits) = scratch::CT_SAVED_STATE;
    let saved = Subfield::new(Field::reg(register), bits.first.into(), bits.len.into());
    let mut untracked = MatchBuilder::default();
    untracked.masked(Field::CT_STATE, 0u8, ct_state::TRK);
    flows.add(tables::CT_STATE_SAVE, 65535, &untracked, vec![Action::load(saved, 0u8)]);
    let state = Subfield::new(Field::CT_STATE, 0, bits.len.into());
    flows.add(tables::CT_STATE_SAVE, 65534, &MatchBuilder::default(), vec![Action::copy_field(state, saved)]);
}
