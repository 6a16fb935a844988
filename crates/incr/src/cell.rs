//! What a run can read, named by a number.

use std::hash::{BuildHasher, Hash};

/// A fingerprint of one readable thing: a row, a value, one key of a map column, one element of a set column, or what a
/// relation holds under a key.
///
/// Two things whose fingerprints collide are told apart by nobody, so a change of one runs the readers of both: an
/// unneeded run, never a missed one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cell(u64);

/// Some parts of a cell, a bit each: of a row its existence and its columns, of a value that it is there and which it is.
/// A run that reads many columns of a row is recorded once, with many bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Parts {
    pub(crate) cell: Cell,
    pub(crate) bits: u32,
}

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

/// The bit of a cell's existence.
pub(crate) const PRESENCE: u32 = 1;
/// Columns from this one on share a bit.
const LAST_COLUMN: u16 = 30;

impl Cell {
    pub(crate) fn row<K: Hash>(table: TableId, key: &K) -> Cell {
        Cell(fold(table.0, HASHER.hash_one(key)))
    }

    /// A fingerprint is as good as its hash.
    pub(crate) fn hash(self) -> u64 {
        self.0
    }

    fn parts(self, bits: u32) -> Parts {
        Parts { cell: self, bits }
    }

    /// Whether there is such a row, or a value at all.
    pub(crate) fn presence(self) -> Parts {
        self.parts(PRESENCE)
    }

    /// The whole of one column of a row.
    pub(crate) fn column(self, column: u16) -> Parts {
        self.parts(2 << column.min(LAST_COLUMN))
    }

    /// Which value there is, or that there is none.
    pub(crate) fn value(self) -> Parts {
        self.parts(2)
    }

    /// A row with all columns; everything under a key.
    pub(crate) fn whole(self) -> Parts {
        self.parts(u32::MAX)
    }

    /// Which keys a map column of a row has, whatever their values are.
    pub(crate) fn keys(self, column: u16) -> Cell {
        const KEYS: u64 = 0x6b65_7973;
        Cell(fold(self.0.wrapping_add(u64::from(column)), KEYS))
    }

    /// One map key or set element of a column of a row.
    pub(crate) fn element<E: Hash + ?Sized>(self, column: u16, element: &E) -> Cell {
        Cell(fold(self.0.wrapping_add(u64::from(column)), HASHER.hash_one(element)))
    }
}
