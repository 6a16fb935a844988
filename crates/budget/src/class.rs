//! Classes of work, and what each may cost.

use crate::{Level, Limit};

/// Kinds of work that the slow path does for packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// An ARP request or a neighbour solicitation that is sent.
    Query,
    /// An ARP packet or a neighbour message that is learned from or answered.
    Neighbor,
    /// An ICMP error other than an unreachable.
    Error,
    /// A TCP reset or an SCTP abort.
    Reset,
    /// An ICMP unreachable.
    Unreachable,
    /// A packet that is cut into fragments.
    Fragment,
    /// A router advertisement.
    RouterAdvert,
    /// A DHCP answer.
    Dhcp,
    /// A DNS answer.
    Dns,
    /// Anything else that the pipeline hands up.
    Rest,
}

impl Class {
    /// All of them.
    pub const ALL: [Class; 10] = [
        Class::Query,
        Class::Neighbor,
        Class::Error,
        Class::Reset,
        Class::Unreachable,
        Class::Fragment,
        Class::RouterAdvert,
        Class::Dhcp,
        Class::Dns,
        Class::Rest,
    ];

    /// The name under which it is counted and configured.
    pub const fn name(self) -> &'static str {
        match self {
            Class::Query => "query",
            Class::Neighbor => "neighbor",
            Class::Error => "error",
            Class::Reset => "reset",
            Class::Unreachable => "unreachable",
            Class::Fragment => "fragment",
            Class::RouterAdvert => "ra",
            Class::Dhcp => "dhcp",
            Class::Dns => "dns",
            Class::Rest => "rest",
        }
    }

    /// The class of that name.
    pub fn of_name(name: &str) -> Option<Class> {
        Class::ALL.into_iter().find(|class| class.name() == name)
    }
}

/// What one class of work may cost at each level.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClassLimits {
    /// The whole chassis.
    pub chassis: Limit,
    /// One router (any logical datapath).
    pub router: Limit,
    /// One port that packets come in by.
    pub port: Limit,
    /// One source address behind a port; `None` if sources are not told apart.
    pub source: Option<Limit>,
}

impl ClassLimits {
    /// No limits.
    pub const NONE: ClassLimits =
        ClassLimits { chassis: Limit::NONE, router: Limit::NONE, port: Limit::NONE, source: None };

    /// The limit at a level; `None` if sources are not told apart.
    pub const fn at(&self, level: Level) -> Option<Limit> {
        match level {
            Level::Chassis => Some(self.chassis),
            Level::Router => Some(self.router),
            Level::Port => Some(self.port),
            Level::Source => self.source,
        }
    }

    /// Sets the limit at a level.
    pub const fn set(&mut self, level: Level, limit: Limit) {
        match level {
            Level::Chassis => self.chassis = limit,
            Level::Router => self.router = limit,
            Level::Port => self.port = limit,
            Level::Source => self.source = Some(limit),
        }
    }
}

/// What every class may cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits([ClassLimits; Class::ALL.len()]);

impl Limits {
    /// No limits, for measurements.
    pub const NONE: Limits = Limits([ClassLimits::NONE; Class::ALL.len()]);

    /// The limits of a class.
    pub const fn of(&self, class: Class) -> &ClassLimits {
        &self.0[class as usize]
    }

    /// The limits of a class, to change them.
    pub const fn of_mut(&mut self, class: Class) -> &mut ClassLimits {
        &mut self.0[class as usize]
    }
}

