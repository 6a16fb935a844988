//! What happens to a site: it comes up, hosts talk while things fail, everything is mended, and then all must hold.

mod faults;
mod quiet;

use crate::network::Links;
use crate::report::Report;
use crate::site::{Pair, Site, Size};
use crate::world::World;
use std::time::Duration;

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What is chosen by chance follows from it.
    pub seed: u64,
    /// How large.
    pub size: Size,
    /// Options of NB_Global.
    pub options: Vec<(String, String)>,
    /// With how many routers' networks each neighbour of the segment talks.
    pub acquaintances: usize,
    /// How long hosts talk while things fail.
    pub traffic: Duration,
    /// How long from one packet of a host to the next.
    pub talk_every: Duration,
    /// How long from one fault to the next on average; `None` for none.
    pub fault_every: Option<Duration>,
    /// The links while hosts talk.
    pub links: Links,
}

impl Scenario {
    /// Runs it.
    pub fn run(&self) -> Report {
        let mut world = World::new(self.seed, self.size.chassis, Links::default());
        let mut report = Report { seed: self.seed, traffic: self.traffic, ..Report::default() };
        let began = world.now();
        let site = self.size.build(&mut world);
        for (key, value) in &self.options {
            world.set_option(key, value);
        }
        world.start_all();
        if !world.converge() {
            report.violations.push("the site does not come up".into());
        }
        let pairs = self.pairs(&mut world, &site);
        report.pairs = pairs.len();
        self.talk(&mut world, &pairs, &mut report);
        quiet::check(&mut world, &pairs, &mut report);
        report.bindings = world.bindings().len();
        report.packet_ins = world.counted(|counters| counters.packet_ins);
        report.renumbered = world.counted(|counters| counters.renumbered);
        report.virtual_time = world.now() - began;
        report.trace = world.trace();
        report
    }

    /// Who is to reach whom.
    fn pairs(&self, world: &mut World, site: &Site) -> Vec<Pair> {
        let mut pairs = site.known_pairs(world);
        for neighbor in 0..site.neighbors().len() {
            let routers = site.routers_of(neighbor);
            let mut router = routers[neighbor % routers.len()];
            for _ in 0..self.acquaintances {
                pairs.extend(site.introduce(world, neighbor, router));
                router = routers[world.rng.usize(0..routers.len())];
            }
        }
        pairs.sort();
        pairs.dedup();
        pairs
    }

    /// Lets hosts talk while things fail.
    fn talk(&self, world: &mut World, pairs: &[Pair], report: &mut Report) {
        let (writes, queries) = (world.writes(), world.counted(|counters| counters.queries));
        world.links = self.links.clone();
        if let Some(every) = self.fault_every {
            report.faults = faults::plan(world, self.traffic, every);
        }
        let end = world.now() + self.traffic;
        while world.now() < end {
            for pair in pairs {
                world.ping(pair.from, pair.to);
            }
            world.run(self.talk_every.min(end - world.now()));
        }
        world.links = Links::default();
        report.writes = world.writes() - writes;
        report.queries = world.counted(|counters| counters.queries) - queries;
    }
}
