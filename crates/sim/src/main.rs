//! Runs the whole system on virtual time, with faults, from a seed: `cargo run --release -p kiln-sim -- --seed 7`.
#![forbid(unsafe_code)]

use clap::Parser;
use kiln_sim::scenario::Scenario;
use kiln_sim::site::Size;
use kiln_sim::{Link, Links};
use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

/// The whole system on virtual time
#[derive(Parser)]
#[command(name = "kiln-sim")]
struct Options {
    /// What is chosen by chance follows from it
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds to run, from that one on
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Chassis
    #[arg(long, default_value_t = 5)]
    chassis: usize,
    /// Routers, each with a network of its own
    #[arg(long, default_value_t = 5)]
    routers: usize,
    /// Segments, over which the routers are spread
    #[arg(long, default_value_t = 1)]
    segments: usize,
    /// Hosts in each router's network
    #[arg(long, default_value_t = 2)]
    lan_hosts: usize,
    /// Neighbours on the first segment
    #[arg(long, default_value_t = 20)]
    neighbors: usize,
    /// With how many routers' networks each neighbour talks
    #[arg(long, default_value_t = 2)]
    acquaintances: usize,
    /// An option of NB_Global, as KEY=VALUE; may be given more than once
    #[arg(long = "option", value_name = "KEY=VALUE", value_parser = option)]
    options: Vec<(String, String)>,
    /// Seconds of traffic
    #[arg(long, default_value_t = 60)]
    traffic: u64,
    /// Seconds from one packet of a host to the next
    #[arg(long, default_value_t = 2)]
    talk_every: u64,
    /// Seconds from one fault to the next on average; 0 for none
    #[arg(long, default_value_t = 3)]
    fault_every: u64,
    /// Frames of a thousand that are lost between chassis, and to and from hosts, while there is traffic
    #[arg(long, default_value_t = 20)]
    loss_per_mille: u32,
    /// The longest time that a frame takes between chassis while there is traffic, in milliseconds
    #[arg(long, default_value_t = 20)]
    delay_ms: u64,
}

fn option(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("expected KEY=VALUE")?;
    Ok((key.to_owned(), value.to_owned()))
}

impl Options {
    fn scenario(&self, seed: u64) -> Scenario {
        let links = Links::default();
        let link = |delay_us| Link { delay_us, loss_per_mille: self.loss_per_mille };
        Scenario {
            seed,
            size: Size {
                chassis: self.chassis,
                routers: self.routers,
                segments: self.segments,
                lan_hosts: self.lan_hosts,
                neighbors: self.neighbors,
            },
            options: self.options.clone(),
            acquaintances: self.acquaintances,
            traffic: Duration::from_secs(self.traffic),
            talk_every: Duration::from_secs(self.talk_every.max(1)),
            fault_every: (self.fault_every > 0).then(|| Duration::from_secs(self.fault_every)),
            links: Links {
                underlay: link(50..=self.delay_ms.max(1) * 1000),
                edge: link(links.edge.delay_us.clone()),
                ..links
            },
        }
    }
}

fn main() -> ExitCode {
    let options = Options::parse();
    let mut failed = 0;
    for seed in options.seed..options.seed + options.seeds {
        let report = options.scenario(seed).run();
        // Whoever stopped reading may still want to know by the exit code.
        let _ = writeln!(std::io::stdout(), "{report}");
        failed += usize::from(!report.violations.is_empty());
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
