//! Values whose type is known only at run time: what a table's row holds in the engine (RFC 7047 section 5.1).
//!
//! A column's value is a [`Datum`]: a sorted set of [`Atom`]s (a scalar is a set of one) or a sorted map. A datum knows
//! whether it is a set or a map; everything else about its type is in [`ColumnType`].

use std::fmt;
use std::hash::{Hash, Hasher};

use kiln_types::Uuid;
use smallvec::SmallVec;

use crate::column::Text;
use crate::json::{self, DecodeError, Decoder};
use crate::schema::{AtomType, BaseType, ColumnType, Constraint};

/// Why a value was not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ValueError {
    /// Not a value of the type, or not JSON.
    #[error("{0}")]
    Syntax(String),
    /// A value of the type that the column's constraints exclude.
    #[error("{0}")]
    Constraint(String),
    /// A set holds an element, or a map a key, more than once.
    #[error("{0} holds {1} more than once")]
    Duplicate(&'static str, String),
}

impl From<DecodeError> for ValueError {
    fn from(error: DecodeError) -> Self {
        ValueError::Syntax(error.to_string())
    }
}

/// What stands for `["named-uuid", name]` (RFC 7047 section 5.1).
pub trait Names {
    /// The uuid for `name`; `None` where no names are allowed.
    fn uuid(&mut self, name: &str) -> Option<Uuid>;
}

/// No names are allowed.
impl Names for () {
    fn uuid(&mut self, _name: &str) -> Option<Uuid> {
        None
    }
}

/// A finite real, ordered by value; there is one zero.
#[derive(Clone, Copy, Debug)]
pub struct Real(f64);

