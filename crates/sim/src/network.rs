//! Links: how long what is sent takes, and what is lost.

use kiln_types::{Instant, Rng};
use std::ops::RangeInclusive;
use std::time::Duration;

/// What carries frames. Each takes its own time, so a wide range of delays puts them in another order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// How long a frame takes, in microseconds.
    pub delay_us: RangeInclusive<u64>,
    /// How many of a thousand are lost.
    pub loss_per_mille: u32,
}

impl Link {
    /// How long this frame takes; `None` if it is lost.
    pub(crate) fn carry(&self, rng: &mut Rng) -> Option<Duration> {
        let lost = rng.u32(0..1000) < self.loss_per_mille;
        let delay = Duration::from_micros(rng.u64(self.delay_us.clone()));
        (!lost).then_some(delay)
    }
}

/// The links of a world.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Links {
    /// Between chassis.
    pub underlay: Link,
    /// Between a host and its switch.
    pub edge: Link,
    /// How long bytes take from a daemon to a database and back, in microseconds. They are neither lost nor reordered, as
    /// TCP sees to that.
    pub control_us: RangeInclusive<u64>,
}

impl Default for Links {
    /// A quiet data centre.
    fn default() -> Self {
        Links {
            underlay: Link { delay_us: 50..=500, loss_per_mille: 0 },
            edge: Link { delay_us: 10..=50, loss_per_mille: 0 },
            control_us: 100..=1000,
        }
    }
}

/// One direction of a byte stream: what is sent later never arrives earlier.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pipe {
    last: Instant,
}

impl Pipe {
    /// When what is sent now arrives, if it takes so long by itself.
    pub(crate) fn arrival(&mut self, earliest: Instant) -> Instant {
        self.last = self.last.max(earliest);
        self.last
    }
}
