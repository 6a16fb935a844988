//! What a run can read, named by a number.

use std::hash::{BuildHasher, Hash};

/// A fingerprint of one readable thing: a row's existence, one of its columns, one key of a map column, one element
/// of a set column, or everything a relation holds under a key.
///
/// Two things whose fingerprints collide are told apart by nobody, so a change of one runs the readers of both: an
/// unneeded run, never a missed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell(u64);

/// A table's part of a fingerprint, made from its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TableId(u64);

const HASHER: foldhash::fast::FixedState = foldhash::fast::FixedState::with_seed(0x6b69_6c6e);

fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a ^ 0x9e37_79b9_7f4a_7c15) * u128::from(b ^ 0xd1b5_4a32_d192_ed03);
    (product >> 64) as u64 ^ product as u64
}

impl TableId {
    pub(crate) fn of(name: &str) -> Self {
        TableId(HASHER.hash_one(name))
    }
}

impl Cell {
    pub(crate) fn row<K: Hash>(table: TableId, key: &K) -> Cell {
        Cell(fold(table.0, HASHER.hash_one(key)))
    }

    /// The whole of column `column` of the row whose existence this cell is.
    pub(crate) fn column(self, column: u16) -> Cell {
        Cell(fold(self.0, u64::from(column) + 1))
    }

    /// The whole of the row whose existence this cell is, every column at once.
    pub(crate) fn whole(self) -> Cell {
        Cell(fold(self.0, 0))
    }

    /// Whether there is a value at all, for values whose cell is this.
    pub(crate) fn presence(self) -> Cell {
        Cell(fold(self.0, u64::MAX))
    }

    /// One map key or set element of the column that this cell is.
    pub(crate) fn element<E: Hash + ?Sized>(self, element: &E) -> Cell {
        Cell(fold(self.0, HASHER.hash_one(element)))
    }
}
