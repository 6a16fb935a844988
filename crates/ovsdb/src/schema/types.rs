//! Column types: `<type>` and `<base-type>` of RFC 7047 section 3.2.

use std::fmt;

use kiln_types::HashMap;

use crate::column::Text;
use crate::value::{Atom, Datum};

/// `<atomic-type>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum AtomType {
    Integer,
    Real,
    Boolean,
    String,
    Uuid,
}

impl AtomType {
    /// Its name in schemas.
    pub fn name(self) -> &'static str {
        match self {
            AtomType::Integer => "integer",
            AtomType::Real => "real",
            AtomType::Boolean => "boolean",
            AtomType::String => "string",
            AtomType::Uuid => "uuid",
        }
    }

    /// The type of this name.
    pub fn of_name(name: &str) -> Option<Self> {
        use AtomType::{Boolean, Integer, Real, String, Uuid};
        [Integer, Real, Boolean, String, Uuid].into_iter().find(|kind| kind.name() == name)
    }
}

/// Whether a reference keeps its target alive (`refType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefKind {
    /// The target must exist, and lives as long as it is referenced.
    Strong,
    /// The reference vanishes with its target.
    Weak,
}

/// Where a uuid column points.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// The table's name (`refTable`).
    pub table: Text,
    /// The table's index in its schema, once the schema is built.
    pub table_index: usize,
    /// Whether it keeps its target alive.
    pub kind: RefKind,
}

/// What values of a base type are allowed beyond their atomic type. All bounds are inclusive.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)]
pub enum Constraint {
    None,
    /// One of a set (`enum`).
    Enum(Datum),
    Integer {
        min: i64,
        max: i64,
    },
    Real {
        min: f64,
        max: f64,
    },
    /// Length of a string, in characters.
    Length {
        min: u32,
        max: u32,
    },
    Reference(Reference),
}

// bounds are never NaN: they come from JSON numbers and from declarations that `build` checks
impl Eq for Constraint {}

/// `<base-type>`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseType {
    kind: AtomType,
    constraint: Constraint,
}

impl BaseType {
    const fn plain(kind: AtomType) -> Self {
        BaseType { kind, constraint: Constraint::None }
    }

    pub(super) fn with(kind: AtomType, constraint: Constraint) -> Self {
        BaseType { kind, constraint }
    }

    /// Any integer.
    pub const fn integer() -> Self {
        Self::plain(AtomType::Integer)
    }

    /// Any real.
    pub const fn real() -> Self {
        Self::plain(AtomType::Real)
    }

    /// A boolean.
    pub const fn boolean() -> Self {
        Self::plain(AtomType::Boolean)
    }

    /// Any string.
    pub const fn string() -> Self {
        Self::plain(AtomType::String)
    }

    /// Any uuid, not a reference.
    pub const fn uuid() -> Self {
        Self::plain(AtomType::Uuid)
    }

    /// An integer within bounds.
    pub const fn integer_in(min: i64, max: i64) -> Self {
        BaseType { kind: AtomType::Integer, constraint: Constraint::Integer { min, max } }
    }

    /// A real within bounds.
    pub const fn real_in(min: f64, max: f64) -> Self {
        BaseType { kind: AtomType::Real, constraint: Constraint::Real { min, max } }
    }

    /// A string of `min` to `max` characters.
    pub const fn string_of_length(min: u32, max: u32) -> Self {
        BaseType { kind: AtomType::String, constraint: Constraint::Length { min, max } }
    }

    /// One of the given strings.
    pub fn string_enum<'a>(allowed: impl IntoIterator<Item = &'a str>) -> Self {
        Self::with(AtomType::String, Constraint::Enum(Datum::set(allowed)))
    }

    /// One of the given integers.
    pub fn integer_enum(allowed: impl IntoIterator<Item = i64>) -> Self {
        Self::with(AtomType::Integer, Constraint::Enum(Datum::set(allowed)))
    }

    /// A reference that keeps its target alive.
    pub fn strong(table: &str) -> Self {
        Self::reference_to(table, RefKind::Strong)
    }

    /// A reference that vanishes with its target.
    pub fn weak(table: &str) -> Self {
        Self::reference_to(table, RefKind::Weak)
    }

    fn reference_to(table: &str, kind: RefKind) -> Self {
        let reference = Reference { table: Text::from(table), table_index: usize::MAX, kind };
        Self::with(AtomType::Uuid, Constraint::Reference(reference))
    }

    /// The atomic type.
    pub fn kind(&self) -> AtomType {
        self.kind
    }

    /// What is allowed of it.
    pub fn constraint(&self) -> &Constraint {
        &self.constraint
    }

    /// Where it points, if it is a reference of this kind.
    pub fn reference(&self, kind: RefKind) -> Option<&Reference> {
        match &self.constraint {
            Constraint::Reference(reference) if reference.kind == kind => Some(reference),
            _ => None,
        }
    }

    /// Looks up the referenced table and checks that the constraint fits the type.
    fn resolve(&mut self, tables: &HashMap<Text, usize>) -> Result<(), String> {
        let fits = match (&mut self.constraint, self.kind) {
            (Constraint::None, _) => true,
            (Constraint::Enum(allowed), _) => !allowed.is_empty() && allowed.check_kind(self.kind),
            (Constraint::Integer { min, max }, AtomType::Integer) => min <= max,
            (Constraint::Real { min, max }, AtomType::Real) => min <= max,
            (Constraint::Length { min, max }, AtomType::String) => min <= max,
            (Constraint::Reference(reference), AtomType::Uuid) => {
                let Some(&index) = tables.get(&reference.table) else {
                    return Err(format!("refTable {} is not a table of this schema", reference.table));
                };
                reference.table_index = index;
                true
            }
            _ => false,
        };
        if fits { Ok(()) } else { Err(format!("constraint does not fit type {}", self.kind.name())) }
    }
}

