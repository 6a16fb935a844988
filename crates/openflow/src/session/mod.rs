//! The session machine: one OpenFlow connection, without its I/O.
//!
//! The shell that owns the stream tells a [`Session`] what happens (`handle_*`) and drains what follows: bytes to send
//! ([`Session::poll_transmit`]), events ([`Session::poll_event`]) and the time at which to call again
//! ([`Session::poll_timeout`]). Both ends are served: a controller's and a switch's.
//!
//! ```text
//!               handle_connected                  hello with a common version
//!  Disconnected ----------------> Handshaking ----------------------------------> Ready
//!       ^                              |                                            |
//!       |                              | no hello in time, no common version        | malformed, inactive
//!       |       handle_disconnected    v                                            v
//!       +--------------------------- Dropped <--------------------------------------+
//! ```

mod receive;
mod sent_log;
#[cfg(test)]
mod tests;

use crate::msg::{ErrorMessage, Hello, Message, MultipartReply, Xid};
use crate::wire::TooLong;
use crate::{ErrorCode, Version};
use kiln_types::{HashMap, Instant};
use sent_log::SentLog;
use std::collections::VecDeque;
use std::time::Duration;

/// Which end of the connection this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Drops a connection on which something malformed comes.
    Controller,
    /// Answers a malformed request with an error and goes on.
    Switch,
}

/// What a session is made with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Which end this is.
    pub role: Role,
    /// The versions that are offered, at least one.
    pub versions: Vec<Version>,
    /// After this long without a byte an echo request is sent, and after as long again the connection dropped.
    /// `None` never asks.
    pub probe_interval: Option<Duration>,
    /// How long the peer may take to say hello.
    pub handshake_timeout: Duration,
    /// The most bytes of lists that are being put together.
    pub max_multipart_bytes: usize,
    /// The most bytes that may wait to be sent when the peer asks for something that is answered here.
    pub max_backlog_bytes: usize,
    /// The most bytes of sent messages that are kept in case an error names one of them.
    pub max_sent_log_bytes: usize,
}

impl Config {
    /// A controller's session that offers OpenFlow 1.5 alone, as OVN does.
    pub fn controller() -> Config {
        Config {
            role: Role::Controller,
            versions: vec![Version::V1_5],
            probe_interval: None,
            handshake_timeout: Duration::from_secs(30),
            max_multipart_bytes: 256 << 20,
            max_backlog_bytes: 64 << 20,
            max_sent_log_bytes: 16 << 20,
        }
    }

    /// A switch's session.
    pub fn switch(versions: Vec<Version>) -> Config {
        Config { role: Role::Switch, versions, ..Config::controller() }
    }
}

/// Why a connection is dropped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DropReason {
    /// A length that no message can have: the stream cannot be cut into messages any more.
    #[error("message length {len} is less than the 8 bytes of a header")]
    Framing {
        /// The length that came.
        len: u16,
    },
    /// A message that cannot be read.
    #[error("malformed message of type {typ}: {error}")]
    Malformed {
        /// The message's number.
        typ: u8,
        /// What is wrong with it.
        error: crate::DecodeError,
    },
    /// Something else came before a hello.
    #[error("message of type {typ} before hello")]
    NoHello {
        /// The message's number.
        typ: u8,
    },
    /// The peer speaks no version that is offered here.
    #[error("no common version: ours {ours:#x}, peer's {theirs:#x}")]
    NoCommonVersion {
        /// Bitmap of the versions that are offered here.
        ours: u32,
        /// Bitmap of the peer's.
        theirs: u32,
    },
    /// The peer refused the hello.
    #[error("hello refused: {text}")]
    HelloRefused {
        /// What the peer says about it.
        text: Box<str>,
    },
    /// No hello in time.
    #[error("no hello in time")]
    HandshakeTimeout,
    /// No answer to an echo request.
    #[error("no answer to an inactivity probe")]
    Inactive,
    /// The peer asks and does not read the answers.
    #[error("more than {limit} bytes wait to be sent to a peer that asks for more")]
    Stalled {
        /// The most bytes that may wait.
        limit: usize,
    },
    /// A list longer than what is kept.
    #[error("multipart reply of more than {limit} bytes")]
    MultipartOverflow {
        /// The most bytes that are kept.
        limit: usize,
    },
}

