//! A command line that is not understood, told of in the words of stock's daemons, which are getopt(3)'s.

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// What stock's daemon of this name says of the mistake; `None` for mistakes that it has no words for.
pub(super) fn in_stocks_words(name: &str, command: &clap::Command, error: &clap::Error) -> Option<String> {
    let argument = match error.get(ContextKind::InvalidArg) {
        // A value's name may follow.
        Some(ContextValue::String(argument)) => argument.split([' ', '=', '[']).next().unwrap_or_default(),
        _ => return None,
    };
    let short = argument.strip_prefix('-').filter(|rest| !rest.starts_with('-'));
    let what = match (error.kind(), short) {
        (ErrorKind::UnknownArgument, Some(letter)) => format!("invalid option -- '{letter}'"),
        (ErrorKind::UnknownArgument, None) if argument.starts_with("--") => unknown(command, argument),
        (ErrorKind::UnknownArgument, None) => {
            let most = command.get_positionals().count();
            let words = if most == 0 { "no" } else { "exactly zero or one" };
            format!("{words} non-option argument required; use --help for usage")
        }
        (ErrorKind::TooManyValues, _) => format!("option '{argument}' doesn't allow an argument"),
        (ErrorKind::InvalidValue, _) if is_empty(error) => {
            format!("option '{argument}' requires an argument")
        }
        _ => return None,
    };
    Some(format!("{name}: {what}\n"))
}

/// A value that is missing is one that is empty to the parser.
fn is_empty(error: &clap::Error) -> bool {
    match error.get(ContextKind::InvalidValue) {
        None => true,
        Some(ContextValue::String(value)) => value.is_empty(),
        Some(_) => false,
    }
}

fn unknown(command: &clap::Command, argument: &str) -> String {
    let longs = command.get_arguments().filter_map(clap::Arg::get_long);
    let possible: Vec<String> = longs
        .filter(|long| argument.strip_prefix("--").is_some_and(|begin| long.starts_with(begin)))
        .map(|long| format!("'--{long}'"))
        .collect();
    if possible.len() > 1 {
        return format!("option '{argument}' is ambiguous; possibilities: {}", possible.join(" "));
    }
    format!("unrecognized option '{argument}'")
}
