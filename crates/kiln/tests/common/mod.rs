//! Daemons on Unix sockets in a folder of their own: stock database servers and switches without any network, northds and
//! controllers, Kiln's or stock's. Everything ends and goes with the value that stands for it, also when a test fails.

#![allow(dead_code, reason = "each test uses its part")]
#![allow(clippy::disallowed_methods, reason = "tests look at files, processes and the clock")]
#![allow(clippy::disallowed_types, reason = "tests talk to daemons")]

pub mod chassis;
pub mod client;
pub mod database;
pub mod deployment;
pub mod network;
pub mod relay;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Whose program plays a part.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    Kiln,
    /// The release that Kiln is compatible with.
    Stock,
    /// The release that this machine's own packages have.
    OldStock,
}

fn root_of(whose: Whose) -> PathBuf {
    match whose {
        Whose::OldStock => "/".into(),
        _ => std::env::var_os("KILN_PEERS").map_or_else(|| "/opt/kiln-peers/sid".into(), PathBuf::from),
    }
}

/// A program that ends with the test, whatever ends that.
#[track_caller]
pub fn program(whose: Whose, name: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]);
    if whose == Whose::Kiln {
        command.arg(std::env::var_os("KILN").unwrap_or_else(|| env!("CARGO_BIN_EXE_kiln").into())).arg(name);
        return command;
    }
    let root = root_of(whose);
    let folders = ["usr/lib/openvswitch-switch", "usr/sbin", "usr/bin"];
    let path = folders.iter().map(|folder| root.join(folder).join(name)).find(|path| path.is_file());
    let path = path.unwrap_or_else(|| panic!("{whose:?} {name} is missing; ./test installs it"));
    if whose == Whose::Stock {
        let arch = std::env::consts::ARCH;
        let loader =
            if arch == "aarch64" { "lib/ld-linux-aarch64.so.1" } else { "lib64/ld-linux-x86-64.so.2" };
        let library = |folder: &str| root.join(format!("{folder}/{arch}-linux-gnu")).display().to_string();
        let libraries = [library("lib"), library("usr/lib")].join(":");
        command.arg(root.join(loader)).args(["--argv0", name, "--library-path", &libraries]);
    }
    command.arg(path);
    command
}

/// A file of a release's `/usr/share`.
pub fn share(whose: Whose, name: &str) -> PathBuf {
    root_of(whose).join("usr/share").join(name)
}

