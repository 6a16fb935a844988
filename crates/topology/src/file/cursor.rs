//! Reading the tree: each step knows the keys that led to it, and what does not fit is noted instead of ending the
//! reading, so that a person sees every mistake of a file at once.

use super::{Entry, Node, Origin, Place, Problem, Value};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::str::FromStr;

/// Problems noted are bounded: nobody reads the hundred-and-first.
const PROBLEMS_MAX: usize = 100;

/// What was found wrong so far.
#[derive(Default)]
pub(crate) struct Log(RefCell<Vec<Problem>>);

impl Log {
    pub(crate) fn note(&self, problem: Problem) {
        let mut list = self.0.borrow_mut();
        if list.len() < PROBLEMS_MAX {
            list.push(problem);
        }
    }

    /// Notes that the item written at `origin` should be something else.
    pub(crate) fn about(&self, origin: &Origin, expected: impl Into<String>, found: impl Into<String>) {
        let (at, key) = (origin.place, origin.key.clone());
        self.note(Problem { at, key, expected: expected.into(), found: found.into() });
    }

    pub(crate) fn into_list(self) -> Vec<Problem> {
        let mut list = self.0.into_inner();
        list.sort_by_key(|problem| problem.at);
        list
    }
}

/// A node with the keys that lead to it.
#[derive(Clone)]
pub(crate) struct Cursor<'a> {
    node: &'a Node,
    key: String,
    key_at: Place,
    log: &'a Log,
}

impl<'a> Cursor<'a> {
    pub(crate) fn root(node: &'a Node, log: &'a Log) -> Self {
        Cursor { node, key: String::new(), key_at: node.at, log }
    }

    /// Where the value starts; for no value, where its key does.
    pub(crate) fn at(&self) -> Place {
        if self.is_null() { self.key_at } else { self.node.at }
    }

    /// What a later complaint about this value names.
    pub(crate) fn origin(&self) -> Origin {
        Origin { place: self.at(), key: self.key.clone() }
    }

    /// Notes that something else was expected here than what is.
    pub(crate) fn fail<T>(&self, expected: impl Into<String>) -> Option<T> {
        self.reject(expected, self.node.found())
    }

    /// Notes that something else was expected here than what is, in words of the caller's.
    pub(crate) fn reject<T>(&self, expected: impl Into<String>, found: impl Into<String>) -> Option<T> {
        self.log.note(Problem {
            at: self.at(),
            key: self.key.clone(),
            expected: expected.into(),
            found: found.into(),
        });
        None
    }

    fn child(&self, entry: &'a Entry) -> Cursor<'a> {
        let separator = if self.key.is_empty() { "" } else { "." };
        let key = format!("{}{separator}{}", self.key, entry.key);
        Cursor { node: &entry.node, key, key_at: entry.key_at, log: self.log }
    }

    fn item(&self, index: usize, node: &'a Node) -> Cursor<'a> {
        Cursor { node, key: format!("{}[{index}]", self.key), key_at: node.at, log: self.log }
    }

    pub(crate) fn is_null(&self) -> bool {
        matches!(self.node.value, Value::Null)
    }

    pub(crate) fn is_list(&self) -> bool {
        matches!(self.node.value, Value::List(_))
    }

    pub(crate) fn is_map(&self) -> bool {
        matches!(self.node.value, Value::Map(_))
    }

    /// The text of a scalar, whatever its type, if this is one.
    pub(crate) fn scalar(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Scalar { text, .. } => Some(text),
            _ => None,
        }
    }

    /// A scalar as text.
    pub(crate) fn text(&self, expected: &str) -> Option<&'a str> {
        self.scalar().or_else(|| self.fail(expected))
    }

    /// A scalar that `T` can be made from.
    pub(crate) fn parsed<T: FromStr>(&self, expected: &str) -> Option<T> {
        self.scalar().and_then(|text| text.parse().ok()).or_else(|| self.fail(expected))
    }

    /// `true` or `false`.
    pub(crate) fn flag(&self) -> Option<bool> {
        match &self.node.value {
            Value::Scalar { text, quoted: false } if text == "true" => Some(true),
            Value::Scalar { text, quoted: false } if text == "false" => Some(false),
            _ => self.fail("true or false"),
        }
    }

