//! System errors in the words that every other program uses for them.

use std::io;

/// The text of an error, without the number that the standard library puts behind a system error's.
pub(crate) fn plain(error: &io::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" (os error ") {
        Some((words, _)) if error.raw_os_error().is_some() => words.to_owned(),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_system_errors_have_a_number_to_lose() {
        assert_eq!(plain(&io::Error::from_raw_os_error(libc::ECONNREFUSED)), "Connection refused");
        let own = io::Error::other("expected 1 (os error 1)");
        assert_eq!(plain(&own), "expected 1 (os error 1)");
    }
}
