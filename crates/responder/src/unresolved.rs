//! Next hops whose Ethernet address is not known, and the packets that wait for it.
//!
//! ```text
//!             packet: keep, ask             three tries, a second each, without an answer
//!   absent ----------------------> asked ------------------------------------------------> failed
//!     ^                            |   ^                                                   |    |
//!     |  resolved: give the packets|   |  packet after that: keep, ask                     |    | packet within 2 s:
//!     +----------------------------+   +---------------------------------------------------+    | dropped at once
//!     +-----------------------------------------------------------------------------------------+
//!       resolved, or nobody wants to go there any more
//! ```
//!
//! A packet waits for ten seconds, also past a failure: an answer that comes late is as good as any. That a next hop has
//! failed is remembered for as long: while it is asked for again, those who go on sending need not come up for that.
//!
//! Where there is no room for another, one that has failed gives way, or one of who asks for more than others do ([`Shares`]).

use crate::shares::Shares;
use kiln_budget::Payer;
use kiln_packet::Datagram;
use kiln_types::{DatapathKey, HashMap, Instant, PortKey};
use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

/// Most next hops that are asked for or held down.
pub const MAX_NEXT_HOPS: usize = 1000;
/// Most packets that wait for one next hop; another one pushes the oldest out. The fragments of a datagram are one packet: if one is
/// missing, the others are of no use.
pub const MAX_PACKETS_PER_NEXT_HOP: usize = 4;
/// Most fragments among them: those of four datagrams of 64 KiB for links of 1500 bytes, and some.
pub const MAX_FRAGMENTS_PER_NEXT_HOP: usize = 256;
/// Most bytes of packets that wait, over all next hops, with what the switch wants back with them.
pub const MAX_WAITING_BYTES: usize = 16 << 20;
/// How long a packet waits.
pub const MAX_WAIT: Duration = Duration::from_secs(10);
/// The time between two requests for the same next hop (RFC 1122, 2.3.2.1; RFC 4861, section 10: RETRANS_TIMER).
pub const QUERY_INTERVAL: Duration = Duration::from_secs(1);
/// How often a next hop is asked for before it has failed (RFC 4861, section 10: MAX_MULTICAST_SOLICIT).
pub const MAX_QUERIES: u8 = 3;
/// How long packets for a next hop that has failed are dropped before it is asked for again.
pub const HOLD_DOWN: Duration = Duration::from_secs(2);

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

/// A next hop that gave no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Failure {
    /// The next hop.
    pub next_hop: NextHop,
    /// Until when packets for it are dropped, unless an answer comes.
    pub until: Instant,
    /// It is asked for again, after the end of its hold-down: one packet waits, and others need not.
    pub asked_again: bool,
}

/// Packets of type `T` and requests of type `R` by next hop.
#[derive(Debug)]
pub(crate) struct Unresolved<T, R> {
    next_hops: HashMap<NextHop, Waiting<T, R>>,
    /// When to look at a next hop again. One entry a next hop.
    checks: BTreeSet<(Instant, NextHop)>,
    /// Next hops that have failed, with the ends of their hold-downs: what goes first when there is no room.
    failed: BTreeSet<(Instant, NextHop)>,
    /// Those that are asked for, by who does.
    asked: Shares,
    bytes: usize,
}

#[derive(Debug)]
struct Waiting<T, R> {
    packets: VecDeque<Kept<T>>,
    query: Query,
    /// Who has it asked for, and since when.
    payer: Payer,
    since: Instant,
    request: R,
    check: Instant,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Query {
    Asked { tries: u8, at: Instant },
    Failed { until: Instant },
}

#[derive(Debug)]
struct Kept<T> {
    since: Instant,
    size: Size,
    /// It is no further fragment of a datagram of which one waits.
    is_first: bool,
    packet: T,
}

/// What a packet that waits takes up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size {
    /// Bytes.
    pub(crate) len: usize,
    /// Which datagram it is a fragment of.
    pub(crate) datagram: Option<Datagram>,
}

