use kiln_types::Uuid;
use serde_json::{Value, json};

use super::*;
use crate::column::{Pairs, Ref, Text};
use crate::json::{Decoder, TextCache};

fn written(txn: Txn) -> Value {
    serde_json::from_str(&txn.into_params()).unwrap()
}

const ROW: &str = "00000000-0000-0000-0000-00000000000a";

fn row() -> Uuid {
    Uuid::from_u128(10)
}

#[test]
fn operations() {
    let mut txn = Txn::new("D");
    txn.insert("T").uuid(row()).set("a", &1).set("b", "x");
    txn.insert("T").uuid_name("n");
    txn.update("T").set("c", &Ref::Named("n")).row(row()).set("d", &None::<i64>);
    txn.mutate("T")
        .row(row())
        .delete("m", &["k"])
        .put("m", &Pairs(&[("k", "v")]))
        .add("n", &-1)
        .mutation("n", "%=", &7);
    txn.delete("T").filter("a", Function::Excludes, &[1, 2]).filter("b", Function::Less, &3);
    txn.wait("T").row(row()).expect("a", &1).expect("b", "x");
    txn.wait("T").filter("name", Function::Equal, "new");
    txn.select("T").column("a").column("_uuid");
    txn.select("T").row(row());
    txn.comment("why \"so\"");
    txn.assert_lock("l");
    txn.abort();
    assert_eq!(txn.len(), 12);
    let where_row = json!([["_uuid", "==", ["uuid", ROW]]]);
    assert_eq!(
        written(txn),
        json!([
            "D",
            { "op": "insert", "table": "T", "uuid": ROW, "row": { "a": 1, "b": "x" } },
            { "op": "insert", "table": "T", "uuid-name": "n", "row": {} },
            { "op": "update", "table": "T", "where": where_row,
              "row": { "c": ["named-uuid", "n"], "d": ["set", []] } },
            { "op": "mutate", "table": "T", "where": where_row, "mutations": [
                ["m", "delete", "k"], ["m", "insert", ["map", [["k", "v"]]]], ["n", "+=", -1], ["n", "%=", 7]] },
            { "op": "delete", "table": "T", "where": [["a", "excludes", ["set", [1, 2]]], ["b", "<", 3]] },
            { "op": "wait", "table": "T", "timeout": 0, "until": "==", "where": where_row,
              "columns": ["a", "b"], "rows": [{ "a": 1, "b": "x" }] },
            { "op": "wait", "table": "T", "timeout": 0, "until": "==", "where": [["name", "==", "new"]],
              "columns": ["_uuid"], "rows": [] },
            { "op": "select", "table": "T", "where": [], "columns": ["a", "_uuid"] },
            { "op": "select", "table": "T", "where": where_row },
            { "op": "comment", "comment": "why \"so\"" },
            { "op": "assert", "lock": "l" },
            { "op": "abort" },
        ])
    );
}

#[test]
fn what_the_server_lacks_is_left_out() {
    let offered = OfferedSchema::from_names([("T", &["a"][..])]);
    let mut txn = Txn::for_schema("D", Arc::new(offered));
    txn.insert("T").set("new", &1).set("a", &2);
    txn.insert("U").set("a", &1).set("b", &1);
    txn.update("T").filter("new", Function::Equal, &1).set("a", &1);
    txn.mutate("T").add("new", &1);
    let last = txn.delete("T").row(row()).index();
    assert_eq!((last, txn.len()), (4, 5), "results stay where they were");
    let missing: Vec<String> = txn.missing().iter().map(ToString::to_string).collect();
    assert_eq!(
        missing,
        ["column new of table T", "table U", "column new of table T", "column new of table T"]
    );
    assert_eq!(
        written(txn),
        json!([
            "D",
            { "op": "insert", "table": "T", "row": { "a": 2 } },
            { "op": "comment", "comment": "left out: insert U" },
            { "op": "comment", "comment": "left out: update T" },
            { "op": "mutate", "table": "T", "where": [], "mutations": [] },
            { "op": "delete", "table": "T", "where": [["_uuid", "==", ["uuid", ROW]]] },
        ])
    );
}

