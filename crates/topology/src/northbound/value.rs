//! Values to and from their JSON (RFC 7047, section 5.1).

use super::{Atom, Datum};
use kiln_ovsdb::json::{DecodeError, Decoder, write_string};
use kiln_ovsdb::{Column, Encode};
use std::collections::{BTreeMap, BTreeSet};

/// The name of an inserted row within its transaction.
pub(super) fn row_name(number: usize) -> String {
    format!("row{number}")
}

impl Encode for Atom {
    fn encode(&self, out: &mut String) {
        match self {
            Atom::Text(text) => text.encode(out),
            Atom::Number(number) => number.encode(out),
            Atom::Flag(flag) => flag.encode(out),
            Atom::Row(uuid) => uuid.encode(out),
            Atom::New(number) => kiln_ovsdb::column::Ref::Named(&row_name(*number)).encode(out),
        }
    }
}

impl Encode for Datum {
    fn encode(&self, out: &mut String) {
        match self {
            Datum::Set(set) => set.iter().collect::<Vec<_>>()[..].encode(out),
            Datum::Map(map) => {
                out.push_str("[\"map\",[");
                for (i, (key, value)) in map.iter().enumerate() {
                    out.push_str(if i == 0 { "[" } else { ",[" });
                    write_string(out, key);
                    out.push(',');
                    write_string(out, value);
                    out.push(']');
                }
                out.push_str("]]");
            }
        }
    }
}

impl Default for Datum {
    fn default() -> Self {
        Datum::Set(BTreeSet::new())
    }
}

impl Column for Datum {
    fn expected() -> String {
        "strings, integers, booleans, rows, or a map of strings".into()
    }

    fn decode(json: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        if json.peek() != Some(b'[') {
            return Ok(Datum::Set(BTreeSet::from([bare_atom(json)?])));
        }
        json.begin_array()?;
        let tag = json.string()?.into_owned();
        json.comma()?;
        let datum = match tag.as_str() {
            "set" => Datum::Set(elements(json, atom)?.into_iter().collect()),
            "map" => Datum::Map(elements(json, pair)?.into_iter().collect::<BTreeMap<_, _>>()),
            "uuid" => Datum::Set(BTreeSet::from([Atom::Row(json.uuid_string()?)])),
            _ => return Err(DecodeError::Type { expected: "a set, a map or a uuid" }),
        };
        json.end_array()?;
        Ok(datum)
    }

    /// Replaces the value. What a difference means depends on the column's shape, which a value does not know:
    /// [`Northbound`](super::Northbound) applies them.
    fn apply_diff(&mut self, diff: Self) {
        *self = diff;
    }
}

fn elements<T>(
    json: &mut Decoder<'_>,
    element: fn(&mut Decoder<'_>) -> Result<T, DecodeError>,
) -> Result<Vec<T>, DecodeError> {
    json.begin_array()?;
    let (mut first, mut list) = (true, Vec::new());
    while json.next_element(&mut first)? {
        list.push(element(json)?);
    }
    Ok(list)
}

fn atom(json: &mut Decoder<'_>) -> Result<Atom, DecodeError> {
    if json.peek() != Some(b'[') {
        return bare_atom(json);
    }
    json.begin_array()?;
    if json.string()? != "uuid" {
        return Err(DecodeError::Type { expected: "uuid" });
    }
    json.comma()?;
    let uuid = json.uuid_string()?;
    json.end_array()?;
    Ok(Atom::Row(uuid))
}

fn bare_atom(json: &mut Decoder<'_>) -> Result<Atom, DecodeError> {
    match json.peek() {
        Some(b'"') => Ok(Atom::Text(json.string()?.into_owned())),
        Some(b't' | b'f') => json.boolean().map(Atom::Flag),
        _ => json.integer().map(Atom::Number),
    }
}

fn pair(json: &mut Decoder<'_>) -> Result<(String, String), DecodeError> {
    json.begin_array()?;
    let key = json.string()?.into_owned();
    json.comma()?;
    let value = json.string()?.into_owned();
    json.end_array()?;
    Ok((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_ovsdb::json::TextCache;

    #[test]
    fn every_form_of_a_value_survives_its_text() {
        for text in [
            r#""x""#,
            "-5",
            "true",
            r#"["set",[]]"#,
            r#"["set",["a","b\"c"]]"#,
            r#"["uuid","36bef046-7da7-43a5-905a-c17899216fcb"]"#,
            r#"["map",[]]"#,
            r#"["map",[["a","1"],["b","2"]]]"#,
        ] {
            let mut texts = TextCache::default();
            let mut json = Decoder::new(text, &mut texts);
            let datum = Datum::decode(&mut json).unwrap();
            json.end().unwrap();
            let mut out = String::new();
            datum.encode(&mut out);
            assert_eq!(out, text);
        }
        for bad in [r#"["map",[["a",1]]]"#, r#"["named-uuid","x"]"#, "null", r#"["set",["a""#] {
            let mut texts = TextCache::default();
            assert!(Datum::decode(&mut Decoder::new(bad, &mut texts)).is_err(), "{bad}");
        }
    }
}
