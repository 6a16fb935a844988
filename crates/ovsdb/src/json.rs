//! Pulling values out of JSON text, one at a time and without a tree, and writing strings into it (RFC 8259).
//!
//! The text has already been cut into one message and checked to be UTF-8 ([`crate::frame`]). The decoder checks the
//! grammar of what it reads; what is skipped is only checked to be balanced. Control characters inside strings are
//! accepted as they stand.

use std::borrow::Cow;
use std::fmt;

use kiln_types::Uuid;

use crate::column::Text;

/// Why a value could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The text is not JSON: the whole message is lost.
    #[error("expected {expected} at byte {at}")]
    Syntax {
        /// What the grammar asks for there.
        expected: &'static str,
        /// Byte offset in the message.
        at: usize,
    },
    /// A JSON value, but not one of this type.
    #[error("expected {expected}")]
    Type {
        /// The type that was asked for.
        expected: &'static str,
    },
}

/// A cursor over one JSON text.
pub struct Decoder<'a> {
    text: &'a str,
    pos: usize,
    texts: &'a mut TextCache,
}

impl fmt::Debug for Decoder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("pos", &self.pos).finish_non_exhaustive()
    }
}

impl<'a> Decoder<'a> {
    /// A decoder at the start of `text`; strings that recur are shared through `texts`.
    pub fn new(text: &'a str, texts: &'a mut TextCache) -> Self {
        Decoder { text, pos: 0, texts }
    }

