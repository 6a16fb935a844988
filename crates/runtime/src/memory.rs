//! `memory/show`, and the lines that a growing daemon writes into its log.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use kiln_types::Instant;

/// Counts of what a daemon keeps, by name: cells of a replica, flows, sessions.
#[derive(Clone, Debug, Default)]
pub struct Usage {
    counts: BTreeMap<String, u64>,
}

impl Usage {
    /// Adds `count` to what is known under `name`. Names hold no spaces or colons, or readers cannot split the report.
    pub fn add(&mut self, name: impl Into<String>, count: u64) {
        *self.counts.entry(name.into()).or_default() += count;
    }

    /// The text of `memory/show`: `name:count` sorted by name and joined with spaces.
    pub fn show(&self) -> String {
        let mut out = String::new();
        for (name, count) in &self.counts {
            let separator = if out.is_empty() { "" } else { " " };
            let _ = write!(out, "{separator}{name}:{count}");
        }
        out
    }
}

/// Decides when free memory is given back to the kernel. The allocator keeps what lies between blocks that are in use,
/// so that a daemon would stay as large as it ever was.
///
/// It is done once work is over, or after a while if that does not end, and takes a small part of all time at most.
#[derive(Clone, Copy, Debug)]
pub struct Thrift {
    /// How many bytes had come when it was last done.
    done: u64,
    /// How many more make it worth doing again.
    worth: u64,
    /// It is not done again before this.
    pause_until: Instant,
    /// How many bytes have come, and when the first since it was last done and the last did.
    come: u64,
    since: Instant,
    last: Instant,
}

/// Work is over when nothing has come for this long.
const REST: Duration = Duration::from_millis(100);
/// When nothing has come for this long, there is time for what is hardly worth it.
const LONG_REST: Duration = Duration::from_secs(5);
/// Work that does not end is no reason to wait any longer than this.
const PATIENCE: Duration = Duration::from_secs(10);
/// The part of the time that it may take, since it takes longer the more there is in the heap: one in so many.
const TIME_SHARE: u32 = 100;
/// What comes sets free some sixteen times as much, or more (a row that is gone is named by its uuid, and what was derived from
/// it goes with it): less than this part of the resident memory is hardly worth it, since it mostly leaves less than a tenth
/// free.
const WORTH_SHARE: u64 = 160;
/// So few bytes are not worth it in any case.
const WORTH_BYTES: u64 = 64 << 10;

impl Thrift {
    /// For a process that starts now.
    pub fn new(now: Instant) -> Self {
        Thrift { done: 0, worth: WORTH_BYTES, pause_until: now, come: 0, since: now, last: now }
    }

    /// Notes that so many bytes have come in all.
    pub fn note(&mut self, now: Instant, received: u64) {
        if received == self.come {
            return;
        }
        if self.come == self.done {
            self.since = now;
        }
        (self.come, self.last) = (received, now);
    }

    /// When memory is to be given back, if nothing else comes until then.
    pub fn due(&self) -> Option<Instant> {
        let due = match self.come - self.done {
            come if come >= self.worth => (self.last + REST).min(self.since + PATIENCE),
            come if come >= WORTH_BYTES => self.last + LONG_REST,
            _ => return None,
        };
        Some(due.max(self.pause_until))
    }

    /// It was done, which took some time and left so much memory resident.
    pub fn done(&mut self, now: Instant, took: Duration, resident_kb: u64) {
        self.done = self.come;
        self.worth = WORTH_BYTES.max((resident_kb << 10) / WORTH_SHARE);
        self.pause_until = now + took * TIME_SHARE;
    }
}

/// How long after the start the first line is due.
const FIRST_REPORT: Duration = Duration::from_secs(10);

/// Decides when growth of the resident set is worth a line in the log: once it settled after the start, and then each
/// time its peak has grown by half.
#[derive(Clone, Copy, Debug)]
pub struct GrowthWatch {
    started: Instant,
    reported: Option<(Instant, u64)>,
}

