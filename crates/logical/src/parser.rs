//! What the parsers of expressions and of actions share: one token of look-ahead, fields, constants.

use crate::constant::{Constant, Format};
use crate::env::{AddressSet, Environment};
use crate::error::{Error, shown};
use crate::expr::Names;
use crate::field::Level;
use crate::lex::Lexer;
use crate::symbol::{FieldRef, SymbolId};
use crate::token::{Op, Token};
use std::borrow::Cow;
use std::sync::Arc;

/// The most members of sets that one text may copy together.
const MAX_SET_MEMBERS: usize = 1 << 20;

/// What stands where constants may stand.
#[derive(Debug)]
pub(crate) enum Constants<'a> {
    /// Integers.
    Numbers(Numbers),
    /// Strings.
    Names(Names<'a>),
}

impl Constants<'_> {
    fn len(&self) -> usize {
        match self {
            Constants::Numbers(numbers) => numbers.as_slice().len(),
            Constants::Names(names) => names.len(),
        }
    }
}

#[derive(Debug)]
pub(crate) enum Numbers {
    One(Constant),
    /// In braces.
    Many(Vec<Constant>),
    /// The members of an address set, which may stand in braces by itself.
    Set {
        set: Arc<AddressSet>,
        braced: bool,
    },
}

pub(crate) struct Parser<'a, 'e> {
    lexer: Lexer<'a>,
    pub(crate) token: Token<'a>,
    pub(crate) column: usize,
    pub(crate) env: &'e dyn Environment,
    set_members: usize,
}

impl<'a, 'e> Parser<'a, 'e> {
    pub(crate) fn new(text: &'a str, env: &'e dyn Environment) -> Result<Self, Error> {
        let mut lexer = Lexer::new(text);
        let (token, column) = lexer.next_token()?;
        Ok(Parser { lexer, token, column, env, set_members: 0 })
    }

