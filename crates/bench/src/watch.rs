//! A replica that keeps what a benchmark waits for: numbers of rows that stand alone in their tables.

use kiln_ovsdb::{Replica, RowDecoder, RowError};
use kiln_types::Uuid;
use std::collections::BTreeMap;

/// The row of a table, and its columns that are integers.
#[derive(Default)]
struct Row {
    uuid: Uuid,
    numbers: BTreeMap<String, i64>,
}

/// The last row that was seen of each table.
pub(crate) struct Watch {
    /// Columns that are integers; others are not looked at.
    numbers: &'static [&'static str],
    rows: BTreeMap<String, Row>,
}

impl Watch {
    /// Keeps these columns.
    pub(crate) fn new(numbers: &'static [&'static str]) -> Watch {
        Watch { numbers, rows: BTreeMap::new() }
    }

    /// The uuid of a table's row, if it has one.
    pub(crate) fn row(&self, table: &str) -> Option<Uuid> {
        self.rows.get(table).map(|row| row.uuid)
    }

    /// A number of a table's row; 0 if there is none.
    pub(crate) fn number(&self, table: &str, column: &str) -> i64 {
        self.rows.get(table).and_then(|row| row.numbers.get(column)).copied().unwrap_or(0)
    }
}

impl Replica for Watch {
    fn put(&mut self, table: &str, uuid: Uuid, row: &mut RowDecoder<'_>) -> Result<(), RowError> {
        let kept = self.rows.entry(table.to_owned()).or_default();
        kept.uuid = uuid;
        while let Some(column) = row.next_column()? {
            if self.numbers.contains(&column) {
                kept.numbers.insert(column.to_owned(), row.value()?);
            } else {
                row.skip()?;
            }
        }
        Ok(())
    }
    fn patch(&mut self, table: &str, uuid: Uuid, row: &mut RowDecoder<'_>) -> Result<(), RowError> {
        self.put(table, uuid, row)
    }
    fn delete(&mut self, _: &str, _: Uuid) {}
    fn begin_refetch(&mut self) {}
    fn end_refetch(&mut self) {}
}
