//! The log as a layer of a `tracing` subscriber.

use std::fmt::{self, Write};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::{Level, Logger};

/// Field that holds a log statement to so many messages a minute.
const RATE_FIELD: &str = "rl";

/// What hands events to a [`Logger`].
#[derive(Clone, Debug)]
pub struct VlogLayer {
    logger: Logger,
}

impl Logger {
    /// A layer that logs here.
    pub fn layer(&self) -> VlogLayer {
        VlogLayer { logger: self.clone() }
    }

    /// Makes this the log of everything in the process, panics included. Only the first log of a process can be.
    pub fn install(&self) -> Result<(), tracing::subscriber::SetGlobalDefaultError> {
        tracing::subscriber::set_global_default(tracing_subscriber::registry().with(self.layer()))?;
        let logger = self.clone();
        let default = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            // Standard error is gone in a daemon, and the default hook writes nowhere else.
            logger.emer("daemon", &sanitized(&panic.to_string()));
            default(panic);
        }));
        Ok(())
    }
}

impl<S: Subscriber> Layer<S> for VlogLayer {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        if self.passes(metadata) { Interest::always() } else { Interest::never() }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.passes(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(match self.logger.state().modules.most_verbose() {
            Level::Off | Level::Emer => LevelFilter::OFF,
            Level::Err => LevelFilter::ERROR,
            Level::Warn => LevelFilter::WARN,
            Level::Info => LevelFilter::INFO,
            Level::Dbg => LevelFilter::DEBUG,
        })
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        let Some(level) = Level::of(*metadata.level()) else { return };
        // Values are formatted before the log is locked: their code may log.
        let mut message = Message::default();
        event.record(&mut message);
        let text = sanitized(&message.text);
        self.logger.log_event(metadata.callsite(), metadata.target(), level, message.rate, &text);
    }
}

impl VlogLayer {
    fn passes(&self, metadata: &Metadata<'_>) -> bool {
        let Some(level) = Level::of(*metadata.level()) else { return false };
        if !metadata.is_event() {
            return false;
        }
        let mut state = self.logger.state();
        let module = state.callsite(metadata.callsite(), metadata.target());
        state.modules.passes_any(module, level)
    }
}

/// An event's fields as one line.
#[derive(Default)]
struct Message {
    text: String,
    rate: Option<u32>,
}

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        // The macros always hand over the message first.
        if field.name() == "message" {
            let _ = write!(self.text, "{value:?}");
        } else {
            let space = if self.text.is_empty() { "" } else { " " };
            let _ = write!(self.text, "{space}{}={value:?}", field.name());
        }
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        if field.name() == RATE_FIELD {
            self.rate = Some(u32::try_from(value).unwrap_or(u32::MAX));
        } else {
            self.record_debug(field, &value);
        }
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        if field.name() == RATE_FIELD {
            self.rate = Some(u32::try_from(value.max(0)).unwrap_or(u32::MAX));
        } else {
            self.record_debug(field, &value);
        }
    }
}

/// `text` with control characters escaped: what a peer sent must not start a line of its own.
fn sanitized(text: &str) -> std::borrow::Cow<'_, str> {
    if !text.contains(char::is_control) {
        return text.into();
    }
    let mut out = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out.into()
}
