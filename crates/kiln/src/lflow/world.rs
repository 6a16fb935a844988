//! What the command line says that names stand for.

use super::Surroundings;
use super::group;
use kiln_abi::dhcp;
use kiln_logical::env::{OptionDef, OptionKind};
use kiln_logical::{AddressSet, Environment};
use kiln_lower::{Meter, Names, Resources, SelectGroup};
use kiln_types::OfPort;
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The surroundings of what is read on standard input. Groups and meters are numbered from 1 in the order in which they are
/// first wanted.
pub(super) struct World {
    ports: BTreeMap<String, u32>,
    resident: BTreeSet<String>,
    address_sets: BTreeMap<String, Arc<AddressSet>>,
    port_groups: BTreeMap<String, Arc<[Arc<str>]>>,
    templates: BTreeMap<String, String>,
    collector_sets: Vec<u32>,
    numbered: RefCell<Numbered>,
}

#[derive(Default)]
struct Numbered {
    groups: Vec<String>,
    rates: Vec<(u32, Option<u32>)>,
    /// The groups of the item that is being answered, as text.
    of_item: Vec<String>,
    item: String,
}

/// A number in decimal or, after `0x`, in hexadecimal.
pub(super) fn number(text: &str) -> Result<u32, String> {
    match text.strip_prefix("0x") {
        Some(digits) => u32::from_str_radix(digits, 16),
        None => text.parse(),
    }
    .map_err(|_| format!("expected a number of 32 bits, found {text:?}"))
}

fn named<'t>(option: &str, text: &'t str) -> Result<(&'t str, &'t str), String> {
    text.split_once('=').ok_or_else(|| format!("{option}: expected NAME=VALUE, found {text:?}"))
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|part| !part.is_empty())
}

impl World {
    /// What the options say.
    pub(super) fn new(options: &Surroundings) -> Result<World, String> {
        let mut world = World {
            ports: BTreeMap::new(),
            resident: options.chassis_resident.iter().cloned().collect(),
            address_sets: BTreeMap::new(),
            port_groups: BTreeMap::new(),
            templates: BTreeMap::new(),
            collector_sets: options.collector_set.clone(),
            numbered: RefCell::default(),
        };
        for text in &options.port {
            let (name, key) = named("--port", text)?;
            let key = number(key).map_err(|problem| format!("--port {name}: {problem}"))?;
            world.ports.insert(name.to_owned(), key);
        }
        for text in &options.address_set {
            let (name, members) = named("--address-set", text)?;
            let (set, bad) = AddressSet::parse(list(members));
            // As in a controller, the other members count.
            for (member, problem) in bad {
                let left_out =
                    format_args!("kiln lflow: --address-set {name}: {member}: {problem}; it is left out\n");
                kiln_runtime::terminal::complain(left_out);
            }
            world.address_sets.insert(name.to_owned(), Arc::new(set));
        }
        for text in &options.port_group {
            let (name, members) = named("--port-group", text)?;
            world.port_groups.insert(name.to_owned(), list(members).map(Arc::from).collect());
        }
        for text in &options.template {
            let (name, value) = named("--template", text)?;
            world.templates.insert(name.to_owned(), value.to_owned());
        }
        Ok(world)
    }

    /// Whether the port is on this chassis.
    pub(super) fn is_here(&self, port: &str) -> bool {
        self.resident.contains(port)
    }

    /// Forgets what the item before used.
    pub(super) fn begin_item(&self, item: &str) {
        let mut numbered = self.numbered.borrow_mut();
        numbered.of_item.clear();
        item.clone_into(&mut numbered.item);
    }

    /// The groups that the item's actions use.
    pub(super) fn groups_of_item(&self) -> Vec<String> {
        self.numbered.borrow().of_item.clone()
    }
}

/// The place of `item` in `list`, from 1; it is added if it is new.
fn number_in<T: PartialEq>(list: &mut Vec<T>, item: T) -> u32 {
    let place = list.iter().position(|known| *known == item).unwrap_or_else(|| {
        list.push(item);
        list.len() - 1
    });
    place as u32 + 1
}

fn option(table: &[dhcp::DhcpOption], name: &str) -> Option<OptionDef> {
    let (_, code, kind) = table.iter().find(|(known, ..)| *known == name)?;
    Some(OptionDef { code: u16::try_from(*code).ok()?, kind: OptionKind::from_name(kind)? })
}

impl Environment for World {
    fn address_set(&self, name: &str) -> Option<Arc<AddressSet>> {
        self.address_sets.get(name).cloned()
    }

    fn port_group(&self, name: &str) -> Option<Arc<[Arc<str>]>> {
        self.port_groups.get(name).cloned()
    }

    fn template(&self, name: &str) -> Option<Cow<'_, str>> {
        self.templates.get(name).map(|value| value.as_str().into())
    }

    fn dhcp_option(&self, name: &str) -> Option<OptionDef> {
        option(dhcp::V4, name)
    }

    fn dhcpv6_option(&self, name: &str) -> Option<OptionDef> {
        option(dhcp::V6, name)
    }
}

impl Names for World {
    fn port_key(&self, name: &str) -> Option<u32> {
        self.ports.get(name).copied()
    }

    fn is_resident(&self, name: &str) -> bool {
        self.is_here(name)
    }
}

impl Resources for World {
    /// Every known port counts as reached by a tunnel of the number of its key.
    fn tunnel_to(&self, port: &str) -> Option<OfPort> {
        self.port_key(port).map(OfPort)
    }

    fn has_collector_set(&self, id: u32) -> bool {
        self.collector_sets.contains(&id)
    }

    fn group(&self, wanted: &SelectGroup) -> Option<u32> {
        let mut numbered = self.numbered.borrow_mut();
        let text = group::text(wanted, &numbered.item);
        let used = format!("name({text})");
        let id = number_in(&mut numbered.groups, text);
        numbered.of_item.push(format!("id({id}), {used}"));
        Some(id)
    }

    /// Meters by name belong to the switch; here there are none.
    fn meter(&self, wanted: &Meter<'_>) -> Option<u32> {
        match wanted {
            Meter::Named(_) => None,
            Meter::Rate { rate_kbps, burst_kb } => {
                Some(number_in(&mut self.numbered.borrow_mut().rates, (*rate_kbps, *burst_kb)))
            }
        }
    }
}
