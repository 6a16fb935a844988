//! Logical flows: what rules emit, and the rows of Logical_Flow and Logical_DP_Group that follow.
//!
//! A flow's row uuid is made from its content, so a northd that starts again finds its own rows and writes nothing. Of a
//! row that stands in the database only that uuid and its datapaths are kept, not its text.

mod groups;
pub(crate) mod table;

pub use table::FlowTable;

use kiln_abi::stages::{Datapath, Pipeline, Stage};
use kiln_ovsdb::Text;
use kiln_types::Uuid;
use std::fmt::{Display, Write};
use std::panic::Location;

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
        let stage = self.stage;
        let place = (stage.datapath, stage.pipeline, stage.number, self.priority);
        flow_uuid(place, self.matches(), self.actions(), self.meter.as_deref())
    }
}

/// The uuid of the row with this content (RFC 9562 version 8): its table and priority, match, actions and meter.
pub fn flow_uuid(
    (datapath, pipeline, table, priority): (Datapath, Pipeline, u8, u16),
    matches: &str,
    actions: &str,
    meter: Option<&str>,
) -> Uuid {
    let mut hash = xxhash_rust::xxh3::Xxh3::with_seed(0x6b69_6c6e);
    let kind = u8::from(datapath == Datapath::Router) << 1 | u8::from(pipeline == Pipeline::Egress);
    let [high, low] = priority.to_be_bytes();
    hash.update(&[kind, table, high, low]);
    hash.update(&(matches.len() as u32).to_be_bytes());
    hash.update(matches.as_bytes());
    hash.update(actions.as_bytes());
    if let Some(meter) = meter {
        hash.update(&[0]);
        hash.update(meter.as_bytes());
    }
    uuid_from_hash(hash.digest128())
}

/// A uuid that is made from a hash and looks like one (RFC 9562 version 8).
pub(crate) fn uuid_from_hash(hash: u128) -> Uuid {
    uuid::Builder::from_custom_bytes(hash.to_be_bytes()).into_uuid()
}

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
        self.add_metered(stage, priority, matches, actions, None);
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
        let text = &mut self.scratch;
        text.clear();
        write!(text, "{matches}").expect("strings take any text");
        let split = text.len() as u32;
        write!(text, "{actions}").expect("strings take any text");
        let content = Content {
            stage,
            priority,
            text: text.as_str().into(),
            split,
            meter,
            hint: self.hint,
            source: Location::caller(),
        };
        self.out.push(Flow { datapath: self.datapath, content });
    }

    /// What happens to packets that no other flow of a stage matches.
    #[track_caller]
    pub(crate) fn fallback(&mut self, stage: Stage, actions: &str) {
        self.add(stage, 0, "1", actions);
    }
}
