//! One transaction at a time, each made anew from the replica.

use super::{Outcome, TxnId};
use kiln_types::Instant;
use std::time::Duration;

/// The transaction that a daemon has sent over a [`super::Link`] and awaits the answer of, and how soon the next one may
/// follow one that failed.
///
/// A daemon sends nothing while one is under way, because what the database lacks is only known again once it has
/// answered: the update that carries the change has then reached the replica.
#[derive(Debug, Default)]
pub struct InFlight {
    txn: Option<TxnId>,
    retry_at: Option<Instant>,
}

impl InFlight {
    /// The pause after a transaction that the server did not carry out: whatever is wrong with it is likely to be wrong
    /// with the next one too.
    pub const RETRY: Duration = Duration::from_secs(1);

    /// Whether a transaction may be sent now.
    pub fn may_send(&mut self, now: Instant) -> bool {
        if self.txn.is_some() || self.retry_at.is_some_and(|at| now < at) {
            return false;
        }
        self.retry_at = None;
        true
    }

    /// A transaction was sent.
    pub fn sent(&mut self, id: TxnId) {
        debug_assert!(self.txn.is_none(), "one at a time");
        self.txn = Some(id);
    }

    /// A transaction was answered or lost; whether it was the one that was awaited.
    pub fn answered(&mut self, now: Instant, id: TxnId, outcome: &Outcome) -> bool {
        if self.txn.take_if(|awaited| *awaited == id).is_none() {
            return false;
        }
        if matches!(outcome, Outcome::Failed(_)) {
            self.retry_at = Some(now + Self::RETRY);
        }
        true
    }

    /// When to try again, if nothing else happens.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.retry_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::txn::OpError;

    fn failed() -> Outcome {
        Outcome::Failed(OpError { op: None, error: "timed out".into(), details: String::new() })
    }

    #[test]
    fn one_at_a_time_and_a_pause_after_a_failure() {
        let mut flight = InFlight::default();
        let now = Instant::from_secs(1);
        assert!(flight.may_send(now));
        flight.sent(TxnId(7));
        assert!(!flight.may_send(now));
        assert!(!flight.answered(now, TxnId(6), &failed()), "another transaction's");
        assert_eq!(flight.poll_timeout(), None);
        assert!(flight.answered(now, TxnId(7), &failed()));
        assert!(!flight.may_send(now));
        assert_eq!(flight.poll_timeout(), Some(now + InFlight::RETRY));
        assert!(flight.may_send(now + InFlight::RETRY));
        assert_eq!(flight.poll_timeout(), None);
    }

    #[test]
    fn none_after_one_that_was_lost_or_committed() {
        for outcome in [Outcome::Lost, Outcome::NotSent, Outcome::Committed(Vec::new())] {
            let mut flight = InFlight::default();
            flight.sent(TxnId(1));
            assert!(flight.answered(Instant::ZERO, TxnId(1), &outcome));
            assert!(flight.may_send(Instant::ZERO), "{outcome:?}");
        }
    }
}