impl Real {
    /// `None` if `value` is infinite or not a number.
    pub fn new(value: f64) -> Option<Self> {
        // adding zero makes a negative zero positive
        value.is_finite().then_some(Real(value + 0.0))
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl PartialEq for Real {
    fn eq(&self, other: &Self) -> bool {
        self.0.to_bits() == other.0.to_bits()
    }
}

impl Eq for Real {}

impl PartialOrd for Real {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Real {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

impl Hash for Real {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.to_bits().hash(state);
    }
}

/// `<atom>` of RFC 7047 section 5.1.
///
/// Only atoms of one type are ever compared with each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs)]
pub enum Atom {
    Integer(i64),
    Real(Real),
    Boolean(bool),
    String(Text),
    Uuid(Uuid),
}

impl Atom {
    /// The default of a type (RFC 7047 section 5.2.1).
    pub fn default_of(kind: AtomType) -> Atom {
        match kind {
            AtomType::Integer => Atom::Integer(0),
            AtomType::Real => Atom::Real(Real(0.0)),
            AtomType::Boolean => Atom::Boolean(false),
            AtomType::String => Atom::String(Text::from("")),
            AtomType::Uuid => Atom::Uuid(Uuid::nil()),
        }
    }

    /// The integer, if it is one.
    pub fn as_integer(&self) -> Option<i64> {
        if let Atom::Integer(value) = self { Some(*value) } else { None }
    }

    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        if let Atom::String(value) = self { Some(value) } else { None }
    }

    /// The uuid, if it is one.
    pub fn as_uuid(&self) -> Option<Uuid> {
        if let Atom::Uuid(value) = self { Some(*value) } else { None }
    }

    /// The boolean, if it is one.
    pub fn as_bool(&self) -> Option<bool> {
        if let Atom::Boolean(value) = self { Some(*value) } else { None }
    }

    /// Reads an atom of the base type and checks its constraints.
    pub fn decode(
        json: &mut Decoder<'_>,
        base: &BaseType,
        names: &mut dyn Names,
    ) -> Result<Atom, ValueError> {
        let atom = match base.kind() {
            AtomType::Integer => Atom::Integer(json.integer()?),
            AtomType::Real => Atom::Real(Real(json.real()? + 0.0)),
            AtomType::Boolean => Atom::Boolean(json.boolean()?),
            AtomType::String => Atom::String(json.shared_text()?),
            AtomType::Uuid => {
                json.begin_array().map_err(|_| expected(UUID_FORM))?;
                let tag = json.string().map_err(|_| expected(UUID_FORM))?;
                let named = match &*tag {
                    "uuid" => false,
                    "named-uuid" => true,
                    _ => return Err(expected(UUID_FORM)),
                };
                Atom::Uuid(decode_uuid(json, named, names)?)
            }
        };
        atom.check(base)?;
        Ok(atom)
    }

    /// Appends the atom as JSON.
    pub fn encode(&self, out: &mut String) {
        use fmt::Write as _;
        let written = match self {
            Atom::Integer(value) => write!(out, "{value}"),
            Atom::Real(real) => write_real(out, real.0),
            Atom::Boolean(value) => write!(out, "{value}"),
            Atom::String(text) => {
                json::write_string(out, text);
                Ok(())
            }
            Atom::Uuid(uuid) => write!(out, "[\"uuid\",\"{}\"]", uuid.hyphenated()),
        };
        debug_assert!(written.is_ok(), "writing to a String does not fail");
    }

    /// Checks the constraints of the base type, whose kind the atom must have.
    pub fn check(&self, base: &BaseType) -> Result<(), ValueError> {
        let ok = match (base.constraint(), self) {
            (Constraint::None | Constraint::Reference(_), _) => true,
            (Constraint::Enum(allowed), _) => allowed.contains(self),
            (Constraint::Integer { min, max }, Atom::Integer(value)) => (*min..=*max).contains(value),
            (Constraint::Real { min, max }, Atom::Real(value)) => (*min..=*max).contains(&value.0),
            (Constraint::Length { min, max }, Atom::String(text)) => {
                (*min as usize..=*max as usize).contains(&text.chars().count())
            }
            _ => false,
        };
        if ok {
            return Ok(());
        }
        Err(ValueError::Constraint(match base.constraint() {
            Constraint::Length { min, max } => {
                format!(
                    "{self} has {} characters, not {min} to {max}",
                    self.as_str().unwrap_or("").chars().count()
                )
            }
            Constraint::Enum(allowed) => format!("{self} is not one of {}", allowed.describe()),
            Constraint::Integer { min, max } => format!("{self} is not in the range {min} to {max}"),
            Constraint::Real { min, max } => format!("{self} is not in the range {min} to {max}"),
            Constraint::None | Constraint::Reference(_) => format!("{self} is not of the type"),
        }))
    }
}

/// As messages show it: uuids bare, the rest as JSON.
impl fmt::Display for Atom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Atom::Uuid(uuid) => write!(f, "{}", uuid.hyphenated()),
            _ => {
                let mut text = String::new();
                self.encode(&mut text);
                f.write_str(&text)
            }
        }
    }
}

impl From<i64> for Atom {
    fn from(value: i64) -> Self {
        Atom::Integer(value)
    }
}

impl From<bool> for Atom {
    fn from(value: bool) -> Self {
        Atom::Boolean(value)
    }
}

impl From<&str> for Atom {
    fn from(value: &str) -> Self {
        Atom::String(Text::from(value))
    }
}

impl From<Uuid> for Atom {
    fn from(value: Uuid) -> Self {
        Atom::Uuid(value)
    }
}

const UUID_FORM: &str = "[\"uuid\", <string>] or [\"named-uuid\", <string>]";

fn expected(what: &str) -> ValueError {
    ValueError::Syntax(format!("expected {what}"))
}

/// The rest of `["uuid", …]` behind its tag.
fn decode_uuid(json: &mut Decoder<'_>, named: bool, names: &mut dyn Names) -> Result<Uuid, ValueError> {
    json.comma().map_err(|_| expected(UUID_FORM))?;
    let uuid = if named {
        let name = json.string().map_err(|_| expected(UUID_FORM))?;
        names.uuid(&name).ok_or_else(|| expected("a uuid, not the name of one"))?
    } else {
        json.uuid_string()?
    };
    json.end_array().map_err(|_| expected(UUID_FORM))?;
    Ok(uuid)
}

