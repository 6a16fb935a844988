//! `kiln sandbox`.

use crate::peers::Component;
use crate::probe::Table;
use crate::progress::Progress;
use crate::sandbox::{Sandbox, down, up};
use crate::settings::{PerChassis, Settings};
use crate::{Error, wait};
use clap::{Args, Parser, Subcommand};
use kiln_runtime::terminal;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// Runs a network file in network namespaces, with real switches, and probes it.
#[derive(Debug, Parser)]
#[command(name = "kiln sandbox", bin_name = "kiln sandbox", version)]
struct Line {
    #[command(subcommand)]
    word: Word,
}

#[derive(Debug, Subcommand)]
enum Word {
    /// Build the sandbox of a file, run its probes, and take it down again
    Up {
        /// The network file, YAML or TOML
        file: PathBuf,
        /// Leave it standing
        #[arg(long)]
        keep: bool,
        #[command(flatten)]
        parts: Parts,
        #[command(flatten)]
        place: Place,
    },
    /// Remove every trace of a sandbox that stands, or that crashed
    Down {
        #[command(flatten)]
        place: Place,
    },
}

/// Whose program plays which part: `kiln`, `stock` (the release that Kiln is compatible with) or `old-stock` (this
/// machine's packages).
#[derive(Debug, Args)]
struct Parts {
    /// Every part from one release
    #[arg(long, value_name = "RELEASE")]
    all: Option<Component>,
    /// Whose northd
    #[arg(long, value_name = "WHOSE")]
    northd: Option<Component>,
    /// Whose controllers; with a chassis, that one's
    #[arg(long, value_name = "[CHASSIS=]WHOSE")]
    controller: Vec<String>,
    /// Whose switches, with their databases; with a chassis, that one's
    #[arg(long, value_name = "[CHASSIS=]WHOSE")]
    switch: Vec<String>,
    /// Whose database server for the northbound and southbound databases
    #[arg(long, value_name = "WHOSE")]
    database: Option<Component>,
    /// Whose schemas for these databases
    #[arg(long, value_name = "WHOSE")]
    schema: Option<Component>,
    /// The kiln binary; else the environment's KILN, or this one
    #[arg(long, value_name = "PATH")]
    kiln: Option<PathBuf>,
}

#[derive(Debug, Args)]
struct Place {
    /// What the sandbox is called: its namespaces' names start with it
    #[arg(long, default_value = "kiln")]
    name: String,
    /// The folder to make the sandbox's own folder in
    #[arg(long, value_name = "FOLDER")]
    state: Option<PathBuf>,
}

/// Does what a command line says, the program's name first. The exit code is 0 if every probe holds, 1 if one does
/// not, 2 if the sandbox could not be built or the command line is wrong.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let line = match Line::try_parse_from(args) {
        Ok(line) => line,
        Err(error) => {
            return terminal::answer(&error.render().to_string(), error.exit_code() as u8, 2).into();
        }
    };
    let done = match line.word {
        Word::Up { file, keep, parts, place } => run_up(&file, keep, &parts, &place),
        Word::Down { place } => run_down(&place),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            terminal::complain(format_args!("{error}\n"));
            ExitCode::from(2)
        }
    }
}

fn run_up(file: &std::path::Path, keep: bool, parts: &Parts, place: &Place) -> Result<bool, Error> {
    let settings = settings(parts, place)?;
    let bytes = std::fs::read(file)
        .map_err(|source| Error::Io { what: format!("reading {}", file.display()), source })?;
    let network = kiln_topology::parse_bytes(&file.to_string_lossy(), &bytes)?;
    wait::catch_interrupts();
    let mut sandbox = up(&network, settings, &Progress::shown())?;
    if keep {
        sandbox.keep()?;
    }
    let rows = sandbox.probe()?;
    let table = Table(&rows);
    let shown = terminal::print(format_args!("\n{table}\n"));
    if keep {
        terminal::print(format_args!("{}\n", directions(&sandbox))).map_err(not_shown)?;
    } else {
        sandbox.down()?;
    }
    shown.map_err(not_shown)?;
    Ok(table.holds())
}

fn run_down(place: &Place) -> Result<bool, Error> {
    let mut settings = Settings::default();
    apply_place(&mut settings, place);
    let name = &settings.name;
    let was_there = down(&settings)?;
    let what = if was_there { "removed the sandbox" } else { "there is no sandbox" };
    terminal::print(format_args!("{what} `{name}`\n")).map_err(not_shown)?;
    Ok(true)
}

fn not_shown(source: std::io::Error) -> Error {
    Error::Io { what: "printing to the standard output".to_owned(), source }
}

fn apply_place(settings: &mut Settings, place: &Place) {
    settings.name.clone_from(&place.name);
    if let Some(parent) = &place.state {
        settings.parent.clone_from(parent);
    }
}

fn settings(parts: &Parts, place: &Place) -> Result<Settings, Error> {
    let mut settings = match parts.all {
        Some(component @ (Component::Stock | Component::OldStock)) => Settings::stock(component),
        Some(Component::Kiln) | None => Settings::default(),
    };
    apply_place(&mut settings, place);
    settings.northd = parts.northd.unwrap_or(settings.northd);
    settings.database = parts.database.unwrap_or(settings.database);
    settings.schema = parts.schema.unwrap_or(settings.schema);
    choose(&mut settings.controller, &parts.controller)?;
    choose(&mut settings.switch, &parts.switch)?;
    if parts.kiln.is_some() {
        settings.peers.kiln.clone_from(&parts.kiln);
    }
    Ok(settings)
}

fn choose(choice: &mut PerChassis, words: &[String]) -> Result<(), Error> {
    for word in words {
        let (chassis, component) = match word.split_once('=') {
            Some((chassis, component)) => (Some(chassis), component),
            None => (None, word.as_str()),
        };
        let component = component.parse().map_err(Error::Usage)?;
        match chassis {
            Some(chassis) => drop(choice.exceptions.insert(chassis.to_owned(), component)),
            None => choice.default = component,
        }
    }
    Ok(())
}

/// How a person looks around in a sandbox that stands.
fn directions(sandbox: &Sandbox) -> String {
    let folder = sandbox.folder().display();
    let mut text = String::from("\nIt stands. To look around:\n");
    let mut add = |what: String, how: String| text.push_str(&format!("  {what:<24} {how}\n"));
    for host in sandbox.hosts() {
        add(format!("enter host {}", host.name()), format!("ip netns exec {} bash", host.namespace().name()));
    }
    for (name, namespace) in sandbox.chassis_namespaces() {
        let control = format!("OVS_RUNDIR={folder}/{name}");
        add(format!("flows of chassis {name}"), format!("{control} ovs-ofctl dump-flows br-int"));
        add(format!("enter chassis {name}"), format!("ip netns exec {namespace} bash"));
    }
    add("northbound database".into(), format!("ovn-nbctl --db=unix:{folder}/nb.sock show"));
    add("southbound database".into(), format!("ovn-sbctl --db=unix:{folder}/sb.sock show"));
    add("logs".into(), format!("ls {folder}/*.log {folder}/*/*.log"));
    let name = &sandbox.settings().name;
    let suffix = if name == "kiln" { String::new() } else { format!(" --name {name}") };
    add("take it down".into(), format!("./sandbox down{suffix}"));
    text
}
