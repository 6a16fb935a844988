//! A Unix stream whose task is woken for room only while something waits for room.
//!
//! The kernel tells of room whenever the peer has read something. To whoever answers many small messages that comes to a second
//! wake-up for each, at the expense of the peer, which is in the middle of reading.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

use crate::sys;

/// See the module.
#[derive(Debug)]
pub struct QuietUnix {
    socket: AsyncFd<UnixStream>,
    /// The same socket, while a write waits for room.
    full: Option<AsyncFd<UnixStream>>,
}

impl QuietUnix {
    /// Takes over a connected stream.
    pub(super) fn new(stream: tokio::net::UnixStream) -> io::Result<QuietUnix> {
        let socket = sys::watch(stream.into_std()?, Interest::READABLE)?;
        Ok(QuietUnix { socket, full: None })
    }
}

impl AsyncRead for QuietUnix {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.socket.poll_read_ready(cx))?;
            let room = buf.initialize_unfilled();
            match self.socket.get_ref().read(room) {
                Ok(len) => {
                    // Less than there was room for is all there is: the kernel tells when more comes.
                    if 0 < len && len < room.len() {
                        ready.clear_ready();
                    }
                    buf.advance(len);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => ready.clear_ready(),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for QuietUnix {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            if let Some(full) = &self.full {
                let _room = ready!(full.poll_write_ready(cx))?;
            }
            self.full = None;
            match self.socket.get_ref().write_vectored(bufs) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let same = self.socket.get_ref().try_clone()?;
                    self.full = Some(sys::watch(same, Interest::WRITABLE)?);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                written => return Poll::Ready(written),
            }
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket.get_ref().shutdown(Shutdown::Write))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;
    use std::task::Waker;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    /// `EPOLLIN` and `EPOLLOUT`.
    const ASKED: u32 = 1 | 4;

    /// What the kernel is asked to tell of a socket, as proc(5) shows it.
    fn watched(socket: &AsyncFd<UnixStream>) -> u32 {
        let target = socket.as_raw_fd().to_string();
        for entry in std::fs::read_dir("/proc/self/fdinfo").expect("proc(5)").flatten() {
            for line in std::fs::read_to_string(entry.path()).unwrap_or_default().lines() {
                let words: Vec<&str> = line.split_whitespace().collect();
                if let ["tfd:", fd, "events:", events, ..] = words[..]
                    && fd == target
                {
                    return u32::from_str_radix(events, 16).expect("a mask") & ASKED;
                }
            }
        }
        panic!("nobody watches {target}");
    }

    #[tokio::test]
    async fn the_kernel_is_asked_about_room_only_while_there_is_none() {
        let (ours, mut peer) = tokio::net::UnixStream::pair().expect("pair");
        let mut ours = QuietUnix::new(ours).expect("taken over");
        let mut cx = Context::from_waker(Waker::noop());
        let mut written = 0;
        while let Poll::Ready(len) = Pin::new(&mut ours).poll_write(&mut cx, &[7; 4096]) {
            written += len.expect("write");
            assert_eq!(watched(&ours.socket), 1);
        }
        assert_eq!(ours.full.as_ref().map(watched), Some(4));
        peer.read_exact(&mut vec![0; written]).await.expect("read");
        ours.write_all(&[8]).await.expect("write");
        assert!(ours.full.is_none());
        assert_eq!(watched(&ours.socket), 1);
    }

    #[tokio::test]
    async fn all_comes_through_in_both_directions() {
        const LEN: usize = 10 << 20;
        let (ours, mut peer) = tokio::net::UnixStream::pair().expect("pair");
        let mut ours = QuietUnix::new(ours).expect("taken over");
        let near = async {
            ours.write_all(&vec![7; LEN]).await.expect("write");
            ours.shutdown().await.expect("shutdown");
            let mut all = Vec::new();
            ours.read_to_end(&mut all).await.expect("read");
            all
        };
        let far = async {
            let mut all = Vec::new();
            peer.read_to_end(&mut all).await.expect("read");
            peer.write_all(&all).await.expect("write");
            drop(peer);
        };
        let (all, ()) = tokio::join!(near, far);
        assert!(all == vec![7; LEN]);
    }
}
