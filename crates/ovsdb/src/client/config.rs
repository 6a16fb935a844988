//! What a session is asked to keep: the database, its tables, their columns and which rows.

use std::time::Duration;

use kiln_types::Uuid;

use super::OfferedSchema;
use crate::column::Encode;
use crate::json::write_string;
use crate::txn::{Function, Missing, write_condition};

/// How a session is set up.
#[derive(Clone, Debug)]
pub struct SessionConfig {
    /// The database's name, such as `OVN_Southbound`.
    pub db: String,
    /// Of a server's databases, take the one of this cluster, not the one called `db`.
    pub cluster_id: Option<Uuid>,
    /// Of a cluster's servers, accept only the leader.
    pub leader_only: bool,
    /// After this much silence the server is probed; after as much again it is given up. Zero: never.
    pub probe_interval: Duration,
    /// The longest message taken, in bytes.
    pub max_message_bytes: usize,
    /// What to monitor.
    pub tables: Vec<TableMonitor>,
}

impl SessionConfig {
    /// The largest message by default. A southbound database of 4 million flows arrives in about this much.
    pub const MAX_MESSAGE_BYTES: usize = 2 << 30;

    /// Monitors nothing yet; leader only, probes every 5 s.
    pub fn new(db: impl Into<String>) -> Self {
        SessionConfig {
            db: db.into(),
            cluster_id: None,
            leader_only: true,
            probe_interval: Duration::from_secs(5),
            max_message_bytes: Self::MAX_MESSAGE_BYTES,
            tables: Vec::new(),
        }
    }
}

/// One monitored table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableMonitor {
    /// The table's name.
    pub table: String,
    /// Columns to replicate.
    pub columns: Vec<String>,
    /// Rows to replicate, at first.
    pub rows: Rows,
    /// Which changes are reported.
    pub select: Select,
}

impl TableMonitor {
    /// All rows of a table, all changes.
    pub fn new<C: Into<String>>(table: impl Into<String>, columns: impl IntoIterator<Item = C>) -> Self {
        TableMonitor {
            table: table.into(),
            columns: columns.into_iter().map(Into::into).collect(),
            rows: Rows::All,
            select: Select::default(),
        }
    }

    /// The same with other rows at first.
    pub fn with_rows(mut self, rows: Rows) -> Self {
        self.rows = rows;
        self
    }

    /// The same with other changes reported.
    pub fn with_select(mut self, select: Select) -> Self {
        self.select = select;
        self
    }
}

/// Which changes a monitor reports (RFC 7047 section 4.1.5, `<monitor-select>`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Select {
    /// Rows that are there when monitoring begins.
    pub initial: bool,
    /// Rows inserted, or that come to match. A session that leaves them out of a table never resumes, and fetches everything
    /// whenever it gets the lock: what its owner inserted itself is all that it may not be told of.
    pub insert: bool,
    /// Rows deleted, or that cease to match.
    pub delete: bool,
    /// Rows modified.
    pub modify: bool,
}

impl Default for Select {
    fn default() -> Self {
        Select { initial: true, insert: true, delete: true, modify: true }
    }
}

impl Select {
    fn write(self, out: &mut String) {
        let mut separator = ",\"select\":{";
        for (name, wanted) in [
            ("initial", self.initial),
            ("insert", self.insert),
            ("delete", self.delete),
            ("modify", self.modify),
        ] {
            if !wanted {
                out.push_str(separator);
                write_string(out, name);
                out.push_str(":false");
                separator = ",";
            }
        }
        if self != Select::default() {
            out.push('}');
        }
    }
}

/// One clause of a monitor's condition: `[<column>, <function>, <value>]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Condition {
    column: String,
    text: String,
}

impl Condition {
    /// The clause that compares `column` so.
    pub fn new<V: Encode + ?Sized>(column: &str, function: Function, value: &V) -> Self {
        let mut text = String::new();
        write_condition(&mut text, column, function, value);
        Condition { column: column.to_owned(), text }
    }
}

