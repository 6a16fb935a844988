//! Rows as they arrive: a decoder that hands out one column at a time, and the replica that takes them in.

use std::fmt;

use kiln_types::Uuid;

use crate::column::Column;
use crate::json::{DecodeError, Decoder, TextCache};

/// A typed copy of the monitored part of a database. A `Session` drives it.
///
/// Calls made by one `handle_bytes` are whole transactions of the server. `table` is always one that the session was told to
/// monitor.
pub trait Replica {
    /// A row in full; columns that do not appear have their type's default, or are not monitored. The row may be known
    /// already: what is equal must then count as unchanged.
    ///
    /// On error the replica keeps no part of the row: a row that was known is to be forgotten.
    fn put(&mut self, table: &str, uuid: Uuid, row: &mut RowDecoder<'_>) -> Result<(), RowError>;

    /// Changed columns of a known row, each as a difference to apply with [`Column::apply_diff`]. An unknown row is
    /// answered with [`RowDecoder::unknown_row`]. On error a row that was known is to be forgotten.
    fn patch(&mut self, table: &str, uuid: Uuid, row: &mut RowDecoder<'_>) -> Result<(), RowError>;

    /// The row is gone, or no longer matches the table's conditions. It may be unknown.
    fn delete(&mut self, table: &str, uuid: Uuid);

    /// The database's whole content follows as `put`s, because the server could not resume.
    fn begin_refetch(&mut self);

    /// The content is complete: rows not put since `begin_refetch` are gone. If this call does not come, the refetch was
    /// broken off, and another will begin later; until then nothing is gone.
    fn end_refetch(&mut self);
}

/// Why a row was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RowError(pub Box<RowErrorKind>);

impl RowError {
    pub(crate) fn syntax(table: &str, row: Uuid, error: DecodeError) -> Self {
        RowError(Box::new(RowErrorKind::Syntax { table: table.to_owned(), row, error }))
    }
}

/// The kinds of [`RowError`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RowErrorKind {
    /// A column's value is not of its type, or not one that the reader knows.
    #[error("{table} {row}, column {column}: expected {expected}, got {got}")]
    Value {
        /// The table.
        table: String,
        /// The row's uuid.
        row: Uuid,
        /// The column.
        column: String,
        /// What the column may hold.
        expected: String,
        /// The JSON that came, cut to a readable length.
        got: String,
    },
    /// A change to a row that the replica does not hold.
    #[error("{table} {row}: change to a row that is not known")]
    UnknownRow {
        /// The table.
        table: String,
        /// The row's uuid.
        row: Uuid,
    },
    /// The message is not JSON from here on.
    #[error("{table} {row}: {error}")]
    Syntax {
        /// The table.
        table: String,
        /// The row's uuid.
        row: Uuid,
        /// What was expected, and where.
        error: DecodeError,
    },
}

/// The columns of one row, in the order in which they came.
///
/// ```
/// # use kiln_ovsdb::{RowDecoder, RowError, Text, Set, json::TextCache};
/// # use kiln_types::Uuid;
/// #[derive(Default)]
/// struct Port { name: Text, tag: Option<i64>, peers: Set<Uuid> }
///
/// fn read(row: &mut RowDecoder<'_>) -> Result<Port, RowError> {
///     let mut port = Port::default();
///     while let Some(column) = row.next_column()? {
///         match column {
///             "name" => port.name = row.value()?,
///             "tag" => port.tag = row.value()?,
///             "peers" => port.peers = row.value()?,
///             _ => row.skip()?,
///         }
///     }
///     Ok(port)
/// }
/// # let mut texts = TextCache::default();
/// # let text = r#"{"name":"lp","other":["map",[]],"tag":["set",[]]}"#;
/// # let port = read(&mut RowDecoder::of("Port", Uuid::nil(), text, &mut texts)).unwrap();
/// # assert_eq!(&*port.name, "lp");
/// ```
pub struct RowDecoder<'a> {
    json: Decoder<'a>,
    table: &'a str,
    uuid: Uuid,
    column: &'a str,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Before,
    /// The cursor stands before a column's value.
    AtValue,
    /// The cursor stands behind a value.
    Between,
    Done,
    /// What follows is not JSON.
    Broken(DecodeError),
}