#[test]
fn what_no_column_there_may_hold_is_left_out() {
    let text = r#"{"tables":{"T":{"columns":{
        "a":{"type":"integer"},"kind":{"type":{"key":{"type":"string","enum":["set",["x","y"]]}}}}}}}"#;
    let mut txn = Txn::for_schema("D", Arc::new(OfferedSchema::parse(text).unwrap()));
    txn.assert_lock("l");
    txn.insert("T").set("a", &1).set("kind", "z");
    txn.update("T").row(row()).set("kind", "z");
    assert!(txn.is_moot(), "nothing comes of these");
    txn.update("T").row(row()).set("kind", "z").set("a", &2);
    assert!(!txn.is_moot());
    txn.insert("T").set("kind", "x");
    let missing: Vec<String> = txn.missing().iter().map(ToString::to_string).collect();
    assert_eq!(missing, ["`z` in column kind of table T"; 3]);
    let is_row = json!([["_uuid", "==", ["uuid", ROW]]]);
    assert_eq!(
        written(txn),
        json!([
            "D",
            { "op": "assert", "lock": "l" },
            { "op": "comment", "comment": "left out: insert T" },
            { "op": "update", "table": "T", "row": {}, "where": is_row },
            { "op": "update", "table": "T", "row": { "a": 2 }, "where": is_row },
            { "op": "insert", "table": "T", "row": { "kind": "x" } },
        ])
    );
}

fn reply(text: &str, ops: usize) -> Result<TxnReply, crate::json::DecodeError> {
    TxnReply::decode(&mut Decoder::new(text, &mut TextCache::empty()), ops)
}

#[test]
fn results() {
    // as ovsdb-server 3.1 answered
    let text = format!(r#"[{{"uuid":["uuid","{ROW}"]}},{{"count":2}},{{"rows":[{{"n":1}}]}},{{}}]"#);
    let rows = r#"[{"n":1}]"#.to_owned();
    let results = vec![OpResult::Inserted(row()), OpResult::Count(2), OpResult::Rows(rows), OpResult::Done];
    assert_eq!(reply(&text, 4), Ok(TxnReply::Committed(results)));
    for bad in
        ["{}", "[{}", "[{},{}]", "[]", r#"[{"count":"x"}]"#, r#"[{"uuid":["uuid","x"]}]"#, "[null]", "[3]"]
    {
        assert!(reply(bad, 1).is_err(), "{bad}");
    }
}

#[test]
fn failures() {
    let failed = |text: &str, ops| match reply(text, ops).unwrap() {
        TxnReply::Failed(error) => error,
        TxnReply::Committed(_) => panic!("{text}"),
    };
    // a wait that does not hold, as ovsdb-server 3.1 answers it
    let error = failed(r#"[{"details":"\"where\" clause test failed","error":"timed out"},null]"#, 2);
    assert_eq!((error.op, error.class()), (Some(0), ErrorClass::Conflict));
    assert_eq!(error.to_string(), "timed out: \"where\" clause test failed (operation 0)");
    // found at commit: one more result than operations
    let error = failed(r#"[{"count":1},{"error":"referential integrity violation","details":"d"}]"#, 1);
    assert_eq!((error.op, error.class()), (None, ErrorClass::Conflict));
    let class = |error: &str| failed(&format!(r#"[{{}},{{"error":"{error}"}},null]"#), 3).class();
    assert_eq!(class("constraint violation"), ErrorClass::Conflict);
    assert_eq!(class("duplicate uuid"), ErrorClass::Conflict);
    assert_eq!(class("not owner"), ErrorClass::NotOwner);
    assert_eq!(class("resources exhausted"), ErrorClass::Temporary);
    assert_eq!(class("permission error"), ErrorClass::Permission);
    assert_eq!(class("unknown column"), ErrorClass::Refused);
    assert_eq!(class("something new"), ErrorClass::Refused);
}

#[test]
fn selected_rows() {
    let mut found = Vec::new();
    decode_rows("T", r#"[{"name":"a"}, {"x":1,"name":"b","y":[2]},{}]"#, |row| {
        while let Some(column) = row.next_column()? {
            if column == "name" {
                found.push(row.value::<Text>()?);
                break;
            }
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(found, [Text::from("a"), Text::from("b")]);
    assert_eq!(decode_rows("T", "[]", |_| panic!()), Ok(()));
    for bad in ["", "{}", "[{}", "[1]", "[{} {}]", r#"[{"a"}]"#] {
        assert!(decode_rows("T", bad, |_| Ok(())).is_err(), "{bad}");
    }
}
