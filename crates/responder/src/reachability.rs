//! What is known of a neighbour that has answered: the states of RFC 4861, section 7.3.2, and what RFC 7048 makes of a
//! neighbour that has stopped answering.
//!
//! ```text
//!                  timer             used              timer: solicit
//!   REACHABLE --------------> STALE --------> DELAY -------------------> PROBE 1..3 --.
//!       ^                                                                 |   ^       | timer after the
//!       | confirmed, from every state                                     '---'       | third
//!       '--------------------------------.                         timer: solicit     v
//!                                         '------- LOST <------------------ UNREACHABLE n
//!                                                   |          timer, 2^n        ^
//!                                                   '----------------------------'
//!                                                            used: solicit
//! ```
//!
//! INCOMPLETE, where the first answer is awaited, is another file's: [`crate::unresolved`]. Where RFC 4861 deletes an entry whose
//! probes had no answer, it stays until it expires, as RFC 7048 wants it, and is asked for ever more rarely while packets
//! go there; of what has to give way to others it is among the first.

use std::time::Duration;

/// MAX_UNICAST_SOLICIT (RFC 4861, section 10).
pub(crate) const MAX_UNICAST_SOLICIT: u8 = 3;
/// The longest DELAY: DELAY_FIRST_PROBE_TIME (RFC 4861, section 10).
const DELAY_FIRST_PROBE_TIME: Duration = Duration::from_secs(5);
/// The longest time before a solicitation is repeated for the first time: RETRANS_TIMER (RFC 4861, section 10).
const RETRANS_TIMER: Duration = Duration::from_secs(1);
/// The longest time between solicitations of a neighbour that does not answer: MAX_RETRANS_TIMER (RFC 7048, section 3).
const MAX_RETRANS_TIMER: Duration = Duration::from_mins(1);
/// How often that time doubles.
const MAX_BACKOFF: u8 = 6;

/// A state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum State {
    /// It was heard of a short while ago.
    Reachable,
    /// It was not, and nobody cares.
    Stale,
    /// Packets go there; perhaps it is heard of without being asked.
    Delay,
    /// It is asked, for the nth time.
    Probe(u8),
    /// It gave no answer; it is not asked for a while, which grows with n.
    Unreachable(u8),
    /// That while is over; the next packet is asked with.
    Lost(u8),
}

/// Something that happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Happening {
    /// It was heard of.
    Confirmed,
    /// A packet went there.
    Used,
    /// The state's time is over.
    Timer,
}

/// The state that follows, and whether the neighbour is solicited.
pub(crate) fn next(state: State, happening: Happening) -> (State, bool) {
    use Happening::{Confirmed, Timer, Used};
    use State::{Delay, Lost, Probe, Reachable, Stale, Unreachable};
    match (state, happening) {
        (_, Confirmed) => (Reachable, false),
        (Reachable, Timer) => (Stale, false),
        (Stale, Used) => (Delay, false),
        (Delay, Timer) => (Probe(1), true),
        (Probe(n), Timer) if n < MAX_UNICAST_SOLICIT => (Probe(n + 1), true),
        (Probe(_), Timer) => (Unreachable(0), false),
        (Unreachable(n), Timer) => (Lost(n), false),
        (Lost(n), Used) => (Unreachable((n + 1).min(MAX_BACKOFF)), true),
        (Reachable | Delay | Probe(_) | Unreachable(_), Used) | (Stale | Lost(_), Timer) => (state, false),
    }
}

/// How long states last, for an entry that expires `keep` after it was last heard of. All of it is over before then: REACHABLE
/// ends by a quarter of it, use is seen an eighth later, DELAY ends by 11/16, and the last of three probes by 29/32. Of an entry
/// that is kept for seconds there is less to divide, since switches count late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timers {
    /// How long the entry is kept.
    pub(crate) keep: Duration,
    /// In 256ths: what spreads the times of many entries. BaseReachableTime is 3/16 of `keep`, and the random factor (RFC 4861, 6.3.2)
    /// 2/3 to 4/3. Chassis have it in common, so that the one that asks first is first in this too.
    pub(crate) spread: u8,
    /// In 256ths: what spreads the times of many chassis.
    pub(crate) jitter: u8,
    /// This chassis asked the last time, and so is the first to ask: before others, who may see use earlier by the time between two
    /// looks, which is an eighth of `keep`.
    pub(crate) leads: bool,
}

/// Switches count what their caches pass on twice a second, and both use and answers are seen by their counts; the answer then
/// has to become a row.
const COUNTED_LATE: Duration = Duration::from_millis(1500);

fn part(whole: Duration, of_256: u8) -> Duration {
    whole * u32::from(of_256) / 256
}

