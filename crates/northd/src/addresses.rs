//! The texts that operators write addresses in: `addresses` and `port_security` of Logical_Switch_Port, `mac` and
//! `networks` of Logical_Router_Port (ovn-nb(5)).

use kiln_types::{EthAddr, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// An Ethernet address and the IP addresses that belong to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortAddress {
    /// The Ethernet address.
    pub mac: EthAddr,
    /// IPv4 addresses; the prefix length is 32 unless the text gives one.
    pub ipv4: Vec<Ipv4Net>,
    /// IPv6 addresses; the prefix length is 128 unless the text gives one.
    pub ipv6: Vec<Ipv6Net>,
}

/// One element of a switch port's `addresses`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressItem {
    /// `MAC [IP…]`.
    Static(PortAddress),
    /// `unknown`.
    Unknown,
    /// `router`: those of the router port.
    Router,
    /// `dynamic`, with what is already chosen.
    Dynamic(DynamicRequest),
}

impl AddressItem {
    /// Without prefix lengths: a port has addresses, not networks.
    #[must_use]
    pub(crate) fn hosts(mut self) -> Self {
        if let AddressItem::Static(address) = &mut self {
            address.ipv4.iter_mut().for_each(|net| *net = Ipv4Net::from(net.addr()));
            address.ipv6.iter_mut().for_each(|net| *net = Ipv6Net::from(net.addr()));
        }
        self
    }
}

/// What a `dynamic` address leaves to be chosen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DynamicRequest {
    /// The Ethernet address, if given.
    pub mac: Option<EthAddr>,
    /// The IPv4 address, if given.
    pub ipv4: Option<Ipv4Addr>,
    /// The IPv6 address, if given.
    pub ipv6: Option<Ipv6Addr>,
}

impl DynamicRequest {
    /// Whether nothing is given.
    pub(crate) fn is_open(&self) -> bool {
        *self == DynamicRequest::default()
    }
}

/// What is wrong with a text of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// The first word should be an Ethernet address.
    #[error("`{0}` is no Ethernet address")]
    Mac(String),
    /// A later word should be an IP address.
    #[error("`{0}` is no IPv4 or IPv6 address")]
    Ip(String),
    /// There is nothing in the text.
    #[error("no address")]
    Empty,
}

/// Reads one element of `addresses`.
pub fn parse_address(text: &str) -> Result<AddressItem, AddressError> {
    let mut words = text.split_ascii_whitespace();
    match words.next() {
        None => Err(AddressError::Empty),
        Some("unknown") => Ok(AddressItem::Unknown),
        Some("router") => Ok(AddressItem::Router),
        Some("dynamic") => parse_dynamic(words).map(AddressItem::Dynamic),
        Some(first) => {
            let mac: EthAddr = first.parse().map_err(|_| AddressError::Mac(first.to_owned()))?;
            // `MAC dynamic [IP]`: the Ethernet address is given, the rest is to be chosen.
            let mut rest = words.clone();
            if rest.next() == Some("dynamic") {
                let request = parse_dynamic(rest)?;
                return Ok(AddressItem::Dynamic(DynamicRequest { mac: Some(mac), ..request }));
            }
            parse_ips(mac, words).map(AddressItem::Static)
        }
    }
}

fn parse_dynamic<'a>(words: impl Iterator<Item = &'a str>) -> Result<DynamicRequest, AddressError> {
    let mut request = DynamicRequest::default();
    for word in words {
        match word.parse::<IpAddr>() {
            Ok(IpAddr::V4(ip)) => request.ipv4 = Some(ip),
            Ok(IpAddr::V6(ip)) => request.ipv6 = Some(ip),
            Err(_) => {
                let mac = word.parse().map_err(|_| AddressError::Ip(word.to_owned()))?;
                request.mac = Some(mac);
            }
        }
    }
    Ok(request)
}

/// Reads `MAC [IP[/LEN]…]`: an element of `port_security`, `dynamic_addresses`, or of `addresses` when it is static.
pub fn parse_port_address(text: &str) -> Result<PortAddress, AddressError> {
    let mut words = text.split_ascii_whitespace();
    let first = words.next().ok_or(AddressError::Empty)?;
    let mac = first.parse().map_err(|_| AddressError::Mac(first.to_owned()))?;
    parse_ips(mac, words)
}

