//! Groups: several lists of actions, of which all, one or the live one is executed (OpenFlow 1.5.1, section 7.3.4.3).

use super::multipart::{entry, finish_entry};
use crate::action::{self, Actions};
use crate::flow_match::{put_uint, read_header, read_uint};
use crate::prop;
use crate::wire::{self, Put, Reader, TooLong};
use crate::{ErrorCode, Field, Version};
use kiln_types::OfPort;

/// Netronome's experimenter id, under which selection methods go.
const NTR: u32 = 0x0000_154d;
/// The property of selection methods.
const NTR_SELECTION_METHOD: u32 = 1;

/// A group as it is, and what a change makes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// [`Group::ALL`] and the others.
    pub typ: u8,
    /// The group's number, from 1.
    pub group_id: u32,
    /// Its buckets.
    pub buckets: Vec<Bucket>,
    /// How a bucket is selected; `None` leaves it to the switch.
    pub selection: Option<Selection>,
}

impl Group {
    /// Executes all buckets.
    pub const ALL: u8 = 0;
    /// Executes one bucket.
    pub const SELECT: u8 = 1;
    /// Executes the one bucket there is.
    pub const INDIRECT: u8 = 2;
    /// Executes the first live bucket.
    pub const FAST_FAILOVER: u8 = 3;

    /// The largest number of a group.
    pub const MAX_ID: u32 = 0xffff_ff00;
    /// All groups, when deleting.
    pub const ALL_IDS: u32 = 0xffff_fffc;
    /// Any group, in requests.
    pub const ANY_ID: u32 = 0xffff_ffff;
}

/// Changes a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupMod {
    /// [`GroupMod::ADD`] and the others.
    pub command: u16,
    /// Where buckets are inserted or which are removed: an id, or [`Bucket::FIRST`] and the others.
    pub command_bucket_id: u32,
    /// What the group is to be.
    pub group: Group,
}

impl GroupMod {
    /// Adds a group.
    pub const ADD: u16 = 0;
    /// Replaces a group.
    pub const MODIFY: u16 = 1;
    /// Deletes a group.
    pub const DELETE: u16 = 2;
    /// Inserts buckets (1.5).
    pub const INSERT_BUCKET: u16 = 3;
    /// Removes buckets (1.5).
    pub const REMOVE_BUCKET: u16 = 5;
    /// Replaces a group, or adds it (Open vSwitch).
    pub const ADD_OR_MODIFY: u16 = 0x8000;

    /// Deletes one group, or all with [`Group::ALL_IDS`].
    pub fn delete(group_id: u32) -> GroupMod {
        GroupMod {
            command: GroupMod::DELETE,
            command_bucket_id: Bucket::ALL,
            group: Group { typ: Group::ALL, group_id, buckets: Vec::new(), selection: None },
        }
    }

    pub(super) fn put(&self, version: Version, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let g = &self.group;
        out.put_u16(self.command);
        out.put_u8(g.typ);
        out.put_u8(0);
        out.put_u32(g.group_id);
        if version < Version::V1_5 {
            return g.buckets.iter().try_for_each(|b| b.put_v11(version, out));
        }
        let len_at = out.len();
        out.put_u16(0);
        out.put_u16(0);
        out.put_u32(self.command_bucket_id);
        put_buckets(&g.buckets, len_at, out)?;
        g.selection.iter().for_each(|s| s.put(out));
        Ok(())
    }

    pub(super) fn read(r: &mut Reader<'_>, version: Version) -> wire::Result<GroupMod> {
        let (command, typ) = (r.u16()?, r.u8()?);
        r.skip(1)?;
        let group_id = r.u32()?;
        let mut group = Group { typ, group_id, buckets: Vec::new(), selection: None };
        let mut command_bucket_id = Bucket::ALL;
        if version < Version::V1_5 {
            while !r.is_empty() {
                group.buckets.push(Bucket::read_v11(r, version)?);
            }
        } else {
            let buckets_len = usize::from(r.u16()?);
            r.skip(2)?;
            command_bucket_id = r.u32()?;
            group.buckets = read_buckets(r, buckets_len)?;
            group.selection = read_group_properties(r)?;
        }
        Ok(GroupMod { command, command_bucket_id, group })
    }
}

