//! `kiln northd`: options and commands of ovn-northd(8), and the daemon behind them.

use crate::{stats, stock_names};
use clap::Parser;
use kiln_northd::daemon::{Config, NorthdDaemon, Side};
use kiln_ovsdb::reconnect::Action;
use kiln_ovsdb::remote::Remotes;
use kiln_runtime::clock::Now;
use kiln_runtime::daemon::{ACTIVE_METHODS, CommonOptions, PASSIVE_METHODS, Program, Started, parse, start};
use kiln_runtime::dirs::{Dirs, Family};
use kiln_runtime::drive::{Engine, Input, Link, Output, Stop};
use kiln_runtime::memory::Usage;
use kiln_runtime::terminal;
use kiln_runtime::unixctl::{Command, CommandId};
use kiln_schema_ovn::sb::LogicalFlow;
use kiln_types::Instant;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::process::ExitCode;

const PROGRAM: Program = Program {
    name: "ovn-northd",
    family: Family::Ovn,
    version: stock_names::VERSION,
    details: "",
    modules: stock_names::NORTHD_MODULES,
};

/// OVN northbound compiler
#[derive(Parser)]
#[command(after_help = format!(
    "Active database connection methods:\n{ACTIVE_METHODS}\nPassive database connection methods:\n{PASSIVE_METHODS}"
))]
struct Options {
    /// Connect to OVN_Northbound database at DATABASE (default: {nb})
    #[arg(long = "ovnnb-db", short = 'D', value_name = "DATABASE")]
    ovnnb_db: Option<String>,
    /// Connect to OVN_Southbound database at DATABASE (default: {sb})
    #[arg(long = "ovnsb-db", short = 'd', value_name = "DATABASE")]
    ovnsb_db: Option<String>,
    /// Start in paused state (do not commit db changes)
    #[arg(long)]
    dry_run: bool,
    /// Specify number of threads
    #[arg(long, value_name = "N")]
    n_threads: Option<u32>,
    #[command(flatten)]
    common: CommonOptions,
}

/// The most threads that stock accepts.
const MAX_THREADS: u32 = 256;

pub(crate) fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let options: Options = match parse(&PROGRAM, args) {
        Ok(options) => options,
        Err((text, code)) => return terminal::answer(&text, code, 1).into(),
    };
    let dirs = Dirs::from_env();
    let remotes =
        |given: &Option<String>, default: String| given.clone().unwrap_or(default).parse::<Remotes>();
    let northbound = remotes(&options.ovnnb_db, dirs.default_nb_remote());
    let southbound = remotes(&options.ovnsb_db, dirs.default_sb_remote());
    let (northbound, southbound) = match (northbound, southbound) {
        (Ok(northbound), Ok(southbound)) => (northbound, southbound),
        (Err(error), _) | (_, Err(error)) => return fail(&error),
    };
    let config = Config { northbound, southbound, paused: options.dry_run, seed: fastrand::u64(..) };
    let threads = options.n_threads.unwrap_or(1).clamp(1, MAX_THREADS);
    match start(PROGRAM, dirs, options.common) {
        Ok(Started::Daemon(daemon)) => daemon.run(Shell::new(config, threads)),
        Ok(Started::Done(code)) => ExitCode::from(code),
        Err(error) => fail(&error),
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    terminal::complain(format_args!("{}: {error}\n", PROGRAM.name));
    ExitCode::FAILURE
}

const NORTHBOUND: Link = Link(0);
const SOUTHBOUND: Link = Link(1);

fn side(link: Link) -> Side {
    if link == NORTHBOUND { Side::Northbound } else { Side::Southbound }
}

struct Shell {
    daemon: NorthdDaemon,
    outputs: VecDeque<Output>,
    threads: u32,
}

impl Shell {
    fn new(config: Config, threads: u32) -> Self {
        let mut daemon = NorthdDaemon::new(config);
        daemon.compiler_mut().set_parallel(threads > 1);
        Shell { daemon, outputs: VecDeque::new(), threads }
    }

