//! Requests and answers as JSON text (JSON-RPC 1.0).

use serde_json::{Value, json};

use super::Reply;

/// A request. Its id is whatever the client sent, and goes back to it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Request {
    pub(super) id: Value,
    pub(super) method: String,
    pub(super) params: Vec<Value>,
}

/// Why a message is not a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum WireError {
    #[error("bad JSON: {0}")]
    Json(String),
    #[error("expected a request with id, method and params, got {0}")]
    Request(String),
}

/// How much of a bad message a log line quotes.
const QUOTED: usize = 100;

/// Reads a message, which must be a request.
pub(super) fn parse(text: &str) -> Result<Request, WireError> {
    let value: Value = serde_json::from_str(text).map_err(|error| WireError::Json(error.to_string()))?;
    let quoted = || WireError::Request(text.chars().take(QUOTED).collect());
    let Value::Object(mut members) = value else { return Err(quoted()) };
    match (members.remove("id"), members.remove("method"), members.remove("params")) {
        // A request without an id would be a notification, which no command answers to.
        (Some(id), Some(Value::String(method)), Some(Value::Array(params))) if !id.is_null() => {
            Ok(Request { id, method, params })
        }
        _ => Err(quoted()),
    }
}

/// The message that answers the request `id`.
pub(super) fn answer(id: &Value, reply: &Reply, as_json: bool) -> String {
    let plain = |text: &str| {
        if as_json {
            json!({"reply-format": "plain", "reply": text}).to_string()
        } else {
            json!(text).to_string()
        }
    };
    let result = match reply {
        Reply::Error(text) => return format!("{{\"id\":{id},\"error\":{}}}", json!(text)),
        Reply::TextOrJson(_, value) if as_json => value.clone(),
        Reply::Text(text) | Reply::TextOrJson(text, _) => plain(text),
    };
    format!("{{\"id\":{id},\"result\":{result},\"error\":null}}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read() {
        let request = parse(r#"{"id":[1],"params":["a",2],"method":"m"}"#).expect("a request");
        assert_eq!(
            request,
            Request { id: json!([1]), method: "m".into(), params: vec![json!("a"), json!(2)] }
        );
        for bad in [
            r#"{"id":null,"method":"version","params":[]}"#,
            r#"{"id":1,"method":"version"}"#,
            r#"{"id":1,"method":1,"params":[]}"#,
            r#"{"id":1,"result":"","error":null}"#,
            r#"{"id":1,"method":"version","params":{}}"#,
        ] {
            assert_eq!(parse(bad), Err(WireError::Request(bad.into())), "{bad}");
        }
        assert!(matches!(parse("{nonsense}"), Err(WireError::Json(_))));
        // What nests too deep is refused, not descended into.
        let deep = format!("{{\"id\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert!(matches!(parse(&deep), Err(WireError::Json(_))));
    }

    /// The forms were read off a stock daemon's socket.
    #[test]
    fn answers_have_stocks_form() {
        let text = Reply::Text("false".into());
        assert_eq!(answer(&json!(0), &text, false), r#"{"id":0,"result":"false","error":null}"#);
        let value: Value = serde_json::from_str(&answer(&json!(1), &text, true)).expect("JSON");
        assert_eq!(
            value,
            json!({"id": 1, "result": {"reply-format": "plain", "reply": "false"}, "error": null})
        );
        let error = Reply::Error("no \"x\"\n".into());
        assert_eq!(answer(&json!("x"), &error, false), r#"{"id":"x","error":"no \"x\"\n"}"#);
        assert_eq!(answer(&json!("x"), &error, true), r#"{"id":"x","error":"no \"x\"\n"}"#);
        let both = Reply::TextOrJson("a".into(), r#"{"a":""}"#.into());
        assert_eq!(answer(&json!(2), &both, true), r#"{"id":2,"result":{"a":""},"error":null}"#);
        assert_eq!(answer(&json!(2), &both, false), r#"{"id":2,"result":"a","error":null}"#);
    }
}
