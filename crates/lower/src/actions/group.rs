//! Actions that choose one of several: a select group whose buckets are the choices.

use super::Encoder;
use super::bits::bits;
use super::conntrack::translation;
use crate::context::SelectGroup;
use crate::error::ActionProblem;
use kiln_abi::conntrack::mark;
use kiln_abi::registers::reg;
use kiln_logical::action::{Lb, LoadBalance, Select, SnatFlag};
use kiln_openflow::action::{Action, Ct, Nat};
use kiln_openflow::field::Field as Of;
use kiln_openflow::msg::{Bucket, Selection};
use kiln_openflow::{Actions, Subfield};
use std::borrow::Cow;

/// The weight of every backend.
const BACKEND_WEIGHT: u16 = 100;
/// The weight of every port that packets are forwarded to.
const PORT_WEIGHT: u16 = 1;
/// `dp_hash`'s parameter that asks for a hash of the transport layer, alike in both directions.
const HASH_L4_SYMMETRIC: u64 = 1 << 32;

/// By the datapath's hash, or by fields that are named.
fn selection(fields: Option<&str>, param: u64) -> Result<Selection, ActionProblem> {
    let Some(names) = fields else {
        return Ok(Selection { method: "dp_hash".into(), param, fields: Vec::new() });
    };
    let mut fields = names
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(|name| Of::by_name(name).ok_or_else(|| ActionProblem::HashField(name.to_owned())))
        .collect::<Result<Vec<_>, _>>()?;
    fields.sort_unstable();
    fields.dedup();
    let fields = fields.into_iter().map(|f| (f, f.all_ones())).collect();
    Ok(Selection { method: "hash".into(), param: 0, fields })
}

impl Encoder<'_> {
    fn group(&mut self, selection: Selection, buckets: Vec<Bucket>) {
        if let Some(id) = self.env.group(&SelectGroup { selection, buckets }) {
            self.push(Action::Group(id));
        }
    }

    pub(super) fn select(&mut self, select: &Select<'_>) -> Result<(), ActionProblem> {
        let param = if self.context.dp_hash_l4_symmetric { HASH_L4_SYMMETRIC } else { 0 };
        let selection = selection(select.hash_fields.as_deref(), param)?;
        let dst = bits(select.dst);
        let next = Action::resubmit(self.context.next_table());
        let mut buckets = Vec::with_capacity(select.candidates.len());
        for (id, candidate) in (0..).zip(&select.candidates) {
            let actions = [Action::load(dst, candidate.value), next.clone()];
            buckets.push(bucket(id, candidate.weight, &actions)?);
        }
        self.group(selection, buckets);
        Ok(())
    }

    /// A backend keeps its number among all, wherever the others are.
    pub(super) fn load_balance(&mut self, lb: &LoadBalance<'_>) -> Result<(), ActionProblem> {
        let zone = self.zone();
        if lb.backends.is_empty() {
            return self.ct(0, zone, true, &[Action::Nat(Box::default())]);
        }
        let selection = selection(lb.hash_fields.as_deref(), 0)?;
        let kept = if lb.kind == Lb::Label { Of::CT_LABEL } else { Of::CT_MARK };
        let set = |bit: u8| Action::load(Subfield::new(kept, u16::from(bit), 1), 1u8);
        let mut exec = vec![Action::Nat(Box::default()), set(mark::NATTED)];
        match lb.snat {
            Some(SnatFlag::Skip) => exec.push(set(mark::SKIP_SNAT)),
            Some(SnatFlag::Force) => exec.push(set(mark::FORCE_SNAT)),
            None => {}
        }
        let mut buckets = Vec::with_capacity(lb.backends.len());
        for (id, backend) in (0..).zip(&lb.backends) {
            if backend.port_name.as_deref().is_some_and(|port| !self.env.is_resident(port)) {
                continue;
            }
            let nat = translation(Nat::DST, backend.ip, backend.port.map(|port| (port, None)))?;
            exec[0] = Action::Nat(Box::new(nat));
            let ct = Ct {
                flags: Ct::COMMIT,
                zone,
                table: Some(self.context.next_table()),
                alg: 0,
                exec: Actions::encode(&exec)?,
            };
            buckets.push(bucket(id, BACKEND_WEIGHT, &[Action::Ct(Box::new(ct))])?);
        }
        if !buckets.is_empty() {
            self.group(selection, buckets);
        }
        Ok(())
    }

    /// Left out if any port is not known.
    pub(super) fn fwd_group(&mut self, liveness: bool, ports: &[Cow<'_, str>]) -> Result<(), ActionProblem> {
        let outport = Subfield::new(Of::reg(reg::OUTPORT), 0, 16);
        let output = Action::resubmit(self.context.tables.output(self.context.pipeline));
        let mut buckets = Vec::with_capacity(ports.len());
        for (id, port) in (0..).zip(ports) {
            let Some(key) = self.env.port_key(port) else { return Ok(()) };
            let watch_port = if liveness {
                let Some(tunnel) = self.env.tunnel_to(port) else { return Ok(()) };
                Some(tunnel)
            } else {
                None
            };
            let actions = [Action::load(outport, key), output.clone()];
            buckets.push(Bucket { watch_port, ..bucket(id, PORT_WEIGHT, &actions)? });
        }
        self.group(selection(None, 0)?, buckets);
        Ok(())
    }
}

fn bucket(bucket_id: u32, weight: u16, actions: &[Action]) -> Result<Bucket, ActionProblem> {
    Ok(Bucket {
        bucket_id,
        weight: Some(weight),
        watch_port: None,
        watch_group: None,
        actions: Actions::encode(actions)?,
    })
}
