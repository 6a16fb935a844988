//! What actions cannot be lowered. Concerns one logical flow; others are not touched.

use std::net::IpAddr;

/// Which action has no OpenFlow form, and why.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: {problem}")]
pub struct ActionError {
    /// Where it stands in the text, counted in bytes from 1; the value if it is about an option's.
    pub column: usize,
    /// What is wrong.
    pub problem: ActionProblem,
}

/// Why an action has no OpenFlow form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActionProblem {
    /// Fields to hash by that Open vSwitch does not have.
    #[error("expected fields of the switch to hash by, found {0:?}")]
    HashField(String),
    /// An option's value that its kind cannot hold.
    #[error("option {option}: {problem}")]
    Option {
        /// The option.
        option: String,
        /// What was expected and what came.
        problem: String,
    },
    /// A port to translate to whose address is none.
    #[error("expected an address before the port to translate to, found {0}")]
    NoAddress(IpAddr),
    /// A result that lies partly where the helper table leaves its answer.
    #[error("expected a result apart from the low bits of xxreg1, found it overlapping them")]
    ResultOverlaps,
    /// The actions are longer than an OpenFlow message can be.
    #[error(transparent)]
    TooLong(#[from] kiln_openflow::TooLong),
}
