//! What the switch is to hold, what it is believed to hold, and the difference.
//!
//! Rules write flows, and groups and meters by name. Once the engine has settled, [`crate::install`] takes the
//! difference, sends it, and assumes that it will be done; when it was not, or when the connection was lost, the switch
//! is read back and the difference is taken again. There is no other way to install: a switch that has just started is
//! one that was read back and found empty.

mod actions;
mod flow;
mod numbered;

pub use actions::FlowActions;
pub use flow::{DesiredFlow, DesiredFlows, FlowRef};
pub(crate) use flow::{FlowChange, FlowCommand};
pub use numbered::{DesiredGroups, DesiredMeters, GroupSpec, MeterSpec, Named, Numbered, Spec, Wish};
pub(crate) use numbered::{NumberedChange, NumberedCommand};

/// Everything that the integration bridge is to hold.
#[derive(Debug, Default)]
pub struct Desired {
    /// Flows of all tables.
    pub flows: DesiredFlows,
    /// Groups, by name.
    pub groups: DesiredGroups,
    /// Meters, by name.
    pub meters: DesiredMeters,
}

impl Desired {
    /// The switch is about to be read back.
    pub(crate) fn start_reading(&mut self) {
        self.flows.start_reading();
        self.groups.start_reading();
        self.meters.start_reading();
    }

    /// Everything that stands was noted.
    pub(crate) fn finish_reading(&mut self) {
        self.flows.finish_reading();
        self.groups.finish_reading();
        self.meters.finish_reading();
    }

    /// Another switch may take what the last one refused.
    pub(crate) fn forgive(&mut self) {
        self.flows.forgive();
        self.groups.forgive();
        self.meters.forgive();
    }

    /// Whether something may have to be sent.
    pub(crate) fn pending(&self) -> bool {
        self.flows.pending() || self.groups.pending() || self.meters.pending()
    }
}
