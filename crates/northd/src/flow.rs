//! Logical flows: what rules emit, and the rows of Logical_Flow and Logical_DP_Group that follow.
//!
//! A flow's row uuid is made from its content, so a northd that starts again finds its own rows and writes nothing. Of a
//! row that stands in the database only that uuid and its datapaths are kept, not its text.

mod groups;
pub(crate) mod table;

pub use table::FlowTable;

use crate::drops;
use crate::tables::Ctx;
use kiln_abi::options::lflow_tag;
use kiln_abi::stages::{Datapath, Pipeline, Stage};
use kiln_ovsdb::Text;
use kiln_types::Uuid;
use std::fmt::{Display, Write};
use std::panic::Location;
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128_with_seed};

/// The place of a datapath in bitmaps: dense, and meaningless outside this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DatapathIndex(pub u32);

/// A logical flow on one datapath.
#[derive(Debug)]
pub struct Flow {
    pub(crate) datapath: DatapathIndex,
    pub(crate) content: Content,
}

/// What a row of Logical_Flow says, but for where it holds.
#[derive(Debug)]
pub(crate) struct Content {
    pub(crate) stage: Stage,
    pub(crate) priority: u16,
    /// Match and actions, one behind the other.
    text: Box<str>,
    split: u32,
    /// Column `controller_meter`.
    pub(crate) meter: Option<Text>,
    /// Column `tags` has `acl_ct_translation`: the match is about what the connection tracker knows of the packet.
    pub(crate) translated: bool,
    /// The first digits of the northbound row's uuid that the flow is for; not part of its identity.
    pub(crate) hint: Option<u32>,
    /// Where it is made; not part of its identity.
    pub(crate) source: &'static Location<'static>,
}

impl Content {
    pub(crate) fn matches(&self) -> &str {
        &self.text[..self.split as usize]
    }

    pub(crate) fn actions(&self) -> &str {
        &self.text[self.split as usize..]
    }

    pub(crate) fn uuid(&self) -> Uuid {
        uuid_of(self.stage, self.priority, &self.text, self.split, self.meter.as_deref(), self.translated)
    }
}

/// The uuid of the row with this content (RFC 9562 version 8): its stage, though not the stage's name, and priority,
/// match, actions, meter, and whether the match is about what the connection tracker knows (`translated`).
pub fn flow_uuid(
    stage: Stage,
    priority: u16,
    matches: &str,
    actions: &str,
    meter: Option<&str>,
    translated: bool,
) -> Uuid {
    uuid_of(stage, priority, &[matches, actions].concat(), matches.len() as u32, meter, translated)
}

/// The same for match and actions one behind the other. What is not part of that text goes into the seed.
fn uuid_of(
    stage: Stage,
    priority: u16,
    text: &str,
    split: u32,
    meter: Option<&str>,
    translated: bool,
) -> Uuid {
    let kind =
        u8::from(stage.datapath == Datapath::Router) << 1 | u8::from(stage.pipeline == Pipeline::Egress);
    let place = u32::from_be_bytes([kind, stage.number, (priority >> 8) as u8, priority as u8]);
    let seed = u64::from(place) << 32 | u64::from(split);
    let seed = meter.map_or(seed, |meter| xxh3_64_with_seed(meter.as_bytes(), seed));
    let tag = || xxh3_64_with_seed(lflow_tag::ACL_CT_TRANSLATION.as_bytes(), !seed);
    let seed = if translated { tag() } else { seed };
    uuid_from_hash(xxh3_128_with_seed(text.as_bytes(), seed))
}

/// A uuid that is made from a hash and looks like one (RFC 9562 version 8).
pub(crate) fn uuid_from_hash(hash: u128) -> Uuid {
    uuid::Builder::from_custom_bytes(hash.to_be_bytes()).into_uuid()
}

/// Room for most matches with their actions.
const SCRATCH_BYTES: usize = 512;

/// Where a rule puts the flows of one datapath.
pub(crate) struct Flows<'a> {
    out: &'a mut Vec<Flow>,
    datapath: DatapathIndex,
    hint: Option<u32>,
    /// Texts are written here first, to be kept in no more room than they need.
    scratch: String,
}

impl<'a> Flows<'a> {
    /// Flows for the northbound row `hint`.
    pub(crate) fn new(out: &'a mut Vec<Flow>, datapath: DatapathIndex, hint: Uuid) -> Self {
        Flows { out, datapath, hint: Some(hint.as_fields().0), scratch: String::new() }
    }

    /// Flows that every datapath of a kind has.
    pub(crate) fn common(out: &'a mut Vec<Flow>, datapath: DatapathIndex) -> Self {
        Flows { out, datapath, hint: None, scratch: String::new() }
    }

    /// Adds a flow.
    #[track_caller]
    pub(crate) fn add(&mut self, stage: Stage, priority: u16, matches: impl Display, actions: impl Display) {
        self.push(stage, priority, matches, actions, None, false);
    }

    /// Adds a flow whose match may be about what the connection tracker knows of the packet.
    #[track_caller]
    pub(crate) fn add_translated(
        &mut self,
        stage: Stage,
        priority: u16,
        matches: impl Display,
        actions: impl Display,
        translated: bool,
    ) {
        self.push(stage, priority, matches, actions, None, translated);
    }

    /// Adds a flow of which a meter bounds what it hands up.
    #[track_caller]
    pub(crate) fn add_metered(
        &mut self,
        stage: Stage,
        priority: u16,
        matches: impl Display,
        actions: impl Display,
        meter: Option<Text>,
    ) {
        self.push(stage, priority, matches, actions, meter, false);
    }

    #[track_caller]
    fn push(
        &mut self,
        stage: Stage,
        priority: u16,
        matches: impl Display,
        actions: impl Display,
        meter: Option<Text>,
        translated: bool,
    ) {
        let text = &mut self.scratch;
        text.clear();
        text.reserve(SCRATCH_BYTES);
        write!(text, "{matches}").expect("strings take any text");
        let split = text.len() as u32;
        write!(text, "{actions}").expect("strings take any text");
        let content = Content {
            stage,
            priority,
            text: text.as_str().into(),
            split,
            meter,
            translated,
            hint: self.hint,
            source: Location::caller(),
        };
        self.out.push(Flow { datapath: self.datapath, content });
    }

    /// Adds a flow that drops.
    #[track_caller]
    pub(crate) fn drop(&mut self, ctx: &Ctx<'_>, stage: Stage, priority: u16, matches: impl Display) {
        self.add(stage, priority, matches, drops::actions(ctx));
    }

    /// What happens to packets that no other flow of a stage matches.
    #[track_caller]
    pub(crate) fn fallback(&mut self, stage: Stage, actions: &str) {
        self.add(stage, 0, "1", actions);
    }
}