impl<T, R> Waiting<T, R> {
    /// When something is next to be done; `None` if nothing ever is.
    fn next_check(&self, now: Instant) -> Option<Instant> {
        let query = match self.query {
            Query::Asked { at, .. } => Some(at + QUERY_INTERVAL),
            Query::Failed { until } => Some(until + MAX_WAIT).filter(|forgotten| *forgotten > now),
        };
        let oldest = self.packets.front().map(|kept| kept.since + MAX_WAIT);
        [query, oldest].into_iter().flatten().min()
    }
}

fn len<'k, T: 'k>(packets: impl IntoIterator<Item = &'k Kept<T>>) -> usize {
    packets.into_iter().map(|kept| kept.size.len).sum()
}

impl<T, R> Waiting<T, R> {
    /// Whether a fragment of the same datagram waits already.
    fn has_another_of(&self, size: Size) -> bool {
        size.datagram.is_some() && self.packets.iter().any(|kept| kept.size.datagram == size.datagram)
    }

    /// Whether another packet has to go for one more.
    fn is_full(&self, with_another: bool) -> bool {
        let packets = self.packets.iter().filter(|kept| kept.is_first).count();
        !with_another && packets >= MAX_PACKETS_PER_NEXT_HOP
            || self.packets.len() >= MAX_FRAGMENTS_PER_NEXT_HOP
    }

    /// The packet that waits longest, with all of its fragments.
    fn oldest(&self) -> impl Iterator<Item = &Kept<T>> {
        let datagram = self.packets.front().and_then(|kept| kept.size.datagram);
        let is_of_it =
            move |at: usize, kept: &Kept<T>| at == 0 || datagram.is_some() && kept.size.datagram == datagram;
        self.packets.iter().enumerate().filter(move |(at, kept)| is_of_it(*at, kept)).map(|(_, kept)| kept)
    }

    fn take_oldest(&mut self) -> Vec<T> {
        let Some(first) = self.packets.pop_front() else { return Vec::new() };
        let datagram = first.size.datagram;
        let (others, kept): (VecDeque<_>, _) = std::mem::take(&mut self.packets)
            .into_iter()
            .partition(|kept| datagram.is_some() && kept.size.datagram == datagram);
        self.packets = kept;
        std::iter::once(first).chain(others).map(|kept| kept.packet).collect()
    }
}

/// What a packet for a next hop means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// Nobody was asked yet: a request is to be sent with it.
    First,
    /// An answer is awaited.
    Waits,
    /// The next hop has failed a moment ago.
    HeldDown,
    /// As many next hops are asked for as may, and nobody asks for more of them than who sent it.
    Full,
}

/// What came of asking for a next hop.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asked<T> {
    /// The packets that had to go for it.
    pub(crate) pushed_out: Vec<T>,
    /// It has failed lately: others need not come up until this attempt is over.
    pub(crate) again: Option<Failure>,
}

/// What became of a packet that came to wait.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Held<T> {
    /// It is kept, in place of another one, or beside all.
    Kept {
        /// The packet that had to go for it, with all of its fragments.
        pushed_out: Vec<T>,
    },
    /// The bytes that wait would be too many.
    Refused(T),
}

/// Something that the passing of time brought about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Due<'a, T, R> {
    /// A packet waited too long.
    TooOld(T),
    /// A request is to be sent again, for whom it was sent first.
    Ask(&'a Payer, &'a R),
    /// The last request had no answer.
    Failed(Failure),
}

impl<T, R> Unresolved<T, R> {
    pub(crate) fn new() -> Self {
        Unresolved {
            next_hops: HashMap::default(),
            checks: BTreeSet::new(),
            failed: BTreeSet::new(),
            asked: Shares::default(),
            bytes: 0,
        }
    }

