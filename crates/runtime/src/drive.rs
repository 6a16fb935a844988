//! The loop that drives an engine: its links, its timeouts, its commands and its end, all on one thread.
//!
//! ```text
//!            bytes, commands, signals, time
//!                        |
//!            handle() for each, then step()
//!                        |
//!     poll_output(), poll_transmit(), poll_timeout()
//!                        |
//!              sleep until one of them can go on
//! ```
//!
//! Everything is polled from one task, so nothing runs while the engine does and there is nothing to lock. The loop
//! sleeps whenever no input is there, and reads from a link only what it hands over at once: what the engine does not
//! take yet stays in the socket.

use std::future::poll_fn;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::pin::Pin;
use std::process::ExitCode;
use std::task::{Context, Poll};
use std::time::{Duration, Instant as StdInstant};

use kiln_ovsdb::remote::Remote;
use kiln_types::Instant;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::Sleep;
use tracing::{info, warn};

use crate::clock::{Clock, Now};
use crate::coverage::{self, Coverage};
use crate::daemon::Daemon;
use crate::errno::plain;
use crate::failures::Failures;
use crate::link::{Event, LinkIo};
use crate::memory::{GrowthWatch, Thrift, Usage};
use crate::process;
use crate::stopwatch::Stopwatches;
use crate::tls::{Tls, TlsSettings};
use crate::unixctl::{self, Builtins, Command, CommandId, Registry, Reply, Server};

/// A byte stream that an engine has to one peer at a time; the engine chooses the number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Link(pub u32);

/// Why an engine is to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// A signal of this number.
    Signal(i32),
    /// The command `exit`.
    Command,
}

/// What an engine is told.
#[derive(Debug)]
pub enum Input<'a> {
    /// A connection is up, after [`Output::Connect`].
    Up {
        /// Of this link.
        link: Link,
    },
    /// Bytes came, in order and in pieces of any size.
    Bytes {
        /// On this link.
        link: Link,
        /// Never empty.
        bytes: &'a [u8],
    },
    /// A connection, or the attempt at one, is over; what was not sent is lost. Not told after [`Output::Close`].
    Down {
        /// Of this link.
        link: Link,
        /// For people.
        reason: &'a str,
    },
    /// One of the engine's commands came; [`Output::Reply`] answers it, now or later.
    Command {
        /// To answer with.
        id: CommandId,
        /// One of [`Engine::commands`].
        name: &'a str,
        /// As many as it takes.
        args: &'a [String],
    },
    /// End: tidy up, then [`Output::Exit`]. A second signal ends the process without asking.
    Stop(Stop),
}

/// What an engine wants.
#[derive(Debug)]
pub enum Output {
    /// Open a link: connect to a remote, or listen at it for one peer, each later one replacing the one before.
    Connect {
        /// This link, which must not be open.
        link: Link,
        /// Where to.
        remote: Remote,
    },
    /// Close a link, or stop opening it. Nothing more is heard of it.
    Close {
        /// This link.
        link: Link,
    },
    /// The answer to a command: text, or the text of an error.
    Reply {
        /// The command.
        id: CommandId,
        /// The answer.
        reply: Result<String, String>,
    },
    /// Use these TLS settings for connections to be made from now on.
    SetTls(Box<TlsSettings>),
    /// End the process with this code, once answers are sent.
    Exit(u8),
}

