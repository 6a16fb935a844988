//! `.ovsschema` files and `get_schema` replies.

use serde_json::{Map, Value};

use super::{
    AtomType, BaseType, ColumnType, Constraint, DatabaseSchema, RefKind, Reference, TableBuilder, TableSchema,
};
use crate::column::Text;
use crate::json::{Decoder, TextCache};
use crate::value::Datum;

/// Why a schema was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("schema{}{path}: {what}", if path.is_empty() { "" } else { ", " })]
pub struct SchemaError {
    path: String,
    what: String,
}

impl SchemaError {
    pub(super) fn new(path: &str, what: &str) -> Self {
        SchemaError { path: path.to_owned(), what: what.to_owned() }
    }

    /// The members from the top of the schema to the offending one, separated by dots; empty for the top itself.
    pub fn path(&self) -> &str {
        &self.path
    }
}

/// Whether `text` is an `<id>` (RFC 7047 section 3.1).
pub fn is_id(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.first().is_some_and(|b| b.is_ascii_alphabetic() || *b == b'_')
        && bytes.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
}

pub(super) fn database(text: &str) -> Result<DatabaseSchema, SchemaError> {
    let value: Value =
        serde_json::from_str(text).map_err(|error| SchemaError::new("", &format!("not JSON: {error}")))?;
    let members = Members::of(&value, String::new())?;
    members.allow(&["name", "version", "cksum", "tables"])?;
    let mut builder =
        DatabaseSchema::builder(members.required("name")?.text()?, members.text_or("version", "")?);
    if let Some(cksum) = members.get("cksum") {
        builder = builder.cksum(cksum.text()?);
    }
    let tables = members.required("tables")?.members()?;
    for name in tables.map.keys() {
        builder = builder.table(table(name, &tables.required(name)?.members()?)?);
    }
    builder.build()
}

fn table(name: &str, members: &Members<'_>) -> Result<TableBuilder, SchemaError> {
    members.allow(&["columns", "maxRows", "isRoot", "indexes", "mutable"])?;
    let mut builder = TableSchema::builder(name);
    let columns = members.required("columns")?.members()?;
    for name in columns.map.keys() {
        let column = columns.required(name)?.members()?;
        column.allow(&["type", "ephemeral", "mutable"])?;
        builder = builder.column_with(
            name,
            column_type(&column.required("type")?)?,
            column.flag("mutable", true)?,
            column.flag("ephemeral", false)?,
        );
    }
    if members.flag("isRoot", false)? {
        builder = builder.root();
    }
    if let Some(max_rows) = members.get("maxRows") {
        builder = builder.max_rows(max_rows.count()?);
    }
    if let Some(indexes) = members.get("indexes") {
        for index in indexes.elements()? {
            let columns = index.elements()?;
            let columns: Vec<&str> = columns.iter().map(Node::text).collect::<Result<_, _>>()?;
            builder = builder.index(columns);
        }
    }
    Ok(builder)
}

fn column_type(node: &Node<'_>) -> Result<ColumnType, SchemaError> {
    if node.value.is_string() {
        return Ok(ColumnType::scalar(base_type(node)?));
    }
    let members = node.members()?;
    members.allow(&["key", "value", "min", "max"])?;
    let key = base_type(&members.required("key")?)?;
    let value = members.get("value").map(|value| base_type(&value)).transpose()?;
    let min = members.get("min").map_or(Ok(1), |min| min.count())?;
    let max = match members.get("max") {
        None => 1,
        Some(max) if max.value == "unlimited" => u32::MAX,
        Some(max) => max.count()?,
    };
    Ok(ColumnType::new(key, value, min, max))
}

fn base_type(node: &Node<'_>) -> Result<BaseType, SchemaError> {
    if node.value.is_string() {
        return Ok(BaseType::with(atom_type(node)?, Constraint::None));
    }
    let members = node.members()?;
    let kind = atom_type(&members.required("type")?)?;
    let bounds: &[&str] = match kind {
        AtomType::Integer => &["type", "enum", "minInteger", "maxInteger"],
        AtomType::Real => &["type", "enum", "minReal", "maxReal"],
        AtomType::Boolean => &["type", "enum"],
        AtomType::String => &["type", "enum", "minLength", "maxLength"],
        AtomType::Uuid => &["type", "enum", "refTable", "refType"],
    };
    members.allow(bounds)?;
    if let Some(allowed) = members.get("enum") {
        return Ok(BaseType::with(kind, Constraint::Enum(allowed.set_of(kind)?)));
    }
    let bounded = bounds[2..].iter().any(|name| members.get(name).is_some());
    let constraint = match kind {
        _ if !bounded => Constraint::None,
        AtomType::Boolean => Constraint::None,
        AtomType::Integer => Constraint::Integer {
            min: members.get("minInteger").map_or(Ok(i64::MIN), |min| min.integer())?,
            max: members.get("maxInteger").map_or(Ok(i64::MAX), |max| max.integer())?,
        },
        AtomType::Real => Constraint::Real {
            min: members.get("minReal").map_or(Ok(f64::MIN), |min| min.real())?,
            max: members.get("maxReal").map_or(Ok(f64::MAX), |max| max.real())?,
        },
        AtomType::String => Constraint::Length {
            min: members.get("minLength").map_or(Ok(0), |min| min.count())?,
            max: members.get("maxLength").map_or(Ok(u32::MAX), |max| max.count())?,
        },
        AtomType::Uuid => Constraint::Reference(Reference {
            table: Text::from(members.required("refTable")?.text()?),
            table_index: usize::MAX,
            kind: match members.text_or("refType", "strong")? {
                "strong" => RefKind::Strong,
                "weak" => RefKind::Weak,
                _ => return Err(members.required("refType")?.expected("\"strong\" or \"weak\"")),
            },
        }),
    };
    Ok(BaseType::with(kind, constraint))
}

