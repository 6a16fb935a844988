//! A process that serves in the background: options, detaching, the pidfile, the monitor that restarts it.

mod background;
mod mistake;
mod options;
mod pidfile;
mod signals;
mod user;

use std::io;
use std::path::{Path, PathBuf};

use background::{Fate, Ready};
pub use options::{
    ACTIVE_METHODS, CommonOptions, ControlOptions, DaemonOptions, LogOptions, PASSIVE_METHODS, parse,
    parse_tool,
};
pub use pidfile::{Pidfile, PidfileError, read_pid};
pub use signals::signal_name;
pub use user::UserError;

use crate::dirs::{Dirs, Family};
use crate::vlog::{Level, LogError, Logger, SyslogMethodError};

/// What a daemon is called and what it tells about itself.
#[derive(Clone, Copy, Debug)]
pub struct Program {
    /// Names the pidfile, the control socket and the log: `ovn-northd`, also when it runs as `kiln northd`.
    pub name: &'static str,
    /// Whose run directory it uses.
    pub family: Family,
    /// What stands behind the name in the answers to `--version` and `version`; may have several lines, and no newline
    /// at the end.
    pub version: &'static str,
    /// Further lines of the answer to `--version` alone, such as a schema's version; may be empty.
    pub details: &'static str,
    /// Modules that its log knows from the start, beside [`crate::vlog::MODULES`]: words with space between them.
    pub modules: &'static str,
}

impl Program {
    /// The answer to `version`: stock's first line is the name and version, the second the library's.
    pub fn version_text(&self) -> String {
        format!("{} {}", self.name, self.version)
    }
}