/// Appends buckets of 1.5, and their length at `len_at`.
fn put_buckets(buckets: &[Bucket], len_at: usize, out: &mut Vec<u8>) -> Result<(), TooLong> {
    let at = out.len();
    buckets.iter().try_for_each(|b| b.put(out))?;
    let len = out.len() - at;
    let short = u16::try_from(len).map_err(|_| TooLong { what: "buckets", len, max: 0xffff })?;
    out.set_u16(len_at, short);
    Ok(())
}

fn read_buckets(r: &mut Reader<'_>, len: usize) -> wire::Result<Vec<Bucket>> {
    let mut list = r.sub(len, "buckets", ErrorCode::GROUP_MOD_BAD_BUCKET)?;
    let mut buckets = Vec::new();
    while !list.is_empty() {
        buckets.push(Bucket::read(&mut list)?);
    }
    Ok(buckets)
}

/// One list of actions of a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// The bucket's number in its group (1.5; 0 before).
    pub bucket_id: u32,
    /// Share of a select group's packets.
    pub weight: Option<u16>,
    /// The port whose liveness is the bucket's.
    pub watch_port: Option<OfPort>,
    /// The group whose liveness is the bucket's.
    pub watch_group: Option<u32>,
    /// What is executed.
    pub actions: Actions,
}

/// Numbers of a bucket's properties.
mod property {
    pub(super) const WEIGHT: u16 = 0;
    pub(super) const WATCH_PORT: u16 = 1;
    pub(super) const WATCH_GROUP: u16 = 2;
}

impl Bucket {
    /// The largest number of a bucket.
    pub const MAX_ID: u32 = 0xffff_ff00;
    /// Before the first bucket; the first bucket.
    pub const FIRST: u32 = 0xffff_fffd;
    /// After the last bucket; the last bucket.
    pub const LAST: u32 = 0xffff_fffe;
    /// All buckets.
    pub const ALL: u32 = 0xffff_ffff;

    fn put(&self, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let at = out.len();
        out.put_u16(0);
        // A list of actions always fits into its own length field; the bucket's is checked at the end.
        out.put_u16(self.actions.as_bytes().len() as u16);
        out.put_u32(self.bucket_id);
        out.extend_from_slice(self.actions.as_bytes());
        if let Some(weight) = self.weight {
            prop::put_u16(out, property::WEIGHT, weight);
        }
        if let Some(port) = self.watch_port {
            prop::put_u32(out, property::WATCH_PORT, port.0);
        }
        if let Some(group) = self.watch_group {
            prop::put_u32(out, property::WATCH_GROUP, group);
        }
        finish_entry(out, at)
    }

    fn read(r: &mut Reader<'_>) -> wire::Result<Bucket> {
        let mut r = entry(r, "bucket")?;
        let actions_len = usize::from(r.u16()?);
        let bucket_id = r.u32()?;
        let mut list = r.sub(actions_len, "actions", ErrorCode::ACTION_BAD_LEN)?;
        let actions = action::list_from_wire(&mut list, Version::V1_5)?;
        let mut bucket = Bucket { bucket_id, weight: None, watch_port: None, watch_group: None, actions };
        while let Some(mut p) = prop::next(&mut r)? {
            match p.typ {
                property::WEIGHT => bucket.weight = Some(p.u16()?),
                property::WATCH_PORT => bucket.watch_port = Some(OfPort(p.u32()?)),
                property::WATCH_GROUP => bucket.watch_group = Some(p.u32()?),
                _ => return Err(p.unknown()),
            }
        }
        Ok(bucket)
    }