/// Integral reals are written as integers, as stock does.
fn write_real(out: &mut String, value: f64) -> fmt::Result {
    use fmt::Write as _;
    if value.fract() == 0.0 && value.abs() < 1e15 {
        write!(out, "{}", value as i64)
    } else {
        write!(out, "{value:?}")
    }
}

/// The elements of a set, ascending; one element takes no allocation.
pub type Atoms = SmallVec<[Atom; 1]>;

/// `<value>` of RFC 7047 section 5.1: elements and keys are ascending and distinct.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Datum {
    /// A set; a scalar is a set of one.
    Set(Atoms),
    /// A map.
    Map(Vec<(Atom, Atom)>),
}

impl<A: Into<Atom>> From<A> for Datum {
    fn from(atom: A) -> Self {
        Datum::Set(SmallVec::from_buf([atom.into()]))
    }
}

impl Datum {
    /// The empty set.
    pub fn empty_set() -> Datum {
        Datum::Set(Atoms::new())
    }

    /// The set of the given elements, in any order; repeated ones count once.
    pub fn set<A: Into<Atom>>(elements: impl IntoIterator<Item = A>) -> Datum {
        let mut atoms: Atoms = elements.into_iter().map(Into::into).collect();
        atoms.sort_unstable();
        atoms.dedup();
        Datum::Set(atoms)
    }

    /// The map of the given pairs, in any order; of equal keys the first counts.
    pub fn map<K: Into<Atom>, V: Into<Atom>>(pairs: impl IntoIterator<Item = (K, V)>) -> Datum {
        let mut pairs: Vec<(Atom, Atom)> = pairs.into_iter().map(|(k, v)| (k.into(), v.into())).collect();
        pairs.sort_by(|a, b| a.0.cmp(&b.0));
        pairs.dedup_by(|a, b| a.0 == b.0);
        Datum::Map(pairs)
    }

    /// The default of a type (RFC 7047 section 5.2.1): empty where that is allowed, else one default atom or pair.
    pub fn default_of(ty: &ColumnType) -> Datum {
        let filled = ty.min() > 0;
        match (ty.value(), filled) {
            (None, false) => Datum::empty_set(),
            (None, true) => Datum::Set(SmallVec::from_buf([Atom::default_of(ty.key().kind())])),
            (Some(_), false) => Datum::Map(Vec::new()),
            (Some(value), true) => {
                Datum::Map(vec![(Atom::default_of(ty.key().kind()), Atom::default_of(value.kind()))])
            }
        }
    }

    /// Whether this is the default of the type.
    pub fn is_default_of(&self, ty: &ColumnType) -> bool {
        if ty.min() == 0 { self.is_empty() } else { self.len() == 1 && *self == Datum::default_of(ty) }
    }

    /// Number of elements or pairs.
    pub fn len(&self) -> usize {
        match self {
            Datum::Set(atoms) => atoms.len(),
            Datum::Map(pairs) => pairs.len(),
        }
    }

    /// Whether there are no elements or pairs.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The elements of a set, ascending; nothing for a map.
    pub fn atoms(&self) -> &[Atom] {
        if let Datum::Set(atoms) = self { atoms } else { &[] }
    }

    /// The pairs of a map, by ascending key; nothing for a set.
    pub fn pairs(&self) -> &[(Atom, Atom)] {
        if let Datum::Map(pairs) = self { pairs } else { &[] }
    }

    /// The only element of a set of one.
    pub fn as_scalar(&self) -> Option<&Atom> {
        if let [atom] = self.atoms() { Some(atom) } else { None }
    }

