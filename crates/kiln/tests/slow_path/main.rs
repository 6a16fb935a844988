//! The slow path on a real switch whose interfaces are dummies: what is lost, what is held back, and what is told of it.

#![allow(clippy::disallowed_methods, reason = "tests look at files and the clock")]

mod announced;
mod bed;
mod crowded;
mod malformed;
mod protected;
mod restarted_switch;
mod storm;