/// A daemon without I/O.
pub trait Engine {
    /// Takes an input. Work that can wait for more inputs belongs into [`Engine::step`].
    fn handle(&mut self, now: Now, input: Input<'_>);

    /// Called after each batch of inputs, when [`Engine::poll_timeout`] has come, and when a link that was full has room.
    fn step(&mut self, now: Now);

    /// What is wanted; asked until there is nothing.
    fn poll_output(&mut self, now: Now) -> Option<Output>;

    /// Bytes to send on a link that is up; asked until there are none, or enough wait.
    fn poll_transmit(&mut self, link: Link) -> Option<Vec<u8>>;

    /// When to call [`Engine::step`] if nothing else happens.
    fn poll_timeout(&self) -> Option<Instant>;

    /// Whether bytes are to be read from a link now; asked before each read. While they are not, the peer is held up.
    fn wants_input(&self, _link: Link) -> bool {
        true
    }

    /// Whether the peer on a link waits for answers, and takes longer over one than it takes to make: after a pause, what answers
    /// the beginning of what it says is sent before the rest is handed over, so that the peer works on the first answers while
    /// the others are made. [`Engine::handle`] makes them.
    fn is_awaited(&self, _link: Link) -> bool {
        false
    }

    /// The commands it has beside the common ones; asked once. One of these may be `exit`, which is then its to answer.
    fn commands(&self) -> Vec<Command> {
        Vec::new()
    }

    /// What it keeps, for `memory/show`.
    fn memory_usage(&self, _usage: &mut Usage) {}

    /// The totals of its counters, for `coverage/show`.
    fn counters(&self, _visit: &mut dyn FnMut(&str, u64)) {}
}

/// The signals that end a daemon in good order.
const ENDING_SIGNALS: [i32; 3] = [libc::SIGTERM, libc::SIGINT, libc::SIGHUP];
/// Read at most this much from one link before other work gets its turn.
const READ_BUDGET_BYTES: usize = 4 << 20;
const READ_BUFFER_BYTES: usize = 64 << 10;
/// How much of what a peer says that waits for answers is answered first: two or three of a switch's short packets.
const FIRST_BYTES: usize = 1 << 10;
/// A peer that has said nothing for so long is not in the middle of something.
const PAUSE: Duration = Duration::from_micros(30);
/// An engine whose timeout has passed is asked again no sooner than this.
const SHORTEST_SLEEP: Duration = Duration::from_millis(1);
/// A turn that takes longer is worth a warning: probes of peers go unanswered meanwhile.
const LONG_TURN: Duration = Duration::from_secs(1);
/// Processor time, of which the kernel has to be asked, is read no oftener than this; what is told of a long turn may be so
/// much too much.
const CPU_CLOCK_INTERVAL: Duration = Duration::from_millis(10);
/// How long the last answers may take to be sent.
const FAREWELL: Duration = Duration::from_secs(1);

impl Daemon {
    /// Runs `engine` until it exits, on a runtime of this thread. Opens the control socket, tells the parent that the
    /// daemon serves once the engine has made its first step, and removes pidfile and socket in the end.
    ///
    /// If the engine panics, the process aborts after removing them, so that a monitor restarts it.
    pub fn run<E: Engine>(mut self, engine: E) -> ExitCode {
        let outcome = catch_unwind(AssertUnwindSafe(|| self.run_on_runtime(engine)));
        self.remove_pidfile();
        match outcome {
            Ok(Ok(code)) => ExitCode::from(code),
            Ok(Err(error)) => {
                self.logger().emer("daemon", &error.to_string());
                ExitCode::FAILURE
            }
            Err(_) if self.owns_process() => std::process::abort(),
            Err(panic) => resume_unwind(panic),
        }
    }

    fn run_on_runtime<E: Engine>(&mut self, engine: E) -> io::Result<u8> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        // The loop shares its thread with nobody, and keeps its own measure of what one link may take.
        runtime.block_on(tokio::task::unconstrained(async { Loop::new(self, engine)?.run().await }))
    }
}

/// The signals of these numbers as they come. They have a task each, so that the loop asks about one thing instead of all.
fn ending_signals(numbers: &[i32]) -> io::Result<UnboundedReceiver<i32>> {
    let (sender, receiver) = unbounded_channel();
    for &number in numbers {
        let (mut signal, sender) = (signal(SignalKind::from_raw(number))?, sender.clone());
        tokio::spawn(async move { while signal.recv().await.is_some() && sender.send(number).is_ok() {} });
    }
    Ok(receiver)
}

struct Loop<'d, E> {
    daemon: &'d mut Daemon,
    engine: E,
    clock: Clock,
    tls: Tls,
    links: Vec<(Link, LinkIo)>,
    failures: Failures,
    control: Option<Server>,
    signals: UnboundedReceiver<i32>,
    timer: Pin<Box<Sleep>>,
    buffer: Vec<u8>,
    coverage: Coverage,
    stopwatches: Stopwatches,
    stopwatch: String,
    growth: GrowthWatch,
    thrift: Thrift,
    /// When the present turn began.
    awake: StdInstant,
    /// Processor time, and when it was read.
    cpu: (StdInstant, Duration),
    /// Whether `exit` is the engine's to answer.
    engine_exits: bool,
    /// The `exit` commands that are answered when the end has come.
    exiting: Vec<CommandId>,
    /// What the engine has been told to end for.
    stopping: Option<Stop>,
    exit: Option<u8>,
}

