//! What happens, as it happens.

use kiln_runtime::terminal;
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
            let seconds = self.start.elapsed().as_secs_f64();
            // A line that cannot be shown is no reason to leave a sandbox half built.
            let _ = terminal::print(format_args!("{seconds:6.2} s  {step:<14} {words}\n"));
        }
    }
}
