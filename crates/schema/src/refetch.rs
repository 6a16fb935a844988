//! A replica during a refetch: which rows the server has not sent again yet.

use kiln_types::{HashSet, Uuid};

/// Rows that were known when the refetch began and have not come again, by table.
#[derive(Debug, Default)]
pub struct Refetch {
    unseen: Option<Vec<HashSet<Uuid>>>,
}

impl Refetch {
    /// Begins a refetch of tables whose rows are given in order.
    pub fn begin(&mut self, tables: Vec<HashSet<Uuid>>) {
        self.unseen = Some(tables);
    }

    /// Notes that a row of table number `table` has come.
    pub fn seen(&mut self, table: usize, row: Uuid) {
        if let Some(unseen) = &mut self.unseen {
            unseen[table].remove(&row);
        }
    }

    /// Ends the refetch and returns the rows that have not come, by table.
    pub fn end(&mut self) -> Vec<HashSet<Uuid>> {
        self.unseen.take().unwrap_or_default()
    }
}
