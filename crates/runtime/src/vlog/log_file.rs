//! The file of `--log-file`, which may be rotated under the daemon.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A log file that was asked for, open or not.
#[derive(Debug)]
pub(crate) struct LogFile {
    path: PathBuf,
    file: Option<File>,
}

impl LogFile {
    /// A log file at `path`, not yet open.
    pub(crate) fn new(path: PathBuf) -> Self {
        LogFile { path, file: None }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens what now has the file's name, and makes it if nothing has. If that fails, an open file stays in use.
    pub(crate) fn reopen(&mut self) -> io::Result<()> {
        // Readable by the group, as log collectors expect, and by nobody else: messages quote databases.
        self.file = Some(OpenOptions::new().append(true).create(true).mode(0o640).open(&self.path)?);
        Ok(())
    }

    pub(crate) fn close(&mut self) {
        self.file = None;
    }

    /// Gives the open file to another owner, so that a daemon that changes its user can reopen it later.
    pub(crate) fn chown(&self, uid: u32, gid: u32) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), |file| std::os::unix::fs::fchown(file, Some(uid), Some(gid)))
    }

    /// Appends a line in one write, so that lines of several processes do not mix.
    pub(crate) fn write_line(&mut self, line: &str) -> io::Result<()> {
        self.file.as_mut().map_or(Ok(()), |file| file.write_all(line.as_bytes()))
    }
}
