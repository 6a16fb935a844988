//! Tunnel keys: who asks for one, who has which, and who gets the next.
//!
//! A key stays with its owner for as long as the owner is there, across restarts: it is read back from the southbound
//! rows. Keys are given out in turn, so that one that has just come free is the last to be used again.

mod space;

use crate::flow::{DatapathIndex, uuid_from_hash};
use crate::tables::{Ctx, Datapath, Db, PortGrant};
use kiln_abi::{keys, stages};
use kiln_incr::Target;
use kiln_ovsdb::Text;
use kiln_types::{HashMap, Uuid, give_back_room};
pub(crate) use space::{Ask, Space};
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

/// A datapath that wants a tunnel key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct DatapathRequest {
    nb: Uuid,
    kind: stages::Datapath,
    /// `requested-tnl-key`.
    key: Option<u32>,
    passes_vlans: bool,
}

/// The keys of datapaths.
#[derive(Debug, Default)]
pub(crate) struct DatapathKeys {
    requests: HashMap<Uuid, DatapathRequest>,
    dirty: BTreeSet<Uuid>,
    /// Whether keys are those that VXLAN has room for.
    vxlan: bool,
    keys: Space<Uuid>,
    /// Datapath_Binding rows by index, and the other way round.
    rows: Vec<Option<Uuid>>,
    indexes: HashMap<Uuid, DatapathIndex>,
    free: Vec<u32>,
    /// Indexes whose datapath is gone, but which flows may still stand with.
    retired: Vec<u32>,
}

impl Target for DatapathKeys {
    type Written = Vec<DatapathRequest>;
    type Id = Uuid;

    fn replace(&mut self, old: &[Uuid], new: &mut Vec<DatapathRequest>) -> Box<[Uuid]> {
        for nb in old {
            self.requests.remove(nb);
            self.dirty.insert(*nb);
        }
        new.drain(..)
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
        self.rows[index.0 as usize].expect("an index that is used has a row")
    }

    /// The index of a Datapath_Binding row.
    pub(crate) fn index_of(&self, row: Uuid) -> Option<DatapathIndex> {
        self.indexes.get(&row).copied()
    }

    fn new_index(&mut self, row: Uuid) -> DatapathIndex {
        let index = self.free.pop().unwrap_or(self.rows.len() as u32);
        if index as usize == self.rows.len() {
            self.rows.push(None);
        }
        self.rows[index as usize] = Some(row);
        self.indexes.insert(row, DatapathIndex(index));
        DatapathIndex(index)
    }

    /// The database holds what is wanted: nothing stands with datapaths that are gone.
    pub(crate) fn release(&mut self) {
        for index in self.retired.drain(..) {
            // The row may have another index by now.
            if let Some(row) = self.rows[index as usize].take()
                && self.indexes.get(&row) == Some(&DatapathIndex(index))
            {
                self.indexes.remove(&row);
            }
            self.free.push(index);
        }
    }
}

/// The keys of datapaths that are given out, and whether an operator may ask for one.
fn datapath_range(vxlan: bool) -> RangeInclusive<u32> {
    if vxlan { keys::DATAPATH_VXLAN } else { keys::DATAPATH_LOCAL }
}

fn wishable(vxlan: bool) -> impl Fn(&u32) -> bool {
    move |key| datapath_range(vxlan).contains(key) || (!vxlan && keys::DATAPATH_GLOBAL.contains(key))
}

/// The keys of ports.
fn port_range(vxlan: bool) -> RangeInclusive<u32> {
    let range = if vxlan { keys::PORT_VXLAN } else { keys::PORT };
    u32::from(*range.start())..=u32::from(*range.end())
}

pub(crate) fn request_switch(ctx: &Ctx<'_>, switch: &Uuid, out: &mut Vec<DatapathRequest>) {
    let Some(row) = ctx.row(&ctx.nb.logical_switch, switch) else { return };
    let vxlan = crate::global::settings(ctx).vxlan_mode;
    let key = requested(
        ctx,
        "Logical_Switch",
        switch,
        "other_config",
        row.other_config().get("requested-tnl-key"),
        wishable(vxlan),
    );
    let passes_vlans = row.other_config().get("vlan-passthru").is_some_and(|value| &**value == "true");
    out.push(DatapathRequest { nb: *switch, kind: stages::Datapath::Switch, key, passes_vlans });
}

pub(crate) fn request_router(ctx: &Ctx<'_>, router: &Uuid, out: &mut Vec<DatapathRequest>) {
    let Some(row) = ctx.row(&ctx.nb.logical_router, router) else { return };
    if row.enabled() == Some(false) {
        return;
    }
    let vxlan = crate::global::settings(ctx).vxlan_mode;
    let key = requested(
        ctx,
        "Logical_Router",
        router,
        "options",
        row.options().get("requested-tnl-key"),
        wishable(vxlan),
    );
    out.push(DatapathRequest { nb: *router, kind: stages::Datapath::Router, key, passes_vlans: false });
}

