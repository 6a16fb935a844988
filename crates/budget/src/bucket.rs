//! One token bucket, and what one of those who share it used of it.

use kiln_types::Instant;
use std::fmt;
use std::str::FromStr;

/// A token in the unit that buckets count in, so that a rate in tokens a second times microseconds needs no division.
const TOKEN: u64 = 1_000_000;

/// How fast a bucket fills, and how much it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limit {
    /// Packets a second.
    pub rate_pps: u32,
    /// Packets at once after a rest.
    pub burst: u32,
}

impl Limit {
    /// No limit.
    pub const NONE: Limit = Limit { rate_pps: u32::MAX, burst: u32::MAX };

    /// A limit of `rate_pps` with a burst of `burst`.
    pub const fn new(rate_pps: u32, burst: u32) -> Limit {
        Limit { rate_pps, burst }
    }

    const fn full(self) -> u64 {
        self.burst as u64 * TOKEN
    }

    /// Seconds in which an empty bucket fills; infinite if it never does.
    fn fill_secs(self) -> f64 {
        f64::from(self.burst) / f64::from(self.rate_pps)
    }
}

/// What a text that should be a limit should have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected RATE/BURST, both at least 1, or none")]
pub struct ParseLimitError;

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Limit::NONE { f.write_str("none") } else { write!(f, "{}/{}", self.rate_pps, self.burst) }
    }
}

impl FromStr for Limit {
    type Err = ParseLimitError;

    /// Reads `RATE/BURST` in packets a second and packets, or `none`. A bucket that never fills, or holds nothing, would be a
    /// way to say that nothing is served, and is refused.
    fn from_str(text: &str) -> Result<Limit, ParseLimitError> {
        if text == "none" {
            return Ok(Limit::NONE);
        }
        let number =
            |text: &str| text.trim().parse().ok().filter(|number| *number > 0).ok_or(ParseLimitError);
        let (rate, burst) = text.split_once('/').ok_or(ParseLimitError)?;
        Ok(Limit::new(number(rate)?, number(burst)?))
    }
}

/// A token bucket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bucket {
    /// In units of a [`TOKEN`]'s millionth part.
    level: u64,
    at: Instant,
}

impl Bucket {
    pub(crate) const fn full(limit: Limit, now: Instant) -> Self {
        Bucket { level: limit.full(), at: now }
    }

    /// Lets time pass. Limits may have changed since.
    pub(crate) fn refill(&mut self, limit: Limit, now: Instant) {
        let micros = now.as_micros().saturating_sub(self.at.as_micros());
        let came = u64::from(limit.rate_pps).saturating_mul(micros);
        self.level = self.level.saturating_add(came).min(limit.full());
        self.at = self.at.max(now);
    }

    pub(crate) const fn has_one(&self) -> bool {
        self.level >= TOKEN
    }

    pub(crate) const fn is_full(&self, limit: Limit) -> bool {
        self.level >= limit.full()
    }

    /// Takes `tokens`, of which [`Bucket::has_one`] promised one; of the others, as many as there are.
    pub(crate) const fn take(&mut self, tokens: u32) {
        self.level = self.level.saturating_sub(tokens as u64 * TOKEN);
    }

    const fn tokens(&self) -> f64 {
        self.level as f64 / TOKEN as f64
    }
}

/// What one of those who share a bucket used of it lately.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Share {
    tokens: f64,
    at: Instant,
}

impl Share {
    /// Less than this is nothing.
    const NOTHING: f64 = 0.01;

    pub(crate) const fn none(now: Instant) -> Self {
        Share { tokens: 0.0, at: now }
    }

    /// Lets time pass for a share of a bucket with that limit.
    pub(crate) fn fade(&mut self, of: Limit, now: Instant) {
        if self.tokens > 0.0 {
            let secs = now.saturating_since(self.at).as_secs_f64();
            self.tokens *= (-secs / of.fill_secs()).exp();
            // a bucket of no size at all is never shared
            if !self.tokens.is_finite() {
                self.tokens = 0.0;
            }
        }
        self.at = self.at.max(now);
    }

    /// Whether its owner may use more of `bucket`.
    pub(crate) const fn may_take(&self, bucket: &Bucket) -> bool {
        bucket.has_one() && self.tokens < bucket.tokens()
    }

    pub(crate) const fn is_nothing(&self) -> bool {
        self.tokens < Self::NOTHING
    }

    pub(crate) fn add(&mut self, tokens: u32) {
        self.tokens += f64::from(tokens);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    fn spend(bucket: &mut Bucket, limit: Limit, now: Instant) -> bool {
        bucket.refill(limit, now);
        let has = bucket.has_one();
        if has {
            bucket.take(1);
        }
        has
    }

    #[test]
    fn a_burst_then_the_rate() {
        let limit = Limit::new(10, 3);
        let mut bucket = Bucket::full(limit, at(0));
        let passed: Vec<u64> = (0..1000).filter(|ms| spend(&mut bucket, limit, at(*ms))).collect();
        assert_eq!(passed, [0, 1, 2, 100, 200, 300, 400, 500, 600, 700, 800, 900]);
        bucket.refill(limit, at(100_000));
        assert!(bucket.is_full(limit));
    }

    #[test]
    fn extremes() {
        let limit = Limit::NONE;
        let mut bucket = Bucket::full(limit, at(0));
        assert!((0..10_000).all(|_| spend(&mut bucket, limit, at(0))));
        assert!(spend(&mut bucket, limit, Instant::FAR_FUTURE));
        let nothing = Limit::new(0, 0);
        assert!(!spend(&mut Bucket::full(nothing, at(0)), nothing, Instant::FAR_FUTURE));
        let once = Limit::new(0, 1);
        let mut bucket = Bucket::full(once, at(0));
        assert!(spend(&mut bucket, once, at(0)) && !spend(&mut bucket, once, Instant::FAR_FUTURE));
        // a limit that became tighter takes hold at once
        let mut bucket = Bucket::full(Limit::new(1, 100), at(0));
        assert_eq!((0..100).filter(|_| spend(&mut bucket, Limit::new(1, 2), at(0))).count(), 2);
        // a clock that stands or goes back brings nothing
        let limit = Limit::new(1000, 1);
        let mut bucket = Bucket::full(limit, at(50));
        assert!(spend(&mut bucket, limit, at(50)) && !spend(&mut bucket, limit, at(10)));
        assert!(!spend(&mut bucket, limit, at(50)));
    }

    #[test]
    fn use_is_forgotten_in_the_time_that_the_bucket_takes_to_fill() {
        let limit = Limit::new(10, 20);
        let mut share = Share::none(at(0));
        for _ in 0..10 {
            share.add(1);
        }
        share.fade(limit, at(2000));
        assert!((share.tokens - 10.0 / std::f64::consts::E).abs() < 1e-9);
        share.fade(limit, at(20_000));
        assert!(share.is_nothing());
        let mut share = Share { tokens: 5.0, at: at(0) };
        share.fade(Limit::new(0, 0), at(0));
        assert!(share.is_nothing());
    }
}
