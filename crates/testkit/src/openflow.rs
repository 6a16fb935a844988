//! A chassis' OpenFlow tables in a form in which equal means equal: names in place of the numbers that each controller
//! chooses for itself (ports, conntrack zones, groups, conjunctions), matches in order.

use crate::database::Row;
use crate::southbound::insert;
use crate::{Chassis, Database, Lab};
use std::collections::{BTreeMap, BTreeSet};

/// What a switch holds, one line an item.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// Flows.
    pub flows: BTreeSet<String>,
    /// Groups, meters and tunnel options.
    pub rest: BTreeSet<String>,
}

/// Names of numbers.
#[derive(Debug, Default)]
struct Names {
    ports: BTreeMap<u64, String>,
    zones: BTreeMap<u64, String>,
    groups: BTreeMap<String, String>,
    /// By `meter_id=` and their number.
    meters: BTreeMap<String, String>,
    conjunctions: BTreeMap<String, String>,
}

#[derive(Debug)]
struct Flow<'a> {
    cookie: &'a str,
    table: &'a str,
    matches: Vec<String>,
    actions: Vec<String>,
}

/// Reads what a chassis' integration bridge holds.
#[track_caller]
pub fn read(lab: &Lab, chassis: &Chassis) -> Tables {
    let mut names = Names {
        ports: lab.rows(&chassis.server, Database::Switch, "Interface").iter().filter_map(port).collect(),
        zones: zones(&lab.ask(&chassis.controller, "ct-zone-list")),
        ..Names::default()
    };
    let mut tables = Tables::default();
    for line in lab.ofctl(chassis, "dump-groups BR").lines().skip(1) {
        let (id, text) = line.trim().split_once(',').expect("a group has an id and a type");
        names.groups.insert(id.replace("group_id=", "group:"), format!("group:<{text}>"));
        insert(&mut tables.rest, format!("group {text}"));
    }
    let text = lab.ofctl(chassis, "--no-stats --names dump-flows BR");
    let (own, flows): (Vec<Flow<'_>>, Vec<Flow<'_>>) = text.lines().filter_map(parse).partition(Flow::is_own);
    let own_meters: BTreeSet<&str> = own
        .iter()
        .flat_map(|flow| &flow.actions)
        .filter_map(|action| action.strip_prefix("meter:"))
        .collect();
    // A meter is a line, and a line for each of its bands.
    let (mut is_own, mut meter) = (false, String::new());
    for line in lab.ofctl(chassis, "dump-meters BR").lines().skip(1) {
        let text = line.trim();
        if let Some(id) = text.split_whitespace().next().and_then(|word| word.strip_prefix("meter=")) {
            is_own = own_meters.contains(id);
            meter = format!("meter_id={id}");
        }
        if is_own || text.is_empty() {
            continue;
        }
        let told = text.split_once(' ').map_or(text, |(_, text)| text);
        names.meters.entry(meter.clone()).or_default().push_str(told);
        insert(&mut tables.rest, told.to_owned());
    }
    for line in lab.ofctl(chassis, "dump-tlv-map BR").lines().filter(|line| line.contains("tun_metadata")) {
        insert(&mut tables.rest, format!("option {}", line.split_whitespace().collect::<Vec<_>>().join(" ")));
    }
    names.conjunctions = conjunctions(&flows, &names);
    for flow in &flows {
        insert(&mut tables.flows, names.line(flow, None));
    }
    tables
}

/// The tables in which Kiln alone has flows: meters of ports, ahead of what is handed up.
const OWN_TABLES: std::ops::RangeInclusive<u8> = 240..=247;
/// What Kiln writes into `in_port` so that a packet may go back to where it came from, and what stock writes.
const LOOPED: (&str, &str) = ("set_field:32768/0x8000->in_port", "set_field:ANY->in_port");

impl Flow<'_> {
    fn is_own(&self) -> bool {
        self.table.parse().is_ok_and(|table| OWN_TABLES.contains(&table))
    }
}

