//! One client of the control socket.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use kiln_ovsdb::frame::Framer;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::UnixStream;

use super::wire::{self, Request};
use super::{CommandId, Reply};
use crate::coverage;

/// The longest request that is read.
const MAX_REQUEST_BYTES: usize = 1 << 20;

/// A connection, on which one request at a time is being worked on.
#[derive(Debug)]
pub(super) struct Connection {
    stream: UnixStream,
    framer: Framer,
    out: Vec<u8>,
    written: usize,
    as_json: bool,
    /// The request that has no answer yet, with its id on the wire.
    current: Option<(CommandId, Value)>,
}

/// Why a connection ends.
#[derive(Debug, thiserror::Error)]
pub(super) enum Ended {
    #[error("closed by the client")]
    Closed,
    #[error("{0}")]
    Io(io::Error),
    #[error("received bad JSON-RPC message: {0}")]
    Bad(String),
}

impl Connection {
    pub(super) fn new(stream: UnixStream) -> Self {
        Connection {
            stream,
            framer: Framer::new(MAX_REQUEST_BYTES),
            out: Vec::new(),
            written: 0,
            as_json: false,
            current: None,
        }
    }

    /// The next request, once the answer to the last is on its way.
    pub(super) fn poll_request(&mut self, cx: &mut Context<'_>) -> Poll<Result<Request, Ended>> {
        loop {
            ready!(self.poll_flush(cx)).map_err(Ended::Io)?;
            if self.current.is_none() {
                match self.framer.next_frame() {
                    Ok(Some(frame)) => {
                        let request =
                            wire::parse(frame.text).map_err(|error| Ended::Bad(error.to_string()))?;
                        coverage::UNIXCTL_RECEIVED.inc();
                        return Poll::Ready(Ok(request));
                    }
                    Ok(None) => {}
                    Err(error) => return Poll::Ready(Err(Ended::Bad(error.to_string()))),
                }
            } else if self.framer.buffered() > MAX_REQUEST_BYTES {
                return Poll::Pending;
            }
            // Also while an answer is being worked on, to see the client leave.
            let mut buffer = [0; 4096];
            let mut buffer = ReadBuf::new(&mut buffer);
            ready!(Pin::new(&mut self.stream).poll_read(cx, &mut buffer)).map_err(Ended::Io)?;
            if buffer.filled().is_empty() {
                return Poll::Ready(Err(Ended::Closed));
            }
            self.framer.push(buffer.filled());
        }
    }

    /// Writes out what there is to write.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < self.out.len() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.out[self.written..]))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.written += written;
        }
        self.out.clear();
        self.written = 0;
        Poll::Ready(Ok(()))
    }

    /// Notes the request that is being worked on.
    pub(super) fn begin(&mut self, command: CommandId, id: Value) {
        self.current = Some((command, id));
    }

    /// Whether it works on this request.
    pub(super) fn awaits(&self, command: CommandId) -> bool {
        self.current.as_ref().is_some_and(|(current, _)| *current == command)
    }

    /// Queues the answer to the request at hand.
    pub(super) fn answer(&mut self, reply: &Reply) {
        if let Some((_, id)) = self.current.take() {
            coverage::UNIXCTL_REPLIED.inc();
            self.out.extend_from_slice(wire::answer(&id, reply, self.as_json).as_bytes());
        }
    }

    /// Sets the form of the answers from now on.
    pub(super) fn set_json(&mut self, as_json: bool) {
        self.as_json = as_json;
    }
}