    /// What a packet of `payer`'s for `hop` would mean.
    pub(crate) fn arrival(&self, now: Instant, hop: &NextHop, payer: &Payer) -> Arrival {
        match self.next_hops.get(hop).map(|waiting| waiting.query) {
            Some(Query::Asked { .. }) => Arrival::Waits,
            Some(Query::Failed { until }) if now < until => Arrival::HeldDown,
            Some(Query::Failed { .. }) => Arrival::First,
            None if self.next_hops.len() < MAX_NEXT_HOPS || self.dispensable(payer).is_some() => {
                Arrival::First
            }
            None => Arrival::Full,
        }
    }

    /// What gives way to a next hop of `payer`'s: the one that failed first, or one of who has more.
    fn dispensable(&self, payer: &Payer) -> Option<NextHop> {
        self.failed.first().map(|(_, hop)| *hop).or_else(|| self.asked.victim(payer))
    }

    /// A request for `hop` is sent now: `payer` has it asked for from here on, as [`Arrival::First`] allowed.
    pub(crate) fn ask(&mut self, now: Instant, hop: NextHop, payer: Payer, request: R) -> Asked<T> {
        let query = Query::Asked { tries: 1, at: now };
        if let Some(mut waiting) = self.take_out(&hop) {
            (waiting.query, waiting.request) = (query, request);
            (waiting.payer, waiting.since) = (payer, now);
            self.put_back(now, hop, waiting);
            let until = now + QUERY_INTERVAL * u32::from(MAX_QUERIES);
            return Asked {
                pushed_out: Vec::new(),
                again: Some(Failure { next_hop: hop, until, asked_again: true }),
            };
        }
        let full = self.next_hops.len() >= MAX_NEXT_HOPS;
        let gone = if full { self.dispensable(&payer) } else { None };
        let pushed_out = gone.map(|gone| self.resolve(&gone).collect()).unwrap_or_default();
        let packets = VecDeque::new();
        self.put_back(now, hop, Waiting { packets, query, payer, since: now, request, check: now });
        Asked { pushed_out, again: None }
    }

    /// Takes a packet that wants to go to `hop`, which is asked for.
    pub(crate) fn hold(&mut self, now: Instant, hop: NextHop, size: Size, packet: T) -> Held<T> {
        let Some(mut waiting) = self.take_out(&hop) else { return Held::Refused(packet) };
        let with_another = waiting.has_another_of(size);
        let full = waiting.is_full(with_another);
        let freed = if full { len(waiting.oldest()) } else { 0 };
        let held = if self.bytes - freed + size.len <= MAX_WAITING_BYTES {
            let pushed_out = if full { waiting.take_oldest() } else { Vec::new() };
            waiting.packets.push_back(Kept { since: now, size, is_first: !with_another, packet });
            self.bytes = self.bytes - freed + size.len;
            Held::Kept { pushed_out }
        } else {
            Held::Refused(packet)
        };
        self.put_back(now, hop, waiting);
        held
    }

    /// Takes a next hop out of all lists.
    fn take_out(&mut self, hop: &NextHop) -> Option<Waiting<T, R>> {
        let waiting = self.next_hops.remove(hop)?;
        self.checks.remove(&(waiting.check, *hop));
        match waiting.query {
            Query::Asked { .. } => self.asked.remove(&waiting.payer, waiting.since, *hop),
            Query::Failed { until } => {
                self.failed.remove(&(until, *hop));
            }
        }
        Some(waiting)
    }

    /// Puts it into those where it belongs; into none if there is nothing to do about it any more.
    fn put_back(&mut self, now: Instant, hop: NextHop, mut waiting: Waiting<T, R>) {
        let Some(check) = waiting.next_check(now) else { return };
        waiting.check = check;
        self.checks.insert((check, hop));
        match waiting.query {
            Query::Asked { .. } => self.asked.add(&waiting.payer, waiting.since, hop),
            Query::Failed { until } => {
                self.failed.insert((until, hop));
            }
        }
        self.next_hops.insert(hop, waiting);
    }

