//! Packets that wait until a neighbour's Ethernet address is known.
//!
//! A next hop is absent or waited for:
//!
//! | state | event | then |
//! |---|---|---|
//! | absent | packet | keep it, ask; waited for |
//! | waited for | packet, asked less than a second ago | keep it |
//! | waited for | packet, asked a second ago or more | keep it, ask |
//! | waited for | resolved | give the packets in order; absent |
//! | waited for | a packet is 10 s old | drop it |
//! | waited for | no packet is left, asked a second ago or more | absent |

use kiln_types::{DatapathKey, HashMap, Instant, PortKey};
use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

/// Most next hops that packets wait for.
pub const MAX_NEXT_HOPS: usize = 1000;
/// Most packets that wait for one next hop; another one pushes the oldest out.
pub const MAX_PACKETS_PER_NEXT_HOP: usize = 4;
/// Most bytes of packets that wait, over all next hops.
pub const MAX_WAITING_BYTES: usize = 16 << 20;
/// How long a packet waits.
pub const MAX_WAIT: Duration = Duration::from_secs(10);
/// The shortest time between two requests for the same next hop.
pub const QUERY_INTERVAL: Duration = Duration::from_secs(1);

/// A neighbour of a router port: whom a packet that leaves through the port goes to next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NextHop {
    /// The router's datapath.
    pub datapath: DatapathKey,
    /// The port through which the neighbour is reached.
    pub port: PortKey,
    /// The neighbour's address.
    pub ip: IpAddr,
}

/// Packets of type `T` by next hop.
#[derive(Debug)]
pub(crate) struct Unresolved<T> {
    next_hops: HashMap<NextHop, Waiting<T>>,
    /// When to look at a next hop again: no later than its oldest packet is due to be dropped. One entry a next hop.
    checks: BTreeSet<(Instant, NextHop)>,
    bytes: usize,
}

#[derive(Debug)]
struct Waiting<T> {
    packets: VecDeque<Kept<T>>,
    asked: Instant,
    check: Instant,
}

#[derive(Debug)]
struct Kept<T> {
    since: Instant,
    len: usize,
    packet: T,
}

/// What became of a packet that came to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// It is kept; otherwise the bytes that wait were too many.
    pub(crate) kept: bool,
    /// The oldest packet for the next hop had to go for it.
    pub(crate) pushed_out: bool,
    /// A request is to be sent.
    pub(crate) ask: bool,
}

/// Packets wait for as many next hops as they may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooManyNextHops;

impl<T> Unresolved<T> {
    pub(crate) fn new() -> Self {
        Unresolved { next_hops: HashMap::default(), checks: BTreeSet::new(), bytes: 0 }
    }

    /// Whether [`Unresolved::hold`] would want a request sent, so that one need be made.
    pub(crate) fn asks(&self, now: Instant, hop: &NextHop) -> bool {
        match self.next_hops.get(hop) {
            Some(waiting) => now - waiting.asked >= QUERY_INTERVAL,
            None => self.next_hops.len() < MAX_NEXT_HOPS,
        }
    }

    /// Takes a packet of `len` bytes that wants to go to `hop`.
    pub(crate) fn hold(
        &mut self,
        now: Instant,
        hop: NextHop,
        len: usize,
        packet: T,
    ) -> Result<Held, TooManyNextHops> {
        let known = self.next_hops.len();
        let mut first = false;
        let waiting = match self.next_hops.get_mut(&hop) {
            Some(waiting) => waiting,
            None if known >= MAX_NEXT_HOPS => return Err(TooManyNextHops),
            None => {
                first = true;
                let check = now + MAX_WAIT;
                self.checks.insert((check, hop));
                self.next_hops.entry(hop).or_insert(Waiting { packets: VecDeque::new(), asked: now, check })
            }
        };
        let ask = first || now - waiting.asked >= QUERY_INTERVAL;
        if ask {
            waiting.asked = now;
        }
        let full = waiting.packets.len() >= MAX_PACKETS_PER_NEXT_HOP;
        let freed = if full { waiting.packets[0].len } else { 0 };
        let kept = self.bytes - freed + len <= MAX_WAITING_BYTES;
        if kept {
            if full {
                waiting.packets.pop_front();
            }
            waiting.packets.push_back(Kept { since: now, len, packet });
            self.bytes = self.bytes - freed + len;
        }
        Ok(Held { kept, pushed_out: kept && full, ask })
    }

    /// The packets that wait for `hop`, oldest first; they wait no longer.
    pub(crate) fn resolve(&mut self, hop: &NextHop) -> impl Iterator<Item = T> + use<T> {
        let waiting = self.next_hops.remove(hop);
        if let Some(waiting) = &waiting {
            self.checks.remove(&(waiting.check, *hop));
            self.bytes -= waiting.packets.iter().map(|k| k.len).sum::<usize>();
        }
        waiting.into_iter().flat_map(|w| w.packets).map(|kept| kept.packet)
    }

