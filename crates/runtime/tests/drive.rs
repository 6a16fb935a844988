//! The loop and its links against sockets of the test's own.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests of the layer that does I/O")]

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant as StdInstant};

mod common;

use common::{DEADLINE, wait_for};
use kiln_ovsdb::remote::Remote;
use kiln_runtime::clock::Now;
use kiln_runtime::daemon::{CommonOptions, Daemon, Program};
use kiln_runtime::dirs::{Dirs, Family};
use kiln_runtime::drive::{Engine, Input, Link, Output};
use kiln_runtime::unixctl::{Command, CommandId, call};
use kiln_types::Instant;

const PROGRAM: Program =
    Program { name: "probe", family: Family::Ovn, version: "1", details: "", modules: "" };
const A: Link = Link(0);

/// What the test and the engine both see.
#[derive(Default)]
struct Shared {
    events: Vec<String>,
    bytes: u64,
    outputs: VecDeque<Output>,
    /// Pieces of this size to send, and how many are left.
    piece: usize,
    pieces: usize,
    transmitted: usize,
    deaf: bool,
    /// The peer waits for answers.
    awaited: bool,
    /// How much had come whenever there was room to send.
    bytes_at_asks: Vec<u64>,
    steps: usize,
    step_times: Vec<StdInstant>,
    timeouts: VecDeque<Duration>,
    always_due: bool,
    now: Option<Now>,
    deferred: Option<CommandId>,
}

#[derive(Clone, Default)]
struct Probe {
    shared: Arc<Mutex<Shared>>,
    due: Option<Instant>,
}

impl Probe {
    fn with<T>(&self, body: impl FnOnce(&mut Shared) -> T) -> T {
        body(&mut self.shared.lock().expect("lock"))
    }
}

impl Engine for Probe {
    fn handle(&mut self, _: Now, input: Input<'_>) {
        self.with(|shared| {
            shared.events.push(match input {
                Input::Bytes { bytes, .. } => {
                    shared.bytes += bytes.len() as u64;
                    return;
                }
                Input::Up { link } => format!("up {}", link.0),
                Input::Down { link, reason } => format!("down {} {reason}", link.0),
                Input::Command { id, name, args } => {
                    if name == "later" {
                        shared.deferred = Some(id);
                    } else {
                        shared.outputs.push_back(Output::Reply { id, reply: Ok(String::new()) });
                    }
                    format!("command {name} {args:?}")
                }
                Input::Stop(stop) => {
                    if let Some(id) = shared.deferred.take() {
                        shared.outputs.push_back(Output::Reply { id, reply: Ok("bye".to_owned()) });
                    }
                    shared.outputs.push_back(Output::Exit(7));
                    format!("{stop:?}")
                }
            });
        });
    }

    fn step(&mut self, now: Now) {
        let due = self.due;
        let next = self.with(|shared| {
            shared.steps += 1;
            shared.step_times.push(StdInstant::now());
            shared.now = Some(now);
            if due.is_none_or(|due| now.at >= due) {
                shared.timeouts.pop_front().map(|after| now.at + after)
            } else {
                due
            }
        });
        self.due = next;
    }

    fn poll_output(&mut self, _: Now) -> Option<Output> {
        self.with(|shared| shared.outputs.pop_front())
    }

    fn poll_transmit(&mut self, _: Link) -> Option<Vec<u8>> {
        self.with(|shared| {
            shared.bytes_at_asks.push(shared.bytes);
            shared.pieces = shared.pieces.checked_sub(1)?;
            shared.transmitted += shared.piece;
            Some(vec![shared.pieces as u8; shared.piece])
        })
    }

    fn poll_timeout(&self) -> Option<Instant> {
        if self.with(|shared| shared.always_due) { Some(Instant::ZERO) } else { self.due }
    }

    fn wants_input(&self, _: Link) -> bool {
        !self.with(|shared| shared.deaf)
    }

    fn is_awaited(&self, _: Link) -> bool {
        self.with(|shared| shared.awaited)
    }

    fn commands(&self) -> Vec<Command> {
        vec![Command::new("poke", "", 0, 0), Command::new("later", "", 0, 0)]
    }
}

/// An engine that runs on a thread of its own, until it is told to exit.
struct Running {
    probe: Probe,
    dir: tempfile::TempDir,
    thread: Option<JoinHandle<ExitCode>>,
}

impl Running {
    fn start(set_up: impl FnOnce(&mut Shared)) -> Running {
        let probe = Probe::default();
        probe.with(set_up);
        let dir = tempfile::tempdir().expect("temporary directory");
        let dirs = Dirs::from_vars(|_| Some(dir.path().as_os_str().to_owned()));
        let mut options = CommonOptions::default();
        options.control.unixctl = Some("probe.ctl".into());
        let engine = probe.clone();
        let thread = std::thread::spawn(move || Daemon::in_process(PROGRAM, dirs, options).run(engine));
        let running = Running { probe, dir, thread: Some(thread) };
        wait_for("the control socket", || running.dir.path().join("probe.ctl").exists().then_some(()));
        running
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.dir.path().join(name)
    }

