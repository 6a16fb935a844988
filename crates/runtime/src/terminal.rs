//! What is printed for people and pipes. A stream that nobody takes anything from any more ends no work: the standard
//! macros would panic.

use std::fmt::Arguments;
use std::io::{self, ErrorKind, Write};

use crate::errno::plain;

/// Prints to the standard output, newlines included. A reader that has gone away has seen enough, which is no error.
pub fn print(text: Arguments<'_>) -> io::Result<()> {
    let mut out = io::stdout().lock();
    taken(out.write_fmt(text).and_then(|()| out.flush()))
}

/// Prints what cannot be done to the standard error, newlines included. If nobody takes it, there is nobody left to tell.
pub fn complain(text: Arguments<'_>) {
    let _ = io::stderr().lock().write_fmt(text);
}

/// Prints what stands in place of a program's work: an answer to the standard output if `code` is 0, else what is wrong
/// with the command line to the standard error. Returns the code to exit with, which is `failure` if the answer could
/// not be given.
pub fn answer(text: &str, code: u8, failure: u8) -> u8 {
    if code != 0 {
        complain(format_args!("{text}"));
        return code;
    }
    match print(format_args!("{text}")) {
        Ok(()) => 0,
        Err(error) => {
            not_printed(&error);
            failure
        }
    }
}

/// Tells that something could not be printed.
pub fn not_printed(error: &io::Error) {
    complain(format_args!("standard output: {}\n", plain(error)));
}

fn taken(printed: io::Result<()>) -> io::Result<()> {
    match printed {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        printed => printed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reader_that_is_gone_is_no_error() {
        assert!(taken(Err(ErrorKind::BrokenPipe.into())).is_ok());
        assert!(taken(Err(ErrorKind::StorageFull.into())).is_err());
    }
}
