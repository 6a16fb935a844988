//! A hash over everything that happened, by which two runs are known to be the same.

use kiln_types::Instant;
use xxhash_rust::xxh3::Xxh3;

/// The hash and the number of events in it.
#[derive(Clone, Default)]
pub(crate) struct Trace {
    hash: Xxh3,
    events: u64,
}

impl Trace {
    /// Notes an event: its time, what it is, and its bytes.
    pub(crate) fn note(&mut self, now: Instant, what: &str, numbers: &[u64], bytes: &[u8]) {
        self.events += 1;
        self.hash.update(&now.as_micros().to_be_bytes());
        self.hash.update(what.as_bytes());
        for number in numbers {
            self.hash.update(&number.to_be_bytes());
        }
        self.hash.update(bytes);
    }

    pub(crate) fn digest(&self) -> u64 {
        self.hash.digest()
    }

    pub(crate) fn events(&self) -> u64 {
        self.events
    }
}