impl Timers {
    /// How long a state lasts; `None` for as long as nothing happens.
    pub(crate) fn of(&self, state: State) -> Option<Duration> {
        let spare = self.keep.saturating_sub(COUNTED_LATE).max(self.keep / 2);
        let first_retrans = RETRANS_TIMER.min(self.keep / 32);
        match state {
            State::Reachable => Some(spare / 8 + part(spare / 8, self.spread)),
            State::Stale | State::Lost(_) => None,
            State::Delay => {
                let own = DELAY_FIRST_PROBE_TIME.min(spare / 16);
                Some(if self.leads {
                    own / 2 + part(own / 2, self.jitter)
                } else {
                    own + self.keep / 8 + part(spare / 8, self.jitter)
                })
            }
            State::Probe(n) => Some(first_retrans * (1 << (n - 1))),
            State::Unreachable(n) => Some((first_retrans * (8 << n)).min(MAX_RETRANS_TIMER)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use Happening::{Confirmed, Timer, Used};
    use State::{Delay, Lost, Probe, Reachable, Stale, Unreachable};

    /// Every state and happening. A star marks a solicitation.
    #[test]
    fn table() {
        let table = "
            state           used             timer
            Reachable       Reachable        Stale
            Stale           Delay            Stale
            Delay           Delay            Probe(1)*
            Probe(1)        Probe(1)         Probe(2)*
            Probe(2)        Probe(2)         Probe(3)*
            Probe(3)        Probe(3)         Unreachable(0)
            Unreachable(0)  Unreachable(0)   Lost(0)
            Unreachable(1)  Unreachable(1)   Lost(1)
            Unreachable(6)  Unreachable(6)   Lost(6)
            Lost(0)         Unreachable(1)*  Lost(0)
            Lost(1)         Unreachable(2)*  Lost(1)
            Lost(5)         Unreachable(6)*  Lost(5)
            Lost(6)         Unreachable(6)*  Lost(6)";
        let mut states = vec![Reachable, Stale, Delay, Probe(1), Probe(2), Probe(3)];
        states.extend([Unreachable(0), Unreachable(1), Unreachable(6), Lost(0), Lost(1), Lost(5), Lost(6)]);
        let shown = |state, happening| {
            let (to, solicits) = next(state, happening);
            format!("{to:?}{}", if solicits { "*" } else { "" })
        };
        let rows = table.lines().skip(2).map(|line| line.split_whitespace().collect::<Vec<_>>());
        for (state, row) in states.iter().zip(rows) {
            let ours = [format!("{state:?}"), shown(*state, Used), shown(*state, Timer)];
            assert_eq!(ours.each_ref().map(String::as_str), row[..], "{state:?}");
            assert_eq!(next(*state, Confirmed), (Reachable, false));
        }
        assert_eq!(states.len(), table.lines().count() - 2);
    }

    /// Only these two states wait for nothing but packets: an entry that nobody uses is let go.
    #[test]
    fn the_unused_rest() {
        let timers = Timers { keep: Duration::from_mins(1), spread: 0, jitter: 0, leads: false };
        for state in [Stale, Lost(0), Lost(6)] {
            assert_eq!(timers.of(state), None);
        }
        for state in [Reachable, Delay, Probe(1), Probe(3), Unreachable(0), Unreachable(6)] {
            assert!(timers.of(state).is_some());
        }
    }

    /// However short an entry's time: the first probe leaves a second for its answer to be counted and written.
    #[test]
    fn an_answer_is_counted_in_time() {
        for keep_s in [4, 5, 8, 20] {
            let keep = Duration::from_secs(keep_s);
            let timers = Timers { keep, spread: 255, jitter: 255, leads: false };
            let states: Duration = [Reachable, Delay].iter().filter_map(|state| timers.of(*state)).sum();
            let counted = Duration::from_millis(500);
            assert!(states + keep / 8 + counted + Duration::from_secs(1) < keep, "{keep:?}: {states:?}");
        }
    }

    /// With the slowest luck, three probes are over before the entry expires, even if use was seen an eighth late.
    #[test]
    fn probes_end_in_time() {
        for keep_s in [1, 3, 30, 60, 3600, 86_400] {
            let keep = Duration::from_secs(keep_s);
            let timers = Timers { keep, spread: 255, jitter: 255, leads: false };
            let path = [Reachable, Delay, Probe(1), Probe(2), Probe(3)];
            let sum: Duration = path.iter().filter_map(|state| timers.of(*state)).sum();
            assert!(sum + keep / 8 < keep * 15 / 16, "{keep:?}: {sum:?}");
            let first = Timers { leads: true, ..timers }.of(Delay).expect("a timer");
            let other = Timers { jitter: 0, ..timers }.of(Delay).expect("a timer");
            assert!(first + keep / 8 <= other, "who asked last asks first, also if it looks last");
        }
        let timers = Timers { keep: Duration::from_hours(1), spread: 128, jitter: 128, leads: true };
        let seconds = |state| timers.of(state).expect("a timer").as_millis();
        assert_eq!([Delay, Probe(1), Probe(2), Probe(3)].map(seconds), [3750, 1000, 2000, 4000]);
        assert_eq!([Unreachable(0), Unreachable(1), Unreachable(6)].map(seconds), [8000, 16_000, 60_000]);
    }
}