    /// The value of a key in a map.
    pub fn get(&self, key: &Atom) -> Option<&Atom> {
        let pairs = self.pairs();
        pairs.binary_search_by(|(k, _)| k.cmp(key)).ok().map(|at| &pairs[at].1)
    }

    /// Whether the set has the element.
    pub fn contains(&self, atom: &Atom) -> bool {
        self.atoms().binary_search(atom).is_ok()
    }

    fn describe(&self) -> String {
        let atoms: Vec<String> = self.atoms().iter().map(ToString::to_string).collect();
        format!("[{}]", atoms.join(", "))
    }
}

/// JSON.
impl Datum {
    /// Reads a value of the type and checks its constraints.
    pub fn decode(
        json: &mut Decoder<'_>,
        ty: &ColumnType,
        names: &mut dyn Names,
    ) -> Result<Datum, ValueError> {
        match ty.value() {
            None => decode_set(json, ty, names),
            Some(value) => decode_map(json, ty, value, names),
        }
    }

    /// Appends the value as JSON. A set of one is written as its element.
    pub fn encode(&self, out: &mut String) {
        match self {
            Datum::Set(atoms) => {
                if let [atom] = &atoms[..] {
                    return atom.encode(out);
                }
                out.push_str("[\"set\",[");
                for (at, atom) in atoms.iter().enumerate() {
                    out.push_str(if at == 0 { "" } else { "," });
                    atom.encode(out);
                }
            }
            Datum::Map(pairs) => {
                out.push_str("[\"map\",[");
                for (at, (key, value)) in pairs.iter().enumerate() {
                    out.push_str(if at == 0 { "[" } else { ",[" });
                    key.encode(out);
                    out.push(',');
                    value.encode(out);
                    out.push(']');
                }
            }
        }
        out.push_str("]]");
    }

    /// Checks the number of elements and the constraints of each.
    pub fn check(&self, ty: &ColumnType) -> Result<(), ValueError> {
        check_len(self.len(), ty).map_err(ValueError::Constraint)?;
        for atom in self.atoms() {
            atom.check(ty.key())?;
        }
        for (key, value) in self.pairs() {
            key.check(ty.key())?;
            if let Some(base) = ty.value() {
                value.check(base)?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Datum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        self.encode(&mut text);
        f.write_str(&text)
    }
}

fn check_len(len: usize, ty: &ColumnType) -> Result<(), String> {
    let (min, max) = (ty.min() as usize, ty.max() as usize);
    if (min..=max).contains(&len) {
        return Ok(());
    }
    let what = if ty.value().is_some() { "a map" } else { "a set" };
    Err(match (min, max) {
        (1, 1) => format!("expected {what} of exactly one, got {len}"),
        (_, max) if max == u32::MAX as usize => format!("expected {what} of at least {min}, got {len}"),
        _ => format!("expected {what} of {min} to {max}, got {len}"),
    })
}

fn decode_set(json: &mut Decoder<'_>, ty: &ColumnType, names: &mut dyn Names) -> Result<Datum, ValueError> {
    const FORM: &str = "[\"set\", [<atom>, …]]";
    if json.peek() != Some(b'[') {
        return Ok(Datum::Set(SmallVec::from_buf([Atom::decode(json, ty.key(), names)?])));
    }
    let start = json.position();
    json.begin_array()?;
    if json.peek() != Some(b'"') || json.string()? != "set" {
        json.seek(start);
        return Ok(Datum::Set(SmallVec::from_buf([Atom::decode(json, ty.key(), names)?])));
    }
    json.comma().map_err(|_| expected(FORM))?;
    json.begin_array().map_err(|_| expected(FORM))?;
    let (mut atoms, mut first) = (Atoms::new(), true);
    while json.next_element(&mut first)? {
        atoms.push(Atom::decode(json, ty.key(), names)?);
    }
    json.end_array().map_err(|_| expected(FORM))?;
    check_len(atoms.len(), ty).map_err(ValueError::Syntax)?;
    if !atoms.is_sorted_by(|a, b| a < b) {
        atoms.sort_unstable();
        if let Some(twice) = atoms.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(ValueError::Duplicate("set", twice[0].to_string()));
        }
    }
    Ok(Datum::Set(atoms))
}

fn decode_map(
    json: &mut Decoder<'_>,
    ty: &ColumnType,
    value: &BaseType,
    names: &mut dyn Names,
) -> Result<Datum, ValueError> {
    const FORM: &str = "[\"map\", [[<atom>, <atom>], …]]";
    json.begin_array().map_err(|_| expected(FORM))?;
    if json.string().map_err(|_| expected(FORM))? != "map" {
        return Err(expected(FORM));
    }
    json.comma().map_err(|_| expected(FORM))?;
    json.begin_array().map_err(|_| expected(FORM))?;
    let (mut pairs, mut first) = (Vec::new(), true);
    while json.next_element(&mut first)? {
        json.begin_array().map_err(|_| expected(FORM))?;
        let key = Atom::decode(json, ty.key(), names)?;
        json.comma().map_err(|_| expected(FORM))?;
        let value = Atom::decode(json, value, names)?;
        json.end_array().map_err(|_| expected(FORM))?;
        pairs.push((key, value));
    }
    json.end_array().map_err(|_| expected(FORM))?;
    check_len(pairs.len(), ty).map_err(ValueError::Syntax)?;
    if !pairs.is_sorted_by(|a, b| a.0 < b.0) {
        pairs.sort_unstable();
        if let Some(twice) = pairs.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(ValueError::Duplicate("map", twice[0].0.to_string()));
        }
    }
    Ok(Datum::Map(pairs))
}