impl Default for Limits {
    /// Wide enough that ordinary traffic never meets them, in packets a second with the burst behind the stroke. In a router's
    /// pipeline a packet's port is the router's, behind which there are many hosts: they are told apart by their addresses.
    ///
    /// | class | chassis | router | port | source | reason |
    /// |---|---|---|---|---|---|
    /// | query | 2000/2000 | 1000/1000 | 200/400 | 100/200 | each next hop is asked for once a second (RFC 1122, 2.3.2.1), so these are next hops without an answer |
    /// | neighbor | 20000/40000 | 10000/20000 | 5000/10000 | | 10,000 hosts of one segment may answer in a few seconds, after a switch came back; each has an address of its own |
    /// | error | 1000/1000 | 500/1000 | 200/400 | 50/100 | Linux sends at most 1000 errors a second (`icmp_msgs_per_sec`); RFC 4443, 2.4(f) asks for a bucket, its example has 10 a second; `traceroute` has 16 probes under way and `mtr` sends one a hop and second |
    /// | unreachable | 1000/1000 | 500/1000 | 200/400 | 50/100 | as errors, but a scan of closed ports must not silence `traceroute` (RFC 1812, 4.3.2.8 has limits by kind) |
    /// | reset | 5000/5000 | 2000/4000 | 1000/2000 | 500/1000 | Linux does not limit them; clients whose server is gone try at once and often |
    /// | fragment | 20000/20000 | 10000/20000 | 5000/10000 | 2500/5000 | 30 Mbit/s of 1500-byte packets from one sender; more is for a larger MTU |
    /// | ra | 1000/1000 | 500/1000 | 200/400 | 2/10 | a host solicits 3 times, 4 s apart (RFC 4861, 10), and anew whenever its link comes back; a rack may boot at once, and hosts without an address are not one source |
    /// | dhcp | 1000/2000 | 500/1000 | 50/100 | | a client sends again after 4 s (RFC 2131, 4.1), from no address yet; one port may have many behind it |
    /// | dns | 10000/10000 | 5000/10000 | 1000/2000 | | resolvers ask as connections are made |
    /// | rest | 10000/10000 | 5000/10000 | 2000/4000 | 500/1000 | packets whose next hop is asked for are most of it, and 4 of them wait for each |
    fn default() -> Self {
        const fn of(
            chassis: (u32, u32),
            router: (u32, u32),
            port: (u32, u32),
            source: Option<(u32, u32)>,
        ) -> ClassLimits {
            const fn limit(of: (u32, u32)) -> Limit {
                Limit::new(of.0, of.1)
            }
            let source = match source {
                Some(source) => Some(limit(source)),
                None => None,
            };
            ClassLimits { chassis: limit(chassis), router: limit(router), port: limit(port), source }
        }
        Limits(Class::ALL.map(|class| match class {
            Class::Query => of((2000, 2000), (1000, 1000), (200, 400), Some((100, 200))),
            Class::Neighbor => of((20_000, 40_000), (10_000, 20_000), (5000, 10_000), None),
            Class::Error | Class::Unreachable => of((1000, 1000), (500, 1000), (200, 400), Some((50, 100))),
            Class::Reset => of((5000, 5000), (2000, 4000), (1000, 2000), Some((500, 1000))),
            Class::Fragment => of((20_000, 20_000), (10_000, 20_000), (5000, 10_000), Some((2500, 5000))),
            Class::RouterAdvert => of((1000, 1000), (500, 1000), (200, 400), Some((2, 10))),
            Class::Dhcp => of((1000, 2000), (500, 1000), (50, 100), None),
            Class::Dns => of((10_000, 10_000), (5000, 10_000), (1000, 2000), None),
            Class::Rest => of((10_000, 10_000), (5000, 10_000), (2000, 4000), Some((500, 1000))),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_are_in_their_places() {
        for (place, class) in Class::ALL.into_iter().enumerate() {
            assert_eq!(class as usize, place);
            assert_eq!(Class::of_name(class.name()), Some(class));
        }
    }

    /// One alone gets half of a shared bucket at once: that must be all that its own bucket lets pass.
    #[test]
    fn a_burst_fits_twice_into_what_it_is_a_share_of() {
        let limits = Limits::default();
        for class in Class::ALL {
            let ClassLimits { chassis, router, port, source } = *limits.of(class);
            assert!(chassis.burst >= 2 * port.burst && router.burst >= 2 * port.burst, "{class:?}");
            assert!(source.is_none_or(|source| port.burst >= 2 * source.burst), "{class:?}");
            assert!(chassis.rate_pps >= router.rate_pps && router.rate_pps >= port.rate_pps, "{class:?}");
            assert!(source.is_none_or(|source| port.rate_pps >= source.rate_pps), "{class:?}");
        }
    }
}