    /// The packets that wait for `hop`, oldest first; they wait no longer.
    pub(crate) fn resolve(&mut self, hop: &NextHop) -> impl Iterator<Item = T> + use<T, R> {
        let packets = self.take_out(hop).map(|waiting| waiting.packets).unwrap_or_default();
        self.bytes -= len(&packets);
        packets.into_iter().map(|kept| kept.packet)
    }

    /// Gives everything that is due by `now` to `due`, which returns whether it was done: a request that was not sent is no try. It
    /// is due again as if it had been, while packets wait for its answer.
    pub(crate) fn advance(&mut self, now: Instant, mut due: impl FnMut(Due<'_, T, R>) -> bool) {
        while let Some(&(_, hop)) = self.checks.first().filter(|(check, _)| *check <= now) {
            let Some(mut waiting) = self.take_out(&hop) else { return };
            while let Some(kept) = waiting.packets.pop_front_if(|kept| kept.since + MAX_WAIT <= now) {
                self.bytes -= kept.size.len;
                due(Due::TooOld(kept.packet));
            }
            if let Query::Asked { tries, at } = waiting.query
                && at + QUERY_INTERVAL <= now
            {
                if tries < MAX_QUERIES {
                    let sent = due(Due::Ask(&waiting.payer, &waiting.request));
                    if !sent && waiting.packets.is_empty() {
                        continue;
                    }
                    waiting.query = Query::Asked { tries: tries + u8::from(sent), at: now };
                } else {
                    let until = now + HOLD_DOWN;
                    due(Due::Failed(Failure { next_hop: hop, until, asked_again: false }));
                    waiting.query = Query::Failed { until };
                }
            }
            self.put_back(now, hop, waiting);
        }
    }

    /// Gives what waits for next hops that `gone` names to `dropped`.
    pub(crate) fn forget(&mut self, gone: impl Fn(&NextHop) -> bool, dropped: impl FnMut(T)) {
        let gone: Vec<NextHop> = self.next_hops.keys().filter(|hop| gone(hop)).copied().collect();
        gone.iter().flat_map(|hop| self.resolve(hop)).for_each(dropped);
    }

    /// Takes those packets that wait for `hop` and that `chosen` names, oldest first.
    pub(crate) fn give_up(&mut self, hop: &NextHop, chosen: impl Fn(&T) -> bool) -> Vec<T> {
        let Some(waiting) = self.next_hops.get_mut(hop) else { return Vec::new() };
        let (gone, kept): (VecDeque<_>, VecDeque<_>) =
            std::mem::take(&mut waiting.packets).into_iter().partition(|kept| chosen(&kept.packet));
        waiting.packets = kept;
        self.bytes -= len(&gone);
        gone.into_iter().map(|kept| kept.packet).collect()
    }

    /// Whether `hop` is asked for or held down, or packets wait for it.
    pub(crate) fn holds(&self, hop: &NextHop) -> bool {
        self.next_hops.contains_key(hop)
    }

    /// When [`Unresolved::advance`] next has something to do.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.checks.first().map(|(check, _)| *check)
    }

    /// How many next hops are asked for or held down.
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

    type Numbered = Unresolved<usize, u32>;

    /// The next hop whose requests are not sent again.
    const UNPAID: u32 = 99;

    fn hop(n: u32) -> NextHop {
        NextHop { datapath: DatapathKey(n >> 16), port: PortKey(1), ip: IpAddr::V4(n.into()) }
    }

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    fn payer(port: u16) -> Payer {
        Payer { router: DatapathKey(1), port: PortKey(port), source: None }
    }

    fn whole(len: usize) -> Size {
        Size { len, datagram: None }
    }

    fn keeps(held: Held<usize>) -> bool {
        matches!(held, Held::Kept { .. })
    }

