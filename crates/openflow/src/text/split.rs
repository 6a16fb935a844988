//! Cutting text at separators that are not inside brackets.

use super::{ParseError, Result};

/// The parts between the separators that stand outside brackets. Empty text has no parts.
pub(super) fn top_level(text: &str, separator: impl Fn(char) -> bool) -> Result<Vec<&str>> {
    let mut parts = Vec::new();
    let mut open = Vec::new();
    let mut from = 0;
    for (at, c) in text.char_indices() {
        match c {
            '(' => open.push(')'),
            '[' => open.push(']'),
            '{' => open.push('}'),
            ')' | ']' | '}' if open.pop() != Some(c) => {
                return Err(ParseError::new(text, "brackets that match"));
            }
            c if open.is_empty() && separator(c) => {
                parts.push(text[from..at].trim());
                from = at + c.len_utf8();
            }
            _ => {}
        }
    }
    if !open.is_empty() {
        return Err(ParseError::new(text, "brackets that match"));
    }
    let last = text[from..].trim();
    if !last.is_empty() || !parts.is_empty() {
        parts.push(last);
    }
    Ok(parts)
}

/// The parts between commas; empty ones are refused.
pub(super) fn list(text: &str) -> Result<Vec<&str>> {
    let parts = top_level(text, |c| c == ',')?;
    if parts.iter().any(|p| p.is_empty()) {
        return Err(ParseError::new(text, "something between commas"));
    }
    Ok(parts)
}

/// What is inside a pair of parentheses that spans the text.
pub(super) fn in_parens(text: &str) -> Option<&str> {
    text.trim().strip_prefix('(')?.strip_suffix(')')
}

/// A name, and what follows it with the character in between: `resubmit` and `(,8)`, `output` and `:5`.
pub(super) fn name_and_rest(text: &str) -> (&str, &str) {
    let at = text.find([':', '(', '=']).unwrap_or(text.len());
    (text[..at].trim(), text[at..].trim())
}

/// A name and its argument, which follows a colon or an equals sign, or stands in parentheses. Without any of these,
/// the argument is empty.
pub(super) fn name_and_arg(text: &str) -> (&str, &str) {
    let (name, rest) = name_and_rest(text);
    let arg = match rest.strip_prefix([':', '=']) {
        Some(arg) => arg.trim(),
        None => in_parens(rest).unwrap_or(rest),
    };
    (name, arg)
}
