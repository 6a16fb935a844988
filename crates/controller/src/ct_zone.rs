//! Conntrack zones: one for every logical port here, two for every local datapath. A zone's number outlives restarts in
//! `Bridge.external_ids:ct-zone-NAME`; the lowest free one is given out first (ovn-controller(8)).

use crate::binding::PortKind;
use crate::outstanding::VsOp;
use crate::tables::{Ctx, Db};
use kiln_incr::Target;
use kiln_ovsdb::Text;
use kiln_types::Uuid;
use std::collections::{BTreeMap, BTreeSet};

/// What a key of `Bridge.external_ids` that holds a zone begins with.
pub(crate) const PREFIX: &str = "ct-zone-";

/// A zone that is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What for.
    pub name: Text,
    /// The number that it must have.
    pub fixed: Option<u16>,
}

/// The zones that are needed.
#[derive(Debug, Default)]
pub struct Requests {
    wanted: BTreeMap<Text, (u32, Option<u16>)>,
    /// Numbers from before the start, until it is known who still needs them.
    persisted: BTreeMap<Text, u16>,
    range: (u16, u16),
    changed: bool,
    /// Numbers from before the start have been looked for.
    restored: bool,
    /// Numbers whose connections must be flushed, since they change hands.
    flush: BTreeSet<u16>,
}

impl Target for Requests {
    type Written = Vec<Request>;
    type Id = Request;

    fn replace(&mut self, old: &[Request], new: &mut Vec<Request>) -> Box<[Request]> {
        if *old == **new {
            return new.drain(..).collect();
        }
        for request in &*new {
            let entry = self.wanted.entry(request.name.clone()).or_default();
            entry.0 += 1;
            entry.1 = request.fixed.or(entry.1);
        }
        for request in old {
            if let Some(entry) = self.wanted.get_mut(&request.name) {
                entry.0 -= 1;
                if entry.0 == 0 {
                    self.wanted.remove(&request.name);
                } else if !new.iter().any(|r| r.name == request.name && r.fixed == request.fixed) {
                    entry.1 = new.iter().find(|r| r.name == request.name).and_then(|r| r.fixed);
                }
            }
        }
        self.changed = true;
        new.drain(..).collect()
    }
}

impl Requests {
    /// All that is needed has asked: numbers that nobody asked for are free.
    pub(crate) fn release_persisted(&mut self) {
        if !self.persisted.is_empty() {
            self.persisted.clear();
            self.changed = true;
        }
    }

    /// Whether numbers from an earlier run are still held back.
    pub(crate) fn holds_persisted(&self) -> bool {
        !self.persisted.is_empty()
    }

    /// Zones to be flushed since the last call.
    pub(crate) fn take_flushes(&mut self) -> BTreeSet<u16> {
        std::mem::take(&mut self.flush)
    }
}

/// Takes in the numbers that an earlier run left in the bridge, once the bridge is known.
fn restore(db: &mut Db) {
    let bridge = db.integration.peek(&()).and_then(|row| db.vs.bridge.peek(row));
    let Some(bridge) = bridge.filter(|_| !db.zone_requests.restored) else { return };
    for (key, zone) in bridge.external_ids.iter() {
        if let (Some(name), Ok(zone)) = (key.strip_prefix(PREFIX), zone.parse()) {
            db.zone_requests.persisted.insert(name.into(), zone);
        }
    }
    db.zone_requests.restored = true;
    db.zone_requests.changed = true;
}

/// Gives every request its number.
pub(crate) fn assign(db: &mut Db) {
    restore(db);
    let Db { zone_requests: requests, ct_zones: zones, settings, .. } = db;
    let range = settings.peek(&()).map_or((1, u16::MAX), |settings| settings.ct_zones);
    if !std::mem::take(&mut requests.changed) && requests.range == range {
        return;
    }
    requests.range = range;
    let gone: Vec<Text> = zones
        .iter()
        .filter(|(name, _)| !requests.wanted.contains_key(*name))
        .map(|(n, _)| n.clone())
        .collect();
    for name in gone {
        requests.flush.extend(zones.delete(&name));
    }
    let fixed: BTreeSet<u16> = requests.wanted.values().filter_map(|(_, fixed)| *fixed).collect();
    let mut taken: BTreeSet<u16> = fixed.clone();
    // What stands and may stay.
    let mut open = Vec::new();
    for (name, (_, wants)) in &requests.wanted {
        let stands = zones.peek(name).copied();
        if let Some(number) = wants {
            if stands != Some(*number) {
                requests.flush.extend(stands);
                if requests.persisted.get(name) != Some(number) {
                    requests.flush.insert(*number);
                }
                zones.put(name.clone(), *number);
            }
            continue;
        }
        let in_range = |number: &u16| (range.0..=range.1).contains(number) && !fixed.contains(number);
        let kept = stands.or_else(|| requests.persisted.get(name).copied()).filter(in_range);
        match kept.filter(|number| taken.insert(*number)) {
            Some(number) => zones.put(name.clone(), number),
            None => open.push(name.clone()),
        }
    }
    taken.extend(
        requests.persisted.iter().filter(|(n, _)| !requests.wanted.contains_key(*n)).map(|(_, z)| *z),
    );
    let mut free = (range.0..=range.1).filter(|number| !taken.contains(number));
    for name in open {
        requests.flush.extend(zones.peek(&name).copied());
        match free.next() {
            Some(number) => {
                requests.flush.insert(number);
                zones.put(name, number);
            }
            None => drop(zones.delete(&name)),
        }
    }
}

