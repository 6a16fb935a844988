//! `./sandbox` as a person runs it: the shipped example holds, `down` removes every trace, and so does Ctrl-C.

#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests look at files, processes and the clock"
)]

mod common;

use common::{run, until};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// What the table says that a sandbox is up in, beside which a busy machine's time is printed.
const EXPECTED_S: u64 = 15;
/// As long as anything here may take on a busy machine.
const PATIENCE: Duration = Duration::from_mins(5);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the workspace").to_owned()
}

/// `./sandbox` with this binary in place of the one that it would build.
fn script(args: &[&str]) -> Command {
    let mut command = Command::new(root().join("sandbox"));
    command.args(args).env("KILN", env!("CARGO_BIN_EXE_kiln")).stdin(Stdio::null());
    command
}

/// The traces that the sandbox of this name has on the machine now.
fn traces(name: &str) -> Vec<String> {
    let entries = |path: &str| std::fs::read_dir(path).into_iter().flatten().flatten();
    let start = format!("{name}-");
    let mut traces: Vec<String> = entries("/run/netns")
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|namespace| namespace.starts_with(&start))
        .collect();
    let folder = format!("/{name}/");
    for entry in entries("/proc") {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(&folder) {
            traces.push(line);
        }
    }
    traces
}

/// Takes the sandbox down when the test ends, however it does.
struct Down(String);

impl Drop for Down {
    fn drop(&mut self) {
        let _ = script(&["down", "--name", &self.0]).output();
    }
}

fn named(what: &str) -> (String, Down) {
    let name = format!("k{what}{}", std::process::id());
    (name.clone(), Down(name))
}

#[test]
fn the_shipped_example_holds_and_down_removes_every_trace() {
    let (name, _down) = named("s");
    let start = Instant::now();
    let text = run(&mut script(&["--keep", "--name", &name]));
    println!("{text}");
    println!("./sandbox: up and probed in {:.1?} (aim: up in {EXPECTED_S} s)", start.elapsed());
    assert!(text.contains("probes hold"), "{text}");
    // The kinds that the example has, in both families.
    for probe in ["ping", "traceroute", "tcp", "fd"] {
        assert!(text.contains(probe), "{probe}: {text}");
    }
    assert!(traces(&name).len() > 10, "{:?}", traces(&name));
    run(&mut script(&["down", "--name", &name]));
    assert_eq!(traces(&name), [""; 0]);
}

fn interrupt(child: &Child) {
    run(Command::new("kill").args(["-INT", &child.id().to_string()]));
}

#[test]
fn an_interrupted_sandbox_leaves_no_trace() {
    let (name, _down) = named("i");
    // Once while it is built, and once while it stands.
    for traced in [3, 12] {
        let mut child = script(&["--name", &name]).stdout(Stdio::null()).spawn().expect("the script starts");
        until("the sandbox to be there in part", PATIENCE, || (traces(&name).len() >= traced).then_some(()));
        interrupt(&child);
        let status = until("the sandbox to end", PATIENCE, || child.try_wait().expect("a child of ours"));
        assert!(!status.success(), "{status}");
        assert_eq!(traces(&name), [""; 0]);
    }
}
