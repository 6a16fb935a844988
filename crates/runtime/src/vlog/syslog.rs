//! Sending messages to a syslog daemon.

use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

/// Where the C library sends its messages.
const LOCAL_SOCKET: &str = "/dev/log";
/// What the C library puts before a message.
const LOCAL_PREFIX: &str = "<%B>%d{%h %e %T} %A: ";
/// What stands before a message that is sent without the C library's conventions.
pub(crate) const PREFIX: &str = "<%B> %D{%h %e %T} %E %A: ";

/// How messages reach the syslog daemon: the argument of `--syslog-method`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SyslogMethod {
    /// As the C library's `syslog` does: to `/dev/log`.
    Libc,
    /// To a datagram socket in the file system.
    Unix(PathBuf),
    /// By UDP.
    Udp(SocketAddr),
    /// Not at all.
    Null,
}

/// A `--syslog-method` that is none of the known ones.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("unsupported syslog method \"{0}\": expected libc, null, unix:FILE or udp:IP:PORT")]
pub struct SyslogMethodError(String);

impl std::str::FromStr for SyslogMethod {
    type Err = SyslogMethodError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let method = match text.split_once(':') {
            None if text == "libc" => Some(SyslogMethod::Libc),
            None if text == "null" => Some(SyslogMethod::Null),
            Some(("unix", path)) if !path.is_empty() => Some(SyslogMethod::Unix(path.into())),
            Some(("udp", address)) => address.parse().ok().map(SyslogMethod::Udp),
            _ => None,
        };
        method.ok_or_else(|| SyslogMethodError(text.to_owned()))
    }
}

/// A way to the daemon, opened when it is first needed and again after an error.
#[derive(Debug)]
pub(crate) struct Syslog {
    method: SyslogMethod,
    socket: Option<Socket>,
}

#[derive(Debug)]
enum Socket {
    Unix(UnixDatagram),
    Udp(UdpSocket),
}

impl Syslog {
    pub(crate) fn new(method: SyslogMethod) -> Self {
        Syslog { method, socket: None }
    }

    /// The pattern of what stands before each message; `None` if nothing is sent.
    pub(crate) fn prefix(&self) -> Option<&'static str> {
        match self.method {
            SyslogMethod::Libc => Some(LOCAL_PREFIX),
            SyslogMethod::Unix(_) | SyslogMethod::Udp(_) => Some(PREFIX),
            SyslogMethod::Null => None,
        }
    }

    /// Sends one message. A machine without a syslog daemon is no error of ours, and a full queue loses the message
    /// rather than stopping the daemon.
    pub(crate) fn send(&mut self, line: &str) {
        for _ in 0..2 {
            if self.socket.is_none() {
                self.socket = self.open().ok();
            }
            let sent = match &self.socket {
                None => return,
                Some(Socket::Unix(socket)) => socket.send(line.as_bytes()),
                Some(Socket::Udp(socket)) => socket.send(line.as_bytes()),
            };
            match sent {
                Ok(_) => return,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // The daemon may have been restarted: once more on a new socket.
                Err(_) => self.socket = None,
            }
        }
    }

    fn open(&self) -> io::Result<Socket> {
        let unix = |path: &Path| {
            let socket = UnixDatagram::unbound()?;
            socket.connect(path)?;
            socket.set_nonblocking(true)?;
            Ok(Socket::Unix(socket))
        };
        match &self.method {
            SyslogMethod::Libc => unix(Path::new(LOCAL_SOCKET)),
            SyslogMethod::Unix(path) => unix(path),
            SyslogMethod::Udp(to) => {
                let from: SocketAddr = if to.is_ipv4() { ([0; 4], 0).into() } else { ([0; 16], 0).into() };
                let socket = UdpSocket::bind(from)?;
                socket.connect(to)?;
                socket.set_nonblocking(true)?;
                Ok(Socket::Udp(socket))
            }
            SyslogMethod::Null => Err(io::ErrorKind::NotConnected.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_read() {
        let parse = |text: &str| text.parse::<SyslogMethod>().map_err(|e| e.to_string());
        assert_eq!(parse("libc"), Ok(SyslogMethod::Libc));
        assert_eq!(parse("null"), Ok(SyslogMethod::Null));
        assert_eq!(parse("unix:/x/y"), Ok(SyslogMethod::Unix("/x/y".into())));
        assert_eq!(parse("udp:127.0.0.1:514"), Ok(SyslogMethod::Udp(([127, 0, 0, 1], 514).into())));
        for bad in ["foo", "udp:host", "unix:", ""] {
            assert!(parse(bad).expect_err("refused").contains(&format!("\"{bad}\"")), "{bad}");
        }
    }

    #[test]
    fn messages_arrive_also_after_the_daemon_was_restarted() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("log");
        let mut syslog = Syslog::new(SyslogMethod::Unix(path.clone()));
        syslog.send("nobody listens");
        for round in ["first", "second"] {
            let daemon = UnixDatagram::bind(&path).expect("bind");
            syslog.send(round);
            let mut buffer = [0; 64];
            let len = daemon.recv(&mut buffer).expect("a message");
            assert_eq!(&buffer[..len], round.as_bytes());
            std::fs::remove_file(&path).expect("unlink");
        }
    }

    #[test]
    fn messages_arrive_by_udp() {
        let daemon = UdpSocket::bind("127.0.0.1:0").expect("bind");
        let mut syslog = Syslog::new(SyslogMethod::Udp(daemon.local_addr().expect("address")));
        syslog.send("hello");
        let mut buffer = [0; 64];
        let len = daemon.recv(&mut buffer).expect("a message");
        assert_eq!(&buffer[..len], b"hello");
    }
}
