//! Logical_DP_Group: sets of datapaths that many flows share, kept up by difference.
//!
//! When every flow of a group moves to the same new set, as when a switch is added and all common flows hold there too,
//! the group's row is changed in place and no flow is written.

use super::table::Place;
use super::{DatapathIndex, uuid_from_hash};
use kiln_ovsdb::txn::Txn;
use kiln_types::{HashMap, Uuid};
use roaring::RoaringBitmap;

#[derive(Clone, Debug)]
struct Group {
    /// `None` when the row names datapaths that are not known: no flow can want that set.
    datapaths: Option<RoaringBitmap>,
    /// How many flows stand with it.
    users: u32,
}

/// The groups that stand in the database, or will once the transaction in flight is done.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    groups: HashMap<Uuid, Group>,
    by_set: HashMap<u128, Uuid>,
    /// Groups that lost a user.
    left: Vec<Uuid>,
    undo: Vec<(Uuid, Option<Group>)>,
}

fn set_hash(set: &RoaringBitmap) -> u128 {
    let bytes: Vec<u8> = set.iter().flat_map(u32::to_be_bytes).collect();
    xxhash_rust::xxh3::xxh3_128(&bytes)
}

impl Groups {
    /// Notes a row that stands in the database. Whether that is news.
    pub(crate) fn stands(&mut self, uuid: Uuid, datapaths: Option<RoaringBitmap>) -> bool {
        let news = self.groups.get(&uuid).is_none_or(|group| group.datapaths != datapaths);
        self.forget_set(uuid);
        if let Some(set) = &datapaths {
            self.by_set.entry(set_hash(set)).or_insert(uuid);
        }
        self.groups.entry(uuid).or_insert(Group { datapaths: None, users: 0 }).datapaths = datapaths;
        news
    }

    /// Notes that a row is gone.
    pub(crate) fn gone(&mut self, uuid: Uuid) {
        self.forget_set(uuid);
        self.groups.remove(&uuid);
    }

    fn forget_set(&mut self, uuid: Uuid) {
        let old = self.groups.get_mut(&uuid).and_then(|group| group.datapaths.take());
        if let Some(hash) = old.as_ref().map(set_hash)
            && self.by_set.get(&hash) == Some(&uuid)
        {
            self.by_set.remove(&hash);
        }
    }

    /// A flow's row stands elsewhere than before.
    pub(crate) fn moved(&mut self, old: Option<Place>, new: Option<Place>) {
        if let Some(Place::Group(uuid)) = new {
            self.groups.entry(uuid).or_insert(Group { datapaths: None, users: 0 }).users += 1;
        }
        if let Some(Place::Group(uuid)) = old
            && let Some(group) = self.groups.get_mut(&uuid)
        {
            group.users = group.users.saturating_sub(1);
            self.left.push(uuid);
        }
    }

    /// Changes in place the groups that all of their flows want to leave for the same new set.
    ///
    /// `moving` gives, for each flow that may move, the group that it stands with and the set that it wants.
    pub(crate) fn reshape<'a>(
        &mut self,
        moving: impl Iterator<Item = (Uuid, &'a RoaringBitmap)>,
        row_of: &dyn Fn(DatapathIndex) -> Uuid,
        txn: &mut Txn,
    ) {
        // For each group the set that its flows want and how many do, or `None` when they disagree.
        let mut wishes: HashMap<Uuid, Option<(&RoaringBitmap, u32)>> = HashMap::default();
        for (group, set) in moving {
            if !self.groups.contains_key(&group) || self.is_for(group, set) {
                continue;
            }
            let wish = wishes.entry(group).or_insert(Some((set, 0)));
            *wish = wish.and_then(|(first, count)| (first == set).then_some((first, count + 1)));
        }
        let mut wishes: Vec<_> = wishes.into_iter().collect();
        wishes.sort_by_key(|(group, _)| *group);
        for (uuid, wish) in wishes {
            let Some((set, count)) = wish else { continue };
            let group = &self.groups[&uuid];
            let Some(old) = &group.datapaths else { continue };
            if group.users != count || self.by_set.contains_key(&set_hash(set)) {
                continue;
            }
            let rows = |set: RoaringBitmap| -> Vec<Uuid> {
                set.iter().map(|at| row_of(DatapathIndex(at))).collect()
            };
            let (come, go) = (rows(set - old), rows(old - set));
            let mut op = txn.mutate("Logical_DP_Group");
            op.row(uuid);
            if !go.is_empty() {
                op.delete("datapaths", &go[..]);
            }
            if !come.is_empty() {
                op.put("datapaths", &come[..]);
            }
            drop(op);
            self.undo.push((uuid, Some(group.clone())));
            self.stands(uuid, Some(set.clone()));
        }
    }

    /// Whether a group stands for exactly this set.
    pub(crate) fn is_for(&self, uuid: Uuid, set: &RoaringBitmap) -> bool {
        self.groups.get(&uuid).is_some_and(|group| group.datapaths.as_ref() == Some(set))
    }

    /// The group with exactly this set; it is inserted if there is none.
    pub(crate) fn for_set(
        &mut self,
        set: &RoaringBitmap,
        row_of: &dyn Fn(DatapathIndex) -> Uuid,
        txn: &mut Txn,
    ) -> Uuid {
        let hash = set_hash(set);
        if let Some(uuid) = self.by_set.get(&hash) {
            return *uuid;
        }
        let mut rows: Vec<Uuid> = set.iter().map(|at| row_of(DatapathIndex(at))).collect();
        rows.sort_unstable();
        // The name of a set that was once a group's and is wanted again may still be taken by that group, in another
        // shape: the next free name is as good.
        let mut name = xxhash_rust::xxh3::Xxh3::with_seed(0x6470_6772);
        for row in &rows {
            name.update(row.as_bytes());
        }
        let mut name = name.digest128();
        while self.groups.contains_key(&uuid_from_hash(name)) {
            name = name.wrapping_add(1);
        }
        let uuid = uuid_from_hash(name);
        txn.insert("Logical_DP_Group").uuid(uuid).set("datapaths", &rows[..]);
        self.undo.push((uuid, None));
        self.stands(uuid, Some(set.clone()));
        uuid
    }

    /// Forgets groups that no flow stands with: the database collects their rows.
    pub(crate) fn collect(&mut self) {
        for uuid in std::mem::take(&mut self.left) {
            if let Some(group) = self.groups.get(&uuid)
                && group.users == 0
            {
                self.undo.push((uuid, Some(group.clone())));
                self.gone(uuid);
            }
        }
    }

    /// The transaction in flight was committed.
    pub(crate) fn committed(&mut self) {
        self.undo.clear();
    }

    /// The transaction in flight was not carried out.
    pub(crate) fn failed(&mut self) {
        for (uuid, group) in std::mem::take(&mut self.undo).into_iter().rev() {
            match group {
                Some(group) => {
                    self.stands(uuid, group.datapaths);
                }
                None => self.gone(uuid),
            }
        }
    }
}