    /// A second decoder at the same place, to look ahead or to descend; continue with [`Decoder::seek`].
    pub(crate) fn fork(&mut self) -> Decoder<'_> {
        Decoder { text: self.text, pos: self.pos, texts: self.texts }
    }

    /// Byte offset of the cursor.
    pub fn position(&self) -> usize {
        self.pos
    }

    pub(crate) fn seek(&mut self, pos: usize) {
        self.pos = pos;
    }

    /// The text between two offsets, cut to `max` bytes at most, for error messages.
    pub(crate) fn excerpt(&self, from: usize, to: usize, max: usize) -> &'a str {
        let text = self.text.get(from..to.max(from)).unwrap_or("");
        let mut end = text.len().min(max);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        &text[..end]
    }

    fn syntax<T>(&self, expected: &'static str) -> Result<T, DecodeError> {
        Err(DecodeError::Syntax { expected, at: self.pos })
    }

    /// The first byte of the next token, without consuming it.
    #[inline]
    pub fn peek(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.pos) {
                Some(b' ' | b'\t' | b'\n' | b'\r') => self.pos += 1,
                Some(&byte) => return Some(byte),
                None => return None,
            }
        }
    }

    /// Consumes `byte` if it comes next.
    #[inline]
    pub fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.pos += usize::from(found);
        found
    }

    #[inline]
    fn open(&mut self, byte: u8, expected: &'static str) -> Result<(), DecodeError> {
        match self.peek() {
            Some(found) if found == byte => {
                self.pos += 1;
                Ok(())
            }
            Some(_) => Err(DecodeError::Type { expected }),
            None => self.syntax(expected),
        }
    }

    /// Checks that nothing follows.
    pub fn end(&mut self) -> Result<(), DecodeError> {
        if self.peek().is_none() { Ok(()) } else { self.syntax("end of message") }
    }

    /// Enters an array.
    pub fn begin_array(&mut self) -> Result<(), DecodeError> {
        self.open(b'[', "array")
    }

    /// Whether another element follows; at the end, leaves the array. `first` starts true and is updated.
    #[inline]
    pub fn next_element(&mut self, first: &mut bool) -> Result<bool, DecodeError> {
        match self.peek() {
            Some(b']') => {
                self.pos += 1;
                Ok(false)
            }
            _ if *first => {
                *first = false;
                Ok(true)
            }
            Some(b',') => {
                self.pos += 1;
                Ok(true)
            }
            _ => self.syntax("',' or ']'"),
        }
    }

    /// Consumes the `]` that must come next.
    pub fn end_array(&mut self) -> Result<(), DecodeError> {
        if self.take(b']') { Ok(()) } else { self.syntax("']'") }
    }

    /// Consumes the `,` that must come next.
    pub fn comma(&mut self) -> Result<(), DecodeError> {
        if self.take(b',') { Ok(()) } else { self.syntax("','") }
    }

    /// Enters an object.
    pub fn begin_object(&mut self) -> Result<(), DecodeError> {
        self.open(b'{', "object")
    }

    /// The next member's name, with the cursor before its value; at the end, leaves the object. `first` starts true
    /// and is updated. A name written with escapes is returned as written: no OVSDB name (RFC 7047 section 3.1,
    /// `<id>`) needs any.
    #[inline]
    pub fn next_member(&mut self, first: &mut bool) -> Result<Option<&'a str>, DecodeError> {
        match self.peek() {
            Some(b'}') => {
                self.pos += 1;
                return Ok(None);
            }
            _ if *first => *first = false,
            Some(b',') => self.pos += 1,
            _ => return self.syntax("',' or '}'"),
        }
        if self.peek() != Some(b'"') {
            return self.syntax("a member's name");
        }
        let (name, _) = self.raw_string()?;
        if !self.take(b':') {
            return self.syntax("':'");
        }
        Ok(Some(name))
    }

    /// The string at the cursor between its quotes, and whether it holds escapes.
    #[inline]
    fn raw_string(&mut self) -> Result<(&'a str, bool), DecodeError> {
        self.open(b'"', "string")?;
        let start = self.pos;
        let bytes = self.text.as_bytes();
        let mut escaped = false;
        loop {
            match memchr::memchr2(b'"', b'\\', &bytes[self.pos..]) {
                Some(skip) if bytes[self.pos + skip] == b'"' => {
                    let end = self.pos + skip;
                    self.pos = end + 1;
                    return Ok((&self.text[start..end], escaped));
                }
                Some(skip) if self.pos + skip + 2 <= bytes.len() => {
                    escaped = true;
                    self.pos += skip + 2;
                }
                _ => {
                    self.pos = bytes.len();
                    return self.syntax("'\"'");
                }
            }
        }
    }

    /// A string.
    #[inline]
    pub fn string(&mut self) -> Result<Cow<'a, str>, DecodeError> {
        let (raw, escaped) = self.raw_string()?;
        if !escaped {
            return Ok(Cow::Borrowed(raw));
        }
        let end = self.pos;
        let quoted = &self.text[end - raw.len() - 2..end];
        match serde_json::from_str::<String>(quoted) {
            Ok(text) => Ok(Cow::Owned(text)),
            // serde_json refuses raw control characters, which are accepted here
            Err(_) => match unescape(raw) {
                Some(text) => Ok(Cow::Owned(text)),
                None => Err(DecodeError::Syntax { expected: "a valid escape", at: end - raw.len() - 2 }),
            },
        }
    }

    /// A string, shared with earlier equal ones while they are in the cache.
    #[inline]
    pub fn shared_text(&mut self) -> Result<Text, DecodeError> {
        match self.string()? {
            Cow::Borrowed(text) => Ok(self.texts.share(text)),
            Cow::Owned(text) => Ok(self.texts.share(&text)),
        }
    }

    /// The characters of a number.
    #[inline]
    fn number(&mut self, expected: &'static str) -> Result<&'a str, DecodeError> {
        match self.peek() {
            Some(b'-' | b'0'..=b'9') => {}
            Some(_) => return Err(DecodeError::Type { expected }),
            None => return self.syntax(expected),
        }
        let rest = &self.text.as_bytes()[self.pos..];
        let len = rest
            .iter()
            .position(|b| !matches!(b, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9'))
            .unwrap_or(rest.len());
        let number = &self.text[self.pos..self.pos + len];
        self.pos += len;
        Ok(number)
    }

    /// A 64-bit signed integer. Reals without a fraction are taken too, as stock does.
    #[inline]
    pub fn integer(&mut self) -> Result<i64, DecodeError> {
        let number = self.number("integer")?;
        if let Ok(value) = number.parse() {
            return Ok(value);
        }
        // 2^63 is exact as a real
        const LIMIT: f64 = (1u64 << 63) as f64;
        match number.parse::<f64>() {
            Ok(real) if real.fract() == 0.0 && (-LIMIT..LIMIT).contains(&real) => Ok(real as i64),
            _ => Err(DecodeError::Type { expected: "integer" }),
        }
    }

    /// A finite real.
    pub fn real(&mut self) -> Result<f64, DecodeError> {
        match self.number("real")?.parse::<f64>() {
            Ok(real) if real.is_finite() => Ok(real),
            _ => Err(DecodeError::Type { expected: "real" }),
        }
    }

    /// `true` or `false`.
    pub fn boolean(&mut self) -> Result<bool, DecodeError> {
        if self.word("true") {
            Ok(true)
        } else if self.word("false") {
            Ok(false)
        } else {
            Err(DecodeError::Type { expected: "boolean" })
        }
    }

    /// Consumes `null` if it comes next.
    pub fn null(&mut self) -> bool {
        self.word("null")
    }

    fn word(&mut self, word: &str) -> bool {
        self.peek();
        let found = self.text.as_bytes()[self.pos..].starts_with(word.as_bytes());
        self.pos += if found { word.len() } else { 0 };
        found
    }

    /// A string that is a uuid in its usual 36-character form.
    #[inline]
    pub fn uuid_string(&mut self) -> Result<Uuid, DecodeError> {
        let (raw, _) = self.raw_string()?;
        parse_uuid(raw).ok_or(DecodeError::Type { expected: "uuid" })
    }

    /// Passes over one value and returns its text.
    pub fn raw_value(&mut self) -> Result<&'a str, DecodeError> {
        self.peek();
        let start = self.pos;
        self.skip_value()?;
        Ok(&self.text[start..self.pos])
    }

    /// Passes over one value, checking only that brackets balance and strings end.
    pub fn skip_value(&mut self) -> Result<(), DecodeError> {
        let bytes = self.text.as_bytes();
        let mut depth = 0usize;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.raw_string()?;
                }
                Some(b'{' | b'[') => {
                    depth += 1;
                    self.pos += 1;
                    continue;
                }
                Some(b'}' | b']') if depth > 0 => {
                    depth -= 1;
                    self.pos += 1;
                }
                Some(b',' | b':') if depth > 0 => {
                    self.pos += 1;
                    continue;
                }
                Some(b'-' | b'0'..=b'9' | b'a'..=b'z') => {
                    while bytes
                        .get(self.pos)
                        .is_some_and(|b| matches!(b, b'-' | b'+' | b'.' | b'E' | b'0'..=b'9' | b'a'..=b'z'))
                    {
                        self.pos += 1;
                    }
                }
                _ => return self.syntax("a value"),
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }
}

