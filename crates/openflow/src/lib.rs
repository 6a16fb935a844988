//! OpenFlow messages, matches and actions with Nicira's extensions, and the session machine.
//!
//! OpenFlow 1.5 is what OVN speaks, and complete here in both directions; 1.3, 1.4 and 1.0 (with Nicira's extended
//! matches) exist as far as the stock tools ask a switch for them.
//!
//! | module | what it holds |
//! |---|---|
//! | [`field`] | the table of fields: wire headers, widths, prerequisites; values and runs of bits |
//! | [`Match`] | what a flow matches, kept in the canonical bytes of OpenFlow 1.5 |
//! | [`action`] | every action; [`Actions`] is a list in the canonical bytes of OpenFlow 1.5 |
//! | [`instruction`] | what a flow does with its actions |
//! | [`msg`] | messages, to and from bytes |
//! | [`text`] | the form in which `ovs-ofctl` prints and reads all of these |
//! | [`session`] | the session machine, for both ends of a connection |
//!
//! Matches and lists of actions number in the hundreds of thousands on a chassis. Both are one boxed slice each, are
//! encoded by copying, and compare as bytes: what a switch gives back of a flow equals what was sent.
//!
//! ```
//! use kiln_openflow::msg::{FlowMod, Message, Xid};
//! use kiln_openflow::{Action, Actions, Field, Match, Version};
//!
//! let flow_match = Match::builder().exact(Field::METADATA, 5u8).exact(Field::reg(14), 1u8).build();
//! assert_eq!(flow_match, "reg14=0x1,metadata=0x5".parse()?);
//!
//! let mut flow = FlowMod::new(FlowMod::ADD, 8, 50, flow_match);
//! flow.instructions = Actions::encode(&[Action::resubmit(9)])?.into();
//!
//! let mut bytes = Vec::new();
//! Message::FlowMod(flow).encode(Version::V1_5, Xid(1), &mut bytes)?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
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
pub use flow_match::{Iter as MatchIter, Match, MatchBuilder};
pub use instruction::{Instruction, Instructions};
pub use msg::{Message, Xid};
pub use version::Version;
pub use wire::{DecodeError, TooLong};
