//! Benchmarks of the daemons, each beside its stock counterpart in one run on this machine.
//!
//! A benchmark is a subcommand and has a module of its own; what they share stands beside it.
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]
#![warn(clippy::print_stdout, clippy::print_stderr)]

/// Prints a line of results. A reader that has gone away ends no measurement.
macro_rules! say {
    ($($text:tt)*) => {
        if let Err(error) = kiln_runtime::terminal::print(format_args!("{}\n", format_args!($($text)*))) {
            kiln_runtime::terminal::not_printed(&error);
        }
    };
}

/// Tells whoever waits what is being done.
macro_rules! note {
    ($($text:tt)*) => {
        kiln_runtime::terminal::complain(format_args!("{}\n", format_args!($($text)*)))
    };
}

mod binary;
mod controller;
mod database;
mod l3;
mod network;
mod northd;
mod process;
mod watch;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// A failure is for the person who started the benchmark to read.
type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Benchmarks of Kiln's daemons beside stock ones
#[derive(Parser)]
#[command(name = "kiln-bench")]
struct Arguments {
    #[command(subcommand)]
    benchmark: Benchmark,
}

#[derive(Subcommand)]
enum Benchmark {
    /// Cold compile and single changes of northd: processor time and memory
    Northd(northd::Options),
    /// The slow path through the controller: resolution, errors, resets, and how a flood changes them
    L3(l3::Options),
    /// Cold compile and members of an address set of the controller: processor time and memory
    Controller(controller::Options),
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().benchmark {
        Benchmark::Northd(options) => northd::run(&options),
        Benchmark::L3(options) => l3::run(&options),
        Benchmark::Controller(options) => controller::run(&options),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            note!("kiln-bench: {error}");
            ExitCode::from(2)
        }
    }
}
