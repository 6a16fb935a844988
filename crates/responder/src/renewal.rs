//! Neighbours that expire, kept fresh while they are used: who is heard of need not be asked, who is not is asked in time, and
//! the unused are let go.
//!
//! Several chassis may use one neighbour, and each could ask. What tells them of each other is the row's timestamp, which
//! whoever hears an answer brings forward: a chassis that sees it do so has nothing to ask any more. The chassis whose
//! question was answered asks first the next time; the others wait longer, each its own time.
//!
//! Switches count packets, and tell how long ago the last one was in whole seconds. Only a count that has changed is news: the
//! time alone would be a little later at every look, and a neighbour that was heard of once would be heard of for ever.

use crate::NextHop;
use crate::reachability::{Happening, State, Timers, next};
use kiln_types::{HashMap, Instant};
use std::collections::BTreeSet;
use std::hash::BuildHasher;
use std::time::Duration;

/// A row is brought forward once it is this part of its time behind.
const COOLDOWN_PART: u32 = 8;
/// Use is looked for this often in the time that an entry is kept.
const LOOKS: u32 = 8;
/// Switches tell times in whole seconds.
const CLOCK_GRAIN: Duration = Duration::from_secs(1);
/// Rows tell times in whole milliseconds of the wall clock, which is not read at the same moment as the clock that is used here:
/// what was written here must not look newer when it comes back.
const ROW_GRAIN: Duration = Duration::from_millis(10);

/// A neighbour.
#[derive(Clone, Copy, Debug)]
struct Entry {
    keep: Duration,
    /// When the row says that it was last heard of.
    written: Instant,
    /// When it was last heard of, as far as is known here.
    confirmed: Instant,
    state: State,
    leads: bool,
    /// How often it was confirmed.
    round: u32,
    due: Option<Instant>,
    /// Packets of it and to it that were counted when it was last looked at.
    heard: Option<u64>,
    used: Option<u64>,
}

/// What was counted of packets of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counted {
    /// How many there were since the switch began to count.
    pub packets: u64,
    /// How long ago the last one was.
    pub ago: Duration,
}

/// What was counted of a neighbour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Use {
    /// Packets that came from it.
    pub heard: Option<Counted>,
    /// Packets that went to it.
    pub used: Option<Counted>,
}

/// A neighbour was heard of, and its row does not say so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// The neighbour.
    pub next_hop: NextHop,
    /// How long ago.
    pub ago: Duration,
}

/// Every neighbour that expires, with the state it is in.
#[derive(Debug)]
pub struct Renewal {
    entries: HashMap<NextHop, Entry>,
    due: BTreeSet<(Instant, NextHop)>,
    /// Those that are to be solicited at once.
    wanted: BTreeSet<NextHop>,
    /// Makes this chassis' times other than those of its peers.
    seed: u64,
    solicited: u64,
}

/// What is new since packets were last counted.
fn news(counted: Option<Counted>, last: &mut Option<u64>) -> Option<Counted> {
    counted.filter(|counted| last.replace(counted.packets) != Some(counted.packets))
}

/// Whether this chassis was the last to ask: the answer is seen where the neighbour is, perhaps late.
const fn has_asked(state: State) -> bool {
    matches!(state, State::Probe(_) | State::Unreachable(_) | State::Lost(_))
}

fn before(now: Instant, ago: Duration) -> Instant {
    let micros = u64::try_from(ago.as_micros()).unwrap_or(u64::MAX);
    Instant::from_micros(now.as_micros().saturating_sub(micros))
}

impl Renewal {
    /// Of no neighbour.
    pub fn new(seed: u64) -> Self {
        Renewal {
            entries: HashMap::default(),
            due: BTreeSet::new(),
            wanted: BTreeSet::new(),
            seed,
            solicited: 0,
        }
    }

    /// A row has come or has changed: the neighbour was last heard of `age` ago and expires `keep` after that.
    pub fn follow(&mut self, now: Instant, next_hop: NextHop, age: Duration, keep: Duration) {
        let written = before(now, age);
        match self.take_out(&next_hop) {
            Some(mut entry) => {
                entry.written = entry.written.max(written);
                entry.keep = keep;
                if written > entry.confirmed + ROW_GRAIN {
                    self.confirm(next_hop, &mut entry, written);
                }
                self.put_back(now, next_hop, entry);
            }
            None => {
                let state = State::Reachable;
                let (leads, round, due, heard, used) = (false, 0, None, None, None);
                let confirmed = written;
                let entry = Entry { keep, written, confirmed, state, leads, round, due, heard, used };
                self.put_back(now, next_hop, entry);
            }
        }
        // One that has been stale for long is so at once.
        self.advance_one(now, next_hop);
    }

    /// The row is gone, or nothing makes it expire.
    pub fn forget(&mut self, next_hop: &NextHop) {
        self.take_out(next_hop);
    }

    /// What the switch has counted of a neighbour. `since` is the time since it was last looked at. Returns whether its row is to
    /// be brought forward.
    pub fn note(&mut self, now: Instant, next_hop: NextHop, seen: Use, since: Duration) -> Option<Heard> {
        let mut entry = self.take_out(&next_hop)?;
        let heard = news(seen.heard, &mut entry.heard);
        let behind = heard.and_then(|heard| self.hear(now, next_hop, &mut entry, heard.ago));
        let used = news(seen.used, &mut entry.used).is_some_and(|used| used.ago <= since + CLOCK_GRAIN);
        self.put_back(now, next_hop, entry);
        self.advance_one(now, next_hop);
        if used && self.happen(now, next_hop, Happening::Used) {
            self.wanted.insert(next_hop);
        }
        behind
    }

