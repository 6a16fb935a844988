//! Monitors: clients that follow the contents of tables (RFC 7047 sections 4.1.5 to 4.1.7, ovsdb-server(7) sections 4.1.5 to
//! 4.1.16).

mod filter;
mod updates;

use std::collections::BTreeMap;
use std::sync::Arc;

use kiln_types::Uuid;

use crate::column::Text;
use crate::engine::{Database, Error, Members, Row, RowChange, elements};
use crate::json::{Decoder, TextCache};
use crate::jsonrpc::write_notification;
use crate::schema::{DatabaseSchema, TableSchema, UUID_COLUMN};
use filter::Filter;
use updates::Updates;

/// Which method made a monitor, and so the form of what it gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// `monitor`, `update`.
    Monitor,
    /// `monitor_cond`, `update2`.
    Cond,
    /// `monitor_cond_since`, `update3`.
    CondSince,
}

/// What a stand-alone server names as the last transaction: it keeps no history.
const NO_TRANSACTION: &str = "\"00000000-0000-0000-0000-000000000000\"";

/// `<monitor-select>`: the kinds of changes that are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Select {
    initial: bool,
    insert: bool,
    delete: bool,
    modify: bool,
}

impl Select {
    const ALL: Select = Select { initial: true, insert: true, delete: true, modify: true };

    fn parse(text: &str) -> Result<Self, Error> {
        let mut members = Members::of(text)?;
        let mut flag = |name| Ok::<_, Error>(members.optional_boolean(name)?.unwrap_or(true));
        let select = Select {
            initial: flag("initial")?,
            insert: flag("insert")?,
            delete: flag("delete")?,
            modify: flag("modify")?,
        };
        members.finish()?;
        Ok(select)
    }

    fn has(self, kind: Kind) -> bool {
        match kind {
            Kind::Initial => self.initial,
            Kind::Insert => self.insert,
            Kind::Delete => self.delete,
            Kind::Modify => self.modify,
        }
    }

    fn union(self, other: Self) -> Self {
        Select {
            initial: self.initial || other.initial,
            insert: self.insert || other.insert,
            delete: self.delete || other.delete,
            modify: self.modify || other.modify,
        }
    }
}

/// How a row comes to be told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Initial,
    Insert,
    Delete,
    Modify,
}

/// What is watched of a table.
#[derive(Debug)]
struct Watch {
    /// Columns by index, each with the changes for which it is told.
    columns: Vec<(usize, Select)>,
    /// The changes for which any column is told.
    select: Select,
    filter: Filter,
}

/// A row as the client knows it, and as it should; `None` where the monitor is not about it.
type Owed = (Option<Arc<Row>>, Option<Arc<Row>>);

/// A monitor of a session.
#[derive(Debug)]
pub(super) struct Monitor {
    database: Text,
    /// JSON of the client's identifier.
    id: String,
    key: String,
    version: Version,
    /// By the table's index in the schema.
    watches: BTreeMap<usize, Watch>,
    /// Changes that the client has not been told of.
    owed: BTreeMap<(usize, Uuid), Owed>,
}

impl Monitor {
    /// Reads `<monitor-requests>` or `<monitor-cond-requests>`.
    pub(super) fn new(
        database: Text,
        schema: &DatabaseSchema,
        id: String,
        key: String,
        version: Version,
        requests: &str,
    ) -> Result<Self, Error> {
        let mut watches = BTreeMap::new();
        for (name, requests) in Members::of(requests)?.into_rest() {
            let table = schema.table_index(name).ok_or_else(|| Error::syntax(format!("no table {name}")))?;
            let watch = Watch::parse(requests, &schema.tables()[table], version)
                .map_err(|error| error.within(format_args!("table {name}")))?;
            watches.insert(table, watch);
        }
        Ok(Monitor { database, id, key, version, watches, owed: BTreeMap::new() })
    }

    pub(super) fn database(&self) -> &str {
        &self.database
    }

    /// JSON of the client's identifier.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// The identifier's canonical form.
    pub(super) fn key(&self) -> &str {
        &self.key
    }

    pub(super) fn rename(&mut self, id: String, key: String) {
        (self.id, self.key) = (id, key);
    }

    /// JSON of the result of the request that made the monitor.
    pub(super) fn initial(&self, database: &Database) -> String {
        let mut updates = Updates::new(self.version, database.schema());
        for (&table, watch) in self.watches.iter().filter(|(_, watch)| watch.select.initial) {
            for row in database.table(table).sorted_rows() {
                if watch.filter.holds(row) {
                    updates.row(table, watch, Kind::Initial, None, Some(row));
                }
            }
        }
        let updates = updates.finish();
        match self.version {
            Version::CondSince => format!("[false,{NO_TRANSACTION},{updates}]"),
            _ => updates,
        }
    }

    /// Notes changes that concern the client; whether any does.
    pub(super) fn note(&mut self, changes: &[RowChange]) -> bool {
        let mut noted = false;
        for change in changes {
            let Some(watch) = self.watches.get(&change.table) else { continue };
            let relevant = |row: &Option<Arc<Row>>| row.clone().filter(|row| watch.filter.holds(row));
            let (old, new) = (relevant(&change.old), relevant(&change.new));
            if old.is_some() || new.is_some() {
                owe(&mut self.owed, change.table, change.uuid, old, new);
                noted = true;
            }
        }
        noted
    }

