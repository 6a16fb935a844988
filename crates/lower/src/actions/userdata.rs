//! What goes up to the controller: the userdata of `controller` actions ([`kiln_abi::opcodes`]).

use super::Encoder;
use crate::context::Meter;
use crate::error::ActionProblem;
use kiln_abi::opcodes::Opcode;
use kiln_abi::punts::PuntClass;
use kiln_logical::action::{Action as Logical, EventArgument, Log, Nested, Severity, Verdict};
use kiln_openflow::action::{Action, Controller};
use kiln_openflow::{Actions, Subfield};
use std::borrow::Cow;

/// The eight bytes before the payload.
pub(super) fn header(opcode: Opcode) -> Vec<u8> {
    opcode.userdata()
}

/// The same and where the controller writes whether it answered: the field's header and the bit's number.
pub(super) fn with_result(opcode: Opcode, dst: Subfield) -> Vec<u8> {
    let mut data = header(opcode);
    dst.field.info().header.put(&mut data, false, dst.field.n_bytes());
    data.extend_from_slice(&u32::from(dst.ofs).to_be_bytes());
    data
}

/// The MTU and what is done with an error about a packet that must not be cut.
pub(super) fn fragment(mtu: u16, error: &Actions) -> Vec<u8> {
    let mut data = header(Opcode::FRAGMENT);
    data.extend_from_slice(&mtu.to_be_bytes());
    data.extend_from_slice(&[0; 6]);
    data.extend_from_slice(error.as_bytes());
    data
}

/// Number of an event that a load balancer has no backends.
const EMPTY_LB_BACKENDS: u32 = 0;

/// The arguments as they are written, which is the order in which stock's controller sends them.
pub(super) fn empty_lb_backends(arguments: &[(EventArgument, Cow<'_, str>)]) -> Vec<u8> {
    let mut data = header(Opcode::EVENT);
    data.extend_from_slice(&EMPTY_LB_BACKENDS.to_be_bytes());
    for (argument, value) in arguments {
        let code: u16 = match argument {
            EventArgument::Vip => 1,
            EventArgument::Protocol => 2,
            EventArgument::LoadBalancer => 3,
        };
        data.extend_from_slice(&code.to_be_bytes());
        data.extend_from_slice(&(value.len() as u16).to_be_bytes());
        data.extend_from_slice(value.as_bytes());
    }
    data
}

impl Encoder<'_> {
    /// Sends the packet up, bounded by the meter of the port that it came in by and by the flow's: a packet that is too many
    /// goes no further.
    pub(super) fn controller(&mut self, userdata: Vec<u8>, pause: bool) {
        let opcode = userdata.first_chunk().map(|word| Opcode(u32::from_be_bytes(*word)));
        if let Some(class) = opcode.and_then(PuntClass::of).filter(|_| self.context.port_meters) {
            self.resubmit(class.table());
        }
        let meter = self.context.controller_meter;
        self.controller_metered(userdata, pause, meter);
    }

    fn controller_metered(&mut self, userdata: Vec<u8>, pause: bool, meter: Option<&str>) {
        let meter_id = meter.and_then(|name| self.env.meter(&Meter::Named(name)));
        let controller = Controller { userdata: userdata.into(), pause, meter_id, ..Controller::default() };
        self.push(Action::Controller(Box::new(controller)));
    }

    /// The log has a meter of its own.
    pub(super) fn log(&mut self, log: &Log<'_>) {
        let mut data = header(Opcode::LOG);
        data.push(match log.verdict {
            Verdict::Allow => 0,
            Verdict::Drop => 1,
            Verdict::Reject => 2,
            Verdict::Pass => 3,
        });
        data.push(match log.severity {
            Severity::Alert => 1,
            Severity::Warning => 4,
            Severity::Notice => 5,
            Severity::Info => 6,
            Severity::Debug => 7,
        });
        data.extend_from_slice(log.name.as_deref().unwrap_or_default().as_bytes());
        self.controller_metered(data, false, log.meter.as_deref());
    }

    pub(super) fn nested_action(
        &mut self,
        nested: Nested,
        list: &[Logical<'_>],
    ) -> Result<(), ActionProblem> {
        let inner = self.nested(list)?;
        let opcode = match nested {
            Nested::Clone => {
                self.push(Action::Clone(inner));
                return Ok(());
            }
            Nested::Arp => Opcode::ARP,
            Nested::NdNs => Opcode::ND_NS,
            Nested::NdNa => Opcode::ND_NA,
            Nested::NdNaRouter => Opcode::ND_NA_ROUTER,
            Nested::Icmp4 | Nested::Icmp6 => Opcode::ICMP,
            Nested::Icmp4Error => Opcode::ICMP4_ERROR,
            Nested::Icmp6Error => Opcode::ICMP6_ERROR,
            Nested::TcpReset => Opcode::TCP_RESET,
            Nested::SctpAbort => Opcode::SCTP_ABORT,
            Nested::Reject => Opcode::REJECT,
        };
        let mut data = header(opcode);
        data.extend_from_slice(inner.as_bytes());
        let resolves = matches!(nested, Nested::Arp | Nested::NdNs);
        self.controller(data, resolves);
        if resolves && !self.context.explicit_arp_ns_output {
            self.resubmit(self.context.tables.output(self.context.pipeline));
        }
        Ok(())
    }
}