    /// A packet has come up by which a neighbour says once more what its row says. Returns whether that is to be brought forward.
    ///
    /// Neighbours whose answer does not name their link-layer address, which RFC 4861, section 7.2.4, lets them leave out when they
    /// alone were asked, are not counted by the switch.
    pub fn heard(&mut self, now: Instant, next_hop: NextHop) -> Option<Heard> {
        let mut entry = self.take_out(&next_hop)?;
        let behind = self.hear(now, next_hop, &mut entry, Duration::ZERO);
        self.put_back(now, next_hop, entry);
        behind
    }

    fn hear(&mut self, now: Instant, next_hop: NextHop, entry: &mut Entry, ago: Duration) -> Option<Heard> {
        let at = before(now, ago);
        if at > entry.confirmed {
            self.confirm(next_hop, entry, at);
        }
        (at - entry.written >= entry.keep / COOLDOWN_PART).then_some(Heard { next_hop, ago })
    }

    fn confirm(&mut self, next_hop: NextHop, entry: &mut Entry, at: Instant) {
        entry.leads = has_asked(entry.state);
        (entry.state, _) = next(entry.state, Happening::Confirmed);
        entry.confirmed = at;
        entry.round = entry.round.wrapping_add(1);
        entry.due = self.timers(next_hop, entry).of(entry.state).map(|time| at + time);
    }

    fn timers(&self, next_hop: NextHop, entry: &Entry) -> Timers {
        let hasher = self.entries.hasher();
        let spread = (hasher.hash_one(next_hop) >> 32) as u8;
        let jitter = (hasher.hash_one((self.seed, next_hop, entry.round)) >> 32) as u8;
        Timers { keep: entry.keep, spread, jitter, leads: entry.leads }
    }

    fn take_out(&mut self, next_hop: &NextHop) -> Option<Entry> {
        self.wanted.remove(next_hop);
        let entry = self.entries.remove(next_hop)?;
        if let Some(due) = entry.due {
            self.due.remove(&(due, *next_hop));
        }
        Some(entry)
    }

    fn put_back(&mut self, now: Instant, next_hop: NextHop, mut entry: Entry) {
        let since = if entry.state == State::Reachable { entry.confirmed } else { now };
        if entry.state == State::Reachable || entry.due.is_none() {
            entry.due = self.timers(next_hop, &entry).of(entry.state).map(|time| since + time);
        }
        if let Some(due) = entry.due {
            self.due.insert((due, next_hop));
        }
        self.entries.insert(next_hop, entry);
    }

    /// Returns whether the neighbour is to be solicited.
    fn happen(&mut self, now: Instant, next_hop: NextHop, happening: Happening) -> bool {
        let Some(mut entry) = self.take_out(&next_hop) else { return false };
        let (state, solicits) = next(entry.state, happening);
        if state != entry.state {
            entry.state = state;
            entry.due = None;
        }
        self.put_back(now, next_hop, entry);
        if solicits {
            self.solicited += 1;
        }
        solicits
    }

    /// Ends the time in which a neighbour counts as reachable, if it is over.
    fn advance_one(&mut self, now: Instant, next_hop: NextHop) {
        let entry = self.entries.get(&next_hop);
        if entry.is_some_and(|e| e.state == State::Reachable && e.due.is_some_and(|due| due <= now)) {
            self.happen(now, next_hop, Happening::Timer);
        }
    }

    /// Lets time pass; neighbours that are to be solicited go to `solicit`.
    pub fn advance(&mut self, now: Instant, mut solicit: impl FnMut(NextHop)) {
        std::mem::take(&mut self.wanted).into_iter().for_each(&mut solicit);
        while let Some(&(_, next_hop)) = self.due.first().filter(|(due, _)| *due <= now) {
            if self.happen(now, next_hop, Happening::Timer) {
                solicit(next_hop);
            }
        }
    }

    /// Whether a neighbour gave no answer when it was last asked.
    pub fn has_failed(&self, next_hop: &NextHop) -> bool {
        self.entries.get(next_hop).is_some_and(|e| matches!(e.state, State::Unreachable(_) | State::Lost(_)))
    }

    /// Whether a neighbour is being asked.
    pub fn is_asked(&self, next_hop: &NextHop) -> bool {
        self.entries.get(next_hop).is_some_and(|entry| matches!(entry.state, State::Probe(_)))
    }

    /// When [`Renewal::advance`] next has something to do.
    pub fn deadline(&self) -> Option<Instant> {
        if self.wanted.is_empty() { self.due.first().map(|(due, _)| *due) } else { Some(Instant::ZERO) }
    }

    /// How many neighbours there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// How often neighbours were to be solicited.
    pub fn solicited(&self) -> u64 {
        self.solicited
    }

    /// How often use is to be looked for, where the shortest-lived entry is kept for `keep`.
    pub fn look_interval(keep: Duration) -> Duration {
        keep / LOOKS
    }
}