    /// A number within a range.
    pub(crate) fn number(&self, range: RangeInclusive<i64>) -> Option<i64> {
        let number = match &self.node.value {
            Value::Scalar { text, quoted: false } => {
                text.parse().ok().filter(|number| range.contains(number))
            }
            _ => None,
        };
        number.or_else(|| self.fail(format!("a number from {} to {}", range.start(), range.end())))
    }

    /// The items of a list.
    pub(crate) fn list(&self, expected: &str) -> Vec<Cursor<'a>> {
        match &self.node.value {
            Value::List(items) => items.iter().enumerate().map(|(i, node)| self.item(i, node)).collect(),
            _ => {
                self.fail::<()>(expected);
                Vec::new()
            }
        }
    }

    /// The items of a list; anything else is a list of one.
    pub(crate) fn one_or_more(&self) -> Vec<Cursor<'a>> {
        if self.is_list() { self.list("") } else { vec![self.clone()] }
    }

    /// The entries of a map by name.
    pub(crate) fn entries(&self, expected: &str) -> Vec<(&'a str, Cursor<'a>)> {
        let Value::Map(entries) = &self.node.value else {
            self.fail::<()>(expected);
            return Vec::new();
        };
        let mut first = BTreeMap::new();
        let mut list = Vec::with_capacity(entries.len());
        for entry in entries {
            if let Some(place) = first.insert(&entry.key, entry.key_at) {
                let problem = Problem {
                    at: entry.key_at,
                    key: self.child(entry).key,
                    expected: "each key once".into(),
                    found: format!("it again (first in line {})", place.line),
                };
                self.log.note(problem);
            }
            list.push((entry.key.as_str(), self.child(entry)));
        }
        list
    }

    /// A map of text to text, as OVN's `options` columns are.
    pub(crate) fn texts(&self) -> BTreeMap<String, String> {
        let expected = "a text, a number, true or false";
        self.entries("a map of names to values")
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_owned(), value.text(expected)?.to_owned())))
            .collect()
    }

    /// The value under one key of a map.
    pub(crate) fn under(&self, key: &str) -> Option<Cursor<'a>> {
        let Value::Map(entries) = &self.node.value else { return None };
        entries.iter().find(|entry| entry.key == key).map(|entry| self.child(entry))
    }

    /// A map whose keys are known.
    pub(crate) fn fields(&self, expected: &str) -> Fields<'a> {
        let entries = self.entries(expected);
        Fields { cursor: self.clone(), entries, known: Vec::new() }
    }
}

/// A map whose keys are known: those that the reader asked for. [`Fields::end`] rejects the others.
pub(crate) struct Fields<'a> {
    cursor: Cursor<'a>,
    entries: Vec<(&'a str, Cursor<'a>)>,
    known: Vec<&'static str>,
}

impl<'a> Fields<'a> {
    /// The value of `key`; none if it is not there or is nothing.
    pub(crate) fn get(&mut self, key: &'static str) -> Option<Cursor<'a>> {
        self.known.push(key);
        let (_, cursor) = self.entries.iter().find(|(name, _)| *name == key)?;
        (!cursor.is_null()).then(|| cursor.clone())
    }

    /// The text-to-text map under `key`, empty if it is not there.
    pub(crate) fn texts(&mut self, key: &'static str) -> BTreeMap<String, String> {
        self.get(key).map(|cursor| cursor.texts()).unwrap_or_default()
    }

    /// The flag under `key`.
    pub(crate) fn flag(&mut self, key: &'static str) -> Option<bool> {
        self.get(key)?.flag()
    }

    /// Rejects every key that nobody asked for.
    pub(crate) fn end(self) {
        for (name, cursor) in &self.entries {
            if !self.known.contains(name) {
                self.cursor.log.note(Problem {
                    at: cursor.key_at,
                    key: self.cursor.key.clone(),
                    expected: format!("one of the keys {}", self.known.join(", ")),
                    found: format!("`{name}`"),
                });
            }
        }
    }
}
