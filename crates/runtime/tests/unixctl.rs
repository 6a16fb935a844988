//! The control socket, asked by stock's own tool and held against a stock daemon's.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests of the layer that does I/O")]

mod common;

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use common::{DEADLINE, Place, wait_for};
use kiln_runtime::unixctl::{call, control_socket};

fn both() -> Place {
    let place = Place::new();
    place.start_ovsdb_server(&[]);
    place.start_parrot(&[]);
    place
}

/// What stock's tool prints and its exit code for a command to a target, the target's name left out.
fn answer(place: &Place, target: &str, args: &[&str]) -> (Option<i32>, String) {
    let (code, text) = place.appctl(target, args);
    // Whether the server or the client ends the answer with a newline depends on the version.
    (code, text.replace(target, "TARGET").replace("\novs-appctl:", "ovs-appctl:").trim_end().to_owned())
}

#[test]
fn errors_and_settings_are_answered_as_stock_answers_them() {
    let place = both();
    let cases: &[&[&str]] = &[
        &["nonesuch"],
        &["version", "a"],
        &["memory/show", "x"],
        &["vlog/set", "foo:bar:dbg"],
        &["vlog/set", "PATTERN"],
        &["vlog/set", "PATTERN:foo:abc"],
        &["vlog/set", "FACILITY:foo"],
        &["vlog/set", "FACILITY:local3"],
        &["vlog/set", "console:syslog"],
        &["vlog/set", "dbg:info"],
        &["vlog/set", "daemon vlog"],
        &["vlog/set", "PATTERN:console:%m"],
        &["vlog/set", "any:any:warn"],
        &["vlog/list-pattern"],
        &["vlog/disable-rate-limit", "nono"],
        &["vlog/disable-rate-limit", "vlog", "daemon"],
        &["vlog/enable-rate-limit"],
        &["vlog/reopen"],
        &["vlog/close"],
        &["coverage/read-counter"],
        &["coverage/read-counter", "nonesuch"],
    ];
    for case in cases {
        let (stock, ours) = (answer(&place, "ovsdb-server", case), answer(&place, "parrot", case));
        assert_eq!(ours, stock, "{case:?}");
    }
}

