//! Both controllers side by side, and what Kiln is to reach.

use super::{Bounded, Rate, Samples, Times, Unbounded};
use std::time::Duration;

/// How much less of the processor an answer may cost.
const CHEAPER: f64 = 0.5;
/// How much longer anything may take beside a flood.
const SLOWER: f64 = 2.0;

/// The sample that so large a part of all does not exceed.
fn quantile(samples: &Samples, part: f64) -> Duration {
    let mut sorted = samples.clone();
    sorted.sort_unstable();
    let at = (sorted.len() as f64 * part).ceil() as usize;
    sorted.get(at.saturating_sub(1)).copied().unwrap_or_default()
}

fn micros(duration: Duration) -> String {
    format!("{:.1} us", duration.as_secs_f64() * 1e6)
}

/// A line, and whether what it says is reached.
fn line(what: &str, stock: &str, kiln: &str, verdict: Option<bool>) -> bool {
    let word = verdict.map_or("", |met| if met { "met" } else { "MISSED" });
    say!("{what:<58} {stock:>14} {kiln:>14}  {word}");
    verdict.unwrap_or(true)
}

/// The median rate of all rounds, and what each answer cost.
fn rate(rounds: &[Rate]) -> Rate {
    let mut rates: Vec<f64> = rounds.iter().map(|round| round.per_second).collect();
    rates.sort_unstable_by(f64::total_cmp);
    let middle = [rates.get((rates.len().max(1) - 1) / 2), rates.get(rates.len() / 2)];
    let per_second = middle.into_iter().flatten().sum::<f64>() / 2.0;
    let cpu = rounds.iter().map(|round| round.cpu).sum::<Duration>();
    Rate { per_second, cpu: cpu / u32::try_from(rounds.len().max(1)).unwrap_or(u32::MAX) }
}

/// Prints what came of stock and of Kiln with budgets lifted; whether Kiln reached everything.
pub(super) fn unbounded([stock, kiln]: &[Unbounded; 2]) -> bool {
    line("", "stock", "kiln", None);
    let mut met = true;
    let mut time = |what: &str, stock: Duration, kiln: Duration, most: f64| {
        let reached = kiln.as_secs_f64() <= stock.as_secs_f64() * most;
        met &= line(what, &micros(stock), &micros(kiln), Some(reached));
    };
    for (name, part) in [("median", 0.5), ("95 of 100", 0.95)] {
        let what = format!("first packet to delivery through a new neighbour, {name}");
        time(&what, quantile(&stock.resolution, part), quantile(&kiln.resolution, part), 1.0);
    }
    let each = |all: &Unbounded| {
        all.resolution_spent / u32::try_from(all.resolution.len().max(1)).unwrap_or(u32::MAX)
    };
    time("processor time of the controller for each", each(stock), each(kiln), CHEAPER);
    let rates = [("time exceeded", &stock.errors, &kiln.errors), ("resets", &stock.resets, &kiln.resets)];
    let rates = rates.map(|(name, stock, kiln)| (name, rate(stock), rate(kiln)));
    for (name, stock, kiln) in rates {
        time(&format!("{name}: processor time of the controller for each"), stock.cpu, kiln.cpu, CHEAPER);
    }
    for (name, stock, kiln) in rates {
        let (stock, kiln) = (stock.per_second, kiln.per_second);
        let words = (format!("{stock:.0}"), format!("{kiln:.0}"));
        met &=
            line(&format!("{name} a second, median of all rounds"), &words.0, &words.1, Some(kiln >= stock));
    }
    met
}

/// One port alone, and beside another that floods, with the usual budgets. Stock has no such aim.
pub(super) fn fairness(stock: &Bounded, kiln: &Bounded) -> bool {
    let mut met = true;
    let flood = |measured: &Bounded| format!("{:.0}", measured.flood);
    line("a port that floods: packets a second", &flood(stock), &flood(kiln), None);
    let kinds: [(&str, fn(&Times) -> &Samples, Option<f64>); 3] = [
        ("resolution", |times| &times.resolution, Some(SLOWER)),
        ("time exceeded", |times| &times.error, Some(SLOWER)),
        ("a ping that is forwarded", |times| &times.ping, None),
    ];
    for (name, of, most) in kinds {
        let median = |times: &Times| quantile(of(times), 0.5);
        let slower = median(&kiln.beside).as_secs_f64() / median(&kiln.alone).as_secs_f64();
        let alone = [stock, kiln].map(|measured| micros(median(&measured.alone)));
        let beside = [stock, kiln].map(|measured| micros(median(&measured.beside)));
        line(&format!("{name} at another port, alone, median"), &alone[0], &alone[1], None);
        met &= line(
            &format!("{name} at another port, beside the flood, median"),
            &beside[0],
            &beside[1],
            most.map(|most| slower <= most),
        );
    }
    met
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_samples() {
        let samples = (1..=20).rev().map(Duration::from_millis).collect();
        assert_eq!(quantile(&samples, 0.5), Duration::from_millis(10));
        assert_eq!(quantile(&samples, 0.95), Duration::from_millis(19));
        assert_eq!(quantile(&vec![Duration::from_millis(3)], 0.5), Duration::from_millis(3));
    }
}
