//! The other end: sending one command to a daemon and awaiting its answer.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use kiln_ovsdb::frame::Framer;
use serde_json::{Value, json};

use crate::daemon::read_pid;
use crate::stream::connect_unix_blocking;

/// Why a daemon could not be asked. That a command failed is no such error.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The target's pidfile is missing or stale.
    #[error("cannot read pidfile \"{}\" ({})", path.display(), crate::errno::plain(error))]
    Pidfile {
        /// The pidfile.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Nothing listens, or the connection broke.
    #[error("cannot communicate with \"{}\" ({})", path.display(), crate::errno::plain(error))]
    Connection {
        /// The socket.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// What came is not an answer.
    #[error("\"{}\": expected a JSON-RPC answer, got {got}", path.display())]
    Answer {
        /// The socket.
        path: PathBuf,
        /// What came.
        got: String,
    },
}

/// The longest answer that is read.
const MAX_ANSWER_BYTES: usize = 1 << 30;

/// The control socket of `target`: itself if it is a path, else that of the daemon of this name whose pidfile is in
/// `run_dir`.
pub fn control_socket(run_dir: &Path, target: &str) -> Result<PathBuf, CallError> {
    if target.starts_with('/') {
        return Ok(target.into());
    }
    let path = run_dir.join(format!("{target}.pid"));
    match read_pid(&path) {
        Ok(pid) => Ok(run_dir.join(format!("{target}.{pid}.ctl"))),
        Err(error) => Err(CallError::Pidfile { path, error }),
    }
}

/// Sends `command` to the daemon that listens at `path`; its answer is either text or the text of an error. `timeout`
/// bounds the wait for each piece of the answer.
pub fn call(
    path: &Path,
    command: &str,
    args: &[&str],
    timeout: Option<Duration>,
) -> Result<Result<String, String>, CallError> {
    let failed = |error| CallError::Connection { path: path.to_owned(), error };
    let answer = exchange(path, command, args, timeout).map_err(failed)?;
    let bad = || CallError::Answer { path: path.to_owned(), got: answer.to_string() };
    match (&answer["error"], &answer["result"]) {
        (Value::String(error), _) => Ok(Err(error.clone())),
        (Value::Null, Value::String(text)) => Ok(Ok(text.clone())),
        _ => Err(bad()),
    }
}

fn exchange(path: &Path, command: &str, args: &[&str], timeout: Option<Duration>) -> io::Result<Value> {
    let mut stream = connect_unix_blocking(path)?;
    stream.set_read_timeout(timeout)?;
    stream.write_all(json!({"id": 0, "method": command, "params": args}).to_string().as_bytes())?;
    let mut framer = Framer::new(MAX_ANSWER_BYTES);
    let mut buffer = vec![0; 64 << 10];
    loop {
        if let Some(frame) = framer.next_frame().map_err(io::Error::other)? {
            return serde_json::from_str(frame.text).map_err(io::Error::other);
        }
        match stream.read(&mut buffer)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            len => framer.push(&buffer[..len]),
        }
    }
}
