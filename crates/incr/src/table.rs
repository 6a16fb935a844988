//! Input tables: rows with columns, written by the shell, read by rules column by column.

use crate::cell::{Cell, Parts, TableId};
use crate::map::Map;
use crate::reads::Reads;
use crate::{Changes, Key, Source};
use std::hash::Hash;

/// A row of an input table. Implemented by the schema crates, one declaration a table.
pub trait Row: Sized + Send + Sync + 'static {
    /// What names a row.
    type Key: Key;
    /// What a rule sees of a row: accessors that record what is read.
    type View<'a>;

    /// The view of a row.
    fn view(row: Tracked<'_, Self>) -> Self::View<'_>;

    /// Reports every column, map key and set element in which `new` differs.
    fn diff(&self, new: &Self, changed: &mut Changed<'_>);
}

/// A row and the run that reads it. The schema crates build their accessors on it.
pub struct Tracked<'a, R> {
    row: &'a R,
    cell: Cell,
    /// Whether it stands under the run's own key.
    own: bool,
    reads: &'a Reads,
}

impl<R> Clone for Tracked<'_, R> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<R> Copy for Tracked<'_, R> {}

impl<'a, R> Tracked<'a, R> {
    /// A column read as a whole.
    pub fn column<T: ?Sized>(&self, column: u16, get: impl FnOnce(&'a R) -> &'a T) -> &'a T {
        self.reads.note(self.own, self.cell.column(column));
        get(self.row)
    }

    /// The row as it is, for readers of most of its columns: any change of it runs the reader again.
    pub fn whole(&self) -> &'a R {
        self.reads.note(self.own, self.cell.whole());
        self.row
    }

    /// A map column: which of its keys are read is recorded one by one.
    pub fn map<K, V>(&self, column: u16, get: impl FnOnce(&'a R) -> &'a [(K, V)]) -> MapView<'a, K, V> {
        MapView { pairs: get(self.row), row: self.cell, own: self.own, column, reads: self.reads }
    }

    /// A set column: which of its elements are asked for is recorded one by one.
    pub fn set<T>(&self, column: u16, get: impl FnOnce(&'a R) -> &'a [T]) -> SetView<'a, T> {
        SetView { elements: get(self.row), row: self.cell, own: self.own, column, reads: self.reads }
    }
}

/// A map column as a rule sees it.
#[derive(Clone, Copy)]
pub struct MapView<'a, K, V> {
    pairs: &'a [(K, V)],
    row: Cell,
    own: bool,
    column: u16,
    reads: &'a Reads,
}

impl<'a, K, V> MapView<'a, K, V> {
    /// The value of one key; only a change of that key runs the reader again.
    pub fn get<Q: Ord + Hash + ?Sized>(&self, key: &Q) -> Option<&'a V>
    where
        K: std::borrow::Borrow<Q>,
    {
        self.reads.note(false, self.row.element(self.column, key).whole());
        let at = self.pairs.binary_search_by(|(k, _)| k.borrow().cmp(key)).ok()?;
        Some(&self.pairs[at].1)
    }

    /// All keys in order; a change of a value alone does not run the reader again.
    pub fn keys(&self) -> impl Iterator<Item = &'a K> {
        self.reads.note(false, self.row.keys(self.column).whole());
        self.pairs.iter().map(|(key, _)| key)
    }

    /// All pairs, sorted by key.
    pub fn all(&self) -> &'a [(K, V)] {
        self.reads.note(self.own, self.row.column(self.column));
        self.pairs
    }
}

/// A set column as a rule sees it.
#[derive(Clone, Copy)]
pub struct SetView<'a, T> {
    elements: &'a [T],
    row: Cell,
    own: bool,
    column: u16,
    reads: &'a Reads,
}

impl<'a, T: Ord + Hash> SetView<'a, T> {
    /// Whether the set holds `element`; only its coming or going runs the reader again.
    pub fn contains(&self, element: &T) -> bool {
        self.reads.note(false, self.row.element(self.column, element).whole());
        self.elements.binary_search(element).is_ok()
    }

    /// All elements, sorted.
    pub fn all(&self) -> &'a [T] {
        self.reads.note(self.own, self.row.column(self.column));
        self.elements
    }
}

/// Collects what differs between two versions of a row.
pub struct Changed<'a> {
    /// The row, with a bit for each column that differs.
    row: Parts,
    elements: &'a mut Vec<Parts>,
}