/// What an action is without what Kiln alone has, if there is anything.
fn common(action: String) -> Option<String> {
    let leads_there = |table: u8| action == format!("resubmit(,{table})");
    if OWN_TABLES.into_iter().any(leads_there) {
        return None;
    }
    Some(if action == LOOPED.0 { LOOPED.1.to_owned() } else { action })
}

/// A flow's actions, as text, without the detour by which Kiln alone meters what a port hands up.
pub fn without_port_meters(actions: &str) -> String {
    OWN_TABLES.fold(actions.to_owned(), |text, table| text.replace(&format!("resubmit(,{table}),"), ""))
}

/// The number of an interface's port and what it is called.
fn port(interface: &Row) -> Option<(u64, String)> {
    Some((interface["ofport"].as_u64()?, interface["name"].as_str()?.to_owned()))
}

/// The lines `NAME ZONE` of `ct-zone-list`. Routers may ask for the same zone: it has the first of their names, in whatever order
/// they are listed.
fn zones(text: &str) -> BTreeMap<u64, String> {
    let zone = |line: &str| {
        let (name, zone) = line.trim().rsplit_once(' ')?;
        Some((zone.parse().ok()?, name.to_owned()))
    };
    let mut zones: Vec<(u64, String)> = text.lines().filter_map(zone).collect();
    zones.sort();
    zones.dedup_by_key(|(zone, _)| *zone);
    zones.into_iter().collect()
}

fn parse(line: &str) -> Option<Flow<'_>> {
    let (head, actions) = line.trim().split_once(" actions=")?;
    let (mut cookie, mut table, mut matches) = ("0", "0", Vec::new());
    for part in head.split(',').map(str::trim) {
        match part.split_once('=') {
            Some(("cookie", value)) => cookie = value,
            Some(("table", value)) => table = value,
            _ => matches.push(part.to_owned()),
        }
    }
    let actions = split(actions).into_iter().filter_map(common).collect();
    Some(Flow { cookie, table, matches, actions })
}

/// Actions, those in parentheses kept together.
fn split(text: &str) -> Vec<String> {
    let (mut parts, mut part, mut depth) = (Vec::new(), String::new(), 0);
    for letter in text.chars() {
        depth += i32::from(letter == '(') - i32::from(letter == ')');
        if letter == ',' && depth == 0 {
            parts.push(std::mem::take(&mut part));
        } else {
            part.push(letter);
        }
    }
    parts.push(part);
    parts
}

