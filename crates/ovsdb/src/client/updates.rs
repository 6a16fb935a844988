//! Table updates, read straight into a replica (RFC 7047 section 4.1.6, ovsdb-server(7) section 4.1.14).

use std::collections::BTreeMap;

use kiln_types::Uuid;

use super::event::CloseReason;
use crate::json::{DecodeError, Decoder};
use crate::row::{Replica, RowDecoder, RowError, RowErrorKind};

impl CloseReason {
    pub(super) fn malformed(what: &'static str, error: impl ToString) -> Self {
        CloseReason::Malformed { what, error: error.to_string() }
    }
}

/// How rows are reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `<table-updates>`: `old` and `new`, `new` in full.
    Full,
    /// `<table-updates2>`: `initial`, `insert`, `modify` as a difference, `delete`.
    Difference,
}

/// Rows that the replica did not take. A change to one is a difference to something unknown, so the row is read anew as a
/// whole instead.
#[derive(Debug, Default)]
pub(super) struct Skipped {
    /// By table and row; whether it is being read anew.
    rows: BTreeMap<(Box<str>, Uuid), bool>,
    /// Rows to read anew.
    pub(super) stale: Vec<(Box<str>, Uuid)>,
    /// Why rows were skipped; the first ones.
    pub(super) reports: Vec<RowError>,
    /// How many times a row was skipped.
    pub(super) count: u64,
}

impl Skipped {
    /// More than this many rows that cannot be read mean that the server is not worth listening to.
    const MAX: usize = 1 << 16;
    const MAX_REPORTS: usize = 16;

    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.stale.clear();
    }

    /// The connection is gone: nothing is being read anew.
    pub(super) fn disconnected(&mut self) {
        self.stale.clear();
        self.rows.values_mut().for_each(|asked| *asked = false);
    }

    /// Whether the row is still skipped; its answer has come.
    pub(super) fn take_answer(&mut self, table: &str, row: Uuid) -> bool {
        self.rows.remove(&(table.into(), row)) == Some(true)
    }

    fn add(&mut self, table: &str, row: Uuid, error: RowError) -> Result<(), CloseReason> {
        self.count += 1;
        self.rows.insert((table.into(), row), false);
        if self.reports.len() < Self::MAX_REPORTS {
            self.reports.push(error);
        }
        if self.rows.len() > Self::MAX {
            return Err(CloseReason::malformed(
                "rows",
                format!("more than {} that cannot be read", Self::MAX),
            ));
        }
        Ok(())
    }

    /// A change came to a row that the replica does not hold: fine if it was skipped.
    fn changed(&mut self, table: &str, row: Uuid, error: RowError) -> Result<(), CloseReason> {
        match self.rows.get_mut(&(table.into(), row)) {
            Some(asked) => {
                self.count += 1;
                if !std::mem::replace(asked, true) {
                    self.stale.push((table.into(), row));
                }
                Ok(())
            }
            None => Err(CloseReason::OutOfStep(error)),
        }
    }

    fn remove(&mut self, table: &str, row: Uuid) {
        if !self.rows.is_empty() {
            self.rows.remove(&(table.into(), row));
        }
    }

    /// Hands the replica a row in full.
    pub(super) fn put(
        &mut self,
        replica: &mut dyn Replica,
        row: &mut RowDecoder<'_>,
    ) -> Result<usize, CloseReason> {
        let (table, uuid) = (row.table(), row.uuid());
        match replica.put(table, uuid, row) {
            Ok(()) => self.remove(table, uuid),
            Err(error) => self.judge(table, uuid, error)?,
        }
        row.finish().map_err(|error| CloseReason::malformed("row", error))
    }

    fn patch(&mut self, replica: &mut dyn Replica, row: &mut RowDecoder<'_>) -> Result<usize, CloseReason> {
        let (table, uuid) = (row.table(), row.uuid());
        match replica.patch(table, uuid, row) {
            Ok(()) => {}
            Err(error) => self.judge(table, uuid, error)?,
        }
        row.finish().map_err(|error| CloseReason::malformed("row", error))
    }

    fn judge(&mut self, table: &str, uuid: Uuid, error: RowError) -> Result<(), CloseReason> {
        match &*error.0 {
            RowErrorKind::Syntax { .. } => Err(CloseReason::malformed("row", error)),
            RowErrorKind::UnknownRow { .. } => self.changed(table, uuid, error),
            RowErrorKind::Value { .. } => self.add(table, uuid, error),
        }
    }
}

/// Reads table updates at the decoder's cursor into the replica; returns how many rows they told of.
pub(super) fn apply(
    json: &mut Decoder<'_>,
    form: Form,
    monitored: &dyn Fn(&str) -> bool,
    replica: &mut dyn Replica,
    skipped: &mut Skipped,
) -> Result<u64, CloseReason> {
    let malformed = |error: DecodeError| CloseReason::malformed("table updates", error);
    let mut rows = 0;
    json.begin_object().map_err(malformed)?;
    let mut first = true;
    while let Some(table) = json.next_member(&mut first).map_err(malformed)? {
        if !monitored(table) {
            return Err(CloseReason::malformed(
                "table updates",
                format!("table {table:.80} is not monitored"),
            ));
        }
        json.begin_object().map_err(malformed)?;
        let mut first = true;
        while let Some(row) = json.next_member(&mut first).map_err(malformed)? {
            let uuid = crate::json::parse_uuid(row).ok_or_else(|| {
                CloseReason::malformed("table updates", format!("expected a uuid, got {row:.80}"))
            })?;
            apply_row(json, form, table, uuid, replica, skipped)?;
            rows += 1;
        }
    }
    Ok(rows)
}

fn apply_row(
    json: &mut Decoder<'_>,
    form: Form,
    table: &str,
    uuid: Uuid,
    replica: &mut dyn Replica,
    skipped: &mut Skipped,
) -> Result<(), CloseReason> {
    let malformed = |error: DecodeError| CloseReason::malformed("row update", error);
    json.begin_object().map_err(malformed)?;
    let mut first = true;
    let (mut deleted, mut present) = (false, false);
    while let Some(member) = json.next_member(&mut first).map_err(malformed)? {
        let end = match (form, member) {
            (Form::Difference, "initial" | "insert") | (Form::Full, "new") => {
                present = true;
                skipped.put(replica, &mut RowDecoder::new(json.fork(), table, uuid))?
            }
            (Form::Difference, "modify") => {
                present = true;
                skipped.patch(replica, &mut RowDecoder::new(json.fork(), table, uuid))?
            }
            (Form::Difference, "delete") | (Form::Full, "old") => {
                deleted = true;
                json.skip_value().map_err(malformed)?;
                json.position()
            }
            (form, member) => {
                let expected = match form {
                    Form::Full => "\"old\" or \"new\"",
                    Form::Difference => "\"initial\", \"insert\", \"modify\" or \"delete\"",
                };
                return Err(CloseReason::malformed(
                    "row update",
                    format!("expected {expected}, got {member:.40}"),
                ));
            }
        };
        json.seek(end);
    }
    if deleted && !present {
        skipped.remove(table, uuid);
        replica.delete(table, uuid);
    } else if !present {
        return Err(CloseReason::malformed("row update", "no member"));
    }
    Ok(())
}
