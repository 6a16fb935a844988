//! Typed column values and their JSON forms (RFC 7047 section 5.1, `<value>`).
//!
//! | Rust | schema type | JSON |
//! |---|---|---|
//! | `i64`, `f64`, `bool`, [`Text`] | one atom | `5`, `0.5`, `true`, `"x"` |
//! | [`Uuid`] | one uuid, a reference | `["uuid","…36…"]` |
//! | [`Option`] | set of at most one | `["set",[]]` or the atom |
//! | [`Set`], [`SharedSet`] for thousands | set of more | `["set",[…]]`, or the atom if it is the only one |
//! | [`Map`] | map | `["map",[[k,v],…]]` |
//!
//! Each type's [`Default`] is what OVSDB gives a column that an insert leaves out (section 5.2.1), and what `initial` and
//! `insert` updates leave out in turn (ovsdb-server(7) section 4.1.14).

use std::borrow::Borrow;
use std::cmp::Ordering;
use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use kiln_types::{SharedSet, Uuid};

use crate::json::{DecodeError, Decoder, write_integer, write_string};

/// A string of a database, cheap to clone.
pub type Text = Arc<str>;

/// What can be written where OVSDB expects a `<value>`: columns, and borrowed or named forms of them.
pub trait Encode {
    /// Appends the value's JSON.
    fn encode(&self, out: &mut String);
}

/// The type of a column.
pub trait Column: Clone + PartialEq + Default + Encode {
    /// What the column holds, for error messages: `set of uuid`.
    fn expected() -> String;

    /// Reads a value.
    fn decode(json: &mut Decoder<'_>) -> Result<Self, DecodeError>;

    /// Applies a difference as `modify` updates carry it (ovsdb-server(7) section 4.1.14): a single or optional value is
    /// replaced, a set's elements toggled, a map's pairs removed if equal, else put.
    fn apply_diff(&mut self, diff: Self);
}

/// The type of one atom: what sets and maps are made of.
pub trait Scalar: Clone + PartialEq + Default + Encode {
    /// `integer`, `real`, `boolean`, `string` or `uuid`.
    const NAME: &'static str;

    /// Reads an atom.
    fn decode_atom(json: &mut Decoder<'_>) -> Result<Self, DecodeError>;

    /// A total order.
    fn order(&self, other: &Self) -> Ordering;
}

impl<T: Scalar> Column for T {
    fn expected() -> String {
        T::NAME.to_owned()
    }

    #[inline]
    fn decode(json: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        T::decode_atom(json)
    }

    fn apply_diff(&mut self, diff: Self) {
        *self = diff;
    }
}

impl Encode for i64 {
    fn encode(&self, out: &mut String) {
        write_integer(out, *self);
    }
}

impl Scalar for i64 {
    const NAME: &'static str = "integer";
    #[inline]
    fn decode_atom(json: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        json.integer()
    }
    #[inline]
    fn order(&self, other: &Self) -> Ordering {
        self.cmp(other)
    }
}

impl Encode for f64 {
    /// Infinities and NaN have no JSON form: they become `null`, which a server refuses.
    fn encode(&self, out: &mut String) {
        use std::fmt::Write as _;
        let _ = if self.is_finite() { write!(out, "{self:?}") } else { out.write_str("null") };
    }
}

impl Scalar for f64 {
    const NAME: &'static str = "real";
    fn decode_atom(json: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        json.real()
    }
    fn order(&self, other: &Self) -> Ordering {
        self.total_cmp(other)
    }
}

impl Encode for bool {
    fn encode(&self, out: &mut String) {
        out.push_str(if *self { "true" } else { "false" });
    }
}

impl Scalar for bool {
    const NAME: &'static str = "boolean";
    fn decode_atom(json: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        json.boolean()
    }
    fn order(&self, other: &Self) -> Ordering {
        self.cmp(other)
    }
}

impl Encode for str {
    fn encode(&self, out: &mut String) {
        write_string(out, self);
    }
}

impl Encode for String {
    fn encode(&self, out: &mut String) {
        write_string(out, self);
    }
}

impl Encode for Text {
    fn encode(&self, out: &mut String) {
        write_string(out, self);
    }
}

impl Scalar for Text {
    const NAME: &'static str = "string";
    #[inline]
    fn decode_atom(json: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        json.shared_text()
    }
    #[inline]
    fn order(&self, other: &Self) -> Ordering {
        (**self).cmp(other)
    }
}

impl Encode for Uuid {
    fn encode(&self, out: &mut String) {
        out.push_str("[\"uuid\",\"");
        out.push_str(self.hyphenated().encode_lower(&mut Uuid::encode_buffer()));
        out.push_str("\"]");
    }
}

impl Scalar for Uuid {
    const NAME: &'static str = "uuid";
    #[inline]
    fn decode_atom(json: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        json.begin_array()?;
        if json.string()? != "uuid" {
            return Err(DecodeError::Type { expected: "uuid" });
        }
        json.comma()?;
        let uuid = json.uuid_string()?;
        json.end_array()?;
        Ok(uuid)
    }
    #[inline]
    fn order(&self, other: &Self) -> Ordering {
        self.cmp(other)
    }
}

/// A reference to a row that a transaction may itself be inserting (RFC 7047 section 5.1, `<named-uuid>`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ref<'a> {
    /// A row that exists, or one inserted with an explicit uuid.
    Row(Uuid),
    /// The row that an insert of the same transaction gave this `uuid-name`.
    Named(&'a str),
}

impl Encode for Ref<'_> {
    fn encode(&self, out: &mut String) {
        match self {
            Ref::Row(uuid) => uuid.encode(out),
            Ref::Named(name) => {
                out.push_str("[\"named-uuid\",");
                write_string(out, name);
                out.push(']');
            }
        }
    }
}

impl<T: Encode + ?Sized> Encode for &T {
    fn encode(&self, out: &mut String) {
        (**self).encode(out);
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, out: &mut String) {
        match self {
            Some(value) => value.encode(out),
            None => out.push_str("[\"set\",[]]"),
        }
    }
}

impl<T: Scalar> Column for Option<T> {
    fn expected() -> String {
        format!("optional {}", T::NAME)
    }

