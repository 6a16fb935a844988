//! Tunnel keys: who asks for one, who has which, and who gets the next.
//!
//! A key stays with its owner for as long as the owner is there, across restarts: it is read back from the southbound
//! rows. Keys are given out in turn, so that one that has just come free is the last to be used again.

use crate::flow::{DatapathIndex, uuid_from_hash};
use crate::tables::{Ctx, Datapath, Db, PortGrant};
use kiln_abi::{keys, stages};
use kiln_incr::Target;
use kiln_ovsdb::Text;
use kiln_types::{HashMap, HashSet, Uuid};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

/// Numbers in use within one range.
#[derive(Debug)]
struct Numbers {
    taken: HashSet<u32>,
    last: u32,
}

impl Numbers {
    fn new() -> Self {
        Numbers { taken: HashSet::default(), last: 0 }
    }

    /// Takes `number` if it is free.
    fn take(&mut self, number: u32) -> bool {
        let free = self.taken.insert(number);
        if free {
            self.last = self.last.max(number);
        }
        free
    }

    /// Takes the next free number of `range` after the last one given out.
    fn next(&mut self, range: &RangeInclusive<u32>) -> Option<u32> {
        let (first, end) = (*range.start(), *range.end());
        let start = if self.last < first || self.last >= end { first } else { self.last + 1 };
        let number = (start..=end).chain(first..start).find(|number| !self.taken.contains(number))?;
        self.taken.insert(number);
        self.last = number;
        Some(number)
    }

    fn free(&mut self, number: u32) {
        self.taken.remove(&number);
    }
}

/// A datapath that wants a tunnel key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct DatapathRequest {
    nb: Uuid,
    kind: stages::Datapath,
    /// `requested-tnl-key`.
    key: Option<u32>,
}

/// The keys of datapaths.
#[derive(Debug)]
pub(crate) struct DatapathKeys {
    requests: HashMap<Uuid, DatapathRequest>,
    dirty: BTreeSet<Uuid>,
    keys: Numbers,
    indexes: Numbers,
    row_of_index: HashMap<u32, Uuid>,
    /// Indexes whose datapath is gone, but which flows may still stand with.
    retired: Vec<u32>,
    range: RangeInclusive<u32>,
}

impl Default for DatapathKeys {
    fn default() -> Self {
        DatapathKeys {
            requests: HashMap::default(),
            dirty: BTreeSet::new(),
            keys: Numbers::new(),
            indexes: Numbers::new(),
            row_of_index: HashMap::default(),
            retired: Vec::new(),
            range: keys::DATAPATH_LOCAL,
        }
    }
}

impl Target for DatapathKeys {
    type Item = DatapathRequest;
    type Id = Uuid;

    fn replace(&mut self, old: &[Uuid], new: Vec<DatapathRequest>) -> Box<[Uuid]> {
        for nb in old {
            self.requests.remove(nb);
            self.dirty.insert(*nb);
        }
        new.into_iter()
            .map(|request| {
                let nb = request.nb;
                self.dirty.insert(nb);
                self.requests.insert(nb, request);
                nb
            })
            .collect()
    }
}

impl DatapathKeys {
    /// The Datapath_Binding row of an index.
    pub(crate) fn row_of(&self, index: DatapathIndex) -> Uuid {
        self.row_of_index[&index.0]
    }

    /// The index of a Datapath_Binding row.
    pub(crate) fn index_of_row(&self) -> HashMap<Uuid, DatapathIndex> {
        self.row_of_index.iter().map(|(index, row)| (*row, DatapathIndex(*index))).collect()
    }

    /// The database holds what is wanted: nothing stands with datapaths that are gone.
    pub(crate) fn release(&mut self) {
        for index in self.retired.drain(..) {
            self.indexes.free(index);
            self.row_of_index.remove(&index);
        }
    }
}

pub(crate) fn request_switch(ctx: &Ctx<'_>, switch: &Uuid, out: &mut Vec<DatapathRequest>) {
    let Some(row) = ctx.row(&ctx.nb.logical_switch, switch) else { return };
    let key =
        requested(ctx, "Logical_Switch", switch, "other_config", row.other_config().get("requested-tnl-key"));
    out.push(DatapathRequest { nb: *switch, kind: stages::Datapath::Switch, key });
}

