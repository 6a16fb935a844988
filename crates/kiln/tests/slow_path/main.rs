//! The slow path on a real switch whose interfaces are dummies: what is lost, what is held back, and what is told of it.

#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests look at files and the clock")]

mod advertised;
mod aged;
mod announced;
mod bed;
mod budgeted;
mod crowded;
mod limited;
mod malformed;
mod protected;
mod recovered;
mod restarted_switch;
mod storm;