    /// Makes the engine do what is queued: something must wake it.
    fn poke(&self) {
        self.call("poke").expect("no error");
    }

    fn call(&self, command: &str) -> Result<String, String> {
        call(&self.path("probe.ctl"), command, &[], Some(DEADLINE)).expect("an answer")
    }

    fn order(&self, output: Output) {
        self.probe.with(|shared| shared.outputs.push_back(output));
        self.poke();
    }

    fn connect_to(&self, remote: &str) {
        let remote: Remote = remote.parse().expect("a remote");
        self.order(Output::Connect { link: A, remote });
    }

    /// What happened to links since this was last asked; waits until that is something.
    fn next_events(&self) -> Vec<String> {
        wait_for("an event", || {
            let events = self.probe.with(|shared| std::mem::take(&mut shared.events));
            let events: Vec<_> =
                events.into_iter().filter(|event| !event.starts_with("command poke")).collect();
            (!events.is_empty()).then_some(events)
        })
    }

    fn exit(mut self) -> ExitCode {
        assert_eq!(self.call("exit"), Ok(String::new()));
        self.thread.take().expect("runs").join().expect("no panic")
    }
}

fn listener(path: &Path) -> UnixListener {
    UnixListener::bind(path).expect("bind")
}

fn accept(listener: &UnixListener) -> UnixStream {
    let (stream, _) = listener.accept().expect("accept");
    stream.set_read_timeout(Some(DEADLINE)).expect("timeout");
    stream
}

#[test]
fn a_link_lives_and_dies() {
    let running = Running::start(|_| {});
    running.connect_to("unix:nobody");
    let events = running.next_events();
    assert_eq!(events, ["down 0 No such file or directory"]);

    let listener = listener(&running.path("peer"));
    running.connect_to("unix:peer");
    let mut peer = accept(&listener);
    assert_eq!(running.next_events(), ["up 0"]);
    peer.write_all(&vec![1; 100_000]).expect("write");
    wait_for("the bytes", || (running.probe.with(|shared| shared.bytes) == 100_000).then_some(()));
    drop(peer);
    assert_eq!(running.next_events(), ["down 0 connection closed by peer"]);

    // What the engine closes it hears nothing more of.
    running.connect_to("unix:peer");
    let mut peer = accept(&listener);
    assert_eq!(running.next_events(), ["up 0"]);
    running.order(Output::Close { link: A });
    assert_eq!(peer.read(&mut [0; 8]).expect("end"), 0);
    running.poke();
    assert_eq!(
        running.probe.with(|shared| shared.events.iter().filter(|e| e.starts_with("down")).count()),
        0
    );

    let remote: Remote = "ptcp:0:127.0.0.1".parse().expect("a remote");
    assert!(remote.is_passive());
    assert_eq!(format!("{:?}", running.exit()), format!("{:?}", ExitCode::from(7)));
}

#[test]
fn a_later_peer_of_a_passive_remote_replaces_the_one_before() {
    let running = Running::start(|_| {});
    running.connect_to("punix:perch");
    let dial = || wait_for("the perch", || UnixStream::connect(running.path("perch")).ok());
    let mut first = dial();
    assert_eq!(running.next_events(), ["up 0"]);
    let mut second = dial();
    assert_eq!(running.next_events(), ["down 0 replaced by a new connection"]);
    assert_eq!(first.read(&mut [0; 8]).expect("end"), 0);
    // The engine decides when it wants the next connection.
    running.connect_to("punix:perch");
    assert_eq!(running.next_events(), ["up 0"]);
    second.write_all(b"hello").expect("write");
    wait_for("the bytes", || (running.probe.with(|shared| shared.bytes) == 5).then_some(()));
    drop(second);
    assert_eq!(running.next_events(), ["down 0 connection closed by peer"]);
    running.order(Output::Close { link: A });
    assert!(!running.path("perch").exists());
    running.exit();
}

#[test]
fn a_peer_that_does_not_read_bounds_what_is_asked_of_the_engine() {
    const PIECE: usize = 256 << 10;
    const PIECES: usize = 200;
    let running = Running::start(|shared| (shared.piece, shared.pieces) = (PIECE, PIECES));
    let listener = listener(&running.path("peer"));
    running.connect_to("unix:peer");
    let mut peer = accept(&listener);
    assert_eq!(running.next_events(), ["up 0"]);
    // Turns of the loop change nothing while the peer does not read: a megabyte and what the socket holds.
    for _ in 0..20 {
        running.poke();
    }
    let asked = running.probe.with(|shared| shared.transmitted);
    assert!((1 << 20..=3 << 20).contains(&asked), "{asked}");

    let mut buffer = vec![0; PIECE];
    for left in (0..PIECES).rev() {
        peer.read_exact(&mut buffer).expect("a piece");
        assert!(buffer.iter().all(|byte| *byte == left as u8), "piece {left}");
    }
    assert_eq!(running.probe.with(|shared| (shared.pieces, shared.transmitted)), (0, PIECE * PIECES));
    running.exit();
}

