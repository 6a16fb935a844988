//! The operations of a `transact` request (RFC 7047 section 5.2).

use std::sync::Arc;
use std::time::Duration;

use kiln_types::{HashSet, Uuid};

use super::condition::unknown_column;
use super::symbols::Symbols;
use super::{
    Commit, Condition, Database, Error, ErrorKind, Members, Mutation, Outcome, Row, Transaction, elements,
};
use crate::json::{Decoder, write_integer};
use crate::schema::{DatabaseSchema, TableSchema, UUID_COLUMN};
use crate::value::Datum;

/// Runs a whole request.
pub(super) fn run(
    db: &mut Database,
    params: &str,
    waited: Duration,
    owns_lock: &dyn Fn(&str) -> bool,
) -> Outcome {
    let operations = match elements(params) {
        Ok(params) => params.get(1..).unwrap_or_default().to_vec(),
        Err(error) => return Outcome::Malformed(error),
    };
    let mut execution = Execution {
        schema: Arc::clone(db.schema()),
        symbols: Symbols::new(db.rng.fork()),
        txn: db.begin(),
        owns_lock,
        waited,
    };
    let mut results = String::from("[");
    for (at, operation) in operations.iter().enumerate() {
        results.push_str(if at == 0 { "" } else { "," });
        match execution.operation(operation, &mut results) {
            Ok(()) => {}
            Err(Failure::Waiting(timeout)) => return Outcome::Waiting { timeout },
            Err(Failure::Error(error)) => {
                error
                    .within(format_args!("operation {} of {}", at + 1, operations.len()))
                    .encode(&mut results);
                results.extend(std::iter::repeat_n(",null", operations.len() - at - 1));
                results.push(']');
                return Outcome::Finished { results, commit: Commit::default() };
            }
        }
    }
    let commit = execution.txn.commit().unwrap_or_else(|error| {
        results.push_str(if operations.is_empty() { "" } else { "," });
        error.encode(&mut results);
        Commit::default()
    });
    results.push(']');
    Outcome::Finished { results, commit }
}

enum Failure {
    /// A `wait` does not hold yet, and may take so long.
    Waiting(Option<Duration>),
    Error(Error),
}

impl<E: Into<Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Failure::Error(error.into())
    }
}

struct Execution<'d, 'o> {
    schema: Arc<DatabaseSchema>,
    symbols: Symbols,
    txn: Transaction<'d>,
    owns_lock: &'o dyn Fn(&str) -> bool,
    waited: Duration,
}

impl Execution<'_, '_> {
    /// Runs one operation and appends its result.
    fn operation(&mut self, text: &str, out: &mut String) -> Result<(), Failure> {
        let mut members = Members::of(text)?;
        let name = members.id("op")?;
        match &*name {
            "insert" => self.insert(members, out),
            "select" => self.select(members, out),
            "update" => self.update(members, out),
            "mutate" => self.mutate(members, out),
            "delete" => self.delete(members, out),
            "wait" => self.wait(members, out),
            "commit" => self.commit(members, out),
            "abort" => {
                members.finish()?;
                Err(Error::new(ErrorKind::Aborted, "aborted by request").into())
            }
            "comment" => {
                let comment = members.string("comment")?;
                members.finish()?;
                self.txn.comment(comment);
                out.push_str("{}");
                Ok(())
            }
            "assert" => self.assert(members, out),
            _ => Err(Error::syntax(format!("no operation {name}")).into()),
        }
    }

    fn table(&self, members: &mut Members<'_>) -> Result<usize, Error> {
        let name = members.id("table")?;
        self.schema.table_index(&name).ok_or_else(|| Error::syntax(format!("no table {name}")))
    }

    /// Fails if clients may not change the database.
    fn check_writable(&self, operation: &str) -> Result<(), Error> {
        if !self.txn.database().is_reserved() {
            return Ok(());
        }
        let details = format!("{operation} is not allowed on reserved database {}", self.schema.name());
        Err(Error::new(ErrorKind::NotAllowed, details))
    }

    fn condition(&mut self, text: &str, table: usize) -> Result<Condition, Error> {
        let schema = &self.schema.tables()[table];
        Condition::parse(text, schema, &mut self.symbols, &mut self.txn.db.texts)
    }