impl GrowthWatch {
    /// A watch on a process that starts now.
    pub fn new(now: Instant) -> Self {
        GrowthWatch { started: now, reported: None }
    }

    /// The line to log, if the peak of the resident set, in kB, is worth one now.
    pub fn check(&mut self, now: Instant, peak_kb: u64) -> Option<String> {
        let line = match self.reported {
            None => {
                let age = now - self.started;
                (age >= FIRST_REPORT)
                    .then(|| format!("{peak_kb} kB peak resident set size after {:.1} seconds", age.as_secs_f64()))
            }
            Some((at, kb)) => (kb > 0 && peak_kb >= kb + kb / 2).then(|| {
                let percent = (peak_kb - kb) * 100 / kb;
                let secs = (now - at).as_secs_f64();
                format!("peak resident set size grew {percent}% in last {secs:.1} seconds, from {kb} kB to {peak_kb} kB")
            }),
        };
        if line.is_some() {
            self.reported = Some((now, peak_kb));
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_given_back_when_work_is_over() {
        let at = Instant::from_millis;
        let mut thrift = Thrift::new(at(0));
        assert_eq!(thrift.due(), None);
        thrift.note(at(1000), 60 << 10);
        assert_eq!(thrift.due(), None, "too little has come");
        thrift.note(at(2000), 70 << 10);
        assert_eq!(thrift.due(), Some(at(2100)));
        thrift.note(at(2050), 80 << 10);
        thrift.note(at(2060), 80 << 10);
        assert_eq!(thrift.due(), Some(at(2150)), "more has come");
        thrift.done(at(2150), Duration::ZERO, 0);
        assert_eq!(thrift.due(), None);
    }

    #[test]
    fn memory_is_given_back_while_work_goes_on() {
        let at = Instant::from_millis;
        let mut thrift = Thrift::new(at(0));
        for turn in 0..400 {
            thrift.note(at(1000 + turn * 50), turn << 20);
            let late = 1000 + turn * 50 >= 11_050;
            assert_eq!(thrift.due().is_some_and(|due| due <= at(1000 + turn * 50)), late, "turn {turn}");
        }
    }

    #[test]
    fn a_large_heap_is_looked_through_more_rarely() {
        let at = Instant::from_millis;
        let mut thrift = Thrift::new(at(0));
        thrift.note(at(10), 1 << 30);
        thrift.done(at(110), Duration::from_millis(20), 160 << 10);
        thrift.note(at(200), (1 << 30) + (1 << 20) - 1);
        assert_eq!(thrift.due(), Some(at(5200)), "less than a 160th of 160 MiB has time");
        thrift.note(at(200), (1 << 30) + (1 << 20));
        assert_eq!(thrift.due(), Some(at(2110)), "a hundred times as long as it took has to pass");
    }

    #[test]
    fn usage_is_sorted_and_summed() {
        let mut usage = Usage::default();
        assert_eq!(usage.show(), "");
        usage.add("monitors", 2);
        usage.add("cells", 1);
        usage.add("cells", 4);
        assert_eq!(usage.show(), "cells:5 monitors:2");
    }

    #[test]
    fn growth_is_reported_once_per_half() {
        let start = Instant::from_secs(50);
        let mut watch = GrowthWatch::new(start);
        assert_eq!(watch.check(start + Duration::from_secs(9), 1000), None);
        let first = watch.check(start + Duration::from_secs(10), 1000);
        assert_eq!(first.as_deref(), Some("1000 kB peak resident set size after 10.0 seconds"));
        assert_eq!(watch.check(start + Duration::from_secs(20), 1499), None);
        let grown = watch.check(start + Duration::from_secs(22), 1500);
        assert_eq!(
            grown.as_deref(),
            Some("peak resident set size grew 50% in last 12.0 seconds, from 1000 kB to 1500 kB")
        );
        assert_eq!(watch.check(start + Duration::from_secs(23), 1500), None);
    }
}