pub(crate) fn request_router(ctx: &Ctx<'_>, router: &Uuid, out: &mut Vec<DatapathRequest>) {
    let Some(row) = ctx.row(&ctx.nb.logical_router, router) else { return };
    if row.enabled() == Some(false) {
        return;
    }
    let key = requested(ctx, "Logical_Router", router, "options", row.options().get("requested-tnl-key"));
    out.push(DatapathRequest { nb: *router, kind: stages::Datapath::Router, key });
}

/// A `requested-tnl-key`, reported when it is no number.
fn requested<T: std::str::FromStr>(
    ctx: &Ctx<'_>,
    table: &str,
    row: &Uuid,
    column: &str,
    text: Option<&Text>,
) -> Option<T> {
    let text = text?;
    let key = text.parse().ok();
    if key.is_none() {
        ctx.report(format!(
            "{table} {row}, column {column}: requested-tnl-key `{text}` is no tunnel key; one is chosen"
        ));
    }
    key
}

/// Gives out datapath keys.
pub(crate) fn grant_datapaths(db: &mut Db) {
    let Db { datapath_keys: state, datapaths, datapath_rows, sb, .. } = db;
    let mut newcomers = Vec::new();
    for nb in std::mem::take(&mut state.dirty) {
        let request = state.requests.get(&nb);
        let granted = datapaths.peek(&nb).copied();
        match (request, granted) {
            (None, Some(old)) => {
                state.keys.free(old.key);
                state.retired.push(old.index.0);
                datapaths.delete(&nb);
            }
            (Some(request), granted) => {
                let moves = granted.is_none_or(|old| request.key.is_some_and(|key| key != old.key));
                if moves {
                    newcomers.push(request.clone());
                }
            }
            (None, None) => {}
        }
    }
    // What is asked for by number comes first, then what stands in the database, then the rest.
    let standing = |nb: &Uuid| {
        datapath_rows.peek(nb).first().and_then(|row| Some((*row, sb.datapath_binding.peek(row)?)))
    };
    newcomers.sort_by_key(|request| (request.key.is_none(), standing(&request.nb).is_none(), request.nb));
    for request in newcomers {
        let nb = request.nb;
        let old = datapaths.peek(&nb).copied();
        let known = standing(&nb);
        let wished = request.key.into_iter().chain(known.map(|(_, row)| row.tunnel_key as u32));
        let range = state.range.clone();
        let wish = wished
            .filter(|key| range.contains(key) || keys::DATAPATH_GLOBAL.contains(key))
            .find(|key| state.keys.take(*key));
        let key = match (wish, old) {
            (Some(key), Some(old)) => {
                state.keys.free(old.key);
                key
            }
            (Some(key), None) => key,
            (None, Some(_)) => continue,
            (None, None) => match state.keys.next(&range) {
                Some(key) => key,
                None => continue,
            },
        };
        let row = known.map_or(nb, |(row, _)| row);
        let index = match old {
            Some(old) => old.index,
            None => DatapathIndex(
                state.indexes.next(&(0..=u32::MAX - 1)).expect("more indexes than datapath keys"),
            ),
        };
        state.row_of_index.insert(index.0, row);
        datapaths.put(nb, Datapath { index, row, key, kind: request.kind });
    }
}

/// A port that wants a tunnel key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct PortRequest {
    nb: Uuid,
    datapath: Uuid,
    name: Text,
    /// `requested-tnl-key`.
    key: Option<u16>,
}

/// The keys of ports, by datapath.
#[derive(Debug, Default)]
pub(crate) struct PortKeys {
    requests: HashMap<Uuid, PortRequest>,
    granted: HashMap<Uuid, (Uuid, Text, u16)>,
    dirty: BTreeSet<Uuid>,
    keys: HashMap<Uuid, Numbers>,
}

impl Target for PortKeys {
    type Item = PortRequest;
    type Id = Uuid;

    fn replace(&mut self, old: &[Uuid], new: Vec<PortRequest>) -> Box<[Uuid]> {
        for nb in old {
            self.requests.remove(nb);
            self.dirty.insert(*nb);
        }
        new.into_iter()
            .map(|request| {
                let nb = request.nb;
                self.dirty.insert(nb);
                self.requests.insert(nb, request);
                nb
            })
            .collect()
    }
}

