//! What the meters of ports, and those of next hops that are held down, have dropped before it came up: asked of the switch now
//! and then, told by class and port.

use super::{ControllerDaemon, budgets};
use crate::hold_down;
use crate::physical::punt_meters;
use crate::tables::Db;
use kiln_abi::opcodes::Opcode;
use kiln_abi::punts::PuntClass;
use kiln_openflow::Xid;
use kiln_openflow::msg::{Message, Meter, MeterStats, MultipartReply, MultipartRequest};
use kiln_openflow::session::{self, Session};
use kiln_types::Instant;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

/// The switch is asked no more often.
const MIN_INTERVAL: Duration = Duration::from_secs(5);
/// And a little more rarely for each meter that it told of, so that an answer never has more than a thousand a second.
const TIME_PER_METER: Duration = Duration::from_millis(1);

/// The class of what passes a meter, if it is one of Kiln's own ahead of the controller.
pub(super) fn class(name: &str) -> Option<PuntClass> {
    let held_down = || hold_down::port_of_meter(name).and_then(|_| PuntClass::of(Opcode::HELD_DOWN));
    punt_meters::class(name).or_else(held_down)
}

/// The ports that a meter is of, in words: those that packets come in by, or the router port that they would have gone out by.
fn ports(db: &Db, name: &str) -> String {
    match hold_down::port_of_meter(name) {
        Some((datapath, port)) => budgets::name(db, datapath, port),
        None => punt_meters::ports(db, name),
    }
}

/// What a meter has dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Drops {
    /// The number under which the switch has it.
    id: u32,
    /// What it said when it was last asked.
    told: u64,
    /// All since this daemon started, also of meters of that name which the switch has forgotten.
    total: u64,
}

/// What the meters of ports have dropped.
#[derive(Debug, Default)]
pub(super) struct MeterDrops {
    asked: Option<Xid>,
    next_at: Option<Instant>,
    interval: Duration,
    /// By the meters' names; those that stand and have dropped something, so at most as many as there are meters.
    by_meter: BTreeMap<Box<str>, Drops>,
    by_class: [u64; PuntClass::ALL.len()],
}

impl MeterDrops {
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.next_at
    }

    /// Asks, if it is time to. A switch that has not answered yet is not asked again.
    pub(super) fn advance(&mut self, now: Instant, has_meters: bool, session: &mut Session) {
        if !has_meters {
            self.next_at = None;
            return;
        }
        if self.next_at.is_some_and(|at| at > now) {
            return;
        }
        if self.asked.is_none() {
            let all = MultipartRequest::Meter(Meter::ALL_IDS);
            // A session that is not ready is asked at the next time.
            self.asked = session.send(&Message::MultipartRequest(all)).ok();
        }
        self.next_at = Some(now + self.interval.max(MIN_INTERVAL));
    }

    /// What came from the switch, and the meters that are wanted: their numbers and names.
    pub(super) fn note<'m>(&mut self, event: &session::Event, meters: impl Iterator<Item = (u32, &'m str)>) {
        match event {
            session::Event::Ready { .. } => self.asked = None,
            session::Event::Error { xid, .. } if self.asked == Some(*xid) => self.asked = None,
            session::Event::Reply { xid, message: Message::MultipartReply { reply, .. } }
                if self.asked == Some(*xid) =>
            {
                self.asked = None;
                if let MultipartReply::Meter(told) = reply {
                    self.interval = TIME_PER_METER * u32::try_from(told.len()).unwrap_or(u32::MAX);
                    self.count(told, meters);
                }
            }
            _ => {}
        }
    }

    fn count<'m>(&mut self, told: &[MeterStats], meters: impl Iterator<Item = (u32, &'m str)>) {
        let told: BTreeMap<u32, u64> = told
            .iter()
            .map(|meter| (meter.meter_id, meter.bands.iter().map(|(packets, _)| packets).sum()))
            .filter(|(_, dropped)| *dropped > 0)
            .collect();
        let mut before = std::mem::take(&mut self.by_meter);
        for (id, name) in meters {
            let Some(class) = class(name) else { continue };
            let (old, now) = (before.remove(name), told.get(&id).copied().unwrap_or(0));
            // A meter that is made or changed begins at nothing.
            let known = old.filter(|old| old.id == id && old.told <= now).map_or(0, |old| old.told);
            let total = old.map_or(0, |old| old.total) + (now - known);
            self.by_class[class as usize] += now - known;
            if total > 0 {
                self.by_meter.insert(name.into(), Drops { id, told: now, total });
            }
        }
    }

    /// Totals by class, for `coverage/show`. Errors and unreachables share a meter, which is called after the first.
    pub(super) fn visit(&self, visit: &mut dyn FnMut(&str, u64)) {
        for class in PuntClass::ALL {
            visit(&format!("budget_{}_over_meter", class.name()), self.by_class[class as usize]);
        }
    }

    /// One line for each port of which something was dropped, in order of names, with the classes.
    fn show(&self, db: &Db, out: &mut String) {
        let mut lines: BTreeMap<String, BTreeMap<&str, u64>> = BTreeMap::new();
        for (name, drops) in &self.by_meter {
            if let Some(class) = class(name) {
                let line = lines.entry(ports(db, name)).or_default();
                *line.entry(class.name()).or_default() += drops.total;
            }
        }
        out.push_str("meters of ports:\n");
        for (port, classes) in lines {
            let _ = write!(out, "  {port}:");
            for (class, total) in classes {
                let _ = write!(out, " {class}={total}");
            }
            out.push('\n');
        }
    }
}

