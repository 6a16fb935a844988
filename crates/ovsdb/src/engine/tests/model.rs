//! Sequences of transactions against a model that keeps nothing and recomputes everything.

use proptest::prelude::*;

use super::*;
use crate::value::{Atom, Datum};

const IDS: u64 = 5;
const KEEPER: usize = 0;
const PET: usize = 1;
const VET: usize = 2;
const VISIT: usize = 3;

/// One change of a transaction: what is changed, and random bits from which values are made.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Insert { table: usize, row: u64, picks: [u8; 4] },
    Update { table: usize, row: u64, picks: [u8; 4] },
    Grow { table: usize, row: u64, picks: u8 },
    Shrink { table: usize, row: u64, picks: u8 },
    Delete { table: usize, row: u64 },
}

fn row_id(table: usize, row: u64) -> Uuid {
    id(table as u64 * 10 + row)
}

/// The steps of one transaction.
pub(crate) fn transaction() -> impl Strategy<Value = Vec<Step>> {
    let (table, row) = (0usize..4, 0..IDS);
    let picks = any::<[u8; 4]>();
    let step = prop_oneof![
        4 => (table.clone(), row.clone(), picks).prop_map(|(table, row, picks)| Step::Insert { table, row, picks }),
        2 => (table.clone(), row.clone(), picks).prop_map(|(table, row, picks)| Step::Update { table, row, picks }),
        1 => (table.clone(), row.clone(), any::<u8>()).prop_map(|(table, row, picks)| Step::Grow { table, row, picks }),
        1 => (table.clone(), row.clone(), any::<u8>()).prop_map(|(table, row, picks)| Step::Shrink { table, row, picks }),
        2 => (table, row).prop_map(|(table, row)| Step::Delete { table, row }),
    ];
    prop::collection::vec(step, 1..7)
}

fn subset(table: usize, bits: u8) -> Datum {
    Datum::set((0..IDS).filter(|row| bits >> row & 1 == 1).map(|row| row_id(table, row)))
}

fn optional(table: usize, pick: u8) -> Datum {
    let row = u64::from(pick % 8);
    if row < IDS { Datum::from(row_id(table, row)) } else { Datum::empty_set() }
}

/// Values for all columns that refer, are indexed or are bounded.
fn values(schema: &DatabaseSchema, table: usize, picks: [u8; 4]) -> Vec<(usize, Datum)> {
    let [a, b, c, d] = picks;
    let pet = |pick: u8| row_id(PET, u64::from(pick) % IDS);
    let values = match table {
        KEEPER => vec![
            ("name", Datum::from(["a", "b", "c", "d", "e", "f"][usize::from(a % 6)])),
            ("pets", subset(PET, b & d)),
            ("stable", if c % 4 == 0 { Datum::map([("x", pet(c >> 2))]) } else { Datum::Map(Vec::new()) }),
            ("rival", optional(KEEPER, d)),
            ("fans", if (c >> 2) % 4 == 0 { Datum::map([(pet(d), pet(a))]) } else { Datum::Map(Vec::new()) }),
        ],
        PET => vec![
            ("kind", Datum::from("cat")),
            ("age", Datum::from(i64::from(a))),
            ("friend", optional(PET, b | c)),
            ("vets", subset(VET, d)),
        ],
        VET => vec![
            ("name", Datum::from(["a", "b"][usize::from(a % 2)])),
            ("room", Datum::from(i64::from(b % 3))),
        ],
        _ => vec![("vets", Datum::set([row_id(VET, u64::from(a) % IDS), row_id(VET, u64::from(b) % IDS)]))],
    };
    let column = |name| schema.tables()[table].column_index(name).unwrap();
    values.into_iter().map(|(name, value)| (column(name), value)).collect()
}

/// The set that `Grow` and `Shrink` change.
fn set_column(schema: &DatabaseSchema, table: usize) -> Option<(usize, usize)> {
    let (name, target) = match table {
        KEEPER => ("pets", PET),
        PET => ("vets", VET),
        VISIT => ("vets", VET),
        _ => return None,
    };
    Some((schema.tables()[table].column_index(name).unwrap(), target))
}

