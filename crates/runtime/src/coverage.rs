//! Event counters, their rates, and the text of `coverage/show`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::hash::Hasher;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use kiln_types::Instant;

/// How often rates are computed.
pub const INTERVAL: Duration = Duration::from_secs(5);
const SLOTS_PER_MINUTE: usize = 12;
const MINUTES_PER_HOUR: usize = 60;

/// A counter that any thread may add to. The shell's own are in [`SHELL`]; engines hand theirs over as plain totals.
#[derive(Debug)]
pub struct Counter {
    name: &'static str,
    total: AtomicU64,
}

impl Counter {
    const fn new(name: &'static str) -> Self {
        Counter { name, total: AtomicU64::new(0) }
    }

    /// Counts one event.
    pub fn inc(&self) {
        self.add(1);
    }

    /// Counts `events` events.
    pub fn add(&self, events: u64) {
        self.total.fetch_add(events, Ordering::Relaxed);
    }

    /// The name it is shown by.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Events since the process started.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}

macro_rules! counters {
    ($($(#[$doc:meta])* $id:ident = $name:literal;)*) => {
        $($(#[$doc])* pub static $id: Counter = Counter::new($name);)*
        /// Every counter of this crate.
        pub static SHELL: &[&Counter] = &[$(&$id),*];
    };
}

counters! {
    /// Turns of the daemon's loop.
    LOOP_WAKEUPS = "loop_wakeup";
    /// Turns that the engine's own timeout caused.
    LOOP_TIMEOUTS = "loop_timeout";
    /// Connections that came up, accepted ones included.
    STREAM_OPEN = "stream_open";
    /// Connections that could not be made.
    STREAM_OPEN_FAILED = "stream_open_failed";
    /// Connections that ended, by either side.
    STREAM_CLOSED = "stream_closed";
    /// Bytes read from all connections.
    STREAM_RECEIVED_BYTES = "stream_received_bytes";
    /// Bytes written to all connections.
    STREAM_SENT_BYTES = "stream_sent_bytes";
    /// TLS handshakes that failed.
    TLS_HANDSHAKE_FAILED = "tls_handshake_failed";
    /// Keys and certificates read from their files.
    TLS_CONFIG_LOADED = "tls_config_loaded";
    /// Control requests received.
    UNIXCTL_RECEIVED = "unixctl_received";
    /// Control requests answered.
    UNIXCTL_REPLIED = "unixctl_replied";
    /// Control connections dropped because what they sent is not a request.
    UNIXCTL_BAD_REQUEST = "unixctl_bad_request";
    /// Log messages that a rate limit kept back.
    VLOG_RATE_LIMITED = "vlog_rate_limited";
    /// Log messages that could not be written to their destination.
    VLOG_LOST = "vlog_lost";
}

/// What is known of one counter over time.
#[derive(Clone, Debug)]
struct History {
    total: u64,
    /// The total at the last tick.
    ticked: u64,
    /// Events in each of the last minute's intervals, and in each of the last hour's minutes.
    minute: [u64; SLOTS_PER_MINUTE],
    hour: [u64; MINUTES_PER_HOUR],
}

impl History {
    const NEW: History =
        History { total: 0, ticked: 0, minute: [0; SLOTS_PER_MINUTE], hour: [0; MINUTES_PER_HOUR] };
}

/// The counters of one daemon with their recent past.
#[derive(Debug)]
pub struct Coverage {
    counters: BTreeMap<Box<str>, History>,
    ticks: usize,
    next_tick: Instant,
}

impl Coverage {
    /// No counters yet; the first rates come an interval after `now`.
    pub fn new(now: Instant) -> Self {
        Coverage { counters: BTreeMap::new(), ticks: 0, next_tick: now + INTERVAL }
    }

    /// When [`Coverage::tick`] is due.
    pub fn next_tick(&self) -> Instant {
        self.next_tick
    }

    /// Takes the present total of a counter. A counter is known, and can be read, from its first observation on.
    pub fn observe(&mut self, name: &str, total: u64) {
        match self.counters.get_mut(name) {
            Some(history) => history.total = total,
            None => {
                self.counters.insert(name.into(), History { total, ..History::NEW });
            }
        }
    }

    /// Closes as many intervals as have passed; call after observing every counter.
    pub fn tick(&mut self, now: Instant) {
        // After a long standstill only an hour's worth of intervals can still show.
        let mut left = SLOTS_PER_MINUTE * MINUTES_PER_HOUR;
        while now >= self.next_tick && left > 0 {
            self.close_interval();
            self.next_tick = self.next_tick + INTERVAL;
            left -= 1;
        }
        if now >= self.next_tick {
            self.next_tick = now + INTERVAL;
        }
    }

    fn close_interval(&mut self) {
        let slot = self.ticks % SLOTS_PER_MINUTE;
        let minute = (self.ticks / SLOTS_PER_MINUTE) % MINUTES_PER_HOUR;
        for history in self.counters.values_mut() {
            // A total that went back means that its engine was replaced: the new total is all new.
            let events = history.total.checked_sub(history.ticked).unwrap_or(history.total);
            history.ticked = history.total;
            history.minute[slot] = events;
            if slot == 0 {
                history.hour[minute] = 0;
            }
            history.hour[minute] += events;
        }
        self.ticks += 1;
    }

    /// The total of the counter `name`, if there is one.
    pub fn read(&self, name: &str) -> Option<u64> {
        self.counters.get(name).map(|history| history.total)
    }

    /// The text of `coverage/show`: a line for each counter that was ever hit.
    pub fn show(&self) -> String {
        let last = (self.ticks + SLOTS_PER_MINUTE - 1) % SLOTS_PER_MINUTE;
        let mut lines = String::new();
        let mut never = 0usize;
        // The hash says whether two dumps saw the same kinds of events, whatever their number.
        let mut hash = hasher();
        for (name, history) in &self.counters {
            if history.total == 0 {
                never += 1;
                continue;
            }
            hash.write(name.as_bytes());
            let secs = INTERVAL.as_secs_f64();
            let minute: u64 = history.minute.iter().sum();
            let hour: u64 = history.hour.iter().sum();
            let _ = writeln!(
                lines,
                "{name:<24} {:5.1}/sec {:9.3}/sec {:13.4}/sec   total: {}",
                history.minute[last] as f64 / secs,
                minute as f64 / 60.0,
                hour as f64 / 3600.0,
                history.total
            );
        }
        let hash = hash.finish();
        format!(
            "Event coverage, avg rate over last: {} seconds, last minute, last hour,  hash={:08x}:\n\
             {lines}{never} events never hit\n",
            INTERVAL.as_secs(),
            (hash ^ (hash >> 32)) as u32
        )
    }
}

/// A hasher without a random seed.
fn hasher() -> impl Hasher {
    use std::hash::BuildHasher;
    kiln_types::HashSet::<()>::default().hasher().build_hasher()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_follow_events_and_fade() {
        let mut now = Instant::from_secs(100);
        let mut coverage = Coverage::new(now);
        coverage.observe("hits", 0);
        coverage.observe("never", 0);
        now = now + INTERVAL;
        coverage.observe("hits", 50);
        coverage.tick(now);
        let shown = coverage.show();
        let line = "hits                      10.0/sec     0.833/sec        0.0139/sec   total: 50\n";
        assert!(shown.contains(line), "{shown}");
        assert!(
            shown
                .starts_with("Event coverage, avg rate over last: 5 seconds, last minute, last hour,  hash=")
        );
        assert!(shown.ends_with("1 events never hit\n"), "{shown}");
        assert_eq!(
            (coverage.read("hits"), coverage.read("never"), coverage.read("x")),
            (Some(50), Some(0), None)
        );

        for _ in 0..12 {
            now = now + INTERVAL;
            coverage.tick(now);
        }
        let line = "hits                       0.0/sec     0.000/sec        0.0139/sec   total: 50\n";
        assert!(coverage.show().contains(line), "{}", coverage.show());

        now = now + Duration::from_hours(24);
        coverage.tick(now);
        let line = "hits                       0.0/sec     0.000/sec        0.0000/sec   total: 50\n";
        assert!(coverage.show().contains(line), "{}", coverage.show());
        assert_eq!(coverage.next_tick(), now + INTERVAL);
    }

    #[test]
    fn a_counter_that_starts_over_does_not_wrap() {
        let mut now = Instant::from_secs(1);
        let mut coverage = Coverage::new(now);
        for total in [1000, 10] {
            coverage.observe("c", total);
            now = now + INTERVAL;
            coverage.tick(now);
        }
        assert!(coverage.show().contains("c                          2.0/sec"), "{}", coverage.show());
    }
}
