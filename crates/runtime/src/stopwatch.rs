//! How long recurring work takes: what `stopwatch/show` prints.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

/// How many of the latest samples the percentile is taken over.
const WINDOW: usize = 512;
/// Weight of a new sample in the two moving averages.
const SHORT_TERM_WEIGHT: f64 = 0.5;
const LONG_TERM_WEIGHT: f64 = 0.01;

#[derive(Clone, Debug, Default)]
struct Stopwatch {
    samples: u64,
    max_ms: f64,
    min_ms: f64,
    short_term_ms: f64,
    long_term_ms: f64,
    /// The latest samples, overwritten in a ring.
    window_ms: Vec<f64>,
}

impl Stopwatch {
    fn record(&mut self, ms: f64) {
        if self.samples == 0 {
            *self =
                Stopwatch { max_ms: ms, min_ms: ms, short_term_ms: ms, long_term_ms: ms, ..Self::default() };
        }
        self.max_ms = self.max_ms.max(ms);
        self.min_ms = self.min_ms.min(ms);
        self.short_term_ms += SHORT_TERM_WEIGHT * (ms - self.short_term_ms);
        self.long_term_ms += LONG_TERM_WEIGHT * (ms - self.long_term_ms);
        let slot = (self.samples % WINDOW as u64) as usize;
        match self.window_ms.get_mut(slot) {
            Some(old) => *old = ms,
            None => self.window_ms.push(ms),
        }
        self.samples += 1;
    }

    /// The value that 95 in 100 of the window's samples do not exceed.
    fn percentile_95_ms(&self) -> f64 {
        let mut sorted = self.window_ms.clone();
        sorted.sort_by(f64::total_cmp);
        let rank = (sorted.len() * 95).div_ceil(100);
        sorted.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
    }
}

/// The stopwatches of one daemon, by name.
#[derive(Clone, Debug, Default)]
pub struct Stopwatches {
    by_name: BTreeMap<String, Stopwatch>,
}

impl Stopwatches {
    /// Makes the stopwatch `name` known, so that it is shown before its first sample.
    pub fn register(&mut self, name: &str) {
        self.by_name.entry(name.to_owned()).or_default();
    }

    /// Adds a sample to the stopwatch `name`.
    pub fn record(&mut self, name: &str, took: Duration) {
        let ms = took.as_secs_f64() * 1000.0;
        match self.by_name.get_mut(name) {
            Some(watch) => watch.record(ms),
            None => self.by_name.entry(name.to_owned()).or_default().record(ms),
        }
    }

    /// The text of `stopwatch/show [NAME]`; `None` if there is no such stopwatch.
    pub fn show(&self, name: Option<&str>) -> Option<String> {
        let mut out = String::new();
        let wanted = self.by_name.iter().filter(|(known, _)| name.is_none_or(|name| name == *known));
        for (known, watch) in wanted {
            // Extremes are whole milliseconds to a reader of stock's form; the other figures have fractions.
            let _ = writeln!(
                out,
                "Statistics for '{known}'\n  Total samples: {}\n  Maximum: {:.0} msec\n  Minimum: {:.0} msec\n  \
                 95th percentile: {:.6} msec\n  Short term average: {:.6} msec\n  Long term average: {:.6} msec",
                watch.samples,
                watch.max_ms,
                watch.min_ms,
                watch.percentile_95_ms(),
                watch.short_term_ms,
                watch.long_term_ms
            );
        }
        (name.is_none() || !out.is_empty()).then_some(out)
    }

    /// Forgets the samples of one stopwatch, or of all.
    pub fn reset(&mut self, name: Option<&str>) {
        for (known, watch) in &mut self.by_name {
            if name.is_none_or(|name| name == *known) {
                *watch = Stopwatch::default();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_those_of_the_samples() {
        let mut watches = Stopwatches::default();
        watches.register("idle");
        for ms in 1..=100 {
            watches.record("loop", Duration::from_millis(ms));
        }
        let shown = watches.show(Some("loop")).expect("known");
        for line in [
            "Statistics for 'loop'\n  Total samples: 100\n",
            "  Maximum: 100 msec\n  Minimum: 1 msec\n",
            "  95th percentile: 95.000000 msec\n",
            "  Short term average: 99.000000 msec\n",
        ] {
            assert!(shown.contains(line), "{line} in {shown}");
        }
        assert!(watches.show(None).expect("all").contains("'idle'\n  Total samples: 0\n  Maximum: 0 msec\n"));
        assert_eq!(watches.show(Some("nonesuch")), None);
        watches.reset(Some("idle"));
        assert!(watches.show(Some("loop")).expect("known").contains("samples: 100"));
        watches.reset(None);
        assert!(watches.show(Some("loop")).expect("known").contains("samples: 0"));
    }

    #[test]
    fn the_window_forgets_and_stays_bounded() {
        let mut watches = Stopwatches::default();
        for _ in 0..WINDOW {
            watches.record("w", Duration::from_secs(1));
        }
        for _ in 0..WINDOW {
            watches.record("w", Duration::from_millis(2));
        }
        let shown = watches.show(Some("w")).expect("known");
        assert!(shown.contains("95th percentile: 2.000000") && shown.contains("Maximum: 1000"), "{shown}");
        assert_eq!(watches.by_name["w"].window_ms.len(), WINDOW);
    }
}
