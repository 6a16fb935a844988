//! What is sent together: meters, one bundle of groups and flows, and a barrier whose answer says that it is all done.

use crate::desired::{
    Desired, FlowChange, FlowCommand, GroupSpec, MeterSpec, NumberedChange, NumberedCommand,
};
use kiln_openflow::msg::{
    Bucket, BundleAdd, BundleControl, FlowMod, Group, GroupMod, Message, Meter, MeterMod,
};
use kiln_openflow::{Match, Xid};
use std::collections::VecDeque;
use std::ops::Range;

/// One message of a batch, in as little as it can be made from when its turn comes.
#[derive(Debug)]
pub(super) enum Item {
    FlushZone(u16),
    Meter(NumberedChange<MeterSpec>),
    DeleteMeter(u32),
    Open,
    /// Empties the switch of groups.
    WipeGroups,
    /// Empties the switch of flows.
    WipeFlows,
    /// A group, with the first of its buckets.
    Group(NumberedChange<GroupSpec>, usize),
    /// More buckets of the group in the item so many places before.
    Buckets(usize, Range<usize>),
    Flow(FlowChange),
    DeleteGroup(u32),
    Commit,
    Discard,
    Barrier,
}

impl Item {
    fn in_bundle(&self) -> bool {
        use Item::{Buckets, DeleteGroup, Flow, Group, WipeFlows, WipeGroups};
        matches!(self, WipeGroups | WipeFlows | Group(..) | Buckets(..) | Flow(_) | DeleteGroup(_))
    }
}

/// Messages in order, of which the first ones have been sent.
#[derive(Debug)]
pub(super) struct Batch {
    items: Vec<Item>,
    /// The ids of those that were sent.
    sent: Vec<Xid>,
    /// The bundle's number; `None` if changes go out one by one.
    bundle: Option<u32>,
    /// What the caller learns once all is done.
    pub(super) generation: Option<u64>,
    /// Something in it or before it was refused.
    pub(super) failed: bool,
}

/// What was refused.
#[derive(Debug)]
pub(super) struct Place {
    batch: usize,
    item: usize,
}

impl Place {
    /// What a batch would send next.
    pub(super) fn next(batches: &VecDeque<Batch>, batch: usize) -> Place {
        Place { batch, item: batches[batch].sent.len() }
    }
}

/// All or nothing, in order.
const FLAGS: u16 = BundleControl::ATOMIC | BundleControl::ORDERED;
/// The most bytes of buckets in one message: what a message holds, less what goes around them.
const MAX_BUCKETS_LEN: usize = 60_000;
/// The most bytes that a bucket has beside its actions.
const BUCKET_OVERHEAD: usize = 32;

impl Batch {
    /// Puts what changes in order: zones to flush, `meters`, then `changes` in a bundle if it has a number.
    pub(super) fn new(mut items: Vec<Item>, changes: Vec<Item>, bundle: Option<u32>) -> Batch {
        match bundle {
            Some(_) if !changes.is_empty() => {
                items.push(Item::Open);
                items.extend(changes);
                items.push(Item::Commit);
            }
            _ => items.extend(changes),
        }
        items.push(Item::Barrier);
        Batch { items, sent: Vec::new(), bundle, generation: None, failed: false }
    }