/// Why a daemon cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// `-v` has a wrong argument.
    #[error("processing \"{spec}\": {error}")]
    Verbosity {
        /// The argument.
        spec: String,
        /// What is wrong with it.
        error: LogError,
    },
    /// `--syslog-method` has a wrong argument.
    #[error(transparent)]
    SyslogMethod(#[from] SyslogMethodError),
    /// `--syslog-target` has a wrong argument.
    #[error("--syslog-target: expected IP:PORT, got \"{0}\"")]
    SyslogTarget(String),
    /// The file of `--log-file` cannot be opened; the console and syslog have been told why.
    #[error("the log file cannot be opened: {0}")]
    LogFile(LogError),
    /// `--user` cannot be followed.
    #[error(transparent)]
    User(#[from] UserError),
    /// The pidfile cannot be had.
    #[error(transparent)]
    Pidfile(#[from] PidfileError),
    /// The process cannot be split.
    #[error("could not start in the background: {0}")]
    Fork(io::Error),
    /// This process has a log already: only one daemon fits into a process.
    #[error("logging is set up already")]
    Logging,
}

/// Which process [`start`] has returned in.
#[derive(Debug)]
pub enum Started {
    /// The one that is to serve.
    Daemon(Daemon),
    /// One that has done its part: the parent of a daemon that now serves, or of one that could not start, or its
    /// monitor. It should exit with this code and do nothing else.
    Done(u8),
}

/// A started daemon: what it holds until it ends.
#[derive(Debug)]
pub struct Daemon {
    program: Program,
    dirs: Dirs,
    logger: Logger,
    options: CommonOptions,
    ready: Option<Ready>,
    pidfile: Option<Pidfile>,
    owns_process: bool,
}

/// Sets up the log, changes the user, splits off the background process, and writes the pidfile, as `options` ask.
///
/// Call it before anything starts a thread. Returns in every process that comes of it; a parent returns only when its
/// child called [`Daemon::ready`] or failed.
pub fn start(program: Program, dirs: Dirs, options: CommonOptions) -> Result<Started, StartError> {
    let logger = Logger::new(program.name, program.modules);
    set_up_log(&program, &dirs, &logger, &options.log)?;
    let result = start_logged(program, dirs, options, &logger);
    if let Err(error) = &result {
        // The caller tells whoever started it; the log file is read later by somebody else.
        let _ = logger.apply("console:off");
        logger.emer("daemon", &error.to_string());
    }
    result
}

fn start_logged(
    program: Program,
    dirs: Dirs,
    options: CommonOptions,
    logger: &Logger,
) -> Result<Started, StartError> {
    crate::sys::let_crashes_kill();
    let daemon = &options.daemon;
    if let Some(user) = &daemon.user {
        user::switch(user, logger)?;
    }
    let ready = match background::split(daemon.detach, daemon.monitor, logger).map_err(StartError::Fork)? {
        Fate::Daemon(ready) => ready,
        Fate::Done(code) => return Ok(Started::Done(code)),
    };
    let pidfile = match &daemon.pidfile {
        None => None,
        Some(path) => {
            let path = pidfile_path(&program, &dirs, path.as_deref());
            Some(Pidfile::create(&path, daemon.overwrite_pidfile)?)
        }
    };
    logger.install().map_err(|_| StartError::Logging)?;
    Ok(Started::Daemon(Daemon {
        program,
        dirs,
        logger: logger.clone(),
        options,
        ready,
        pidfile,
        owns_process: true,
    }))
}

fn set_up_log(
    program: &Program,
    dirs: &Dirs,
    logger: &Logger,
    options: &LogOptions,
) -> Result<(), StartError> {
    for spec in &options.verbose {
        logger.apply(spec).map_err(|error| StartError::Verbosity { spec: spec.clone(), error })?;
    }
    let environment = std::env::var("OVS_SYSLOG_METHOD").ok().filter(|method| !method.is_empty());
    if let Some(method) = options.syslog_method.as_ref().or(environment.as_ref()) {
        logger.set_syslog_method(method.parse()?);
    }
    if let Some(target) = &options.syslog_target {
        let address = target.parse().map_err(|_| StartError::SyslogTarget(target.clone()))?;
        logger.add_syslog_target(address);
    }
    if let Some(path) = &options.log_file {
        let path = path.clone().unwrap_or_else(|| options::default_log_file(program, dirs));
        logger.set_log_file(std::path::absolute(&path).unwrap_or(path)).map_err(StartError::LogFile)?;
    }
    Ok(())
}

/// The pidfile that `--pidfile[=FILE]` means.
fn pidfile_path(program: &Program, dirs: &Dirs, path: Option<&Path>) -> PathBuf {
    let dir = dirs.run(program.family);
    path.map_or_else(|| dir.join(format!("{}.pid", program.name)), |path| dir.join(path))
}

impl Daemon {
    /// A daemon inside a process that is not its own: it forks nothing, writes no pidfile, logs nothing, leaves signals
    /// alone, and its panics are its owner's.
    pub fn in_process(program: Program, dirs: Dirs, options: CommonOptions) -> Daemon {
        let logger = Logger::new(program.name, program.modules);
        Daemon { program, dirs, logger, options, ready: None, pidfile: None, owns_process: false }
    }

    pub(crate) fn owns_process(&self) -> bool {
        self.owns_process
    }

    /// What this daemon is called.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The directories it uses.
    pub fn dirs(&self) -> &Dirs {
        &self.dirs
    }

    /// Its log.
    pub fn logger(&self) -> &Logger {
        &self.logger
    }

    /// The options it was started with.
    pub fn options(&self) -> &CommonOptions {
        &self.options
    }

    /// Where its control socket goes; `None` if `--unixctl=none` forbids one.
    pub fn control_path(&self) -> Option<PathBuf> {
        let dir = self.dirs.run(self.program.family);
        match self.options.control.unixctl.as_deref() {
            None => Some(dir.join(format!("{}.{}.ctl", self.program.name, std::process::id()))),
            Some(path) if path == Path::new("none") => None,
            Some(path) => Some(dir.join(path)),
        }
    }

    /// Tells the waiting parent that the daemon serves and, if it runs in the background, lets go of the terminal and
    /// the working directory. Further calls do nothing.
    pub fn ready(&mut self) {
        let Some(ready) = self.ready.take() else { return };
        ready.notify();
        if self.options.daemon.detach {
            background::leave_terminal(&self.logger, !self.options.daemon.no_chdir);
        }
    }

    /// Logs why the daemon stops serving, and removes its pidfile.
    pub(crate) fn stopped_by(&mut self, signal: i32) {
        let name = signal_name(signal);
        self.logger.log("fatal_signal", Level::Warn, &format!("terminating with signal {signal} ({name})"));
    }

    /// Removes the pidfile ahead of an end that runs no destructors.
    pub(crate) fn remove_pidfile(&mut self) {
        self.pidfile = None;
    }
}
