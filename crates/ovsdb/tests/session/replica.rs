//! A replica of table T with a column of each kind, which counts what it is told.

use std::collections::{BTreeMap, BTreeSet};

use kiln_ovsdb::{Map, Replica, RowDecoder, RowError, Set, Text};
use kiln_types::Uuid;

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Row {
    pub(crate) name: Option<Text>,
    pub(crate) n: i64,
    pub(crate) tags: Set<i64>,
    pub(crate) ids: Map<Text, Text>,
}

impl Row {
    fn read(&mut self, row: &mut RowDecoder<'_>, diff: bool) -> Result<(), RowError> {
        while let Some(column) = row.next_column()? {
            match (column, diff) {
                ("name", _) => self.name = row.value()?,
                ("n", _) => {
                    self.n = row.value()?;
                    // a value of the right type that this reader does not know
                    if self.n == 13 {
                        return Err(row.bad_value("anything but 13", "13"));
                    }
                }
                ("tags", false) => self.tags = row.value()?,
                ("tags", true) => row.patch_into(&mut self.tags)?,
                ("ids", false) => self.ids = row.value()?,
                ("ids", true) => row.patch_into(&mut self.ids)?,
                _ => row.skip()?,
            }
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
pub(crate) struct TestReplica {
    pub(crate) rows: BTreeMap<Uuid, Row>,
    /// Rows that became different, came or went.
    pub(crate) changes: usize,
    pub(crate) refetches: usize,
    unseen: Option<BTreeSet<Uuid>>,
}

impl TestReplica {
    /// The rows, one a line: last digit of the uuid, then the columns that are not empty.
    pub(crate) fn show(&self) -> String {
        let mut out = String::new();
        for (uuid, row) in &self.rows {
            out += &format!("{:x}", uuid.as_u128() & 15);
            if let Some(name) = &row.name {
                out += &format!(" {name}");
            }
            if row.n != 0 {
                out += &format!(" n={}", row.n);
            }
            if !row.tags.is_empty() {
                out += &format!(" {:?}", row.tags);
            }
            if !row.ids.is_empty() {
                out += &format!(" {:?}", row.ids);
            }
            out += "; ";
        }
        out
    }
}

impl Replica for TestReplica {
    fn put(&mut self, table: &str, uuid: Uuid, row: &mut RowDecoder<'_>) -> Result<(), RowError> {
        assert_eq!(table, "T");
        let old = self.rows.remove(&uuid);
        let mut new = Row::default();
        new.read(row, false)?;
        self.changes += usize::from(old.as_ref() != Some(&new));
        self.rows.insert(uuid, new);
        if let Some(unseen) = &mut self.unseen {
            unseen.remove(&uuid);
        }
        Ok(())
    }

    fn patch(&mut self, table: &str, uuid: Uuid, row: &mut RowDecoder<'_>) -> Result<(), RowError> {
        assert_eq!(table, "T");
        let Some(mut new) = self.rows.remove(&uuid) else { return Err(row.unknown_row()) };
        new.read(row, true)?;
        self.changes += 1;
        self.rows.insert(uuid, new);
        Ok(())
    }

    fn delete(&mut self, _table: &str, uuid: Uuid) {
        self.changes += usize::from(self.rows.remove(&uuid).is_some());
    }

    fn begin_refetch(&mut self) {
        self.refetches += 1;
        self.unseen = Some(self.rows.keys().copied().collect());
    }

    fn end_refetch(&mut self) {
        for uuid in self.unseen.take().expect("begin_refetch") {
            self.delete("T", uuid);
        }
    }
}
