use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::json::TextCache;

fn decode<T: Column>(text: &str) -> Result<T, DecodeError> {
    let mut texts = TextCache::default();
    let mut json = Decoder::new(text, &mut texts);
    let value = T::decode(&mut json)?;
    json.end()?;
    Ok(value)
}

fn encode<T: Encode + ?Sized>(value: &T) -> String {
    let mut out = String::new();
    value.encode(&mut out);
    out
}

fn uuid(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

/// The JSON of each value is stock's (as ovsdb-server prints it), and reads back as the value.
#[test]
fn forms() {
    fn check<T: Column + fmt::Debug>(value: T, json: &str) {
        assert_eq!(encode(&value), json);
        assert_eq!(decode::<T>(json).as_ref(), Ok(&value));
    }
    let text = |t: &str| Text::from(t);
    check(-5i64, "-5");
    check(i64::MIN, "-9223372036854775808");
    check(0.5f64, "0.5");
    check(1e21f64, "1e21");
    check(true, "true");
    check(text("a\"\\/\n\u{1}é🦀"), r#""a\"\\/\n\u0001é🦀""#);
    check(uuid(0x6b29fc40_ca47_1067_b31d_00dd010662da), r#"["uuid","6b29fc40-ca47-1067-b31d-00dd010662da"]"#);
    check(None::<i64>, r#"["set",[]]"#);
    check(Some(3i64), "3");
    check(Some(text("set")), r#""set""#);
    check(Set::<i64>::default(), r#"["set",[]]"#);
    check(Set::from_iter([7i64]), "7");
    check(Set::from_iter([3i64, 1, 3]), r#"["set",[1,3]]"#);
    check(Set::from_iter([uuid(1)]), r#"["uuid","00000000-0000-0000-0000-000000000001"]"#);
    check(
        Set::from_iter([uuid(2), uuid(1)]),
        r#"["set",[["uuid","00000000-0000-0000-0000-000000000001"],["uuid","00000000-0000-0000-0000-000000000002"]]]"#,
    );
    check(Map::<Text, i64>::default(), r#"["map",[]]"#);
    check(Map::from_iter([(text("b"), 2i64), (text("a"), 1)]), r#"["map",[["a",1],["b",2]]]"#);
    check(
        Map::from_iter([(5i64, uuid(9))]),
        r#"["map",[[5,["uuid","00000000-0000-0000-0000-000000000009"]]]]"#,
    );
}

#[test]
fn other_spellings_are_read() {
    assert_eq!(decode::<i64>(" 1e3 "), Ok(1000));
    assert_eq!(decode::<i64>("2.0"), Ok(2));
    assert_eq!(decode::<f64>("3"), Ok(3.0));
    assert_eq!(decode::<Option<i64>>(r#"["set",[4]]"#), Ok(Some(4)));
    assert_eq!(decode::<Set<i64>>(r#" [ "set" , [ 4 , 4 ] ] "#), Ok(Set::from_iter([4])));
    assert_eq!(decode::<Text>(r#""\u00e9\ud83e\udd80\/""#), Ok(Text::from("é🦀/")));
    let map = decode::<Map<Text, i64>>(r#"["map",[["b",1],["a",2],["b",3]]]"#).unwrap();
    assert_eq!((map.get("a"), map.get("b"), map.get("c"), map.len()), (Some(&2), Some(&3), None, 2));
}

#[test]
fn what_does_not_fit_is_refused() {
    fn refused<T: Column + fmt::Debug>(texts: &[&str]) {
        for text in texts {
            assert!(decode::<T>(text).is_err(), "{} {text}: {:?}", T::expected(), decode::<T>(text));
        }
    }
    refused::<i64>(&[
        "",
        "1.5",
        "\"1\"",
        "9223372036854775808",
        "1e30",
        "[1]",
        "null",
        "-",
        "0x1",
        "--1",
        "1 2",
    ]);
    refused::<f64>(&["\"1\"", "1e999", "true", "."]);
    refused::<bool>(&["1", "\"true\"", "tru", "truee"]);
    refused::<Text>(&["1", "\"a", "\"\\x\"", "\"\\ud800\"", "\"\\u12", "\"a\\\"", "[\"set\",[]]"]);
    refused::<Uuid>(&[
        "\"00000000-0000-0000-0000-000000000001\"",
        r#"["uuid","00000000000000000000000000000001"]"#,
        r#"["uuid","00000000-0000-0000-0000-00000000000g"]"#,
        r#"["named-uuid","a"]"#,
        r#"["uuid"]"#,
        r#"["uuid","00000000-0000-0000-0000-000000000001",1]"#,
    ]);
    refused::<Option<i64>>(&[
        r#"["set",[1,2]]"#,
        r#"["set",1]"#,
        r#"["map",[]]"#,
        r#"["set",[1],2]"#,
        r#"["set",[1]"#,
    ]);
    refused::<Set<i64>>(&[
        r#"["set",["a"]]"#,
        "\"a\"",
        r#"["set",[1,]]"#,
        r#"["set",[,1]]"#,
        r#"["set",[1 2]]"#,
    ]);
    refused::<Map<Text, i64>>(&[
        r#"["set",[]]"#,
        "{}",
        r#"["map",[["a"]]]"#,
        r#"["map",[["a",1,2]]]"#,
        r#"["map",[[1,1]]]"#,
    ]);
}

#[test]
fn transactions_can_write_borrowed_forms() {
    assert_eq!(encode("x"), r#""x""#);
    assert_eq!(encode(&["a", "b"]), r#"["set",["a","b"]]"#);
    assert_eq!(encode(&[Ref::Named("r")]), r#"["named-uuid","r"]"#);
    assert_eq!(
        encode(&[Ref::Named("r"), Ref::Row(uuid(1))][..]),
        r#"["set",[["named-uuid","r"],["uuid","00000000-0000-0000-0000-000000000001"]]]"#
    );
    assert_eq!(encode(&Pairs(&[("k", Ref::Named("r"))])), r#"["map",[["k",["named-uuid","r"]]]]"#);
    assert_eq!(encode(&f64::NAN), "null");
}

/// What ovsdb-server 3.1 sent for one `update` of a row.
#[test]
fn differences_as_stock_sends_them() {
    fn check<T: Column + fmt::Debug>(old: &str, diff: &str, new: &str) {
        let mut value: T = decode(old).unwrap();
        value.apply_diff(decode(diff).unwrap());
        assert_eq!(value, decode(new).unwrap());
    }
    check::<i64>("4", "6", "6");
    check::<Option<Text>>(r#""a""#, r#"["set",[]]"#, r#"["set",[]]"#);
    check::<Set<i64>>(r#"["set",[1,3]]"#, r#"["set",[1,5]]"#, r#"["set",[3,5]]"#);
    check::<Map<Text, Text>>(
        r#"["map",[["a","1"],["b","2"]]]"#,
        r#"["map",[["a","2"],["b","2"],["c","1"]]]"#,
        r#"["map",[["a","2"],["c","1"]]]"#,
    );
}

proptest! {
    #[test]
    fn strings_survive(text in any::<String>()) {
        let json = encode(&*text);
        prop_assert_eq!(&serde_json::from_str::<String>(&json).unwrap(), &text);
        prop_assert_eq!(&*decode::<Text>(&json).unwrap(), &*text);
        // and with every character escaped that may be
        let escaped = text.encode_utf16().fold(String::new(), |out, unit| out + &format!("\\u{unit:04x}"));
        prop_assert_eq!(&*decode::<Text>(&format!("\"{escaped}\"")).unwrap(), &*text);
    }

    #[test]
    fn numbers_survive(i in any::<i64>(), r in any::<f64>().prop_filter("finite", |r| r.is_finite())) {
        prop_assert_eq!(decode::<i64>(&encode(&i)), Ok(i));
        prop_assert_eq!(decode::<f64>(&encode(&r)), Ok(r));
    }

    #[test]
    fn set_difference_leads_from_old_to_new(
        old in prop::collection::btree_set(0i64..12, 0..8),
        new in prop::collection::btree_set(0i64..12, 0..8),
    ) {
        let set = |s: &BTreeSet<i64>| s.iter().copied().collect::<Set<i64>>();
        let mut value = set(&old);
        value.apply_diff(old.symmetric_difference(&new).copied().collect());
        prop_assert_eq!(&value, &set(&new));
        prop_assert_eq!(&decode::<Set<i64>>(&encode(&value)).unwrap(), &value);
        prop_assert!((0..12).all(|i| value.contains(&i) == new.contains(&i)));
    }

    #[test]
    fn map_difference_leads_from_old_to_new(
        old in prop::collection::btree_map("[a-e]", 0i64..3, 0..5),
        new in prop::collection::btree_map("[a-e]", 0i64..3, 0..5),
    ) {
        let map = |m: &BTreeMap<String, i64>| m.iter().map(|(k, &v)| (Text::from(k.as_str()), v)).collect::<Map<Text, i64>>();
        let mut diff = Vec::new();
        for key in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
            match (old.get(key), new.get(key)) {
                (Some(a), Some(b)) if a == b => {}
                (_, Some(v)) | (Some(v), None) => diff.push((Text::from(key.as_str()), *v)),
                (None, None) => unreachable!(),
            }
        }
        let mut value = map(&old);
        value.apply_diff(Map::from_vec(diff));
        prop_assert_eq!(&value, &map(&new));
        prop_assert_eq!(&decode::<Map<Text, i64>>(&encode(&value)).unwrap(), &value);
        prop_assert!(new.iter().all(|(k, v)| value.get(k.as_str()) == Some(v)));
    }
}
