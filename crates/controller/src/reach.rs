//! Which logical datapaths matter here: those of ports on this chassis, and whatever can be reached from them through
//! patch ports.

use crate::tables::{Ctx, Db};
use kiln_abi::stages;
use kiln_incr::Target;
use kiln_ovsdb::Text;
use kiln_types::Uuid;
use std::collections::{BTreeMap, BTreeSet};

/// A part of the search.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The datapath has a port here.
    Start(Uuid),
    /// From the first datapath a patch port leads to the second.
    Edge(Uuid, Uuid),
}

/// All steps that rules have found, each as often as it was found.
#[derive(Debug, Default)]
pub struct Steps {
    counts: BTreeMap<Step, u32>,
    changed: bool,
}

impl Target for Steps {
    type Written = Vec<Step>;
    type Id = Step;

    fn replace(&mut self, old: &[Step], new: &mut Vec<Step>) -> Box<[Step]> {
        if *old == **new {
            return new.drain(..).collect();
        }
        for step in &*new {
            *self.counts.entry(*step).or_insert(0) += 1;
        }
        for step in old {
            if let Some(count) = self.counts.get_mut(step) {
                *count -= 1;
                if *count == 0 {
                    self.counts.remove(step);
                }
            }
        }
        self.changed = true;
        new.drain(..).collect()
    }
}

impl Steps {
    fn reached(&self) -> BTreeSet<Uuid> {
        let starts = self.counts.keys().map_while(|step| match step {
            Step::Start(datapath) => Some(*datapath),
            Step::Edge(..) => None,
        });
        let mut open: Vec<Uuid> = starts.collect();
        let mut reached: BTreeSet<Uuid> = open.iter().copied().collect();
        while let Some(from) = open.pop() {
            let edges = Step::Edge(from, Uuid::nil())..=Step::Edge(from, Uuid::max());
            for (step, _) in self.counts.range(edges) {
                if let Step::Edge(_, to) = step
                    && reached.insert(*to)
                {
                    open.push(*to);
                }
            }
        }
        reached
    }
}

/// Follows the steps, if any has changed.
pub(crate) fn follow(db: &mut Db) {
    if !std::mem::take(&mut db.steps.changed) {
        return;
    }
    let reached = db.steps.reached();
    let gone: Vec<Uuid> =
        db.reached.iter().map(|(datapath, ())| *datapath).filter(|d| !reached.contains(d)).collect();
    for datapath in gone {
        db.reached.delete(&datapath);
    }
    for datapath in reached {
        db.reached.put(datapath, ());
    }
}

/// A datapath that matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalDatapath {
    /// Its tunnel key.
    pub key: u32,
    /// Switch or router.
    pub kind: stages::Datapath,
    /// What its conntrack zones are called after.
    pub name: Text,
    /// The zone that the operator wants for source translation.
    pub snat_zone: Option<u16>,
}

pub(crate) fn local_datapath(ctx: &Ctx<'_>, row: &Uuid, out: &mut Vec<(Uuid, LocalDatapath)>) {
    let Some(datapath) = ctx.row(&ctx.sb.datapath_binding, row) else { return };
    let ids = datapath.external_ids();
    let is_router = match datapath.r#type().as_deref() {
        Some(kind) => kind == "logical-router",
        None => ids.get("logical-router").is_some(),
    };
    let snat_zone = ids.get("snat-ct-zone").and_then(|text| text.parse().ok());
    out.push((
        *row,
        LocalDatapath {
            key: datapath.tunnel_key() as u32,
            kind: if is_router { stages::Datapath::Router } else { stages::Datapath::Switch },
            name: ids.get("name").cloned().unwrap_or_else(|| row.to_string().into()),
            snat_zone,
        },
    ));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reaches_through_patches_and_forgets() {
        let [a, b, c, d] = [1, 2, 3, 4].map(Uuid::from_u128);
        let mut steps = Steps::default();
        let first = steps.replace(&[], &mut vec![Step::Start(a), Step::Edge(a, b)]);
        steps.replace(&[], &mut vec![Step::Edge(b, c), Step::Edge(c, a), Step::Edge(d, a)]);
        assert_eq!(steps.reached(), BTreeSet::from([a, b, c]));
        steps.replace(&first, &mut vec![Step::Edge(a, b)]);
        assert!(steps.reached().is_empty());
    }
}