    fn command(&mut self, now: Instant, name: &str, args: &[String]) -> Result<String, String> {
        let daemon = &mut self.daemon;
        let connection =
            |side| if daemon.is_connected(side) { "connected" } else { "not connected" }.to_owned();
        match name {
            "pause" => daemon.pause(),
            "resume" => daemon.resume(),
            "is-paused" => return Ok(daemon.is_paused().to_string()),
            "status" => return Ok(format!("Status: {}\n", daemon.status())),
            "nb-connection-status" => return Ok(connection(Side::Northbound)),
            "sb-connection-status" => return Ok(connection(Side::Southbound)),
            "nb-cluster-state-reset" => daemon.reset_cluster(now, Side::Northbound),
            "sb-cluster-state-reset" => daemon.reset_cluster(now, Side::Southbound),
            "parallel-build/set-n-threads" => return self.set_threads(&args[0]),
            "parallel-build/get-n-threads" => return Ok(self.threads.to_string()),
            "debug/chassis-features-list" => return Ok(daemon.compiler().chassis_features()),
            "inc-engine/show-stats" => {
                return stats::show(stock_names::NORTHD_NODES, &daemon.compiler().stats(), args);
            }
            "inc-engine/clear-stats" => daemon.compiler_mut().clear_stats(),
            "inc-engine/recompute" => daemon.recompute(),
            // There is no computation so long that it would be worth a line of its own.
            "inc-engine/compute-log-timeout" => {
                args[0].parse::<u64>().map_err(|_| "unsigned integer required".to_owned())?;
            }
            _ => return Err(format!("\"{name}\" is not served")),
        }
        Ok(String::new())
    }

    fn set_threads(&mut self, text: &str) -> Result<String, String> {
        match text.parse::<u32>() {
            Ok(threads) if (1..=MAX_THREADS).contains(&threads) => {
                self.threads = threads;
                self.daemon.compiler_mut().set_parallel(threads > 1);
                Ok(String::new())
            }
            _ => Err(format!("invalid n_threads: {text}\n")),
        }
    }
}

impl Engine for Shell {
    fn handle(&mut self, now: Now, input: Input<'_>) {
        match input {
            Input::Up { link } => self.daemon.handle_connected(now.at, side(link)),
            Input::Bytes { link, bytes } => self.daemon.handle_bytes(now.at, side(link), bytes),
            Input::Down { link, .. } => self.daemon.handle_disconnected(now.at, side(link)),
            Input::Command { id, name, args } => {
                let reply = self.command(now.at, name, args);
                self.reply(id, reply);
            }
            Input::Stop(Stop::Signal(_) | Stop::Command) => self.outputs.push_back(Output::Exit(0)),
        }
    }

    fn step(&mut self, now: Now) {
        self.daemon.handle_timeout(now.at);
        self.daemon.advance(now.at, now.wall_ms);
    }

    fn poll_output(&mut self, now: Now) -> Option<Output> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        [NORTHBOUND, SOUTHBOUND].into_iter().find_map(|link| {
            Some(match self.daemon.poll_action(now.at, side(link))? {
                Action::Connect(remote) => Output::Connect { link, remote },
                Action::Close => Output::Close { link },
            })
        })
    }

    fn poll_transmit(&mut self, link: Link) -> Option<Vec<u8>> {
        self.daemon.poll_transmit(side(link))
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.daemon.poll_timeout()
    }

    fn counters(&self, visit: &mut dyn FnMut(&str, u64)) {
        let known = [("northd_run", self.daemon.compiler().full_settles())];
        stock_names::counters(stock_names::NORTHD_COUNTERS, &known, |own| self.daemon.counters(own), visit);
    }

    fn commands(&self) -> Vec<Command> {
        vec![
            Command::new("pause", "", 0, 0),
            Command::new("resume", "", 0, 0),
            Command::new("is-paused", "", 0, 0),
            Command::new("status", "", 0, 0),
            Command::new("nb-connection-status", "", 0, 0),
            Command::new("sb-connection-status", "", 0, 0),
            Command::new("nb-cluster-state-reset", "", 0, 0),
            Command::new("sb-cluster-state-reset", "", 0, 0),
            Command::new("parallel-build/set-n-threads", "N_THREADS", 1, 1),
            Command::new("parallel-build/get-n-threads", "", 0, 0),
            Command::new("debug/chassis-features-list", "", 0, 0),
            Command::new("inc-engine/show-stats", "[NODE [recompute|compute|cancel]]", 0, 2),
            Command::new("inc-engine/clear-stats", "", 0, 0),
            Command::new("inc-engine/recompute", "", 0, 0),
            Command::new("inc-engine/compute-log-timeout", "MSECS", 1, 1),
        ]
    }

    fn memory_usage(&self, usage: &mut Usage) {
        let db = self.daemon.compiler().db();
        usage.add("idl-cells-OVN_Northbound", db.nb.cells() as u64);
        // Rows of Logical_Flow are kept elsewhere, by what they say.
        let flow_cells = db.flows.standing_len() * LogicalFlow::DECL.columns.len();
        usage.add("idl-cells-OVN_Southbound", (db.sb.cells() + flow_cells) as u64);
        usage.add("northd-flows", db.flows.len() as u64);
        usage.add("northd-cells", self.daemon.compiler().cells() as u64);
    }
}

impl Shell {
    fn reply(&mut self, id: CommandId, reply: Result<String, String>) {
        self.outputs.push_back(Output::Reply { id, reply });
    }
}
