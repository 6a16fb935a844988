//! The log: what passes, what it looks like, and where it goes, under the names and in the form that Open vSwitch's
//! tools and scripts know.
//!
//! Code logs through `tracing`. An event's *module* is its target, or the crate's name (less `kiln_`) if the target is
//! a path. A field `rl = N` holds one log statement to N messages a minute; statements that do not say are held to
//! [`DEFAULT_PER_MINUTE`], except those of level DEBUG. The field `message` is the text; others follow as `name=value`.

mod layer;
mod level;
mod log_file;
mod modules;
mod pattern;
mod rate_limit;
mod spec;
mod syslog;

use std::cell::Cell;
use std::fmt::Write;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kiln_types::HashMap;
use tracing::callsite::Identifier;

use crate::clock::Clock;
use crate::coverage;
pub use level::{Destination, Facility, Level};
use log_file::LogFile;
use modules::{ModuleId, Modules};
use pattern::Record;
use rate_limit::{RateLimit, Verdict};
pub use spec::{Spec, SpecError};
use syslog::Syslog;
pub use syslog::{SyslogMethod, SyslogMethodError};

/// Messages a minute of one log statement that names no rate of its own.
pub const DEFAULT_PER_MINUTE: u32 = 1000;

/// Modules of this crate.
pub const MODULES: &[&str] =
    &["daemon", "fatal_signal", "memory", "poll_loop", "stream", "stream_ssl", "unixctl", "vlog"];

const CONSOLE_PATTERN: &str = "%D{%Y-%m-%dT%H:%M:%SZ}|%05N|%c%T|%p|%m";
const FILE_PATTERN: &str = "%D{%Y-%m-%dT%H:%M:%S.###Z}|%05N|%c%T|%p|%m";
const SYSLOG_PATTERN: &str = "ovs|%05N|%c%T|%p|%m";

/// A request about the log that cannot be met.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The argument of `vlog/set` or `-v` is wrong.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// The argument of `vlog/enable-rate-limit` or its opposite names no module.
    #[error("unknown module")]
    UnknownModule,
    /// `vlog/reopen` without `--log-file`.
    #[error("Logging to file not configured")]
    NoLogFile,
    /// The log file cannot be opened.
    #[error("{}", crate::errno::plain(.0))]
    Open(io::Error),
}

/// A handle on the log of this process; clones share it.
#[derive(Clone, Debug)]
pub struct Logger {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    program: String,
    host: String,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    modules: Modules,
    /// Indexed by [`Destination`].
    patterns: [String; 3],
    facility: Facility,
    file: Option<LogFile>,
    /// The daemon of this machine, and others that `--syslog-target` names.
    syslogs: Vec<Syslog>,
    subprogram: Option<&'static str>,
    callsites: HashMap<Identifier, Callsite>,
    /// The line being put together.
    line: String,
}

/// What is remembered of a log statement.
#[derive(Debug)]
struct Callsite {
    module: ModuleId,
    limit: Option<RateLimit>,
}

thread_local! {
    static SERIAL: Cell<u32> = const { Cell::new(0) };
}

