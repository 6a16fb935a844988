//! The programs that the sandbox runs: Kiln's, and those of stock OVN and Open vSwitch in two releases.

use crate::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

/// Whose program plays a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Component {
    /// Kiln's.
    Kiln,
    /// Stock, in the release that Kiln is compatible with: a folder with Debian's unstable suite in it.
    Stock,
    /// Stock, in the release that this machine's own packages have (OVN 23.03, Open vSwitch 3.1 on Debian 12).
    OldStock,
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Component::Kiln => "kiln",
            Component::Stock => "stock",
            Component::OldStock => "old-stock",
        })
    }
}

impl FromStr for Component {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "kiln" => Ok(Component::Kiln),
            "stock" => Ok(Component::Stock),
            "old-stock" => Ok(Component::OldStock),
            _ => Err(format!("expected kiln, stock or old-stock, found `{text}`")),
        }
    }
}

/// Where the folder of stock programs is unless `KILN_PEERS` says otherwise.
const STOCK_FOLDER: &str = "/opt/kiln-peers/sid";

/// Where programs are found.
#[derive(Clone, Debug)]
pub struct Peers {
    /// The `kiln` binary.
    pub kiln: Option<PathBuf>,
    /// The folder that holds the stock release.
    pub stock: PathBuf,
}

impl Peers {
    /// The folder named by `KILN_PEERS`, and the binary named by `KILN`, or this one if it is `kiln`.
    pub fn from_env() -> Peers {
        let own =
            std::env::current_exe().ok().filter(|path| path.file_stem().is_some_and(|stem| stem == "kiln"));
        let kiln = std::env::var_os("KILN").map(PathBuf::from).or(own);
        let stock = std::env::var_os("KILN_PEERS").map_or_else(|| STOCK_FOLDER.into(), PathBuf::from);
        Peers { kiln, stock }
    }

    /// A command that runs a stock program in place, without leaving this machine's root or network namespace.
    ///
    /// `name` is the program's own, as in `ovs-vswitchd`; Kiln's is called as `kiln` with the daemon's word.
    pub fn program(&self, component: Component, name: &str) -> Result<Command, Error> {
        match component {
            Component::Kiln => self.kiln(name),
            Component::Stock => self.stock_program(name),
            Component::OldStock => {
                let path = find(Path::new("/"), name).ok_or_else(|| missing(name, "/usr", "packages"))?;
                Ok(Command::new(path))
            }
        }
    }

    fn kiln(&self, name: &str) -> Result<Command, Error> {
        let path = self.kiln.clone().unwrap_or_else(|| "kiln".into());
        if self.kiln.is_none() || !path.is_file() {
            let hint = "the kiln binary is not there; build it and name it by --kiln or KILN";
            return Err(Error::Usage(format!("{hint} (tried `{}`)", path.display())));
        }
        let mut command = Command::new(path);
        command.arg(name.strip_prefix("ovn-").unwrap_or(name));
        Ok(command)
    }

    /// The programs of the folder are linked against the folder's libraries, which its own loader finds.
    fn stock_program(&self, name: &str) -> Result<Command, Error> {
        let root = &self.stock;
        let path =
            find(root, name).ok_or_else(|| missing(name, &root.join("usr").to_string_lossy(), "stock"))?;
        let arch = std::env::consts::ARCH;
        let loader = match arch {
            "aarch64" => root.join("lib/ld-linux-aarch64.so.1"),
            _ => root.join("lib64/ld-linux-x86-64.so.2"),
        };
        let libraries: Vec<_> = ["lib", "usr/lib"]
            .iter()
            .map(|lib| root.join(lib).join(format!("{arch}-linux-gnu")).to_string_lossy().into_owned())
            .collect();
        let mut command = Command::new(loader);
        command.args(["--argv0", name, "--library-path", &libraries.join(":")]).arg(path);
        Ok(command)
    }

    /// A file under a release's `/usr/share`.
    pub fn share(&self, component: Component, name: &str) -> Result<PathBuf, Error> {
        let (root, remedy) = match component {
            Component::OldStock => (Path::new("/"), "packages"),
            Component::Stock | Component::Kiln => (self.stock.as_path(), "stock"),
        };
        let path = root.join("usr/share").join(name);
        if path.is_file() {
            return Ok(path);
        }
        Err(Error::Missing { what: name.to_owned(), path, remedy })
    }

    /// The first line of what a program says of its version.
    pub fn version(&self, component: Component, name: &str) -> Result<String, Error> {
        let text = crate::command::run(self.program(component, name)?.arg("--version"), "")?;
        Ok(text.lines().next().unwrap_or_default().trim().to_owned())
    }
}

/// The switch's own folder comes first: what `sbin` has is a link through `/etc/alternatives`, which leads out of
/// another root's folder.
fn find(root: &Path, name: &str) -> Option<PathBuf> {
    let folders = ["usr/lib/openvswitch-switch", "usr/sbin", "usr/bin"];
    folders.iter().map(|folder| root.join(folder).join(name)).find(|path| path.is_file())
}

fn missing(name: &str, folder: &str, remedy: &'static str) -> Error {
    Error::Missing { what: name.to_owned(), path: Path::new(folder).join("…").join(name), remedy }
}
