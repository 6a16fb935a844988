//! Which remote to connect to, and when. Free of I/O: events of the connection and the time go in, actions come out.
//!
//! ```text
//!            poll_action: Connect             handle_connected
//!  Waiting ------------------------> Connecting -------------> Connected
//!     ^                                 |                         |
//!     |   failed, or poll_action: Close |     disconnected, or    |
//!     +---------------------------------+---- poll_action: Close -+
//! ```
//!
//! Remotes are tried in turn. A round over all of them is made without waiting; between rounds it waits for the backoff, 1 s at
//! first and doubled up to 8 s, as stock's. The backoff does not grow for rounds in which a server answered that another one of
//! the cluster is to be asked, and shrinks back once a session has been established.

use std::time::Duration;

use kiln_types::{Instant, Rng};

use crate::remote::Remote;

/// What to do with the connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open one; a passive remote is to be listened at for one. Answer with [`Reconnect::handle_connected`] or
    /// [`Reconnect::handle_disconnected`].
    Connect(Remote),
    /// Close it, or stop opening it; no answer is awaited.
    Close,
}

/// Whether remotes are tried in the order in which they are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// As listed.
    Listed,
    /// In a random order, so that the clients of a cluster spread over its servers.
    Shuffled,
}

/// How a connection, or an attempt at one, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It could not be opened, or broke.
    Failed,
    /// The server works but is not the one to talk to: [`crate::client::CloseReason::wrong_server`].
    WrongServer,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting { until: Instant },
    Connecting { give_up: Instant },
    Connected { established: bool },
}

/// Chooses remotes for one session.
#[derive(Debug)]
pub struct Reconnect {
    remotes: Vec<Remote>,
    order: Order,
    rng: Rng,
    state: State,
    /// The remote that is in use, or was last.
    current: Option<usize>,
    /// The next remote's index.
    next: usize,
    /// Attempts left before the round is over.
    left_in_round: usize,
    /// A server of this round said that it is not the one.
    wrong_server: bool,
    backoff: Duration,
    /// The first and the longest wait.
    bounds: (Duration, Duration),
    close: bool,
}

impl Reconnect {
    /// The first wait between rounds.
    pub const MIN_BACKOFF: Duration = Duration::from_secs(1);
    /// The longest wait between rounds.
    pub const MAX_BACKOFF: Duration = Duration::from_secs(8);

    /// Starts on `remotes` at once; `rng` is drawn from only if the order is shuffled.
    pub fn new(remotes: Vec<Remote>, order: Order, rng: Rng) -> Self {
        let mut this = Reconnect {
            remotes: Vec::new(),
            order,
            rng,
            state: State::Waiting { until: Instant::ZERO },
            current: None,
            next: 0,
            left_in_round: 0,
            wrong_server: false,
            backoff: Self::MIN_BACKOFF,
            bounds: (Self::MIN_BACKOFF, Self::MAX_BACKOFF),
            close: false,
        };
        this.adopt(remotes);
        this
    }

    /// The same with other waits between rounds: the first, and the longest.
    pub fn with_backoff(mut self, first: Duration, longest: Duration) -> Self {
        self.bounds = (first, longest);
        self.backoff = first;
        self
    }

    fn adopt(&mut self, remotes: Vec<Remote>) {
        self.remotes = remotes;
        if self.order == Order::Shuffled {
            self.rng.shuffle(&mut self.remotes);
        }
        self.current = None;
        self.next = 0;
        self.left_in_round = self.remotes.len();
        self.wrong_server = false;
    }

    /// Uses other remotes from now on. A connection to one that is still listed stays, else it is closed.
    pub fn set_remotes(&mut self, now: Instant, remotes: Vec<Remote>) {
        let kept = match self.state {
            State::Waiting { .. } => None,
            State::Connecting { .. } | State::Connected { .. } => self.remote().cloned(),
        };
        self.adopt(remotes);
        let position = kept.and_then(|kept| self.remotes.iter().position(|remote| *remote == kept));
        match position {
            Some(at) => {
                self.current = Some(at);
                self.next = (at + 1) % self.remotes.len();
            }
            None => {
                self.close |= !matches!(self.state, State::Waiting { .. });
                self.backoff = self.bounds.0;
                self.state = State::Waiting { until: now };
            }
        }
    }

    /// The remote that is in use, or was last.
    pub fn remote(&self) -> Option<&Remote> {
        self.remotes.get(self.current?)
    }

    /// Whether there is a connection.
    pub fn is_connected(&self) -> bool {
        matches!(self.state, State::Connected { .. })
    }

