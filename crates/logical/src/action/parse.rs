//! Text to actions: statements, assignments, `next`, nesting.

use super::{Action, Actions, Lb, Nat, Nested, Next, Pipeline, Place, Plain, Prerequisite};
use crate::constant::Constant;
use crate::env::Environment;
use crate::error::Error;
use crate::field::{OvnField, Writable};
use crate::lex::Lexer;
use crate::parser::{Constants, Numbers, Parser};
use crate::symbol::{FieldRef, Kind, SYMBOLS, SymbolId};
use crate::token::{Op, Token};
use smallvec::SmallVec;

/// How deep nested actions may go.
const MAX_DEPTH: u32 = 32;

/// The smallest MTU that a link for IPv4 may have (RFC 791, section 3.2).
const MTU_MIN: u16 = 68;

/// Reads a flow's actions.
pub fn parse<'a>(text: &'a str, place: Place, env: &dyn Environment) -> Result<Actions<'a>, Error> {
    let mut parser = ActionParser {
        p: Parser::new(text, env)?,
        place,
        prerequisites: SmallVec::new(),
        in_ct_commit: false,
        depth: 0,
    };
    let list = parser.block(&Token::End)?;
    Ok(Actions { text, list, prerequisites: parser.prerequisites })
}

/// The column in `text`, which has been read, of its `statement`-th statement, from 0; of the value of an option there if one is
/// named.
pub(super) fn column_of(text: &str, statement: usize, option: Option<&str>) -> usize {
    let mut lexer = Lexer::new(text);
    let (mut at, mut depth, mut start) = (0, 0, None);
    let (mut named, mut assigned) = (false, false);
    while let Ok((token, column)) = lexer.next_token() {
        match token {
            Token::End => break,
            Token::Op(Op::LBrace | Op::LParen) => depth += 1,
            Token::Op(Op::RBrace | Op::RParen) => depth -= 1,
            _ => {}
        }
        if at == statement {
            if assigned {
                return column;
            }
            start.get_or_insert(column);
            assigned = named && token == Token::Op(Op::Assign);
            named = matches!(token, Token::Id(name) if Some(name) == option);
        }
        at += usize::from(depth == 0 && token == Token::Op(Op::Semicolon));
    }
    start.unwrap_or(1)
}

pub(super) struct ActionParser<'a, 'e> {
    pub(super) p: Parser<'a, 'e>,
    pub(super) place: Place,
    prerequisites: SmallVec<[Prerequisite; 4]>,
    in_ct_commit: bool,
    depth: u32,
}