/// Why a turn begins.
#[derive(Clone, Copy, Debug, Default)]
struct Woken {
    input: bool,
    timer: bool,
    /// A link has taken what waited: the engine may have held back more.
    room: bool,
    /// There was more than one turn may take.
    more: bool,
}

impl<'d, E: Engine> Loop<'d, E> {
    fn new(daemon: &'d mut Daemon, engine: E) -> io::Result<Self> {
        let mut registry = Registry::common();
        let commands = engine.commands();
        for command in &commands {
            registry.add(*command);
        }
        let control = match daemon.control_path() {
            None => None,
            Some(path) => {
                let failed = |error: io::Error| {
                    let what = format!(
                        "{}: could not initialize control socket ({})",
                        path.display(),
                        plain(&error)
                    );
                    io::Error::other(what)
                };
                Some(Server::bind(&path, registry).map_err(failed)?)
            }
        };
        let signals = ending_signals(if daemon.owns_process() { &ENDING_SIGNALS } else { &[] })?;
        let clock = Clock::new();
        let now = clock.now().at;
        let stopwatch = format!("{}-loop", daemon.program().name);
        let mut stopwatches = Stopwatches::default();
        stopwatches.register(&stopwatch);
        let mut tls = Tls::new(daemon.options().tls.settings());
        tls.examine();
        let mut this = Loop {
            daemon,
            engine,
            clock,
            tls,
            links: Vec::new(),
            failures: Failures::default(),
            control,
            signals,
            timer: Box::pin(tokio::time::sleep(Duration::ZERO)),
            buffer: vec![0; READ_BUFFER_BYTES],
            coverage: Coverage::new(now),
            stopwatches,
            stopwatch,
            growth: GrowthWatch::new(now),
            thrift: Thrift::new(now),
            awake: StdInstant::now(),
            cpu: (StdInstant::now(), process::cpu_time()),
            engine_exits: commands.iter().any(|command| command.name == unixctl::EXIT),
            exiting: Vec::new(),
            stopping: None,
            exit: None,
        };
        this.observe();
        Ok(this)
    }

    async fn run(mut self) -> io::Result<u8> {
        let mut woken = Woken { input: true, ..Woken::default() };
        loop {
            coverage::LOOP_WAKEUPS.inc();
            self.turn(woken);
            if let Some(code) = self.exit {
                self.farewell().await;
                return Ok(code);
            }
            self.daemon.ready();
            self.judge();
            self.set_timer();
            if woken.more {
                // The kernel is asked about the other sockets and the time only when the loop would wait.
                tokio::task::yield_now().await;
            }
            woken = poll_fn(|cx| self.poll_inputs(cx)).await;
        }
    }

    /// Lets the engine work on what came, and takes what it wants.
    fn turn(&mut self, woken: Woken) {
        let now = self.clock.now();
        if woken.timer && !woken.input {
            coverage::LOOP_TIMEOUTS.inc();
        }
        if woken.input || woken.timer || woken.room {
            self.engine.step(now);
        }
        self.keep_house(now);
        while let Some(output) = self.engine.poll_output(now) {
            self.obey(output);
        }
        for (link, io) in &mut self.links {
            transmit(&mut self.engine, *link, io);
        }
    }

    fn obey(&mut self, output: Output) {
        match output {
            Output::Connect { link, remote } => {
                let run_dir = &self.daemon.dirs().ovs_run;
                match self.links.iter_mut().find(|(known, _)| *known == link) {
                    Some((_, io)) => io.reopen(remote, run_dir, &mut self.tls),
                    None => self.links.push((link, LinkIo::open(remote, run_dir, &mut self.tls))),
                }
            }
            Output::Close { link } => self.links.retain(|(known, _)| *known != link),
            Output::Reply { id, reply } => self.reply(id, &reply.into()),
            Output::SetTls(settings) => self.tls.set(*settings),
            Output::Exit(code) => self.exit = Some(code),
        }
    }

