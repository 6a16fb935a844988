use super::*;

fn zoo() -> DatabaseSchema {
    DatabaseSchema::builder("Zoo", "1.2.3")
        .cksum("12 34")
        .table(
            TableSchema::builder("Keeper")
                .root()
                .max_rows(7)
                .immutable("name", ColumnType::scalar(BaseType::string_of_length(1, 20)))
                .column("animals", ColumnType::set(BaseType::strong("Animal")))
                .column("likes", ColumnType::new(BaseType::weak("Animal"), None, 1, 3))
                .column("grade", ColumnType::optional(BaseType::integer_in(1, i64::MAX)))
                .ephemeral("seen", ColumnType::map(BaseType::string(), BaseType::real_in(-0.5, 1e300)))
                .index(["name", "grade"]),
        )
        .table(
            TableSchema::builder("Animal")
                .column("kind", ColumnType::scalar(BaseType::string_enum(["cat", "dog"])))
                .column("legs", ColumnType::scalar(BaseType::integer_enum([4])))
                .column("id", ColumnType::scalar(BaseType::uuid())),
        )
        .build()
        .unwrap()
}

#[test]
fn printed_form_is_the_files_form() {
    expect_test::expect![[r#"
        {
            "name": "Zoo",
            "version": "1.2.3",
            "cksum": "12 34",
            "tables": {
                "Keeper": {
                    "columns": {
                        "name": {"type":{"key":{"type":"string","minLength":1,"maxLength":20}},"mutable":false},
                        "animals": {"type":{"key":{"type":"uuid","refTable":"Animal"},"min":0,"max":"unlimited"}},
                        "likes": {"type":{"key":{"type":"uuid","refTable":"Animal","refType":"weak"},"max":3}},
                        "grade": {"type":{"key":{"type":"integer","minInteger":1},"min":0}},
                        "seen": {"type":{"key":"string","value":{"type":"real","minReal":-0.5,"maxReal":1e300},"min":0,"max":"unlimited"},"ephemeral":true}
                    },
                    "indexes": [["name","grade"]],
                    "maxRows": 7,
                    "isRoot": true
                },
                "Animal": {
                    "columns": {
                        "kind": {"type":{"key":{"type":"string","enum":["set",["cat","dog"]]}}},
                        "legs": {"type":{"key":{"type":"integer","enum":4}}},
                        "id": {"type":"uuid"}
                    }
                }
            }
        }
    "#]]
    .assert_eq(&format!("{:#}", zoo()));
}

#[test]
fn printed_schemas_parse_to_themselves() {
    // a parsed schema lists its tables by name, as JSON objects have no order
    let parsed = DatabaseSchema::parse(&zoo().to_string()).unwrap();
    assert_eq!(parsed, DatabaseSchema::parse(&format!("{parsed:#}")).unwrap());
    assert_eq!(parsed.table("Keeper").unwrap().column("likes").unwrap().ty().max(), 3);
    assert!(parsed.table("Keeper").unwrap().is_root());
    assert!(!parsed.table("Animal").unwrap().is_root());
}

#[test]
fn without_any_root_all_tables_are() {
    let schema = DatabaseSchema::builder("D", "").table(TableSchema::builder("T")).build().unwrap();
    assert!(schema.tables()[0].is_root());
    assert!(!schema.to_string().contains("isRoot"));
}

#[test]
fn weak_references_are_mutable() {
    let text = r#"{"name":"D","tables":{"T":{"columns":{"w":{"mutable":false,
        "type":{"key":{"type":"uuid","refTable":"T","refType":"weak"}}}}}}}"#;
    assert!(DatabaseSchema::parse(text).unwrap().tables()[0].column("w").unwrap().is_mutable());
}

#[test]
fn errors_name_the_place() {
    let table = |inside: &str| format!(r#"{{"name":"D","version":"1.0.0","tables":{{"T":{inside}}}}}"#);
    let column = |inside: &str| table(&format!(r#"{{"columns":{{"c":{{"type":{inside}}}}}}}"#));
    for (text, path) in [
        ("[]".to_owned(), ""),
        (r#"{"name":"D d","tables":{}}"#.to_owned(), ""),
        (r#"{"name":"D","version":"1.0","tables":{}}"#.to_owned(), ""),
        (table("5"), "tables.T"),
        (table(r#"{"columns":{},"maxRows":0}"#), "tables.T"),
        (table(r#"{"columns":{},"bogus":0}"#), "tables.T"),
        (table(r#"{"columns":{"_c":{"type":"string"}}}"#), "tables.T.columns._c"),
        (table(r#"{"columns":{},"indexes":[["x"]]}"#), "tables.T.indexes"),
        (table(r#"{"columns":{},"indexes":[[]]}"#), "tables.T.indexes"),
        (
            table(r#"{"columns":{"e":{"type":"string","ephemeral":true}},"indexes":[["e"]]}"#),
            "tables.T.indexes",
        ),
        (column(r#""strin""#), "tables.T.columns.c.type"),
        (column(r#"{"key":"string","max":0}"#), "tables.T.columns.c"),
        (column(r#"{"key":"string","min":2,"max":3}"#), "tables.T.columns.c"),
        (column(r#"{"key":{"type":"uuid","refTable":"Nope"}}"#), "tables.T.columns.c"),
        (
            column(r#"{"key":{"type":"uuid","refTable":"T","refType":"x"}}"#),
            "tables.T.columns.c.type.key.refType",
        ),
        (column(r#"{"key":{"type":"string","minInteger":1}}"#), "tables.T.columns.c.type.key"),
        (column(r#"{"key":{"type":"integer","minInteger":5,"maxInteger":4}}"#), "tables.T.columns.c"),
        (column(r#"{"key":{"type":"integer","enum":["set",[1,"a"]]}}"#), "tables.T.columns.c.type.key.enum"),
    ] {
        let error = DatabaseSchema::parse(&text).unwrap_err();
        assert_eq!(error.path(), path, "{text}: {error}");
    }
}
