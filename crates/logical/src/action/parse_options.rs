//! Options of DHCP, DHCPv6 and router advertisements.

use super::parse::ActionParser;
use super::{Action, OptionValue, OptionsOf, Value};
use crate::constant::{Constant, Format};
use crate::env::{NoNames, OptionDef, OptionKind};
use crate::error::Error;
use crate::parser::Constants;
use crate::symbol::FieldRef;
use crate::token::{Op, Token};

/// Codes of a router advertisement's options; the first and last are no options on the wire.
pub mod ra {
    /// `addr_mode`: `slaac`, `dhcpv6_stateful` or `dhcpv6_stateless`.
    pub const ADDR_MODE: u16 = 0;
    /// `slla`: source link-layer address (RFC 4861, section 4.6.1).
    pub const SLLA: u16 = 1;
    /// `prefix`: prefix information (RFC 4861, section 4.6.2).
    pub const PREFIX: u16 = 3;
    /// `mtu` (RFC 4861, section 4.6.4).
    pub const MTU: u16 = 5;
    /// `route_info` (RFC 4191, section 2.3).
    pub const ROUTE_INFO: u16 = 24;
    /// `rdnss` (RFC 8106, section 5.1).
    pub const RDNSS: u16 = 25;
    /// `dnssl` (RFC 8106, section 5.2).
    pub const DNSSL: u16 = 31;
    /// `router_preference`: `HIGH`, `MEDIUM` or `LOW` (RFC 4191, section 2.1).
    pub const ROUTER_PREFERENCE: u16 = 255;
}

/// Code of `offerip`, which every DHCPv4 answer needs.
const OFFER_IP: u16 = 0;

fn ra_option(name: &str) -> Option<OptionDef> {
    let (code, kind) = match name {
        "addr_mode" => (ra::ADDR_MODE, OptionKind::Str),
        "slla" => (ra::SLLA, OptionKind::Mac),
        "prefix" => (ra::PREFIX, OptionKind::Ipv6),
        "mtu" => (ra::MTU, OptionKind::Uint32),
        "route_info" => (ra::ROUTE_INFO, OptionKind::Str),
        "rdnss" => (ra::RDNSS, OptionKind::Ipv6),
        "dnssl" => (ra::DNSSL, OptionKind::Str),
        "router_preference" => (ra::ROUTER_PREFERENCE, OptionKind::Str),
        _ => return None,
    };
    Some(OptionDef { code, kind })
}

impl<'a> ActionParser<'a, '_> {
    pub(super) fn put_options(
        &mut self,
        of: OptionsOf,
        dst: FieldRef,
        column: usize,
    ) -> Result<Action<'a>, Error> {
        self.p.take()?;
        self.check_result(dst, 1, column)?;
        self.p.expect(Op::LParen)?;
        let mut options = Vec::new();
        while !self.p.accept(Op::RParen)? {
            let option = self.option(of)?;
            options.push(option);
            self.p.accept(Op::Comma)?;
        }
        let lacking = match of {
            OptionsOf::Dhcpv4 => lacking_dhcpv4(&options),
            OptionsOf::Dhcpv6 => None,
            OptionsOf::RouterAdvertisement => {
                self.need("ip6");
                lacking_ra(&options)
            }
        };
        if let Some(message) = lacking {
            return Err(Error::new(column, message));
        }
        Ok(Action::PutOptions { dst, of, options })
    }

    fn option(&mut self, of: OptionsOf) -> Result<OptionValue<'a>, Error> {
        let (what, def) = match (of, &self.p.token) {
            (OptionsOf::Dhcpv4, Token::Id(name)) => ("a DHCPv4 option's name", self.p.env.dhcp_option(name)),
            (OptionsOf::Dhcpv6, Token::Id(name)) => {
                ("a DHCPv6 option's name", self.p.env.dhcpv6_option(name))
            }
            (OptionsOf::RouterAdvertisement, Token::Id(name)) => {
                ("a router advertisement option's name", ra_option(name))
            }
            _ => ("an option's name", None),
        };
        let (Some(def), Token::Id(name)) = (def, self.p.token.clone()) else {
            return Err(self.p.expected(what));
        };
        self.p.take()?;
        self.p.expect(Op::Assign)?;
        let column = self.p.column;
        let value = match self.literals()? {
            Constants::Numbers(numbers) if !def.kind.is_string() => {
                Value::Numbers(numbers.as_slice().to_vec())
            }
            Constants::Names(names) if def.kind.is_string() || def.kind == OptionKind::HostId => {
                Value::Texts(names.into_vec())
            }
            Constants::Numbers(_) => {
                return Err(Error::new(column, format!("option {name} requires a string in quotes")));
            }
            Constants::Names(_) => {
                return Err(Error::new(column, format!("option {name} requires numeric values")));
            }
        };
        if of == OptionsOf::RouterAdvertisement && !is_good_ra(def.code, &value) {
            return Err(Error::new(column, format!("invalid value for option {name}")));
        }
        Ok(OptionValue { name, def, value })
    }

    /// Constants that are written out: what an option says is no question that a set could answer.
    fn literals(&mut self) -> Result<Constants<'a>, Error> {
        let env = std::mem::replace(&mut self.p.env, &NoNames);
        let constants = self.p.constants();
        self.p.env = env;
        constants.map_err(|error| match self.p.token {
            Token::AddressSet(_) | Token::PortGroup(_) => self.p.expected("a constant that is written out"),
            _ => error,
        })
    }
}

/// What an answer cannot do without.
fn lacking_dhcpv4(options: &[OptionValue<'_>]) -> Option<&'static str> {
    let has_offer = options.iter().any(|option| option.def.code == OFFER_IP);
    (!has_offer).then_some("put_dhcp_opts requires option offerip")
}

/// What an advertisement cannot do without.
fn lacking_ra(options: &[OptionValue<'_>]) -> Option<&'static str> {
    let has = |code| options.iter().any(|option| option.def.code == code);
    let is_stateful = |option: &OptionValue<'_>| {
        option.def.code == ra::ADDR_MODE && option.text() == Some("dhcpv6_stateful")
    };
    let needs_prefix = !options.iter().any(is_stateful);
    if !has(ra::SLLA) {
        Some("put_nd_ra_opts requires option slla")
    } else if needs_prefix && !has(ra::PREFIX) {
        Some("put_nd_ra_opts requires option prefix unless addr_mode is dhcpv6_stateful")
    } else {
        None
    }
}

fn is_good_ra(code: u16, value: &Value<'_>) -> bool {
    let one = match value {
        Value::Texts(texts) => {
            let [text] = texts.as_slice() else { return false };
            return code != ra::ADDR_MODE
                || matches!(text.as_ref(), "slaac" | "dhcpv6_stateful" | "dhcpv6_stateless");
        }
        Value::Numbers(numbers) => numbers.as_slice(),
    };
    match code {
        ra::SLLA => matches!(one, [Constant { format: Format::Ethernet, .. }]),
        ra::PREFIX => matches!(one, [Constant { format: Format::Ipv6, mask: Some(_), .. }]),
        ra::MTU => matches!(one, [Constant { format: Format::Decimal, value: 0..=0xffff_ffff, .. }]),
        ra::RDNSS => matches!(one, [Constant { format: Format::Ipv6, .. }]),
        _ => true,
    }
}
