//! `kiln northd` beside `ovn-northd`: each compiles the same network into an empty southbound database, then takes in
//! changes of each kind, one by one. The servers are stock in both cases.

mod report;

use crate::Result;
use crate::database::{Client, Server};
use crate::network::{Change, MAX_PORTS, MAX_SWITCHES, Network};
use crate::process::{Folder, Process};
use crate::watch::Watch;
use kiln_ovsdb::client::TableMonitor;
use kiln_ovsdb::txn::{OpResult, decode_rows};
use kiln_sandbox::{Component, Peers};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long northd may take for anything.
const PATIENCE: Duration = Duration::from_mins(10);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Numbers of switches, separated by commas; a run for each, of fewer than 200 the middle one of three
    #[arg(long, value_delimiter = ',', default_value = "100,500", value_parser = clap::value_parser!(u64).range(1..=MAX_SWITCHES as u64))]
    switches: Vec<u64>,
    /// Ports of each switch
    #[arg(long, default_value_t = 40, value_parser = clap::value_parser!(u64).range(1..=MAX_PORTS as u64))]
    ports: u64,
    /// How many changes of each kind are averaged
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..=40))]
    changes: u64,
    /// The kiln binary, also named by KILN; without it, the workspace's is built in release mode
    #[arg(long)]
    kiln: Option<PathBuf>,
}

/// What one daemon and its servers spent on something.
#[derive(Clone, Copy, Default)]
pub(crate) struct Spent {
    pub(crate) northd: Duration,
    pub(crate) northbound: Duration,
    pub(crate) southbound: Duration,
    pub(crate) wall: Duration,
}

/// What came of one daemon.
pub(crate) struct Measured {
    pub(crate) compile: Spent,
    pub(crate) peak_kb: u64,
    pub(crate) flows: u64,
    /// For each kind of change, what one spent.
    pub(crate) changes: Vec<Spent>,
}

/// Runs it; whether Kiln reached what it is to reach.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let peers = crate::binary::peers(options.kiln.clone())?;
    say!("stock: {}", peers.version(Component::Stock, "ovn-northd")?);
    say!("kiln:  {}", peers.version(Component::Kiln, "ovn-northd")?);
    let folder = Folder::new()?;
    let mut met = true;
    for switches in &options.switches {
        let title = format!("{switches} switches of {} dual-stack ports with port security", options.ports);
        let measure = |component, name| {
            note!("{name} northd: {title} ...");
            measure(&peers, component, &folder.fresh(name)?, options, *switches as usize)
        };
        let (mut stock, mut kiln) = (Vec::new(), Vec::new());
        for _ in 0..rounds(*switches) {
            stock.push(measure(Component::Stock, "stock")?);
            kiln.push(measure(Component::Kiln, "kiln")?);
        }
        let [stock, kiln] = [stock, kiln].map(middle);
        met &= report::print(&title, &stock, &kiln);
    }
    Ok(met)
}

/// How often each daemon is measured, in turns: what takes a tenth of a second is easily disturbed by others.
fn rounds(switches: u64) -> u64 {
    if switches < 200 { 3 } else { 1 }
}

/// The one whose cold compile took neither least nor most.
fn middle(mut measured: Vec<Measured>) -> Measured {
    measured.sort_by_key(|measured| measured.compile.northd);
    let middle = measured.len() / 2;
    measured.swap_remove(middle)
}

/// A daemon at work, with its servers.
struct Bed {
    northbound: Server,
    southbound: Server,
    northd: Process,
    client: Client<Watch>,
}

impl Bed {
    /// What all three have spent so far.
    fn spent(&self) -> Result<Spent> {
        Ok(Spent {
            northd: self.northd.cpu()?,
            northbound: self.northbound.process.cpu()?,
            southbound: self.southbound.process.cpu()?,
            wall: Duration::ZERO,
        })
    }

    /// Waits until the southbound database has all that the northbound one asks for.
    fn wait_compiled(&mut self) -> Result<()> {
        self.client.wait("northd to write sb_cfg", PATIENCE, |client| {
            let nb_cfg = nb_cfg(&client.replica);
            nb_cfg > 0 && client.replica.number("NB_Global", "sb_cfg") == nb_cfg
        })
    }

    /// Waits until nobody works any more.
    fn wait_quiet(&self) -> Result<()> {
        self.northd.wait_quiet(PATIENCE)?;
        self.southbound.process.wait_quiet(PATIENCE)?;
        self.northbound.process.wait_quiet(PATIENCE)
    }

