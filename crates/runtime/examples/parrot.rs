//! A small daemon on the runtime: it keeps one connection, says what it is told to, and remembers what it hears.
//!
//! ```text
//! parrot --to=unix:/run/openvswitch/db.sock --say='{"method":"list_dbs","params":[],"id":0}' --detach --pidfile
//! ovn-appctl -t parrot heard
//! ```

use std::process::ExitCode;

use clap::Parser;
use kiln_ovsdb::reconnect::{Action, End, Order, Reconnect};
use kiln_ovsdb::remote::Remotes;
use kiln_runtime::clock::Now;
use kiln_runtime::daemon::{self, CommonOptions, Program, Started};
use kiln_runtime::dirs::{Dirs, Family};
use kiln_runtime::drive::{Engine, Input, Link, Output};
use kiln_runtime::memory::Usage;
use kiln_runtime::terminal;
use kiln_runtime::tls::{CaCert, TlsSettings};
use kiln_runtime::unixctl::{Command, CommandId};
use kiln_types::{Instant, Rng};
use tracing::{debug, info, warn};

const PROGRAM: Program = Program {
    name: "parrot",
    family: Family::Ovn,
    version: "26.03.0\nKiln Library 0.1.0",
    details: "",
    modules: "reconnect",
};

/// A daemon that says what it is told to
#[derive(Parser)]
struct Options {
    /// Remotes to keep a connection to
    #[arg(long, default_value = "")]
    to: Remotes,
    /// What to say first on each connection
    #[arg(long, default_value = "")]
    say: String,
    #[command(flatten)]
    common: CommonOptions,
}

/// The only link.
const LINK: Link = Link(0);

struct Parrot {
    reconnect: Reconnect,
    greeting: String,
    heard: String,
    to_say: Vec<String>,
    connections: u64,
    outputs: Vec<Output>,
    /// Who waits for how much to be heard.
    waiting: Vec<(CommandId, usize)>,
}

impl Parrot {
    fn command(&mut self, id: CommandId, name: &str, args: &[String]) {
        let reply = match (name, args) {
            ("heard", _) => Ok(self.heard.clone()),
            ("say", [text]) => {
                self.to_say.push(text.clone());
                Ok(String::new())
            }
            ("wait-heard", [bytes]) => match bytes.parse() {
                Ok(bytes) => {
                    self.waiting.push((id, bytes));
                    return;
                }
                Err(_) => Err(format!("expected a number of bytes, got \"{bytes}\"")),
            },
            ("connection-status", _) => {
                Ok(if self.reconnect.is_connected() { "connected" } else { "not connected" }.to_owned())
            }
            ("tls", [key, certificate, authority]) => {
                let settings = TlsSettings {
                    private_key: Some(key.into()),
                    certificate: Some(certificate.into()),
                    ca_cert: CaCert::File(authority.into()),
                    ..TlsSettings::default()
                };
                self.outputs.push(Output::SetTls(Box::new(settings)));
                Ok(String::new())
            }
            ("panic", _) => panic!("as you wish"),
            _ => Err("what?".to_owned()),
        };
        self.outputs.push(Output::Reply { id, reply });
    }
}

impl Engine for Parrot {
    fn handle(&mut self, now: Now, input: Input<'_>) {
        match input {
            Input::Up { .. } => {
                info!(target: "reconnect", "connected");
                self.reconnect.handle_connected(now.at);
                self.connections += 1;
                self.to_say.insert(0, self.greeting.clone());
            }
            Input::Bytes { bytes, .. } => {
                debug!("heard {} bytes", bytes.len());
                self.reconnect.handle_established();
                self.heard.push_str(&String::from_utf8_lossy(bytes));
            }
            Input::Down { reason, .. } => {
                warn!(target: "reconnect", rl = 10, "connection failed or lost: {reason}");
                self.reconnect.handle_disconnected(now.at, End::Failed);
            }
            Input::Command { id, name, args } => self.command(id, name, args),
            Input::Stop(_) => self.outputs.push(Output::Exit(0)),
        }
    }

    fn step(&mut self, _: Now) {
        let heard = self.heard.len();
        for (id, bytes) in std::mem::take(&mut self.waiting) {
            if heard >= bytes {
                self.outputs.push(Output::Reply { id, reply: Ok(heard.to_string()) });
            } else {
                self.waiting.push((id, bytes));
            }
        }
    }

    fn poll_output(&mut self, now: Now) -> Option<Output> {
        match self.reconnect.poll_action(now.at) {
            Some(Action::Connect(remote)) => Some(Output::Connect { link: LINK, remote }),
            Some(Action::Close) => Some(Output::Close { link: LINK }),
            None => self.outputs.pop(),
        }
    }

    fn poll_transmit(&mut self, _: Link) -> Option<Vec<u8>> {
        if self.to_say.is_empty() { None } else { Some(self.to_say.remove(0).into_bytes()) }
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.reconnect.poll_timeout()
    }

    fn commands(&self) -> Vec<Command> {
        vec![
            Command::new("heard", "", 0, 0),
            Command::new("say", "TEXT", 1, 1),
            Command::new("wait-heard", "BYTES", 1, 1),
            Command::new("connection-status", "", 0, 0),
            Command::new("tls", "KEY CERTIFICATE CA", 3, 3),
            Command::new("panic", "", 0, 0),
        ]
    }

    fn memory_usage(&self, usage: &mut Usage) {
        usage.add("bytes-heard", self.heard.len() as u64);
    }

    fn counters(&self, visit: &mut dyn FnMut(&str, u64)) {
        visit("parrot_connection", self.connections);
        visit("parrot_never", 0);
    }
}

fn main() -> ExitCode {
    let options: Options = match daemon::parse(&PROGRAM, std::env::args_os().skip(1)) {
        Ok(options) => options,
        Err((text, code)) => return terminal::answer(&text, code, 1).into(),
    };
    let daemon = match daemon::start(PROGRAM, Dirs::from_env(), options.common) {
        Ok(Started::Daemon(daemon)) => daemon,
        Ok(Started::Done(code)) => return ExitCode::from(code),
        Err(error) => {
            terminal::complain(format_args!("{}: {error}\n", PROGRAM.name));
            return ExitCode::FAILURE;
        }
    };
    let parrot = Parrot {
        reconnect: Reconnect::new(options.to.remotes, Order::Listed, Rng::with_seed(0)),
        greeting: options.say,
        heard: String::new(),
        to_say: Vec::new(),
        connections: 0,
        outputs: Vec::new(),
        waiting: Vec::new(),
    };
    daemon.run(parrot)
}