type Rows = BTreeMap<(usize, Uuid), Row>;

struct Model {
    schema: DatabaseSchema,
    rows: Rows,
}

impl Model {
    /// What a transaction comes to: the rows after it, or the error.
    fn run(&self, steps: &[Step]) -> Result<Rows, ErrorKind> {
        let mut rows = self.rows.clone();
        let mut gone: Vec<(usize, Uuid)> = Vec::new();
        for step in steps {
            match step.clone() {
                Step::Insert { table, row, picks } => {
                    let key = (table, row_id(table, row));
                    if rows.contains_key(&key) || gone.contains(&key) {
                        return Err(ErrorKind::DuplicateUuid);
                    }
                    let mut new = Row::default_of(&self.schema.tables()[table]);
                    new.set(crate::schema::UUID_COLUMN, Datum::from(key.1));
                    for (column, value) in values(&self.schema, table, picks) {
                        new.set(column, value);
                    }
                    rows.insert(key, new);
                }
                Step::Update { table, row, picks } => {
                    if let Some(row) = rows.get_mut(&(table, row_id(table, row))) {
                        for (column, value) in values(&self.schema, table, picks) {
                            row.set(column, value);
                        }
                    }
                }
                Step::Grow { table, row, picks } | Step::Shrink { table, row, picks } => {
                    let Some((column, target)) = set_column(&self.schema, table) else { continue };
                    let Some(row) = rows.get_mut(&(table, row_id(table, row))) else { continue };
                    let mut value = row.get(column).clone();
                    match step {
                        Step::Grow { .. } => value.insert_all(&subset(target, picks)),
                        _ => value.remove_all(&subset(target, picks)),
                    }
                    value
                        .check(self.schema.tables()[table].columns()[column].ty())
                        .map_err(|_| ErrorKind::ConstraintViolation)?;
                    row.set(column, value);
                }
                Step::Delete { table, row } => {
                    let key = (table, row_id(table, row));
                    if rows.remove(&key).is_some() && self.rows.contains_key(&key) {
                        gone.push(key);
                    }
                }
            }
        }
        self.settle(rows)
    }

    /// The targets of a row's references.
    fn targets(&self, table: usize, row: &Row, kind: RefKind) -> Vec<(usize, Uuid)> {
        let mut targets = Vec::new();
        for (column, value) in self.schema.tables()[table].columns().iter().zip(row.columns()) {
            changed_references(column.ty(), kind, None, Some(value), |target, _| {
                targets.push((target.table, target.uuid));
            });
        }
        targets
    }

    /// Everything that holds between transactions, from scratch.
    fn settle(&self, mut rows: Rows) -> Result<Rows, ErrorKind> {
        for ((table, _), row) in &rows {
            if self.targets(*table, row, RefKind::Strong).iter().any(|target| !rows.contains_key(target)) {
                return Err(ErrorKind::ReferentialIntegrity);
            }
        }
        loop {
            let before = rows.clone();
            while let Some(garbage) = self.garbage(&rows) {
                rows.remove(&garbage);
            }
            self.drop_dangling(&mut rows)?;
            if rows == before {
                break;
            }
        }
        for (table, schema) in self.schema.tables().iter().enumerate() {
            let here: Vec<&Row> = rows.iter().filter(|(key, _)| key.0 == table).map(|(_, row)| row).collect();
            let shared = |index: &Vec<usize>| {
                let keys: std::collections::BTreeSet<Vec<&Datum>> =
                    here.iter().map(|row| index.iter().map(|&column| row.get(column)).collect()).collect();
                keys.len() < here.len()
            };
            if here.len() > schema.max_rows() as usize || schema.indexes().iter().any(shared) {
                return Err(ErrorKind::ConstraintViolation);
            }
        }
        Ok(rows)
    }

    fn garbage(&self, rows: &Rows) -> Option<(usize, Uuid)> {
        let wanted = |wanted: &(usize, Uuid)| {
            rows.iter()
                .any(|(key, row)| key != wanted && self.targets(key.0, row, RefKind::Strong).contains(wanted))
        };
        rows.keys().find(|key| !self.schema.tables()[key.0].is_root() && !wanted(key)).copied()
    }

