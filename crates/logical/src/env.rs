//! What a text refers to by name and its surroundings must supply.

use crate::constant::Constant;
use crate::cubes::CubeSet;
use crate::error::Error;
use crate::lex::Lexer;
use crate::token::Token;
use std::borrow::Cow;
use std::sync::Arc;

/// The members of an address set (tables Address_Set and Port_Group of the southbound database).
#[derive(Clone, Debug, Default)]
pub struct AddressSet {
    /// In order; a bare member's mask covers as many bits as its notation has.
    members: CubeSet,
    /// Width of the notation that all members are written in; `None` where they differ or have no width.
    width: Option<u8>,
    /// Members as constants, for fields of another width.
    constants: Arc<[Constant]>,
    /// How many bits a field must have for every member.
    significant: u8,
}

impl AddressSet {
    /// Reads the members: addresses or prefixes. Those that are neither come back, with what is wrong.
    pub fn parse<'m>(members: impl IntoIterator<Item = &'m str>) -> (AddressSet, Vec<(String, Error)>) {
        let mut constants = Vec::new();
        let mut bad = Vec::new();
        for member in members {
            match parse_constant(member) {
                Ok(constant) => constants.push(constant),
                Err(error) => bad.push((member.to_owned(), error)),
            }
        }
        (AddressSet::new(constants), bad)
    }

    /// A set of these members.
    pub fn new(constants: Vec<Constant>) -> AddressSet {
        let mut widths = constants.iter().map(|c| c.format.width());
        let width = widths.next().flatten().filter(|w| widths.all(|other| other == Some(*w)));
        let cubes = constants.iter().map(Constant::cube);
        let significant = constants.iter().map(Constant::width).max().unwrap_or(0);
        AddressSet { members: cubes.collect(), width, constants: constants.into(), significant }
    }

    /// Number of members, as written.
    pub fn len(&self) -> usize {
        self.constants.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.constants.is_empty()
    }

    /// The members, as written.
    pub fn iter(&self) -> impl Iterator<Item = &Constant> {
        self.constants.iter()
    }

    pub(crate) fn constants(&self) -> &[Constant] {
        &self.constants
    }

    pub(crate) fn significant(&self) -> u8 {
        self.significant
    }

    /// The members as sets of values of a whole field of that width, without copying, where the notation fits.
    pub(crate) fn cubes_of_width(&self, width: u8) -> Option<CubeSet> {
        (self.width == Some(width)).then(|| self.members.clone())
    }
}

fn parse_constant(text: &str) -> Result<Constant, Error> {
    let mut lexer = Lexer::new(text);
    let constant = match lexer.next_token()? {
        (Token::Int(constant), _) => constant,
        (other, column) => return Err(Error::new(column, format!("expected an address, found `{other}'"))),
    };
    match lexer.next_token()? {
        (Token::End, _) => Ok(constant),
        (other, column) => Err(Error::new(column, format!("expected one address, found `{other}' after it"))),
    }
}

/// What kind of values a DHCP option takes (column `type` of DHCP_Options and DHCPv6_Options).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is the column's value")]
pub enum OptionKind {
    Bool,
    Uint8,
    Uint16,
    Uint32,
    Ipv4,
    StaticRoutes,
    Str,
    HostId,
    Domains,
    Ipv6,
    Mac,
    Domain,
}

impl OptionKind {
    /// From the column's value.
    pub fn from_name(name: &str) -> Option<OptionKind> {
        Some(match name {
            "bool" => OptionKind::Bool,
            "uint8" => OptionKind::Uint8,
            "uint16" => OptionKind::Uint16,
            "uint32" => OptionKind::Uint32,
            "ipv4" => OptionKind::Ipv4,
            "static_routes" => OptionKind::StaticRoutes,
            "str" => OptionKind::Str,
            "host_id" => OptionKind::HostId,
            "domains" => OptionKind::Domains,
            "ipv6" => OptionKind::Ipv6,
            "mac" => OptionKind::Mac,
            "domain" => OptionKind::Domain,
            _ => return None,
        })
    }

    /// Whether values are strings and nothing else.
    pub const fn is_string(self) -> bool {
        matches!(self, OptionKind::Str | OptionKind::Domains | OptionKind::Domain)
    }
}

/// A DHCP option that a name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct OptionDef {
    /// Code on the wire.
    pub code: u16,
    /// Kind of values.
    pub kind: OptionKind,
}

/// Supplies what names stand for. Everything asked may be recorded as read, also what is not there.
///
/// All methods have an answer of nothing, so that an environment says only what it knows.
pub trait Environment {
    /// The address set `$name`.
    fn address_set(&self, _name: &str) -> Option<Arc<AddressSet>> {
        None
    }

    /// The ports of the port group `@name`, as the flow's datapath sees it.
    fn port_group(&self, _name: &str) -> Option<Arc<[Arc<str>]>> {
        None
    }

    /// The value of template variable `^name` on this chassis.
    fn template(&self, _name: &str) -> Option<Cow<'_, str>> {
        None
    }

    /// The DHCPv4 option of that name.
    fn dhcp_option(&self, _name: &str) -> Option<OptionDef> {
        None
    }

    /// The DHCPv6 option of that name.
    fn dhcpv6_option(&self, _name: &str) -> Option<OptionDef> {
        None
    }
}

/// An environment without names.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoNames;

impl Environment for NoNames {}

/// The most that a text may grow to when template variables are replaced, in bytes.
pub const MAX_EXPANDED_LEN: usize = 1 << 20;

/// Replaces `^name` by the variable's value, once: values are not looked into. A variable that nobody knows stays, for
/// the parser to refuse.
pub fn expand_templates<'t>(text: &'t str, env: &dyn Environment) -> Cow<'t, str> {
    if memchr::memchr(b'^', text.as_bytes()).is_none() {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut pieces = text.split('^');
    out.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let len = piece.bytes().take_while(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.')).count();
        let (name, rest) = piece.split_at(len);
        match env.template(name).filter(|value| out.len() + value.len() <= MAX_EXPANDED_LEN) {
            Some(value) if !name.is_empty() => out.push_str(&value),
            _ => {
                out.push('^');
                out.push_str(name);
            }
        }
        out.push_str(rest);
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Vars;

    impl Environment for Vars {
        fn template(&self, name: &str) -> Option<Cow<'_, str>> {
            match name {
                "vip" => Some("10.0.0.1".into()),
                "nested" => Some("^vip".into()),
                _ => None,
            }
        }
    }

    #[test]
    fn templates_are_replaced_once() {
        let expand = |text| expand_templates(text, &Vars).into_owned();
        assert_eq!(expand("ip4.dst == ^vip && tcp"), "ip4.dst == 10.0.0.1 && tcp");
        assert_eq!(expand("^nested^vip"), "^vip10.0.0.1");
        assert_eq!(expand("^what ^ x"), "^what ^ x");
        assert!(matches!(expand_templates("ip4", &Vars), Cow::Borrowed("ip4")));
    }

    #[test]
    fn bad_members_are_named_and_left_out() {
        let (set, bad) = AddressSet::parse(["10.0.0.0/8", "host", "10.0.0.1 x", "::1"]);
        assert_eq!(set.len(), 2);
        assert_eq!(bad.iter().map(|(m, _)| m.as_str()).collect::<Vec<_>>(), ["host", "10.0.0.1 x"]);
        assert_eq!(set.cubes_of_width(32), None, "notations differ");
    }
}