    /// Gives what waited too long to `dropped`.
    pub(crate) fn expire(&mut self, now: Instant, mut dropped: impl FnMut(T)) {
        while let Some(&(check, hop)) = self.checks.first().filter(|(check, _)| *check <= now) {
            self.checks.remove(&(check, hop));
            let Some(waiting) = self.next_hops.get_mut(&hop) else { continue };
            while let Some(kept) = waiting.packets.pop_front_if(|kept| kept.since + MAX_WAIT <= now) {
                self.bytes -= kept.len;
                dropped(kept.packet);
            }
            // a next hop without packets stays until it may be asked for again, or a flood could hasten that
            let next = waiting.packets.front().map_or(waiting.asked + QUERY_INTERVAL, |k| k.since + MAX_WAIT);
            if next > now {
                waiting.check = next;
                self.checks.insert((next, hop));
            } else {
                self.next_hops.remove(&hop);
            }
        }
    }

    /// Gives what waits for next hops that `gone` names to `dropped`.
    pub(crate) fn forget(&mut self, gone: impl Fn(&NextHop) -> bool, dropped: impl FnMut(T)) {
        let gone: Vec<NextHop> = self.next_hops.keys().filter(|hop| gone(hop)).copied().collect();
        gone.iter().flat_map(|hop| self.resolve(hop)).for_each(dropped);
    }

