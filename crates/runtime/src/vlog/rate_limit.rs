//! Rate limits of single log statements.

use std::time::Duration;

use kiln_types::Instant;

/// A token bucket for one log statement, and what it kept back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RateLimit {
    per_minute: u64,
    /// Tokens scaled by [`TOKEN`], so that one accrues per minute and `per_minute` in integers.
    tokens: u64,
    filled: Instant,
    dropped: u32,
    first_dropped: Instant,
    last_dropped: Instant,
}

/// One message's worth of tokens: the microseconds of a minute.
const TOKEN: u64 = 60_000_000;

/// What to do with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Log it, after this notice if there is one.
    Pass(Option<Dropped>),
    /// Keep it back.
    Drop,
}

/// Messages that were kept back before the one that passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Dropped {
    pub(crate) count: u32,
    /// Since the first of them.
    pub(crate) first_ago: Duration,
    /// Since the last of them.
    pub(crate) last_ago: Duration,
}

impl std::fmt::Display for Dropped {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "Dropped {} log messages in last {} seconds (most recently, {} seconds ago) due to excessive rate",
            self.count,
            self.first_ago.as_secs(),
            self.last_ago.as_secs()
        )
    }
}

impl RateLimit {
    /// A full bucket that passes `per_minute` messages at once and as many each minute after.
    pub(crate) fn new(per_minute: u32, now: Instant) -> Self {
        let per_minute = u64::from(per_minute);
        RateLimit {
            per_minute,
            tokens: per_minute * TOKEN,
            filled: now,
            dropped: 0,
            first_dropped: now,
            last_dropped: now,
        }
    }

    /// Decides on a message that comes at `now`.
    pub(crate) fn check(&mut self, now: Instant) -> Verdict {
        let elapsed = now.as_micros().saturating_sub(self.filled.as_micros());
        let accrued = elapsed.saturating_mul(self.per_minute);
        self.tokens = self.tokens.saturating_add(accrued).min(self.per_minute * TOKEN);
        self.filled = now;
        if self.tokens < TOKEN {
            if self.dropped == 0 {
                self.first_dropped = now;
            }
            self.last_dropped = now;
            self.dropped = self.dropped.saturating_add(1);
            return Verdict::Drop;
        }
        self.tokens -= TOKEN;
        let count = std::mem::take(&mut self.dropped);
        Verdict::Pass((count > 0).then(|| Dropped {
            count,
            first_ago: now - self.first_dropped,
            last_ago: now - self.last_dropped,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate_rules() {
        let mut now = Instant::from_secs(10);
        let mut limit = RateLimit::new(5, now);
        let passed = (0..100).filter(|_| limit.check(now) != Verdict::Drop).count();
        assert_eq!(passed, 5);
        now = now + Duration::from_secs(7);
        assert_eq!(limit.check(now), Verdict::Drop);
        // One token each 12 seconds.
        now = now + Duration::from_secs(5);
        let Verdict::Pass(Some(dropped)) = limit.check(now) else { panic!("a token has accrued") };
        assert_eq!(
            dropped.to_string(),
            "Dropped 96 log messages in last 12 seconds (most recently, 5 seconds ago) due to excessive rate"
        );
        assert_eq!(limit.check(now), Verdict::Drop);
        now = now + Duration::from_hours(1);
        let passed = (0..100).filter(|_| limit.check(now) != Verdict::Drop).count();
        assert_eq!(passed, 5);
    }

    #[test]
    fn a_limit_of_nothing_passes_nothing() {
        let mut limit = RateLimit::new(0, Instant::ZERO);
        assert_eq!(limit.check(Instant::FAR_FUTURE), Verdict::Drop);
    }
}
