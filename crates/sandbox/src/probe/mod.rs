//! Probes between hosts, and the table of what came of them.

mod echo;
mod ping;
mod table;
mod traceroute;

use crate::Error;
use crate::host::Host;
use echo::Servers;
use kiln_topology::{Expect, Probe, ProbeKind, Target};
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};

pub use table::Table;

/// How many probes run at once.
const WORKERS: usize = 4;

/// What came of a probe: a row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The host that probed.
    pub from: String,
    /// What it did.
    pub probe: &'static str,
    /// The target's name, if it has one.
    pub name: String,
    /// The target's address.
    pub address: IpAddr,
    /// What was sent.
    pub sent: String,
    /// What came back.
    pub came_back: String,
    /// What had to come of it.
    pub expected: Expect,
    /// Whether it did.
    pub holds: bool,
}

/// How a probe ended.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Outcome {
    sent: String,
    came_back: String,
    end: End,
}

/// What a probe's end means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The target answered as it should.
    Reached,
    /// The target answered, but not as it should.
    Wrong,
    /// Somebody said that the target cannot be reached, or it refused.
    Refused,
    /// Nothing came back.
    Silence,
}

impl End {
    fn meets(self, expect: Expect) -> bool {
        match expect {
            Expect::Ok => self == End::Reached,
            Expect::Unreachable => matches!(self, End::Refused | End::Silence),
            Expect::Error => self == End::Refused,
        }
    }
}

/// Runs probes, a few at once, and returns a row for each, in order.
///
/// Probes that count packets come before those that move data: a switch in user space reads its ports through sockets, and
/// data at full speed fills their queues, so that packets of others are lost which the network would have carried.
pub(crate) fn run(probes: &[Probe], hosts: &BTreeMap<String, Host>) -> Result<Vec<Row>, Error> {
    let targets = probes.iter().map(|probe| target(probe, hosts)).collect::<Result<Vec<_>, Error>>()?;
    let servers = Servers::start(probes, &targets, hosts)?;
    let (moving, counting): (Vec<usize>, Vec<usize>) =
        (0..probes.len()).partition(|index| matches!(probes[*index].kind, ProbeKind::Tcp { .. }));
    let one = |index: usize| run_one(&probes[index], targets[index], &hosts[&probes[index].from]);
    let mut rows = BTreeMap::new();
    let result = [counting, moving].iter().try_for_each(|indexes| {
        rows.extend(side_by_side(indexes, one)?);
        Ok(())
    });
    servers.stop();
    result.map(|()| rows.into_values().collect())
}

/// Runs the probes of `indexes`, [`WORKERS`] at once.
fn side_by_side(
    indexes: &[usize],
    one: impl Fn(usize) -> Result<Row, Error> + Sync,
) -> Result<Vec<(usize, Row)>, Error> {
    let next = AtomicUsize::new(0);
    let work = || -> Result<Vec<(usize, Row)>, Error> {
        let mut rows = Vec::new();
        while let Some(index) = indexes.get(next.fetch_add(1, Ordering::Relaxed)) {
            crate::wait::check_interrupt()?;
            rows.push((*index, one(*index)?));
        }
        Ok(rows)
    };
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..WORKERS.min(indexes.len())).map(|_| scope.spawn(work)).collect();
        let results: Vec<_> = workers.into_iter().map(|worker| worker.join().expect("no panic")).collect();
        results
            .into_iter()
            .collect::<Result<Vec<_>, Error>>()
            .map(|rows| rows.into_iter().flatten().collect())
    })
}

fn target(probe: &Probe, hosts: &BTreeMap<String, Host>) -> Result<IpAddr, Error> {
    match &probe.to {
        Target::Addr(address) => Ok(*address),
        Target::Host(name) => hosts.get(name).and_then(|host| host.address(probe.ipv6)).ok_or_else(|| {
            let family = if probe.ipv6 { "IPv6" } else { "IPv4" };
            Error::Usage(format!("host `{name}` has no {family} address to probe"))
        }),
    }
}

fn run_one(probe: &Probe, address: IpAddr, host: &Host) -> Result<Row, Error> {
    let (word, outcome) = match &probe.kind {
        ProbeKind::Ping { count, size } => ("ping", ping::run(host, address, *count, *size)?),
        ProbeKind::Traceroute { via, hops } => {
            ("traceroute", traceroute::run(host, address, via.as_deref(), *hops)?)
        }
        ProbeKind::Tcp { port, bytes } => ("tcp", echo::run(host, (address, *port).into(), *bytes)?),
    };
    let name = match &probe.to {
        Target::Host(name) => name.clone(),
        Target::Addr(_) => String::new(),
    };
    Ok(Row {
        from: probe.from.clone(),
        probe: word,
        name,
        address,
        sent: outcome.sent,
        came_back: outcome.came_back,
        expected: probe.expect,
        holds: outcome.end.meets(probe.expect),
    })
}

fn plural(count: u32, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}
