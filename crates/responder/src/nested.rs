//! Nested actions: what a logical action such as `arp { ... }` does with the packet that it makes.

use crate::DropReason;
use crate::metadata::Metadata;
use kiln_abi::opcodes::{OVN_FIELD_TAG, ovn_field};
use kiln_openflow::{Action, Actions, Version};

/// The actions that a made packet goes down with: the pipeline's state first, then what the logical action nests.
///
/// The switch runs them, so whatever they write overrides what the packet was made with.
pub(crate) fn decode(state: &Metadata, nested: &[u8]) -> Result<Actions, DropReason> {
    let restore = Actions::encode(&state.restore()).map_err(|_| DropReason::BadActions)?;
    let bytes = [restore.as_bytes(), nested].concat();
    Actions::decode(Version::V1_5, &bytes).map_err(|_| DropReason::BadActions)
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
    pub(crate) fn of(actions: &Actions) -> Self {
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
