//! `kiln apply FILE` and `kiln diff FILE`: a network file and the northbound database.

use clap::Parser;
use kiln_ovsdb::client::{Event, Link, Outcome, SessionConfig, TxnId};
use kiln_ovsdb::reconnect::{Action, Order};
use kiln_ovsdb::remote::Remotes;
use kiln_ovsdb::txn::ErrorClass;
use kiln_runtime::clock::Now;
use kiln_runtime::daemon::{CommonOptions, Daemon, Program, parse};
use kiln_runtime::dirs::{Dirs, Family};
use kiln_runtime::drive::{self, Engine, Input, Output};
use kiln_topology::{Network, Northbound, plan};
use kiln_types::{Instant, Rng};
use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// What is to be done with the difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    Apply,
    Diff,
}

const APPLY: Program = Program {
    name: "kiln apply",
    family: Family::Ovn,
    version: env!("CARGO_PKG_VERSION"),
    details: "",
    modules: "",
};
const DIFF: Program = Program { name: "kiln diff", ..APPLY };

/// A network file and the northbound database
#[derive(Parser)]
struct Options {
    /// The network file, YAML or TOML
    file: PathBuf,
    /// The OVN_Northbound database (default: $OVN_NB_DB or the socket in the run directory)
    #[arg(long, value_name = "DATABASE")]
    db: Option<String>,
    /// Give up after so many seconds
    #[arg(long, short = 't', value_name = "SECS", default_value_t = 30)]
    timeout: u64,
    #[command(flatten)]
    common: CommonOptions,
}

/// Exit codes: 0 when done, or nothing differs; 1 when `diff` found differences; 2 for mistakes and failures.
pub(crate) fn main(mode: Mode, args: impl Iterator<Item = OsString>) -> ExitCode {
    let program = if mode == Mode::Apply { APPLY } else { DIFF };
    let mut options: Options = match parse(&program, args) {
        Ok(options) => options,
        Err((text, code)) => {
            if code == 0 {
                print!("{text}");
            } else {
                eprint!("{text}");
            }
            return ExitCode::from(if code == 0 { 0 } else { 2 });
        }
    };
    let fail = |error: &dyn std::fmt::Display| {
        eprintln!("{error}");
        ExitCode::from(2)
    };
    let dirs = Dirs::from_env();
    let remotes = match options.db.take().unwrap_or_else(|| dirs.default_nb_remote()).parse::<Remotes>() {
        Ok(remotes) => remotes,
        Err(error) => return fail(&error),
    };
    let text = match std::fs::read_to_string(&options.file) {
        Ok(text) => text,
        Err(error) => return fail(&format_args!("{}: {error}", options.file.display())),
    };
    let network = match kiln_topology::parse(&options.file.to_string_lossy(), &text) {
        Ok(network) => network,
        Err(problems) => return fail(&problems),
    };
    options.common.control.unixctl = Some("none".into());
    let engine = Apply::new(mode, network, remotes, Duration::from_secs(options.timeout));
    Daemon::in_process(program, dirs, options.common).run(engine)
}

const DATABASE: drive::Link = drive::Link(0);

struct Apply {
    mode: Mode,
    network: Network,
    link: Link,
    replica: Northbound,
    txn: Option<(TxnId, String)>,
    timeout: Duration,
    deadline: Option<Instant>,
    outputs: VecDeque<Output>,
}

impl Apply {
    fn new(mode: Mode, network: Network, remotes: Remotes, timeout: Duration) -> Self {
        let config = SessionConfig {
            cluster_id: remotes.cluster_id,
            tables: Northbound::monitors(),
            ..SessionConfig::new("OVN_Northbound")
        };
        Apply {
            mode,
            network,
            link: Link::new(config, remotes.remotes, Order::Listed, Rng::with_seed(0)),
            replica: Northbound::default(),
            txn: None,
            timeout,
            deadline: None,
            outputs: VecDeque::new(),
        }
    }

    fn exit(&mut self, code: u8) {
        self.outputs.push_back(Output::Exit(code));
    }

    /// The replica is complete: shows the difference, or sends it.
    fn compare(&mut self) {
        let plan = match plan(&self.network, &self.replica) {
            Ok(plan) => plan,
            Err(conflicts) => {
                eprintln!("{conflicts}");
                return self.exit(2);
            }
        };
        let text = plan.to_string();
        if self.mode == Mode::Diff || plan.is_empty() {
            println!("{}", text.trim_end());
            let differs = self.mode == Mode::Diff && !plan.is_empty();
            return self.exit(u8::from(differs));
        }
        let mut txn = self.link.session().txn();
        plan.write(&mut txn);
        self.txn = Some((self.link.session_mut().transact(txn), text));
    }

    fn transacted(&mut self, outcome: Outcome) {
        let Some((_, text)) = self.txn.take() else { return };
        match outcome {
            Outcome::Committed(_) => {
                println!("{}", text.trim_end());
                self.exit(0);
            }
            // Somebody else was faster: what is left to do is to be seen anew.
            Outcome::Failed(error) if error.class() == ErrorClass::Conflict => self.compare(),
            Outcome::Failed(error) => {
                eprintln!("OVN_Northbound: {error}");
                self.exit(2);
            }
            // The next connection shows what became of it.
            Outcome::Lost | Outcome::NotSent => {}
        }
    }
}

impl Engine for Apply {
    fn handle(&mut self, now: Now, input: Input<'_>) {
        match input {
            Input::Up { .. } => self.link.handle_connected(now.at),
            Input::Bytes { bytes, .. } => self.link.handle_bytes(now.at, bytes, &mut self.replica),
            Input::Down { .. } => self.link.handle_disconnected(now.at),
            Input::Command { .. } => {}
            Input::Stop(_) => self.exit(2),
        }
    }

    fn step(&mut self, now: Now) {
        let deadline = *self.deadline.get_or_insert(now.at + self.timeout);
        self.link.handle_timeout(now.at);
        while let Some(event) = self.link.poll_event(now.at) {
            match event {
                Event::Synced { .. } if self.txn.is_none() => self.compare(),
                Event::Transacted { id, outcome } if self.txn.as_ref().is_some_and(|(txn, _)| *txn == id) => {
                    self.transacted(outcome);
                }
                _ => {}
            }
        }
        if now.at >= deadline && self.outputs.is_empty() {
            let remote = self.link.remote().map(ToString::to_string).unwrap_or_default();
            eprintln!("{remote}: no answer from the northbound database in {} s", self.timeout.as_secs());
            self.exit(2);
        }
    }

    fn poll_output(&mut self, now: Now) -> Option<Output> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        Some(match self.link.poll_action(now.at)? {
            Action::Connect(remote) => Output::Connect { link: DATABASE, remote },
            Action::Close => Output::Close { link: DATABASE },
        })
    }

    fn poll_transmit(&mut self, _: drive::Link) -> Option<Vec<u8>> {
        self.link.poll_transmit()
    }

    fn poll_timeout(&self) -> Option<Instant> {
        [self.link.poll_timeout(), self.deadline].into_iter().flatten().min()
    }
}
