//! Actions that choose among several: `select`, `fwd_group`; and that learn what was chosen.

use super::parse::ActionParser;
use super::{Action, Candidate, Endpoint, LbAffinity, Protocol, Select};
use crate::error::{Error, shown};
use crate::symbol::FieldRef;
use crate::token::{Op, Token};
use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};

/// The weight of a value that has none.
const DEFAULT_WEIGHT: u16 = 100;
/// The narrowest field that can hold what is selected.
const SELECTED_WIDTH: u8 = 16;

impl<'a> ActionParser<'a, '_> {
    pub(super) fn select(&mut self, dst: FieldRef, column: usize) -> Result<Action<'a>, Error> {
        self.p.take()?;
        self.check_result(dst, dst.len, column)?;
        if dst.len < SELECTED_WIDTH {
            let message =
                format!("expected a field of at least {SELECTED_WIDTH} bits for select, found {dst}");
            return Err(Error::new(column, message));
        }
        self.goes_on("select")?;
        self.p.expect(Op::LParen)?;
        let mut select = Select { dst, candidates: Vec::new(), hash_fields: None };
        if self.p.accept_id("values")? {
            self.p.expect(Op::Assign)?;
            self.p.expect(Op::LParen)?;
            self.candidates(&mut select.candidates)?;
            self.p.expect(Op::Semicolon)?;
            if !self.p.accept_id("hash_fields")? {
                return Err(self.p.expected("`hash_fields'"));
            }
            select.hash_fields = Some(self.hash_fields()?);
            self.p.expect(Op::RParen)?;
        } else {
            self.candidates(&mut select.candidates)?;
        }
        if select.candidates.len() < 2 {
            return Err(self.p.expected("at least two values to select from"));
        }
        Ok(Action::Select(Box::new(select)))
    }

    /// Up to and with the closing parenthesis.
    fn candidates(&mut self, list: &mut Vec<Candidate>) -> Result<(), Error> {
        while !self.p.accept(Op::RParen)? {
            let value = self.u16("a value of at most 16 bits")?;
            let weight = if self.p.accept(Op::Assign)? {
                let column = self.p.column;
                match self.u16("a weight of at most 16 bits")? {
                    0 => return Err(Error::new(column, "expected a weight above 0, found 0")),
                    weight => weight,
                }
            } else {
                DEFAULT_WEIGHT
            };
            list.push(Candidate { value, weight });
            self.p.accept(Op::Comma)?;
        }
        Ok(())
    }

    pub(super) fn fwd_group(&mut self) -> Result<Action<'a>, Error> {
        self.p.expect(Op::LParen)?;
        let mut liveness = false;
        if self.p.accept_id("liveness")? {
            self.p.expect(Op::Assign)?;
            liveness = self.boolean()?;
            self.p.expect(Op::Comma)?;
        }
        if !self.p.accept_id("childports")? {
            return Err(self.p.expected("`childports'"));
        }
        self.p.expect(Op::Assign)?;
        let mut ports = Vec::new();
        while !self.p.accept(Op::RParen)? {
            let port = self.p.string("a logical switch port, in quotes")?;
            ports.push(port);
            self.p.accept(Op::Comma)?;
        }
        Ok(Action::FwdGroup { liveness, ports })
    }

    /// `true` or `false`, in quotes or not.
    fn boolean(&mut self) -> Result<bool, Error> {
        let value = match &self.p.token {
            Token::Id("true") => true,
            Token::Id("false") => false,
            Token::Str(text) if text == "true" => true,
            Token::Str(text) if text == "false" => false,
            _ => return Err(self.p.expected("`true' or `false'")),
        };
        self.p.take()?;
        Ok(value)
    }

    fn protocol(&mut self) -> Result<Protocol, Error> {
        let Token::Id(name) = self.p.token else { return Err(self.p.expected("a protocol")) };
        let protocol = Protocol::from_name(name).ok_or_else(|| self.p.expected("`tcp', `udp' or `sctp'"))?;
        self.p.take()?;
        Ok(protocol)
    }

    fn argument(&mut self, name: &str) -> Result<(), Error> {
        if !self.p.accept_id(name)? {
            return Err(self.p.expected(&format!("`{name}'")));
        }
        self.p.expect(Op::Assign)
    }

    pub(super) fn commit_ecmp_nh(&mut self) -> Result<Action<'a>, Error> {
        self.p.expect(Op::LParen)?;
        self.argument("ipv6")?;
        let ipv6 = self.boolean()?;
        self.p.expect(Op::Comma)?;
        self.argument("proto")?;
        let protocol = self.protocol()?;
        self.p.expect(Op::RParen)?;
        Ok(Action::CommitEcmpNh { ipv6, protocol })
    }

    fn endpoint(&mut self) -> Result<Endpoint, Error> {
        let column = self.p.column;
        let text = self.p.string("an address, in quotes")?;
        parse_endpoint(&text).ok_or_else(|| {
            Error::new(column, format!("expected an address and perhaps a port, found {:?}", shown(&text)))
        })
    }

    pub(super) fn commit_lb_aff(&mut self) -> Result<Action<'a>, Error> {
        let column = self.p.column;
        self.p.expect(Op::LParen)?;
        self.argument("vip")?;
        let vip = self.endpoint()?;
        self.p.expect(Op::Comma)?;
        self.argument("backend")?;
        let backend = self.endpoint()?;
        self.p.expect(Op::Comma)?;
        let protocol = if vip.port.is_some() {
            self.argument("proto")?;
            let protocol = self.protocol()?;
            self.p.expect(Op::Comma)?;
            Some(protocol)
        } else {
            None
        };
        self.argument("timeout")?;
        let timeout_s = self.u16("a time in seconds of at most 16 bits")?;
        self.p.expect(Op::RParen)?;
        if vip.ip.is_ipv4() != backend.ip.is_ipv4() {
            return Err(Error::new(column, "expected vip and backend of one IP version"));
        }
        Ok(Action::CommitLbAff(Box::new(LbAffinity { vip, backend, protocol, timeout_s })))
    }

    pub(super) fn mirror(&mut self) -> Result<Action<'a>, Error> {
        self.p.expect(Op::LParen)?;
        let port: Cow<'a, str> = self.p.string("a port name, in quotes")?;
        self.p.expect(Op::RParen)?;
        Ok(Action::Mirror(port))
    }
}

/// Port 0 is none.
fn parse_endpoint(text: &str) -> Option<Endpoint> {
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Some(Endpoint { ip, port: None });
    }
    if let Some(inner) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
        return Some(Endpoint { ip: IpAddr::V6(inner.parse().ok()?), port: None });
    }
    let socket: SocketAddr = text.parse().ok()?;
    Some(Endpoint { ip: socket.ip(), port: Some(socket.port()).filter(|port| *port != 0) })
}
