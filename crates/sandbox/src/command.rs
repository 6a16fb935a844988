//! Commands that run to their end.

use crate::Error;
use crate::error::Context;
use std::ffi::OsStr;
use std::io::Write;
use std::process::{Command, Output, Stdio};

/// A command line as a person would type it.
pub(crate) fn line(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ")
}

/// Runs a command, with `input` on its standard input, whether it succeeds or not.
pub(crate) fn output(command: &mut Command, input: &str) -> Result<Output, Error> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).env("LC_ALL", "C");
    let child = command.spawn();
    let what = || format!("running `{}`", line(command));
    let mut child = child.context(what)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A command that does not read its input closes the pipe; its status tells whether that was right.
        let _ = stdin.write_all(input.as_bytes());
    }
    child.wait_with_output().context(what)
}

/// Runs a command that must succeed, and returns what it printed.
pub(crate) fn run(command: &mut Command, input: &str) -> Result<String, Error> {
    let output = output(command, input)?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    let words = format!("{}{}", stdout, String::from_utf8_lossy(&output.stderr));
    Err(Error::Command {
        command: line(command),
        status: output.status.to_string(),
        output: words.trim().into(),
    })
}
