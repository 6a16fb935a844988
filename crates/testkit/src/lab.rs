//! A folder with daemons in it, which all go when the lab does.

use kiln_sandbox::{Component, Peers};
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// How long a daemon may take to do what is waited for, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_mins(1);

static COUNT: AtomicUsize = AtomicUsize::new(0);

/// A folder with daemons in it. Dropping it kills them and removes the folder, also while a test panics.
pub struct Lab {
    folder: PathBuf,
    pub(crate) peers: Peers,
    running: Vec<(String, Child)>,
}

/// Whose program plays a part, and what it is called in messages.
pub type Whose = Component;

/// Asks `condition` until it has an answer; a test that waits in vain says what for.
#[track_caller]
pub fn wait_for<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(answer) = condition() {
            return answer;
        }
        assert!(start.elapsed() < PATIENCE, "waited {} s in vain for {what}", PATIENCE.as_secs());
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// How long two sides may take to become the same.
const SETTLING: Duration = Duration::from_secs(20);

/// Looks at two sides until they are the same, but not for ever; what was seen last.
pub fn settled<S>(mut look: impl FnMut() -> [S; 2], same: impl Fn(&S, &S) -> bool) -> [S; 2] {
    let start = Instant::now();
    loop {
        let [one, other] = look();
        if same(&one, &other) || start.elapsed() > SETTLING {
            return [one, other];
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Runs a command that must succeed and returns what it printed.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.env("LC_ALL", "C").stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{command:?}: {}\n{stdout}{stderr}", output.status);
    stdout
}

impl Lab {
    /// An empty lab, with the binary that the test was built with.
    pub fn new(kiln: &str) -> Lab {
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        // Unix socket addresses are short; a build folder may not be.
        let folder = std::env::temp_dir().join(format!("kiln-lab-{}-{number}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap_or_else(|error| panic!("making {}: {error}", folder.display()));
        let mut peers = Peers::from_env();
        peers.kiln = Some(kiln.into());
        Lab { folder, peers, running: Vec::new() }
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// A command that runs a program. A missing peer is a failure.
    #[track_caller]
    pub fn program(&self, whose: Whose, name: &str) -> Command {
        self.peers.program(whose, name).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The first line of a program's `--version`.
    #[track_caller]
    pub fn version(&self, whose: Whose, name: &str) -> String {
        self.peers.version(whose, name).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Runs stock's `name` with the words of `line`, which must succeed, and returns what it printed.
    #[track_caller]
    pub fn stock(&self, name: &str, line: &str) -> String {
        run(self.program(Component::Stock, name).args(crate::words(line)))
    }

    /// The Python in which `scripts/peers.sh` has installed ovsdbapp: beside the folder of the stock release.
    pub fn ovsdbapp(&self) -> Command {
        let beside = self.peers.stock.parent().unwrap_or(Path::new("/"));
        Command::new(beside.join("ovsdbapp/bin/python"))
    }

    /// A file below the lab.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Starts a daemon, and waits until its control socket `NAME.ctl` and the sockets named in `serves` are there.
    #[track_caller]
    pub(crate) fn start(&mut self, name: &str, command: Command, serves: &[&Path]) {
        let folder = self.folder.clone();
        self.start_in(name, command, serves, &folder);
    }

    /// The same with a run directory of its own.
    #[track_caller]
    pub(crate) fn start_in(&mut self, name: &str, mut command: Command, serves: &[&Path], rundir: &Path) {
        let control = self.path(&format!("{name}.ctl"));
        let log = self.path(&format!("{name}.log"));
        let _ = fs::remove_file(&control);
        command.arg(format!("--unixctl={}", control.display()));
        command.arg(format!("--log-file={}", log.display())).arg("-vconsole:off");
        for key in ["OVS_RUNDIR", "OVN_RUNDIR", "OVS_LOGDIR", "OVN_LOGDIR"] {
            command.env(key, rundir);
        }
        let output = File::create(self.path(&format!("{name}.out"))).expect("the lab's folder is writable");
        let errors = output.try_clone().expect("a file handle can be copied");
        let child = command.stdin(Stdio::null()).stdout(output).stderr(errors).spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?}: {error}"));
        self.running.push((name.to_owned(), child));
        wait_for(&format!("{name} to serve"), || {
            let (_, child) = self.running.last_mut().expect("it was pushed");
            let ended = child.try_wait().expect("a child can be waited for");
            assert!(ended.is_none(), "{name} ended on its own: {}", self.tail(name));
            (control.exists() && serves.iter().all(|socket| socket.exists())).then_some(())
        });
    }

    /// The last lines of a daemon's log.
    pub fn tail(&self, name: &str) -> String {
        let read = |end: &str| fs::read_to_string(self.path(&format!("{name}.{end}"))).unwrap_or_default();
        let text = read("out") + &read("log");
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(20)..].join("\n")
    }

    /// Kills a daemon without warning and waits until it is gone.
    #[track_caller]
    pub fn kill(&mut self, name: &str) {
        let at = self.running.iter().position(|(running, _)| running == name);
        let at = at.unwrap_or_else(|| panic!("no daemon {name} is running"));
        let (_, mut child) = self.running.remove(at);
        let _ = child.kill();
        let _ = child.wait();
    }

    /// Sends a daemon a signal: `STOP`, `CONT`, ….
    #[track_caller]
    pub fn signal(&self, name: &str, signal: &str) {
        let child = self.running.iter().find(|(running, _)| running == name);
        let (_, child) = child.unwrap_or_else(|| panic!("no daemon {name} is running"));
        run(Command::new("kill").arg(format!("-{signal}")).arg(child.id().to_string()));
    }

    /// Waits until a daemon that was asked to go is gone.
    #[track_caller]
    pub fn wait_gone(&mut self, name: &str) {
        let at = self.running.iter().position(|(running, _)| running == name);
        let (_, mut child) = self.running.remove(at.unwrap_or_else(|| panic!("no daemon {name} is running")));
        wait_for(&format!("{name} to end"), || child.try_wait().expect("a child can be waited for"));
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // The last started goes first: a daemon that sees its server go would have something to say about it.
        for (_, child) in self.running.iter_mut().rev() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let keep = std::env::var_os("KILN_KEEP_LABS").is_some();
        if !keep {
            let _ = fs::remove_dir_all(&self.folder);
        }
    }
}
