//! OpenFlow messages, matches and actions with Nicira's extensions, and the session machine
#![forbid(unsafe_code)]

pub mod action;
pub mod error;
pub mod field;
mod flow_match;
#[doc(hidden)]
pub mod fuzz;
pub mod instruction;
pub mod msg;
mod prop;
pub mod session;
pub mod text;
mod version;
pub mod wire;

pub use action::{Action, Actions};
pub use error::ErrorCode;
pub use field::{Field, FieldValue, Subfield};
pub use flow_match::{Match, MatchBuilder};
pub use instruction::{Instruction, Instructions};
pub use msg::{Message, Xid};
pub use version::Version;
pub use wire::{DecodeError, TooLong};
