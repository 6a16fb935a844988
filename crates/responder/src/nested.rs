//! Nested actions: what a logical action such as `arp { ... }` does with the packet that it makes.

use crate::DropReason;
use crate::metadata::Metadata;
use kiln_abi::opcodes::{OVN_FIELD_TAG, ovn_field};
use kiln_openflow::{Action, Actions, Version};
use kiln_types::HashMap;

/// Most bytes of nested actions that are remembered; when they are more, all are forgotten.
const MAX_BYTES: usize = 1 << 20;

/// Nested actions as they were read, by their bytes: a flow hands up the same ones with every packet.
#[derive(Debug, Default)]
pub(crate) struct Readings {
    read: HashMap<Box<[u8]>, Nested>,
    bytes: usize,
}

impl Readings {
    /// Reads nested actions.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Result<&Nested, DropReason> {
        if !self.read.contains_key(bytes) {
            let actions = Actions::decode(Version::V1_5, bytes).map_err(|_| DropReason::BadActions)?;
            if self.bytes + bytes.len() > MAX_BYTES {
                *self = Readings::default();
            }
            self.bytes += bytes.len();
            self.read.insert(bytes.into(), Nested { mtu: FragMtu::of(&actions), actions });
        }
        self.read.get(bytes).ok_or(DropReason::BadActions)
    }
}

/// What a logical action nests.
#[derive(Debug)]
pub(crate) struct Nested {
    actions: Actions,
    /// MTUs among them.
    pub(crate) mtu: FragMtu,
}

impl Nested {
    /// The actions that a made packet goes down with: the pipeline's state first, then these.
    ///
    /// The switch runs them, so whatever they write overrides what the packet was made with.
    pub(crate) fn behind(&self, state: &Metadata) -> Result<Actions, DropReason> {
        self.actions.after(state.restore()).map_err(|_| DropReason::BadActions)
    }
}

/// MTUs that nested actions write to fields which OpenFlow does not have, as notes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct FragMtu {
    /// `icmp4.frag_mtu`.
    pub(crate) icmp4: Option<u16>,
    /// `icmp6.frag_mtu`.
    pub(crate) icmp6: Option<u32>,
}

impl FragMtu {
    fn of(actions: &Actions) -> Self {
        let mut mtu = FragMtu::default();
        for action in actions {
            let Action::Note(data) = action else { continue };
            // tag, field id, two zeros, value, padding
            let Some((tag, [id_high, id_low, _, _, v @ ..])) = data.split_first_chunk::<4>() else {
                continue;
            };
            if *tag != OVN_FIELD_TAG {
                continue;
            }
            match u16::from_be_bytes([*id_high, *id_low]) {
                ovn_field::ICMP4_FRAG_MTU => mtu.icmp4 = v.first_chunk().map(|v| u16::from_be_bytes(*v)),
                ovn_field::ICMP6_FRAG_MTU => mtu.icmp6 = v.first_chunk().map(|v| u32::from_be_bytes(*v)),
                _ => {}
            }
        }
        mtu
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use kiln_openflow::Field;

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut readings = Readings::default();
        let state = Metadata::default();
        for n in 0..100_000u32 {
            let actions = Actions::encode(&[Action::set_field(Field::reg(0), n)]).unwrap();
            // what was read before says the same
            for _ in 0..2 {
                assert_eq!(readings.read(actions.as_bytes()).unwrap().behind(&state).unwrap(), actions);
            }
            assert!(readings.bytes <= MAX_BYTES);
        }
        assert_eq!(readings.bytes, readings.read.keys().map(|bytes| bytes.len()).sum::<usize>());
        assert_eq!(readings.read(&[0; 7]).err(), Some(DropReason::BadActions));
    }
}
