//! Detaching, pidfiles, the monitor, signals and users, seen from outside the process.
#![allow(clippy::disallowed_methods, clippy::disallowed_types, reason = "tests of the layer that does I/O")]

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Stdio;

use common::{Killed, Place, is_alive, kill, parent, parrot, session, wait_for};
use kiln_runtime::daemon::read_pid;

const SIGHUP: i32 = 1;
const SIGKILL: i32 = 9;
const SIGFPE: i32 = 8;
const SIGBUS: i32 = 7;
const SIGSEGV: i32 = 11;
const SIGTERM: i32 = 15;

#[test]
fn detach_returns_when_the_daemon_serves() {
    let place = Place::new();
    let pid = place.start_parrot(&[]);
    // No waiting here: it must be there already.
    assert_eq!(place.ask("parrot", &["connection-status"]), "not connected");
    assert_eq!(read_pid(&place.path("parrot.pid")).expect("locked"), pid);
    assert!(place.path(&format!("parrot.{pid}.ctl")).exists());
    assert_eq!(session(pid), Some(pid), "a session of its own");
    assert_eq!(fs::read_link(format!("/proc/{pid}/cwd")).expect("cwd").to_str(), Some("/"));
    for fd in 0..3 {
        assert_eq!(fs::read_link(format!("/proc/{pid}/fd/{fd}")).expect("fd").to_str(), Some("/dev/null"));
    }
}

#[test]
fn the_working_directory_can_be_kept_and_paths_stay_right() {
    let place = Place::new();
    let args = [
        "--detach",
        "--no-chdir",
        "--log-file",
        "--log-file=here.log",
        "--unixctl=my.ctl",
        "--pidfile=my.pid",
    ];
    let output = place.parrot(&args);
    assert!(output.status.success(), "{output:?}");
    let place_dir = place.dir().canonicalize().expect("path");
    assert_eq!(fs::read_link(format!("/proc/{}/cwd", place.pid("my"))).expect("cwd"), place_dir);
    assert!(
        place.text("here.log").contains(&format!("opened log file {}", place.path("here.log").display()))
    );
    let control = place.path("my.ctl");
    place.ask(control.to_str().expect("UTF-8"), &["exit"]);
    wait_for("its end", || (!control.exists() && !place.path("my.pid").exists()).then_some(()));
}

#[test]
fn one_daemon_per_pidfile() {
    let place = Place::new();
    let first = place.start_parrot(&[]);
    for args in [&["--pidfile"][..], &["--pidfile", "--detach"]] {
        let second = place.parrot(args);
        assert_eq!(second.status.code(), Some(1), "{second:?}");
        let expected = format!(
            "parrot: {}: already running as pid {first}, aborting\n",
            place.path("parrot.pid").display()
        );
        assert!(String::from_utf8_lossy(&second.stderr).ends_with(&expected), "{second:?}");
    }
    let second = place.start_parrot(&["--overwrite-pidfile"]);
    assert_ne!(first, second);
    // The first no longer owns the name and must leave it alone.
    kill(first, SIGTERM);
    wait_for("the first's end", || (!is_alive(first)).then_some(()));
    assert_eq!(read_pid(&place.path("parrot.pid")).expect("locked"), second);

    kill(second, SIGKILL);
    wait_for("the second's end", || (!is_alive(second)).then_some(()));
    assert!(place.path("parrot.pid").exists());
    let third = place.start_parrot(&[]);
    assert_ne!(second, third, "a dead daemon's pidfile is no obstacle");
}