    fn ask(unresolved: &mut Numbered, ms: u64, n: u32) -> Asked<usize> {
        unresolved.ask(at(ms), hop(n), payer(1), n)
    }

    /// A packet, as the responder serves it: whether it was kept.
    fn packet(unresolved: &mut Numbered, ms: u64, n: u32, packet: usize) -> (Arrival, bool) {
        let arrival = unresolved.arrival(at(ms), &hop(n), &payer(1));
        let kept = match arrival {
            Arrival::First => {
                ask(unresolved, ms, n);
                keeps(unresolved.hold(at(ms), hop(n), whole(100), packet))
            }
            Arrival::Waits => keeps(unresolved.hold(at(ms), hop(n), whole(100), packet)),
            Arrival::HeldDown | Arrival::Full => false,
        };
        (arrival, kept)
    }

    /// What the passing of time up to `ms` brings, in words, each with its time.
    fn pass(unresolved: &mut Numbered, ms: u64) -> Vec<String> {
        let mut told = Vec::new();
        while let Some(due) = unresolved.deadline().filter(|due| *due <= at(ms)) {
            let ms = due.as_millis();
            unresolved.advance(due, |due| {
                let sent = !matches!(due, Due::Ask(_, hop) if *hop == UNPAID);
                told.push(match due {
                    Due::TooOld(packet) => format!("{ms} drop {packet}"),
                    Due::Ask(_, hop) => format!("{ms} ask {hop}"),
                    Due::Failed(failure) => format!("{ms} failed until {}", failure.until.as_millis()),
                });
                sent
            });
        }
        told
    }

    /// A next hop that never answers: three requests, a failure, silence, and the same again for who comes later.
    #[test]
    fn a_life_without_an_answer() {
        let mut u = Numbered::new();
        assert_eq!(packet(&mut u, 0, 7, 0), (Arrival::First, true));
        assert_eq!(packet(&mut u, 900, 7, 1), (Arrival::Waits, true));
        assert_eq!(pass(&mut u, 1999), ["1000 ask 7"]);
        assert_eq!(packet(&mut u, 2500, 7, 2), (Arrival::Waits, true));
        assert_eq!(pass(&mut u, 3000), ["2000 ask 7", "3000 failed until 5000"]);
        assert_eq!(packet(&mut u, 3000, 7, 3), (Arrival::HeldDown, false));
        assert_eq!(packet(&mut u, 4999, 7, 4), (Arrival::HeldDown, false));
        assert_eq!(pass(&mut u, 5000), [""; 0]);
        assert_eq!(u.packets(), 3, "they wait for a late answer");
        assert_eq!(packet(&mut u, 6000, 7, 5), (Arrival::First, true));
        let told = ["7000 ask 7", "8000 ask 7", "9000 failed until 11000", "10000 drop 0", "10900 drop 1"];
        assert_eq!(pass(&mut u, 11_000), told);
        assert_eq!(pass(&mut u, 20_999), ["12500 drop 2", "16000 drop 5"]);
        assert_eq!(u.next_hops(), 1, "its failure is remembered for ten seconds past the hold-down");
        assert_eq!(pass(&mut u, 60_000), [""; 0]);
        assert_eq!((u.next_hops(), u.bytes(), u.deadline(), u.failed.len()), (0, 0, None, 0));
    }

    /// It has not failed: it was asked once. Nobody is asked for when nothing waits.
    #[test]
    fn a_request_that_is_not_sent_is_no_try() {
        let mut u = Numbered::new();
        assert_eq!(packet(&mut u, 0, UNPAID, 0), (Arrival::First, true));
        let told = pass(&mut u, 60_000);
        let asks: Vec<String> = (1..=10).map(|second| format!("{second}000 ask {UNPAID}")).collect();
        assert_eq!(told.iter().filter(|line| line.contains("ask")).cloned().collect::<Vec<_>>(), asks);
        assert_eq!(told.iter().filter(|line| !line.contains("ask")).collect::<Vec<_>>(), ["10000 drop 0"]);
        assert_eq!((u.next_hops(), u.bytes(), u.deadline(), u.failed.len()), (0, 0, None, 0));
    }

