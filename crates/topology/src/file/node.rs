//! The tree.

/// Where something stands in a file, both counted from 1; columns count characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Place {
    /// The line.
    pub line: u32,
    /// The column.
    pub column: u32,
}

/// Where an item of the model was written: what a later complaint about it names.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Origin {
    /// The place of its value.
    pub place: Place,
    /// The keys that lead to it, joined by dots.
    pub key: String,
}

/// A value and where it starts.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) at: Place,
    pub(crate) value: Value,
}

/// What a node holds. Scalars keep their text: whether `10` is a number or a name is for the reader of the key to say.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    /// Nothing: `key:` in YAML.
    Null,
    /// `quoted` is true for what can only be text: quoted in YAML, a string in TOML.
    Scalar {
        text: String,
        quoted: bool,
    },
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key of a map.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    pub(crate) key_at: Place,
    pub(crate) node: Node,
}

impl Node {
    /// What was found here, in an error's words.
    pub(crate) fn found(&self) -> String {
        match &self.value {
            Value::Null => "nothing".into(),
            Value::Scalar { text, .. } => {
                let short: String = text.chars().take(80).collect();
                if short.len() < text.len() { format!("`{short}…`") } else { format!("`{short}`") }
            }
            Value::List(items) => format!("a list of {}", items.len()),
            Value::Map(entries) if entries.is_empty() => "an empty map".into(),
            Value::Map(entries) => format!("a map that starts with `{}`", entries[0].key),
        }
    }
}
