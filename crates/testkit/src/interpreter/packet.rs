//! A packet's fields and the pipeline's.

use super::headers::{Covered, is_ethernets};
use kiln_openflow::{Field, FieldValue, Match, Subfield};
use std::collections::BTreeMap;

/// The bit of a VLAN tag's control information that says that there is one.
pub(super) const VLAN_PRESENT: u128 = 0x1000;

/// The output port of an action set that has none (OpenFlow 1.5.1, section 7.2.1).
pub(super) const PORT_UNSET: u128 = 0xffff_fff7;

/// A packet and what the pipeline knows of it. What was never set is zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Packet {
    registers: [u32; Field::N_REG as usize],
    pub(super) fields: BTreeMap<Field, u128>,
    /// 0 is an Ethernet frame.
    pub(super) packet_type: u32,
    /// VLAN tags behind the outermost, which is in `fields`: the inner ones first.
    pub(super) tags: Vec<u128>,
    /// What other headers that came in front cover, the innermost first.
    pub(super) covered: Vec<Covered>,
    /// Length of the frame in bytes.
    pub len: usize,
    /// The queue that it leaves by; 0 is the default one.
    pub queue: u32,
}

/// A tunnel option is one field, however long an action says that it is.
fn whole(field: Field) -> Field {
    field.as_tun_metadata().map_or(field, |n| Field::tun_metadata(n, Field::TUN_METADATA_MAX_LEN))
}

/// Ports in 16 bits and in 32 (OpenFlow 1.5.1, section 7.2.1).
fn wide_port(port: u128) -> u128 {
    if port >= 0xff00 { 0xffff_0000 | port } else { port }
}

impl Packet {
    /// The bytes of the registers that `field` spans, if it is a register of some width: the first one and how many.
    fn span(field: Field) -> Option<(usize, usize)> {
        let (n, each) = match (field.as_reg(), field.as_xreg(), field.as_xxreg()) {
            (Some(n), ..) => (n, 1),
            (_, Some(n), _) => (n, 2),
            (.., Some(n)) => (n, 4),
            _ => return None,
        };
        Some((usize::from(n) * each, each))
    }

    /// The field's value.
    pub fn get(&self, field: Field) -> u128 {
        if let Some((first, count)) = Packet::span(field) {
            return self.registers[first..first + count].iter().fold(0, |v, reg| v << 32 | u128::from(*reg));
        }
        let plain = |field: Field| self.fields.get(&whole(field)).copied().unwrap_or(0);
        match field {
            Field::VLAN_VID => plain(Field::VLAN_TCI) & 0x1fff,
            Field::VLAN_PCP => plain(Field::VLAN_TCI) >> 13,
            Field::IP_DSCP => plain(Field::NW_TOS) >> 2,
            Field::IP_ECN => plain(Field::NW_TOS) & 3,
            Field::NW_TOS => plain(Field::NW_TOS) & 0xfc,
            Field::IN_PORT => plain(Field::IN_PORT_OXM) & 0xffff,
            Field::PACKET_TYPE => self.packet_type.into(),
            Field::ACTSET_OUTPUT => self.fields.get(&field).copied().unwrap_or(PORT_UNSET),
            other => plain(other),
        }
    }

    /// Sets the whole field.
    pub fn set(&mut self, field: Field, value: u128) {
        if let Some((first, count)) = Packet::span(field) {
            for (i, reg) in self.registers[first..first + count].iter_mut().rev().enumerate() {
                *reg = (value >> (32 * i)) as u32;
            }
            return;
        }
        if field == Field::PACKET_TYPE {
            self.packet_type = value as u32;
            return;
        }
        let raw = |packet: &Packet, field: Field| packet.fields.get(&field).copied().unwrap_or(0);
        let (field, value) = match field {
            Field::VLAN_VID => (Field::VLAN_TCI, raw(self, Field::VLAN_TCI) & !0x1fff | value & 0x1fff),
            Field::VLAN_PCP => {
                (Field::VLAN_TCI, raw(self, Field::VLAN_TCI) & 0x1fff | VLAN_PRESENT | value << 13)
            }
            Field::IP_DSCP => (Field::NW_TOS, raw(self, Field::NW_TOS) & 3 | value << 2),
            Field::IP_ECN => (Field::NW_TOS, raw(self, Field::NW_TOS) & 0xfc | value & 3),
            Field::NW_TOS => (Field::NW_TOS, raw(self, Field::NW_TOS) & 3 | value & 0xfc),
            Field::IN_PORT => (Field::IN_PORT_OXM, wide_port(value)),
            other => (whole(other), value),
        };
        self.fields.insert(field, value);
    }

    /// Sets the bits under the mask.
    pub fn write(&mut self, value: &FieldValue) {
        let kept = self.get(value.field) & !value.mask;
        self.set(value.field, kept | value.value);
    }

    /// Reads a run of bits.
    pub fn bits(&self, of: &Subfield) -> u128 {
        (self.get(of.field) & of.mask()) >> of.ofs
    }

    /// Writes a run of bits.
    pub fn set_bits(&mut self, of: &Subfield, value: u128) {
        self.write(&of.load(value));
    }

    /// A copy of at most that many bytes.
    pub fn cut(&self, max_len: usize) -> Packet {
        Packet { len: self.len.min(max_len), ..self.clone() }
    }

    /// Whether the packet is what the match says, `conjunction` being the conjunctive match that it completed.
    pub fn matches(&self, flow_match: &Match, conjunction: Option<u32>) -> bool {
        let is_bare = self.packet_type != 0;
        flow_match.iter().all(|said| match said.field {
            Field::CONJ_ID => conjunction.is_some_and(|id| u128::from(id) == said.value),
            field if is_bare && is_ethernets(field) => false,
            field => self.get(field) & said.mask == said.value,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_shows_the_same_bits() {
        let mut packet = Packet::default();
        packet.set(Field::xxreg(1), 0x0000_0001_0000_0002_0000_0003_0000_0004);
        assert_eq!(packet.get(Field::reg(4)), 1);
        assert_eq!(packet.get(Field::xreg(3)), 0x3_0000_0004);
        packet.set(Field::reg(7), 9);
        assert_eq!(packet.get(Field::xxreg(1)) & 0xffff_ffff, 9);
        packet.set(Field::VLAN_TCI, 0x7005);
        assert_eq!((packet.get(Field::VLAN_VID), packet.get(Field::VLAN_PCP)), (0x1005, 3));
        packet.set(Field::IP_DSCP, 46);
        packet.set(Field::IP_ECN, 1);
        assert_eq!((packet.get(Field::NW_TOS), packet.get(Field::IP_DSCP)), (184, 46));
        packet.set(Field::tun_metadata(3, 4), 0x0007_0005);
        assert_eq!(packet.get(Field::tun_metadata(3, 124)), 0x0007_0005);
        packet.set(Field::IN_PORT, 0xfffd);
        assert_eq!(packet.get(Field::IN_PORT_OXM), 0xffff_fffd);
    }
}
