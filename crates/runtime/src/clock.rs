//! The process's clocks: monotonic time as engines take it, and wall time for what is written into databases.

use std::time::{Duration, Instant as StdInstant, SystemTime, UNIX_EPOCH};

use kiln_types::Instant;

/// What both clocks showed at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Now {
    /// Monotonic time since the clock was made.
    pub at: Instant,
    /// Milliseconds since 1970 in UTC, as database columns such as `NB_Global.nb_cfg_timestamp` hold it.
    pub wall_ms: i64,
}

/// The real clock. Its origin is a little before the moment it was made, so that no real instant is
/// [`Instant::ZERO`], which engines may use for "never yet".
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    origin: StdInstant,
}

/// How far before its making a clock's origin lies.
const HEAD_START: Duration = Duration::from_secs(1);

impl Clock {
    /// A clock that starts now.
    pub fn new() -> Self {
        let now = StdInstant::now();
        Clock { origin: now.checked_sub(HEAD_START).unwrap_or(now) }
    }

    /// Both clocks, read together.
    pub fn now(&self) -> Now {
        let micros = u64::try_from(self.origin.elapsed().as_micros()).unwrap_or(u64::MAX);
        Now { at: Instant::from_micros(micros), wall_ms: wall_ms() }
    }

    /// The moment on tokio's clock that `at` is; `None` for a time that never comes.
    pub(crate) fn deadline(&self, at: Instant) -> Option<tokio::time::Instant> {
        self.origin.checked_add(Duration::from_micros(at.as_micros())).map(tokio::time::Instant::from_std)
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}

/// Milliseconds since 1970 in UTC; negative before.
pub fn wall_ms() -> i64 {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(before) => -i64::try_from(before.duration().as_millis()).unwrap_or(i64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_only_goes_forward_and_maps_back() {
        let clock = Clock::new();
        let (a, b) = (clock.now().at, clock.now().at);
        assert!(a > Instant::ZERO && b >= a);
        let later = clock.deadline(a + Duration::from_mins(1)).expect("a minute fits");
        let left = later.duration_since(tokio::time::Instant::now());
        assert!(left > Duration::from_secs(50) && left <= Duration::from_mins(1), "{left:?}");
        assert!(clock.deadline(Instant::FAR_FUTURE).is_none_or(|t| t > later));
    }
}
