//! Logical actions to OpenFlow actions.

mod bits;
mod conntrack;
mod group;
mod learn;
mod lookup;
mod options;
mod userdata;

use self::bits::bits;
use crate::context::{Context, Meter, Resources};
use crate::error::{ActionError, ActionProblem};
use kiln_abi::opcodes::Opcode;
use kiln_abi::registers::reg;
use kiln_abi::stages::Pipeline;
use kiln_abi::tables;
use kiln_logical::action::{self, Action as Logical, Next, ObsPoint, Plain, Sample};
use kiln_logical::constant::Constant;
use kiln_logical::{FieldRef, OvnField};
use kiln_openflow::action::{Action, Sample as OfSample, SampleArg};
use kiln_openflow::field::Field as Of;
use kiln_openflow::{Actions, FieldValue, Subfield};
use kiln_types::OfPort;

/// The OpenFlow actions of a flow's actions. Empty: the packet is dropped.
pub fn lower_actions(
    actions: &action::Actions<'_>,
    context: &Context<'_>,
    env: &dyn Resources,
) -> Result<Actions, ActionError> {
    let mut encoder = Encoder { context, env, out: Vec::with_capacity(actions.list.len() + 2) };
    for (at, action) in actions.list.iter().enumerate() {
        encoder.action(action).map_err(|problem| {
            let option = match &problem {
                ActionProblem::Option { option, .. } => Some(option.as_str()),
                _ => None,
            };
            ActionError { column: actions.column_of(at, option), problem }
        })?;
    }
    Actions::encode(&encoder.out).map_err(|error| ActionError { column: 1, problem: error.into() })
}

struct Encoder<'e> {
    context: &'e Context<'e>,
    env: &'e dyn Resources,
    out: Vec<Action>,
}

