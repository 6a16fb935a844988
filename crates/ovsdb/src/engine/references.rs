//! Who refers to whom (RFC 7047 section 3.2, `refTable` and `refType`).

use std::collections::BTreeMap;

use kiln_types::{HashMap, Uuid};

use crate::schema::{ColumnType, RefKind};
use crate::value::{Atom, Datum, compare};

/// A row of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct RowId {
    /// The table's index in the schema.
    pub(super) table: usize,
    pub(super) uuid: Uuid,
}

/// The references of the committed rows, seen from their targets.
#[derive(Debug, Default)]
pub(super) struct References {
    /// How many strong references point to a row from others.
    strong: HashMap<RowId, u32>,
    /// How many weak references point from a row to another: target first.
    weak: BTreeMap<(RowId, RowId), u32>,
}

impl References {
    pub(super) fn strong_count(&self, target: RowId) -> u32 {
        self.strong.get(&target).copied().unwrap_or(0)
    }

    /// The rows that refer weakly to `target`.
    pub(super) fn weak_sources(&self, target: RowId) -> impl Iterator<Item = RowId> {
        let first = RowId { table: 0, uuid: Uuid::nil() };
        self.weak
            .range((target, first)..)
            .map(|(pair, _)| *pair)
            .take_while(move |pair| pair.0 == target)
            .map(|pair| pair.1)
    }

    pub(super) fn add_strong(&mut self, target: RowId, change: i64) {
        let count = i64::from(self.strong_count(target)) + change;
        debug_assert!(count >= 0, "more references dropped than counted");
        if count > 0 {
            self.strong.insert(target, count as u32);
        } else {
            self.strong.remove(&target);
        }
    }

    pub(super) fn add_weak(&mut self, target: RowId, source: RowId, change: i64) {
        let count = self.weak.entry((target, source)).or_default();
        *count = (i64::from(*count) + change) as u32;
        if *count == 0 {
            self.weak.remove(&(target, source));
        }
    }

    /// Every strong count and every weak reference, for comparison with a recount.
    #[cfg(test)]
    pub(super) fn dump(&self) -> (BTreeMap<RowId, u32>, BTreeMap<(RowId, RowId), u32>) {
        (self.strong.iter().map(|(id, count)| (*id, *count)).collect(), self.weak.clone())
    }
}

/// Calls `visit` with each reference of one kind that differs between two values of a column, and with 1 for one that was
/// added, -1 for one that was removed. An absent value refers to nothing.
pub(super) fn changed_references(
    ty: &ColumnType,
    kind: RefKind,
    old: Option<&Datum>,
    new: Option<&Datum>,
    mut visit: impl FnMut(RowId, i64),
) {
    let key = ty.key().reference(kind).map(|reference| reference.table_index);
    let value = ty.value().and_then(|value| value.reference(kind)).map(|reference| reference.table_index);
    let mut tell = |table: Option<usize>, atom: Option<&Atom>, change: i64| {
        if let (Some(table), Some(uuid)) = (table, atom.and_then(Atom::as_uuid)) {
            visit(RowId { table, uuid }, change);
        }
    };
    compare(old, new, |old, new| match (old, new) {
        (Some(old), Some(new)) => {
            if old.1 != new.1 {
                tell(value, old.1, -1);
                tell(value, new.1, 1);
            }
        }
        (old, new) => {
            for (element, change) in [(old, -1), (new, 1)] {
                if let Some((k, v)) = element {
                    tell(key, Some(k), change);
                    tell(value, v, change);
                }
            }
        }
    });
}
