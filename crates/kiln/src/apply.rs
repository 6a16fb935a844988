//! `kiln apply FILE` and `kiln diff FILE`: a network file and the northbound database.

use clap::Parser;
use kiln_ovsdb::client::{Event, Link, Outcome, SessionConfig, TxnId};
use kiln_ovsdb::reconnect::{Action, Order};
use kiln_ovsdb::remote::Remotes;
use kiln_ovsdb::txn::ErrorClass;
use kiln_runtime::clock::Now;
use kiln_runtime::daemon::{CommonOptions, ControlOptions, Daemon, Program, parse_tool};
use kiln_runtime::dirs::{Dirs, Family};
use kiln_runtime::drive::{self, Engine, Input, Output};
use kiln_runtime::terminal;
use kiln_runtime::tls::TlsOptions;
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
    /// The OVN_Northbound database (default: {nb})
    #[arg(long, value_name = "DATABASE")]
    db: Option<String>,
    /// Give up after so many seconds
    #[arg(long, short = 't', value_name = "SECS", default_value_t = 30)]
    timeout: u64,
    #[command(flatten)]
    tls: TlsOptions,
}

/// Exit codes: 0 when done, or nothing differs; 1 when `diff` found differences; 2 for mistakes and failures. A change that
/// was made is done, whether or not it could be told of.
pub(crate) fn main(mode: Mode, args: impl Iterator<Item = OsString>) -> ExitCode {
    let program = if mode == Mode::Apply { APPLY } else { DIFF };
    let mut options: Options = match parse_tool(&program, args) {
        Ok(options) => options,
        Err((text, code)) => return terminal::answer(&text, if code == 0 { 0 } else { 2 }, 2).into(),
    };
    let fail = |error: &dyn std::fmt::Display| {
        terminal::complain(format_args!("{error}\n"));
        ExitCode::from(2)
    };
    let dirs = Dirs::from_env();
    let remotes = match options.db.take().unwrap_or_else(|| dirs.default_nb_remote()).parse::<Remotes>() {
        Ok(remotes) => remotes,
        Err(error) => return fail(&error),
    };
    let bytes = match std::fs::read(&options.file) {
        Ok(bytes) => bytes,
        Err(error) => return fail(&format_args!("{}: {error}", options.file.display())),
    };
    let network = match kiln_topology::parse_bytes(&options.file.to_string_lossy(), &bytes) {
        Ok(network) => network,
        Err(problems) => return fail(&problems),
    };
    let control = ControlOptions { unixctl: Some("none".into()), options: false };
    let common = CommonOptions { control, tls: options.tls, ..CommonOptions::default() };
    let engine = Apply::new(mode, network, remotes, Duration::from_secs(options.timeout));
    Daemon::in_process(program, dirs, common).run(engine)
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
    /// Why there was no answer the last time.
    cause: Option<String>,
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
            cause: None,
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
                terminal::complain(format_args!("{conflicts}\n"));
                return self.exit(2);
            }
        };
        let text = plan.to_string();
        if self.mode == Mode::Diff || plan.is_empty() {
            let differs = self.mode == Mode::Diff && !plan.is_empty();
            let shown = show(&text);
            return self.exit(if shown || self.mode == Mode::Apply { u8::from(differs) } else { 2 });
        }
        let mut txn = self.link.session().txn();
        plan.write(&mut txn);
        self.txn = Some((self.link.session_mut().transact(txn), text));
    }

    fn transacted(&mut self, outcome: Outcome) {
        let Some((_, text)) = self.txn.take() else { return };
        match outcome {
            Outcome::Committed(_) => {
                // The database says what the file says, whether or not anybody reads of it.
                show(&text);
                self.exit(0);
            }
            // Somebody else was faster: what is left to do is to be seen anew.
            Outcome::Failed(error) if error.class() == ErrorClass::Conflict => self.compare(),
            Outcome::Failed(error) => {
                terminal::complain(format_args!("OVN_Northbound: {error}\n"));
                self.exit(2);
            }
            // The next connection shows what became of it.
            Outcome::Lost | Outcome::NotSent => {}
        }
    }
}

/// Prints the difference; whether that worked.
fn show(text: &str) -> bool {
    let printed = terminal::print(format_args!("{}\n", text.trim_end()));
    if let Err(error) = &printed {
        terminal::not_printed(error);
    }
    printed.is_ok()
}

impl Engine for Apply {
    fn handle(&mut self, now: Now, input: Input<'_>) {
        match input {
            Input::Up { .. } => {
                self.cause = None;
                self.link.handle_connected(now.at);
            }
            Input::Bytes { bytes, .. } => self.link.handle_bytes(now.at, bytes, &mut self.replica),
            Input::Down { reason, .. } => {
                self.cause = Some(reason.to_owned());
                self.link.handle_disconnected(now.at);
            }
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
                Event::Close(reason) => self.cause = Some(reason.to_string()),
                _ => {}
            }
        }
        if now.at >= deadline && self.outputs.is_empty() {
            let remote = self.link.remote().map(ToString::to_string).unwrap_or_default();
            let cause = self.cause.as_ref().map(|cause| format!(": {cause}")).unwrap_or_default();
            let seconds = self.timeout.as_secs();
            terminal::complain(format_args!(
                "{remote}: no answer from the northbound database in {seconds} s{cause}\n"
            ));
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
