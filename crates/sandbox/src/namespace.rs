//! Network namespaces: made and unmade by name, entered by a thread.

use crate::Error;
use crate::command;
use crate::error::Context;
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::Command;

const FOLDER: &str = "/run/netns";

/// A network namespace that `ip netns` knows by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// The namespace called `name`, whether it exists or not.
    pub(crate) fn named(name: impl Into<String>) -> Namespace {
        Namespace { name: name.into() }
    }

    /// Its name for `ip netns exec`.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn path(&self) -> PathBuf {
        Path::new(FOLDER).join(&self.name)
    }

    pub(crate) fn exists(&self) -> bool {
        self.path().exists()
    }

    /// Makes it, with its loopback up and without duplicate address detection, which would only cost time: nobody
    /// else hands out addresses here.
    pub(crate) fn create(&self) -> Result<(), Error> {
        command::run(Command::new("ip").args(["netns", "add", &self.name]), "")?;
        self.enter(|| {
            for scope in ["all", "default"] {
                self.sysctl(&format!("net/ipv6/conf/{scope}/accept_dad"), "0")?;
            }
            // A host that saves on its answers would make probes of the network fail now and then.
            for key in ["net/ipv4/icmp_ratelimit", "net/ipv6/icmp/ratelimit"] {
                self.sysctl(key, "0")?;
            }
            self.ip("link set lo up\n")
        })
    }

    /// Sets a variable below `/proc/sys` for the namespace. To be called inside of [`enter`](Self::enter).
    pub(crate) fn sysctl(&self, key: &str, value: &str) -> Result<(), Error> {
        let path = Path::new("/proc/sys").join(key);
        std::fs::write(&path, value).context(|| format!("setting {} in {}", path.display(), self.name))
    }

    /// Runs lines of `ip` commands in it.
    pub(crate) fn ip(&self, lines: &str) -> Result<(), Error> {
        command::run(Command::new("ip").args(["-netns", &self.name, "-batch", "-"]), lines).map(drop)
    }

    /// Switches an interface's transmit checksums off: packets that the userspace datapath reads from a raw socket
    /// must carry theirs, and must not be larger than the MTU.
    pub(crate) fn no_offload(&self, interface: &str) -> Result<(), Error> {
        self.run(Command::new("ethtool").args(["-K", interface, "tx", "off"])).map(drop)
    }

    /// Does something with the calling thread's place in the namespace: sockets opened and processes started by
    /// `work` belong to it.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error> {
        let path = self.path();
        let inside = || {
            let what = || format!("entering the network namespace {}", self.name);
            let file = File::open(&path).context(what)?;
            move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).context(what)?;
            work()
        };
        // A thread of its own, since a thread that moved does not move back by itself on every way out.
        std::thread::scope(|scope| match scope.spawn(inside).join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    }

    /// Runs a command in it that must succeed, and returns what it printed.
    pub fn run(&self, command: &mut Command) -> Result<String, Error> {
        self.enter(|| command::run(command, ""))
    }

    /// Runs a command in it, whether it succeeds or not.
    pub fn output(&self, command: &mut Command) -> Result<std::process::Output, Error> {
        self.enter(|| command::output(command, ""))
    }

    /// The processes that are in it.
    pub(crate) fn pids(&self) -> Vec<i32> {
        let text =
            command::run(Command::new("ip").args(["netns", "pids", &self.name]), "").unwrap_or_default();
        text.split_whitespace().filter_map(|word| word.parse().ok()).collect()
    }

    /// Unmakes it. Its interfaces, and the other ends of their pairs, go with it.
    pub(crate) fn delete(&self) -> Result<(), Error> {
        command::run(Command::new("ip").args(["netns", "del", &self.name]), "").map(drop)
    }
}
