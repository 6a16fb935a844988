//! `kiln controller` beside `ovn-controller` on the slow path: the same network under the same northd on the same switch, in
//! network namespaces, first with one and then with the other. What is counted is what hosts see and what the controller
//! spent on it.

mod load;
mod report;

use crate::Result;
use kiln_sandbox::{Component, Host, Peers, PerChassis, Progress, Sandbox, Settings, up};
use load::{Flood, Kind};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// How many next hops are resolved one after the other, and as many errors waited for
    #[arg(long, default_value_t = 300, value_parser = clap::value_parser!(u16).range(10..=2000))]
    samples: u16,
    /// How often the controllers take turns
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=10))]
    rounds: u8,
    /// How long each rate is measured in a turn, in seconds
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u64).range(1..=60))]
    seconds: u64,
    /// The kiln binary, also named by KILN; without it, the workspace's is built in release mode
    #[arg(long)]
    kiln: Option<PathBuf>,
}

/// A router between hosts that send and hosts whose addresses nobody tells it. Budgets are lifted: what is measured is what
/// the controller can do, not what it may.
const NETWORK: &str = r"
switches:
  near: { ports: { client: [10.1.0.10], flood: [10.1.0.20] } }
  far: { ports: { server: unknown } }
routers:
  gate:
    ports:
      gate-near: { switch: near, networks: 10.1.0.1/16 }
      gate-far: { switch: far, networks: 10.2.0.1/16 }
sandbox:
  chassis: { c1: { external_ids: BUDGETS } }
  hosts:
    client: c1
    flood: c1
    server: { chassis: c1, ip: 10.2.0.2/16 }
";

/// The classes and levels of budgets.
const CLASSES: [&str; 6] = ["query", "neighbor", "error", "unreachable", "reset", "rest"];
const LEVELS: [&str; 4] = ["chassis", "router", "port", "source"];

/// A moment's use of something by someone who waits: the times of all samples, in order.
pub(crate) type Samples = Vec<Duration>;

/// Answers a second, and what each cost the controller.
#[derive(Clone, Copy)]
pub(crate) struct Rate {
    pub(crate) per_second: f64,
    pub(crate) cpu: Duration,
}

/// Times of one who asks modestly.
pub(crate) struct Times {
    pub(crate) resolution: Samples,
    pub(crate) error: Samples,
    /// Of a ping and its answer, which the switch forwards by itself: what no controller can be quicker than.
    pub(crate) ping: Samples,
}

/// What came of one controller with budgets lifted.
#[derive(Default)]
pub(crate) struct Unbounded {
    /// From a first packet to its delivery through an unresolved neighbour.
    pub(crate) resolution: Samples,
    /// What all of them cost the controller.
    pub(crate) resolution_spent: Duration,
    /// Of each round.
    pub(crate) errors: Vec<Rate>,
    pub(crate) resets: Vec<Rate>,
}

/// What came of it with the usual budgets.
pub(crate) struct Bounded {
    pub(crate) alone: Times,
    /// Beside a port that floods.
    pub(crate) beside: Times,
    /// What the flood sent, in packets a second.
    pub(crate) flood: f64,
}

/// Runs it; whether Kiln reached what it is to reach.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let peers = crate::binary::peers(options.kiln.clone())?;
    say!("stock: {}", peers.version(Component::Stock, "ovn-controller")?);
    say!("kiln:  {}", peers.version(Component::Kiln, "ovn-controller")?);
    say!("both:  {}", peers.version(Component::Stock, "ovs-vswitchd")?);
    let bed = |whose, lifted| {
        note!("{whose} controller, budgets {} ...", if lifted { "lifted" } else { "as usual" });
        Bed::build(&peers, whose, lifted)
    };
    let unbounded = unbounded(|whose| bed(whose, true), options)?;
    let stock = bed(Component::Stock, false)?.measure_bounded(options)?;
    let kiln = bed(Component::Kiln, false)?.measure_bounded(options)?;
    let met = report::unbounded(&unbounded);
    Ok(report::fairness(&stock, &kiln) && met)
}

/// A sandbox of the network under one controller, and the next address that nobody has asked for.
struct Bed {
    sandbox: Sandbox,
    pid: u32,
    next: u16,
}