/// A `requested-tnl-key`, reported when it is no number.
fn requested<T: std::str::FromStr>(
    ctx: &Ctx<'_>,
    table: &str,
    row: &Uuid,
    column: &str,
    text: Option<&Text>,
    wishable: impl Fn(&T) -> bool,
) -> Option<T> {
    let text = text?;
    let key = text.parse().ok().filter(wishable);
    if key.is_none() {
        ctx.report(format!(
            "{table} {row}, column {column}: requested-tnl-key `{text}` is no tunnel key; one is chosen"
        ));
    }
    key
}

/// Reports a `requested-tnl-key` of a datapath that another has.
pub(crate) fn report_refused(
    ctx: &Ctx<'_>,
    (table, row, name): (&str, &Uuid, &Text),
    column: &str,
    text: Option<&Text>,
    key: u32,
) {
    let Some(wish) = text.and_then(|text| text.parse::<u32>().ok()).filter(|wish| *wish != key) else {
        return;
    };
    if wishable(crate::global::settings(ctx).vxlan_mode)(&wish) {
        ctx.report(format!(
            "{table} {row} ({name}), column {column}: requested-tnl-key `{wish}` cannot be had, it has {key}"
        ));
    }
}

/// Gives out datapath keys.
pub(crate) fn grant_datapaths(db: &mut Db) {
    let Db { datapath_keys: state, datapaths, datapath_rows, sb, settings, .. } = db;
    let vxlan = settings.peek(&crate::global::ONLY).is_some_and(|settings| settings.vxlan_mode);
    let (mut gone, mut asks) = (Vec::new(), Vec::new());
    let wishable = |key: u32| wishable(vxlan)(&key);
    if std::mem::replace(&mut state.vxlan, vxlan) != vxlan {
        // Whoever has a key that is no longer one gets another.
        let outside: Vec<Uuid> =
            datapaths.iter().filter(|(_, row)| !wishable(row.key)).map(|(nb, _)| *nb).collect();
        state.keys.settle(&outside, &[], &datapath_range(vxlan), &wishable);
        state.dirty.extend(&outside);
    }
    for nb in std::mem::take(&mut state.dirty) {
        let Some(request) = state.requests.get(&nb) else {
            if let Some(old) = datapaths.delete(&nb) {
                state.retired.push(old.index.0);
            }
            gone.push(nb);
            continue;
        };
        let row = datapath_rows.peek(&nb).first().and_then(|row| sb.datapath_binding.peek(row));
        asks.push((nb, Ask { wish: request.key, standing: row.map(|row| row.tunnel_key as u32) }));
    }
    if gone.is_empty() && asks.is_empty() {
        return;
    }
    for (nb, key) in state.keys.settle(&gone, &asks, &datapath_range(vxlan), &wishable) {
        let old = datapaths.peek(&nb).copied();
        match (key, old) {
            (Some(key), Some(old)) => datapaths.put(nb, Datapath { key, ..old }),
            (Some(key), None) => {
                let row = datapath_rows.peek(&nb).first().copied().unwrap_or(nb);
                let index = state.new_index(row);
                let DatapathRequest { kind, passes_vlans, .. } = state.requests[&nb];
                datapaths.put(nb, Datapath { index, row, key, kind, passes_vlans });
            }
            (None, Some(old)) => {
                state.retired.push(old.index.0);
                datapaths.delete(&nb);
            }
            (None, None) => {}
        }
    }
    for (nb, _) in &asks {
        let passes_vlans = state.requests[nb].passes_vlans;
        if let Some(old) = datapaths.peek(nb).copied().filter(|old| old.passes_vlans != passes_vlans) {
            datapaths.put(*nb, Datapath { passes_vlans, ..old });
        }
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
    /// The datapath and name for which a key was given.
    granted: HashMap<Uuid, (Uuid, Text)>,
    dirty: BTreeSet<Uuid>,
    vxlan: bool,
    keys: HashMap<Uuid, Space<Uuid>>,
}

impl Target for PortKeys {
    type Written = Vec<PortRequest>;
    type Id = Uuid;

    fn replace(&mut self, old: &[Uuid], new: &mut Vec<PortRequest>) -> Box<[Uuid]> {
        for nb in old {
            self.requests.remove(nb);
            self.dirty.insert(*nb);
        }
        new.drain(..)
            .map(|request| {
                let nb = request.nb;
                self.dirty.insert(nb);
                self.requests.insert(nb, request);
                nb
            })
            .collect()
    }
}

/// Settings are read only for ports that ask.
fn wishable_port(ctx: &Ctx<'_>) -> impl Fn(&u16) -> bool {
    |key| port_range(crate::global::settings(ctx).vxlan_mode).contains(&u32::from(*key))
}

pub(crate) fn request_switch_port(ctx: &Ctx<'_>, port: &Uuid, out: &mut Vec<PortRequest>) {
    let Some(row) = ctx.row(&ctx.nb.logical_switch_port, port) else { return };
    let Some(datapath) = ctx.all(&ctx.switch_of_port, port).first().copied() else { return };
    if ctx.value(&ctx.datapaths, &datapath).is_none() {
        return;
    }
    let wishable = wishable_port(ctx);
    let key = requested(
        ctx,
        "Logical_Switch_Port",
        port,
        "options",
        row.options().get("requested-tnl-key"),
        wishable,
    );
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
    let wishable = wishable_port(ctx);
    let key = requested(
        ctx,
        "Logical_Router_Port",
        port,
        "options",
        row.options().get("requested-tnl-key"),
        wishable,
    );
    out.push(PortRequest { nb: *port, datapath, name: row.name().clone(), key });
}

/// What has changed on one datapath: ports that are gone, and those that ask.
#[derive(Debug, Default)]
struct Changes {
    gone: Vec<Uuid>,
    asks: Vec<(Uuid, Ask)>,
}

/// Gives out port keys.
pub(crate) fn grant_ports(db: &mut Db) {
    let Db { port_keys: state, port_grants, port_rows, datapaths, sb, settings, .. } = db;
    let vxlan = settings.peek(&crate::global::ONLY).is_some_and(|settings| settings.vxlan_mode);
    let range = port_range(vxlan);
    let mut outside = BTreeSet::new();
    if std::mem::replace(&mut state.vxlan, vxlan) != vxlan {
        let keys = port_grants.iter().filter(|(_, grant)| !range.contains(&u32::from(grant.key)));
        outside = keys.map(|(nb, _)| *nb).collect();
        state.dirty.extend(&outside);
    }
    let mut changes: std::collections::BTreeMap<Uuid, Changes> = std::collections::BTreeMap::new();
    for nb in std::mem::take(&mut state.dirty) {
        let request = state.requests.get(&nb);
        // A port of another name or on another datapath is another port.
        let same = |granted: &(Uuid, Text)| {
            request.is_some_and(|request| request.datapath == granted.0 && request.name == granted.1)
        };
        let keeps = |granted| same(granted) && !outside.contains(&nb);
        if state.granted.get(&nb).is_some_and(|granted| !keeps(granted))
            && let Some((datapath, _)) = state.granted.remove(&nb)
        {
            port_grants.delete(&nb);
            changes.entry(datapath).or_default().gone.push(nb);
        }
        let Some(request) = request else { continue };
        let standing = port_rows.peek(&request.name).first().and_then(|row| {
            let binding = sb.port_binding.peek(row)?;
            (binding.datapath == datapaths.peek(&request.datapath)?.row).then_some(binding.tunnel_key as u32)
        });
        let ask = Ask { wish: request.key.map(u32::from), standing };
        changes.entry(request.datapath).or_default().asks.push((nb, ask));
    }
    for (datapath, Changes { gone, asks }) in changes {
        let space = state.keys.entry(datapath).or_default();
        // One that is gone and asks again here must first give back what it had.
        let mut granted = space.settle(&gone, &[], &range, &|key| range.contains(&key));
        granted.extend(space.settle(&[], &asks, &range, &|key| range.contains(&key)));
        if space.is_empty() && datapaths.peek(&datapath).is_none() {
            state.keys.remove(&datapath);
        }
        for (nb, key) in granted {
            let Some(key) = key else {
                state.granted.remove(&nb);
                port_grants.delete(&nb);
                continue;
            };
            let request = &state.requests[&nb];
            let known = port_rows.peek(&request.name).first().copied();
            let row = known.unwrap_or_else(|| port_row(nb, &request.name));
            state.granted.insert(nb, (datapath, request.name.clone()));
            port_grants.put(nb, PortGrant { row, key: key as u16 });
        }
    }
    give_back_room(&mut state.requests);
    give_back_room(&mut state.granted);
    give_back_room(&mut state.keys);
}

/// The uuid of a port's row: another when the port gets another name, since chassis know ports by name.
fn port_row(nb: Uuid, name: &str) -> Uuid {
    let mut hash = xxhash_rust::xxh3::Xxh3::with_seed(0x706f_7274);
    hash.update(nb.as_bytes());
    hash.update(name.as_bytes());
    uuid_from_hash(hash.digest128())
}
