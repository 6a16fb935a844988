//! How often a known neighbour may be said to be at another Ethernet address: two hosts that both claim an address would
//! otherwise have its row rewritten with each of their packets, on every chassis.

use crate::NextHop;
use kiln_types::{EthAddr, HashMap, Instant};
use std::time::Duration;

/// How many moves of one neighbour may follow each other at once: what fails over, and back, and over again.
pub const MOVE_BURST: u32 = 3;
/// After that, the time between two moves of one neighbour. A live migration takes longer.
pub const MOVE_INTERVAL: Duration = Duration::from_secs(5);
/// Most neighbours whose moves are remembered. While more of them move, those count as having used up their burst.
pub const MAX_MOVES: usize = 1000;

#[derive(Clone, Copy, Debug)]
struct Moved {
    /// When its budget is whole again.
    whole_at: Instant,
    /// Where it went to last.
    to: EthAddr,
}

/// Moves of late.
#[derive(Debug, Default)]
pub(crate) struct Moves {
    of: HashMap<NextHop, Moved>,
}

impl Moves {
    /// When a neighbour may move next.
    pub(crate) fn next(&self, now: Instant, next_hop: &NextHop) -> Instant {
        let burst = MOVE_INTERVAL * (MOVE_BURST - 1);
        match self.of.get(next_hop) {
            Some(moved) => {
                let ready = moved.whole_at.as_micros().saturating_sub(burst.as_micros() as u64);
                Instant::from_micros(ready).max(now)
            }
            None if self.of.len() < MAX_MOVES => now,
            None => now + MOVE_INTERVAL,
        }
    }

    /// A neighbour moves at `at`, whoever says so: what is known already counts once.
    pub(crate) fn moved(&mut self, at: Instant, next_hop: NextHop, to: EthAddr) {
        if self.of.len() >= MAX_MOVES {
            self.of.retain(|_, moved| moved.whole_at > at);
        }
        let room = self.of.len() < MAX_MOVES;
        match self.of.get_mut(&next_hop) {
            Some(moved) if moved.to == to => {}
            Some(moved) => *moved = Moved { whole_at: moved.whole_at.max(at) + MOVE_INTERVAL, to },
            None if room => drop(self.of.insert(next_hop, Moved { whole_at: at + MOVE_INTERVAL, to })),
            None => {}
        }
    }

    /// Forgets neighbours that `gone` names.
    pub(crate) fn forget(&mut self, gone: impl Fn(&NextHop) -> bool) {
        self.of.retain(|next_hop, _| !gone(next_hop));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_types::{DatapathKey, PortKey};

    fn hop(n: u32) -> NextHop {
        NextHop { datapath: DatapathKey(1), port: PortKey(1), ip: std::net::Ipv4Addr::from_bits(n).into() }
    }

    fn mac(n: usize) -> EthAddr {
        EthAddr::from_u64(n as u64)
    }

    /// Two claimants that never rest: three moves at once, and then one every five seconds.
    #[test]
    fn a_burst_and_then_a_rate() {
        let mut moves = Moves::default();
        let mut at = Vec::new();
        for second in 0..20 {
            let now = Instant::from_secs(second);
            while moves.next(now, &hop(1)) <= now {
                moves.moved(now, hop(1), mac(at.len() % 2));
                at.push(second);
            }
        }
        assert_eq!(at, [0, 0, 0, 5, 10, 15]);
        assert_eq!(moves.next(Instant::from_secs(19), &hop(2)), Instant::from_secs(19), "others are free");
        assert_eq!(moves.next(Instant::from_secs(19), &hop(1)), Instant::from_secs(20));
    }

    /// What this chassis wrote comes back from the database.
    #[test]
    fn a_move_counts_once() {
        let mut moves = Moves::default();
        let now = Instant::from_secs(1);
        for _ in 0..9 {
            moves.moved(now, hop(1), mac(1));
        }
        assert_eq!(moves.next(now, &hop(1)), now);
        moves.moved(now, hop(1), mac(2));
        moves.moved(now, hop(1), mac(1));
        assert_eq!(moves.next(now, &hop(1)), now + MOVE_INTERVAL);
    }

    #[test]
    fn bounded() {
        let mut moves = Moves::default();
        let now = Instant::from_secs(1);
        for n in 0..2 * MAX_MOVES as u32 {
            moves.moved(now, hop(n), mac(1));
            assert!(moves.of.len() <= MAX_MOVES);
        }
        assert_eq!(moves.next(now, &hop(u32::MAX)), now + MOVE_INTERVAL);
        moves.moved(now + MOVE_INTERVAL, hop(u32::MAX), mac(1));
        assert_eq!(moves.of.len(), 1, "what is whole again is forgotten");
        moves.forget(|next_hop| *next_hop == hop(u32::MAX));
        assert!(moves.of.is_empty());
    }
}
