//! `--user`: giving up the identity that the daemon was started with.

use std::ffi::CString;
use std::io;

use super::Logger;
use crate::sys;

/// Why the user cannot be changed.
#[derive(Debug, thiserror::Error)]
pub enum UserError {
    /// There is no such user.
    #[error("user {0} not found, aborting.")]
    NoUser(String),
    /// There is no such group.
    #[error("group {0} not found, aborting.")]
    NoGroup(String),
    /// The kernel, or the look-up of names, says no.
    #[error("failed to become user {user}: {}", crate::errno::plain(error))]
    System {
        /// The argument of `--user`.
        user: String,
        /// The answer.
        error: io::Error,
    },
}

/// Becomes the user of `spec`, which is `USER[:GROUP]`, and hands it the log file.
pub(crate) fn switch(spec: &str, logger: &Logger) -> Result<(), UserError> {
    let (name, group) = spec.split_once(':').map_or((spec, None), |(name, group)| (name, Some(group)));
    let no_user = || UserError::NoUser(name.to_owned());
    let failed = |error| UserError::System { user: spec.to_owned(), error };
    let c_name = CString::new(name).map_err(|_| no_user())?;
    let mut user = sys::find_user(&c_name).map_err(failed)?.ok_or_else(no_user)?;
    if let Some(group) = group.filter(|group| !group.is_empty()) {
        let no_group = || UserError::NoGroup(group.to_owned());
        let c_group = CString::new(group).map_err(|_| no_group())?;
        user.gid = sys::find_group(&c_group).map_err(failed)?.ok_or_else(no_group)?;
    }
    // Somebody who is that user already need not be allowed to change.
    if rustix::process::getuid().as_raw() == user.uid && rustix::process::getgid().as_raw() == user.gid {
        return Ok(());
    }
    logger.chown(user.uid, user.gid).map_err(failed)?;
    sys::become_user(&c_name, user).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_are_named() {
        let logger = Logger::new("p", "");
        let message = |spec: &str| switch(spec, &logger).expect_err("unknown").to_string();
        assert_eq!(message("no-such-user"), "user no-such-user not found, aborting.");
        assert_eq!(message("root:no-such-group"), "group no-such-group not found, aborting.");
        assert_eq!(message("a\0b"), "user a\0b not found, aborting.");
    }
}