/// Set algebra. Both sides are of one type, except where `keys` is named.
impl Datum {
    /// Whether every element or pair of `other` is in this one.
    pub fn includes(&self, other: &Datum) -> bool {
        match (self, other) {
            (Datum::Set(a), Datum::Set(b)) => b.iter().all(|atom| a.binary_search(atom).is_ok()),
            (Datum::Map(_), Datum::Map(b)) => b.iter().all(|(key, value)| self.get(key) == Some(value)),
            _ => false,
        }
    }

    /// Whether no element or pair of `other` is in this one.
    pub fn excludes(&self, other: &Datum) -> bool {
        match (self, other) {
            (Datum::Set(a), Datum::Set(b)) => !b.iter().any(|atom| a.binary_search(atom).is_ok()),
            (Datum::Map(_), Datum::Map(b)) => !b.iter().any(|(key, value)| self.get(key) == Some(value)),
            _ => true,
        }
    }

    /// Adds the elements or pairs of `other`; a key that is there keeps its value.
    pub fn insert_all(&mut self, other: &Datum) {
        match (self, other) {
            (Datum::Set(atoms), Datum::Set(new)) => {
                if let [atom] = &new[..] {
                    if let Err(at) = atoms.binary_search(atom) {
                        atoms.insert(at, atom.clone());
                    }
                    return;
                }
                let old = atoms.len();
                for atom in new {
                    if atoms[..old].binary_search(atom).is_err() {
                        atoms.push(atom.clone());
                    }
                }
                // two ascending runs: the stable sort merges them
                atoms.sort();
            }
            (Datum::Map(pairs), Datum::Map(new)) => {
                let old = pairs.len();
                for pair in new {
                    if pairs[..old].binary_search_by(|(key, _)| key.cmp(&pair.0)).is_err() {
                        pairs.push(pair.clone());
                    }
                }
                pairs.sort();
            }
            _ => {}
        }
    }

    /// Removes the elements or pairs of `other`; a pair goes only if its value is equal too.
    pub fn remove_all(&mut self, other: &Datum) {
        match self {
            Datum::Set(atoms) => atoms.retain(|atom| !other.contains(atom)),
            Datum::Map(pairs) => pairs.retain(|(key, value)| other.get(key) != Some(value)),
        }
    }