#[test]
fn listings_have_stocks_form() {
    let place = both();
    // Commands that both have are listed alike, in the same order.
    let lines =
        |target: &str| place.ask(target, &["list-commands"]).lines().map(str::to_owned).collect::<Vec<_>>();
    let (stock, ours) = (lines("ovsdb-server"), lines("parrot"));
    let shared: Vec<_> = stock.iter().filter(|line| ours.contains(line)).collect();
    assert!(shared.len() >= 13, "{shared:?} of {ours:?}");
    assert!(shared.is_sorted_by_key(|line| ours.iter().position(|our| our == *line)), "{ours:?}");
    assert!(!ours.iter().any(|line| line.contains("vlog/message")));

    // A module with the same settings has the same line.
    for target in ["ovsdb-server", "parrot"] {
        place.ask(target, &["vlog/set", "syslog:info"]);
        place.ask(target, &["vlog/set", "daemon:file:dbg"]);
        place.ask(target, &["vlog/set", "vlog:off"]);
    }
    let lines = |target: &str| {
        let text = place.ask(target, &["vlog/list"]);
        let keep = |line: &&str| {
            line.starts_with([' ', '-']) || line.starts_with("vlog ") || line.starts_with("daemon ")
        };
        text.lines().filter(keep).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(lines("parrot"), lines("ovsdb-server"));
    assert_eq!(lines("parrot").len(), 4);

    // The frame of the counters; rows of a fresh stock daemon come later.
    let shape = |target: &str| {
        let text = place.ask(target, &["coverage/show"]);
        let (head, rest) = text.split_once("hash=").expect("a hash");
        let hash = rest.lines().next().expect("a first line").len();
        (
            head.to_owned(),
            hash,
            text.lines().last().expect("a tail").split_once(' ').expect("words").1.to_owned(),
        )
    };
    assert_eq!(shape("parrot"), shape("ovsdb-server"));
}

#[test]
fn state_is_told_and_changed() {
    let place = both();
    assert_eq!(place.ask("parrot", &["version"]), "parrot 26.03.0\nKiln Library 0.1.0");
    assert_eq!(place.ask("parrot", &["memory/show"]), "bytes-heard:0");
    assert_eq!(place.ask("parrot", &["coverage/read-counter", "parrot_never"]), "0");
    let received = |place: &Place| -> u64 {
        place.ask("parrot", &["coverage/read-counter", "unixctl_received"]).parse().expect("a number")
    };
    let before = received(&place);
    assert_eq!(received(&place), before + 1);

    let samples = |place: &Place| -> u64 {
        let text = place.ask("parrot", &["stopwatch/show", "parrot-loop"]);
        let line = text.lines().find_map(|line| line.strip_prefix("  Total samples: ")).expect("samples");
        line.parse().expect("a number")
    };
    assert!(samples(&place) > 2);
    place.ask("parrot", &["stopwatch/reset"]);
    assert!(samples(&place) <= 2);
    let (code, text) = place.appctl("parrot", &["stopwatch/show", "nope"]);
    assert!(code == Some(2) && text.starts_with("No such stopwatch"), "{text}");

    place.ask("parrot", &["vlog/message", "hello there"]);
    assert!(place.text("parrot.log").contains("|vlog|INFO|user-message: hello there\n"));
    std::fs::rename(place.path("parrot.log"), place.path("old.log")).expect("rename");
    place.ask("parrot", &["vlog/reopen"]);
    place.ask("parrot", &["vlog/message", "again"]);
    let log = place.text("parrot.log");
    assert!(log.contains("opened log file") && log.contains("again") && !log.contains("hello"), "{log}");
}

fn socket(place: &Place) -> PathBuf {
    control_socket(place.dir(), "parrot").expect("a live pidfile")
}

fn connect(place: &Place) -> UnixStream {
    let stream = UnixStream::connect(socket(place)).expect("connect");
    stream.set_read_timeout(Some(DEADLINE)).expect("timeout");
    stream
}

fn read_exactly(stream: &mut UnixStream, expected: &str) {
    let mut buffer = vec![0; expected.len()];
    stream.read_exact(&mut buffer).expect("an answer");
    assert_eq!(String::from_utf8_lossy(&buffer), expected);
}

fn assert_closed(stream: &mut UnixStream) {
    let mut rest = Vec::new();
    // What the server did not read makes the end abrupt.
    let _ = stream.read_to_end(&mut rest);
    assert_eq!(String::from_utf8_lossy(&rest), "");
}

#[test]
fn requests_come_in_any_pieces_and_answers_in_order() {
    let place = Place::new();
    place.start_parrot(&[]);
    let mut stream = connect(&place);
    let requests = r#" {"id":1,"method":"connection-status","params":[]}
        {"params":[3],"method":"heard","id":"b"}{"id":[2],"method":"say","params":[3]}"#;
    for byte in requests.as_bytes() {
        stream.write_all(&[*byte]).expect("write");
    }
    read_exactly(&mut stream, r#"{"id":1,"result":"not connected","error":null}"#);
    read_exactly(&mut stream, r#"{"id":"b","error":"\"heard\" command takes at most 0 arguments"}"#);
    read_exactly(&mut stream, r#"{"id":[2],"error":"\"say\" command has non-string argument"}"#);
    // The form of answers belongs to the connection.
    stream.write_all(br#"{"id":4,"method":"set-options","params":["--format","json"]}"#).expect("write");
    let wrapped = r#"{"id":4,"result":{"reply":"","reply-format":"plain"},"error":null}"#;
    read_exactly(&mut stream, wrapped);
    assert_eq!(
        call(&socket(&place), "connection-status", &[], Some(DEADLINE)).expect("answer"),
        Ok("not connected".into())
    );
}

#[test]
fn what_is_no_request_ends_the_connection_and_nothing_else() {
    let place = Place::new();
    place.start_parrot(&[]);
    let huge = format!("{{\"id\":\"{}", "x".repeat(2 << 20));
    for bad in ["nonsense", "{\"id\":null,\"method\":\"version\",\"params\":[]}", "{]}", "[]", huge.as_str()]
    {
        let mut stream = connect(&place);
        // The server may hang up before it has read all.
        let _ = stream.write_all(bad.as_bytes());
        assert_closed(&mut stream);
    }
    assert_eq!(place.ask("parrot", &["coverage/read-counter", "unixctl_bad_request"]), "5");
    assert!(place.text("parrot.log").contains("|unixctl|WARN|"));
}

#[test]
fn an_answer_may_come_later_and_holds_up_nobody_else() {
    let place = Place::new();
    place.start_parrot(&["--to=punix:perch"]);
    let waiting = |place: &Place| {
        let mut stream = connect(place);
        stream.write_all(br#"{"id":1,"method":"wait-heard","params":["5"]}"#).expect("write");
        stream
    };
    let mut patient = waiting(&place);
    // These leave before they are answered, and more of them than are served at a time.
    for _ in 0..200 {
        drop(waiting(&place));
    }
    assert_eq!(place.ask("parrot", &["heard"]), "");
    let mut talker = wait_for("the perch", || UnixStream::connect(place.path("perch")).ok());
    talker.write_all(b"hello").expect("write");
    read_exactly(&mut patient, r#"{"id":1,"result":"5","error":null}"#);
    assert_eq!(
        call(&socket(&place), "wait-heard", &["x"], None).expect("answer"),
        Err("expected a number of bytes, got \"x\"".into())
    );
}

#[test]
fn the_client_says_what_is_wrong() {
    let place = Place::new();
    let error = control_socket(place.dir(), "parrot").expect_err("no pidfile").to_string();
    assert!(error.contains("cannot read pidfile") && error.contains("parrot.pid"), "{error}");
    let error = call(&place.path("x.ctl"), "version", &[], None).expect_err("nobody").to_string();
    assert!(error.contains("x.ctl"), "{error}");
    let listener = std::os::unix::net::UnixListener::bind(place.path("mute.ctl")).expect("bind");
    let error = call(&place.path("mute.ctl"), "version", &[], Some(Duration::from_millis(20)));
    assert!(error.is_err());
    drop(listener);
}

#[test]
fn the_newest_tools_json_form_is_understood() {
    let place = Place::new();
    place.start_parrot(&[]);
    let mut stream = connect(&place);
    stream
        .write_all(
            br#"{"id":1,"method":"set-options","params":["--format","json"]}{"id":2,"method":"list-commands","params":[]}"#,
        )
        .expect("write");
    read_exactly(&mut stream, r#"{"id":1,"result":{"reply":"","reply-format":"plain"},"error":null}"#);
    read_exactly(
        &mut stream,
        r#"{"id":2,"result":{"connection-status":"","coverage/read-counter":"COUNTER","#,
    );
}
