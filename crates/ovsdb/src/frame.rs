//! Cuts a stream of back-to-back JSON objects into messages (RFC 7047 section 4: JSON-RPC runs directly over a stream).
//!
//! Each byte is looked at once, as it arrives, however the stream is chunked. Nothing but brackets, strings and escapes is
//! understood: that the message is JSON is for its reader to check.

use std::fmt;
use std::ops::Range;

/// The stream cannot be cut into messages any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A message does not begin as an object.
    #[error("expected '{{' at the start of a message, got byte {0:#04x}")]
    NotAnObject(u8),
    /// A message is longer than is allowed.
    #[error("message longer than {max} bytes")]
    TooLong {
        /// The limit, in bytes.
        max: usize,
    },
    /// A message is not UTF-8.
    #[error("message is not UTF-8 from byte {at} on")]
    NotUtf8 {
        /// Offset in the message.
        at: usize,
    },
}

/// One message, and where its members that are objects or arrays stand, so that a reader of the envelope can pass over
/// them without scanning them again.
#[derive(Clone, Copy)]
pub struct Frame<'a> {
    /// The object's text.
    pub text: &'a str,
    members: Members,
}

impl fmt::Debug for Frame<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame").field("text", &self.text).finish_non_exhaustive()
    }
}

impl<'a> Frame<'a> {
    /// A message that was not cut from a stream.
    pub fn of(text: &'a str) -> Self {
        Frame { text, members: Members::default() }
    }

    /// The end of the object or array that begins at offset `start` of the text and is a member of the message, if known.
    pub fn member_end(&self, start: usize) -> Option<usize> {
        self.members.spans[..self.members.len].iter().find(|span| span.0 == start).map(|span| span.1)
    }
}

/// Spans of composite members, relative to their message. A JSON-RPC message has at most three members that could be.
#[derive(Clone, Copy, Default)]
struct Members {
    spans: [(usize, usize); 4],
    len: usize,
}

/// Collects bytes and hands out messages.
pub struct Framer {
    buffer: Vec<u8>,
    /// Where the message at hand begins.
    start: usize,
    /// Bytes before this were looked at.
    scanned: usize,
    depth: usize,
    in_string: bool,
    members: Members,
    max_bytes: usize,
}

impl fmt::Debug for Framer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Framer")
            .field("buffered", &self.buffered())
            .field("depth", &self.depth)
            .finish_non_exhaustive()
    }
}

impl Framer {
    /// A buffer larger than this is given back when it is empty.
    const KEEP_BYTES: usize = 1 << 18;

    /// A framer that refuses messages longer than `max_bytes`.
    pub fn new(max_bytes: usize) -> Self {
        Framer {
            buffer: Vec::new(),
            start: 0,
            scanned: 0,
            depth: 0,
            in_string: false,
            members: Members::default(),
            max_bytes,
        }
    }

    /// Forgets everything: the stream begins anew.
    pub fn reset(&mut self) {
        *self = Framer::new(self.max_bytes);
    }

    /// Bytes held that are not part of a message handed out.
    pub fn buffered(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// Takes in the next bytes of the stream.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.start == self.buffer.len() {
            self.discard_all();
        } else if self.start > self.buffer.len() / 2 {
            self.buffer.drain(..self.start);
            self.scanned -= self.start;
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
    }

    fn discard_all(&mut self) {
        if self.buffer.capacity() > Self::KEEP_BYTES {
            self.buffer = Vec::new();
        }
        self.buffer.clear();
        self.start = 0;
        self.scanned = 0;
    }

