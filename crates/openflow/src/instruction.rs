//! Instructions: what a flow does, as the unit of a flow mod (OpenFlow 1.5.1, section 7.2.5).

use crate::action::{self, Action, Actions};
use crate::error::ErrorCode;
use crate::version::Version;
use crate::wire::{self, Put, Reader, TooLong};
use smallvec::{SmallVec, smallvec};

/// One instruction.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Instruction {
    /// Goes on in a later table.
    GotoTable(u8),
    /// Writes metadata under a mask.
    WriteMetadata {
        /// The value.
        value: u64,
        /// The bits that are written.
        mask: u64,
    },
    /// Merges actions into the action set.
    WriteActions(Actions),
    /// Executes actions at once.
    ApplyActions(Actions),
    /// Empties the action set.
    ClearActions,
    /// Passes the packet through a meter (1.3 and 1.4; later it is an action).
    Meter(u32),
    /// What is not known here, as it is on the wire, its header included.
    Unknown(Box<[u8]>),
}

/// A flow's instructions, of which there are rarely more than one. None at all drops the packet.
pub type Instructions = SmallVec<[Instruction; 1]>;

mod number {
    pub(super) const GOTO_TABLE: u16 = 1;
    pub(super) const WRITE_METADATA: u16 = 2;
    pub(super) const WRITE_ACTIONS: u16 = 3;
    pub(super) const APPLY_ACTIONS: u16 = 4;
    pub(super) const CLEAR_ACTIONS: u16 = 5;
    pub(super) const METER: u16 = 6;
}

impl From<Actions> for Instructions {
    /// The instructions that execute a list; none if it is empty.
    fn from(actions: Actions) -> Instructions {
        if actions.is_empty() { SmallVec::new() } else { smallvec![Instruction::ApplyActions(actions)] }
    }
}

/// The actions that are executed at once.
pub fn applied(instructions: &[Instruction]) -> Option<&Actions> {
    instructions.iter().find_map(|i| match i {
        Instruction::ApplyActions(actions) => Some(actions),
        _ => None,
    })
}

impl Instruction {
    /// Appends the instruction, for version 1.1 or later.
    pub fn put(&self, version: Version, out: &mut Vec<u8>) -> Result<(), TooLong> {
        let at = out.len();
        let start = |out: &mut Vec<u8>, typ: u16| {
            out.put_u16(typ);
            out.put_u16(0);
        };
        match self {
            Instruction::GotoTable(table) => {
                start(out, number::GOTO_TABLE);
                out.put_u8(*table);
            }
            Instruction::WriteMetadata { value, mask } => {
                start(out, number::WRITE_METADATA);
                out.put_u32(0);
                out.put_u64(*value);
                out.put_u64(*mask);
            }
            Instruction::WriteActions(actions) | Instruction::ApplyActions(actions) => {
                let apply = matches!(self, Instruction::ApplyActions(_));
                start(out, if apply { number::APPLY_ACTIONS } else { number::WRITE_ACTIONS });
                out.put_u32(0);
                actions.put(version, out)?;
            }
            Instruction::ClearActions => start(out, number::CLEAR_ACTIONS),
            Instruction::Meter(id) => {
                start(out, number::METER);
                out.put_u32(*id);
            }
            Instruction::Unknown(raw) => out.extend_from_slice(raw),
        }
        let min = if out.len() - at < 8 { 8 - (out.len() - at) } else { 0 };
        out.put_zeros(min);
        out.pad8(at);
        let len = out.len() - at;
        if len > usize::from(u16::MAX) {
            return Err(TooLong { what: "instruction", len, max: 0xfff8 });
        }
        out.set_len_at_2(at);
        Ok(())
    }

    fn read(r: &mut Reader<'_>, version: Version) -> wire::Result<Instruction> {
        let bytes = r.peek_rest();
        let mut header = r.clone();
        let typ = header.u16()?;
        let len = usize::from(header.u16()?);
        if len < 8 || len % 8 != 0 {
            return Err(r.error("a multiple of 8 bytes", len as u64, ErrorCode::INSTRUCTION_BAD_LEN));
        }
        let mut r = r.sub(len, "instruction", ErrorCode::INSTRUCTION_BAD_LEN)?;
        r.skip(4)?;
        Ok(match typ {
            number::GOTO_TABLE => Instruction::GotoTable(r.u8()?),
            number::WRITE_METADATA => {
                r.skip(4)?;
                Instruction::WriteMetadata { value: r.u64()?, mask: r.u64()? }
            }
            number::WRITE_ACTIONS | number::APPLY_ACTIONS => {
                r.skip(4)?;
                let mut list = r.sub_rest("actions", ErrorCode::ACTION_BAD_LEN);
                let actions = action::list_from_wire(&mut list, version)?;
                if typ == number::APPLY_ACTIONS {
                    Instruction::ApplyActions(actions)
                } else {
                    Instruction::WriteActions(actions)
                }
            }
            number::CLEAR_ACTIONS => Instruction::ClearActions,
            number::METER => Instruction::Meter(r.u32()?),
            _ => Instruction::Unknown(bytes[..len].into()),
        })
    }
}

/// Appends a flow's instructions; before 1.1, its actions alone.
pub(crate) fn put_all(list: &[Instruction], version: Version, out: &mut Vec<u8>) -> Result<(), TooLong> {
    if version > Version::V1_0 {
        return list.iter().try_for_each(|i| i.put(version, out));
    }
    list.iter().try_for_each(|i| match i {
        Instruction::ApplyActions(actions) => actions.put(version, out),
        Instruction::WriteMetadata { value, mask } => {
            Action::WriteMetadata { value: *value, mask: *mask }.put(version, out)
        }
        // A table is gone to by looking the packet up there last.
        Instruction::GotoTable(table) => Action::resubmit(*table).put(version, out),
        _ => Ok(()),
    })
}

/// Reads instructions, or in 1.0 actions, that fill the reader.
pub(crate) fn read_all(r: &mut Reader<'_>, version: Version) -> wire::Result<Instructions> {
    let mut list = Instructions::new();
    if version == Version::V1_0 {
        return Ok(action::list_from_wire(r, version)?.into());
    }
    let mut seen = 0u32;
    while !r.is_empty() {
        let at = r.clone();
        let typ = r.peek_u16()?;
        let bit = 1u32.checked_shl(u32::from(typ)).unwrap_or(0);
        if seen & bit != 0 {
            return Err(at.error("each instruction once", typ, ErrorCode::INSTRUCTION_DUP));
        }
        seen |= bit;
        list.push(Instruction::read(r, version)?);
    }
    Ok(list)
}
