//! One link of an engine: a connection that is being made or is up, with what waits to be sent on it.

use std::collections::VecDeque;
use std::future::Future;
use std::io::{self, IoSlice};
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use kiln_ovsdb::remote::Remote;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tracing::{info, warn};

use crate::coverage;
use crate::errno::plain;
use crate::failures::Failures;
use crate::stream::{Connect, Listener, Stream};
use crate::tls::Tls;

/// With this much unsent, an engine is not asked for more; it is again when half has gone.
pub(crate) const HIGH_WATER_BYTES: usize = 1 << 20;
/// Pieces handed to the kernel in one call.
const MAX_SLICES: usize = 64;

type Making = Pin<Box<dyn Future<Output = io::Result<Made>>>>;

enum Made {
    Stream(Stream),
    Listener(Listener),
}

/// What happens on a link.
#[derive(Debug)]
pub(crate) enum Event {
    /// A connection is up.
    Up,
    /// So many bytes were read.
    Read(usize),
    /// Enough was written to ask the engine for more.
    Room,
    /// The connection, or the attempt at one, is over.
    Down(String),
}

/// See the module.
pub(crate) struct LinkIo {
    remote: Remote,
    making: Option<Making>,
    /// Of a passive remote. It stays while connections come and go.
    listener: Option<Listener>,
    stream: Option<Stream>,
    /// The next connection, while the engine has not yet asked for one after the end of the last.
    successor: Option<Stream>,
    /// Whether the engine wants a connection: from its asking until it is told of the end.
    wanted: bool,
    /// Since when there has been nothing to read.
    pub(crate) still_since: Option<Instant>,
    out: Outgoing,
}

impl LinkIo {
    /// Starts to connect to `remote`, or to listen at it for one peer.
    pub(crate) fn open(remote: Remote, run_dir: &Path, tls: &mut Tls) -> LinkIo {
        let making: Making = if remote.is_passive() {
            let (remote, run_dir) = (remote.clone(), run_dir.to_owned());
            Box::pin(async move { Listener::bind(&remote, &run_dir).await.map(Made::Listener) })
        } else {
            let connect = Connect::prepare(&remote, run_dir, tls);
            Box::pin(async move { connect?.run().await.map(Made::Stream) })
        };
        LinkIo {
            remote,
            making: Some(making),
            listener: None,
            stream: None,
            successor: None,
            wanted: true,
            still_since: None,
            out: Outgoing::default(),
        }
    }

    /// Starts anew after the end of a connection, towards what may be another remote.
    pub(crate) fn reopen(&mut self, remote: Remote, run_dir: &Path, tls: &mut Tls) {
        if self.listener.is_some() && self.remote == remote {
            self.wanted = true;
        } else {
            *self = LinkIo::open(remote, run_dir, tls);
        }
    }

    /// Whether bytes can be sent now.
    pub(crate) fn wants_output(&self) -> bool {
        self.stream.is_some() && self.out.bytes < HIGH_WATER_BYTES
    }

    /// Queues bytes to be sent.
    pub(crate) fn send(&mut self, bytes: Vec<u8>) {
        self.out.push(bytes);
    }

    /// Whether something waits to be sent.
    pub(crate) fn has_output(&self) -> bool {
        self.stream.is_some() && (self.out.bytes > 0 || self.out.unflushed)
    }

