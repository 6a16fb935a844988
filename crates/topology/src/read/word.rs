//! Scalars of the format.

use crate::file::Cursor;
use kiln_logical::{AddressSet, Environment, expr};
use kiln_types::{EthAddr, IpNet};
use std::net::IpAddr;
use std::sync::Arc;

/// A name in the database: not empty, printable, without spaces.
pub(super) fn name(cursor: &Cursor<'_>) -> Option<String> {
    let expected = "a name without spaces";
    let text = cursor.text(expected)?;
    if is_name(text) { Some(text.to_owned()) } else { cursor.fail(expected) }
}

pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty() && !text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '"')
}

/// What an expression refers to by name is in the database, for which a file does not speak.
struct Elsewhere;

impl Environment for Elsewhere {
    fn address_set(&self, _: &str) -> Option<Arc<AddressSet>> {
        Some(Arc::default())
    }

    fn port_group(&self, _: &str) -> Option<Arc<[Arc<str>]>> {
        Some(Arc::default())
    }
}

/// A match in the logical flow language. What a template variable stands for is up to each chassis.
pub(super) fn expression<'a>(cursor: &Cursor<'a>) -> Option<&'a str> {
    let text = cursor.text("an expression")?;
    if text.contains('^') {
        return Some(text);
    }
    match expr::parse(text, &Elsewhere) {
        Ok(_) => Some(text),
        Err(error) => cursor.reject("an expression", format!("`{text}`: {error}")),
    }
}

/// A name in the sandbox, where it becomes part of a network namespace's.
pub(super) fn sandbox_name(name: &str, cursor: &Cursor<'_>) -> Option<String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_' || c == '.';
    if !name.is_empty() && name.len() <= 40 && name.chars().all(fits) && !name.starts_with(['-', '.']) {
        return Some(name.to_owned());
    }
    cursor.reject("a name of at most 40 letters, digits, dots, dashes and underscores", format!("`{name}`"))
}

pub(super) fn mac(cursor: &Cursor<'_>) -> Option<EthAddr> {
    let mac: EthAddr = cursor.parsed("an Ethernet address, as in 0a:00:00:00:00:01")?;
    if mac.is_multicast() || mac.is_zero() {
        return cursor.fail("a unicast Ethernet address, as in 0a:00:00:00:00:01");
    }
    Some(mac)
}

pub(super) fn address(cursor: &Cursor<'_>) -> Option<IpAddr> {
    cursor.parsed("an IPv4 or IPv6 address")
}

/// One or several addresses.
pub(super) fn addresses(cursor: &Cursor<'_>) -> Vec<IpAddr> {
    cursor.one_or_more().iter().filter_map(address).collect()
}

/// An address with the length of its network's prefix, or a prefix.
pub(super) fn net(cursor: &Cursor<'_>, expected: &str) -> Option<IpNet> {
    cursor.parsed(expected)
}

/// A prefix whose bits past its length are zero; an address alone is one of its own.
pub(super) fn prefix(cursor: &Cursor<'_>) -> Option<IpNet> {
    let expected = "a prefix, as in 10.0.3.0/24 or fd00:3::/64";
    let text = cursor.text(expected)?;
    let net = text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
    let Some(net): Option<IpNet> = net else { return cursor.fail(expected) };
    if net.trunc() == net {
        return Some(net);
    }
    cursor.fail(format!("a prefix without bits past its length, as in {}", net.trunc()))
}
