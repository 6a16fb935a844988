use super::*;

/// Runs one transaction after another and compares what each gives.
#[track_caller]
fn check(steps: &[(&str, &str)]) {
    let mut db = database();
    for (operations, expected) in steps {
        assert_eq!(run(&mut db, operations), *expected, "{operations}");
    }
}

const ADA: &str = r##"{"op":"insert","table":"Keeper","uuid":"#1","row":{"name":"Ada","age":5,"scores":["set",[1,2,3]],
    "tags":["map",[["a","b"]]]}}"##;

fn ask(column: &str) -> String {
    format!(r#"{{"op":"select","table":"Keeper","where":[["name","==","Ada"]],"columns":["{column}"]}}"#)
}

#[test]
fn insert_gives_the_uuid_and_fills_in_defaults() {
    check(&[
        (ADA, r##"{"uuid":["uuid","#1"]}"##),
        (
            r#"{"op":"select","table":"Keeper","where":[],"columns":["name","age","height","grade","badge","fans","_uuid"]}"#,
            r##"{"rows":[{"_uuid":["uuid","#1"],"age":5,"badge":"","fans":["map",[]],"grade":["set",[]],"height":0,"name":"Ada"}]}"##,
        ),
        (ADA, "(duplicate uuid)"),
        (r##"{"op":"insert","table":"Vet","uuid":"#1","row":{}}"##, r##"{"uuid":["uuid","#1"]}"##),
        (
            r##"{"op":"delete","table":"Vet","where":[]},{"op":"insert","table":"Vet","uuid":"#1","row":{}}"##,
            r#"{"count":1} (duplicate uuid)"#,
        ),
        (
            r##"{"op":"insert","table":"Vet","uuid":"#2","row":{}},{"op":"delete","table":"Vet","where":[["_uuid","==",["uuid","#2"]]]},
                {"op":"insert","table":"Vet","uuid":"#2","row":{"room":4}}"##,
            r##"{"uuid":["uuid","#2"]} {"count":1} {"uuid":["uuid","#2"]}"##,
        ),
    ]);
}

#[test]
fn names_stand_for_rows_before_and_after_them() {
    check(&[
        (
            r##"{"op":"insert","table":"Keeper","uuid":"#1","row":{"name":"A","pets":["named-uuid","p"]}},
                {"op":"insert","table":"Pet","uuid":"#2","uuid-name":"p","row":{"kind":"cat"}}"##,
            // the name was given a uuid of its own when it was first met
            r##"{"uuid":["uuid","#1"]} {"uuid":["uuid","#2"]} (referential integrity violation)"##,
        ),
        (
            r##"{"op":"insert","table":"Pet","uuid":"#2","uuid-name":"p","row":{"kind":"cat"}},
                {"op":"insert","table":"Keeper","uuid":"#1","row":{"name":"A","pets":["named-uuid","p"]}}"##,
            r##"{"uuid":["uuid","#2"]} {"uuid":["uuid","#1"]}"##,
        ),
    ]);
    let mut db = database();
    let twice = r#"{"op":"insert","table":"Vet","uuid-name":"v","row":{}},{"op":"insert","table":"Vet","uuid-name":"v","row":{"room":3}},{"op":"abort"}"#;
    assert!(run(&mut db, twice).ends_with("(duplicate uuid-name) null"));
    assert!(db.table_of_name("Vet").unwrap().is_empty());
}

#[test]
fn a_name_met_first_is_the_later_rows_uuid() {
    let mut db = database();
    let forward = r#"{"op":"insert","table":"Keeper","row":{"name":"A","pets":["named-uuid","p"]}},
        {"op":"insert","table":"Pet","uuid-name":"p","row":{"kind":"cat"}}"#;
    assert!(!run(&mut db, forward).contains("error"));
    assert_eq!(db.table_of_name("Pet").unwrap().len(), 1);
}

#[test]
fn rows_are_checked() {
    let insert = |row: &str| format!(r#"{{"op":"insert","table":"Keeper","row":{row}}}"#);
    for (row, error) in [
        (r#"{"age":11}"#, "(constraint violation)"),
        (r#"{"age":"x"}"#, "(syntax error)"),
        (r#"{"nope":1}"#, "(unknown column)"),
        (r#"{"scores":["set",[1,1]]}"#, "(ovsdb error)"),
        (r#"{"scores":["set",[1,2,3,4,5,6]]}"#, "(syntax error)"),
        (r#"{"pets":["uuid","x"]}"#, "(syntax error)"),
        ("5", "(syntax error)"),
    ] {
        check(&[(&insert(row), error)]);
    }
    // the enum has no place for the default
    check(&[(r#"{"op":"insert","table":"Pet","row":{}}"#, "(constraint violation)")]);
}

#[test]
fn operations_are_checked() {
    for operation in [
        "5",
        "[]",
        r#"{"op":"fly"}"#,
        r#"{"op":5}"#,
        r#"{"table":"Vet"}"#,
        r#"{"op":"insert","table":"Vet"}"#,
        r#"{"op":"insert","table":"Nope","row":{}}"#,
        r#"{"op":"insert","table":"Vet","row":{},"bogus":1}"#,
        r#"{"op":"insert","table":"Vet","row":{},"uuid":"short"}"#,
        r#"{"op":"insert","table":"Vet","row":{},"uuid-name":"9x"}"#,
        r#"{"op":"select","table":"Vet"}"#,
        r#"{"op":"select","table":"Vet","where":5}"#,
        r#"{"op":"select","table":"Vet","where":[5]}"#,
        r#"{"op":"select","table":"Vet","where":[],"columns":["name","name"]}"#,
        r#"{"op":"select","table":"Vet","where":[],"columns":["nope"]}"#,
        r#"{"op":"mutate","table":"Vet","where":[],"mutations":[["room","+="]]}"#,
        r#"{"op":"wait","table":"Vet","where":[],"until":"~","rows":[]}"#,
        r#"{"op":"wait","table":"Vet","where":[],"until":"==","rows":[],"timeout":-1}"#,
        r#"{"op":"commit"}"#,
        r#"{"op":"assert","lock":"no id"}"#,
        r#"{"op" "#,
    ] {
        let result = run(&mut database(), operation);
        assert!(
            result == "(syntax error)" || result == "waiting" && operation == "{\"op\" ",
            "{operation}: {result}"
        );
    }
}

#[test]
fn conditions_choose_rows() {
    let mut db = database();
    for (number, row) in [
        r#""name":"a","age":1"#,
        r#""name":"b","age":2,"grade":7"#,
        r#""name":"c","age":3,"scores":["set",[1,2]],"tags":["map",[["k","v"]]]"#,
    ]
    .iter()
    .enumerate()
    {
        run(
            &mut db,
            &format!(r##"{{"op":"insert","table":"Keeper","uuid":"#{}","row":{{{row}}}}}"##, number + 1),
        );
    }
    for (condition, names) in [
        ("", "abc"),
        ("true", "abc"),
        ("false", ""),
        (r#"["name","==","b"]"#, "b"),
        (r#"["name","!=","b"]"#, "ac"),
        (r#"["name","==","b"],["age","==",1]"#, ""),
        (r##"["_uuid","==",["uuid","#3"]]"##, "c"),
        (r##"["_uuid","==",["uuid","#3"]],["age","<",3]"##, ""),
        (r##"["_uuid","includes",["uuid","#3"]]"##, "c"),
        (r#"["age","<",2]"#, "a"),
        (r#"["age","<=",2]"#, "ab"),
        (r#"["age",">=",2]"#, "bc"),
        (r#"["age",">",2]"#, "c"),
        (r#"["grade",">",0]"#, "b"),
        (r#"["grade","<",0]"#, ""),
        (r#"["grade","==",["set",[]]]"#, "ac"),
        (r#"["grade","includes",["set",[]]]"#, "abc"),
        (r#"["grade","excludes",7]"#, "ac"),
        (r#"["scores","includes",2]"#, "c"),
        (r#"["scores","includes",["set",[2,3]]]"#, ""),
        (r#"["scores","excludes",["set",[2,3,4,5,6,7]]]"#, "ab"),
        (r#"["scores","==",["set",[2,1]]]"#, "c"),
        (r#"["tags","includes",["map",[["k","v"]]]]"#, "c"),
        (r#"["tags","includes",["map",[["k","w"]]]]"#, ""),
        (r#"["tags","excludes",["map",[["k","w"]]]]"#, "abc"),
    ] {
        let operation = format!(
            r#"{{"op":"select","table":"Keeper","where":[{}],"columns":["name"],"sort":["name"]}}"#,
            expand(condition)
        );
        let rows = names.chars().map(|name| format!(r#"{{"name":"{name}"}}"#)).collect::<Vec<_>>().join(",");
        assert_eq!(run(&mut db, &operation), format!(r#"{{"rows":[{rows}]}}"#), "{condition}");
    }
    for (condition, error) in [
        (r#"["name","<","b"]"#, "(syntax error)"),
        (r#"["tags",">",["map",[]]]"#, "(syntax error)"),
        (r#"["grade","<",["set",[]]]"#, "(syntax error)"),
        (r#"["scores","includes",["set",[1,2,3,4,5,6]]]"#, "(syntax error)"),
        (r#"["nope","==",1]"#, "(unknown column)"),
        (r#"["age","=",1]"#, "(unknown function)"),
        (r#"["age","==",1,2]"#, "(syntax error)"),
        (r#"["age","==",99]"#, "(constraint violation)"),
    ] {
        let operation = format!(r#"{{"op":"delete","table":"Keeper","where":[{condition}]}}"#);
        assert_eq!(run(&mut db, &operation), error, "{condition}");
    }
}

#[test]
fn select_gives_distinct_rows() {
    let mut db = database();
    for name in ["a", "b", "c"] {
        run(&mut db, &format!(r#"{{"op":"insert","table":"Keeper","row":{{"name":"{name}"}}}}"#));
    }
    let select = r#"{"op":"select","table":"Keeper","where":[],"columns":["age"]}"#;
    assert_eq!(run(&mut db, select), r#"{"rows":[{"age":0}]}"#);
    let select = r#"{"op":"select","table":"Keeper","where":[],"columns":[]}"#;
    assert_eq!(run(&mut db, select), r#"{"rows":[{}]}"#);
}

#[test]
fn update_replaces_columns_of_mutable_ones() {
    let update = |row: &str| {
        format!(r#"{{"op":"update","table":"Keeper","where":[["name","==","Ada"]],"row":{row}}}"#)
    };
    check(&[
        (ADA, r##"{"uuid":["uuid","#1"]}"##),
        (&update(r#"{"age":6,"tags":["map",[]]}"#), r#"{"count":1}"#),
        (&ask("age"), r#"{"rows":[{"age":6}]}"#),
        (&update("{}"), r#"{"count":1}"#),
        (&update(r#"{"badge":"x"}"#), "(constraint violation)"),
        (&update(r##"{"_uuid":["uuid","#9"]}"##), "(constraint violation)"),
        (&update(r#"{"name":"Bob"}"#), r#"{"count":1}"#),
        (&update(r#"{"age":1}"#), r#"{"count":0}"#),
    ]);
}

#[test]
fn mutations_change_relative_to_the_value() {
    for (mutations, column, result) in [
        (r#"["age","+=",5]"#, "age", "10"),
        (r#"["age","-=",7],["age","*=",3]"#, "age", "-6"),
        (r#"["age","/=",-2]"#, "age", "-2"),
        (r#"["age","%=",-3]"#, "age", "2"),
        (r#"["height","+=",0.5],["height","/=",2]"#, "height", "0.25"),
        (r#"["scores","+=",10]"#, "scores", r#"["set",[11,12,13]]"#),
        (r#"["scores","*=",-1]"#, "scores", r#"["set",[-3,-2,-1]]"#),
        (r#"["grade","+=",1]"#, "grade", r#"["set",[]]"#),
        (r#"["scores","insert",["set",[9,2,0]]]"#, "scores", r#"["set",[0,1,2,3,9]]"#),
        (r#"["scores","delete",["set",[9,2,0,4,5,6]]]"#, "scores", r#"["set",[1,3]]"#),
        (r#"["grade","insert",4]"#, "grade", "4"),
        (r#"["tags","insert",["map",[["a","x"],["c","d"]]]]"#, "tags", r#"["map",[["a","b"],["c","d"]]]"#),
        (r#"["tags","delete",["map",[["a","x"]]]]"#, "tags", r#"["map",[["a","b"]]]"#),
        (r#"["tags","delete",["map",[["a","b"]]]]"#, "tags", r#"["map",[]]"#),
        (r#"["tags","delete","a"]"#, "tags", r#"["map",[]]"#),
        (r#"["tags","delete",["set",["a","z"]]]"#, "tags", r#"["map",[]]"#),
    ] {
        let mutate = format!(r#"{{"op":"mutate","table":"Keeper","where":[],"mutations":[{mutations}]}}"#);
        let value = format!(r#"{{"rows":[{{"{column}":{result}}}]}}"#);
        check(&[(ADA, r##"{"uuid":["uuid","#1"]}"##), (&mutate, r#"{"count":1}"#), (&ask(column), &value)]);
    }
    for (mutations, error) in [
        (r#"["age","+=",6]"#, "(constraint violation)"),
        (r#"["age","+=",9223372036854775807],["age","+=",1]"#, "(range error)"),
        (r#"["age","/=",0]"#, "(domain error)"),
        (r#"["age","%=",0]"#, "(domain error)"),
        (r#"["height","+=",1e308],["height","+=",1e308]"#, "(range error)"),
        (r#"["height","/=",0]"#, "(domain error)"),
        (r#"["height","%=",1]"#, "(syntax error)"),
        (r#"["scores","*=",0]"#, "(constraint violation)"),
        (r#"["scores","insert",["set",[7,8,9]]]"#, "(constraint violation)"),
        (r#"["age","insert",1]"#, "(syntax error)"),
        (r#"["tags","+=",1]"#, "(syntax error)"),
        (r#"["age","+=",1.5]"#, "(syntax error)"),
        (r#"["age","+=",["set",[1,2]]]"#, "(syntax error)"),
        (r#"["badge","insert","x"]"#, "(constraint violation)"),
        (r#"["age","?",1]"#, "(unknown mutator)"),
        (r#"["nope","+=",1]"#, "(unknown column)"),
    ] {
        let mutate = format!(r#"{{"op":"mutate","table":"Keeper","where":[],"mutations":[{mutations}]}}"#);
        check(&[
            (ADA, r##"{"uuid":["uuid","#1"]}"##),
            (&mutate, error),
            (&ask("age"), r#"{"rows":[{"age":5}]}"#),
        ]);
    }
}

#[test]
fn a_failed_operation_undoes_the_others_and_skips_the_rest() {
    check(&[
        (ADA, r##"{"uuid":["uuid","#1"]}"##),
        (
            r#"{"op":"update","table":"Keeper","where":[],"row":{"age":9}},{"op":"delete","table":"Keeper","where":[]},
                {"op":"abort"},{"op":"comment","comment":"x"},{"op":"nonsense"}"#,
            r#"{"count":1} {"count":1} (aborted) null null"#,
        ),
        (&ask("age"), r#"{"rows":[{"age":5}]}"#),
    ]);
}

#[test]
fn locks_are_asserted() {
    check(&[
        (
            r#"{"op":"assert","lock":"mine"},{"op":"comment","comment":"x"},{"op":"commit","durable":true}"#,
            "{} {} {}",
        ),
        (r#"{"op":"assert","lock":"other"}"#, "(not owner)"),
    ]);
}

#[test]
fn indexes_are_unique_at_the_end_of_a_transaction_only() {
    let rename = |from: &str, to: &str| {
        format!(
            r#"{{"op":"update","table":"Keeper","where":[["name","==","{from}"]],"row":{{"name":"{to}"}}}}"#
        )
    };
    let insert = |number: u8, name: &str| {
        format!(r##"{{"op":"insert","table":"Keeper","uuid":"#{number}","row":{{"name":"{name}"}}}}"##)
    };
    let swap = [rename("a", "x"), rename("b", "a"), rename("x", "b")].join(",");
    check(&[
        (&insert(1, "a"), r##"{"uuid":["uuid","#1"]}"##),
        (&insert(2, "a"), r##"{"uuid":["uuid","#2"]} (constraint violation)"##),
        (&insert(2, "b"), r##"{"uuid":["uuid","#2"]}"##),
        (&rename("a", "b"), r#"{"count":1} (constraint violation)"#),
        (&swap, r#"{"count":1} {"count":1} {"count":1}"#),
        (
            r#"{"op":"select","table":"Keeper","where":[["name","==","b"]],"columns":["_uuid"]}"#,
            r##"{"rows":[{"_uuid":["uuid","#1"]}]}"##,
        ),
    ]);
}

#[test]
fn rows_are_bounded() {
    let insert = |room: u8| format!(r#"{{"op":"insert","table":"Vet","row":{{"room":{room}}}}}"#);
    let mut db = database();
    let four = [insert(1), insert(2), insert(3), insert(4)].join(",");
    assert!(run(&mut db, &four).ends_with("(constraint violation)"));
    assert_eq!(db.table_of_name("Vet").unwrap().len(), 0);
    assert!(!run(&mut db, &[insert(1), insert(2), insert(3)].join(",")).contains('('));
    let replace = format!(r#"{{"op":"delete","table":"Vet","where":[["room","==",1]]}},{}"#, insert(4));
    assert!(!run(&mut db, &replace).contains('('));
}

#[test]
fn strong_references_keep_rows_alive() {
    let pets = r#"{"op":"select","table":"Pet","where":[],"columns":["age"],"sort":["age"]}"#;
    let keeper = |mutation: &str| {
        format!(r#"{{"op":"mutate","table":"Keeper","where":[["name","==","k"]],"mutations":[{mutation}]}}"#)
    };
    check(&[
        // nobody wants it
        (
            r##"{"op":"insert","table":"Pet","uuid":"#9","row":{"kind":"cat"}}"##,
            r##"{"uuid":["uuid","#9"]}"##,
        ),
        (pets, r#"{"rows":[]}"#),
    ]);
    check(&[
        (
            r##"{"op":"insert","table":"Pet","uuid":"#2","row":{"kind":"cat","age":2,"friend":["uuid","#3"]}},
                {"op":"insert","table":"Pet","uuid":"#3","row":{"kind":"dog","age":3,"friend":["uuid","#3"]}},
                {"op":"insert","table":"Keeper","uuid":"#1","row":{"name":"k","pets":["uuid","#2"],"stable":["map",[["x",["uuid","#2"]]]]}}"##,
            r##"{"uuid":["uuid","#2"]} {"uuid":["uuid","#3"]} {"uuid":["uuid","#1"]}"##,
        ),
        (pets, r#"{"rows":[{"age":2},{"age":3}]}"#),
        (
            r#"{"op":"delete","table":"Pet","where":[["age","==",2]]}"#,
            r#"{"count":1} (referential integrity violation)"#,
        ),
        (&keeper(r##"["pets","insert",["uuid","#7"]]"##), r#"{"count":1} (referential integrity violation)"#),
        // the map still holds it
        (&keeper(r##"["pets","delete",["uuid","#2"]]"##), r#"{"count":1}"#),
        (pets, r#"{"rows":[{"age":2},{"age":3}]}"#),
        // with its holder goes its friend
        (&keeper(r#"["stable","delete","x"]"#), r#"{"count":1}"#),
        (pets, r#"{"rows":[]}"#),
    ]);
}

#[test]
fn weak_references_vanish_with_their_target() {
    let vets = |number: u8, room: u8| {
        format!(r##"{{"op":"insert","table":"Vet","uuid":"#{number}","row":{{"room":{room}}}}}"##)
    };
    let visit = r#"{"op":"select","table":"Visit","where":[],"columns":["vets"]}"#;
    let drop = |room: u8| format!(r#"{{"op":"delete","table":"Vet","where":[["room","==",{room}]]}}"#);
    check(&[
        (&vets(1, 1), r##"{"uuid":["uuid","#1"]}"##),
        (&vets(2, 2), r##"{"uuid":["uuid","#2"]}"##),
        // the default refers to nothing, and one is needed
        (
            r##"{"op":"insert","table":"Visit","uuid":"#3","row":{}}"##,
            r##"{"uuid":["uuid","#3"]} (constraint violation)"##,
        ),
        (
            r##"{"op":"insert","table":"Visit","uuid":"#3","row":{"vets":["set",[["uuid","#1"],["uuid","#2"]]]}}"##,
            r##"{"uuid":["uuid","#3"]}"##,
        ),
        // also in a row that the transaction changes in another column
        (
            &format!(r#"{{"op":"update","table":"Visit","where":[],"row":{{"cost":4}}}},{}"#, drop(1)),
            r#"{"count":1} {"count":1}"#,
        ),
        (visit, r##"{"rows":[{"vets":["uuid","#2"]}]}"##),
        (&drop(2), r#"{"count":1} (constraint violation)"#),
        (
            &format!(r#"{{"op":"delete","table":"Visit","where":[]}},{}"#, drop(2)),
            r#"{"count":1} {"count":1}"#,
        ),
        // one that never existed is not kept
        (
            r##"{"op":"insert","table":"Keeper","uuid":"#4","row":{"rival":["uuid","#5"]}}"##,
            r##"{"uuid":["uuid","#4"]}"##,
        ),
        (
            r#"{"op":"select","table":"Keeper","where":[],"columns":["rival"]}"#,
            r#"{"rows":[{"rival":["set",[]]}]}"#,
        ),
    ]);
}

#[test]
fn a_weak_key_that_vanishes_frees_its_strong_value() {
    check(&[
        (
            r##"{"op":"insert","table":"Pet","uuid":"#2","row":{"kind":"cat"}},{"op":"insert","table":"Pet","uuid":"#3","row":{"kind":"emu"}},
                {"op":"insert","table":"Keeper","uuid":"#1","row":{"name":"a","fans":["map",[[["uuid","#2"],["uuid","#3"]]]]}},
                {"op":"insert","table":"Keeper","uuid":"#4","row":{"name":"b","pets":["uuid","#2"]}}"##,
            r##"{"uuid":["uuid","#2"]} {"uuid":["uuid","#3"]} {"uuid":["uuid","#1"]} {"uuid":["uuid","#4"]}"##,
        ),
        (r#"{"op":"delete","table":"Keeper","where":[["name","==","b"]]}"#, r#"{"count":1}"#),
        (r#"{"op":"select","table":"Pet","where":[],"columns":["kind"]}"#, r#"{"rows":[]}"#),
        (
            r#"{"op":"select","table":"Keeper","where":[],"columns":["fans"]}"#,
            r#"{"rows":[{"fans":["map",[]]}]}"#,
        ),
    ]);
}

#[test]
fn waits_hold_or_do_not() {
    let wait = |until: &str, rows: &str, timeout: &str| {
        format!(
            r#"{{"op":"wait","table":"Keeper","where":[],"columns":["age"],"until":"{until}","rows":[{rows}]{timeout}}}"#
        )
    };
    let mut db = database();
    run(&mut db, ADA);
    let five = r#"{"age":5,"name":"not compared"}"#;
    assert_eq!(run(&mut db, &wait("==", five, "")), "{}");
    assert_eq!(run(&mut db, &wait("!=", "", "")), "{}");
    assert_eq!(run(&mut db, &wait("!=", five, r#","timeout":0"#)), "(timed out)");
    assert_eq!(run(&mut db, &wait("==", "", "")), "waiting");
    assert_eq!(run(&mut db, &wait("==", r#"{"age":4}"#, r#","timeout":30"#)), "waiting");
    // what came before the wait is undone
    let update = r#"{"op":"update","table":"Keeper","where":[],"row":{"name":"Bob"}}"#;
    assert_eq!(run(&mut db, &format!("{update},{}", wait("==", "", ""))), "waiting");
    assert_eq!(run(&mut db, &ask("age")), r#"{"rows":[{"age":5}]}"#);

    let timeout = |waited_ms| match outcome(&mut database(), &wait("==", five, r#","timeout":30"#), waited_ms)
    {
        Outcome::Waiting { timeout } => timeout,
        _ => None,
    };
    assert_eq!(timeout(29), Some(Duration::from_millis(30)));
    assert_eq!(timeout(30), None);
}

#[test]
fn commits_tell_what_changed() {
    let mut db = database();
    run(&mut db, ADA);
    let Outcome::Finished { commit, .. } = outcome(
        &mut db,
        r##"{"op":"comment","comment":"why"},{"op":"update","table":"Keeper","where":[],"row":{"age":6}},
            {"op":"insert","table":"Pet","row":{"kind":"cat"}},{"op":"insert","table":"Vet","uuid":"#2","row":{}}"##,
        0,
    ) else {
        panic!("waiting")
    };
    assert_eq!(commit.comments, ["why"]);
    let told: Vec<_> = commit
        .changes
        .iter()
        .map(|change| (change.table, change.uuid, change.old.is_some(), change.new.is_some()))
        .collect();
    assert_eq!(told, [(0, id(1), true, true), (2, id(2), false, true)]);
    let (old, new) = (commit.changes[0].old.as_ref().unwrap(), commit.changes[0].new.as_ref().unwrap());
    let differing: Vec<_> = (0..old.columns().len()).filter(|&at| old.get(at) != new.get(at)).collect();
    let age = db.schema().tables()[0].column_index("age").unwrap();
    assert_eq!(differing, [crate::schema::VERSION_COLUMN, age]);

    // a change that is taken back is none, and leaves the version alone
    let back = r#"{"op":"update","table":"Keeper","where":[],"row":{"age":7}},{"op":"update","table":"Keeper","where":[],"row":{"age":6}}"#;
    let Outcome::Finished { commit, .. } = outcome(&mut db, back, 0) else { panic!("waiting") };
    assert!(commit.changes.is_empty());
    assert_eq!(db.table(0).get(id(1)), Some(new));
}

#[test]
fn reserved_databases_are_read_only() {
    let schema = DatabaseSchema::builder("_Zoo", "1.0.0").table(TableSchema::builder("T")).build().unwrap();
    let mut db = Database::new(schema, Rng::with_seed(1));
    let mut run = |operation: &str| {
        let Outcome::Finished { results, .. } =
            db.transact(&format!("[\"_Zoo\",{operation}]"), Duration::ZERO, &|_| false)
        else {
            panic!("waiting")
        };
        results.contains("not allowed")
    };
    for operation in [
        r#"{"op":"insert","table":"T","row":{}}"#,
        r#"{"op":"delete","table":"T","where":[]}"#,
        r#"{"op":"update","table":"T","where":[],"row":{}}"#,
        r#"{"op":"mutate","table":"T","where":[],"mutations":[]}"#,
        r#"{"op":"commit","durable":false}"#,
    ] {
        assert!(run(operation), "{operation}");
    }
    assert!(!run(r#"{"op":"select","table":"T","where":[]}"#));
}
