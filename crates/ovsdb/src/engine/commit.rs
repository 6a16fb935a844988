//! What is checked and done when a transaction commits (RFC 7047 sections 3.2 and 4.1.3).

use std::sync::Arc;

use kiln_types::{HashMap, HashSet, Uuid};

use super::references::{RowId, changed_references};
use super::{Error, ErrorKind, Row, Transaction, random_uuid};
use crate::schema::{RefKind, UUID_COLUMN, VERSION_COLUMN};
use crate::value::{Atom, Datum, compare};

/// What a transaction did.
#[derive(Clone, Debug, Default)]
pub struct Commit {
    /// The rows that differ, by table and uuid.
    pub changes: Vec<RowChange>,
    /// What the transaction's comments said.
    pub comments: Vec<String>,
}

/// A row that differs.
#[derive(Clone, Debug)]
pub struct RowChange {
    /// The table's index in the schema.
    pub table: usize,
    /// The row's uuid.
    pub uuid: Uuid,
    /// The row before; `None` if it was inserted.
    pub old: Option<Arc<Row>>,
    /// The row after; `None` if it was deleted.
    pub new: Option<Arc<Row>>,
}

/// Changes of strong counts, relative to the committed ones.
type Counts = HashMap<RowId, i64>;

impl Transaction<'_> {
    /// Checks the constraints that only hold between transactions, deletes what nothing refers to, and makes the changes
    /// final. On error, and if nothing differs, the database is as it was.
    pub fn commit(mut self) -> Result<Commit, Error> {
        self.forget_unchanged();
        let mut counts = Counts::default();
        self.count_strong(&mut counts)?;
        self.check_deleted(&counts)?;
        loop {
            self.collect_garbage(&mut counts);
            // a weak key or value that goes may take the last strong reference to something with it
            if !self.remove_dangling(&mut counts)? {
                break;
            }
        }
        self.check_max_rows()?;
        self.check_indexes()?;
        self.forget_unchanged();
        Ok(self.finish(counts))
    }

    fn current(&self, id: RowId) -> Option<&Arc<Row>> {
        self.db.table(id.table).get(id.uuid)
    }

    /// Drops the rows that are what they were.
    fn forget_unchanged(&mut self) {
        let db = &mut *self.db;
        self.before.retain(|id, before| {
            let Some(old) = before else { return db.table(id.table).get(id.uuid).is_some() };
            match db.table(id.table).get(id.uuid) {
                Some(new) if Arc::ptr_eq(old, new) => false,
                Some(new) if old.same_content(new) => {
                    // the old one, so that no second copy stays
                    db.table_mut(id.table).remove(id.uuid);
                    db.table_mut(id.table).insert(Arc::clone(old));
                    false
                }
                _ => true,
            }
        });
    }

    fn count_strong(&self, counts: &mut Counts) -> Result<(), Error> {
        for (id, before) in &self.before {
            let after = self.current(*id);
            for &column in &self.db.table(id.table).strong_columns {
                let mut missing = None;
                let (old, new) =
                    (before.as_ref().map(|row| row.get(column)), after.map(|row| row.get(column)));
                let ty = self.db.schema().tables()[id.table].columns()[column].ty();
                changed_references(ty, RefKind::Strong, old, new, |target, change| {
                    if target == *id {
                        return;
                    }
                    let known =
                        self.current(target).is_some() || matches!(self.before.get(&target), Some(Some(_)));
                    if change > 0 && !known {
                        missing.get_or_insert(target);
                    }
                    *counts.entry(target).or_default() += change;
                });
                if let Some(target) = missing {
                    return Err(self.missing_target(*id, column, target));
                }
            }
        }
        Ok(())
    }

    fn missing_target(&self, source: RowId, column: usize, target: RowId) -> Error {
        let tables = self.db.schema().tables();
        let details = format!(
            "table {} row {} column {} refers to row {} of table {}, which does not exist",
            tables[source.table].name(),
            source.uuid,
            tables[source.table].columns()[column].name(),
            target.uuid,
            tables[target.table].name(),
        );
        Error::new(ErrorKind::ReferentialIntegrity, details)
    }

    fn strong_count(&self, counts: &Counts, id: RowId) -> i64 {
        i64::from(self.db.references.strong_count(id)) + counts.get(&id).copied().unwrap_or(0)
    }

    fn check_deleted(&self, counts: &Counts) -> Result<(), Error> {
        for (id, before) in &self.before {
            let count = self.strong_count(counts, *id);
            if before.is_some() && self.current(*id).is_none() && count > 0 {
                let table = self.db.schema().tables()[id.table].name();
                let details =
                    format!("cannot delete row {} of table {table}: {count} references are left", id.uuid);
                return Err(Error::new(ErrorKind::ReferentialIntegrity, details));
            }
        }
        Ok(())
    }

    /// Deletes the rows that nothing refers to any more, and what they alone referred to.
    fn collect_garbage(&mut self, counts: &mut Counts) {
        let schema = Arc::clone(self.db.schema());
        let mut suspects: Vec<RowId> = self.before.keys().chain(counts.keys()).copied().collect();
        suspects.retain(|id| !schema.tables()[id.table].is_root());
        suspects.sort_unstable();
        while let Some(id) = suspects.pop() {
            if self.strong_count(counts, id) > 0 {
                continue;
            }
            let Some(row) = self.delete(id.table, id.uuid) else { continue };
            for &column in &self.db.table(id.table).strong_columns {
                let ty = schema.tables()[id.table].columns()[column].ty();
                changed_references(ty, RefKind::Strong, Some(row.get(column)), None, |target, change| {
                    if target != id {
                        *counts.entry(target).or_default() += change;
                        if !schema.tables()[target.table].is_root() {
                            suspects.push(target);
                        }
                    }
                });
            }
        }
    }

    fn check_max_rows(&self) -> Result<(), Error> {
        let mut last = None;
        for id in self.before.keys().filter(|id| last.replace(id.table) != Some(id.table)) {
            let schema = &self.db.schema().tables()[id.table];
            let len = self.db.table(id.table).len();
            if len > schema.max_rows() as usize {
                let details =
                    format!("table {} would have {len} rows, more than {}", schema.name(), schema.max_rows());
                return Err(Error::constraint(details));
            }
        }
        Ok(())
    }

    /// Removes weak references to rows that are not there. Whether there were any.
    fn remove_dangling(&mut self, counts: &mut Counts) -> Result<bool, Error> {
        let mut dead: HashSet<RowId> = HashSet::default();
        let mut sources: Vec<RowId> = Vec::new();
        for (id, before) in &self.before {
            if self.current(*id).is_some() {
                if !self.db.table(id.table).weak_columns.is_empty() {
                    sources.push(*id);
                }
            } else if before.is_some() {
                let referring = sources.len();
                sources.extend(self.db.references.weak_sources(*id));
                if sources.len() > referring {
                    dead.insert(*id);
                }
            }
        }
        sources.sort_unstable();
        sources.dedup();
        let mut any = false;
        for id in sources {
            for at in 0..self.db.table(id.table).weak_columns.len() {
                let column = self.db.table(id.table).weak_columns[at];
                any |= self.remove_dangling_from(id, column, &dead, counts)?;
            }
        }
        Ok(any)
    }

    fn remove_dangling_from(
        &mut self,
        id: RowId,
        column: usize,
        dead: &HashSet<RowId>,
        counts: &mut Counts,
    ) -> Result<bool, Error> {
        let schema = Arc::clone(self.db.schema());
        let ty = schema.tables()[id.table].columns()[column].ty();
        // a row that was pulled in only now is what it was
        let Some(current) = self.current(id) else { return Ok(false) };
        let value = current.get(column);
        let before = match self.before.get(&id) {
            Some(before) => before.as_ref().map(|row| row.get(column)),
            None => Some(value),
        };
        let key = ty.key().reference(RefKind::Weak).map(|reference| reference.table_index);
        let item =
            ty.value().and_then(|base| base.reference(RefKind::Weak)).map(|reference| reference.table_index);
        let dangles = |table: Option<usize>, atom: Option<&Atom>, is_new: bool| {
            let (Some(table), Some(uuid)) = (table, atom.and_then(Atom::as_uuid)) else { return false };
            let target = RowId { table, uuid };
            if is_new { self.current(target).is_none() } else { dead.contains(&target) }
        };
        let (mut keep_atoms, mut keep_pairs) = (Vec::new(), Vec::new());
        compare(before, Some(value), |old, new| {
            let Some((k, v)) = new else { return };
            let is_new = old != new;
            if !dangles(key, Some(k), is_new) && !dangles(item, v, is_new) {
                match v {
                    None => keep_atoms.push(k.clone()),
                    Some(v) => keep_pairs.push((k.clone(), v.clone())),
                }
            }
        });
        if keep_atoms.len() + keep_pairs.len() == value.len() {
            return Ok(false);
        }
        let kept = if ty.value().is_some() { Datum::Map(keep_pairs) } else { Datum::Set(keep_atoms.into()) };
        if kept.len() < ty.min() as usize {
            let details = format!(
                "table {} row {} column {} would be empty without the weak references to rows that do not exist",
                schema.tables()[id.table].name(),
                id.uuid,
                schema.tables()[id.table].columns()[column].name(),
            );
            return Err(Error::constraint(details));
        }
        changed_references(ty, RefKind::Strong, Some(value), Some(&kept), |target, change| {
            *counts.entry(target).or_default() += if target == id { 0 } else { change };
        });
        self.modify(id.table, id.uuid, |at| at == column, |row| row.set(column, kept));
        Ok(true)
    }

    fn check_indexes(&self) -> Result<(), Error> {
        for id in self.before.keys() {
            let Some(row) = self.current(*id) else { continue };
            let schema = &self.db.schema().tables()[id.table];
            for (number, columns) in schema.indexes().iter().enumerate() {
                let sharing = self.db.table(id.table).sharing(number, row);
                let Some(other) = sharing.iter().find(|uuid| **uuid != id.uuid) else { continue };
                let values: Vec<String> = columns
                    .iter()
                    .map(|&column| format!("{} {}", schema.columns()[column].name(), row.get(column)))
                    .collect();
                let details = format!(
                    "table {} would have two rows with {}, which is an index: {} and {other}",
                    schema.name(),
                    values.join(" and "),
                    id.uuid,
                );
                return Err(Error::constraint(details));
            }
        }
        Ok(())
    }

    fn finish(mut self, counts: Counts) -> Commit {
        for (target, change) in counts {
            self.db.references.add_strong(target, change);
        }
        let schema = Arc::clone(self.db.schema());
        let mut changes = Vec::with_capacity(self.before.len());
        for (id, old) in std::mem::take(&mut self.before) {
            if old.is_some() {
                let version = random_uuid(&mut self.db.rng);
                let versioned = |column| column == VERSION_COLUMN;
                self.db.table_mut(id.table).modify(id.uuid, versioned, |row| row.set_version(version));
            }
            let new = self.current(id).cloned();
            for at in 0..self.db.table(id.table).weak_columns.len() {
                let column = self.db.table(id.table).weak_columns[at];
                let ty = schema.tables()[id.table].columns()[column].ty();
                let (old, new) =
                    (old.as_ref().map(|row| row.get(column)), new.as_ref().map(|row| row.get(column)));
                changed_references(ty, RefKind::Weak, old, new, |target, change| {
                    self.db.references.add_weak(target, id, change);
                });
            }
            debug_assert!(new.as_ref().is_none_or(|row| row.get(UUID_COLUMN) == &Datum::from(id.uuid)));
            changes.push(RowChange { table: id.table, uuid: id.uuid, old, new });
        }
        Commit { changes, comments: std::mem::take(&mut self.comments) }
    }
}