    /// Reads a `<row>`.
    fn values(&mut self, text: &str, table: usize) -> Result<Vec<(usize, Datum)>, Error> {
        let schema = &self.schema.tables()[table];
        let mut json = Decoder::new(text, &mut self.txn.db.texts);
        let (mut values, mut first) = (Vec::new(), true);
        json.begin_object()?;
        while let Some(name) = json.next_member(&mut first)? {
            let column = schema.column_index(name).ok_or_else(|| unknown_column(name, schema))?;
            let value = Datum::decode(&mut json, schema.columns()[column].ty(), &mut self.symbols)
                .map_err(|error| Error::from(error).within(format_args!("column {name}")))?;
            values.push((column, value));
        }
        json.end()?;
        Ok(values)
    }

    fn insert(&mut self, mut members: Members<'_>, out: &mut String) -> Result<(), Failure> {
        let table = self.table(&mut members)?;
        let uuid = members.optional_string("uuid")?;
        let name = members.optional_id("uuid-name")?;
        let row = members.object("row")?;
        members.finish()?;
        let uuid = uuid
            .map(|text| {
                parse_uuid(&text).ok_or_else(|| Error::syntax(format!("expected a uuid, got {text:?}")))
            })
            .transpose()?;
        uuid.map_or(Ok(()), |uuid| self.txn.check_unused(table, uuid))?;
        let uuid = self.symbols.of_insert(uuid, name.as_deref())?;
        let mut new = self.txn.new_row(table);
        for (column, value) in self.values(row, table)? {
            new.set(column, value);
        }
        self.txn.insert(table, uuid, new)?;
        self.check_writable("insert")?;
        out.push_str("{\"uuid\":");
        Datum::from(uuid).encode(out);
        out.push('}');
        Ok(())
    }

    fn select(&mut self, mut members: Members<'_>, out: &mut String) -> Result<(), Failure> {
        let table = self.table(&mut members)?;
        let condition = members.array("where")?;
        let columns = members.optional_array("columns")?;
        let sort = members.optional_array("sort")?;
        members.finish()?;
        let condition = self.condition(condition, table)?;
        let schema = &self.schema.tables()[table];
        let columns = column_set(columns, schema)?;
        let sort = sort.map(|sort| column_set(Some(sort), schema)).transpose()?;

        let mut rows = condition.select(self.txn.database().table(table));
        if !columns.contains(&UUID_COLUMN) {
            let mut seen = HashSet::default();
            rows.retain(|row| seen.insert(project(row, &columns)));
        }
        if let Some(sort) = sort {
            rows.sort_by(|a, b| project(a, &sort).cmp(&project(b, &sort)));
        }
        out.push_str("{\"rows\":[");
        for (at, row) in rows.into_iter().enumerate() {
            out.push_str(if at == 0 { "{" } else { ",{" });
            for (at, &column) in columns.iter().enumerate() {
                out.push_str(if at == 0 { "\"" } else { ",\"" });
                out.push_str(schema.columns()[column].name());
                out.push_str("\":");
                row.get(column).encode(out);
            }
            out.push('}');
        }
        out.push_str("]}");
        Ok(())
    }

    fn update(&mut self, mut members: Members<'_>, out: &mut String) -> Result<(), Failure> {
        let table = self.table(&mut members)?;
        let condition = members.array("where")?;
        let row = members.object("row")?;
        members.finish()?;
        let values = self.values(row, table)?;
        let schema = &self.schema.tables()[table];
        if let Some((column, _)) = values.iter().find(|(column, _)| !schema.columns()[*column].is_mutable()) {
            let name = schema.columns()[*column].name();
            let details = format!("column {name} of table {} is immutable", schema.name());
            return Err(Error::constraint(details).into());
        }
        let condition = self.condition(condition, table)?;
        self.check_writable("update")?;
        let rows = self.txn.select(table, &condition);
        for &uuid in &rows {
            self.txn.update(table, uuid, &values);
        }
        count(rows.len(), out);
        Ok(())
    }

