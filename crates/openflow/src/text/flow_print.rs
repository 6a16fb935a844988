//! Printing of flows.

use super::action_print::print_write_metadata;
use super::{match_print, value::Hex};
use crate::Match;
use crate::instruction::Instruction;
use crate::msg::{FlowMod, FlowStats};
use std::fmt::{self, Write};

/// A match behind its priority, as in `priority=5,ip,reg0=0x1`.
#[derive(Clone, Copy, Debug)]
pub struct MatchWithPriority<'a>(pub &'a Match, pub u16);

impl fmt::Display for MatchWithPriority<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match_print::print(self.0, Some(self.1), f)
    }
}

/// A flow's instructions as its `actions=` has them.
#[derive(Clone, Copy, Debug)]
pub struct InstructionList<'a>(pub &'a [Instruction]);

impl fmt::Display for InstructionList<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("drop");
        }
        for (i, instruction) in self.0.iter().enumerate() {
            f.write_str(if i > 0 { "," } else { "" })?;
            match instruction {
                Instruction::ApplyActions(actions) => write!(f, "{actions}")?,
                Instruction::WriteActions(actions) => write!(f, "write_actions({actions})")?,
                Instruction::ClearActions => f.write_str("clear_actions")?,
                Instruction::WriteMetadata { value, mask } => print_write_metadata(f, *value, *mask)?,
                Instruction::GotoTable(table) => write!(f, "goto_table:{table}")?,
                Instruction::Meter(id) => write!(f, "meter:{id}")?,
                Instruction::Unknown(raw) => write!(f, "unknown_instruction({} bytes)", raw.len())?,
            }
        }
        Ok(())
    }
}

/// The names of a flow's flags.
pub(super) const FLAGS: [(&str, u16); 5] = [
    ("send_flow_rem", FlowMod::SEND_FLOW_REM),
    ("check_overlap", FlowMod::CHECK_OVERLAP),
    ("reset_counts", FlowMod::RESET_COUNTS),
    ("no_packet_counts", FlowMod::NO_PKT_COUNTS),
    ("no_byte_counts", FlowMod::NO_BYT_COUNTS),
];

fn duration(f: &mut dyn Write, (sec, nsec): (u32, u32)) -> fmt::Result {
    if nsec == 0 {
        write!(f, "{sec}s")
    } else if nsec % 1_000_000 == 0 {
        write!(f, "{sec}.{:03}s", nsec / 1_000_000)
    } else {
        write!(f, "{sec}.{nsec:09}s")
    }
}

impl fmt::Display for FlowStats {
    /// The line of `dump-flows`, without the space before it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cookie={:#x}, ", self.cookie)?;
        if let Some(time) = self.counters.duration {
            f.write_str("duration=")?;
            duration(f, time)?;
            f.write_str(", ")?;
        }
        write!(f, "table={}, ", self.table_id)?;
        if let Some(n) = self.counters.packets {
            write!(f, "n_packets={n}, ")?;
        }
        if let Some(n) = self.counters.bytes {
            write!(f, "n_bytes={n}, ")?;
        }
        if self.idle_timeout_s != 0 {
            write!(f, "idle_timeout={}, ", self.idle_timeout_s)?;
        }
        if self.hard_timeout_s != 0 {
            write!(f, "hard_timeout={}, ", self.hard_timeout_s)?;
        }
        for (name, flag) in FLAGS {
            if self.flags & flag != 0 {
                write!(f, "{name} ")?;
            }
        }
        if self.importance != 0 {
            write!(f, "importance={}, ", self.importance)?;
        }
        if let Some((sec, _)) = self.counters.idle {
            write!(f, "idle_age={sec}, ")?;
        }
        let age = self.counters.duration.map(|(sec, _)| sec);
        if let Some(sec) = self.counters.hard_age_s.filter(|&sec| Some(u32::from(sec)) != age) {
            write!(f, "hard_age={sec}, ")?;
        }
        let text = MatchWithPriority(&self.flow_match, self.priority).to_string();
        let space = if text.is_empty() { "" } else { " " };
        write!(f, "{text}{space}actions={}", InstructionList(&self.instructions))
    }
}

impl fmt::Display for FlowMod {
    /// The flow as the tools read it: cookie, table, timeouts, flags, priority, match and actions.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.cookie_mask != 0 && self.cookie_mask != u64::MAX {
            write!(f, "cookie={:#x}/{:#x},", self.cookie, self.cookie_mask)?;
        } else if self.cookie != 0 || self.cookie_mask != 0 {
            write!(
                f,
                "cookie={}{},",
                Hex(self.cookie.into()),
                if self.cookie_mask == 0 { "" } else { "/-1" }
            )?;
        }
        if self.table_id != 0xff {
            write!(f, "table={},", self.table_id)?;
        }
        for (name, v) in [
            ("idle_timeout", self.idle_timeout_s),
            ("hard_timeout", self.hard_timeout_s),
            ("importance", self.importance),
        ] {
            if v != 0 {
                write!(f, "{name}={v},")?;
            }
        }
        for (name, flag) in FLAGS {
            if self.flags & flag != 0 {
                write!(f, "{name},")?;
            }
        }
        let text = MatchWithPriority(&self.flow_match, self.priority).to_string();
        let comma = if text.is_empty() { "" } else { "," };
        write!(f, "{text}{comma}actions={}", InstructionList(&self.instructions))
    }
}
