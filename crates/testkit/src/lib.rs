//! Topologies in a few lines, stock peers, and oracles for tests
#![forbid(unsafe_code)]

pub mod interpreter;