/// How many connections were dropped for each reason, and what else came that should not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counters {
    /// Messages that came.
    pub received: u64,
    /// Messages that were sent.
    pub sent: u64,
    /// [`DropReason::Framing`].
    pub framing: u64,
    /// [`DropReason::Malformed`], or malformed requests that were answered with an error.
    pub malformed: u64,
    /// [`DropReason::NoHello`].
    pub no_hello: u64,
    /// [`DropReason::NoCommonVersion`] and [`DropReason::HelloRefused`].
    pub no_common_version: u64,
    /// [`DropReason::HandshakeTimeout`].
    pub handshake_timeout: u64,
    /// [`DropReason::Inactive`].
    pub inactive: u64,
    /// [`DropReason::Stalled`].
    pub stalled: u64,
    /// [`DropReason::MultipartOverflow`].
    pub multipart_overflow: u64,
    /// Messages of a version that was not negotiated, answered with an error.
    pub wrong_version: u64,
    /// Bytes that came after the connection was given up.
    pub bytes_after_drop: u64,
}

impl Counters {
    /// Every count with the name that it is shown by.
    pub fn visit(&self, visit: &mut dyn FnMut(&str, u64)) {
        visit("received", self.received);
        visit("sent", self.sent);
        visit("drop_framing", self.framing);
        visit("drop_malformed", self.malformed);
        visit("drop_no_hello", self.no_hello);
        visit("drop_no_common_version", self.no_common_version);
        visit("drop_handshake_timeout", self.handshake_timeout);
        visit("drop_inactive", self.inactive);
        visit("drop_stalled", self.stalled);
        visit("drop_multipart_overflow", self.multipart_overflow);
        visit("wrong_version", self.wrong_version);
        visit("bytes_after_drop", self.bytes_after_drop);
    }

    fn count_drop(&mut self, reason: &DropReason) {
        let counter = match reason {
            DropReason::Framing { .. } => &mut self.framing,
            DropReason::Malformed { .. } => &mut self.malformed,
            DropReason::NoHello { .. } => &mut self.no_hello,
            DropReason::NoCommonVersion { .. } | DropReason::HelloRefused { .. } => {
                &mut self.no_common_version
            }
            DropReason::HandshakeTimeout => &mut self.handshake_timeout,
            DropReason::Inactive => &mut self.inactive,
            DropReason::Stalled { .. } => &mut self.stalled,
            DropReason::MultipartOverflow { .. } => &mut self.multipart_overflow,
        };
        *counter += 1;
    }
}

/// What a session tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The versions are settled; messages can be sent.
    Ready {
        /// The version of all messages from now on.
        version: Version,
    },
    /// The answer to a request, a list's parts put together.
    Reply {
        /// The request's id.
        xid: Xid,
        /// The answer.
        message: Message,
    },
    /// The peer refused something.
    Error {
        /// The id of what was refused.
        xid: Xid,
        /// Why, with the start of what was refused.
        error: ErrorMessage,
        /// The whole of what was refused, if it is still known.
        request: Option<Box<[u8]>>,
    },
    /// Anything else that came: packets, changes, and for a switch requests.
    Message {
        /// The message's own id.
        xid: Xid,
        /// The message.
        message: Message,
    },
    /// The connection is of no more use: send what is left, then close it.
    Drop(DropReason),
}

/// Why a message was not sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// There is no connection, or no hello has come yet.
    #[error("the OpenFlow session is not ready")]
    NotReady,
    /// The peer leaves too many requests without an answer.
    #[error("{MAX_PENDING} requests wait for an answer")]
    TooManyPending,
    /// The message cannot be encoded.
    #[error(transparent)]
    TooLong(#[from] TooLong),
}

