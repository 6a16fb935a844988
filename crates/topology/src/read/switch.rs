//! `switches`.

use super::word;
use crate::file::Cursor;
use crate::mac::derived_mac;
use crate::model::{Switch, SwitchPort};
use kiln_types::EthAddr;
use std::net::{IpAddr, Ipv4Addr};

pub(super) fn read(cursor: &Cursor<'_>) -> Switch {
    let mut switch = Switch { at: cursor.origin(), ..Switch::default() };
    if cursor.is_null() {
        return switch;
    }
    let mut fields = cursor.fields("a map: the switch's ports and options");
    switch.other_config = fields.texts("other_config");
    if let Some(cursor) = fields.get("subnet") {
        switch.subnet = cursor.parsed("an IPv4 subnet, as in 10.0.1.0/24");
        insert(&mut switch, "subnet", &cursor);
    }
    if let Some(cursor) = fields.get("exclude_ips") {
        let ranges = cursor.one_or_more();
        let ranges: Vec<&str> = ranges.iter().filter_map(exclusion).collect();
        switch.other_config.insert("exclude_ips".into(), ranges.join(" "));
    }
    if let Some(cursor) = fields.get("ipv6_prefix") {
        switch.ipv6_prefix = cursor.parsed("an IPv6 prefix, as in fd00:1::/64");
        insert(&mut switch, "ipv6_prefix", &cursor);
    }
    let expected = "a map of ports by name";
    for (name, cursor) in fields.get("ports").iter().flat_map(|cursor| cursor.entries(expected)) {
        if word::is_name(name) {
            switch.ports.insert(name.to_owned(), port(name, &cursor));
        } else {
            cursor.reject::<()>("a name without spaces", format!("`{name}`"));
        }
    }
    fields.end();
    switch
}

fn insert(switch: &mut Switch, key: &str, cursor: &Cursor<'_>) {
    if let Some(text) = cursor.scalar() {
        switch.other_config.insert(key.into(), text.into());
    }
}

/// An address or a range of them that northd must not choose.
fn exclusion<'a>(cursor: &Cursor<'a>) -> Option<&'a str> {
    let expected = "an IPv4 address or a range, as in 10.0.1.2..10.0.1.10";
    let text = cursor.text(expected)?;
    let address = |text: &str| text.parse::<Ipv4Addr>().ok();
    let fits = match text.split_once("..") {
        Some((first, last)) => address(first).zip(address(last)).is_some_and(|(first, last)| first <= last),
        None => address(text).is_some(),
    };
    if fits { Some(text) } else { cursor.fail(expected) }
}

/// The values of the `type` column, but for that of a host's port, which is empty (ovn-nb(5)).
const KINDS: [&str; 9] =
    ["router", "localnet", "localport", "switch", "external", "remote", "l2gateway", "vtep", "virtual"];

/// A port. A list stands for its `ip`, a text for its `addresses`, nothing for a port of which only the MAC is known.
fn port(name: &str, cursor: &Cursor<'_>) -> SwitchPort {
    let mut port = SwitchPort { at: cursor.origin(), mac: derived_mac(name), ..SwitchPort::default() };
    if cursor.is_list() {
        port.ips = word::addresses(cursor);
        port.addresses = vec![static_entry(&port)];
    } else if cursor.is_null() {
        port.addresses = vec![static_entry(&port)];
    } else if cursor.is_map() {
        port_fields(&mut port, cursor);
    } else if let Some(entry) = entry(cursor, None) {
        port.addresses = vec![entry];
    }
    port
}

