//! DHCP options, DHCPv6 options and router advertisements, as the controller takes them: ready for the packet.

use super::{Encoder, userdata};
use crate::error::ActionProblem;
use kiln_abi::opcodes::Opcode;
use kiln_logical::action::{OptionValue, OptionsOf, Value, ra};
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

/// The offered address; boot file and next server, which the controller looks for first; the other options.
fn dhcpv4(mut data: Vec<u8>, options: &[OptionValue<'_>]) -> Result<Vec<u8>, ActionProblem> {
    for option in options.iter().filter(|o| o.def.code == dhcpv4::OFFER_IP).take(1) {
        named(option, numbers(&mut data, option, OptionKind::Ipv4))?;
    }
    let first = [dhcpv4::BOOTFILE, dhcpv4::BOOTFILE_ALT, dhcpv4::NEXT_SERVER];
    for code in first {
        for option in options.iter().filter(|o| o.def.code == code).take(1) {
            dhcpv4_option(&mut data, option)?;
        }
    }
    let rest = options.iter().filter(|o| o.def.code != dhcpv4::OFFER_IP && !first.contains(&o.def.code));
    for option in rest {
        dhcpv4_option(&mut data, option)?;
    }
    Ok(data)
}

/// Code, length and value, a byte each but the value (RFC 2132, section 2).
fn dhcpv4_option(data: &mut Vec<u8>, option: &OptionValue<'_>) -> Result<(), ActionProblem> {
    data.push(option.def.code as u8);
    let len_at = data.len();
    data.push(0);
    named(option, value(data, option))?;
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
        named(option, value(&mut data, option))?;
        let len = data.len() - len_at - 2;
        let short = u16::try_from(len).map_err(|_| format!("expected at most 65535 bytes, found {len}"));
        data[len_at..len_at + 2].copy_from_slice(&named(option, short)?.to_be_bytes());
    }
    Ok(data)
}

fn value(data: &mut Vec<u8>, option: &OptionValue<'_>) -> Encoded {
    match (option.def.kind, &option.value) {
        (OptionKind::Domains, Value::Text(text)) => domains(data, text),
        (OptionKind::Domain, Value::Text(text)) => domain(data, text),
        (_, Value::Text(text)) => {
            data.extend_from_slice(text.as_bytes());
            Ok(())
        }
        (OptionKind::HostId, Value::Numbers(_)) => numbers(data, option, OptionKind::Ipv4),
        (kind, Value::Numbers(_)) => numbers(data, option, kind),
    }
}

fn numbers(data: &mut Vec<u8>, option: &OptionValue<'_>, kind: OptionKind) -> Encoded {
    let Value::Numbers(numbers) = &option.value else {
        return Err("expected a number, found a string".to_owned());
    };
    let (n_bytes, several) = match kind {
        OptionKind::Bool | OptionKind::Uint8 => (1, false),
        OptionKind::Uint16 => (2, false),
        OptionKind::Uint32 => (4, false),
        OptionKind::Ipv4 => (4, true),
        OptionKind::Ipv6 => (16, true),
        OptionKind::Mac => (6, false),
        OptionKind::StaticRoutes => return static_routes(data, numbers),
        OptionKind::Str | OptionKind::HostId | OptionKind::Domains | OptionKind::Domain => {
            return Err("expected a string, found a number".to_owned());
        }
    };
    if !several && numbers.len() != 1 {
        return Err(format!("expected one value, found {}", numbers.len()));
    }
    for number in numbers {
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
        data.push(len as u8);
        data.extend_from_slice(&ipv4(destination)?.to_be_bytes()[..len.div_ceil(8) as usize]);
        data.extend_from_slice(&ipv4(gateway)?.to_be_bytes());
    }
    Ok(())
}

/// One label: its length and its bytes (RFC 1035, section 3.1).
fn label(data: &mut Vec<u8>, label: &str) -> Encoded {
    match u8::try_from(label.len()) {
        Ok(len @ 1..=63) => {
            data.push(len);
            data.extend_from_slice(label.as_bytes());
            Ok(())
        }
        _ => Err(format!("expected labels of 1 to 63 bytes, found {label:?}")),
    }
}

/// A name: labels, and the root's.
fn domain(data: &mut Vec<u8>, name: &str) -> Encoded {
    name.split('.').try_for_each(|part| label(data, part))?;
    data.push(0);
    Ok(())
}

/// What a label starts with that points to an earlier name (RFC 1035, section 4.1.4).
const POINTER: u16 = 0xc000;
/// How far a pointer reaches.
const MAX_POINTER: usize = 0x3fff;

