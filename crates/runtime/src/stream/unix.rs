//! Unix sockets by paths of any length.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use tokio::net::{UnixListener, UnixStream};

/// The longest path that fits into an address (unix(7)), less its final NUL.
const LONGEST_ADDRESS: usize = 107;

/// A path that fits into an address and means the same file as long as this exists.
struct Address {
    path: PathBuf,
    _directory: Option<OwnedFd>,
}

impl Address {
    fn of(path: &Path) -> io::Result<Address> {
        if path.as_os_str().len() <= LONGEST_ADDRESS {
            return Ok(Address { path: path.to_owned(), _directory: None });
        }
        let (Some(directory), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "path too long for a socket"));
        };
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(directory, flags, Mode::empty())?;
        let path = Path::new("/proc/self/fd").join(directory.as_raw_fd().to_string()).join(name);
        Ok(Address { path, _directory: Some(directory) })
    }
}

/// Connects to the socket at `path`.
pub(super) async fn connect(path: &Path) -> io::Result<UnixStream> {
    let address = Address::of(path)?;
    UnixStream::connect(&address.path).await
}

/// The same for code that has no runtime and may wait.
pub(crate) fn connect_blocking(path: &Path) -> io::Result<std::os::unix::net::UnixStream> {
    let address = Address::of(path)?;
    std::os::unix::net::UnixStream::connect(&address.path)
}

/// Listens at `path`, in place of a socket that a dead daemon left there. Owner and group may connect, others may not.
pub(crate) fn listen(path: &Path) -> io::Result<UnixListener> {
    if fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket()) {
        fs::remove_file(path)?;
    }
    let address = Address::of(path)?;
    // The mask, not a later chmod: there must be no moment in which anybody can connect.
    let others = Mode::RWXO;
    let before = rustix::process::umask(others);
    rustix::process::umask(before | others);
    let listener = UnixListener::bind(&address.path);
    rustix::process::umask(before);
    listener
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[tokio::test]
    async fn a_long_path_works_for_both_sides() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let deep = dir.path().join("d".repeat(100)).join("e".repeat(100));
        fs::create_dir_all(&deep).expect("directories");
        let path = deep.join("sock");
        let listener = listen(&path).expect("listens");
        let (accepted, connected) = tokio::join!(listener.accept(), connect(&path));
        accepted.expect("accepts");
        connected.expect("connects");
        let mode = fs::metadata(&path).expect("there").permissions().mode();
        assert_eq!(mode & 0o007, 0, "not for others");
    }

    #[tokio::test]
    async fn a_stale_socket_is_replaced_and_a_file_is_not() {
        let dir = tempfile::tempdir().expect("temporary directory");
        let path = dir.path().join("sock");
        drop(listen(&path).expect("listens"));
        assert!(path.exists());
        listen(&path).expect("listens again");
        let file = dir.path().join("precious");
        fs::write(&file, "data").expect("write");
        assert!(listen(&file).is_err());
        assert_eq!(fs::read_to_string(&file).expect("read"), "data");
    }
}
