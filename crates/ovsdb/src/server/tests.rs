//! Sessions as transcripts. A line `a> method params` is sent by client a, `tick 30` lets 30 ms pass; what follows is what the
//! clients then receive: `a< = result`, `a< ! error`, `a< method params`. `#1` stands for a uuid, `T{…}` for a transaction.

mod replica;

use kiln_types::{Instant, Rng};
use serde_json::Value;
use std::time::Duration;

use super::*;
use crate::engine::tests::{expand, shorten, zoo};
use crate::schema::{DatabaseSchema, TableSchema};

struct Bench {
    server: Server,
    clients: BTreeMap<String, SessionId>,
    now: Instant,
    requests: u64,
}

impl Bench {
    fn new() -> Self {
        let mut server = Server::new(Rng::with_seed(3), Limits::default());
        server.add_database(Instant::ZERO, Database::new(zoo(), Rng::with_seed(4))).unwrap();
        Bench { server, clients: BTreeMap::new(), now: Instant::from_secs(1), requests: 0 }
    }

    fn client(&mut self, name: &str) -> SessionId {
        let server = &mut self.server;
        *self.clients.entry(name.to_owned()).or_insert_with(|| server.connect())
    }

    fn send(&mut self, name: &str, text: &str) {
        let session = self.client(name);
        self.server.handle_bytes(self.now, session, text.as_bytes());
    }

