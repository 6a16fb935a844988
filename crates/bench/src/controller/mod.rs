//! `kiln controller` beside `ovn-controller`: each compiles the same southbound database for a chassis with the same ports,
//! a real switch, then takes in members of an address set, one by one. Servers and switches are stock in both cases.

mod chassis;
mod report;

use crate::Result;
use crate::database::{Client, Server};
use crate::network::{MAX_PORTS, MAX_SWITCHES, Network, SET};
use crate::northd::count_flows;
use crate::process::{Folder, Process};
use crate::watch::Watch;
use chassis::Chassis;
use kiln_ovsdb::client::TableMonitor;
use kiln_ovsdb::txn::Function;
use kiln_sandbox::{Component, Peers};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long a daemon may take for anything.
const PATIENCE: Duration = Duration::from_mins(10);

#[derive(clap::Args)]
pub(crate) struct Options {
    /// Number of switches
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u64).range(1..=MAX_SWITCHES as u64))]
    switches: u64,
    /// Ports of each switch
    #[arg(long, default_value_t = 44, value_parser = clap::value_parser!(u64).range(1..=MAX_PORTS as u64))]
    ports: u64,
    /// How many ports of each switch are on the chassis; without it, all are, so that all flows are lowered
    #[arg(long)]
    bound: Option<u64>,
    /// Members of the address set that an ACL names
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(2..=1_000_000))]
    members: u64,
    /// How many members are added, one by one, and averaged
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=1000))]
    changes: u64,
    /// The kiln binary, also named by KILN; without it, the workspace's is built in release mode
    #[arg(long)]
    kiln: Option<PathBuf>,
}

impl Options {
    /// How many ports of each switch are on the chassis.
    fn bound(&self) -> u64 {
        self.bound.unwrap_or(self.ports).min(self.ports)
    }
}

/// What came of one controller.
pub(crate) struct Measured {
    /// Processor time from the start until everything was installed.
    pub(crate) compile: Duration,
    pub(crate) peak_kb: u64,
    /// Flows of the switch.
    pub(crate) installed: u64,
    /// Processor time that one more member took.
    pub(crate) member: Duration,
    /// Flows of the switch that one more member made.
    pub(crate) of_member: f64,
}

/// Runs it; whether Kiln reached what it is to reach.
pub(crate) fn run(options: &Options) -> Result<bool> {
    let peers = crate::binary::peers(options.kiln.clone())?;
    say!("stock: {}", peers.version(Component::Stock, "ovn-controller")?);
    say!("kiln:  {}", peers.version(Component::Kiln, "ovn-controller")?);
    let folder = Folder::new()?;
    note!("the southbound database ...");
    let filled = folder.fresh("filled")?;
    let flows = fill(&peers, &filled, options)?;
    let measure = |component, name| {
        note!("{name} controller ...");
        let own = folder.fresh(name)?;
        std::fs::copy(filled.join("sb.db"), own.join("sb.db"))?;
        measure(&peers, component, &own, options)
    };
    let stock = measure(Component::Stock, "stock")?;
    let kiln = measure(Component::Kiln, "kiln")?;
    let title = format!(
        "{} switches of {} ports, {} of each on the chassis; an ACL with {} addresses",
        options.switches,
        options.ports,
        options.bound(),
        options.members
    );
    Ok(report::print(&title, flows, &stock, &kiln))
}

/// Member number `at` of the address set; no two stand side by side.
fn member(at: u64) -> String {
    Ipv4Addr::from_bits(0xac10_0000 + 2 * at as u32).to_string()
}

/// Has Kiln's northd write the southbound database `sb.db` of the folder; how many logical flows it holds.
fn fill(peers: &Peers, folder: &Path, options: &Options) -> Result<u64> {
    let northbound = Server::start(peers, folder, "nb", "ovn/ovn-nb.ovsschema")?;
    let southbound = Server::start(peers, folder, "sb", "ovn/ovn-sb.ovsschema")?;
    let progress = TableMonitor::new("NB_Global", ["nb_cfg", "sb_cfg"]);
    let watch = Watch::new(&["nb_cfg", "sb_cfg"]);
    let mut client = Client::connect(&northbound, "OVN_Northbound", vec![progress], watch)?;
    let mut txn = client.txn();
    let mut network = Network::create(options.switches as usize, options.ports as usize, &mut txn);
    network.acl((0..options.members).map(member), &mut txn);
    txn.insert("NB_Global").set("nb_cfg", &1);
    client.commit(txn)?;
    let mut command = peers.program(Component::Kiln, "ovn-northd")?;
    command
        .arg(format!("--ovnnb-db={}", northbound.remote()))
        .arg(format!("--ovnsb-db={}", southbound.remote()))
        .arg(format!("--unixctl={}", folder.join("northd.ctl").display()))
        .args(["--no-chdir", "-vconsole:warn"]);
    let northd = Process::start("northd", command, folder)?;
    client.wait("northd", PATIENCE, |client| client.replica.number("NB_Global", "sb_cfg") == 1)?;
    northd.wait_quiet(PATIENCE)?;
    count_flows(&southbound)
}

fn measure(peers: &Peers, component: Component, folder: &Path, options: &Options) -> Result<Measured> {
    let southbound = Server::of_file(peers, folder, "sb")?;
    let chassis = Chassis::start(peers, folder, &southbound, options)?;
    let tables = vec![
        TableMonitor::new("SB_Global", ["nb_cfg"]),
        TableMonitor::new("Chassis_Private", ["nb_cfg"]),
        TableMonitor::new("Address_Set", ["name"]),
    ];
    let mut client = Client::connect(&southbound, "OVN_Southbound", tables, Watch::new(&["nb_cfg"]))?;
    let mut controller = chassis.controller(peers, component)?;
    let acknowledged = |client: &mut Client<Watch>| {
        client.wait("the controller to acknowledge nb_cfg", PATIENCE, |client| {
            client.replica.number("Chassis_Private", "nb_cfg") == client.replica.number("SB_Global", "nb_cfg")
        })
    };
    acknowledged(&mut client)?;
    controller.wait_quiet(PATIENCE)?;
    chassis.wait_quiet()?;
    controller.check()?;
    let compile = controller.cpu()?;
    let peak_kb = controller.peak_kb()?;
    let installed = chassis.flows(peers)?;

    let global = client.replica.row("SB_Global").ok_or("SB_Global has no row")?;
    for at in 0..options.changes {
        let mut txn = client.txn();
        // There is another set, of northd's own.
        txn.mutate("Address_Set")
            .filter("name", Function::Equal, SET)
            .put("addresses", &member(options.members + at));
        let next = client.replica.number("SB_Global", "nb_cfg") + 1;
        txn.update("SB_Global").row(global).set("nb_cfg", &next);
        client.commit(txn)?;
        client.wait("the change to come back", PATIENCE, |client| {
            client.replica.number("SB_Global", "nb_cfg") == next
        })?;
        acknowledged(&mut client)?;
    }
    controller.wait_quiet(PATIENCE)?;
    let count = options.changes as u32;
    Ok(Measured {
        compile,
        peak_kb,
        installed,
        member: controller.cpu()?.saturating_sub(compile) / count,
        of_member: (chassis.flows(peers)? as f64 - installed as f64) / f64::from(count),
    })
}
