//! DHCP options, DHCPv6 options and router advertisements, as the controller takes them: ready for the packet.

use super::{Encoder, userdata};
use crate::error::ActionProblem;
use kiln_abi::opcodes::Opcode;
use kiln_logical::action::advertised::{MAX_LABEL_BYTES, Route, labels, listed};
use kiln_logical::action::{OptionValue, OptionsOf, ra};
use kiln_logical::constant::Constant;
use kiln_logical::env::OptionKind;
use kiln_openflow::Subfield;

/// DHCPv4 codes with a meaning of their own here.
mod dhcpv4 {
    /// The offered address: no option, but what the answer is about.
    pub(super) const OFFER_IP: u16 = 0;
    /// Boot file name (RFC 2132, section 9.5).
    pub(super) const BOOTFILE: u16 = 67;
    /// The next server's address, which goes into the header.
    pub(super) const NEXT_SERVER: u16 = 253;
    /// Another boot file, for clients that already run iPXE.
    pub(super) const BOOTFILE_ALT: u16 = 254;
}

type Encoded<T = ()> = Result<T, String>;

impl Encoder<'_> {
    pub(super) fn put_options(
        &mut self,
        dst: Subfield,
        of: OptionsOf,
        options: &[OptionValue<'_>],
    ) -> Result<(), ActionProblem> {
        let data = match of {
            OptionsOf::Dhcpv4 => dhcpv4(userdata::with_result(Opcode::PUT_DHCP_OPTS, dst), options),
            OptionsOf::Dhcpv6 => dhcpv6(userdata::with_result(Opcode::PUT_DHCPV6_OPTS, dst), options),
            OptionsOf::RouterAdvertisement => {
                router_advertisement(userdata::with_result(Opcode::PUT_ND_RA_OPTS, dst), options)
            }
        }?;
        self.controller(data, true);
        Ok(())
    }
}

/// Adds which option it was about.
fn named<T>(option: &OptionValue<'_>, result: Encoded<T>) -> Result<T, ActionProblem> {
    result.map_err(|problem| ActionProblem::Option { option: option.name.to_owned(), problem })
}

