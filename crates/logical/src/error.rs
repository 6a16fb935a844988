//! What is wrong with a text in the language.

use std::borrow::Cow;

/// A text that is not in the language, or that the language gives no meaning. Always the author's fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {message}")]
pub struct Error {
    /// Where, counted in bytes from 1.
    pub column: usize,
    /// What was expected and what came, in the author's words.
    pub message: Cow<'static, str>,
}

impl Error {
    #[cold]
    pub(crate) fn new(column: usize, message: impl Into<Cow<'static, str>>) -> Self {
        Error { column, message: message.into() }
    }
}

/// The most bytes of a text that an error repeats.
const MAX_SHOWN: usize = 64;

/// As much of a text as an error repeats.
pub(crate) fn shown(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_SHOWN {
        return Cow::Borrowed(text);
    }
    let end = (0..=MAX_SHOWN).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    Cow::Owned(format!("{}…", &text[..end]))
}

/// An expression that multiplies out to more than any flow that means something. It is the text as a whole that is too much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column 1: expected an expression of at most {limit} {what}, found more")]
pub struct TooComplex {
    /// The bound that was reached.
    pub limit: usize,
    /// What it bounds.
    pub what: &'static str,
}

/// How many steps may still be taken for one expression.
#[derive(Clone, Debug)]
pub struct Work {
    left: usize,
}

/// The steps that one expression may take: values looked at while sets are combined, alternatives multiplied out.
pub const MAX_WORK: usize = 1 << 24;

impl Default for Work {
    fn default() -> Self {
        Work { left: MAX_WORK }
    }
}

impl Work {
    /// Takes `steps` off what is left for something that can be left undone, if as many are left then.
    pub(crate) fn spare(&mut self, steps: usize) -> bool {
        let enough = steps <= self.left / 2;
        if enough {
            self.left -= steps;
        }
        enough
    }

    /// Takes `steps` off what is left.
    pub fn charge(&mut self, steps: usize) -> Result<(), TooComplex> {
        match self.left.checked_sub(steps) {
            Some(left) => {
                self.left = left;
                Ok(())
            }
            None => Err(TooComplex { limit: MAX_WORK, what: "steps when it is multiplied out" }),
        }
    }
}
