//! Declarative network files: parse, check, difference against a northbound replica.
//!
//! [`parse`] turns the text of a YAML or TOML file into a [`Network`], with every default filled in and every
//! reference checked; [`Problems`] say what is wrong by file, line and key. [`plan`](plan()) compares a network with
//! the rows of a northbound database and says which operations make the one from the other. The rows of a network
//! carry its name; rows without it are never touched.
#![forbid(unsafe_code)]

mod check;
mod file;
#[doc(hidden)]
pub mod fuzz;
mod mac;
mod model;
mod northbound;
mod read;

pub use file::{Format, Origin, Place, Problem, Problems};
pub use mac::derived_mac;
pub use model::*;
pub use northbound::*;
pub use read::{parse, parse_bytes};
