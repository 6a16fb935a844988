//! Entry points of the fuzz targets: bytes from outside never panic, and what was understood once is understood again.

use crate::msg::{Group, Hello, MAX_LEN, Message, MultipartRequest, Xid};
use crate::session::{Config, Event, Session};
use crate::text::parse_instructions;
use crate::{Actions, Match, Version};
use kiln_types::Instant;
use std::time::Duration;

/// One of the entry points, which the first byte chooses. A message's length is made true, so that damage is met further in;
/// a stream's are not.
pub fn fuzz(data: &[u8]) {
    let Some((&choice, rest)) = data.split_first() else { return };
    match choice % 4 {
        0 => fuzz_text(rest),
        1 => fuzz_session(rest),
        _ => {
            let mut message = rest[..rest.len().min(MAX_LEN)].to_vec();
            if message.len() >= 4 {
                let len = message.len() as u16;
                message[2..4].copy_from_slice(&len.to_be_bytes());
            }
            fuzz_message(&message);
        }
    }
}

/// Reads a message, whatever it is, and says it again.
pub fn fuzz_message(bytes: &[u8]) {
    let Ok((header, first)) = Message::decode(bytes) else { return };
    let Some(second) = said_again(&first, header.version, header.xid) else { return };
    // The first reading may drop what has no meaning; from then on nothing is lost.
    if let Some(third) = said_again(&second, header.version, header.xid) {
        assert_eq!(second, third, "in {}", header.version);
    }
}

/// Encodes and decodes; `None` if it has grown beyond one message.
fn said_again(message: &Message, version: Version, xid: Xid) -> Option<Message> {
    let mut bytes = Vec::new();
    message.encode(version, xid, &mut bytes).ok()?;
    let len = crate::msg::Header::peek(&bytes).map(|h| usize::from(h.len));
    if len != Some(bytes.len()) {
        return None;
    }
    match Message::decode(&bytes) {
        Ok((_, message)) => Some(message),
        Err(error) => panic!("{error} in what was made of {message:?}"),
    }
}

/// Reads text as a match, as actions and as instructions; what can be read prints, and reads as the same again. A match
/// without what its fields need is no such: ports of no protocol have the name of any protocol's.
pub fn fuzz_text(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(m) = text.parse::<Match>()
        && m.lacking_prerequisite().is_none()
    {
        let printed = m.to_string();
        assert_eq!(printed.parse::<Match>().map(|m| m.to_string()), Ok(printed));
    }
    if let Ok(actions) = text.parse::<Actions>() {
        let printed = actions.to_string();
        assert_eq!(printed.parse::<Actions>().map(|a| a.to_string()), Ok(printed));
    }
    let _ = parse_instructions(text);
    let _ = text.parse::<crate::msg::FlowMod>();
    let _ = text.parse::<crate::msg::Group>();
}

/// The most bytes that a fuzzed session puts together from parts.
const MULTIPART_MAX: usize = 4096;
/// The most bytes that may wait to be sent by one.
const BACKLOG_MAX: usize = 1024;

/// Feeds a session, in pieces of which the first byte says the size; the second says which end it is and whether it has
/// asked for something. What happens does not depend on the pieces.
pub fn fuzz_session(bytes: &[u8]) {
    let Some((&[size, kind], stream)) = bytes.split_first_chunk() else { return };
    let whole = events_of(kind, stream.chunks(usize::MAX));
    let pieces = events_of(kind, stream.chunks(usize::from(size) + 1));
    assert_eq!(whole, pieces);
}

fn events_of<'a>(kind: u8, chunks: impl Iterator<Item = &'a [u8]>) -> (Vec<Event>, Vec<u8>) {
    let versions = vec![Version::V1_5, Version::V1_3, Version::V1_0];
    let mut config = if kind & 1 == 0 { Config::controller() } else { Config::switch(versions) };
    config.max_multipart_bytes = MULTIPART_MAX;
    config.max_backlog_bytes = BACKLOG_MAX;
    config.probe_interval = Some(Duration::from_secs(1));
    let mut session = Session::new(config);
    session.handle_connected(Instant::ZERO);
    let mut hello = Vec::new();
    let said = Message::Hello(Hello::new(&[Version::V1_5])).encode(Version::V1_5, Xid(1), &mut hello);
    if kind & 2 == 0 && said.is_ok() {
        session.handle_bytes(Instant::ZERO, &hello);
    }
    if kind & 4 != 0 {
        // under ids 2, 3 and 4
        for question in [
            Message::MultipartRequest(MultipartRequest::GroupDesc(Group::ALL_IDS)),
            Message::BarrierRequest,
            Message::TlvTableRequest,
        ] {
            let _ = session.send(&question);
        }
    }
    for chunk in chunks {
        session.handle_bytes(Instant::ZERO, chunk);
    }
    // silence: a probe, then the end
    session.handle_timeout(Instant::from_secs(1));
    session.handle_timeout(Instant::from_secs(40));
    let events = std::iter::from_fn(|| session.poll_event()).collect();
    (events, session.poll_transmit().unwrap_or_default())
}
