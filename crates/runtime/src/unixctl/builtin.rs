//! The commands that every daemon answers, whatever it does.

use tracing::info;

use super::server::SET_OPTIONS;
use super::{Command, Registry, Reply};
use crate::coverage::Coverage;
use crate::stopwatch::Stopwatches;
use crate::vlog::Logger;

/// What the common commands tell of or change.
pub(crate) struct Builtins<'a> {
    pub(crate) version: String,
    pub(crate) registry: &'a Registry,
    pub(crate) logger: &'a Logger,
    pub(crate) coverage: &'a Coverage,
    pub(crate) stopwatches: &'a mut Stopwatches,
    /// The text of `memory/show`.
    pub(crate) memory: String,
}

/// Ends the daemon; answered by the daemon's loop, or by the engine if it has a command of this name.
pub(crate) const EXIT: &str = "exit";

const COMMANDS: &[Command] = &[
    Command::new("list-commands", "", 0, 0),
    Command::new("version", "", 0, 0),
    Command::new(SET_OPTIONS, "[--format text|json]", 1, 2),
    Command::new(EXIT, "", 0, 0),
    Command::new("vlog/set", "{spec | PATTERN:destination:pattern}", 0, usize::MAX),
    Command::new("vlog/list", "", 0, 0),
    Command::new("vlog/list-pattern", "", 0, 0),
    Command::new("vlog/enable-rate-limit", "[module]...", 0, usize::MAX),
    Command::new("vlog/disable-rate-limit", "[module]...", 0, usize::MAX),
    Command::new("vlog/reopen", "", 0, 0),
    Command::new("vlog/close", "", 0, 0),
    Command::new("vlog/message", "MESSAGE", 1, 1),
    Command::new("coverage/show", "", 0, 0),
    Command::new("coverage/read-counter", "COUNTER", 1, 1),
    Command::new("memory/show", "", 0, 0),
    Command::new("stopwatch/show", "[NAME]", 0, 1),
    Command::new("stopwatch/reset", "[NAME]", 0, 1),
];

impl Registry {
    /// The common commands.
    pub fn common() -> Registry {
        let mut registry = Registry::default();
        for command in COMMANDS {
            registry.add(*command);
        }
        registry
    }
}

/// The answer to a common command; `None` if it is not one of those answered here.
pub(crate) fn answer(context: &mut Builtins<'_>, name: &str, args: &[String]) -> Option<Reply> {
    let logger = context.logger;
    let first = args.first().map(String::as_str);
    let words = || args.iter().map(String::as_str);
    let done = |result: Result<(), crate::vlog::LogError>| match result {
        Ok(()) => Reply::Text(String::new()),
        Err(error) => Reply::Error(error.to_string()),
    };
    Some(match name {
        "list-commands" => Reply::TextOrJson(context.registry.list(), context.registry.list_json()),
        "version" => Reply::Text(context.version.clone()),
        "vlog/set" if args.is_empty() => done(logger.apply("")),
        "vlog/set" => done(words().try_for_each(|spec| logger.apply(spec))),
        "vlog/list" => Reply::Text(logger.list()),
        "vlog/list-pattern" => Reply::Text(logger.list_pattern()),
        "vlog/enable-rate-limit" => done(logger.set_rate_limits(words(), true)),
        "vlog/disable-rate-limit" => done(logger.set_rate_limits(words(), false)),
        "vlog/reopen" => done(logger.reopen()),
        "vlog/close" => {
            logger.close();
            done(Ok(()))
        }
        "vlog/message" => {
            info!(target: "vlog", "user-message: {}", first.unwrap_or_default());
            done(Ok(()))
        }
        "coverage/show" => Reply::Text(context.coverage.show()),
        "coverage/read-counter" => match context.coverage.read(first.unwrap_or_default()) {
            // Stock ends this answer with a newline.
            Some(total) => Reply::Text(format!("{total}\n")),
            None => Reply::Error("No such counter".to_owned()),
        },
        "memory/show" => Reply::Text(context.memory.clone()),
        "stopwatch/show" => match context.stopwatches.show(first) {
            Some(text) => Reply::Text(text),
            None => Reply::Error("No such stopwatch".to_owned()),
        },
        "stopwatch/reset" => {
            context.stopwatches.reset(first);
            done(Ok(()))
        }
        _ => return None,
    })
}