/// Runs a program to its end; what it wrote to its standard output.
#[track_caller]
pub fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("programs start");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Asks `condition` until it has an answer.
#[track_caller]
pub fn until<T>(what: &str, limit: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = condition() {
            return answer;
        }
        assert!(start.elapsed() < limit, "waited {limit:?} for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// As long as anything here may take on a busy machine.
pub const LONG: Duration = Duration::from_mins(1);

/// A folder of one test's.
#[derive(Debug)]
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(name: &str) -> Folder {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        // Short, since it begins the names of sockets.
        let path = std::env::temp_dir().join(format!("kiln-{name}-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).expect("temporary folders can be made");
        Folder(path)
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    pub fn remote(&self, socket: &str) -> String {
        format!("unix:{}", self.path(socket).display())
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for entry in fs::read_dir(&self.0).into_iter().flatten().flatten() {
                if entry.path().extension().is_some_and(|end| end == "log" || end == "out") {
                    let text = fs::read_to_string(entry.path()).unwrap_or_default();
                    let lines: Vec<&str> = text.lines().collect();
                    let tail = lines[lines.len().saturating_sub(30)..].join("\n");
                    println!("---- {}\n{tail}", entry.path().display());
                }
            }
        }
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A daemon, which can be killed and started again.
#[derive(Debug)]
pub struct Daemon {
    pub name: String,
    folder: PathBuf,
    command: Command,
    child: Option<Child>,
}

impl Daemon {
    /// Starts a daemon with `folder` as its run directory and `NAME.ctl` there as its control socket, and waits until
    /// that is there.
    #[track_caller]
    pub fn start(folder: &Folder, name: &str, mut command: Command) -> Daemon {
        let path = |end: &str| folder.path(&format!("{name}.{end}")).display().to_string();
        command.arg(format!("--unixctl={}", path("ctl"))).arg(format!("--log-file={}", path("log")));
        command.arg(format!("--pidfile={}", path("pid"))).args(["--overwrite-pidfile", "-vconsole:off"]);
        for variable in ["OVS_RUNDIR", "OVN_RUNDIR", "OVS_LOGDIR", "OVN_LOGDIR", "OVS_DBDIR", "OVN_DBDIR"] {
            command.env(variable, &folder.0);
        }
        command.stdin(Stdio::null());
        let mut daemon = Daemon { name: name.to_owned(), folder: folder.0.clone(), command, child: None };
        daemon.spawn();
        daemon
    }

    fn file(&self, end: &str) -> PathBuf {
        self.folder.join(format!("{}.{end}", self.name))
    }

    /// Starts it, or starts it again.
    #[track_caller]
    pub fn spawn(&mut self) {
        assert!(self.child.is_none(), "{} runs", self.name);
        for end in ["ctl", "pid"] {
            let _ = fs::remove_file(self.file(end));
        }
        let output = fs::OpenOptions::new().create(true).append(true).open(self.file("out")).expect("a file");
        self.command.stdout(output.try_clone().expect("a handle")).stderr(output);
        self.child = Some(self.command.spawn().expect("daemons start"));
        let control = self.file("ctl");
        until(&format!("{} to serve", self.name), LONG, || {
            let ended = self.child.as_mut().expect("it was started").try_wait().expect("children are ours");
            assert!(ended.is_none(), "{} ended: {ended:?}", self.name);
            control.exists().then_some(())
        });
    }

    /// Kills it with SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Kills it and starts it again.
    #[track_caller]
    pub fn restart(&mut self) {
        self.kill();
        self.spawn();
    }

    /// Stops its process from running, or lets it go on.
    pub fn freeze(&self, stop: bool) {
        run(Command::new("kill").args([if stop { "-STOP" } else { "-CONT" }, &self.pid().to_string()]));
    }

    /// Waits until it has ended by itself.
    #[track_caller]
    pub fn wait_end(&mut self) {
        let name = self.name.clone();
        let child = self.child.as_mut().expect("it was started");
        until(&format!("{name} to end"), LONG, || child.try_wait().expect("children are ours"));
        self.child = None;
    }

    pub fn runs(&self) -> bool {
        self.child.is_some()
    }

    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.file("log")).unwrap_or_default()
    }

    /// Lines of its log that contain `text`.
    pub fn log_lines(&self, text: &str) -> Vec<String> {
        self.log().lines().filter(|line| line.contains(text)).map(str::to_owned).collect()
    }

    /// Asks it something on its control socket.
    #[track_caller]
    pub fn ask(&self, args: &[&str]) -> String {
        let control = self.file("ctl");
        run(program(Whose::Stock, "ovs-appctl").arg("-t").arg(control).args(args)).trim_end().to_owned()
    }

    /// Its resident memory, in kilobytes.
    pub fn resident_kb(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a process has memory");
        line.trim().trim_end_matches(" kB").parse().expect("a number")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Starts a northd on the folder's databases.
#[track_caller]
pub fn northd(folder: &Folder, name: &str, whose: Whose) -> Daemon {
    northd_of(folder, name, whose, &folder.remote("nb.sock"), &folder.remote("sb.sock"))
}

/// Starts a northd on these databases.
#[track_caller]
pub fn northd_of(folder: &Folder, name: &str, whose: Whose, northbound: &str, southbound: &str) -> Daemon {
    let mut command = program(whose, if whose == Whose::Kiln { "northd" } else { "ovn-northd" });
    command.arg(format!("--ovnnb-db={northbound}")).arg(format!("--ovnsb-db={southbound}"));
    Daemon::start(folder, name, command)
}

/// The size of a file, in bytes.
pub fn size_of(path: &Path) -> u64 {
    fs::metadata(path).expect("the file exists").len()
}