    /// Makes changes of one kind, one after the other, each of them with a new `nb_cfg`. What one spent.
    fn changes(&mut self, network: &mut Network, change: Change, count: u32) -> Result<Spent> {
        let before = self.spent()?;
        let mut wall = Duration::ZERO;
        for _ in 0..count {
            let mut txn = self.client.txn();
            network.change(change, &mut txn);
            let next = nb_cfg(&self.client.replica) + 1;
            let row = self.client.replica.row("NB_Global").ok_or("NB_Global has no row")?;
            txn.update("NB_Global").row(row).set("nb_cfg", &next);
            let start = Instant::now();
            self.client.commit(txn)?;
            self.client
                .wait("the change to come back", PATIENCE, |client| nb_cfg(&client.replica) == next)?;
            self.wait_compiled()?;
            wall += start.elapsed();
        }
        self.wait_quiet()?;
        Ok(self.spent()?.since(before).of_one(count, wall))
    }
}

impl Spent {
    fn since(self, before: Spent) -> Spent {
        Spent {
            northd: self.northd.saturating_sub(before.northd),
            northbound: self.northbound.saturating_sub(before.northbound),
            southbound: self.southbound.saturating_sub(before.southbound),
            wall: self.wall,
        }
    }

    fn of_one(self, count: u32, wall: Duration) -> Spent {
        Spent {
            northd: self.northd / count,
            northbound: self.northbound / count,
            southbound: self.southbound / count,
            wall: wall / count,
        }
    }
}

fn measure(
    peers: &Peers,
    component: Component,
    folder: &Path,
    options: &Options,
    switches: usize,
) -> Result<Measured> {
    let northbound = Server::start(peers, folder, "nb", "ovn/ovn-nb.ovsschema")?;
    let southbound = Server::start(peers, folder, "sb", "ovn/ovn-sb.ovsschema")?;
    let progress = TableMonitor::new("NB_Global", ["nb_cfg", "sb_cfg"]);
    let mut client =
        Client::connect(&northbound, "OVN_Northbound", vec![progress], Watch::new(&["nb_cfg", "sb_cfg"]))?;
    let mut txn = client.txn();
    let mut network = Network::create(switches, options.ports as usize, &mut txn);
    txn.insert("NB_Global").set("nb_cfg", &1);
    client.commit(txn)?;
    northbound.process.wait_quiet(PATIENCE)?;

    let (nb, sb) = (northbound.process.cpu()?, southbound.process.cpu()?);
    let start = Instant::now();
    let mut command = peers.program(component, "ovn-northd")?;
    command
        .arg(format!("--ovnnb-db={}", northbound.remote()))
        .arg(format!("--ovnsb-db={}", southbound.remote()))
        .arg(format!("--unixctl={}", folder.join("northd.ctl").display()))
        .args(["--no-chdir", "-vconsole:warn"]);
    let northd = Process::start("northd", command, folder)?;
    let mut bed = Bed { northbound, southbound, northd, client };
    bed.wait_compiled()?;
    let wall = start.elapsed();
    bed.wait_quiet()?;
    let before = Spent { northbound: nb, southbound: sb, ..Spent::default() };
    let compile = Spent { wall, ..bed.spent()?.since(before) };
    let peak_kb = bed.northd.peak_kb()?;
    let flows = count_flows(&bed.southbound)?;

    let count = options.changes as u32;
    let changes = Change::ALL.map(|change| bed.changes(&mut network, change, count));
    let changes = changes.into_iter().collect::<Result<_>>()?;
    Ok(Measured { compile, peak_kb, flows, changes })
}

fn nb_cfg(watch: &Watch) -> i64 {
    watch.number("NB_Global", "nb_cfg")
}

/// How many rows Logical_Flow has.
pub(crate) fn count_flows(southbound: &Server) -> Result<u64> {
    let mut client = Client::connect(southbound, "OVN_Southbound", Vec::new(), Watch::new(&[]))?;
    let mut txn = client.txn();
    txn.select("Logical_Flow").column("_uuid");
    let mut count = 0;
    if let Some(OpResult::Rows(rows)) = client.commit(txn)?.first() {
        decode_rows("Logical_Flow", rows, |row| {
            count += 1;
            while row.next_column()?.is_some() {}
            Ok(())
        })?;
    }
    Ok(count)
}