impl<'a> ActionParser<'a, '_> {
    /// Statements up to `end`. `drop;` may only stand alone.
    fn block(&mut self, end: &Token<'_>) -> Result<Vec<Action<'a>>, Error> {
        let mut list = Vec::new();
        if self.p.accept_id("drop")? {
            self.p.expect(Op::Semicolon)?;
        } else {
            while self.p.token != *end {
                let action = self.statement()?;
                list.push(action);
            }
        }
        if self.p.token == *end {
            Ok(list)
        } else {
            Err(self.p.expected(if *end == Token::End { "the end of the text after `drop;'" } else { "`}'" }))
        }
    }

    fn statement(&mut self) -> Result<Action<'a>, Error> {
        let Token::Id(name) = self.p.token else { return Err(self.p.expected("an action")) };
        let action = match self.named(name)? {
            Some(action) => action,
            None if SymbolId::lookup(name).is_some() => self.assignment()?,
            None => return Err(self.p.expected("an action")),
        };
        self.p.expect(Op::Semicolon)?;
        Ok(action)
    }

    /// An action that begins with its name.
    fn named(&mut self, name: &str) -> Result<Option<Action<'a>>, Error> {
        if let Some(plain) = Plain::from_name(name) {
            return self.plain(plain).map(Some);
        }
        if let Some(nested) = Nested::from_name(name) {
            return self.nested(nested).map(Some);
        }
        if let Some(nat) = Nat::from_name(name) {
            self.p.take()?;
            return self.ct_nat(nat).map(Some);
        }
        if let Some(lb) = Lb::from_name(name) {
            self.p.take()?;
            return self.ct_lb(lb).map(Some);
        }
        let action: fn(&mut Self) -> Result<Action<'a>, Error> = match name {
            "next" => Self::next,
            "ct_next" => Self::ct_next,
            "ct_commit" => Self::ct_commit,
            "ct_commit_to_zone" => Self::ct_commit_to_zone,
            "ct_commit_nat" => Self::ct_commit_nat,
            "push" => Self::push,
            "pop" => Self::pop,
            "get_arp" => Self::get_arp,
            "get_nd" => Self::get_nd,
            "put_arp" => Self::put_arp,
            "put_nd" => Self::put_nd,
            "put_fdb" => Self::put_fdb,
            "set_queue" => Self::set_queue,
            "fragment" => Self::fragment,
            "set_meter" => Self::set_meter,
            "log" => Self::log,
            "trigger_event" => Self::trigger_event,
            "bind_vport" => Self::bind_vport,
            "handle_svc_check" => Self::handle_svc_check,
            "fwd_group" => Self::fwd_group,
            "commit_ecmp_nh" => Self::commit_ecmp_nh,
            "commit_lb_aff" => Self::commit_lb_aff,
            "sample" => Self::sample,
            "mirror" => Self::mirror,
            _ => return Ok(None),
        };
        self.p.take()?;
        action(self).map(Some)
    }

    fn plain(&mut self, plain: Plain) -> Result<Action<'a>, Error> {
        self.p.take()?;
        if plain == Plain::HandleBfdMsg {
            self.p.expect(Op::LParen)?;
            self.p.expect(Op::RParen)?;
        }
        Ok(Action::Plain(plain))
    }

    fn nested(&mut self, nested: Nested) -> Result<Action<'a>, Error> {
        self.p.take()?;
        let list = if nested == Nested::Clone { self.braces()? } else { self.made()? };
        let needed = match nested {
            Nested::Clone | Nested::Reject => None,
            Nested::Arp | Nested::NdNs => Some("ip"),
            Nested::NdNa | Nested::NdNaRouter => Some("nd_ns"),
            Nested::Icmp4 | Nested::Icmp4Error => Some("ip4"),
            Nested::Icmp6 | Nested::Icmp6Error => Some("ip6"),
            Nested::TcpReset => Some("tcp"),
            Nested::SctpAbort => Some("sctp"),
        };
        if let Some(needed) = needed {
            self.need(needed);
        }
        Ok(Action::Nested(nested, list))
    }

    /// `fragment(mtu) { … }`.
    fn fragment(&mut self) -> Result<Action<'a>, Error> {
        self.p.expect(Op::LParen)?;
        let column = self.p.column;
        let mtu = self.u16("an MTU in bytes")?;
        if mtu < MTU_MIN {
            return Err(Error::new(column, format!("expected an MTU of {MTU_MIN} or more, found {mtu}")));
        }
        self.p.expect(Op::RParen)?;
        let error = self.made()?;
        self.need("ip4");
        Ok(Action::Fragment { mtu, error })
    }

    /// `{ … }`, to run on a packet that is made: what its actions need says nothing about the packet that the flow matches.
    fn made(&mut self) -> Result<Vec<Action<'a>>, Error> {
        let outer = self.prerequisites.clone();
        let list = self.braces()?;
        self.prerequisites = outer;
        Ok(list)
    }

    /// `{ … }`.
    fn braces(&mut self) -> Result<Vec<Action<'a>>, Error> {
        if self.depth >= MAX_DEPTH {
            return Err(self.p.error(format!("actions nested more than {MAX_DEPTH} deep")));
        }
        self.p.expect(Op::LBrace)?;
        self.depth += 1;
        let list = self.block(&Token::Op(Op::RBrace))?;
        self.depth -= 1;
        self.p.expect(Op::RBrace)?;
        Ok(list)
    }

    /// `{ … }` after `ct_commit`, where the connection's mark and label can be assigned to, and nothing else.
    pub(super) fn ct_commit_block(&mut self) -> Result<Vec<Action<'a>>, Error> {
        let outer = std::mem::replace(&mut self.in_ct_commit, true);
        let list = self.braces();
        self.in_ct_commit = outer;
        list
    }

    /// That the one-bit symbol must hold, which some field needs as well.
    pub(super) fn need(&mut self, name: &str) {
        debug_assert!(SYMBOLS.iter().any(|symbol| symbol.prerequisite == Some(name)), "{name}");
        if let Some(symbol) = SymbolId::lookup(name) {
            self.prerequisites.push(Prerequisite { symbol, of_field: false });
        }
    }

    /// That what the field needs must hold.
    fn need_of(&mut self, field: FieldRef) {
        if let Some(symbol) = field.symbol.prerequisite() {
            self.prerequisites.push(Prerequisite { symbol, of_field: true });
        }
    }

    fn following_table(&mut self) -> Result<u8, Error> {
        let table = self.place.table + 1;
        self.check_table(self.place.pipeline, u64::from(table))
    }

    /// For actions that go on to the next table: that there is one.
    pub(super) fn goes_on(&mut self, action: &str) -> Result<(), Error> {
        match self.following_table() {
            Ok(_) => Ok(()),
            Err(error) => {
                Err(Error::new(error.column, format!("`{action}' cannot go beyond the last table")))
            }
        }
    }

    fn check_table(&mut self, pipeline: Pipeline, table: u64) -> Result<u8, Error> {
        let tables = self.place.tables(pipeline);
        if table < u64::from(tables) {
            return Ok(table as u8);
        }
        let message =
            format!("expected a table below {tables} in the {} pipeline, found {table}", pipeline.as_str());
        Err(self.p.error(message))
    }

    /// `next;`, `next(table);`, `next(pipeline=…, table=…);`.
    fn next(&mut self) -> Result<Action<'a>, Error> {
        let here = self.place.pipeline;
        if !self.p.accept(Op::LParen)? {
            self.following_table()?;
            return Ok(Action::Next(Next::Following));
        }
        let (mut pipeline, mut table) = (here, u64::from(self.place.table) + 1);
        if let Token::Int(_) = self.p.token {
            table = self.p.integer_up_to(255, "a table number")?;
        } else {
            loop {
                if self.p.accept_id("pipeline")? {
                    self.p.expect(Op::Assign)?;
                    pipeline = if self.p.accept_id("ingress")? {
                        Pipeline::Ingress
                    } else if self.p.accept_id("egress")? {
                        Pipeline::Egress
                    } else {
                        return Err(self.p.expected("`ingress' or `egress'"));
                    };
                } else if self.p.accept_id("table")? {
                    self.p.expect(Op::Assign)?;
                    table = self.p.integer_up_to(255, "a table number")?;
                } else {
                    return Err(self.p.expected("`pipeline' or `table'"));
                }
                if !self.p.accept(Op::Comma)? {
                    break;
                }
            }
        }
        self.p.expect(Op::RParen)?;
        let table = self.check_table(pipeline, table)?;
        Ok(Action::Next(match pipeline {
            _ if pipeline != here => Next::Other(pipeline, table),
            _ if table == self.place.table + 1 => Next::Following,
            _ => Next::Table(table),
        }))
    }

    fn push(&mut self) -> Result<Action<'a>, Error> {
        self.p.expect(Op::LParen)?;
        let field = self.read_field()?;
        self.p.expect(Op::RParen)?;
        Ok(Action::Push(field))
    }

    fn pop(&mut self) -> Result<Action<'a>, Error> {
        self.p.expect(Op::LParen)?;
        let field = self.written_field()?;
        self.p.expect(Op::RParen)?;
        Ok(Action::Pop(field))
    }

    /// A field that an action reads.
    pub(super) fn read_field(&mut self) -> Result<FieldRef, Error> {
        let column = self.p.column;
        let field = self.p.field()?;
        self.check_readable(field, column)?;
        Ok(field)
    }

    fn check_readable(&mut self, field: FieldRef, column: usize) -> Result<(), Error> {
        if field.root().is_none() {
            let name = field.symbol.get().name;
            return Err(Error::new(column, format!("expected a field, found {name}, which is none")));
        }
        self.need_of(field);
        Ok(())
    }

    /// A field that an action assigns to.
    pub(super) fn written_field(&mut self) -> Result<FieldRef, Error> {
        let column = self.p.column;
        let field = self.p.field()?;
        self.check_writable(field, column)?;
        Ok(field)
    }

    fn check_writable(&mut self, field: FieldRef, column: usize) -> Result<(), Error> {
        let symbol = field.symbol.get();
        if let Kind::Predicate(_) = symbol.kind {
            let message = format!("expected a field to assign to, found predicate {}", symbol.name);
            return Err(Error::new(column, message));
        }
        let allowed = match symbol.writable() {
            Writable::Never => false,
            Writable::Always => !self.in_ct_commit,
            Writable::InCtCommit => self.in_ct_commit,
        };
        if !allowed {
            let place = if self.in_ct_commit { " inside ct_commit" } else { "" };
            return Err(Error::new(column, format!("field {} is not modifiable{place}", symbol.name)));
        }
        self.need_of(field);
        Ok(())
    }

    /// A field of that width (0 for a port) to read.
    pub(super) fn read_field_of(&mut self, width: u8) -> Result<FieldRef, Error> {
        let column = self.p.column;
        let field = self.read_field()?;
        check_width(field, width, column)?;
        Ok(field)
    }

    /// A port field to read.
    pub(super) fn port_field(&mut self) -> Result<FieldRef, Error> {
        self.read_field_of(0)
    }

    fn assignment(&mut self) -> Result<Action<'a>, Error> {
        let column = self.p.column;
        let dst = self.p.field()?;
        if self.p.accept(Op::Decrement)? {
            if dst.symbol.get().name != "ip.ttl" {
                return Err(Error::new(column, format!("only ip.ttl can be decremented, not {dst}")));
            }
            self.need("ip");
            return Ok(Action::DecTtl);
        }
        if self.p.accept(Op::Exchange)? {
            self.check_writable(dst, column)?;
            return self.exchange(dst);
        }
        if !self.p.accept(Op::Assign)? {
            return Err(self.p.expected("`=' or `<->'"));
        }
        if let Kind::Ovn(field) = dst.symbol.get().kind {
            return self.load_ovn(field);
        }
        if let Token::Id(name) = self.p.token {
            if let Some(action) = self.function(name, dst, column)? {
                return Ok(action);
            }
            self.check_writable(dst, column)?;
            return self.move_field(dst);
        }
        self.check_writable(dst, column)?;
        self.load(dst, column)
    }

    /// The result of a function must be a field that can be assigned to, of the function's width.
    pub(super) fn check_result(&mut self, dst: FieldRef, width: u8, column: usize) -> Result<(), Error> {
        self.check_writable(dst, column)?;
        check_width(dst, width, column)
    }

    fn load_ovn(&mut self, field: OvnField) -> Result<Action<'a>, Error> {
        let max = (1 << field.width()) - 1;
        let value = self.p.number_up_to(max, &format!("an integer of {} bits", field.width()))?;
        Ok(Action::LoadOvn { field, value: value as u32 })
    }

    fn load(&mut self, dst: FieldRef, column: usize) -> Result<Action<'a>, Error> {
        if self.p.at(Op::LBrace) || matches!(self.p.token, Token::AddressSet(_) | Token::PortGroup(_)) {
            return Err(self.p.expected("a single constant"));
        }
        let symbol = dst.symbol.get();
        match self.p.constants()? {
            Constants::Names(crate::expr::Names::One(name)) if dst.is_string() => {
                Ok(Action::LoadName { dst, name })
            }
            Constants::Numbers(Numbers::One(value)) if !dst.is_string() => {
                let width = value.width();
                if width > symbol.width {
                    let message = format!(
                        "{width}-bit constant is not compatible with {}-bit field {}",
                        symbol.width, symbol.name
                    );
                    return Err(Error::new(column, message));
                }
                Ok(Action::Load { dst, value })
            }
            Constants::Names(_) => {
                let message =
                    format!("integer field {} is not compatible with a string constant", symbol.name);
                Err(Error::new(column, message))
            }
            Constants::Numbers(_) => {
                let message =
                    format!("string field {} is not compatible with an integer constant", symbol.name);
                Err(Error::new(column, message))
            }
        }
    }

    fn move_field(&mut self, dst: FieldRef) -> Result<Action<'a>, Error> {
        let column = self.p.column;
        let src = self.read_field()?;
        if dst.is_string() != src.is_string() {
            return Err(Error::new(
                column,
                format!("cannot assign {} to {}", described(src), described(dst)),
            ));
        }
        if dst.len != src.len {
            let message = format!("cannot assign {}-bit value to {}-bit destination", src.len, dst.len);
            return Err(Error::new(column, message));
        }
        Ok(Action::Move { dst, src })
    }

    fn exchange(&mut self, a: FieldRef) -> Result<Action<'a>, Error> {
        let column = self.p.column;
        let b = self.written_field()?;
        if a.is_string() != b.is_string() {
            return Err(Error::new(
                column,
                format!("cannot exchange {} with {}", described(a), described(b)),
            ));
        }
        if a.len != b.len {
            let message = format!("cannot exchange {}-bit field with {}-bit field", a.len, b.len);
            return Err(Error::new(column, message));
        }
        Ok(Action::Exchange { a, b })
    }

    /// An unmasked decimal integer that fits.
    pub(super) fn u16(&mut self, what: &str) -> Result<u16, Error> {
        self.p.integer_up_to(u64::from(u16::MAX), what).map(|v| v as u16)
    }

    /// An unmasked decimal integer that fits.
    pub(super) fn u32(&mut self, what: &str) -> Result<u32, Error> {
        self.p.integer_up_to(u64::from(u32::MAX), what).map(|v| v as u32)
    }

    /// An unmasked constant of one notation.
    pub(super) fn address(&mut self, format: crate::constant::Format, what: &str) -> Result<u128, Error> {
        match self.p.token {
            Token::Int(Constant { value, mask: None, format: found }) if found == format => {
                self.p.take()?;
                Ok(value)
            }
            _ => Err(self.p.expected(what)),
        }
    }
}

fn described(field: FieldRef) -> String {
    format!("{} field {field}", if field.is_string() { "string" } else { "integer" })
}

pub(super) fn check_width(field: FieldRef, width: u8, column: usize) -> Result<(), Error> {
    let message = match (field.len, width) {
        (len, width) if len == width => return Ok(()),
        (0, _) => format!("expected a numeric field, found string field {field}"),
        (_, 0) => format!("expected a string field, found numeric field {field}"),
        (len, width) => format!("expected a {width}-bit field, found {len}-bit field {field}"),
    };
    Err(Error::new(column, message))
}
