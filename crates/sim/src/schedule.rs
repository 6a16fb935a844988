//! The one queue of what is to happen, and the clock that it drives.

use kiln_types::Instant;
use std::collections::BTreeMap;

/// Events by the time at which they happen. Those of one time happen in the order in which they were put there.
#[derive(Debug)]
pub(crate) struct Schedule<E> {
    now: Instant,
    next: u64,
    events: BTreeMap<(Instant, u64), E>,
}

impl<E> Schedule<E> {
    pub(crate) fn new(now: Instant) -> Self {
        Schedule { now, next: 0, events: BTreeMap::new() }
    }

    pub(crate) fn now(&self) -> Instant {
        self.now
    }

    /// Puts an event there. What should have happened already happens now.
    pub(crate) fn put(&mut self, at: Instant, event: E) {
        self.events.insert((at.max(self.now), self.next), event);
        self.next += 1;
    }

    /// Goes on to the next event, if it is not later than `until`; else the clock goes on to `until`.
    pub(crate) fn take(&mut self, until: Instant) -> Option<E> {
        match self.events.first_entry() {
            Some(first) if first.key().0 <= until => {
                self.now = first.key().0;
                Some(first.remove())
            }
            _ => {
                self.now = self.now.max(until);
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_in_order_of_time_and_then_of_arrival() {
        let at = Instant::from_secs;
        let mut schedule = Schedule::new(at(1));
        schedule.put(at(3), 'c');
        schedule.put(at(2), 'a');
        schedule.put(at(2), 'b');
        schedule.put(at(0), '0');
        let come: Vec<(char, Instant)> =
            std::iter::from_fn(|| schedule.take(at(2)).map(|event| (event, schedule.now()))).collect();
        assert_eq!(come, [('0', at(1)), ('a', at(2)), ('b', at(2))]);
        assert_eq!(schedule.take(at(2)), None);
        assert_eq!(schedule.take(at(9)), Some('c'));
        assert_eq!((schedule.take(at(9)), schedule.now()), (None, at(9)));
    }
}
