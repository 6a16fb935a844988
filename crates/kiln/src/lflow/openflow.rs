//! OpenFlow actions as the stock tools write what they are about to send: without what only the wire adds.

use kiln_abi::opcodes::{OVN_FIELD_TAG, ovn_field};
use kiln_openflow::Actions;
use kiln_openflow::action::Action;
use std::fmt;

/// Actions as text.
pub(super) struct Text<'a>(pub(super) &'a Actions);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("drop");
        }
        for (i, action) in self.0.iter().enumerate() {
            f.write_str(if i > 0 { "," } else { "" })?;
            match action {
                Action::Clone(inner) => write!(f, "clone({})", Text(&inner))?,
                Action::DecTtlCntIds(ids) if ids.is_empty() => f.write_str("dec_ttl")?,
                Action::Note(note) => {
                    let note = Action::Note(unpadded(&note).into());
                    write!(f, "{note}")?;
                }
                other => write!(f, "{other}")?,
            }
        }
        Ok(())
    }
}

/// A note for the controller without the zeros up to the next multiple of 8 bytes.
fn unpadded(note: &[u8]) -> &[u8] {
    // Tag, number of the field, two zeros, value.
    let Some([hi, lo, 0, 0, ..]) = note.strip_prefix(&OVN_FIELD_TAG) else { return note };
    let len = OVN_FIELD_TAG.len()
        + 4
        + match u16::from_be_bytes([*hi, *lo]) {
            ovn_field::ICMP4_FRAG_MTU => 2,
            ovn_field::ICMP6_FRAG_MTU => 4,
            _ => return note,
        };
    note.get(..len).unwrap_or(note)
}
