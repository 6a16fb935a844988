//! Where databases are, as the daemons' options and the databases themselves name it (ovsdb(7), Connection Methods).

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use kiln_types::Uuid;

/// One place to connect to or to listen at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Remote {
    /// `unix:PATH`
    Unix(String),
    /// `tcp:HOST:PORT`
    Tcp(Host),
    /// `ssl:HOST:PORT`
    Ssl(Host),
    /// `punix:PATH`
    PassiveUnix(String),
    /// `ptcp:PORT[:IP]`
    PassiveTcp(Listen),
    /// `pssl:PORT[:IP]`
    PassiveSsl(Listen),
}

/// A host and port to connect to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Host {
    /// A name, or an address without brackets; an IPv6 address may carry a `%zone`.
    pub host: String,
    /// TCP port.
    pub port: u16,
}

/// An address and port to listen at.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Listen {
    /// All addresses if `None`; without brackets, an IPv6 address may carry a `%zone`.
    pub address: Option<String>,
    /// TCP port; 0 lets the system choose.
    pub port: u16,
}

/// Why a remote's name is not one.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseRemoteError {
    /// Not one of the known kinds.
    #[error("{0}: expected unix:, tcp:, ssl:, punix:, ptcp: or pssl:")]
    Kind(String),
    /// `unix:` without a path.
    #[error("{0}: expected a path")]
    Path(String),
    /// No host, or one with stray brackets.
    #[error("{0}: expected a host name, an IPv4 address or an IPv6 address in []")]
    Host(String),
    /// Not a port number.
    #[error("{0}: expected a port from 0 to 65535")]
    Port(String),
    /// `cid:` without a uuid.
    #[error("{0}: expected a cluster id, a uuid")]
    ClusterId(String),
}

/// The port that is meant when none is given (RFC 7047 section 8).
pub const DEFAULT_PORT: u16 = 6640;

impl Remote {
    /// Whether it listens.
    pub const fn is_passive(&self) -> bool {
        matches!(self, Remote::PassiveUnix(_) | Remote::PassiveTcp(_) | Remote::PassiveSsl(_))
    }
}

impl FromStr for Remote {
    type Err = ParseRemoteError;

    fn from_str(text: &str) -> Result<Self, ParseRemoteError> {
        let kind = || ParseRemoteError::Kind(text.to_owned());
        let (scheme, rest) = text.split_once(':').ok_or_else(kind)?;
        let path = || {
            let path = Some(rest).filter(|path| !path.is_empty());
            path.map(str::to_owned).ok_or_else(|| ParseRemoteError::Path(text.to_owned()))
        };
        Ok(match scheme {
            "unix" => Remote::Unix(path()?),
            "punix" => Remote::PassiveUnix(path()?),
            "tcp" => Remote::Tcp(parse_host(text, rest)?),
            "ssl" => Remote::Ssl(parse_host(text, rest)?),
            "ptcp" => Remote::PassiveTcp(parse_listen(text, rest)?),
            "pssl" => Remote::PassiveSsl(parse_listen(text, rest)?),
            _ => return Err(kind()),
        })
    }
}

fn parse_host(text: &str, rest: &str) -> Result<Host, ParseRemoteError> {
    let bad_host = || ParseRemoteError::Host(text.to_owned());
    let (host, port) = match rest.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or_else(bad_host)?;
            let port =
                if after.is_empty() { None } else { Some(after.strip_prefix(':').ok_or_else(bad_host)?) };
            (host, port)
        }
        None => match rest.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (rest, None),
        },
    };
    if host.is_empty() || host.contains(['[', ']', '/']) {
        return Err(bad_host());
    }
    Ok(Host { host: host.to_owned(), port: parse_port(text, port.unwrap_or(""))? })
}

fn parse_listen(text: &str, rest: &str) -> Result<Listen, ParseRemoteError> {
    let (port, address) = match rest.split_once(':') {
        Some((port, address)) => (port, Some(address).filter(|address| !address.is_empty())),
        None => (rest, None),
    };
    let address = match address {
        None => None,
        Some(address) => {
            let inner = address.strip_prefix('[').and_then(|a| a.strip_suffix(']')).unwrap_or(address);
            let numeric = inner.split_once('%').map_or(inner, |(ip, _)| ip);
            numeric.parse::<IpAddr>().map_err(|_| ParseRemoteError::Host(text.to_owned()))?;
            Some(inner.to_owned())
        }
    };
    Ok(Listen { address, port: parse_port(text, port)? })
}