impl Changed<'_> {
    fn note(&mut self, column: u16) {
        self.row.bits |= self.row.cell.column(column).bits;
    }

    /// A column that is compared as a whole.
    pub fn column<T: PartialEq + ?Sized>(&mut self, column: u16, old: &T, new: &T) {
        if old != new {
            self.note(column);
        }
    }

    /// A map column: two slices of pairs sorted by key.
    pub fn map<K: Ord + Hash, V: PartialEq>(&mut self, column: u16, old: &[(K, V)], new: &[(K, V)]) {
        let (row, before) = (self.row.cell, self.elements.len());
        let mut keys_differ = false;
        let differs = |pair: &(K, V), in_one_alone| {
            keys_differ |= in_one_alone;
            self.elements.push(row.element(column, &pair.0).whole());
        };
        merge(old, new, |a, b| a.0.cmp(&b.0), differs, |a, b| a.1 == b.1);
        if keys_differ {
            self.elements.push(row.keys(column).whole());
        }
        if self.elements.len() != before {
            self.note(column);
        }
    }

    /// A set column: two sorted slices.
    pub fn set<T: Ord + Hash>(&mut self, column: u16, old: &[T], new: &[T]) {
        let (row, before) = (self.row.cell, self.elements.len());
        crate::pairs::merge(old, new, |element| {
            self.elements.push(row.element(column, element).whole());
        });
        if self.elements.len() != before {
            self.note(column);
        }
    }
}

/// Walks two sorted slices and reports what stands in one alone, which `differs` is told, or in both but not the `same`.
fn merge<T>(
    old: &[T],
    new: &[T],
    order: impl Fn(&T, &T) -> std::cmp::Ordering,
    mut differs: impl FnMut(&T, bool),
    same: impl Fn(&T, &T) -> bool,
) {
    use std::cmp::Ordering::{Equal, Greater, Less};
    let (mut i, mut j) = (0, 0);
    loop {
        let ordering = match (old.get(i), new.get(j)) {
            (None, None) => return,
            (Some(_), None) => Less,
            (None, Some(_)) => Greater,
            (Some(a), Some(b)) => order(a, b),
        };
        match ordering {
            Less => differs(&old[i], true),
            Greater => differs(&new[j], true),
            Equal if same(&old[i], &new[j]) => {}
            Equal => differs(&new[j], false),
        }
        i += usize::from(ordering != Greater);
        j += usize::from(ordering != Less);
    }
}

/// A table of rows that come from outside: a database replica, grants of an allocator, what the slow path learned.
pub struct Table<R: Row> {
    id: TableId,
    rows: Map<R::Key, Box<R>>,
    changes: Changes<R::Key>,
}

impl<R: Row> Table<R> {
    /// An empty table. `name` must be unique among the tables of a database.
    pub fn new(name: &'static str) -> Self {
        Table { id: TableId::of(name), rows: Map::default(), changes: Changes::input(name) }
    }

    /// Inserts a row, or replaces it: the columns in which it differs from the one before are noted as changed.
    pub fn put(&mut self, key: R::Key, row: R) {
        if self.rows.contains_key(&key) {
            self.patch(&key, |old, changed| {
                old.diff(&row, changed);
                *old = row;
            });
            return;
        }
        self.changes.note(&key, Cell::row(self.id, &key).presence());
        self.rows.insert_new(key, Box::new(row));
    }

    /// Changes a row in place: `change` reports the columns in which it differs from the one before. `None` if there is
    /// no such row.
    pub fn patch<T>(
        &mut self,
        key: &R::Key,
        change: impl FnOnce(&mut R, &mut Changed<'_>) -> T,
    ) -> Option<T> {
        let row = self.rows.get_mut(key)?;
        let none = Parts { cell: Cell::row(self.id, key), bits: 0 };
        let mut changed = Changed { row: none, elements: &mut self.changes.parts };
        let result = change(row, &mut changed);
        let changed = changed.row;
        if changed.bits != 0 {
            self.changes.note(key, changed);
        }
        Some(result)
    }

    /// Removes a row and returns it.
    pub fn delete(&mut self, key: &R::Key) -> Option<R> {
        let row = self.rows.remove(key)?;
        self.changes.note(key, Cell::row(self.id, key).presence());
        Some(*row)
    }

    /// A row, unrecorded: for shells and allocators. A rule that read a row this way would miss its changes.
    pub fn peek(&self, key: &R::Key) -> Option<&R> {
        self.rows.get(key).map(Box::as_ref)
    }

    /// All rows in no particular order, unrecorded, as [`Table::peek`].
    pub fn iter(&self) -> impl Iterator<Item = (&R::Key, &R)> {
        self.rows.iter().map(|(key, row)| (key, row.as_ref()))
    }

    /// How many rows there are.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.rows.len() == 0
    }

    pub(crate) fn read<'a>(&'a self, key: &R::Key, reads: &'a Reads) -> Option<R::View<'a>> {
        self.changes.note_read(reads);
        let cell = Cell::row(self.id, key);
        let own = reads.is_own(self, key);
        reads.note(own, cell.presence());
        let row = self.rows.get(key)?;
        Some(R::view(Tracked { row, cell, own, reads }))
    }
}

impl<R: Row> Source for Table<R> {
    type Key = R::Key;
    fn has(&self, key: &R::Key) -> bool {
        self.rows.contains_key(key)
    }
    fn changes(&self) -> &Changes<R::Key> {
        &self.changes
    }
    fn changes_mut(&mut self) -> &mut Changes<R::Key> {
        &mut self.changes
    }
}