impl Bed {
    fn build(peers: &Peers, whose: Component, lifted: bool) -> Result<Bed> {
        let settings = Settings {
            name: format!("kiln-bench-l3-{whose}"),
            peers: peers.clone(),
            controller: PerChassis::all(whose),
            ..Settings::stock(Component::Stock)
        };
        let all =
            CLASSES.iter().flat_map(|class| LEVELS.map(|level| format!("ovn-budget-{class}-{level}: none")));
        let budgets = if lifted { all.collect::<Vec<_>>().join(", ") } else { String::new() };
        let text = NETWORK.replace("BUDGETS", &format!("{{ {budgets} }}"));
        let network = kiln_topology::parse("bench.yaml", &text).map_err(|wrong| wrong.to_string())?;
        let mut sandbox = up(&network, settings, &Progress::quiet())?;
        // The server is whoever is asked for in the upper half of its network.
        let mut route = Command::new("ip");
        route.args(["route", "add", "local", "10.2.128.0/17", "dev", "eth0"]);
        sandbox.host("server")?.namespace().run(&mut route)?;
        let pid = sandbox.chassis("c1")?.controller().pid().ok_or("the controller has ended")?;
        Ok(Bed { sandbox, pid, next: 0 })
    }

    fn host(&self, name: &str) -> Result<&Host> {
        Ok(self.sandbox.host(name)?)
    }

    /// Resolves neighbours one after the other.
    fn resolve(&mut self, samples: u16) -> Result<Samples> {
        let first = self.next;
        self.next += samples;
        load::resolve(self.host("client")?, self.host("server")?, first..self.next)
    }

    fn cpu<T>(&mut self, work: impl FnOnce(&mut Bed) -> Result<T>) -> Result<(T, Duration)> {
        let before = crate::process::cpu(self.pid)?;
        let result = work(self)?;
        Ok((result, crate::process::cpu(self.pid)?.saturating_sub(before)))
    }

    fn rate(&mut self, kind: Kind, during: Duration) -> Result<Rate> {
        let (answers, cpu) = self.cpu(|bed| load::answers(bed.host("client")?, kind, during))?;
        let each = cpu / u32::try_from(answers.max(1)).unwrap_or(u32::MAX);
        Ok(Rate { per_second: answers as f64 / during.as_secs_f64(), cpu: each })
    }

    fn measure_unbounded(&mut self, options: &Options, measured: &mut Unbounded) -> Result<()> {
        let during = Duration::from_secs(options.seconds);
        let (resolution, spent) = self.cpu(|bed| bed.resolve(options.samples))?;
        measured.resolution.extend(resolution);
        measured.resolution_spent += spent;
        measured.errors.push(self.rate(Kind::Error, during)?);
        measured.resets.push(self.rate(Kind::Reset, during)?);
        Ok(())
    }

    /// What one who asks modestly sees, alone and beside a flood, with the usual budgets.
    fn measure_bounded(&mut self, options: &Options) -> Result<Bounded> {
        // Below the budget of a source of errors.
        let samples = options.samples.min(50);
        self.resolve(10)?;
        let alone = self.times(samples)?;
        let flood = Flood::start(self.host("flood")?)?;
        let beside = self.times(samples)?;
        Ok(Bounded { alone, beside, flood: flood.stop() })
    }

    fn times(&mut self, samples: u16) -> Result<Times> {
        let resolution = self.resolve(samples)?;
        let client = self.host("client")?;
        let error = load::wait_for_errors(client, samples)?;
        let ping = load::pings(client, samples)?;
        Ok(Times { resolution, error, ping })
    }
}

/// What is measured with budgets lifted, of stock and of Kiln. The two take turns, so that what else the machine does meets
/// both, each turn with a switch of its own: two runs of the same switch differ by more than the controllers do.
fn unbounded(bed: impl Fn(Component) -> Result<Bed>, options: &Options) -> Result<[Unbounded; 2]> {
    let mut measured = <[Unbounded; 2]>::default();
    for round in 1..=options.rounds {
        note!("round {round} of {} ...", options.rounds);
        let mut turns = [Component::Stock, Component::Kiln];
        turns.rotate_left(usize::from(round % 2));
        for whose in turns {
            let mut bed = bed(whose)?;
            // The first packets of all meet caches that are cold.
            bed.resolve(10)?;
            let [stock, kiln] = &mut measured;
            bed.measure_unbounded(options, if whose == Component::Kiln { kiln } else { stock })?;
        }
    }
    Ok(measured)
}
