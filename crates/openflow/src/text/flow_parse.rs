//! Reading of flows.

use super::flow_print::FLAGS;
use super::match_parse::MatchParser;
use super::value::{parse_u8, parse_u16, parse_u32, parse_u64};
use super::{DEFAULT_PRIORITY, ParseError, Result, parse_instructions, port, split};
use crate::Match;
use crate::msg::FlowMod;
use std::str::FromStr;

/// What a line of `dump-flows` says beyond the flow itself.
const COUNTERS: [&str; 5] = ["duration", "n_packets", "n_bytes", "idle_age", "hard_age"];

impl FromStr for FlowMod {
    type Err = ParseError;

    /// Reads a flow to add, in the form of `ovs-ofctl add-flow` or of a line of `dump-flows`, whose counters are
    /// passed over. The table is 0xff where none is named.
    fn from_str(text: &str) -> Result<FlowMod> {
        let (head, actions) = match text.find("actions=") {
            Some(at) => (&text[..at], Some(&text[at + "actions=".len()..])),
            None => (text, None),
        };
        let mut fm = FlowMod::new(FlowMod::ADD, 0xff, DEFAULT_PRIORITY, Match::any());
        let mut flow_match = MatchParser::default();
        for item in split::top_level(head, |c| c == ',' || c.is_whitespace())? {
            if item.is_empty() || parse_flow_item(item, &mut fm)? || flow_match.item(item)? {
                continue;
            }
            return Err(ParseError::new(item, "part of a flow"));
        }
        fm.flow_match = flow_match.finish()?;
        if let Some(actions) = actions {
            fm.instructions = parse_instructions(actions)?;
        }
        Ok(fm)
    }
}

/// Takes what belongs to the flow but not to its match. `false` if it is something else.
fn parse_flow_item(item: &str, fm: &mut FlowMod) -> Result<bool> {
    if let Some((_, flag)) = FLAGS.iter().find(|(name, _)| *name == item) {
        fm.flags |= flag;
        return Ok(true);
    }
    let Some((name, arg)) = item.split_once('=') else { return Ok(false) };
    match name {
        "table" => fm.table_id = parse_u8(arg)?,
        "priority" => fm.priority = parse_u16(arg)?,
        "idle_timeout" => fm.idle_timeout_s = parse_u16(arg)?,
        "hard_timeout" => fm.hard_timeout_s = parse_u16(arg)?,
        "importance" => fm.importance = parse_u16(arg)?,
        "out_port" => fm.out_port = port::parse(arg)?,
        "out_group" => fm.out_group = parse_u32(arg)?,
        "cookie" => match arg.split_once('/') {
            Some((cookie, "-1")) => (fm.cookie, fm.cookie_mask) = (parse_u64(cookie)?, u64::MAX),
            Some((cookie, mask)) => (fm.cookie, fm.cookie_mask) = (parse_u64(cookie)?, parse_u64(mask)?),
            None => fm.cookie = parse_u64(arg)?,
        },
        _ => return Ok(COUNTERS.contains(&name)),
    }
    Ok(true)
}