    #[test]
    fn an_answer_ends_every_state() {
        for (name, ms, packets) in
            [("asked", 500, 1), ("asked again", 1500, 1), ("held down", 3500, 1), ("late", 9000, 1)]
        {
            let mut u = Numbered::new();
            packet(&mut u, 0, 7, 0);
            pass(&mut u, ms);
            assert_eq!(u.resolve(&hop(7)).count(), packets, "{name}");
            assert_eq!((u.next_hops(), u.bytes(), u.deadline(), u.failed.len()), (0, 0, None, 0), "{name}");
            assert_eq!(packet(&mut u, ms, 7, 1), (Arrival::First, true), "{name}");
        }
    }

    #[test]
    fn the_newest_four_are_kept_in_order() {
        let mut u = Numbered::new();
        for n in 0..6 {
            packet(&mut u, n, 1, n as usize);
        }
        assert_eq!(u.hold(at(7), hop(1), whole(100), 6), Held::Kept { pushed_out: vec![2] });
        assert_eq!(u.resolve(&hop(1)).collect::<Vec<_>>(), [3, 4, 5, 6]);
    }

    /// A piece of a datagram.
    fn piece(id: u32) -> Size {
        let of = |n: u32| IpAddr::V4(n.into());
        Size { len: 100, datagram: Some(Datagram { src: of(1), dst: of(2), id }) }
    }

    /// A datagram of which a piece is missing is of no use.
    #[test]
    fn the_pieces_of_a_datagram_are_one_packet() {
        let mut u = Numbered::new();
        ask(&mut u, 0, 1);
        let kept = |pushed_out: &[usize]| Held::Kept { pushed_out: pushed_out.to_vec() };
        let mut hold = |size, n| u.hold(at(0), hop(1), size, n);
        for n in 0..6 {
            assert_eq!(hold(piece(7), n), kept(&[]));
        }
        assert_eq!(hold(whole(100), 6), kept(&[]));
        assert_eq!(hold(piece(8), 7), kept(&[]));
        assert_eq!(hold(piece(7), 8), kept(&[]), "a piece that comes late");
        assert_eq!(hold(whole(100), 9), kept(&[]));
        assert_eq!(hold(piece(8), 10), kept(&[]));
        assert_eq!(hold(piece(9), 11), kept(&[0, 1, 2, 3, 4, 5, 8]), "the fifth datagram");
        assert_eq!(hold(whole(100), 12), kept(&[6]));
        assert_eq!(hold(whole(100), 13), kept(&[7, 10]));
        assert_eq!(u.bytes(), 400);
        assert_eq!(u.resolve(&hop(1)).collect::<Vec<_>>(), [9, 11, 12, 13]);
        assert_eq!(u.bytes(), 0);
    }

    #[test]
    fn pieces_are_bounded() {
        let mut u = Numbered::new();
        ask(&mut u, 0, 1);
        for n in 0..MAX_FRAGMENTS_PER_NEXT_HOP {
            assert!(keeps(u.hold(at(0), hop(1), piece(n as u32 % 4), n)));
        }
        let gone: Vec<usize> = (0..MAX_FRAGMENTS_PER_NEXT_HOP).step_by(4).collect();
        let next = MAX_FRAGMENTS_PER_NEXT_HOP;
        assert_eq!(u.hold(at(0), hop(1), piece(1), next), Held::Kept { pushed_out: gone.clone() });
        assert_eq!((u.packets(), u.bytes()), (next + 1 - gone.len(), 100 * (next + 1 - gone.len())));
    }

