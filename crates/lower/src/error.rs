//! What actions cannot be lowered. Concerns one logical flow; others are not touched.

/// Why actions have no OpenFlow form.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ActionError {
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
    /// A result that lies partly where the helper table leaves its answer.
    #[error("expected a result apart from the low bits of xxreg1, found it overlapping them")]
    ResultOverlaps,
    /// The actions are longer than an OpenFlow message can be.
    #[error(transparent)]
    TooLong(#[from] kiln_openflow::TooLong),
}
