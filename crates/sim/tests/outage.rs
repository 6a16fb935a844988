//! Databases that are away for a minute: hosts go on as before, no flow is touched, and nothing is written twice.

use kiln_sim::site::Size;
use kiln_sim::{Links, Which, World};
use std::time::Duration;

const AWAY: Duration = Duration::from_mins(1);

#[test]
fn a_minute_without_databases_changes_nothing() {
    let size = Size { chassis: 2, routers: 2, segments: 1, lan_hosts: 2, neighbors: 2 };
    for which in [
        vec![Which::Northbound],
        vec![Which::Southbound],
        vec![Which::Local(0), Which::Local(1)],
        vec![Which::Northbound, Which::Southbound, Which::Local(0)],
    ] {
        let mut world = World::new(1, size.chassis, Links::default());
        let site = size.build(&mut world);
        world.start_all();
        assert!(world.converge(), "the site comes up");
        let pairs = site.known_pairs(&world);
        assert!(!pairs.is_empty());
        assert_eq!(world.unreached(&pairs), []);
        assert!(world.sync());
        let flows = |world: &World| [0, 1].map(|chassis| world.flows(chassis));
        let touched = |world: &World| world.counted(|counters| counters.flow_changes);
        let (standing, sent, changes) = (flows(&world), world.transactions(), touched(&world));
        assert!(standing.iter().all(|flows| flows.len() > 100));
        for database in &which {
            world.cut(*database, AWAY);
        }
        world.run(AWAY / 2);
        assert_eq!(world.unreached(&pairs), [], "{which:?} is away");
        // The other half, and longer than the longest pause between attempts to connect.
        world.run(AWAY / 2 + Duration::from_secs(10));
        assert_eq!(touched(&world), changes, "{which:?} was away: no flow was touched");
        assert_eq!(world.transactions(), sent, "{which:?} is back: nothing is written");
        assert!(flows(&world) == standing, "{which:?} is back");
        assert!(world.sync(), "{which:?} is back: what is asked for is done again");
        assert_eq!(world.complaints(), [""; 0]);
    }
}