pub(crate) fn request_switch_port(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<PortRequest>) {
    let Some(row) = ctx.row(&ctx.nb.logical_switch_port, port) else { return };
    let Some(datapath) = ctx.all(&ctx.switch_of_port, port).first().copied() else { return };
    if ctx.value(&ctx.datapaths, &datapath).is_none() {
        return;
    }
    let key = requested(ctx, "Logical_Switch_Port", port, "options", row.options().get("requested-tnl-key"));
    out.push(PortRequest { nb: *port, datapath, name: row.name().clone(), key });
}

pub(crate) fn request_router_port(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<PortRequest>) {
    let Some(row) = ctx.row(&ctx.nb.logical_router_port, port) else { return };
    let Some(datapath) = ctx.all(&ctx.router_of_port, port).first().copied() else { return };
    if ctx.value(&ctx.datapaths, &datapath).is_none() {
        return;
    }
    // A switch port of the same name has the name's only row.
    if !ctx.all(&ctx.switch_port_named, row.name()).is_empty() {
        ctx.report(format!(
            "Logical_Router_Port {port}, column name: `{}` is a switch port's name too; the router port is skipped",
            row.name()
        ));
        return;
    }
    let key = requested(ctx, "Logical_Router_Port", port, "options", row.options().get("requested-tnl-key"));
    out.push(PortRequest { nb: *port, datapath, name: row.name().clone(), key });
}

/// Gives out port keys.
pub(crate) fn grant_ports(db: &mut Db) {
    let Db { port_keys: state, port_grants, port_rows, datapaths, sb, .. } = db;
    let range = u32::from(*keys::PORT.start())..=u32::from(*keys::PORT.end());
    let mut newcomers = Vec::new();
    for nb in std::mem::take(&mut state.dirty) {
        let request = state.requests.get(&nb);
        let unchanged = match (request, state.granted.get(&nb)) {
            (Some(request), Some((datapath, name, key))) => {
                request.datapath == *datapath
                    && request.name == *name
                    && request.key.is_none_or(|wish| wish == *key)
            }
            _ => false,
        };
        if unchanged {
            continue;
        }
        if let Some((datapath, _, key)) = state.granted.remove(&nb) {
            let empty = state.keys.get_mut(&datapath).is_some_and(|numbers| {
                numbers.free(u32::from(key));
                numbers.taken.is_empty()
            });
            if empty && datapaths.peek(&datapath).is_none() {
                state.keys.remove(&datapath);
            }
            port_grants.delete(&nb);
        }
        newcomers.extend(request.cloned());
    }
    let standing = |request: &PortRequest| {
        let row = port_rows.peek(&request.name).first()?;
        let binding = sb.port_binding.peek(row)?;
        let datapath = datapaths.peek(&request.datapath)?;
        Some((*row, (binding.datapath == datapath.row).then_some(binding.tunnel_key as u32)))
    };
    newcomers.sort_by_cached_key(|request| {
        (request.key.is_none(), standing(request).is_none(), request.name.clone())
    });
    for request in newcomers {
        let numbers = state.keys.entry(request.datapath).or_insert_with(Numbers::new);
        let known = standing(&request);
        let wished = request.key.map(u32::from).into_iter().chain(known.and_then(|(_, key)| key));
        let wish = wished.filter(|key| range.contains(key)).find(|key| numbers.take(*key));
        let Some(key) = wish.or_else(|| numbers.next(&range)) else { continue };
        let row = known.map_or_else(|| port_row(request.nb, &request.name), |(row, _)| row);
        state.granted.insert(request.nb, (request.datapath, request.name, key as u16));
        port_grants.put(request.nb, PortGrant { row, key: key as u16 });
    }
}

/// The uuid of a port's row: another when the port gets another name, since chassis know ports by name.
fn port_row(nb: Uuid, name: &str) -> Uuid {
    let mut hash = xxhash_rust::xxh3::Xxh3::with_seed(0x706f_7274);
    hash.update(nb.as_bytes());
    hash.update(name.as_bytes());
    uuid_from_hash(hash.digest128())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freed_number_is_the_last_to_be_used_again() {
        let mut numbers = Numbers::new();
        let range = 1..=3;
        assert_eq!((numbers.next(&range), numbers.next(&range)), (Some(1), Some(2)));
        numbers.free(1);
        assert_eq!((numbers.next(&range), numbers.next(&range)), (Some(3), Some(1)));
        assert_eq!(numbers.next(&range), None);
        assert!(!numbers.take(2));
    }
}
