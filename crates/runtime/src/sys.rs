//! The few system calls that no safe interface offers. The only unsafe code of the workspace.

use std::ffi::{CStr, CString};
use std::io;
use std::mem::MaybeUninit;
use std::os::unix::net::UnixStream;
use std::ptr;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Which side of a [`fork`] this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forked {
    Parent { child: rustix::process::Pid },
    Child,
}

/// Splits this process in two. Refuses, with an error, if it has more than one thread: the child would have only the
/// calling one, and whatever locks the others held for ever.
pub(crate) fn fork() -> io::Result<Forked> {
    let threads = std::fs::read_dir("/proc/self/task")?.count();
    if threads != 1 {
        return Err(io::Error::other(format!("cannot fork: expected 1 thread, found {threads}")));
    }
    // SAFETY: the process has one thread, as just checked, and no other could start since; so the child inherits a
    // consistent heap and no lock that another thread holds.
    match unsafe { libc::fork() } {
        0 => Ok(Forked::Child),
        pid => match rustix::process::Pid::from_raw(pid) {
            Some(child) if pid > 0 => Ok(Forked::Parent { child }),
            _ => Err(io::Error::last_os_error()),
        },
    }
}

/// Makes the signals of wrong memory accesses end the process at once, whoever sent them. The standard library's own
/// handler, which only names a stack that has overflowed, lets the first of them pass if it came from outside, and
/// whoever means to kill a daemon with it would wait in vain.
pub(crate) fn let_crashes_kill() {
    for signal in [libc::SIGSEGV, libc::SIGBUS] {
        // SAFETY: the default disposition runs no code of ours, and nothing here relies on the handler that goes.
        unsafe {
            libc::signal(signal, libc::SIG_DFL);
        }
    }
}

/// Gives free memory in whole pages back to the kernel, wherever in the heap it is.
pub(crate) fn release_free_memory() {
    #[cfg(target_env = "gnu")]
    // SAFETY: the call takes the allocator's own locks and touches only what is free.
    unsafe {
        libc::malloc_trim(0);
    }
}

/// Has the runtime of this thread tell when a socket is ready for what is of interest.
pub(crate) fn watch(socket: UnixStream, interest: Interest) -> io::Result<AsyncFd<UnixStream>> {
    // SAFETY: a stream of the standard library owns its descriptor, which is the same and stays open for as long as it exists.
    Ok(unsafe { AsyncFd::register_with_interest(socket, interest) }?)
}

/// A user or group as `/etc/passwd` and `/etc/group` (or whatever else the C library consults) know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

const LOOKUP_BUFFER: usize = 64 * 1024;

/// The user called `name`, if there is one.
pub(crate) fn find_user(name: &CStr) -> io::Result<Option<User>> {
    let mut entry = MaybeUninit::<libc::passwd>::uninit();
    let mut buffer = vec![0 as libc::c_char; LOOKUP_BUFFER];
    let mut found = ptr::null_mut();
    // SAFETY: `name` is a C string; `entry`, `found` and `buffer` are writable for the whole call, and the length given
    // is that of `buffer`.
    let error = unsafe {
        libc::getpwnam_r(name.as_ptr(), entry.as_mut_ptr(), buffer.as_mut_ptr(), buffer.len(), &raw mut found)
    };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    if found.is_null() {
        return Ok(None);
    }
    // SAFETY: the call succeeded and found an entry, so it filled `entry`.
    let entry = unsafe { entry.assume_init() };
    Ok(Some(User { uid: entry.pw_uid, gid: entry.pw_gid }))
}

/// The id of the group called `name`, if there is one.
pub(crate) fn find_group(name: &CStr) -> io::Result<Option<u32>> {
    let mut entry = MaybeUninit::<libc::group>::uninit();
    let mut buffer = vec![0 as libc::c_char; LOOKUP_BUFFER];
    let mut found = ptr::null_mut();
    // SAFETY: as in `find_user`.
    let error = unsafe {
        libc::getgrnam_r(name.as_ptr(), entry.as_mut_ptr(), buffer.as_mut_ptr(), buffer.len(), &raw mut found)
    };
    if error != 0 {
        return Err(io::Error::from_raw_os_error(error));
    }
    if found.is_null() {
        return Ok(None);
    }
    // SAFETY: the call succeeded and found an entry, so it filled `entry`.
    Ok(Some(unsafe { entry.assume_init() }.gr_gid))
}

/// Makes `user` the real, effective and saved identity of the whole process, with the groups that `name` is a member
/// of. There is no way back.
pub(crate) fn become_user(name: &CStr, user: User) -> io::Result<()> {
    let check = |result: libc::c_int| if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) };
    // SAFETY: `name` is a C string; the calls touch no memory of ours.
    check(unsafe { libc::initgroups(name.as_ptr(), user.gid) })?;
    // SAFETY: no pointers.
    check(unsafe { libc::setresgid(user.gid, user.gid, user.gid) })?;
    // SAFETY: no pointers.
    check(unsafe { libc::setresuid(user.uid, user.uid, user.uid) })
}

/// Formats the second `unix_secs` by a strftime(3) template, in UTC or in the local time zone. An expansion beyond a
/// kilobyte, or a template with a NUL in it, gives the empty string.
pub(crate) fn strftime(template: &str, unix_secs: i64, utc: bool) -> String {
    const LONGEST: usize = 1024;
    let Ok(template) = CString::new(template) else { return String::new() };
    let time: libc::time_t = unix_secs;
    let mut fields = MaybeUninit::<libc::tm>::zeroed();
    // SAFETY: `time` is readable and `fields` writable for the whole call. `localtime_r` reads the environment variable
    // TZ at its first use; nothing in this crate writes the environment.
    let filled = unsafe {
        if utc {
            libc::gmtime_r(&raw const time, fields.as_mut_ptr())
        } else {
            libc::localtime_r(&raw const time, fields.as_mut_ptr())
        }
    };
    if filled.is_null() {
        return String::new();
    }
    let mut out = [0u8; LONGEST];
    // SAFETY: the call above filled `fields`; `out` is writable for the length given, and `template` is a C string.
    let len =
        unsafe { libc::strftime(out.as_mut_ptr().cast(), out.len(), template.as_ptr(), fields.as_ptr()) };
    String::from_utf8_lossy(out.get(..len).unwrap_or_default()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_formatted() {
        assert_eq!(strftime("%Y-%m-%dT%H:%M:%SZ", 1_700_000_000, true), "2023-11-14T22:13:20Z");
        assert_eq!(strftime("", 0, true), "");
        assert_eq!(strftime("a\0b", 0, true), "");
        assert_eq!(strftime(&"%c".repeat(400), 0, true), "");
    }

    #[test]
    fn users_and_groups_are_found_by_name() {
        assert_eq!(find_user(c"root").expect("lookup"), Some(User { uid: 0, gid: 0 }));
        assert_eq!(find_group(c"root").expect("lookup"), Some(0));
        assert_eq!(find_user(c"no-such-user-here").expect("lookup"), None);
        assert_eq!(find_group(c"no-such-group-here").expect("lookup"), None);
    }

    #[test]
    fn a_process_with_threads_does_not_fork() {
        // The test harness runs tests on threads of their own.
        let error = fork().expect_err("refused");
        assert!(error.to_string().contains("expected 1 thread"), "{error}");
    }
}