fn port_fields(port: &mut SwitchPort, cursor: &Cursor<'_>) {
    let mut fields = cursor.fields("a map, a list of addresses, `dynamic` or `unknown`");
    if let Some(cursor) = fields.get("type") {
        match cursor.scalar().filter(|kind| KINDS.contains(kind)) {
            Some(kind) => kind.clone_into(&mut port.kind),
            None => drop(cursor.fail::<()>(format!("one of {}", KINDS.join(", ")))),
        }
    }
    let mac = fields.get("mac").and_then(|cursor| word::mac(&cursor));
    port.mac = mac.unwrap_or(port.mac);
    let ip = fields.get("ip");
    port.ips = ip.iter().flat_map(word::addresses).collect();
    if ip.is_some() {
        port.addresses.push(static_entry(port));
    }
    match fields.get("addresses") {
        Some(cursor) => {
            let entries: Vec<_> = cursor.one_or_more().iter().filter_map(|c| entry(c, mac)).collect();
            adopt_first_static(port, &entries, mac.is_none() && ip.is_none());
            port.addresses.extend(entries);
        }
        None if ip.is_none() => port.addresses = default_addresses(port),
        None => {}
    }
    port.options = fields.texts("options");
    if let Some(network) = fields.get("network_name").and_then(|cursor| word::name(&cursor)) {
        port.options.insert("network_name".into(), network);
    }
    port.parent = fields.get("parent").and_then(|cursor| word::name(&cursor));
    port.tag = fields.get("tag").and_then(|cursor| cursor.number(0..=4095)).map(|tag| tag as u16);
    port.enabled = fields.flag("enabled");
    if let Some(cursor) = fields.get("port_security") {
        port.port_security = port_security(port, &cursor);
    }
    fields.end();
}

/// What the port's kind has for addresses when the file says nothing.
fn default_addresses(port: &SwitchPort) -> Vec<String> {
    match port.kind.as_str() {
        "router" => vec!["router".into()],
        "localnet" | "l2gateway" | "vtep" => vec!["unknown".into()],
        _ => vec![static_entry(port)],
    }
}

fn static_entry(port: &SwitchPort) -> String {
    let mut entry = port.mac.to_string();
    for ip in &port.ips {
        entry.push_str(&format!(" {ip}"));
    }
    entry
}

/// An entry of the `addresses` column (ovn-nb(5)): a word, or a MAC with addresses or `dynamic`.
fn entry(cursor: &Cursor<'_>, mac: Option<EthAddr>) -> Option<String> {
    let expected =
        "`dynamic`, `unknown`, `router`, or an Ethernet address followed by IP addresses or `dynamic`";
    let text = cursor.text(expected)?;
    match text {
        "dynamic" => return Some(mac.map_or(text.to_owned(), |mac| format!("{mac} dynamic"))),
        "unknown" | "router" => return Some(text.to_owned()),
        _ => {}
    }
    let mut words = text.split_whitespace();
    let first = words.next().unwrap_or_default();
    let rest_fits = words.all(|word| word == "dynamic" || word.parse::<IpAddr>().is_ok());
    let dynamic_with_address = first == "dynamic" && text.split_whitespace().count() > 1;
    if rest_fits && (first.parse::<EthAddr>().is_ok() || dynamic_with_address) {
        return Some(text.to_owned());
    }
    cursor.fail(expected)
}

/// Takes the MAC and the addresses of what is behind the port from the first entry that states them.
fn adopt_first_static(port: &mut SwitchPort, entries: &[String], take: bool) {
    let Some((mac, ips)) = entries.iter().find_map(|entry| {
        let mut words = entry.split_whitespace();
        Some((words.next()?.parse::<EthAddr>().ok()?, words.filter_map(|word| word.parse().ok()).collect()))
    }) else {
        return;
    };
    if take {
        (port.mac, port.ips) = (mac, ips);
    }
}

/// `true` for the port's own addresses, or entries as the column has them.
fn port_security(port: &SwitchPort, cursor: &Cursor<'_>) -> Vec<String> {
    if !cursor.is_list() {
        return match cursor.flag() {
            Some(true) if port.is_dynamic() => {
                cursor.fail::<()>("a list, as the addresses are northd's to choose");
                Vec::new()
            }
            Some(true) => vec![static_entry(port)],
            _ => Vec::new(),
        };
    }
    cursor
        .list("")
        .iter()
        .filter_map(|cursor| {
            let expected = "an Ethernet address, followed by IP addresses or prefixes";
            let text = cursor.text(expected)?;
            let mut words = text.split_whitespace();
            let mac = words.next().is_some_and(|word| word.parse::<EthAddr>().is_ok());
            let is_net =
                |word: &str| word.parse::<IpAddr>().is_ok() || word.parse::<kiln_types::IpNet>().is_ok();
            if mac && words.all(is_net) { Some(text.to_owned()) } else { cursor.fail(expected) }
        })
        .collect()
}
