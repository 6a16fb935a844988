//! What lowering asks about the network.

use kiln_logical::{Environment, Field};

/// Supplies what names stand for. Everything asked may be recorded as read, also what is not there.
pub trait Names: Environment {
    /// The tunnel key of the port or multicast group that `name` is on the flow's datapath, or of a port elsewhere.
    fn port_key(&self, name: &str) -> Option<u32>;

    /// The same, for a match of `field` (`inport`, `outport` or `remote_outport`). `None` also for a port of which no such
    /// packets come here, which spares the flow: in a switch's ingress pipeline the input port is on this chassis, and in
    /// its egress pipeline the output port is.
    fn matched_port_key(&self, field: Field, name: &str) -> Option<u32> {
        let _ = field;
        self.port_key(name)
    }

    /// Whether the port `name` is on this chassis.
    fn is_resident(&self, name: &str) -> bool;
}