impl Logger {
    /// A log that tells of `program`, with this crate's modules and those that `modules` has, a word each, known, every
    /// level at INFO, no file.
    pub fn new(program: &str, modules: &str) -> Self {
        let mut names: Vec<&str> = MODULES.to_vec();
        names.extend(modules.split_whitespace());
        let patterns = [CONSOLE_PATTERN, SYSLOG_PATTERN, FILE_PATTERN].map(str::to_owned);
        let state = State {
            modules: Modules::new(&names),
            patterns,
            facility: Facility::DAEMON,
            file: None,
            syslogs: vec![Syslog::new(SyslogMethod::Libc)],
            subprogram: None,
            callsites: HashMap::default(),
            line: String::new(),
        };
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let shared =
            Shared { program: program.to_owned(), host, clock: Clock::new(), state: Mutex::new(state) };
        Logger { shared: Arc::new(shared) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held can have cut off a line, nothing worse.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies one specification, as of `-v` or `vlog/set`.
    pub fn apply(&self, text: &str) -> Result<(), LogError> {
        let mut state = self.state();
        match Spec::parse(text, |word| state.modules.find(word).is_some())? {
            Spec::Level { module, destination, level } => {
                let module = module.and_then(|name| state.modules.find(&name));
                state.modules.set_level(module, destination, level);
                drop(state);
                tracing::callsite::rebuild_interest_cache();
            }
            Spec::Pattern { destination, pattern } => {
                for at in Destination::ALL.into_iter().filter(|at| destination.is_none_or(|d| d == *at)) {
                    state.patterns[at as usize].clone_from(&pattern);
                }
            }
            Spec::Facility(facility) => state.facility = facility,
        }
        Ok(())
    }

    /// Starts to log into the file at `path`, in place of an earlier one.
    pub fn set_log_file(&self, path: PathBuf) -> Result<(), LogError> {
        self.state().file = Some(LogFile::new(path));
        self.reopen()
    }

    /// Opens the log file again, as after a rotation.
    pub fn reopen(&self) -> Result<(), LogError> {
        let mut state = self.state();
        let file = state.file.as_mut().ok_or(LogError::NoLogFile)?;
        let opened = file.reopen();
        let path = file.path().display().to_string();
        match opened {
            Ok(()) => {
                self.note(&mut state, Level::Info, &format!("opened log file {path}"));
                Ok(())
            }
            Err(error) => {
                let message = format!("failed to open {path} for logging: {}", crate::errno::plain(&error));
                self.note(&mut state, Level::Warn, &message);
                Err(LogError::Open(error))
            }
        }
    }

    /// Closes the log file, if one is open; [`Logger::reopen`] opens it again.
    pub fn close(&self) {
        if let Some(file) = &mut self.state().file {
            file.close();
        }
    }

    /// Gives the log file to another owner.
    pub(crate) fn chown(&self, uid: u32, gid: u32) -> io::Result<()> {
        self.state().file.as_ref().map_or(Ok(()), |file| file.chown(uid, gid))
    }

    /// Sends syslog messages by `method` from now on.
    pub fn set_syslog_method(&self, method: SyslogMethod) {
        if let Some(first) = self.state().syslogs.first_mut() {
            *first = Syslog::new(method);
        }
    }

    /// Sends syslog messages to a daemon at `to` as well.
    pub fn add_syslog_target(&self, to: std::net::SocketAddr) {
        self.state().syslogs.push(Syslog::new(SyslogMethod::Udp(to)));
    }

    /// Holds the modules named, or all if none is, to their rate limits, or lets them go.
    pub fn set_rate_limits<'a>(
        &self,
        modules: impl IntoIterator<Item = &'a str>,
        honoured: bool,
    ) -> Result<(), LogError> {
        let mut state = self.state();
        let mut named = false;
        for name in modules {
            named = true;
            let module = if name.eq_ignore_ascii_case("any") {
                None
            } else {
                Some(state.modules.find(name).ok_or(LogError::UnknownModule)?)
            };
            state.modules.set_rate_limits(module, honoured);
        }
        if !named {
            state.modules.set_rate_limits(None, honoured);
        }
        Ok(())
    }

    /// Names this process in its messages, as `monitor` is named; `None` for the daemon itself.
    pub(crate) fn set_subprogram(&self, name: Option<&'static str>) {
        self.state().subprogram = name;
    }

    /// The text of `vlog/list`.
    pub fn list(&self) -> String {
        self.state().modules.list()
    }

    /// The text of `vlog/list-pattern`.
    pub fn list_pattern(&self) -> String {
        let state = self.state();
        let mut out = String::from(
            "         prefix                            format\n         ------                            ------\n",
        );
        for (name, prefix, at) in [
            ("SYSLOG", syslog::PREFIX, Destination::Syslog),
            ("CONSOLE", "none", Destination::Console),
            ("FILE", "none", Destination::File),
        ] {
            let _ = writeln!(out, "{name:<7}  {prefix:<32}  {}", state.patterns[at as usize]);
        }
        out
    }

    /// Logs a message of the highest severity, which `tracing` has no level for.
    pub fn emer(&self, module: &str, message: &str) {
        let mut state = self.state();
        let module = state.modules.add(module);
        self.write(&mut state, module, Level::Emer, message);
    }

    /// Logs a message of this crate's without going through `tracing`: before it is set up, and where the lock is held.
    pub(crate) fn log(&self, module: &str, level: Level, message: &str) {
        let mut state = self.state();
        let module = state.modules.add(module);
        self.write(&mut state, module, level, message);
    }

    /// Logs an event of a log statement, within its rate limit.
    fn log_event(&self, callsite: Identifier, target: &str, level: Level, rate: Option<u32>, message: &str) {
        let mut state = self.state();
        let module = state.callsite(callsite.clone(), target);
        if state.modules.rate_limits(module) && (rate.is_some() || level < Level::Dbg) {
            let now = self.shared.clock.now().at;
            let per_minute = rate.unwrap_or(DEFAULT_PER_MINUTE);
            let limit = state
                .callsites
                .get_mut(&callsite)
                .map(|site| site.limit.get_or_insert_with(|| RateLimit::new(per_minute, now)));
            match limit.map(|limit| limit.check(now)) {
                Some(Verdict::Drop) => {
                    coverage::VLOG_RATE_LIMITED.inc();
                    return;
                }
                Some(Verdict::Pass(Some(dropped))) => {
                    self.write(&mut state, module, level, &dropped.to_string());
                }
                Some(Verdict::Pass(None)) | None => {}
            }
        }
        self.write(&mut state, module, level, message);
    }

    /// Logs as the module of the log itself, where the lock is held already.
    fn note(&self, state: &mut State, level: Level, message: &str) {
        let module = state.modules.add("vlog");
        self.write(state, module, level, message);
    }

    fn write(&self, state: &mut State, module: ModuleId, level: Level, message: &str) {
        if !state.modules.passes_any(module, level) {
            return;
        }
        let thread = std::thread::current();
        let State { modules, patterns, facility, file, syslogs, subprogram, line, .. } = state;
        let record = Record {
            program: &self.shared.program,
            host: &self.shared.host,
            module: modules.name(module),
            subprogram: subprogram
                .unwrap_or_else(|| thread.name().filter(|name| *name != "main").unwrap_or("")),
            level,
            message,
            wall_ms: crate::clock::wall_ms(),
            elapsed_ms: self.shared.clock.now().at.as_millis(),
            serial: SERIAL.with(|serial| serial.replace(serial.get().wrapping_add(1)).wrapping_add(1)),
            priority: facility.priority(level),
            pid: std::process::id(),
        };
        if modules.passes(module, Destination::Console, level) {
            put_line(line, &patterns[Destination::Console as usize], &record);
            count_lost(io::stderr().write_all(line.as_bytes()));
        }
        if modules.passes(module, Destination::File, level)
            && let Some(file) = file
        {
            put_line(line, &patterns[Destination::File as usize], &record);
            count_lost(file.write_line(line));
        }
        if modules.passes(module, Destination::Syslog, level) {
            for syslog in syslogs {
                let Some(prefix) = syslog.prefix() else { continue };
                line.clear();
                pattern::format(line, prefix, &record);
                pattern::format(line, &patterns[Destination::Syslog as usize], &record);
                syslog.send(line);
            }
        }
    }
}

impl State {
    /// The module of a log statement, remembered from its first use on.
    fn callsite(&mut self, callsite: Identifier, target: &str) -> ModuleId {
        if let Some(site) = self.callsites.get(&callsite) {
            return site.module;
        }
        let module = self.modules.add(module_of(target));
        self.callsites.insert(callsite, Callsite { module, limit: None });
        module
    }
}

fn put_line(line: &mut String, pattern: &str, record: &Record<'_>) {
    line.clear();
    pattern::format(line, pattern, record);
    line.push('\n');
}

fn count_lost(written: io::Result<()>) {
    if written.is_err() {
        coverage::VLOG_LOST.inc();
    }
}

/// The module that a `tracing` target stands for.
fn module_of(target: &str) -> &str {
    let krate = target.split_once("::").map_or(target, |(krate, _)| krate);
    krate.strip_prefix("kiln_").unwrap_or(krate)
}

#[cfg(test)]
mod tests;