/// The most requests that may wait for an answer.
const MAX_PENDING: usize = 65_536;

/// The most room that is kept for bytes that are yet to be sent.
const MAX_SPARE_TX: usize = 16 << 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Disconnected,
    Handshaking { give_up_at: Instant },
    Ready(Version),
    Dropped,
}

/// A request that has not been answered.
#[derive(Debug)]
enum Pending {
    /// One message answers it.
    Single,
    /// A list answers it; what has come so far.
    List(Option<MultipartReply>),
}

/// One end of an OpenFlow connection.
#[derive(Debug)]
pub struct Session {
    config: Config,
    state: State,
    /// A message that has not come whole; less than 64 KiB between calls.
    rx: Vec<u8>,
    tx: Vec<u8>,
    /// How much was drained the last time but one, and the last time.
    drained: [usize; 2],
    events: VecDeque<Event>,
    next_xid: u32,
    sent_log: SentLog,
    pending: HashMap<u32, Pending>,
    /// Bytes of the lists that are being put together.
    multipart_bytes: usize,
    last_received: Instant,
    /// The inactivity probe that has not been answered.
    probe_sent: Option<Instant>,
    counters: Counters,
}

impl Session {
    /// A session without a connection.
    pub fn new(config: Config) -> Session {
        let sent_log = SentLog::new(config.max_sent_log_bytes);
        Session {
            config,
            state: State::Disconnected,
            rx: Vec::new(),
            tx: Vec::new(),
            drained: [0; 2],
            events: VecDeque::new(),
            next_xid: 1,
            sent_log,
            pending: HashMap::default(),
            multipart_bytes: 0,
            last_received: Instant::ZERO,
            probe_sent: None,
            counters: Counters::default(),
        }
    }

    /// The version that was settled, while the session is ready.
    pub fn version(&self) -> Option<Version> {
        match self.state {
            State::Ready(version) => Some(version),
            _ => None,
        }
    }

    /// What was counted since the session was made.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Bytes that wait to be drained by [`poll_transmit`](Session::poll_transmit).
    pub fn transmit_backlog(&self) -> usize {
        self.tx.len()
    }

    /// A stream is there. Forgets everything about an earlier one and says hello.
    pub fn handle_connected(&mut self, now: Instant) {
        self.reset();
        self.state = State::Handshaking { give_up_at: now + self.config.handshake_timeout };
        self.last_received = now;
        let highest = self.config.versions.iter().copied().max().unwrap_or(Version::V1_5);
        let hello = Message::Hello(Hello::new(&self.config.versions));
        let xid = self.new_xid();
        self.put(highest, xid, &hello);
    }

    /// The stream is gone. Requests without an answer will get none.
    pub fn handle_disconnected(&mut self) {
        self.reset();
    }

    fn reset(&mut self) {
        self.state = State::Disconnected;
        self.rx.clear();
        self.tx.clear();
        self.events.clear();
        self.sent_log.clear();
        self.pending.clear();
        self.multipart_bytes = 0;
        self.probe_sent = None;
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.state {
            State::Handshaking { give_up_at } if now >= give_up_at => {
                self.drop_connection(DropReason::HandshakeTimeout);
            }
            State::Ready(version) => self.probe(now, version),
            _ => {}
        }
    }

    fn probe(&mut self, now: Instant, version: Version) {
        let Some(interval) = self.config.probe_interval else { return };
        match self.probe_sent {
            Some(sent) if now >= sent + interval => self.drop_connection(DropReason::Inactive),
            None if now >= self.last_received + interval => {
                self.probe_sent = Some(now);
                let xid = self.new_xid();
                self.put(version, xid, &Message::EchoRequest(Box::default()));
            }
            _ => {}
        }
    }

