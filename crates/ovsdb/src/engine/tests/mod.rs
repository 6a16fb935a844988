pub(crate) mod model;
mod operations;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use kiln_types::{Rng, Uuid};
use serde_json::Value;

use super::references::{RowId, changed_references};
use super::*;
use crate::schema::{BaseType, ColumnType, DatabaseSchema, IMPLICIT_COLUMNS, RefKind, TableSchema};

/// A schema with every kind of column, reference and constraint.
pub(crate) fn zoo() -> DatabaseSchema {
    use BaseType as B;
    use ColumnType as C;
    let kinds = B::string_enum(["cat", "dog", "emu"]);
    DatabaseSchema::builder("Zoo", "1.0.0")
        .table(
            TableSchema::builder("Keeper")
                .root()
                .column("name", C::scalar(B::string()))
                .column("age", C::scalar(B::integer_in(-10, 10)))
                .column("height", C::scalar(B::real()))
                .column("grade", C::optional(B::integer()))
                .column("scores", C::new(B::integer(), None, 0, 5))
                .column("tags", C::map(B::string(), B::string()))
                .column("pets", C::set(B::strong("Pet")))
                .column("stable", C::map(B::string(), B::strong("Pet")))
                .column("rival", C::optional(B::weak("Keeper")))
                .column("fans", C::map(B::weak("Pet"), B::strong("Pet")))
                .immutable("badge", C::scalar(B::string()))
                .index(["name"]),
        )
        .table(
            TableSchema::builder("Pet")
                .max_rows(4)
                .column("kind", C::scalar(kinds))
                .column("age", C::scalar(B::integer()))
                .column("friend", C::optional(B::strong("Pet")))
                .column("vets", C::set(B::weak("Vet"))),
        )
        .table(
            TableSchema::builder("Vet")
                .root()
                .max_rows(3)
                .column("name", C::scalar(B::string()))
                .column("room", C::optional(B::integer()))
                .index(["name", "room"]),
        )
        .table(
            TableSchema::builder("Visit")
                .root()
                .column("vets", C::new(B::weak("Vet"), None, 1, 2))
                .column("cost", C::scalar(B::integer())),
        )
        .build()
        .unwrap()
}

/// A uuid that is easy to recognise.
pub(crate) fn id(number: u64) -> Uuid {
    Uuid::from_u128(0xaaaa_0000_0000_0000_0000_0000_0000 | u128::from(number))
}

/// Replaces `#1` by the JSON of uuid 1, and so on.
pub(crate) fn expand(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find('#') {
        let digits = rest[at + 1..].find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len() - at - 1);
        out.push_str(&rest[..at]);
        out.push_str(&id(rest[at + 1..at + 1 + digits].parse().unwrap()).to_string());
        rest = &rest[at + 1 + digits..];
    }
    out + rest
}

/// The opposite.
pub(crate) fn shorten(text: &str) -> String {
    let mut out = text.to_owned();
    for number in 0..100 {
        out = out.replace(&id(number).to_string(), &format!("#{number}"));
    }
    out
}

fn database() -> Database {
    Database::new(zoo(), Rng::with_seed(1))
}

fn outcome(db: &mut Database, operations: &str, waited_ms: u64) -> Outcome {
    let params = format!("[\"Zoo\",{}]", expand(operations));
    db.transact(&params, Duration::from_millis(waited_ms), &|lock| lock == "mine")
}

/// Runs operations; their results, errors cut down to their tags.
fn run(db: &mut Database, operations: &str) -> String {
    let Outcome::Finished { results, .. } = outcome(db, operations, 0) else { return "waiting".to_owned() };
    let results: Value = serde_json::from_str(&results).unwrap();
    let results = results.as_array().unwrap().iter().map(|result| match result.get("error") {
        Some(error) => format!("({})", error.as_str().unwrap()),
        None => shorten(&result.to_string()),
    });
    check_invariants(db);
    results.collect::<Vec<_>>().join(" ")
}

/// Recomputes from the rows what the database keeps up to date.
fn check_invariants(db: &Database) {
    let mut strong: BTreeMap<RowId, u32> = BTreeMap::new();
    let mut weak: BTreeMap<(RowId, RowId), u32> = BTreeMap::new();
    for (table, schema) in db.schema().tables().iter().enumerate() {
        for row in db.table(table).rows() {
            let source = RowId { table, uuid: row.uuid() };
            for (column, value) in schema.columns().iter().zip(row.columns()) {
                value.check(column.ty()).unwrap();
                changed_references(column.ty(), RefKind::Strong, None, Some(value), |target, _| {
                    assert!(db.table(target.table).get(target.uuid).is_some(), "dangling strong reference");
                    *strong.entry(target).or_default() += u32::from(target != source);
                });
                changed_references(column.ty(), RefKind::Weak, None, Some(value), |target, _| {
                    assert!(db.table(target.table).get(target.uuid).is_some(), "dangling weak reference");
                    *weak.entry((target, source)).or_default() += 1;
                });
            }
            for index in 0..schema.indexes().len() {
                assert_eq!(db.table(table).sharing(index, row), [row.uuid()]);
            }
        }
        assert_eq!(schema.columns().len(), db.table(table).template().columns().len());
        assert!(schema.columns().len() > IMPLICIT_COLUMNS);
    }
    strong.retain(|_, count| *count > 0);
    for (table, schema) in db.schema().tables().iter().enumerate().filter(|(_, schema)| !schema.is_root()) {
        for row in db.table(table).rows() {
            let id = RowId { table, uuid: row.uuid() };
            assert!(strong.contains_key(&id), "garbage in {}", schema.name());
        }
    }
    assert_eq!(db.references.dump(), (strong, weak));
}
