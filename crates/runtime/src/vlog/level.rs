//! Severities, destinations and syslog facilities, by the names that operators use.

use std::fmt;

/// How much a destination lets through, and how severe a message is; later means more talkative.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Nothing; no message has this level.
    Off,
    /// The process cannot go on.
    Emer,
    /// A whole operation failed.
    Err,
    /// A part failed and what is above may recover.
    Warn,
    /// Worth knowing in retrospect.
    Info,
    /// For who knows the code.
    Dbg,
}

impl Level {
    const ALL: [(&'static str, Level); 6] = [
        ("OFF", Level::Off),
        ("EMER", Level::Emer),
        ("ERR", Level::Err),
        ("WARN", Level::Warn),
        ("INFO", Level::Info),
        ("DBG", Level::Dbg),
    ];

    /// The level called `name`, in any case.
    pub fn parse(name: &str) -> Option<Level> {
        Self::ALL.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, level)| *level)
    }

    /// The name in capitals.
    pub fn name(self) -> &'static str {
        Self::ALL.iter().find(|(_, level)| *level == self).map_or("", |(name, _)| name)
    }

    /// The level of a `tracing` event. There is none for TRACE, which is never logged.
    pub fn of(level: tracing::Level) -> Option<Level> {
        match level {
            tracing::Level::ERROR => Some(Level::Err),
            tracing::Level::WARN => Some(Level::Warn),
            tracing::Level::INFO => Some(Level::Info),
            tracing::Level::DEBUG => Some(Level::Dbg),
            tracing::Level::TRACE => None,
        }
    }

    /// Severity in syslog's numbers (RFC 5424 section 6.2.1).
    pub(crate) fn syslog_severity(self) -> u8 {
        match self {
            Level::Off | Level::Emer => 0,
            Level::Err => 3,
            Level::Warn => 4,
            Level::Info => 6,
            Level::Dbg => 7,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Where messages go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Destination {
    /// Standard error.
    Console,
    /// The syslog daemon.
    Syslog,
    /// The file of `--log-file`.
    File,
}

impl Destination {
    /// All of them, in the order in which `vlog/list` shows them.
    pub const ALL: [Destination; 3] = [Destination::Console, Destination::Syslog, Destination::File];

    /// The destination called `name`, in any case.
    pub fn parse(name: &str) -> Option<Destination> {
        Self::ALL.into_iter().find(|known| known.name().eq_ignore_ascii_case(name))
    }

    /// The name in small letters.
    pub fn name(self) -> &'static str {
        match self {
            Destination::Console => "console",
            Destination::Syslog => "syslog",
            Destination::File => "file",
        }
    }
}

/// A syslog facility (RFC 5424 section 6.2.1), unshifted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facility(u8);

impl Facility {
    /// What daemons log under unless told otherwise.
    pub const DAEMON: Facility = Facility(3);

    const NAMES: [&'static str; 24] = [
        "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "clock", "ftp", "ntp",
        "audit", "alert", "clock2", "", "local0", "local1", "local2", "local3", "local4", "local5", "local6",
        "local7",
    ];

    /// The facility called `name`, in any case.
    pub fn parse(name: &str) -> Option<Facility> {
        let index =
            Self::NAMES.iter().position(|known| !known.is_empty() && known.eq_ignore_ascii_case(name))?;
        Some(Facility(index as u8))
    }

    /// The PRI value of a message of `level` under this facility.
    pub(crate) fn priority(self, level: Level) -> u8 {
        self.0 * 8 + level.syslog_severity()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip_in_any_case() {
        for (name, level) in Level::ALL {
            assert_eq!(Level::parse(&name.to_lowercase()), Some(level));
            assert_eq!(level.to_string(), name);
        }
        assert_eq!(Level::parse("debug"), None);
        assert!(Level::Err < Level::Dbg);
        assert_eq!(Destination::parse("SYSLOG"), Some(Destination::Syslog));
        assert_eq!(Destination::parse("any"), None);
    }

    #[test]
    fn priorities_follow_rfc_5424() {
        // The RFC's own examples: local4 notice would be 165; kern emergency is 0.
        assert_eq!(Facility::parse("kern").expect("known").priority(Level::Emer), 0);
        assert_eq!(Facility::parse("local4").expect("known").priority(Level::Warn), 164);
        assert_eq!(Facility::DAEMON.priority(Level::Info), 30);
        assert_eq!(Facility::parse(""), None);
        assert_eq!(Facility::parse("local8"), None);
    }
}