    /// When to call [`handle_timeout`](Session::handle_timeout) next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        match self.state {
            State::Handshaking { give_up_at } => Some(give_up_at),
            State::Ready(_) => {
                let interval = self.config.probe_interval?;
                Some(self.probe_sent.unwrap_or(self.last_received) + interval)
            }
            _ => None,
        }
    }

    /// Changes how long silence may last; see [`Config::probe_interval`].
    pub fn set_probe_interval(&mut self, interval: Option<Duration>) {
        self.config.probe_interval = interval;
        if interval.is_none() {
            self.probe_sent = None;
        }
    }

    /// The bytes to send next.
    pub fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        if self.tx.is_empty() {
            return None;
        }
        // What comes next is often about as much as one of the last: answers to a batch go out in two parts.
        self.drained = [self.drained[1], self.tx.len()];
        let next = Vec::with_capacity(self.drained[0].max(self.drained[1]).min(MAX_SPARE_TX));
        Some(std::mem::replace(&mut self.tx, next))
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Sends a message under a new id. If it asks for something, the answer comes as [`Event::Reply`] or
    /// [`Event::Error`] with this id.
    pub fn send(&mut self, message: &Message) -> Result<Xid, SendError> {
        let version = self.version().ok_or(SendError::NotReady)?;
        let pending = Pending::after(message);
        if pending.is_some() && self.pending.len() >= MAX_PENDING {
            return Err(SendError::TooManyPending);
        }
        let start = self.tx.len();
        let xid = Xid(self.next_xid);
        message.encode(version, xid, &mut self.tx)?;
        self.new_xid();
        self.counters.sent += 1;
        self.sent_log.push(xid, &self.tx[start..]);
        if let Some(pending) = pending {
            self.pending.insert(xid.0, pending);
        }
        Ok(xid)
    }

    /// Sends a message under a given id: the answer to a request, or what a switch sends on its own accord.
    pub fn reply(&mut self, xid: Xid, message: &Message) -> Result<(), SendError> {
        let version = self.version().ok_or(SendError::NotReady)?;
        message.encode(version, xid, &mut self.tx)?;
        self.counters.sent += 1;
        Ok(())
    }

    /// Refuses a request, of which `request` is the start at least.
    pub fn refuse(&mut self, xid: Xid, code: ErrorCode, request: &[u8]) -> Result<(), SendError> {
        self.reply(xid, &Message::Error(ErrorMessage::for_request(code, request)))
    }

    /// Ids go up by one from message to message, past 0, which is for what is sent without a request.
    fn new_xid(&mut self) -> Xid {
        let xid = Xid(self.next_xid);
        self.next_xid = self.next_xid.checked_add(1).unwrap_or(1);
        xid
    }

    /// Sends what always fits.
    fn put(&mut self, version: Version, xid: Xid, message: &Message) {
        if message.encode(version, xid, &mut self.tx).is_ok() {
            self.counters.sent += 1;
        }
    }

    /// Answers what the peer sent, unless it does not read.
    fn answer(&mut self, version: Version, xid: Xid, message: &Message) {
        let limit = self.config.max_backlog_bytes;
        if self.tx.len() > limit {
            return self.drop_connection(DropReason::Stalled { limit });
        }
        self.put(version, xid, message);
    }

    fn drop_connection(&mut self, reason: DropReason) {
        self.counters.count_drop(&reason);
        self.state = State::Dropped;
        self.rx.clear();
        self.events.push_back(Event::Drop(reason));
    }
}

impl Pending {
    /// What a message waits for.
    fn after(message: &Message) -> Option<Pending> {
        match message {
            Message::MultipartRequest(_) => Some(Pending::List(None)),
            Message::BarrierRequest
            | Message::EchoRequest(_)
            | Message::FeaturesRequest
            | Message::GetConfigRequest
            | Message::RoleRequest(_)
            | Message::TlvTableRequest
            | Message::BundleControl(_) => Some(Pending::Single),
            _ => None,
        }
    }
}
