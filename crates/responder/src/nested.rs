//! Nested actions: what a logical action such as `arp { ... }` does with the packet that it makes.

use crate::DropReason;
use crate::metadata::Metadata;
use crate::rewrite::Rewrite;
use kiln_abi::opcodes::{OVN_FIELD_TAG, ovn_field};
use kiln_openflow::{Action, Actions, Match, Version};
use kiln_types::HashMap;

/// Most bytes that are remembered of nested actions; when they are more, all are forgotten.
const MAX_BYTES: usize = 4 << 20;

/// What is remembered of actions of this many bytes: how they came, how they were read, how they last went down, behind
/// actions that take no more than this to write sixteen registers and the metadata, and what is done of them here, with the
/// rest and the state, which takes no more bytes in a match.
const fn weight(len: usize) -> usize {
    const STATE_BYTES: usize = 17 * 16;
    (4 + Rewrite::WEIGHT) * len + 2 * STATE_BYTES
}

/// Nested actions as they were read, by their bytes: a flow hands up the same ones with every packet.
#[derive(Debug, Default)]
pub(crate) struct Readings {
    places: HashMap<Box<[u8]>, usize>,
    read: Vec<Nested>,
    bytes: usize,
}

impl Readings {
    /// Reads nested actions.
    pub(crate) fn read(&mut self, bytes: &[u8]) -> Result<&mut Nested, DropReason> {
        let place = match self.places.get(bytes) {
            Some(place) => *place,
            None => self.note(bytes)?,
        };
        self.read.get_mut(place).ok_or(DropReason::BadActions)
    }

    fn note(&mut self, bytes: &[u8]) -> Result<usize, DropReason> {
        let actions = Actions::decode(Version::V1_5, bytes).map_err(|_| DropReason::BadActions)?;
        let weight = weight(bytes.len());
        if self.bytes + weight > MAX_BYTES {
            *self = Readings::default();
        }
        self.bytes += weight;
        self.places.insert(bytes.into(), self.read.len());
        let (rewrite, rest) = Rewrite::split(&actions);
        let rest = Actions::encode(&rest).map_err(|_| DropReason::BadActions)?;
        let mtu = FragMtu::of(&actions);
        self.read.push(Nested { mtu, actions, last: None, rewrite, rest, rewritten: None });
        Ok(self.read.len() - 1)
    }
}

/// What a logical action nests.
#[derive(Debug)]
pub(crate) struct Nested {
    actions: Actions,
    /// MTUs among them.
    pub(crate) mtu: FragMtu,
    /// How they last went down: packets that a flow hands up are mostly in the same state.
    last: Option<(Metadata, Actions)>,
    /// What is done of them here, and what is left.
    rewrite: Rewrite,
    rest: Actions,
    /// In what state an answer last went down, for the same reason.
    rewritten: Option<(Metadata, Match)>,
}

impl Nested {
    /// The actions that a made packet goes down with: the pipeline's state first, then these.
    ///
    /// The switch runs them, so whatever they write overrides what the packet was made with.
    pub(crate) fn behind(&mut self, state: &Metadata) -> Result<Actions, DropReason> {
        if let Some((_, actions)) = self.last.as_ref().filter(|(last, _)| last == state) {
            return Ok(actions.clone());
        }
        let actions = self.actions.after(state.restore()).map_err(|_| DropReason::BadActions)?;
        self.last = Some((*state, actions.clone()));
        Ok(actions)
    }

    /// Does to a made packet what can be done here; with what state and actions it goes down.
    pub(crate) fn rewrite(
        &mut self,
        state: &Metadata,
        frame: &mut [u8],
    ) -> Result<(Match, Actions), DropReason> {
        let mut after = *state;
        if !self.rewrite.apply(frame, &mut after) {
            return Ok((Metadata::default().to_match(), self.behind(state)?));
        }
        let last = self.rewritten.take().filter(|(last, _)| *last == after);
        let (_, fields) = self.rewritten.insert(last.unwrap_or_else(|| (after, after.to_match())));
        Ok((fields.clone(), self.rest.clone()))
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
    use kiln_openflow::{Field, Match};

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
        assert_eq!(readings.bytes, readings.places.keys().map(|bytes| weight(bytes.len())).sum::<usize>());
        assert_eq!(readings.places.len(), readings.read.len());
        assert_eq!(readings.read(&[0; 7]).err(), Some(DropReason::BadActions));
    }

    #[test]
    fn each_packet_goes_down_in_its_own_state() {
        let nested = Actions::encode(&[Action::set_field(Field::reg(0), 1u8)]).unwrap();
        let other = Actions::encode(&[Action::set_field(Field::reg(0), 2u8)]).unwrap();
        let mut readings = Readings::default();
        for port in [5u8, 5, 6, 6, 5] {
            let fields = Match::builder().exact(Field::METADATA, 7u8).exact(Field::reg(14), port).build();
            let state = Metadata::from_match(&fields);
            for actions in [&nested, &other] {
                let first =
                    [Action::set_field(Field::reg(14), port), Action::set_field(Field::METADATA, 7u8)];
                let expected = actions.after(first).unwrap();
                assert_eq!(readings.read(actions.as_bytes()).unwrap().behind(&state), Ok(expected));
            }
        }
    }
}