    pub(super) fn is_sent(&self) -> bool {
        self.sent.len() == self.items.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether the barrier that ends it has this id.
    pub(super) fn ends_with(&self, xid: Xid) -> bool {
        self.is_sent() && self.sent.last() == Some(&xid)
    }

    /// The next message to send.
    pub(super) fn next(&self, desired: &Desired) -> Option<Message> {
        let at = self.sent.len();
        let item = self.items.get(at)?;
        let message = match item {
            Item::FlushZone(zone) => Message::CtFlushZone(*zone),
            Item::Meter(change) => Message::MeterMod(meter_mod(change)),
            Item::DeleteMeter(id) => Message::MeterMod(MeterMod::delete(*id)),
            Item::Open => self.control(BundleControl::OPEN_REQUEST),
            Item::Commit => self.control(BundleControl::COMMIT_REQUEST),
            Item::Discard => self.control(BundleControl::DISCARD_REQUEST),
            Item::WipeGroups => Message::GroupMod(GroupMod::delete(Group::ALL_IDS)),
            Item::WipeFlows => Message::FlowMod(FlowMod::new(FlowMod::DELETE, 0xff, 0, Match::any())),
            Item::Group(change, first) => {
                let command = match change.command {
                    NumberedCommand::Add => GroupMod::ADD,
                    NumberedCommand::Modify => GroupMod::MODIFY,
                };
                Message::GroupMod(group_mod(change, command, 0..*first))
            }
            Item::Buckets(back, range) => match &self.items[at - back] {
                Item::Group(change, _) => {
                    Message::GroupMod(group_mod(change, GroupMod::INSERT_BUCKET, range.clone()))
                }
                _ => unreachable!("the group of more buckets comes before them"),
            },
            Item::Flow(change) => Message::FlowMod(desired.flows.message(change)),
            Item::DeleteGroup(id) => Message::GroupMod(GroupMod::delete(*id)),
            Item::Barrier => Message::BarrierRequest,
        };
        Some(match self.bundle {
            Some(bundle_id) if item.in_bundle() => {
                Message::BundleAdd(Box::new(BundleAdd { bundle_id, flags: FLAGS, message }))
            }
            _ => message,
        })
    }

    fn control(&self, typ: u16) -> Message {
        Message::BundleControl(BundleControl { bundle_id: self.bundle.unwrap_or(0), typ, flags: FLAGS })
    }

    /// Notes that the next message was sent.
    pub(super) fn sent(&mut self, xid: Xid) {
        self.sent.push(xid);
    }

    /// Sends nothing more of a bundle but what ends it in good order. Gives the zones that were not flushed.
    pub(super) fn cut(&mut self) -> Vec<u16> {
        if self.is_sent() || self.bundle.is_none() {
            return Vec::new();
        }
        let unsent = self.items.split_off(self.sent.len());
        if !self.items.is_empty() {
            let opens = |item: &Item| matches!(item, Item::Open);
            let closes = |item: &Item| matches!(item, Item::Commit | Item::Discard);
            if self.items.iter().any(opens) && !self.items.iter().any(closes) {
                self.items.push(Item::Discard);
            }
            self.items.push(Item::Barrier);
        }
        unsent.into_iter().filter_map(|item| item.zone()).collect()
    }

    /// The zones that it flushes.
    pub(super) fn zones(&self) -> impl Iterator<Item = u16> {
        self.items.iter().filter_map(Item::zone)
    }
}

impl Item {
    fn zone(&self) -> Option<u16> {
        if let Item::FlushZone(zone) = self { Some(*zone) } else { None }
    }

    /// The items that add or change a group: more than one if its buckets do not fit into a message.
    pub(super) fn group(change: NumberedChange<GroupSpec>) -> Vec<Item> {
        let mut ranges = Vec::new();
        let (mut start, mut len) = (0, 0);
        for (at, bucket) in change.spec.buckets.iter().enumerate() {
            let more = bucket.actions.as_bytes().len() + BUCKET_OVERHEAD;
            if len + more > MAX_BUCKETS_LEN && at > start {
                ranges.push(start..at);
                (start, len) = (at, 0);
            }
            len += more;
        }
        ranges.push(start..change.spec.buckets.len());
        let mut ranges = ranges.into_iter();
        let first = ranges.next().map_or(0, |range| range.end);
        let more = ranges.enumerate().map(|(at, range)| Item::Buckets(at + 1, range));
        std::iter::once(Item::Group(change, first)).chain(more).collect()
    }
}

/// Finds what was sent under an id.
pub(super) fn find<'a>(batches: impl IntoIterator<Item = &'a Batch>, xid: Xid) -> Option<Place> {
    batches.into_iter().enumerate().find_map(|(batch, b)| {
        let first = b.sent.first()?.0;
        // Ids go up, if need be past the largest.
        let since_first = |other: &Xid| other.0.wrapping_sub(first);
        let item = b.sent.binary_search_by_key(&since_first(&xid), since_first).ok()?;
        Some(Place { batch, item })
    })
}