    /// What happens next. Bytes are read into the beginning of `buffer`, if there is one.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        tls: &mut Tls,
        buffer: Option<&mut [u8]>,
        failures: &mut Failures,
    ) -> Poll<Event> {
        if !self.wanted {
            return Poll::Pending;
        }
        let event = ready!(self.poll_wanted(cx, tls, buffer));
        match &event {
            Event::Up => failures.connected(&self.remote),
            Event::Down(reason) => {
                if self.stream.is_some() {
                    info!(target: "reconnect", rl = 20, "{}: {reason}", self.remote);
                } else {
                    failures.failed(&self.remote, reason);
                }
                self.wanted = false;
                self.drop_stream();
            }
            Event::Read(_) | Event::Room => {}
        }
        Poll::Ready(event)
    }

    fn poll_wanted(&mut self, cx: &mut Context<'_>, tls: &mut Tls, buffer: Option<&mut [u8]>) -> Poll<Event> {
        if let Some(stream) = self.successor.take() {
            return Poll::Ready(self.up(stream));
        }
        if let Poll::Ready(event) = self.poll_making(cx, tls) {
            return Poll::Ready(event);
        }
        self.poll_stream(cx, buffer).map(|event| {
            event.unwrap_or_else(|error| {
                // So TLS tells of what went wrong after its handshake: in version 1.3, also that our certificate is refused.
                if error.kind() == io::ErrorKind::InvalidData {
                    warn!(target: "stream_ssl", rl = 10, "{}: {}", self.remote, plain(&error));
                }
                Event::Down(plain(&error))
            })
        })
    }

    fn poll_making(&mut self, cx: &mut Context<'_>, tls: &mut Tls) -> Poll<Event> {
        loop {
            if let Some(making) = &mut self.making {
                let Poll::Ready(made) = making.as_mut().poll(cx) else { return Poll::Pending };
                self.making = None;
                match made {
                    Ok(Made::Stream(stream)) if self.stream.is_some() => {
                        self.successor = Some(stream);
                        return Poll::Ready(Event::Down("replaced by a new connection".to_owned()));
                    }
                    Ok(Made::Stream(stream)) => return Poll::Ready(self.up(stream)),
                    Ok(Made::Listener(listener)) => {
                        if let Some(port) = listener.port() {
                            info!(target: "stream", "{}: listening on port {port}", self.remote);
                        }
                        self.listener = Some(listener);
                    }
                    // A peer that could not be agreed with changes nothing for others.
                    Err(error) if self.listener.is_some() => self.not_accepted(&error),
                    Err(error) => {
                        coverage::STREAM_OPEN_FAILED.inc();
                        return Poll::Ready(Event::Down(plain(&error)));
                    }
                }
            }
            let Some(listener) = &self.listener else { return Poll::Pending };
            match listener.poll_accept(cx, tls) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(incoming)) => {
                    self.making = Some(Box::pin(async move { incoming.finish().await.map(Made::Stream) }));
                }
                Poll::Ready(Err(error)) => {
                    self.not_accepted(&error);
                    // Whatever is short now will be short at once again: without a connection it is the engine's
                    // decision when to try once more, and with one there is no hurry.
                    if self.stream.is_none() {
                        self.listener = None;
                        return Poll::Ready(Event::Down(plain(&error)));
                    }
                    return Poll::Pending;
                }
            }
        }
    }

    fn not_accepted(&self, error: &io::Error) {
        coverage::STREAM_OPEN_FAILED.inc();
        warn!(target: "stream", rl = 5, "{}: connection not accepted: {}", self.remote, plain(error));
    }

    fn up(&mut self, stream: Stream) -> Event {
        coverage::STREAM_OPEN.inc();
        self.stream = Some(stream);
        self.out = Outgoing::default();
        Event::Up
    }

    fn drop_stream(&mut self) {
        if self.stream.take().is_some() {
            coverage::STREAM_CLOSED.inc();
        }
        self.out = Outgoing::default();
    }

    fn poll_stream(&mut self, cx: &mut Context<'_>, buffer: Option<&mut [u8]>) -> Poll<io::Result<Event>> {
        let Some(stream) = &mut self.stream else { return Poll::Pending };
        self.out.full |= self.out.bytes >= HIGH_WATER_BYTES;
        // An error in writing is told only when reading has nothing more: the peer's last words may say why.
        let written = self.out.poll_write(cx, Pin::new(stream));
        if self.out.full && self.out.bytes <= HIGH_WATER_BYTES / 2 {
            self.out.full = false;
            return Poll::Ready(Ok(Event::Room));
        }
        if let Some(buffer) = buffer {
            let mut read = ReadBuf::new(buffer);
            if let Poll::Ready(result) = Pin::new(stream).poll_read(cx, &mut read) {
                let len = read.filled().len();
                coverage::STREAM_RECEIVED_BYTES.add(len as u64);
                return Poll::Ready(match result {
                    Ok(()) if len == 0 => Err(io::Error::other("connection closed by peer")),
                    Ok(()) => Ok(Event::Read(len)),
                    Err(error) => Err(error),
                });
            }
        }
        match written {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
        }
    }

    /// Writes out what waits; an error only ends the wait.
    pub(crate) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match &mut self.stream {
            Some(stream) => self.out.poll_write(cx, Pin::new(stream)).map(|_| ()),
            None => Poll::Ready(()),
        }
    }
}

impl Drop for LinkIo {
    fn drop(&mut self) {
        if let Some(stream) = &mut self.stream {
            coverage::STREAM_CLOSED.inc();
            // A TLS peer should hear that this is the end and no attack; if the socket is full it will not.
            let mut context = Context::from_waker(std::task::Waker::noop());
            let _ = Pin::new(stream).poll_shutdown(&mut context);
        }
    }
}

/// What waits to be sent.
#[derive(Default)]
struct Outgoing {
    pieces: VecDeque<Vec<u8>>,
    /// How much of the first piece has been sent.
    offset: usize,
    bytes: usize,
    /// It reached the high-water mark and the engine waits for room.
    full: bool,
    /// What was written may still be in the stream's own buffer.
    unflushed: bool,
}

impl Outgoing {
    fn push(&mut self, piece: Vec<u8>) {
        if !piece.is_empty() {
            self.bytes += piece.len();
            self.pieces.push_back(piece);
        }
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, mut stream: Pin<&mut Stream>) -> Poll<io::Result<()>> {
        while self.bytes > 0 {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let mut offset = self.offset;
            let mut count = 0;
            for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
                *slice = IoSlice::new(&piece[offset..]);
                offset = 0;
                count += 1;
            }
            match stream.as_mut().poll_write_vectored(cx, &slices[..count]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(written)) => self.advance(written),
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        if self.unflushed {
            match stream.as_mut().poll_flush(cx) {
                Poll::Ready(Ok(())) => self.unflushed = false,
                other => return other,
            }
        }
        Poll::Ready(Ok(()))
    }

    fn advance(&mut self, written: usize) {
        coverage::STREAM_SENT_BYTES.add(written as u64);
        self.unflushed = true;
        self.bytes -= written;
        self.offset += written;
        while let Some(first) = self.pieces.front()
            && self.offset >= first.len()
        {
            self.offset -= first.len();
            self.pieces.pop_front();
        }
    }
}
