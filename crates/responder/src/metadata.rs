//! The pipeline's state that came up with a packet, and how it goes back down with an answer.

use kiln_abi::registers::reg;
use kiln_openflow::{Action, Field, Match};
use kiln_types::{DatapathKey, OfPort, PortKey};
use std::net::{Ipv4Addr, Ipv6Addr};

/// Registers and metadata of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Metadata {
    regs: [u32; Metadata::N_REGS],
    /// Bit n: register n was said. Switches leave those out that are zero.
    said: u16,
    /// The field `metadata`.
    datapath: u64,
}

impl Metadata {
    /// How many registers OVN uses.
    pub(crate) const N_REGS: usize = 16;

    pub(crate) fn from_match(fields: &Match) -> Self {
        let mut out = Metadata::default();
        for v in fields {
            if let Some(pair) = v.field.as_xreg().map(usize::from).filter(|n| 2 * n < Metadata::N_REGS) {
                for (n, shift) in [(2 * pair, 32), (2 * pair + 1, 0)] {
                    if (v.mask >> shift) as u32 != 0 {
                        out.regs[n] = (v.value >> shift) as u32;
                        out.said |= 1 << n;
                    }
                }
            } else if v.field == Field::METADATA {
                out.datapath = v.value as u64;
            }
        }
        out
    }

    /// The logical port that it came in by; `None` if there is none.
    pub(crate) fn place(&self) -> Option<(DatapathKey, PortKey)> {
        self.datapath().zip(self.inport())
    }

    /// The logical datapath; `None` if there is none.
    pub(crate) fn datapath(&self) -> Option<DatapathKey> {
        u32::try_from(self.datapath).ok().filter(|key| *key != 0).map(DatapathKey)
    }

    /// The logical input port; `None` if there is none.
    pub(crate) fn inport(&self) -> Option<PortKey> {
        self.port(reg::INPORT)
    }

    /// The logical output port; `None` if there is none.
    pub(crate) fn outport(&self) -> Option<PortKey> {
        self.port(reg::OUTPORT)
    }

    fn port(&self, register: u8) -> Option<PortKey> {
        u16::try_from(self.regs[usize::from(register)]).ok().filter(|key| *key != 0).map(PortKey)
    }

    /// reg0, where the actions on IPv4 neighbours take their address.
    pub(crate) fn reg0(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.regs[0])
    }

    /// xxreg0, where the actions on IPv6 neighbours take theirs.
    pub(crate) fn xxreg0(&self) -> Ipv6Addr {
        let bits = self.regs[..4].iter().fold(0, |bits, reg| bits << 32 | u128::from(*reg));
        Ipv6Addr::from_bits(bits)
    }

    /// So many registers from one on, as one number: the first holds its most significant bits.
    pub(crate) fn registers(&self, first: u8, count: u8) -> u128 {
        let first = usize::from(first);
        self.regs[first..first + usize::from(count)].iter().fold(0, |bits, reg| bits << 32 | u128::from(*reg))
    }

    /// Writes them.
    pub(crate) fn set_registers(&mut self, first: u8, count: u8, bits: u128) {
        for n in 0..count {
            let at = first + count - 1 - n;
            self.regs[usize::from(at)] = (bits >> (32 * n)) as u32;
            self.said |= 1 << at;
        }
    }

    /// The field `metadata`.
    pub(crate) fn raw_datapath(&self) -> u64 {
        self.datapath
    }

    /// Writes it.
    pub(crate) fn set_raw_datapath(&mut self, datapath: u64) {
        self.datapath = datapath;
    }

    /// What says to the switch that a packet from the controller is in this state.
    pub(crate) fn to_match(self) -> Match {
        let mut fields = Match::builder();
        fields.exact(Field::IN_PORT_OXM, OfPort::CONTROLLER.0);
        if self.datapath != 0 {
            fields.exact(Field::METADATA, self.datapath);
        }
        for n in 0..Metadata::N_REGS as u8 / 2 {
            let pair = self.registers(2 * n, 2);
            if pair != 0 {
                fields.exact(Field::xreg(n), pair);
            }
        }
        fields.build()
    }

    /// The actions that bring a packet from the controller into the same state.
    pub(crate) fn restore(&self) -> impl Iterator<Item = Action> {
        let said = (0..Metadata::N_REGS as u8).filter(|n| self.said & 1 << n != 0);
        let registers = said.map(|n| Action::set_field(Field::reg(n), self.regs[usize::from(n)]));
        let datapath = Some(self.datapath).filter(|datapath| *datapath != 0);
        registers.chain(datapath.map(|datapath| Action::set_field(Field::METADATA, datapath)))
    }
}