/// What each conjunction leads to, which is what tells one from another.
fn conjunctions(flows: &[Flow<'_>], names: &Names) -> BTreeMap<String, String> {
    let mut leads: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for flow in flows {
        for id in flow.matches.iter().filter_map(|part| part.strip_prefix("conj_id=")) {
            leads.entry(id.to_owned()).or_default().insert(names.line(flow, Some(id)));
        }
    }
    let name = |lines: BTreeSet<String>| lines.into_iter().collect::<Vec<_>>().join(" and ");
    leads.into_iter().map(|(id, lines)| (id, format!("<{}>", name(lines)))).collect()
}

impl Names {
    /// A flow with names. `own` is the conjunction that is being named.
    fn line(&self, flow: &Flow<'_>, own: Option<&str>) -> String {
        let mut matches: Vec<String> = Vec::new();
        for part in &flow.matches {
            match part.strip_prefix("conj_id=") {
                Some(id) if own == Some(id) => {}
                Some(_) => matches.push("conj_id".into()),
                None => matches.push(self.port(part, "in_port=").unwrap_or_else(|| part.clone())),
            }
        }
        matches.sort();
        let mut actions: Vec<String> = flow.actions.iter().map(|action| self.action(action)).collect();
        if actions.iter().all(|action| action.starts_with("conjunction(")) {
            actions.sort();
        }
        // Packets leave by all of them, in an order that means nothing.
        let is_output = |action: &String| action.starts_with("output:");
        for outputs in actions.chunk_by_mut(|one, next| is_output(one) && is_output(next)) {
            outputs.sort();
        }
        let (matches, actions) = (matches.join(","), actions.join(","));
        format!("table={} {matches} actions={actions} cookie={}", flow.table, flow.cookie)
    }

    /// A port that `ovs-ofctl` has to tell by its number, since another one's name begins with the same fifteen letters.
    fn port(&self, text: &str, what: &str) -> Option<String> {
        Some(format!("{what}{:?}", self.ports.get(&text.strip_prefix(what)?.parse().ok()?)?))
    }

    fn action(&self, action: &str) -> String {
        if let Some(output) = self.port(action, "output:") {
            return output;
        }
        if let Some(name) = self.groups.get(action) {
            return name.clone();
        }
        if let Some(inside) = action.strip_prefix("clone(").and_then(|inside| inside.strip_suffix(')')) {
            let inside: Vec<String> = split(inside).iter().map(|action| self.action(action)).collect();
            return format!("clone({})", inside.join(","));
        }
        if let Some((id, rest)) =
            action.strip_prefix("conjunction(").and_then(|inside| inside.split_once(','))
        {
            let name = self.conjunctions.get(id).map_or("<leads nowhere>", String::as_str);
            return format!("conjunction({name},{rest}");
        }
        if let Some((before, meter)) = action.strip_suffix(')').and_then(|inside| inside.rsplit_once(','))
            && let Some(told) = self.meters.get(meter)
        {
            return format!("{before},meter:<{told}>)");
        }
        self.field(action).unwrap_or_else(|| action.to_owned())
    }

    /// A register that is set to a conntrack zone or to a port's number.
    fn field(&self, action: &str) -> Option<String> {
        let (value, field) = action.strip_prefix("set_field:")?.split_once("->")?;
        let (value, mask) = value.split_once('/').unwrap_or((value, ""));
        let number = match value.strip_prefix("0x") {
            Some(hex) => u64::from_str_radix(hex, 16).ok()?,
            None => value.parse().ok()?,
        };
        let (kind, name) = match (field, mask) {
            ("reg13", "0xffff") | ("reg11" | "reg12", "") => ("zone", self.zones.get(&number)?),
            ("reg5", "0xffff0000") => ("port", self.ports.get(&(number >> 16))?),
            _ => return None,
        };
        Some(format!("set_field:<{kind} {name}>->{field}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_are_chosen_freely_become_names() {
        let dump = " cookie=0x1, priority=9,conj_id=7,ip actions=set_field:0x3/0xffff->reg13,resubmit(,8)\n \
                    cookie=0x1, table=8, priority=9,in_port=\"a\",ip actions=conjunction(7,1/2)";
        let flows: Vec<_> = dump.lines().filter_map(parse).collect();
        let mut names = Names {
            zones: zones("sw0_dnat 3\n"),
            ports: BTreeMap::from([(1, "a".into())]),
            ..Names::default()
        };
        names.conjunctions = conjunctions(&flows, &names);
        let lead = "actions=set_field:<zone sw0_dnat>->reg13,resubmit(,8) cookie=0x1";
        let lines: Vec<_> = flows.iter().map(|flow| names.line(flow, None)).collect();
        assert_eq!(lines[0], format!("table=0 conj_id,ip,priority=9 {lead}"));
        let name = format!("<table=0 ip,priority=9 {lead}>");
        let tail = format!("actions=conjunction({name},1/2) cookie=0x1");
        assert_eq!(lines[1], format!("table=8 in_port=\"a\",ip,priority=9 {tail}"));
        assert_eq!(names.action("set_field:0x10000/0xffff0000->reg5"), "set_field:<port a>->reg5");
        assert_eq!(names.action("set_field:0xa000001->reg5"), "set_field:0xa000001->reg5");
    }
}
