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

/// A session and the connection under it.
#[derive(Debug)]
pub(super) struct SwitchLink {
    pub(super) session: Session,
    reconnect: Reconnect,
    remote: Option<Remote>,
    close: bool,
}

impl SwitchLink {
    pub(super) fn new(rng: Rng) -> Self {
        SwitchLink {
            session: Session::new(Config::controller()),
            reconnect: Reconnect::new(Vec::new(), Order::Listed, rng).with_backoff(BACKOFF.0, BACKOFF.1),
            remote: None,
            close: false,
        }
    }

    pub(super) fn set_remote(&mut self, now: Instant, remote: Option<Remote>) {
        if self.remote != remote {
            self.reconnect.set_remotes(now, remote.iter().cloned().collect());
            self.remote = remote;
        }
    }

    pub(super) fn handle_connected(&mut self, now: Instant) {
        self.reconnect.handle_connected(now);
        if self.reconnect.is_connected() {
            self.session.handle_connected(now);
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
        [self.session.poll_timeout(), self.reconnect.poll_timeout()].into_iter().flatten().min()
    }

    pub(super) fn poll_event(&mut self, now: Instant) -> Option<Event> {
        let event = self.session.poll_event()?;
        let remote = || self.remote.as_ref().map(ToString::to_string).unwrap_or_default();
        match &event {
            Event::Ready { .. } => {
                info!(target: "rconn", "{}: connected", remote());
                self.reconnect.handle_established();
            }
            Event::Drop(reason) => {
                warn!(target: "rconn", "{}: {reason}", remote());
                self.session.handle_disconnected();
                self.reconnect.handle_disconnected(now, End::Failed);
                self.close = true;
            }
            _ => {}
        }
        Some(event)
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
