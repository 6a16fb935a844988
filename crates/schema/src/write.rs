//! Typed rows on their way into a transaction.

use kiln_ovsdb::column::Encode;
use kiln_ovsdb::txn::Txn;
use kiln_types::Uuid;

/// A choice of columns, by their number: a bit each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Columns(pub u64);

impl Columns {
    /// Every column.
    pub const ALL: Columns = Columns(u64::MAX);

    /// Those of either choice.
    pub const fn and(self, other: Columns) -> Columns {
        Columns(self.0 | other.0)
    }

    /// Whether column number `column` is chosen.
    pub const fn has(self, column: u16) -> bool {
        self.0 & (1 << column) != 0
    }
}

/// A row as a rule sees it.
pub trait RowView<'a, R> {
    /// The row itself, noted as read in every column.
    fn whole(&self) -> &'a R;
}

/// A row that the [`crate::database!`] macro declared.
pub trait TypedRow: Clone + Default + PartialEq + Send + Sync + 'static {
    /// The table's name.
    const TABLE: &'static str;

    /// Calls `f` with the number, name and value of every chosen column that is not as in `old`; without `old`, that is
    /// not the type's default.
    fn changed(
        &self,
        old: Option<&Self>,
        columns: Columns,
        f: &mut dyn FnMut(u16, &'static str, &dyn Encode),
    );

    /// The columns of these names.
    ///
    /// # Panics
    /// If the table has no column of such a name.
    fn columns(names: &[&str]) -> Columns;

    /// Adds an `insert` with an explicit uuid and the chosen columns.
    fn insert(&self, uuid: Uuid, columns: Columns, txn: &mut Txn) {
        let mut op = txn.insert(Self::TABLE);
        op.uuid(uuid);
        self.changed(None, columns, &mut |_, name, value| {
            op.set(name, &value);
        });
    }
}

/// Adds an `update` of the chosen columns that differ. False if none does.
pub fn update_columns<R: TypedRow>(uuid: Uuid, old: &R, new: &R, columns: Columns, txn: &mut Txn) -> bool {
    let mut differs = false;
    new.changed(Some(old), columns, &mut |_, _, _| differs = true);
    if differs {
        let mut op = txn.update(R::TABLE);
        op.row(uuid);
        new.changed(Some(old), columns, &mut |_, name, value| {
            op.set(name, &value);
        });
    }
    differs
}