/// Stock's tool follows the pidfile, and checks its lock, to find the daemon.
#[test]
fn a_stock_daemon_is_respected_too() {
    let place = Place::new();
    let stock = place.start_ovsdb_server(&[]);
    let ours = place.parrot(&["--pidfile=ovsdb-server.pid"]);
    assert_eq!(ours.status.code(), Some(1));
    assert!(
        String::from_utf8_lossy(&ours.stderr).contains(&format!("already running as pid {stock}")),
        "{ours:?}"
    );
    let pid = place.start_parrot(&[]);
    let args = ["--pidfile=parrot.pid", "-vconsole:info", "--no-chdir", "aviary.db"];
    let theirs = place.run("ovsdb-server", &args);
    assert!(
        String::from_utf8_lossy(&theirs.stderr).contains(&format!("already running as pid {pid}")),
        "{theirs:?}"
    );
}

#[test]
fn a_failed_start_is_told() {
    let place = Place::new();
    for (args, message) in [
        (&["--unixctl=/nonexistent/x", "--detach"][..], "could not initialize control socket"),
        (
            &["--pidfile=/nonexistent/x", "--detach", "--monitor"],
            "/nonexistent/x.tmp: create failed (No such file or directory)",
        ),
        (&["-vfoo:bar"], "parrot: processing \"foo:bar\": no destination, level, or module \"foo\"\n"),
        (&["--user=no-such-user"], "user no-such-user not found, aborting."),
        (&["--syslog-method=foo"], "unsupported syslog method \"foo\""),
        (&["--to=udp:x"], "udp:x"),
        (&["--bogus"], "--bogus"),
        (
            &["--log-file=/nonexistent/x"],
            "failed to open /nonexistent/x for logging: No such file or directory",
        ),
    ] {
        let output = place.parrot(args);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.code() == Some(1) && text.contains(message), "{args:?}: {output:?}");
    }
    // Who only asks for the version needs no log.
    let output = place.parrot(&["--log-file=/nonexistent/x", "--version"]);
    assert!(
        output.status.success() && output.stdout == b"parrot 26.03.0\nKiln Library 0.1.0\n",
        "{output:?}"
    );
}

#[test]
fn signals_end_it_in_good_order() {
    for (signal, name) in [(SIGTERM, "15 (Terminated)"), (2, "2 (Interrupt)"), (SIGHUP, "1 (Hangup)")] {
        let place = Place::new();
        let child = place
            .command(parrot())
            .args(["--pidfile", "--log-file", "-vconsole:off", "--syslog-method=null"])
            .stderr(Stdio::null())
            .spawn()
            .expect("starts");
        let mut child = Killed(child);
        let pid = i32::try_from(child.0.id()).expect("a pid");
        let control = place.path(&format!("parrot.{pid}.ctl"));
        // The socket is there before the first turn of the loop, signals are heeded by then.
        wait_for("the control socket", || control.exists().then_some(()));
        assert_eq!(place.ask("parrot", &["connection-status"]), "not connected");
        kill(pid, signal);
        let status = wait_for("its end", || child.0.try_wait().expect("wait"));
        assert_eq!(status.code(), Some(0));
        let log = place.text("parrot.log");
        assert!(log.contains(&format!("|fatal_signal|WARN|terminating with signal {name}\n")), "{log}");
        let left: Vec<_> =
            fs::read_dir(place.dir()).expect("list").map(|e| e.expect("entry").file_name()).collect();
        assert_eq!(left, ["parrot.log"]);
    }
}

#[test]
fn exit_is_answered_before_the_end() {
    let place = Place::new();
    let pid = place.start_parrot(&[]);
    assert_eq!(place.ask("parrot", &["exit"]), "");
    wait_for("its end", || (!is_alive(pid)).then_some(()));
    assert!(!place.path("parrot.pid").exists());
}

/// The daemon's pid once it is another than `old` and answers.
fn restarted(place: &Place, old: i32) -> i32 {
    wait_for("a restart", || {
        let pid = read_pid(&place.path("parrot.pid")).ok().filter(|pid| *pid != old)?;
        (place.appctl("parrot", &["version"]).0 == Some(0)).then_some(pid)
    })
}