    /// Writes the update that the client is owed, if there is one.
    pub(super) fn flush(&mut self, schema: &DatabaseSchema, out: &mut String) {
        if self.owed.is_empty() {
            return;
        }
        let mut updates = Updates::new(self.version, schema);
        for ((table, _), (old, new)) in std::mem::take(&mut self.owed) {
            let kind = match (&old, &new) {
                (None, Some(_)) => Kind::Insert,
                (Some(_), None) => Kind::Delete,
                (Some(_), Some(_)) => Kind::Modify,
                (None, None) => continue,
            };
            updates.row(table, &self.watches[&table], kind, old.as_deref(), new.as_deref());
        }
        if updates.is_empty() {
            return;
        }
        let (id, updates) = (&self.id, updates.finish());
        match self.version {
            Version::Monitor => write_notification(out, "update", &format!("[{id},{updates}]")),
            Version::Cond => write_notification(out, "update2", &format!("[{id},{updates}]")),
            Version::CondSince => {
                write_notification(out, "update3", &format!("[{id},{NO_TRANSACTION},{updates}]"));
            }
        }
    }

    /// Reads `<monitor-cond-update-requests>`: the new filters of some tables.
    pub(super) fn parse_change(
        &self,
        schema: &DatabaseSchema,
        requests: &str,
    ) -> Result<Vec<(usize, Filter)>, Error> {
        let mut filters = Vec::new();
        for (name, requests) in Members::of(requests)?.into_rest() {
            let table = schema.table_index(name).ok_or_else(|| Error::syntax(format!("no table {name}")))?;
            if !self.watches.contains_key(&table) {
                return Err(Error::syntax(format!("table {name} is not monitored")));
            }
            for request in elements(requests)? {
                let mut members = Members::of(request)?;
                let condition = members.optional_array("where")?;
                if members.take("columns").is_some() {
                    return Err(Error::syntax("columns of a monitor cannot be changed"));
                }
                members.finish()?;
                filters.push((table, Filter::parse(condition.unwrap_or("[]"), &schema.tables()[table])?));
            }
        }
        Ok(filters)
    }

    /// Puts new filters in place; the rows that enter or leave the monitor by that are owed. A monitor that was not made with
    /// conditions stays as it is, as with stock.
    pub(super) fn change_filters(&mut self, database: &Database, filters: Vec<(usize, Filter)>) {
        if self.version == Version::Monitor {
            return;
        }
        for (table, filter) in filters {
            let Some(watch) = self.watches.get_mut(&table) else { continue };
            let before = std::mem::replace(&mut watch.filter, filter);
            for row in database.table(table).rows() {
                let (knew, knows) = (before.holds(row), watch.filter.holds(row));
                if knew != knows {
                    let row_if = |holds: bool| holds.then(|| Arc::clone(row));
                    owe(&mut self.owed, table, row.uuid(), row_if(knew), row_if(knows));
                }
            }
        }
    }
}

/// Of several changes the client learns the first old row and the last new one.
fn owe(
    owed: &mut BTreeMap<(usize, Uuid), Owed>,
    table: usize,
    uuid: Uuid,
    old: Option<Arc<Row>>,
    new: Option<Arc<Row>>,
) {
    owed.entry((table, uuid)).or_insert((old, None)).1 = new;
}

impl Watch {
    /// Reads one request or an array of them.
    fn parse(requests: &str, schema: &TableSchema, version: Version) -> Result<Self, Error> {
        let mut watch = Watch { columns: Vec::new(), select: Select::default(), filter: Filter::default() };
        if requests.starts_with('[') {
            for request in elements(requests)? {
                watch.add(request, schema, version)?;
            }
        } else {
            watch.add(requests, schema, version)?;
        }
        Ok(watch)
    }

    fn add(&mut self, request: &str, schema: &TableSchema, version: Version) -> Result<(), Error> {
        let mut members = Members::of(request)?;
        let condition = if version == Version::Monitor { None } else { members.optional_array("where")? };
        let columns = members.optional_array("columns")?;
        let select = members.optional_object("select")?;
        members.finish()?;
        let select = select.map_or(Ok(Select::ALL), Select::parse)?;
        self.select = self.select.union(select);
        match columns {
            None => (0..schema.columns().len())
                .filter(|column| *column != UUID_COLUMN)
                .try_for_each(|column| self.add_column(column, select, schema))?,
            Some(columns) => {
                let mut texts = TextCache::empty();
                for name in elements(columns)? {
                    let name = Decoder::new(name, &mut texts)
                        .string()
                        .map_err(|_| Error::syntax(format!("expected a column's name, got {name}")))?;
                    let column = schema.column_index(&name);
                    let column = column.ok_or_else(|| Error::syntax(format!("no column {name}")))?;
                    self.add_column(column, select, schema)?;
                }
            }
        }
        self.filter.add(Filter::parse(condition.unwrap_or("[]"), schema)?);
        Ok(())
    }

    fn add_column(&mut self, column: usize, select: Select, schema: &TableSchema) -> Result<(), Error> {
        if self.columns.iter().any(|known| known.0 == column) {
            let name = schema.columns()[column].name();
            return Err(Error::syntax(format!("column {name} appears twice")));
        }
        self.columns.push((column, select));
        Ok(())
    }
}