fn parse_ips<'a>(mac: EthAddr, words: impl Iterator<Item = &'a str>) -> Result<PortAddress, AddressError> {
    let mut address = PortAddress { mac, ipv4: Vec::new(), ipv6: Vec::new() };
    for word in words {
        match parse_ip(word).ok_or_else(|| AddressError::Ip(word.to_owned()))? {
            Net::V4(net) => address.ipv4.push(net),
            Net::V6(net) => address.ipv6.push(net),
        }
    }
    Ok(address)
}

/// An address with a prefix length, of either family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Net {
    /// IPv4.
    V4(Ipv4Net),
    /// IPv6.
    V6(Ipv6Net),
}

impl Net {
    /// The address.
    pub fn addr(&self) -> IpAddr {
        match self {
            Net::V4(net) => net.addr().into(),
            Net::V6(net) => net.addr().into(),
        }
    }

    /// The prefix length.
    pub fn prefix_len(&self) -> u8 {
        match self {
            Net::V4(net) => net.prefix_len(),
            Net::V6(net) => net.prefix_len(),
        }
    }
}

impl std::fmt::Display for Net {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Net::V4(net) => net.fmt(f),
            Net::V6(net) => net.fmt(f),
        }
    }
}

/// Reads `IP`, `IP/LEN` or, for IPv4, `IP/MASK`.
pub fn parse_ip(text: &str) -> Option<Net> {
    let (ip, len) = text.split_once('/').map_or((text, None), |(ip, len)| (ip, Some(len)));
    if let Ok(ip) = ip.parse::<Ipv4Addr>() {
        let len = match len {
            None => 32,
            Some(len) if len.contains('.') => kiln_types::prefix_len_v4(len.parse().ok()?)?,
            Some(len) => len.parse().ok()?,
        };
        return Ipv4Net::new(ip, len).ok().map(Net::V4);
    }
    let ip = ip.parse::<Ipv6Addr>().ok()?;
    let len = len.map_or(Some(128), |len| len.parse().ok())?;
    Ipv6Net::new(ip, len).ok().map(Net::V6)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(item: Result<AddressItem, AddressError>) -> String {
        match item {
            Ok(AddressItem::Static(a)) => {
                let ips: Vec<_> = a
                    .ipv4
                    .iter()
                    .map(ToString::to_string)
                    .chain(a.ipv6.iter().map(ToString::to_string))
                    .collect();
                format!("{} [{}]", a.mac, ips.join(" "))
            }
            Ok(AddressItem::Dynamic(d)) => format!("dynamic {:?} {:?} {:?}", d.mac, d.ipv4, d.ipv6),
            Ok(other) => format!("{other:?}"),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn each_form_of_an_address() {
        let cases = [
            ("0a:00:00:00:00:01", "0a:00:00:00:00:01 []"),
            ("0a:00:00:00:00:01 10.0.0.1 fd00::1", "0a:00:00:00:00:01 [10.0.0.1/32 fd00::1/128]"),
            ("0a:00:00:00:00:01 10.0.0.0/24", "0a:00:00:00:00:01 [10.0.0.0/24]"),
            ("0a:00:00:00:00:01 10.0.0.0/255.255.255.0", "0a:00:00:00:00:01 [10.0.0.0/24]"),
            (" unknown ", "Unknown"),
            ("router", "Router"),
            ("dynamic", "dynamic None None None"),
            ("dynamic 10.0.0.9", "dynamic None Some(10.0.0.9) None"),
            ("0a:00:00:00:00:01 dynamic", "dynamic Some(0a:00:00:00:00:01) None None"),
            ("", "error: no address"),
            ("zz", "error: `zz` is no Ethernet address"),
            ("0a:00:00:00:00:01 10.0.0.256", "error: `10.0.0.256` is no IPv4 or IPv6 address"),
            ("0a:00:00:00:00:01 10.0.0.1/33", "error: `10.0.0.1/33` is no IPv4 or IPv6 address"),
        ];
        for (input, expected) in cases {
            assert_eq!(text(parse_address(input)), expected, "{input}");
        }
    }
}
