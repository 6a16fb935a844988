//! Who asks for how many next hops at a time, so that one who asks for very many leaves room for others.
//!
//! Ports share what there is, and sources behind a port share what the port has. Whoever would still have less than the one who
//! has most, once the latter has given way, takes a place from it; in a rest where all have as much, nobody does.

use crate::NextHop;
use kiln_budget::Payer;
use kiln_types::{DatapathKey, Instant, PortKey};
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

type Port = (DatapathKey, PortKey);
type Source = Option<IpAddr>;

/// How many each one has.
#[derive(Debug)]
struct Ranking<K> {
    counts: BTreeMap<K, usize>,
    by_count: BTreeSet<(usize, K)>,
}

impl<K> Default for Ranking<K> {
    fn default() -> Self {
        Ranking { counts: BTreeMap::new(), by_count: BTreeSet::new() }
    }
}

impl<K: Copy + Ord> Ranking<K> {
    fn set(&mut self, key: K, count: usize) {
        self.by_count.remove(&(self.of(key), key));
        if count == 0 {
            self.counts.remove(&key);
        } else {
            self.counts.insert(key, count);
            self.by_count.insert((count, key));
        }
    }

    fn of(&self, key: K) -> usize {
        self.counts.get(&key).copied().unwrap_or(0)
    }

    /// Who has most, if that is more than `key` would have with one more.
    fn above(&self, key: K) -> Option<K> {
        let (most, largest) = *self.by_count.last()?;
        (self.of(key) + 1 < most).then_some(largest)
    }
}

/// The next hops that each one asks for.
#[derive(Debug, Default)]
pub(crate) struct Shares {
    ports: Ranking<Port>,
    sources: BTreeMap<Port, Ranking<Source>>,
    /// With the time since when.
    hops: BTreeMap<(Port, Source), BTreeSet<(Instant, NextHop)>>,
}

impl Shares {
    /// `payer` asks for a next hop since then.
    pub(crate) fn add(&mut self, payer: &Payer, since: Instant, hop: NextHop) {
        if self.hops.entry(owner(payer)).or_default().insert((since, hop)) {
            self.count(payer, 1);
        }
    }

    /// It no longer does.
    pub(crate) fn remove(&mut self, payer: &Payer, since: Instant, hop: NextHop) {
        let Some(hops) = self.hops.get_mut(&owner(payer)) else { return };
        if hops.remove(&(since, hop)) {
            if hops.is_empty() {
                self.hops.remove(&owner(payer));
            }
            self.count(payer, -1);
        }
    }

    fn count(&mut self, payer: &Payer, change: isize) {
        let (port, source) = owner(payer);
        self.ports.set(port, self.ports.of(port).saturating_add_signed(change));
        let sources = self.sources.entry(port).or_default();
        sources.set(source, sources.of(source).saturating_add_signed(change));
        if sources.counts.is_empty() {
            self.sources.remove(&port);
        }
    }

    /// The next hop that gives way to one of `payer`'s, if there is no room: of those of who has most, the one that was asked for
    /// first.
    pub(crate) fn victim(&self, payer: &Payer) -> Option<NextHop> {
        let (own_port, own_source) = owner(payer);
        let (port, source) = match self.ports.above(own_port) {
            Some(port) => (port, self.sources.get(&port)?.by_count.last()?.1),
            None => (own_port, self.sources.get(&own_port)?.above(own_source)?),
        };
        self.hops.get(&(port, source))?.first().map(|(_, hop)| *hop)
    }
}

fn owner(payer: &Payer) -> (Port, Source) {
    ((payer.router, payer.port), payer.source)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn payer(port: u16, source: u8) -> Payer {
        Payer { router: DatapathKey(1), port: PortKey(port), source: Some([10, 0, 0, source].into()) }
    }

    fn hop(n: u8) -> NextHop {
        NextHop { datapath: DatapathKey(1), port: PortKey(9), ip: [10, 1, 0, n].into() }
    }

    #[test]
    fn who_has_most_gives_way_until_all_have_as_much() {
        let mut shares = Shares::default();
        for n in 1..=4 {
            shares.add(&payer(1, 1), Instant::from_secs(n.into()), hop(n));
        }
        // The first of four gives way to another port's first, the second to its second; then both have two.
        for (came, gone) in [(11, 1), (12, 2)] {
            assert_eq!(shares.victim(&payer(2, 1)), Some(hop(gone)));
            shares.remove(&payer(1, 1), Instant::from_secs(gone.into()), hop(gone));
            shares.add(&payer(2, 1), Instant::from_secs(9), hop(came));
        }
        assert_eq!(shares.victim(&payer(2, 1)), None);
        assert_eq!(shares.victim(&payer(1, 1)), None);
        // Whoever has more takes nothing from who has less.
        shares.add(&payer(1, 1), Instant::from_secs(9), hop(13));
        shares.add(&payer(1, 1), Instant::from_secs(9), hop(14));
        assert_eq!(shares.victim(&payer(1, 1)), None);
    }

    #[test]
    fn sources_of_a_port_share_what_it_has() {
        let mut shares = Shares::default();
        for n in 1..=3 {
            shares.add(&payer(1, 1), Instant::from_secs(n.into()), hop(n));
        }
        assert_eq!(shares.victim(&payer(1, 2)), Some(hop(1)));
        // Many sources behind one port have no more than one that is alone at its own.
        let mut shares = Shares::default();
        for n in 1..=6 {
            shares.add(&payer(1, n), Instant::from_secs(n.into()), hop(n));
        }
        assert_eq!(shares.victim(&payer(1, 99)), None, "all of them have one");
        assert!(shares.victim(&payer(2, 1)).is_some());
    }

    #[test]
    fn nothing_is_left_of_who_has_gone() {
        let mut shares = Shares::default();
        shares.add(&payer(1, 1), Instant::ZERO, hop(1));
        shares.add(&payer(1, 1), Instant::ZERO, hop(1));
        shares.remove(&payer(1, 1), Instant::ZERO, hop(1));
        shares.remove(&payer(1, 1), Instant::ZERO, hop(1));
        assert!(shares.ports.counts.is_empty() && shares.ports.by_count.is_empty());
        assert!(shares.sources.is_empty() && shares.hops.is_empty());
    }
}