    /// The connection that was asked for is open.
    pub fn handle_connected(&mut self, _now: Instant) {
        if matches!(self.state, State::Connecting { .. }) {
            self.state = State::Connected { established: false };
        }
    }

    /// The session over the connection works: the next failure is the first.
    pub fn handle_established(&mut self) {
        if matches!(self.state, State::Connected { .. }) {
            self.state = State::Connected { established: true };
            self.backoff = self.bounds.0;
        }
    }

    /// The connection broke or was closed by its session, or the attempt failed.
    pub fn handle_disconnected(&mut self, now: Instant, end: End) {
        let established = match self.state {
            State::Waiting { .. } => return,
            State::Connecting { .. } => false,
            State::Connected { established } => established,
        };
        self.wrong_server |= end == End::WrongServer;
        if established {
            // a new round, in which this remote has had its turn
            self.left_in_round = self.remotes.len().saturating_sub(1);
        }
        if self.left_in_round > 0 {
            self.state = State::Waiting { until: now };
            return;
        }
        self.state = State::Waiting { until: now + self.backoff };
        if !established && !self.wrong_server {
            self.backoff = (self.backoff * 2).min(self.bounds.1);
        }
        self.left_in_round = self.remotes.len();
        self.wrong_server = false;
    }

    /// Gives the connection up and goes on to the next remote.
    pub fn force_reconnect(&mut self, now: Instant) {
        if !matches!(self.state, State::Waiting { .. }) {
            self.close = true;
            self.handle_disconnected(now, End::Failed);
        }
    }

    /// What to do now; ask again until there is nothing.
    pub fn poll_action(&mut self, now: Instant) -> Option<Action> {
        if std::mem::take(&mut self.close) {
            return Some(Action::Close);
        }
        match self.state {
            State::Waiting { until } if now >= until && !self.remotes.is_empty() => {
                let remote = self.remotes[self.next].clone();
                self.current = Some(self.next);
                self.next = (self.next + 1) % self.remotes.len();
                self.left_in_round = self.left_in_round.saturating_sub(1);
                // who listens has no one to give up on
                let patience = self.backoff.max(Self::MIN_BACKOFF);
                let give_up = if remote.is_passive() { Instant::FAR_FUTURE } else { now + patience };
                self.state = State::Connecting { give_up };
                Some(Action::Connect(remote))
            }
            State::Connecting { give_up } if now >= give_up => {
                self.handle_disconnected(now, End::Failed);
                Some(Action::Close)
            }
            _ => None,
        }
    }

    /// When to call [`Reconnect::poll_action`] next, if nothing else happens.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            _ if self.close => Some(Instant::ZERO),
            State::Waiting { until } if !self.remotes.is_empty() => Some(until),
            State::Connecting { give_up } if give_up < Instant::FAR_FUTURE => Some(give_up),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remotes(names: &str) -> Vec<Remote> {
        names.chars().map(|c| Remote::Unix(c.to_string())).collect()
    }

    fn listed(names: &str) -> Reconnect {
        Reconnect::new(remotes(names), Order::Listed, Rng::with_seed(0))
    }

    /// Runs with `end` as the answer to every connection; the remotes and the seconds at which each was tried.
    fn attempts(reconnect: &mut Reconnect, from: u64, count: usize, end: End) -> Vec<(String, u64)> {
        let mut tried = Vec::new();
        let mut now = Instant::from_secs(from);
        while tried.len() < count {
            while let Some(action) = reconnect.poll_action(now) {
                let Action::Connect(Remote::Unix(name)) = action else { panic!("{action:?}") };
                tried.push((name, now.as_millis() / 1000));
                if tried.len() == count {
                    return tried;
                }
                if end == End::WrongServer {
                    reconnect.handle_connected(now);
                }
                reconnect.handle_disconnected(now, end);
            }
            now = reconnect.poll_timeout().unwrap();
        }
        tried
    }

    fn owned(expected: &[(&str, u64)]) -> Vec<(String, u64)> {
        expected.iter().map(|&(name, at)| (name.to_owned(), at)).collect()
    }

    #[test]
    fn one_remote_backs_off_up_to_8_s() {
        let tried = attempts(&mut listed("a"), 0, 7, End::Failed);
        assert_eq!(tried, owned(&[("a", 0), ("a", 1), ("a", 3), ("a", 7), ("a", 15), ("a", 23), ("a", 31)]));
    }

