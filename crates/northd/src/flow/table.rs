//! Which flows are wanted, which stand in the database, and the difference.

use super::groups::Groups;
use super::{Content, DatapathIndex, Flow};
use kiln_abi::options::lflow_external_id::{SOURCE, STAGE_HINT, STAGE_NAME};
use kiln_abi::options::lflow_tag::ACL_CT_TRANSLATION;
use kiln_incr::Target;
use kiln_ovsdb::column::{Encode, Pairs};
use kiln_ovsdb::txn::{Tail, Txn};
use kiln_types::{HashMap, HashSet, Uuid, give_back_room, is_roomy};
use roaring::RoaringBitmap;
use std::cmp::Reverse;
use std::fmt::Write;

/// The datapaths that want a flow, and how many runs want it there.
#[derive(Debug, Default, PartialEq)]
enum Wanted {
    #[default]
    Nowhere,
    One(DatapathIndex, u32),
    Many(Box<Many>),
}

#[derive(Debug, Default, PartialEq)]
struct Many {
    datapaths: RoaringBitmap,
    /// Counts above one.
    again: HashMap<u32, u32>,
}

impl Wanted {
    fn add(&mut self, datapath: DatapathIndex) {
        match self {
            Wanted::Nowhere => *self = Wanted::One(datapath, 1),
            Wanted::One(only, count) if *only == datapath => *count += 1,
            Wanted::One(only, count) => {
                let mut many =
                    Many { datapaths: [only.0, datapath.0].into_iter().collect(), ..Many::default() };
                if *count > 1 {
                    many.again.insert(only.0, *count);
                }
                *self = Wanted::Many(Box::new(many));
            }
            Wanted::Many(many) => {
                if !many.datapaths.insert(datapath.0) {
                    *many.again.entry(datapath.0).or_insert(1) += 1;
                }
            }
        }
    }

    fn remove(&mut self, datapath: DatapathIndex) {
        match self {
            Wanted::Nowhere => {}
            Wanted::One(_, count) if *count > 1 => *count -= 1,
            Wanted::One(..) => *self = Wanted::Nowhere,
            Wanted::Many(many) => {
                if let Some(count) = many.again.get_mut(&datapath.0) {
                    *count -= 1;
                    if *count == 1 {
                        many.again.remove(&datapath.0);
                    }
                } else {
                    many.datapaths.remove(datapath.0);
                    if many.datapaths.is_empty() {
                        *self = Wanted::Nowhere;
                    }
                }
            }
        }
    }

    /// The datapaths, when there is more than one; or the only one.
    fn place(&self) -> Option<Result<DatapathIndex, &RoaringBitmap>> {
        match self {
            Wanted::Nowhere => None,
            Wanted::One(only, _) => Some(Ok(*only)),
            Wanted::Many(many) => Some(match many.datapaths.min() {
                Some(only) if many.datapaths.len() == 1 => Ok(DatapathIndex(only)),
                _ => Err(&many.datapaths),
            }),
        }
    }
}

/// Where a row of Logical_Flow says that it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Column `logical_datapath`.
    Datapath(Uuid),
    /// Column `logical_dp_group`.
    Group(Uuid),
}

#[derive(Debug)]
struct Entry {
    uuid: Uuid,
    wanted: Wanted,
    /// The row as the database has it, or will once the transaction in flight is done.
    stands: Option<Place>,
    touched: bool,
    /// `contents` has its text.
    has_content: bool,
}

/// Wanted and standing flows. Rules write to it; a transaction brings the database up to it.
#[derive(Debug, Default)]
pub struct FlowTable {
    entries: Vec<Entry>,
    by_uuid: HashMap<Uuid, u32>,
    free: Vec<u32>,
    /// Entries whose row may differ from what is wanted.
    touched: Vec<u32>,
    /// What is to be inserted.
    contents: Vec<Draft>,
    /// Rows that stand in the database with another content than their uuid says: somebody else's, or spoilt.
    spoilt: HashSet<Uuid>,
    /// Those of them that the transaction in flight mends.
    mending: HashSet<Uuid>,
    pub(crate) groups: Groups,
    /// What the transaction in flight assumed, to be undone if it fails.
    undo: Vec<(Uuid, Option<Place>)>,
}

