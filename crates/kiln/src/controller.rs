//! `kiln controller`: options and commands of ovn-controller(8), and the daemon behind them.

use clap::Parser;
use kiln_controller::daemon::{COMMANDS, Config, ControllerDaemon, Side};
use kiln_ovsdb::reconnect::Action;
use kiln_ovsdb::remote::Remotes;
use kiln_runtime::clock::Now;
use kiln_runtime::daemon::{ACTIVE_METHODS, CommonOptions, Program, Started, parse, start};
use kiln_runtime::dirs::{Dirs, Family};
use kiln_runtime::drive::{Engine, Input, Link, Output, Stop};
use kiln_runtime::memory::Usage;
use kiln_runtime::terminal;
use kiln_runtime::tls::{CaCert, TlsSettings};
use kiln_runtime::unixctl::{Command, CommandId};
use kiln_schema_vswitch::Ssl;
use kiln_types::Instant;
use std::collections::VecDeque;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::{stats, stock_names};

const PROGRAM: Program = Program {
    name: "ovn-controller",
    family: Family::Ovn,
    version: stock_names::VERSION,
    details: "OpenFlow versions 0x6:0x6\nSB DB Schema 21.8.0",
    modules: stock_names::CONTROLLER_MODULES,
};

/// OVN controller
#[derive(Parser)]
#[command(after_help = format!("Active OVS_DATABASE connection methods:\n{ACTIVE_METHODS}"))]
struct Options {
    /// The local Open_vSwitch database (default: {vswitch})
    ovs_database: Option<String>,
    /// Custom chassis name
    #[arg(long, short = 'n', value_name = "NAME")]
    chassis: Option<String>,
    /// Accepted for compatibility; there is no plug provider for tests
    #[arg(long, hide = true)]
    enable_dummy_vif_plug: bool,
    #[command(flatten)]
    common: CommonOptions,
}

pub(crate) fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let options: Options = match parse(&PROGRAM, args) {
        Ok(options) => options,
        Err((text, code)) => return terminal::answer(&text, code, 1).into(),
    };
    let dirs = Dirs::from_env();
    let local = options.ovs_database.clone().unwrap_or_else(|| dirs.default_vswitch_remote());
    let local = match local.parse::<Remotes>() {
        Ok(local) => local,
        Err(error) => return fail(&error),
    };
    let read = |path: &std::path::Path| {
        let text = std::fs::read_to_string(path).ok()?;
        let line = text.lines().next().unwrap_or_default().trim().to_owned();
        (!line.is_empty()).then_some(line)
    };
    let named = options.chassis.clone().or_else(|| read(&dirs.ovn_sysconf.join("system-id-override")));
    let config = Config {
        local,
        switch_run_dir: dirs.ovs_run.display().to_string(),
        chassis_name: named.map(Into::into),
        hostname: read("/proc/sys/kernel/hostname".as_ref()).unwrap_or_default().into(),
        seed: fastrand::u64(..),
    };
    let tls = options.common.tls.settings();
    match start(PROGRAM, dirs, options.common) {
        Ok(Started::Daemon(daemon)) => daemon.run(Shell::new(config, tls)),
        Ok(Started::Done(code)) => ExitCode::from(code),
        Err(error) => fail(&error),
    }
}

fn fail(error: &dyn std::error::Error) -> ExitCode {
    terminal::complain(format_args!("{}: {error}\n", PROGRAM.name));
    ExitCode::FAILURE
}

fn side(link: Link) -> Side {
    Side::ALL[link.0 as usize]
}

fn links() -> impl Iterator<Item = (Link, Side)> {
    (0..).map(Link).zip(Side::ALL)
}

struct Shell {
    daemon: ControllerDaemon,
    outputs: VecDeque<Output>,
    /// The command that is answered once the end has come.
    exiting: Option<CommandId>,
    stopping: bool,
    /// What the command line says of TLS.
    options: TlsSettings,
    /// The row of table SSL in force, which wins over the command line.
    ssl: Option<Ssl>,
}

impl Shell {
    fn new(config: Config, options: TlsSettings) -> Self {
        Shell {
            daemon: ControllerDaemon::new(config),
            outputs: VecDeque::new(),
            exiting: None,
            stopping: false,
            options,
            ssl: None,
        }
    }

    /// Follows table SSL of the switch's database.
    fn follow_ssl(&mut self) {
        let row = self.daemon.compiler().tls();
        if self.ssl.as_ref() == row {
            return;
        }
        self.ssl = row.cloned();
        let mut settings = self.options.clone();
        if let Some(row) = &self.ssl {
            settings.private_key = Some(PathBuf::from(&*row.private_key));
            settings.certificate = Some(PathBuf::from(&*row.certificate));
            let ca_cert = PathBuf::from(&*row.ca_cert);
            settings.ca_cert =
                if row.bootstrap_ca_cert { CaCert::Bootstrap(ca_cert) } else { CaCert::File(ca_cert) };
        }
        self.outputs.push_back(Output::SetTls(Box::new(settings)));
    }

