//! Daemons: started in a namespace, watched, stopped, started again.

use crate::Error;
use crate::command;
use crate::error::Context;
use crate::namespace::Namespace;
use crate::state::State;
use crate::wait::Deadline;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::fmt;
use std::fs::{self, OpenOptions};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::str::FromStr;
use std::time::Duration;

/// A process, told apart from a later one of the same number by when it started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ProcessId {
    pid: i32,
    /// Clock ticks since the machine started: the 22nd field of `/proc/PID/stat` (proc(5)).
    start: u64,
}

impl ProcessId {
    /// The process that has this number now; none if there is none, or it ended and waits for its parent.
    pub(crate) fn of(pid: i32) -> Option<ProcessId> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The second field is in parentheses and may hold anything.
        let (_, rest) = stat.rsplit_once(") ")?;
        let mut fields = rest.split(' ');
        let state = fields.next()?;
        let start = fields.nth(18)?.parse().ok()?;
        (state != "Z" && state != "X").then_some(ProcessId { pid, start })
    }

    pub(crate) fn is_alive(self) -> bool {
        ProcessId::of(self.pid) == Some(self)
    }

    pub(crate) fn kill(self) {
        self.signal(Signal::KILL);
    }

    /// Sends a signal, unless the number belongs to another process by now.
    pub(crate) fn signal(self, signal: Signal) {
        let Some(pid) = Pid::from_raw(self.pid) else { return };
        // The handle is opened before the check, so that it cannot change its meaning after it.
        if let Ok(handle) = pidfd_open(pid, PidfdFlags::empty())
            && self.is_alive()
        {
            let _ = pidfd_send_signal(handle, signal);
        }
    }
}

impl fmt::Display for ProcessId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.pid, self.start)
    }
}

impl FromStr for ProcessId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (pid, start) = text.split_once(' ').ok_or(())?;
        Ok(ProcessId { pid: pid.parse().map_err(drop)?, start: start.parse().map_err(drop)? })
    }
}

/// A daemon of the sandbox.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    namespace: Namespace,
    recipe: Recipe,
    child: Option<Child>,
    id: Option<ProcessId>,
}

/// How a daemon is started, as often as it is.
#[derive(Debug)]
pub(crate) struct Recipe {
    pub(crate) command: Command,
    /// Takes what the daemon writes to its standard output and error.
    pub(crate) output: PathBuf,
    /// The daemon's own log.
    pub(crate) log: PathBuf,
    /// The sockets that are there when it serves.
    pub(crate) sockets: Vec<PathBuf>,
}

impl Daemon {
    /// Starts a daemon without waiting for it.
    pub(crate) fn start(
        state: &State,
        name: impl Into<String>,
        namespace: &Namespace,
        recipe: Recipe,
    ) -> Result<Daemon, Error> {
        let mut daemon =
            Daemon { name: name.into(), namespace: namespace.clone(), recipe, child: None, id: None };
        daemon.spawn(state)?;
        Ok(daemon)
    }

    fn spawn(&mut self, state: &State) -> Result<(), Error> {
        for socket in &self.recipe.sockets {
            let _ = fs::remove_file(socket);
        }
        let name = &self.name;
        let output = OpenOptions::new().create(true).append(true).open(&self.recipe.output);
        let output = output.context(|| format!("opening {}", self.recipe.output.display()))?;
        let errors = output.try_clone().context(|| format!("starting {name}"))?;
        let command = &mut self.recipe.command;
        // A group of its own, so that Ctrl-C reaches the sandbox alone, which then stops its daemons in order.
        command.stdin(Stdio::null()).stdout(output).stderr(errors).process_group(0);
        let child = self.namespace.enter(|| {
            let child = command.spawn();
            child.context(|| format!("starting {name} (`{}`)", command::line(command)))
        })?;
        let id = ProcessId::of(child.id() as i32);
        self.child = Some(child);
        self.id = id;
        id.map_or(Ok(()), |id| state.add_process(id))
    }

    /// Starts it again after it was stopped or killed, and waits until it serves.
    pub(crate) fn restart(&mut self, state: &State, deadline: Deadline) -> Result<(), Error> {
        self.spawn(state)?;
        self.wait_ready(deadline)
    }

    /// What the sandbox calls it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.id.filter(|id| id.is_alive()).map(|id| id.pid as u32)
    }

    /// The file that it logs to.
    pub fn log_path(&self) -> &Path {
        &self.recipe.log
    }

    /// Waits until the daemon's sockets are there.
    pub(crate) fn wait_ready(&mut self, deadline: Deadline) -> Result<(), Error> {
        let what = format!("{} to serve", self.name);
        deadline.until(&what, || {
            self.check()?;
            Ok(self.recipe.sockets.iter().all(|socket| socket.exists()).then_some(()))
        })
    }

    /// Fails if the daemon ended on its own.
    pub(crate) fn check(&mut self) -> Result<(), Error> {
        let Some(child) = &mut self.child else { return Ok(()) };
        let status = child.try_wait().context(|| format!("watching {}", self.name))?;
        let Some(status) = status else { return Ok(()) };
        self.child = None;
        let (name, log) = (self.name.clone(), self.log_tail());
        Err(Error::Died { name, status: status.to_string(), log })
    }

    /// The last lines that it wrote.
    pub(crate) fn log_tail(&self) -> String {
        let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
        let text = format!("{}{}", read(&self.recipe.output), read(&self.recipe.log));
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }

    /// Kills it without warning and waits until it is gone.
    pub fn kill(&mut self) -> Result<(), Error> {
        self.end(Signal::KILL)
    }

    /// Asks it to end and waits until it is gone; one that does not go in 10 s is killed.
    pub fn stop(&mut self) -> Result<(), Error> {
        self.end(Signal::TERM)
    }

    fn end(&mut self, signal: Signal) -> Result<(), Error> {
        let Some(id) = self.id.take() else { return Ok(()) };
        id.signal(signal);
        let what = format!("{} to end", self.name);
        let (name, child) = (&self.name, &mut self.child);
        // A child is gone when it can be waited for: a thread that still ends may hold its interfaces open.
        let mut gone = || match child {
            Some(child) => {
                let status = child.try_wait().context(|| format!("watching {name}"))?;
                Ok(status.map(drop))
            }
            None => Ok((!id.is_alive()).then_some(())),
        };
        let polite = Deadline::after(Duration::from_secs(10)).until(&what, &mut gone);
        if polite.is_err() {
            id.kill();
            Deadline::after(Duration::from_secs(5)).until(&what, &mut gone)?;
        }
        self.child = None;
        Ok(())
    }
}
