//! Which `tun_metadata` field carries OVN's Geneve option.

use kiln_abi::tunnel::{GENEVE_OPTION_CLASS, GENEVE_OPTION_LEN, GENEVE_OPTION_TYPE};
use kiln_openflow::msg::{TlvMapping, TlvTable, TlvTableMod};
use kiln_openflow::{Action, Actions, Field, FieldValue, Instruction, Instructions, Subfield};

/// How many `tun_metadata` fields there are.
const FIELDS: u16 = 64;

/// What a switch's map of tunnel options means for OVN's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Choice {
    /// It is mapped to this field already.
    Mapped(u16),
    /// It can be mapped to this field.
    Free(u16),
    /// No field is left.
    Full,
}

pub(super) fn choose(table: &TlvTable) -> Choice {
    let ours = mapping(0);
    let mapped = table.mappings.iter().find(|m| TlvMapping { index: 0, ..**m } == ours);
    if let Some(mapped) = mapped {
        return Choice::Mapped(mapped.index);
    }
    let taken = |index: &u16| table.mappings.iter().any(|m| m.index == *index);
    (0..FIELDS).find(|index| !taken(index)).map_or(Choice::Full, Choice::Free)
}

/// The message that maps OVN's option to a field.
pub(super) fn add(index: u16) -> TlvTableMod {
    TlvTableMod { command: TlvTableMod::ADD, mappings: vec![mapping(index)] }
}

fn mapping(index: u16) -> TlvMapping {
    TlvMapping {
        option_class: GENEVE_OPTION_CLASS,
        option_type: GENEVE_OPTION_TYPE,
        option_len: GENEVE_OPTION_LEN,
        index,
    }
}

/// Gives actions that a switch listed the option's own length wherever they name its field.
///
/// Flows are written with that length, but Open vSwitch lists `set_field` of an option without the leading zeros of its
/// value, and other actions with whatever length it has stored: what comes back would not be what was sent.
pub(super) fn restore_length(instructions: &mut Instructions, index: u16) {
    for instruction in instructions {
        if let Instruction::ApplyActions(actions) = instruction
            && names_option(actions, index)
            && let Ok(restored) = Actions::encode(&restored(actions, index))
        {
            *actions = restored;
        }
    }
}

/// Whether the header of the option's field may occur, whatever its length: a quick look that most lists do not pass.
fn names_option(actions: &Actions, index: u16) -> bool {
    let word = Field::tun_metadata(index as u8, GENEVE_OPTION_LEN).info().header;
    let exact = [(word.class >> 8) as u8, word.class as u8, word.field << 1];
    let masked = [exact[0], exact[1], exact[2] | 1];
    actions.as_bytes().windows(3).any(|bytes| bytes == exact || bytes == masked)
}

fn restored(actions: &Actions, index: u16) -> Vec<Action> {
    let option = Field::tun_metadata(index as u8, GENEVE_OPTION_LEN);
    let part = |part: Subfield| Subfield {
        field: if part.field.same(option) { option } else { part.field },
        ..part
    };
    let restore = |action| match action {
        Action::SetField(v) if v.field.same(option) && v.is_exact() => Action::set_field(option, v.value),
        Action::SetField(v) if v.field.same(option) => {
            Action::SetField(FieldValue::masked(option, v.value, v.mask))
        }
        Action::CopyField { src, dst } => Action::CopyField { src: part(src), dst: part(dst) },
        Action::StackPush(src) => Action::StackPush(part(src)),
        Action::StackPop(dst) => Action::StackPop(part(dst)),
        Action::Clone(inner) => Action::Clone(Actions::encode(&restored(&inner, index)).unwrap_or(inner)),
        other => other,
    };
    actions.iter().map(restore).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(mappings: Vec<TlvMapping>) -> TlvTable {
        TlvTable { max_option_space: 256, max_fields: 64, mappings }
    }

    #[test]
    fn what_is_listed_without_leading_zeros_is_what_was_sent() {
        let option = |len| Field::tun_metadata(3, len);
        let bits = |field| Subfield::new(field, 16, 15);
        let actions = |short, long| {
            let set = Action::set_field(option(short), 5u8);
            let masked = Action::SetField(FieldValue::masked(option(short), 1, 3));
            let copy = Action::copy_field(Subfield::new(Field::reg(1), 0, 15), bits(option(long)));
            let other = Action::set_field(Field::tun_metadata(4, 8), 5u8);
            let inner = Actions::encode([&set]).unwrap();
            Actions::encode(&[set, masked, copy, other, Action::Clone(inner)]).unwrap()
        };
        let mut listed = Instructions::from(actions(1, 124));
        restore_length(&mut listed, 3);
        assert_eq!(listed, Instructions::from(actions(4, 4)));
        let mut untouched = Instructions::from(actions(1, 124));
        restore_length(&mut untouched, 5);
        assert_eq!(untouched, Instructions::from(actions(1, 124)));
    }

    #[test]
    fn takes_what_is_mapped_else_the_lowest_free_field() {
        assert_eq!(choose(&table(vec![])), Choice::Free(0));
        let other = TlvMapping { option_class: 7, ..mapping(0) };
        assert_eq!(choose(&table(vec![other])), Choice::Free(1));
        assert_eq!(choose(&table(vec![TlvMapping { index: 1, ..other }])), Choice::Free(0));
        assert_eq!(choose(&table(vec![other, mapping(9)])), Choice::Mapped(9));
        // The same option with another length is not the one.
        let longer = TlvMapping { option_len: 8, ..mapping(0) };
        assert_eq!(choose(&table(vec![longer])), Choice::Free(1));
        let all = (0..64).map(|index| TlvMapping { index, ..other }).collect();
        assert_eq!(choose(&table(all)), Choice::Full);
    }
}