    fn decode(json: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        if !begin_tagged(json, "set") {
            return T::decode_atom(json).map(Some);
        }
        let mut first = true;
        let mut value = None;
        while json.next_element(&mut first)? {
            if value.is_some() {
                return Err(DecodeError::Type { expected: "at most one element" });
            }
            value = Some(T::decode_atom(json)?);
        }
        json.end_array()?;
        Ok(value)
    }

    fn apply_diff(&mut self, diff: Self) {
        *self = diff;
    }
}

/// Enters `["TAG",[`, if that is what comes; else leaves the cursor where it was.
#[inline]
fn begin_tagged(json: &mut Decoder<'_>, tag: &str) -> bool {
    if json.peek() != Some(b'[') {
        return false;
    }
    let start = json.position();
    let found = json.begin_array().is_ok()
        && json.string().is_ok_and(|found| found == tag)
        && json.comma().is_ok()
        && json.begin_array().is_ok();
    if !found {
        json.seek(start);
    }
    found
}

/// A set: its elements sorted and distinct.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Set<T>(Box<[T]>);

impl<T> Set<T> {
    /// The elements in order.
    pub fn iter(&self) -> std::slice::Iter<'_, T> {
        self.0.iter()
    }

    /// Whether `value` is an element.
    pub fn contains<Q: Ord + ?Sized>(&self, value: &Q) -> bool
    where
        T: Borrow<Q>,
    {
        self.0.binary_search_by(|element| element.borrow().cmp(value)).is_ok()
    }
}

impl<T: Scalar> Set<T> {
    /// The set of these elements, in any order, repetitions allowed.
    pub fn from_vec(mut elements: Vec<T>) -> Self {
        if !elements.is_sorted_by(|a, b| a.order(b) == Ordering::Less) {
            elements.sort_unstable_by(T::order);
            elements.dedup_by(|a, b| T::order(a, b) == Ordering::Equal);
        }
        Set(elements.into_boxed_slice())
    }
}

impl<T: Scalar> FromIterator<T> for Set<T> {
    fn from_iter<I: IntoIterator<Item = T>>(iter: I) -> Self {
        Set::from_vec(iter.into_iter().collect())
    }
}

impl<T> Default for Set<T> {
    fn default() -> Self {
        Set(Box::default())
    }
}

impl<T> Deref for Set<T> {
    type Target = [T];
    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T> IntoIterator for Set<T> {
    type Item = T;
    type IntoIter = std::vec::IntoIter<T>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_vec().into_iter()
    }
}

impl<'a, T> IntoIterator for &'a Set<T> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<T: fmt::Debug> fmt::Debug for Set<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

/// A set; a server refuses it if elements repeat.
impl<T: Encode> Encode for [T] {
    fn encode(&self, out: &mut String) {
        if let [only] = self {
            return only.encode(out);
        }
        out.push_str("[\"set\",[");
        for (i, element) in self.iter().enumerate() {
            if i > 0 {
                out.push(',');
            }
            element.encode(out);
        }
        out.push_str("]]");
    }
}

impl<T: Encode, const N: usize> Encode for [T; N] {
    fn encode(&self, out: &mut String) {
        self[..].encode(out);
    }
}

impl<T: Encode> Encode for Set<T> {
    fn encode(&self, out: &mut String) {
        self.0.encode(out);
    }
}

impl<T: Scalar> Column for Set<T> {
    fn expected() -> String {
        format!("set of {}", T::NAME)
    }

    fn decode(json: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        if !begin_tagged(json, "set") {
            return Ok(Set(Box::new([T::decode_atom(json)?])));
        }
        let mut first = true;
        let mut elements = Vec::new();
        while json.next_element(&mut first)? {
            elements.push(T::decode_atom(json)?);
        }
        json.end_array()?;
        Ok(Set::from_vec(elements))
    }

