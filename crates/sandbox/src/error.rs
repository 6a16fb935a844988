//! What can keep a sandbox from standing, by who has to do something about it.

use kiln_topology::{Conflicts, Problems};
use std::io;
use std::path::PathBuf;
use std::time::Duration;

/// Why the sandbox could not do what it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The network file is wrong.
    #[error("{0}")]
    File(#[from] Problems),
    /// The network cannot be applied beside what is in the database already.
    #[error("{0}")]
    Conflicts(#[from] Conflicts),
    /// The command line, or the state of an earlier sandbox, does not allow it.
    #[error("{0}")]
    Usage(String),
    /// A program or file that the machine should have is not there.
    #[error("{what} is not installed (looked for {path}); `scripts/peers.sh {remedy}` installs it", path = .path.display())]
    Missing {
        /// What is missing.
        what: String,
        /// Where it was looked for.
        path: PathBuf,
        /// The argument of `scripts/peers.sh` that mends it.
        remedy: &'static str,
    },
    /// A command failed.
    #[error("`{command}` failed ({status}): {output}")]
    Command {
        /// The command line.
        command: String,
        /// How it ended.
        status: String,
        /// What it wrote.
        output: String,
    },
    /// A daemon ended on its own.
    #[error("{name} ended on its own ({status}); the end of its log:\n{log}")]
    Died {
        /// The daemon.
        name: String,
        /// How it ended.
        status: String,
        /// The last lines that it wrote.
        log: String,
    },
    /// Something did not come true in time.
    #[error("waited {} s in vain for {what}{detail}", .after.as_secs())]
    TimedOut {
        /// What was waited for.
        what: String,
        /// How long.
        after: Duration,
        /// What was seen instead; starts with a separator if not empty.
        detail: String,
    },
    /// A database server refused a transaction.
    #[error("{database}: {error}")]
    Database {
        /// Which database.
        database: &'static str,
        /// The server's words.
        error: String,
    },
    /// The operating system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// Its answer.
        source: io::Error,
    },
    /// A person pressed Ctrl-C.
    #[error("interrupted")]
    Interrupted,
}

impl Error {
    /// Adds what was seen to a wait that was in vain.
    pub(crate) fn with_detail(mut self, seen: impl FnOnce() -> String) -> Error {
        if let Error::TimedOut { detail, .. } = &mut self {
            *detail = seen();
        }
        self
    }
}

/// Names what was tried in an error of the operating system.
pub(crate) trait Context<T> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T, Error>;
}

impl<T, E: Into<io::Error>> Context<T> for Result<T, E> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T, Error> {
        self.map_err(|source| Error::Io { what: what(), source: source.into() })
    }
}
