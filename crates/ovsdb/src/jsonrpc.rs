//! JSON-RPC 1.0 messages (RFC 7047 section 4): the envelope alone. Parameters, results and errors stay text for whoever knows
//! what they should be.

use crate::frame::Frame;
use crate::json::{DecodeError, Decoder, TextCache, write_string};

/// A message, as slices of its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// Wants a response.
    Request {
        /// The method's name.
        method: &'a str,
        /// JSON of the parameters.
        params: &'a str,
        /// JSON of the id, never `null`.
        id: &'a str,
    },
    /// Wants none: its id is `null`.
    Notification {
        /// The method's name.
        method: &'a str,
        /// JSON of the parameters.
        params: &'a str,
    },
    /// Answers a request.
    Response {
        /// JSON of the request's id.
        id: &'a str,
        /// JSON of the result, or of the error.
        result: Result<&'a str, &'a str>,
    },
}

impl<'a> Message<'a> {
    /// Reads a message's envelope. Stock leaves out `result` beside an error; `null` counts as absent.
    pub fn parse(frame: &Frame<'a>) -> Result<Self, DecodeError> {
        let mut texts = TextCache::empty();
        let mut json = Decoder::new(frame.text, &mut texts);
        let (mut method, mut params, mut id, mut result, mut error) = (None, None, None, None, None);
        json.begin_object()?;
        let mut first = true;
        while let Some(member) = json.next_member(&mut first)? {
            json.peek();
            let start = json.position();
            match frame.member_end(start) {
                Some(end) => json.seek(end),
                None => json.skip_value()?,
            }
            let value = Some(&frame.text[start..json.position()]).filter(|&value| value != "null");
            match member {
                "method" => method = value,
                "params" => params = value,
                "id" => id = value,
                "result" => result = value,
                "error" => error = value,
                _ => {}
            }
        }
        json.end()?;
        if let Some(method) = method {
            let method = method.strip_prefix('"').and_then(|m| m.strip_suffix('"'));
            let method = method.ok_or(DecodeError::Type { expected: "a method's name" })?;
            let params = params.unwrap_or("[]");
            return Ok(match id {
                Some(id) => Message::Request { method, params, id },
                None => Message::Notification { method, params },
            });
        }
        let id = id.ok_or(DecodeError::Type { expected: "a method or an id" })?;
        Ok(Message::Response { id, result: error.map_or(Ok(result.unwrap_or("null")), Err) })
    }
}

/// Appends a request; `params` is JSON.
pub fn write_request(out: &mut String, id: u64, method: &str, params: &str) {
    use std::fmt::Write as _;
    out.reserve(params.len() + method.len() + 48);
    let _ = write!(out, "{{\"id\":{id},\"method\":\"{method}\",\"params\":");
    out.push_str(params);
    out.push('}');
}

/// Appends a notification; `params` is JSON.
pub fn write_notification(out: &mut String, method: &str, params: &str) {
    out.push_str("{\"id\":null,\"method\":");
    write_string(out, method);
    out.push_str(",\"params\":");
    out.push_str(params);
    out.push('}');
}

/// Appends a response; `id`, result and error are JSON.
pub fn write_response(out: &mut String, id: &str, result: Result<&str, &str>) {
    let (result, error) = match result {
        Ok(result) => (result, "null"),
        Err(error) => ("null", error),
    };
    out.reserve(result.len() + error.len() + id.len() + 32);
    for part in ["{\"id\":", id, ",\"result\":", result, ",\"error\":", error, "}"] {
        out.push_str(part);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Message<'_>, DecodeError> {
        Message::parse(&Frame::of(text))
    }

    #[test]
    fn kinds_are_told_apart() {
        assert_eq!(
            parse(r#"{"id":"x","method":"echo","params":[1]}"#),
            Ok(Message::Request { method: "echo", params: "[1]", id: "\"x\"" })
        );
        assert_eq!(
            parse(r#"{"params":["l"],"method":"locked","id":null}"#),
            Ok(Message::Notification { method: "locked", params: "[\"l\"]" })
        );
        assert_eq!(
            parse(r#"{"result":{"a":1},"error":null,"id":3}"#),
            Ok(Message::Response { id: "3", result: Ok(r#"{"a":1}"#) })
        );
        // as ovsdb-server answers an unknown method
        assert_eq!(
            parse(r#"{"id":1,"error":"unknown method"}"#),
            Ok(Message::Response { id: "1", result: Err("\"unknown method\"") })
        );
    }

    #[test]
    fn not_a_message() {
        for text in
            ["{}", "{\"id\":null}", "{\"method\":7}", "{\"id\":1", "{\"id\":1}}", "{\"a\" 1}", "{\"id\":1,}"]
        {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn written_messages_read_back() {
        let mut out = String::new();
        write_request(&mut out, 9, "transact", "[\"D\"]");
        assert_eq!(parse(&out), Ok(Message::Request { method: "transact", params: "[\"D\"]", id: "9" }));
        out.clear();
        write_notification(&mut out, "update", "[]");
        assert_eq!(parse(&out), Ok(Message::Notification { method: "update", params: "[]" }));
        for result in [Ok("{}"), Err("\"no\"")] {
            out.clear();
            write_response(&mut out, "\"i\"", result);
            assert_eq!(parse(&out), Ok(Message::Response { id: "\"i\"", result }));
        }
    }
}
