//! What the switch can do, asked of it on a connection of its own.

use kiln_openflow::action::{Sample, SampleArg};
use kiln_openflow::msg::{
    BundleAdd, BundleControl, CtFlush, CtTuple, FlowMod, Group, Message, MultipartReply, MultipartRequest,
};
use kiln_openflow::session::{Event, SendError, Session};
use kiln_openflow::{Action, Actions, Field, Match, Subfield, Xid};
use kiln_types::OfPort;

/// What of OpenFlow a switch can do that not every one can.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct SwitchFeatures {
    /// There are meters.
    pub meters: bool,
    /// There are select groups.
    pub groups: bool,
    /// `sample` takes its observation point from a register.
    pub sample_with_registers: bool,
    /// Connections can be flushed by label.
    pub ct_label_flush: bool,
}

/// The questions, in the order in which they are asked. A barrier follows each: when it is answered and nothing was
/// refused, the switch can do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Meters,
    Groups,
    Sample,
    LabelFlush,
}

const QUESTIONS: [Question; 4] = [Question::Meters, Question::Groups, Question::Sample, Question::LabelFlush];

/// Asks a switch once for each connection.
#[derive(Debug, Default)]
pub struct Probe {
    /// Messages that were sent, and the question that each belongs to.
    sent: Vec<(Xid, Question)>,
    /// The barriers.
    ends: Vec<Xid>,
    found: SwitchFeatures,
}

impl Probe {
    /// Nothing asked yet.
    pub fn new() -> Probe {
        Probe::default()
    }

    /// Takes an event of the session, which it answers there. Once everything has been answered, gives the result.
    pub fn handle(&mut self, event: &Event, session: &mut Session) -> Option<SwitchFeatures> {
        match event {
            Event::Ready { .. } => {
                *self = Probe::new();
                // A session that is no longer ready will say so, and be ready again.
                let _ = self.ask(session);
                None
            }
            Event::Reply { xid, message: Message::MultipartReply { reply, .. } } => {
                if self.sent.iter().any(|(other, _)| other == xid) {
                    self.note(reply);
                }
                None
            }
            Event::Reply { xid, message: Message::BarrierReply } => {
                self.ends.retain(|end| end != xid);
                (self.ends.is_empty() && !self.sent.is_empty()).then(|| {
                    self.sent.clear();
                    self.found
                })
            }
            Event::Error { xid, .. } => {
                if let Some((_, question)) = self.sent.iter().find(|(other, _)| other == xid) {
                    self.deny(*question);
                }
                None
            }
            _ => None,
        }
    }

    fn ask(&mut self, session: &mut Session) -> Result<(), SendError> {
        self.found.sample_with_registers = true;
        self.found.ct_label_flush = true;
        for question in QUESTIONS {
            for message in question.messages() {
                self.sent.push((session.send(&message)?, question));
            }
            self.ends.push(session.send(&Message::BarrierRequest)?);
        }
        Ok(())
    }

    fn note(&mut self, reply: &MultipartReply) {
        match reply {
            MultipartReply::MeterFeatures(features) => self.found.meters = features.max_meters != 0,
            MultipartReply::GroupFeatures(features) => {
                self.found.groups = features.max_groups[usize::from(Group::SELECT)] != 0;
            }
            _ => {}
        }
    }

    fn deny(&mut self, question: Question) {
        match question {
            Question::Meters => self.found.meters = false,
            Question::Groups => self.found.groups = false,
            Question::Sample => self.found.sample_with_registers = false,
            Question::LabelFlush => self.found.ct_label_flush = false,
        }
    }
}

impl Question {
    fn messages(self) -> Vec<Message> {
        match self {
            Question::Meters => vec![Message::MultipartRequest(MultipartRequest::MeterFeatures)],
            Question::Groups => vec![Message::MultipartRequest(MultipartRequest::GroupFeatures)],
            Question::Sample => bundled_sample(),
            Question::LabelFlush => vec![Message::CtFlush(Box::new(label_flush()))],
        }
    }
}

/// A flow that samples with a register, in a bundle that is never committed.
fn bundled_sample() -> Vec<Message> {
    let sample = Sample {
        probability: u16::MAX,
        collector_set_id: 1,
        obs_domain: SampleArg::Imm(1),
        obs_point: SampleArg::Field(Subfield::whole(Field::reg(0))),
        sampling_port: OfPort::ANY,
        direction: 0,
    };
    let mut flow = FlowMod::new(FlowMod::ADD, 0, 0, Match::any());
    // One short action always fits.
    flow.instructions = Actions::encode(&[Action::Sample(Box::new(sample))]).unwrap_or_default().into();
    let flags = BundleControl::ATOMIC | BundleControl::ORDERED;
    let control = |typ| Message::BundleControl(BundleControl { bundle_id: 0, typ, flags });
    let add = BundleAdd { bundle_id: 0, flags, message: Message::FlowMod(flow) };
    vec![
        control(BundleControl::OPEN_REQUEST),
        Message::BundleAdd(Box::new(add)),
        control(BundleControl::DISCARD_REQUEST),
    ]
}

