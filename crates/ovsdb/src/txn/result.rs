//! What a server answers a transaction with (RFC 7047 sections 4.1.3 and 5.2).

use std::fmt;

use kiln_types::Uuid;

use crate::json::{DecodeError, Decoder, TextCache};
use crate::row::{RowDecoder, RowError};

/// The result of one operation that was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OpResult {
    /// Nothing to tell: `wait`, `comment`, `assert`, `commit`.
    Done,
    /// Number of rows that matched: `update`, `mutate`, `delete`.
    Count(u64),
    /// The new row's uuid: `insert`.
    Inserted(Uuid),
    /// The JSON array of rows: `select`. Read it with [`decode_rows`].
    Rows(String),
}

/// The answer to a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TxnReply {
    /// Committed; one result for each operation.
    Committed(Vec<OpResult>),
    /// Not carried out, no part of it.
    Failed(OpError),
}

/// Why a transaction failed (RFC 7047 section 3.1, `<error>`).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct OpError {
    /// The operation at fault; `None` when only the commit found the fault, or the server refused the request as a whole.
    pub op: Option<usize>,
    /// The `error` member, such as `constraint violation`.
    pub error: String,
    /// The `details` member, or empty.
    pub details: String,
}

impl fmt::Display for OpError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.error)?;
        if !self.details.is_empty() {
            write!(f, ": {}", self.details)?;
        }
        match self.op {
            Some(op) => write!(f, " (operation {op})"),
            None => Ok(()),
        }
    }
}

/// What a failed transaction's sender should do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorClass {
    /// The database was not as the transaction assumed: a wait timed out, or the result would break a constraint, a
    /// reference or a uuid's uniqueness. Make it anew from the replica once that has caught up.
    Conflict,
    /// Another client holds the lock.
    NotOwner,
    /// The server could not now; the same transaction may pass later.
    Temporary,
    /// This client is not permitted to.
    Permission,
    /// The server will never take it as it stands.
    Refused,
}

impl OpError {
    /// Sorts the error by what to do about it.
    pub fn class(&self) -> ErrorClass {
        match &*self.error {
            "timed out" | "constraint violation" | "referential integrity violation" | "duplicate uuid" => {
                ErrorClass::Conflict
            }
            "not owner" => ErrorClass::NotOwner,
            "resources exhausted" | "I/O error" | "canceled" | "cluster error" | "not leader" => {
                ErrorClass::Temporary
            }
            "permission error" | "not allowed" => ErrorClass::Permission,
            _ => ErrorClass::Refused,
        }
    }

    /// Reads an `<error>` object, or a bare string, as some servers send.
    pub(crate) fn decode(json: &mut Decoder<'_>, op: Option<usize>) -> Result<Self, DecodeError> {
        let mut found = OpError { op, error: String::new(), details: String::new() };
        if json.peek() == Some(b'"') {
            found.error = json.string()?.into_owned();
            return Ok(found);
        }
        if json.peek() != Some(b'{') {
            found.error.push_str(json.raw_value()?);
            return Ok(found);
        }
        json.begin_object()?;
        let mut first = true;
        while let Some(member) = json.next_member(&mut first)? {
            match member {
                "error" => found.error = json.string()?.into_owned(),
                "details" => found.details = json.string()?.into_owned(),
                _ => json.skip_value()?,
            }
        }
        Ok(found)
    }
}

impl TxnReply {
    /// Reads a `transact` reply's `result`, for a request of `ops` operations.
    pub(crate) fn decode(json: &mut Decoder<'_>, ops: usize) -> Result<Self, DecodeError> {
        json.begin_array()?;
        let mut first = true;
        let mut results = Vec::with_capacity(ops);
        let mut failed: Option<OpError> = None;
        let mut index = 0;
        while json.next_element(&mut first)? {
            if index > ops {
                return Err(DecodeError::Type { expected: "as many results as operations" });
            }
            // operations after the one that failed are answered with null
            if json.null() {
                index += 1;
                continue;
            }
            match OpResult::decode(json, (index < ops).then_some(index))? {
                Ok(result) => results.push(result),
                Err(error) => failed = failed.or(Some(error)),
            }
            index += 1;
        }
        match failed {
            Some(error) => Ok(TxnReply::Failed(error)),
            None if results.len() == ops => Ok(TxnReply::Committed(results)),
            None => Err(DecodeError::Type { expected: "as many results as operations" }),
        }
    }
}

impl OpResult {
    fn decode(json: &mut Decoder<'_>, op: Option<usize>) -> Result<Result<Self, OpError>, DecodeError> {
        let start = json.position();
        json.begin_object()?;
        let mut result = OpResult::Done;
        let mut first = true;
        while let Some(member) = json.next_member(&mut first)? {
            match member {
                "error" => {
                    json.seek(start);
                    return OpError::decode(json, op).map(Err);
                }
                "count" => result = OpResult::Count(u64::try_from(json.integer()?).unwrap_or(0)),
                "uuid" => {
                    let mut element = true;
                    json.begin_array()?;
                    if !json.next_element(&mut element)? || json.string()? != "uuid" {
                        return Err(DecodeError::Type { expected: "uuid" });
                    }
                    json.comma()?;
                    result = OpResult::Inserted(json.uuid_string()?);
                    json.end_array()?;
                }
                "rows" => result = OpResult::Rows(json.raw_value()?.to_owned()),
                _ => json.skip_value()?,
            }
        }
        Ok(Ok(result))
    }
}

/// Calls `take` for each row of a select's result. The row's uuid is known only if it was asked for: it comes as the
/// column `_uuid`.
pub fn decode_rows(
    table: &str,
    rows: &str,
    mut take: impl FnMut(&mut RowDecoder<'_>) -> Result<(), RowError>,
) -> Result<(), RowError> {
    let mut texts = TextCache::default();
    let mut pos = 0;
    let mut first = true;
    loop {
        let mut json = Decoder::new(rows, &mut texts);
        json.seek(pos);
        let more =
            if pos == 0 { json.begin_array() } else { Ok(()) }.and_then(|()| json.next_element(&mut first));
        let more = more.map_err(|error| RowError::syntax(table, Uuid::nil(), error))?;
        if !more {
            return Ok(());
        }
        let mut row = RowDecoder::new(json, table, Uuid::nil());
        take(&mut row)?;
        pos = row.finish()?;
    }
}
