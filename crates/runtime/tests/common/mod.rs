//! Daemons in a directory of their own, and waiting for what they do.
#![allow(dead_code, unreachable_pub, reason = "each test file uses some of it")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Nothing that these tests wait for takes this long.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// Asks `probe` until it has an answer; `what` is what a test that waited in vain says it missed.
pub fn wait_for<T>(what: &str, mut probe: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// A run directory. Daemons that left a pidfile in it are killed in the end.
pub struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    pub fn new() -> Place {
        Place { dir: tempfile::tempdir().expect("temporary directory") }
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// `program` with this place as every directory that daemons know.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(self.dir()).stdin(Stdio::null());
        for name in ["OVS_RUNDIR", "OVN_RUNDIR", "OVS_LOGDIR", "OVN_LOGDIR", "OVS_DBDIR", "OVN_DBDIR"] {
            command.env(name, self.dir());
        }
        command
    }

    /// Runs `program` to its end.
    pub fn run(&self, program: &str, args: &[&str]) -> Output {
        self.command(program).args(args).output().unwrap_or_else(|error| panic!("{program}: {error}"))
    }

    /// Runs `program` to its successful end; what it printed.
    pub fn ok(&self, program: &str, args: &[&str]) -> String {
        let output = self.run(program, args);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{program} {args:?}: {output:?}");
        text(&output.stdout)
    }

    /// Runs the example daemon to the end of its foreground process.
    pub fn parrot(&self, args: &[&str]) -> Output {
        self.run(parrot(), args)
    }

    /// Starts the example daemon in the background, with its log beside its pidfile.
    pub fn start_parrot(&self, args: &[&str]) -> i32 {
        let common = ["--detach", "--pidfile", "--log-file", "-vconsole:off", "--syslog-method=null"];
        let output = self.parrot(&[&common[..], args].concat());
        assert!(output.status.success(), "{output:?}");
        self.pid("parrot")
    }

    /// Starts a stock database server in the background.
    pub fn start_ovsdb_server(&self, args: &[&str]) -> i32 {
        let schema =
            r#"{"name":"Aviary","version":"1.0.0","tables":{"Bird":{"columns":{"name":{"type":"string"}}}}}"#;
        fs::write(self.path("aviary.ovsschema"), schema).expect("write");
        self.ok("ovsdb-tool", &["create", "aviary.db", "aviary.ovsschema"]);
        let common = ["--detach", "--no-chdir", "--pidfile", "--log-file", "-vconsole:off", "-vsyslog:off"];
        self.ok("ovsdb-server", &[&common[..], args, &["aviary.db"]].concat());
        self.pid("ovsdb-server")
    }

    pub fn pid(&self, program: &str) -> i32 {
        let text = self.text(&format!("{program}.pid"));
        text.trim().parse().unwrap_or_else(|_| panic!("{program}.pid: expected a pid, got {text:?}"))
    }

    /// Sends a command with stock's tool: its exit code, and what it printed on either stream.
    pub fn appctl(&self, target: &str, args: &[&str]) -> (Option<i32>, String) {
        let output = self.run("ovs-appctl", &[&["-T", "20", "-t", target][..], args].concat());
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8_lossy(&text).into_owned())
    }

    /// The same for a command that must succeed, without the final newline.
    pub fn ask(&self, target: &str, args: &[&str]) -> String {
        let (code, text) = self.appctl(target, args);
        assert_eq!(code, Some(0), "{target} {args:?}: {text}");
        text.trim_end_matches('\n').to_owned()
    }

    /// The port that a line of a log says is listened on.
    pub fn port_in(&self, log: &str) -> String {
        wait_for("a line with the port", || {
            let text = self.text(log);
            let (_, rest) = text.split_once("listening on port ")?;
            Some(rest.lines().next()?.to_owned())
        })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for entry in fs::read_dir(self.dir()).into_iter().flatten().flatten() {
            if entry.path().extension().is_some_and(|extension| extension == "pid") {
                let pid = fs::read_to_string(entry.path()).unwrap_or_default();
                if let Ok(pid) = pid.trim().parse::<i32>() {
                    kill(parent(pid).filter(|parent| is_parrot(*parent)).unwrap_or(pid), 9);
                    kill(pid, 9);
                }
            }
        }
    }
}

fn is_parrot(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "parrot")
}

/// The example daemon, which cargo builds before it runs any test.
pub fn parrot() -> &'static str {
    static PATH: std::sync::OnceLock<String> = std::sync::OnceLock::new();
    PATH.get_or_init(|| {
        let test = std::env::current_exe().expect("path of this test");
        let target = test.parent().and_then(Path::parent).expect("target directory");
        let path = target.join("examples/parrot");
        assert!(path.exists(), "{}: missing; `cargo build --examples` makes it", path.display());
        path.to_str().expect("UTF-8").to_owned()
    })
}

pub fn kill(pid: i32, signal: i32) {
    let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
    let signal = rustix::process::Signal::from_named_raw(signal).expect("a signal");
    // It may be gone already.
    let _ = rustix::process::kill_process(pid, signal);
}

/// Whether a process exists and is not just waiting to be reaped.
pub fn is_alive(pid: i32) -> bool {
    stat(pid).is_some_and(|fields| fields[0] != "Z")
}

pub fn parent(pid: i32) -> Option<i32> {
    stat(pid)?.get(1)?.parse().ok()
}

pub fn session(pid: i32) -> Option<i32> {
    stat(pid)?.get(3)?.parse().ok()
}

/// The fields of `/proc/PID/stat` from the state on.
fn stat(pid: i32) -> Option<Vec<String>> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    Some(rest.split(' ').map(str::to_owned).collect())
}

/// A child that is killed when it goes out of scope.
pub struct Killed(pub Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
