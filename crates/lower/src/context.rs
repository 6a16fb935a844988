//! Where a logical flow stands, and what its actions may ask of this chassis.

use crate::env::Names;
use kiln_abi::stages::{Datapath, Pipeline};
use kiln_abi::tables;
use kiln_openflow::msg::{Bucket, Selection};
use kiln_types::{DatapathKey, OfPort, Uuid};

/// A meter that an action wants.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Meter<'a> {
    /// The one of that name in table Meter.
    Named(&'a str),
    /// One that drops what exceeds a rate (`set_meter`).
    Rate {
        /// In kilobits a second.
        rate_kbps: u32,
        /// In kilobits.
        burst_kb: Option<u32>,
    },
}

/// A select group that an action wants, without its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectGroup {
    /// How a bucket is chosen.
    pub selection: Selection,
    /// The buckets.
    pub buckets: Vec<Bucket>,
}

/// Supplies what actions use beside names. Everything asked may be recorded as read, also what is not there.
pub trait Resources: Names {
    /// The OpenFlow port of the tunnel towards the port (`fwd_group` with liveness).
    fn tunnel_to(&self, port: &str) -> Option<OfPort>;

    /// Whether samples can go to that collector set (table Flow_Sample_Collector_Set).
    fn has_collector_set(&self, id: u32) -> bool;

    /// The number of that group. `None` if there cannot be one; the action is then left out.
    fn group(&self, wanted: &SelectGroup) -> Option<u32>;

    /// The number of that meter. `None` if the switch has no meters; the packets are then not bounded.
    fn meter(&self, wanted: &Meter<'_>) -> Option<u32>;
}

/// Where the pipelines and their outputs lie in the switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tables {
    /// Stage 0 of the ingress pipeline.
    pub ingress: u8,
    /// Stage 0 of the egress pipeline.
    pub egress: u8,
    /// Where `output` in the ingress pipeline goes.
    pub ingress_output: u8,
    /// Where `output` in the egress pipeline goes.
    pub egress_output: u8,
}

impl Default for Tables {
    /// The integration bridge's.
    fn default() -> Self {
        Tables {
            ingress: tables::LOG_INGRESS,
            egress: tables::LOG_EGRESS,
            ingress_output: tables::of_output(Pipeline::Ingress),
            egress_output: tables::of_output(Pipeline::Egress),
        }
    }
}

impl Tables {
    /// The OpenFlow table of a stage.
    pub const fn stage(&self, pipeline: Pipeline, table: u8) -> u8 {
        match pipeline {
            Pipeline::Ingress => self.ingress.saturating_add(table),
            Pipeline::Egress => self.egress.saturating_add(table),
        }
    }

    /// Where `output` goes.
    pub const fn output(&self, pipeline: Pipeline) -> u8 {
        match pipeline {
            Pipeline::Ingress => self.ingress_output,
            Pipeline::Egress => self.egress_output,
        }
    }
}

/// Where a logical flow stands, and what northd and the switch are able to.
#[derive(Clone, Debug)]
pub struct Context<'c> {
    /// Kind of the datapath.
    pub datapath: Datapath,
    /// Key of the datapath.
    pub datapath_key: DatapathKey,
    /// The flow's pipeline.
    pub pipeline: Pipeline,
    /// The flow's `table_id`.
    pub table: u8,
    /// The row's uuid.
    pub lflow: Uuid,
    /// Column `controller_meter`.
    pub controller_meter: Option<&'c str>,
    /// Whether what is handed up first passes the meter of the port that it came in by ([`kiln_abi::punts`]).
    pub port_meters: bool,
    /// Where the pipelines lie.
    pub tables: Tables,
    /// Whether northd writes the output after `arp {}` and `nd_ns {}` (`SB_Global` option `arp_ns_explicit_output`).
    /// If not, it is added.
    pub explicit_arp_ns_output: bool,
    /// Whether northd's flows use the consolidated registers (`SB_Global` option `register_consolidation`).
    pub register_consolidation: bool,
    /// Whether the router's common conntrack zone is its SNAT zone (it has `snat-ct-zone`).
    pub common_zone_is_snat: bool,
    /// Whether the datapath translates to address zero as "any" (capability `ct_zero_snat`); committing then asks for
    /// translation so that ports stay unique.
    pub ct_zero_snat: bool,
    /// Whether `select` may hash by the transport layer alike in both directions (capability `max_hash_alg`).
    pub dp_hash_l4_symmetric: bool,
}

impl Context<'_> {
    /// First 32 bits of the row's uuid: the cookie of what comes of it.
    pub fn cookie(&self) -> u32 {
        self.lflow.as_fields().0
    }

    /// The OpenFlow table of the flow.
    pub fn openflow_table(&self) -> u8 {
        self.tables.stage(self.pipeline, self.table)
    }

    /// The OpenFlow table that `next` goes to.
    pub fn next_table(&self) -> u8 {
        self.openflow_table().saturating_add(1)
    }

    /// Where the flow stands, for the parser of its actions.
    pub fn place(&self) -> kiln_logical::action::Place {
        use kiln_logical::action;
        action::Place {
            pipeline: match self.pipeline {
                Pipeline::Ingress => action::Pipeline::Ingress,
                Pipeline::Egress => action::Pipeline::Egress,
            },
            table: self.table,
            ingress_tables: Pipeline::Ingress.max_stages(),
            egress_tables: Pipeline::Egress.max_stages(),
        }
    }
}