    /// A flood to a next hop that has failed costs a packet for each attempt.
    #[test]
    fn asking_again_is_told_while_the_failure_is_remembered() {
        let mut u = Numbered::new();
        assert_eq!(ask(&mut u, 0, 7).again, None);
        pass(&mut u, 3000);
        let again = |ms: u64| Some(Failure { next_hop: hop(7), until: at(ms + 3000), asked_again: true });
        assert_eq!(ask(&mut u, 5001, 7).again, again(5001));
        assert_eq!(pass(&mut u, 9000).last().map(String::as_str), Some("8001 failed until 10001"));
        assert_eq!(ask(&mut u, 20_000, 7).again, again(20_000));
        pass(&mut u, 35_001);
        assert_eq!(ask(&mut u, 35_001, 7).again, None, "it is forgotten");
        // an answer ends it as well
        pass(&mut u, 38_001);
        assert_eq!(u.resolve(&hop(7)).count(), 0);
        assert_eq!(ask(&mut u, 38_500, 7).again, None);
    }

    #[test]
    fn packets_can_be_given_up() {
        let mut u = Numbered::new();
        for n in 0..4 {
            packet(&mut u, 0, 7, n);
        }
        pass(&mut u, 3000);
        assert_eq!(u.give_up(&hop(7), |n| n % 2 == 1), [1, 3]);
        assert_eq!((u.packets(), u.bytes()), (2, 200));
        assert_eq!(u.give_up(&hop(7), |_| true), [0, 2]);
        assert_eq!(packet(&mut u, 4999, 7, 4), (Arrival::HeldDown, false), "it has failed all the same");
        assert_eq!(pass(&mut u, 60_000), [""; 0]);
        assert_eq!((u.next_hops(), u.bytes(), u.deadline(), u.failed.len()), (0, 0, None, 0));
    }

    /// Another port asks for as many as it may, while one has taken all that there are.
    #[test]
    fn who_asks_for_most_gives_way_to_others() {
        let mut u = Numbered::new();
        for n in 0..MAX_NEXT_HOPS as u32 {
            assert_eq!(packet(&mut u, 0, n, n as usize), (Arrival::First, true));
        }
        let half = MAX_NEXT_HOPS as u32 / 2;
        for n in 5000..5000 + half {
            assert_eq!(u.arrival(at(1), &hop(n), &payer(2)), Arrival::First);
            let asked = u.ask(at(1), hop(n), payer(2), n);
            assert_eq!((asked.pushed_out.len(), asked.again), (1, None), "the packet that waited for it");
            assert_eq!(u.next_hops(), MAX_NEXT_HOPS);
        }
        assert_eq!(u.arrival(at(1), &hop(9000), &payer(2)), Arrival::Full);
        assert_eq!(u.arrival(at(1), &hop(9000), &payer(1)), Arrival::Full);
        assert_eq!(u.arrival(at(1), &hop(9000), &payer(3)), Arrival::First);
    }

    #[test]
    fn bounds() {
        let mut u = Numbered::new();
        for n in 0..MAX_NEXT_HOPS as u32 {
            assert_eq!(packet(&mut u, 1000 + u64::from(n % 2), n, n as usize), (Arrival::First, true));
        }
        assert_eq!(packet(&mut u, 1500, 5000, 0), (Arrival::Full, false));
        assert_eq!(packet(&mut u, 1500, 7, 0), (Arrival::Waits, true), "known next hops go on");
        pass(&mut u, 4000);
        // those that failed give way, first those that failed first
        assert_eq!(u.arrival(at(4000), &hop(5000), &payer(1)), Arrival::First);
        let asked = Asked { pushed_out: vec![0], again: None };
        assert_eq!(ask(&mut u, 4000, 5000), asked, "with the packet that waited for it");
        assert_eq!((u.next_hops(), u.resolve(&hop(0)).count()), (MAX_NEXT_HOPS, 0));

        let mut u = Numbered::new();
        ask(&mut u, 0, 1);
        ask(&mut u, 0, 2);
        assert!(keeps(u.hold(at(0), hop(1), whole(MAX_WAITING_BYTES), 0)));
        assert_eq!(u.hold(at(0), hop(2), whole(1), 5), Held::Refused(5));
        let mut forgotten = Vec::new();
        u.forget(|h| *h == hop(1), |packet| forgotten.push(packet));
        assert_eq!((forgotten, u.bytes()), (vec![0], 0));
    }