/// What a refusal means.
#[derive(Debug)]
pub(super) enum Blame {
    /// This is left out from now on.
    LeftOut {
        /// It was not left out before.
        news: bool,
        /// What it is, in text.
        what: String,
    },
    /// Nothing that could be left out: the deletion of a group, the bundle itself.
    Nothing(String),
    /// It does not matter.
    Harmless(String),
}

/// Says what was refused, and leaves it out from now on.
pub(super) fn blame(batches: &VecDeque<Batch>, place: &Place, desired: &mut Desired) -> Blame {
    let items = &batches[place.batch].items;
    match &items[place.item] {
        Item::Flow(change) => {
            let what = match change.command {
                FlowCommand::Delete => "deletion of flow",
                _ => "flow",
            };
            let what = format!("{what} {}", desired.flows.describe(change));
            Blame::LeftOut { news: desired.flows.refuse(change), what }
        }
        Item::Group(change, _) => refuse_group(change, desired),
        Item::Buckets(back, _) => match &items[place.item - back] {
            Item::Group(change, _) => refuse_group(change, desired),
            _ => unreachable!("the group of more buckets comes before them"),
        },
        Item::Meter(change) => {
            let news = desired.meters.refuse(change);
            let name = desired.meters.name(change.id);
            Blame::LeftOut { news, what: format!("meter {name:?}: {}", meter_mod(change).meter) }
        }
        Item::FlushZone(zone) => Blame::Harmless(format!("flush of conntrack zone {zone}")),
        Item::DeleteMeter(id) => Blame::Harmless(format!("deletion of meter {id}")),
        Item::DeleteGroup(id) => Blame::Nothing(format!("deletion of group {id}")),
        Item::WipeGroups => Blame::Nothing("deletion of all groups".into()),
        Item::WipeFlows => Blame::Nothing("deletion of all flows".into()),
        Item::Open | Item::Commit | Item::Discard => Blame::Nothing("bundle".into()),
        Item::Barrier => Blame::Nothing("barrier".into()),
    }
}

fn refuse_group(change: &NumberedChange<GroupSpec>, desired: &mut Desired) -> Blame {
    let news = desired.groups.refuse(change);
    let name = desired.groups.name(change.id);
    let group = group_mod(change, GroupMod::ADD, 0..change.spec.buckets.len()).group;
    Blame::LeftOut { news, what: format!("group {name:?}: {group}") }
}

fn meter_mod(change: &NumberedChange<MeterSpec>) -> MeterMod {
    let command = match change.command {
        NumberedCommand::Add => MeterMod::ADD,
        NumberedCommand::Modify => MeterMod::MODIFY,
    };
    let MeterSpec { flags, bands } = &*change.spec;
    MeterMod { command, meter: Meter { flags: *flags, meter_id: change.id, bands: bands.clone() } }
}

fn group_mod(change: &NumberedChange<GroupSpec>, command: u16, buckets: Range<usize>) -> GroupMod {
    let spec = &change.spec;
    let inserts = command == GroupMod::INSERT_BUCKET;
    GroupMod {
        command,
        command_bucket_id: if inserts { Bucket::LAST } else { Bucket::ALL },
        group: Group {
            typ: spec.typ,
            group_id: change.id,
            buckets: spec.buckets[buckets].to_vec(),
            selection: if inserts { None } else { spec.selection.clone() },
        },
    }
}