/// Names separated by commas, compressed within the option (RFC 3397, section 2).
fn domains(data: &mut Vec<u8>, names: &str) -> Encoded {
    let start = data.len();
    let mut seen: Vec<(&str, usize)> = Vec::new();
    for name in names.split(',').map(str::trim) {
        let mut rest = name;
        loop {
            if let Some((_, at)) = seen.iter().find(|(suffix, _)| *suffix == rest) {
                data.extend_from_slice(&(POINTER | *at as u16).to_be_bytes());
                break;
            }
            let at = data.len() - start;
            if at <= MAX_POINTER {
                seen.push((rest, at));
            }
            let (first, after) =
                rest.split_once('.').map_or((rest, None), |(first, after)| (first, Some(after)));
            label(data, first)?;
            match after {
                Some(after) => rest = after,
                None => {
                    data.push(0);
                    break;
                }
            }
        }
        if data.len() - start > usize::from(u8::MAX) {
            return Err("expected names of at most 255 bytes together".to_owned());
        }
    }
    Ok(())
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
        match (option.def.code, &option.value) {
            (ra::ADDR_MODE, Value::Text(mode)) => {
                flags |= match mode.as_ref() {
                    "dhcpv6_stateful" => ra_flags::MANAGED,
                    "dhcpv6_stateless" => ra_flags::OTHER,
                    _ => 0,
                };
            }
            (ra::ROUTER_PREFERENCE, Value::Text(text)) => flags |= named(option, preference(text))?,
            _ => {}
        }
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
    match (option.def.code, &option.value) {
        (ra::SLLA, Value::Numbers(_)) => {
            data.extend_from_slice(&[1, 1]);
            numbers(data, option, OptionKind::Mac)
        }
        (ra::MTU, Value::Numbers(_)) => {
            data.extend_from_slice(&[5, 1, 0, 0]);
            numbers(data, option, OptionKind::Uint32)
        }
        (ra::PREFIX, Value::Numbers(numbers)) => {
            let autonomous = if managed { 0 } else { ra_flags::AUTONOMOUS };
            for prefix in numbers {
                let len = prefix.mask.map_or(128, |m| m.leading_ones() as u8);
                data.extend_from_slice(&[3, 4, len, ra_flags::ON_LINK | autonomous]);
                data.extend_from_slice(&FOREVER);
                data.extend_from_slice(&FOREVER);
                data.extend_from_slice(&[0; 4]);
                data.extend_from_slice(&prefix.value.to_be_bytes());
            }
            Ok(())
        }
        (ra::RDNSS, Value::Numbers(servers)) => {
            data.extend_from_slice(&[25, 1 + 2 * servers.len() as u8, 0, 0]);
            data.extend_from_slice(&FOREVER);
            numbers(data, option, OptionKind::Ipv6)
        }
        (ra::DNSSL, Value::Text(text)) => dnssl(data, text),
        (ra::ROUTE_INFO, Value::Text(text)) => {
            text.split(',').try_for_each(|route| route_info(data, route.trim()))
        }
        _ => Ok(()),
    }
}

/// RFC 8106, section 5.2: names, padded to units of eight bytes.
fn dnssl(data: &mut Vec<u8>, names: &str) -> Encoded {
    let at = data.len();
    data.extend_from_slice(&[31, 0, 0, 0]);
    data.extend_from_slice(&FOREVER);
    names.split(',').try_for_each(|name| domain(data, name.trim()))?;
    let units = (data.len() - at).div_ceil(8);
    data.resize(at + 8 * units, 0);
    data[at + 1] =
        u8::try_from(units).map_err(|_| "expected names of at most 2032 bytes together".to_owned())?;
    Ok(())
}

/// `PREFERENCE-PREFIX` (RFC 4191, section 2.3).
fn route_info(data: &mut Vec<u8>, route: &str) -> Encoded {
    let expected = || format!("expected routes as in HIGH-fd00::/64, found {route:?}");
    let (preferred, prefix) = route.split_once('-').ok_or_else(expected)?;
    let prefix: kiln_types::Ipv6Net = prefix.parse().map_err(|_| expected())?;
    let units = 1 + prefix.prefix_len().div_ceil(64);
    data.extend_from_slice(&[24, units, prefix.prefix_len(), preference(preferred)?]);
    data.extend_from_slice(&FOREVER);
    data.extend_from_slice(&prefix.network().octets()[..8 * usize::from(units - 1)]);
    Ok(())
}