fn parse_port(text: &str, port: &str) -> Result<u16, ParseRemoteError> {
    if port.is_empty() {
        return Ok(DEFAULT_PORT);
    }
    // `parse` takes a leading plus
    Some(port)
        .filter(|port| port.bytes().all(|b| b.is_ascii_digit()))
        .and_then(|port| port.parse().ok())
        .ok_or_else(|| ParseRemoteError::Port(text.to_owned()))
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Remote::Unix(path) => write!(f, "unix:{path}"),
            Remote::PassiveUnix(path) => write!(f, "punix:{path}"),
            Remote::Tcp(host) => write!(f, "tcp:{host}"),
            Remote::Ssl(host) => write!(f, "ssl:{host}"),
            Remote::PassiveTcp(listen) => write!(f, "ptcp:{listen}"),
            Remote::PassiveSsl(listen) => write!(f, "pssl:{listen}"),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Host { host, port } = self;
        if host.contains(':') { write!(f, "[{host}]:{port}") } else { write!(f, "{host}:{port}") }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port;
        match &self.address {
            None => write!(f, "{port}"),
            Some(address) if address.contains(':') => write!(f, "{port}:[{address}]"),
            Some(address) => write!(f, "{port}:{address}"),
        }
    }
}

/// A list of remotes as an option gives it: the servers of one database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remotes {
    /// In the order in which they are listed.
    pub remotes: Vec<Remote>,
    /// The cluster to accept servers of, from an element `cid:UUID`.
    pub cluster_id: Option<Uuid>,
}

impl FromStr for Remotes {
    type Err = ParseRemoteError;

    /// Elements are separated by commas or spaces. An empty list is fine: there is nothing to connect to.
    fn from_str(text: &str) -> Result<Self, ParseRemoteError> {
        let mut list = Remotes::default();
        for element in text.split([',', ' ', '\t', '\n']).filter(|e| !e.is_empty()) {
            if let Some(cid) = element.strip_prefix("cid:") {
                let cid = crate::json::parse_uuid(cid);
                list.cluster_id = Some(cid.ok_or_else(|| ParseRemoteError::ClusterId(element.to_owned()))?);
                continue;
            }
            let remote = element.parse()?;
            if !list.remotes.contains(&remote) {
                list.remotes.push(remote);
            }
        }
        Ok(list)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_print_as_they_parse() {
        for text in [
            "unix:/run/ovn/ovnnb_db.sock",
            "punix:a",
            "tcp:192.0.2.1:6641",
            "tcp:[2001:db8::1]:6641",
            "tcp:[fe80::1%eth0]:6641",
            "ssl:ovn.example:6642",
            "ptcp:6641",
            "ptcp:0:127.0.0.1",
            "pssl:6641:[::]",
        ] {
            assert_eq!(text.parse::<Remote>().unwrap().to_string(), text);
        }
        assert_eq!("tcp:h".parse::<Remote>(), "tcp:h:6640".parse());
        assert_eq!("tcp:[::1]".parse::<Remote>(), "tcp:[::1]:6640".parse());
        assert_eq!("ptcp:".parse::<Remote>(), "ptcp:6640".parse());
        assert_eq!("ptcp:7:::1".parse::<Remote>(), "ptcp:7:[::1]".parse());
    }

    #[test]
    fn mistakes_are_named() {
        use ParseRemoteError as E;
        let error = |text: &str| text.parse::<Remote>().unwrap_err();
        assert_eq!(error("/run/x"), E::Kind("/run/x".to_owned()));
        assert_eq!(error("udp:1.2.3.4:5"), E::Kind("udp:1.2.3.4:5".to_owned()));
        assert!(matches!(error("unix:"), E::Path(_)));
        for text in ["tcp:", "tcp::6641", "tcp:[::1", "tcp:[::1]6641", "ssl:]x:1", "ptcp:6641:host"] {
            assert!(matches!(error(text), E::Host(_)), "{text}");
        }
        for text in ["tcp:h:65536", "tcp:h:+1", "tcp:h:x", "ptcp:-1", "tcp:::1"] {
            assert!(matches!(error(text), E::Port(_) | E::Host(_)), "{text}");
        }
        assert!(matches!("cid:x".parse::<Remotes>(), Err(E::ClusterId(_))));
    }

    #[test]
    fn lists() {
        let list: Remotes =
            "tcp:a:1,tcp:b:1 cid:6b29fc40-ca47-1067-b31d-00dd010662da,\nunix:/x,tcp:a:1".parse().unwrap();
        let names: Vec<String> = list.remotes.iter().map(ToString::to_string).collect();
        assert_eq!(names, ["tcp:a:1", "tcp:b:1", "unix:/x"]);
        assert_eq!(list.cluster_id.unwrap().to_string(), "6b29fc40-ca47-1067-b31d-00dd010662da");
        assert_eq!("".parse::<Remotes>().unwrap(), Remotes::default());
    }
}