    /// The form of 1.1 to 1.4.
    fn put_v11(&self, version: Version, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let at = out.len();
        out.put_u16(0);
        out.put_u16(self.weight.unwrap_or(0));
        out.put_u32(self.watch_port.unwrap_or(OfPort::ANY).0);
        out.put_u32(self.watch_group.unwrap_or(Group::ANY_ID));
        out.put_u32(0);
        self.actions.put(version, out)?;
        finish_entry(out, at)
    }

    fn read_v11(r: &mut Reader<'_>, version: Version) -> wire::Result<Bucket> {
        let mut r = entry(r, "bucket")?;
        let weight = Some(r.u16()?).filter(|&w| w != 0);
        let watch_port = Some(OfPort(r.u32()?)).filter(|&p| p != OfPort::ANY);
        let watch_group = Some(r.u32()?).filter(|&g| g != Group::ANY_ID);
        r.skip(4)?;
        let actions = action::list_from_wire(&mut r, version)?;
        Ok(Bucket { bucket_id: 0, weight, watch_port, watch_group, actions })
    }
}

/// How a select group chooses a bucket (Netronome's property of groups).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selection {
    /// `hash` or `dp_hash`; at most 15 bytes.
    pub method: Box<str>,
    /// For `dp_hash`: which hash in the upper 32 bits, its basis in the lower.
    pub param: u64,
    /// Which bits of which fields are hashed.
    pub fields: Vec<(Field, u128)>,
}

/// Bytes that a method's name has on the wire, NULs at its end included.
const METHOD_LEN: usize = 16;

impl Selection {
    fn put(&self, out: &mut Vec<u8>) {
        let at = prop::start(out, prop::EXPERIMENTER);
        out.put_u32(NTR);
        out.put_u32(NTR_SELECTION_METHOD);
        out.put_u32(0);
        out.put_name(&self.method, METHOD_LEN);
        out.put_u64(self.param);
        for &(field, mask) in &self.fields {
            let n = field.n_bytes();
            field.info().header.put(out, false, n);
            put_uint(out, mask, n);
        }
        prop::finish(out, at);
    }

    /// Reads what follows the experimenter's ids.
    fn read(r: &mut Reader<'_>) -> wire::Result<Selection> {
        r.skip(4)?;
        let method = r.name(METHOD_LEN)?;
        let param = r.u64()?;
        let mut fields = Vec::new();
        while !r.is_empty() {
            let (word, header, has_mask, len) = read_header(r)?;
            let field = Field::by_header(header, len).filter(|f| f.n_bytes() == len && !has_mask);
            let field = field.ok_or_else(|| r.error("a known field", word, ErrorCode::MATCH_BAD_FIELD))?;
            let mask = read_uint(r.bytes(len)?);
            let mask = mask.ok_or_else(|| r.error("a mask of 128 bits", word, ErrorCode::MATCH_BAD_MASK))?;
            fields.push((field, mask & field.all_ones()));
        }
        Ok(Selection { method, param, fields })
    }
}

fn read_group_properties(r: &mut Reader<'_>) -> wire::Result<Option<Selection>> {
    let mut selection = None;
    while let Some(mut p) = prop::next(r)? {
        if p.typ != prop::EXPERIMENTER {
            return Err(p.unknown());
        }
        let r = p.reader();
        let (experimenter, exp_type) = (r.u32()?, r.u32()?);
        if experimenter != NTR {
            return Err(r.error("a known experimenter", experimenter, ErrorCode::PROPERTY_BAD_EXPERIMENTER));
        }
        if exp_type != NTR_SELECTION_METHOD {
            return Err(r.error("a selection method", exp_type, ErrorCode::PROPERTY_BAD_EXP_TYPE));
        }
        selection = Some(Selection::read(r)?);
    }
    Ok(selection)
}