/// A bit of the label that no connection of OVN's has, and a protocol of which only echo requests would be meant: it
/// flushes nothing.
const PROBED_LABEL: u128 = 0x1000_0000 << 64;
const ICMP: u8 = 1;
const ECHO_REQUEST: u8 = 8;
const ECHO_REPLY: u8 = 0;

fn label_flush() -> CtFlush {
    let tuple = |icmp_type| CtTuple {
        icmp_id: Some(0),
        icmp_type: Some(icmp_type),
        icmp_code: Some(0),
        ..CtTuple::default()
    };
    CtFlush {
        ip_proto: ICMP,
        orig: tuple(ECHO_REQUEST),
        reply: tuple(ECHO_REPLY),
        label: Some((PROBED_LABEL, PROBED_LABEL)),
        ..CtFlush::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_openflow::msg::{GroupFeatures, MeterFeatures};
    use kiln_openflow::session::Config;
    use kiln_openflow::{ErrorCode, Version};
    use kiln_types::Instant;

    /// Asks a switch with so many meters and select groups, which refuses messages of a kind.
    fn ask(max_meters: u32, max_groups: u32, refuses: fn(&Message) -> bool) -> SwitchFeatures {
        let now = Instant::ZERO;
        let mut session = Session::new(Config::controller());
        let mut switch = Session::new(Config::switch(vec![Version::V1_5]));
        session.handle_connected(now);
        switch.handle_connected(now);
        let mut probe = Probe::new();
        for _ in 0..10 {
            session.handle_bytes(now, &switch.poll_transmit().unwrap_or_default());
            while let Some(event) = session.poll_event() {
                if let Some(found) = probe.handle(&event, &mut session) {
                    return found;
                }
            }
            switch.handle_bytes(now, &session.poll_transmit().unwrap_or_default());
            while let Some(event) = switch.poll_event() {
                let Event::Message { xid, message } = event else { continue };
                if refuses(&message) {
                    switch.refuse(xid, ErrorCode::REQUEST_BAD_TYPE, &[]).unwrap();
                    continue;
                }
                let list = |reply| Message::MultipartReply { reply, more: false };
                let answer = match message {
                    Message::MultipartRequest(MultipartRequest::MeterFeatures) => {
                        list(MultipartReply::MeterFeatures(MeterFeatures {
                            max_meters,
                            band_types: 2,
                            capabilities: 0xf,
                            max_bands: 8,
                            max_color: 0,
                        }))
                    }
                    Message::MultipartRequest(MultipartRequest::GroupFeatures) => {
                        list(MultipartReply::GroupFeatures(GroupFeatures {
                            types: 0xf,
                            capabilities: 7,
                            max_groups: [1, max_groups, 1, 1],
                            actions: [0; 4],
                        }))
                    }
                    Message::BarrierRequest => Message::BarrierReply,
                    Message::BundleControl(control) => {
                        assert_ne!(control.typ, BundleControl::COMMIT_REQUEST);
                        continue;
                    }
                    _ => continue,
                };
                switch.reply(xid, &answer).unwrap();
            }
        }
        panic!("no answer");
    }

    #[test]
    fn a_switch_that_refuses_nothing_can_do_everything() {
        let all =
            SwitchFeatures { meters: true, groups: true, sample_with_registers: true, ct_label_flush: true };
        assert_eq!(ask(5, 5, |_| false), all);
        assert_eq!(ask(0, 5, |_| false), SwitchFeatures { meters: false, ..all });
        assert_eq!(ask(5, 0, |_| false), SwitchFeatures { groups: false, ..all });
    }

    #[test]
    fn what_is_refused_is_missing() {
        let lists = |m: &Message| matches!(m, Message::MultipartRequest(_));
        let sample = |m: &Message| matches!(m, Message::BundleAdd(_));
        let flush = |m: &Message| matches!(m, Message::CtFlush(_));
        let found = |meters_and_groups, sample_with_registers, ct_label_flush| SwitchFeatures {
            meters: meters_and_groups,
            groups: meters_and_groups,
            sample_with_registers,
            ct_label_flush,
        };
        assert_eq!(ask(5, 5, lists), found(false, true, true));
        assert_eq!(ask(5, 5, sample), found(true, false, true));
        assert_eq!(ask(5, 5, flush), found(true, true, false));
        assert_eq!(ask(5, 5, |m| !matches!(m, Message::BarrierRequest)), found(false, false, false));
    }
}
