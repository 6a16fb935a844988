//! Where daemons keep sockets, logs, databases and configuration, and the environment variables that move them.

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Which family of programs a daemon belongs to: it decides the directory of its pidfile and control socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// Open Virtual Network's daemons: `OVN_RUNDIR`.
    Ovn,
    /// Open vSwitch's daemons: `OVS_RUNDIR`.
    Ovs,
}

/// The directories in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dirs {
    /// `OVS_RUNDIR`, by default `/var/run/openvswitch`; relative paths of `unix:` and `punix:` remotes start here.
    pub ovs_run: PathBuf,
    /// `OVS_LOGDIR`, by default `/var/log/openvswitch`; the default place of `--log-file`, of OVN's daemons too.
    pub ovs_log: PathBuf,
    /// `OVS_DBDIR`, or `openvswitch` in `OVS_SYSCONFDIR`; by default `/etc/openvswitch`.
    pub ovs_db: PathBuf,
    /// `OVS_SYSCONFDIR`, by default `/etc`.
    pub ovs_sysconf: PathBuf,
    /// `OVN_RUNDIR`, by default `/var/run/ovn`.
    pub ovn_run: PathBuf,
    /// `OVN_LOGDIR`, by default `/var/log/ovn`.
    pub ovn_log: PathBuf,
    /// `OVN_DBDIR`, by default `/var/lib/ovn`.
    pub ovn_db: PathBuf,
    /// `OVN_SYSCONFDIR`, by default `/etc`.
    pub ovn_sysconf: PathBuf,
    nb_remote: Option<String>,
    sb_remote: Option<String>,
}

impl Dirs {
    /// The directories that this process's environment names.
    pub fn from_env() -> Self {
        Self::from_vars(|name| env::var_os(name))
    }

    /// The directories that the variables in `get` name.
    pub fn from_vars(get: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name: &str| get(name).filter(|value| !value.is_empty());
        let dir = |name: &str, default: &str| set(name).map_or_else(|| PathBuf::from(default), PathBuf::from);
        let text = |name: &str| set(name).and_then(|value| value.into_string().ok());
        let ovs_sysconf = dir("OVS_SYSCONFDIR", "/etc");
        Dirs {
            ovs_run: dir("OVS_RUNDIR", "/var/run/openvswitch"),
            ovs_log: dir("OVS_LOGDIR", "/var/log/openvswitch"),
            ovs_db: set("OVS_DBDIR").map_or_else(|| ovs_sysconf.join("openvswitch"), PathBuf::from),
            ovs_sysconf,
            ovn_run: dir("OVN_RUNDIR", "/var/run/ovn"),
            ovn_log: dir("OVN_LOGDIR", "/var/log/ovn"),
            ovn_db: dir("OVN_DBDIR", "/var/lib/ovn"),
            ovn_sysconf: dir("OVN_SYSCONFDIR", "/etc"),
            nb_remote: text("OVN_NB_DB"),
            sb_remote: text("OVN_SB_DB"),
        }
    }

    /// The run directory of a family of daemons.
    pub fn run(&self, family: Family) -> &Path {
        match family {
            Family::Ovn => &self.ovn_run,
            Family::Ovs => &self.ovs_run,
        }
    }

    /// The northbound database's remote when no option names one: `OVN_NB_DB`, or a socket in the run directory.
    pub fn default_nb_remote(&self) -> String {
        self.nb_remote.clone().unwrap_or_else(|| unix_remote(&self.ovn_run, "ovnnb_db.sock"))
    }

    /// The southbound database's remote when no option names one: `OVN_SB_DB`, or a socket in the run directory.
    pub fn default_sb_remote(&self) -> String {
        self.sb_remote.clone().unwrap_or_else(|| unix_remote(&self.ovn_run, "ovnsb_db.sock"))
    }

    /// The local Open_vSwitch database's remote.
    pub fn default_vswitch_remote(&self) -> String {
        unix_remote(&self.ovs_run, "db.sock")
    }
}

fn unix_remote(dir: &Path, name: &str) -> String {
    format!("unix:{}", dir.join(name).display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_move_directories_and_empty_ones_do_not() {
        let none = Dirs::from_vars(|_| None);
        assert_eq!(none.run(Family::Ovn), Path::new("/var/run/ovn"));
        assert_eq!(none.run(Family::Ovs), Path::new("/var/run/openvswitch"));
        assert_eq!(none.ovs_db, Path::new("/etc/openvswitch"));
        assert_eq!(none.default_nb_remote(), "unix:/var/run/ovn/ovnnb_db.sock");
        let some = Dirs::from_vars(|name| {
            let value = match name {
                "OVN_RUNDIR" => "/a",
                "OVS_RUNDIR" => "/b",
                "OVS_SYSCONFDIR" => "/c",
                "OVN_SB_DB" => "tcp:1.2.3.4:6642",
                "OVN_NB_DB" => "",
                _ => return None,
            };
            Some(value.into())
        });
        assert_eq!(some.run(Family::Ovn), Path::new("/a"));
        assert_eq!(some.ovs_db, Path::new("/c/openvswitch"));
        assert_eq!(some.default_nb_remote(), "unix:/a/ovnnb_db.sock");
        assert_eq!(some.default_sb_remote(), "tcp:1.2.3.4:6642");
        assert_eq!(some.default_vswitch_remote(), "unix:/b/db.sock");
    }
}
