//! Neighbours that are asked for on one chassis and answer on another.

use kiln_sim::site::{Pair, Site, Size};
use kiln_sim::{Actor, Links, Which, World};
use std::net::IpAddr;
use std::time::Duration;

const SLOWNESS: Duration = Duration::from_millis(200);

/// One router with a host on chassis 0, and two neighbours, of which the second is on chassis 1. Gives what the host and
/// that neighbour are to reach.
fn two_chassis(seed: u64) -> (World, Site, Vec<Pair>) {
    let size = Size { chassis: 2, routers: 1, segments: 1, lan_hosts: 1, neighbors: 2 };
    let mut world = World::new(seed, size.chassis, Links::default());
    let site = size.build(&mut world);
    world.start_all();
    assert!(world.converge(), "the site comes up");
    let pairs = site.introduce(&mut world, 1, 0);
    assert_eq!((world.chassis_of(site.lan(0)[0]), world.chassis_of(site.neighbors()[1])), (0, 1));
    (world, site, pairs)
}

/// What the host behind the router is to reach.
fn from_inside(site: &Site, pairs: &[Pair]) -> Vec<Pair> {
    pairs.iter().copied().filter(|pair| pair.from == site.lan(0)[0]).collect()
}

fn learned(world: &World) -> Vec<IpAddr> {
    world.bindings().into_iter().map(|binding| binding.ip).collect()
}

#[test]
fn the_packet_that_asks_is_sent_on_though_the_database_is_slow() {
    let (mut world, site, pairs) = two_chassis(1);
    let pairs = from_inside(&site, &pairs);
    world.slow(Which::Southbound, SLOWNESS);
    let echoes: Vec<_> = pairs.iter().map(|pair| world.ping(pair.from, pair.to)).collect();
    let answered = |world: &mut World| {
        pairs.iter().zip(&echoes).all(|(pair, echo)| world.host(pair.from).was_answered(*echo))
    };
    let every = Duration::from_millis(10);
    assert!(world.run_until(Duration::from_secs(3), every, answered), "{:?}", world.bindings());
    let mut expected: Vec<IpAddr> = pairs.iter().map(|pair| pair.to).collect();
    expected.sort();
    let mut found = learned(&world);
    found.retain(|ip| expected.contains(ip));
    assert_eq!(found, expected, "each is learned once");
    assert_eq!(world.wrong_bindings(), []);
}

#[test]
fn what_was_asked_is_learned_though_the_asking_controller_is_killed() {
    let (mut world, site, pairs) = two_chassis(2);
    let pairs = from_inside(&site, &pairs);
    world.slow(Which::Southbound, SLOWNESS);
    for pair in &pairs {
        world.ping(pair.from, pair.to);
    }
    // The neighbour has answered by now, and the database has told nobody yet.
    world.run(Duration::from_millis(100));
    world.kill(Actor::Controller(0));
    world.run(Duration::from_secs(3));
    for pair in &pairs {
        assert!(learned(&world).contains(&pair.to), "{} is not among {:?}", pair.to, world.bindings());
    }
    world.start(Actor::Controller(0));
    assert!(world.converge());
    assert_eq!(world.unreached(&pairs), []);
    assert_eq!(world.wrong_bindings(), []);
}

#[test]
fn who_does_not_answer_is_not_reached_until_it_does() {
    let (mut world, site, pairs) = two_chassis(3);
    let pairs = from_inside(&site, &pairs);
    let neighbor = site.neighbors()[1];
    world.host_mut(neighbor).on = false;
    assert_eq!(world.unreached(&pairs), pairs);
    assert_eq!(learned(&world), [] as [IpAddr; 0]);
    world.host_mut(neighbor).on = true;
    assert_eq!(world.unreached(&pairs), []);
}

#[test]
fn a_neighbour_that_moves_is_found_again() {
    let (mut world, site, pairs) = two_chassis(4);
    assert_eq!(world.unreached(&pairs), []);
    world.migrate(site.neighbors()[1], 0);
    assert!(world.converge());
    assert_eq!(world.unreached(&pairs), []);
}