/// A logical port's zone.
pub(crate) fn of_port(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<Request>) {
    let Some(residence) = ctx.value(&ctx.residence, row) else { return };
    let Some(port) = ctx.row(&ctx.sb.port_binding, row) else { return };
    let here = match residence.kind {
        PortKind::Vif | PortKind::L2gateway | PortKind::L3gateway => residence.claims,
        PortKind::Localport | PortKind::Localnet => residence.ofport.is_some(),
        _ => false,
    };
    if here && ctx.value(&ctx.local_datapaths, &port.datapath()).is_some() {
        out.push(Request { name: port.logical_port().clone(), fixed: None });
    }
}

/// A datapath's zones.
pub(crate) fn of_datapath(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<Request>) {
    let Some(datapath) = ctx.value(&ctx.local_datapaths, row) else { return };
    out.push(Request { name: dnat_name(&datapath.name), fixed: None });
    out.push(Request { name: snat_name(&datapath.name), fixed: datapath.snat_zone });
}

pub(crate) fn dnat_name(datapath: &str) -> Text {
    format!("{datapath}_dnat").into()
}

pub(crate) fn snat_name(datapath: &str) -> Text {
    format!("{datapath}_snat").into()
}

/// Zones that the bridge does not remember yet.
pub(crate) fn unsaved(ctx: &Ctx<'_>, name: &Text, out: &mut Vec<VsOp>) {
    let Some(zone) = ctx.value(&ctx.ct_zones, name) else { return };
    let bridge = ctx.value(&ctx.integration, &()).and_then(|row| ctx.row(&ctx.vs.bridge, row));
    let Some(bridge) = bridge else { return };
    let saved = bridge.external_ids().get(format!("{PREFIX}{name}").as_str());
    if saved.and_then(|text| text.parse().ok()) != Some(*zone) {
        out.push(VsOp::Zone(name.clone()));
    }
}

/// Zones that the bridge remembers and nobody has.
pub(crate) fn stale(ctx: &Ctx<'_>, _: &(), out: &mut Vec<VsOp>) {
    let bridge = ctx.value(&ctx.integration, &()).and_then(|row| ctx.row(&ctx.vs.bridge, row));
    let Some(bridge) = bridge else { return };
    for key in bridge.external_ids().keys() {
        if let Some(name) = key.strip_prefix(PREFIX).map(Text::from)
            && ctx.value(&ctx.ct_zones, &name).is_none()
        {
            out.push(VsOp::Zone(name));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(db: &mut Db, name: &str, fixed: Option<u16>) -> Box<[Request]> {
        db.zone_requests.replace(&[], &mut vec![Request { name: name.into(), fixed }])
    }

    fn zone(db: &mut Db, name: &str) -> Option<u16> {
        assign(db);
        db.ct_zones.peek(&name.into()).copied()
    }

    #[test]
    fn the_lowest_free_number_is_given_and_kept() {
        let mut db = Db::default();
        let a = ask(&mut db, "a", None);
        ask(&mut db, "b", None);
        assert_eq!((zone(&mut db, "a"), zone(&mut db, "b")), (Some(1), Some(2)));
        assert_eq!(db.zone_requests.take_flushes(), BTreeSet::from([1, 2]));
        db.zone_requests.replace(&a, &mut vec![]);
        ask(&mut db, "c", None);
        assert_eq!((zone(&mut db, "a"), zone(&mut db, "b"), zone(&mut db, "c")), (None, Some(2), Some(1)));
        assert_eq!(db.zone_requests.take_flushes(), BTreeSet::from([1]));
    }

    #[test]
    fn a_fixed_number_drives_others_away() {
        let mut db = Db::default();
        ask(&mut db, "a", None);
        assert_eq!(zone(&mut db, "a"), Some(1));
        ask(&mut db, "r_snat", Some(1));
        assert_eq!((zone(&mut db, "r_snat"), zone(&mut db, "a")), (Some(1), Some(2)));
    }

    #[test]
    fn numbers_from_before_wait_for_their_owners() {
        let mut db = Db::default();
        db.zone_requests.persisted = BTreeMap::from([("late".into(), 1), ("gone".into(), 2)]);
        ask(&mut db, "new", None);
        assert_eq!(zone(&mut db, "new"), Some(3));
        ask(&mut db, "late", None);
        assert_eq!(zone(&mut db, "late"), Some(1));
        assert_eq!(db.zone_requests.take_flushes(), BTreeSet::from([3]), "what was kept goes on");
        db.zone_requests.release_persisted();
        ask(&mut db, "newer", None);
        assert_eq!(zone(&mut db, "newer"), Some(2));
    }
}
