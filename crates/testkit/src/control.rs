//! northds and controllers, and what they answer on their control sockets.

use crate::lab::run;
use crate::{Component, Lab, Server, Whose};
use std::process::Command;

/// A daemon that runs in a lab.
#[derive(Clone, Debug)]
pub struct Daemon {
    /// What it is called in the lab.
    pub name: String,
    /// Whose it is.
    pub whose: Whose,
}

impl Lab {
    /// Starts a northd between two servers.
    #[track_caller]
    pub fn northd(&mut self, name: &str, whose: Whose, north: &Server, south: &Server) -> Daemon {
        let mut command = self.program(whose, "ovn-northd");
        command.arg(format!("--ovnnb-db={}", north.remote)).arg(format!("--ovnsb-db={}", south.remote));
        self.start(name, command, &[]);
        Daemon { name: name.into(), whose }
    }

    /// `ovn-appctl` for a daemon, with the words of `line`.
    #[track_caller]
    pub fn appctl(&self, daemon: &Daemon, line: &str) -> Command {
        let mut command = self.program(Component::Stock, "ovn-appctl");
        command.arg("-t").arg(self.path(&format!("{}.ctl", daemon.name))).args(crate::words(line));
        command
    }

    /// What a daemon answers; it must accept the command.
    #[track_caller]
    pub fn ask(&self, daemon: &Daemon, line: &str) -> String {
        run(&mut self.appctl(daemon, line))
    }

    /// Whether a daemon accepts a command, and what it says about it either way, without the client's own words.
    #[track_caller]
    pub fn ask_either(&self, daemon: &Daemon, line: &str) -> (bool, String) {
        let output = self.appctl(daemon, line).env("LC_ALL", "C").output().expect("ovn-appctl runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        let own = |line: &&str| !line.starts_with("ovn-appctl:");
        let errors: Vec<&str> = errors.lines().filter(own).collect();
        (output.status.success(), text + &errors.join("\n"))
    }
}
