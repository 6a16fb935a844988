//! What happens, as it happens.

use std::time::Instant;

/// Prints a line for each step, with the time since the start.
#[derive(Debug)]
pub struct Progress {
    start: Instant,
    quiet: bool,
}

impl Progress {
    /// Prints to the standard output.
    pub fn shown() -> Progress {
        Progress { start: Instant::now(), quiet: false }
    }

    /// Prints nothing.
    pub fn quiet() -> Progress {
        Progress { start: Instant::now(), quiet: true }
    }

    /// Reports a step.
    pub fn say(&self, step: &str, words: &str) {
        if !self.quiet {
            println!("{:6.2} s  {step:<14} {words}", self.start.elapsed().as_secs_f64());
        }
    }
}
