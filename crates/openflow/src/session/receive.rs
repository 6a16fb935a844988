//! What comes: cut into messages, and each given to whom it concerns.

use super::{DropReason, Event, Pending, Role, Session, State};
use crate::msg::{ErrorMessage, HEADER_LEN, Header, Hello, Message, MultipartReply, Xid};
use crate::{ErrorCode, Version};
use kiln_types::Instant;

impl Session {
    /// Bytes have come.
    pub fn handle_bytes(&mut self, now: Instant, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = self.handle_next(now, bytes);
        }
    }

    /// Bytes have come, and are taken up to the end of a message at most; gives back the rest. What follows from one message can be
    /// polled before the next is read.
    pub fn handle_next<'a>(&mut self, now: Instant, bytes: &'a [u8]) -> &'a [u8] {
        if matches!(self.state, State::Disconnected | State::Dropped) {
            self.counters.bytes_after_drop += bytes.len() as u64;
            return &[];
        }
        self.last_received = now;
        self.probe_sent = None;
        // Only a message that has not come whole is copied.
        if self.rx.is_empty()
            && let Some((message, rest)) = bytes.split_at_checked(wanted_len(bytes))
        {
            self.handle_message(message);
            return rest;
        }
        let lacks = wanted_len(&self.rx) - self.rx.len();
        let (piece, rest) = bytes.split_at(lacks.min(bytes.len()));
        self.rx.extend_from_slice(piece);
        if self.rx.len() == wanted_len(&self.rx) {
            let mut message = std::mem::take(&mut self.rx);
            self.handle_message(&message);
            message.clear();
            self.rx = message;
        }
        rest
    }

    fn handle_message(&mut self, bytes: &[u8]) {
        let Some(header) = Header::peek(bytes) else { return };
        if usize::from(header.len) < HEADER_LEN {
            return self.drop_connection(DropReason::Framing { len: header.len });
        }
        self.counters.received += 1;
        match self.state {
            State::Handshaking { .. } => self.handle_first(&header, bytes),
            State::Ready(version) => self.handle_in_version(&header, bytes, version),
            State::Disconnected | State::Dropped => {}
        }
    }

    /// The first message must be a hello, or a refusal of ours.
    fn handle_first(&mut self, header: &Header, bytes: &[u8]) {
        match Message::decode(bytes) {
            Ok((_, Message::Hello(hello))) => self.settle(header, hello),
            Ok((_, Message::Error(error))) => {
                let text = String::from_utf8_lossy(&error.data).trim_end_matches('\0').into();
                self.drop_connection(DropReason::HelloRefused { text });
            }
            _ => self.drop_connection(DropReason::NoHello { typ: header.typ }),
        }
    }

    /// The highest version that both sides offer.
    fn settle(&mut self, header: &Header, hello: Hello) {
        let ours = self.config.versions.iter().fold(0u32, |bits, v| bits | 1 << (v.0 & 31));
        let theirs = hello.bitmap(header.version);
        let common = ours & theirs;
        if common == 0 {
            let text =
                format!("We support versions {ours:#x}, you support versions {theirs:#x}: none in common.");
            let code = ErrorCode::HELLO_INCOMPATIBLE;
            let error = ErrorMessage { experimenter: None, code, data: text.into_bytes().into() };
            // In a version that the peer can read, if it said one.
            let version = Version(header.version.0.clamp(Version::V1_0.0, Version::V1_5.0));
            self.put(version, header.xid, &Message::Error(error));
            return self.drop_connection(DropReason::NoCommonVersion { ours, theirs });
        }
        let version = Version(common.ilog2() as u8);
        self.state = State::Ready(version);
        self.events.push_back(Event::Ready { version });
    }

    fn handle_in_version(&mut self, header: &Header, bytes: &[u8], version: Version) {
        let message = match Message::decode(bytes) {
            // Hello, error and echo are understood in any version.
            Ok((_, Message::Hello(_))) => return,
            Ok((_, Message::EchoRequest(data))) => {
                return self.answer(header.version, header.xid, &Message::EchoReply(data));
            }
            Ok((_, Message::Error(error))) => return self.handle_error(header.xid, error),
            Ok((_, Message::EchoReply(data))) => Message::EchoReply(data),
            _ if header.version != version => {
                self.counters.wrong_version += 1;
                let error = ErrorMessage::for_request(ErrorCode::REQUEST_BAD_VERSION, bytes);
                return self.answer(version, header.xid, &Message::Error(error));
            }
            Ok((_, message)) => message,
            Err(error) if self.config.role == Role::Switch => {
                self.counters.malformed += 1;
                let error = ErrorMessage::for_request(error.code, bytes);
                return self.answer(version, header.xid, &Message::Error(error));
            }
            Err(error) => return self.drop_connection(DropReason::Malformed { typ: header.typ, error }),
        };
        match message {
            Message::MultipartReply { reply, more } => self.handle_list(header.xid, reply, more, bytes.len()),
            message => self.handle_other(header.xid, message),
        }
    }

    fn handle_error(&mut self, xid: Xid, error: ErrorMessage) {
        if let Some(Pending::List(Some(_))) = self.pending.remove(&xid.0) {
            self.forget_lists_if_none();
        }
        let request = self.sent_log.get(xid);
        self.events.push_back(Event::Error { xid, error, request });
    }

    fn handle_other(&mut self, xid: Xid, message: Message) {
        if message == Message::BarrierReply {
            self.sent_log.forget_through(xid);
        }
        let answers = is_answer(&message);
        let event = match self.pending.get(&xid.0) {
            Some(Pending::Single) if answers => {
                self.pending.remove(&xid.0);
                Event::Reply { xid, message }
            }
            // The answer to an inactivity probe is for nobody.
            _ if matches!(message, Message::EchoReply(_)) => return,
            _ => Event::Message { xid, message },
        };
        self.events.push_back(event);
    }

    /// Puts a list together. Changes of flows go on without end, so each part is handed on as it comes.
    fn handle_list(&mut self, xid: Xid, reply: MultipartReply, more: bool, n_bytes: usize) {
        let Some(Pending::List(so_far)) = self.pending.get_mut(&xid.0) else {
            let message = Message::MultipartReply { reply, more };
            return self.events.push_back(Event::Message { xid, message });
        };
        let is_first = so_far.is_none();
        let whole = match so_far.take() {
            None => reply,
            Some(mut list) => {
                if !list.append(reply) {
                    let error = crate::DecodeError {
                        what: "multipart reply",
                        expected: "another part of the same list",
                        came: u64::from(xid.0),
                        at: HEADER_LEN,
                        code: ErrorCode::REQUEST_BAD_STAT,
                    };
                    return self.drop_connection(DropReason::Malformed { typ: MULTIPART_REPLY, error });
                }
                list
            }
        };
        if more {
            *so_far = Some(whole);
            self.multipart_bytes += n_bytes;
            let limit = self.config.max_multipart_bytes;
            if self.multipart_bytes > limit {
                self.drop_connection(DropReason::MultipartOverflow { limit });
            }
            return;
        }
        self.pending.remove(&xid.0);
        if !is_first {
            self.forget_lists_if_none();
        }
        let message = Message::MultipartReply { reply: whole, more: false };
        self.events.push_back(Event::Reply { xid, message });
    }

    /// The bytes of lists are counted together, and from zero again once no list is being put together.
    fn forget_lists_if_none(&mut self) {
        if !self.pending.values().any(|p| matches!(p, Pending::List(Some(_)))) {
            self.multipart_bytes = 0;
        }
    }
}

/// How long the message is that begins with these bytes; of a header that has not come whole, or says less than its own length,
/// the header.
fn wanted_len(bytes: &[u8]) -> usize {
    Header::peek(bytes).map_or(HEADER_LEN, |header| usize::from(header.len).max(HEADER_LEN))
}

/// The number of multipart replies since 1.1.
const MULTIPART_REPLY: u8 = 19;

/// Whether a message of this kind answers a request.
fn is_answer(message: &Message) -> bool {
    matches!(
        message,
        Message::BarrierReply
            | Message::EchoReply(_)
            | Message::FeaturesReply(_)
            | Message::GetConfigReply(_)
            | Message::RoleReply(_)
            | Message::TlvTableReply(_)
            | Message::BundleControl(_)
    )
}
