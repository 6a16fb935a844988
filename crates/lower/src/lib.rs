//! From the logical flow language to OpenFlow: what a match accepts as matches of the switch, what actions do as actions of
//! the switch, byte for byte as OVN's controllers have it, since a stock switch and a stock chassis are at the other end.
#![forbid(unsafe_code)]

pub mod actions;
pub mod context;
pub mod env;
mod error;
pub mod fields;
#[doc(hidden)]
pub mod fuzz;
pub mod matches;
pub mod members;
mod prerequisite;

pub use actions::lower_actions;
pub use context::{Context, Meter, Resources, SelectGroup, Tables};
pub use env::Names;
pub use error::{ActionError, ActionProblem};
pub use matches::{LowerError, Lowered, Part, lower_match};
pub use members::{Apart, PerMember, lower_apart, may_conjoin};
