//! The logical flow language: what northd writes into Logical_Flow's `match` and `actions`, and what controllers read
//! there (ovn-sb(5)).
//!
//! This crate knows what texts mean, and nothing of OpenFlow.
#![forbid(unsafe_code)]

pub mod action;
pub mod constant;
pub mod cubes;
pub mod env;
mod error;
pub mod expr;
pub mod field;
#[doc(hidden)]
pub mod fuzz;
pub mod lex;
pub mod normal;
mod parser;
pub mod symbol;
pub mod token;

pub use action::{Action, Actions};
pub use env::{AddressSet, Environment, NoNames, expand_templates};
pub use error::{Error, MAX_WORK, TooComplex, Work};
pub use expr::Expr;
pub use field::{Field, OvnField};
pub use normal::{MAX_CONJUNCTIONS, NormalForm, most_choices, normalize};
pub use symbol::{FieldRef, SymbolId};
