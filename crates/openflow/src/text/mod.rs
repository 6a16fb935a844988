//! The text form of matches, actions and flows, as `ovs-ofctl -O OpenFlow15 dump-flows` prints it and reads it
//! (ovs-fields(7), ovs-actions(7)).
//!
//! [`Match`](crate::Match), [`Actions`](crate::Actions), [`Action`](crate::Action) and the entries of lists implement
//! `Display` with it, and the first two, [`FlowMod`](crate::msg::FlowMod) and [`Group`](crate::msg::Group) `FromStr`.
//! What is printed can be read back.

mod action_parse;
mod action_print;
mod flow_parse;
mod flow_print;
mod group_text;
mod learn_text;
mod match_parse;
mod match_print;
mod port;
mod split;
mod value;

pub use action_parse::parse_instructions;
pub use flow_print::{InstructionList, MatchWithPriority};

/// The text does not say what it must.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?}: expected {expected}")]
pub struct ParseError {
    /// The part that cannot be read.
    pub text: Box<str>,
    /// What would have been right.
    pub expected: &'static str,
}

impl ParseError {
    pub(crate) fn new(text: &str, expected: &'static str) -> ParseError {
        // The text may be the whole of a long flow; its start says enough.
        let end = text.char_indices().nth(200).map_or(text.len(), |(i, _)| i);
        ParseError { text: text[..end].into(), expected }
    }
}

/// The result of reading text.
type Result<T, E = ParseError> = std::result::Result<T, E>;

/// The priority that is not printed.
const DEFAULT_PRIORITY: u16 = 32768;

/// The length that text takes a tunnel option to have in matches and `set_field`, in bytes: text does not say it, and
/// OVN maps one option, of this length.
const MATCH_OPTION_LEN: u8 = 4;