    fn reply(&mut self, id: CommandId, reply: &Reply) {
        if let Some(control) = &mut self.control {
            control.reply(id, reply);
        }
    }

    /// Counters' rates, free memory, and the watch on memory.
    fn keep_house(&mut self, now: Now) {
        self.thrift.note(now.at, coverage::STREAM_RECEIVED_BYTES.total());
        if self.thrift.due().is_some_and(|due| due <= now.at) {
            let start = StdInstant::now();
            crate::sys::release_free_memory();
            self.thrift.done(now.at, start.elapsed(), process::memory().resident_kb);
        }
        if now.at < self.coverage.next_tick() {
            return;
        }
        self.observe();
        self.coverage.tick(now.at);
        if let Some(line) = self.growth.check(now.at, process::memory().peak_resident_kb) {
            info!(target: "memory", "{line}");
            let usage = self.memory_usage();
            if !usage.is_empty() {
                info!(target: "memory", "{usage}");
            }
        }
    }

    fn observe(&mut self) {
        for counter in coverage::SHELL {
            self.coverage.observe(counter.name(), counter.total());
        }
        let coverage = &mut self.coverage;
        self.engine.counters(&mut |name, total| coverage.observe(name, total));
    }

    fn memory_usage(&self) -> String {
        let mut usage = Usage::default();
        self.engine.memory_usage(&mut usage);
        usage.show()
    }

    /// Records how long a turn took.
    fn judge(&mut self) {
        let took = self.awake.elapsed();
        self.stopwatches.record(&self.stopwatch, took);
        if took >= LONG_TURN {
            let cpu = process::cpu_time().saturating_sub(self.cpu.1);
            warn!(target: "poll_loop", rl = 60, "Unreasonably long {}ms poll interval ({}ms of processor time)",
                took.as_millis(), cpu.as_millis());
        }
    }

    fn set_timer(&mut self) {
        let now = self.clock.now().at;
        let due = self.engine.poll_timeout().unwrap_or(Instant::FAR_FUTURE);
        let due = due.min(self.thrift.due().unwrap_or(Instant::FAR_FUTURE));
        let due = due.max(now + SHORTEST_SLEEP).min(self.coverage.next_tick());
        if let Some(deadline) = self.clock.deadline(due) {
            self.timer.as_mut().reset(deadline);
        }
    }

    /// Hands the engine all that is there; ready when that was something, or its time has come.
    fn poll_inputs(&mut self, cx: &mut Context<'_>) -> Poll<Woken> {
        self.wake();
        let mut woken = Woken::default();
        let mut room = self.poll_signals(cx, &mut woken);
        for at in 0..self.links.len() {
            room |= self.poll_link(at, cx, &mut woken);
        }
        while let Some(control) = &mut self.control
            && let Poll::Ready(call) = control.poll_call(cx)
        {
            self.take_call(call, &mut woken);
            room = true;
            if self.awake.elapsed() >= LONG_TURN {
                woken.more = true;
                break;
            }
        }
        if self.timer.as_mut().poll(cx).is_ready() {
            woken.timer = true;
        }
        woken.room = room;
        if woken.input || woken.timer || woken.room { Poll::Ready(woken) } else { Poll::Pending }
    }

    fn wake(&mut self) {
        self.awake = StdInstant::now();
        if self.awake.saturating_duration_since(self.cpu.0) >= CPU_CLOCK_INTERVAL {
            self.cpu = (self.awake, process::cpu_time());
        }
    }

    fn poll_signals(&mut self, cx: &mut Context<'_>, woken: &mut Woken) -> bool {
        let mut came = None;
        while let Poll::Ready(Some(number)) = self.signals.poll_recv(cx) {
            came = Some(number);
        }
        let Some(number) = came else { return false };
        self.daemon.stopped_by(number);
        if let Some(Stop::Signal(_)) = self.stopping {
            // Whoever sends a second one does not want to wait any longer.
            self.exit = Some(128u8.wrapping_add(number as u8));
            return true;
        }
        self.stop(Stop::Signal(number));
        woken.input = true;
        true
    }

