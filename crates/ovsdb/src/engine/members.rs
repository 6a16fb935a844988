//! JSON objects whose members are checked one by one: operations and monitor requests.

use super::Error;
use crate::json::{Decoder, TextCache};
use crate::schema::is_id;

/// The members of an object, taken out by name. Of members with one name the last counts (ovsdb-server(7) section 3.1).
pub(crate) struct Members<'a> {
    members: Vec<(&'a str, &'a str)>,
}

impl<'a> Members<'a> {
    pub(crate) fn of(text: &'a str) -> Result<Self, Error> {
        let mut texts = TextCache::empty();
        let mut json = Decoder::new(text, &mut texts);
        let (mut members, mut first) = (Vec::new(), true);
        json.begin_object()?;
        while let Some(name) = json.next_member(&mut first)? {
            let name = part_of(text, name);
            members.push((name, part_of(text, json.raw_value()?)));
        }
        json.end()?;
        Ok(Members { members })
    }

    /// What is left: names and their values' JSON. Of members with one name all are told.
    pub(crate) fn into_rest(self) -> Vec<(&'a str, &'a str)> {
        self.members
    }

    /// The value's JSON.
    pub(crate) fn take(&mut self, name: &str) -> Option<&'a str> {
        let value = self.members.iter().rev().find(|member| member.0 == name)?.1;
        self.members.retain(|member| member.0 != name);
        Some(value)
    }

    fn typed(&mut self, name: &str, what: &str, first: &[u8]) -> Result<Option<&'a str>, Error> {
        match self.take(name) {
            Some(value) if !first.contains(&value.as_bytes()[0]) => {
                Err(Error::syntax(format!("expected {what} as member {name}")))
            }
            value => Ok(value),
        }
    }

    fn present<T>(name: &str, value: Option<T>) -> Result<T, Error> {
        value.ok_or_else(|| Error::syntax(format!("member {name} is missing")))
    }

    pub(crate) fn array(&mut self, name: &str) -> Result<&'a str, Error> {
        Self::present(name, self.optional_array(name)?)
    }

    pub(crate) fn optional_array(&mut self, name: &str) -> Result<Option<&'a str>, Error> {
        self.typed(name, "array", b"[")
    }

    pub(crate) fn object(&mut self, name: &str) -> Result<&'a str, Error> {
        Self::present(name, self.optional_object(name)?)
    }

    pub(crate) fn optional_object(&mut self, name: &str) -> Result<Option<&'a str>, Error> {
        self.typed(name, "object", b"{")
    }

    pub(crate) fn boolean(&mut self, name: &str) -> Result<bool, Error> {
        Self::present(name, self.optional_boolean(name)?)
    }

    pub(crate) fn optional_boolean(&mut self, name: &str) -> Result<Option<bool>, Error> {
        Ok(self.typed(name, "boolean", b"tf")?.map(|value| value == "true"))
    }

    pub(crate) fn optional_integer(&mut self, name: &str) -> Result<Option<i64>, Error> {
        let Some(value) = self.typed(name, "integer", b"-0123456789")? else { return Ok(None) };
        let integer = Decoder::new(value, &mut TextCache::empty()).integer();
        integer.map(Some).map_err(|_| Error::syntax(format!("expected integer as member {name}")))
    }

    pub(crate) fn string(&mut self, name: &str) -> Result<String, Error> {
        Self::present(name, self.optional_string(name)?)
    }

    pub(crate) fn optional_string(&mut self, name: &str) -> Result<Option<String>, Error> {
        let Some(value) = self.typed(name, "string", b"\"")? else { return Ok(None) };
        let string = Decoder::new(value, &mut TextCache::empty()).string()?.into_owned();
        Ok(Some(string))
    }

    pub(crate) fn id(&mut self, name: &str) -> Result<String, Error> {
        Self::present(name, self.optional_id(name)?)
    }

    pub(crate) fn optional_id(&mut self, name: &str) -> Result<Option<String>, Error> {
        match self.optional_string(name)? {
            Some(id) if !is_id(&id) => {
                Err(Error::syntax(format!("expected <id> as member {name}, got {id:?}")))
            }
            id => Ok(id),
        }
    }

    /// Checks that nothing is left.
    pub(crate) fn finish(self) -> Result<(), Error> {
        match self.members.first() {
            None => Ok(()),
            Some((name, _)) => Err(Error::syntax(format!("member {name} is not expected here"))),
        }
    }
}

/// The JSON of each element of an array.
pub(crate) fn elements(text: &str) -> Result<Vec<&str>, Error> {
    let mut texts = TextCache::empty();
    let mut json = Decoder::new(text, &mut texts);
    let (mut elements, mut first) = (Vec::new(), true);
    json.begin_array()?;
    while json.next_element(&mut first)? {
        elements.push(part_of(text, json.raw_value()?));
    }
    json.end()?;
    Ok(elements)
}

/// `part`, a slice of `text`, with the lifetime of `text` instead of its decoder's.
fn part_of<'a>(text: &'a str, part: &str) -> &'a str {
    let start = part.as_ptr().addr() - text.as_ptr().addr();
    &text[start..start + part.len()]
}
