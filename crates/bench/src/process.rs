//! Processes under measurement: what they used of processor and memory, and a folder for what they leave behind.

use crate::Result;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(20);
/// A process that used no more than [`IDLE`] for this long has finished its work.
const QUIET: Duration = Duration::from_millis(300);
/// What timers cost a process that has nothing to do.
const IDLE: Duration = Duration::from_millis(1);

/// Processor time of all threads of a process so far: the first field of `schedstat`, in nanoseconds. Exact when the process
/// sleeps.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    let mut nanos = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(task?.path().join("schedstat")).unwrap_or_default();
        nanos += text.split(' ').next().and_then(|field| field.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(Duration::from_nanos(nanos))
}

/// A process that ends with its owner.
pub(crate) struct Process {
    name: &'static str,
    child: Child,
}

impl Process {
    /// Starts a process. What it prints goes to `NAME.out` in `folder`.
    pub(crate) fn start(name: &'static str, mut command: Command, folder: &Path) -> Result<Process> {
        let output = fs::File::create(folder.join(format!("{name}.out")))?;
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().map_err(|error| format!("starting {name}: {error}"))?;
        Ok(Process { name, child })
    }

    fn proc_file(&self, file: &str) -> Result<String> {
        let path = format!("/proc/{}/{file}", self.child.id());
        fs::read_to_string(path).map_err(|error| format!("{} ended: {error}", self.name).into())
    }

    /// Processor time so far.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        cpu(self.child.id())
    }

    /// The most memory that was ever resident, in kB (`VmHWM` of proc(5)).
    pub(crate) fn peak_kb(&self) -> Result<u64> {
        let status = self.proc_file("status")?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let number = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        number.ok_or_else(|| "no VmHWM in /proc/PID/status".into())
    }

    /// Waits until the process has nothing more to do.
    pub(crate) fn wait_quiet(&self, deadline: Duration) -> Result<()> {
        let start = Instant::now();
        let (mut since, mut used) = (Instant::now(), self.cpu()?);
        while since.elapsed() < QUIET {
            if start.elapsed() > deadline {
                return Err(format!("{} still works after {deadline:?}", self.name).into());
            }
            std::thread::sleep(POLL);
            let now = self.cpu()?;
            if now > used + IDLE {
                (since, used) = (Instant::now(), now);
            }
        }
        Ok(())
    }

    /// Fails if the process has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(format!("{} ended: {status}", self.name).into()),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A folder that is removed with its owner.
pub(crate) struct Folder(PathBuf);

impl Folder {
    /// A new folder among the temporary files.
    pub(crate) fn new() -> Result<Folder> {
        let path = std::env::temp_dir().join(format!("kiln-bench-{}", std::process::id()));
        fs::create_dir(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Folder(path))
    }

    /// An empty folder in it, in place of one of this name.
    pub(crate) fn fresh(&self, name: &str) -> Result<PathBuf> {
        let path = self.0.join(name);
        if path.exists() {
            fs::remove_dir_all(&path)?;
        }
        fs::create_dir(&path)?;
        Ok(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
