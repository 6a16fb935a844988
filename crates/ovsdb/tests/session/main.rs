//! Client sessions against scripted servers: each test plays the server's side by hand, in the forms that ovsdb-server uses.

mod conditions;
mod content;
mod engine;
mod faults;
mod handshake;
mod link;
mod locks;
mod replica;
mod resume;
mod transactions;

use std::time::Duration;

use kiln_ovsdb::client::{CloseReason, Event, Session, SessionConfig, TableMonitor};
use kiln_types::Instant;
use serde_json::{Value, json};

use replica::TestReplica;

const ZERO: &str = "00000000-0000-0000-0000-000000000000";
const TXN1: &str = "00000000-0000-0000-0000-0000000000f1";
const TXN2: &str = "00000000-0000-0000-0000-0000000000f2";
const A: &str = "00000000-0000-0000-0000-00000000000a";
const B: &str = "00000000-0000-0000-0000-00000000000b";
const C: &str = "00000000-0000-0000-0000-00000000000c";

/// A session, its replica, and what the scripted server has read of its requests.
struct Play {
    session: Session,
    replica: TestReplica,
    now: Instant,
    requests: std::collections::VecDeque<Value>,
    /// How many bytes reach the session at a time.
    chunk: usize,
}

fn config() -> SessionConfig {
    let mut config = SessionConfig::new("D");
    config.tables = vec![TableMonitor::new("T", ["name", "n", "tags", "ids"])];
    config
}

impl Play {
    fn new(config: SessionConfig) -> Self {
        Play {
            session: Session::new(config),
            replica: TestReplica::default(),
            now: Instant::ZERO,
            requests: std::collections::VecDeque::new(),
            chunk: usize::MAX,
        }
    }

    /// A session that has fetched `content` of table T from a stand-alone server; its events are drained.
    fn synced(content: Value) -> Self {
        let mut play = Play::new(config());
        play.sync(json!([false, ZERO, { "T": content }]));
        play.events();
        play
    }

    /// Connects and answers all requests up to the content.
    fn sync(&mut self, content: Value) {
        self.session.handle_connected(self.now);
        self.serve_database(json!({ "name": "D", "model": "standalone", "connected": true, "leader": true }));
        self.serve_schema();
        let request = self.expect("monitor_cond_since");
        self.answer(&request, content);
    }

    fn serve_database(&mut self, row: Value) {
        let request = self.expect("monitor_cond");
        assert_eq!(request["params"][0], "_Server");
        self.answer(&request, json!({ "Database": { A: { "initial": row } } }));
    }

    fn serve_schema(&mut self) {
        self.serve_schema_with(&["name", "n", "tags", "ids"]);
    }

    fn serve_schema_with(&mut self, columns: &[&str]) {
        loop {
            let request = self.request().expect("get_schema");
            if request["method"] == "set_db_change_aware" {
                assert_eq!(request["params"], json!([true]));
                self.answer(&request, json!({}));
                continue;
            }
            assert_eq!((&request["method"], &request["params"]), (&json!("get_schema"), &json!(["D"])));
            let columns: serde_json::Map<String, Value> =
                columns.iter().map(|&c| (c.to_owned(), json!({ "type": "string" }))).collect();
            let schema =
                json!({ "name": "D", "version": "1.0.0", "tables": { "T": { "columns": columns } } });
            return self.answer(&request, schema);
        }
    }

    /// The next request.
    fn request(&mut self) -> Option<Value> {
        // A long request comes in pieces.
        let mut text = String::new();
        while let Some(bytes) = self.session.poll_transmit() {
            text.push_str(std::str::from_utf8(&bytes).unwrap());
        }
        self.requests
            .extend(serde_json::Deserializer::from_str(&text).into_iter::<Value>().map(Result::unwrap));
        self.requests.pop_front()
    }

    /// The next request, which is for this method.
    fn expect(&mut self, method: &str) -> Value {
        let request = self.request().unwrap_or_else(|| panic!("no request, expected {method}"));
        assert_eq!(request["method"], method, "{request}");
        request
    }

    fn silent(&mut self) {
        assert_eq!(self.request(), None);
    }

    fn answer(&mut self, request: &Value, result: Value) {
        self.send(&json!({ "id": request["id"], "result": result, "error": null }));
    }

    /// As stock does, without a result.
    fn refuse(&mut self, request: &Value, error: Value) {
        self.send(&json!({ "id": request["id"], "error": error }));
    }

    fn notify(&mut self, method: &str, params: Value) {
        self.send(&json!({ "id": null, "method": method, "params": params }));
    }

    fn send(&mut self, message: &Value) {
        self.send_bytes(message.to_string().as_bytes());
    }

    fn send_bytes(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(self.chunk.min(bytes.len())) {
            self.session.handle_bytes(self.now, chunk, &mut self.replica);
        }
    }

    fn update3(&mut self, txn: &str, content: Value) {
        self.notify("update3", json!(["data", txn, { "T": content }]));
    }

    fn disconnect(&mut self) {
        self.requests.clear();
        self.session.handle_disconnected(self.now);
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.session.poll_event()).collect()
    }

    /// The reason why the session has closed, which must be its last event.
    fn closed(&mut self) -> CloseReason {
        assert!(!self.session.is_synced());
        assert_eq!(self.session.poll_timeout(), None, "a closed session waits for nothing");
        match self.events().pop() {
            Some(Event::Close(reason)) => {
                self.requests.clear();
                reason
            }
            other => panic!("expected Close, got {other:?}"),
        }
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.session.handle_timeout(self.now);
    }
}
