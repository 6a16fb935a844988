//! Waiting for peers to connect.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use kiln_ovsdb::remote::{Listen, Remote};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};

use super::{QuietUnix, Stream, addresses, unix};
use crate::tls::{Tls, TlsServer};

/// A peer that cannot agree on TLS in this time is no peer.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// A socket that peers connect to.
#[derive(Debug)]
pub struct Listener {
    socket: Socket,
    tls: bool,
    /// What is to be removed in the end.
    path: Option<PathBuf>,
}

#[derive(Debug)]
enum Socket {
    Unix(UnixListener),
    Tcp(TcpListener),
}

/// A peer that has connected, before TLS has been agreed on.
#[derive(Debug)]
pub struct Incoming {
    socket: Accepted,
    tls: Option<TlsServer>,
}

#[derive(Debug)]
enum Accepted {
    Unix(UnixStream),
    Tcp(TcpStream),
}

impl Listener {
    /// Listens at a passive remote. A relative path starts at `run_dir`.
    pub async fn bind(remote: &Remote, run_dir: &Path) -> io::Result<Listener> {
        match remote {
            Remote::PassiveUnix(path) => {
                let path = run_dir.join(path);
                let socket = Socket::Unix(unix::listen(&path)?);
                Ok(Listener { socket, tls: false, path: Some(path) })
            }
            Remote::PassiveTcp(listen) => {
                Ok(Listener { socket: Socket::Tcp(bind_tcp(listen).await?), tls: false, path: None })
            }
            Remote::PassiveSsl(listen) => {
                Ok(Listener { socket: Socket::Tcp(bind_tcp(listen).await?), tls: true, path: None })
            }
            Remote::Unix(_) | Remote::Tcp(_) | Remote::Ssl(_) => {
                Err(io::Error::new(io::ErrorKind::InvalidInput, format!("{remote}: cannot be listened at")))
            }
        }
    }

    /// The port listened at, if it is a TCP port.
    pub fn port(&self) -> Option<u16> {
        match &self.socket {
            Socket::Unix(_) => None,
            Socket::Tcp(listener) => listener.local_addr().ok().map(|address| address.port()),
        }
    }

    /// The next peer. `tls` is looked at for each, so that a changed certificate is used from then on.
    pub fn poll_accept(&self, cx: &mut Context<'_>, tls: &mut Tls) -> Poll<io::Result<Incoming>> {
        let socket = match &self.socket {
            Socket::Unix(listener) => Accepted::Unix(ready!(listener.poll_accept(cx))?.0),
            Socket::Tcp(listener) => {
                let (stream, _) = ready!(listener.poll_accept(cx))?;
                stream.set_nodelay(true)?;
                Accepted::Tcp(stream)
            }
        };
        let tls = if self.tls { Some(tls.server().map_err(io::Error::other)?) } else { None };
        Poll::Ready(Ok(Incoming { socket, tls }))
    }

    /// The next peer, awaited.
    pub async fn accept(&self, tls: &mut Tls) -> io::Result<Incoming> {
        std::future::poll_fn(|cx| self.poll_accept(cx, tls)).await
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        if let Some(path) = &self.path {
            let _ = std::fs::remove_file(path);
        }
    }
}

impl Incoming {
    /// Agrees on TLS where that is to be.
    pub async fn finish(self) -> io::Result<Stream> {
        match (self.socket, self.tls) {
            (Accepted::Unix(stream), _) => Ok(Stream::Unix(QuietUnix::new(stream)?)),
            (Accepted::Tcp(stream), None) => Ok(Stream::Tcp(stream)),
            (Accepted::Tcp(stream), Some(tls)) => {
                let stream = tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await??;
                Ok(Stream::Tls(Box::new(stream)))
            }
        }
    }
}

/// Without an address, all addresses of IPv6 and IPv4, or of IPv4 where there is no IPv6.
async fn bind_tcp(listen: &Listen) -> io::Result<TcpListener> {
    let at = |ip: IpAddr| SocketAddr::new(ip, listen.port);
    let candidates = match &listen.address {
        Some(address) => addresses(address, listen.port).await?,
        None => vec![at(Ipv6Addr::UNSPECIFIED.into()), at(Ipv4Addr::UNSPECIFIED.into())],
    };
    TcpListener::bind(candidates.as_slice()).await
}