    /// Goes to the next token and returns the one before it.
    pub(crate) fn take(&mut self) -> Result<Token<'a>, Error> {
        let (token, column) = self.lexer.next_token()?;
        self.column = column;
        Ok(std::mem::replace(&mut self.token, token))
    }

    pub(crate) fn at(&self, op: Op) -> bool {
        matches!(self.token, Token::Op(here) if here == op)
    }

    /// Takes `op` if it stands here.
    pub(crate) fn accept(&mut self, op: Op) -> Result<bool, Error> {
        let here = self.at(op);
        if here {
            self.take()?;
        }
        Ok(here)
    }

    pub(crate) fn expect(&mut self, op: Op) -> Result<(), Error> {
        if self.accept(op)? { Ok(()) } else { Err(self.expected(&format!("`{}'", op.as_str()))) }
    }

    /// Takes the word `id` if it stands here.
    pub(crate) fn accept_id(&mut self, id: &str) -> Result<bool, Error> {
        let here = matches!(self.token, Token::Id(here) if here == id);
        if here {
            self.take()?;
        }
        Ok(here)
    }

    /// That something else should stand here.
    #[cold]
    pub(crate) fn expected(&self, what: &str) -> Error {
        let message = match &self.token {
            Token::End => format!("expected {what}, found the end of the text"),
            token => format!("expected {what}, found `{}'", shown(&token.to_string())),
        };
        Error::new(self.column, message)
    }

    #[cold]
    pub(crate) fn error(&self, message: String) -> Error {
        Error::new(self.column, message)
    }

    pub(crate) fn end(&self) -> Result<(), Error> {
        if matches!(self.token, Token::End) { Ok(()) } else { Err(self.expected("the end of the text")) }
    }

    pub(crate) fn small_integer(&mut self) -> Result<u16, Error> {
        self.integer_up_to(u64::from(u16::MAX), "a small integer").map(|v| v as u16)
    }

    /// An unmasked integer in decimal, of at most `max`.
    pub(crate) fn integer_up_to(&mut self, max: u64, what: &str) -> Result<u64, Error> {
        match &self.token {
            Token::Int(c) if c.format == Format::Decimal => self.number_up_to(max, what),
            _ => Err(self.expected(what)),
        }
    }

    /// An unmasked integer in decimal or hexadecimal, of at most `max`.
    pub(crate) fn number_up_to(&mut self, max: u64, what: &str) -> Result<u64, Error> {
        match &self.token {
            Token::Int(c) if c.mask.is_none() && c.format.width().is_none() && c.value <= u128::from(max) => {
                let value = c.value as u64;
                self.take()?;
                Ok(value)
            }
            _ => Err(self.expected(what)),
        }
    }

    pub(crate) fn string(&mut self, what: &str) -> Result<Cow<'a, str>, Error> {
        if !matches!(self.token, Token::Str(_)) {
            return Err(self.expected(what));
        }
        match self.take()? {
            Token::Str(text) => Ok(text),
            _ => Ok(Cow::Borrowed("")),
        }
    }

    /// A symbol and perhaps a run of its bits.
    pub(crate) fn field(&mut self) -> Result<FieldRef, Error> {
        let Token::Id(name) = self.token else { return Err(self.expected("a field name")) };
        let Some(symbol) = SymbolId::lookup(name) else { return Err(self.expected("a field name")) };
        self.take()?;
        if self.accept(Op::LSquare)? { self.bits(symbol) } else { Ok(FieldRef::whole(symbol)) }
    }

    /// After the opening bracket.
    fn bits(&mut self, id: SymbolId) -> Result<FieldRef, Error> {
        let column = self.column;
        let symbol = id.get();
        let first = self.small_integer()?;
        let last = if self.accept(Op::Ellipsis)? { self.small_integer()? } else { first };
        self.expect(Op::RSquare)?;
        let name = symbol.name;
        if symbol.is_string() {
            return Err(Error::new(column, format!("cannot select bits of string field {name}")));
        }
        if first > last {
            return Err(Error::new(
                column,
                format!("expected bits in rising order, found {first} to {last}"),
            ));
        }
        let width = symbol.width;
        if last >= u16::from(width) {
            let message = format!("cannot select bits {first} to {last} of {width}-bit field {name}");
            return Err(Error::new(column, message));
        }
        let field = FieldRef { symbol: id, first: first as u8, len: (last - first + 1) as u8 };
        if symbol.level == Level::Nominal && field.len != width {
            return Err(Error::new(
                column,
                format!("cannot select bits of {} field {name}", symbol.level.name()),
            ));
        }
        Ok(field)
    }

    /// A constant, a set by name, or several of them in braces.
    pub(crate) fn constants(&mut self) -> Result<Constants<'a>, Error> {
        if !self.accept(Op::LBrace)? {
            return self.constant();
        }
        if self.at(Op::RBrace) {
            return Err(self.expected("a constant"));
        }
        let mut all = self.constant()?;
        self.accept(Op::Comma)?;
        while !self.accept(Op::RBrace)? {
            let column = self.column;
            let next = self.constant()?;
            all = self.join(all, next, column)?;
            self.accept(Op::Comma)?;
        }
        self.set_members += all.len();
        Ok(match all {
            Constants::Numbers(Numbers::One(one)) => Constants::Numbers(Numbers::Many(vec![one])),
            Constants::Numbers(Numbers::Set { set, .. }) => {
                Constants::Numbers(Numbers::Set { set, braced: true })
            }
            other => other,
        })
    }

    fn constant(&mut self) -> Result<Constants<'a>, Error> {
        let constants = match &self.token {
            Token::Int(constant) => Constants::Numbers(Numbers::One(*constant)),
            Token::Str(text) => Constants::Names(Names::One(text.clone())),
            Token::AddressSet(name) => match self.env.address_set(name) {
                Some(set) => Constants::Numbers(Numbers::Set { set, braced: false }),
                None => return Err(self.expected("the name of an address set")),
            },
            Token::PortGroup(name) => match self.env.port_group(name) {
                Some(group) => Constants::Names(Names::Group(group)),
                None => return Err(self.expected("the name of a port group")),
            },
            Token::Template(_) => return Err(self.expected("a value for the template variable")),
            _ => return Err(self.expected("a constant")),
        };
        self.take()?;
        Ok(constants)
    }

    fn join(&mut self, a: Constants<'a>, b: Constants<'a>, column: usize) -> Result<Constants<'a>, Error> {
        let joined = match (a, b) {
            (Constants::Numbers(a), Constants::Numbers(b)) => Constants::Numbers(Numbers::Many(a.join(&b))),
            (Constants::Names(a), Constants::Names(b)) => Constants::Names(join_names(a, &b)),
            (Constants::Numbers(_), Constants::Names(_)) => {
                return Err(Error::new(column, "expected an integer beside integers, found a string"));
            }
            (Constants::Names(_), Constants::Numbers(_)) => {
                return Err(Error::new(column, "expected a string beside strings, found an integer"));
            }
        };
        if joined.len() > MAX_SET_MEMBERS.saturating_sub(self.set_members) {
            let message = format!("expected at most {MAX_SET_MEMBERS} members of sets in one text");
            return Err(Error::new(column, message));
        }
        Ok(joined)
    }
}

impl Numbers {
    fn join(self, other: &Numbers) -> Vec<Constant> {
        let mut all = match self {
            Numbers::Many(all) => all,
            Numbers::One(one) => vec![one],
            Numbers::Set { set, .. } => set.constants().to_vec(),
        };
        all.extend_from_slice(other.as_slice());
        all
    }

    pub(crate) fn as_slice(&self) -> &[Constant] {
        match self {
            Numbers::One(one) => std::slice::from_ref(one),
            Numbers::Many(all) => all,
            Numbers::Set { set, .. } => set.constants(),
        }
    }
}

fn join_names<'a>(a: Names<'a>, b: &Names<'a>) -> Names<'a> {
    let mut all = a.into_vec();
    match b {
        Names::One(name) => all.push(name.clone()),
        Names::Group(group) => all.extend(group.iter().map(|name| Cow::Owned(name.to_string()))),
        Names::Many(names) => all.extend(names.iter().cloned()),
    }
    Names::Many(all)
}

impl<'a> Names<'a> {
    pub(crate) fn into_vec(self) -> Vec<Cow<'a, str>> {
        match self {
            Names::One(name) => vec![name],
            Names::Group(group) => group.iter().map(|name| Cow::Owned(name.to_string())).collect(),
            Names::Many(names) => names,
        }
    }
}
