//! What is printed into a pipe that nobody reads any more, or onto a full disk, ends no program in a panic, and the exit code
//! still says what became of the work.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::duration_suboptimal_units,
    clippy::unused_self,
    reason = "tests of programs"
)]

mod common;

use common::Folder;
use common::database::Database;
use std::fs::{self, OpenOptions};
use std::process::{Command, Stdio};

/// Where the output goes.
#[derive(Clone, Copy)]
enum To {
    Nobody,
    FullDisk,
}

impl To {
    fn stdio(self) -> Stdio {
        match self {
            To::Nobody => std::io::pipe().expect("a pipe").1.into(),
            To::FullDisk => OpenOptions::new().write(true).open("/dev/full").expect("full(4)").into(),
        }
    }
}

/// The exit code, and what came to the standard error.
fn kiln(args: &[&str], to: To) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
    let output = command.args(args).stdin(Stdio::null()).stdout(to.stdio()).output().expect("kiln");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[test]
fn answers_that_nobody_takes() {
    let full = |code| (Some(code), "No space left on device".to_owned());
    for (line, code) in [
        ("--help", 1),
        ("version", 1),
        ("northd --help", 1),
        ("controller --version", 1),
        ("schema sb", 1),
        ("schema --help", 1),
        ("apply --help", 2),
        ("sandbox --help", 2),
        ("lflow --help", 2),
        ("lflow symbols", 2),
    ] {
        let args: Vec<&str> = line.split(' ').collect();
        assert_eq!(kiln(&args, To::Nobody), (Some(0), String::new()), "{line}");
        let (was, said) = kiln(&args, To::FullDisk);
        assert_eq!((was, said.contains(&full(code).1)), (Some(code), true), "{line}: {said}");
    }
    // Complaints that nobody takes.
    let mut command = Command::new(env!("CARGO_BIN_EXE_kiln"));
    let status = command.args(["northd", "--foo"]).stderr(To::Nobody.stdio()).status().expect("kiln");
    assert_eq!(status.code(), Some(1));
}

#[test]
fn a_change_is_made_whether_or_not_anybody_reads_of_it() {
    let folder = Folder::new("printing");
    let northbound = Database::start(&folder, "nb");
    let file = folder.path("net.yaml");
    let db = format!("--db={}", northbound.remote());
    let mut switches = String::from("switches:\n");
    for (to, switch) in [(To::Nobody, "one"), (To::FullDisk, "two")] {
        switches += &format!("  {switch}: {{ ports: {{ {switch}-a: [10.0.0.1] }} }}\n");
        fs::write(&file, &switches).expect("a file");
        let words = |word| [word, file.to_str().expect("UTF-8"), &db].map(str::to_owned);
        let run = |word, to| {
            let words = words(word);
            kiln(&words.each_ref().map(String::as_str), to)
        };
        // Here the difference is all there is to the work, so that one that cannot be told is a failure.
        let told = matches!(to, To::Nobody);
        assert_eq!(run("diff", to).0, Some(if told { 1 } else { 2 }));
        let (code, said) = run("apply", to);
        assert_eq!((code, said.is_empty()), (Some(0), told), "{said}");
        assert_eq!(run("diff", To::Nobody), (Some(0), String::new()));
    }
}
