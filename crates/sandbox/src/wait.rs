//! Waiting for conditions, never for time alone, and never past Ctrl-C.

use crate::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

const POLL: Duration = Duration::from_millis(5);

static INTERRUPTED: OnceLock<Arc<AtomicBool>> = OnceLock::new();

/// From now on, Ctrl-C, a hang-up and a polite kill end every wait with [`Error::Interrupted`] instead of the process.
pub(crate) fn catch_interrupts() {
    let flag = INTERRUPTED.get_or_init(Arc::default);
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM, signal_hook::consts::SIGHUP] {
        // A second signal ends the process, should the first one not get through.
        let _ = signal_hook::flag::register_conditional_shutdown(signal, 130, Arc::clone(flag));
        let _ = signal_hook::flag::register(signal, Arc::clone(flag));
    }
}

/// Fails if a person pressed Ctrl-C.
pub(crate) fn check_interrupt() -> Result<(), Error> {
    match INTERRUPTED.get() {
        Some(flag) if flag.load(Ordering::Relaxed) => Err(Error::Interrupted),
        _ => Ok(()),
    }
}

/// A moment by which something has to be true.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline {
    start: Instant,
    after: Duration,
}

impl Deadline {
    pub(crate) fn after(after: Duration) -> Deadline {
        Deadline { start: Instant::now(), after }
    }

    pub(crate) fn left(self) -> Duration {
        self.after.saturating_sub(self.start.elapsed())
    }

    pub(crate) fn error(self, what: impl Into<String>) -> Error {
        Error::TimedOut { what: what.into(), after: self.after, detail: String::new() }
    }

    /// Asks `condition` until it has an answer.
    pub(crate) fn until<T>(
        self,
        what: &str,
        mut condition: impl FnMut() -> Result<Option<T>, Error>,
    ) -> Result<T, Error> {
        loop {
            if let Some(answer) = condition()? {
                return Ok(answer);
            }
            check_interrupt()?;
            if self.left().is_zero() {
                return Err(self.error(what));
            }
            std::thread::sleep(POLL);
        }
    }
}
