//! Splitting off the process that serves, telling its parent when it does, and restarting it after a crash.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{Pid, Resource, Rlimit, WaitOptions, WaitStatus, setrlimit, setsid, waitpid};

use super::signals::{RESTART_AFTER, signal_name};
use crate::sys::{Forked, fork};
use crate::vlog::{Level, Logger};

/// A daemon that crashes is started again at most this often.
const RESTART_INTERVAL: Duration = Duration::from_secs(10);

const MODULE: &str = "daemon";

/// What becomes of the process that asked to be split.
pub(crate) enum Fate {
    /// It serves, and says so through this if somebody waits for it.
    Daemon(Option<Ready>),
    /// It is done and exits with this code.
    Done(u8),
}

/// The daemon's end of the pipe at which its parent waits.
#[derive(Debug)]
pub(crate) struct Ready(File);

impl Ready {
    /// Lets the parent go.
    pub(crate) fn notify(mut self) {
        // A parent that was killed meanwhile has nobody to tell.
        let _ = self.0.write_all(&[0]);
    }
}

/// A child that was split off and either serves by now or has died.
enum Child {
    /// This process is the child.
    This(Ready),
    Serves(Pid),
    Died(Pid, WaitStatus),
}

/// Goes into the background, under a monitor, or both, as asked.
pub(crate) fn split(detach: bool, monitor: bool, logger: &Logger) -> io::Result<Fate> {
    let mut ready = None;
    if detach {
        match split_and_wait()? {
            Child::This(own) => ready = Some(own),
            Child::Serves(_) => return Ok(Fate::Done(0)),
            Child::Died(_, status) => return Ok(Fate::Done(failed_start(status, logger))),
        }
        setsid()?;
    }
    if monitor {
        match split_and_wait()? {
            Child::This(own) => ready = Some(own),
            Child::Died(_, status) => return Ok(Fate::Done(failed_start(status, logger))),
            Child::Serves(child) => {
                if let Some(ready) = ready {
                    ready.notify();
                }
                return watch(child, detach, logger);
            }
        }
    }
    Ok(Fate::Daemon(ready))
}

/// Forks, and in the parent waits until the child says that it serves, or dies.
fn split_and_wait() -> io::Result<Child> {
    let (read, write) = pipe_with(PipeFlags::CLOEXEC)?;
    let Forked::Parent { child } = fork()? else {
        drop(read);
        return Ok(Child::This(Ready(File::from(write))));
    };
    drop(write);
    if wait_for_byte(read) {
        return Ok(Child::Serves(child));
    }
    Ok(Child::Died(child, wait_for(child)?))
}

fn wait_for_byte(pipe: OwnedFd) -> bool {
    File::from(pipe).read_exact(&mut [0]).is_ok()
}

fn wait_for(child: Pid) -> io::Result<WaitStatus> {
    loop {
        match waitpid(Some(child), WaitOptions::empty()) {
            Ok(Some((_, status))) => return Ok(status),
            Ok(None) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// The code to exit with after a child that died before it served. One that exited has told why.
fn failed_start(status: WaitStatus, logger: &Logger) -> u8 {
    match status.exit_status() {
        Some(code) if code != 0 => u8::try_from(code).unwrap_or(1),
        _ => {
            let how = describe(status);
            logger.log(MODULE, Level::Err, &format!("fork child died before signaling startup ({how})"));
            1
        }
    }
}

/// The monitor's life: waits for the daemon to die and starts it again if a crash was the cause. Returns in a new
/// daemon, or, when there is nothing more to watch, in the monitor.
fn watch(mut child: Pid, detached: bool, logger: &Logger) -> io::Result<Fate> {
    logger.set_subprogram(Some("monitor"));
    if detached {
        leave_terminal(logger, true);
    }
    let mut crashes = 0u32;
    let mut last_restart: Option<Instant> = None;
    let mut dead = None;
    loop {
        let status = match dead.take() {
            Some(status) => status,
            None => {
                // The file may be rotated meanwhile, and the daemon's is not the monitor's to hold.
                logger.close();
                let status = wait_for(child)?;
                // There may be no file at all.
                let _ = logger.reopen();
                status
            }
        };
        let pid = child.as_raw_nonzero();
        let how = describe(status);
        if !status.terminating_signal().is_some_and(|signal| RESTART_AFTER.contains(&signal)) {
            logger.log(MODULE, Level::Info, &format!("pid {pid} died, {how}, exiting"));
            return Ok(Fate::Done(0));
        }
        crashes += 1;
        let what = format!("{crashes} crashes: pid {pid} died, {how}");
        if dumped_core(status) {
            // One core file tells enough; a crash that repeats must not fill the disk.
            let none = Rlimit { current: Some(0), maximum: Some(0) };
            let _ = setrlimit(Resource::Core, none);
        }
        let wait =
            last_restart.map_or(Duration::ZERO, |last| RESTART_INTERVAL.saturating_sub(last.elapsed()));
        if !wait.is_zero() {
            let secs = RESTART_INTERVAL.as_secs();
            logger.log(
                MODULE,
                Level::Warn,
                &format!("{what}, waiting until {secs} seconds since last restart"),
            );
            sleep(wait);
        }
        last_restart = Some(Instant::now());
        logger.log(MODULE, Level::Err, &format!("{what}, restarting"));
        match split_and_wait()? {
            Child::This(ready) => {
                logger.set_subprogram(None);
                return Ok(Fate::Daemon(Some(ready)));
            }
            Child::Serves(pid) => child = pid,
            Child::Died(pid, status) => (child, dead) = (pid, Some(status)),
        }
    }
}

fn describe(status: WaitStatus) -> String {
    let core = if dumped_core(status) { ", core dumped" } else { "" };
    match (status.exit_status(), status.terminating_signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("killed ({}){core}", signal_name(signal)),
        (None, None) => "unknown status".to_owned(),
    }
}

fn dumped_core(status: WaitStatus) -> bool {
    libc::WCOREDUMP(status.as_raw())
}

/// Lets go of the terminal, and of the working directory if `chdir` says so.
pub(crate) fn leave_terminal(logger: &Logger, chdir: bool) {
    if chdir {
        let _ = std::env::set_current_dir("/");
    }
    if let Ok(null) = File::options().read(true).write(true).open("/dev/null") {
        let _ = rustix::stdio::dup2_stdin(&null);
        let _ = rustix::stdio::dup2_stdout(&null);
        let _ = rustix::stdio::dup2_stderr(&null);
    }
    // Nobody reads there any more.
    let _ = logger.apply("console:off");
}