fn atom_type(node: &Node<'_>) -> Result<AtomType, SchemaError> {
    AtomType::of_name(node.text()?)
        .ok_or_else(|| node.expected("\"integer\", \"real\", \"boolean\", \"string\" or \"uuid\""))
}

/// A value and where it stands.
struct Node<'a> {
    value: &'a Value,
    path: String,
}

/// An object and where it stands.
struct Members<'a> {
    map: &'a Map<String, Value>,
    path: String,
}

impl<'a> Node<'a> {
    fn expected(&self, what: &str) -> SchemaError {
        const EXCERPT: usize = 60;
        let got: String = self.value.to_string().chars().take(EXCERPT).collect();
        SchemaError::new(&self.path, &format!("expected {what}, got {got}"))
    }

    fn members(&self) -> Result<Members<'a>, SchemaError> {
        Members::of(self.value, self.path.clone())
    }

    fn elements(&self) -> Result<Vec<Node<'a>>, SchemaError> {
        let elements = self.value.as_array().ok_or_else(|| self.expected("array"))?;
        Ok(elements.iter().map(|value| Node { value, path: self.path.clone() }).collect())
    }

    fn text(&self) -> Result<&'a str, SchemaError> {
        self.value.as_str().ok_or_else(|| self.expected("string"))
    }

    fn integer(&self) -> Result<i64, SchemaError> {
        self.value.as_i64().ok_or_else(|| self.expected("integer"))
    }

    fn real(&self) -> Result<f64, SchemaError> {
        self.value.as_f64().ok_or_else(|| self.expected("real"))
    }

    fn count(&self) -> Result<u32, SchemaError> {
        self.value
            .as_u64()
            .and_then(|n| u32::try_from(n).ok())
            .ok_or_else(|| self.expected("integer from 0 to 4294967295"))
    }

    fn set_of(&self, kind: AtomType) -> Result<Datum, SchemaError> {
        let ty = ColumnType::new(BaseType::with(kind, Constraint::None), None, 1, u32::MAX);
        let (text, mut texts) = (self.value.to_string(), TextCache::empty());
        Datum::decode(&mut Decoder::new(&text, &mut texts), &ty, &mut ())
            .map_err(|error| SchemaError::new(&self.path, &error.to_string()))
    }
}

impl<'a> Members<'a> {
    fn of(value: &'a Value, path: String) -> Result<Self, SchemaError> {
        match value.as_object() {
            Some(map) => Ok(Members { map, path }),
            None => Err(Node { value, path }.expected("object")),
        }
    }

    fn allow(&self, names: &[&str]) -> Result<(), SchemaError> {
        match self.map.keys().find(|name| !names.contains(&name.as_str())) {
            None => Ok(()),
            Some(name) => {
                Err(SchemaError::new(&self.path, &format!("expected {}, got {name}", names.join(", "))))
            }
        }
    }

    fn get(&self, name: &str) -> Option<Node<'a>> {
        let dot = if self.path.is_empty() { "" } else { "." };
        Some(Node { value: self.map.get(name)?, path: format!("{}{dot}{name}", self.path) })
    }

    fn required(&self, name: &str) -> Result<Node<'a>, SchemaError> {
        self.get(name).ok_or_else(|| SchemaError::new(&self.path, &format!("member {name} is missing")))
    }

    fn flag(&self, name: &str, absent: bool) -> Result<bool, SchemaError> {
        let Some(node) = self.get(name) else { return Ok(absent) };
        node.value.as_bool().ok_or_else(|| node.expected("boolean"))
    }

    fn text_or(&self, name: &str, absent: &'a str) -> Result<&'a str, SchemaError> {
        self.get(name).map_or(Ok(absent), |node| node.text())
    }
}
