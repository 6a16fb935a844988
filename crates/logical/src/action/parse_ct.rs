//! Conntrack: `ct_next`, `ct_commit`, translation, load balancing.

use super::parse::ActionParser;
use super::{Action, Backend, Lb, LoadBalance, Nat, NatTarget, SnatFlag, Zone};
use crate::constant::{Constant, Format};
use crate::error::Error;
use crate::token::{Op, Token};
use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

impl<'a> ActionParser<'a, '_> {
    /// After the opening parenthesis.
    fn zone(&mut self) -> Result<Zone, Error> {
        let zone = if self.p.accept_id("dnat")? {
            Zone::Dnat
        } else if self.p.accept_id("snat")? {
            Zone::Snat
        } else {
            return Err(self.p.expected("`dnat' or `snat'"));
        };
        self.p.expect(Op::RParen)?;
        Ok(zone)
    }

    fn zone_or_dnat(&mut self) -> Result<Zone, Error> {
        if self.p.accept(Op::LParen)? { self.zone() } else { Ok(Zone::Dnat) }
    }

    pub(super) fn ct_next(&mut self) -> Result<Action<'a>, Error> {
        self.goes_on("ct_next")?;
        self.need("ip");
        Ok(Action::CtNext(self.zone_or_dnat()?))
    }

    pub(super) fn ct_commit_nat(&mut self) -> Result<Action<'a>, Error> {
        self.goes_on("ct_commit_nat")?;
        self.need("ip");
        Ok(Action::CtCommitNat(self.zone_or_dnat()?))
    }

    pub(super) fn ct_commit_to_zone(&mut self) -> Result<Action<'a>, Error> {
        self.goes_on("ct_commit_to_zone")?;
        self.need("ip");
        self.p.expect(Op::LParen)?;
        Ok(Action::CtCommitToZone(self.zone()?))
    }

    pub(super) fn ct_commit(&mut self) -> Result<Action<'a>, Error> {
        self.need("ip");
        let list = if self.p.at(Op::LBrace) { self.ct_commit_block()? } else { Vec::new() };
        if let Some(bad) = list.iter().find(|a| !matches!(a, Action::Load { .. } | Action::Move { .. })) {
            return Err(self.p.error(format!("expected only assignments inside ct_commit, found `{bad}'")));
        }
        Ok(Action::CtCommit(list))
    }

    pub(super) fn ct_nat(&mut self, nat: Nat) -> Result<Action<'a>, Error> {
        self.goes_on(nat.as_str())?;
        self.need("ip");
        if !self.p.accept(Op::LParen)? {
            return Ok(Action::CtNat(nat, None));
        }
        let ip = self.ip("an IPv4 or IPv6 address")?;
        let ports = if self.p.accept(Op::Comma)? { Some(self.ports()?) } else { None };
        self.p.expect(Op::RParen)?;
        Ok(Action::CtNat(nat, Some(NatTarget { ip, ports })))
    }

    fn ports(&mut self) -> Result<(u16, Option<u16>), Error> {
        let column = self.p.column;
        let low = self.u16("a port or a range of ports")?;
        if low == 0 {
            return Err(Error::new(column, "expected a port above 0, found 0"));
        }
        if !self.p.accept(Op::Hyphen)? {
            return Ok((low, None));
        }
        let column = self.p.column;
        let high = self.p.number_up_to(u64::from(u16::MAX), "the last port of a range")? as u16;
        if high <= low {
            return Err(Error::new(column, format!("expected a port above {low}, found {high}")));
        }
        Ok((low, Some(high)))
    }

    /// An unmasked address.
    pub(super) fn ip(&mut self, what: &str) -> Result<IpAddr, Error> {
        let ip = match self.p.token {
            Token::Int(Constant { value, mask: None, format: Format::Ipv4 }) => {
                IpAddr::V4(Ipv4Addr::from_bits(value as u32))
            }
            Token::Int(Constant { value, mask: None, format: Format::Ipv6 }) => {
                IpAddr::V6(Ipv6Addr::from_bits(value))
            }
            _ => return Err(self.p.expected(what)),
        };
        self.p.take()?;
        Ok(ip)
    }

    pub(super) fn ct_lb(&mut self, kind: Lb) -> Result<Action<'a>, Error> {
        self.goes_on(kind.as_str())?;
        self.need("ip");
        let mut lb = LoadBalance { kind, backends: Vec::new(), hash_fields: None, snat: None };
        if self.p.accept(Op::LParen)? && !self.p.accept(Op::RParen)? {
            if !self.p.accept_id("backends")? {
                return Err(self.p.expected("`backends'"));
            }
            self.p.expect(Op::Assign)?;
            while !self.p.at(Op::Semicolon) && !self.p.at(Op::RParen) {
                let backend = self.backend(kind)?;
                lb.backends.push(backend);
                self.p.accept(Op::Comma)?;
            }
            self.ct_lb_arguments(&mut lb)?;
            self.p.expect(Op::RParen)?;
        }
        Ok(Action::CtLb(Box::new(lb)))
    }

    /// `; hash_fields="…"` and `; skip_snat` or `; force_snat`, in this order.
    fn ct_lb_arguments(&mut self, lb: &mut LoadBalance<'a>) -> Result<(), Error> {
        if !self.p.accept(Op::Semicolon)? {
            return Ok(());
        }
        let mut expected = "`hash_fields', `skip_snat' or `force_snat'";
        if self.p.accept_id("hash_fields")? {
            lb.hash_fields = Some(self.hash_fields()?);
            if !self.p.accept(Op::Semicolon)? {
                return Ok(());
            }
            expected = "`skip_snat' or `force_snat'";
        }
        let Token::Id(name) = self.p.token else { return Err(self.p.expected(expected)) };
        lb.snat = Some(SnatFlag::from_name(name).ok_or_else(|| self.p.expected(expected))?);
        self.p.take()?;
        Ok(())
    }

    /// `="field,field"`, after `hash_fields`.
    pub(super) fn hash_fields(&mut self) -> Result<Cow<'a, str>, Error> {
        self.p.expect(Op::Assign)?;
        self.p.string("the fields to hash, in quotes")
    }

    fn backend(&mut self, kind: Lb) -> Result<Backend<'a>, Error> {
        let port_name = if kind == Lb::MarkLocal {
            let name = self.p.string("the backend's logical port, in quotes")?;
            self.p.expect(Op::Colon)?;
            Some(name)
        } else {
            None
        };
        if self.p.accept(Op::LSquare)? {
            let ip = self.address(Format::Ipv6, "an IPv6 address")?;
            self.p.expect(Op::RSquare)?;
            let port = if self.p.accept(Op::Colon)? { self.backend_port()? } else { None };
            return Ok(Backend { port_name, ip: IpAddr::V6(Ipv6Addr::from_bits(ip)), port });
        }
        let ip = self.ip("an IP address")?;
        let port = if ip.is_ipv4() && self.p.accept(Op::Colon)? { self.backend_port()? } else { None };
        Ok(Backend { port_name, ip, port })
    }

    /// Port 0 is none.
    fn backend_port(&mut self) -> Result<Option<u16>, Error> {
        Ok(Some(self.u16("a port number")?).filter(|port| *port != 0))
    }
}
