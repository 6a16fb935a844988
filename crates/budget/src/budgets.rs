//! Payments: a packet passes if every level has a token for it.

use crate::bucket::{Bucket, Share};
use crate::crowd::Crowd;
use crate::{Class, ClassLimits, Limit, Limits};
use kiln_types::{DatapathKey, Instant, PortKey};
use std::net::IpAddr;

/// Most routers of which a class keeps an account.
pub const MAX_ROUTERS: usize = 1024;
/// Most ports of which a class keeps an account.
pub const MAX_PORTS: usize = 1024;
/// Most source addresses of which a port keeps an account.
pub const MAX_SOURCES: usize = 128;

/// For whom work is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Payer {
    /// The router, or any logical datapath.
    pub router: DatapathKey,
    /// The port that the packet came in by.
    pub port: PortKey,
    /// The packet's source; `None` if it has none.
    pub source: Option<IpAddr>,
}

/// Where a packet could not be paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Its source has had its share.
    Source,
    /// Its port has.
    Port,
    /// Its router has, or its port has had its share of the router's.
    Router,
    /// The chassis has, or its port has had its share of the chassis's.
    Chassis,
}

impl Level {
    /// All of them, in the order in which they are asked.
    pub const ALL: [Level; 4] = [Level::Source, Level::Port, Level::Router, Level::Chassis];

    /// The name under which refusals are counted.
    pub const fn name(self) -> &'static str {
        match self {
            Level::Source => "source",
            Level::Port => "port",
            Level::Router => "router",
            Level::Chassis => "chassis",
        }
    }
}

/// What was paid for and what was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Hash)]
pub struct Counts {
    /// Packets that were paid for.
    pub paid: u64,
    refused: [u64; Level::ALL.len()],
}

impl Counts {
    /// Packets that could not be paid for at a level.
    pub const fn refused(&self, level: Level) -> u64 {
        self.refused[level as usize]
    }

    /// Packets that could not be paid for.
    pub fn refused_in_all(&self) -> u64 {
        self.refused.iter().sum()
    }

    fn add(&mut self, other: &Counts) {
        self.paid += other.paid;
        for (sum, n) in self.refused.iter_mut().zip(other.refused) {
            *sum += n;
        }
    }

    fn count(&mut self, result: Result<(), Level>) {
        match result {
            Ok(()) => self.paid += 1,
            Err(level) => self.refused[level as usize] += 1,
        }
    }
}

#[derive(Debug)]
struct Source {
    bucket: Bucket,
    of_port: Share,
}

#[derive(Debug)]
struct Port {
    bucket: Bucket,
    of_router: Share,
    of_chassis: Share,
    sources: Crowd<IpAddr, Source>,
    counts: Counts,
}

impl Port {
    /// One that has used nothing.
    fn new(limits: &ClassLimits, now: Instant) -> Port {
        Port {
            bucket: Bucket::full(limits.port, now),
            of_router: Share::none(now),
            of_chassis: Share::none(now),
            sources: Crowd::new(MAX_SOURCES),
            counts: Counts::default(),
        }
    }

    /// Whether nothing would be different if it were forgotten, but for its counts.
    fn is_idle(&mut self, limits: &ClassLimits, now: Instant) -> bool {
        self.bucket.refill(limits.port, now);
        self.of_router.fade(limits.router, now);
        self.of_chassis.fade(limits.chassis, now);
        // its sources used no more of it than it used in all
        self.bucket.is_full(limits.port) && self.of_router.is_nothing() && self.of_chassis.is_nothing()
    }
}

/// The accounts of one class.
#[derive(Debug)]
struct Accounts {
    chassis: Option<Bucket>,
    routers: Crowd<DatapathKey, Bucket>,
    ports: Crowd<(DatapathKey, PortKey), Port>,
    counts: Counts,
    /// Of ports that were forgotten.
    forgotten: Counts,
}

impl Accounts {
    fn new() -> Self {
        Accounts {
            chassis: None,
            routers: Crowd::new(MAX_ROUTERS),
            ports: Crowd::new(MAX_PORTS),
            counts: Counts::default(),
            forgotten: Counts::default(),
        }
    }

    /// Forgets all use, but not what was counted.
    fn begin_anew(&mut self, limits: &ClassLimits) {
        self.chassis = None;
        self.routers = Crowd::new(MAX_ROUTERS);
        for port in self.ports.iter_mut() {
            *port = Port { counts: port.counts, ..Port::new(limits, Instant::default()) };
        }
    }