/// What is kept of a flow that a run wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowRef {
    slot: u32,
    datapath: DatapathIndex,
}

impl Target for FlowTable {
    type Written = Vec<Flow>;
    type Id = FlowRef;

    fn replace(&mut self, old: &[FlowRef], new: &mut Vec<Flow>) -> Box<[FlowRef]> {
        let new: Box<[FlowRef]> = new.drain(..).map(|flow| self.want(flow)).collect();
        for flow in old {
            self.entries[flow.slot as usize].wanted.remove(flow.datapath);
            self.touch(flow.slot);
        }
        new
    }
}

impl FlowTable {
    fn want(&mut self, flow: Flow) -> FlowRef {
        let slot = self.slot(flow.content.uuid());
        let entry = &mut self.entries[slot as usize];
        entry.wanted.add(flow.datapath);
        if entry.stands.is_none() && !entry.has_content {
            entry.has_content = true;
            self.contents.push(Draft { slot, row: None, content: flow.content });
        }
        self.touch(slot);
        FlowRef { slot, datapath: flow.datapath }
    }

    fn slot(&mut self, uuid: Uuid) -> u32 {
        if let Some(slot) = self.by_uuid.get(&uuid) {
            return *slot;
        }
        let entry = Entry { uuid, wanted: Wanted::Nowhere, stands: None, touched: false, has_content: false };
        let slot = if let Some(slot) = self.free.pop() {
            self.entries[slot as usize] = entry;
            slot
        } else {
            self.entries.push(entry);
            (self.entries.len() - 1) as u32
        };
        self.by_uuid.insert(uuid, slot);
        slot
    }

    fn touch(&mut self, slot: u32) {
        let entry = &mut self.entries[slot as usize];
        if !entry.touched {
            entry.touched = true;
            self.touched.push(slot);
        }
    }

    /// Notes a row that stands in the database; `None` when it is gone.
    pub(crate) fn stands(&mut self, uuid: Uuid, place: Option<Place>) {
        let slot = self.slot(uuid);
        let old = std::mem::replace(&mut self.entries[slot as usize].stands, place);
        if old != place {
            self.groups.moved(old, place);
        }
        self.touch(slot);
    }

    /// Notes the groups that stand in the database. Flows of a group that somebody else has changed may hold where they
    /// should not.
    pub(crate) fn groups_stand(&mut self, groups: impl Iterator<Item = (Uuid, Option<RoaringBitmap>)>) {
        let news: HashSet<Uuid> =
            groups.filter_map(|(uuid, set)| self.groups.stands(uuid, set).then_some(uuid)).collect();
        if news.is_empty() {
            return;
        }
        for slot in 0..self.entries.len() {
            if let Some(Place::Group(group)) = self.entries[slot].stands
                && news.contains(&group)
            {
                self.touch(slot as u32);
            }
        }
    }

    /// Notes a row whose content is not what its uuid says: it will be deleted, or set right if the flow is wanted.
    pub(crate) fn spoilt(&mut self, uuid: Uuid) {
        self.spoilt.insert(uuid);
        self.stands(uuid, None);
    }

    /// Whether the transaction in flight writes a row's whole content.
    pub(crate) fn is_mending(&self, uuid: Uuid) -> bool {
        self.mending.contains(&uuid)
    }

    /// Rows that stand in the database, for a refetch.
    pub(crate) fn standing(&self) -> impl Iterator<Item = Uuid> {
        self.entries.iter().filter(|entry| entry.stands.is_some()).map(|entry| entry.uuid)
    }

    /// How many rows stand in the database.
    pub fn standing_len(&self) -> usize {
        self.standing().count()
    }

    /// How many flows are wanted.
    pub fn len(&self) -> usize {
        self.entries.iter().filter(|entry| entry.wanted != Wanted::Nowhere).count()
    }

    /// Whether no flow is wanted.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether some wanted flow's text was not kept: every rule has to run again before the difference can be written.
    pub(crate) fn lacks_content(&self) -> bool {
        self.touched.iter().any(|slot| {
            let entry = &self.entries[*slot as usize];
            entry.wanted != Wanted::Nowhere && entry.stands.is_none() && !entry.has_content
        })
    }