impl ControllerDaemon {
    /// What came on the connection for questions.
    pub(super) fn note_meter_drops(&mut self, event: &session::Event) {
        let meters = self.compiler.desired().meters.iter().map(|(id, name, _)| (id, name));
        self.meter_drops.note(event, meters);
    }

    /// What the meters of ports have dropped: the end of `budget/show`.
    pub(super) fn show_meter_drops(&self, out: &mut String) {
        self.meter_drops.show(self.compiler.db(), out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(meters: &[(u32, u64)]) -> Vec<MeterStats> {
        let stats = |&(meter_id, dropped): &(u32, u64)| MeterStats {
            meter_id,
            flow_count: 1,
            packets: dropped + 5,
            bytes: 0,
            duration: (1, 0),
            bands: vec![(dropped, 0)],
        };
        meters.iter().map(stats).collect()
    }

    fn totals(drops: &MeterDrops) -> Vec<(&str, u64)> {
        drops.by_meter.iter().map(|(name, drops)| (&**name, drops.total)).collect()
    }

    const ERRORS: &str = "__punt: error port 5";
    const REST: &str = "__punt: rest network 7";

    #[test]
    fn drops_are_counted_once_whatever_becomes_of_the_meter() {
        let mut drops = MeterDrops::default();
        let wanted = || [(1, ERRORS), (2, REST), (3, "acl-meter")].into_iter();
        drops.count(&told(&[(1, 100), (2, 0), (3, 9)]), wanted());
        assert_eq!(totals(&drops), [(ERRORS, 100)]);
        drops.count(&told(&[(1, 150), (2, 7)]), wanted());
        assert_eq!(totals(&drops), [(ERRORS, 150), (REST, 7)]);
        // the switch has restarted, and has dropped more since
        drops.count(&told(&[(1, 30), (2, 0)]), wanted());
        assert_eq!(totals(&drops), [(ERRORS, 180), (REST, 7)]);
        // its number is another one's now
        drops.count(&told(&[(4, 40), (1, 50)]), [(4, ERRORS), (1, REST)].into_iter());
        assert_eq!(totals(&drops), [(ERRORS, 220), (REST, 57)]);
        // a port that goes takes its line along; what it had dropped stays dropped
        drops.count(&told(&[(1, 50)]), [(1, REST)].into_iter());
        assert_eq!(totals(&drops), [(REST, 57)]);
        assert_eq!(
            (drops.by_class[PuntClass::Error as usize], drops.by_class[PuntClass::Rest as usize]),
            (220, 57)
        );
    }

    #[test]
    fn drops_for_held_down_next_hops_are_errors_of_the_port_that_packets_would_have_left_by() {
        let mut drops = MeterDrops::default();
        drops.count(&told(&[(7, 40)]), [(7, "__held_down: 4 1")].into_iter());
        assert_eq!(drops.by_class[PuntClass::Error as usize], 40);
        let mut out = String::new();
        drops.show(hold_down::tests::router().db(), &mut out);
        assert_eq!(out, "meters of ports:\n  r0-in: error=40\n");
    }
}
