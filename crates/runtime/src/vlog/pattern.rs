//! From a pattern such as `%D{%H:%M:%S.###}|%05N|%c|%p|%m` to a line.

use std::fmt::Write;

use super::level::Level;
use crate::sys;

/// What a pattern can show of a message.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Record<'a> {
    pub(crate) program: &'a str,
    pub(crate) host: &'a str,
    pub(crate) module: &'a str,
    /// Name of the process or thread; empty for the main thread of the daemon.
    pub(crate) subprogram: &'a str,
    pub(crate) level: Level,
    pub(crate) message: &'a str,
    /// Wall time.
    pub(crate) wall_ms: i64,
    /// Time since the program started.
    pub(crate) elapsed_ms: u64,
    /// Number of this message among those of its thread, from 1.
    pub(crate) serial: u32,
    /// Syslog's PRI.
    pub(crate) priority: u8,
    pub(crate) pid: u32,
}

/// Widths beyond this are a mistake.
const WIDEST_FIELD: usize = 256;
const DEFAULT_TIME: &str = "%Y-%m-%d %H:%M:%S";

/// Appends `record` as `pattern` shows it.
pub(crate) fn format(out: &mut String, pattern: &str, record: &Record<'_>) {
    let mut rest = pattern;
    while let Some(at) = rest.find('%') {
        out.push_str(&rest[..at]);
        rest = expand(out, &rest[at + 1..], record);
    }
    out.push_str(rest);
}

/// Expands the escape whose text after the percent sign starts `text`; returns what follows it.
fn expand<'p>(out: &mut String, text: &'p str, record: &Record<'_>) -> &'p str {
    let (left, text) = strip_flag(text, '-');
    let (zeros, text) = strip_flag(text, '0');
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let width = text[..digits].parse().unwrap_or(0usize).min(WIDEST_FIELD);
    let mut rest = text[digits..].chars();
    let Some(escape) = rest.next() else { return "" };
    let mut rest = rest.as_str();
    let start = out.len();
    match escape {
        'A' => out.push_str(record.program),
        'B' => write_to(out, record.priority),
        'c' => out.push_str(record.module),
        'd' | 'D' => {
            let template;
            (template, rest) = braces(rest);
            time(out, template.unwrap_or(DEFAULT_TIME), record.wall_ms, escape == 'D');
        }
        'E' => out.push_str(record.host),
        'm' => out.push_str(record.message),
        'N' => write_to(out, record.serial),
        'n' => out.push('\n'),
        'p' => out.push_str(record.level.name()),
        'P' => write_to(out, record.pid),
        'r' => write_to(out, record.elapsed_ms),
        't' if record.subprogram.is_empty() => out.push_str("main"),
        't' => out.push_str(record.subprogram),
        'T' if record.subprogram.is_empty() => {}
        'T' => write_to(out, format_args!("({})", record.subprogram)),
        other => out.push(other),
    }
    pad(out, start, width, left, zeros);
    rest
}

fn write_to(out: &mut String, value: impl std::fmt::Display) {
    let _ = write!(out, "{value}");
}

fn strip_flag(text: &str, flag: char) -> (bool, &str) {
    text.strip_prefix(flag).map_or((false, text), |rest| (true, rest))
}

/// The text in braces at the start of `text`, and what follows.
fn braces(text: &str) -> (Option<&str>, &str) {
    match text.strip_prefix('{').and_then(|inner| inner.split_once('}')) {
        Some((inner, rest)) => (Some(inner), rest),
        None => (None, text),
    }
}

fn pad(out: &mut String, start: usize, width: usize, left: bool, zeros: bool) {
    let len = out[start..].chars().count();
    let fill = if zeros && !left { '0' } else { ' ' };
    for _ in len..width {
        if left {
            out.push(' ');
        } else {
            out.insert(start, fill);
        }
    }
}

/// Appends a time by a strftime(3) template in which each `#` is a digit of the fraction of the second.
fn time(out: &mut String, template: &str, wall_ms: i64, utc: bool) {
    let start = out.len();
    out.push_str(&sys::strftime(template, wall_ms.div_euclid(1000), utc));
    if out[start..].contains('#') {
        let fraction = std::format!("{:03}", wall_ms.rem_euclid(1000));
        let mut digits = fraction.chars();
        let filled: String =
            out[start..].chars().map(|c| if c == '#' { digits.next().unwrap_or('0') } else { c }).collect();
        out.truncate(start);
        out.push_str(&filled);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: Record<'static> = Record {
        program: "ovn-northd",
        host: "h1",
        module: "daemon",
        subprogram: "",
        level: Level::Warn,
        message: "100% of \"x\"",
        wall_ms: 1_700_000_000_042,
        elapsed_ms: 7,
        serial: 12,
        priority: 28,
        pid: 99,
    };

    fn check(pattern: &str, record: &Record<'_>, expected: &str) {
        let mut out = String::from(">");
        format(&mut out, pattern, record);
        assert_eq!(out, format!(">{expected}"), "{pattern}");
    }

    #[test]
    fn escapes_and_widths() {
        check(
            "%D{%Y-%m-%dT%H:%M:%S.###Z}|%05N|%c%T|%p|%m",
            &RECORD,
            "2023-11-14T22:13:20.042Z|00012|daemon|WARN|100% of \"x\"",
        );
        check("ovs|%05N|%c%T|%p|%m%n", &RECORD, "ovs|00012|daemon|WARN|100% of \"x\"\n");
        check("<%B> %A %E %P %r", &RECORD, "<28> ovn-northd h1 99 7");
        check("[%8c] [%-8c] [%08p] [%2c]", &RECORD, "[  daemon] [daemon  ] [0000WARN] [daemon]");
        check("%D", &RECORD, "2023-11-14 22:13:20");
        check("%D{%S.#####}", &RECORD, "20.04200");
        check("%t%T", &RECORD, "main");
        check("%t %T", &Record { subprogram: "monitor", ..RECORD }, "monitor (monitor)");
        check("50%% %q %", &RECORD, "50% q ");
        // A brace that is never closed is text.
        check("%D{%H", &RECORD, "2023-11-14 22:13:20{H");
        check("%99999m", &Record { message: "", ..RECORD }, &" ".repeat(WIDEST_FIELD));
        check("", &RECORD, "");
    }

    proptest::proptest! {
        /// Patterns come from operators; whatever they write, nothing breaks and the text around escapes stays.
        #[test]
        fn any_pattern_gives_a_line(pattern in "[%A-Za-z0-9{}# -]{0,40}|\\PC{0,20}", around in "[^%]{0,5}") {
            let mut out = String::new();
            format(&mut out, &format!("{around}%n{pattern}"), &RECORD);
            let start = around.clone() + "\n";
            proptest::prop_assert!(out.starts_with(&start));
            proptest::prop_assert!(out.len() <= around.len() + 1 + (pattern.len() + 1) * 1024);
        }
    }
}
