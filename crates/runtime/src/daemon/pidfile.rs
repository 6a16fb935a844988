//! The file that names a running daemon, and whose lock says that it still runs.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::FlockOperation;
use rustix::process::{Flock, FlockType};

/// Why there is no pidfile.
#[derive(Debug, thiserror::Error)]
pub enum PidfileError {
    /// Another daemon holds it.
    #[error("{}: already running as pid {pid}, aborting", path.display())]
    AlreadyRunning {
        /// The pidfile.
        path: PathBuf,
        /// Who holds it.
        pid: i32,
    },
    /// Another daemon is just starting.
    #[error("{}: locked by pid {pid}, which is starting", path.display())]
    Starting {
        /// The file that starting daemons take turns on.
        path: PathBuf,
        /// Who holds it.
        pid: i32,
    },
    /// The file system says no.
    #[error("{}: {what} failed ({})", path.display(), crate::errno::plain(error))]
    Io {
        /// The file.
        path: PathBuf,
        /// What was tried.
        what: &'static str,
        /// The answer.
        error: io::Error,
    },
}

/// A pidfile of this process: locked while it lives, removed when it is dropped.
#[derive(Debug)]
pub struct Pidfile {
    path: PathBuf,
    /// Never closed before the end: closing any descriptor of the file would drop the lock.
    file: File,
}

impl Pidfile {
    /// Makes the pidfile at `path`. A file that a dead daemon left behind is replaced; that of a running one only if
    /// `overwrite` is set.
    pub fn create(path: &Path, overwrite: bool) -> Result<Pidfile, PidfileError> {
        // Starting daemons take turns by locking one file beside the pidfile, which then becomes the pidfile: so two
        // can never both find a stale file and each replace it. Overwriting needs no turn.
        let mut name = path.as_os_str().to_owned();
        name.push(".tmp");
        if overwrite {
            name.push(std::process::id().to_string());
        }
        let temporary = PathBuf::from(name);
        let mut file = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .mode(0o644)
            .open(&temporary)
            .map_err(failed(&temporary, "create"))?;
        if let Err(error) = rustix::fs::fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            return Err(match lock_holder(&file) {
                Ok(Some(pid)) => PidfileError::Starting { path: temporary, pid },
                _ => failed(&temporary, "lock")(error.into()),
            });
        }
        let result = Self::fill(&mut file, path, &temporary, overwrite);
        match result {
            Ok(()) => Ok(Pidfile { path: path.to_owned(), file }),
            Err(error) => {
                let _ = fs::remove_file(&temporary);
                Err(error)
            }
        }
    }

    fn fill(file: &mut File, path: &Path, temporary: &Path, overwrite: bool) -> Result<(), PidfileError> {
        if !overwrite {
            match File::options().read(true).write(true).open(path) {
                Ok(old) => {
                    if let Some(pid) = lock_holder(&old).map_err(failed(path, "lock check"))? {
                        return Err(PidfileError::AlreadyRunning { path: path.to_owned(), pid });
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(failed(path, "open")(error)),
            }
        }
        file.set_len(0).map_err(failed(temporary, "truncate"))?;
        let text = format!("{}\n", std::process::id());
        file.write_all(text.as_bytes()).map_err(failed(temporary, "write"))?;
        fs::rename(temporary, path).map_err(failed(path, "rename"))
    }
}

fn failed(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> PidfileError {
    move |error| PidfileError::Io { path: path.to_owned(), what, error }
}

impl Drop for Pidfile {
    fn drop(&mut self) {
        // Another daemon may have overwritten it; that one's file is not ours to remove.
        let ours = self.file.metadata().is_ok_and(|ours| {
            fs::metadata(&self.path).is_ok_and(|there| (there.dev(), there.ino()) == (ours.dev(), ours.ino()))
        });
        if ours {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// The process that holds a write lock on `file`, if one other than this does.
fn lock_holder(file: &File) -> io::Result<Option<i32>> {
    let held = rustix::process::fcntl_getlk(file, &Flock::from(FlockType::WriteLock))?;
    Ok(held.map(|lock| lock.pid.map_or(0, |pid| pid.as_raw_nonzero().get())))
}

/// The process that a pidfile names, if it is alive: that is, if it holds the file's lock.
pub fn read_pid(path: &Path) -> io::Result<i32> {
    const LONGEST: u64 = 64;
    let file = File::options().read(true).write(true).open(path)?;
    let mut text = String::new();
    (&file).take(LONGEST).read_to_string(&mut text)?;
    let named =
        text.trim().parse::<i32>().map_err(|_| io::Error::other(format!("expected a pid, got {text:?}")))?;
    match lock_holder(&file)? {
        Some(holder) if holder == named => Ok(named),
        Some(holder) => Err(io::Error::other(format!("names pid {named}, but pid {holder} holds it"))),
        None => Err(io::Error::other(format!("stale: pid {named} does not hold it"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_file_is_replaced_and_ours_is_removed() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("x.pid");
        fs::write(&path, "12345\n").expect("write");
        assert!(read_pid(&path).expect_err("stale").to_string().contains("stale: pid 12345"));
        let pidfile = Pidfile::create(&path, false).expect("free");
        assert_eq!(fs::read_to_string(&path).expect("read"), format!("{}\n", std::process::id()));
        drop(pidfile);
        assert_eq!(fs::read_dir(dir.path()).expect("list").count(), 0, "nothing is left");
    }

    #[test]
    fn a_file_that_somebody_overwrote_stays() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("x.pid");
        let pidfile = Pidfile::create(&path, true).expect("free");
        fs::remove_file(&path).expect("unlink");
        fs::write(&path, "12345\n").expect("write");
        drop(pidfile);
        assert!(path.exists());
    }

    #[test]
    fn errors_name_the_file_and_the_step() {
        let error = Pidfile::create(Path::new("/nonexistent/x.pid"), false).expect_err("no directory");
        assert_eq!(error.to_string(), "/nonexistent/x.pid.tmp: create failed (No such file or directory)");
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("x.pid");
        fs::write(&path, "nonsense").expect("write");
        assert!(read_pid(&path).expect_err("no number").to_string().contains("expected a pid"));
    }
}