    fn request(&mut self, name: &str, method: &str, params: &str) {
        self.requests += 1;
        let (method, params) = match method {
            "T" => ("transact", format!("[\"Zoo\",{params}]")),
            method => (method, params.to_owned()),
        };
        let id = if method == "cancel" { "null".to_owned() } else { format!("\"{}\"", self.requests) };
        self.send(name, &format!(r#"{{"method":"{method}","params":{},"id":{id}}}"#, expand(&params)));
    }

    /// What a client has been sent since last asked.
    fn receive(&mut self, name: &str) -> Vec<Value> {
        let session = self.client(name);
        let mut bytes = Vec::new();
        while let Some(more) = self.server.poll_transmit(session) {
            bytes.extend(more);
        }
        serde_json::Deserializer::from_slice(&bytes).into_iter().map(Result::unwrap).collect()
    }
}

/// One message; of errors only their tags.
fn show(message: &Value) -> String {
    let text = match (&message["method"], &message["error"]) {
        (Value::String(method), _) => format!("{method} {}", message["params"]),
        (_, Value::Null) => match &message["result"] {
            Value::Array(results) if results.iter().any(|result| result.get("details").is_some()) => {
                let tags = results.iter().map(|result| match result.get("error") {
                    Some(tag) => format!("({})", tag.as_str().unwrap()),
                    None => result.to_string(),
                });
                format!("= {}", tags.collect::<Vec<_>>().join(" "))
            }
            result => format!("= {result}"),
        },
        (_, error) => format!("! {}", error.get("error").unwrap_or(error)),
    };
    shorten(&text)
}

#[track_caller]
fn check(transcript: &str) {
    let mut bench = Bench::new();
    let mut shown = String::new();
    for line in
        transcript.lines().map(str::trim).filter(|line| !line.is_empty() && !line[1..].starts_with('<'))
    {
        shown.push_str(&format!("{line}\n"));
        if let Some(ms) = line.strip_prefix("tick ") {
            bench.now = bench.now + Duration::from_millis(ms.parse().unwrap());
            if bench.server.poll_timeout().is_some_and(|at| at <= bench.now) {
                bench.server.handle_timeout(bench.now);
            }
        } else if let Some(name) = line.strip_suffix(" leaves") {
            let session = bench.clients.remove(name).unwrap();
            bench.server.disconnect(session);
        } else {
            let (name, request) = line.split_once("> ").unwrap();
            let (method, params) = request.split_once(' ').unwrap();
            bench.request(name, method, params);
        }
        let names: Vec<String> = bench.clients.keys().cloned().collect();
        for name in names {
            for message in bench.receive(&name) {
                shown.push_str(&format!("{name}< {}\n", show(&message)));
            }
        }
    }
    let expected: Vec<&str> = transcript.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    assert_eq!(shown.lines().collect::<Vec<_>>(), expected, "got:\n{shown}");
}

#[test]
fn databases_are_listed() {
    check(
        r#"
        a> list_dbs []
        a< = ["Zoo","_Server"]
        a> echo ["x",{"y":[1]}]
        a< = ["x",{"y":[1]}]
        a> T {"op":"select","table":"Vet","where":[]}
        a< = [{"rows":[]}]
        a> transact ["_Server",{"op":"select","table":"Database","where":[],"sort":["name"],"columns":["name","model","connected","leader","cid","sid","index"]}]
        a< = [{"rows":[{"cid":["set",[]],"connected":true,"index":["set",[]],"leader":true,"model":"standalone","name":"Zoo","sid":["set",[]]},{"cid":["set",[]],"connected":true,"index":["set",[]],"leader":true,"model":"standalone","name":"_Server","sid":["set",[]]}]}]
        a> transact ["_Server",{"op":"delete","table":"Database","where":[]}]
        a< = (not allowed)
        "#,
    );
    let mut bench = Bench::new();
    bench.request("a", "get_schema", "[\"Zoo\"]");
    let schema = bench.receive("a")[0]["result"].to_string();
    assert_eq!(DatabaseSchema::parse(&schema), DatabaseSchema::parse(&zoo().to_string()));
    bench.request("a", "get_server_id", "[]");
    assert!(bench.receive("a")[0]["result"].as_str().unwrap().parse::<Uuid>().is_ok());
}

#[test]
fn what_is_unknown_is_said_so() {
    check(
        r#"
        a> fly []
        a< ! "unknown method"
        a> get_schema ["Moon"]
        a< ! "unknown database"
        a> transact ["Moon"]
        a< ! "unknown database"
        a> transact []
        a< ! "syntax error"
        a> monitor [5,"m",{}]
        a< ! "syntax error"
        a> monitor ["Zoo","m",{"Nope":{}}]
        a< ! "syntax error"
        a> monitor ["Zoo","m",{"Vet":{"columns":["nope"]}}]
        a< ! "syntax error"
        a> monitor ["Zoo","m",{"Vet":{"columns":["name","name"]}}]
        a< ! "syntax error"
        a> monitor ["Zoo","m",{"Vet":{"where":[]}}]
        a< ! "syntax error"
        a> monitor ["Zoo","m",{"Vet":{"select":{"all":true}}}]
        a< ! "syntax error"
        a> monitor ["Zoo","m"]
        a< ! "syntax error"
        a> monitor_cond ["Zoo","m",{"Vet":[{"where":[["room","==","x"]]}]}]
        a< ! "syntax error"
        a> monitor_cond_since ["Zoo","m",{},"x"]
        a< ! "syntax error"
        a> monitor_cond_change ["m","n",{}]
        a< ! "syntax error"
        a> monitor_cancel ["m"]
        a< ! "unknown monitor"
        a> lock ["no id"]
        a< ! "syntax error"
        a> unlock ["l"]
        a< ! "syntax error"
        a> set_db_change_aware [1]
        a< ! "syntax error"
        "#,
    );
}

#[test]
fn monitors_tell_of_rows_as_the_rfc_has_it() {
    check(
        r##"
        a> T {"op":"insert","table":"Vet","uuid":"#1","row":{"name":"x"}}
        a< = [{"uuid":["uuid","#1"]}]
        b> monitor ["Zoo",["m",1],{"Vet":{"columns":["name","room"]}}]
        b< = {"Vet":{"#1":{"new":{"name":"x","room":["set",[]]}}}}
        b> monitor ["Zoo",["m", 1],{}]
        b< ! "syntax error"
        a> T {"op":"update","table":"Vet","where":[],"row":{"room":3}}
        a< = [{"count":1}]
        b< update [["m",1],{"Vet":{"#1":{"new":{"name":"x","room":3},"old":{"room":["set",[]]}}}}]
        a> T {"op":"insert","table":"Vet","uuid":"#2","row":{}},{"op":"delete","table":"Vet","where":[["name","==","x"]]}
        a< = [{"uuid":["uuid","#2"]},{"count":1}]
        b< update [["m",1],{"Vet":{"#1":{"old":{"name":"x","room":3}},"#2":{"new":{"name":"","room":["set",[]]}}}}]
        b> monitor_cancel [["m",1]]
        b< = {}
        a> T {"op":"delete","table":"Vet","where":[]}
        a< = [{"count":1}]
        "##,
    );
}

#[test]
fn a_transactions_own_updates_come_before_its_reply() {
    check(
        r##"
        a> monitor_cond ["Zoo",null,{"Vet":[{"columns":["room"]}]}]
        a< = {}
        a> T {"op":"insert","table":"Vet","uuid":"#1","row":{"room":1}}
        a< update2 [null,{"Vet":{"#1":{"insert":{"room":1}}}}]
        a< = [{"uuid":["uuid","#1"]}]
        a> T {"op":"update","table":"Vet","where":[],"row":{"name":"not monitored"}}
        a< = [{"count":1}]
        "##,
    );
}

#[test]
fn differences_are_told_by_column() {
    check(
        r##"
        a> T {"op":"insert","table":"Keeper","uuid":"#1","row":{"scores":["set",[1,2]],"tags":["map",[["a","1"],["b","2"]]],"grade":5,"age":7}}
        a< = [{"uuid":["uuid","#1"]}]
        b> monitor_cond_since ["Zoo","m",{"Keeper":[{"columns":["scores","tags","grade","age","height"]}]},"00000000-0000-0000-0000-000000000000"]
        b< = [false,"00000000-0000-0000-0000-000000000000",{"Keeper":{"#1":{"initial":{"age":7,"grade":5,"scores":["set",[1,2]],"tags":["map",[["a","1"],["b","2"]]]}}}}]
        a> T {"op":"update","table":"Keeper","where":[],"row":{"scores":["set",[2,3]],"tags":["map",[["b","9"],["c","3"]]],"grade":["set",[]],"age":0}}
        a< = [{"count":1}]
        b< update3 ["m","00000000-0000-0000-0000-000000000000",{"Keeper":{"#1":{"modify":{"age":0,"grade":["set",[]],"scores":["set",[1,3]],"tags":["map",[["a","1"],["b","9"],["c","3"]]]}}}}]
        a> T {"op":"delete","table":"Keeper","where":[]}
        a< = [{"count":1}]
        b< update3 ["m","00000000-0000-0000-0000-000000000000",{"Keeper":{"#1":{"delete":null}}}]
        "##,
    );
}

#[test]
fn selection_is_by_kind_of_change_and_column() {
    check(
        r##"
        a> T {"op":"insert","table":"Vet","uuid":"#1","row":{"name":"x","room":1}}
        a< = [{"uuid":["uuid","#1"]}]
        b> monitor ["Zoo","m",{"Vet":[{"columns":["name"],"select":{"initial":false}},{"columns":["room"],"select":{"insert":false,"modify":false,"delete":false}}]}]
        b< = {"Vet":{"#1":{"new":{"room":1}}}}
        a> T {"op":"update","table":"Vet","where":[],"row":{"name":"y","room":2}}
        a< = [{"count":1}]
        b< update ["m",{"Vet":{"#1":{"new":{"name":"y"},"old":{"name":"x"}}}}]
        c> monitor_cond ["Zoo","m",{"Vet":[{"columns":["name"],"select":{"initial":false,"modify":false}}]}]
        c< = {}
        a> T {"op":"update","table":"Vet","where":[],"row":{"name":"z"}}
        a< = [{"count":1}]
        b< update ["m",{"Vet":{"#1":{"new":{"name":"z"},"old":{"name":"y"}}}}]
        a> T {"op":"delete","table":"Vet","where":[]}
        a< = [{"count":1}]
        b< update ["m",{"Vet":{"#1":{"old":{"name":"z"}}}}]
        c< update2 ["m",{"Vet":{"#1":{"delete":null}}}]
        "##,
    );
}

#[test]
fn rows_enter_and_leave_a_condition() {
    check(
        r##"
        a> T {"op":"insert","table":"Vet","uuid":"#1","row":{"name":"x","room":1}},{"op":"insert","table":"Vet","uuid":"#2","row":{"name":"y","room":2}}
        a< = [{"uuid":["uuid","#1"]},{"uuid":["uuid","#2"]}]
        b> monitor_cond ["Zoo","m",{"Vet":[{"columns":["name"],"where":[["room","==",1],["room",">=",7]]}]}]
        b< = {"Vet":{"#1":{"initial":{"name":"x"}}}}
        a> T {"op":"update","table":"Vet","where":[["name","==","y"]],"row":{"room":3}}
        a< = [{"count":1}]
        a> T {"op":"mutate","table":"Vet","where":[],"mutations":[["room","+=",5]]}
        a< = [{"count":2}]
        b< update2 ["m",{"Vet":{"#1":{"delete":null},"#2":{"insert":{"name":"y"}}}}]
        a> T {"op":"update","table":"Vet","where":[],"row":{"name":"z"}}
        a< = [{"count":2}]
        b< update2 ["m",{"Vet":{"#2":{"modify":{"name":"z"}}}}]
        b> monitor_cond_change ["m",["new"],{"Vet":[{"where":[["room","<",7]]}]}]
        b< update2 [["new"],{"Vet":{"#1":{"insert":{"name":"z"}},"#2":{"delete":null}}}]
        b< = {}
        b> monitor_cond_change [["new"],["new"],{"Vet":[{"where":[false]}]}]
        b< update2 [["new"],{"Vet":{"#1":{"delete":null}}}]
        b< = {}
        b> monitor_cond_change [["new"],["new"],{"Vet":[{"where":[]}]}]
        b< update2 [["new"],{"Vet":{"#1":{"insert":{"name":"z"}},"#2":{"insert":{"name":"z"}}}}]
        b< = {}
        b> monitor_cond_change [["new"],["new"],{"Vet":[{"columns":["room"]}]}]
        b< ! "syntax error"
        b> monitor_cond_change [["new"],["new"],{"Keeper":[{"where":[]}]}]
        b< ! "syntax error"
        "##,
    );
}

#[test]
fn waits_end_when_they_hold_or_time_is_up() {
    check(
        r##"
        a> T {"op":"insert","table":"Vet","uuid":"#1","row":{"room":0}},{"op":"wait","table":"Vet","where":[["room","==",5]],"columns":["name"],"until":"==","rows":[{"name":"go"}]}
        b> T {"op":"wait","table":"Vet","timeout":30,"where":[],"columns":["name"],"until":"!=","rows":[]}
        c> T {"op":"insert","table":"Keeper","row":{"name":"changes nothing for them"},"uuid":"#8"}
        c< = [{"uuid":["uuid","#8"]}]
        tick 29
        tick 1
        b< = (timed out)
        c> T {"op":"insert","table":"Vet","uuid":"#2","row":{"name":"go","room":5}}
        a< = [{"uuid":["uuid","#1"]},{}]
        c< = [{"uuid":["uuid","#2"]}]
        b> T {"op":"wait","table":"Vet","timeout":0,"where":[],"columns":["name"],"until":"==","rows":[]}
        b< = (timed out)
        "##,
    );
}

#[test]
fn one_wait_may_set_off_the_next() {
    check(
        r##"
        a> T {"op":"wait","table":"Vet","where":[["room","==",2]],"columns":["name"],"until":"==","rows":[{}]},{"op":"insert","table":"Vet","uuid":"#3","row":{"room":3}}
        b> T {"op":"wait","table":"Vet","where":[["room","==",1]],"columns":["name"],"until":"==","rows":[{}]},{"op":"insert","table":"Vet","uuid":"#2","row":{"room":2}}
        c> T {"op":"insert","table":"Vet","uuid":"#1","row":{"room":1}}
        a< = [{},{"uuid":["uuid","#3"]}]
        b< = [{},{"uuid":["uuid","#2"]}]
        c< = [{"uuid":["uuid","#1"]}]
        "##,
    );
}

#[test]
fn waits_can_be_cancelled() {
    check(
        r#"
        a> T {"op":"wait","table":"Vet","timeout":9,"where":[],"columns":["name"],"until":"!=","rows":[]}
        a> cancel ["7"]
        a> cancel ["1"]
        a< ! "canceled"
        tick 100
        b> T {"op":"wait","table":"Vet","timeout":9,"where":[],"columns":["name"],"until":"!=","rows":[]}
        b leaves
        tick 100
        "#,
    );
    let mut bench = Bench::new();
    let wait = r#"{"method":"transact","id":1,"params":["Zoo",{"op":"wait","table":"Vet","where":[],"columns":[],"until":"!=","rows":[]}]}"#;
    bench.send("a", wait);
    bench.send("a", wait);
    assert_eq!(show(&bench.receive("a")[0]), "! \"syntax error\"", "one id, two transactions");
}

#[test]
fn locks_pass_on() {
    check(
        r#"
        a> lock ["l"]
        a< = {"locked":true}
        b> lock ["l"]
        b< = {"locked":false}
        b> T {"op":"assert","lock":"l"}
        b< = (not owner)
        a> T {"op":"assert","lock":"l"}
        a< = [{}]
        a> lock ["l"]
        a< ! "syntax error"
        c> steal ["l"]
        a< stolen ["l"]
        c< = {"locked":true}
        a> T {"op":"assert","lock":"l"}
        a< = (not owner)
        c> unlock ["l"]
        a< locked ["l"]
        c< = {}
        a leaves
        b< locked ["l"]
        c> lock ["l"]
        c< = {"locked":false}
        c> unlock ["l"]
        c< = {}
        b> unlock ["l"]
        b< = {}
        "#,
    );
}

#[test]
fn a_client_that_does_not_read_gets_the_sum_of_what_it_missed() {
    let mut bench = Bench::new();
    bench.request("b", "monitor_cond", r#"["Zoo","m",{"Vet":[{"columns":["name"]}]}]"#);
    assert_eq!(bench.receive("b").len(), 1);
    for operation in [
        r##"{"op":"insert","table":"Vet","uuid":"#1","row":{"name":"a","room":1}}"##,
        r##"{"op":"insert","table":"Vet","uuid":"#2","row":{"name":"b","room":2}}"##,
        r#"{"op":"update","table":"Vet","where":[["room","==",1]],"row":{"name":"c"}}"#,
        r#"{"op":"delete","table":"Vet","where":[["room","==",2]]}"#,
    ] {
        bench.request("a", "T", operation);
    }
    let told: Vec<String> = bench.receive("b").iter().map(show).collect();
    assert_eq!(told, [r##"update2 ["m",{"Vet":{"#1":{"insert":{"name":"c"}}}}]"##]);
}

#[test]
fn what_is_owed_before_a_condition_changes_bears_the_old_name() {
    let mut bench = Bench::new();
    bench.request("b", "monitor_cond", r#"["Zoo","old",{"Vet":[{"columns":["name"]}]}]"#);
    bench.receive("b");
    bench.request("a", "T", r##"{"op":"insert","table":"Vet","uuid":"#1","row":{"name":"a"}}"##);
    bench.request("b", "monitor_cond_change", r#"["old","new",{"Vet":[{"where":[["name","==","b"]]}]}]"#);
    let told: Vec<String> = bench.receive("b").iter().map(show).collect();
    assert_eq!(
        told,
        [
            r##"update2 ["old",{"Vet":{"#1":{"insert":{"name":"a"}}}}]"##,
            r##"update2 ["new",{"Vet":{"#1":{"delete":null}}}]"##,
            "= {}"
        ]
    );
}

#[test]
fn ready_sessions_are_named_once() {
    let mut bench = Bench::new();
    let (a, b) = (bench.client("a"), bench.client("b"));
    bench.request("b", "monitor_cond", r#"["Zoo","m",{"Vet":[{}]}]"#);
    assert_eq!(bench.server.poll_ready(), Some(b));
    assert_eq!(bench.server.poll_ready(), None);
    bench.request("a", "T", r#"{"op":"insert","table":"Vet","row":{}}"#);
    let ready: Vec<_> = std::iter::from_fn(|| bench.server.poll_ready()).collect();
    assert_eq!(ready, [a, b]);
}

#[test]
fn databases_come_and_go() {
    let moon = || {
        let schema =
            DatabaseSchema::builder("Moon", "1.0.0").table(TableSchema::builder("T")).build().unwrap();
        Box::new(Database::new(schema, Rng::with_seed(1)))
    };
    let mut bench = Bench::new();
    let (a, b) = (bench.client("a"), bench.client("b"));
    bench.request("a", "set_db_change_aware", "[true]");
    bench.request("a", "monitor", r#"["_Server","s",{"Database":{"columns":["name"]}}]"#);
    bench.receive("a");
    assert!(bench.server.add_database(bench.now, *moon()).is_ok());
    assert!(bench.server.add_database(bench.now, *moon()).is_err());
    assert_eq!(bench.server.close_reason(b), Some(&CloseReason::DatabasesChanged));
    assert_eq!(bench.server.close_reason(a), None);
    let told = bench.receive("a");
    assert_eq!(told.len(), 1);
    assert!(told[0].to_string().contains(r#"{"new":{"name":"Moon"}}"#));

    bench.request("a", "monitor", r#"["Moon","m",{"T":{}}]"#);
    bench.request(
        "a",
        "transact",
        r#"["Moon",{"op":"wait","table":"T","where":[],"columns":["_uuid"],"until":"!=","rows":[]}]"#,
    );
    bench.receive("a");
    assert!(bench.server.remove_database(bench.now, "Moon").is_some());
    assert!(bench.server.remove_database(bench.now, "Moon").is_none());
    assert!(bench.server.remove_database(bench.now, "_Server").is_none());
    let told: Vec<String> = bench.receive("a").iter().map(show).collect();
    assert!(told.contains(&"! \"canceled\"".to_owned()), "{told:?}");
    assert!(told.contains(&"monitor_canceled [\"m\"]".to_owned()), "{told:?}");
    assert!(told.iter().any(|message| message.contains(r#"{"old":{"name":"Moon"}}"#)), "{told:?}");
}

#[test]
fn streams_that_are_no_messages_are_closed() {
    for (stream, closed) in [
        ("hello", true),
        ("{}", true),
        (r#"{"method":"echo","params":{},"id":1}"#, true),
        (r#"{"method":"echo","params":[1"#, false),
        (r#"{"method":"echo","params":[1],"id":null}"#, false),
        (r#"{"id":"echo","result":[],"error":null}"#, false),
    ] {
        let mut bench = Bench::new();
        let session = bench.client("a");
        bench.send("a", stream);
        assert_eq!(bench.server.close_reason(session).is_some(), closed, "{stream}");
        assert_eq!(bench.receive("a").len(), 0, "{stream}");
    }
}

#[test]
fn limits_hold() {
    let limits = Limits { message_bytes: 200, backlog_bytes: 100, waiting_transactions: 1, monitors: 1 };
    let mut bench = Bench::new();
    bench.server.limits = limits;

    bench.request("a", "monitor", r#"["Zoo","m",{}]"#);
    bench.request("a", "monitor", r#"["Zoo","n",{}]"#);
    let wait = r#"{"op":"wait","table":"Vet","where":[],"columns":[],"until":"!=","rows":[]}"#;
    assert_eq!(bench.receive("a").iter().map(show).collect::<Vec<_>>(), ["= {}", "! \"syntax error\""]);
    bench.request("a", "T", wait);
    bench.request("a", "T", wait);
    assert_eq!(bench.receive("a").iter().map(show).collect::<Vec<_>>(), ["! \"syntax error\""]);

    let long = format!(r#"{{"method":"echo","params":["{}"],"id":1}}"#, "x".repeat(200));
    bench.send("b", &long);
    let b = bench.client("b");
    assert!(matches!(bench.server.close_reason(b), Some(CloseReason::Frame(_))));
    let before = bench.receive("b");
    bench.send("b", r#"{"method":"echo","params":[],"id":1}"#);
    assert_eq!(bench.receive("b"), Vec::<Value>::new(), "after {before:?}");

    let echo = format!(r#"{{"method":"echo","params":["{}"],"id":1}}"#, "x".repeat(80));
    for _ in 0..2 {
        bench.send("c", &echo);
    }
    let c = bench.client("c");
    assert_eq!(bench.server.close_reason(c), Some(&CloseReason::Backlog { max: 100 }));
}
