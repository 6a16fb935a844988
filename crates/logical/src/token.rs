//! Tokens of the language (ovn-sb(5), Logical_Flow, match: Constants, Miscellaneous).

use crate::constant::Constant;
use std::borrow::Cow;
use std::fmt;

/// Punctuation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is its text")]
pub enum Op {
    LParen,
    RParen,
    LBrace,
    RBrace,
    LSquare,
    RSquare,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Not,
    And,
    Or,
    Ellipsis,
    Comma,
    Semicolon,
    Assign,
    Exchange,
    Decrement,
    Increment,
    Colon,
    Hyphen,
}

impl Op {
    /// As it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Op::LParen => "(",
            Op::RParen => ")",
            Op::LBrace => "{",
            Op::RBrace => "}",
            Op::LSquare => "[",
            Op::RSquare => "]",
            Op::Eq => "==",
            Op::Ne => "!=",
            Op::Lt => "<",
            Op::Le => "<=",
            Op::Gt => ">",
            Op::Ge => ">=",
            Op::Not => "!",
            Op::And => "&&",
            Op::Or => "||",
            Op::Ellipsis => "..",
            Op::Comma => ",",
            Op::Semicolon => ";",
            Op::Assign => "=",
            Op::Exchange => "<->",
            Op::Decrement => "--",
            Op::Increment => "++",
            Op::Colon => ":",
            Op::Hyphen => "-",
        }
    }
}

/// One token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token<'a> {
    /// The end of the text.
    End,
    /// A name.
    Id(&'a str),
    /// A quoted string, its escapes resolved.
    Str(Cow<'a, str>),
    /// An integer.
    Int(Constant),
    /// `$name`: an address set.
    AddressSet(&'a str),
    /// `@name`: a port group.
    PortGroup(&'a str),
    /// `^name`: a template variable that nobody replaced.
    Template(&'a str),
    /// Punctuation.
    Op(Op),
}

impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Token::End => Ok(()),
            Token::Id(name) => f.write_str(name),
            Token::Str(text) => write_quoted(f, text),
            Token::Int(constant) => constant.fmt(f),
            Token::AddressSet(name) => write!(f, "${name}"),
            Token::PortGroup(name) => write!(f, "@{name}"),
            Token::Template(name) => write!(f, "^{name}"),
            Token::Op(op) => f.write_str(op.as_str()),
        }
    }
}

/// Writes a string as JSON does.
pub(crate) fn write_quoted(f: &mut impl fmt::Write, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            '\u{8}' => f.write_str("\\b")?,
            '\u{c}' => f.write_str("\\f")?,
            '\n' => f.write_str("\\n")?,
            '\r' => f.write_str("\\r")?,
            '\t' => f.write_str("\\t")?,
            c if (c as u32) < 0x20 => write!(f, "\\u{:04x}", c as u32)?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}