    /// Removes the pairs whose key is in the set `keys`.
    pub fn remove_keys(&mut self, keys: &Datum) {
        if let Datum::Map(pairs) = self {
            pairs.retain(|(key, _)| !keys.contains(key));
        }
    }

    /// What turns this value into `new`, as `update2` tells it (ovsdb-server(7) section 4.1.14): the new value of a
    /// column of at most one; else the elements that are in one of the two, or the pairs whose key is in one of the two
    /// and the new pairs whose value differs.
    pub fn diff(&self, new: &Datum, ty: &ColumnType) -> Datum {
        if ty.max() == 1 { new.clone() } else { self.toggle(new) }
    }

    /// The inverse of [`Datum::diff`].
    pub fn apply_diff(&mut self, diff: &Datum, ty: &ColumnType) {
        *self = if ty.max() == 1 { diff.clone() } else { self.toggle(diff) };
    }

    /// The symmetric difference; for maps, where `other` has another value for a key, its pair.
    fn toggle(&self, other: &Datum) -> Datum {
        match (self, other) {
            (Datum::Set(a), Datum::Set(b)) => {
                let mut out = Atoms::new();
                merge(a, b, Ord::cmp, |old, new| match (old, new) {
                    (Some(atom), None) | (None, Some(atom)) => out.push(atom.clone()),
                    _ => {}
                });
                Datum::Set(out)
            }
            (Datum::Map(a), Datum::Map(b)) => {
                let mut out = Vec::new();
                merge(
                    a,
                    b,
                    |a, b| a.0.cmp(&b.0),
                    |old, new| match (old, new) {
                        (Some(pair), None) | (None, Some(pair)) => out.push(pair.clone()),
                        (Some(old), Some(new)) if old.1 != new.1 => out.push(new.clone()),
                        _ => {}
                    },
                );
                Datum::Map(out)
            }
            _ => other.clone(),
        }
    }
}

/// An element of a set, or a key with its value.
pub(crate) type Element<'a> = (&'a Atom, Option<&'a Atom>);

/// Walks two values of one column side by side: `visit` sees each element or key once, with what either value has for it.
/// An absent value has nothing.
pub(crate) fn compare(
    old: Option<&Datum>,
    new: Option<&Datum>,
    mut visit: impl FnMut(Option<Element<'_>>, Option<Element<'_>>),
) {
    let (a, b) = (old.map_or(&[][..], Datum::atoms), new.map_or(&[][..], Datum::atoms));
    merge(a, b, Ord::cmp, |a, b| visit(a.map(|a| (a, None)), b.map(|b| (b, None))));
    merge(
        old.map_or(&[][..], Datum::pairs),
        new.map_or(&[][..], Datum::pairs),
        |a, b| a.0.cmp(&b.0),
        |a, b| visit(a.map(|a| (&a.0, Some(&a.1))), b.map(|b| (&b.0, Some(&b.1)))),
    );
}

/// Walks two ascending slices side by side: `visit` sees each key once, with what either side has for it.
fn merge<T>(
    a: &[T],
    b: &[T],
    compare: impl Fn(&T, &T) -> std::cmp::Ordering,
    mut visit: impl FnMut(Option<&T>, Option<&T>),
) {
    use std::cmp::Ordering::{Greater, Less};
    let (mut i, mut j) = (0, 0);
    loop {
        let order = match (a.get(i), b.get(j)) {
            (Some(x), Some(y)) => compare(x, y),
            (Some(_), None) => Less,
            (None, Some(_)) => Greater,
            (None, None) => return,
        };
        visit(a.get(i).filter(|_| order != Greater), b.get(j).filter(|_| order != Less));
        i += usize::from(order != Greater);
        j += usize::from(order != Less);
    }
}

#[cfg(test)]
mod tests;