impl Datum {
    fn check_kind(&self, kind: AtomType) -> bool {
        let default = Atom::default_of(kind);
        self.atoms().iter().all(|atom| std::mem::discriminant(atom) == std::mem::discriminant(&default))
    }
}

/// `<type>`: a scalar (`min` and `max` 1), an optional scalar (0 and 1), a set or a map.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnType {
    key: BaseType,
    value: Option<BaseType>,
    min: u32,
    max: u32,
}

impl ColumnType {
    /// The general form. `min` is 0 or 1; `max` of `u32::MAX` is `"unlimited"`.
    pub const fn new(key: BaseType, value: Option<BaseType>, min: u32, max: u32) -> Self {
        ColumnType { key, value, min, max }
    }

    /// Exactly one.
    pub const fn scalar(base: BaseType) -> Self {
        Self::new(base, None, 1, 1)
    }

    /// One or none.
    pub const fn optional(base: BaseType) -> Self {
        Self::new(base, None, 0, 1)
    }

    /// Any number.
    pub const fn set(base: BaseType) -> Self {
        Self::new(base, None, 0, u32::MAX)
    }

    /// A map of any size.
    pub const fn map(key: BaseType, value: BaseType) -> Self {
        Self::new(key, Some(value), 0, u32::MAX)
    }

    /// Elements of a set, or keys of a map.
    pub fn key(&self) -> &BaseType {
        &self.key
    }

    /// Values of a map.
    pub fn value(&self) -> Option<&BaseType> {
        self.value.as_ref()
    }

    /// The smallest number of elements or pairs, 0 or 1.
    pub fn min(&self) -> u32 {
        self.min
    }

    /// The largest number of elements or pairs.
    pub fn max(&self) -> u32 {
        self.max
    }

    /// Whether it is exactly one atom.
    pub fn is_scalar(&self) -> bool {
        self.value.is_none() && self.min == 1 && self.max == 1
    }

    /// The first reference of this kind in key or value.
    pub fn reference(&self, kind: RefKind) -> Option<&Reference> {
        self.key.reference(kind).or_else(|| self.value.as_ref()?.reference(kind))
    }

    /// The same type with other bounds on the number of elements.
    pub fn with_bounds(&self, min: u32, max: u32) -> Self {
        ColumnType { min, max, ..self.clone() }
    }

    /// One atom of the key's type, without constraints.
    pub fn plain_scalar(&self) -> Self {
        Self::scalar(BaseType::plain(self.key.kind))
    }

    /// The set of a map's keys, of any number.
    pub fn keys(&self) -> Self {
        Self::new(self.key.clone(), None, 0, u32::MAX)
    }

    pub(super) fn resolve(&mut self, tables: &HashMap<Text, usize>) -> Result<(), String> {
        if self.min > 1 || self.max == 0 {
            return Err(format!(
                "expected min 0 or 1 and max of at least 1, got {} and {}",
                self.min, self.max
            ));
        }
        self.key.resolve(tables)?;
        self.value.as_mut().map_or(Ok(()), |value| value.resolve(tables))
    }
}

/// In words, for messages.
impl fmt::Display for ColumnType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key = self.key.kind.name();
        match (&self.value, self.min, self.max) {
            (None, 1, 1) => return f.write_str(key),
            (None, 0, 1) => return write!(f, "optional {key}"),
            (None, ..) => write!(f, "set of {key}")?,
            (Some(value), ..) => write!(f, "map from {key} to {}", value.kind.name())?,
        }
        match self.max {
            u32::MAX => Ok(()),
            max => write!(f, " ({} to {max})", self.min),
        }
    }
}