    fn command(&mut self, now: Instant, id: CommandId, name: &str, args: &[String]) {
        let reply = match name {
            "exit" => {
                self.exiting = Some(id);
                self.stopping = true;
                self.daemon.begin_exit(args.first().is_some_and(|arg| arg == "--restart"));
                return;
            }
            "inc-engine/show-stats" => {
                stats::show(stock_names::CONTROLLER_NODES, &self.daemon.compiler().stats(), args)
            }
            // There is no computation so long that it would be worth a line of its own.
            "inc-engine/compute-log-timeout" => {
                let number = args[0].parse::<u64>();
                number.map(|_| String::new()).map_err(|_| "unsigned integer required".to_owned())
            }
            _ => self.daemon.command(now, name, args),
        };
        self.outputs.push_back(Output::Reply { id, reply });
    }
}

impl Engine for Shell {
    fn handle(&mut self, now: Now, input: Input<'_>) {
        match input {
            Input::Up { link } => self.daemon.handle_connected(now.at, side(link)),
            Input::Bytes { link, bytes } => self.daemon.handle_bytes(now.at, side(link), bytes),
            Input::Down { link, .. } => self.daemon.handle_disconnected(now.at, side(link)),
            Input::Command { id, name, args } => self.command(now.at, id, name, args),
            Input::Stop(Stop::Signal(_) | Stop::Command) => {
                self.stopping = true;
                // A signal comes from a service manager that starts the next one: what is installed stays, as with stock.
                self.daemon.begin_exit(true);
            }
        }
    }

    fn step(&mut self, now: Now) {
        self.daemon.handle_timeout(now.at);
        self.daemon.advance(now.at, now.wall_ms);
        self.follow_ssl();
        if std::mem::take(&mut self.stopping) && !self.daemon.is_finished() {
            self.stopping = true;
        } else if self.daemon.is_finished()
            && self.outputs.iter().all(|output| !matches!(output, Output::Exit(_)))
        {
            if let Some(id) = self.exiting.take() {
                self.outputs.push_back(Output::Reply { id, reply: Ok(String::new()) });
            }
            self.outputs.push_back(Output::Exit(0));
        }
    }

    fn poll_output(&mut self, now: Now) -> Option<Output> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        links().find_map(|(link, side)| {
            Some(match self.daemon.poll_action(now.at, side)? {
                Action::Connect(remote) => Output::Connect { link, remote },
                Action::Close => Output::Close { link },
            })
        })
    }

    fn poll_transmit(&mut self, link: Link) -> Option<Vec<u8>> {
        self.daemon.poll_transmit(side(link))
    }

    /// A switch that has handed up a batch of packets waits for the first answer, and takes longer for each than this program.
    fn is_awaited(&self, link: Link) -> bool {
        side(link) == Side::Packets
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.daemon.poll_timeout()
    }

    fn counters(&self, visit: &mut dyn FnMut(&str, u64)) {
        let compiler = self.daemon.compiler();
        let full = compiler.full_settles();
        let lowered = compiler
            .stats()
            .iter()
            .find(|rule| rule.name == "logical_flow")
            .map_or(0, |rule| rule.ran_ever());
        let known = [("lflow_run", full), ("physical_run", full), ("consider_logical_flow", lowered)];
        stock_names::counters(
            stock_names::CONTROLLER_COUNTERS,
            &known,
            |own| self.daemon.counters(own),
            visit,
        );
    }

    fn commands(&self) -> Vec<Command> {
        let own = COMMANDS.iter().map(|c| Command::new(c.name, c.usage, c.min_args, c.max_args));
        own.chain([
            Command::new("exit", "[--restart]", 0, 1),
            Command::new("inc-engine/show-stats", "[NODE [recompute|compute|cancel]]", 0, 2),
            Command::new("inc-engine/compute-log-timeout", "MSECS", 1, 1),
        ])
        .collect()
    }

    fn memory_usage(&self, usage: &mut Usage) {
        let compiler = self.daemon.compiler();
        usage.add("idl-cells-OVN_Southbound", compiler.db().sb.cells() as u64);
        usage.add("idl-cells-Open_vSwitch", compiler.db().vs.cells() as u64);
        usage.add("ofctrl-desired-flows", compiler.desired().flows.len() as u64);
        usage.add("controller-cells", compiler.cells() as u64);
    }
}