/// Which rows of a table are replicated (ovsdb-server(7) section 4.1.12, `where`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Rows {
    /// All.
    #[default]
    All,
    /// None.
    None,
    /// Those that match at least one clause, or more on servers too old for conditions. Sorted and distinct when made by
    /// [`Rows::any`], so that equal conditions compare equal.
    Any(Vec<Condition>),
}

impl Rows {
    /// Rows that match at least one clause; none without clauses.
    pub fn any(clauses: impl IntoIterator<Item = Condition>) -> Self {
        let mut clauses: Vec<Condition> = clauses.into_iter().collect();
        clauses.sort_unstable();
        clauses.dedup();
        if clauses.is_empty() { Rows::None } else { Rows::Any(clauses) }
    }

    /// The `where` for a server with this schema. A clause on a column that it lacks matches nothing there.
    pub(super) fn encode(&self, table: &str, offered: &OfferedSchema, missing: &mut Vec<Missing>) -> String {
        let clauses = match self {
            Rows::All => return "[true]".to_owned(),
            Rows::None => return "[false]".to_owned(),
            Rows::Any(clauses) => clauses,
        };
        let mut out = String::new();
        for clause in clauses {
            if offered.has_column(table, &clause.column) {
                out.push(if out.is_empty() { '[' } else { ',' });
                out.push_str(&clause.text);
            } else {
                let column = Some(clause.column.as_str().into());
                missing.push(Missing { table: table.into(), column, value: None });
            }
        }
        out.push_str(if out.is_empty() { "[false]" } else { "]" });
        out
    }
}

/// Appends `"TABLE":[{"columns":[…],"where":…,"select":…}]`, without what the server's schema lacks.
pub(super) fn write_table(
    out: &mut String,
    table: &TableMonitor,
    condition: Option<&str>,
    offered: &OfferedSchema,
    missing: &mut Vec<Missing>,
) {
    write_string(out, &table.table);
    out.push_str(":[{\"columns\":[");
    let mut first = true;
    for column in &table.columns {
        if !offered.has_column(&table.table, column) {
            let column = Some(column.as_str().into());
            missing.push(Missing { table: table.table.as_str().into(), column, value: None });
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        write_string(out, column);
    }
    out.push(']');
    if let Some(condition) = condition {
        out.push_str(",\"where\":");
        out.push_str(condition);
    }
    table.select.write(out);
    out.push_str("}]");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offered() -> OfferedSchema {
        OfferedSchema::from_names([("T", &["a", "b"][..])])
    }

    #[test]
    fn conditions_compare_by_meaning_not_order() {
        let a = Condition::new("a", Function::Equal, &1);
        let b = Condition::new("b", Function::Includes, "x");
        assert_eq!(Rows::any([a.clone(), b.clone()]), Rows::any([b.clone(), a.clone(), b]));
        assert_eq!(Rows::any([]), Rows::None);
        assert_ne!(Rows::any([a]), Rows::All);
    }

    #[test]
    fn what_the_server_lacks_is_left_out() {
        let mut missing = Vec::new();
        let clauses =
            [Condition::new("b", Function::Includes, "x"), Condition::new("new", Function::Equal, &1)];
        let rows = Rows::any(clauses.clone());
        assert_eq!(rows.encode("T", &offered(), &mut missing), r#"[["b","includes","x"]]"#);
        assert_eq!(Rows::any([clauses[1].clone()]).encode("T", &offered(), &mut missing), "[false]");

        let table = TableMonitor::new("T", ["a", "newer", "b"]).with_select(Select {
            initial: false,
            modify: false,
            ..Select::default()
        });
        let mut out = String::new();
        write_table(&mut out, &table, Some("[true]"), &offered(), &mut missing);
        assert_eq!(
            out,
            r#""T":[{"columns":["a","b"],"where":[true],"select":{"initial":false,"modify":false}}]"#
        );
        let missing: Vec<String> = missing.iter().map(ToString::to_string).collect();
        assert_eq!(missing, ["column new of table T", "column new of table T", "column newer of table T"]);
    }
}