    #[test]
    fn a_peer_on_the_same_machine_is_tried_more_often() {
        let (first, longest) = (Duration::from_millis(500), Duration::from_secs(2));
        let mut reconnect = listed("a").with_backoff(first, longest);
        let tried = attempts(&mut reconnect, 0, 6, End::Failed);
        assert_eq!(tried, owned(&[("a", 0), ("a", 0), ("a", 1), ("a", 3), ("a", 5), ("a", 7)]));
    }

    #[test]
    fn several_are_tried_in_rounds() {
        let tried = attempts(&mut listed("ab"), 0, 7, End::Failed);
        assert_eq!(tried, owned(&[("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 3), ("b", 3), ("a", 7)]));
    }

    #[test]
    fn followers_do_not_make_the_backoff_grow() {
        let tried = attempts(&mut listed("ab"), 0, 7, End::WrongServer);
        assert_eq!(tried, owned(&[("a", 0), ("b", 0), ("a", 1), ("b", 1), ("a", 2), ("b", 2), ("a", 3)]));
    }

    #[test]
    fn an_established_session_starts_over() {
        let mut reconnect = listed("a");
        attempts(&mut reconnect, 0, 5, End::Failed);
        let now = Instant::from_secs(15);
        reconnect.handle_connected(now);
        reconnect.handle_established();
        reconnect.handle_disconnected(now, End::Failed);
        assert_eq!(attempts(&mut reconnect, 15, 3, End::Failed), owned(&[("a", 16), ("a", 17), ("a", 19)]));

        // where there are others, they are tried at once, and before the one that broke
        let mut reconnect = listed("abc");
        reconnect.poll_action(now);
        reconnect.handle_connected(now);
        reconnect.handle_established();
        reconnect.handle_disconnected(now, End::Failed);
        assert_eq!(attempts(&mut reconnect, 15, 3, End::Failed), owned(&[("b", 15), ("c", 15), ("a", 16)]));
    }

    #[test]
    fn an_attempt_without_answer_is_given_up() {
        let mut reconnect = listed("ab");
        assert!(matches!(reconnect.poll_action(Instant::ZERO), Some(Action::Connect(_))));
        assert_eq!(reconnect.poll_timeout(), Some(Instant::from_secs(1)));
        assert_eq!(reconnect.poll_action(Instant::from_millis(999)), None);
        assert_eq!(reconnect.poll_action(Instant::from_secs(1)), Some(Action::Close));
        assert_eq!(
            reconnect.poll_action(Instant::from_secs(1)),
            Some(Action::Connect(Remote::Unix("b".to_owned())))
        );
    }

    #[test]
    fn a_listener_waits_for_ever() {
        let mut reconnect =
            Reconnect::new(vec!["ptcp:6641".parse().unwrap()], Order::Listed, Rng::with_seed(0));
        assert!(matches!(reconnect.poll_action(Instant::ZERO), Some(Action::Connect(_))));
        assert_eq!(reconnect.poll_timeout(), None);
        assert_eq!(reconnect.poll_action(Instant::from_secs(1_000_000)), None);
    }

    #[test]
    fn remotes_change_under_a_connection() {
        let now = Instant::from_secs(5);
        let mut reconnect = listed("ab");
        reconnect.poll_action(now);
        reconnect.handle_connected(now);
        reconnect.set_remotes(now, remotes("ca"));
        assert!(reconnect.is_connected(), "still listed");
        assert_eq!(reconnect.poll_action(now), None);
        reconnect.set_remotes(now, remotes("d"));
        assert_eq!(reconnect.poll_timeout(), Some(Instant::ZERO));
        assert_eq!(reconnect.poll_action(now), Some(Action::Close));
        assert_eq!(reconnect.poll_action(now), Some(Action::Connect(Remote::Unix("d".to_owned()))));
        reconnect.set_remotes(now, Vec::new());
        assert_eq!(reconnect.poll_action(now), Some(Action::Close));
        assert_eq!((reconnect.poll_action(now), reconnect.poll_timeout()), (None, None));
        reconnect.set_remotes(now, remotes("e"));
        assert_eq!(reconnect.poll_action(now), Some(Action::Connect(Remote::Unix("e".to_owned()))));
    }

    #[test]
    fn clients_spread() {
        let first = |seed| {
            let mut r = Reconnect::new(remotes("abc"), Order::Shuffled, Rng::with_seed(seed));
            r.poll_action(Instant::ZERO);
            r.remote().unwrap().to_string()
        };
        let firsts: std::collections::BTreeSet<String> = (0..20).map(first).collect();
        assert_eq!(firsts.len(), 3);
        assert_eq!(first(7), first(7));
    }
}