impl Group {
    /// Appends an entry of the list of groups.
    pub(super) fn put_desc(&self, version: Version, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let at = out.len();
        out.put_u16(0);
        out.put_u8(self.typ);
        out.put_u8(0);
        out.put_u32(self.group_id);
        if version < Version::V1_5 {
            self.buckets.iter().try_for_each(|b| b.put_v11(version, out))?;
        } else {
            let len_at = out.len();
            out.put_u16(0);
            out.put_zeros(6);
            put_buckets(&self.buckets, len_at, out)?;
            self.selection.iter().for_each(|s| s.put(out));
        }
        finish_entry(out, at)
    }

    pub(super) fn read_desc(r: &mut Reader<'_>, version: Version) -> wire::Result<Group> {
        let mut r = entry(r, "group")?;
        let r = &mut r;
        let typ = r.u8()?;
        r.skip(1)?;
        let mut group = Group { typ, group_id: r.u32()?, buckets: Vec::new(), selection: None };
        if version < Version::V1_5 {
            while !r.is_empty() {
                group.buckets.push(Bucket::read_v11(r, version)?);
            }
        } else {
            let buckets_len = usize::from(r.u16()?);
            r.skip(6)?;
            group.buckets = read_buckets(r, buckets_len)?;
            group.selection = read_group_properties(r)?;
        }
        Ok(group)
    }
}

/// What groups a switch can have (OpenFlow 1.5.1, section 7.3.5.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupFeatures {
    /// Bit n says that groups of type n exist.
    pub types: u32,
    /// `OFPGFC_*` bits.
    pub capabilities: u32,
    /// How many groups of each type there may be.
    pub max_groups: [u32; 4],
    /// Bit n says that action n may be in groups of each type.
    pub actions: [u32; 4],
}

impl GroupFeatures {
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        out.put_u32(self.types);
        out.put_u32(self.capabilities);
        self.max_groups.iter().chain(&self.actions).for_each(|&v| out.put_u32(v));
    }

    pub(super) fn read(r: &mut Reader<'_>) -> wire::Result<GroupFeatures> {
        let mut f =
            GroupFeatures { types: r.u32()?, capabilities: r.u32()?, max_groups: [0; 4], actions: [0; 4] };
        for v in f.max_groups.iter_mut().chain(&mut f.actions) {
            *v = r.u32()?;
        }
        Ok(f)
    }
}

/// What a group has counted (OpenFlow 1.5.1, section 7.3.5.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupStats {
    /// The group.
    pub group_id: u32,
    /// How many flows or groups use it.
    pub ref_count: u32,
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
    /// How long it has existed: seconds and nanoseconds (1.3 and later).
    pub duration: (u32, u32),
    /// Packets and bytes by bucket.
    pub buckets: Vec<(u64, u64)>,
}

impl GroupStats {
    pub(super) fn put(&self, version: Version, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let at = out.len();
        out.put_u32(0);
        out.put_u32(self.group_id);
        out.put_u32(self.ref_count);
        out.put_u32(0);
        out.put_u64(self.packets);
        out.put_u64(self.bytes);
        if version >= Version::V1_3 {
            out.put_u32(self.duration.0);
            out.put_u32(self.duration.1);
        }
        for &(packets, bytes) in &self.buckets {
            out.put_u64(packets);
            out.put_u64(bytes);
        }
        finish_entry(out, at)
    }

    pub(super) fn read(r: &mut Reader<'_>, version: Version) -> wire::Result<GroupStats> {
        let mut r = entry(r, "group statistics")?;
        r.skip(2)?;
        let (group_id, ref_count) = (r.u32()?, r.u32()?);
        r.skip(4)?;
        let (packets, bytes) = (r.u64()?, r.u64()?);
        let duration = if version >= Version::V1_3 { (r.u32()?, r.u32()?) } else { (0, 0) };
        let mut buckets = Vec::with_capacity(r.remaining() / 16);
        while !r.is_empty() {
            buckets.push((r.u64()?, r.u64()?));
        }
        Ok(GroupStats { group_id, ref_count, packets, bytes, duration, buckets })
    }
}