#[test]
fn the_monitor_restarts_after_a_crash_and_only_then() {
    let place = Place::new();
    let first = place.start_parrot(&["--monitor"]);
    let monitor = parent(first).expect("a parent");
    assert_eq!(session(first), Some(monitor), "the monitor leads the session");
    kill(first, SIGFPE);
    let second = restarted(&place, first);
    assert_eq!(parent(second), Some(monitor));
    let log = place.text("parrot.log");
    assert!(log.contains("|daemon(monitor)|ERR|1 crashes: pid "), "{log}");
    assert!(log.contains("killed (Floating point exception)") && log.contains(", restarting\n"), "{log}");
    kill(second, SIGTERM);
    wait_for("the monitor's end", || (!is_alive(monitor)).then_some(()));
    assert!(!is_alive(second) && !place.path("parrot.pid").exists());
    assert!(place.text("parrot.log").contains("died, exit status 0, exiting"));
}

/// The first signal ends it, also one that the standard library handles.
#[test]
fn the_monitor_restarts_after_a_wrong_memory_access() {
    for (signal, name) in [(SIGSEGV, "Segmentation fault"), (SIGBUS, "Bus error")] {
        let place = Place::new();
        let first = place.start_parrot(&["--monitor"]);
        kill(first, signal);
        let second = restarted(&place, first);
        let log = place.text("parrot.log");
        assert!(log.contains(&format!("1 crashes: pid {first} died, killed ({name})")), "{log}");
        kill(second, SIGTERM);
        wait_for("its end", || (!is_alive(second)).then_some(()));
    }
}

#[test]
fn a_panic_counts_as_a_crash_and_is_in_the_log() {
    let place = Place::new();
    let first = place.start_parrot(&["--monitor"]);
    assert_ne!(place.appctl("parrot", &["panic"]).0, Some(0));
    restarted(&place, first);
    let log = place.text("parrot.log");
    assert!(log.contains("|daemon|EMER|panicked at ") && log.contains("as you wish"), "{log}");
    assert!(log.contains("killed (Aborted)"), "{log}");
    assert!(!place.path(&format!("parrot.{first}.ctl")).exists(), "no socket of the dead one is left");
}

#[test]
fn a_monitor_in_the_foreground_waits_for_the_daemon() {
    let place = Place::new();
    let mut child = Killed(
        place
            .command(parrot())
            .args(["--monitor", "--pidfile", "-vconsole:off", "--syslog-method=null"])
            .spawn()
            .expect("starts"),
    );
    let pid = restarted(&place, 0);
    assert_eq!(parent(pid), i32::try_from(child.0.id()).ok());
    place.ask("parrot", &["exit"]);
    let status = wait_for("the monitor's end", || child.0.try_wait().expect("wait"));
    assert_eq!(status.code(), Some(0));
}

#[test]
fn the_user_changes_for_good() {
    let place = Place::new();
    fs::set_permissions(place.dir(), fs::Permissions::from_mode(0o777)).expect("chmod");
    if !rustix::process::geteuid().is_root() {
        let output = place.parrot(&["--user=nobody"]);
        assert!(
            String::from_utf8_lossy(&output.stderr).contains("failed to become user nobody"),
            "{output:?}"
        );
        return;
    }
    let pid = place.start_parrot(&["--user=nobody"]);
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("status");
    let ids = |name: &str| -> Vec<String> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line");
        line.split_whitespace().map(str::to_owned).collect()
    };
    let nobody = ids("Uid:")[0].clone();
    assert_ne!(nobody, "0");
    assert_eq!(ids("Uid:"), [nobody.as_str(); 4]);
    assert!(!ids("Gid:").contains(&"0".to_owned()));
    assert_eq!(ids("CapEff:"), ["0000000000000000"]);
    let owner = fs::metadata(place.path("parrot.log")).expect("log").uid();
    assert_eq!(owner.to_string(), nobody);
    place.ask("parrot", &["vlog/reopen"]);
}