    fn pay(&mut self, now: Instant, limits: &ClassLimits, payer: &Payer, cost: u32) -> Result<(), Level> {
        let chassis = self.chassis.get_or_insert_with(|| Bucket::full(limits.chassis, now));
        chassis.refill(limits.chassis, now);
        let idle = |bucket: &mut Bucket, limit: Limit| {
            bucket.refill(limit, now);
            bucket.is_full(limit)
        };
        let (router, own_router) = self.routers.entry(
            payer.router,
            || Bucket::full(limits.router, now),
            |bucket| idle(bucket, limits.router),
            drop,
        );
        router.refill(limits.router, now);
        let forgotten = &mut self.forgotten;
        let (port, own_port) = self.ports.entry(
            (payer.router, payer.port),
            || Port::new(limits, now),
            |port| port.is_idle(limits, now),
            |port| forgotten.add(&port.counts),
        );
        port.bucket.refill(limits.port, now);
        port.of_router.fade(limits.router, now);
        port.of_chassis.fade(limits.chassis, now);
        let source = limits.source.zip(payer.source).map(|(limit, address)| {
            let new = || Source { bucket: Bucket::full(limit, now), of_port: Share::none(now) };
            let idle = |source: &mut Source| {
                source.of_port.fade(limits.port, now);
                idle(&mut source.bucket, limit) && source.of_port.is_nothing()
            };
            let (source, own) = port.sources.entry(address, new, idle, drop);
            source.bucket.refill(limit, now);
            source.of_port.fade(limits.port, now);
            (source, own)
        });

        // those that found no account of their own have one share of what is above them, and no limit but that
        let result = match &source {
            Some((source, true)) if !source.bucket.has_one() => Err(Level::Source),
            _ if own_port && !port.bucket.has_one() => Err(Level::Port),
            Some((source, _)) if own_port && !source.of_port.may_take(&port.bucket) => Err(Level::Source),
            _ if own_router && !port.of_router.may_take(router) => Err(Level::Router),
            _ if !port.of_chassis.may_take(chassis) => Err(Level::Chassis),
            _ => Ok(()),
        };
        if result.is_ok() {
            if let Some((source, _)) = source {
                source.bucket.take(cost);
                source.of_port.add(cost);
            }
            port.bucket.take(cost);
            port.of_router.add(cost);
            port.of_chassis.add(cost);
            router.take(cost);
            chassis.take(cost);
        }
        port.counts.count(result);
        self.counts.count(result);
        result
    }
}

/// How many accounts are kept over all classes, each beside its bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Tracked {
    /// Routers: at most [`MAX_ROUTERS`] a class.
    pub routers: usize,
    /// Ports: at most [`MAX_PORTS`] a class.
    pub ports: usize,
    /// Sources: at most [`MAX_SOURCES`] a port and class.
    pub sources: usize,
}

/// All budgets of a chassis.
#[derive(Debug)]
pub struct Budgets {
    limits: Limits,
    accounts: [Accounts; Class::ALL.len()],
}

impl Budgets {
    /// Budgets of which nothing is used.
    pub fn new(limits: Limits) -> Self {
        Budgets { limits, accounts: Class::ALL.map(|_| Accounts::new()) }
    }

    /// Takes other limits, which hold from the next payment on. Whatever was used under those of a class that change is forgotten:
    /// what little a wide limit gives to one may be more than all of a narrow one, and would keep it from its share for long.
    pub fn set_limits(&mut self, limits: Limits) {
        for class in Class::ALL {
            if limits.of(class) != self.limits.of(class) {
                self.accounts[class as usize].begin_anew(limits.of(class));
            }
        }
        self.limits = limits;
    }

    /// The limits.
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Pays for one packet. If it fails, nothing is paid at any level, and the packet is to be dropped.
    pub fn pay(&mut self, now: Instant, class: Class, payer: &Payer) -> Result<(), Level> {
        self.pay_for(now, class, payer, 1)
    }

    /// Pays for one packet that costs as much as `cost` others. It passes where one passes, and takes as much of the rest as
    /// there is, so that those who come next wait the longer.
    pub fn pay_for(&mut self, now: Instant, class: Class, payer: &Payer, cost: u32) -> Result<(), Level> {
        self.accounts[class as usize].pay(now, self.limits.of(class), payer, cost)
    }

    /// Forgets routers and ports that went away. Their counts go on among those of ports that are not named.
    pub fn forget(&mut self, gone: impl Fn(DatapathKey, Option<PortKey>) -> bool) {
        for accounts in &mut self.accounts {
            accounts.routers.forget(|router| gone(*router, None), drop);
            let forgotten = &mut accounts.forgotten;
            accounts
                .ports
                .forget(|(router, port)| gone(*router, Some(*port)), |port| forgotten.add(&port.counts));
        }
    }

    /// What a class has paid for and refused.
    pub const fn counts(&self, class: Class) -> &Counts {
        &self.accounts[class as usize].counts
    }

    /// The same by port, in no order: router and port, or `None` for ports that are not told apart any more.
    pub fn counts_by_port(
        &self,
        class: Class,
    ) -> impl Iterator<Item = (Option<(DatapathKey, PortKey)>, Counts)> {
        let accounts = &self.accounts[class as usize];
        let ports = accounts.ports.iter().map(|(key, port)| (key.copied(), port.counts));
        ports.chain([(None, accounts.forgotten)])
    }

    /// How many accounts are kept.
    pub fn tracked(&self) -> Tracked {
        let mut tracked = Tracked::default();
        for accounts in &self.accounts {
            tracked.routers += accounts.routers.len();
            tracked.ports += accounts.ports.len();
            tracked.sources += accounts.ports.iter().map(|(_, port)| port.sources.len()).sum::<usize>();
        }
        tracked
    }
}
