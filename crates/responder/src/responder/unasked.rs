//! What the responder sends without a packet that asks for it, and router advertisements that a packet does ask for.

use super::{MAX_OUTPUT, Responder};
use crate::answer::put_nd_ra_opts;
use crate::punt::Punt;
use crate::{Announcement, DropReason, Event, PeriodicAdvert, Reach};
use kiln_abi::opcodes::Opcode;
use kiln_abi::registers::{flags, reg};
use kiln_abi::tables;
use kiln_budget::{Class, Payer};
use kiln_openflow::msg::{Message, PacketIn, PacketOut};
use kiln_openflow::{Action, Actions, Field, Subfield};
use kiln_types::{DatapathKey, Instant, OfPort, PortKey};
use std::net::IpAddr;
use std::time::Duration;

/// How much later something comes that could not be paid for.
const LATER: Duration = Duration::from_secs(1);
/// Most that is sent in one tick; the rest is due in the next.
const MAX_PER_TICK: usize = 256;

impl Responder {
    /// The connection for packets is there, or is gone: announcements wait for it, and a request is no try without it.
    pub const fn set_has_switch(&mut self, has_switch: bool) {
        self.has_switch = has_switch;
    }

    /// Announces an address from now on, first after a second.
    pub fn announce(&mut self, now: Instant, announcement: Announcement) {
        if !self.announcer.add(now, announcement) {
            let port = (announcement.datapath, announcement.port);
            self.counters.drop(Some(opcode(&announcement)), Some(port), DropReason::AnnouncementsFull);
        }
    }

    /// The address went, or the port.
    pub fn withdraw(&mut self, announcement: &Announcement) {
        self.announcer.remove(announcement);
    }

    /// A router advertises itself from now on; one that did so by the same port gives way to it.
    pub fn advertise(&mut self, now: Instant, advert: PeriodicAdvert) {
        self.advertiser.add(now, &mut self.rng, advert);
    }

    /// A router no longer advertises itself.
    pub fn stop_advertising(&mut self, advert: &PeriodicAdvert) {
        self.advertiser.remove(advert);
    }

    pub(super) fn announce_deadline(&self) -> Option<Instant> {
        let due = [self.announcer.deadline(), self.advertiser.deadline()].into_iter().flatten().min();
        due.filter(|_| self.has_switch)
    }

    pub(super) fn announce_due(&mut self, now: Instant) {
        for _ in 0..MAX_PER_TICK {
            if self.announce_deadline().is_none_or(|due| due > now) || self.output.len() >= MAX_OUTPUT {
                return;
            }
            if let Some(announcement) = self.announcer.pop_due(now) {
                let Announcement { datapath, port, .. } = announcement;
                let opcode = opcode(&announcement);
                if self.is_paid(now, Class::Neighbor, (datapath, port)) {
                    self.inject(opcode, (datapath, port), Reach::All, announcement.frame());
                } else {
                    self.counters.count(Some(opcode), Event::Postponed);
                    self.announcer.postpone(announcement, now + LATER);
                }
            } else if let Some(advert) = self.advertiser.pop_due(now, &mut self.rng) {
                let (place, reach, frame) =
                    ((advert.datapath, advert.port), advert.reach, advert.frame.to_vec());
                if self.is_paid(now, Class::RouterAdvert, place) {
                    self.inject(Opcode::PUT_ND_RA_OPTS, place, reach, frame);
                } else {
                    self.counters.count(Some(Opcode::PUT_ND_RA_OPTS), Event::Postponed);
                }
            }
        }
    }

    fn is_paid(&mut self, now: Instant, class: Class, (router, port): (DatapathKey, PortKey)) -> bool {
        self.budgets.pay(now, class, &Payer { router, port, source: None }).is_ok()
    }

    /// Sends a frame as if it had come in by a logical port.
    fn inject(&mut self, opcode: Opcode, place: (DatapathKey, PortKey), reach: Reach, frame: Vec<u8>) {
        let (datapath, port) = place;
        let mut actions = vec![
            Action::set_field(Field::METADATA, datapath.0),
            Action::set_field(Field::reg(reg::INPORT), port.0),
        ];
        let flags: &[u8] = match reach {
            Reach::All => &[],
            Reach::Chassis => &[flags::LOCAL_ONLY],
            Reach::ChassisAndNetwork => &[flags::LOCAL_ONLY, flags::OVERRIDE_LOCAL_ONLY],
        };
        for flag in flags {
            actions.push(Action::load(Subfield::new(Field::reg(reg::FLAGS), (*flag).into(), 1), 1u8));
        }
        actions.push(Action::resubmit(tables::LOG_INGRESS));
        let Ok(actions) = Actions::encode(&actions) else { return };
        self.counters.count(Some(opcode), Event::Announced);
        let packet_out = PacketOut::new(OfPort::CONTROLLER, actions, frame.into());
        self.output.push_back(Message::PacketOut(Box::new(packet_out)));
    }

    /// Puts an advertisement into the solicitation's place and says so; a packet without an answer goes on as it came.
    pub(super) fn advertise_solicited(
        &mut self,
        opcode: Opcode,
        punt: &Punt<'_>,
        packet_in: &PacketIn,
    ) -> Result<(), DropReason> {
        if !punt.is_paused {
            return Err(DropReason::NotPaused);
        }
        let (bit, advert) = put_nd_ra_opts::read(punt)?;
        let answer = put_nd_ra_opts::advertisement(punt, advert);
        let mut metadata = packet_in.metadata.to_builder();
        metadata.set(bit.load(u128::from(answer.is_ok())));
        let mut resumed = PacketIn { metadata: metadata.build(), ..packet_in.clone() }.into_resume();
        match answer {
            Ok(frame) => {
                resumed.packet = frame.into();
                self.counters.count(Some(opcode), Event::Answered);
            }
            Err(reason) => self.counters.drop(Some(opcode), punt.metadata.place(), reason),
        }
        self.output.push_back(Message::Resume(Box::new(resumed)));
        Ok(())
    }
}

/// Where announcements are counted: with the action that answers the same question.
const fn opcode(announcement: &Announcement) -> Opcode {
    match announcement.ip {
        Some(IpAddr::V6(_)) if announcement.router => Opcode::ND_NA_ROUTER,
        Some(IpAddr::V6(_)) => Opcode::ND_NA,
        _ => Opcode::ARP,
    }
}
