//! One OpenFlow connection, made again whenever it is lost.

use kiln_openflow::msg::{Message, SwitchConfig};
use kiln_openflow::session::{Config, Event, Session};
use kiln_ovsdb::reconnect::{Action, End, Order, Reconnect};
use kiln_ovsdb::remote::Remote;
use kiln_types::{Instant, Rng};
use std::time::Duration;
use tracing::{info, warn};

/// `NXT_PACKET_IN2`, the format of packets that carry everything the pipeline knows.
const PACKET_IN2: u32 = 2;
/// How soon, and how often after a while, a switch that is gone is looked for: hosts are cut off until it has its flows
/// back, and it is on the same machine.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(500));
/// How long one is left alone that answered what cannot be understood, at first and at most: it is no switch, and will not soon
/// be one.
const STRANGER_PAUSE: (Duration, Duration) = (Reconnect::MIN_BACKOFF, Reconnect::MAX_BACKOFF);

/// How much of what was sent is kept to tell which packet an error is about.
const LAST_PACKETS_BYTES: usize = 64 << 10;

/// A session and the connection under it.
#[derive(Debug)]
pub(super) struct SwitchLink {
    pub(super) session: Session,
    reconnect: Reconnect,
    remote: Option<Remote>,
    close: bool,
    /// Whether this connection, or the last one, ever became an OpenFlow session.
    understood: bool,
    /// How long the next stranger is left alone, and until when this one is.
    stranger_pause: Duration,
    paused_until: Option<Instant>,
}

impl SwitchLink {
    /// A link of which errors are told with the message that they refuse.
    pub(super) fn new(rng: Rng) -> Self {
        SwitchLink::with_config(Config::controller(), rng)
    }

    /// A link for packets, of which there are many and none is sent again: errors are told with one of the last messages only.
    pub(super) fn for_packets(rng: Rng) -> Self {
        SwitchLink::with_config(
            Config { max_sent_log_bytes: LAST_PACKETS_BYTES, ..Config::controller() },
            rng,
        )
    }

    fn with_config(config: Config, rng: Rng) -> Self {
        SwitchLink {
            session: Session::new(config),
            reconnect: Reconnect::new(Vec::new(), Order::Listed, rng).with_backoff(BACKOFF.0, BACKOFF.1),
            remote: None,
            close: false,
            understood: false,
            stranger_pause: STRANGER_PAUSE.0,
            paused_until: None,
        }
    }

    pub(super) fn set_remote(&mut self, now: Instant, remote: Option<Remote>) {
        if self.remote != remote {
            self.reconnect.set_remotes(now, remote.iter().cloned().collect());
            self.remote = remote;
            (self.stranger_pause, self.paused_until) = (STRANGER_PAUSE.0, None);
        }
    }

    pub(super) fn handle_connected(&mut self, now: Instant) {
        self.reconnect.handle_connected(now);
        if self.reconnect.is_connected() {
            self.session.handle_connected(now);
            self.understood = false;
        }
    }

    pub(super) fn handle_disconnected(&mut self, now: Instant) {
        self.session.handle_disconnected();
        self.reconnect.handle_disconnected(now, End::Failed);
    }

    pub(super) fn handle_bytes(&mut self, now: Instant, bytes: &[u8]) {
        self.session.handle_bytes(now, bytes);
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        self.session.handle_timeout(now);
    }

    pub(super) fn poll_action(&mut self, now: Instant) -> Option<Action> {
        if std::mem::take(&mut self.close) {
            return Some(Action::Close);
        }
        if self.paused_until.is_some_and(|until| now < until) {
            return None;
        }
        self.paused_until = None;
        let action = self.reconnect.poll_action(now);
        if action == Some(Action::Close) {
            self.session.handle_disconnected();
        }
        action
    }

    pub(super) fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.session.poll_transmit()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        if self.close {
            return Some(Instant::ZERO);
        }
        let reconnect = self.reconnect.poll_timeout().max(self.paused_until);
        [self.session.poll_timeout(), reconnect].into_iter().flatten().min()
    }

    pub(super) fn poll_event(&mut self, now: Instant) -> Option<Event> {
        let event = self.session.poll_event();
        let remote = || self.remote.as_ref().map(ToString::to_string).unwrap_or_default();
        match &event {
            Some(Event::Ready { .. }) => {
                info!(target: "rconn", "{}: connected", remote());
                self.reconnect.handle_established();
                self.understood = true;
                self.stranger_pause = STRANGER_PAUSE.0;
            }
            Some(Event::Drop(reason)) => {
                warn!(target: "rconn", rl = 20, "{}: {reason}", remote());
                if !self.understood {
                    self.paused_until = Some(now + self.stranger_pause);
                    self.stranger_pause = (self.stranger_pause * 2).min(STRANGER_PAUSE.1);
                }
                self.session.handle_disconnected();
                self.reconnect.handle_disconnected(now, End::Failed);
                self.close = true;
            }
            _ => {}
        }
        event
    }

    /// Asks for packets once the session is ready: a switch sends none to a service connection until its
    /// configuration was set.
    pub(super) fn start_packets(&mut self, event: &Event) {
        let messages = match event {
            Event::Ready { .. } => vec![Message::SetPacketInFormat(PACKET_IN2), Message::GetConfigRequest],
            Event::Reply { message: Message::GetConfigReply(config), .. } => {
                vec![Message::SetConfig(SwitchConfig { miss_send_len: u16::MAX, ..*config })]
            }
            _ => return,
        };
        for message in messages {
            // A session that is no longer ready will say so, and be ready again.
            let _ = self.session.send(&message);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How often a minute one is connected to that answers like this.
    fn attempts_in_a_minute(answer: &[u8]) -> usize {
        let mut link = SwitchLink::new(Rng::with_seed(0));
        link.set_remote(Instant::ZERO, Some(Remote::Unix("br-int.mgmt".to_owned())));
        let (mut now, mut attempts) = (Instant::ZERO, 0);
        while now < Instant::from_secs(60) {
            while let Some(action) = link.poll_action(now) {
                if matches!(action, Action::Connect(_)) {
                    attempts += 1;
                    link.handle_connected(now);
                    link.handle_bytes(now, answer);
                    while link.poll_event(now).is_some() {}
                }
            }
            now = link.poll_timeout().expect("it tries again").max(now + Duration::from_millis(1));
            link.handle_timeout(now);
        }
        attempts
    }

    #[test]
    fn what_is_no_switch_is_left_alone_for_longer_and_longer() {
        // At 0, 1, 3, 7 and 15 s, and every 8 s from then on. It has a length as if it were a message, and no known version.
        assert_eq!(attempts_in_a_minute(&[0x53, 0x53, 0, 8, 0x2d, 0x32, 0x2e, 0x30]), 10);
    }

    #[test]
    fn a_switch_that_comes_back_is_found_soon() {
        let mut link = SwitchLink::new(Rng::with_seed(0));
        link.set_remote(Instant::ZERO, Some(Remote::Unix("br-int.mgmt".to_owned())));
        let mut now = Instant::ZERO;
        for _ in 0..20 {
            while link.poll_action(now).is_some() {}
            link.handle_disconnected(now);
            let next = link.poll_timeout().expect("it tries again");
            assert!(next <= now + BACKOFF.1, "{next:?} after {now:?}");
            now = next;
        }
    }
}