impl Encoder<'_> {
    fn list(&mut self, list: &[Logical<'_>]) -> Result<(), ActionProblem> {
        list.iter().try_for_each(|action| self.action(action))
    }

    /// What `list` comes to, apart from what was encoded so far.
    fn nested(&self, list: &[Logical<'_>]) -> Result<Actions, ActionProblem> {
        let mut inner = Encoder { context: self.context, env: self.env, out: Vec::with_capacity(list.len()) };
        inner.list(list)?;
        Ok(Actions::encode(&inner.out)?)
    }

    fn push(&mut self, action: Action) {
        self.out.push(action);
    }

    fn resubmit(&mut self, table: u8) {
        self.push(Action::resubmit(table));
    }

    fn action(&mut self, action: &Logical<'_>) -> Result<(), ActionProblem> {
        match action {
            Logical::Plain(plain) => self.plain(*plain),
            Logical::Next(next) => self.resubmit(self.next(*next)),
            Logical::Load { dst, value } => self.push(Action::SetField(load(*dst, value))),
            Logical::LoadName { dst, name } => self.load_port(bits(*dst), name),
            Logical::LoadOvn { field, value } => self.push(Action::Note(ovn_field(*field, *value))),
            Logical::Move { dst, src } => self.push(Action::copy_field(bits(*src), bits(*dst))),
            Logical::Exchange { a, b } => {
                let (a, b) = (bits(*a), bits(*b));
                self.out.extend([
                    Action::StackPush(b),
                    Action::StackPush(a),
                    Action::StackPop(b),
                    Action::StackPop(a),
                ]);
            }
            Logical::DecTtl => self.push(Action::DecTtlCntIds(Box::default())),
            Logical::Push(field) => self.push(Action::StackPush(bits(*field))),
            Logical::Pop(field) => self.push(Action::StackPop(bits(*field))),
            Logical::Nested(nested, list) => self.nested_action(*nested, list)?,
            Logical::Fragment { mtu, error } => {
                let data = userdata::fragment(*mtu, &self.nested(error)?);
                self.controller(data, true);
            }
            Logical::CtNext(_)
            | Logical::CtCommit(_)
            | Logical::CtCommitToZone(_)
            | Logical::CtCommitNat(_)
            | Logical::CtNat(..) => self.conntrack(action)?,
            Logical::CtLb(lb) => self.load_balance(lb)?,
            Logical::Select(select) => self.select(select)?,
            Logical::FwdGroup { liveness, ports } => self.fwd_group(*liveness, ports)?,
            Logical::Query { dst, query } => self.query(bits(*dst), *query)?,
            Logical::GetNeighbor { .. }
            | Logical::PutNeighbor { .. }
            | Logical::LookupNeighbor { .. }
            | Logical::GetFdb { .. }
            | Logical::PutFdb { .. }
            | Logical::LookupFdb { .. }
            | Logical::HandleSvcCheck(_)
            | Logical::BindVport { .. } => self.lookup(action),
            Logical::PutOptions { dst, of, options } => self.put_options(bits(*dst), *of, options)?,
            Logical::DhcpRelay { dst, way, relay, server } => {
                let opcode = match way {
                    action::DhcpRelay::Request => Opcode::DHCP_RELAY_REQ_CHK,
                    action::DhcpRelay::Response => Opcode::DHCP_RELAY_RESP_CHK,
                };
                let mut data = userdata::with_result(opcode, bits(*dst));
                data.extend_from_slice(&relay.octets());
                data.extend_from_slice(&server.octets());
                self.controller(data, true);
            }
            Logical::SetQueue(queue) => self.push(Action::SetQueue(*queue)),
            Logical::SetMeter { rate_kbps, burst_kb } => {
                let wanted = Meter::Rate { rate_kbps: *rate_kbps, burst_kb: *burst_kb };
                if let Some(id) = self.env.meter(&wanted) {
                    self.push(Action::Meter(id));
                }
            }
            Logical::CheckPktLarger { dst, len } => {
                self.push(Action::CheckPktLarger { pkt_len: *len, dst: bits(*dst) });
            }
            Logical::Log(log) => self.log(log),
            Logical::TriggerEvent(event) => self.controller(userdata::empty_lb_backends(event), false),
            Logical::CommitEcmpNh { ipv6, protocol } => self.commit_ecmp_nh(*ipv6, *protocol),
            Logical::CommitLbAff(affinity) => self.commit_lb_aff(affinity),
            Logical::Sample(sample) => self.sample(sample),
            Logical::Mirror(port) => self.mirror(port)?,
        }
        Ok(())
    }

    fn plain(&mut self, plain: Plain) {
        match plain {
            Plain::Output => self.resubmit(self.context.tables.output(self.context.pipeline)),
            Plain::CtClear => self.push(Action::CtClear),
            Plain::CtSnatToVip => self.resubmit(tables::CT_SNAT_HAIRPIN),
            Plain::MacCacheUse => self.resubmit(tables::MAC_CACHE_USE),
            Plain::FloodRemote => self.resubmit(tables::FLOOD_REMOTE_CHASSIS),
            Plain::Igmp => self.controller(userdata::header(Opcode::IGMP), false),
            Plain::HandleDhcpv6Reply => self.controller(userdata::header(Opcode::DHCP6_SERVER), false),
            Plain::HandleBfdMsg => self.controller(userdata::header(Opcode::BFD_MSG), false),
        }
    }

    fn next(&self, next: Next) -> u8 {
        let tables = &self.context.tables;
        match next {
            Next::Following => self.context.next_table(),
            Next::Table(table) => tables.stage(self.context.pipeline, table),
            Next::Other(action::Pipeline::Ingress, table) => tables.stage(Pipeline::Ingress, table),
            Next::Other(action::Pipeline::Egress, table) => tables.stage(Pipeline::Egress, table),
        }
    }

    /// A port that there is not is none.
    fn load_port(&mut self, dst: Subfield, name: &str) {
        let key = if name.is_empty() { 0 } else { self.env.port_key(name).unwrap_or(0) };
        self.push(Action::load(dst, key));
    }

    fn sample(&mut self, sample: &Sample) {
        if !self.env.has_collector_set(sample.collector_set) {
            return;
        }
        let domain = u32::from(sample.obs_domain) << 24 | (self.context.datapath_key.0 & 0xff_ffff);
        let obs_point = match sample.obs_point {
            ObsPoint::Number(number) => SampleArg::Imm(number),
            ObsPoint::Cookie => SampleArg::Imm(self.context.cookie()),
            ObsPoint::Field(field) => SampleArg::Field(bits(field)),
        };
        self.push(Action::Sample(Box::new(OfSample {
            probability: sample.probability,
            collector_set_id: sample.collector_set,
            obs_domain: SampleArg::Imm(domain),
            obs_point,
            sampling_port: OfPort::ANY,
            direction: 0,
        })));
    }

    fn mirror(&mut self, port: &str) -> Result<(), ActionProblem> {
        let Some(key) = self.env.port_key(port) else { return Ok(()) };
        let copy = [
            Action::set_field(Of::IN_PORT, OfPort::ANY.0 & 0xffff),
            Action::set_field(Of::reg(reg::OUTPORT), key),
            Action::resubmit(tables::REMOTE_OUTPUT),
        ];
        self.push(Action::Clone(Actions::encode(&copy)?));
        Ok(())
    }
}

/// The bits under a constant's mask, or all of the field's.
fn load(dst: FieldRef, constant: &Constant) -> FieldValue {
    let dst = bits(dst);
    let mask = constant.mask.unwrap_or(u128::MAX) & (dst.mask() >> dst.ofs);
    FieldValue::masked(dst.field, (constant.value & mask) << dst.ofs, mask << dst.ofs)
}

/// The note that the controller takes for a field which OpenFlow does not have.
fn ovn_field(field: OvnField, value: u32) -> Box<[u8]> {
    kiln_abi::opcodes::frag_mtu_note(value, matches!(field, OvnField::Icmp6FragMtu)).into()
}
