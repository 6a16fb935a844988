//! Neighbours that are asked for on one chassis and answer on another, under both ways of learning.

use kiln_sim::site::{Pair, Site, Size};
use kiln_sim::{Actor, Links, Which, World};
use std::net::IpAddr;
use std::time::Duration;

const SLOWNESS: Duration = Duration::from_millis(200);
const OFTEN: Duration = Duration::from_millis(10);
/// Values of `mac_binding_learning`.
const LEARNING: [&str; 2] = ["open", "tracked"];

/// One router with a host on chassis 0, and neighbours, of which every second one is on chassis 1.
fn two_chassis(seed: u64, learning: &str, neighbors: usize) -> (World, Site) {
    let size = Size { chassis: 2, routers: 1, segments: 1, lan_hosts: 1, neighbors };
    let mut world = World::new(seed, size.chassis, Links::default());
    let site = size.build(&mut world);
    world.set_option("mac_binding_learning", learning);
    world.start_all();
    assert!(world.converge(), "the site comes up");
    assert_eq!((world.chassis_of(site.lan(0)[0]), world.chassis_of(site.neighbors()[1])), (0, 1));
    (world, site)
}

/// What the host behind the router and a neighbour are to reach: the host's pairs alone.
fn from_inside(world: &mut World, site: &Site, neighbor: usize) -> Vec<Pair> {
    let mut pairs = site.introduce(world, neighbor, 0);
    pairs.retain(|pair| pair.from == site.lan(0)[0]);
    pairs
}

/// The addresses whose neighbours are known.
fn learned(world: &World) -> Vec<IpAddr> {
    world.bindings().into_iter().filter(|binding| !binding.mac.is_empty()).map(|binding| binding.ip).collect()
}

#[test]
fn the_packet_that_asks_is_sent_on_though_the_database_is_slow() {
    for learning in LEARNING {
        let (mut world, site) = two_chassis(1, learning, 2);
        let pairs = from_inside(&mut world, &site, 1);
        world.slow(Which::Southbound, SLOWNESS);
        let echoes: Vec<_> = pairs.iter().map(|pair| world.ping(pair.from, pair.to)).collect();
        let answered = |world: &mut World| {
            pairs.iter().zip(&echoes).all(|(pair, echo)| world.host(pair.from).was_answered(*echo))
        };
        assert!(
            world.run_until(Duration::from_secs(4), OFTEN, answered),
            "{learning}: {:?}",
            world.bindings()
        );
        let mut expected: Vec<IpAddr> = pairs.iter().map(|pair| pair.to).collect();
        expected.sort();
        let mut found = learned(&world);
        found.retain(|ip| expected.contains(ip));
        assert_eq!(found, expected, "{learning}: each is learned once");
        assert_eq!(world.wrong_bindings(), []);
    }
}

#[test]
fn what_was_asked_is_learned_though_the_asking_controller_is_killed() {
    for (learning, family) in LEARNING.into_iter().flat_map(|learning| [(learning, 0), (learning, 1)]) {
        let (mut world, site) = two_chassis(2, learning, 2);
        let pair = from_inside(&mut world, &site, 1)[family];
        world.slow(Which::Southbound, SLOWNESS);
        world.ping(pair.from, pair.to);
        // The neighbour has answered by now, and the database has told nobody yet.
        world.run(Duration::from_millis(100));
        assert_eq!(world.bindings(), []);
        world.kill(Actor::Controller(0));
        world.run(Duration::from_secs(3));
        assert!(learned(&world).contains(&pair.to), "{learning}: {pair:?} {:?}", world.bindings());
        world.start(Actor::Controller(0));
        assert!(world.converge());
        assert_eq!(world.unreached(&[pair]), []);
        assert_eq!(world.wrong_bindings(), []);
    }
}

#[test]
fn what_nobody_asked_for_is_learned_in_open_mode_alone() {
    for learning in LEARNING {
        let (mut world, site) = two_chassis(3, learning, 2);
        world.announce(site.neighbors()[1]);
        world.run(Duration::from_secs(5));
        assert_eq!(learned(&world).is_empty(), learning == "tracked", "{:?}", world.bindings());
    }
}

#[test]
fn who_does_not_answer_is_not_reached_until_it_does() {
    for learning in LEARNING {
        let (mut world, site) = two_chassis(4, learning, 2);
        let pairs = from_inside(&mut world, &site, 1);
        let neighbor = site.neighbors()[1];
        world.host_mut(neighbor).on = false;
        assert_eq!(world.unreached(&pairs), pairs);
        assert_eq!(learned(&world), [] as [IpAddr; 0]);
        // A query is a row that all chassis see, for as long as an answer may come.
        assert_eq!(world.bindings().is_empty(), learning == "open");
        world.run(Duration::from_mins(1));
        assert_eq!(world.bindings(), []);
        world.host_mut(neighbor).on = true;
        assert_eq!(world.unreached(&pairs), []);
    }
}

#[test]
fn a_neighbour_that_moves_is_found_again() {
    let (mut world, site) = two_chassis(5, "tracked", 2);
    let pairs = from_inside(&mut world, &site, 1);
    assert_eq!(world.unreached(&pairs), []);
    world.migrate(site.neighbors()[1], 0);
    assert!(world.converge());
    assert_eq!(world.unreached(&pairs), []);
}

#[test]
fn who_is_talked_to_stays_known_and_who_is_not_is_forgotten() {
    let (mut world, site) = two_chassis(6, "tracked", 3);
    world.set_router_option("mac_binding_age_threshold", "20");
    let (talking, silent) = (from_inside(&mut world, &site, 1), from_inside(&mut world, &site, 2));
    assert_eq!(world.unreached(&[&talking[..], &silent[..]].concat()), []);
    let knows = |world: &World, pairs: &[Pair]| pairs.iter().all(|pair| learned(world).contains(&pair.to));
    assert!(knows(&world, &talking) && knows(&world, &silent));
    for second in 0..60 {
        for pair in &talking {
            world.ping(pair.from, pair.to);
        }
        world.run(Duration::from_secs(1));
        assert!(knows(&world, &talking), "after {second} s of talk: {:?}", world.bindings());
    }
    assert!(silent.iter().all(|pair| !learned(&world).contains(&pair.to)), "{:?}", world.bindings());
    world.run(Duration::from_mins(1));
    assert_eq!(world.bindings(), []);
}

#[test]
fn a_limit_holds_at_every_moment() {
    const LIMIT: usize = 4;
    let (mut world, site) = two_chassis(7, "tracked", 8);
    world.set_router_option("mac_binding_limit", &LIMIT.to_string());
    assert!(world.converge());
    let mut pairs = Vec::new();
    for neighbor in 0..8 {
        pairs.extend(site.introduce(&mut world, neighbor, 0));
    }
    let mut most = 0;
    for _ in 0..5 {
        for pair in &pairs {
            world.ping(pair.from, pair.to);
        }
        world.run_until(Duration::from_secs(2), OFTEN, |world| {
            let rows = world.bindings();
            assert!(rows.len() <= LIMIT, "{rows:?}");
            most = most.max(rows.len());
            false
        });
    }
    assert_eq!(most, LIMIT);
}
