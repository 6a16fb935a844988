use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::json::TextCache;

const UUID: &str = "f47ac10b-58cc-4372-a567-0e02b2c3d479";

struct OneName;

impl Names for OneName {
    fn uuid(&mut self, name: &str) -> Option<Uuid> {
        (name == "row").then(|| UUID.parse().unwrap())
    }
}

fn decode(text: &str, ty: &ColumnType) -> Result<Datum, ValueError> {
    let mut texts = TextCache::default();
    Datum::decode(&mut Decoder::new(text, &mut texts), ty, &mut OneName)
}

fn types() -> [(&'static str, ColumnType); 8] {
    [
        ("integer", ColumnType::scalar(BaseType::integer_in(-5, 5))),
        ("real", ColumnType::scalar(BaseType::real())),
        ("string", ColumnType::scalar(BaseType::string_of_length(0, 3))),
        ("boolean", ColumnType::optional(BaseType::boolean())),
        ("uuid", ColumnType::scalar(BaseType::uuid())),
        ("colors", ColumnType::set(BaseType::string_enum(["red", "blue"]))),
        ("numbers", ColumnType::new(BaseType::integer(), None, 1, 3)),
        ("map", ColumnType::map(BaseType::string(), BaseType::integer())),
    ]
}

fn ty(name: &str) -> ColumnType {
    types().into_iter().find(|entry| entry.0 == name).unwrap().1
}

#[test]
fn values_are_normalised() {
    for (name, text, printed) in [
        ("integer", "3", "3"),
        ("integer", "3.0", "3"),
        ("integer", "[\"set\",[3]]", "3"),
        ("real", "3", "3"),
        ("real", "-0.0", "0"),
        ("real", "0.1", "0.1"),
        ("real", "1e300", "1e300"),
        ("string", "\"\\u00e9\\\"\"", "\"é\\\"\""),
        ("boolean", "[\"set\",[]]", "[\"set\",[]]"),
        ("boolean", "true", "true"),
        ("uuid", "[\"named-uuid\",\"row\"]", "[\"uuid\",\"f47ac10b-58cc-4372-a567-0e02b2c3d479\"]"),
        ("colors", "[\"set\",[\"red\",\"blue\"]]", "[\"set\",[\"blue\",\"red\"]]"),
        ("colors", "\"red\"", "\"red\""),
        ("map", "[\"map\",[[\"b\",1],[\"a\",2]]]", "[\"map\",[[\"a\",2],[\"b\",1]]]"),
    ] {
        assert_eq!(
            decode(text, &ty(name)).map(|datum| datum.to_string()),
            Ok(printed.to_owned()),
            "{name} {text}"
        );
    }
}

#[test]
fn faults_are_told_apart() {
    use ValueError::{Constraint, Duplicate, Syntax};
    for (name, text, expected) in [
        ("integer", "\"x\"", Syntax("expected integer".into())),
        ("integer", "1.5", Syntax("expected integer".into())),
        ("integer", "6", Constraint("6 is not in the range -5 to 5".into())),
        ("integer", "[\"set\",[]]", Syntax("expected a set of exactly one, got 0".into())),
        ("string", "\"four\"", Constraint("\"four\" has 4 characters, not 0 to 3".into())),
        ("colors", "\"pink\"", Constraint("\"pink\" is not one of [\"blue\", \"red\"]".into())),
        ("colors", "[\"set\",[\"red\",\"red\"]]", Duplicate("set", "\"red\"".into())),
        ("numbers", "[\"set\",[1,2,3,4]]", Syntax("expected a set of 1 to 3, got 4".into())),
        ("numbers", "[\"map\",[]]", Syntax("expected integer".into())),
        ("map", "[\"set\",[]]", Syntax("expected [\"map\", [[<atom>, <atom>], …]]".into())),
        ("map", "[\"map\",[[\"a\",1],[\"a\",2]]]", Duplicate("map", "\"a\"".into())),
        ("uuid", "[\"named-uuid\",\"other\"]", Syntax("expected a uuid, not the name of one".into())),
        ("uuid", "[\"uuid\",\"f47ac10b\"]", Syntax("expected uuid".into())),
    ] {
        assert_eq!(decode(text, &ty(name)), Err(expected), "{name} {text}");
    }
}

#[test]
fn length_counts_characters() {
    assert!(decode("\"ééé\"", &ty("string")).is_ok());
    assert!(decode("\"éééé\"", &ty("string")).is_err());
}

#[test]
fn defaults_follow_the_type() {
    for (name, printed) in [
        ("integer", "0"),
        ("string", "\"\""),
        ("uuid", "[\"uuid\",\"00000000-0000-0000-0000-000000000000\"]"),
        ("boolean", "[\"set\",[]]"),
        ("numbers", "0"),
        ("map", "[\"map\",[]]"),
    ] {
        let default = Datum::default_of(&ty(name));
        assert_eq!(default.to_string(), printed, "{name}");
        assert!(default.is_default_of(&ty(name)), "{name}");
    }
    assert!(!Datum::from(1).is_default_of(&ty("integer")));
    assert!(!Datum::set([0, 1]).is_default_of(&ty("numbers")));
}

#[test]
fn a_column_of_one_differs_by_its_new_value() {
    let optional = ty("boolean");
    let (old, new) = (Datum::from(true), Datum::empty_set());
    assert_eq!(old.diff(&new, &optional), new);
    let mut value = old;
    value.apply_diff(&Datum::empty_set(), &optional);
    assert_eq!(value, new);
}

type Numbers = BTreeSet<i64>;
type Pairs = BTreeMap<i64, i64>;

fn of_set(set: &Numbers) -> Datum {
    Datum::set(set.iter().copied())
}

fn of_map(map: &Pairs) -> Datum {
    Datum::map(map.iter().map(|(k, v)| (*k, *v)))
}

fn numbers() -> impl Strategy<Value = Numbers> {
    prop::collection::btree_set(0i64..8, 0..6)
}

fn pairs() -> impl Strategy<Value = Pairs> {
    prop::collection::btree_map(0i64..6, 0i64..3, 0..6)
}

proptest! {
    #[test]
    fn sets_follow_set_algebra(a in numbers(), b in numbers()) {
        let (da, db) = (of_set(&a), of_set(&b));
        let ty = ColumnType::set(BaseType::integer());
        prop_assert_eq!(da.includes(&db), a.is_superset(&b));
        prop_assert_eq!(da.excludes(&db), a.is_disjoint(&b));
        prop_assert_eq!(da.diff(&db, &ty), of_set(&a.symmetric_difference(&b).copied().collect()));
        let mut changed = da.clone();
        changed.insert_all(&db);
        prop_assert_eq!(changed, of_set(&a.union(&b).copied().collect()));
        let mut changed = da.clone();
        changed.remove_all(&db);
        prop_assert_eq!(changed, of_set(&a.difference(&b).copied().collect()));
        let mut changed = da.clone();
        changed.apply_diff(&da.diff(&db, &ty), &ty);
        prop_assert_eq!(changed, db);
    }

    #[test]
    fn maps_follow_map_algebra(a in pairs(), b in pairs(), keys in numbers()) {
        let (da, db) = (of_map(&a), of_map(&b));
        let ty = ColumnType::map(BaseType::integer(), BaseType::integer());
        prop_assert_eq!(da.includes(&db), b.iter().all(|(k, v)| a.get(k) == Some(v)));
        prop_assert_eq!(da.excludes(&db), !b.iter().any(|(k, v)| a.get(k) == Some(v)));
        let mut changed = da.clone();
        changed.insert_all(&db);
        let mut union = b.clone();
        union.extend(a.clone());
        prop_assert_eq!(changed, of_map(&union));
        let mut changed = da.clone();
        changed.remove_all(&db);
        prop_assert_eq!(changed, of_map(&a.clone().into_iter().filter(|(k, v)| b.get(k) != Some(v)).collect()));
        let mut changed = da.clone();
        changed.remove_keys(&of_set(&keys));
        prop_assert_eq!(changed, of_map(&a.clone().into_iter().filter(|(k, _)| !keys.contains(k)).collect()));
        let diff = da.diff(&db, &ty);
        prop_assert_eq!(diff.is_empty(), a == b);
        let mut changed = da.clone();
        changed.apply_diff(&diff, &ty);
        prop_assert_eq!(changed, db);
    }

    #[test]
    fn printed_values_read_back(a in pairs(), reals in prop::collection::vec(any::<f64>(), 0..4), text in "\\PC*") {
        let map = ColumnType::map(BaseType::integer(), BaseType::integer());
        prop_assert_eq!(decode(&of_map(&a).to_string(), &map), Ok(of_map(&a)));
        let reals = reals.into_iter().filter_map(Real::new).map(Atom::Real).collect::<Vec<_>>();
        let reals = Datum::set(reals);
        prop_assert_eq!(decode(&reals.to_string(), &ColumnType::set(BaseType::real())), Ok(reals));
        let text = Datum::from(text.as_str());
        prop_assert_eq!(decode(&text.to_string(), &ColumnType::set(BaseType::string())), Ok(text));
    }

    #[test]
    fn no_text_is_too_strange(text in "[\\[\\]\\{\\}\",:a-z0-9.eE+-]{0,24}", prefix in 0usize..4) {
        let prefix = ["", "[\"set\",[", "[\"map\",[[", "[\"uuid\",\""][prefix];
        for (_, ty) in types() {
            let text = format!("{prefix}{text}");
            if let Ok(datum) = decode(&text, &ty) {
                prop_assert_eq!(datum.check(&ty), Ok(()), "{}", text);
            }
        }
    }
}
