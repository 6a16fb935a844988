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
#[derive(Clone, Copy, Debug)]
pub struct Thrift {
    /// When it was last done, and how many bytes had come until then.
    done: (Instant, u64),
    /// What came before that may still have been at work: it is done once more.
    again: bool,
}

/// How often memory is given back at most: looking for it takes time, the more the larger the heap is.
const GIVE_BACK_INTERVAL: Duration = Duration::from_secs(10);
/// Less input than this leaves too little free to be worth it.
const GIVE_BACK_BYTES: u64 = 64 << 10;

impl Thrift {
    /// For a process that starts now.
    pub fn new(now: Instant) -> Self {
        Thrift { done: (now, 0), again: false }
    }

    /// Whether memory is to be given back now, when `received` bytes have come in all.
    pub fn check(&mut self, now: Instant, received: u64) -> bool {
        let (at, before) = self.done;
        let worked = received >= before + GIVE_BACK_BYTES;
        let due = now >= at + GIVE_BACK_INTERVAL && (worked || self.again);
        if due {
            *self = Thrift { done: (now, received), again: worked };
        }
        due
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
    fn memory_is_given_back_after_work_and_not_too_often() {
        let at = Instant::from_secs;
        let mut thrift = Thrift::new(at(0));
        assert!(!thrift.check(at(5), 1 << 20));
        assert!(thrift.check(at(10), 1 << 20));
        assert!(!thrift.check(at(15), (1 << 20) + 10));
        assert!(thrift.check(at(20), (1 << 20) + 20), "once more");
        assert!(!thrift.check(at(60), (1 << 20) + 100), "nothing but probes came");
        assert!(thrift.check(at(65), 2 << 20));
        assert!(!thrift.check(at(70), 3 << 20));
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