    #[derive(Clone, Debug)]
    enum Event {
        Packet(u32, usize),
        Resolve(u32),
        Wait(u64),
    }

    fn event() -> impl Strategy<Value = Event> {
        let hop = prop_oneof![0u32..6, 0u32..2000];
        prop_oneof![
            8 => (hop.clone(), prop_oneof![Just(100usize), Just(1 << 20)]).prop_map(|(h, len)| Event::Packet(h, len)),
            1 => hop.prop_map(Event::Resolve),
            2 => (0u64..4000).prop_map(Event::Wait),
        ]
    }

    proptest! {
        /// Against a plain record of every request and packet.
        #[test]
        fn bounded_ordered_and_nothing_older_than_it_may_be(events in proptest::collection::vec(event(), 0..2500)) {
            let mut unresolved = Unresolved::<(usize, Instant), u32>::new();
            let mut now = Instant::ZERO;
            // when each was asked for since it was last resolved or forgotten
            let mut asked = HashMap::<u32, Vec<Instant>>::default();
            for (serial, event) in events.into_iter().enumerate() {
                match event {
                    Event::Packet(h, len) => match unresolved.arrival(now, &hop(h), &payer((h % 3) as u16)) {
                        arrival @ (Arrival::First | Arrival::Waits) => {
                            if arrival == Arrival::First {
                                unresolved.ask(now, hop(h), payer((h % 3) as u16), h);
                                asked.entry(h).or_default().push(now);
                            }
                            unresolved.hold(now, hop(h), whole(len), (serial, now));
                        }
                        Arrival::HeldDown => prop_assert!(asked[&h].len() >= usize::from(MAX_QUERIES)),
                        Arrival::Full => prop_assert_eq!(unresolved.next_hops(), MAX_NEXT_HOPS),
                    },
                    Event::Resolve(h) => {
                        asked.remove(&h);
                        let given: Vec<_> = unresolved.resolve(&hop(h)).collect();
                        prop_assert!(given.is_sorted_by(|a, b| a.0 < b.0), "in order");
                        prop_assert!(given.iter().all(|(_, since)| now - *since < MAX_WAIT));
                    }
                    Event::Wait(ms) => {
                        now = now + Duration::from_millis(ms);
                        unresolved.advance(now, |due| {
                            if let Due::Ask(_, h) = due {
                                asked.entry(*h).or_default().push(now);
                            }
                            true
                        });
                    }
                }
                prop_assert!(unresolved.next_hops() <= MAX_NEXT_HOPS);
                prop_assert!(unresolved.packets() <= MAX_NEXT_HOPS * MAX_PACKETS_PER_NEXT_HOP);
                prop_assert!(unresolved.bytes() <= MAX_WAITING_BYTES);
                prop_assert_eq!(unresolved.checks.len(), unresolved.next_hops());
                let held: usize = unresolved.next_hops.values().flat_map(|w| &w.packets).map(|k| k.size.len).sum();
                prop_assert_eq!(unresolved.bytes(), held);
                // a next hop that gave way to others may be asked for anew
                asked.retain(|h, _| unresolved.next_hops.contains_key(&hop(*h)));
            }
            for times in asked.values() {
                prop_assert!(times.windows(2).all(|pair| pair[1] - pair[0] >= QUERY_INTERVAL));
            }
            for _ in 0..30 {
                now = now + QUERY_INTERVAL;
                unresolved.advance(now, |_| true);
            }
            prop_assert_eq!((unresolved.next_hops(), unresolved.bytes(), unresolved.failed.len()), (0, 0, 0));
        }
    }
}