    fn drop_dangling(&self, rows: &mut Rows) -> Result<(), ErrorKind> {
        let known: Vec<(usize, Uuid)> = rows.keys().copied().collect();
        for ((table, _), row) in rows {
            for at in 0..row.columns().len() {
                let ty = self.schema.tables()[*table].columns()[at].ty();
                let exists = |base: &BaseType, atom: &Atom| {
                    base.reference(RefKind::Weak)
                        .is_none_or(|to| known.contains(&(to.table_index, atom.as_uuid().unwrap())))
                };
                let mut value = row.get(at).clone();
                match &mut value {
                    Datum::Set(atoms) => atoms.retain(|atom| exists(ty.key(), atom)),
                    Datum::Map(pairs) => {
                        pairs.retain(|(k, v)| exists(ty.key(), k) && exists(ty.value().unwrap(), v));
                    }
                }
                if value.len() < row.get(at).len() && value.len() < ty.min() as usize {
                    return Err(ErrorKind::ConstraintViolation);
                }
                row.set(at, value);
            }
        }
        Ok(())
    }
}

/// The same steps on the engine.
pub(crate) fn apply(txn: &mut Transaction<'_>, steps: &[Step]) -> Result<(), Error> {
    let schema = Arc::clone(txn.database().schema());
    for step in steps {
        match *step {
            Step::Insert { table, row, picks } => {
                let mut new = txn.new_row(table);
                for (column, value) in values(&schema, table, picks) {
                    new.set(column, value);
                }
                txn.insert(table, row_id(table, row), new)?;
            }
            Step::Update { table, row, picks } => {
                txn.update(table, row_id(table, row), &values(&schema, table, picks));
            }
            Step::Grow { table, row, picks } | Step::Shrink { table, row, picks } => {
                let Some((column, target)) = set_column(&schema, table) else { continue };
                let mutator =
                    if matches!(step, Step::Grow { .. }) { Mutator::Insert } else { Mutator::Delete };
                let mutation = Mutation { column, mutator, argument: subset(target, picks) };
                txn.mutate(table, row_id(table, row), &[mutation])?;
            }
            Step::Delete { table, row } => {
                txn.delete(table, row_id(table, row));
            }
        }
    }
    Ok(())
}

/// The rows of the engine, versions blanked.
fn contents(db: &Database) -> Rows {
    let mut rows = Rows::new();
    for table in 0..db.schema().tables().len() {
        for row in db.table(table).rows() {
            rows.insert((table, row.uuid()), without_version(row));
        }
    }
    rows
}

fn without_version(row: &Row) -> Row {
    let mut row = row.clone();
    row.set_version(Uuid::nil());
    row
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn transactions_agree_with_recomputation(transactions in prop::collection::vec(transaction(), 1..12)) {
        let mut db = database();
        let mut model = Model { schema: zoo(), rows: Rows::new() };
        for steps in &transactions {
            let expected = model.run(steps);
            let mut txn = db.begin();
            let got = apply(&mut txn, steps).and_then(|()| txn.commit());
            check_invariants(&db);
            match (expected, got) {
                (Ok(rows), Ok(commit)) => {
                    let mut replayed = std::mem::take(&mut model.rows);
                    for change in &commit.changes {
                        let key = (change.table, change.uuid);
                        prop_assert_eq!(change.old.as_deref().map(without_version), replayed.remove(&key));
                        prop_assert_ne!(
                            change.old.as_deref().map(without_version),
                            change.new.as_deref().map(without_version)
                        );
                        if let Some(new) = &change.new {
                            replayed.insert(key, without_version(new));
                        }
                    }
                    prop_assert_eq!(&replayed, &rows);
                    prop_assert_eq!(&contents(&db), &rows);
                    model.rows = rows;
                }
                (Err(kind), Err(error)) => {
                    prop_assert_eq!(kind, error.kind, "{}", error);
                    prop_assert_eq!(&contents(&db), &model.rows);
                }
                (expected, got) => {
                    prop_assert!(false, "{:?}: expected {:?}, got {:?}", steps, expected.map(|_| ()), got.map(|_| ()));
                }
            }
        }
    }
}
