//! How the physical tables' flows are written down.

use crate::desired::DesiredFlow;
use crate::port::Zones;
use kiln_abi::punts::LOOPED_BIT;
use kiln_abi::registers::{flags, reg};
use kiln_openflow::{Action, Field, MatchBuilder, Subfield};
use kiln_types::Uuid;

/// The cookie of what follows from a row of the southbound database: the first eight digits of its uuid.
pub(crate) fn cookie(row: Uuid) -> u64 {
    (row.as_u128() >> 96) as u64
}

/// Takes flows with one cookie.
pub(crate) struct Flows<'a> {
    pub(crate) cookie: u64,
    pub(crate) out: &'a mut Vec<DesiredFlow>,
}

impl Flows<'_> {
    pub(crate) fn add(&mut self, table: u8, priority: u16, m: &MatchBuilder, actions: Vec<Action>) {
        self.out.push(DesiredFlow {
            table,
            priority,
            flow_match: m.build(),
            actions: actions.into(),
            cookie: self.cookie,
        });
    }
}

/// The register that holds flags, keys and so on.
pub(crate) const FLAGS: Field = Field::reg(reg::FLAGS);
pub(crate) const INPORT: Field = Field::reg(reg::INPORT);
pub(crate) const OUTPORT: Field = Field::reg(reg::OUTPORT);
/// The port's conntrack zone.
pub(crate) const CT_ZONE: Subfield = Subfield::new(Field::reg(reg::CT_ZONE), 0, 16);
/// Which of our addresses a packet would leave by.
pub(crate) const ENCAP: Subfield = Subfield::new(Field::reg(reg::CT_ZONE), 16, 16);

/// A match on a datapath.
pub(crate) fn datapath(key: u32) -> MatchBuilder {
    let mut m = MatchBuilder::default();
    m.exact(Field::METADATA, key);
    m
}

/// A match on a datapath and an output port.
pub(crate) fn outport(datapath_key: u32, key: u16) -> MatchBuilder {
    let mut m = datapath(datapath_key);
    m.exact(OUTPORT, key);
    m
}

/// A match on a datapath and an input port.
pub(crate) fn inport(datapath_key: u32, key: u16) -> MatchBuilder {
    let mut m = datapath(datapath_key);
    m.exact(INPORT, key);
    m
}

/// A match on a flag.
pub(crate) fn flag(m: &mut MatchBuilder, bit: u8, set: bool) {
    m.masked(FLAGS, u32::from(set) << bit, 1u32 << bit);
}

/// Sets or clears a flag.
pub(crate) fn set_flag(bit: u8, set: bool) -> Action {
    Action::load(Subfield::new(FLAGS, bit.into(), 1), u8::from(set))
}

/// Loads a whole register.
pub(crate) fn load(register: u8, value: impl Into<u128>) -> Action {
    Action::set_field(Field::reg(register), value)
}

/// Loads the zones that there are.
pub(crate) fn load_zones(zones: &Zones, actions: &mut Vec<Action>) {
    load_port_zone(zones, actions);
    if zones.dnat != 0 {
        actions.push(load(reg::DNAT_ZONE, zones.dnat));
    }
    if zones.snat != 0 {
        actions.push(load(reg::SNAT_ZONE, zones.snat));
    }
}

/// Loads the port's zone, if it has one.
pub(crate) fn load_port_zone(zones: &Zones, actions: &mut Vec<Action>) {
    if zones.port != 0 {
        actions.push(Action::load(CT_ZONE, zones.port));
    }
}

/// Clears the logical registers reg0 to reg9.
pub(crate) fn clear_registers(actions: &mut Vec<Action>) {
    actions.extend((0..reg::FLAGS).map(|register| load(register, 0u8)));
}

/// Makes a packet one that came in by a logical port, but for the flags.
pub(crate) fn enter(datapath_key: u32, key: u16, actions: &mut Vec<Action>) {
    actions.push(Action::set_field(Field::METADATA, datapath_key));
    actions.push(load(reg::INPORT, key));
}

/// That a packet may leave by the port it came in by: Open vSwitch would drop it otherwise. Meters still find that port.
pub(crate) fn without_in_port(table: u8) -> Vec<Action> {
    let in_port = Subfield::whole(Field::IN_PORT);
    vec![
        Action::StackPush(in_port),
        Action::load(Subfield::new(Field::IN_PORT, LOOPED_BIT, 1), 1u8),
        Action::resubmit(table),
        Action::StackPop(in_port),
    ]
}

/// `OFPP_NONE` in 16 bits.
pub(crate) const NO_PORT: u16 = u16::MAX;

/// The flag of a packet that a container sent.
pub(crate) const NESTED: u8 = flags::NESTED_CONTAINER;
