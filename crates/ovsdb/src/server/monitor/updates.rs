//! `<table-updates>` and `<table-updates2>` (RFC 7047 section 4.1.6, ovsdb-server(7) section 4.1.14).

use std::fmt::Write as _;

use super::{Kind, Version, Watch};
use crate::engine::Row;
use crate::json::write_string;
use crate::schema::{DatabaseSchema, TableSchema};
use crate::value::Datum;

/// The JSON of an update, written row by row. Rows come by table.
pub(super) struct Updates<'s> {
    version: Version,
    schema: &'s DatabaseSchema,
    out: String,
    table: Option<usize>,
}

impl<'s> Updates<'s> {
    pub(super) fn new(version: Version, schema: &'s DatabaseSchema) -> Self {
        Updates { version, schema, out: String::from("{"), table: None }
    }

    /// Whether no row was told of so far.
    pub(super) fn is_empty(&self) -> bool {
        self.table.is_none()
    }

    pub(super) fn finish(mut self) -> String {
        self.out.push_str(if self.table.is_some() { "}}" } else { "}" });
        self.out
    }

    /// Tells of a row, if the monitor wants to know of what happened to it.
    pub(super) fn row(
        &mut self,
        table: usize,
        watch: &Watch,
        kind: Kind,
        old: Option<&Row>,
        new: Option<&Row>,
    ) {
        let Some(uuid) = new.or(old).map(Row::uuid) else { return };
        if !watch.select.has(kind) || kind == Kind::Modify && !differs(watch, old, new) {
            return;
        }
        self.enter(table);
        let _ = write!(self.out, "\"{}\":{{", uuid.hyphenated());
        let columns = Columns { watch, kind, schema: &self.schema.tables()[table] };
        if self.version == Version::Monitor {
            columns.write(&mut self.out, old, new);
        } else {
            columns.write2(&mut self.out, old, new);
        }
        self.out.push('}');
    }

    /// Writes what comes between the last row and one of this table.
    fn enter(&mut self, table: usize) {
        if self.table == Some(table) {
            return self.out.push(',');
        }
        if self.table.is_some() {
            self.out.push_str("},");
        }
        write_string(&mut self.out, self.schema.tables()[table].name());
        self.out.push_str(":{");
        self.table = Some(table);
    }
}

fn differs(watch: &Watch, old: Option<&Row>, new: Option<&Row>) -> bool {
    let (Some(old), Some(new)) = (old, new) else { return true };
    watch.columns.iter().any(|&(column, _)| old.get(column) != new.get(column))
}

/// One row's columns.
struct Columns<'a> {
    watch: &'a Watch,
    kind: Kind,
    schema: &'a TableSchema,
}

impl Columns<'_> {
    /// The columns that are told for this kind of change.
    fn told(&self) -> impl Iterator<Item = usize> {
        self.watch.columns.iter().filter(|(_, select)| select.has(self.kind)).map(|(column, _)| *column)
    }

    /// `<row-update>`: `old` has what is gone, `new` the row as it is.
    fn write(&self, out: &mut String, old: Option<&Row>, new: Option<&Row>) {
        if let Some(old) = old {
            let unchanged = |column: usize| new.is_some_and(|new| new.get(column) == old.get(column));
            self.member(
                out,
                "old",
                self.told().filter(|&column| !unchanged(column)).map(|column| (column, old.get(column))),
            );
        }
        if let Some(new) = new {
            out.push_str(if old.is_some() { "," } else { "" });
            self.member(out, "new", self.told().map(|column| (column, new.get(column))));
        }
    }

    /// `<row-update2>`: new rows without defaults, differences of others.
    fn write2(&self, out: &mut String, old: Option<&Row>, new: Option<&Row>) {
        let ty = |column: usize| self.schema.columns()[column].ty();
        match (self.kind, old, new) {
            (Kind::Delete, ..) | (_, _, None) => out.push_str("\"delete\":null"),
            (Kind::Modify, Some(old), Some(new)) => {
                let changed = self.told().filter(|&column| old.get(column) != new.get(column));
                let diffs: Vec<_> = changed
                    .map(|column| (column, old.get(column).diff(new.get(column), ty(column))))
                    .collect();
                self.member(out, "modify", diffs.iter().map(|(column, diff)| (*column, diff)));
            }
            (kind, _, Some(new)) => {
                let name = if kind == Kind::Initial { "initial" } else { "insert" };
                let given = self.told().filter(|&column| !new.get(column).is_default_of(ty(column)));
                self.member(out, name, given.map(|column| (column, new.get(column))));
            }
        }
    }

    fn member<'d>(&self, out: &mut String, name: &str, values: impl Iterator<Item = (usize, &'d Datum)>) {
        let _ = write!(out, "\"{name}\":{{");
        for (at, (column, value)) in values.enumerate() {
            out.push_str(if at == 0 { "\"" } else { ",\"" });
            out.push_str(self.schema.columns()[column].name());
            out.push_str("\":");
            value.encode(out);
        }
        out.push('}');
    }
}