    fn stop(&mut self, stop: Stop) {
        self.stopping = Some(stop);
        let now = self.clock.now();
        self.engine.handle(now, Input::Stop(stop));
    }

    /// Hands over what comes on one link; whether there is now room to send.
    fn poll_link(&mut self, at: usize, cx: &mut Context<'_>, woken: &mut Woken) -> bool {
        let mut room = false;
        let mut budget = READ_BUDGET_BYTES;
        let mut has_read = false;
        while let Some((link, io)) = self.links.get_mut(at) {
            let link = *link;
            let wants_input = budget > 0 && self.engine.wants_input(link);
            let buffer = wants_input.then_some(&mut self.buffer[..]);
            let Poll::Ready(event) = io.poll(cx, &mut self.tls, buffer, &mut self.failures) else {
                // What comes while the last is worked on continues it.
                if wants_input && !has_read {
                    io.still_since.get_or_insert(self.awake);
                }
                break;
            };
            let now = self.clock.now();
            match event {
                Event::Up => self.engine.handle(now, Input::Up { link }),
                Event::Read(len) => {
                    has_read = true;
                    let was_still = io.still_since.take();
                    let paused =
                        was_still.is_some_and(|since| self.awake.saturating_duration_since(since) >= PAUSE);
                    let mut bytes = &self.buffer[..len];
                    if paused && len > FIRST_BYTES && self.engine.is_awaited(link) {
                        let (first, rest) = bytes.split_at(FIRST_BYTES);
                        self.engine.handle(now, Input::Bytes { link, bytes: first });
                        transmit(&mut self.engine, link, io);
                        // What goes wrong is told of when there is nothing more to read.
                        let _ = io.poll_flush(cx);
                        bytes = rest;
                    }
                    self.engine.handle(now, Input::Bytes { link, bytes });
                    budget = budget.saturating_sub(len);
                    woken.more |= budget == 0;
                }
                Event::Down(reason) => self.engine.handle(now, Input::Down { link, reason: &reason }),
                Event::Room => {
                    room = true;
                    continue;
                }
            }
            woken.input = true;
        }
        room
    }

    fn take_call(&mut self, call: unixctl::Call, woken: &mut Woken) {
        let now = self.clock.now();
        if call.name == unixctl::EXIT && !self.engine_exits {
            self.exiting.push(call.id);
            if self.stopping.is_none() {
                self.stop(Stop::Command);
            }
            woken.input = true;
            return;
        }
        self.observe();
        let memory = self.memory_usage();
        let Some(control) = &mut self.control else { return };
        let mut builtins = Builtins {
            version: self.daemon.program().version_text(),
            registry: control.registry(),
            logger: self.daemon.logger(),
            coverage: &self.coverage,
            stopwatches: &mut self.stopwatches,
            memory,
        };
        if let Some(reply) = unixctl::answer(&mut builtins, call.name, &call.args) {
            control.reply(call.id, &reply);
        } else {
            self.engine.handle(now, Input::Command { id: call.id, name: call.name, args: &call.args });
            woken.input = true;
        }
    }

    /// Sends what is still to be said, for as long as that may take.
    async fn farewell(&mut self) {
        for id in std::mem::take(&mut self.exiting) {
            self.reply(id, &Reply::Text(String::new()));
        }
        let (links, control) = (&mut self.links, &mut self.control);
        let flush = poll_fn(|cx| {
            let mut pending = control.as_mut().is_some_and(|control| control.poll_flush(cx).is_pending());
            for (_, io) in links.iter_mut().filter(|(_, io)| io.has_output()) {
                pending |= io.poll_flush(cx).is_pending();
            }
            if pending { Poll::Pending } else { Poll::Ready(()) }
        });
        // A peer that does not read holds nobody up.
        let _ = tokio::time::timeout(FAREWELL, flush).await;
    }
}

/// Takes over what the engine has to send on a link, as far as there is room.
fn transmit(engine: &mut impl Engine, link: Link, io: &mut LinkIo) {
    while io.wants_output()
        && let Some(bytes) = engine.poll_transmit(link)
    {
        io.send(bytes);
    }
}
