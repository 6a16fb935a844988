//! The shell around the engines: streams, files, the control socket, logs, daemons, and the loop that drives an engine.
//!
//! Everything below this crate is free of I/O; here are the clocks, sockets and files, and the only unsafe code
//! (`sys`, each call with its reason).
#![deny(unsafe_code)]
#![warn(clippy::undocumented_unsafe_blocks)]
// The lints that keep engines from touching the world do not hold for the crate whose purpose is to touch it.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

pub mod clock;
pub mod coverage;
pub mod daemon;
pub mod dirs;
pub mod drive;
mod errno;
mod failures;
mod link;
pub mod memory;
pub mod process;
pub mod stopwatch;
pub mod stream;
#[allow(unsafe_code)]
mod sys;
pub mod terminal;
pub mod tls;
pub mod unixctl;
pub mod vlog;