/// Resolves the escapes of a string's inside; `None` if one is not valid or a surrogate stands alone.
fn unescape(raw: &str) -> Option<String> {
    let mut quoted = String::with_capacity(raw.len() + 2);
    quoted.push('"');
    for c in raw.chars() {
        if c < ' ' {
            quoted.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            quoted.push(c);
        }
    }
    quoted.push('"');
    serde_json::from_str(&quoted).ok()
}

pub(crate) fn parse_uuid(text: &str) -> Option<Uuid> {
    // `uuid` takes other spellings too; OVSDB has only this one (RFC 7047 section 3.1)
    if text.len() == 36 { Uuid::try_parse_ascii(text.as_bytes()).ok() } else { None }
}

/// Appends `text` as a JSON string.
pub fn write_string(out: &mut String, text: &str) {
    out.reserve(text.len() + 2);
    out.push('"');
    let mut rest = text;
    while let Some(at) = first_special(rest.as_bytes()) {
        out.push_str(&rest[..at]);
        write_escape(out, rest.as_bytes()[at]);
        rest = &rest[at + 1..];
    }
    out.push_str(rest);
    out.push('"');
}

/// Where the first byte is that no string may hold as it is: a quote, a backslash or a control character.
fn first_special(bytes: &[u8]) -> Option<usize> {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const TOPS: u64 = ONES << 7;
    // The top bit of each byte that is less than `than`, as far as none below it is: what borrows is reported already.
    let less = |word: u64, than: u8| word.wrapping_sub(ONES * u64::from(than)) & !word & TOPS;
    let mut words = bytes.chunks_exact(8);
    let mut at = 0;
    for word in &mut words {
        let word = u64::from_le_bytes(word.try_into().unwrap_or_default());
        let quote = less(word ^ (ONES * u64::from(b'"')), 1);
        let backslash = less(word ^ (ONES * u64::from(b'\\')), 1);
        let special = less(word, 0x20) | quote | backslash;
        if special != 0 {
            return Some(at + special.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..0x20);
    words.remainder().iter().position(special).map(|skip| at + skip)
}

fn write_escape(out: &mut String, byte: u8) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    match byte {
        b'"' => out.push_str("\\\""),
        b'\\' => out.push_str("\\\\"),
        b'\n' => out.push_str("\\n"),
        b'\r' => out.push_str("\\r"),
        b'\t' => out.push_str("\\t"),
        _ => {
            out.push_str("\\u00");
            out.push(char::from(HEX[usize::from(byte >> 4)]));
            out.push(char::from(HEX[usize::from(byte & 15)]));
        }
    }
}

/// Appends an integer.
pub fn write_integer(out: &mut String, value: i64) {
    out.push_str(itoa::Buffer::new().format(value));
}

/// Recently seen short strings, so that equal ones share one allocation: map keys, pipelines, stage names.
///
/// A direct-mapped table of fixed size: no growth, no eviction order, the same result for the same input.
#[derive(Clone)]
pub struct TextCache {
    slots: Box<[Option<Text>]>,
}

impl fmt::Debug for TextCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TextCache").finish_non_exhaustive()
    }
}