    /// When [`Unresolved::expire`] next has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.checks.first().map(|(check, _)| *check)
    }

    /// How many next hops packets wait for.
    pub(crate) fn next_hops(&self) -> usize {
        self.next_hops.len()
    }

    /// How many packets wait.
    pub(crate) fn packets(&self) -> usize {
        self.next_hops.values().map(|w| w.packets.len()).sum()
    }

    /// How many bytes of packets wait.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn hop(n: u32) -> NextHop {
        NextHop { datapath: DatapathKey(n >> 16), port: PortKey(1), ip: IpAddr::V4(n.into()) }
    }

    const KEPT: Held = Held { kept: true, pushed_out: false, ask: false };

    /// Every state with every event: how long ago the last packet came and was asked for, how many wait, and what a
    /// packet, a resolution and the passing of time then do.
    #[test]
    fn state_event_table() {
        struct Row {
            name: &'static str,
            /// Milliseconds at which packets came, numbered in that order.
            before: &'static [u64],
            at_ms: u64,
            hold: Held,
            resolve: &'static [usize],
            expire: usize,
        }
        let ask = Held { ask: true, ..KEPT };
        let rows = [
            Row { name: "absent", before: &[], at_ms: 0, hold: ask, resolve: &[], expire: 0 },
            Row { name: "asked just now", before: &[0], at_ms: 0, hold: KEPT, resolve: &[0], expire: 0 },
            Row {
                name: "asked in this second",
                before: &[0],
                at_ms: 999,
                hold: KEPT,
                resolve: &[0],
                expire: 0,
            },
            Row {
                name: "asked a second ago",
                before: &[0],
                at_ms: 1000,
                hold: ask,
                resolve: &[0],
                expire: 0,
            },
            Row {
                name: "asked again",
                before: &[0, 1000],
                at_ms: 1500,
                hold: KEPT,
                resolve: &[0, 1],
                expire: 0,
            },
            Row {
                name: "full",
                before: &[0, 1, 2, 3],
                at_ms: 4,
                hold: Held { pushed_out: true, ..KEPT },
                resolve: &[0, 1, 2, 3],
                expire: 0,
            },
            Row {
                name: "overflowed",
                before: &[0, 1, 2, 3, 4, 5],
                at_ms: 6,
                hold: Held { pushed_out: true, ..KEPT },
                resolve: &[2, 3, 4, 5],
                expire: 0,
            },
            Row {
                name: "nearly too old",
                before: &[0, 500],
                at_ms: 9999,
                hold: ask,
                resolve: &[0, 1],
                expire: 0,
            },
            Row {
                name: "one too old",
                before: &[0, 500],
                at_ms: 10_000,
                hold: ask,
                resolve: &[0, 1],
                expire: 1,
            },
            Row {
                name: "all too old",
                before: &[0, 500],
                at_ms: 10_500,
                hold: ask,
                resolve: &[0, 1],
                expire: 2,
            },
        ];
        for row in rows {
            let name = row.name;
            let start = || {
                let mut unresolved = Unresolved::new();
                for (n, ms) in row.before.iter().enumerate() {
                    unresolved.hold(Instant::from_millis(*ms), hop(1), 100, n).unwrap();
                }
                unresolved
            };
            let now = Instant::from_millis(row.at_ms);
            assert_eq!(start().asks(now, &hop(1)), row.hold.ask, "{name}");
            assert_eq!(start().hold(now, hop(1), 100, 99), Ok(row.hold), "{name}: packet");
            let mut resolved = start();
            assert_eq!(resolved.resolve(&hop(1)).collect::<Vec<_>>(), row.resolve, "{name}: resolution");
            assert_eq!((resolved.next_hops(), resolved.bytes(), resolved.deadline()), (0, 0, None), "{name}");
            let mut aged = start();
            let waited = aged.packets();
            let mut expired = 0;
            aged.expire(now, |_| expired += 1);
            assert_eq!(expired, row.expire, "{name}: time");
            assert_eq!(aged.packets(), waited - row.expire, "{name}: time");
            assert_eq!(aged.next_hops(), usize::from(waited > row.expire), "{name}: time");
            assert!(aged.deadline().is_none_or(|d| d > now), "{name}: deadline");
        }
    }

    #[test]
    fn bounds() {
        let now = Instant::from_secs(1);
        let mut unresolved = Unresolved::new();
        for n in 0..MAX_NEXT_HOPS as u32 {
            unresolved.hold(now, hop(n), 1, n).unwrap();
        }
        assert!(!unresolved.asks(now, &hop(5000)));
        assert_eq!(unresolved.hold(now, hop(5000), 1, 0), Err(TooManyNextHops));
        assert_eq!(unresolved.hold(now, hop(7), 1, 0), Ok(KEPT), "known next hops go on");

        let mut unresolved = Unresolved::new();
        assert!(unresolved.hold(now, hop(1), MAX_WAITING_BYTES, 0).unwrap().kept);
        let refused = Held { kept: false, pushed_out: false, ask: true };
        assert_eq!(unresolved.hold(now, hop(2), 1, 0), Ok(refused), "the request is sent all the same");
        let mut forgotten = Vec::new();
        unresolved.forget(|h| *h == hop(1), |packet| forgotten.push(packet));
        assert_eq!((forgotten, unresolved.bytes()), (vec![0], 0));
        unresolved.expire(now + MAX_WAIT, |packet| panic!("{packet} was not kept"));
        assert_eq!((unresolved.next_hops(), unresolved.deadline()), (0, None));
    }

    #[derive(Clone, Debug)]
    enum Event {
        Hold(u32, usize),
        Resolve(u32),
        Wait(u64),
    }

    fn event() -> impl Strategy<Value = Event> {
        let hop = prop_oneof![0u32..6, 0u32..2000];
        prop_oneof![
            8 => (hop.clone(), prop_oneof![Just(100usize), Just(1 << 20)]).prop_map(|(h, len)| Event::Hold(h, len)),
            1 => hop.prop_map(Event::Resolve),
            2 => (0u64..4000).prop_map(Event::Wait),
        ]
    }

    proptest! {
        /// Against a plain list of every packet that came.
        #[test]
        fn bounded_ordered_and_nothing_older_than_it_may_be(events in proptest::collection::vec(event(), 0..2500)) {
            let mut unresolved = Unresolved::new();
            let mut now = Instant::ZERO;
            let mut asked = HashMap::<u32, Instant>::default();
            for (serial, event) in events.into_iter().enumerate() {
                match event {
                    Event::Hold(h, len) => {
                        if let Ok(held) = unresolved.hold(now, hop(h), len, (serial, now))
                            && held.ask
                        {
                            let before = asked.insert(h, now);
                            // only a next hop that was resolved may be asked for sooner
                            prop_assert!(before.is_none_or(|t| now - t >= QUERY_INTERVAL));
                        }
                    }
                    Event::Resolve(h) => {
                        asked.remove(&h);
                        let given: Vec<_> = unresolved.resolve(&hop(h)).collect();
                        prop_assert!(given.is_sorted_by(|a, b| a.0 < b.0), "in order");
                        prop_assert!(given.iter().all(|(_, since)| now - *since < MAX_WAIT));
                    }
                    Event::Wait(ms) => {
                        now = now + Duration::from_millis(ms);
                        unresolved.expire(now, drop);
                    }
                }
                prop_assert!(unresolved.next_hops() <= MAX_NEXT_HOPS);
                prop_assert!(unresolved.packets() <= MAX_NEXT_HOPS * MAX_PACKETS_PER_NEXT_HOP);
                prop_assert!(unresolved.bytes() <= MAX_WAITING_BYTES);
                prop_assert_eq!(unresolved.checks.len(), unresolved.next_hops());
                let held: usize = unresolved.next_hops.values().flat_map(|w| &w.packets).map(|k| k.len).sum();
                prop_assert_eq!(unresolved.bytes(), held);
            }
            unresolved.expire(now + MAX_WAIT + MAX_WAIT, drop);
            prop_assert_eq!((unresolved.next_hops(), unresolved.bytes()), (0, 0));
        }
    }
}