    /// Writes the difference between what is wanted and what stands, and assumes that it will be done. Returns the rows
    /// to insert, which are not written yet.
    ///
    /// `row_of` gives the Datapath_Binding row of a datapath.
    pub(crate) fn write(&mut self, row_of: &dyn Fn(DatapathIndex) -> Uuid, txn: &mut Txn) -> Inserts {
        let mut inserts = std::mem::take(&mut self.contents);
        let touched = std::mem::take(&mut self.touched);
        let moving = touched.iter().filter_map(|slot| {
            let entry = &self.entries[*slot as usize];
            match (entry.stands, entry.wanted.place()) {
                (Some(Place::Group(group)), Some(Err(set))) => Some((group, set)),
                _ => None,
            }
        });
        self.groups.reshape(moving, row_of, txn);
        inserts.retain_mut(|draft| {
            draft.row = self.write_one(draft.slot, Some(&draft.content), row_of, txn);
            draft.row.is_some()
        });
        for slot in touched {
            if self.entries[slot as usize].touched {
                self.write_one(slot, None, row_of, txn);
            }
        }
        self.groups.collect();
        Inserts(inserts.into_iter())
    }

    /// Writes one entry's difference, unless it is a row to insert: returns that row's uuid and where it holds.
    fn write_one(
        &mut self,
        slot: u32,
        content: Option<&Content>,
        row_of: &dyn Fn(DatapathIndex) -> Uuid,
        txn: &mut Txn,
    ) -> Option<(Uuid, Place)> {
        let entry = &mut self.entries[slot as usize];
        let mut insert = None;
        (entry.touched, entry.has_content) = (false, false);
        let place = match entry.wanted.place() {
            None => None,
            Some(Ok(only)) => Some(Place::Datapath(row_of(only))),
            Some(Err(set)) => match entry.stands {
                // Of flows that have moved with their group none has to look for it again.
                Some(Place::Group(group)) if self.groups.is_for(group, set) => entry.stands,
                _ => Some(Place::Group(self.groups.for_set(set, row_of, txn))),
            },
        };
        let spoilt = self.spoilt.remove(&entry.uuid);
        if spoilt {
            self.mending.insert(entry.uuid);
        }
        if spoilt && place.is_none() {
            txn.delete("Logical_Flow").row(entry.uuid);
        }
        if entry.stands != place {
            match (entry.stands, place) {
                (_, None) => {
                    txn.delete("Logical_Flow").row(entry.uuid);
                }
                (None, Some(place)) => {
                    let content =
                        content.expect("a flow that stands nowhere keeps its text until it is written");
                    if spoilt {
                        let (datapath, group) = place.columns();
                        let mut op = txn.update("Logical_Flow");
                        op.row(entry.uuid).set("logical_datapath", &datapath).set("logical_dp_group", &group);
                        content.columns(&mut |column, value| {
                            op.set(column, value);
                        });
                        op.set("controller_meter", &content.meter).set("tags", &content.tags());
                    } else {
                        insert = Some((entry.uuid, place));
                    }
                }
                (Some(_), Some(place)) => {
                    let (datapath, group) = place.columns();
                    let mut op = txn.update("Logical_Flow");
                    op.row(entry.uuid).set("logical_datapath", &datapath).set("logical_dp_group", &group);
                }
            }
            self.undo.push((entry.uuid, entry.stands));
            self.groups.moved(entry.stands, place);
            entry.stands = place;
        }
        if entry.wanted == Wanted::Nowhere && entry.stands.is_none() {
            self.by_uuid.remove(&entry.uuid);
            self.free.push(slot);
        }
        insert
    }

    /// The transaction in flight was committed.
    pub(crate) fn committed(&mut self) {
        self.undo = Vec::new();
        self.mending.clear();
        self.groups.committed();
        self.shrink();
    }

