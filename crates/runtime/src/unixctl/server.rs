//! The daemon's end of the control socket.

use std::io;
use std::path::{Path, PathBuf};
use std::task::{Context, Poll};

use serde_json::{Value, json};
use tokio::net::UnixListener;
use tracing::{debug, warn};

use super::connection::{Connection, Ended};
use super::wire::Request;
use super::{CommandId, Registry, Reply};
use crate::coverage;
use crate::stream::listen_unix;

/// Clients that are served at a time; more wait to be accepted.
const MAX_CONNECTIONS: usize = 64;

/// A control socket and its clients. The socket is removed when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    listener: UnixListener,
    path: PathBuf,
    registry: Registry,
    connections: Vec<Connection>,
    next_command: u64,
}

/// A request whose command exists and whose arguments are right in number and kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) id: CommandId,
    pub(crate) name: &'static str,
    pub(crate) args: Vec<String>,
}

impl Server {
    /// Listens at `path` for the commands in `registry`.
    pub(crate) fn bind(path: &Path, registry: Registry) -> io::Result<Server> {
        let listener = listen_unix(path)?;
        Ok(Server { listener, path: path.to_owned(), registry, connections: Vec::new(), next_command: 0 })
    }

    /// The commands that are answered.
    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The next call that is not answered here; takes in clients and writes out answers meanwhile.
    pub(crate) fn poll_call(&mut self, cx: &mut Context<'_>) -> Poll<Call> {
        loop {
            self.take_in(cx);
            let was_full = self.connections.len() >= MAX_CONNECTIONS;
            if let Poll::Ready(call) = self.poll_connections(cx) {
                return Poll::Ready(call);
            }
            // Whoever left has made room for one that waits, of whom nothing else would tell.
            if !was_full || self.connections.len() >= MAX_CONNECTIONS {
                return Poll::Pending;
            }
        }
    }

    fn take_in(&mut self, cx: &mut Context<'_>) {
        while self.connections.len() < MAX_CONNECTIONS
            && let Poll::Ready(accepted) = self.listener.poll_accept(cx)
        {
            match accepted {
                Ok((stream, _)) => self.connections.push(Connection::new(stream)),
                Err(error) => {
                    warn!(target: "unixctl", rl = 5, "{}: accept failed: {error}", self.path.display());
                    // Tried again at the next wake-up; at once would spin while descriptors are short.
                    return;
                }
            }
        }
    }

    fn poll_connections(&mut self, cx: &mut Context<'_>) -> Poll<Call> {
        let mut at = 0;
        while let Some(connection) = self.connections.get_mut(at) {
            match connection.poll_request(cx) {
                Poll::Pending => at += 1,
                Poll::Ready(Ok(request)) => {
                    if let Some(call) = self.begin(at, request) {
                        return Poll::Ready(call);
                    }
                }
                Poll::Ready(Err(ended)) => {
                    if let Ended::Bad(_) = ended {
                        coverage::UNIXCTL_BAD_REQUEST.inc();
                        warn!(target: "unixctl", rl = 5, "{}: {ended}", self.path.display());
                    }
                    self.connections.swap_remove(at);
                }
            }
        }
        Poll::Pending
    }

    /// Checks a request; answers it if it is wrong or about the connection itself.
    fn begin(&mut self, at: usize, request: Request) -> Option<Call> {
        let id = CommandId(self.next_command);
        self.next_command += 1;
        let connection = self.connections.get_mut(at)?;
        debug!(target: "unixctl", "received request {}{}, id={}", request.method, json!(request.params), request.id);
        connection.begin(id, request.id);
        let checked = self.registry.check(&request.method, request.params.len()).and_then(|command| {
            let strings = request.params.into_iter().map(|param| match param {
                Value::String(text) => Some(text),
                _ => None,
            });
            let args: Option<Vec<String>> = strings.collect();
            let args = args.ok_or_else(|| format!("\"{}\" command has non-string argument", command.name))?;
            Ok((command.name, args))
        });
        let reply = match checked {
            Ok((SET_OPTIONS, args)) => match reply_format(&args) {
                Ok(as_json) => {
                    connection.set_json(as_json.unwrap_or(false));
                    Reply::Text(String::new())
                }
                Err(error) => Reply::Error(error),
            },
            Ok((name, args)) => return Some(Call { id, name, args }),
            Err(error) => Reply::Error(error),
        };
        connection.answer(&reply);
        None
    }

    /// Answers a call. One whose client has gone is forgotten.
    pub(crate) fn reply(&mut self, id: CommandId, reply: &Reply) {
        if let Some(connection) = self.connections.iter_mut().find(|connection| connection.awaits(id)) {
            connection.answer(reply);
        }
    }

    /// Writes out answers until all are on their way or their clients are gone.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut pending = false;
        self.connections.retain_mut(|connection| match connection.poll_flush(cx) {
            Poll::Ready(Ok(())) => true,
            Poll::Ready(Err(_)) => false,
            Poll::Pending => {
                pending = true;
                true
            }
        });
        if pending { Poll::Pending } else { Poll::Ready(()) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

/// The command that sets the form of a connection's answers.
pub(super) const SET_OPTIONS: &str = "set-options";

/// Reads `--format text|json`: whether answers are to be JSON, if anything is said.
fn reply_format(args: &[String]) -> Result<Option<bool>, String> {
    let mut format = None;
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let value = match arg.split_once('=') {
            Some(("--format", value)) => value,
            None if arg == "--format" => {
                args.next().ok_or("option '--format' requires an argument")?.as_str()
            }
            _ if arg.starts_with('-') => return Err(format!("unrecognized option '{arg}'")),
            _ => continue,
        };
        format = Some(match value {
            "text" => false,
            "json" => true,
            other => return Err(format!("option format has invalid value {other}")),
        });
    }
    Ok(format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_are_read_in_stocks_words() {
        let format =
            |args: &[&str]| reply_format(&args.iter().map(|arg| (*arg).to_owned()).collect::<Vec<_>>());
        assert_eq!(format(&["--format", "json"]), Ok(Some(true)));
        assert_eq!(format(&["--format=text", "x"]), Ok(Some(false)));
        assert_eq!(format(&["x"]), Ok(None));
        assert_eq!(format(&["--format", "foo"]), Err("option format has invalid value foo".into()));
        assert_eq!(format(&["--bar"]), Err("unrecognized option '--bar'".into()));
        assert_eq!(format(&["--format"]), Err("option '--format' requires an argument".into()));
    }
}
