//! Byte streams to peers: Unix sockets, TCP and TLS, opened by either side.

mod listen;
mod quiet;
mod unix;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll};

use kiln_ovsdb::remote::{Host, Remote};
pub use listen::{Incoming, Listener};
pub use quiet::QuietUnix;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsStream;
pub(crate) use unix::{connect_blocking as connect_unix_blocking, listen as listen_unix};

use crate::tls::{Tls, TlsClient};

/// A connection of any kind.
#[derive(Debug)]
pub enum Stream {
    /// A Unix stream socket.
    Unix(QuietUnix),
    /// Plain TCP.
    Tcp(TcpStream),
    /// TLS over TCP.
    Tls(Box<TlsStream<TcpStream>>),
}

/// A connection that is yet to be made, with all that making it needs.
#[derive(Debug)]
pub struct Connect {
    to: Target,
}

#[derive(Debug)]
enum Target {
    Unix(std::path::PathBuf),
    Tcp(Host),
    Tls(Host, TlsClient),
}

impl Connect {
    /// Prepares to connect to an active remote. A relative path starts at `run_dir`.
    pub fn prepare(remote: &Remote, run_dir: &Path, tls: &mut Tls) -> io::Result<Connect> {
        let to = match remote {
            Remote::Unix(path) => Target::Unix(run_dir.join(path)),
            Remote::Tcp(host) => Target::Tcp(host.clone()),
            Remote::Ssl(host) => Target::Tls(host.clone(), tls.client(&host.host).map_err(io::Error::other)?),
            Remote::PassiveUnix(_) | Remote::PassiveTcp(_) | Remote::PassiveSsl(_) => {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("{remote}: cannot be connected to"),
                ));
            }
        };
        Ok(Connect { to })
    }

    /// Makes the connection. There is no timeout: who waits gives up when it wants to.
    pub async fn run(self) -> io::Result<Stream> {
        match self.to {
            Target::Unix(path) => Ok(Stream::Unix(QuietUnix::new(unix::connect(&path).await?)?)),
            Target::Tcp(host) => Ok(Stream::Tcp(connect_tcp(&host).await?)),
            Target::Tls(host, tls) => {
                let stream = tls.connect(connect_tcp(&host).await?).await?;
                Ok(Stream::Tls(Box::new(stream)))
            }
        }
    }
}

async fn connect_tcp(host: &Host) -> io::Result<TcpStream> {
    let mut failed = io::Error::new(io::ErrorKind::NotFound, format!("{}: no address found", host.host));
    for address in addresses(&host.host, host.port).await? {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // Messages are written whole; waiting for more to send would only delay the peer.
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// The addresses of a host: itself if it is one (with a zone, perhaps), or what the system's resolver says.
async fn addresses(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(address) = host.parse() {
        return Ok(vec![SocketAddr::new(address, port)]);
    }
    // The resolver understands zones, and does not mind the brackets' absence when it gets host and port apart.
    Ok(tokio::net::lookup_host((host, port)).await?.collect())
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
            Stream::Tls(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Stream::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Stream::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Stream::Tls(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tcp(stream) => Pin::new(stream).poll_flush(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Stream::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
            Stream::Tls(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}