    /// Gives back the memory of flows that are gone, as far as they are the last ones.
    fn shrink(&mut self) {
        let is_free =
            |entry: &Entry| entry.wanted == Wanted::Nowhere && entry.stands.is_none() && !entry.touched;
        if self.free.len() > self.entries.len() / 2 + 1024 && self.entries.last().is_some_and(is_free) {
            let len = self.entries.iter().rposition(|entry| !is_free(entry)).map_or(0, |last| last + 1);
            self.entries.truncate(len);
            self.entries.shrink_to_fit();
            self.free.retain(|slot| (*slot as usize) < len);
            // The lowest first, so that the end comes free again.
            self.free.sort_unstable_by_key(|slot| Reverse(*slot));
            self.free.shrink_to_fit();
        }
        give_back_room(&mut self.by_uuid);
        if is_roomy(self.touched.capacity(), self.touched.len()) {
            self.touched.shrink_to_fit();
        }
    }

    /// The transaction in flight was not carried out: what it would have changed stands as before.
    pub(crate) fn failed(&mut self) {
        for (uuid, place) in std::mem::take(&mut self.undo).into_iter().rev() {
            self.stands(uuid, place);
        }
        self.groups.failed();
        for uuid in std::mem::take(&mut self.mending) {
            self.spoilt(uuid);
        }
    }
}

impl Place {
    fn columns(self) -> (Option<Uuid>, Option<Uuid>) {
        match self {
            Place::Datapath(uuid) => (Some(uuid), None),
            Place::Group(uuid) => (None, Some(uuid)),
        }
    }
}

impl Content {
    /// Column `tags`.
    fn tags(&self) -> Pairs<'static, &'static str, &'static str> {
        Pairs(if self.translated { &[(ACL_CT_TRANSLATION, "true")] } else { &[] })
    }

    /// Calls `f` with each column that is part of the flow's identity, but for the meter and the tags, which few have.
    fn columns(&self, f: &mut dyn FnMut(&str, &dyn Encode)) {
        f("pipeline", &self.stage.pipeline.as_str());
        f("table_id", &i64::from(self.stage.number));
        f("priority", &i64::from(self.priority));
        f("match", &self.matches());
        f("actions", &self.actions());
    }
}

/// A flow whose row is not in the database.
#[derive(Debug)]
struct Draft {
    slot: u32,
    /// The row's uuid and where it holds, once it is to be inserted.
    row: Option<(Uuid, Place)>,
    content: Content,
}

/// Rows to insert. A network's first compile has so many that their text is written only as it is sent.
#[derive(Debug)]
pub(crate) struct Inserts(std::vec::IntoIter<Draft>);

impl Tail for Inserts {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn write_next(&mut self, txn: &mut Txn) {
        if let Some(Draft { row: Some((uuid, place)), content, .. }) = self.0.next() {
            insert(uuid, place, &content, txn);
        }
    }
}

fn insert(uuid: Uuid, place: Place, content: &Content, txn: &mut Txn) {
    let mut op = txn.insert("Logical_Flow");
    op.uuid(uuid);
    match place {
        Place::Datapath(uuid) => op.set("logical_datapath", &uuid),
        Place::Group(uuid) => op.set("logical_dp_group", &uuid),
    };
    content.columns(&mut |column, value| {
        op.set(column, value);
    });
    if content.meter.is_some() {
        op.set("controller_meter", &content.meter);
    }
    if content.translated {
        op.set("tags", &content.tags());
    }
    op.set("external_ids", &Hints(content));
}

/// `external_ids` of a flow: what it is for, for people.
struct Hints<'a>(&'a Content);

impl Encode for Hints<'_> {
    fn encode(&self, out: &mut String) {
        let Hints(content) = self;
        let file = content.source.file();
        let file = file.strip_prefix(SOURCES).unwrap_or(file);
        // Piece by piece, since a first compile writes this for each of its flows.
        let begin = |out: &mut String, key| ["[\"", key, "\",\""].iter().for_each(|text| out.push_str(text));
        out.push_str("[\"map\",[");
        begin(out, SOURCE);
        out.push_str(file);
        out.push(':');
        i64::from(content.source.line()).encode(out);
        out.push_str("\"],");
        if let Some(digits) = content.hint {
            begin(out, STAGE_HINT);
            let _ = write!(out, "{digits:08x}\"],");
        }
        begin(out, STAGE_NAME);
        out.push_str(content.stage.name);
        out.push_str("\"]]]");
    }
}

/// The folder of this crate's files, as the compiler names them.
const SOURCES: &str = file!().split_at(file!().len() - "flow/table.rs".len()).0;
