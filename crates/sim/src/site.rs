//! The networks that scenarios run on: routers with a network of their own each, and segments that several of them share
//! with neighbours of which northd knows no IP address. The first segment is the crowded one; every other has one neighbour.
//! Segments do not reach each other, so that a chassis carries the routers of its own hosts' segments and no others.
//!
//! ```text
//!   v0-0 v0-1 …        v2-0 v2-1 …                n0 n1 n2 n3 …
//!       lan0               lan2                       |
//!        |                  |                         |
//!       r0                 r2      …                  |
//!        |                  |                         |
//!   =====+==================+==========  seg0  =======+=====
//! ```

use crate::host::Host;
use crate::world::World;
use kiln_types::{EthAddr, IpNet, Ipv4Net, Ipv6Net};
use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// How large a site is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Chassis.
    pub chassis: usize,
    /// Routers, each with a network of its own.
    pub routers: usize,
    /// Segments, over which the routers are spread.
    pub segments: usize,
    /// Hosts in each of those networks.
    pub lan_hosts: usize,
    /// Neighbours on the first segment.
    pub neighbors: usize,
}

/// A site that was built: whom its hosts are, by their numbers in the world.
#[derive(Clone, Debug)]
pub struct Site {
    size: Size,
    lan: Vec<Vec<usize>>,
    neighbors: Vec<usize>,
}

/// Somebody who is to reach an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pair {
    /// The host.
    pub from: usize,
    /// The address.
    pub to: IpAddr,
}

/// An address of `10.0.0.0/8`.
fn v4(low: usize) -> IpAddr {
    Ipv4Addr::from_bits(10 << 24 | low as u32).into()
}

/// An address of `fd00:0:0:NET::/64`.
fn v6(net: usize, low: usize) -> IpAddr {
    Ipv6Addr::new(0xfd00, 0, 0, net as u16, 0, 0, 0, low as u16).into()
}

fn net(ip: IpAddr, prefix_len: u8) -> IpNet {
    IpNet::new(ip, prefix_len).expect("a length of the family")
}

/// The networks of router n's side of things, both families, with an address by its last number.
fn lan(n: usize, last: usize) -> [IpNet; 2] {
    [net(v4(n << 8 | last), 24), net(v6(0x1000 + n, last), 64)]
}

/// The networks of a segment, both families, with an address by its last number.
fn segment(number: usize, last: usize) -> [IpNet; 2] {
    [net(v4(0x80_0000 | number << 12 | last), 20), net(v6(0x2000 + number, last), 64)]
}

/// The last number of a router's address in its own network, and of the first host's.
const GATEWAY: usize = 1;
const FIRST_HOST: usize = 10;
/// The last numbers of addresses on a segment, from which those of routers and of neighbours count.
const ROUTER: usize = 1;
const NEIGHBOR: usize = 0x800;
/// There are no more addresses.
const MAX_ROUTERS: usize = 0x700;
const MAX_LAN_HOSTS: usize = 200;

fn mac(kind: u8, n: usize, k: usize) -> EthAddr {
    EthAddr([0x0a, kind, (n >> 8) as u8, n as u8, 0, k as u8])
}

fn texts(nets: [IpNet; 2]) -> String {
    format!("[\"{}\", \"{}\"]", nets[0], nets[1])
}

fn addresses(nets: [IpNet; 2]) -> String {
    format!("[\"{}\", \"{}\"]", nets[0].addr(), nets[1].addr())
}

impl Size {
    /// The segment of a router.
    fn segment_of(self, router: usize) -> usize {
        router % self.segments
    }

    /// The routers of a segment.
    fn routers_on(self, segment: usize) -> Vec<usize> {
        (segment..self.routers).step_by(self.segments).collect()
    }

    /// A router's addresses on its segment.
    fn uplink(self, router: usize) -> [IpNet; 2] {
        segment(self.segment_of(router), ROUTER + router / self.segments)
    }

    /// The segment of a neighbour, and its name and addresses.
    fn neighbor(self, n: usize) -> (usize, String, [IpNet; 2]) {
        let number = (n + 1).saturating_sub(self.neighbors);
        (number, format!("n{n}"), segment(number, NEIGHBOR + n))
    }

    /// Those of the first segment, and one for every other.
    fn all_neighbors(self) -> std::ops::Range<usize> {
        0..self.neighbors + self.segments - 1
    }

    /// The routers that a router has routes to: the next one and the one before on its segment.
    fn beside(self, router: usize) -> Vec<usize> {
        let all = self.routers_on(self.segment_of(router));
        let at = router / self.segments;
        let mut list = vec![all[(at + 1) % all.len()], all[(at + all.len() - 1) % all.len()]];
        list.dedup();
        list.retain(|other| *other != router);
        list
    }

    /// The chassis of a host in a router's network: those of a segment are on few.
    fn chassis_of(self, router: usize, host: usize) -> usize {
        let few = (self.chassis / self.segments).max(2);
        (self.segment_of(router) + (router / self.segments + host) % few) % self.chassis
    }