/// The offered address; boot file and next server, which the controller looks for first; the other options. Of what the controller
/// looks for, what comes again is among the others.
fn dhcpv4(mut data: Vec<u8>, options: &[OptionValue<'_>]) -> Result<Vec<u8>, ActionProblem> {
    let mut rest: Vec<_> = options.iter().collect();
    let mut take = |code| rest.iter().position(|o| o.def.code == code).map(|at| rest.remove(at));
    let offer = take(dhcpv4::OFFER_IP);
    let first = [dhcpv4::BOOTFILE, dhcpv4::BOOTFILE_ALT, dhcpv4::NEXT_SERVER].map(take);
    if let Some(offer) = offer {
        named(offer, numbers(&mut data, first_of(offer), OptionKind::Ipv4))?;
    }
    for option in first.into_iter().flatten() {
        dhcpv4_option(&mut data, option, true)?;
    }
    for option in rest {
        if option.def.code == dhcpv4::OFFER_IP {
            return named(option, Err("expected one address to offer, found it again".to_owned()));
        }
        dhcpv4_option(&mut data, option, false)?;
    }
    Ok(data)
}

/// Code, length and value, a byte each but the value (RFC 2132, section 2).
fn dhcpv4_option(data: &mut Vec<u8>, option: &OptionValue<'_>, one: bool) -> Result<(), ActionProblem> {
    data.push(option.def.code as u8);
    let len_at = data.len();
    data.push(0);
    named(option, value(data, option, one))?;
    let len = data.len() - len_at - 1;
    data[len_at] =
        named(option, u8::try_from(len).map_err(|_| format!("expected at most 255 bytes, found {len}")))?;
    Ok(())
}

/// Code and length of two bytes each, and value (RFC 8415, section 21.1).
fn dhcpv6(mut data: Vec<u8>, options: &[OptionValue<'_>]) -> Result<Vec<u8>, ActionProblem> {
    for option in options {
        data.extend_from_slice(&option.def.code.to_be_bytes());
        let len_at = data.len();
        data.extend_from_slice(&[0; 2]);
        named(option, value(&mut data, option, false))?;
        let len = data.len() - len_at - 2;
        let short = u16::try_from(len).map_err(|_| format!("expected at most 65535 bytes, found {len}"));
        data[len_at..len_at + 2].copy_from_slice(&named(option, short)?.to_be_bytes());
    }
    Ok(data)
}

/// The value, or the values if there is room for several and not `one` is wanted.
fn value(data: &mut Vec<u8>, option: &OptionValue<'_>, one: bool) -> Encoded {
    match (option.def.kind, option.text()) {
        (OptionKind::Domains, Some(text)) => domains(data, text),
        (OptionKind::Domain, Some(text)) => domain(data, text),
        (_, Some(text)) => {
            data.extend_from_slice(text.as_bytes());
            Ok(())
        }
        (OptionKind::HostId, None) => numbers(data, first_of(option), OptionKind::Ipv4),
        (kind, None) if one => numbers(data, first_of(option), kind),
        (kind, None) => numbers(data, option.numbers(), kind),
    }
}

fn first_of<'o>(option: &'o OptionValue<'_>) -> &'o [Constant] {
    option.numbers().get(..1).unwrap_or_default()
}

/// Of several numbers the first, where there is room for one.
fn numbers(data: &mut Vec<u8>, numbers: &[Constant], kind: OptionKind) -> Encoded {
    let (n_bytes, max) = match kind {
        OptionKind::Bool | OptionKind::Uint8 => (1, 1),
        OptionKind::Uint16 => (2, 1),
        OptionKind::Uint32 => (4, 1),
        OptionKind::Ipv4 => (4, usize::MAX),
        OptionKind::Ipv6 => (16, usize::MAX),
        OptionKind::Mac => (6, 1),
        OptionKind::StaticRoutes => return static_routes(data, numbers),
        OptionKind::Str | OptionKind::HostId | OptionKind::Domains | OptionKind::Domain => {
            return Err("expected a string, found a number".to_owned());
        }
    };
    if numbers.is_empty() {
        return Err("expected a number, found a string".to_owned());
    }
    for number in numbers.iter().take(max) {
        if u32::from(number.width()) > 8 * n_bytes {
            return Err(format!("expected a value of {n_bytes} bytes, found {number}"));
        }
        data.extend_from_slice(&number.value.to_be_bytes()[16 - n_bytes as usize..]);
    }
    Ok(())
}

/// Pairs of destination and gateway: prefix length, the prefix's significant octets, the gateway (RFC 3442).
fn static_routes(data: &mut Vec<u8>, numbers: &[Constant]) -> Encoded {
    let (pairs, odd) = numbers.as_chunks::<2>();
    if !odd.is_empty() {
        return Err("expected pairs of destination and gateway".to_owned());
    }
    for [destination, gateway] in pairs {
        let ipv4 =
            |c: &Constant| u32::try_from(c.value).map_err(|_| format!("expected IPv4 addresses, found {c}"));
        let mask = destination.mask.map_or(u32::MAX, |m| m as u32);
        let len = mask.leading_ones();
        if mask.count_ones() != len {
            return Err(format!("expected prefixes, found {destination}"));
        }
        data.push(len as u8);
        data.extend_from_slice(&ipv4(destination)?.to_be_bytes()[..len.div_ceil(8) as usize]);
        data.extend_from_slice(&ipv4(gateway)?.to_be_bytes());
    }
    Ok(())
}

/// One label: its length and its bytes (RFC 1035, section 3.1).
fn label(data: &mut Vec<u8>, label: &str) -> Encoded {
    if label.len() > MAX_LABEL_BYTES {
        return Err(format!("expected labels of at most {MAX_LABEL_BYTES} bytes, found {label:?}"));
    }
    data.push(label.len() as u8);
    data.extend_from_slice(label.as_bytes());
    Ok(())
}

/// A name: labels, and the root's. An empty one counts, as in stock.
fn domain(data: &mut Vec<u8>, name: &str) -> Encoded {
    name.split('.').try_for_each(|part| label(data, part))?;
    data.push(0);
    Ok(())
}

/// What a label starts with that points to an earlier name (RFC 1035, section 4.1.4).
const POINTER: u16 = 0xc000;
/// The longest option.
const MAX_NAMES: usize = 255;

/// Names separated by commas, compressed within the option (RFC 3397, section 2). Names are the same as they are written: `a.b.` is
/// no end of `a.b`.
fn domains(data: &mut Vec<u8>, names: &str) -> Encoded {
    let start = data.len();
    let mut seen: Vec<(&str, usize)> = Vec::new();
    for name in listed(names) {
        compressed(data, start, name, &mut seen)?;
    }
    Ok(())
}

/// Labels up to the end, or up to what was `seen` before at that place of the option. Empty ones are left out.
fn compressed<'t>(
    data: &mut Vec<u8>,
    start: usize,
    name: &'t str,
    seen: &mut Vec<(&'t str, usize)>,
) -> Encoded {
    let mut rest = name;
    loop {
        if let Some((_, at)) = seen.iter().find(|(suffix, _)| *suffix == rest) {
            data.extend_from_slice(&(POINTER | *at as u16).to_be_bytes());
            return Ok(());
        }
        let labels = rest.trim_start_matches('.');
        if labels.is_empty() {
            data.push(0);
            return Ok(());
        }
        let at = data.len() - start;
        if at > MAX_NAMES {
            return Err(format!("expected names of at most {MAX_NAMES} bytes together"));
        }
        seen.push((rest, at));
        let (first, after) = labels.split_once('.').unwrap_or((labels, ""));
        label(data, first)?;
        rest = after;
    }
}

/// Bits of a router advertisement's flags (RFC 4861, section 4.2; RFC 4191, section 2.2).
mod ra_flags {
    /// Addresses by DHCPv6.
    pub(super) const MANAGED: u8 = 0x80;
    /// Other configuration by DHCPv6.
    pub(super) const OTHER: u8 = 0x40;
    /// A router to be preferred.
    pub(super) const HIGH: u8 = 0x08;
    /// A router of last resort.
    pub(super) const LOW: u8 = 0x18;
    /// Of a prefix: on this link.
    pub(super) const ON_LINK: u8 = 0x80;
    /// Of a prefix: for addresses without DHCPv6.
    pub(super) const AUTONOMOUS: u8 = 0x40;
}

fn preference(text: &str) -> Encoded<u8> {
    match text {
        "HIGH" => Ok(ra_flags::HIGH),
        "MEDIUM" => Ok(0),
        "LOW" => Ok(ra_flags::LOW),
        _ => Err(format!("expected HIGH, MEDIUM or LOW, found {text:?}")),
    }
}

/// The whole ICMPv6 message, checksum zero (RFC 4861, section 4.2).
fn router_advertisement(mut data: Vec<u8>, options: &[OptionValue<'_>]) -> Result<Vec<u8>, ActionProblem> {
    let mut flags = 0;
    for option in options {
        let text = option.text().unwrap_or_default();
        flags |= match (option.def.code, text) {
            (ra::ADDR_MODE, "dhcpv6_stateful") => ra_flags::MANAGED,
            (ra::ADDR_MODE, "dhcpv6_stateless") => ra_flags::OTHER,
            (ra::ROUTER_PREFERENCE, _) => named(option, preference(text))?,
            _ => 0,
        };
    }
    // Type 134, code, checksum; hop limit 255, flags, lifetime; reachable time and retransmission timer unspecified.
    data.extend_from_slice(&[134, 0, 0, 0, 255, flags, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0]);
    for option in options {
        named(option, ra_option(&mut data, option, flags & ra_flags::MANAGED != 0))?;
    }
    Ok(data)
}

/// A lifetime without end.
const FOREVER: [u8; 4] = [0xff; 4];

fn ra_option(data: &mut Vec<u8>, option: &OptionValue<'_>, managed: bool) -> Encoded {
    let (values, text) = (option.numbers(), option.text().unwrap_or_default());
    match option.def.code {
        ra::SLLA => {
            data.extend_from_slice(&[1, 1]);
            numbers(data, values, OptionKind::Mac)
        }
        ra::MTU => {
            data.extend_from_slice(&[5, 1, 0, 0]);
            numbers(data, values, OptionKind::Uint32)
        }
        ra::PREFIX => {
            let autonomous = if managed { 0 } else { ra_flags::AUTONOMOUS };
            for prefix in values {
                let len = prefix.mask.map_or(128, |m| m.leading_ones() as u8);
                data.extend_from_slice(&[3, 4, len, ra_flags::ON_LINK | autonomous]);
                data.extend_from_slice(&FOREVER);
                data.extend_from_slice(&FOREVER);
                data.extend_from_slice(&[0; 4]);
                data.extend_from_slice(&prefix.value.to_be_bytes());
            }
            Ok(())
        }
        ra::RDNSS => {
            data.extend_from_slice(&[25, 1 + 2 * values.len() as u8, 0, 0]);
            data.extend_from_slice(&FOREVER);
            numbers(data, values, OptionKind::Ipv6)
        }
        ra::DNSSL => dnssl(data, text),
        ra::ROUTE_INFO => listed(text).try_for_each(|route| route_info(data, route)),
        _ => Ok(()),
    }
}

/// RFC 8106, section 5.2: names, padded to units of eight bytes.
fn dnssl(data: &mut Vec<u8>, names: &str) -> Encoded {
    let at = data.len();
    data.extend_from_slice(&[31, 0, 0, 0]);
    data.extend_from_slice(&FOREVER);
    for name in listed(names) {
        labels(name).try_for_each(|part| label(data, part))?;
        data.push(0);
    }
    let units = (data.len() - at).div_ceil(8);
    data.resize(at + 8 * units, 0);
    data[at + 1] =
        u8::try_from(units).map_err(|_| "expected names of at most 2032 bytes together".to_owned())?;
    Ok(())
}

/// RFC 4191, section 2.3.
fn route_info(data: &mut Vec<u8>, route: &str) -> Encoded {
    let Some(Route { preference: preferred, prefix }) = Route::read(route)? else { return Ok(()) };
    let units = 1 + prefix.prefix_len().div_ceil(64);
    data.extend_from_slice(&[24, units, prefix.prefix_len(), preference(preferred).unwrap_or(0)]);
    data.extend_from_slice(&FOREVER);
    data.extend_from_slice(&prefix.network().octets()[..8 * usize::from(units - 1)]);
    Ok(())
}