    fn mutate(&mut self, mut members: Members<'_>, out: &mut String) -> Result<(), Failure> {
        let table = self.table(&mut members)?;
        let condition = members.array("where")?;
        let mutations = members.array("mutations")?;
        members.finish()?;
        let schema = Arc::clone(&self.schema);
        let mutations = elements(mutations)?
            .into_iter()
            .map(|text| {
                Mutation::parse(text, &schema.tables()[table], &mut self.symbols, &mut self.txn.db.texts)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let condition = self.condition(condition, table)?;
        self.check_writable("mutate")?;
        let rows = self.txn.select(table, &condition);
        for &uuid in &rows {
            self.txn.mutate(table, uuid, &mutations)?;
        }
        count(rows.len(), out);
        Ok(())
    }

    fn delete(&mut self, mut members: Members<'_>, out: &mut String) -> Result<(), Failure> {
        let table = self.table(&mut members)?;
        let condition = members.array("where")?;
        members.finish()?;
        let condition = self.condition(condition, table)?;
        self.check_writable("delete")?;
        let rows = self.txn.select(table, &condition);
        for &uuid in &rows {
            self.txn.delete(table, uuid);
        }
        count(rows.len(), out);
        Ok(())
    }

    fn wait(&mut self, mut members: Members<'_>, out: &mut String) -> Result<(), Failure> {
        let table = self.table(&mut members)?;
        let timeout_ms = members.optional_integer("timeout")?;
        let condition = members.array("where")?;
        let columns = members.optional_array("columns")?;
        let until = members.string("until")?;
        let rows = members.array("rows")?;
        members.finish()?;
        let condition = self.condition(condition, table)?;
        let columns = column_set(columns, &self.schema.tables()[table])?;
        let timeout = timeout_ms
            .map(|ms| {
                let ms = u64::try_from(ms)
                    .map_err(|_| Error::syntax(format!("expected a timeout from 0, got {ms}")))?;
                Ok::<_, Error>(Duration::from_millis(ms))
            })
            .transpose()?;
        let until_equal = match &*until {
            "==" => true,
            "!=" => false,
            _ => {
                return Err(
                    Error::syntax(format!("expected \"==\" or \"!=\" as until, got {until:?}")).into()
                );
            }
        };
        let mut expected = HashSet::default();
        for text in elements(rows)? {
            let mut row = self.txn.new_row(table);
            for (column, value) in self.values(text, table)? {
                row.set(column, value);
            }
            expected.insert(project(&row, &columns).into_iter().cloned().collect::<Vec<_>>());
        }
        let found = condition.select(self.txn.database().table(table));
        let actual: HashSet<Vec<&Datum>> = found.into_iter().map(|row| project(row, &columns)).collect();
        let equal = actual.len() == expected.len()
            && expected.iter().all(|row| actual.contains(&row.iter().collect::<Vec<_>>()));
        if equal == until_equal {
            out.push_str("{}");
            return Ok(());
        }
        match timeout {
            Some(timeout) if self.waited >= timeout => {
                let details = format!("the condition did not come to hold in {} ms", self.waited.as_millis());
                Err(Error::new(ErrorKind::TimedOut, details).into())
            }
            _ => Err(Failure::Waiting(timeout)),
        }
    }

    /// What is committed is durable or not as the server is; the request for it is accepted.
    fn commit(&mut self, mut members: Members<'_>, out: &mut String) -> Result<(), Failure> {
        members.boolean("durable")?;
        members.finish()?;
        self.check_writable("commit")?;
        out.push_str("{}");
        Ok(())
    }

    fn assert(&mut self, mut members: Members<'_>, out: &mut String) -> Result<(), Failure> {
        let lock = members.id("lock")?;
        members.finish()?;
        if !(self.owns_lock)(&lock) {
            return Err(Error::new(ErrorKind::NotOwner, format!("lock {lock} is not held")).into());
        }
        out.push_str("{}");
        Ok(())
    }
}

fn parse_uuid(text: &str) -> Option<Uuid> {
    // other spellings are not OVSDB's
    if text.len() == 36 { text.parse().ok() } else { None }
}

fn count(rows: usize, out: &mut String) {
    out.push_str("{\"count\":");
    write_integer(out, rows as i64);
    out.push('}');
}

fn project<'r>(row: &'r Row, columns: &[usize]) -> Vec<&'r Datum> {
    columns.iter().map(|&column| row.get(column)).collect()
}

/// A list of distinct columns; absent, all of them.
fn column_set(text: Option<&str>, schema: &TableSchema) -> Result<Vec<usize>, Error> {
    let Some(text) = text else { return Ok((0..schema.columns().len()).collect()) };
    let mut columns = Vec::new();
    let mut texts = crate::json::TextCache::empty();
    for element in elements(text)? {
        let name =
            Decoder::new(element, &mut texts).string().map_err(|_| Error::syntax("expected column names"))?;
        let column = schema.column_index(&name);
        let column =
            column.ok_or_else(|| Error::syntax(format!("no column {name} in table {}", schema.name())))?;
        if columns.contains(&column) {
            return Err(Error::syntax(format!("column {name} appears twice")));
        }
        columns.push(column);
    }
    Ok(columns)
}
