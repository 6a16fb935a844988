//! What the texts `dnssl` and `route_info` of router advertisements say: northds write them into `put_nd_ra_opts` for solicited ones,
//! and into `Port_Binding.options` for those that nobody asks for.

use kiln_types::Ipv6Net;
use std::net::Ipv6Addr;

/// The entries between commas. Spaces around them are skipped, and empty ones left out.
pub fn listed(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|entry| !entry.is_empty())
}

/// The most bytes of a label: what is above says something else (RFC 1035, section 4.1.4).
pub const MAX_LABEL_BYTES: usize = 63;

/// The labels of a name. Empty ones are left out, as in stock.
pub fn labels(name: &str) -> impl Iterator<Item = &str> {
    name.split('.').filter(|label| !label.is_empty())
}

/// A route that is advertised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route<'t> {
    /// How much it is preferred: `HIGH`, `MEDIUM` or `LOW`. As in stock, what is none of these is medium.
    pub preference: &'t str,
    /// Where it leads.
    pub prefix: Ipv6Net,
}

impl<'t> Route<'t> {
    /// Reads `PREFERENCE-PREFIX`. As in stock, what lacks preference or prefix is no route, and what follows is passed over; a
    /// prefix may be an address alone, or have a mask.
    pub fn read(text: &'t str) -> Result<Option<Route<'t>>, String> {
        let mut parts = text.split('-').map(str::trim).filter(|part| !part.is_empty());
        let (Some(preference), Some(prefix)) = (parts.next(), parts.next()) else { return Ok(None) };
        let prefix = prefix_of(prefix)
            .ok_or_else(|| format!("expected routes as in HIGH-fd00::/64, found {text:?}"))?;
        Ok(Some(Route { preference, prefix }))
    }
}

/// An address, perhaps with the prefix's length or mask.
fn prefix_of(text: &str) -> Option<Ipv6Net> {
    let Some((ip, mask)) = text.split_once('/') else { return text.parse().map(Ipv6Addr::into).ok() };
    match mask.parse() {
        Ok::<Ipv6Addr, _>(mask) => Ipv6Net::with_netmask(ip.parse().ok()?, mask).ok(),
        Err(_) => text.parse().ok(),
    }
}