    /// The next complete message, if there is one. After an error the stream is of no use.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'_>>, FrameError> {
        if self.depth == 0 {
            self.skip_to_message()?;
        }
        let end = self.scan();
        if end.unwrap_or(self.buffer.len()) - self.start > self.max_bytes {
            return Err(FrameError::TooLong { max: self.max_bytes });
        }
        let Some(end) = end else {
            if self.start == self.buffer.len() {
                self.discard_all();
            }
            return Ok(None);
        };
        let members = std::mem::take(&mut self.members);
        let message: Range<usize> = std::mem::replace(&mut self.start, end)..end;
        match std::str::from_utf8(&self.buffer[message]) {
            Ok(text) => Ok(Some(Frame { text, members })),
            Err(error) => Err(FrameError::NotUtf8 { at: error.valid_up_to() }),
        }
    }

    /// Passes over white space between messages.
    fn skip_to_message(&mut self) -> Result<(), FrameError> {
        let rest = &self.buffer[self.start..];
        let space = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n')).count();
        let first = rest.get(space).copied();
        self.start += space;
        self.scanned = self.scanned.max(self.start);
        match first {
            None | Some(b'{') => Ok(()),
            Some(byte) => Err(FrameError::NotAnObject(byte)),
        }
    }

    /// Goes on from where it stopped; the end of the message, once it is there.
    fn scan(&mut self) -> Option<usize> {
        let bytes = &self.buffer[..];
        let mut at = self.scanned;
        let found = 'message: loop {
            if self.in_string {
                match memchr::memchr2(b'"', b'\\', &bytes[at..]) {
                    Some(skip) if bytes[at + skip] == b'"' => {
                        at += skip + 1;
                        self.in_string = false;
                    }
                    // the escaped byte must be there too
                    Some(skip) if at + skip + 1 < bytes.len() => {
                        at += skip + 2;
                        continue;
                    }
                    Some(skip) => {
                        at += skip;
                        break None;
                    }
                    None => {
                        at = bytes.len();
                        break None;
                    }
                }
            }
            loop {
                let Some(&byte) = bytes.get(at) else { break 'message None };
                at += 1;
                match byte {
                    b'"' => {
                        self.in_string = true;
                        break;
                    }
                    b'{' | b'[' => {
                        self.depth += 1;
                        if self.depth == 2 && self.members.len < self.members.spans.len() {
                            self.members.spans[self.members.len].0 = at - 1 - self.start;
                        }
                    }
                    b'}' | b']' => {
                        // the first byte is an opening one, so depth is at least 1
                        self.depth -= 1;
                        if self.depth == 1 && self.members.len < self.members.spans.len() {
                            self.members.spans[self.members.len].1 = at - self.start;
                            self.members.len += 1;
                        } else if self.depth == 0 {
                            break 'message Some(at);
                        }
                    }
                    _ => {}
                }
            }
        };
        self.scanned = at;
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn cut(stream: &[u8], chunks: &[usize]) -> Result<Vec<String>, FrameError> {
        let mut framer = Framer::new(1 << 20);
        let mut messages = Vec::new();
        let (mut rest, mut chunks) = (stream, chunks.iter().cycle());
        while !rest.is_empty() {
            let len = chunks.next().map_or(rest.len(), |&n| n.clamp(1, rest.len()));
            framer.push(&rest[..len]);
            rest = &rest[len..];
            while let Some(frame) = framer.next_frame()? {
                messages.push(frame.text.to_owned());
            }
        }
        Ok(messages)
    }

    #[test]
    fn brackets_in_strings_do_not_count() {
        let stream = br#" {"a":"}\"]{\\"}{}
            {"b":[{"c":"{"},"\\"]} {"half":"#;
        let expected = [r#"{"a":"}\"]{\\"}"#, "{}", r#"{"b":[{"c":"{"},"\\"]}"#];
        assert_eq!(cut(stream, &[]).unwrap(), expected);
        assert_eq!(cut(stream, &[1]).unwrap(), expected);
    }

    #[test]
    fn bytes_after_an_error_give_the_error_again() {
        let mut framer = Framer::new(100);
        framer.push(b"     x");
        for _ in 0..3 {
            assert_eq!(framer.next_frame().unwrap_err(), FrameError::NotAnObject(b'x'));
            framer.push(b"{}");
        }
    }

    #[test]
    fn members_are_known_however_the_stream_is_cut() {
        let text = r#"{"id":7,"result":[1,{"a":"]"}],"error":null,"x":{"y":[]}}"#;
        for chunk in [1, 3, text.len()] {
            let mut framer = Framer::new(1000);
            framer.push(b" {} ");
            framer.next_frame().unwrap().unwrap();
            let mut checked = false;
            for bytes in text.as_bytes().chunks(chunk) {
                framer.push(bytes);
                if let Some(frame) = framer.next_frame().unwrap() {
                    let start = text.find('[').unwrap();
                    assert_eq!(&text[start..frame.member_end(start).unwrap()], r#"[1,{"a":"]"}]"#);
                    let start = text.find(r#"{"y"#).unwrap();
                    assert_eq!(&text[start..frame.member_end(start).unwrap()], r#"{"y":[]}"#);
                    assert_eq!(frame.member_end(0), None);
                    checked = true;
                }
            }
            assert!(checked);
        }
    }

    #[test]
    fn faults_are_named() {
        assert_eq!(cut(b"{} x", &[]), Err(FrameError::NotAnObject(b'x')));
        assert_eq!(cut(b"{}}", &[]), Err(FrameError::NotAnObject(b'}')));
        assert_eq!(cut(b"{\"a\":\"\xff\"}", &[]), Err(FrameError::NotUtf8 { at: 6 }));
        let mut framer = Framer::new(8);
        framer.push(b"{\"aaaa\":");
        assert!(framer.next_frame().unwrap().is_none());
        framer.push(b"1");
        assert_eq!(framer.next_frame().unwrap_err(), FrameError::TooLong { max: 8 });
    }

    #[test]
    fn a_large_buffer_is_given_back() {
        let mut framer = Framer::new(1 << 30);
        framer.push(b"{\"a\":\"");
        for _ in 0..100 {
            framer.push(&[b'x'; 10_000]);
            assert!(framer.next_frame().unwrap().is_none());
        }
        framer.push(b"\"}");
        assert_eq!(framer.next_frame().unwrap().unwrap().text.len(), 1_000_000 + 8);
        assert!(framer.next_frame().unwrap().is_none());
        assert!(framer.buffer.capacity() <= Framer::KEEP_BYTES);
    }

    proptest! {
        #[test]
        fn chunks_do_not_matter(
            texts in prop::collection::vec("[\\[\\]{}\"\\\\a€ ]{0,12}", 0..6),
            chunks in prop::collection::vec(1usize..7, 1..5),
        ) {
            let expected: Vec<String> =
                texts.iter().map(|t| serde_json::json!({ "k": t, "l": [t, { "m": t }] }).to_string()).collect();
            let stream = expected.join(" ");
            prop_assert_eq!(cut(stream.as_bytes(), &chunks).unwrap(), expected);
        }
    }
}