    /// The network file.
    fn network(self) -> String {
        let mut text = String::from("name: sim\nswitches:\n");
        for number in 0..self.segments {
            let quiet = "{ broadcast-arps-to-all-routers: \"false\" }";
            let _ = writeln!(text, "  seg{number}:\n    other_config: {quiet}\n    ports:");
            for n in self.all_neighbors() {
                let (on, name, _) = self.neighbor(n);
                if on == number {
                    let _ = writeln!(text, "      {name}: {{ mac: \"{}\" }}", mac(2, n, 0));
                }
            }
        }
        for n in 0..self.routers {
            let _ = writeln!(text, "  lan{n}:\n    ports:");
            for k in 0..self.lan_hosts {
                let ips = addresses(lan(n, FIRST_HOST + k));
                let _ = writeln!(text, "      v{n}-{k}: {{ mac: \"{}\", ip: {ips} }}", mac(1, n, k));
            }
        }
        text.push_str("routers:\n");
        for n in 0..self.routers {
            let (segment, up, down) = (self.segment_of(n), texts(self.uplink(n)), texts(lan(n, GATEWAY)));
            let _ = writeln!(text, "  r{n}:\n    ports:");
            let _ = writeln!(text, "      r{n}-seg: {{ switch: seg{segment}, networks: {up} }}");
            let _ = writeln!(text, "      r{n}-lan: {{ switch: lan{n}, networks: {down} }}\n    routes:");
            for other in self.beside(n) {
                for (to, via) in lan(other, 0).iter().zip(self.uplink(other)) {
                    let _ = writeln!(text, "      - {{ to: \"{to}\", via: \"{}\" }}", via.addr());
                }
            }
        }
        text
    }

    /// Writes the northbound database and plugs in the hosts; everything is spread over the chassis.
    ///
    /// # Panics
    /// If a segment has no router, or there is more of anything than there are addresses for.
    pub fn build(self, world: &mut World) -> Site {
        assert!((1..=self.routers).contains(&self.segments), "every segment has a router");
        assert!(
            self.routers < MAX_ROUTERS
                && self.all_neighbors().end < NEIGHBOR
                && self.lan_hosts < MAX_LAN_HOSTS
        );
        let network = kiln_topology::parse("site.yaml", &self.network()).expect("a network");
        world.apply(&network);
        let mut neighbors = Vec::new();
        for n in self.all_neighbors() {
            let (segment, name, nets) = self.neighbor(n);
            let chassis = if segment == 0 { n } else { segment + 1 };
            let host = Host::new(name.as_str(), mac(2, n, 0), nets.to_vec());
            neighbors.push(world.add_host(host, chassis % self.chassis, &name));
        }
        let mut lans = Vec::new();
        for n in 0..self.routers {
            let host = |k: usize| {
                let mut host = Host::new(format!("v{n}-{k}"), mac(1, n, k), lan(n, FIRST_HOST + k).to_vec());
                for gateway in lan(n, GATEWAY).map(|net| net.addr()) {
                    let all = if gateway.is_ipv4() {
                        IpNet::V4(Ipv4Net::default())
                    } else {
                        IpNet::V6(Ipv6Net::default())
                    };
                    host.routes.push((all, gateway));
                }
                host
            };
            let mut plug = |k: usize| world.add_host(host(k), self.chassis_of(n, k), &format!("v{n}-{k}"));
            lans.push((0..self.lan_hosts).map(&mut plug).collect());
        }
        Site { size: self, lan: lans, neighbors }
    }
}

impl Site {
    /// The hosts on segments, those of the first one first.
    pub fn neighbors(&self) -> &[usize] {
        &self.neighbors
    }

    /// The hosts behind a router.
    pub fn lan(&self, router: usize) -> &[usize] {
        &self.lan[router]
    }

    /// The routers on a neighbour's segment.
    pub fn routers_of(&self, neighbor: usize) -> Vec<usize> {
        self.size.routers_on(self.size.neighbor(neighbor).0)
    }

    /// Lets a neighbour know the way to the network of a router on its segment, and gives the pairs, both ways and both
    /// families, of it and one host there.
    pub fn introduce(&self, world: &mut World, neighbor: usize, router: usize) -> Vec<Pair> {
        let (outside, inside) = (self.neighbors[neighbor], self.lan[router][neighbor % self.size.lan_hosts]);
        for (to, via) in lan(router, 0).into_iter().zip(self.size.uplink(router)) {
            let route = (to, via.addr());
            let routes = &mut world.host_mut(outside).routes;
            if !routes.contains(&route) {
                routes.push(route);
            }
        }
        let mut pairs = Vec::new();
        for (one, two) in world.host(outside).addresses.iter().zip(&world.host(inside).addresses) {
            pairs.push(Pair { from: inside, to: one.addr() });
            pairs.push(Pair { from: outside, to: two.addr() });
        }
        pairs
    }

    /// Pairs that need no dynamic binding: hosts of one network, of networks beside each other, and routers themselves.
    pub fn known_pairs(&self, world: &World) -> Vec<Pair> {
        let mut pairs = Vec::new();
        for n in 0..self.size.routers {
            let Some(from) = self.lan[n].first().copied() else { continue };
            let routers = lan(n, GATEWAY).into_iter().chain(self.size.uplink(n)).map(|net| net.addr());
            pairs.extend(routers.map(|to| Pair { from, to }));
            let same = self.lan[n].get(1).copied();
            let beside = self.size.beside(n).first().and_then(|other| self.lan[*other].last().copied());
            for other in same.into_iter().chain(beside) {
                pairs.extend(world.host(other).addresses.iter().map(|net| Pair { from, to: net.addr() }));
            }
        }
        pairs
    }
}