    fn apply_diff(&mut self, diff: Self) {
        if diff.is_empty() {
            return;
        }
        let mut old = std::mem::take(&mut self.0).into_vec().into_iter();
        let mut merged = Vec::with_capacity(old.len() + diff.len());
        for toggled in diff {
            let kept = old.as_slice().partition_point(|kept| kept.order(&toggled) == Ordering::Less);
            merged.extend(old.by_ref().take(kept));
            if old.as_slice().first().is_some_and(|first| first.order(&toggled) == Ordering::Equal) {
                old.next();
            } else {
                merged.push(toggled);
            }
        }
        merged.extend(old);
        self.0 = merged.into_boxed_slice();
    }
}

impl<T: Encode> Encode for SharedSet<T> {
    fn encode(&self, out: &mut String) {
        let elements: Vec<&T> = self.iter().collect();
        elements.encode(out);
    }
}

impl<T: Scalar + Ord> Column for SharedSet<T> {
    fn expected() -> String {
        Set::<T>::expected()
    }

    fn decode(json: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Set::decode(json).map(SharedSet::from_iter)
    }

    fn apply_diff(&mut self, diff: Self) {
        self.toggle(&diff);
    }
}

/// A map: its pairs sorted by key, keys distinct.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Map<K, V>(Box<[(K, V)]>);

impl<K, V> Map<K, V> {
    /// The pairs in the order of their keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&K, &V)> + DoubleEndedIterator + Clone {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// The pairs in the order of their keys.
    pub fn as_slice(&self) -> &[(K, V)] {
        &self.0
    }

    /// The value under `key`.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        let at = self.0.binary_search_by(|(k, _)| k.borrow().cmp(key)).ok()?;
        Some(&self.0[at].1)
    }

    /// Whether `key` is present.
    pub fn contains_key<Q: Ord + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.get(key).is_some()
    }

    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K: Scalar, V: Scalar> Map<K, V> {
    /// The map of these pairs, in any order; of pairs with equal keys the last counts.
    pub fn from_vec(mut pairs: Vec<(K, V)>) -> Self {
        if !pairs.is_sorted_by(|a, b| a.0.order(&b.0) == Ordering::Less) {
            pairs.sort_by(|a, b| a.0.order(&b.0));
            pairs.dedup_by(|later, earlier| {
                let equal = later.0.order(&earlier.0) == Ordering::Equal;
                if equal {
                    std::mem::swap(later, earlier);
                }
                equal
            });
        }
        Map(pairs.into_boxed_slice())
    }
}

impl<K: Scalar, V: Scalar> FromIterator<(K, V)> for Map<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(iter: I) -> Self {
        Map::from_vec(iter.into_iter().collect())
    }
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Map(Box::default())
    }
}

impl<K, V> IntoIterator for Map<K, V> {
    type Item = (K, V);
    type IntoIter = std::vec::IntoIter<(K, V)>;
    fn into_iter(self) -> Self::IntoIter {
        self.0.into_vec().into_iter()
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Map<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Pairs written as a map, borrowed from wherever they stand.
#[derive(Clone, Copy, Debug)]
pub struct Pairs<'a, K, V>(pub &'a [(K, V)]);

impl<K: Encode, V: Encode> Encode for Pairs<'_, K, V> {
    fn encode(&self, out: &mut String) {
        out.push_str("[\"map\",[");
        for (i, (key, value)) in self.0.iter().enumerate() {
            out.push_str(if i > 0 { ",[" } else { "[" });
            key.encode(out);
            out.push(',');
            value.encode(out);
            out.push(']');
        }
        out.push_str("]]");
    }
}

impl<K: Encode, V: Encode> Encode for Map<K, V> {
    fn encode(&self, out: &mut String) {
        Pairs(&self.0).encode(out);
    }
}

impl<K: Scalar, V: Scalar> Column for Map<K, V> {
    fn expected() -> String {
        format!("map of {} to {}", K::NAME, V::NAME)
    }

    fn decode(json: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        if !begin_tagged(json, "map") {
            return Err(DecodeError::Type { expected: "map" });
        }
        let mut first = true;
        let mut pairs = Vec::new();
        while json.next_element(&mut first)? {
            json.begin_array()?;
            let key = K::decode_atom(json)?;
            json.comma()?;
            let value = V::decode_atom(json)?;
            json.end_array()?;
            pairs.push((key, value));
        }
        json.end_array()?;
        Ok(Map::from_vec(pairs))
    }

    fn apply_diff(&mut self, diff: Self) {
        if diff.is_empty() {
            return;
        }
        let mut old = std::mem::take(&mut self.0).into_vec().into_iter();
        let mut merged = Vec::with_capacity(old.len() + diff.len());
        for (key, value) in diff {
            let kept = old.as_slice().partition_point(|kept| kept.0.order(&key) == Ordering::Less);
            merged.extend(old.by_ref().take(kept));
            let is_known = old.as_slice().first().is_some_and(|first| first.0.order(&key) == Ordering::Equal);
            let known = if is_known { old.next() } else { None };
            if known.is_none_or(|(_, before)| before != value) {
                merged.push((key, value));
            }
        }
        merged.extend(old);
        self.0 = merged.into_boxed_slice();
    }
}

#[cfg(test)]
mod tests;
