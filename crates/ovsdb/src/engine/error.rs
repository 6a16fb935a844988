//! Errors as clients see them: `<error>` of RFC 7047 section 3.1 with the strings of sections 4 and 5 and of ovsdb-server(7).

use std::fmt;

use crate::json::{DecodeError, write_string};
use crate::value::ValueError;

/// Why a request failed. Always the client's doing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind}: {details}")]
pub struct Error {
    /// Which error, for programs.
    pub kind: ErrorKind,
    /// What was expected and what came, for people.
    pub details: String,
}

/// The `error` member of an `<error>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum ErrorKind {
    Syntax,
    UnknownColumn,
    UnknownFunction,
    UnknownMutator,
    UnknownDatabase,
    ConstraintViolation,
    ReferentialIntegrity,
    /// A set or map with a repeated element or key.
    Duplicate,
    DuplicateUuid,
    DuplicateUuidName,
    DomainError,
    RangeError,
    TimedOut,
    Aborted,
    NotOwner,
    NotAllowed,
}

impl ErrorKind {
    /// The string on the wire.
    pub fn tag(self) -> &'static str {
        match self {
            ErrorKind::Syntax => "syntax error",
            ErrorKind::UnknownColumn => "unknown column",
            ErrorKind::UnknownFunction => "unknown function",
            ErrorKind::UnknownMutator => "unknown mutator",
            ErrorKind::UnknownDatabase => "unknown database",
            ErrorKind::ConstraintViolation => "constraint violation",
            ErrorKind::ReferentialIntegrity => "referential integrity violation",
            ErrorKind::Duplicate => "ovsdb error",
            ErrorKind::DuplicateUuid => "duplicate uuid",
            ErrorKind::DuplicateUuidName => "duplicate uuid-name",
            ErrorKind::DomainError => "domain error",
            ErrorKind::RangeError => "range error",
            ErrorKind::TimedOut => "timed out",
            ErrorKind::Aborted => "aborted",
            ErrorKind::NotOwner => "not owner",
            ErrorKind::NotAllowed => "not allowed",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.tag())
    }
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, details: impl Into<String>) -> Self {
        Error { kind, details: details.into() }
    }

    pub(crate) fn syntax(details: impl Into<String>) -> Self {
        Error::new(ErrorKind::Syntax, details)
    }

    pub(crate) fn constraint(details: impl Into<String>) -> Self {
        Error::new(ErrorKind::ConstraintViolation, details)
    }

    /// Says where the error lies.
    pub(crate) fn within(self, place: impl fmt::Display) -> Self {
        Error { details: format!("{place}: {}", self.details), ..self }
    }

    /// Appends the `<error>` object.
    pub fn encode(&self, out: &mut String) {
        out.push_str("{\"error\":");
        write_string(out, self.kind.tag());
        out.push_str(",\"details\":");
        write_string(out, &self.details);
        out.push('}');
    }
}

impl From<DecodeError> for Error {
    fn from(error: DecodeError) -> Self {
        Error::syntax(error.to_string())
    }
}

impl From<ValueError> for Error {
    fn from(error: ValueError) -> Self {
        let kind = match error {
            ValueError::Syntax(_) => ErrorKind::Syntax,
            ValueError::Constraint(_) => ErrorKind::ConstraintViolation,
            ValueError::Duplicate(..) => ErrorKind::Duplicate,
        };
        Error::new(kind, error.to_string())
    }
}
