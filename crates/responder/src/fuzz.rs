//! Entry point of the fuzz target: whatever the pipeline hands up, bounds hold, and all that came is accounted for.

use crate::{
    Class, Config, DropReason, Event, Load, MAX_FAILURES, MAX_FRAGMENTS_PER_NEXT_HOP, MAX_LOGS,
    MAX_NEXT_HOPS, MAX_OUTPUT, MAX_PENDING, MAX_WAITING_BYTES, NextHop, QUERY_INTERVAL, Responder,
};
use kiln_abi::opcodes::Opcode;
use kiln_openflow::msg::{Message, PacketIn, Xid};
use kiln_openflow::{Field, Match, Version};
use kiln_types::{EthAddr, Instant, Rng};
use std::time::Duration;

/// A responder and what is left of the bytes that it is fed from.
struct Run<'a> {
    bytes: &'a [u8],
    responder: Responder,
    now: Instant,
}

/// Feeds packets to a responder. The bytes say what comes, when, and when its output is taken; if the first is odd, the rest
/// are one message from the switch.
pub fn fuzz(data: &[u8]) {
    let Some((&choice, bytes)) = data.split_first() else { return };
    let responder = Responder::new(Config::default(), Rng::with_seed(choice.into()));
    let mut run = Run { bytes, responder, now: Instant::from_secs(1) };
    if choice & 1 == 1 {
        run.message();
    } else {
        while run.step() {}
    }
    run.end();
}

impl Run<'_> {
    fn message(&mut self) {
        if let Ok((_, Message::PacketIn(packet_in))) = Message::decode(self.bytes) {
            self.responder.packet_in(self.now, packet_in, &|_: &NextHop| None);
        }
    }

    fn byte(&mut self) -> Option<u8> {
        self.bytes.split_off_first().copied()
    }

    /// As many bytes as a byte says times `scale`, or all.
    fn run(&mut self, scale: usize) -> Option<Box<[u8]>> {
        let len = usize::from(self.byte()?) * scale;
        self.bytes.split_off(..len.min(self.bytes.len())).map(Into::into)
    }

    fn step(&mut self) -> bool {
        let Some(what) = self.byte() else { return false };
        match what {
            0..=199 => {
                let Some(packet_in) = self.packet_in(what) else { return false };
                let known = what & 7 == 7;
                let neighbors = move |_: &NextHop| known.then_some(EthAddr([2, 0, 0, 0, 0, 9]));
                self.responder.packet_in(self.now, packet_in, &neighbors);
            }
            200..=219 => {
                self.now = self.now + Duration::from_millis(u64::from(what - 199) * 97);
                self.responder.tick(self.now);
            }
            220..=229 => {
                let writes = self.responder.take_writes(self.now);
                assert!(writes.len() <= 2 * MAX_PENDING);
            }
            230..=234 => self.responder.forget(|_, port| port.0 & 1 == u16::from(what & 1)),
            235..=239 => self.responder.resume_refused(None),
            _ => self.take(),
        }
        self.check_bounds();
        true
    }

    /// A packet-in with any opcode, registers, nested actions and packet.
    fn packet_in(&mut self, opcode: u8) -> Option<Box<PacketIn>> {
        let shape = self.byte()?;
        let opcode = if opcode % 32 == 31 { Opcode::FRAGMENT.0 } else { u32::from(opcode % 32) };
        let mut userdata = [opcode.to_be_bytes(), [0; 4]].concat();
        let mut metadata = Match::builder();
        metadata
            .exact(Field::METADATA, 7u8)
            .exact(Field::reg(14), shape & 3)
            .exact(Field::reg(15), shape >> 2 & 3);
        metadata.exact(Field::reg(0), self.byte()?).exact(Field::reg(3), shape >> 4);
        userdata.extend(self.run(1)?);
        Some(Box::new(PacketIn {
            reason: PacketIn::REASON_ACTION,
            metadata: metadata.build(),
            userdata: userdata.into(),
            continuation: (shape & 0x80 == 0).then(|| [1, 2].into()),
            packet: self.run(8)?,
            ..PacketIn::default()
        }))
    }

    /// Takes all output, which the switch must be able to read.
    fn take(&mut self) {
        let mut bytes = Vec::new();
        while let Some(message) = self.responder.poll_output() {
            bytes.clear();
            if message.encode(Version::V1_5, Xid(0), &mut bytes).is_ok() {
                assert!(Message::decode(&bytes).is_ok(), "{message:?}");
            }
        }
    }

    fn check_bounds(&self) {
        let load = self.responder.load();
        assert!(load.next_hops <= MAX_NEXT_HOPS);
        assert!(load.waiting_packets <= MAX_NEXT_HOPS * MAX_FRAGMENTS_PER_NEXT_HOP);
        assert!(load.waiting_bytes <= MAX_WAITING_BYTES);
        assert!(load.pending_bindings.max(load.pending_fdb).max(load.activated) <= MAX_PENDING);
        assert!(load.output <= MAX_OUTPUT && load.failures <= MAX_FAILURES && load.logs <= MAX_LOGS);
        let counters = self.responder.counters();
        let sent = [Event::Answered, Event::Resumed, Event::Cut].map(|event| counters.total(event));
        let sent: u64 = sent.iter().sum();
        let paid: u64 = Class::ALL.iter().map(|class| self.responder.budgets().counts(*class).paid).sum();
        assert!(sent <= paid, "{sent} packets were sent, and {paid} paid for");
    }

    /// In the end nothing is left, and every packet that waited was sent on or dropped for a reason that is counted.
    fn end(mut self) {
        for _ in 0..20 {
            self.now = self.now + QUERY_INTERVAL;
            self.responder.tick(self.now);
            self.responder.take_writes(self.now);
            self.take();
        }
        self.responder.take_failures();
        self.responder.take_logs();
        self.responder.take_activated();
        self.check_bounds();
        assert_eq!((self.responder.load(), self.responder.deadline()), (Load::default(), None));
        let counters = self.responder.counters();
        let later = [DropReason::PushedOut, DropReason::Unresolved, DropReason::PortGone];
        let dropped: u64 = later.iter().map(|reason| counters.total(Event::Dropped(*reason))).sum();
        let at_once = counters.total(Event::Dropped(DropReason::OutputFull));
        if at_once == 0 {
            let known = counters.total(Event::Resumed).checked_sub(counters.total(Event::Held) - dropped);
            assert!(known.is_some(), "{:?}", counters.iter().collect::<Vec<_>>());
        }
    }
}
