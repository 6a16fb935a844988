//! Which failures to connect the log tells of: the first few to each remote, until it answers.

use kiln_ovsdb::remote::Remote;
use std::collections::BTreeMap;
use tracing::info;

/// How many failures in a row are told of, whichever links they are on.
const MAX_TOLD: u32 = 6;
/// Remotes that are kept in mind; a daemon never has so many.
const MAX_REMOTES: usize = 256;

/// Failures since the last success, by remote.
#[derive(Debug, Default)]
pub(crate) struct Failures(BTreeMap<String, u32>);

impl Failures {
    /// A connection is up.
    pub(crate) fn connected(&mut self, remote: &Remote) {
        if !self.0.is_empty() {
            self.0.remove(&remote.to_string());
        }
    }

    /// An attempt at a connection has failed.
    pub(crate) fn failed(&mut self, remote: &Remote, reason: &str) {
        let remote = remote.to_string();
        match self.count(&remote) {
            ..MAX_TOLD => info!(target: "reconnect", rl = 20, "{remote}: {reason}"),
            MAX_TOLD => info!(
                target: "reconnect",
                "{remote}: {reason}; continuing to connect in the background but suppressing further logging"
            ),
            _ => {}
        }
    }

    /// How many it are with this one.
    fn count(&mut self, remote: &str) -> u32 {
        if self.0.len() >= MAX_REMOTES && !self.0.contains_key(remote) {
            self.0.clear();
        }
        let count = self.0.entry(remote.to_owned()).or_default();
        *count = count.saturating_add(1);
        *count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_answers_is_told_of_again() {
        let (one, other) = (Remote::Unix("one".into()), Remote::Unix("other".into()));
        let mut failures = Failures::default();
        assert_eq!([1, 2, 3].map(|_| failures.count(&one.to_string())), [1, 2, 3]);
        assert_eq!(failures.count(&other.to_string()), 1);
        failures.connected(&one);
        assert_eq!(failures.count(&one.to_string()), 1);
        assert_eq!(failures.count(&other.to_string()), 2);
    }

    #[test]
    fn no_more_than_so_many_remotes_are_kept() {
        let mut failures = Failures::default();
        for number in 0..3 * MAX_REMOTES {
            failures.count(&number.to_string());
            assert!(failures.0.len() <= MAX_REMOTES);
        }
    }
}