impl Default for TextCache {
    fn default() -> Self {
        TextCache { slots: vec![None; TextCache::SLOTS].into_boxed_slice() }
    }
}

impl TextCache {
    const SLOTS: usize = 1 << 12;
    /// Longer strings are mostly unique.
    const MAX_LEN: usize = 64;

    /// A cache that keeps nothing, for reading what holds no columns.
    pub fn empty() -> Self {
        TextCache { slots: Box::default() }
    }

    /// Forgets all strings, so that they do not outlive their rows.
    pub fn clear(&mut self) {
        self.slots.fill(None);
    }

    /// The cached string equal to `text`, or a new one.
    #[inline]
    pub fn share(&mut self, text: &str) -> Text {
        if text.len() > Self::MAX_LEN || self.slots.is_empty() {
            return Text::from(text);
        }
        let slot = &mut self.slots[hash(text) & (Self::SLOTS - 1)];
        match slot {
            Some(known) if **known == *text => Text::clone(known),
            _ => {
                let new = Text::from(text);
                *slot = Some(Text::clone(&new));
                new
            }
        }
    }
}

#[inline]
fn hash(text: &str) -> usize {
    const K: u64 = 0xf135_7aea_2e62_a9c5;
    let mut h = text.len() as u64;
    let mut chunks = text.as_bytes().chunks_exact(8);
    for chunk in &mut chunks {
        let word = u64::from_le_bytes(chunk.try_into().unwrap_or_default());
        h = (h.rotate_left(5) ^ word).wrapping_mul(K);
    }
    for &byte in chunks.remainder() {
        h = (h.rotate_left(5) ^ u64::from(byte)).wrapping_mul(K);
    }
    (h >> 40) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-1e9f64..1e9).prop_map(Value::from),
            "[a-z\"\\\\{}\\[\\]é\n ]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map("[a-z]{1,3}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    /// Rebuilds a tree out of pulled values, to be compared with what was written.
    fn pull(json: &mut Decoder<'_>) -> Result<Value, DecodeError> {
        let mut first = true;
        match json.peek() {
            Some(b'{') => {
                let mut object = serde_json::Map::new();
                json.begin_object()?;
                while let Some(name) = json.next_member(&mut first)? {
                    object.insert(name.to_owned(), pull(json)?);
                }
                Ok(Value::Object(object))
            }
            Some(b'[') => {
                let mut array = Vec::new();
                json.begin_array()?;
                while json.next_element(&mut first)? {
                    array.push(pull(json)?);
                }
                Ok(Value::Array(array))
            }
            Some(b'"') => json.string().map(|text| Value::from(text.into_owned())),
            Some(b't' | b'f') => json.boolean().map(Value::from),
            Some(b'n') if json.null() => Ok(Value::Null),
            _ => {
                let start = json.position();
                json.integer().map(Value::from).or_else(|_| {
                    json.seek(start);
                    json.real().map(Value::from)
                })
            }
        }
    }

    #[test]
    fn recurring_strings_are_shared() {
        let mut texts = TextCache::default();
        let (a, b) = (texts.share("stage-name"), texts.share("stage-name"));
        assert!(Text::ptr_eq(&a, &b));
        let long = "x".repeat(1000);
        assert_eq!(*texts.share(&long), *long);
        assert_eq!(&*TextCache::empty().share("a"), "a");
    }

    #[test]
    fn raw_control_characters_are_taken() {
        let mut texts = TextCache::empty();
        assert_eq!(Decoder::new("\"a\tb\"", &mut texts).string().unwrap(), "a\tb");
        assert_eq!(Decoder::new("\"a\t\\u0062\"", &mut texts).string().unwrap(), "a\tb");
    }

    proptest! {
        #[test]
        fn serde_json_reads_what_is_written(text in "([ -~é€]|[\"\\\\\u{0}-\u{1f}\u{7f}\u{80}]){0,40}") {
            let mut out = String::new();
            write_string(&mut out, &text);
            prop_assert!(out.bytes().all(|byte| byte >= b' '));
            prop_assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }

        #[test]
        fn reads_what_serde_json_writes(value in value(), pretty in any::<bool>()) {
            let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) }.unwrap();
            let mut texts = TextCache::default();
            let mut json = Decoder::new(&text, &mut texts);
            let pulled = pull(&mut json).unwrap();
            json.end().unwrap();
            // integral reals come back as integers
            prop_assert_eq!(pulled.to_string().replace(".0", ""), value.to_string().replace(".0", ""));

            let wrapped = json!([value, 7]).to_string();
            let mut json = Decoder::new(&wrapped, &mut texts);
            json.begin_array().unwrap();
            prop_assert_eq!(json.raw_value().unwrap(), value.to_string());
            json.comma().unwrap();
            prop_assert_eq!(json.integer(), Ok(7));
        }

        #[test]
        fn garbage_ends(text in "[\\[\\]{}\",:\\\\a1 nu.-]{0,30}") {
            let mut texts = TextCache::default();
            let pulled = pull(&mut Decoder::new(&text, &mut texts));
            if pulled.is_ok() && serde_json::from_str::<Value>(&text).is_ok() {
                prop_assert!(Decoder::new(&text, &mut texts).skip_value().is_ok());
            }
            let _ = Decoder::new(&text, &mut texts).skip_value();
        }
    }
}