impl fmt::Debug for RowDecoder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RowDecoder")
            .field("table", &self.table)
            .field("uuid", &self.uuid)
            .field("column", &self.column)
            .finish_non_exhaustive()
    }
}

impl<'a> RowDecoder<'a> {
    /// The row whose JSON object is `text`.
    pub fn of(table: &'a str, uuid: Uuid, text: &'a str, texts: &'a mut TextCache) -> Self {
        RowDecoder::new(Decoder::new(text, texts), table, uuid)
    }

    /// The row whose JSON object begins at the decoder's cursor.
    pub(crate) fn new(json: Decoder<'a>, table: &'a str, uuid: Uuid) -> Self {
        RowDecoder { json, table, uuid, column: "", state: State::Before }
    }

    /// The row's table.
    pub fn table(&self) -> &'a str {
        self.table
    }

    /// The row's uuid.
    pub fn uuid(&self) -> Uuid {
        self.uuid
    }

    /// The name of the next column, whose value is then taken or skipped.
    pub fn next_column(&mut self) -> Result<Option<&'a str>, RowError> {
        let mut first = false;
        match self.state {
            State::Done => return Ok(None),
            State::Broken(error) => return Err(self.syntax(error)),
            State::AtValue => self.skip()?,
            State::Between => {}
            State::Before => {
                first = true;
                // a deleted row stands as null
                if self.json.null() {
                    self.state = State::Done;
                    return Ok(None);
                }
                if let Err(error) = self.json.begin_object() {
                    return Err(self.syntax(error));
                }
            }
        }
        match self.json.next_member(&mut first) {
            Ok(Some(column)) => {
                self.column = column;
                self.state = State::AtValue;
                Ok(Some(column))
            }
            Ok(None) => {
                self.state = State::Done;
                Ok(None)
            }
            Err(error) => Err(self.syntax(error)),
        }
    }

    /// The column's value.
    pub fn value<T: Column>(&mut self) -> Result<T, RowError> {
        debug_assert!(self.state == State::AtValue, "value() without next_column()");
        let start = self.json.position();
        match T::decode(&mut self.json) {
            Ok(value) => {
                self.state = State::Between;
                Ok(value)
            }
            Err(_) => Err(self.reject(start, T::expected())),
        }
    }

    /// Replaces `column` by the value; true if it differed.
    pub fn put_into<T: Column>(&mut self, column: &mut T) -> Result<bool, RowError> {
        let value = self.value()?;
        let differs = *column != value;
        *column = value;
        Ok(differs)
    }

    /// Applies the value to `column` as a difference.
    pub fn patch_into<T: Column>(&mut self, column: &mut T) -> Result<(), RowError> {
        column.apply_diff(self.value()?);
        Ok(())
    }

    /// Passes over the column's value.
    pub fn skip(&mut self) -> Result<(), RowError> {
        match self.json.skip_value() {
            Ok(()) => {
                self.state = State::Between;
                Ok(())
            }
            Err(error) => Err(self.syntax(error)),
        }
    }

    /// An error about the current column's value, for readers that know more than its type. `got` is what was read.
    pub fn bad_value(&self, expected: impl Into<String>, got: impl Into<String>) -> RowError {
        RowError(Box::new(RowErrorKind::Value {
            table: self.table.to_owned(),
            row: self.uuid,
            column: self.column.to_owned(),
            expected: expected.into(),
            got: got.into(),
        }))
    }

    /// The error of a patch to a row that the replica does not hold.
    pub fn unknown_row(&self) -> RowError {
        RowError(Box::new(RowErrorKind::UnknownRow { table: self.table.to_owned(), row: self.uuid }))
    }

    fn syntax(&mut self, error: DecodeError) -> RowError {
        self.state = State::Broken(error);
        RowError::syntax(self.table, self.uuid, error)
    }

    /// The value at `start` does not decode: goes behind it, so that the rest of the message can be read.
    fn reject(&mut self, start: usize, expected: String) -> RowError {
        const EXCERPT: usize = 100;
        self.json.seek(start);
        match self.json.skip_value() {
            Ok(()) => {
                self.state = State::Between;
                self.bad_value(expected, self.json.excerpt(start, self.json.position(), EXCERPT))
            }
            Err(error) => self.syntax(error),
        }
    }

    /// Passes over the columns that are left and returns the offset behind the row.
    pub(crate) fn finish(&mut self) -> Result<usize, RowError> {
        while self.next_column()?.is_some() {}
        Ok(self.json.position())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::column::{Set, Text};

    fn read(text: &str) -> Result<(Text, Set<i64>), RowError> {
        let mut texts = TextCache::default();
        let mut row = RowDecoder::of("Port", Uuid::from_u128(1), text, &mut texts);
        let mut found = (Text::default(), Set::default());
        while let Some(column) = row.next_column()? {
            match column {
                "name" => found.0 = row.value()?,
                "tags" => found.1 = row.value()?,
                "left" => {}
                _ => row.skip()?,
            }
        }
        Ok(found)
    }

    #[test]
    fn columns_come_one_by_one() {
        let row = read(r#"{"x":{"y":[1,"}"]},"name":"a","left":["set",[]],"tags":["set",[2,1]]}"#).unwrap();
        assert_eq!((&*row.0, &row.1[..]), ("a", &[1, 2][..]));
        assert_eq!(read("{}").unwrap().1.len(), 0);
        assert_eq!(read("null").unwrap().1.len(), 0);
    }

    #[test]
    fn a_bad_value_is_named() {
        assert_eq!(
            read(r#"{"name":"a","tags":["set",[1,"two"]]}"#).unwrap_err().to_string(),
            "Port 00000000-0000-0000-0000-000000000001, column tags: expected set of integer, got [\"set\",[1,\"two\"]]"
        );
        let long = format!("{{\"tags\":\"{}\"}}", "é".repeat(1000));
        assert!(read(&long).unwrap_err().to_string().len() < 250);
    }

    #[test]
    fn after_a_bad_value_the_rest_can_be_read() {
        let text = r#"{"tags":"x","name":"a"}"#;
        let mut texts = TextCache::default();
        let mut row = RowDecoder::of("Port", Uuid::nil(), text, &mut texts);
        row.next_column().unwrap();
        assert!(matches!(*row.value::<i64>().unwrap_err().0, RowErrorKind::Value { .. }));
        assert_eq!(row.next_column().unwrap(), Some("name"));
        assert_eq!(row.finish().unwrap(), text.len());
    }

    #[test]
    fn broken_text_stays_broken() {
        for text in
            [r#"{"name":"a""#, r#"{"name""#, r#"{"name" "a"}"#, "[]", "", r#"{"name":[}"#, r#"{"tags":[1}"#]
        {
            let mut texts = TextCache::default();
            let mut row = RowDecoder::of("Port", Uuid::nil(), text, &mut texts);
            let mut broken = false;
            for _ in 0..4 {
                broken |= match row.next_column() {
                    Ok(Some(_)) => row.value::<Text>().is_err(),
                    Ok(None) => false,
                    Err(_) => true,
                };
            }
            assert!(broken, "{text}");
            assert!(row.finish().is_err(), "{text}");
        }
    }

    #[test]
    fn replicas_can_tell_what_changed() {
        let mut texts = TextCache::default();
        let mut row = RowDecoder::of("Port", Uuid::nil(), r#"{"tags":["set",[1]],"name":"b"}"#, &mut texts);
        let mut tags = Set::from_iter([1i64, 2]);
        let mut name = Text::from("b");
        row.next_column().unwrap();
        row.patch_into(&mut tags).unwrap();
        row.next_column().unwrap();
        assert!(!row.put_into(&mut name).unwrap());
        assert_eq!(&tags[..], &[2]);
    }
}