#[test]
fn what_a_peer_that_waits_says_first_is_worked_on_before_the_rest() {
    const SAID: u64 = 30_000;
    let running = Running::start(|shared| shared.awaited = true);
    let listener = listener(&running.path("peer"));
    running.connect_to("unix:peer");
    let mut peer = accept(&listener);
    assert_eq!(running.next_events(), ["up 0"]);
    for round in 0..3 {
        let before = round * SAID;
        running.probe.with(|shared| shared.bytes_at_asks.clear());
        peer.write_all(&vec![1; SAID as usize]).expect("write");
        wait_for("the bytes", || {
            (running.probe.with(|shared| shared.bytes_at_asks.last().copied()) == Some(before + SAID))
                .then_some(())
        });
        let mut seen: Vec<u64> = running.probe.with(|shared| {
            let asks = shared.bytes_at_asks.iter().map(|bytes| bytes - before);
            asks.filter(|bytes| *bytes > 0).collect()
        });
        seen.dedup();
        // All that was there comes after the beginning.
        assert_eq!(seen, [1024, SAID]);
    }
    running.exit();
}

#[test]
fn an_engine_that_takes_no_input_holds_the_peer_up() {
    let running = Running::start(|shared| shared.deaf = true);
    let listener = listener(&running.path("peer"));
    running.connect_to("unix:peer");
    let mut peer = accept(&listener);
    assert_eq!(running.next_events(), ["up 0"]);
    peer.set_nonblocking(true).expect("nonblocking");
    let mut written = 0;
    loop {
        match peer.write(&[0; 4096]) {
            Ok(len) => written += len as u64,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                break;
            }
        }
    }
    running.poke();
    assert_eq!(running.probe.with(|shared| shared.bytes), 0);
    running.probe.with(|shared| shared.deaf = false);
    running.poke();
    wait_for("the bytes", || (running.probe.with(|shared| shared.bytes) == written).then_some(()));
    running.exit();
}

#[test]
fn a_peer_that_never_stops_talking_shuts_nobody_out() {
    let running = Running::start(|_| {});
    let listener = listener(&running.path("peer"));
    running.connect_to("unix:peer");
    let mut peer = accept(&listener);
    assert_eq!(running.next_events(), ["up 0"]);
    // Until the engine hangs up.
    let talker = std::thread::spawn(move || while peer.write_all(&vec![0; 1 << 20]).is_ok() {});
    let bytes = || running.probe.with(|shared| shared.bytes);
    wait_for("a flood", || (bytes() > 64 << 20).then_some(()));
    for _ in 0..20 {
        running.poke();
    }
    running.order(Output::Close { link: A });
    talker.join().expect("no panic");
    running.exit();
}

#[test]
fn the_loop_sleeps_until_something_is_due() {
    let waits = [40, 60, 80].map(Duration::from_millis);
    let started = StdInstant::now();
    let running = Running::start(|shared| shared.timeouts = waits.into_iter().collect());
    wait_for("all timeouts", || running.probe.with(|shared| (shared.steps >= 4).then_some(())));
    let times = running.probe.with(|shared| shared.step_times.clone());
    assert!(started.elapsed() >= waits.iter().sum());
    // The first step is the start; each timeout causes one more, none too early.
    for (pair, wait) in times.windows(2).zip(waits) {
        assert!(pair[1] - pair[0] + Duration::from_millis(1) >= wait, "{times:?}");
    }
    assert!(running.probe.with(|shared| shared.steps) <= 5);
    let now = running.probe.with(|shared| shared.now).expect("a step");
    assert!(now.at > Instant::from_millis(180) && now.wall_ms > 1_700_000_000_000, "{now:?}");
    running.exit();
}

#[test]
fn an_engine_that_is_always_due_does_not_spin() {
    let running = Running::start(|shared| shared.always_due = true);
    wait_for("fifty steps", || running.probe.with(|shared| (shared.steps >= 50).then_some(())));
    let times = running.probe.with(|shared| shared.step_times.clone());
    assert!(times[49] - times[0] >= Duration::from_millis(40), "{:?}", times[49] - times[0]);
    running.exit();
}

#[test]
fn last_words_are_sent_before_the_end() {
    let running = Running::start(|_| {});
    let listener = listener(&running.path("peer"));
    running.connect_to("unix:peer");
    let mut peer = accept(&listener);
    assert_eq!(running.next_events(), ["up 0"]);
    let path = running.path("probe.ctl");
    let later = std::thread::spawn(move || call(&path, "later", &[], Some(DEADLINE)).expect("an answer"));
    assert_eq!(running.next_events(), ["command later []"]);
    running.probe.with(|shared| (shared.piece, shared.pieces) = (400_000, 1));
    let reader = std::thread::spawn(move || {
        let mut all = Vec::new();
        peer.read_to_end(&mut all).expect("read");
        all.len()
    });
    running.exit();
    assert_eq!(reader.join().expect("no panic"), 400_000);
    assert_eq!(later.join().expect("no panic"), Ok("bye".to_owned()));
}
